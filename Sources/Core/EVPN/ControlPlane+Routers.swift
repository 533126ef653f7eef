// The routers behind L3 VNIs: their MAC addresses in the FDB, and the neighbor entries that stand for their VTEPs. The kernel has
// room for one MAC address of a VTEP, and for one VTEP of a MAC address, in each L3 VNI.

import BGP
import NetTypes

extension ControlPlane {
    /// A way got an import, its first or one that may matter to the choice.
    mutating func enroll(_ way: Slot) {
        guard let through = VNI(ways[way].through) else { return }
        let key = RouterKey(through: through, vtep: ways[way].vtep)
        routers[key, default: Router()].ways.insert(way)
        dirtyRouters.insert(key)
    }

    /// Chooses among the ways to each router that was touched, and puts its rows into force. Returns the removals, which are to be
    /// told after the prefixes that may still use those rows.
    mutating func evaluateRouters() -> [ForwardingChange] {
        guard !dirtyRouters.isEmpty else { return [] }
        var keys: [RouterKey] = []
        // Without order in the set; the tables' numbers differ from run to run too.
        for key in dirtyRouters { keys.append(key) }
        dirtyRouters = []
        keys.sort { ($0.through, vteps[$0.vtep].address) < ($1.through, vteps[$1.vtep].address) }
        var flipped: Set<Slot> = []
        if hasTunnelNexthops {
            for key in keys { open(router: key, &flipped) }
            if !flipped.isEmpty { touchUsers(of: flipped) }
            return []
        }
        var touched: Set<MACKey> = []
        for key in keys { choose(key, &touched) }
        var removed: [ForwardingChange] = []
        var affected: Set<RouterKey> = Set(keys)
        for mac in touched.sorted() { settle(router: mac, &affected, &removed) }
        for key in affected.sorted(by: { ($0.through, vteps[$0.vtep].address) < ($1.through, vteps[$1.vtep].address) })
        {
            install(router: key, &flipped, &removed)
        }
        if !flipped.isEmpty { touchUsers(of: flipped) }
        return removed
    }

    /// Which of a router's ways is to stand for it: its own L3 VNI before another, then what most of its routes say, so that a single
    /// wrong one does no harm, then the lowest MAC address.
    private mutating func choose(_ key: RouterKey, _ touched: inout Set<MACKey>) {
        guard var router = routers[key] else { return }
        let old = router.chosen
        var best = Slot.none
        for way in router.ways where ways[way].references > 0 && !isOwn(way: way) {
            if !best.exists || isBetter(way: way, than: best, key) { best = way }
        }
        router.chosen = best
        let own = router.ways.filter { ways[$0].references > 0 && isOwn(way: $0) }
        if let first = own.first, !router.hasOwnMAC {
            let (here, there) = (
                MACPlace.local(port: "layer-3 interface"), MACPlace.remote(vtep: vteps[key.vtep].address)
            )
            report(.conflict(MACKey(vni: key.through, mac: ways[first].mac), winner: here, loser: there))
        }
        router.hasOwnMAC = !own.isEmpty
        let others = router.ways.filter { ways[$0].references > 0 && $0 != best && !own.contains($0) }
        let other = others.min { isBetter(way: $0, than: $1, key) }
        if let other, !router.hasConflict {
            report(
                .routersDiffer(
                    key.through, vtep: vteps[key.vtep].address, used: ways[best].endpoint, unused: ways[other].endpoint)
            )
        }
        router.hasConflict = other != nil
        routers[key] = router
        let oldMAC = old.exists ? MACKey(vni: key.through, mac: ways[old].mac) : nil
        let newMAC = best.exists ? MACKey(vni: key.through, mac: ways[best].mac) : nil
        if let oldMAC, oldMAC != newMAC {
            routerMACs[oldMAC]?.vteps.remove(key.vtep)
            touched.insert(oldMAC)
        }
        if let newMAC {
            routerMACs[newMAC, default: RouterMAC()].vteps.insert(key.vtep)
            touched.insert(newMAC)
        }
    }
    /// Its MAC address is this host's own router MAC there: an entry of it would take packets to us away from us.
    func isOwn(way: Slot) -> Bool {
        guard let through = VNI(ways[way].through), let vrf = vrfByVNI[through] else { return false }
        return vrfs[Int(vrf)]?.domain?.routerMAC == ways[way].mac
    }
    /// Has all routers of an L3 VNI looked at again.
    mutating func touchRouters(of vni: VNI) {
        for key in routers.keys where key.through == vni { dirtyRouters.insert(key) }
    }
    private func isBetter(way a: Slot, than b: Slot, _ key: RouterKey) -> Bool {
        let isOwnA = ways[a].label == key.through.rawValue
        let isOwnB = ways[b].label == key.through.rawValue
        if isOwnA != isOwnB { return isOwnA }
        if ways[a].references != ways[b].references { return ways[a].references > ways[b].references }
        if ways[a].mac != ways[b].mac { return ways[a].mac < ways[b].mac }
        return ways[a].label < ways[b].label
    }

