// The values of columns (RFC 7047 §5.1): atoms, and sets and maps of them.

public import Documents

/// The name of a row, as databases give it: 128 bits.
public struct RowID: Hashable, Comparable, Sendable, CustomStringConvertible {
    public var high: UInt64
    public var low: UInt64
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }
    /// `01234567-89ab-cdef-0123-456789abcdef`, digits of either case.
    public init?(_ text: String) {
        var digits = 0
        var words: (UInt64, UInt64) = (0, 0)
        for (index, byte) in text.utf8.enumerated() {
            if [8, 13, 18, 23].contains(index) {
                guard byte == 0x2d else { return nil }
                continue
            }
            let value: UInt8
            switch byte {
            case 0x30...0x39: value = byte - 0x30
            case 0x61...0x66: value = byte - 0x57
            case 0x41...0x46: value = byte - 0x37
            default: return nil
            }
            guard digits < 32 else { return nil }
            if digits < 16 {
                words.0 = words.0 << 4 | UInt64(value)
            } else {
                words.1 = words.1 << 4 | UInt64(value)
            }
            digits += 1
        }
        guard digits == 32 else { return nil }
        (high, low) = words
    }
    public static func < (a: Self, b: Self) -> Bool { (a.high, a.low) < (b.high, b.low) }
    public var description: String {
        func hex(_ value: UInt64, _ digits: Int) -> String {
            let text = String(value & (digits == 16 ? .max : (1 << UInt64(digits * 4)) - 1), radix: 16)
            return String(repeating: "0", count: digits - text.utf8.count) + text
        }
        return [
            hex(high >> 32, 8), hex(high >> 16, 4), hex(high, 4), hex(low >> 48, 4), hex(low, 12),
        ].joined(separator: "-")
    }
}

/// One value.
public enum Atom: Hashable, Comparable, Sendable {
    case integer(Int)
    case real(Double)
    case boolean(Bool)
    case string(String)
    case row(RowID)
    /// A row that an earlier operation of the same transaction inserts, by the name given there.
    case named(String)

    private var rank: Int {
        switch self {
        case .integer: 0
        case .real: 1
        case .boolean: 2
        case .string: 3
        case .row: 4
        case .named: 5
        }
    }
    public static func < (a: Self, b: Self) -> Bool {
        switch (a, b) {
        case (.integer(let a), .integer(let b)): a < b
        case (.real(let a), .real(let b)): a < b
        case (.boolean(let a), .boolean(let b)): !a && b
        case (.string(let a), .string(let b)), (.named(let a), .named(let b)): a < b
        case (.row(let a), .row(let b)): a < b
        default: a.rank < b.rank
        }
    }

    public init(_ json: JSONValue) throws(OVSDBFault) {
        switch json {
        case .int(let value): self = .integer(value)
        case .double(let value): self = .real(value)
        case .bool(let value): self = .boolean(value)
        case .string(let value): self = .string(value)
        case .array(let parts):
            guard parts.count == 2, case .string(let kind) = parts[0], case .string(let text) = parts[1] else {
                throw OVSDBFault("an array that is no atom")
            }
            switch kind {
            case "uuid":
                guard let id = RowID(text) else { throw OVSDBFault("\(text) is not a UUID") }
                self = .row(id)
            case "named-uuid": self = .named(text)
            default: throw OVSDBFault("\(kind) is no kind of atom")
            }
        case .null, .object: throw OVSDBFault("null or an object where an atom should be")
        }
    }
    public var json: JSONValue {
        switch self {
        case .integer(let value): .int(value)
        case .real(let value): .double(value)
        case .boolean(let value): .bool(value)
        case .string(let value): .string(value)
        case .row(let id): ["uuid", .string(id.description)]
        case .named(let name): ["named-uuid", .string(name)]
        }
    }
    /// As `ovs-vsctl` prints and takes it.
    public var text: String {
        switch self {
        case .integer(let value): "\(value)"
        case .real(let value): "\(value)"
        case .boolean(let value): value ? "true" : "false"
        case .string(let value): Atom.isWord(value) ? value : JSONValue.string(value).description
        case .row(let id): id.description
        case .named(let name): "@\(name)"
        }
    }
    /// Needs no quotes: letters, digits, `_`, `-`, `.`, and does not look like a number, a truth value or a UUID.
    private static func isWord(_ text: String) -> Bool {
        guard let first = text.utf8.first, !(0x30...0x39).contains(first), first != 0x2d, text != "true",
            text != "false",
            RowID(text) == nil
        else { return false }
        return text.utf8.allSatisfy {
            switch $0 {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2d, 0x2e, 0x5f: true
            default: false
            }
        }
    }
}

