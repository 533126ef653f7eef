// VRF devices and layer-3 interfaces in the real kernel. Where it has no VRF devices, what is told of that, and that layer 2 goes on.

import BGP
import EVPN
import Glibc
import NetTypes
import Netlink
import Testing

@testable import LinuxDataplane

private let underlay = """
    ip link set lo up
    ip link add eth0 type veth peer name peer0
    ip address add 192.0.2.1/24 dev eth0
    ip link set eth0 up
    ip link set peer0 up
    """

@Suite(.serialized) struct RoutedKernelTests {
    private static func vrf(_ name: String, vni number: UInt32, table: UInt32? = nil, isManaged: Bool = true) -> IPVRF {
        var domain = BroadcastDomain(
            vni: vni(number),
            device: isManaged
                ? .managed(ManagedDevice(vxlanName: "vxlan\(number)", bridgeName: "br\(number)"))
                : .adopted(name: nil),
            vtep: ip("192.0.2.1"))
        domain.isTransit = true
        return IPVRF(
            name: name, isManaged: isManaged, place: .device(table: table), domain: domain,
            rd: RouteDistinguisher(IPv4Address(rawValue: 1), 1), importTargets: .explicit([]), exportTargets: [])
    }
    private static func subnet(
        _ number: UInt32, vrf: String?, _ addresses: [(String, Int)], mac text: String? = nil
    ) -> BroadcastDomain {
        var domain = BroadcastDomain(
            vni: vni(number),
            device: .managed(ManagedDevice(vxlanName: "vxlan\(number)", bridgeName: "br\(number)")),
            vtep: ip("192.0.2.1"))
        domain.routed = RoutedInterface(
            vrf: vrf, addresses: addresses.compactMap { SubnetAddress(ip($0.0), length: $0.1) },
            mac: text.map { mac($0) })
        return domain
    }
    private static func hasVRFDevices(_ lab: KernelLab) -> Bool {
        (try? lab.sh("ip link add probe type vrf table 9 && ip link del probe")) != nil
    }

    @Test func makesVRFsAndGateways() throws {
        try KernelLab.run { lab in
            try lab.sh(underlay)
            let isReal = RoutedKernelTests.hasVRFDevices(lab)
            let subject = try lab.dataplane()
            let tenants = [RoutedKernelTests.vrf("red", vni: 500)]
            let gateway = "02:00:00:00:01:01"
            let net = RoutedKernelTests.subnet(100, vrf: "red", [("10.0.1.1", 24), ("fd00:1::1", 64)], mac: gateway)
            subject.dataplane.configure([net], vrfs: tenants, defaultVTEP: nil)
            try lab.wait("layer 2") { subject.domains[vni(100)] != nil && subject.domains[vni(500)] != nil }
            guard isReal else {
                try lab.wait("the missing feature is named") {
                    let problem = subject.dataplane.vrfStatus().first?.problem ?? ""
                    return problem.contains("CONFIG_NET_VRF") && problem.contains("namespace")
                }
                try lab.wait("at the domains too") {
                    subject.dataplane.domains().allSatisfy {
                        $0.problem?.contains("CONFIG_NET_VRF") == true && $0.state == .up
                    }
                }
                #expect(!(try lab.sh("ip address show dev br100")).contains("10.0.1.1"))
                return subject.dataplane.close()
            }
            func isRouted(_ number: UInt32) -> Bool {
                subject.domains[vni(number)]?.vrf == "red" && subject.domains[vni(number)]?.routerMAC != nil
            }
            try lab.wait("the VRF", seconds: 10) { isRouted(100) && isRouted(500) }
            #expect(subject.domains[vni(100)]?.routerMAC == mac(gateway))
            try lab.wait("nothing left to do", seconds: 10) { subject.dataplane.plan().isEmpty }
            let status = try #require(subject.dataplane.vrfStatus().first)
            #expect(status.device == "red" && status.table == 1000 && status.state == .up && status.problem == nil)
            #expect(subject.dataplane.domains().allSatisfy { $0.problem == nil })
            let addresses = try lab.sh("ip address show dev br100")
            for text in ["inet 10.0.1.1/24", "inet6 fd00:1::1/64", "inet6 fe80::ff:fe00:101/64"] {
                #expect(addresses.contains(text), "\(text) in \(addresses)")
            }
            #expect(!addresses.contains("tentative") && !addresses.contains("dadfailed"))
            #expect(try lab.sh("ip route show table 1000").contains("10.0.1.0/24 dev br100"))
            #expect(try lab.sh("sysctl -n net.ipv6.conf.all.forwarding") == "1\n")
            for device in ["red", "br100", "br500"] {
                #expect(try lab.sh("sysctl -n net/ipv4/conf/\(device)/forwarding") == "1\n")
            }
            // Damage heals.
            try lab.sh(
                "ip address del 10.0.1.1/24 dev br100; ip link set br500 nomaster; sysctl -qw net.ipv4.conf.red.forwarding=0"
            )
            try lab.wait("healed", seconds: 10) { isRouted(500) && subject.dataplane.plan().isEmpty }
            #expect(try lab.sh("ip address show dev br100").contains("10.0.1.1/24"))
            try lab.sh("ip link del red")
            try lab.wait("made again", seconds: 15) {
                isRouted(100) && isRouted(500) && subject.dataplane.plan().isEmpty
                    && subject.dataplane.vrfStatus().first?.state == .up
            }
            #expect(try lab.sh("ip address show dev br100").contains("fd00:1::1/64"))
            // Another address: the old one goes, the operator's stays.
            try lab.sh("ip address add 10.77.0.1/24 dev br100")
            let moved = RoutedKernelTests.subnet(100, vrf: "red", [("10.0.1.254", 24)], mac: gateway)
            subject.dataplane.configure([moved], vrfs: tenants, defaultVTEP: nil)
            try lab.wait("moved", seconds: 10) {
                let now = (try? lab.sh("ip address show dev br100")) ?? ""
                return now.contains("10.0.1.254/24") && !now.contains("10.0.1.1/") && !now.contains("inet6")
                    && now.contains("10.77.0.1")
            }
            subject.dataplane.close()
            // A restart finds everything as it should be, the table included.
            try lab.sh("ip link add taken type vrf table 1001")
            let second = try lab.dataplane()
            second.dataplane.configure([moved], vrfs: tenants, defaultVTEP: nil)
            try lab.wait("adopted", seconds: 10) { second.domains[vni(500)]?.vrf == "red" }
            #expect(second.dataplane.plan().isEmpty)
            #expect(second.dataplane.vrfStatus().first?.table == 1000)
            second.dataplane.allowPruning()
            second.dataplane.configure([], vrfs: [], defaultVTEP: nil)
            try lab.wait("all gone", seconds: 10) {
                let devices = (try? lab.sh("ip -o link")) ?? ""
                return !devices.contains("br100") && !devices.contains("red:") && !devices.contains("br500")
            }
            #expect(try lab.sh("ip -o link").contains("taken"))
            second.dataplane.close()
        }
    }

