// How to reach a gobgpd and what may be done there: `bgp.gobgp` of the configuration file.

import BGP
public import NetTypes

/// evpn-connector on this host, which evpnd has taken over from: what it has left in gobgpd is removed once ours is known in full.
public struct Predecessor: Equatable, Sendable {
    /// Administrator of its route distinguishers, which are `asn:VNI` (type 0).
    public var asn: UInt16
    /// The next hop of its routes: this VTEP. Others that share the AS number have another one.
    public var vtep: IPAddress
    public init(asn: UInt16, vtep: IPAddress) {
        self.asn = asn
        self.vtep = vtep
    }
    /// Whether it announced this path, and not a neighbor of gobgpd or another program here.
    public func left(_ path: APIPath) -> Bool {
        guard path.isLocal, path.attributes.nextHop == vtep, path.key.rd.rawValue >> 32 == UInt64(asn) else {
            return false
        }
        let vni = UInt32(truncatingIfNeeded: path.key.rd.rawValue)
        return switch path.key.kind {
        case .macIP, .ipPrefix: path.payload.label1 == vni
        case .inclusiveMulticast: path.attributes.pmsiTunnel?.label == vni
        default: false
        }
    }
}

public struct GoBGPSettings: Equatable, Sendable {
    public var endpoint = StreamEndpoint.tcp(host: "127.0.0.1", port: 50051)
    public var tls: TLSSettings?
    /// Nil: found out by asking.
    public var generation: APIGeneration?
    /// How long forwarding is kept without gobgpd, and how long routes that a new snapshot lacks are kept while gobgpd's own
    /// sessions come up. 1...86400.
    public var holdSeconds = 120
    /// Largest message that is taken, in octets.
    public var messageLimit = 256 << 20
    /// Whether gobgpd itself is configured from `bgp:`.
    public var manages = false
    /// Whether gobgpd itself lets in only routes with targets of our clients, by the objects of evpn-connector; then `policies` are these.
    /// Not together with `manages`.
    public var filtersImports = false
    /// Nil: nobody announced through this gobgpd before us, or we have nothing to announce in its place.
    public var predecessor: Predecessor?
    /// What `bgp:` says about policies and VRFs; empty unless `manages`.
    public var policies = PolicyConfiguration()
    public init() {}
}
