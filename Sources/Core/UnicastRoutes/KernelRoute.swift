// Routes of the kernel, as far as plain unicast routes need them.

public import NetTypes

/// What tells a route from others of the same kernel table (fib_table_insert): prefix and metric. The type of service is always 0.
public struct KernelRouteKey: Hashable, Comparable, Sendable, CustomStringConvertible {
    public var table: UInt32
    public var prefix: IPPrefix
    public var metric: UInt32
    public init(table: UInt32, prefix: IPPrefix, metric: UInt32) {
        self.table = table
        self.prefix = prefix
        self.metric = metric
    }
    public static func < (a: Self, b: Self) -> Bool {
        (a.table, a.prefix, a.metric) < (b.table, b.prefix, b.metric)
    }
    public var description: String { "\(prefix) table \(table) metric \(metric)" }
}

/// One way of a route.
public struct KernelNexthop: Hashable, Comparable, Sendable {
    /// Of either family: IPv4 routes may have an IPv6 gateway (RTA_VIA). Nil: on the link.
    public var gateway: IPAddress?
    public var interface: Int32
    /// The gateway counts as a neighbor on the interface whatever the routes say (RTNH_F_ONLINK).
    public var isOnlink: Bool
    public init(gateway: IPAddress?, interface: Int32, isOnlink: Bool = false) {
        self.gateway = gateway
        self.interface = interface
        self.isOnlink = isOnlink
    }
    public static func < (a: Self, b: Self) -> Bool {
        if a.interface != b.interface { return a.interface < b.interface }
        switch (a.gateway, b.gateway) {
        case (let x?, let y?): return x < y
        case (nil, _?): return true
        default: return false
        }
    }
}

/// Where a route leads, and whose it is.
public struct KernelRoute: Hashable, Sendable {
    /// `rt_protos`.
    public var proto: UInt8
    /// Sorted, at least one.
    public var nexthops: [KernelNexthop]
    public init(proto: UInt8, nexthops: [KernelNexthop]) {
        self.proto = proto
        self.nexthops = nexthops.sorted()
    }
}

/// Asks how the kernel reaches an address.
public struct NexthopQuery: Hashable, Comparable, Sendable {
    public var address: IPAddress
    /// The VRF device in whose table is looked first; nil: only as the host itself does.
    public var vrf: String?
    public init(_ address: IPAddress, vrf: String? = nil) {
        self.address = address
        self.vrf = vrf
    }
    public static func < (a: Self, b: Self) -> Bool { (a.address, a.vrf ?? "") < (b.address, b.vrf ?? "") }
}

/// The kernel's answer: the route it found.
public enum NexthopAnswer: Hashable, Sendable {
    case unreachable
    /// `by` has a gateway for each way, or nil where the address itself is on the link. `isOurs`: the route has our protocol number.
    case reachable(by: [KernelNexthop], match: IPPrefix, isOurs: Bool)
}

/// A request for the kernel.
public struct KernelRouteOperation: Hashable, Sendable {
    public enum Action: Hashable, Sendable {
        /// Only when the table has no such route.
        case add(KernelRoute)
        /// In place of one of ours.
        case replace(KernelRoute)
        /// Only when it has this protocol number.
        case remove(proto: UInt8)
    }
    public var key: KernelRouteKey
    public var action: Action
    public init(_ action: Action, _ key: KernelRouteKey) {
        self.key = key
        self.action = action
    }
}

/// How a request ended.
public enum KernelRouteOutcome: Hashable, Sendable {
    case done
    /// Not added: there is a route with this key.
    case exists
    /// Not removed: there is none.
    case absent
    /// The kernel's words.
    case refused(String)
}

/// A VRF device.
public struct VRFDevice: Hashable, Sendable {
    public var interface: Int32
    public var table: UInt32
    public init(interface: Int32, table: UInt32) {
        self.interface = interface
        self.table = table
    }
}
