// What the dataplane holds for one IP-VRF, and how it is kept: its VRF device found, made and corrected.

import AsyncIO
public import EVPN
import NetTypes
import Netlink
import Telemetry

/// Where an IP-VRF is in the kernel now.
struct VRFBinding: Hashable, Sendable {
    /// The VRF device; 0 for the underlay and for a network namespace, whose table is the main one and which have no device.
    var interface: Int32
    /// The routing table's number.
    var table: UInt32
    /// Of our routes, if the configuration has one; 0: what there is by itself.
    var metric: UInt32 = 0

    func metric(isV6: Bool) -> UInt32 { metric == 0 ? routeMetric(isV6: isV6) : metric }

    static let mainTable = VRFBinding(interface: 0, table: RouteTable.main)
    /// Whether it has no device: what is not in any VRF is in it.
    var isMainTable: Bool { interface == 0 && table == RouteTable.main }
}

final class VRF {
    let name: String
    var configuration: IPVRF
    var plan: VRFPlan?
    /// Nil: there is no usable device (yet), for the reason in `problem`.
    var binding: VRFBinding?
    /// The tables that its devices have had since it was configured, the last one last, without those that another VRF had later.
    var tables: [UInt32] = []
    /// What the domains in it were last told of why not.
    var toldProblem: String?
    let work: DeviceWork

    init(_ configuration: IPVRF) {
        name = configuration.name
        self.configuration = configuration
        work = DeviceWork(.vrf(configuration.name))
    }
    var problem: String? { work.failure ?? plan?.problem }
    var remedy: String? { work.failure == nil ? plan?.remedy : nil }
}

extension IPVRF {
    /// The L3 VNI's domain with what follows from its being one: its layer-3 interface is in this VRF.
    var transitDomain: BroadcastDomain? {
        guard var domain else { return nil }
        domain.isTransit = true
        var routed = domain.routed ?? RoutedInterface()
        routed.vrf = name
        domain.routed = routed
        return domain
    }
    /// evpnd makes its VRF device.
    var hasOwnDevice: Bool {
        if case .device = place { isManaged } else { false }
    }
}

