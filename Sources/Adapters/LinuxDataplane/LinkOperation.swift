// The changes of devices that plans are made of, and the mark on devices that evpnd made.

import EVPN
import NetTypes
import Netlink

/// The mark on devices that evpnd made (IFLA_IFALIAS).
struct DeviceMark: Equatable, Sendable {
    /// Which part of the configuration it was made for.
    enum Owner: Hashable, Sendable {
        case vni(VNI)
        /// The bridge for many VNIs.
        case shared
        /// The VRF device of an IP-VRF.
        case vrf(String)
    }
    var owner: Owner
    /// Still being set up: not yet set up (`ip link set up`) for the first time.
    var isNew: Bool

    var alias: String {
        let text =
            switch owner {
            case .vni(let vni): "evpnd:vni=\(vni)"
            case .shared: "evpnd:shared"
            case .vrf(let name): "evpnd:vrf=\(name)"
            }
        return text + (isNew ? ":new" : "")
    }
    init(_ owner: Owner, isNew: Bool) {
        self.owner = owner
        self.isNew = isNew
    }
    /// The name under which the VXLAN device of a VNI is made in another namespace than that of its packets.
    static func provisionalName(_ vni: VNI) -> String { "evpnd.\(vni)" }
    init?(_ link: Link) {
        if link.alias.isEmpty, let vni = link.vxlan.flatMap({ VNI($0.vni) }),
            link.name == DeviceMark.provisionalName(vni)
        {
            self.init(.vni(vni), isNew: true)
        } else {
            self.init(link.alias)
        }
    }
    /// Nil for an alias that is not ours.
    init?(_ alias: String) {
        guard alias.hasPrefix("evpnd:") else { return nil }
        var rest = alias.dropFirst("evpnd:".count)
        isNew = rest.hasSuffix(":new")
        if isNew { rest = rest.dropLast(4) }
        if rest == "shared" {
            owner = .shared
        } else if rest.hasPrefix("vni="), let vni = VNI(String(rest.dropFirst(4))) {
            owner = .vni(vni)
        } else if rest.hasPrefix("vrf="), rest.count > 4 {
            owner = .vrf(String(rest.dropFirst(4)))
        } else {
            return nil
        }
    }
}

/// One change of a device, printed as the command that does it. Changes of one plan are in the order to do them.
enum LinkOperation: Hashable, Sendable, CustomStringConvertible {
    /// With an address of its own: one that follows the ports makes the kernel flush the neighbors at every change.
    case addBridge(name: String, mac: MACAddress, filtersVLANs: Bool, mark: String)
    /// Without a VNI: `external`, and `vnifilter` when asked for. `namespace`: where it is made, when that is another than the one of
    /// its packets.
    case addVXLAN(
        name: String, namespace: String? = nil, vni: VNI?, local: IPAddress, port: UInt16, mtu: UInt32,
        filtersVNIs: Bool = false, mark: String)
    /// For a device whose name stood for the mark.
    case mark(interface: Int32, name: String, mark: String)
    case delete(interface: Int32, name: String)
    /// The last routes of a VRF's table, of both families: they stay when its device goes. With them go our others, which would be
    /// those of the next VRF that has the table.
    case removeEnds(table: UInt32)
    case rename(interface: Int32, from: String, to: String)
    case setMTU(interface: Int32, name: String, mtu: UInt32)
    case setLocal(interface: Int32, name: String, local: IPAddress)
    case setNoLearning(interface: Int32, name: String)
    case noAddressGeneration(interface: Int32, name: String)
    case enslave(interface: Int32, name: String, bridge: Int32, bridgeName: String)
    case setPort(interface: Int32, name: String, suppressesNeighbors: Bool, mapsVLANs: Bool)
    case filterVLANs(interface: Int32, name: String)
    /// The VLAN, and its mapping to the VNI.
    case mapVLAN(interface: Int32, name: String, vlan: UInt16, vni: VNI)
    /// Into and out of the filter of a VXLAN device for many VNIs.
    case filterVNI(interface: Int32, name: String, vni: VNI)
    case leaveVNI(interface: Int32, name: String, vni: UInt32)
    /// The VLAN of untagged frames.
    case joinVLAN(interface: Int32, name: String, vlan: UInt16)
    case leaveVLAN(interface: Int32, name: String, vlan: UInt16)
    /// The bridge itself is in the VLAN, so that the VLAN device on it is reached.
    case joinSelf(interface: Int32, name: String, vlan: UInt16)
    case leaveSelf(interface: Int32, name: String, vlan: UInt16)
    /// Frames to the MAC in the VLAN are the host's own.
    case addLocalMAC(interface: Int32, name: String, vlan: UInt16, mac: MACAddress)
    case deleteLocalMAC(interface: Int32, name: String, vlan: UInt16, mac: MACAddress)
    /// Nil for `mac`: that of the device below.
    case addVLANDevice(name: String, lower: Int32, lowerName: String, vlan: UInt16, mac: MACAddress?, mark: String)
    case addVRF(name: String, table: UInt32, mark: String)
    /// Out of the VRF that it is in.
    case release(interface: Int32, name: String)
    case setMAC(interface: Int32, name: String, mac: MACAddress)
    case addAddress(interface: Int32, name: String, address: SubnetAddress)
    case deleteAddress(interface: Int32, name: String, address: SubnetAddress)
    case forwardIPv4(interface: Int32, name: String)
    /// It was switched on for routes that are gone.
    case stopForwardingIPv4(interface: Int32, name: String)
    /// Up; for the first time with `mark`, which is the one without `:new`.
    case activate(interface: Int32, name: String, mark: String? = nil)

