// Removes what carries our mark, whether a daemon runs or not.

import AsyncIO
import EVPN
import NetTypes
import Netlink

extension LinuxDataplane {
    /// Removes every entry and device of ours in this namespace, blocking; returns what was done, as commands, each refusal
    /// with the kernel's reason. The dataplane is closed first: it would put everything back.
    public func cleanup() -> [String] {
        let vnis = Set(domainsByVNI.keys)
        close()
        return (try? LinuxDataplane.cleanup(stateDirectory: stateDirectory, vnis: vnis, namespace: namespace)) ?? []
    }

    /// The same without a daemon. `vnis`: only entries of these VNIs' devices; nil: of all VXLAN devices. Devices that carry our
    /// mark are removed in any case. Another control plane's `extern_learn` entries look like ours: do not run it where one is.
    static func cleanup(
        stateDirectory: String, vnis: Set<VNI>?, namespace: NetworkNamespace? = nil
    ) throws(DataplaneError) -> [String] {
        do throws(NetlinkFailure) {
            let socket = try NetlinkSocket(in: namespace)
            let links = try Observation.links(socket)
            let record = FloodRecord(directory: stateDirectory, cookie: namespace?.cookie ?? 0)
            var lines: [String] = []
            for link in links.sorted {
                guard let vxlan = link.vxlan, DeviceMark(link) == nil else { continue }
                if !vxlan.collectsMetadata, VNI(vxlan.vni).map({ vnis?.contains($0) != false }) != true { continue }
                let operations = try marked(link, vxlan, vnis, links, record, socket)
                let outcome = ApplyOutcome(operations, socket)
                var reasons: [Int: String] = [:]
                for refusal in outcome.refused where !refusal.failure.isAbsence {
                    reasons[refusal.index] = refusal.failure.description
                }
                for (index, operation) in operations.enumerated() {
                    let command = operation.text(device: links.name(of: operation.interface))
                    lines.append(command + (reasons[index].map { " # refused: \($0)" } ?? ""))
                }
                record.remove(
                    operations.filter { $0.kind == .deleteFlood }.map { operation in
                        let vni = operation.vni == 0 ? operation.domain.rawValue : operation.vni
                        return FloodRecord.Entry(
                            place: DeviceNumber(operation.interface, operation.sourceVNI),
                            target: FloodTarget(vtep: operation.address, vni: vni))
                    })
            }
            let operations = try markedRoutes(socket)
            let refused = Dictionary(
                LinuxDataplane.send(operations, socket).map { ($0.index, $0.failure) }, uniquingKeysWith: { $1 })
            for (index, operation) in operations.enumerated() {
                let reason = refused[index].flatMap { $0.isAbsence ? nil : " # refused: \($0)" } ?? ""
                lines.append(operation.text { links.name(of: $0) } + reason)
            }
            let devices = links.sorted.filter { DeviceMark($0) != nil }
            for link in links.sortedForRemoval(devices) {
                let operation = LinkOperation.delete(interface: link.interface, name: link.name)
                lines.append(
                    perform([operation], DeviceSockets(own: socket)).failure.map { "# \($0)" } ?? operation.description)
                record.removeAll(of: link.interface)
            }
            return lines
        } catch {
            throw DataplaneError("netlink: \(error)")
        }
    }

    /// Deletions of the entries of ours on one device.
    private static func marked(
        _ link: Link, _ vxlan: Link.VXLAN, _ vnis: Set<VNI>?, _ links: LinkTable, _ record: FloodRecord,
        _ socket: NetlinkSocket
    ) throws(NetlinkFailure) -> [EntryOperation] {
        let bridge = links[link.master].flatMap { $0.isBridge ? $0 : nil }
        let tunnels = links.vlans[link.interface]?.tunnels ?? [:]
        var operations: [EntryOperation] = []
        var neighborInterfaces: [Int32: VNI] = [:]
        var vlans = tunnels
        if let vni = VNI(vxlan.vni) {
            neighborInterfaces[bridge?.interface ?? link.interface] = vni
            vlans = [links.vlans[link.interface]?.pvid ?? 0: vni.rawValue]
        }
        for (vlan, number) in vlans {
            guard let bridge, let vni = VNI(number), isOf(number, vnis) else { continue }
            if let upper = links.uppers[DeviceNumber(bridge.interface, UInt32(vlan))] {
                neighborInterfaces[upper] = vni
            }
        }
        for entry in try Observation.dumpFDB(link.interface, socket) {
            // Whose it is: the device's VNI, or that of the entry, or that of its VLAN.
            let number =
                vxlan.collectsMetadata ? entry.master == 0 ? entry.sourceVNI : tunnels[entry.vlan] : vxlan.vni
            guard let vni = number.flatMap({ VNI($0) }), isOf(number, vnis) else { continue }
            var deletion = EntryOperation(kind: .deleteMAC, domain: vni, interface: link.interface, generation: 0)
            deletion.mac = entry.mac
            deletion.sourceVNI = entry.sourceVNI ?? 0
            deletion.vlan = entry.vlan
            if entry.mac.isZero {
                guard let vtep = entry.destination else { continue }
                let target = FloodTarget(vtep: vtep, vni: entry.vni ?? vni.rawValue)
                guard record.contains(DeviceNumber(link.interface, deletion.sourceVNI), target) else { continue }
                deletion.kind = .deleteFlood
                deletion.address = vtep
                deletion.vni = target.vni == vni.rawValue ? 0 : target.vni
            } else {
                guard entry.flags.contains(.externallyLearned) else { continue }
                deletion.flags = entry.master == 0 ? .own : .master
            }
            operations.append(deletion)
        }
        for (interface, vni) in neighborInterfaces.sorted(by: { $0.key < $1.key }) {
            for family in [Family.ipv4, Family.ipv6] {
                for entry in try Observation.dumpNeighbors(interface, family, socket)
                where entry.proto == neighborProtocol {
                    var removal = EntryOperation(
                        kind: .deleteNeighbor, domain: vni, interface: interface, generation: 0)
                    removal.address = entry.ip
                    operations.append(removal)
                }
            }
        }
        return operations
    }
    private static func isOf(_ number: UInt32?, _ vnis: Set<VNI>?) -> Bool {
        guard let vni = number.flatMap({ VNI($0) }) else { return false }
        return vnis?.contains(vni) != false
    }
}
