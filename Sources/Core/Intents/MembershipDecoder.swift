// `membership:`, and what makes its communities usable together with the rest of the file.

import BGP
import BGPEngine
import EVPN
import NetTypes

extension Value {
    /// Why members by communities are refused with Open vSwitch.
    static let onlyEVPN = "Open vSwitch is told every MAC by EVPN routes and learns none from tunnels"
}

/// `membership:` as written.
struct MembershipSettings {
    /// Nil: the AS of `bgp.global`.
    var communityASN: Located<UInt32>?
    var advertises = true
    var discovers = false
    /// Of VNIs that do not say.
    var signalling = Signalling.evpn

    init(_ file: Section, isSwitched: Bool) {
        if isSwitched {
            file.unsupported("membership", Value.onlyEVPN)
            return
        }
        guard file.has("membership") else {
            _ = file["membership"]
            return
        }
        let section = file.section("membership")
        signalling = section["signalling"]?.word(Signalling.self) ?? .membership
        communityASN = section["communityASN"].located { value in
            guard let number = value.integer(1...4_294_967_294) else { return nil }
            guard number != 65535 else {
                value.fail("communities of 65535 are reserved (RFC 1997)")
                return nil
            }
            return UInt32(clamping: number)
        }
        advertises = section["advertise"]?.bool() ?? true
        discovers = section["discover"]?.bool() ?? false
        section.finish()
    }

    /// Nil when no VNI uses it. `bgp` is the section, for what its neighbors lack.
    func resolved(evis: [EVI], bgp: BGPConfiguration, _ bgpSection: Section) -> Membership? {
        guard evis.contains(where: { $0.signalling.usesMembership }) || discovers && signalling.usesMembership else {
            return nil
        }
        let sessions = bgp.neighbors.map(\.families) + bgp.dynamicNeighbors.map(\.template.families)
        if !sessions.isEmpty, !sessions.joined().contains(where: { $0.family != .l2vpnEVPN }) {
            bgpSection.source.warn(
                "no neighbor has a unicast family: members of VNIs will not be found",
                hint: "add ipv4-unicast (or ipv6-unicast) to global.families or afiSafis")
        }
        if communityASN == nil, bgp.asn == 65535 {
            bgpSection.source.fail(
                "communities of AS 65535 are reserved (RFC 1997)", hint: "set membership.communityASN")
        }
        return Membership(communityASN: communityASN?.value ?? bgp.asn, advertises: advertises)
    }
}
