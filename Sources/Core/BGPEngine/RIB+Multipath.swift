// Several paths of one unicast route at once (ECMP): which of them are as good as the best one.

import BGP
import NetTypes

extension RIB {
    /// Whether changes of unicast routes tell the next hops of paths as good as the best one. When that changes, all unicast routes
    /// are told again.
    public mutating func setMultiplePaths(_ isWanted: Bool) {
        guard isWanted != usesMultiplePaths else { return }
        usesMultiplePaths = isWanted
        for id in destinations.indices
        where destinations[id].flags & Destination.unused == 0 && FamilySlot(destinations[id].key.kind).isUnicast
            && destinations[id].bestRemote != RIB.none
        {
            destinations[id].flags |= Destination.remoteTouched
            touch(UInt32(id))
        }
    }

    /// Next hops beside that of the best path of others, sorted; the preference, the AS path's length, the origin, the MED and the kind
    /// of neighbor are equal.
    func alternatives(_ slot: Int) -> [ScopedAddress] {
        guard usesMultiplePaths, FamilySlot(destinations[slot].key.kind).isUnicast,
            destinations[slot].bestRemote != RIB.none
        else { return [] }
        let best = candidate(destinations[slot].bestRemote)
        let decision = self.decision(slot)
        let steps: [DecisionStep] = [
            .localPreference, .asPathLength, .origin, .multiExitDiscriminator, .externalOverInternal, .freshOverStale,
        ]
        let first = nexthop(best)
        var nexthops: Set<ScopedAddress> = []
        for other in candidates(slot) where !other.isLocal && other.path != best.path {
            guard steps.allSatisfy({ decision.compare(best, other, at: $0) == 0 }), let nexthop = nexthop(other),
                nexthop != first
            else { continue }
            nexthops.insert(nexthop)
        }
        return nexthops.sorted()
    }
    /// Neighbors on different links may well have the same link-local address.
    private func nexthop(_ candidate: Candidate) -> ScopedAddress? {
        candidate.digest.nextHop.map {
            ScopedAddress($0, on: peers[Int(paths[Int(candidate.path)].peer.rawValue)]?.description.interface)
        }
    }
}
