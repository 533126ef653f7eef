// gobgpd as the speaker: one connection, one watch of its best paths, our own routes put in and taken out by single calls. What is
// learned lives in the same RIB that the embedded speaker uses, so that everything is shown and explained alike.
//
//     connect → GetBgp (which generation? is BGP started?) → WatchEvent → snapshot → own routes → live
//
// Whatever ends the connection starts again at the left. Meanwhile what was learned stays, for the hold time.

public import AsyncIO
import BGP
public import BGPEngine
public import EVPN
import GRPC
import Glibc
public import GoBGPAPI
import NetTypes
import Streams
public import Telemetry

/// Drives somebody's gobgpd over gRPC. Confined to the loop's thread.
public final class GoBGPSpeaker {
    /// Best paths that others announce, as they change.
    public var onRoutes: (([RouteChange]) -> Void)?
    /// The initial routes are here, or are no longer waited for. Called once.
    public var onInitialSync: (() -> Void)?
    /// Session events, for `evpnctl watch`.
    public var onEvent: ((SpeakerEvent) -> Void)?

    let loop: EventLoop
    let log: Log
    let metrics: MetricRegistry
    var settings: GoBGPSettings
    var configuration: BGPConfiguration
    var own = OwnRoutes()
    var rib: RIB
    let record: RouteRecord
    private let resolver = Worker()
    var generation: APIGeneration?

    enum Phase: Equatable {
        case stopped
        /// Not connected; the reason why not.
        case down(String)
        case connecting
        /// Connected, asking.
        case probing
        case snapshot
        case live
    }
    var phase = Phase.stopped
    /// Why things are not as they should be, for as long as that lasts.
    var reason: String?
    var connection: GRPCConnection?
    private var retryDelay = GoBGPSpeaker.retryMinimum
    /// Since when the table is followed.
    var liveSince: Instant?
    private var retryTimer: TimerID?
    var pollTimer: TimerID?
    var isPolling = false
    private var holdTimer: TimerID?
    var reconcileTimer: TimerID?
    var deadlineTimer: (id: TimerID, at: Instant)?
    var isSynchronized = false
    /// Stale paths wait for gobgpd's own neighbors to come back.
    var isSettling = false
    /// When the last octets of the table came.
    var heardAt = Instant(nanoseconds: 0)
    var decoder: WatchEventDecoder?
    /// gobgpd could not send its table as one message (its own limit is 256 MiB).
    var isTableTooLarge = false
    struct Listing {
        var isRunning = false
        /// Routes that the watch has told of since.
        var touched: Set<RouteKey> = []
    }
    /// While the table is read by ListPath.
    var listing: Listing?
    private var isDeliveryScheduled = false
    var isPumpScheduled = false
    var isReportScheduled = false
    let startedAt: Instant
    var stopping: (() -> Void)?

    var peers: [IPAddress: PeerDescription] = [:]
    var daemon = PeerDescription(
        id: PeerID(1), address: .v4(.any), routerID: .any, asn: 0, kind: .internal, localASN: 0,
        localAddress: .v4(.any),
        families: Set(Family.supported))
    var neighborCache: [NeighborStatus] = []
    var establishedSince: [IPAddress: Instant] = [:]
    var faults: [IPAddress?: [String: UInt64]] = [:]
    var global = Global()
    /// Differences of configuration that are not ours to change, and what management could not do.
    public internal(set) var remarks: [String] = []
    var manager: ManagerState

    /// Calls on their way at once: enough to hide the latency, few enough for a busy gobgpd to answer in time.
    static let window = 32
    static let silenceLimit = Duration.seconds(180)
    static let listTimeout = Duration.seconds(600)
    static let callTimeout = Duration.seconds(30)
    static let pollInterval = Duration.seconds(5)
    private static let retryMinimum = Duration.milliseconds(100)
    static let retryMaximum = Duration.milliseconds(800)
    /// After a table that was followed for less than this the next attempt is no sooner than after one that failed.
    private static let healthyTime = Duration.seconds(10)
    /// How long a session must have been up for its routes to count as complete where End-of-RIB is not told.
    static let settleTime = Duration.seconds(10)

