// Routes that an operator makes by hand: `evpnctl advertise mac 02:00:00:00:00:01 --vni 100 …`.

import BGP
import Documents
import EVPN
import NetTypes

/// One such route, with the request it was made from.
struct HandMadeRoute: Equatable {
    var key: RouteKey
    var route: Advertisement
    /// Whether it survives a restart of evpnd.
    var isPersistent: Bool
    /// What was asked, for the file and for lists.
    var request: JSONValue
}

/// What stands in for what a request leaves out.
struct HandMadeDefaults {
    var asn: UInt32
    var routerID: IPv4Address
    var vtep: IPAddress?
}

extension HandMadeRoute {
    /// `words` of the request are `mac M [IP]`, `multicast [VTEP]` or `prefix P`; the rest are its options.
    static func parse(_ request: JSONValue, _ defaults: HandMadeDefaults) -> Result<HandMadeRoute, UsageError> {
        var reader = RequestReader(request: request)
        let result = reader.route(defaults)
        if let problem = reader.problem { return .failure(UsageError(reason: problem)) }
        guard let result else { return .failure(UsageError(reason: "what? mac M [IP], multicast [VTEP] or prefix P")) }
        return .success(result)
    }
}

/// Reads members; the first problem is kept.
private struct RequestReader {
    let request: JSONValue
    var problem: String?

    private mutating func fail<T>(_ reason: String) -> T? {
        if problem == nil { problem = reason }
        return nil
    }
    private mutating func value<T>(_ name: String, _ what: String, _ read: (String) -> T?) -> T? {
        guard let text = request.text(name) else { return nil }
        return read(text) ?? fail("--\(name) \(text) is not \(what)")
    }
    private mutating func number(_ name: String, _ range: ClosedRange<UInt32>) -> UInt32? {
        value(name, "a number from \(range.lowerBound) to \(range.upperBound)") { text in
            UInt32(text).flatMap { range.contains($0) ? $0 : nil }
        }
    }

    mutating func route(_ defaults: HandMadeDefaults) -> HandMadeRoute? {
        guard case .array(let list)? = request["words"] else { return nil }
        let words = list.compactMap { word -> String? in
            if case .string(let text) = word { return text }
            return nil
        }
        guard ["mac", "multicast", "prefix"].contains(words.first) else { return nil }
        let label = number("vni", 0...0xff_ffff) ?? number("label", 0...0xff_ffff)
        let label2 = number("l3vni", 1...0xff_ffff)
        let tag = number("etag", 0...UInt32.max) ?? 0
        let vtep = value("vtep", "an address") { IPAddress($0) } ?? defaults.vtep
        let vni = label.flatMap { VNI($0) }
        let rd =
            value("rd", "a route distinguisher (ASN:N or ADDRESS:N)") { RouteDistinguisher($0) }
            ?? vni.flatMap { vni in
                RouteDistinguisher("\(defaults.routerID):\(UInt16(truncatingIfNeeded: vni.rawValue))")
            }
        guard let rd else { return fail("--rd is needed where there is no --vni to make it from") }
        guard let nextHop = vtep else { return fail("--vtep is needed: evpnd has no VTEP address of its own") }

        let route: EVPNRoute
        var attributes = PathAttributes()
        switch words.first {
        case "mac":
            guard words.count == 2 || words.count == 3, let mac = MACAddress(words[1]) else {
                return fail("mac takes a MAC address and perhaps an IP address")
            }
            guard !mac.isMulticast, !mac.isZero else { return fail("\(mac) is not the address of one host") }
            var ip: IPAddress?
            if words.count == 3 {
                ip = IPAddress(words[2])
                guard ip != nil else { return fail("\(words[2]) is not an address") }
            }
            guard let label else { return fail("--vni is needed") }
            route = .macIP(
                MACIPRoute(rd: rd, ethernetTag: tag, mac: mac, ip: ip, label1: label, label2: label2))
        case "multicast":
            guard words.count <= 2 else { return fail("multicast takes at most the address of the VTEP") }
            var originator = nextHop
            if words.count == 2 {
                guard let address = IPAddress(words[1]) else { return fail("\(words[1]) is not an address") }
                originator = address
            }
            guard let label else { return fail("--vni is needed") }
            route = .inclusiveMulticast(InclusiveMulticastRoute(rd: rd, ethernetTag: tag, originator: originator))
            attributes.pmsiTunnel = .ingressReplication(label: label, endpoint: originator)
        case "prefix":
            guard words.count == 2, let prefix = IPPrefix(words[1]) else {
                return fail("prefix takes a prefix: 192.0.2.0/24 or 2001:db8::/64")
            }
            guard let label else { return fail("--vni is needed: the VNI of the VRF") }
            let none: IPAddress = prefix.address.isV6 ? .v6(.any) : .v4(.any)
            let gateway = value("gateway", "an address") { IPAddress($0) } ?? none
            guard gateway.isV6 == prefix.address.isV6 else {
                return fail("--gateway \(gateway) is not of the family of \(prefix)")
            }
            route = .ipPrefix(IPPrefixRoute(rd: rd, ethernetTag: tag, prefix: prefix, gateway: gateway, label: label))
        default: return nil
        }

        attributes.origin = .igp
        attributes.nextHop = nextHop
        attributes.localPreference = number("local-pref", 0...UInt32.max)
        var communities: [ExtendedCommunity] = []
        if let text = request.text("rt") {
            for part in text.split(separator: ",") {
                guard let target = RouteTarget(String(part)) else { return fail("--rt \(part) is not a route target") }
                communities.append(target.community)
            }
        } else if let vni {
            communities.append(RouteTarget.automatic(asn: defaults.asn, vni: vni).community)
        }
        let tunnels: [String: UInt16] = [
            "vxlan": 8, "nvgre": 9, "mpls": 10, "mpls-in-gre": 11, "vxlan-gpe": 12, "geneve": 19,
        ]
        let encapsulation = request.text("encap") ?? "vxlan"
        if let tunnel = tunnels[encapsulation] {
            communities.append(.encapsulation(tunnel))
        } else if encapsulation != "none" {
            return fail("--encap \(encapsulation) is not one of \(tunnels.keys.sorted().joined(separator: ", ")), none")
        }
        if let mac = value("router-mac", "a MAC address", { MACAddress($0) }) { communities.append(.routerMAC(mac)) }
        let sequence = number("sequence", 0...UInt32.max)
        if sequence != nil || request.flag("sticky") {
            communities.append(.macMobility(sticky: request.flag("sticky"), sequence: sequence ?? 0))
        }
        if request.flag("default-gateway") { communities.append(.defaultGateway) }
        attributes.extendedCommunities = Array(Set(communities)).sorted()
        guard problem == nil else { return nil }
        return HandMadeRoute(
            key: RouteKey(route),
            route: Advertisement(payload: RoutePayload(route), attributes: AttributeSet(attributes)),
            isPersistent: request.flag("persist"),
            request: request.filling([
                "rd": rd.description, "vtep": nextHop.description,
                "rt": attributes.routeTargets.map(\.description).joined(separator: ","),
            ]))
    }
}

extension JSONValue {
    /// With `defaults` for members that are not there, so that the same request means the same later on.
    fileprivate func filling(_ defaults: [String: String]) -> JSONValue {
        guard case .object(var members) = self else { return self }
        for (name, value) in defaults.sorted(by: { $0.key < $1.key }) where text(name) == nil && !value.isEmpty {
            members.append(Member(name, JSONValue(value)))
        }
        return .object(members)
    }
}
