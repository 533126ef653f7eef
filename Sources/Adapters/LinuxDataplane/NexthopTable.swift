// Nexthop objects: which of them routes need, which the kernel has, and what to do about the difference. Pure.

import EVPN
import NetTypes
import Netlink

/// All nexthop objects of ours in one network namespace.
///
/// Routes refer to sets of next hops, by their index; equal sets are one. A next hop is one object, a set of several a group of them.
/// An object keeps its number when its device becomes another one, and a group when its members do: one request, and the routes follow.
struct NexthopTable {
    struct Object: Hashable, Sendable {
        /// Nil: nobody needs it, or it is not possible now.
        var want: NexthopContent?
        var have: NexthopContent?
        var sent: NexthopContent?
        var marks: RouteMarks = []
        var failure = ""
    }
    private struct Way {
        /// 0: not possible so far.
        var id: UInt32 = 0
        /// Why it is not possible.
        var reason: String?
        /// It is not known yet whether it is: what the kernel has of it stays.
        var isUndecided = false
        /// Sets that have it.
        var users = 0
    }
    private struct Members: Hashable { var ways: [NexthopWay] }
    private struct Set {
        var members: Members
        /// Of the group; 0: none, or not possible so far. A set of one has its way's.
        var id: UInt32 = 0
        /// There was none left for it.
        var hasNoNumber = false
        /// Rows that want it.
        var users = 0
    }
    private(set) var objects: [UInt32: Object] = [:]
    private var ways: [NexthopWay: Way] = [:]
    /// By index; 0 is no set.
    private var sets: [Set?] = [nil]
    private var indices: [Members: UInt32] = [:]
    private var freeSets: [UInt32] = []
    /// The set that was used last.
    private var last: (nexthops: [RoutedNexthop], isV6: Bool, index: UInt32)?
    /// Numbers in our range that somebody else uses.
    private var foreign: Swift.Set<UInt32> = []
    /// Found in the kernel, by what they say.
    private var adopted: [NexthopContent: UInt32] = [:]
    /// Free to be taken.
    private let numbers: Range<UInt32>
    private var lastNumber: UInt32
    private var queued: [UInt32] = []
    /// Numbers of objects that became possible, or impossible, since the last time this was taken: their routes are to be looked at.
    private var changed: Swift.Set<UInt32> = []
    /// Next hops turned out to be impossible before they had a number.
    private var hasGivenUp = false
    /// Next hops wait for a number to become free.
    private(set) var lacksNumbers = false
    /// There may be objects that nothing needs: `sweep`.
    private(set) var hasUnused = false
    /// Nothing needs objects to which routes of the kernel referred at the last `sweep`: it is due again once those have changed.
    private(set) var awaitsRoutes = false
    /// Objects found damaged since the last time this was taken.
    var healed = 0

    var hasQueued: Bool { !queued.isEmpty }

    init(numbers: Range<UInt32> = nexthopNumbers) {
        self.numbers = numbers
        lastNumber = numbers.lowerBound
    }

    // MARK: Sets

