// UPDATE from the wire, with RFC 7606's answer to everything that can be wrong with one.

import NetTypes

///     +--------------------------------------+
///     |  Withdrawn Routes Length (2)         |
///     |  Withdrawn Routes                    |
///     |  Total Path Attribute Length (2)     |
///     |  Path Attributes                     |
///     |  Network Layer Reachability          |
///     +--------------------------------------+
///
/// Used once for one message. Faults that leave the session up are collected in `update.faults`; what resets it is thrown.
struct UpdateDecoder {
    let options: CodecOptions
    /// Whether `wireAttributes` is filled.
    let keepsWireAttributes: Bool
    var update = Update()
    var wireAttributes: [PathAttribute] = []

    /// One bit for each attribute code that was seen.
    private var seen: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    private var hasReach = false
    private var reachHasRoutes = false
    private var hasUnreach = false
    private var unreachFamily: Family?
    private var unreachIsEmpty = true
    private var attributeCount = 0
    var nextHopField: IPv4Address?
    var as4Path: ASPath?
    var as4Aggregator: Aggregator?
    /// The NOTIFICATION that the first fault would be, if treat-as-withdraw turns out not to be possible.
    private var firstSevere: SessionFault?

    init(options: CodecOptions, keepsWireAttributes: Bool) {
        self.options = options
        self.keepsWireAttributes = keepsWireAttributes
    }

    /// Decodes everything after the header.
    mutating func decode(_ reader: inout ByteReader) throws(SessionFault) {
        var withdrawn: ByteReader
        var attributes: ByteReader
        do throws(ByteError) {
            withdrawn = try reader.take(Int(try reader.u16()))
            attributes = try reader.take(Int(try reader.u16()))
        } catch {
            throw SessionFault(code: 3, subcode: 1, reason: "UPDATE lengths exceed the message")
        }
        let isBare = withdrawn.isEmpty && attributes.isEmpty && reader.isEmpty
        if isBare {
            update.endOfRIB = .ipv4Unicast
            return
        }
        if !withdrawn.isEmpty {
            let routes = try unicastField(&withdrawn, reason: "withdrawn routes malformed")
            update.withdrawn.append(Update.Section(family: .ipv4Unicast, routes: routes))
        }
        let hasWithdrawn = !update.withdrawn.isEmpty
        try readAttributes(&attributes)
        let hasField = !reader.isEmpty
        if hasField {
            let routes = try unicastField(&reader, reason: "NLRI malformed")
            update.announced.append(Update.Section(family: .ipv4Unicast, routes: routes))
        }

        checkMandatory(hasField: hasField)
        mergeFourOctetAS()
        if hasField, let nextHopField {
            // With NLRI of both kinds in one message (nobody sends that) the classic next hop goes with the classic field only
            // when MP_REACH_NLRI gave none.
            if update.attributes.nextHop == nil { update.attributes.nextHop = .v4(nextHopField) }
        }
        try settle(hasReachable: hasField || reachHasRoutes)
        if let unreachFamily, attributeCount == 1, unreachIsEmpty, !hasWithdrawn, !hasField, update.faults.isEmpty {
            update.endOfRIB = unreachFamily
        }
    }

    private func unicastField(_ reader: inout ByteReader, reason: String) throws(SessionFault) -> [RouteEntry] {
        var routes: [RouteEntry] = []
        do throws(ByteError) {
            var faults: [RouteEntry.Fault] = []
            try RouteEntry.read(
                &reader, family: .ipv4Unicast, addPath: options.addPathReceive.contains(.ipv4Unicast), into: &routes,
                faults: &faults)
        } catch {
            throw SessionFault(code: 3, subcode: 10, reason: reason)
        }
        return routes
    }

    // MARK: Faults

