// A BGP message as JSON for people and scripts: the canonical form of `evpnctl decode`.

import BGP
import Documents
import NetTypes

/// Prints one message. The bytes are read by the same codec that the speaker uses; only the naming of things is here.
struct MessageJSON {
    let options: CodecOptions

    /// The object for the octets of one message, whatever they are.
    func object(_ octets: [UInt8]) -> JSONValue {
        octets.withByteReader { reader in
            do throws(SessionFault) { return try message(reader) } catch { return MessageJSON.refused(error) }
        }
    }

    static func refused(_ fault: SessionFault) -> JSONValue {
        [
            "error": [
                "code": JSONValue(fault.code), "subcode": JSONValue(fault.subcode), "reason": JSONValue(fault.reason),
            ],
            "action": "session-reset",
        ]
    }

    private func message(_ reader: ByteReader) throws(SessionFault) -> JSONValue {
        let length = JSONValue(reader.count)
        func whole(_ name: String, _ members: [JSONValue.Member]) -> JSONValue {
            .object([.init("message", .string(name)), .init("length", length)] + members)
        }
        switch try Message.decode(reader, options: options) {
        case .open(let open): return whole("OPEN", OpenJSON.members(open))
        case .keepalive: return whole("KEEPALIVE", [])
        case .notification(let notification):
            return whole(
                "NOTIFICATION",
                [
                    .init("code", JSONValue(notification.code)), .init("subcode", JSONValue(notification.subcode)),
                    .init("data", .string(hexString(notification.data))),
                ])
        case .routeRefresh(let refresh):
            var members: [JSONValue.Member] = [
                .init("afi", JSONValue(refresh.family.afi)), .init("subtype", JSONValue(refresh.subtype)),
                .init("safi", JSONValue(refresh.family.safi)),
            ]
            if !refresh.orf.isEmpty { members.append(.init("orf", .string(hexString(refresh.orf)))) }
            return whole("ROUTE-REFRESH", members)
        case .update:
            let (update, attributes) = try Message.decodeUpdate(reader, options: options)
            return self.update(update, attributes, reader) { whole("UPDATE", $0) }
        }
    }

    private func update(
        _ update: Update, _ attributes: [PathAttribute], _ reader: ByteReader,
        whole: ([JSONValue.Member]) -> JSONValue
    ) -> JSONValue {
        guard update.consequence == .accept else { return refused(update) }
        let (withdrawn, announced) = classicFields(reader)
        var members: [JSONValue.Member] = [
            .init("withdrawn", .array(withdrawn)),
            .init("attributes", .array(attributes.map(attribute))),
            .init("nlri", .array(announced)),
        ]
        if let family = update.endOfRIB {
            members.append(.init("eor", [JSONValue(family.afi), JSONValue(family.safi)]))
        }
        return whole(members)
    }

    /// What RFC 7606 has to say about an UPDATE that is not accepted as it is.
    private func refused(_ update: Update) -> JSONValue {
        let faults = update.faults.map { fault -> JSONValue in
            [
                "attribute": JSONValue(fault.attribute), "reason": JSONValue(fault.reason),
                "action": .string(fault.consequence.word),
            ]
        }
        let strongest = update.consequence
        let first = update.faults.first { $0.consequence.rank == strongest.rank }
        return [
            "error": [
                "reason": JSONValue(first?.reason ?? ""), "attribute": JSONValue(first?.attribute ?? 0),
                "faults": .array(faults),
            ],
            "action": .string(strongest.word),
        ]
    }

    /// The prefixes of the two IPv4 fields, in wire order; the decoder has checked them before.
    private func classicFields(_ reader: ByteReader) -> (withdrawn: [JSONValue], announced: [JSONValue]) {
        var reader = reader
        do throws(ByteError) {
            try reader.skip(Message.headerLength)
            var withdrawn = try reader.take(Int(try reader.u16()))
            try reader.skip(Int(try reader.u16()))
            return (
                nlri(&withdrawn, family: .ipv4Unicast),
                nlri(&reader, family: .ipv4Unicast)
            )
        } catch {
            return ([], [])
        }
    }

    // MARK: Attributes

    private func attribute(_ attribute: PathAttribute) -> JSONValue {
        var members: [JSONValue.Member] = [.init("code", JSONValue(attribute.code))]
        if let name = AttributeCode.name(attribute.code) { members.append(.init("name", .string(name))) }
        members.append(.init("flags", JSONValue(attribute.flags)))
        members.append(.init("value", value(attribute)))
        return .object(members)
    }

    private func value(_ attribute: PathAttribute) -> JSONValue {
        let result: Result<JSONValue, ByteError> = attribute.value.withByteReader { reader in
            do throws(ByteError) { return .success(try typed(attribute.code, &reader)) } catch {
                return .failure(error)
            }
        }
        switch result {
        case .success(let value): return value
        case .failure: return .string(hexString(attribute.value))
        }
    }

