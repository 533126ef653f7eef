// The dataplane against the real kernel when something is not as it should be: entries of others, damage, refusals, restarts, lost
// notifications.

import EVPN
import Glibc
import NetTypes
import Netlink
import Testing

@testable import LinuxDataplane

extension KernelTests {
    @Test func neverTouchesForeignEntries() throws {
        try KernelLab.run { lab in
            try lab.sh(
                bridged + """

                    bridge fdb add \(macA) dev vx dst 192.0.2.9 self static
                    bridge fdb add \(macB) dev p0 master static
                    bridge fdb append \(zero) dev vx dst 192.0.2.8
                    """)
            let before = try lab.fdb("")
            let subject = try lab.dataplane()
            subject.dataplane.configure([adopted], defaultVTEP: nil)
            subject.dataplane.apply([
                .mac(macKey(100, macA), remote("192.0.2.2")), .mac(macKey(100, macB), remote("192.0.2.2")),
                .flood(FloodKey(vni: vni(100), vtep: ip("192.0.2.8")), FloodMember(vni: vni(100))),
            ])
            try lab.wait("conflict seen") {
                if case .failed(let reason, _) = subject.dataplane.status(of: .mac(macKey(100, macA))) {
                    return reason.contains("conflict")
                }
                return false
            }
            guard case .failed(let reason, _) = subject.dataplane.status(of: .mac(macKey(100, macB))) else {
                throw LabFailure("no conflict for a local static MAC")
            }
            #expect(reason.contains("static entry on p0"))
            try lab.wait("local static MAC") {
                subject.macs[macKey(100, macB)] == LocalMAC(port: "p0", isStatic: true)
            }
            subject.dataplane.allowPruning()
            subject.dataplane.apply([
                .mac(macKey(100, macB), nil),
                .flood(FloodKey(vni: vni(100), vtep: ip("192.0.2.8")), nil),
            ])
            lab.pass(milliseconds: 200)
            #expect(try lab.fdb("") == before)
            // Once the foreign entry is gone, ours takes its place.
            try lab.sh("bridge fdb del \(macA) dev vx self")
            try lab.wait("programmed") { subject.dataplane.status(of: .mac(macKey(100, macA))) == .done }
            subject.dataplane.close()
        }
    }

