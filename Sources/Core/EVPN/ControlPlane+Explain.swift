// Read-only views for operators, the speaker's and the dataplane's resync, and tests.

import BGP
public import NetTypes

extension ControlPlane {
    // MARK: Whole tables

    /// The whole desired forwarding state: floods, MACs, neighbors, prefixes, each sorted by key.
    public func forwardingState() -> [ForwardingChange] {
        var floodRows: [(FloodKey, FloodMember)] = []
        for slot in floods.slots {
            let row = floods[slot]
            guard let key = floodKey(row), let vni = VNI(row.vni) else { continue }
            floodRows.append((key, FloodMember(vni: vni)))
        }
        var macRows: [(MACKey, RemoteMAC)] = []
        macRows.reserveCapacity(macs.count)
        for slot in macs.slots {
            guard let row = remoteMAC(macs[slot]), let vni = vni(macs[slot].vrf) else { continue }
            macRows.append((MACKey(vni: vni, mac: macs[slot].mac), row))
        }
        for (key, router) in routerMACs { if let row = router.installed { macRows.append((key, row)) } }
        var neighborRows: [(NeighborKey, RemoteNeighbor)] = []
        for slot in addresses.slots {
            guard let row = addresses[slot].installed, let vni = vni(addresses[slot].vrf) else { continue }
            neighborRows.append((NeighborKey(vni: vni, ip: addresses[slot].ip), row))
        }
        neighborRows += routerNeighbors()
        let prefixRows = prefixes.slots.compactMap { prefixRow($0) }
        var result: [ForwardingChange] = []
        result.reserveCapacity(floodRows.count + macRows.count + neighborRows.count)
        for (key, row) in floodRows.sorted(by: { $0.0 < $1.0 }) { result.append(.flood(key, row)) }
        for (key, row) in macRows.sorted(by: { $0.0 < $1.0 }) { result.append(.mac(key, row)) }
        for (key, row) in neighborRows.sorted(by: { $0.0 < $1.0 }) { result.append(.neighbor(key, row)) }
        for (key, row) in prefixRows.sorted(by: { $0.0 < $1.0 }) { result.append(.prefix(key, row)) }
        return result
    }

    /// All routes of our own, sorted by key.
    public func advertisements() -> [AdvertisementChange] {
        exported.sorted { $0.key < $1.key }.map { AdvertisementChange(key: $0.key, route: $0.value) }
    }

    /// What is wanted for one key; nil: no row.
    public func wanted(_ key: ForwardingKey) -> ForwardingChange? {
        switch key {
        case .flood(let key):
            guard let vrf = vrfByVNI[key.vni], let vtep = vtepSlots[key.vtep],
                let slot = floods.find(FloodEntry.Key(vrf: vrf, vtep: vtep)), let vni = VNI(floods[slot].vni)
            else { return nil }
            return .flood(key, FloodMember(vni: vni))
        case .mac(let key):
            if let router = routerMACs[key]?.installed { return .mac(key, router) }
            guard let slot = macSlot(key), let row = remoteMAC(macs[slot]) else { return nil }
            return .mac(key, row)
        case .neighbor(let key):
            if let router = routerNeighbor(key) { return .neighbor(key, router) }
            guard let vrf = vrfByVNI[key.vni], let slot = addresses.find(AddressEntry.Key(vrf: vrf, key.ip)),
                let row = addresses[slot].installed
            else { return nil }
            return .neighbor(key, row)
        case .prefix(let key):
            guard let table = tableByName[key.vrf], let slot = prefixes.find(PrefixEntry.Key(table, key.prefix)),
                let row = prefixRow(slot)
            else { return nil }
            return .prefix(key, row.1)
        }
    }

    /// How many rows the tables hold, for metrics.
    public var counts: Counts {
        var counts = Counts()
        counts.remoteRoutes = routes.count
        counts.advertisements = exported.count
        for vrf in vrfs {
            guard let vrf else { continue }
            counts.evis += vrf.evi == nil ? 0 : 1
            counts.localMACs += vrf.locals.count
            counts.remoteMACs += vrf.remoteMACs
            counts.remoteNeighbors += vrf.remoteNeighbors
            counts.floods += vrf.floods
        }
        for table in tables {
            guard let table else { continue }
            counts.vrfs += table.vrf == nil ? 0 : 1
            counts.localPrefixes += table.locals.count
            counts.remotePrefixes += table.remotePrefixes
        }
        counts.routers = routers.values.count { $0.neighbor != nil }
        return counts
    }
    public struct Counts: Hashable, Sendable {
        public var evis = 0
        /// Type 2, 3 and 5 routes of others, imported or not.
        public var remoteRoutes = 0
        public var advertisements = 0
        public var localMACs = 0
        public var remoteMACs = 0
        public var remoteNeighbors = 0
        public var floods = 0
        public var vrfs = 0
        /// Routes of VRF tables that are not evpnd's.
        public var localPrefixes = 0
        /// Prefixes in force, those of other VRFs included.
        public var remotePrefixes = 0
        /// Routers behind L3 VNIs.
        public var routers = 0
        public init() {}
    }

