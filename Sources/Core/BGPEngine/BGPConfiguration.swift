// What a BGP speaker is asked to do. The vocabulary of the configuration file (`bgp:`) resolves to this.

public import BGP
public import NetTypes

public struct BGPConfiguration: Equatable, Sendable {
    public var asn: UInt32
    public var routerID: IPv4Address
    /// 0: do not listen.
    public var listenPort: UInt16 = 179
    /// Empty: every local address.
    public var listenAddresses: [IPAddress] = []
    /// Families for neighbors that name none.
    public var families: [Family] = [.l2vpnEVPN]
    /// Route reflection; nil: the router ID.
    public var clusterID: IPv4Address?
    public var gracefulRestart = GracefulRestartConfiguration()
    /// How long after start routes are waited for before stale forwarding entries may be pruned without End-of-RIB.
    public var initialHoldSeconds = 60
    public var alwaysCompareMED = false
    /// Unicast routes are passed on to the kernel with all next hops that are as good as the best one (ECMP).
    public var usesMultiplePaths = false
    /// Bind listening and outgoing sockets to this device (SO_BINDTODEVICE).
    public var bindToDevice: String?
    public var neighbors: [NeighborConfiguration] = []
    public var dynamicNeighbors: [DynamicNeighborConfiguration] = []
    public init(asn: UInt32, routerID: IPv4Address) {
        self.asn = asn
        self.routerID = routerID
    }
}

public struct GracefulRestartConfiguration: Equatable, Sendable {
    public var isEnabled = true
    /// 0...4095.
    public var restartTimeSeconds: UInt16 = 120
    /// Keep routes of restarting peers, but do not ask peers to keep ours.
    public var helperOnly = false
    public init() {}
}

/// Everything about one neighbor, its peer group already merged in.
public struct NeighborConfiguration: Equatable, Sendable {
    /// `::` for a neighbor by interface: its address is found out.
    public var address: IPAddress
    /// The interface of an unnumbered session: the neighbor is the only router there (RFC 4861), wherever it is.
    public var interface: String?
    /// 0: any AS, or any but ours (`isExternal`).
    public var peerASN: UInt32
    /// With `peerASN` 0: every AS but our own.
    public var isExternal = false
    /// Our ASN towards this neighbor; nil: the global one.
    public var localASN: UInt32?
    public var description: String?
    public var peerGroup: String?
    public var isAdminDown = false
    /// RFC 9003 text sent when shut down.
    public var shutdownMessage: String?
    /// TCP MD5 (RFC 2385), at most 80 octets.
    public var password: String?
    public var families: [FamilyConfiguration] = []
    public var holdTimeSeconds: UInt16 = 90
    /// Nil: a third of the negotiated hold time.
    public var keepaliveSeconds: UInt16?
    public var connectRetrySeconds: UInt16 = 5
    public var localAddress: IPAddress?
    public var remotePort: UInt16 = 179
    /// Never connect, only accept.
    public var isPassive = false
    public var bindInterface: String?
    public var gracefulRestart: GracefulRestartConfiguration?
    public var isRouteReflectorClient = false
    /// eBGP only: the TTL of outgoing packets; nil: 1.
    public var multihopTTL: UInt8?
    /// RFC 5082: accept only packets that crossed at most this many hops less one; excludes `multihopTTL`.
    public var ttlSecurityHops: UInt8?
    /// RFC 9234.
    public var role: UInt8?
    public init(address: IPAddress, peerASN: UInt32) {
        self.address = address
        self.peerASN = peerASN
    }
    public var name: NeighborName { interface.map { .interface($0) } ?? .address(address) }
    /// Where a link-local address is meant; nil for neighbors with addresses that mean the same everywhere.
    public var link: String? { interface ?? (address.isV6 && address.isLinkLocal ? bindInterface : nil) }
}

public struct FamilyConfiguration: Equatable, Sendable {
    public var family: Family
    public var prefixLimit: PrefixLimit?
    /// Receive several paths for one route (RFC 7911).
    public var addPathReceive = false
    /// Replace the next hop by our own address towards eBGP and reflector clients; never for EVPN unless asked.
    public var nextHopSelf = false
    public init(_ family: Family) { self.family = family }
}

public struct PrefixLimit: Equatable, Sendable {
    public var maximum: Int
    /// Percentage at which a warning is logged.
    public var warningPercent = 80
    /// Only warn; otherwise the session is shut down with Cease / Maximum Number of Prefixes Reached.
    public var warnOnly = false
    /// Try again this long after a shutdown; nil: not before an operator asks for it.
    public var restartSeconds: Int?
    public init(maximum: Int) { self.maximum = maximum }
}

/// Peers that may connect from anywhere in a prefix.
public struct DynamicNeighborConfiguration: Equatable, Sendable {
    public var prefix: IPPrefix
    /// The template; its `address` is not used.
    public var template: NeighborConfiguration
    public init(prefix: IPPrefix, template: NeighborConfiguration) {
        self.prefix = prefix
        self.template = template
    }
}
