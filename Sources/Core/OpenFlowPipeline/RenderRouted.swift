// Layer 3 as flows: routed clients, prefixes, and the ways to them.

import EVPN
import NetTypes
import OpenFlow

/// One way of packets to a prefix, with everything that is written into them.
enum Path: Hashable, Sendable {
    /// A routed client.
    case client(Place, MACAddress, AnycastAddress?)
    /// A host of an EVI, which is reached as in that.
    case host(VNI, MACAddress, gateway: MACAddress)
    /// A router behind another VTEP.
    case tunnel(IPAddress, VNI, MACAddress)
    /// Another VRF, by its number.
    case table(UInt32)

    var anycast: AnycastAddress? { if case .client(_, _, let anycast) = self { anycast } else { nil } }

    /// The same in every process.
    var hash: UInt32 {
        var fnv = FNV()
        func feed(_ address: IPAddress) {
            switch address {
            case .v4(let address): fnv.feed(UInt64(address.rawValue))
            case .v6(let address):
                fnv.feed(address.high)
                fnv.feed(address.low)
            }
        }
        switch self {
        case .client(let place, let mac, let anycast):
            fnv.feed(1)
            fnv.feed(UInt64(place.number) << 16 | UInt64(place.tag))
            fnv.feed(mac.rawValue)
            if let anycast { feed(anycast.address) }
        case .host(let vni, let mac, let gateway):
            fnv.feed(2)
            fnv.feed(UInt64(vni.rawValue))
            fnv.feed(mac.rawValue)
            fnv.feed(gateway.rawValue)
        case .tunnel(let vtep, let vni, let mac):
            fnv.feed(3)
            feed(vtep)
            fnv.feed(UInt64(vni.rawValue))
            fnv.feed(mac.rawValue)
        case .table(let number):
            fnv.feed(4)
            fnv.feed(UInt64(number))
        }
        return fnv.value
    }
}

extension FlowTables {
    private typealias Table = Layout.Table
    private typealias Priority = Layout.Priority
    private typealias Register = Layout.Register

    // MARK: Table 0

    func renderRoutedPort(_ client: RoutedClient, _ place: Place, _ match: [MatchField], _ pop: [Action]) -> [Flow] {
        guard let vrf = model.vrfs[client.vrf] else { return [] }
        let classify = pop + [.load(Register.vrf, vrf.number), .lookup(Table.forward)]
        // A router takes what is sent to its own MAC address: no broadcasts (RFC 1812 §5.3.4), nor frames between two hosts of a segment,
        // which would go back to it.
        let toRouter = model.isCompatible ? match : match + [.ethernetDestination(vrf.routerMAC)]
        var flows = [Flow(.port, Table.classify, Priority.normal, toRouter, classify)]
        if model.isCompatible {
            flows.append(
                Flow(.port, Table.classify, Priority.special, match + [.arp], proxyReply(vrf.routerMAC)))
        } else {
            flows += renderProxy(client, match, vrf.routerMAC)
        }
        return flows + renderAnycastPort(client, place, match, toRouter: toRouter, classify)
    }

    /// Whatever a routed client asks for is at this router, but what is its own.
    private func renderProxy(_ client: RoutedClient, _ match: [MatchField], _ mac: MACAddress) -> [Flow] {
        let solicitation = match + MatchField.discovery(Layout.Discovery.solicitation)
        // Before what is said of IPv6 packets of anycast addresses.
        var flows = [
            Flow(.port, Table.classify, Priority.proxy, match + [.arp, .arpOperation(1)], proxyReply(mac)),
            Flow(.port, Table.classify, Priority.exception, match + [.arp, .arpOperation(1), .arpSource(.any)], []),
            Flow(.port, Table.classify, Priority.proxy, solicitation, discoveryReply(mac, isRouter: true)),
            Flow(.port, Table.classify, Priority.exception, solicitation + [.source(.v6(.any))], []),
        ]
        var own: Set<IPAddress> = []
        for prefix in client.prefixes where prefix.length == prefix.address.bitWidth {
            guard own.insert(prefix.address).inserted else { continue }
            // A probe for an own address is dropped already.
            let question: [MatchField] =
                switch prefix.address {
                case .v4(let ip): match + [.arp, .arpOperation(1), .arpTarget(ip)]
                case .v6(let ip): solicitation + [.ndTarget(ip)]
                }
            flows.append(Flow(.port, Table.classify, Priority.exception, question, []))
        }
        return flows
    }

