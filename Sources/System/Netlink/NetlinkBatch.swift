// Builds requests back to back in one buffer, so that one `send` carries many.

public import NetTypes

/// A growing buffer of netlink requests. Every message is opened by `message` and closed by the next one or by `finish`.
public struct NetlinkBatch: Sendable {
    public private(set) var bytes: [UInt8] = []
    public private(set) var count = 0
    private var start = 0

    public init(capacity: Int = 0) { bytes.reserveCapacity(capacity) }
    public mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        count = 0
        start = 0
    }

    /// Begins a message; NLM_F_REQUEST is added to `flags`.
    public mutating func message(_ type: UInt16, _ flags: MessageFlags, sequence: UInt32) {
        finish()
        start = bytes.count
        count += 1
        put(UInt32(0))
        put(type)
        put(flags.union(.request).rawValue)
        put(sequence)
        put(UInt32(0))
    }
    /// Ends the last message: writes its length.
    public mutating func finish() { patch32(at: start, UInt32(truncatingIfNeeded: bytes.count - start)) }
    /// Asks the kernel to acknowledge the last message.
    public mutating func acknowledgeLast() {
        guard count > 0 else { return }
        bytes[start + 6] |= UInt8(MessageFlags.acknowledge.rawValue)
    }

    /// `struct ndmsg`: family (1), padding (3), interface (4), state (2), flags (1), type (1).
    public mutating func neighborHeader(
        family: UInt8, interface: Int32, state: NeighborState = [], flags: NeighborFlags = []
    ) {
        put(UInt32(family).littleEndianOnWire)
        put(interface)
        put(state.rawValue)
        put(flags.rawValue)
        put(UInt8(0))
    }
    /// `struct ifinfomsg`: family (1), padding (1), type (2), interface (4), flags (4), change mask (4).
    public mutating func linkHeader(family: UInt8 = 0, interface: Int32 = 0, flags: UInt32 = 0, change: UInt32 = 0) {
        put(UInt32(family).littleEndianOnWire)
        put(interface)
        put(flags)
        put(change)
    }
    /// `struct ifaddrmsg`: family (1), prefix length (1), flags (1), scope (1), interface (4).
    public mutating func addressHeader(
        family: UInt8 = 0, prefixLength: UInt8 = 0, interface: UInt32 = 0
    ) {
        put(family)
        put(prefixLength)
        put(UInt16(0))
        put(interface)
    }

    public mutating func attribute(_ type: UInt16, _ value: UInt8) { attribute(type, integer: value) }
    public mutating func attribute(_ type: UInt16, _ value: UInt16) { attribute(type, integer: value) }
    public mutating func attribute(_ type: UInt16, _ value: UInt32) { attribute(type, integer: value) }
    public mutating func attribute(_ type: UInt16, _ value: MACAddress) {
        put(UInt16(10))
        put(type)
        put(UInt32(truncatingIfNeeded: value.rawValue >> 16).bigEndian)
        put(UInt16(truncatingIfNeeded: value.rawValue).bigEndian)
        put(UInt16(0))
    }
    public mutating func attribute(_ type: UInt16, _ value: IPAddress) {
        switch value {
        case .v4(let address): attribute(type, integer: address.rawValue.bigEndian)
        case .v6(let address):
            put(UInt16(20))
            put(type)
            put(address.high.bigEndian)
            put(address.low.bigEndian)
        }
    }
    /// With the terminating zero octet.
    public mutating func attribute(_ type: UInt16, _ value: String) {
        let text = Array(value.utf8)
        put(UInt16(truncatingIfNeeded: text.count + 5))
        put(type)
        bytes += text
        bytes.append(0)
        pad()
    }
    /// An attribute that holds those which `body` writes.
    public mutating func nest(_ type: UInt16, _ body: (inout NetlinkBatch) -> Void) {
        measured { batch in
            batch.put(type | 0x8000)
            body(&batch)
        }
    }
    /// Two octets that say how long they and what `body` writes are, and that.
    mutating func measured(_ body: (inout NetlinkBatch) -> Void) {
        let offset = bytes.count
        put(UInt16(0))
        body(&self)
        let length = UInt16(truncatingIfNeeded: bytes.count - offset)
        withUnsafeBytes(of: length) { octets in
            bytes[offset] = octets[0]
            bytes[offset + 1] = octets[1]
        }
    }

    private mutating func attribute<T: FixedWidthInteger & BitwiseCopyable>(_ type: UInt16, integer value: T) {
        put(UInt16(truncatingIfNeeded: MemoryLayout<T>.size + 4))
        put(type)
        put(value)
        pad()
    }
    mutating func pad() { while bytes.count & 3 != 0 { bytes.append(0) } }
    @inline(__always) mutating func put<T: FixedWidthInteger & BitwiseCopyable>(_ value: T) {
        withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) }
    }
    private mutating func patch32(at offset: Int, _ value: UInt32) {
        guard count > 0 else { return }
        bytes.withUnsafeMutableBytes { $0.storeBytes(of: value, toByteOffset: offset, as: UInt32.self) }
    }
}

extension UInt32 {
    /// A one-octet field followed by three octets of padding, whatever the host's byte order.
    fileprivate var littleEndianOnWire: UInt32 { littleEndian }
}
