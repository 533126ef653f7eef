// The speaker as operators see it.

import BGP
import NetTypes

extension Speaker {
    /// Sorted by name.
    public func status() -> [NeighborStatus] {
        sortedNeighbors.map { neighbor in
            let session = neighbor.establishedIndex.map { neighbor.sessions[$0] }
            let negotiated = session?.negotiated
            let own = neighbor.configuration
            let families =
                negotiated?.families.sorted()
                ?? (own.families.isEmpty ? configuration.families : own.families.map(\.family))
            var status = NeighborStatus(
                address: neighbor.address, peerASN: negotiated?.peerASN ?? own.peerASN,
                localASN: own.localASN ?? configuration.asn, state: neighbor.state, since: neighbor.since)
            status.interface = own.interface
            status.description = own.description
            status.peerGroup = own.peerGroup
            status.isDynamic = neighbor.isDynamic
            status.isReflectorClient = own.isRouteReflectorClient
            status.routerID = negotiated?.routerID
            status.localAddress = session?.localAddress
            status.holdTimeSeconds = negotiated?.holdTimeSeconds ?? own.holdTimeSeconds
            status.keepaliveSeconds =
                negotiated?.keepaliveSeconds ?? own.keepaliveSeconds ?? own.holdTimeSeconds / 3
            status.capabilities = negotiated?.capabilities ?? []
            status.families = families.map {
                .init(family: $0, counters: rib.counters(neighbor.id, $0), hasEndOfRIB: neighbor.endOfRIB.contains($0))
            }
            status.lastError =
                neighbor.heldDown.map { "held down: \($0.reason)" }
                ?? own.interface.flatMap { discovery.obstacle(on: $0) } ?? neighbor.lastError
            status.isAdminDown = neighbor.isShutDown
            status.isStale = neighbor.staleUntil != nil
            status.messagesIn = neighbor.messagesIn
            status.messagesOut = neighbor.messagesOut
            status.established = neighbor.establishedCount
            status.faults = neighbor.faults.sorted { $0.key < $1.key }.map { (reason: $0.key, count: $0.value) }
            return status
        }
    }
    /// The number under which the RIB knows a neighbor.
    public func peerID(of name: NeighborName) -> PeerID? { byName[name] }
}
