// Framing and the messages without inner structure; OPEN and UPDATE have files of their own.

public import NetTypes

/// Message type octets (RFC 4271 §4.1, RFC 2918).
enum MessageType {
    static let open: UInt8 = 1
    static let update: UInt8 = 2
    static let notification: UInt8 = 3
    static let keepalive: UInt8 = 4
    static let routeRefresh: UInt8 = 5
}

///     +----------------------------------+
///     |  Marker (16), all ones           |
///     |  Length (2), header included     |
///     |  Type (1)                        |
///     +----------------------------------+
extension Message {
    /// Length of the fixed header: 16 octets marker, 2 length, 1 type.
    public static let headerLength = 19
    /// What OPEN and KEEPALIVE are limited to whatever was negotiated (RFC 8654 §4).
    static let classicMaximumLength = 4096

    /// Checks a header at the start of `reader` (which must hold at least 19 octets) and returns the whole message's length.
    /// Faults: marker (1/1), length below 19, above `maximumLength` or impossible for the type (1/2), unknown type (1/3).
    public static func frameLength(_ reader: ByteReader, maximumLength: Int) throws(SessionFault) -> Int {
        var reader = reader
        return try header(&reader, maximumLength: maximumLength).length
    }

    /// Reads and checks the 19 octets.
    static func header(_ reader: inout ByteReader, maximumLength: Int) throws(SessionFault)
        -> (length: Int, type: UInt8)
    {
        let high: UInt64
        let low: UInt64
        let length: Int
        let type: UInt8
        do throws(ByteError) {
            high = try reader.u64()
            low = try reader.u64()
            length = Int(try reader.u16())
            type = try reader.u8()
        } catch {
            throw SessionFault(code: 1, subcode: 2, reason: "message header truncated")
        }
        guard high == .max, low == .max else { throw SessionFault(code: 1, subcode: 1, reason: "marker not all ones") }
        let lengthOctets = [UInt8(truncatingIfNeeded: length >> 8), UInt8(truncatingIfNeeded: length)]
        func badLength(_ reason: String) -> SessionFault {
            SessionFault(code: 1, subcode: 2, data: lengthOctets, reason: reason)
        }
        guard length >= headerLength else { throw badLength("message length below 19") }
        guard length <= maximumLength else { throw badLength("message length above the limit") }
        switch type {
        case MessageType.open:
            guard length >= 29, length <= classicMaximumLength else { throw badLength("OPEN length") }
        case MessageType.update: guard length >= 23 else { throw badLength("UPDATE length") }
        case MessageType.notification: guard length >= 21 else { throw badLength("NOTIFICATION length") }
        case MessageType.keepalive: guard length == headerLength else { throw badLength("KEEPALIVE length") }
        case MessageType.routeRefresh: guard length >= 23 else { throw badLength("ROUTE-REFRESH length") }
        default: throw SessionFault(code: 1, subcode: 3, data: [type], reason: "unknown message type")
        }
        return (length, type)
    }

    /// Decodes one whole message, header included. Faults of an UPDATE are in the returned value unless they reset the session.
    public static func decode(_ reader: ByteReader, options: CodecOptions) throws(SessionFault) -> Message {
        var reader = reader
        let whole = reader
        let available = reader.count
        let (length, type) = try header(&reader, maximumLength: options.maximumLength)
        guard length == available else {
            throw SessionFault(code: 1, subcode: 2, reason: "message length differs from the octets present")
        }
        switch type {
        case MessageType.open: return .open(try Open(decoding: &reader))
        case MessageType.update:
            var decoder = UpdateDecoder(options: options, keepsWireAttributes: false)
            try decoder.decode(&reader)
            return .update(decoder.update)
        case MessageType.notification: return .notification(try NotificationMessage(decoding: &reader))
        case MessageType.routeRefresh: return .routeRefresh(try RouteRefresh(decoding: &reader, whole: whole))
        default: return .keepalive
        }
    }

