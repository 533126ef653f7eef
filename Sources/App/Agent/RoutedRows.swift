// Rows of `show vrfs` and `show prefixes` as JSON objects, with the names that scripts rely on.

import BGP
import Documents
import EVPN
import NetTypes

/// An IP-VRF with what the kernel has of it.
struct VRFView {
    var row: VRFRow
    var status: VRFStatus?
    /// The devices of the L3 VNI.
    var transit: DomainStatus?
    /// Those of the VNIs that are, or are to be, subnets of it, by VNI.
    var subnets: [DomainStatus]

    /// Up when packets can be routed: in its table, and to other VTEPs where there is an L3 VNI.
    var state: DomainStatus.State {
        let state = status?.state ?? .waiting
        guard state == .up, row.vni != nil, row.domain == nil else { return state }
        return transit?.state == .down ? .down : .waiting
    }
    /// What is wrong: of the VRF itself, otherwise of the L3 VNI, otherwise of a subnet, otherwise of other VTEPs. Nil: nothing.
    var fault: Fault? {
        if let problem = status?.problem { return Fault(problem, status?.remedy) }
        return ([transit].compactMap { $0 } + subnets).lazy.compactMap { domain in
            domain.problem.map { Fault("vni \(domain.vni): \($0)", domain.remedy) }
        }.first ?? routerFault
    }
    private var routerFault: Fault? {
        guard let vni = row.vni, let conflict = row.routerConflicts.first else { return nil }
        let owner =
            switch conflict.winner {
            case .local: "of this host"
            case .remote(let vtep): "of VTEP \(vtep)"
            }
        let others = row.routerConflicts.count - 1
        return Fault(
            "VTEP \(conflict.loser) announces the router MAC \(conflict.mac) \(owner) in L3 VNI \(vni): routes of it with that MAC are not used"
                + (others > 0 ? "; so it is with \(others) more" : ""),
            "ip link set BRIDGE address MAC, on one of the two, for the bridge of the L3 VNI")
    }
    struct Fault {
        /// As a phrase.
        var text: String
        /// What an operator can do, beginning with a command.
        var remedy: String?
        init(_ text: String, _ remedy: String?) {
            self.text = text
            self.remedy = remedy
        }
    }

    var json: JSONValue {
        let (kind, namespace): (String, String?) =
            switch row.place {
            case .device: ("device", nil)
            case .namespace(let name): ("namespace", name)
            case .underlay: ("underlay", nil)
            }
        let fault = fault
        return [
            "name": JSONValue(row.name), "vni": row.vni.map { JSONValue($0.rawValue) } ?? .null,
            "state": JSONValue(state.rawValue), "place": JSONValue(kind),
            "namespace": namespace.map { JSONValue($0) } ?? .null,
            "table": status?.table.map { JSONValue($0) } ?? .null,
            "device": status?.device.map { JSONValue($0) } ?? .null,
            "managed": JSONValue(status?.isManaged ?? false),
            "l3_device": transit?.device.map { JSONValue($0) } ?? .null,
            "vtep": JSONValue(row.domain?.vtep),
            "router_mac": row.domain?.routerMAC.map { JSONValue($0.description) } ?? .null,
            "rd": JSONValue(row.rd.description), "import": JSONValue(row.importTargets.text),
            "export": JSONValue(row.exportTargets.map(\.description).joined(separator: " ")),
            "vnis": .array(row.vnis.map { JSONValue($0.rawValue) }), "local_hosts": .int(row.localHosts),
            "local_prefixes": .int(row.localPrefixes), "announced_prefixes": .int(row.announcedPrefixes),
            "remote_prefixes": .int(row.remotePrefixes),
            "problem": fault.map { JSONValue($0.text) } ?? .null,
            "way_out": fault?.remedy.map { JSONValue($0) } ?? .null,
        ]
    }
    /// The row of the L3 VNI in `show vnis`; nil: there is none.
    var transitJSON: JSONValue? {
        guard let vni = row.vni else { return nil }
        return [
            "vni": JSONValue(vni.rawValue), "l3": true, "state": JSONValue(transit?.state.rawValue ?? "waiting"),
            "device": transit?.device.map { JSONValue($0) } ?? .null,
            "bridge": transit?.bridge.map { JSONValue($0) } ?? .null,
            "managed": JSONValue(transit?.isManaged ?? false), "vtep": JSONValue(row.domain?.vtep),
            "vrf": JSONValue(row.name), "gateway": .array([]), "rd": JSONValue(row.rd.description),
            "import": JSONValue(row.importTargets.text), "signalling": "evpn",
            "export": JSONValue(row.exportTargets.map(\.description).joined(separator: " ")),
            "problem": transit?.problem.map { JSONValue($0) } ?? .null,
            "way_out": transit?.remedy.map { JSONValue($0) } ?? .null, "absent_members": .array([]),
        ]
    }
}

extension PrefixRow {
    /// `status`: how far the kernel route has come; nil for what evpnd does not put there.
    func json(status: EntryStatus?) -> JSONValue {
        [
            "vrf": JSONValue(key.vrf), "prefix": JSONValue(key.prefix.description), "source": JSONValue(source.text),
            "next_hops": .array(nexthops.map { JSONValue(text(of: $0)) }),
            "routes": .array(routes.map { JSONValue($0.description) }),
            "state": status.map { JSONValue($0.text) } ?? .null,
        ]
    }
    /// A next hop as a phrase, with the VNI that packets are sent with where it is not this host's own.
    func text(of nexthop: RoutedNexthop) -> String {
        guard case .router(let vtep, _) = nexthop, let vni = assignedVNIs[vtep] else { return nexthop.text }
        return "\(nexthop.text), sent with vni \(vni)"
    }
}

extension PrefixSource {
    /// As a phrase.
    var text: String {
        switch self {
        case .local(let local) where local.isConnected: "connected \(local.interface)"
        case .local(let local) where local.isDropped: "\(RouteProtocol.name(local.proto)), dropped here"
        case .local(let local):
            "\(RouteProtocol.name(local.proto)) \(local.gateway.map { "via \($0)" } ?? "dev \(local.interface)")"
        case .host(let vnis): "host vni \(vnis.map { "\($0)" }.joined(separator: ","))"
        case .macIP: "mac/ip"
        case .ipPrefix: "prefix"
        case .leaked(let vrf): "leaked from \(vrf)"
        case .announced: "announced"
        }
    }
}

extension RoutedNexthop {
    /// As a phrase.
    var text: String {
        switch self {
        case .router(let vtep, let through): "\(vtep) vni \(through)"
        case .host(let ip, let vni): "\(ip) on vni \(vni)"
        case .table(let vrf): "vrf \(vrf)"
        case .tunnel(let vtep, let vni, let mac): "\(vtep) vni \(vni) router \(mac)"
        }
    }
}
