// The Ethernet address, kept in one machine word so that tables of a hundred thousand of them stay small.

/// A 48-bit IEEE 802 MAC address.
///
/// Stored in the low 48 bits of `rawValue`, first octet on the wire most significant.
public struct MACAddress: Hashable, Comparable, Sendable {
    /// Always below 2^48.
    public let rawValue: UInt64

    /// Takes the low 48 bits of `rawValue`; higher bits are dropped.
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue & 0xffff_ffff_ffff }

    /// The all-zero address: in a VXLAN FDB, the key of the flood list (`bridge fdb append 00:00:00:00:00:00`).
    public static let zero = MACAddress(rawValue: 0)
    public static let broadcast = MACAddress(rawValue: 0xffff_ffff_ffff)

    @inlinable public var isZero: Bool { rawValue == 0 }
    /// Group bit (IEEE 802 I/G): multicast and broadcast addresses.
    @inlinable public var isMulticast: Bool { rawValue & 0x0100_0000_0000 != 0 }
    /// Whether a host can own this address: neither zero nor a group address.
    @inlinable public var isUsableByHost: Bool { !isZero && !isMulticast }

    @inlinable public static func < (a: MACAddress, b: MACAddress) -> Bool { a.rawValue < b.rawValue }

    /// The six octets in wire order.
    public var octets: [UInt8] { (0..<6).map { UInt8(truncatingIfNeeded: rawValue >> (40 - 8 * $0)) } }
}

extension MACAddress: CustomStringConvertible, LosslessStringConvertible {
    public var description: String { octets.map { hexByte($0) }.joined(separator: ":") }

    /// Six hexadecimal octets separated by `:` or `-`, one or two digits each.
    public init?(_ text: String) {
        let parts = text.split(omittingEmptySubsequences: false) { $0 == ":" || $0 == "-" }
        guard parts.count == 6 else { return nil }
        var value: UInt64 = 0
        for part in parts {
            guard (1...2).contains(part.utf8.count), part.first != "+", let octet = UInt8(part, radix: 16) else {
                return nil
            }
            value = value << 8 | UInt64(octet)
        }
        self.init(rawValue: value)
    }
}
