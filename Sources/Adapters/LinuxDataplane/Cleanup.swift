// Removes what carries our mark, whether a daemon runs or not.

import AsyncIO
import EVPN
public import NetTypes
import Netlink

extension LinuxDataplane {
    /// Removes every entry and device of ours in this namespace, blocking; returns what was done, as commands, each refusal
    /// with the kernel's reason. The dataplane is closed first: it would put everything back.
    public func cleanup() -> [String] {
        let vnis = Set(domainsByVNI.keys)
        close()
        return (try? LinuxDataplane.cleanup(stateDirectory: stateDirectory, vnis: vnis)) ?? []
    }

    /// The same without a daemon. `vnis`: only entries of these VNIs' devices; nil: of all VXLAN devices. Devices that carry our
    /// mark are removed in any case. Another control plane's `extern_learn` entries look like ours: do not run it where one is.
    public static func cleanup(stateDirectory: String, vnis: Set<VNI>?) throws(DataplaneError) -> [String] {
        do throws(NetlinkFailure) {
            let socket = try NetlinkSocket()
            let links = try Observation.links(socket)
            let record = FloodRecord(directory: stateDirectory)
            var lines: [String] = []
            for link in links.sorted {
                guard let vxlan = link.vxlan, let vni = VNI(vxlan.vni), DeviceMark(link.alias) == nil,
                    vnis?.contains(vni) != false
                else { continue }
                let bridge = links[link.master]?.isBridge == true ? link.master : 0
                let operations = try marked(link, vni: vni, bridge: bridge, record, socket)
                let outcome = ApplyOutcome(operations, socket)
                var reasons: [Int: String] = [:]
                for refusal in outcome.refused where !refusal.failure.isAbsence {
                    reasons[refusal.index] = refusal.failure.description
                }
                for (index, operation) in operations.enumerated() {
                    let command = operation.text(device: links.name(of: operation.interface))
                    lines.append(command + (reasons[index].map { " # refused: \($0)" } ?? ""))
                }
                record.removeAll(of: link.interface)
            }
            let devices = links.sorted.filter { DeviceMark($0.alias) != nil }
            for link in devices.filter({ !$0.isBridge }) + devices.filter(\.isBridge) {
                let operation = LinkOperation.delete(interface: link.interface, name: link.name)
                lines.append(perform([operation], socket).map { "# \($0)" } ?? operation.description)
                record.removeAll(of: link.interface)
            }
            return lines
        } catch {
            throw DataplaneError("netlink: \(error)")
        }
    }

    /// Deletions of the entries of ours on one device.
    private static func marked(
        _ link: Link, vni: VNI, bridge: Int32, _ record: FloodRecord, _ socket: NetlinkSocket
    ) throws(NetlinkFailure) -> [EntryOperation] {
        var operations: [EntryOperation] = []
        var deletion = EntryOperation(kind: .deleteMAC, domain: vni, interface: link.interface, generation: 0)
        for entry in try Observation.dumpFDB(link.interface, socket) {
            deletion.mac = entry.mac
            if entry.mac.isZero {
                guard let vtep = entry.destination else { continue }
                let target = FloodTarget(vtep: vtep, vni: entry.vni ?? vni.rawValue)
                guard record.contains(link.interface, target) else { continue }
                deletion.kind = .deleteFlood
                deletion.address = vtep
                deletion.vni = target.vni == vni.rawValue ? 0 : target.vni
            } else {
                guard entry.flags.contains(.externallyLearned) else { continue }
                deletion.kind = .deleteMAC
                deletion.flags = entry.master == 0 ? .own : .master
            }
            operations.append(deletion)
        }
        let neighborInterface = bridge == 0 ? link.interface : bridge
        for family in [Family.ipv4, Family.ipv6] {
            for entry in try Observation.dumpNeighbors(neighborInterface, family, socket)
            where entry.proto == neighborProtocol {
                var removal = EntryOperation(
                    kind: .deleteNeighbor, domain: vni, interface: neighborInterface, generation: 0)
                removal.address = entry.ip
                operations.append(removal)
            }
        }
        return operations
    }
}
