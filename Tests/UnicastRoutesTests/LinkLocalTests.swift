// Next hops of sessions by interface (RFC 8950, RFC 2545): link-local, and therefore nothing that the kernel has routes to.

import BGP
import EVPN
import NetTypes
import Testing
import UnicastRoutes

@Suite struct LinkLocalTests {
    static let peer = "fe80::1"

    private func kernel(validating: Bool = true) -> TestKernel {
        var kernel = TestKernel([NetlinkExport.Rule(name: "all", validatesNexthop: validating)])
        kernel.table.setInterfaces(["eth1": 11, "eth2": 12])
        return kernel
    }

    @Test func interfaceOfTheSession() throws {
        var kernel = kernel()
        try kernel.tell("10.9.0.2/32", via: Self.peer, from: Self.peer, on: "eth1")
        try kernel.tell("2001:db8::/48", via: Self.peer, from: Self.peer, on: "eth2")
        kernel.settle()
        #expect(
            kernel.takeLog() == [
                "add 10.9.0.2/32 table 254 metric 20 via fe80::1 dev 11",
                "add 2001:db8::/48 table 254 metric 20 via fe80::1 dev 12",
            ])
        #expect(kernel.table.allQuestions.isEmpty)
        // Down, and made anew with another index.
        kernel.table.setInterfaces(["eth2": 12])
        kernel.work()
        #expect(kernel.takeLog() == ["remove 10.9.0.2/32 table 254 metric 20"])
        #expect(
            kernel.status("10.9.0.2/32")
                == [.waiting(reason: "next hop fe80::1%eth1 is on an interface that is not up")])
        kernel.table.setInterfaces(["eth1": 21, "eth2": 12])
        kernel.work()
        #expect(kernel.takeLog() == ["add 10.9.0.2/32 table 254 metric 20 via fe80::1 dev 21"])
        // Another way, and then nobody.
        try kernel.tell("10.9.0.2/32", via: "fe80::2", from: "fe80::2", on: "eth2")
        kernel.settle()
        #expect(kernel.takeLog() == ["replace 10.9.0.2/32 table 254 metric 20 via fe80::2 dev 12"])
        kernel.table.setInterfaces(["eth2": 12])
        kernel.work()
        #expect(kernel.takeLog() == [])
        try kernel.tell("10.9.0.2/32", via: nil)
        kernel.settle()
        #expect(kernel.takeLog() == ["remove 10.9.0.2/32 table 254 metric 20"])
    }

    @Test func severalLinks() throws {
        var kernel = kernel()
        let other = ScopedAddress(try #require(IPAddress(Self.peer)), on: "eth2")
        let global = ScopedAddress(try #require(IPAddress(TestKernel.nexthop)), on: "eth2")
        #expect(global.interface == nil)
        try kernel.tell("10.9.0.2/32", via: Self.peer, from: Self.peer, on: "eth1", alternatives: [other, global])
        kernel.settle()
        #expect(
            kernel.takeLog() == [
                "add 10.9.0.2/32 table 254 metric 20 via 192.0.2.1 dev 2 + via fe80::1 dev 11 + via fe80::1 dev 12"
            ])
        kernel.table.setInterfaces(["eth2": 12])
        kernel.work()
        #expect(
            kernel.takeLog()
                == ["replace 10.9.0.2/32 table 254 metric 20 via 192.0.2.1 dev 2 + via fe80::1 dev 12"])
    }

    @Test func withoutInterface() throws {
        var kernel = kernel()
        // However the kernel would send it: the link could be any.
        kernel.reachable[Self.peer] = (2, nil)
        try kernel.tell("10.9.0.2/32", via: Self.peer, from: Self.peer)
        kernel.settle()
        #expect(kernel.takeLog() == [])
        #expect(
            kernel.status("10.9.0.2/32")
                == [.waiting(reason: "next hop fe80::1 is link-local, and its interface is not known")])
    }

    @Test func withoutValidation() throws {
        var kernel = kernel(validating: false)
        try kernel.tell("10.9.0.2/32", via: Self.peer, from: Self.peer, on: "eth1")
        kernel.settle()
        #expect(kernel.takeLog() == ["add 10.9.0.2/32 table 254 metric 20 via fe80::1 dev 11 onlink"])
    }

    /// A service behind a VTEP whose loopback is reached by such a route.
    @Test func routesBehindIt() throws {
        var kernel = kernel()
        try kernel.tell("10.9.0.2/32", via: Self.peer, from: Self.peer, on: "eth1")
        kernel.settle()
        try kernel.tell("10.0.0.0/8", via: "10.9.0.2", from: Self.peer)
        kernel.settle()
        #expect(kernel.takeLog().last == "add 10.0.0.0/8 table 254 metric 20 via fe80::1 dev 11")
        kernel.table.setInterfaces([:])
        kernel.work()
        kernel.answerAll()
        kernel.work()
        #expect(kernel.routes.isEmpty)
    }
}