    @Test func healsDamage() throws {
        try KernelLab.run { lab in
            try lab.sh(bridged)
            let subject = try KernelTests.programmed(lab)
            func heal(_ what: String, _ command: String) throws {
                let before = subject.dataplane.statistics.healed
                try lab.sh(command)
                try lab.wait(what, seconds: 2) {
                    subject.dataplane.statistics.healed > before && subject.dataplane.plan().isEmpty
                }
                #expect(
                    try lab.fdb(macA) == [
                        "\(macA) dev vx dst 192.0.2.2 self extern_learn", "\(macA) dev vx extern_learn master br0",
                    ], "\(what)")
                #expect(try lab.fdb(zero, device: "vx").count == 1, "\(what)")
                #expect((try lab.sh("ip neigh show dev br0")).contains("10.0.0.1 lladdr \(macA)"), "\(what)")
            }
            try heal("self deleted", "bridge fdb del \(macA) dev vx self")
            try heal("master deleted", "bridge fdb del \(macA) dev vx master")
            try heal("moved away", "bridge fdb replace \(macA) dev vx dst 192.0.2.66 self extern_learn")
            try heal("taken over", "bridge fdb replace \(macA) dev vx dst 192.0.2.66 self static")
            try heal("flood deleted", "bridge fdb del \(zero) dev vx dst 192.0.2.2 self")
            try heal("neighbor deleted", "ip neigh del 10.0.0.1 dev br0")
            try heal(
                "neighbor changed", "ip neigh replace 10.0.0.1 lladdr 02:00:00:00:00:66 dev br0 nud permanent")
            subject.dataplane.close()
        }
    }

    @Test func reportsRefusalsAndGoesOn() throws {
        try KernelLab.run { lab in
            // Without IPv6 in the VXLAN device, the kernel refuses an IPv6 remote.
            try lab.sh(bridged)
            let subject = try lab.dataplane()
            subject.dataplane.configure([adopted], defaultVTEP: nil)
            subject.dataplane.apply(
                [.mac(macKey(100, macA), remote("2001:db8::1"))]
                    + (0..<200).map {
                        .mac(
                            MACKey(vni: vni(100), mac: MACAddress(rawValue: 0x0200_0000_1000 + $0)), remote("192.0.2.2")
                        )
                    })
            try lab.wait("others done") {
                subject.dataplane.statistics.pending + subject.dataplane.statistics.waiting == 0
            }
            #expect(subject.dataplane.statistics.failed == 1)
            guard case .failed(let reason, _) = subject.dataplane.status(of: .mac(macKey(100, macA))) else {
                throw LabFailure("\(subject.dataplane.status(of: .mac(macKey(100, macA))))")
            }
            #expect(reason.contains("family"), "\(reason)")
            // A change of the row tries again.
            subject.dataplane.apply([.mac(macKey(100, macA), remote("192.0.2.2"))])
            try lab.wait("done") { subject.dataplane.status(of: .mac(macKey(100, macA))) == .done }
            #expect(subject.dataplane.statistics.failed == 0)
            subject.dataplane.close()
        }
    }

    @Test func adoptsAfterARestart() throws {
        try KernelLab.run { lab in
            try lab.sh(bridged)
            let first = try KernelTests.programmed(lab)
            first.dataplane.apply([
                .mac(macKey(100, macB), remote("192.0.2.3")),
                .flood(FloodKey(vni: vni(100), vtep: ip("192.0.2.3")), FloodMember(vni: vni(100))),
                .neighbor(NeighborKey(vni: vni(100), ip: ip("10.0.0.2")), RemoteNeighbor(mac: mac(macB))),
            ])
            try lab.wait("stale-to-be programmed") {
                first.dataplane.plan().isEmpty && first.dataplane.statistics.pending == 0
            }
            // As after kill -9: closed without a word to the kernel.
            first.dataplane.close()
            try lab.sh("bridge fdb append \(zero) dev vx dst 192.0.2.77")
            let before = try lab.fdb("")

            let second = try lab.dataplane()
            second.dataplane.configure([adopted], defaultVTEP: nil)
            try lab.wait("bound") { second.domains[vni(100)] != nil }
            #expect(second.dataplane.plan().isEmpty)
            second.dataplane.apply([
                .flood(FloodKey(vni: vni(100), vtep: ip("192.0.2.2")), FloodMember(vni: vni(100))),
                .mac(macKey(100, macA), remote("192.0.2.2")),
                .neighbor(NeighborKey(vni: vni(100), ip: ip("10.0.0.1")), RemoteNeighbor(mac: mac(macA))),
            ])
            lab.pass(milliseconds: 100)
            #expect(second.dataplane.statistics.desired == 3)
            #expect(second.dataplane.statistics.pending == 0)
            #expect(second.requests == 0, "identical entries are not written again")
            #expect(try lab.fdb("") == before)
            second.dataplane.allowPruning()
            try lab.wait("stale pruned") { (try? lab.fdb(macB).isEmpty) == true }
            try lab.wait("flood pruned") { (try? lab.fdb(zero, device: "vx").count) == 2 }
            #expect(second.requests == 3)
            #expect(try lab.fdb(macA).count == 2)
            #expect(!(try lab.sh("ip neigh show dev br0")).contains("10.0.0.2"))
            #expect((try lab.sh("ip neigh show dev br0")).contains("10.0.0.1"))
            second.dataplane.close()
        }
    }

    @Test func reportsLocalHosts() throws {
        try KernelLab.run { lab in
            try lab.sh(bridged)
            let subject = try KernelTests.programmed(lab)
            try lab.sh("bridge fdb add \(macB) dev p0 master static")
            try lab.wait("static") { subject.macs[macKey(100, macB)] == LocalMAC(port: "p0", isStatic: true) }
            try lab.sh("bridge fdb del \(macB) dev p0 master")
            try lab.wait("gone") { subject.macs[macKey(100, macB)] == nil }
            try lab.sh("bridge fdb replace \(macB) dev p0 master static sticky")
            try lab.wait("sticky") { subject.macs[macKey(100, macB)]?.isSticky == true }
            try lab.sh("ip addr add 10.0.0.254/24 dev br0")
            try lab.wait("gateway") { subject.macs.values.contains { $0.isGateway && $0.port == "br0" } }
            try lab.sh("ip neigh replace 10.0.0.9 lladdr \(macB) dev br0 nud reachable")
            try lab.wait("neighbor") {
                subject.neighbors[NeighborKey(vni: vni(100), ip: ip("10.0.0.9"))] == LocalNeighbor(mac: mac(macB))
            }
            try lab.sh("ip neigh del 10.0.0.9 dev br0")
            let gone = NeighborKey(vni: vni(100), ip: ip("10.0.0.9"))
            try lab.wait("neighbor gone") { subject.neighbors[gone] == nil }
            let gateway = subject.macs.first { $0.value.isGateway }?.key.mac
            #expect(
                subject.neighbors.keys.map(\.ip) == [ip("10.0.0.254")] && subject.neighbors.values.first?.mac == gateway
            )
            // The MAC that we have as remote appears on a local port: reported, and not fought.
            let mover = macA
            try lab.sh("bridge fdb replace \(mover) dev p0 master dynamic")
            try lab.wait("moved here") { subject.macs[macKey(100, mover)] == LocalMAC(port: "p0") }
            lab.pass(milliseconds: 200)
            #expect(try lab.fdb(mover).contains { $0.contains("dev p0") })
            #expect(
                subject.dataplane.status(of: .mac(macKey(100, mover)))
                    == .waiting(reason: "the bridge has learned the MAC on p0"))
            // The control plane says remote again: it is put back; the local fact goes.
            subject.dataplane.apply([.mac(macKey(100, mover), remote("192.0.2.5"))])
            try lab.wait("remote again") {
                subject.dataplane.status(of: .mac(macKey(100, mover))) == .done
                    && subject.macs[macKey(100, mover)] == nil
            }
            // Moved here again, and withdrawn by the control plane: the local entry stays.
            try lab.sh("bridge fdb replace \(mover) dev p0 master dynamic")
            try lab.wait("moved here") { subject.macs[macKey(100, mover)] != nil }
            subject.dataplane.apply([.mac(macKey(100, mover), nil)])
            try lab.wait("self entry gone") {
                (try? lab.fdb(mover).count) == 1 && subject.dataplane.plan().isEmpty
            }
            #expect(try lab.fdb(mover).contains { $0.contains("dev p0") })
            #expect(subject.dataplane.statistics.healed == 0)
            subject.dataplane.close()
        }
    }

    /// Workloads cannot make the daemon grow without end.
    @Test func limitsLocalHosts() throws {
        try KernelLab.run { lab in
            try lab.sh(bridged)
            let subject = try lab.dataplane()
            subject.dataplane.maximumLocals = 10
            subject.dataplane.configure([adopted], defaultVTEP: nil)
            try lab.wait("bound") { subject.domains[vni(100)] != nil }
            try lab.sh(
                """
                for i in $(seq 100 130); do echo "fdb add 02:00:00:00:99:$(printf %02x $i) dev p0 master static"; done | bridge -batch -
                """)
            try lab.wait("some") { subject.macs.count == 10 }
            lab.pass(milliseconds: 100)
            #expect(subject.macs.count == 10)
            #expect(lab.lines.filter { $0.contains("dataplane.local.limit") }.count == 1)
            try lab.sh("bridge fdb flush dev br0 2>/dev/null || ip link set p0 nomaster")
            try lab.wait("gone") { subject.macs.isEmpty }
            subject.dataplane.close()
        }
    }

    /// With few rows the tables are dumped; above the limit the rows are sent again.
    @Test(arguments: [200_000, 0]) func survivesAnOverrun(dumpLimit: Int) throws {
        try KernelLab.run { lab in
            try lab.sh(bridged)
            let subject = try KernelTests.programmed(lab)
            subject.dataplane.dumpLimit = dumpLimit
            subject.dataplane.apply([.mac(macKey(100, macB), remote("192.0.2.2"))])
            try lab.wait("second MAC") { subject.dataplane.status(of: .mac(macKey(100, macB))) == .done }
            // The loop does not run meanwhile, as if it had been busy: changes that it never hears of.
            var size: Int32 = 4096
            setsockopt(subject.dataplane.notifications.descriptor, SOL_SOCKET, SO_RCVBUF, &size, 4)
            try lab.sh(
                """
                for i in $(seq 100 250); do echo "fdb replace 02:00:00:00:99:$(printf %02x $i) dev p0 master static"; done | bridge -batch -
                bridge fdb del \(macA) dev vx self
                bridge fdb del \(zero) dev vx dst 192.0.2.2
                ip neigh del 10.0.0.1 dev br0
                bridge fdb replace \(macB) dev p0 master dynamic
                """)
            try lab.wait("resynchronized") {
                subject.dataplane.statistics.overruns > 0 && subject.dataplane.plan().isEmpty
                    && subject.macs.count == 152 && (try? lab.fdb(macA).count) == 2
                    && (try? lab.fdb(zero, device: "vx").count) == 1
                    && (try? lab.sh("ip neigh show dev br0"))?.contains("10.0.0.1") == true
            }
            #expect(subject.dataplane.plan().isEmpty)
            // The host that moved here meanwhile is reported, and not taken away again.
            #expect(subject.macs[macKey(100, macB)] == LocalMAC(port: "p0"))
            #expect(try lab.fdb(macB).contains { $0.contains("dev p0") })
            subject.dataplane.close()
        }
    }

    /// The kernel refuses to delete: the key's status says why, the entry is not forgotten, and it is tried again.
    @Test func reportsRefusedDeletions() throws {
        try KernelLab.run { lab in
            try lab.sh(bridged)
            let subject = try KernelTests.programmed(lab)
            let domain = subject.dataplane.domainsByVNI[vni(100)]
            let binding = domain?.table.binding
            // As if our devices were the loopback device, which has no such tables.
            domain?.table.binding?.vxlan = 1
            let keys: [ForwardingKey] = [
                .mac(macKey(100, macA)), .flood(FloodKey(vni: vni(100), vtep: ip("192.0.2.2"))),
            ]
            subject.dataplane.apply([
                .mac(macKey(100, macA), nil), .flood(FloodKey(vni: vni(100), vtep: ip("192.0.2.2")), nil),
            ])
            try lab.wait("refused") {
                keys.allSatisfy { key in
                    if case .failed(let reason, _) = subject.dataplane.status(of: key) {
                        reason.contains("Ethernet")
                    } else {
                        false
                    }
                }
            }
            #expect(try lab.fdb(macA).count == 2)
            #expect(subject.dataplane.statistics.desired == 1)
            domain?.table.binding = binding
            try lab.wait("tried again", seconds: 10) {
                // The answers may come after what they are about.
                (try? lab.fdb(macA).isEmpty) == true && (try? lab.fdb(zero, device: "vx").isEmpty) == true
                    && keys.allSatisfy { subject.dataplane.status(of: $0) == .absent }
            }
            subject.dataplane.close()
        }
    }
}
