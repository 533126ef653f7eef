// The loop: rounds, descriptors that change hands within one, other threads; sockets that must not be replaced.

import Glibc
import NetTypes
import Testing

@testable import AsyncIO

@Suite(.serialized) struct EventLoopTests {
    /// Runs until `isDone` or for five seconds.
    private func run(_ loop: EventLoop, until isDone: @escaping () -> Bool) {
        let deadline = loop.now + .seconds(5)
        func poll() {
            if isDone() || loop.now > deadline { return loop.stop() }
            loop.schedule(after: .milliseconds(1)) { poll() }
        }
        poll()
        loop.run()
    }
    private func makePipe() -> (read: Int32, write: Int32) {
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        for end in ends { _ = fcntl(end, F_SETFL, O_NONBLOCK) }
        return (ends[0], ends[1])
    }

    @Test func timersFireInOrderAndNotBeforeTheirTime() {
        let loop = EventLoop()
        let start = loop.now
        var seen: [Int] = []
        var early = false
        for delay in [30, 10, 20] {
            loop.schedule(after: .milliseconds(delay)) {
                seen.append(delay)
                if loop.now - start < .milliseconds(delay) { early = true }
            }
        }
        run(loop) { seen.count == 3 }
        #expect(seen == [10, 20, 30] && !early)
    }

    @Test func aDueTimerCanStillBeCancelledByAnother() {
        let loop = EventLoop()
        var seen: [String] = []
        let now = loop.now
        var second: TimerID?
        loop.schedule(at: now) {
            seen.append("first")
            if let second { loop.cancel(second) }
        }
        second = loop.schedule(at: now) { seen.append("second") }
        loop.schedule(at: now) { seen.append("third") }
        run(loop) { seen.contains("third") }
        #expect(seen == ["first", "third"])
    }

    /// A timer that sets itself again at once does not keep the loop from serving descriptors.
    @Test func anImpatientTimerStarvesNobody() {
        let loop = EventLoop()
        let (reader, writer) = makePipe()
        defer { close(reader); close(writer) }
        var isRead = false
        var ticks = 0
        func tick() {
            ticks += 1
            if !isRead, ticks < 100_000 { loop.schedule(at: .zero) { tick() } }
        }
        tick()
        loop.watch(reader, .readable) { _ in
            isRead = true
            loop.unwatch(reader)
        }
        write(writer, "x", 1)
        run(loop) { isRead }
        #expect(isRead && ticks < 100_000)
    }

    @Test func afterRoundRunsBeforeTheLoopWaits() {
        let loop = EventLoop()
        var seen: [String] = []
        loop.schedule(at: loop.now) {
            loop.afterRound {
                seen.append("after")
                loop.afterRound { loop.stop() }
            }
            seen.append("timer")
        }
        loop.run()
        #expect(seen == ["timer", "after"])
    }

    /// Two descriptors are ready in one round; the first handler closes the other, whose number then belongs to something new.
    @Test func eventsOfAFormerDescriptorAreNotForItsSuccessor() {
        let loop = EventLoop()
        let a = makePipe()
        let b = makePipe()
        var successor: (read: Int32, write: Int32)?
        var stale = 0
        var rounds = 0
        func served(_ own: Int32, _ other: Int32) {
            loop.unwatch(own)
            guard successor == nil else { return }
            loop.unwatch(other)
            close(other)
            let new = makePipe()
            successor = new
            #expect(new.read == other, "the kernel gives out the lowest free number")
            loop.watch(new.read, .readable) { _ in stale += 1 }
        }
        loop.watch(a.read, .readable) { _ in served(a.read, b.read) }
        loop.watch(b.read, .readable) { _ in served(b.read, a.read) }
        write(a.write, "x", 1)
        write(b.write, "x", 1)
        run(loop) {
            rounds += 1
            return rounds > 5
        }
        #expect(successor != nil && stale == 0)
        if let successor { for descriptor in [successor.read, successor.write] { close(descriptor) } }
        for descriptor in [a.write, b.write, a.read, b.read] where descriptor != successor?.read { close(descriptor) }
    }

    @Test func otherThreadsReachTheLoopInOrder() {
        let loop = EventLoop()
        let worker = Worker()
        let handle = loop.handle
        let own = pthread_self()
        nonisolated(unsafe) var seen: [Int] = []
        nonisolated(unsafe) var isElsewhere = false
        for number in 0..<1000 {
            worker.submit {
                handle.post {
                    if pthread_equal(pthread_self(), own) == 0 { isElsewhere = true }
                    seen.append(number)
                }
            }
        }
        run(loop) { seen.count == 1000 }
        worker.stop()
        #expect(seen == Array(0..<1000) && !isElsewhere)
    }

    @Test func onlyDeadSocketsAreReplaced() throws {
        let path = "/tmp/evpnd-test-\(getpid())-\(UInt32.random(in: 0 ... .max)).sock"
        defer { unlink(path) }
        let first = try listenUnix(path, mode: 0o600)
        var status = stat()
        #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
        #expect(throws: SystemError("listen on \(path)", code: EADDRINUSE)) { try listenUnix(path, mode: 0o600) }
        close(first)
        let second = try listenUnix(path, mode: 0o660)
        close(second)
        unlink(path)
        close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0o600))
        #expect(throws: SystemError("listen on \(path)", code: EEXIST)) { try listenUnix(path, mode: 0o600) }
        #expect(access(path, F_OK) == 0, "a file of somebody is not removed")
        let long = "/tmp/" + String(repeating: "x", count: 200)
        #expect(throws: SystemError("listen on \(long)", code: ENAMETOOLONG)) { try listenUnix(long, mode: 0o600) }
    }
}
