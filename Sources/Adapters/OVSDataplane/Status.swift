// What the dataplane tells about itself: rows for `evpnctl show`, numbers for the metrics and for `explain`.

import AsyncIO
public import EVPN
import NetTypes
import OpenFlow
import OpenFlowPipeline
import Telemetry

extension OVSDataplane {
    /// Why it is not ready; nil: the bridge has been read and has what it takes.
    public var notReady: String? {
        if let obstacle { return obstacle }
        return hasSettledOnce ? nil : "the bridge's flows have not been read yet"
    }

    /// How far one row has come.
    public func status(of key: ForwardingKey) -> EntryStatus {
        switch tables.status(of: key) {
        case .absent: return .absent
        case .waiting(let reason): return .waiting(reason: reason)
        case .flows(let keys):
            if let obstacle { return .waiting(reason: obstacle) }
            for key in keys {
                if let failure = sync.failures[key] { return .failed(reason: failure.reason, since: failure.since) }
            }
            for group in tables.groups(of: key) {
                guard let failure = sync.groupFailures[group.id] else { continue }
                return .failed(reason: failure.reason, since: failure.since)
            }
            if sync.isSettled { return .done }
            return sync.isLive && pendingKeys.isDisjoint(with: keys) ? .done : .pending
        }
    }

    private var pendingKeys: Set<FlowKey> {
        if pending.edition != sync.edition { pending = (sync.edition, sync.pendingKeys) }
        return pending.keys
    }
    /// Flows that Open vSwitch refuses, with its words: the first ones, and how many there are.
    public var refusals: (first: [String], count: Int) {
        let flows = sync.failures.sorted { $0.key.description < $1.key.description }
        return (flows.prefix(3).map { "\($0.key): \($0.value.reason)" }, flows.count + sync.groupFailures.count)
    }

    /// The flows and groups that forward for a key, as `ovs-ofctl` would show them; nil: nothing.
    public func kernelEntry(of key: ForwardingKey) -> KernelEntry? {
        guard case .flows(let keys) = tables.status(of: key), sync.isLive else { return nil }
        guard keys.contains(where: { !pendingKeys.contains($0) && sync.failures[$0] == nil }) else { return nil }
        return KernelEntry(lines: tables.explain(key), isOurs: true)
    }

    public var statistics: DataplaneStatistics {
        var total = DataplaneStatistics()
        let counts = tables.counts
        total.desired = counts.rows
        total.localMACs = counts.localMACs
        total.localNeighbors = counts.localNeighbors
        total.localPrefixes = counts.localPrefixes
        // Flows of ports and domains among them, which are no rows.
        total.failed = sync.failures.count + sync.groupFailures.count
        let others = max(0, total.desired - total.failed)
        if sync.isLive {
            total.pending = min(others, sync.pendingCount)
        } else {
            total.waiting = others
        }
        total.healed = sync.healed
        total.requests = sync.sent
        total.refused = sync.refused
        return total
    }

    /// What to do while Open vSwitch is away.
    private var remedy: String? {
        guard !database.isLive || link.problem != nil else { return nil }
        return "systemctl start openvswitch-switch; what it has: ovs-vsctl show"
    }

    /// The configured domains, sorted by VNI.
    public func domains() -> [DomainStatus] {
        let obstacle = notReady
        var vnis: [(vni: VNI, vtep: IPAddress?)] = []
        if let overlay {
            for evi in overlay.evis { vnis.append((evi.vni, evi.domain.vtep)) }
            for vrf in overlay.vrfs {
                if let domain = vrf.domain { vnis.append((domain.vni, domain.vtep)) }
            }
        }
        return vnis.sorted { $0.vni < $1.vni }.map { vni, own in
            DomainStatus(
                vni: vni, device: bridgePlan?.tunnel == nil ? nil : configuration.bridge.tunnelPort,
                bridge: bridgePlan?.isPresent == true ? bridge.name : nil, isManaged: true,
                state: obstacle == nil ? .up : .waiting, vtep: own ?? vtep,
                problem: obstacle ?? bridgePlan?.problems.first, remedy: remedy)
        }
    }
    /// The configured IP-VRFs, sorted by name.
    public func vrfStatus() -> [VRFStatus] {
        let obstacle = notReady
        return (overlay?.vrfs ?? []).map { vrf in
            VRFStatus(
                name: vrf.name, device: bridge.name, table: nil, isManaged: true,
                state: obstacle == nil ? .up : .waiting,
                problem: obstacle, remedy: remedy)
        }
    }

    /// What would be changed now, as commands, and how much is kept that was found; empty when the database and the bridge are as
    /// wanted. The bridge is read for that.
    public func plan(_ done: @escaping ([String]) -> Void) {
        var lines = bridgePlan?.operations.map(\.description) ?? []
        guard sync.isLive else {
            if let obstacle { lines.append("# \(obstacle)") }
            return done(lines)
        }
        link.read { [weak self] contents in
            guard let self, let contents else { return done(lines) }
            let name = self.bridge.name
            for change in self.sync.plan(contents, wanted: self.wanted) { lines.append(change.command(bridge: name)) }
            let kept = self.tables.keptCount
            if kept > 0 {
                let flows =
                    kept == 1 ? "1 flow that was found at start is" : "\(kept) flows that were found at start are"
                lines.append(
                    "# \(flows) kept until every neighbor has told all its routes or forwarding.staleHold is over")
            }
            done(lines)
        }
    }

    func collect(_ metrics: MetricRegistry) {
        metrics.gauge("evpnd_ovs_connected", "Whether the bridge's management socket is connected.").value =
            sync.isLive ? 1 : 0
        metrics.gauge("evpnd_ovsdb_connected", "Whether ovsdb-server is connected.").value = database.isLive ? 1 : 0
        metrics.gauge("evpnd_ovs_flows", "Flows of evpnd in the bridge, as it said last.").value = Double(flowCount)
        metrics.counter("evpnd_ovs_changes_total", "Changes of flows and groups that were sent.").value =
            Double(sync.sent)
        metrics.counter("evpnd_ovs_refused_total", "Changes of flows and groups that were refused.").value =
            Double(sync.refused)
        metrics.counter("evpnd_ovs_healed_total", "Flows and groups put right after somebody else changed them.")
            .value =
            Double(sync.healed)
    }
}

extension BridgeChange {
    /// As an operator would type it.
    func command(bridge: String) -> String {
        switch self {
        case .flow(.set(let flow)): "ovs-ofctl add-flow \(bridge) '\(flow)'"
        case .flow(.delete(let key)): "ovs-ofctl --strict del-flows \(bridge) '\(key)'"
        case .group(.set(let group)): "ovs-ofctl --may-create mod-group \(bridge) '\(group)'"
        case .group(.delete(let id)): "ovs-ofctl del-groups \(bridge) group_id=\(id)"
        }
    }
}
