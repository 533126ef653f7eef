// The metrics server as a client sees it.

import AsyncIO
import Glibc
import HTTP
import NetTypes
import Testing

@Suite(.serialized) struct HTTPServerTests {
    private let loop = EventLoop()

    /// Sends `request` and returns everything until the server closes or five seconds have passed.
    private func exchange(_ request: String, _ handler: @escaping HTTPServer.Handler) throws -> String {
        let listener = try listenTCP(.v4(IPv4Address(rawValue: 0x7f00_0001)), port: 0)
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let client = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(client) }
        let isConnected = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getsockname(listener, $0, &length) == 0 && connect(client, $0, length) == 0
            }
        }
        #expect(isConnected)
        let server = try #require(HTTPServer(loop: loop, listener: listener, handler: handler))
        defer { server.close() }
        _ = fcntl(client, F_SETFL, O_NONBLOCK)
        #expect(send(client, request, request.utf8.count, 0) == request.utf8.count)
        var reply: [UInt8] = []
        let deadline = loop.now + .seconds(5)
        func poll() {
            var buffer = [UInt8](repeating: 0, count: 4096)
            let count = read(client, &buffer, buffer.count)
            if count > 0 { reply += buffer[..<count] }
            if count == 0 || loop.now > deadline { return loop.stop() }
            loop.schedule(after: .milliseconds(1)) { poll() }
        }
        poll()
        loop.run()
        return String(decoding: reply, as: UTF8.self)
    }
    private func request(_ method: String, _ path: String) -> String {
        "\(method) \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    }

    @Test func answersWithStatusTypeAndBody() throws {
        var paths: [String] = []
        let reply = try exchange(request("GET", "/metrics?x=1")) { path in
            paths.append(path)
            return .init(status: 503, contentType: "text/x-test", body: Array("not yet\n".utf8))
        }
        #expect(paths == ["/metrics"])
        #expect(reply.hasPrefix("HTTP/1.1 503 "))
        #expect(reply.contains("Content-Type: text/x-test\r\n") && reply.hasSuffix("\r\n\r\nnot yet\n"))
    }
    @Test func aHeadHasNoBody() throws {
        let reply = try exchange(request("HEAD", "/healthz")) { _ in .init(body: Array("ok\n".utf8)) }
        #expect(reply.hasPrefix("HTTP/1.1 200 ") && reply.hasSuffix("\r\n\r\n"))
        #expect(reply.contains("Content-Length: 3\r\n"))
    }
    @Test(arguments: ["POST", "DELETE", "PUT"]) func onlyReading(_ method: String) throws {
        let reply = try exchange(request(method, "/metrics")) { _ in
            Issue.record("the handler was asked")
            return .init(body: [])
        }
        #expect(reply.hasPrefix("HTTP/1.1 405 "))
    }
    @Test(arguments: ["\u{0}\u{1}\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n"])
    func garbageReachesNobody(_ text: String) throws {
        let reply = try exchange(text) { _ in
            Issue.record("the handler was asked")
            return .init(body: [])
        }
        #expect(!reply.hasPrefix("HTTP/1.1 200 "))
    }
    @Test func aLargeBodyComesWhole() throws {
        let body = [UInt8](repeating: 0x61, count: 3_000_000)
        let reply = try exchange(request("GET", "/metrics")) { _ in .init(body: body) }
        #expect(reply.utf8.count > body.count && reply.hasSuffix("aaaa"))
    }
}