    // MARK: show

    public func vniRows() -> [VNIRow] { vrfByVNI.keys.sorted().compactMap { vniRow($0) } }

    private func vniRow(_ vni: VNI) -> VNIRow? {
        guard let slot = vrfByVNI[vni], let vrf = vrfs[Int(slot)], let evi = vrf.evi else { return nil }
        // The kernel may still have an old local entry of a MAC that is remote now.
        let held = vrf.locals.keys.count { mac in
            macs.find(MACEntry.Key(vrf: slot, mac: mac.rawValue)).map { macs[$0].owner == .local } ?? false
        }
        return VNIRow(
            vni: vni, rd: evi.rd, importTargets: evi.importTargets, exportTargets: evi.exportTargets,
            domain: vrf.domain, localMACs: held, remoteMACs: vrf.remoteMACs,
            localNeighbors: vrf.neighbors.count, remoteNeighbors: vrf.remoteNeighbors, remoteVTEPs: vrf.floods,
            frozenMACs: vrf.mobility.values.count { $0.frozenSince != nil }, signalling: evi.signalling)
    }

    /// The VNIs in which a MAC is frozen as a duplicate, also while nobody holds it.
    public func frozenVNIs(of mac: MACAddress) -> [VNI] {
        vrfs.compactMap { vrf in vrf?.mobility[mac]?.frozenSince == nil ? nil : vrf?.vni }.sorted()
    }

    /// Of one VNI, or of all: every MAC that somebody holds, sorted.
    public func macRows(vni wanted: VNI? = nil) -> [MACRow] {
        var only: Slot?
        if let wanted {
            guard let slot = vrfByVNI[wanted] else { return [] }
            only = slot
        }
        var rows: [MACRow] = []
        for slot in macs.slots {
            let entry = macs[slot]
            if let only, entry.vrf != only { continue }
            guard let vrf = vrfs[Int(entry.vrf)], let place = place(entry) else { continue }
            let key = MACKey(vni: vrf.vni, mac: entry.mac)
            let isFrozen = entry.hasMobility && vrf.mobility[entry.mac]?.frozenSince != nil
            if entry.owner == .local, let claim = vrf.locals[entry.mac] {
                rows.append(
                    MACRow(
                        key: key, place: place, remoteVNI: nil, sequence: claim.sequence, isSticky: claim.isSticky,
                        isGateway: claim.isGateway, isFrozen: isFrozen))
            } else {
                let best = bestImport(of: entry)
                guard best.exists else { continue }
                let shared = attributes[routes[imports[best].route].attributes]
                rows.append(
                    MACRow(
                        key: key, place: place, remoteVNI: VNI(entry.vni), sequence: shared.sequence,
                        isSticky: shared.isSticky, isGateway: shared.isGateway, isFrozen: isFrozen))
            }
        }
        return rows.sorted { $0.key < $1.key }
    }

    /// Remote VTEPs that something is forwarded to, sorted.
    public func vtepRows() -> [VTEPRow] {
        vtepSlots.sorted { $0.key < $1.key }.compactMap { address, slot in
            let record = vteps[slot]
            guard record.macs > 0 || record.floods > 0 || record.routers > 0 else { return nil }
            return VTEPRow(vtep: address, macs: record.macs, floods: record.floods, routers: record.routers)
        }
    }

    // MARK: explain

