// Read-only views of layer 3 for operators, resync and tests.

import BGP
public import NetTypes

extension ControlPlane {
    // MARK: Rows in force

    func prefixRow(_ slot: Slot) -> (PrefixKey, RemotePrefix)? {
        let entry = prefixes[slot]
        guard entry.group.exists, let name = tables[Int(entry.table)]?.name, let prefix = entry.prefix else {
            return nil
        }
        return (PrefixKey(vrf: name, prefix: prefix), RemotePrefix(nexthops: groups[entry.group].nexthops))
    }

    func routerNeighbors() -> [(NeighborKey, RemoteNeighbor)] {
        var rows: [(NeighborKey, RemoteNeighbor)] = []
        for (key, router) in routers {
            guard let mac = router.neighbor else { continue }
            for ip in RouterNeighbor.addresses(of: vteps[key.vtep].address) {
                rows.append((NeighborKey(vni: key.through, ip: ip), RemoteNeighbor(mac: mac, isRouter: true)))
            }
        }
        return rows
    }

    func routerNeighbor(_ key: NeighborKey) -> RemoteNeighbor? {
        let router = routers.first { router in
            router.key.through == key.vni
                && RouterNeighbor.addresses(of: vteps[router.key.vtep].address).contains(key.ip)
        }
        return router?.value.neighbor.map { RemoteNeighbor(mac: $0, isRouter: true) }
    }

    // MARK: show

    /// The configured IP-VRFs, by name.
    public func vrfRows() -> [VRFRow] { tableByName.keys.sorted().compactMap { vrfRow($0) } }

    public func vrfRow(_ name: String) -> VRFRow? {
        guard let slot = tableByName[name], let table = tables[Int(slot)], let vrf = table.vrf else { return nil }
        return VRFRow(
            name: name, place: vrf.place, vni: vrf.vni, rd: vrf.rd, importTargets: vrf.importTargets,
            exportTargets: vrf.exportTargets, domain: transit(of: slot)?.domain,
            vnis: table.macVRFs.map { vnis[Int($0)] }, localPrefixes: table.locals.count,
            announcedPrefixes: table.announced.count, remotePrefixes: table.remotePrefixes,
            localHosts: table.hosts.count, routerConflicts: table.vni.map { routerConflicts($0) } ?? [])
    }
    private func routerConflicts(_ through: VNI) -> [RouterConflict] {
        (refusedRouters[through] ?? []).compactMap { vtep -> RouterConflict? in
            let loser = vteps[vtep].address
            guard let router = routers[RouterKey(through: through, vtep: vtep)] else { return nil }
            if router.hasOwnMAC, let mac = router.ways.lazy.filter({ isOwn(way: $0) }).map({ ways[$0].mac }).first {
                return RouterConflict(mac: mac, winner: .local(port: "layer-3 interface"), loser: loser)
            }
            guard router.chosen.exists else { return nil }
            let mac = ways[router.chosen].mac
            guard let winner = routerMACs[MACKey(vni: through, mac: mac)]?.installed?.vtep else { return nil }
            return RouterConflict(mac: mac, winner: .remote(vtep: winner), loser: loser)
        }.sorted { $0.loser < $1.loser }
    }

    /// What is known in one IP-VRF: routes of its table, hosts of this VTEP, prefixes in force, and those that are announced in any case;
    /// sorted. `limit`: rows on each of the pages that are put together.
    public func prefixRows(vrf name: String, limit: Int = 10_000) -> [PrefixRow] {
        var page = prefixPage(vrf: name, limit: limit)
        var rows = page.rows
        while let next = page.next {
            page = prefixPage(vrf: name, after: next, limit: limit)
            rows += page.rows
        }
        return rows
    }
    /// The first `limit` (at least 1) rows after a prefix.
    public func prefixPage(vrf name: String, after: IPPrefix? = nil, limit: Int = 1000) -> PrefixPage {
        guard let slot = tableByName[name], let table = tables[Int(slot)] else { return PrefixPage(rows: []) }
        let limit = max(1, limit)
        // The smallest `limit + 1` keys, found without sorting the whole table.
        var keys: [IPPrefix] = []
        var ceiling: IPPrefix?
        func trim() {
            keys.sort()
            var last: IPPrefix?
            keys.removeAll { key in
                defer { last = key }
                return key == last
            }
            if keys.count > limit + 1 { keys.removeSubrange((limit + 1)...) }
            if keys.count > limit { ceiling = keys.last }
        }
        func take(_ key: IPPrefix) {
            if let after, !(after < key) { return }
            if let ceiling, !(key < ceiling) { return }
            keys.append(key)
            if keys.count >= 4 * limit + 64 { trim() }
        }
        for key in table.locals.keys { take(key) }
        for ip in table.hosts.keys { if let key = IPPrefix(ip, length: ip.bitWidth) { take(key) } }
        for key in table.vrf?.announced.prefixes ?? [] { take(key) }
        for row in 0..<prefixes.end where prefixes[row].table == slot && prefixes[row].group.exists {
            if let key = prefixes[row].prefix { take(key) }
        }
        trim()
        let hasMore = keys.count > limit
        if hasMore { keys.removeLast() }
        return PrefixPage(rows: keys.compactMap { prefixRow(slot, table, $0) }, next: hasMore ? keys.last : nil)
    }