    var description: String {
        switch self {
        case .addBridge(let name, let mac, let filtersVLANs, let mark):
            "ip link add \(name) address \(mac) type bridge\(filtersVLANs ? " vlan_filtering 1 vlan_default_pvid 0" : ""); ip link set \(name) alias \(mark)"
        case .addVXLAN(let name, let namespace, let vni, let local, let port, let mtu, let filtersVNIs, let mark):
            "ip link add \(name)\(namespace.map { " netns \($0)" } ?? "") mtu \(mtu) type vxlan \(vni.map { "id \($0)" } ?? "external\(filtersVNIs ? " vnifilter" : "")") local \(local) dstport \(port) ttl \(DevicePlan.ttl) nolearning; ip link set \(name) alias \(mark)"
        case .mark(_, let name, let mark): "ip link set \(name) alias \(mark)"
        case .delete(_, let name): "ip link del \(name)"
        case .removeEnds(let table):
            [false, true].map { TableEnd(table: table, isV6: $0).command("del") }.joined(separator: "; ")
        case .rename(_, let from, let to): "ip link set \(from) name \(to)"
        case .setMTU(_, let name, let mtu): "ip link set \(name) mtu \(mtu)"
        case .setLocal(_, let name, let local): "ip link set \(name) type vxlan local \(local)"
        case .setNoLearning(_, let name): "ip link set \(name) type vxlan nolearning"
        case .noAddressGeneration(_, let name): "ip link set \(name) addrgenmode none"
        case .enslave(_, let name, _, let bridge): "ip link set \(name) master \(bridge)"
        case .setPort(_, let name, let suppresses, let mapsVLANs):
            "bridge link set dev \(name) learning off neigh_suppress \(suppresses ? "on" : "off")\(mapsVLANs ? " vlan_tunnel on" : "")"
        case .filterVLANs(_, let name): "ip link set \(name) type bridge vlan_filtering 1 vlan_default_pvid 0"
        case .mapVLAN(_, let name, let vlan, let vni):
            "bridge vlan add dev \(name) vid \(vlan); bridge vlan add dev \(name) vid \(vlan) tunnel_info id \(vni)"
        case .filterVNI(_, let name, let vni): "bridge vni add vni \(vni) dev \(name)"
        case .leaveVNI(_, let name, let vni): "bridge vni delete vni \(vni) dev \(name)"
        case .joinVLAN(_, let name, let vlan): "bridge vlan add dev \(name) vid \(vlan) pvid untagged"
        case .leaveVLAN(_, let name, let vlan): "bridge vlan del dev \(name) vid \(vlan)"
        case .joinSelf(_, let name, let vlan): "bridge vlan add dev \(name) vid \(vlan) self"
        case .leaveSelf(_, let name, let vlan): "bridge vlan del dev \(name) vid \(vlan) self"
        case .addLocalMAC(_, let name, let vlan, let mac):
            "bridge fdb add \(mac) dev \(name)\(vlan == 0 ? "" : " vlan \(vlan)") self local"
        case .deleteLocalMAC(_, let name, let vlan, let mac): "bridge fdb del \(mac) dev \(name) vlan \(vlan) self"
        case .addVLANDevice(let name, _, let lower, let vlan, let mac, let mark):
            "ip link add link \(lower) name \(name)\(mac.map { " address \($0)" } ?? "") type vlan id \(vlan); ip link set \(name) alias \(mark)"
        case .addVRF(let name, let table, let mark):
            "ip link add \(name) type vrf table \(table); ip link set \(name) alias \(mark)"
        case .release(_, let name): "ip link set \(name) nomaster"
        case .setMAC(_, let name, let mac): "ip link set \(name) address \(mac)"
        case .addAddress(_, let name, let address):
            "ip address replace \(address) dev \(name) proto \(neighborProtocol)\(address.ip.isV6 ? " nodad" : "")"
        case .deleteAddress(_, let name, let address): "ip address del \(address) dev \(name)"
        case .forwardIPv4(_, let name): "sysctl -w net/ipv4/conf/\(name)/forwarding=1"
        case .stopForwardingIPv4(_, let name): "sysctl -w net/ipv4/conf/\(name)/forwarding=0"
        case .activate(_, let name, let mark): "ip link set \(name) up\(mark.map { " alias \($0)" } ?? "")"
        }
    }
    /// The requests, to be sent together so that a crash leaves no device without its mark. `namespace`: the one that `addVXLAN` names.
    func encode(_ batch: inout NetlinkBatch, request: Int, sequence: UInt32, namespace: NetworkNamespace? = nil) {
        switch self {
        case .addBridge(let name, let mac, let filtersVLANs, let mark):
            request == 0
                ? batch.addBridge(sequence: sequence, name: name, mac: mac, filtersVLANs: filtersVLANs)
                : batch.setLink(sequence: sequence, byName: name, alias: mark)
        case .addVXLAN(let name, _, let vni, let local, let port, let mtu, let filtersVNIs, let mark):
            request == 0
                ? batch.addVXLAN(
                    sequence: sequence, name: name, vni: vni?.rawValue, local: local, port: port, ttl: DevicePlan.ttl,
                    mtu: mtu, filtersVNIs: filtersVNIs, namespace: namespace)
                : batch.setLink(sequence: sequence, byName: name, alias: mark)
        case .mark(let interface, _, let mark):
            batch.setLink(sequence: sequence, interface: interface, alias: mark)
        case .delete(let interface, _): batch.deleteLink(sequence: sequence, interface: interface)
        case .removeEnds(let table):
            batch.deleteRoute(sequence: sequence, TableEnd(table: table, isV6: request == 1).route)
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
        case .setPort(let interface, _, let suppresses, let mapsVLANs):
            batch.setBridgePort(
                sequence: sequence, interface: interface, learning: false, suppressNeighbors: suppresses,
                mapsVLANs: mapsVLANs
            )
        case .filterVLANs(let interface, _): batch.filterVLANs(sequence: sequence, interface: interface)
        case .mapVLAN(let interface, _, let vlan, let vni):
            batch.addVLAN(sequence: sequence, interface: interface, vlan: vlan, vni: vni.rawValue)
        case .filterVNI(let interface, _, let vni):
            batch.addFilteredVNI(sequence: sequence, interface: interface, vni: vni.rawValue)
        case .leaveVNI(let interface, _, let vni):
            batch.deleteFilteredVNI(sequence: sequence, interface: interface, vni: vni)
        case .joinVLAN(let interface, _, let vlan):
            batch.addVLAN(sequence: sequence, interface: interface, vlan: vlan, isAccess: true)
        case .leaveVLAN(let interface, _, let vlan):
            batch.deleteVLAN(sequence: sequence, interface: interface, vlan: vlan)
        case .joinSelf(let interface, _, let vlan):
            batch.addVLAN(sequence: sequence, interface: interface, vlan: vlan, isBridgeItself: true)
        case .leaveSelf(let interface, _, let vlan):
            batch.deleteVLAN(sequence: sequence, interface: interface, vlan: vlan, isBridgeItself: true)
        case .addLocalMAC(let interface, _, let vlan, let mac):
            batch.setFDB(
                sequence: sequence, interface: interface, mac: mac, destination: nil, vni: nil, vlan: vlan,
                state: .permanent, flags: .own, mode: [.create, .replace])
        case .deleteLocalMAC(let interface, _, let vlan, let mac):
            batch.deleteFDB(
                sequence: sequence, interface: interface, mac: mac, destination: nil, vni: nil, vlan: vlan, flags: .own)
        case .addVLANDevice(let name, let lower, _, let vlan, let mac, let mark):
            request == 0
                ? batch.addVLANDevice(sequence: sequence, name: name, lower: lower, vlan: vlan, mac: mac)
                : batch.setLink(sequence: sequence, byName: name, alias: mark)
        case .addVRF(let name, let table, let mark):
            request == 0
                ? batch.addVRF(sequence: sequence, name: name, table: table)
                : batch.setLink(sequence: sequence, byName: name, alias: mark)
        case .release(let interface, _): batch.setLink(sequence: sequence, interface: interface, master: 0)
        case .setMAC(let interface, _, let mac): batch.setLink(sequence: sequence, interface: interface, mac: mac)
        case .addAddress(let interface, _, let address):
            batch.addAddress(
                sequence: sequence, interface: interface, ip: address.ip, prefixLength: UInt8(clamping: address.length),
                proto: neighborProtocol)
        case .deleteAddress(let interface, _, let address):
            batch.deleteAddress(
                sequence: sequence, interface: interface, ip: address.ip, prefixLength: UInt8(clamping: address.length))
        case .forwardIPv4(let interface, _): batch.setLink(sequence: sequence, interface: interface, forwardsIPv4: true)
        case .stopForwardingIPv4(let interface, _):
            batch.setLink(sequence: sequence, interface: interface, forwardsIPv4: false)
        case .activate(let interface, _, let mark):
            batch.setLink(sequence: sequence, interface: interface, isUp: true, alias: mark)
        }
    }
    /// The device's name once it is done; nil: gone.
    var deviceName: String? {
        switch self {
        case .addBridge(let name, _, _, _), .addVXLAN(let name, _, _, _, _, _, _, _), .rename(_, _, let name),
            .mark(_, let name, _),
            .setMTU(_, let name, _), .setLocal(_, let name, _), .setNoLearning(_, let name),
            .noAddressGeneration(_, let name), .enslave(_, let name, _, _), .setPort(_, let name, _, _),
            .filterVLANs(_, let name), .activate(_, let name, _), .addVLANDevice(let name, _, _, _, _, _),
            .addVRF(let name, _, _), .release(_, let name), .setMAC(_, let name, _), .forwardIPv4(_, let name),
            .stopForwardingIPv4(_, let name):
            name
        case .delete, .removeEnds, .mapVLAN, .filterVNI, .leaveVNI, .joinVLAN, .leaveVLAN, .joinSelf, .leaveSelf,
            .addLocalMAC, .deleteLocalMAC, .addAddress, .deleteAddress:
            nil
        }
    }
    /// A failure concerns one VLAN, one member or one address: the others are done all the same.
    var isAlone: Bool {
        switch self {
        case .mapVLAN, .filterVNI, .leaveVNI, .joinVLAN, .leaveVLAN, .leaveSelf, .deleteLocalMAC, .addAddress,
            .deleteAddress:
            true
        default: false
        }
    }
    /// What it is to remove may be gone already.
    var toleratesAbsence: Bool {
        switch self {
        case .removeEnds, .leaveSelf, .deleteLocalMAC, .deleteAddress, .stopForwardingIPv4: true
        default: false
        }
    }
    /// Anything but a member that appears and is put in its place.
    func concerns(_ vxlan: Link?) -> Bool {
        switch self {
        case .enslave(let interface, _, _, _), .joinVLAN(let interface, _, _), .leaveVLAN(let interface, _, _):
            interface == vxlan?.interface
        default: true
        }
    }
    var requestCount: Int {
        switch self {
        case .addBridge, .addVXLAN, .addVLANDevice, .addVRF, .removeEnds: 2
        default: 1
        }
    }
}
