// What the agent asks of whoever speaks BGP for it.

import BGP
import BGPEngine
import EVPN
import EmbeddedSpeaker
import GoBGPSpeaker
import Intents
import NetTypes

protocol RoutingSpeaker: AnyObject {
    /// Best paths that others announce, as they change.
    var onRoutes: (([RouteChange]) -> Void)? { get set }
    /// The initial routes are here, or are no longer waited for. Called once.
    var onInitialSync: (() -> Void)? { get set }
    var onEvent: ((SpeakerEvent) -> Void)? { get set }

    func configure(_ configuration: Configuration)
    func advertise(_ changes: [AdvertisementChange])
    /// What was found on this host at start has been given to `advertise`.
    func localRoutesAreComplete()
    func clear(_ neighbor: NeighborName)
    func shutdown(_ neighbor: NeighborName, text: String?)
    func enable(_ neighbor: NeighborName)
    func refresh(_ neighbor: NeighborName)
    /// `done` is called once the last words are out.
    func stop(withdrawing: Bool, _ done: @escaping () -> Void)

    func neighbors() -> [NeighborStatus]
    func peerID(of neighbor: NeighborName) -> PeerID?
    func routes(_ query: RouteQuery) -> RoutePage
    func explain(_ key: RouteKey) -> [ExplainedPath]
    var routeCount: Int { get }
    /// Conditions that an operator should look at, one sentence each.
    var problems: [String] { get }
    /// Why the daemon cannot be ready; empty when the speaker is not the reason.
    var notReady: [String] { get }
    /// Routes of ours that are not announced, and why.
    var refusedRoutes: [(key: RouteKey, reason: String)] { get }
    /// Whether `routes` knows what neighbors were told.
    var knowsAdvertised: Bool { get }
}

extension EmbeddedSpeaker: RoutingSpeaker {
    func configure(_ configuration: Configuration) { configure(configuration.bgp) }
    var notReady: [String] { [] }
    var refusedRoutes: [(key: RouteKey, reason: String)] { [] }
    var knowsAdvertised: Bool { true }
}

extension GoBGPSpeaker: RoutingSpeaker {
    /// gobgpd has kept our routes, and withdraws none of them early.
    func localRoutesAreComplete() {}
    func configure(_ configuration: Configuration) {
        guard let settings = configuration.gobgp else { return }
        configure(configuration.bgp, settings)
    }
    var problems: [String] { [problem].compactMap { $0 } + remarks }
    var notReady: [String] { problem.map { ["gobgpd: \($0)"] } ?? [] }
    var knowsAdvertised: Bool { false }
}
