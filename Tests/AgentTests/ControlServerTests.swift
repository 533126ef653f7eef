// The control socket with clients that do not behave.

import AsyncIO
import Documents
import Glibc
import NetTypes
import Testing

@testable import Agent

@Suite(.serialized) struct ControlServerTests {
    /// A server that echoes `command`, and a loop that runs until `isDone` or five seconds have passed.
    final class Harness {
        let loop = EventLoop()
        let path: String
        var server: ControlServer?
        var requests = 0

        init() throws {
            path = "/tmp/evpnd-test-\(getpid())-\(UInt32.random(in: 0 ... .max)).sock"
            server = try ControlServer(loop: loop, path: path, mode: 0o600, group: nil) { [weak self] request, client in
                self?.requests += 1
                if let pages = request.text("pages").flatMap({ Int($0) }) {
                    self?.reply(page: 1, of: pages, request["command"] ?? .null, client)
                    return
                }
                client.send(.reply("echo", request["command"] ?? .null))
            }
        }
        private func reply(page: Int, of pages: Int, _ name: JSONValue, _ client: ControlServer.Client) {
            guard page < pages else { return client.send(.reply("echo", name)) }
            client.more = { [weak self, weak client] in
                guard let client else { return }
                self?.reply(page: page + 1, of: pages, name, client)
            }
            client.send(["page": .int(page), "echo": name])
        }
        func run(until isDone: @escaping () -> Bool) {
            let deadline = loop.now + .seconds(5)
            func poll() {
                if isDone() || loop.now > deadline { return loop.stop() }
                loop.schedule(after: .milliseconds(1)) { poll() }
            }
            poll()
            loop.run()
        }
        func connect() throws -> Int32 {
            let descriptor = try connectUnix(path)
            _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
            return descriptor
        }
        /// Sends and returns what comes back until a newline, or nothing when the server closes.
        func exchange(_ descriptor: Int32, _ bytes: [UInt8]) -> String {
            var sent = 0
            var reply: [UInt8] = []
            var isClosed = false
            run {
                while sent < bytes.count {
                    let count = bytes[sent...].withUnsafeBytes {
                        send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                    }
                    if count <= 0 { break }
                    sent += count
                }
                var buffer = [UInt8](repeating: 0, count: 4096)
                let count = read(descriptor, &buffer, buffer.count)
                if count > 0 { reply += buffer[..<count] }
                if count == 0 { isClosed = true }
                return isClosed || reply.contains(0x0a)
            }
            return String(decoding: reply, as: UTF8.self)
        }
        func close() { server?.close() }
    }

    @Test func answersARequest() throws {
        let harness = try Harness()
        defer { harness.close() }
        let client = try harness.connect()
        defer { close(client) }
        #expect(harness.exchange(client, Array("{\"command\":\"x\"}\n".utf8)) == "{\"ok\":true,\"echo\":\"x\"}\n")
    }

    @Test(arguments: ["nonsense\n", "[1]\n", "{\n", "\u{0}\u{1}\n", "{\"a\":1}{\"b\":2}\n"])
    func garbageGetsAnErrorAndTheServerLives(_ text: String) throws {
        let harness = try Harness()
        defer { harness.close() }
        let client = try harness.connect()
        defer { close(client) }
        #expect(harness.exchange(client, Array(text.utf8)).hasPrefix("{\"error\":"))
        #expect(harness.requests == 0)
        #expect(harness.exchange(client, Array("{\"command\":\"y\"}\n".utf8)) == "{\"ok\":true,\"echo\":\"y\"}\n")
    }

    @Test func anEndlessLineIsCutOff() throws {
        let harness = try Harness()
        defer { harness.close() }
        let client = try harness.connect()
        defer { close(client) }
        let line = [UInt8](repeating: 0x61, count: ControlServer.maximumRequest + 4096)
        #expect(harness.exchange(client, line).contains("longer than"))
        let other = try harness.connect()
        defer { close(other) }
        #expect(harness.exchange(other, Array("{\"command\":\"z\"}\n".utf8)).contains("\"ok\":true"))
    }

    /// Requests sent together are answered one after the other, pages and all, also to a client that has finished sending.
    @Test func pipelinedRequestsDoNotMix() throws {
        let harness = try Harness()
        defer { harness.close() }
        let client = try harness.connect()
        defer { close(client) }
        let text =
            #"{"command":"a","pages":3}"# + "\n" + #"{"command":"b"}"# + "\n" + #"{"command":"c","pages":2}"# + "\n"
        #expect(Array(text.utf8).withUnsafeBytes { send(client, $0.baseAddress, $0.count, 0) } == text.utf8.count)
        shutdown(client, Int32(SHUT_WR))
        var reply: [UInt8] = []
        harness.run {
            var buffer = [UInt8](repeating: 0, count: 4096)
            let count = read(client, &buffer, buffer.count)
            if count > 0 { reply += buffer[..<count] }
            return count == 0
        }
        let lines = String(decoding: reply, as: UTF8.self).split(separator: "\n")
        #expect(
            lines == [
                #"{"page":1,"echo":"a"}"#, #"{"page":2,"echo":"a"}"#, #"{"ok":true,"echo":"a"}"#,
                #"{"ok":true,"echo":"b"}"#,
                #"{"page":1,"echo":"c"}"#, #"{"ok":true,"echo":"c"}"#,
            ])
    }

    @Test func tooManyClientsAreToldSo() throws {
        let harness = try Harness()
        defer { harness.close() }
        var clients: [Int32] = []
        defer { for client in clients { close(client) } }
        for _ in 0..<ControlServer.maximumClients {
            let client = try harness.connect()
            clients.append(client)
            #expect(harness.exchange(client, Array("{\"command\":\"x\"}\n".utf8)).contains("\"ok\":true"))
        }
        let late = try harness.connect()
        defer { close(late) }
        #expect(harness.exchange(late, []).contains("clients are connected already"))
    }

    @Test func aSecondServerDoesNotStealTheSocket() throws {
        let harness = try Harness()
        defer { harness.close() }
        #expect(throws: SystemError.self) {
            try ControlServer(loop: harness.loop, path: harness.path, mode: 0o600, group: nil) { _, _ in }
        }
    }
}
