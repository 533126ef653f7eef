// Which device is a broadcast domain's, and for managed ones, what has to be done to make it so. Pure: links in, commands out.

import EVPN
import NetTypes
import Netlink

/// The devices that a domain uses now.
struct DeviceBinding: Equatable, Sendable {
    var vxlan: Int32
    /// 0: the VXLAN device is not in a bridge.
    var bridge: Int32
    var vtep: IPAddress
    /// The domain's VLAN in a bridge that filters VLANs; 0: the bridge is the domain's alone.
    var vlan: UInt16 = 0
    /// The VNI by which an external VXLAN device knows the domain's entries; 0: the device is the domain's alone.
    var sourceVNI: UInt32 = 0
    /// The VLAN device on the bridge, if there is one.
    var vlanInterface: Int32 = 0

    var isBridged: Bool { bridge != 0 }
    /// Where neighbors live; 0: nowhere, and none can be suppressed.
    var neighborInterface: Int32 {
        if isBridged { return vlan == 0 ? bridge : vlanInterface }
        return sourceVNI == 0 ? vxlan : 0
    }
    var interfaces: [Int32] { [vxlan, bridge, neighborInterface].filter { $0 != 0 } }
    var vxlanPlace: DeviceNumber { DeviceNumber(vxlan, sourceVNI) }
    var bridgePlace: DeviceNumber { DeviceNumber(bridge, UInt32(vlan)) }
}

/// The outcome for one domain.
struct DevicePlan: Equatable, Sendable {
    static let ttl: UInt8 = 64

    var operations: [LinkOperation] = []
    /// Non-nil: the domain can forward.
    var binding: DeviceBinding?
    var state = DomainStatus.State.waiting
    var problem: String?
    /// What an operator can do about `problem`, beginning with a command as it is typed outside of namespaces.
    var remedy: String?
    /// Members that are not here (yet).
    var absentMembers: [String] = []
    /// The VXLAN device, whether usable or not.
    var vxlan: Link?
    var bridge: Link?
    var vtep: IPAddress?
    /// The network namespace of the devices, if it is another than evpnd's.
    private let namespace: String?

    /// `shared`: what has become of the bridge for many VNIs. `routed`: what there is to know for its layer-3 interface. `formerMembers`:
    /// what is to leave the bridge. `tenant`: for a namespace whose VXLAN packets travel in another one.
    init(
        _ domain: BroadcastDomain, defaultVTEP: IPAddress?, links: LinkTable, shared: SharedPlan? = nil,
        routed: RoutedView = RoutedView(), formerMembers: Set<String> = [], tenant: Tenant? = nil
    ) {
        namespace = tenant?.namespace
        switch domain.device {
        case .adopted(let name):
            adopt(domain, name: name, defaultVTEP: defaultVTEP, links: links)
            checkRouted(domain, routed, links)
        case .managed(let device):
            manage(domain, device, vtep: domain.vtep ?? defaultVTEP, links: links, tenant: tenant)
            release(formerMembers, links)
            route(domain, routed, links)
        case .switched: problem = "is to be in Open vSwitch, from the next start of evpnd on"
        case .managedVLAN where tenant != nil:
            problem = "a bridge for many VNIs cannot be in a network namespace: give the VNI devices of its own"
        case .managedVLAN:
            place(domain, shared, links: links)
            release(formerMembers, links)
            route(domain, routed, links)
        }
    }

    private mutating func place(_ domain: BroadcastDomain, _ shared: SharedPlan?, links: LinkTable) {
        guard let shared else { return problem = "starting" }
        vxlan = shared.vxlan
        bridge = shared.bridge
        vtep = shared.vtep
        problem = shared.problems[domain.vni] ?? shared.problem
        absentMembers = shared.absentMembers[domain.vni] ?? []
        guard let vxlan, let vlan = shared.vlans[domain.vni],
            links.vlans[vxlan.interface]?.tunnels[vlan] == domain.vni.rawValue
        else { return problem = problem ?? "the VLAN is being made" }
        bind(vlan: vlan, sourceVNI: domain.vni.rawValue, links)
    }

