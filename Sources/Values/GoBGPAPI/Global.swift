// The daemon as a whole: GetBgp, StartBgp, StopBgp.

public import NetTypes

public typealias GetBgpRequest = EmptyMessage
public typealias GetBgpReply = Wrapped<Global>
public typealias StartBgpRequest = Wrapped<Global>

/// Settings of the whole daemon. All are at their defaults while BGP has not been started: then `asn` is 0.
public struct Global: APIMessage {
    public var asn: UInt32 = 0
    /// An IPv4 address; empty when BGP has not been started.
    public var routerID = ""
    /// TCP port; -1 when the daemon does not listen. 0 in a request means 179.
    public var listenPort: Int32 = 0
    public var listenAddresses: [String] = []
    public var usesMultiplePaths = false
    public var routeSelection = RouteSelectionOptions()
    public var confederation = Confederation()
    public var gracefulRestart = GracefulRestart()
    /// Only v3 has this field; with v4 the global policies are the assignment named `global`.
    public var applyPolicy = ApplyPolicy()
    public var bindToDevice = ""
    public init() {}
    public init(asn: UInt32, routerID: IPv4Address, listenPort: Int32) {
        self.asn = asn
        self.routerID = routerID.description
        self.listenPort = listenPort
    }
    public var isStarted: Bool { asn != 0 }

    public mutating func fields(_ coder: inout FieldCoder) {
        coder.uint32(1, &asn)
        coder.string(2, &routerID)
        coder.int32(3, &listenPort)
        coder.strings(4, &listenAddresses)
        coder.bool(6, &usesMultiplePaths)
        coder.message(7, &routeSelection)
        coder.message(9, &confederation)
        coder.message(10, &gracefulRestart)
        if coder.generation == .v3 {
            coder.message(11, &applyPolicy)
            coder.string(12, &bindToDevice)
        } else {
            coder.string(11, &bindToDevice)
        }
    }
}

public struct RouteSelectionOptions: APIMessage {
    public var alwaysCompareMED = false
    public var ignoresASPathLength = false
    public var comparesExternalRouterID = false
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.bool(1, &alwaysCompareMED)
        coder.bool(2, &ignoresASPathLength)
        coder.bool(3, &comparesExternalRouterID)
    }
}

public struct Confederation: APIMessage {
    public var isEnabled = false
    public var identifier: UInt32 = 0
    public var members: [UInt32] = []
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.bool(1, &isEnabled)
        coder.uint32(2, &identifier)
        coder.uint32s(3, &members)
    }
}

/// Graceful restart (RFC 4724), of the daemon, a peer or a group.
public struct GracefulRestart: APIMessage {
    public var isEnabled = false
    /// Seconds.
    public var restartTime: UInt32 = 0
    public var isHelperOnly = false
    /// Seconds.
    public var deferralTime: UInt32 = 0
    /// RFC 8538.
    public var notificationEnabled = false
    public var longLivedEnabled = false
    /// Seconds.
    public var staleRoutesTime: UInt32 = 0
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.bool(1, &isEnabled)
        coder.uint32(2, &restartTime)
        coder.bool(3, &isHelperOnly)
        coder.uint32(4, &deferralTime)
        coder.bool(5, &notificationEnabled)
        coder.bool(6, &longLivedEnabled)
        coder.uint32(7, &staleRoutesTime)
    }
}
