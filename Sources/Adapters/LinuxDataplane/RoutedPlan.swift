// The layer-3 interface of a domain (IRB): the bridge, or its VLAN device. Managed ones are made and kept as configured, of the
// others it is said what is wrong.

import EVPN
import NetTypes
import Netlink

/// What the plan of a domain has to know beside the devices.
struct RoutedView {
    /// The configured IP-VRF of the interface, or why it cannot be used.
    var vrf: VRFBinding?
    var vrfProblem: String?
    var vrfRemedy: String?
    /// The VRF that evpnd put the interface into under an earlier configuration.
    var previousVRF: String?
    /// Addresses that this process has set on the interface: kernels before 5.18 do not keep who made an address.
    var setAddresses: Set<SubnetAddress> = []
    /// The bridge takes frames to the interface's MAC for its own.
    var isLocalMAC = true
}

extension DevicePlan {
    /// What is configured for the interface of a domain whose devices are evpnd's.
    mutating func route(_ domain: BroadcastDomain, _ view: RoutedView, _ links: LinkTable) {
        if domain.routed?.vrf != nil, view.vrf == nil {
            // The kernel takes the ports of a VRF device that goes back into the host's own table.
            for link in links.sorted(links.marked[.vni(domain.vni)])
            where link.master == 0 && (link.isBridge || link.vlan != 0) { isolate(link, view, links) }
        }
        guard let bridge, DeviceMark(bridge.alias)?.isNew == false, let binding else { return }
        guard binding.vlan != 0 else {
            if domain.routed != nil, let mac = bridge.address, !view.isLocalMAC {
                operations.append(.addLocalMAC(interface: bridge.interface, name: bridge.name, vlan: 0, mac: mac))
            }
            return correct(bridge, domain.routed, view, links)
        }
        guard let routed = domain.routed else { return }
        guard let upper = links[binding.vlanInterface] else {
            return makeVLANDevice(domain, routed, bridge, binding.vlan, links)
        }
        guard let mark = DeviceMark(upper.alias), mark.owner == .vni(domain.vni) else {
            return problem = problem ?? "\(upper.name) exists and was not made by evpnd"
        }
        let (index, name) = (upper.interface, DevicePlan.vlanDeviceName(bridge.name, binding.vlan))
        if upper.name != name { operations.append(.rename(interface: index, from: upper.name, to: name)) }
        if let mode = upper.addressGenerationMode, mode != 1 {
            operations.append(.noAddressGeneration(interface: index, name: name))
        }
        if links.vlans[bridge.interface]?.members.contains(binding.vlan) != true {
            operations.append(.joinSelf(interface: bridge.interface, name: bridge.name, vlan: binding.vlan))
        }
        if let mac = routed.mac, mac != upper.address {
            operations += links.forgetMAC(of: upper)
        }
        correct(upper, routed, view, links)
        if let mac = routed.mac ?? upper.address, mac != bridge.address, !view.isLocalMAC {
            operations.append(
                .addLocalMAC(interface: bridge.interface, name: bridge.name, vlan: binding.vlan, mac: mac))
        }
        if mark.isNew {
            operations.append(
                .activate(interface: index, name: name, mark: DeviceMark(mark.owner, isNew: false).alias))
        } else if !upper.isUp {
            operations.append(.activate(interface: index, name: name))
            noteDown(upper)
        }
    }
    private mutating func makeVLANDevice(
        _ domain: BroadcastDomain, _ routed: RoutedInterface, _ bridge: Link, _ vlan: UInt16, _ links: LinkTable
    ) {
        let name = DevicePlan.vlanDeviceName(bridge.name, vlan)
        guard links[name] == nil else {
            return problem = problem ?? "\(name) exists and is not VLAN \(vlan) of \(bridge.name)"
        }
        // The device first: by its mark it is known whose the bridge's own VLAN is.
        operations.append(
            .addVLANDevice(
                name: name, lower: bridge.interface, lowerName: bridge.name, vlan: vlan, mac: routed.mac,
                mark: DeviceMark(.vni(domain.vni), isNew: true).alias))
        if links.vlans[bridge.interface]?.members.contains(vlan) != true {
            operations.append(.joinSelf(interface: bridge.interface, name: bridge.name, vlan: vlan))
        }
    }
    /// `br0.10`; a long name of the bridge is cut to what the kernel takes (IFNAMSIZ).
    static func vlanDeviceName(_ bridge: String, _ vlan: UInt16) -> String {
        let suffix = ".\(vlan)"
        var name = bridge
        while name.utf8.count + suffix.utf8.count > 15 { name.removeLast() }
        return name + suffix
    }

