// Tenants in network namespaces against the real kernel (root): VXLAN devices there, their packets in the lab's own namespace.

import BGP
import EVPN
import Glibc
import NetTypes
import Netlink
import Testing

@testable import LinuxDataplane

/// A VRF that is the namespace `name`, with L3 VNI 500, and VNI 101 in it with the gateway 10.50.0.1.
private struct TenantConfiguration {
    var vrf: IPVRF
    var domain: BroadcastDomain

    init(_ name: String, vrf vrfName: String = "red", vni number: UInt32 = 101, transit: UInt32 = 500) throws {
        var routed = RoutedInterface(vrf: vrfName)
        routed.addresses = [try #require(SubnetAddress(ip("10.50.0.1"), length: 24))]
        domain = TenantConfiguration.domain(number)
        domain.routed = routed
        vrf = IPVRF(
            name: vrfName, isManaged: true, place: .namespace(name), domain: TenantConfiguration.domain(transit),
            rd: RouteDistinguisher(rawValue: 1), importTargets: .explicit([]), exportTargets: [])
    }
    static func domain(_ number: UInt32) -> BroadcastDomain {
        BroadcastDomain(
            vni: vni(number),
            device: .managed(ManagedDevice(vxlanName: "vxlan\(number)", bridgeName: "br\(number)")))
    }
    func apply(_ subject: HostSubject) {
        subject.dataplane.configure([domain], vrfs: [vrf], defaultVTEP: ip("192.0.2.1"))
    }
}

@Suite(.serialized) struct NamespaceTests {
    private static let underlay = """
        ip link set lo up
        ip link add u0 type veth peer name u1
        ip addr add 192.0.2.1/24 dev u0
        ip link set u0 up
        ip link set u1 up
        """
    private static let rows: [ForwardingChange] = [
        .flood(FloodKey(vni: vni(101), vtep: ip("192.0.2.2")), FloodMember(vni: vni(101))),
        .mac(macKey(101, macA), remote("192.0.2.2", vni: 101)),
        .neighbor(NeighborKey(vni: vni(101), ip: ip("10.50.0.9")), RemoteNeighbor(mac: mac(macA))),
        .mac(macKey(500, macA), remote("192.0.2.2", vni: 500)),
    ]
    private static func isUp(_ subject: HostSubject) -> Bool {
        subject.domains[vni(101)] != nil && subject.domains[vni(500)] != nil && subject.isDone
    }
    /// `ip -n`, one line.
    private static func link(_ lab: KernelLab, _ namespace: String, _ device: String) throws -> String {
        try lab.sh("ip -n \(namespace) -d -o link show dev \(device) 2>&1 || true")
    }

    @Test func servesATenantAndAdoptsAfterARestart() throws {
        try KernelLab.run { lab in
            let (red, peer, peerTenant) = (lab.namespace("red"), lab.namespace("u2"), lab.namespace("t2"))
            try lab.sh(
                """
                ip netns add \(red); ip netns add \(peer); ip netns add \(peerTenant)
                ip -n \(red) link set lo up
                ip link add u0 type veth peer name u1 netns \(peer)
                ip addr add 192.0.2.1/24 dev u0; ip link set u0 up mtu 1400
                ip -n \(peer) addr add 192.0.2.2/24 dev u1; ip -n \(peer) link set u1 up mtu 1400
                ip -n \(peer) link add vx netns \(peerTenant) type vxlan id 101 local 192.0.2.2 dstport 4789
                ip -n \(peerTenant) addr add 10.50.0.2/24 dev vx
                ip -n \(peerTenant) link set vx up
                bridge -n \(peerTenant) fdb append 00:00:00:00:00:00 dev vx dst 192.0.2.1
                """)
            var subject = try lab.dataplanes()
            try TenantConfiguration(red).apply(subject)
            subject.dataplane.apply(NamespaceTests.rows)
            try lab.wait("up") { NamespaceTests.isUp(subject) }
            #expect(subject.domains[vni(101)]?.vrf == "red" && subject.domains[vni(500)]?.vrf == "red")
            #expect(subject.domains[vni(101)]?.device == "vxlan101 in br101")
            let vxlan = try NamespaceTests.link(lab, red, "vxlan101")
            #expect(vxlan.contains("vxlan id 101 local 192.0.2.1") && vxlan.contains("master br101"), "\(vxlan)")
            #expect(vxlan.contains("alias evpnd:vni=101") && !vxlan.contains(":new"), "\(vxlan)")
            #expect(vxlan.contains("mtu 1350"), "the MTU follows the underlay: \(vxlan)")
            #expect(try !lab.sh("ip link").contains("vxlan"))
            #expect(
                try lab.sh("bridge -n \(red) fdb show dev vxlan101").contains("\(macA) dst 192.0.2.2 ")
            )
            #expect(try lab.sh("ip -n \(red) neigh show dev br101").contains("10.50.0.9 lladdr \(macA) extern_learn"))
            #expect(
                try lab.sh("ip netns exec \(red) sysctl -n net.ipv4.ip_forward net.ipv6.conf.all.forwarding")
                    == "1\n1\n")
            // The packets leave from, and arrive in, the underlay.
            try lab.sh("ip netns exec \(red) ping -c1 -W3 10.50.0.2")
            #expect(subject.dataplane.plan().isEmpty)
            #expect(subject.dataplane.status(of: .mac(macKey(500, macA))) == .done)
            #expect(subject.dataplane.kernelEntry(of: .mac(macKey(101, macA)))?.isOurs == true)
            #expect(subject.dataplane.domains().map(\.vni) == [vni(101), vni(500)])

