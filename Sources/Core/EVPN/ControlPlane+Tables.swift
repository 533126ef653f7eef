// IP-VRFs: their configuration, applied by its differences; their L3 VNIs; and the MAC-VRFs whose interfaces are in them.

import BGP
import NetTypes

extension ControlPlane {
    mutating func tableSlot(_ name: String, creating: Bool) -> Slot? {
        if let slot = tableByName[name] { return slot }
        guard creating else { return nil }
        let slot: Slot
        if let free = tables.firstIndex(where: { $0 == nil }) {
            slot = Slot(free)
            tables[free] = IPVRFTable(name: name)
        } else {
            slot = Slot(tables.count)
            tables.append(IPVRFTable(name: name))
        }
        tableByName[name] = slot
        return slot
    }
    /// Not before the rows of a table whose configuration has gone have been evaluated: they refer to it.
    mutating func releaseTableIfUnused(_ slot: Slot) {
        guard slot.exists, let table = tables[Int(slot)], table.isUnused else { return }
        tableByName[table.name] = nil
        tables[Int(slot)] = nil
        while case .some(.none) = tables.last { tables.removeLast() }
    }

    // MARK: Configuration

    /// Takes over the IP-VRFs of an overlay. True: all routes have to be looked at again, and then `tablesApplied` is due.
    mutating func apply(tables wanted: [IPVRF]) -> Bool {
        var byName: [String: IPVRF] = [:]
        for vrf in wanted where byName[vrf.name] == nil { byName[vrf.name] = vrf }
        var hasChanged = false
        for index in tables.indices {
            guard let old = tables[index]?.vrf, let name = tables[index]?.name else { continue }
            let new = byName[name]
            if new?.rd != old.rd { withdrawPrefixes(Slot(index)) }
            if new == nil {
                tables[index]?.vrf = nil
                hasChanged = true
            }
        }
        for name in byName.keys.sorted() {
            guard let vrf = byName[name], let slot = tableSlot(name, creating: true) else { continue }
            guard tables[Int(slot)]?.vrf != vrf else { continue }
            tables[Int(slot)]?.vrf = vrf
            hasChanged = true
        }
        return indexL3VNIs() || hasChanged
    }

    /// Which IP-VRF has which L3 VNI, as far as it is none of an EVI. True: something has changed.
    private mutating func indexL3VNIs() -> Bool {
        var found: [VNI: Slot] = [:]
        for name in tableByName.keys.sorted() {
            guard let slot = tableByName[name], let vni = tables[Int(slot)]?.vni, found[vni] == nil else { continue }
            if let vrf = vrfByVNI[vni], vrfs[Int(vrf)]?.evi != nil { continue }
            found[vni] = slot
        }
        guard found != tableByVNI else { return false }
        tableByVNI = found
        return true
    }

    mutating func indexTableTargets() {
        tableImporters = [:]
        automaticTableImporters = [:]
        for (index, table) in tables.enumerated() {
            guard let vrf = table?.vrf else { continue }
            switch vrf.importTargets {
            case .automatic(let vni): automaticTableImporters[vni, default: []].append(Slot(index))
            case .explicit(let targets):
                for target in Set(targets) { tableImporters[target, default: []].append(Slot(index)) }
            }
        }
    }

    /// After the routes have been looked at again.
    mutating func tablesApplied() {
        indexLeaks()
        for index in tables.indices where tables[index]?.vrf != nil {
            refreshPrefixExports(Slot(index))
            touchGateways(of: Slot(index))
        }
        touchAllPrefixes()
    }

    // MARK: MAC-VRFs

