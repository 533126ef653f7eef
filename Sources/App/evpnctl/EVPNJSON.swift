// EVPN NLRI and extended communities as JSON, in the names of the decode schema.

import BGP
import Documents
import NetTypes

enum EVPNJSON {
    /// Reads one NLRI of family 25/70 and prints it.
    static func nlri(_ reader: inout ByteReader, addPath: Bool) throws(ByteError) -> JSONValue {
        let pathID: UInt32? = addPath ? try reader.u32() : nil
        let type = try reader.u8()
        var value = try reader.take(Int(try reader.u8()))
        var members: [JSONValue.Member] = [.init("route_type", JSONValue(type))]
        if let pathID { members.append(.init("path_id", JSONValue(pathID))) }
        switch type {
        case 1...5: members += self.members(try EVPNRoute(type: type, decoding: &value))
        case 6...EVPNRoute.highestKnownType: members += self.members(try MulticastRoute(type: type, decoding: &value))
        default: members.append(.init("raw", .string(hexString(value.rest()))))
        }
        return .object(members)
    }

    private static func rd(_ rd: RouteDistinguisher) -> [JSONValue.Member] {
        [.init("rd", JSONValue(rd)), .init("rd_type", JSONValue(rd.type))]
    }
    private static func label(_ labels: UInt32...) -> JSONValue.Member {
        .init("labels", .array(labels.map { JSONValue($0) }))
    }

    private static func members(_ route: EVPNRoute) -> [JSONValue.Member] {
        switch route {
        case .ethernetAutoDiscovery(let r):
            return rd(r.rd) + [.init("esi", JSONValue(r.esi)), .init("etag", JSONValue(r.ethernetTag)), label(r.label)]
        case .macIP(let r):
            return rd(r.rd) + [
                .init("esi", JSONValue(r.esi)), .init("etag", JSONValue(r.ethernetTag)), .init("mac", JSONValue(r.mac)),
                .init("ip", JSONValue(r.ip)),
                .init("labels", .array(([r.label1] + (r.label2.map { [$0] } ?? [])).map { JSONValue($0) })),
            ]
        case .inclusiveMulticast(let r):
            return rd(r.rd) + [.init("etag", JSONValue(r.ethernetTag)), .init("ip", JSONValue(r.originator))]
        case .ethernetSegment(let r):
            return rd(r.rd) + [.init("esi", JSONValue(r.esi)), .init("ip", JSONValue(r.originator))]
        case .ipPrefix(let r):
            return rd(r.rd) + [
                .init("esi", JSONValue(r.esi)), .init("etag", JSONValue(r.ethernetTag)),
                .init("prefix", JSONValue(r.prefix)), .init("gateway", JSONValue(r.gateway)), label(r.label),
            ]
        case .other(_, let value): return [.init("raw", .string(hexString(value)))]
        }
    }

    private static func members(_ tree: MulticastRoute.Tree) -> [JSONValue.Member] {
        [
            .init("source", JSONValue(tree.source)), .init("group", JSONValue(tree.group)),
            .init("originator", JSONValue(tree.originator)),
        ]
    }

    private static func members(_ route: MulticastRoute) -> [JSONValue.Member] {
        switch route {
        case .selective(let distinguisher, let tag, let tree, let flags):
            return rd(distinguisher) + [.init("etag", JSONValue(tag))] + members(tree)
                + [.init("flags", JSONValue(flags))]
        case .joinSynch(let distinguisher, let esi, let tag, let tree, let flags):
            return rd(distinguisher) + [.init("esi", JSONValue(esi)), .init("etag", JSONValue(tag))] + members(tree)
                + [.init("flags", JSONValue(flags))]
        case .leaveSynch(let distinguisher, let esi, let tag, let tree, let tail):
            let end: [JSONValue.Member] =
                switch tail {
                case .standard(_, let time, let flags):
                    [.init("flags", JSONValue(flags)), .init("max_response_time", JSONValue(time))]
                case .other(let octets): [.init("tail", .string(hexString(octets)))]
                }
            return rd(distinguisher) + [.init("esi", JSONValue(esi)), .init("etag", JSONValue(tag))] + members(tree)
                + end
        case .perRegion(let distinguisher, let tag, let region):
            let octets = (0..<8).map { UInt8(truncatingIfNeeded: region >> (56 - 8 * $0)) }
            return rd(distinguisher) + [
                .init("etag", JSONValue(tag)), .init("region_id", .string(hexString(octets))),
            ]
        case .selectiveTunnel(let distinguisher, let tag, let tree):
            return rd(distinguisher) + [.init("etag", JSONValue(tag))] + members(tree)
        case .leaf(let key, let originator):
            return [.init("route_key", .string(hexString(key))), .init("originator", JSONValue(originator))]
        }
    }
}

