// What is asked of gobgpd, without gobgpd.

import BGP
import EVPN
import NetTypes
import Testing

@testable import GoBGPSpeaker

@Suite struct OwnRoutesTests {
    static func key(_ number: UInt32) -> RouteKey {
        RouteKey(unicast: IPPrefix(.v4(IPv4Address(rawValue: 0x0a00_0000 + number)), length: 32)!)
    }
    static func route(_ preference: UInt32) -> Advertisement {
        var attributes = PathAttributes()
        attributes.localPreference = preference
        return Advertisement(payload: RoutePayload(), attributes: AttributeSet(attributes))
    }
    let now = Instant(nanoseconds: 1_000_000_000_000)

    private func announced(_ numbers: ClosedRange<UInt32>) -> OwnRoutes {
        var own = OwnRoutes()
        own.want(numbers.map { AdvertisementChange(key: Self.key($0), route: Self.route(1)) }, isReady: true)
        for request in own.next(limit: .max) {
            own.seen(request.key, Self.route(1), inSnapshot: false)
            _ = own.finished(request, .done, now: now)
        }
        return own
    }

    @Test func nothingIsAskedBeforeTheSnapshot() {
        var own = OwnRoutes()
        own.want([AdvertisementChange(key: Self.key(1), route: Self.route(1))], isReady: false)
        #expect(own.next(limit: 8).isEmpty)
        _ = own.reconcile(mayDelete: false)
        #expect(own.next(limit: 8) == [.add(Self.key(1), Self.route(1))])
        #expect(own.next(limit: 8).isEmpty)
    }

    @Test func noMoreThanTheWindowIsOnItsWay() {
        var own = OwnRoutes()
        own.want((1...10).map { AdvertisementChange(key: Self.key($0), route: Self.route(1)) }, isReady: true)
        let first = own.next(limit: 4)
        #expect(first.count == 4)
        #expect(own.next(limit: 4).isEmpty)
        _ = own.finished(first[0], .done, now: now)
        #expect(own.next(limit: 4).count == 1)
    }

    @Test func aChangeDuringACallIsSentAfterIt() {
        var own = OwnRoutes()
        own.want([AdvertisementChange(key: Self.key(1), route: Self.route(1))], isReady: true)
        let first = own.next(limit: 4)
        own.want([AdvertisementChange(key: Self.key(1), route: Self.route(2))], isReady: true)
        #expect(own.next(limit: 4).isEmpty)
        _ = own.finished(first[0], .done, now: now)
        #expect(own.next(limit: 4) == [.add(Self.key(1), Self.route(2))])
    }

    @Test func aWithdrawalDuringACallFollowsIt() {
        var own = OwnRoutes()
        own.want([AdvertisementChange(key: Self.key(1), route: Self.route(1))], isReady: true)
        let first = own.next(limit: 4)
        own.want([AdvertisementChange(key: Self.key(1), route: nil)], isReady: true)
        _ = own.finished(first[0], .done, now: now)
        let second = own.next(limit: 4)
        #expect(second == [.delete(Self.key(1), Self.route(1))])
        let isForgotten = own.finished(second[0], .done, now: now)
        #expect(isForgotten)
        #expect(own.count == 0)
    }

    @Test func afterALossOnlyWhatIsMissingIsAddedAgain() {
        var own = announced(1...3)
        own.disconnected()
        own.want([AdvertisementChange(key: Self.key(9), route: Self.route(1))], isReady: false)
        own.seen(Self.key(1), Self.route(1), inSnapshot: true)
        // A policy has changed what we gave: that is not missing.
        own.seen(Self.key(2), Self.route(7), inSnapshot: true)
        _ = own.reconcile(mayDelete: true)
        #expect(own.next(limit: 8) == [.add(Self.key(3), Self.route(1)), .add(Self.key(9), Self.route(1))])
    }