    /// The index of a set of next hops, which gets one more user. `resolve` says what a way is in the kernel now, or why it is nothing.
    mutating func use(
        _ nexthops: [RoutedNexthop], isV6: Bool, _ resolve: (NexthopWay) -> Result<NexthopContent, Waiting>
    ) -> UInt32 {
        // Many prefixes in a row have the same.
        if let last, last.isV6 == isV6, last.nexthops == nexthops, sets[Int(last.index)] != nil {
            sets[Int(last.index)]?.users += 1
            return last.index
        }
        let index = use(nexthops.map { NexthopWay($0, isV6: isV6) }, resolve)
        if index != 0 { last = (nexthops, isV6, index) }
        return index
    }
    mutating func use(_ list: [NexthopWay], _ resolve: (NexthopWay) -> Result<NexthopContent, Waiting>) -> UInt32 {
        let members = Members(ways: Swift.Set(list).sorted())
        guard !members.ways.isEmpty else { return 0 }
        if let index = indices[members] {
            sets[Int(index)]?.users += 1
            return index
        }
        for way in members.ways {
            if ways[way] == nil {
                ways[way] = Way()
                update(way, resolve(way))
            }
            ways[way]?.users += 1
        }
        let index = freeSets.popLast() ?? UInt32(truncatingIfNeeded: sets.count)
        if index == sets.count { sets.append(nil) }
        sets[Int(index)] = Set(members: members, users: 1)
        indices[members] = index
        updateGroup(index)
        return index
    }
    /// One user less. The set and its objects go with `sweep`.
    mutating func release(_ index: UInt32) {
        guard index != 0, index < sets.count, sets[Int(index)] != nil else { return }
        sets[Int(index)]?.users -= 1
        if sets[Int(index)]?.users == 0 { hasUnused = true }
    }
    func nexthops(of index: UInt32) -> [RoutedNexthop] {
        var nexthops: [RoutedNexthop] = []
        // Those of a route of the underlay are one, and are side by side.
        for way in ways(of: index) where nexthops.last != way.nexthop { nexthops.append(way.nexthop) }
        return nexthops
    }
    func ways(of index: UInt32) -> [NexthopWay] {
        (index < sets.count ? sets[Int(index)] : nil)?.members.ways ?? []
    }
    /// The number that routes with this set refer to; nil: not possible now.
    func number(of index: UInt32) -> UInt32? {
        guard let id = anyNumber(of: index), let object = objects[id], object.want != nil else { return nil }
        return id
    }
    private func anyNumber(of index: UInt32) -> UInt32? {
        guard index < sets.count, let set = sets[Int(index)] else { return nil }
        let id = set.members.ways.count == 1 ? ways[set.members.ways[0]]?.id ?? 0 : set.id
        return id == 0 ? nil : id
    }
    /// Whether routes may refer to the object: the kernel has it, or will have before them.
    func isReady(_ id: UInt32) -> Bool {
        guard let object = objects[id], let want = object.want else { return false }
        return object.have != nil && !object.marks.contains(.failed) || object.have == want || object.sent == want
    }
    /// The kernel has it as wanted.
    func isPresent(_ id: UInt32) -> Bool { objects[id].map { $0.want != nil && $0.have == $0.want } ?? false }
    /// Why the kernel refused an object.
    func refusal(of id: UInt32) -> String? {
        objects[id].flatMap { $0.marks.contains(.failed) ? $0.failure : nil }
    }
    /// Why routes with this set cannot be put, or are not complete.
    func problem(of index: UInt32) -> (reason: String, isRefused: Bool)? {
        guard index < sets.count, let set = sets[Int(index)] else { return nil }
        let ids = (anyNumber(of: index).map { [$0] } ?? []) + set.members.ways.compactMap { ways[$0]?.id }
        for id in ids { if let object = objects[id], object.marks.contains(.failed) { return (object.failure, true) } }
        for way in set.members.ways { if let reason = ways[way]?.reason { return (reason, false) } }
        return set.hasNoNumber ? (noNumber, false) : nil
    }

    // MARK: Resolution

    struct Waiting: Error, Hashable, Sendable {
        var reason: String
        /// What it leads through has not been looked at yet, as after a start: routes that the kernel has already stay until it has been.
        var isUndecided: Bool
        init(_ reason: String, isUndecided: Bool = false) {
            self.reason = reason
            self.isUndecided = isUndecided
        }
        static let starting = Waiting("starting", isUndecided: true)
    }
    /// No next hop of the set is possible, but one may turn out to be.
    func isUndecided(_ index: UInt32) -> Bool {
        number(of: index) == nil && ways(of: index).contains { ways[$0]?.isUndecided == true }
    }

