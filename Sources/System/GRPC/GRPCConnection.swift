// One connection to a gRPC server, from the look-up of its name to the reason why it ended. Trying again is up to who made it.

public import AsyncIO
import Glibc
import NetTypes

/// A connection that is tried once. Confined to the loop's thread.
///
/// The loop holds it while it lives; `close` or the end of the connection lets go of it.
public final class GRPCConnection {
    /// The server has answered in HTTP/2.
    public var onOpen: (() -> Void)?
    /// The connection could not be made or has ended; never called after `close`. All calls were ended before.
    public var onClose: ((GRPCStatus) -> Void)?

    private let loop: EventLoop
    private let endpoint: GRPCEndpoint
    private let tls: GRPCTLS?
    private let connectTimeout: Duration

    private enum Phase { case idle, connecting, handshaking, waiting, open, closed }
    private var phase = Phase.idle
    private var addresses: [SocketAddress] = []
    private var failures: [String] = []
    private var descriptor: Int32 = -1
    private var stream: (any ByteStream)?
    private var session: HTTP2Session?
    private var output: [UInt8] = []
    private var sent = 0
    private var interest: EventLoop.Readiness = []
    private var isFlushScheduled = false
    private var timer: TimerID?
    private var deadlines: [ObjectIdentifier: TimerID] = [:]

    private static let readSize = 128 << 10
    /// Octets taken from the socket before others on the loop have their turn.
    private static let readBudget = 1 << 20

    /// `connectTimeout`: for the look-up, the connection, TLS and HTTP/2 together.
    public init(loop: EventLoop, endpoint: GRPCEndpoint, tls: GRPCTLS?, connectTimeout: Duration = .seconds(5)) {
        self.loop = loop
        self.endpoint = endpoint
        self.tls = tls
        self.connectTimeout = connectTimeout
    }

    public var isOpen: Bool { phase == .open && session?.goAway == nil }

