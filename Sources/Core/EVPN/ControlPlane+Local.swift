// What this host sees: domains, MACs and neighbors.

import BGP
import NetTypes

extension ControlPlane {
    mutating func apply(_ change: LocalChange) {
        switch change {
        case .domain(let vni, let domain):
            guard let slot = vrfSlot(vni, creating: domain != nil) else { return }
            setDomain(slot, domain)
            releaseIfUnused(slot)
        case .mac(let key, let local):
            guard key.mac.isUsableByHost, let slot = vrfSlot(key.vni, creating: local != nil) else { return }
            setLearned(slot, key.mac, local)
            releaseIfUnused(slot)
        case .neighbor(let key, let neighbor):
            guard !key.ip.isUnspecified, !key.ip.isMulticast, !key.ip.isLoopback,
                neighbor?.mac.isUsableByHost ?? true, let slot = vrfSlot(key.vni, creating: neighbor != nil)
            else { return }
            setLearned(slot, key.ip, neighbor)
            releaseIfUnused(slot)
        case .prefix(let key, let local): setSubnet(key, local)
        }
    }

    // MARK: MAC-VRFs

    func vrfSlot(_ vni: VNI) -> Slot? { vrfByVNI[vni] }
    mutating func vrfSlot(_ vni: VNI, creating: Bool) -> Slot? {
        if let slot = vrfByVNI[vni] { return slot }
        guard creating else { return nil }
        let slot: Slot
        if let free = vrfs.firstIndex(where: { $0 == nil }) {
            slot = Slot(free)
            vrfs[free] = MACVRF(vni: vni)
        } else {
            slot = Slot(vrfs.count)
            vrfs.append(MACVRF(vni: vni))
            vnis.append(vni)
            tableOfVRF.append(.none)
        }
        vnis[Int(slot)] = vni
        vrfByVNI[vni] = slot
        return slot
    }
    mutating func releaseIfUnused(_ slot: Slot) {
        guard let vrf = vrfs[Int(slot)], vrf.isUnused else { return }
        disown(slot)
        attach(slot)
        vrfByVNI[vrf.vni] = nil
        vrfs[Int(slot)] = nil
        while case .some(.none) = vrfs.last {
            vrfs.removeLast()
            vnis.removeLast()
            tableOfVRF.removeLast()
        }
    }

    // MARK: Domains

    private mutating func setDomain(_ slot: Slot, _ domain: LocalDomain?) {
        guard let old = vrfs[Int(slot)], old.domain != domain else { return }
        vrfs[Int(slot)]?.domain = domain
        vrfs[Int(slot)]?.attributeCache = [:]
        if let vtep = domain?.vtep, vtep != old.vtep {
            disown(slot)
            vrfs[Int(slot)]?.vtep = vtep
            own(slot)
            familyChanged(slot, from: old.vtep)
        }
        if domain?.routerMAC != old.domain?.routerMAC { touchRouters(of: old.vni) }
        if domain?.routerMAC != old.domain?.routerMAC || domain?.vtep != old.domain?.vtep { transitChanged(old.vni) }
        guard old.evi != nil else { return }
        subnetsChanged(
            tableOfVRF[Int(slot)],
            if: domain?.interface != old.domain?.interface || domain == nil || old.domain == nil)
        if domain?.vrf != old.domain?.vrf || domain?.isOutsideVRF != old.domain?.isOutsideVRF {
            let table = tableOfVRF[Int(slot)]
            subnetsChanged(table)
            attach(slot)
            releaseTableIfUnused(table)
            subnetsChanged(tableOfVRF[Int(slot)])
        }
        checkVTEP(slot)
        if domain?.routerMAC != old.domain?.routerMAC { refreshInterface(slot) }
        isMembershipDirty = true
        refreshExports(slot)
        // Ties are decided by our address.
        for mac in old.locals.keys.sorted() { touch(mac: macSlot(slot, mac)) }
    }
    private mutating func own(_ slot: Slot) {
        guard let vtep = vrfs[Int(slot)]?.vtep else { return }
        ownVTEPs[vtep, default: 0] += 1
        if ownVTEPs[vtep] == 1 { ownAddressesChanged(vtep) }
        underlayChanged(vtep)
    }
    /// Forgets that the address of a MAC-VRF is ours.
    mutating func disown(_ slot: Slot) {
        guard let vtep = vrfs[Int(slot)]?.vtep else { return }
        vrfs[Int(slot)]?.vtep = nil
        let count = (ownVTEPs[vtep] ?? 1) - 1
        ownVTEPs[vtep] = count > 0 ? count : nil
        if count == 0 { ownAddressesChanged(vtep) }
        underlayChanged(vtep)
    }
    /// The address family of a MAC-VRF's VTEP is another one, or known at last: what is imported may have to be dropped, or come back.
    private mutating func familyChanged(_ slot: Slot, from old: IPAddress?) {
        guard let new = vrfs[Int(slot)]?.vtep, old?.isV6 != new.isV6 else { return }
        let hasOthers = vteps.slots.contains { vteps[$0].address.isV6 != new.isV6 }
        if old != nil || hasOthers { mustReimport = true }
        if !memberRoutes.isEmpty { mustReimportMembers = true }
    }
    /// Looks at all routes again if the address family of a VTEP is another one.
    mutating func reimportFamilies() {
        if mustReimport { reimport(isRouted: true) }
        if mustReimportMembers { reimportMembers() }
        (mustReimport, mustReimportMembers) = (false, false)
    }
    /// Whether packets of a MAC-VRF can be sent to an address: VXLAN devices have one family. While its own is not known they may.
    func reaches(_ vrf: Slot, _ address: IPAddress) -> Bool {
        vrfs[Int(vrf)]?.vtep.map { $0.isV6 == address.isV6 } ?? true
    }
    private mutating func ownAddressesChanged(_ vtep: IPAddress) {
        reimport()
        if memberRoutes[vtep] != nil { reimportMembers() }
    }