extension ExtendedCommunity {
    /// `{raw, kind, …}`.
    var json: JSONValue {
        let octets = (0..<8).map { UInt8(truncatingIfNeeded: rawValue >> (56 - 8 * $0)) }
        let (kind, members) = described
        return .object(
            [.init("raw", .string(hexString(octets))), .init("kind", .string(kind))] + members)
    }

    private var described: (kind: String, members: [JSONValue.Member]) {
        if type <= 2, subtype == 2 || subtype == 3 {
            // Route targets and origins have the same three forms.
            let form = ["as2", "ipv4", "as4"][Int(type)]
            let target = RouteTarget(ExtendedCommunity(rawValue: rawValue & ~(0xff << 48) | 2 << 48))
            return (
                subtype == 2 ? "route-target" : "route-origin",
                [.init("value", JSONValue(target)), .init("form", .string(form))]
            )
        }
        if let type = encapsulationType { return ("encapsulation", [.init("tunnel_type", JSONValue(type))]) }
        if isDefaultGateway { return ("default-gateway", []) }
        if let color { return ("color", [.init("color", JSONValue(color))]) }
        if let bandwidth = linkBandwidth {
            return (
                "link-bandwidth",
                [
                    .init("asn", JSONValue(bandwidth.asn)),
                    .init("bytes_per_sec", .double(Double(bandwidth.bytesPerSecond))),
                ]
            )
        }
        if type == 0x06 { return evpnDescribed }
        return ("other", [])
    }

    private var evpnDescribed: (kind: String, members: [JSONValue.Member]) {
        if let mobility = macMobility {
            return (
                "mac-mobility",
                [.init("sticky", JSONValue(mobility.sticky)), .init("sequence", JSONValue(mobility.sequence))]
            )
        }
        if let label = esiLabel {
            return (
                "esi-label",
                [.init("single_active", JSONValue(label.singleActive)), .init("label", JSONValue(label.label))]
            )
        }
        if let mac = esImport { return ("es-import", [.init("mac", JSONValue(mac))]) }
        if let mac = routerMAC { return ("router-mac", [.init("mac", JSONValue(mac))]) }
        if let attributes = layer2Attributes {
            return (
                "layer2-attributes",
                [.init("flags", JSONValue(attributes.flags)), .init("mtu", JSONValue(attributes.mtu))]
            )
        }
        if let election = dfElection {
            return (
                "df-election",
                [
                    .init("algorithm", JSONValue(election.algorithm)), .init("bitmap", JSONValue(election.bitmap)),
                    .init("preference", JSONValue(election.preference)),
                ]
            )
        }
        if let flags = neighborDiscoveryFlags { return ("nd", [.init("flags", JSONValue(flags.rawValue))]) }
        if let flags = multicastFlags { return ("mcast-flags", [.init("flags", JSONValue(flags))]) }
        let names: [UInt8: String] = [
            0x05: "etree", 0x07: "isid", 0x0a: "evi-rt-type-0", 0x0b: "evi-rt-type-1", 0x0c: "evi-rt-type-2",
            0x0d: "evi-rt-type-3", 0x0e: "evpn-attachment-circuit", 0x0f: "service-carving-timestamp",
            0x10: "link-bandwidth-evpn",
        ]
        return (names[subtype] ?? "other", [])
    }
}
