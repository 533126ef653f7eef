// Routes to UPDATEs: as many NLRI in each message as fit.

public import NetTypes

/// Packs routes that share attributes into as few UPDATEs as `maximumLength` allows.
///
/// IPv4 unicast routes with an IPv4 next hop use the fields of RFC 4271, everything else MP_REACH_NLRI and MP_UNREACH_NLRI,
/// which come first among the attributes (RFC 7606 §5.1).
public struct UpdateEncoder: Sendable {
    public let options: CodecOptions
    public init(options: CodecOptions) { self.options = options }

    /// Appends UPDATEs that announce `routes` (all of `family`) to `out`; returns how many messages were made. A route that
    /// does not fit into one message even alone (attributes of more than about 4000 octets) is left out.
    @discardableResult
    public func announce(_ routes: [RouteEntry], family: Family, attributes: PathAttributes, into out: inout ByteWriter)
        -> Int
    {
        var classicNextHop: IPv4Address?
        if family == .ipv4Unicast, case .v4(let address) = attributes.nextHop { classicNextHop = address }
        var section = ByteWriter(capacity: 128)
        attributes.encode(into: &section, options: options, classicNextHop: classicNextHop)
        let isClassic = classicNextHop != nil

        return pack(routes, family: family, tail: isClassic ? [] : section.bytes, into: &out) { writer in
            writer.u16(0)
            if isClassic {
                writer.u16(UInt16(clamping: section.count))
                writer.raw(section.bytes)
                return nil
            }
            let totalAt = writer.count
            writer.u16(0)
            writer.u8(AttributeFlags.optional | AttributeFlags.extendedLength)
            writer.u8(AttributeCode.mpReach)
            writer.u16(0)
            writer.u16(family.afi)
            writer.u8(family.safi)
            switch attributes.nextHop {
            case .v6(let address):
                writer.u8(attributes.linkLocalNextHop == nil ? 16 : 32)
                writer.ipv6(address)
                if let second = attributes.linkLocalNextHop { writer.ipv6(second) }
            case .v4(let address) where family.afi == 2:
                // An IPv4 next hop of an IPv6 prefix travels as a mapped address (RFC 4659 §3.2.1.2 does so too).
                writer.u8(16)
                writer.ipv6(IPv6Address(high: 0, low: 0xffff_0000_0000 | UInt64(address.rawValue)))
            case .v4(let address):
                writer.u8(4)
                writer.ipv4(address)
            case nil: writer.u8(0)
            }
            writer.u8(0)
            return totalAt
        }
    }

    /// Whether a route of `family` with these attributes fits into one message. `announce` leaves out what does not, so whoever
    /// keeps count of what was announced asks first.
    public func fits(_ attributes: PathAttributes, family: Family) -> Bool {
        // Header, both lengths, and MP_REACH_NLRI with two IPv6 next hops around one route: path ID, type and length, NLRI.
        let longestRoute = family == .l2vpnEVPN ? 4 + 2 + 96 : 4 + 1 + 16
        let reserve = Message.headerLength + 2 + 2 + 4 + 3 + 1 + 32 + 1 + longestRoute
        let typed =
            attributes.asPath.segments.reduce(0) { $0 + 2 + 4 * $1.asns.count } + 4 * attributes.communities.count
            + 8 * attributes.extendedCommunities.count + 12 * attributes.largeCommunities.count
            + 4 * attributes.clusterList.count + (attributes.pmsiTunnel?.tunnelID.count ?? 0)
        let others = attributes.others.reduce(0) { $0 + 4 + $1.value.count }
        // Nearly always far from the limit: an AS_PATH may go out twice (RFC 6793), the rest is small.
        if 2 * typed + others + 256 + reserve <= options.maximumLength { return true }
        var section = ByteWriter()
        attributes.encode(into: &section, options: options, classicNextHop: nil)
        return section.count + reserve <= options.maximumLength
    }

    /// Appends UPDATEs that withdraw `routes` (all of `family`); attributes and labels play no part.
    @discardableResult public func withdraw(_ routes: [RouteEntry], family: Family, into out: inout ByteWriter) -> Int {
        guard family == .ipv4Unicast else {
            return pack(routes, family: family, tail: [], into: &out) { writer in
                writer.u16(0)
                let totalAt = writer.count
                writer.u16(0)
                writer.u8(AttributeFlags.optional | AttributeFlags.extendedLength)
                writer.u8(AttributeCode.mpUnreach)
                writer.u16(0)
                writer.u16(family.afi)
                writer.u8(family.safi)
                return totalAt
            }
        }
        var messages = 0
        var index = 0
        let addPath = options.addPathSend.contains(family)
        while index < routes.count {
            let start = out.beginMessage(MessageType.update)
            out.u16(0)
            let first = index
            while index < routes.count {
                let mark = out.count
                routes[index].encode(addPath: addPath, into: &out)
                if out.count - start + 2 > options.maximumLength {
                    out.truncate(to: mark)
                    break
                }
                index += 1
            }
            guard index > first else {
                out.truncate(to: start)
                index += 1
                continue
            }
            out.patch16(at: start + Message.headerLength, out.count - start - Message.headerLength - 2)
            out.u16(0)
            out.endMessage(start)
            messages += 1
        }
        return messages
    }

    /// End-of-RIB (RFC 4724 §2): an UPDATE without anything for IPv4 unicast, with an empty MP_UNREACH_NLRI otherwise.
    public func endOfRIB(_ family: Family, into out: inout ByteWriter) {
        out.message(MessageType.update) { writer in
            writer.u16(0)
            if family == .ipv4Unicast {
                writer.u16(0)
            } else {
                writer.u16(6)
                writer.attribute(AttributeFlags.optional, AttributeCode.mpUnreach) {
                    $0.u16(family.afi)
                    $0.u8(family.safi)
                }
            }
        }
    }

    /// Fills messages with routes. `head` writes what precedes the NLRI and returns the offset of the total attribute length
    /// when an MP attribute (4 octets of header behind it) holds the NLRI; `tail` is what follows them.
    private func pack(
        _ routes: [RouteEntry], family: Family, tail: [UInt8], into out: inout ByteWriter,
        head: (inout ByteWriter) -> Int?
    ) -> Int {
        let addPath = options.addPathSend.contains(family)
        var messages = 0
        var index = 0
        while index < routes.count {
            let start = out.beginMessage(MessageType.update)
            let totalAt = head(&out)
            let first = index
            while index < routes.count {
                let mark = out.count
                routes[index].encode(addPath: addPath, into: &out)
                if out.count - start + tail.count > options.maximumLength {
                    out.truncate(to: mark)
                    break
                }
                index += 1
            }
            guard index > first else {
                out.truncate(to: start)
                index += 1
                continue
            }
            if let totalAt {
                out.patch16(at: totalAt + 4, out.count - totalAt - 6)
                out.raw(tail)
                out.patch16(at: totalAt, out.count - totalAt - 2)
            }
            out.endMessage(start)
            messages += 1
        }
        return messages
    }
}