    @Test func routesOfAnEarlierRunAreAdoptedChangedOrDeleted() {
        var own = OwnRoutes()
        for number in UInt32(1)...4 { own.recall(Self.key(number), Self.route(0)) }
        own.want(
            [
                AdvertisementChange(key: Self.key(1), route: Self.route(1)),
                AdvertisementChange(key: Self.key(2), route: Self.route(2)),
            ], isReady: false)
        own.seen(Self.key(1), Self.route(1), inSnapshot: true)
        own.seen(Self.key(2), Self.route(1), inSnapshot: true)
        own.seen(Self.key(3), Self.route(1), inSnapshot: true)
        // Not everything is wanted yet that will be: nothing goes.
        #expect(own.reconcile(mayDelete: false).isEmpty)
        #expect(own.next(limit: 8) == [.add(Self.key(2), Self.route(2))])
        // 4 is not there any more, and is forgotten; 3 is, and goes.
        #expect(own.reconcile(mayDelete: true) == [Self.key(4)])
        #expect(own.next(limit: 8) == [.delete(Self.key(3), Self.route(1))])
    }

    @Test func whatAPolicyRejectsIsToldAndNotAddedForEver() {
        var own = OwnRoutes()
        own.want([AdvertisementChange(key: Self.key(1), route: Self.route(1))], isReady: true)
        let request = own.next(limit: 1)[0]
        _ = own.finished(request, .done, now: now)
        // gobgpd turns a rejected path into a withdrawal.
        own.gone(Self.key(1), isBeaten: false, now: now + .milliseconds(5), isReady: true)
        #expect(own.next(limit: 1).isEmpty)
        #expect(own.problems == [.init(key: Self.key(1), reason: OwnRoutes.rejected)])
        // A change is a new attempt.
        own.want([AdvertisementChange(key: Self.key(1), route: Self.route(2))], isReady: true)
        #expect(own.problems.isEmpty)
        #expect(own.next(limit: 1).count == 1)
    }

    @Test func silenceAfterAnAdditionIsARejectionToo() {
        var own = OwnRoutes()
        own.want((1...2).map { AdvertisementChange(key: Self.key($0), route: Self.route(1)) }, isReady: true)
        for request in own.next(limit: 2) { _ = own.finished(request, .done, now: now) }
        #expect(own.nextDeadline == now + .seconds(2))
        own.expire(now: now + .seconds(1)) { _ in false }
        #expect(own.problems.isEmpty)
        own.expire(now: now + .seconds(2)) { $0 == Self.key(2) }
        #expect(own.problems.map(\.reason) == [OwnRoutes.rejected, OwnRoutes.beaten])
        #expect(own.nextDeadline == nil)
        // Late is better than never.
        own.seen(Self.key(1), Self.route(1), inSnapshot: false)
        #expect(own.problems.map(\.key) == [Self.key(2)])
    }

    @Test func whatSomebodyDeletesComesBackOnce() {
        var own = announced(1...1)
        own.gone(Self.key(1), isBeaten: false, now: now + .seconds(60), isReady: true)
        let again = own.next(limit: 1)
        #expect(again == [.add(Self.key(1), Self.route(1))])
        _ = own.finished(again[0], .done, now: now + .seconds(60))
        own.gone(Self.key(1), isBeaten: false, now: now + .seconds(61), isReady: true)
        #expect(own.next(limit: 1).isEmpty)
        #expect(own.problems.count == 1)
    }

    @Test func whatWasUsedAndVanishesSoonMayHaveBeenDeleted() {
        var own = announced(1...1)
        own.gone(Self.key(1), isBeaten: false, now: now + .seconds(5), isReady: true)
        #expect(own.next(limit: 1).isEmpty)
        #expect(own.problems == [.init(key: Self.key(1), reason: OwnRoutes.removed)])
        own.seen(Self.key(1), Self.route(1), inSnapshot: false)
        #expect(own.problems.isEmpty)
    }

