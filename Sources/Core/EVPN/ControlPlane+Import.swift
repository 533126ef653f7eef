// Remote routes: what they mean, whether they are usable, and which MAC-VRFs import them.

import BGP
import NetTypes

extension ControlPlane {
    // MARK: Routes

    mutating func apply(_ change: RouteChange) {
        let isVTEP = compatibility.readsAsVTEP(change)
        let change = compatibility.standard(change)
        guard let key = RemoteRoute.Key(change.key) else { return applyUnicast(change) }
        let found = routes.find(key)
        guard let path = change.path else {
            if let slot = found { remove(route: slot) }
            return
        }
        // A label that does not fit is kept as 0, which is as unusable.
        func stored(_ label: UInt32) -> UInt32 { label < 1 << 24 ? label : 0 }
        let attributeSlot = retain(path.attributes)
        let slot: Slot
        // What the old path was linked by has to be undone in its terms.
        if let found, routes[found].isPrefix, routes[found].isVTEP != isVTEP { unlink(route: found) }
        if let found {
            slot = found
            let old = routes[slot].attributes
            routes[slot].attributes = attributeSlot
            routes[slot].label = stored(path.payload.label1)
            release(attributes: old)
        } else {
            slot = routes.insert(
                RemoteRoute(key: key, label: stored(path.payload.label1), attributes: attributeSlot))
        }
        if routes[slot].isPrefix {
            routes[slot].isVTEP = isVTEP
        } else {
            routes[slot].label2 = stored(path.payload.label2 ?? 0)
        }
        if path.payload.overlay != nil || !overlays.isEmpty { setOverlay(slot, path.payload) }
        place(route: slot)
    }

    /// Imports a route where it now belongs, and nowhere else.
    mutating func place(route slot: Slot) {
        let route = routes[slot]
        if route.hasAddress, !route.isFlood { placeRouted(route: slot) }
        if route.isPrefix, !route.isVTEP { return }
        let reason = reasonToIgnore(route)
        if reason != route.reason {
            routes[slot].reason = reason
            // For layer 3 it may have been told just now.
            let isTold =
                route.isMACIP && !attributes[route.attributes].tables.isEmpty && routes[slot].routedReason == reason
            if let reason, !reason.isExpected, !isTold,
                !attributes[route.attributes].vrfs.isEmpty || attributes[route.attributes].isOfOtherFamily
            {
                report(.routeIgnored(route.routeKey, reason))
            }
        }
        if reason != nil {
            unlink(route: slot)
            return
        }
        if route.isMACIP, hasImports(route, exactly: attributes[route.attributes].vrfs) {
            var link = route.imports
            while link.exists {
                touch(link)
                link = imports[link].sibling
            }
            return
        }
        unlink(route: slot)
        for vrf in attributes[route.attributes].vrfs { self.link(route: slot, in: vrf) }
    }

    mutating func remove(route slot: Slot) {
        unlink(route: slot)
        unlinkRouted(route: slot)
        if !overlays.isEmpty { overlays[slot] = nil }
        release(attributes: routes[slot].attributes)
        routes.remove(slot)
    }

    private func reasonToIgnore(_ route: RemoteRoute) -> IgnoredReason? {
        let shared = attributes[route.attributes]
        if let reason = shared.reason { return reason }
        if route.isMACIP {
            if route.mac.isZero { return .zeroMAC }
            if route.mac.isMulticast { return .multicastMAC }
            if route.label == 0 { return .invalidVNI }
        } else {
            if let originator = route.address, ownVTEPs[originator] != nil { return .ownNextHop }
            if let reason = shared.floodReason { return reason }
        }
        guard shared.vrfs.isEmpty else { return nil }
        return shared.isOfOtherFamily ? .nextHopFamily : .noMatchingTarget
    }

    private func hasImports(_ route: RemoteRoute, exactly vrfs: [Slot]) -> Bool {
        var link = route.imports
        // Chained in front, hence in reverse.
        for vrf in vrfs.reversed() {
            guard link.exists, imports[link].vrf == vrf else { return false }
            link = imports[link].sibling
        }
        return !link.exists
    }

    /// Has the rows of an import evaluated again.
    private mutating func touch(_ link: Slot) {
        let item = imports[link]
        touch(mac: item.entry)
        if item.address.exists { touch(address: item.address) }
    }
    mutating func touch(mac slot: Slot) {
        guard !macs[slot].isDirty else { return }
        macs[slot].isDirty = true
        dirtyMACs.append(slot)
    }
    mutating func touch(address slot: Slot) {
        guard !addresses[slot].isDirty else { return }
        addresses[slot].isDirty = true
        dirtyAddresses.append(slot)
    }
    mutating func touch(knownAddress ip: IPAddress, in vrf: Slot) {
        if let slot = addresses.find(AddressEntry.Key(vrf: vrf, ip)) { touch(address: slot) }
    }
    mutating func touch(flood slot: Slot) {
        guard !floods[slot].isDirty else { return }
        floods[slot].isDirty = true
        dirtyFloods.append(slot)
    }