    private mutating func correct(
        _ link: Link, _ routed: RoutedInterface?, _ view: RoutedView, _ links: LinkTable
    ) {
        if let mac = routed?.mac, link.address != mac {
            operations.append(.setMAC(interface: link.interface, name: link.name, mac: mac))
        }
        guard place(link, routed, view, links) else { return }
        setAddresses(link, routed, view, links)
        if routed != nil, link.forwardsIPv4 == false {
            operations.append(.forwardIPv4(interface: link.interface, name: link.name))
        }
    }
    /// Into the VRF. True when it is where it should be: outside of it, it has no addresses, whose routes would be in another table, and
    /// forwards nothing.
    private mutating func place(
        _ link: Link, _ routed: RoutedInterface?, _ view: RoutedView, _ links: LinkTable
    ) -> Bool {
        let mark = links.marks[link.master]?.owner
        var isOurPlace = view.previousVRF == links.name(of: link.master)
        if case .vrf = mark { isOurPlace = true }
        guard let name = routed?.vrf else {
            guard link.master != 0, isOurPlace else { return true }
            if routed == nil { isolate(link, view, links) }
            operations.append(.release(interface: link.interface, name: link.name))
            return false
        }
        guard let vrf = view.vrf else {
            note("VRF \(name): \(view.vrfProblem ?? "not configured")", remedy: view.vrfRemedy)
            return false
        }
        if link.master == vrf.interface { return true }
        guard link.master == 0 || isOurPlace else {
            problem =
                problem ?? "\(link.name) is in \(links.name(of: link.master)); the configuration has it in VRF \(name)"
            return false
        }
        isolate(link, view, links)
        if vrf.interface == 0 {
            operations.append(.release(interface: link.interface, name: link.name))
        } else {
            operations.append(
                .enslave(
                    interface: link.interface, name: link.name, bridge: vrf.interface,
                    bridgeName: links.name(of: vrf.interface)))
        }
        return false
    }
    /// Before everything else, which may fail.
    private mutating func isolate(_ link: Link, _ view: RoutedView, _ links: LinkTable) {
        operations.insert(contentsOf: links.isolation(of: link, setAddresses: view.setAddresses), at: 0)
    }
    private mutating func setAddresses(
        _ link: Link, _ routed: RoutedInterface?, _ view: RoutedView, _ links: LinkTable
    ) {
        // A device that is down loses its IPv6 addresses at once.
        guard link.isUp else { return }
        var wanted = routed?.addresses ?? []
        // Without a link-local address the kernel cannot ask for the neighbors of forwarded packets (net/ipv6/ndisc.c). It is set
        // here because one that the kernel makes is checked for duplicates, and all VTEPs have the same.
        if wanted.contains(where: { $0.ip.isV6 }), let mac = routed?.mac ?? link.address,
            let local = SubnetAddress(.v6(DevicePlan.linkLocal(mac)), length: 64), !wanted.contains(local)
        {
            wanted.append(local)
        }
        let present = links.addresses[link.interface] ?? []
        for address in present.sorted(by: { ($0.ip, $0.prefixLength) < ($1.ip, $1.prefixLength) }) {
            guard let found = SubnetAddress(address.ip, length: Int(address.prefixLength)), !wanted.contains(found)
            else { continue }
            if address.proto == neighborProtocol || view.setAddresses.contains(found) {
                operations.append(.deleteAddress(interface: link.interface, name: link.name, address: found))
            } else if address.ip.isV6, let other = wanted.first(where: { $0.ip == address.ip }) {
                problem = problem ?? "\(found) on \(link.name) was not set by evpnd: \(other) cannot be"
                wanted.removeAll { $0 == other }
            }
        }
        for address in wanted.sorted()
        where !present.contains(where: { $0.ip == address.ip && Int($0.prefixLength) == address.length }) {
            operations.append(.addAddress(interface: link.interface, name: link.name, address: address))
        }
    }
    /// The link-local address that a MAC gives (RFC 4291 appendix A).
    static func linkLocal(_ mac: MACAddress) -> IPv6Address {
        let bits = mac.rawValue
        return IPv6Address(
            high: 0xfe80_0000_0000_0000, low: (bits >> 24 ^ 0x02_0000) << 40 | 0xff_fe00_0000 | bits & 0xff_ffff)
    }

