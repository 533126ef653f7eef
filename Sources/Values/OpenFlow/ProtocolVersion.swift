// Versions, message types and the header that every message begins with.

public import NetTypes

/// A version of OpenFlow; the raw value is the one on the wire.
public enum ProtocolVersion: UInt8, CaseIterable, Comparable, Sendable, CustomStringConvertible {
    case v13 = 4
    case v14 = 5
    case v15 = 6

    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    /// As the column `protocols` of a bridge names it: `OpenFlow13`.
    public var description: String { "OpenFlow1\(rawValue - 1)" }

    /// Whether a select group can say how it selects (`Group.selectionMethod`), and buckets have numbers.
    public var hasSelectionMethods: Bool { self >= .v15 }
}

/// Types of messages (OpenFlow 1.3 §7.1, 1.4 §7.1.1).
public enum MessageType: UInt8, Sendable {
    case hello = 0
    case error = 1
    case echoRequest = 2
    case echoReply = 3
    case experimenter = 4
    case featuresRequest = 5
    case featuresReply = 6
    case getConfigRequest = 7
    case getConfigReply = 8
    case setConfig = 9
    case packetIn = 10
    case flowRemoved = 11
    case portStatus = 12
    case packetOut = 13
    case flowMod = 14
    case groupMod = 15
    case multipartRequest = 18
    case multipartReply = 19
    case barrierRequest = 20
    case barrierReply = 21
    case setAsync = 28
    case bundleControl = 33
    case bundleAdd = 34
}

enum MultipartType {
    static let flow: UInt16 = 1
    static let aggregate: UInt16 = 2
    static let table: UInt16 = 3
    static let group: UInt16 = 6
    static let groupDescription: UInt16 = 7
    static let portDescription: UInt16 = 13
}

/// Experimenter of the Open Networking Foundation, whose extension brings bundles to OpenFlow 1.3.
let onfExperimenter: UInt32 = 0x4f4e_4600

/// Subtypes of the extension for bundles.
enum ONFBundle {
    static let control: UInt32 = 2300
    static let add: UInt32 = 2301
}

/// What is done with a bundle; replies are one higher.
public enum BundleControl: UInt16, Sendable {
    case open = 0
    case close = 2
    case commit = 4
    case discard = 6
}

/// The first octets of every message.
///
///     +-------------------------------+
///     |  Version (1)                  |
///     |  Type (1)                     |
///     |  Length (2), header included  |
///     |  Transaction identifier (4)   |
///     +-------------------------------+
public struct MessageHeader: Hashable, Sendable {
    public static let length = 8
    public var version: UInt8
    public var type: UInt8
    /// Of the whole message; at least 8.
    public var messageLength: Int
    public var transaction: UInt32

    public init(decoding reader: inout ByteReader) throws(ByteError) {
        let start = reader.offset
        version = try reader.u8()
        type = try reader.u8()
        messageLength = Int(try reader.u16())
        transaction = try reader.u32()
        guard messageLength >= MessageHeader.length else { throw ByteError("length of a message", at: start + 2) }
    }
}
