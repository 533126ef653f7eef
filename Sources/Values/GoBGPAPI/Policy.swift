// Policies: sets, statements, policies and where they are attached.

public enum RouteAction: UInt64, APIEnumeration {
    case none = 0
    case accept = 1
    case reject = 2
    public static var isShifted: Bool { false }
}

public enum PolicyDirection: UInt64, APIEnumeration {
    case unknown = 0
    case importing = 1
    case exporting = 2
    public static var isShifted: Bool { false }
}

public enum DefinedType: UInt64, APIEnumeration {
    case prefix = 0
    case neighbor = 1
    case tag = 2
    case asPath = 3
    case community = 4
    case extendedCommunity = 5
    case largeCommunity = 6
    case nextHop = 7
}

/// A set that conditions refer to by name. Prefix sets use `prefixes`, the others `list`.
public struct DefinedSet: APIMessage {
    public struct Prefix: APIMessage {
        /// `192.0.2.0/24`.
        public var prefix = ""
        public var minimumLength: UInt32 = 0
        public var maximumLength: UInt32 = 0
        public init() {}
        public mutating func fields(_ coder: inout FieldCoder) {
            coder.string(1, &prefix)
            coder.uint32(2, &minimumLength)
            coder.uint32(3, &maximumLength)
        }
    }
    public var type = DefinedType.prefix
    public var name = ""
    public var list: [String] = []
    public var prefixes: [Prefix] = []
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.enumeration(1, &type)
        coder.string(2, &name)
        coder.strings(3, &list)
        coder.messages(4, &prefixes)
    }
}

/// A reference to a defined set.
public struct MatchSet: APIMessage {
    public enum Match: UInt64, APIEnumeration {
        case any = 0
        case all = 1
        case invert = 2
    }
    public var match = Match.any
    public var name = ""
    public init() {}
    public init(_ name: String, match: Match = .any) {
        self.name = name
        self.match = match
    }
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.enumeration(1, &match)
        coder.string(2, &name)
    }
}

/// What a statement asks of a route; nil and empty parts ask nothing.
public struct Conditions: APIMessage {
    public struct ASPathLength: APIMessage {
        public enum Comparison: UInt64, APIEnumeration {
            case equal = 0
            case greaterOrEqual = 1
            case lessOrEqual = 2
        }
        public var comparison = Comparison.equal
        public var length: UInt32 = 0
        public init() {}
        public mutating func fields(_ coder: inout FieldCoder) {
            coder.enumeration(1, &comparison)
            coder.uint32(2, &length)
        }
    }
    public enum RouteType: UInt64, APIEnumeration {
        case any = 0
        case fromInternal = 1
        case fromExternal = 2
        case local = 3
        public static var isShifted: Bool { false }
    }
    public var prefixSet: MatchSet?
    public var neighborSet: MatchSet?
    public var asPathLength: ASPathLength?
    public var asPathSet: MatchSet?
    public var communitySet: MatchSet?
    public var extendedCommunitySet: MatchSet?
    /// A validation state as the generation counts it; v3: -1 asks nothing, and so does 0 in a request.
    public var rpkiResult: Int32 = 0
    public var routeType = RouteType.any
    public var largeCommunitySet: MatchSet?
    public var nextHops: [String] = []
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.message(1, &prefixSet)
        coder.message(2, &neighborSet)
        coder.message(3, &asPathLength)
        coder.message(4, &asPathSet)
        coder.message(5, &communitySet)
        coder.message(6, &extendedCommunitySet)
        coder.int32(7, &rpkiResult)
        coder.enumeration(8, &routeType)
        coder.message(9, &largeCommunitySet)
        coder.strings(10, &nextHops)
    }
}

/// What a statement does to a route that its conditions match.
public struct Actions: APIMessage {
    public struct Communities: APIMessage {
        public enum Change: UInt64, APIEnumeration {
            case add = 0
            case remove = 1
            case replace = 2
        }
        public var change = Change.add
        /// In text form; of extended communities `rt:65000:100`.
        public var communities: [String] = []
        public init() {}
        public mutating func fields(_ coder: inout FieldCoder) {
            coder.enumeration(1, &change)
            coder.strings(2, &communities)
        }
    }
    public struct MED: APIMessage {
        public enum Change: UInt64, APIEnumeration {
            case modify = 0
            case replace = 1
        }
        public var change = Change.modify
        public var value: Int64 = 0
        public init() {}
        public mutating func fields(_ coder: inout FieldCoder) {
            coder.enumeration(1, &change)
            coder.int64(2, &value)
        }
    }
    public struct Prepend: APIMessage {
        public var asn: UInt32 = 0
        public var count: UInt32 = 0
        public var usesLeftMost = false
        public init() {}
        public mutating func fields(_ coder: inout FieldCoder) {
            coder.uint32(1, &asn)
            coder.uint32(2, &count)
            coder.bool(3, &usesLeftMost)
        }
    }
    public struct NextHop: APIMessage {
        public var address = ""
        public var isSelf = false
        public var isUnchanged = false
        public init() {}
        public mutating func fields(_ coder: inout FieldCoder) {
            coder.string(1, &address)
            coder.bool(2, &isSelf)
            coder.bool(3, &isUnchanged)
        }
    }
    public struct LocalPreference: APIMessage {
        public var value: UInt32 = 0
        public init() {}
        public mutating func fields(_ coder: inout FieldCoder) { coder.uint32(1, &value) }
    }
    public var routeAction = RouteAction.none
    public var communities: Communities?
    public var med: MED?
    public var prepend: Prepend?
    public var extendedCommunities: Communities?
    public var nextHop: NextHop?
    public var localPreference: LocalPreference?
    public var largeCommunities: Communities?
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.enumeration(1, &routeAction)
        coder.message(2, &communities)
        coder.message(3, &med)
        coder.message(4, &prepend)
        coder.message(5, &extendedCommunities)
        coder.message(6, &nextHop)
        coder.message(7, &localPreference)
        coder.message(8, &largeCommunities)
    }
}

