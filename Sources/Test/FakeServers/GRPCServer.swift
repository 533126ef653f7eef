// A gRPC server for tests: it answers what the test says, also what no good server would.

public import AsyncIO
import CNghttp2
import Glibc

/// Listens on a socket of the file system. Confined to the loop's thread.
public final class GRPCServer {
    /// A message of a call is here.
    public var onMessage: ((ServerCall, [UInt8]) -> Void)?
    /// The client has no more messages.
    public var onEnd: ((ServerCall) -> Void)?
    /// Octets sent at once to each client instead of HTTP/2, for servers that speak something else.
    public var greeting: [UInt8]?

    private let loop: EventLoop
    private let path: String
    private var listener: Int32 = -1
    private var connections: [Int32: ServerConnection] = [:]

    public init(loop: EventLoop, path: String) {
        self.loop = loop
        self.path = path
    }

    /// Starts to listen; false if the kernel refuses.
    public func start() -> Bool {
        unlink(path)
        listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8.prefix(107))
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0, listen(listener, 16) == 0 else { return false }
        loop.watch(listener, .readable) { [weak self] _ in self?.accept() }
        return true
    }
    /// Drops every connection and stops to listen, as a killed daemon does.
    public func stop() {
        for connection in connections.values { connection.close(loop) }
        connections = [:]
        guard listener >= 0 else { return }
        loop.unwatch(listener)
        close(listener)
        listener = -1
        unlink(path)
    }
    public var connectionCount: Int { connections.count }

    private func accept() {
        let descriptor = Glibc.accept(listener, nil, nil)
        guard descriptor >= 0 else { return }
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        let connection = ServerConnection(server: self, descriptor: descriptor)
        connections[descriptor] = connection
        if let greeting { connection.output = greeting }
        loop.watch(descriptor, .readable) { [weak self, weak connection] readiness in
            guard let self, let connection else { return }
            if !connection.serve(readiness, self.loop) { self.drop(connection) }
        }
        flush(connection)
    }
    private func drop(_ connection: ServerConnection) {
        guard connections.removeValue(forKey: connection.descriptor) != nil else { return }
        connection.close(loop)
    }
    fileprivate func flush(_ connection: ServerConnection) {
        loop.afterRound { [weak self, weak connection] in
            guard let self, let connection else { return }
            if !connection.flush(self.loop) { self.drop(connection) }
        }
    }
}

/// One call as the server sees it.
public final class ServerCall {
    public fileprivate(set) var path = ""
    /// What the client said under `grpc-timeout`.
    public fileprivate(set) var timeout: String?
    fileprivate let stream: Int32
    fileprivate weak var connection: ServerConnection?
    fileprivate var input: [UInt8] = []
    fileprivate var output: [UInt8] = []
    fileprivate var sent = 0
    fileprivate var hasAnswered = false
    fileprivate var isDeferred = false
    fileprivate var trailer: [(String, String)]?

    fileprivate init(stream: Int32, connection: ServerConnection) {
        self.stream = stream
        self.connection = connection
    }

    /// Sends one message.
    public func send(_ message: [UInt8]) {
        let count = message.count
        sendRaw([0] + (0..<4).map { UInt8(truncatingIfNeeded: count >> (24 - 8 * $0)) } + message)
    }
    /// Sends octets as they are, framing included.
    public func sendRaw(_ bytes: [UInt8]) {
        if sent == output.count {
            output = []
            sent = 0
        }
        output += bytes
        connection?.push(self)
    }
    /// Ends the call with a status of the gRPC specification.
    public func end(_ code: Int = 0, _ message: String = "") {
        trailer = [("grpc-status", "\(code)")] + (message.isEmpty ? [] : [("grpc-message", message)])
        connection?.push(self)
    }
    /// Resets the call.
    public func reset() { connection?.reset(self) }
    /// Drops the whole connection.
    public func disconnect() { connection?.isDoomed = true; connection?.push(self) }
}

final class ServerConnection {
    let descriptor: Int32
    var output: [UInt8] = []
    var isDoomed = false
    private weak var server: GRPCServer?
    private var session: OpaquePointer?
    private var calls: [Int32: ServerCall] = [:]

