// The node's VTEP address when it is named by an interface.

import CLinux
import Glibc
import Intents
import NetTypes

/// The address that `source` stands for now; nil when the interface has none, or when devices carry their own.
func resolveNodeAddress(_ source: NodeConfiguration.VTEPSource) -> IPAddress? {
    switch source {
    case .address(let address): return address
    case .devices: return nil
    case .interface(let name): return addresses(of: name).min()
    }
}

/// Whether an interface has it.
func isLocalAddress(_ address: IPAddress) -> Bool { addresses(of: nil).contains(address) }

/// The global unicast addresses of an interface, or of all. IPv4 sorts first.
private func addresses(of interface: String?) -> [IPAddress] {
    var list: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&list) == 0 else { return [] }
    defer { freeifaddrs(list) }
    var result: [IPAddress] = []
    var next = list
    while let entry = next {
        next = entry.pointee.ifa_next
        guard let address = entry.pointee.ifa_addr else { continue }
        if let interface, String(cString: entry.pointee.ifa_name) != interface { continue }
        let raw = UnsafeRawPointer(address)
        let parsed: IPAddress? =
            switch Int32(address.pointee.sa_family) {
            case AF_INET: IPAddress(octets: UnsafeRawBufferPointer(start: raw + 4, count: 4))
            case AF_INET6: IPAddress(octets: UnsafeRawBufferPointer(start: raw + 8, count: 16))
            default: nil
            }
        guard let parsed, !parsed.isLoopback, !parsed.isLinkLocal, !parsed.isUnspecified else { continue }
        result.append(parsed)
    }
    return result
}
