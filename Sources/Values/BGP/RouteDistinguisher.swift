public import NetTypes

/// A route distinguisher (RFC 4364 §4.2): 8 octets, the first two are the type.
///
///     type 0:  0 (2) | ASN (2)     | number (4)
///     type 1:  1 (2) | IPv4 (4)    | number (2)
///     type 2:  2 (2) | ASN (4)     | number (2)
public struct RouteDistinguisher: Hashable, Comparable, Sendable {
    public let rawValue: UInt64
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
    /// Type 1, the form RFC 7432 §7.9 asks for.
    public init(_ address: IPv4Address, _ number: UInt16) {
        rawValue = 1 << 48 | UInt64(address.rawValue) << 16 | UInt64(number)
    }
    public var type: UInt16 { UInt16(rawValue >> 48) }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

extension RouteDistinguisher: CustomStringConvertible, LosslessStringConvertible {
    /// `ASN:number` for types 0 and 2, `address:number` for type 1, `type:hex` for types nobody has defined.
    public var description: String {
        switch type {
        case 0: "\(rawValue >> 32 & 0xffff):\(rawValue & 0xffff_ffff)"
        case 1: "\(IPv4Address(rawValue: UInt32(truncatingIfNeeded: rawValue >> 16))):\(rawValue & 0xffff)"
        case 2: "\(rawValue >> 16 & 0xffff_ffff):\(rawValue & 0xffff)"
        default: "\(type):0x\(String(rawValue & 0xffff_ffff_ffff, radix: 16))"
        }
    }
    /// The three textual forms; an ASN above 65535 gives type 2.
    public init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2 else { return nil }
        if let address = IPv4Address(String(parts[0])) {
            guard let number = UInt16(parts[1]) else { return nil }
            self.init(address, number)
        } else if let asn = UInt16(parts[0]), let number = UInt32(parts[1]) {
            self.init(rawValue: UInt64(asn) << 32 | UInt64(number))
        } else if let asn = UInt32(parts[0]), let number = UInt16(parts[1]) {
            self.init(rawValue: 2 << 48 | UInt64(asn) << 16 | UInt64(number))
        } else {
            return nil
        }
    }
}
