// Attribute sets, each kept once per (peer, family) that uses it, with what the decision process compares already extracted.

import BGP
import NetTypes

/// One attribute set in use. It belongs to one peer and family, so that everything derived from it (eligibility, what is
/// exported to whom) is a function of the entry alone.
struct AttributeEntry: Sendable {
    var set: AttributeSet
    var peer: PeerID
    var family: FamilySlot
    /// Paths that use it.
    var references: UInt32 = 0
    var ineligibility: UInt8 = 0
    var digest = AttributeDigest()
}

/// What the decision process compares.
struct AttributeDigest: Sendable {
    var localPreference: UInt32 = 100
    var med: UInt32 = 0
    var neighborASN: UInt32 = 0
    var asPathLength: UInt32 = 0
    var clusterListLength: UInt32 = 0
    /// ORIGINATOR_ID, else the peer's BGP identifier.
    var routerID: UInt32 = 0
    var mobilitySequence: UInt32 = 0
    var isSticky = false
    var origin: UInt8 = 0
    var nextHop: IPAddress?

    init() {}
    init(_ attributes: PathAttributes, routerID peerRouterID: IPv4Address) {
        localPreference = attributes.localPreference ?? 100
        med = attributes.med ?? 0
        neighborASN = attributes.asPath.neighborASN ?? 0
        asPathLength = UInt32(clamping: attributes.asPath.length)
        clusterListLength = UInt32(clamping: attributes.clusterList.count)
        routerID = (attributes.originatorID ?? peerRouterID).rawValue
        origin = attributes.origin.rawValue
        nextHop = attributes.nextHop
        if let mobility = attributes.macMobility {
            isSticky = mobility.sticky
            mobilitySequence = mobility.sequence
        }
    }
}

/// The three families a RIB keeps, as an array index.
struct FamilySlot: Hashable, Sendable {
    let index: Int
    static let count = 3
    init(index: Int) { self.index = index }
    /// Nil for a family the RIB does not keep.
    init?(_ family: Family) {
        switch family {
        case .ipv4Unicast: index = 0
        case .ipv6Unicast: index = 1
        case .l2vpnEVPN: index = 2
        default: return nil
        }
    }
    init(_ kind: RouteKey.Kind) {
        switch kind {
        case .ipv4Unicast: index = 0
        case .ipv6Unicast: index = 1
        default: index = 2
        }
    }
    var family: Family { index == 0 ? .ipv4Unicast : index == 1 ? .ipv6Unicast : .l2vpnEVPN }
    var isUnicast: Bool { index < 2 }
}

struct AttributeTable: Sendable {
    private struct Key: Hashable {
        var set: AttributeSet
        var peer: PeerID
        var family: FamilySlot
    }
    private(set) var entries: [AttributeEntry] = []
    private var index: [Key: UInt32] = [:]
    private var free: [UInt32] = []

    /// Sets in use.
    var count: Int { index.count }
    /// Upper bound of the ids in use.
    var capacity: Int { entries.count }

    /// The id of `set`; `make` fills in a new entry. The caller must `retain` it before the next `release`.
    mutating func intern(
        _ set: AttributeSet, peer: PeerID, family: FamilySlot, _ make: (inout AttributeEntry) -> Void
    ) -> UInt32 {
        let key = Key(set: set, peer: peer, family: family)
        if let id = index[key] { return id }
        var entry = AttributeEntry(set: set, peer: peer, family: family)
        make(&entry)
        let id: UInt32
        if let reused = free.popLast() {
            id = reused
            entries[Int(id)] = entry
        } else {
            id = UInt32(entries.count)
            entries.append(entry)
        }
        index[key] = id
        return id
    }
    @inline(__always) mutating func retain(_ id: UInt32) { entries[Int(id)].references &+= 1 }
    /// Whether that was the last use; the id is then free.
    @inline(__always) mutating func release(_ id: UInt32) -> Bool {
        entries[Int(id)].references &-= 1
        guard entries[Int(id)].references == 0 else { return false }
        discard(id)
        return true
    }
    /// Frees an interned entry that nobody retained; returns whether it did.
    mutating func discardIfUnused(_ id: UInt32) -> Bool {
        guard entries[Int(id)].references == 0 else { return false }
        discard(id)
        return true
    }
    private mutating func discard(_ id: UInt32) {
        let entry = entries[Int(id)]
        index[Key(set: entry.set, peer: entry.peer, family: entry.family)] = nil
        entries[Int(id)].set = AttributeTable.none
        free.append(id)
    }
    private static let none = AttributeSet(PathAttributes())

    /// Computes the derived part of every entry in use again.
    mutating func update(_ body: (inout AttributeEntry) -> Void) {
        for id in entries.indices where entries[id].references > 0 { body(&entries[id]) }
    }
}
