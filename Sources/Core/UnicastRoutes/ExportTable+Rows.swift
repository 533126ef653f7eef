// What the export table is made of.

import BGP
import EVPN
import NetTypes

extension ExportTable {
    /// A route that some rule may want.
    struct Path: Equatable, Sendable {
        var communities: [UInt32]
        var largeCommunities: [LargeCommunity]
        /// Of the best path and those as good as it, sorted. A unicast route has at least one; those of a VRF's are VTEPs.
        var nexthops: [ScopedAddress]
        /// Who told the best path; nil: it is a VRF's.
        var neighbor: IPAddress?
        /// The VRF device that packets are handed to; nil: they go to the next hops.
        var device: String?
        /// An address of the underlay that the prefix would lead packets away from in the host's own table.
        var hijacked: IPAddress?

        /// Addresses that the kernel is asked for; those with an interface need no answer.
        func queried(withNeighbor: Bool) -> Set<IPAddress> {
            var addresses = Set(nexthops.lazy.filter { !$0.needsInterface }.map(\.address))
            if withNeighbor, !addresses.isEmpty, let neighbor { addresses.insert(neighbor) }
            return addresses
        }
        /// Interfaces that packets go to whatever the kernel's routes say.
        var interfaces: Set<String> { Set(nexthops.compactMap(\.interface) + [device].compactMap { $0 }) }
    }
    /// A kernel table, and a metric in it.
    struct Place: Hashable, Comparable, Sendable {
        var table: UInt32
        var metric: UInt32
        static func < (a: Self, b: Self) -> Bool { (a.table, a.metric) < (b.table, b.metric) }
    }
    struct Row: Sendable {
        var want: KernelRoute?
        var have: KernelRoute?
        /// The rule that asks for it.
        var rule = 0
        /// Why it cannot be wanted.
        var reason: String?
        /// A next hop is being looked up; until then the row stays as it is.
        var isUndecided = false
        /// Found in the kernel, and nobody has asked for it yet.
        var isAdopted = false
        var isQueued = false
        var inFlight: KernelRouteOperation.Action?
        var failure: (reason: String, since: Instant)?

        var isUnused: Bool { want == nil && have == nil && reason == nil && !isUndecided && inFlight == nil }
    }
    /// What has happened since start.
    public struct Statistics: Equatable, Sendable {
        public var exported = 0
        public var withdrawn = 0
        public var errors = 0
        public var validations = 0
        public var validationFailures = 0
        public var dampened = 0
        /// Routes of an earlier run that nobody announces any more.
        public var sweptDeleted = 0
        /// Routes of an earlier run that are wanted again.
        public var sweptKept = 0
        /// Rows put right after somebody else changed them.
        public var healed = 0
    }
}

extension ExportTable {
    /// Routes of an earlier run have been removed where no rule leads any more.
    public mutating func swept(_ count: Int) {
        statistics.sweptDeleted += count
        // They may have been in the way.
        retryFailed()
    }
    public var hasFailures: Bool { tables.values.contains { $0.values.contains { $0.failure != nil } } }
}

extension ExportTable.Path {
    /// Nil without a next hop.
    init?(_ path: RemotePath) {
        let attributes = path.attributes.attributes
        guard let nexthop = attributes.nextHop else { return nil }
        self.init(
            communities: attributes.communities, largeCommunities: attributes.largeCommunities,
            nexthops: Set([ScopedAddress(nexthop, on: path.interface)] + path.alternatives).sorted(),
            neighbor: path.neighbor)
    }
    init(_ prefix: ExportedPrefix, of vrf: String) {
        self.init(
            communities: prefix.communities, largeCommunities: prefix.largeCommunities,
            nexthops: prefix.vteps.map { ScopedAddress($0) }, device: vrf, hijacked: prefix.hijacked)
    }
}
