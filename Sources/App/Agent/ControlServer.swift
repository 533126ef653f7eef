// The control socket: newline-delimited JSON requests and replies between evpnctl and the daemon.

import AsyncIO
import CLinux
import Documents
import Glibc

/// Serves requests on a unix stream socket. One request line gives one or more reply lines; the last one carries
/// `"ok": true` or `"error"`, so that a client knows the end. Confined to the loop's thread.
final class ControlServer {
    /// Longest request line, most clients, and most unread reply octets before a client is dropped.
    static let maximumRequest = 64 << 10
    static let maximumClients = 64
    static let maximumBacklog = 64 << 20

    /// One connected evpnctl.
    final class Client {
        fileprivate let descriptor: Int32
        fileprivate var input: [UInt8] = []
        fileprivate var output: [UInt8] = []
        fileprivate var sent = 0
        fileprivate var isWriting = false
        fileprivate var closesWhenSent = false
        /// Its lines are being looked at now.
        fileprivate var isServing = false
        /// `more` is about to be called.
        fileprivate var isContinuing = false
        fileprivate var isReplying: Bool { more != nil || isContinuing }
        fileprivate(set) var isClosed = false
        /// Set by `watch`: the client gets every event.
        var isWatching = false
        /// Continues a reply that comes in pages; called when the previous page has been taken.
        var more: (() -> Void)?
        fileprivate weak var server: ControlServer?
        fileprivate init(descriptor: Int32, server: ControlServer) {
            self.descriptor = descriptor
            self.server = server
        }
        /// Queues one reply line.
        func send(_ value: JSONValue) {
            guard !isClosed else { return }
            value.write(to: &output)
            output.append(0x0a)
            if output.count - sent > ControlServer.maximumBacklog {
                server?.drop(self)
            } else {
                server?.flush(self)
            }
        }
        func fail(_ reason: String) { send(["error": JSONValue(reason)]) }
    }

    private let loop: EventLoop
    private let listener: Int32
    private let path: String
    private let handler: (JSONValue, Client) -> Void
    private var clients: [Int32: Client] = [:]

    /// `handler` gets each well-formed request.
    init(loop: EventLoop, path: String, mode: UInt32, group: String?, handler: @escaping (JSONValue, Client) -> Void)
        throws(SystemError)
    {
        self.loop = loop
        self.path = path
        self.handler = handler
        listener = try listenUnix(path, mode: mode)
        if let group {
            guard let entry = getgrnam(group) else {
                throw SystemError("group \(group) of the control socket", code: ENOENT)
            }
            guard chown(path, uid_t.max, entry.pointee.gr_gid) == 0 else { throw SystemError("chown \(path)") }
        }
        loop.watch(listener, .readable) { [weak self] _ in self?.accept() }
    }

    func close() {
        loop.unwatch(listener)
        Glibc.close(listener)
        unlink(path)
        for client in clients.values { drop(client) }
    }

    /// Sends an event line to every watching client.
    func broadcast(_ event: JSONValue) {
        for client in clients.values where client.isWatching { client.send(event) }
    }
    var hasWatchers: Bool { clients.values.contains { $0.isWatching } }

    private func accept() {
        while true {
            let descriptor = evpnd_accept(listener)
            guard descriptor >= 0 else { return }
            guard clients.count < ControlServer.maximumClients else {
                var reply: [UInt8] = []
                JSONValue.object([.init("error", "\(ControlServer.maximumClients) clients are connected already")])
                    .write(to: &reply)
                reply.append(0x0a)
                Glibc.send(descriptor, reply, reply.count, Int32(MSG_NOSIGNAL))
                Glibc.close(descriptor)
                continue
            }
            let client = Client(descriptor: descriptor, server: self)
            clients[descriptor] = client
            loop.watch(descriptor, .readable) { [weak self] readiness in self?.ready(client, readiness) }
        }
    }

    private func ready(_ client: Client, _ readiness: EventLoop.Readiness) {
        if readiness.contains(.writable) { flush(client) }
        guard !client.isClosed, !readiness.isDisjoint(with: [.readable, .failed]) else { return }
        withUnsafeTemporaryAllocation(byteCount: 16 << 10, alignment: 1) { buffer in
            while !client.isClosed {
                let count = read(client.descriptor, buffer.baseAddress, buffer.count)
                if count > 0 {
                    client.input.append(contentsOf: buffer[..<count])
                    serveLines(client)
                } else if count < 0, errno == EAGAIN {
                    return
                } else {
                    // A client may close its sending side and still wait for the reply.
                    finish(client)
                    return
                }
            }
        }
    }
    private func finish(_ client: Client) {
        if client.output.count > client.sent || client.isReplying || client.input.contains(0x0a) {
            client.closesWhenSent = true
            loop.modify(client.descriptor, .writable)
            client.isWriting = true
        } else {
            drop(client)
        }
    }

    /// One request after the other: the next one waits until the reply to the last has been taken as a whole.
    private func serveLines(_ client: Client) {
        client.isServing = true
        defer { client.isServing = false }
        while !client.isClosed, !client.isReplying, let end = client.input.firstIndex(of: 0x0a) {
            let line = Array(client.input[..<end])
            client.input.removeSubrange(...end)
            if line.isEmpty { continue }
            guard line.count <= ControlServer.maximumRequest, let request = JSONValue(parsing: line),
                case .object = request
            else {
                client.fail("a request is one JSON object on one line, like {\"command\":\"status\"}")
                continue
            }
            handler(request, client)
        }
        if client.input.count > ControlServer.maximumRequest {
            client.fail("the request is longer than \(ControlServer.maximumRequest) octets")
            client.input = []
            finish(client)
        }
    }

    fileprivate func flush(_ client: Client) {
        while client.sent < client.output.count {
            let count = client.output.withUnsafeBytes { bytes in
                Glibc.send(
                    client.descriptor, bytes.baseAddress.map { $0 + client.sent }, bytes.count - client.sent,
                    Int32(MSG_NOSIGNAL))
            }
            if count > 0 {
                client.sent += count
                continue
            }
            guard count < 0, errno == EAGAIN else { return drop(client) }
            if !client.isWriting {
                client.isWriting = true
                loop.modify(client.descriptor, client.closesWhenSent ? .writable : [.readable, .writable])
            }
            return
        }
        client.output.removeAll(keepingCapacity: client.output.count < 1 << 20)
        client.sent = 0
        if let more = client.more {
            client.more = nil
            client.isContinuing = true
            loop.afterRound {
                client.isContinuing = false
                more()
            }
            return
        }
        if client.isServing || client.isContinuing { return }
        if client.input.contains(0x0a) {
            loop.afterRound { [weak self] in
                self?.serveLines(client)
                self?.flush(client)
            }
            return
        }
        if client.closesWhenSent { return drop(client) }
        if client.isWriting {
            client.isWriting = false
            loop.modify(client.descriptor, .readable)
        }
    }

    fileprivate func drop(_ client: Client) {
        guard !client.isClosed else { return }
        client.isClosed = true
        client.more = nil
        loop.unwatch(client.descriptor)
        Glibc.close(client.descriptor)
        clients[client.descriptor] = nil
    }
}
