// UPDATE (RFC 4271 §4.3) and what it means to a RIB.

/// One path attribute as it stood in the message.
public struct PathAttribute: Hashable, Sendable {
    public var flags: UInt8
    public var code: UInt8
    public var value: [UInt8]
    public init(flags: UInt8, code: UInt8, value: [UInt8]) {
        self.flags = flags
        self.code = code
        self.value = value
    }
}

/// A decoded UPDATE: the routes it announces and withdraws, their shared attributes, and every fault found on the way.
public struct Update: Hashable, Sendable {
    /// Routes of one family.
    public struct Section: Hashable, Sendable {
        public var family: Family
        public var routes: [RouteEntry]
        public init(family: Family, routes: [RouteEntry]) {
            self.family = family
            self.routes = routes
        }
    }
    /// From NLRI and MP_REACH_NLRI. Empty when a fault of the whole message is treated as a withdrawal, or worse.
    public var announced: [Section] = []
    /// From WITHDRAWN ROUTES and MP_UNREACH_NLRI; with treat-as-withdraw also what would have been announced, or those of its routes
    /// that were wrong in themselves.
    public var withdrawn: [Section] = []
    public var attributes = PathAttributes()
    /// Set when the message is an End-of-RIB marker (RFC 4724 §2).
    public var endOfRIB: Family?
    public var faults: [UpdateFault] = []
    public init() {}
    /// The strongest of the faults' consequences.
    public var consequence: Consequence { faults.reduce(.accept) { $0.strongest(with: $1.consequence) } }
}
