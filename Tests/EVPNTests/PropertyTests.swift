// Properties that hold for any input: the order in which routes arrive does not matter, nothing stays when everything is gone, and
// the changes add up to the tables. EVPND_SEED reproduces a failure.

import BGP
import EVPN
import NetTypes
import Testing

private func vni(_ value: Int) -> VNI { VNI(UInt32(value)) ?? VNI.lowest }
extension VNI {
    fileprivate static let lowest: VNI = {
        guard let vni = VNI(1) else { preconditionFailure("1 is a VNI") }
        return vni
    }()
}
private func vtep(_ value: Int) -> IPAddress {
    value % 5 == 4
        ? .v6(IPv6Address(high: 0x2001_0db8_0000_0000, low: UInt64(value)))
        : .v4(IPv4Address(rawValue: 0xc000_0200 + UInt32(value)))
}
private func mac(_ value: Int) -> MACAddress { MACAddress(rawValue: 0x0200_0000_0000 + UInt64(value)) }
private func ip(_ value: Int) -> IPAddress { .v4(IPv4Address(rawValue: 0x0a00_0000 + UInt32(value))) }

/// 101 is found by both ways, 102 by membership only.
private func evi(_ number: Int) -> EVI {
    let vni = vni(number)
    let signalling: Signalling = number == 101 ? .both : number == 102 ? .membership : .evpn
    return EVI(
        vni: vni, rd: RouteDistinguisher(IPv4Address(rawValue: 0xc000_0205), UInt16(number)),
        importTargets: .automatic(vni), exportTargets: [.automatic(asn: 65000, vni: vni)],
        domain: BroadcastDomain(vni: vni, device: .adopted(name: nil)), signalling: signalling)
}
private func overlay(_ evis: [EVI]) -> Overlay {
    var overlay = Overlay(asn: 65000, routerID: IPv4Address(rawValue: 0xc000_0205), evis: evis)
    overlay.duplicateDetection.isEnabled = false
    overlay.membership = Membership(communityASN: 7)
    return overlay
}

