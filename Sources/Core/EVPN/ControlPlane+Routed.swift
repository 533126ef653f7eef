// Type 2 and type 5 routes in IP-VRFs: which ones import them, and over which way packets go (RFC 9135 §5, RFC 9136 §4.4).

import BGP
import NetTypes

extension ControlPlane {
    /// Where a route goes in one IP-VRF.
    private struct Place: Equatable {
        var table: Slot
        var target: Target
        enum Target: Equatable {
            case way(RemoteWay.Key)
            case gateway(IPAddress)
        }
    }

    mutating func setOverlay(_ route: Slot, _ payload: RoutePayload) {
        overlays[route] = payload.overlay
    }

    /// Imports a route into the IP-VRFs where it now belongs, and nowhere else. A type 2 route without a second label is none of theirs.
    mutating func placeRouted(route slot: Slot) {
        let route = routes[slot]
        let reason = reasonNotToRoute(slot, route)
        var wanted: [Place] = []
        var lateReason: IgnoredReason?
        if reason == nil, !route.isMACIP || route.label2 != 0 {
            // The common case, one IP-VRF and a way that is known, needs no list.
            if let only = attributes[route.attributes].tables.first, attributes[route.attributes].tables.count == 1,
                overlays.isEmpty || overlays[slot] == nil,
                let way = knownWay(route, only)
            {
                if routes[slot].routedReason != nil { setRoutedReason(slot, nil) }
                let first = route.routed
                if first.exists, !routedImports[first].sibling.exists, routedImports[first].table == only,
                    !routedImports[first].isThroughGateway, routedImports[first].way == way
                {
                    touch(prefix: routedImports[first].entry)
                } else {
                    unlinkRouted(route: slot)
                    linkRouted(route: slot, table: only, way: way, isThroughGateway: false)
                }
                return
            }
            for table in attributes[route.attributes].tables {
                let result = place(slot, route, in: table)
                if let place = result.place { wanted.append(place) }
                lateReason = lateReason ?? result.reason
            }
        }
        setRoutedReason(slot, reason ?? (wanted.isEmpty ? lateReason : nil))
        if !wanted.isEmpty, placesOf(route) == wanted {
            var link = route.routed
            while link.exists {
                touch(prefix: routedImports[link].entry)
                link = routedImports[link].sibling
            }
            return
        }
        unlinkRouted(route: slot)
        for place in wanted { link(slot, place) }
    }

    private mutating func setRoutedReason(_ slot: Slot, _ reason: IgnoredReason?) {
        let route = routes[slot]
        guard route.routedReason != reason else { return }
        if route.isMACIP { routes[slot].routedReason = reason } else { routes[slot].reason = reason }
        if let reason, !reason.isExpected, !attributes[route.attributes].tables.isEmpty {
            report(.routeIgnored(route.routeKey, reason))
        }
    }

    /// What is wrong with a route in any IP-VRF.
    private func reasonNotToRoute(_ slot: Slot, _ route: RemoteRoute) -> IgnoredReason? {
        if route.isMACIP, route.label2 == 0 { return nil }
        if let reason = attributes[route.attributes].reason { return reason }
        if attributes[route.attributes].tables.isEmpty {
            return attributes[route.attributes].isUnselected ? .noListedCommunity : .noMatchingTarget
        }
        let overlay = overlays.isEmpty ? nil : overlays[slot]
        if route.isMACIP {
            if route.mac.isZero { return .zeroMAC }
            if route.mac.isMulticast { return .multicastMAC }
        } else if let overlay {
            if overlay.gateway != nil, !overlay.esi.isZero { return .gatewayAndSegment }
            if overlay.gateway == nil { return .segmentOnly }
        }
        // An address of 169.254.0.0/16 a host may have given to itself; a prefix of these somebody has declared.
        guard let prefix = route.prefix, prefix.isRoutable || !route.isMACIP && canRoute(prefix) else {
            return .unusablePrefix
        }
        if !route.isMACIP, let gateway = overlay?.gateway {
            return Self.isUsable(gateway) && gateway.isV6 == prefix.address.isV6 ? nil : .unusableGateway
        }
        if route.routedLabel == 0 { return .invalidVNI }
        guard let mac = attributes[route.attributes].routerMAC else { return .noRouterMAC }
        return mac.isUsableByHost ? nil : .unusableRouterMAC
    }

    /// The way of an earlier route with the same attributes and label.
    private func knownWay(_ route: RemoteRoute, _ table: Slot) -> Slot? {
        guard let mac = attributes[route.attributes].routerMAC else { return nil }
        let label = route.routedLabel
        for use in attributes[route.attributes].ways where use.label == label && use.table == table {
            let key = RemoteWay.Key(
                through: use.through, vtep: attributes[route.attributes].vtep, mac: mac.rawValue, label: label)
            return use.way < ways.end && ways[use.way].hasKey(key) ? use.way : nil
        }
        return nil
    }

    /// How many labels are remembered for one attribute set.
    private static let maximumWayUses = 8

