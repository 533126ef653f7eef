// Routes that others announce and that are held, but can never be chosen: why nothing comes of them.

import BGP
import BGPEngine
import EVPN
import Intents
import NetTypes

extension Agent {
    /// Routes on so many pages are looked at.
    static let unusablePages = 20

    /// EVPN routes that match and are not eligible, at most `limit`; our own that come back are left out.
    func unusable(
        _ view: RouteQuery.View = .all, pages: Int = Agent.unusablePages, limit: Int = Agent.listLimit,
        _ matches: (RouteView) -> Bool
    ) -> [RouteView] {
        let overlay = configuration.overlay
        let own = Set(overlay.evis.map(\.rd) + overlay.vrfs.map(\.rd))
        var found: [RouteView] = []
        var query = RouteQuery(view, family: .l2vpnEVPN, limit: RouteQuery.maximumLimit)
        for _ in 0..<pages {
            let page = speaker.routes(query)
            for route in page.routes
            where route.ineligibility != nil && route.peer != .local && !own.contains(route.key.rd) && matches(route) {
                found.append(route)
                if found.count == limit { return found }
            }
            guard let next = page.next else { break }
            query.after = next
        }
        return found
    }

    /// The first link of an explanation when all that is announced cannot be used; nil: nothing is.
    func unusableLink(_ matches: (RouteView) -> Bool) -> Link? {
        let found = unusable { matches($0) }
        guard let reason = found.first?.ineligibility else { return nil }
        var keys: [RouteKey] = []
        for route in found where !keys.contains(route.key) { keys.append(route.key) }
        return Link(
            name: "rib", state: .missing, text: "\(counted(keys.count, "route")) that cannot be used",
            details: keys.flatMap { ribDetails($0) }, wayOut: wayOut(reason))
    }
    private func wayOut(_ reason: Ineligibility) -> String {
        switch reason {
        case .asPathLoop:
            "AS \(configuration.bgp.asn) is also that of the other host: each host needs one of its own, or internal sessions"
        case .nextHopOwn: "another host has the VTEP address of this one: correct node.vtep here or there"
        default: "the reason is behind the route; look at who announces it"
        }
    }

    /// Neighbors whose routes are dropped. What gobgpd does not accept may be a matter of its policies, which are somebody else's.
    func unusableProblems() -> [ServiceProblem] {
        speaker.neighbors().compactMap { neighbor in
            guard neighbor.isEstablished,
                let family = neighbor.families.first(where: { $0.family == .l2vpnEVPN }),
                family.counters.received > family.counters.accepted, speaker.knowsAdvertised,
                let peer = speaker.peerID(of: neighbor.name)
            else { return nil }
            let found = unusable(.received(from: peer), pages: 2, limit: 1000) { _ in true }
            guard let reason = found.first?.ineligibility else { return nil }
            return ServiceProblem(
                subject: "neighbor \(neighbor.name)",
                text: "\(counted(found.count, "route")) of it cannot be used, the first for: \(reason)",
                wayOut: "evpnctl show routes --neighbor \(neighbor.name); \(wayOut(reason))")
        }
    }
}
