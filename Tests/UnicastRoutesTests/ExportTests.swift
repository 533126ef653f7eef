import BGP
import EVPN
import NetTypes
import Testing
import UnicastRoutes

@Suite struct ExportTests {
    static let everything = NetlinkExport.Rule(name: "all")

    @Test func setChangedRemoved() throws {
        var kernel = TestKernel([Self.everything])
        kernel.reachable["192.0.2.2"] = (3, nil)
        try kernel.tell("198.51.100.0/24")
        kernel.settle()
        #expect(kernel.takeLog() == ["add 198.51.100.0/24 table 254 metric 20 via 192.0.2.1 dev 2"])
        #expect(kernel.status("198.51.100.0/24") == [.done])
        try kernel.tell("198.51.100.0/24", via: "192.0.2.2")
        kernel.settle()
        #expect(kernel.takeLog() == ["replace 198.51.100.0/24 table 254 metric 20 via 192.0.2.2 dev 3"])
        try kernel.tell("198.51.100.0/24", via: nil)
        kernel.settle()
        #expect(kernel.takeLog() == ["remove 198.51.100.0/24 table 254 metric 20"])
        #expect(kernel.table.entries.isEmpty && kernel.table.pendingOperations.isEmpty)
        #expect(kernel.table.statistics.exported == 1 && kernel.table.statistics.withdrawn == 1)
    }

