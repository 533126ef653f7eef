// Silent hosts: the machine on virtual time, and the kernel's own questions in a namespace (root).

import AsyncIO
import EVPN
import NetTypes
import Netlink
import Telemetry
import Testing

@testable import LinuxDataplane

@Suite struct HostProbeTests {
    private func host(_ number: UInt64) -> HostProbes.Subject {
        .mac(MACKey(vni: vni(100), mac: MACAddress(rawValue: 0x0200_0000_0000 + number)))
    }
    private func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }

    @Test func asksOnceAndGivesUp() {
        var probes = HostProbes()
        probes.add(host(1))
        probes.add(host(1))
        var step = probes.next(now: at(0))
        #expect(step.ask == [host(1)] && step.gone.isEmpty && step.wake == at(3000))
        probes.add(host(2))
        step = probes.next(now: at(1000))
        #expect(step.ask == [host(2)] && step.gone.isEmpty)
        let wasAsked = probes.remove(host(2))
        #expect(wasAsked)
        step = probes.next(now: at(3000))
        #expect(step.ask.isEmpty && step.gone == [host(1)] && step.wake == nil)
        #expect(probes.isEmpty && !probes.contains(host(1)))
    }
    @Test func asksFewAtATime() {
        var probes = HostProbes()
        probes.limit = 10
        for number in 0..<35 { probes.add(host(UInt64(number))) }
        #expect(probes.next(now: at(0)).ask == (0..<10).map { host($0) })
        #expect(probes.next(now: at(1)).ask.isEmpty)
        // Who answers, or is not of interest any more, makes room for the next ones.
        for number in 3..<12 { probes.remove(host(UInt64(number))) }
        #expect(probes.next(now: at(2)).ask == (12..<19).map { host($0) })
        let step = probes.next(now: at(3000))
        #expect(step.gone == (0..<3).map { host($0) } && step.ask == (19..<22).map { host($0) })
        // One that came back and went silent again is asked again, once.
        probes.remove(host(20))
        probes.add(host(20))
        var asked: [HostProbes.Subject] = []
        var time: Int64 = 3000
        while !probes.isEmpty, time < 60_000 {
            time += 500
            let next = probes.next(now: at(time))
            #expect(next.ask.count <= 10)
            asked += next.ask
        }
        #expect(asked.filter { $0 == host(20) }.count == 1 && Set(asked).count == asked.count)
        #expect(probes.isEmpty)
    }
}

private let hosts = """
    ip link add br0 type bridge ageing_time 200
    ip link set br0 addrgenmode none
    ip address add 10.0.0.254/24 dev br0
    ip link set br0 up
    ip link add vx type vxlan id 100 local 192.0.2.1 dstport 4789 nolearning
    ip link set vx master br0
    ip link set vx addrgenmode none
    bridge link set dev vx learning off neigh_suppress on
    ip link set vx up
    ip netns list >/dev/null
    """

@Suite(.serialized) struct SilentHostTests {
    private static let macs = ["02:00:00:00:00:0a", "02:00:00:00:00:0b"]
    /// Two hosts in namespaces of their own, on the ports p0 and p1; `answers`: the process that keeps the namespace.
    private static func host(_ number: Int, _ lab: KernelLab) throws -> Int {
        let text = try lab.sh(
            """
            unshare -n sleep 60 >/dev/null 2>&1 &
            child=$!
            for try in $(seq 200); do
                [ "$(readlink /proc/$child/ns/net)" = "$(readlink /proc/$$/ns/net)" ] || break
            done
            ip link add p\(number) type veth peer name eth0 netns $child
            ip link set p\(number) addrgenmode none master br0 up
            nsenter -t $child -n sh -ec 'ip link set eth0 address \(macs[number]); ip address add 10.0.0.\(number + 1)/24 dev eth0; ip link set eth0 up'
            echo $child
            """)
        return try #require(Int(text.split(separator: "\n").last ?? ""))
    }
    private static func key(_ number: Int) -> MACKey { macKey(100, macs[number]) }
    private static func neighbor(_ number: Int) -> NeighborKey {
        NeighborKey(vni: vni(100), ip: ip("10.0.0.\(number + 1)"))
    }

