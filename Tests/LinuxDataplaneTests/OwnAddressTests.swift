// MAC addresses of this host's own devices: nobody else's route takes them away, and what somebody removes of them comes back.

import EVPN
import NetTypes
import Netlink
import Testing

@testable import LinuxDataplane

@Suite(.serialized) struct OwnAddressTests {
    private static let gateway = "02:00:00:00:01:01"

    /// A remote route for the address of a bridge, before and after the bridge has it.
    @Test func isNotTakenAway() throws {
        try KernelLab.run { lab in
            try lab.sh(bridged + "\nip link set br0 address \(OwnAddressTests.gateway)")
            let subject = try lab.dataplane()
            subject.dataplane.configure([adopted], defaultVTEP: nil)
            try lab.wait("bound") { subject.domains[vni(100)] != nil }
            let key = ForwardingKey.mac(macKey(100, OwnAddressTests.gateway))
            subject.dataplane.apply([
                .mac(macKey(100, OwnAddressTests.gateway), remote("192.0.2.2")),
                .mac(macKey(100, macA), remote("192.0.2.2")),
            ])
            func status(_ text: String) -> EntryStatus { subject.dataplane.status(of: .mac(macKey(100, text))) }
            func isRefused(_ text: String) -> Bool {
                guard case .failed(let reason, _) = status(text) else { return false }
                return reason == "conflict: it is the address of br0 on this host"
            }
            try lab.wait("the other one") { status(macA) == .done }
            #expect(isRefused(OwnAddressTests.gateway))
            #expect(subject.dataplane.statistics.failed == 1)
            #expect(subject.dataplane.plan().isEmpty)
            #expect(try lab.fdb(OwnAddressTests.gateway).allSatisfy { $0.contains("permanent") })
            // The device becomes another one's address, and its own again: what was put there goes.
            try lab.sh("ip link set br0 address 02:00:00:00:01:02")
            try lab.wait("free") { subject.dataplane.status(of: key) == .done }
            try lab.sh("ip link set br0 address \(macA)")
            try lab.wait("taken") { isRefused(macA) && subject.dataplane.plan().isEmpty }
            try lab.sh("ip link set br0 address 02:00:00:00:01:03")
            try lab.wait("free again") { status(macA) == .done }
            try lab.sh("ip link set br0 address \(macA)")
            try lab.wait("not ours") { (try? lab.fdb(macA).allSatisfy { !$0.contains("extern_learn") }) == true }
            subject.dataplane.close()
        }
    }
    /// The bridge's own entry is what makes frames to a gateway the host's.
    @Test func comesBack() throws {
        try KernelLab.run { lab in
            try lab.sh("ip link set lo up; ip link add p0 type veth peer name p1; ip link set p0 up; ip link set p1 up")
            var domain = managed
            domain.routed = RoutedInterface(
                addresses: [SubnetAddress(ip("10.0.1.1"), length: 24)].compactMap { $0 },
                mac: mac(OwnAddressTests.gateway))
            let subject = try lab.dataplane()
            subject.dataplane.configure([domain], defaultVTEP: nil)
            func isThere() -> Bool {
                (try? lab.fdb(OwnAddressTests.gateway).contains { $0.contains("permanent") }) == true
            }
            func isSettled() -> Bool { subject.dataplane.domainsByVNI[vni(100)]?.work.isSettled == true }
            try lab.wait("made") { isThere() && isSettled() && subject.dataplane.plan().isEmpty }
            try lab.sh("bridge fdb del \(OwnAddressTests.gateway) dev br100 self")
            try lab.wait("back") { isThere() && subject.dataplane.plan().isEmpty }
            #expect(subject.dataplane.statistics.healed >= 1)
            subject.dataplane.close()
        }
    }
}
