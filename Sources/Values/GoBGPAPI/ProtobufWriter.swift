// Writes the proto3 wire format: fields in the order of the calls, fields at their default left out, lengths as short as they go.

/// Appends fields to a growing message.
public struct ProtobufWriter: Sendable {
    public private(set) var bytes: [UInt8] = []
    public init(capacity: Int = 0) { bytes.reserveCapacity(capacity) }

    /// Fields that are encoded already.
    mutating func fields(_ encoded: [UInt8]) { bytes += encoded }

    mutating func varint(_ value: UInt64) {
        var value = value
        while value >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: value) | 0x80)
            value >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: value))
    }
    private mutating func tag(_ number: Int, _ type: ProtobufReader.WireType) {
        varint(UInt64(truncatingIfNeeded: number) << 3 | UInt64(type.rawValue))
    }

    /// 0 is not written.
    public mutating func uint64(_ number: Int, _ value: UInt64) {
        guard value != 0 else { return }
        tag(number, .varint)
        varint(value)
    }
    public mutating func uint32(_ number: Int, _ value: UInt32) { uint64(number, UInt64(value)) }
    /// Negative values take ten octets.
    public mutating func int64(_ number: Int, _ value: Int64) { uint64(number, UInt64(bitPattern: value)) }
    public mutating func bool(_ number: Int, _ value: Bool) { uint64(number, value ? 1 : 0) }
    public mutating func float(_ number: Int, _ value: Float) {
        guard value.bitPattern != 0 else { return }
        tag(number, .fixed32)
        for shift in [0, 8, 16, 24] as [UInt32] { bytes.append(UInt8(truncatingIfNeeded: value.bitPattern >> shift)) }
    }
    /// Empty bytes are not written.
    public mutating func octets(_ number: Int, _ value: some Collection<UInt8>) {
        guard !value.isEmpty else { return }
        element(number, value)
    }
    /// One element of repeated bytes: written also when empty.
    public mutating func element(_ number: Int, _ value: some Collection<UInt8>) {
        tag(number, .bytes)
        varint(UInt64(value.count))
        bytes.append(contentsOf: value)
    }
    public mutating func string(_ number: Int, _ value: String) { octets(number, value.utf8) }
    /// Packed, as proto3 writes lists of numbers.
    public mutating func uint32s(_ number: Int, _ values: [UInt32]) {
        guard !values.isEmpty else { return }
        message(number) { writer in
            for value in values { writer.varint(UInt64(value)) }
        }
    }
    /// A message, written also when `body` writes nothing: presence can mean something.
    public mutating func message(_ number: Int, _ body: (inout ProtobufWriter) -> Void) {
        tag(number, .bytes)
        let lengthAt = bytes.count
        bytes.append(0)
        body(&self)
        var length = UInt64(bytes.count - lengthAt - 1)
        if length < 0x80 {
            bytes[lengthAt] = UInt8(length)
            return
        }
        var octets: [UInt8] = []
        while length >= 0x80 {
            octets.append(UInt8(truncatingIfNeeded: length) | 0x80)
            length >>= 7
        }
        octets.append(UInt8(length))
        bytes.replaceSubrange(lengthAt...lengthAt, with: octets)
    }
}
