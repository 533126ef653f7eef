// The shell between the forwarding tables of the control plane and Open vSwitch: the database makes bridge and tunnel port and tells
// of ports, the bridge's management socket takes flows.

public import AsyncIO
public import EVPN
public import NetTypes
import OVSDB
import OpenFlow
import OpenFlowClient
import OpenFlowPipeline
import Streams
public import Telemetry

/// Keeps one bridge of Open vSwitch as the control plane wants it, and reports who is attached to it. Confined to the loop's thread.
///
/// Three machines do the thinking: `BridgePlan` (what the database lacks), `FlowTables` (forwarding state to flows) and `FlowSync`
/// (what is sent of them, and when).
public final class OVSDataplane {
    /// Called on the loop with batches of local facts, in the order they happened.
    public var onLocalChanges: (([LocalChange]) -> Void)?

    let loop: EventLoop
    let log: Log
    let database: Database
    let link: SwitchLink
    private let resolver: Worker
    var tables = FlowTables()
    var sync = FlowSync()
    private(set) var configuration: SwitchConfiguration
    private(set) var overlay: Overlay?
    private(set) var vtep: IPAddress?
    /// What the database lacks and tells; nil: it has not been read yet.
    private(set) var bridgePlan: BridgePlan?
    /// The bridge's name and the database do not change while it runs.
    let bridge: SwitchBridge

    private var ports: [String: UInt32?] = [:]
    /// Of the changes of this edition: lists ask for each of their rows.
    var pending: (edition: Int, keys: Set<FlowKey>) = (-1, [])
    private var isTransacting = false
    private var behindSince: Instant?
    private var transactionProblem: String?
    private var retryTimer: TimerID?
    private var verifyTimer: TimerID?
    private var countTimer: TimerID?
    private var failureTimer: TimerID?
    private var failureDelay = OVSDataplane.shortestRetry
    /// Facts are told only once what forwards for them is there.
    private var heldFacts = HeldFacts()
    private var hasSettled = false
    private var mayPrune = false
    /// Until the flows of evpn-connector have been looked for.
    var takesOver: Bool
    private var holdTimer: TimerID?
    private var reported: Set<String> = []
    var isClosed = false
    var isCleaning = false

    /// Flows of ours that the bridge had when it was asked last.
    public private(set) var flowCount = 0
    /// After how long everything is read again, to compare: what somebody else has changed is put right. Reading takes about a second for
    /// 100,000 flows. How many flows there are is asked more often: that finds what somebody has deleted.
    private var verifyInterval: Duration { .seconds(max(10, min(300, flowCount / 500))) }
    private var countInterval: Duration { .seconds(max(2, min(30, flowCount / 10_000))) }
    private static let longestRetry = Duration.seconds(300)
    /// How long ovs-vswitchd is given to follow the database before more is asked of it.
    private static let patience = Duration.seconds(1)
    /// After how long what was refused is tried again, for the first time.
    private static let shortestRetry = Duration.seconds(5)
    /// Refused changes of one batch that are told one by one.
    private static let maximumReports = 20
    private static let transactionRetry = Duration.seconds(2)

    /// Connects at once, and again whenever it is needed. The error is a database that cannot be an address.
    /// `takesOver`: flows that evpn-connector has left in the bridge are removed once what was found may be.
    public init(
        loop: EventLoop, log: Log, metrics: MetricRegistry, configuration: SwitchConfiguration, takesOver: Bool = false
    ) throws(DataplaneError) {
        self.loop = loop
        self.log = log
        self.configuration = configuration
        self.takesOver = takesOver
        bridge = configuration.bridge
        guard let (endpoint, isTLS) = StreamEndpoint.database(bridge.database) else {
            throw DataplaneError("\(bridge.database) is not unix:PATH, tcp:HOST:PORT or ssl:HOST:PORT")
        }
        var tls = isTLS ? bridge.tls ?? TLSSettings() : nil
        // The certificates of ovs-pki carry no addresses; with authorities of one's own their word is enough.
        tls?.verifiesName = bridge.tls?.authorities == nil
        let resolver = Worker()
        self.resolver = resolver
        database = Database(loop: loop, resolver: resolver, endpoint: endpoint, tls: tls, request: monitored)
        var directory = bridge.runDirectory ?? "/run/openvswitch"
        if bridge.runDirectory == nil, case .unix(let path) = endpoint, let slash = path.lastIndex(of: "/") {
            directory = String(path[..<slash])
        }
        link = SwitchLink(loop: loop, path: "\(directory)/\(bridge.name).mgmt")
        link.learns = bridge.learningSeconds != nil
        database.onChange = { [weak self] in self?.databaseChanged() }
        database.onDown = { [weak self] reason in
            self?.log.warning("ovsdb.down", ["reason": reason, "action": "retrying; flows stay"])
        }
        link.onOpen = { [weak self] in self?.switchConnected() }
        link.onDown = { [weak self] reason in self?.switchLost(reason) }
        link.onHeard = { [weak self] in self?.handle(.heard($0)) }
        link.onSilent = { [weak self] in self?.handle(.silent($0)) }
        metrics.onCollect { [weak self] in self?.collect($0) }
        database.open()
    }

