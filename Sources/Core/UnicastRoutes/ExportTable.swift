// Best unicast routes, and those of IP-VRFs, on their way into kernel tables: what the rules make of them, what the kernel has, and what to ask it next.
// Pure: routes, answers and observations go in, questions and operations come out.
//
//     route changes -> dampening -> rules -> next hops -> rows: wanted, in the kernel -> operations
//
// A row has at most one request at the kernel at a time. When its answer comes, or when something else about it changes, the row is
// looked at again; so requests for a row never overtake each other.

import BGP
public import EVPN
public import NetTypes

/// All routes of the export rules.
public struct ExportTable: Sendable {
    /// Next hops that one kernel route has at most.
    public static let maximumPaths = 64
    /// Why the kernel has refused a route whose place is taken.
    static let occupied = "somebody else has a route to the prefix with this metric in the table"
    /// Next hops of routes that lie behind other exported routes are followed this far.
    static let maximumDepth = 8

    public private(set) var settings: NetlinkExport?
    /// Of the settings before those of now.
    public private(set) var lastProtocol: UInt8?
    public internal(set) var statistics = Statistics()
    /// Whether routes that nobody asks for may be removed.
    public private(set) var mayPrune = false

    /// By the VRF whose they are, which is "" for unicast routes.
    var paths: [PrefixKey: Path] = [:]
    /// The IP-VRFs that rules take routes of; "": unicast routes.
    public private(set) var sources: Set<String> = []
    /// Announced by this host, and therefore never exported.
    private var excluded: Set<IPPrefix> = []
    private(set) var vrfs: [String: VRFDevice] = [:]
    /// Interfaces that are up, by name.
    private(set) var interfaces: [String: Int32] = [:]
    /// Rules by place, in the order of the configuration.
    private(set) var rules: [Place: [Int]] = [:]
    /// Places with rules or rows, sorted.
    private(set) var places: [Place] = []
    var tables: [Place: [IPPrefix: Row]] = [:]
    private var queue: [KernelRouteKey] = []
    private var queueHead = 0

    private var observedTables: Set<UInt32> = []
    private var requestedTables: Set<UInt32> = []
    private var tablesToObserve: Set<UInt32> = []
    /// Rows that notifications have told of since their table was asked for.
    private var touched: Set<KernelRouteKey> = []

    /// Routes whose changes are being collected, the oldest first.
    private var dampened: [(due: Instant, key: PrefixKey)] = []
    private var dampenedHead = 0
    private var isDampened: Set<PrefixKey> = []

    var answers: [NexthopQuery: NexthopAnswer] = [:]
    /// Prefixes by address that has to be resolved for them.
    private var dependents: [IPAddress: Set<PrefixKey>] = [:]
    /// Prefixes by interface that a link-local next hop of theirs is on, or that they are handed to.
    private var linked: [String: Set<PrefixKey>] = [:]
    private var questions: Set<NexthopQuery> = []
    /// Where rules look for next hops: nil, and names of VRF devices.
    private var contexts: Set<String?> = []
    private var needsNeighbors = false

    /// Tables and protocol numbers whose routes at start are those of an earlier run.
    private let inherited: Set<ExportMark>
    /// Routes with our protocol number that somebody else must have made, as nothing says that we did: where, and the first of each.
    public private(set) var strangers: [ExportMark: IPPrefix] = [:]

    /// `inherited`: what earlier runs have recorded as their own.
    public init(inherited: Set<ExportMark> = []) { self.inherited = inherited }

    // MARK: What is asked for

