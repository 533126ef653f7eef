// What is asked of a client that serves an anycast address, and how often.

public import EVPN
public import NetTypes

/// One kind of question, its rhythm, and how many answers it takes to change one's mind.
public struct Probe: Hashable, Sendable {
    public enum Method: Hashable, Sendable, CustomStringConvertible {
        /// Echo request (RFC 792, RFC 4443).
        case icmp
        /// A connection that is accepted.
        case tcp(port: UInt16)
        /// `GET path` whose status is 200…399; `path` begins with a slash and has only visible ASCII characters.
        case http(port: UInt16, path: String)
        public var description: String {
            switch self {
            case .icmp: "icmp"
            case .tcp(let port): "tcp \(port)"
            case .http(let port, let path): "http \(port) \(path)"
            }
        }
    }
    public var method: Method
    /// Between the beginnings of two probes; 1…3600.
    public var intervalSeconds: Int
    /// How long an answer is waited for; 1…`intervalSeconds`.
    public var timeoutSeconds: Int
    /// Good answers in a row that bring an address up, bad ones that take it down; 1…100.
    public var rise: Int
    public var fall: Int
    public init(_ method: Method, intervalSeconds: Int = 2, timeoutSeconds: Int = 1, rise: Int = 2, fall: Int = 3) {
        self.method = method
        self.intervalSeconds = intervalSeconds
        self.timeoutSeconds = timeoutSeconds
        self.rise = rise
        self.fall = fall
    }
}

/// One anycast address at one client: what a line of the status file names, and what is probed.
public struct AnycastName: Hashable, Comparable, Sendable, CustomStringConvertible {
    public var address: IPAddress
    /// Where the checker reaches the client.
    public var internalTarget: IPAddress
    public init(address: IPAddress, internalTarget: IPAddress) {
        self.address = address
        self.internalTarget = internalTarget
    }
    public init(_ anycast: AnycastAddress) {
        self.init(address: anycast.address, internalTarget: anycast.internalTarget)
    }
    /// `198.51.100.1_10.255.0.2`.
    public init?(_ text: String) {
        let parts = text.split(separator: "_", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = IPAddress(String(parts[0])), let target = IPAddress(String(parts[1])),
            address.isV6 == target.isV6
        else { return nil }
        self.init(address: address, internalTarget: target)
    }
    public static func < (a: Self, b: Self) -> Bool { (a.address, a.internalTarget) < (b.address, b.internalTarget) }
    public var description: String { "\(address)_\(internalTarget)" }
}
