// The two ICMPv6 messages by which routers on a link find each other (RFC 4861), as far as unnumbered sessions need them.

public import NetTypes

/// A Router Solicitation (RFC 4861 §4.1) or Router Advertisement (§4.2). An advertisement of ours offers nothing but itself: router
/// lifetime 0, no prefixes, every other field unspecified, so that a host that hears it changes nothing.
///
///     +-----------------------------------------------+
///     |  Type (1): 133 solicitation, 134 advertisement |
///     |  Code (1): 0                                   |
///     |  Checksum (2): the kernel's business           |
///     |  solicitation: reserved (4)                    |
///     |  advertisement: hop limit (1), flags (1),      |
///     |    router lifetime (2), reachable time (4),    |
///     |    retransmission timer (4)                    |
///     |  options: type (1), length in 8 octets (1), …  |
///     |    1 source link-layer address                 |
///     +-----------------------------------------------+
public struct RouterMessage: Hashable, Sendable {
    public enum Kind: UInt8, Hashable, Sendable {
        case solicitation = 133
        case advertisement = 134
    }
    public var kind: Kind
    /// The sender's Ethernet address; nil when it does not say, or has another kind of address.
    public var linkLayerAddress: MACAddress?

    public init(_ kind: Kind, linkLayerAddress: MACAddress?) {
        self.kind = kind
        self.linkLayerAddress = linkLayerAddress
    }

    /// Reads what RFC 4861 §6.1 lets pass; hop limit, source and checksum are not in the octets and are for the caller to check.
    public init(decoding reader: inout ByteReader) throws(ByteError) {
        guard let kind = Kind(rawValue: try reader.u8()) else { throw ByteError("type", at: reader.offset - 1) }
        self.kind = kind
        guard try reader.u8() == 0 else { throw ByteError("code", at: reader.offset - 1) }
        try reader.skip(kind == .solicitation ? 6 : 14)
        linkLayerAddress = try reader.linkLayerAddress(option: 1)
    }

    public func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 24)
        writer.u8(kind.rawValue)
        writer.u8(0)
        writer.raw(repeatElement(0, count: kind == .solicitation ? 6 : 14))
        if let linkLayerAddress {
            writer.u8(1)
            writer.u8(1)
            writer.mac(linkLayerAddress)
        }
        return writer.bytes
    }
}