    /// An ARP reply from `mac` for any target, in the order of evpn-connector.
    func proxyReply(_ mac: MACAddress) -> [Action] {
        [
            .copy(.ethernetSource, .ethernetDestination), .source(mac), .setField(.arpOperation(2)),
            .copy(.arpSourceHardware, .arpTargetHardware), .copy(.arpTarget, .register0),
            .copy(.arpSource, .arpTarget), .copy(.register0, .arpSource), .setField(.arpSourceHardware(mac)),
            .output(.inPort),
        ]
    }

    func renderVRF(_ name: String) -> [Flow] {
        guard let vrf = model.vrfs[name] else { return [] }
        var flows: [Flow] = []
        let hasClients = (model.clientsOfVRF[name] ?? []).contains { index in
            place(of: .routed(index)) != nil
                && (!model.routed[index].prefixes.isEmpty
                    || model.routed[index].anycast.contains { model.enabledAnycast.contains($0) })
        }
        if let vni = vrf.vni, hasClients || !model.isCompatible {
            flows.append(
                Flow(
                    .vrf, Table.classify, Priority.normal,
                    [.inPort(PortNumber(outputNumber)), .tunnelID(vni)],
                    [.load(Register.vrf, vrf.number), .lookup(Table.forward)]))
        }
        return flows
    }

    // MARK: Paths

    func renderRoute(_ key: PrefixKey) -> Rendered {
        guard let vrf = model.vrfs[key.vrf] else { return Rendered() }
        let isV6 = key.prefix.address.isV6
        let prefix = [
            MatchField.ip(isV6: isV6), .register(Register.vrf, vrf.number), .destination(key.prefix),
        ]
        let priority = Priority.prefix(key.prefix)
        if isGateway(key, vrf) {
            let ip = key.prefix.address
            return Rendered(flows: [
                Flow(
                    .route, Table.forward, Priority.echo,
                    [.register(Register.vrf, vrf.number), .destination(ip)] + MatchField.echoRequest(isV6: isV6),
                    echoReply(ip) + [.lookup(Table.forward)]),
                Flow(.route, Table.forward, priority, prefix, []),
            ])
        }
        let paths = paths(to: key)
        guard let first = paths.first else {
            // A subnet of this host: of its hosts those are reached that are known.
            guard vrf.subnets[key.prefix] != nil else { return Rendered() }
            return Rendered(flows: [Flow(.route, Table.forward, priority, prefix, [])])
        }
        if paths.count == 1 { return Rendered(flows: flows(first, vrf, Table.forward, priority, prefix)) }
        if let paths = groupPaths(key), let id = groups.id(of: paths) {
            return Rendered(
                flows: [Flow(.route, Table.forward, priority, prefix, [.decrementTTL, .group(id)])], group: paths)
        }
        let choice = Multipath(
            fields: .symmetricL3L4UDP, links: paths.count, destination: FieldBits(.register3))
        var all = [
            Flow(.route, Table.forward, priority, prefix, [.multipath(choice), .lookup(Table.paths)])
        ]
        for (index, path) in paths.enumerated() {
            all += flows(
                path, vrf, Table.paths, priority,
                prefix + [.register(Register.path, UInt32(truncatingIfNeeded: index))])
        }
        return Rendered(flows: all)
    }

    private func flows(
        _ path: Path, _ vrf: VRFModel, _ table: UInt8, _ priority: UInt16, _ match: [MatchField]
    ) -> [Flow] {
        if let anycast = path.anycast {
            return renderAnycast(anycast, send(path, vrf), table, priority, match)
        }
        let isLookup: Bool = if case .table = path { true } else { false }
        return [Flow(.route, table, priority, match, (isLookup ? [] : [.decrementTTL]) + send(path, vrf))]
    }

