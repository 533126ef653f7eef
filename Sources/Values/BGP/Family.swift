/// An address family (RFC 4760): AFI and SAFI.
public struct Family: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let afi: UInt16
    public let safi: UInt8
    public init(afi: UInt16, safi: UInt8) {
        self.afi = afi
        self.safi = safi
    }
    public static let ipv4Unicast = Family(afi: 1, safi: 1)
    public static let ipv6Unicast = Family(afi: 2, safi: 1)
    /// RFC 7432: AFI 25 (L2VPN), SAFI 70 (EVPN).
    public static let l2vpnEVPN = Family(afi: 25, safi: 70)
    /// The families whose routes evpnd keeps; any other is decoded as raw bytes only.
    public static let supported: [Family] = [.ipv4Unicast, .ipv6Unicast, .l2vpnEVPN]

    public static func < (a: Family, b: Family) -> Bool { (a.afi, a.safi) < (b.afi, b.safi) }

    /// The word used in configuration: `l2vpn-evpn`; `AFI/SAFI` for families without one.
    public var description: String {
        switch self {
        case .ipv4Unicast: "ipv4-unicast"
        case .ipv6Unicast: "ipv6-unicast"
        case .l2vpnEVPN: "l2vpn-evpn"
        default: "\(afi)/\(safi)"
        }
    }
    public init?(configurationName name: String) {
        guard let family = Family.supported.first(where: { $0.description == name }) else { return nil }
        self = family
    }
}
