// Routes of IP-VRFs in tables that are not their own.

import BGP
import EVPN
import NetTypes
import Testing
import UnicastRoutes

@Suite struct VRFExportTests {
    static let toTable = NetlinkExport.Rule(name: "vrf red", source: "red", communities: [7], table: 300, metric: 5)
    static let toBlue = NetlinkExport.Rule(name: "vrf red", source: "red", vrf: "blue")

    /// With VRF devices red (30, table 1030) and blue (31, table 1031).
    static func kernel(_ rules: [NetlinkExport.Rule], inherited: Set<ExportMark> = []) -> TestKernel {
        var kernel = TestKernel(rules, inherited: inherited)
        kernel.setDevices(["red": 1030, "blue": 1031])
        return kernel
    }

    @Test func byCommunityIntoATable() throws {
        var kernel = Self.kernel([Self.toTable])
        try kernel.tell(vrf: "red", "10.1.0.0/16", communities: [6, 7])
        try kernel.tell(vrf: "red", "10.2.0.0/16", communities: [6])
        try kernel.tell(vrf: "red", "10.3.0.0/16")
        // Nobody asks for these.
        try kernel.tell(vrf: "blue", "10.4.0.0/16", communities: [7])
        try kernel.tell("10.5.0.0/16") { $0.communities = [7] }
        kernel.table.synchronize()
        kernel.settle()
        #expect(kernel.takeLog() == ["add 10.1.0.0/16 table 300 metric 5 via link dev 30"])
        #expect(kernel.table.pendingOperations.isEmpty)
        // The communities of the route change both ways.
        try kernel.tell(vrf: "red", "10.1.0.0/16", communities: [6])
        try kernel.tell(vrf: "red", "10.2.0.0/16", communities: [7])
        kernel.settle()
        #expect(
            kernel.takeLog() == [
                "remove 10.1.0.0/16 table 300 metric 5", "add 10.2.0.0/16 table 300 metric 5 via link dev 30",
            ])
        let entry = try #require(kernel.table.entries.first { $0.status == .done })
        #expect(entry.source == "red" && entry.rule == "vrf red" && entry.nexthops.map(\.description) == ["192.0.2.1"])
        // Another rule, with what is known already.
        kernel.table.configure(NetlinkExport(rules: [Self.toBlue]))
        kernel.settle()
        #expect(
            Set(kernel.takeLog()) == [
                "remove 10.2.0.0/16 table 300 metric 5", "add 10.1.0.0/16 table 1031 metric 20 via link dev 30",
                "add 10.2.0.0/16 table 1031 metric 20 via link dev 30",
                "add 10.3.0.0/16 table 1031 metric 20 via link dev 30",
            ])
        try kernel.tell(vrf: "red", "10.3.0.0/16", via: nil)
        kernel.settle()
        #expect(kernel.takeLog() == ["remove 10.3.0.0/16 table 1031 metric 20"])
        kernel.table.configure(NetlinkExport(rules: []))
        kernel.settle()
        #expect(kernel.routes.isEmpty && kernel.table.entries.isEmpty && kernel.table.sources.isEmpty)
    }

    @Test func largeCommunities() throws {
        let rule = NetlinkExport.Rule(
            name: "vrf red", source: "red", largeCommunities: [LargeCommunity(1, 2, 3)], table: 300)
        var kernel = Self.kernel([rule])
        try kernel.tell(vrf: "red", "10.1.0.0/16", largeCommunities: [LargeCommunity(1, 2, 3)])
        try kernel.tell(vrf: "red", "10.2.0.0/16", largeCommunities: [LargeCommunity(1, 2, 4)])
        kernel.settle()
        #expect(kernel.takeLog() == ["add 10.1.0.0/16 table 300 metric 20 via link dev 30"])
    }

    /// A prefix of both: each rule has its own routes, and in one place the first rule wins.
    @Test func besideUnicastRoutes() throws {
        let everything = NetlinkExport.Rule(name: "all", table: 300, metric: 5)
        var kernel = Self.kernel([everything, Self.toTable])
        try kernel.tell(vrf: "red", "10.1.0.0/16", communities: [7])
        kernel.settle()
        #expect(kernel.takeLog() == ["add 10.1.0.0/16 table 300 metric 5 via link dev 30"])
        #expect(kernel.table.ruleProblems.isEmpty)
        try kernel.tell("10.1.0.0/16")
        kernel.settle()
        #expect(
            kernel.table.ruleProblems == [
                "vrf red":
                    "10.1.0.0/16 stays out of table 300: there it is the same prefix and metric by rule all"
            ])
        #expect(kernel.takeLog() == ["replace 10.1.0.0/16 table 300 metric 5 via 192.0.2.1 dev 2"])
        // What this host announces as unicast routes keeps those out, not a VRF's.
        kernel.table.exclude([try prefix("10.1.0.0/16")])
        kernel.settle()
        #expect(kernel.takeLog() == ["replace 10.1.0.0/16 table 300 metric 5 via link dev 30"])
    }

    @Test func followsTheDevice() throws {
        var kernel = Self.kernel([Self.toBlue])
        kernel.setDevices(["blue": 1031])
        try kernel.tell(vrf: "red", "10.1.0.0/16")
        kernel.table.synchronize()
        kernel.settle()
        #expect(kernel.takeLog() == [])
        #expect(kernel.status("10.1.0.0/16") == [.waiting(reason: "VRF device red is not up")])
        kernel.setDevices(["red": 1030, "blue": 1031])
        kernel.settle()
        #expect(kernel.takeLog() == ["add 10.1.0.0/16 table 1031 metric 20 via link dev 30"])
        kernel.setDevices(["red": 1030])
        kernel.settle()
        #expect(kernel.takeLog() == ["remove 10.1.0.0/16 table 1031 metric 20"])
        #expect(kernel.table.ruleProblems == ["vrf red": "there is no VRF device blue"])
    }

    @Test func validatesVTEPs() throws {
        var kernel = Self.kernel([Self.toBlue])
        try kernel.tell(vrf: "red", "10.1.0.0/16", via: "192.0.2.7")
        try kernel.tell(vrf: "red", "10.2.0.0/16", via: "192.0.2.7,192.0.2.1")
        // Behind a host of a subnet of this host: nothing to ask for.
        try kernel.tell(vrf: "red", "10.3.0.0/16", via: "")
        kernel.settle()
        #expect(
            Set(kernel.takeLog()) == [
                "add 10.2.0.0/16 table 1031 metric 20 via link dev 30",
                "add 10.3.0.0/16 table 1031 metric 20 via link dev 30",
            ])
        #expect(kernel.status("10.1.0.0/16") == [.waiting(reason: "next hop 192.0.2.7 is not reachable")])
        kernel.reachable["192.0.2.7"] = (2, nil)
        kernel.answerAll()
        kernel.work()
        #expect(kernel.takeLog() == ["add 10.1.0.0/16 table 1031 metric 20 via link dev 30"])
        var careless = Self.toBlue
        careless.validatesNexthop = false
        var other = Self.kernel([careless])
        try other.tell(vrf: "red", "10.1.0.0/16", via: "192.0.2.9")
        other.settle()
        #expect(other.takeLog() == ["add 10.1.0.0/16 table 1031 metric 20 via link dev 30"])
    }

    /// A table by its number that turns out to be the VRF's own: packets would go round in circles.
    @Test func itsOwnTable() throws {
        let rule = NetlinkExport.Rule(name: "vrf red", source: "red", table: 1030)
        var kernel = Self.kernel([rule])
        try kernel.tell(vrf: "red", "10.1.0.0/16")
        kernel.settle()
        #expect(kernel.takeLog() == [])
        #expect(
            kernel.table.ruleProblems == [
                "vrf red": "that is the table of VRF red itself, where its routes are in any case"
            ])
    }

    @Test func vtepsStayReachable() throws {
        let rule = NetlinkExport.Rule(name: "vrf red", source: "red", table: 254)
        var kernel = Self.kernel([rule])
        try kernel.tell(vrf: "red", "192.0.0.0/16", hijacked: "192.0.2.1")
        try kernel.tell(vrf: "red", "10.1.0.0/16")
        kernel.settle()
        #expect(kernel.takeLog() == ["add 10.1.0.0/16 table 254 metric 20 via link dev 30"])
        #expect(
            kernel.status("192.0.0.0/16")
                == [.waiting(reason: "the underlay's packets to 192.0.2.1 would go into VRF red")])
    }

    /// After a restart: what is found stays until it is announced again or nobody has.
    @Test func adopts() throws {
        var kernel = Self.kernel([Self.toBlue], inherited: [ExportMark(table: 1031, proto: 186)])
        for text in ["10.1.0.0/16", "10.2.0.0/16"] {
            let key = KernelRouteKey(table: 1031, prefix: try prefix(text), metric: 20)
            kernel.routes[key] = KernelRoute(proto: 186, nexthops: [KernelNexthop(gateway: nil, interface: 30)])
        }
        kernel.settle()
        #expect(kernel.takeLog() == [])
        try kernel.tell(vrf: "red", "10.1.0.0/16")
        kernel.settle()
        #expect(kernel.takeLog() == [] && kernel.table.statistics.sweptKept == 1)
        kernel.table.synchronize()
        kernel.settle()
        #expect(kernel.takeLog() == ["remove 10.2.0.0/16 table 1031 metric 20"])
        #expect(kernel.table.pendingOperations.isEmpty && kernel.table.marks.map(\.table) == [1031])
    }

    /// Nothing says that an earlier run made what is found: somebody else did, and it stays.
    @Test func leavesStrangers() throws {
        for isFirst in [true, false] {
            var kernel = Self.kernel([Self.toBlue], inherited: [ExportMark(table: 1031, proto: 187)])
            if !isFirst { kernel.settle() }
            for text in ["10.1.0.0/16", "10.2.0.0/16"] {
                let key = KernelRouteKey(table: 1031, prefix: try prefix(text), metric: 20)
                let route = KernelRoute(proto: 186, nexthops: [KernelNexthop(gateway: nil, interface: 9)])
                kernel.routes[key] = route
                if !isFirst { kernel.table.notified(key, route) }
            }
            try kernel.tell(vrf: "red", "10.1.0.0/16")
            try kernel.tell(vrf: "red", "10.3.0.0/16")
            kernel.table.synchronize()
            kernel.settle()
            kernel.table.observeAgain()
            kernel.settle()
            #expect(kernel.takeLog() == ["add 10.3.0.0/16 table 1031 metric 20 via link dev 30"])
            #expect(kernel.table.strangers.keys.sorted() == [ExportMark(table: 1031, proto: 186)])
            #expect(kernel.table.hasFailures && kernel.table.pendingOperations.isEmpty)
            // When the stranger goes there is room.
            let key = KernelRouteKey(table: 1031, prefix: try prefix("10.1.0.0/16"), metric: 20)
            kernel.routes[key] = nil
            kernel.table.swept(0)
            kernel.settle()
            #expect(kernel.takeLog() == ["add 10.1.0.0/16 table 1031 metric 20 via link dev 30"])
        }
    }

    private func prefix(_ text: String) throws -> IPPrefix { try #require(IPPrefix(text)) }
}
