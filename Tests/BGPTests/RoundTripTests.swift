// decode(encode(x)) == x for generated values; the seed of a failing run is in its message.

import BGP
import NetTypes
import Testing

private struct Samples {
    var random: SeededGenerator
    mutating func number<T: FixedWidthInteger & UnsignedInteger>(_: T.Type = T.self) -> T {
        T.random(in: .min ... .max, using: &random)
    }
    mutating func v4() -> IPv4Address { IPv4Address(rawValue: number()) }
    mutating func v6() -> IPv6Address { IPv6Address(high: number(), low: number()) }
    mutating func ip() -> IPAddress { random.chance(2) ? .v4(v4()) : .v6(v6()) }
    mutating func rd() -> RouteDistinguisher {
        RouteDistinguisher(rawValue: UInt64.random(in: 0...2, using: &random) << 48 | number(UInt64.self) >> 16)
    }
    mutating func label() -> UInt32 { number(UInt32.self) >> 8 }
    mutating func esi() -> EthernetSegmentID {
        random.chance(2) ? .zero : EthernetSegmentID(high: number(), low: number())
    }
    mutating func prefix(_ address: IPAddress) -> IPPrefix? {
        IPPrefix(address, length: Int.random(in: 0...address.bitWidth, using: &random))
    }
    mutating func evpn() -> EVPNRoute? {
        switch Int.random(in: 1...5, using: &random) {
        case 1:
            return .ethernetAutoDiscovery(
                EthernetAutoDiscoveryRoute(rd: rd(), esi: esi(), ethernetTag: number(), label: label()))
        case 2:
            return .macIP(
                MACIPRoute(
                    rd: rd(), esi: esi(), ethernetTag: number(), mac: MACAddress(rawValue: number()),
                    ip: random.chance(3) ? nil : ip(), label1: label(), label2: random.chance(2) ? nil : label()))
        case 3: return .inclusiveMulticast(InclusiveMulticastRoute(rd: rd(), ethernetTag: number(), originator: ip()))
        case 4: return .ethernetSegment(EthernetSegmentRoute(rd: rd(), esi: esi(), originator: ip()))
        default:
            let address = ip()
            guard let prefix = prefix(address) else { return nil }
            let gateway: IPAddress =
                address.isV6 ? .v6(random.chance(2) ? .any : v6()) : .v4(random.chance(2) ? .any : v4())
            // Never both overlay indexes.
            return .ipPrefix(
                IPPrefixRoute(
                    rd: rd(), esi: gateway.isUnspecified ? esi() : .zero, ethernetTag: number(), prefix: prefix,
                    gateway: gateway, label: label()))
        }
    }
    mutating func entries(_ family: Family, pathIDs: Bool) -> [RouteEntry] {
        (0..<Int.random(in: 1...400, using: &random)).compactMap { _ in
            let pathID: UInt32 = pathIDs ? number() : 0
            switch family {
            case .l2vpnEVPN:
                return evpn().map { RouteEntry(key: RouteKey($0), payload: RoutePayload($0), pathID: pathID) }
            case .ipv6Unicast: return prefix(.v6(v6())).map { RouteEntry(key: RouteKey(unicast: $0), pathID: pathID) }
            default: return prefix(.v4(v4())).map { RouteEntry(key: RouteKey(unicast: $0), pathID: pathID) }
            }
        }
    }
    mutating func list<T>(_ limit: Int, _ make: (inout Samples) -> T) -> [T] {
        random.chance(2) ? [] : (0..<Int.random(in: 1...limit, using: &random)).map { _ in make(&self) }
    }
    mutating func attributes(_ family: Family) -> PathAttributes {
        var a = PathAttributes()
        a.origin = Origin(rawValue: UInt8.random(in: 0...2, using: &random)) ?? .igp
        a.asPath = ASPath(
            list(3) { samples in
                let count = Int.random(in: 1...30, using: &samples.random)
                return ASPath.Segment(
                    type: samples.random.chance(3) ? .set : .sequence,
                    asns: (0..<count).map { _ in UInt32.random(in: 1...400_000, using: &samples.random) })
            })
        switch family {
        case .ipv6Unicast:
            a.nextHop = .v6(v6())
            if random.chance(2) { a.linkLocalNextHop = v6() }
        default: a.nextHop = ip()
        }
        if random.chance(2) { a.med = number() }
        if random.chance(2) { a.localPreference = number() }
        a.atomicAggregate = random.chance(2)
        if random.chance(2) { a.aggregator = Aggregator(asn: number(), address: v4()) }
        a.communities = list(90) { $0.number() }
        if random.chance(2) { a.originatorID = v4() }
        a.clusterList = list(4) { $0.v4() }
        a.extendedCommunities = list(40) { ExtendedCommunity(rawValue: $0.number()) }
        a.largeCommunities = list(30) { LargeCommunity($0.number(), $0.number(), $0.number()) }
        if random.chance(2) { a.pmsiTunnel = .ingressReplication(label: label(), endpoint: ip()) }
        if random.chance(2) { a.onlyToCustomer = number() }
        if random.chance(2) {
            a.others = [
                RawAttribute(flags: 0xc0, code: 23, value: [0, 8, 0, 0]),
                RawAttribute(flags: 0xe0, code: 99, value: list(300) { $0.number() }),
                RawAttribute(flags: 0xe0, code: 250, value: [1]),
            ]
        }
        return a
    }
}