    public func explain(mac key: MACKey) -> MACExplanation {
        let index = vrfByVNI[key.vni]
        let vrf = index.flatMap { vrfs[Int($0)] }
        let claim = vrf?.locals[key.mac]
        let memory = vrf?.mobility[key.mac]
        var result = MACExplanation(
            key: key, isConfigured: vrf?.evi != nil, domain: vrf?.domain, local: claim?.learned,
            configured: claim?.configured, localSequence: claim?.sequence, candidates: [], ignored: [], owner: nil,
            because: "nobody announces it and it is not here", frozenSince: memory?.frozenSince,
            moves: memory?.moves ?? 0, forwarding: nil, localAddresses: vrf?.addresses[key.mac] ?? [], advertised: [])
        result.advertised = exported.keys.filter {
            $0.kind == .macIP && $0.mac == key.mac && $0.rd == vrf?.evi?.rd
        }.sorted()

        var used: Set<Slot> = []
        if let slot = macSlot(key) {
            let entry = macs[slot]
            result.owner = place(entry)
            result.forwarding = remoteMAC(entry)
            var chain: [Slot] = []
            var link = entry.imports
            while link.exists {
                chain.append(link)
                used.insert(imports[link].route)
                link = imports[link].next
            }
            chain.sort {
                isBetter($0, than: $1)
                    || (!isBetter($1, than: $0)
                        && routes[imports[$0].route].routeKey < routes[imports[$1].route].routeKey)
            }
            for (position, link) in chain.enumerated() {
                var verdict = verdict(imports[link].route)
                if position > 0 {
                    verdict.outcome = .notChosen(because: reason(link, lostTo: chain[0]))
                } else if entry.owner == .remote {
                    verdict.outcome = .chosen
                } else if let claim, let vrf {
                    let shared = attributes[routes[imports[link].route].attributes]
                    let because = winner(claim, vtep: vrf.vtep, remote: shared)
                    verdict.outcome = .notChosen(
                        because: because.owner == .local ? because.because : "the MAC is frozen as a duplicate")
                }
                result.candidates.append(verdict)
            }
            result.because = because(entry, claim, chain.first, isFrozen: memory?.frozenSince != nil, vtep: vrf?.vtep)
        }
        if !result.isConfigured { result.because = "no EVI is configured for VNI \(key.vni)" }
        result.ignored = routes.slots.filter {
            routes[$0].isMACIP && routes[$0].mac == key.mac && !used.contains($0)
        }.map { verdict($0) }.sorted { $0.route < $1.route }
        return result
    }

    private func because(_ entry: MACEntry, _ claim: LocalClaim?, _ best: Slot?, isFrozen: Bool, vtep: IPAddress?)
        -> String
    {
        if isFrozen { return "it is frozen as a duplicate" }
        switch (claim, best) {
        case (let claim?, let best?):
            return winner(claim, vtep: vtep, remote: attributes[routes[imports[best].route].attributes]).because
        case (_?, nil): return "only this host has it"
        case (nil, _?): return "only remote VTEPs have it"
        case (nil, nil): return "nobody announces it and it is not here"
        }
    }

    /// Why import `loser` is worse than `best` for the same MAC.
    private func reason(_ loser: Slot, lostTo best: Slot) -> String {
        let a = attributes[routes[imports[best].route].attributes]
        let b = attributes[routes[imports[loser].route].attributes]
        if a.protection != b.protection { return a.isGateway ? "not a default gateway" : "not sticky" }
        if a.sequence != b.sequence { return "lower sequence number" }
        if a.vtep != b.vtep { return "same sequence number, higher VTEP address" }
        if routes[imports[best].route].label != routes[imports[loser].route].label { return "higher VNI" }
        return "same as the chosen one"
    }

    public func explain(vni: VNI) -> VNIExplanation {
        var result = VNIExplanation(
            row: vniRow(vni), advertised: [], flood: [], members: [], routes: [], problems: [])
        let slot = vrfByVNI[vni]
        let rd = slot.flatMap { vrfs[Int($0)]?.evi?.rd }
        result.advertised = exported.keys.filter { $0.family == .l2vpnEVPN && $0.rd == rd }.sorted()
        if let row = result.row, row.signalling.usesMembership, let vtep = row.domain?.vtep,
            announcedMembers.contains(vtep), let key = Self.memberKey(vtep)
        {
            result.advertised.append(key)
        }
        result.members = slot.map { members(of: $0) } ?? []
        result.flood = floods.slots.compactMap {
            floods[$0].vrf == slot && floods[$0].vni != 0 ? floodKey(floods[$0]) : nil
        }.sorted()
        for route in routes.slots where routes[route].isFlood {
            let shared = attributes[routes[route].attributes]
            let isHere = slot.map { shared.vrfs.contains($0) } ?? false
            if isHere || shared.floodLabel == vni.rawValue { result.routes.append(verdict(route)) }
        }
        result.routes.sort { $0.route < $1.route }
        if result.row == nil {
            result.problems.append("no EVI is configured for VNI \(vni)")
        } else {
            if result.row?.domain == nil {
                result.problems.append("no VXLAN device for VNI \(vni) is up with an address")
            }
            if result.flood.isEmpty {
                result.problems.append(
                    result.row?.signalling == .membership
                        ? "no other host's route carries the community of VNI \(vni)"
                        : "no remote VTEP announces VNI \(vni) with a usable type 3 route")
            }
        }
        return result
    }