    private func prefixRow(_ slot: Slot, _ table: IPVRFTable, _ prefix: IPPrefix) -> PrefixRow? {
        let key = PrefixKey(vrf: table.name, prefix: prefix)
        if let local = table.locals[prefix] {
            return PrefixRow(key: key, source: .local(local), nexthops: [], routes: [])
        }
        if prefix.length == prefix.address.bitWidth, let vnis = table.hosts[prefix.address] {
            return PrefixRow(key: key, source: .host(vnis), nexthops: [], routes: [])
        }
        guard let row = prefixes.find(PrefixEntry.Key(slot, prefix)), prefixes[row].group.exists else {
            guard table.vrf?.announced.prefixes.contains(prefix) == true else { return nil }
            return PrefixRow(key: key, source: .announced, nexthops: [], routes: [])
        }
        let entry = prefixes[row]
        let nexthops = groups[entry.group].nexthops
        let assigned = assignedVNIs(nexthops)
        if entry.isLeaked {
            let source = localSource(of: entry) ?? remoteSource(of: entry).map { prefixes[$0].table }
            let name = source.flatMap { tables[Int($0)]?.name } ?? ""
            return PrefixRow(
                key: key, source: .leaked(from: name), nexthops: nexthops, routes: [], assignedVNIs: assigned)
        }
        let chosen = chosenImports(of: entry).filter { !Set(self.nexthops(of: $0)).isDisjoint(with: nexthops) }
            .map { routes[routedImports[$0].route] }
        return PrefixRow(
            key: key, source: chosen.first?.isMACIP == true ? .macIP : .ipPrefix, nexthops: nexthops,
            routes: chosen.map(\.routeKey).sorted(), assignedVNIs: assigned)
    }
    private func assignedVNIs(_ nexthops: [RoutedNexthop]) -> [IPAddress: VNI] {
        var found: [IPAddress: VNI] = [:]
        for case .router(let address, let through) in nexthops {
            guard let vtep = vtepSlots[address], let router = routers[RouterKey(through: through, vtep: vtep)],
                router.chosen.exists, ways[router.chosen].label != through.rawValue
            else { continue }
            found[address] = VNI(ways[router.chosen].label)
        }
        return found
    }

    /// The subnets of this host in an IP-VRF, sorted.
    public func connectedPrefixes(vrf name: String) -> [(prefix: IPPrefix, interface: String)] {
        (tableByName[name].flatMap { tables[Int($0)] }?.locals ?? [:]).filter(\.value.isConnected)
            .map { ($0.key, $0.value.interface) }.sorted { $0.prefix < $1.prefix }
    }
    /// Whether a type 5 route of our own is out.
    public func isAnnounced(_ key: PrefixKey) -> Bool {
        tableByName[key.vrf].flatMap { tables[Int($0)] }?.announced.contains(key.prefix) ?? false
    }

    // MARK: explain

