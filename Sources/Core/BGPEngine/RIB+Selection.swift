// The decision process over everything that was touched, and where its results go: to the control plane and to the peers.

import BGP
import NetTypes

extension RIB {
    /// A destination whose best path changed, with what decides who is told.
    struct Selection {
        var id: UInt32
        /// Attributes of the new best path; `RIB.none` when there is none.
        var set: UInt32
        var source: PeerID
    }

    /// Runs the decision process for every destination touched since the last call. Called by everything that reads results.
    mutating func process() {
        guard !dirty.isEmpty else { return }
        var selections: [Selection] = []
        selections.reserveCapacity(outputs.isEmpty ? 0 : dirty.count)
        let touched = dirty
        dirty.removeAll(keepingCapacity: touched.count < 1 << 14)
        for id in touched {
            let slot = Int(id)
            let flags = destinations[slot].flags
            destinations[slot].flags = flags & Destination.changed
            let oldBest = destinations[slot].best
            let oldRemote = destinations[slot].bestRemote
            select(slot)
            let best = destinations[slot].best
            let remote = destinations[slot].bestRemote
            // A path as good as the best one may have come or gone.
            let hasAlternatives =
                usesMultiplePaths && remote != RIB.none && FamilySlot(destinations[slot].key.kind).isUnicast
            if remote != oldRemote || flags & Destination.remoteTouched != 0 || hasAlternatives,
                flags & Destination.changed == 0
            {
                destinations[slot].flags |= Destination.changed
                destinations[slot].pendingMarks &+= 1
                changes.append(id)
            }
            if best != oldBest || flags & Destination.bestTouched != 0, !outputs.isEmpty {
                if best == RIB.none {
                    selections.append(Selection(id: id, set: RIB.none, source: .local))
                } else {
                    let path = paths[Int(best)]
                    selections.append(Selection(id: id, set: path.attributes, source: path.peer))
                }
            }
            if best == RIB.none, selections.last?.id != id { freeIfUnused(id) }
        }
        guard !selections.isEmpty else { return }
        version &+= 1
        for peer in outputs { distribute(selections, to: peer) }
        for selection in selections where selection.set == RIB.none { freeIfUnused(selection.id) }
    }

    /// Sets `best`, `bestRemote` and `step` of one destination.
    private mutating func select(_ slot: Int) {
        let first = destinations[slot].firstPath
        guard first != RIB.none else {
            destinations[slot].best = RIB.none
            destinations[slot].bestRemote = RIB.none
            destinations[slot].step = .noEligiblePath
            return
        }
        if paths[Int(first)].next == RIB.none {
            let path = paths[Int(first)]
            let isEligible = attributes.entries[Int(path.attributes)].ineligibility == 0
            destinations[slot].best = isEligible ? first : RIB.none
            destinations[slot].bestRemote = isEligible && path.peer != .local ? first : RIB.none
            destinations[slot].step = isEligible ? .onlyPath : .noEligiblePath
            return
        }
        let candidates = self.candidates(slot)
        let decision = self.decision(slot)
        guard let winner = decision.best(of: candidates) else {
            destinations[slot].best = RIB.none
            destinations[slot].bestRemote = RIB.none
            destinations[slot].step = .noEligiblePath
            return
        }
        destinations[slot].best = candidates[winner.index].path
        destinations[slot].step = winner.step
        if candidates[winner.index].isLocal {
            let remote = candidates.filter { !$0.isLocal }
            destinations[slot].bestRemote = decision.best(of: remote).map { remote[$0.index].path } ?? RIB.none
        } else {
            destinations[slot].bestRemote = destinations[slot].best
        }
    }

    func decision(_ slot: Int) -> Decision {
        Decision(
            alwaysCompareMED: configuration.alwaysCompareMED, isMACIP: destinations[slot].key.kind == .macIP)
    }

    /// The eligible paths of one destination.
    func candidates(_ slot: Int) -> [Candidate] {
        var result: [Candidate] = []
        var id = destinations[slot].firstPath
        while id != RIB.none {
            let path = paths[Int(id)]
            if attributes.entries[Int(path.attributes)].ineligibility == 0 { result.append(candidate(id)) }
            id = path.next
        }
        return result
    }

    func candidate(_ id: UInt32) -> Candidate {
        let path = paths[Int(id)]
        let isLocal = path.peer == .local
        let address = isLocal ? nil : peers[Int(path.peer.rawValue)]?.description.address
        let kind = isLocal ? nil : peers[Int(path.peer.rawValue)]?.description.kind
        return Candidate(
            path: id, digest: attributes.entries[Int(path.attributes)].digest,
            peerAddress: address ?? .v4(configuration.routerID), pathID: path.pathID, isLocal: isLocal,
            isExternal: kind == .external, isStale: path.flags & Path.stale != 0)
    }

    // MARK: Towards the control plane

    /// Whether `takeChanges` would return anything.
    public var hasChanges: Bool {
        mutating get {
            process()
            return firstChange < changes.count
        }
    }

    /// Changes of best remote paths since they were last taken, oldest first, one per route, at most `limit`. Our own routes
    /// never appear. A route that came and went in between appears as gone.
    public mutating func takeChanges(limit: Int = 8192) -> [BestPathChange] {
        process()
        let end = min(changes.count, firstChange + max(0, limit))
        var result: [BestPathChange] = []
        result.reserveCapacity(end - firstChange)
        for position in firstChange..<end {
            let id = changes[position]
            let slot = Int(id)
            destinations[slot].flags &= ~Destination.changed
            let remote = destinations[slot].bestRemote
            var path = remote == RIB.none ? nil : bestPath(paths[Int(remote)])
            path?.alternatives = alternatives(slot)
            result.append(BestPathChange(key: destinations[slot].key, path: path))
            unmark(id)
        }
        firstChange = end
        if firstChange == changes.count {
            changes.removeAll(keepingCapacity: changes.count < 1 << 14)
            firstChange = 0
        }
        return result
    }

    func bestPath(_ path: Path) -> BestPath {
        let source = path.peer == .local ? nil : peers[Int(path.peer.rawValue)]?.description
        return BestPath(
            payload: payload(path), attributes: attributes.entries[Int(path.attributes)].set, peer: path.peer,
            peerAddress: source?.address ?? .v4(configuration.routerID), interface: source?.interface)
    }
}