    private mutating func fault(_ consequence: Consequence, _ code: UInt8, subcode: UInt8, _ reason: String) {
        update.faults.append(UpdateFault(consequence: consequence, attribute: code, reason: reason))
        if consequence.rank >= Consequence.treatAsWithdraw.rank, firstSevere == nil {
            firstSevere = SessionFault(code: 3, subcode: subcode, reason: reason)
        }
    }
    mutating func withdraw(_ code: UInt8, subcode: UInt8, _ reason: String) {
        fault(.treatAsWithdraw, code, subcode: subcode, reason)
    }
    mutating func discard(_ code: UInt8, _ reason: String) {
        fault(.attributeDiscard, code, subcode: 0, reason)
    }

    // MARK: Attribute list

    /// Marks `code`; false when it was marked before.
    private mutating func isFirst(_ code: UInt8) -> Bool {
        let bit: UInt64 = 1 << UInt64(code & 63)
        func test(_ word: inout UInt64) -> Bool {
            let isFirst = word & bit == 0
            word |= bit
            return isFirst
        }
        switch code >> 6 {
        case 0: return test(&seen.0)
        case 1: return test(&seen.1)
        case 2: return test(&seen.2)
        default: return test(&seen.3)
        }
    }
    /// For codes below 64.
    private func has(_ code: UInt8) -> Bool { seen.0 & 1 << UInt64(code) != 0 }

    private mutating func readAttributes(_ reader: inout ByteReader) throws(SessionFault) {
        while !reader.isEmpty {
            let start = reader.offset
            var flags: UInt8 = 0
            var code: UInt8 = 0
            var value: ByteReader
            do throws(ByteError) {
                flags = try reader.u8()
                code = try reader.u8()
                let isExtended = flags & AttributeFlags.extendedLength != 0
                value = try reader.take(isExtended ? Int(try reader.u16()) : Int(try reader.u8()))
            } catch {
                // RFC 7606 §4: the total length is trusted, the rest of the list is not. An NLRI attribute that was cut off
                // leaves unknown what to withdraw (§3 j).
                attributeCount += 1
                if error.offset - start >= 2, code == AttributeCode.mpReach || code == AttributeCode.mpUnreach {
                    throw SessionFault(code: 3, subcode: 1, reason: "NLRI attribute exceeds the attribute list")
                }
                withdraw(code, subcode: 1, "attribute exceeds the attribute list")
                return
            }
            attributeCount += 1
            guard isFirst(code) else {
                // RFC 7606 §3 g.
                if code == AttributeCode.mpReach || code == AttributeCode.mpUnreach {
                    throw SessionFault(code: 3, subcode: 1, reason: "NLRI attribute given twice")
                }
                continue
            }
            if keepsWireAttributes {
                wireAttributes.append(
                    PathAttribute(flags: flags, code: code, value: value.slice(value.offset..<value.end)))
            }
            if let required = AttributeCode.requiredFlags(code),
                flags & (AttributeFlags.optional | AttributeFlags.transitive) != required
            {
                try badFlags(code, value)
            } else {
                try read(code, flags: flags, &value)
            }
        }
    }

    /// RFC 7606 §3 c; §5.3 for the NLRI attributes; RFC 7311 §3 for AIGP. What is discarded by its specification whatever it
    /// says, from an external peer, is discarded here too.
    private mutating func badFlags(_ code: UInt8, _ value: ByteReader) throws(SessionFault) {
        var value = value
        switch code {
        case AttributeCode.mpReach, AttributeCode.mpUnreach:
            do throws(ByteError) {
                let afi = try value.u16()
                let family = Family(afi: afi, safi: try value.u8())
                fault(.disableFamily(family), code, subcode: 4, "NLRI attribute flags")
            } catch {
                throw SessionFault(code: 3, subcode: 4, reason: "NLRI attribute flags")
            }
        case AttributeCode.aigp: discard(code, "AIGP flags")
        case AttributeCode.localPreference where options.isExternal,
            AttributeCode.originatorID where options.isExternal, AttributeCode.clusterList where options.isExternal:
            discard(code, "internal attribute from external peer")
        default: withdraw(code, subcode: 4, "attribute flags")
        }
    }

