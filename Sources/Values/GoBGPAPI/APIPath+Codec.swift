// A path from and to its message. Reading never fails as a whole: what cannot be used becomes a fault of this path.

import BGP
import NetTypes

extension APIPath {
    /// The largest path that is plausible: an UPDATE of the largest size (RFC 8654) spelled out.
    public static let maximumSize = 1 << 21

    /// Reads one `Path` message.
    static func decode(_ reader: ProtobufReader, _ generation: APIGeneration) -> DecodedPath {
        var path = APIPath(key: noKey)
        var fault: String?
        var nlri: ProtobufReader?
        var family: Family?
        var binaryNLRI: UnsafeRawBufferPointer?
        var binaryAttributes: [UInt8] = []
        var decoder = AttributeDecoder(generation)
        var reader = reader

        func attempt(_ body: () throws(ByteError) -> Void) {
            do throws(ByteError) { try body() } catch { if fault == nil { fault = error.reason } }
        }
        while true {
            var next: ProtobufField?
            // After a broken field the rest of the path has no meaning.
            do throws(ByteError) { next = try reader.next() } catch {
                fault = fault ?? error.reason
                break
            }
            guard let field = next else { break }
            attempt { () throws(ByteError) in
                switch field.number {
                case 1: nlri = try field.message()
                case 2: try decoder.read(try field.message())
                case 3: path.age = try APITime(try field.message())
                case 4: path.isBest = try field.bool()
                case 5: path.isWithdraw = try field.bool()
                case 9: family = try Family(try field.message())
                case 10: path.sourceASN = try field.uint32()
                case 11: path.sourceID = try BorrowedText(field).ipv4
                case 12: path.isFiltered = try field.bool()
                case 13: path.isStale = try field.bool()
                case 14: path.isFromExternal = try field.bool()
                case 15: path.neighbor = try BorrowedText(field).neighbor
                case 16: path.uuid = try field.bytes()
                case 17: path.isNextHopInvalid = try field.bool()
                case 18: path.pathID = try field.uint32()
                case 20: binaryNLRI = try field.borrowed()
                case 21:
                    let octets = try field.borrowed()
                    guard binaryAttributes.count + octets.count <= 0xffff else {
                        throw ByteError("binary attributes too long", at: field.offset)
                    }
                    binaryAttributes += octets
                default: break
                }
            }
        }
        path.attributes = decoder.attributes
        path.skippedAttributes = decoder.skipped

        var key: RouteKey?
        attempt { () throws(ByteError) in
            // gobgpd itself takes the binary form where both are given.
            if let binaryNLRI, !binaryNLRI.isEmpty {
                let decoded = try BinaryPath.decode(
                    Array(binaryNLRI), attributes: binaryAttributes, family: family)
                (key, path.payload) = (decoded.key, decoded.payload)
                if !binaryAttributes.isEmpty { path.attributes = decoded.attributes }
                if let reason = decoded.fault { throw ByteError(reason, at: 0) }
                return
            }
            guard let message = nlri ?? decoder.reachNLRI else { throw ByteError("no NLRI", at: reader.offset) }
            let decoded = try DecodedNLRI(message, family: family, generation)
            (key, path.payload) = (decoded.key, decoded.payload)
        }
        if let key { path.key = key }
        if fault == nil, !path.isWithdraw, decoder.count == 0, binaryAttributes.isEmpty {
            // 3.10 sends none when there is one among them that it cannot spell.
            fault = "no attributes"
        }
        if let fault {
            // A withdrawal needs only its key.
            if path.isWithdraw, key != nil { return .success(path) }
            return .failure(
                APIPathFault(
                    reason: fault, key: key, pathID: path.pathID, neighbor: path.neighbor, family: family,
                    isWithdraw: path.isWithdraw))
        }
        return .success(path)
    }

    private static let noKey = RouteKey(.other(type: 0, value: []))
}

extension BorrowedText {
    /// An address that may have a zone (`fe80::1%eth0`); the zone is dropped.
    fileprivate var neighbor: IPAddress? {
        if let address { return address }
        let parts = string.split(separator: "%", maxSplits: 1)
        return parts.count == 2 ? IPAddress(String(parts[0])) : nil
    }
}

/// The form in octets, which gobgpd fills only when a list asked for it (`enable_nlri_binary`, `enable_attribute_binary`,
/// `enable_only_binary`) and never in events. In AddPath it takes either form.
enum BinaryPath {
    struct Decoded {
        var key: RouteKey
        var payload: RoutePayload
        var attributes: PathAttributes
        /// Why the route cannot be used though its key is known.
        var fault: String?
    }

