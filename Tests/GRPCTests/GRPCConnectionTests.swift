// The client against a server that answers well, late, too much, nonsense, or not at all.

import AsyncIO
import GRPC
import FakeServers
import Glibc
import NetTypes
import Streams
import Testing

@Suite(.serialized) struct GRPCConnectionTests {
    final class Harness {
        let loop = EventLoop()
        let path = "/tmp/evpnd-test-\(getpid())-\(UInt32.random(in: 0 ... .max)).grpc"
        let server: GRPCServer
        let resolver = Worker()
        lazy var connection = GRPCConnection(
            loop: loop, endpoint: .unix(path: path), tls: nil, connectTimeout: .seconds(2))
        var opened = false
        var closed: GRPCStatus?

        init() { server = GRPCServer(loop: loop, path: path) }
        deinit { resolver.stop() }

        func run(until isDone: @escaping () -> Bool) {
            if isDone() { return }
            let deadline = loop.now + .seconds(10)
            func poll() {
                if isDone() || loop.now > deadline { return loop.stop() }
                loop.schedule(after: .milliseconds(1)) { poll() }
            }
            loop.afterRound { poll() }
            loop.run()
        }
        func open() {
            connection.onOpen = { self.opened = true }
            connection.onClose = { self.closed = $0 }
            connection.open(resolver: resolver)
            run { self.opened || self.closed != nil }
        }
        func unary(_ method: String, _ message: [UInt8], timeout: Duration = .seconds(5)) -> Result<
            [UInt8], GRPCStatus
        >? {
            var result: Result<[UInt8], GRPCStatus>?
            connection.unary(method, message, timeout: timeout) { result = $0 }
            run { result != nil }
            return result
        }
        func stop() {
            connection.close()
            server.stop()
        }
    }

    @Test func unaryCallsAndErrors() throws {
        let harness = Harness()
        defer { harness.stop() }
        #expect(harness.server.start())
        harness.server.onMessage = { call, message in
            switch call.path {
            case "/s/Echo":
                call.send(message)
                call.end()
            case "/s/Bad": call.end(12, "unknown%20method: caf%C3%A9")
            case "/s/Empty": call.end()
            case "/s/Reset": call.reset()
            default: break
            }
        }
        harness.open()
        #expect(harness.opened)
        let big = [UInt8](repeating: 7, count: 300_000)
        #expect(try harness.unary("/s/Echo", big)?.get() == big)
        #expect(try harness.unary("/s/Echo", [])?.get() == [])
        #expect(harness.unary("/s/Bad", []) == .failure(GRPCStatus(.unimplemented, "unknown method: café")))
        #expect(
            harness.unary("/s/Empty", [])
                == .failure(GRPCStatus(.internal, "the server ended the call without a reply")))
        guard case .failure(let reset)? = harness.unary("/s/Reset", []) else { return #expect(Bool(false)) }
        #expect(reset.code == .unavailable)
        guard case .failure(let late)? = harness.unary("/s/Silence", [], timeout: .milliseconds(50)) else {
            return #expect(Bool(false))
        }
        #expect(late == GRPCStatus(.deadlineExceeded, "no answer to Silence within 0.05 s"))
        #expect(harness.closed == nil)
    }

    @Test func theDeadlineIsToldToTheServer() {
        let harness = Harness()
        defer { harness.stop() }
        #expect(harness.server.start())
        var told: String?
        harness.server.onMessage = { call, _ in
            told = call.timeout
            call.send([])
            call.end()
        }
        harness.open()
        _ = harness.unary("/s/M", [], timeout: .milliseconds(1500))
        #expect(told == "1500m")
    }

    /// Far more than any flow-control window, in one message.
    @Test func aLargeMessageArrivesInPieces() {
        let harness = Harness()
        defer { harness.stop() }
        #expect(harness.server.start())
        let size = 20 << 20
        harness.server.onMessage = { call, _ in
            call.send([UInt8](repeating: 0xab, count: size))
            call.send([1, 2, 3])
            call.end()
        }
        harness.open()
        var begun: [Int] = []
        var received = 0
        var largest = 0
        var ended = 0
        var status: GRPCStatus?
        harness.connection.call(
            "/s/Watch", [], timeout: .seconds(9),
            receiver: .pieces(
                limit: 64 << 20, begin: { begun.append($0) },
                append: {
                    received += $0.count
                    largest = max(largest, $0.count)
                }, end: { ended += 1 }),
            onEnd: { status = $0 })
        harness.run { status != nil }
        #expect(status?.isOK == true)
        #expect(begun == [size, 3])
        #expect(received == size + 3)
        #expect(ended == 2)
        #expect(largest < 1 << 20)
    }

