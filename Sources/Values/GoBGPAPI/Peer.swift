// Neighbors, peer groups and dynamic neighbors: what is configured, and how the sessions are.

public import BGP

/// A neighbor. Requests fill what is configured; replies also say the state. A part left at its defaults is not sent.
public struct Peer: APIMessage {
    public var unknownFields: [UInt8] = []
    public var applyPolicy = ApplyPolicy()
    public var configuration = PeerConfiguration()
    public var ebgpMultihop = EBGPMultihop()
    public var routeReflector = RouteReflector()
    public var state = PeerState()
    public var timers = Timers()
    public var transport = Transport()
    public var routeServer = RouteServer()
    public var gracefulRestart = GracefulRestart()
    public var families: [PeerFamily] = []
    public var ttlSecurity = TTLSecurity()
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.message(1, &applyPolicy)
        coder.message(2, &configuration)
        coder.message(3, &ebgpMultihop)
        coder.message(4, &routeReflector)
        coder.message(5, &state)
        coder.message(6, &timers)
        coder.message(7, &transport)
        coder.message(8, &routeServer)
        coder.message(9, &gracefulRestart)
        coder.messages(10, &families)
        coder.message(11, &ttlSecurity)
    }

    /// The neighbor's address: of the state, which is also set for dynamic neighbors, or else of the configuration.
    public var address: String {
        state.neighborAddress.isEmpty ? configuration.neighborAddress : state.neighborAddress
    }
    /// The neighbor's ASN, as negotiated or else as configured.
    public var asn: UInt32 { state.peerASN == 0 ? configuration.peerASN : state.peerASN }
}

public struct PeerConfiguration: APIMessage {
    public var unknownFields: [UInt8] = []
    /// TCP MD5 (RFC 2385).
    public var authPassword = ""
    public var description = ""
    /// 0 means the daemon's own.
    public var localASN: UInt32 = 0
    public var neighborAddress = ""
    public var peerASN: UInt32 = 0
    public var peerGroup = ""
    public var removePrivate = RemovePrivate.none
    public var neighborInterface = ""
    public var vrf = ""
    public var allowOwnASN: UInt32 = 0
    public var replacesPeerASN = false
    public var isAdminDown = false
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.string(1, &authPassword)
        coder.string(2, &description)
        coder.uint32(3, &localASN)
        coder.string(4, &neighborAddress)
        coder.uint32(5, &peerASN)
        coder.string(6, &peerGroup)
        coder.enumeration(8, &removePrivate)
        coder.string(11, &neighborInterface)
        coder.string(12, &vrf)
        coder.uint32(13, &allowOwnASN)
        coder.bool(14, &replacesPeerASN)
        coder.bool(15, &isAdminDown)
    }
}

public enum RemovePrivate: UInt64, APIEnumeration {
    case none = 0
    case all = 1
    case replace = 2
    public static var isShifted: Bool { false }
}

public struct EBGPMultihop: APIMessage {
    public var isEnabled = false
    public var ttl: UInt32 = 0
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.bool(1, &isEnabled)
        coder.uint32(2, &ttl)
    }
}

/// RFC 4456.
public struct RouteReflector: APIMessage {
    public var isClient = false
    public var clusterID = ""
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.bool(1, &isClient)
        coder.string(2, &clusterID)
    }
}

/// RFC 5082.
public struct TTLSecurity: APIMessage {
    public var isEnabled = false
    public var minimumTTL: UInt32 = 0
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.bool(1, &isEnabled)
        coder.uint32(2, &minimumTTL)
    }
}

public struct RouteServer: APIMessage {
    public var isClient = false
    public var secondaryRoute = false
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.bool(1, &isClient)
        coder.bool(2, &secondaryRoute)
    }
}

public struct Transport: APIMessage {
    public var unknownFields: [UInt8] = []
    public var localAddress = ""
    public var localPort: UInt32 = 0
    public var isPassive = false
    public var remotePort: UInt32 = 0
    public var tcpMSS: UInt32 = 0
    public var bindInterface = ""
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.string(1, &localAddress)
        coder.uint32(2, &localPort)
        coder.bool(4, &isPassive)
        coder.uint32(6, &remotePort)
        coder.uint32(7, &tcpMSS)
        coder.string(8, &bindInterface)
    }
}

