// Keeps the domains' devices: finds them, makes and corrects managed ones, follows them when they come, go or change.

import AsyncIO
import EVPN
import NetTypes
import Netlink
import Telemetry

extension LinuxDataplane {
    func evaluate(_ domain: Domain) {
        guard let configuration = domain.configuration, !domain.isLeaving else {
            if let devices = domain.devices, links[devices.vxlan]?.isUp != true { unbind(domain) }
            return
        }
        let plan = devicePlan(domain, configuration)
        domain.plan = plan
        domain.formerMembers = domain.formerMembers.filter { links[$0].map { $0.master != 0 } ?? false }
        if plan.operations.isEmpty {
            // A device that is being made is first seen without its mark.
            domain.work.finish(isSettled: plan.binding != nil && !domain.work.isChanging)
        } else {
            change(domain.work, plan.operations, isDamage: plan.operations.contains { $0.concerns(plan.vxlan) })
        }
        follow(domain, plan.binding)
    }
    func devicePlan(_ domain: Domain, _ configuration: BroadcastDomain) -> DevicePlan {
        var view = RoutedView()
        if let routed = configuration.routed {
            let vrf = routed.vrf.flatMap { vrfs[$0] }
            view.vrf = vrf?.binding
            view.vrfProblem = vrf?.problem ?? vrf.map { _ in "starting" }
            view.vrfRemedy = vrf?.remedy
            view.isLocalMAC = isLocalMAC(domain, routed)
        }
        view.previousVRF = domain.previousVRF
        view.setAddresses = domain.setAddresses
        return DevicePlan(
            configuration, defaultVTEP: defaultVTEP, links: links, shared: sharedPlan, routed: view,
            formerMembers: domain.formerMembers,
            tenant: namespace.map { Tenant(namespace: $0.name, underlay: underlayLinks) })
    }
    /// Whether the bridge takes frames to the address of its VLAN device, when it is another than its own, for the host's.
    private func isLocalMAC(_ domain: Domain, _ routed: RoutedInterface) -> Bool {
        if case .managed(let device) = domain.configuration?.device {
            // Its own address; also that of the port that it has taken it from.
            guard let bridge = links[device.bridgeName], bridge.isBridge, let mac = bridge.address else { return true }
            return hasLocal(mac, in: bridge, vlan: 0)
        }
        guard case .managedVLAN = domain.configuration?.device, let bridge = sharedPlan?.bridge,
            let vlan = sharedPlan?.vlans[domain.vni],
            let upper = links.uppers[DeviceNumber(bridge.interface, UInt32(vlan))],
            let mac = routed.mac ?? links[upper]?.address, mac != bridge.address
        else { return true }
        return hasLocal(mac, in: bridge, vlan: vlan)
    }
    private func hasLocal(_ mac: MACAddress, in bridge: Link, vlan: UInt16) -> Bool {
        var isLocal = false
        _ = asking.transact(
            1,
            reply: { _, message in
                guard let entry = FDBEntry(decoding: message.payload) else { return }
                isLocal =
                    (vlan == 0 || entry.interface == bridge.interface) && entry.state.contains(.permanent)
            },
            { batch, _, sequence in
                batch.getFDB(sequence: sequence, interface: bridge.interface, mac: mac, bridgeVLAN: vlan)
            })
        return isLocal
    }
    /// Compares the bridge for many VNIs with the configuration, and has the domains in it looked at where something changed.
    func evaluateShared() {
        mustEvaluateShared = false
        guard var plan = newSharedPlan(isEmpty: { emptied.contains($0) }) else {
            sharedPlan = nil
            sharedWork.finish(isSettled: false)
            return
        }
        if plan.operations.isEmpty {
            sharedWork.finish(isSettled: plan.problem == nil && plan.leaving.isEmpty)
        } else {
            change(sharedWork, plan.operations, isDamage: plan.operations.contains { $0.concerns(plan.vxlan) })
        }
        plan.problem = plan.problem ?? (sharedWork.failures.isEmpty ? sharedWork.failure : nil)
        plan.problems.merge(sharedWork.failures) { $1 }
        let old = sharedPlan
        sharedPlan = plan
        let isSameDevice =
            old?.vxlan == plan.vxlan && old?.bridge == plan.bridge && old?.vtep == plan.vtep
            && old?.problem == plan.problem
        for vni in sharedPlaces.keys
        where !isSameDevice || old?.vlans[vni] != plan.vlans[vni] || old?.problems[vni] != plan.problems[vni] {
            touched.insert(vni)
        }
        empty(plan)
    }
    /// Nil: no VNI is in the bridge for many.
    func newSharedPlan(isEmpty: (VNI) -> Bool) -> SharedPlan? {
        guard let first = sharedPlaces.min(by: { $0.key < $1.key }) else { return nil }
        return SharedPlan(
            sharedPlaces, first.value.bridge, vtep: domainsByVNI[first.key]?.configuration?.vtep ?? defaultVTEP,
            links: links,
            previous: sharedPlan?.vlans ?? [:], kernelFilters: { Observation.filters(0, asking) != nil },
            mayRemove: { mayPrune || released.contains($0) }, isEmpty: isEmpty)
    }

