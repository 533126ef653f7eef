// RFC 7606, attribute by attribute: what each kind of damage leads to.

import BGP
import NetTypes
import Testing

/// One damaged UPDATE and the answer it must get.
struct Damage: Sendable, CustomTestStringConvertible {
    enum Answer: Sendable, Equatable {
        case accept, discard, withdraw, disable
        case reset(UInt8)
    }
    let name: String
    let octets: [UInt8]
    let answer: Answer
    var options = CodecOptions()
    var testDescription: String { name }
    init(_ name: String, _ answer: Answer, _ octets: [UInt8], options: CodecOptions = CodecOptions()) {
        self.name = name
        self.answer = answer
        self.octets = octets
        self.options = options
    }
    var actual: Answer? {
        switch decode(octets, options) {
        case .failure(let fault): fault.code == 3 ? .reset(fault.subcode) : nil
        case .success(.update(let update)):
            switch update.consequence {
            case .accept: .accept
            case .attributeDiscard: .discard
            case .treatAsWithdraw: .withdraw
            case .disableFamily: .disable
            case .resetSession: nil
            }
        case .success: nil
        }
    }
}

private let external = CodecOptions(isExternal: true)
private let twoOctet = CodecOptions(fourOctetAS: false)
private let good = (Good.origin, Good.asPath, Good.nextHop)

/// Required flags, code, a valid value, and what a value of a wrong length leads to.
private let attributes: [(flags: UInt8, code: UInt8, value: [UInt8], length: Damage.Answer)] = [
    (0x80, 4, [0, 0, 0, 1], .withdraw), (0x40, 5, [0, 0, 0, 100], .withdraw), (0x40, 6, [], .discard),
    (0xc0, 7, [0, 0, 0xfd, 0xe8, 1, 2, 3, 4], .discard), (0xc0, 8, [0, 1, 0, 2], .withdraw),
    (0x80, 9, [1, 2, 3, 4], .withdraw), (0x80, 10, [1, 2, 3, 4], .withdraw),
    (0xc0, 16, hex("0002fde800000064"), .withdraw), (0xc0, 18, [0, 0, 0xfd, 0xe8, 1, 2, 3, 4], .discard),
    (0xc0, 22, hex("0006000064c0000201"), .withdraw), (0xc0, 23, hex("00080000"), .withdraw),
    (0xc0, 25, Array(repeating: 7, count: 20), .withdraw), (0xc0, 32, Array(repeating: 1, count: 12), .withdraw),
    (0xc0, 35, [0, 0, 0xfd, 0xe8], .withdraw), (0xc0, 40, hex("01000700000000000000 "), .discard),
]

