// The shell of the BGP speaker: sockets and timers on the event loop, one line of code for each effect of the machine, and no
// decision about the protocol.

public import AsyncIO
public import BGP
public import BGPEngine
import CLinux
public import EVPN
import Glibc
import NetTypes
public import Telemetry

/// evpnd's own BGP speaker on TCP. Confined to the loop's thread.
public final class EmbeddedSpeaker {
    /// Best paths of the routes that others announce, of every family, as they change.
    public var onRoutes: (([RouteChange]) -> Void)?
    /// The initial routes are here, or are no longer waited for. Called once.
    public var onInitialSync: (() -> Void)?
    /// Session events, for `evpnctl watch`.
    public var onEvent: ((SpeakerEvent) -> Void)?
    /// Why connections cannot be accepted, one sentence for each address; empty when all is well.
    public private(set) var listenProblems: [String] = []
    /// Conditions that an operator should look at, one sentence each.
    public var problems: [String] { listenProblems + links.problems + speaker.problems(now: loop.now) }

    private let loop: EventLoop
    private let log: Log
    private let metrics: MetricRegistry
    private let speaker: Speaker
    private let links: Links
    private var connections: [ConnectionID: Connection] = [:]
    private var listeners: [Int32] = []
    private var plan = TransportPlan()
    private var listenRetry: TimerID?
    private var timer: (id: TimerID, at: Instant)?
    private var isScheduled = false
    private var isCarryingOut = false
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 16)

    /// `restarting`: forwarding state of an earlier run is in the kernel (RFC 4724 §4.1). `name` is told to neighbors; nil: the
    /// host name.
    public init(loop: EventLoop, log: Log, metrics: MetricRegistry, name: String? = nil, restarting: Bool) {
        self.loop = loop
        self.log = log
        self.metrics = metrics
        var buffer = [CChar](repeating: 0, count: 256)
        gethostname(&buffer, 255)
        let own = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        speaker = Speaker(
            hostname: String((name ?? own).prefix(64)), restarting: restarting,
            awaitsLocalRoutes: true,
            seed: UInt64(truncatingIfNeeded: Instant.now().nanoseconds) ^ UInt64(getpid()) << 32)
        links = Links(loop: loop, log: log)
        links.onInterface = { [weak self] name, facts in
            self?.command { $0.interfaceChanged(name, facts, now: $1) }
        }
        links.onMessage = { [weak self] bytes, source, name, hopLimit in
            self?.command { $0.receivedRouterMessage(bytes, from: source, on: name, hopLimit: hopLimit, now: $1) }
        }
        registerMetrics()
    }
    deinit { buffer.deallocate() }

    // MARK: What the agent asks for

    public func configure(_ configuration: BGPConfiguration) {
        speaker.configure(configuration, now: loop.now)
        carryOut()
    }
    public func advertise(_ changes: [AdvertisementChange]) {
        let local = changes.map { change in
            LocalRouteChange(
                key: change.key,
                route: change.route.map { LocalRoute(payload: $0.payload, attributes: $0.attributes) })
        }
        speaker.originate(local, now: loop.now)
        carryOut()
    }
    /// Everything that this host announces itself has been given to `advertise`.
    public func localRoutesAreComplete() { command { $0.localRoutesAreComplete(now: $1) } }
    public func clear(_ neighbor: NeighborName) { command { $0.clear(neighbor, now: $1) } }
    public func shutdown(_ neighbor: NeighborName, text: String?) {
        command { $0.shutdown(neighbor, text: text, now: $1) }
    }
    public func enable(_ neighbor: NeighborName) { command { $0.enable(neighbor, now: $1) } }
    public func refresh(_ neighbor: NeighborName) { command { $0.refresh(neighbor, now: $1) } }
    /// Ends all sessions; with `withdrawing` peers are told to forget our routes, else graceful restart keeps them.
    ///
    /// `done` is called after another round, which lets the last octets out.
    public func stop(withdrawing: Bool, _ done: @escaping () -> Void) {
        if let listenRetry { loop.cancel(listenRetry) }
        if let timer { loop.cancel(timer.id) }
        closeListeners()
        command { $0.stop(withdrawing: withdrawing, now: $1) }
        loop.schedule(after: .milliseconds(50), done)
    }
    private func command(_ body: (Speaker, Instant) -> Void) {
        body(speaker, loop.now)
        carryOut()
    }

    // MARK: What the agent shows

    public func neighbors() -> [NeighborStatus] { speaker.status() }
    public func peerID(of neighbor: NeighborName) -> PeerID? { speaker.peerID(of: neighbor) }
    public func routes(_ query: RouteQuery) -> RoutePage { speaker.rib.routes(query) }
    public func explain(_ key: RouteKey) -> [ExplainedPath] { speaker.rib.explain(key) }
    public var routeCount: Int { speaker.rib.destinationCount }

    // MARK: Effects

    private func carryOut() {
        // Effects of callbacks are carried out by the outermost call, in order.
        guard !isCarryingOut else { return }
        isCarryingOut = true
        while true {
            let effects = speaker.takeEffects()
            if effects.isEmpty { break }
            for effect in effects { carryOut(effect) }
        }
        isCarryingOut = false
        scheduleDeadline()
    }

    private func carryOut(_ effect: SpeakerEffect) {
        switch effect {
        case .transport(let plan):
            links.configure(plan)
            listen(plan)
        case .connect(let id, let plan): connect(id, plan)
        case .configure(let id, let plan): connections[id]?.apply(plan)
        case .send(let id, let bytes): connections[id].map { write($0, bytes) }
        case .close(let id): connections.removeValue(forKey: id).map(close)
        case .transmit(let transmission): links.send(transmission)
        case .routes(let changes): deliver(changes)
        case .initialSync: onInitialSync?()
        case .event(let event): report(event)
        }
    }

    private func deliver(_ changes: [BestPathChange]) {
        onRoutes?(
            changes.map { change in
                let path = change.path.map {
                    RemotePath(
                        payload: $0.payload, attributes: $0.attributes, neighbor: $0.peerAddress,
                        interface: $0.interface, alternatives: $0.alternatives)
                }
                return RouteChange(key: change.key, path: path)
            })
    }

    private func report(_ event: SpeakerEvent) {
        let level: LogLevel =
            switch event.level {
            case .debug: .debug
            case .info: .info
            case .warning: .warning
            }
        metrics.counter("evpnd_bgp_events_total", "Session events", ["event": event.name]).increment()
        var fields = event.fields
        if let neighbor = event.neighbor { fields.insert(("neighbor", neighbor.description), at: 0) }
        log.write(level, "bgp.\(event.name)", fields: fields)
        onEvent?(event)
    }

    /// One timer for the earliest deadline of all neighbors, set at the end of a round.
    private func scheduleDeadline() {
        guard !isScheduled else { return }
        isScheduled = true
        loop.afterRound { [weak self] in self?.setTimer() }
    }
    private func setTimer() {
        isScheduled = false
        let next = speaker.nextDeadline
        if timer?.at == next { return }
        if let timer { loop.cancel(timer.id) }
        timer = next.map { instant in
            let id = loop.schedule(at: instant) { [weak self] in
                guard let self else { return }
                self.timer = nil
                self.speaker.handleDeadlines(now: self.loop.now)
                self.carryOut()
            }
            return (id, instant)
        }
    }

    // MARK: Listening

    private func listen(_ plan: TransportPlan) {
        self.plan = plan
        closeListeners()
        if let listenRetry { loop.cancel(listenRetry) }
        listenRetry = nil
        guard plan.listenPort != 0 else { return listenProblems = [] }
        let addresses = plan.listenAddresses.isEmpty ? [.v4(.any), .v6(.any)] : plan.listenAddresses
        var problems: [String] = []
        for address in addresses {
            switch Socket.listen(address, plan) {
            case .success(let descriptor):
                listeners.append(descriptor)
                loop.watch(descriptor, .readable) { [weak self] _ in self?.accept(descriptor) }
            case .failure(let error):
                // A kernel without IPv6 is no problem when nobody asked for IPv6.
                if plan.listenAddresses.isEmpty, address.isV6, error.code == EAFNOSUPPORT { continue }
                problems.append(error.description)
            }
        }
        if problems != listenProblems {
            for problem in problems {
                log.warning("bgp.listen.failed", ["reason": problem, "action": "retry every 5s"])
            }
            if problems.isEmpty { log.info("bgp.listen", ["port": "\(plan.listenPort)"]) }
        }
        listenProblems = problems
        guard !problems.isEmpty else { return }
        listenRetry = loop.schedule(after: .seconds(5)) { [weak self] in
            guard let self else { return }
            self.listen(self.plan)
        }
    }
    private func closeListeners() {
        for descriptor in listeners {
            loop.unwatch(descriptor)
            Glibc.close(descriptor)
        }
        listeners = []
    }

    private func accept(_ listener: Int32) {
        for _ in 0..<64 {
            let descriptor = evpnd_accept(listener)
            guard descriptor >= 0 else { break }
            guard let peer = Socket.peerAddress(descriptor),
                let id = speaker.accepted(
                    from: peer, local: Socket.localAddress(descriptor), interface: Socket.peerInterface(descriptor),
                    now: loop.now)
            else {
                Glibc.close(descriptor)
                continue
            }
            add(Connection(id: id, descriptor: descriptor, isConnected: true))
        }
        carryOut()
    }

    // MARK: Connections

    private func connect(_ id: ConnectionID, _ plan: ConnectPlan) {
        switch Socket.connect(plan, device: self.plan.bindToDevice) {
        case .success(let descriptor): add(Connection(id: id, descriptor: descriptor, isConnected: false))
        case .failure(let error): speaker.closed(id, reason: error.description, now: loop.now)
        }
    }
    private func add(_ connection: Connection) {
        connections[connection.id] = connection
        loop.watch(connection.descriptor, connection.isConnected ? .readable : .writable) { [weak self] readiness in
            self?.ready(connection, readiness)
        }
    }
    private func close(_ connection: Connection) {
        loop.unwatch(connection.descriptor)
        Glibc.close(connection.descriptor)
        connection.isClosed = true
    }
    private func fail(_ connection: Connection, _ reason: String) {
        connections[connection.id] = nil
        close(connection)
        speaker.closed(connection.id, reason: reason, now: loop.now)
    }

    private func ready(_ connection: Connection, _ readiness: EventLoop.Readiness) {
        guard !connection.isClosed else { return }
        if !connection.isConnected {
            let error = Socket.pendingError(connection.descriptor)
            if error != 0 {
                fail(connection, "connect: \(String(cString: strerror(error)))")
            } else {
                connection.isConnected = true
                loop.modify(connection.descriptor, .readable)
                speaker.connected(connection.id, local: Socket.localAddress(connection.descriptor), now: loop.now)
            }
            return carryOut()
        }
        if readiness.contains(.writable) { flush(connection) }
        if !connection.isClosed, !readiness.isDisjoint(with: [.readable, .failed]) { receive(connection) }
        carryOut()
    }

    /// One read: at most a buffer full, so that no peer keeps the others waiting.
    private func receive(_ connection: Connection) {
        let count = read(connection.descriptor, buffer.baseAddress, buffer.count)
        if count > 0 {
            speaker.received(connection.id, UnsafeRawBufferPointer(rebasing: buffer[..<count]), now: loop.now)
        } else if count == 0 {
            fail(connection, "connection closed by the peer")
        } else if errno != EAGAIN, errno != EINTR {
            fail(connection, String(cString: strerror(errno)))
        }
    }

    private func write(_ connection: Connection, _ bytes: [UInt8]) {
        guard !connection.isClosed else { return }
        if connection.output.isEmpty {
            connection.output = bytes
            connection.sent = 0
        } else {
            connection.output += bytes
        }
        flush(connection)
    }
    private func flush(_ connection: Connection) {
        while connection.sent < connection.output.count {
            let count = connection.output.withUnsafeBytes {
                Glibc.send(
                    connection.descriptor, $0.baseAddress.map { $0 + connection.sent }, $0.count - connection.sent,
                    Int32(MSG_NOSIGNAL))
            }
            if count > 0 {
                connection.sent += count
                continue
            }
            if errno == EAGAIN || errno == EINTR {
                if !connection.isWriting {
                    connection.isWriting = true
                    loop.modify(connection.descriptor, [.readable, .writable])
                }
            } else {
                // The reading side will see the failure, with a better reason.
                connection.output = []
                connection.sent = 0
            }
            return
        }
        connection.output.removeAll(keepingCapacity: false)
        connection.sent = 0
        if connection.isWriting {
            connection.isWriting = false
            loop.modify(connection.descriptor, .readable)
        }
        let id = connection.id
        loop.afterRound { [weak self] in
            guard let self, self.connections[id] != nil else { return }
            self.speaker.drained(id, now: self.loop.now)
            self.carryOut()
        }
    }

    // MARK: Metrics

    private func registerMetrics() {
        metrics.onCollect { [weak self] metrics in
            guard let self else { return }
            let names = [
                "evpnd_bgp_neighbor_up", "evpnd_bgp_routes", "evpnd_bgp_messages_total", "evpnd_bgp_faults_total",
            ]
            for name in names { metrics.clear(name) }
            metrics.gauge("evpnd_bgp_rib_routes", "Destinations in the RIB").value = Double(self.routeCount)
            for neighbor in self.neighbors() {
                let address = neighbor.name.description
                metrics.gauge("evpnd_bgp_neighbor_up", "Whether the session is established", ["neighbor": address])
                    .value = neighbor.isEstablished ? 1 : 0
                for (direction, count) in [("in", neighbor.messagesIn), ("out", neighbor.messagesOut)] {
                    metrics.counter(
                        "evpnd_bgp_messages_total", "BGP messages", ["neighbor": address, "direction": direction]
                    ).value = Double(count)
                }
                for family in neighbor.families {
                    let counts = [
                        ("received", family.counters.received), ("accepted", family.counters.accepted),
                        ("stale", family.counters.stale), ("advertised", family.counters.advertised ?? 0),
                    ]
                    for (kind, count) in counts {
                        metrics.gauge(
                            "evpnd_bgp_routes", "Routes by neighbor",
                            ["neighbor": address, "family": family.family.description, "kind": kind]
                        ).value = Double(count)
                    }
                }
                for fault in neighbor.faults {
                    metrics.counter(
                        "evpnd_bgp_faults_total", "Malformed UPDATEs by RFC 7606's answer and reason",
                        ["neighbor": address, "reason": fault.reason]
                    ).value = Double(fault.count)
                }
            }
        }
    }
}

/// One TCP connection.
final class Connection {
    let id: ConnectionID
    let descriptor: Int32
    var isConnected: Bool
    var isWriting = false
    var isClosed = false
    var output: [UInt8] = []
    var sent = 0

    init(id: ConnectionID, descriptor: Int32, isConnected: Bool) {
        self.id = id
        self.descriptor = descriptor
        self.isConnected = isConnected
    }
    func apply(_ plan: ConnectPlan) { Socket.setTTL(descriptor, plan) }
}
