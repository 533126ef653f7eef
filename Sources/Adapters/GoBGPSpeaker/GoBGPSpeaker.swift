// gobgpd as the speaker: one connection, one watch of its best paths, our own routes put in and taken out by single calls. What is
// learned lives in the same RIB that the embedded speaker uses, so that everything is shown and explained alike.
//
//     connect → GetBgp (which generation? is BGP started?) → WatchEvent → snapshot → own routes → live
//
// Whatever ends the connection starts again at the left. Meanwhile what was learned stays, for the hold time.

public import AsyncIO
public import BGP
public import BGPEngine
public import EVPN
import GRPC
import Glibc
public import GoBGPAPI
public import NetTypes
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
    private(set) var settings: GoBGPSettings
    private(set) var configuration: BGPConfiguration
    var own = OwnRoutes()
    private var rib: RIB
    private let record: RouteRecord
    private let resolver = Worker()
    private(set) var generation: APIGeneration?

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
    private(set) var phase = Phase.stopped
    /// Why things are not as they should be, for as long as that lasts.
    private var reason: String?
    private(set) var connection: GRPCConnection?
    private var retryDelay = Duration.milliseconds(100)
    private var retryTimer: TimerID?
    private var pollTimer: TimerID?
    private var isPolling = false
    private var holdTimer: TimerID?
    private var deadlineTimer: (id: TimerID, at: Instant)?
    private var isSynchronized = false
    /// Stale paths wait for gobgpd's own neighbors to come back.
    private var isSettling = false
    private var snapshotPaths = 0
    /// When the last octets of the table came.
    private var heardAt = Instant(nanoseconds: 0)
    private var decoder: WatchEventDecoder?
    /// gobgpd could not send its table as one message (its own limit is 256 MiB).
    private var isTableTooLarge = false
    private struct Listing {
        var isRunning = false
        /// Routes that the watch has told of since.
        var touched: Set<RouteKey> = []
    }
    /// While the table is read by ListPath.
    private var listing: Listing?
    private var isDeliveryScheduled = false
    private var isPumpScheduled = false
    private var isReportScheduled = false
    private let startedAt: Instant
    private var stopping: (() -> Void)?

    private var peers: [IPAddress: PeerDescription] = [:]
    private var daemon = PeerDescription(
        id: PeerID(1), address: .v4(.any), routerID: .any, asn: 0, kind: .internal, localASN: 0,
        localAddress: .v4(.any),
        families: Set(Family.supported))
    private var neighborCache: [NeighborStatus] = []
    private var establishedSince: [IPAddress: Instant] = [:]
    private var faults: [IPAddress?: [String: UInt64]] = [:]
    private(set) var global = Global()
    var manager: ManagerState

    /// Calls on their way at once: enough to hide the latency, few enough for a busy gobgpd to answer in time.
    private static let window = 32
    private static let silenceLimit = Duration.seconds(180)
    private static let listTimeout = Duration.seconds(600)
    private static let callTimeout = Duration.seconds(30)
    private static let pollInterval = Duration.seconds(5)
    private static let retryMaximum = Duration.milliseconds(800)
    /// How long a session must have been up for its routes to count as complete where End-of-RIB is not told.
    private static let settleTime = Duration.seconds(10)

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
    public func clear(_ neighbor: IPAddress) {
        var request = ResetPeerRequest()
        request.address = neighbor.description
        act(.resetPeer, request, neighbor)
    }
    public func shutdown(_ neighbor: IPAddress, text: String?) {
        var request = PeerActionRequest()
        request.address = neighbor.description
        request.communication = text ?? ""
        act(.disablePeer, request, neighbor)
    }
    public func enable(_ neighbor: IPAddress) {
        var request = PeerActionRequest()
        request.address = neighbor.description
        act(.enablePeer, request, neighbor)
    }
    public func refresh(_ neighbor: IPAddress) {
        var request = ResetPeerRequest()
        request.address = neighbor.description
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
            for timer in [retryTimer, pollTimer, holdTimer, deadlineTimer?.id] { if let timer { loop.cancel(timer) } }
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

    private func act(_ method: APIMethod, _ request: some APIMessage, _ neighbor: IPAddress) {
        call(method, request) { [self] (result: Result<EmptyMessage, GRPCStatus>) in
            if case .failure(let status) = result {
                log.warning(
                    "gobgp.call.failed",
                    ["method": method.rawValue, "neighbor": neighbor.description, "reason": status.description])
            }
            poll()
        }
    }

    // MARK: What the agent shows

    public func neighbors() -> [NeighborStatus] { neighborCache }
    public func peerID(of address: IPAddress) -> PeerID? {
        peers[address]?.id ?? (neighborCache.contains { $0.address == address } ? identify(address).id : nil)
    }
    public func routes(_ query: RouteQuery) -> RoutePage { rib.routes(query) }
    public func explain(_ key: RouteKey) -> [ExplainedPath] { rib.explain(key) }
    public var routeCount: Int { rib.destinationCount }
    /// Why the daemon is not ready; nil when gobgpd is connected and its table is here.
    public var problem: String? {
        switch phase {
        case .live: nil
        case .stopped: "not started"
        case .down(let reason): reason
        case .connecting, .probing, .snapshot: reason ?? "connecting to gobgpd at \(settings.endpoint)"
        }
    }
    /// Routes of ours that gobgpd does not use.
    public var refusedRoutes: [(key: RouteKey, reason: String)] { own.problems.map { ($0.key, $0.reason) } }
    /// Differences of configuration that are not ours to change, and what management could not do.
    public private(set) var remarks: [String] = []
    func remark(_ texts: [String]) {
        var texts = texts
        if phase == .live, !settings.manages, global.asn != configuration.asn, configuration.asn != 0 {
            texts.append(
                "gobgpd is AS \(global.asn), bgp.global.asn says \(configuration.asn): automatic route targets follow the latter"
            )
        }
        for text in texts where !remarks.contains(text) { log.warning("gobgp.differs", ["reason": text]) }
        remarks = texts
    }

    // MARK: Connecting

    private func connect() {
        retryTimer = nil
        phase = .connecting
        let endpoint: GRPCEndpoint =
            switch settings.endpoint {
            case .tcp(let host, let port): .tcp(host: host, port: port)
            case .unix(let path): .unix(path: path)
            }
        let tls = settings.tls.map {
            GRPCTLS(
                authorities: $0.authorities, certificate: $0.certificate, key: $0.key, serverName: $0.serverName)
        }
        let connection = GRPCConnection(loop: loop, endpoint: endpoint, tls: tls)
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
    private func end(_ reason: String, retryAfter: Duration? = nil) {
        if let retryAfter { retryDelay = retryAfter }
        let connection = connection
        // First: the calls that end with the connection are not the reason.
        lost(reason)
        connection?.close()
    }
    private func lost(_ reason: String) {
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
        if wasLive {
            retryDelay = .milliseconds(100)
            isSettling = false
            armHold()
        }
        if let stopping { return stopping() }
        if let retryTimer { loop.cancel(retryTimer) }
        retryTimer = loop.schedule(after: retryDelay) { [weak self] in self?.connect() }
        retryDelay = min(Self.retryMaximum, retryDelay + retryDelay)
    }

    /// What was learned is kept until this fires.
    private func armHold() {
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
    private func sweep(_ cause: String) {
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

    // MARK: Watching

    private func watch() {
        guard let connection, let generation else { return }
        phase = .snapshot
        reason = nil
        snapshotPaths = 0
        heardAt = loop.now
        watchSilence(of: connection)
        decoder = WatchEventDecoder(generation)
        rib.markRemoteStale()
        var request = WatchEventRequest.bestPaths()
        if isTableTooLarge { request.filters = [.init(.best, includesPresent: false)] }
        // These answer at once, even where nothing has changed.
        request.watchesPeers = true
        listing = isTableTooLarge ? Listing() : nil
        var call: GRPCCall?
        let receiver = MessageReceiver.pieces(
            limit: settings.messageLimit, begin: { [weak self] _ in self?.decoder?.begin() },
            append: { [weak self] piece in
                guard let self, self.decoder != nil else { return }
                self.heardAt = self.loop.now
                do throws(ByteError) {
                    try self.decoder?.append(piece) { self.take($0) }
                } catch {
                    self.decoder = nil
                    if let call { connection.cancel(call, GRPCStatus(.internal, "malformed event: \(error)")) }
                }
            },
            end: { [weak self] in
                guard let self, self.decoder != nil else { return }
                do throws(ByteError) {
                    let summary = try self.decoder?.end()
                    if self.listing != nil {
                        self.startListing()
                    } else if let summary, summary.isTable {
                        self.tableEnded(summary)
                    }
                } catch {
                    self.decoder = nil
                    if let call { connection.cancel(call, GRPCStatus(.internal, "malformed event: \(error)")) }
                }
            })
        call = connection.call(
            generation.path(.watchEvent), request.encoded(generation), timeout: nil, receiver: receiver
        ) { [weak self, weak connection] status in
            guard let self, let connection, self.connection === connection else { return }
            if status.code == .resourceExhausted {
                if status.message.contains("send message larger") {
                    self.isTableTooLarge = true
                    return self.end(
                        "the table is too large for one message of gobgpd (\(status.message)); listing it instead")
                }
                return self.end(
                    "WatchEvent: \(status.message); raise bgp.gobgp.maxMessage", retryAfter: Self.retryMaximum)
            }
            // Whatever the status says: without the stream the table is no longer followed.
            self.loop.afterRound {
                guard self.connection === connection else { return }
                self.end("WatchEvent ended: \(status)")
            }
        }
    }

    /// A gobgpd that hangs while it should tell its table is given up; one with a large table may think for a minute.
    private func watchSilence(of connection: GRPCConnection) {
        loop.schedule(after: .seconds(10)) { [weak self, weak connection] in
            guard let self, let connection, self.connection === connection, self.phase == .snapshot else { return }
            if self.loop.now - self.heardAt > Self.silenceLimit {
                return self.end("gobgpd has not told its table for \(Int(Self.silenceLimit.inSeconds)) s")
            }
            self.watchSilence(of: connection)
        }
    }

    // MARK: Tables too large for one message

    /// Asks for the table route by route. What the watch has told meanwhile is newer than the list.
    private func startListing() {
        guard phase == .snapshot, let listing, !listing.isRunning else { return }
        self.listing?.isRunning = true
        list(Family.supported[...], paths: 0, faults: 0)
    }
    private func list(_ families: ArraySlice<Family>, paths: Int, faults: Int) {
        guard let connection, let generation else { return }
        guard let family = families.first else {
            listing = nil
            return tableEnded(.init(isTable: true, paths: paths, faults: faults))
        }
        var paths = paths
        var faults = faults
        var request = ListPathRequest(family)
        request.asOctets = true
        connection.collect(
            generation.path(.listPath), request.encoded(generation), timeout: Self.listTimeout,
            limit: settings.messageLimit,
            each: { [weak self] message in
                guard let self, self.phase == .snapshot else { return }
                self.heardAt = self.loop.now
                guard let destination = try? ListPathReply(decoding: message, generation).content
                else { return }
                for path in destination.paths {
                    switch path {
                    case .success(let path):
                        guard path.isBest, !path.isFiltered else { continue }
                        paths += 1
                        if self.listing?.touched.contains(path.key) == false { self.take(path) }
                    case .failure(let fault):
                        faults += 1
                        self.note(fault)
                    }
                }
            },
            { [weak self, weak connection] status in
                guard let self, let connection, self.connection === connection, self.phase == .snapshot else { return }
                // A gobgpd without this family says so in words only.
                guard status.isOK || status.message.contains("address family") else {
                    return self.end("ListPath: \(status)")
                }
                self.list(families.dropFirst(), paths: paths, faults: faults)
            })
    }

    private func take(_ element: WatchEventElement) {
        if listing != nil, case .path(let path) = element {
            switch path {
            case .success(let path): listing?.touched.insert(path.key)
            case .failure(let fault): if let key = fault.key { listing?.touched.insert(key) }
            }
        }
        switch element {
        case .peer(let event):
            guard event.kind == .change else { return }
            let session = event.peer.state.session
            let address = IPAddress(event.peer.address)
            report(
                .info, session == .established ? "session.established" : "session.state", address,
                [("state", "\(session)")])
            loop.afterRound { [weak self] in self?.poll() }
        case .path(.success(let path)): take(path)
        case .path(.failure(let fault)):
            note(fault)
            guard let key = fault.key else { return }
            // An unusable announcement replaces a usable one (as RFC 7606 has it for UPDATE).
            rib.replaceRemote(key, nil, from: daemon.id)
        }
        if phase == .live { scheduleDelivery() }
    }
    private func take(_ path: APIPath) {
        if phase == .snapshot { snapshotPaths += 1 }
        let isOurs = own.isOurs(path.key)
        if path.isWithdraw {
            rib.replaceRemote(path.key, nil, from: daemon.id)
            if isOurs {
                own.gone(path.key, isBeaten: false, now: loop.now, isReady: phase == .live)
                schedulePump()
            }
        } else if path.isLocal, isOurs {
            rib.replaceRemote(path.key, nil, from: daemon.id)
            own.seen(
                path.key, Advertisement(payload: path.payload, attributes: AttributeSet(path.attributes)),
                inSnapshot: phase == .snapshot)
        } else {
            if isOurs { own.gone(path.key, isBeaten: true, now: loop.now, isReady: phase == .live) }
            rib.replaceRemote(path.key, (path.payload, path.attributes), from: source(of: path))
        }
    }
    private func source(of path: APIPath) -> PeerID {
        guard let neighbor = path.neighbor else { return daemon.id }
        var description = identify(neighbor)
        let routerID = path.sourceID ?? description.routerID
        if description.routerID != routerID || description.asn != path.sourceASN {
            description.routerID = routerID
            description.asn = path.sourceASN
            description.kind = path.isFromExternal || path.sourceASN != global.asn ? .external : .internal
            // Kept as it came: what an external neighbor may say was decided by gobgpd.
            description.kind = .internal
            peers[neighbor] = description
            rib.addPeer(description)
            rib.closeOutput(description.id)
        }
        return description.id
    }
    private func identify(_ neighbor: IPAddress) -> PeerDescription {
        if let known = peers[neighbor] { return known }
        // 1 is the daemon; past the last number everything counts as the daemon's.
        guard peers.count < 60_000 else { return daemon }
        var description = daemon
        description = PeerDescription(
            id: PeerID(UInt16(peers.count + 2)), address: neighbor, routerID: .any, asn: 0, kind: .internal,
            localASN: 0,
            localAddress: .v4(.any), families: daemon.families)
        peers[neighbor] = description
        rib.addPeer(description)
        rib.closeOutput(description.id)
        return description
    }
    private func note(_ fault: APIPathFault) {
        guard !fault.isForeignFamily else { return }
        metrics.counter("evpnd_gobgp_path_faults_total", "Paths of gobgpd that cannot be used").increment()
        let isNew = faults[fault.neighbor]?[fault.reason] == nil
        if isNew, (faults[fault.neighbor]?.count ?? 0) >= 32 || faults.count > 4096 { return }
        faults[fault.neighbor, default: [:]][fault.reason, default: 0] += 1
        if isNew {
            log.warning(
                "gobgp.path.unusable",
                [
                    "route": fault.key?.description ?? "unknown", "reason": fault.reason,
                    "neighbor": fault.neighbor?.description ?? "local", "effect": "this route is skipped",
                ])
        }
    }

    /// The first message about the table is the whole of it.
    private func tableEnded(_ summary: WatchEventDecoder.Summary) {
        guard phase == .snapshot else { return }
        phase = .live
        retryDelay = .milliseconds(100)
        log.info(
            "gobgp.up",
            [
                "address": settings.endpoint.description, "api": generation?.rawValue ?? "", "asn": "\(global.asn)",
                "router_id": global.routerID, "paths": "\(summary.paths)", "unusable": "\(summary.faults)",
            ])
        report(.info, "gobgp.up", nil, [("paths", "\(summary.paths)")])
        isSettling = true
        armHold()
        scheduleDelivery()
        reconcile()
        manage()
        poll()
    }

    // MARK: Neighbors, and whether the table is complete

    private func schedulePoll() {
        if let pollTimer { loop.cancel(pollTimer) }
        pollTimer = loop.schedule(after: isSettling ? .seconds(1) : Self.pollInterval) { [weak self] in
            self?.pollTimer = nil
            self?.poll()
        }
    }
    /// Asks how the sessions are, which also tells whether gobgpd lives.
    func poll() {
        guard phase == .live, let connection, let generation, !isPolling else { return }
        isPolling = true
        var found: [Peer] = []
        connection.collect(
            generation.path(.listPeer), ListPeerRequest().encoded(generation), timeout: .seconds(20),
            each: { message in
                if found.count < 65_536, let peer = try? ListPeerReply(decoding: message, generation).content {
                    found.append(peer)
                }
            }
        ) { [weak self, weak connection] status in
            guard let self, let connection, self.connection === connection, self.phase == .live else { return }
            self.isPolling = false
            guard status.isOK else { return self.end("ListPeer: \(status)") }
            self.polled(found)
            self.schedulePoll()
        }
    }
    private func polled(_ found: [Peer]) {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        let now = loop.now
        var isComplete = !found.isEmpty
        neighborCache = found.compactMap { peer in
            guard let status = NeighborStatus(peer, now: now, wallClock: Int64(time.tv_sec), configuration) else {
                return nil
            }
            if !status.isEstablished {
                establishedSince[status.address] = nil
                if !status.isAdminDown { isComplete = false }
            } else {
                let first = establishedSince[status.address] ?? now
                establishedSince[status.address] = first
                let hasEnd = peer.families.contains { $0.family == .l2vpnEVPN && $0.endOfRIBReceived }
                if !hasEnd, now - first < Self.settleTime, now - status.since < Self.settleTime { isComplete = false }
            }
            return status
        }
        neighborCache.sort { $0.address < $1.address }
        for index in neighborCache.indices {
            let list = faults[neighborCache[index].address] ?? [:]
            neighborCache[index].faults = list.sorted { $0.key < $1.key }.map { (reason: $0.key, count: $0.value) }
        }
        if isSettling, isComplete { sweep("all neighbors of gobgpd are up") }
    }

    // MARK: Our own routes

    private func reconcile() {
        // Right after the start not everything is wanted yet that will be.
        let mayDelete = isSynchronized && loop.now - startedAt >= Self.settleTime
        if phase == .live {
            record.remove(own.reconcile(mayDelete: mayDelete))
            schedulePump()
        }
        if !mayDelete, isSynchronized {
            loop.schedule(after: Self.settleTime) { [weak self] in self?.reconcile() }
        }
    }
    /// Our own routes pass gobgpd's policies once more.
    func offerAgain() {
        own.offerAgain()
        schedulePump()
    }
    private func schedulePump() {
        guard !isPumpScheduled else { return }
        isPumpScheduled = true
        loop.afterRound { [weak self] in
            self?.isPumpScheduled = false
            self?.pump()
        }
    }
    private func pump() {
        defer { reportProblems() }
        guard phase == .live, let connection, let generation else { return }
        let requests = own.next(limit: Self.window)
        record.add(
            requests.compactMap { request in
                guard case .add(let key, let route) = request else { return nil }
                return (key, route.payload)
            })
        for request in requests {
            let method: APIMethod
            let message: [UInt8]
            switch request {
            case .add(let key, let route):
                method = .addPath
                message = AddPathRequest(
                    APIPath(key: key, payload: route.payload, attributes: route.attributes.attributes)
                ).encoded(generation)
            case .delete(let key, let route):
                method = .deletePath
                message = DeletePathRequest(key, route.payload).encoded(generation)
            }
            connection.unary(generation.path(method), message, timeout: Self.callTimeout) {
                [weak self, weak connection] result in
                guard let self, let connection, self.connection === connection else { return }
                let outcome: OwnOutcome
                switch result {
                case .success: outcome = .done
                case .failure(let status):
                    switch status.code {
                    case .unavailable, .deadlineExceeded, .cancelled, .aborted: outcome = .unknown
                    default: outcome = .refused("gobgpd refused it: \(status)")
                    }
                }
                if self.own.finished(request, outcome, now: self.loop.now) { self.record.remove([request.key]) }
                self.schedulePump()
            }
        }
        record.compact { own.heldRoutes }
        armDeadline()
        if own.isIdle, let stopping { stopping() }
    }
    private func armDeadline() {
        let next = own.nextDeadline
        if deadlineTimer?.at == next { return }
        if let deadlineTimer { loop.cancel(deadlineTimer.id) }
        deadlineTimer = next.map { instant in
            let id = loop.schedule(at: instant) { [weak self] in
                guard let self else { return }
                self.deadlineTimer = nil
                self.own.expire(now: self.loop.now) { key in
                    self.rib.explain(key).contains { $0.route.peer != .local }
                }
                self.reportProblems()
                self.armDeadline()
            }
            return (id, instant)
        }
    }
    private func reportProblems() {
        guard !isReportScheduled, own.hasNews else { return }
        isReportScheduled = true
        // At most one report a second, however many routes are refused.
        loop.schedule(after: .seconds(1)) { [weak self] in
            guard let self else { return }
            self.isReportScheduled = false
            let (problems, count) = self.own.takeNews()
            for problem in problems {
                self.log.warning("gobgp.route.refused", ["route": problem.key.description, "reason": problem.reason])
            }
            if count > problems.count {
                self.log.warning("gobgp.route.refused", ["more": "\(count - problems.count)"])
            }
        }
    }

    // MARK: Towards the control plane

    private func scheduleDelivery() {
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
        _ level: SpeakerEvent.Level, _ name: String, _ neighbor: IPAddress?, _ fields: [(key: String, value: String)]
    ) {
        metrics.counter("evpnd_bgp_events_total", "Session events", ["event": name]).increment()
        onEvent?(SpeakerEvent(level: level, name: name, neighbor: neighbor, fields: fields))
    }

    private func registerMetrics() {
        metrics.onCollect { [weak self] metrics in
            guard let self else { return }
            for name in ["evpnd_bgp_neighbor_up", "evpnd_bgp_routes"] { metrics.clear(name) }
            metrics.gauge("evpnd_gobgp_connected", "Whether gobgpd's table is followed").value =
                self.phase == .live ? 1 : 0
            metrics.gauge("evpnd_gobgp_own_routes", "Our routes that gobgpd shows as its own").value = Double(
                self.own.announcedCount)
            metrics.gauge("evpnd_gobgp_refused_routes", "Our routes that gobgpd does not use").value = Double(
                self.own.problems.count)
            metrics.gauge("evpnd_bgp_rib_routes", "Destinations in the RIB").value = Double(self.routeCount)
            for neighbor in self.neighborCache {
                let address = neighbor.address.description
                metrics.gauge("evpnd_bgp_neighbor_up", "Whether the session is established", ["neighbor": address])
                    .value = neighbor.isEstablished ? 1 : 0
                for family in neighbor.families {
                    for (kind, count) in [
                        ("received", family.counters.received), ("accepted", family.counters.accepted),
                    ] {
                        metrics.gauge(
                            "evpnd_bgp_routes", "Routes by neighbor",
                            ["neighbor": address, "family": family.family.description, "kind": kind]
                        ).value = Double(count)
                    }
                }
            }
        }
    }
}
