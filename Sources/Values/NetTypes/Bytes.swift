// The one place where bytes from outside are read. Every read is checked; nothing here traps on input.

/// Where and why bytes could not be read.
public struct ByteError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What was being read, as a phrase for an operator: "MAC/IP route length".
    public let reason: String
    /// Absolute offset in the outermost buffer.
    public let offset: Int
    public init(_ reason: String, at offset: Int) {
        self.reason = reason
        self.offset = offset
    }
    public var description: String { "\(reason) at octet \(offset)" }
}

/// A checked cursor over borrowed bytes, big-endian as on the wire.
///
/// A reader is valid only inside the closure of `withByteReader`; it must not be stored. A sub-reader made by `take` keeps
/// absolute offsets, so errors point into the whole message.
public struct ByteReader {
    @usableFromInline let base: UnsafeRawBufferPointer
    /// Absolute offset of the next octet.
    public var offset: Int { position }
    @usableFromInline var position: Int
    /// Absolute offset after the last octet this reader may read.
    public let end: Int

    @inlinable init(base: UnsafeRawBufferPointer) {
        self.base = base
        position = 0
        end = base.count
    }
    @inlinable init(base: UnsafeRawBufferPointer, offset: Int, end: Int) {
        self.base = base
        position = offset
        self.end = end
    }

    @inlinable public var count: Int { end - position }
    @inlinable public var isEmpty: Bool { position >= end }

    @inline(__always) @inlinable mutating func advance(_ length: Int) throws(ByteError) -> Int {
        guard length >= 0, end - position >= length else { throw ByteError("truncated", at: position) }
        let start = position
        position += length
        return start
    }
    @inline(__always) @inlinable
    mutating func integer<T: FixedWidthInteger & BitwiseCopyable>(_: T.Type) throws(ByteError) -> T {
        let start = try advance(MemoryLayout<T>.size)
        return T(bigEndian: base.loadUnaligned(fromByteOffset: start, as: T.self))
    }
    @inlinable public mutating func u8() throws(ByteError) -> UInt8 { try integer(UInt8.self) }
    @inlinable public mutating func u16() throws(ByteError) -> UInt16 { try integer(UInt16.self) }
    @inlinable public mutating func u32() throws(ByteError) -> UInt32 { try integer(UInt32.self) }
    @inlinable public mutating func u64() throws(ByteError) -> UInt64 { try integer(UInt64.self) }
    @inlinable public mutating func u24() throws(ByteError) -> UInt32 {
        let high = try u16()
        return UInt32(high) << 8 | UInt32(try u8())
    }
    @inlinable public mutating func u48() throws(ByteError) -> UInt64 {
        let high = try u32()
        return UInt64(high) << 16 | UInt64(try u16())
    }
    @inlinable public mutating func ipv4() throws(ByteError) -> IPv4Address { IPv4Address(rawValue: try u32()) }
    @inlinable public mutating func ipv6() throws(ByteError) -> IPv6Address {
        let high = try u64()
        return IPv6Address(high: high, low: try u64())
    }
    @inlinable public mutating func mac() throws(ByteError) -> MACAddress { MACAddress(rawValue: try u48()) }
    @inlinable public mutating func bytes(_ length: Int) throws(ByteError) -> [UInt8] {
        let start = try advance(length)
        return Array(base[start..<start + length])
    }
    /// Everything that is left.
    @inlinable public mutating func rest() -> [UInt8] {
        let start = position
        position = end
        return Array(base[start..<end])
    }
    @inlinable public mutating func skip(_ length: Int) throws(ByteError) { _ = try advance(length) }
    /// A reader over the next `length` octets, which this reader skips.
    @inlinable public mutating func take(_ length: Int) throws(ByteError) -> ByteReader {
        let start = try advance(length)
        return ByteReader(base: base, offset: start, end: start + length)
    }
    /// The octets between two absolute offsets that this reader has passed or may read; empty when out of bounds.
    @inlinable public func slice(_ range: Range<Int>) -> [UInt8] {
        guard range.lowerBound >= 0, range.upperBound <= end else { return [] }
        return Array(base[range])
    }
    /// Whether the octets in `range` equal `other`; false when out of bounds.
    @inlinable public func equals(_ range: Range<Int>, _ other: [UInt8]) -> Bool {
        guard range.lowerBound >= 0, range.upperBound <= end, range.count == other.count else { return false }
        return base[range].elementsEqual(other)
    }
}

extension Array where Element == UInt8 {
    /// Lends the bytes to `body` as a checked reader.
    @inlinable public func withByteReader<R>(_ body: (inout ByteReader) -> R) -> R {
        withUnsafeBytes { pointer in
            var reader = ByteReader(base: pointer)
            return body(&reader)
        }
    }
    /// The same for a body that can fail.
    @inlinable public func withThrowingByteReader<R>(_ body: (inout ByteReader) throws(ByteError) -> R)
        throws(ByteError)
        -> R
    {
        let result: Result<R, ByteError> = withUnsafeBytes { pointer in
            var reader = ByteReader(base: pointer)
            do throws(ByteError) { return .success(try body(&reader)) } catch { return .failure(error) }
        }
        return try result.get()
    }
}

/// Lends borrowed memory (a socket's receive buffer) to `body` as a checked reader.
@inlinable public func withByteReader<R>(over pointer: UnsafeRawBufferPointer, _ body: (inout ByteReader) -> R) -> R {
    var reader = ByteReader(base: pointer)
    return body(&reader)
}

/// Appends big-endian integers to a growing buffer and patches lengths afterwards.
public struct ByteWriter: Sendable {
    public private(set) var bytes: [UInt8] = []
    public init(capacity: Int = 0) { bytes.reserveCapacity(capacity) }
    @inlinable public var count: Int { bytes.count }

    public mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }
    /// Drops everything after the first `count` octets.
    public mutating func truncate(to count: Int) { bytes.removeSubrange(count...) }
    public mutating func u8(_ value: UInt8) { bytes.append(value) }
    public mutating func u16(_ value: UInt16) { put(value) }
    public mutating func u24(_ value: UInt32) {
        bytes.append(UInt8(truncatingIfNeeded: value >> 16))
        put(UInt16(truncatingIfNeeded: value))
    }
    public mutating func u32(_ value: UInt32) { put(value) }
    public mutating func u48(_ value: UInt64) {
        put(UInt32(truncatingIfNeeded: value >> 16))
        put(UInt16(truncatingIfNeeded: value))
    }
    public mutating func u64(_ value: UInt64) { put(value) }
    public mutating func mac(_ value: MACAddress) { u48(value.rawValue) }
    public mutating func ipv4(_ value: IPv4Address) { put(value.rawValue) }
    public mutating func ipv6(_ value: IPv6Address) {
        put(value.high)
        put(value.low)
    }
    public mutating func ip(_ value: IPAddress) {
        switch value {
        case .v4(let address): ipv4(address)
        case .v6(let address): ipv6(address)
        }
    }
    public mutating func raw(_ value: some Sequence<UInt8>) { bytes.append(contentsOf: value) }

    /// Overwrites one octet; `offset` must be inside what was written.
    public mutating func patch8(at offset: Int, _ value: Int) { bytes[offset] = UInt8(truncatingIfNeeded: value) }
    /// Overwrites two octets; `offset` must be inside what was written.
    public mutating func patch16(at offset: Int, _ value: Int) {
        bytes[offset] = UInt8(truncatingIfNeeded: value >> 8)
        bytes[offset + 1] = UInt8(truncatingIfNeeded: value)
    }

    private mutating func put<T: FixedWidthInteger & BitwiseCopyable>(_ value: T) {
        withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
    }
}
