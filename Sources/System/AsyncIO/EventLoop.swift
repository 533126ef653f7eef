// One thread, one epoll. Every socket, timer and signal of the daemon is served here, and all protocol state lives on it, so
// the state needs no lock and no hop; blocking work goes to a `Worker`, which answers through `LoopHandle.post`.

import CLinux
import Glibc
public import NetTypes
import Synchronization

/// The reactor. Not `Sendable`: it and everything it calls stay on the thread that runs it.
public final class EventLoop {
    public struct Readiness: OptionSet, Sendable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }
        public static let readable = Readiness(rawValue: EPOLLIN.rawValue)
        public static let writable = Readiness(rawValue: EPOLLOUT.rawValue)
        /// Always reported, never asked for.
        public static let failed = Readiness(rawValue: EPOLLERR.rawValue | EPOLLHUP.rawValue)
    }
    public typealias Handler = (Readiness) -> Void

    private let epoll: Int32
    private let remote: LoopHandle
    private struct Watch {
        /// A descriptor number may be closed and given out again within one round: events of its former life carry another number.
        let generation: UInt32
        let handler: Handler
    }
    private var watches: [Int32: Watch] = [:]
    private var lastGeneration: UInt32 = 0
    private var timers = TimerHeap()
    private var deferred: [() -> Void] = []
    private var isRunning = false

    /// Traps when the process is out of file descriptors.
    public init() {
        epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
        remote = LoopHandle()
        precondition(epoll >= 0, "epoll_create1 failed: errno \(errno)")
        watch(remote.descriptor, .readable) { [remote] _ in remote.drain() }
    }
    deinit { close(epoll) }

    /// The way into this loop from other threads.
    public var handle: LoopHandle { remote }
    /// The monotonic clock (CLOCK_MONOTONIC).
    public var now: Instant { Instant.now() }

    /// Calls `handler` whenever `descriptor` is ready (level-triggered), until `unwatch`.
    public func watch(_ descriptor: Int32, _ interest: Readiness, _ handler: @escaping Handler) {
        lastGeneration &+= 1
        let watch = Watch(generation: lastGeneration, handler: handler)
        let isNew = watches.updateValue(watch, forKey: descriptor) == nil
        control(isNew ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, descriptor, lastGeneration, interest)
    }
    public func modify(_ descriptor: Int32, _ interest: Readiness) {
        guard let watch = watches[descriptor] else { return }
        control(EPOLL_CTL_MOD, descriptor, watch.generation, interest)
    }
    /// Must be called before the descriptor is closed.
    public func unwatch(_ descriptor: Int32) {
        guard watches.removeValue(forKey: descriptor) != nil else { return }
        epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, nil)
    }
    private func control(_ operation: Int32, _ descriptor: Int32, _ generation: UInt32, _ interest: Readiness) {
        var event = epoll_event()
        event.events = interest.rawValue
        event.data.u64 = UInt64(generation) << 32 | UInt64(UInt32(bitPattern: descriptor))
        epoll_ctl(epoll, operation, descriptor, &event)
    }

    /// Calls `body` once, at `instant` or as soon as possible after it.
    @discardableResult public func schedule(at instant: Instant, _ body: @escaping () -> Void) -> TimerID {
        timers.insert(instant, body)
    }
    @discardableResult public func schedule(after delay: Duration, _ body: @escaping () -> Void) -> TimerID {
        timers.insert(now + delay, body)
    }
    public func cancel(_ timer: TimerID) { timers.cancel(timer) }
    /// Calls `body` after the handlers of the current round have run, before the loop waits again.
    public func afterRound(_ body: @escaping () -> Void) { deferred.append(body) }

    public func stop() { isRunning = false }

    /// Serves events until `stop`.
    public func run() {
        isRunning = true
        withUnsafeTemporaryAllocation(of: epoll_event.self, capacity: 64) { events in
            while isRunning {
                runDeferred()
                guard isRunning else { break }
                let count = epoll_wait(epoll, events.baseAddress, 64, timeoutMilliseconds())
                for index in 0..<max(0, Int(count)) {
                    let event = events[index]
                    let descriptor = Int32(truncatingIfNeeded: event.data.u64)
                    guard let watch = watches[descriptor], watch.generation == event.data.u64 >> 32 else { continue }
                    watch.handler(Readiness(rawValue: event.events))
                }
                // One by one: a timer may cancel another that is due as well. Those set meanwhile wait for the next round.
                let instant = now
                let last = timers.lastID
                while let body = timers.popDue(instant, upTo: last) { body() }
            }
        }
    }
    private func runDeferred() {
        var rounds = 0
        while !deferred.isEmpty, rounds < 16 {
            let bodies = deferred
            deferred = []
            for body in bodies { body() }
            rounds += 1
        }
    }
    private func timeoutMilliseconds() -> Int32 {
        if !deferred.isEmpty { return 0 }
        guard let next = timers.next else { return -1 }
        let nanoseconds = (next - now).clampedNanoseconds
        return nanoseconds <= 0 ? 0 : Int32(clamping: (nanoseconds + 999_999) / 1_000_000)
    }
}

extension Instant {
    /// CLOCK_MONOTONIC.
    public static func now() -> Instant {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Instant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }
}

/// Lets other threads run code on a loop.
public final class LoopHandle: Sendable {
    let descriptor: Int32
    private let queue = Mutex<[@Sendable () -> Void]>([])

    init() { descriptor = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK)) }
    deinit { close(descriptor) }

    /// Runs `body` on the loop, after those posted before it.
    public func post(_ body: @escaping @Sendable () -> Void) {
        let wasEmpty = queue.withLock { queue in
            queue.append(body)
            return queue.count == 1
        }
        if wasEmpty { eventfd_write(descriptor, 1) }
    }
    // The counter is read before the queue is taken: a post in between writes again and costs one empty round, never a lost one.
    func drain() {
        var value: eventfd_t = 0
        eventfd_read(descriptor, &value)
        let bodies = queue.withLock { queue in
            let bodies = queue
            queue = []
            return bodies
        }
        for body in bodies { body() }
    }
}