    // MARK: MACs

    private mutating func setLearned(_ slot: Slot, _ mac: MACAddress, _ local: LocalMAC?) {
        var claim = vrfs[Int(slot)]?.locals[mac] ?? LocalClaim()
        let wasKnown = claim.learned != nil
        guard local != nil || wasKnown else { return }
        claim.learned = local
        // Heard here although it is thought to be elsewhere, or for the first time.
        claim.isFresh = local != nil
        setClaim(slot, mac, claim)
    }

    /// Stores a claim, or removes it when neither the kernel nor the configuration makes it.
    mutating func setClaim(_ slot: Slot, _ mac: MACAddress, _ claim: LocalClaim) {
        let index = Int(slot)
        let isConfigured = vrfs[index]?.evi != nil
        let old = vrfs[index]?.locals[mac]
        guard claim.learned != nil || claim.configured != nil || claim.isInterface else {
            guard let old else { return }
            vrfs[index]?.locals[mac] = nil
            guard isConfigured, let entry = macs.find(MACEntry.Key(vrf: slot, mac: mac.rawValue)) else { return }
            macs[entry].isLocal = false
            rememberSequence(entry, old.sequence)
            touch(mac: entry)
            return
        }
        var claim = claim
        if isConfigured {
            let entry = macSlot(slot, mac)
            if old == nil, macs[entry].hasMobility {
                claim.sequence = vrfs[index]?.mobility[mac]?.sequence ?? 0
            }
            // A report about a MAC that is already ours says nothing new about where it is.
            if old != nil, macs[entry].owner == .local { claim.isFresh = false }
            macs[entry].isLocal = true
            touch(mac: entry)
        }
        vrfs[index]?.locals[mac] = claim
    }

    // MARK: Neighbors

    private mutating func setLearned(_ slot: Slot, _ ip: IPAddress, _ neighbor: LocalNeighbor?) {
        var address = vrfs[Int(slot)]?.neighbors[ip] ?? LocalAddress()
        guard address.learned != neighbor else { return }
        address.isFresh = neighbor != nil && address.learned?.mac != neighbor?.mac
        address.learned = neighbor
        setAddress(slot, ip, address)
    }

    mutating func setAddress(_ slot: Slot, _ ip: IPAddress, _ address: LocalAddress) {
        let index = Int(slot)
        let isConfigured = vrfs[index]?.evi != nil
        let old = vrfs[index]?.neighbors[ip]
        if let mac = old?.mac, mac != address.mac { forgetAddress(index, mac, ip) }
        guard let mac = address.mac else {
            vrfs[index]?.neighbors[ip] = nil
            guard let old, isConfigured else { return }
            if let mac = old.announcedMAC { withdraw(vrf: slot, mac: mac, ip: ip) }
            let entry = addressSlot(slot, ip)
            addresses[entry].isLocal = false
            touch(address: entry)
            return
        }
        vrfs[index]?.neighbors[ip] = address
        if old?.mac != mac {
            var list = vrfs[index]?.addresses[mac] ?? []
            let place = list.firstIndex { ip < $0 } ?? list.count
            list.insert(ip, at: place)
            vrfs[index]?.addresses[mac] = list
        }
        guard isConfigured else { return }
        let entry = addressSlot(slot, ip)
        addresses[entry].isLocal = true
        touch(address: entry)
    }
    private mutating func forgetAddress(_ index: Int, _ mac: MACAddress, _ ip: IPAddress) {
        var list = vrfs[index]?.addresses[mac] ?? []
        list.removeAll { $0 == ip }
        vrfs[index]?.addresses[mac] = list.isEmpty ? nil : list
    }
}
