// One test per step of the decision process: two paths equal up to that step.

import BGP
import NetTypes
import Testing

@testable import BGPEngine

@Suite struct RIBDecisionTests {
    let prefix = unicast("198.51.100.0/24")

    /// Peer 1 says `a`, peer 2 says `b`; returns who won where, and checks that the order of arrival does not matter.
    func decide(
        _ route: RouteEntry, _ a: PathAttributes, _ b: PathAttributes,
        _ peers: [PeerDescription] = [peer(1), peer(2)], alwaysCompareMED: Bool = false
    ) -> (peer: UInt16, step: DecisionStep)? {
        var forward = makeRIB(peers, alwaysCompareMED: alwaysCompareMED)
        forward.hear(1, [route], a)
        forward.hear(2, [route], b)
        var backward = makeRIB(peers, alwaysCompareMED: alwaysCompareMED)
        backward.hear(2, [route], b)
        backward.hear(1, [route], a)
        let result = forward.step(route)
        let other = backward.step(route)
        #expect(result?.peer == other?.peer && result?.step == other?.step)
        return result
    }
    func expect(
        _ result: (peer: UInt16, step: DecisionStep)?, _ peer: UInt16, _ step: DecisionStep,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(result?.peer == peer, sourceLocation: sourceLocation)
        #expect(result?.step == step, sourceLocation: sourceLocation)
    }
    func path(_ asns: UInt32...) -> ASPath { ASPath([.init(type: .sequence, asns: asns)]) }

