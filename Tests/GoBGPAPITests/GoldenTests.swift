// Messages as protoc encodes them (Tests/Vectors/gobgp-api, made by its make.py): reading and writing are exact in both generations.

import BGP
import GoBGPAPI
import NetTypes
import Testing

/// Octets by name.
private func vectors(_ generation: APIGeneration) -> [String: [UInt8]] {
    Dictionary(vectorLines(generation.rawValue).map { ($0.name, $0.octets) }) { first, _ in first }
}

struct GoldenTests {
    private let all = [APIGeneration.v3: vectors(.v3), .v4: vectors(.v4)]

    private func check<M: APIMessage>(
        _ name: String, _ message: M, only generations: [APIGeneration] = APIGeneration.allCases,
        location: SourceLocation = #_sourceLocation
    ) throws {
        for generation in generations {
            let octets = try #require(all[generation]?[name], "\(name)", sourceLocation: location)
            let read = try M(decoding: octets, generation)
            #expect(read == message, "\(name) \(generation) read", sourceLocation: location)
            #expect(
                hexString(message.encoded(generation)) == hexString(octets), "\(name) \(generation) written",
                sourceLocation: location)
        }
    }

    @Test func everyRouteWithEveryAttribute() throws {
        for index in Samples.routes.indices {
            try check("path-\(Samples.routes[index].name)", AddPathRequest(Samples.path(index)))
        }
    }
    @Test func deletions() throws {
        for route in Samples.routes { try check("delete-\(route.name)", DeletePathRequest(route.key, route.payload)) }
    }

    /// What gobgpd spells out and the model keeps as octets is read only.
    @Test func rareAttributes() throws {
        for generation in APIGeneration.allCases {
            let octets = try #require(all[generation]?["rare"])
            let reply = try ListPathReply(decoding: octets, generation)
            guard case .success(let path)? = reply.content?.paths.first else {
                Issue.record("\(generation): \(String(describing: reply.content?.paths))")
                return
            }
            #expect(path.key == RouteKey(unicast: prefix("192.0.2.1/32")) && path.skippedAttributes == [])
            #expect(
                path.attributes.extendedCommunities.map { hexString(PathTests.octets($0)) } == [
                    "8006fde8447a0000", "8007000000000003", "8008fde800000007", "8108c00002010007",
                    "8208fa56ea000007", "800900000000002e", "0c00000100000002",
                ])
            let others = path.attributes.others.map { "\($0.flags) \($0.code) \(hexString($0.value))" }
            #expect(
                others == [
                    // Encapsulation, protocol, color, egress endpoint, UDP port and an unknown sub-TLV, in a TLV of type VXLAN.
                    "192 23 0008002a" + "0106000000050102" + "02020800" + "0408030b00000000004d"
                        + "060a000000000001c0000207" + "080212b5" + "c8000101",
                    "192 25 000220010db80000000000000000000000010007000b20010db80000000000000000000000010007",
                ])
        }
    }

    @Test func watching() throws {
        try check("watch-best", WatchEventRequest.bestPaths())
        var both = WatchEventRequest.peers
        both.filters = [WatchEventRequest.Filter(.postPolicy, includesPresent: false)]
        try check("watch-both", both)
        let path = { (name: String) in Samples.routes.firstIndex { $0.name == name }.map { Samples.path($0) } }
        try check("event-table", WatchEventReply([path("mac-ipv4"), path("ipv6")].compactMap { $0 }))
        try check("event-empty", WatchEventReply([]))
        for generation in APIGeneration.allCases {
            var event = PeerEvent()
            event.kind = .change
            event.peer = peer(generation)
            try check("event-peer", WatchEventReply(event), only: [generation])
        }
        var list = ListPathRequest(.l2vpnEVPN)
        list.table = .adjRIBIn
        list.name = "192.0.2.254"
        list.lookups = [ListPathRequest.Lookup("macadv")]
        list.includesFiltered = true
        list.asOctets = true
        try check("list-path", list)
    }

    // MARK: Management

    private var applied: ApplyPolicy {
        var result = ApplyPolicy()
        result.exporting = PolicyAssignment()
        result.exporting?.name = "x"
        result.exporting?.direction = .exporting
        result.exporting?.policies = [named("p")]
        result.exporting?.defaultAction = .accept
        result.importing = PolicyAssignment()
        result.importing?.direction = .importing
        return result
    }
    private func named(_ name: String) -> Policy {
        var policy = Policy()
        policy.name = name
        return policy
    }
    private var restart: GracefulRestart {
        var restart = GracefulRestart()
        restart.isEnabled = true
        restart.restartTime = 120
        return restart
    }
    private var timers: Timers {
        var timers = Timers()
        timers.configuration.connectRetry = 1
        timers.configuration.holdTime = 90
        timers.configuration.keepaliveInterval = 30
        timers.configuration.minimumAdvertisementInterval = 2
        timers.configuration.idleHoldTimeAfterReset = 3
        timers.state.keepaliveInterval = 30
        timers.state.negotiatedHoldTime = 90
        timers.state.uptime = APITime(seconds: 1_700_000_000)
        timers.state.downtime = APITime(seconds: 1_600_000_000, nanoseconds: 7)
        return timers
    }
    private var transport: Transport {
        var transport = Transport()
        transport.localAddress = "192.0.2.1"
        transport.localPort = 1
        transport.isPassive = true
        transport.remotePort = 1179
        transport.tcpMSS = 1400
        transport.bindInterface = "eth0"
        return transport
    }
    private var fullRestart: GracefulRestart {
        var restart = restart
        restart.isHelperOnly = true
        restart.deferralTime = 60
        restart.notificationEnabled = true
        restart.longLivedEnabled = true
        restart.staleRoutesTime = 99
        return restart
    }
    private var families: [PeerFamily] {
        var evpn = PeerFamily(.l2vpnEVPN)
        evpn.restartIsEnabled = true
        evpn.endOfRIBReceived = true
        evpn.endOfRIBSent = true
        evpn.stateIsEnabled = true
        evpn.received = 10
        evpn.accepted = 9
        evpn.advertised = 8
        evpn.applyPolicy = applied
        var limit = PeerFamily.PrefixLimit()
        limit.maximum = 1000
        limit.thresholdPercent = 80
        evpn.prefixLimit = limit
        evpn.addPathReceive = true
        evpn.addPathSendMaximum = 4
        return [evpn, PeerFamily(.ipv6Unicast)]
    }
    private var multihop: EBGPMultihop {
        var multihop = EBGPMultihop()
        multihop.isEnabled = true
        multihop.ttl = 5
        return multihop
    }
    private var ttlSecurity: TTLSecurity {
        var security = TTLSecurity()
        security.isEnabled = true
        security.minimumTTL = 254
        return security
    }
    private var routeServer: RouteServer {
        var server = RouteServer()
        server.isClient = true
        server.secondaryRoute = true
        return server
    }

    private func peer(_ generation: APIGeneration) -> Peer {
        var peer = Peer()
        peer.applyPolicy = applied
        peer.configuration.authPassword = "secret"
        peer.configuration.description = "spine"
        peer.configuration.localASN = 65001
        peer.configuration.neighborAddress = "192.0.2.254"
        peer.configuration.peerASN = 65000
        peer.configuration.peerGroup = "spines"
        peer.configuration.removePrivate = .replace
        peer.configuration.neighborInterface = "eth1"
        peer.configuration.vrf = "red"
        peer.configuration.allowOwnASN = 2
        peer.configuration.replacesPeerASN = true
        peer.configuration.isAdminDown = true
        peer.ebgpMultihop = multihop
        peer.routeReflector.isClient = true
        peer.routeReflector.clusterID = "192.0.2.3"
        peer.state.description = "spine"
        peer.state.localASN = 65001
        peer.state.messages.received.notification = 1
        peer.state.messages.received.update = 2
        peer.state.messages.received.open = 3
        peer.state.messages.received.keepalive = 4
        peer.state.messages.received.refresh = 5
        peer.state.messages.received.discarded = 6
        peer.state.messages.received.total = 21
        peer.state.messages.sent.total = 9
        peer.state.neighborAddress = "192.0.2.254"
        peer.state.peerASN = 65000
        peer.state.peerGroup = "spines"
        peer.state.session = .established
        peer.state.administrative = .down
        peer.state.flaps = 3
        peer.state.routerID = "192.0.2.254"
        if generation == .v4 {
            peer.state.disconnectReason = 4
            peer.state.disconnectMessage = "ceased"
        }
        peer.timers = timers
        peer.transport = transport
        peer.routeServer = routeServer
        peer.gracefulRestart = fullRestart
        peer.families = families
        peer.ttlSecurity = ttlSecurity
        return peer
    }

    @Test func daemon() throws {
        for generation in APIGeneration.allCases {
            var global = Global(asn: 4_200_000_000, routerID: v4("192.0.2.1"), listenPort: -1)
            global.listenAddresses = ["192.0.2.1", "::"]
            global.usesMultiplePaths = true
            global.routeSelection.alwaysCompareMED = true
            global.routeSelection.ignoresASPathLength = true
            global.routeSelection.comparesExternalRouterID = true
            global.confederation.isEnabled = true
            global.confederation.identifier = 65000
            global.confederation.members = [65001, 65002]
            global.gracefulRestart = restart
            if generation == .v3 { global.applyPolicy = applied }
            global.bindToDevice = "eth0"
            try check("global", GetBgpReply(global), only: [generation])
        }
    }

    @Test func neighbors() throws {
        for generation in APIGeneration.allCases {
            try check("peer", ListPeerReply(peer(generation)), only: [generation])
        }
        var update = UpdatePeerRequest()
        update.peer.configuration.neighborAddress = "192.0.2.254"
        update.doesSoftResetIn = true
        try check("update-peer", update)
        var reset = ResetPeerRequest()
        reset.address = "192.0.2.254"
        reset.communication = "bye"
        reset.isSoft = true
        reset.direction = .both
        try check("reset-peer", reset)

        var group = PeerGroup()
        group.applyPolicy = applied
        group.configuration.authPassword = "secret"
        group.configuration.description = "all"
        group.configuration.localASN = 65001
        group.configuration.peerASN = 65000
        group.configuration.name = "spines"
        group.configuration.removePrivate = .all
        group.ebgpMultihop = multihop
        group.routeReflector.isClient = true
        group.timers = timers
        group.transport = transport
        group.routeServer = routeServer
        group.gracefulRestart = fullRestart
        group.families = families
        group.ttlSecurity = ttlSecurity
        try check("group", AddPeerGroupRequest(group))
        try check("dynamic", AddDynamicNeighborRequest(DynamicNeighbor(prefix: "192.0.2.0/24", peerGroup: "spines")))
    }

    @Test func routeTargetsOfVRFs() throws {
        var vrf = VRF()
        vrf.name = "red"
        vrf.rd = rd("65000:9")
        vrf.importTargets = [RouteTarget("65000:100"), RouteTarget("192.0.2.1:7")].compactMap { $0 }
        vrf.exportTargets = [RouteTarget("4200000000:9")].compactMap { $0 }
        vrf.id = 5
        try check("vrf", AddVRFRequest(vrf))
    }

    @Test func policies() throws {
        var prefixes = AddDefinedSetRequest()
        prefixes.set.name = "a"
        var element = DefinedSet.Prefix()
        element.prefix = "10.0.0.0/8"
        element.minimumLength = 8
        element.maximumLength = 24
        prefixes.set.prefixes = [element]
        try check("set-prefix", prefixes)
        var large = AddDefinedSetRequest()
        large.set.type = .largeCommunity
        large.set.name = "f"
        large.set.list = ["65000:1:2", ""]
        try check("set-large", large)
        var list = ListDefinedSetRequest()
        list.type = .nextHop
        list.name = "n"
        try check("list-set", list)

        var conditions = Conditions()
        conditions.prefixSet = MatchSet("a")
        conditions.neighborSet = MatchSet("b", match: .invert)
        conditions.asPathLength = Conditions.ASPathLength()
        conditions.asPathLength?.comparison = .lessOrEqual
        conditions.asPathLength?.length = 5
        conditions.asPathSet = MatchSet("c", match: .all)
        conditions.communitySet = MatchSet("d")
        conditions.extendedCommunitySet = MatchSet("e", match: .all)
        conditions.rpkiResult = -1
        conditions.routeType = .local
        conditions.largeCommunitySet = MatchSet("f")
        conditions.nextHops = ["192.0.2.1"]
        var actions = Actions()
        actions.routeAction = .reject
        actions.communities = Actions.Communities()
        actions.communities?.change = .remove
        actions.communities?.communities = ["65000:1"]
        actions.med = Actions.MED()
        actions.med?.change = .replace
        actions.med?.value = -5
        actions.prepend = Actions.Prepend()
        actions.prepend?.asn = 65000
        actions.prepend?.count = 2
        actions.prepend?.usesLeftMost = true
        actions.extendedCommunities = Actions.Communities()
        actions.extendedCommunities?.change = .replace
        actions.extendedCommunities?.communities = ["rt:65000:100"]
        actions.nextHop = Actions.NextHop()
        actions.nextHop?.address = "192.0.2.1"
        actions.nextHop?.isSelf = true
        actions.nextHop?.isUnchanged = true
        actions.localPreference = Actions.LocalPreference()
        actions.largeCommunities = Actions.Communities()
        var statement = Statement()
        statement.name = "s"
        statement.conditions = conditions
        statement.actions = actions
        var last = Statement()
        last.name = "t"
        var request = AddPolicyRequest()
        request.policy.name = "p"
        request.policy.statements = [statement, last]
        request.refersToExistingStatements = true
        try check("policy", request)

        var assignment = PolicyAssignment()
        assignment.name = "global"
        assignment.direction = .exporting
        assignment.policies = [named("p")]
        assignment.defaultAction = .reject
        try check("assignment", AddPolicyAssignmentRequest(assignment))
    }
}