public struct Timers: APIMessage {
    /// All in seconds; 0 means gobgpd's default.
    public struct Configuration: APIMessage {
        public var connectRetry: UInt64 = 0
        public var holdTime: UInt64 = 0
        public var keepaliveInterval: UInt64 = 0
        public var minimumAdvertisementInterval: UInt64 = 0
        public var idleHoldTimeAfterReset: UInt64 = 0
        public init() {}
        public mutating func fields(_ coder: inout FieldCoder) {
            coder.uint64(1, &connectRetry)
            coder.uint64(2, &holdTime)
            coder.uint64(3, &keepaliveInterval)
            coder.uint64(4, &minimumAdvertisementInterval)
            coder.uint64(5, &idleHoldTimeAfterReset)
        }
    }
    public struct State: APIMessage {
        /// Seconds.
        public var keepaliveInterval: UInt64 = 0
        /// Seconds.
        public var negotiatedHoldTime: UInt64 = 0
        /// When the session was established last; nil when it never was.
        public var uptime: APITime?
        /// When the session went down last.
        public var downtime: APITime?
        public init() {}
        public mutating func fields(_ coder: inout FieldCoder) {
            coder.uint64(3, &keepaliveInterval)
            coder.uint64(5, &negotiatedHoldTime)
            coder.time(6, &uptime)
            coder.time(7, &downtime)
        }
    }
    public var configuration = Configuration()
    public var state = State()
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.message(1, &configuration)
        coder.message(2, &state)
    }
}

public struct PeerState: APIMessage {
    public enum Session: UInt64, APIEnumeration {
        case unknown = 0
        case idle = 1
        case connect = 2
        case active = 3
        case openSent = 4
        case openConfirm = 5
        case established = 6
        public static var isShifted: Bool { false }
    }
    public enum Administrative: UInt64, APIEnumeration {
        case up = 0
        case down = 1
        /// A prefix limit was exceeded.
        case prefixLimit = 2
    }
    /// Messages in one direction since the daemon started.
    public struct Counters: APIMessage {
        public var notification: UInt64 = 0
        public var update: UInt64 = 0
        public var open: UInt64 = 0
        public var keepalive: UInt64 = 0
        public var refresh: UInt64 = 0
        public var discarded: UInt64 = 0
        public var total: UInt64 = 0
        public init() {}
        public mutating func fields(_ coder: inout FieldCoder) {
            coder.uint64(1, &notification)
            coder.uint64(2, &update)
            coder.uint64(3, &open)
            coder.uint64(4, &keepalive)
            coder.uint64(5, &refresh)
            coder.uint64(6, &discarded)
            coder.uint64(7, &total)
        }
    }
    public struct Messages: APIMessage {
        public var received = Counters()
        public var sent = Counters()
        public init() {}
        public mutating func fields(_ coder: inout FieldCoder) {
            coder.message(1, &received)
            coder.message(2, &sent)
        }
    }
    public var description = ""
    public var localASN: UInt32 = 0
    public var messages = Messages()
    public var neighborAddress = ""
    public var peerASN: UInt32 = 0
    public var peerGroup = ""
    public var session = Session.unknown
    public var administrative = Administrative.up
    /// How often the session went down.
    public var flaps: UInt32 = 0
    /// The neighbor's router ID; empty until it is known.
    public var routerID = ""
    /// Why the session went down last, as a number of v4's `DisconnectReason`; 0 with v3.
    public var disconnectReason: UInt32 = 0
    /// v4 only.
    public var disconnectMessage = ""
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.string(2, &description)
        coder.uint32(3, &localASN)
        coder.message(4, &messages)
        coder.string(5, &neighborAddress)
        coder.uint32(6, &peerASN)
        coder.string(7, &peerGroup)
        coder.enumeration(13, &session)
        coder.enumeration(15, &administrative)
        coder.uint32(17, &flaps)
        coder.string(20, &routerID)
        if coder.generation == .v4 {
            coder.uint32(21, &disconnectReason)
            coder.string(22, &disconnectMessage)
        }
    }
}

