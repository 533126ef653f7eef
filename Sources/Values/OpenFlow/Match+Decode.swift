// Reading a match: the fields of an OXM list, in whatever order and numbering they come.

public import NetTypes

/// Which field: class, number and mask bit (3 octets), length of what follows (1).
struct OXMHeader {
    /// Class and number, as `FieldInfo.code`.
    let code: UInt32
    let hasMask: Bool
    let length: Int

    init(decoding reader: inout ByteReader) throws(ByteError) {
        let bits = try reader.u24()
        code = bits >> 1
        hasMask = bits & 1 == 1
        length = Int(try reader.u8())
    }
    /// Nil: one that this module does not know, or of a length that it does not have.
    var field: Field? {
        guard let field = Field(code: code), length == (hasMask ? 2 : 1) * field.length(code) else { return nil }
        return field
    }
}

/// One entry of an OXM list.
enum OXMEntry {
    case known([MatchField])
    /// With its header.
    case unknown([UInt8])

    init(decoding reader: inout ByteReader) throws(ByteError) {
        let start = reader.offset
        let header = try OXMHeader(decoding: &reader)
        var body = try reader.take(header.length)
        let octets = { [reader] in reader.slice(start..<reader.offset) }
        if let field = header.field {
            var value = try body.bits(field.length(header.code))
            let mask = header.hasMask ? try body.bits(field.length(header.code)) : .max
            // The reserved ports of OpenFlow 1.0 are the last of 16 bits, now of 32.
            if header.code == Field.inPort16, value >= 0xff00 { value |= 0xffff_0000 }
            self =
                value & ~field.info.allOnes == 0 ? .known([MatchField(field, value, mask: mask)]) : .unknown(octets())
        } else if let high = Field.firstOfRegisterPair(header.code), body.count == (header.hasMask ? 16 : 8) {
            let value = UInt128(try body.u64())
            let mask = header.hasMask ? UInt128(try body.u64()) : .max
            let low = Field(rawValue: high.rawValue + 1) ?? high
            self = .known([MatchField(high, value >> 32, mask: mask >> 32), MatchField(low, value, mask: mask)])
        } else {
            self = .unknown(octets())
        }
    }
}

extension Field {
    /// As written on the wire: class and number (`FieldInfo.code`). Open vSwitch also takes and sends the older NXM numbers of some.
    init?(code: UInt32) {
        guard let field = Field.byCode[code] else { return nil }
        self = field
    }
    /// The number of the port where the packet came from in 16 bits, which is the only one that can be written.
    static let inPort16: UInt32 = 0
    /// Octets of a value under this class and number.
    func length(_ code: UInt32) -> Int { self == .inPort && code == Field.inPort16 ? 2 : info.length }

    /// Class and number where bits are moved or loaded: the older one where there is one, as Open vSwitch writes it itself.
    var extendedCode: UInt32 { Field.olderCodes[self] ?? info.code }

    private static let byCode: [UInt32: Field] = {
        var table: [UInt32: Field] = [:]
        for field in allCases { table[field.info.code] = field }
        for (field, code) in olderCodes { table[code] = field }
        return table
    }()
    private static let olderCodes: [Field: UInt32] = [
        .inPort: inPort16, .ethernetDestination: 1, .ethernetSource: 2, .ethernetType: 3, .ipProtocol: 6,
        .ipv4Source: 7,
        .ipv4Destination: 8, .tcpSource: 9, .tcpDestination: 10, .udpSource: 11, .udpDestination: 12, .icmpType: 13,
        .icmpCode: 14, .arpOperation: 15, .arpSource: 16, .arpTarget: 17, .tunnelID: 0x80 + 16,
        .arpSourceHardware: 0x80 + 17, .arpTargetHardware: 0x80 + 18, .ipv6Source: 0x80 + 19,
        .ipv6Destination: 0x80 + 20, .icmpv6Type: 0x80 + 21, .icmpv6Code: 0x80 + 22, .ndTarget: 0x80 + 23,
        .ndSourceLinkLayer: 0x80 + 24, .ndTargetLinkLayer: 0x80 + 25,
    ]

    /// OpenFlow 1.5 has registers of 64 bits (class 0x8001), each two of Open vSwitch's, the even one the upper half.
    static func firstOfRegisterPair(_ code: UInt32) -> Field? {
        code >> 7 == 0x8001 && code & 0x7f < 4 ? .register(Int(code & 0x7f) * 2) : nil
    }
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
        let entries = try Match.entries(&reader)
        self.init(entries.known, unknown: entries.unknown)
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
        octets.withByteReader { (try? Match.entries(&$0)) ?? ([], []) }
    }
    private static func entries(_ reader: inout ByteReader) throws(ByteError) -> (
        known: [MatchField], unknown: [[UInt8]]
    ) {
        var known: [MatchField] = []
        var unknown: [[UInt8]] = []
        while !reader.isEmpty {
            switch try OXMEntry(decoding: &reader) {
            case .known(let fields): known += fields
            case .unknown(let octets): unknown.append(octets)
            }
        }
        return (known, unknown)
    }
}