@Suite struct RoundTripTests {
    @Test func updatesSurvive() throws {
        let seed = UInt64.random(in: .min ... .max)
        var samples = Samples(random: SeededGenerator(seed: seed))
        for round in 0..<150 {
            let family = Family.supported[round % 3]
            let addPath: Set<Family> = samples.random.chance(2) ? [family] : []
            let options = CodecOptions(
                fourOctetAS: !samples.random.chance(3), addPathReceive: addPath, addPathSend: addPath,
                maximumLength: samples.random.chance(3) ? 65535 : 4096)
            let attributes = samples.attributes(family)
            let entries = samples.entries(family, pathIDs: !addPath.isEmpty)
            let encoder = UpdateEncoder(options: options)
            var out = ByteWriter()
            let count = encoder.announce(entries, family: family, attributes: attributes, into: &out)
            encoder.withdraw(entries, family: family, into: &out)
            var announced: [RouteEntry] = []
            var withdrawn: [RouteEntry] = []
            let parts = messages(out.bytes)
            #expect(parts.reduce(0) { $0 + $1.count } == out.count, "seed \(seed)")
            for part in parts {
                #expect(part.count <= options.maximumLength, "seed \(seed)")
                let update = try #require(decodeUpdate(part, options), "seed \(seed) round \(round)")
                #expect(update.consequence == .accept, "seed \(seed) \(update.faults)")
                announced += update.announced.flatMap(\.routes)
                withdrawn += update.withdrawn.flatMap(\.routes)
                if !update.announced.isEmpty {
                    #expect(update.attributes == attributes, "seed \(seed) round \(round)")
                }
            }
            #expect(announced == entries, "seed \(seed) round \(round)")
            #expect(withdrawn.map(\.key) == entries.map(\.key), "seed \(seed) round \(round)")
            #expect(count >= 1)
        }
    }

    @Test func hundredRoutesAndMoreShareOneUpdate() {
        var attributes = PathAttributes()
        attributes.nextHop = .v4(IPv4Address(rawValue: 0xc000_0201))
        attributes.extendedCommunities = [RouteTarget(asn: 65000, number: 100).community, .encapsulation(8)]
        let entries = (0..<1000).map { index in
            let route = EVPNRoute.macIP(
                MACIPRoute(
                    rd: RouteDistinguisher(IPv4Address(rawValue: 1), 1), mac: MACAddress(rawValue: UInt64(index + 1)),
                    label1: 100))
            return RouteEntry(key: RouteKey(route), payload: RoutePayload(route))
        }
        var out = ByteWriter()
        let count = UpdateEncoder(options: CodecOptions()).announce(
            entries, family: .l2vpnEVPN, attributes: attributes, into: &out)
        #expect(count <= 10)
        #expect(messages(out.bytes).count == count)
    }

