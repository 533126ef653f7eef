// One bridge for many VNIs: which VLAN a VNI gets, what has to be done, and what is adopted. Without a kernel.

import EVPN
import NetTypes
import Netlink
import Testing

@testable import LinuxDataplane

@Suite struct SharedPlanTests {
    private let device = SharedBridge(bridgeName: "br0", vxlanName: "vxlan0")

    private func bridge(filtering: Bool = true, alias: String = "evpnd:shared") -> Link {
        var link = Link(interface: 2, name: "br0")
        link.kind = "bridge"
        link.alias = alias
        link.flags = 1
        link.hasVLANFiltering = filtering
        link.addressGenerationMode = 1
        return link
    }
    private func vxlan(alias: String = "evpnd:shared") -> Link {
        var link = Link(interface: 3, name: "vxlan0")
        link.kind = "vxlan"
        link.alias = alias
        link.flags = 1
        link.mtu = 1450
        link.master = 2
        link.addressGenerationMode = 1
        var parameters = Link.VXLAN()
        parameters.collectsMetadata = true
        parameters.local = ip("192.0.2.1")
        parameters.port = 4789
        link.vxlan = parameters
        var port = Link.BridgePort()
        port.isLearning = false
        port.suppressesNeighbors = true
        port.mapsVLANs = true
        link.port = port
        return link
    }
    private func port(_ interface: Int32, _ name: String, master: Int32 = 2) -> Link {
        var link = Link(interface: interface, name: name)
        link.kind = "veth"
        link.master = master
        return link
    }
    private func table(_ links: [Link], _ vlans: [PortVLANs] = []) -> LinkTable {
        var underlay = Link(interface: 1, name: "eth0")
        underlay.mtu = 1500
        underlay.flags = 1
        var table = LinkTable()
        for link in [underlay] + links { _ = table.insert(link) }
        _ = table.insert(InterfaceAddress(interface: 1, ip: ip("192.0.2.1"), prefixLength: 24))
        for interface in Set(vlans.map(\.interface)) {
            var ports = VLANTable()
            for range in vlans where range.interface == interface { ports.insert(range) }
            table.setVLANs(interface, ports)
        }
        return table
    }
    private func range(_ interface: Int32, _ vlans: ClosedRange<UInt16>, vni: UInt32? = nil, access: Bool = false)
        -> PortVLANs
    {
        PortVLANs(interface: interface, vlans: vlans, isPVID: access, isUntagged: access, vni: vni)
    }
    private func plan(
        _ places: [UInt32: UInt16?], members: [UInt32: [String]] = [:], _ links: LinkTable,
        previous: [VNI: UInt16] = [:],
        mayRemove: Bool = false
    ) -> SharedPlan {
        var all: [VNI: ManagedVLAN] = [:]
        for (number, vlan) in places {
            all[vni(number)] = ManagedVLAN(bridge: device, vlan: vlan, members: members[number] ?? [])
        }
        return SharedPlan(
            all, device, vtep: ip("192.0.2.1"), links: links, previous: previous, mayRemove: { _ in mayRemove })
    }
    private func text(_ plan: SharedPlan) -> [String] { plan.operations.map(\.description) }

