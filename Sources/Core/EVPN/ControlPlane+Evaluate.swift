// Who holds a MAC, an IP address, a place in a flood list; and what changes in the forwarding tables because of it.

import BGP
import NetTypes

extension ControlPlane {
    /// Brings forwarding and advertisements in line with everything that was touched.
    mutating func evaluate() {
        if isMembershipDirty { refreshMembership() }
        var index = 0
        while index < dirtyFloods.count {
            evaluate(flood: dirtyFloods[index])
            index += 1
        }
        dirtyFloods.removeAll(keepingCapacity: true)
        // Addresses look at the owners of MACs, and may raise the sequence number of one (see `claim`), which touches it
        // again: at most once for each fresh neighbor.
        repeat {
            index = 0
            while index < dirtyMACs.count {
                evaluate(mac: dirtyMACs[index])
                index += 1
            }
            dirtyMACs.removeAll(keepingCapacity: true)
            index = 0
            while index < dirtyAddresses.count {
                evaluate(address: dirtyAddresses[index])
                index += 1
            }
            dirtyAddresses.removeAll(keepingCapacity: true)
        } while !dirtyMACs.isEmpty
        if !tables.isEmpty || !dirtyPrefixes.isEmpty { evaluateRouted() }
        if dirtyMACs.capacity > 1 << 16 { dirtyMACs = [] }
        if dirtyAddresses.capacity > 1 << 16 { dirtyAddresses = [] }
    }

    // MARK: Flood lists

    private mutating func evaluate(flood slot: Slot) {
        floods[slot].isDirty = false
        let entry = floods[slot]
        let vni = vnis[Int(entry.vrf)]
        // Two routes of one VTEP count once; of differing VNIs the lowest, whatever came first.
        var wanted: UInt32 = 0
        var link = entry.imports
        while link.exists {
            let label = attributes[routes[imports[link].route].attributes].floodLabel
            if wanted == 0 || label < wanted { wanted = label }
            link = imports[link].next
        }
        if wanted == 0, entry.isMember { wanted = vni.rawValue }
        if wanted != entry.vni {
            if entry.vni == 0 {
                vteps[entry.vtep].floods += 1
                vrfs[Int(entry.vrf)]?.floods += 1
            } else if wanted == 0 {
                vteps[entry.vtep].floods -= 1
                vrfs[Int(entry.vrf)]?.floods -= 1
            }
            floods[slot].vni = wanted
            let key = FloodKey(vni: vni, vtep: vteps[entry.vtep].address)
            output.forwarding.append(.flood(key, VNI(wanted).map { FloodMember(vni: $0) }))
        }
        if !entry.imports.exists, !entry.isMember {
            floods.remove(slot)
            release(vtep: entry.vtep)
        }
    }

    // MARK: MACs

    /// Whether the route of import `a` is to be preferred for its MAC to that of `b` (RFC 7432 §15 and §15.2): protected
    /// ones, then the higher sequence number, then the lower VTEP address; then the lower VNI, to have one order everywhere.
    func isBetter(_ a: Slot, than b: Slot) -> Bool {
        let routeA = routes[imports[a].route]
        let routeB = routes[imports[b].route]
        if routeA.attributes != routeB.attributes {
            let x = attributes[routeA.attributes]
            let y = attributes[routeB.attributes]
            if x.protection != y.protection { return x.protection > y.protection }
            if x.sequence != y.sequence { return x.sequence > y.sequence }
            if x.vtep != y.vtep { return vteps[x.vtep].address < vteps[y.vtep].address }
        }
        if routeA.label != routeB.label { return routeA.label < routeB.label }
        return false
    }

    func bestImport(of entry: MACEntry) -> Slot {
        var best = entry.imports
        guard best.exists else { return .none }
        var link = imports[best].next
        while link.exists {
            if isBetter(link, than: best) { best = link }
            link = imports[link].next
        }
        return best
    }

    /// Who should hold a MAC that both this host and a remote one claim, when it is free to move.
    func winner(_ claim: LocalClaim, vtep: IPAddress?, remote: ImportedAttributes) -> (owner: Owner, because: String) {
        if claim.isGateway { return (.local, "a default gateway of this host never moves") }
        if remote.isGateway { return (.remote, "a remote default gateway never moves") }
        if claim.isSticky { return (.local, "sticky here") }
        if remote.isSticky { return (.remote, "sticky there") }
        if claim.sequence != remote.sequence {
            return claim.sequence > remote.sequence
                ? (.local, "higher sequence number here") : (.remote, "higher sequence number there")
        }
        guard let vtep else { return (.local, "this host's VTEP address is not known") }
        return vtep < vteps[remote.vtep].address
            ? (.local, "same sequence number, lower VTEP address here")
            : (.remote, "same sequence number, lower VTEP address there")
    }