    public init(
        loop: EventLoop, log: Log, metrics: MetricRegistry, stateDirectory: String, configuration: BGPConfiguration,
        settings: GoBGPSettings
    ) {
        self.loop = loop
        self.log = log
        self.metrics = metrics
        self.configuration = configuration
        self.settings = settings
        startedAt = loop.now
        manager = ManagerState(path: stateDirectory + "/gobgp-managed")
        rib = RIB(RIBConfiguration(asn: 0, routerID: configuration.routerID))
        record = RouteRecord(path: stateDirectory + "/gobgp-routes") { problem in
            log.warning("gobgp.record.failed", ["reason": problem, "effect": "routes may be left in gobgpd at exit"])
        }
        for (key, payload) in record.open() {
            own.recall(key, Advertisement(payload: payload, attributes: AttributeSet(PathAttributes())))
        }
        rib.addPeer(daemon)
        rib.closeOutput(daemon.id)
        registerMetrics()
    }

    // MARK: What the agent asks for

    /// Starts, or takes a changed configuration.
    public func configure(_ configuration: BGPConfiguration, _ settings: GoBGPSettings) {
        let isFirst = phase == .stopped
        let hasMoved =
            settings.endpoint != self.settings.endpoint || settings.tls != self.settings.tls
            || settings.generation != self.settings.generation || settings.messageLimit != self.settings.messageLimit
            // Its routes are told apart as the table is read.
            || settings.predecessor != nil && settings.predecessor != self.settings.predecessor
        self.configuration = configuration
        self.settings = settings
        if isFirst {
            armHold()
            connect()
        } else if hasMoved {
            generation = nil
            end("the configuration has changed")
        } else if phase == .live {
            manage()
        }
    }
    public func advertise(_ changes: [AdvertisementChange]) {
        own.want(changes, isReady: phase == .live)
        rib.originate(
            changes.map { change in
                LocalRouteChange(
                    key: change.key,
                    route: change.route.map { LocalRoute(payload: $0.payload, attributes: $0.attributes) })
            })
        schedulePump()
    }
    public func clear(_ neighbor: NeighborName) {
        var request = ResetPeerRequest()
        request.address = key(neighbor)
        act(.resetPeer, request, neighbor)
    }
    public func shutdown(_ neighbor: NeighborName, text: String?) {
        var request = PeerActionRequest()
        request.address = key(neighbor)
        request.communication = text ?? ""
        act(.disablePeer, request, neighbor)
    }
    public func enable(_ neighbor: NeighborName) {
        var request = PeerActionRequest()
        request.address = key(neighbor)
        act(.enablePeer, request, neighbor)
    }
    public func refresh(_ neighbor: NeighborName) {
        var request = ResetPeerRequest()
        request.address = key(neighbor)
        request.isSoft = true
        request.direction = .both
        act(.resetPeer, request, neighbor)
    }
    /// Lets go of gobgpd. Our routes stay there, unless `withdrawing`. `done` is called when nothing more is to be sent, after at
    /// most five seconds.
    public func stop(withdrawing: Bool, _ done: @escaping () -> Void) {
        let finish = { [self] in
            guard stopping != nil else { return }
            stopping = nil
            phase = .stopped
            for timer in [retryTimer, pollTimer, holdTimer, reconcileTimer, deadlineTimer?.id] {
                if let timer { loop.cancel(timer) }
            }
            connection?.close()
            connection = nil
            resolver.stop()
            done()
        }
        stopping = finish
        guard withdrawing, phase == .live else { return finish() }
        own.withdrawAll()
        schedulePump()
        loop.schedule(after: .seconds(5)) { finish() }
        loop.afterRound { [self] in if own.isIdle { finish() } }
    }

