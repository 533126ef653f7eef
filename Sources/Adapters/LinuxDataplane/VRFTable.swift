// The routes of one IP-VRF: what is wanted, what the kernel has, and what to do next about each. Pure.

import EVPN
import NetTypes
import Netlink

/// A prefix of ours: 16 octets.
struct PrefixRow: Hashable, Sendable {
    /// The index of its set of next hops; 0: not wanted.
    var want: UInt32 = 0
    /// The nexthop object that the kernel's route refers to; 0: there is none.
    var have: UInt32 = 0
    /// The one in the request under way.
    var sent: UInt32 = 0
    var marks: RouteMarks = []
}

/// All routes of ours in one table, and those of others.
///
/// A row has at most one request at the kernel at a time. When its answer comes, or when something else about the row changes, the row
/// is looked at again.
struct VRFTable {
    let vrf: String
    /// Nil: no usable table, or not read yet; rows wait.
    private(set) var binding: VRFBinding?
    /// Changes with every binding, so that late answers are told apart.
    private(set) var generation: UInt32 = 0
    var mayPrune = false
    private(set) var rows: [IPPrefix: PrefixRow] = [:]
    private var queued: [IPPrefix] = []
    var locals = LocalRoutes()
    /// Routes found damaged since the last time this was taken.
    var healed = 0

    init(vrf: String) { self.vrf = vrf }
    var hasQueued: Bool { !queued.isEmpty }
    var isClean: Bool { rows.values.allSatisfy { $0.want == 0 && $0.have == 0 && !$0.marks.contains(.inFlight) } }

    // MARK: Wishes

    /// Sets the wish for a prefix (0: none) and returns the one it had.
    mutating func want(_ prefix: IPPrefix, _ set: UInt32) -> UInt32 {
        guard set != 0 || rows[prefix] != nil else { return 0 }
        var row = rows[prefix] ?? PrefixRow()
        let old = row.want
        row.want = set
        row.marks.subtract([.adopted, .failed, .settled])
        enqueue(prefix, &row)
        rows[prefix] = row
        return old
    }

    // MARK: Queue

    private mutating func enqueue(_ prefix: IPPrefix, _ row: inout PrefixRow) {
        guard !row.marks.contains(.queued) else { return }
        row.marks.insert(.queued)
        queued.append(prefix)
    }
    private mutating func update(_ prefix: IPPrefix, _ body: (inout PrefixRow) -> Void) {
        guard var row = rows[prefix] else { return }
        body(&row)
        enqueue(prefix, &row)
        rows[prefix] = row
    }
    /// Looks again at the rows for which `isDue` holds, those that failed included.
    mutating func enqueue(where isDue: (PrefixRow) -> Bool) {
        for (prefix, row) in rows where isDue(row) { update(prefix) { $0.marks.remove(.failed) } }
    }
    /// Tries again what the kernel refused.
    mutating func enqueueFailed() {
        for (prefix, row) in rows where row.marks.contains(.failed) { update(prefix) { $0.marks.remove(.failed) } }
    }

    // MARK: Binding

    /// The table is gone, or another one: nothing is in the kernel any more as far as we know.
    mutating func unbind() {
        binding = nil
        generation &+= 1
        queued = []
        locals = LocalRoutes()
        rows = rows.filter { $0.value.want != 0 }
        for prefix in Array(rows.keys) { rows[prefix] = rows[prefix].map { PrefixRow(want: $0.want) } }
    }
    /// The table can be programmed, and what it holds has been put in by `observed`.
    mutating func bind(_ binding: VRFBinding) {
        self.binding = binding
        enqueue { _ in true }
    }

    // MARK: Next

    /// Takes up to `limit` operations for the rows that are due, and marks their rows as being at the kernel.
    mutating func takeOperations(limit: Int, _ nexthops: borrowing NexthopTable) -> [RouteOperation] {
        guard let binding else {
            for prefix in queued { rows[prefix]?.marks.remove(.queued) }
            queued = []
            return []
        }
        var operations: [RouteOperation] = []
        operations.reserveCapacity(min(limit, queued.count))
        var taken = 0
        while taken < queued.count, operations.count < limit {
            let prefix = queued[taken]
            taken += 1
            guard let slot = rows.index(forKey: prefix) else { continue }
            var row = rows.values[slot]
            row.marks.remove(.queued)
            if let change = next(prefix, row, binding, nexthops) {
                operations.append(.route(change))
                row.marks.insert(.inFlight)
                row.sent = change.nexthop
            } else if row.want == 0, row.have == 0, !row.marks.contains(.inFlight) {
                rows.remove(at: slot)
                continue
            }
            rows.values[slot] = row
        }
        queued.removeFirst(taken)
        return operations
    }
    /// Everything that is still to be done, sorted, without doing it.
    func pendingOperations(_ nexthops: borrowing NexthopTable) -> [RouteOperation] {
        guard let binding else { return [] }
        var due: [RouteOperation.RouteChange] = []
        for (prefix, var row) in rows {
            row.marks.subtract([.inFlight, .failed])
            if let change = next(prefix, row, binding, nexthops, isPlan: true) { due.append(change) }
        }
        return due.sorted { $0.prefix < $1.prefix }.map { .route($0) }
    }
    private func next(
        _ prefix: IPPrefix, _ row: PrefixRow, _ binding: VRFBinding, _ nexthops: borrowing NexthopTable,
        isPlan: Bool = false
    ) -> RouteOperation.RouteChange? {
        guard row.marks.isDisjoint(with: [.inFlight, .failed]) else { return nil }
        var change = RouteOperation.RouteChange(
            kind: .delete, vrf: vrf, generation: generation, binding: binding, prefix: prefix, nexthop: 0)
        guard row.want != 0, let id = nexthops.number(of: row.want) else {
            if row.have == 0 || row.want == 0 && row.marks.contains(.adopted) && !mayPrune { return nil }
            // It may be just what will be wanted.
            if row.want != 0, nexthops.isUndecided(row.want) { return nil }
            return change
        }
        guard row.have != id, isPlan || nexthops.isReady(id) else { return nil }
        change.nexthop = id
        change.kind = row.have != 0 || row.marks.contains(.occupied) ? .replace : .add
        return change
    }

