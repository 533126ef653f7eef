// Routes and nexthop objects as values, decoded from what the kernel sends. Everything that would make a value impossible (a length
// beyond the family, an address of the other family) gives nil.

public import NetTypes

/// What happens to packets (RTN_…).
public enum RouteType {
    public static let unicast: UInt8 = 1
    public static let local: UInt8 = 2
    public static let broadcast: UInt8 = 3
    public static let anycast: UInt8 = 4
    public static let multicast: UInt8 = 5
    public static let blackhole: UInt8 = 6
    public static let unreachable: UInt8 = 7
    public static let prohibit: UInt8 = 8
}

/// How far the destination is (RT_SCOPE_…); IPv6 has only `universe`.
public enum RouteScope {
    public static let universe: UInt8 = 0
    public static let link: UInt8 = 253
    /// In a request: any (RT_SCOPE_NOWHERE).
    public static let nowhere: UInt8 = 255
}

/// Who made a route (RTPROT_…, `rt_protos`).
public enum RouteProtocol {
    public static let redirect: UInt8 = 1
    public static let kernel: UInt8 = 2
    public static let boot: UInt8 = 3
    public static let `static`: UInt8 = 4
    public static let routerAdvertisement: UInt8 = 9
}

/// Well-known tables (RT_TABLE_…).
public enum RouteTable {
    public static let main: UInt32 = 254
    public static let local: UInt32 = 255
}

enum RouteAttribute {
    static let destination: UInt16 = 1
    static let interface: UInt16 = 4
    static let gateway: UInt16 = 5
    static let metric: UInt16 = 6
    static let preferredSource: UInt16 = 7
    static let multipath: UInt16 = 9
    static let table: UInt16 = 15
    static let via: UInt16 = 18
    static let nexthopID: UInt16 = 30

    /// RTNH_F_ONLINK of a next hop; the other flags are the kernel's answers.
    static let onLink: UInt32 = 4
    /// RTM_F_CLONED and RTM_F_FIB_MATCH of a message.
    static let cloned: UInt32 = 0x200
    static let fibMatch: UInt32 = 0x2000
}

/// A row of a table of routes (RTM_NEWROUTE).
///
///     +-----------------------------------------------------------------+
///     | family (1) | destination length (1) | source length (1) | TOS (1)|
///     | table (1)  | protocol (1)           | scope (1)      | type (1) |
///     | flags (4), those of the only next hop included                  |
///     | attributes                                                      |
///     +-----------------------------------------------------------------+
public struct Route: Hashable, Sendable {
    /// One way to go.
    public struct Hop: Hashable, Sendable {
        /// Nil: everybody is on the link. An IPv4 route may have an IPv6 one (RTA_VIA).
        public var gateway: IPAddress?
        public var interface: Int32
        /// Share of the packets, 1…256.
        public var weight: Int
        /// The gateway is on the link though no address of the device says so.
        public var isOnLink: Bool
        public init(gateway: IPAddress? = nil, interface: Int32 = 0, weight: Int = 1, isOnLink: Bool = false) {
            self.gateway = gateway
            self.interface = interface
            self.weight = weight
            self.isOnLink = isOnLink
        }
    }
    public var table: UInt32
    public var prefix: IPPrefix
    /// Lower is better. IPv6 makes 1024 of 0.
    public var metric: UInt32
    public var proto: UInt8
    public var type: UInt8
    public var scope: UInt8
    /// IPv4 only; a route with another value is another route.
    public var tos: UInt8 = 0
    /// Zero: none; otherwise `hops` is what the kernel made of it, or empty (sysctl `nexthop_compat_mode`).
    public var nexthopID: UInt32
    public var hops: [Hop]
    /// `src` of `ip route`.
    public var preferredSource: IPAddress?
    /// IPv6: only for packets from some addresses.
    public var dependsOnSource = false
    /// An entry of the cache (RTM_F_CLONED), not of the table.
    public var isCloned = false

