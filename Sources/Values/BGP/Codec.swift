// Entry points of the codec. Placeholder bodies: the codec's own files replace them.

public import NetTypes

extension Message {
    /// Length of the fixed header: 16 octets marker, 2 length, 1 type.
    public static let headerLength = 19

    /// Checks a header at the start of `reader` (which must hold at least 19 octets) and returns the whole message's length.
    /// Faults: marker (1/1), length below 19, above `maximumLength` or impossible for the type (1/2), unknown type (1/3).
    public static func frameLength(_ reader: ByteReader, maximumLength: Int) throws(SessionFault) -> Int {
        throw SessionFault(code: 1, subcode: 2, reason: "codec not linked")
    }
    /// Decodes one whole message, header included. Faults of an UPDATE are in the returned value unless they reset the session.
    public static func decode(_ reader: ByteReader, options: CodecOptions) throws(SessionFault) -> Message {
        throw SessionFault(code: 1, subcode: 2, reason: "codec not linked")
    }
    /// The message's octets, header included; UPDATEs are made by `UpdateEncoder`.
    public func encoded(options: CodecOptions = CodecOptions()) -> [UInt8] { [] }
}

/// Packs routes that share attributes into as few UPDATEs as `maximumLength` allows.
public struct UpdateEncoder: Sendable {
    public let options: CodecOptions
    public init(options: CodecOptions) { self.options = options }
    /// Appends UPDATEs that announce `routes` (all of `family`) to `out`; returns how many messages were made.
    @discardableResult
    public func announce(_ routes: [RouteEntry], family: Family, attributes: PathAttributes, into out: inout ByteWriter)
        -> Int
    { 0 }
    @discardableResult public func withdraw(_ routes: [RouteEntry], family: Family, into out: inout ByteWriter) -> Int {
        0
    }
    public func endOfRIB(_ family: Family, into out: inout ByteWriter) {}
}