    /// Puts the octets into an UPDATE and reads that, so that RFC 7606 is applied once and the same way.
    static func decode(_ nlri: [UInt8], attributes: [UInt8], family: Family?) throws(ByteError) -> Decoded {
        guard let family, Family.supported.contains(family) else {
            throw ByteError("NLRI of family \(family?.description ?? "none")", at: 0)
        }
        // The key from a withdrawal of the NLRI alone.
        let afi: [UInt8] = [UInt8(family.afi >> 8), UInt8(family.afi & 255), family.safi]
        guard nlri.count <= 1024 else { throw ByteError("binary NLRI too long", at: 0) }
        let unreach = attribute(AttributeFlags.optional, AttributeCode.mpUnreach, afi + nlri)
        guard let route = update(attributes: unreach, nlri: [])?.withdrawn.first?.routes.first else {
            throw ByteError("binary NLRI", at: 0)
        }
        var result = Decoded(key: route.key, payload: route.payload, attributes: PathAttributes())
        guard !attributes.isEmpty else { return result }
        var attributes = attributes
        // The daemon's own routes have no AS_PATH, which no UPDATE can be without.
        if !contains(AttributeCode.asPath, attributes) {
            attributes += [AttributeFlags.transitive, AttributeCode.asPath, 0]
        }
        // An IPv4 unicast route has NEXT_HOP and its NLRI outside of the attributes; all others have MP_REACH_NLRI.
        let hasReach = contains(AttributeCode.mpReach, attributes)
        guard let update = update(attributes: attributes, nlri: hasReach ? [] : nlri) else {
            result.fault = "binary attributes"
            return result
        }
        result.attributes = update.attributes
        if update.announced.isEmpty {
            // Attributes that were only discarded are not why.
            let rank = update.consequence.rank
            result.fault = update.faults.first { $0.consequence.rank == rank }?.reason ?? "binary attributes"
        }
        return result
    }

    private static func attribute(_ flags: UInt8, _ code: UInt8, _ value: [UInt8]) -> [UInt8] {
        let length = UInt16(clamping: value.count)
        return [flags | AttributeFlags.extendedLength, code, UInt8(length >> 8), UInt8(length & 255)] + value
    }
    private static func contains(_ code: UInt8, _ attributes: [UInt8]) -> Bool {
        attributes.withByteReader { reader in
            do throws(ByteError) {
                while !reader.isEmpty {
                    let flags = try reader.u8()
                    if try reader.u8() == code { return true }
                    let isExtended = flags & AttributeFlags.extendedLength != 0
                    try reader.skip(isExtended ? Int(try reader.u16()) : Int(try reader.u8()))
                }
            } catch {}
            return false
        }
    }
    private static func update(attributes: [UInt8], nlri: [UInt8]) -> Update? {
        let options = CodecOptions(maximumLength: 65535)
        var writer = ByteWriter(capacity: attributes.count + nlri.count + 23)
        writer.raw([UInt8](repeating: 255, count: 16))
        let length = 23 + attributes.count + nlri.count
        guard length <= 65535 else { return nil }
        writer.u16(UInt16(length))
        writer.u8(2)
        writer.u16(0)
        writer.u16(UInt16(attributes.count))
        writer.raw(attributes)
        writer.raw(nlri)
        let message = writer.bytes.withByteReader { reader -> Message? in
            do throws(SessionFault) { return try Message.decode(reader, options: options) } catch { return nil }
        }
        if case .update(let update)? = message { return update }
        return nil
    }

    /// Route type, length, value, for the routes whose message cannot say what they are.
    static func encode(_ key: RouteKey, _ payload: RoutePayload) -> [UInt8] {
        var writer = ByteWriter()
        switch EVPNRoute(key, payload) {
        case .macIP(let route)?:
            writer.u8(2)
            writer.u8(0)
            writer.u64(route.rd.rawValue)
            writer.raw(route.esi.octets)
            writer.u32(route.ethernetTag)
            writer.u8(48)
            writer.mac(route.mac)
            writer.u8(UInt8(truncatingIfNeeded: route.ip?.bitWidth ?? 0))
            if let ip = route.ip { writer.ip(ip) }
            writer.u24(route.label1)
            if let label2 = route.label2 { writer.u24(label2) }
        case .other(let type, let value)?:
            writer.u8(type)
            writer.u8(0)
            writer.raw(value.prefix(255))
        default: return []
        }
        writer.patch8(at: 1, writer.count - 2)
        return writer.bytes
    }
}

