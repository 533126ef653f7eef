// Attributes that evpnd carries as octets but the API spells out: put together again as they were on the wire.

import BGP
import NetTypes

enum RareAttribute {
    private enum IPv6CommunityKind: Int, MessageKind {
        case address = 1
        case redirect = 2
        static let names: [(kind: Self, name: StaticString)] = [
            (.address, "IPv6AddressSpecificExtended"), (.redirect, "RedirectIPv6AddressSpecificExtended"),
        ]
    }
    private enum TunnelKind: Int, MessageKind {
        case unknown = 1
        case encapsulation = 2
        case protocolType = 3
        case color = 4
        case egressEndpoint = 5
        case udpPort = 6
        static let names: [(kind: Self, name: StaticString)] = [
            (.encapsulation, "TunnelEncapSubTLVEncapsulation"), (.protocolType, "TunnelEncapSubTLVProtocol"),
            (.color, "TunnelEncapSubTLVColor"), (.egressEndpoint, "TunnelEncapSubTLVEgressEndpoint"),
            (.udpPort, "TunnelEncapSubTLVUDPDestPort"), (.unknown, "TunnelEncapSubTLVUnknown"),
        ]
    }

    /// The varints and the bytes or text of a small message.
    private struct Parts {
        var numbers: (UInt64, UInt64, UInt64) = (0, 0, 0)
        var last: ProtobufField?
        init(_ reader: ProtobufReader) throws(ByteError) {
            var reader = reader
            while let field = try reader.next() {
                switch (field.type, field.number) {
                case (.varint, 1): numbers.0 = try field.uint64()
                case (.varint, 2): numbers.1 = try field.uint64()
                case (.varint, 4): numbers.2 = try field.uint64()
                case (.bytes, _): last = field
                default: break
                }
            }
        }
        func octets() throws(ByteError) -> [UInt8] { try last?.bytes() ?? [] }
    }

    /// RFC 5701 §2: type (1), sub-type (1), address (16), number (2).
    static func ipv6Communities(_ reader: ProtobufReader, _ generation: APIGeneration) throws(ByteError) -> [UInt8]? {
        var writer = ByteWriter()
        var reader = reader
        while let field = try reader.next() {
            guard field.number == 1 else { continue }
            guard let typed = try TypedMessage<IPv6CommunityKind>(try field.message(), generation),
                let kind = typed.kind
            else { return nil }
            let parts = try Parts(typed.content)
            guard let text = parts.last, case .v6(let address)? = try BorrowedText(text).address(isV6: true),
                writer.count < 65535 - 20
            else { throw ByteError("IPv6 extended community", at: field.offset) }
            switch kind {
            case .address:
                writer.u8(parts.numbers.0 == 0 ? 0x40 : 0)
                writer.u8(UInt8(truncatingIfNeeded: parts.numbers.1))
                writer.ipv6(address)
                writer.u16(UInt16(truncatingIfNeeded: parts.numbers.2))
            case .redirect:
                writer.u8(0)
                writer.u8(0x0b)
                writer.ipv6(address)
                writer.u16(UInt16(truncatingIfNeeded: parts.numbers.1))
            }
        }
        return writer.count == 0 ? nil : writer.bytes
    }

    /// RFC 9012 §2: TLVs of type (2) and length (2), in them sub-TLVs of type (1), length (1, or 2 from type 128) and value.
    static func tunnelEncapsulation(_ reader: ProtobufReader, _ generation: APIGeneration) throws(ByteError)
        -> [UInt8]?
    {
        var writer = ByteWriter()
        var reader = reader
        while let field = try reader.next() {
            guard field.number == 1 else { continue }
            var content = try field.message()
            var type: UInt32 = 0
            var inner = ByteWriter()
            while let part = try content.next() {
                if part.number == 1 { type = try part.uint32() }
                guard part.number == 2 else { continue }
                guard let typed = try TypedMessage<TunnelKind>(try part.message(), generation), let kind = typed.kind,
                    let sub = try subTLV(kind, Parts(typed.content)), sub.value.count < 256 || sub.type >= 128
                else { return nil }
                inner.u8(sub.type)
                if sub.type < 128 {
                    inner.u8(UInt8(truncatingIfNeeded: sub.value.count))
                } else {
                    inner.u16(UInt16(clamping: sub.value.count))
                }
                inner.raw(sub.value)
                guard inner.count <= 0xffff else { return nil }
            }
            writer.u16(UInt16(truncatingIfNeeded: type))
            writer.u16(UInt16(truncatingIfNeeded: inner.count))
            writer.raw(inner.bytes)
            guard writer.count <= 0xffff else { return nil }
        }
        return writer.count == 0 ? nil : writer.bytes
    }

    private static func subTLV(_ kind: TunnelKind, _ parts: Parts) throws(ByteError) -> (type: UInt8, value: [UInt8])? {
        var writer = ByteWriter()
        switch kind {
        case .unknown: return (UInt8(truncatingIfNeeded: parts.numbers.0), try parts.octets())
        case .encapsulation:
            writer.u32(UInt32(truncatingIfNeeded: parts.numbers.0))
            writer.raw(try parts.octets())
            return (1, writer.bytes)
        case .protocolType:
            writer.u16(UInt16(truncatingIfNeeded: parts.numbers.0))
            return (2, writer.bytes)
        case .color:
            writer.u64(0x030b_0000 << 32 | parts.numbers.0 & 0xffff_ffff)
            return (4, writer.bytes)
        case .egressEndpoint:
            guard let text = parts.last, let address = try BorrowedText(text).address else { return nil }
            // RFC 9012 §3.1: reserved (4), address family (2), address.
            writer.u32(0)
            writer.u16(address.isV6 ? 2 : 1)
            writer.ip(address)
            return (6, writer.bytes)
        case .udpPort:
            writer.u16(UInt16(truncatingIfNeeded: parts.numbers.0))
            return (8, writer.bytes)
        }
    }
}
