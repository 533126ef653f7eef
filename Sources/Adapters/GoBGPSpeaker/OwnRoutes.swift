// Our own routes in somebody else's daemon: what is wanted, what it holds, and what to ask it next. No call is made here.

import BGP
import EVPN
import NetTypes

/// What to ask gobgpd for.
enum OwnRequest: Equatable {
    case add(RouteKey, Advertisement)
    case delete(RouteKey, Advertisement)
    var key: RouteKey {
        switch self {
        case .add(let key, _), .delete(let key, _): key
        }
    }
}

/// How a request ended.
enum OwnOutcome: Equatable {
    case done
    /// gobgpd said no; asking again would not help.
    case refused(String)
    /// No answer; to be asked again.
    case unknown
}

/// First in, first out; both ends at constant cost.
private struct FIFO<Element> {
    private var elements: [Element] = []
    private var head = 0

    var first: Element? { head < elements.count ? elements[head] : nil }
    var isEmpty: Bool { head == elements.count }
    mutating func append(_ element: Element) { elements.append(element) }
    @discardableResult mutating func popFirst() -> Element? {
        guard let element = first else { return nil }
        head += 1
        if head == elements.count {
            elements.removeAll(keepingCapacity: head < 1 << 14)
            head = 0
        } else if head >= 1024, head * 2 >= elements.count {
            elements.removeSubrange(..<head)
            head = 0
        }
        return element
    }
}

struct OwnRoutes {
    /// A route that gobgpd does not use, with the reason.
    struct Problem: Equatable {
        var key: RouteKey
        var reason: String
    }
    private struct Entry {
        var wanted: Advertisement?
        /// What gobgpd holds, as far as we know: what it was last given, or what the run before gave it.
        var held: Advertisement?
        /// The daemon has shown it as one of its own paths since the connection was made.
        var isSeen = false
        var isQueued = false
        var isInFlight = false
        /// When it was last added.
        var addedAt: Instant?
        var problem: String?
    }
    /// How long after AddPath a path that does not show up counts as refused by a policy.
    static let confirmation = Duration.seconds(2)
    /// A path that vanishes sooner than this after it was added is not added again.
    static let quietPeriod = Duration.seconds(10)
    static let rejected = "gobgpd took it and does not use it: its global import policy rejects it"
    static let removed =
        "gobgpd used it for a moment and does no longer: its global import policy rejects it now, or somebody deleted it there; it is "
        + "given again when it changes or the connection is made anew"
    static let beaten = "gobgpd took it, but another path for the same route is better there"

    private var entries: [RouteKey: Entry] = [:]
    private var queue = FIFO<RouteKey>()
    private var unconfirmed = FIFO<(at: Instant, key: RouteKey)>()
    private(set) var inFlight = 0
    private var news: [Problem] = []
    private var newsCount = 0
    private static let newsLimit = 10

    var count: Int { entries.count }
    var isIdle: Bool { inFlight == 0 && queue.isEmpty }
    func isOurs(_ key: RouteKey) -> Bool { entries[key] != nil }
    /// What is wanted; nil for a route of an earlier run that is not.
    func wanted(_ key: RouteKey) -> Advertisement? { entries[key]?.wanted }
    var problems: [Problem] {
        entries.compactMap { key, entry in entry.problem.map { Problem(key: key, reason: $0) } }
            .sorted { $0.key < $1.key }
    }
    var heldRoutes: [(key: RouteKey, payload: RoutePayload)] {
        entries.compactMap { key, entry in (entry.wanted ?? entry.held).map { (key, $0.payload) } }
    }
    var announcedCount: Int { entries.values.count { $0.wanted != nil && $0.isSeen } }

    /// A route that an earlier run left in gobgpd.
    mutating func recall(_ key: RouteKey, _ held: Advertisement) {
        guard entries[key] == nil else { return }
        entries[key] = Entry(held: held)
    }

    /// Takes changes of what is wanted. `isReady`: the snapshot is complete, requests may be made.
    mutating func want(_ changes: [AdvertisementChange], isReady: Bool) {
        for change in changes {
            var entry = entries[change.key] ?? Entry()
            guard entry.wanted != change.route else { continue }
            entry.wanted = change.route
            entry.problem = nil
            if entry.wanted == nil, entry.held == nil, !entry.isInFlight, !entry.isSeen {
                entries[change.key] = nil
                continue
            }
            entries[change.key] = entry
            if isReady { enqueue(change.key) }
        }
    }

    private mutating func enqueue(_ key: RouteKey) {
        guard var entry = entries[key], !entry.isQueued, !entry.isInFlight else { return }
        entry.isQueued = true
        entries[key] = entry
        queue.append(key)
    }
    private mutating func setProblem(_ entry: inout Entry, _ key: RouteKey, _ problem: String) {
        guard entry.problem != problem else { return }
        entry.problem = problem
        newsCount += 1
        if news.count < Self.newsLimit { news.append(Problem(key: key, reason: problem)) }
    }
    var hasNews: Bool { newsCount > 0 }
    /// The first problems since this was asked last, and how many there were.
    mutating func takeNews() -> (first: [Problem], count: Int) {
        defer { (news, newsCount) = ([], 0) }
        return (news, newsCount)
    }

