// Questions that the bridge answers itself: ARP and neighbor solicitations for hosts that are known and for gateways, echo requests to
// gateways. An answer is the question turned around (tables 3 to 5); what is not known is flooded like anything else.

import EVPN
import NetTypes
import OpenFlow

extension FlowTables {
    private typealias Table = Layout.Table
    private typealias Priority = Layout.Priority
    private typealias Register = Layout.Register

    /// Whether ports whose MAC addresses are learned can be there at all.
    private var hasLearning: Bool { model.bridge.learningSeconds != nil }

    func renderBase() -> [Flow] {
        guard model.isConfigured else { return [] }
        var flows = [Table.classify, Table.forward, Table.paths].map { Flow(.base, $0, Priority.none, [], []) }
        guard !model.isCompatible else { return flows }
        let fromPort = [MatchField.register(Register.direction, 1), .register(Register.asked, 0)]
        // Questions to many from local ports.
        flows += [
            Flow(
                .base, Table.forward, Priority.question,
                fromPort + [.arp, .arpOperation(1), .ethernetDestination(.broadcast)], [.lookup(Table.answers)]),
            Flow(
                .base, Table.forward, Priority.question,
                fromPort + MatchField.discovery(Layout.Discovery.solicitation) + [.ethernetGroup],
                [.lookup(Table.answers)]),
            // Nobody is asked: a host wants to know whether an address is free (RFC 5227, RFC 4862 §5.4.2).
            Flow(.base, Table.answers, Priority.question, [.arp, .arpSource(.any)], goOn),
            Flow(
                .base, Table.answers, Priority.question,
                MatchField.discovery(Layout.Discovery.solicitation) + [.source(.v6(.any))], goOn),
            Flow(.base, Table.answers, Priority.none, [], goOn),
        ]
        flows += renderReplies()
        // What no default route may take: multicast and link-local destinations, and above 224.0.0.0 everything.
        for text in ["224.0.0.0/3", "169.254.0.0/16", "ff00::/8", "fe80::/10"] {
            guard let prefix = IPPrefix(text) else { continue }
            flows.append(
                Flow(
                    .base, Table.forward, prefix.length == 16 ? Priority.linkLocal : Priority.unroutable,
                    [.register(Register.domain, 0), .ip(isV6: prefix.address.isV6), .destination(prefix)], []))
        }
        if hasLearning {
            let group = MACAddress(rawValue: 0x0100_0000_0000)
            flows += [
                Flow(.base, Table.sources, Priority.special, [.ethernetSource(group, mask: group)], []),
                Flow(.base, Table.sources, Priority.miss, [], [.controller(maxLength: 128)]),
                Flow(.base, Table.sources, Priority.none, [], []),
            ]
        }
        return flows
    }

    /// The question is flooded.
    private var goOn: [Action] { [.load(Register.asked, 1), .lookup(Table.forward)] }

    /// Tables 4 and 5: the same for all questions. The source MAC address is that of the answer already.
    private func renderReplies() -> [Flow] {
        [
            Flow(
                .base, Table.reply, Priority.normal, [.arp],
                [
                    .setField(.arpOperation(2)), .copy(.arpSourceHardware, .arpTargetHardware),
                    .copy(.ethernetSource, .arpSourceHardware), .copy(.arpTarget, .register5),
                    .copy(.arpSource, .arpTarget), .copy(.register5, .arpSource), .lookup(Table.turn),
                ]),
            Flow(
                .base, Table.reply, Priority.normal, MatchField.discovery(Layout.Discovery.advertisement),
                [
                    .copy(.ipv6Source, .ipv6Destination), .copy(.ndTarget, .ipv6Source),
                    .copy(.ethernetSource, .ndTargetLinkLayer), .lookup(Table.turn),
                ]),
            Flow(.base, Table.reply, Priority.none, [], []),
            // From a routed client, whose port it is for.
            Flow(
                .base, Table.turn, Priority.special, [.register(Register.domain, 0)], [.output(.inPort)]),
            Flow(
                .base, Table.turn, Priority.normal, [.register(Register.direction, 1)],
                [.load(Register.direction, 0), .forgetPort, .lookup(Table.forward)]),
            Flow(
                .base, Table.turn, Priority.normal, [.register(Register.direction, 0)],
                [.load(Register.direction, 1), .forgetPort, .lookup(Table.forward)]),
            Flow(.base, Table.turn, Priority.none, [], []),
        ]
    }

    // MARK: Hosts

    /// What is answered for an address of a broadcast domain.
    func renderNeighbor(_ key: NeighborKey) -> [Flow] {
        guard !model.isCompatible, let domain = model.domains[key.vni], domain.transit == nil else { return [] }
        if let gateway = domain.gateway, gateway.has(key.ip) { return renderGatewayAddress(key, gateway) }
        guard let binding = host(key) else { return [] }
        var flows = [answer(key, binding.mac, isRouter: binding.isRouter)]
        if case .v4(let address) = key.ip {
            // It tells others of itself, perhaps under a new MAC address (RFC 5227 §3).
            flows.append(
                Flow(
                    .neighbor, Table.answers, Priority.question,
                    [
                        .register(Register.domain, key.vni.rawValue), .arp, .arpSource(address), .arpTarget(address),
                    ], goOn))
        }
        return flows
    }