    /// Starts; names are looked up on `resolver`, because that blocks.
    public func open(resolver: Worker) {
        guard phase == .idle else { return }
        phase = .connecting
        timer = loop.schedule(after: connectTimeout) { self.fail("no answer within \(self.connectTimeout.seconds) s") }
        switch endpoint {
        case .unix(let path):
            guard let address = SocketAddress(path: path) else {
                return later("\(path): a socket's path has at most 107 octets")
            }
            connect([address])
        case .tcp(let host, let port):
            let handle = loop.handle
            // The box crosses threads untouched: only the loop opens it.
            let me = LoopBound(self)
            resolver.submit {
                let result = SocketAddress.resolve(host: host, port: port)
                handle.post {
                    switch result {
                    case .success(let addresses): me.value.connect(addresses)
                    case .failure(let error): me.value.fail(error.message)
                    }
                }
            }
        }
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

    // MARK: Connecting

    private func connect(_ addresses: [SocketAddress]) {
        guard phase == .connecting else { return }
        self.addresses = addresses
        tryNext()
    }
    private func tryNext() {
        while !addresses.isEmpty {
            let address = addresses.removeFirst()
            switch address.connect() {
            case .success(let descriptor):
                self.descriptor = descriptor
                interest = .writable
                loop.watch(descriptor, interest) { readiness in self.ready(readiness) }
                return
            case .failure(let error): failures.append(error.message)
            }
        }
        later(failures.joined(separator: "; "))
    }
    private func connected() {
        let error = SocketAddress.pendingError(descriptor)
        guard error == 0 else {
            failures.append(String(cString: strerror(error)))
            closeSocket()
            return tryNext()
        }
        if let tls, case .tcp(let host, _) = endpoint {
            switch TLSStream.make(descriptor: descriptor, host: tls.serverName ?? host, tls: tls) {
            case .success(let stream): self.stream = stream
            case .failure(let status): return end(status)
            }
        } else {
            stream = PlainStream(descriptor: descriptor)
        }
        phase = .handshaking
        handshake()
    }
    private func handshake() {
        guard let stream else { return }
        switch stream.handshake() {
        case .done:
            phase = .waiting
            session = HTTP2Session(authority: endpoint.authority, isSecure: tls != nil)
            flush()
        case .wantsRead: want(.readable)
        case .wantsWrite: want(.writable)
        case .closed: fail("the server closed the connection during the TLS handshake")
        case .failed(let reason): fail(reason)
        }
    }

    // MARK: Octets

    private func want(_ readiness: EventLoop.Readiness) {
        guard interest != readiness, descriptor >= 0 else { return }
        interest = readiness
        loop.modify(descriptor, readiness)
    }
    private func ready(_ readiness: EventLoop.Readiness) {
        switch phase {
        case .connecting: connected()
        case .handshaking: handshake()
        case .waiting, .open:
            // With TLS either direction may wait for the other, so both are tried.
            read()
            if phase != .closed { flush() }
        case .idle, .closed: break
        }
    }
    private func read() {
        guard let stream else { return }
        var budget = Self.readBudget
        withUnsafeTemporaryAllocation(byteCount: Self.readSize, alignment: 16) { buffer in
            while budget > 0, let session {
                switch stream.read(into: buffer) {
                case .done(let count):
                    budget -= count
                    if let reason = session.receive(UnsafeRawBufferPointer(rebasing: buffer[..<count])) {
                        return fail(reason)
                    }
                    if session.isReady, phase == .waiting { opened() }
                case .wantsRead, .wantsWrite: return
                case .closed:
                    let before = session.isReady ? "" : " before it answered in HTTP/2"
                    return fail(session.goAway ?? "the server closed the connection\(before)")
                case .failed(let reason): return fail(reason)
                }
            }
        }
        if stream.hasPending { loop.afterRound { if self.phase != .closed { self.ready(.readable) } } }
    }
    private func opened() {
        phase = .open
        if let timer { loop.cancel(timer) }
        timer = nil
        onOpen?()
    }
    private func scheduleFlush() {
        guard !isFlushScheduled else { return }
        isFlushScheduled = true
        loop.afterRound {
            self.isFlushScheduled = false
            self.flush()
        }
    }
    private func flush() {
        guard let session, let stream, phase == .waiting || phase == .open else { return }
        while true {
            if sent == output.count {
                output.removeAll(keepingCapacity: output.count <= 1 << 20)
                sent = 0
                if let reason = session.takeOutput(&output, limit: 256 << 10) { return fail(reason) }
                // A call that ended meanwhile may have closed the connection.
                guard phase != .closed else { return }
                if output.isEmpty {
                    want(.readable)
                    if session.isOver { fail(session.goAway ?? "the server closed the connection") }
                    return
                }
            }
            let result = output.withUnsafeBytes { stream.write(UnsafeRawBufferPointer(rebasing: $0[sent...])) }
            switch result {
            case .done(let count): sent += count
            case .wantsWrite: return want([.readable, .writable])
            case .wantsRead: return want(.readable)
            case .closed: return fail("the server closed the connection")
            case .failed(let reason): return fail(reason)
            }
        }
    }

    // MARK: The end

    private func later(_ reason: String) { loop.afterRound { self.fail(reason) } }
    private func fail(_ reason: String) { end(GRPCStatus(.unavailable, "\(endpoint): \(reason)")) }
    private func end(_ status: GRPCStatus) {
        guard phase != .closed else { return }
        phase = .closed
        if let timer { loop.cancel(timer) }
        timer = nil
        closeSocket()
        let session = session
        self.session = nil
        session?.endAll(status)
        let handler = onClose
        onClose = nil
        onOpen = nil
        handler?(status)
    }
    private func closeSocket() {
        stream = nil
        guard descriptor >= 0 else { return }
        loop.unwatch(descriptor)
        Glibc.close(descriptor)
        descriptor = -1
    }
}

/// Carries an object of the loop's thread through another one.
private struct LoopBound<Value: AnyObject>: @unchecked Sendable {
    let value: Value
    init(_ value: Value) { self.value = value }
}

extension Duration {
    fileprivate var milliseconds: Int { Int(clamping: clampedNanoseconds / 1_000_000) }
    fileprivate var seconds: String {
        let milliseconds = milliseconds
        return milliseconds % 1000 == 0 ? "\(milliseconds / 1000)" : "\(Double(milliseconds) / 1000)"
    }
}
