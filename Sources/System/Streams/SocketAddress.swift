// Where to connect to, as the kernel wants it.

import Glibc

struct SocketAddress: Sendable {
    private var storage: sockaddr_storage
    private var length: socklen_t
    /// For error texts.
    private let name: String

    /// A path of more than 107 octets does not fit.
    init?(path: String) {
        var address = sockaddr_un()
        let bytes = Array(path.utf8)
        guard !bytes.isEmpty, bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { return nil }
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        storage = sockaddr_storage()
        length = socklen_t(MemoryLayout<sockaddr_un>.size)
        name = path
        withUnsafeMutableBytes(of: &storage) { target in
            withUnsafeBytes(of: &address) { target.copyBytes(from: $0) }
        }
    }
    private init(_ info: addrinfo, name: String) {
        storage = sockaddr_storage()
        length = min(info.ai_addrlen, socklen_t(MemoryLayout<sockaddr_storage>.size))
        self.name = name
        if let address = info.ai_addr {
            withUnsafeMutableBytes(of: &storage) {
                $0.copyBytes(from: UnsafeRawBufferPointer(start: address, count: Int(length)))
            }
        }
    }

    /// Blocks. At most eight addresses.
    static func resolve(host: String, port: UInt16) -> Result<[SocketAddress], StreamFailure> {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let result = getaddrinfo(host, "\(port)", &hints, &list)
        guard result == 0 else {
            return .failure(StreamFailure("cannot look up \(host): \(String(cString: gai_strerror(result)))"))
        }
        defer { freeaddrinfo(list) }
        var addresses: [SocketAddress] = []
        var next = list
        while let info = next, addresses.count < 8 {
            addresses.append(SocketAddress(info.pointee, name: "\(host) port \(port)"))
            next = info.pointee.ai_next
        }
        return .success(addresses)
    }

    /// Starts to connect; the descriptor becomes writable when that is decided.
    func connect() -> Result<Int32, StreamFailure> {
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(Int32(storage.ss_family), kind, 0)
        func failure() -> Result<Int32, StreamFailure> {
            let reason = String(cString: strerror(errno))
            if descriptor >= 0 { close(descriptor) }
            return .failure(StreamFailure("connect to \(name): \(reason)"))
        }
        guard descriptor >= 0 else { return failure() }
        if Int32(storage.ss_family) != AF_UNIX {
            // A peer whose host has died is noticed within about twenty seconds, and a dead path while we send likewise.
            for (level, option, value) in [
                (Int32(IPPROTO_TCP), TCP_NODELAY, Int32(1)), (SOL_SOCKET, SO_KEEPALIVE, 1),
                (Int32(IPPROTO_TCP), TCP_KEEPIDLE, 10), (Int32(IPPROTO_TCP), TCP_KEEPINTVL, 3),
                (Int32(IPPROTO_TCP), TCP_KEEPCNT, 3), (Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, 20_000),
            ] {
                var value = value
                setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
            }
        }
        var storage = storage
        let length = length
        let result = withUnsafePointer(to: &storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.connect(descriptor, $0, length) }
        }
        guard result == 0 || errno == EINPROGRESS else { return failure() }
        return .success(descriptor)
    }
    static func pendingError(_ descriptor: Int32) -> Int32 {
        var error: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length)
        return error
    }
}
