// What the speaker asks of its sockets, and which connections it takes.

import BGP
import NetTypes
import Testing

@testable import BGPEngine

@Suite struct TransportTests {
    let now = Instant(nanoseconds: 1_000_000_000)

    private func plan(peerASN: UInt32, _ change: (inout NeighborConfiguration) -> Void = { _ in }) -> ConnectPlan? {
        let speaker = Speaker()
        speaker.configure(configuration(0, peer: 1, peerASN: peerASN, change), now: now)
        for effect in speaker.takeEffects() { if case .connect(_, let plan) = effect { return plan } }
        return nil
    }

    @Test func externalNeighborsAreDirectlyConnectedUnlessMultihop() {
        #expect(plan(peerASN: 65000)?.ttl == nil)
        #expect(plan(peerASN: 65001)?.ttl == 1)
        #expect(plan(peerASN: 65000) { $0.localASN = 65009 }?.ttl == 1)
        #expect(plan(peerASN: 65001) { $0.multihopTTL = 7 }?.ttl == 7)
        let secured = plan(peerASN: 65001) { $0.ttlSecurityHops = 2 }
        #expect(secured?.ttl == 255 && secured?.minimumTTL == 254)
    }

    @Test func aNeighborOfAnyASGetsItsTTLWithItsOpen() throws {
        var hub = BGPConfiguration(asn: 65000, routerID: IPv4Address(rawValue: 0x0a00_0001))
        var template = NeighborConfiguration(address: .v4(.any), peerASN: 0)
        template.families = [FamilyConfiguration(.l2vpnEVPN)]
        let prefix = try #require(IPPrefix(Wire.address(0), length: 24))
        hub.dynamicNeighbors = [DynamicNeighborConfiguration(prefix: prefix, template: template)]
        let speaker = Speaker()
        speaker.configure(hub, now: now)
        let id = try #require(speaker.accepted(from: Wire.address(1), local: nil, now: now))
        let open = Open(
            myAS: 65001, holdTimeSeconds: 9, routerID: IPv4Address(rawValue: 5),
            capabilities: [.multiprotocol(.l2vpnEVPN)])
        Message.open(open).encoded().withUnsafeBytes { speaker.received(id, $0, now: now) }
        let plans = speaker.takeEffects().compactMap { effect -> ConnectPlan? in
            if case .configure(_, let plan) = effect { return plan }
            return nil
        }
        #expect(plans.map(\.ttl) == [nil, 1])
    }

    @Test func aLinkLocalNeighborIsOnItsInterfaceOnly() throws {
        let address = try #require(IPAddress("fe80::1"))
        var own = configuration(0, peer: 1)
        own.neighbors[0].address = address
        own.neighbors[0].bindInterface = "eth1"
        own.neighbors[0].isPassive = true
        let speaker = Speaker()
        speaker.configure(own, now: now)
        #expect(speaker.accepted(from: address, local: nil, interface: "eth2", now: now) == nil)
        #expect(speaker.accepted(from: address, local: nil, interface: "eth1", now: now) != nil)
    }
}
