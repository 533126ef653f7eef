// gobgpd's word on a neighbor in the terms of `show neighbors`.

import BGP
import BGPEngine
import GoBGPAPI
import NetTypes

extension NeighborStatus {
    /// Nil for a neighbor with neither address nor interface. `wallClock`: seconds since 1970.
    init?(_ peer: Peer, now: Instant, wallClock: Int64, _ configuration: BGPConfiguration) {
        let interface = peer.configuration.neighborInterface
        // A link-local address comes with its interface.
        guard
            let address = IPAddress(String(peer.address.prefix { $0 != "%" })) ?? (interface.isEmpty ? nil : .v6(.any))
        else { return nil }
        let state: SessionState =
            switch peer.state.session {
            case .unknown, .idle: .idle
            case .connect: .connect
            case .active: .active
            case .openSent: .openSent
            case .openConfirm: .openConfirm
            case .established: .established
            }
        let stamp = state == .established ? peer.timers.state.uptime : peer.timers.state.downtime
        let age = stamp.map { max(0, wallClock &- $0.seconds) } ?? 0
        self.init(
            address: address, peerASN: peer.asn,
            localASN: peer.state.localASN == 0 ? configuration.asn : peer.state.localASN, state: state,
            since: now + .seconds(-min(age, 1 << 31)))
        self.interface = interface.isEmpty ? nil : interface
        description = peer.configuration.description.isEmpty ? nil : peer.configuration.description
        peerGroup = peer.configuration.peerGroup.isEmpty ? nil : peer.configuration.peerGroup
        isDynamic = peer.configuration.neighborAddress.isEmpty && interface.isEmpty
        isReflectorClient = peer.routeReflector.isClient
        routerID = IPv4Address(peer.state.routerID)
        localAddress = IPAddress(peer.transport.localAddress)
        holdTimeSeconds = UInt16(clamping: peer.timers.state.negotiatedHoldTime)
        keepaliveSeconds = UInt16(clamping: peer.timers.state.keepaliveInterval)
        families = peer.families.compactMap { family in
            guard let name = family.family else { return nil }
            var counters = RouteCounters()
            counters.received = Int(clamping: family.received)
            counters.accepted = Int(clamping: family.accepted)
            // gobgpd would walk through its tables to count them.
            counters.advertised = nil
            return FamilyStatus(family: name, counters: counters, hasEndOfRIB: family.endOfRIBReceived)
        }
        isAdminDown = peer.state.administrative == .down
        if peer.state.administrative == .prefixLimit {
            lastError = "prefix limit exceeded"
        } else if !peer.state.disconnectMessage.isEmpty {
            lastError = peer.state.disconnectMessage
        }
        messagesIn = peer.state.messages.received.total
        messagesOut = peer.state.messages.sent.total
        established = UInt64(peer.state.flaps)
    }
}
