// Path attributes from the API's form into `PathAttributes`.

import BGP
import NetTypes

/// Collects the attributes of one path.
struct AttributeDecoder {
    let generation: APIGeneration
    var attributes = PathAttributes()
    /// Kinds that were skipped; at most eight are named.
    var skipped: [String] = []
    /// The first NLRI of MP_REACH_NLRI, for paths that have none themselves.
    var reachNLRI: ProtobufReader?
    var count = 0
    private var seen: UInt32 = 0

    /// Elements of one list, as many as an UPDATE of the largest size (RFC 8654) can carry.
    static let listLimit = 65535 / 4

    init(_ generation: APIGeneration) { self.generation = generation }

    /// Reads one attribute, an Any or oneof. Throws when a route with it cannot be used.
    mutating func read(_ reader: ProtobufReader) throws(ByteError) {
        count += 1
        guard let typed = try TypedMessage<AttributeKind>(reader, generation) else { return skip("empty attribute") }
        guard let kind = typed.kind else { return skip(typed.label) }
        if kind != .unknown {
            // RFC 7606 §3 g: all but the first are ignored.
            let bit: UInt32 = 1 << UInt32(kind.rawValue)
            guard seen & bit == 0 else { return }
            seen |= bit
        }
        try read(kind, typed.content)
    }

    private mutating func skip(_ name: String) {
        if skipped.count < 8 { skipped.append(name) }
    }

    private mutating func read(_ kind: AttributeKind, _ reader: ProtobufReader) throws(ByteError) {
        switch kind {
        case .origin:
            let value = try number(reader, 1)
            guard let origin = UInt8(exactly: value).flatMap({ Origin(rawValue: $0) }) else {
                throw ByteError("ORIGIN \(value)", at: reader.offset)
            }
            attributes.origin = origin
        case .asPath: attributes.asPath = try asPath(reader)
        case .nextHop: try nextHop(reader)
        case .med: attributes.med = try number(reader, 1)
        case .localPreference: attributes.localPreference = try number(reader, 1)
        case .atomicAggregate: attributes.atomicAggregate = true
        case .aggregator: attributes.aggregator = try aggregator(reader)
        case .communities:
            try forEach(reader, 1) { field throws(ByteError) in
                try field.appendUInt32s(to: &attributes.communities, limit: AttributeDecoder.listLimit)
            }
        case .originatorID:
            try forEach(reader, 1) { field throws(ByteError) in
                attributes.originatorID = try routerID(field, "ORIGINATOR_ID")
            }
        case .clusterList:
            try forEach(reader, 1) { field throws(ByteError) in
                try append(try routerID(field, "CLUSTER_LIST"), to: &attributes.clusterList, field)
            }
        case .mpReach: try mpReach(reader)
        case .extendedCommunities:
            try forEach(reader, 1) { field throws(ByteError) in
                let message = try field.message()
                guard let typed = try TypedMessage<CommunityKind>(message, generation) else { return }
                guard let kind = typed.kind else { return skip(typed.label) }
                try append(
                    try ExtendedCommunity(typed.content, kind), to: &attributes.extendedCommunities, field)
            }
        case .largeCommunities:
            try forEach(reader, 1) { field throws(ByteError) in
                var content = try field.message()
                var community = LargeCommunity(0, 0, 0)
                while let part = try content.next() {
                    switch part.number {
                    case 1: community.global = try part.uint32()
                    case 2: community.local1 = try part.uint32()
                    case 3: community.local2 = try part.uint32()
                    default: break
                    }
                }
                try append(community, to: &attributes.largeCommunities, field)
            }
        case .pmsiTunnel: attributes.pmsiTunnel = try pmsiTunnel(reader)
        case .unknown: try unknown(reader)
        case .tunnelEncapsulation:
            try raw(AttributeCode.tunnelEncapsulation, kind, try RareAttribute.tunnelEncapsulation(reader, generation))
        case .ipv6ExtendedCommunities:
            try raw(AttributeCode.ipv6ExtendedCommunities, kind, try RareAttribute.ipv6Communities(reader, generation))
        // AIGP is not transitive and not acted on, so it is dropped, as from an UPDATE.
        case .mpUnreach, .as4Path, .as4Aggregator, .aigp: break
        case .linkState, .prefixSID: skip(kind.name.description)
        }
    }

    // MARK: Parts

    private func forEach(
        _ reader: ProtobufReader, _ number: Int, _ body: (ProtobufField) throws(ByteError) -> Void
    ) throws(ByteError) {
        var reader = reader
        while let field = try reader.next() {
            if field.number == number { try body(field) }
        }
    }
    private func number(_ reader: ProtobufReader, _ number: Int) throws(ByteError) -> UInt32 {
        var value: UInt32 = 0
        try forEach(reader, number) { field throws(ByteError) in value = try field.uint32() }
        return value
    }
    private func append<T>(_ element: T, to list: inout [T], _ field: ProtobufField) throws(ByteError) {
        guard list.count < AttributeDecoder.listLimit else { throw ByteError("list too long", at: field.offset) }
        list.append(element)
    }
    private func routerID(_ field: ProtobufField, _ what: String) throws(ByteError) -> IPv4Address {
        guard let address = try BorrowedText(field).ipv4 else { throw ByteError("\(what) address", at: field.offset) }
        return address
    }

