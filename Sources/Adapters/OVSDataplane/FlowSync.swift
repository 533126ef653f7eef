// What is sent to the bridge and when: what it has is read when the connection is made, the difference is sent, then only what
// changes.

import NetTypes
import OpenFlow
import OpenFlowClient

/// The flows and groups of ours in the bridge, by their changes. A machine: the shell reads and sends.
struct FlowSync {
    enum Effect: Equatable {
        /// Flows and groups of ours are asked for; `read` gets the answer.
        case read
        /// Each that the bridge does not refuse is done; `answered` gets what became of them.
        case send([BridgeChange])
    }
    struct Failure: Equatable {
        var reason: String
        var since: Instant
        /// What was refused.
        var change: BridgeChange
    }
    /// What the bridge has of ours.
    struct Contents: Equatable {
        var flows: [Flow] = []
        var groups: [Group] = []
    }

    private enum State { case down, reading, live }
    private var state = State.down
    /// Changes that wait until those on their way are answered.
    private var queue: [BridgeChange] = []
    private var onTheWay: [BridgeChange] = []
    /// Counts changes of what is pending.
    private(set) var edition = 0
    /// Keys that have been changed, or were being changed, since the bridge began to be read again: of them the answer says nothing.
    private struct Changed {
        var flows: Set<FlowKey> = []
        var groups: Set<UInt32> = []
        mutating func insert(_ changes: [BridgeChange]) {
            for change in changes {
                switch change {
                case .flow(let change): flows.insert(change.key)
                case .group(let change): groups.insert(change.id)
                }
            }
        }
        func contains(_ change: BridgeChange) -> Bool {
            switch change {
            case .flow(let change): flows.contains(change.key)
            case .group(let change): groups.contains(change.id)
            }
        }
    }
    /// Nil: nothing is being compared.
    private var changedSinceAsked: Changed?
    /// How many flows more than there should be were counted when that last had everything read.
    private var surplusAsked = 0
    private(set) var failures: [FlowKey: Failure] = [:]
    private(set) var groupFailures: [UInt32: Failure] = [:]
    /// Since start: flows and groups put back or removed because somebody else changed them; changes sent; those refused.
    private(set) var healed = 0
    private(set) var sent = 0
    private(set) var refused = 0

    /// The bridge is as wanted, as far as it takes it.
    var isSettled: Bool { state == .live && queue.isEmpty && onTheWay.isEmpty }
    /// The bridge has had all that was wanted when it was read after it was connected, as far as it takes it.
    private(set) var hasCaughtUp = false
    var isLive: Bool { state == .live }
    var isReading: Bool { state == .reading }
    var pendingCount: Int { queue.count + onTheWay.count }
    /// Keys of flows that are sent or about to be.
    var pendingKeys: Set<FlowKey> {
        var keys: Set<FlowKey> = []
        for case .flow(let change) in queue + onTheWay { keys.insert(change.key) }
        return keys
    }

    mutating func connected() -> [Effect] {
        state = .reading
        return [.read]
    }
    mutating func disconnected() {
        state = .down
        hasCaughtUp = false
        edition += 1
        queue = []
        onTheWay = []
        changedSinceAsked = nil
        surplusAsked = 0
    }

    /// What the bridge has; `wanted` is asked only now.
    mutating func read(_ found: Contents, wanted: Contents) -> [Effect] {
        switch state {
        case .down: return []
        case .reading:
            state = .live
            // What was refused shows again.
            (failures, groupFailures) = ([:], [:])
            let changes = difference(found, wanted)
            // Otherwise they are the first that are sent.
            hasCaughtUp = changes.isEmpty
            enqueue(changes)
        case .live:
            guard let changed = changedSinceAsked else { return [] }
            changedSinceAsked = nil
            let changes = difference(found, wanted).filter { !changed.contains($0) }
            // What is refused time and again is not there either.
            healed += changes.count { failure(of: $0) == nil }
            enqueue(changes)
        }
        return next()
    }
    /// Has everything read again, to compare what is not changed meanwhile.
    mutating func verify() -> [Effect] {
        guard state == .live, changedSinceAsked == nil else { return [] }
        var changed = Changed()
        changed.insert(queue)
        changed.insert(onTheWay)
        changedSinceAsked = changed
        return [.read]
    }
    /// The bridge had `flows` of ours when it should have had `expected`, and `changes` were not answered then or made since: has
    /// everything read where that does not fit, but only once for the same difference, since what is refused does not go away by reading.
    mutating func counted(_ flows: Int, expected: Int, changes: Int) -> [Effect] {
        let surplus = flows - expected
        guard abs(surplus) > changes else {
            if changes == 0 { surplusAsked = 0 }
            return []
        }
        guard abs(surplus - surplusAsked) > changes else { return [] }
        let effects = verify()
        if !effects.isEmpty { surplusAsked = surplus }
        return effects
    }
    /// The contents could not be read; another time.
    mutating func readFailed() {
        changedSinceAsked = nil
        surplusAsked = 0
    }

