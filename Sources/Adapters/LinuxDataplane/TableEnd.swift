// The last route of a VRF's table. Without one the kernel goes on with the rules that follow, and so with the host's own table: packets of
// a tenant to addresses that the tenant has no route to would leave through the underlay.

import EVPN
import NetTypes
import Netlink

/// `unreachable default` with the metric that the kernel's documentation of VRFs proposes, in one table and family.
struct TableEnd: Hashable, Sendable {
    /// Behind every other route, but not the largest there is, which stands for "none" in places.
    static let metric: UInt32 = 4_278_198_272

    var table: UInt32
    var isV6: Bool

    var route: Route {
        Route(
            table: table, prefix: IPPrefix(everythingOf: isV6), metric: TableEnd.metric,
            proto: routeProtocol, type: RouteType.unreachable)
    }
    init(table: UInt32, isV6: Bool) {
        self.table = table
        self.isV6 = isV6
    }
    /// Nil for any other route.
    init?(_ route: Route) {
        guard route.type == RouteType.unreachable, route.prefix.length == 0, route.metric == TableEnd.metric,
            route.proto == routeProtocol
        else { return nil }
        (table, isV6) = (route.table, route.prefix.address.isV6)
    }
    func command(_ verb: String) -> String {
        "ip \(isV6 ? "-6 " : "")route \(verb) unreachable default table \(table) metric \(TableEnd.metric) proto \(routeProtocol)"
    }
}

extension LinuxDataplane {
    /// What the tables of managed VRF devices lack.
    func missingEnds(of vrf: RoutedVRF) -> [TableEnd] {
        guard let binding = vrf.binding, let configuration = vrfs[vrf.name]?.configuration, configuration.isManaged,
            configuration.hasOwnDevice, vrf.table.binding != nil, !vrf.isRetired
        else { return [] }
        return [false, true].filter { !vrf.ends.contains($0) }.map { TableEnd(table: binding.table, isV6: $0) }
    }
}
