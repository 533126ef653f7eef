// Timers of one loop: a binary heap; cancelled entries are dropped when they come up.

import NetTypes

/// Names a timer for `EventLoop.cancel`.
public struct TimerID: Hashable, Sendable { let rawValue: UInt64 }

struct TimerHeap {
    private struct Entry {
        let instant: Instant
        let id: UInt64
    }
    private var heap: [Entry] = []
    private var bodies: [UInt64: () -> Void] = [:]
    private(set) var lastID: UInt64 = 0

    mutating func insert(_ instant: Instant, _ body: @escaping () -> Void) -> TimerID {
        lastID += 1
        bodies[lastID] = body
        heap.append(Entry(instant: instant, id: lastID))
        var child = heap.count - 1
        while child > 0, precedes(child, (child - 1) / 2) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
        return TimerID(rawValue: lastID)
    }
    mutating func cancel(_ timer: TimerID) {
        bodies[timer.rawValue] = nil
        if heap.count > 64, bodies.count * 4 < heap.count { rebuild() }
    }
    /// The earliest instant of a live timer.
    var next: Instant? {
        mutating get {
            while let first = heap.first, bodies[first.id] == nil { removeFirst() }
            return heap.first?.instant
        }
    }
    /// Removes and returns the body of the earliest timer that is due; nil also when that one was made after `lastID`.
    mutating func popDue(_ now: Instant, upTo lastID: UInt64) -> (() -> Void)? {
        while let first = heap.first, first.instant <= now {
            if bodies[first.id] != nil, first.id > lastID { return nil }
            removeFirst()
            if let body = bodies.removeValue(forKey: first.id) { return body }
        }
        return nil
    }

    private func precedes(_ a: Int, _ b: Int) -> Bool {
        (heap[a].instant, heap[a].id) < (heap[b].instant, heap[b].id)
    }
    private mutating func removeFirst() {
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        siftDown(0)
    }
    private mutating func siftDown(_ start: Int) {
        var parent = start
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && precedes(child, least) {
                least = child
            }
            if least == parent { return }
            heap.swapAt(parent, least)
            parent = least
        }
    }
    private mutating func rebuild() {
        heap.removeAll { bodies[$0.id] == nil }
        for index in stride(from: heap.count / 2 - 1, through: 0, by: -1) { siftDown(index) }
    }
}
