// Paths as good as the best one, for unicast routes that go to the kernel.

import BGP
import BGPEngine
import NetTypes
import Testing

@Suite struct RIBMultipathTests {
    /// What each change tells: next hop of the best path, and the others'.
    private func changes(_ rib: inout RIB) -> [[String]] {
        rib.takeChanges().map { change in
            guard let path = change.path else { return [] }
            return (path.attributes.attributes.nextHop.map { ["\($0)"] } ?? []) + path.alternatives.map { "\($0)" }
        }
    }

    @Test func equalPathsAreTold() {
        var rib = makeRIB([peer(1), peer(2), peer(3)])
        rib.setMultiplePaths(true)
        let route = unicast("198.51.100.0/24")
        rib.hear(1, [route], attributes(nextHop: 71))
        #expect(changes(&rib) == [["10.0.0.71"]])
        rib.hear(2, [route], attributes(nextHop: 72))
        #expect(changes(&rib) == [["10.0.0.71", "10.0.0.72"]])
        // A worse one counts for nothing, and neither does one with the same next hop.
        rib.hear(3, [route], attributes(nextHop: 73) { $0.localPreference = 50 })
        #expect(changes(&rib).allSatisfy { $0 == ["10.0.0.71", "10.0.0.72"] })
        rib.hear(3, [route], attributes(nextHop: 71))
        #expect(changes(&rib).allSatisfy { $0 == ["10.0.0.71", "10.0.0.72"] })
        #expect(rib.routes(RouteQuery(.best)).routes.first?.alternatives == [ScopedAddress(address(72))])
        rib.unhear(2, [route])
        #expect(changes(&rib).last == ["10.0.0.71"])
        // Our own route is nobody's next hop.
        rib.hear(2, [route], attributes(nextHop: 72))
        rib.originate(route, attributes(nextHop: 99))
        #expect(changes(&rib).last == ["10.0.0.71", "10.0.0.72"])
    }

    /// Neighbors by interface may all have the same link-local address.
    @Test func linkLocalNextHopsOfDifferentLinks() throws {
        let links = ["eth1", "eth2", "eth2"].enumerated().map { index, name in
            var neighbor = peer(UInt16(index + 1))
            neighbor.interface = name
            return neighbor
        }
        var rib = makeRIB(links)
        rib.setMultiplePaths(true)
        let linkLocal = try #require(IPAddress("fe80::1"))
        let route = unicast("198.51.100.0/24")
        for number in UInt16(1)...3 { rib.hear(number, [route], attributes { $0.nextHop = linkLocal }) }
        let path = try #require(rib.takeChanges().last?.path)
        #expect(path.interface == "eth1")
        #expect(path.alternatives.map { "\($0)" } == ["fe80::1%eth2"])
        #expect(rib.routes(RouteQuery(.best)).routes.first?.interface == "eth1")
    }

    @Test func onlyWhereItIsAskedFor() {
        var rib = makeRIB([peer(1), peer(2)])
        let route = unicast("198.51.100.0/24")
        rib.hear(1, [route, macRoute(1)], attributes(nextHop: 71))
        rib.hear(2, [route, macRoute(1)], attributes(nextHop: 72))
        #expect(changes(&rib) == [["10.0.0.71"], ["10.0.0.71"]])
        rib.setMultiplePaths(true)
        #expect(changes(&rib) == [["10.0.0.71", "10.0.0.72"]])
        rib.setMultiplePaths(false)
        #expect(changes(&rib) == [["10.0.0.71"]])
    }
}