/// An address family of a neighbor or a group.
public struct PeerFamily: APIMessage {
    public var unknownFields: [UInt8] = []
    struct Restart: APIMessage {
        struct Enabled: APIMessage {
            var isEnabled = false
            mutating func fields(_ coder: inout FieldCoder) { coder.bool(1, &isEnabled) }
        }
        struct State: APIMessage {
            var endOfRIBReceived = false
            var endOfRIBSent = false
            mutating func fields(_ coder: inout FieldCoder) {
                coder.bool(4, &endOfRIBReceived)
                coder.bool(5, &endOfRIBSent)
            }
        }
        var configuration = Enabled()
        var state = State()
        mutating func fields(_ coder: inout FieldCoder) {
            coder.message(1, &configuration)
            coder.message(2, &state)
        }
    }
    struct Configuration: APIMessage {
        var family: Family?
        var isEnabled = false
        mutating func fields(_ coder: inout FieldCoder) {
            coder.family(1, &family)
            coder.bool(2, &isEnabled)
        }
    }
    struct State: APIMessage {
        var family: Family?
        var isEnabled = false
        var received: UInt64 = 0
        var accepted: UInt64 = 0
        var advertised: UInt64 = 0
        mutating func fields(_ coder: inout FieldCoder) {
            coder.family(1, &family)
            coder.bool(2, &isEnabled)
            coder.uint64(3, &received)
            coder.uint64(4, &accepted)
            coder.uint64(5, &advertised)
        }
    }
    public struct PrefixLimit: APIMessage {
        var family: Family?
        public var maximum: UInt32 = 0
        public var thresholdPercent: UInt32 = 0
        public init() {}
        public mutating func fields(_ coder: inout FieldCoder) {
            coder.family(1, &family)
            coder.uint32(2, &maximum)
            coder.uint32(3, &thresholdPercent)
        }
    }
    struct AddPaths: APIMessage {
        struct Configuration: APIMessage {
            var receive = false
            var sendMaximum: UInt32 = 0
            mutating func fields(_ coder: inout FieldCoder) {
                coder.bool(1, &receive)
                coder.uint32(2, &sendMaximum)
            }
        }
        var configuration = Configuration()
        mutating func fields(_ coder: inout FieldCoder) { coder.message(1, &configuration) }
    }

    private var restart = Restart()
    private var configuration = Configuration()
    private var state = State()
    public var applyPolicy = ApplyPolicy()
    private var limit = PrefixLimit()
    private var addPaths = AddPaths()

    public init() {}
    public init(_ family: Family) {
        configuration.family = family
        configuration.isEnabled = true
    }
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.message(1, &restart)
        coder.message(2, &configuration)
        coder.message(3, &state)
        coder.message(4, &applyPolicy)
        coder.message(7, &limit)
        coder.message(10, &addPaths)
    }

    /// Nil when neither configuration nor state names it.
    public var family: Family? { configuration.family ?? state.family }
    public var isEnabled: Bool {
        get { configuration.isEnabled }
        set { configuration.isEnabled = newValue }
    }
    /// Whether the session negotiated it.
    public var stateIsEnabled: Bool {
        get { state.isEnabled }
        set {
            state.isEnabled = newValue
            state.family = family
        }
    }
    /// Graceful restart for this family.
    public var restartIsEnabled: Bool {
        get { restart.configuration.isEnabled }
        set { restart.configuration.isEnabled = newValue }
    }
    public var endOfRIBReceived: Bool {
        get { restart.state.endOfRIBReceived }
        set { restart.state.endOfRIBReceived = newValue }
    }
    public var endOfRIBSent: Bool {
        get { restart.state.endOfRIBSent }
        set { restart.state.endOfRIBSent = newValue }
    }
    /// Routes in the Adj-RIB-In; stays 0 unless the session is up.
    public var received: UInt64 {
        get { state.received }
        set {
            state.received = newValue
            state.family = family
        }
    }
    /// Routes that passed the import policy.
    public var accepted: UInt64 {
        get { state.accepted }
        set {
            state.accepted = newValue
            state.family = family
        }
    }
    /// Filled only when the request asked for it.
    public var advertised: UInt64 {
        get { state.advertised }
        set {
            state.advertised = newValue
            state.family = family
        }
    }
    /// Nil means no limit.
    public var prefixLimit: PrefixLimit? {
        get { limit.maximum == 0 ? nil : limit }
        set {
            limit = newValue ?? PrefixLimit()
            if newValue != nil { limit.family = family }
        }
    }
    /// RFC 7911: whether more than one path per route is taken from the neighbor.
    public var addPathReceive: Bool {
        get { addPaths.configuration.receive }
        set { addPaths.configuration.receive = newValue }
    }
    /// RFC 7911: paths per route sent to the neighbor; 0 means only the best.
    public var addPathSendMaximum: UInt32 {
        get { addPaths.configuration.sendMaximum }
        set { addPaths.configuration.sendMaximum = newValue }
    }
}

// MARK: Groups and dynamic neighbors