    private mutating func evaluate(mac slot: Slot) {
        macs[slot].isDirty = false
        let entry = macs[slot]
        let best = bestImport(of: entry)
        guard entry.isLocal || entry.owner == .local || entry.hasMobility else {
            // Nearly all MACs: nothing but remote routes.
            macs[slot].owner = best.exists ? .remote : .nobody
            install(slot, best, isSticky: best.exists && attributes[routes[imports[best].route].attributes].isProtected)
            return
        }
        evaluateContested(slot, best)
    }

    private mutating func evaluateContested(_ slot: Slot, _ best: Slot) {
        let entry = macs[slot]
        let index = Int(entry.vrf)
        let mac = entry.mac
        // Fields one by one: a copy of the MAC-VRF would make every write below copy its dictionaries.
        let vtep = vrfs[index]?.vtep
        var claim = entry.isLocal ? vrfs[index]?.locals[mac] : nil
        let remote = best.exists ? attributes[routes[imports[best].route].attributes] : nil
        let memory = entry.hasMobility ? vrfs[index]?.mobility[mac] : nil
        let isFrozen = memory?.frozenSince != nil
        var owner = Owner.nobody
        var hasMoved = false

        if let local = claim, let remote {
            if isFrozen, let pinned = memory?.pinned, pinned != .nobody {
                owner = pinned
                if local.isFresh, pinned == .remote { vrfs[index]?.mobility[mac]?.wasClaimed = true }
            } else {
                if local.isFresh, !local.isProtected, !remote.isProtected, local.sequence <= remote.sequence {
                    // RFC 7432 §15: learned here while known to be there; one more than what they announce.
                    claim?.sequence = remote.sequence == .max ? .max : remote.sequence + 1
                }
                owner = winner(claim ?? local, vtep: vtep, remote: remote).owner
                let isFree = !local.isProtected && !remote.isProtected
                hasMoved =
                    isFree
                    && (entry.owner == .local && owner == .remote
                        || entry.owner == .remote && owner == .local && local.isFresh)
            }
            reportConflict(slot, local, remote)
        } else {
            owner = claim != nil ? .local : remote != nil ? .remote : .nobody
            macs[slot].hasConflict = false
            if isFrozen, owner != .nobody { vrfs[index]?.mobility[mac]?.pinned = owner }
        }
        claim?.isFresh = false
        if let claim { vrfs[index]?.locals[mac] = claim }
        if hasMoved { countMove(slot, to: owner, claim: claim, remote: remote) }

        let hasChanged = entry.owner != owner
        macs[slot].owner = owner
        // What others say about the addresses of a MAC that is here, or was, counts for nothing, or counts again.
        if hasChanged || owner == .local { touchBindings(of: entry) }
        let isHeld = vrfs[index]?.mobility[mac]?.frozenSince != nil
        if owner == .remote, let remote {
            // A frozen MAC is protected too, so that the bridge does not move it behind our back.
            install(slot, best, isSticky: remote.isProtected || isHeld)
        } else {
            install(slot, .none, isSticky: false)
        }
        refreshExport(vrf: entry.vrf, mac: mac, claim: owner == .local ? claim : nil)
        if hasChanged || owner == .local, let list = vrfs[index]?.addresses[mac] {
            for ip in list { touch(address: addressSlot(entry.vrf, ip)) }
        }
    }

    private mutating func touchBindings(of entry: MACEntry) {
        var link = entry.imports
        while link.exists {
            let item = imports[link]
            link = item.next
            guard item.address.exists else { continue }
            touch(address: item.address)
            var routed = routes[item.route].routed
            while routed.exists {
                touch(prefix: routedImports[routed].entry)
                routed = routedImports[routed].sibling
            }
        }
    }

