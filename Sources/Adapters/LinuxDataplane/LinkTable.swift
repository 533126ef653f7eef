// The mirror of the namespace's devices and their addresses.

import NetTypes
import Netlink

/// What RTM_NEWLINK and RTM_NEWADDR have told so far.
struct LinkTable: Equatable, Sendable {
    private(set) var links: [Int32: Link] = [:]
    private(set) var indices: [String: Int32] = [:]
    private(set) var addresses: [Int32: Set<InterfaceAddress>] = [:]
    /// VXLAN devices by their VNI, those that take it from metadata (`external`) left out.
    private(set) var vxlans: [UInt32: Set<Int32>] = [:]
    /// Devices with our mark, and the same by VNI.
    private(set) var marks: [Int32: DeviceMark] = [:]
    private(set) var marked: [VNI: Set<Int32>] = [:]
    /// Devices by the device that they are enslaved to.
    private(set) var ports: [Int32: Set<Int32>] = [:]

    subscript(interface: Int32) -> Link? { links[interface] }
    subscript(name: String) -> Link? { indices[name].flatMap { links[$0] } }
    /// By index, so that choices among several are stable.
    var sorted: [Link] { links.values.sorted { $0.interface < $1.interface } }
    func sorted(_ interfaces: Set<Int32>?) -> [Link] { (interfaces ?? []).sorted().compactMap { links[$0] } }

    /// Whether anything but counters changed.
    mutating func insert(_ link: Link) -> Bool {
        let old = links.updateValue(link, forKey: link.interface)
        guard old != link else { return false }
        if let old { removeFromIndices(old) }
        indices[link.name] = link.interface
        if let vxlan = link.vxlan, !vxlan.collectsMetadata { vxlans[vxlan.vni, default: []].insert(link.interface) }
        if let mark = DeviceMark(link.alias) {
            marks[link.interface] = mark
            marked[mark.vni, default: []].insert(link.interface)
        }
        if link.master != 0 { ports[link.master, default: []].insert(link.interface) }
        return true
    }
    mutating func remove(_ interface: Int32) {
        guard let old = links.removeValue(forKey: interface) else { return }
        removeFromIndices(old)
        addresses[interface] = nil
    }
    private mutating func removeFromIndices(_ old: Link) {
        func remove<Key>(_ key: Key, from index: inout [Key: Set<Int32>]) {
            index[key]?.remove(old.interface)
            if index[key]?.isEmpty == true { index[key] = nil }
        }
        if indices[old.name] == old.interface { indices[old.name] = nil }
        if let vxlan = old.vxlan { remove(vxlan.vni, from: &vxlans) }
        if let mark = marks.removeValue(forKey: old.interface) { remove(mark.vni, from: &marked) }
        if old.master != 0 { remove(old.master, from: &ports) }
    }
    mutating func insert(_ address: InterfaceAddress) -> Bool {
        addresses[address.interface, default: []].insert(address).inserted
    }
    mutating func remove(_ address: InterfaceAddress) -> Bool {
        addresses[address.interface]?.remove(address) != nil
    }
    /// Whether a VXLAN device without our mark has the VNI.
    func hasOperatorDevice(_ vni: VNI) -> Bool { vxlans[vni.rawValue]?.contains { marks[$0] == nil } ?? false }
    func name(of interface: Int32) -> String { links[interface]?.name ?? "#\(interface)" }

    /// The MTU that VXLAN packets from `vtep` meet: that of the device with the address or, when that is a loopback
    /// device, the smallest of the devices that are up and have an address of their own; 1500 when nothing is known.
    func underlayMTU(of vtep: IPAddress) -> UInt32 {
        var smallest: UInt32?
        for (interface, addresses) in addresses {
            guard let link = links[interface] else { continue }
            if !link.isLoopback, addresses.contains(where: { $0.ip == vtep }) { return link.mtu }
            if link.isUp, !link.isLoopback, link.vxlan == nil, !link.isBridge, link.master == 0,
                addresses.contains(where: { !$0.ip.isLinkLocal })
            {
                smallest = min(smallest ?? .max, link.mtu)
            }
        }
        return smallest ?? 1500
    }
}
