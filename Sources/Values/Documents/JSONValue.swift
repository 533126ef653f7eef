// JSON output, canonical: members in the order given, no spaces, one line.

/// A JSON value to print. Objects keep the order of their members.
public enum JSONValue: Hashable, Sendable {
    case null
    case bool(Bool)
    case int(Int)
    case double(Double)
    case string(String)
    case array([JSONValue])
    case object([Member])

    public struct Member: Hashable, Sendable {
        public var name: String
        public var value: JSONValue
        public init(_ name: String, _ value: JSONValue) {
            self.name = name
            self.value = value
        }
    }
}

extension JSONValue: ExpressibleByDictionaryLiteral, ExpressibleByArrayLiteral, ExpressibleByStringLiteral,
    ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral, ExpressibleByNilLiteral, ExpressibleByStringInterpolation
{
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        self = .object(elements.map { Member($0.0, $0.1) })
    }
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    public init(stringLiteral value: String) { self = .string(value) }
    public init(integerLiteral value: Int) { self = .int(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(nilLiteral: ()) { self = .null }

    /// Any integer that fits `Int`; larger ones are clamped.
    public init(_ value: some BinaryInteger) { self = .int(Int(clamping: value)) }
    public init(_ value: Bool) { self = .bool(value) }
    /// The text form; `.null` for nil.
    public init(_ value: (some CustomStringConvertible)?) { self = value.map { .string($0.description) } ?? .null }
    public init(_ value: String) { self = .string(value) }

    /// A member of an object; nil for other values or an absent name.
    public subscript(name: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.name == name }?.value
    }
}

extension JSONValue: CustomStringConvertible {
    /// The canonical text.
    public var description: String {
        var text: [UInt8] = []
        write(to: &text)
        return String(decoding: text, as: UTF8.self)
    }

    /// Appends the canonical text as UTF-8.
    public func write(to text: inout [UInt8]) {
        switch self {
        case .null: text += "null".utf8
        case .bool(let value): text += (value ? "true" : "false").utf8
        case .int(let value): text += String(value).utf8
        case .double(let value): text += (value.isFinite ? "\(value)" : "null").utf8
        case .string(let value): JSONValue.quote(value, to: &text)
        case .array(let values):
            text.append(0x5b)
            for (index, value) in values.enumerated() {
                if index > 0 { text.append(0x2c) }
                value.write(to: &text)
            }
            text.append(0x5d)
        case .object(let members):
            text.append(0x7b)
            for (index, member) in members.enumerated() {
                if index > 0 { text.append(0x2c) }
                JSONValue.quote(member.name, to: &text)
                text.append(0x3a)
                member.value.write(to: &text)
            }
            text.append(0x7d)
        }
    }

    private static func quote(_ value: String, to text: inout [UInt8]) {
        let digits = Array("0123456789abcdef".utf8)
        text.append(0x22)
        for byte in value.utf8 {
            switch byte {
            case 0x22: text += [0x5c, 0x22]
            case 0x5c: text += [0x5c, 0x5c]
            case 0x0a: text += [0x5c, 0x6e]
            case 0x0d: text += [0x5c, 0x72]
            case 0x09: text += [0x5c, 0x74]
            case 0..<0x20, 0x7f: text += Array("\\u00".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            default: text.append(byte)
            }
        }
        text.append(0x22)
    }
}