    /// The row of a MAC, made when it is missing.
    mutating func macSlot(_ vrf: Slot, _ mac: MACAddress) -> Slot {
        let key = MACEntry.Key(vrf: vrf, mac: mac.rawValue)
        if let slot = macs.find(key) { return slot }
        var entry = MACEntry(key: key)
        if hasMobility { entry.hasMobility = vrfs[Int(vrf)]?.mobility[mac] != nil }
        return macs.insert(entry)
    }
    mutating func addressSlot(_ vrf: Slot, _ ip: IPAddress) -> Slot {
        let key = AddressEntry.Key(vrf: vrf, ip)
        return addresses.find(key) ?? addresses.insert(AddressEntry(key: key))
    }

    private mutating func link(route slot: Slot, in vrf: Slot) {
        let route = routes[slot]
        var item = Import(route: slot, vrf: vrf, entry: .none, sibling: route.imports)
        if route.isMACIP {
            item.entry = macSlot(vrf, route.mac)
            item.next = macs[item.entry].imports
            if let ip = route.address {
                item.address = addressSlot(vrf, ip)
                item.addressNext = addresses[item.address].imports
            }
        } else {
            let key = FloodEntry.Key(vrf: vrf, vtep: attributes[route.attributes].floodVTEP)
            if let found = floods.find(key) {
                item.entry = found
            } else {
                item.entry = floods.insert(FloodEntry(key: key))
                vteps[key.vtep].references += 1
            }
            item.next = floods[item.entry].imports
        }
        let link = imports.insert(item)
        routes[slot].imports = link
        if item.next.exists { imports[item.next].previous = link }
        if route.isMACIP {
            macs[item.entry].imports = link
            touch(mac: item.entry)
            if item.address.exists {
                if item.addressNext.exists { imports[item.addressNext].addressPrevious = link }
                addresses[item.address].imports = link
                touch(address: item.address)
            }
        } else {
            floods[item.entry].imports = link
            touch(flood: item.entry)
        }
    }

    /// Takes a route out of every MAC-VRF.
    private mutating func unlink(route slot: Slot) {
        let isMACIP = routes[slot].isMACIP
        var link = routes[slot].imports
        routes[slot].imports = .none
        while link.exists {
            let item = imports[link]
            if item.next.exists { imports[item.next].previous = item.previous }
            if item.previous.exists {
                imports[item.previous].next = item.next
            } else if isMACIP {
                macs[item.entry].imports = item.next
            } else {
                floods[item.entry].imports = item.next
            }
            if isMACIP { touch(mac: item.entry) } else { touch(flood: item.entry) }
            if item.address.exists {
                if item.addressNext.exists { imports[item.addressNext].addressPrevious = item.addressPrevious }
                if item.addressPrevious.exists {
                    imports[item.addressPrevious].addressNext = item.addressNext
                } else {
                    addresses[item.address].imports = item.addressNext
                }
                touch(address: item.address)
            }
            imports.remove(link)
            link = item.sibling
        }
    }

    // MARK: Shared attributes

    private mutating func retain(_ set: AttributeSet) -> Slot {
        if let last = lastAttributes, last.set === set {
            attributes[last.slot].references += 1
            return last.slot
        }
        if let slot = attributeSlots[set] {
            attributes[slot].references += 1
            lastAttributes = (set, slot)
            return slot
        }
        var record = ImportedAttributes()
        record.set = set
        record.references = 1
        for community in set.attributes.extendedCommunities {
            if let mobility = community.macMobility {
                // The highest of several, so that all hosts agree.
                record.sequence = max(record.sequence, mobility.sequence)
                record.isSticky = record.isSticky || mobility.sticky
            }
            if community.isDefaultGateway { record.isGateway = true }
            if let flags = community.neighborDiscoveryFlags, flags.contains(.router) { record.isRouter = true }
        }
        if let nextHop = set.attributes.nextHop { record.vtep = retain(vtep: nextHop) }
        if let tunnel = set.attributes.pmsiTunnel, tunnel.tunnelType == PMSITunnel.ingressReplicationType {
            record.floodLabel = tunnel.label
            let endpoint = tunnel.endpoint.flatMap { $0.isUnspecified ? nil : $0 } ?? set.attributes.nextHop
            if let endpoint { record.floodVTEP = retain(vtep: endpoint) }
        }
        record.routerMAC = set.attributes.routerMAC
        record.preference = PrefixPreference(set.attributes)
        classify(&record)
        let slot = attributes.insert(record)
        attributeSlots[set] = slot
        return slot
    }

    private mutating func release(attributes slot: Slot) {
        attributes[slot].references -= 1
        guard attributes[slot].references == 0 else { return }
        if lastAttributes?.slot == slot { lastAttributes = nil }
        let record = attributes[slot]
        if let set = record.set { attributeSlots[set] = nil }
        attributes.remove(slot)
        if record.vtep.exists { release(vtep: record.vtep) }
        if record.floodVTEP.exists { release(vtep: record.floodVTEP) }
    }

