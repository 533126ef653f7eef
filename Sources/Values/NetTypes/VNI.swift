/// A VXLAN network identifier (RFC 7348 §5): 24 bits, and 0 is never a usable segment.
public struct VNI: Hashable, Comparable, Sendable {
    /// 1 ... 2^24-1.
    public let rawValue: UInt32

    /// Nil for 0 and for values that do not fit 24 bits.
    @inlinable public init?(_ value: UInt32) {
        guard value > 0, value < 1 << 24 else { return nil }
        rawValue = value
    }
    @inlinable public static func < (a: VNI, b: VNI) -> Bool { a.rawValue < b.rawValue }
}

extension VNI: CustomStringConvertible, LosslessStringConvertible {
    public var description: String { String(rawValue) }
    public init?(_ text: String) {
        guard let value = UInt32(text), !text.hasPrefix("+") else { return nil }
        self.init(value)
    }
}
