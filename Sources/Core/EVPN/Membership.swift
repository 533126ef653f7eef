// Membership told with communities on host routes, for hosts that flood and learn without EVPN routes.

import BGP
import NetTypes

/// How hosts of a VNI find each other.
public enum Signalling: String, CaseIterable, Sendable {
    /// Type 2 and type 3 routes.
    case evpn
    /// A unicast host route of each VTEP, with a community for each of its VNIs.
    case membership
    case both

    public var usesEVPN: Bool { self != .membership }
    public var usesMembership: Bool { self != .evpn }
}

/// Membership for the whole VTEP. A host is a member of a VNI when its `VTEP/32` or `/128` carries the community `ASN:VNI`, where both
/// fit 16 bits, or the large community `ASN:0:VNI` (RFC 8092).
public struct Membership: Hashable, Sendable {
    /// The first number of the communities; 1 to 4294967294 without 65535, whose communities are reserved (RFC 1997).
    public var communityASN: UInt32
    /// Whether this host tells others of its VNIs; it follows theirs in any case.
    public var advertises: Bool
    public init(communityASN: UInt32, advertises: Bool = true) {
        self.communityASN = communityASN
        self.advertises = advertises
    }

    /// What says that a host is a member of a VNI.
    struct Marks {
        var communities: [UInt32] = []
        var large: [LargeCommunity] = []
    }
    func marks(of evi: EVI) -> Marks {
        if let community = evi.memberCommunity { return Marks(communities: [community]) }
        var marks = Marks(large: [LargeCommunity(communityASN, 0, evi.vni.rawValue)])
        if let asn = UInt16(exactly: communityASN), let vni = UInt16(exactly: evi.vni.rawValue) {
            marks.communities = [UInt32(asn) << 16 | UInt32(vni)]
        }
        return marks
    }

    /// Octets that communities may take in a route, so that a message of 4096 octets (RFC 4271 §4.1) holds them after reflectors
    /// and other ASes have added what is theirs.
    static let room = 3600

    /// The attributes that make this VTEP a member of `evis`, and how many of them found no room.
    func attributes(vtep: IPAddress, _ evis: [EVI]) -> (set: AttributeSet, omitted: Int) {
        var communities: [UInt32] = []
        var large: [LargeCommunity] = []
        // Where not everything fits, one mark for each VNI has to do.
        let isShort = evis.count * 16 > Membership.room
        var omitted = 0
        for evi in evis {
            var marks = marks(of: evi)
            if isShort, !marks.communities.isEmpty { marks.large = [] }
            let size = (communities.count + marks.communities.count) * 4 + (large.count + marks.large.count) * 12
            guard size <= Membership.room else {
                omitted += 1
                continue
            }
            communities += marks.communities
            large += marks.large
        }
        var attributes = PathAttributes()
        attributes.origin = .igp
        attributes.nextHop = vtep
        attributes.communities = communities.sorted()
        attributes.largeCommunities = large.sorted()
        return (AttributeSet(attributes), omitted)
    }
}