    private mutating func adopt(_ domain: BroadcastDomain, name: String?, defaultVTEP: IPAddress?, links: LinkTable) {
        if let name {
            guard let link = links[name] else { return problem = "no device \(name)" }
            guard let vxlan = link.vxlan else { return problem = "\(name) is not a VXLAN device" }
            guard vxlan.collectsMetadata || vxlan.vni == domain.vni.rawValue else {
                return problem = "\(name) has VNI \(vxlan.vni)"
            }
            self.vxlan = link
        } else {
            // A device for the VNI alone, otherwise one that a VLAN is mapped on.
            var candidates = links.sorted(links.vxlans[domain.vni.rawValue])
            if candidates.isEmpty {
                candidates = links.sorted(Set((links.tunnels[domain.vni.rawValue] ?? []).map(\.interface)))
                    .filter { $0.vxlan?.collectsMetadata == true }
            }
            guard let first = candidates.first else { return problem = "no VXLAN device with VNI \(domain.vni)" }
            vxlan = first
            if candidates.count > 1 {
                problem = "several devices have the VNI: \(candidates.map(\.name).joined(separator: ", "))"
            }
        }
        guard let vxlan, let parameters = vxlan.vxlan else { return }
        bridge = links[vxlan.master].flatMap { $0.isBridge ? $0 : nil }
        vtep = domain.vtep ?? parameters.local ?? defaultVTEP
        if domain.isFloodOnly {
            // Whether the device learns is the operator's choice.
        } else if parameters.isLearning {
            problem = problem ?? "learning is on: the kernel may override remote entries (use nolearning)"
        } else if let port = vxlan.port, port.isLearning {
            problem =
                problem ?? "bridge port learning is on: the bridge learns remote MACs by itself (use learning off)"
        }
        adoptPlace(domain, isExternal: parameters.collectsMetadata, links)
    }
    /// Which part of the devices is the domain's.
    private mutating func adoptPlace(_ domain: BroadcastDomain, isExternal: Bool, _ links: LinkTable) {
        guard let vxlan else { return }
        let table = links.vlans[vxlan.interface] ?? VLANTable()
        let isFiltering = bridge?.hasVLANFiltering == true
        guard isExternal else {
            if isFiltering, table.pvid == 0 {
                problem = problem ?? "\(vxlan.name) has no PVID: no VLAN of the bridge reaches it"
            }
            return bind(vlan: isFiltering ? table.pvid : 0, sourceVNI: 0, links)
        }
        if vxlan.vxlan?.hasVNIFilter == true,
            links.filters[vxlan.interface]?.contains(domain.vni.rawValue) != true
        {
            return problem =
                "the filter of \(vxlan.name) does not have the VNI: bridge vni add vni \(domain.vni) dev \(vxlan.name)"
        }
        guard bridge != nil else { return bind(vlan: 0, sourceVNI: domain.vni.rawValue, links) }
        let vlans = table.tunnels.filter { $0.value == domain.vni.rawValue }.keys.sorted()
        guard isFiltering else { return problem = "the bridge of the external \(vxlan.name) does not filter VLANs" }
        guard let vlan = vlans.first else { return problem = "\(vxlan.name) maps no VLAN to VNI \(domain.vni)" }
        if vxlan.port?.mapsVLANs == false { problem = "vlan_tunnel is off on \(vxlan.name)" }
        bind(vlan: vlan, sourceVNI: domain.vni.rawValue, links)
    }

    private mutating func bind(vlan: UInt16, sourceVNI: UInt32, _ links: LinkTable) {
        guard let vxlan else { return }
        guard vxlan.isUp else {
            (state, problem) = (.down, nil)
            return noteDown(vxlan)
        }
        guard let vtep else { return problem = "no VTEP address" }
        state = .up
        binding = DeviceBinding(vxlan: vxlan.interface, bridge: bridge?.interface ?? 0, vtep: vtep)
        binding?.vlan = vlan
        binding?.sourceVNI = sourceVNI
        if vlan != 0, let bridge {
            binding?.vlanInterface = links.uppers[DeviceNumber(bridge.interface, UInt32(vlan))] ?? 0
        }
        // One that is being made goes up when it is ready.
        if let bridge, !bridge.isUp, DeviceMark(bridge)?.isNew != true { noteDown(bridge) }
    }
    /// Says what is wrong, unless something is already.
    mutating func note(_ reason: String, remedy command: String? = nil) {
        guard problem == nil else { return }
        problem = reason
        remedy = command
    }
    mutating func noteDown(_ link: Link, _ role: String = "") {
        note("\(role)\(link.name) is down", remedy: "ip \(namespace.map { "-n \($0) " } ?? "")link set \(link.name) up")
    }
    /// `command` as it is typed outside of the namespace that the devices are in.
    func typed(_ command: String) -> String { namespace.map { "ip netns exec \($0) \(command)" } ?? command }

