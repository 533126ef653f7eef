// A socket for requests: one caller at a time, blocking, made for a `Worker`.

import CLinux
import Glibc
import NetTypes
import Synchronization

/// Why a request failed: the errno and, when the kernel gave one, its own sentence (extended acknowledgement).
public struct NetlinkFailure: Error, Hashable, Sendable, CustomStringConvertible {
    public var code: Int32
    public var text: String
    public init(code: Int32, text: String = "") {
        self.code = code
        self.text = text
    }
    /// `Device or resource busy`, or `VXLAN device with the specified VNI already exists (File exists)`.
    public var description: String {
        let name = String(cString: strerror(code))
        return text.isEmpty ? name : "\(text) (\(name))"
    }
    /// A capability is missing.
    public var isPermission: Bool { code == EPERM || code == EACCES }
    /// There was nothing to delete, or no such entry.
    public var isAbsence: Bool { code == ENOENT || code == ESRCH || code == ENODEV || code == ENXIO }
}

/// The requests of one `transact` that were refused, by their index.
public struct RefusedRequest: Hashable, Sendable {
    public var index: Int
    public var failure: NetlinkFailure
    public init(index: Int, failure: NetlinkFailure) {
        self.index = index
        self.failure = failure
    }
}

/// A NETLINK_ROUTE socket in one network namespace.
///
/// `@unchecked`: the buffers are only touched with `lock` held.
public final class NetlinkSocket: @unchecked Sendable {
    /// Messages in one send; larger batches are slower in the kernel, smaller ones cost system calls.
    public static let batchSize = 64

    private struct State {
        var sequence: UInt32 = 1
        var batch = NetlinkBatch(capacity: 8192)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 17, alignment: 16)
    }
    private let descriptor: Int32
    /// What notifications of our requests carry.
    public let port: UInt32
    private let lock = Mutex(())
    private var state = State()

    /// In `namespace`; nil: that of the calling thread.
    public init(in namespace: NetworkNamespace? = nil) throws(NetlinkFailure) {
        descriptor = try openSocket(receiveBufferBytes: 4 << 20, in: namespace)
        do throws(NetlinkFailure) { port = try bindSocket(descriptor) } catch {
            close(descriptor)
            state.buffer.deallocate()
            throw error
        }
        // Without it the kernel ignores the filters of a dump.
        setOption(descriptor, netlinkLevel, NETLINK_GET_STRICT_CHK, 1)
    }
    deinit {
        close(descriptor)
        state.buffer.deallocate()
    }

    /// Sends `count` requests, written by `encode(batch, index, sequence)`, in batches, and waits for all of them. `reply`
    /// gets what GET requests answer. Returns those refused, in order; all of them when the socket itself fails.
    public func transact(
        _ count: Int, reply: ((Int, NetlinkMessage) -> Void)? = nil,
        _ encode: (inout NetlinkBatch, Int, UInt32) -> Void
    ) -> [RefusedRequest] {
        lock.withLock { _ in
            var refused: [RefusedRequest] = []
            var next = 0
            while next < count {
                let first = next
                let base = state.sequence
                let size = min(NetlinkSocket.batchSize, count - next)
                state.sequence &+= UInt32(truncatingIfNeeded: size)
                state.batch.removeAll()
                for index in 0..<size { encode(&state.batch, first + index, base &+ UInt32(truncatingIfNeeded: index)) }
                state.batch.finish()
                state.batch.acknowledgeLast()
                next += size
                if let failure = exchange(
                    base: base, size: size,
                    { index, message in reply?(first + index, message) },
                    { index, failure in refused.append(RefusedRequest(index: first + index, failure: failure)) })
                {
                    refused.removeAll { $0.index >= first }
                    refused += (first..<count).map { RefusedRequest(index: $0, failure: failure) }
                    break
                }
            }
            return refused
        }
    }

    /// Sends one dump request and hands every message of the answer to `body`. A dump that the kernel marks as
    /// inconsistent, because the table changed meanwhile, is repeated up to four times: `restart` is called before.
    public func dump(
        restart: () -> Void, _ encode: (inout NetlinkBatch, UInt32) -> Void, _ body: (NetlinkMessage) -> Void
    ) throws(NetlinkFailure) {
        for _ in 0..<5 {
            if try dumpOnce(encode, body) { return }
            restart()
        }
        // Still changing: take the last one; notifications bring what it missed.
        _ = try dumpOnce(encode, body)
    }

    private func dumpOnce(_ encode: (inout NetlinkBatch, UInt32) -> Void, _ body: (NetlinkMessage) -> Void)
        throws(NetlinkFailure) -> Bool
    {
        let result: Result<Bool, NetlinkFailure> = lock.withLock { _ in
            let sequence = state.sequence
            state.sequence &+= 1
            state.batch.removeAll()
            encode(&state.batch, sequence)
            state.batch.finish()
            if let failure = sendBatch(state.batch) { return .failure(failure) }
            var isConsistent = true
            var isDone = false
            var failure: NetlinkFailure?
            while !isDone {
                let length = recv(descriptor, state.buffer.baseAddress, state.buffer.count, 0)
                if length < 0 {
                    if errno == EINTR { continue }
                    return .failure(NetlinkFailure(code: errno, text: "netlink receive"))
                }
                NetlinkMessage.forEach(in: UnsafeRawBufferPointer(rebasing: state.buffer[..<length])) { message in
                    guard message.sequence == sequence else { return }
                    if message.flags.contains(.dumpInterrupted) { isConsistent = false }
                    switch message.type {
                    case MessageType.done:
                        isDone = true
                        // The last message carries the error of a dump that failed on the way.
                        if message.payload.count >= 4 {
                            let code = message.payload.loadUnaligned(as: Int32.self)
                            if code < 0 { failure = NetlinkFailure(code: 0 &- code, text: extendedText(message)) }
                        }
                    case MessageType.error:
                        isDone = true
                        failure = decodeError(message)
                    default: body(message)
                    }
                }
            }
            if let failure { return .failure(failure) }
            return .success(isConsistent)
        }
        return try result.get()
    }

    private func exchange(
        base: UInt32, size: Int, _ reply: (Int, NetlinkMessage) -> Void,
        _ refuse: (Int, NetlinkFailure) -> Void
    ) -> NetlinkFailure? {
        if let failure = sendBatch(state.batch) { return failure }
        var isAnswered = false
        while !isAnswered {
            let length = recv(descriptor, state.buffer.baseAddress, state.buffer.count, 0)
            if length < 0 {
                if errno == EINTR { continue }
                return NetlinkFailure(code: errno, text: "netlink receive")
            }
            NetlinkMessage.forEach(in: UnsafeRawBufferPointer(rebasing: state.buffer[..<length])) { message in
                // Answers to an earlier request that was given up are not ours.
                let index = Int(message.sequence &- base)
                guard index < size else { return }
                if message.type == MessageType.error {
                    if let failure = decodeError(message) { refuse(index, failure) }
                    if index == size - 1 { isAnswered = true }
                } else {
                    reply(index, message)
                }
            }
        }
        return nil
    }

    private func sendBatch(_ batch: borrowing NetlinkBatch) -> NetlinkFailure? {
        batch.bytes.withUnsafeBytes { bytes in
            while send(descriptor, bytes.baseAddress, bytes.count, 0) < 0 {
                if errno != EINTR { return NetlinkFailure(code: errno, text: "netlink send") }
            }
            return nil
        }
    }
}

