// Protocol Buffers as bytes (the proto3 wire format), read without copying. Only what GoBGP's messages need: no groups.

public import NetTypes

/// A checked cursor over the fields of one encoded message.
///
/// Like `ByteReader` it borrows memory: it is valid only inside the closure that lent it and must not be stored. Offsets in
/// errors count from the start of the outermost message.
public struct ProtobufReader {
    /// How a field is written.
    public enum WireType: UInt8, Sendable {
        case varint = 0
        case fixed64 = 1
        case bytes = 2
        case fixed32 = 5
    }

    /// How deep messages may lie in each other. GoBGP's deepest are below 12.
    public static let maximumDepth = 24

    @usableFromInline let base: UnsafeRawBufferPointer
    @usableFromInline var position: Int
    @usableFromInline let end: Int
    @usableFromInline let depth: Int

    /// Over a whole message.
    @inlinable public init(_ bytes: UnsafeRawBufferPointer) {
        base = bytes
        position = 0
        end = bytes.count
        depth = 0
    }
    @inlinable init(base: UnsafeRawBufferPointer, position: Int, end: Int, depth: Int) {
        self.base = base
        self.position = position
        self.end = end
        self.depth = depth
    }

    public var offset: Int { position }
    @inlinable public var count: Int { end - position }
    @inlinable public var isEmpty: Bool { position >= end }
    /// What is left, still borrowed.
    @inlinable public var remaining: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: base[position..<end]) }

    /// Up to ten octets, least significant group first; an eleventh or bits above 64 are an error.
    @inlinable public mutating func varint() throws(ByteError) -> UInt64 {
        guard position < end else { throw ByteError("truncated varint", at: position) }
        let first = base[position]
        if first < 0x80 {
            position += 1
            return UInt64(first)
        }
        return try longVarint()
    }
    @usableFromInline mutating func longVarint() throws(ByteError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while position < end {
            let octet = base[position]
            position += 1
            if shift == 63, octet > 1 { throw ByteError("varint above 64 bits", at: position - 1) }
            value |= UInt64(octet & 0x7f) << shift
            if octet < 0x80 { return value }
            shift += 7
        }
        throw ByteError("truncated varint", at: position)
    }

    /// The next field, or nil at the end of the message.
    @inlinable public mutating func next() throws(ByteError) -> ProtobufField? {
        guard position < end else { return nil }
        let start = position
        let tag = try varint()
        let number = tag >> 3
        guard number > 0, number < 1 << 29 else { throw ByteError("field number", at: start) }
        guard let type = WireType(rawValue: UInt8(truncatingIfNeeded: tag & 7)) else {
            throw ByteError("wire type", at: start)
        }
        var integer: UInt64 = 0
        var content = start..<start
        switch type {
        case .varint: integer = try varint()
        case .bytes:
            let length = try varint()
            guard length <= UInt64(end - position) else { throw ByteError("truncated field", at: position) }
            content = position..<position + Int(length)
            position = content.upperBound
        case .fixed32, .fixed64:
            let size = type == .fixed32 ? 4 : 8
            guard end - position >= size else { throw ByteError("truncated field", at: position) }
            for index in 0..<size { integer |= UInt64(base[position + index]) << UInt64(8 * index) }
            position += size
        }
        return ProtobufField(
            number: Int(number), type: type, integer: integer,
            reader: ProtobufReader(base: base, position: content.lowerBound, end: content.upperBound, depth: depth))
    }
}

/// One field of a message. The accessors throw when the field is written in a way that does not suit what is asked for.
public struct ProtobufField {
    /// 1 ... 2^29-1.
    public let number: Int
    public let type: ProtobufReader.WireType
    /// Value of a varint or fixed field.
    @usableFromInline let integer: UInt64
    /// The content of a `.bytes` field; else empty.
    @usableFromInline let reader: ProtobufReader

    @usableFromInline init(number: Int, type: ProtobufReader.WireType, integer: UInt64, reader: ProtobufReader) {
        self.number = number
        self.type = type
        self.integer = integer
        self.reader = reader
    }

    /// Where the field's content starts.
    public var offset: Int { reader.position }

    @inlinable func expect(_ expected: ProtobufReader.WireType) throws(ByteError) {
        guard type == expected else { throw ByteError("wire type of field \(number)", at: reader.position) }
    }
    @inlinable public func uint64() throws(ByteError) -> UInt64 {
        try expect(.varint)
        return integer
    }
    /// The low 32 bits, as the wire format wants it for a value that is too large.
    @inlinable public func uint32() throws(ByteError) -> UInt32 { UInt32(truncatingIfNeeded: try uint64()) }
    public func int64() throws(ByteError) -> Int64 { Int64(bitPattern: try uint64()) }
    public func int32() throws(ByteError) -> Int32 { Int32(truncatingIfNeeded: try uint64()) }
    @inlinable public func bool() throws(ByteError) -> Bool { try uint64() != 0 }
    public func float() throws(ByteError) -> Float {
        try expect(.fixed32)
        return Float(bitPattern: UInt32(truncatingIfNeeded: integer))
    }
    /// The content of bytes or string, still borrowed.
    @inlinable public func borrowed() throws(ByteError) -> UnsafeRawBufferPointer {
        try expect(.bytes)
        return reader.remaining
    }
    public func bytes() throws(ByteError) -> [UInt8] { Array(try borrowed()) }
    /// Octets that are no UTF-8 become U+FFFD.
    public func string() throws(ByteError) -> String { String(decoding: try borrowed(), as: UTF8.self) }
    /// The content as a message; throws below `ProtobufReader.maximumDepth`.
    @inlinable public func message() throws(ByteError) -> ProtobufReader {
        try expect(.bytes)
        guard reader.depth < ProtobufReader.maximumDepth else {
            throw ByteError("message nesting", at: reader.position)
        }
        return ProtobufReader(base: reader.base, position: reader.position, end: reader.end, depth: reader.depth + 1)
    }
    /// Appends the value, or all values of a packed field, to `list`; throws above `limit` elements.
    public func appendUInt32s(to list: inout [UInt32], limit: Int) throws(ByteError) {
        func append(_ value: UInt64) throws(ByteError) {
            guard list.count < limit else { throw ByteError("more than \(limit) values", at: reader.position) }
            list.append(UInt32(truncatingIfNeeded: value))
        }
        if type == .varint { return try append(integer) }
        try expect(.bytes)
        var packed = reader
        while !packed.isEmpty { try append(try packed.varint()) }
    }
}

extension Array where Element == UInt8 {
    /// Lends the bytes to `body` as one message.
    @inlinable public func withProtobufReader<R>(_ body: (inout ProtobufReader) throws(ByteError) -> R)
        throws(ByteError) -> R
    {
        let result: Result<R, ByteError> = withUnsafeBytes { pointer in
            var reader = ProtobufReader(pointer)
            do throws(ByteError) { return .success(try body(&reader)) } catch { return .failure(error) }
        }
        return try result.get()
    }
}