    /// Decodes one whole UPDATE as `decode` does, and returns beside it the path attributes as they stood, in wire order, each
    /// code once (the first of duplicates): what a display needs and a RIB does not.
    public static func decodeUpdate(_ reader: ByteReader, options: CodecOptions) throws(SessionFault)
        -> (update: Update, attributes: [PathAttribute])
    {
        var reader = reader
        let available = reader.count
        let (length, type) = try header(&reader, maximumLength: options.maximumLength)
        guard length == available, type == MessageType.update else {
            throw SessionFault(code: 1, subcode: 2, reason: "not one whole UPDATE")
        }
        var decoder = UpdateDecoder(options: options, keepsWireAttributes: true)
        try decoder.decode(&reader)
        return (decoder.update, decoder.wireAttributes)
    }

    /// The message's octets, header included. An UPDATE becomes its withdrawals, then its announcements: several messages when
    /// it has both or several families (`UpdateEncoder` is the way to make them economically).
    public func encoded(options: CodecOptions = CodecOptions()) -> [UInt8] {
        var writer = ByteWriter(capacity: 64)
        switch self {
        case .open(let open): writer.message(MessageType.open) { open.encode(into: &$0) }
        case .update(let update):
            let encoder = UpdateEncoder(options: options)
            if let family = update.endOfRIB { encoder.endOfRIB(family, into: &writer) }
            for section in update.withdrawn {
                encoder.withdraw(section.routes, family: section.family, into: &writer)
            }
            for section in update.announced {
                encoder.announce(
                    section.routes, family: section.family, attributes: update.attributes, into: &writer)
            }
        case .notification(let notification):
            writer.message(MessageType.notification) {
                $0.u8(notification.code)
                $0.u8(notification.subcode)
                // One NOTIFICATION must fit the smallest maximum, whatever octets it quotes.
                $0.raw(notification.data.prefix(Message.classicMaximumLength - Message.headerLength - 2))
            }
        case .keepalive: writer.message(MessageType.keepalive) { _ in }
        case .routeRefresh(let refresh):
            writer.message(MessageType.routeRefresh) {
                $0.u16(refresh.family.afi)
                $0.u8(refresh.subtype)
                $0.u8(refresh.family.safi)
                $0.raw(refresh.orf)
            }
        }
        return writer.bytes
    }
}

extension ByteWriter {
    /// Writes the header; `endMessage` fills in the length. Returns where the message starts.
    mutating func beginMessage(_ type: UInt8) -> Int {
        let start = count
        u64(.max)
        u64(.max)
        u16(0)
        u8(type)
        return start
    }
    mutating func endMessage(_ start: Int) { patch16(at: start + 16, count - start) }
    mutating func message(_ type: UInt8, _ body: (inout ByteWriter) -> Void) {
        let start = beginMessage(type)
        body(&self)
        endMessage(start)
    }
}

extension NotificationMessage {
    ///     | Error code (1) | Error subcode (1) | Data |
    init(decoding reader: inout ByteReader) throws(SessionFault) {
        do throws(ByteError) {
            let code = try reader.u8()
            let subcode = try reader.u8()
            self.init(code: code, subcode: subcode, data: reader.rest())
        } catch {
            throw SessionFault(code: 1, subcode: 2, reason: "NOTIFICATION length")
        }
    }
}

extension RouteRefresh {
    ///     | AFI (2) | Subtype (1) | SAFI (1) | ORF entries |
    ///
    /// RFC 7313 §5: a begin or end marker with anything behind it is answered by 7/1 and the whole message.
    init(decoding reader: inout ByteReader, whole: ByteReader) throws(SessionFault) {
        do throws(ByteError) {
            let afi = try reader.u16()
            let subtype = try reader.u8()
            let safi = try reader.u8()
            self.init(family: Family(afi: afi, safi: safi), subtype: subtype, orf: reader.rest())
        } catch {
            throw SessionFault(code: 1, subcode: 2, reason: "ROUTE-REFRESH length")
        }
        if subtype == 1 || subtype == 2, !orf.isEmpty {
            var whole = whole
            throw SessionFault(code: 7, subcode: 1, data: whole.rest(), reason: "ROUTE-REFRESH marker length")
        }
    }
}
