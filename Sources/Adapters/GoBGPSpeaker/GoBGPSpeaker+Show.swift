// What `evpnctl` and the metrics are told of gobgpd.

public import BGP
public import BGPEngine
import GoBGPAPI
import NetTypes
import Telemetry

extension GoBGPSpeaker {
    public func neighbors() -> [NeighborStatus] { neighborCache }
    public func peerID(of neighbor: NeighborName) -> PeerID? {
        if case .address(let address) = neighbor, let known = peers[address] { return known.id }
        return status(neighbor).map { identify($0.address).id }
    }
    func status(_ neighbor: NeighborName) -> NeighborStatus? { neighborCache.first { $0.name == neighbor } }
    /// The address under which gobgpd keeps a neighbor: one by interface has its interface in it.
    func key(_ neighbor: NeighborName) -> String {
        guard case .interface(let name) = neighbor, let status = status(neighbor) else { return neighbor.description }
        return status.address.isUnspecified ? name : "\(status.address)%\(name)"
    }
    public func routes(_ query: RouteQuery) -> RoutePage { rib.routes(query) }
    public func explain(_ key: RouteKey) -> [ExplainedPath] { rib.explain(key) }
    public var routeCount: Int { rib.destinationCount }
    /// Why the daemon is not ready; nil when gobgpd is connected and its table is here.
    public var problem: String? {
        switch phase {
        case .live: nil
        case .stopped: "not started"
        case .down(let reason): reason
        case .connecting, .probing, .snapshot: reason ?? "connecting to gobgpd at \(settings.endpoint)"
        }
    }
    /// Routes of ours that gobgpd does not use.
    public var refusedRoutes: [(key: RouteKey, reason: String)] { own.problems.map { ($0.key, $0.reason) } }
    func remark(_ texts: [String]) {
        var texts = texts
        if phase == .live, !settings.manages, global.asn != configuration.asn, configuration.asn != 0 {
            texts.append(
                "gobgpd is AS \(global.asn), bgp.global.asn says \(configuration.asn): automatic route targets follow the latter"
            )
        }
        for text in texts where !remarks.contains(text) { log.warning("gobgp.differs", ["reason": text]) }
        remarks = texts
    }

    func registerMetrics() {
        metrics.onCollect { [weak self] metrics in
            guard let self else { return }
            for name in ["evpnd_bgp_neighbor_up", "evpnd_bgp_routes"] { metrics.clear(name) }
            metrics.gauge("evpnd_gobgp_connected", "Whether gobgpd's table is followed").value =
                self.phase == .live ? 1 : 0
            metrics.gauge("evpnd_gobgp_own_routes", "Our routes that gobgpd shows as its own").value = Double(
                self.own.announcedCount)
            metrics.gauge("evpnd_gobgp_refused_routes", "Our routes that gobgpd does not use").value = Double(
                self.own.problems.count)
            metrics.gauge("evpnd_bgp_rib_routes", "Destinations in the RIB").value = Double(self.routeCount)
            for neighbor in self.neighborCache {
                let address = neighbor.name.description
                metrics.gauge("evpnd_bgp_neighbor_up", "Whether the session is established", ["neighbor": address])
                    .value = neighbor.isEstablished ? 1 : 0
                for family in neighbor.families {
                    for (kind, count) in [
                        ("received", family.counters.received), ("accepted", family.counters.accepted),
                    ] {
                        metrics.gauge(
                            "evpnd_bgp_routes", "Routes by neighbor",
                            ["neighbor": address, "family": family.family.description, "kind": kind]
                        ).value = Double(count)
                    }
                }
            }
        }
    }
}
