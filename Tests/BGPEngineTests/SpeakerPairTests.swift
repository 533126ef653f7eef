// Two speakers on virtual time over a wire that the test can cut, delay by octets or feed with garbage.

import BGP
import NetTypes
import Testing

@testable import BGPEngine

/// Speakers joined by reliable pipes; time moves only when the test says so.
final class Wire {
    struct End: Hashable {
        var speaker: Int
        var connection: ConnectionID
    }
    var speakers: [Speaker]
    let addresses: [IPAddress]
    var now = Instant(nanoseconds: 1_000_000_000)
    var joined: [End: End] = [:]
    var events: [[String]]
    var changes: [[BestPathChange]]
    var synchronized: [Bool]
    /// How many routes had been told when `synchronized` became true.
    var knownAtSync: [Int: Int] = [:]
    var sent: [[[UInt8]]]
    /// Octets a delivery; nil: all at once.
    var chunk: Int?
    /// New connections fail.
    var isCut = false

    init(_ configurations: [BGPConfiguration], restarting: Set<Int> = []) {
        speakers = configurations.indices.map {
            Speaker(hostname: "s\($0)", restarting: restarting.contains($0), seed: UInt64($0 + 1))
        }
        addresses = configurations.indices.map { Wire.address($0) }
        events = configurations.map { _ in [] }
        changes = configurations.map { _ in [] }
        synchronized = configurations.map { _ in false }
        sent = configurations.map { _ in [] }
        for (index, configuration) in configurations.enumerated() { speakers[index].configure(configuration, now: now) }
        settle()
    }
    static func address(_ index: Int) -> IPAddress {
        .v4(IPv4Address(rawValue: 0xc000_0201 + UInt32(index)))
    }

    /// Carries out effects until nobody has any.
    func settle() {
        var rounds = 0
        while rounds < 10_000 {
            rounds += 1
            var isQuiet = true
            for index in speakers.indices {
                for effect in speakers[index].takeEffects() {
                    isQuiet = false
                    carryOut(effect, index)
                }
            }
            if isQuiet { return }
        }
        Issue.record("the speakers never come to rest")
    }
    private func carryOut(_ effect: SpeakerEffect, _ index: Int) {
        switch effect {
        case .connect(let id, let plan):
            guard !isCut, let other = addresses.firstIndex(of: plan.address),
                let accepted = speakers[other].accepted(from: addresses[index], local: addresses[other], now: now)
            else { return speakers[index].closed(id, reason: "refused", now: now) }
            join(End(speaker: index, connection: id), End(speaker: other, connection: accepted))
            speakers[index].connected(id, local: addresses[index], now: now)
        case .send(let id, let bytes):
            sent[index].append(bytes)
            let end = End(speaker: index, connection: id)
            if let far = joined[end] { deliver(bytes, far) }
            speakers[index].drained(id, now: now)
        case .close(let id): cut(End(speaker: index, connection: id))
        case .routes(let batch): changes[index] += batch
        case .initialSync:
            synchronized[index] = true
            knownAtSync[index] = known(index)
        case .event(let event): events[index].append(event.name)
        case .transport, .configure, .transmit: break
        }
    }
    private func join(_ a: End, _ b: End) {
        joined[a] = b
        joined[b] = a
    }
    func deliver(_ bytes: [UInt8], _ end: End) {
        for start in stride(from: 0, to: bytes.count, by: chunk ?? max(1, bytes.count)) {
            let part = Array(bytes[start..<min(bytes.count, start + (chunk ?? bytes.count))])
            part.withUnsafeBytes { speakers[end.speaker].received(end.connection, $0, now: now) }
        }
    }
    private func cut(_ end: End) {
        guard let far = joined.removeValue(forKey: end) else { return }
        joined[far] = nil
        speakers[far.speaker].closed(far.connection, reason: "closed", now: now)
    }
    /// Breaks every connection, as a dead host or a reset would.
    func breakAll() {
        for end in joined.keys.sorted(by: { ($0.speaker, $0.connection) < ($1.speaker, $1.connection) }) {
            joined[end] = nil
            speakers[end.speaker].closed(end.connection, reason: "reset", now: now)
        }
        settle()
    }
    /// Lets `seconds` pass; connections stay but, when `isSilent`, nobody but `only` sees its timers run.
    func pass(_ seconds: Int, only: Set<Int>? = nil) {
        let end = now + .seconds(seconds)
        while now < end {
            let due = speakers.indices.filter { only?.contains($0) ?? true }.compactMap { speakers[$0].nextDeadline }
                .min()
            now = max(now, min(end, due ?? end))
            for index in speakers.indices where only?.contains(index) ?? true {
                if let deadline = speakers[index].nextDeadline, deadline <= now {
                    speakers[index].handleDeadlines(now: now)
                }
            }
            settle()
            if due == nil || now >= end { break }
        }
    }

