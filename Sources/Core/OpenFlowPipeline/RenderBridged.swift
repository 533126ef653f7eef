// Layer 2 as flows: who is behind a port, where a MAC address is, and who gets what is for many.

import EVPN
import NetTypes
import OpenFlow

extension FlowTables {
    // MARK: Table 0, ports

    func renderPort(_ number: UInt32) -> [Flow] {
        guard let clients = attached[number] else { return [] }
        var flows: [Flow] = []
        var done: Set<UInt16> = []
        let hasTags = clients.contains { model.attachment(of: $0).tag != nil }
        for client in clients {
            guard let place = place(of: client), done.insert(place.tag).inserted else { continue }
            let match = self.match(place, hasTags: hasTags)
            let pop: [Action] = place.tag == 0 ? [] : [.popVLAN]
            switch client {
            case .bridged(let index):
                let vni = model.bridged[index].vni
                guard let domain = model.domains[vni], domain.transit == nil else { continue }
                var actions = pop + [.load(Layout.Register.domain, vni.rawValue), .load(Layout.Register.direction, 1)]
                if learningDomain(place) != nil {
                    actions += [
                        .load(Layout.Register.scratch, UInt32(place.tag)), .lookup(Layout.Table.sources),
                    ]
                }
                actions.append(.lookup(Layout.Table.forward))
                flows.append(Flow(.port, Layout.Table.classify, Layout.Priority.normal, match, actions))
            case .routed(let index):
                flows += renderRoutedPort(model.routed[index], place, match, pop)
            }
        }
        return flows
    }

    /// Frames of a place. On a port with tagged clients untagged frames have to be told from the others.
    func match(_ place: Place, hasTags: Bool) -> [MatchField] {
        let port = MatchField.inPort(PortNumber(place.number))
        if place.tag != 0 { return [port, .vlan(place.tag)] }
        return hasTags ? [port, .untagged] : [port]
    }

    // MARK: Table 1, MAC addresses

    func renderMAC(_ key: MACKey) -> [Flow] {
        guard let domain = model.domains[key.vni], domain.transit == nil else { return [] }
        if let gateway = domain.gateway, gateway.mac == key.mac { return [renderGateway(key, gateway)] }
        let known = [MatchField.register(Layout.Register.domain, key.vni.rawValue), .ethernetDestination(key.mac)]
        // Where the control plane says it is. It withdraws the row of a MAC that is here.
        if let row = macs[key] {
            return [
                Flow(
                    .mac, Layout.Table.forward, Layout.Priority.normal,
                    known + [.register(Layout.Register.direction, 1)], Action.tunnel(row.vni, row.vtep, outputNumber))
            ]
        }
        guard let place = localPlace(of: key) else { return [] }
        return [Flow(.mac, Layout.Table.forward, Layout.Priority.normal, known, output(to: place))]
    }

    /// Where a MAC address is here: declared, otherwise learned.
    func localPlace(of key: MACKey) -> Place? { declaredPlace(of: key) ?? learned[key] }
    func declaredPlace(of key: MACKey) -> Place? {
        for client in model.clientsOfMAC[key] ?? [] {
            if let place = place(of: .bridged(client)) { return place }
        }
        return nil
    }

    func output(to place: Place) -> [Action] {
        place.tag == 0
            ? [.output(place.number)] : [.pushVLAN(EtherType.vlan), .tag(place.tag), .output(place.number)]
    }

    // MARK: Table 1, flooding

    func renderDomain(_ vni: VNI) -> [Flow] {
        guard let domain = model.domains[vni], domain.transit == nil else { return [] }
        let found = self.found.floods[vni]
        let members = (found ?? [:]).merging(floods[vni] ?? [:]) { _, wanted in wanted }
        var flows: [Flow] = []
        if macCounts[vni] != nil || !members.isEmpty || found != nil {
            flows.append(
                Flow(
                    .domain, Layout.Table.classify, Layout.Priority.normal,
                    [.inPort(PortNumber(outputNumber)), .tunnelID(vni)],
                    [
                        .load(Layout.Register.domain, vni.rawValue), .load(Layout.Register.direction, 0),
                        .lookup(Layout.Table.forward),
                    ]))
        }
        var places: Set<Place> = []
        for client in model.clientsOfDomain[vni] ?? [] {
            if let place = place(of: .bridged(client)) { places.insert(place) }
        }
        let flat = places.filter { $0.tag == 0 }.sorted().map { Action.output($0.number) }
        var tagged: [Action] = []
        // Frames to local ports that are tagged go last: from the first tag on they have one.
        let tags = places.filter { $0.tag != 0 }.sorted { ($0.tag, $0.number) < ($1.tag, $1.number) }
        var tag: UInt16 = 0
        for place in tags {
            if tag == 0 { tagged.append(.pushVLAN(EtherType.vlan)) }
            if place.tag != tag { tagged.append(.tag(place.tag)) }
            tag = place.tag
            tagged.append(.output(place.number))
        }
        // An IPv4 destination counts before an IPv6 one, and nothing takes it away again.
        let remote = members.sorted { ($0.key.isV6 ? 0 : 1, $0.key) < ($1.key.isV6 ? 0 : 1, $1.key) }
            .flatMap { Action.tunnel($0.value.vni, $0.key, outputNumber) }
        flows += flood(vni, direction: 0, flat + tagged) + flood(vni, direction: 1, flat + remote + tagged)
        if let gateway = domain.gateway { flows += renderQuestions(vni, gateway) }
        return flows
    }
    private func flood(_ vni: VNI, direction: UInt32, _ actions: [Action]) -> [Flow] {
        guard !actions.isEmpty else { return [] }
        return [
            Flow(
                .domain, Layout.Table.forward, Layout.Priority.flood,
                [
                    .register(Layout.Register.domain, vni.rawValue),
                    .register(Layout.Register.direction, direction),
                ], actions)
        ]
    }

    // MARK: Table 6, learned addresses

    /// Keeps a source address known: frames that no such flow matches are reported.
    func renderSource(_ key: MACKey) -> [Flow] {
        guard let place = learned[key], let seconds = model.bridge.learningSeconds else { return [] }
        return [
            Flow(
                .source, Layout.Table.sources, Layout.Priority.normal,
                [
                    .register(Layout.Register.domain, key.vni.rawValue),
                    .register(Layout.Register.scratch, UInt32(place.tag)), .inPort(PortNumber(place.number)),
                    .ethernetSource(key.mac),
                ], [], idleTimeout: seconds, flags: .reportsRemoval)
        ]
    }
}