    /// Nil: nothing is exported, and what was is removed.
    public mutating func configure(_ new: NetlinkExport?) {
        guard new != settings else { return }
        if let settings { lastProtocol = settings.routeProtocol }
        settings = new
        if new == nil {
            paths = [:]
            dependents = [:]
            linked = [:]
            answers = [:]
            questions = []
            (dampened, dampenedHead, isDampened) = ([], 0, [])
        }
        place()
    }
    /// All VRF devices of the host.
    public mutating func setVRFs(_ new: [String: VRFDevice]) {
        let old = vrfs
        guard new != old else { return }
        vrfs = new
        place()
        // What was not reachable without the device may be now.
        for context in contexts {
            guard let name = context, old[name] != new[name] else { continue }
            for address in dependents.keys { questions.insert(NexthopQuery(address, vrf: name)) }
        }
    }
    /// All interfaces of the host that are up, by name: link-local next hops are on them.
    public mutating func setInterfaces(_ new: [String: Int32]) {
        let old = interfaces
        guard new != old else { return }
        interfaces = new
        var affected: Set<PrefixKey> = []
        for (name, prefixes) in linked where old[name] != new[name] { affected.formUnion(prefixes) }
        if !affected.isEmpty { evaluateWithDependents(affected) }
    }
    /// All prefixes that this host announces itself.
    public mutating func exclude(_ prefixes: Set<IPPrefix>) {
        let changed = prefixes.symmetricDifference(excluded)
        excluded = prefixes
        for prefix in changed.sorted() where paths[ExportTable.unicast(prefix)] != nil { evaluate(prefix) }
    }
    static func unicast(_ prefix: IPPrefix) -> PrefixKey { PrefixKey(vrf: "", prefix: prefix) }

    /// Finds the table of each rule, and looks at every route again.
    private mutating func place() {
        sources = Set((settings?.rules ?? []).map { $0.source ?? "" })
        for (key, path) in paths where !sources.contains(key.vrf) {
            paths[key] = nil
            depend(key, old: path)
        }
        rules = [:]
        contexts = []
        needsNeighbors = false
        for (index, rule) in (settings?.rules ?? []).enumerated() {
            // VTEPs are reached by the host's own table.
            contexts.insert(rule.source == nil ? rule.vrf : nil)
            if !rule.validatesNexthop, rule.source == nil { needsNeighbors = true }
            guard let table = table(of: rule) else { continue }
            rules[Place(table: table, metric: rule.metric), default: []].append(index)
        }
        answers = answers.filter { contexts.contains($0.key.vrf) }
        questions = questions.filter { contexts.contains($0.vrf) }
        tables = tables.filter { rules[$0.key] != nil || !$0.value.isEmpty }
        for place in rules.keys where tables[place] == nil { tables[place] = [:] }
        places = tables.keys.sorted()
        observedTables.formIntersection(places.map(\.table))
        for place in places where !observedTables.contains(place.table) { observe(place.table) }
        for key in paths.keys { depend(key, old: nil) }
        for place in places {
            for prefix in Set((tables[place] ?? [:]).keys).union(paths.keys.map(\.prefix)).sorted() {
                evaluate(prefix, at: place)
            }
        }
    }
    /// Where the routes of a rule go; nil while its VRF device is missing, and for a VRF's own table, where they are anyway.
    public func table(of rule: NetlinkExport.Rule) -> UInt32? {
        let table = rule.table ?? rule.vrf.map { vrfs[$0]?.table } ?? NetlinkExport.mainTable
        if let source = rule.source, vrfs[source]?.table == table { return nil }
        return table
    }

    func hasRules(_ place: Place) -> Bool { rules[place] != nil }

    /// Changes of best paths; those of other families are ignored.
    public mutating func receive(_ changes: [RouteChange], now: Instant) {
        guard sources.contains("") else { return }
        for change in changes where change.key.family != .l2vpnEVPN {
            guard let prefix = change.key.prefix else { continue }
            set(ExportTable.unicast(prefix), change.path.flatMap { Path($0) }, now: now)
        }
    }
    /// Changes of the best routes of IP-VRFs.
    public mutating func receive(_ changes: [ExportChange], now: Instant) {
        for change in changes where sources.contains(change.key.vrf) {
            set(change.key, change.prefix.map { Path($0, of: change.key.vrf) }, now: now)
        }
    }
    private mutating func set(_ key: PrefixKey, _ new: Path?, now: Instant) {
        let old = paths[key]
        guard let settings, old != new else { return }
        paths[key] = new
        depend(key, old: old)
        if isDampened.insert(key).inserted {
            dampened.append((now + settings.dampening, key))
        } else {
            statistics.dampened += 1
        }
    }
    public var nextDeadline: Instant? { dampenedHead < dampened.count ? dampened[dampenedHead].due : nil }
    /// Looks at routes whose changes have been collected for long enough.
    public mutating func handleDeadlines(now: Instant) { release { $0 <= now } }
    private mutating func release(_ isDue: (Instant) -> Bool) {
        while dampenedHead < dampened.count, isDue(dampened[dampenedHead].due) {
            let key = dampened[dampenedHead].key
            dampenedHead += 1
            isDampened.remove(key)
            evaluate(key.prefix)
        }
        if dampenedHead == dampened.count {
            dampened.removeAll(keepingCapacity: dampened.count < 1 << 14)
            dampenedHead = 0
        }
    }
    /// The routes of all neighbors are here: what was found in the kernel and nobody announces goes.
    public mutating func synchronize() {
        guard !mayPrune else { return }
        release { _ in true }
        mayPrune = true
        enqueueAll()
    }

