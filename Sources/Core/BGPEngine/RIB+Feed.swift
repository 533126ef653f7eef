// The table behind a speaker that is not ours: another daemon decides and tells only the best path of each route. The RIB then
// keeps, shows and compares what it is told, and nothing is sent.

public import BGP

extension RIB {
    /// Sets the only path of `key` that is not our own; nil: none is left. `peer` must have been added.
    ///
    /// Returns false when the table is full.
    @discardableResult public mutating func replaceRemote(
        _ key: RouteKey, _ route: (payload: RoutePayload, attributes: PathAttributes)?, from peer: PeerID
    ) -> Bool {
        guard peer != .local, peerState(peer) != nil else { return true }
        if let id = find(key) {
            var path = destinations[Int(id)].firstPath
            while path != RIB.none {
                let next = paths[Int(path)].next
                if paths[Int(path)].peer != .local, route == nil || paths[Int(path)].peer != peer { unlink(path) }
                path = next
            }
        }
        guard let route else { return true }
        let set = intern(route.attributes, from: Int(peer.rawValue), family: FamilySlot(key.kind))
        return put(key, route.payload, set, peer: peer, pathID: 0)
    }

    /// Marks every path of others as stale: kept until `sweepRemote`, unless told again.
    public mutating func markRemoteStale() {
        for id in paths.indices
        where paths[id].flags & (Path.unused | Path.stale) == 0 && paths[id].peer != .local {
            paths[id].flags |= Path.stale
            let slot = attributes.entries[Int(paths[id].attributes)].family.index
            peers[Int(paths[id].peer.rawValue)]?.counters[slot].stale += 1
            touch(paths[id].destination)
        }
    }
    /// Removes the stale paths of others; returns how many.
    @discardableResult public mutating func sweepRemote() -> Int {
        var removed = 0
        for id in paths.indices where paths[id].flags & (Path.unused | Path.stale) == Path.stale {
            unlink(UInt32(id))
            removed += 1
        }
        return removed
    }
    /// Stale paths of others.
    public var staleCount: Int {
        peers.reduce(0) { $0 + ($1?.counters.reduce(0) { $0 + $1.stale } ?? 0) }
    }
}
