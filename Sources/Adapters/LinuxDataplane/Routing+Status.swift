// What the dataplane tells about routes, and what of ours is left in a namespace.

import AsyncIO
import EVPN
import NetTypes
import Netlink

extension LinuxDataplane {
    func status(ofRoute key: PrefixKey) -> EntryStatus {
        let failure = failures[.prefix(key)].map { EntryStatus.failed(reason: $0.reason, since: $0.since) }
        guard let vrf = routing.vrfs[key.vrf], let row = vrf.table.rows[key.prefix], row.want != 0 else {
            // A removal that the kernel refused.
            return failure ?? .absent
        }
        guard vrf.table.binding != nil else {
            guard let configured = vrfs[key.vrf] else { return .waiting(reason: "vrf \(key.vrf) is not configured") }
            return .waiting(reason: configured.problem ?? "starting")
        }
        if isDone(row) { return .done }
        let problem = routing.nexthops.problem(of: row.want)
        if let problem, !problem.isRefused { return .waiting(reason: problem.reason) }
        if let failure { return failure }
        return problem.map { .failed(reason: $0.reason, since: loop.now) } ?? .pending
    }
    private func isDone(_ row: PrefixRow) -> Bool {
        guard let number = routing.nexthops.number(of: row.want) else { return false }
        return row.have == number && routing.nexthops.isPresent(number)
    }
    func countRoutes(in total: inout DataplaneStatistics) {
        for vrf in routing.vrfs.values {
            for row in vrf.table.rows.values where row.want != 0 {
                total.desired += 1
                if vrf.table.binding == nil {
                    total.waiting += 1
                } else if isDone(row) {
                    continue
                } else if row.marks.contains(.failed) || routing.nexthops.problem(of: row.want)?.isRefused == true {
                    total.failed += 1
                } else if routing.nexthops.number(of: row.want) == nil {
                    total.waiting += 1
                } else {
                    total.pending += 1
                }
            }
            total.localPrefixes += vrf.table.locals.count
        }
    }
    func plannedRoutes() -> [String] {
        let nexthops = routing.nexthops
        let operations =
            nexthops.pendingOperations()
            + routing.vrfs.values.sorted { $0.name < $1.name }.flatMap { $0.table.pendingOperations(nexthops) }
            + routing.vrfs.values.sorted { $0.name < $1.name }.flatMap { vrf in
                vrf.removals + missingEnds(of: vrf).map { .end($0, isRemoval: false) }
            }
        return operations.map { $0.text { links.name(of: $0) } }
    }

    /// The kernel's routes for a prefix: the one in use and, when it is not ours, all.
    func kernelEntry(ofRoute key: PrefixKey) -> KernelEntry? {
        guard let binding = routing.vrfs[key.vrf]?.binding else { return nil }
        var found: [Route] = []
        func take(_ message: NetlinkMessage) {
            guard message.type == MessageType.newRoute, let route = Route(decoding: message.payload),
                route.prefix == key.prefix, route.table == binding.table
            else { return }
            found.append(route)
        }
        _ = asking.transact(
            1, reply: { take($1) },
            { batch, _, sequence in
                batch.getRoute(sequence: sequence, to: key.prefix.address, interface: binding.interface)
            })
        if !found.contains(where: { VRFTable.isOurs($0) }) {
            // A longer prefix with the same address, or somebody's better route, was the answer.
            found = []
            let family = key.prefix.address.isV6 ? Family.ipv6 : Family.ipv4
            try? asking.dump(
                restart: { found = [] }, { $0.dumpRoutes(sequence: $1, family: family, table: binding.table) },
                { take($0) })
        }
        guard !found.isEmpty else { return nil }
        return KernelEntry(
            lines: found.sorted { $0.metric < $1.metric }.map { text($0) },
            isOurs: found.allSatisfy { VRFTable.isOurs($0) })
    }
    private func text(_ route: Route) -> String {
        var text = "\(route.prefix)"
        if route.nexthopID != 0 { text += " nhid \(route.nexthopID)" }
        for hop in route.hops {
            if route.hops.count > 1 { text += " nexthop" }
            if let gateway = hop.gateway { text += " via \(gateway)" }
            if hop.interface != 0 { text += " dev \(links.name(of: hop.interface))" }
            if hop.isOnLink { text += " onlink" }
        }
        if route.table != RouteTable.main { text += " table \(route.table)" }
        text += " proto \(route.proto)"
        return route.metric == 0 ? text : text + " metric \(route.metric)"
    }

    /// Deletions of the routes and nexthop objects with our mark, in all tables of the socket's namespace; of the routes in `table` only.
    static func markedRoutes(
        _ socket: NetlinkSocket, table: UInt32? = nil
    ) throws(NetlinkFailure) -> [RouteOperation] {
        var operations: [RouteOperation] = []
        for family in [Family.ipv4, Family.ipv6] {
            var found: [Route] = []
            var ends: [TableEnd] = []
            try socket.dump(
                restart: { (found, ends) = ([], []) },
                { $0.dumpRoutes(sequence: $1, family: family, proto: routeProtocol) },
                { message in
                    guard message.type == MessageType.newRoute, let route = Route(decoding: message.payload),
                        table == nil || route.table == table
                    else { return }
                    if let end = TableEnd(route) { ends.append(end) }
                    if VRFTable.isOurs(route) { found.append(route) }
                })
            operations += ends.map { .end($0, isRemoval: true) }
            operations += found.map { .route(.init(removing: $0)) }
        }
        guard table == nil else { return operations }
        let nexthops = (try? dumpNexthops(socket)) ?? []
        let ours = nexthops.filter { $0.proto == routeProtocol && nexthopNumbers.contains($0.id) }
        operations += (ours.filter { !$0.members.isEmpty } + ours.filter(\.members.isEmpty)).map {
            .deleteNexthop($0.id)
        }
        return operations
    }
}
