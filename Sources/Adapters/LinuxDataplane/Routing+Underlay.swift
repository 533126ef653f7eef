// Routes of the underlay that are visible in IP-VRFs. The host's own table has no device that packets could be handed to: such a route is
// a copy of the underlay's, with the same next hops, and follows it.

import AsyncIO
import EVPN
import NetTypes
import Netlink
import Telemetry

/// A next hop of a route in the host's own table.
enum UnderlayHop: Hashable, Comparable, Sendable {
    /// `gateway` nil: everybody is on the link.
    case way(interface: Int32, gateway: IPAddress?, isOnLink: Bool)
    /// There is none, for that reason.
    case nothing(reason: String)

    /// The next hops that a VRF's route takes over. `routes`: those of the underlay for its prefix, the best first. `leadsBack`: the
    /// interface is the VRF's own.
    static func hops(_ routes: [LocalRoute], leadsBack: (Int32) -> Bool) -> [UnderlayHop] {
        guard let best = routes.first(where: { $0.tos == 0 }) else {
            return [.nothing(reason: "the underlay has no such route")]
        }
        guard best.type == RouteType.unicast else {
            return [.nothing(reason: "the underlay's route is \(RouteType.name(best.type))")]
        }
        let hops = ([best.hop] + best.otherHops).filter { $0.interface != 0 }
        guard !hops.isEmpty else { return [.nothing(reason: "the underlay's route has no next hop")] }
        let onward = hops.filter { !leadsBack($0.interface) }
        guard !onward.isEmpty else { return [.nothing(reason: "the underlay's route leads back into the VRF")] }
        return onward.map { .way(interface: $0.interface, gateway: $0.gateway, isOnLink: $0.isOnLink) }
    }
    static func < (a: Self, b: Self) -> Bool {
        switch (a, b) {
        case (.way(let interface, let gateway, let isOnLink), .way(let otherInterface, let other, let otherIsOnLink)):
            if interface != otherInterface { return interface < otherInterface }
            if gateway != other {
                guard let gateway, let other else { return gateway == nil }
                return gateway < other
            }
            return !isOnLink && otherIsOnLink
        case (.nothing(let reason), .nothing(let other)): return reason < other
        case (.way, .nothing): return true
        case (.nothing, .way): return false
        }
    }
}

extension RouteType {
    /// As in `ip route`.
    static func name(_ type: UInt8) -> String {
        switch type {
        case blackhole: "blackhole"
        case unreachable: "unreachable"
        case prohibit: "prohibit"
        default: "of type \(type)"
        }
    }
}

extension LinuxDataplane {
    private func isUnderlay(_ name: String) -> Bool { vrfs[name]?.configuration.place == .underlay }

    /// The ways of a route that is taken from the underlay; nil for any other. Keeps whose routes the VRF has.
    func leakedWays(_ vrf: RoutedVRF, _ prefix: IPPrefix, _ nexthops: [RoutedNexthop]) -> [NexthopWay]? {
        var isLeaked = false
        for case .table(let source) in nexthops {
            vrf.sources.insert(source)
            if isUnderlay(source) { isLeaked = true }
        }
        guard isLeaked else { return nil }
        let isV6 = prefix.address.isV6
        let device = vrf.binding?.interface ?? 0
        return nexthops.flatMap { nexthop in
            guard case .table(let source) = nexthop, isUnderlay(source) else {
                return [NexthopWay(nexthop, isV6: isV6)]
            }
            let routes = routing.vrfs[source]?.table.locals.routes[prefix] ?? []
            let hops = UnderlayHop.hops(routes) { [links] interface in
                device != 0 && (interface == device || links[interface]?.master == device)
            }
            if !isV6 { noteUnderlay(vrf, hops) }
            return hops.map { NexthopWay($0, underlay: source, isV6: isV6) }
        }
    }
    /// Answers from an interface that is new to the VRF have to be forwarded: `VRFPlan` sees to it.
    private func noteUnderlay(_ vrf: RoutedVRF, _ hops: [UnderlayHop]) {
        for case .way(let interface, _, _) in hops where vrf.underlayInterfaces.insert(interface).inserted {
            vrfs[vrf.name]?.work.reset()
            touchedVRFs.insert(vrf.name)
            scheduleEvaluation()
        }
    }
    /// The interfaces of the underlay that IPv4 routes of a VRF lead to now.
    func underlayInterfaces(of name: String) -> Set<Int32> {
        guard let vrf = routing.vrfs[name], !vrf.underlayInterfaces.isEmpty else { return [] }
        var sets: Set<UInt32> = []
        for (prefix, row) in vrf.table.rows where row.want != 0 && !prefix.address.isV6 { sets.insert(row.want) }
        vrf.underlayInterfaces = []
        for way in sets.flatMap({ routing.nexthops.ways(of: $0) }) {
            if case .way(let interface, _, _)? = way.hop { vrf.underlayInterfaces.insert(interface) }
        }
        return vrf.underlayInterfaces
    }

    /// Switches off again what was switched on for routes that are gone.
    func restoreForwarding() {
        guard !routing.switchedOn.isEmpty else { return }
        var needed: Set<Int32> = []
        for name in vrfs.keys { needed.formUnion(underlayInterfaces(of: name)) }
        let unneeded = routing.switchedOn.subtracting(needed)
        routing.switchedOn.subtract(unneeded)
        let operations = unneeded.sorted().compactMap { interface -> LinkOperation? in
            guard let link = links[interface], link.forwardsIPv4 == true else { return nil }
            return .stopForwardingIPv4(interface: interface, name: link.name)
        }
        guard !operations.isEmpty else { return }
        log.info("dataplane.device", ["commands": operations.map(\.description).joined(separator: "; ")])
        worker.submit { [deviceSockets] in _ = LinuxDataplane.perform(operations, deviceSockets) }
    }

    /// A route of the underlay has changed: those that are taken from it follow.
    func leaksFollow(_ source: RoutedVRF, _ prefix: IPPrefix) {
        guard isUnderlay(source.name) else { return }
        for vrf in routing.vrfs.values where vrf.sources.contains(source.name) { setLeak(vrf, prefix) }
    }
    /// VRFs have become the underlay, or are not any more.
    func followUnderlays() {
        let now = Set(vrfs.keys.filter { isUnderlay($0) })
        let changed = now.symmetricDifference(routing.underlays)
        routing.underlays = now
        guard !changed.isEmpty else { return }
        for vrf in routing.vrfs.values where !vrf.sources.isDisjoint(with: changed) { setLeaks(vrf) }
    }
    /// Wishes again what a VRF has of others.
    func setLeaks(_ vrf: RoutedVRF) {
        guard !vrf.sources.isEmpty else { return }
        for prefix in vrf.table.rows.keys.sorted() { setLeak(vrf, prefix) }
    }
    private func setLeak(_ vrf: RoutedVRF, _ prefix: IPPrefix) {
        guard let row = vrf.table.rows[prefix], row.want != 0 else { return }
        let nexthops = routing.nexthops.nexthops(of: row.want)
        guard nexthops.contains(where: { if case .table = $0 { true } else { false } }) else { return }
        if let ways = leakedWays(vrf, prefix, nexthops), Set(ways).sorted() == routing.nexthops.ways(of: row.want) {
            return
        }
        set(vrf, prefix, nexthops)
    }
}
