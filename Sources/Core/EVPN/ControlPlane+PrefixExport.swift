// Our own type 5 routes (RFC 9136), and what joins the routes of a MAC-VRF to its IP-VRF.

import BGP
import NetTypes

extension ControlPlane {
    /// Whether type 5 routes to a prefix are announced and taken. Where the kernel forwards, links have their own of 169.254.0.0/16, and
    /// evpnd is told nothing of these; in a bridge of Open vSwitch there are those alone that somebody has declared.
    func canRoute(_ prefix: IPPrefix) -> Bool { prefix.isRoutable || hasTunnelNexthops && prefix.isPartOfLinkLocal }

    /// Whether a prefix is one of those that the configuration has announced.
    func isAnnounced(_ prefix: IPPrefix, by table: IPVRFTable) -> Bool {
        guard let announced = table.vrf?.announced, canRoute(prefix) else { return false }
        if announced.prefixes.contains(prefix) { return true }
        return table.locals[prefix].map { announced.selects($0) } ?? false
    }

    /// The domain of the L3 VNI with its router MAC; nil while packets cannot be routed there.
    func transit(of slot: Slot) -> (domain: LocalDomain, mac: MACAddress, vni: VNI)? {
        guard slot.exists, let vni = tables[Int(slot)]?.vni, tableByVNI[vni] == slot, let vrf = vrfByVNI[vni],
            let domain = vrfs[Int(vrf)]?.domain, let mac = domain.routerMAC, mac.isUsableByHost
        else { return nil }
        return (domain, mac, vni)
    }

    /// Announces, changes or withdraws the type 5 route of one prefix.
    mutating func refreshPrefixExport(_ slot: Slot, _ prefix: IPPrefix) {
        guard let table = tables[Int(slot)], let vrf = table.vrf else { return }
        var route: Advertisement?
        if isAnnounced(prefix, by: table), let transit = transit(of: slot) {
            let local = table.locals[prefix]
            // As `network` and `redistribute` have it elsewhere, so that equal prefixes of two kinds of routers are equal.
            let kind = PrefixExportKind(origin: local == nil ? .igp : .incomplete, exports: local?.exports)
            let set = attributes(slot, vrf, transit, kind)
            var gateway = vrf.announced.usesGateway ? local?.gateway : nil
            // Whoever imports it looks for a type 2 route of the gateway: without one the prefix is reached through this host as ever.
            if let ip = gateway, ip.isV6 != prefix.address.isV6 || vni(withGateway: ip, in: table) == nil {
                gateway = nil
            }
            route = Advertisement(
                payload: RoutePayload(
                    label1: transit.vni.rawValue, overlay: .make(esi: .zero, gateway: gateway)),
                attributes: set)
        }
        guard route != nil || table.announced.contains(prefix) else { return }
        export(Self.prefixKey(vrf.rd, prefix), route)
        if route == nil {
            tables[Int(slot)]?.announced.remove(prefix)
        } else {
            tables[Int(slot)]?.announced.insert(prefix)
        }
    }

    static func prefixKey(_ rd: RouteDistinguisher, _ prefix: IPPrefix) -> RouteKey {
        RouteKey(
            .ipPrefix(
                IPPrefixRoute(
                    rd: rd, prefix: prefix, gateway: prefix.address.isV6 ? .v6(.any) : .v4(.any), label: 0)))
    }

    private mutating func attributes(
        _ slot: Slot, _ vrf: IPVRF, _ transit: (domain: LocalDomain, mac: MACAddress, vni: VNI),
        _ kind: PrefixExportKind
    ) -> AttributeSet {
        if let cached = tables[Int(slot)]?.attributeCache[kind] { return cached }
        var attributes = PathAttributes()
        attributes.origin = kind.origin
        attributes.nextHop = transit.domain.vtep
        var communities = (kind.exports ?? vrf.exportTargets).map(\.community)
        communities.append(.encapsulation(ExtendedCommunity.vxlanEncapsulation))
        communities.append(.routerMAC(transit.mac))
        attributes.extendedCommunities = Array(Set(communities)).sorted()
        let set = AttributeSet(attributes)
        tables[Int(slot)]?.attributeCache[kind] = set
        return set
    }

    /// Brings all type 5 routes of an IP-VRF in line with its configuration and its L3 VNI.
    mutating func refreshPrefixExports(_ slot: Slot) {
        guard let table = tables[Int(slot)], let vrf = table.vrf else { return }
        tables[Int(slot)]?.attributeCache = [:]
        var wanted = Set(vrf.announced.prefixes).union(table.announced)
        for prefix in table.locals.keys { wanted.insert(prefix) }
        for prefix in wanted.sorted() { refreshPrefixExport(slot, prefix) }
    }

    /// Withdraws all type 5 routes, before the IP-VRF goes away or changes its RD.
    mutating func withdrawPrefixes(_ slot: Slot) {
        guard let table = tables[Int(slot)], let vrf = table.vrf else { return }
        for prefix in table.announced.sorted() { export(Self.prefixKey(vrf.rd, prefix), nil) }
        tables[Int(slot)]?.announced = []
        tables[Int(slot)]?.attributeCache = [:]
    }

    /// What MAC/IP routes of a MAC-VRF carry beside its own (RFC 9135 §4.1, §5.2): nil without an L3 VNI that can forward.
    func routedExport(of vrf: Slot) -> (label: UInt32, communities: [ExtendedCommunity])? {
        guard let transit = transit(ofHostsIn: vrf), let targets = tables[Int(tableOfVRF[Int(vrf)])]?.vrf?.exportTargets
        else { return nil }
        return (transit.vni.rawValue, targets.map(\.community) + [.routerMAC(transit.mac)])
    }
    /// The L3 VNI that the hosts of a MAC-VRF are announced with. None where it has another VTEP address: a route has one next hop.
    func transit(ofHostsIn vrf: Slot) -> (domain: LocalDomain, mac: MACAddress, vni: VNI)? {
        guard let transit = transit(of: tableOfVRF[Int(vrf)]), transit.domain.vtep == vrfs[Int(vrf)]?.domain?.vtep
        else {
            return nil
        }
        return transit
    }
    /// Reports, once, that a MAC-VRF and the L3 VNI of its IP-VRF have different VTEP addresses.
    mutating func checkVTEP(_ vrf: Slot) {
        let old = vrfs[Int(vrf)]?.differingTransit
        var new: (vni: VNI, vtep: IPAddress)?
        if let here = vrfs[Int(vrf)]?.domain?.vtep, vrfs[Int(vrf)]?.evi != nil,
            let transit = transit(of: tableOfVRF[Int(vrf)]), transit.domain.vtep != here
        {
            new = (transit.vni, transit.domain.vtep)
            if old?.vni != transit.vni || old?.vtep != transit.domain.vtep {
                report(
                    .vtepsDiffer(
                        vnis[Int(vrf)], vtep: here, transit: transit.vni, transitVTEP: transit.domain.vtep))
            }
        }
        if new != nil || old != nil { vrfs[Int(vrf)]?.differingTransit = new }
    }
}