/// 500 and 501 have an L3 VNI, the others have not; each sees something of another one, two of them by their targets.
private func vrfs() -> [IPVRF] {
    func targets(_ numbers: Int...) -> [RouteTarget] { numbers.map { .automatic(asn: 65000, vni: vni($0)) } }
    func vrf(_ name: String, _ number: Int?) -> IPVRF {
        var domain = number.map { BroadcastDomain(vni: vni($0), device: .adopted(name: nil)) }
        domain?.isTransit = true
        return IPVRF(
            name: name, domain: domain, rd: RouteDistinguisher(IPv4Address(rawValue: 0xc000_0205), UInt16(number ?? 9)),
            importTargets: number.map { .automatic(vni($0)) } ?? .explicit(targets(500, 501)),
            exportTargets: targets(number ?? 9),
            announced: AnnouncedPrefixes(connected: ["br*"], protocols: [4], usesGateway: true), maximumPaths: 3)
    }
    var result = [vrf("blue", 501), vrf("default", nil), vrf("green", nil), vrf("red", 500)]
    result[0].importTargets = .explicit(targets(501, 500))
    result[1].place = .underlay
    result[1].importTargets = .explicit([])
    result[1].leaks = [RouteLeak(source: "blue")]
    result[2].leaks = [RouteLeak(source: "red")]
    result[3].leaks = [RouteLeak(source: "green"), RouteLeak(source: "blue"), RouteLeak(source: "default")]
    return result
}
private let tableNames = vrfs().map(\.name) + ["other"]
private func localPrefix(_ random: inout Random) -> LocalPrefix {
    let isConnected = random.chance(40)
    return LocalPrefix(
        proto: random.chance(50) ? 4 : 3, isConnected: isConnected,
        interface: random.chance(50) ? "br1" : "eth0", gateway: !isConnected && random.chance(50) ? ip(3) : nil)
}
/// Routes of this host that come, change and go in front of what is leaked, once or twice.
private func passingPrefixes(_ random: inout Random, but facts: [LocalChange]) -> [LocalChange] {
    var lasting: Set<PrefixKey> = []
    for case .prefix(let key, _) in facts { lasting.insert(key) }
    var keys: [PrefixKey] = []
    for _ in 0..<16 {
        let key = PrefixKey(vrf: tableNames.randomElement(using: &random) ?? "red", prefix: prefix(&random))
        if !lasting.contains(key) { keys.append(key) }
    }
    let changes = (keys + keys).map { key in
        LocalChange.prefix(key, random.chance(70) ? localPrefix(&random) : nil)
    }
    return changes + keys.shuffled(using: &random).map { .prefix($0, nil) }
}
private func interface(_ number: Int) -> RoutedInterface {
    RoutedInterface(
        vrf: number == 102 ? "blue" : "red", addresses: [SubnetAddress(ip(5), length: 24)].compactMap { $0 },
        mac: mac(5), announcement: number == 100 ? .gateway : number == 101 ? .host : .none)
}
/// Few prefixes, hosts among them.
private func prefix(_ random: inout Random) -> IPPrefix {
    let length = random.chance(50) ? 32 : random.chance(50) ? 24 : 30
    guard let prefix = IPPrefix(ip(random.below(6)), length: length) else { preconditionFailure("the length fits") }
    return prefix
}
private func randomPrefix(_ random: inout Random, _ disputed: Bool) -> RouteChange {
    let host = random.below(10) + 1
    var attributes = PathAttributes()
    attributes.nextHop = random.chance(3) ? nil : vtep(host)
    attributes.extendedCommunities = [RouteTarget.automatic(asn: 65000, vni: vni(500 + random.below(3))).community]
    if random.chance(90) { attributes.extendedCommunities.append(.routerMAC(routerMAC(host, &random, disputed))) }
    if random.chance(30) { attributes.localPreference = UInt32(100 + random.below(2)) }
    if random.chance(30) { attributes.med = UInt32(random.below(2)) }
    if random.chance(30) { attributes.asPath = ASPath().prepending(1, count: random.below(3)) }
    let rd = RouteDistinguisher(IPv4Address(rawValue: UInt32(host)), UInt16(500 + random.below(2)))
    let route = EVPNRoute.ipPrefix(
        IPPrefixRoute(
            rd: rd, esi: random.chance(3) ? EthernetSegmentID(high: 1, low: 0) : .zero, prefix: prefix(&random),
            gateway: random.chance(30) ? ip(random.below(6)) : .v4(.any), label: routedLabel(&random)))
    return RouteChange(
        key: RouteKey(route),
        path: RemotePath(payload: RoutePayload(route), attributes: AttributeSet(attributes), neighbor: vtep(1)))
}
/// Mostly the host's own, sometimes another one, which may be another host's when they may be `disputed`.
private func routerMAC(_ host: Int, _ random: inout Random, _ disputed: Bool) -> MACAddress {
    let other = (disputed ? 0 : 16 * host) + random.below(4)
    return MACAddress(rawValue: 0x0200_0000_0500 + UInt64(random.chance(85) ? host : other))
}
private func routedLabel(_ random: inout Random) -> UInt32 {
    random.chance(70)
        ? UInt32(500 + random.below(2)) : UInt32([0, 100, 101, 999, 777].randomElement(using: &random) ?? 0)
}

/// A host route of some host, ours among them, with the communities of some VNIs.
private func randomHost(_ random: inout Random) -> RouteChange {
    var attributes = PathAttributes()
    for number in 100..<103 where random.chance(50) {
        if random.chance(70) { attributes.communities.append(UInt32(7 + random.below(8) / 7) << 16 | UInt32(number)) }
        if random.chance(30) { attributes.largeCommunities.append(LargeCommunity(7, 0, UInt32(number))) }
    }
    let address = vtep(random.below(10) + 1)
    let length = random.chance(90) ? address.bitWidth : 24
    let key = IPPrefix(address, length: length).map { RouteKey(unicast: $0) }
    guard let key else { preconditionFailure("the length fits") }
    let path = RemotePath(payload: RoutePayload(), attributes: AttributeSet(attributes), neighbor: vtep(1))
    return RouteChange(key: key, path: path)
}