    private func act(_ method: APIMethod, _ request: some APIMessage, _ neighbor: NeighborName) {
        call(method, request) { [self] (result: Result<EmptyMessage, GRPCStatus>) in
            if case .failure(let status) = result {
                log.warning(
                    "gobgp.call.failed",
                    ["method": method.rawValue, "neighbor": neighbor.description, "reason": status.description])
            }
            poll()
        }
    }

    // MARK: Connecting

    private func connect() {
        retryTimer = nil
        phase = .connecting
        let connection = GRPCConnection(loop: loop, endpoint: settings.endpoint, tls: settings.tls)
        self.connection = connection
        connection.onOpen = { [weak self] in
            guard let self else { return }
            self.phase = .probing
            self.probe(self.settings.generation ?? self.generation ?? .v3, isSecond: false)
        }
        connection.onClose = { [weak self] status in self?.lost(status.message) }
        connection.open(resolver: resolver)
    }

    /// Ends this connection; another one is tried.
    func end(_ reason: String, retryAfter: Duration? = nil) {
        let connection = connection
        // First: the calls that end with the connection are not the reason.
        lost(reason, retryAfter: retryAfter)
        connection?.close()
    }
    private func lost(_ reason: String, retryAfter: Duration? = nil) {
        guard phase != .stopped else { return }
        let wasLive = phase == .live
        connection = nil
        decoder = nil
        listing = nil
        isPolling = false
        if phase == .live || phase == .snapshot { own.disconnected() }
        neighborCache = neighborCache.map {
            var status = $0
            status.state = .idle
            status.lastError = "gobgpd is not connected"
            return status
        }
        establishedSince = [:]
        if self.reason != reason || wasLive {
            log.warning(
                "gobgp.down",
                [
                    "address": settings.endpoint.description, "reason": reason,
                    "action": "retrying; forwarding is kept for \(settings.holdSeconds)s",
                ])
            report(.warning, "gobgp.down", nil, [("reason", reason)])
        }
        self.reason = reason
        phase = .down(reason)
        if let liveSince, loop.now - liveSince >= Self.healthyTime { retryDelay = Self.retryMinimum }
        liveSince = nil
        if wasLive {
            isSettling = false
            armHold()
        }
        if let stopping { return stopping() }
        if let retryTimer { loop.cancel(retryTimer) }
        retryTimer = loop.schedule(after: retryAfter ?? retryDelay) { [weak self] in self?.connect() }
        retryDelay = min(Self.retryMaximum, retryDelay + retryDelay)
    }

    /// What was learned is kept until this fires.
    func armHold() {
        guard holdTimer == nil else { return }
        holdTimer = loop.schedule(after: .seconds(settings.holdSeconds)) { [weak self] in self?.holdExpired() }
    }
    private func holdExpired() {
        holdTimer = nil
        // What a snapshot on its way has brought already will not come again.
        if phase != .live, phase != .snapshot { rib.markRemoteStale() }
        sweep("hold time")
    }
    /// Stale paths go, and with that the initial state is complete.
    func sweep(_ cause: String) {
        if let holdTimer { loop.cancel(holdTimer) }
        holdTimer = nil
        isSettling = false
        let removed = rib.sweepRemote()
        if removed > 0 { log.info("gobgp.swept", ["routes": "\(removed)", "after": cause]) }
        scheduleDelivery()
        guard !isSynchronized else { return }
        isSynchronized = true
        // After the delivery that was just scheduled.
        loop.afterRound { [weak self] in self?.onInitialSync?() }
        reconcile()
    }

