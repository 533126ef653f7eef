// OPEN and its optional parameters, in the classic form (RFC 4271 §4.2) and the extended one (RFC 9072).

import NetTypes

///     +----------------------------------+
///     |  Version (1)                     |
///     |  My Autonomous System (2)        |
///     |  Hold Time (2)                   |
///     |  BGP Identifier (4)              |
///     |  Opt Parm Len (1)                |
///     |  Parameters: type (1), length    |
///     |  (1), value                      |
///     +----------------------------------+
///
/// RFC 9072: a length octet other than 0 (255 is what is sent, the value plays no part) and then a parameter type octet 255 mean
/// that a 2-octet length follows, and that each parameter has a 2-octet length.
extension Open {
    private static let capabilitiesParameter: UInt8 = 2
    private static let extendedMarker: UInt8 = 255
    private static let strayMarker = "parameter type 255"

    init(decoding reader: inout ByteReader) throws(SessionFault) {
        do throws(ByteError) {
            version = try reader.u8()
            myAS = try reader.u16()
            holdTimeSeconds = try reader.u16()
            routerID = try reader.ipv4()
            capabilities = []
            guard version == 4 else {
                throw ByteError("version", at: 0)
            }
            var length = Int(try reader.u8())
            if length != 0, reader.peek() == Open.extendedMarker {
                try reader.skip(1)
                length = Int(try reader.u16())
                hasExtendedParameters = true
            }
            guard length == reader.count else { throw ByteError("parameters length", at: reader.offset) }
        } catch {
            if error.reason == "version" {
                throw SessionFault(code: 2, subcode: 1, data: [0, 4], reason: "OPEN version is not 4")
            }
            throw SessionFault(code: 2, subcode: 0, reason: "OPEN optional parameters length")
        }
        guard myAS != 0 else { throw SessionFault(code: 2, subcode: 2, reason: "OPEN with AS 0") }
        guard routerID != .any else { throw SessionFault(code: 2, subcode: 3, reason: "OPEN with router ID 0.0.0.0") }
        guard holdTimeSeconds == 0 || holdTimeSeconds >= 3 else {
            throw SessionFault(code: 2, subcode: 6, reason: "OPEN hold time below 3 s")
        }
        do throws(ByteError) {
            while !reader.isEmpty {
                let type = try reader.u8()
                let length = hasExtendedParameters ? Int(try reader.u16()) : Int(try reader.u8())
                var value = try reader.take(length)
                guard type != Open.extendedMarker else { throw ByteError(Open.strayMarker, at: reader.offset) }
                if type == Open.capabilitiesParameter {
                    while !value.isEmpty { capabilities.append(try Capability(decoding: &value)) }
                } else {
                    otherParameters.append(OtherParameter(type: type, value: value.rest()))
                }
            }
        } catch {
            // RFC 9072 §3: anywhere but first this is an optional parameter that nobody supports.
            let subcode: UInt8 = error.reason == Open.strayMarker ? 4 : 0
            throw SessionFault(code: 2, subcode: subcode, reason: "OPEN malformed: \(error.reason)")
        }
    }

    func encode(into writer: inout ByteWriter) {
        var blocks: [(type: UInt8, value: [UInt8])] = otherParameters.map { ($0.type, $0.value) }
        var block = ByteWriter(capacity: 64)
        // One parameter holds all capabilities: some old speakers read only the first one.
        for capability in capabilities { capability.encode(into: &block) }
        if block.count > 0 { blocks.append((Open.capabilitiesParameter, block.bytes)) }
        let classicLength = blocks.reduce(0) { $0 + 2 + $1.value.count }
        let isExtended = hasExtendedParameters || classicLength > 255

        writer.u8(version)
        writer.u16(myAS)
        writer.u16(holdTimeSeconds)
        writer.ipv4(routerID)
        if isExtended {
            writer.u8(255)
            writer.u8(Open.extendedMarker)
            writer.u16(UInt16(clamping: blocks.reduce(0) { $0 + 3 + $1.value.count }))
        } else {
            writer.u8(UInt8(clamping: classicLength))
        }
        for block in blocks {
            writer.u8(block.type)
            if isExtended {
                writer.u16(UInt16(clamping: block.value.count))
            } else {
                writer.u8(UInt8(clamping: block.value.count))
            }
            writer.raw(block.value)
        }
    }

    /// The ASN the peer really has: that of the 4-octet AS capability when present (RFC 6793 §4.1).
    public var asn: UInt32 {
        for case .fourOctetAS(let asn) in capabilities { return asn }
        return UInt32(myAS)
    }
}

/// A capability: code (1), length (1), value (RFC 5492 §4).
extension Capability {
    public var code: UInt8 {
        switch self {
        case .multiprotocol: 1
        case .routeRefresh: 2
        case .extendedNextHop: 5
        case .extendedMessage: 6
        case .role: 9
        case .gracefulRestart: 64
        case .fourOctetAS: 65
        case .addPath: 69
        case .enhancedRouteRefresh: 70
        case .longLivedGracefulRestart: 71
        case .fqdn: 73
        case .other(let code, _): code
        }
    }

