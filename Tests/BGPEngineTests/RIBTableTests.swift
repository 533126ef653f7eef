// Routes in: counters, limits, restarts, add-path, the control plane's view, listings.

import BGP
import NetTypes
import Testing

@testable import BGPEngine

@Suite struct RIBTableTests {
    let routes = (0..<100).map { macRoute(UInt64($0)) }

    @Test func limits() {
        var limited = peer(1)
        limited.prefixLimits[.l2vpnEVPN] = PrefixLimit(maximum: 50)
        var rib = makeRIB([limited])
        #expect(rib.hear(1, Array(routes[..<39])).limits.isEmpty)
        let warning = rib.hear(1, [routes[39]])
        #expect(warning.limits.map(\.kind) == [.warning] && warning.limits.first?.count == 40)
        #expect(rib.hear(1, Array(routes[..<50])).limits.isEmpty, "told once; repeated routes do not count twice")
        #expect(rib.hear(1, [routes[50]]).limits.map(\.kind) == [.exceeded])
        #expect(rib.hear(1, [routes[51]]).limits.isEmpty)
        rib.unhear(1, Array(routes[..<20]))
        #expect(rib.hear(1, Array(routes[..<60])).limits.map(\.kind) == [.exceeded])
    }
    @Test func extremeLimits() {
        var limited = peer(1)
        var limit = PrefixLimit(maximum: 0)
        limited.prefixLimits[.l2vpnEVPN] = limit
        var rib = makeRIB([limited])
        #expect(rib.hear(1, [routes[0]]).limits.map(\.kind) == [.exceeded])
        limit.maximum = .max
        limit.warningPercent = .max
        limited.prefixLimits[.l2vpnEVPN] = limit
        rib = makeRIB([limited])
        #expect(rib.hear(1, routes).limits.isEmpty)
    }
    @Test func gracefulRestart() {
        var rib = makeRIB([peer(1, client: true), peer(2, client: true)])
        rib.hear(1, routes)
        _ = rib.takeChanges()
        _ = told(&rib, PeerID(2))
        rib.closeOutput(PeerID(1))
        rib.markStale(PeerID(1), [.l2vpnEVPN])
        #expect(rib.counters(PeerID(1), .l2vpnEVPN).stale == 100)
        let hasChanges = rib.hasChanges
        let hasOutput = rib.hasOutput(PeerID(2))
        #expect(!hasChanges && !hasOutput, "stale routes stay best")
        rib.addPeer(peer(1, client: true))
        rib.hear(1, Array(routes[..<60]))
        #expect(rib.counters(PeerID(1), .l2vpnEVPN).stale == 40)
        #expect(rib.sweepStale(PeerID(1), .l2vpnEVPN) == 40)
        #expect(rib.counters(PeerID(1), .l2vpnEVPN).received == 60)
        #expect(rib.takeChanges().count == 40)
        let heard = told(&rib, PeerID(2))
        #expect(Reader(heard).withdrawals == 40)
        #expect(rib.sweepStale(PeerID(1), .l2vpnEVPN) == 0)
    }
    /// A client comes back as a non-client: what it said is no longer for non-clients.
    @Test func changedDescription() {
        var rib = makeRIB([peer(1, client: true), peer(3)])
        rib.hear(1, routes)
        var reader = Reader(told(&rib, PeerID(3)))
        #expect(reader.table.count == 100)
        rib.closeOutput(PeerID(1))
        rib.addPeer(peer(1))
        reader.read(told(&rib, PeerID(3)))
        #expect(reader.table.isEmpty)
    }
    @Test func addPath() {
        var rib = makeRIB([peer(1)])
        rib.hear(1, [macRoute(1, label: 10, pathID: 1)], attributes { $0.localPreference = 10 })
        rib.hear(1, [macRoute(1, label: 20, pathID: 2)], attributes { $0.localPreference = 20 })
        #expect(rib.counters(PeerID(1), .l2vpnEVPN).received == 2 && rib.destinationCount == 1)
        #expect(rib.takeChanges().first?.path?.payload.label1 == 20)
        rib.unhear(1, [macRoute(1, pathID: 2)])
        #expect(rib.takeChanges().first?.path?.payload.label1 == 10)
        rib.unhear(1, [macRoute(1, pathID: 3)])
        let hasChanges = rib.hasChanges
        #expect(!hasChanges)
        rib.unhear(1, [macRoute(1, pathID: 1)])
        let taken = rib.takeChanges()
        #expect(taken.count == 1 && rib.destinationCount == 0)
    }
    @Test func changesNameTheBestRemotePath() {
        var rib = makeRIB([peer(1), peer(2)])
        rib.originate(macRoute(1), attributes(nextHop: 5))
        rib.hear(2, [macRoute(1)], attributes(nextHop: 90))
        #expect(rib.explain(macRoute(1).key).first?.route.peer == .local)
        let change = rib.takeChanges().first
        #expect(change?.path?.peerAddress == address(2) && change?.path?.attributes.attributes.nextHop == address(90))
        rib.originate([LocalRouteChange(key: macRoute(1).key, route: nil)])
        let hasChanges = rib.hasChanges
        #expect(!hasChanges, "the remote best did not change")
        rib.hear(1, [macRoute(1)], attributes(nextHop: 80))
        #expect(rib.takeChanges().map(\.path?.peerAddress) == [address(1)])
    }
    @Test func changesAreTakenInPages() {
        var rib = makeRIB([peer(1)])
        rib.hear(1, routes)
        #expect(rib.takeChanges(limit: 30).count == 30)
        rib.unhear(1, routes)
        #expect(rib.takeChanges(limit: 1000).count == 100)
        let hasChanges = rib.hasChanges
        #expect(!hasChanges && rib.destinationCount == 0)
    }
    @Test func removedPeer() {
        var rib = makeRIB([peer(1, client: true), peer(2, client: true)])
        rib.hear(1, routes)
        rib.hear(2, [macRoute(500)])
        _ = rib.takeChanges()
        _ = told(&rib, PeerID(2))
        rib.removePeer(PeerID(1))
        let withdrawals = Reader(told(&rib, PeerID(2))).withdrawals
        let taken = rib.takeChanges()
        #expect(withdrawals == 100)
        #expect(taken.count == 100 && rib.destinationCount == 1)
        #expect(rib.hear(1, routes) == ReceiveOutcome(), "nobody of that name")
        #expect(rib.destinationCount == 1)
        rib.removePeer(PeerID(77))
        rib.removePeer(.local)
    }
    @Test func unknownFamiliesAreIgnored() {
        var rib = makeRIB([peer(1, families: [.ipv4Unicast])])
        rib.hear(1, routes)
        var update = Update()
        update.announced = [.init(family: Family(afi: 1, safi: 128), routes: routes)]
        update.attributes = attributes()
        _ = rib.receive(update, from: PeerID(1))
        #expect(rib.destinationCount == 0)
    }
    @Test func pages() {
        var rib = makeRIB([peer(1, client: true), peer(2, client: true)])
        rib.hear(1, routes.reversed())
        rib.hear(2, [routes[5], unicast("192.0.2.0/24")])
        _ = told(&rib, PeerID(2))
        var query = RouteQuery(.all, family: .l2vpnEVPN, limit: 7)
        var seen: [RouteView] = []
        while true {
            let page = rib.routes(query)
            seen += page.routes
            guard let next = page.next else { break }
            query.after = next
        }
        #expect(seen.count == 101)
        #expect(zip(seen, seen.dropFirst()).allSatisfy { !($1.key < $0.key) })
        #expect(rib.routes(RouteQuery(.best, kind: .ipv4Unicast)).routes.count == 1)
        #expect(rib.routes(RouteQuery(.received(from: PeerID(2)))).routes.count == 2)
        let advertised = rib.routes(RouteQuery(.advertised(to: PeerID(2)))).routes
        #expect(advertised.count == 100)
        #expect(advertised.first?.attributes.attributes.clusterList == [ownRouterID])
        #expect(rib.routes(RouteQuery(.advertised(to: PeerID(9)))).routes.isEmpty)
    }
    @Test func indexSurvivesGrowthAndDeletion() {
        var index = RIBIndex()
        var generator = SplitMix(state: 7)
        var model: [UInt32: UInt32] = [:]
        for _ in 0..<20_000 {
            // Few distinct hashes, so that clusters and shifts are common.
            let slot = UInt32(generator.next() % 500)
            let hash = slot / 3 &* 7
            if model[slot] == nil {
                model[slot] = hash
                index.insert(hash, slot: slot)
            } else {
                model[slot] = nil
                index.remove(hash, slot: slot)
            }
            let probe = UInt32(generator.next() % 500)
            #expect((index.find(probe / 3 &* 7) { $0 == probe } != nil) == (model[probe] != nil))
        }
        #expect(index.count == model.count)
    }
}

/// A seeded generator.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
