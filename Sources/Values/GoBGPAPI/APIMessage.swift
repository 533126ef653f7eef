// Messages of the API as Swift values. Each lists its fields once, and the list serves to write and to read.

import BGP
public import NetTypes

/// A message of GoBGP's API. Both generations number the fields of the messages here alike; where they differ, `fields` asks
/// the coder's generation.
public protocol APIMessage: Hashable, Sendable {
    init()
    /// Names every field to `coder`, in the order of their numbers.
    mutating func fields(_ coder: inout FieldCoder)
    /// Encoded fields that were read without being known. A message that is read, changed and sent back to replace what the
    /// daemon has (UpdatePeer) stores them, or settings that this version does not know would be lost; others drop them.
    var unknownFields: [UInt8] { get set }
}

extension APIMessage {
    public var unknownFields: [UInt8] {
        get { [] }
        set {}
    }
    /// Reads an encoded message; fields that are not known are skipped.
    public init(decoding bytes: UnsafeRawBufferPointer, _ generation: APIGeneration) throws(ByteError) {
        self.init()
        try FieldCoder.read(ProtobufReader(bytes), into: &self, generation)
    }
    public init(decoding bytes: [UInt8], _ generation: APIGeneration) throws(ByteError) {
        var result = Self()
        try bytes.withProtobufReader { reader throws(ByteError) in
            try FieldCoder.read(reader, into: &result, generation)
        }
        self = result
    }
    public func encoded(_ generation: APIGeneration) -> [UInt8] {
        var writer = ProtobufWriter()
        FieldCoder.write(self, into: &writer, generation)
        return writer.bytes
    }
}

/// A message without fields: many requests, and the replies of most calls.
public struct EmptyMessage: APIMessage {
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {}
}

/// A message whose only field, number 1, is another message.
public struct Wrapped<Content: APIMessage>: APIMessage {
    public var content: Content?
    public init() {}
    public init(_ content: Content) { self.content = content }
    public mutating func fields(_ coder: inout FieldCoder) { coder.message(1, &content) }
}

/// An enumeration of the API. Raw values are those of v3.
public protocol APIEnumeration: RawRepresentable, Hashable, Sendable where RawValue == UInt64 {
    /// Whether v4 counts from 1, with 0 for "unspecified".
    static var isShifted: Bool { get }
}
extension APIEnumeration {
    public static var isShifted: Bool { true }
    func number(_ generation: APIGeneration) -> UInt64 {
        Self.isShifted && generation == .v4 ? rawValue &+ 1 : rawValue
    }
    /// Nil for a number that means nothing here.
    init?(number: UInt64, _ generation: APIGeneration) {
        guard Self.isShifted, generation == .v4 else {
            self.init(rawValue: number)
            return
        }
        guard number > 0 else { return nil }
        self.init(rawValue: number - 1)
    }
}

/// Writes every field that a message names, or reads one field that came into the place of the message that names its number.
///
/// Its methods are not inlined: hundreds of fields are named, and each would be a copy. Paths, of which there are many, are written and
/// read by hand.
public struct FieldCoder {
    public let generation: APIGeneration
    /// Elements that one list in a message may have.
    public static let listLimit = 65536
    /// Octets of unknown fields that one message may keep; what comes after is dropped.
    public static let unknownLimit = 4096

    private var writer: ProtobufWriter
    /// The field to be placed; nil while writing.
    private let incoming: ProtobufField?
    private var failure: ByteError?
    /// Whether a field of the message had the incoming number.
    private var isKnown = false

