// The machine that finds the neighbor of an unnumbered link, on virtual time, and the octets it sends.

import NetTypes
import Testing

@testable import BGPEngine

@Suite struct RouterDiscoveryTests {
    static let mac = MACAddress(rawValue: 0x0200_0000_0001)
    static let peerMAC = MACAddress(rawValue: 0x0200_0000_0002)
    static func linkLocal(_ number: UInt64) -> IPv6Address { IPv6Address(high: 0xfe80_0000_0000_0000, low: number) }
    static func facts(_ number: UInt64 = 1, isUp: Bool = true) -> InterfaceFacts {
        InterfaceFacts(index: 7, isUp: isUp, linkLayerAddress: mac, linkLocal: [linkLocal(number)])
    }
    static func advertisement(_ mac: MACAddress? = peerMAC) -> RouterMessage {
        RouterMessage(.advertisement, linkLayerAddress: mac)
    }
    let start = Instant(nanoseconds: 1_000_000_000)

    private func machine() -> RouterDiscovery {
        var machine = RouterDiscovery(seed: 1)
        machine.watch(["eth0"])
        machine.change("eth0", RouterDiscoveryTests.facts(), now: start)
        return machine
    }
    /// What is sent in `seconds`, as (milliseconds since `start`, kind).
    private func run(_ machine: inout RouterDiscovery, from: Instant, seconds: Int) -> [(at: Int, RouterMessage.Kind)] {
        var result: [(at: Int, RouterMessage.Kind)] = []
        let end = from + .seconds(seconds)
        while let next = machine.nextDeadline, next < end {
            for transmission in machine.handleDeadlines(now: next) {
                #expect(transmission.index == 7 && transmission.source == RouterDiscoveryTests.linkLocal(1))
                result.append((Int((next - start).inSeconds * 1000), transmission.message.kind))
            }
        }
        return result
    }

    @Test func advertisesQuicklyAtFirstThenEveryTenSeconds() {
        var machine = machine()
        let times = run(&machine, from: start, seconds: 60).filter { $0.1 == .advertisement }.map(\.at)
        #expect(times.prefix(4) == [0, 1000, 2000, 3000])
        let gaps = zip(times.dropFirst(4), times.dropFirst(3)).map { $0 - $1 }
        #expect(gaps.count >= 5 && gaps.allSatisfy { (7500...10_000).contains($0) })
        #expect(Set(gaps).count > 1, "the interval is jittered")
    }

    @Test func solicitsUntilSomebodyIsHeard() {
        var machine = machine()
        let times = run(&machine, from: start, seconds: 9).filter { $0.1 == .solicitation }.map(\.at)
        #expect(times == [0, 4000, 8000])
        let found = machine.receive(
            RouterDiscoveryTests.advertisement(), from: RouterDiscoveryTests.linkLocal(2), on: "eth0", isInUse: false,
            now: start + .seconds(9))
        #expect(found && machine.neighbor(on: "eth0") == RouterDiscoveryTests.linkLocal(2))
        let later = run(&machine, from: start + .seconds(9), seconds: 30)
        #expect(!later.contains { $0.1 == .solicitation })
    }

    @Test func answersSolicitationsAndGreetsNewcomers() {
        var machine = machine()
        _ = run(&machine, from: start, seconds: 20)
        let now = start + .seconds(20)
        let solicitation = RouterMessage(.solicitation, linkLayerAddress: nil)
        let isFound = machine.receive(solicitation, from: .any, on: "eth0", isInUse: false, now: now)
        #expect(!isFound)
        #expect(run(&machine, from: now, seconds: 2).contains { $0.1 == .advertisement && $0.at <= 21_000 })
        // Not faster than once a second, however many ask.
        var sent = 0
        for step in 1...40 {
            let instant = now + .milliseconds(100 * step)
            _ = machine.receive(solicitation, from: .any, on: "eth0", isInUse: false, now: instant)
            sent += machine.handleDeadlines(now: instant).count { $0.message.kind == .advertisement }
        }
        #expect((3...5).contains(sent))
    }

    @Test func keepsTheFirstOfSeveral() {
        var machine = machine()
        let other = MACAddress(rawValue: 0x0200_0000_0003)
        func hear(_ number: UInt64, _ mac: MACAddress?, _ seconds: Int, isInUse: Bool) -> Bool {
            machine.receive(
                RouterDiscoveryTests.advertisement(mac), from: RouterDiscoveryTests.linkLocal(number), on: "eth0",
                isInUse: isInUse, now: start + .seconds(seconds))
        }
        #expect(hear(2, RouterDiscoveryTests.peerMAC, 0, isInUse: false))
        #expect(!hear(3, other, 1, isInUse: false))
        #expect(machine.problems(now: start + .seconds(1)).first?.contains("several routers") == true)
        #expect(!hear(2, RouterDiscoveryTests.peerMAC, 5, isInUse: true))
        // Silent for long, but the session stands: it stays.
        #expect(!hear(3, other, 100, isInUse: true))
        #expect(machine.neighbor(on: "eth0") == RouterDiscoveryTests.linkLocal(2))
        #expect(hear(3, other, 101, isInUse: false))
        #expect(machine.problems(now: start + .seconds(101)).isEmpty, "the old one is forgotten")
    }