    init(server: GRPCServer, descriptor: Int32) {
        self.server = server
        self.descriptor = descriptor
        var callbacks: OpaquePointer?
        nghttp2_session_callbacks_new(&callbacks)
        nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks) { _, frame, context in
            guard let me = ServerConnection.from(context), let stream = frame?.pointee.hd.stream_id else { return 0 }
            if me.calls[stream] == nil { me.calls[stream] = ServerCall(stream: stream, connection: me) }
            return 0
        }
        nghttp2_session_callbacks_set_on_header_callback(callbacks) {
            _, frame, name, nameLength, value, valueLength, _, context in
            guard let me = ServerConnection.from(context), let stream = frame?.pointee.hd.stream_id,
                let call = me.calls[stream]
            else { return 0 }
            let text = String(decoding: UnsafeBufferPointer(start: value, count: valueLength), as: UTF8.self)
            switch String(decoding: UnsafeBufferPointer(start: name, count: nameLength), as: UTF8.self) {
            case ":path": call.path = text
            case "grpc-timeout": call.timeout = text
            default: break
            }
            return 0
        }
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) { _, _, stream, data, count, context in
            guard let me = ServerConnection.from(context), let call = me.calls[stream] else { return 0 }
            call.input += UnsafeBufferPointer(start: data, count: count)
            while call.input.count >= 5 {
                let length = call.input[1..<5].reduce(0) { $0 << 8 | Int($1) }
                guard call.input.count >= 5 + length else { break }
                let message = Array(call.input[5..<5 + length])
                call.input.removeFirst(5 + length)
                me.server?.onMessage?(call, message)
            }
            return 0
        }
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks) { _, frame, context in
            guard let me = ServerConnection.from(context), let head = frame?.pointee.hd,
                head.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0, let call = me.calls[head.stream_id]
            else { return 0 }
            me.server?.onEnd?(call)
            return 0
        }
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) { _, stream, _, context in
            ServerConnection.from(context)?.calls[stream] = nil
            return 0
        }
        nghttp2_session_server_new(&session, callbacks, Unmanaged.passUnretained(self).toOpaque())
        nghttp2_session_callbacks_del(callbacks)
        nghttp2_submit_settings(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), nil, 0)
    }
    deinit { nghttp2_session_del(session) }
    private static func from(_ context: UnsafeMutableRawPointer?) -> ServerConnection? {
        context.map { Unmanaged<ServerConnection>.fromOpaque($0).takeUnretainedValue() }
    }

    func close(_ loop: EventLoop) {
        loop.unwatch(descriptor)
        Glibc.close(descriptor)
    }
    /// False: the connection is over.
    func serve(_ readiness: EventLoop.Readiness, _ loop: EventLoop) -> Bool {
        if readiness.contains(.readable) {
            var buffer = [UInt8](repeating: 0, count: 64 << 10)
            let count = read(descriptor, &buffer, buffer.count)
            if count == 0 || count < 0 && errno != EAGAIN { return false }
            if count > 0, nghttp2_session_mem_recv(session, buffer, count) < 0 { return false }
        }
        return flush(loop)
    }
    func flush(_ loop: EventLoop) -> Bool {
        while true {
            if output.isEmpty {
                var data: UnsafePointer<UInt8>?
                let count = nghttp2_session_mem_send(session, &data)
                if count < 0 { return false }
                if count == 0 { break }
                output = Array(UnsafeBufferPointer(start: data, count: count))
            }
            let count = Glibc.send(descriptor, output, output.count, Int32(MSG_NOSIGNAL))
            if count < 0 {
                guard errno == EAGAIN else { return false }
                loop.modify(descriptor, [.readable, .writable])
                return true
            }
            output.removeFirst(count)
        }
        loop.modify(descriptor, .readable)
        return !isDoomed
    }
    func reset(_ call: ServerCall) {
        nghttp2_submit_rst_stream(
            session, UInt8(NGHTTP2_FLAG_NONE.rawValue), call.stream, UInt32(NGHTTP2_INTERNAL_ERROR.rawValue))
        server?.flush(self)
    }
    func push(_ call: ServerCall) {
        if !call.hasAnswered {
            call.hasAnswered = true
            var provider = nghttp2_data_provider()
            provider.read_callback = { session, stream, buffer, length, flags, _, context in
                guard let call = ServerConnection.from(context)?.calls[stream], let buffer, let flags else {
                    return ssize_t(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue)
                }
                let count = min(length, call.output.count - call.sent)
                call.output.withUnsafeBytes {
                    UnsafeMutableRawBufferPointer(start: buffer, count: count).copyMemory(
                        from: UnsafeRawBufferPointer(rebasing: $0[call.sent..<call.sent + count]))
                }
                call.sent += count
                if call.sent == call.output.count {
                    if let trailer = call.trailer {
                        flags.pointee |=
                            UInt32(NGHTTP2_DATA_FLAG_EOF.rawValue) | UInt32(NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue)
                        withHeaders(trailer) { _ = nghttp2_submit_trailer(session, stream, $0, $1) }
                    } else if count == 0 {
                        call.isDeferred = true
                        return ssize_t(NGHTTP2_ERR_DEFERRED.rawValue)
                    }
                }
                return count
            }
            withHeaders([(":status", "200"), ("content-type", "application/grpc")]) {
                _ = nghttp2_submit_response(session, call.stream, $0, $1, &provider)
            }
        } else if call.isDeferred {
            call.isDeferred = false
            nghttp2_session_resume_data(session, call.stream)
        }
        server?.flush(self)
    }
}

private func withHeaders(_ headers: [(String, String)], _ body: (UnsafePointer<nghttp2_nv>?, Int) -> Void) {
    var text: [UInt8] = []
    for (name, value) in headers { text += Array(name.utf8) + Array(value.utf8) }
    text.withUnsafeMutableBufferPointer { buffer in
        guard let base = buffer.baseAddress else { return }
        var offset = 0
        let list = headers.map { name, value -> nghttp2_nv in
            let start = offset
            offset += name.utf8.count + value.utf8.count
            return nghttp2_nv(
                name: base + start, value: base + start + name.utf8.count, namelen: name.utf8.count,
                valuelen: value.utf8.count, flags: UInt8(NGHTTP2_NV_FLAG_NONE.rawValue))
        }
        body(list, list.count)
    }
}
