// What the dataplane tells about itself: rows for `evpnctl show`, numbers for the metrics and for `explain`.

import AsyncIO
public import EVPN
import NetTypes
import Netlink
import Telemetry

extension LinuxDataplane {
    /// How far one row has come.
    public func status(of key: ForwardingKey) -> EntryStatus {
        if case .prefix(let key) = key { return status(ofRoute: key) }
        guard let vni = key.vni, let domain = domainsByVNI[vni] else { return .absent }
        let table = domain.table
        let (isWanted, isDone, conflict): (Bool, Bool, String?)
        switch key {
        case .mac(let key):
            let row = table.macs[key.mac] ?? FDBRow()
            isWanted = row.isWanted
            isDone = row.isDone(bridged: table.binding?.isBridged == true)
            conflict = self.conflict(key.mac, row, domain)
            if isWanted, row.marks.contains(.yielded), !isDone, !table.ownMACs.contains(key.mac) {
                let port = domain.localMACs[key.mac].map { links.name(of: $0.interface) } ?? "a local port"
                return .waiting(reason: "the bridge has learned the MAC on \(port)")
            }
        case .flood(let key):
            let vni = table.floodVNIs[key.vtep]
            let row = vni.flatMap { table.floods[FloodTarget(vtep: key.vtep, vni: $0)] } ?? FloodRow()
            (isWanted, isDone, conflict) = (row.isWanted, row.isPresent && row.isWanted, nil)
        case .neighbor(let key):
            let row = table.neighbors[key.ip] ?? NeighborRow()
            isWanted = row.want != nil
            isDone = row.want == row.have
            conflict = row.isForeign ? "conflict: a permanent entry that evpnd did not make holds the address" : nil
        case .prefix: return .absent
        }
        guard isWanted else {
            // A removal that the kernel refused.
            return failures[key].map { .failed(reason: $0.reason, since: $0.since) } ?? .absent
        }
        guard table.binding != nil else {
            let reason =
                domain.configuration == nil ? "vni \(domain.vni) is not configured" : domain.problem ?? "starting"
            return .waiting(reason: reason)
        }
        if isDone { return .done }
        if let failure = failures[key] { return .failed(reason: failure.reason, since: failure.since) }
        if let conflict { return .failed(reason: conflict, since: loop.now) }
        if case .neighbor = key, !table.canHoldNeighbors {
            let isAnywhere = table.binding?.neighborInterface != 0
            return .waiting(reason: isAnywhere ? "the bridge is down" : "the VLAN has no device that holds neighbors")
        }
        return .pending
    }
    private func conflict(_ mac: MACAddress, _ row: FDBRow, _ domain: Domain) -> String? {
        if domain.table.localStatics.contains(mac) {
            let port = domain.localMACs[mac].map { links.name(of: $0.interface) } ?? "a local port"
            return "conflict: a static entry on \(port) that evpnd did not make"
        }
        if domain.table.ownMACs.contains(mac) {
            let own = domain.devices?.interfaces.first { links[$0]?.address == mac }
            return "conflict: it is the address of \(own.map { links.name(of: $0) } ?? "a device") on this host"
        }
        if row.marks.contains(.takenOver) || row.have.flags.isDisjoint(with: .foreign) { return nil }
        let table = row.have.flags.contains(.foreignInDevice) ? "the VXLAN device's" : "the bridge's"
        return "conflict: a static entry in \(table) table that evpnd did not make"
    }

