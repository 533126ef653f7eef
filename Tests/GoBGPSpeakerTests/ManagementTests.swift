// What is changed in a gobgpd that is managed, and what is left alone.

import BGP
import BGPEngine
import GoBGPAPI
import NetTypes
import Testing

@testable import GoBGPSpeaker

@Suite struct ManagementTests {
    private func configuration(_ change: (inout BGPConfiguration) -> Void = { _ in }) -> BGPConfiguration {
        var configuration = BGPConfiguration(asn: 65000, routerID: IPv4Address(rawValue: 0x0a00_0001))
        var neighbor = NeighborConfiguration(address: .v4(IPv4Address(rawValue: 0x0a00_0002)), peerASN: 65000)
        neighbor.description = "two"
        neighbor.password = "secret"
        neighbor.isRouteReflectorClient = true
        neighbor.families = [FamilyConfiguration(.l2vpnEVPN)]
        configuration.neighbors = [neighbor]
        if let prefix = IPPrefix(.v4(IPv4Address(rawValue: 0x0a01_0000)), length: 16) {
            configuration.dynamicNeighbors = [DynamicNeighborConfiguration(prefix: prefix, template: neighbor)]
        }
        change(&configuration)
        return configuration
    }
    /// What gobgpd shows of `state`: with its own values filled in, and sessions.
    private func shown(_ state: ManagedState) -> ManagedState {
        var state = state
        for index in state.peers.indices {
            state.peers[index].configuration.localASN = 65000
            state.peers[index].transport.remotePort = 179
            state.peers[index].transport.localAddress = "10.0.0.1"
            state.peers[index].state.session = .established
            state.peers[index].timers.configuration.idleHoldTimeAfterReset = 30
            state.peers[index].timers.state.negotiatedHoldTime = 90
            state.peers[index].families[0].received = 17
        }
        return state
    }

    @Test func anEmptyDaemonGetsEverythingInOrder() {
        let steps = Management.plan(Management.desired(configuration()), ManagedState(), owned: [])
        #expect(
            steps.map(\.description) == [
                "add peer-group evpnd-10.1.0.0-16", "add dynamic-neighbor 10.1.0.0/16 evpnd-10.1.0.0-16",
                "add neighbor 10.0.0.2",
            ])
    }

    @Test func theSecondPlanIsEmpty() {
        let desired = Management.desired(configuration())
        #expect(Management.plan(desired, shown(desired), owned: []).isEmpty)
    }

    @Test func onlyWhatDiffersIsUpdatedAndTheRestIsSentBack() {
        let found = shown(Management.desired(configuration()))
        let desired = Management.desired(configuration { $0.neighbors[0].holdTimeSeconds = 30 })
        let steps = Management.plan(desired, found, owned: [])
        guard case .updatePeer(let peer)? = steps.first, steps.count == 1 else { return #expect(Bool(false)) }
        #expect(peer.timers.configuration.holdTime == 30)
        #expect(peer.timers.configuration.idleHoldTimeAfterReset == 30)
        #expect(peer.state == PeerState())
    }

    @Test func aDescriptionIsNotWorthASession() {
        let found = shown(Management.desired(configuration()))
        let desired = Management.desired(configuration { $0.neighbors[0].description = "deux" })
        #expect(Management.plan(desired, found, owned: []).isEmpty)
    }

    @Test(
        arguments: [
            { $0.neighbors[0].peerASN = 65001 }, { $0.neighbors[0].password = "other" },
            { $0.neighbors[0].isAdminDown = true },
            { $0.neighbors[0].isPassive = true }, { $0.neighbors[0].multihopTTL = 9 },
            { $0.neighbors[0].ttlSecurityHops = 1 }, { $0.neighbors[0].isRouteReflectorClient = false },
            { $0.neighbors[0].remotePort = 1790 },
            { $0.neighbors[0].families.append(FamilyConfiguration(.ipv4Unicast)) },
            { $0.neighbors[0].families[0].prefixLimit = PrefixLimit(maximum: 9) },
            { $0.gracefulRestart.isEnabled = false },
        ] as [@Sendable (inout BGPConfiguration) -> Void])
    func everySettingIsCompared(_ change: @Sendable (inout BGPConfiguration) -> Void) {
        let found = shown(Management.desired(configuration { $0.dynamicNeighbors = [] }))
        var changed = configuration(change)
        changed.dynamicNeighbors = []
        let desired = Management.desired(changed)
        let steps = Management.plan(desired, found, owned: [])
        #expect(steps.map(\.description) == ["update neighbor 10.0.0.2"])
        // And what was sent satisfies.
        if case .updatePeer(let peer)? = steps.first {
            #expect(Management.plan(desired, ManagedState(peers: [peer]), owned: []).isEmpty)
        }
    }

    @Test func onlyWhatIsOursIsDeleted() {
        let found = shown(Management.desired(configuration()))
        let nothing = ManagedState()
        #expect(Management.plan(nothing, found, owned: []).isEmpty)
        let steps = Management.plan(nothing, found, owned: Management.objects(found))
        #expect(
            steps.map(\.description) == [
                "delete dynamic-neighbor 10.1.0.0/16 evpnd-10.1.0.0-16", "delete neighbor 10.0.0.2",
                "delete peer-group evpnd-10.1.0.0-16",
            ])
    }

    @Test func objectsSurviveTheirFile() {
        let objects = Management.objects(Management.desired(configuration()))
        #expect(Set(objects.compactMap { ManagedObject(line: Substring($0.line)) }) == objects)
        for line in ["", "neighbor", "neighbor a b", "what 1", "dynamic-neighbor x"] {
            #expect(ManagedObject(line: Substring(line)) == nil)
        }
    }

    @Test func whatOnlyANewStartCanChangeIsTold() {
        var global = Global(asn: 65000, routerID: IPv4Address(rawValue: 0x0a00_0001), listenPort: 179)
        #expect(Management.differences(global, configuration()).isEmpty)
        global.asn = 65001
        global.listenPort = -1
        #expect(
            Management.differences(global, configuration()) == [
                "gobgpd runs with AS 65001 instead of 65000; restart gobgpd to change that",
                "gobgpd runs with port none instead of 179; restart gobgpd to change that",
            ])
    }
}
