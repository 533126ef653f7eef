// IPv4 and IPv6 addresses and prefixes as plain integers; text forms as in RFC 5952.

/// An IPv4 address; `rawValue` has the first octet most significant.
public struct IPv4Address: Hashable, Comparable, Sendable {
    public let rawValue: UInt32
    @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }
    public static let any = IPv4Address(rawValue: 0)
    public static let broadcast = IPv4Address(rawValue: .max)
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    public var octets: [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: rawValue >> (24 - 8 * $0)) } }
    @inlinable public var isMulticast: Bool { rawValue >> 28 == 0xe }
    @inlinable public var isLoopback: Bool { rawValue >> 24 == 127 }
    @inlinable public var isLinkLocal: Bool { rawValue >> 16 == 0xa9fe }
}

/// An IPv6 address as two 64-bit halves, network order.
public struct IPv6Address: Hashable, Comparable, Sendable {
    public let high: UInt64
    public let low: UInt64
    @inlinable public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }
    public static let any = IPv6Address(high: 0, low: 0)
    @inlinable public static func < (a: Self, b: Self) -> Bool { (a.high, a.low) < (b.high, b.low) }
    public var octets: [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: high >> (56 - 8 * $0)) }
            + (0..<8).map { UInt8(truncatingIfNeeded: low >> (56 - 8 * $0)) }
    }
    @inlinable public var isMulticast: Bool { high >> 56 == 0xff }
    @inlinable public var isLinkLocal: Bool { high >> 54 == 0x3fa }
    @inlinable public var isLoopback: Bool { high == 0 && low == 1 }
}

/// An address of either family. IPv4 sorts before IPv6.
public enum IPAddress: Hashable, Comparable, Sendable {
    case v4(IPv4Address)
    case v6(IPv6Address)

    @inlinable public var isV6: Bool { if case .v6 = self { true } else { false } }
    /// 32 or 128.
    @inlinable public var bitWidth: Int { isV6 ? 128 : 32 }
    public var octets: [UInt8] {
        switch self {
        case .v4(let address): address.octets
        case .v6(let address): address.octets
        }
    }
    public var isUnspecified: Bool { self == .v4(.any) || self == .v6(.any) }
    public var isMulticast: Bool {
        switch self {
        case .v4(let address): address.isMulticast
        case .v6(let address): address.isMulticast
        }
    }
    public var isLinkLocal: Bool {
        switch self {
        case .v4(let address): address.isLinkLocal
        case .v6(let address): address.isLinkLocal
        }
    }
    public var isLoopback: Bool {
        switch self {
        case .v4(let address): address.isLoopback
        case .v6(let address): address.isLoopback
        }
    }

    /// Four or sixteen octets in wire order; nil for any other count.
    public init?(octets: some Collection<UInt8>) {
        func word(_ range: Range<Int>) -> UInt64 {
            octets.dropFirst(range.lowerBound).prefix(range.count).reduce(0) { $0 << 8 | UInt64($1) }
        }
        switch octets.count {
        case 4: self = .v4(IPv4Address(rawValue: UInt32(truncatingIfNeeded: word(0..<4))))
        case 16: self = .v6(IPv6Address(high: word(0..<8), low: word(8..<16)))
        default: return nil
        }
    }
}

extension IPv4Address: CustomStringConvertible, LosslessStringConvertible {
    public var description: String {
        "\(rawValue >> 24).\(rawValue >> 16 & 255).\(rawValue >> 8 & 255).\(rawValue & 255)"
    }

    /// Four decimal octets; leading zeros are refused because some programs read them as octal.
    public init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var value: UInt32 = 0
        for part in parts {
            guard let octet = UInt8(part), part.utf8.first != 0x2b, part.utf8.count == 1 || part.utf8.first != 0x30
            else {
                return nil
            }
            value = value << 8 | UInt32(octet)
        }
        self.init(rawValue: value)
    }
}

extension IPv6Address: CustomStringConvertible, LosslessStringConvertible {
    private var groups: [UInt16] {
        (0..<4).map { UInt16(truncatingIfNeeded: high >> (48 - 16 * $0)) }
            + (0..<4).map { UInt16(truncatingIfNeeded: low >> (48 - 16 * $0)) }
    }

    /// RFC 5952: lower case, the longest run of two or more zero groups as `::`, IPv4-mapped addresses in mixed form.
    public var description: String {
        if high == 0, low >> 32 == 0xffff {
            return "::ffff:\(IPv4Address(rawValue: UInt32(truncatingIfNeeded: low)))"
        }
        let groups = self.groups
        var best = 0..<0
        var start = 0
        while start < 8 {
            var end = start
            while end < 8, groups[end] == 0 { end += 1 }
            if end - start > best.count { best = start..<end }
            start = max(end, start + 1)
        }
        func text(_ range: Range<Int>) -> String {
            groups[range].map { String($0, radix: 16) }.joined(separator: ":")
        }
        guard best.count >= 2 else { return text(0..<8) }
        return text(0..<best.lowerBound) + "::" + text(best.upperBound..<8)
    }

