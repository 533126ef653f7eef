// The EVPN NLRI on the wire. Every NLRI is: route type (1), length (1), value; so one that is not understood can be stepped over.

public import NetTypes

extension EthernetSegmentID {
    @inlinable init(decoding reader: inout ByteReader) throws(ByteError) {
        let high = try reader.u64()
        self.init(high: high, low: try reader.u16())
    }
    func encode(into writer: inout ByteWriter) {
        writer.u64(high)
        writer.u16(low)
    }
}

extension ByteReader {
    /// An address after its length octet in bits: 0 (nil), 32 or 128; anything else throws.
    mutating func addressWithLength() throws(ByteError) -> IPAddress? {
        switch try u8() {
        case 0: nil
        case 32: .v4(try ipv4())
        case 128: .v6(try ipv6())
        default: throw ByteError("address length", at: offset - 1)
        }
    }
}

extension ByteWriter {
    mutating func addressWithLength(_ address: IPAddress?) {
        u8(UInt8(address?.bitWidth ?? 0))
        if let address { ip(address) }
    }
}

/// What an EVPN NLRI was for the RIB.
enum EVPNReading {
    /// `hasHostBits`: of a type 5 route, set beyond its length. They do not matter (RFC 4271 §4.3), but nobody should send them.
    case route(EVPNRoute, hasHostBits: Bool = false)
    /// A route type that no specification defines: RFC 7606 §5.4 has it ignored.
    case unknown
    /// A type 5 route with a prefix length that its family does not have: no table can hold it, and what follows can be read.
    case malformed
}

extension EVPNRoute {
    /// The highest route type with a specification (RFC 9572: 11, Leaf A-D).
    public static let highestKnownType: UInt8 = 11

    /// Reads one NLRI. Throws when the NLRI runs over the end of `reader` or its value does not have the form of its type.
    static func read(_ reader: inout ByteReader) throws(ByteError) -> EVPNReading {
        let type = try reader.u8()
        let length = Int(try reader.u8())
        var value = try reader.take(length)
        switch type {
        case 5 where IPPrefixRoute.hasWrongLength(value): return .malformed
        case 1...5:
            let hasHostBits = type == 5 && IPPrefixRoute.hasHostBits(value)
            let route = try EVPNRoute(type: type, decoding: &value)
            guard value.isEmpty else { throw ByteError("EVPN route length", at: value.offset) }
            return .route(route, hasHostBits: hasHostBits)
        case 6...highestKnownType:
            // Checked here so that what is reflected has the form its readers expect.
            var copy = value
            _ = try MulticastRoute(type: type, decoding: &copy)
            return .route(.other(type: type, value: value.rest()))
        default: return .unknown
        }
    }

    /// Reads the value (after type and length) of a route of type 1 to 5; what is left in `reader` then does not belong to it.
    public init(type: UInt8, decoding reader: inout ByteReader) throws(ByteError) {
        let rd = RouteDistinguisher(rawValue: try reader.u64())
        switch type {
        case 1: self = .ethernetAutoDiscovery(try EthernetAutoDiscoveryRoute(rd: rd, decoding: &reader))
        case 2: self = .macIP(try MACIPRoute(rd: rd, decoding: &reader))
        case 3: self = .inclusiveMulticast(try InclusiveMulticastRoute(rd: rd, decoding: &reader))
        case 4: self = .ethernetSegment(try EthernetSegmentRoute(rd: rd, decoding: &reader))
        case 5: self = .ipPrefix(try IPPrefixRoute(rd: rd, decoding: &reader))
        default: throw ByteError("EVPN route type", at: reader.offset)
        }
    }

    /// Appends type, length and value.
    func encode(into writer: inout ByteWriter) {
        writer.u8(type)
        let lengthAt = writer.count
        writer.u8(0)
        switch self {
        case .ethernetAutoDiscovery(let route): route.encode(into: &writer)
        case .macIP(let route): route.encode(into: &writer)
        case .inclusiveMulticast(let route): route.encode(into: &writer)
        case .ethernetSegment(let route): route.encode(into: &writer)
        case .ipPrefix(let route): route.encode(into: &writer)
        case .other(_, let value): writer.raw(value.prefix(255))
        }
        writer.patch8(at: lengthAt, writer.count - lengthAt - 1)
    }
}

///     +---------------------------------------+
///     |  RD (8)                               |
///     |  Ethernet Segment Identifier (10)     |
///     |  Ethernet Tag ID (4)                  |
///     |  MPLS Label (3)                       |
///     +---------------------------------------+
extension EthernetAutoDiscoveryRoute {
    fileprivate init(rd: RouteDistinguisher, decoding reader: inout ByteReader) throws(ByteError) {
        let esi = try EthernetSegmentID(decoding: &reader)
        let tag = try reader.u32()
        self.init(rd: rd, esi: esi, ethernetTag: tag, label: try reader.u24())
    }
    fileprivate func encode(into writer: inout ByteWriter) {
        writer.u64(rd.rawValue)
        esi.encode(into: &writer)
        writer.u32(ethernetTag)
        writer.u24(label)
    }
}

