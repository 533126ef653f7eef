// IP addresses as the socket calls take them.

public import Glibc
public import NetTypes

/// Calls `body` with a `sockaddr_in` or `sockaddr_in6`. `scope`: the interface of a link-local address, otherwise 0.
@discardableResult
public func withSocketAddress(
    _ address: IPAddress, port: UInt16, scope: UInt32 = 0, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
) -> Int32 {
    var storage = sockaddr_storage()
    let length = withUnsafeMutableBytes(of: &storage) { bytes -> Int in
        switch address {
        case .v4(let v4):
            bytes.storeBytes(of: sa_family_t(AF_INET), as: sa_family_t.self)
            bytes.storeBytes(of: port.bigEndian, toByteOffset: 2, as: UInt16.self)
            bytes.storeBytes(of: v4.rawValue.bigEndian, toByteOffset: 4, as: UInt32.self)
            return MemoryLayout<sockaddr_in>.size
        case .v6(let v6):
            bytes.storeBytes(of: sa_family_t(AF_INET6), as: sa_family_t.self)
            bytes.storeBytes(of: port.bigEndian, toByteOffset: 2, as: UInt16.self)
            bytes.storeBytes(of: v6.high.bigEndian, toByteOffset: 8, as: UInt64.self)
            bytes.storeBytes(of: v6.low.bigEndian, toByteOffset: 16, as: UInt64.self)
            bytes.storeBytes(of: scope, toByteOffset: 24, as: UInt32.self)
            return MemoryLayout<sockaddr_in6>.size
        }
    }
    return withUnsafePointer(to: &storage) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(length)) }
    }
}