    public init(
        table: UInt32, prefix: IPPrefix, metric: UInt32 = 0, proto: UInt8, type: UInt8 = RouteType.unicast,
        scope: UInt8 = RouteScope.universe, nexthopID: UInt32 = 0, hops: [Hop] = [], preferredSource: IPAddress? = nil
    ) {
        self.table = table
        self.prefix = prefix
        self.metric = metric
        self.proto = proto
        self.type = type
        self.scope = scope
        self.nexthopID = nexthopID
        self.hops = hops
        self.preferredSource = preferredSource
    }

    /// Nil for other families, and when the destination makes no sense.
    public init?(decoding payload: UnsafeRawBufferPointer) {
        guard payload.count >= 12, payload[0] == Family.ipv4 || payload[0] == Family.ipv6 else { return nil }
        let isV6 = payload[0] == Family.ipv6
        let flags = payload.loadUnaligned(fromByteOffset: 8, as: UInt32.self)
        var destination: IPAddress = isV6 ? .v6(.any) : .v4(.any)
        var hop = Hop(isOnLink: flags & RouteAttribute.onLink != 0)
        var hasHop = false
        table = UInt32(payload[4])
        metric = 0
        tos = payload[3]
        proto = payload[5]
        scope = payload[6]
        type = payload[7]
        nexthopID = 0
        hops = []
        dependsOnSource = payload[2] != 0
        isCloned = flags & RouteAttribute.cloned != 0
        for attribute in AttributeReader(payload, from: 12) {
            switch attribute.type {
            case RouteAttribute.destination:
                guard let address = attribute.ip, address.isV6 == isV6 else { return nil }
                destination = address
            case RouteAttribute.table: table = attribute.u32 ?? table
            case RouteAttribute.metric: metric = attribute.u32 ?? 0
            case RouteAttribute.preferredSource: preferredSource = attribute.ip
            case RouteAttribute.nexthopID: nexthopID = attribute.u32 ?? 0
            case RouteAttribute.interface:
                hop.interface = attribute.i32 ?? 0
                hasHop = true
            case RouteAttribute.gateway, RouteAttribute.via:
                hop.gateway = attribute.type == RouteAttribute.via ? attribute.via : attribute.ip
                hasHop = true
            case RouteAttribute.multipath: hops = Hop.decode(attribute.payload)
            default: break
            }
        }
        guard let prefix = IPPrefix(destination, length: Int(payload[1])) else { return nil }
        self.prefix = prefix
        if hasHop, hops.isEmpty { hops = [hop] }
    }
    /// Who made the route that a message is about, without reading it further; nil when it is too short.
    public static func proto(_ payload: UnsafeRawBufferPointer) -> UInt8? { payload.count >= 12 ? payload[5] : nil }
}

