// Small words for tests: a bridge with clients, and rows.

import BGP
import EVPN
import NetTypes
import OpenFlow
import OpenFlowPipeline

func vni(_ number: UInt32) -> VNI { VNI(number)! }
func mac(_ text: String) -> MACAddress { MACAddress(text)! }
func ip(_ text: String) -> IPAddress { IPAddress(text)! }
func prefix(_ text: String) -> IPPrefix { IPPrefix(text)! }

let routerMAC = mac("12:34:56:78:90:ab")

struct Lab {
    var bridge = SwitchBridge(name: "sw", routerMAC: routerMAC)
    var bridged: [BridgedClient] = []
    var routed: [RoutedClient] = []
    var enabled: Set<AnycastAddress> = []
    var evis: [EVI] = []
    var vrfs: [IPVRF] = []
    var tables = FlowTables()

    init(compatible: Bool = false) { bridge.isConnectorCompatible = compatible }

    var overlay: Overlay {
        var overlay = Overlay(asn: 65000, routerID: IPv4Address("192.0.2.1")!, evis: evis.sorted { $0.vni < $1.vni })
        overlay.vrfs = vrfs.sorted { $0.name < $1.name }
        return overlay
    }
    var configuration: SwitchConfiguration {
        SwitchConfiguration(
            bridge: bridge, bridged: bridged.sorted { $0.attachment < $1.attachment },
            routed: routed.sorted { $0.attachment < $1.attachment }, enabledAnycast: enabled)
    }
    @discardableResult mutating func configure() -> FlowTables.Update {
        tables.handle(.configure(configuration, overlay))
    }
    @discardableResult mutating func ports(_ numbers: UInt32...) -> FlowTables.Update {
        tables.handle(.ports(Dictionary(uniqueKeysWithValues: numbers.map { ("p\($0)", $0) })))
    }
    @discardableResult mutating func rows(_ rows: ForwardingChange...) -> FlowTables.Update {
        tables.handle(.rows(rows))
    }

    mutating func evi(_ number: UInt32, gateways: [String] = [], mac gatewayMAC: String? = nil, vrf: String? = nil) {
        var domain = BroadcastDomain(vni: vni(number), device: .adopted(name: nil))
        if !gateways.isEmpty {
            domain.routed = RoutedInterface(
                vrf: vrf, addresses: gateways.map { subnet($0) }, mac: gatewayMAC.map { mac($0) })
        }
        evis.append(
            EVI(
                vni: vni(number), rd: RouteDistinguisher("65000:\(number)")!, importTargets: .automatic(vni(number)),
                exportTargets: [], domain: domain))
    }
    mutating func vrf(_ name: String, _ number: UInt32?) {
        var domain = number.map { BroadcastDomain(vni: vni($0), device: .adopted(name: nil)) }
        domain?.isTransit = true
        vrfs.append(
            IPVRF(
                name: name, domain: domain, rd: RouteDistinguisher("65000:\(number ?? 1)")!,
                importTargets: .explicit([]),
                exportTargets: []))
    }
    mutating func host(_ port: UInt32, tag: UInt16? = nil, _ number: UInt32, _ text: String?, _ addresses: String...) {
        bridged.append(
            BridgedClient(
                attachment: Attachment(port: .number(port), tag: tag), vni: vni(number), mac: text.map { mac($0) },
                addresses: addresses.map { ip($0) }))
    }
    mutating func router(
        _ port: UInt32, tag: UInt16? = nil, _ vrf: String, _ text: String, _ prefixes: [String],
        anycast: [AnycastAddress] = []
    ) {
        routed.append(
            RoutedClient(
                attachment: Attachment(port: .number(port), tag: tag), vrf: vrf, mac: mac(text),
                prefixes: prefixes.map { prefix($0) }, anycast: anycast))
    }

    /// Every flow as a line: table, priority, match, actions.
    var flows: [String] { tables.allFlows.map(line) }
}

func line(_ flow: Flow) -> String {
    let actions = flow.actions.isEmpty ? "drop" : flow.actions.map { "\($0)" }.joined(separator: ",")
    return "t\(flow.key.table) p\(flow.key.priority) \(flow.key.match) \(actions)"
}
private func subnet(_ text: String) -> SubnetAddress {
    let parts = text.split(separator: "/")
    return SubnetAddress(ip(String(parts[0])), length: Int(parts[1])!)!
}

func macRow(_ number: UInt32, _ text: String, _ vtep: String?, vni remote: UInt32? = nil) -> ForwardingChange {
    .mac(
        MACKey(vni: vni(number), mac: mac(text)),
        vtep.map { RemoteMAC(vtep: ip($0), vni: vni(remote ?? number)) })
}
func floodRow(_ number: UInt32, _ vtep: String, vni remote: UInt32? = nil) -> ForwardingChange {
    .flood(FloodKey(vni: vni(number), vtep: ip(vtep)), FloodMember(vni: vni(remote ?? number)))
}
func neighborRow(_ number: UInt32, _ address: String, _ text: String?) -> ForwardingChange {
    .neighbor(NeighborKey(vni: vni(number), ip: ip(address)), text.map { RemoteNeighbor(mac: mac($0)) })
}
func prefixRow(_ vrf: String, _ text: String, _ nexthops: RoutedNexthop...) -> ForwardingChange {
    .prefix(
        PrefixKey(vrf: vrf, prefix: prefix(text)), nexthops.isEmpty ? nil : RemotePrefix(nexthops: nexthops))
}
func tunnel(_ vtep: String, _ number: UInt32, _ text: String) -> RoutedNexthop {
    .tunnel(vtep: ip(vtep), vni: vni(number), mac: mac(text))
}