    /// The line is longer than what is kept of it at once.
    @Test func manyRoutesAreAskedForInTheirOrder() {
        var own = OwnRoutes()
        own.want((1...5000).map { AdvertisementChange(key: Self.key($0), route: Self.route(1)) }, isReady: true)
        var asked: [RouteKey] = []
        while asked.count < 5000 {
            let requests = own.next(limit: 7)
            guard !requests.isEmpty else { break }
            for request in requests { _ = own.finished(request, .done, now: now + .milliseconds(asked.count)) }
            asked += requests.map(\.key)
        }
        #expect(asked == (1...5000).map { Self.key($0) })
        own.expire(now: now + .seconds(3)) { _ in false }
        #expect(own.problems.count(where: { $0.reason == OwnRoutes.rejected }) > 0)
        own.expire(now: now + .seconds(8)) { _ in false }
        #expect(own.problems.count == 5000)
        #expect(own.nextDeadline == nil)
    }

    @Test func aRefusalIsKeptAndATimeoutRepeated() {
        var own = OwnRoutes()
        own.want([AdvertisementChange(key: Self.key(1), route: Self.route(1))], isReady: true)
        let first = own.next(limit: 1)[0]
        _ = own.finished(first, .unknown, now: now)
        let second = own.next(limit: 1)
        #expect(second == [first])
        _ = own.finished(second[0], .refused("no"), now: now)
        #expect(own.next(limit: 1).isEmpty)
        #expect(own.problems == [.init(key: Self.key(1), reason: "no")])
    }

    /// The one that comes back may think otherwise: BGP was stopped in it, or it is another version.
    @Test func aRefusalEndsWithTheConnection() {
        var own = OwnRoutes()
        own.want([AdvertisementChange(key: Self.key(1), route: Self.route(1))], isReady: true)
        let first = own.next(limit: 1)
        _ = own.finished(first[0], .refused("no"), now: now)
        own.disconnected()
        #expect(own.problems.isEmpty)
        _ = own.reconcile(mayDelete: false)
        let second = own.next(limit: 1)
        #expect(second == first)
        _ = own.finished(second[0], .refused("no"), now: now)
        own.offerAgain()
        let third = own.next(limit: 1)
        _ = own.finished(third[0], .done, now: now)
        #expect(own.problems.isEmpty)
    }

    @Test func whatMayHaveArrivedIsDeleted() {
        var own = OwnRoutes()
        own.want([AdvertisementChange(key: Self.key(1), route: Self.route(1))], isReady: true)
        #expect(own.next(limit: 1).count == 1)
        own.disconnected()
        own.want([AdvertisementChange(key: Self.key(1), route: nil)], isReady: false)
        #expect(own.isOurs(Self.key(1)))
        own.seen(Self.key(1), Self.route(1), inSnapshot: true)
        _ = own.reconcile(mayDelete: true)
        let found = own.next(limit: 1)
        #expect(found == [.delete(Self.key(1), Self.route(1))])
    }

    @Test func manyProblemsAreCountedAndFewAreNamed() {
        var own = OwnRoutes()
        own.want((1...100).map { AdvertisementChange(key: Self.key($0), route: Self.route(1)) }, isReady: true)
        for request in own.next(limit: .max) { _ = own.finished(request, .refused("no"), now: now) }
        let news = own.takeNews()
        #expect(news.first.count == 10)
        #expect(news.count == 100)
        #expect(!own.hasNews)
        #expect(own.problems.count == 100)
    }

    @Test func nothingStaysAfterWithdrawAll() {
        var own = announced(1...3)
        own.withdrawAll()
        for request in own.next(limit: 8) {
            #expect(request == .delete(request.key, Self.route(1)))
            let isForgotten = own.finished(request, .done, now: now)
            #expect(isForgotten)
        }
        #expect(own.count == 0)
        #expect(own.isIdle)
    }
}
