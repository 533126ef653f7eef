public import NetTypes

/// An extended community (RFC 4360): 8 octets, the first is the type, for most types the second is the sub-type.
/// Typed views of the EVPN ones are in `ExtendedCommunity+EVPN.swift`.
public struct ExtendedCommunity: Hashable, Comparable, Sendable {
    public let rawValue: UInt64
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
    @inlinable public var type: UInt8 { UInt8(truncatingIfNeeded: rawValue >> 56) }
    @inlinable public var subtype: UInt8 { UInt8(truncatingIfNeeded: rawValue >> 48) }
    /// RFC 4360 §2: bit 0x40 clear.
    @inlinable public var isTransitive: Bool { type & 0x40 == 0 }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// A route target (RFC 4360 §4, RFC 5668): what an EVI exports with and imports by.
///
///     as2:   0x00 0x02 | ASN (2)  | number (4)
///     ipv4:  0x01 0x02 | IPv4 (4) | number (2)
///     as4:   0x02 0x02 | ASN (4)  | number (2)
public struct RouteTarget: Hashable, Comparable, Sendable {
    public let community: ExtendedCommunity

    /// Nil unless the community is a route target of one of the three forms.
    public init?(_ community: ExtendedCommunity) {
        guard community.type <= 2, community.subtype == 2 else { return nil }
        self.community = community
    }
    private init(raw: UInt64) { community = ExtendedCommunity(rawValue: raw) }
    public init(asn: UInt16, number: UInt32) { self.init(raw: 0x0002 << 48 | UInt64(asn) << 32 | UInt64(number)) }
    public init(address: IPv4Address, number: UInt16) {
        self.init(raw: 0x0102 << 48 | UInt64(address.rawValue) << 16 | UInt64(number))
    }
    public init(asn4: UInt32, number: UInt16) {
        self.init(raw: 0x0202 << 48 | UInt64(asn4) << 16 | UInt64(number))
    }
    /// The target FRR derives for a VNI (RFC 8365 §5.1.2.1 is the stricter form): the low 16 bits of the ASN and the VNI.
    public static func automatic(asn: UInt32, vni: VNI) -> RouteTarget {
        RouteTarget(asn: UInt16(truncatingIfNeeded: asn), number: vni.rawValue)
    }
    /// The VNI half of a target of the 2-octet-AS form: what automatic import compares, whatever the AS half is.
    public var automaticVNI: VNI? {
        community.type == 0 ? VNI(UInt32(truncatingIfNeeded: community.rawValue) & 0xff_ffff) : nil
    }
    public static func < (a: Self, b: Self) -> Bool { a.community < b.community }
}

extension RouteTarget: CustomStringConvertible, LosslessStringConvertible {
    public var description: String {
        let raw = community.rawValue
        return switch community.type {
        case 0: "\(raw >> 32 & 0xffff):\(raw & 0xffff_ffff)"
        case 1: "\(IPv4Address(rawValue: UInt32(truncatingIfNeeded: raw >> 16))):\(raw & 0xffff)"
        default: "\(raw >> 16 & 0xffff_ffff):\(raw & 0xffff)"
        }
    }
    /// `65000:100`, `192.0.2.1:100`, `4200000000:100`; the first form wins where it fits.
    public init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2 else { return nil }
        if let address = IPv4Address(String(parts[0])) {
            guard let number = UInt16(parts[1]) else { return nil }
            self.init(address: address, number: number)
        } else if let asn = UInt16(parts[0]), let number = UInt32(parts[1]) {
            self.init(asn: asn, number: number)
        } else if let asn = UInt32(parts[0]), let number = UInt16(parts[1]) {
            self.init(asn4: asn, number: number)
        } else {
            return nil
        }
    }
}
