// TOML 1.0, as far as configuration files go: dates and times are taken as words and not checked.

extension Document {
    /// Reads one TOML text. The first fault is the only problem, and there is no document then. Strings become quoted scalars;
    /// booleans, floats and dates plain ones as written; integers plain decimal ones, whatever their base.
    public static func parse(toml bytes: [UInt8], file: String = "", limits: DocumentLimits = .init())
        -> ParsedDocument
    {
        var reader = TOMLReader(bytes: bytes, file: file, limits: limits)
        do throws(TOMLFault) {
            return ParsedDocument(document: try reader.read(), problems: [])
        } catch {
            return ParsedDocument(document: nil, problems: [Problem(at: error.position, error.reason)])
        }
    }
}

private struct TOMLFault: Error {
    let reason: String
    let position: SourcePosition
}

private struct TOMLReader {
    private struct Key {
        var text: String
        var position: SourcePosition
    }
    private enum Item {
        case value(Document)
        case table(Int)
        /// `[[…]]`: a place in `lists`.
        case tables(Int)
    }
    private struct Table {
        var position: SourcePosition
        var entries: [(key: Key, item: Item)] = []
        var index: [String: Int] = [:]
        /// It has had its `[…]`, or belongs to `[[…]]`.
        var hasHeader = false
        /// Made by `a.b = …`, and closed to headers.
        var isDotted = false
        var level: Int
    }

    let bytes: [UInt8]
    let file: String
    let limits: DocumentLimits
    private var offset = 0
    private var line = 1
    private var nodes = 0
    private var tables: [Table] = []
    /// Tables of one name; the last one is open.
    private var lists: [[Int]] = []

    init(bytes: [UInt8], file: String, limits: DocumentLimits) {
        self.bytes = bytes
        self.file = file
        self.limits = limits
    }

    // MARK: Places

    private var next: UInt8? { offset < bytes.count ? bytes[offset] : nil }
    private func peek(_ distance: Int) -> UInt8? { offset + distance < bytes.count ? bytes[offset + distance] : nil }
    // Column of the last place asked for on this line, so that one long line costs linear time.
    private var knownOffset = 0
    private var knownColumn = 1
    private mutating func here() -> SourcePosition {
        for byte in bytes[knownOffset..<offset] where byte & 0xc0 != 0x80 { knownColumn += 1 }
        knownOffset = offset
        return SourcePosition(file: file, line: line, column: knownColumn)
    }
    private mutating func fault(_ reason: String) -> TOMLFault { TOMLFault(reason: reason, position: here()) }
    /// Steps over a line feed.
    private mutating func endLine() {
        offset += 1
        line += 1
        knownOffset = offset
        knownColumn = 1
    }
    private mutating func count() throws(TOMLFault) {
        nodes += 1
        if nodes > limits.nodes { throw fault("more than \(limits.nodes) values") }
    }

    // MARK: Lines

    mutating func read() throws(TOMLFault) -> Document {
        guard bytes.count <= limits.size else { throw fault("the text is larger than \(limits.size) octets") }
        guard String(validating: bytes, as: UTF8.self) != nil else { throw fault("the text is not valid UTF-8") }
        if bytes.starts(with: [0xef, 0xbb, 0xbf]) { offset = 3 }
        tables = [Table(position: SourcePosition(file: file, line: 1, column: 1), hasHeader: true, level: 1)]
        var current = 0
        while true {
            try skipBlank()
            guard let byte = next else { return document(0) }
            if byte == 0x5b {
                current = try readHeader()
            } else {
                try readPair(into: current)
            }
            try finishLine()
        }
    }
    private mutating func skipSpace() {
        while next == 0x20 || next == 0x09 { offset += 1 }
    }
    /// Spaces, comments and empty lines.
    private mutating func skipBlank() throws(TOMLFault) {
        while true {
            skipSpace()
            if next == 0x23 { try skipComment() }
            if next == 0x0d, peek(1) == 0x0a { offset += 1 }
            guard next == 0x0a else { return }
            endLine()
        }
    }
    private mutating func skipComment() throws(TOMLFault) {
        while let byte = next, byte != 0x0a {
            if byte == 0x0d, peek(1) == 0x0a { return }
            if byte < 0x20 && byte != 0x09 || byte == 0x7f { throw fault("a control character in a comment") }
            offset += 1
        }
    }
    private mutating func finishLine() throws(TOMLFault) {
        skipSpace()
        if next == 0x23 { try skipComment() }
        if next == 0x0d, peek(1) == 0x0a { offset += 1 }
        guard next == nil || next == 0x0a else { throw fault("expected the end of the line") }
    }