    @Test func openSurvives() throws {
        var open = Open(
            myAS: 23456, holdTimeSeconds: 90, routerID: IPv4Address(rawValue: 0xc000_0201),
            capabilities: [
                .multiprotocol(.l2vpnEVPN), .routeRefresh, .enhancedRouteRefresh, .extendedMessage, .role(3),
                .fourOctetAS(4_200_000_000),
                .extendedNextHop([.init(family: .ipv4Unicast, nextHopAFI: 2)]),
                .gracefulRestart(
                    flags: 12, restartTimeSeconds: 120, families: [.init(family: .l2vpnEVPN, flags: 0x80)]),
                .addPath([.init(family: .ipv4Unicast, mode: 3)]),
                .longLivedGracefulRestart([.init(family: .l2vpnEVPN, flags: 0x80, staleTimeSeconds: 0xff_ffff)]),
                .fqdn(hostname: "leaf1", domain: "example.net"), .other(code: 128, value: []),
                .other(code: 131, value: [1, 2, 3]),
            ])
        for isExtended in [false, true] {
            open.hasExtendedParameters = isExtended
            open.otherParameters = [Open.OtherParameter(type: 9, value: [1])]
            #expect(decode(Message.open(open).encoded()) == .success(.open(open)))
        }
        #expect(open.asn == 4_200_000_000)
        // More than 255 octets of parameters need RFC 9072.
        open.hasExtendedParameters = false
        open.capabilities += (0..<30).map { .other(code: 200, value: Array(repeating: $0, count: 20)) }
        guard case .success(.open(let large)) = decode(Message.open(open).encoded()) else {
            Issue.record("a large OPEN did not survive")
            return
        }
        #expect(large.hasExtendedParameters)
        #expect(large.capabilities == open.capabilities)
    }

    @Test func smallMessagesSurvive() {
        let all: [Message] = [
            .keepalive, .notification(NotificationMessage(code: 6, subcode: 2, data: [1, 65])),
            .routeRefresh(RouteRefresh(family: .l2vpnEVPN)),
            .routeRefresh(RouteRefresh(family: .ipv6Unicast, subtype: 1)),
            .routeRefresh(RouteRefresh(family: .ipv4Unicast, orf: [1, 2])),
        ]
        for message in all { #expect(decode(message.encoded()) == .success(message)) }
        for family in Family.supported {
            var out = ByteWriter()
            UpdateEncoder(options: CodecOptions()).endOfRIB(family, into: &out)
            #expect(decodeUpdate(out.bytes)?.endOfRIB == family)
        }
    }

    @Test func twoOctetPeersGetTransitionNumbersAndFourOctetPaths() throws {
        let octets = update(
            [
                Good.origin, attribute(0x40, 2, [2, 3, 0xfd, 0xe8, 0x5b, 0xa0, 0x5b, 0xa0]), Good.nextHop,
                attribute(0xc0, 7, [0x5b, 0xa0, 1, 2, 3, 4]), attribute(0xc0, 17, hex("0202 00010001 00010002")),
                attribute(0xc0, 18, hex("00010001 01020304")),
            ], nlri: Good.nlri)
        let decoded = try #require(decodeUpdate(octets, CodecOptions(fourOctetAS: false)))
        #expect(decoded.attributes.asPath.segments.flatMap(\.asns) == [65000, 65537, 65538])
        #expect(decoded.attributes.aggregator?.asn == 65537)
    }
}