    @Test func followsANeighborThatChangesItsAddress() {
        var machine = machine()
        func hear(_ number: UInt64, _ seconds: Int, isInUse: Bool) -> Bool {
            machine.receive(
                RouterDiscoveryTests.advertisement(), from: RouterDiscoveryTests.linkLocal(number), on: "eth0",
                isInUse: isInUse, now: start + .seconds(seconds))
        }
        #expect(hear(2, 0, isInUse: false))
        #expect(hear(3, 1, isInUse: false), "nothing to lose: at once")
        #expect(!hear(4, 2, isInUse: true))
        #expect(machine.problems(now: start + .seconds(2)).isEmpty, "it is the same station")
        #expect(!hear(3, 3, isInUse: true), "the address in use lives")
        // Somebody else may say that it is the neighbor, as often as it likes.
        for second in 4...38 { #expect(!hear(4, second, isInUse: true), "\(second)") }
        #expect(hear(4, 39, isInUse: true), "nothing came from the old one for 35 seconds")
        #expect(machine.neighbor(on: "eth0") == RouterDiscoveryTests.linkLocal(4))
    }

    @Test func forgetsWhenTheLinkIsLost() {
        var machine = machine()
        _ = machine.receive(
            RouterDiscoveryTests.advertisement(), from: RouterDiscoveryTests.linkLocal(2), on: "eth0", isInUse: false,
            now: start)
        machine.change("eth0", RouterDiscoveryTests.facts(isUp: false), now: start)
        #expect(machine.neighbor(on: "eth0") == nil && machine.nextDeadline == nil)
        #expect(machine.obstacle(on: "eth0") == "eth0 is down or has no carrier")
        machine.change("eth0", nil, now: start)
        #expect(machine.obstacle(on: "eth0") == "there is no interface eth0")
        machine.change("eth0", InterfaceFacts(index: 8, isUp: true), now: start)
        #expect(machine.obstacle(on: "eth0")?.contains("no link-local address") == true)
        machine.change("eth0", RouterDiscoveryTests.facts(), now: start)
        #expect(machine.obstacle(on: "eth0")?.contains("no router advertisement heard on eth0 yet") == true)
        #expect(machine.handleDeadlines(now: start).map(\.message.kind) == [.advertisement, .solicitation])
    }

    @Test func ignoresItselfStrangersAndUnknownLinks() {
        var machine = machine()
        func hear(_ source: IPv6Address, _ name: String = "eth0") -> Bool {
            machine.receive(
                RouterDiscoveryTests.advertisement(), from: source, on: name, isInUse: false, now: start)
        }
        #expect(!hear(RouterDiscoveryTests.linkLocal(1)))
        #expect(!hear(IPv6Address(high: 0x2001_0db8_0000_0000, low: 1)))
        #expect(!hear(RouterDiscoveryTests.linkLocal(2), "eth1"))
        #expect(machine.neighbor(on: "eth0") == nil)
    }

    @Test func remembersOnlySoMany() {
        var machine = machine()
        for number in 2...5000 {
            _ = machine.receive(
                RouterDiscoveryTests.advertisement(MACAddress(rawValue: UInt64(number))),
                from: RouterDiscoveryTests.linkLocal(UInt64(number)), on: "eth0", isInUse: false, now: start)
        }
        #expect(machine.links["eth0"]?.heard.count == RouterDiscovery.maximumHeard)
        #expect(
            machine.neighbor(on: "eth0") == RouterDiscoveryTests.linkLocal(2), "a flood does not push out the first")
    }

    // MARK: Octets

    private func decode(_ bytes: [UInt8]) -> RouterMessage? {
        bytes.withByteReader { reader -> RouterMessage? in
            do throws(ByteError) { return try RouterMessage(decoding: &reader) } catch { return nil }
        }
    }

    @Test func anAdvertisementOffersNothingButItself() {
        let bytes = RouterDiscoveryTests.advertisement(RouterDiscoveryTests.mac).encoded()
        #expect(bytes == [134] + Array(repeating: 0, count: 15) + [1, 1, 2, 0, 0, 0, 0, 1])
        #expect(decode(bytes) == RouterDiscoveryTests.advertisement(RouterDiscoveryTests.mac))
        let solicitation = RouterMessage(.solicitation, linkLayerAddress: nil)
        #expect(solicitation.encoded() == [133, 0, 0, 0, 0, 0, 0, 0])
        #expect(decode(solicitation.encoded()) == solicitation)
    }

    @Test func badOctetsAreRefused() {
        let head: [UInt8] = [134] + Array(repeating: 0, count: 15)
        #expect(decode(head)?.linkLayerAddress == nil)
        #expect(decode([]) == nil)
        #expect(decode([135] + head.dropFirst()) == nil, "another type")
        #expect(decode([134, 1] + head.dropFirst(2)) == nil, "a code")
        #expect(decode(Array(head.dropLast())) == nil, "too short")
        #expect(decode(head + [1, 0, 0, 0, 0, 0, 0, 0]) == nil, "an option of length 0 would never end")
        #expect(decode(head + [1, 2, 0, 0, 0, 0, 0, 0]) == nil, "an option longer than the message")
        #expect(decode(head + [3]) == nil, "half an option")
        let prefix: [UInt8] = [3, 4] + Array(repeating: 0, count: 30)
        #expect(decode(head + prefix + [1, 1, 2, 0, 0, 0, 0, 1])?.linkLayerAddress == RouterDiscoveryTests.mac)
    }
}
