// What `netlinkImport` and `netlinkExport` ask for, in the words of the gobgp-netlink daemon that k8gobgp configures.

public import BGP
import EVPN

/// Connected networks of interfaces that are announced as plain unicast routes.
public struct NetlinkImport: Equatable, Sendable {
    /// Names of interfaces, or globs (`*`, `?`).
    public var interfaces: [String]
    public init(interfaces: [String] = []) { self.interfaces = interfaces }
}

/// Best unicast routes, and best routes of IP-VRFs, that are put into kernel tables.
public struct NetlinkExport: Equatable, Sendable {
    /// How long changes of a route are collected before the kernel hears of them, in milliseconds; at most `maximumDampening`.
    public var dampeningMilliseconds: Int
    /// The protocol number (`rt_protos`) that marks our routes. Routes with it in a table that an
    /// earlier run has recorded count as ours.
    public var routeProtocol: UInt8
    public var rules: [Rule]

    public static let defaultDampening = 100
    public static let maximumDampening = 2000
    /// `bgp` of rt_protos.
    public static let defaultProtocol: UInt8 = 186
    public static let defaultMetric: UInt32 = 20
    /// The table of `ip route` without a table.
    public static let mainTable: UInt32 = 254

    /// Which routes go into one table. A route may match several rules.
    public struct Rule: Equatable, Sendable {
        /// Unique.
        public var name: String
        /// The IP-VRF whose EVPN routes it is for; nil: it is for plain unicast routes.
        public var source: String?
        /// A route matches when it carries one of these or of `largeCommunities`; when both are empty every route does.
        public var communities: [UInt32]
        public var largeCommunities: [LargeCommunity]
        /// A VRF device; nil: none.
        public var vrf: String?
        /// Nil: that of the VRF device, or the main table.
        public var table: UInt32?
        /// The kernel's route metric, at least 1. Smaller is better.
        public var metric: UInt32
        /// Only next hops that the kernel has a route to are used; otherwise they count as neighbors on the interface towards
        /// them (`onlink`). Next hops of EVPN routes are VTEPs: with it, one of them must be reached.
        public var validatesNexthop: Bool
        public init(
            name: String, source: String? = nil, communities: [UInt32] = [], largeCommunities: [LargeCommunity] = [],
            vrf: String? = nil, table: UInt32? = nil, metric: UInt32 = NetlinkExport.defaultMetric,
            validatesNexthop: Bool = true
        ) {
            self.name = name
            self.source = source
            self.communities = communities
            self.largeCommunities = largeCommunities
            self.vrf = vrf
            self.table = table
            self.metric = metric
            self.validatesNexthop = validatesNexthop
        }

        func matches(_ path: ExportTable.Path) -> Bool {
            CommunitySelection(communities, largeCommunities).takes(path.communities, path.largeCommunities)
        }
    }

    public init(
        dampeningMilliseconds: Int = NetlinkExport.defaultDampening,
        routeProtocol: UInt8 = NetlinkExport.defaultProtocol, rules: [Rule] = []
    ) {
        self.dampeningMilliseconds = dampeningMilliseconds
        self.routeProtocol = routeProtocol
        self.rules = rules
    }
    var dampening: Duration { .milliseconds(min(max(0, dampeningMilliseconds), NetlinkExport.maximumDampening)) }
}
