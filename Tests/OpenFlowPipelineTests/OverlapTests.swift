// Of two flows that fit a packet and have one priority Open vSwitch takes any.

import EVPN
import OpenFlow
import OpenFlowPipeline
import Testing

extension Flow {
    /// Whether a packet may meet both.
    fileprivate func overlaps(_ other: Flow) -> Bool {
        guard key.table == other.key.table, key.priority == other.key.priority else { return false }
        for field in key.match.fields {
            guard let rival = other.key.match[field.field] else { continue }
            if (field.value ^ rival.value) & field.mask & rival.mask != 0 { return false }
        }
        // A packet is in a domain or in a VRF.
        func isOf(_ register: Field, _ flow: Flow) -> Bool { (flow.key.match[register]?.value ?? 0) != 0 }
        return !(isOf(.register0, self) && isOf(.register2, other) || isOf(.register2, self) && isOf(.register0, other))
    }
}

@Suite struct OverlapTests {
    @Test("no packet meets two flows of one priority that do different things", arguments: [false, true])
    func overlaps(groups: Bool) {
        let flows = fullLab(groups: groups).tables.allFlows
        for (index, flow) in flows.enumerated() {
            for other in flows[(index + 1)...] where flow.actions != other.actions {
                #expect(!flow.overlaps(other), "\(flow) and \(other)")
            }
        }
    }
}