    private func typed(_ code: UInt8, _ reader: inout ByteReader) throws(ByteError) -> JSONValue {
        func list(_ element: (inout ByteReader) throws(ByteError) -> JSONValue) throws(ByteError) -> JSONValue {
            var values: [JSONValue] = []
            while !reader.isEmpty { values.append(try element(&reader)) }
            return .array(values)
        }
        switch code {
        case AttributeCode.origin:
            switch Origin(rawValue: try reader.u8()) {
            case .igp: return "igp"
            case .egp: return "egp"
            case .incomplete: return "incomplete"
            case nil: throw ByteError("origin", at: 0)
            }
        case AttributeCode.asPath:
            return MessageJSON.path(try ASPath(decoding: &reader, fourOctet: options.fourOctetAS))
        case AttributeCode.as4Path: return MessageJSON.path(try ASPath(decoding: &reader, fourOctet: true))
        case AttributeCode.nextHop, AttributeCode.originatorID: return JSONValue(try reader.ipv4())
        case AttributeCode.med, AttributeCode.localPreference, AttributeCode.onlyToCustomer:
            return JSONValue(try reader.u32())
        case AttributeCode.atomicAggregate: return true
        case AttributeCode.aggregator, AttributeCode.as4Aggregator:
            let aggregator = try Aggregator(
                decoding: &reader, fourOctet: code == AttributeCode.as4Aggregator || options.fourOctetAS)
            return ["asn": JSONValue(aggregator.asn), "address": JSONValue(aggregator.address)]
        case AttributeCode.communities:
            return try list { reader throws(ByteError) in
                let community = try reader.u32()
                return .string("\(community >> 16):\(community & 0xffff)")
            }
        case AttributeCode.clusterList:
            return try list { reader throws(ByteError) in JSONValue(try reader.ipv4()) }
        case AttributeCode.mpReach:
            let reach = try MPReach(decoding: &reader)
            return [
                "afi": JSONValue(reach.family.afi), "safi": JSONValue(reach.family.safi),
                "next_hops": .array(reach.nextHops.map { JSONValue($0) }),
                "nlri": .array(nlri(&reader, family: reach.family)),
            ]
        case AttributeCode.mpUnreach:
            let family = try MPUnreach(decoding: &reader).family
            return [
                "afi": JSONValue(family.afi), "safi": JSONValue(family.safi),
                "nlri": .array(nlri(&reader, family: family)),
            ]
        case AttributeCode.extendedCommunities:
            return try list { reader throws(ByteError) in ExtendedCommunity(rawValue: try reader.u64()).json }
        case AttributeCode.pmsiTunnel:
            let tunnel = try PMSITunnel(decoding: &reader)
            return [
                "flags": JSONValue(tunnel.flags), "tunnel_type": JSONValue(tunnel.tunnelType),
                "label": JSONValue(tunnel.label),
                "tunnel_id": tunnel.endpoint.map { JSONValue($0) } ?? .string(hexString(tunnel.tunnelID)),
            ]
        case AttributeCode.ipv6ExtendedCommunities:
            return try list { reader throws(ByteError) in .string(hexString(try reader.bytes(20))) }
        case AttributeCode.largeCommunities:
            return try list { reader throws(ByteError) in
                let community = try LargeCommunity(decoding: &reader)
                return .string("\(community.global):\(community.local1):\(community.local2)")
            }
        default: return .string(hexString(reader.rest()))
        }
    }

    private static func path(_ path: ASPath) -> JSONValue {
        .array(
            path.segments.map { segment in
                let type =
                    switch segment.type {
                    case .set: "set"
                    case .sequence: "sequence"
                    case .confederationSequence: "confed_sequence"
                    case .confederationSet: "confed_set"
                    }
                return ["type": .string(type), "asns": .array(segment.asns.map { JSONValue($0) })]
            })
    }

    // MARK: NLRI

    private func nlri(_ reader: inout ByteReader, family: Family) -> [JSONValue] {
        let addPath = options.addPathReceive.contains(family)
        var values: [JSONValue] = []
        let start = reader
        do throws(ByteError) {
            if family == .l2vpnEVPN {
                while !reader.isEmpty { values.append(try EVPNJSON.nlri(&reader, addPath: addPath)) }
            } else if let layout = PrefixNLRI.Layout(family) {
                while !reader.isEmpty {
                    let prefix = try PrefixNLRI(decoding: &reader, family: family, layout: layout, addPath: addPath)
                    values.append(MessageJSON.prefix(prefix, layout))
                }
            } else if !reader.isEmpty {
                values.append(["raw": .string(hexString(reader.rest()))])
            }
        } catch {
            var start = start
            return [["raw": .string(hexString(start.rest()))]]
        }
        return values
    }

    private static func prefix(_ nlri: PrefixNLRI, _ layout: PrefixNLRI.Layout) -> JSONValue {
        var members: [JSONValue.Member] = [.init("prefix", JSONValue(nlri.prefix))]
        if let pathID = nlri.pathID { members.append(.init("path_id", JSONValue(pathID))) }
        if layout != .plain { members.append(.init("labels", .array(nlri.labels.map { JSONValue($0) }))) }
        if let rd = nlri.rd {
            members.append(.init("rd", JSONValue(rd)))
            members.append(.init("rd_type", JSONValue(rd.type)))
        }
        return .object(members)
    }
}

extension Consequence {
    /// The word of the schema.
    fileprivate var word: String {
        switch self {
        case .accept: "accept"
        case .attributeDiscard: "attribute-discard"
        case .treatAsWithdraw: "treat-as-withdraw"
        case .disableFamily: "afi-safi-disable"
        case .resetSession: "session-reset"
        }
    }
}