    func status(_ index: Int) -> NeighborStatus? { speakers[index].status().first }
    /// How many routes `index` knows from others after all changes.
    func known(_ index: Int) -> Int {
        var keys: Set<RouteKey> = []
        for change in changes[index] {
            if change.path == nil { keys.remove(change.key) } else { keys.insert(change.key) }
        }
        return keys.count
    }
}

func configuration(
    _ index: Int, asn: UInt32 = 65000, peer: Int, peerASN: UInt32 = 65000,
    _ change: (inout NeighborConfiguration) -> Void = { _ in }
) -> BGPConfiguration {
    var result = BGPConfiguration(asn: asn, routerID: IPv4Address(rawValue: 0x0a00_0001 + UInt32(index)))
    var neighbor = NeighborConfiguration(address: Wire.address(peer), peerASN: peerASN)
    neighbor.families = [FamilyConfiguration(.l2vpnEVPN)]
    neighbor.holdTimeSeconds = 9
    neighbor.connectRetrySeconds = 1
    change(&neighbor)
    result.neighbors = [neighbor]
    result.gracefulRestart.isEnabled = false
    return result
}

func routes(_ count: Int, via index: Int = 0) -> [LocalRouteChange] {
    var attributes = PathAttributes()
    attributes.origin = .igp
    attributes.nextHop = Wire.address(index)
    let set = AttributeSet(attributes)
    return (0..<count).map { number in
        let route = EVPNRoute.macIP(
            MACIPRoute(
                rd: RouteDistinguisher(IPv4Address(rawValue: 1), UInt16(index)),
                mac: MACAddress(rawValue: 0x0200_0000_0000 + UInt64(number)), label1: 100))
        return LocalRouteChange(
            key: RouteKey(route), route: LocalRoute(payload: RoutePayload(route), attributes: set))
    }
}

@Suite struct SpeakerPairTests {
    @Test func routesAreToldBeforeTheEndOfThem() {
        let wire = Wire([configuration(0, peer: 1), configuration(1, peer: 0)])
        wire.speakers[0].originate(routes(5), now: wire.now)
        // One that starts again gets routes and End-of-RIB in one read.
        wire.breakAll()
        wire.speakers[1] = Speaker(hostname: "s1", restarting: true, seed: 7)
        (wire.synchronized[1], wire.changes[1]) = (false, [])
        wire.speakers[1].configure(configuration(1, peer: 0), now: wire.now)
        wire.settle()
        wire.pass(5)
        #expect(wire.synchronized[1] && wire.knownAtSync[1] == 5)
    }

    @Test func establishesAndExchangesRoutes() {
        let wire = Wire([configuration(0, peer: 1), configuration(1, peer: 0)])
        #expect(wire.status(0)?.state == .established)
        #expect(wire.status(1)?.state == .established)
        #expect(wire.joined.count == 2, "a collision leaves exactly one connection")
        wire.speakers[0].originate(routes(500), now: wire.now)
        wire.settle()
        #expect(wire.known(1) == 500)
        #expect(wire.synchronized == [true, true])
        wire.speakers[0].originate(routes(500).map { LocalRouteChange(key: $0.key, route: nil) }, now: wire.now)
        wire.settle()
        #expect(wire.known(1) == 0)
    }

