// Which broadcast domains an event about a device concerns: with a thousand of them, none of the others is looked at.

import AsyncIO
import EVPN
import NetTypes
import Netlink

extension LinuxDataplane {
    /// Takes a device as it is now (nil: gone) and has the domains that it concerns compared with their configuration.
    func update(_ interface: Int32, _ link: Link?) {
        let old = links[interface]
        if let link {
            guard links.insert(link) else { return }
        } else {
            guard old != nil else { return }
            links.remove(interface)
        }
        routesFollow(interface, from: old, to: link)
        for link in [old, link] { if let link { touch(link) } }
        if link?.vxlan?.hasVNIFilter == true, old == nil { staleFilters.insert(interface) }
        if old?.master != link?.master { staleVLANs.insert(interface) }
        if old?.hasVLANFiltering != link?.hasVLANFiltering {
            staleVLANs.formUnion(links.ports[interface] ?? [])
            staleVLANs.insert(interface)
        }
        if old?.mtu != link?.mtu || old?.flags != link?.flags || old?.master != link?.master { touchUnderlay() }
        scheduleEvaluation()
    }
    private func touch(_ link: Link) {
        touched.formUnion(namedBy[link.name] ?? [])
        if let mark = DeviceMark(link) {
            touch(mark.owner)
            mustRemoveUnconfigured = true
        }
        if let vxlan = link.vxlan, let vni = VNI(vxlan.vni) { touched.insert(vni) }
        touch(interface: link.interface)
        touchVRFs(link)
        if sharedNames.contains(link.name) { mustEvaluateShared = true }
        if link.vlan != 0, let domain = byBridge[DeviceNumber(link.lower, UInt32(link.vlan))] {
            touched.insert(domain.vni)
        }
        guard link.isBridge else { return }
        for port in links.ports[link.interface] ?? [] {
            if let vxlan = links[port]?.vxlan, let vni = VNI(vxlan.vni) { touched.insert(vni) }
        }
    }
    /// The domains that use the device now.
    func touch(interface: Int32) { touched.formUnion(users[interface] ?? []) }
    func touch(_ owner: DeviceMark.Owner) {
        switch owner {
        case .vni(let vni): touched.insert(vni)
        case .shared: mustEvaluateShared = true
        case .vrf(let name): touchedVRFs.insert(name)
        }
    }
    /// Managed devices take their MTU from the underlay: when that has changed, all of them are looked at.
    func touchUnderlay() {
        var isSame = true
        for (vtep, mtu) in underlayMTUs where underlayLinks.underlayMTU(of: vtep) != mtu { isSame = false }
        if !isSame { touchAll() }
        onUnderlay?()
    }
    func touchAll() {
        touched.formUnion(domainsByVNI.keys)
        touched.formUnion(operatorVNIs)
        touched.formUnion(links.vxlans.keys.compactMap { VNI($0) })
        touchedVRFs.formUnion(vrfs.keys)
        mustEvaluateShared = true
        mustRemoveUnconfigured = true
    }
    /// Which domains name a device in their configuration.
    func indexNames() {
        namedBy = [:]
        sharedNames = []
        for (vni, domain) in domainsByVNI {
            var names: [String] = []
            switch domain.configuration?.device {
            case .adopted(let name): if let name { names = [name] }
            case .managed(let device): names = [device.vxlanName, device.bridgeName] + device.members
            case .managedVLAN(let place):
                sharedNames.formUnion([place.bridge.bridgeName, place.bridge.vxlanName] + place.members)
            case .switched, nil: break
            }
            for name in names { namedBy[name, default: []].insert(vni) }
        }
    }

    func scheduleEvaluation() {
        guard !isEvaluationScheduled,
            !touched.isEmpty || !touchedVRFs.isEmpty || mustRemoveUnconfigured || mustEvaluateShared
                || !staleVLANs.isEmpty || !staleFilters.isEmpty
        else { return }
        isEvaluationScheduled = true
        loop.afterRound { [weak self] in
            guard let self, !isClosed else { return }
            evaluateTouched()
        }
    }
    /// Compares every domain's devices with what its configuration says.
    func evaluateAll() {
        touchAll()
        evaluateTouched()
    }
    /// Looks at the devices of some VNIs for `operatorVNIs`.
    private func noteOperatorVNIs(_ vnis: [VNI]) {
        let old = operatorVNIs
        for vni in vnis {
            if links.hasOperatorDevice(vni) { operatorVNIs.insert(vni) } else { operatorVNIs.remove(vni) }
        }
        guard operatorVNIs != old else { return }
        loop.afterRound { [weak self] in
            guard let self, !isClosed else { return }
            onOperatorVNIs?()
        }
    }
    private func evaluateTouched() {
        isEvaluationScheduled = false
        readVLANs()
        readFilters()
        evaluateVRFs()
        if mustEvaluateShared { evaluateShared() }
        let vnis = touched.sorted()
        touched = []
        noteOperatorVNIs(vnis)
        underlayMTUs = underlayMTUs.filter { underlayLinks.underlayMTU(of: $0.key) == $0.value }
        for vni in vnis {
            guard let domain = domainsByVNI[vni] else { continue }
            evaluations += 1
            evaluate(domain)
            switch domain.configuration?.device {
            case .managed, .managedVLAN:
                guard let vtep = domain.plan?.vtep, underlayMTUs[vtep] == nil else { continue }
                underlayMTUs[vtep] = underlayLinks.underlayMTU(of: vtep)
            default: break
            }
        }
        if mustRemoveUnconfigured { removeUnconfigured() }
        if !vnis.isEmpty { evaluateIPv6Forwarding() }
        scheduleRouting()
    }
    /// Reads the filters of VNIs that have changed, and touches the domains that they concern.
    private func readFilters() {
        let interfaces = staleFilters
        staleFilters = []
        for interface in interfaces.sorted() {
            guard links[interface]?.vxlan?.hasVNIFilter == true else { continue }
            let new = Observation.filters(interface, asking)?[interface] ?? []
            for number in new.symmetricDifference(links.filters[interface] ?? []) {
                if let vni = VNI(number) { touched.insert(vni) }
            }
            links.filters[interface] = new
            if case .shared? = links.marks[interface]?.owner { mustEvaluateShared = true }
        }
    }
    /// Reads the VLANs of ports that have changed, and touches the domains that they concern.
    private func readVLANs() {
        let interfaces = staleVLANs
        staleVLANs = []
        for interface in interfaces.sorted() {
            var table: VLANTable?
            if let link = links[interface],
                link.hasVLANFiltering || links[link.master]?.hasVLANFiltering == true
            {
                table = Observation.vlans(interface, asking)[interface]
            }
            guard table != links.vlans[interface] else { continue }
            for vni in links.setVLANs(interface, table) { if let vni = VNI(vni) { touched.insert(vni) } }
            // Of a bridge: its own VLANs, which its VLAN devices need.
            if links[interface]?.isBridge == true || links[interface]?.vxlan?.collectsMetadata == false {
                touch(interface: interface)
            }
            if !sharedPlaces.isEmpty, links[interface].map({ sharedNames.contains($0.name) }) == true {
                mustEvaluateShared = true
            }
        }
    }
}