private let table: [Damage] = {
    var rows: [Damage] = [
        Damage("nothing wrong", .accept, Good.plain()),
        Damage("nothing wrong, EVPN", .accept, Good.evpn()),
        Damage("origin value 3", .withdraw, update([attribute(0x40, 1, [3]), good.1, good.2], nlri: Good.nlri)),
        Damage("origin length 2", .withdraw, update([attribute(0x40, 1, [0, 0]), good.1, good.2], nlri: Good.nlri)),
        Damage("origin empty", .withdraw, update([attribute(0x40, 1, []), good.1, good.2], nlri: Good.nlri)),
        Damage("origin flags", .withdraw, update([attribute(0xc0, 1, [0]), good.1, good.2], nlri: Good.nlri)),
        Damage("origin missing", .withdraw, update([good.1, good.2], nlri: Good.nlri)),
        Damage("as_path missing", .withdraw, update([good.0, good.2], nlri: Good.nlri)),
        Damage("next_hop missing", .withdraw, update([good.0, good.1], nlri: Good.nlri)),
        Damage("origin missing, EVPN", .withdraw, update([Good.evpnReach, good.1])),
        Damage("as_path empty is fine", .accept, update([good.0, attribute(0x40, 2, []), good.2], nlri: Good.nlri)),
        Damage(
            "as_path segment type", .withdraw,
            update([good.0, attribute(0x40, 2, [5, 1, 0, 0, 0, 1]), good.2], nlri: Good.nlri)),
        Damage(
            "as_path segment empty", .withdraw,
            update([good.0, attribute(0x40, 2, [2, 0]), good.2], nlri: Good.nlri)),
        Damage(
            "as_path segment overrun", .withdraw,
            update([good.0, attribute(0x40, 2, [2, 2, 0, 0, 0, 1]), good.2], nlri: Good.nlri)),
        Damage(
            "as_path one octet left", .withdraw,
            update([good.0, attribute(0x40, 2, [2, 1, 0, 0, 0, 1, 2]), good.2], nlri: Good.nlri)),
        Damage(
            "as_path of four octets from a 2-octet peer", .withdraw,
            update([good.0, attribute(0x40, 2, [2, 1, 0, 0, 0, 1]), good.2], nlri: Good.nlri), options: twoOctet),
        Damage(
            "next_hop length 5", .withdraw,
            update([good.0, good.1, attribute(0x40, 3, [1, 2, 3, 4, 5])], nlri: Good.nlri)),
        Damage("given twice, the second malformed", .accept, Good.plain(attribute(0x40, 1, [9, 9]))),
        Damage("mp_reach twice", .reset(1), Good.evpn(Good.evpnReach)),
        Damage(
            "mp_unreach twice", .reset(1),
            update([attribute(0x80, 15, [0, 25, 70]), attribute(0x80, 15, [0, 25, 70])])),
        Damage("unknown well-known", .reset(2), Good.plain(attribute(0x40, 99, [1]))),
        Damage("unknown optional", .accept, Good.plain(attribute(0xc0, 99, [1]), attribute(0x80, 98, []))),
        Damage(
            "attribute overruns the list", .withdraw,
            update([good.0, good.1, good.2, [0x40, 5, 9, 0]], nlri: Good.nlri)),
        Damage(
            "two octets left in the list", .withdraw, update([good.0, good.1, good.2, [0x40, 5]], nlri: Good.nlri)),
        Damage("extended length cut", .withdraw, update([good.0, good.1, good.2, [0x50, 5, 0]], nlri: Good.nlri)),
        Damage("mp_reach cut off", .reset(1), update([good.0, good.1, [0x80, 14, 40, 0, 25, 70]])),
        Damage("fault without reachable NLRI", .reset(6), update(withdrawn: Good.nlri, [attribute(0x40, 1, [7])])),
        Damage("discard without reachable NLRI", .discard, update(withdrawn: Good.nlri, [attribute(0x40, 6, [7])])),
        Damage("NLRI length 33", .reset(10), update([good.0, good.1, good.2], nlri: [33, 1, 2, 3, 4, 5])),
        Damage("NLRI cut", .reset(10), update([good.0, good.1, good.2], nlri: [24, 1, 2])),
        Damage("withdrawn length 33", .reset(10), update(withdrawn: [33, 1, 2, 3, 4, 5], [])),
        Damage("mp_reach length 4", .reset(9), update([good.0, good.1, attribute(0x80, 14, [0, 25, 70, 0])])),
        Damage("mp_unreach length 2", .reset(9), update([attribute(0x80, 15, [0, 25])])),
        Damage(
            "mp_reach next hop length", .disable,
            update([good.0, good.1, attribute(0x80, 14, hex("0019 46 05 c000020101 00") + Good.macIP)])),
        Damage(
            "mp_reach flags", .disable,
            update([good.0, good.1, attribute(0xc0, 14, hex("0019 46 04 c0000201 00") + Good.macIP)])),
        Damage(
            "EVPN route of an unknown type is ignored", .accept,
            update([good.0, good.1, attribute(0x80, 14, hex("0019 46 04 c0000201 00 63 02 0102") + Good.macIP)])),
        Damage(
            "EVPN route overruns", .disable,
            update([good.0, good.1, attribute(0x80, 14, hex("0019 46 04 c0000201 00") + Good.macIP.dropLast())])),
        Damage(
            "EVPN MAC length 47", .disable,
            update([
                good.0, good.1,
                attribute(
                    0x80, 14, hex("0019 46 04 c0000201 00") + Good.macIP.enumerated().map { $0 == 24 ? 47 : $1 }),
            ])),
        Damage(
            "EVPN withdrawal malformed", .disable, update([attribute(0x80, 15, hex("0019 46 02 02 0102"))])),
        Damage(
            "strongest wins", .disable,
            update([
                attribute(0x40, 6, [1]), attribute(0x40, 1, [9]), good.1,
                attribute(0x80, 14, hex("0019 46 05 c000020101 00")),
            ])),
        Damage("as4_path malformed", .discard, Good.plain(attribute(0xc0, 17, [2, 0]))),
        Damage("local_pref from an external peer", .discard, Good.plain(attribute(0x40, 5, [1])), options: external),
        Damage("originator_id from an external peer", .discard, Good.plain(attribute(0x80, 9, [1])), options: external),
        Damage("cluster_list from an external peer", .discard, Good.plain(attribute(0x80, 10, [])), options: external),
        Damage("AIGP malformed", .discard, Good.plain(attribute(0x80, 26, [1, 0, 4, 0]))),
        Damage("AIGP flags", .discard, Good.plain(attribute(0xc0, 26, hex("01000b0000000000000001")))),
        Damage(
            "as_path with AS 0", .withdraw,
            update([good.0, attribute(0x40, 2, [2, 1, 0, 0, 0, 0]), good.2], nlri: Good.nlri)),
        Damage("aggregator with AS 0", .discard, Good.plain(attribute(0xc0, 7, [0, 0, 0, 0, 1, 2, 3, 4]))),
        Damage("as4_path with AS 0", .discard, Good.plain(attribute(0xc0, 17, [2, 1, 0, 0, 0, 0]))),
        Damage("as4_path empty", .discard, Good.plain(attribute(0xc0, 17, []))),
        Damage("as4_path with confederation", .accept, Good.plain(attribute(0xc0, 17, [3, 1, 0, 0, 0, 1]))),
        Damage("as4_aggregator with AS 0", .discard, Good.plain(attribute(0xc0, 18, [0, 0, 0, 0, 1, 2, 3, 4]))),
        Damage(
            "tunnel_encap with sub-TLVs", .accept, Good.plain(attribute(0xc0, 23, hex("000f0009 0c0201ff 80000201ff")))),
        Damage("tunnel_encap sub-TLV overruns", .withdraw, Good.plain(attribute(0xc0, 23, hex("00080004 0403ffff")))),
        Damage("tunnel_encap sub-TLV header cut", .withdraw, Good.plain(attribute(0xc0, 23, hex("00080001 04")))),
        Damage(
            "tunnel_encap long sub-TLV header cut", .withdraw, Good.plain(attribute(0xc0, 23, hex("00080002 8000")))),
        Damage("PMSI tunnel type without a meaning", .withdraw, Good.evpn(attribute(0xc0, 22, [0, 14, 0, 0, 1]))),
        Damage("PMSI without tunnel", .accept, Good.evpn(attribute(0xc0, 22, [1, 0, 0, 0, 1]))),
        Damage("PMSI composite tunnel", .accept, Good.evpn(attribute(0xc0, 22, [0, 0x82, 0, 0, 1, 1, 2, 3]))),
        Damage("PMSI without identifier", .withdraw, Good.evpn(attribute(0xc0, 22, [0, 6, 0, 0, 1]))),
        Damage("PMSI of 4 octets", .withdraw, Good.evpn(attribute(0xc0, 22, [0, 6, 0, 0]))),
        Damage("PMSI endpoint of 5 octets", .withdraw, Good.evpn(attribute(0xc0, 22, [0, 6, 0, 0, 1, 1, 2, 3, 4, 5]))),
    ]
    for (flags, code, value, length) in attributes {
        let name = AttributeCode.name(code) ?? "\(code)"
        rows.append(Damage("\(name) valid", .accept, Good.plain(attribute(flags, code, value))))
        rows.append(Damage("\(name) with partial bit", .accept, Good.plain(attribute(flags | 0x20, code, value))))
        rows.append(Damage("\(name) optional bit", .withdraw, Good.plain(attribute(flags ^ 0x80, code, value))))
        rows.append(Damage("\(name) transitive bit", .withdraw, Good.plain(attribute(flags ^ 0x40, code, value))))
        rows.append(Damage("\(name) too long", length, Good.plain(attribute(flags, code, value + [0]))))
        if !value.isEmpty {
            rows.append(Damage("\(name) too short", length, Good.plain(attribute(flags, code, value.dropLast()))))
            rows.append(Damage("\(name) empty", length, Good.plain(attribute(flags, code, []))))
        }
        rows.append(
            Damage("\(name) twice", .accept, Good.plain(attribute(flags, code, value), attribute(flags, code, [1]))))
    }
    return rows
}()