    /// Any RFC 4291 form, without a zone.
    public init?(_ text: String) {
        func groups(_ part: Substring, mayEndInIPv4: Bool) -> [UInt16]? {
            if part.isEmpty { return [] }
            var result: [UInt16] = []
            let pieces = part.split(separator: ":", omittingEmptySubsequences: false)
            for (index, piece) in pieces.enumerated() {
                if mayEndInIPv4, index == pieces.count - 1, piece.contains(".") {
                    guard let v4 = IPv4Address(String(piece)) else { return nil }
                    result += [UInt16(v4.rawValue >> 16), UInt16(v4.rawValue & 0xffff)]
                } else {
                    guard (1...4).contains(piece.utf8.count), piece.first != "+", piece.first != "-",
                        let group = UInt16(piece, radix: 16)
                    else { return nil }
                    result.append(group)
                }
            }
            return result
        }
        var all: [UInt16]
        if let gap = text.firstGap {
            guard let head = groups(text[..<gap.lowerBound], mayEndInIPv4: false),
                let tail = groups(text[gap.upperBound...], mayEndInIPv4: true), head.count + tail.count <= 7
            else { return nil }
            all = head + Array(repeating: 0, count: 8 - head.count - tail.count) + tail
        } else {
            guard let whole = groups(text[...], mayEndInIPv4: true) else { return nil }
            all = whole
        }
        guard all.count == 8 else { return nil }
        func half(_ slice: ArraySlice<UInt16>) -> UInt64 { slice.reduce(0) { $0 << 16 | UInt64($1) } }
        self.init(high: half(all[0..<4]), low: half(all[4..<8]))
    }
}

extension String {
    /// The first `::`.
    fileprivate var firstGap: Range<String.Index>? {
        var index = startIndex
        while index < endIndex {
            let next = self.index(after: index)
            if self[index] == ":", next < endIndex, self[next] == ":" { return index..<self.index(after: next) }
            index = next
        }
        return nil
    }
}

extension IPAddress: CustomStringConvertible, LosslessStringConvertible {
    public var description: String {
        switch self {
        case .v4(let address): address.description
        case .v6(let address): address.description
        }
    }
    public init?(_ text: String) {
        if let address = IPv4Address(text) {
            self = .v4(address)
        } else if let address = IPv6Address(text) {
            self = .v6(address)
        } else {
            return nil
        }
    }
}

/// An address with a prefix length, host bits zero: `192.0.2.0/24`, `2001:db8::/32`.
public struct IPPrefix: Hashable, Comparable, Sendable {
    public let address: IPAddress
    /// 0...32 or 0...128.
    public let length: Int

    /// Clears the host bits; nil when `length` is out of range for the family.
    public init?(_ address: IPAddress, length: Int) {
        guard (0...address.bitWidth).contains(length) else { return nil }
        self.address = address.masked(length)
        self.length = length
    }

    /// All addresses of a family: `0.0.0.0/0` or `::/0`.
    public init(everythingOf isV6: Bool) {
        address = isV6 ? .v6(.any) : .v4(.any)
        length = 0
    }

    /// The network and the broadcast address of an IPv4 subnet, which no host has (RFC 1122 §3.2.1.3); those of /31 are hosts' (RFC 3021).
    public var subnetEnds: [IPAddress] {
        guard case .v4(let first) = address, length < 31 else { return [] }
        return [address, .v4(IPv4Address(rawValue: first.rawValue | UInt32.max >> UInt32(length)))]
    }

    public static func < (a: Self, b: Self) -> Bool { (a.address, a.length) < (b.address, b.length) }
    public func contains(_ other: IPAddress) -> Bool {
        other.isV6 == address.isV6 && other.masked(length) == address
    }
}

extension IPAddress {
    /// The address with all bits after the first `length` cleared. `length` must be 0...bitWidth.
    public func masked(_ length: Int) -> IPAddress {
        func mask(_ bits: Int) -> UInt64 { bits <= 0 ? 0 : bits >= 64 ? .max : ~(UInt64.max >> UInt64(bits)) }
        switch self {
        case .v4(let address):
            return .v4(IPv4Address(rawValue: address.rawValue & UInt32(mask(length) >> 32)))
        case .v6(let address):
            return .v6(IPv6Address(high: address.high & mask(length), low: address.low & mask(length - 64)))
        }
    }
}

extension IPPrefix: CustomStringConvertible, LosslessStringConvertible {
    public var description: String { "\(address)/\(length)" }
    /// `ADDRESS/LENGTH`; host bits are cleared.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = IPAddress(String(parts[0])), let length = UInt8(parts[1]),
            !parts[1].hasPrefix("+")
        else { return nil }
        self.init(address, length: Int(length))
    }
}
