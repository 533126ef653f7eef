// How fast a large table of routes reaches the kernel. The limits are loose enough for a busy machine and a debug build; the figures are
// printed.

import AsyncIO
import EVPN
import Glibc
import NetTypes
import Testing

@testable import LinuxDataplane

@Suite(.serialized) struct RouteScaleTests {
    @Test func programsManyRoutes() throws {
        try KernelLab.run { lab in
            #if DEBUG
                let count = 20_000
            #else
                let count = 100_000
            #endif
            try lab.sh(routed)
            let subject = try lab.dataplane()
            subject.dataplane.configure([], vrfs: [tenant()], defaultVTEP: nil)
            try lab.wait("bound") { subject.domains[vni(500)] != nil && subject.dataplane.isReady }
            func keys(_ body: (PrefixKey) -> ForwardingChange) -> [ForwardingChange] {
                (0..<UInt32(count)).compactMap { index in
                    IPPrefix(.v4(IPv4Address(rawValue: 0x0a00_0000 + index)), length: 32)
                        .map { body(PrefixKey(vrf: "ten", prefix: $0)) }
                }
            }
            func measure(_ what: String, _ vteps: [String]) throws {
                let nexthops = vteps.map { RoutedNexthop.router(vtep: ip($0), through: vni(500)) }
                let changes = keys { .prefix($0, nexthops.isEmpty ? nil : RemotePrefix(nexthops: nexthops)) }
                let start = lab.loop.now
                var next = 0
                func feed() {
                    subject.dataplane.apply(Array(changes[next..<min(count, next + 1000)]))
                    next += 1000
                    if next < count { lab.loop.afterRound { feed() } }
                }
                feed()
                try lab.wait(what, seconds: 60) {
                    guard next >= count, let table = subject.dataplane.routing.vrfs["ten"]?.table else { return false }
                    return table.rows.count == (vteps.isEmpty ? 0 : count) && !table.hasQueued
                        && table.rows.values.allSatisfy { !$0.marks.contains(.inFlight) && $0.have != 0 }
                }
                let seconds = (lab.loop.now - start).inSeconds
                print("\(what): \(count) routes in \(seconds) s = \(Int(Double(count) / seconds))/s")
                #expect(subject.dataplane.plan().isEmpty)
            }
            try measure("add routes", ["192.0.2.2"])
            #expect(subject.dataplane.statistics.requests == count + 1)
            try measure("move routes to two VTEPs", ["192.0.2.2", "192.0.2.3"])
            // A device that goes takes all of them along.
            let start = lab.loop.now
            try lab.sh("ip link set br500 down; ip link set br500 up")
            try lab.wait("back", seconds: 60) { (try? lab.sh("ip route show table main | wc -l")) == "\(count * 3)\n" }
            print("back after a flap in \((lab.loop.now - start).inSeconds) s")
            try measure("remove routes", [])
            let now = subject.dataplane.statistics
            #expect(now.healed == 0 && now.failed == 0 && now.refused == 0 && now.overruns == 0)
            subject.dataplane.close()
        }
    }
}