/// Flags, code, session, which lengths fit a value of octets 1, and the answer to the others (RFC 7606 §7 and the attributes' own
/// specifications).
private let lengths:
    [(flags: UInt8, code: UInt8, options: CodecOptions, fits: @Sendable (Int) -> Bool, otherwise: Damage.Answer)] = [
        (0x40, 1, CodecOptions(), { $0 == 1 }, .withdraw), (0x40, 3, CodecOptions(), { $0 == 4 }, .withdraw),
        (0x80, 4, CodecOptions(), { $0 == 4 }, .withdraw), (0x40, 5, CodecOptions(), { $0 == 4 }, .withdraw),
        (0x40, 6, CodecOptions(), { $0 == 0 }, .discard), (0xc0, 7, CodecOptions(), { $0 == 8 }, .discard),
        (0xc0, 7, twoOctet, { $0 == 6 }, .discard), (0xc0, 8, CodecOptions(), { $0 > 0 && $0 % 4 == 0 }, .withdraw),
        (0x80, 9, CodecOptions(), { $0 == 4 }, .withdraw),
        (0x80, 10, CodecOptions(), { $0 > 0 && $0 % 4 == 0 }, .withdraw),
        (0xc0, 16, CodecOptions(), { $0 > 0 && $0 % 8 == 0 }, .withdraw),
        (0xc0, 18, CodecOptions(), { $0 == 8 }, .discard), (0xc0, 18, twoOctet, { $0 == 8 }, .discard),
        (0xc0, 22, CodecOptions(), { $0 >= 5 }, .withdraw),
        (0xc0, 25, CodecOptions(), { $0 > 0 && $0 % 20 == 0 }, .withdraw),
        (0xc0, 32, CodecOptions(), { $0 > 0 && $0 % 12 == 0 }, .withdraw),
        (0xc0, 35, CodecOptions(), { $0 == 4 }, .withdraw), (0xc0, 128, CodecOptions(), { $0 >= 4 }, .withdraw),
        (0xc0, 99, CodecOptions(), { _ in true }, .withdraw),
    ]

