// One request for one route or nexthop object, as the worker sends it and as an operator would type it.

import NetTypes
import Netlink

/// Our mark on routes and nexthop objects (RTA_PROTOCOL, `nh_protocol`): the same number as on neighbors.
let routeProtocol = neighborProtocol

/// The metrics of our routes: 20 behind those of routes that are added without one (0 for IPv4, 1024 for IPv6, of which the kernel's own
/// for connected subnets have 256), so that they coexist with them and give way to them.
func routeMetric(isV6: Bool) -> UInt32 { isV6 ? 1044 : 20 }

enum RouteOperation: Hashable, Sendable {
    case setNexthop(UInt32, NexthopContent)
    case deleteNexthop(UInt32)
    case route(RouteChange)
    case end(TableEnd, isRemoval: Bool)

    struct RouteChange: Hashable, Sendable {
        enum Kind: UInt8, Sendable {
            /// Refused when there is one with the same metric, whoever made it.
            case add
            /// Refused when there is none.
            case replace
            case delete
        }
        var kind: Kind
        /// Whose row it is.
        var vrf: String
        /// Of the VRF's binding to its table; an answer for an earlier one is dropped.
        var generation: UInt32
        var binding: VRFBinding
        var prefix: IPPrefix
        /// The nexthop object that the route refers to.
        var nexthop: UInt32

        var route: Route {
            Route(
                table: binding.table, prefix: prefix, metric: binding.metric(isV6: prefix.address.isV6),
                proto: routeProtocol, nexthopID: kind == .delete ? 0 : nexthop)
        }
    }

    func encode(_ batch: inout NetlinkBatch, sequence: UInt32) {
        switch self {
        case .setNexthop(let id, let content):
            batch.setNexthop(sequence: sequence, RouteOperation.nexthop(id, content), mode: [.create, .replace])
        case .deleteNexthop(let id): batch.deleteNexthop(sequence: sequence, id: id)
        case .end(let end, isRemoval: false):
            batch.setRoute(sequence: sequence, end.route, mode: [.create, .exclusive])
        case .end(let end, isRemoval: true): batch.deleteRoute(sequence: sequence, end.route)
        case .route(let change):
            switch change.kind {
            case .add: batch.setRoute(sequence: sequence, change.route, mode: [.create, .exclusive])
            case .replace: batch.setRoute(sequence: sequence, change.route, mode: .replace)
            case .delete: batch.deleteRoute(sequence: sequence, change.route)
            }
        }
    }
    private static func nexthop(_ id: UInt32, _ content: NexthopContent) -> Nexthop {
        switch content {
        case .way(let gateway, let interface, let isV6, let isOnLink):
            Nexthop(
                id: id, proto: routeProtocol, gateway: gateway, interface: interface, isOnLink: isOnLink, isV6: isV6)
        case .group(let members): Nexthop(id: id, proto: routeProtocol, members: members.map { .init(id: $0) })
        }
    }

    /// The command that does the same. `name`: of the device with a number.
    func text(_ name: (Int32) -> String) -> String {
        switch self {
        case .setNexthop(let id, .way(let gateway, let interface, let isV6, let isOnLink)):
            let way =
                (gateway.map { "via \($0) " } ?? "") + "dev \(name(interface))" + (isOnLink ? " onlink" : "")
            return "ip \(isV6 && gateway == nil ? "-6 " : "")nexthop replace id \(id) \(way) proto \(routeProtocol)"
        case .setNexthop(let id, .group(let members)):
            let list = members.map(String.init).joined(separator: "/")
            return "ip nexthop replace id \(id) group \(list) proto \(routeProtocol)"
        case .deleteNexthop(let id): return "ip nexthop del id \(id)"
        case .end(let end, let isRemoval): return end.command(isRemoval ? "del" : "add")
        case .route(let change):
            let verb =
                switch change.kind {
                case .add: "add"
                case .replace: "replace"
                case .delete: "del"
                }
            let binding = change.binding
            let place =
                binding.interface != 0
                ? " vrf \(name(binding.interface))"
                : binding.table == RouteTable.main ? "" : " table \(binding.table)"
            let target = change.kind == .delete ? "" : " nhid \(change.nexthop)"
            let metric = binding.metric(isV6: change.prefix.address.isV6)
            return "ip route \(verb) \(change.prefix)\(place) proto \(routeProtocol) metric \(metric)\(target)"
        }
    }
}

extension RouteOperation.RouteChange {
    /// What removes a route of ours that is not, or no longer, one of a row: nobody waits for the answer.
    init(removing route: Route) {
        self.init(
            kind: .delete, vrf: "", generation: .max,
            binding: VRFBinding(interface: 0, table: route.table, metric: route.metric), prefix: route.prefix,
            nexthop: 0)
    }
}
