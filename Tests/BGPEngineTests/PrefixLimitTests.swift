// Neighbors that announce too much: held down, for how long, and what ends it.

import BGP
import NetTypes
import Testing

@testable import BGPEngine

@Suite struct PrefixLimitTests {
    private func limited(_ maximum: Int, restartSeconds: Int? = nil) -> BGPConfiguration {
        var result = configuration(0, peer: 1)
        result.neighbors[0].families[0].prefixLimit = limit(maximum, restartSeconds)
        return result
    }
    private func limit(_ maximum: Int, _ restartSeconds: Int?) -> PrefixLimit {
        var limit = PrefixLimit(maximum: maximum)
        limit.restartSeconds = restartSeconds
        return limit
    }
    /// A hub that takes whoever comes from 192.0.2.0/24, and one neighbor that does.
    private func hub(_ maximum: Int, restartSeconds: Int? = nil) throws -> Wire {
        var hub = configuration(0, peer: 1)
        var template = hub.neighbors[0]
        template.families[0].prefixLimit = limit(maximum, restartSeconds)
        hub.neighbors = []
        let prefix = try #require(IPPrefix(Wire.address(0), length: 24))
        hub.dynamicNeighbors = [DynamicNeighborConfiguration(prefix: prefix, template: template)]
        return Wire([hub, configuration(1, peer: 0)])
    }

    @Test func isHeldDownUntilTheRestartInterval() {
        let wire = Wire([limited(10, restartSeconds: 30), configuration(1, peer: 0)])
        wire.speakers[1].originate(routes(11, via: 1), now: wire.now)
        wire.settle()
        wire.pass(25)
        #expect(wire.status(0)?.state == .idle)
        #expect(wire.status(0)?.lastError?.contains("more than 10 routes") == true)
        wire.speakers[1].originate(routes(11, via: 1).suffix(5).map { .init(key: $0.key, route: nil) }, now: wire.now)
        wire.pass(20)
        #expect(wire.status(0)?.state == .established)
        #expect(wire.known(0) == 6)
    }

    @Test func aDynamicNeighborIsHeldDownToo() throws {
        let wire = try hub(10)
        wire.speakers[1].originate(routes(11, via: 1), now: wire.now)
        wire.settle()
        wire.pass(120)
        #expect(wire.status(0)?.state == .idle)
        #expect(wire.events[0].filter { $0 == "limit.shutdown" }.count == 1)
        wire.speakers[1].originate(routes(11, via: 1).prefix(5).map { .init(key: $0.key, route: nil) }, now: wire.now)
        wire.speakers[0].clear(.address(Wire.address(1)), now: wire.now)
        wire.settle()
        wire.pass(120)
        #expect(wire.status(0)?.state == .established)
        #expect(wire.known(0) == 6)
    }

    @Test func aDynamicNeighborMayComeBackAfterTheRestartInterval() throws {
        let wire = try hub(10, restartSeconds: 60)
        wire.speakers[1].originate(routes(11, via: 1), now: wire.now)
        wire.settle()
        wire.speakers[1].originate(routes(11, via: 1).prefix(5).map { .init(key: $0.key, route: nil) }, now: wire.now)
        wire.pass(50)
        #expect(wire.status(0)?.state == .idle)
        wire.pass(140)
        #expect(wire.status(0)?.state == .established)
    }

    @Test func aDynamicNeighborThatWasShutDownStaysSo() throws {
        let wire = try hub(10)
        wire.speakers[0].shutdown(.address(Wire.address(1)), text: "enough", now: wire.now)
        wire.settle()
        wire.pass(60)
        #expect(wire.status(0)?.state == .idle)
        wire.speakers[0].enable(.address(Wire.address(1)), now: wire.now)
        wire.settle()
        wire.pass(120)
        #expect(wire.status(0)?.state == .established)
    }

    @Test func aChangedLimitAppliesToARunningSession() {
        let wire = Wire([limited(100), configuration(1, peer: 0)])
        wire.speakers[1].originate(routes(20, via: 1), now: wire.now)
        wire.settle()
        wire.speakers[0].configure(limited(24), now: wire.now)
        wire.settle()
        #expect(wire.events[0].contains("limit.near"))
        #expect(wire.status(0)?.established == 1, "the session is not reset")
        wire.speakers[0].configure(limited(10), now: wire.now)
        wire.settle()
        #expect(wire.status(0)?.state == .idle)
        #expect(wire.sent[0].contains { $0.count > 20 && $0[18] == 3 && $0[19] == 6 && $0[20] == 1 })
        wire.speakers[0].configure(limited(50), now: wire.now)
        wire.settle()
        wire.pass(10)
        #expect(wire.status(0)?.state == .established, "a higher limit is another chance")
        #expect(wire.known(0) == 20)
    }
}
