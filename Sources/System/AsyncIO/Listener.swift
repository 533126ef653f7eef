// Listening stream sockets: TCP for HTTP, unix for the control socket.

import CLinux
import Glibc
public import NetTypes

/// A system call that failed, in the words of errno(3).
public struct SystemError: Error, Hashable, Sendable, CustomStringConvertible {
    public let code: Int32
    /// What was tried: "bind 127.0.0.1:9474".
    public let operation: String
    public init(_ operation: String, code: Int32) {
        self.operation = operation
        self.code = code
    }
    /// The calling thread's `errno`.
    public init(_ operation: String) { self.init(operation, code: errno) }
    public var text: String { String(cString: strerror(code)) }
    public var description: String { "\(operation): \(text)" }
}

/// Makes a non-blocking TCP listener; `[address]:port`. `::` stands for every address, those of IPv4 included, also where the
/// kernel has no IPv6.
public func listenTCP(_ address: IPAddress, port: UInt16) throws(SystemError) -> Int32 {
    let name = address.isV6 ? "[\(address)]:\(port)" : "\(address):\(port)"
    let family = address.isV6 ? AF_INET6 : AF_INET
    let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let descriptor = socket(family, kind, 0)
    if descriptor < 0, errno == EAFNOSUPPORT, address == .v6(.any) {
        return try listenTCP(.v4(.any), port: port)
    }
    guard descriptor >= 0 else { throw SystemError("socket for \(name)") }
    var one: Int32 = 1
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, 4)
    let result: Int32
    switch address {
    case .v4(let v4):
        var socketAddress = sockaddr_in()
        socketAddress.sin_family = sa_family_t(AF_INET)
        socketAddress.sin_port = port.bigEndian
        socketAddress.sin_addr.s_addr = v4.rawValue.bigEndian
        result = bindAddress(descriptor, &socketAddress)
    case .v6(let v6):
        var onlyIPv6: Int32 = v6 == .any ? 0 : 1
        setsockopt(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &onlyIPv6, 4)
        var socketAddress = sockaddr_in6()
        socketAddress.sin6_family = sa_family_t(AF_INET6)
        socketAddress.sin6_port = port.bigEndian
        withUnsafeMutableBytes(of: &socketAddress.sin6_addr) { bytes in
            bytes.storeBytes(of: v6.high.bigEndian, as: UInt64.self)
            bytes.storeBytes(of: v6.low.bigEndian, toByteOffset: 8, as: UInt64.self)
        }
        result = bindAddress(descriptor, &socketAddress)
    }
    guard result == 0, listen(descriptor, 64) == 0 else {
        let error = SystemError("listen on \(name)")
        close(descriptor)
        throw error
    }
    return descriptor
}

/// Makes a non-blocking unix stream listener at `path`, replacing a dead socket but never one that somebody serves, nor anything
/// else than a socket.
public func listenUnix(_ path: String, mode: UInt32) throws(SystemError) -> Int32 {
    if let probe = try? connectUnix(path) {
        close(probe)
        throw SystemError("listen on \(path)", code: EADDRINUSE)
    }
    var status = stat()
    if lstat(path, &status) == 0 {
        guard status.st_mode & S_IFMT == S_IFSOCK else { throw SystemError("listen on \(path)", code: EEXIST) }
        unlink(path)
    }
    let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let descriptor = socket(AF_UNIX, kind, 0)
    guard descriptor >= 0 else { throw SystemError("socket for \(path)") }
    guard var address = unixAddress(path) else {
        close(descriptor)
        throw SystemError("listen on \(path)", code: ENAMETOOLONG)
    }
    // Nobody can connect between bind and chmod: the mask closes the socket to all but its owner.
    let mask = umask(0o177)
    let result = bindAddress(descriptor, &address)
    let bindError = errno
    umask(mask)
    guard result == 0, chmod(path, mode) == 0, listen(descriptor, 16) == 0 else {
        let error = SystemError("listen on \(path)", code: result == 0 ? errno : bindError)
        close(descriptor)
        throw error
    }
    return descriptor
}

/// Connects to a unix stream socket. One that does not block fails with EAGAIN while the server is too busy to accept.
public func connectUnix(_ path: String, isBlocking: Bool = true) throws(SystemError) -> Int32 {
    let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let descriptor = socket(AF_UNIX, isBlocking ? kind : kind | Int32(SOCK_NONBLOCK.rawValue), 0)
    guard descriptor >= 0 else { throw SystemError("socket for \(path)") }
    guard var address = unixAddress(path) else {
        close(descriptor)
        throw SystemError("connect to \(path)", code: ENAMETOOLONG)
    }
    let result = withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
    }
    guard result == 0 else {
        let error = SystemError("connect to \(path)")
        close(descriptor)
        throw error
    }
    return descriptor
}

private func bindAddress<Address>(_ descriptor: Int32, _ address: inout Address) -> Int32 {
    withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(descriptor, $0, socklen_t(MemoryLayout<Address>.size))
        }
    }
}

/// Nil when the path does not fit `sun_path`.
private func unixAddress(_ path: String) -> sockaddr_un? {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(path.utf8)
    let fits = withUnsafeMutableBytes(of: &address.sun_path) { target in
        guard bytes.count < target.count else { return false }
        target.copyBytes(from: bytes)
        return true
    }
    return fits ? address : nil
}
