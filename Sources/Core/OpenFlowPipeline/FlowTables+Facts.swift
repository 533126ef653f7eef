// What the control plane is told of this host: domains that can forward, and clients whose ports are there.

import BGP
import EVPN
import NetTypes

/// Something that is told of or not.
enum FactKey: Hashable, Sendable {
    case domain(VNI)
    case mac(MACKey)
    case neighbor(NeighborKey)
    case prefix(PrefixKey)
}

extension FlowTables {
    /// `rt_protos` of a route that somebody configured.
    private static let staticProtocol: UInt8 = 4
    private static let kernelProtocol: UInt8 = 2

    /// What is new, in an order in which the control plane can use it.
    mutating func report(_ touched: Set<FactKey>) -> [LocalChange] {
        var changes: [(rank: String, change: LocalChange)] = []
        for key in touched {
            let (fact, none, rank) = fact(key)
            let now = isForwarding ? fact : nil
            let change = now ?? none
            guard told[key] != now else { continue }
            told[key] = now
            changes.append((rank, change))
        }
        return changes.sorted { $0.rank < $1.rank }.map(\.change)
    }

    /// The fact, if it is one; how to take it back; and its place in a list.
    private func fact(_ key: FactKey) -> (LocalChange?, LocalChange, String) {
        switch key {
        case .domain(let vni):
            (localDomain(vni).map { .domain(vni, $0) }, .domain(vni, nil), "0 \(vni)")
        case .mac(let key): (localMAC(key).map { .mac(key, $0) }, .mac(key, nil), "1 \(key)")
        case .neighbor(let key):
            (localNeighbor(key).map { .neighbor(key, $0) }, .neighbor(key, nil), "2 \(key)")
        case .prefix(let key): (localPrefix(key).map { .prefix(key, $0) }, .prefix(key, nil), "3 \(key)")
        }
    }

    private func localDomain(_ vni: VNI) -> LocalDomain? {
        guard let domain = model.domains[vni], let tunnel else { return nil }
        let vrf = domain.transit.flatMap { model.vrfs[$0] }
        return LocalDomain(
            vtep: domain.vtep ?? tunnel.vtep, device: "\(model.bridge.tunnelPort) in \(model.bridge.name)",
            vrf: domain.gateway?.vrf ?? vrf?.name, routerMAC: domain.gateway?.mac ?? vrf?.routerMAC,
            interface: domain.gateway.map { _ in "vni\(vni)" })
    }
    private func localMAC(_ key: MACKey) -> LocalMAC? {
        guard let domain = model.domains[key.vni], domain.gateway?.mac != key.mac else { return nil }
        for index in model.clientsOfMAC[key] ?? [] {
            guard let place = place(of: .bridged(index)) else { continue }
            return LocalMAC(port: name(of: place), isStatic: true, exports: model.bridged[index].exports)
        }
        guard let place = learned[key], case .bridged(let index)? = owner(of: place) else { return nil }
        return LocalMAC(port: name(of: place), exports: model.bridged[index].exports)
    }
    private func localNeighbor(_ key: NeighborKey) -> LocalNeighbor? {
        guard model.domains[key.vni]?.gateway?.has(key.ip) != true else { return nil }
        for index in model.clientsOfAddress[key] ?? [] {
            let client = model.bridged[index]
            if let mac = client.mac, place(of: .bridged(index)) != nil { return LocalNeighbor(mac: mac) }
        }
        return nil
    }
    private func localPrefix(_ key: PrefixKey) -> LocalPrefix? {
        if let vni = model.vrfs[key.vrf]?.subnets[key.prefix] {
            return LocalPrefix(proto: Self.kernelProtocol, isConnected: true, interface: "vni\(vni)")
        }
        let clients = (model.clientsOfPrefix[key] ?? []).compactMap { index, _ in
            place(of: .routed(index)).map { (place: $0, exports: model.routed[index].exports) }
        }
        guard let first = clients.first else { return nil }
        // One route for all of them.
        let isOwn = clients.allSatisfy { $0.exports != nil }
        return LocalPrefix(
            proto: Self.staticProtocol, isConnected: false, interface: name(of: first.place),
            exports: isOwn ? Set(clients.flatMap { $0.exports ?? [] }).sorted() : nil)
    }
    /// As the configuration would name a port.
    private func name(of place: Place) -> String {
        let name = name(of: place.number)
        return place.tag == 0 ? name : "\(name) vlan \(place.tag)"
    }
    func name(of number: UInt32) -> String { names[number]?.min() ?? "\(number)" }

    func facts(of domain: DomainModel) -> [FactKey] {
        guard let gateway = domain.gateway else { return [.domain(domain.vni)] }
        return [.domain(domain.vni)]
            + gateway.subnets.map { .prefix(PrefixKey(vrf: gateway.vrf, prefix: $0)) }
    }
    func allFacts() -> Set<FactKey> {
        var all = Set(told.keys)
        for domain in model.domains.values { all.formUnion(facts(of: domain)) }
        for key in model.clientsOfMAC.keys { all.insert(.mac(key)) }
        for key in learned.keys { all.insert(.mac(key)) }
        for key in model.clientsOfAddress.keys { all.insert(.neighbor(key)) }
        for key in model.clientsOfPrefix.keys { all.insert(.prefix(key)) }
        return all
    }
}
