// The dataplane-neutral tables that the control plane computes, and the local facts that dataplanes report.

public import BGP
public import NetTypes

/// A MAC address in a broadcast domain.
public struct MACKey: Hashable, Comparable, Sendable, CustomStringConvertible {
    public var vni: VNI
    public var mac: MACAddress
    @inlinable public init(vni: VNI, mac: MACAddress) {
        self.vni = vni
        self.mac = mac
    }
    public static func < (a: Self, b: Self) -> Bool { (a.vni, a.mac) < (b.vni, b.mac) }
    public var description: String { "vni \(vni) mac \(mac)" }
}

/// Where frames for a remote MAC go.
public struct RemoteMAC: Hashable, Sendable {
    public var vtep: IPAddress
    /// The VNI to send with: the announcer's, which may differ from the local one (downstream-assigned VNI, RFC 8365 §5.1.3).
    public var vni: VNI
    /// Sticky or gateway MACs: the bridge must not let a local port take them over.
    public var isSticky: Bool
    @inlinable public init(vtep: IPAddress, vni: VNI, isSticky: Bool = false) {
        self.vtep = vtep
        self.vni = vni
        self.isSticky = isSticky
    }
}

/// One member of the flood list (ingress replication) of a broadcast domain.
public struct FloodKey: Hashable, Comparable, Sendable, CustomStringConvertible {
    public var vni: VNI
    public var vtep: IPAddress
    @inlinable public init(vni: VNI, vtep: IPAddress) {
        self.vni = vni
        self.vtep = vtep
    }
    public static func < (a: Self, b: Self) -> Bool { (a.vni, a.vtep) < (b.vni, b.vtep) }
    public var description: String { "vni \(vni) flood \(vtep)" }
}

public struct FloodMember: Hashable, Sendable {
    /// The VNI to send with.
    public var vni: VNI
    @inlinable public init(vni: VNI) { self.vni = vni }
}

/// An IP address in a broadcast domain, for ARP/ND suppression.
public struct NeighborKey: Hashable, Comparable, Sendable, CustomStringConvertible {
    public var vni: VNI
    public var ip: IPAddress
    @inlinable public init(vni: VNI, ip: IPAddress) {
        self.vni = vni
        self.ip = ip
    }
    public static func < (a: Self, b: Self) -> Bool { (a.vni, a.ip) < (b.vni, b.ip) }
    public var description: String { "vni \(vni) neighbor \(ip)" }
}

public struct RemoteNeighbor: Hashable, Sendable {
    public var mac: MACAddress
    /// The R flag of ND (RFC 9047).
    public var isRouter: Bool
    @inlinable public init(mac: MACAddress, isRouter: Bool = false) {
        self.mac = mac
        self.isRouter = isRouter
    }
}

/// A prefix in the table of an IP-VRF.
public struct PrefixKey: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The name of the IP-VRF.
    public var vrf: String
    public var prefix: IPPrefix
    @inlinable public init(vrf: String, prefix: IPPrefix) {
        self.vrf = vrf
        self.prefix = prefix
    }
    public static func < (a: Self, b: Self) -> Bool { (a.vrf, a.prefix) < (b.vrf, b.prefix) }
    public var description: String { "vrf \(vrf) prefix \(prefix)" }
}

/// One way to the packets' destination.
public enum RoutedNexthop: Hashable, Comparable, Sendable {
    /// The router behind `vtep`, through the devices of the local L3 VNI `through`. Its MAC address is that domain's neighbor entry
    /// for the VTEP's address (`RouterNeighbor`), and where its frames go is that MAC's entry.
    case router(vtep: IPAddress, through: VNI)
    /// A host of the subnet of an EVI of this host, through that domain's layer-3 interface.
    case host(IPAddress, on: VNI)
    /// Whatever the table of another VRF of this host says.
    case table(vrf: String)
    /// The router with the address `mac` behind `vtep`, reached with its own `vni`: for dataplanes that write all of it into each packet
    /// (`Overlay.hasTunnelNexthops`). No neighbor or MAC entries stand for it.
    case tunnel(vtep: IPAddress, vni: VNI, mac: MACAddress)
}