    @Test(arguments: [1, 7, 18, 20]) func messagesMayComeInPieces(_ size: Int) {
        let wire = Wire([configuration(0, peer: 1), configuration(1, peer: 0) { $0.isPassive = true }])
        wire.chunk = size
        wire.speakers[0].originate(routes(50), now: wire.now)
        wire.settle()
        #expect(wire.known(1) == 50)
    }

    @Test func keepalivesHoldTheSessionAndSilenceEndsIt() {
        let wire = Wire([configuration(0, peer: 1), configuration(1, peer: 0)])
        wire.pass(60)
        #expect(wire.status(0)?.established == 1)
        #expect(wire.status(0)?.state == .established)
        wire.speakers[1].originate(routes(3, via: 1), now: wire.now)
        wire.settle()
        // Only speaker 0's clock runs: it hears nothing.
        wire.isCut = true
        wire.pass(10, only: [0])
        #expect(wire.events[0].contains("session.down"))
        #expect(wire.known(0) == 0)
    }

    @Test func aWrongASIsRefused() {
        let wire = Wire([configuration(0, peer: 1, peerASN: 65001), configuration(1, peer: 0)])
        #expect(wire.status(0)?.state != .established)
        #expect(wire.status(0)?.lastError?.contains("peer AS is 65000") == true)
        #expect(wire.sent[0].contains { $0.count > 20 && $0[18] == 3 && $0[19] == 2 && $0[20] == 2 })
    }

    /// A neighbor without four-octet ASNs sees AS_TRANS (RFC 6793), which is nobody's own.
    @Test func fourOctetASNs() throws {
        let wire = Wire([
            configuration(0, asn: 4_200_000_001, peer: 1, peerASN: 4_200_000_002),
            configuration(1, asn: 4_200_000_002, peer: 0, peerASN: 4_200_000_001),
        ])
        #expect(wire.status(0)?.state == .established)
        #expect(wire.status(0)?.peerASN == 4_200_000_002)
        #expect(wire.sent[0].first.map { Array($0[20..<22]) } == [0x5b, 0xa0])

        let speaker = Speaker()
        let own = configuration(0, asn: 4_200_000_001, peer: 1, peerASN: 65001) { $0.isPassive = true }
        speaker.configure(own, now: wire.now)
        let id = try #require(speaker.accepted(from: Wire.address(1), local: nil, now: wire.now))
        func say(_ message: Message) {
            message.encoded().withUnsafeBytes { speaker.received(id, $0, now: wire.now) }
        }
        let open = Open(
            myAS: 65001, holdTimeSeconds: 9, routerID: IPv4Address(rawValue: 5),
            capabilities: [.multiprotocol(.l2vpnEVPN)])
        say(.open(open))
        say(.keepalive)
        #expect(speaker.status().first?.state == .established)
        _ = speaker.takeEffects()
        speaker.drained(id, now: wire.now)
        speaker.originate(routes(1), now: wire.now)
        let sent = speaker.takeEffects().flatMap { effect -> [UInt8] in
            if case .send(_, let bytes) = effect { return bytes }
            return []
        }
        let old = sent.withByteReader { try? Message.decode($0, options: CodecOptions(fourOctetAS: false)) }
        guard case .update(let update)? = old else {
            Issue.record("no UPDATE")
            return
        }
        #expect(update.attributes.asPath.segments.first?.asns == [4_200_000_001], "from AS4_PATH")
        #expect(hexString(sent).contains("40020402015ba0"), "AS_PATH holds AS_TRANS in two octets")
    }

    @Test func aNeighborThatSaysASTransIsRefused() {
        let wire = Wire([configuration(0, peer: 1, peerASN: 23456), configuration(1, asn: 23456, peer: 0)])
        #expect(wire.status(0)?.state != .established)
        #expect(wire.sent[0].contains { $0.count > 20 && $0[18] == 3 && $0[19] == 2 && $0[20] == 2 })
    }