    /// Throws when a known capability has a length its specification does not allow (RFC 4271 §6.2: 2/0). A capability that
    /// should be empty and is not is kept as it came.
    init(decoding reader: inout ByteReader) throws(ByteError) {
        let code = try reader.u8()
        let length = Int(try reader.u8())
        var value = try reader.take(length)
        func expect(_ condition: Bool, _ name: String) throws(ByteError) {
            if !condition { throw ByteError("\(name) capability length", at: value.offset) }
        }
        switch code {
        case 1:
            try expect(length == 4, "multiprotocol")
            let afi = try value.u16()
            try value.skip(1)
            self = .multiprotocol(Family(afi: afi, safi: try value.u8()))
        case 2 where length == 0: self = .routeRefresh
        case 5:
            try expect(length % 6 == 0, "extended next hop")
            var families: [ExtendedNextHop] = []
            while !value.isEmpty {
                let afi = try value.u16()
                let safi = try value.u16()
                families.append(
                    ExtendedNextHop(
                        family: Family(afi: afi, safi: UInt8(truncatingIfNeeded: safi)), nextHopAFI: try value.u16()))
            }
            self = .extendedNextHop(families)
        case 6 where length == 0: self = .extendedMessage
        case 9:
            try expect(length == 1, "role")
            self = .role(try value.u8())
        case 64:
            try expect(length >= 2 && length % 4 == 2, "graceful restart")
            let head = try value.u16()
            var families: [GracefulRestartFamily] = []
            while !value.isEmpty {
                let afi = try value.u16()
                let safi = try value.u8()
                families.append(
                    GracefulRestartFamily(family: Family(afi: afi, safi: safi), flags: try value.u8()))
            }
            self = .gracefulRestart(
                flags: UInt8(head >> 12), restartTimeSeconds: head & 0xfff, families: families)
        case 65:
            try expect(length == 4, "4-octet AS")
            self = .fourOctetAS(try value.u32())
        case 69:
            try expect(length % 4 == 0, "add-path")
            var families: [AddPathFamily] = []
            while !value.isEmpty {
                let afi = try value.u16()
                let safi = try value.u8()
                families.append(AddPathFamily(family: Family(afi: afi, safi: safi), mode: try value.u8()))
            }
            self = .addPath(families)
        case 70 where length == 0: self = .enhancedRouteRefresh
        case 71:
            try expect(length % 7 == 0, "long-lived graceful restart")
            var families: [LongLivedFamily] = []
            while !value.isEmpty {
                let afi = try value.u16()
                let safi = try value.u8()
                let flags = try value.u8()
                families.append(
                    LongLivedFamily(
                        family: Family(afi: afi, safi: safi), flags: flags, staleTimeSeconds: try value.u24()))
            }
            self = .longLivedGracefulRestart(families)
        case 73:
            let hostname = try value.bytes(Int(try value.u8()))
            let domain = try value.bytes(Int(try value.u8()))
            self = .fqdn(
                hostname: String(decoding: hostname, as: UTF8.self), domain: String(decoding: domain, as: UTF8.self))
        default: self = .other(code: code, value: value.rest())
        }
    }

    func encode(into writer: inout ByteWriter) {
        writer.u8(code)
        let lengthAt = writer.count
        writer.u8(0)
        switch self {
        case .multiprotocol(let family):
            writer.u16(family.afi)
            writer.u8(0)
            writer.u8(family.safi)
        case .routeRefresh, .extendedMessage, .enhancedRouteRefresh: break
        case .extendedNextHop(let families):
            for entry in families.prefix(42) {
                writer.u16(entry.family.afi)
                writer.u16(UInt16(entry.family.safi))
                writer.u16(entry.nextHopAFI)
            }
        case .role(let role): writer.u8(role)
        case .gracefulRestart(let flags, let seconds, let families):
            writer.u16(UInt16(flags & 15) << 12 | min(seconds, 0xfff))
            for entry in families.prefix(63) {
                writer.u16(entry.family.afi)
                writer.u8(entry.family.safi)
                writer.u8(entry.flags)
            }
        case .fourOctetAS(let asn): writer.u32(asn)
        case .addPath(let families):
            for entry in families.prefix(63) {
                writer.u16(entry.family.afi)
                writer.u8(entry.family.safi)
                writer.u8(entry.mode)
            }
        case .longLivedGracefulRestart(let families):
            for entry in families.prefix(36) {
                writer.u16(entry.family.afi)
                writer.u8(entry.family.safi)
                writer.u8(entry.flags)
                writer.u24(entry.staleTimeSeconds)
            }
        case .fqdn(let hostname, let domain):
            for text in [hostname, domain] {
                let octets = text.utf8(atMost: 64)
                writer.u8(UInt8(octets.count))
                writer.raw(octets)
            }
        case .other(_, let value): writer.raw(value.prefix(255))
        }
        writer.patch8(at: lengthAt, writer.count - lengthAt - 1)
    }
}

extension ByteReader {
    /// The next octet without consuming it; nil at the end.
    func peek() -> UInt8? {
        var copy = self
        do throws(ByteError) { return try copy.u8() } catch { return nil }
    }
}