    /// Gives a MAC address to one of the VTEPs that claim it: to the one that has it, otherwise to the one with the most routes, otherwise
    /// to the lowest address. A route of somebody else takes nothing from a VTEP that is in use.
    private mutating func settle(
        router key: MACKey, _ affected: inout Set<RouterKey>, _ removed: inout [ForwardingChange]
    ) {
        guard var record = routerMACs[key] else { return }
        for vtep in record.vteps { affected.insert(RouterKey(through: key.vni, vtep: vtep)) }
        let (old, winner) = (record.winner, winner(of: key, record))
        record.winner = winner
        var wanted: RemoteMAC?
        if let way = chosenWay(winner, key.vni), let vni = VNI(ways[way].label) {
            wanted = RemoteMAC(vtep: vteps[winner].address, vni: vni)
        }
        let hasConflict = record.vteps.count > 1
        if hasConflict, !record.hasConflict || winner != old {
            let losers = record.vteps.filter { $0 != winner }.map { vteps[$0].address }.sorted()
            if let loser = losers.first {
                report(.conflict(key, winner: .remote(vtep: vteps[winner].address), loser: .remote(vtep: loser)))
            }
        }
        record.hasConflict = hasConflict
        if wanted != record.installed {
            if let wanted {
                output.forwarding.append(.mac(key, wanted))
            } else {
                removed.append(.mac(key, nil))
            }
            record.installed = wanted
        }
        routerMACs[key] = record.vteps.isEmpty ? nil : record
    }

    private func winner(of key: MACKey, _ record: RouterMAC) -> Slot {
        if record.winner.exists, record.vteps.contains(record.winner) { return record.winner }
        return record.vteps.min { a, b in
            let (routesOfA, routesOfB) = (routes(of: a, key.vni), routes(of: b, key.vni))
            if routesOfA != routesOfB { return routesOfA > routesOfB }
            return vteps[a].address < vteps[b].address
        } ?? .none
    }
    /// Of a VTEP that claims a MAC address.
    private func chosenWay(_ vtep: Slot, _ through: VNI) -> Slot? {
        routers[RouterKey(through: through, vtep: vtep)].flatMap { $0.chosen.exists ? $0.chosen : nil }
    }
    private func routes(of vtep: Slot, _ through: VNI) -> UInt32 {
        chosenWay(vtep, through).map { ways[$0].references } ?? 0
    }

