// Which packets a flow is for.

import NetTypes

/// All fields have to match; a match without fields is true of every packet.
///
/// Kept as the octets of its OXM list (OpenFlow 1.3 §7.2.3), fields in the order of `Field`, each at most once: two matches are equal
/// when they mean the same, a table of a hundred thousand stays small, and sending one is a copy.
///
///     +------------------------------------------------+
///     |  Class (2), field and has-mask bit (1)         |  for
///     |  Length of what follows (1)                    |  each
///     |  Value (1…16)                                  |  field
///     |  Mask (1…16), only with the has-mask bit       |
///     +------------------------------------------------+
public struct Match: Hashable, Sendable {
    /// The OXM list, without header and padding.
    public let octets: [UInt8]

    public static let any = Match([])

    public init(_ fields: MatchField...) { self.init(fields) }
    /// Of fields that are there twice the last counts. Wildcards are dropped.
    public init(_ fields: [MatchField]) { self.init(fields, unknown: []) }

    /// `unknown`: entries of other fields, as octets.
    init(_ fields: [MatchField], unknown: [[UInt8]]) {
        var sorted: [MatchField] = []
        sorted.reserveCapacity(fields.count)
        for field in fields {
            // Almost always appended: the lists are short and mostly in order.
            var index = sorted.count
            while index > 0, sorted[index - 1].field.rawValue > field.field.rawValue { index -= 1 }
            if index > 0, sorted[index - 1].field == field.field {
                sorted[index - 1] = field
            } else {
                sorted.insert(field, at: index)
            }
        }
        var writer = ByteWriter(capacity: sorted.reduce(0) { $0 + $1.encodedLength })
        for field in sorted where !field.isWildcard { field.encode(to: &writer) }
        for entry in unknown.sorted(by: { $0.lexicographicallyPrecedes($1) }) { writer.raw(entry) }
        octets = writer.bytes
    }
}

extension MatchField {
    var encodedLength: Int { 4 + (isExact ? field.info.length : 2 * field.info.length) }
    func encode(to writer: inout ByteWriter) {
        let info = field.info
        writer.u24(info.code << 1 | (isExact ? 0 : 1))
        writer.u8(UInt8(truncatingIfNeeded: encodedLength - 4))
        writer.bits(value, info.length)
        if !isExact { writer.bits(mask, info.length) }
    }
}

extension ByteWriter {
    /// The low `count` octets, most significant first.
    mutating func bits(_ value: UInt128, _ count: Int) {
        switch count {
        case 1: u8(UInt8(truncatingIfNeeded: value))
        case 2: u16(UInt16(truncatingIfNeeded: value))
        case 4: u32(UInt32(truncatingIfNeeded: value))
        case 6: u48(UInt64(truncatingIfNeeded: value))
        case 8: u64(UInt64(truncatingIfNeeded: value))
        default:
            u64(UInt64(truncatingIfNeeded: value >> 64))
            u64(UInt64(truncatingIfNeeded: value))
        }
    }
}