extension APIPath {
    /// Writes the fields of a `Path` message.
    func encode(into writer: inout ProtobufWriter, _ generation: APIGeneration) {
        let family = key.family
        // v4 refuses a MAC/IP route without an address in its message, but takes it as octets; and octets are all there is for
        // the route types that have no message.
        let isBinary = key.kind == .otherEVPN || (generation == .v4 && key.kind == .macIP && key.address == nil)
        writer.nlri(1, key, payload, generation)
        writer.attributes(2, self, isBinary: isBinary, generation)
        if let age { writer.time(3, age) }
        writer.bool(4, isBest)
        writer.bool(5, isWithdraw)
        writer.family(9, family)
        writer.uint32(10, sourceASN)
        if let sourceID { writer.string(11, sourceID.description) }
        writer.bool(12, isFiltered)
        writer.bool(13, isStale)
        writer.bool(14, isFromExternal)
        if let neighbor { writer.string(15, neighbor.description) }
        writer.octets(16, uuid)
        writer.bool(17, isNextHopInvalid)
        writer.uint32(18, pathID)
        if isBinary { writer.octets(20, BinaryPath.encode(key, payload)) }
    }
}

extension ProtobufWriter {
    /// Each attribute as a field `number`, in the order of the attributes' codes.
    fileprivate mutating func attributes(
        _ number: Int, _ path: APIPath, isBinary: Bool, _ generation: APIGeneration
    ) {
        let attributes = path.attributes
        /// A withdrawal made by a client has no attributes; they would only be read and dropped.
        let isBare = path.isWithdraw && attributes == PathAttributes()
        func add(_ kind: AttributeKind, _ writer: inout ProtobufWriter, _ body: (inout ProtobufWriter) -> Void) {
            writer.typed(number, kind, generation, body)
        }
        func unknown(_ flags: UInt8, _ code: UInt8, _ value: [UInt8], _ writer: inout ProtobufWriter) {
            add(.unknown, &writer) {
                $0.uint32(1, UInt32(flags))
                $0.uint32(2, UInt32(code))
                $0.octets(3, value)
            }
        }
        guard !isBare else { return }
        add(.origin, &self) { $0.uint32(1, UInt32(attributes.origin.rawValue)) }
        if !attributes.asPath.segments.isEmpty {
            add(.asPath, &self) { writer in
                for segment in attributes.asPath.segments {
                    writer.message(1) {
                        $0.uint32(1, UInt32(segment.type.rawValue))
                        $0.uint32s(2, segment.asns)
                    }
                }
            }
        }
        // gobgpd makes MP_REACH_NLRI of NEXT_HOP itself where the family wants it.
        var isReach = false
        if let nextHop = attributes.nextHop {
            isReach = !isBinary && (path.key.kind != .ipv4Unicast || nextHop.isV6)
            if !isReach { add(.nextHop, &self) { $0.string(1, nextHop.description) } }
        }
        if let med = attributes.med { add(.med, &self) { $0.uint32(1, med) } }
        if let preference = attributes.localPreference { add(.localPreference, &self) { $0.uint32(1, preference) } }
        if attributes.atomicAggregate { add(.atomicAggregate, &self) { _ in } }
        if let aggregator = attributes.aggregator {
            add(.aggregator, &self) {
                $0.uint32(1, aggregator.asn)
                $0.string(2, aggregator.address.description)
            }
        }
        if !attributes.communities.isEmpty { add(.communities, &self) { $0.uint32s(1, attributes.communities) } }
        if let id = attributes.originatorID { add(.originatorID, &self) { $0.string(1, id.description) } }
        if !attributes.clusterList.isEmpty {
            add(.clusterList, &self) { writer in
                for id in attributes.clusterList { writer.string(1, id.description) }
            }
        }
        if isReach, let nextHop = attributes.nextHop {
            add(.mpReach, &self) {
                $0.family(1, path.key.family)
                $0.string(2, nextHop.description)
                if let linkLocal = attributes.linkLocalNextHop { $0.string(2, linkLocal.description) }
                $0.nlri(3, path.key, path.payload, generation)
            }
        }
        if !attributes.extendedCommunities.isEmpty {
            add(.extendedCommunities, &self) { writer in
                for community in attributes.extendedCommunities { writer.community(1, community, generation) }
            }
        }
        if let tunnel = attributes.pmsiTunnel {
            add(.pmsiTunnel, &self) {
                $0.uint32(1, UInt32(tunnel.flags))
                $0.uint32(2, UInt32(tunnel.tunnelType))
                $0.uint32(3, tunnel.label)
                $0.octets(4, tunnel.tunnelID)
            }
        }
        if !attributes.largeCommunities.isEmpty {
            add(.largeCommunities, &self) { writer in
                for community in attributes.largeCommunities {
                    writer.message(1) {
                        $0.uint32(1, community.global)
                        $0.uint32(2, community.local1)
                        $0.uint32(3, community.local2)
                    }
                }
            }
        }
        if let onlyToCustomer = attributes.onlyToCustomer {
            let octets = (0..<4).map { UInt8(truncatingIfNeeded: onlyToCustomer >> (24 - 8 * UInt32($0))) }
            unknown(
                AttributeFlags.optional | AttributeFlags.transitive, AttributeCode.onlyToCustomer, octets, &self)
        }
        for other in attributes.others { unknown(other.flags, other.code, other.value, &self) }
    }
}