    // MARK: Tables

    private mutating func readHeader() throws(TOMLFault) -> Int {
        let position = here()
        offset += 1
        let isList = next == 0x5b
        if isList { offset += 1 }
        let keys = try readKeys(until: 0x5d)
        offset += 1
        if isList {
            guard next == 0x5d else { throw fault("expected ]]") }
            offset += 1
        }
        var table = 0
        for (number, key) in keys.enumerated() {
            let isLast = number == keys.count - 1
            guard let found = tables[table].index[key.text] else {
                let made = try make(
                    at: isLast ? position : key.position, level: tables[table].level + (isLast && isList ? 2 : 1))
                tables[made].hasHeader = isLast
                if isLast, isList { lists.append([made]) }
                add(key, isLast && isList ? .tables(lists.count - 1) : .table(made), to: table)
                table = made
                continue
            }
            switch tables[table].entries[found].item {
            case .value: throw TOMLFault(reason: "\(key.text) is not a table", position: key.position)
            case .table(let inner):
                if isLast {
                    guard !isList, !tables[inner].hasHeader, !tables[inner].isDotted else {
                        throw duplicate(key, in: table)
                    }
                    tables[inner].hasHeader = true
                }
                table = inner
            case .tables(let list):
                guard let last = lists[list].last else { throw duplicate(key, in: table) }
                if !isLast {
                    table = last
                } else if isList {
                    let made = try make(at: position, level: tables[last].level)
                    tables[made].hasHeader = true
                    lists[list].append(made)
                    table = made
                } else {
                    throw duplicate(key, in: table)
                }
            }
        }
        return table
    }
    private mutating func make(at position: SourcePosition, level: Int) throws(TOMLFault) -> Int {
        guard level <= limits.depth else { throw fault("nested deeper than \(limits.depth) levels") }
        try count()
        tables.append(Table(position: position, level: level))
        return tables.count - 1
    }
    private mutating func add(_ key: Key, _ item: Item, to table: Int) {
        tables[table].index[key.text] = tables[table].entries.count
        tables[table].entries.append((key, item))
    }
    private func duplicate(_ key: Key, in table: Int) -> TOMLFault {
        let first = tables[table].index[key.text].map { tables[table].entries[$0].key.position.line }
        let line = first.map { ", first used at line \($0)" } ?? ""
        return TOMLFault(reason: "duplicate key \(key.text)\(line)", position: key.position)
    }

