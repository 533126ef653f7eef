// The five BGP messages as values, and the interface of the codec that the speaker and `evpnctl decode` share.

public import NetTypes

/// What a session's OPEN exchange decided about the encoding of its messages.
public struct CodecOptions: Hashable, Sendable {
    /// Both sides sent the 4-octet AS capability (RFC 6793).
    public var fourOctetAS: Bool
    /// Families whose NLRI we receive, and send, with a path identifier (RFC 7911).
    public var addPathReceive: Set<Family>
    public var addPathSend: Set<Family>
    /// 4096, or 65535 with RFC 8654.
    public var maximumLength: Int
    /// Whether the peer is in another AS: RFC 7606 treats LOCAL_PREF, ORIGINATOR_ID and CLUSTER_LIST of such a peer as noise.
    public var isExternal: Bool
    public init(
        fourOctetAS: Bool = true, addPathReceive: Set<Family> = [], addPathSend: Set<Family> = [],
        maximumLength: Int = 4096, isExternal: Bool = false
    ) {
        self.fourOctetAS = fourOctetAS
        self.addPathReceive = addPathReceive
        self.addPathSend = addPathSend
        self.maximumLength = maximumLength
        self.isExternal = isExternal
    }
}

/// A fault that ends the session, as the NOTIFICATION to send (RFC 4271 §6).
public struct SessionFault: Error, Hashable, Sendable, CustomStringConvertible {
    public var code: UInt8
    public var subcode: UInt8
    public var data: [UInt8]
    /// For logs: what was wrong, as a phrase.
    public var reason: String
    public init(code: UInt8, subcode: UInt8, data: [UInt8] = [], reason: String) {
        self.code = code
        self.subcode = subcode
        self.data = data
        self.reason = reason
    }
    public var description: String { "\(reason) (\(code)/\(subcode))" }
}

/// OPEN (RFC 4271 §4.2).
public struct Open: Hashable, Sendable {
    public var version: UInt8 = 4
    /// The 2-octet field: AS_TRANS 23456 when the ASN does not fit.
    public var myAS: UInt16
    public var holdTimeSeconds: UInt16
    public var routerID: IPv4Address
    public var capabilities: [Capability]
    /// Optional parameters other than capabilities: (type, value).
    public var otherParameters: [OtherParameter] = []
    /// RFC 9072.
    public var hasExtendedParameters = false
    public struct OtherParameter: Hashable, Sendable {
        public var type: UInt8
        public var value: [UInt8]
        public init(type: UInt8, value: [UInt8]) {
            self.type = type
            self.value = value
        }
    }
    public init(myAS: UInt16, holdTimeSeconds: UInt16, routerID: IPv4Address, capabilities: [Capability]) {
        self.myAS = myAS
        self.holdTimeSeconds = holdTimeSeconds
        self.routerID = routerID
        self.capabilities = capabilities
    }
}

/// A capability (RFC 5492).
public enum Capability: Hashable, Sendable {
    case multiprotocol(Family)
    case routeRefresh
    /// RFC 8950: NLRI family and next hop AFI.
    case extendedNextHop([ExtendedNextHop])
    case extendedMessage
    /// RFC 9234: 0 provider, 1 route server, 2 route server client, 3 customer, 4 peer.
    case role(UInt8)
    /// RFC 4724 and RFC 8538. `flags` is the high nibble: 8 restarting, 4 notification.
    case gracefulRestart(flags: UInt8, restartTimeSeconds: UInt16, families: [GracefulRestartFamily])
    case fourOctetAS(UInt32)
    case addPath([AddPathFamily])
    case enhancedRouteRefresh
    /// RFC 9494.
    case longLivedGracefulRestart([LongLivedFamily])
    case fqdn(hostname: String, domain: String)
    case other(code: UInt8, value: [UInt8])

