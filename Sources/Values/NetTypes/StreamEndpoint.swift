// Where a server listens, and how it proves who it is.

/// Where a server listens.
public enum StreamEndpoint: Hashable, Sendable, CustomStringConvertible {
    /// A host name or an address without brackets.
    case tcp(host: String, port: UInt16)
    /// A path of at most 107 octets.
    case unix(path: String)

    public var description: String {
        switch self {
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unix(let path): "unix://\(path)"
        }
    }
}

/// How to talk TLS 1.2 or later. The server's certificate is always verified.
public struct TLSSettings: Hashable, Sendable {
    /// PEM file of the authorities to trust; nil: those of the system.
    public var authorities: String?
    /// PEM file of our certificate and its chain, for servers that ask for one; needs `key`.
    public var certificate: String?
    public var key: String?
    /// The name or address that the server's certificate must carry; nil: the host of the endpoint.
    public var serverName: String?
    /// False where certificates carry no addresses, as those of Open vSwitch: then whoever the authorities vouch for is right.
    public var verifiesName = true
    /// Offered by ALPN (RFC 7301), at most 255 octets; nil: none.
    public var applicationProtocol: String?
    public init(
        authorities: String? = nil, certificate: String? = nil, key: String? = nil, serverName: String? = nil
    ) {
        self.authorities = authorities
        self.certificate = certificate
        self.key = key
        self.serverName = serverName
    }
}
