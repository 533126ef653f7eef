// One connection to a gRPC server, from the look-up of its name to the reason why it ended. Trying again is up to who made it.

public import AsyncIO
public import NetTypes
import Streams

/// A connection that is tried once. Confined to the loop's thread.
///
/// The loop holds it while it lives; `close` or the end of the connection lets go of it.
public final class GRPCConnection {
    /// The server has answered in HTTP/2.
    public var onOpen: (() -> Void)?
    /// The connection could not be made or has ended; never called after `close`. All calls were ended before.
    public var onClose: ((GRPCStatus) -> Void)?

    private let loop: EventLoop
    private let endpoint: StreamEndpoint
    private let isSecure: Bool
    private let connectTimeout: Duration

    private enum Phase { case idle, connecting, waiting, open, closed }
    private var phase = Phase.idle
    private let stream: StreamConnection
    private var session: HTTP2Session?
    private var timer: TimerID?
    private var deadlines: [ObjectIdentifier: TimerID] = [:]

    /// `connectTimeout`: for the look-up, the connection, TLS and HTTP/2 together.
    public init(loop: EventLoop, endpoint: StreamEndpoint, tls: TLSSettings?, connectTimeout: Duration = .seconds(5)) {
        self.loop = loop
        self.endpoint = endpoint
        var tls = tls
        tls?.applicationProtocol = "h2"
        isSecure = tls != nil
        stream = StreamConnection(loop: loop, endpoint: endpoint, tls: tls)
        self.connectTimeout = connectTimeout
    }

    public var isOpen: Bool { phase == .open && session?.goAway == nil }

    /// Starts; names are looked up on `resolver`, because that blocks.
    public func open(resolver: Worker) {
        guard phase == .idle else { return }
        phase = .connecting
        timer = loop.schedule(after: connectTimeout) { self.fail("no answer within \(self.connectTimeout.seconds) s") }
        stream.onOpen = {
            self.phase = .waiting
            self.session = HTTP2Session(authority: self.endpoint.authority, isSecure: self.isSecure)
        }
        stream.onOctets = { self.receive($0) }
        stream.onDrained = { self.takeOutput(&$0) }
        stream.onClose = { reason in
            // What the server said of its end says more than the end.
            let before = self.phase == .waiting ? " before it answered in HTTP/2" : ""
            self.fail(
                self.session?.goAway
                    ?? (reason == "the server closed the connection" ? reason + before : reason))
        }
        stream.open(resolver: resolver)
    }
    /// Ends the connection without a word to `onClose`; its calls end as cancelled.
    public func close() {
        onClose = nil
        end(GRPCStatus(.cancelled, "the connection was closed"))
    }

    // MARK: Calls

    /// Starts a call with `request` as its only message, or, if that is nil, with messages that `send` adds until `finish`.
    ///
    /// `timeout`: until the whole call has ended; nil for streams without an end. `onEnd` is called once, never from within this function.
    @discardableResult public func call(
        _ method: String, _ request: [UInt8]?, timeout: Duration?, receiver: MessageReceiver,
        onEnd: @escaping (GRPCStatus) -> Void
    ) -> GRPCCall {
        let call = GRPCCall(method: method, receiver: receiver, onEnd: onEnd)
        let key = ObjectIdentifier(call)
        call.beforeEnd = { [weak self] in
            guard let self, let timer = self.deadlines.removeValue(forKey: key) else { return }
            self.loop.cancel(timer)
        }
        guard let session, phase == .open || phase == .waiting, session.goAway == nil else {
            let reason = session?.goAway ?? "not connected to \(endpoint)"
            loop.afterRound { call.end(GRPCStatus(.unavailable, reason)) }
            return call
        }
        if let request {
            call.enqueue(request)
            call.hasFinishedSending = true
        }
        if let problem = session.start(call, timeoutMilliseconds: timeout?.milliseconds) {
            loop.afterRound { call.end(problem) }
            return call
        }
        if let timeout {
            deadlines[key] = loop.schedule(after: timeout) { [weak self] in
                self?.cancel(
                    call, GRPCStatus(.deadlineExceeded, "no answer to \(call.name) within \(timeout.seconds) s"))
            }
        }
        scheduleFlush()
        return call
    }
    /// A call of one message each way.
    public func unary(
        _ method: String, _ request: [UInt8], timeout: Duration, limit: Int = 4 << 20,
        _ completion: @escaping (Result<[UInt8], GRPCStatus>) -> Void
    ) {
        var reply: [UInt8]?
        call(method, request, timeout: timeout, receiver: .whole(limit: limit) { reply = $0 }) { status in
            if !status.isOK { return completion(.failure(status)) }
            guard let reply else {
                return completion(.failure(GRPCStatus(.internal, "the server ended the call without a reply")))
            }
            completion(.success(reply))
        }
    }
    /// A call whose reply is any number of messages, each handed over whole.
    public func collect(
        _ method: String, _ request: [UInt8], timeout: Duration, limit: Int = 4 << 20,
        each: @escaping ([UInt8]) -> Void, _ completion: @escaping (GRPCStatus) -> Void
    ) {
        call(method, request, timeout: timeout, receiver: .whole(limit: limit, each), onEnd: completion)
    }
    public func send(_ message: [UInt8], on call: GRPCCall) {
        guard !call.isEnded, !call.hasFinishedSending else { return }
        call.enqueue(message)
        session?.resume(call)
        scheduleFlush()
    }
    /// No more messages from us on this call.
    public func finish(_ call: GRPCCall) {
        guard !call.isEnded, !call.hasFinishedSending else { return }
        call.hasFinishedSending = true
        session?.resume(call)
        scheduleFlush()
    }
    /// Ends a call from our side.
    public func cancel(_ call: GRPCCall, _ status: GRPCStatus = GRPCStatus(.cancelled)) {
        guard !call.isEnded else { return }
        session?.abort(call, status)
        scheduleFlush()
    }

    // MARK: Octets

    private func receive(_ octets: UnsafeRawBufferPointer) {
        guard let session else { return }
        if let reason = session.receive(octets) { return fail(reason) }
        if session.isReady, phase == .waiting { opened() }
    }
    private func opened() {
        phase = .open
        if let timer { loop.cancel(timer) }
        timer = nil
        onOpen?()
    }
    private func scheduleFlush() { stream.scheduleFlush() }
    private func takeOutput(_ output: inout [UInt8]) {
        guard let session else { return }
        if let reason = session.takeOutput(&output, limit: 256 << 10) { return fail(reason) }
        // A call that ended meanwhile may have closed the connection.
        guard phase != .closed else { return }
        if output.isEmpty, session.isOver { fail(session.goAway ?? "the server closed the connection") }
    }

    // MARK: The end

    private func fail(_ reason: String) { end(GRPCStatus(.unavailable, "\(endpoint): \(reason)")) }
    private func end(_ status: GRPCStatus) {
        guard phase != .closed else { return }
        phase = .closed
        if let timer { loop.cancel(timer) }
        timer = nil
        stream.close()
        let session = session
        self.session = nil
        session?.endAll(status)
        let handler = onClose
        onClose = nil
        onOpen = nil
        handler?(status)
    }
}

extension Duration {
    fileprivate var milliseconds: Int { Int(clamping: clampedNanoseconds / 1_000_000) }
    fileprivate var seconds: String {
        let milliseconds = milliseconds
        return milliseconds % 1000 == 0 ? "\(milliseconds / 1000)" : "\(Double(milliseconds) / 1000)"
    }
}