    private mutating func install(
        router key: RouterKey, _ flipped: inout Set<Slot>, _ removed: inout [ForwardingChange]
    ) {
        guard var router = routers[key] else { return }
        var usable = router.chosen
        if usable.exists, routerMACs[MACKey(vni: key.through, mac: ways[usable].mac)]?.winner != key.vtep {
            usable = .none
        }
        let mac = usable.exists ? ways[usable].mac : nil
        if mac != router.neighbor {
            for ip in RouterNeighbor.addresses(of: vteps[key.vtep].address) {
                let neighbor = NeighborKey(vni: key.through, ip: ip)
                if let mac {
                    output.forwarding.append(.neighbor(neighbor, RemoteNeighbor(mac: mac, isRouter: true)))
                } else {
                    removed.append(.neighbor(neighbor, nil))
                }
            }
            if (mac == nil) != (router.neighbor == nil) { vteps[key.vtep].routers += mac == nil ? -1 : 1 }
            router.neighbor = mac
        }
        for way in router.ways {
            ways[way].isContested = router.hasConflict
            // Another MAC address of the same VTEP does as well, as long as the VNI is the same.
            let isUsable = usable.exists && ways[way].label == ways[usable].label
            if ways[way].isUsable != isUsable {
                ways[way].isUsable = isUsable
                // The imports of a new one have been touched by their linking.
                if !ways[way].isNew { flipped.insert(way) }
            }
            ways[way].isNew = false
        }
        store(router, key, &flipped)
    }
    /// Every way can be used that has routes: nothing stands between a next hop and its packets.
    private mutating func open(router key: RouterKey, _ flipped: inout Set<Slot>) {
        guard let router = routers[key] else { return }
        for way in router.ways {
            let isUsable = ways[way].references > 0
            if ways[way].isUsable != isUsable, !ways[way].isNew { flipped.insert(way) }
            ways[way].isUsable = isUsable
            ways[way].isNew = false
        }
        store(router, key, &flipped)
    }
    /// Without the ways that nobody uses any more.
    private mutating func store(_ router: Router, _ key: RouterKey, _ flipped: inout Set<Slot>) {
        var router = router
        for way in router.ways where ways[way].references == 0 {
            flipped.remove(way)
            if ways[way].group.exists { release(group: ways[way].group) }
            ways.remove(way)
            release(vtep: key.vtep)
        }
        router.ways = router.ways.filter { $0 < ways.end && !ways[$0].isVacant }
        routers[key] = router.ways.isEmpty ? nil : router
        let isUnreachable = router.chosen.exists && router.neighbor == nil
        if !router.ways.isEmpty, !hasTunnelNexthops, router.hasOwnMAC || isUnreachable {
            refusedRouters[key.through, default: []].insert(key.vtep)
        } else if refusedRouters[key.through]?.remove(key.vtep) != nil, refusedRouters[key.through]?.isEmpty == true {
            refusedRouters[key.through] = nil
        }
    }

    /// Has the prefixes looked at whose way can be used now, or cannot any more.
    private mutating func touchUsers(of flipped: Set<Slot>) {
        let mustSearch = flipped.contains { ways[$0].references > 0 }
        guard mustSearch else { return }
        for link in routedImports.slots {
            let item = routedImports[link]
            guard item.route.exists, !item.isThroughGateway, flipped.contains(item.way) else { continue }
            touch(prefix: item.entry)
        }
    }

    // MARK: Next hop groups

    mutating func retain(group nexthops: [RoutedNexthop]) -> Slot {
        if let slot = groupSlots[nexthops] {
            groups[slot].references += 1
            return slot
        }
        let slot = groups.insert(NexthopGroup(nexthops: nexthops, references: 1))
        groupSlots[nexthops] = slot
        return slot
    }
    mutating func release(group slot: Slot) {
        groups[slot].references -= 1
        guard groups[slot].references == 0 else { return }
        groupSlots[groups[slot].nexthops] = nil
        groups.remove(slot)
    }
    /// The group of one way alone.
    mutating func group(of way: Slot) -> Slot {
        if ways[way].group.exists { return ways[way].group }
        guard let nexthop = nexthop(of: way) else { return .none }
        let group = retain(group: [nexthop])
        ways[way].group = group
        return group
    }
    func nexthop(of way: Slot) -> RoutedNexthop? {
        let item = ways[way]
        let vtep = vteps[item.vtep].address
        if hasTunnelNexthops {
            return VNI(item.label).map { .tunnel(vtep: vtep, vni: $0, mac: item.mac) }
        }
        return VNI(item.through).map { .router(vtep: vtep, through: $0) }
    }
}