    public func explain(vtep: IPAddress) -> VTEPExplanation {
        var result = VTEPExplanation(
            vtep: vtep, row: nil, isOwn: ownVTEPs[vtep] != nil, floods: [], routes: [], importedRoutes: 0,
            ignoredRoutes: [:])
        guard let slot = vtepSlots[vtep] else { return result }
        let record = vteps[slot]
        if record.macs > 0 || record.floods > 0 || record.routers > 0 {
            result.row = VTEPRow(vtep: vtep, macs: record.macs, floods: record.floods, routers: record.routers)
        }
        result.floods = floods.slots.compactMap {
            floods[$0].vtep == slot && floods[$0].vni != 0 ? vni(floods[$0].vrf) : nil
        }.sorted()
        for route in routes.slots {
            let shared = attributes[routes[route].attributes]
            guard shared.vtep == slot || (routes[route].isFlood && shared.floodVTEP == slot) else { continue }
            if let reason = routes[route].reason {
                result.ignoredRoutes[reason, default: 0] += 1
            } else {
                result.importedRoutes += 1
            }
            if routes[route].isFlood { result.routes.append(verdict(route)) }
        }
        result.routes.sort { $0.route < $1.route }
        return result
    }

    // MARK: Pieces

    private func vni(_ vrf: Slot) -> VNI? { vrfs[Int(vrf)]?.vni }
    private func macSlot(_ key: MACKey) -> Slot? {
        vrfByVNI[key.vni].flatMap { macs.find(MACEntry.Key(vrf: $0, mac: key.mac.rawValue)) }
    }
    private func floodKey(_ entry: FloodEntry) -> FloodKey? {
        vni(entry.vrf).map { FloodKey(vni: $0, vtep: vteps[entry.vtep].address) }
    }
    private func remoteMAC(_ entry: MACEntry) -> RemoteMAC? {
        guard entry.vtep.exists, let vni = VNI(entry.vni) else { return nil }
        return RemoteMAC(vtep: vteps[entry.vtep].address, vni: vni, isSticky: entry.isSticky)
    }
    private func place(_ entry: MACEntry) -> MACPlace? {
        switch entry.owner {
        case .nobody: nil
        case .local: .local(port: vrfs[Int(entry.vrf)]?.locals[entry.mac]?.port ?? "")
        case .remote: remoteMAC(entry).map { .remote(vtep: $0.vtep) }
        }
    }
    func verdict(_ slot: Slot) -> RouteVerdict {
        let route = routes[slot]
        let shared = attributes[route.attributes]
        let vtep = route.isFlood && shared.floodVTEP.exists ? shared.floodVTEP : shared.vtep
        return RouteVerdict(
            route: route.routeKey, vtep: vtep.exists ? vteps[vtep].address : nil,
            label: route.isFlood ? shared.floodLabel : route.label, sequence: shared.sequence,
            isSticky: shared.isSticky, isGateway: shared.isGateway,
            routeTargets: shared.set?.attributes.routeTargets ?? [],
            outcome: route.reason.map { .ignored($0) } ?? .chosen)
    }
}

extension ControlPlane {
    /// Rows in the tables inside, for tests of leaks: what is left when nothing should be.
    package struct Storage: Equatable, Sendable {
        package var rows: [Int]
        package var isEmpty: Bool { rows.allSatisfy { $0 == 0 } }
    }
    package var storage: Storage {
        Storage(rows: [
            routes.count, attributes.count, attributeSlots.count, vteps.count, vtepSlots.count, imports.count,
            macs.count,
            addresses.count, floods.count, exported.count, vrfs.count, vrfByVNI.count, ownVTEPs.count, importers.count,
            automaticImporters.count, memberRoutes.count, memberMarks.count, largeMemberMarks.count,
            announcedMembers.count, memberOmissions.count, tables.count, tableByName.count, tableByVNI.count,
            tableImporters.count, automaticTableImporters.count, tableOfVRF.count, prefixes.count, ways.count,
            routedImports.count, groups.count, groupSlots.count, routers.count, routerMACs.count, overlays.count,
            gateways.count, gatewaySlots.count, refusedRouters.count,
        ])
    }
}
