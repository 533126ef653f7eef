// The vocabulary between the RIB and the machine that owns the sessions: who a peer is, what came of an UPDATE, which routes
// changed. Nothing here knows about sockets or timers.

public import BGP
public import NetTypes

/// A peer's number in the RIB: small, chosen by the caller, stable across sessions of the same neighbor.
public struct PeerID: Hashable, Comparable, Sendable {
    /// 1...65534; 0 stands for ourselves.
    public let rawValue: UInt16
    public init(_ rawValue: UInt16) { self.rawValue = rawValue }
    /// The origin of our own routes.
    public static let local = PeerID(0)
    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// What does not change while a RIB lives.
public struct RIBConfiguration: Sendable {
    public var asn: UInt32
    public var routerID: IPv4Address
    /// Route reflection (RFC 4456); `routerID` unless configured.
    public var clusterID: IPv4Address
    public var alwaysCompareMED: Bool
    public init(asn: UInt32, routerID: IPv4Address, clusterID: IPv4Address? = nil, alwaysCompareMED: Bool = false) {
        self.asn = asn
        self.routerID = routerID
        self.clusterID = clusterID ?? routerID
        self.alwaysCompareMED = alwaysCompareMED
    }
}

/// Everything the RIB must know about an established neighbor.
public struct PeerDescription: Sendable {
    public enum Kind: UInt8, Hashable, Sendable {
        case `internal`
        case external
    }
    public var id: PeerID
    public var address: IPAddress
    /// Where `address`, and next hops like it, are when they are link-local.
    public var interface: String?
    /// The peer's BGP identifier.
    public var routerID: IPv4Address
    /// The peer's ASN.
    public var asn: UInt32
    public var kind: Kind
    /// Our ASN on this session: prepended towards external peers, and looked for in received paths.
    public var localASN: UInt32
    /// Our end of the session: the next hop where we put ourselves, unless `nextHops` names another one.
    public var localAddress: IPAddress
    /// Next hop to use instead of `localAddress`, by family (an IPv4 address for IPv4 routes on an IPv6 session).
    public var nextHops: [Family: IPAddress] = [:]
    /// Our link-local address, when the peer is on a link with us: goes with a global IPv6 next hop (RFC 2545 §3).
    public var linkLocalNextHop: IPv6Address?
    public var isReflectorClient = false
    /// The families both sides negotiated.
    public var families: Set<Family>
    /// Families whose next hop is always replaced by ours.
    public var nextHopSelf: Set<Family> = []
    public var prefixLimits: [Family: PrefixLimit] = [:]
    /// Our own role on this session (RFC 9234); nil: not configured.
    public var role: UInt8?
    /// How messages to this peer are encoded.
    public var codec: CodecOptions
    /// Whether End-of-RIB is sent after the first full table (RFC 4724 §2).
    public var sendsEndOfRIB = true
    /// Both sides sent the enhanced route refresh capability (RFC 7313).
    public var enhancedRefresh = false
    public init(
        id: PeerID, address: IPAddress, routerID: IPv4Address, asn: UInt32, kind: Kind, localASN: UInt32,
        localAddress: IPAddress, families: Set<Family>, codec: CodecOptions = CodecOptions()
    ) {
        self.id = id
        self.address = address
        self.routerID = routerID
        self.asn = asn
        self.kind = kind
        self.localASN = localASN
        self.localAddress = localAddress
        self.families = families
        self.codec = codec
    }
}

/// What the caller has to act on after an UPDATE.
public struct ReceiveOutcome: Equatable, Sendable {
    /// A limit of the peer was crossed by this UPDATE; told once per crossing.
    public struct LimitEvent: Equatable, Sendable {
        public enum Kind: Equatable, Sendable {
            /// `PrefixLimit.warningPercent` was reached.
            case warning
            /// More routes than `PrefixLimit.maximum`: the session is to be shut down unless `warnOnly`.
            case exceeded
        }
        public var family: Family
        public var kind: Kind
        public var count: Int
        public var limit: PrefixLimit
    }
    public var limits: [LimitEvent] = []
    /// Routes not kept because the table is full (`RIB.maximumPaths`).
    public var refused = 0
    public init() {}
}

/// Numbers of one family of one peer.
public struct RouteCounters: Equatable, Sendable {
    /// Paths held (Adj-RIB-In).
    public var received = 0
    /// Of those, the ones the decision process may choose.
    public var accepted = 0
    /// Of those received, the ones kept from before a restart.
    public var stale = 0
    /// Routes the peer was told (Adj-RIB-Out); nil: nobody counts them.
    public var advertised: Int? = 0
    public init() {}
}

/// One path as others see it.
public struct BestPath: Sendable {
    public var payload: RoutePayload
    public var attributes: AttributeSet
    public var peer: PeerID
    public var peerAddress: IPAddress
    /// Where a link-local next hop is; nil when the peer is not known by its link.
    public var interface: String?
    /// Next hops of other paths that only the last steps of the decision process, which are there to choose any, have put behind
    /// this one; sorted. Only of unicast routes, and only where `RIB.setMultiplePaths` asked for it.
    public var alternatives: [ScopedAddress] = []
}

/// The best path among those of other speakers changed; nil: none is left.
public struct BestPathChange: Sendable {
    public var key: RouteKey
    public var path: BestPath?
}

/// A route of our own to announce, or (nil) to withdraw.
public struct LocalRouteChange: Sendable {
    public var key: RouteKey
    public var route: LocalRoute?
    public init(key: RouteKey, route: LocalRoute?) {
        self.key = key
        self.route = route
    }
}

public struct LocalRoute: Sendable {
    public var payload: RoutePayload
    public var attributes: AttributeSet
    public init(payload: RoutePayload = RoutePayload(), attributes: AttributeSet) {
        self.payload = payload
        self.attributes = attributes
    }
}

/// Why a path is kept but never chosen.
public enum Ineligibility: UInt8, Hashable, Sendable, CustomStringConvertible {
    case asPathLoop = 1
    case originatorLoop
    case clusterLoop
    case nextHopMissing
    case nextHopInvalid
    case nextHopOwn
    /// RFC 9234 §5: a route leaked by a customer or peer.
    case roleLeak

    public var description: String {
        switch self {
        case .asPathLoop: "own ASN in AS_PATH"
        case .originatorLoop: "own router ID in ORIGINATOR_ID"
        case .clusterLoop: "own cluster ID in CLUSTER_LIST"
        case .nextHopMissing: "no next hop"
        case .nextHopInvalid: "next hop is not a host address"
        case .nextHopOwn: "next hop is our own address"
        case .roleLeak: "route leak by OTC"
        }
    }
}
