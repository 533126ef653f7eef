// What crosses between the speaker machine and the shell that owns its sockets.

public import BGP
public import NetTypes

/// Names one TCP connection, of either direction, for as long as the process lives.
public struct ConnectionID: Hashable, Comparable, Sendable {
    public let rawValue: UInt64
    public init(_ rawValue: UInt64) { self.rawValue = rawValue }
    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// What the shell needs to listen and to open connections: addresses and socket options, nothing about BGP.
public struct TransportPlan: Equatable, Sendable {
    /// A TCP MD5 key for one peer address or for all of a prefix.
    public struct Key: Equatable, Sendable {
        public var prefix: IPPrefix
        public var password: String
    }
    /// 0: do not listen.
    public var listenPort: UInt16 = 0
    /// Empty: all addresses of both families.
    public var listenAddresses: [IPAddress] = []
    public var bindToDevice: String?
    public var keys: [Key] = []
    /// Interfaces whose state and addresses the speaker has to know (`Speaker.interfaceChanged`), sorted.
    public var interfaces: [String] = []
    /// Of those, the ones on which routers are discovered (`Speaker.receivedRouterMessage`), sorted.
    public var discoveryInterfaces: [String] = []
    public init() {}
}

/// A connection to open.
public struct ConnectPlan: Equatable, Sendable {
    public var address: IPAddress
    public var port: UInt16
    public var localAddress: IPAddress?
    public var interface: String?
    public var password: String?
    /// TTL (hop limit) of what we send; nil: the system's default.
    public var ttl: UInt8?
    /// GTSM (RFC 5082): least TTL of what we accept.
    public var minimumTTL: UInt8?
}

/// What the speaker asks its shell to do, in this order.
public enum SpeakerEffect: Sendable {
    case transport(TransportPlan)
    case connect(ConnectionID, ConnectPlan)
    /// Socket options of an accepted connection, known only when the neighbor is.
    case configure(ConnectionID, ConnectPlan)
    case send(ConnectionID, [UInt8])
    /// Close after what was sent has been handed to the kernel.
    case close(ConnectionID)
    /// A router message to the nodes of one link.
    case transmit(RouterTransmission)
    /// Best paths of others that changed.
    case routes([BestPathChange])
    /// End-of-RIB of every expected neighbor, or the initial hold has passed. Told once.
    case initialSync
    case event(SpeakerEvent)
}

/// One log line.
public struct SpeakerEvent: Sendable {
    public enum Level: Sendable { case debug, info, warning }
    public var level: Level
    /// A stable dotted word: `session.established`.
    public var name: String
    public var neighbor: NeighborName?
    public var fields: [(key: String, value: String)]
    public init(level: Level, name: String, neighbor: NeighborName?, fields: [(key: String, value: String)]) {
        self.level = level
        self.name = name
        self.neighbor = neighbor
        self.fields = fields
    }
}

public enum SessionState: String, Sendable {
    case idle, connect, active, openSent = "open-sent", openConfirm = "open-confirm", established
}

/// One line of `show neighbors`.
public struct NeighborStatus: Sendable {
    public struct FamilyStatus: Sendable {
        public var family: Family
        public var counters: RouteCounters
        public var hasEndOfRIB: Bool
        public init(family: Family, counters: RouteCounters, hasEndOfRIB: Bool) {
            self.family = family
            self.counters = counters
            self.hasEndOfRIB = hasEndOfRIB
        }
    }
    /// `::` as long as the address of a neighbor by interface is not known.
    public var address: IPAddress
    /// The interface of an unnumbered session.
    public var interface: String?
    /// 0: not known yet.
    public var peerASN: UInt32
    public var localASN: UInt32
    public var description: String?
    public var peerGroup: String?
    public var isDynamic = false
    public var isReflectorClient = false
    public var state: SessionState
    public var since: Instant
    public var routerID: IPv4Address?
    public var localAddress: IPAddress?
    public var holdTimeSeconds: UInt16 = 0
    public var keepaliveSeconds: UInt16 = 0
    public var capabilities: [Capability] = []
    public var families: [FamilyStatus] = []
    /// Why the last session ended, or why none comes up.
    public var lastError: String?
    public var isAdminDown = false
    public var isStale = false
    public var messagesIn: UInt64 = 0
    public var messagesOut: UInt64 = 0
    public var established: UInt64 = 0
    /// UPDATEs with faults, by what RFC 7606 made of them and why; sorted.
    public var faults: [(reason: String, count: UInt64)] = []
    public init(address: IPAddress, peerASN: UInt32, localASN: UInt32, state: SessionState, since: Instant) {
        self.address = address
        self.peerASN = peerASN
        self.localASN = localASN
        self.state = state
        self.since = since
    }
    public var isEstablished: Bool { state == .established }
    public var name: NeighborName { interface.map { .interface($0) } ?? .address(address) }
}
