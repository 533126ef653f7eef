// Domains on their way out of their devices. A VLAN of the bridge for many VNIs goes after the entries in it: the kernel keeps them
// without their VLAN, and then deletes none of them (br_fdb_delete in net/bridge/br_fdb.c).

import EVPN
import NetTypes
import Netlink

extension LinuxDataplane {
    /// Begins to remove the entries of the VNIs whose mappings are to go, those of an earlier process included.
    func empty(_ plan: SharedPlan) {
        emptied.formIntersection(plan.leaving.keys)
        guard let vxlan = plan.vxlan, let bridge = plan.bridge, let vtep = plan.vtep else { return }
        for (vni, vlan) in plan.leaving.sorted(by: { $0.key < $1.key }) where !emptied.contains(vni) {
            let domain = domain(vni)
            guard !domain.isLeaving else { continue }
            var binding = DeviceBinding(vxlan: vxlan.interface, bridge: bridge.interface, vtep: vtep)
            binding.vlan = vlan
            binding.sourceVNI = vni.rawValue
            if let devices = domain.devices {
                guard devices.vxlanPlace == binding.vxlanPlace, devices.bridgePlace == binding.bridgePlace else {
                    // It lives elsewhere already, and there is no knowing what was here.
                    emptied.insert(vni)
                    mustEvaluateShared = true
                    scheduleEvaluation()
                    continue
                }
            } else {
                domain.devices = binding
                place(domain, binding)
                observe(domain)
            }
            domain.plan?.problem = "VLAN \(vlan) is being left"
            withdrawFacts(of: domain)
            domain.table.drain()
            due(domain)
        }
    }
    /// Forgets a domain that is not configured, and lets a VLAN go, once the last entry is gone.
    func dropIfRetired(_ domain: Domain) {
        guard domain.configuration == nil || domain.isLeaving, !domain.isObserving, domain.table.isClean else { return }
        if domain.isLeaving {
            emptied.insert(domain.vni)
            mustEvaluateShared = true
            touched.insert(domain.vni)
            scheduleEvaluation()
        }
        unbind(domain)
        if domain.configuration == nil, domain.table.isEmpty { domainsByVNI[domain.vni] = nil }
    }
}