    private mutating func reportConflict(_ slot: Slot, _ claim: LocalClaim, _ remote: ImportedAttributes) {
        // The same gateway on every host is how anycast gateways work.
        let isConflict = (claim.isProtected || remote.isProtected) && !(claim.isGateway && remote.isGateway)
        let entry = macs[slot]
        guard isConflict != entry.hasConflict else { return }
        macs[slot].hasConflict = isConflict
        guard isConflict else { return }
        let here = MACPlace.local(port: claim.port)
        let there = MACPlace.remote(vtep: vteps[remote.vtep].address)
        let isLocal = winner(claim, vtep: vrfs[Int(entry.vrf)]?.vtep, remote: remote).owner == .local
        report(
            .conflict(
                MACKey(vni: vnis[Int(entry.vrf)], mac: entry.mac), winner: isLocal ? here : there,
                loser: isLocal ? there : here))
    }

    /// Puts the forwarding entry of import `best` (or none) in force, and drops the row when nothing is left of it.
    private mutating func install(_ slot: Slot, _ best: Slot, isSticky: Bool) {
        let entry = macs[slot]
        var vtep = Slot.none
        var label: UInt32 = 0
        if best.exists {
            let route = routes[imports[best].route]
            vtep = attributes[route.attributes].vtep
            label = route.label
        }
        if vtep != entry.vtep || label != entry.vni || (vtep.exists && isSticky != entry.isSticky) {
            macs[slot].vtep = vtep
            macs[slot].vni = label
            macs[slot].isSticky = isSticky
            let key = MACKey(vni: vnis[Int(entry.vrf)], mac: entry.mac)
            if vtep.exists, let remoteVNI = VNI(label) {
                vteps[vtep].macs += 1
                vteps[vtep].references += 1
                let row = RemoteMAC(vtep: vteps[vtep].address, vni: remoteVNI, isSticky: isSticky)
                output.forwarding.append(.mac(key, row))
            } else {
                output.forwarding.append(.mac(key, nil))
            }
            if vtep.exists != entry.vtep.exists { vrfs[Int(entry.vrf)]?.remoteMACs += vtep.exists ? 1 : -1 }
            if entry.vtep.exists {
                vteps[entry.vtep].macs -= 1
                release(vtep: entry.vtep)
            }
        }
        if !entry.imports.exists, !entry.isLocal {
            if entry.hasMobility { scheduleForgetting() }
            macs.remove(slot)
        }
    }

    // MARK: IP addresses

    /// The same order as for MACs, then the lower MAC; two MACs claim one address.
    private func isBetterBinding(_ a: Slot, than b: Slot) -> Bool {
        let routeA = routes[imports[a].route]
        let routeB = routes[imports[b].route]
        let x = attributes[routeA.attributes]
        let y = attributes[routeB.attributes]
        if x.protection != y.protection { return x.protection > y.protection }
        if x.sequence != y.sequence { return x.sequence > y.sequence }
        if x.vtep != y.vtep { return vteps[x.vtep].address < vteps[y.vtep].address }
        if routeA.mac != routeB.mac { return routeA.mac < routeB.mac }
        return x.isRouter && !y.isRouter
    }

    /// Whether an import of a MAC/IP route tells of a host that is here by now: its MAC is, so whoever announced the address with it has
    /// not heard of the move yet, or is dead. Gateways have one MAC everywhere.
    private func isStaleBinding(_ link: Slot) -> Bool {
        let entry = macs[imports[link].entry]
        return entry.owner == .local && vrfs[Int(entry.vrf)]?.locals[entry.mac]?.isGateway != true
    }
    /// The same of a route that may be imported by several MAC-VRFs.
    func isStaleBinding(route slot: Slot) -> Bool {
        guard routes[slot].isMACIP else { return false }
        var link = routes[slot].imports
        while link.exists {
            if isStaleBinding(link) { return true }
            link = imports[link].sibling
        }
        return false
    }
    func bestBinding(of entry: AddressEntry) -> Slot {
        var best = Slot.none
        var link = entry.imports
        while link.exists {
            if !isStaleBinding(link), !best.exists || isBetterBinding(link, than: best) { best = link }
            link = imports[link].addressNext
        }
        return best
    }

    /// Whether it can be that of a host: the kernel would send what goes to a multicast or broadcast address to one of them alone.
    private func isHostAddress(_ entry: AddressEntry) -> Bool {
        guard Self.isUsable(entry.ip) else { return false }
        let table = tableOfVRF[Int(entry.vrf)]
        return !table.exists || tables[Int(table)]?.subnetEnds[entry.ip] == nil
    }