    /// What the kernel has for a key now: asked for MACs and neighbors, from the mirror for flood members. Nil: nothing.
    public func kernelEntry(of key: ForwardingKey) -> KernelEntry? {
        if case .prefix(let key) = key { return kernelEntry(ofRoute: key) }
        guard let vni = key.vni, let domain = domainsByVNI[vni], let devices = domain.devices else { return nil }
        var operation = EntryOperation(
            kind: .verifyMAC, domain: domain.vni, interface: devices.vxlan, generation: domain.table.generation)
        operation.sourceVNI = devices.sourceVNI
        operation.vlan = devices.vlan
        let device = links.name(of: devices.vxlan)
        switch key {
        case .mac(let key):
            operation.mac = key.mac
            operation.flags = devices.isBridged ? [.own, .master] : .own
            guard let answer = ApplyOutcome([operation], asking).answers.first else { return nil }
            var entry = KernelEntry(lines: [], isOurs: true)
            for found in [answer.device, answer.bridge] {
                guard let found else { continue }
                entry.lines.append(text(found))
                if !found.flags.contains(.externallyLearned) { entry.isOurs = false }
            }
            return entry.lines.isEmpty ? nil : entry
        case .flood(let key):
            guard let row = domain.table.floods.first(where: { $0.key.vtep == key.vtep && $0.value.isPresent }) else {
                return nil
            }
            let vni =
                (row.key.vni == domain.vni.rawValue ? "" : " vni \(row.key.vni)")
                + (devices.sourceVNI == 0 ? "" : " src_vni \(devices.sourceVNI)")
            return KernelEntry(
                lines: ["\(MACAddress.zero) dev \(device) dst \(key.vtep)\(vni) self"], isOurs: !row.value.isForeign)
        case .neighbor(let key):
            operation.kind = .verifyNeighbor
            operation.interface = devices.neighborInterface
            operation.address = key.ip
            guard let found = ApplyOutcome([operation], asking).answers.first?.neighbor else { return nil }
            let isOurs = found.flags.contains(.externallyLearned) && found.proto == neighborProtocol
            let mac = found.mac.map { " lladdr \($0)" } ?? ""
            let mark = found.flags.contains(.externallyLearned) ? " extern_learn proto \(found.proto)" : ""
            return KernelEntry(
                lines: ["\(found.ip) dev \(links.name(of: found.interface))\(mac)\(mark)"], isOurs: isOurs)
        case .prefix: return nil
        }
    }
    /// What the kernel has found out about an address on the layer-3 interface of a domain. Nil: it has not asked.
    public func resolution(of key: NeighborKey) -> NeighborResolution? {
        guard let domain = domainsByVNI[key.vni], let devices = domain.devices, devices.neighborInterface != 0 else {
            return nil
        }
        var operation = EntryOperation(
            kind: .verifyNeighbor, domain: domain.vni, interface: devices.neighborInterface,
            generation: domain.table.generation)
        operation.address = key.ip
        guard let found = ApplyOutcome([operation], asking).answers.first?.neighbor else { return nil }
        if !found.state.isDisjoint(with: .failed) { return .unanswered(state: "FAILED") }
        if !found.state.isDisjoint(with: .incomplete) { return .unanswered(state: "INCOMPLETE") }
        return found.mac.map { .resolved($0) }
    }
    private func text(_ entry: FDBEntry) -> String {
        var text = "\(entry.mac) dev \(links.name(of: entry.interface))"
        if let destination = entry.destination { text += " dst \(destination)" }
        if let vni = entry.vni { text += " vni \(vni)" }
        if let vni = entry.sourceVNI { text += " src_vni \(vni)" }
        if entry.vlan != 0 { text += " vlan \(entry.vlan)" }
        text += entry.master == 0 ? " self" : " master \(links.name(of: entry.master))"
        if entry.flags.contains(.externallyLearned) { text += " extern_learn" }
        if entry.flags.contains(.sticky) { text += " sticky" }
        if entry.state.contains(.noARP) { text += " static" }
        return text
    }

    /// What would be changed now, as commands; empty when the kernel is as wanted.
    public func plan() -> [String] {
        var lines = vrfs.values.sorted { $0.name < $1.name }.flatMap { vrfPlan($0).operations.map(\.description) }
        lines += newSharedPlan(isEmpty: { _ in true })?.operations.map(\.description) ?? []
        for (_, domain) in domainsByVNI.sorted(by: { $0.key < $1.key }) {
            if let configuration = domain.configuration {
                lines += devicePlan(domain, configuration).operations.map(\.description)
            }
            lines += domain.table.pendingOperations().map { $0.text(device: links.name(of: $0.interface)) }
        }
        return lines + plannedRoutes()
    }

    public var statistics: DataplaneStatistics {
        var total = DataplaneStatistics()
        for domain in domainsByVNI.values {
            let table = domain.table
            let isBridged = table.binding?.isBridged == true
            let isBound = table.binding != nil
            func count(isDone: Bool, hasFailed: Bool) {
                total.desired += 1
                if !isBound {
                    total.waiting += 1
                } else if hasFailed {
                    total.failed += 1
                } else if !isDone {
                    total.pending += 1
                }
            }
            for (mac, row) in table.macs where row.isWanted {
                let isDone = row.isDone(bridged: isBridged)
                let conflicts =
                    !row.have.flags.isDisjoint(with: .foreign) || table.localStatics.contains(mac)
                    || table.ownMACs.contains(mac)
                count(isDone: isDone, hasFailed: !isDone && (row.marks.contains(.failed) || conflicts))
            }
            for row in table.floods.values where row.isWanted {
                count(isDone: row.isPresent, hasFailed: row.marks.contains(.failed))
            }
            // Where nothing routes and no bridge is the domain's own, neighbors have no place.
            for row in table.neighbors.values where row.want != nil && table.binding?.neighborInterface != 0 {
                count(isDone: row.want == row.have, hasFailed: row.marks.contains(.failed) || row.isForeign)
            }
            total.localMACs += domain.localMACs.count + domain.ownMACs.count
            total.localNeighbors += domain.localNeighbors.count + domain.ownNeighbors.count
        }
        countRoutes(in: &total)
        total.healed = Int(healed.value)
        total.requests = Int(requests.value)
        total.refused = Int(refused.value)
        total.overruns = Int(overruns.value)
        return total
    }

    /// The configured domains, sorted by VNI.
    public func domains() -> [DomainStatus] {
        domainsByVNI.values.sorted { $0.vni < $1.vni }.compactMap { domain in
            guard let configuration = domain.configuration else { return nil }
            let plan = domain.plan
            let hasIPv6 = configuration.isManaged && configuration.routed?.addresses.contains { $0.ip.isV6 } == true
            let interface = domain.devices.flatMap { $0.isBridged ? links[$0.neighborInterface]?.name : nil }
            return DomainStatus(
                vni: domain.vni, device: plan?.vxlan?.name, bridge: plan?.bridge?.name,
                isManaged: configuration.isManaged, state: plan?.state ?? .waiting, vtep: plan?.vtep,
                problem: domain.problem ?? (hasIPv6 ? ipv6Forwarding.problem : nil), remedy: domain.remedy,
                interface: interface, absentMembers: plan?.absentMembers ?? [])
        }
    }
}
