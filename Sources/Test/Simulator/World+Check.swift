// What must be true once the fabric has come to rest.

import BGP
import BGPEngine
import EVPN
import NetTypes

extension World {
    /// Everything that is not as it should be, one sentence each; empty when all is well.
    public func check() -> [String] {
        var problems = faults
        for node in reflectors + vteps {
            guard let speaker = node.speaker else {
                problems.append("node \(node.index) is down")
                continue
            }
            for neighbor in speaker.status() where !neighbor.isEstablished {
                problems.append(
                    "node \(node.index): no session with \(neighbor.address): \(neighbor.state), \(neighbor.lastError ?? "-")"
                )
            }
        }
        var expectedRoutes = 0
        for node in vteps {
            expectedRoutes += node.plane.advertisements().count
            problems += checkKernel(node).map { "node \(node.index): \($0)" }
            problems += checkTruth(node).map { "node \(node.index): \($0)" }
        }
        // No leaks: every table holds exactly what all VTEPs announce now.
        for node in reflectors + vteps {
            let count = node.speaker?.rib.destinationCount ?? 0
            if count != expectedRoutes {
                problems.append("node \(node.index): \(count) destinations in the RIB instead of \(expectedRoutes)")
            }
            if node.isReflector { continue }
            let remote = expectedRoutes - node.plane.advertisements().count
            if node.plane.counts.remoteRoutes != remote {
                problems.append(
                    "node \(node.index): \(node.plane.counts.remoteRoutes) remote routes instead of \(remote)")
            }
        }
        return problems
    }

    /// The kernel holds what the control plane wants, and nothing else.
    private func checkKernel(_ node: Node) -> [String] {
        let wanted = node.plane.forwardingState()
        let actual = node.kernel.installed
        if wanted == actual { return [] }
        let missing = Set(wanted).subtracting(actual).map { "not in the kernel: \($0)" }
        let extra = Set(actual).subtracting(wanted).map { "in the kernel without owner: \($0)" }
        return (missing + extra).sorted()
    }

    /// FDB, flood lists and neighbors are what they would be if everybody knew everything.
    private func checkTruth(_ node: Node) -> [String] {
        var problems: [String] = []
        var floods: Set<FloodKey> = []
        for vni in node.vnis {
            for other in vteps where other.index != node.index && other.vnis.contains(vni) {
                floods.insert(FloodKey(vni: vni, vtep: other.address))
            }
        }
        if floods != Set(node.kernel.floods.keys) {
            problems.append("flood lists \(node.kernel.floods.keys.sorted()) instead of \(floods.sorted())")
        }
        var macs: Set<MACKey> = []
        var neighbors: Set<NeighborKey> = []
        for station in stations where node.vnis.contains(station.key.vni) {
            guard let place = station.place, let home = vtep(place) else { continue }
            macs.insert(station.key)
            let entry = node.kernel.fdb[station.key]
            if place == node.index {
                if case .local = entry { continue }
                problems.append("\(station.key) is here, its entry is \(entry.map { "\($0)" } ?? "missing")")
                continue
            }
            if entry != .remote(RemoteMAC(vtep: home.address, vni: station.key.vni)) {
                problems.append(
                    "\(station.key) is behind \(home.address), its entry is \(entry.map { "\($0)" } ?? "missing")")
            }
            for ip in station.addresses {
                let key = NeighborKey(vni: station.key.vni, ip: ip)
                neighbors.insert(key)
                if node.kernel.remoteNeighbors[key]?.mac != station.key.mac {
                    problems.append("\(key) is not known as \(station.key.mac)")
                }
            }
        }
        let routers = vteps.filter { $0.index != node.index }.map(\.address)
        for vtep in routers {
            let mac = Tenant.routerMAC(of: vtep)
            let key = MACKey(vni: Tenant.vni, mac: mac)
            macs.insert(key)
            if node.kernel.fdb[key] != .remote(RemoteMAC(vtep: vtep, vni: Tenant.vni)) {
                problems.append("router \(key) is not behind \(vtep)")
            }
            for ip in RouterNeighbor.addresses(of: vtep) {
                let key = NeighborKey(vni: Tenant.vni, ip: ip)
                neighbors.insert(key)
                if node.kernel.remoteNeighbors[key]?.mac != mac { problems.append("\(key) is not known as \(mac)") }
            }
        }
        problems += checkPrefixes(node)
        for key in Set(node.kernel.fdb.keys).subtracting(macs).sorted() { problems.append("\(key) belongs to nobody") }
        for key in Set(node.kernel.remoteNeighbors.keys).subtracting(neighbors).sorted() {
            problems.append("\(key) belongs to nobody")
        }
        return problems
    }

    /// Every host route leads to the VTEP where the host is, every subnet to the VTEP that has it; and there is nothing else.
    private func checkPrefixes(_ node: Node) -> [String] {
        var wanted: [PrefixKey: RemotePrefix] = [:]
        func add(_ prefix: IPPrefix, _ home: Node) {
            wanted[PrefixKey(vrf: Tenant.name, prefix: prefix)] = RemotePrefix(
                nexthops: [.router(vtep: home.address, through: Tenant.vni)])
        }
        for other in vteps where other.index != node.index { add(Tenant.subnet(of: other.index), other) }
        for station in stations {
            guard let place = station.place, place != node.index, let home = vtep(place) else { continue }
            for ip in station.addresses { if let prefix = IPPrefix(ip, length: ip.bitWidth) { add(prefix, home) } }
        }
        return Set(wanted.keys).union(node.kernel.prefixes.keys).sorted().compactMap { key in
            let (actual, should) = (node.kernel.prefixes[key], wanted[key])
            return actual == should
                ? nil : "\(key) goes to \(actual?.nexthops ?? []) instead of \(should?.nexthops ?? [])"
        }
    }

    /// Switches all stations and all EVIs off, lets the fabric rest, and says what is left of them.
    public func dissolve(seconds: Int) -> [String] {
        for index in stations.indices { leave(index, isClean: random.chance(percent: 50)) }
        run(seconds: seconds)
        var problems = check()
        for node in vteps {
            for vni in node.domains { setDomain(node, vni, isUp: false) }
            report(node, node.kernel.localPrefixes.keys.sorted().map { .prefix($0, nil) })
            node.kernel.localPrefixes = [:]
            give(node, .overlay(Overlay(asn: 65000, routerID: node.routerID, evis: [])))
            settle(node)
        }
        run(seconds: seconds)
        for node in reflectors + vteps {
            if let count = node.speaker?.rib.destinationCount, count != 0 {
                problems.append("node \(node.index): \(count) destinations left in the RIB")
            }
            if node.plane.counts != ControlPlane.Counts() {
                problems.append("node \(node.index): \(node.plane.counts) left in the control plane")
            }
            if !node.plane.storage.isEmpty { problems.append("node \(node.index): \(node.plane.storage) left inside") }
            if !node.kernel.installed.isEmpty { problems.append("node \(node.index): \(node.kernel.installed) left") }
        }
        return problems
    }
}