    private mutating func evaluate(address slot: Slot) {
        addresses[slot].isDirty = false
        let entry = addresses[slot]
        let index = Int(entry.vrf)
        let vni = vnis[index]
        let best = bestBinding(of: entry)
        var wanted: RemoteNeighbor?
        if best.exists, isHostAddress(entry) {
            let route = routes[imports[best].route]
            wanted = RemoteNeighbor(mac: route.mac, isRouter: attributes[route.attributes].isRouter)
        }
        var isHere = false
        if entry.isLocal {
            (wanted, isHere) = settle(slot, best, wanted)
        }
        if isHere || isHere != entry.isHere || wanted != entry.installed {
            addresses[slot].isHere = isHere
            addresses[slot].installed = wanted
            hostChanged(vrf: entry.vrf, entry.ip, isHere: isHere)
        }
        if wanted != entry.installed {
            if (wanted != nil) != (entry.installed != nil) { vrfs[index]?.remoteNeighbors += wanted != nil ? 1 : -1 }
            output.forwarding.append(.neighbor(NeighborKey(vni: vni, ip: entry.ip), wanted))
        }
        if !entry.imports.exists, !entry.isLocal { addresses.remove(slot) }
    }

    /// Decides between a local and a remote owner of an address and announces ours if it wins; returns what to install, and whether it is
    /// here.
    private mutating func settle(_ slot: Slot, _ best: Slot, _ remote: RemoteNeighbor?) -> (RemoteNeighbor?, Bool) {
        let entry = addresses[slot]
        let index = Int(entry.vrf)
        let ip = entry.ip
        var isDisputed = false
        defer { vrfs[index]?.neighbors[ip]?.isDisputed = isDisputed }
        guard let local = vrfs[index]?.neighbors[ip] else { return (remote, false) }
        // A neighbor counts only while its MAC is here.
        guard let mac = local.mac, let claim = vrfs[index]?.locals[mac],
            let macSlot = macs.find(MACEntry.Key(vrf: entry.vrf, mac: mac.rawValue)), macs[macSlot].owner == .local
        else {
            announce(vrf: entry.vrf, ip: ip, mac: nil, claim: nil, isRouter: false)
            return (remote, false)
        }
        var isLocal = true
        if best.exists, let remote, remote.mac != mac {
            let shared = attributes[routes[imports[best].route].attributes]
            isLocal = winner(claim, vtep: vrfs[index]?.vtep, remote: shared).owner == .local
            let isFree = !claim.isProtected && !shared.isProtected
            let isFrozen = vrfs[index]?.mobility[mac]?.frozenSince != nil
            if isFree, !local.isFresh,
                claim.sequence == shared.sequence || asksHosts && claim.sequence < shared.sequence
            {
                // One address in two places: it has moved there, neither has moved after the other, or it is a duplicate. The host that is
                // here is asked, and keeps the address while it answers; numbers and addresses of VTEPs say nothing about that.
                isLocal = true
                isDisputed = true
                if !local.isDisputed {
                    report(
                        .addressConflict(
                            NeighborKey(vni: vnis[index], ip: ip), here: mac, there: remote.mac,
                            vtep: vteps[shared.vtep].address))
                }
            } else if isFree, local.isFresh, !isFrozen, claim.sequence <= shared.sequence, shared.sequence < .max {
                // The address has moved to another MAC: that MAC's sequence number has to beat the old one's (RFC 9721).
                vrfs[index]?.locals[mac]?.sequence = shared.sequence + 1
                let vni = vnis[index]
                report(
                    .addressMoved(
                        NeighborKey(vni: vni, ip: ip), from: remote.mac, to: MACKey(vni: vni, mac: mac),
                        sequence: shared.sequence + 1))
                // Counts as a move of the MAC, so that two hosts with one address do not raise numbers for ever.
                countMove(macSlot, to: .local, claim: vrfs[index]?.locals[mac], remote: shared, isReported: false)
                touch(mac: macSlot)
                isLocal = true
            }
        }
        vrfs[index]?.neighbors[ip]?.isFresh = false
        guard isLocal, let current = vrfs[index]?.locals[mac] else {
            announce(vrf: entry.vrf, ip: ip, mac: nil, claim: nil, isRouter: false)
            return (remote, false)
        }
        announce(vrf: entry.vrf, ip: ip, mac: mac, claim: current, isRouter: local.isRouter)
        return (nil, true)
    }
}
