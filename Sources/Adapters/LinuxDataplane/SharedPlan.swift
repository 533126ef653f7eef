// What has to be done so that one bridge and its one external VXLAN device carry all VNIs that live in VLANs. Pure: links in, commands
// out.

import EVPN
import NetTypes
import Netlink

struct SharedPlan: Equatable, Sendable {
    /// Devices first: while there are any, VLANs are not looked at.
    var operations: [LinkOperation] = []
    var vxlan: Link?
    var bridge: Link?
    var vtep: IPAddress?
    /// The VLAN of each VNI.
    var vlans: [VNI: UInt16] = [:]
    /// Why none, or one, of the VNIs can be served.
    var problem: String?
    var problems: [VNI: String] = [:]
    /// VNIs whose mappings have to go, and the VLANs that they leave; done when nothing is in them any more.
    var leaving: [VNI: UInt16] = [:]
    /// Members that are not there (yet).
    var absentMembers: [VNI: [String]] = [:]

    /// `places`: the configured VNIs, all in one bridge. `previous`: the VLANs chosen so far. `mayRemove`: whether the mapping of a VNI
    /// that is not among them goes. `isEmpty`: whether the entries of a VNI that leaves its VLAN are gone: before that its mapping stays.
    /// `kernelFilters`: whether the kernel has filters of VNIs; asked for only when it matters.
    init(
        _ places: [VNI: ManagedVLAN], _ device: SharedBridge, vtep: IPAddress?, links: LinkTable,
        previous: [VNI: UInt16] = [:], kernelFilters: () -> Bool = { true }, mayRemove: (VNI) -> Bool,
        isEmpty: (VNI) -> Bool = { _ in true }
    ) {
        self.vtep = vtep
        vlans = previous.filter { places[$0.key] != nil }
        plan(places, device, links, previous, kernelFilters, mayRemove, isEmpty)
    }
    private mutating func plan(
        _ places: [VNI: ManagedVLAN], _ device: SharedBridge, _ links: LinkTable, _ previous: [VNI: UInt16],
        _ kernelFilters: () -> Bool, _ mayRemove: (VNI) -> Bool, _ isEmpty: (VNI) -> Bool
    ) {
        let ours = links.sorted(links.marked[.shared])
        guard let bridge = resolve(device.bridgeName, ours.first { $0.isBridge }, links),
            let vxlan = resolve(device.vxlanName, ours.first { $0.vxlan != nil }, links)
        else { return }
        self.bridge = bridge
        self.vxlan = vxlan
        guard let vtep else { return problem = "no VTEP address" }
        makeDevices(device, vtep: vtep, links, kernelFilters)
        chooseVLANs(places, links, previous)
        guard operations.isEmpty, let bridge, let vxlan = self.vxlan else { return }
        guard bridge.hasVLANFiltering else { return problem = "the kernel's bridges cannot filter VLANs" }
        let held = mapVLANs(vxlan, links, mayRemove, isEmpty)
        joinMembers(places, bridge, links, held)
    }

    /// The device of ours, by its mark under whatever name; a foreign device under our name is a problem.
    private mutating func resolve(_ name: String, _ marked: Link?, _ links: LinkTable) -> Link?? {
        if let marked { return .some(marked) }
        guard links[name] != nil else { return .some(nil) }
        problem = "\(name) exists and was not made by evpnd"
        return nil
    }