    private mutating func link(_ slot: Slot, _ place: Place) {
        switch place.target {
        case .gateway(let ip):
            let key = Gateway.Key(table: place.table, ip: ip)
            let gateway = gatewaySlots[key] ?? gateways.insert(Gateway(key: key))
            gatewaySlots[key] = gateway
            if gateways[gateway].imports.isEmpty { touch(gateway: gateway) }
            linkRouted(route: slot, table: place.table, way: gateway, isThroughGateway: true)
        case .way(let key):
            let way: Slot
            if let found = ways.find(key) {
                way = found
            } else {
                way = ways.insert(RemoteWay(key: key))
                vteps[key.vtep].references += 1
            }
            let record = routes[slot].attributes
            attributes[record].ways.removeAll { $0.label == key.label && $0.table == place.table }
            if attributes[record].ways.count < Self.maximumWayUses {
                attributes[record].ways.append(
                    WayUse(label: key.label, table: place.table, through: key.through, way: way))
            }
            linkRouted(route: slot, table: place.table, way: way, isThroughGateway: false)
        }
    }

    /// Why a route that is imported elsewhere is not in one IP-VRF; nil: there is no reason but its targets.
    func reasonNotToRoute(_ slot: Slot, in table: Slot) -> IgnoredReason? {
        guard attributes[routes[slot].attributes].tables.contains(table) else { return nil }
        return place(slot, routes[slot], in: table).reason
    }

    private func place(_ slot: Slot, _ route: RemoteRoute, in table: Slot) -> (place: Place?, reason: IgnoredReason?) {
        if !route.isMACIP, let gateway = overlays.isEmpty ? nil : overlays[slot]?.gateway {
            return (Place(table: table, target: .gateway(gateway)), nil)
        }
        guard let label = VNI(route.routedLabel), let mac = attributes[route.attributes].routerMAC else {
            return (nil, .invalidVNI)
        }
        let through: VNI
        if let vrf = vrfByVNI[label], vrfs[Int(vrf)]?.evi != nil {
            return (nil, .layer2VNI)
        } else if tableByVNI[label] != nil {
            through = label
        } else if let own = tables[Int(table)]?.vni, tableByVNI[own] == table {
            // Their VNI, our devices (downstream-assigned VNI, RFC 8365 §5.1.3).
            through = own
        } else {
            return (nil, .unknownL3VNI)
        }
        let vtep = attributes[route.attributes].vtep
        if let vrf = vrfByVNI[through], vtep.exists, !reaches(vrf, vteps[vtep].address) {
            return (nil, .nextHopFamily)
        }
        let key = RemoteWay.Key(
            through: through.rawValue, vtep: vtep, mac: mac.rawValue, label: label.rawValue)
        return (Place(table: table, target: .way(key)), nil)
    }

    /// Where a route is now, in the order of `ImportedAttributes.tables`.
    private func placesOf(_ route: RemoteRoute) -> [Place] {
        var places: [Place] = []
        var link = route.routed
        while link.exists {
            let item = routedImports[link]
            places.append(
                Place(
                    table: item.table,
                    target: item.isThroughGateway
                        ? .gateway(gateways[item.way].key.ip) : .way(ways[item.way].key)))
            link = item.sibling
        }
        // Chained in front, hence in reverse.
        return places.reversed()
    }

    private mutating func linkRouted(route slot: Slot, table: Slot, way: Slot, isThroughGateway: Bool) {
        let key = routes[slot].entryKey(table)
        let entry = prefixes.find(key) ?? prefixes.insert(PrefixEntry(key: key))
        let head = prefixes[entry].imports
        let link = routedImports.insert(
            RoutedImport(
                route: slot, table: table, entry: entry, way: way, isThroughGateway: isThroughGateway,
                sibling: routes[slot].routed, next: head))
        if head.exists { routedImports[head].previous = link }
        prefixes[entry].imports = link
        routes[slot].routed = link
        touch(prefix: entry)
        if isThroughGateway {
            gateways[way].imports.insert(link)
        } else {
            ways[way].references += 1
            if ways[way].references == 1 || ways[way].isContested { enroll(way) }
        }
    }

    /// Takes a route out of every IP-VRF.
    mutating func unlinkRouted(route slot: Slot) {
        var link = routes[slot].routed
        guard link.exists else { return }
        routes[slot].routed = .none
        while link.exists {
            let item = routedImports[link]
            if item.next.exists { routedImports[item.next].previous = item.previous }
            if item.previous.exists {
                routedImports[item.previous].next = item.next
            } else {
                prefixes[item.entry].imports = item.next
            }
            touch(prefix: item.entry)
            if item.isThroughGateway {
                gateways[item.way].imports.remove(link)
                if gateways[item.way].imports.isEmpty { touch(gateway: item.way) }
            } else {
                ways[item.way].references -= 1
                if ways[item.way].references == 0 || ways[item.way].isContested { touch(router: item.way) }
            }
            routedImports.remove(link)
            link = item.sibling
        }
    }

    // MARK: Rows to look at again

    mutating func touch(prefix slot: Slot) {
        guard !prefixes[slot].isDirty else { return }
        prefixes[slot].isDirty = true
        dirtyPrefixes.append(slot)
    }
    mutating func touch(gateway slot: Slot) {
        guard !gateways[slot].isDirty else { return }
        gateways[slot].isDirty = true
        dirtyGateways.append(slot)
    }
    mutating func touch(router way: Slot) {
        guard let through = VNI(ways[way].through) else { return }
        dirtyRouters.insert(RouterKey(through: through, vtep: ways[way].vtep))
    }
    /// The row of a prefix of an IP-VRF, if it is there.
    mutating func touch(prefix key: PrefixEntry.Key) {
        if let slot = prefixes.find(key) { touch(prefix: slot) }
    }
}
