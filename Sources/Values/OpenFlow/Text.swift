// The notation of ovs-ofctl (ovs-actions(7), ovs-fields(7)): what `add-flow` takes, and `dump-flows` shows.

import NetTypes

extension PortNumber: CustomStringConvertible {
    public var description: String {
        switch self {
        case .inPort: "IN_PORT"
        case .normal: "NORMAL"
        case .flood: "FLOOD"
        case .all: "ALL"
        case .controller: "CONTROLLER"
        case .local: "LOCAL"
        case .any: "ANY"
        default: "\(rawValue)"
        }
    }
}

extension Match: CustomStringConvertible {
    /// As in `dump-flows`: `ip,reg2=0x14,nw_dst=10.0.0.0/8`; empty for all packets.
    public var description: String {
        let (fields, unknown) = entries
        func exact(_ field: Field) -> UInt128? { fields.first { $0.field == field && $0.isExact }?.value }
        let etherType = exact(.ethernetType).map { UInt16(truncatingIfNeeded: $0) }
        let ipProtocol = exact(.ipProtocol).map { UInt8(truncatingIfNeeded: $0) }
        let name = Match.protocolName(etherType, ipProtocol)
        var parts: [String] = []
        var late: [(before: Field, text: String)] = []
        for field in fields {
            if let due = late.first, field.field.rawValue >= due.before.rawValue {
                parts.append(due.text)
                late.removeFirst()
            }
            switch field.field {
            case .ethernetType:
                if let name { parts.append(name.text) } else { late.append((.ipv4Source, "\(field)")) }
            case .ipProtocol: if name?.coversProtocol != true { late.append((.arpOperation, "\(field)")) }
            default: parts.append("\(field)")
            }
        }
        parts += late.map(\.text)
        parts += unknown.map { entry in "field(\(entry.map { hexadecimal($0, 2) }.joined()))" }
        return parts.joined(separator: ",")
    }

    /// The word for an EtherType and, where there is one for both, its IP protocol.
    private static func protocolName(_ etherType: UInt16?, _ ipProtocol: UInt8?) -> (
        text: String, coversProtocol: Bool
    )? {
        switch (etherType, ipProtocol) {
        case (EtherType.ipv4, IPProtocol.icmp): ("icmp", true)
        case (EtherType.ipv4, IPProtocol.tcp): ("tcp", true)
        case (EtherType.ipv4, IPProtocol.udp): ("udp", true)
        case (EtherType.ipv4, _): ("ip", false)
        case (EtherType.ipv6, IPProtocol.icmpv6): ("icmp6", true)
        case (EtherType.ipv6, IPProtocol.tcp): ("tcp6", true)
        case (EtherType.ipv6, IPProtocol.udp): ("udp6", true)
        case (EtherType.ipv6, _): ("ipv6", false)
        case (EtherType.arp, _): ("arp", false)
        default: nil
        }
    }
}

extension FlowKey: CustomStringConvertible {
    /// `table=1,priority=10,reg0=0xa,dl_dst=02:00:00:00:00:01`
    public var description: String {
        let match = "\(self.match)"
        return "table=\(table),priority=\(priority)" + (match.isEmpty ? "" : "," + match)
    }
}

extension Flow: CustomStringConvertible {
    /// One line for `add-flow`: `cookie=0x65,table=0,priority=10,in_port=1 actions=set_field:0xa->reg0,resubmit(,1)`.
    public var description: String {
        var text = cookie == 0 ? "" : "cookie=0x\(hexadecimal(cookie)),"
        if idleTimeout != 0 { text += "idle_timeout=\(idleTimeout)," }
        if hardTimeout != 0 { text += "hard_timeout=\(hardTimeout)," }
        if flags.contains(.reportsRemoval) { text += "send_flow_rem," }
        return text + "\(key) actions=\(actionsText(actions))"
    }
}

extension FlowChange: CustomStringConvertible {
    /// The flow, or its key after `delete `: a line of a file for `ovs-ofctl --bundle add-flows`, but that it says `delete_strict`.
    public var description: String {
        switch self {
        case .set(let flow): "\(flow)"
        case .delete(let key): "delete_strict \(key)"
        }
    }
}

extension FieldBits: CustomStringConvertible {
    public var description: String {
        let name = field.info.extendedName
        if count == field.actionWidth { return "\(name)[]" }
        return count == 1 ? "\(name)[\(lowest)]" : "\(name)[\(lowest)..\(lowest + count - 1)]"
    }
}

/// `drop` for none.
func actionsText(_ actions: [Action]) -> String {
    actions.isEmpty ? "drop" : actions.map(\.description).joined(separator: ",")
}

