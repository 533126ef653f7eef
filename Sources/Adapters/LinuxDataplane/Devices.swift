// Keeps the domains' devices: finds them, makes and corrects managed ones, follows them when they come, go or change.

import AsyncIO
import EVPN
import NetTypes
import Netlink
import Telemetry

extension LinuxDataplane {
    func evaluate(_ domain: Domain) {
        guard let configuration = domain.configuration else {
            if let devices = domain.devices, links[devices.vxlan]?.isUp != true { unbind(domain) }
            return
        }
        let plan = DevicePlan(configuration, defaultVTEP: defaultVTEP, links: links)
        domain.plan = plan
        if plan.operations.isEmpty {
            domain.isSettled = plan.binding != nil
            domain.deviceFailure = nil
            domain.deviceBackOffSeconds = 1
            domain.lastOperations = []
        } else {
            change(domain, plan.operations)
        }
        follow(domain, plan.binding)
    }

    /// Binds the domain to the devices that it should use now.
    private func follow(_ domain: Domain, _ binding: DeviceBinding?) {
        if domain.devices != binding {
            let old = domain.devices
            // Another VTEP address on the same devices: nothing in the kernel is lost.
            if let binding, let old, old.vxlan == binding.vxlan, old.bridge == binding.bridge, domain.isUp {
                domain.devices = binding
                domain.table.binding = binding
                domain.reported = LocalDomain(vtep: binding.vtep, device: deviceText(binding))
                emit(.domain(domain.vni, domain.reported))
            } else {
                unbind(domain)
                guard let binding else { return }
                domain.devices = binding
                byVXLAN[binding.vxlan] = domain
                if binding.isBridged { byBridge[binding.bridge] = domain }
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
                domain.table.enqueueNeighbors()
                due(domain)
            } else {
                domain.table.forgetNeighbors()
            }
        }
        let text = deviceText(binding)
        if domain.isUp, domain.reported?.device != text {
            domain.reported?.device = text
            emit(.domain(domain.vni, domain.reported))
        }
    }

    func unbind(_ domain: Domain) {
        if let devices = domain.devices {
            if byVXLAN[devices.vxlan] === domain { byVXLAN[devices.vxlan] = nil }
            if byBridge[devices.bridge] === domain { byBridge[devices.bridge] = nil }
        }
        domain.devices = nil
        domain.table.unbind()
        let macs = Set(domain.localMACs.keys).union(domain.ownMACs.keys).sorted()
        let neighbors = Set(domain.localNeighbors.keys).union(domain.ownNeighbors.keys).sorted()
        domain.localMACs = [:]
        domain.localNeighbors = [:]
        domain.ownMACs = [:]
        domain.ownNeighbors = [:]
        for key in failures.keys where key.vni == domain.vni { failures[key] = nil }
        guard domain.isUp else { return }
        domain.reported = nil
        log.info("domain.down", ["vni": "\(domain.vni)", "reason": domain.problem ?? "not configured"])
        emit(.domain(domain.vni, nil))
        for mac in macs { emit(.mac(MACKey(vni: domain.vni, mac: mac), nil)) }
        for ip in neighbors { emit(.neighbor(NeighborKey(vni: domain.vni, ip: ip), nil)) }
    }

    // MARK: Managed devices