    // MARK: Next hops

    private mutating func depend(_ key: PrefixKey, old: Path?) {
        let path = paths[key]
        let wanted = path?.queried(withNeighbor: needsNeighbors) ?? []
        let interfaces = path?.interfaces ?? []
        for name in interfaces { linked[name, default: []].insert(key) }
        for address in wanted {
            dependents[address, default: []].insert(key)
            for context in contexts {
                let query = NexthopQuery(address, vrf: context)
                if answers[query] == nil { questions.insert(query) }
            }
        }
        guard let old else { return }
        for name in old.interfaces.subtracting(interfaces) {
            linked[name]?.remove(key)
            if linked[name]?.isEmpty == true { linked[name] = nil }
        }
        for address in old.queried(withNeighbor: true).subtracting(wanted) {
            guard dependents[address]?.remove(key) != nil, dependents[address]?.isEmpty == true else { continue }
            dependents[address] = nil
            for context in contexts {
                answers[NexthopQuery(address, vrf: context)] = nil
                questions.remove(NexthopQuery(address, vrf: context))
            }
        }
    }
    /// Questions that have not been asked yet, sorted.
    public mutating func takeQuestions() -> [NexthopQuery] {
        defer { questions = [] }
        return questions.sorted()
    }
    /// How many `allQuestions` has.
    public var questionCount: Int { dependents.count * contexts.count }
    /// Everything that was ever asked for and still matters, sorted: to be asked again when routes of the host have changed.
    public var allQuestions: [NexthopQuery] {
        dependents.keys.flatMap { address in contexts.map { NexthopQuery(address, vrf: $0) } }.sorted()
    }
    public mutating func answer(_ new: [(query: NexthopQuery, answer: NexthopAnswer)]) {
        var affected: Set<PrefixKey> = []
        var hasChanged = false
        for (query, answer) in new where dependents[query.address] != nil {
            statistics.validations += 1
            if answer == .unreachable { statistics.validationFailures += 1 }
            guard answers.updateValue(answer, forKey: query) != answer else { continue }
            hasChanged = true
            affected.formUnion(dependents[query.address] ?? [])
        }
        guard hasChanged else { return }
        evaluateWithDependents(affected)
    }
    /// Routes that lie behind exported ones follow these.
    private mutating func evaluateWithDependents(_ prefixes: Set<PrefixKey>) {
        var affected = prefixes
        for (query, answer) in answers {
            if case .reachable(_, _, true) = answer { affected.formUnion(dependents[query.address] ?? []) }
        }
        for key in affected.sorted() where !isDampened.contains(key) { evaluate(key.prefix) }
    }

    // MARK: The kernel