    static func write(_ message: some APIMessage, into writer: inout ProtobufWriter, _ generation: APIGeneration) {
        var message = message
        var coder = FieldCoder(generation: generation, writer: writer, incoming: nil)
        // The buffer must have one owner, or the first byte would copy it.
        writer = ProtobufWriter()
        message.fields(&coder)
        writer = coder.writer
        writer.fields(message.unknownFields)
    }
    static func read(_ reader: ProtobufReader, into message: inout some APIMessage, _ generation: APIGeneration)
        throws(ByteError)
    {
        var reader = reader
        while true {
            let rest = reader.remaining
            guard let field = try reader.next() else { return }
            var coder = FieldCoder(generation: generation, writer: ProtobufWriter(), incoming: field)
            message.fields(&coder)
            if let failure = coder.failure { throw failure }
            let size = rest.count - reader.count
            if !coder.isKnown, message.unknownFields.count + size <= unknownLimit {
                message.unknownFields += rest[..<size]
            }
        }
    }
    private init(generation: APIGeneration, writer: ProtobufWriter, incoming: ProtobufField?) {
        self.generation = generation
        self.writer = writer
        self.incoming = incoming
    }

    /// Places the incoming field with `read` when it has this number, or writes with `write`.
    private mutating func code(
        _ number: Int, read: (ProtobufField) throws(ByteError) -> Void, write: (inout ProtobufWriter) -> Void
    ) {
        guard let incoming else { return write(&writer) }
        guard incoming.number == number else { return }
        isKnown = true
        do throws(ByteError) { try read(incoming) } catch { failure = failure ?? error }
    }

    @inline(never) public mutating func uint32(_ number: Int, _ value: inout UInt32) {
        code(
            number, read: { field throws(ByteError) in value = try field.uint32() }, write: { $0.uint32(number, value) }
        )
    }
    @inline(never) public mutating func int32(_ number: Int, _ value: inout Int32) {
        code(
            number, read: { field throws(ByteError) in value = try field.int32() },
            write: { $0.int64(number, Int64(value)) })
    }
    @inline(never) public mutating func int64(_ number: Int, _ value: inout Int64) {
        code(number, read: { field throws(ByteError) in value = try field.int64() }, write: { $0.int64(number, value) })
    }
    @inline(never) public mutating func uint64(_ number: Int, _ value: inout UInt64) {
        code(
            number, read: { field throws(ByteError) in value = try field.uint64() }, write: { $0.uint64(number, value) }
        )
    }
    @inline(never) public mutating func bool(_ number: Int, _ value: inout Bool) {
        code(number, read: { field throws(ByteError) in value = try field.bool() }, write: { $0.bool(number, value) })
    }
    @inline(never) public mutating func string(_ number: Int, _ value: inout String) {
        code(
            number, read: { field throws(ByteError) in value = try field.string() }, write: { $0.string(number, value) }
        )
    }
    @inline(never) public mutating func bytes(_ number: Int, _ value: inout [UInt8]) {
        code(
            number, read: { field throws(ByteError) in value = try field.bytes() }, write: { $0.octets(number, value) })
    }
    @inline(never) public mutating func uint32s(_ number: Int, _ value: inout [UInt32]) {
        code(
            number,
            read: { field throws(ByteError) in try field.appendUInt32s(to: &value, limit: FieldCoder.listLimit) },
            write: { $0.uint32s(number, value) })
    }
    @inline(never) public mutating func strings(_ number: Int, _ value: inout [String]) {
        code(
            number,
            read: { field throws(ByteError) in
                try FieldCoder.append(try field.string(), to: &value, at: field.offset)
            },
            write: { for element in value { $0.element(number, element.utf8) } })
    }
    /// A number that is not known leaves `value` alone.
    @inline(never) public mutating func enumeration<E: APIEnumeration>(_ number: Int, _ value: inout E) {
        let generation = generation
        code(
            number,
            read: { field throws(ByteError) in value = E(number: try field.uint64(), generation) ?? value },
            write: { $0.uint64(number, value.number(generation)) })
    }
    @inline(never) public mutating func enumeration<E: APIEnumeration>(_ number: Int, _ value: inout E?) {
        let generation = generation
        code(
            number, read: { field throws(ByteError) in value = E(number: try field.uint64(), generation) },
            write: { if let value { $0.uint64(number, value.number(generation)) } })
    }
    /// A message that is not written while all its fields are at their defaults.
    @inline(never) public mutating func message<M: APIMessage>(_ number: Int, _ value: inout M) {
        let generation = generation
        code(
            number,
            read: { field throws(ByteError) in try FieldCoder.read(try field.message(), into: &value, generation) },
            write: { writer in
                guard value != M() else { return }
                writer.message(number) { FieldCoder.write(value, into: &$0, generation) }
            })
    }
    /// A message whose presence means something.
    @inline(never) public mutating func message<M: APIMessage>(_ number: Int, _ value: inout M?) {
        let generation = generation
        code(
            number,
            read: { field throws(ByteError) in
                var content = value ?? M()
                try FieldCoder.read(try field.message(), into: &content, generation)
                value = content
            },
            write: { writer in
                guard let value else { return }
                writer.message(number) { FieldCoder.write(value, into: &$0, generation) }
            })
    }
    @inline(never) public mutating func messages<M: APIMessage>(_ number: Int, _ value: inout [M]) {
        let generation = generation
        code(
            number,
            read: { field throws(ByteError) in
                var content = M()
                try FieldCoder.read(try field.message(), into: &content, generation)
                try FieldCoder.append(content, to: &value, at: field.offset)
            },
            write: { writer in
                for element in value {
                    writer.message(number) { FieldCoder.write(element, into: &$0, generation) }
                }
            })
    }
    /// A message written by hand, such as a path.
    @inline(never) mutating func custom(
        _ number: Int, read: (ProtobufReader) throws(ByteError) -> Void, write: (inout ProtobufWriter) -> Void
    ) {
        code(number, read: { field throws(ByteError) in try read(try field.message()) }, write: write)
    }
    @inline(never) mutating func family(_ number: Int, _ value: inout Family?) {
        code(
            number, read: { field throws(ByteError) in value = try Family(try field.message()) },
            write: { if let value { $0.family(number, value) } })
    }
    @inline(never) mutating func families(_ number: Int, _ value: inout [Family]) {
        code(
            number,
            read: { field throws(ByteError) in
                try FieldCoder.append(try Family(try field.message()), to: &value, at: field.offset)
            },
            write: { for family in value { $0.family(number, family) } })
    }
    /// A `google.protobuf.Timestamp`.
    @inline(never) mutating func time(_ number: Int, _ value: inout APITime?) {
        code(
            number, read: { field throws(ByteError) in value = try APITime(try field.message()) },
            write: { if let value { $0.time(number, value) } })
    }
    static func append<T>(_ element: T, to list: inout [T], at offset: Int) throws(ByteError) {
        guard list.count < listLimit else { throw ByteError("more than \(listLimit) elements", at: offset) }
        list.append(element)
    }
}

