// The path attributes this codec knows by number, and the flags their specifications demand.

/// Path attribute type codes (IANA, "BGP Path Attributes").
public enum AttributeCode {
    public static let origin: UInt8 = 1
    public static let asPath: UInt8 = 2
    public static let nextHop: UInt8 = 3
    public static let med: UInt8 = 4
    public static let localPreference: UInt8 = 5
    public static let atomicAggregate: UInt8 = 6
    public static let aggregator: UInt8 = 7
    public static let communities: UInt8 = 8
    public static let originatorID: UInt8 = 9
    public static let clusterList: UInt8 = 10
    public static let mpReach: UInt8 = 14
    public static let mpUnreach: UInt8 = 15
    public static let extendedCommunities: UInt8 = 16
    public static let as4Path: UInt8 = 17
    public static let as4Aggregator: UInt8 = 18
    public static let pmsiTunnel: UInt8 = 22
    public static let tunnelEncapsulation: UInt8 = 23
    public static let ipv6ExtendedCommunities: UInt8 = 25
    public static let aigp: UInt8 = 26
    public static let largeCommunities: UInt8 = 32
    public static let onlyToCustomer: UInt8 = 35
    public static let prefixSID: UInt8 = 40
    public static let attributeSet: UInt8 = 128

    /// The words `evpnctl decode` prints; nil for an attribute without one.
    public static func name(_ code: UInt8) -> String? {
        switch code {
        case origin: "origin"
        case asPath: "as_path"
        case nextHop: "next_hop"
        case med: "med"
        case localPreference: "local_pref"
        case atomicAggregate: "atomic_aggregate"
        case aggregator: "aggregator"
        case communities: "communities"
        case originatorID: "originator_id"
        case clusterList: "cluster_list"
        case mpReach: "mp_reach"
        case mpUnreach: "mp_unreach"
        case extendedCommunities: "ext_communities"
        case as4Path: "as4_path"
        case as4Aggregator: "as4_aggregator"
        case pmsiTunnel: "pmsi_tunnel"
        case tunnelEncapsulation: "tunnel_encap"
        case ipv6ExtendedCommunities: "ipv6_ext_communities"
        case aigp: "aigp"
        case largeCommunities: "large_communities"
        case onlyToCustomer: "otc"
        case prefixSID: "prefix_sid"
        case attributeSet: "attr_set"
        default: nil
        }
    }

    /// The Optional and Transitive bits an attribute must have (RFC 7606 §3 c compares only these); nil when unknown.
    static func requiredFlags(_ code: UInt8) -> UInt8? {
        switch code {
        case origin, asPath, nextHop, localPreference, atomicAggregate: AttributeFlags.transitive
        case med, originatorID, clusterList, mpReach, mpUnreach, aigp: AttributeFlags.optional
        case aggregator, communities, extendedCommunities, as4Path, as4Aggregator, pmsiTunnel, tunnelEncapsulation,
            ipv6ExtendedCommunities, largeCommunities, onlyToCustomer, prefixSID, attributeSet:
            AttributeFlags.optional | AttributeFlags.transitive
        default: nil
        }
    }
}

/// Bits of the attribute flags octet (RFC 4271 §4.3).
public enum AttributeFlags {
    public static let optional: UInt8 = 0x80
    public static let transitive: UInt8 = 0x40
    public static let partial: UInt8 = 0x20
    public static let extendedLength: UInt8 = 0x10
}