    private mutating func manage(
        _ domain: BroadcastDomain, _ device: ManagedDevice, vtep: IPAddress?, links: LinkTable, tenant: Tenant?
    ) {
        self.vtep = vtep
        let ours = links.sorted(links.marked[.vni(domain.vni)])
        guard let bridge = resolve(device.bridgeName, ours.first { $0.isBridge }, links) else { return }
        guard let vxlan = resolve(device.vxlanName, ours.first { $0.vxlan != nil }, links) else { return }
        self.bridge = bridge
        self.vxlan = vxlan
        guard let vtep else { return problem = "no VTEP address" }
        let mtu = DevicePlan.mtu(device.mtu, vtep, tenant?.underlay ?? links)
        let newMark = DeviceMark(.vni(domain.vni), isNew: true).alias

        if bridge == nil {
            operations.append(
                .addBridge(
                    name: device.bridgeName,
                    mac: domain.routed?.mac ?? DevicePlan.bridgeAddress(vtep, domain.vni.rawValue), filtersVLANs: false,
                    mark: newMark))
        }
        // VNI and port cannot be changed in place, nor the address family.
        if let link = vxlan, let now = link.vxlan,
            now.vni != domain.vni.rawValue || now.port != device.port || now.collectsMetadata
                || (now.local.map { $0.isV6 != vtep.isV6 } ?? true)
        {
            operations.append(.delete(interface: link.interface, name: link.name))
            self.vxlan = nil
        }
        if self.vxlan == nil, let other = DevicePlan.holder(of: domain.vni, device.port, tenant?.underlay ?? links) {
            note(
                "\(other.name) has VNI \(domain.vni) and UDP port \(device.port) already and was not made by evpnd",
                remedy: tenant == nil
                    ? "ip link del \(other.name); or use it: leave out managed: true" : "ip link del \(other.name)")
        } else if self.vxlan == nil {
            // Made through another namespace, a device is at first without its mark: its name stands for it.
            let name = tenant == nil ? device.vxlanName : DeviceMark.provisionalName(domain.vni)
            operations.append(
                .addVXLAN(
                    name: name, namespace: tenant?.namespace, vni: domain.vni, local: vtep, port: device.port, mtu: mtu,
                    mark: newMark))
        }
        if let bridge {
            correct(bridge, name: device.bridgeName, vni: domain.vni)
            if let vxlan = self.vxlan {
                correctVXLAN(vxlan, device, bridge: bridge, vtep: vtep, mtu: mtu, domain)
            }
            for name in device.members {
                guard let member = links[name] else {
                    miss(name, tenant)
                    continue
                }
                if member.master == bridge.interface {
                    noteMember(member)
                } else if links.isFree(member) {
                    operations.append(
                        .enslave(
                            interface: member.interface, name: name, bridge: bridge.interface, bridgeName: bridge.name))
                } else {
                    let master = links.name(of: member.master)
                    note("member \(name) belongs to \(master)", remedy: typed("ip link set \(name) nomaster"))
                }
            }
        }
        if self.vxlan != nil, bridge != nil, self.vxlan?.master == bridge?.interface {
            bind(vlan: 0, sourceVNI: 0, links)
        } else {
            problem = problem ?? "the device is being made"
        }
    }

    /// What is wrong with a port that is in the bridge.
    private mutating func noteMember(_ member: Link) {
        if !member.isUp {
            noteDown(member, "member ")
        } else if let vxlan, member.mtu > vxlan.mtu {
            note(
                "member \(member.name) has an MTU of \(member.mtu), \(vxlan.name) \(vxlan.mtu): larger packets are lost",
                remedy: typed("ip link set \(member.name) mtu \(vxlan.mtu)")
                    + ", and the same in the host; or an underlay with a larger one")
        }
    }
    private mutating func release(_ members: Set<String>, _ links: LinkTable) {
        guard let bridge else { return }
        for name in members.sorted() {
            guard let member = links[name], member.master == bridge.interface else { continue }
            operations.append(.release(interface: member.interface, name: name))
        }
    }