    private mutating func read(_ code: UInt8, flags: UInt8, _ value: inout ByteReader) throws(SessionFault) {
        if code == AttributeCode.mpReach { return try readReach(&value) }
        if code == AttributeCode.mpUnreach { return try readUnreach(&value) }
        do throws(ByteError) {
            if try !readTyped(code, &value) { try readOther(code, flags: flags, &value) }
        } catch {
            // A fault whose consequence is not in `readTyped`: treat as withdraw.
            withdraw(
                code, subcode: code == AttributeCode.asPath ? 11 : 5,
                "\(AttributeCode.name(code) ?? "attribute") malformed")
        }
        if isUnknownWellKnown {
            throw SessionFault(code: 3, subcode: 2, data: [flags, code], reason: "unknown well-known attribute")
        }
    }
    var isUnknownWellKnown = false

    // MARK: NLRI attributes

    private mutating func readReach(_ value: inout ByteReader) throws(SessionFault) {
        hasReach = true
        guard value.count >= 5 else { throw SessionFault(code: 3, subcode: 9, reason: "mp_reach length") }
        let family = peekFamily(value)
        let reach: MPReach
        do throws(ByteError) {
            reach = try MPReach(decoding: &value)
        } catch {
            reachHasRoutes = true
            fault(.disableFamily(family), AttributeCode.mpReach, subcode: 9, "mp_reach next hop")
            return
        }
        reachHasRoutes = !value.isEmpty
        update.attributes.nextHop = reach.nextHops.first
        if reach.nextHops.count > 1, case .v6(let second) = reach.nextHops[1] {
            update.attributes.linkLocalNextHop = second
        }
        if let routes = readRoutes(&value, family: family, code: AttributeCode.mpReach), !routes.isEmpty {
            update.announced.append(Update.Section(family: family, routes: routes))
        }
    }

    private mutating func readUnreach(_ value: inout ByteReader) throws(SessionFault) {
        hasUnreach = true
        guard value.count >= 3 else { throw SessionFault(code: 3, subcode: 9, reason: "mp_unreach length") }
        let family = peekFamily(value)
        do throws(ByteError) { _ = try MPUnreach(decoding: &value) } catch { return }
        unreachFamily = family
        unreachIsEmpty = value.isEmpty
        if let routes = readRoutes(&value, family: family, code: AttributeCode.mpUnreach), !routes.isEmpty {
            update.withdrawn.append(Update.Section(family: family, routes: routes))
        }
    }

    private func peekFamily(_ value: ByteReader) -> Family {
        var value = value
        do throws(ByteError) {
            let afi = try value.u16()
            return Family(afi: afi, safi: try value.u8())
        } catch {
            return Family(afi: 0, safi: 0)
        }
    }

    /// Reads the NLRI of an MP attribute; nil after a fault, empty for families that are only checked or not known.
    private mutating func readRoutes(_ value: inout ByteReader, family: Family, code: UInt8) -> [RouteEntry]? {
        let addPath = options.addPathReceive.contains(family)
        var routes: [RouteEntry] = []
        var faults: [RouteEntry.Fault] = []
        do throws(ByteError) {
            if family == .l2vpnEVPN || family == .ipv4Unicast || family == .ipv6Unicast {
                try RouteEntry.read(
                    &value, family: family, addPath: addPath, into: &routes, faults: &faults)
            } else if let layout = PrefixNLRI.Layout(family) {
                while !value.isEmpty {
                    _ = try PrefixNLRI(decoding: &value, family: family, layout: layout, addPath: addPath)
                }
            }
        } catch {
            // RFC 7606 §5.3: where one NLRI goes wrong the rest cannot be found.
            fault(
                .disableFamily(family), code, subcode: 9,
                code == AttributeCode.mpReach ? "mp_reach NLRI" : "mp_unreach NLRI")
            return nil
        }
        for fault in faults { note(fault, family, code, &routes) }
        return routes
    }
    /// One route is wrong, and the others of the message are not: it alone is treated as withdrawn.
    private mutating func note(
        _ fault: RouteEntry.Fault, _ family: Family, _ code: UInt8, _ routes: inout [RouteEntry]
    ) {
        let isReach = code == AttributeCode.mpReach
        // What is withdrawn anyway is, whatever else it says.
        if fault.isUsable, !isReach { return }
        if let entry = fault.entry, !fault.isUsable {
            if isReach {
                update.withdrawn.append(Update.Section(family: family, routes: [entry]))
            } else {
                routes.append(entry)
            }
        }
        update.faults.append(
            UpdateFault(
                consequence: fault.isUsable ? .accept : isReach ? .treatAsWithdraw : .attributeDiscard, attribute: code,
                reason: "\(isReach ? "mp_reach" : "mp_unreach") \(fault.reason)", isOfRoute: true,
                route: fault.entry?.key))
    }