    /// Binds the domain to the devices that it should use now.
    private func follow(_ domain: Domain, _ binding: DeviceBinding?) {
        if domain.devices != binding {
            let old = domain.devices
            // Another VTEP address on the same devices: nothing in the kernel is lost.
            if let binding, let old, old.vxlanPlace == binding.vxlanPlace, old.bridgePlace == binding.bridgePlace,
                domain.isUp
            {
                domain.devices = binding
                domain.table.binding = binding
                if old.neighborInterface != binding.neighborInterface {
                    moveNeighbors(domain, from: old.neighborInterface)
                }
            } else {
                unbind(domain)
                guard let binding else { return }
                domain.devices = binding
                place(domain, binding)
                updateOwnAddresses(domain)
                observe(domain)
                return
            }
        }
        guard let binding else { return }
        updateOwnAddresses(domain)
        guard domain.table.binding != nil else { return }
        let canHold = links[binding.neighborInterface]?.isUp == true
        if canHold != domain.table.canHoldNeighbors {
            if canHold {
                domain.table.canHoldNeighbors = true
                if !domain.isTransit { watchAddresses() }
                domain.table.enqueueNeighbors()
                due(domain)
            } else {
                domain.table.forgetNeighbors()
            }
        }
        if domain.isUp { report(domain, binding) }
        askAgain(domain, binding)
    }
    /// Tells the control plane of the domain where something about it has changed.
    func report(_ domain: Domain, _ devices: DeviceBinding) {
        let local = localDomain(domain, devices)
        guard domain.reported != local else { return }
        domain.reported = local
        emit(.domain(domain.vni, local))
        scheduleRouting()
    }
    private func localDomain(_ domain: Domain, _ devices: DeviceBinding) -> LocalDomain {
        var local = place(of: domain, devices)
        // While evpnd puts it there it is as good as there.
        if let name = domain.configuration?.routed?.vrf, name != local.vrf, domain.plan?.operations.isEmpty == true {
            local.isOutsideVRF = true
        }
        return local
    }
    private func place(of domain: Domain, _ devices: DeviceBinding) -> LocalDomain {
        var local = LocalDomain(vtep: devices.vtep, device: deviceText(devices))
        guard devices.isBridged, let link = links[devices.neighborInterface], link.isUp else { return local }
        let routed = domain.configuration?.routed
        if let master = links[link.master], master.vrfTable != 0, master.isUp {
            // One that is configured and cannot be used is none.
            if vrfs[master.name].map({ $0.binding != nil }) ?? true { local.vrf = master.name }
        } else if link.master == 0, let name = routed?.vrf, vrfs[name]?.binding?.isMainTable == true {
            local.vrf = name
        }
        // Outside of its VRF an L3 VNI would lead into another table: it has no router then.
        let isTransit = domain.configuration?.isTransit == true
        if isTransit ? local.vrf == routed?.vrf : local.vrf != nil || routed != nil { local.routerMAC = link.address }
        if !isTransit, local.routerMAC != nil { local.interface = link.name }
        return local
    }

    func place(_ domain: Domain, _ binding: DeviceBinding) {
        byVXLAN[binding.vxlanPlace] = domain
        if binding.isBridged { byBridge[binding.bridgePlace] = domain }
        if binding.neighborInterface != 0 { byNeighbor[binding.neighborInterface] = domain }
        for interface in binding.interfaces { users[interface, default: []].insert(domain.vni) }
    }
    private func unplace(_ domain: Domain, _ binding: DeviceBinding) {
        if byVXLAN[binding.vxlanPlace] === domain { byVXLAN[binding.vxlanPlace] = nil }
        if byBridge[binding.bridgePlace] === domain { byBridge[binding.bridgePlace] = nil }
        if byNeighbor[binding.neighborInterface] === domain { byNeighbor[binding.neighborInterface] = nil }
        for interface in binding.interfaces {
            users[interface]?.remove(domain.vni)
            if users[interface]?.isEmpty == true { users[interface] = nil }
        }
    }
    /// A VLAN device came or went: neighbors live elsewhere, or nowhere, now. Everything else stays.
    private func moveNeighbors(_ domain: Domain, from old: Int32) {
        guard let devices = domain.devices else { return }
        if byNeighbor[old] === domain { byNeighbor[old] = nil }
        users[old]?.remove(domain.vni)
        place(domain, devices)
        domain.table.forgetNeighbors()
        for ip in domain.localNeighbors.keys.sorted() { setLocal(ip, nil, in: domain) }
        observe(domain)
    }

