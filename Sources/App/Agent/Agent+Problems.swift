// What of the configuration is not in force, and what to do about it: for `show status` and `plan`.

import Documents
import EVPN
import Intents
import KernelRoutes
import NetTypes
import UnicastRoutes

/// One sentence about something that does not work as it is configured.
struct ServiceProblem {
    /// `vrf ten`, `vni 100`, `rule edge`.
    var subject: String
    var text: String
    /// What an operator can do, beginning with a command.
    var wayOut: String?
    var json: JSONValue {
        [
            "subject": JSONValue(subject), "problem": JSONValue(text),
            "way_out": wayOut.map { JSONValue($0) } ?? .null,
        ]
    }
}

extension Agent {
    /// Problems that are listed at most.
    static let problemLimit = 100

    /// VRFs and VNIs that are not up, or are up with something wrong; rules of `netlinkExport` without a table, and routes of theirs
    /// that the kernel refused.
    func serviceProblems() -> [ServiceProblem] {
        var found = lateKeys.map {
            ServiceProblem(
                subject: $0, text: "was changed and takes effect at the next start", wayOut: "systemctl restart evpnd")
        }
        var told: Set<String> = []
        for vtep in Set(dataplane.domains().compactMap(\.vtep)).sorted() {
            guard let problem = vtepProblem(vtep) else { continue }
            found.append(problem)
        }
        found += unusableProblems()
        for view in vrfs() {
            guard let fault = view.fault ?? (view.state == .up ? nil : VRFView.Fault("not up yet", nil)) else {
                continue
            }
            found.append(ServiceProblem(subject: "vrf \(view.row.name)", text: fault.text, wayOut: fault.remedy))
            told.insert(fault.text)
        }
        for domain in dataplane.domains() {
            guard let text = domain.problem ?? (domain.state == .up ? nil : "not up yet") else { continue }
            // Said of the VRF already, which may be all that is wrong with the VNI.
            guard !told.contains(text), !told.contains("vni \(domain.vni): \(text)") else { continue }
            found.append(ServiceProblem(subject: "vni \(domain.vni)", text: text, wayOut: domain.remedy))
        }
        for domain in dataplane.domains() where !domain.absentMembers.isEmpty && domain.problem == nil {
            found.append(
                ServiceProblem(
                    subject: "vni \(domain.vni)",
                    text: "waits for \(domain.absentMembers.joined(separator: " ")) (members), not there yet",
                    wayOut: nil))
        }
        for row in controlPlane.vniRows() where row.frozenMACs > 0 {
            found.append(
                ServiceProblem(
                    subject: "vni \(row.vni)", text: "\(counted(row.frozenMACs, "MAC")) frozen as duplicates",
                    wayOut: "evpnctl show macs --vni \(row.vni); find the second owner, then: evpnctl recover mac MAC"))
        }
        for dispute in controlPlane.disputedAddresses() {
            found.append(
                ServiceProblem(
                    subject: "vni \(dispute.vni)", text: "\(dispute.ip): \(dispute.text)",
                    wayOut: "give one of them another address"))
        }
        found += routeProblems()
        let table = kernelRoutes.exportTable
        for (rule, problem) in table.ruleProblems.sorted(by: { $0.key < $1.key }) {
            found.append(ServiceProblem(subject: "rule \(rule)", text: problem, wayOut: nil))
        }
        for entry in table.refused(limit: Agent.problemLimit) {
            let rule = entry.rule.map { "rule \($0)" } ?? "netlinkExport"
            found.append(
                ServiceProblem(
                    subject: rule, text: "\(entry.key.prefix) in table \(entry.key.table): \(entry.status.text)",
                    wayOut: nil))
        }
        return Array(found.prefix(Agent.problemLimit))
    }

    /// Of each VRF that is up the first route that is refused, or waits for something.
    private func routeProblems() -> [ServiceProblem] {
        let statistics = dataplane.statistics
        guard statistics.failed + statistics.waiting > 0 else { return [] }
        return vrfs().compactMap { view in
            guard view.state == .up else { return nil }
            let name = view.row.name
            for row in controlPlane.prefixPage(vrf: name, limit: 10_000).rows where !row.nexthops.isEmpty {
                let status = dataplane.status(of: .prefix(row.key))
                switch status {
                case .failed, .waiting:
                    return ServiceProblem(
                        subject: "vrf \(name)", text: "\(row.key.prefix) is \(status.text)",
                        wayOut: "evpnctl explain prefix \(row.key.prefix) --vrf \(name)")
                default: continue
                }
            }
            return nil
        }
    }

    /// What of the configuration waits for the next start.
    var lateKeys: [String] {
        let (old, new) = (started, configuration)
        var keys = [
            ("bgp.speaker", (new.gobgp == nil) != (old.gobgp == nil)),
            ("dataplane", (new.openVSwitch == nil) != (old.openVSwitch == nil)),
            ("control", new.control != old.control), ("node.name", new.node.name != old.node.name),
        ]
        if let old = old.openVSwitch?.bridge, let new = new.openVSwitch?.bridge {
            keys += [
                ("openvswitch.bridge", old.name != new.name), ("openvswitch.database", old.database != new.database),
                ("openvswitch.runDirectory", old.runDirectory != new.runDirectory),
                ("openvswitch.tls", old.tls != new.tls),
            ]
        }
        return keys.filter(\.1).map(\.0)
    }

    /// Nobody can send to an address that this host does not have.
    func vtepProblem(_ vtep: IPAddress) -> ServiceProblem? {
        guard !isLocalAddress(vtep) else { return nil }
        return ServiceProblem(
            subject: "vtep \(vtep)", text: "is on no interface of this host: nothing that others send arrives",
            wayOut:
                "ip address add \(vtep)/\(vtep.isV6 ? 128 : 32) dev lo; or correct node.vtep in \(options.configurationPath)"
        )
    }
}
