// JSON as RFC 8259 has it, and nothing more: no comments, no trailing commas, no lone surrogates, valid UTF-8 only.
// Iterative with an explicit stack, so that no text, however nested, can exhaust the thread's stack.

extension Document {
    /// Reads one JSON text. Duplicate members (the first one counts) are problems with positions; after a syntax error there
    /// is no document. Strings become quoted scalars; numbers, `true`, `false` and `null` plain ones as written.
    public static func parse(json bytes: [UInt8], file: String = "", limits: DocumentLimits = .init())
        -> ParsedDocument
    {
        var reader = JSONReader(bytes: bytes, file: file, limits: limits)
        do throws(JSONFault) {
            let document = try reader.read()
            return ParsedDocument(document: document, problems: reader.problems)
        } catch {
            reader.problems.append(Problem(at: reader.position(error.offset), error.reason))
            return ParsedDocument(document: nil, problems: reader.problems)
        }
    }
}

private struct JSONFault: Error {
    let reason: String
    let offset: Int
}

private struct JSONReader {
    private struct Frame {
        var position: SourcePosition
        var isMap: Bool
        var elements: [Document] = []
        var entries: [Document.Entry] = []
        var seen: [String: SourcePosition] = [:]
        /// The name whose value is being read; nil with `isMap` only for a duplicate.
        var name: (text: String, position: SourcePosition)?
    }

    let bytes: [UInt8]
    let file: String
    let limits: DocumentLimits
    var problems: [Problem] = []
    private var offset = 0
    private var stack: [Frame] = []
    private var nodes = 0
    // Line bookkeeping: `line` is the number of the line that starts at `lineStart`.
    private var line = 1
    private var lineStart = 0

    init(bytes: [UInt8], file: String, limits: DocumentLimits) {
        self.bytes = bytes
        self.file = file
        self.limits = limits
    }

    /// Only for offsets on the current line, which is where all complaints are.
    func position(_ offset: Int) -> SourcePosition {
        let end = min(max(offset, lineStart), bytes.count)
        let column = bytes[lineStart..<end].reduce(1) { $1 & 0xc0 == 0x80 ? $0 : $0 + 1 }
        return SourcePosition(file: file, line: line, column: column)
    }
    private var next: UInt8? { offset < bytes.count ? bytes[offset] : nil }
    private func fault(_ reason: String) -> JSONFault { JSONFault(reason: reason, offset: offset) }
    /// Something else stands here, or nothing any more.
    private func unexpected(_ reason: String) -> JSONFault {
        switch next {
        case nil: fault("the text ends too early")
        case 0x23, 0x2f: fault("JSON has no comments")
        default: fault(reason)
        }
    }

    mutating func read() throws(JSONFault) -> Document {
        guard bytes.count <= limits.size else { throw fault("the text is larger than \(limits.size) octets") }
        // Positions are the expensive part of a very long line; scanning is linear because every line is left behind.
        skipSpace()
        while true {
            // A value starts here.
            let start = here()
            nodes += 1
            guard nodes <= limits.nodes else { throw fault("more than \(limits.nodes) values") }
            var value: Document
            switch next {
            case 0x7b, 0x5b:
                let isMap = next == 0x7b
                guard stack.count < limits.depth else { throw fault("nested deeper than \(limits.depth) levels") }
                offset += 1
                skipSpace()
                if next == (isMap ? 0x7d : 0x5d) {
                    offset += 1
                    value = Document(isMap ? .map([]) : .list([]), at: start)
                } else {
                    stack.append(Frame(position: start, isMap: isMap))
                    if isMap { try readName() }
                    continue
                }
            case 0x22: value = Document(.scalar(try readString(), .quoted), at: start)
            default: value = Document(.scalar(try readWord(), .plain), at: start)
            }
            // A value has ended here, and perhaps lists and maps with it.
            while true {
                skipSpace()
                guard let top = stack.indices.last else {
                    guard offset == bytes.count else { throw unexpected("text after the end of the value") }
                    return value
                }
                if !stack[top].isMap {
                    stack[top].elements.append(value)
                } else if let name = stack[top].name {
                    stack[top].entries.append(Document.Entry(name.text, at: name.position, value))
                }
                if next == 0x2c {
                    offset += 1
                    skipSpace()
                    if stack[top].isMap { try readName() }
                    break
                }
                guard next == (stack[top].isMap ? 0x7d : 0x5d) else {
                    throw unexpected(stack[top].isMap ? "expected , or }" : "expected , or ]")
                }
                offset += 1
                let frame = stack.removeLast()
                value = Document(frame.isMap ? .map(frame.entries) : .list(frame.elements), at: frame.position)
            }
        }
    }

    // Column of the last position asked for on this line, so that one long line costs linear time.
    private var knownOffset = 0
    private var knownColumn = 1
    private mutating func here() -> SourcePosition {
        for byte in bytes[knownOffset..<offset] where byte & 0xc0 != 0x80 { knownColumn += 1 }
        knownOffset = offset
        return SourcePosition(file: file, line: line, column: knownColumn)
    }
    private mutating func skipSpace() {
        while let byte = next {
            switch byte {
            case 0x20, 0x09, 0x0d: offset += 1
            case 0x0a:
                offset += 1
                line += 1
                lineStart = offset
                knownOffset = offset
                knownColumn = 1
            default: return
            }
        }
    }