    func unbind(_ domain: Domain) {
        if let devices = domain.devices { unplace(domain, devices) }
        domain.devices = nil
        domain.table.unbind()
        scheduleRouting()
        if domain.configuration == nil {
            mustRemoveUnconfigured = true
            scheduleEvaluation()
        }
        for key in failures.keys where key.vni == domain.vni { failures[key] = nil }
        withdrawFacts(of: domain)
    }

    /// A domain is not usable any more: it goes, and its hosts with it.
    func withdrawFacts(of domain: Domain) {
        let macs = Set(domain.localMACs.keys).union(domain.ownMACs.keys).sorted()
        let neighbors = Set(domain.localNeighbors.keys).union(domain.ownNeighbors.keys).sorted()
        domain.localMACs = [:]
        domain.localNeighbors = [:]
        domain.neighborsByMAC = [:]
        domain.remembered = RememberedBindings()
        domain.ownMACs = [:]
        domain.ownNeighbors = [:]
        guard domain.isUp else { return }
        domain.reported = nil
        log.info("domain.down", ["vni": "\(domain.vni)", "reason": domain.problem ?? "not configured"])
        emit(.domain(domain.vni, nil))
        for mac in macs { emit(.mac(MACKey(vni: domain.vni, mac: mac), nil)) }
        for ip in neighbors { emit(.neighbor(NeighborKey(vni: domain.vni, ip: ip), nil)) }
    }

    // MARK: Managed devices

    /// Whether a device that was made for the VNI is what its configuration asks for now.
    private func isUsed(_ interface: Int32, _ vni: VNI) -> Bool {
        guard let link = links[interface], let configuration = domainsByVNI[vni]?.configuration else { return false }
        switch configuration.device {
        case .adopted, .switched: return false
        case .managed: return link.vlan == 0
        case .managedVLAN:
            return link.vlan != 0 && configuration.routed != nil && link.lower == sharedPlan?.bridge?.interface
                && link.vlan == sharedPlan?.vlans[vni]
        }
    }

    /// Deletes devices with our mark whose domain is not managed any more: at once when it left the configuration in this
    /// process's life, otherwise when pruning is allowed.
    func removeUnconfigured() {
        guard hasConfiguration else { return }
        mustRemoveUnconfigured = false
        var unwanted: Set<Int32> = []
        for (owner, interfaces) in links.marked {
            switch owner {
            case .vni(let vni):
                guard mayPrune || released.contains(vni) else { continue }
                let unused = interfaces.filter { !isUsed($0, vni) }
                unwanted.formUnion(unused.subtracting(removing))
                continue
            case .vrf(let name):
                guard mayPrune || releasedVRFs.contains(name) else { continue }
                if vrfs[name]?.configuration.hasOwnDevice == true { continue }
            case .shared:
                // Its entries and VLANs go first, domain by domain.
                guard mayPrune || isSharedReleased, sharedPlaces.isEmpty,
                    interfaces.allSatisfy({ users[$0] == nil })
                else { continue }
            }
            unwanted.formUnion(interfaces.subtracting(removing))
        }
        let found = unwanted
        guard !found.isEmpty else { return }
        removing.formUnion(found)
        let devices = links.sorted(found)
        let operations = links.sortedForRemoval(devices).flatMap(links.removal)
        log.info("dataplane.device", ["commands": operations.map(\.description).joined(separator: "; ")])
        let me = OnLoop(self)
        worker.submit { [deviceSockets, operations, found, handle = loop.handle] in
            let failures = operations.compactMap { LinuxDataplane.perform([$0], deviceSockets).failure }
            handle.post {
                me { dataplane in
                    for failure in failures { dataplane.log.warning("dataplane.device.refused", ["reason": failure]) }
                    dataplane.removing.subtract(found)
                }
            }
        }
    }
}

extension ForwardingKey {
    /// Nil for a row that belongs to no broadcast domain.
    var vni: VNI? {
        switch self {
        case .flood(let key): key.vni
        case .mac(let key): key.vni
        case .neighbor(let key): key.vni
        case .prefix: nil
        }
    }
}
