// The values of path attributes, each read on its own. Callers choose what a failure means; these only say that there is one.

public import NetTypes

extension ASPath {
    ///     | Segment type (1) | Count of ASNs (1) | ASNs (2 or 4 each) | ...
    ///
    /// RFC 7606 §7.2: malformed when a type is not known, a segment is empty, or the segments do not fill the attribute.
    public init(decoding reader: inout ByteReader, fourOctet: Bool) throws(ByteError) {
        segments = []
        while !reader.isEmpty {
            guard let type = SegmentType(rawValue: try reader.u8()) else {
                throw ByteError("segment type", at: reader.offset - 1)
            }
            let count = Int(try reader.u8())
            guard count > 0 else { throw ByteError("empty segment", at: reader.offset - 1) }
            var asns: [UInt32] = []
            asns.reserveCapacity(count)
            for _ in 0..<count { asns.append(fourOctet ? try reader.u32() : UInt32(try reader.u16())) }
            segments.append(Segment(type: type, asns: asns))
        }
    }
}

extension Aggregator {
    ///     | ASN (2 or 4) | IPv4 address (4) |
    public init(decoding reader: inout ByteReader, fourOctet: Bool) throws(ByteError) {
        guard reader.count == (fourOctet ? 8 : 6) else { throw ByteError("length", at: reader.offset) }
        let asn = fourOctet ? try reader.u32() : UInt32(try reader.u16())
        self.init(asn: asn, address: try reader.ipv4())
    }
}

extension PMSITunnel {
    ///     | Flags (1) | Tunnel type (1) | MPLS label (3) | Tunnel identifier |
    ///
    /// Malformed with a tunnel type that nobody has defined, and when an ingress replication tunnel's identifier is not one address
    /// (RFC 6514 §5).
    public init(decoding reader: inout ByteReader) throws(ByteError) {
        let flags = try reader.u8()
        let type = try reader.u8()
        let label = try reader.u24()
        guard PMSITunnel.isDefined(type) else { throw ByteError("tunnel type", at: reader.offset) }
        if type == PMSITunnel.ingressReplicationType, reader.count != 4, reader.count != 16 {
            throw ByteError("tunnel identifier length", at: reader.offset)
        }
        self.init(tunnelType: type, flags: flags, label: label, tunnelID: reader.rest())
    }

    /// IANA, "P-Multicast Service Interface (PMSI) Tunnel Types": 0 to 13 and those for experiments; RFC 8317 §3.3 sets the high
    /// bit of a type for a composite tunnel.
    private static func isDefined(_ type: UInt8) -> Bool {
        switch type & 0x7f {
        case 0...0x0d, 0x7b...0x7e: true
        default: false
        }
    }
}

extension LargeCommunity {
    public init(decoding reader: inout ByteReader) throws(ByteError) {
        let global = try reader.u32()
        let local1 = try reader.u32()
        self.init(global, local1, try reader.u32())
    }
}

/// MP_REACH_NLRI (RFC 4760 §3) up to its NLRI.
///
///     | AFI (2) | SAFI (1) | Next hop length (1) | Next hop | Reserved (1) | NLRI |
public struct MPReach: Hashable, Sendable {
    public var family: Family
    /// Route distinguishers of VPN next hops are dropped. Empty when the length means nothing for an unknown family.
    public var nextHops: [IPAddress]

    /// Leaves `reader` at the first NLRI. Throws when the next hop has a length that its family does not allow.
    public init(decoding reader: inout ByteReader) throws(ByteError) {
        let afi = try reader.u16()
        family = Family(afi: afi, safi: try reader.u8())
        nextHops = []
        let length = Int(try reader.u8())
        var octets = try reader.take(length)
        try reader.skip(1)
        let isVPN = (family.afi == 1 || family.afi == 2) && family.safi == 128
        guard MPReach.allows(length, family: family) else { throw ByteError("next hop length", at: octets.offset) }
        switch length {
        case 4 where !isVPN: nextHops.append(.v4(try octets.ipv4()))
        case 16, 32:
            while !octets.isEmpty { nextHops.append(.v6(try octets.ipv6())) }
        case 12:
            try octets.skip(8)
            nextHops.append(.v4(try octets.ipv4()))
        case 24, 48:
            while !octets.isEmpty {
                try octets.skip(8)
                nextHops.append(.v6(try octets.ipv6()))
            }
        default: break
        }
    }

    /// RFC 4760, RFC 2545, RFC 4364, RFC 4659, RFC 8277, RFC 8950, RFC 7432 §11.
    private static func allows(_ length: Int, family: Family) -> Bool {
        switch (family.afi, family.safi) {
        // IPv4 next hops of IPv6 routes have no RFC, and senders: ExaBGP, for one; FRR and GoBGP take them.
        case (1...2, 1), (1...2, 2), (1...2, 4): length == 4 || length == 16 || length == 32
        case (1, 128): length == 12 || length == 24 || length == 48
        case (2, 128): length == 24 || length == 48
        case (25, 70): length == 4 || length == 16 || length == 32
        default: true
        }
    }
}

/// MP_UNREACH_NLRI (RFC 4760 §4) up to its NLRI: AFI (2), SAFI (1).
public struct MPUnreach: Hashable, Sendable {
    public var family: Family
    public init(decoding reader: inout ByteReader) throws(ByteError) {
        let afi = try reader.u16()
        family = Family(afi: afi, safi: try reader.u8())
    }
}
