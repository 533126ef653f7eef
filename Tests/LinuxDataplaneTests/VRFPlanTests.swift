// VRF devices and layer-3 interfaces: what is to be done, and what is wrong. Without a kernel.

import BGP
import EVPN
import NetTypes
import Netlink
import Testing

@testable import LinuxDataplane

@Suite struct VRFPlanTests {
    private func vrf(_ name: String = "red", table: UInt32? = nil, isManaged: Bool = true) -> IPVRF {
        IPVRF(
            name: name, isManaged: isManaged, place: .device(table: table),
            rd: RouteDistinguisher(IPv4Address(rawValue: 1), 1), importTargets: .explicit([]), exportTargets: [])
    }
    private func device(
        _ interface: Int32 = 10, _ name: String = "red", table: UInt32 = 1000, alias: String = "evpnd:vrf=red"
    ) -> Link {
        var link = Link(interface: interface, name: name)
        link.kind = "vrf"
        link.vrfTable = table
        link.alias = alias
        link.flags = 1
        link.forwardsIPv4 = true
        return link
    }
    private func table(_ links: [Link], _ addresses: [InterfaceAddress] = []) -> LinkTable {
        var underlay = Link(interface: 1, name: "eth0")
        underlay.mtu = 1500
        underlay.flags = 1
        var table = LinkTable()
        for link in [underlay] + links { _ = table.insert(link) }
        _ = table.insert(InterfaceAddress(interface: 1, ip: ip("192.0.2.1"), prefixLength: 24))
        for address in addresses { _ = table.insert(address) }
        return table
    }
    private func text(_ plan: VRFPlan) -> [String] {
        plan.operations.map(\.description) + (plan.problem.map { ["# \($0)"] } ?? [])
            + (plan.binding.map { ["# table \($0.table)"] } ?? [])
    }

