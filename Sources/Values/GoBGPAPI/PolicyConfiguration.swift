// What `bgp:` says about policies and VRFs, for a gobgpd that evpnd configures.

/// Sets, policies, their places, and VRFs, ready to be sent. Names are unique for each kind, and every name referred to exists.
public struct PolicyConfiguration: Equatable, Sendable {
    /// Prefix sets name both ends of their length range; community sets hold `65000:100`, neighbor sets prefixes.
    public var sets: [DefinedSet] = []
    /// Names of statements begin with that of their policy and a dot: in gobgpd they are unique for all policies.
    public var policies: [Policy] = []
    /// What every route passes that comes in, also those that are made here. Policies by name, in their order.
    public var importing = PolicyAssignment.global(.importing)
    /// What every route passes before a neighbor is told.
    public var exporting = PolicyAssignment.global(.exporting)
    public var vrfs: [VRF] = []
    public init() {}
    public var isEmpty: Bool { self == PolicyConfiguration() }
}

extension PolicyAssignment {
    /// An empty assignment to the table that all neighbors but clients of a route server share.
    public static func global(_ direction: PolicyDirection) -> PolicyAssignment {
        var assignment = PolicyAssignment()
        assignment.name = "global"
        assignment.direction = direction
        return assignment
    }
}
