// The export table as operators see it.

public import EVPN
public import NetTypes

extension ExportTable {
    /// One route in one table.
    public struct Entry: Sendable {
        public var key: KernelRouteKey
        /// The name of the rule; nil: nobody asks for the route any more.
        public var rule: String?
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
        return Entry(
            key: KernelRouteKey(table: place.table, prefix: prefix, metric: place.metric),
            rule: isAsked && rules.indices.contains(row.rule) ? rules[row.rule].name : nil,
            nexthops: paths[prefix]?.nexthops ?? [], route: row.want ?? row.have, status: status(row))
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
            problems[rule.name] = "there is no VRF device \(rule.vrf ?? "")"
        }
        return problems
    }
}