    @Test func onlyPath() {
        var rib = makeRIB([peer(1)])
        rib.hear(1, [prefix])
        expect(rib.step(prefix), 1, .onlyPath)
    }
    @Test func higherLocalPreference() {
        expect(
            decide(
                prefix, attributes { $0.localPreference = 50 }, attributes { $0.asPath = path(1, 2) }), 2,
            .localPreference)
    }
    @Test func locallyOriginated() {
        var rib = makeRIB([peer(1)])
        rib.hear(1, [prefix])
        rib.originate(prefix, attributes { $0.asPath = path(1) })
        expect(rib.step(prefix), 0, .locallyOriginated)
    }
    @Test func shorterASPath() {
        expect(
            decide(
                prefix, attributes { $0.asPath = path(1, 2) },
                attributes {
                    $0.asPath = path(3)
                    $0.origin = .incomplete
                }), 2, .asPathLength)
    }
    @Test func lowerOrigin() {
        expect(decide(prefix, attributes { $0.origin = .egp }, attributes { $0.med = 9 }), 2, .origin)
    }
    @Test func lowerMEDOfOneNeighborAS() {
        let a = attributes {
            $0.asPath = path(1)
            $0.med = 20
        }
        let b = attributes {
            $0.asPath = path(1)
            $0.med = 10
        }
        expect(decide(prefix, a, b), 2, .multiExitDiscriminator)
    }
    @Test func medOfDifferentNeighborsOnlyOnRequest() {
        let a = attributes {
            $0.asPath = path(1)
            $0.med = 20
        }
        let b = attributes {
            $0.asPath = path(2)
            $0.med = 10
        }
        expect(decide(prefix, a, b), 1, .routerID)
        expect(decide(prefix, a, b, alwaysCompareMED: true), 2, .multiExitDiscriminator)
    }
    /// With pairwise comparison the winner of these three would depend on the order of arrival.
    @Test func medIsDeterministic() {
        let said: [(UInt16, PathAttributes)] = [
            (
                1,
                attributes {
                    $0.asPath = path(1); $0.med = 20
                }
            ),
            (
                2,
                attributes {
                    $0.asPath = path(2); $0.med = 30
                }
            ),
            (
                3,
                attributes {
                    $0.asPath = path(1); $0.med = 10
                }
            ),
        ]
        for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [1, 2, 0], [0, 2, 1], [2, 0, 1]] {
            var rib = makeRIB([peer(1), peer(2), peer(3)])
            for index in order { rib.hear(said[index].0, [prefix], said[index].1) }
            expect(rib.step(prefix), 2, .routerID)
        }
    }
    @Test func externalOverInternal() {
        let a = attributes { $0.asPath = path(65102) }
        expect(decide(prefix, a, a, [peer(1), peer(2, .external)]), 2, .externalOverInternal)
    }
    @Test func staleLosesTiesOnly() {
        var rib = makeRIB([peer(1), peer(2)])
        // The same route of one originator over two peers, so that nothing but staleness and the address tells them apart.
        let same = attributes { $0.originatorID = IPv4Address(rawValue: 9) }
        rib.hear(1, [prefix], same)
        rib.hear(2, [prefix], same)
        rib.markStale(PeerID(1), [.ipv4Unicast])
        expect(rib.step(prefix), 2, .freshOverStale)
        rib.hear(2, [prefix], attributes { $0.localPreference = 10 })
        expect(rib.step(prefix), 1, .localPreference)
    }
    @Test func lowerRouterID() {
        expect(decide(prefix, attributes(), attributes()), 1, .routerID)
        // ORIGINATOR_ID takes the router ID's place.
        let originator = attributes { $0.originatorID = IPv4Address(rawValue: 1) }
        expect(decide(prefix, attributes(), originator), 2, .routerID)
    }
    @Test func shorterClusterList() {
        let originator = IPv4Address(rawValue: 9)
        let a = attributes {
            $0.originatorID = originator
            $0.clusterList = [IPv4Address(rawValue: 1), IPv4Address(rawValue: 2)]
        }
        let b = attributes {
            $0.originatorID = originator
            $0.clusterList = [IPv4Address(rawValue: 3)]
        }
        expect(decide(prefix, a, b), 2, .clusterListLength)
    }
    @Test func lowerPeerAddress() {
        let a = attributes { $0.originatorID = IPv4Address(rawValue: 9) }
        expect(decide(prefix, a, a), 1, .peerAddress)
    }
    @Test func lowerPathID() {
        var rib = makeRIB([peer(1)])
        rib.hear(1, [macRoute(1, pathID: 7)])
        rib.hear(1, [macRoute(1, pathID: 3)])
        let explained = rib.explain(macRoute(1).key)
        #expect(explained.map(\.route.pathID) == [3, 7])
        #expect(explained.map(\.step) == [.pathID, .pathID])
    }

    // MARK: MAC mobility

    func mobility(_ sequence: UInt32, sticky: Bool = false, nextHop: UInt32 = 77) -> PathAttributes {
        attributes(nextHop: nextHop) {
            $0.extendedCommunities = [.macMobility(sticky: sticky, sequence: sequence)]
            $0.localPreference = 100
        }
    }
    @Test func stickyWinsOverSequence() {
        expect(decide(macRoute(1), mobility(9), mobility(0, sticky: true)), 2, .stickyMAC)
    }
    @Test func higherSequenceWinsOverPolicy() {
        let a = attributes { $0.localPreference = 500 }
        expect(decide(macRoute(1), a, mobility(1)), 2, .mobilitySequence)
    }
    @Test func lowerVTEP() {
        expect(decide(macRoute(1), mobility(1, nextHop: 90), mobility(1, nextHop: 80)), 2, .lowerVTEP)
    }
    @Test func otherRouteTypesHaveNoMobility() {
        let route = EVPNRoute.inclusiveMulticast(
            InclusiveMulticastRoute(rd: RouteDistinguisher(ownRouterID, 1), originator: address(1)))
        expect(decide(RouteEntry(key: RouteKey(route)), attributes(), mobility(5)), 1, .routerID)
    }

    // MARK: Eligibility

    @Test(arguments: [
        (attributes { $0.asPath = ASPath([.init(type: .sequence, asns: [1, ownASN])]) }, Ineligibility.asPathLoop),
        (attributes { $0.originatorID = ownRouterID }, .originatorLoop),
        (attributes { $0.clusterList = [ownRouterID] }, .clusterLoop),
        (attributes { $0.nextHop = nil }, .nextHopMissing),
        (attributes { $0.nextHop = .v4(IPv4Address(rawValue: 0xe000_0001)) }, .nextHopInvalid),
        (attributes { $0.nextHop = .v4(.any) }, .nextHopInvalid),
        (attributes { $0.nextHop = .v4(ownRouterID) }, .nextHopOwn),
        (attributes { $0.nextHop = address(200) }, .nextHopOwn),
    ])
    func ineligible(_ said: PathAttributes, _ reason: Ineligibility) {
        var rib = makeRIB([peer(1, client: true), peer(2, client: true)])
        rib.setOwnAddresses([address(200)])
        rib.hear(1, [macRoute(1)], said)
        let explained = rib.explain(macRoute(1).key)
        #expect(explained.count == 1 && explained.first?.route.ineligibility == reason)
        #expect(explained.first?.step == nil && explained.first?.route.isBest == false)
        #expect(rib.counters(PeerID(1), .l2vpnEVPN).received == 1)
        #expect(rib.counters(PeerID(1), .l2vpnEVPN).accepted == 0)
        #expect(rib.takeChanges().isEmpty)
        let heard = told(&rib, PeerID(2))
        #expect(heard.isEmpty)
        rib.hear(1, [macRoute(1)])
        #expect(rib.counters(PeerID(1), .l2vpnEVPN).accepted == 1)
        #expect(rib.takeChanges().count == 1)
    }
    @Test func ownAddressesMayChangeLater() {
        var rib = makeRIB([peer(1), peer(2, client: true)])
        rib.hear(1, [macRoute(1)])
        #expect(rib.takeChanges().first?.path != nil)
        let heard = told(&rib, PeerID(2))
        #expect(Reader(heard).table.count == 1)
        rib.setOwnAddresses([address(77)])
        #expect(rib.takeChanges().first?.path == nil)
        #expect(rib.counters(PeerID(1), .l2vpnEVPN).accepted == 0)
        let heardNext = told(&rib, PeerID(2))
        #expect(Reader(heardNext).withdrawals == 1)
        rib.setOwnAddresses([])
        #expect(rib.takeChanges().first?.path != nil)
        let heardThen = told(&rib, PeerID(2))
        #expect(Reader(heardThen).table.count == 1)
    }
    @Test func explainNamesStepsInOrder() {
        var rib = makeRIB([peer(1), peer(2), peer(3)])
        rib.hear(1, [prefix], attributes { $0.localPreference = 50 })
        rib.hear(2, [prefix])
        rib.hear(3, [prefix], attributes { $0.nextHop = nil })
        let explained = rib.explain(prefix.key)
        #expect(explained.map(\.route.peer.rawValue) == [2, 1, 3])
        #expect(explained.map(\.step) == [.localPreference, .localPreference, nil])
    }
}
