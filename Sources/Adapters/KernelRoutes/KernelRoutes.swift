// The shell between plain unicast routes of BGP and the kernel: addresses of interfaces become advertisements, best paths become
// routes of kernel tables. What is to be done is decided by `ImportedPrefixes` and `ExportTable`; here are the sockets and timers.

public import AsyncIO
import BGP
public import EVPN
import NetTypes
import Netlink
public import Telemetry
public import UnicastRoutes

/// Imports and exports unicast routes of this network namespace. Confined to the loop's thread; without settings it opens nothing.
public final class KernelRoutes {
    /// Called on the loop with networks to announce or to withdraw.
    public var onAdvertisements: (([AdvertisementChange]) -> Void)?
    /// Called on the loop when routes that were announced before are wanted: export of unicast routes, or of a VRF, has begun.
    public var onRoutesNeeded: (() -> Void)?
    /// Why nothing can be imported or exported at all.
    public private(set) var problem: String?

    /// The sockets, and the thread that waits for the kernel.
    final class Kernel {
        let worker = Worker()
        let requests: NetlinkSocket
        let interfaces: NotificationSocket
        let routes: NotificationSocket
        init() throws(NetlinkFailure) {
            // Subscribed before anything is read: what changes in between is told.
            interfaces = try NotificationSocket(.interfaces)
            routes = try NotificationSocket(.routes)
            requests = try NetlinkSocket()
        }
    }

    let loop: EventLoop
    let log: Log
    let stateDirectory: String
    var record: ExportRecord
    private var isRecordBroken = false
    var kernel: Kernel?
    var imported = ImportedPrefixes()
    var table: ExportTable
    var links: [Int32: Link] = [:]
    var addresses: [Int32: Set<InterfaceAddress>] = [:]

    var isPumpScheduled = false
    private var deadlineTimer: (id: TimerID, at: Instant)?
    private var retryTimer: TimerID?
    private var retrySeconds = 5
    private var askTimer: TimerID?
    private var askedAt: Instant?
    private var observeTimer: TimerID?
    private var observedAt: Instant?
    private var tickTimer: TimerID?
    private(set) var isClosed = false
    private var healedTimer: TimerID?
    private var reportedHealed = 0
    private var reportedStrangers: Set<ExportMark> = []

    /// Routes whose refusal is in the log.
    var refusals: Set<KernelRouteKey> = []
    var importErrors = 0
    var addressEvents = 0
    var ticks = 0

    /// Operations in one job of the worker.
    static let operationsPerJob = 2048
    /// What changes next hops comes in bursts.
    private static let quietTime = Duration.milliseconds(100)
    private static let tickInterval = Duration.seconds(5)

    /// `stateDirectory` holds the record of which routes are ours.
    public init(loop: EventLoop, log: Log, metrics: MetricRegistry, stateDirectory: String) {
        self.loop = loop
        self.log = log
        self.stateDirectory = stateDirectory
        record = ExportRecord(stateDirectory: stateDirectory)
        table = ExportTable(inherited: record.marks)
        registerMetrics(metrics)
    }

    // MARK: What the agent asks for

    /// Nil: nothing is imported, or exported; what was is withdrawn, or removed.
    public func configure(importing: NetlinkImport?, exporting: NetlinkExport?) {
        guard !isClosed else { return }
        if kernel == nil, importing != nil || exporting != nil || !record.inherited.isEmpty, !open() { return }
        let sources = table.sources
        table.configure(exporting)
        advertise(imported.configure(importing))
        if tickTimer == nil, importing != nil { tick() }
        if !table.sources.isSubset(of: sources) { onRoutesNeeded?() }
        schedulePump()
    }
    /// Best paths that others announce, as they change.
    public func receive(_ changes: [RouteChange]) {
        guard table.settings != nil, !isClosed else { return }
        table.receive(changes, now: loop.now)
        schedulePump()
    }
    /// Best routes of IP-VRFs, as they change.
    public func receive(_ changes: [ExportChange]) {
        guard !changes.isEmpty, table.settings != nil, !isClosed else { return }
        table.receive(changes, now: loop.now)
        schedulePump()
    }
    /// Routes of an earlier run that nobody has announced again may be removed from now on.
    public func allowPruning() {
        // The last routes may come in the same round, after the word that they are complete.
        loop.afterRound { [weak self] in
            self?.table.synchronize()
            self?.removeAbandoned()
            self?.schedulePump()
        }
    }
    /// Stops observing; routes stay. What is already on its way to the kernel is still done.
    public func close() {
        guard !isClosed else { return }
        isClosed = true
        if let kernel {
            loop.unwatch(kernel.interfaces.descriptor)
            loop.unwatch(kernel.routes.descriptor)
            kernel.worker.stop()
        }
        for timer in [deadlineTimer?.id, retryTimer, askTimer, observeTimer, tickTimer, healedTimer] {
            if let timer { loop.cancel(timer) }
        }
    }

    private func open() -> Bool {
        do throws(NetlinkFailure) {
            let kernel = try Kernel()
            self.kernel = kernel
            loop.watch(kernel.interfaces.descriptor, .readable) { [weak self] _ in self?.readInterfaces() }
            loop.watch(kernel.routes.descriptor, .readable) { [weak self] _ in self?.readRoutes() }
            problem = nil
        } catch {
            problem = "netlink: \(error)"
            log.error("routes.failed", ["reason": "\(error)", "effect": "no unicast route is imported or exported"])
            return false
        }
        readAllInterfaces()
        return true
    }

