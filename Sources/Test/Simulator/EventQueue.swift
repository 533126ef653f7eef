// Virtual time: what happens next, and nothing in between.

/// SplitMix64: everything random in a simulation comes from one of these, so that a seed gives the same run again.
public struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    public init(seed: UInt64) { state = seed }
    public mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
    /// 0 ..< limit; `limit` must be positive.
    public mutating func below(_ limit: Int) -> Int { Int.random(in: 0..<limit, using: &self) }
    public mutating func chance(percent: Int) -> Bool { below(100) < percent }
}

/// Actions ordered by time, and by the order of scheduling within one instant.
struct EventQueue {
    private struct Event {
        var at: Int64
        var order: UInt64
        var action: () -> Void
        func isBefore(_ other: Event) -> Bool { (at, order) < (other.at, other.order) }
    }
    private var heap: [Event] = []
    private var order: UInt64 = 0

    var nextTime: Int64? { heap.first?.at }

    mutating func add(at: Int64, _ action: @escaping () -> Void) {
        order += 1
        heap.append(Event(at: at, order: order, action: action))
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].isBefore(heap[parent]) else { break }
            heap.swapAt(child, parent)
            child = parent
        }
    }
    mutating func pop() -> (at: Int64, action: () -> Void)? {
        guard let first = heap.first else { return nil }
        let last = heap.removeLast()
        if !heap.isEmpty {
            heap[0] = last
            var parent = 0
            while true {
                var least = parent
                for child in [2 * parent + 1, 2 * parent + 2]
                where child < heap.count && heap[child].isBefore(heap[least]) { least = child }
                if least == parent { break }
                heap.swapAt(parent, least)
                parent = least
            }
        }
        return (first.at, first.action)
    }
}