    // MARK: The whole message

    /// RFC 7606 §3 d. MP_REACH_NLRI has its own next hop.
    private mutating func checkMandatory(hasField: Bool) {
        guard hasField || hasReach else { return }
        if !has(AttributeCode.origin) { withdraw(AttributeCode.origin, subcode: 3, "origin missing") }
        if !has(AttributeCode.asPath) { withdraw(AttributeCode.asPath, subcode: 3, "as_path missing") }
        if hasField, !has(AttributeCode.nextHop) { withdraw(AttributeCode.nextHop, subcode: 3, "next_hop missing") }
    }

    /// Puts the 4-octet ASNs back that a 2-octet peer carried beside AS_PATH (RFC 6793 §4.2.3).
    private mutating func mergeFourOctetAS() {
        if let aggregator = as4Aggregator, let classic = update.attributes.aggregator {
            guard classic.asn == ASPath.transition else { return }
            update.attributes.aggregator = aggregator
        }
        guard let as4Path else { return }
        let surplus = update.attributes.asPath.length - as4Path.length
        guard surplus >= 0 else { return }
        update.attributes.asPath = update.attributes.asPath.leading(surplus).appending(as4Path)
    }

    /// Turns the faults into what the RIB sees.
    private mutating func settle(hasReachable: Bool) throws(SessionFault) {
        if !update.attributes.others.isEmpty { update.attributes.others.sort { $0.code < $1.code } }
        guard !update.faults.isEmpty else { return }
        let consequence = update.faults.reduce(Consequence.accept) {
            $1.isOfRoute ? $0 : $0.strongest(with: $1.consequence)
        }
        guard consequence.rank >= Consequence.treatAsWithdraw.rank else { return }
        if consequence == .treatAsWithdraw, !hasReachable, let firstSevere {
            // RFC 7606 §5.2: without reachable NLRI there may be some that were lost.
            throw firstSevere
        }
        update.withdrawn += update.announced
        update.announced = []
    }
}

extension ASPath {
    /// The first `count` ASNs, counted as `length` does, with the confederation segments among them.
    fileprivate func leading(_ count: Int) -> ASPath {
        var remaining = count
        var result: [Segment] = []
        for segment in segments {
            switch segment.type {
            case .confederationSequence, .confederationSet: result.append(segment)
            case .set:
                guard remaining > 0 else { return ASPath(result) }
                remaining -= 1
                result.append(segment)
            case .sequence:
                guard remaining > 0 else { return ASPath(result) }
                let part = Array(segment.asns.prefix(remaining))
                remaining -= part.count
                result.append(Segment(type: .sequence, asns: part))
                if part.count < segment.asns.count { return ASPath(result) }
            }
        }
        return ASPath(result)
    }
    /// Joins two paths; sequences that meet become one.
    fileprivate func appending(_ tail: ASPath) -> ASPath {
        var result = segments
        var rest = tail.segments[...]
        if let last = result.last, let first = rest.first, last.type == .sequence, first.type == .sequence,
            last.asns.count + first.asns.count <= 255
        {
            result[result.count - 1].asns += first.asns
            rest = rest.dropFirst()
        }
        return ASPath(result + rest)
    }
}
