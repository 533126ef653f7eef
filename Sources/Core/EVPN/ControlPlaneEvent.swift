// What the control plane has to tell an operator, one value for each log line.

public import BGP
public import NetTypes

/// Who holds a MAC address.
public enum MACPlace: Hashable, Sendable, CustomStringConvertible {
    /// A port of this host.
    case local(port: String)
    case remote(vtep: IPAddress)
    public var description: String {
        switch self {
        case .local(let port): "local \(port)"
        case .remote(let vtep): "remote \(vtep)"
        }
    }
}

/// Why a route from a peer has no effect.
public enum IgnoredReason: UInt8, Hashable, Sendable, CaseIterable, CustomStringConvertible {
    /// No EVI or IP-VRF imports one of its targets. Normal on a fabric with other tenants.
    case noMatchingTarget = 1
    /// A route of this host that came back from a reflector. Normal.
    case ownNextHop
    case missingNextHop
    /// Unspecified, multicast, broadcast or loopback.
    case unusableNextHop
    /// The label is 0 or does not fit 24 bits.
    case invalidVNI
    case zeroMAC
    case multicastMAC
    /// A type 3 route without a PMSI tunnel attribute, or with another tunnel than ingress replication.
    case noIngressReplication
    /// There are encapsulation communities, and VXLAN is none of them.
    case unsupportedEncapsulation
    /// A route with an L3 VNI but without router's MAC community (RFC 9135 §8.1).
    case noRouterMAC
    /// A zero or group address.
    case unusableRouterMAC
    /// A type 5 route with both a gateway and an Ethernet segment as its overlay index (RFC 9136 §3.1).
    case gatewayAndSegment
    /// A type 5 route whose overlay index is an Ethernet segment (RFC 9136 §4.3): multihoming is not acted on.
    case segmentOnly
    /// Multicast, loopback, link-local, or of the other address family.
    case unusableGateway
    /// Multicast, loopback or link-local.
    case unusablePrefix
    /// The label for routing is the VNI of an EVI of this host.
    case layer2VNI
    /// VXLAN devices have addresses of one family: nothing could be sent there.
    case nextHopFamily
    /// The label is no L3 VNI of this host, and the IP-VRF has none of its own whose devices could be used. Normal with asymmetric IRB.
    case unknownL3VNI
    /// The IP-VRF takes routes with certain communities only, and it has none of them. Normal.
    case noListedCommunity

    /// Whether it happens on a healthy fabric: such routes are kept for `explain` but are not worth an event.
    public var isExpected: Bool {
        self == .noMatchingTarget || self == .ownNextHop || self == .unknownL3VNI || self == .noListedCommunity
    }

    public var description: String {
        switch self {
        case .noMatchingTarget: "no route target that an EVI or IP-VRF imports"
        case .ownNextHop: "own next hop"
        case .missingNextHop: "no next hop"
        case .unusableNextHop: "unusable next hop"
        case .invalidVNI: "VNI 0 or above 2^24-1"
        case .zeroMAC: "zero MAC address"
        case .multicastMAC: "multicast MAC address"
        case .noIngressReplication: "no ingress replication tunnel (PMSI)"
        case .unsupportedEncapsulation: "encapsulation other than VXLAN"
        case .noRouterMAC: "no router's MAC community"
        case .unusableRouterMAC: "zero or multicast router MAC"
        case .gatewayAndSegment: "both a gateway and an Ethernet segment"
        case .segmentOnly: "an Ethernet segment as overlay index, which is not supported"
        case .unusableGateway: "unusable gateway"
        case .unusablePrefix: "multicast, loopback or link-local prefix"
        case .layer2VNI: "its L3 VNI is a layer 2 VNI here"
        case .nextHopFamily: "next hop of another address family than this host's VTEP"
        case .noListedCommunity: "none of the communities that the IP-VRF takes"
        case .unknownL3VNI: "its L3 VNI is unknown here, and the IP-VRF has none of its own"
        }
    }
}

/// A router of a VTEP as its routes name it.
public struct RouterEndpoint: Hashable, Sendable, CustomStringConvertible {
    public var mac: MACAddress
    /// The VNI to send with.
    public var vni: UInt32
    public var description: String { "router \(mac) vni \(vni)" }
}

public enum ControlPlaneEvent: Hashable, Sendable {
    /// A MAC went from here to there while both ends claimed it (RFC 7432 §15); `sequence` is the winner's.
    case moved(MACKey, from: MACPlace, to: MACPlace, sequence: UInt32)
    /// An address went from a remote MAC to a local one, whose sequence number grew for it (RFC 9721).
    case addressMoved(NeighborKey, from: MACAddress, to: MACKey, sequence: UInt32)
    /// A host here and another one, behind `vtep`, have one address with different MACs: a duplicate, or the address has gone there, and
    /// the host here has given it up without a word. It is to be asked, and keeps the address while it answers.
    case addressConflict(NeighborKey, here: MACAddress, there: MACAddress, vtep: IPAddress)
    /// RFC 7432 §15.1: so many moves within the window; the MAC stays where `at` says until it is recovered.
    case duplicateDetected(MACKey, moves: Int, at: MACPlace)
    /// Frozen no longer: by command, or by itself after `recoverAfterSeconds`.
    case recovered(MACKey, byCommand: Bool)
    /// Two ends claim a MAC that may not move (sticky, or a default gateway), or two VTEPs the same router MAC in an L3 VNI;
    /// `winner` keeps it.
    case conflict(MACKey, winner: MACPlace, loser: MACPlace)
    /// The routes of one VTEP in a (local) L3 VNI name several routers, of which the kernel can hold one.
    case routersDiffer(VNI, vtep: IPAddress, used: RouterEndpoint, unused: RouterEndpoint)
    /// This host has another VTEP address in a VNI than in the L3 VNI of its IP-VRF: the routes of hosts, which have one next hop for
    /// both, are announced without the L3 VNI.
    case vtepsDiffer(VNI, vtep: IPAddress, transit: VNI, transitVTEP: IPAddress)
    /// What a tenant has for a prefix is not put into the host's own table: it would lead the VTEP, or the next hop of the underlay,
    /// elsewhere.
    case leakRefused(PrefixKey, hijacked: IPAddress)
    /// Our host route of `vtep` now names so many VNIs; 0: it is withdrawn.
    case membershipChanged(vtep: IPAddress, vnis: Int)
    /// The host route of `vtep` has no room for the communities of so many VNIs; 0: it has again.
    case membershipTooLong(vtep: IPAddress, omitted: Int)
    /// Once for each route and reason.
    case routeIgnored(RouteKey, IgnoredReason)
}