    /// `a.b = value`.
    private mutating func readPair(into start: Int) throws(TOMLFault) {
        var keys = try readKeys(until: 0x3d)
        offset += 1
        skipSpace()
        guard let last = keys.popLast() else { throw fault("expected a key") }
        var table = start
        for key in keys {
            guard let found = tables[table].index[key.text] else {
                let made = try make(at: key.position, level: tables[table].level + 1)
                tables[made].isDotted = true
                add(key, .table(made), to: table)
                table = made
                continue
            }
            guard case .table(let inner) = tables[table].entries[found].item, tables[inner].isDotted else {
                throw duplicate(key, in: table)
            }
            table = inner
        }
        guard tables[table].index[last.text] == nil else { throw duplicate(last, in: table) }
        let value = try readValue(level: tables[table].level)
        add(last, .value(value), to: table)
    }
    private mutating func readKeys(until end: UInt8) throws(TOMLFault) -> [Key] {
        var keys: [Key] = []
        while true {
            skipSpace()
            let position = here()
            switch next {
            case 0x22: keys.append(Key(text: try readBasic(), position: position))
            case 0x27: keys.append(Key(text: try readLiteral(), position: position))
            default:
                let start = offset
                while let byte = next, TOMLReader.isBare(byte) { offset += 1 }
                guard offset > start else { throw fault("expected a key") }
                keys.append(Key(text: String(decoding: bytes[start..<offset], as: UTF8.self), position: position))
            }
            guard keys.count <= limits.depth else { throw fault("nested deeper than \(limits.depth) levels") }
            skipSpace()
            if next == end { return keys }
            guard next == 0x2e else { throw fault("expected . or \(Character(Unicode.Scalar(end)))") }
            offset += 1
        }
    }
    private static func isBare(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2d, 0x5f: true
        default: false
        }
    }

    /// Tables are no deeper than the limit, so neither is the recursion.
    private func document(_ table: Int) -> Document {
        let entries = tables[table].entries.map { key, item in
            let value =
                switch item {
                case .value(let value): value
                case .table(let inner): document(inner)
                case .tables(let list): Document(.list(lists[list].map(document)), at: key.position)
                }
            return Document.Entry(key.text, at: key.position, value)
        }
        return Document(.map(entries), at: tables[table].position)
    }

    // MARK: Values

    /// `level`: maps and lists around it.
    private mutating func readValue(level: Int) throws(TOMLFault) -> Document {
        try count()
        let position = here()
        switch next {
        case 0x22:
            let isLong = peek(1) == 0x22 && peek(2) == 0x22
            return Document(.scalar(try isLong ? readLong(0x22) : readBasic(), .quoted), at: position)
        case 0x27:
            let isLong = peek(1) == 0x27 && peek(2) == 0x27
            return Document(.scalar(try isLong ? readLong(0x27) : readLiteral(), .quoted), at: position)
        case 0x5b:
            guard level < limits.depth else { throw fault("nested deeper than \(limits.depth) levels") }
            offset += 1
            var elements: [Document] = []
            while true {
                try skipBlank()
                if next == 0x5d { break }
                elements.append(try readValue(level: level + 1))
                try skipBlank()
                if next == 0x5d { break }
                guard next == 0x2c else { throw fault("expected , or ]") }
                offset += 1
            }
            offset += 1
            return Document(.list(elements), at: position)
        case 0x7b:
            let table = try make(at: position, level: level + 1)
            offset += 1
            skipSpace()
            while next != 0x7d {
                try readPair(into: table)
                skipSpace()
                if next == 0x7d { break }
                guard next == 0x2c else { throw fault("expected , or }") }
                offset += 1
                skipSpace()
                if next == 0x7d { throw fault("expected a key") }
            }
            offset += 1
            return document(table)
        default: return Document(.scalar(try readWord(), .plain), at: position)
        }
    }

    /// A boolean, number or date.
    private mutating func readWord() throws(TOMLFault) -> String {
        let start = offset
        while let byte = next, TOMLReader.isBare(byte) || byte == 0x2b || byte == 0x2e || byte == 0x3a { offset += 1 }
        let text = String(decoding: bytes[start..<offset], as: UTF8.self)
        if text == "true" || text == "false" { return text }
        let sign = text.hasPrefix("-") ? "-" : ""
        let digits = text.hasPrefix("-") || text.hasPrefix("+") ? text.dropFirst() : text[...]
        if digits == "inf" || digits == "nan" { return sign + digits }
        if let first = digits.utf8.first, (0x30...0x39).contains(first) {
            if let number = try? TOMLReader.number(text, digits, sign).get() { return number }
            if digits.utf8.count >= 8, digits.contains(":") || digits.contains("-"), sign.isEmpty { return text }
        }
        offset = start
        throw fault(text.isEmpty ? "expected a value" : "\"\(text.prefix(40))\" is no value; a text needs quotes")
    }
    private struct NoNumber: Error {}
    /// An integer in decimal, or a float without underscores.
    private static func number(_ text: String, _ digits: Substring, _ sign: String) -> Result<String, NoNumber> {
        // An underscore stands between two digits.
        let parts = digits.split(separator: "_", omittingEmptySubsequences: false)
        guard parts.allSatisfy({ $0.first?.isHexDigit == true && $0.last?.isHexDigit == true }) else {
            return .failure(NoNumber())
        }
        let plain = parts.joined()
        for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] where plain.hasPrefix(prefix) {
            let rest = plain.dropFirst(2)
            guard text.first != "-", text.first != "+", rest.first != "-", rest.first != "+",
                let value = Int64(rest, radix: radix)
            else { return .failure(NoNumber()) }
            return .success(String(value))
        }
        let whole = plain.prefix { $0.isASCII && $0.isNumber }
        guard !whole.isEmpty, whole.utf8.count == 1 || whole.first != "0" else { return .failure(NoNumber()) }
        if whole.count == plain.count {
            return Int64(sign + plain).map { .success(String($0)) } ?? .failure(NoNumber())
        }
        let rest = plain.dropFirst(whole.count)
        guard rest.first == "." ? rest.dropFirst().first?.isNumber == true : rest.first == "e" || rest.first == "E",
            rest.allSatisfy({ $0.isNumber || "+-.eE".contains($0) }), let value = Double(plain), value.isFinite
        else { return .failure(NoNumber()) }
        return .success(sign + plain)
    }

    // MARK: Strings

    private func isForbidden(_ byte: UInt8) -> Bool { byte < 0x20 && byte != 0x09 || byte == 0x7f }

    private mutating func readLiteral() throws(TOMLFault) -> String {
        offset += 1
        let start = offset
        while let byte = next, byte != 0x27 {
            if isForbidden(byte) {
                throw fault(byte == 0x0a ? "the line ends inside a string" : "a control character in a string")
            }
            offset += 1
        }
        guard next != nil else { throw fault("the text ends inside a string") }
        offset += 1
        return String(decoding: bytes[start..<offset - 1], as: UTF8.self)
    }
    private mutating func readBasic() throws(TOMLFault) -> String {
        offset += 1
        var text: [UInt8] = []
        while let byte = next {
            if byte == 0x22 {
                offset += 1
                return String(decoding: text, as: UTF8.self)
            }
            if isForbidden(byte) {
                throw fault(byte == 0x0a ? "the line ends inside a string" : "a control character in a string")
            }
            if byte == 0x5c {
                try readEscape(&text)
            } else {
                text.append(byte)
                offset += 1
            }
        }
        throw fault("the text ends inside a string")
    }
    /// A string between three marks each, over several lines.
    private mutating func readLong(_ mark: UInt8) throws(TOMLFault) -> String {
        offset += 3
        if next == 0x0d, peek(1) == 0x0a { offset += 1 }
        if next == 0x0a { endLine() }
        var text: [UInt8] = []
        while let byte = next {
            if byte == mark, peek(1) == mark, peek(2) == mark {
                offset += 3
                // Up to two more marks belong to the text.
                for _ in 0..<2 where next == mark {
                    text.append(mark)
                    offset += 1
                }
                return String(decoding: text, as: UTF8.self)
            }
            if byte == 0x0a {
                text.append(byte)
                endLine()
            } else if byte == 0x0d, peek(1) == 0x0a {
                offset += 1
            } else if isForbidden(byte) {
                throw fault("a control character in a string")
            } else if byte == 0x5c, mark == 0x22 {
                if !skipContinuation() { try readEscape(&text) }
            } else {
                text.append(byte)
                offset += 1
            }
        }
        throw fault("the text ends inside a string")
    }
    /// A backslash at the end of a line takes all space up to the next word with it.
    private mutating func skipContinuation() -> Bool {
        var end = 1
        while peek(end) == 0x20 || peek(end) == 0x09 || peek(end) == 0x0d { end += 1 }
        guard peek(end) == 0x0a else { return false }
        offset += end
        while let byte = next, byte == 0x20 || byte == 0x09 || byte == 0x0d || byte == 0x0a {
            if byte == 0x0a { endLine() } else { offset += 1 }
        }
        return true
    }
    private mutating func readEscape(_ text: inout [UInt8]) throws(TOMLFault) {
        let plain: [UInt8: UInt8] = [0x22: 0x22, 0x5c: 0x5c, 0x62: 8, 0x65: 27, 0x66: 12, 0x6e: 10, 0x72: 13, 0x74: 9]
        guard let byte = peek(1) else { throw fault("the text ends inside a string") }
        if let character = plain[byte] {
            offset += 2
            return text.append(character)
        }
        guard byte == 0x75 || byte == 0x55 else { throw fault("unknown escape in a string") }
        var value: UInt32 = 0
        for place in 0..<(byte == 0x75 ? 4 : 8) {
            guard let digit = peek(2 + place).flatMap({ Character(Unicode.Scalar($0)).hexDigitValue }) else {
                throw fault("expected hexadecimal digits")
            }
            value = value << 4 | UInt32(digit)
        }
        guard let scalar = Unicode.Scalar(value) else { throw fault("an escape that is no character") }
        offset += byte == 0x75 ? 6 : 10
        text += Array(String(Character(scalar)).utf8)
    }
}
