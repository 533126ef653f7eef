// The mirror of the namespace's devices and their addresses.

import NetTypes
import Netlink

/// What RTM_NEWLINK and RTM_NEWADDR have told so far.
struct LinkTable: Equatable, Sendable {
    private(set) var links: [Int32: Link] = [:]
    private(set) var indices: [String: Int32] = [:]
    private(set) var addresses: [Int32: Set<InterfaceAddress>] = [:]

    subscript(interface: Int32) -> Link? { links[interface] }
    subscript(name: String) -> Link? { indices[name].flatMap { links[$0] } }
    /// By index, so that choices among several are stable.
    var sorted: [Link] { links.values.sorted { $0.interface < $1.interface } }

    /// Whether anything but counters changed.
    mutating func insert(_ link: Link) -> Bool {
        let old = links.updateValue(link, forKey: link.interface)
        if let old, old.name != link.name, indices[old.name] == link.interface { indices[old.name] = nil }
        indices[link.name] = link.interface
        return old != link
    }
    mutating func remove(_ interface: Int32) {
        guard let old = links.removeValue(forKey: interface) else { return }
        if indices[old.name] == interface { indices[old.name] = nil }
        addresses[interface] = nil
    }
    mutating func insert(_ address: InterfaceAddress) -> Bool {
        addresses[address.interface, default: []].insert(address).inserted
    }
    mutating func remove(_ address: InterfaceAddress) -> Bool {
        addresses[address.interface]?.remove(address) != nil
    }
    func name(of interface: Int32) -> String { links[interface]?.name ?? "#\(interface)" }

    /// The MTU that VXLAN packets from `vtep` meet: that of the device with the address or, when that is a loopback
    /// device, the smallest of the devices that are up and have an address of their own; 1500 when nothing is known.
    func underlayMTU(of vtep: IPAddress) -> UInt32 {
        let owner = links.values.first { link in addresses[link.interface]?.contains { $0.ip == vtep } == true }
        if let owner, !owner.isLoopback { return owner.mtu }
        let candidates = links.values.filter { link in
            link.isUp && !link.isLoopback && link.vxlan == nil && !link.isBridge && link.master == 0
                && addresses[link.interface]?.contains { !$0.ip.isLinkLocal } == true
        }
        return candidates.map(\.mtu).min() ?? 1500
    }
}