/// A point in UTC: a `google.protobuf.Timestamp`.
public struct APITime: Hashable, Sendable {
    /// Since 1970-01-01 00:00.
    public var seconds: Int64
    /// 0 ... 999,999,999.
    public var nanoseconds: Int32
    public init(seconds: Int64, nanoseconds: Int32 = 0) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }
    init(_ reader: ProtobufReader) throws(ByteError) {
        self.init(seconds: 0)
        var reader = reader
        while let field = try reader.next() {
            switch field.number {
            case 1: seconds = try field.int64()
            case 2: nanoseconds = try field.int32()
            default: break
            }
        }
    }
}

extension Family {
    /// Of `Family{afi=1, safi=2}`; a number that does not fit becomes 0, which no family has.
    init(_ reader: ProtobufReader) throws(ByteError) {
        var reader = reader
        var afi: UInt16 = 0
        var safi: UInt8 = 0
        while let field = try reader.next() {
            switch field.number {
            case 1: afi = UInt16(exactly: try field.uint64()) ?? 0
            case 2: safi = UInt8(exactly: try field.uint64()) ?? 0
            default: break
            }
        }
        self.init(afi: afi, safi: safi)
    }
}

extension ProtobufWriter {
    mutating func family(_ number: Int, _ family: Family) {
        message(number) {
            $0.uint32(1, UInt32(family.afi))
            $0.uint32(2, UInt32(family.safi))
        }
    }
    mutating func time(_ number: Int, _ time: APITime) {
        message(number) {
            $0.int64(1, time.seconds)
            $0.int64(2, Int64(time.nanoseconds))
        }
    }
}
