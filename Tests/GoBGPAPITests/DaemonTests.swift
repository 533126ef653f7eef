// What gobgpd 3.10 really answers (Tests/Vectors/gobgp-api/gobgpd.hex, made by its capture.sh), after it got our own messages.

import BGP
import GoBGPAPI
import NetTypes
import Testing

struct DaemonTests {
    private let lines = vectorLines("gobgpd")
    private func octets(_ name: String) -> [[UInt8]] { lines.filter { $0.name == name }.map(\.octets) }

    /// Paths of the watch, by key.
    private func watched() throws -> [RouteKey: APIPath] {
        var decoder = WatchEventDecoder(.v3)
        var paths: [RouteKey: APIPath] = [:]
        var peers: [PeerEvent.Kind] = []
        for message in octets("event") {
            decoder.begin()
            try decoder.append(message) { element in
                switch element {
                case .path(.success(let path)): paths[path.key] = path
                case .path(.failure(let fault)): Issue.record("\(fault)")
                case .peer(let event): peers.append(event.kind)
                }
            }
            _ = try decoder.end()
        }
        #expect(peers == [.present, .endOfPresent])
        return paths
    }

    @Test func ourPathsComeBack() throws {
        let paths = try watched()
        #expect(paths.count == Samples.routes.count + 7)
        for index in Samples.routes.indices {
            let sent = Samples.path(index)
            let back = try #require(paths[sent.key], "\(Samples.routes[index].name)")
            // 3.10 drops the link-local next hop, and says when it got the path and that it is its own.
            var expected = sent
            expected.attributes.linkLocalNextHop = nil
            expected.age = back.age
            expected.neighbor = nil
            #expect(back == expected, "\(Samples.routes[index].name)")
            #expect(back.isLocal && !back.isBest && back.age.map { $0.seconds > 1_700_000_000 } == true)
        }
    }

    @Test func pathsOfTheCommandLine() throws {
        let paths = try watched()
        func path(_ route: EVPNRoute) throws -> APIPath { try #require(paths[RouteKey(route)]) }
        let macIP = try path(
            .macIP(
                MACIPRoute(
                    rd: rd("10.99.0.9:100"), mac: mac("02:00:00:00:00:aa"), ip: ip("10.0.0.200"), label1: 0)))
        #expect(macIP.payload.label1 == 100 && macIP.payload.label2 == 500)
        #expect(macIP.attributes.nextHop == ip("10.99.0.9") && macIP.attributes.routerMAC == mac("02:00:00:00:01:00"))
        #expect(macIP.attributes.encapsulationTypes == [8])
        #expect(macIP.attributes.routeTargets == [RouteTarget("65000:100")])
        let gateway = try path(
            .macIP(MACIPRoute(rd: rd("10.99.0.9:100"), mac: mac("02:00:00:00:00:ab"), label1: 0)))
        #expect(gateway.attributes.isDefaultGateway && gateway.key.address == nil)
        let imet = try path(
            .inclusiveMulticast(
                InclusiveMulticastRoute(rd: rd("10.99.0.9:100"), ethernetTag: 0, originator: ip("10.99.0.9"))))
        #expect(imet.attributes.pmsiTunnel == .ingressReplication(label: 100, endpoint: ip("10.99.0.9")))
        let lacp = EthernetSegmentID(high: 0x01aa_bbcc_ddee_ff00, low: 0x6400)
        let segment = try path(
            .ethernetSegment(EthernetSegmentRoute(rd: rd("10.99.0.9:0"), esi: lacp, originator: ip("10.99.0.9"))))
        #expect(segment.attributes.extendedCommunities == [.esImport(mac("aa:bb:cc:dd:ee:ff"))])
        let discovery = try path(
            .ethernetAutoDiscovery(
                EthernetAutoDiscoveryRoute(rd: rd("10.99.0.9:0"), esi: lacp, ethernetTag: 0, label: 0)))
        #expect(discovery.payload.label1 == 7)
        #expect(discovery.attributes.extendedCommunities.last == .esiLabel(singleActive: false, label: 7))
        let prefixRoute = try path(
            .ipPrefix(
                IPPrefixRoute(
                    rd: rd("10.99.0.9:500"), prefix: prefix("2001:db8:5::/48"), gateway: ip("::"), label: 0)))
        // Without "nexthop" the command line says 0.0.0.0.
        #expect(prefixRoute.payload.label1 == 500 && prefixRoute.attributes.nextHop == ip("0.0.0.0"))
        let unicast = try #require(paths[RouteKey(unicast: prefix("192.0.2.77/32"))])
        #expect(unicast.attributes.communities == [65000 << 16 | 100])
        #expect(unicast.attributes.largeCommunities == [LargeCommunity(4_200_000_000, 0, 70000)])
        #expect(unicast.attributes.med == 5 && unicast.attributes.localPreference == 200)
        // AIGP, which is not transitive, is dropped as from an UPDATE.
        #expect(unicast.attributes.others == [] && unicast.skippedAttributes == [])
    }

    /// A list as octets says the same as the watch says in messages.
    @Test func octetsAndMessagesAgree() throws {
        let paths = try watched()
        var count = 0
        var refused = 0
        for message in octets("octets") {
            for path in try ListPathReply(decoding: message, .v3).content?.paths ?? [] {
                count += 1
                if case .failure(let fault) = path {
                    // A gateway and an ESI: the octets are judged as an UPDATE's (RFC 9136 §3.1).
                    #expect(fault.reason == "mp_reach gateway and ESI" && fault.key?.kind == .ipPrefix)
                    refused += 1
                    continue
                }
                var listed = try path.get()
                var expected = try #require(paths[listed.key])
                #expect(listed.isBest)
                listed.isBest = false
                // Not an UPDATE's place to judge: a malformed prefix SID is discarded (RFC 8669), an unknown attribute is not.
                expected.attributes.others.removeAll { $0.code == AttributeCode.prefixSID }
                #expect(listed == expected, "\(listed.key)")
            }
        }
        #expect(refused == 1)
        // The EVPN and the IPv4 table were listed.
        #expect(count == paths.values.filter { $0.key.kind != .ipv6Unicast }.count)
    }

    @Test func management() throws {
        let global = try #require(try GetBgpReply(decoding: octets("global").first ?? [], .v3).content)
        #expect(global.asn == 65000 && global.routerID == "10.0.0.1" && global.listenPort == -1 && global.isStarted)
        let peer = try #require(try ListPeerReply(decoding: octets("peer").first ?? [], .v3).content)
        #expect(peer.address == "10.0.0.2" && peer.asn == 65000 && peer.configuration.peerASN == 65000)
        #expect([.idle, .connect, .active].contains(peer.state.session) && peer.timers.state.uptime == nil)
        #expect(peer.families.map(\.family) == [.l2vpnEVPN] && peer.families.first?.isEnabled == true)
        #expect(peer.timers.configuration.holdTime == 90)
        let group = try #require(try ListPeerGroupReply(decoding: octets("group").first ?? [], .v3).content)
        #expect(group.configuration.name == "vteps" && group.configuration.peerASN == 65000)
        let dynamic = try ListDynamicNeighborReply(decoding: octets("dynamic").first ?? [], .v3).content
        #expect(dynamic == DynamicNeighbor(prefix: "10.99.0.0/24", peerGroup: "vteps"))
    }
}