    /// What is wrong with the interface of a domain whose devices are the operator's.
    mutating func checkRouted(_ domain: BroadcastDomain, _ view: RoutedView, _ links: LinkTable) {
        guard let routed = domain.routed, let binding, problem == nil else { return }
        guard binding.isBridged, let link = links[binding.neighborInterface] else {
            problem = binding.vlan == 0 ? "there is no bridge to route for" : "VLAN \(binding.vlan) has no device"
            return
        }
        if let name = routed.vrf {
            guard let vrf = view.vrf else {
                return note("VRF \(name): \(view.vrfProblem ?? "not configured")", remedy: view.vrfRemedy)
            }
            guard link.master == vrf.interface else {
                let place = link.master == 0 ? "in no VRF" : "in \(links.name(of: link.master))"
                let device = links.name(of: vrf.interface)
                return note(
                    "\(link.name) is \(place); the configuration has it in VRF \(name)",
                    remedy: typed("ip link set \(link.name) " + (vrf.interface == 0 ? "nomaster" : "master \(device)")))
            }
        }
        if !link.isUp {
            noteDown(link)
        } else if link.forwardsIPv4 == false {
            note("IPv4 forwarding is off on \(link.name)", remedy: typed(Forwarding.command(link.name)))
        }
    }
}

extension LinkTable {
    /// So that frames to the MAC of a VLAN device are not the host's own any more. Nothing where it is the bridge's.
    func forgetMAC(of upper: Link) -> [LinkOperation] {
        guard let bridge = self[upper.lower], let mac = upper.address, mac != bridge.address,
            vlans[bridge.interface]?.members.contains(upper.vlan) == true
        else { return [] }
        return [.deleteLocalMAC(interface: bridge.interface, name: bridge.name, vlan: upper.vlan, mac: mac)]
    }
    /// Takes from a layer-3 interface of ours what would route packets of its tenant: forwarding, and the addresses with evpnd's mark and
    /// of `setAddresses`.
    func isolation(of link: Link, setAddresses: Set<SubnetAddress> = []) -> [LinkOperation] {
        let (interface, name) = (link.interface, link.name)
        let ours = (addresses[interface] ?? []).compactMap { address -> SubnetAddress? in
            guard let found = SubnetAddress(address.ip, length: Int(address.prefixLength)) else { return nil }
            return address.proto == neighborProtocol || setAddresses.contains(found) ? found : nil
        }
        return (link.forwardsIPv4 == true ? [.stopForwardingIPv4(interface: interface, name: name)] : [])
            + ours.sorted().map { .deleteAddress(interface: interface, name: name, address: $0) }
    }
    /// In the order in which they can be deleted: nothing is to be left over in the host's own table on the way.
    func sortedForRemoval(_ devices: [Link]) -> [Link] {
        devices.filter { !$0.isBridge && $0.vrfTable == 0 } + devices.filter(\.isBridge)
            + devices.filter { $0.vrfTable != 0 }
    }
    /// Deletes a device of ours, and what goes with it: the ends of a VRF's table, what its ports would take into the host's own table,
    /// the own VLAN of the bridge below a VLAN device.
    func removal(of link: Link) -> [LinkOperation] {
        var operations: [LinkOperation] = []
        if link.vrfTable != 0 {
            for port in sorted(ports[link.interface] ?? []) where DeviceMark(port) != nil {
                operations += isolation(of: port)
            }
            operations.append(.removeEnds(table: link.vrfTable))
        }
        if link.vlan != 0, let bridge = self[link.lower], bridge.isBridge {
            operations += forgetMAC(of: link)
            if vlans[bridge.interface]?.members.contains(link.vlan) == true {
                operations.append(.leaveSelf(interface: bridge.interface, name: bridge.name, vlan: link.vlan))
            }
        }
        return operations + [.delete(interface: link.interface, name: link.name)]
    }
}