    @Test func rulesByCommunity() throws {
        let a = NetlinkExport.Rule(name: "a", communities: [65000 << 16 | 1], table: 100)
        let b = NetlinkExport.Rule(
            name: "b", communities: [65000 << 16 | 1], largeCommunities: [LargeCommunity(1, 2, 3)], table: 200,
            metric: 5)
        var kernel = TestKernel([a, b])
        try kernel.tell("10.1.0.0/16") { $0.communities = [65000 << 16 | 1] }
        try kernel.tell("10.2.0.0/16") { $0.largeCommunities = [LargeCommunity(1, 2, 3)] }
        try kernel.tell("10.3.0.0/16") { $0.communities = [65000 << 16 | 9] }
        kernel.settle()
        #expect(
            kernel.takeLog().sorted() == [
                "add 10.1.0.0/16 table 100 metric 20 via 192.0.2.1 dev 2",
                "add 10.1.0.0/16 table 200 metric 5 via 192.0.2.1 dev 2",
                "add 10.2.0.0/16 table 200 metric 5 via 192.0.2.1 dev 2",
            ])
        // A community less takes it out of one table only.
        try kernel.tell("10.1.0.0/16") { $0.largeCommunities = [LargeCommunity(1, 2, 3)] }
        kernel.settle()
        #expect(kernel.takeLog() == ["remove 10.1.0.0/16 table 100 metric 20"])
        // A rule less: its table is emptied.
        kernel.table.configure(NetlinkExport(rules: [a]))
        kernel.settle()
        #expect(
            kernel.takeLog().sorted()
                == ["remove 10.1.0.0/16 table 200 metric 5", "remove 10.2.0.0/16 table 200 metric 5"])
        kernel.table.configure(nil)
        kernel.settle()
        #expect(kernel.routes.isEmpty)
    }

    @Test func nexthopsAreFollowed() throws {
        var kernel = TestKernel([Self.everything])
        try kernel.tell("10.0.0.0/8", via: "203.0.113.1")
        kernel.settle()
        #expect(kernel.takeLog() == [])
        #expect(kernel.status("10.0.0.0/8") == [.waiting(reason: "next hop 203.0.113.1 is not reachable")])
        // Behind a router.
        kernel.reachable["203.0.113.1"] = (4, "192.0.2.254")
        kernel.answerAll()
        kernel.work()
        #expect(kernel.takeLog() == ["add 10.0.0.0/8 table 254 metric 20 via 192.0.2.254 dev 4"])
        kernel.reachable["203.0.113.1"] = (5, nil)
        kernel.answerAll()
        kernel.work()
        #expect(kernel.takeLog() == ["replace 10.0.0.0/8 table 254 metric 20 via 203.0.113.1 dev 5"])
        kernel.reachable["203.0.113.1"] = nil
        kernel.answerAll()
        kernel.work()
        #expect(kernel.takeLog() == ["remove 10.0.0.0/8 table 254 metric 20"])
    }

    @Test func withoutValidation() throws {
        var kernel = TestKernel([NetlinkExport.Rule(name: "all", validatesNexthop: false)])
        // Nothing leads to the next hop; the interface is that of the neighbor.
        try kernel.tell("10.0.0.0/8", via: "203.0.113.1")
        kernel.settle()
        #expect(kernel.takeLog() == ["add 10.0.0.0/8 table 254 metric 20 via 203.0.113.1 dev 2 onlink"])
        kernel.reachable[TestKernel.nexthop] = nil
        kernel.answerAll()
        kernel.work()
        #expect(kernel.takeLog() == ["remove 10.0.0.0/8 table 254 metric 20"])
    }

    /// Next hops behind other exported routes, and routes that would lead to themselves.
    @Test func nexthopsBehindExportedRoutes() throws {
        var kernel = TestKernel([Self.everything])
        try kernel.tell("203.0.113.0/24")
        kernel.settle()
        try kernel.tell("10.0.0.0/8", via: "203.0.113.1")
        kernel.settle()
        #expect(kernel.takeLog().last == "add 10.0.0.0/8 table 254 metric 20 via 192.0.2.1 dev 2")
        try kernel.tell("203.0.113.0/24", via: nil)
        kernel.settle()
        kernel.answerAll()
        kernel.work()
        #expect(kernel.routes.isEmpty)

        kernel.reachable["default"] = (9, "192.0.2.254")
        try kernel.tell("172.16.0.0/12", via: "172.16.0.1")
        kernel.settle()
        #expect(kernel.routes.isEmpty)
        guard case .waiting(let reason)? = kernel.status("172.16.0.0/12").first else {
            Issue.record("it is not waiting")
            return
        }
        #expect(reason.contains("inside of"))
        // Two that reach each other only through each other end without a route, or with one of them, and not in a trap.
        kernel.reachable["default"] = nil
        kernel.reachable["10.2.0.1"] = (7, nil)
        try kernel.tell("10.1.0.0/16", via: "10.2.0.1")
        try kernel.tell("10.2.0.0/16", via: "10.1.0.1")
        kernel.settle()
        kernel.answerAll()
        kernel.work()
        kernel.reachable["10.2.0.1"] = nil
        for _ in 0..<4 {
            kernel.answerAll()
            kernel.work()
        }
        #expect(kernel.routes.isEmpty)
    }

    @Test func dampening() throws {
        var kernel = TestKernel([Self.everything], dampening: 500)
        kernel.work()
        try kernel.tell("10.0.0.0/8")
        kernel.work()
        #expect(kernel.takeLog() == [])
        #expect(kernel.table.nextDeadline == kernel.now + .milliseconds(500))
        for _ in 0..<5 {
            kernel.now = kernel.now + .milliseconds(10)
            try kernel.tell("10.0.0.0/8", via: nil)
            try kernel.tell("10.0.0.0/8")
        }
        kernel.now = kernel.now + .milliseconds(449)
        kernel.table.handleDeadlines(now: kernel.now)
        kernel.work()
        #expect(kernel.takeLog() == [])
        kernel.now = kernel.now + .milliseconds(1)
        kernel.table.handleDeadlines(now: kernel.now)
        kernel.work()
        #expect(kernel.takeLog() == ["add 10.0.0.0/8 table 254 metric 20 via 192.0.2.1 dev 2"])
        #expect(kernel.table.statistics.dampened == 10)
        #expect(kernel.table.nextDeadline == nil)
        // The cap.
        #expect(TestKernel([Self.everything], dampening: 1_000_000).table.settings?.dampeningMilliseconds == 1_000_000)
        var slow = TestKernel([Self.everything], dampening: 1_000_000)
        try slow.tell("10.0.0.0/8")
        #expect(slow.table.nextDeadline == slow.now + .seconds(2))
    }

    private func route(_ interface: Int32 = 2, proto: UInt8 = 186) -> KernelRoute {
        KernelRoute(
            proto: proto, nexthops: [KernelNexthop(gateway: IPAddress(TestKernel.nexthop), interface: interface)]
        )
    }
    private func key(_ text: String, metric: UInt32 = 20, table: UInt32 = 254) throws -> KernelRouteKey {
        KernelRouteKey(table: table, prefix: try prefix(text), metric: metric)
    }

    /// What an earlier run left: kept where it is announced again, removed after the routes are here, never earlier.
    @Test func restart() throws {
        var kernel = TestKernel([Self.everything])
        kernel.routes = [
            try key("10.1.0.0/16"): route(), try key("10.2.0.0/16"): route(),
            try key("10.3.0.0/16"): route(7),
            try key("10.4.0.0/16", metric: 99): route(), try key("10.5.0.0/16"): route(proto: 4),
            try key("10.6.0.0/16", table: 100): route(),
        ]
        kernel.work()
        try kernel.tell("10.1.0.0/16")
        try kernel.tell("10.3.0.0/16")
        kernel.settle()
        #expect(kernel.takeLog() == ["replace 10.3.0.0/16 table 254 metric 20 via 192.0.2.1 dev 2"])
        #expect(
            kernel.status("10.2.0.0/16") == [.waiting(reason: "found at start; goes unless announced again")])
        // Still being collected when the end comes.
        try kernel.tell("10.2.0.0/16", via: "192.0.2.1")
        kernel.table.synchronize()
        kernel.settle()
        #expect(kernel.takeLog() == ["remove 10.4.0.0/16 table 254 metric 99"])
        #expect(kernel.routes.count == 5)
        #expect(kernel.table.statistics.sweptDeleted == 1 && kernel.table.statistics.sweptKept == 3)
    }

    /// While a next hop is being looked up, what is there stays.
    @Test func undecidedStays() throws {
        var kernel = TestKernel([Self.everything])
        kernel.routes = [try key("10.1.0.0/16"): route()]
        try kernel.tell("10.1.0.0/16")
        for number in kernel.table.takeTablesToObserve() { kernel.table.observed(number, kernel.routes) }
        kernel.table.synchronize()
        #expect(kernel.table.takeOperations(limit: 9) == [])
        kernel.work()
        #expect(kernel.takeLog() == [] && kernel.routes.count == 1)
        #expect(kernel.status("10.1.0.0/16") == [.done])
    }

    @Test func nothingBeforeTheTableIsRead() throws {
        var kernel = TestKernel([Self.everything])
        try kernel.tell("10.1.0.0/16")
        kernel.table.synchronize()
        kernel.table.answer(
            kernel.table.takeQuestions().map {
                ($0, .reachable(by: [KernelNexthop(gateway: nil, interface: 2)], match: $0.address.host, isOurs: false))
            })
        #expect(kernel.table.takeOperations(limit: 9) == [])
        #expect(kernel.table.takeTablesToObserve() == [254])
        // A failed read is no empty table.
        kernel.table.observed(254, nil)
        #expect(kernel.table.takeOperations(limit: 9) == [])
        kernel.work()
        #expect(kernel.takeLog().count == 1)
    }

    @Test func foreignRoutesAreLeftAlone() throws {
        var kernel = TestKernel([Self.everything])
        let foreign = route(8, proto: 4)
        let all = [try key("10.1.0.0/16"): foreign]
        kernel.routes = all
        try kernel.tell("10.1.0.0/16")
        kernel.settle()
        #expect(kernel.takeLog() == [] && kernel.routes == all)
        guard case .failed? = kernel.status("10.1.0.0/16").first else {
            Issue.record("it has not failed")
            return
        }
        #expect(kernel.table.hasFailures && kernel.table.pendingOperations.isEmpty)
        kernel.routes = [:]
        kernel.table.notifiedForeign(try key("10.1.0.0/16"))
        kernel.work()
        #expect(kernel.takeLog() == ["add 10.1.0.0/16 table 254 metric 20 via 192.0.2.1 dev 2"])
    }

    @Test func damageHeals() throws {
        var kernel = TestKernel([Self.everything])
        try kernel.tell("10.1.0.0/16")
        kernel.settle()
        kernel.routes = [:]
        kernel.table.notified(try key("10.1.0.0/16"), nil)
        kernel.work()
        #expect(kernel.routes.count == 1 && kernel.table.statistics.healed == 1)
        // Without a notification: found when the table is read again.
        kernel.routes = [:]
        kernel.table.observeAgain()
        kernel.work()
        #expect(kernel.routes.count == 1)
        // A route with our number that nobody asked for goes once routes may be removed.
        let stray = try key("10.9.0.0/16")
        kernel.routes[stray] = route()
        kernel.table.notified(stray, route())
        kernel.work()
        #expect(kernel.routes[stray] == nil)
        // Tables that no rule names do not matter.
        kernel.table.notified(try key("10.9.0.0/16", table: 7), route())
        kernel.work()
        #expect(kernel.table.entries.count == 1)
    }

    @Test func refusalsAreTriedAgain() throws {
        var kernel = TestKernel([Self.everything])
        kernel.work()
        try kernel.tell("10.1.0.0/16")
        kernel.now = kernel.now + .seconds(1)
        kernel.table.handleDeadlines(now: kernel.now)
        kernel.table.answer([
            (
                NexthopQuery(try #require(IPAddress(TestKernel.nexthop))),
                .reachable(
                    by: [KernelNexthop(gateway: nil, interface: 2)], match: try prefix("192.0.2.0/24"), isOurs: false)
            )
        ])
        let operations = kernel.table.takeOperations(limit: 9)
        #expect(operations.count == 1)
        kernel.table.completed(operations.map { ($0, .refused("Network is unreachable")) }, now: kernel.now)
        #expect(kernel.table.takeOperations(limit: 9) == [])
        #expect(kernel.status("10.1.0.0/16") == [.failed(reason: "Network is unreachable", since: kernel.now)])
        kernel.table.retryFailed()
        kernel.work()
        #expect(kernel.takeLog().count == 1 && !kernel.table.hasFailures && kernel.table.statistics.errors == 1)
    }

    @Test func tablesOfVRFDevices() throws {
        var kernel = TestKernel([NetlinkExport.Rule(name: "red", vrf: "red")])
        try kernel.tell("10.1.0.0/16")
        kernel.table.synchronize()
        kernel.settle()
        #expect(kernel.takeLog() == [])
        #expect(kernel.table.ruleProblems == ["red": "there is no VRF device red"])
        kernel.table.setVRFs([
            "red": VRFDevice(interface: 30, table: 1030), "blue": VRFDevice(interface: 31, table: 1031),
        ])
        kernel.settle()
        #expect(kernel.takeLog() == ["add 10.1.0.0/16 table 1030 metric 20 via 192.0.2.1 dev 2"])
        #expect(kernel.table.ruleProblems.isEmpty)
        kernel.table.setVRFs([:])
        kernel.settle()
        #expect(kernel.takeLog() == ["remove 10.1.0.0/16 table 1030 metric 20"])
    }

    @Test func asksAgainWhenAVRFDeviceComes() throws {
        var kernel = TestKernel([NetlinkExport.Rule(name: "red", vrf: "red")])
        try kernel.tell("10.1.0.0/16")
        kernel.settle()
        #expect(kernel.table.takeQuestions().isEmpty)
        kernel.table.setVRFs(["red": VRFDevice(interface: 30, table: 1030)])
        #expect(kernel.table.takeQuestions().map(\.vrf) == ["red"])
        kernel.table.setVRFs([
            "red": VRFDevice(interface: 30, table: 1030), "blue": VRFDevice(interface: 31, table: 1031),
        ])
        #expect(kernel.table.takeQuestions().isEmpty, "it is as it was")
    }

    @Test func ownPrefixesStayOut() throws {
        var kernel = TestKernel([Self.everything])
        kernel.table.exclude([try prefix("10.1.0.0/16")])
        try kernel.tell("10.1.0.0/16")
        kernel.settle()
        #expect(kernel.takeLog() == [])
        kernel.table.exclude([])
        kernel.settle()
        #expect(kernel.takeLog().count == 1)
        kernel.table.exclude([try prefix("10.1.0.0/16")])
        kernel.settle()
        #expect(kernel.routes.isEmpty)
    }

    @Test func otherProtocolNumber() throws {
        var kernel = TestKernel([Self.everything])
        try kernel.tell("10.1.0.0/16")
        kernel.settle()
        kernel.table.configure(NetlinkExport(routeProtocol: 99, rules: [Self.everything]))
        kernel.settle()
        #expect(kernel.routes.values.map(\.proto) == [99])
        #expect(kernel.takeLog().last?.hasPrefix("replace") == true)
    }

    /// Several paths that are equally good: one route with several next hops, of which only the reachable ones count.
    @Test func severalNexthops() throws {
        var kernel = TestKernel([Self.everything])
        kernel.reachable["192.0.2.2"] = (3, nil)
        let others = ["192.0.2.2", "192.0.2.3"].compactMap { IPAddress($0).map { ScopedAddress($0) } }
        try kernel.tell("10.0.0.0/8", alternatives: others)
        kernel.settle()
        #expect(
            kernel.takeLog()
                == ["add 10.0.0.0/8 table 254 metric 20 via 192.0.2.1 dev 2 + via 192.0.2.2 dev 3"])
        try kernel.tell("10.0.0.0/8", alternatives: [others[1]])
        kernel.settle()
        #expect(kernel.takeLog() == ["replace 10.0.0.0/8 table 254 metric 20 via 192.0.2.1 dev 2"])
    }

    @Test func familiesAndNoise() throws {
        var kernel = TestKernel([Self.everything])
        kernel.reachable["2001:db8::1"] = (2, nil)
        try kernel.tell("2001:db8:1::/48", via: "2001:db8::1")
        // IPv4 through an IPv6 next hop (RFC 8950).
        try kernel.tell("10.1.0.0/16", via: "2001:db8::1")
        // Neither an EVPN route nor one without a next hop is a row.
        kernel.table.receive(
            [RouteChange(key: RouteKey(.other(type: 9, value: [1])), path: nil)], now: kernel.now)
        try kernel.tell("10.7.0.0/16") { $0.nextHop = nil }
        kernel.settle()
        #expect(
            kernel.takeLog().sorted() == [
                "add 10.1.0.0/16 table 254 metric 20 via 2001:db8::1 dev 2",
                "add 2001:db8:1::/48 table 254 metric 20 via 2001:db8::1 dev 2",
            ])
    }

    /// A thousand random events: in the end the kernel is as the rules say, and a second look finds nothing to do.
    @Test func randomEventsConverge() throws {
        var random = SystemRandomNumberGenerator()
        let rules = [
            NetlinkExport.Rule(name: "a", communities: [1]),
            NetlinkExport.Rule(name: "b", communities: [1, 2], table: 100, validatesNexthop: false),
            NetlinkExport.Rule(name: "c", table: 100, metric: 30),
        ]
        var kernel = TestKernel(rules)
        var told: [String: (String, UInt32)] = [:]
        for _ in 0..<1000 {
            let target = "10.\(Int.random(in: 0..<12, using: &random)).0.0/16"
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<4:
                let nexthop = "192.0.2.\(Int.random(in: 1...4, using: &random))"
                let community = UInt32.random(in: 1...3, using: &random)
                told[target] = (nexthop, community)
                try kernel.tell(target, via: nexthop) { $0.communities = [community] }
            case 4, 5:
                told[target] = nil
                try kernel.tell(target, via: nil)
            case 6:
                let nexthop = "192.0.2.\(Int.random(in: 2...4, using: &random))"
                kernel.reachable[nexthop] =
                    Bool.random(using: &random) ? (Int32.random(in: 2...3, using: &random), nil) : nil
                kernel.answerAll()
            case 7:
                if let damaged = kernel.routes.keys.randomElement(using: &random) {
                    kernel.routes[damaged] = nil
                    kernel.table.notified(damaged, nil)
                }
            case 8: kernel.table.observeAgain()
            default: if Bool.random(using: &random) { kernel.settle() } else { kernel.work() }
            }
        }
        kernel.table.synchronize()
        kernel.answerAll()
        kernel.settle()
        var expected = 0
        for (_, (nexthop, community)) in told {
            let isReachable = kernel.reachable[nexthop] != nil
            if community == 1, isReachable { expected += 1 }
            if community <= 2 { expected += 1 }
            if isReachable { expected += 1 }
        }
        #expect(kernel.routes.count == expected)
        #expect(kernel.table.pendingOperations.isEmpty)
        _ = kernel.takeLog()
        kernel.table.observeAgain()
        kernel.answerAll()
        kernel.settle()
        #expect(kernel.takeLog() == [])
    }
}

extension IPAddress {
    /// The prefix of this address alone.
    var host: IPPrefix { IPPrefix(self, length: bitWidth) ?? IPPrefix(.v4(.any), length: 0)! }
}