    @Test func makesAndAdopts() {
        #expect(
            text(VRFPlan(vrf(), links: table([]))) == [
                "ip link add red type vrf table 1000; ip link set red alias evpnd:vrf=red:new",
                "# the device is being made",
            ])
        var new = device(alias: "evpnd:vrf=red:new")
        (new.flags, new.forwardsIPv4) = (0, false)
        #expect(
            text(VRFPlan(vrf(), links: table([new]))) == [
                "sysctl -w net/ipv4/conf/red/forwarding=1", "ip link set red up alias evpnd:vrf=red",
                "# the device is being made",
            ])
        // The table that it has stays, whatever is free now.
        #expect(text(VRFPlan(vrf(), links: table([device(table: 1007)]))) == ["# table 1007"])
        #expect(text(VRFPlan(vrf(isManaged: false), links: table([device(alias: "")]))) == ["# table 1000"])
        #expect(text(VRFPlan(vrf(isManaged: false), links: table([]))) == ["# no device red"])
        // Another name: found by its mark. Another table: made again.
        #expect(
            text(VRFPlan(vrf(), links: table([device(10, "blue")]))) == ["ip link set blue name red", "# table 1000"])
        #expect(
            text(VRFPlan(vrf(table: 50), links: table([device()]))) == [
                "ip route del unreachable default table 1000 metric 4278198272 proto 211; "
                    + "ip -6 route del unreachable default table 1000 metric 4278198272 proto 211",
                "ip link del red", "ip link add red type vrf table 50; ip link set red alias evpnd:vrf=red:new",
                "# the device is being made",
            ])
        var down = device()
        down.flags = 0
        let plan = VRFPlan(vrf(), links: table([down]))
        #expect(text(plan) == ["ip link set red up", "# red is down"] && plan.state == .down)
        down.alias = ""
        let foreign = VRFPlan(vrf(isManaged: false), links: table([down]))
        #expect(text(foreign) == ["# red is down"] && foreign.remedy == "ip link set red up")
        var underlay = vrf("default")
        underlay.place = .underlay
        #expect(text(VRFPlan(underlay, links: table([]))) == ["# table 254"])
    }
    /// Answers to what leaves by an interface of the underlay come in there.
    @Test func forwardsFromTheUnderlay() {
        var way = Link(interface: 1, name: "eth0")
        way.forwardsIPv4 = false
        let command = "sysctl -w net/ipv4/conf/eth0/forwarding=1"
        let foreign = vrf(isManaged: false)
        #expect(text(VRFPlan(vrf(), links: table([device()]), ways: [way])) == [command, "# table 1000"])
        #expect(
            text(VRFPlan(foreign, links: table([device(alias: "")]), ways: [way]))
                == ["# IPv4 forwarding is off on eth0", "# table 1000"])
        #expect(VRFPlan(foreign, links: table([device(alias: "")]), ways: [way]).remedy == command)
        way.forwardsIPv4 = true
        #expect(text(VRFPlan(vrf(), links: table([device()]), ways: [way])) == ["# table 1000"])
    }
    @Test func namesBothUsersOfAClash() {
        let other = device(11, "blue", table: 1000, alias: "")
        #expect(
            text(VRFPlan(vrf(table: 1000), links: table([other])))
                == ["# table 1000 is that of VRF red and of VRF device blue"])
        // Two of ours that exchange their tables: each lets its own go.
        var swapped = device(11, "blue", table: 50, alias: "evpnd:vrf=blue")
        let exchange = VRFPlan(vrf(table: 50), links: table([device(), swapped]), moving: ["red", "blue"])
        #expect(
            text(exchange).suffix(2)
                == ["ip link del red", "# table 50 is that of VRF red and of VRF device blue"])
        swapped.alias = ""
        for moving in [["red", "blue"], ["red"]] as [Set<String>] {
            let plan = VRFPlan(vrf(table: 50), links: table([device(), swapped]), moving: moving)
            #expect(plan.operations.isEmpty && plan.binding == nil)
            swapped.alias = "evpnd:vrf=blue"
        }
        // By itself another one is taken.
        #expect(VRFPlan(vrf(), links: table([other])).table == 1001)
        #expect(
            text(VRFPlan(vrf(table: 7), links: table([]), claimed: [7: "VRF blue"]))
                == ["# table 7 is that of VRF red and of VRF blue"])
        #expect(VRFPlan(vrf(), links: table([]), claimed: [1000: "VRF blue"]).table == 1001)
        // Routes are exported into a table, by its number: evpnd takes none of these, and leaves one.
        var red = vrf()
        red.reservedTables = [1000, 1001]
        #expect(VRFPlan(red, links: table([])).table == 1002)
        #expect(VRFPlan(red, links: table([device()])).table == 1002)
        // Its own, with a community list that would not hold there.
        red = vrf(isManaged: false)
        red.export = IPVRF.Export(proto: 186, filteredTable: 1000)
        let plan = VRFPlan(red, links: table([device(alias: "")]))
        #expect(plan.binding == nil && plan.problem?.contains("without linuxTableId") == true)
        red.export?.filteredTable = 1001
        #expect(VRFPlan(red, links: table([device(alias: "")])).binding?.table == 1000)
        func inUse(_ table: UInt32) -> String? { table < 1002 ? "10.0.0.0/8 proto 4" : nil }
        #expect(VRFPlan(vrf(), links: table([]), inUse: inUse).table == 1002)
        // Its own from before: the routes are those of this VRF.
        #expect(VRFPlan(vrf(), links: table([]), own: [1001], inUse: inUse).table == 1001)
        #expect(VRFPlan(vrf(), links: table([other]), own: [1000], inUse: inUse).table == 1002)
        let back = VRFPlan(vrf(table: 9), links: table([]), own: [9, 10], inUse: inUse)
        #expect(
            text(back).dropFirst() == [
                "ip link add red type vrf table 9; ip link set red alias evpnd:vrf=red:new",
                "# the device is being made",
            ] && text(back).first?.hasPrefix("ip route del unreachable default table 10 ") == true)
        #expect(VRFPlan(vrf(table: 9), links: table([]), inUse: inUse).awaitsTable && !back.awaitsTable)
        #expect(
            text(VRFPlan(vrf(table: 9), links: table([]), inUse: inUse))
                == ["# table 9 of VRF red has routes already: 10.0.0.0/8 proto 4"])
        #expect(VRFPlan(vrf(), links: table([]), inUse: { _ in "all" }).problem == "no table is free from 1000 on")
        #expect(
            text(VRFPlan(vrf(table: 254), links: table([]))) == ["# table 254 is one of the system's own"])
        var bridge = Link(interface: 4, name: "red")
        bridge.kind = "bridge"
        #expect(
            text(VRFPlan(vrf(), links: table([bridge])))
                == ["# red exists, is a device of the kind bridge, and was not made by evpnd"])
        #expect(
            text(VRFPlan(vrf(isManaged: false), links: table([bridge])))
                == ["# red is a device of the kind bridge, not a VRF device"])
        #expect(
            text(VRFPlan(vrf(), links: table([device(alias: "")])))
                == ["# VRF device red exists and was not made by evpnd"])
        // Two devices of one table, which a kernel may allow.
        #expect(
            text(VRFPlan(vrf(isManaged: false), links: table([device(alias: ""), other])))
                == ["# table 1000 is that of VRF red and of VRF device blue"])
    }

    // MARK: Layer-3 interfaces

    private static let gatewayMAC = "02:00:00:00:01:01"
    private func bridge(master: Int32 = 10, address: String = gatewayMAC) -> Link {
        var link = Link(interface: 2, name: "br100")
        link.kind = "bridge"
        link.alias = "evpnd:vni=100"
        link.flags = 1
        link.addressGenerationMode = 1
        link.master = master
        link.address = mac(address)
        link.forwardsIPv4 = true
        return link
    }
    private func vxlan(suppresses: Bool = true) -> Link {
        var link = Link(interface: 3, name: "vxlan100")
        link.kind = "vxlan"
        link.alias = "evpnd:vni=100"
        link.flags = 1
        link.mtu = 1450
        link.master = 2
        link.addressGenerationMode = 1
        var parameters = Link.VXLAN()
        parameters.vni = 100
        parameters.local = ip("192.0.2.1")
        parameters.port = 4789
        link.vxlan = parameters
        var port = Link.BridgePort()
        port.isLearning = false
        port.suppressesNeighbors = suppresses
        link.port = port
        return link
    }
    private func address(_ text: String, _ length: UInt8, proto: UInt8 = neighborProtocol) -> InterfaceAddress {
        InterfaceAddress(interface: 2, ip: ip(text), prefixLength: length, proto: proto)
    }
    private func routed(
        _ links: LinkTable, _ addresses: [(String, Int)] = [("10.0.1.1", 24)], mac text: String? = gatewayMAC,
        isManaged: Bool = true, isTransit: Bool = false, view: (inout RoutedView) -> Void = { _ in }
    ) -> [String] {
        var domain = BroadcastDomain(
            vni: vni(100),
            device: isManaged
                ? .managed(ManagedDevice(vxlanName: "vxlan100", bridgeName: "br100")) : .adopted(name: nil),
            vtep: ip("192.0.2.1"))
        domain.isTransit = isTransit
        domain.routed = RoutedInterface(
            vrf: "red", addresses: addresses.compactMap { SubnetAddress(ip($0.0), length: $0.1) },
            mac: text.map { mac($0) })
        var known = RoutedView()
        known.vrf = VRFBinding(interface: 10, table: 1000)
        view(&known)
        let plan = DevicePlan(domain, defaultVTEP: nil, links: links, routed: known)
        return plan.operations.map(\.description) + (plan.problem.map { ["# \($0)"] } ?? [])
            + (plan.binding != nil ? ["# forwards"] : [])
    }

    @Test func setsTheInterfaceUp() {
        // Into the VRF first: addresses would bring their routes to another table.
        var loose = bridge(master: 0, address: "02:00:00:00:00:99")
        loose.forwardsIPv4 = false
        #expect(
            routed(table([loose, vxlan(), device()])) == [
                "ip link set br100 address \(VRFPlanTests.gatewayMAC)", "ip link set br100 master red", "# forwards",
            ])
        loose.master = 10
        loose.address = mac(VRFPlanTests.gatewayMAC)
        #expect(
            routed(table([loose, vxlan(), device()]), [("10.0.1.1", 24), ("fd00::1", 64)]) == [
                "ip address replace 10.0.1.1/24 dev br100 proto 211",
                "ip address replace fd00::1/64 dev br100 proto 211 nodad",
                "ip address replace fe80::ff:fe00:101/64 dev br100 proto 211 nodad",
                "sysctl -w net/ipv4/conf/br100/forwarding=1", "# forwards",
            ])
        let settled = table(
            [bridge(), vxlan(), device()],
            [address("10.0.1.1", 24), address("fd00::1", 64), address("fe80::ff:fe00:101", 64)])
        #expect(routed(settled, [("10.0.1.1", 24), ("fd00::1", 64)]) == ["# forwards"])
        // What evpnd set and is not wanted any more goes; what others set stays.
        let changed = table(
            [bridge(), vxlan(), device()],
            [address("10.0.1.9", 24), address("10.0.1.1", 16), address("10.9.0.1", 24, proto: 0)])
        #expect(
            routed(changed) == [
                "ip address del 10.0.1.1/16 dev br100", "ip address del 10.0.1.9/24 dev br100",
                "ip address replace 10.0.1.1/24 dev br100 proto 211", "# forwards",
            ])
        // A kernel that does not keep who made an address: the process remembers.
        let old = table([bridge(), vxlan(), device()], [address("10.0.1.9", 24, proto: 0)])
        #expect(
            routed(old, view: { $0.setAddresses = [constant(SubnetAddress(ip("10.0.1.9"), length: 24))] }).first
                == "ip address del 10.0.1.9/24 dev br100")
        #expect(
            routed(
                table(
                    [bridge(), vxlan(), device()], [address("fd00::1", 48, proto: 0), address("fe80::ff:fe00:101", 64)]),
                [("fd00::1", 64)]) == [
                    "# fd00::1/48 on br100 was not set by evpnd: fd00::1/64 cannot be", "# forwards",
                ])
    }
    /// Layer 2 goes on in any case.
    @Test func saysWhatIsWrongWithTheVRF() {
        // In the host's own table it would be a subnet of the host: no address of ours, and no forwarding, before anything else.
        let links = table(
            [bridge(master: 0), vxlan(suppresses: false)],
            [address("10.0.1.1", 24), address("fd00::1", 64), address("10.9.0.1", 24, proto: 0)])
        #expect(
            routed(links, view: { ($0.vrf, $0.vrfProblem) = (nil, "no device red") }) == [
                "sysctl -w net/ipv4/conf/br100/forwarding=0", "ip address del 10.0.1.1/24 dev br100",
                "ip address del fd00::1/64 dev br100",
                "bridge link set dev vxlan100 learning off neigh_suppress on",
                "# VRF red: no device red", "# forwards",
            ])
        // In a device that evpnd cannot use it stays as it is.
        #expect(
            routed(
                table([bridge(), vxlan()], [address("10.0.1.1", 24)]),
                view: { ($0.vrf, $0.vrfProblem) = (nil, "clash") }) == ["# VRF red: clash", "# forwards"])
        #expect(
            routed(table([bridge(master: 11), vxlan(), device(), device(11, "blue", table: 9, alias: "")]))
                == ["# br100 is in blue; the configuration has it in VRF red", "# forwards"])
        // From a VRF of ours, or one that evpnd put it into, it moves.
        for (alias, previous) in [("evpnd:vrf=blue", nil), ("", "blue")] as [(String, String?)] {
            #expect(
                routed(
                    table([bridge(master: 11), vxlan(), device(), device(11, "blue", table: 9, alias: alias)]),
                    view: { $0.previousVRF = previous })
                    == ["sysctl -w net/ipv4/conf/br100/forwarding=0", "ip link set br100 master red", "# forwards"])
        }
        #expect(
            routed(
                table([bridge(master: 0), vxlan(suppresses: false), device()]), [], mac: nil, isTransit: true)
                == ["sysctl -w net/ipv4/conf/br100/forwarding=0", "ip link set br100 master red", "# forwards"])
    }
    /// A VRF device that goes leaves no subnet behind in the host's own table.
    @Test func takesSubnetsFromAVRFThatGoes() {
        let removal = table(
            [bridge(), vxlan(), device()], [address("10.0.1.1", 24), address("10.9.0.1", 24, proto: 0)]
        )
        .removal(of: device()).map(\.description)
        #expect(
            removal.prefix(2) == [
                "sysctl -w net/ipv4/conf/br100/forwarding=0", "ip address del 10.0.1.1/24 dev br100",
            ] && removal.last == "ip link del red" && removal.count == 4)
    }
    @Test func changesNothingOfAnOperatorsInterface() {
        var foreign = bridge(master: 0)
        foreign.alias = ""
        var tunnel = vxlan()
        tunnel.alias = ""
        #expect(
            routed(table([foreign, tunnel, device()]), isManaged: false)
                == ["# br100 is in no VRF; the configuration has it in VRF red", "# forwards"])
        foreign.master = 10
        #expect(routed(table([foreign, tunnel, device()]), isManaged: false) == ["# forwards"])
        foreign.forwardsIPv4 = false
        #expect(
            routed(table([foreign, tunnel, device()]), isManaged: false)
                == ["# IPv4 forwarding is off on br100", "# forwards"])
    }
    /// An L3 VNI's bridge that is down routes nothing: ours goes up again, of an operator's it is said, with the command.
    @Test func setsBridgesUpAgain() {
        var down = bridge()
        down.flags = 0
        #expect(
            routed(table([down, vxlan(suppresses: false), device()]), [], mac: nil, isTransit: true)
                == ["ip link set br100 up", "# br100 is down", "# forwards"])
        down.alias = ""
        var tunnel = vxlan(suppresses: false)
        tunnel.alias = ""
        let links = table([down, tunnel, device()])
        #expect(
            routed(links, [], mac: nil, isManaged: false, isTransit: true) == ["# br100 is down", "# forwards"])
        let domain = BroadcastDomain(vni: vni(100), device: .adopted(name: nil))
        #expect(DevicePlan(domain, defaultVTEP: nil, links: links).remedy == "ip link set br100 up")
        let tenant = DevicePlan(
            domain, defaultVTEP: nil, links: links, tenant: Tenant(namespace: "t1", underlay: LinkTable()))
        #expect(tenant.remedy == "ip -n t1 link set br100 up")
    }
    @Test func namesMembersInAnotherNamespace() {
        let domain = BroadcastDomain(
            vni: vni(100),
            device: .managed(ManagedDevice(vxlanName: "vxlan100", bridgeName: "br100", members: ["tap0", "tap1"])),
            vtep: ip("192.0.2.1"))
        let underlay = table([Link(interface: 9, name: "tap1")])
        let plan = DevicePlan(
            domain, defaultVTEP: nil, links: table([bridge(master: 0), vxlan()]),
            tenant: Tenant(namespace: "t1", underlay: underlay))
        #expect(plan.absentMembers == ["tap0", "tap1"])
        #expect(plan.problem == "member tap1 is in the network namespace of evpnd, not in t1")
        #expect(plan.remedy == "ip link set tap1 netns t1; ip -n t1 link set tap1 up")
    }
    @Test func namesVLANDevices() {
        #expect(DevicePlan.vlanDeviceName("br0", 10) == "br0.10")
        #expect(DevicePlan.vlanDeviceName("bridge-of-hosts", 4094) == "bridge-of-.4094")
        #expect(DevicePlan.linkLocal(mac("02:00:00:00:01:01")).description == "fe80::ff:fe00:101")
    }
    @Test func readsItsMark() {
        for mark in [DeviceMark(.vrf("red:new"), isNew: false), DeviceMark(.vrf("a"), isNew: true)] {
            #expect(mark.alias.hasPrefix("evpnd:vrf="))
        }
        #expect(DeviceMark("evpnd:vrf=red")?.owner == .vrf("red"))
        #expect(DeviceMark("evpnd:vrf=red:new") == DeviceMark(.vrf("red"), isNew: true))
        #expect(DeviceMark("evpnd:vrf=") == nil)
    }
}
