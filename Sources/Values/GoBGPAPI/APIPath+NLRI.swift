// NLRI in the API's form. An address is text; a label is the raw 24 bits of the wire.

import BGP
import NetTypes

/// A key with what belongs to it.
struct DecodedNLRI {
    var key: RouteKey
    var payload = RoutePayload()
    init(_ route: EVPNRoute) {
        key = RouteKey(route)
        payload = RoutePayload(route)
    }
    init(unicast prefix: IPPrefix) { key = RouteKey(unicast: prefix) }

    /// Reads an Any or oneof. `family` is the path's; nil when it named none.
    init(_ reader: ProtobufReader, family: Family?, _ generation: APIGeneration) throws(ByteError) {
        guard let typed = try TypedMessage<NLRIKind>(reader, generation) else {
            throw ByteError("no NLRI", at: reader.offset)
        }
        var fields = NLRIFields(generation)
        guard let kind = typed.kind else {
            throw ByteError("NLRI of unknown kind \(typed.label)", at: reader.offset)
        }
        if kind != .prefix, let family, family != .l2vpnEVPN {
            throw ByteError("EVPN NLRI in family \(family)", at: reader.offset)
        }
        try fields.read(typed.content, kind)
        switch kind {
        case .prefix:
            let isV6: Bool
            switch family {
            case .ipv4Unicast: isV6 = false
            case .ipv6Unicast: isV6 = true
            case nil: isV6 = try fields.address("prefix").isV6
            case let other?: throw ByteError("NLRI of family \(other)", at: reader.offset)
            }
            self.init(unicast: try fields.prefix(isV6: isV6))
        case .ethernetAutoDiscovery:
            self.init(
                .ethernetAutoDiscovery(
                    EthernetAutoDiscoveryRoute(
                        rd: try fields.distinguisher(), esi: fields.esi, ethernetTag: fields.tag,
                        label: try fields.label(0))))
        case .macIP:
            guard let mac = fields.mac?.mac else { throw ByteError("MAC address", at: reader.offset) }
            var ip: IPAddress?
            if let text = fields.ip, !text.isNone {
                guard let address = text.address else { throw ByteError("IP address", at: reader.offset) }
                ip = address.isUnspecified ? nil : address
            }
            self.init(
                .macIP(
                    MACIPRoute(
                        rd: try fields.distinguisher(), esi: fields.esi, ethernetTag: fields.tag, mac: mac, ip: ip,
                        label1: try fields.label(0), label2: fields.labels.count > 1 ? try fields.label(1) : nil)))
        case .inclusiveMulticast:
            self.init(
                .inclusiveMulticast(
                    InclusiveMulticastRoute(
                        rd: try fields.distinguisher(), ethernetTag: fields.tag,
                        originator: try fields.address("originator"))))
        case .ethernetSegment:
            self.init(
                .ethernetSegment(
                    EthernetSegmentRoute(
                        rd: try fields.distinguisher(), esi: fields.esi, originator: try fields.address("originator"))))
        case .ipPrefix:
            let isV6 = try fields.address("prefix").isV6
            var gateway: IPAddress?
            if let text = fields.gateway, !text.isNone {
                // gobgpd writes "0.0.0.0" and "::" for none in either family.
                guard let address = text.address, address.isUnspecified || address.isV6 == isV6 else {
                    throw ByteError("gateway address", at: reader.offset)
                }
                gateway = address.isUnspecified ? nil : address
            }
            self.init(
                .ipPrefix(
                    IPPrefixRoute(
                        rd: try fields.distinguisher(), esi: fields.esi, ethernetTag: fields.tag,
                        prefix: try fields.prefix(isV6: isV6), gateway: gateway ?? (isV6 ? .v6(.any) : .v4(.any)),
                        label: try fields.label(0))))
        }
    }
}

/// The fields of all NLRI messages; each kind fills some.
private struct NLRIFields {
    let generation: APIGeneration
    var rd: RouteDistinguisher?
    var esi = EthernetSegmentID.zero
    var tag: UInt32 = 0
    var mac: BorrowedText?
    var ip: BorrowedText?
    var gateway: BorrowedText?
    var length: UInt32 = 0
    var labels: [UInt32] = []
    init(_ generation: APIGeneration) { self.generation = generation }