    // MARK: What is wanted

    /// The bridge, its clients and what they are attached to. `vtep`: the tunnels' local address; nil: there is none yet.
    public func configure(_ configuration: SwitchConfiguration, _ overlay: Overlay, vtep: IPAddress?) {
        var configuration = configuration
        if configuration.bridge.name != bridge.name || configuration.bridge.database != bridge.database {
            // At the next start.
            configuration.bridge.name = bridge.name
            configuration.bridge.database = bridge.database
        }
        self.configuration = configuration
        self.overlay = overlay
        self.vtep = vtep
        link.learns = configuration.bridge.learningSeconds != nil
        handle(.configure(configuration, overlay))
        databaseChanged()
    }
    /// Rows to set or remove.
    public func apply(_ changes: [ForwardingChange]) { handle(.rows(changes)) }
    /// What was found at start and kept, although nobody had asked for it, goes now.
    public func allowPruning() {
        mayPrune = true
        handle(.complete)
        settle()
    }
    /// Ends the connections; flows, ports and bridge stay.
    public func close() {
        guard !isClosed else { return }
        isClosed = true
        for timer in [retryTimer, verifyTimer, countTimer, failureTimer, holdTimer].compactMap({ $0 }) {
            loop.cancel(timer)
        }
        database.close()
        link.close()
        resolver.stop()
    }

    // MARK: The database

    private func databaseChanged() {
        guard database.isLive, !isClosed, !isCleaning, overlay != nil else { return }
        let plan = BridgePlan(configuration.bridge, vtep: vtep, database.replica)
        bridgePlan = plan
        if plan.isPresent { link.open() }
        tellPorts(plan)
        report(plan.problems + tables.displaced)
        transact(plan)
    }

    private func tellPorts(_ plan: BridgePlan) {
        var changes: [String: UInt32?] = [:]
        let numbers = plan.ports.mapValues(\.clientNumber)
        for (name, number) in numbers where ports[name] != .some(number) { changes[name] = .some(number) }
        for name in ports.keys where plan.ports[name] == nil { changes[name] = .some(nil) }
        for (name, port) in plan.ports where port.error != nil && ports[name] == nil {
            log.warning("ovs.port.unusable", ["port": name, "reason": port.error ?? ""])
        }
        ports = numbers
        if !changes.isEmpty { handle(.ports(changes)) }
        guard let vtep else { return handle(.tunnel(nil)) }
        handle(.tunnel(plan.tunnel.map { FlowTables.TunnelPort(number: $0, vtep: vtep) }))
    }

