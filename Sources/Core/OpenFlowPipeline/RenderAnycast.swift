// Anycast addresses of routed clients: packets to them are translated to the client's own address with connection tracking, and probes
// between the check port and the client without it.

import EVPN
import NetTypes
import OpenFlow

extension FlowTables {
    private typealias Table = Layout.Table
    private typealias Priority = Layout.Priority

    /// Packets to an anycast address: once through connection tracking, then translated and sent.
    func renderAnycast(
        _ anycast: AnycastAddress, _ send: [Action], _ table: UInt8, _ priority: UInt16, _ match: [MatchField]
    ) -> [Flow] {
        let translate = Action.connectionTracking(
            ConnectionTracking(
                commits: true, zone: .number(anycast.zone), nat: .destination(NATRange(anycast.target))))
        return [
            Flow(
                .route, table, priority, match + [.connectionState(set: [], unset: .tracked)],
                [.connectionTracking(ConnectionTracking(table: table, zone: .number(anycast.zone)))]),
            Flow(
                .route, table, priority, match + [.connectionState(set: .tracked)],
                [translate, .decrementTTL] + send),
        ]
    }

    /// What comes from a client's own address belongs to a translated connection, or goes on as it is; its answers to probes go to
    /// the check port.
    func renderAnycastPort(
        _ client: RoutedClient, _ place: Place, _ match: [MatchField], toRouter: [MatchField], _ classify: [Action]
    ) -> [Flow] {
        var flows: [Flow] = []
        var targets: Set<IPAddress> = []
        var answers: Set<[IPAddress]> = []
        let targetsOfCheck = Dictionary(grouping: client.anycast, by: \.check).mapValues { Set($0.map(\.target)) }
        for anycast in client.anycast where anycast.isOfOneFamily {
            let ip = MatchField.ip(isV6: anycast.address.isV6)
            if model.enabledAnycast.contains(anycast), targets.insert(anycast.target).inserted {
                let zone = ConnectionTracking.Zone.number(anycast.zone)
                let own = toRouter + [ip, .source(anycast.target)]
                flows += [
                    Flow(
                        .port, Table.classify, Priority.special, own + [.connectionState(set: [], unset: .tracked)],
                        [.connectionTracking(ConnectionTracking(table: Table.classify, zone: zone))]),
                    Flow(
                        .port, Table.classify, Priority.special,
                        own + [.connectionState(set: [.established, .tracked])],
                        [.connectionTracking(ConnectionTracking(commits: true, zone: zone, nat: .existing))] + classify
                    ),
                ]
            }
            // Who answers one that probes several is told by its address.
            let isShared = (targetsOfCheck[anycast.check]?.count ?? 0) > 1
            let own = isShared ? [anycast.check, anycast.target] : [anycast.check]
            if let port = model.bridge.anycastCheck, answers.insert(own).inserted {
                // Those come from its own address too. evpn-connector leaves it to Open vSwitch which flow takes them.
                let priority = model.isCompatible ? Priority.special : Priority.probe
                flows.append(
                    Flow(
                        .check, Table.classify, priority,
                        match + [ip, .destination(anycast.check)] + (isShared ? [.source(anycast.target)] : []),
                        (place.tag == 0 ? [] : [.popVLAN])
                            + [
                                .setField(.source(anycast.internalTarget)),
                                .setField(.destination(anycast.internalChecker)), .destination(port.mac),
                                .output(port.number),
                            ]))
            }
        }
        return flows
    }

    /// The check port: whatever the checker asks for is at this router, and its probes go to the clients.
    func renderCheck() -> [Flow] {
        guard let port = model.bridge.anycastCheck else { return [] }
        var flows: [Flow] = []
        let match = MatchField.inPort(PortNumber(port.number))
        var seen: Set<IPAddress> = []
        var families: Set<Bool> = []
        for (index, client) in model.routed.enumerated() {
            guard !client.anycast.isEmpty, let place = place(of: .routed(index)), model.vrfs[client.vrf] != nil else {
                continue
            }
            for anycast in client.anycast where anycast.isOfOneFamily && seen.insert(anycast.internalTarget).inserted {
                families.insert(anycast.address.isV6)
                flows.append(
                    Flow(
                        .check, Table.classify, Priority.special,
                        [
                            match, .ip(isV6: anycast.address.isV6), .destination(anycast.internalTarget),
                        ],
                        [
                            .setField(.source(anycast.check)), .setField(.destination(anycast.target)),
                            .destination(client.mac),
                        ] + output(to: place)))
            }
        }
        let mac = model.bridge.routerMAC
        if families.contains(false) {
            flows.append(Flow(.check, Table.classify, Priority.special, [match, .arp], proxyReply(mac)))
        }
        if families.contains(true), !model.isCompatible {
            flows.append(
                Flow(
                    .check, Table.classify, Priority.proxy,
                    [match] + MatchField.discovery(Layout.Discovery.solicitation),
                    discoveryReply(mac, isRouter: true)))
        }
        return flows
    }
}