    private func change(_ domain: Domain, _ operations: [LinkOperation]) {
        guard !domain.isChangingDevices else { return }
        if operations == domain.lastOperations {
            // The same again: it failed, or its notification has not come yet. Not at once, but soon.
            guard domain.mayRetryDevices else { return }
        }
        // A member that appears is no damage.
        let isDamage = operations.contains { operation in
            if case .enslave(let interface, _, _, _) = operation {
                interface == domain.plan?.vxlan?.interface
            } else {
                true
            }
        }
        if domain.isSettled, isDamage {
            domain.isSettled = false
            healed.increment()
            log.warning(
                "dataplane.device.corrected",
                ["vni": "\(domain.vni)", "commands": operations.map(\.description).joined(separator: "; ")])
        } else {
            log.info(
                "dataplane.device",
                ["vni": "\(domain.vni)", "commands": operations.map(\.description).joined(separator: "; ")])
        }
        domain.isChangingDevices = true
        domain.lastOperations = operations
        domain.mayRetryDevices = false
        let me = OnLoop(self)
        let vni = domain.vni
        worker.submit { [socket, handle = loop.handle] in
            let failure = LinuxDataplane.perform(operations, socket)
            // Of a device that is down the kernel tells no change of its alias: the devices are asked for.
            let links = LinuxDataplane.read(Set(operations.compactMap(\.deviceName)).sorted(), socket)
            handle.post { me { $0.changed(vni, failure, links) } }
        }
    }
    /// Does the operations in order; the first failure ends it and is told.
    static func perform(_ operations: [LinkOperation], _ socket: NetlinkSocket) -> String? {
        for operation in operations {
            let refused = socket.transact(operation.requestCount) { batch, index, sequence in
                operation.encode(&batch, request: index, sequence: sequence)
            }
            if let first = refused.first { return "\(operation): \(first.failure)" }
        }
        return nil
    }
    private static func read(_ names: [String], _ socket: NetlinkSocket) -> [Link] {
        var found: [Link] = []
        _ = socket.transact(
            names.count,
            reply: { _, message in
                if message.type == MessageType.newLink, let link = Link(decoding: message.payload) {
                    found.append(link)
                }
            },
            { batch, index, sequence in batch.getLink(sequence: sequence, name: names[index]) })
        return found
    }
    private func changed(_ vni: VNI, _ failure: String?, _ found: [Link]) {
        guard !isClosed, let domain = domainsByVNI[vni] else { return }
        // First what was told of the changes: an older notification must not win over what was read after them.
        readNotifications()
        for link in found {
            guard var known = links[link.interface] else { continue }
            known.alias = link.alias
            known.addressGenerationMode = link.addressGenerationMode
            update(link.interface, known)
        }
        domain.isChangingDevices = false
        if let failure, failure != domain.deviceFailure {
            log.warning("dataplane.device.refused", ["vni": "\(vni)", "reason": failure])
        }
        domain.deviceFailure = failure
        let delay = failure == nil ? 1 : domain.deviceBackOffSeconds
        if failure != nil { domain.deviceBackOffSeconds = min(30, delay * 2) }
        loop.schedule(after: .seconds(delay)) { [weak self, weak domain] in
            guard let self, let domain, !isClosed else { return }
            domain.mayRetryDevices = true
            touched.insert(domain.vni)
            scheduleEvaluation()
        }
        touched.insert(vni)
        scheduleEvaluation()
    }
    /// Deletes devices with our mark whose domain is not managed any more: at once when it left the configuration in this
    /// process's life, otherwise when pruning is allowed.
    func removeUnconfigured() {
        guard hasConfiguration else { return }
        mustRemoveUnconfigured = false
        var found: Set<Int32> = []
        for (vni, interfaces) in links.marked where mayPrune || released.contains(vni) {
            if case .managed = domainsByVNI[vni]?.configuration?.device { continue }
            found.formUnion(interfaces.subtracting(removing))
        }
        guard !found.isEmpty else { return }
        removing.formUnion(found)
        let devices = links.sorted(found)
        let operations = (devices.filter { !$0.isBridge } + devices.filter(\.isBridge)).map {
            LinkOperation.delete(interface: $0.interface, name: $0.name)
        }
        log.info("dataplane.device", ["commands": operations.map(\.description).joined(separator: "; ")])
        let me = OnLoop(self)
        worker.submit { [socket, operations, found, handle = loop.handle] in
            let failures = operations.compactMap { LinuxDataplane.perform([$0], socket) }
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
    var vni: VNI {
        switch self {
        case .flood(let key): key.vni
        case .mac(let key): key.vni
        case .neighbor(let key): key.vni
        }
    }
}