/// Where packets to a prefix go: next hops of the same preference, sorted, at least one.
public struct RemotePrefix: Hashable, Sendable {
    public var nexthops: [RoutedNexthop]
    @inlinable public init(nexthops: [RoutedNexthop]) { self.nexthops = nexthops }
}

/// What the best routes of others say about a prefix of an IP-VRF, for tables that are not the VRF's own.
public struct ExportedPrefix: Hashable, Sendable {
    /// Sorted; empty when packets go to a host of this one's subnets.
    public var vteps: [IPAddress]
    /// Of all of these routes, sorted.
    public var communities: [UInt32]
    public var largeCommunities: [LargeCommunity]
    /// An address that the underlay needs and that the prefix has in it (a VTEP, a BGP neighbor, a next hop), if the VRF is exported into
    /// the host's own table, where packets to it would follow.
    public var hijacked: IPAddress?
    public init(
        vteps: [IPAddress], communities: [UInt32] = [], largeCommunities: [LargeCommunity] = [],
        hijacked: IPAddress? = nil
    ) {
        self.vteps = vteps
        self.communities = communities
        self.largeCommunities = largeCommunities
        self.hijacked = hijacked
    }
}

/// Nil: there is no such prefix any more.
public struct ExportChange: Hashable, Sendable {
    public var key: PrefixKey
    public var prefix: ExportedPrefix?
    public init(key: PrefixKey, prefix: ExportedPrefix?) {
        self.key = key
        self.prefix = prefix
    }
}

/// How a router is known in the neighbor table of its L3 VNI.
public enum RouterNeighbor {
    /// The neighbor addresses that stand for a VTEP: for IPv4 routes over an IPv4 VTEP itself, for all others a link-local address. An
    /// IPv6 next hop in the VRF's own number space could be covered by a route of the tenant to another device, and then the kernel
    /// refuses it (`ip6_route_check_nh_onlink`); a link-local one is taken as it is.
    public static func addresses(of vtep: IPAddress) -> [IPAddress] {
        vtep.isV6 ? [linkLocal(vtep)] : [vtep, linkLocal(vtep)]
    }
    /// The next hop address of routes of one family: IPv4 routes may have an IPv6 next hop (RTA_VIA), IPv6 routes no IPv4 one.
    public static func gateway(_ vtep: IPAddress, isV6 prefixIsV6: Bool) -> IPAddress {
        prefixIsV6 ? linkLocal(vtep) : addresses(of: vtep)[0]
    }
    /// `fe80::ffff:192.0.2.1` for 192.0.2.1; for an IPv6 address one with an interface identifier made of all its bits, which is never of
    /// that form.
    private static func linkLocal(_ vtep: IPAddress) -> IPAddress {
        let identifier: UInt64
        switch vtep {
        case .v4(let address): identifier = 0xffff_0000_0000 | UInt64(address.rawValue)
        case .v6(let address):
            // Addresses of one subnet differ in their low bits, which stay as they are.
            let mixed = address.high &* 0x9e37_79b9_7f4a_7c15
            identifier = address.low ^ (mixed ^ mixed >> 32) | 1 << 63
        }
        return .v6(IPv6Address(high: 0xfe80 << 48, low: identifier))
    }
}

/// One row of one of the forwarding tables, to set or (nil) to remove.
public enum ForwardingChange: Hashable, Sendable {
    case mac(MACKey, RemoteMAC?)
    case flood(FloodKey, FloodMember?)
    case neighbor(NeighborKey, RemoteNeighbor?)
    case prefix(PrefixKey, RemotePrefix?)
}

/// The key of any row, for status and `explain`.
public enum ForwardingKey: Hashable, Comparable, Sendable {
    case flood(FloodKey)
    case mac(MACKey)
    case neighbor(NeighborKey)
    case prefix(PrefixKey)
}