    /// What the kernel has may have changed without notice: everything is to be read again.
    public mutating func observeAgain() { for table in Set(places.map(\.table)) { observe(table) } }
    private mutating func observe(_ table: UInt32) { tablesToObserve.insert(table) }
    /// Tables to be read now, all routes with the protocol number of the settings.
    public mutating func takeTablesToObserve() -> [UInt32] {
        let tables = tablesToObserve.subtracting(requestedTables).sorted()
        tablesToObserve.subtract(tables)
        requestedTables.formUnion(tables)
        touched = touched.filter { !tables.contains($0.table) }
        return tables
    }
    /// All routes of ours in a table; nil: it could not be read, which is to be tried again.
    public mutating func observed(_ table: UInt32, _ routes: [KernelRouteKey: KernelRoute]?) {
        requestedTables.remove(table)
        guard let routes else { return observe(table) }
        let isFirst = observedTables.insert(table).inserted
        for place in places where place.table == table {
            for (prefix, row) in tables[place] ?? [:] where row.have != nil && row.inFlight == nil {
                let key = KernelRouteKey(table: table, prefix: prefix, metric: place.metric)
                if routes[key] == nil, !touched.contains(key) { set(key, nil) }
            }
        }
        for (key, route) in routes where key.table == table && !touched.contains(key) {
            set(key, route, isFound: isFirst)
        }
        touched = touched.filter { $0.table != table }
        enqueueAll(table)
    }
    /// Somebody else has set or (nil) removed a route with our protocol number.
    public mutating func notified(_ key: KernelRouteKey, _ route: KernelRoute?) {
        guard observes(key.table) else { return }
        if requestedTables.contains(key.table) { touched.insert(key) }
        let place = Place(table: key.table, metric: key.metric)
        if tables[place]?[key.prefix]?.inFlight != nil {
            // Before or after our own request: only reading tells.
            return observe(key.table)
        }
        set(key, route)
        if let row = tables[place]?[key.prefix], row.want != nil, row.want != row.have { statistics.healed += 1 }
        enqueue(key)
    }
    /// Somebody else has set a route with a key of ours, perhaps in place of ours, or has removed his own.
    public mutating func notifiedForeign(_ key: KernelRouteKey) {
        guard observes(key.table), tables[Place(table: key.table, metric: key.metric)]?[key.prefix] != nil else {
            return
        }
        update(key) { $0.failure = nil }
        observe(key.table)
    }
    public func observes(_ table: UInt32) -> Bool { places.contains { $0.table == table } }

    private mutating func set(_ key: KernelRouteKey, _ route: KernelRoute?, isFound: Bool = false) {
        let place = Place(table: key.table, metric: key.metric)
        guard var row = tables[place]?[key.prefix] ?? (route == nil ? nil : Row()), row.inFlight == nil else { return }
        let mark = ExportMark(table: key.table, proto: route?.proto ?? 0)
        guard row.have != nil || route == nil || inherited.contains(mark) else {
            if strangers[mark] == nil { strangers[mark] = key.prefix }
            return
        }
        if isFound, route != nil {
            if row.want == nil { row.isAdopted = true } else if row.have == nil { statistics.sweptKept += 1 }
        }
        row.have = route
        if route != nil { row.failure = nil }
        if tables[place] == nil {
            tables[place] = [:]
            places = tables.keys.sorted()
        }
        tables[place]?[key.prefix] = row
    }

    // MARK: Rows

    private mutating func enqueue(_ key: KernelRouteKey) { update(key) { _ in } }
    private mutating func enqueueAll(_ table: UInt32? = nil) {
        for place in places where table == nil || place.table == table {
            for prefix in (tables[place] ?? [:]).keys.sorted() {
                enqueue(KernelRouteKey(table: place.table, prefix: prefix, metric: place.metric))
            }
        }
    }
    /// Changes an existing row and looks at it again.
    private mutating func update(_ key: KernelRouteKey, _ body: (inout Row) -> Void) {
        let place = Place(table: key.table, metric: key.metric)
        guard var row = tables[place]?[key.prefix] else { return }
        body(&row)
        if !row.isQueued {
            row.isQueued = true
            queue.append(key)
        }
        tables[place]?[key.prefix] = row
    }
    /// Tries again what the kernel refused.
    public mutating func retryFailed() {
        for place in places {
            for (prefix, row) in tables[place] ?? [:] where row.failure != nil {
                update(KernelRouteKey(table: place.table, prefix: prefix, metric: place.metric)) { $0.failure = nil }
            }
        }
    }

    private mutating func evaluate(_ prefix: IPPrefix) { for place in places { evaluate(prefix, at: place) } }
    private mutating func evaluate(_ prefix: IPPrefix, at place: Place) {
        let (rule, decision) = decide(prefix, place)
        var row = tables[place]?[prefix] ?? Row()
        row.reason = nil
        row.isUndecided = false
        let old = row.want
        switch decision {
        case .nothing: row.want = nil
        case .undecided: row.isUndecided = true
        case .waiting(let reason):
            row.want = nil
            row.reason = reason
        case .route(let route):
            row.want = route
            if row.isAdopted {
                row.isAdopted = false
                statistics.sweptKept += 1
            }
        }
        row.rule = rule
        if row.want != old { row.failure = nil }
        guard !row.isUnused || tables[place]?[prefix] != nil else { return }
        tables[place]?[prefix] = row
        enqueue(KernelRouteKey(table: place.table, prefix: prefix, metric: place.metric))
    }

