// A small HTTP server for metrics and health, over libmicrohttpd, driven by our own event loop.

public import AsyncIO
import CMicroHTTPD
import Glibc

/// Serves GET requests on one listening socket. Confined to the loop's thread.
public final class HTTPServer {
    public struct Response {
        public var status: UInt32
        public var contentType: String
        public var body: [UInt8]
        public init(status: UInt32 = 200, contentType: String = "text/plain; charset=utf-8", body: [UInt8]) {
            self.status = status
            self.contentType = contentType
            self.body = body
        }
    }
    /// Path without the query, e.g. `/metrics`.
    public typealias Handler = (_ path: String) -> Response

    private let loop: EventLoop
    private let handler: Handler
    private var daemon: OpaquePointer?
    private var epoll: Int32 = -1
    private var timer: TimerID?

    /// Takes over `listener`, a bound and listening TCP socket. Nil when libmicrohttpd cannot start.
    public init?(loop: EventLoop, listener: Int32, handler: @escaping Handler) {
        self.loop = loop
        self.handler = handler
        var options = [
            MHD_OptionItem(option: .LISTEN_SOCKET, value: Int(listener), ptr_value: nil),
            MHD_OptionItem(option: .CONNECTION_TIMEOUT, value: 30, ptr_value: nil),
            MHD_OptionItem(option: .CONNECTION_LIMIT, value: 64, ptr_value: nil),
            MHD_OptionItem(option: .CONNECTION_MEMORY_LIMIT, value: 16 << 10, ptr_value: nil),
            MHD_OptionItem(option: .END, value: 0, ptr_value: nil),
        ]
        let context = Unmanaged.passUnretained(self).toOpaque()
        daemon = evpnd_mhd_start(UInt32(MHD_USE_EPOLL.rawValue), 0, answer, context, &options)
        guard let daemon else { return nil }
        epoll = evpnd_mhd_epoll_descriptor(daemon)
        loop.watch(epoll, .readable) { [weak self] _ in self?.serve() }
    }

    /// Closes the listener and all connections.
    public func close() {
        if let timer { loop.cancel(timer) }
        if epoll >= 0 { loop.unwatch(epoll) }
        if let daemon { MHD_stop_daemon(daemon) }
        daemon = nil
        epoll = -1
    }

    private func serve() {
        guard let daemon else { return }
        MHD_run(daemon)
        if let timer { loop.cancel(timer) }
        var milliseconds: UInt64 = 0
        guard MHD_get_timeout(daemon, &milliseconds) == .YES else { return }
        timer = loop.schedule(after: .milliseconds(Int64(clamping: milliseconds))) { [weak self] in self?.serve() }
    }

    fileprivate func response(method: String, path: String) -> Response {
        guard method == "GET" || method == "HEAD" else {
            return Response(status: 405, body: Array("only GET is served here\n".utf8))
        }
        return handler(path)
    }
}

private func answer(
    context: UnsafeMutableRawPointer?, connection: OpaquePointer?, url: UnsafePointer<CChar>?,
    method: UnsafePointer<CChar>?, version: UnsafePointer<CChar>?, upload: UnsafePointer<CChar>?,
    uploadSize: UnsafeMutablePointer<Int>?, state: UnsafeMutablePointer<UnsafeMutableRawPointer?>?
) -> MHD_Result {
    guard let context, let url, let method else { return .NO }
    if let uploadSize, uploadSize.pointee > 0 { return .NO }
    let server = Unmanaged<HTTPServer>.fromOpaque(context).takeUnretainedValue()
    let response = server.response(method: String(cString: method), path: String(cString: url))
    let reply = response.body.withUnsafeBytes { body in
        MHD_create_response_from_buffer(
            body.count, UnsafeMutableRawPointer(mutating: body.baseAddress), .RESPMEM_MUST_COPY)
    }
    guard let reply else { return .NO }
    defer { MHD_destroy_response(reply) }
    MHD_add_response_header(reply, "Content-Type", response.contentType)
    return MHD_queue_response(connection, response.status, reply)
}