    /// The next requests, while fewer than `limit` are on their way.
    mutating func next(limit: Int) -> [OwnRequest] {
        var requests: [OwnRequest] = []
        while inFlight < limit, let key = queue.popFirst() {
            guard var entry = entries[key] else { continue }
            entry.isQueued = false
            if let wanted = entry.wanted {
                requests.append(.add(key, wanted))
                // It may arrive even if the answer never does, and must then be deleted some day.
                if entry.held == nil { entry.held = wanted }
            } else if let held = entry.held {
                requests.append(.delete(key, held))
            } else {
                entries[key] = nil
                continue
            }
            entry.isInFlight = true
            inFlight += 1
            entries[key] = entry
        }
        return requests
    }

    /// Whether the route is of no more interest, so that its record can go.
    mutating func finished(_ request: OwnRequest, _ outcome: OwnOutcome, now: Instant) -> Bool {
        guard var entry = entries[request.key], entry.isInFlight else { return false }
        entry.isInFlight = false
        inFlight -= 1
        var again = outcome == .unknown
        switch (request, outcome) {
        case (.add(_, let given), .done):
            entry.held = given
            entry.addedAt = now
            if entry.problem != Self.beaten { entry.problem = nil }
            if !entry.isSeen { unconfirmed.append((now + Self.confirmation, request.key)) }
            again = entry.wanted != given
        case (.add(_, let given), .refused(let reason)):
            setProblem(&entry, request.key, reason)
            again = entry.wanted != given
        case (.delete, .done), (.delete, .refused):
            // What cannot be deleted is not there.
            entry.held = nil
            entry.isSeen = false
            if entry.wanted == nil {
                entry.problem = nil
                entries[request.key] = nil
                return true
            }
            again = true
        case (_, .unknown): break
        }
        entries[request.key] = entry
        if again { enqueue(request.key) }
        return false
    }

    // MARK: What gobgpd shows

    /// The connection is gone: nothing is known to be there, and what was on its way may or may not have arrived.
    mutating func disconnected() {
        queue = FIFO()
        unconfirmed = FIFO()
        inFlight = 0
        for (key, entry) in entries {
            var entry = entry
            entry.isSeen = false
            entry.isQueued = false
            entry.isInFlight = false
            // Another daemon may answer now, or the same one with another configuration.
            entry.problem = nil
            entries[key] = entry
        }
    }
    /// One of the daemon's own paths, which is ours.
    mutating func seen(_ key: RouteKey, _ path: Advertisement, inSnapshot: Bool) {
        guard var entry = entries[key] else { return }
        entry.isSeen = true
        if let problem = entry.problem, [Self.rejected, Self.removed, Self.beaten].contains(problem) {
            entry.problem = nil
        }
        // What the run before gave is compared with what is there; what we gave ourselves may have been changed by a policy.
        if inSnapshot, entry.held != entry.wanted || entry.held == nil { entry.held = path }
        entries[key] = entry
    }
    /// One of our paths is no longer among the best: deleted by us or by someone else, refused, or beaten.
    mutating func gone(_ key: RouteKey, isBeaten: Bool, now: Instant, isReady: Bool) {
        guard var entry = entries[key] else { return }
        let wasSeen = entry.isSeen
        entry.isSeen = false
        guard entry.wanted != nil, !entry.isInFlight else {
            entries[key] = entry
            return
        }
        if isBeaten {
            setProblem(&entry, key, Self.beaten)
            entries[key] = entry
            return
        }
        if let addedAt = entry.addedAt, now - addedAt < Self.quietPeriod {
            // A path that a policy rejects is withdrawn without ever having been shown.
            setProblem(&entry, key, wasSeen ? Self.removed : Self.rejected)
            entries[key] = entry
            return
        }
        entry.held = nil
        entries[key] = entry
        if isReady { enqueue(key) }
    }
    /// The snapshot is complete: asks for what is missing. `mayDelete`: what is wanted is known in full, so that routes of an earlier
    /// run that nobody wants may go. Returns routes of which nothing is left.
    mutating func reconcile(mayDelete: Bool) -> [RouteKey] {
        var forgotten: [RouteKey] = []
        for (key, entry) in entries.sorted(by: { $0.key < $1.key }) where !entry.isInFlight {
            if let wanted = entry.wanted {
                if !entry.isSeen || entry.held != wanted, entry.problem == nil { enqueue(key) }
            } else if mayDelete {
                if entry.isSeen {
                    enqueue(key)
                } else {
                    entries[key] = nil
                    forgotten.append(key)
                }
            }
        }
        return forgotten
    }
    /// Gives everything once more: policies have changed, and may now refuse what they took or the other way round.
    mutating func offerAgain() {
        for key in entries.keys.sorted() where entries[key]?.wanted != nil {
            if var entry = entries[key] {
                if entry.problem != Self.beaten { entry.problem = nil }
                entries[key] = entry
            }
            enqueue(key)
        }
    }
    /// Asks for every deletion: nothing of ours is to stay.
    mutating func withdrawAll() {
        for key in entries.keys.sorted() {
            entries[key]?.wanted = nil
            enqueue(key)
        }
    }

    var nextDeadline: Instant? { unconfirmed.first?.at }
    /// Finds what was added and has not shown up; `hasRemote` tells whether another path is best for a route.
    mutating func expire(now: Instant, hasRemote: (RouteKey) -> Bool) {
        while let next = unconfirmed.first, next.at <= now {
            unconfirmed.popFirst()
            let key = next.key
            guard var entry = entries[key], !entry.isSeen, entry.wanted != nil, !entry.isInFlight, !entry.isQueued,
                entry.problem == nil
            else { continue }
            setProblem(&entry, key, hasRemote(key) ? Self.beaten : Self.rejected)
            entries[key] = entry
        }
    }
}
