// Reading a map key by key: each key asked for is thereby known, all others are reported at the end with the nearest
// known spelling. Nothing here stops at the first problem; a value that cannot be read is reported and counts as absent.

import Documents
import NetTypes

/// Where problems are collected while a file is decoded.
final class ProblemList {
    private(set) var all: [Problem] = []
    private var seen: Set<Problem> = []
    /// The same complaint about the same word, as of a group used by many neighbors, counts once.
    func append(_ problem: Problem) {
        if seen.insert(problem).inserted { all.append(problem) }
    }
}

/// A decoded value with the place it came from, for complaints that come later.
struct Located<T> {
    var value: T
    var source: Value
    init(_ value: T, _ source: Value) {
        self.value = value
        self.source = source
    }
    var line: Int { source.position.line }
}

/// One map of the file.
final class Section {
    let source: Value
    private var entries: [String: Value] = [:]
    private var order: [(key: String, position: SourcePosition)] = []
    private var known: [String] = []
    /// Not a map at all, which has been said; nothing more is missing then.
    private(set) var isMalformed = false

    /// A null counts as an empty map; anything else but a map is a problem.
    init(_ source: Value) {
        self.source = source
        switch source.document.content {
        case .map(let content):
            for entry in content {
                entries[entry.key] = Value(
                    document: entry.value, path: source.path.isEmpty ? entry.key : "\(source.path).\(entry.key)",
                    problems: source.problems)
                order.append((entry.key, entry.keyPosition))
            }
        default:
            if source.document.isNull { return }
            isMalformed = true
            source.fail("expected a map of keys and values, found \(source.kind)")
        }
    }

    /// The value of a key; nil when absent or null.
    subscript(key: String) -> Value? {
        known.append(key)
        guard let value = entries[key], !value.document.isNull else { return nil }
        return value
    }
    /// The map under a key; absent, null and malformed ones are empty.
    func section(_ key: String) -> Section {
        let empty = Value(
            document: Document(.map([]), at: source.position),
            path: source.path.isEmpty ? key : "\(source.path).\(key)", problems: source.problems)
        return Section(self[key] ?? empty)
    }
    func has(_ key: String) -> Bool { entries[key].map { !$0.document.isNull } ?? false }

    /// A key of the vocabulary that evpnd knows but does not do: refused unless its value asks for nothing.
    func unsupported(_ key: String, _ reason: String, hint: String? = nil) {
        guard let value = self[key], !value.document.isInert else { return }
        value.fail(reason, hint: hint)
    }
    /// A required key is missing.
    func missing(_ key: String, hint: String? = nil) {
        if isMalformed { return }
        let path = source.path.isEmpty ? key : "\(source.path).\(key)"
        source.problems.append(Problem(at: source.position, path: path, "is required", hint: hint))
    }

    /// The values of keys that nobody has asked for.
    var unread: [Value] { order.compactMap { known.contains($0.key) ? nil : entries[$0.key] } }
    /// Reports every key that nobody asked for; as a warning in a file that is another program's.
    func finish(_ severity: Problem.Severity = .error) {
        for (key, position) in order where !known.contains(key) {
            let path = source.path.isEmpty ? key : "\(source.path).\(key)"
            source.problems.append(
                Problem(
                    severity, at: position, path: path, "unknown key", hint: Section.suggestion(for: key, among: known))
            )
        }
    }

    private static func suggestion(for key: String, among known: [String]) -> String? {
        let limit = min(3, max(1, key.utf8.count / 3))
        guard key.utf8.count <= 64 else { return nil }
        let best = known.map { (distance: editDistance(key, $0), name: $0) }.min {
            ($0.distance, $0.name) < ($1.distance, $1.name)
        }
        guard let best, best.distance <= limit else {
            return known.isEmpty ? nil : "known here: " + Set(known).sorted().joined(separator: ", ")
        }
        return "did you mean \(best.name)?"
    }
}

/// Letters to insert, delete, change or swap with their neighbor to make one word of the other, whatever the case.
package func editDistance(_ a: String, _ b: String) -> Int {
    let a = Array(a.lowercased().utf8), b = Array(b.lowercased().utf8)
    var before: [Int] = []
    var last = Array(0...b.count)
    for i in 0..<a.count {
        var row = [i + 1]
        for j in 0..<b.count {
            var cost = min(last[j + 1] + 1, row[j] + 1, last[j] + (a[i] == b[j] ? 0 : 1))
            if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { cost = min(cost, before[j - 1] + 1) }
            row.append(cost)
        }
        before = last
        last = row
    }
    return last[b.count]
}

extension Document {
    /// Whether a value asks for nothing: null, false, zero, empty, `enabled: false`, or only such things.
    var isInert: Bool {
        switch content {
        case .scalar(let text, .quoted): text.isEmpty
        case .scalar(let text, .plain): isNull || text == "0" || Value.falseWords.contains(text)
        case .list(let elements): elements.isEmpty
        case .map(let entries):
            entries.allSatisfy { $0.value.isInert }
                || entries.contains { $0.key == "enabled" && !$0.value.isNull && $0.value.isInert }
        }
    }
}

/// One value of the file, with its path. The readers report what is wrong and return nil.
struct Value {
    var document: Document
    var path: String
    let problems: ProblemList
    var position: SourcePosition { document.position }

    static let trueWords = ["true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"]
    static let falseWords = ["false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"]