    mutating func read(_ reader: ProtobufReader, _ kind: NLRIKind) throws(ByteError) {
        var reader = reader
        while let field = try reader.next() {
            switch (kind, field.number) {
            case (.prefix, 1): length = try field.uint32()
            case (.prefix, 2): ip = try BorrowedText(field)
            case (.prefix, _): break
            case (_, 1): rd = try RouteDistinguisher(try field.message(), generation)
            case (.inclusiveMulticast, 2): tag = try field.uint32()
            case (.inclusiveMulticast, 3), (.ethernetSegment, 3), (.macIP, 5), (.ipPrefix, 4):
                ip = try BorrowedText(field)
            case (.inclusiveMulticast, _): break
            case (_, 2): esi = try EthernetSegmentID(try field.message())
            case (.ethernetSegment, _): break
            case (_, 3): tag = try field.uint32()
            case (.ethernetAutoDiscovery, 4), (.ipPrefix, 7): labels = [try field.uint32()]
            case (.macIP, 4): mac = try BorrowedText(field)
            // RFC 7432 §7.2 has no more than two.
            case (.macIP, 6): try field.appendUInt32s(to: &labels, limit: 2)
            case (.ipPrefix, 5): length = try field.uint32()
            case (.ipPrefix, 6): gateway = try BorrowedText(field)
            default: break
            }
        }
        // 0 is not written, so the single label of these is always there.
        if labels.isEmpty, kind == .ethernetAutoDiscovery || kind == .ipPrefix { labels = [0] }
    }

    func distinguisher() throws(ByteError) -> RouteDistinguisher {
        guard let rd else { throw ByteError("no route distinguisher", at: 0) }
        return rd
    }
    func label(_ index: Int) throws(ByteError) -> UInt32 {
        guard index < labels.count else { throw ByteError("no label", at: 0) }
        guard labels[index] < 1 << 24 else { throw ByteError("label above 24 bits", at: 0) }
        return labels[index]
    }
    func address(_ what: String) throws(ByteError) -> IPAddress {
        guard let address = ip?.address else { throw ByteError("\(what) address", at: 0) }
        return address
    }
    func prefix(isV6: Bool) throws(ByteError) -> IPPrefix {
        guard let address = ip?.address(isV6: isV6) else { throw ByteError("prefix address", at: 0) }
        guard let prefix = IPPrefix(address, length: Int(length)) else { throw ByteError("prefix length", at: 0) }
        return prefix
    }
}

extension RouteDistinguisher {
    init(_ reader: ProtobufReader, _ generation: APIGeneration) throws(ByteError) {
        guard let typed = try TypedMessage<DistinguisherKind>(reader, generation), let kind = typed.kind else {
            throw ByteError("route distinguisher of unknown kind", at: reader.offset)
        }
        var admin: UInt32 = 0
        var address: IPv4Address?
        var assigned: UInt32 = 0
        var content = typed.content
        while let field = try content.next() {
            switch field.number {
            case 1 where kind == .address: address = try BorrowedText(field).ipv4
            case 1: admin = try field.uint32()
            case 2: assigned = try field.uint32()
            default: break
            }
        }
        func short(_ value: UInt32) throws(ByteError) -> UInt64 {
            guard value <= 0xffff else { throw ByteError("route distinguisher above 16 bits", at: reader.offset) }
            return UInt64(value)
        }
        switch kind {
        case .twoOctet: self.init(rawValue: try short(admin) << 32 | UInt64(assigned))
        case .address:
            guard let address else { throw ByteError("route distinguisher address", at: reader.offset) }
            self.init(rawValue: 1 << 48 | UInt64(address.rawValue) << 16 | (try short(assigned)))
        case .fourOctet: self.init(rawValue: 2 << 48 | UInt64(admin) << 16 | (try short(assigned)))
        }
    }
}

