// Routed tenants: what an IP-VRF is asked to be, and the interface that joins a broadcast domain to it (IRB, RFC 9135).

public import BGP
public import NetTypes

/// A table of IP routes of one tenant on this host (RFC 9135 §3): what it imports and announces, and where it lives in the kernel.
public struct IPVRF: Equatable, Sendable {
    /// Where the routes are.
    public enum Place: Hashable, Sendable {
        /// A VRF device with the name of the VRF, and its table; nil: the table that the device has, or for one that evpnd makes
        /// the lowest free one from 1000 on.
        case device(table: UInt32?)
        /// A network namespace of `/run/netns`, whose main table it is.
        case namespace(String)
        /// The host's own main table. Without an L3 VNI of its own: the underlay, into which tenants are leaked.
        case underlay
    }
    /// At most 15 octets (IFNAMSIZ), unique.
    public var name: String
    /// Made by evpnd, and removed when it leaves the configuration; otherwise used as it is found.
    public var isManaged: Bool
    public var place: Place
    /// The L3 VNI's devices (RFC 9135 §4.2, symmetric IRB); nil: asymmetric IRB only, with no host or prefix routes but those
    /// that name a gateway in a subnet of this host.
    public var domain: BroadcastDomain?
    public var rd: RouteDistinguisher
    public var importTargets: ImportTargets
    public var exportTargets: [RouteTarget]
    public var announced: AnnouncedPrefixes
    /// Routes of other tables that are visible here.
    public var leaks: [RouteLeak]
    /// The kernel's metric of the routes of others, from 1 on; nil: 20, and 1044 for IPv6.
    public var metric: UInt32?
    /// Of the routes of others only these are taken; nil: all that are imported.
    public var selection: CommunitySelection?
    /// How many next hops of the same preference a route has at most (ECMP), 1…256.
    public var maximumPaths: Int
    /// Routes of others are put into tables that are not the VRF's own; nil: they are not.
    public var export: Export?
    public struct Export: Equatable, Sendable {
        /// `rt_protos`.
        public var proto: UInt8
        /// The host's own main table is one of them.
        public var reachesHost: Bool
        /// The table by its number, where only routes with some communities go. It cannot be the VRF's own, into which all would go.
        public var filteredTable: UInt32?
        public init(proto: UInt8, reachesHost: Bool = false, filteredTable: UInt32? = nil) {
            self.proto = proto
            self.reachesHost = reachesHost
            self.filteredTable = filteredTable
        }
    }
    /// Tables that routes are exported into by number; a VRF whose table evpnd chooses gets none of them.
    public var reservedTables: Set<UInt32> = []
    /// Packets to a prefix that this host has itself also go to others that have it; otherwise those are not told of.
    public var sharesLocalPrefixes = false

    /// The L3 VNI. Where this is inlined into loops of other modules, the release compiler (Swift 6.3.1) ends with an ownership error.
    @inline(never) public var vni: VNI? { domain?.vni }
    /// The name of the network namespace that it is, if it is one.
    public var namespace: String? { if case .namespace(let name) = place { name } else { nil } }

    public init(
        name: String, isManaged: Bool = false, place: Place = .device(table: nil), domain: BroadcastDomain? = nil,
        rd: RouteDistinguisher, importTargets: ImportTargets, exportTargets: [RouteTarget],
        announced: AnnouncedPrefixes = AnnouncedPrefixes(), leaks: [RouteLeak] = [], maximumPaths: Int = 64
    ) {
        self.name = name
        self.isManaged = isManaged
        self.place = place
        self.domain = domain
        self.rd = rd
        self.importTargets = importTargets
        self.exportTargets = exportTargets
        self.announced = announced
        self.leaks = leaks
        self.maximumPaths = maximumPaths
    }
}

/// Which routes of a VRF's table are announced as type 5 (RFC 9136).
public struct AnnouncedPrefixes: Equatable, Sendable {
    /// Subnets of interfaces whose name matches one of these globs (`*`, `?`); empty: none.
    public var connected: [String]
    /// Kernel routes by their protocol number (`rt_protos`; 4 is static, 3 boot: `ip route add` without a protocol).
    public var protocols: Set<UInt8>
    /// Announced as long as the VRF can forward, whatever its table has.
    public var prefixes: [IPPrefix]
    /// A route through a host of a subnet is announced with that host as its gateway (overlay index, RFC 9136 §4.1) instead of
    /// with this VTEP's router MAC alone.
    public var usesGateway: Bool
    public init(
        connected: [String] = [], protocols: Set<UInt8> = [], prefixes: [IPPrefix] = [], usesGateway: Bool = false
    ) {
        self.connected = connected
        self.protocols = protocols
        self.prefixes = prefixes
        self.usesGateway = usesGateway
    }
}

/// Routes of one table that another one has too.
public struct RouteLeak: Hashable, Sendable {
    /// The VRF the routes are taken from.
    public var source: String
    /// Prefixes that are taken, with everything inside of them up to `maximumLength`; empty: all.
    public var prefixes: [Range]
    public struct Range: Hashable, Sendable {
        public var prefix: IPPrefix
        public var minimumLength: Int
        public var maximumLength: Int
        public init(prefix: IPPrefix, minimumLength: Int, maximumLength: Int) {
            self.prefix = prefix
            self.minimumLength = minimumLength
            self.maximumLength = maximumLength
        }
        public func contains(_ other: IPPrefix) -> Bool {
            prefix.contains(other.address) && other.length >= minimumLength && other.length <= maximumLength
        }
    }
    public init(source: String, prefixes: [Range] = []) {
        self.source = source
        self.prefixes = prefixes
    }
}

/// An address of this host with the length of its subnet's prefix: `10.20.1.1/24`.
public struct SubnetAddress: Hashable, Comparable, Sendable, CustomStringConvertible {
    public var ip: IPAddress
    /// 0…32 or 0…128.
    public var length: Int
    /// Nil when `length` is out of range for the family.
    public init?(_ ip: IPAddress, length: Int) {
        guard (0...ip.bitWidth).contains(length) else { return nil }
        self.ip = ip
        self.length = length
    }
    public static func < (a: Self, b: Self) -> Bool { (a.ip, a.length) < (b.ip, b.length) }
    public var description: String { "\(ip)/\(length)" }
}

/// The layer-3 interface of a broadcast domain (IRB): the bridge, or its VLAN device.
public struct RoutedInterface: Equatable, Sendable {
    /// Which of the host's gateway addresses others are told about.
    public enum Announcement: String, Sendable, CaseIterable {
        case none
        /// MAC and addresses with the default gateway community (RFC 7432 §10.1): the same on all VTEPs.
        case gateway
        /// MAC and addresses as those of any host, for addresses that only this VTEP has (FRR: `advertise-svi-ip`).
        case host
    }
    /// The IP-VRF; nil: the one whose VRF device the interface is found in.
    public var vrf: String?
    /// To be set on the interface, sorted; empty: those it has are used.
    public var addresses: [SubnetAddress]
    /// To be set on the interface; nil: the one it has. For an L3 VNI the router MAC.
    public var mac: MACAddress?
    public var announcement: Announcement
    public init(
        vrf: String? = nil, addresses: [SubnetAddress] = [], mac: MACAddress? = nil,
        announcement: Announcement = .gateway
    ) {
        self.vrf = vrf
        self.addresses = addresses
        self.mac = mac
        self.announcement = announcement
    }
}
