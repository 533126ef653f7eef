// What the speaker keeps of one neighbor between its sessions.

import BGP
import NetTypes

/// A configured or dynamic neighbor. A class: the speaker changes its parts in place.
final class Neighbor {
    let id: PeerID
    let isDynamic: Bool
    var configuration: NeighborConfiguration
    /// The address found on the interface of an unnumbered neighbor.
    var discovered: IPv6Address?
    /// At most one established; a second and third only while a collision is undecided.
    var sessions: [Session] = []
    /// Shut down by command or configuration.
    var isShutDown: Bool
    /// Held down after too many routes; nil `until`: until an operator clears it.
    var heldDown: (until: Instant?, reason: String)?
    var retryAt: Instant?
    /// Sessions that failed since the last one that was established.
    var failures = 0
    /// Routes of an ended session are kept until then.
    var staleUntil: Instant?
    var endOfRIB: Set<Family> = []
    var disabledFamilies: Set<Family> = []
    /// Of the session that is or was established.
    var negotiated: Negotiated?
    var since: Instant
    var lastError: String?
    var messagesIn: UInt64 = 0
    var messagesOut: UInt64 = 0
    var establishedCount: UInt64 = 0
    var faults: [String: UInt64] = [:]

    /// Different reasons counted for one neighbor.
    static let maximumFaultKinds = 256

    init(id: PeerID, configuration: NeighborConfiguration, isDynamic: Bool, now: Instant) {
        self.id = id
        self.configuration = configuration
        self.isDynamic = isDynamic
        isShutDown = configuration.isAdminDown
        since = now
    }

    var name: NeighborName { configuration.name }
    var address: IPAddress { discovered.map { .v6($0) } ?? configuration.address }
    /// Whether it is known where to connect to.
    var isLocated: Bool { configuration.interface == nil || discovered != nil }
    var establishedIndex: Int? { sessions.firstIndex { $0.state == .established } }
    func index(of connection: ConnectionID) -> Int? { sessions.firstIndex { $0.id == connection } }
    /// Whether a session may be made at all.
    var isWelcome: Bool { !isShutDown && heldDown == nil }
    /// A dynamic neighbor of which nothing is left. One that is kept down stays: it would be welcome again as a stranger.
    var isForgettable: Bool { isDynamic && sessions.isEmpty && staleUntil == nil && isWelcome }

    var state: SessionState {
        if establishedIndex != nil { return .established }
        if sessions.contains(where: { $0.state == .openConfirm }) { return .openConfirm }
        if sessions.contains(where: { $0.state == .openSent }) { return .openSent }
        if sessions.contains(where: { $0.state == .connecting }) { return .connect }
        return isWelcome ? .active : .idle
    }

    var nextDeadline: Instant? {
        var result: Instant?
        func consider(_ instant: Instant?) {
            guard let instant else { return }
            result = result.map { min($0, instant) } ?? instant
        }
        for session in sessions { consider(session.nextDeadline) }
        consider(retryAt)
        consider(staleUntil)
        consider(heldDown?.until)
        return result
    }

    /// `peerASN` is 0 as long as it is not known.
    func connectPlan(localASN: UInt32, peerASN: UInt32) -> ConnectPlan {
        let isExternal = peerASN == 0 ? configuration.isExternal : peerASN != localASN
        // An external neighbor that is not directly connected is never reached by accident.
        let ttl = isExternal ? configuration.multihopTTL ?? 1 : nil
        return ConnectPlan(
            address: address, port: configuration.remotePort, localAddress: configuration.localAddress,
            interface: configuration.interface ?? configuration.bindInterface, password: configuration.password,
            ttl: configuration.ttlSecurityHops != nil ? 255 : ttl,
            minimumTTL: configuration.ttlSecurityHops.map { 255 - min(254, $0) + 1 })
    }

    /// Whether the running session can go on with `new`.
    func keepsSession(with new: NeighborConfiguration) -> Bool {
        func relevant(_ configuration: NeighborConfiguration) -> NeighborConfiguration {
            var copy = configuration
            copy.description = nil
            copy.peerGroup = nil
            copy.isAdminDown = false
            copy.shutdownMessage = nil
            copy.connectRetrySeconds = 0
            for index in copy.families.indices { copy.families[index].prefixLimit = nil }
            return copy
        }
        return relevant(configuration) == relevant(new)
    }
}

/// Why a session ended, which decides what happens to its routes (RFC 4724 §4.2, RFC 8538 §4).
enum SessionEnd {
    /// The connection broke or was closed without a NOTIFICATION.
    case transport(String)
    case received(NotificationMessage)
    /// We found a fault and told the peer.
    case fault(SessionFault)
    /// By command, configuration or limit: a Cease of ours.
    case administrative(NotificationMessage, String)

    var description: String {
        switch self {
        case .transport(let reason): reason
        case .received(let notification):
            "received NOTIFICATION \(notification.name)" + (notification.shutdownText.map { ": \($0)" } ?? "")
        case .fault(let fault): "sent NOTIFICATION: \(fault)"
        case .administrative(_, let reason): reason
        }
    }
}
