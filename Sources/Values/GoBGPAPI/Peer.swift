// Neighbors, peer groups and dynamic neighbors: what is configured, and how the sessions are.

/// What a neighbor and a group of neighbors have in common, in fields of the same numbers: 1, 3, 4 and 6 ... 11.
public struct NeighborSettings: Hashable, Sendable {
    public var applyPolicy = ApplyPolicy()
    public var ebgpMultihop = EBGPMultihop()
    public var routeReflector = RouteReflector()
    public var timers = Timers()
    public var transport = Transport()
    public var routeServer = RouteServer()
    public var gracefulRestart = GracefulRestart()
    public var families: [PeerFamily] = []
    public var ttlSecurity = TTLSecurity()
    public init() {}

    /// Names the fields, with those between them at their places.
    mutating func fields(
        _ coder: inout FieldCoder, configuration: (inout FieldCoder) -> Void, state: (inout FieldCoder) -> Void
    ) {
        coder.message(1, &applyPolicy)
        configuration(&coder)
        coder.message(3, &ebgpMultihop)
        coder.message(4, &routeReflector)
        state(&coder)
        coder.message(6, &timers)
        coder.message(7, &transport)
        coder.message(8, &routeServer)
        coder.message(9, &gracefulRestart)
        coder.messages(10, &families)
        coder.message(11, &ttlSecurity)
    }
}

/// What the configurations of a neighbor and of a group have in common, in fields of different numbers.
public protocol NeighborIdentity: APIMessage {
    /// TCP MD5 (RFC 2385).
    var authPassword: String { get set }
    var description: String { get set }
    /// 0 means the daemon's own.
    var localASN: UInt32 { get set }
    var peerASN: UInt32 { get set }
    var removePrivate: RemovePrivate { get set }
}

/// A neighbor or a group of neighbors. The settings they share can be named without `settings`.
@dynamicMemberLookup public protocol NeighborMessage: APIMessage {
    associatedtype Configuration: NeighborIdentity
    var configuration: Configuration { get set }
    var settings: NeighborSettings { get set }
}
extension NeighborMessage {
    public subscript<Part>(dynamicMember part: WritableKeyPath<NeighborSettings, Part>) -> Part {
        get { settings[keyPath: part] }
        set { settings[keyPath: part] = newValue }
    }
}

/// A neighbor. Requests fill what is configured; replies also say the state. A part left at its defaults is not sent.
public struct Peer: NeighborMessage {
    public var unknownFields: [UInt8] = []
    public var configuration = PeerConfiguration()
    public var settings = NeighborSettings()
    public var state = PeerState()
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        settings.fields(
            &coder, configuration: { $0.message(2, &configuration) }, state: { $0.message(5, &state) })
    }

    /// The neighbor's address: of the state, which is also set for dynamic neighbors, or else of the configuration.
    public var address: String {
        state.neighborAddress.isEmpty ? configuration.neighborAddress : state.neighborAddress
    }
    /// What the neighbor is configured by: its address or, of an unnumbered one, its interface; empty for a dynamic neighbor.
    public var key: String {
        configuration.neighborInterface.isEmpty ? configuration.neighborAddress : configuration.neighborInterface
    }
    /// The neighbor's ASN, as negotiated or else as configured.
    public var asn: UInt32 { state.peerASN == 0 ? configuration.peerASN : state.peerASN }
}

public struct PeerConfiguration: NeighborIdentity {
    public var unknownFields: [UInt8] = []
    public var authPassword = ""
    public var description = ""
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

// MARK: Groups and dynamic neighbors

public struct PeerGroup: NeighborMessage {
    public var unknownFields: [UInt8] = []
    public struct Configuration: NeighborIdentity {
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
    public var configuration = Configuration()
    public var settings = NeighborSettings()
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        settings.fields(&coder, configuration: { $0.message(2, &configuration) }, state: { _ in })
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
