// Which device is a broadcast domain's, and for managed ones, what has to be done to make it so. Pure: links in, commands out.

import EVPN
import NetTypes
import Netlink

/// The mark on devices that evpnd made (IFLA_IFALIAS).
struct DeviceMark: Equatable, Sendable {
    var vni: VNI
    /// Still being set up: not yet set up (`ip link set up`) for the first time.
    var isNew: Bool

    var alias: String { "evpnd:vni=\(vni)" + (isNew ? ":new" : "") }
    init(vni: VNI, isNew: Bool) {
        self.vni = vni
        self.isNew = isNew
    }
    /// Nil for an alias that is not ours.
    init?(_ alias: String) {
        guard alias.hasPrefix("evpnd:vni=") else { return nil }
        var rest = alias.dropFirst("evpnd:vni=".count)
        isNew = rest.hasSuffix(":new")
        if isNew { rest = rest.dropLast(4) }
        guard let vni = VNI(String(rest)) else { return nil }
        self.vni = vni
    }
}

/// One change of a device, printed as the command that does it. Changes of one plan are in the order to do them.
enum LinkOperation: Hashable, Sendable, CustomStringConvertible {
    /// With an address of its own: one that follows the ports makes the kernel flush the neighbors at every change.
    case addBridge(name: String, mac: MACAddress, mark: String)
    case addVXLAN(name: String, vni: VNI, local: IPAddress, port: UInt16, mtu: UInt32, mark: String)
    case delete(interface: Int32, name: String)
    case rename(interface: Int32, from: String, to: String)
    case setMTU(interface: Int32, name: String, mtu: UInt32)
    case setLocal(interface: Int32, name: String, local: IPAddress)
    case setNoLearning(interface: Int32, name: String)
    case noAddressGeneration(interface: Int32, name: String)
    case enslave(interface: Int32, name: String, bridge: Int32, bridgeName: String)
    case setPort(interface: Int32, name: String)
    /// Up for the first time, and the mark loses its `:new`.
    case activate(interface: Int32, name: String, mark: String)

    var description: String {
        switch self {
        case .addBridge(let name, let mac, let mark):
            "ip link add \(name) address \(mac) type bridge; ip link set \(name) alias \(mark)"
        case .addVXLAN(let name, let vni, let local, let port, let mtu, let mark):
            "ip link add \(name) mtu \(mtu) type vxlan id \(vni) local \(local) dstport \(port) ttl \(DevicePlan.ttl) nolearning; ip link set \(name) alias \(mark)"
        case .delete(_, let name): "ip link del \(name)"
        case .rename(_, let from, let to): "ip link set \(from) name \(to)"
        case .setMTU(_, let name, let mtu): "ip link set \(name) mtu \(mtu)"
        case .setLocal(_, let name, let local): "ip link set \(name) type vxlan local \(local)"
        case .setNoLearning(_, let name): "ip link set \(name) type vxlan nolearning"
        case .noAddressGeneration(_, let name): "ip link set \(name) addrgenmode none"
        case .enslave(_, let name, _, let bridge): "ip link set \(name) master \(bridge)"
        case .setPort(_, let name): "bridge link set dev \(name) learning off neigh_suppress on"
        case .activate(_, let name, let mark): "ip link set \(name) up alias \(mark)"
        }
    }
    /// The requests, to be sent together so that a crash leaves no device without its mark.
    func encode(_ batch: inout NetlinkBatch, request: Int, sequence: UInt32) {
        switch self {
        case .addBridge(let name, let mac, let mark):
            request == 0
                ? batch.addBridge(sequence: sequence, name: name, mac: mac)
                : batch.setLink(sequence: sequence, byName: name, alias: mark)
        case .addVXLAN(let name, let vni, let local, let port, let mtu, let mark):
            request == 0
                ? batch.addVXLAN(
                    sequence: sequence, name: name, vni: vni.rawValue, local: local, port: port, ttl: DevicePlan.ttl,
                    mtu: mtu)
                : batch.setLink(sequence: sequence, byName: name, alias: mark)
        case .delete(let interface, _): batch.deleteLink(sequence: sequence, interface: interface)
        case .rename(let interface, _, let name):
            batch.setLink(sequence: sequence, interface: interface, rename: name)
        case .setMTU(let interface, _, let mtu): batch.setLink(sequence: sequence, interface: interface, mtu: mtu)
        case .setLocal(let interface, _, let local):
            batch.changeVXLAN(sequence: sequence, interface: interface, local: local, ttl: nil, noLearning: false)
        case .setNoLearning(let interface, _):
            batch.changeVXLAN(sequence: sequence, interface: interface, local: nil, ttl: nil, noLearning: true)
        case .noAddressGeneration(let interface, _):
            batch.setLink(sequence: sequence, interface: interface, noAddressGeneration: true)
        case .enslave(let interface, _, let bridge, _):
            batch.setLink(sequence: sequence, interface: interface, master: bridge)
        case .setPort(let interface, _):
            batch.setBridgePort(sequence: sequence, interface: interface, learning: false, suppressNeighbors: true)
        case .activate(let interface, _, let mark):
            batch.setLink(sequence: sequence, interface: interface, isUp: true, alias: mark)
        }
    }
    /// The device's name once it is done; nil: gone.
    var deviceName: String? {
        switch self {
        case .addBridge(let name, _, _), .addVXLAN(let name, _, _, _, _, _), .rename(_, _, let name),
            .setMTU(_, let name, _), .setLocal(_, let name, _), .setNoLearning(_, let name),
            .noAddressGeneration(_, let name), .enslave(_, let name, _, _), .setPort(_, let name),
            .activate(_, let name, _):
            name
        case .delete: nil
        }
    }
    var requestCount: Int {
        switch self {
        case .addBridge, .addVXLAN: 2
        default: 1
        }
    }
}

