// Reading a match: the fields of an OXM list, in whatever order and numbering they come.

public import NetTypes

/// The octets of one entry of an OXM list, and what they say.
struct OXMEntry {
    /// Nil: a field that is not in `Field`.
    let field: MatchField?
    /// With class, field number and length.
    let octets: Range<Int>

    init(decoding reader: inout ByteReader) throws(ByteError) {
        let start = reader.offset
        let header = try OXMHeader(decoding: &reader)
        octets = start..<reader.offset + header.valueLength
        var body = try reader.take(header.valueLength)
        guard let known = header.field else {
            field = nil
            return
        }
        let length = known.info.length
        guard body.count == (header.hasMask ? 2 * length : length) else {
            throw ByteError("length of \(known.info.name)", at: start)
        }
        let value = try body.bits(length)
        let mask = header.hasMask ? try body.bits(length) : .max
        guard value & ~known.info.allOnes == 0 else { throw ByteError("value of \(known.info.name)", at: start) }
        field = MatchField(known, value, mask: mask)
    }
}

/// Which field: class, number, mask bit, length and, with class 0xffff, the experimenter.
struct OXMHeader {
    let field: Field?
    let hasMask: Bool
    /// Octets after the header.
    let valueLength: Int

    init(decoding reader: inout ByteReader) throws(ByteError) {
        let start = reader.offset
        let code = try reader.u24()
        let length = Int(try reader.u8())
        hasMask = code & 1 == 1
        if code >> 8 == 0xffff {
            guard length >= 4 else { throw ByteError("length of an experimenter field", at: start) }
            field = Field(code: code >> 1, experimenter: try reader.u32())
            valueLength = length - 4
        } else {
            field = Field(code: code >> 1, experimenter: 0)
            valueLength = length
        }
    }
}

extension Field {
    /// As written on the wire: class and number (`FieldInfo.code`). Open vSwitch also takes and sends the older NXM numbers of some.
    init?(code: UInt32, experimenter: UInt32) {
        guard let field = Field.byCode[UInt64(experimenter) << 32 | UInt64(code)] else { return nil }
        self = field
    }
    private static let byCode: [UInt64: Field] = {
        var table: [UInt64: Field] = [:]
        for field in allCases { table[UInt64(field.info.experimenter) << 32 | UInt64(field.info.code)] = field }
        let older: [(UInt64, Field)] = [
            (1, .ethernetDestination), (2, .ethernetSource), (3, .ethernetType), (6, .ipProtocol), (7, .ipv4Source),
            (8, .ipv4Destination), (9, .tcpSource), (10, .tcpDestination), (11, .udpSource), (12, .udpDestination),
            (13, .icmpType), (14, .icmpCode), (15, .arpOperation), (16, .arpSource), (17, .arpTarget),
            (0x80 + 16, .tunnelID), (0x80 + 17, .arpSourceHardware), (0x80 + 18, .arpTargetHardware),
            (0x80 + 19, .ipv6Source), (0x80 + 20, .ipv6Destination), (0x80 + 21, .icmpv6Type),
            (0x80 + 22, .icmpv6Code), (0x80 + 23, .ndTarget), (0x80 + 24, .ndSourceLinkLayer),
            (0x80 + 25, .ndTargetLinkLayer),
        ]
        for (code, field) in older { table[code] = field }
        return table
    }()
}

extension ByteReader {
    /// An integer of this many octets.
    mutating func bits(_ count: Int) throws(ByteError) -> UInt128 {
        switch count {
        case 1: UInt128(try u8())
        case 2: UInt128(try u16())
        case 4: UInt128(try u32())
        case 6: UInt128(try u48())
        case 8: UInt128(try u64())
        default: UInt128(try u64()) << 64 | UInt128(try u64())
        }
    }
}

extension Match {
    /// Reads an OXM list to the end of `reader`. Fields that this module does not know are kept, after the others.
    public init(decoding reader: inout ByteReader) throws(ByteError) {
        var known: [MatchField] = []
        var unknown: [[UInt8]] = []
        while !reader.isEmpty {
            let start = reader.offset
            let entry = try OXMEntry(decoding: &reader)
            if let field = entry.field {
                guard !known.contains(where: { $0.field == field.field }) else {
                    throw ByteError("field \(field.field.info.name) twice", at: start)
                }
                known.append(field)
            } else {
                unknown.append(reader.slice(entry.octets))
            }
        }
        unknown.sort { $0.lexicographicallyPrecedes($1) }
        self.init(known, unknown: unknown)
    }

    /// The fields in order; those that this module does not know are left out.
    public var fields: [MatchField] { entries.known }

    /// What is asked of one field; nil: anything.
    public subscript(field: Field) -> MatchField? { fields.first { $0.field == field } }

    /// This match with further or other conditions.
    public func with(_ added: MatchField...) -> Match {
        let entries = self.entries
        return Match(entries.known + added, unknown: entries.unknown)
    }

    var entries: (known: [MatchField], unknown: [[UInt8]]) {
        octets.withByteReader { reader in
            var known: [MatchField] = []
            var unknown: [[UInt8]] = []
            while !reader.isEmpty, let entry = try? OXMEntry(decoding: &reader) {
                if let field = entry.field { known.append(field) } else { unknown.append(reader.slice(entry.octets)) }
            }
            return (known, unknown)
        }
    }
}
