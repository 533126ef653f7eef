import NetTypes

/// An Ethernet segment identifier (RFC 7432 §5): 10 octets; all zero for a single-homed site.
public struct EthernetSegmentID: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The first eight octets.
    public let high: UInt64
    /// The last two octets.
    public let low: UInt16
    @inlinable public init(high: UInt64, low: UInt16) {
        self.high = high
        self.low = low
    }
    public static let zero = EthernetSegmentID(high: 0, low: 0)
    @inlinable public var isZero: Bool { high == 0 && low == 0 }
    public static func < (a: Self, b: Self) -> Bool { (a.high, a.low) < (b.high, b.low) }
    public var octets: [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: high >> (56 - 8 * $0)) } + [UInt8(low >> 8), UInt8(low & 255)]
    }
    /// Ten octets: `00:11:22:33:44:55:66:77:88:99`.
    public var description: String { octets.map { hexByte($0) }.joined(separator: ":") }
}
