// One connection to a server, from the look-up of its name to the reason why it ended. Trying again is up to who made it.

public import AsyncIO
import Glibc
public import NetTypes

/// A connection that is tried once, plain or TLS. Confined to the loop's thread.
///
/// The loop holds it while it lives; `close` or the end of the connection lets go of it.
public final class StreamConnection {
    /// Octets may flow: the connection is there, with TLS after its handshake.
    public var onOpen: (() -> Void)?
    /// Octets have arrived; they are gone after the call.
    public var onOctets: ((UnsafeRawBufferPointer) -> Void)?
    /// The kernel has taken everything: more may be appended, which is sent at once.
    public var onDrained: ((inout [UInt8]) -> Void)?
    /// The connection could not be made or has ended, and why; called once, never after `close`.
    public var onClose: ((String) -> Void)?

    private let loop: EventLoop
    private let endpoint: StreamEndpoint
    private let tls: TLSSettings?

    private enum Phase { case idle, connecting, handshaking, open, closed }
    private var phase = Phase.idle
    private var addresses: [SocketAddress] = []
    private var failures: [String] = []
    private var descriptor: Int32 = -1
    private var stream: (any ByteStream)?
    private var output: [UInt8] = []
    private var sent = 0
    private var interest: EventLoop.Readiness = []
    private var isFlushScheduled = false

    private static let readSize = 128 << 10
    /// Octets taken from the socket before others on the loop have their turn.
    private static let readBudget = 1 << 20

    public init(loop: EventLoop, endpoint: StreamEndpoint, tls: TLSSettings? = nil) {
        self.loop = loop
        self.endpoint = endpoint
        self.tls = tls
    }

    /// Octets that wait for the kernel to take them.
    public var pendingOctets: Int { output.count - sent }

    /// Starts; names are looked up on `resolver`, because that blocks. Nobody waits for an answer: deadlines are the caller's.
    public func open(resolver: Worker) {
        guard phase == .idle else { return }
        phase = .connecting
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
                    case .failure(let error): me.value.fail(error.reason)
                    }
                }
            }
        }
    }
    /// Ends the connection without a word to `onClose`.
    public func close() {
        onClose = nil
        end("")
    }
    /// Ends the connection, with a word to `onClose`.
    public func fail(_ reason: String) { end(reason) }

    /// Sends octets after those before them; without effect before `onOpen` and after the end.
    public func send(_ octets: [UInt8]) {
        guard phase == .open else { return }
        output += octets
        scheduleFlush()
    }
    /// Has `onDrained` called soon, unless octets still wait.
    public func scheduleFlush() {
        guard !isFlushScheduled else { return }
        isFlushScheduled = true
        loop.afterRound {
            self.isFlushScheduled = false
            self.flush()
        }
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
            case .failure(let error): failures.append(error.reason)
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
            case .failure(let failure): return end(failure.reason)
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
            phase = .open
            onOpen?()
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
        case .open:
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
            while budget > 0, phase == .open {
                switch stream.read(into: buffer) {
                case .done(let count):
                    budget -= count
                    onOctets?(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
                case .wantsRead, .wantsWrite: return
                case .closed: return fail("the server closed the connection")
                case .failed(let reason): return fail(reason)
                }
            }
        }
        if stream.hasPending { loop.afterRound { if self.phase != .closed { self.ready(.readable) } } }
    }
    private func flush() {
        guard let stream, phase == .open else { return }
        while true {
            if sent == output.count {
                output.removeAll(keepingCapacity: output.count <= 1 << 20)
                sent = 0
                onDrained?(&output)
                // Whoever appends may have closed the connection.
                guard phase == .open else { return }
                if output.isEmpty { return want(.readable) }
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
    private func end(_ reason: String) {
        guard phase != .closed else { return }
        phase = .closed
        closeSocket()
        let handler = onClose
        onOpen = nil
        onOctets = nil
        onDrained = nil
        onClose = nil
        handler?(reason)
    }
    private func closeSocket() {
        stream = nil
        guard descriptor >= 0 else { return }
        loop.unwatch(descriptor)
        Glibc.close(descriptor)
        descriptor = -1
    }
}