    public struct ExtendedNextHop: Hashable, Sendable {
        public var family: Family
        public var nextHopAFI: UInt16
        public init(family: Family, nextHopAFI: UInt16) {
            self.family = family
            self.nextHopAFI = nextHopAFI
        }
    }
    public struct GracefulRestartFamily: Hashable, Sendable {
        public var family: Family
        /// 0x80: forwarding state preserved.
        public var flags: UInt8
        public init(family: Family, flags: UInt8) {
            self.family = family
            self.flags = flags
        }
    }
    public struct AddPathFamily: Hashable, Sendable {
        public var family: Family
        /// 1 receive, 2 send, 3 both.
        public var mode: UInt8
        public init(family: Family, mode: UInt8) {
            self.family = family
            self.mode = mode
        }
    }
    public struct LongLivedFamily: Hashable, Sendable {
        public var family: Family
        public var flags: UInt8
        /// 24 bits.
        public var staleTimeSeconds: UInt32
        public init(family: Family, flags: UInt8, staleTimeSeconds: UInt32) {
            self.family = family
            self.flags = flags
            self.staleTimeSeconds = staleTimeSeconds
        }
    }
}

/// NOTIFICATION (RFC 4271 §4.5).
public struct NotificationMessage: Hashable, Sendable {
    public var code: UInt8
    public var subcode: UInt8
    public var data: [UInt8]
    public init(code: UInt8, subcode: UInt8, data: [UInt8] = []) {
        self.code = code
        self.subcode = subcode
        self.data = data
    }
}

/// ROUTE-REFRESH (RFC 2918, RFC 7313).
public struct RouteRefresh: Hashable, Sendable {
    public var family: Family
    /// 0 request, 1 begin of route refresh, 2 end of route refresh.
    public var subtype: UInt8
    /// ORF entries (RFC 5291), kept as they came.
    public var orf: [UInt8]
    public init(family: Family, subtype: UInt8 = 0, orf: [UInt8] = []) {
        self.family = family
        self.subtype = subtype
        self.orf = orf
    }
}

/// One route of an UPDATE in the form a RIB keeps.
public struct RouteEntry: Hashable, Sendable {
    public var key: RouteKey
    public var payload: RoutePayload
    /// RFC 7911 path identifier; 0 without add-path.
    public var pathID: UInt32
    public init(key: RouteKey, payload: RoutePayload = RoutePayload(), pathID: UInt32 = 0) {
        self.key = key
        self.payload = payload
        self.pathID = pathID
    }
}

/// RFC 7606's answers to a malformed UPDATE, weakest first. `strongest` wins when several attributes err.
public enum Consequence: Hashable, Sendable {
    case accept
    case attributeDiscard
    case treatAsWithdraw
    case disableFamily(Family)
    case resetSession(SessionFault)

    /// 0...4 in the order above.
    public var rank: Int {
        switch self {
        case .accept: 0
        case .attributeDiscard: 1
        case .treatAsWithdraw: 2
        case .disableFamily: 3
        case .resetSession: 4
        }
    }
    public func strongest(with other: Consequence) -> Consequence { other.rank > rank ? other : self }
}

/// One thing that was wrong with an UPDATE.
public struct UpdateFault: Hashable, Sendable {
    public var consequence: Consequence
    /// Attribute code; 0 when the fault is outside the attributes.
    public var attribute: UInt8
    /// A phrase without numbers from the message, so that it can label a counter: "ORIGIN length".
    public var reason: String
    /// Only this one route is affected: the others of the message can be told from it and are as if it had not been there.
    public var isOfRoute: Bool
    /// The route, where it has a key.
    public var route: RouteKey?
    public init(
        consequence: Consequence, attribute: UInt8, reason: String, isOfRoute: Bool = false, route: RouteKey? = nil
    ) {
        self.consequence = consequence
        self.attribute = attribute
        self.reason = reason
        self.isOfRoute = isOfRoute
        self.route = route
    }
}

public enum Message: Hashable, Sendable {
    case open(Open)
    case update(Update)
    case notification(NotificationMessage)
    case keepalive
    case routeRefresh(RouteRefresh)
}