    @Test func garbageEndsTheSessionWithTheRightNotification() throws {
        let wire = Wire([configuration(0, peer: 1), configuration(1, peer: 0)])
        let end = try #require(wire.joined.keys.first { $0.speaker == 0 })
        wire.isCut = true
        wire.deliver([UInt8](repeating: 0x41, count: 64), end)
        wire.settle()
        #expect(wire.sent[0].contains { $0.count > 20 && $0[18] == 3 && $0[19] == 1 && $0[20] == 1 })
        #expect(wire.status(0)?.state != .established)
    }

    @Test func anOpenInEstablishedIsAnFSMError() throws {
        let wire = Wire([configuration(0, peer: 1), configuration(1, peer: 0)])
        let end = try #require(wire.joined.keys.first { $0.speaker == 0 })
        wire.isCut = true
        let open = Open(myAS: 65000, holdTimeSeconds: 9, routerID: IPv4Address(rawValue: 5), capabilities: [])
        wire.deliver(Message.open(open).encoded(), end)
        wire.settle()
        #expect(wire.sent[0].contains { $0.count > 20 && $0[18] == 3 && $0[19] == 5 && $0[20] == 3 })
    }

    @Test func aLostConnectionKeepsRoutesForTheHoldTime() {
        let wire = Wire([configuration(0, peer: 1), configuration(1, peer: 0)])
        wire.speakers[1].originate(routes(5, via: 1), now: wire.now)
        wire.settle()
        wire.isCut = true
        wire.breakAll()
        #expect(wire.known(0) == 5)
        wire.pass(5)
        #expect(wire.known(0) == 5)
        wire.pass(6)
        #expect(wire.known(0) == 0)
    }

    @Test func aNotificationRemovesRoutesAtOnce() {
        let wire = Wire([configuration(0, peer: 1), configuration(1, peer: 0)])
        wire.speakers[1].originate(routes(5, via: 1), now: wire.now)
        wire.settle()
        wire.speakers[1].shutdown(.address(Wire.address(0)), text: "maintenance", now: wire.now)
        wire.settle()
        #expect(wire.known(0) == 0)
        #expect(wire.status(0)?.lastError?.contains("maintenance") == true)
        wire.pass(30)
        #expect(wire.status(1)?.state == .idle)
        wire.speakers[1].enable(.address(Wire.address(0)), now: wire.now)
        wire.settle()
        wire.pass(10)
        #expect(wire.known(0) == 5)
    }

    @Test func gracefulRestartKeepsRoutesUntilEndOfRIB() {
        var a = configuration(0, peer: 1)
        var b = configuration(1, peer: 0)
        a.gracefulRestart.isEnabled = true
        b.gracefulRestart.isEnabled = true
        b.gracefulRestart.restartTimeSeconds = 60
        let wire = Wire([a, b])
        wire.speakers[1].originate(routes(5, via: 1), now: wire.now)
        wire.settle()
        wire.isCut = true
        wire.breakAll()
        wire.pass(40)
        #expect(wire.known(0) == 5, "kept for the restart time, longer than the hold time")
        wire.speakers[1].originate(
            routes(5, via: 1).suffix(2).map { LocalRouteChange(key: $0.key, route: nil) }, now: wire.now)
        wire.isCut = false
        wire.pass(15)
        #expect(wire.status(0)?.state == .established)
        #expect(wire.known(0) == 3, "what was not announced again goes with End-of-RIB")
    }

