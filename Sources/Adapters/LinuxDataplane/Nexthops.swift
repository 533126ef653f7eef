// Next hops, and what nexthop objects say.

import EVPN
import NetTypes
import Netlink

/// The numbers of our nexthop objects, which the kernel keeps by namespace. Others count from 1 on, or, as the kernel, with each new one.
let nexthopNumbers: Range<UInt32> = 0x6576_0000..<0x6586_0000

/// One next hop of routes of one family.
struct NexthopWay: Hashable, Comparable, Sendable {
    var nexthop: RoutedNexthop
    /// Of the routes; false as well for gateways that serve routes of both.
    var isV6: Bool
    /// Of a route that the underlay has: one of its own next hops.
    var hop: UnderlayHop?

    /// `isV6`: of the routes' prefixes.
    init(_ nexthop: RoutedNexthop, isV6: Bool) {
        self.nexthop = nexthop
        self.isV6 =
            switch nexthop {
            case .router(let vtep, _): RouterNeighbor.gateway(vtep, isV6: isV6).isV6
            case .host(let ip, _): ip.isV6
            case .table, .tunnel: isV6
            }
    }
    /// `underlay`: the name of the VRF that is the host's own table. `isV6`: of the prefix.
    init(_ hop: UnderlayHop, underlay: String, isV6: Bool) {
        nexthop = .table(vrf: underlay)
        self.isV6 = if case .way(_, let gateway?, _) = hop { gateway.isV6 } else { isV6 }
        self.hop = hop
    }
    static func < (a: Self, b: Self) -> Bool {
        if a.nexthop != b.nexthop { return a.nexthop < b.nexthop }
        if a.isV6 != b.isV6 { return b.isV6 }
        guard let hop = a.hop, let other = b.hop else { return a.hop == nil && b.hop != nil }
        return hop < other
    }
}

/// What a nexthop object says.
enum NexthopContent: Hashable, Sendable {
    /// `isOnLink`: the gateway is reached there whatever routes say, which the kernel is not to check.
    case way(gateway: IPAddress?, interface: Int32, isV6: Bool, isOnLink: Bool)
    /// Numbers of others, sorted.
    case group([UInt32])

    init(_ nexthop: Nexthop) {
        if nexthop.members.isEmpty {
            self = .way(
                gateway: nexthop.gateway, interface: nexthop.interface, isV6: nexthop.isV6, isOnLink: nexthop.isOnLink)
        } else {
            self = .group(nexthop.members.map(\.id).sorted())
        }
    }
    var isGroup: Bool { if case .group = self { true } else { false } }
}

/// Where an object or a route stands, beside what is wanted and what the kernel has.
struct RouteMarks: OptionSet, Hashable, Sendable {
    let rawValue: UInt8
    /// A request for it is at the kernel.
    static let inFlight = RouteMarks(rawValue: 0x01)
    /// It waits for its turn to be looked at.
    static let queued = RouteMarks(rawValue: 0x02)
    /// The kernel refused it.
    static let failed = RouteMarks(rawValue: 0x04)
    /// Found at start, wanted by nobody yet: not to be removed before pruning is allowed.
    static let adopted = RouteMarks(rawValue: 0x08)
    /// It was in the kernel as wanted: a later difference is damage.
    static let settled = RouteMarks(rawValue: 0x10)
    /// The kernel has a route with this prefix and metric that nobody else made: one of ours that we did not know of.
    static let occupied = RouteMarks(rawValue: 0x20)
    /// Somebody changed it while a request was at the kernel.
    static let disturbed = RouteMarks(rawValue: 0x40)
}