    @Test func aMessageAboveTheLimitNamesBothFigures() {
        let harness = Harness()
        defer { harness.stop() }
        #expect(harness.server.start())
        harness.server.onMessage = { call, _ in call.send([UInt8](repeating: 0, count: 5000)) }
        harness.open()
        var status: GRPCStatus?
        harness.connection.call("/s/Watch", [], timeout: nil, receiver: .whole(limit: 4999) { _ in }) { status = $0 }
        harness.run { status != nil }
        #expect(
            status == GRPCStatus(.resourceExhausted, "a message of 5000 octets is above the limit of 4999 octets"))
        // The connection goes on.
        #expect(harness.closed == nil)
    }

    @Test func aStreamThatIsCutIsNoCompleteMessage() {
        let harness = Harness()
        defer { harness.stop() }
        #expect(harness.server.start())
        harness.server.onMessage = { call, _ in
            call.sendRaw([0, 0, 0, 0, 100, 1, 2, 3])
            call.end()
        }
        harness.open()
        var ended = 0
        var status: GRPCStatus?
        harness.connection.call(
            "/s/Watch", [], timeout: nil,
            receiver: .pieces(limit: 1000, begin: { _ in }, append: { _ in }, end: { ended += 1 })
        ) { status = $0 }
        harness.run { status != nil }
        #expect(ended == 0)
        #expect(status == GRPCStatus(.internal, "the server ended the call within a message"))
    }

    @Test func aServerThatGoesEndsEveryCallAndSaysWhy() {
        let harness = Harness()
        defer { harness.stop() }
        #expect(harness.server.start())
        var hasCall = false
        harness.server.onMessage = { _, _ in hasCall = true }
        harness.open()
        var status: GRPCStatus?
        harness.connection.call("/s/Watch", [], timeout: nil, receiver: .whole { _ in }) { status = $0 }
        harness.run { hasCall }
        harness.server.stop()
        harness.run { harness.closed != nil }
        #expect(status?.code == .unavailable)
        #expect(harness.closed?.description.contains("the server closed the connection") == true)
        // A call after the end is refused, not lost.
        var late: GRPCStatus?
        harness.connection.unary("/s/M", [], timeout: .seconds(1)) { if case .failure(let error) = $0 { late = error } }
        harness.run { late != nil }
        #expect(late?.code == .unavailable)
    }

    @Test func aServerOfAnotherKindIsNamed() {
        let harness = Harness()
        defer { harness.stop() }
        harness.server.greeting = Array("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n".utf8)
        #expect(harness.server.start())
        harness.open()
        #expect(!harness.opened)
        #expect(
            harness.closed?.description.contains("does not answer in HTTP/2") == true,
            "\(String(describing: harness.closed))")
    }

    @Test func nobodyListens() {
        let harness = Harness()
        defer { harness.stop() }
        harness.open()
        #expect(harness.closed?.description.contains("No such file or directory") == true)
    }

    @Test func aServerThatSaysNothingTimesOut() {
        let harness = Harness()
        defer { harness.stop() }
        // Listening without accepting: the kernel completes the connection, nobody answers.
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(harness.path.utf8)) }
        withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        _ = listen(descriptor, 4)
        defer { unlink(harness.path) }
        harness.open()
        #expect(harness.closed?.description.contains("no answer within 2 s") == true)
    }

    @Test func messagesInAClientStream() {
        let harness = Harness()
        defer { harness.stop() }
        #expect(harness.server.start())
        var received: [[UInt8]] = []
        harness.server.onMessage = { received.append($1) }
        harness.server.onEnd = { call in
            call.send([9])
            call.end()
        }
        harness.open()
        var status: GRPCStatus?
        let call = harness.connection.call("/s/Add", nil, timeout: .seconds(5), receiver: .whole { _ in }) {
            status = $0
        }
        harness.connection.send([1], on: call)
        harness.run { received.count == 1 }
        harness.connection.send([2, 2], on: call)
        harness.run { received.count == 2 }
        harness.connection.finish(call)
        harness.run { status != nil }
        #expect(received == [[1], [2, 2]])
        #expect(status?.isOK == true)
    }

    /// Whatever a server sends, the client says so and lives.
    @Test func nonsenseAfterTheHandshake() {
        for seed in 0..<40 {
            let harness = Harness()
            defer { harness.stop() }
            var bytes: [UInt8] = [0, 0, 0, 4, 0, 0, 0, 0, 0]  // an empty SETTINGS frame
            var state = UInt64(seed) &* 0x9e37_79b9_7f4a_7c15 | 1
            for _ in 0..<200 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                bytes.append(UInt8(truncatingIfNeeded: state >> 56) & (seed % 2 == 0 ? 0xff : 0x0f))
            }
            harness.server.greeting = bytes
            #expect(harness.server.start())
            harness.open()
            harness.connection.call("/s/M", [], timeout: .milliseconds(20), receiver: .whole { _ in }) { _ in }
            var isLate = false
            harness.loop.schedule(after: .milliseconds(30)) { isLate = true }
            harness.run { harness.closed != nil || isLate }
        }
    }
}