            // The MTU of the underlay changes: seen from the tenant's namespace.
            try lab.sh("ip link set u0 mtu 1300; ip -n \(peer) link set u1 mtu 1300")
            try lab.wait("MTU") { (try? NamespaceTests.link(lab, red, "vxlan101").contains("mtu 1250")) == true }

            // Killed and started again.
            let before = try lab.sh("ip -n \(red) -o link | cut -d: -f1,2")
            subject.dataplane.close()
            subject = try lab.dataplanes()
            try TenantConfiguration(red).apply(subject)
            try lab.wait("adopted") { subject.domains[vni(101)] != nil && subject.domains[vni(500)] != nil }
            #expect(try lab.sh("bridge -n \(red) fdb show dev vxlan101").contains(macA))
            subject.dataplane.apply(NamespaceTests.rows)
            subject.dataplane.allowPruning()
            try lab.wait("as before") { NamespaceTests.isUp(subject) }
            #expect(try lab.sh("ip -n \(red) -o link | cut -d: -f1,2") == before)
            #expect(try lab.sh("bridge -n \(red) fdb show dev vxlan101").contains("00:00:00:00:00:00 dst 192.0.2.2"))
            // Its flood entry is known as ours: it goes when it is not wanted.
            subject.dataplane.apply([.flood(FloodKey(vni: vni(101), vtep: ip("192.0.2.2")), nil)])
            try lab.wait("flood entry removed") {
                (try? lab.sh("bridge -n \(red) fdb show dev vxlan101").contains("00:00:00:00:00:00")) == false
            }

