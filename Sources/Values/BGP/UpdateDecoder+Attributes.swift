// The attributes of an UPDATE one by one: what each may look like, and what its specification says of one that does not.

import NetTypes

extension UpdateDecoder {
    /// Reads an attribute that has a field of its own; false when `code` is none of them. Throws when malformed in a way that
    /// RFC 7606 §7 answers by treat-as-withdraw.
    mutating func readTyped(_ code: UInt8, _ value: inout ByteReader) throws(ByteError) -> Bool {
        /// Each of these attributes is a list of equal elements, and never empty (RFC 7606 §4).
        func expectMultiple(of size: Int) throws(ByteError) {
            guard value.count > 0, value.count % size == 0 else { throw ByteError("length", at: value.offset) }
        }
        func expect(_ length: Int) throws(ByteError) {
            guard value.count == length else { throw ByteError("length", at: value.offset) }
        }
        switch code {
        case AttributeCode.origin:
            try expect(1)
            guard let origin = Origin(rawValue: try value.u8()) else {
                withdraw(code, subcode: 6, "origin value")
                return true
            }
            update.attributes.origin = origin
        case AttributeCode.asPath:
            let path = try ASPath(decoding: &value, fourOctet: options.fourOctetAS)
            guard !path.contains(0) else { throw ByteError("AS 0", at: value.offset) }  // RFC 7607 §2
            update.attributes.asPath = path
        case AttributeCode.nextHop:
            try expect(4)
            nextHopField = try value.ipv4()
        case AttributeCode.med:
            try expect(4)
            update.attributes.med = try value.u32()
        case AttributeCode.localPreference:
            if options.isExternal {
                discard(code, "internal attribute from external peer")
                return true
            }
            try expect(4)
            update.attributes.localPreference = try value.u32()
        case AttributeCode.atomicAggregate:
            guard value.isEmpty else {
                discard(code, "atomic_aggregate length")
                return true
            }
            update.attributes.atomicAggregate = true
        case AttributeCode.aggregator:
            do throws(ByteError) {
                let aggregator = try Aggregator(decoding: &value, fourOctet: options.fourOctetAS)
                guard aggregator.asn != 0 else { throw ByteError("AS 0", at: value.offset) }
                update.attributes.aggregator = aggregator
            } catch {
                discard(code, "aggregator malformed")
            }
        case AttributeCode.communities:
            try expectMultiple(of: 4)
            update.attributes.communities.reserveCapacity(value.count / 4)
            while !value.isEmpty { update.attributes.communities.append(try value.u32()) }
        case AttributeCode.originatorID:
            if options.isExternal {
                discard(code, "internal attribute from external peer")
                return true
            }
            try expect(4)
            update.attributes.originatorID = try value.ipv4()
        case AttributeCode.clusterList:
            if options.isExternal {
                discard(code, "internal attribute from external peer")
                return true
            }
            try expectMultiple(of: 4)
            while !value.isEmpty { update.attributes.clusterList.append(try value.ipv4()) }
        case AttributeCode.extendedCommunities:
            try expectMultiple(of: 8)
            update.attributes.extendedCommunities.reserveCapacity(value.count / 8)
            while !value.isEmpty {
                update.attributes.extendedCommunities.append(ExtendedCommunity(rawValue: try value.u64()))
            }
        case AttributeCode.as4Path:
            // RFC 6793 §6: only the attribute is lost. A peer with 4-octet ASNs has no business sending it (§4.1).
            do throws(ByteError) {
                let path = try ASPath(decoding: &value, fourOctet: true)
                guard !path.segments.isEmpty, !path.contains(0) else { throw ByteError("empty", at: value.offset) }
                if !options.fourOctetAS { as4Path = path.withoutConfederations }
            } catch {
                discard(code, "as4_path malformed")
            }
        case AttributeCode.as4Aggregator:
            do throws(ByteError) {
                let aggregator = try Aggregator(decoding: &value, fourOctet: true)
                guard aggregator.asn != 0 else { throw ByteError("AS 0", at: value.offset) }
                if !options.fourOctetAS { as4Aggregator = aggregator }
            } catch {
                discard(code, "as4_aggregator malformed")
            }
        case AttributeCode.pmsiTunnel: update.attributes.pmsiTunnel = try PMSITunnel(decoding: &value)
        case AttributeCode.largeCommunities:
            try expectMultiple(of: 12)
            while !value.isEmpty {
                update.attributes.largeCommunities.append(try LargeCommunity(decoding: &value))
            }
        case AttributeCode.onlyToCustomer:
            try expect(4)
            update.attributes.onlyToCustomer = try value.u32()
        default: return false
        }
        return true
    }

    /// Attributes that are carried as they came, after the checks their specifications name.
    mutating func readOther(_ code: UInt8, flags: UInt8, _ value: inout ByteReader) throws(ByteError) {
        let isOptional = flags & AttributeFlags.optional != 0
        let isTransitive = flags & AttributeFlags.transitive != 0
        let octets = value.slice(value.offset..<value.end)
        var kept = flags & ~AttributeFlags.extendedLength
        switch code {
        case AttributeCode.tunnelEncapsulation:
            // RFC 9012 §13: TLVs of type (2) and length (2) that must fill the attribute; what fills each TLV are sub-TLVs of
            // type (1) and length, which has one octet for types below 128, two for the others.
            guard !value.isEmpty else { throw ByteError("length", at: value.offset) }
            while !value.isEmpty {
                try value.skip(2)
                var tunnel = try value.take(Int(try value.u16()))
                while !tunnel.isEmpty {
                    let type = try tunnel.u8()
                    try tunnel.skip(type < 128 ? Int(try tunnel.u8()) : Int(try tunnel.u16()))
                }
            }
        case AttributeCode.ipv6ExtendedCommunities:
            guard !value.isEmpty, value.count % 20 == 0 else { throw ByteError("length", at: value.offset) }
        case AttributeCode.prefixSID, AttributeCode.aigp:
            // RFC 8669 §6 and RFC 7311 §3: TLVs of type (1) and length (2); malformed, the attribute goes.
            do throws(ByteError) {
                guard !value.isEmpty else { throw ByteError("length", at: value.offset) }
                while !value.isEmpty {
                    let type = try value.u8()
                    let length = Int(try value.u16())
                    if code == AttributeCode.aigp {
                        // This length counts the three octets before the value.
                        guard length >= 3, type != 1 || length == 11 else {
                            throw ByteError("length", at: value.offset)
                        }
                        try value.skip(length - 3)
                    } else {
                        guard type != 1 || length == 7 else { throw ByteError("length", at: value.offset) }
                        try value.skip(length)
                    }
                }
            } catch {
                discard(code, "\(AttributeCode.name(code) ?? "attribute") malformed")
                return
            }
        case AttributeCode.attributeSet:
            guard value.count >= 4 else { throw ByteError("length", at: value.offset) }
        default:
            guard isOptional else {
                isUnknownWellKnown = true
                return
            }
            // RFC 4271 §5: who passes on what it does not know says so.
            kept |= AttributeFlags.partial
        }
        guard isTransitive else { return }
        update.attributes.others.append(RawAttribute(flags: kept, code: code, value: octets))
    }
}
