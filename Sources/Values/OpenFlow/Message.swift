// Messages from the switch.

public import NetTypes

/// A message that a connection understands; any other is `other`.
public enum Message: Hashable, Sendable {
    /// The versions that the switch offers, as on the wire, those included that this module does not speak.
    case hello(versions: Set<UInt8>)
    case error(SwitchError)
    case echoRequest([UInt8])
    case echoReply
    case features(SwitchFeatures)
    case configuration(missSendLength: UInt16)
    case packetIn(PacketIn)
    case flowRemoved(FlowRemoved)
    case portStatus(PortChange, PortDescription)
    case barrierReply
    /// The answer to an open, commit, …; nil: to something else.
    case bundleReply(BundleControl?, bundle: UInt32)
    case multipart(MultipartReply, isLast: Bool)
    case other(type: UInt8)

    /// `reader` has one whole message without its header.
    public init(_ header: MessageHeader, _ version: ProtocolVersion, decoding reader: inout ByteReader)
        throws(ByteError)
    {
        guard let type = MessageType(rawValue: header.type) else {
            self = .other(type: header.type)
            return
        }
        switch type {
        case .hello: self = .hello(versions: try Message.versions(header.version, &reader))
        case .error: self = .error(try SwitchError(decoding: &reader))
        case .echoRequest: self = .echoRequest(reader.rest())
        case .echoReply: self = .echoReply
        case .featuresReply: self = .features(try SwitchFeatures(decoding: &reader))
        case .getConfigReply:
            try reader.skip(2)
            self = .configuration(missSendLength: try reader.u16())
        case .packetIn: self = .packetIn(try PacketIn(decoding: &reader))
        case .flowRemoved: self = .flowRemoved(try FlowRemoved(version, decoding: &reader))
        case .portStatus:
            let change = PortChange(rawValue: try reader.u8())
            try reader.skip(7)
            guard let change else { throw ByteError("reason of a port status", at: reader.offset - 8) }
            self = .portStatus(change, try PortDescription(version, decoding: &reader))
        case .barrierReply: self = .barrierReply
        case .bundleControl: self = try Message.bundleReply(&reader)
        case .experimenter:
            guard try reader.u32() == onfExperimenter, try reader.u32() == ONFBundle.control else {
                self = .other(type: header.type)
                return
            }
            self = try Message.bundleReply(&reader)
        case .multipartReply:
            let type = try reader.u16()
            let isLast = try reader.u16() & 1 == 0
            try reader.skip(4)
            self = .multipart(try MultipartReply(type, version, decoding: &reader), isLast: isLast)
        case .featuresRequest, .getConfigRequest, .setConfig, .packetOut, .flowMod, .groupMod, .multipartRequest,
            .barrierRequest, .setAsync, .bundleAdd:
            self = .other(type: header.type)
        }
    }

    private static func bundleReply(_ reader: inout ByteReader) throws(ByteError) -> Message {
        let bundle = try reader.u32()
        let type = try reader.u16()
        return .bundleReply(type & 1 == 1 ? BundleControl(rawValue: type - 1) : nil, bundle: bundle)
    }

    /// A bitmap if there is one; otherwise all up to the version of the header (OpenFlow 1.3 §6.3.1).
    private static func versions(_ highest: UInt8, _ reader: inout ByteReader) throws(ByteError) -> Set<UInt8> {
        while reader.count >= 4 {
            let type = try reader.u16()
            let length = Int(try reader.u16())
            var body = try reader.take(length - 4)
            // Elements are padded to multiples of 8, which their length does not tell.
            try reader.skip(min(reader.count, (8 - length % 8) % 8))
            guard type == 1 else { continue }
            var versions: Set<UInt8> = []
            var first: UInt8 = 0
            while body.count >= 4, first < 0xe0 {
                let bits = try body.u32()
                for bit in 0..<UInt8(32) where bits >> UInt32(bit) & 1 == 1 { versions.insert(first + bit) }
                first += 32
            }
            return versions
        }
        return Set(1...max(1, highest))
    }
}

/// The answer to a features request.
public struct SwitchFeatures: Hashable, Sendable {
    public var datapathID: UInt64
    public var tables: UInt8

    init(decoding reader: inout ByteReader) throws(ByteError) {
        datapathID = try reader.u64()
        try reader.skip(4)
        tables = try reader.u8()
    }
}

