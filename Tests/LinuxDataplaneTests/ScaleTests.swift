// How fast a large table reaches the kernel, and what it costs. The limits are loose enough for a busy machine and a debug build; the
// figures are printed.

import AsyncIO
import EVPN
import Glibc
import NetTypes
import Testing

@testable import LinuxDataplane

@Suite(.serialized) struct ScaleTests {
    @Test func programsManyMACs() throws {
        try KernelLab.run { lab in
            #if DEBUG
                let count = 20_000
            #else
                let count = 100_000
            #endif
            try lab.sh(
                """
                ip link add br0 type bridge; ip link set br0 up
                ip link add vx type vxlan id 100 local 192.0.2.1 dstport 4789 nolearning
                ip link set vx master br0; bridge link set dev vx learning off; ip link set vx up
                """)
            let subject = try lab.dataplane()
            subject.dataplane.configure([BroadcastDomain(vni: vni(100), device: .adopted(name: nil))], defaultVTEP: nil)
            try lab.wait("bound") { subject.domains[vni(100)] != nil }
            func changes(_ vtep: String?) -> [ForwardingChange] {
                (0..<count).map { index in
                    let key = MACKey(vni: vni(100), mac: MACAddress(rawValue: 0x0200_0000_0000 + UInt64(index)))
                    return .mac(key, vtep.map { remote($0) })
                }
            }
            func cpu() -> (user: Double, system: Double) {
                var usage = rusage()
                getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
                func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
                return (seconds(usage.ru_utime), seconds(usage.ru_stime))
            }
            func residentKilobytes() throws -> Int {
                let text = try lab.sh("grep VmRSS /proc/\(getpid())/status")
                return text.split(separator: " ").compactMap { Int($0) }.first ?? 0
            }
            func measure(_ what: String, _ vtep: String?) throws {
                let batches = changes(vtep)
                let start = lab.loop.now
                let before = cpu()
                var next = 0
                func feed() {
                    subject.dataplane.apply(Array(batches[next..<min(count, next + 1000)]))
                    next += 1000
                    if next < count { lab.loop.afterRound { feed() } }
                }
                feed()
                try lab.wait(what, seconds: 60) {
                    next >= count
                        && subject.dataplane.domainsByVNI[vni(100)]?.table.macs.values.allSatisfy {
                            $0.isWanted && $0.isDone(bridged: true) && !$0.marks.contains(.inFlight)
                        } == true
                }
                let seconds = (lab.loop.now - start).inSeconds
                let after = cpu()
                print(
                    "\(what): \(count) MACs in \(seconds) s = \(Int(Double(count) / seconds))/s, user \(after.user - before.user) s, system \(after.system - before.system) s, healed \(subject.dataplane.statistics.healed) overruns \(subject.dataplane.statistics.overruns)"
                )
            }
            let before = try residentKilobytes()
            try measure("add", "192.0.2.2")
            let after = try residentKilobytes()
            print("memory: \((after - before) * 1024 / count) octets for each MAC (test's own arrays included)")
            try measure("move", "192.0.2.3")
            try measure("remove", nil)
            #expect(subject.dataplane.statistics.healed == 0)
            #expect(subject.dataplane.statistics.failed == 0)
            #expect(subject.dataplane.plan().isEmpty)
            subject.dataplane.close()
        }
    }

    /// An event about one device must not cost anything for the domains of the others.
    @Test func looksOnlyAtTheDomainsOfAnEvent() throws {
        try KernelLab.run { lab in
            let count: UInt32 = 1000
            let subject = try lab.dataplane()
            subject.dataplane.configure(
                (1...count).map { BroadcastDomain(vni: vni($0), device: .adopted(name: nil)) }, defaultVTEP: nil)
            #expect(subject.dataplane.evaluations == Int(count))
            let start = lab.loop.now
            try lab.sh(
                """
                for i in $(seq \(count)); do
                    echo "link add vx$i type vxlan id $i local 192.0.2.1 dstport 4789 nolearning"
                    echo "link set vx$i addrgenmode none up"
                done | ip -batch -
                ip link add u0 type veth peer name u1
                """)
            try lab.wait("all up", seconds: 30) { subject.domains.count == Int(count) }
            // Until nothing more comes.
            var first = 0
            while first != subject.dataplane.evaluations {
                first = subject.dataplane.evaluations
                lab.pass(milliseconds: 300)
            }
            print("\(count) devices in \((lab.loop.now - start).inSeconds) s, \(first) evaluations")
            #expect(first < Int(count) * 5)
            try lab.sh("ip link set vx500 down; ip link set u0 mtu 1400; ip addr add 198.51.100.1/24 dev u0")
            try lab.wait("down") { subject.domains.count == Int(count) - 1 }
            try lab.sh("ip link set vx500 up; ip link del u0")
            try lab.wait("up again") { subject.domains.count == Int(count) }
            lab.pass(milliseconds: 100)
            // A few for each of the six events, where one for each device would be six thousand.
            #expect(subject.dataplane.evaluations - first < 100, "\(subject.dataplane.evaluations - first)")
            subject.dataplane.close()
        }
    }
}