extension Route.Hop {
    /// Those of RTA_MULTIPATH; a length that does not fit ends the list.
    ///
    ///     +------------------------------------------------------------+
    ///     | length (2) | flags (1) | weight - 1 (1) | interface (4)     |
    ///     | attributes: gateway or via                                 |
    ///     +------------------------------------------------------------+
    static func decode(_ payload: UnsafeRawBufferPointer) -> [Route.Hop] {
        var hops: [Route.Hop] = []
        var offset = 0
        while payload.count - offset >= 8 {
            let length = Int(payload.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
            guard length >= 8, length <= payload.count - offset else { break }
            let part = UnsafeRawBufferPointer(rebasing: payload[offset..<offset + length])
            var hop = Route.Hop(
                interface: part.loadUnaligned(fromByteOffset: 4, as: Int32.self), weight: Int(part[3]) + 1,
                isOnLink: UInt32(part[2]) & RouteAttribute.onLink != 0)
            for attribute in AttributeReader(part, from: 8) {
                switch attribute.type {
                case RouteAttribute.gateway: hop.gateway = attribute.ip
                case RouteAttribute.via: hop.gateway = attribute.via
                default: break
                }
            }
            hops.append(hop)
            offset += (length + 3) & ~3
        }
        return hops
    }
}

extension Attribute {
    /// `struct rtvia`: family (2), address.
    fileprivate var via: IPAddress? {
        guard payload.count > 2 else { return nil }
        return Attribute(type: type, payload: UnsafeRawBufferPointer(rebasing: payload[2...])).ip
    }
}

enum NexthopAttribute {
    static let id: UInt16 = 1
    static let group: UInt16 = 2
    static let groupType: UInt16 = 3
    static let blackhole: UInt16 = 4
    static let interface: UInt16 = 5
    static let gateway: UInt16 = 6
    static let fdb: UInt16 = 11
}

/// A nexthop object (RTM_NEWNEXTHOP, Linux 5.3): a way to go that routes refer to by its number, or a group of such.
///
///     +---------------------------------------------------------------+
///     | family (1) | scope (1) | protocol (1) | reserved (1)          |
///     | flags (4)                                                     |
///     | attributes: ID, and either OIF and GATEWAY or                 |
///     |   GROUP { ID (4), weight - 1 (1), its high octet (1), 0 (2) } …|
///     +---------------------------------------------------------------+
public struct Nexthop: Hashable, Sendable {
    public struct Member: Hashable, Comparable, Sendable {
        public var id: UInt32
        /// 1…256, from Linux 6.12 on 1…65536.
        public var weight: Int
        public init(id: UInt32, weight: Int = 1) {
            self.id = id
            self.weight = weight
        }
        public static func < (a: Self, b: Self) -> Bool { (a.id, a.weight) < (b.id, b.weight) }
    }
    /// Not zero.
    public var id: UInt32
    public var proto: UInt8
    public var gateway: IPAddress?
    /// 0 for a group.
    public var interface: Int32
    public var isOnLink: Bool
    /// For a nexthop without a gateway: whose routes it can serve; those of the gateway's family otherwise, and IPv4 ones too.
    public var isV6: Bool
    /// Empty: not a group.
    public var members: [Member]
    public var isBlackhole = false
    /// For FDB entries, not for routes.
    public var isFDB = false
    /// A group of another kind than by hash (NEXTHOP_GRP_TYPE_MPATH).
    public var isResilient = false

    public init(
        id: UInt32, proto: UInt8, gateway: IPAddress?, interface: Int32, isOnLink: Bool = false, isV6: Bool? = nil
    ) {
        self.id = id
        self.proto = proto
        self.gateway = gateway
        self.interface = interface
        self.isOnLink = isOnLink
        self.isV6 = isV6 ?? gateway?.isV6 ?? false
        members = []
    }
    public init(id: UInt32, proto: UInt8, members: [Member]) {
        self.id = id
        self.proto = proto
        interface = 0
        isOnLink = false
        isV6 = false
        self.members = members
    }
    /// Nil without a number.
    public init?(decoding payload: UnsafeRawBufferPointer) {
        guard payload.count >= 8 else { return nil }
        isV6 = payload[0] == Family.ipv6
        proto = payload[2]
        isOnLink = payload.loadUnaligned(fromByteOffset: 4, as: UInt32.self) & RouteAttribute.onLink != 0
        interface = 0
        members = []
        id = 0
        for attribute in AttributeReader(payload, from: 8) {
            switch attribute.type {
            case NexthopAttribute.id: id = attribute.u32 ?? 0
            case NexthopAttribute.interface: interface = attribute.i32 ?? 0
            case NexthopAttribute.gateway: gateway = attribute.ip
            case NexthopAttribute.blackhole: isBlackhole = true
            case NexthopAttribute.fdb: isFDB = true
            case NexthopAttribute.groupType: isResilient = (attribute.u16 ?? 0) != 0
            case NexthopAttribute.group:
                members = stride(from: 0, to: attribute.payload.count - attribute.payload.count % 8, by: 8).map {
                    offset in
                    let weight = Int(attribute.payload[offset + 5]) << 8 | Int(attribute.payload[offset + 4])
                    return Member(
                        id: attribute.payload.loadUnaligned(fromByteOffset: offset, as: UInt32.self), weight: weight + 1
                    )
                }
            default: break
            }
        }
        guard id != 0 else { return nil }
    }
}
