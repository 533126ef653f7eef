// The path attributes of an announcement on the wire, all but MP_REACH_NLRI, in the order of their codes.

import NetTypes

extension ASPath {
    /// RFC 6793 §4.2.2: what stands for an ASN that does not fit two octets.
    static let transition: UInt32 = 23456

    func encode(fourOctet: Bool, into writer: inout ByteWriter) {
        for segment in segments {
            // A segment's count is one octet; a longer one continues in a segment of the same type.
            var start = 0
            while start < segment.asns.count {
                let end = min(start + 255, segment.asns.count)
                writer.u8(segment.type.rawValue)
                writer.u8(UInt8(end - start))
                for asn in segment.asns[start..<end] {
                    if fourOctet {
                        writer.u32(asn)
                    } else {
                        writer.u16(UInt16(exactly: asn) ?? UInt16(ASPath.transition))
                    }
                }
                start = end
            }
        }
    }
    var needsFourOctets: Bool { segments.contains { $0.asns.contains { $0 > 0xffff } } }
    /// AS4_PATH carries no confederation segments (RFC 6793 §3).
    var withoutConfederations: ASPath {
        ASPath(segments.filter { $0.type == .sequence || $0.type == .set })
    }
}

extension ByteWriter {
    /// Flags, code, length in one octet or two, and what `body` writes.
    mutating func attribute(_ flags: UInt8, _ code: UInt8, _ body: (inout ByteWriter) -> Void) {
        let start = count
        u8(flags)
        u8(code)
        u8(0)
        body(&self)
        let length = count - start - 3
        if length < 256 {
            patch8(at: start, Int(flags & ~AttributeFlags.extendedLength))
            patch8(at: start + 2, length)
        } else {
            let value = Array(bytes[(start + 3)...])
            truncate(to: start)
            u8(flags | AttributeFlags.extendedLength)
            u8(code)
            u16(UInt16(clamping: length))
            raw(value.prefix(0xffff))
        }
    }
}

extension PathAttributes {
    private static let wellKnown = AttributeFlags.transitive
    private static let optional = AttributeFlags.optional
    private static let optionalTransitive = AttributeFlags.optional | AttributeFlags.transitive

    /// Appends all attributes but MP_REACH_NLRI; NEXT_HOP only with `classicNextHop`.
    func encode(into writer: inout ByteWriter, options: CodecOptions, classicNextHop: IPv4Address?) {
        var remaining = others[...]
        // `others` is sorted, so emitting it in step with the typed ones keeps the whole in order of codes.
        func flush(below code: UInt8, into writer: inout ByteWriter) {
            while let raw = remaining.first, raw.code < code {
                writer.attribute(raw.flags, raw.code) { $0.raw(raw.value) }
                remaining = remaining.dropFirst()
            }
        }
        writer.attribute(PathAttributes.wellKnown, AttributeCode.origin) { $0.u8(origin.rawValue) }
        writer.attribute(PathAttributes.wellKnown, AttributeCode.asPath) {
            asPath.encode(fourOctet: options.fourOctetAS, into: &$0)
        }
        if let classicNextHop {
            writer.attribute(PathAttributes.wellKnown, AttributeCode.nextHop) { $0.ipv4(classicNextHop) }
        }
        if let med { writer.attribute(PathAttributes.optional, AttributeCode.med) { $0.u32(med) } }
        if let localPreference {
            writer.attribute(PathAttributes.wellKnown, AttributeCode.localPreference) { $0.u32(localPreference) }
        }
        if atomicAggregate { writer.attribute(PathAttributes.wellKnown, AttributeCode.atomicAggregate) { _ in } }
        if let aggregator {
            writer.attribute(PathAttributes.optionalTransitive, AttributeCode.aggregator) {
                if options.fourOctetAS {
                    $0.u32(aggregator.asn)
                } else {
                    $0.u16(UInt16(exactly: aggregator.asn) ?? UInt16(ASPath.transition))
                }
                $0.ipv4(aggregator.address)
            }
        }
        if !communities.isEmpty {
            writer.attribute(PathAttributes.optionalTransitive, AttributeCode.communities) {
                for community in communities { $0.u32(community) }
            }
        }
        if let originatorID {
            writer.attribute(PathAttributes.optional, AttributeCode.originatorID) { $0.ipv4(originatorID) }
        }
        if !clusterList.isEmpty {
            writer.attribute(PathAttributes.optional, AttributeCode.clusterList) {
                for cluster in clusterList { $0.ipv4(cluster) }
            }
        }
        flush(below: AttributeCode.extendedCommunities, into: &writer)
        if !extendedCommunities.isEmpty {
            writer.attribute(PathAttributes.optionalTransitive, AttributeCode.extendedCommunities) {
                for community in extendedCommunities { $0.u64(community.rawValue) }
            }
        }
        if !options.fourOctetAS {
            if asPath.needsFourOctets {
                writer.attribute(PathAttributes.optionalTransitive, AttributeCode.as4Path) {
                    asPath.withoutConfederations.encode(fourOctet: true, into: &$0)
                }
            }
            if let aggregator, aggregator.asn > 0xffff {
                writer.attribute(PathAttributes.optionalTransitive, AttributeCode.as4Aggregator) {
                    $0.u32(aggregator.asn)
                    $0.ipv4(aggregator.address)
                }
            }
        }
        flush(below: AttributeCode.pmsiTunnel, into: &writer)
        if let pmsiTunnel {
            writer.attribute(PathAttributes.optionalTransitive, AttributeCode.pmsiTunnel) {
                $0.u8(pmsiTunnel.flags)
                $0.u8(pmsiTunnel.tunnelType)
                $0.u24(pmsiTunnel.label)
                $0.raw(pmsiTunnel.tunnelID)
            }
        }
        flush(below: AttributeCode.largeCommunities, into: &writer)
        if !largeCommunities.isEmpty {
            writer.attribute(PathAttributes.optionalTransitive, AttributeCode.largeCommunities) {
                for community in largeCommunities {
                    $0.u32(community.global)
                    $0.u32(community.local1)
                    $0.u32(community.local2)
                }
            }
        }
        flush(below: AttributeCode.onlyToCustomer, into: &writer)
        if let onlyToCustomer {
            writer.attribute(PathAttributes.optionalTransitive, AttributeCode.onlyToCustomer) { $0.u32(onlyToCustomer) }
        }
        flush(below: .max, into: &writer)
        for raw in remaining { writer.attribute(raw.flags, raw.code) { $0.raw(raw.value) } }
    }
}
