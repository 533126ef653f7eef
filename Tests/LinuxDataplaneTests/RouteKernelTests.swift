// Routes and nexthop objects against the real kernel, each test in a network namespace of its own (root), whose main table is the VRF.

import AsyncIO
import EVPN
import Glibc
import NetTypes
import Netlink
import Testing

@testable import LinuxDataplane

@Suite(.serialized) struct RouteKernelTests {
    /// Lines of `ip route show` for a prefix, numbers of nexthop objects left out.
    private static func shown(_ lab: KernelLab, _ prefix: String, _ options: String = "") throws -> [String] {
        let v6 = prefix.contains(":") ? "-6 " : ""
        return try lab.sh("ip \(v6)route show \(prefix) \(options)").split(separator: "\n").map { line in
            var words = line.split { $0 == " " || $0 == "\t" }
            if let index = words.firstIndex(of: "nhid") { words.removeSubrange(index...index + 1) }
            return words.joined(separator: " ")
        }
    }
    private static func nexthops(_ lab: KernelLab) throws -> [String] {
        try lab.sh("ip nexthop show").split(separator: "\n").map { $0.split(separator: " ").joined(separator: " ") }
    }
    private static func bound(_ lab: KernelLab) throws -> Subject {
        let subject = try lab.dataplane()
        subject.dataplane.configure([], vrfs: [tenant()], defaultVTEP: nil)
        try lab.wait("bound") { subject.domains[vni(500)] != nil && subject.dataplane.isReady }
        return subject
    }
    private static func settle(_ lab: KernelLab, _ subject: Subject, _ desired: Int, line: Int = #line) throws {
        try lab.wait("\(desired) done", line: line) {
            let now = subject.dataplane.statistics
            return now.desired == desired && now.pending + now.failed + now.waiting == 0
        }
    }

