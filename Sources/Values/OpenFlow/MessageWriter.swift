// Messages to the switch.

import NetTypes

/// Collects messages of one version in a buffer, to be sent at once.
public struct MessageWriter: Sendable {
    public var version: ProtocolVersion
    var writer: ByteWriter

    public init(version: ProtocolVersion, capacity: Int = 0) {
        self.version = version
        writer = ByteWriter(capacity: capacity)
    }
    public var bytes: [UInt8] { writer.bytes }
    public var count: Int { writer.count }
    /// Forgets the messages and keeps the memory.
    public mutating func removeAll() { writer.removeAll() }

    /// The most octets that a message can have; its length is told in two.
    public static let maximumLength = 65535

    /// Writes a header and what `body` writes; false, and nothing is written, when that is longer than a message can be.
    @discardableResult
    mutating func message(_ type: MessageType, _ transaction: UInt32, _ body: (inout ByteWriter) -> Void) -> Bool {
        let start = begin(type, transaction)
        body(&writer)
        return finish(start)
    }
    mutating func begin(_ type: MessageType, _ transaction: UInt32) -> Int {
        let start = writer.count
        writer.u8(version.rawValue)
        writer.u8(type.rawValue)
        writer.u16(0)
        writer.u32(transaction)
        return start
    }
    mutating func finish(_ start: Int) -> Bool {
        guard writer.count - start <= MessageWriter.maximumLength else {
            writer.truncate(to: start)
            return false
        }
        writer.patch16(at: start + 2, writer.count - start)
        return true
    }

    /// Offers versions: the header has the highest, a bitmap names all (OpenFlow 1.3 §7.5.1).
    public mutating func hello(_ transaction: UInt32, offering versions: Set<ProtocolVersion>) {
        let spoken = version
        version = versions.max() ?? spoken
        message(.hello, transaction) { writer in
            writer.u16(1)
            writer.u16(8)
            writer.u32(versions.reduce(0) { $0 | 1 << UInt32($1.rawValue) })
        }
        version = spoken
    }
    public mutating func echoRequest(_ transaction: UInt32) { message(.echoRequest, transaction) { _ in } }
    /// `octets`: what the request had.
    public mutating func echoReply(_ transaction: UInt32, _ octets: [UInt8]) {
        message(.echoReply, transaction) { $0.raw(octets) }
    }
    public mutating func featuresRequest(_ transaction: UInt32) { message(.featuresRequest, transaction) { _ in } }
    public mutating func barrier(_ transaction: UInt32) { message(.barrierRequest, transaction) { _ in } }
    public mutating func getConfig(_ transaction: UInt32) { message(.getConfigRequest, transaction) { _ in } }
    /// How many octets of a packet without a flow come along. On a management socket any other than 0 asks for all kinds of
    /// notifications, packets included (Open vSwitch, "service" connections).
    public mutating func setConfig(_ transaction: UInt32, missSendLength: UInt16) {
        message(.setConfig, transaction) { writer in
            writer.u16(0)
            writer.u16(missSendLength)
        }
    }

    /// Which notifications this connection gets: bits by reason (OpenFlow 1.3 §7.3.10, 1.5 §7.3.10).
    public mutating func setAsync(_ transaction: UInt32, _ wanted: Notifications) {
        let masks = [wanted.packetIn, wanted.portStatus, wanted.flowRemoved]
        message(.setAsync, transaction) { [version] writer in
            for (index, mask) in masks.enumerated() {
                if version == .v13 {
                    // Second the one for a controller in the role of a slave.
                    writer.u32(mask)
                    writer.u32(0)
                } else {
                    writer.u16(UInt16(2 * index + 1))
                    writer.u16(8)
                    writer.u32(mask)
                }
            }
        }
    }

    public mutating func bundle(_ control: BundleControl, _ transaction: UInt32, bundle: UInt32) {
        func body(_ writer: inout ByteWriter) {
            writer.u32(bundle)
            writer.u16(control.rawValue)
            // Atomic and in order.
            writer.u16(3)
        }
        if version == .v13 {
            message(.experimenter, transaction) { writer in
                writer.u32(onfExperimenter)
                writer.u32(ONFBundle.control)
                body(&writer)
            }
        } else {
            message(.bundleControl, transaction, body)
        }
    }