    private enum Decision {
        case nothing
        case undecided
        case waiting(String)
        case route(KernelRoute)
    }
    /// What the first rule that matches makes of a route.
    private func decide(_ prefix: IPPrefix, _ place: Place) -> (rule: Int, Decision) {
        guard let settings else { return (0, .nothing) }
        var found: (index: Int, path: Path)?
        for index in rules[place] ?? [] {
            let rule = settings.rules[index]
            guard rule.source != nil || !excluded.contains(prefix),
                let path = paths[PrefixKey(vrf: rule.source ?? "", prefix: prefix)], rule.matches(path)
            else { continue }
            found = (index, path)
            break
        }
        guard let (index, path) = found else { return (0, .nothing) }
        let rule = settings.rules[index]
        let resolution =
            if let device = path.device {
                handOver(path, to: device, in: place.table, isValidated: rule.validatesNexthop)
            } else {
                rule.validatesNexthop ? reach(prefix, path, rule.vrf) : assume(path, rule.vrf)
            }
        switch resolution {
        case .undecided: return (index, .undecided)
        case .unreachable(let reason): return (index, .waiting(reason))
        case .ways(let ways):
            let sorted = Set(ways).sorted().prefix(ExportTable.maximumPaths)
            return (index, .route(KernelRoute(proto: settings.routeProtocol, nexthops: Array(sorted))))
        }
    }

    /// Takes up to `limit` operations for rows that are due, and marks their rows as being at the kernel.
    public mutating func takeOperations(limit: Int) -> [KernelRouteOperation] {
        var operations: [KernelRouteOperation] = []
        while queueHead < queue.count, operations.count < limit {
            let key = queue[queueHead]
            queueHead += 1
            let place = Place(table: key.table, metric: key.metric)
            guard var row = tables[place]?[key.prefix] else { continue }
            row.isQueued = false
            if let action = next(row, key.table) {
                row.inFlight = action
                operations.append(KernelRouteOperation(action, key))
            } else if row.isUnused {
                tables[place]?[key.prefix] = nil
                continue
            }
            tables[place]?[key.prefix] = row
        }
        if queueHead == queue.count {
            queue.removeAll(keepingCapacity: queue.count < 1 << 14)
            queueHead = 0
        }
        return operations
    }
    func next(_ row: Row, _ table: UInt32) -> KernelRouteOperation.Action? {
        guard observedTables.contains(table), row.inFlight == nil, row.failure == nil,
            !row.isUndecided, row.want != row.have
        else { return nil }
        if let want = row.want { return row.have == nil ? .add(want) : .replace(want) }
        guard let have = row.have, !row.isAdopted || mayPrune else { return nil }
        return .remove(proto: have.proto)
    }
    /// Answers to operations.
    public mutating func completed(
        _ results: [(operation: KernelRouteOperation, outcome: KernelRouteOutcome)], now: Instant
    ) {
        for (operation, outcome) in results {
            let key = operation.key
            guard tables[Place(table: key.table, metric: key.metric)]?[key.prefix]?.inFlight == operation.action else {
                continue
            }
            var statistics = statistics
            update(key) { row in
                row.inFlight = nil
                switch (operation.action, outcome) {
                case (.add(let route), .done), (.replace(let route), .done):
                    if row.have == nil { statistics.exported += 1 }
                    row.have = route
                case (.remove, .done), (.remove, .absent):
                    if row.isAdopted { statistics.sweptDeleted += 1 } else { statistics.withdrawn += 1 }
                    row.have = nil
                    row.isAdopted = false
                case (_, .exists):
                    row.failure = (ExportTable.occupied, now)
                case (_, .absent):
                    row.have = nil
                case (_, .refused(let reason)):
                    statistics.errors += 1
                    row.failure = (reason, now)
                }
            }
            self.statistics = statistics
        }
    }
}