/// A packet that a flow sent to the controllers.
public struct PacketIn: Hashable, Sendable {
    /// OFPR_…: 0 a table-miss flow (before OpenFlow 1.4 by OpenFlow's definition of it), 1 an action, 2 its time to live ended.
    public var reason: UInt8
    /// Table and cookie of the flow.
    public var table: UInt8
    public var cookie: UInt64
    /// What the switch knows of the packet that is not in it: `inPort`, tunnel, registers.
    public var metadata: Match
    /// From the Ethernet header on.
    public var packet: [UInt8]

    ///     +-----------------------------------------------------------------+
    ///     |  Buffer (4), length of the packet (2), reason (1), table (1)    |
    ///     |  Cookie (8)                                                     |
    ///     |  Match, padded                                                  |
    ///     |  Zero (2)                                                       |
    ///     |  Packet                                                         |
    ///     +-----------------------------------------------------------------+
    init(decoding reader: inout ByteReader) throws(ByteError) {
        try reader.skip(6)
        reason = try reader.u8()
        table = try reader.u8()
        cookie = try reader.u64()
        metadata = try reader.match()
        try reader.skip(2)
        packet = reader.rest()
    }
}

/// A flow with `reportsRemoval` ended.
public struct FlowRemoved: Hashable, Sendable {
    public enum Reason: Hashable, Sendable {
        case idleTimeout, hardTimeout, deleted, other(UInt8)
        init(rawValue: UInt8) {
            switch rawValue {
            case 0: self = .idleTimeout
            case 1: self = .hardTimeout
            case 2: self = .deleted
            default: self = .other(rawValue)
            }
        }
    }
    public var key: FlowKey
    public var cookie: UInt64
    public var reason: Reason
    public var packets: UInt64
    public var bytes: UInt64

    init(_ version: ProtocolVersion, decoding reader: inout ByteReader) throws(ByteError) {
        if version >= .v15 {
            let table = try reader.u8()
            reason = Reason(rawValue: try reader.u8())
            let priority = try reader.u16()
            try reader.skip(4)
            cookie = try reader.u64()
            key = FlowKey(table: table, priority: priority, match: try reader.match())
            let counters = try FlowCounters(decoding: &reader)
            (packets, bytes) = (counters.packets, counters.bytes)
        } else {
            cookie = try reader.u64()
            let priority = try reader.u16()
            reason = Reason(rawValue: try reader.u8())
            let table = try reader.u8()
            // Duration (8), idle timeout (2), hard timeout (2).
            try reader.skip(12)
            packets = try reader.u64()
            bytes = try reader.u64()
            key = FlowKey(table: table, priority: priority, match: try reader.match())
        }
    }
}

public enum PortChange: UInt8, Hashable, Sendable {
    case added, removed, modified
}

public struct PortDescription: Hashable, Sendable {
    public var number: PortNumber
    public var mac: MACAddress
    /// Of the interface, up to 15 octets.
    public var name: String
    public var isAdministrativelyDown: Bool
    public var hasNoCarrier: Bool

    ///     +---------------------------------------------------------------------+
    ///     |  Number (4), then zero (4), or from 1.4 on length (2), zero (2)     |
    ///     |  MAC address (6), zero (2)                                          |
    ///     |  Name (16)                                                          |
    ///     |  Configuration (4), state (4)                                       |
    ///     |  Speeds and features (24), or from 1.4 on properties                |
    ///     +---------------------------------------------------------------------+
    init(_ version: ProtocolVersion, decoding reader: inout ByteReader) throws(ByteError) {
        let start = reader.offset
        number = PortNumber(rawValue: try reader.u32())
        let length = Int(try reader.u16())
        try reader.skip(2)
        mac = try reader.mac()
        try reader.skip(2)
        name = String(decoding: try reader.bytes(16).prefix { $0 != 0 }, as: UTF8.self)
        isAdministrativelyDown = try reader.u32() & 1 != 0
        hasNoCarrier = try reader.u32() & 1 != 0
        try reader.skip((version >= .v14 ? length : 64) - (reader.offset - start))
    }
}

extension ByteReader {
    /// Type 1, length without padding, an OXM list, padding.
    mutating func match() throws(ByteError) -> Match {
        let start = offset
        guard try u16() == 1 else { throw ByteError("type of a match", at: start) }
        let length = Int(try u16())
        var list = try take(length - 4)
        try skip((8 - length % 8) % 8)
        return try Match(decoding: &list)
    }
}