    private func advertise(_ changes: [AdvertisementChange]) {
        guard !changes.isEmpty else { return }
        for change in changes {
            log.info(
                change.route == nil ? "routes.import.withdrawn" : "routes.import.announced",
                ["prefix": change.key.description])
        }
        table.exclude(Set(imported.announced.keys))
        onAdvertisements?(changes)
        schedulePump()
    }
    /// The mirror of interfaces has changed.
    func interfacesChanged() {
        let observed = links.values.map { link in
            ImportInterface(
                name: link.name, isUp: link.isUp,
                addresses: (addresses[link.interface] ?? []).filter { $0.scope == RouteScope.universe }
                    .compactMap { SubnetAddress($0.ip, length: Int($0.prefixLength)) }.sorted())
        }
        table.setVRFs(
            Dictionary(
                links.values.filter { $0.vrfTable != 0 }
                    .map { ($0.name, VRFDevice(interface: $0.interface, table: $0.vrfTable)) },
                uniquingKeysWith: { first, _ in first }))
        table.setInterfaces(
            Dictionary(
                links.values.filter(\.isUp).map { ($0.name, $0.interface) }, uniquingKeysWith: { first, _ in first }))
        advertise(imported.observe(observed.sorted { $0.name < $1.name }))
        schedulePump()
    }
    /// Shows by a counter that the loop lives, and looks at the interfaces once more.
    private func tick() {
        tickTimer = nil
        guard imported.isEnabled, !isClosed else { return }
        ticks += 1
        interfacesChanged()
        tickTimer = loop.schedule(after: Self.tickInterval) { [weak self] in self?.tick() }
    }

    // MARK: What the table asks for

    func schedulePump() {
        guard !isPumpScheduled, kernel != nil, !isClosed else { return }
        isPumpScheduled = true
        loop.afterRound { [weak self] in
            self?.isPumpScheduled = false
            self?.pump()
        }
    }
    private func pump() {
        guard let kernel, !isClosed else { return }
        let tables = table.takeTablesToObserve()
        if !tables.isEmpty { observe(tables, kernel) }
        let questions = table.takeQuestions()
        if !questions.isEmpty { ask(questions, kernel) }
        // Before anything is put there.
        if !record.update(table.marks), !isRecordBroken {
            isRecordBroken = true
            log.warning(
                "routes.record.failed", ["effect": "evpnd --cleanup will not know the exported routes of this run"])
        }
        while true {
            let operations = table.takeOperations(limit: Self.operationsPerJob)
            if operations.isEmpty { break }
            send(operations, kernel)
        }
        reportHealedSoon()
        for mark in table.strangers.keys.sorted() where reportedStrangers.insert(mark).inserted {
            log.warning(
                "routes.foreign",
                [
                    "of": mark.description, "prefix": table.strangers[mark].map { "\($0)" } ?? "",
                    "effect": "they stay, but a later run of evpnd takes them for its own",
                    "action": "give netlinkExport another routeProtocol, or remove them",
                ])
        }
        armDeadline()
    }
    /// The kernel tells of a table that somebody has emptied bit by bit: that is one report.
    private func reportHealedSoon() {
        guard healedTimer == nil, table.statistics.healed > reportedHealed else { return }
        healedTimer = loop.schedule(after: .seconds(1)) { [weak self] in
            guard let self else { return }
            healedTimer = nil
            log.warning("routes.healed", ["routes": "\(table.statistics.healed - reportedHealed)"])
            reportedHealed = table.statistics.healed
        }
    }
    private func armDeadline() {
        let next = table.nextDeadline
        if deadlineTimer?.at == next { return }
        if let timer = deadlineTimer { loop.cancel(timer.id) }
        deadlineTimer = next.map { instant in
            let id = loop.schedule(at: instant) { [weak self] in
                guard let self else { return }
                deadlineTimer = nil
                table.handleDeadlines(now: loop.now)
                schedulePump()
            }
            return (id, instant)
        }
    }
    func scheduleRetry() {
        guard retryTimer == nil, !isClosed else { return }
        retryTimer = loop.schedule(after: .seconds(retrySeconds)) { [weak self] in
            guard let self else { return }
            retryTimer = nil
            guard table.hasFailures else { return retrySeconds = 5 }
            retrySeconds = min(60, retrySeconds * 2)
            table.retryFailed()
            schedulePump()
        }
    }
    /// Something has happened that may change how next hops are reached. Many next hops are asked for less often.
    func askAgainSoon() {
        guard askTimer == nil, table.settings != nil, !isClosed else { return }
        let pause = max(Duration.milliseconds(500), .microseconds(50) * table.questionCount)
        let earliest = askedAt.map { $0 + pause } ?? loop.now
        askTimer = loop.schedule(at: max(earliest, loop.now + Self.quietTime)) { [weak self] in
            guard let self, let kernel else { return }
            askTimer = nil
            askedAt = loop.now
            ask(table.allQuestions, kernel)
        }
    }
    /// Something has happened that removes routes without a word: an interface that goes down, an address that goes.
    func observeAgainSoon() {
        guard observeTimer == nil, table.settings != nil, !isClosed else { return }
        let earliest = observedAt.map { $0 + .seconds(1) } ?? loop.now
        observeTimer = loop.schedule(at: max(earliest, loop.now + Self.quietTime)) { [weak self] in
            guard let self else { return }
            observeTimer = nil
            observedAt = loop.now
            table.observeAgain()
            schedulePump()
        }
    }
}

/// Carries the shell through the worker's thread, which never looks at it.
struct OnLoop: @unchecked Sendable {
    private weak var routes: KernelRoutes?
    init(_ routes: KernelRoutes) { self.routes = routes }
    /// Only to be called on the loop.
    func callAsFunction(_ body: (KernelRoutes) -> Void) { if let routes, !routes.isClosed { body(routes) } }
}
