// The export table as operators see it.

public import EVPN
public import NetTypes

extension ExportTable {
    /// One route in one table.
    public struct Entry: Sendable {
        public var key: KernelRouteKey
        /// The name of the rule; nil: nobody asks for the route any more.
        public var rule: String?
        /// The IP-VRF whose route it is; nil: it is a plain unicast route, or nobody asks for it any more.
        public var source: String?
        /// As announced.
        public var nexthops: [ScopedAddress]
        /// As the kernel has it or is to have it.
        public var route: KernelRoute?
        public var status: EntryStatus
    }
    /// How many rows there are of each kind.
    public struct Counts: Equatable, Sendable {
        public var installed = 0
        public var pending = 0
        public var waiting = 0
        public var failed = 0
    }

    /// All rows, sorted by table, prefix and metric.
    public var entries: [Entry] {
        places.flatMap { place in
            (tables[place] ?? [:]).compactMap { prefix, row in entry(place, prefix, row) }
        }.sorted { $0.key < $1.key }
    }
    /// Those of one prefix.
    public func entries(of prefix: IPPrefix) -> [Entry] {
        places.compactMap { place in tables[place]?[prefix].flatMap { entry(place, prefix, $0) } }
            .sorted { $0.key < $1.key }
    }
    /// The first `limit` ones that the kernel has refused.
    public func refused(limit: Int) -> [Entry] {
        let found = places.flatMap { place in
            (tables[place] ?? [:]).compactMap { prefix, row in
                row.failure == nil ? nil : entry(place, prefix, row)
            }
        }
        return Array(found.sorted { $0.key < $1.key }.prefix(limit))
    }
    private func entry(_ place: Place, _ prefix: IPPrefix, _ row: Row) -> Entry? {
        guard !row.isUnused else { return nil }
        let isAsked = row.want != nil || row.reason != nil || row.isUndecided
        let rules = settings?.rules ?? []
        let rule = isAsked && rules.indices.contains(row.rule) ? rules[row.rule] : nil
        let path = paths[PrefixKey(vrf: rule?.source ?? "", prefix: prefix)]
        return Entry(
            key: KernelRouteKey(table: place.table, prefix: prefix, metric: place.metric), rule: rule?.name,
            source: rule?.source, nexthops: path?.nexthops ?? [], route: row.want ?? row.have, status: status(row))
    }
    public var counts: Counts {
        var counts = Counts()
        for row in tables.values.joined().map(\.value) where !row.isUnused {
            switch status(row) {
            case .done: counts.installed += 1
            case .pending, .absent: counts.pending += 1
            case .waiting: counts.waiting += 1
            case .failed: counts.failed += 1
            }
        }
        return counts
    }
    private func status(_ row: Row) -> EntryStatus {
        if let failure = row.failure { return .failed(reason: failure.reason, since: failure.since) }
        if let reason = row.reason { return .waiting(reason: reason) }
        if row.isUndecided, row.have == nil { return .waiting(reason: "looking up the next hop") }
        if row.isAdopted { return .waiting(reason: "found at start; goes unless announced again") }
        return row.want == row.have || row.isUndecided ? .done : .pending
    }
    /// What rules wait for, by the name of the rule.
    public var ruleProblems: [String: String] {
        var problems: [String: String] = [:]
        for rule in settings?.rules ?? [] where table(of: rule) == nil {
            let isItself = rule.source.map { rule.table != nil || vrfs[$0] != nil && $0 == rule.vrf } == true
            problems[rule.name] =
                isItself
                ? "that is the table of VRF \(rule.source ?? "") itself, where its routes are in any case"
                : "there is no VRF device \(rule.vrf ?? "")"
        }
        for place in places { tellLosers(at: place, &problems) }
        return problems
    }
    /// Rules whose routes have to stay away because an earlier rule has one to the same prefix, from elsewhere, in the same place.
    private func tellLosers(at place: Place, _ problems: inout [String: String]) {
        guard let settings, let indices = rules[place], Set(indices.map { settings.rules[$0].source }).count > 1 else {
            return
        }
        for (prefix, row) in (tables[place] ?? [:]).sorted(by: { $0.key < $1.key })
        where (row.want != nil || row.reason != nil) && settings.rules.indices.contains(row.rule) {
            let winner = settings.rules[row.rule]
            for index in indices where index > row.rule {
                let rule = settings.rules[index]
                guard rule.source != winner.source, problems[rule.name] == nil,
                    let path = paths[PrefixKey(vrf: rule.source ?? "", prefix: prefix)], rule.matches(path)
                else { continue }
                problems[rule.name] =
                    "\(prefix) stays out of table \(place.table): there it is the same prefix and metric by rule \(winner.name)"
            }
        }
    }

    // MARK: Plans

    /// Everything that is still to be done, sorted, without doing it.
    public var pendingOperations: [KernelRouteOperation] {
        places.flatMap { place in
            (tables[place] ?? [:]).compactMap { prefix, row -> KernelRouteOperation? in
                // Where somebody else's route is nothing would be done.
                guard row.failure?.reason != ExportTable.occupied else { return nil }
                var row = row
                row.inFlight = nil
                row.failure = nil
                return next(row, place.table).map {
                    KernelRouteOperation($0, KernelRouteKey(table: place.table, prefix: prefix, metric: place.metric))
                }
            }.sorted { $0.key < $1.key }
        }
    }
    /// What removes everything of ours, sorted.
    public var removals: [KernelRouteOperation] {
        places.flatMap { place in
            (tables[place] ?? [:]).compactMap { prefix, row in
                (row.have ?? row.want).map {
                    KernelRouteOperation(
                        .remove(proto: $0.proto),
                        KernelRouteKey(table: place.table, prefix: prefix, metric: place.metric))
                }
            }.sorted { $0.key < $1.key }
        }
    }
}