    /// Everything that is known of the prefix in an IP-VRF that an address is routed by; without one, of that address alone. In both cases
    /// with the routes to longer prefixes that would have it and are not imported.
    public func explain(ip: IPAddress, vrf name: String) -> PrefixExplanation? {
        let table = tableByName[name].flatMap { tables[Int($0)] }
        for length in stride(from: ip.bitWidth, through: 0, by: -1) {
            guard let prefix = IPPrefix(ip, length: length), let slot = tableByName[name], let table else { break }
            guard let row = prefixRow(slot, table, prefix), row.source != .announced else { continue }
            return explain(PrefixKey(vrf: name, prefix: prefix), of: ip)
        }
        return IPPrefix(ip, length: ip.bitWidth).map { explain(PrefixKey(vrf: name, prefix: $0), of: ip) }
    }

    public func explain(_ key: PrefixKey) -> PrefixExplanation { explain(key, of: nil) }

    private func explain(_ key: PrefixKey, of ip: IPAddress?) -> PrefixExplanation {
        let slot = tableByName[key.vrf]
        let table = slot.flatMap { tables[Int($0)] }
        var result = PrefixExplanation(
            key: key, isConfigured: table?.vrf != nil, row: nil, because: "nobody announces it and it is not here",
            candidates: [], ignored: [], advertised: [], problems: [])
        result.advertised = exported.keys.filter {
            ($0.kind == .ipPrefix && $0.prefix == key.prefix && $0.rd == table?.vrf?.rd)
                || ($0.kind == .macIP && $0.address.map { IPPrefix($0, length: $0.bitWidth) } == key.prefix
                    && isExporter($0.rd, table))
        }.sorted()
        var used: Set<Slot> = []
        if let slot, let table {
            result.row = prefixRow(slot, table, key.prefix)
            if let row = prefixes.find(PrefixEntry.Key(slot, key.prefix)) {
                result.candidates = candidates(prefixes[row], &used, result.row)
                result.problems += otherRouters(prefixes[row])
            }
            result.because = because(result.row, result.candidates)
            if table.vrf?.vni != nil, transit(of: slot) == nil {
                result.problems.append("the L3 VNI has no device that is up with a VTEP address and a router MAC")
            }
            let host = ip ?? (key.prefix.length == key.prefix.address.bitWidth ? key.prefix.address : nil)
            if let host, let subnet = table.subnetEnds[host] {
                result.problems.append(
                    "\(host) is the network or broadcast address of \(subnet), a subnet of this host: whoever announces such a host, there is none"
                )
            }
            if let ip = table.refused[key.prefix] {
                result.problems.append(
                    "what others have for \(key.prefix) is kept out: it would lead the underlay's packets to \(ip) elsewhere"
                )
            }
            if key.prefix.length == key.prefix.address.bitWidth {
                result.problems += table.macVRFs.compactMap { dispute($0, key.prefix.address)?.text }
            }
            for vrf in table.macVRFs {
                guard let host, let entry = addresses.find(AddressEntry.Key(vrf: vrf, host)), addresses[entry].isHere,
                    let mac = vrfs[Int(vrf)]?.neighbors[host]?.mac, !host.isLinkLocal, !isRoutable(host, in: vrf)
                else { continue }
                result.problems.append(
                    "\(mac) in VNI \(vnis[Int(vrf)]) says to have \(host), which no subnet of the interface there has room for: announced without the L3 VNI, and not routed"
                )
            }
            for vrf in table.macVRFs {
                guard let here = vrfs[Int(vrf)]?.domain?.vtep, let there = vrfs[Int(vrf)]?.differingTransit else {
                    continue
                }
                result.problems.append(
                    "VNI \(vnis[Int(vrf)]) has VTEP address \(here), the L3 VNI \(there.vni) has \(there.vtep): its hosts are not announced with the L3 VNI"
                )
            }
            for (vtep, vni) in (result.row?.assignedVNIs ?? [:]).sorted(by: { $0.key < $1.key }) {
                result.problems.append(
                    "packets to \(vtep) are sent with VNI \(vni), no L3 VNI of this host: taken as assigned by that VTEP"
                )
            }
        }
        if !result.isConfigured { result.because = "no IP-VRF \(key.vrf) is configured" }
        result.ignored = routes.slots.filter {
            guard routes[$0].hasAddress, !routes[$0].isFlood, !used.contains($0), let prefix = routes[$0].prefix,
                routes[$0].isPrefix || routes[$0].label2 != 0
            else { return false }
            if prefix == key.prefix { return true }
            return ip.map { prefix.contains($0) && (result.row == nil || prefix.length > key.prefix.length) } ?? false
        }.map { route in
            var verdict = routedVerdict(route)
            // Another IP-VRF may have imported it.
            if case .chosen = verdict.outcome {
                verdict.outcome = .ignored(slot.flatMap { reasonNotToRoute(route, in: $0) } ?? .noMatchingTarget)
                if ip.map({ table?.subnetEnds[$0] != nil && routes[route].prefix?.length == $0.bitWidth }) == true {
                    verdict.outcome = .notChosen(because: ControlPlane.endOfSubnet)
                } else if let item = routedImport(of: route, in: slot), let reason = misplacement(item) {
                    verdict.outcome = .notChosen(because: reason)
                }
            }
            return verdict
        }.sorted { (-Int($0.route.length), $0.route) < (-Int($1.route.length), $1.route) }
        return result
    }

