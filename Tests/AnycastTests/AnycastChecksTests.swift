// The checks as transcripts: what is sent when, and what it takes to change one's mind.

import Anycast
import NetTypes
import Testing

@Suite struct AnycastChecksTests {
    private let a = AnycastName("198.51.100.1_10.255.0.1")!
    private let b = AnycastName("198.51.100.1_10.255.0.2")!
    private func at(_ milliseconds: Int) -> Instant { .zero + .milliseconds(milliseconds) }
    private func target(_ octet: UInt32, _ probe: Probe = Probe(.icmp)) -> AnycastChecks.Target {
        AnycastChecks.Target(
            to: .v4(IPv4Address(rawValue: 0x0aff_0000 | octet)), from: .v4(IPv4Address(rawValue: 0x0aff_00fe)),
            probe: probe)
    }

    @Test func namesAreThoseOfTheStatusFile() throws {
        #expect(a.description == "198.51.100.1_10.255.0.1")
        #expect(AnycastName("2001:db8::1_fd00::2")?.description == "2001:db8::1_fd00::2")
        for text in ["", "_", "198.51.100.1", "198.51.100.1_", "198.51.100.1_x", "1.2.3.4_1.2.3.5_6", "1.2.3.4_::1"] {
            #expect(AnycastName(text) == nil, "\(text)")
        }
    }

    @Test func firstAnswerDecides() {
        var checks = AnycastChecks()
        #expect(checks.handle(.configured([a: target(1)]), now: at(0)) == [])
        #expect(checks.nextDeadline == at(0))
        #expect(checks.handle(.deadlineReached, now: at(0)) == [.send(1, a, target(1))])
        #expect(checks.up == [])
        #expect(checks.handle(.answered(1, fault: nil), now: at(5)) == [.changed(a, isUp: true, reason: "answered")])
        #expect(checks.up == [a])
        #expect(checks.nextDeadline == at(2000))
        // Nobody waits for a second answer.
        #expect(checks.handle(.answered(1, fault: "late"), now: at(6)) == [])
        #expect(checks.up == [a])
    }

    /// A restart is no reason to take anybody off: it takes as many failures as ever.
    @Test func remembersWhatWasUp() {
        var checks = AnycastChecks(up: [a])
        #expect(checks.up == [a])
        // Nothing to probe is known yet.
        #expect(checks.handle(.configured([:]), now: at(0)) == [])
        #expect(checks.up == [a])
        #expect(checks.handle(.configured([a: target(1), b: target(2)]), now: at(0)) == [])
        #expect(checks.up == [a])
        var sent: UInt64 = 0
        for round in 1...3 {
            let effects = (0..<2).flatMap { checks.handle(.deadlineReached, now: at(2000 * (round - 1) + 500 * $0)) }
            for case .send(let number, let name, _) in effects {
                sent += 1
                let after = checks.handle(.answered(number, fault: "refused"), now: at(2000 * round - 1400))
                let isOver = round == (name == a ? 3 : 1)
                #expect(after == (isOver ? [.changed(name, isUp: false, reason: "refused")] : []))
            }
        }
        #expect(sent == 6)
        #expect(checks.up == [])
        // Later it is as new as anybody.
        _ = checks.handle(.configured([b: target(2)]), now: at(9000))
        _ = checks.handle(.configured([a: target(1), b: target(2)]), now: at(9000))
        #expect(checks.up == [])
    }

    @Test func threeFailuresTakeDownAndTwoAnswersBringUp() {
        var checks = AnycastChecks()
        _ = checks.handle(.configured([a: target(1)]), now: at(0))
        _ = checks.handle(.deadlineReached, now: at(0))
        _ = checks.handle(.answered(1, fault: nil), now: at(1))
        // One good answer between failures starts the count again.
        var now = 2000
        var number: UInt64 = 2
        func round(_ fault: String?) -> [AnycastChecks.Effect] {
            #expect(checks.handle(.deadlineReached, now: at(now)) == [.send(number, a, target(1))])
            defer {
                now += 2000
                number += 1
            }
            return checks.handle(.answered(number, fault: fault), now: at(now + 10))
        }
        #expect(round("refused") == [])
        #expect(round("refused") == [])
        #expect(round(nil) == [])
        #expect(round("refused") == [])
        #expect(round("refused") == [])
        #expect(checks.rows.map(\.opposing) == [2])
        #expect(round("refused") == [.changed(a, isUp: false, reason: "refused")])
        #expect(checks.up == [])
        #expect(round(nil) == [])
        #expect(round(nil) == [.changed(a, isUp: true, reason: "answered")])
        #expect(checks.rows.map(\.failed) == [5])
        #expect(checks.rows.map(\.sent) == [9])
    }

    @Test func silenceIsAFailure() {
        var checks = AnycastChecks()
        _ = checks.handle(.configured([a: target(1)]), now: at(0))
        _ = checks.handle(.deadlineReached, now: at(0))
        #expect(checks.nextDeadline == at(1000))
        #expect(
            checks.handle(.deadlineReached, now: at(1000)) == [
                .abandon(1), .changed(a, isUp: false, reason: "no answer within 1 s"),
            ])
        #expect(checks.nextDeadline == at(2000))
    }
    /// A timeout as long as the interval ends one probe and begins the next.
    @Test func longTimeout() {
        var checks = AnycastChecks()
        let probe = Probe(.tcp(port: 80), intervalSeconds: 1, timeoutSeconds: 1)
        _ = checks.handle(.configured([a: target(1, probe)]), now: at(0))
        _ = checks.handle(.deadlineReached, now: at(0))
        let effects = checks.handle(.deadlineReached, now: at(1000))
        #expect(effects.count == 3)
        #expect(effects.last == .send(2, a, target(1, probe)))
    }

    @Test func startsAreSpread() {
        var checks = AnycastChecks()
        _ = checks.handle(.configured([a: target(1), b: target(2)]), now: at(0))
        #expect(checks.handle(.deadlineReached, now: at(0)) == [.send(1, a, target(1))])
        #expect(checks.nextDeadline == at(500))
        #expect(checks.handle(.deadlineReached, now: at(500)) == [.send(2, b, target(2))])
    }

    @Test func changedProbesKeepTheState() {
        var checks = AnycastChecks()
        _ = checks.handle(.configured([a: target(1), b: target(2)]), now: at(0))
        _ = checks.handle(.deadlineReached, now: at(600))
        _ = checks.handle(.answered(1, fault: nil), now: at(601))
        let other = target(1, Probe(.http(port: 80, path: "/")))
        #expect(checks.handle(.configured([a: other]), now: at(700)) == [.abandon(2)])
        #expect(checks.up == [a])
        #expect(checks.rows.map(\.name) == [a])
        #expect(checks.handle(.deadlineReached, now: at(700)) == [.send(3, a, other)])
        #expect(checks.handle(.configured([:]), now: at(701)) == [.abandon(3)])
        #expect(checks.up == [])
        #expect(checks.nextDeadline == nil)
        // What comes of those that were given up means nothing.
        #expect(checks.handle(.answered(3, fault: nil), now: at(702)) == [])
    }
}
