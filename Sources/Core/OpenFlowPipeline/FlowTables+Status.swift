// What has become of a row, for status and `explain`.

public import EVPN
import NetTypes
public import OpenFlow

/// How far a row is from being flows.
public enum RowStatus: Hashable, Sendable {
    /// No such row is wanted.
    case absent
    /// Wanted but not yet possible: why.
    case waiting(reason: String)
    /// In these flows; none: other rows' flows follow from it. It is in force when they are, and in their groups.
    case flows([FlowKey])
}

extension FlowTables {
    /// Whether a row of the control plane is wanted.
    private func isWanted(_ key: ForwardingKey) -> Bool {
        switch key {
        case .mac(let key): macs[key] != nil
        case .flood(let key): floods[key.vni]?[key.vtep] != nil
        case .neighbor(let key): neighbors[key] != nil
        case .prefix(let key): prefixes[key] != nil
        }
    }

    /// How far a row has come. A row without a wish of the control plane is absent, whatever clients there are.
    public func status(of key: ForwardingKey) -> RowStatus {
        guard isWanted(key) else { return .absent }
        if let reason = obstacle(to: key) { return .waiting(reason: reason) }
        return .flows(flows(of: key).map(\.key))
    }

    /// The flows that forward for a key, whoever asked for it: also a client's. The flow for floods is one for all members.
    public func flows(of key: ForwardingKey) -> [Flow] {
        switch key {
        case .mac(let key): render(.mac(key)).flows
        case .flood(let key):
            render(.domain(key.vni)).flows.filter { flow in
                flow.key.table == Layout.Table.forward && flow.key.priority == Layout.Priority.flood
                    && flow.key.match[.register1]?.value == 1
            }
        case .neighbor(let key): subjects(of: key, model).flatMap { render($0).flows }
        case .prefix(let key): render(.route(key)).flows
        }
    }
    /// The groups that those flows use.
    public func groups(of key: ForwardingKey) -> [Group] {
        var found: [Group] = []
        let known = groups.all
        for flow in flows(of: key) {
            for case .group(let id) in flow.actions where known[id] != nil {
                if let group = groupsInForce()[id] { found.append(group) }
            }
        }
        return found
    }

    /// Flows and groups of a key as `ovs-ofctl` would show them.
    public func explain(_ key: ForwardingKey) -> [String] {
        var lines: [String] = []
        if isWanted(key), let reason = obstacle(to: key) { lines.append("waiting: \(reason)") }
        lines += flows(of: key).map { "\($0)" }
        lines += groups(of: key).map { "\($0)" }
        return lines
    }

    private func obstacle(to key: ForwardingKey) -> String? {
        guard model.isConfigured else { return "no bridge is configured" }
        switch key {
        case .mac(let key): return model.domains[key.vni] == nil ? "no domain for vni \(key.vni)" : nil
        case .flood(let key): return model.domains[key.vni] == nil ? "no domain for vni \(key.vni)" : nil
        case .neighbor(let key): return model.domains[key.vni] == nil ? "no domain for vni \(key.vni)" : nil
        case .prefix(let key):
            guard model.vrfs[key.vrf] != nil else { return "no vrf \(key.vrf)" }
            if prefixes[key]?.nexthops == [.table(vrf: key.vrf)] { return "vrf \(key.vrf) would look into itself" }
            for nexthop in prefixes[key]?.nexthops ?? [] where path(nexthop, isV6: key.prefix.address.isV6) == nil {
                return obstacle(to: nexthop, isV6: key.prefix.address.isV6)
            }
            return nil
        }
    }
    private func obstacle(to nexthop: RoutedNexthop, isV6: Bool) -> String? {
        switch nexthop {
        case .tunnel: return nil
        case .table(let vrf): return "no vrf \(vrf)"
        case .router(let vtep, let through):
            let address = RouterNeighbor.gateway(vtep, isV6: isV6)
            guard let mac = neighbors[NeighborKey(vni: through, ip: address)]?.mac else {
                return "no router MAC address for \(vtep) in vni \(through)"
            }
            return "no way to the router \(mac) in vni \(through)"
        case .host(let ip, let vni):
            if model.domains[vni]?.gateway == nil { return "vni \(vni) has no layer-3 interface" }
            return "the MAC address of \(ip) in vni \(vni) is not known"
        }
    }
}

extension FlowTables {
    /// How many rows the control plane wants, and how many local facts it has been told.
    public var counts: (rows: Int, localMACs: Int, localNeighbors: Int, localPrefixes: Int) {
        var counts = (
            rows: macs.count + floods.values.reduce(0) { $0 + $1.count } + neighbors.count + prefixes.count,
            localMACs: 0, localNeighbors: 0, localPrefixes: 0
        )
        for key in told.keys {
            switch key {
            case .mac: counts.localMACs += 1
            case .neighbor: counts.localNeighbors += 1
            case .prefix: counts.localPrefixes += 1
            case .domain: break
            }
        }
        return counts
    }
}