public struct Statement: APIMessage {
    public var name = ""
    public var conditions: Conditions?
    public var actions: Actions?
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.string(1, &name)
        coder.message(2, &conditions)
        coder.message(3, &actions)
    }
}

public struct Policy: APIMessage {
    public var name = ""
    public var statements: [Statement] = []
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.string(1, &name)
        coder.messages(2, &statements)
    }
}

/// Which policies apply where: `global`, or the address of a route server client.
public struct PolicyAssignment: APIMessage {
    public var name = ""
    public var direction = PolicyDirection.unknown
    public var policies: [Policy] = []
    public var defaultAction = RouteAction.none
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.string(1, &name)
        coder.enumeration(2, &direction)
        coder.messages(4, &policies)
        coder.enumeration(5, &defaultAction)
    }
}

/// The policies of a peer, a group or a family.
public struct ApplyPolicy: APIMessage {
    public var exporting: PolicyAssignment?
    public var importing: PolicyAssignment?
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        let first = coder.generation == .v3 ? 2 : 1
        coder.message(first, &exporting)
        coder.message(first + 1, &importing)
    }
}

// MARK: Requests and replies

public struct AddDefinedSetRequest: APIMessage {
    public var set = DefinedSet()
    /// Not known to 3.10, which then adds to a set of the same name.
    public var replaces = false
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.message(1, &set)
        coder.bool(2, &replaces)
    }
}
/// Removes elements from a set, or with `all` the set.
public struct DeleteDefinedSetRequest: APIMessage {
    public var set = DefinedSet()
    public var all = false
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.message(1, &set)
        coder.bool(2, &all)
    }
}
/// Sets of one type; v4 refuses the call without one.
public struct ListDefinedSetRequest: APIMessage {
    public var type = DefinedType.prefix
    public var name = ""
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.enumeration(1, &type)
        coder.string(2, &name)
    }
}
public typealias ListDefinedSetReply = Wrapped<DefinedSet>

public typealias AddStatementRequest = Wrapped<Statement>
public struct DeleteStatementRequest: APIMessage {
    public var statement = Statement()
    public var all = false
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.message(1, &statement)
        coder.bool(2, &all)
    }
}
public typealias ListStatementRequest = NameRequest
public typealias ListStatementReply = Wrapped<Statement>

public struct AddPolicyRequest: APIMessage {
    public var policy = Policy()
    /// Use statements that exist by name; without it an existing name is an error.
    public var refersToExistingStatements = false
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.message(1, &policy)
        coder.bool(2, &refersToExistingStatements)
    }
}
public struct DeletePolicyRequest: APIMessage {
    public var policy = Policy()
    /// Without it the policy's statements go too.
    public var preservesStatements = false
    public var all = false
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.message(1, &policy)
        coder.bool(2, &preservesStatements)
        coder.bool(3, &all)
    }
}
public typealias ListPolicyRequest = NameRequest
public typealias ListPolicyReply = Wrapped<Policy>

public typealias AddPolicyAssignmentRequest = Wrapped<PolicyAssignment>
public typealias SetPolicyAssignmentRequest = Wrapped<PolicyAssignment>
public struct DeletePolicyAssignmentRequest: APIMessage {
    public var assignment = PolicyAssignment()
    public var all = false
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.message(1, &assignment)
        coder.bool(2, &all)
    }
}
public struct ListPolicyAssignmentRequest: APIMessage {
    /// Empty for every name.
    public var name = ""
    /// `.unknown` for both.
    public var direction = PolicyDirection.unknown
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.string(1, &name)
        coder.enumeration(2, &direction)
    }
}
public typealias ListPolicyAssignmentReply = Wrapped<PolicyAssignment>

/// A request for things of one name, or for all with an empty name.
public struct NameRequest: APIMessage {
    public var name = ""
    public init() {}
    public init(_ name: String) { self.name = name }
    public mutating func fields(_ coder: inout FieldCoder) { coder.string(1, &name) }
}