/// Every next hop length, family by family; what is not listed disables the family (RFC 7606 §7.11).
private let nextHops: [(family: [UInt8], lengths: Set<Int>)] = [
    ([0, 1, 1], [4, 16, 32]), ([0, 2, 1], [4, 16, 32]), ([0, 1, 4], [4, 16, 32]), ([0, 2, 4], [4, 16, 32]),
    ([0, 1, 128], [12, 24, 48]), ([0, 2, 128], [24, 48]), ([0, 25, 70], [4, 16, 32]),
]

@Suite struct RFC7606Tests {
    @Test(arguments: nextHops.indices) func nextHopLengths(_ index: Int) {
        let (family, lengths) = nextHops[index]
        for length in 0...64 {
            let value = family + [UInt8(length)] + Array(repeating: 1, count: length) + [0]
            let row = Damage("", .accept, update([attribute(0x80, 14, value), good.0, good.1]))
            #expect(row.actual == (lengths.contains(length) ? .accept : .disable), "\(family) \(length)")
        }
    }

    @Test(arguments: table) func answer(_ row: Damage) {
        #expect(row.actual == row.answer)
    }

    /// Every length from 0 to 60 of every attribute whose value is numbers: what fits is accepted, the rest gets the one answer.
    @Test(arguments: lengths.indices) func valueLengths(_ index: Int) {
        let (flags, code, options, fits, otherwise) = lengths[index]
        for length in 0...60 {
            let damaged = attribute(flags, code, Array(repeating: 1, count: length))
            var list = [good.0, attribute(0x40, 2, []), good.2]
            if code <= 3 { list[Int(code) - 1] = damaged } else { list.append(damaged) }
            let row = Damage("", .accept, update(list, nlri: Good.nlri), options: options)
            #expect(row.actual == (fits(length) ? .accept : otherwise), "attribute \(code) of \(length) octets")
        }
    }

