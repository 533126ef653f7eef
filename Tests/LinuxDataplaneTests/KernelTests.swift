// The dataplane against the real kernel, each test in a network namespace of its own (root): devices and entries.

import EVPN
import Glibc
import NetTypes
import Netlink
import Testing

@testable import LinuxDataplane

@Suite(.serialized) struct KernelTests {
    /// An adopted bridged domain with a flood member, a MAC and a neighbor programmed.
    static func programmed(_ lab: KernelLab, _ domain: BroadcastDomain = adopted) throws -> Subject {
        let subject = try lab.dataplane()
        subject.dataplane.configure([domain], defaultVTEP: nil)
        subject.dataplane.apply([
            .flood(FloodKey(vni: vni(100), vtep: ip("192.0.2.2")), FloodMember(vni: vni(100))),
            .mac(macKey(100, macA), remote("192.0.2.2")),
            .neighbor(NeighborKey(vni: vni(100), ip: ip("10.0.0.1")), RemoteNeighbor(mac: mac(macA))),
        ])
        try lab.wait("all programmed") {
            let now = subject.dataplane.statistics
            return now.desired == 3 && now.pending + now.failed + now.waiting == 0
        }
        return subject
    }

    @Test func programsAnAdoptedDevice() throws {
        try KernelLab.run { lab in
            try lab.sh(bridged)
            let subject = try KernelTests.programmed(lab)
            #expect(subject.domains[vni(100)] == LocalDomain(vtep: ip("192.0.2.1"), device: "vx in br0"))
            #expect(
                try lab.fdb(macA) == [
                    "\(macA) dev vx dst 192.0.2.2 self extern_learn", "\(macA) dev vx extern_learn master br0",
                ])
            #expect(try lab.fdb(zero, device: "vx") == ["\(zero) dst 192.0.2.2 self permanent"])
            let neighbors = try lab.sh("ip neigh show dev br0")
            #expect(neighbors.contains("10.0.0.1 lladdr \(macA) extern_learn NOARP proto 211"), "\(neighbors)")
            #expect(subject.dataplane.plan().isEmpty)
            #expect(subject.dataplane.status(of: .mac(macKey(100, macA))) == .done)
            #expect(
                subject.dataplane.kernelEntry(of: .mac(macKey(100, macA)))
                    == KernelEntry(
                        lines: [
                            "\(macA) dev vx dst 192.0.2.2 self extern_learn", "\(macA) dev vx master br0 extern_learn",
                        ],
                        isOurs: true))
            // Moves and downstream VNIs replace in place; removal leaves nothing.
            subject.dataplane.apply([.mac(macKey(100, macA), remote("192.0.2.3", vni: 200))])
            try lab.wait("moved") { subject.dataplane.status(of: .mac(macKey(100, macA))) == .done }
            #expect(try lab.fdb(macA).first == "\(macA) dev vx dst 192.0.2.3 vni 200 self extern_learn")
            let requests = subject.requests
            lab.pass(milliseconds: 100)
            #expect(subject.requests == requests, "own notifications must not cause requests")
            subject.dataplane.apply([
                .mac(macKey(100, macA), nil), .flood(FloodKey(vni: vni(100), vtep: ip("192.0.2.2")), nil),
                .neighbor(NeighborKey(vni: vni(100), ip: ip("10.0.0.1")), nil),
            ])
            try lab.wait("removed") { subject.dataplane.statistics.desired == 0 && subject.dataplane.plan().isEmpty }
            try lab.wait("gone") {
                (try? lab.fdb(macA).isEmpty) == true && (try? lab.fdb(zero, device: "vx").isEmpty) == true
            }
            #expect(!(try lab.sh("ip neigh show dev br0")).contains("10.0.0.1"))
            #expect(subject.dataplane.statistics.healed == 0)
            subject.dataplane.close()
        }
    }

    @Test func setsAndClearsSticky() throws {
        try KernelLab.run { lab in
            try lab.sh(bridged)
            let subject = try lab.dataplane()
            subject.dataplane.configure([adopted], defaultVTEP: nil)
            subject.dataplane.apply([.mac(macKey(100, macA), remote("192.0.2.2", sticky: true))])
            try lab.wait("sticky") { subject.dataplane.status(of: .mac(macKey(100, macA))) == .done }
            #expect(try lab.fdb(macA).contains("\(macA) dev vx extern_learn sticky master br0 static"))
            subject.dataplane.apply([.mac(macKey(100, macA), remote("192.0.2.2"))])
            try lab.wait("not sticky") { subject.dataplane.status(of: .mac(macKey(100, macA))) == .done }
            #expect(try lab.fdb(macA).contains("\(macA) dev vx extern_learn master br0"))
            lab.pass(milliseconds: 100)
            #expect(subject.dataplane.plan().isEmpty)
            #expect(subject.dataplane.statistics.healed == 0)
            subject.dataplane.close()
        }
    }

    @Test func followsADeviceThatComesAndGoes() throws {
        try KernelLab.run { lab in
            let subject = try lab.dataplane()
            subject.dataplane.configure([adopted], defaultVTEP: nil)
            subject.dataplane.apply([.mac(macKey(100, macA), remote("192.0.2.2"))])
            #expect(
                subject.dataplane.status(of: .mac(macKey(100, macA)))
                    == .waiting(reason: "no VXLAN device with VNI 100"))
            try lab.sh(bridged)
            func isDone() -> Bool { subject.dataplane.status(of: .mac(macKey(100, macA))) == .done }
            try lab.wait("appeared") { isDone() && subject.domains[vni(100)] != nil }
            try lab.sh("ip link set vx down")
            try lab.wait("down") { subject.domains[vni(100)] == nil }
            #expect(subject.dataplane.domains().first?.state == .down)
            try lab.sh("ip link set vx up")
            try lab.wait("up again") { isDone() && subject.domains[vni(100)] != nil }
            #expect(try lab.fdb(macA).count == 2)
            try lab.sh("ip link set vx name vy")
            try lab.wait("renamed") { subject.domains[vni(100)]?.device == "vy in br0" && isDone() }
            try lab.sh("ip link del vy")
            try lab.wait("deleted") { subject.domains[vni(100)] == nil }
            try lab.sh("ip link add vz type vxlan id 100 local 192.0.2.9 dstport 4789 nolearning; ip link set vz up")
            try lab.wait("recreated, unbridged") {
                subject.domains[vni(100)]?.vtep == ip("192.0.2.9") && isDone()
            }
            #expect(try lab.fdb(macA) == ["\(macA) dev vz dst 192.0.2.2 self extern_learn"])
            let own = try lab.sh("cat /sys/class/net/lo/address; ip -br link show vz").split(separator: " ")
            #expect(subject.macs.values.contains(LocalMAC(port: "vz")), "\(own)")
            try lab.sh("bridge link set dev vz learning off 2>/dev/null || ip link set vz master br0")
            try lab.wait("moved into the bridge") { subject.domains[vni(100)]?.device == "vz in br0" && isDone() }
            #expect(try lab.fdb(macA).count == 2)
            #expect(subject.dataplane.plan().isEmpty)
            // Out of the configuration and in again at once: its hosts are found anew.
            try lab.sh("ip link add q0 type veth peer name q1; ip link set q0 master br0 up; ip link set q1 up")
            try lab.learn("02:00:00:00:00:56", "q0")
            let host = MACKey(vni: vni(100), mac: mac("02:00:00:00:00:56"))
            try lab.wait("a host") { subject.macs[host] != nil }
            subject.dataplane.configure([], defaultVTEP: nil)
            subject.dataplane.configure([adopted], defaultVTEP: nil)
            try lab.wait("in again") {
                let hasGone = subject.changes.contains { if case .mac(host, nil) = $0 { true } else { false } }
                return hasGone && subject.domains[vni(100)] != nil && subject.macs[host] != nil
            }
            subject.dataplane.close()
        }
    }

    @Test func makesManagedDevices() throws {
        try KernelLab.run { lab in
            try lab.sh("ip link add u0 type veth peer name u1; ip addr add 192.0.2.1/24 dev u0; ip link set u0 up")
            let subject = try KernelTests.programmed(lab, managed)
            try lab.sh("ip link add p0 mtu 1450 type veth peer name p1; ip link set p0 up; ip link set p1 up")
            try lab.wait("member enslaved") {
                (try? lab.sh("ip -br link show master br100"))?.contains("p0@") == true
            }
            let text = try lab.sh("ip -d link show vxlan100")
            for expected in [
                "mtu 1450", "alias evpnd:vni=100", "id 100 local 192.0.2.1", "dstport 4789", "ttl 64", "nolearning",
                "learning off", "neigh_suppress on", "addrgenmode none", "master br100",
            ] { #expect(text.contains(expected), "\(expected) in \(text)") }
            #expect(!text.contains(":new"))
            try lab.wait("nothing left to do") { subject.dataplane.plan().isEmpty }
            #expect(subject.dataplane.statistics.healed == 0, "\(lab.lines)")

            // Damage to the devices heals within two seconds.
            try lab.sh("bridge link set dev vxlan100 learning on")
            // What is damaged again before it has been found to be right counts as one.
            func isSettled() -> Bool { subject.dataplane.domainsByVNI[vni(100)]?.work.isSettled == true }
            try lab.wait("learning off again", seconds: 2) {
                (try? lab.sh("ip -d link show vxlan100"))?.contains("learning off") == true && isSettled()
            }
            try lab.sh("ip link set vxlan100 mtu 1400")
            try lab.wait("mtu again", seconds: 2) {
                (try? lab.sh("ip link show vxlan100"))?.contains("mtu 1450") == true && isSettled()
            }
            try lab.sh("ip link del vxlan100")
            try lab.wait("device again", seconds: 2) {
                subject.domains[vni(100)] != nil && subject.dataplane.status(of: .mac(macKey(100, macA))) == .done
                    && (try? lab.fdb(macA).count) == 2 && (try? lab.fdb(zero, device: "vxlan100").count) == 1
            }
            #expect(subject.dataplane.statistics.healed >= 3)
            // A device of ours that somebody sets down is set up again, with a word in the log.
            for device in ["vxlan100", "br100"] {
                let before = lab.lines.count
                try lab.sh("ip link set \(device) down")
                try lab.wait("\(device) up again", seconds: 5) {
                    (try? lab.sh("ip link show \(device)"))?.contains(",UP") == true
                        && subject.domains[vni(100)] != nil
                        && subject.dataplane.status(of: .mac(macKey(100, macA))) == .done
                }
                let told = lab.lines.dropFirst(before).filter { $0.contains("dataplane.device.corrected") }
                #expect(told.contains { $0.contains("ip link set \(device) up") }, "\(lab.lines)")
            }
            try lab.wait("nothing wrong") { subject.dataplane.domains().first?.problem == nil }
            // A port is where the configuration has it now: in another bridge, in none, back again.
            func domain(_ number: UInt32, _ members: [String]) -> BroadcastDomain {
                let device = ManagedDevice(vxlanName: "vxlan\(number)", bridgeName: "br\(number)", members: members)
                return BroadcastDomain(vni: vni(number), device: .managed(device), vtep: ip("192.0.2.1"))
            }
            let places: [([String], [String], String)] = [
                ([], ["p0"], "master br200"), ([], [], ""), (["p0"], [], "master br100"),
            ]
            for (first, second, master) in places {
                subject.dataplane.configure([domain(100, first), domain(200, second)], defaultVTEP: nil)
                try lab.wait("p0 \(master)") {
                    guard let text = try? lab.sh("ip link show p0") else { return false }
                    return master.isEmpty ? !text.contains("master") : text.contains(master)
                }
            }
            subject.dataplane.configure([managed], defaultVTEP: nil)
            // A new VTEP address is followed.
            var moved = managed
            moved.vtep = ip("192.0.2.7")
            subject.dataplane.configure([moved], defaultVTEP: nil)
            try lab.wait("new local") {
                (try? lab.sh("ip -d link show vxlan100"))?.contains("local 192.0.2.7") == true
                    && subject.domains[vni(100)]?.vtep == ip("192.0.2.7")
            }
            // Its hosts go with it, also when nothing is left that could tell of them.
            try lab.learn("02:00:00:00:00:55", "p0")
            let host = MACKey(vni: vni(100), mac: mac("02:00:00:00:00:55"))
            try lab.wait("a host") { subject.macs[host] != nil }
            subject.dataplane.configure([], defaultVTEP: nil)
            try lab.wait("no facts") { subject.domains.isEmpty && subject.macs.isEmpty && subject.neighbors.isEmpty }
            try lab.wait("devices removed") { (try? lab.sh("ip -br link"))?.contains("100") == false }
            #expect((try lab.sh("ip link show p0")).contains("p0"))
            subject.dataplane.close()
        }
    }

    @Test func leavesForeignDevicesAlone() throws {
        try KernelLab.run { lab in
            try lab.sh(
                "ip link add vxlan100 type vxlan id 7 local 192.0.2.1 dstport 4789; ip link add br100 type bridge")
            let before = try lab.sh("ip -d link show vxlan100; ip -d link show br100")
            let subject = try lab.dataplane()
            subject.dataplane.configure([managed], defaultVTEP: nil)
            lab.pass(milliseconds: 200)
            #expect(subject.dataplane.domains().first?.problem == "br100 exists and was not made by evpnd")
            subject.dataplane.allowPruning()
            subject.dataplane.configure([], defaultVTEP: nil)
            lab.pass(milliseconds: 200)
            #expect(try lab.sh("ip -d link show vxlan100; ip -d link show br100") == before)
            subject.dataplane.close()
        }
    }

    @Test func programsAnIPv6Underlay() throws {
        try KernelLab.run { lab in
            try lab.sh(
                "ip link add u0 mtu 9000 type veth peer name u1; ip addr add 2001:db8::1/64 dev u0 nodad; ip link set u0 up"
            )
            let subject = try lab.dataplane()
            var domain = managed
            domain.vtep = ip("2001:db8::1")
            subject.dataplane.configure([domain], defaultVTEP: nil)
            subject.dataplane.apply([
                .flood(FloodKey(vni: vni(100), vtep: ip("2001:db8::2")), FloodMember(vni: vni(100))),
                .mac(macKey(100, macA), remote("2001:db8::2")),
                .mac(macKey(100, macB), remote("192.0.2.2")),
                .neighbor(NeighborKey(vni: vni(100), ip: ip("2001:db8:1::a")), RemoteNeighbor(mac: mac(macA))),
            ])
            try lab.wait("programmed, IPv4 refused") {
                let now = subject.dataplane.statistics
                return now.desired == 4 && now.pending + now.waiting == 0 && now.failed == 1
            }
            let text = try lab.sh("ip -d link show vxlan100")
            #expect(text.contains("local 2001:db8::1") && text.contains("mtu 8930"), "\(text)")
            #expect(try lab.fdb(macA).first == "\(macA) dev vxlan100 dst 2001:db8::2 self extern_learn")
            #expect(try lab.fdb(zero, device: "vxlan100") == ["\(zero) dst 2001:db8::2 self permanent"])
            #expect((try lab.sh("ip -6 neigh show dev br100")).contains("2001:db8:1::a lladdr \(macA)"))
            #expect(subject.dataplane.plan().count == 1)
            // Damage heals; a move and a removal leave nothing behind.
            try lab.sh("bridge fdb del \(macA) dev vxlan100 self; bridge fdb del \(zero) dev vxlan100 dst 2001:db8::2")
            try lab.wait("healed", seconds: 2) {
                (try? lab.fdb(macA).count) == 2 && (try? lab.fdb(zero, device: "vxlan100").count) == 1
            }
            try lab.wait("counted") { subject.dataplane.statistics.healed == 2 }
            subject.dataplane.apply([
                .mac(macKey(100, macA), remote("2001:db8::3", vni: 7)), .mac(macKey(100, macB), nil),
                .flood(FloodKey(vni: vni(100), vtep: ip("2001:db8::2")), nil),
            ])
            try lab.wait("moved") {
                (try? lab.fdb(macA).first) == "\(macA) dev vxlan100 dst 2001:db8::3 vni 7 self extern_learn"
                    && (try? lab.fdb(zero, device: "vxlan100").isEmpty) == true
            }
            // To IPv4: the address family of a device cannot be changed, it is made again.
            domain.vtep = ip("192.0.2.1")
            subject.dataplane.configure([domain], defaultVTEP: nil)
            subject.dataplane.apply([.mac(macKey(100, macA), remote("192.0.2.2"))])
            try lab.wait("IPv4") { (try? lab.fdb(macA).first)?.contains("dst 192.0.2.2") == true }
            subject.dataplane.close()
        }
    }

    @Test func cleansUp() throws {
        try KernelLab.run { lab in
            try lab.sh(bridged + "\nbridge fdb append \(zero) dev vx dst 192.0.2.77")
            let before = try lab.fdb("")
            let subject = try KernelTests.programmed(lab)
            subject.dataplane.configure(
                [
                    adopted,
                    BroadcastDomain(
                        vni: vni(200), device: .managed(ManagedDevice(vxlanName: "vxlan200", bridgeName: "br200")),
                        vtep: ip("192.0.2.1")),
                ], defaultVTEP: nil)
            try lab.wait("second domain") { subject.domains[vni(200)] != nil }
            let lines = subject.dataplane.cleanup()
            #expect(lines.contains("ip link del vxlan200"), "\(lines)")
            #expect(lines.contains("bridge fdb del \(macA) dev vx self"), "\(lines)")
            #expect(try lab.fdb("") == before)
            #expect(!(try lab.sh("ip -br link")).contains("200"))
            #expect(!(try lab.sh("ip neigh show dev br0")).contains("10.0.0.1"))
        }
    }

    /// Several VNIs on one external VXLAN device: entries carry `src_vni`, and adding and deleting are symmetric.
    @Test func programsAnExternalDevice() throws {
        try KernelLab.run { lab in
            try lab.sh(
                """
                ip link add vx type vxlan external local 192.0.2.1 dstport 4789 nolearning
                ip link set vx addrgenmode none up
                bridge fdb append \(zero) dev vx dst 192.0.2.9 src_vni 300
                """)
            let foreign = try lab.fdb("")
            let subject = try lab.dataplane()
            func domain(_ number: UInt32) -> BroadcastDomain {
                BroadcastDomain(vni: vni(number), device: .adopted(name: "vx"))
            }
            subject.dataplane.configure([domain(100), domain(200), domain(300)], defaultVTEP: nil)
            subject.dataplane.apply([
                .flood(FloodKey(vni: vni(100), vtep: ip("192.0.2.2")), FloodMember(vni: vni(100))),
                .flood(FloodKey(vni: vni(200), vtep: ip("192.0.2.2")), FloodMember(vni: vni(250))),
                .mac(macKey(100, macA), remote("192.0.2.2")), .mac(macKey(200, macA), remote("192.0.2.3", vni: 250)),
            ])
            func isSettled() -> Bool {
                let now = subject.dataplane.statistics
                return now.desired == 4 && now.pending + now.failed + now.waiting == 0
            }
            try lab.wait("programmed") { isSettled() }
            let entries = [
                "\(macA) dev vx dst 192.0.2.2 src_vni 100 self extern_learn",
                "\(macA) dev vx dst 192.0.2.3 vni 250 src_vni 200 self extern_learn",
            ]
            #expect(try lab.fdb(macA) == entries)
            #expect(try lab.fdb(zero, device: "vx").count == 3)
            #expect(subject.dataplane.plan().isEmpty)
            #expect(
                subject.dataplane.kernelEntry(of: .mac(macKey(200, macA)))?.lines == [
                    "\(macA) dev vx dst 192.0.2.3 vni 250 src_vni 200 self extern_learn"
                ])
            // Damage to one VNI's entry heals, and the same MAC of another VNI is left alone.
            try lab.sh("bridge fdb replace \(macA) dev vx dst 192.0.2.7 src_vni 100 self extern_learn")
            try lab.wait("healed", seconds: 2) { (try? lab.fdb(macA)) == entries }
            try lab.sh("bridge fdb del \(zero) dev vx dst 192.0.2.2 src_vni 100")
            try lab.wait("flood healed", seconds: 2) { (try? lab.fdb(zero, device: "vx").count) == 3 }
            try lab.wait("counted") { subject.dataplane.statistics.healed == 2 && isSettled() }
            // As after kill -9: the next process finds and prunes exactly ours.
            subject.dataplane.close()
            let second = try lab.dataplane()
            second.dataplane.configure([domain(100), domain(200), domain(300)], defaultVTEP: nil)
            try lab.wait("bound") { second.domains.count == 3 }
            second.dataplane.apply([.mac(macKey(100, macA), remote("192.0.2.2"))])
            lab.pass(milliseconds: 100)
            #expect(second.requests == 0, "an identical entry is not written again")
            second.dataplane.allowPruning()
            try lab.wait("pruned") { (try? lab.fdb(macA)) == Array(entries.prefix(1)) }
            second.dataplane.configure([domain(300)], defaultVTEP: nil)
            try lab.wait("all of ours gone") { (try? lab.fdb("")) == foreign }
            second.dataplane.close()
        }
    }
}
