// Sessions by interface: two speakers on one link, which find each other by what they send to all of it.

import BGP
import NetTypes
import Testing

@testable import BGPEngine

/// Two speakers on both ends of a link; everything of one round arrives in the same instant.
private final class Cable {
    struct End: Hashable {
        var speaker: Int
        var connection: ConnectionID
    }
    let speakers: [Speaker]
    var sources: [UInt64] = [1, 2]
    var globals: [[IPv6Address]] = [[], []]
    var now = Instant(nanoseconds: 1_000_000_000)
    var joined: [End: End] = [:]
    var changes: [[BestPathChange]] = [[], []]
    var events: [[SpeakerEvent]] = [[], []]
    var plans: [ConnectPlan] = []
    /// Hop limit of router messages on arrival.
    var hopLimit = 255

    init(_ configurations: [BGPConfiguration]) {
        speakers = configurations.indices.map { Speaker(hostname: "s\($0)", seed: UInt64($0 + 1)) }
        for (index, configuration) in configurations.enumerated() { speakers[index].configure(configuration, now: now) }
        settle()
    }
    static func mac(_ index: Int) -> MACAddress { MACAddress(rawValue: 0x0200_0000_0000 + UInt64(index)) }
    func address(_ index: Int) -> IPv6Address { RouterDiscoveryTests.linkLocal(sources[index]) }

    func plug(_ index: Int, isUp: Bool = true) {
        speakers[index].interfaceChanged(
            "eth\(index)",
            InterfaceFacts(
                index: 3, isUp: isUp, linkLayerAddress: Cable.mac(index), linkLocal: [address(index)],
                global: globals[index]), now: now)
        settle()
    }
    func settle() {
        for _ in 0..<1000 {
            var isQuiet = true
            for index in speakers.indices {
                for effect in speakers[index].takeEffects() {
                    isQuiet = false
                    carryOut(effect, index)
                }
            }
            if isQuiet { return }
        }
        Issue.record("the speakers never come to rest")
    }
    private func carryOut(_ effect: SpeakerEffect, _ index: Int) {
        let other = 1 - index
        switch effect {
        case .transmit(let transmission):
            transmission.message.encoded().withUnsafeBytes {
                speakers[other].receivedRouterMessage(
                    $0, from: transmission.source, on: "eth\(other)", hopLimit: hopLimit, now: now)
            }
        case .connect(let id, let plan):
            plans.append(plan)
            guard plan.address == .v6(address(other)), plan.interface == "eth\(index)",
                let accepted = speakers[other].accepted(
                    from: .v6(address(index)), local: .v6(address(other)), interface: "eth\(other)", now: now)
            else { return speakers[index].closed(id, reason: "refused", now: now) }
            let ends = (End(speaker: index, connection: id), End(speaker: other, connection: accepted))
            joined[ends.0] = ends.1
            joined[ends.1] = ends.0
            speakers[index].connected(id, local: .v6(address(index)), now: now)
        case .send(let id, let bytes):
            if let far = joined[End(speaker: index, connection: id)] {
                bytes.withUnsafeBytes { speakers[far.speaker].received(far.connection, $0, now: now) }
            }
            speakers[index].drained(id, now: now)
        case .close(let id):
            guard let far = joined.removeValue(forKey: End(speaker: index, connection: id)) else { return }
            joined[far] = nil
            speakers[far.speaker].closed(far.connection, reason: "closed", now: now)
        case .routes(let batch): changes[index] += batch
        case .event(let event): events[index].append(event)
        case .transport, .configure, .initialSync: break
        }
    }
    func pass(_ seconds: Int) {
        let end = now + .seconds(seconds)
        while let due = speakers.compactMap(\.nextDeadline).min(), due < end {
            now = max(now, due)
            for speaker in speakers { speaker.handleDeadlines(now: now) }
            settle()
        }
        now = end
    }
    func status(_ index: Int) -> NeighborStatus? { speakers[index].status().first }
    var isUp: Bool { status(0)?.isEstablished == true && status(1)?.isEstablished == true }
    func nextHop(_ index: Int) -> (IPAddress?, IPv6Address?, String?) {
        let path = changes[index].last?.path
        return (path?.attributes.attributes.nextHop, path?.attributes.attributes.linkLocalNextHop, path?.interface)
    }
}

