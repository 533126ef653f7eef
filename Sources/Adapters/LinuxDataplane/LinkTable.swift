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
    private(set) var marked: [DeviceMark.Owner: Set<Int32>] = [:]
    /// Devices by the device that they are enslaved to.
    private(set) var ports: [Int32: Set<Int32>] = [:]
    /// VLAN devices by the device below and the VLAN.
    private(set) var uppers: [DeviceNumber: Int32] = [:]
    /// VRF devices by their table.
    private(set) var vrfs: [UInt32: Set<Int32>] = [:]
    /// VLANs of the ports of bridges that filter VLANs, and where a VNI is mapped to a VLAN.
    private(set) var vlans: [Int32: VLANTable] = [:]
    private(set) var tunnels: [UInt32: Set<DeviceNumber>] = [:]
    /// VNIs in the filters of VXLAN devices that have one.
    var filters: [Int32: Set<UInt32>] = [:]

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
        if let mark = DeviceMark(link) {
            marks[link.interface] = mark
            marked[mark.owner, default: []].insert(link.interface)
        }
        if link.master != 0 { ports[link.master, default: []].insert(link.interface) }
        if link.vrfTable != 0 { vrfs[link.vrfTable, default: []].insert(link.interface) }
        if link.vlan != 0 { uppers[DeviceNumber(link.lower, UInt32(link.vlan))] = link.interface }
        return true
    }
    mutating func remove(_ interface: Int32) {
        guard let old = links.removeValue(forKey: interface) else { return }
        removeFromIndices(old)
        addresses[interface] = nil
        filters[interface] = nil
        setVLANs(interface, nil)
    }
    private mutating func removeFromIndices(_ old: Link) {
        func remove<Key>(_ key: Key, from index: inout [Key: Set<Int32>]) {
            index[key]?.remove(old.interface)
            if index[key]?.isEmpty == true { index[key] = nil }
        }
        if indices[old.name] == old.interface { indices[old.name] = nil }
        if let vxlan = old.vxlan { remove(vxlan.vni, from: &vxlans) }
        if let mark = marks.removeValue(forKey: old.interface) { remove(mark.owner, from: &marked) }
        if old.vrfTable != 0 { remove(old.vrfTable, from: &vrfs) }
        let place = DeviceNumber(old.lower, UInt32(old.vlan))
        if old.vlan != 0, uppers[place] == old.interface { uppers[place] = nil }
        if old.master != 0 { remove(old.master, from: &ports) }
    }
    /// Replaces the VLANs of a port; returns the VNIs whose mapping changed.
    @discardableResult mutating func setVLANs(_ interface: Int32, _ table: VLANTable?) -> Set<UInt32> {
        let old = vlans[interface]?.tunnels ?? [:]
        let new = table?.tunnels ?? [:]
        vlans[interface] = table
        var changed: Set<UInt32> = []
        for (vlan, vni) in old where new[vlan] != vni {
            changed.insert(vni)
            tunnels[vni]?.remove(DeviceNumber(interface, UInt32(vlan)))
            if tunnels[vni]?.isEmpty == true { tunnels[vni] = nil }
        }
        for (vlan, vni) in new where old[vlan] != vni {
            changed.insert(vni)
            tunnels[vni, default: []].insert(DeviceNumber(interface, UInt32(vlan)))
        }
        return changed
    }
    mutating func insert(_ address: InterfaceAddress) -> Bool {
        guard addresses[address.interface]?.contains(address) != true else { return false }
        // Somebody may have changed who made it.
        _ = remove(address)
        addresses[address.interface, default: []].insert(address)
        return true
    }
    mutating func remove(_ address: InterfaceAddress) -> Bool {
        guard
            let old = addresses[address.interface]?.first(where: {
                $0.ip == address.ip && $0.prefixLength == address.prefixLength
            })
        else { return false }
        return addresses[address.interface]?.remove(old) != nil
    }
    /// Whether a VXLAN device without our mark has the VNI.
    func hasOperatorDevice(_ vni: VNI) -> Bool { vxlans[vni.rawValue]?.contains { marks[$0] == nil } ?? false }
    /// Whether a port may be taken into a bridge: it is in none, or in one of ours, whose configuration does not have it any more.
    func isFree(_ port: Link) -> Bool {
        port.master == 0 || links[port.master].map { $0.isBridge && DeviceMark($0) != nil } == true
    }
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

/// A device and a number in it: a VLAN of a bridge, a VNI of an external VXLAN device; 0: all of it.
struct DeviceNumber: Hashable, Sendable {
    var interface: Int32
    var number: UInt32
    init(_ interface: Int32, _ number: UInt32 = 0) {
        self.interface = interface
        self.number = number
    }
}

/// The VLANs of one port.
struct VLANTable: Equatable, Sendable {
    /// 0: none.
    var pvid: UInt16 = 0
    var members: Set<UInt16> = []
    var untagged: Set<UInt16> = []
    /// VNIs by VLAN.
    var tunnels: [UInt16: UInt32] = [:]

    mutating func insert(_ range: PortVLANs) {
        for vlan in range.vlans {
            members.insert(vlan)
            if range.isPVID { pvid = vlan }
            if range.isUntagged { untagged.insert(vlan) }
            if let first = range.vni { tunnels[vlan] = first &+ UInt32(vlan - range.vlans.lowerBound) }
        }
    }
}
