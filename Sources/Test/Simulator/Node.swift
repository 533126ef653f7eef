// One machine: the real speaker, on VTEPs also the real control plane, over a fake kernel.

import BGP
import BGPEngine
import EVPN
import NetTypes

/// A TCP connection between two nodes: two ordered streams of chunks, delivered late, or never.
final class Pipe {
    struct End {
        let node: Node
        /// The life of the node in which this end was made; a node that has restarted does not know it any more.
        let life: Int
        let id: ConnectionID
    }
    let ends: [End]
    /// Chunks under way to each end; nil is the end of the stream.
    var underWay: [[[UInt8]?]] = [[], []]
    var isDelivering = [false, false]
    var isBroken = false
    init(_ a: End, _ b: End) { ends = [a, b] }
}

final class Node {
    let index: Int
    let address: IPAddress
    let routerID: IPv4Address
    let isReflector: Bool
    let vnis: [VNI]
    /// Nil while the process is down; the kernel lives on.
    var speaker: Speaker?
    var plane = ControlPlane()
    var kernel = FakeKernel()
    /// Grows with each start.
    var life = 0
    /// The node's clock is this far ahead of the world's.
    var clockOffset: Int64 = 0
    var pipes: [ConnectionID: (pipe: Pipe, side: Int)] = [:]
    var wakeAt: Int64?
    /// Entries of an earlier life may still be in the kernel.
    var mustPrune = false

    init(index: Int, isReflector: Bool, vnis: [VNI]) {
        self.index = index
        self.isReflector = isReflector
        self.vnis = vnis
        routerID = IPv4Address(rawValue: 0xc000_0200 + UInt32(index))
        address = .v4(routerID)
        guard !isReflector else { return }
        kernel.domains = Set(domains)
        let prefix = Tenant.subnet(of: index)
        kernel.localPrefixes[PrefixKey(vrf: Tenant.name, prefix: prefix)] = LocalPrefix(
            proto: 2, isConnected: true, interface: "br\(index)")
    }
    /// Its VNIs and the L3 VNI.
    var domains: [VNI] { vnis + [Tenant.vni] }

    func overlay() -> Overlay {
        var overlay = Overlay(
            asn: 65000, routerID: routerID,
            evis: vnis.map { vni in
                var evi = EVI(
                    vni: vni, rd: RouteDistinguisher(routerID, UInt16(truncatingIfNeeded: vni.rawValue)),
                    importTargets: .automatic(vni), exportTargets: [.automatic(asn: 65000, vni: vni)],
                    domain: BroadcastDomain(vni: vni, device: .adopted(name: nil)))
                evi.domain.routed = RoutedInterface(vrf: Tenant.name)
                return evi
            })
        overlay.vrfs = [Tenant.vrf(rd: RouteDistinguisher(routerID, UInt16(truncatingIfNeeded: Tenant.vni.rawValue)))]
        overlay.duplicateDetection.recoverAfterSeconds = 30
        return overlay
    }

    func configuration(reflectors: [Node], clients: [Node]) -> BGPConfiguration {
        var configuration = BGPConfiguration(asn: 65000, routerID: routerID)
        configuration.gracefulRestart.restartTimeSeconds = 20
        configuration.initialHoldSeconds = 30
        for peer in isReflector ? clients + reflectors : reflectors where peer.index != index {
            var neighbor = NeighborConfiguration(address: peer.address, peerASN: 65000)
            neighbor.families = [FamilyConfiguration(.l2vpnEVPN)]
            neighbor.holdTimeSeconds = 9
            neighbor.connectRetrySeconds = 2
            neighbor.isRouteReflectorClient = isReflector && !peer.isReflector
            configuration.neighbors.append(neighbor)
        }
        return configuration
    }
}
