// A thread for calls that block: netlink writes of a large batch, C clients.

import CLinux
import Glibc
import Synchronization

/// Carries an object of the loop's thread through another one, which must not look into it.
public struct LoopBound<Value: AnyObject>: @unchecked Sendable {
    public let value: Value
    public init(_ value: Value) { self.value = value }
}

/// Runs closures one after the other on a thread of its own.
public final class Worker: Sendable {
    private struct State {
        var jobs: [@Sendable () -> Void] = []
        var isStopped = false
    }
    private let state = Mutex(State())
    private let wake: Int32

    public init() {
        wake = eventfd(0, Int32(EFD_CLOEXEC))
        var thread = pthread_t()
        let reference = Unmanaged.passRetained(self)
        let result = pthread_create(
            &thread, nil,
            { pointer in
                guard let pointer else { return nil }
                Unmanaged<Worker>.fromOpaque(pointer).takeRetainedValue().run()
                return nil
            }, reference.toOpaque())
        precondition(result == 0, "pthread_create failed: \(result)")
        pthread_detach(thread)
    }
    deinit { close(wake) }

    /// Queues `job`; jobs run in the order of submission.
    public func submit(_ job: @escaping @Sendable () -> Void) {
        let wasEmpty = state.withLock { state in
            state.jobs.append(job)
            return state.jobs.count == 1
        }
        if wasEmpty { eventfd_write(wake, 1) }
    }
    /// The thread ends after the jobs that are already queued.
    public func stop() {
        state.withLock { $0.isStopped = true }
        eventfd_write(wake, 1)
    }

    private func run() {
        while true {
            var value: eventfd_t = 0
            eventfd_read(wake, &value)
            while true {
                let jobs = state.withLock { state in
                    let jobs = state.jobs
                    state.jobs = []
                    return jobs
                }
                if jobs.isEmpty { break }
                for job in jobs { job() }
            }
            if state.withLock({ $0.isStopped && $0.jobs.isEmpty }) { return }
        }
    }
}
