// How the next hop of a route becomes a gateway and an interface.

import BGP
import NetTypes

extension ExportTable {
    enum Resolution {
        /// Not everything has been answered.
        case undecided
        case unreachable(String)
        case ways([KernelNexthop])
    }

    /// The ways to those next hops of a route that the kernel reaches.
    func reach(_ prefix: IPPrefix, _ path: Path, _ vrf: String?) -> Resolution {
        collect(path.nexthops) { resolve($0, vrf, for: [prefix]) }
    }
    private func collect(
        _ nexthops: [ScopedAddress], isOnlink: Bool = false, _ resolve: (IPAddress) -> Resolution
    ) -> Resolution {
        var ways: [KernelNexthop] = []
        var reason = "no next hop"
        for nexthop in nexthops {
            switch nexthop.needsInterface ? neighbor(nexthop, isOnlink) : resolve(nexthop.address) {
            case .undecided: return .undecided
            case .unreachable(let text): reason = text
            case .ways(let some): ways += some
            }
        }
        return ways.isEmpty ? .unreachable(reason) : .ways(ways)
    }
    /// A link-local next hop is on the link of the session that told it; the kernel has no route to ask for.
    private func neighbor(_ nexthop: ScopedAddress, _ isOnlink: Bool) -> Resolution {
        guard let name = nexthop.interface else {
            return .unreachable("next hop \(nexthop) is link-local, and its interface is not known")
        }
        guard let interface = interfaces[name] else {
            return .unreachable("next hop \(nexthop) is on an interface that is not up")
        }
        return .ways([KernelNexthop(gateway: nexthop.address, interface: interface, isOnlink: isOnlink)])
    }
    /// `prefixes`: the route that is to be decided about, and those that its next hop lies behind.
    private func resolve(_ address: IPAddress, _ vrf: String?, for prefixes: [IPPrefix]) -> Resolution {
        switch answers[NexthopQuery(address, vrf: vrf)] {
        case nil: return .undecided
        case .unreachable?: return .unreachable("next hop \(address) is not reachable")
        case .reachable(let ways, let match, let isOurs)?:
            if isOurs, let path = paths[ExportTable.unicast(match)] {
                // Through a route that is here because of this one it would only reach itself.
                guard !prefixes.contains(match), prefixes.count < ExportTable.maximumDepth else {
                    return .unreachable("next hop \(address) is reached only through routes that lead to it")
                }
                return collect(path.nexthops) { resolve($0, vrf, for: prefixes + [match]) }
            }
            if let prefix = prefixes.first, prefix.length > match.length, prefix.contains(address) {
                return .unreachable("next hop \(address) is inside of \(prefix), and reached only by \(match)")
            }
            return .ways(ways.map { KernelNexthop(gateway: $0.gateway ?? address, interface: $0.interface) })
        }
    }

    /// The next hops as if they were neighbors: on the interface towards them, or that towards who told the route.
    func assume(_ path: Path, _ vrf: String?) -> Resolution {
        collect(path.nexthops, isOnlink: true) { address in
            for candidate in [address, path.neighbor ?? address] {
                switch answers[NexthopQuery(candidate, vrf: vrf)] {
                case nil: return .undecided
                case .unreachable?: continue
                case .reachable(let ways, _, _)?:
                    guard let interface = ways.first?.interface else { continue }
                    return .ways([KernelNexthop(gateway: address, interface: interface, isOnlink: true)])
                }
            }
            return .unreachable("no interface leads towards next hop \(address)")
        }
    }

    /// A route of an IP-VRF sends its packets into the VRF, whose own table knows where they go.
    func handOver(_ path: Path, to device: String, in table: UInt32, isValidated: Bool) -> Resolution {
        guard let interface = vrfs[device]?.interface, interfaces[device] == interface else {
            return .unreachable("VRF device \(device) is not up")
        }
        if table == NetlinkExport.mainTable, let hijacked = path.hijacked {
            return .unreachable("the underlay's packets to \(hijacked) would go into VRF \(device)")
        }
        if isValidated, !path.nexthops.isEmpty {
            let known = path.nexthops.map { self.answers[NexthopQuery($0.address)] }
            if known.allSatisfy({ $0 == .unreachable }) {
                return .unreachable("next hop \(path.nexthops[0]) is not reachable")
            }
            guard known.contains(where: { $0 != nil && $0 != .unreachable }) else { return .undecided }
        }
        return .ways([KernelNexthop(gateway: nil, interface: interface)])
    }
}
