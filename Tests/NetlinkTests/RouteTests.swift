// Routes and nexthop objects: what the kernel tells about commands, and requests read back.

import NetTypes
import Testing

@testable import Netlink

private func ip(_ text: String) -> IPAddress { IPAddress(text) ?? .v4(.any) }
private func address(_ text: String) throws -> IPPrefix { try #require(IPPrefix(text)) }
private func prefix(_ text: String) -> IPPrefix? { IPPrefix(text) }

@Suite struct RouteCaptureTests {
    private func routes(_ command: String) throws -> [Route] {
        try decoded(command) { $0.type == MessageType.newRoute ? Route(decoding: $0.payload) : nil }
    }
    private func nexthop(_ command: String) throws -> Nexthop {
        try #require(
            try decoded(command) { $0.type == MessageType.newNexthop ? Nexthop(decoding: $0.payload) : nil }.first)
    }
    private func bridge() throws -> Int32 {
        try nexthop("ip nexthop add id 101 via 192.0.2.1 dev br500 onlink proto 211").interface
    }

    @Test func connectedSubnets() throws {
        let device = try bridge()
        let v4 = try routes("ip addr add 10.20.1.1/24 dev br500")
        let subnet = try #require(v4.first { $0.type == RouteType.unicast })
        #expect(subnet.prefix == (prefix("10.20.1.0/24")) && subnet.table == RouteTable.main && subnet.metric == 0)
        #expect(subnet.proto == RouteProtocol.kernel && subnet.scope == RouteScope.link)
        #expect(subnet.preferredSource == ip("10.20.1.1") && subnet.hops == [.init(interface: device)])
        #expect(v4.filter { $0.type == RouteType.local && !$0.prefix.address.isV6 }.map(\.table) == [RouteTable.local])
        let v6 = try routes("ip addr add 2001:db8:1::1/64 dev br500 nodad")
        let other = try #require(v6.first { $0.prefix == IPPrefix("2001:db8:1::/64") })
        #expect(other.proto == RouteProtocol.kernel && other.metric == 256 && other.type == RouteType.unicast)
    }
    @Test func nexthops() throws {
        let first = try nexthop("ip nexthop add id 101 via 192.0.2.1 dev br500 onlink proto 211")
        #expect(first.id == 101 && first.proto == 211 && first.gateway == ip("192.0.2.1") && first.isOnLink)
        let mapped = try nexthop("ip nexthop add id 102 via ::ffff:192.0.2.1 dev br500 onlink proto 211")
        #expect(mapped.gateway == ip("::ffff:192.0.2.1") && mapped.isV6 && mapped.interface == first.interface)
        let group = try nexthop("ip nexthop add id 110 group 101/103,3 proto 211")
        #expect(group.members == [.init(id: 101), .init(id: 103, weight: 3)] && group.interface == 0)
        #expect(!group.isResilient && !group.isFDB && !group.isBlackhole)
        let device = try nexthop("ip nexthop add id 111 dev lo proto 211")
        #expect(device.gateway == nil && device.interface == 1 && !device.isOnLink)
        #expect(try nexthop("ip nexthop replace id 110 group 101 proto 211").members == [.init(id: 101)])
        let gone = try decoded("ip nexthop del id 103") {
            $0.type == MessageType.deleteNexthop ? Nexthop(decoding: $0.payload)?.id : nil
        }
        #expect(gone == [103])
    }
    @Test func routesByNexthop() throws {
        let device = try bridge()
        let host = try #require(try routes("ip route add 10.20.2.10/32 nhid 101 proto 211 metric 20").first)
        #expect(host.nexthopID == 101 && host.metric == 20 && host.proto == 211)
        #expect(host.prefix == (prefix("10.20.2.10/32")))
        #expect(host.hops == [.init(gateway: ip("192.0.2.1"), interface: device, isOnLink: true)])
        let v6 = try #require(
            try routes("ip route add 2001:db8:2::/64 nhid 102 proto 211 metric 1044 table 1000").first)
        #expect(v6.table == 1000 && v6.nexthopID == 102 && v6.metric == 1044)
        #expect(v6.hops.map(\.gateway) == [ip("::ffff:192.0.2.1")])
    }
    @Test func plainRoutes() throws {
        let device = try bridge()
        let other = try #require(try routes("ip route add 10.40.0.0/16 via inet6 2001:db8:1::9 dev br500").first)
        #expect(other.hops.map(\.gateway) == [ip("2001:db8:1::9")] && other.proto == RouteProtocol.boot)
        let two = try #require(
            try routes(
                "ip route add 10.50.0.0/16 nexthop via 10.20.1.8 dev br500 weight 2 nexthop via 192.0.2.9 dev br500 onlink"
            ).first)
        #expect(
            two.hops == [
                .init(gateway: ip("10.20.1.8"), interface: device, weight: 2),
                .init(gateway: ip("192.0.2.9"), interface: device, isOnLink: true),
            ])
        let v6 = try routes(
            "ip route add 2001:db8:3::/48 nexthop via 2001:db8:1::8 dev br500 nexthop via 2001:db8:1::9 dev br500")
        #expect(v6.flatMap(\.hops).map(\.gateway) == [ip("2001:db8:1::8"), ip("2001:db8:1::9")])
        let nowhere = try #require(try routes("ip route add blackhole 10.60.0.0/16").first)
        #expect(nowhere.type == RouteType.blackhole && nowhere.hops.isEmpty)
        let all = try #require(try routes("ip route add default via 10.20.1.254 dev br500 table 1000").first)
        #expect(all.prefix == (prefix("0.0.0.0/0")) && all.table == 1000)
        let gone = try decoded("ip route del 10.30.0.0/16") {
            $0.type == MessageType.deleteRoute ? Route(decoding: $0.payload) : nil
        }
        #expect(gone.map(\.prefix) == [prefix("10.30.0.0/16")] && gone.map(\.proto) == [RouteProtocol.static])
    }
    @Test func vrfDevice() throws {
        let links = try decoded("ip link add red type vrf table 1001") { Link(decoding: $0.payload) }
        #expect(links.contains { $0.name == "red" && $0.kind == "vrf" && $0.vrfTable == 1001 })
    }
    @Test func carrier() throws {
        func bridge(_ command: String) throws -> Link? {
            try decoded(command) { $0.payload.first == 0 ? Link(decoding: $0.payload) : nil }.last { $0.name == "br0" }
        }
        #expect(try bridge("ip link set br0 up")?.hasCarrier == true)
        // Its first port is down.
        let alone = try bridge("ip link set vx master br0")
        #expect(alone?.isUp == true && alone?.hasCarrier == false)
    }
}