    /// FRR offers graceful restart for unicast only: an EVPN session with it is like one without.
    @Test func gracefulRestartForOtherFamiliesKeepsRoutesForTheHoldTime() throws {
        let speaker = Speaker()
        var own = configuration(0, peer: 1) { $0.isPassive = true }
        own.gracefulRestart.isEnabled = true
        let now = Instant(nanoseconds: 1_000_000_000)
        speaker.configure(own, now: now)
        let id = try #require(speaker.accepted(from: Wire.address(1), local: nil, now: now))
        let open = Open(
            myAS: 65000, holdTimeSeconds: 9, routerID: IPv4Address(rawValue: 5),
            capabilities: [
                .multiprotocol(.l2vpnEVPN), .fourOctetAS(65000),
                .gracefulRestart(
                    flags: 0, restartTimeSeconds: 120, families: [.init(family: .ipv4Unicast, flags: 0x80)]),
            ])
        var writer = ByteWriter()
        writer.raw(Message.open(open).encoded())
        writer.raw(Message.keepalive.encoded())
        let entry = macRoute(1)
        UpdateEncoder(options: CodecOptions()).announce(
            [entry], family: .l2vpnEVPN, attributes: attributes(nextHop: 7), into: &writer)
        writer.bytes.withUnsafeBytes { speaker.received(id, $0, now: now) }
        #expect(speaker.status().first?.families.first?.counters.received == 1)
        speaker.closed(id, reason: "reset", now: now)
        speaker.handleDeadlines(now: now + .seconds(8))
        #expect(speaker.rib.explain(entry.key).count == 1)
        speaker.handleDeadlines(now: now + .seconds(10))
        #expect(speaker.rib.explain(entry.key).isEmpty)
    }

    @Test func tooManyRoutesShutTheSessionDown() {
        var limited = configuration(0, peer: 1)
        var limit = PrefixLimit(maximum: 10)
        limit.restartSeconds = 30
        limited.neighbors[0].families[0].prefixLimit = limit
        let wire = Wire([limited, configuration(1, peer: 0)])
        wire.speakers[1].originate(routes(9, via: 1), now: wire.now)
        wire.settle()
        #expect(wire.events[0].contains("limit.near"))
        #expect(wire.status(0)?.state == .established)
        wire.speakers[1].originate(routes(20, via: 1), now: wire.now)
        wire.settle()
        #expect(wire.status(0)?.state == .idle)
        #expect(wire.sent[0].contains { $0.count > 20 && $0[18] == 3 && $0[19] == 6 && $0[20] == 1 })
        #expect(wire.known(0) == 0)
    }

    @Test func anUnrelatedChangeDoesNotResetTheSession() {
        let first = configuration(0, peer: 1)
        let wire = Wire([first, configuration(1, peer: 0)])
        var next = first
        next.neighbors[0].description = "new words"
        next.neighbors.append(NeighborConfiguration(address: Wire.address(77), peerASN: 65000))
        wire.speakers[0].configure(next, now: wire.now)
        wire.settle()
        #expect(wire.status(0)?.established == 1)
        #expect(wire.status(0)?.state == .established)
        next.neighbors[0].holdTimeSeconds = 30
        wire.speakers[0].configure(next, now: wire.now)
        wire.settle()
        wire.pass(10)
        #expect((wire.status(0)?.established ?? 0) >= 2)
    }

    @Test func dynamicNeighborsComeAndGo() throws {
        var hub = BGPConfiguration(asn: 65000, routerID: IPv4Address(rawValue: 0x0a00_0001))
        var template = NeighborConfiguration(address: .v4(.any), peerASN: 65000)
        template.families = [FamilyConfiguration(.l2vpnEVPN)]
        template.isRouteReflectorClient = true
        template.holdTimeSeconds = 9
        hub.gracefulRestart.isEnabled = false
        let prefix = try #require(IPPrefix(Wire.address(0), length: 24))
        hub.dynamicNeighbors = [DynamicNeighborConfiguration(prefix: prefix, template: template)]
        let wire = Wire([hub, configuration(1, peer: 0), configuration(2, peer: 0)])
        #expect(wire.speakers[0].status().count == 2)
        wire.speakers[1].originate(routes(4, via: 1), now: wire.now)
        wire.settle()
        #expect(wire.known(2) == 4, "reflected from client to client")
        wire.isCut = true
        wire.breakAll()
        wire.pass(20)
        #expect(wire.speakers[0].status().isEmpty)
        #expect(wire.known(0) == 0)
    }
}
