// Aligned columns, and colours for terminals only.

import Documents
import Glibc

/// Rows of text under headings.
struct Table {
    var headings: [String]
    var rows: [[String]] = []
    /// Columns of numbers, aligned to the right.
    var numeric: Set<Int> = []

    init(_ headings: [String], numeric: Set<Int> = []) {
        self.headings = headings
        self.numeric = numeric
    }

    /// Two spaces between columns, no trailing spaces.
    var text: String {
        var widths = headings.map(\.count)
        for row in rows { for (index, cell) in row.enumerated() { widths[index] = max(widths[index], cell.count) } }
        func line(_ cells: [String]) -> String {
            var text = ""
            for (index, cell) in cells.enumerated() {
                let space = String(repeating: " ", count: widths[index] - cell.count)
                text += (index == 0 ? "" : "  ") + (numeric.contains(index) ? space + cell : cell + space)
            }
            while text.last == " " { text.removeLast() }
            return text + "\n"
        }
        return Style.bold(line(headings)) + rows.map(line).joined()
    }
}

/// Terminal colours; plain text when the output is no terminal or NO_COLOR is set.
enum Style {
    static let isEnabled = isatty(1) == 1 && getenv("NO_COLOR") == nil
    static func bold(_ text: String) -> String { wrap("1", text) }
    static func good(_ text: String) -> String { wrap("32", text) }
    static func bad(_ text: String) -> String { wrap("31", text) }
    static func dim(_ text: String) -> String { wrap("2", text) }
    private static func wrap(_ code: String, _ text: String) -> String {
        isEnabled ? "\u{1b}[\(code)m\(text)\u{1b}[0m" : text
    }
}

/// `5`, `1m20s`, `3h05m`, `12d04h`.
func durationText(_ seconds: Int) -> String {
    func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
    switch seconds {
    case ..<60: return "\(seconds)s"
    case ..<3600: return "\(seconds / 60)m\(two(seconds % 60))s"
    case ..<86_400: return "\(seconds / 3600)h\(two(seconds / 60 % 60))m"
    default: return "\(seconds / 86_400)d\(two(seconds / 3600 % 24))h"
    }
}

extension JSONValue {
    /// A member as a table cell; `-` for null or absent.
    func cell(_ name: String) -> String {
        switch self[name] {
        case .string(let value)?: value.isEmpty ? "-" : value
        case .int(let value)?: "\(value)"
        case .double(let value)?: "\(value)"
        case .bool(let value)?: value ? "yes" : "no"
        case .array(let values)?:
            values.isEmpty
                ? "-"
                : values.map { value in
                    if case .string(let text) = value { return text }
                    return value.description
                }.joined(separator: " ")
        default: "-"
        }
    }
    func integer(_ name: String) -> Int {
        if case .int(let value)? = self[name] { return value }
        return 0
    }
    func isTrue(_ name: String) -> Bool { self[name] == .bool(true) }
    func list(_ name: String) -> [JSONValue] {
        if case .array(let values)? = self[name] { return values }
        return []
    }
}