            // Nothing is wanted there any more.
            subject.dataplane.configure([], defaultVTEP: ip("192.0.2.1"))
            try lab.wait("left") { subject.dataplane.tenants.isEmpty }
            #expect(try lab.sh("ip -n \(red) -o link").split(separator: "\n").count == 1)
            #expect(try lab.sh("ls \(lab.directory)").split(separator: "\n") == ["flood"])
            subject.dataplane.close()
        }
    }

    /// A namespace that does not forward drops what is to be routed: that is said, with the command, until it does.
    @Test func saysThatANamespaceDoesNotForward() throws {
        try KernelLab.run { lab in
            let red = lab.namespace("red")
            try lab.sh(NamespaceTests.underlay)
            try lab.sh(
                """
                ip netns add \(red)
                ip -n \(red) link add lan type bridge
                ip -n \(red) addr add 10.60.0.1/24 dev lan; ip -n \(red) link set lan up
                ip netns exec \(red) sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0
                """)
            let subject = try lab.dataplanes()
            var configuration = try TenantConfiguration(red)
            configuration.vrf.isManaged = false
            configuration.apply(subject)
            func problem() -> String? { subject.dataplane.vrfStatus().first?.problem }
            func remedy() -> String { subject.dataplane.vrfStatus().first?.remedy ?? "true" }
            try lab.wait("IPv4 is off") { problem() == "IPv4 forwarding is off on lan in network namespace \(red)" }
            #expect(subject.dataplane.vrfStatus().first?.isSilent == true)
            #expect(remedy() == "ip netns exec \(red) sysctl -w net.ipv4.ip_forward=1")
            try lab.sh(remedy())
            try lab.wait("IPv4 is on") { problem() == nil }
            try lab.sh("ip -n \(red) addr add 2001:db8:60::1/64 dev lan nodad")
            try lab.wait("IPv6 is off") { problem() == "IPv6 forwarding is off in network namespace \(red)" }
            try lab.sh(remedy())
            try lab.wait("IPv6 is on") { problem() == nil }
            subject.dataplane.close()
        }
    }

    @Test func waitsForANamespaceThatComesAndGoes() throws {
        try KernelLab.run { lab in
            let red = lab.namespace("red")
            try lab.sh(NamespaceTests.underlay)
            let subject = try lab.dataplanes()
            var configuration = try TenantConfiguration(red)
            // Otherwise the missing namespace would be made.
            configuration.vrf.isManaged = false
            let own = TenantConfiguration.domain(7)
            subject.dataplane.configure(
                [own, configuration.domain], vrfs: [configuration.vrf], defaultVTEP: ip("192.0.2.1"))
            subject.dataplane.apply(NamespaceTests.rows)
            subject.dataplane.allowPruning()
            // The others do not wait.
            try lab.wait("vni 7") { subject.domains[vni(7)] != nil && subject.dataplane.isReady }
            let reason = "no network namespace \(red) (ip netns add \(red))"
            #expect(subject.dataplane.domains().first { $0.vni == vni(101) }?.problem == reason)
            #expect(subject.dataplane.vrfStatus().map(\.problem) == [reason])
            #expect(subject.dataplane.status(of: .mac(macKey(101, macA))) == .waiting(reason: reason))
            #expect(subject.dataplane.statistics.waiting == 4)

            try lab.sh("ip netns add \(red)")
            try lab.wait("made") { NamespaceTests.isUp(subject) }
            let first = try lab.sh("bridge -n \(red) fdb show")
            #expect(first.contains("\(macA) dev vxlan101 dst 192.0.2.2"), "\(first)")

            // While it is gone, what is wanted changes.
            try lab.sh("ip netns del \(red)")
            try lab.wait("gone") { subject.domains[vni(101)] == nil && subject.domains[vni(500)] == nil }
            subject.dataplane.apply([.mac(macKey(101, "02:00:00:00:00:0b"), remote("192.0.2.3", vni: 101))])
            subject.dataplane.apply([.mac(macKey(101, macA), nil)])
            #expect(subject.dataplane.statistics.waiting == 4)
            try lab.sh("ip netns add \(red)")
            try lab.wait("made again") { NamespaceTests.isUp(subject) }
            let second = try lab.sh("bridge -n \(red) fdb show dev vxlan101")
            #expect(second.contains("02:00:00:00:00:0b dst 192.0.2.3") && !second.contains(macA), "\(second)")
            #expect(second.contains("00:00:00:00:00:00 dst 192.0.2.2"), "\(second)")

            // Another one in its place within the same second.
            try lab.sh("ip netns del \(red); ip netns add \(red)")
            try lab.wait("replaced") { (try? lab.sh("ip -n \(red) link").contains("vxlan101")) == true }
            try lab.wait("replaced") { NamespaceTests.isUp(subject) }
            let commands = subject.dataplane.cleanup()
            #expect(commands.contains("ip netns exec \(red) ip link del vxlan101"), "\(commands)")
            #expect(try lab.sh("ip -n \(red) -o link").split(separator: "\n").count == 1)
            #expect(try !lab.sh("ip link").contains("vxlan"))
        }
    }

    /// The kernel refuses a second VXLAN device with the same VNI for one underlay, wherever it is.
    @Test func movesADomainBetweenNamespaces() throws {
        try KernelLab.run { lab in
            let (red, blue) = (lab.namespace("red"), lab.namespace("blue"))
            try lab.sh("\(NamespaceTests.underlay)\nip netns add \(red); ip netns add \(blue)")
            let subject = try lab.dataplanes()
            let (inRed, inBlue) = (try TenantConfiguration(red), try TenantConfiguration(blue))
            subject.dataplane.configure([TenantConfiguration.domain(101)], defaultVTEP: ip("192.0.2.1"))
            // L3 rows before their VRF is there.
            subject.dataplane.apply(NamespaceTests.rows)
            try lab.wait("at home") { subject.domains[vni(101)] != nil }
            #expect(try lab.fdb(macA, device: "vxlan101").count == 2)

            for (configuration, namespace, other) in [(inRed, red, blue), (inBlue, blue, red), (inRed, red, blue)] {
                subject.changes = []
                configuration.apply(subject)
                try lab.wait("in \(namespace)") {
                    NamespaceTests.isUp(subject)
                        && (try? lab.sh("bridge -n \(namespace) fdb show dev vxlan101").contains(macA)) == true
                }
                #expect(subject.changes.first == .domain(vni(101), nil), "told to be down before it is up")
                #expect(try !NamespaceTests.link(lab, other, "vxlan101").contains("vxlan id"))
                #expect(try !lab.sh("ip link").contains("vxlan"))
            }
            subject.dataplane.configure([TenantConfiguration.domain(101)], defaultVTEP: ip("192.0.2.1"))
            try lab.wait("at home again") {
                subject.domains[vni(101)] != nil && (try? lab.fdb(macA, device: "vxlan101").count) == 2
            }
            try lab.wait("the namespaces are left") { subject.dataplane.tenants.isEmpty }
            #expect(!lab.lines.contains { $0.contains("refused") }, "\(lab.lines)")
            subject.dataplane.close()
        }
    }

    /// A host that is declared to live in a tenant goes with its declaration, wherever its namespace was meanwhile; a remote one that has
    /// its address takes its place then.
    @Test(arguments: [true, false])
    func declaredHostsAreNoRemoteOnes(isMade: Bool) throws {
        try KernelLab.run { lab in
            let (red, blue) = (lab.namespace("red"), lab.namespace("blue"))
            try lab.sh("\(NamespaceTests.underlay)\nip netns add \(red); ip netns add \(blue)")
            let subject = try lab.dataplanes()
            let (inRed, inBlue) = (try TenantConfiguration(red), try TenantConfiguration(blue))
            let declared = StaticMAC(
                mac: mac("02:00:00:00:00:0d"), addresses: ["10.50.0.8", "10.50.0.9"].map { ip($0) })
            func configure(_ configuration: TenantConfiguration, _ hosts: [StaticMAC]) {
                subject.dataplane.configure(
                    [configuration.domain], vrfs: [configuration.vrf], hosts: [vni(101): hosts],
                    defaultVTEP: ip("192.0.2.1"))
            }
            func neighbors(_ namespace: String) -> String {
                (try? lab.sh("ip -n \(namespace) neigh show dev br101 nud all 2>/dev/null || true")) ?? ""
            }
            configure(inRed, [declared])
            // 10.50.0.9 is somebody else's, too.
            subject.dataplane.apply(NamespaceTests.rows)
            func isDeclared(in namespace: String) -> Bool {
                let lines = neighbors(namespace).split(separator: "\n")
                return ["10.50.0.8", "10.50.0.9"].allSatisfy { address in
                    lines.contains { $0.contains(address) && $0.contains("02:00:00:00:00:0d") }
                }
            }
            try lab.wait("declared") { NamespaceTests.isUp(subject) && isDeclared(in: red) }
            let end: (configuration: TenantConfiguration, namespace: String)
            if isMade {
                try lab.sh("ip netns del \(red); ip netns add \(red)")
                try lab.wait("declared again") { NamespaceTests.isUp(subject) && isDeclared(in: red) }
                end = (inRed, red)
            } else {
                end = (inBlue, blue)
            }
            configure(end.configuration, [])
            try lab.wait("the remote one is there") {
                NamespaceTests.isUp(subject) && neighbors(end.namespace).contains("10.50.0.9 lladdr \(macA)")
            }
            let left = neighbors(end.namespace)
            #expect(!left.contains("10.50.0.8") && !left.contains("02:00:00:00:00:0d"), "\(left)")
            #expect(subject.dataplane.plan() == [])
            subject.dataplane.close()
        }
    }

    /// Routes of a VRF come back with its namespace and go with it into another.
    @Test func routesLiveWhereTheirVRFLives() throws {
        try KernelLab.run { lab in
            let (red, blue) = (lab.namespace("red"), lab.namespace("blue"))
            try lab.sh("\(NamespaceTests.underlay)\nip netns add \(red); ip netns add \(blue)")
            let subject = try lab.dataplanes()
            var (inRed, inBlue) = (try TenantConfiguration(red), try TenantConfiguration(blue))
            // Otherwise a missing namespace would be made.
            (inRed.vrf.isManaged, inBlue.vrf.isManaged) = (false, false)
            // Whatever the metric of its routes, its subnets are in it.
            inRed.vrf.metric = 21
            /// What is ours there: prefixes with their next hops, and the number of nexthop objects.
            func ours(_ namespace: String) throws -> [String] {
                let routes = try lab.sh("ip -n \(namespace) -j route show proto 211 | jq -r '.[] | .dst'")
                let routes6 = try lab.sh(
                    "ip -n \(namespace) -6 -j route show proto 211 | jq -r '.[] | .dst + \" \" + .gateway'")
                let nexthops = try lab.sh("ip -n \(namespace) nexthop show proto 211 | wc -l")
                return (routes + routes6 + nexthops).split(separator: "\n").map(String.init)
            }
            func settle(_ namespace: String, _ expected: [String], line: Int = #line) throws {
                try lab.wait("routes in \(namespace)", line: line) {
                    NamespaceTests.isUp(subject) && (try? ours(namespace)) == expected
                }
                #expect(subject.dataplane.plan().isEmpty)
                #expect(subject.prefixes[prefixKey("10.50.0.0/24", vrf: "red")]?.interface == "br101")
            }
            inRed.apply(subject)
            subject.dataplane.allowPruning()
            subject.dataplane.apply(NamespaceTests.rows)
            subject.dataplane.apply([
                route("10.20.2.10/32", via: "192.0.2.2", vrf: "red"),
                route("10.40.0.0/16", via: "192.0.2.2", "192.0.2.3", vrf: "red"),
                route("2001:db8:2::/64", via: "192.0.2.2", vrf: "red"),
            ])
            // Two ways and their group, and one of IPv6.
            let all = ["10.20.2.10", "10.40.0.0/16", "2001:db8:2::/64 fe80::ffff:c000:202", "4"]
            try settle(red, all)

            // Gone, changed meanwhile, made again.
            try lab.sh("ip netns del \(red)")
            try lab.wait("gone") { subject.domains[vni(500)] == nil && subject.prefixes.isEmpty }
            let kept = ForwardingKey.prefix(prefixKey("10.20.2.10/32", vrf: "red"))
            let reason = "no network namespace \(red) (ip netns add \(red))"
            #expect(subject.dataplane.status(of: kept) == .waiting(reason: reason))
            subject.dataplane.apply([
                route("10.40.0.0/16", vrf: "red"), route("10.41.0.0/16", via: "192.0.2.3", vrf: "red"),
            ])
            try lab.sh("ip netns add \(red)")
            let changed = ["10.20.2.10", "10.41.0.0/16", "2001:db8:2::/64 fe80::ffff:c000:202", "3"]
            try settle(red, changed)
            // Replaced within the same moment.
            try lab.sh("ip netns del \(red); ip netns add \(red)")
            try settle(red, changed)

            for (configuration, namespace, other) in [(inBlue, blue, red), (inRed, red, blue)] {
                configuration.apply(subject)
                try settle(namespace, changed)
                #expect(try ours(other) == ["0"])
                #expect(subject.dataplane.status(of: kept) == .done)
            }
            // The VRF leaves the configuration: the rows wait for the day when it is back.
            subject.dataplane.configure([TenantConfiguration.domain(101)], defaultVTEP: ip("192.0.2.1"))
            try lab.wait("left") { subject.dataplane.tenants.isEmpty && subject.prefixes.isEmpty }
            #expect(try ours(red) == ["0"])
            #expect(subject.dataplane.status(of: kept) == .waiting(reason: "vrf red is not configured"))
            inBlue.apply(subject)
            try settle(blue, changed)
            _ = subject.dataplane.cleanup()
            #expect(try ours(blue) == ["0"])
        }
    }

    @Test func refusesNamespacesThatCannotBeATenants() throws {
        try KernelLab.run { lab in
            let (red, blue, own, file) = (
                lab.namespace("red"), lab.namespace("blue"), lab.namespace("own"), lab.namespace("file")
            )
            try lab.sh(
                """
                \(NamespaceTests.underlay)
                ip netns add \(red)
                touch /run/netns/\(blue) /run/netns/\(own) /run/netns/\(file)
                mount --bind /run/netns/\(red) /run/netns/\(blue)
                mount --bind /proc/self/ns/net /run/netns/\(own)
                mount --bind /proc/self/ns/uts /run/netns/\(file)
                """)
            let subject = try lab.dataplanes()
            let names = [red, blue, own, file]
            let all = try names.enumerated().map { index, name in
                try TenantConfiguration(
                    name, vrf: "vrf\(index)", vni: 101 + UInt32(index), transit: 500 + UInt32(index))
            }
            subject.dataplane.configure(all.map(\.domain), vrfs: all.map(\.vrf), defaultVTEP: ip("192.0.2.1"))
            try lab.wait("those that can be are up") { subject.dataplane.isReady && subject.domains.count == 2 }
            let problems = subject.dataplane.vrfStatus().map { $0.problem ?? "" }
            // Which of the two names is first is by the alphabet.
            #expect(problems[0] == "network namespace \(red) is the same as \(blue)", "\(problems)")
            #expect(problems[1] == "")
            #expect(problems[2] == "network namespace \(own) is the one that evpnd runs in", "\(problems)")
            #expect(problems[3] == "entering network namespace \(file) (Invalid argument)", "\(problems)")
            #expect(subject.dataplane.status(of: .mac(macKey(104, macA))) == .absent)
            _ = subject.dataplane.cleanup()
        }
    }

    @Test func findsWhatAnEarlierProcessLeft() throws {
        try KernelLab.run { lab in
            let red = lab.namespace("red")
            try lab.sh("\(NamespaceTests.underlay)\nip netns add \(red)")
            var subject = try lab.dataplanes()
            try TenantConfiguration(red).apply(subject)
            subject.dataplane.apply(NamespaceTests.rows)
            try lab.wait("up") { NamespaceTests.isUp(subject) }
            subject.dataplane.close()
            // The VRF left the configuration meanwhile; VNI 101 is at home now, and does not wait for the others.
            subject = try lab.dataplanes()
            subject.dataplane.configure([TenantConfiguration.domain(101)], defaultVTEP: ip("192.0.2.1"))
            try lab.wait("at home") { subject.domains[vni(101)] != nil }
            #expect(
                try NamespaceTests.link(lab, red, "vxlan500").contains("vxlan id 500"), "not before pruning is allowed")
            subject.dataplane.allowPruning()
            try lab.wait("left") { subject.dataplane.tenants.isEmpty }
            #expect(try lab.sh("ip -n \(red) -o link").split(separator: "\n").count == 1)
            subject.dataplane.close()

            // And without a daemon.
            subject = try lab.dataplanes()
            try TenantConfiguration(red).apply(subject)
            try lab.wait("up") { subject.domains[vni(101)] != nil && subject.domains[vni(500)] != nil }
            subject.dataplane.close()
            // A device that was interrupted between its creation and its mark is ours by its name.
            try lab.sh("ip -n \(red) link set vxlan101 down; ip -n \(red) link set vxlan101 name evpnd.101 alias ''")
            let commands = try LinuxDataplanes.cleanup(stateDirectory: lab.directory, vnis: nil)
            #expect(commands.contains("ip netns exec \(red) ip link del evpnd.101"), "\(commands)")
            #expect(try lab.sh("ip -n \(red) -o link").split(separator: "\n").count == 1)
        }
    }
}