    /// Finds out which IP-VRF the layer-3 interface of a MAC-VRF is in.
    mutating func attach(_ vrf: Slot) {
        let old = tableOfVRF[Int(vrf)]
        var new = Slot.none
        let domain = vrfs[Int(vrf)]?.domain
        let configured = domain?.isOutsideVRF == true ? nil : vrfs[Int(vrf)]?.evi?.domain.routed?.vrf
        if vrfs[Int(vrf)]?.evi != nil, let name = configured ?? domain?.vrf {
            // Also one that is not configured: it may be soon.
            new = tableSlot(name, creating: true) ?? .none
        }
        guard old != new else { return }
        let vni = vnis[Int(vrf)]
        let held = addresses.slots.filter { addresses[$0].vrf == vrf && addresses[$0].isHere }.map { addresses[$0].ip }
        if old.exists {
            for ip in held { setHost(old, ip, vni, false) }
            tables[Int(old)]?.macVRFs.removeAll { $0 == vrf }
            touchGateways(of: old)
        }
        tableOfVRF[Int(vrf)] = new
        for table in [old, new] where table.exists {
            for end in (tables[Int(table)]?.subnetEnds ?? [:]).keys.sorted() { touch(knownAddress: end, in: vrf) }
        }
        if new.exists {
            for ip in held { setHost(new, ip, vni, true) }
            var list = tables[Int(new)]?.macVRFs ?? []
            list.append(vrf)
            list.sort { vnis[Int($0)] < vnis[Int($1)] }
            tables[Int(new)]?.macVRFs = list
            touchGateways(of: new)
        }
        vrfs[Int(vrf)]?.attributeCache = [:]
        refreshExports(vrf)
        for table in [old, new] where table.exists && tables[Int(table)]?.vrf?.announced.usesGateway == true {
            refreshPrefixExports(table)
        }
    }

    /// The domain of an L3 VNI has come, gone or changed.
    mutating func transitChanged(_ vni: VNI) {
        guard let slot = tableByVNI[vni] else { return }
        refreshPrefixExports(slot)
        for vrf in tables[Int(slot)]?.macVRFs ?? [] {
            vrfs[Int(vrf)]?.attributeCache = [:]
            refreshExports(vrf)
            checkVTEP(vrf)
        }
    }

    // MARK: Local routes

    mutating func setLocal(_ key: PrefixKey, _ fact: LocalPrefix?) {
        let local = fact.flatMap { isExported($0, in: key.vrf) ? nil : $0 }
        guard let slot = tableSlot(key.vrf, creating: local != nil) else { return }
        guard tables[Int(slot)]?.locals[key.prefix] != local else { return }
        let old = tables[Int(slot)]?.locals[key.prefix]
        let wasConnected = old?.isConnected ?? false
        tables[Int(slot)]?.locals[key.prefix] = local
        if let gateway = old?.gateway {
            let count = (tables[Int(slot)]?.gateways[gateway] ?? 1) - 1
            tables[Int(slot)]?.gateways[gateway] = count > 0 ? count : nil
            underlayChanged(gateway)
        }
        if let gateway = local?.gateway {
            tables[Int(slot)]?.gateways[gateway, default: 0] += 1
            underlayChanged(gateway)
        }
        // It may lead to what something leaked would have led elsewhere.
        if hasUnderlay, tables[Int(slot)]?.mayTake(key.prefix) == true { mustCheckUnderlay = true }
        if wasConnected != (local?.isConnected == true) {
            for end in key.prefix.subnetEnds {
                let subnet = tables[Int(slot)]?.connectedSubnet(endingAt: end)
                tables[Int(slot)]?.subnetEnds[end] = subnet
                touch(prefix: PrefixEntry.Key(slot, host: end))
                for vrf in tables[Int(slot)]?.macVRFs ?? [] { touch(knownAddress: end, in: vrf) }
            }
        }
        if wasConnected || local?.isConnected == true {
            touchGateways(of: slot)
            // Gateways of other prefixes may be in this subnet.
            if tables[Int(slot)]?.vrf?.announced.usesGateway == true { refreshPrefixExports(slot) }
        }
        refreshPrefixExport(slot, key.prefix)
        localPrefixChanged(slot, key.prefix)
        if local == nil { releaseTableIfUnused(slot) }
    }
}
