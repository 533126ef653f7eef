// Rows of the control plane.

import EVPN
import NetTypes

extension FlowTables {
    mutating func set(_ change: ForwardingChange) {
        switch change {
        case .mac(let key, let row): setMAC(key, row)
        case .flood(let key, let member):
            guard floods[key.vni]?[key.vtep] != member else { return }
            touch(.domain(key.vni))
            floods[key.vni, default: [:]][key.vtep] = member
            found.floods[key.vni]?[key.vtep] = nil
            if floods[key.vni]?.isEmpty == true { floods[key.vni] = nil }
        case .neighbor(let key, let row):
            guard neighbors[key] != row else { return }
            touchAddress(key, model)
            setNeighbor(key, row)
        case .prefix(let key, let row): setPrefix(key, row)
        }
    }

    private mutating func setPrefix(_ key: PrefixKey, _ row: RemotePrefix?) {
        guard prefixes[key] != row else { return }
        touch(.route(key))
        for neighbor in neighborsOf(prefixes[key], key) {
            prefixesOfNeighbor[neighbor]?.remove(key)
            if prefixesOfNeighbor[neighbor]?.isEmpty == true { prefixesOfNeighbor[neighbor] = nil }
        }
        prefixes[key] = row
        for neighbor in neighborsOf(row, key) {
            prefixesOfNeighbor[neighbor, default: []].insert(key)
            if let mac = neighbors[neighbor]?.mac {
                routersOfMAC[MACKey(vni: neighbor.vni, mac: mac), default: []].insert(neighbor)
            }
        }
    }

    private mutating func setMAC(_ key: MACKey, _ row: RemoteMAC?) {
        let old = macs[key]
        guard old != row else { return }
        touch(.mac(key))
        // The first and the last one of a domain.
        if (old == nil) != (row == nil), (macCounts[key.vni] ?? 0) == (row == nil ? 1 : 0) { touch(.domain(key.vni)) }
        for neighbor in routersOfMAC[key] ?? [] { touchPrefixes(of: neighbor) }
        macs[key] = row
        if (old == nil) != (row == nil) {
            let count = (macCounts[key.vni] ?? 0) + (row == nil ? -1 : 1)
            macCounts[key.vni] = count == 0 ? nil : count
        }
        // It has moved to another VTEP. Should it be heard here after all, that is news again.
        if row != nil { drop(key) }
    }

    private mutating func setNeighbor(_ key: NeighborKey, _ row: RemoteNeighbor?) {
        if let old = neighbors[key] {
            let mac = MACKey(vni: key.vni, mac: old.mac)
            routersOfMAC[mac]?.remove(key)
            if routersOfMAC[mac]?.isEmpty == true { routersOfMAC[mac] = nil }
        }
        neighbors[key] = row
        if let row, prefixesOfNeighbor[key] != nil {
            routersOfMAC[MACKey(vni: key.vni, mac: row.mac), default: []].insert(key)
        }
    }

    /// The neighbors that the next hops of a prefix name.
    private func neighborsOf(_ row: RemotePrefix?, _ key: PrefixKey) -> [NeighborKey] {
        (row?.nexthops ?? []).compactMap { nexthop in
            switch nexthop {
            case .router(let vtep, let through):
                NeighborKey(vni: through, ip: RouterNeighbor.gateway(vtep, isV6: key.prefix.address.isV6))
            case .host(let ip, let vni): NeighborKey(vni: vni, ip: ip)
            case .table, .tunnel: nil
            }
        }
    }
}