    /// The VXLAN device of somebody else that keeps the kernel from making another one.
    private static func holder(of vni: VNI, _ port: UInt16, _ links: LinkTable) -> Link? {
        links.sorted(links.vxlans[vni.rawValue]).first { $0.vxlan?.port == port && DeviceMark($0) == nil }
    }
    private mutating func miss(_ member: String, _ tenant: Tenant?) {
        absentMembers.append(member)
        guard let tenant, tenant.underlay[member] != nil else { return }
        note(
            "member \(member) is in the network namespace of evpnd, not in \(tenant.namespace)",
            remedy: "ip link set \(member) netns \(tenant.namespace); ip -n \(tenant.namespace) link set \(member) up")
    }

    static func mtu(_ configured: Int?, _ vtep: IPAddress, _ links: LinkTable) -> UInt32 {
        configured.map { UInt32(clamping: $0) } ?? max(1280, links.underlayMTU(of: vtep)) - (vtep.isV6 ? 70 : 50)
    }
    /// A locally administered address, the same whenever the bridge is made again: FNV-1a of VTEP and VNI.
    static func bridgeAddress(_ vtep: IPAddress, _ vni: UInt32) -> MACAddress {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        let number = (0..<4).map { UInt8(truncatingIfNeeded: vni >> (8 * $0)) }
        for octet in vtep.octets + number { hash = (hash ^ UInt64(octet)) &* 0x100_0000_01b3 }
        return MACAddress(rawValue: 0x0200_0000_0000 | hash >> 24 & 0xff_ffff_ffff)
    }
    /// The device of ours, by its mark under whatever name; a foreign device under our name is a problem.
    private mutating func resolve(_ name: String, _ marked: Link?, _ links: LinkTable) -> Link?? {
        if let marked { return .some(marked) }
        guard links[name] != nil else { return .some(nil) }
        problem = "\(name) exists and was not made by evpnd"
        return nil
    }
    private mutating func correct(_ link: Link, name: String, vni: VNI) {
        if link.name != name { operations.append(.rename(interface: link.interface, from: link.name, to: name)) }
        if let mode = link.addressGenerationMode, mode != 1 {
            operations.append(.noAddressGeneration(interface: link.interface, name: name))
        }
        if link.isBridge, DeviceMark(link)?.isNew == true {
            let mark = DeviceMark(.vni(vni), isNew: false).alias
            operations.append(.activate(interface: link.interface, name: name, mark: mark))
        } else if link.isBridge, !link.isUp {
            operations.append(.activate(interface: link.interface, name: name))
        }
    }
    private mutating func correctVXLAN(
        _ link: Link, _ device: ManagedDevice, bridge: Link, vtep: IPAddress, mtu: UInt32, _ domain: BroadcastDomain
    ) {
        let (index, name) = (link.interface, device.vxlanName)
        if link.alias.isEmpty {
            operations.append(
                .mark(interface: index, name: link.name, mark: DeviceMark(.vni(domain.vni), isNew: true).alias))
        }
        correct(link, name: name, vni: domain.vni)
        if link.mtu != mtu { operations.append(.setMTU(interface: index, name: name, mtu: mtu)) }
        if link.vxlan?.local != vtep { operations.append(.setLocal(interface: index, name: name, local: vtep)) }
        if link.vxlan?.isLearning == true { operations.append(.setNoLearning(interface: index, name: name)) }
        if link.master != bridge.interface {
            operations.append(
                .enslave(interface: index, name: name, bridge: bridge.interface, bridgeName: device.bridgeName))
        }
        // Nobody asks for addresses in an L3 VNI.
        let suppresses = !domain.isTransit
        if link.master != bridge.interface || link.port?.isLearning != false
            || link.port?.suppressesNeighbors != suppresses
        {
            operations.append(
                .setPort(interface: index, name: name, suppressesNeighbors: suppresses, mapsVLANs: false))
        }
        // Last, so that no packet passes before the port is right.
        if DeviceMark(link)?.isNew == true {
            operations.append(
                .activate(interface: index, name: name, mark: DeviceMark(.vni(domain.vni), isNew: false).alias))
        } else if !link.isUp {
            operations.append(.activate(interface: index, name: name))
        }
    }
}