    @Test func asksBeforeAHostIsWithdrawn() throws {
        try KernelLab.run { lab in
            try lab.sh(hosts)
            let processes = try [0, 1].map { try SilentHostTests.host($0, lab) }
            defer { _ = try? lab.sh("kill -9 \(processes[0]) \(processes[1]); true") }
            let subject = try lab.dataplane()
            subject.dataplane.configure([adopted], defaultVTEP: nil)
            try lab.wait("domain") { subject.domains[vni(100)] != nil }
            for number in [1, 2] { try lab.sh("ping -c 1 -W 2 -q 10.0.0.\(number)") }
            try lab.wait("both are known") {
                [0, 1].allSatisfy {
                    subject.macs[SilentHostTests.key($0)] != nil
                        && subject.neighbors[SilentHostTests.neighbor($0)] != nil
                }
            }
            // One goes away without a word: its port stays as it is. The other is only silent.
            try lab.sh("nsenter -t \(processes[1]) -n ip address flush dev eth0")
            subject.changes = []
            try lab.wait("the one that does not answer is withdrawn", seconds: 15) {
                subject.macs[SilentHostTests.key(1)] == nil && subject.neighbors[SilentHostTests.neighbor(1)] == nil
            }
            lab.pass(milliseconds: 3000)
            #expect(subject.macs[SilentHostTests.key(0)] != nil)
            #expect(
                !subject.changes.contains(.mac(SilentHostTests.key(0), nil))
                    && !subject.changes.contains(.neighbor(SilentHostTests.neighbor(0), nil)))
            #expect(subject.dataplane.probed.value >= 2)
            // A port that goes down takes its hosts with it at once.
            let before = lab.loop.now
            try lab.sh("ip link set p0 down")
            try lab.wait("withdrawn with its port", seconds: 2) { subject.macs[SilentHostTests.key(0)] == nil }
            #expect(lab.loop.now - before < .seconds(2))
            subject.dataplane.close()
        }
    }
    @Test func asksAHostThatMovedHere() throws {
        try KernelLab.run { lab in
            try lab.sh(hosts)
            let process = try SilentHostTests.host(0, lab)
            defer { _ = try? lab.sh("kill -9 \(process); true") }
            let subject = try lab.dataplane()
            subject.dataplane.configure([adopted], defaultVTEP: nil)
            try lab.wait("domain") { subject.domains[vni(100)] != nil }
            // It was elsewhere, with an address that it still has and one that it has not.
            let stranger = NeighborKey(vni: vni(100), ip: ip("10.0.0.77"))
            let there = RemoteNeighbor(mac: mac(SilentHostTests.macs[0]))
            subject.dataplane.apply([
                .mac(SilentHostTests.key(0), RemoteMAC(vtep: ip("192.0.2.2"), vni: vni(100))),
                .neighbor(SilentHostTests.neighbor(0), there), .neighbor(stranger, there),
            ])
            func show() -> String { (try? lab.sh("ip neigh show dev br0")) ?? "" }
            try lab.wait("its remote neighbors") { show().split(separator: "\n").count == 2 }
            // It speaks here, but not to this host.
            _ = try lab.sh("nsenter -t \(process) -n ping -c 1 -W 1 -q 10.0.0.50 || true")
            try lab.wait("its MAC is here") { subject.macs[SilentHostTests.key(0)] != nil }
            #expect(subject.neighbors[SilentHostTests.neighbor(0)] == nil)
            subject.dataplane.apply([
                .mac(SilentHostTests.key(0), nil), .neighbor(SilentHostTests.neighbor(0), nil),
                .neighbor(stranger, nil),
            ])
            try lab.wait("its addresses are here", seconds: 2) {
                subject.neighbors[SilentHostTests.neighbor(0)] != nil && subject.neighbors[stranger] != nil
            }
            try lab.wait("the one that does not answer is withdrawn", seconds: 15) {
                subject.neighbors[stranger] == nil
            }
            #expect(subject.neighbors[SilentHostTests.neighbor(0)] != nil)
            #expect(show().contains("10.0.0.1 lladdr \(SilentHostTests.macs[0])"))
            subject.dataplane.close()
        }
    }
    /// The host was withdrawn where it was before it spoke here: its addresses are asked for as soon as it does.
    @Test func asksAHostThatWasNowhereForAMoment() throws {
        try KernelLab.run { lab in
            try lab.sh(hosts)
            let process = try SilentHostTests.host(0, lab)
            defer { _ = try? lab.sh("kill -9 \(process); true") }
            let subject = try lab.dataplane()
            subject.dataplane.configure([adopted], defaultVTEP: nil)
            try lab.wait("domain") { subject.domains[vni(100)] != nil }
            subject.dataplane.apply([
                .mac(SilentHostTests.key(0), RemoteMAC(vtep: ip("192.0.2.2"), vni: vni(100))),
                .neighbor(SilentHostTests.neighbor(0), RemoteNeighbor(mac: mac(SilentHostTests.macs[0]))),
            ])
            func show() -> String { (try? lab.sh("ip neigh show dev br0")) ?? "" }
            try lab.wait("its remote neighbor") { show().split(separator: "\n").count == 1 }
            subject.dataplane.apply([.mac(SilentHostTests.key(0), nil), .neighbor(SilentHostTests.neighbor(0), nil)])
            try lab.wait("gone") { !show().contains("extern_learn") && subject.dataplane.plan().isEmpty }
            // It speaks here, but not to this host.
            _ = try lab.sh("nsenter -t \(process) -n ping -c 1 -W 1 -q 10.0.0.50 || true")
            try lab.wait("its MAC and its address are here", seconds: 2) {
                subject.macs[SilentHostTests.key(0)] != nil && subject.neighbors[SilentHostTests.neighbor(0)] != nil
            }
            subject.dataplane.close()
        }
    }
    @Test func remembersForAMinute() {
        var memory = RememberedBindings()
        let start = Instant(nanoseconds: 0)
        let (one, other) = (mac(SilentHostTests.macs[0]), mac(SilentHostTests.macs[1]))
        memory.add(one, ip("10.0.0.2"), now: start)
        memory.add(one, ip("10.0.0.1"), now: start + .seconds(30))
        #expect(memory.take(other, now: start).isEmpty)
        #expect(memory.take(one, now: start + .seconds(70)) == [ip("10.0.0.1")])
        #expect(memory.take(one, now: start + .seconds(70)).isEmpty)
        for number in 0..<UInt32(3 * RememberedBindings.limit) {
            memory.add(other, .v4(IPv4Address(rawValue: 0x0a00_0000 + number)), now: start)
        }
        #expect(memory.count == RememberedBindings.limit)
        #expect(memory.take(other, now: start + .seconds(1)).count == RememberedBindings.limit)
        // All of them, so many at a time; those that are too old are not among them.
        for number in 0..<UInt64(5) {
            memory.add(MACAddress(rawValue: 0x0200_0000_0100 + number), ip("10.9.0.1"), now: start + .seconds(2))
        }
        memory.add(mac("02:00:00:00:01:09"), ip("10.9.0.2"), now: start + .seconds(50))
        #expect(memory.take(limit: 2, now: start + .seconds(3)).count == 2)
        #expect(memory.take(limit: 100, now: start + .seconds(63)).map(\.addresses) == [[ip("10.9.0.2")]])
        #expect(memory.take(limit: 100, now: start + .seconds(3)).isEmpty)
    }
    @Test func keepsDeclaredHosts() throws {
        try KernelLab.run { lab in
            try lab.sh(hosts)
            let subject = try lab.dataplane()
            let declared = StaticMAC(mac: mac(SilentHostTests.macs[0]), addresses: [ip("10.0.0.1"), ip("fd00::1")])
            func show() -> String { (try? lab.sh("ip neigh show dev br0")) ?? "" }
            func isThere(_ count: Int) -> Bool {
                show().split(separator: "\n").filter { $0.contains("lladdr \(SilentHostTests.macs[0])") }.count == count
            }
            subject.dataplane.configure([adopted], hosts: [vni(100): [declared]], defaultVTEP: nil)
            try lab.wait("declared") { isThere(2) && subject.dataplane.plan().isEmpty }
            #expect(show().contains("proto 211"))
            // Asked, and without an answer, it stays what it is: `extern_valid` where the kernel has it (6.18), permanent elsewhere.
            try lab.sh(
                """
                cd /proc/sys/net/ipv4/neigh/br0
                echo 0 >delay_first_probe_time; echo 1 >ucast_solicit; echo 1 >mcast_solicit; echo 100 >retrans_time_ms
                ping -c 8 -i 0.2 -W 0.1 -q 10.0.0.1 || true
                """)
            let socket = try NetlinkSocket()
            let number = constant(Int32(try lab.sh("ip -o link show br0 | cut -d: -f1").dropLast()))
            let entries = try Observation.dumpNeighbors(number, Family.ipv4, socket)
            let entry = try #require(entries.first { $0.ip == ip("10.0.0.1") })
            let isValidated = subject.dataplane.domainsByVNI[vni(100)]?.table.canValidate == true
            #expect(entry.mac == declared.mac && entry.proto == 211 && !entry.state.contains(.failed))
            #expect(entry.extendedFlags.contains(.externallyValidated) == isValidated)
            #expect(entry.state.contains(.permanent) == !isValidated)
            #expect(subject.neighbors[SilentHostTests.neighbor(0)] == nil, "the control plane knows it already")
            try lab.sh("ip neigh flush dev br0 nud all; ip neigh del 10.0.0.1 dev br0 || true")
            try lab.wait("healed") { isThere(2) && subject.dataplane.plan().isEmpty }
            // Another MAC, and a remote neighbor for the same address that waits.
            subject.dataplane.apply([
                .neighbor(SilentHostTests.neighbor(0), RemoteNeighbor(mac: mac(SilentHostTests.macs[1])))
            ])
            subject.dataplane.configure(
                [adopted], hosts: [vni(100): [StaticMAC(mac: declared.mac, addresses: [ip("10.0.0.1")])]],
                defaultVTEP: nil)
            try lab.wait("one left") { isThere(1) && subject.dataplane.plan().isEmpty }
            subject.dataplane.configure([adopted], defaultVTEP: nil)
            try lab.wait("the remote one") {
                isThere(0) && show().contains("10.0.0.1 lladdr \(SilentHostTests.macs[1]) extern_learn")
            }
            // A kernel that refuses the flag gets permanent entries.
            subject.dataplane.domainsByVNI[vni(100)]?.table.canValidate = false
            subject.dataplane.configure([adopted], hosts: [vni(100): [declared]], defaultVTEP: nil)
            try lab.wait("permanent") { isThere(2) && show().contains("PERMANENT") && subject.dataplane.plan().isEmpty }
            subject.dataplane.close()
            #expect(try LinuxDataplane.cleanup(stateDirectory: lab.directory, vnis: nil).count >= 2)
            #expect(isThere(0))
        }
    }

    /// A host here takes an address of a remote one, whose MAC stays where it is; the control plane gives the remote neighbor up, which
    /// somebody may have removed before.
    @Test(arguments: [false, true]) func hearsOfAnAddressThatMovedHere(isFlushed: Bool) throws {
        try KernelLab.run { lab in
            try lab.sh(hosts)
            let process = try SilentHostTests.host(0, lab)
            defer { _ = try? lab.sh("kill -9 \(process); true") }
            func inHost(_ command: String) throws { try lab.sh("nsenter -t \(process) -n \(command)") }
            let subject = try lab.dataplane()
            let moved = NeighborKey(vni: vni(100), ip: ip("10.0.0.77"))
            var isRefused = true
            subject.dataplane.onLocalChanges = { [weak subject] changes in
                subject?.record(changes)
                if !isRefused, changes.contains(.neighbor(moved, LocalNeighbor(mac: mac(SilentHostTests.macs[0])))) {
                    if isFlushed { _ = try? lab.sh("ip neigh del 10.0.0.77 dev br0") }
                    subject?.dataplane.apply([.neighbor(moved, nil)])
                }
            }
            subject.dataplane.configure([adopted], defaultVTEP: nil)
            try lab.wait("domain") { subject.domains[vni(100)] != nil }
            subject.dataplane.apply([
                .mac(SilentHostTests.key(1), RemoteMAC(vtep: ip("192.0.2.2"), vni: vni(100))),
                .neighbor(moved, RemoteNeighbor(mac: mac(SilentHostTests.macs[1]))),
            ])
            func show() -> String { (try? lab.sh("ip neigh show 10.0.0.77 dev br0")) ?? "" }
            try lab.wait("its remote neighbor") { show().contains("extern_learn") && subject.dataplane.plan().isEmpty }
            // A question whether somebody has it (RFC 5227) is no claim.
            try inHost("sh -c 'arping -q -D -c 2 -w 1 -I eth0 10.0.0.77 || true'")
            try inHost("ping -c 1 -W 2 -q 10.0.0.254")
            try lab.wait("the host") { subject.neighbors[SilentHostTests.neighbor(0)] != nil }
            #expect(!subject.changes.contains { if case .neighbor(moved, _) = $0 { true } else { false } })
            // Refused: the remote one stays in force.
            try inHost("ip address add 10.0.0.77/24 dev eth0")
            try inHost("arping -q -U -c 1 -I eth0 10.0.0.77")
            try lab.wait("heard, and taken back") {
                subject.changes.suffix(1) == [.neighbor(moved, nil)] && subject.neighbors[moved] == nil
            }
            #expect(show().contains("lladdr \(SilentHostTests.macs[1]) extern_learn"))
            // Taken: the kernel knows the host, which has been asked; it was never withdrawn in between.
            isRefused = false
            subject.changes = []
            lab.pass(milliseconds: 1000)
            try inHost("arping -q -U -c 1 -I eth0 10.0.0.77")
            try lab.wait("the kernel knows it", seconds: 2) {
                show().contains("lladdr \(SilentHostTests.macs[0]) REACHABLE")
            }
            #expect(subject.neighbors[moved]?.mac == mac(SilentHostTests.macs[0]))
            #expect(!subject.changes.contains(.neighbor(moved, nil)))
            // Somebody else says to have it: it is asked, and keeps it while it answers.
            var answers = 0
            subject.dataplane.ask(moved) { answers += 1 }
            try lab.wait("asked again", seconds: 3) { subject.dataplane.disputes[moved]?.answers == 2 }
            #expect(subject.neighbors[moved] != nil && answers == 1)
            // Gone without a word: asked again by itself.
            try inHost("ip address del 10.0.0.77/24 dev eth0")
            try lab.wait("it does not answer any more", seconds: 8) { subject.neighbors[moved] == nil }
            #expect(subject.dataplane.disputes.isEmpty)
            subject.dataplane.close()
        }
    }
    /// Hosts that have an address in their ARP or ND cache hear that it is at another MAC now, wherever that is.
    @Test func tellsHostsOfAMove() throws {
        try KernelLab.run { lab in
            try lab.sh(hosts)
            let process = try SilentHostTests.host(0, lab)
            defer { _ = try? lab.sh("kill -9 \(process); true") }
            func inHost(_ command: String) -> String { (try? lab.sh("nsenter -t \(process) -n \(command)")) ?? "" }
            let subject = try lab.dataplane()
            subject.dataplane.configure([adopted], defaultVTEP: nil)
            try lab.wait("domain") { subject.domains[vni(100)] != nil }
            _ = inHost("ip address add 2001:db8::1/64 dev eth0 nodad")
            let (old, new) = (mac("02:00:00:00:00:71"), mac("02:00:00:00:00:72"))
            for address in ["10.0.0.77", "2001:db8::77"] {
                _ = inHost("ip neigh replace \(address) lladdr \(old) dev eth0 nud reachable")
                let key = NeighborKey(vni: vni(100), ip: ip(address))
                // The same address elsewhere, and another one: nothing to tell.
                subject.dataplane.apply([.neighbor(key, RemoteNeighbor(mac: old))])
                lab.pass(milliseconds: 50)
                #expect(inHost("ip neigh show \(address)").contains("lladdr \(old) REACHABLE"))
                subject.dataplane.apply([.neighbor(key, RemoteNeighbor(mac: new))])
                try lab.wait("\(address) is told", seconds: 2) {
                    inHost("ip neigh show \(address)").contains("lladdr \(new) ")
                }
            }
            subject.dataplane.close()
        }
    }
    /// A host that claims an address as fast as it can costs a message of the control plane a second, and no more is read than the limit.
    @Test func boundsWhatIsHeard() throws {
        try KernelLab.run { lab in
            try lab.sh(hosts)
            let subject = try lab.dataplane()
            subject.dataplane.configure([adopted], defaultVTEP: nil)
            try lab.wait("domain") { subject.domains[vni(100)] != nil }
            try lab.sh("ip link add p0 type veth peer name p1; ip link set p0 master br0 up; ip link set p1 up")
            let target = NeighborKey(vni: vni(100), ip: ip("10.0.0.77"))
            subject.dataplane.apply([.neighbor(target, RemoteNeighbor(mac: mac(SilentHostTests.macs[1])))])
            let sender = try AddressSocket()
            let number = constant(Int32(try lab.sh("ip -o link show p1 | cut -d: -f1").dropLast()))
            let text = try lab.sh("ip -o link show p1 | sed 's/.*ether \\([0-9a-f:]*\\).*/\\1/'")
            let own = constant(MACAddress(String(text.dropLast())))
            let claim = AddressClaim(ip: target.ip, mac: own)
            try lab.wait("the port") {
                sender.announce(claim, on: number) && subject.macs[MACKey(vni: vni(100), mac: own)] != nil
            }
            lab.pass(milliseconds: 1100)
            subject.changes = []
            let start = lab.loop.now
            for _ in 0..<100 {
                for _ in 0..<100 { sender.announce(claim, on: number) }
                lab.pass(milliseconds: 1)
            }
            let seconds = Int((lab.loop.now - start).components.seconds) + 2
            let heard = subject.changes.filter { if case .neighbor(target, .some) = $0 { true } else { false } }.count
            #expect((1...seconds).contains(heard), "\(heard) in \(seconds) s")
            subject.dataplane.close()
        }
    }
}
