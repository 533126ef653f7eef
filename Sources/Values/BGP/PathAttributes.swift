// The path attributes of a route as a RIB keeps them: typed where the speaker acts on them, raw otherwise.

public import NetTypes

public enum Origin: UInt8, Hashable, Comparable, Sendable {
    case igp = 0
    case egp = 1
    case incomplete = 2
    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// AS_PATH (RFC 4271 §4.3, RFC 5065, RFC 6793). ASNs are always kept as four octets.
public struct ASPath: Hashable, Sendable {
    public enum SegmentType: UInt8, Hashable, Sendable {
        case set = 1
        case sequence = 2
        case confederationSequence = 3
        case confederationSet = 4
    }
    public struct Segment: Hashable, Sendable {
        public var type: SegmentType
        public var asns: [UInt32]
        public init(type: SegmentType, asns: [UInt32]) {
            self.type = type
            self.asns = asns
        }
    }
    public var segments: [Segment]
    public init(_ segments: [Segment] = []) { self.segments = segments }

    /// RFC 4271 §9.1.2.2 a: a set counts as one, confederation segments (RFC 5065 §5.3) as none.
    public var length: Int {
        segments.reduce(0) { total, segment in
            switch segment.type {
            case .sequence: total + segment.asns.count
            case .set: total + 1
            case .confederationSequence, .confederationSet: total
            }
        }
    }
    /// The neighboring AS: first ASN of the first sequence after confederation segments; nil for a local route.
    public var neighborASN: UInt32? {
        for segment in segments {
            switch segment.type {
            case .sequence: return segment.asns.first
            case .set: return nil
            case .confederationSequence, .confederationSet: continue
            }
        }
        return nil
    }
    public func contains(_ asn: UInt32) -> Bool { segments.contains { $0.asns.contains(asn) } }
    /// The path with `asn` put in front `count` times; a full or missing leading sequence gets a new one before it.
    public func prepending(_ asn: UInt32, count: Int = 1) -> ASPath {
        var result = self
        for _ in 0..<max(0, count) {
            if let first = result.segments.first, first.type == .sequence, first.asns.count < 255 {
                result.segments[0].asns.insert(asn, at: 0)
            } else {
                result.segments.insert(Segment(type: .sequence, asns: [asn]), at: 0)
            }
        }
        return result
    }
}

public struct Aggregator: Hashable, Sendable {
    public var asn: UInt32
    public var address: IPv4Address
    public init(asn: UInt32, address: IPv4Address) {
        self.asn = asn
        self.address = address
    }
}

public struct LargeCommunity: Hashable, Comparable, Sendable {
    public var global: UInt32
    public var local1: UInt32
    public var local2: UInt32
    public init(_ global: UInt32, _ local1: UInt32, _ local2: UInt32) {
        self.global = global
        self.local1 = local1
        self.local2 = local2
    }
    public static func < (a: Self, b: Self) -> Bool {
        (a.global, a.local1, a.local2) < (b.global, b.local1, b.local2)
    }
}

/// PMSI Tunnel (RFC 6514 §5): how to reach all members of a broadcast domain.
public struct PMSITunnel: Hashable, Sendable {
    /// RFC 6514 tunnel types by number; 6 is ingress replication.
    public var tunnelType: UInt8
    public var flags: UInt8
    /// Raw 24 bits; with VXLAN the VNI.
    public var label: UInt32
    /// Tunnel identifier octets; for ingress replication an IPv4 or IPv6 address.
    public var tunnelID: [UInt8]
    public static let ingressReplicationType: UInt8 = 6
    public init(tunnelType: UInt8, flags: UInt8 = 0, label: UInt32, tunnelID: [UInt8]) {
        self.tunnelType = tunnelType
        self.flags = flags
        self.label = label
        self.tunnelID = tunnelID
    }
    public static func ingressReplication(label: UInt32, endpoint: IPAddress) -> PMSITunnel {
        PMSITunnel(tunnelType: ingressReplicationType, label: label, tunnelID: endpoint.octets)
    }
    /// The endpoint of an ingress replication tunnel.
    public var endpoint: IPAddress? {
        tunnelType == PMSITunnel.ingressReplicationType ? IPAddress(octets: tunnelID) : nil
    }
}

/// An attribute that is carried without being understood; optional transitive ones are passed on with the partial bit set.
public struct RawAttribute: Hashable, Sendable {
    public var flags: UInt8
    public var code: UInt8
    public var value: [UInt8]
    public init(flags: UInt8, code: UInt8, value: [UInt8]) {
        self.flags = flags
        self.code = code
        self.value = value
    }
}

/// Everything but the NLRI that an UPDATE says about its routes. Next hops are here too (of NEXT_HOP or MP_REACH_NLRI), so
/// that routes with equal `PathAttributes` can share one UPDATE.
public struct PathAttributes: Hashable, Sendable {
    public var origin: Origin = .incomplete
    public var asPath = ASPath()
    /// The first (global) next hop; nil when the UPDATE carried none.
    public var nextHop: IPAddress?
    /// The second address of a 32-octet IPv6 next hop (RFC 2545 §3).
    public var linkLocalNextHop: IPv6Address?
    public var med: UInt32?
    public var localPreference: UInt32?
    public var atomicAggregate = false
    public var aggregator: Aggregator?
    public var communities: [UInt32] = []
    public var originatorID: IPv4Address?
    public var clusterList: [IPv4Address] = []
    public var extendedCommunities: [ExtendedCommunity] = []
    public var largeCommunities: [LargeCommunity] = []
    public var pmsiTunnel: PMSITunnel?
    /// Only To Customer (RFC 9234).
    public var onlyToCustomer: UInt32?
    /// Attributes without a field of their own, sorted by code.
    public var others: [RawAttribute] = []
    public init() {}

    public var routeTargets: [RouteTarget] { extendedCommunities.compactMap { RouteTarget($0) } }
}

/// Path attributes behind one reference, so that a hundred thousand routes of one UPDATE stream share one copy.
public final class AttributeSet: Hashable, Sendable {
    public let attributes: PathAttributes
    private let hash: Int
    public init(_ attributes: PathAttributes) {
        self.attributes = attributes
        hash = attributes.hashValue
    }
    public static func == (a: AttributeSet, b: AttributeSet) -> Bool {
        a === b || (a.hash == b.hash && a.attributes == b.attributes)
    }
    public func hash(into hasher: inout Hasher) { hasher.combine(hash) }
}