/// A route of some remote host, good or bad; few keys, so that they meet.
private func randomRoute(_ random: inout Random, disputed: Bool = true) -> RouteChange {
    if random.chance(20) { return randomHost(&random) }
    if random.chance(30) { return randomPrefix(&random, disputed) }
    let host = random.below(10) + 1
    let number = 100 + random.below(3)
    var attributes = PathAttributes()
    attributes.nextHop = random.chance(3) ? nil : vtep(host)
    attributes.extendedCommunities = [RouteTarget.automatic(asn: UInt32(random.below(3)), vni: vni(number)).community]
    if random.chance(10) {
        attributes.extendedCommunities.append(
            RouteTarget.automatic(asn: 1, vni: vni(100 + random.below(3))).community)
    }
    if random.chance(40) {
        attributes.extendedCommunities.append(
            .macMobility(sticky: random.chance(10), sequence: UInt32(random.below(3))))
    }
    if random.chance(5) { attributes.extendedCommunities.append(.defaultGateway) }
    if random.chance(5) { attributes.extendedCommunities.append(.encapsulation(random.chance(50) ? 8 : 9)) }
    if random.chance(20) { attributes.extendedCommunities.append(.neighborDiscovery(flags: .router)) }
    let isRouted = random.chance(50)
    if isRouted {
        attributes.extendedCommunities.append(
            RouteTarget.automatic(asn: 65000, vni: vni(500 + random.below(2))).community)
        attributes.extendedCommunities.append(.routerMAC(routerMAC(host, &random, disputed)))
    }
    let rd = RouteDistinguisher(IPv4Address(rawValue: UInt32(host)), UInt16(number + random.below(2)))
    let label = UInt32(random.chance(3) ? 0 : random.chance(10) ? 999 : number)
    let route: EVPNRoute
    if random.chance(15) {
        attributes.pmsiTunnel = random.chance(10) ? nil : .ingressReplication(label: label, endpoint: vtep(host))
        route = .inclusiveMulticast(InclusiveMulticastRoute(rd: rd, originator: vtep(host)))
    } else {
        route = .macIP(
            MACIPRoute(
                rd: rd, mac: mac(random.below(6)), ip: random.chance(50) ? ip(random.below(6)) : nil, label1: label,
                label2: isRouted ? routedLabel(&random) : nil))
    }
    return RouteChange(
        key: RouteKey(route),
        path: RemotePath(payload: RoutePayload(route), attributes: AttributeSet(attributes), neighbor: vtep(1)))
}

/// Hands `changes` over in batches of random size.
private func feed(
    _ plane: inout ControlPlane, _ mirror: inout Mirror, _ changes: [RouteChange], _ random: inout Random, at: Int64 = 0
) {
    var index = 0
    while index < changes.count {
        let count = min(changes.count - index, 1 + random.below(8))
        mirror.apply(
            plane.handle(.routes(Array(changes[index..<index + count])), now: Instant(nanoseconds: at + Int64(index))))
        index += count
    }
}

/// One that is connected, one that is behind a host.
private let prefixes: (IPPrefix, IPPrefix) = {
    guard let a = IPPrefix(ip(0), length: 30), let b = IPPrefix(ip(0), length: 24) else {
        preconditionFailure("the lengths fit")
    }
    return (a, b)
}()
/// Everything that people may ask must have an answer at any time, and its rows must agree with the tables.
private func describe(_ plane: ControlPlane) {
    let state = plane.forwardingState()
    for row in plane.vrfRows() {
        let rows = plane.prefixRows(vrf: row.name)
        #expect(rows == plane.prefixRows(vrf: row.name, limit: 3), "page by page")
        #expect(rows.map(\.key) == Set(rows.map(\.key)).sorted())
        let inForce = rows.filter { !$0.nexthops.isEmpty }
        #expect(inForce.count == row.remotePrefixes)
        for row in inForce {
            #expect(state.contains(.prefix(row.key, RemotePrefix(nexthops: row.nexthops))))
            let explanation = plane.explain(row.key)
            #expect(explanation.row == row)
            let chosen = explanation.candidates.filter { $0.outcome == .chosen }.map(\.route)
            #expect(row.routes.isEmpty || !chosen.isEmpty && Set(chosen).isSubset(of: row.routes))
            #expect(plane.explain(ip: row.key.prefix.address, vrf: row.key.vrf) != nil)
        }
    }
    // Packets to a router need its neighbor entry, and that the MAC behind it.
    for case .prefix(_, let row?) in state {
        for case .router(let vtep, let through) in row.nexthops {
            let key = NeighborKey(vni: through, ip: RouterNeighbor.gateway(vtep, isV6: false))
            guard case .neighbor(_, let neighbor?)? = plane.wanted(.neighbor(key)) else {
                Issue.record("no neighbor \(key)")
                continue
            }
            guard case .mac(_, let mac?)? = plane.wanted(.mac(MACKey(vni: through, mac: neighbor.mac))) else {
                Issue.record("no MAC behind \(key)")
                continue
            }
            #expect(mac.vtep == vtep)
        }
    }
}

