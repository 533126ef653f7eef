// A switch of a few lines: what flows do to a packet, for tests that look at thousands of states.

import OpenFlow

/// The fields of a packet; those that are not there are 0.
typealias Packet = [Field: UInt128]

struct Interpreter {
    private struct Entry {
        var key: FlowKey
        var fields: [MatchField]
        var actions: [Action]
    }
    /// Highest priority first.
    private var tables: [UInt8: [Entry]] = [:]
    var groups: [UInt32: Group] = [:]

    mutating func apply(_ change: FlowChange) {
        let key = change.key
        var table = tables[key.table] ?? []
        let old = table.firstIndex { $0.key == key }
        if case .set(let flow) = change {
            let entry = Entry(key: key, fields: key.match.fields, actions: flow.actions)
            if let old {
                table[old] = entry
            } else {
                table.insert(entry, at: table.firstIndex { $0.key.priority < key.priority } ?? table.count)
            }
        } else if let old {
            table.remove(at: old)
        }
        tables[key.table] = table
    }

    /// What table 0 does to a packet; nil: it has no flow there.
    func classify(_ packet: Packet) -> [Action]? { tables[0]?.first { matches($0.fields, packet) }?.actions }

    /// Where a packet can leave, over any of equal paths; `drop` where one of those leads nowhere.
    func outputs(_ packet: Packet) -> Set<String> {
        var found: Set<String> = []
        for choice in 0..<4 { found.formUnion(outputs(packet, choice: UInt32(choice))) }
        return found
    }

    /// With the path of this number, modulo their count, wherever there are several.
    private func outputs(_ packet: Packet, choice: UInt32) -> Set<String> {
        var packet = packet
        var found: Set<String> = []
        lookUp(0, &packet, choice, 0, &found)
        return found.isEmpty ? ["drop"] : found
    }

    private func lookUp(
        _ table: UInt8, _ packet: inout Packet, _ choice: UInt32, _ depth: Int, _ found: inout Set<String>
    ) {
        guard depth < 32 else {
            found.insert("loop")
            return
        }
        guard let flow = tables[table]?.first(where: { matches($0.fields, packet) }) else { return }
        perform(flow.actions, table, &packet, choice, depth, &found)
    }

    private func matches(_ fields: [MatchField], _ packet: Packet) -> Bool {
        fields.allSatisfy { (packet[$0.field] ?? 0) & $0.mask == $0.value }
    }

    private func perform(
        _ actions: [Action], _ table: UInt8, _ packet: inout Packet, _ choice: UInt32, _ depth: Int,
        _ found: inout Set<String>
    ) {
        for action in actions {
            switch action {
            case .output(.inPort): found.insert("in port")
            case .output(let port):
                guard UInt128(port.rawValue) != packet[.inPort] else { continue }
                let vtep = packet[.tunnelIPv4Destination] ?? 0
                let address = port.rawValue == 65278 ? " \(packet[.tunnelID] ?? 0) \(vtep)" : ""
                found.insert(
                    "\(port.rawValue)\(address) vlan \(packet[.vlanID] ?? 0) to \(packet[.ethernetDestination] ?? 0)")
            case .setField(let field):
                packet[field.field] = (packet[field.field] ?? 0) & ~field.mask | field.value
            case .move(let from, let to): packet[to.field] = packet[from.field] ?? 0
            case .popVLAN: packet[.vlanID] = 0
            case .pushVLAN: packet[.vlanID] = 0x1000
            case .resubmit(_, let next): lookUp(next ?? table, &packet, choice, depth + 1, &found)
            case .multipath(let multipath):
                packet[multipath.destination.field] = UInt128(choice) % UInt128(multipath.links)
            case .group(let id):
                guard let group = groups[id], !group.buckets.isEmpty else { continue }
                var copy = packet
                perform(
                    group.buckets[Int(choice) % group.buckets.count].actions, table, &copy, choice, depth, &found)
            case .connectionTracking(let tracking):
                guard let next = tracking.table else { continue }
                var copy = packet
                copy[.connectionState] = UInt128(ConnectionState([.tracked, .established]).rawValue)
                lookUp(next, &copy, choice, depth + 1, &found)
            default: break
            }
        }
    }
}