    mutating func retain(vtep address: IPAddress) -> Slot {
        if let slot = vtepSlots[address] {
            vteps[slot].references += 1
            return slot
        }
        let slot = vteps.insert(VTEPRecord(address: address, references: 1))
        vtepSlots[address] = slot
        underlayChanged(address)
        return slot
    }
    mutating func release(vtep slot: Slot) {
        vteps[slot].references -= 1
        guard vteps[slot].references == 0 else { return }
        vtepSlots[vteps[slot].address] = nil
        underlayChanged(vteps[slot].address)
        vteps.remove(slot)
    }

    /// Sets what depends on the overlay and on our own addresses.
    private func classify(_ record: inout ImportedAttributes) {
        guard let attributes = record.set?.attributes else { return }
        let wanted = importingVRFs(attributes.extendedCommunities, importers, automaticImporters)
        let destination = record.floodVTEP.exists ? vteps[record.floodVTEP].address : attributes.nextHop
        record.vrfs = destination.map { address in wanted.filter { reaches($0, address) } } ?? wanted
        record.isOfOtherFamily = record.vrfs.isEmpty && !wanted.isEmpty
        let targeted = importingVRFs(attributes.extendedCommunities, tableImporters, automaticTableImporters)
        record.tables = targeted.filter { table in
            tables[Int(table)]?.vrf?.selection?.takes(attributes.communities, attributes.largeCommunities) ?? true
        }
        record.isUnselected = record.tables.count < targeted.count
        record.ways = []
        record.reason = reason(against: attributes)
        record.floodReason = nil
        if let tunnel = attributes.pmsiTunnel, tunnel.tunnelType == PMSITunnel.ingressReplicationType {
            if VNI(tunnel.label) == nil {
                record.floodReason = .invalidVNI
            } else if record.floodVTEP.exists {
                let endpoint = vteps[record.floodVTEP].address
                if ownVTEPs[endpoint] != nil {
                    record.floodReason = .ownNextHop
                } else if !Self.isUsable(endpoint) {
                    record.floodReason = .unusableNextHop
                }
            } else {
                record.floodReason = .missingNextHop
            }
        } else {
            record.floodReason = .noIngressReplication
        }
    }

    private func reason(against attributes: PathAttributes) -> IgnoredReason? {
        guard let nextHop = attributes.nextHop else { return .missingNextHop }
        if ownVTEPs[nextHop] != nil { return .ownNextHop }
        if let routerID, attributes.originatorID == routerID { return .ownNextHop }
        if !Self.isUsable(nextHop) { return .unusableNextHop }
        var isEncapsulated: Bool?
        for community in attributes.extendedCommunities {
            guard let type = community.encapsulationType else { continue }
            isEncapsulated = (isEncapsulated ?? false) || type == ExtendedCommunity.vxlanEncapsulation
        }
        return isEncapsulated == false ? .unsupportedEncapsulation : nil
    }

    static func isUsable(_ address: IPAddress) -> Bool {
        !(address.isUnspecified || address.isMulticast || address.isLoopback
            || address == .v4(IPv4Address(rawValue: .max)))
    }

    private func importingVRFs(
        _ communities: [ExtendedCommunity], _ importers: [RouteTarget: [Slot]],
        _ automaticImporters: [VNI: [Slot]]
    ) -> [Slot] {
        if importers.isEmpty, automaticImporters.isEmpty { return [] }
        var found: [Slot] = []
        for community in communities {
            guard let target = RouteTarget(community) else { continue }
            if let exact = importers[target] { found += exact }
            if let vni = target.automaticVNI, let automatic = automaticImporters[vni] { found += automatic }
        }
        guard found.count > 1 else { return found }
        found.sort()
        var unique: [Slot] = []
        for slot in found where unique.last != slot { unique.append(slot) }
        return unique
    }

    // MARK: Changes of the importing side

    /// Imports everything anew after targets or own addresses have changed; rows whose outcome stays are not touched. After a
    /// change of IP-VRFs or VNIs `isRouted` has layer 3 looked at whatever the targets are.
    mutating func reimport(isRouted: Bool = false) {
        var changed: Set<Slot> = []
        for slot in attributes.slots {
            let old = attributes[slot]
            guard old.set != nil else { continue }
            var record = old
            classify(&record)
            attributes[slot] = record
            if record.vrfs != old.vrfs || record.isOfOtherFamily != old.isOfOtherFamily || record.reason != old.reason
                || record.floodReason != old.floodReason
                || record.tables != old.tables
                || isRouted && !(record.tables.isEmpty && old.tables.isEmpty)
            {
                changed.insert(slot)
            }
        }
        for slot in routes.slots where changed.contains(routes[slot].attributes) || routes[slot].isFlood {
            place(route: slot)
        }
    }
}