    /// Begins a message that adds another to a bundle.
    mutating func beginBundleAdd(_ transaction: UInt32, bundle: UInt32) -> Int {
        let start = begin(version == .v13 ? .experimenter : .bundleAdd, transaction)
        if version == .v13 {
            writer.u32(onfExperimenter)
            writer.u32(ONFBundle.add)
        }
        writer.u32(bundle)
        writer.u16(0)
        writer.u16(3)
        return start
    }

    /// Asks for the flows with this cookie, of one table or all.
    public mutating func flowStats(_ transaction: UInt32, _ filter: FlowFilter) {
        multipart(MultipartType.flow, transaction) { $0.filter(filter) }
    }
    /// Asks how many flows, packets and octets there are.
    public mutating func aggregateStats(_ transaction: UInt32, _ filter: FlowFilter) {
        multipart(MultipartType.aggregate, transaction) { $0.filter(filter) }
    }
    public mutating func tableStats(_ transaction: UInt32) { multipart(MultipartType.table, transaction) { _ in } }
    public mutating func groupStats(_ transaction: UInt32) {
        multipart(MultipartType.group, transaction) { writer in
            writer.u32(Group.all)
            writer.u32(0)
        }
    }
    public mutating func groupDescriptions(_ transaction: UInt32) {
        multipart(MultipartType.groupDescription, transaction) { [version] writer in
            if version < .v15 { return }
            writer.u32(Group.all)
            writer.u32(0)
        }
    }
    public mutating func portDescriptions(_ transaction: UInt32) {
        multipart(MultipartType.portDescription, transaction) { [version] writer in
            if version < .v15 { return }
            writer.u32(PortNumber.any.rawValue)
            writer.u32(0)
        }
    }
    private mutating func multipart(_ type: UInt16, _ transaction: UInt32, _ body: (inout ByteWriter) -> Void) {
        message(.multipartRequest, transaction) { writer in
            writer.u16(type)
            writer.u16(0)
            writer.u32(0)
            body(&writer)
        }
    }

    /// Sends a packet through the flow tables or to ports: `actions` are done to it as if it came from `port`. False when it is too long.
    @discardableResult
    public mutating func packetOut(
        _ transaction: UInt32, _ packet: [UInt8], from port: PortNumber, actions: [Action]
    ) -> Bool {
        message(.packetOut, transaction) { [version] writer in
            writer.u32(noBuffer)
            if version < .v15 { writer.u32(port.rawValue) }
            let length = writer.count
            writer.u16(0)
            if version < .v15 { writer.u48(0) } else { writer.u16(0) }
            if version >= .v15 { writer.match(Match(.inPort(port))) }
            let start = writer.count
            writer.actions(actions, version)
            writer.patch16(at: length, writer.count - start)
            writer.raw(packet)
        }
    }
}

/// Bits by reason of what a connection is told unasked.
public struct Notifications: Hashable, Sendable {
    var packetIn: UInt32 = 0
    var portStatus: UInt32 = 0
    var flowRemoved: UInt32 = 0

    /// Ports that come, go and change.
    public static let ports = Notifications(portStatus: 0b111)
    /// The same; packets that an action sends (OFPR_ACTION, and in a table-miss flow OFPR_NO_MATCH; from OpenFlow 1.4 on also those of
    /// groups and packet-out), not those whose time to live ended; flows that end by their timeouts.
    public static let learning = Notifications(packetIn: 0b111011, portStatus: 0b111, flowRemoved: 0b11)
}

/// Flows by the bits of their cookies.
public struct FlowFilter: Hashable, Sendable {
    /// Nil: all.
    public var table: UInt8?
    public var cookie: UInt64
    public var cookieMask: UInt64
    public init(table: UInt8? = nil, cookie: UInt64 = 0, cookieMask: UInt64 = 0) {
        self.table = table
        self.cookie = cookie
        self.cookieMask = cookieMask
    }
}

/// The packet comes along whole instead of waiting in a buffer of the switch.
let noBuffer: UInt32 = 0xffff_ffff

extension ByteWriter {
    mutating func filter(_ filter: FlowFilter) {
        u8(filter.table ?? 0xff)
        u24(0)
        u32(PortNumber.any.rawValue)
        u32(Group.any)
        u32(0)
        u64(filter.cookie)
        u64(filter.cookieMask)
        match(.any)
    }

    /// Type 1 (OXM), length without padding, the list, zeroes up to a multiple of 8.
    mutating func match(_ match: Match) {
        let start = count
        u16(1)
        u16(UInt16(truncatingIfNeeded: match.octets.count + 4))
        raw(match.octets)
        pad(from: start)
    }
}