/// How far one row has come in the kernel.
public enum EntryStatus: Hashable, Sendable {
    /// No such row is wanted.
    case absent
    /// Wanted but not yet possible: the reason, e.g. "no VXLAN device for vni 100".
    case waiting(reason: String)
    /// Sent to the kernel, not acknowledged yet.
    case pending
    case done
    /// Refused: the kernel's own text.
    case failed(reason: String, since: Instant)
}

/// Something a dataplane saw on this host. nil values: no longer there.
public enum LocalChange: Hashable, Sendable {
    /// The domain can forward (its device is there, up, with a VTEP address), or cannot.
    case domain(VNI, LocalDomain?)
    case mac(MACKey, LocalMAC?)
    case neighbor(NeighborKey, LocalNeighbor?)
    /// A route of a VRF's table that is not evpnd's.
    case prefix(PrefixKey, LocalPrefix?)
}

public struct LocalDomain: Hashable, Sendable {
    /// This host's VTEP address in the domain.
    public var vtep: IPAddress
    /// For people: `vxlan100 in br100`.
    public var device: String
    /// The VRF that its layer-3 interface is found in; nil: none, or it has no such interface.
    public var vrf: String?
    /// Its layer-3 interface is not in the VRF that the configuration has it in, and stays so: `vrf` alone counts.
    public var isOutsideVRF = false
    /// The MAC address of its layer-3 interface: for an L3 VNI the router MAC of this VTEP (RFC 9135 §4.1).
    public var routerMAC: MACAddress?
    /// The name of its layer-3 interface, as `LocalPrefix` has it; nil: none, or nothing is routed there.
    public var interface: String?
    public init(
        vtep: IPAddress, device: String, vrf: String? = nil, routerMAC: MACAddress? = nil, interface: String? = nil
    ) {
        self.vtep = vtep
        self.device = device
        self.vrf = vrf
        self.routerMAC = routerMAC
        self.interface = interface
    }
}

/// A route that this host has in the table of a VRF.
public struct LocalPrefix: Hashable, Sendable {
    /// Who made it (`rt_protos`): 2 is the kernel, 3 boot, 4 static.
    public var proto: UInt8
    /// The subnet of an address of the interface.
    public var isConnected: Bool
    /// The interface of its first next hop; empty: packets are dropped (`blackhole`, `unreachable`, `prohibit`).
    public var interface: String
    public var isDropped: Bool { interface.isEmpty }
    /// Its next hop, when it has exactly one with an address.
    public var gateway: IPAddress?
    /// The route targets that it is announced with; nil: those of the IP-VRF.
    public var exports: [RouteTarget]?
    public init(
        proto: UInt8, isConnected: Bool, interface: String, gateway: IPAddress? = nil, exports: [RouteTarget]? = nil
    ) {
        self.proto = proto
        self.isConnected = isConnected
        self.interface = interface
        self.gateway = gateway
        self.exports = exports
    }
}

public struct LocalMAC: Hashable, Sendable {
    /// The bridge port it was learned on.
    public var port: String
    /// An entry that an operator put there (`bridge fdb add … master static`): it does not age.
    public var isStatic: Bool
    /// `bridge fdb add … sticky`: announced with the sticky bit.
    public var isSticky: Bool
    /// The MAC of the bridge's own interface: a gateway, which never moves.
    public var isGateway: Bool
    /// The route targets that it and its addresses are announced with; nil: those of the EVI.
    public var exports: [RouteTarget]?
    public init(
        port: String, isStatic: Bool = false, isSticky: Bool = false, isGateway: Bool = false,
        exports: [RouteTarget]? = nil
    ) {
        self.port = port
        self.isStatic = isStatic
        self.isSticky = isSticky
        self.isGateway = isGateway
        self.exports = exports
    }
}

public struct LocalNeighbor: Hashable, Sendable {
    public var mac: MACAddress
    public var isRouter: Bool
    public init(mac: MACAddress, isRouter: Bool = false) {
        self.mac = mac
        self.isRouter = isRouter
    }
}