@Suite struct PropertyTests {
    /// Any interleaving of the same final routes, with detours through other routes, gives the same tables; but for a router MAC of two
    /// VTEPs, which stays with the first.
    @Test(arguments: 0..<12)
    func orderDoesNotMatter(round: Int) {
        let seed = baseSeed &+ UInt64(round)
        var random = Random(seed: seed)
        var final: [RouteKey: RouteChange] = [:]
        for _ in 0..<60 {
            let change = randomRoute(&random, disputed: false)
            final[change.key] = change
        }
        let sorted = final.sorted { $0.key < $1.key }.map(\.value)
        var expected: [ForwardingChange]?
        for attempt in 0..<4 {
            var plane = ControlPlane()
            var mirror = Mirror()
            var start = overlay([evi(100), evi(101), evi(102)])
            start.vrfs = vrfs()
            for index in start.evis.indices where index != 1 {
                start.evis[index].domain.routed = interface(100 + index)
            }
            // Facts that stay: a subnet, a static route, what the L3 VNIs need to announce.
            let facts: [LocalChange] = [
                .domain(vni(500), LocalDomain(vtep: vtep(5), device: "l3", routerMAC: mac(50))),
                .domain(vni(501), LocalDomain(vtep: vtep(5), device: "l3", routerMAC: mac(51))),
                .prefix(
                    PrefixKey(vrf: "red", prefix: prefixes.0),
                    LocalPrefix(proto: 2, isConnected: true, interface: "br1")),
                .prefix(
                    PrefixKey(vrf: "green", prefix: prefixes.1),
                    LocalPrefix(proto: 4, isConnected: false, interface: "eth0", gateway: ip(3))),
            ]
            if attempt < 2 { mirror.apply(plane.handle(.local(facts.shuffled(using: &random)), now: .zero)) }
            if attempt % 2 == 0 { mirror.apply(plane.handle(.overlay(start), now: .zero)) }
            // Detours: other paths for the same keys, and routes that are withdrawn later.
            var detours = (0..<40).map { _ in randomRoute(&random, disputed: false) }
            detours += sorted.shuffled(using: &random).prefix(20)
            feed(&plane, &mirror, detours.shuffled(using: &random), &random)
            if attempt % 2 == 1 { mirror.apply(plane.handle(.overlay(start), now: .zero)) }
            let withdrawn = detours.filter { final[$0.key] == nil }.map { RouteChange(key: $0.key, path: nil) }
            feed(&plane, &mirror, (sorted + withdrawn).shuffled(using: &random), &random)
            if attempt >= 2 { mirror.apply(plane.handle(.local(facts.shuffled(using: &random)), now: .zero)) }
            for change in passingPrefixes(&random, but: facts) {
                mirror.apply(plane.handle(.local([change]), now: .zero))
            }
            #expect(mirror.differences(from: plane) == [], "EVPND_SEED=\(seed)")
            if let expected {
                #expect(plane.forwardingState().map(\.text) == expected.map(\.text), "EVPND_SEED=\(seed)")
            } else {
                expected = plane.forwardingState()
            }
        }
    }