extension EthernetSegmentID {
    /// `{type=1, value=2}`: the first octet, and the nine others.
    init(_ reader: ProtobufReader) throws(ByteError) {
        var reader = reader
        var type: UInt32 = 0
        var value: UnsafeRawBufferPointer?
        while let field = try reader.next() {
            switch field.number {
            case 1: type = try field.uint32()
            case 2: value = try field.borrowed()
            default: break
            }
        }
        guard let value, !value.isEmpty else {
            guard type == 0 else { throw ByteError("ESI length", at: reader.offset) }
            self = .zero
            return
        }
        guard type < 256, value.count == 9 else { throw ByteError("ESI length", at: reader.offset) }
        var high = UInt64(type)
        for index in 0..<7 { high = high << 8 | UInt64(value[index]) }
        self.init(high: high, low: UInt16(value[7]) << 8 | UInt16(value[8]))
    }
}

// MARK: Writing

extension ProtobufWriter {
    mutating func distinguisher(_ number: Int, _ rd: RouteDistinguisher, _ generation: APIGeneration) {
        let raw = rd.rawValue
        switch rd.type {
        case 0:
            typed(number, DistinguisherKind.twoOctet, generation) {
                $0.uint32(1, UInt32(truncatingIfNeeded: raw >> 32 & 0xffff))
                $0.uint32(2, UInt32(truncatingIfNeeded: raw))
            }
        case 1:
            typed(number, DistinguisherKind.address, generation) {
                $0.string(1, IPv4Address(rawValue: UInt32(truncatingIfNeeded: raw >> 16)).description)
                $0.uint32(2, UInt32(truncatingIfNeeded: raw & 0xffff))
            }
        case 2:
            typed(number, DistinguisherKind.fourOctet, generation) {
                $0.uint32(1, UInt32(truncatingIfNeeded: raw >> 16))
                $0.uint32(2, UInt32(truncatingIfNeeded: raw & 0xffff))
            }
        // Types nobody has defined have no form in the API; gobgpd refuses a route without RD.
        default: break
        }
    }
    /// Written also when zero: gobgpd does not check whether it is there.
    mutating func esi(_ number: Int, _ esi: EthernetSegmentID) {
        message(number) {
            let octets = esi.octets
            $0.uint32(1, UInt32(octets[0]))
            $0.octets(2, octets[1...])
        }
    }
    /// The NLRI as an Any or oneof; nothing for a route type the API has no message for.
    mutating func nlri(_ number: Int, _ key: RouteKey, _ payload: RoutePayload, _ generation: APIGeneration) {
        if key.kind == .ipv4Unicast || key.kind == .ipv6Unicast {
            guard let prefix = key.prefix else { return }
            return typed(number, NLRIKind.prefix, generation) {
                $0.uint32(1, UInt32(prefix.length))
                $0.string(2, prefix.address.description)
            }
        }
        switch EVPNRoute(key, payload) {
        case .ethernetAutoDiscovery(let route)?:
            typed(number, NLRIKind.ethernetAutoDiscovery, generation) {
                $0.distinguisher(1, route.rd, generation)
                $0.esi(2, route.esi)
                $0.uint32(3, route.ethernetTag)
                $0.uint32(4, route.label)
            }
        case .macIP(let route)?:
            typed(number, NLRIKind.macIP, generation) {
                $0.distinguisher(1, route.rd, generation)
                $0.esi(2, route.esi)
                $0.uint32(3, route.ethernetTag)
                $0.string(4, route.mac.description)
                $0.string(5, route.ip?.description ?? "")
                $0.uint32s(6, route.label2.map { [route.label1, $0] } ?? [route.label1])
            }
        case .inclusiveMulticast(let route)?:
            typed(number, NLRIKind.inclusiveMulticast, generation) {
                $0.distinguisher(1, route.rd, generation)
                $0.uint32(2, route.ethernetTag)
                $0.string(3, route.originator.description)
            }
        case .ethernetSegment(let route)?:
            typed(number, NLRIKind.ethernetSegment, generation) {
                $0.distinguisher(1, route.rd, generation)
                $0.esi(2, route.esi)
                $0.string(3, route.originator.description)
            }
        case .ipPrefix(let route)?:
            typed(number, NLRIKind.ipPrefix, generation) {
                $0.distinguisher(1, route.rd, generation)
                $0.esi(2, route.esi)
                $0.uint32(3, route.ethernetTag)
                $0.string(4, route.prefix.address.description)
                $0.uint32(5, UInt32(route.prefix.length))
                $0.string(6, route.gateway.description)
                $0.uint32(7, route.label)
            }
        case .other?, nil: break
        }
    }
}