/// The devices that a domain uses now.
struct DeviceBinding: Equatable, Sendable {
    var vxlan: Int32
    /// 0: the VXLAN device is not in a bridge.
    var bridge: Int32
    var vtep: IPAddress
    var isBridged: Bool { bridge != 0 }
    /// Where neighbors live.
    var neighborInterface: Int32 { isBridged ? bridge : vxlan }
}

/// The outcome for one domain.
struct DevicePlan: Equatable, Sendable {
    static let ttl: UInt8 = 64

    var operations: [LinkOperation] = []
    /// Non-nil: the domain can forward.
    var binding: DeviceBinding?
    var state = DomainStatus.State.waiting
    var problem: String?
    /// The VXLAN device, whether usable or not.
    var vxlan: Link?
    var bridge: Link?
    var vtep: IPAddress?

    init(_ domain: BroadcastDomain, defaultVTEP: IPAddress?, links: LinkTable) {
        switch domain.device {
        case .adopted(let name): adopt(domain, name: name, defaultVTEP: defaultVTEP, links: links)
        case .managed(let device): manage(domain, device, vtep: domain.vtep ?? defaultVTEP, links: links)
        }
    }

    private mutating func adopt(_ domain: BroadcastDomain, name: String?, defaultVTEP: IPAddress?, links: LinkTable) {
        if let name {
            guard let link = links[name] else { return problem = "no device \(name)" }
            guard let vxlan = link.vxlan else { return problem = "\(name) is not a VXLAN device" }
            guard !vxlan.collectsMetadata else {
                return problem = "\(name) is an external VXLAN device (not supported)"
            }
            guard vxlan.vni == domain.vni.rawValue else { return problem = "\(name) has VNI \(vxlan.vni)" }
            self.vxlan = link
        } else {
            let candidates = links.sorted(links.vxlans[domain.vni.rawValue])
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
        } else if bridge?.hasVLANFiltering == true {
            problem = problem ?? "the bridge filters VLANs: only untagged traffic is served"
        }
        bind()
    }

    private mutating func bind() {
        guard let vxlan else { return }
        guard vxlan.isUp else {
            state = .down
            return problem = "\(vxlan.name) is down"
        }
        guard let vtep else { return problem = "no VTEP address" }
        state = .up
        binding = DeviceBinding(vxlan: vxlan.interface, bridge: bridge?.interface ?? 0, vtep: vtep)
    }

