// A changed overlay, applied by its differences.

import BGP
import NetTypes

extension ControlPlane {
    mutating func apply(_ overlay: Overlay) {
        var mustReimport = routerID != overlay.routerID
        var interfacesHaveChanged = false
        var mustReimportMembers = membership != overlay.membership
        membership = overlay.membership
        compatibility = overlay.compatibility
        hasTunnelNexthops = overlay.hasTunnelNexthops
        if peers != overlay.peers {
            peers = overlay.peers
            mustCheckUnderlay = true
        }
        isMembershipDirty = true
        routerID = overlay.routerID
        if detection != overlay.duplicateDetection {
            detection = overlay.duplicateDetection
            rescheduleMobility()
        }

        var wanted: [VNI: EVI] = [:]
        for evi in overlay.evis { wanted[evi.vni] = evi }
        var started: [(Slot, EVI)] = []
        for index in vrfs.indices {
            guard let vrf = vrfs[index], let old = vrf.evi else { continue }
            let new = wanted[vrf.vni]
            if let new, new.rd == old.rd { continue }
            // With another RD all our routes have other keys; what we import stays.
            withdrawAll(Slot(index))
            if let new {
                vrfs[index]?.evi?.rd = new.rd
                continue
            }
            if old.signalling.usesMembership { mustReimportMembers = true }
            stop(Slot(index))
            mustReimport = true
        }
        for vni in wanted.keys.sorted() {
            guard let evi = wanted[vni], let slot = vrfSlot(vni, creating: true) else { continue }
            guard let old = vrfs[Int(slot)]?.evi else {
                vrfs[Int(slot)]?.evi = evi
                started.append((slot, evi))
                if evi.signalling.usesEVPN { mustReimport = true }
                if evi.signalling.usesMembership { mustReimportMembers = true }
                continue
            }
            if old.importTargets != evi.importTargets || old.signalling.usesEVPN != evi.signalling.usesEVPN {
                mustReimport = true
            }
            if old.domain.routed != evi.domain.routed { interfacesHaveChanged = true }
            if old.signalling.usesMembership != evi.signalling.usesMembership
                || old.memberCommunity != evi.memberCommunity
            {
                mustReimportMembers = true
            }
            vrfs[Int(slot)]?.evi = evi
            vrfs[Int(slot)]?.attributeCache = [:]
            if old.staticMACs != evi.staticMACs { configure(slot, from: old.staticMACs, to: evi.staticMACs) }
            refreshInterface(slot)
            refreshExports(slot)
        }
        let tablesHaveChanged = apply(tables: overlay.vrfs)
        for vni in vrfByVNI.keys.sorted() { if let slot = vrfByVNI[vni] { attach(slot) } }
        for vni in vrfByVNI.keys.sorted() { if let slot = vrfByVNI[vni] { checkVTEP(slot) } }
        if mustReimport || tablesHaveChanged {
            indexTargets()
            indexTableTargets()
            reimport(isRouted: true)
        }
        if mustReimport || tablesHaveChanged || interfacesHaveChanged { tablesApplied() }
        if mustReimportMembers { reimportMembers() }
        for (slot, evi) in started { start(slot, evi) }
        // Rows refer to their MAC-VRF until they have been evaluated.
        evaluate()
        for vni in vrfByVNI.keys.sorted() { if let slot = vrfByVNI[vni] { releaseIfUnused(slot) } }
        for slot in tables.indices { releaseTableIfUnused(Slot(slot)) }
    }

    private mutating func indexTargets() {
        importers = [:]
        automaticImporters = [:]
        for (index, vrf) in vrfs.enumerated() {
            guard let evi = vrf?.evi, evi.signalling.usesEVPN else { continue }
            switch evi.importTargets {
            case .automatic(let vni): automaticImporters[vni, default: []].append(Slot(index))
            case .explicit(let targets):
                for target in Set(targets) { importers[target, default: []].append(Slot(index)) }
            }
        }
    }

    /// Puts what the dataplane has reported so far, and what the configuration declares, into force.
    private mutating func start(_ slot: Slot, _ evi: EVI) {
        guard let vrf = vrfs[Int(slot)] else { return }
        for mac in vrf.locals.keys.sorted() { macs[macSlot(slot, mac)].isLocal = true }
        for ip in vrf.neighbors.keys.sorted() { addresses[addressSlot(slot, ip)].isLocal = true }
        configure(slot, from: [], to: evi.staticMACs)
        refreshInterface(slot)
        refreshExports(slot)
    }

    /// Leaves the local facts, which are the dataplane's, and nothing else.
    private mutating func stop(_ slot: Slot) {
        guard let evi = vrfs[Int(slot)]?.evi else { return }
        configure(slot, from: evi.staticMACs, to: [])
        for entry in macs.slots where macs[entry].vrf == slot {
            macs[entry].isLocal = false
            macs[entry].hasMobility = false
            macs[entry].owner = .nobody
            touch(mac: entry)
        }
        for entry in addresses.slots where addresses[entry].vrf == slot {
            addresses[entry].isLocal = false
            touch(address: entry)
        }
        vrfs[Int(slot)]?.evi = nil
        refreshInterface(slot)
        vrfs[Int(slot)]?.mobility = [:]
        vrfs[Int(slot)]?.attributeCache = [:]
        for mac in (vrfs[Int(slot)]?.locals ?? [:]).keys { vrfs[Int(slot)]?.locals[mac]?.sequence = 0 }
    }

    /// Applies the differences between two lists of configured MACs.
    private mutating func configure(_ slot: Slot, from old: [StaticMAC], to new: [StaticMAC]) {
        let kept = Dictionary(new.map { ($0.mac, $0) }, uniquingKeysWith: { first, _ in first })
        var addressed: [IPAddress: MACAddress] = [:]
        for entry in new where entry.mac.isUsableByHost {
            for ip in entry.addresses { addressed[ip] = addressed[ip] ?? entry.mac }
        }
        for entry in old {
            if kept[entry.mac] == nil, var claim = vrfs[Int(slot)]?.locals[entry.mac] {
                claim.configured = nil
                setClaim(slot, entry.mac, claim)
            }
            for ip in entry.addresses where addressed[ip] == nil {
                guard var address = vrfs[Int(slot)]?.neighbors[ip] else { continue }
                address.configured = nil
                setAddress(slot, ip, address)
            }
        }
        for mac in kept.keys.sorted() where mac.isUsableByHost {
            var claim = vrfs[Int(slot)]?.locals[mac] ?? LocalClaim()
            guard claim.configured != kept[mac] else { continue }
            claim.configured = kept[mac]
            setClaim(slot, mac, claim)
        }
        for ip in addressed.keys.sorted() {
            var address = vrfs[Int(slot)]?.neighbors[ip] ?? LocalAddress()
            guard address.configured != addressed[ip] else { continue }
            address.configured = addressed[ip]
            setAddress(slot, ip, address)
        }
    }
}