    /// A member's name and its colon, up to the start of the value.
    private mutating func readName() throws(JSONFault) {
        guard let top = stack.indices.last else { return }
        guard next == 0x22 else { throw unexpected("expected a name in quotes") }
        let start = here()
        let name = try readString()
        if let first = stack[top].seen[name] {
            problems.append(Problem(at: start, "duplicate key \(name), first used at line \(first.line)"))
            stack[top].name = nil
        } else {
            stack[top].seen[name] = start
            stack[top].name = (name, start)
        }
        skipSpace()
        guard next == 0x3a else { throw fault(next == nil ? "the text ends too early" : "expected :") }
        offset += 1
        skipSpace()
    }

    private mutating func readWord() throws(JSONFault) -> String {
        guard let first = next else { throw fault("the text ends too early") }
        let start = offset
        if first == 0x2d || (0x30...0x39).contains(first) {
            try readNumber()
        } else {
            for word in ["true", "false", "null"] where bytes[offset...].starts(with: word.utf8) {
                offset += word.utf8.count
                return word
            }
            throw unexpected("expected a value")
        }
        return String(decoding: bytes[start..<offset], as: UTF8.self)
    }
    private mutating func readNumber() throws(JSONFault) {
        if next == 0x2d { offset += 1 }
        if next == 0x30 { offset += 1 } else { try readDigits() }
        if let byte = next, (0x30...0x39).contains(byte) { throw fault("a number must not start with 0") }
        if next == 0x2e {
            offset += 1
            try readDigits()
        }
        if next == 0x65 || next == 0x45 {
            offset += 1
            if next == 0x2b || next == 0x2d { offset += 1 }
            try readDigits()
        }
    }
    private mutating func readDigits() throws(JSONFault) {
        guard let byte = next, (0x30...0x39).contains(byte) else { throw fault("expected a digit") }
        while let byte = next, (0x30...0x39).contains(byte) { offset += 1 }
    }

    private mutating func readString() throws(JSONFault) -> String {
        offset += 1
        let start = offset
        var text: [UInt8] = []
        var copied = start
        while true {
            guard let byte = next else { throw fault("the text ends inside a string") }
            switch byte {
            case 0x22:
                text += bytes[copied..<offset]
                guard let string = String(validating: text, as: UTF8.self) else {
                    throw JSONFault(reason: "a string is not valid UTF-8", offset: start)
                }
                offset += 1
                return string
            case 0x5c:
                text += bytes[copied..<offset]
                offset += 1
                try readEscape(&text)
                copied = offset
            case 0..<0x20: throw fault("a control character inside a string must be escaped")
            default: offset += 1
            }
        }
    }
    private mutating func readEscape(_ text: inout [UInt8]) throws(JSONFault) {
        let plain: [UInt8: UInt8] = [
            0x22: 0x22, 0x5c: 0x5c, 0x2f: 0x2f, 0x62: 8, 0x66: 12, 0x6e: 10, 0x72: 13, 0x74: 9,
        ]
        guard let byte = next else { throw fault("the text ends inside a string") }
        if let character = plain[byte] {
            offset += 1
            text.append(character)
            return
        }
        guard byte == 0x75 else { throw fault("unknown escape in a string") }
        offset += 1
        var value = try readUnit()
        if value & 0xfc00 == 0xd800 {
            guard next == 0x5c, offset + 1 < bytes.count, bytes[offset + 1] == 0x75 else {
                throw fault("a lone surrogate in a string")
            }
            offset += 2
            let low = try readUnit()
            guard low & 0xfc00 == 0xdc00 else { throw fault("a lone surrogate in a string") }
            value = 0x10000 + (value & 0x3ff) << 10 + low & 0x3ff
        }
        guard let scalar = Unicode.Scalar(value) else { throw fault("a lone surrogate in a string") }
        text += Array(String(Character(scalar)).utf8)
    }
    private mutating func readUnit() throws(JSONFault) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw fault("expected four hexadecimal digits")
            }
            value = value << 4 | UInt32(digit)
            offset += 1
        }
        return value
    }
}

extension JSONValue {
    /// Reads one JSON text (RFC 8259); nil when it is malformed or an object names a member twice. Integers that fit `Int`
    /// become `.int`, other numbers `.double`.
    public init?(parsing bytes: [UInt8], limits: DocumentLimits = .init()) {
        let parsed = Document.parse(json: bytes, limits: limits)
        guard let document = parsed.document, parsed.problems.isEmpty else { return nil }
        self.init(document)
    }
    public init?(parsing text: String) { self.init(parsing: Array(text.utf8)) }

    /// The plain words mean what JSON says; any other plain word is text.
    public init(_ document: Document) {
        switch document.content {
        case .scalar(let text, .quoted): self = .string(text)
        case .scalar("null", .plain): self = .null
        case .scalar("true", .plain): self = .bool(true)
        case .scalar("false", .plain): self = .bool(false)
        case .scalar(let text, .plain):
            if let int = Int(text) {
                self = .int(int)
            } else if let double = Double(text), double.isFinite {
                self = .double(double)
            } else {
                self = .string(text)
            }
        case .list(let elements): self = .array(elements.map { JSONValue($0) })
        case .map(let entries): self = .object(entries.map { Member($0.key, JSONValue($0.value)) })
        }
    }
}