    /// The host with an address, here or elsewhere.
    func host(_ key: NeighborKey) -> RemoteNeighbor? {
        if let row = neighbors[key] { return row }
        for index in model.clientsOfAddress[key] ?? [] {
            if let mac = model.bridged[index].mac, place(of: .bridged(index)) != nil { return RemoteNeighbor(mac: mac) }
        }
        return nil
    }

    private func answer(_ key: NeighborKey, _ mac: MACAddress, isRouter: Bool) -> Flow {
        let domain = MatchField.register(Register.domain, key.vni.rawValue)
        switch key.ip {
        case .v4(let address):
            return Flow(
                .neighbor, Table.answers, Priority.normal, [domain, .arp, .arpOperation(1), .arpTarget(address)],
                arpReply(mac))
        case .v6(let address):
            return Flow(
                .neighbor, Table.answers, Priority.normal,
                [domain] + MatchField.discovery(Layout.Discovery.solicitation) + [.ndTarget(address)],
                discoveryReply(mac, isRouter: isRouter))
        }
    }
    func arpReply(_ mac: MACAddress) -> [Action] {
        [.copy(.ethernetSource, .ethernetDestination), .source(mac), .lookup(Table.reply)]
    }
    func discoveryReply(_ mac: MACAddress, isRouter: Bool) -> [Action] {
        [
            .copy(.ethernetSource, .ethernetDestination), .source(mac),
            .setField(.icmpv6Type(Layout.Discovery.advertisement)),
            .setField(MatchField(.ndReserved, Layout.Discovery.flags(isRouter: isRouter))),
            .setField(MatchField(.ndOptionType, Layout.Discovery.targetLinkLayer)), .lookup(Table.reply),
        ]
    }

    // MARK: Gateways

    /// Frames to the gateway's MAC address are routed.
    func renderGateway(_ key: MACKey, _ gateway: GatewayModel) -> Flow {
        Flow(
            .mac, Table.forward, Priority.normal,
            [.register(Register.domain, key.vni.rawValue), .ethernetDestination(key.mac)],
            [
                .load(Register.domain, 0), .load(Register.vrf, model.vrfs[gateway.vrf]?.number ?? 0),
                .lookup(Table.forward),
            ])
    }

    /// Questions to the gateway alone, and those for its addresses that come from other VTEPs.
    func renderQuestions(_ vni: VNI, _ gateway: GatewayModel) -> [Flow] {
        let domain = MatchField.register(Register.domain, vni.rawValue)
        let solicitation = MatchField.discovery(Layout.Discovery.solicitation)
        let toGateway = [
            domain, MatchField.ethernetDestination(gateway.mac), .register(Register.asked, 0),
        ]
        var flows: [Flow] = []
        if gateway.addresses.contains(where: { !$0.ip.isV6 }) {
            flows.append(
                Flow(
                    .domain, Table.forward, Priority.question, toGateway + [.arp, .arpOperation(1)],
                    [.lookup(Table.answers)]))
        }
        if gateway.addresses.contains(where: \.ip.isV6) {
            flows.append(
                Flow(
                    .domain, Table.forward, Priority.question, toGateway + solicitation,
                    [.lookup(Table.answers)]))
        }
        var seen: Set<IPAddress> = []
        for address in gateway.addresses where seen.insert(address.ip).inserted {
            let question: [MatchField]
            switch address.ip {
            case .v4(let ip): question = [.arp, .arpOperation(1), .arpTarget(ip), .ethernetDestination(.broadcast)]
            case .v6(let ip): question = solicitation + [.ndTarget(ip), .ethernetGroup]
            }
            flows.append(
                Flow(
                    .domain, Table.forward, Priority.question,
                    [domain, .register(Register.direction, 0), .register(Register.asked, 0)] + question,
                    [.lookup(Table.answers)]))
        }
        return flows
    }

    /// ARP or neighbor discovery for one of the gateway's addresses, and its answer to `ping` within the subnet.
    private func renderGatewayAddress(_ key: NeighborKey, _ gateway: GatewayModel) -> [Flow] {
        [
            answer(key, gateway.mac, isRouter: true),
            Flow(
                .neighbor, Table.forward, Priority.question,
                [
                    .register(Register.domain, key.vni.rawValue), .ethernetDestination(gateway.mac),
                    .destination(key.ip),
                ] + MatchField.echoRequest(isV6: key.ip.isV6),
                [.copy(.ethernetSource, .ethernetDestination), .source(gateway.mac)]
                    + echoReply(key.ip) + [.lookup(Table.turn)]),
        ]
    }
    func echoReply(_ ip: IPAddress) -> [Action] {
        let fields = ip.isV6 ? (Field.ipv6Source, Field.ipv6Destination) : (.ipv4Source, .ipv4Destination)
        return [
            .copy(fields.0, fields.1), .setField(.source(ip)),
            .setField(ip.isV6 ? .icmpv6Type(129) : .icmpType(0)), .setField(.timeToLive(64)),
        ]
    }
}