    /// One after the other: each is planned anew with what the one before has brought about.
    private func transact(_ plan: BridgePlan) {
        guard !isTransacting, retryTimer == nil, let operation = plan.operations.first else { return }
        if plan.isBehind {
            // Not for ever: ovs-vswitchd may be away.
            let since = behindSince ?? loop.now
            behindSince = since
            let left = Self.patience - (loop.now - since)
            if left > .zero {
                return retry(after: min(left, .milliseconds(20)))
            }
        }
        behindSince = nil
        isTransacting = true
        database.transact(operation.operations) { [weak self] result in
            guard let self else { return }
            self.isTransacting = false
            switch result {
            case .success(let result) where result.error == nil:
                self.transactionProblem = nil
                self.log.info("ovsdb.changed", ["command": operation.description])
                // What it changed has been told before the answer (RFC 7047 §4.1.6), but for the numbers of ports.
                self.databaseChanged()
            case .success(let result) where result.hasLostRace: self.databaseChanged()
            case .success(let result): self.refused(operation, "\(result.error ?? DatabaseError("refused"))")
            case .failure(let error): self.refused(operation, "\(error)")
            }
        }
    }
    private func refused(_ operation: BridgeOperation, _ reason: String) {
        guard !isClosed else { return }
        let problem = "\(operation.description): \(reason)"
        if transactionProblem != problem {
            log.warning("ovsdb.refused", ["command": operation.description, "reason": reason])
        }
        transactionProblem = problem
        retry(after: Self.transactionRetry)
    }
    private func retry(after delay: Duration) {
        retryTimer = loop.schedule(after: delay) { [weak self] in
            self?.retryTimer = nil
            self?.databaseChanged()
        }
    }
    private func report(_ problems: [String]) {
        for problem in problems where !reported.contains(problem) { log.warning("ovs.problem", ["reason": problem]) }
        reported = Set(problems)
    }

    // MARK: Flows

    var wanted: FlowSync.Contents { FlowSync.Contents(flows: tables.allFlows, groups: tables.allGroups) }

    private func handle(_ input: FlowTables.Input) {
        let update = tables.handle(input)
        guard !update.isEmpty else { return }
        for (port, limit) in update.crowded {
            log.warning(
                "ovs.learning.limit",
                ["port": port, "limit": "\(limit)", "action": "no more MAC addresses are learned there"])
        }
        perform(sync.update(groups: update.groups, flows: update.flows, removedGroups: update.removedGroups))
        guard !update.facts.isEmpty else { return }
        tell(sync.hasCaughtUp ? update.facts : heldFacts.add(update.facts))
    }

    private func tell(_ facts: [LocalChange]) {
        if !facts.isEmpty { onLocalChanges?(facts) }
    }

    private func switchConnected() {
        log.info("ovs.connected", ["bridge": bridge.name, "version": link.version?.description ?? ""])
        handle(.groups(link.version?.hasSelectionMethods == true))
        perform(sync.connected())
    }
    private func switchLost(_ reason: String) {
        sync.disconnected()
        if let verifyTimer { loop.cancel(verifyTimer) }
        verifyTimer = nil
        log.warning("ovs.down", ["bridge": bridge.name, "reason": reason, "action": "retrying"])
        guard hasSettled, holdTimer == nil else { return }
        // A restart takes a second or two, during which nobody needs to look for another way.
        let seconds = configuration.bridge.holdSeconds
        holdTimer = loop.schedule(after: .seconds(Int(seconds))) { [weak self] in
            guard let self, !self.isClosed else { return }
            self.log.warning(
                "ovs.away", ["bridge": self.bridge.name, "action": "clients are withdrawn until it is back"])
            self.handle(.forwarding(false))
        }
    }