    private func probe(_ generation: APIGeneration, isSecond: Bool) {
        self.generation = generation
        call(.getBgp, GetBgpRequest(), timeout: .seconds(5)) { [weak self] (result: Result<GetBgpReply, GRPCStatus>) in
            guard let self, self.phase == .probing else { return }
            switch result {
            case .success(let reply): self.probed(reply.content ?? Global())
            case .failure(let status) where status.code == .unimplemented:
                if self.settings.generation != nil {
                    self.generation = nil
                    self.end(
                        "gobgpd at \(self.settings.endpoint) does not speak API \(generation) as bgp.gobgp.api says; "
                            + "write \(generation.other), or auto", retryAfter: Self.retryMaximum)
                } else if isSecond {
                    self.generation = nil
                    self.end(
                        "the server at \(self.settings.endpoint) speaks gRPC but is no gobgpd (\(status.message))",
                        retryAfter: Self.retryMaximum)
                } else {
                    self.probe(generation.other, isSecond: true)
                }
            case .failure(let status): self.end("GetBgp: \(status)")
            }
        }
    }
    private func probed(_ global: Global) {
        self.global = global
        if global.isStarted {
            if let routerID = IPv4Address(global.routerID) {
                daemon.routerID = routerID
                daemon.address = .v4(routerID)
                daemon.asn = global.asn
                rib.addPeer(daemon)
                rib.closeOutput(daemon.id)
            }
            return watch()
        }
        if settings.manages { return start() }
        waitForBGP(
            "BGP is not started in gobgpd at \(settings.endpoint); start it, or let evpnd do so by bgp.gobgp.manage")
    }
    private func waitForBGP(_ reason: String) {
        if self.reason != reason { log.warning("gobgp.waiting", ["reason": reason]) }
        self.reason = reason
        let connection = connection
        loop.schedule(after: .milliseconds(300)) { [weak self] in
            guard let self, self.connection === connection, self.phase == .probing, let generation = self.generation
            else { return }
            self.probe(generation, isSecond: true)
        }
    }
    private func start() {
        call(.startBgp, StartBgpRequest(Management.global(configuration)), timeout: .seconds(10)) {
            [weak self] (result: Result<EmptyMessage, GRPCStatus>) in
            guard let self, self.phase == .probing else { return }
            switch result {
            case .success:
                self.log.info("gobgp.started", ["asn": "\(self.configuration.asn)"])
                self.probe(self.generation ?? .v3, isSecond: true)
            case .failure(let status): self.waitForBGP("StartBgp: \(status)")
            }
        }
    }

    // MARK: Towards the control plane

    func scheduleDelivery() {
        guard !isDeliveryScheduled else { return }
        isDeliveryScheduled = true
        loop.afterRound { [weak self] in
            self?.isDeliveryScheduled = false
            self?.deliver()
        }
    }
    private func deliver() {
        // A snapshot changes nothing before it is complete.
        guard phase != .snapshot else { return }
        let changes = rib.takeChanges()
        guard !changes.isEmpty else { return }
        onRoutes?(
            changes.map { change in
                RouteChange(
                    key: change.key,
                    path: change.path.map {
                        RemotePath(payload: $0.payload, attributes: $0.attributes, neighbor: $0.peerAddress)
                    })
            })
        if rib.hasChanges { scheduleDelivery() }
    }

    // MARK: Calls

    func call<Reply: APIMessage>(
        _ method: APIMethod, _ request: some APIMessage, timeout: Duration = GoBGPSpeaker.callTimeout,
        _ completion: @escaping (Result<Reply, GRPCStatus>) -> Void
    ) {
        guard let connection, let generation else {
            return completion(.failure(GRPCStatus(.unavailable, "gobgpd is not connected")))
        }
        connection.unary(generation.path(method), request.encoded(generation), timeout: timeout) { result in
            switch result {
            case .failure(let status): completion(.failure(status))
            case .success(let bytes):
                do throws(ByteError) {
                    completion(.success(try Reply(decoding: bytes, generation)))
                } catch {
                    completion(.failure(GRPCStatus(.internal, "malformed reply to \(method.rawValue): \(error)")))
                }
            }
        }
    }

    func report(
        _ level: SpeakerEvent.Level, _ name: String, _ neighbor: NeighborName?, _ fields: [(key: String, value: String)]
    ) {
        metrics.counter("evpnd_bgp_events_total", "Session events", ["event": name]).increment()
        onEvent?(SpeakerEvent(level: level, name: name, neighbor: neighbor, fields: fields))
    }
}