    /// Asks again what every way is in the kernel.
    mutating func resolve(_ resolve: (NexthopWay) -> Result<NexthopContent, Waiting>) {
        var moved: Swift.Set<NexthopWay> = []
        for way in ways.keys.sorted() where update(way, resolve(way)) { moved.insert(way) }
        guard !moved.isEmpty || lacksNumbers else { return }
        lacksNumbers = false
        for (index, set) in sets.enumerated() {
            guard let set else { continue }
            if set.hasNoNumber || !moved.isDisjoint(with: set.members.ways) { updateGroup(UInt32(index)) }
        }
        for way in ways.values where way.reason == noNumber { lacksNumbers = true }
    }
    /// Whether it became possible or impossible.
    @discardableResult private mutating func update(
        _ way: NexthopWay, _ result: Result<NexthopContent, Waiting>
    ) -> Bool {
        guard var entry = ways[way] else { return false }
        let wasPossible = isPossible(entry)
        let wasUndecided = entry.isUndecided
        entry.isUndecided = false
        switch result {
        case .success(let content):
            if entry.id == 0 { entry.id = number(for: content) ?? 0 }
            entry.reason = entry.id == 0 ? noNumber : nil
            if entry.id == 0 { lacksNumbers = true }
            if entry.id != 0 { want(entry.id, content) }
        case .failure(let waiting):
            entry.reason = waiting.reason
            entry.isUndecided = waiting.isUndecided
            // One that is in the kernel as it was wanted stays meanwhile.
            if entry.id != 0, !waiting.isUndecided || !isPresent(entry.id) { want(entry.id, nil) }
        }
        if wasUndecided, !entry.isUndecided, entry.id == 0 { hasGivenUp = true }
        ways[way] = entry
        return isPossible(entry) != wasPossible
    }
    private func isPossible(_ way: Way) -> Bool { way.id != 0 && objects[way.id]?.want != nil }
    private mutating func updateGroup(_ index: UInt32) {
        guard var set = sets[Int(index)], set.members.ways.count > 1 else { return }
        let ids = set.members.ways.compactMap { way in
            ways[way].flatMap { isPossible($0) ? $0.id : nil }
        }.sorted()
        let content: NexthopContent? = ids.isEmpty ? nil : .group(ids)
        if set.id == 0, let content {
            set.id = number(for: content) ?? 0
            set.hasNoNumber = set.id == 0
            if set.hasNoNumber { lacksNumbers = true }
            sets[Int(index)] = set
        }
        if set.id != 0 { want(set.id, content) }
    }
    private mutating func want(_ id: UInt32, _ content: NexthopContent?) {
        var object = objects[id] ?? Object()
        guard object.want != content || objects[id] == nil else { return }
        if (object.want == nil) != (content == nil) { changed.insert(id) }
        object.want = content
        object.marks.subtract([.failed, .adopted, .settled])
        enqueue(id, &object)
        objects[id] = object
    }
    /// That of an object found in the kernel which says the same and which nobody has taken, otherwise a free one; nil: there is none.
    private mutating func number(for content: NexthopContent) -> UInt32? {
        if let id = adopted.removeValue(forKey: content), objects[id]?.want == nil { return id }
        guard objects.count + foreign.count < numbers.count else { return nil }
        for _ in 0..<numbers.count {
            lastNumber = lastNumber + 1 < numbers.upperBound ? lastNumber + 1 : numbers.lowerBound
            if objects[lastNumber] == nil, !foreign.contains(lastNumber) { return lastNumber }
        }
        return nil
    }
    private var noNumber: String { "all \(numbers.count) numbers of nexthop objects are in use" }

    // MARK: Next

