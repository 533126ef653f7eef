// Carries out changes of devices on the worker's thread: one at a time for each owner, again after a pause when they failed.

import AsyncIO
import EVPN
import NetTypes
import Netlink
import Telemetry

/// Changes of the devices of one owner: at the kernel now, the last ones, why they failed, when to try again.
final class DeviceWork {
    let owner: DeviceMark.Owner
    var isChanging = false
    var lastOperations: [LinkOperation] = []
    var failure: String?
    /// Of single VLANs, the other operations having been done.
    var failures: [VNI: String] = [:]
    var backOffSeconds = 1
    var mayRetry = true
    /// The devices were as configured: a later difference is damage.
    var isSettled = false

    init(_ owner: DeviceMark.Owner) { self.owner = owner }
    /// What the owner is called in the log.
    var kind: String {
        switch owner {
        case .vni: "vni"
        case .shared: "bridge"
        case .vrf: "vrf"
        }
    }
    var name: String {
        switch owner {
        case .vni(let vni): vni.description
        case .shared: "shared"
        case .vrf(let name): name
        }
    }
    /// The configuration is another one.
    func reset() {
        isSettled = false
        lastOperations = []
    }
    /// There is nothing to do.
    func finish(isSettled: Bool) {
        self.isSettled = isSettled
        failure = nil
        failures = [:]
        backOffSeconds = 1
        lastOperations = []
    }
}

/// What a list of device operations came to.
struct DeviceOutcome: Sendable {
    /// The first one.
    var failure: String?
    var failures: [VNI: String] = [:]
    /// Of a layer-3 interface.
    var addedAddresses: Set<SubnetAddress> = []
    /// Interfaces that forward IPv4 now and did not before.
    var forwarding: Set<Int32> = []
    /// The devices as they are afterwards.
    var links: [Link] = []
}

extension LinuxDataplane {
    /// `isDamage`: something that had been right is not any more.
    func change(_ work: DeviceWork, _ operations: [LinkOperation], isDamage: Bool) {
        guard !work.isChanging else { return }
        if operations == work.lastOperations {
            // The same again: it failed, or had no effect. Not at once, but soon.
            guard work.mayRetry else { return }
            if work.failure == nil, let first = operations.first { work.failure = "no effect: \(first)" }
        }
        let commands = operations.map(\.description).joined(separator: "; ")
        if work.isSettled, isDamage {
            work.isSettled = false
            healed.increment()
            log.warning("dataplane.device.corrected", [work.kind: work.name, "commands": commands])
        } else if operations != work.lastOperations {
            log.info("dataplane.device", [work.kind: work.name, "commands": commands])
        }
        work.isChanging = true
        work.lastOperations = operations
        work.mayRetry = false
        let me = OnLoop(self)
        let owner = work.owner
        worker.submit { [deviceSockets, handle = loop.handle] in
            let outcome = LinuxDataplane.perform(operations, deviceSockets)
            handle.post { me { $0.changed(owner, outcome) } }
        }
    }
    /// Does the operations in order. The first failure ends it, except that one VLAN's failure does not concern the others.
    static func perform(_ operations: [LinkOperation], _ sockets: DeviceSockets) -> DeviceOutcome {
        var outcome = DeviceOutcome()
        for operation in operations {
            if case .removeEnds(let table) = operation {
                _ = send((try? markedRoutes(sockets.own, table: table)) ?? [], sockets.own)
            }
            var refused = sockets.transact(operation)
            if operation.toleratesAbsence { refused.removeAll { $0.failure.isAbsence } }
            guard let first = refused.first else {
                if case .addAddress(_, _, let address) = operation { outcome.addedAddresses.insert(address) }
                if case .forwardIPv4(let interface, _) = operation { outcome.forwarding.insert(interface) }
                continue
            }
            var text = "\(operation): \(first.failure)"
            // EOPNOTSUPP: no such kind of device, and no module for it.
            if case .addVRF(let name, _, _) = operation, first.failure.code == 95 {
                text =
                    "the kernel has no VRF devices (CONFIG_NET_VRF): load the module vrf, or give VRF \(name) a namespace; \(text)"
            }
            // EEXIST under a name that is free: the VNI is taken, by a device that may be in any namespace.
            if case .addVXLAN(_, _, let vni?, _, let port, _, _, _) = operation, first.failure.isExistence {
                text =
                    "another VXLAN device has VNI \(vni) and UDP port \(port) (ip -all netns exec ip -d link show type vxlan); \(text)"
            }
            outcome.failure = outcome.failure ?? text
            guard operation.isAlone else { break }
            switch operation {
            case .mapVLAN(_, _, _, let vni), .filterVNI(_, _, let vni): outcome.failures[vni] = text
            default: break
            }
        }
        // Of a device that is down the kernel tells no change of its alias: the devices are asked for.
        outcome.links = read(Set(operations.compactMap(\.deviceName)).sorted(), sockets.own)
        return outcome
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
    private func changed(_ owner: DeviceMark.Owner, _ outcome: DeviceOutcome) {
        guard !isClosed, let work = work(of: owner) else { return }
        // First what was told of the changes: an older notification must not win over what was read after them.
        readNotifications()
        for link in outcome.links {
            guard var known = links[link.interface] else { continue }
            known.alias = link.alias
            known.addressGenerationMode = link.addressGenerationMode
            known.forwardsIPv4 = link.forwardsIPv4
            update(link.interface, known)
        }
        work.isChanging = false
        if case .vrf(let name) = owner {
            routing.switchedOn.formUnion(outcome.forwarding.intersection(underlayInterfaces(of: name)))
        }
        if case .vni(let vni) = owner { domainsByVNI[vni]?.setAddresses.formUnion(outcome.addedAddresses) }
        if let failure = outcome.failure, failure != work.failure {
            log.warning("dataplane.device.refused", [work.kind: work.name, "reason": failure])
        }
        // An operation that had no effect is not told by its acknowledgement.
        let isIneffective = outcome.failure == nil && work.failure != nil
        if !isIneffective { work.failure = outcome.failure }
        work.failures = outcome.failures
        let delay = work.failure == nil ? 1 : work.backOffSeconds
        if work.failure != nil { work.backOffSeconds = min(30, delay * 2) }
        loop.schedule(after: .seconds(delay)) { [weak self, weak work] in
            guard let self, let work, !isClosed else { return }
            work.mayRetry = true
            touch(owner)
            scheduleEvaluation()
        }
        touch(owner)
        scheduleEvaluation()
    }
    private func work(of owner: DeviceMark.Owner) -> DeviceWork? {
        switch owner {
        case .vni(let vni): domainsByVNI[vni]?.work
        case .shared: sharedWork
        case .vrf(let name): vrfs[name]?.work
        }
    }
}
