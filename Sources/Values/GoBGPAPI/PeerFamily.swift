// An address family of a neighbor: what is configured of it, and what the session made of it.

public import BGP

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