public struct PeerGroup: APIMessage {
    public var unknownFields: [UInt8] = []
    public struct Configuration: APIMessage {
        public var unknownFields: [UInt8] = []
        public var authPassword = ""
        public var description = ""
        public var localASN: UInt32 = 0
        public var peerASN: UInt32 = 0
        public var name = ""
        public var removePrivate = RemovePrivate.none
        public init() {}
        public mutating func fields(_ coder: inout FieldCoder) {
            coder.string(1, &authPassword)
            coder.string(2, &description)
            coder.uint32(3, &localASN)
            coder.uint32(4, &peerASN)
            coder.string(5, &name)
            coder.enumeration(7, &removePrivate)
        }
    }
    public var applyPolicy = ApplyPolicy()
    public var configuration = Configuration()
    public var ebgpMultihop = EBGPMultihop()
    public var routeReflector = RouteReflector()
    public var timers = Timers()
    public var transport = Transport()
    public var routeServer = RouteServer()
    public var gracefulRestart = GracefulRestart()
    public var families: [PeerFamily] = []
    public var ttlSecurity = TTLSecurity()
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.message(1, &applyPolicy)
        coder.message(2, &configuration)
        coder.message(3, &ebgpMultihop)
        coder.message(4, &routeReflector)
        coder.message(6, &timers)
        coder.message(7, &transport)
        coder.message(8, &routeServer)
        coder.message(9, &gracefulRestart)
        coder.messages(10, &families)
        coder.message(11, &ttlSecurity)
    }
}

/// Neighbors that are taken from a whole prefix, with the settings of a group.
public struct DynamicNeighbor: APIMessage {
    /// `192.0.2.0/24`.
    public var prefix = ""
    public var peerGroup = ""
    public init() {}
    public init(prefix: String, peerGroup: String) {
        self.prefix = prefix
        self.peerGroup = peerGroup
    }
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.string(1, &prefix)
        coder.string(2, &peerGroup)
    }
}

// MARK: Requests and replies

public typealias AddPeerRequest = Wrapped<Peer>
public struct DeletePeerRequest: APIMessage {
    public var address = ""
    /// For unnumbered neighbors, in place of the address.
    public var interface = ""
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.string(1, &address)
        coder.string(2, &interface)
    }
}
public struct ListPeerRequest: APIMessage {
    /// Empty for all.
    public var address = ""
    /// Whether `PeerFamily.advertised` is to be filled, which costs gobgpd a walk through its tables.
    public var includesAdvertised = false
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.string(1, &address)
        coder.bool(2, &includesAdvertised)
    }
}
public typealias ListPeerReply = Wrapped<Peer>

public struct UpdatePeerRequest: APIMessage {
    public var peer = Peer()
    public var doesSoftResetIn = false
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.message(1, &peer)
        coder.bool(2, &doesSoftResetIn)
    }
}
/// Of UpdatePeer and UpdatePeerGroup.
public struct UpdateReply: APIMessage {
    public var needsSoftResetIn = false
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) { coder.bool(1, &needsSoftResetIn) }
}

/// A hard reset, or with `isSoft` one that only sends or asks for routes again.
public struct ResetPeerRequest: APIMessage {
    public enum Direction: UInt64, APIEnumeration {
        case incoming = 0
        case outgoing = 1
        case both = 2
    }
    /// `all` for every neighbor.
    public var address = ""
    /// Shutdown communication (RFC 9003) of a hard reset.
    public var communication = ""
    public var isSoft = false
    public var direction = Direction.incoming
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.string(1, &address)
        coder.string(2, &communication)
        coder.bool(3, &isSoft)
        coder.enumeration(4, &direction)
    }
}
/// Of ShutdownPeer, EnablePeer (without a communication) and DisablePeer.
public struct PeerActionRequest: APIMessage {
    public var address = ""
    /// Shutdown communication (RFC 9003).
    public var communication = ""
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.string(1, &address)
        coder.string(2, &communication)
    }
}

public typealias AddPeerGroupRequest = Wrapped<PeerGroup>
public typealias DeletePeerGroupRequest = NameRequest
public typealias ListPeerGroupRequest = NameRequest
public typealias ListPeerGroupReply = Wrapped<PeerGroup>
public struct UpdatePeerGroupRequest: APIMessage {
    public var group = PeerGroup()
    public var doesSoftResetIn = false
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.message(1, &group)
        coder.bool(2, &doesSoftResetIn)
    }
}

public typealias AddDynamicNeighborRequest = Wrapped<DynamicNeighbor>
/// The name is the peer group.
public typealias ListDynamicNeighborRequest = NameRequest
public typealias ListDynamicNeighborReply = Wrapped<DynamicNeighbor>
/// The fields of `DynamicNeighbor` themselves.
public typealias DeleteDynamicNeighborRequest = DynamicNeighbor
