// Flows that evpn-connector has left behind. It has no cookie of its own, and owns the whole bridge; evpnd removes of what it finds there
// only what that project makes for sure: its tables, priorities, matches and actions.

import NetTypes
public import OpenFlow

extension Flow {
    /// Whether evpn-connector makes flows of this shape. Those with which its tables end are left out: evpnd has them too.
    public var isConnectors: Bool {
        guard cookie == 0, idleTimeout == 0, hardTimeout == 0, flags.isEmpty, actions.allSatisfy(\.isConnectors) else {
            return false
        }
        var fields: [Field: MatchField] = [:]
        for field in key.match.fields { fields[field.field] = field }
        // The octets say whether there is anything else in the match.
        guard Match(Array(fields.values)) == key.match else { return false }
        let tag = fields.removeValue(forKey: .vlanID)
        if let tag, !tag.isExact || tag.value & 0x1000 == 0 || key.table != Layout.Table.classify { return false }
        switch key.table {
        case Layout.Table.classify: return isClassifier(fields)
        case Layout.Table.forward: return isInDomain(fields) || isRoute(fields)
        case Layout.Table.paths: return fields.removeValue(forKey: .register3)?.isExact == true && isRoute(fields)
        default: return false
        }
    }

    /// Ports and VNIs; ARP of routed clients; anycast addresses.
    private func isClassifier(_ fields: [Field: MatchField]) -> Bool {
        guard fields[.inPort]?.isExact == true else { return false }
        switch (key.priority, Set(fields.keys)) {
        case (Layout.Priority.normal, [.inPort]), (Layout.Priority.normal, [.inPort, .tunnelID]):
            let written = actions.compactMap(\.written)
            return actions.last == .lookup(Layout.Table.forward)
                && (written == [.register0, .register1] || written == [.register2])
        case (Layout.Priority.special, [.inPort, .ethernetType]):
            return fields[.ethernetType] == .arp && actions.last == .output(.inPort)
                && actions.contains(.setField(.arpOperation(2)))
        case (Layout.Priority.special, [.inPort, .ethernetType, .ipv4Source, .connectionState]):
            if case .connectionTracking = actions.first { return true }
            return false
        case (Layout.Priority.special, [.inPort, .ethernetType, .ipv4Destination]):
            return actions.compactMap(\.written) == [.ipv4Source, .ipv4Destination, .ethernetDestination]
        default: return false
        }
    }
    private func isInDomain(_ fields: [Field: MatchField]) -> Bool {
        guard fields.values.allSatisfy(\.isExact), !actions.isEmpty else { return false }
        switch (key.priority, Set(fields.keys)) {
        case (Layout.Priority.normal, [.register0, .ethernetDestination]),
            (Layout.Priority.normal, [.register0, .register1, .ethernetDestination]),
            (Layout.Priority.flood, [.register0, .register1]):
            if case .output = actions.last { return true }
            return false
        default: return false
        }
    }
    private func isRoute(_ fields: [Field: MatchField]) -> Bool {
        var fields = fields
        fields[.connectionState] = nil
        let length = (fields.removeValue(forKey: .ipv4Destination)?.mask).map { $0.nonzeroBitCount } ?? 0
        return Set(fields.keys) == [.ethernetType, .register2] && fields[.register2]?.isExact == true
            && fields[.ethernetType] == .ip(isV6: false) && Int(key.priority) == 10 + length && !actions.isEmpty
    }
}

extension Action {
    /// The field that is written.
    fileprivate var written: Field? { if case .setField(let field) = self { field.field } else { nil } }

    /// Whether evpn-connector has actions of this kind.
    fileprivate var isConnectors: Bool {
        switch self {
        case .output(let port): port == .inPort || port.rawValue <= 0xfeff
        case .resubmit(nil, let table): table == Layout.Table.forward || table == Layout.Table.paths
        case .setField, .move, .pushVLAN, .popVLAN, .decrementTTL, .connectionTracking, .multipath: true
        default: false
        }
    }
}
