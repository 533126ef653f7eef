// The other end of the daemon's control socket.

import AsyncIO
import Documents
import Glibc

struct Client {
    private static let patienceSeconds = 120
    private let descriptor: Int32
    private let path: String

    init(path: String) throws(CommandError) {
        self.path = path
        do throws(SystemError) {
            descriptor = try connectUnix(path)
        } catch {
            switch error.code {
            case ENOENT:
                throw CommandError(
                    status: 3,
                    reason: "evpnd is not running: there is no socket at \(path); start it with systemctl start evpnd, "
                        + "or name its socket with --socket PATH")
            case ECONNREFUSED:
                throw CommandError(
                    status: 3,
                    reason: "evpnd is not running: nobody listens at \(path); look at journalctl -u evpnd")
            case EACCES:
                throw CommandError(
                    status: 1, reason: "no permission for \(path); become root or a member of the socket's group")
            default: throw CommandError(status: 1, reason: error.description)
            }
        }
    }

    func close() { Glibc.close(descriptor) }

    /// Sends a request and calls `body` with each reply line until the last one, or for ever with a stream.
    func request(_ request: JSONValue, isStream: Bool = false, _ body: (JSONValue) throws(CommandError) -> Void)
        throws(CommandError)
    {
        send(request.description + "\n")
        // Cleaning up hundreds of thousands of entries takes seconds; a daemon that is stuck never answers.
        var limit = timeval(tv_sec: isStream ? 0 : Client.patienceSeconds, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var pending: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            if count < 0, errno == EAGAIN {
                throw CommandError(
                    status: 1,
                    reason: "evpnd has not answered for \(Client.patienceSeconds) s; look at journalctl -u evpnd")
            }
            guard count > 0 else {
                if isStream { throw CommandError(status: 3, reason: "evpnd has ended") }
                throw CommandError(status: 1, reason: "evpnd closed \(path) before the end of its reply")
            }
            var start = 0
            for index in 0..<count where buffer[index] == 0x0a {
                pending += buffer[start..<index]
                start = index + 1
                guard let reply = JSONValue(parsing: pending) else {
                    throw CommandError(status: 1, reason: "evpnd's reply is not JSON; is \(path) its socket?")
                }
                pending = []
                if case .string(let reason)? = reply["error"] {
                    var text = reason
                    if case .array(let problems)? = reply["problems"] {
                        for case .string(let problem) in problems { text += "\n  \(problem)" }
                    }
                    throw CommandError(status: 1, reason: text)
                }
                try body(reply)
                if !isStream, reply["ok"] == .bool(true) { return }
            }
            pending += buffer[start..<count]
        }
    }

    /// A peer that hung up is noticed when its reply is read, where it may have left a reason.
    private func send(_ text: String) {
        let bytes = Array(text.utf8)
        var offset = 0
        while offset < bytes.count {
            let count = bytes[offset...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            if count <= 0 { return }
            offset += count
        }
    }

    /// The rows of a reply that may come in pages.
    func rows(_ name: String, _ request: JSONValue) throws(CommandError) -> [JSONValue] {
        var rows: [JSONValue] = []
        try self.request(request) { reply in
            if case .array(let page)? = reply[name] { rows += page }
        }
        return rows
    }
    /// The value of a reply of one line.
    func value(_ name: String, _ request: JSONValue) throws(CommandError) -> JSONValue {
        var value = JSONValue.null
        try self.request(request) { reply in value = reply[name] ?? .null }
        return value
    }
}
