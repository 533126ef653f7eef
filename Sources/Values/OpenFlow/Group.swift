// Groups: several lists of actions of which some or all are done.

public struct Group: Hashable, Sendable {
    public enum Kind: UInt8, Hashable, Sendable, CaseIterable {
        /// A copy of the packet through each bucket.
        case all
        /// One of the buckets.
        case select
        /// The only bucket.
        case indirect
        /// The first bucket whose port is up.
        case fastFailover
    }
    /// How a bucket is selected: the extension of Netronome, which needs OpenFlow 1.5.
    public enum SelectionMethod: Hashable, Sendable {
        /// By the hash of the datapath: quick, and a connection stays where it is while buckets come and go.
        case datapathHash
        /// By these fields.
        case hash(Set<Field>)
    }
    public struct Bucket: Hashable, Sendable {
        /// Unique in the group. Only OpenFlow 1.5 tells it to the switch; read in an older version it is the position, from 0.
        public var id: UInt32
        /// Share of the packets, only in a select group; 0 for all others.
        public var weight: UInt16
        /// Only in a fast failover group.
        public var watchPort: PortNumber?
        public var actions: [Action]
        public init(id: UInt32, weight: UInt16 = 0, watchPort: PortNumber? = nil, actions: [Action]) {
            self.id = id
            self.weight = weight
            self.watchPort = watchPort
            self.actions = actions
        }
    }
    /// Up to 0xffff_ff00.
    public var id: UInt32
    public var kind: Kind
    /// Nil: the switch's choice. Only in a select group.
    public var selectionMethod: SelectionMethod?
    public var buckets: [Bucket]
    public init(_ id: UInt32, _ kind: Kind, selectionMethod: SelectionMethod? = nil, buckets: [Bucket]) {
        self.id = id
        self.kind = kind
        self.selectionMethod = selectionMethod
        self.buckets = buckets
    }
}

public enum GroupChange: Hashable, Sendable {
    /// Adds the group, or replaces the one of its number.
    case set(Group)
    /// Flows that use the group go with it.
    case delete(UInt32)

    public var id: UInt32 {
        switch self {
        case .set(let group): group.id
        case .delete(let id): id
        }
    }
}