    private mutating func manage(
        _ domain: BroadcastDomain, _ device: ManagedDevice, vtep: IPAddress?, links: LinkTable
    ) {
        self.vtep = vtep
        let ours = links.sorted(links.marked[domain.vni])
        guard let bridge = resolve(device.bridgeName, ours.first { $0.isBridge }, links) else { return }
        guard let vxlan = resolve(device.vxlanName, ours.first { $0.vxlan != nil }, links) else { return }
        self.bridge = bridge
        self.vxlan = vxlan
        guard let vtep else { return problem = "no VTEP address" }
        let overhead: UInt32 = vtep.isV6 ? 70 : 50
        let mtu =
            device.mtu.map { UInt32(clamping: $0) } ?? max(1280, links.underlayMTU(of: vtep)) - overhead
        let newMark = DeviceMark(vni: domain.vni, isNew: true).alias

        if bridge == nil {
            operations.append(
                .addBridge(name: device.bridgeName, mac: bridgeAddress(vtep, domain.vni), mark: newMark))
        }
        // VNI and port cannot be changed in place, nor the address family.
        if let link = vxlan, let now = link.vxlan,
            now.vni != domain.vni.rawValue || now.port != device.port || now.collectsMetadata
                || (now.local.map { $0.isV6 != vtep.isV6 } ?? true)
        {
            operations.append(.delete(interface: link.interface, name: link.name))
            self.vxlan = nil
        }
        if self.vxlan == nil {
            operations.append(
                .addVXLAN(
                    name: device.vxlanName, vni: domain.vni, local: vtep, port: device.port, mtu: mtu, mark: newMark))
        }
        if let bridge {
            correct(bridge, name: device.bridgeName, vni: domain.vni)
            if let vxlan = self.vxlan {
                correctVXLAN(vxlan, device, bridge: bridge, vtep: vtep, mtu: mtu, vni: domain.vni)
            }
            for name in device.members {
                guard let member = links[name], member.master != bridge.interface else { continue }
                if member.master == 0 {
                    operations.append(
                        .enslave(
                            interface: member.interface, name: name, bridge: bridge.interface, bridgeName: bridge.name))
                } else {
                    problem = "member \(name) belongs to \(links.name(of: member.master))"
                }
            }
        }
        if self.vxlan != nil, bridge != nil, self.vxlan?.master == bridge?.interface {
            bind()
        } else {
            problem = problem ?? "the device is being made"
        }
    }

    /// A locally administered address, the same whenever the bridge is made again: FNV-1a of VTEP and VNI.
    private func bridgeAddress(_ vtep: IPAddress, _ vni: VNI) -> MACAddress {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        let number = (0..<4).map { UInt8(truncatingIfNeeded: vni.rawValue >> (8 * $0)) }
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
        if link.isBridge, DeviceMark(link.alias)?.isNew == true {
            let mark = DeviceMark(vni: vni, isNew: false).alias
            operations.append(.activate(interface: link.interface, name: name, mark: mark))
        }
    }
    private mutating func correctVXLAN(
        _ link: Link, _ device: ManagedDevice, bridge: Link, vtep: IPAddress, mtu: UInt32, vni: VNI
    ) {
        let (index, name) = (link.interface, device.vxlanName)
        correct(link, name: name, vni: vni)
        if link.mtu != mtu { operations.append(.setMTU(interface: index, name: name, mtu: mtu)) }
        if link.vxlan?.local != vtep { operations.append(.setLocal(interface: index, name: name, local: vtep)) }
        if link.vxlan?.isLearning == true { operations.append(.setNoLearning(interface: index, name: name)) }
        if link.master != bridge.interface {
            operations.append(
                .enslave(interface: index, name: name, bridge: bridge.interface, bridgeName: device.bridgeName))
        }
        if link.master != bridge.interface || link.port?.isLearning != false || link.port?.suppressesNeighbors != true {
            operations.append(.setPort(interface: index, name: name))
        }
        // Last, so that no packet passes before the port is right. Only once: a device that the operator sets down stays
        // down.
        if DeviceMark(link.alias)?.isNew == true {
            operations.append(
                .activate(interface: index, name: name, mark: DeviceMark(vni: vni, isNew: false).alias))
        }
    }
}