    private func asPath(_ reader: ProtobufReader) throws(ByteError) -> ASPath {
        var segments: [ASPath.Segment] = []
        try forEach(reader, 1) { field throws(ByteError) in
            var content = try field.message()
            var type: UInt32 = 0
            var asns: [UInt32] = []
            while let part = try content.next() {
                switch part.number {
                case 1: type = try part.uint32()
                case 2: try part.appendUInt32s(to: &asns, limit: AttributeDecoder.listLimit)
                default: break
                }
            }
            guard let type = UInt8(exactly: type).flatMap({ ASPath.SegmentType(rawValue: $0) }) else {
                throw ByteError("AS_PATH segment type", at: field.offset)
            }
            // gobgpd lists an empty segment for an empty path.
            if !asns.isEmpty { try append(ASPath.Segment(type: type, asns: asns), to: &segments, field) }
        }
        return ASPath(segments)
    }

    private func aggregator(_ reader: ProtobufReader) throws(ByteError) -> Aggregator {
        var asn: UInt32 = 0
        var address: IPv4Address?
        var reader = reader
        while let field = try reader.next() {
            switch field.number {
            case 1: asn = try field.uint32()
            case 2: address = try routerID(field, "AGGREGATOR")
            default: break
            }
        }
        guard let address else { throw ByteError("AGGREGATOR address", at: reader.offset) }
        return Aggregator(asn: asn, address: address)
    }

    private mutating func nextHop(_ reader: ProtobufReader) throws(ByteError) {
        try forEach(reader, 1) { field throws(ByteError) in
            let text = try BorrowedText(field)
            if text.isNone { return }
            guard let address = text.address else { throw ByteError("NEXT_HOP address", at: field.offset) }
            attributes.nextHop = address
        }
    }

    private mutating func mpReach(_ reader: ProtobufReader) throws(ByteError) {
        var reader = reader
        var index = 0
        while let field = try reader.next() {
            switch field.number {
            case 2:
                let text = try BorrowedText(field)
                index += 1
                if text.isNone { continue }
                guard let address = text.address else {
                    throw ByteError("MP_REACH_NLRI next hop", at: field.offset)
                }
                if index == 1 {
                    attributes.nextHop = address
                } else if index == 2, case .v6(let linkLocal) = address {
                    attributes.linkLocalNextHop = linkLocal
                }
            case 3: if reachNLRI == nil { reachNLRI = try field.message() }
            default: break
            }
        }
    }

    private func pmsiTunnel(_ reader: ProtobufReader) throws(ByteError) -> PMSITunnel {
        var reader = reader
        var numbers: (flags: UInt32, type: UInt32, label: UInt32) = (0, 0, 0)
        var id: [UInt8] = []
        while let field = try reader.next() {
            switch field.number {
            case 1: numbers.flags = try field.uint32()
            case 2: numbers.type = try field.uint32()
            case 3: numbers.label = try field.uint32()
            case 4: id = try field.bytes()
            default: break
            }
        }
        guard let flags = UInt8(exactly: numbers.flags), let type = UInt8(exactly: numbers.type),
            numbers.label < 1 << 24
        else { throw ByteError("PMSI_TUNNEL value", at: reader.offset) }
        if type == PMSITunnel.ingressReplicationType, id.count != 4, id.count != 16 {
            throw ByteError("PMSI_TUNNEL identifier length", at: reader.offset)
        }
        return PMSITunnel(tunnelType: type, flags: flags, label: numbers.label, tunnelID: id)
    }

    /// An attribute that gobgpd has no message for.
    private mutating func unknown(_ reader: ProtobufReader) throws(ByteError) {
        var reader = reader
        var flags: UInt32 = 0
        var type: UInt32 = 0
        var value: [UInt8] = []
        while let field = try reader.next() {
            switch field.number {
            case 1: flags = try field.uint32()
            case 2: type = try field.uint32()
            case 3: value = try field.bytes()
            default: break
            }
        }
        guard let code = UInt8(exactly: type), value.count <= 0xffff else { return skip("attribute \(type)") }
        switch code {
        case AttributeCode.onlyToCustomer where value.count == 4:
            attributes.onlyToCustomer = value.reduce(0) { $0 << 8 | UInt32($1) }
        // These have a field of their own and never come this way.
        case 0...AttributeCode.clusterList, AttributeCode.mpReach...AttributeCode.as4Aggregator,
            AttributeCode.pmsiTunnel, AttributeCode.largeCommunities, AttributeCode.onlyToCustomer:
            skip("attribute \(code) as unknown")
        default:
            let flags = UInt8(truncatingIfNeeded: flags)
            // One that is not passed on is of no use to anyone.
            guard flags & AttributeFlags.transitive != 0 else { return }
            other(RawAttribute(flags: flags, code: code, value: value))
        }
    }

    private mutating func raw(_ code: UInt8, _ kind: AttributeKind, _ value: [UInt8]?) throws(ByteError) {
        guard let value else { return skip(kind.name.description) }
        let flags = AttributeFlags.optional | AttributeFlags.transitive
        other(RawAttribute(flags: flags, code: code, value: value))
    }

    /// Keeps `others` sorted; the first of equal codes stays.
    private mutating func other(_ attribute: RawAttribute) {
        let index = attributes.others.firstIndex { $0.code >= attribute.code } ?? attributes.others.endIndex
        if index < attributes.others.endIndex, attributes.others[index].code == attribute.code { return }
        attributes.others.insert(
            RawAttribute(
                flags: attribute.flags & ~AttributeFlags.extendedLength, code: attribute.code, value: attribute.value),
            at: index)
    }
}