    private mutating func enqueue(_ id: UInt32, _ object: inout Object) {
        guard !object.marks.contains(.queued) else { return }
        object.marks.insert(.queued)
        queued.append(id)
    }
    private mutating func update(_ id: UInt32, _ body: (inout Object) -> Void) {
        guard var object = objects[id] else { return }
        body(&object)
        enqueue(id, &object)
        objects[id] = object
    }
    /// Tries again what the kernel refused.
    mutating func enqueueFailed() {
        for (id, object) in objects where object.marks.contains(.failed) {
            update(id) { $0.marks.remove(.failed) }
            changed.insert(id)
        }
    }
    /// What is due, single ones before the groups that they are in.
    mutating func takeOperations() -> [RouteOperation] {
        var operations: [RouteOperation] = []
        for id in queued {
            guard var object = objects[id] else { continue }
            object.marks.remove(.queued)
            if let operation = next(id, object) {
                operations.append(operation)
                object.sent = object.want
                object.marks.insert(.inFlight)
            }
            objects[id] = object
        }
        queued = []
        return sorted(operations)
    }
    private func sorted(_ operations: [RouteOperation]) -> [RouteOperation] {
        operations.sorted { a, b in
            guard case .setNexthop(let idA, let a) = a, case .setNexthop(let idB, let b) = b else { return false }
            return a.isGroup == b.isGroup ? idA < idB : b.isGroup
        }
    }
    private func next(_ id: UInt32, _ object: Object) -> RouteOperation? {
        guard object.marks.isDisjoint(with: [.inFlight, .failed]), let want = object.want, object.have != want else {
            return nil
        }
        return .setNexthop(id, want)
    }
    /// Everything that is still to be done, without doing it.
    func pendingOperations() -> [RouteOperation] {
        sorted(
            objects.compactMap { id, object in
                var object = object
                object.marks = []
                return next(id, object)
            })
    }
    /// The routes that are to be looked at again after what has changed so far; nil: none.
    mutating func takeChanged() -> ((PrefixRow) -> Bool)? {
        guard !changed.isEmpty || hasGivenUp else { return nil }
        let (numbers, hasGivenUp, nexthops) = (changed, hasGivenUp, self)
        (changed, self.hasGivenUp) = ([], false)
        return { row in
            numbers.contains(row.have)
                || nexthops.number(of: row.want).map { numbers.contains($0) } ?? (hasGivenUp && row.have != 0)
        }
    }

    /// Forgets sets that nobody wants, and lists the deletion of objects that no set needs and no route of the kernel refers to: groups
    /// before their members. Those found at start stay until `mayPrune`.
    mutating func sweep(inUse: Swift.Set<UInt32>, mayPrune: Bool) -> [RouteOperation] {
        hasUnused = false
        last = nil
        for (index, set) in sets.enumerated() {
            guard let set, set.users == 0 else { continue }
            if set.id != 0 { want(set.id, nil) }
            for way in set.members.ways {
                ways[way]?.users -= 1
                guard ways[way]?.users == 0 else { continue }
                if let id = ways[way]?.id, id != 0 { want(id, nil) }
                ways[way] = nil
            }
            indices[set.members] = nil
            sets[index] = nil
            freeSets.append(UInt32(index))
        }
        awaitsRoutes = false
        var needed: Swift.Set<UInt32> = []
        for way in ways.values { needed.insert(way.id) }
        for set in sets { if let set { needed.insert(set.id) } }
        var operations: [RouteOperation] = []
        for isGroup in [true, false] {
            for (id, object) in objects.sorted(by: { $0.key < $1.key }) where !needed.contains(id) {
                if object.marks.contains(.adopted), !mayPrune { continue }
                if inUse.contains(id) {
                    awaitsRoutes = true
                    continue
                }
                if object.marks.contains(.inFlight) {
                    hasUnused = true
                    continue
                }
                guard let have = object.have else {
                    if isGroup { objects[id] = nil }
                    continue
                }
                guard have.isGroup == isGroup else { continue }
                operations.append(.deleteNexthop(id))
                objects[id]?.marks.insert(.inFlight)
            }
        }
        return operations
    }

    // MARK: Answers