extension Action: CustomStringConvertible {
    public var description: String {
        switch self {
        case .output(let port): return port.rawValue < PortNumber.inPort.rawValue ? "output:\(port)" : "\(port)"
        case .controller(let maxLength): return "CONTROLLER:\(maxLength)"
        case .group(let id): return "group:\(id)"
        case .setField(let field): return "set_field:\(field.valueText)->\(field.field.info.name)"
        case .move(let from, let to): return "move:\(from)->\(to)"
        case .pushVLAN(let etherType): return "push_vlan:0x\(hexadecimal(etherType, 4))"
        case .popVLAN: return "pop_vlan"
        case .decrementTTL: return "dec_ttl"
        case .resubmit(let port, nil): return "resubmit:\(port.map { "\($0)" } ?? "IN_PORT")"
        case .resubmit(let port, let table?): return "resubmit(\(port.map { "\($0)" } ?? ""),\(table))"
        case .connectionTracking(let tracking): return "\(tracking)"
        case .clearConnectionTracking: return "ct_clear"
        case .multipath(let multipath): return "\(multipath)"
        case .note(let octets): return "note:" + octets.map { hexadecimal($0, 2) }.joined(separator: ".")
        case .gotoTable(let table): return "goto_table:\(table)"
        case .unknown(let octets): return "action(\(octets.map { hexadecimal($0, 2) }.joined()))"
        case .unknownInstruction(let octets): return "instruction(\(octets.map { hexadecimal($0, 2) }.joined()))"
        }
    }
}

extension ConnectionTracking: CustomStringConvertible {
    public var description: String {
        var parts: [String] = []
        if commits { parts.append("commit") }
        if forces { parts.append("force") }
        if let table { parts.append("table=\(table)") }
        switch zone {
        case .number(0): break
        case .number(let number): parts.append("zone=\(number)")
        case .field(let bits): parts.append("zone=\(bits)")
        }
        if let nat { parts.append("\(nat)") }
        if !actions.isEmpty { parts.append("exec(\(actionsText(actions)))") }
        return "ct(\(parts.joined(separator: ",")))"
    }
}

extension NAT: CustomStringConvertible {
    public var description: String {
        switch self {
        case .existing: "nat"
        case .source(let range): "nat(src\(range))"
        case .destination(let range): "nat(dst\(range))"
        }
    }
}

extension NATRange: CustomStringConvertible {
    /// What follows `src` or `dst`: `=10.0.0.1-10.0.0.9:100-200,random`.
    public var description: String {
        guard let addresses else { return "" }
        func address(_ address: IPAddress) -> String {
            ports != nil && address.isV6 ? "[\(address)]" : "\(address)"
        }
        var text = "=" + address(addresses.lowerBound)
        if addresses.upperBound != addresses.lowerBound { text += "-" + address(addresses.upperBound) }
        if let ports {
            text += ":\(ports.lowerBound)" + (ports.upperBound == ports.lowerBound ? "" : "-\(ports.upperBound)")
        }
        if flags.contains(.persistent) { text += ",persistent" }
        if flags.contains(.hash) { text += ",hash" }
        if flags.contains(.random) { text += ",random" }
        return text
    }
}

extension Multipath.Fields: CustomStringConvertible {
    public var description: String {
        switch self {
        case .ethernetSource: "eth_src"
        case .symmetricL4: "symmetric_l4"
        case .symmetricL3L4: "symmetric_l3l4"
        case .symmetricL3L4UDP: "symmetric_l3l4+udp"
        case .networkSource: "nw_src"
        case .networkDestination: "nw_dst"
        case .symmetricL3: "symmetric_l3"
        }
    }
}

extension Multipath.Algorithm: CustomStringConvertible {
    public var description: String {
        switch self {
        case .modulo: "modulo_n"
        case .hashThreshold: "hash_threshold"
        case .highestRandomWeight: "hrw"
        case .iterativeHash: "iter_hash"
        }
    }
}

extension Multipath: CustomStringConvertible {
    public var description: String {
        "multipath(\(fields),\(basis),\(algorithm),\(links),\(argument),\(destination))"
    }
}

extension Group: CustomStringConvertible {
    /// One line for `add-group`: `group_id=1,type=select,selection_method=dp_hash,bucket=bucket_id:0,actions=output:1`.
    public var description: String {
        var text = "group_id=\(id),type=\(kind)"
        switch selectionMethod {
        case nil: break
        case .datapathHash: text += ",selection_method=dp_hash"
        case .hash(let fields):
            let names = fields.sorted { $0.rawValue < $1.rawValue }.map(\.info.name).joined(separator: ",")
            text += ",selection_method=hash,fields(\(names))"
        }
        for bucket in buckets {
            text += ",bucket=bucket_id:\(bucket.id)"
            if bucket.weight != (kind == .select ? 1 : 0) { text += ",weight:\(bucket.weight)" }
            if let port = bucket.watchPort { text += ",watch_port:\(port)" }
            text += ",actions=\(actionsText(bucket.actions))"
        }
        return text
    }
}

extension Group.Kind: CustomStringConvertible {
    public var description: String {
        switch self {
        case .all: "all"
        case .select: "select"
        case .indirect: "indirect"
        case .fastFailover: "ff"
        }
    }
}

extension GroupChange: CustomStringConvertible {
    public var description: String {
        switch self {
        case .set(let group): "\(group)"
        case .delete(let id): "delete group_id=\(id)"
        }
    }
}