///     +---------------------------------------+
///     |  RD (8)                               |
///     |  Ethernet Segment Identifier (10)     |
///     |  Ethernet Tag ID (4)                  |
///     |  MAC Address Length (1), always 48    |
///     |  MAC Address (6)                      |
///     |  IP Address Length (1), 0, 32 or 128  |
///     |  IP Address (0, 4 or 16)              |
///     |  Label 1 (3), with VXLAN the L2 VNI   |
///     |  Label 2 (0 or 3), the L3 VNI         |
///     +---------------------------------------+
extension MACIPRoute {
    fileprivate init(rd: RouteDistinguisher, decoding reader: inout ByteReader) throws(ByteError) {
        let esi = try EthernetSegmentID(decoding: &reader)
        let tag = try reader.u32()
        guard try reader.u8() == 48 else { throw ByteError("MAC address length", at: reader.offset - 1) }
        let mac = try reader.mac()
        let ip = try reader.addressWithLength()
        let label1 = try reader.u24()
        let label2: UInt32? = reader.isEmpty ? nil : try reader.u24()
        self.init(rd: rd, esi: esi, ethernetTag: tag, mac: mac, ip: ip, label1: label1, label2: label2)
    }
    fileprivate func encode(into writer: inout ByteWriter) {
        writer.u64(rd.rawValue)
        esi.encode(into: &writer)
        writer.u32(ethernetTag)
        writer.u8(48)
        writer.mac(mac)
        writer.addressWithLength(ip)
        writer.u24(label1)
        if let label2 { writer.u24(label2) }
    }
}

///     +---------------------------------------+
///     |  RD (8)                               |
///     |  Ethernet Tag ID (4)                  |
///     |  IP Address Length (1), 32 or 128     |
///     |  Originating Router's IP (4 or 16)    |
///     +---------------------------------------+
extension InclusiveMulticastRoute {
    fileprivate init(rd: RouteDistinguisher, decoding reader: inout ByteReader) throws(ByteError) {
        let tag = try reader.u32()
        guard let originator = try reader.addressWithLength() else {
            throw ByteError("originator length", at: reader.offset)
        }
        self.init(rd: rd, ethernetTag: tag, originator: originator)
    }
    fileprivate func encode(into writer: inout ByteWriter) {
        writer.u64(rd.rawValue)
        writer.u32(ethernetTag)
        writer.addressWithLength(originator)
    }
}

///     +---------------------------------------+
///     |  RD (8)                               |
///     |  Ethernet Segment Identifier (10)     |
///     |  IP Address Length (1), 32 or 128     |
///     |  Originating Router's IP (4 or 16)    |
///     +---------------------------------------+
extension EthernetSegmentRoute {
    fileprivate init(rd: RouteDistinguisher, decoding reader: inout ByteReader) throws(ByteError) {
        let esi = try EthernetSegmentID(decoding: &reader)
        guard let originator = try reader.addressWithLength() else {
            throw ByteError("originator length", at: reader.offset)
        }
        self.init(rd: rd, esi: esi, originator: originator)
    }
    fileprivate func encode(into writer: inout ByteWriter) {
        writer.u64(rd.rawValue)
        esi.encode(into: &writer)
        writer.addressWithLength(originator)
    }
}

/// The family shows only in the length of the whole: 34 octets for IPv4, 58 for IPv6 (RFC 9136 §3.1).
///
///     +---------------------------------------+
///     |  RD (8)                               |
///     |  Ethernet Segment Identifier (10)     |
///     |  Ethernet Tag ID (4)                  |
///     |  IP Prefix Length (1)                 |
///     |  IP Prefix (4 or 16)                  |
///     |  GW IP Address (4 or 16)              |
///     |  MPLS Label (3)                       |
///     +---------------------------------------+
extension IPPrefixRoute {
    /// Whether the prefix length is above 32 or 128 in a value that has the size of its family.
    fileprivate static func hasWrongLength(_ value: ByteReader) -> Bool {
        guard value.count == 34 || value.count == 58 else { return false }
        var rest = value
        do throws(ByteError) {
            _ = try rest.take(22)
            return try rest.u8() > (value.count == 34 ? 32 : 128)
        } catch {
            return false
        }
    }
    /// Whether bits beyond the prefix length are set in a value of the right size.
    fileprivate static func hasHostBits(_ value: ByteReader) -> Bool {
        guard value.count == 34 || value.count == 58 else { return false }
        var rest = value
        do throws(ByteError) {
            _ = try rest.take(22)
            let length = Int(try rest.u8())
            let address: IPAddress = value.count == 58 ? .v6(try rest.ipv6()) : .v4(try rest.ipv4())
            return length <= address.bitWidth && address.masked(length) != address
        } catch {
            return false
        }
    }
    /// Both overlay indexes at once, which RFC 9136 §3.1 has treated as a withdrawal.
    var hasGatewayAndSegment: Bool { !gateway.isUnspecified && !esi.isZero }

    fileprivate init(rd: RouteDistinguisher, decoding reader: inout ByteReader) throws(ByteError) {
        let isV6: Bool
        switch reader.count {
        case 26: isV6 = false
        case 50: isV6 = true
        default: throw ByteError("IP prefix route length", at: reader.offset)
        }
        let esi = try EthernetSegmentID(decoding: &reader)
        let tag = try reader.u32()
        let length = Int(try reader.u8())
        let address: IPAddress = isV6 ? .v6(try reader.ipv6()) : .v4(try reader.ipv4())
        let gateway: IPAddress = isV6 ? .v6(try reader.ipv6()) : .v4(try reader.ipv4())
        guard let prefix = IPPrefix(address, length: length) else {
            throw ByteError("IP prefix length", at: reader.offset)
        }
        self.init(
            rd: rd, esi: esi, ethernetTag: tag, prefix: prefix, gateway: gateway, label: try reader.u24())
    }
    fileprivate func encode(into writer: inout ByteWriter) {
        writer.u64(rd.rawValue)
        esi.encode(into: &writer)
        writer.u32(ethernetTag)
        writer.u8(UInt8(truncatingIfNeeded: prefix.length))
        writer.ip(prefix.address)
        // A gateway of the other family has no place here; none is the honest rendering.
        if gateway.isV6 == prefix.address.isV6 {
            writer.ip(gateway)
        } else {
            writer.ip(prefix.address.isV6 ? .v6(.any) : .v4(.any))
        }
        writer.u24(label)
    }
}
