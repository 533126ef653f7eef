// EVPN route types 6 to 11 (RFC 9251 and RFC 9572): shown by `evpnctl decode` and reflected, never acted upon.

public import NetTypes

/// The fields of a route of type 6 to 11. `read` and `encode` are exact inverses, so a route that is shown is the one on the wire.
public enum MulticastRoute: Hashable, Sendable {
    /// Selective Multicast Ethernet Tag route (RFC 9251 §9.1), type 6.
    case selective(rd: RouteDistinguisher, ethernetTag: UInt32, Tree, flags: UInt8)
    /// Multicast Membership Report Synch route (RFC 9251 §9.2), type 7.
    case joinSynch(rd: RouteDistinguisher, esi: EthernetSegmentID, ethernetTag: UInt32, Tree, flags: UInt8)
    /// Multicast Leave Synch route (RFC 9251 §9.3), type 8.
    case leaveSynch(rd: RouteDistinguisher, esi: EthernetSegmentID, ethernetTag: UInt32, Tree, LeaveTail)
    /// Per-region I-PMSI A-D route (RFC 9572 §3.1), type 9; the region is eight octets.
    case perRegion(rd: RouteDistinguisher, ethernetTag: UInt32, regionID: UInt64)
    /// S-PMSI A-D route (RFC 9572 §3.2), type 10.
    case selectiveTunnel(rd: RouteDistinguisher, ethernetTag: UInt32, Tree)
    /// Leaf A-D route (RFC 9572 §3.3), type 11; the key is the whole NLRI it answers.
    case leaf(routeKey: [UInt8], originator: IPAddress?)

    /// Source, group and originator, each after its length in bits; nil for length 0.
    public struct Tree: Hashable, Sendable {
        public var source: IPAddress?
        public var group: IPAddress?
        public var originator: IPAddress?
        public init(source: IPAddress?, group: IPAddress?, originator: IPAddress?) {
            self.source = source
            self.group = group
            self.originator = originator
        }
    }
    /// What follows the originator of a leave: reserved (4), maximum response time (1), flags (1). Drafts had other forms.
    public enum LeaveTail: Hashable, Sendable {
        case standard(reserved: UInt32, maximumResponseTime: UInt8, flags: UInt8)
        case other([UInt8])
    }
}

extension MulticastRoute.Tree {
    fileprivate init(decoding reader: inout ByteReader) throws(ByteError) {
        let source = try reader.addressWithLength()
        let group = try reader.addressWithLength()
        self.init(source: source, group: group, originator: try reader.addressWithLength())
    }
    fileprivate func encode(into writer: inout ByteWriter) {
        writer.addressWithLength(source)
        writer.addressWithLength(group)
        writer.addressWithLength(originator)
    }
}

extension MulticastRoute {
    /// Reads the value (after type and length) of a route of type 6 to 11; throws unless all of it is used.
    public init(type: UInt8, decoding reader: inout ByteReader) throws(ByteError) {
        if type == 11 {
            let start = reader.offset
            try reader.skip(1)
            let length = Int(try reader.u8())
            try reader.skip(length)
            let routeKey = reader.slice(start..<reader.offset)
            self = .leaf(routeKey: routeKey, originator: try reader.addressWithLength())
        } else {
            let rd = RouteDistinguisher(rawValue: try reader.u64())
            switch type {
            case 6:
                let tag = try reader.u32()
                let tree = try Tree(decoding: &reader)
                self = .selective(rd: rd, ethernetTag: tag, tree, flags: try reader.u8())
            case 7:
                let esi = try EthernetSegmentID(decoding: &reader)
                let tag = try reader.u32()
                let tree = try Tree(decoding: &reader)
                self = .joinSynch(rd: rd, esi: esi, ethernetTag: tag, tree, flags: try reader.u8())
            case 8:
                let esi = try EthernetSegmentID(decoding: &reader)
                let tag = try reader.u32()
                let tree = try Tree(decoding: &reader)
                let tail: LeaveTail
                if reader.count == 6 {
                    let reserved = try reader.u32()
                    let time = try reader.u8()
                    tail = .standard(reserved: reserved, maximumResponseTime: time, flags: try reader.u8())
                } else {
                    tail = .other(reader.rest())
                }
                self = .leaveSynch(rd: rd, esi: esi, ethernetTag: tag, tree, tail)
            case 9:
                let tag = try reader.u32()
                self = .perRegion(rd: rd, ethernetTag: tag, regionID: try reader.u64())
            case 10:
                let tag = try reader.u32()
                self = .selectiveTunnel(rd: rd, ethernetTag: tag, try Tree(decoding: &reader))
            default: throw ByteError("EVPN route type", at: reader.offset)
            }
        }
        guard reader.isEmpty else { throw ByteError("EVPN route length", at: reader.offset) }
    }

    /// The value octets, as `init(type:decoding:)` read them.
    public func encode(into writer: inout ByteWriter) {
        switch self {
        case .selective(let rd, let tag, let tree, let flags):
            writer.u64(rd.rawValue)
            writer.u32(tag)
            tree.encode(into: &writer)
            writer.u8(flags)
        case .joinSynch(let rd, let esi, let tag, let tree, let flags):
            writer.u64(rd.rawValue)
            esi.encode(into: &writer)
            writer.u32(tag)
            tree.encode(into: &writer)
            writer.u8(flags)
        case .leaveSynch(let rd, let esi, let tag, let tree, let tail):
            writer.u64(rd.rawValue)
            esi.encode(into: &writer)
            writer.u32(tag)
            tree.encode(into: &writer)
            switch tail {
            case .standard(let reserved, let time, let flags):
                writer.u32(reserved)
                writer.u8(time)
                writer.u8(flags)
            case .other(let octets): writer.raw(octets)
            }
        case .perRegion(let rd, let tag, let region):
            writer.u64(rd.rawValue)
            writer.u32(tag)
            writer.u64(region)
        case .selectiveTunnel(let rd, let tag, let tree):
            writer.u64(rd.rawValue)
            writer.u32(tag)
            tree.encode(into: &writer)
        case .leaf(let key, let originator):
            writer.raw(key)
            writer.addressWithLength(originator)
        }
    }
}
