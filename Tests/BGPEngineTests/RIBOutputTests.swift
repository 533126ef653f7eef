// Queues and packing: what goes over the wire when, and in how many messages.

import BGP
import NetTypes
import Testing

@testable import BGPEngine

@Suite struct RIBOutputTests {
    let routes = (0..<1000).map { macRoute(UInt64($0)) }

    @Test func packing() {
        var rib = makeRIB([peer(1, client: true), peer(2, client: true)])
        for route in routes { rib.hear(1, [route]) }
        let reader = Reader(told(&rib, PeerID(2)))
        #expect(reader.table.count == 1000)
        #expect(reader.largestUpdate >= 100 && reader.updates <= 10)
        #expect(rib.counters(PeerID(2), .l2vpnEVPN).advertised == 1000)
    }
    /// A new peer gets a table that was learned interleaved, still packed by attributes.
    @Test func packingOfInterleavedAttributes() {
        var rib = makeRIB([peer(1, client: true)])
        for (index, route) in routes.enumerated() { rib.hear(1, [route], attributes(nextHop: 60 + UInt32(index % 5))) }
        rib.addPeer(peer(2, client: true))
        let reader = Reader(told(&rib, PeerID(2)))
        #expect(reader.table.count == 1000)
        #expect(reader.updates <= 10 && reader.largestUpdate >= 100)
        #expect(Set(reader.endOfRIBs) == [.ipv4Unicast, .l2vpnEVPN])
    }
    @Test func extendedMessages() {
        var big = peer(2, client: true)
        big.codec.maximumLength = 65535
        var rib = makeRIB([peer(1, client: true), big])
        rib.hear(1, routes)
        let heard = told(&rib, PeerID(2))
        #expect(Reader(heard).updates == 1)
    }
    /// Attributes that leave no room for a route: what was announced before goes, and nothing is counted that was not sent.
    @Test(arguments: [500, 920, 960, 1000, 1020]) func tooBigForAMessage(communities: Int) {
        var extended = peer(3, client: true)
        extended.codec.maximumLength = 65535
        var rib = makeRIB([peer(1, client: true), peer(2, client: true), extended])
        rib.hear(1, [macRoute(1)])
        var reader = Reader(told(&rib, PeerID(2)))
        #expect(reader.table.count == 1)
        rib.hear(1, [macRoute(1)], attributes { $0.communities = (0..<communities).map { UInt32($0) } })
        let messages = told(&rib, PeerID(2))
        reader.read(messages)
        #expect(reader.table.count == rib.counters(PeerID(2), .l2vpnEVPN).advertised)
        #expect(reader.table.values.allSatisfy { $0.attributes.communities.count == communities })
        #expect(reader.table.count == (communities < 1000 ? 1 : 0))
        #expect(Reader(told(&rib, PeerID(3))).table.count == 1)
        #expect(rib.counters(PeerID(3), .l2vpnEVPN).advertised == 1)
    }
    @Test func endOfRIBOnceAndLast() {
        var rib = RIB(RIBConfiguration(asn: ownASN, routerID: ownRouterID))
        rib.originate(macRoute(1), attributes())
        rib.addPeer(peer(2))
        let messages = told(&rib, PeerID(2))
        #expect(messages.count == 3)
        if case .update(let last)? = messages.last { #expect(last.endOfRIB == .l2vpnEVPN) }
        let hasOutput = rib.hasOutput(PeerID(2))
        #expect(!hasOutput)
        rib.originate(macRoute(2), attributes())
        let heard = told(&rib, PeerID(2))
        #expect(Reader(heard).endOfRIBs.isEmpty)
    }
    @Test func nothingBeforeOwnRoutesAreKnown() {
        var rib = RIB(RIBConfiguration(asn: ownASN, routerID: ownRouterID))
        rib.awaitsLocalRoutes = true
        rib.addPeer(peer(2))
        rib.originate(macRoute(1), attributes())
        let first = told(&rib, PeerID(2))
        let isIdle = rib.peersWithOutput().isEmpty && !rib.hasOutput(PeerID(2))
        #expect(first.isEmpty && isIdle)
        rib.originate(macRoute(2), attributes())
        rib.awaitsLocalRoutes = false
        let withOutput = rib.peersWithOutput()
        #expect(withOutput == [PeerID(2)])
        let second = Reader(told(&rib, PeerID(2)))
        #expect(second.table.count == 2 && second.endOfRIBs.count == 2)
    }
    @Test func deferral() {
        var rib = RIB(RIBConfiguration(asn: ownASN, routerID: ownRouterID))
        rib.isSelectionDeferred = true
        rib.addPeer(peer(1))
        rib.addPeer(peer(2, client: true))
        rib.hear(1, [macRoute(1)])
        let withOutput = rib.peersWithOutput()
        let heard = told(&rib, PeerID(2))
        #expect(heard.isEmpty && withOutput.isEmpty)
        rib.isSelectionDeferred = false
        let withOutputNext = rib.peersWithOutput()
        #expect(withOutputNext == [PeerID(1), PeerID(2)])
        let reader = Reader(told(&rib, PeerID(2)))
        #expect(reader.table.count == 1 && reader.endOfRIBs.count == 2)
    }
    @Test func budget() {
        var rib = makeRIB([peer(1, client: true), peer(2, client: true)])
        rib.hear(1, (0..<10_000).map { macRoute(UInt64($0)) })
        var writer = ByteWriter()
        #expect(rib.drainUpdates(PeerID(2), byteBudget: 1, into: &writer))
        var reader = Reader(messages(writer.bytes))
        #expect(reader.table.count == RIB.batchSize)
        reader.read(told(&rib, PeerID(2)))
        #expect(reader.table.count == 10_000)
    }
    @Test func flapsAreCoalesced() {
        var rib = makeRIB([peer(1, client: true), peer(2, client: true)])
        for _ in 0..<5 {
            rib.hear(1, routes)
            rib.unhear(1, routes)
        }
        let heard = told(&rib, PeerID(2))
        #expect(heard.isEmpty)
        rib.hear(1, routes)
        rib.hear(1, routes, attributes(nextHop: 90))
        let reader = Reader(told(&rib, PeerID(2)))
        #expect(reader.table.count == 1000 && reader.updates <= 10)
        #expect(reader.table.values.allSatisfy { $0.attributes.nextHop == address(90) })
        // The same again is no news.
        rib.hear(1, routes, attributes(nextHop: 90))
        let heardNext = told(&rib, PeerID(2))
        #expect(heardNext.isEmpty)
    }
    @Test func labelChangeIsAnUpdate() {
        var rib = makeRIB([peer(1), peer(2, client: true)])
        rib.hear(1, [macRoute(1)])
        _ = rib.takeChanges()
        _ = told(&rib, PeerID(2))
        rib.hear(1, [macRoute(1, label: 200)])
        #expect(rib.takeChanges().first?.path?.payload.label1 == 200)
        let heard = told(&rib, PeerID(2))
        #expect(Reader(heard).table[macRoute(1).key]?.payload.label1 == 200)
    }
    @Test func withdrawalsFreeEverything() {
        var rib = makeRIB([peer(1, client: true), peer(2, client: true)])
        rib.hear(1, routes)
        var reader = Reader(told(&rib, PeerID(2)))
        #expect(rib.takeChanges().count == 1000)
        rib.unhear(1, routes)
        reader.read(told(&rib, PeerID(2)))
        #expect(reader.table.isEmpty)
        let changes = rib.takeChanges()
        #expect(changes.count == 1000 && changes.allSatisfy { $0.path == nil })
        #expect(rib.destinationCount == 0 && rib.pathCount == 0)
        #expect(rib.counters(PeerID(1), .l2vpnEVPN) == RouteCounters())
        #expect(rib.counters(PeerID(2), .l2vpnEVPN) == RouteCounters())
        rib.removePeer(PeerID(1))
        #expect(rib.attributeSetCount == 0)
    }
    @Test func bestMovingToThePeerItselfWithdraws() {
        var rib = makeRIB([peer(1, client: true), peer(2, client: true)])
        rib.hear(2, [macRoute(1)])
        let heard = told(&rib, PeerID(1))
        #expect(Reader(heard).table.count == 1)
        rib.hear(1, [macRoute(1)], attributes { $0.localPreference = 200 })
        let heardNext = told(&rib, PeerID(1))
        #expect(Reader(heardNext).withdrawals == 1)
        let heardThen = told(&rib, PeerID(2))
        #expect(Reader(heardThen).table.count == 1)
    }
    @Test func refresh() {
        var rib = makeRIB([peer(1, client: true), peer(2, client: true)])
        rib.hear(1, routes)
        _ = told(&rib, PeerID(2))
        rib.refresh(PeerID(2), .l2vpnEVPN)
        let reader = Reader(told(&rib, PeerID(2)))
        #expect(reader.table.count == 1000 && reader.endOfRIBs.isEmpty)
        rib.refresh(PeerID(2), .ipv6Unicast)
        let heard = told(&rib, PeerID(2))
        #expect(heard.isEmpty)
    }
    @Test func enhancedRefresh() {
        var target = peer(2, client: true)
        target.enhancedRefresh = true
        var rib = makeRIB([peer(1, client: true), target])
        rib.hear(1, [macRoute(1)])
        _ = told(&rib, PeerID(2))
        rib.refresh(PeerID(2), .l2vpnEVPN)
        let messages = told(&rib, PeerID(2))
        #expect(messages.count == 3)
        #expect(messages.first == .routeRefresh(RouteRefresh(family: .l2vpnEVPN, subtype: 1)))
        #expect(messages.last == .routeRefresh(RouteRefresh(family: .l2vpnEVPN, subtype: 2)))
    }
    /// Peers treated alike share encodings; the sender among them is still left out.
    @Test func sharedEncodings() {
        var rib = makeRIB((1...20).map { peer($0, client: true) })
        rib.hear(1, routes)
        rib.hear(2, (0..<500).map { macRoute(UInt64(5000 + $0)) })
        for number in 1...20 as ClosedRange<UInt16> {
            let reader = Reader(told(&rib, PeerID(number)))
            #expect(reader.table.count == (number == 1 ? 500 : number == 2 ? 1000 : 1500))
        }
        rib.unhear(1, Array(routes.prefix(300)))
        rib.hear(1, [routes[999]], attributes(nextHop: 99))
        for number in 3...20 as ClosedRange<UInt16> {
            let reader = Reader(told(&rib, PeerID(number)))
            #expect(reader.withdrawals == 300 && reader.table.count == 1)
        }
    }
}