    // MARK: Answers

    /// The kernel did, or refused, what was asked. The failure that is to be reported for the row, if any.
    mutating func completed(_ change: RouteOperation.RouteChange, _ failure: NetlinkFailure?) -> String? {
        guard change.generation == generation, binding != nil, let slot = rows.index(forKey: change.prefix) else {
            return nil
        }
        var row = rows.values[slot]
        row.marks.remove(.inFlight)
        row.sent = 0
        let wasDisturbed = row.marks.contains(.disturbed)
        row.marks.remove(.disturbed)
        var reason: String?
        switch (change.kind, failure) {
        case (.add, nil), (.replace, nil):
            row.have = wasDisturbed ? 0 : change.nexthop
            row.marks.remove(.occupied)
            row.marks.insert(.settled)
        case (.delete, nil): row.have = 0
        case (.delete, let failure?):
            if failure.isAbsence { row.have = 0 } else { reason = failure.description }
        case (.add, let failure?) where failure.isExistence:
            if let conflict = conflict(change.prefix) {
                reason = conflict
            } else {
                row.marks.insert(.occupied)
            }
        case (.replace, let failure?) where failure.isAbsence:
            // Not there after all; should it not be there for `add` either, that is for later.
            if row.marks.contains(.occupied) { reason = failure.description }
            row.have = 0
            row.marks.remove(.occupied)
        case (_, let failure?): reason = failure.description
        }
        if reason != nil { row.marks.insert(.failed) }
        // Something may have been wished meanwhile; whether anything is left to do is for `takeOperations` to find out.
        enqueue(change.prefix, &row)
        rows.values[slot] = row
        return reason
    }
    /// Who has a route with the prefix and our metric.
    func conflict(_ prefix: IPPrefix) -> String? {
        let metric = (binding ?? .mainTable).metric(isV6: prefix.address.isV6)
        guard let other = locals.routes[prefix]?.first(where: { $0.metric == metric && $0.tos == 0 }) else {
            return locals.isFull ? "conflict: the table has a route with metric \(metric) already" : nil
        }
        return "conflict: a route with metric \(metric) that evpnd did not make (proto \(other.proto))"
    }

    // MARK: Observations

    /// Whether the kernel's route is one of ours, perhaps with a metric of before.
    static func isOurs(_ route: Route) -> Bool {
        route.proto == routeProtocol && nexthopNumbers.contains(route.nexthopID) && route.tos == 0
            && route.type == RouteType.unicast
    }
    /// What the whole table holds of ours, by prefix: the numbers of their nexthop objects. Rows with a request at the kernel will hear
    /// its answer.
    mutating func observed(_ found: [IPPrefix: UInt32]) {
        for (prefix, row) in rows where !row.marks.contains(.inFlight) {
            let have = found[prefix] ?? 0
            guard row.have != have else { continue }
            if row.marks.contains(.settled), row.want != 0 { healed += 1 }
            update(prefix) { row in
                row.have = have
                row.marks.subtract([.settled, .failed])
            }
        }
        for (prefix, id) in found where rows[prefix] == nil { adopt(prefix, id) }
    }
    /// A route with our mark that nobody wants, or not yet.
    private mutating func adopt(_ prefix: IPPrefix, _ have: UInt32) {
        var row = PrefixRow(have: have, marks: .adopted)
        enqueue(prefix, &row)
        rows[prefix] = row
    }
    /// Somebody else made a route of ours another one (0: none).
    mutating func disturbed(_ prefix: IPPrefix, _ have: UInt32) {
        guard let row = rows[prefix] else {
            // A copy of one of ours, as somebody restores it.
            if have != 0 { adopt(prefix, have) }
            return
        }
        if row.marks.contains(.inFlight) {
            rows[prefix]?.marks.insert(.disturbed)
        } else if row.have != have {
            if row.marks.contains(.settled), row.want != 0 { healed += 1 }
            update(prefix) { row in
                row.have = have
                row.marks.remove(.settled)
            }
        }
    }
    /// Nexthop objects are gone, and the routes that referred to them.
    mutating func lost(_ nexthops: Set<UInt32>) {
        for (prefix, row) in rows where nexthops.contains(row.have) || nexthops.contains(row.sent) {
            update(prefix) { row in
                if nexthops.contains(row.have) { row.have = 0 }
                if row.marks.contains(.inFlight) { row.marks.insert(.disturbed) }
            }
        }
    }
    /// A route of somebody else has gone: ours may have its place.
    mutating func madeRoom(_ prefix: IPPrefix) {
        if rows[prefix]?.marks.contains(.failed) == true { update(prefix) { $0.marks.remove(.failed) } }
    }
    mutating func enqueueAdopted() {
        enqueue { $0.marks.contains(.adopted) }
    }
    /// The numbers that routes of the kernel refer to, as far as we know.
    func collectNumbers(into numbers: inout Set<UInt32>) {
        for row in rows.values {
            if row.have != 0 { numbers.insert(row.have) }
            if row.sent != 0 { numbers.insert(row.sent) }
        }
    }
}

extension NetlinkFailure {
    /// Something with that name is there already (EEXIST).
    var isExistence: Bool { code == 17 }
}