    @Test func followsAnOperatorsVRF() throws {
        try KernelLab.run { lab in
            try lab.sh(underlay)
            guard RoutedKernelTests.hasVRFDevices(lab) else { return }
            try lab.sh(
                """
                ip link add red type vrf table 77
                ip link set red up
                ip link add br500 address 02:00:00:00:05:00 type bridge
                ip link set br500 addrgenmode none up
                ip link add vx500 type vxlan id 500 local 192.0.2.1 dstport 4789 nolearning
                ip link set vx500 master br500
                ip link set vx500 addrgenmode none
                bridge link set dev vx500 learning off
                ip link set vx500 up
                """)
            let subject = try lab.dataplane()
            subject.dataplane.configure(
                [], vrfs: [RoutedKernelTests.vrf("red", vni: 500, isManaged: false)], defaultVTEP: nil)
            try lab.wait("found") { subject.domains[vni(500)]?.routerMAC == mac("02:00:00:00:05:00") }
            #expect(subject.domains[vni(500)]?.vrf == nil)
            #expect(subject.dataplane.domains().first?.problem?.contains("in no VRF") == true)
            try lab.sh(
                "ip link set br500 master red; sysctl -qw net.ipv4.conf.br500.forwarding=1 net.ipv4.conf.red.forwarding=1"
            )
            try lab.wait("in the VRF") { subject.domains[vni(500)]?.vrf == "red" }
            try lab.wait("no problem") { subject.dataplane.domains().first?.problem == nil }
            try lab.sh("ip link set br500 address 02:00:00:00:05:01")
            try lab.wait("another router MAC") { subject.domains[vni(500)]?.routerMAC == mac("02:00:00:00:05:01") }
            try lab.sh("ip link set red down")
            try lab.wait("down") { subject.domains[vni(500)]?.vrf == nil }
            #expect(subject.dataplane.vrfStatus().first?.state == .down)
            try lab.sh("ip link del red")
            try lab.wait("gone") { subject.dataplane.vrfStatus().first?.problem == "no device red" }
            subject.dataplane.close()
        }
    }

    /// An operator's device with a filter of VNIs: what it lets in is followed, and what it counts is told; so is that of a VNI's own device.
    @Test func followsAFilterOfVNIs() throws {
        try KernelLab.run { lab in
            try lab.sh(
                """
                ip link add vx type vxlan external vnifilter local 192.0.2.1 dstport 4789 nolearning
                ip link set vx up
                ip link add own type vxlan id 200 local 192.0.2.1 dstport 4790 nolearning
                ip link set own up
                """)
            let subject = try lab.dataplane()
            subject.dataplane.configure(
                [
                    BroadcastDomain(vni: vni(100), device: .adopted(name: "vx")),
                    BroadcastDomain(vni: vni(200), device: .adopted(name: nil)),
                ], defaultVTEP: nil)
            try lab.wait("the device of one VNI") { subject.domains[vni(200)] != nil }
            #expect(subject.dataplane.domains().first?.problem?.hasPrefix("the filter of vx does not have") == true)
            try lab.sh("bridge vni add vni 100 dev vx")
            try lab.wait("let in") { subject.domains[vni(100)] != nil }
            let counters = subject.dataplane.vniCounters()
            #expect(counters.map(\.vni) == [vni(100), vni(200)] && counters.map(\.device) == ["vx", "own"])
            try lab.sh("bridge vni delete vni 100 dev vx")
            try lab.wait("kept out") { subject.domains[vni(100)] == nil }
            #expect(subject.dataplane.vniCounters().map(\.vni) == [vni(200)])
            subject.dataplane.close()
        }
    }
}
