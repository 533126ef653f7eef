// TCP sockets with the options that BGP wants: MD5 keys (RFC 2385), TTL and GTSM (RFC 5082), device binding.

import AsyncIO
import BGPEngine
import CLinux
import Glibc
import NetTypes

enum Socket {
    private static let kind =
        Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    // <linux/tcp.h> and <linux/in6.h> clash with libc's headers; the numbers are part of the kernel's ABI.
    private static let tcpMD5Extended: Int32 = 32
    private static let md5FlagPrefix: UInt8 = 1
    private static let ipMinimumTTL: Int32 = 21
    private static let ipv6MinimumHops: Int32 = 73

    static func listen(_ address: IPAddress, _ plan: TransportPlan) -> Result<Int32, SystemError> {
        let what =
            address.isV6 ? "listen on [\(address)]:\(plan.listenPort)" : "listen on \(address):\(plan.listenPort)"
        let descriptor = socket(address.isV6 ? AF_INET6 : AF_INET, kind, 0)
        guard descriptor >= 0 else { return .failure(SystemError(what)) }
        set(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
        if address.isV6 { set(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1) }
        func fail(_ error: SystemError) -> Result<Int32, SystemError> {
            close(descriptor)
            return .failure(error)
        }
        if let device = plan.bindToDevice, !bindDevice(descriptor, device) {
            return fail(SystemError("\(what) on device \(device)"))
        }
        // Without its key the kernel would let a neighbor in that does not know the password.
        for key in plan.keys where key.prefix.address.isV6 == address.isV6 {
            guard setKey(descriptor, key.prefix, key.password) else {
                return fail(SystemError("\(what) with the TCP MD5 key for \(key.prefix)"))
            }
        }
        // What answers a SYN: a neighbor with GTSM (RFC 5082) takes nothing less.
        set(
            descriptor, address.isV6 ? Int32(IPPROTO_IPV6) : Int32(IPPROTO_IP),
            address.isV6 ? IPV6_UNICAST_HOPS : IP_TTL, 255)
        guard bindTo(descriptor, address, plan.listenPort, scope: 0) == 0, Glibc.listen(descriptor, 128) == 0 else {
            return fail(SystemError(what))
        }
        return .success(descriptor)
    }

    static func connect(_ plan: ConnectPlan, device: String?) -> Result<Int32, SystemError> {
        let what = "connect to \(plan.address) port \(plan.port)"
        let descriptor = socket(plan.address.isV6 ? AF_INET6 : AF_INET, kind, 0)
        guard descriptor >= 0 else { return .failure(SystemError(what)) }
        func fail(_ error: SystemError) -> Result<Int32, SystemError> {
            close(descriptor)
            return .failure(error)
        }
        set(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
        if let device = plan.interface ?? device, !bindDevice(descriptor, device) {
            return fail(SystemError("\(what) on device \(device)"))
        }
        if let password = plan.password, let prefix = IPPrefix(plan.address, length: plan.address.bitWidth) {
            guard setKey(descriptor, prefix, password) else {
                return fail(SystemError("TCP MD5 key for \(plan.address)"))
            }
        }
        setTTL(descriptor, plan)
        let scope = plan.interface.map { if_nametoindex($0) } ?? 0
        if let local = plan.localAddress, bindTo(descriptor, local, 0, scope: local.isLinkLocal ? scope : 0) != 0 {
            return fail(SystemError("bind to \(local)"))
        }
        let result = withSocketAddress(plan.address, port: plan.port, scope: plan.address.isLinkLocal ? scope : 0) {
            Glibc.connect(descriptor, $0, $1)
        }
        guard result == 0 || errno == EINPROGRESS else { return fail(SystemError(what)) }
        return .success(descriptor)
    }

    static func setTTL(_ descriptor: Int32, _ plan: ConnectPlan) {
        set(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
        let isV6 = plan.address.isV6
        if let ttl = plan.ttl {
            set(
                descriptor, isV6 ? Int32(IPPROTO_IPV6) : Int32(IPPROTO_IP), isV6 ? IPV6_UNICAST_HOPS : IP_TTL,
                Int32(ttl))
        }
        if let minimum = plan.minimumTTL {
            set(
                descriptor, isV6 ? Int32(IPPROTO_IPV6) : Int32(IPPROTO_IP), isV6 ? ipv6MinimumHops : ipMinimumTTL,
                Int32(minimum))
        }
    }

    static func pendingError(_ descriptor: Int32) -> Int32 {
        var error: Int32 = 0
        var length = socklen_t(4)
        return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? error : errno
    }
    static func peerAddress(_ descriptor: Int32) -> IPAddress? { address { getpeername(descriptor, $0, $1) } }
    /// Where a peer with a link-local address is; nil for all others.
    static func peerInterface(_ descriptor: Int32) -> String? {
        var address = sockaddr_in6()
        var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
        let result = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getpeername(descriptor, $0, &length) }
        }
        guard result == 0, Int32(address.sin6_family) == AF_INET6, address.sin6_scope_id != 0 else { return nil }
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(IF_NAMESIZE)) { name in
            name.baseAddress.flatMap { if_indextoname(address.sin6_scope_id, $0) }.map { String(cString: $0) }
        }
    }
    static func localAddress(_ descriptor: Int32) -> IPAddress? { address { getsockname(descriptor, $0, $1) } }

    // MARK: Small parts

    private static func set(_ descriptor: Int32, _ level: Int32, _ option: Int32, _ value: Int32) {
        var value = value
        setsockopt(descriptor, level, option, &value, 4)
    }
    private static func bindDevice(_ descriptor: Int32, _ name: String) -> Bool {
        setsockopt(descriptor, SOL_SOCKET, SO_BINDTODEVICE, name, socklen_t(name.utf8.count)) == 0
    }

    /// `struct tcp_md5sig`: sockaddr_storage (128), flags (1), prefix length (1), key length (2), interface (4), key (80).
    @discardableResult
    private static func setKey(_ descriptor: Int32, _ prefix: IPPrefix, _ password: String) -> Bool {
        let key = Array(password.utf8.prefix(80))
        var bytes = [UInt8](repeating: 0, count: 216)
        withSocketAddress(prefix.address, port: 0) { address, length in
            bytes.withUnsafeMutableBytes {
                $0.copyMemory(from: UnsafeRawBufferPointer(start: address, count: Int(length)))
            }
            return 0
        }
        bytes[128] = md5FlagPrefix
        bytes[129] = UInt8(clamping: prefix.length)
        withUnsafeBytes(of: UInt16(key.count)) { bytes.replaceSubrange(130..<132, with: $0) }
        bytes.replaceSubrange(136..<136 + key.count, with: key)
        return setsockopt(descriptor, Int32(IPPROTO_TCP), tcpMD5Extended, bytes, 216) == 0
    }

    private static func bindTo(_ descriptor: Int32, _ address: IPAddress, _ port: UInt16, scope: UInt32) -> Int32 {
        withSocketAddress(address, port: port, scope: scope) { bind(descriptor, $0, $1) }
    }

    private static func address(
        _ query: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
    ) -> IPAddress? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let result = withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { query($0, &length) }
        }
        guard result == 0 else { return nil }
        let family = Int32(storage.ss_family)
        return withUnsafeBytes(of: &storage) { bytes in
            switch family {
            case AF_INET: IPAddress(octets: bytes[4..<8])
            case AF_INET6: IPAddress(octets: bytes[8..<24])
            default: nil
            }
        }
    }
}
