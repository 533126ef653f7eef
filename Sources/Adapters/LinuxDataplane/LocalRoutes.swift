// Routes of a VRF's table that are not ours: what the control plane hears about, and who is in the way of one of ours. Pure.

import EVPN
import NetTypes
import Netlink

/// A route that somebody else made, as far as it matters here.
struct LocalRoute: Hashable, Sendable {
    var metric: UInt32
    var proto: UInt8
    var type: UInt8
    var tos: UInt8
    var isConnected: Bool
    /// Its first next hop, and the others of a route with several.
    var hop: Route.Hop
    var otherHops: [Route.Hop]

    /// Nil: of no concern (link-local, multicast, entries of the cache, by source).
    init?(_ route: Route) {
        guard !route.isCloned, !route.dependsOnSource, !route.prefix.address.isMulticast,
            !route.prefix.address.isLinkLocal
        else { return nil }
        metric = route.metric
        proto = route.proto
        type = route.type
        tos = route.tos
        hop = route.hops.first ?? Route.Hop()
        otherHops = Array(route.hops.dropFirst())
        isConnected =
            route.proto == RouteProtocol.kernel && route.hops.count == 1 && hop.gateway == nil
            && (route.prefix.address.isV6 || route.scope == RouteScope.link)
    }
    /// Packets can be sent along it.
    var isUnicast: Bool { type == RouteType.unicast && tos == 0 }
    /// Packets end here.
    var isDropping: Bool {
        type == RouteType.blackhole || type == RouteType.unreachable || type == RouteType.prohibit
    }
    /// Local addresses, broadcasts and the like, which live in a table of their own but need not.
    var isAddress: Bool {
        type == RouteType.local || type == RouteType.broadcast || type == RouteType.anycast
            || type == RouteType.multicast
    }
}

struct LocalRoutes {
    /// Those of each prefix, the best first.
    private(set) var routes: [IPPrefix: [LocalRoute]] = [:]
    var limit = Int.max
    /// Routes were left out because there were too many.
    private(set) var isFull = false

    /// Whether what is known of the prefix has changed. `mode`: the flags of the notification.
    mutating func insert(_ prefix: IPPrefix, _ route: LocalRoute, mode: MessageFlags = []) -> Bool {
        guard !route.isAddress else { return false }
        var list = routes[prefix] ?? []
        if list.isEmpty, routes.count >= limit {
            isFull = true
            return false
        }
        guard !list.contains(route) else { return false }
        // `ip route append` is the one way to have two of the same metric; to an IPv6 route it adds a next hop.
        if !mode.contains(.append) || prefix.address.isV6 {
            list.removeAll { $0.metric == route.metric && $0.tos == route.tos }
        }
        list.insert(route, at: list.firstIndex { $0.metric > route.metric } ?? list.count)
        routes[prefix] = list
        return true
    }
    /// Whether the prefix is known to have had that route. False with others of its metric: what is left of them has to be read.
    mutating func remove(_ prefix: IPPrefix, _ route: LocalRoute) -> Bool {
        guard var list = routes[prefix], let index = list.firstIndex(of: route) else { return false }
        list.remove(at: index)
        routes[prefix] = list.isEmpty ? nil : list
        return true
    }
    func contains(_ prefix: IPPrefix, metric: UInt32) -> Bool {
        routes[prefix]?.contains { $0.metric == metric && $0.tos == 0 } ?? false
    }
    /// What the control plane is told of a prefix: its best route. One that drops packets counts where it wins against ours.
    func fact(_ prefix: IPPrefix, in binding: VRFBinding?, name: (Int32) -> String) -> LocalPrefix? {
        if let best = routes[prefix]?.first(where: { $0.tos == 0 }), best.isDropping,
            best.metric < (binding ?? .mainTable).metric(isV6: prefix.address.isV6)
        {
            return LocalPrefix(proto: best.proto, isConnected: false, interface: "")
        }
        guard let best = routes[prefix]?.first(where: \.isUnicast), best.hop.interface != 0 else { return nil }
        return LocalPrefix(
            proto: best.proto, isConnected: best.isConnected, interface: name(best.hop.interface),
            gateway: best.otherHops.isEmpty ? best.hop.gateway : nil)
    }
    func uses(_ interface: Int32) -> Bool {
        routes.values.contains {
            $0.contains { $0.hop.interface == interface || $0.otherHops.contains { $0.interface == interface } }
        }
    }
    var count: Int { routes.count }
}
