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
    /// No EVI imports one of its targets. Normal on a fabric with other tenants.
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

    /// Whether it happens on a healthy fabric: such routes are kept for `explain` but are not worth an event.
    public var isExpected: Bool { self == .noMatchingTarget || self == .ownNextHop }

    public var description: String {
        switch self {
        case .noMatchingTarget: "no route target that an EVI imports"
        case .ownNextHop: "own next hop"
        case .missingNextHop: "no next hop"
        case .unusableNextHop: "unusable next hop"
        case .invalidVNI: "VNI 0 or above 2^24-1"
        case .zeroMAC: "zero MAC address"
        case .multicastMAC: "multicast MAC address"
        case .noIngressReplication: "no ingress replication tunnel (PMSI)"
        case .unsupportedEncapsulation: "encapsulation other than VXLAN"
        }
    }
}

public enum ControlPlaneEvent: Hashable, Sendable {
    /// A MAC went from here to there while both ends claimed it (RFC 7432 §15); `sequence` is the winner's.
    case moved(MACKey, from: MACPlace, to: MACPlace, sequence: UInt32)
    /// An address went from a remote MAC to a local one, whose sequence number grew for it (RFC 9721).
    case addressMoved(NeighborKey, from: MACAddress, to: MACKey, sequence: UInt32)
    /// RFC 7432 §15.1: so many moves within the window; the MAC stays where `at` says until it is recovered.
    case duplicateDetected(MACKey, moves: Int, at: MACPlace)
    /// Frozen no longer: by command, or by itself after `recoverAfterSeconds`.
    case recovered(MACKey, byCommand: Bool)
    /// Two ends claim a MAC that may not move (sticky, or a default gateway); `winner` keeps it.
    case conflict(MACKey, winner: MACPlace, loser: MACPlace)
    /// Our host route of `vtep` now names so many VNIs; 0: it is withdrawn.
    case membershipChanged(vtep: IPAddress, vnis: Int)
    /// The host route of `vtep` has no room for the communities of so many VNIs; 0: it has again.
    case membershipTooLong(vtep: IPAddress, omitted: Int)
    /// Once for each route and reason.
    case routeIgnored(RouteKey, IgnoredReason)
}
