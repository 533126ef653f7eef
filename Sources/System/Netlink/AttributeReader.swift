// Checked reading of what the kernel sends: host byte order, attributes aligned to four octets. Lengths that do not fit end the
// walk, so any bytes whatever give some list of attributes and never a trap.

public import NetTypes

/// One attribute: type, and payload without header and padding. Valid only as long as the receive buffer.
///
///     +-------------------+-------------------+
///     |  length (2)       |  type (2)         |   host byte order; length covers header and payload
///     +-------------------+-------------------+
///     |  payload, padded to a multiple of 4   |
///     +---------------------------------------+
public struct Attribute {
    /// Without the NLA_F_NESTED and NLA_F_NET_BYTEORDER bits.
    public let type: UInt16
    public let payload: UnsafeRawBufferPointer

    /// An integer in host byte order; nil when the payload is shorter.
    @inline(__always) func integer<T: FixedWidthInteger & BitwiseCopyable>(_: T.Type) -> T? {
        guard payload.count >= MemoryLayout<T>.size else { return nil }
        return payload.loadUnaligned(as: T.self)
    }
    public var u8: UInt8? { integer(UInt8.self) }
    public var u16: UInt16? { integer(UInt16.self) }
    public var u32: UInt32? { integer(UInt32.self) }
    public var u64: UInt64? { integer(UInt64.self) }
    public var i32: Int32? { integer(Int32.self) }
    /// Two octets in network order (a UDP port).
    public var networkU16: UInt16? { integer(UInt16.self).map(UInt16.init(bigEndian:)) }
    /// Six octets exactly.
    public var mac: MACAddress? {
        guard payload.count == 6 else { return nil }
        let high = UInt32(bigEndian: payload.loadUnaligned(as: UInt32.self))
        let low = UInt16(bigEndian: payload.loadUnaligned(fromByteOffset: 4, as: UInt16.self))
        return MACAddress(rawValue: UInt64(high) << 16 | UInt64(low))
    }
    /// Four or sixteen octets exactly.
    public var ip: IPAddress? {
        switch payload.count {
        case 4: return .v4(IPv4Address(rawValue: UInt32(bigEndian: payload.loadUnaligned(as: UInt32.self))))
        case 16:
            return .v6(
                IPv6Address(
                    high: UInt64(bigEndian: payload.loadUnaligned(as: UInt64.self)),
                    low: UInt64(bigEndian: payload.loadUnaligned(fromByteOffset: 8, as: UInt64.self))))
        default: return nil
        }
    }
    /// Up to the first zero octet; invalid UTF-8 is repaired.
    public var string: String { String(decoding: payload.prefix { $0 != 0 }, as: UTF8.self) }
    public var nested: AttributeReader { AttributeReader(payload) }
}

/// Walks attributes that lie back to back.
public struct AttributeReader: Sequence, IteratorProtocol {
    private let base: UnsafeRawBufferPointer
    private var offset: Int

    public init(_ base: UnsafeRawBufferPointer, from offset: Int = 0) {
        self.base = base
        self.offset = offset
    }
    public mutating func next() -> Attribute? {
        guard offset >= 0, base.count - offset >= 4 else { return nil }
        let length = Int(base.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
        let type = base.loadUnaligned(fromByteOffset: offset + 2, as: UInt16.self) & 0x3fff
        guard length >= 4, length <= base.count - offset else { return nil }
        let payload = UnsafeRawBufferPointer(rebasing: base[offset + 4..<offset + length])
        offset += (length + 3) & ~3
        return Attribute(type: type, payload: payload)
    }
}

/// One message of a datagram. Valid only inside the closure it is handed to.
///
///     +---------------------------------------+
///     |  length (4), header included          |   host byte order
///     |  type (2)         |  flags (2)        |
///     |  sequence (4)                         |
///     |  port id (4)                          |
///     +---------------------------------------+
///     |  payload, padded to a multiple of 4   |
///     +---------------------------------------+
public struct NetlinkMessage {
    public let type: UInt16
    public let flags: MessageFlags
    public let sequence: UInt32
    /// Of a notification: the socket (`NetlinkSocket.port`) whose request it follows from; 0: none.
    public let port: UInt32
    public let payload: UnsafeRawBufferPointer

    /// Calls `body` for each whole message; a length that does not fit ends the walk.
    @inline(__always)
    public static func forEach(in datagram: UnsafeRawBufferPointer, _ body: (NetlinkMessage) -> Void) {
        var offset = 0
        while datagram.count - offset >= 16 {
            let length = Int(datagram.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
            guard length >= 16, length <= datagram.count - offset else { return }
            body(
                NetlinkMessage(
                    type: datagram.loadUnaligned(fromByteOffset: offset + 4, as: UInt16.self),
                    flags: MessageFlags(
                        rawValue: datagram.loadUnaligned(fromByteOffset: offset + 6, as: UInt16.self)),
                    sequence: datagram.loadUnaligned(fromByteOffset: offset + 8, as: UInt32.self),
                    port: datagram.loadUnaligned(fromByteOffset: offset + 12, as: UInt32.self),
                    payload: UnsafeRawBufferPointer(rebasing: datagram[offset + 16..<offset + length])))
            offset += (length + 3) & ~3
        }
    }
}
