// How to reach a gobgpd and what may be done there: `bgp.gobgp` of the configuration file.

public struct GoBGPSettings: Equatable, Sendable {
    public enum Endpoint: Equatable, Sendable, CustomStringConvertible {
        case tcp(host: String, port: UInt16)
        /// An absolute path.
        case unix(path: String)
        public var description: String {
            switch self {
            case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
            case .unix(let path): "unix://\(path)"
            }
        }
    }
    /// PEM files. The server's certificate is always verified.
    public struct TLS: Equatable, Sendable {
        /// Nil: the system's authorities.
        public var authorities: String?
        public var certificate: String?
        public var key: String?
        /// The name that the server's certificate must carry; nil: the host of the address.
        public var serverName: String?
        public init() {}
    }
    public var endpoint = Endpoint.tcp(host: "127.0.0.1", port: 50051)
    public var tls: TLS?
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
    /// What `bgp:` says about policies and VRFs; empty unless `manages`.
    public var policies = PolicyConfiguration()
    public init() {}
}
