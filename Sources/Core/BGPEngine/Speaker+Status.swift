// The speaker as operators see it.

import BGP
public import NetTypes

extension Speaker {
    /// Sorted by address.
    public func status() -> [NeighborStatus] {
        sortedNeighbors.map { neighbor in
            let session = neighbor.establishedIndex.map { neighbor.sessions[$0] }
            let negotiated = session?.negotiated
            let own = neighbor.configuration
            let families =
                negotiated?.families.sorted()
                ?? (own.families.isEmpty ? configuration.families : own.families.map(\.family))
            return NeighborStatus(
                address: neighbor.address, peerASN: negotiated?.peerASN ?? own.peerASN,
                localASN: own.localASN ?? configuration.asn, description: own.description, peerGroup: own.peerGroup,
                isDynamic: neighbor.isDynamic, isReflectorClient: own.isRouteReflectorClient, state: neighbor.state,
                since: neighbor.since, routerID: negotiated?.routerID, localAddress: session?.localAddress,
                holdTimeSeconds: negotiated?.holdTimeSeconds ?? own.holdTimeSeconds,
                keepaliveSeconds: negotiated?.keepaliveSeconds ?? own.keepaliveSeconds ?? own.holdTimeSeconds / 3,
                capabilities: negotiated?.capabilities ?? [],
                families: families.map {
                    .init(
                        family: $0, counters: rib.counters(neighbor.id, $0), hasEndOfRIB: neighbor.endOfRIB.contains($0)
                    )
                },
                lastError: neighbor.heldDown.map { "held down: \($0.reason)" } ?? neighbor.lastError,
                isAdminDown: neighbor.isShutDown, isStale: neighbor.staleUntil != nil,
                messagesIn: neighbor.messagesIn, messagesOut: neighbor.messagesOut,
                established: neighbor.establishedCount,
                faults: neighbor.faults.sorted { $0.key < $1.key }.map { (reason: $0.key, count: $0.value) })
        }
    }
    /// The number under which the RIB knows a neighbor.
    public func peerID(of address: IPAddress) -> PeerID? { byAddress[address] }
}