    /// Routes, local facts and configuration in any order; then everything goes away, and nothing is left.
    @Test(arguments: 0..<12)
    func nothingStays(round: Int) {
        let seed = baseSeed &+ 1000 &+ UInt64(round)
        var random = Random(seed: seed)
        var plane = ControlPlane()
        var mirror = Mirror()
        var known: Set<RouteKey> = []
        var now = Instant.zero
        func step(_ input: ControlPlane.Input) {
            mirror.apply(plane.handle(input, now: now))
            let differences = mirror.differences(from: plane)
            #expect(differences == [], "EVPND_SEED=\(seed) \(input)")
        }
        for _ in 0..<300 {
            now = now + .milliseconds(random.below(20_000))
            if let deadline = plane.nextDeadline, deadline <= now { step(.deadlineReached) }
            if random.chance(10) { describe(plane) }
            let key = MACKey(vni: vni(100 + random.below(3)), mac: mac(random.below(6)))
            let address = NeighborKey(vni: key.vni, ip: ip(random.below(6)))
            switch random.below(26) {
            case 0..<8:
                let changes = (0...random.below(5)).map { _ in randomRoute(&random) }
                for change in changes { known.insert(change.key) }
                step(.routes(changes.map { random.chance(30) ? RouteChange(key: $0.key, path: nil) : $0 }))
            case 8..<12:
                let local = LocalMAC(port: "p", isSticky: random.chance(10), isGateway: random.chance(5))
                step(.local([.mac(key, random.chance(70) ? local : nil)]))
            case 12..<15:
                let neighbor = LocalNeighbor(mac: mac(random.below(6)), isRouter: random.chance(30))
                step(.local([.neighbor(address, random.chance(70) ? neighbor : nil)]))
            case 15..<17:
                let domain = LocalDomain(
                    vtep: vtep(random.chance(80) ? 5 : 6), device: "vxlan", vrf: random.chance(30) ? "green" : nil,
                    routerMAC: random.chance(30) ? mac(5) : nil,
                    interface: random.chance(50) ? "br1" : random.chance(50) ? "eth0" : nil)
                step(.local([.domain(key.vni, random.chance(75) ? domain : nil)]))
            case 17:
                var settings = overlay((100..<103).filter { _ in random.chance(75) }.map { evi($0) })
                settings.duplicateDetection.isEnabled = random.chance(50)
                if random.chance(20) { settings.membership = nil }
                if random.chance(20) {
                    settings.membership = Membership(communityASN: 8, advertises: random.chance(50))
                }
                for index in settings.evis.indices where random.chance(20) {
                    settings.evis[index].signalling = Signalling.allCases.randomElement(using: &random) ?? .evpn
                    settings.evis[index].memberCommunity = random.chance(50) ? 7 << 16 | 100 : nil
                }
                settings.duplicateDetection.recoverAfterSeconds = random.chance(50) ? 20 : nil
                for index in settings.evis.indices where random.chance(30) {
                    settings.evis[index].importTargets = .explicit([.automatic(asn: 1, vni: vni(101))])
                }
                for index in settings.evis.indices where random.chance(30) {
                    settings.evis[index].staticMACs = [
                        StaticMAC(
                            mac: mac(random.below(6)), addresses: [ip(random.below(6))], isSticky: random.chance(50))
                    ]
                }
                for index in settings.evis.indices where random.chance(20) {
                    settings.evis[index].rd = RouteDistinguisher(IPv4Address(rawValue: 1), UInt16(index))
                }
                settings.vrfs = vrfs().filter { _ in random.chance(75) }
                for index in settings.vrfs.indices where random.chance(30) {
                    settings.vrfs[index].rd = RouteDistinguisher(IPv4Address(rawValue: 2), UInt16(index))
                    settings.vrfs[index].maximumPaths = 1
                    settings.vrfs[index].announced.prefixes = [prefixes.0]
                    if random.chance(50) { settings.vrfs[index].domain?.vni = vni(100 + random.below(3)) }
                }
                for index in settings.evis.indices where random.chance(50) {
                    settings.evis[index].domain.routed = interface(100 + random.below(3))
                    if random.chance(20) { settings.evis[index].domain.routed?.mac = nil }
                    if random.chance(20) { settings.evis[index].domain.routed?.vrf = nil }
                }
                step(.overlay(settings))
            case 18: step(.recover(key))
            case 19..<22:
                let domain = LocalDomain(
                    vtep: vtep(5), device: "l3", routerMAC: random.chance(80) ? mac(50 + random.below(2)) : nil)
                step(.local([.domain(vni(500 + random.below(2)), random.chance(75) ? domain : nil)]))
            case 22..<25:
                let name = tableNames.randomElement(using: &random) ?? "red"
                let local = localPrefix(&random)
                step(.local([.prefix(PrefixKey(vrf: name, prefix: prefix(&random)), random.chance(60) ? local : nil)]))

            default: step(.deadlineReached)
            }
        }
        step(.routes(known.map { RouteChange(key: $0, path: nil) }))
        for number in 100..<103 {
            var changes: [LocalChange] = [.domain(vni(number), nil)]
            for value in 0..<6 {
                changes.append(.mac(MACKey(vni: vni(number), mac: mac(value)), nil))
                changes.append(.neighbor(NeighborKey(vni: vni(number), ip: ip(value)), nil))
            }
            step(.local(changes.shuffled(using: &random)))
        }
        for name in tableNames {
            let changes = (0..<6).flatMap { value in
                [32, 30, 24].compactMap { length in
                    IPPrefix(ip(value), length: length).map {
                        LocalChange.prefix(PrefixKey(vrf: name, prefix: $0), nil)
                    }
                }
            }
            step(.local(changes.shuffled(using: &random)))
        }
        for number in 500..<502 { step(.local([.domain(vni(number), nil)])) }
        step(.overlay(overlay([])))
        while let deadline = plane.nextDeadline {
            now = max(now, deadline)
            step(.deadlineReached)
        }
        #expect(mirror.forwarding.isEmpty && mirror.advertised.isEmpty, "EVPND_SEED=\(seed)")
        #expect(plane.storage.isEmpty, "EVPND_SEED=\(seed): \(plane.storage)")
        #expect(plane.counts == ControlPlane.Counts())
    }
}