    mutating func update(groups: [Group], flows: [FlowChange], removedGroups: [UInt32]) -> [Effect] {
        // Before everything was read there is nothing to compare with; then all of it is.
        guard state == .live else { return [] }
        enqueue(
            groups.map { .group(.set($0)) } + flows.map { .flow($0) } + removedGroups.map { .group(.delete($0)) })
        return next()
    }

    /// The bridge has done all that was sent, but for these.
    mutating func answered(_ refusals: [Refusal], now: Instant) -> [Effect] {
        guard state == .live, !onTheWay.isEmpty else { return [] }
        let changes = onTheWay
        onTheWay = []
        hasCaughtUp = true
        edition += 1
        let reasons = Dictionary(refusals.map { ($0.index, $0.reason) }, uniquingKeysWith: { first, _ in first })
        guard !reasons.isEmpty || !failures.isEmpty || !groupFailures.isEmpty else { return next() }
        for (index, change) in changes.enumerated() {
            var failure: Failure?
            if let reason = reasons[index] {
                refused += 1
                failure = Failure(reason: reason, since: now, change: change)
                if let old = self.failure(of: change), old.reason == reason { failure?.since = old.since }
            }
            switch change {
            case .flow(let change): failures[change.key] = failure
            case .group(let change): groupFailures[change.id] = failure
            }
        }
        return next()
    }

    private func failure(of change: BridgeChange) -> Failure? {
        switch change {
        case .flow(let change): failures[change.key]
        case .group(let change): groupFailures[change.id]
        }
    }
    /// Sends once more what was refused: what was in its way may be gone.
    mutating func retry() -> [Effect] {
        guard state == .live else { return [] }
        var pending = Changed()
        pending.insert(queue)
        pending.insert(onTheWay)
        let refused =
            groupFailures.sorted { $0.key < $1.key }.map(\.value.change)
            + failures.sorted { $0.key < $1.key }.map(\.value.change)
        enqueue(refused.filter { !pending.contains($0) })
        return next()
    }

    /// What would be sent if everything were sent now.
    func plan(_ found: Contents, wanted: Contents) -> [BridgeChange] { difference(found, wanted) }

    private mutating func enqueue(_ changes: [BridgeChange]) {
        guard !changes.isEmpty else { return }
        edition += 1
        sent += changes.count
        queue += changes
        changedSinceAsked?.insert(changes)
    }
    private mutating func next() -> [Effect] {
        guard onTheWay.isEmpty, !queue.isEmpty else { return [] }
        swap(&queue, &onTheWay)
        return [.send(onTheWay)]
    }

    /// Later tables first, so that nothing is sent to where there is no flow yet; removals the other way round.
    private func difference(_ found: Contents, _ wanted: Contents) -> [BridgeChange] {
        var flows = Dictionary(found.flows.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first })
        var groups = Dictionary(found.groups.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        var changes: [BridgeChange] = []
        for group in wanted.groups where groups.removeValue(forKey: group.id) != group {
            changes.append(.group(.set(group)))
        }
        var sets: [Flow] = []
        for flow in wanted.flows where flows.removeValue(forKey: flow.key) != flow { sets.append(flow) }
        sets.sort { $0.key.table != $1.key.table ? $0.key.table > $1.key.table : $0.key < $1.key }
        changes += sets.map { .flow(.set($0)) }
        changes += flows.keys.sorted().map { .flow(.delete($0)) }
        changes += groups.keys.sorted().map { .group(.delete($0)) }
        return changes
    }
}