private func unnumbered(
    _ index: Int, asn: UInt32? = nil, _ change: (inout NeighborConfiguration) -> Void = { _ in }
) -> BGPConfiguration {
    let own = asn ?? 65001 + UInt32(index)
    return configuration(index, asn: own, peer: 1 - index, peerASN: 0) {
        $0.address = .v6(.any)
        $0.interface = "eth\(index)"
        $0.isExternal = true
        $0.families = [.init(.ipv4Unicast), .init(.ipv6Unicast), .init(.l2vpnEVPN)]
        change(&$0)
    }
}

private func prefix(_ text: String) throws -> LocalRouteChange {
    var attributes = PathAttributes()
    attributes.origin = .igp
    let prefix = try #require(IPPrefix(text))
    return LocalRouteChange(key: RouteKey(unicast: prefix), route: LocalRoute(attributes: AttributeSet(attributes)))
}

@Suite struct UnnumberedTests {
    private func connected(_ change: (inout NeighborConfiguration) -> Void = { _ in }) -> Cable {
        let cable = Cable([unnumbered(0, change), unnumbered(1, change)])
        cable.plug(0)
        cable.plug(1)
        return cable
    }

    @Test func findEachOtherAndMakeASession() {
        let cable = Cable([unnumbered(0), unnumbered(1)])
        #expect(cable.status(0)?.lastError == "there is no interface eth0")
        cable.plug(0)
        #expect(cable.status(0)?.lastError?.contains("no router advertisement heard on eth0 yet") == true)
        #expect(cable.status(0)?.address == .v6(.any))
        cable.plug(1)
        #expect(cable.isUp)
        #expect(cable.status(0)?.name == .interface("eth0"))
        #expect(cable.status(0)?.address == .v6(cable.address(1)))
        #expect(cable.status(0)?.peerASN == 65002 && cable.status(0)?.lastError == nil)
        #expect(cable.plans.allSatisfy { $0.ttl == 1 }, "an external neighbor is one hop away")
        #expect(cable.joined.count == 2)
        cable.pass(60)
        #expect(cable.status(0)?.established == 1)
    }

    @Test func aPassiveEndIsFoundToo() {
        let cable = Cable([unnumbered(0) { $0.isPassive = true }, unnumbered(1)])
        cable.plug(0)
        cable.plug(1)
        cable.pass(2)
        #expect(cable.isUp)
    }

    @Test func theOwnASIsNotExternal() {
        let cable = Cable([unnumbered(0, asn: 65000), unnumbered(1, asn: 65000)])
        cable.plug(0)
        cable.plug(1)
        #expect(!cable.isUp)
        #expect(cable.status(0)?.lastError?.contains("peer AS is 65000, configured is external") == true)
    }

    @Test func messagesThroughARouterAreNotHeard() {
        let cable = Cable([unnumbered(0), unnumbered(1)])
        cable.hopLimit = 254
        cable.plug(0)
        cable.plug(1)
        cable.pass(60)
        #expect(!cable.isUp && cable.plans.isEmpty)
    }

    @Test func aFlapEndsTheSessionAtOnceAndItComesBack() {
        let cable = connected()
        cable.plug(0, isUp: false)
        #expect(cable.status(0)?.state != .established)
        #expect(cable.status(0)?.lastError == "eth0 is down or has no carrier")
        cable.pass(2)
        cable.plug(0)
        cable.pass(15)
        #expect(cable.isUp && cable.status(0)?.established == 2)
        cable.speakers[0].interfaceChanged("eth0", nil, now: cable.now)
        cable.settle()
        #expect(cable.status(0)?.lastError == "there is no interface eth0")
    }

    @Test func anotherAddressOfEitherEndIsFollowed() {
        let cable = connected()
        cable.sources[1] = 9
        cable.plug(1)
        cable.pass(15)
        #expect(cable.isUp && cable.status(0)?.address == .v6(RouterDiscoveryTests.linkLocal(9)))
        #expect(cable.events[1].contains { $0.fields.contains { $0.value.contains("our address fe80::2 is gone") } })
    }

