// A flow: which packets, and what is done to them.

/// What makes a flow in a bridge unique.
public struct FlowKey: Hashable, Sendable {
    public var table: UInt8
    /// The highest of those that match wins.
    public var priority: UInt16
    public var match: Match
    public init(table: UInt8, priority: UInt16, match: Match = .any) {
        self.table = table
        self.priority = priority
        self.match = match
    }
}

public struct Flow: Hashable, Sendable {
    public struct Flags: OptionSet, Hashable, Sendable {
        public let rawValue: UInt16
        public init(rawValue: UInt16) { self.rawValue = rawValue }
        /// The controllers are told when the flow ends (OFPFF_SEND_FLOW_REM).
        public static let reportsRemoval = Flags(rawValue: 1 << 0)
    }
    public var key: FlowKey
    /// Whose flow it is; the key of nothing.
    public var cookie: UInt64
    /// In order; none: packets are dropped.
    public var actions: [Action]
    /// Seconds without a packet after which the flow ends; 0: never.
    public var idleTimeout: UInt16
    /// Seconds after which the flow ends; 0: never.
    public var hardTimeout: UInt16
    public var flags: Flags
    public init(
        _ key: FlowKey, cookie: UInt64 = 0, actions: [Action], idleTimeout: UInt16 = 0, hardTimeout: UInt16 = 0,
        flags: Flags = []
    ) {
        self.key = key
        self.cookie = cookie
        self.actions = actions
        self.idleTimeout = idleTimeout
        self.hardTimeout = hardTimeout
        self.flags = flags
    }
}

public enum FlowChange: Hashable, Sendable {
    /// Adds the flow, or replaces the one with its key.
    case set(Flow)
    /// Nothing happens when there is no such flow.
    case delete(FlowKey)

    public var key: FlowKey {
        switch self {
        case .set(let flow): flow.key
        case .delete(let key): key
        }
    }
}

extension FlowKey: Comparable {
    /// By table, highest priority first, then by match: lists for people and tests.
    public static func < (a: Self, b: Self) -> Bool {
        if a.table != b.table { return a.table < b.table }
        if a.priority != b.priority { return a.priority > b.priority }
        return a.match.octets.lexicographicallyPrecedes(b.match.octets)
    }
}