    /// The kernel did, or refused, what was asked.
    mutating func completed(_ operation: RouteOperation, _ failure: NetlinkFailure?) {
        switch operation {
        case .setNexthop(let id, let content):
            update(id) { object in
                object.marks.remove(.inFlight)
                object.sent = nil
                if let failure {
                    object.marks.insert(.failed)
                    object.failure = failure.description
                } else if object.marks.contains(.disturbed) {
                    object.have = nil
                } else {
                    object.have = content
                    if object.want == content { object.marks.insert(.settled) }
                }
                object.marks.remove(.disturbed)
            }
        case .deleteNexthop(let id):
            guard let object = objects[id] else { return }
            if let failure, !failure.isAbsence {
                objects[id]?.marks.remove(.inFlight)
            } else if object.want == nil {
                objects[id] = nil
            } else {
                update(id) { object in
                    object.marks.remove(.inFlight)
                    object.have = nil
                }
            }
        default: break
        }
    }
    /// A route that refers to it was refused: it may not be there.
    mutating func doubt(_ id: UInt32) { update(id) { if !$0.marks.contains(.inFlight) { $0.have = nil } } }

    // MARK: Observations

    private func isOurs(_ nexthop: Nexthop) -> Bool {
        nexthop.proto == routeProtocol && nexthopNumbers.contains(nexthop.id) && !nexthop.isFDB
            && !nexthop.isBlackhole && !nexthop.isResilient
    }
    /// All objects of the namespace, at start and after notifications were lost.
    mutating func observed(_ nexthops: [Nexthop]) {
        foreign = []
        var found: [UInt32: NexthopContent] = [:]
        for nexthop in nexthops where nexthopNumbers.contains(nexthop.id) {
            if isOurs(nexthop) { found[nexthop.id] = NexthopContent(nexthop) } else { foreign.insert(nexthop.id) }
        }
        for (id, object) in objects where !object.marks.contains(.inFlight) && object.have != found[id] {
            update(id) { $0.have = found[id] }
            changed.insert(id)
        }
        for (id, content) in found.sorted(by: { $0.key < $1.key }) where objects[id] == nil {
            objects[id] = Object(have: content, marks: .adopted)
            if adopted[content] == nil { adopted[content] = id }
            hasUnused = true
        }
    }
    /// Somebody else made, changed or (`isNew` false) removed an object. The numbers of those of ours that are gone: their routes are too.
    mutating func received(_ nexthop: Nexthop, isNew: Bool) -> Swift.Set<UInt32> {
        let id = nexthop.id
        guard nexthopNumbers.contains(id) else { return [] }
        guard let object = objects[id] else {
            if isNew, !isOurs(nexthop) { foreign.insert(id) } else { foreign.remove(id) }
            return []
        }
        if object.marks.contains(.inFlight) { objects[id]?.marks.insert(.disturbed) }
        let have = isNew ? NexthopContent(nexthop) : nil
        guard have != object.have else { return [] }
        if object.marks.contains(.settled), object.want != nil { healed += 1 }
        update(id) { object in
            object.have = have
            object.marks.remove(.settled)
        }
        if isNew { return [] }
        // Groups have lost a member; the kernel tells each change of a group, and their last member takes them along.
        return lost([id])
    }
    /// A device went down or away: the kernel has dropped what leads through it, without a word. The numbers of those that are gone.
    mutating func deviceLost(_ interface: Int32) -> Swift.Set<UInt32> {
        let gone = objects.filter { _, object in
            if case .way(_, interface, _, _)? = object.have { true } else { false }
        }.keys
        return lost(Swift.Set(gone))
    }
    private mutating func lost(_ ids: Swift.Set<UInt32>) -> Swift.Set<UInt32> {
        guard !ids.isEmpty else { return [] }
        var all = ids
        for (id, object) in objects {
            if case .group(let members)? = object.have, !ids.isDisjoint(with: members) {
                let left = members.filter { !ids.contains($0) }
                if left.isEmpty { all.insert(id) }
                update(id) { $0.have = left.isEmpty ? nil : .group(left) }
            }
        }
        for id in all {
            update(id) { object in
                object.have = nil
                object.marks.remove(.settled)
                if object.marks.contains(.inFlight) { object.marks.insert(.disturbed) }
            }
            if objects[id]?.want == nil, objects[id]?.marks.contains(.adopted) == true { hasUnused = true }
        }
        changed.formUnion(all)
        return all
    }
}
