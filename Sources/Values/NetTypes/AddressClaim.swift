// What a host says of an address of its own, on the wire: ARP, and neighbor discovery of IPv6.

/// An IP address and the Ethernet address at which its owner says to have it.
public struct AddressClaim: Hashable, Sendable {
    public var ip: IPAddress
    public var mac: MACAddress
    /// The R flag of a neighbor advertisement; false in every other message.
    public var isRouter: Bool

    public init(ip: IPAddress, mac: MACAddress, isRouter: Bool = false) {
        self.ip = ip
        self.mac = mac
        self.isRouter = isRouter
    }
    private init(_ ip: IPAddress, _ mac: MACAddress, isRouter: Bool = false, at offset: Int) throws(ByteError) {
        guard mac.isUsableByHost, !ip.isUnspecified, !ip.isMulticast, !ip.isLoopback, ip != .v4(.broadcast) else {
            throw ByteError("address of no host", at: offset)
        }
        self.init(ip: ip, mac: mac, isRouter: isRouter)
    }

    /// What an ARP request or reply between Ethernet and IPv4 addresses (RFC 826) says of its sender. A probe (RFC 5227: from 0.0.0.0)
    /// says nothing, and is refused.
    ///
    ///     +----------------------------------------+
    ///     |  Hardware type (2): 1, Ethernet        |
    ///     |  Protocol type (2): 0x0800             |
    ///     |  Address lengths (1, 1): 6, 4          |
    ///     |  Operation (2): 1 request, 2 reply     |
    ///     |  Sender: MAC (6), IPv4 address (4)     |
    ///     |  Target: MAC (6), IPv4 address (4)     |
    ///     +----------------------------------------+
    public init(decodingARP reader: inout ByteReader) throws(ByteError) {
        let start = reader.offset
        guard try reader.u16() == 1, try reader.u16() == EtherType.ipv4, try reader.u16() == 0x0604 else {
            throw ByteError("ARP header", at: start)
        }
        guard try (1...2).contains(reader.u16()) else { throw ByteError("ARP operation", at: reader.offset - 2) }
        let mac = try reader.mac()
        let ip = try reader.ipv4()
        try reader.skip(10)
        try self.init(.v4(ip), mac, at: start)
    }

    /// What a neighbor solicitation (RFC 4861 §4.3) says of its `source`, or an advertisement (§4.4) of its target. One without the Ethernet
    /// address, or a question of duplicate address detection (from the unspecified address), says nothing, and is refused. Checksum and
    /// hop limit are for the caller to check.
    ///
    ///     +-----------------------------------------------------+
    ///     |  Type (1): 135 solicitation, 136 advertisement      |
    ///     |  Code (1): 0                                        |
    ///     |  Checksum (2)                                       |
    ///     |  Flags (4), advertisement: R (0x80000000),          |
    ///     |    S solicited, O override (0x20000000)             |
    ///     |  Target (16)                                        |
    ///     |  Options: 1 Ethernet address of the source, 2 of    |
    ///     |    the target                                       |
    ///     +-----------------------------------------------------+
    public init(decodingDiscovery reader: inout ByteReader, from source: IPv6Address) throws(ByteError) {
        let start = reader.offset
        let type = try reader.u8()
        guard type == 135 || type == 136, try reader.u8() == 0 else { throw ByteError("discovery type", at: start) }
        try reader.skip(2)
        let flags = try reader.u32()
        let target = try reader.ipv6()
        guard let mac = try reader.linkLayerAddress(option: type == 135 ? 1 : 2) else {
            throw ByteError("no Ethernet address", at: start)
        }
        try self.init(.v6(type == 135 ? source : target), mac, isRouter: type == 136 && flags >> 31 == 1, at: start)
    }

    /// The payload of a frame that tells all hosts of a link of this claim, so that they forget another Ethernet address: an ARP announcement
    /// (RFC 5227 §3), or an unsolicited neighbor advertisement (RFC 4861 §7.2.6) in an IPv6 packet from the address itself.
    public var announcement: (destination: MACAddress, type: UInt16, payload: [UInt8]) {
        var writer = ByteWriter(capacity: 72)
        switch ip {
        case .v4(let address):
            writer.u16(1)
            writer.u16(EtherType.ipv4)
            writer.u16(0x0604)
            writer.u16(1)
            writer.mac(mac)
            writer.ipv4(address)
            writer.mac(.zero)
            writer.ipv4(address)
            return (.broadcast, EtherType.arp, writer.bytes)
        case .v6(let address):
            let allNodes = IPv6Address(high: 0xff02 << 48, low: 1)
            var message = ByteWriter(capacity: 32)
            message.u32(136 << 24)
            message.u32(isRouter ? 0xa000_0000 : 0x2000_0000)
            message.ipv6(address)
            message.u16(0x0201)
            message.mac(mac)
            let head = [address.high, address.low, allNodes.high, allNodes.low, UInt64(message.count), 58]
            var sum: UInt64 = 0
            for word in head { for shift in [48, 32, 16, 0] { sum += word >> UInt64(shift) & 0xffff } }
            for (index, octet) in message.bytes.enumerated() { sum += UInt64(octet) << (index % 2 == 0 ? 8 : 0) }
            while sum > 0xffff { sum = sum & 0xffff + sum >> 16 }
            message.patch16(at: 2, Int(~sum & 0xffff))
            // Version 6, payload length, ICMPv6, hop limit 255.
            writer.u32(0x6000_0000)
            writer.u16(UInt16(message.count))
            writer.u16(58 << 8 | 255)
            writer.ipv6(address)
            writer.ipv6(allNodes)
            writer.raw(message.bytes)
            return (MACAddress(rawValue: 0x3333_0000_0001), EtherType.ipv6, writer.bytes)
        }
    }
}

/// EtherTypes of the IEEE registry.
public enum EtherType {
    public static let ipv4: UInt16 = 0x0800
    public static let arp: UInt16 = 0x0806
    public static let vlan: UInt16 = 0x8100
    public static let ipv6: UInt16 = 0x86dd
}

extension ByteReader {
    /// Reads the options of a neighbor discovery message (RFC 4861 §4.6) to its end: the Ethernet address in the last one of type `option`,
    /// nil when there is none, or one for addresses of another length. Throws where an option has no length, or passes the end.
    public mutating func linkLayerAddress(option: UInt8) throws(ByteError) -> MACAddress? {
        var found: MACAddress?
        while !isEmpty {
            let type = try u8()
            let length = try u8()
            guard length > 0 else { throw ByteError("option length", at: offset - 1) }
            var value = try take(Int(length) * 8 - 2)
            if type == option, length == 1 { found = try value.mac() }
        }
        return found
    }
}