@Suite struct RouteRequestTests {
    private func payloads(_ batch: NetlinkBatch) -> [[UInt8]] {
        var result: [[UInt8]] = []
        batch.bytes.withUnsafeBytes { NetlinkMessage.forEach(in: $0) { result.append(Array($0.payload)) } }
        return result
    }
    private func route(_ payload: [UInt8]) -> Route? { payload.withUnsafeBytes { Route(decoding: $0) } }

    @Test func routesReadBack() throws {
        let hop = Route.Hop(gateway: ip("2001:db8::9"), interface: 7, isOnLink: true)
        let sent = [
            Route(table: 1000, prefix: try address("10.0.0.0/8"), metric: 20, proto: 211, nexthopID: 0x6576_0001),
            Route(table: 254, prefix: try address("0.0.0.0/0"), proto: 4, hops: [hop], preferredSource: ip("10.0.0.1")),
            Route(
                table: 100_000, prefix: try address("2001:db8::/32"), metric: 5, proto: 211,
                hops: [hop, .init(gateway: ip("2001:db8::8"), interface: 8, weight: 256)]),
            Route(
                table: 99, prefix: try address("10.1.0.0/16"), proto: 211,
                hops: [hop, .init(gateway: ip("10.9.9.9"), interface: 3, weight: 4), .init(interface: 9)]),
            Route(table: 99, prefix: try address("10.2.0.0/16"), proto: 3, type: RouteType.blackhole),
        ]
        var batch = NetlinkBatch()
        for (index, route) in sent.enumerated() {
            batch.setRoute(sequence: UInt32(index), route, mode: [.create, .exclusive])
        }
        batch.finish()
        #expect(payloads(batch).map { route($0) } == sent)
    }
    @Test func nexthopsReadBack() throws {
        let sent = [
            Nexthop(id: 1, proto: 211, gateway: ip("192.0.2.1"), interface: 3, isOnLink: true),
            Nexthop(id: 2, proto: 211, gateway: ip("2001:db8::1"), interface: 3),
            Nexthop(id: 3, proto: 211, gateway: nil, interface: 4, isV6: true),
            Nexthop(id: 4, proto: 211, members: [.init(id: 1, weight: 256), .init(id: 2, weight: 300)]),
        ]
        var batch = NetlinkBatch()
        for (index, nexthop) in sent.enumerated() {
            batch.setNexthop(sequence: UInt32(index), nexthop, mode: .create)
        }
        batch.finish()
        #expect(payloads(batch).map { $0.withUnsafeBytes { Nexthop(decoding: $0) } } == sent)
    }
    /// Lengths, families and numbers that cannot be.
    @Test func impossibleOnes() throws {
        var batch = NetlinkBatch()
        batch.setRoute(sequence: 1, Route(table: 1, prefix: try address("10.0.0.0/8"), proto: 4), mode: .create)
        batch.finish()
        let good = try #require(payloads(batch).first)
        #expect(route(good) != nil)
        var long = good
        long[1] = 33
        #expect(route(long) == nil)
        var other = good
        other[0] = Family.ipv6
        #expect(route(other) == nil)
        other[0] = Family.bridge
        #expect(route(other) == nil)
        let withoutNumber: [UInt8] = [2, 0, 211, 0, 0, 0, 0, 0]
        #expect(withoutNumber.withUnsafeBytes { Nexthop(decoding: $0) } == nil)
        let oddGroup: [UInt8] = [0, 0, 211, 0, 0, 0, 0, 0, 8, 0, 1, 0, 5, 0, 0, 0, 15, 0, 2, 0] + Array(1...11) + [0]
        #expect(oddGroup.withUnsafeBytes { Nexthop(decoding: $0)?.members.count } == 1)
    }
}