    private func perform(_ effects: [FlowSync.Effect]) {
        for effect in effects {
            switch effect {
            case .read:
                link.read { [weak self] contents in
                    guard let self else { return }
                    guard let contents else { return self.readFailed() }
                    self.learn(contents)
                    if self.sync.isReading { self.handle(.found(contents.flows, contents.groups)) }
                    let healed = self.sync.healed
                    self.perform(self.sync.read(contents, wanted: self.wanted))
                    if self.sync.healed > healed {
                        self.log.warning("ovs.healed", ["changes": "\(self.sync.healed - healed)"])
                    }
                    self.settle()
                    self.scheduleVerification()
                }
            case .send(let changes):
                link.send(changes) { [weak self] refusals in
                    guard let self else { return }
                    let now = self.loop.now
                    self.perform(self.sync.answered(refusals, now: now))
                    if !refusals.isEmpty { self.reportRefusals(now) }
                    self.settle()
                }
            }
        }
    }
    private func readFailed() {
        sync.readFailed()
        guard sync.isReading, link.problem == nil else { return }
        log.warning("ovs.unreadable", ["bridge": bridge.name, "action": "asking again"])
        loop.schedule(after: .seconds(1)) { [weak self] in
            guard let self, self.sync.isReading else { return }
            self.perform([.read])
        }
    }
    /// A refused change is told once, and tried again after longer and longer times.
    private func reportRefusals(_ now: Instant) {
        let new = (Array(sync.failures.values) + Array(sync.groupFailures.values)).filter { $0.since == now }
        for failure in new.prefix(Self.maximumReports) {
            log.error("ovs.refused", ["change": failure.change.description, "reason": failure.reason])
        }
        if new.count > Self.maximumReports {
            log.error("ovs.refused.more", ["count": "\(new.count - Self.maximumReports)"])
        }
        if !new.isEmpty { failureDelay = Self.shortestRetry }
        armRetry()
    }
    private func armRetry() {
        guard failureTimer == nil else { return }
        failureTimer = loop.schedule(after: failureDelay) { [weak self] in
            guard let self, !self.isClosed else { return }
            self.failureTimer = nil
            self.failureDelay = min(Self.longestRetry, self.failureDelay + self.failureDelay)
            self.perform(self.sync.retry())
        }
    }
    /// Addresses that an earlier evpnd has learned are still there: their flows are.
    private func learn(_ contents: FlowSync.Contents) {
        guard !hasSettled else { return }
        for flow in contents.flows {
            if let address = FlowTables.HeardAddress(flow.key) { handle(.heard(address)) }
        }
    }
    /// Once the bridge has everything that was known, hosts are announced.
    private func settle() {
        // Changes may come without an end: later ones are not waited for.
        guard sync.hasCaughtUp else { return }
        if let holdTimer {
            loop.cancel(holdTimer)
            self.holdTimer = nil
            handle(.forwarding(true))
        }
        if takesOver, mayPrune, sync.isSettled { removeConnectorFlows() }
        hasSettled = true
        tell(heldFacts.take())
    }
    private func scheduleVerification() {
        if let verifyTimer { loop.cancel(verifyTimer) }
        verifyTimer = loop.schedule(after: verifyInterval) { [weak self] in
            guard let self, !self.isClosed else { return }
            self.verifyTimer = nil
            self.perform(self.sync.verify())
            self.scheduleVerification()
        }
        if countTimer == nil { scheduleCount() }
    }
    private func scheduleCount() {
        countTimer = loop.schedule(after: countInterval) { [weak self] in
            guard let self, !self.isClosed else { return }
            self.scheduleCount()
            let (expected, answered) = (self.tables.flowCount, self.sync.sent - self.sync.pendingCount)
            self.link.count { [weak self] flows in
                guard let self else { return }
                self.flowCount = flows
                self.perform(
                    self.sync.counted(flows, expected: expected, changes: self.sync.sent - answered))
            }
        }
    }

    // MARK: What stands in the way

    /// Why nothing can be forwarded now, in the order of the parts that depend on each other; nil: nothing.
    var obstacle: String? {
        if let problem = database.problem { return problem }
        guard let bridgePlan else { return "the database has not been read yet" }
        if let transactionProblem { return transactionProblem }
        guard bridgePlan.isPresent else { return bridgePlan.problems.first ?? "bridge \(bridge.name) is being made" }
        if let problem = link.problem { return problem }
        return bridgePlan.tunnel == nil
            ? bridgePlan.problems.first ?? "port \(configuration.bridge.tunnelPort) has no number yet" : nil
    }
    /// Why nobody can be at a port now: a clause, with a way out where there is one; nil: a client there is served.
    public func obstacle(at attachment: Attachment) -> String? {
        obstacle ?? obstacle(at: attachment.port) ?? tables.obstacle(at: attachment)
    }
    private func obstacle(at port: Attachment.Port) -> String? {
        let known = bridgePlan?.ports ?? [:]
        switch port {
        case .name(let name):
            guard let found = known[name] else {
                return "\(name) is not a port of \(bridge.name): ovs-vsctl add-port \(bridge.name) \(name)"
            }
            if let error = found.error { return "port \(name): \(error)" }
            if found.isDown { return "port \(name) is down or has no carrier" }
            return found.number == nil ? "port \(name) has no number yet" : nil
        case .number(let number):
            guard let (name, found) = known.first(where: { $0.value.number == number }) else {
                return "no port of \(bridge.name) has the number \(number): ovs-ofctl show \(bridge.name)"
            }
            return found.isDown ? "port \(name) is down or has no carrier" : nil
        }
    }
    var hasSettledOnce: Bool { hasSettled }
}
