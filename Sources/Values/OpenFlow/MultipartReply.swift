// Statistics and descriptions, which come in several messages.

import NetTypes

public enum MultipartReply: Hashable, Sendable {
    case flows([FlowEntry])
    case aggregate(FlowCounters)
    case tables([TableCounters])
    case groups([Group])
    case groupCounters([GroupCounters])
    case ports([PortDescription])
    case other(type: UInt16)

    init(_ type: UInt16, _ version: ProtocolVersion, decoding reader: inout ByteReader) throws(ByteError) {
        switch type {
        case MultipartType.flow:
            var flows: [FlowEntry] = []
            while !reader.isEmpty { flows.append(try FlowEntry(version, decoding: &reader)) }
            self = .flows(flows)
        case MultipartType.aggregate:
            if version >= .v15 {
                self = .aggregate(try FlowCounters(decoding: &reader))
            } else {
                self = .aggregate(
                    FlowCounters(packets: try reader.u64(), bytes: try reader.u64(), flows: try reader.u32()))
            }
        case MultipartType.table:
            var tables: [TableCounters] = []
            while !reader.isEmpty { tables.append(try TableCounters(decoding: &reader)) }
            self = .tables(tables)
        case MultipartType.groupDescription:
            var groups: [Group] = []
            while !reader.isEmpty { groups.append(try Group(version, decoding: &reader)) }
            self = .groups(groups)
        case MultipartType.group:
            var groups: [GroupCounters] = []
            while !reader.isEmpty { groups.append(try GroupCounters(decoding: &reader)) }
            self = .groupCounters(groups)
        case MultipartType.portDescription:
            var ports: [PortDescription] = []
            while !reader.isEmpty { ports.append(try PortDescription(version, decoding: &reader)) }
            self = .ports(ports)
        default: self = .other(type: type)
        }
    }
}

/// A flow of the switch and what went through it.
public struct FlowEntry: Hashable, Sendable {
    public var flow: Flow
    public var counters: FlowCounters

    ///     +------------------------------------------------------------------+
    ///     |  Length (2), table (1), zero (1)                                 |
    ///     |  Duration (8)                                                    |
    ///     |  Priority (2), idle timeout (2), hard timeout (2), flags (2)     |
    ///     |  Zero (4)                                                        |
    ///     |  Cookie (8), packets (8), octets (8)                             |
    ///     |  Match, padded                                                   |
    ///     |  Instructions                                                    |
    ///     +------------------------------------------------------------------+
    ///
    /// OpenFlow 1.5 has two more zero octets after the length, no duration, packets and octets, two octets less after the flags, and
    /// statistics (`FlowCounters`) after the match.
    init(_ version: ProtocolVersion, decoding reader: inout ByteReader) throws(ByteError) {
        let start = reader.offset
        let length = Int(try reader.u16())
        guard length > 2 else { throw ByteError("length of a flow", at: start) }
        var body = try reader.take(length - 2)
        if version >= .v15 { try body.skip(2) }
        let table = try body.u8()
        try body.skip(1)
        if version < .v15 { try body.skip(8) }
        let priority = try body.u16()
        let idleTimeout = try body.u16()
        let hardTimeout = try body.u16()
        let flags = Flow.Flags(rawValue: try body.u16())
        try body.skip(version >= .v15 ? 2 : 4)
        let cookie = try body.u64()
        counters = FlowCounters()
        if version < .v15 {
            counters.packets = try body.u64()
            counters.bytes = try body.u64()
        }
        let match = try body.match()
        if version >= .v15 { counters = try FlowCounters(decoding: &body) }
        flow = Flow(
            FlowKey(table: table, priority: priority, match: match), cookie: cookie,
            actions: try Action.instructions(&body), idleTimeout: idleTimeout, hardTimeout: hardTimeout, flags: flags)
    }
}

public struct FlowCounters: Hashable, Sendable {
    public var packets: UInt64
    public var bytes: UInt64
    /// Only of several flows together.
    public var flows: UInt32
    public init(packets: UInt64 = 0, bytes: UInt64 = 0, flows: UInt32 = 0) {
        self.packets = packets
        self.bytes = bytes
        self.flows = flows
    }

    /// OpenFlow 1.5 §7.2.4: zero (2), length without padding (2), entries like those of a match but of class 0x8002, padding.
    init(decoding reader: inout ByteReader) throws(ByteError) {
        self.init()
        try reader.skip(2)
        let length = Int(try reader.u16())
        var list = try reader.take(length - 4)
        try reader.skip((8 - length % 8) % 8)
        while !list.isEmpty {
            let header = try OXMHeader(decoding: &list)
            var value = try list.take(header.length)
            guard header.code >> 7 == 0x8002 else { continue }
            switch header.code & 0x7f {
            case 3: flows = try value.u32()
            case 4: packets = try value.u64()
            case 5: bytes = try value.u64()
            default: break
            }
        }
    }
}

/// What was looked up in one table.
public struct TableCounters: Hashable, Sendable {
    public var table: UInt8
    public var flows: UInt32
    public var lookups: UInt64
    public var matches: UInt64

    init(decoding reader: inout ByteReader) throws(ByteError) {
        table = try reader.u8()
        try reader.skip(3)
        flows = try reader.u32()
        lookups = try reader.u64()
        matches = try reader.u64()
    }
}

/// What went through a group and each of its buckets.
public struct GroupCounters: Hashable, Sendable {
    public var id: UInt32
    public var packets: UInt64
    public var bytes: UInt64
    public var buckets: [FlowCounters]

    init(decoding reader: inout ByteReader) throws(ByteError) {
        let start = reader.offset
        let length = Int(try reader.u16())
        guard length > 2 else { throw ByteError("length of a group", at: start) }
        var body = try reader.take(length - 2)
        try body.skip(2)
        id = try body.u32()
        // How many flows use it (4), zero (4).
        try body.skip(8)
        packets = try body.u64()
        bytes = try body.u64()
        // Duration.
        try body.skip(8)
        buckets = []
        while !body.isEmpty { buckets.append(FlowCounters(packets: try body.u64(), bytes: try body.u64())) }
    }
}
