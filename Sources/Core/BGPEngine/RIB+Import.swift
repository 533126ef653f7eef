// What is done to received attributes before they are kept, and what makes them ineligible.

import BGP
import NetTypes

extension RIB {
    /// The attributes as they are kept: RFC 9234 §5 adds OTC on ingress; LOCAL_PREF of an external peer means nothing
    /// (RFC 4271 §5.1.5).
    func importRules(_ received: PathAttributes, from peer: PeerDescription, family: FamilySlot) -> PathAttributes {
        var attributes = received
        guard peer.kind == .external else { return attributes }
        attributes.localPreference = nil
        attributes.originatorID = nil
        attributes.clusterList = []
        if family.isUnicast, attributes.onlyToCustomer == nil, let role = peer.role, [2, 3, 4].contains(role) {
            attributes.onlyToCustomer = peer.asn
        }
        return attributes
    }
}

extension AttributeEntry {
    /// Fills in eligibility and digest.
    mutating func derive(_ peer: PeerDescription, _ configuration: RIBConfiguration, _ own: Set<IPAddress>) {
        let attributes = set.attributes
        digest = AttributeDigest(attributes, routerID: peer.routerID)
        ineligibility = reason(attributes, peer, configuration, own)?.rawValue ?? 0
    }
    private func reason(
        _ attributes: PathAttributes, _ peer: PeerDescription, _ configuration: RIBConfiguration,
        _ own: Set<IPAddress>
    ) -> Ineligibility? {
        if attributes.asPath.contains(configuration.asn) || attributes.asPath.contains(peer.localASN) {
            return .asPathLoop
        }
        if attributes.originatorID == configuration.routerID { return .originatorLoop }
        if attributes.clusterList.contains(configuration.clusterID) { return .clusterLoop }
        if family.isUnicast, peer.kind == .external, let marker = attributes.onlyToCustomer, let role = peer.role {
            if role == 0 || role == 1 || (role == 4 && marker != peer.asn) { return .roleLeak }
        }
        guard let nextHop = attributes.nextHop else { return .nextHopMissing }
        if nextHop.isUnspecified || nextHop.isMulticast || nextHop.isLoopback
            || nextHop == .v4(IPv4Address(rawValue: .max))
        {
            return .nextHopInvalid
        }
        if own.contains(nextHop) || nextHop == peer.localAddress { return .nextHopOwn }
        return nil
    }
}

extension PeerDescription {
    /// Whether routes of `self` and of `other` are judged, compared and passed on alike.
    func importsLike(_ other: PeerDescription) -> Bool {
        address == other.address && interface == other.interface && routerID == other.routerID && asn == other.asn
            && kind == other.kind
            && localASN == other.localASN && localAddress == other.localAddress && role == other.role
            && isReflectorClient == other.isReflectorClient
    }
}