extension Atom: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral {
    public init(stringLiteral value: String) { self = .string(value) }
    public init(integerLiteral value: Int) { self = .integer(value) }
}

/// The value of a column: a set of at most so many atoms (one atom: a set of one, an absent optional: an empty one), or a map.
public enum Datum: Hashable, Sendable {
    /// Sorted, none twice.
    case set([Atom])
    case map([Atom: Atom])

    public static func one(_ atom: Atom) -> Datum { .set([atom]) }
    public static let empty = Datum.set([])
    public init(_ atoms: some Sequence<Atom>) { self = .set(Set(atoms).sorted()) }
    public init(_ strings: [String: String]) {
        self = .map(
            Dictionary(
                strings.map { (Atom.string($0.key), Atom.string($0.value)) }, uniquingKeysWith: { first, _ in first }))
    }

    public init(_ json: JSONValue) throws(OVSDBFault) {
        guard case .array(let parts) = json, parts.count == 2, case .string(let kind) = parts[0],
            kind == "set" || kind == "map"
        else {
            self = .set([try Atom(json)])
            return
        }
        guard case .array(let elements) = parts[1] else { throw OVSDBFault("a \(kind) that is no array") }
        if kind == "set" {
            var atoms: Set<Atom> = []
            for element in elements { atoms.insert(try Atom(element)) }
            self = .set(atoms.sorted())
            return
        }
        var map: [Atom: Atom] = [:]
        for element in elements {
            guard case .array(let pair) = element, pair.count == 2 else {
                throw OVSDBFault("a map with what is no pair")
            }
            map[try Atom(pair[0])] = try Atom(pair[1])
        }
        self = .map(map)
    }
    public var json: JSONValue {
        switch self {
        case .set(let atoms) where atoms.count == 1: atoms[0].json
        case .set(let atoms): ["set", .array(atoms.map(\.json))]
        case .map(let map):
            ["map", .array(map.sorted { $0.key < $1.key }.map { .array([$0.key.json, $0.value.json]) })]
        }
    }

    public var atoms: [Atom] { if case .set(let atoms) = self { atoms } else { [] } }
    /// The only element, of the kind asked for; nil otherwise.
    public var string: String? { if case .string(let value)? = only { value } else { nil } }
    public var integer: Int? { if case .integer(let value)? = only { value } else { nil } }
    private var only: Atom? { if case .set(let atoms) = self, atoms.count == 1 { atoms[0] } else { nil } }
    /// The strings, or the row names, of a set; others are left out.
    public var strings: [String] { atoms.compactMap { if case .string(let value) = $0 { value } else { nil } } }
    public var rows: [RowID] { atoms.compactMap { if case .row(let id) = $0 { id } else { nil } } }
    /// The pairs of strings of a map. An empty map may arrive as an empty set.
    public var pairs: [String: String] {
        guard case .map(let map) = self else { return [:] }
        var pairs: [String: String] = [:]
        for case (.string(let key), .string(let value)) in map { pairs[key] = value }
        return pairs
    }
    /// As `ovs-vsctl` prints and takes it.
    public var text: String {
        switch self {
        case .set(let atoms) where atoms.count == 1: atoms[0].text
        case .set(let atoms): "[" + atoms.map(\.text).joined(separator: ",") + "]"
        case .map(let map):
            "{" + map.sorted { $0.key < $1.key }.map { "\($0.key.text)=\($0.value.text)" }.joined(separator: ",") + "}"
        }
    }
}

extension Datum: ExpressibleByStringLiteral {
    public init(stringLiteral value: String) { self = .one(.string(value)) }
}

/// The columns of a row that are known, by name.
public typealias Row = [String: Datum]

extension JSONValue {
    /// The members of an object, or why not.
    func members(_ what: String) throws(OVSDBFault) -> [Member] {
        guard case .object(let members) = self else { throw OVSDBFault("\(what) is no object") }
        return members
    }
    static func row(_ row: Row) -> JSONValue {
        .object(row.sorted { $0.key < $1.key }.map { Member($0.key, $0.value.json) })
    }
}

/// Decodes a row object (RFC 7047 §5.1 <row>).
func decodeRow(_ json: JSONValue) throws(OVSDBFault) -> Row {
    var row: Row = [:]
    for member in try json.members("a row") {
        do throws(OVSDBFault) {
            row[member.name] = try Datum(member.value)
        } catch {
            throw OVSDBFault("column \(member.name): \(error)")
        }
    }
    return row
}