    private mutating func makeDevices(
        _ device: SharedBridge, vtep: IPAddress, _ links: LinkTable, _ kernelFilters: () -> Bool
    ) {
        let mtu = DevicePlan.mtu(device.mtu, vtep, links)
        let newMark = DeviceMark(.shared, isNew: true).alias
        if bridge == nil {
            operations.append(
                .addBridge(
                    name: device.bridgeName, mac: DevicePlan.bridgeAddress(vtep, 0), filtersVLANs: true, mark: newMark))
        }
        if let link = vxlan, let now = link.vxlan,
            now.port != device.port || !now.collectsMetadata
                || now.hasVNIFilter != device.filtersVNIs && (now.hasVNIFilter || kernelFilters())
                || (now.local.map { $0.isV6 != vtep.isV6 } ?? true)
        {
            operations.append(.delete(interface: link.interface, name: link.name))
            vxlan = nil
        }
        if vxlan == nil {
            operations.append(
                .addVXLAN(
                    name: device.vxlanName, vni: nil, local: vtep, port: device.port, mtu: mtu,
                    filtersVNIs: device.filtersVNIs, mark: newMark))
        }
        guard let bridge else { return }
        correct(bridge, device.bridgeName)
        if !bridge.hasVLANFiltering {
            operations.append(.filterVLANs(interface: bridge.interface, name: device.bridgeName))
        }
        guard let vxlan else { return }
        let (index, name) = (vxlan.interface, device.vxlanName)
        correct(vxlan, name)
        if vxlan.mtu != mtu { operations.append(.setMTU(interface: index, name: name, mtu: mtu)) }
        if vxlan.vxlan?.local != vtep { operations.append(.setLocal(interface: index, name: name, local: vtep)) }
        if vxlan.vxlan?.isLearning == true { operations.append(.setNoLearning(interface: index, name: name)) }
        let isPort = vxlan.master == bridge.interface
        if !isPort {
            operations.append(
                .enslave(interface: index, name: name, bridge: bridge.interface, bridgeName: device.bridgeName))
        }
        if !isPort || vxlan.port?.isLearning != false || vxlan.port?.suppressesNeighbors != true
            || vxlan.port?.mapsVLANs != true
        {
            operations.append(.setPort(interface: index, name: name, suppressesNeighbors: true, mapsVLANs: true))
        }
        activate(bridge, device.bridgeName)
        activate(vxlan, device.vxlanName)
    }
    private mutating func correct(_ link: Link, _ name: String) {
        if link.name != name { operations.append(.rename(interface: link.interface, from: link.name, to: name)) }
        if let mode = link.addressGenerationMode, mode != 1 {
            operations.append(.noAddressGeneration(interface: link.interface, name: name))
        }
    }
    private mutating func activate(_ link: Link, _ name: String) {
        let isNew = DeviceMark(link)?.isNew == true
        guard isNew || !link.isUp else { return }
        let mark = isNew ? DeviceMark(.shared, isNew: false).alias : nil
        operations.append(.activate(interface: link.interface, name: name, mark: mark))
    }

    /// Configured VLANs first, then mappings that are there already, then those that were there before somebody removed them; for
    /// each further VNI the highest VLAN in use on any port plus one, or when that is past the end the first that is free.
    private mutating func chooseVLANs(
        _ places: [VNI: ManagedVLAN], _ links: LinkTable, _ previous: [VNI: UInt16]
    ) {
        vlans = [:]
        var taken: Set<UInt16> = []
        for (vni, place) in places {
            guard let vlan = place.vlan else { continue }
            vlans[vni] = vlan
            taken.insert(vlan)
        }
        let mapped = (vxlan.flatMap { links.vlans[$0.interface] } ?? VLANTable()).tunnels
        for (vlan, number) in mapped.sorted(by: { $0.key < $1.key }) {
            guard let vni = VNI(number), places[vni] != nil, vlans[vni] == nil, taken.insert(vlan).inserted else {
                continue
            }
            vlans[vni] = vlan
        }
        for (vni, vlan) in previous.sorted(by: { $0.key < $1.key }) where places[vni] != nil && vlans[vni] == nil {
            if taken.insert(vlan).inserted { vlans[vni] = vlan }
        }
        guard vlans.count < places.count else { return }
        if let bridge {
            for port in links.ports[bridge.interface] ?? [] { taken.formUnion(links.vlans[port]?.members ?? []) }
        }
        var next = max(2, (taken.max() ?? 1) + 1)
        for vni in places.keys.sorted() where vlans[vni] == nil {
            while next <= 4094, taken.contains(next) { next += 1 }
            if next > 4094 { next = (2...4094).first { !taken.contains($0) } ?? .max }
            guard next <= 4094 else {
                problems[vni] = "no VLAN is left: all 4093 are in use"
                continue
            }
            vlans[vni] = next
            taken.insert(next)
            next += 1
        }
    }

