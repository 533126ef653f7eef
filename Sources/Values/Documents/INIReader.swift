// INI files as oslo.config reads them: sections, `key = value` or `key: value`, values that go on in indented lines, comments in lines of
// their own. Nothing is replaced inside of values.

extension Document {
    /// Reads one INI text: a map of sections, each a map of plain scalars; the lines of a value are joined by newlines. A key that is written
    /// twice has its last value, with a warning. The first line that is no INI is an error, and there is no document then.
    public static func parse(ini bytes: [UInt8], file: String = "", limits: DocumentLimits = .init()) -> ParsedDocument
    {
        var reader = INIReader(file: file, limits: limits)
        guard bytes.count <= limits.size else {
            return ParsedDocument(
                document: nil, problems: [Problem(at: nil, "the text is larger than \(limits.size) octets")])
        }
        do throws(INIFault) {
            let document = try reader.read(bytes)
            return ParsedDocument(document: document, problems: reader.problems)
        } catch {
            return ParsedDocument(document: nil, problems: [Problem(at: error.position, error.reason)])
        }
    }
}

private struct INIFault: Error {
    let reason: String
    let position: SourcePosition
}

private struct INIReader {
    private struct Entry {
        var key: String
        var keyPosition: SourcePosition
        var lines: [String]
        var position: SourcePosition
    }
    private struct Part {
        var name: String
        var position: SourcePosition
        var entries: [Entry] = []
        var index: [String: Int] = [:]
    }

    let file: String
    let limits: DocumentLimits
    private(set) var problems: [Problem] = []
    private var parts: [Part] = []
    private var index: [String: Int] = [:]
    private var current: Int?
    /// The entry that an indented line continues.
    private var open: Int?
    private var nodes = 0

    init(file: String, limits: DocumentLimits) {
        self.file = file
        self.limits = limits
    }

    mutating func read(_ bytes: [UInt8]) throws(INIFault) -> Document {
        var number = 0
        for slice in bytes.split(separator: 0x0a, omittingEmptySubsequences: false) {
            number += 1
            let start = SourcePosition(file: file, line: number, column: 1)
            guard let text = String(validating: slice, as: UTF8.self) else {
                throw INIFault(reason: "the line is not valid UTF-8", position: start)
            }
            try read(line: text.trimmed(isAtStartToo: false), number)
        }
        let sections = parts.map { part in
            Document.Entry(
                part.name, at: part.position,
                Document(
                    .map(
                        part.entries.map { entry in
                            Document.Entry(
                                entry.key, at: entry.keyPosition,
                                Document(.scalar(entry.lines.joined(separator: "\n"), .plain), at: entry.position))
                        }), at: part.position))
        }
        return Document(.map(sections), at: SourcePosition(file: file, line: 1, column: 1))
    }

    private mutating func read(line: Substring, _ number: Int) throws(INIFault) {
        func place(_ column: Int) -> SourcePosition { SourcePosition(file: file, line: number, column: column) }
        guard let first = line.utf8.first else { return open = nil }
        nodes += 1
        guard nodes <= limits.nodes else {
            throw INIFault(reason: "more than \(limits.nodes) values", position: place(1))
        }
        switch first {
        case 0x20, 0x09:
            guard let current, let open else {
                throw INIFault(reason: "an indented line continues a value, and there is none", position: place(1))
            }
            parts[current].entries[open].lines.append(String(line.trimmed()))
        case 0x23, 0x3b: open = nil
        case 0x5b:
            open = nil
            guard line.utf8.last == 0x5d else {
                throw INIFault(reason: "a section ends with ]", position: place(1))
            }
            let name = String(line.dropFirst().dropLast().trimmed())
            guard !name.isEmpty else { throw INIFault(reason: "a section needs a name", position: place(1)) }
            if let known = index[name] {
                current = known
            } else {
                index[name] = parts.count
                current = parts.count
                parts.append(Part(name: name, position: place(1)))
            }
        default: try readAssignment(line, number)
        }
    }

    private mutating func readAssignment(_ line: Substring, _ number: Int) throws(INIFault) {
        func place(_ column: Int) -> SourcePosition { SourcePosition(file: file, line: number, column: column) }
        guard let mark = line.firstIndex(where: { $0 == "=" || $0 == ":" }) else {
            throw INIFault(reason: "expected key = value or [section]", position: place(1))
        }
        let key = String(line[..<mark].trimmed())
        guard !key.isEmpty else { throw INIFault(reason: "a value needs a key", position: place(1)) }
        guard let current else {
            throw INIFault(reason: "\(key) stands before any [section]", position: place(1))
        }
        var value = line[line.index(after: mark)...].trimmed()
        let column = line[..<value.startIndex].count + 1
        if value.count >= 2, let quote = value.first, quote == "\"" || quote == "'", value.last == quote {
            value = value.dropFirst().dropLast()
        }
        let entry = Entry(key: key, keyPosition: place(1), lines: [String(value)], position: place(column))
        if let known = parts[current].index[key] {
            let line = parts[current].entries[known].keyPosition.line
            problems.append(
                Problem(
                    .warning, at: place(1), path: "\(parts[current].name).\(key)",
                    "is written again, and replaces the value at line \(line)"))
            parts[current].entries[known] = entry
            open = known
        } else {
            parts[current].index[key] = parts[current].entries.count
            open = parts[current].entries.count
            parts[current].entries.append(entry)
        }
    }
}

extension StringProtocol where SubSequence == Substring {
    /// Without spaces, tabs and carriage returns at the end, and at the start.
    fileprivate func trimmed(isAtStartToo: Bool = true) -> Substring {
        func isSpace(_ character: Character) -> Bool { character == " " || character == "\t" || character == "\r" }
        var rest = self[startIndex...]
        while let last = rest.last, isSpace(last) { rest = rest.dropLast() }
        if isAtStartToo { rest = rest.drop(while: isSpace) }
        return rest
    }
}

extension Document {
    /// With the values of `other`, a document of the same form, in place of its own.
    public func overridden(by other: Document) -> Document {
        guard case .map(var entries) = content, case .map(let changes) = other.content else { return other }
        for change in changes {
            if let place = entries.firstIndex(where: { $0.key == change.key }) {
                entries[place].value = entries[place].value.overridden(by: change.value)
            } else {
                entries.append(change)
            }
        }
        return Document(.map(entries), at: position)
    }
}