    /// Addresses that a host here and one behind another VTEP have, by VNI and address.
    public func disputedAddresses() -> [DisputedAddress] {
        vrfByVNI.keys.sorted().flatMap { vni -> [DisputedAddress] in
            guard let slot = vrfByVNI[vni], let vrf = vrfs[Int(slot)] else { return [] }
            return vrf.neighbors.filter(\.value.isDisputed).keys.sorted().compactMap { dispute(slot, $0) }
        }
    }
    private func dispute(_ vrf: Slot, _ ip: IPAddress) -> DisputedAddress? {
        guard let known = vrfs[Int(vrf)], let local = known.neighbors[ip], local.isDisputed, let here = local.mac,
            let slot = addresses.find(AddressEntry.Key(vrf: vrf, ip))
        else { return nil }
        let best = bestBinding(of: addresses[slot])
        guard best.exists else { return nil }
        let route = routes[imports[best].route]
        return DisputedAddress(
            vni: known.vni, ip: ip, here: here, there: route.mac, vtep: vteps[attributes[route.attributes].vtep].address
        )
    }

    private func misplacement(_ item: RoutedImport) -> String? {
        guard isMisplaced(item), let ip = routes[item.route].address,
            let interface = tables[Int(item.table)]?.subnets.interface(with: ip)
        else { return nil }
        return "its subnet is on \(interface) here, which is not VNI \(routes[item.route].label)"
    }
    private func routedImport(of route: Slot, in table: Slot?) -> RoutedImport? {
        var link = routes[route].routed
        while link.exists {
            if routedImports[link].table == table { return routedImports[link] }
            link = routedImports[link].sibling
        }
        return nil
    }

    private static let endOfSubnet = "the network or broadcast address of a subnet of this host"

    private func isExporter(_ rd: RouteDistinguisher, _ table: IPVRFTable?) -> Bool {
        table?.macVRFs.contains { vrfs[Int($0)]?.evi?.rd == rd } ?? false
    }

    private func because(_ row: PrefixRow?, _ candidates: [RouteVerdict]) -> String {
        switch row?.source {
        case .local(let local)?:
            if local.isDropped { return "a route of the table drops what goes there" }
            return local.isConnected ? "a subnet of this host" : "a route of the table"
        case .host?: return "the host is here"
        case .leaked(let vrf)?: return "vrf \(vrf), also of this host, has it"
        case .announced?: return "the configuration has it announced; the table itself has no such route"
        case .macIP?, .ipPrefix?: return "the best of \(candidates.count) imported"
        case nil:
            return candidates.isEmpty ? "nobody announces it and it is not here" : "no imported route can be used"
        }
    }