    @Test func aStrangerIsRefusedWhereANeighborIsKnown() {
        let cable = connected()
        let stranger = IPAddress.v6(RouterDiscoveryTests.linkLocal(99))
        #expect(cable.speakers[0].accepted(from: stranger, local: nil, interface: "eth0", now: cable.now) == nil)
        #expect(cable.speakers[0].accepted(from: stranger, local: nil, interface: "eth5", now: cable.now) == nil)
    }

    @Test func withAPasswordNobodyIsTakenInBeforeItsKeyIsSet() {
        let speaker = Speaker()
        speaker.configure(unnumbered(0) { $0.password = "secret" }, now: .zero)
        speaker.interfaceChanged("eth0", RouterDiscoveryTests.facts(), now: .zero)
        let peer = RouterDiscoveryTests.linkLocal(2)
        #expect(speaker.accepted(from: .v6(peer), local: nil, interface: "eth0", now: .zero) == nil)
        _ = speaker.takeEffects()
        RouterDiscoveryTests.advertisement().encoded().withUnsafeBytes {
            speaker.receivedRouterMessage($0, from: peer, on: "eth0", hopLimit: 255, now: .zero)
        }
        let keys = speaker.takeEffects().compactMap { effect -> [TransportPlan.Key]? in
            if case .transport(let plan) = effect { plan.keys } else { nil }
        }
        #expect(keys.last?.map(\.prefix.description) == ["fe80::2/128"])
        #expect(speaker.accepted(from: .v6(peer), local: nil, interface: "eth0", now: .zero) != nil)
    }

    @Test func theSameAddressOnTwoLinksIsTwoNeighbors() {
        var own = unnumbered(0)
        var second = own.neighbors[0]
        second.interface = "eth1"
        own.neighbors.append(second)
        let speaker = Speaker()
        speaker.configure(own, now: .zero)
        for name in ["eth0", "eth1"] {
            speaker.interfaceChanged(name, RouterDiscoveryTests.facts(), now: .zero)
            let peer = IPAddress.v6(RouterDiscoveryTests.linkLocal(2))
            #expect(speaker.accepted(from: peer, local: nil, interface: name, now: .zero) != nil)
        }
        #expect(speaker.status().map(\.state) == [.openSent, .openSent])
    }

    // MARK: Next hops

    @Test func prefixesOfBothFamiliesHaveALinkLocalNextHop() throws {
        let cable = connected()
        for text in ["10.0.0.1/32", "2001:db8::1/128"] {
            cable.speakers[0].originate([try prefix(text)], now: cable.now)
            cable.settle()
            let (nextHop, second, interface) = cable.nextHop(1)
            #expect(nextHop == .v6(cable.address(0)) && second == nil, "RFC 8950 §4: 16 octets")
            #expect(interface == "eth1")
        }
    }

    @Test func aGlobalAddressGoesFirstAlsoWhenItComesLater() throws {
        let cable = connected()
        cable.speakers[0].originate([try prefix("2001:db8::1/128")], now: cable.now)
        cable.settle()
        let global = IPv6Address(high: 0x2001_0db8_0000_0001, low: 1)
        cable.globals[0] = [global]
        cable.plug(0)
        #expect(cable.nextHop(1).0 == .v6(global), "RFC 2545 §3: 32 octets")
        #expect(cable.nextHop(1).1 == cable.address(0))
        #expect(cable.status(0)?.established == 1, "the session goes on")
        cable.globals[0] = []
        cable.plug(0)
        #expect(cable.nextHop(1).0 == .v6(cable.address(0)) && cable.nextHop(1).1 == nil)
    }

    @Test func aVTEPStaysTheNextHopOfEVPN() {
        let cable = connected()
        cable.speakers[0].originate(routes(1), now: cable.now)
        cable.settle()
        #expect(cable.nextHop(1).0 == Wire.address(0) && cable.nextHop(1).1 == nil)
    }
}
