// Which device is an IP-VRF's, and for managed ones, what has to be done to make it so. Pure: links in, commands out.

import EVPN
import NetTypes
import Netlink

struct VRFPlan: Equatable, Sendable {
    /// Tables that evpnd takes by itself begin here.
    static let firstTable: UInt32 = 1000

    var operations: [LinkOperation] = []
    /// Non-nil: the VRF can hold routes.
    var binding: VRFBinding?
    var state = DomainStatus.State.waiting
    var problem: String?
    /// What an operator can do about `problem`, beginning with a command.
    var remedy: String?
    /// The VRF device, whether usable or not.
    var device: Link?
    /// The table that it has or is to have; 0: not known yet.
    var table: UInt32 = 0
    /// It waits for others to empty the table, of which nobody tells.
    var awaitsTable = false

    /// `claimed`: the tables that other VRFs of the configuration have or want, by their number. `ways`: interfaces of the underlay that
    /// IPv4 routes of the VRF lead to, from which the answers come. `inUse`: what somebody else has in a
    /// table, in words; nil: nothing. It is asked for few tables, and only when a device is to be made. `own`: the tables that the VRF
    /// has had, the last one last: what is in them was put into this VRF. `moving`: VRFs whose devices are to have other tables.
    init(
        _ vrf: IPVRF, links: LinkTable, claimed: [UInt32: String] = [:], ways: [Link] = [], own: [UInt32] = [],
        moving: Set<String> = [], inUse: (UInt32) -> String? = { _ in nil }
    ) {
        var claimed = claimed
        if let own = vrf.export?.filteredTable, claimed[own] == nil {
            claimed[own] = "its netlinkExport with communities, which the VRF's own table takes without linuxTableId"
        }
        switch vrf.place {
        case .underlay, .namespace:
            (binding, state, table) = (.mainTable, .up, VRFBinding.mainTable.table)
        case .device(let table):
            if vrf.isManaged {
                manage(vrf.name, table, reserved: vrf.reservedTables, links, claimed, own, moving, inUse)
            } else {
                adopt(vrf.name, table, links, claimed)
            }
        }
        guard binding != nil else { return }
        for link in ways where link.forwardsIPv4 == false {
            if vrf.hasOwnDevice {
                operations.append(.forwardIPv4(interface: link.interface, name: link.name))
            } else {
                noteForwarding(link)
            }
        }
    }
    private mutating func noteForwarding(_ link: Link) {
        guard problem == nil else { return }
        problem = "IPv4 forwarding is off on \(link.name)"
        remedy = Forwarding.command(link.name)
    }