    /// Everything after the TTL.
    func send(_ path: Path, _ vrf: VRFModel) -> [Action] {
        let source: [Action] = model.isCompatible ? [] : [.source(vrf.routerMAC)]
        // What came from another VTEP may go on to a third, and what came from a VLAN of a port to another one of it.
        let leave: [Action] = model.isCompatible ? [] : [.forgetPort]
        switch path {
        case .client(let place, let mac, _):
            return source + [.destination(mac)] + leave + output(to: place)
        case .host(let vni, let mac, let gateway):
            return [
                .source(gateway), .destination(mac), .load(Register.vrf, 0), .load(Register.domain, vni.rawValue),
                .load(Register.direction, 1), .forgetPort, .lookup(Table.forward),
            ]
        case .tunnel(let vtep, let vni, let mac):
            return source + [.destination(mac)] + leave + Action.tunnel(vni, vtep, outputNumber)
        case .table(let number): return [.load(Register.vrf, number), .lookup(Table.forward)]
        }
    }

    /// An address of the layer-3 interface of an EVI.
    private func isGateway(_ key: PrefixKey, _ vrf: VRFModel) -> Bool {
        guard key.prefix.length == key.prefix.address.bitWidth, let vni = vrf.domain(of: key.prefix.address) else {
            return false
        }
        return model.domains[vni]?.gateway?.has(key.prefix.address) == true
    }

    /// All ways to a prefix: clients of this host first, then what the control plane says; hosts of subnets where that says nothing.
    func paths(to key: PrefixKey) -> [Path] {
        guard let vrf = model.vrfs[key.vrf] else { return [] }
        var paths: [Path] = []
        for (index, anycast) in model.clientsOfPrefix[key] ?? [] {
            guard let place = place(of: .routed(index)) else { continue }
            let path = Path.client(place, model.routed[index].mac, anycast)
            if !paths.contains(path) { paths.append(path) }
        }
        let isHost = key.prefix.length == key.prefix.address.bitWidth
        let host = isHost ? vrf.domain(of: key.prefix.address) : nil
        let address = host.map { NeighborKey(vni: $0, ip: key.prefix.address) }
        // A host that is here is not sought elsewhere.
        if paths.isEmpty, let address, neighbors[address] == nil, let path = self.path(to: address) { return [path] }
        var leak: Path?
        for nexthop in prefixes[key]?.nexthops ?? [] {
            guard let path = path(nexthop, isV6: key.prefix.address.isV6), !paths.contains(path) else { continue }
            if case .table(let number) = path {
                // A table that looks into itself would never end.
                if number != vrf.number { leak = leak ?? path }
            } else {
                paths.append(path)
            }
        }
        // Another VRF is asked where nothing else is known, never as one of several paths.
        if paths.isEmpty, let leak { return [leak] }
        if paths.isEmpty, let address, let path = self.path(to: address) { return [path] }
        return paths
    }

    private func path(to host: NeighborKey) -> Path? {
        guard let gateway = model.domains[host.vni]?.gateway, let binding = self.host(host) else { return nil }
        return .host(host.vni, binding.mac, gateway: gateway.mac)
    }

    func path(_ nexthop: RoutedNexthop, isV6: Bool) -> Path? {
        switch nexthop {
        case .tunnel(let vtep, let vni, let mac): return .tunnel(vtep, vni, mac)
        case .router(let vtep, let through):
            let neighbor = NeighborKey(vni: through, ip: RouterNeighbor.gateway(vtep, isV6: isV6))
            guard let mac = neighbors[neighbor]?.mac, let row = macs[MACKey(vni: through, mac: mac)] else {
                return nil
            }
            return .tunnel(row.vtep, row.vni, mac)
        case .host(let ip, let vni): return path(to: NeighborKey(vni: vni, ip: ip))
        case .table(let name): return model.vrfs[name].map { .table($0.number) }
        }
    }

    // MARK: Groups

    /// The paths of a route that share a group: groups have no room for the two lookups of connection tracking.
    func groupPaths(_ key: PrefixKey) -> [Path]? {
        guard hasGroups, !model.isCompatible, let vrf = model.vrfs[key.vrf], !isGateway(key, vrf) else { return nil }
        let paths = paths(to: key)
        let fits = paths.count > 1 && paths.allSatisfy { $0.anycast == nil }
        return fits ? [.table(vrf.number)] + paths : nil
    }
}