    /// Returns the VLANs that VNIs have to leave before others can have them.
    private mutating func mapVLANs(
        _ vxlan: Link, _ links: LinkTable, _ mayRemove: (VNI) -> Bool, _ isEmpty: (VNI) -> Bool
    ) -> Set<UInt16> {
        let (index, name) = (vxlan.interface, vxlan.name)
        let table = links.vlans[index] ?? VLANTable()
        var wanted: [UInt16: VNI] = [:]
        for (vni, vlan) in vlans { wanted[vlan] = vni }
        var held: [VNI: UInt16] = [:]
        for (vlan, number) in table.tunnels.sorted(by: { $0.key < $1.key }) where wanted[vlan]?.rawValue != number {
            // In the way of another VNI, of a VNI that lives elsewhere now, or of nobody any more.
            let old = VNI(number)
            guard wanted[vlan] != nil || old.map({ vlans[$0] != nil || mayRemove($0) }) ?? true else { continue }
            if let old {
                leaving[old] = vlan
                guard isEmpty(old) else {
                    held[old] = vlan
                    continue
                }
            }
            operations.append(.leaveVLAN(interface: index, name: name, vlan: vlan))
        }
        let heldVLANs = Set(held.values)
        if vxlan.vxlan?.hasVNIFilter == true {
            let present = links.filters[index] ?? []
            for number in present.sorted() {
                guard let vni = VNI(number), vlans[vni] == nil, mayRemove(vni), held[vni] == nil else { continue }
                operations.append(.leaveVNI(interface: index, name: name, vni: number))
            }
            for vni in vlans.keys.sorted() where !present.contains(vni.rawValue) {
                operations.append(.filterVNI(interface: index, name: name, vni: vni))
            }
        }
        for (vlan, vni) in wanted.sorted(by: { $0.key < $1.key })
        where table.tunnels[vlan] != vni.rawValue && held[vni] == nil && !heldVLANs.contains(vlan) {
            operations.append(.mapVLAN(interface: index, name: name, vlan: vlan, vni: vni))
        }
        return heldVLANs
    }

    private mutating func joinMembers(
        _ places: [VNI: ManagedVLAN], _ bridge: Link, _ links: LinkTable, _ held: Set<UInt16>
    ) {
        for (vni, place) in places.sorted(by: { $0.key < $1.key }) {
            guard let vlan = vlans[vni] else { continue }
            for name in place.members {
                guard let member = links[name] else {
                    absentMembers[vni, default: []].append(name)
                    continue
                }
                if member.master != bridge.interface {
                    guard links.isFree(member) else {
                        problems[vni] = "member \(name) belongs to \(links.name(of: member.master))"
                        continue
                    }
                    operations.append(
                        .enslave(
                            interface: member.interface, name: name, bridge: bridge.interface, bridgeName: bridge.name))
                }
                let table = member.master == bridge.interface ? links.vlans[member.interface] : nil
                for other in (table?.members ?? []).sorted() where other != vlan {
                    operations.append(.leaveVLAN(interface: member.interface, name: name, vlan: other))
                }
                // Its frames would still go to the VNI that had the VLAN before.
                if held.contains(vlan) { continue }
                if table?.pvid != vlan || table?.untagged.contains(vlan) != true {
                    operations.append(.joinVLAN(interface: member.interface, name: name, vlan: vlan))
                }
            }
        }
    }
}
