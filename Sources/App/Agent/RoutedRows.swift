// Rows of `show vrfs` and `show prefixes` as JSON objects, with the names that scripts rely on.

import BGP
import Documents
import EVPN
import NetTypes

extension VRFRow {
    /// Up when packets can be routed: in its table, and to other VTEPs where there is an L3 VNI.
    func state(_ status: VRFStatus?, domain devices: DomainStatus?) -> DomainStatus.State {
        let state = status?.state ?? .waiting
        guard state == .up, vni != nil, domain == nil else { return state }
        return devices?.state == .down ? .down : .waiting
    }
    /// What is wrong, as a phrase; nil: nothing.
    func problem(_ status: VRFStatus?, domain devices: DomainStatus?) -> String? {
        if let problem = status?.problem { return problem }
        guard let vni else { return nil }
        return devices?.problem.map { "vni \(vni): \($0)" }
    }

    /// `domain`: the devices of the L3 VNI.
    func json(status: VRFStatus?, domain devices: DomainStatus?) -> JSONValue {
        let (kind, namespace): (String, String?) =
            switch place {
            case .device: ("device", nil)
            case .namespace(let name): ("namespace", name)
            case .underlay: ("underlay", nil)
            }
        return [
            "name": JSONValue(name), "vni": vni.map { JSONValue($0.rawValue) } ?? .null,
            "state": JSONValue(state(status, domain: devices).rawValue), "place": JSONValue(kind),
            "namespace": namespace.map { JSONValue($0) } ?? .null,
            "table": status?.table.map { JSONValue($0) } ?? .null,
            "device": status?.device.map { JSONValue($0) } ?? .null,
            "managed": JSONValue(status?.isManaged ?? false),
            "l3_device": devices?.device.map { JSONValue($0) } ?? .null,
            "vtep": JSONValue(domain?.vtep),
            "router_mac": domain?.routerMAC.map { JSONValue($0.description) } ?? .null,
            "rd": JSONValue(rd.description), "import": JSONValue(importTargets.text),
            "export": JSONValue(exportTargets.map(\.description).joined(separator: " ")),
            "vnis": .array(vnis.map { JSONValue($0.rawValue) }), "local_hosts": .int(localHosts),
            "local_prefixes": .int(localPrefixes), "announced_prefixes": .int(announcedPrefixes),
            "remote_prefixes": .int(remotePrefixes),
            "problem": problem(status, domain: devices).map { JSONValue($0) } ?? .null,
        ]
    }
}

extension PrefixRow {
    /// `status`: how far the kernel route has come; nil for what evpnd does not put there.
    func json(status: EntryStatus?) -> JSONValue {
        [
            "vrf": JSONValue(key.vrf), "prefix": JSONValue(key.prefix.description), "source": JSONValue(source.text),
            "next_hops": .array(nexthops.map { JSONValue($0.text) }),
            "routes": .array(routes.map { JSONValue($0.description) }),
            "state": status.map { JSONValue($0.text) } ?? .null,
        ]
    }
}

extension PrefixSource {
    /// As a phrase.
    var text: String {
        switch self {
        case .local(let local) where local.isConnected: "connected \(local.interface)"
        case .local(let local):
            "\(RouteProtocol.name(local.proto)) \(local.gateway.map { "via \($0)" } ?? "dev \(local.interface)")"
        case .host(let vnis): "host vni \(vnis.map { "\($0)" }.joined(separator: ","))"
        case .macIP: "mac/ip"
        case .ipPrefix: "prefix"
        case .leaked(let vrf): "leaked from \(vrf)"
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
        }
    }
}
