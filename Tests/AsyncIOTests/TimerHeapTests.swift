// Timers in the order of their instants, whatever the order in which they were set and cancelled.

import NetTypes
import Testing

@testable import AsyncIO

@Suite struct TimerHeapTests {
    private func instant(_ value: Int) -> Instant { Instant(nanoseconds: Int64(value)) }
    private func drain(_ heap: inout TimerHeap, until now: Int) {
        while let body = heap.popDue(instant(now), upTo: .max) { body() }
    }

    @Test func earliestFirstAndEqualOnesInOrder() {
        var heap = TimerHeap()
        var seen: [String] = []
        for (time, name) in [(5, "e"), (1, "a"), (3, "c"), (1, "b"), (3, "d"), (9, "late")] {
            _ = heap.insert(instant(time)) { seen.append(name) }
        }
        #expect(heap.next == instant(1))
        drain(&heap, until: 5)
        #expect(seen == ["a", "b", "c", "d", "e"])
        #expect(heap.next == instant(9))
        drain(&heap, until: 8)
        #expect(seen.count == 5)
    }

    @Test func cancelledTimersNeverRunAndAreNotWaitedFor() {
        var heap = TimerHeap()
        var seen = 0
        let first = heap.insert(instant(1)) { seen += 1 }
        let second = heap.insert(instant(2)) { seen += 10 }
        heap.cancel(first)
        heap.cancel(first)
        #expect(heap.next == instant(2))
        heap.cancel(second)
        #expect(heap.next == nil)
        drain(&heap, until: 9)
        #expect(seen == 0)
    }

    @Test func timersSetWhileOthersAreServedWait() {
        var heap = TimerHeap()
        _ = heap.insert(instant(1)) {}
        let last = heap.lastID
        _ = heap.insert(instant(1)) {}
        let old = heap.popDue(instant(5), upTo: last)
        let new = heap.popDue(instant(5), upTo: last)
        #expect(old != nil && new == nil)
        #expect(heap.next == instant(1))
    }

    /// Against a sorted list, with enough cancelled ones for the heap to be rebuilt.
    @Test(arguments: 1...20 as ClosedRange<UInt64>) func likeASortedList(seed: UInt64) {
        var random = seed &* 0x9e37_79b9_7f4a_7c15 | 1
        func next(_ bound: Int) -> Int {
            random ^= random << 13
            random ^= random >> 7
            random ^= random << 17
            return Int(random % UInt64(bound))
        }
        var heap = TimerHeap()
        var model: [(time: Int, number: Int, id: TimerID)] = []
        var seen: [Int] = []
        var expected: [Int] = []
        var clock = 0
        for number in 0..<2000 {
            switch next(10) {
            case 0..<5:
                let time = clock + next(1000)
                model.append((time, number, heap.insert(instant(time)) { seen.append(number) }))
            case 5..<9:
                if !model.isEmpty { heap.cancel(model.remove(at: next(model.count)).id) }
            default:
                clock += next(200)
                drain(&heap, until: clock)
                let due = model.filter { $0.time <= clock }.sorted { ($0.time, $0.number) < ($1.time, $1.number) }
                expected += due.map(\.number)
                model.removeAll { $0.time <= clock }
            }
            #expect(heap.next == model.map(\.time).min().map(instant))
        }
        #expect(seen == expected)
    }
}