    func fail(_ reason: String, hint: String? = nil) {
        problems.append(Problem(at: position, path: path, reason, hint: hint))
    }
    func warn(_ reason: String, hint: String? = nil) {
        problems.append(Problem(.warning, at: position, path: path, reason, hint: hint))
    }
    /// What stands there, as a phrase.
    var kind: String {
        switch document.content {
        case .scalar(let text, _): "\"\(Value.shortened(text))\""
        case .list: "a list"
        case .map: "a map"
        }
    }
    static func shortened(_ text: String) -> String { text.count > 40 ? text.prefix(40) + "…" : text }

    /// Any scalar.
    func text() -> String? {
        if case .scalar(let text, _) = document.content { return text }
        fail("expected one value, found \(kind)")
        return nil
    }
    /// A scalar that is not empty; nil without a problem when it is.
    func nonEmptyText() -> String? { text().flatMap { $0.isEmpty ? nil : $0 } }

    func bool() -> Bool? {
        guard let text = text() else { return nil }
        if Value.trueWords.contains(text) { return true }
        if Value.falseWords.contains(text) { return false }
        fail("expected true or false, found \(kind)")
        return nil
    }

    /// A decimal number.
    func integer(_ range: ClosedRange<Int>) -> Int? {
        guard let text = text() else { return nil }
        let digits = text.hasPrefix("-") ? text.dropFirst() : text[...]
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            fail("expected a number from \(range.lowerBound) to \(range.upperBound), found \(kind)")
            return nil
        }
        guard digits.utf8.count == 1 || digits.utf8.first != 0x30 else {
            fail("a number with a leading zero is ambiguous, found \(kind)")
            return nil
        }
        guard let value = Int(text), range.contains(value) else {
            fail("must be from \(range.lowerBound) to \(range.upperBound), found \(kind)")
            return nil
        }
        return value
    }

    /// Whole seconds: `90`, `90s`, `3m`, `1h30m`, `1d`.
    func seconds(_ range: ClosedRange<Int>) -> Int? {
        guard let text = text() else { return nil }
        guard let value = Value.parseSeconds(text) else {
            fail("expected seconds or a duration such as 90s, 3m or 1h30m, found \(kind)")
            return nil
        }
        guard range.contains(value) else {
            fail("must be from \(range.lowerBound) to \(range.upperBound) seconds, found \(kind)")
            return nil
        }
        return value
    }
    private static func parseSeconds(_ text: String) -> Int? {
        let units: [UInt8: Int] = [0x73: 1, 0x6d: 60, 0x68: 3600, 0x64: 86400]
        var total = 0, number: Int?, isBare = true
        for byte in text.utf8 {
            if (0x30...0x39).contains(byte) {
                let (shifted, overflow) = (number ?? 0).multipliedReportingOverflow(by: 10)
                guard !overflow, shifted < .max / 100_000 else { return nil }
                number = shifted + Int(byte - 0x30)
            } else {
                guard let count = number, let unit = units[byte] else { return nil }
                total = total &+ count &* unit
                guard total >= 0, total < .max / 2 else { return nil }
                number = nil
                isBare = false
            }
        }
        if let number { return isBare ? number : nil }
        return isBare ? nil : total
    }

    func address() -> IPAddress? {
        guard let text = text() else { return nil }
        guard let address = IPAddress(text) else {
            let hint = text.contains("/") ? "an address without a prefix length" : nil
            fail("expected an IPv4 or IPv6 address, found \(kind)", hint: hint)
            return nil
        }
        return address
    }
    func ipv4() -> IPv4Address? {
        guard let text = text() else { return nil }
        guard let address = IPv4Address(text) else {
            fail("expected an IPv4 address, found \(kind)")
            return nil
        }
        return address
    }
    /// A name that the kernel accepts for a network device (dev_valid_name): 1 to 15 octets, no slash, colon or space.
    func deviceName() -> String? {
        guard let text = text() else { return nil }
        let isValid =
            (1...15).contains(text.utf8.count) && text != "." && text != ".."
            && text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7f && $0 != 0x2f && $0 != 0x3a && $0 != 0x25 }
        if !isValid {
            fail("expected a device name of 1 to 15 characters without spaces, / : or %, found \(kind)")
            return nil
        }
        return text
    }
    /// One of several words.
    func word<T: RawRepresentable & CaseIterable>(_: T.Type) -> T? where T.RawValue == String {
        guard let text = text() else { return nil }
        if let value = T(rawValue: text) { return value }
        fail("expected \(T.allCases.map(\.rawValue).joined(separator: ", ")), found \(kind)")
        return nil
    }

    /// The elements; anything but a list is a problem and empty.
    func list() -> [Value] {
        guard case .list(let elements) = document.content else {
            fail("expected a list, found \(kind)")
            return []
        }
        return elements.enumerated().map { Value(document: $1, path: "\(path)[\($0)]", problems: problems) }
    }
    /// A list, or one scalar that stands for a list of one.
    func listOrOne() -> [Value] {
        if case .scalar = document.content { return [self] }
        return list()
    }
    func located<T>(_ value: T?) -> Located<T>? { value.map { Located($0, self) } }
}

extension Optional where Wrapped == Value {
    func located<T>(_ read: (Value) -> T?) -> Located<T>? {
        guard let self else { return nil }
        return self.located(read(self))
    }
}