    @Test func makesTheDevicesFirst() {
        let empty = text(plan([100: nil], table([])))
        #expect(empty.count == 2)
        #expect(empty.first?.contains("type bridge vlan_filtering 1 vlan_default_pvid 0") == true)
        #expect(
            empty.last
                == "ip link add vxlan0 mtu 1450 type vxlan external local 192.0.2.1 dstport 4789 ttl 64 nolearning; ip link set vxlan0 alias evpnd:shared:new"
        )
        var fresh = vxlan(alias: "evpnd:shared:new")
        fresh.master = 0
        fresh.port = nil
        #expect(
            text(plan([100: nil], table([bridge(), fresh]))) == [
                "ip link set vxlan0 master br0",
                "bridge link set dev vxlan0 learning off neigh_suppress on vlan_tunnel on",
                "ip link set vxlan0 up alias evpnd:shared",
            ])
        // A kernel that cannot filter VLANs takes the request and does nothing.
        #expect(text(plan([100: nil], table([bridge(filtering: false), vxlan()]))).count == 1)
        let foreign = plan([100: nil], table([bridge(alias: "mine")]))
        #expect(foreign.operations.isEmpty && foreign.problem == "br0 exists and was not made by evpnd")
    }

    @Test func choosesVLANs() {
        // Nothing in use: from 2 on, in the order of VNIs.
        #expect(
            text(plan([200: nil, 100: nil], table([bridge(), vxlan()]))) == [
                "bridge vlan add dev vxlan0 vid 2; bridge vlan add dev vxlan0 vid 2 tunnel_info id 100",
                "bridge vlan add dev vxlan0 vid 3; bridge vlan add dev vxlan0 vid 3 tunnel_info id 200",
            ])
        // What is mapped stays, also inside a range; the others come after the highest VLAN on any port.
        let links = table(
            [bridge(), vxlan(), port(4, "p0")],
            [range(3, 10...12, vni: 22001), range(4, 20...20, access: true)])
        let some = plan([22001: nil, 22003: nil, 22010: nil, 22011: 15], links)
        #expect(some.vlans == [vni(22001): 10, vni(22003): 12, vni(22010): 21, vni(22011): 15])
        // The mapping of VLAN 11 is nobody's: it goes when it may.
        #expect(!text(some).contains { $0.contains("vlan del") })
        let removing = plan([22001: nil, 22003: nil], links, mayRemove: true)
        #expect(text(removing) == ["bridge vlan del dev vxlan0 vid 11"])
        // In the way of a configured VLAN it goes in any case, and a VNI that moves leaves its old one.
        #expect(
            text(plan([7: 11, 22001: 30], links)) == [
                "bridge vlan del dev vxlan0 vid 10", "bridge vlan del dev vxlan0 vid 11",
                "bridge vlan add dev vxlan0 vid 11; bridge vlan add dev vxlan0 vid 11 tunnel_info id 7",
                "bridge vlan add dev vxlan0 vid 30; bridge vlan add dev vxlan0 vid 30 tunnel_info id 22001",
            ])
        // A mapping that somebody removed comes back where it was.
        let again = plan([22001: nil, 22002: nil], links, previous: [vni(22001): 99, vni(22002): 40])
        #expect(again.vlans == [vni(22001): 10, vni(22002): 11])
        let healed = plan([22001: nil, 7: nil], links, previous: [vni(7): 40])
        #expect(healed.vlans == [vni(22001): 10, vni(7): 40])
        // A device that is being made, and has no mark yet, changes nothing.
        let unmarked = plan([7: nil], table([bridge(), vxlan(alias: "")]), previous: [vni(7): 40, vni(8): 41])
        #expect(unmarked.vlans == [vni(7): 40] && unmarked.operations.isEmpty)
        // Past the end the first free one, and then none.
        let high = table([bridge(), vxlan(), port(4, "p0")], [range(4, 3...4094)])
        let full = plan([100: nil, 200: nil], high)
        #expect(full.vlans == [vni(100): 2])
        #expect(full.problems[vni(200)]?.contains("no VLAN is left") == true)
    }

    /// The kernel deletes no entry whose VLAN is gone: a mapping waits for them, and so does who wants its VLAN, or the VNI elsewhere.
    @Test func keepsVLANsUntilTheyAreEmpty() {
        var filtering = vxlan()
        filtering.vxlan?.hasVNIFilter = true
        var links = table(
            [bridge(), filtering, port(4, "p0"), port(5, "p1")],
            [
                range(3, 10...10, vni: 100), range(3, 11...11, vni: 200), range(3, 12...12, vni: 300),
                range(4, 10...10, access: true), range(5, 11...11, access: true),
            ])
        links.filters[3] = [100, 200, 300]
        // 300 leaves, 100 takes VLAN 11 of 200, which goes to 20.
        var device = device
        device.filtersVNIs = true
        let places = [
            vni(100): ManagedVLAN(bridge: device, vlan: 11, members: ["p0"]),
            vni(200): ManagedVLAN(bridge: device, vlan: 20, members: ["p1"]),
        ]
        func plan(_ empty: Set<UInt32>) -> SharedPlan {
            SharedPlan(
                places, device, vtep: ip("192.0.2.1"), links: links, mayRemove: { _ in true },
                isEmpty: { empty.contains($0.rawValue) })
        }
        let first = plan([])
        #expect(first.leaving == [vni(100): 10, vni(200): 11, vni(300): 12])
        #expect(
            text(first) == [
                "bridge vlan del dev p0 vid 10", "bridge vlan del dev p1 vid 11",
                "bridge vlan add dev p1 vid 20 pvid untagged",
            ])
        #expect(
            text(plan([200])).filter { $0.contains("vxlan0") } == [
                "bridge vlan del dev vxlan0 vid 11",
                "bridge vlan add dev vxlan0 vid 20; bridge vlan add dev vxlan0 vid 20 tunnel_info id 200",
            ])
        #expect(
            text(plan([100, 200, 300])) == [
                "bridge vlan del dev vxlan0 vid 10", "bridge vlan del dev vxlan0 vid 11",
                "bridge vlan del dev vxlan0 vid 12", "bridge vni delete vni 300 dev vxlan0",
                "bridge vlan add dev vxlan0 vid 11; bridge vlan add dev vxlan0 vid 11 tunnel_info id 100",
                "bridge vlan add dev vxlan0 vid 20; bridge vlan add dev vxlan0 vid 20 tunnel_info id 200",
                "bridge vlan del dev p0 vid 10", "bridge vlan add dev p0 vid 11 pvid untagged",
                "bridge vlan del dev p1 vid 11", "bridge vlan add dev p1 vid 20 pvid untagged",
            ])
    }

    /// The entries of a VNI that leaves its VLAN, both halves, with the wishes kept for the next place.
    @Test func drainsEntries() throws {
        var table = EntryTable(domain: vni(100), vteps: VTEPTable())
        var binding = DeviceBinding(vxlan: 3, bridge: 2, vtep: ip("192.0.2.1"))
        (binding.vlan, binding.sourceVNI) = (10, 100)
        let host = mac("02:00:00:00:00:0a")
        table.want(host, remote("192.0.2.2"))
        table.want(flood: ip("192.0.2.2"), FloodMember(vni: vni(100)))
        table.bind(binding, canHoldNeighbors: false)
        func take(_ failure: (EntryOperation) -> NetlinkFailure? = { _ in nil }) -> [String] {
            let operations = table.takeOperations(limit: 10)
            for operation in operations {
                let isReported = table.completed(operation, failure(operation))
                #expect(!isReported)
            }
            return operations.map { $0.text(device: "vxlan0") }
        }
        let added = take()
        #expect(added.count == 2)
        #expect(take() == [])
        #expect(!table.isClean)
        // Some of an earlier process, before they may be pruned.
        var old = FDBEntry(
            interface: 3, mac: mac("02:00:00:00:00:0b"), state: .reachable, flags: .externallyLearned)
        (old.master, old.vlan) = (2, 10)
        table.observed(port: old)
        table.markAdopted()
        #expect(table.pendingOperations().isEmpty)
        table.drain()
        #expect(
            table.pendingOperations().map { $0.text(device: "vxlan0") } == [
                "bridge fdb del 00:00:00:00:00:00 dev vxlan0 dst 192.0.2.2 src_vni 100",
                "bridge fdb del 02:00:00:00:00:0a dev vxlan0 src_vni 100 self vlan 10 master",
                "bridge fdb del 02:00:00:00:00:0b dev vxlan0 vlan 10 master",
            ])
        // Somebody else took the VLAN away: the bridge's halves count as gone, the device's is deleted by itself.
        let invalid = NetlinkFailure(code: 22)
        let deletions = take { $0.flags.contains(.master) ? invalid : nil }
        #expect(deletions.count == 3)
        #expect(!table.isClean)
        let rest = take()
        #expect(rest == ["bridge fdb del 02:00:00:00:00:0a dev vxlan0 src_vni 100 self"])
        #expect(take() == [])
        #expect(table.pendingOperations().isEmpty && table.isClean && table.healed == 0)
        table.unbind()
        binding.vlan = 20
        table.bind(binding, canHoldNeighbors: false)
        #expect(
            take() == [
                "bridge fdb append 00:00:00:00:00:00 dev vxlan0 dst 192.0.2.2 src_vni 100",
                "bridge fdb replace 02:00:00:00:00:0a dev vxlan0 dst 192.0.2.2 src_vni 100 self vlan 20 master extern_learn",
            ])
        // Any other refusal is one.
        table.want(host, nil)
        let refused = table.takeOperations(limit: 10)
        let deletion = try #require(refused.first)
        let isReported = table.completed(deletion, NetlinkFailure(code: 1))
        #expect(isReported && !table.isClean)
    }

    /// The filter of VNIs: made with the device, filled and emptied with the configuration, and done without where the kernel has none.
    @Test func filtersVNIs() {
        var filtering = device
        filtering.filtersVNIs = true
        func plan(_ vnis: [UInt32], _ links: LinkTable, kernelFilters: Bool = true, _ device: SharedBridge) -> [String]
        {
            var places: [VNI: ManagedVLAN] = [:]
            for number in vnis { places[vni(number)] = ManagedVLAN(bridge: device, vlan: UInt16(number)) }
            return text(
                SharedPlan(
                    places, device, vtep: ip("192.0.2.1"), links: links, kernelFilters: { kernelFilters },
                    mayRemove: { _ in true }))
        }
        #expect(plan([10], table([]), filtering).contains { $0.contains("type vxlan external vnifilter local") })
        let plain = table([bridge(), vxlan()], [range(3, 10...10, vni: 10)])
        #expect(plan([10], plain, filtering).first == "ip link del vxlan0")
        #expect(plan([10], plain, kernelFilters: false, filtering).isEmpty)
        #expect(plan([10], plain, device).isEmpty)
        var other = vxlan()
        other.vxlan?.hasVNIFilter = true
        var links = table([bridge(), other], [range(3, 10...10, vni: 10)])
        links.filters[3] = [11]
        #expect(
            plan([10], links, filtering) == [
                "bridge vni delete vni 11 dev vxlan0", "bridge vni add vni 10 dev vxlan0",
            ])
        links.filters[3] = [10]
        #expect(plan([10], links, filtering).isEmpty)
        #expect(plan([10], links, device).first == "ip link del vxlan0")
        // An operator's device that does not let the VNI in.
        var foreign = other
        foreign.alias = ""
        var adopted = table([bridge(alias: ""), foreign], [range(3, 10...10, vni: 10)])
        let domain = BroadcastDomain(vni: vni(10), device: .adopted(name: nil))
        let refused = DevicePlan(domain, defaultVTEP: nil, links: adopted)
        #expect(refused.binding == nil)
        #expect(
            refused.problem == "the filter of vxlan0 does not have the VNI: bridge vni add vni 10 dev vxlan0")
        adopted.filters[3] = [10]
        #expect(DevicePlan(domain, defaultVTEP: nil, links: adopted).binding?.sourceVNI == 10)
    }
    /// The layer-3 interface of a VLAN is a device on the bridge.
    @Test func makesVLANDevices() {
        var place = BroadcastDomain(
            vni: vni(10), device: .managedVLAN(ManagedVLAN(bridge: device, vlan: 10)), vtep: ip("192.0.2.1"))
        place.routed = RoutedInterface(
            vrf: "red", addresses: [constant(SubnetAddress(ip("10.0.1.1"), length: 24))], mac: mac("02:00:00:00:01:01"))
        var view = RoutedView()
        view.vrf = VRFBinding(interface: 20, table: 1000)
        var red = Link(interface: 20, name: "red")
        red.kind = "vrf"
        red.vrfTable = 1000
        red.flags = 1
        func plan(_ links: LinkTable) -> [String] {
            let shared = SharedPlan(
                [vni(10): ManagedVLAN(bridge: device, vlan: 10)], device, vtep: ip("192.0.2.1"), links: links,
                mayRemove: { _ in false })
            let plan = DevicePlan(place, defaultVTEP: nil, links: links, shared: shared, routed: view)
            return plan.operations.map(\.description) + (plan.problem.map { ["# \($0)"] } ?? [])
        }
        let vlans = [range(3, 10...10, vni: 10)]
        #expect(
            plan(table([bridge(), vxlan(), red], vlans)) == [
                "ip link add link br0 name br0.10 address 02:00:00:00:01:01 type vlan id 10; ip link set br0.10 alias evpnd:vni=10:new",
                "bridge vlan add dev br0 vid 10 self",
            ])
        var upper = Link(interface: 30, name: "br0.10")
        upper.kind = "vlan"
        (upper.lower, upper.vlan) = (2, 10)
        upper.alias = "evpnd:vni=10:new"
        upper.address = mac("02:00:00:00:01:01")
        view.isLocalMAC = false
        let member = vlans + [range(2, 10...10)]
        #expect(
            plan(table([bridge(), vxlan(), red, upper], member)) == [
                "ip link set br0.10 master red", "bridge fdb add 02:00:00:00:01:01 dev br0 vlan 10 self local",
                "ip link set br0.10 up alias evpnd:vni=10",
            ])
        // Another gateway MAC: frames to the old one are not the host's own any more.
        upper.address = mac("02:00:00:00:01:99")
        #expect(
            plan(table([bridge(), vxlan(), red, upper], member)).prefix(2) == [
                "bridge fdb del 02:00:00:00:01:99 dev br0 vlan 10 self",
                "ip link set br0.10 address 02:00:00:00:01:01",
            ])
        // With the device go its MAC and the bridge's own VLAN, and none that is somebody else's.
        func removal(_ links: LinkTable) -> [String] { links.removal(of: upper).map(\.description) }
        #expect(
            removal(table([bridge(), vxlan(), upper], member + [range(2, 99...99)])) == [
                "bridge fdb del 02:00:00:00:01:99 dev br0 vlan 10 self", "bridge vlan del dev br0 vid 10 self",
                "ip link del br0.10",
            ])
        #expect(removal(table([bridge(), vxlan(), upper], vlans)) == ["ip link del br0.10"])
        upper.alias = ""
        upper.address = mac("02:00:00:00:01:01")
        #expect(
            plan(table([bridge(), vxlan(), red, upper], member)) == ["# br0.10 exists and was not made by evpnd"])
    }

    @Test func putsMembersIntoTheirVLAN() {
        let links = table(
            [bridge(), vxlan(), port(4, "p0"), port(5, "p1", master: 0), port(6, "p2", master: 9)],
            [range(3, 2...2, vni: 100), range(4, 7...7, access: true)])
        let plan = plan([100: nil], members: [100: ["p0", "p1", "p2", "absent"]], links)
        #expect(
            text(plan) == [
                "bridge vlan del dev p0 vid 7", "bridge vlan add dev p0 vid 2 pvid untagged",
                "ip link set p1 master br0", "bridge vlan add dev p1 vid 2 pvid untagged",
            ])
        #expect(plan.problems[vni(100)] == "member p2 belongs to #9")
    }

    @Test func bindsWhatIsMapped() {
        var upper = Link(interface: 7, name: "br0.12")
        upper.kind = "vlan"
        upper.lower = 2
        upper.vlan = 12
        func adopt(_ number: UInt32, name: String? = nil, _ links: LinkTable) -> DevicePlan {
            DevicePlan(
                BroadcastDomain(vni: vni(number), device: .adopted(name: name)), defaultVTEP: nil, links: links)
        }
        let links = table([bridge(alias: ""), vxlan(alias: ""), upper], [range(3, 10...12, vni: 22001)])
        let found = adopt(22003, links)
        #expect(found.binding?.vlan == 12 && found.binding?.sourceVNI == 22003)
        #expect(found.binding?.neighborInterface == 7)
        #expect(adopt(22001, name: "vxlan0", links).binding?.neighborInterface == 0)
        #expect(adopt(22004, links).problem == "no VXLAN device with VNI 22004")
        #expect(adopt(22004, name: "vxlan0", links).problem == "vxlan0 maps no VLAN to VNI 22004")
        #expect(
            adopt(22001, name: "vxlan0", table([bridge(filtering: false, alias: ""), vxlan(alias: "")])).problem
                == "the bridge of the external vxlan0 does not filter VLANs")
        // Out of a bridge the device's own table is all there is.
        var alone = vxlan(alias: "")
        alone.master = 0
        let unbridged = adopt(5, name: "vxlan0", table([alone])).binding
        #expect(unbridged?.sourceVNI == 5 && unbridged?.isBridged == false && unbridged?.neighborInterface == 0)
        // A VNI's own device in a bridge that filters VLANs carries its PVID.
        var own = vxlan(alias: "")
        own.vxlan?.collectsMetadata = false
        own.vxlan?.vni = 100
        let access = adopt(100, table([bridge(alias: ""), own], [range(3, 30...30, access: true)])).binding
        #expect(access?.vlan == 30 && access?.sourceVNI == 0)
    }
}