    private mutating func adopt(_ name: String, _ wanted: UInt32?, _ links: LinkTable, _ claimed: [UInt32: String]) {
        guard let link = links[name] else {
            remedy =
                "ip link add \(name) type vrf table \(wanted ?? VRFPlan.firstTable); or have evpnd make it: managed: true"
            return problem = "no device \(name)"
        }
        device = link
        guard link.vrfTable != 0 else { return problem = "\(name) is \(VRFPlan.text(link)), not a VRF device" }
        table = link.vrfTable
        if let wanted, wanted != table { return problem = "\(name) has table \(table), not \(wanted)" }
        if let other = claimed[table] { return problem = clash(name, other) }
        bind(link, links)
    }
    private mutating func manage(
        _ name: String, _ wanted: UInt32?, reserved: Set<UInt32>, _ links: LinkTable, _ claimed: [UInt32: String],
        _ own: [UInt32], _ moving: Set<String>, _ inUse: (UInt32) -> String?
    ) {
        let ours = links.sorted(links.marked[.vrf(name)]).first { $0.vrfTable != 0 }
        if ours == nil, let link = links[name] {
            device = link
            return problem =
                link.vrfTable != 0
                ? "VRF device \(name) exists and was not made by evpnd"
                : "\(name) exists, is \(VRFPlan.text(link)), and was not made by evpnd"
        }
        device = ours
        let kept = ours.flatMap { reserved.contains($0.vrfTable) ? nil : $0.vrfTable }
        let former = own.last { claimed[$0] == nil && links.vrfs[$0] == nil && !reserved.contains($0) }
        guard let chosen = wanted ?? kept ?? former ?? freeTable(reserved, links, claimed, inUse) else {
            return problem = "no table is free from \(VRFPlan.firstTable) on"
        }
        table = chosen
        guard chosen != 0, !(253...255).contains(chosen) else {
            return problem = "table \(chosen) is one of the system's own"
        }
        if let other = claimed[chosen] { return problem = clash(name, other) }
        if let other = links.sorted(links.vrfs[chosen]).first(where: { $0.interface != ours?.interface }) {
            // It may be waiting for the table of ours.
            if let ours, ours.vrfTable != chosen, case .vrf(let holder)? = DeviceMark(other)?.owner,
                moving.contains(holder)
            {
                operations += links.removal(of: ours)
            }
            return problem = clash(name, "VRF device \(other.name)")
        }
        if let ours, ours.vrfTable == chosen { return correct(ours, name, links) }
        if !own.contains(chosen), let users = inUse(chosen) {
            awaitsTable = true
            return problem = "table \(chosen) of VRF \(name) has routes already: \(users)"
        }
        // The table of a device cannot be changed.
        if let ours { operations += links.removal(of: ours) }
        // A device that somebody else deleted has left them.
        for table in own where table != chosen && links.vrfs[table] == nil {
            operations.append(.removeEnds(table: table))
        }
        operations.append(.addVRF(name: name, table: chosen, mark: DeviceMark(.vrf(name), isNew: true).alias))
        problem = "the device is being made"
    }
    private func freeTable(
        _ reserved: Set<UInt32>, _ links: LinkTable, _ claimed: [UInt32: String], _ inUse: (UInt32) -> String?
    ) -> UInt32? {
        // A bound for a host whose tables are all taken: each one asked for is a question to the kernel.
        var questions = 1000
        for table in VRFPlan.firstTable..<VRFPlan.firstTable + 100_000
        where claimed[table] == nil && links.vrfs[table] == nil && !reserved.contains(table) {
            questions -= 1
            if inUse(table) == nil { return table }
            if questions == 0 { return nil }
        }
        return nil
    }
    private mutating func correct(_ link: Link, _ name: String, _ links: LinkTable) {
        if link.name != name { operations.append(.rename(interface: link.interface, from: link.name, to: name)) }
        if link.forwardsIPv4 == false { operations.append(.forwardIPv4(interface: link.interface, name: name)) }
        if DeviceMark(link)?.isNew == true {
            let mark = DeviceMark(.vrf(name), isNew: false).alias
            operations.append(.activate(interface: link.interface, name: name, mark: mark))
            return problem = "the device is being made"
        }
        if !link.isUp { operations.append(.activate(interface: link.interface, name: name)) }
        bind(link, links)
    }
    private mutating func bind(_ link: Link, _ links: LinkTable) {
        if let other = links.sorted(links.vrfs[link.vrfTable]).first(where: { $0.interface != link.interface }) {
            return problem = clash(link.name, "VRF device \(other.name)")
        }
        guard link.isUp else {
            state = .down
            remedy = "ip link set \(link.name) up"
            return problem = "\(link.name) is down"
        }
        state = .up
        binding = VRFBinding(interface: link.interface, table: link.vrfTable)
        if link.forwardsIPv4 == false, operations.isEmpty {
            noteForwarding(link)
        }
    }
    private func clash(_ name: String, _ other: String) -> String {
        "table \(table) is that of VRF \(name) and of \(other)"
    }
    private static func text(_ link: Link) -> String {
        link.kind.isEmpty ? "a network device" : "a device of the kind \(link.kind)"
    }
}