extension LinuxDataplane {
    /// Replaces the list of IP-VRFs.
    func configure(_ configurations: [IPVRF]) {
        var new: [String: IPVRF] = [:]
        for configuration in configurations { new[configuration.name] = configuration }
        for name in vrfs.keys.sorted() where new[name] == nil {
            guard let vrf = vrfs[name] else { continue }
            releasedVRFs.insert(name)
            bind(vrf, nil)
            vrfs[name] = nil
            mustRemoveUnconfigured = true
        }
        for (name, configuration) in new.sorted(by: { $0.key < $1.key }) {
            guard let vrf = vrfs[name] else {
                releasedVRFs.remove(name)
                vrfs[name] = VRF(configuration)
                continue
            }
            guard vrf.configuration != configuration else { continue }
            if vrf.configuration.hasOwnDevice, !configuration.hasOwnDevice { releasedVRFs.insert(name) }
            vrf.configuration = configuration
            vrf.work.reset()
        }
        touchedVRFs.formUnion(new.keys)
    }
    /// Compares VRFs with their devices, and has the domains in them looked at where something changed.
    func evaluateVRFs() {
        let names = touchedVRFs.sorted()
        touchedVRFs = []
        for name in names { if let vrf = vrfs[name] { evaluate(vrf) } }
    }
    private func evaluate(_ vrf: VRF) {
        let plan = vrfPlan(vrf)
        vrf.plan = plan
        if plan.awaitsTable { scheduleRetry() }
        if plan.operations.isEmpty {
            vrf.work.finish(isSettled: plan.binding != nil)
        } else {
            change(vrf.work, plan.operations, isDamage: true)
        }
        var binding = plan.binding
        binding?.metric = vrf.configuration.metric ?? 0
        bind(vrf, binding)
        guard vrf.problem != vrf.toldProblem else { return }
        vrf.toldProblem = vrf.problem
        if vrf.binding == nil { touchDomains(in: vrf) }
    }
    private func touchDomains(in vrf: VRF) {
        for (vni, domain) in domainsByVNI where domain.configuration?.routed?.vrf == vrf.name { touched.insert(vni) }
    }
    func vrfPlan(_ vrf: VRF) -> VRFPlan {
        // Who has a table comes before who was told to use it, and that before who takes any; among equals the name decides.
        func claim(_ vrf: VRF) -> (rank: Int, table: UInt32)? {
            guard case .device(let wanted) = vrf.configuration.place else { return nil }
            let table = links[vrf.name]?.vrfTable ?? 0
            if table != 0, wanted == nil || wanted == table { return (0, table) }
            return wanted.map { (1, $0) } ?? (2, vrf.plan?.table ?? 0)
        }
        guard let own = claim(vrf) else { return VRFPlan(vrf.configuration, links: links) }
        let ways = underlayInterfaces(of: vrf.name).sorted().compactMap { links[$0] }
        var claimed: [UInt32: String] = [:]
        for (name, other) in vrfs where name != vrf.name {
            guard let theirs = claim(other), (theirs.rank, name) < (own.rank, vrf.name) else { continue }
            claimed[theirs.table] = "VRF \(name)"
        }
        let moving = vrfs.values.filter { other in
            guard other.configuration.hasOwnDevice, case .device(let wanted?) = other.configuration.place else {
                return false
            }
            return links[other.name].map { $0.vrfTable != wanted } ?? false
        }
        return VRFPlan(
            vrf.configuration, links: links, claimed: claimed, ways: ways, own: vrf.tables,
            moving: Set(moving.map(\.name))
        ) { routesInTable($0) }
    }
    /// What others have in a table, in words.
    private func routesInTable(_ table: UInt32) -> String? {
        Observation.foreignRoutes(table, asking)
    }
    /// The VRF is there with another device or table, or is not there any more.
    private func bind(_ vrf: VRF, _ binding: VRFBinding?) {
        guard vrf.binding != binding else { return }
        vrf.binding = binding
        if let binding {
            for other in vrfs.values { other.tables.removeAll { $0 == binding.table } }
            vrf.tables.append(binding.table)
            log.info("vrf.up", ["vrf": vrf.name, "table": "\(binding.table)"])
        } else {
            log.info("vrf.down", ["vrf": vrf.name, "reason": vrf.problem ?? "not configured"])
        }
        touchDomains(in: vrf)
    }
    /// A device came, changed or went: VRFs of that name are looked at, and those that may wait for its table or for the table of one
    /// that is gone.
    func touchVRFs(_ link: Link) {
        if vrfs[link.name] != nil { touchedVRFs.insert(link.name) }
        guard link.vrfTable != 0 else { return }
        for (name, vrf) in vrfs where vrf.binding == nil || vrf.binding?.table == link.vrfTable {
            touchedVRFs.insert(name)
        }
    }

    /// The configured IP-VRFs, sorted by name.
    public func vrfStatus() -> [VRFStatus] {
        vrfs.values.sorted { $0.name < $1.name }.map { vrf in
            var status = VRFStatus(
                name: vrf.name, device: vrf.plan?.device?.name,
                table: vrf.plan.flatMap { $0.table == 0 ? nil : $0.table }, isManaged: vrf.configuration.isManaged,
                state: vrf.plan?.state ?? .waiting, problem: vrf.problem, remedy: vrf.remedy)
            if let fault = forwardingFault(of: vrf) {
                (status.problem, status.remedy, status.isSilent) = (fault.problem, fault.remedy, true)
            }
            return status
        }
    }
}

extension Observation {
    /// The first routes of a table that neither evpnd nor the kernel made, in words; nil: none, or the table cannot be read.
    static func foreignRoutes(_ table: UInt32, _ socket: NetlinkSocket) -> String? {
        var found: [String] = []
        var count = 0
        for family in [Family.ipv4, Family.ipv6] {
            try? socket.dump(
                restart: { (found, count) = ([], 0) },
                { $0.dumpRoutes(sequence: $1, family: family, table: table) },
                { message in
                    guard message.type == MessageType.newRoute, let route = Route(decoding: message.payload),
                        route.table == table, !route.isCloned,
                        // The kernel's own belong to the addresses of a device that was in the VRF.
                        route.proto != neighborProtocol, route.proto != RouteProtocol.kernel
                    else { return }
                    count += 1
                    if found.count < 3 { found.append("\(route.prefix) proto \(route.proto)") }
                })
        }
        guard count > 0 else { return nil }
        return found.joined(separator: ", ") + (count > found.count ? " and \(count - found.count) more" : "")
    }
}
