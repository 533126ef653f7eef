// Who is told what: reflection, external peers, communities, roles, next hops.

import BGP
import NetTypes
import Testing

@testable import BGPEngine

@Suite struct RIBExportTests {
    /// Which of the peers 2... hear a route of peer 1.
    func hearers(_ first: PeerDescription, _ others: [PeerDescription], _ said: PathAttributes = attributes())
        -> [UInt16: PathAttributes]
    {
        var rib = makeRIB([first] + others)
        rib.hear(1, [macRoute(1)], said)
        let heard = told(&rib, PeerID(1))
        #expect(heard.isEmpty, "a route never goes back")
        var result: [UInt16: PathAttributes] = [:]
        for other in others {
            if let heard = Reader(told(&rib, other.id)).table[macRoute(1).key] {
                result[other.id.rawValue] = heard.attributes
            }
        }
        return result
    }
    let others = [peer(2, client: true), peer(3), peer(4, .external)]

    @Test func clientToEverybody() {
        let heard = hearers(peer(1, client: true), others)
        #expect(heard.keys.sorted() == [2, 3, 4])
        for number in [2, 3] as [UInt16] {
            #expect(heard[number]?.originatorID == IPv4Address(rawValue: 0x0a00_0001))
            #expect(heard[number]?.clusterList == [ownRouterID])
            #expect(heard[number]?.localPreference == 100)
            #expect(heard[number]?.nextHop == address(77))
        }
    }
    @Test func nonClientToClientsOnly() {
        #expect(hearers(peer(1), others).keys.sorted() == [2, 4])
    }
    @Test func externalToEverybodyUnreflected() {
        let heard = hearers(
            peer(1, .external), others, attributes { $0.asPath = ASPath([.init(type: .sequence, asns: [65101])]) })
        #expect(heard.keys.sorted() == [2, 3, 4])
        #expect(heard[2]?.originatorID == nil && heard[2]?.clusterList == [])
        #expect(heard[2]?.asPath.segments.first?.asns == [65101])
        #expect(heard[4]?.asPath.segments.first?.asns == [ownASN, 65101])
    }
    @Test func reflectionKeepsOriginatorAndGrowsClusterList() {
        let originator = IPv4Address(rawValue: 42)
        let heard = hearers(
            peer(1), others,
            attributes {
                $0.originatorID = originator
                $0.clusterList = [IPv4Address(rawValue: 5)]
            })
        #expect(heard[2]?.originatorID == originator)
        #expect(heard[2]?.clusterList == [ownRouterID, IPv4Address(rawValue: 5)])
    }
    @Test func externalPeersGetNoInternalAttributes() {
        let heard = hearers(
            peer(1, client: true), others,
            attributes {
                $0.localPreference = 300
                $0.med = 7
                $0.extendedCommunities = [
                    RouteTarget(asn: 1, number: 2).community, ExtendedCommunity(rawValue: 0x4004_0000_0000_0001),
                ]
            })
        #expect(heard[4]?.localPreference == nil && heard[4]?.med == nil)
        #expect(heard[4]?.originatorID == nil && heard[4]?.clusterList == [])
        #expect(heard[4]?.extendedCommunities == [RouteTarget(asn: 1, number: 2).community])
        #expect(heard[4]?.nextHop == address(77), "EVPN next hops stay across eBGP")
        #expect(heard[2]?.localPreference == 300 && heard[2]?.med == 7)
    }
    @Test func communities() {
        #expect(hearers(peer(1, client: true), others, attributes { $0.communities = [0xffff_ff02] }).isEmpty)
        for community in [0xffff_ff01, 0xffff_ff03] as [UInt32] {
            #expect(
                hearers(peer(1, client: true), others, attributes { $0.communities = [community] }).keys.sorted()
                    == [2, 3])
        }
    }
    @Test func unknownAttributes() {
        let heard = hearers(
            peer(1, client: true), others,
            attributes {
                $0.others = [
                    RawAttribute(flags: 0x80, code: 98, value: [1]),
                    RawAttribute(flags: 0xc0, code: 99, value: [1, 2]),
                ]
            })
        #expect(heard[2]?.others == [RawAttribute(flags: 0xe0, code: 99, value: [1, 2])])
    }
    @Test func nextHopSelf() {
        var target = peer(4, .external)
        target.nextHopSelf = [.l2vpnEVPN]
        #expect(hearers(peer(1), [target])[4]?.nextHop == .v4(ownRouterID))
        // Unicast over eBGP does without being asked (RFC 4271 §5.1.3).
        var rib = makeRIB([peer(1), peer(4, .external), peer(2, client: true)])
        rib.hear(1, [unicast("192.0.2.0/24")])
        let heard = told(&rib, PeerID(4))
        #expect(Reader(heard).table.values.first?.attributes.nextHop == .v4(ownRouterID))
        let heardNext = told(&rib, PeerID(2))
        #expect(Reader(heardNext).table.values.first?.attributes.nextHop == address(77))
    }
    @Test func familiesNotNegotiated() {
        #expect(hearers(peer(1), [peer(2, client: true, families: [.ipv4Unicast])]).isEmpty)
    }
    @Test func ownRoutes() {
        var rib = makeRIB(others)
        rib.originate(macRoute(1), attributes { $0.med = 5 })
        rib.originate(unicast("203.0.113.0/24"), attributes { $0.nextHop = nil })
        let hasChanges = rib.hasChanges
        #expect(!hasChanges, "own routes are no news to the control plane")
        for other in others {
            let reader = Reader(told(&rib, other.id))
            #expect(reader.table.count == 2)
            #expect(reader.table[macRoute(1).key]?.attributes.nextHop == address(77))
            #expect(reader.table[macRoute(1).key]?.attributes.med == 5)
            #expect(reader.table[unicast("203.0.113.0/24").key]?.attributes.nextHop == .v4(ownRouterID))
            #expect(reader.table[macRoute(1).key]?.attributes.originatorID == nil)
        }
        rib.originate([LocalRouteChange(key: macRoute(1).key, route: nil)])
        let heard = told(&rib, PeerID(2))
        #expect(Reader(heard).withdrawals == 1)
    }
    /// RFC 9234 §5.
    @Test func roles() {
        func rib(_ from: UInt8?, _ to: UInt8?, _ marker: UInt32?) -> (Ineligibility?, PathAttributes?) {
            var source = peer(1, .external)
            source.role = from
            var target = peer(2, .external)
            target.role = to
            var rib = makeRIB([source, target])
            let prefix = unicast("192.0.2.0/24")
            rib.hear(
                1, [prefix],
                attributes {
                    $0.asPath = ASPath([.init(type: .sequence, asns: [65101])])
                    $0.onlyToCustomer = marker
                })
            return (
                rib.explain(prefix.key).first?.route.ineligibility,
                Reader(told(&rib, PeerID(2))).table[prefix.key]?.attributes
            )
        }
        #expect(rib(0, nil, 1).0 == .roleLeak, "a customer must not send OTC")
        #expect(rib(4, nil, 1).0 == .roleLeak, "a peer may only send its own")
        #expect(rib(4, nil, 65101).0 == nil)
        #expect(rib(3, nil, nil).1?.onlyToCustomer == 65101, "from a provider: added")
        #expect(rib(3, 3, nil).1 == nil, "not from provider to provider")
        #expect(rib(3, 4, nil).1 == nil)
        #expect(rib(3, 0, nil).1?.onlyToCustomer == 65101)
        #expect(rib(0, 0, nil).1?.onlyToCustomer == ownASN, "to a customer: added")
    }
}