    /// RFC 7606 §5.2: without a reachable route in the message, what would withdraw resets the session; a discard stays one.
    @Test(arguments: attributes.indices) func withoutReachableRoutes(_ index: Int) {
        let (flags, code, value, length) = attributes[index]
        let unreach = attribute(0x80, 15, [0, 25, 70] + Good.macIP)
        func answer(_ damaged: [UInt8]) -> Damage.Answer? { Damage("", .accept, update([unreach, damaged])).actual }
        #expect(answer(attribute(flags, code, value)) == .accept)
        #expect(answer(attribute(flags ^ 0x40, code, value)) == .reset(4))
        let tooLong = answer(attribute(flags, code, value + [0]))
        if length == .discard { #expect(tooLong == .discard) } else { #expect(tooLong == .reset(5)) }
    }

    /// Label stacks of VPN prefixes: with a bottom bit, with none (one label then), with what withdrawals say, and too short.
    @Test func labelStacks() {
        func answer(_ nlri: String) -> Damage.Answer? {
            let value = hex("0001 80 0c 0000000000000000c0000201 00") + hex(nlri)
            return Damage("", .accept, update([attribute(0x80, 14, value), good.0, good.1])).actual
        }
        let rest = "0000fde800000064 0a0001"
        for labels in ["70 000641", "88 000640 000c81", "70 000640", "70 800000", "70 000000", "70 ff0000"] {
            #expect(answer(labels + rest) == .accept, "\(labels)")
            #expect(answer(labels + rest + labels + rest) == .accept, "\(labels) twice")
        }
        for bits in ["57", "17", "00", "79"] { #expect(answer(bits + "000640" + rest) == .disable, "\(bits)") }
    }

    @Test func shortNLRIAttributes() {
        for length in 0...4 {
            let value = Array([UInt8]([0, 25, 70, 0, 0]).prefix(length))
            let reach = Damage("", .accept, update([attribute(0x80, 14, value), good.0, good.1])).actual
            #expect(reach == .reset(9), "mp_reach of \(length) octets")
            let unreach = Damage("", .accept, update([attribute(0x80, 15, value)])).actual
            #expect(
                unreach == (length < 3 ? .reset(9) : length == 3 ? .accept : .disable), "mp_unreach of \(length) octets"
            )
        }
    }

    @Test func treatAsWithdrawTurnsAnnouncementsIntoWithdrawals() throws {
        let update = try #require(decodeUpdate(Good.evpn(attribute(0xc0, 8, [1]))))
        #expect(update.announced.isEmpty)
        #expect(update.withdrawn.map(\.family) == [.l2vpnEVPN])
        #expect(update.withdrawn.first?.routes.first?.key.mac == MACAddress("02:00:00:00:00:01"))
        #expect(update.faults.map(\.attribute) == [8])
        #expect(update.faults.allSatisfy { !$0.reason.isEmpty })
    }

    @Test func discardedAttributeIsGoneAndTheRestStays() throws {
        let octets = Good.plain(attribute(0xc0, 7, [1]), attribute(0x80, 4, [0, 0, 0, 9]))
        let update = try #require(decodeUpdate(octets))
        #expect(update.attributes.aggregator == nil)
        #expect(update.attributes.med == 9)
        #expect(update.announced.first?.routes.count == 1)
    }

    /// Type 5 routes that are wrong in themselves (RFC 9136 §3.1) are treated as withdrawn, and nothing else is.
    @Test func prefixRoutes() throws {
        let rd = "0001c000020201f4"
        let noESI = "00000000000000000000"
        let someESI = "00010203040506070809"
        func route(_ esi: String, length: String, _ address: String, gateway: String) -> [UInt8] {
            let value = hex(rd + esi + "00000000" + length + address + gateway + "0001f4")
            return [5, UInt8(value.count)] + value
        }
        func answer(_ routes: [UInt8]...) throws -> Update {
            let reach = attribute(0x80, 14, hex("0019 46 04 c0000201 00") + routes.flatMap { $0 })
            return try #require(decodeUpdate(update([reach, good.0, good.1])))
        }
        let six = "20010db8000000000000000000000001"
        let none = String(repeating: "0", count: 32)
        let fine = route(noESI, length: "18", "0a140100", gateway: "00000000")
        #expect(try answer(fine).consequence == .accept)
        for (name, bad) in [
            ("IPv4 length 33", route(noESI, length: "21", "0a140100", gateway: "00000000")),
            ("IPv6 length 129", route(noESI, length: "81", six, gateway: none)),
            ("length 255", route(noESI, length: "ff", "0a140100", gateway: "00000000")),
        ] {
            let update = try answer(fine, bad)
            #expect(update.consequence == .treatAsWithdraw, "\(name)")
            #expect(update.announced.first?.routes.map(\.key.length) == [24], "\(name)")
            // There is no such route to withdraw; the session stays.
            #expect(update.withdrawn.isEmpty, "\(name)")
            #expect(update.faults.map(\.reason) == ["mp_reach IP prefix length"], "\(name)")
            #expect(try answer(bad).withdrawn.isEmpty, "\(name)")
        }
        let both = try answer(route(someESI, length: "18", "0a140100", gateway: "0a140105"))
        #expect(both.consequence == .treatAsWithdraw)
        #expect(both.withdrawn.first?.routes.map(\.key.prefix) == [IPPrefix("10.20.1.0/24")] && both.announced.isEmpty)
        let other = route(noESI, length: "18", "0a140900", gateway: "00000000")
        let mixed = try answer(other, route(someESI, length: "18", "0a140100", gateway: "0a140105"), fine)
        #expect(
            mixed.announced.first?.routes.compactMap { $0.key.prefix?.description } == ["10.20.9.0/24", "10.20.1.0/24"])
        #expect(mixed.withdrawn.first?.routes.compactMap { $0.key.prefix?.description } == ["10.20.1.0/24"])
        #expect(mixed.faults.first?.route?.prefix == IPPrefix("10.20.1.0/24"))
        // With a fault of the whole message everything goes.
        let worse =
            hex("0019 46 04 c0000201 00") + other + route(someESI, length: "18", "0a140100", gateway: "0a140105")
        let whole = try #require(decodeUpdate(update([attribute(0x80, 14, worse), good.1])))
        #expect(whole.announced.isEmpty && whole.withdrawn.flatMap(\.routes).count == 2)
        // Host bits do not matter: they are the same route. It is said that they are there.
        let masked = try answer(route(noESI, length: "18", "0a1401ff", gateway: "00000000"))
        #expect(masked.announced.first?.routes.map(\.key) == (try answer(fine).announced.first?.routes.map(\.key)))
        #expect(masked.consequence == .accept && masked.faults.map(\.reason) == ["mp_reach IP prefix host bits"])
        let maskedV6 = try answer(route(noESI, length: "40", six, gateway: none))
        #expect(maskedV6.faults.count == 1 && maskedV6.announced.first?.routes.first?.key.length == 64)
        // Withdrawing what cannot be announced is no reason to end anything.
        let unreach = hex("0019 46") + route(noESI, length: "21", "0a140100", gateway: "00000000") + fine
        let withdrawal = try #require(decodeUpdate(update([attribute(0x80, 15, unreach)])))
        #expect(withdrawal.consequence == .attributeDiscard)
        #expect(withdrawal.withdrawn.first?.routes.count == 1)
    }
}