    /// The imports of a prefix with what became of them, best first.
    private func candidates(_ entry: PrefixEntry, _ used: inout Set<Slot>, _ row: PrefixRow?) -> [RouteVerdict] {
        let chosen = chosenImports(of: entry)
        let isInForce = row?.source == .macIP || row?.source == .ipPrefix
        var verdicts: [(Int, RouteVerdict)] = []
        var link = entry.imports
        while link.exists {
            let item = routedImports[link]
            used.insert(item.route)
            var verdict = routedVerdict(item.route)
            if !item.isThroughGateway { verdict.through = VNI(ways[item.way].through) }
            var rank = 0
            if chosen.contains(link) {
                let isEnd = subnetWithEnd(entry) != nil
                verdict.outcome =
                    isInForce
                    ? .chosen
                    : .notChosen(
                        because: isEnd ? ControlPlane.endOfSubnet : "this host has the prefix itself")
                if case .leaked(let vrf)? = row?.source {
                    verdict.outcome = .notChosen(because: "\(vrf), also of this host, has it itself")
                }
                if isInForce, Set(nexthops(of: link)).isDisjoint(with: row?.nexthops ?? []) {
                    verdict.outcome = .notChosen(because: "more paths than the IP-VRF may use")
                    rank = 1
                }
            } else {
                rank = nexthops(of: link).isEmpty || !isBelieved(item) ? 3 : 2
                verdict.outcome = .notChosen(because: reason(link, entry, lostTo: chosen.first))
            }
            verdicts.append((rank, verdict))
            link = item.next
        }
        return verdicts.sorted { ($0.0, $0.1.route) < ($1.0, $1.1.route) }.map(\.1)
    }

    /// Why an import is not among the chosen ones.
    private func reason(_ link: Slot, _ entry: PrefixEntry, lostTo best: Slot?) -> String {
        let item = routedImports[link]
        if isStaleBinding(route: item.route) { return "its MAC is here by now" }
        if let reason = misplacement(item) { return reason }
        if item.isThroughGateway, gateways[item.way].nexthops.isEmpty {
            return "no way to the gateway \(gateways[item.way].key.ip)"
        }
        if !item.isThroughGateway, !ways[item.way].isUsable { return reason(way: item.way) }
        guard let best else { return "not usable" }
        if mobilityOrder(best, link) == true {
            let (a, b) = (shared(best), shared(link))
            return a.protection != b.protection
                ? (a.isGateway ? "not a default gateway" : "not sticky") : "lower sequence number"
        }
        // Lost to a type 2 route that is itself not chosen, when the best one is of type 5.
        guard pathOrder(best, link) == true else { return "lower sequence number" }
        let (a, b) = (shared(best).preference, shared(link).preference)
        if a.localPreference != b.localPreference { return "lower LOCAL_PREF" }
        if a.pathLength != b.pathLength { return "longer AS_PATH" }
        if a.origin != b.origin { return "worse ORIGIN" }
        if a.med != b.med { return "higher MED" }
        return "a route of the host itself is preferred"
    }
    private func shared(_ link: Slot) -> ImportedAttributes { attributes[routes[routedImports[link].route].attributes] }

    /// Ways that are used under another MAC address than the routes say.
    private func otherRouters(_ entry: PrefixEntry) -> [String] {
        var found: Set<String> = []
        var link = entry.imports
        while link.exists {
            let item = routedImports[link]
            link = item.next
            guard !item.isThroughGateway, ways[item.way].isUsable, ways[item.way].isContested,
                let through = VNI(ways[item.way].through),
                let chosen = routers[RouterKey(through: through, vtep: ways[item.way].vtep)]?.chosen, chosen != item.way
            else { continue }
            let vtep = vteps[ways[item.way].vtep].address
            found.insert(
                "\(vtep) is used as \(ways[chosen].endpoint), as most of its routes have it, not as \(ways[item.way].endpoint)"
            )
        }
        return found.sorted()
    }

    private func reason(way: Slot) -> String {
        if isOwn(way: way) { return "router MAC \(ways[way].mac) is this host's own" }
        guard let through = VNI(ways[way].through),
            let router = routers[RouterKey(through: through, vtep: ways[way].vtep)], router.chosen.exists
        else { return "not usable" }
        if router.chosen != way { return "the VTEP is known as \(ways[router.chosen].endpoint) in VNI \(through)" }
        let other = routerMACs[MACKey(vni: through, mac: ways[way].mac)]?.installed?.vtep
        return "router MAC \(ways[way].mac) is that of \(other.map { "\($0)" } ?? "another VTEP") in VNI \(through)"
    }

    func routedVerdict(_ slot: Slot) -> RouteVerdict {
        let route = routes[slot]
        var verdict = verdict(slot)
        verdict.label = route.routedLabel
        verdict.routerMAC = attributes[route.attributes].routerMAC
        verdict.gateway = overlays[slot]?.gateway
        verdict.outcome = route.routedReason.map { .ignored($0) } ?? .chosen
        return verdict
    }
}
