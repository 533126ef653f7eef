// Our own routes: what is announced, with which attributes.

import BGP
import NetTypes

extension ControlPlane {
    /// Tells the speaker, if it is news.
    mutating func export(_ key: RouteKey, _ route: Advertisement?) {
        guard exported[key] != route else { return }
        exported[key] = route
        output.advertisements.append(AdvertisementChange(key: key, route: route))
    }

    private func key(_ evi: EVI, _ mac: MACAddress, _ ip: IPAddress?) -> RouteKey {
        RouteKey(.macIP(MACIPRoute(rd: evi.rd, mac: mac, ip: ip, label1: 0)))
    }

    /// Attributes shared by all our routes of one kind; nil while the domain is down, or without EVPN routes.
    private mutating func attributes(_ slot: Slot, _ kind: ExportKind) -> AttributeSet? {
        guard let domain = vrfs[Int(slot)]?.domain else { return nil }
        if let cached = vrfs[Int(slot)]?.attributeCache[kind] { return cached }
        guard let evi = vrfs[Int(slot)]?.evi, evi.signalling.usesEVPN else { return nil }
        var attributes = PathAttributes()
        attributes.origin = .igp
        attributes.nextHop = domain.vtep
        var targets = evi.exportTargets
        if case .mac(_, _, _, _, _, let own?) = kind { targets = own }
        var communities = targets.map(\.community)
        communities.append(.encapsulation(ExtendedCommunity.vxlanEncapsulation))
        var isCommon = true
        switch kind {
        case .inclusiveMulticast:
            attributes.pmsiTunnel = .ingressReplication(label: evi.vni.rawValue, endpoint: domain.vtep)
        case .mac(let sequence, let isSticky, let isGateway, let isRouter, let isRouted, _):
            if sequence > 0 || isSticky { communities.append(.macMobility(sticky: isSticky, sequence: sequence)) }
            if isGateway { communities.append(.defaultGateway) }
            if isRouter { communities.append(.neighborDiscovery(flags: .router)) }
            if isRouted { communities += routedExport(of: slot)?.communities ?? [] }
            // Numbers grow without bound, so only the small ones are worth keeping.
            isCommon = sequence < 8
        }
        attributes.extendedCommunities = Array(Set(communities)).sorted()
        let set = AttributeSet(attributes)
        if isCommon { vrfs[Int(slot)]?.attributeCache[kind] = set }
        return set
    }

    /// Announces the MAC-only route of a local claim that holds its MAC, or withdraws it (nil).
    mutating func refreshExport(vrf slot: Slot, mac: MACAddress, claim: LocalClaim?) {
        guard let evi = vrfs[Int(slot)]?.evi else { return }
        var route: Advertisement?
        if let claim = claim.flatMap({ announcement(of: $0, in: slot) }),
            let set = attributes(
                slot,
                .mac(
                    sequence: claim.sequence, isSticky: claim.isSticky, isGateway: claim.isGateway, isRouter: false,
                    isRouted: false, exports: claim.learned?.exports))
        {
            route = Advertisement(payload: RoutePayload(label1: evi.vni.rawValue), attributes: set)
        }
        export(key(evi, mac, nil), route)
    }

    /// Announces the MAC+IP route of a local address with `mac`, or withdraws it (nil).
    mutating func announce(vrf slot: Slot, ip: IPAddress, mac: MACAddress?, claim: LocalClaim?, isRouter: Bool) {
        guard let evi = vrfs[Int(slot)]?.evi else { return }
        if let old = vrfs[Int(slot)]?.neighbors[ip]?.announcedMAC, old != mac { withdraw(vrf: slot, mac: old, ip: ip) }
        var route: Advertisement?
        let claim = claim.flatMap { announcement(of: $0, in: slot) }
        let isRouted = claim?.isGateway == false && transit(ofHostsIn: slot) != nil && isRoutable(ip, in: slot)
        if mac != nil, let claim,
            let set = attributes(
                slot,
                .mac(
                    sequence: claim.sequence, isSticky: claim.isSticky, isGateway: claim.isGateway,
                    isRouter: isRouter, isRouted: isRouted, exports: claim.learned?.exports))
        {
            let label2 = isRouted ? transit(ofHostsIn: slot)?.vni.rawValue : nil
            route = Advertisement(
                payload: RoutePayload(label1: evi.vni.rawValue, label2: label2), attributes: set)
        }
        if let mac { export(key(evi, mac, ip), route) }
        let announced = route == nil ? nil : mac
        if vrfs[Int(slot)]?.neighbors[ip]?.announcedMAC != announced {
            vrfs[Int(slot)]?.neighbors[ip]?.announcedMAC = announced
        }
    }

    mutating func withdraw(vrf slot: Slot, mac: MACAddress, ip: IPAddress) {
        guard let evi = vrfs[Int(slot)]?.evi else { return }
        export(key(evi, mac, ip), nil)
    }

    /// Announces, changes or withdraws everything of a MAC-VRF, as its domain and targets now ask for.
    mutating func refreshExports(_ slot: Slot) {
        guard let vrf = vrfs[Int(slot)], let evi = vrf.evi else { return }
        refreshMulticast(slot, evi)
        for (mac, _) in vrf.locals.sorted(by: { $0.key < $1.key }) { touch(mac: macSlot(slot, mac)) }
        for ip in vrf.neighbors.keys.sorted() { touch(address: addressSlot(slot, ip)) }
    }

    private mutating func refreshMulticast(_ slot: Slot, _ evi: EVI) {
        let prior = vrfs[Int(slot)]?.multicastKey
        var route: Advertisement?
        var key: RouteKey?
        if let domain = vrfs[Int(slot)]?.domain, let set = attributes(slot, .inclusiveMulticast) {
            key = RouteKey(.inclusiveMulticast(InclusiveMulticastRoute(rd: evi.rd, originator: domain.vtep)))
            route = Advertisement(payload: RoutePayload(), attributes: set)
        }
        // The originator is part of the key: make before break.
        if let key { export(key, route) }
        if let prior, prior != key { export(prior, nil) }
        vrfs[Int(slot)]?.multicastKey = key
    }

    /// Withdraws everything of a MAC-VRF, before its EVI goes away or changes its RD.
    mutating func withdrawAll(_ slot: Slot) {
        guard let vrf = vrfs[Int(slot)], let evi = vrf.evi else { return }
        for ip in vrf.neighbors.keys.sorted() {
            guard let mac = vrf.neighbors[ip]?.announcedMAC else { continue }
            export(key(evi, mac, ip), nil)
            vrfs[Int(slot)]?.neighbors[ip]?.announcedMAC = nil
        }
        for mac in vrf.locals.keys.sorted() { export(key(evi, mac, nil), nil) }
        if let key = vrf.multicastKey { export(key, nil) }
        vrfs[Int(slot)]?.multicastKey = nil
    }
}