    /// All four combinations of families, ECMP, next hops shared.
    @Test func programsRoutes() throws {
        try KernelLab.run { lab in
            try lab.sh(routed)
            let subject = try RouteKernelTests.bound(lab)
            subject.dataplane.apply([
                route("10.20.2.10/32", via: "192.0.2.2"), route("10.20.2.0/24", via: "192.0.2.2"),
                route("2001:db8:2::/64", via: "192.0.2.2"), route("10.30.0.0/16", via: "2001:db8::3"),
                route("2001:db8:3::/64", via: "2001:db8::3"), route("10.40.0.0/16", via: "192.0.2.2", "192.0.2.3"),
                route("10.41.0.0/16", via: "192.0.2.2", "192.0.2.3"),
            ])
            try RouteKernelTests.settle(lab, subject, 7)
            #expect(
                try RouteKernelTests.shown(lab, "10.20.2.10")
                    == ["10.20.2.10 via 192.0.2.2 dev br500 proto 211 metric 20 onlink"])
            #expect(
                try RouteKernelTests.shown(lab, "2001:db8:2::/64")
                    == ["2001:db8:2::/64 via fe80::ffff:c000:202 dev br500 proto 211 metric 1044 onlink pref medium"])
            #expect(
                try RouteKernelTests.shown(lab, "10.30.0.0/16")
                    == ["10.30.0.0/16 via inet6 fe80::e1eb:4018:61eb:401b dev br500 proto 211 metric 20 onlink"])
            #expect(try RouteKernelTests.shown(lab, "2001:db8:3::/64").count == 1)
            #expect(
                try RouteKernelTests.shown(lab, "10.40.0.0/16").prefix(3) == [
                    "10.40.0.0/16 proto 211 metric 20",
                    "nexthop via 192.0.2.2 dev br500 weight 1 onlink",
                    "nexthop via 192.0.2.3 dev br500 weight 1 onlink",
                ])
            // Four ways and one group.
            #expect(try RouteKernelTests.nexthops(lab).count == 5)
            #expect(subject.dataplane.plan().isEmpty)
            #expect(subject.requests == 12)
            #expect(subject.dataplane.status(of: .prefix(prefixKey("10.40.0.0/16"))) == .done)
            let entry = try #require(subject.dataplane.kernelEntry(of: .prefix(prefixKey("10.20.2.0/24"))))
            #expect(entry.isOurs && entry.lines.count == 1 && entry.lines[0].hasSuffix("proto 211 metric 20"))

            // The group goes with its last route; make before break.
            subject.dataplane.apply([
                route("10.40.0.0/16", via: "192.0.2.3"), route("10.41.0.0/16"), route("10.20.2.10/32"),
            ])
            try RouteKernelTests.settle(lab, subject, 5)
            try lab.wait("group swept") { (try? RouteKernelTests.nexthops(lab).count) == 4 }
            #expect(try RouteKernelTests.shown(lab, "10.40.0.0/16").count == 1)
            #expect(try RouteKernelTests.shown(lab, "10.41.0.0/16").isEmpty)
            #expect(subject.dataplane.statistics.healed == 0)
            subject.dataplane.close()
        }
    }
    /// Other work keeps the routes of objects that nothing needs any more in the kernel: they go after it.
    @Test func sweepsWhatRoutesHaveLeftLate() throws {
        try KernelLab.run { lab in
            try lab.sh(routed)
            let subject = try RouteKernelTests.bound(lab)
            subject.dataplane.apply([
                route("10.20.2.0/24", via: "192.0.2.2"), route("2001:db8:2::/64", via: "192.0.2.2"),
            ])
            try RouteKernelTests.settle(lab, subject, 2)
            #expect(try RouteKernelTests.nexthops(lab).count == 2)
            var pipes: [Int32] = [0, 0]
            try #require(pipe(&pipes) == 0)
            let (end, start) = (pipes[0], pipes[1])
            subject.dataplane.worker.submit {
                var byte: UInt8 = 0
                _ = read(end, &byte, 1)
            }
            subject.dataplane.apply([route("10.20.2.0/24"), route("2001:db8:2::/64")])
            try lab.wait("about to sweep") { subject.dataplane.routing.isSweepScheduled }
            try lab.wait("swept") { !subject.dataplane.routing.isSweepScheduled }
            close(start)
            try lab.wait("gone") { (try? RouteKernelTests.nexthops(lab).isEmpty) == true }
            close(end)
            subject.dataplane.close()
        }
    }
    @Test func healsDamage() throws {
        try KernelLab.run { lab in
            try lab.sh(routed)
            let subject = try RouteKernelTests.bound(lab)
            subject.dataplane.apply([
                route("10.20.2.0/24", via: "192.0.2.2"), route("2001:db8:2::/64", via: "192.0.2.2"),
                route("10.40.0.0/16", via: "192.0.2.2", "192.0.2.3"),
            ])
            try RouteKernelTests.settle(lab, subject, 3)
            func damage(_ what: String, _ command: String) throws {
                let healed = subject.dataplane.statistics.healed
                try lab.sh(command)
                try lab.wait(what) {
                    let now = subject.dataplane.statistics
                    return now.healed > healed && now.pending + now.failed + now.waiting == 0
                        && subject.dataplane.plan().isEmpty
                        && (try? RouteKernelTests.shown(lab, "10.20.2.0/24"))
                            == ["10.20.2.0/24 via 192.0.2.2 dev br500 proto 211 metric 20 onlink"]
                        && (try? RouteKernelTests.shown(lab, "2001:db8:2::/64").count) == 1
                        && (try? RouteKernelTests.shown(lab, "10.40.0.0/16").count) == 3
                }
            }
            try damage("deleted", "ip route del 10.20.2.0/24 metric 20")
            try damage("IPv6 deleted", "ip -6 route del 2001:db8:2::/64")
            let via = try lab.sh("ip nexthop show").split(separator: "\n").first { $0.contains("via 192.0.2.2 ") }
            let id = try #require(via.map { $0.split(separator: " ")[1] })
            try damage("nexthop deleted", "ip nexthop del id \(id)")
            try damage("nexthop changed", "ip nexthop replace id \(id) via 192.0.2.9 dev br500 onlink proto 211")
            let other = try lab.sh("ip nexthop show").split(separator: "\n").first { $0.contains("via 192.0.2.3 ") }
            let otherID = try #require(other.map { $0.split(separator: " ")[1] })
            try damage(
                "route changed", "ip route replace 10.20.2.0/24 metric 20 proto 211 nhid \(otherID)")
            // A copy of one of ours, as somebody restores it, is removed once that is allowed.
            for metric in [20, 21] {
                try lab.sh("ip route add 10.77.0.0/16 metric \(metric) proto 211 nhid \(otherID)")
                subject.dataplane.allowPruning()
                try lab.wait("a copy with metric \(metric)") {
                    (try? RouteKernelTests.shown(lab, "10.77.0.0/16").isEmpty) == true
                        && subject.dataplane.plan().isEmpty
                }
            }
            try damage("all deleted", "ip nexthop flush proto 211")
            subject.dataplane.close()
        }
    }
    /// The kernel drops what leads through a device that goes down, IPv4 routes and nexthops without a word.
    @Test func followsDevices() throws {
        try KernelLab.run { lab in
            try lab.sh(routed)
            let subject = try RouteKernelTests.bound(lab)
            subject.dataplane.apply([
                route("10.20.2.0/24", via: "192.0.2.2"), route("10.40.0.0/16", via: "192.0.2.2", "192.0.2.3"),
            ])
            try RouteKernelTests.settle(lab, subject, 2)
            let key = ForwardingKey.prefix(prefixKey("10.20.2.0/24"))
            try lab.sh("ip link set br500 down")
            try lab.wait("waits") { subject.dataplane.status(of: key) == .waiting(reason: "br500 is down") }
            try lab.sh("ip link set br500 up")
            try RouteKernelTests.settle(lab, subject, 2)
            #expect(try RouteKernelTests.shown(lab, "10.40.0.0/16").count == 3)
            try lab.sh("ip link set br500 down; ip link set br500 up")
            try lab.wait("back after a flap") {
                subject.dataplane.plan().isEmpty && (try? RouteKernelTests.shown(lab, "10.20.2.0/24").count) == 1
            }
            // Without ports there is no carrier, and without carrier no nexthop.
            try lab.sh("ip link set vx500 down")
            try lab.wait("domain down") { subject.dataplane.statistics.waiting == 2 }
            try lab.sh("ip link set vx500 up")
            try RouteKernelTests.settle(lab, subject, 2)
            try lab.sh("ip link del br500; ip link del vx500")
            try lab.wait("gone") { subject.dataplane.statistics.waiting == 2 }
            #expect(try RouteKernelTests.shown(lab, "10.20.2.0/24").isEmpty)
            try lab.sh(routed)
            try RouteKernelTests.settle(lab, subject, 2)
            #expect(try RouteKernelTests.shown(lab, "10.40.0.0/16").count == 3)
            subject.dataplane.close()
        }
    }
    @Test func adoptsAfterARestart() throws {
        try KernelLab.run { lab in
            try lab.sh(routed)
            let changes = [
                route("10.20.2.0/24", via: "192.0.2.2"), route("2001:db8:2::/64", via: "192.0.2.2"),
                route("10.40.0.0/16", via: "192.0.2.2", "192.0.2.3"),
            ]
            let first = try RouteKernelTests.bound(lab)
            first.dataplane.apply(changes + [route("10.99.0.0/16", via: "192.0.2.9", "192.0.2.2")])
            try RouteKernelTests.settle(lab, first, 4)
            first.dataplane.close()
            let before = try lab.sh("ip route show; ip -6 route show; ip nexthop show")

            let second = try lab.dataplane()
            second.dataplane.configure([], vrfs: [tenant()], defaultVTEP: nil)
            second.dataplane.apply(changes)
            try RouteKernelTests.settle(lab, second, 3)
            #expect(second.requests == 0)
            #expect(try lab.sh("ip route show; ip -6 route show; ip nexthop show") == before)
            second.dataplane.allowPruning()
            try lab.wait("pruned") { (try? RouteKernelTests.shown(lab, "10.99.0.0/16").isEmpty) == true }
            try lab.wait("nexthops swept") { (try? RouteKernelTests.nexthops(lab).count) == 4 }
            // One route, one group, one way.
            #expect(second.requests == 3)
            #expect(second.dataplane.plan().isEmpty)
            second.dataplane.close()
        }
    }
    /// Another metric, over a restart and in one run: the new routes come before the old ones go, and those only when pruning is allowed.
    @Test func changesItsMetric() throws {
        try KernelLab.run { lab in
            try lab.sh(routed)
            let changes = [route("10.20.2.0/24", via: "192.0.2.2"), route("2001:db8:2::/64", via: "192.0.2.2")]
            let first = try RouteKernelTests.bound(lab)
            first.dataplane.apply(changes)
            try RouteKernelTests.settle(lab, first, 2)
            first.dataplane.close()

            var other = tenant()
            other.metric = 50
            let second = try lab.dataplane()
            second.dataplane.configure([], vrfs: [other], defaultVTEP: nil)
            second.dataplane.apply(changes)
            try RouteKernelTests.settle(lab, second, 2)
            func metrics() throws -> [String] {
                try ["10.20.2.0/24", "2001:db8:2::/64"].map { prefix in
                    try RouteKernelTests.shown(lab, prefix).compactMap { line in
                        line.split(separator: " ").drop { $0 != "metric" }.dropFirst().first.map(String.init)
                    }.sorted().joined(separator: " ")
                }
            }
            #expect(try metrics() == ["20 50", "1044 50"])
            second.dataplane.allowPruning()
            try lab.wait("the old ones are gone") { (try? metrics()) == ["50", "50"] }
            try lab.wait("nothing to do") { second.dataplane.plan().isEmpty }
            second.dataplane.configure([], vrfs: [tenant()], defaultVTEP: nil)
            try lab.wait("back again") { (try? metrics()) == ["20", "1044"] }
            try lab.wait("nothing to do") { second.dataplane.plan().isEmpty }
            second.dataplane.close()
        }
    }
    /// Routes of others stay; one with our metric keeps ours out until it goes.
    @Test func leavesForeignRoutesAlone() throws {
        try KernelLab.run { lab in
            try lab.sh(
                routed + """

                    ip addr add 10.20.2.1/24 dev br500
                    ip route add 10.30.0.0/16 via 10.20.2.9 metric 20 proto static
                    ip -6 route add 2001:db8:2::/64 dev br500 metric 1044 proto static
                    ip nexthop add id \(nexthopNumbers.lowerBound + 1) via 10.20.2.8 dev br500 proto static
                    ip nexthop add id 7 via 10.20.2.7 dev br500 proto 211
                    ip route add 10.31.0.0/16 nhid 7 proto 211
                    """)
            let subject = try RouteKernelTests.bound(lab)
            subject.dataplane.allowPruning()
            subject.dataplane.apply([
                route("10.20.2.0/24", via: "192.0.2.2"), route("10.30.0.0/16", via: "192.0.2.2"),
                route("2001:db8:2::/64", via: "192.0.2.2"),
            ])
            let conflict = "conflict: a route with metric 20 that evpnd did not make (proto 4)"
            let key = ForwardingKey.prefix(prefixKey("10.30.0.0/16"))
            func failure(_ key: ForwardingKey) -> String? {
                if case .failed(let reason, _) = subject.dataplane.status(of: key) { reason } else { nil }
            }
            try lab.wait("conflicts") {
                failure(key) == conflict && failure(.prefix(prefixKey("2001:db8:2::/64"))) != nil
            }
            // Beside the subnet's own, which wins.
            #expect(
                try RouteKernelTests.shown(lab, "10.20.2.0/24") == [
                    "10.20.2.0/24 dev br500 proto kernel scope link src 10.20.2.1",
                    "10.20.2.0/24 via 192.0.2.2 dev br500 proto 211 metric 20 onlink",
                ])
            let entry = subject.dataplane.kernelEntry(of: .prefix(prefixKey("10.20.2.0/24")))
            #expect(entry?.lines.count == 2 && entry?.isOurs == false)
            #expect(try RouteKernelTests.shown(lab, "10.31.0.0/16").count == 1)
            #expect(try RouteKernelTests.nexthops(lab).count == 4)
            #expect(subject.prefixes[prefixKey("10.30.0.0/16")]?.gateway == ip("10.20.2.9"))
            try lab.sh("ip route del 10.30.0.0/16 metric 20")
            try lab.wait("room for ours") { subject.dataplane.status(of: key) == .done }
            #expect(subject.prefixes[prefixKey("10.30.0.0/16")] == nil)
            // Taken over by another: told, and not fought over.
            try lab.sh("ip route replace 10.30.0.0/16 via 10.20.2.9 metric 20 proto static")
            try lab.wait("taken over") { failure(key) == conflict }
            #expect(try RouteKernelTests.shown(lab, "10.30.0.0/16").count == 1)
            subject.dataplane.close()
        }
    }
    @Test func reportsLocalRoutes() throws {
        try KernelLab.run { lab in
            try lab.sh(
                routed + """

                    ip addr add 10.20.1.1/24 dev br500
                    ip route add 10.50.0.0/16 via 10.20.1.9 proto static
                    """)
            let subject = try RouteKernelTests.bound(lab)
            func connected(_ name: String) -> LocalPrefix {
                LocalPrefix(proto: RouteProtocol.kernel, isConnected: true, interface: name)
            }
            #expect(
                subject.prefixes == [
                    prefixKey("10.20.1.0/24"): connected("br500"),
                    prefixKey("10.50.0.0/16"): LocalPrefix(
                        proto: RouteProtocol.static, isConnected: false, interface: "br500", gateway: ip("10.20.1.9")),
                ])
            try lab.sh(
                """
                ip link add p0 type veth peer name p1; ip link set p0 up; ip link set p1 up
                ip addr add 2001:db8:1::1/64 dev p0 nodad; ip addr add 10.20.3.1/24 dev p0
                ip route add 10.60.0.0/16 nexthop via 10.20.3.8 nexthop via 10.20.3.9
                ip route add blackhole 10.61.0.0/16; ip route add 10.61.0.0/16 via 10.20.1.9 metric 7
                ip route add unreachable 10.63.0.0/16 metric 4000; ip route add default via 10.20.3.2
                ip route add 10.62.0.0/16 via 10.20.3.2 metric 5; ip route add 10.62.0.0/16 via 10.20.1.9 metric 9
                """)
            try lab.wait("told") { subject.prefixes.count == 8 }
            #expect(subject.prefixes[prefixKey("10.61.0.0/16")]?.isDropped == true)
            #expect(subject.prefixes[prefixKey("2001:db8:1::/64")] == connected("p0"))
            #expect(subject.prefixes[prefixKey("10.60.0.0/16")]?.gateway == nil)
            #expect(subject.prefixes[prefixKey("0.0.0.0/0")]?.proto == RouteProtocol.boot)
            #expect(subject.prefixes[prefixKey("10.62.0.0/16")]?.gateway == ip("10.20.3.2"))
            // IPv4 routes go with their device silently; what is behind them counts then.
            try lab.sh("ip link set p0 down")
            try lab.wait("gone with the device") { subject.prefixes.count == 4 }
            try lab.sh("ip route del blackhole 10.61.0.0/16")
            try lab.wait("not dropped any more") {
                subject.prefixes[prefixKey("10.61.0.0/16")]?.gateway == ip("10.20.1.9")
            }
            try lab.sh("ip route del 10.61.0.0/16")
            try lab.wait("three are left") { subject.prefixes.count == 3 }
            #expect(subject.prefixes[prefixKey("10.62.0.0/16")]?.gateway == ip("10.20.1.9"))
            try lab.sh("ip addr del 10.20.1.1/24 dev br500")
            try lab.wait("gone with the address") { subject.prefixes.isEmpty }
            try lab.sh("ip addr add 10.20.1.1/24 dev br500")
            try lab.wait("back") { subject.prefixes.count == 1 }
            subject.dataplane.configure([], vrfs: [], defaultVTEP: nil)
            try lab.wait("gone with the VRF") { subject.prefixes.isEmpty }
            subject.dataplane.close()
        }
    }
    /// Routes of the host's own table in that of a VRF. This kernel may have no VRF devices; routes do not need them.
    @Test func copiesRoutesOfTheUnderlay() throws {
        try KernelLab.run { lab in
            try lab.sh(
                """
                ip link set lo up
                ip link add p0 type veth peer name p1; ip link set p0 up; ip link set p1 up
                ip addr add 192.168.7.1/24 dev p0; ip addr add 2001:db8:7::1/64 dev p0 nodad
                ip route add 198.51.100.0/24 via 192.168.7.2
                ip route add 203.0.113.0/24 nexthop via 192.168.7.2 nexthop via 192.168.7.3
                ip route add blackhole 10.61.0.0/16; ip route add 10.61.0.0/16 via 192.168.7.2 metric 9
                ip route add 10.62.0.0/16 via inet6 2001:db8:7::2 dev p0
                ip nexthop add id 9 via 192.168.7.2 dev p0 proto static
                ip route add 10.64.0.0/16 nhid 9
                ip -6 route add 2001:db8:100::/64 via 2001:db8:7::2
                """)
            let texts = [
                "198.51.100.0/24", "203.0.113.0/24", "10.61.0.0/16", "10.62.0.0/16", "10.63.0.0/16", "10.64.0.0/16",
                "192.168.7.0/24", "2001:db8:100::/64",
            ]
            func start() throws -> Subject {
                let subject = try lab.dataplane()
                var tenant = tenant()
                (tenant.place, tenant.domain) = (.device(table: nil), nil)
                var underlay = tenant
                (underlay.name, underlay.place) = ("default", .underlay)
                subject.dataplane.configure([], vrfs: [underlay, tenant], defaultVTEP: nil)
                var device = Link(interface: 4000, name: "ten")
                (device.kind, device.vrfTable, device.flags, device.forwardsIPv4) = ("vrf", 1077, 1, true)
                subject.dataplane.update(4000, device)
                subject.dataplane.apply(
                    texts.map { .prefix(prefixKey($0), RemotePrefix(nexthops: [.table(vrf: "default")])) })
                return subject
            }
            func shown(_ text: String) -> [String] {
                (try? RouteKernelTests.shown(lab, text, "table 1077")) ?? ["failed"]
            }
            let first = try start()
            func status(_ text: String) -> EntryStatus { first.dataplane.status(of: .prefix(prefixKey(text))) }
            func done(_ count: Int) -> Bool {
                let now = first.dataplane.statistics
                return now.pending + now.failed == 0 && now.desired - now.waiting == count
                    && first.dataplane.plan().isEmpty
            }
            try lab.wait("copied") { done(6) }
            #expect(
                status("10.63.0.0/16") == .waiting(reason: "vrf default: the underlay has no such route"))
            #expect(
                status("10.61.0.0/16") == .waiting(reason: "vrf default: the underlay's route is blackhole"))
            #expect(shown("198.51.100.0/24") == ["198.51.100.0/24 via 192.168.7.2 dev p0 proto 211 metric 20"])
            #expect(shown("192.168.7.0/24") == ["192.168.7.0/24 dev p0 proto 211 metric 20"])
            #expect(shown("10.62.0.0/16") == ["10.62.0.0/16 via inet6 2001:db8:7::2 dev p0 proto 211 metric 20"])
            #expect(
                shown("203.0.113.0/24") == [
                    "203.0.113.0/24 proto 211 metric 20", "nexthop via 192.168.7.2 dev p0 weight 1",
                    "nexthop via 192.168.7.3 dev p0 weight 1",
                ])
            #expect(
                shown("2001:db8:100::/64")
                    == ["2001:db8:100::/64 via 2001:db8:7::2 dev p0 proto 211 metric 1044 pref medium"])

            // They follow.
            try lab.sh(
                "ip route replace 198.51.100.0/24 via 192.168.7.3; ip nexthop replace id 9 via 192.168.7.4 dev p0")
            try lab.wait("another gateway") {
                shown("198.51.100.0/24") == ["198.51.100.0/24 via 192.168.7.3 dev p0 proto 211 metric 20"]
                    && shown("10.64.0.0/16") == ["10.64.0.0/16 via 192.168.7.4 dev p0 proto 211 metric 20"] && done(6)
            }
            try lab.sh(
                "ip route del 203.0.113.0/24; ip route del blackhole 10.61.0.0/16; ip -6 route del 2001:db8:100::/64")
            try lab.wait("gone, and there") {
                shown("203.0.113.0/24").isEmpty && shown("2001:db8:100::/64").isEmpty
                    && shown("10.61.0.0/16").count == 1 && done(5)
            }
            // Of the second next hop only the first is left when its interface goes.
            try lab.sh(
                """
                ip link add q0 type veth peer name q1; ip link set q0 up; ip link set q1 up
                ip addr add 192.168.8.1/24 dev q0
                ip route add 203.0.113.0/24 nexthop via 192.168.7.2 nexthop via 192.168.8.2
                """)
            try lab.wait("two interfaces") { shown("203.0.113.0/24").count == 3 && done(6) }
            try lab.sh("ip link set q0 down")
            try lab.wait("one interface") { shown("203.0.113.0/24").count == 1 && done(6) }

            let healed = first.dataplane.statistics.healed
            try lab.sh("ip route del 192.168.7.0/24 table 1077")
            try lab.wait("healed") { first.dataplane.statistics.healed > healed && done(6) }
            #expect(shown("192.168.7.0/24").count == 1)
            first.dataplane.close()

            let second = try start()
            try lab.wait("adopted") {
                let now = second.dataplane.statistics
                return now.pending + now.failed == 0 && now.waiting == 2 && second.dataplane.plan().isEmpty
            }
            second.dataplane.allowPruning()
            #expect(second.requests == 0)
            try lab.sh("ip link set p0 down")
            try lab.wait("gone with the interface") { second.dataplane.statistics.waiting == texts.count }
            #expect(try lab.sh("ip route show table 1077; ip -6 route show table 1077").isEmpty)
            second.dataplane.close()
        }
    }
    @Test func leavesWithItsConfiguration() throws {
        try KernelLab.run { lab in
            try lab.sh(routed)
            let subject = try RouteKernelTests.bound(lab)
            subject.dataplane.apply([route("10.20.2.0/24", via: "192.0.2.2")])
            try RouteKernelTests.settle(lab, subject, 1)
            subject.dataplane.configure([], vrfs: [], defaultVTEP: nil)
            try lab.wait("routes gone") {
                (try? RouteKernelTests.shown(lab, "10.20.2.0/24").isEmpty) == true
                    && (try? RouteKernelTests.nexthops(lab).isEmpty) == true
            }
            let key = ForwardingKey.prefix(prefixKey("10.20.2.0/24"))
            #expect(subject.dataplane.status(of: key) == .absent)
            // Rows for a VRF that is not configured are kept for the day when it is.
            subject.dataplane.apply([route("10.20.2.0/24", via: "192.0.2.2")])
            #expect(subject.dataplane.status(of: key) == .waiting(reason: "vrf ten is not configured"))
            subject.dataplane.configure([], vrfs: [tenant()], defaultVTEP: nil)
            try RouteKernelTests.settle(lab, subject, 1)
            #expect(subject.dataplane.cleanup().contains { $0.hasPrefix("ip route del 10.20.2.0/24") })
            #expect(try RouteKernelTests.nexthops(lab).isEmpty)
            #expect(try RouteKernelTests.shown(lab, "10.20.2.0/24").isEmpty)
        }
    }
    @Test func survivesAnOverrun() throws {
        try KernelLab.run { lab in
            try lab.sh(routed)
            let subject = try RouteKernelTests.bound(lab)
            subject.dataplane.apply([
                route("10.20.2.0/24", via: "192.0.2.2"), route("10.40.0.0/16", via: "192.0.2.2", "192.0.2.3"),
            ])
            try RouteKernelTests.settle(lab, subject, 2)
            // Nobody reads what is told of this.
            try lab.sh("ip nexthop flush proto 211; ip route add 10.70.0.0/16 dev br500")
            while subject.dataplane.routing.notifications.read({ _ in }) == .more {}
            subject.dataplane.resynchronize()
            try lab.wait("found") { subject.prefixes[prefixKey("10.70.0.0/16")] != nil }
            try RouteKernelTests.settle(lab, subject, 2)
            #expect(try RouteKernelTests.shown(lab, "10.40.0.0/16").count == 3)
            #expect(subject.dataplane.statistics.healed > 0)
            subject.dataplane.close()
        }
    }
}
