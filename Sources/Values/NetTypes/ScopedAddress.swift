/// An address together with the link that it belongs to, where it is an IPv6 link-local one: only both say who is meant (RFC 4007 §6).
public struct ScopedAddress: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let address: IPAddress
    /// The name of the interface of a link-local address; nil: the link is not known, or the address means the same on every link.
    public let interface: String?

    /// `interface` counts only for addresses that need it.
    public init(_ address: IPAddress, on interface: String? = nil) {
        self.address = address
        self.interface = address.isV6 && address.isLinkLocal ? interface : nil
    }
    /// Whether packets can be sent to it only by naming an interface.
    public var needsInterface: Bool { address.isV6 && address.isLinkLocal }

    public static func < (a: Self, b: Self) -> Bool { (a.address, a.interface ?? "") < (b.address, b.interface ?? "") }
    /// `fe80::1%eth0`, as RFC 4007 §11 writes it.
    public var description: String { "\(address)" + (interface.map { "%\($0)" } ?? "") }
}