/// Nil for an acknowledgement.
///
///     +---------------------------------------+
///     |  error (4), negative errno or 0       |
///     |  header of the request (16)           |
///     |  its payload, unless capped           |
///     |  attributes: 1 text, 2 offset…        |
///     +---------------------------------------+
func decodeError(_ message: NetlinkMessage) -> NetlinkFailure? {
    guard message.payload.count >= 4 else { return NetlinkFailure(code: EBADMSG) }
    let code = message.payload.loadUnaligned(as: Int32.self)
    guard code != 0 else { return nil }
    return NetlinkFailure(code: code == .min ? EBADMSG : abs(code), text: extendedText(message))
}

/// The kernel's sentence, or nothing.
func extendedText(_ message: NetlinkMessage) -> String {
    guard message.flags.contains(.hasAttributes) else { return "" }
    var offset = 4
    if message.type == MessageType.error {
        guard message.payload.count >= 20 else { return "" }
        let length = Int(message.payload.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
        offset += message.flags.contains(.capped) ? 16 : (length + 3) & ~3
    }
    for attribute in AttributeReader(message.payload, from: offset) where attribute.type == 1 {
        return attribute.string
    }
    return ""
}

/// SOL_NETLINK of <linux/socket.h>.
let netlinkLevel: Int32 = 270

func setOption(_ descriptor: Int32, _ level: Int32, _ option: Int32, _ value: Int32) {
    var value = value
    setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
}

func openSocket(receiveBufferBytes: Int32, in namespace: NetworkNamespace?) throws(NetlinkFailure) -> Int32 {
    if let namespace {
        return try namespace.inside { () throws(NetlinkFailure) in
            try openSocket(receiveBufferBytes: receiveBufferBytes, in: nil)
        }
    }
    let descriptor = socket(AF_NETLINK, Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue), NETLINK_ROUTE)
    guard descriptor >= 0 else { throw NetlinkFailure(code: errno, text: "netlink socket") }
    // First the polite way, which the system's limit may cut; then the way that needs CAP_NET_ADMIN.
    setOption(descriptor, SOL_SOCKET, SO_RCVBUF, receiveBufferBytes)
    setOption(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, receiveBufferBytes)
    setOption(descriptor, netlinkLevel, NETLINK_EXT_ACK, 1)
    setOption(descriptor, netlinkLevel, NETLINK_CAP_ACK, 1)
    return descriptor
}

/// Gives the socket a port of its own, without subscriptions, and returns it.
func bindSocket(_ descriptor: Int32) throws(NetlinkFailure) -> UInt32 {
    var address = sockaddr_nl()
    address.nl_family = UInt16(AF_NETLINK)
    var length = socklen_t(MemoryLayout<sockaddr_nl>.size)
    let result = withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(descriptor, $0, length) < 0 ? -1 : getsockname(descriptor, $0, &length)
        }
    }
    guard result == 0 else { throw NetlinkFailure(code: errno, text: "netlink bind") }
    return address.nl_pid
}
