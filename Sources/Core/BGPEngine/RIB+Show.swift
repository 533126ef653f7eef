// The table as operators see it: pages of routes, and why a path won. Everything here reads; nothing is on the hot path.

public import BGP
public import NetTypes

/// Which routes to list.
public struct RouteQuery: Sendable {
    public enum View: Hashable, Sendable {
        /// Every path of every peer and our own.
        case all
        /// The chosen path of each route.
        case best
        /// What the peer announced (Adj-RIB-In), ineligible paths included; `.local`: our own routes.
        case received(from: PeerID)
        /// What the peer was told (Adj-RIB-Out), with the attributes it got.
        case advertised(to: PeerID)
    }
    public var view: View
    public var family: Family?
    public var kind: RouteKey.Kind?
    /// Only keys after this one: the last key of the page before.
    public var after: RouteKey?
    /// Keys on a page, at most `RouteQuery.maximumLimit`; a key's paths are never split.
    public var limit: Int
    public static let maximumLimit = 10_000
    public init(
        _ view: View = .best, family: Family? = nil, kind: RouteKey.Kind? = nil, after: RouteKey? = nil,
        limit: Int = 1000
    ) {
        self.view = view
        self.family = family
        self.kind = kind
        self.after = after
        self.limit = limit
    }
}

/// One line of a listing.
public struct RouteView: Sendable {
    public var key: RouteKey
    public var payload: RoutePayload
    public var attributes: AttributeSet
    public var peer: PeerID
    public var peerAddress: IPAddress
    /// As in `BestPath`.
    public var interface: String?
    public var pathID: UInt32
    public var isBest: Bool
    public var isStale: Bool
    public var ineligibility: Ineligibility?
    /// As in `BestPath`; only where the best paths are listed.
    public var alternatives: [ScopedAddress] = []
}

public struct RoutePage: Sendable {
    /// Sorted by key; the paths of one key with the best first.
    public var routes: [RouteView]
    /// What to pass as `after` for the next page; nil on the last one.
    public var next: RouteKey?
}

/// One path of an explained route.
public struct ExplainedPath: Sendable {
    public var route: RouteView
    /// For the best path the step that beat the last competitor; for another eligible path the step at which it lost to the
    /// path listed before it; nil for an ineligible one.
    public var step: DecisionStep?
}

extension RIB {
    /// All paths of a route, best first, each with the step at which the one before it won; ineligible ones last. Empty when the
    /// route is not known.
    public mutating func explain(_ key: RouteKey) -> [ExplainedPath] {
        process()
        guard let id = find(key) else { return [] }
        let slot = Int(id)
        var left = candidates(slot).sorted { $0.path < $1.path }
        let decision = self.decision(slot)
        var result: [ExplainedPath] = []
        var previous: Candidate?
        while let winner = decision.best(of: left) {
            let candidate = left.remove(at: winner.index)
            // The best is told what decided for it, each other one why the path before it is better.
            let step = previous.map { decision.firstDifference($0, candidate) } ?? winner.step
            result.append(ExplainedPath(route: view(candidate.path), step: step))
            previous = candidate
        }
        var path = destinations[slot].firstPath
        var ineligible: [RouteView] = []
        while path != RIB.none {
            let route = view(path)
            if route.ineligibility != nil { ineligible.append(route) }
            path = paths[Int(path)].next
        }
        ineligible.sort { ($0.peer, $0.pathID) < ($1.peer, $1.pathID) }
        return result + ineligible.map { ExplainedPath(route: $0, step: nil) }
    }

    /// One page of routes in key order.
    public mutating func routes(_ query: RouteQuery) -> RoutePage {
        process()
        let limit = min(max(1, query.limit), RouteQuery.maximumLimit)
        // The smallest `limit + 1` keys, found without sorting the whole table.
        var keys: [(key: RouteKey, id: UInt32)] = []
        var ceiling: RouteKey?
        func trim() {
            keys.sort { $0.key < $1.key }
            if keys.count > limit + 1 { keys.removeSubrange((limit + 1)...) }
            if keys.count > limit { ceiling = keys.last?.key }
        }
        for id in destinations.indices where destinations[id].flags & Destination.unused == 0 {
            guard isListed(UInt32(id), query) else { continue }
            let key = destinations[id].key
            if let after = query.after, !(after < key) { continue }
            if let ceiling, !(key < ceiling) { continue }
            keys.append((key, UInt32(id)))
            if keys.count >= 4 * limit + 64 { trim() }
        }
        trim()
        let hasMore = keys.count > limit
        if hasMore { keys.removeLast() }
        return RoutePage(routes: keys.flatMap { views($0.id, query.view) }, next: hasMore ? keys.last?.key : nil)
    }

    private func isListed(_ id: UInt32, _ query: RouteQuery) -> Bool {
        let slot = Int(id)
        let kind = destinations[slot].key.kind
        if let wanted = query.kind, wanted != kind { return false }
        if let family = query.family, FamilySlot(kind).family != family { return false }
        switch query.view {
        case .all: return destinations[slot].firstPath != RIB.none
        case .best: return destinations[slot].best != RIB.none
        case .advertised(let peer): return peerState(peer)?.output?.advertised.contains(id) ?? false
        case .received(let peer):
            var path = destinations[slot].firstPath
            while path != RIB.none {
                if paths[Int(path)].peer == peer { return true }
                path = paths[Int(path)].next
            }
            return false
        }
    }

    private func views(_ id: UInt32, _ view: RouteQuery.View) -> [RouteView] {
        let slot = Int(id)
        switch view {
        case .best:
            guard destinations[slot].best != RIB.none else { return [] }
            var best = self.view(destinations[slot].best)
            if destinations[slot].best == destinations[slot].bestRemote { best.alternatives = alternatives(slot) }
            return [best]
        case .advertised(let peer):
            // While a change is queued this shows what will be sent, not what was.
            guard destinations[slot].best != RIB.none, let output = peerState(peer)?.output else { return [] }
            var route = self.view(destinations[slot].best)
            let set = Int(paths[Int(destinations[slot].best)].attributes)
            guard route.peer != peer, set < exportClasses[output.exportClass].sets.count,
                let exported = exportClasses[output.exportClass].sets[set]
            else { return [] }
            route.attributes = exported
            return [route]
        case .all, .received:
            var result: [RouteView] = []
            var path = destinations[slot].firstPath
            while path != RIB.none {
                if case .received(let peer) = view, paths[Int(path)].peer != peer {
                } else {
                    result.append(self.view(path))
                }
                path = paths[Int(path)].next
            }
            result.sort { a, b in
                if a.isBest != b.isBest { return a.isBest }
                return (a.peer, a.pathID) < (b.peer, b.pathID)
            }
            return result
        }
    }

    private func view(_ id: UInt32) -> RouteView {
        let path = paths[Int(id)]
        let best = bestPath(path)
        return RouteView(
            key: destinations[Int(path.destination)].key, payload: best.payload, attributes: best.attributes,
            peer: path.peer, peerAddress: best.peerAddress, interface: best.interface, pathID: path.pathID,
            isBest: destinations[Int(path.destination)].best == id, isStale: path.flags & Path.stale != 0,
            ineligibility: Ineligibility(rawValue: attributes.entries[Int(path.attributes)].ineligibility))
    }
}
