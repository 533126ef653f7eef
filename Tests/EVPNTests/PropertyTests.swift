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
private func randomRoute(_ random: inout Random) -> RouteChange {
    if random.chance(20) { return randomHost(&random) }
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
    let rd = RouteDistinguisher(IPv4Address(rawValue: UInt32(host)), UInt16(number + random.below(2)))
    let label = UInt32(random.chance(3) ? 0 : random.chance(10) ? 999 : number)
    let route: EVPNRoute
    if random.chance(15) {
        attributes.pmsiTunnel = random.chance(10) ? nil : .ingressReplication(label: label, endpoint: vtep(host))
        route = .inclusiveMulticast(InclusiveMulticastRoute(rd: rd, originator: vtep(host)))
    } else {
        route = .macIP(
            MACIPRoute(
                rd: rd, mac: mac(random.below(6)), ip: random.chance(50) ? ip(random.below(6)) : nil, label1: label))
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

@Suite struct PropertyTests {
    /// Any interleaving of the same final routes, with detours through other routes, gives the same tables.
    @Test(arguments: 0..<12)
    func orderDoesNotMatter(round: Int) {
        let seed = baseSeed &+ UInt64(round)
        var random = Random(seed: seed)
        var final: [RouteKey: RouteChange] = [:]
        for _ in 0..<60 {
            let change = randomRoute(&random)
            final[change.key] = change
        }
        let sorted = final.sorted { $0.key < $1.key }.map(\.value)
        var expected: [ForwardingChange]?
        for attempt in 0..<4 {
            var plane = ControlPlane()
            var mirror = Mirror()
            let start = overlay([evi(100), evi(101), evi(102)])
            if attempt % 2 == 0 { mirror.apply(plane.handle(.overlay(start), now: .zero)) }
            // Detours: other paths for the same keys, and routes that are withdrawn later.
            var detours = (0..<40).map { _ in randomRoute(&random) }
            detours += sorted.shuffled(using: &random).prefix(20)
            feed(&plane, &mirror, detours.shuffled(using: &random), &random)
            if attempt % 2 == 1 { mirror.apply(plane.handle(.overlay(start), now: .zero)) }
            let withdrawn = detours.filter { final[$0.key] == nil }.map { RouteChange(key: $0.key, path: nil) }
            feed(&plane, &mirror, (sorted + withdrawn).shuffled(using: &random), &random)
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
            let key = MACKey(vni: vni(100 + random.below(3)), mac: mac(random.below(6)))
            let address = NeighborKey(vni: key.vni, ip: ip(random.below(6)))
            switch random.below(20) {
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
                let domain = LocalDomain(vtep: vtep(random.chance(80) ? 5 : 6), device: "vxlan")
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
                step(.overlay(settings))
            case 18: step(.recover(key))
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
