// A tree as YAML text, for files that people go on editing.

extension Document {
    /// Block style, two spaces a level, keys in the order of the tree, ended by a newline. Reading it gives the same tree at other
    /// positions; a quoted scalar stays quoted, a plain one is quoted only where it would read as something else.
    public var yaml: String {
        var text = ""
        write(into: &text, indent: "")
        return text
    }

    private func write(into text: inout String, indent: String) {
        switch content {
        case .scalar(let scalar, let style): text += Document.scalar(scalar, style) + "\n"
        case .list(let elements):
            guard !elements.isEmpty else { return text += "[]\n" }
            for element in elements {
                text += indent + "- "
                var inner = ""
                element.write(into: &inner, indent: indent + "  ")
                // The first line of an element stands beside its dash.
                text += element.isBlock ? String(inner.dropFirst(indent.count + 2)) : inner
            }
        case .map(let entries):
            guard !entries.isEmpty else { return text += "{}\n" }
            for entry in entries {
                let key = Document.scalar(entry.key, .plain)
                // A key before a colon has at most 1024 characters.
                text += indent + (key.utf8.count > 1000 ? "? \(key)\n\(indent):" : "\(key):")
                if entry.value.isBlock {
                    text += "\n"
                    entry.value.write(into: &text, indent: indent + "  ")
                } else {
                    text += " "
                    entry.value.write(into: &text, indent: "")
                }
            }
        }
    }

    /// Takes lines of its own.
    private var isBlock: Bool {
        switch content {
        case .scalar: false
        case .list(let elements): !elements.isEmpty
        case .map(let entries): !entries.isEmpty
        }
    }

    private static func scalar(_ text: String, _ style: Style) -> String {
        if style == .plain, isPlain(text) { return text }
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            // Line breaks of YAML, and what may not stand in its texts.
            case _
            where scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value)
                || [0x2028, 0x2029, 0xfeff, 0xfffe, 0xffff].contains(scalar.value):
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
    /// Letters, digits and marks that mean nothing to YAML where they stand.
    private static func isPlain(_ text: String) -> Bool {
        guard let first = text.utf8.first, let last = text.utf8.last else { return false }
        func isWord(_ byte: UInt8) -> Bool {
            (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
        }
        let inside: Set<UInt8> = [0x20, 0x2d, 0x2e, 0x2f, 0x3a, 0x5f]
        guard isWord(first) || first == 0x2f, last != 0x3a, last != 0x20, !text.contains(": ") else { return false }
        return text.utf8.allSatisfy { isWord($0) || inside.contains($0) }
    }
}
