// What RFC 8259 allows is read, what it does not is refused with a place, and no text at all makes the reader trap.

import Documents
import Testing

private func parse(_ text: String, limits: DocumentLimits = .init()) -> ParsedDocument {
    Document.parse(json: Array(text.utf8), limits: limits)
}

@Suite struct JSONReaderTests {
    @Test(arguments: [
        ("null", "null"), (" true ", "true"), ("false", "false"), ("0", "0"), ("-0", "0"), ("-12", "-12"),
        ("9223372036854775807", "9223372036854775807"), ("1.5", "1.5"), ("1e2", "100.0"), ("-1.25E-2", "-0.0125"),
        ("\"\"", "\"\""), (#""a\"b\\c\/d\b\f\n\r\t""#, #""a\"b\\c/d\u0008\u000c\n\r\t""#),
        (#""\u0041\u00e9""#, "\"Aé\""),
        (#""\ud83d\ude00""#, "\"😀\""), ("[]", "[]"), ("{}", "{}"), ("[1,[2,[3]],{}]", "[1,[2,[3]],{}]"),
        ("{\"a\" : 1 , \"b\":[ true , null ]}", "{\"a\":1,\"b\":[true,null]}"), ("\t[\r\n1 ]\n", "[1]"),
        ("{\"\":{\"\":[]}}", "{\"\":{\"\":[]}}"), ("\"\u{7f}\"", #""\u007f""#),
    ])
    func accepts(text: String, canonical: String) throws {
        let value = try #require(JSONValue(parsing: text), "\(parse(text).problems.report)")
        #expect(value.description == canonical)
        #expect(JSONValue(parsing: value.description) == value)
    }

    @Test(arguments: [
        ("", "1:1: error: the text ends too early"), ("  ", "1:3: error: the text ends too early"),
        ("nul", "1:1: error: expected a value"), ("True", "1:1: error: expected a value"),
        ("01", "1:2: error: a number must not start with 0"), ("1.", "1:3: error: expected a digit"),
        (".5", "1:1: error: expected a value"), ("+1", "1:1: error: expected a value"),
        ("-", "1:2: error: expected a digit"), ("1e", "1:3: error: expected a digit"),
        ("[1,]", "1:4: error: expected a value"), ("[1 2]", "1:4: error: expected , or ]"),
        ("[1", "1:3: error: the text ends too early"), ("{\"a\"}", "1:5: error: expected :"),
        ("{a:1}", "1:2: error: expected a name in quotes"), ("{\"a\":1,}", "1:8: error: expected a name in quotes"),
        ("{\"a\":1 \"b\":2}", "1:8: error: expected , or }"), ("[\n  1,\n  x]", "3:3: error: expected a value"),
        ("1 2", "1:3: error: text after the end of the value"), ("\"a", "1:3: error: the text ends inside a string"),
        ("\"a\nb\"", "1:3: error: a control character inside a string must be escaped"),
        (#""\x""#, "1:3: error: unknown escape in a string"),
        (#""\ud800""#, "1:8: error: a lone surrogate in a string"),
        (#""\udc00x""#, "1:8: error: a lone surrogate in a string"),
        (#""\ud800\u0041""#, "1:14: error: a lone surrogate in a string"),
        (#""\u12g4""#, "1:6: error: expected four hexadecimal digits"), ("// x\n1", "1:1: error: JSON has no comments"),
        ("1 # x", "1:3: error: JSON has no comments"), ("[1 /* x */]", "1:4: error: JSON has no comments"),
        ("['a']", "1:2: error: expected a value"), ("NaN", "1:1: error: expected a value"),
        ("}", "1:1: error: expected a value"),
        ("[1}", "1:3: error: expected , or ]"), ("\u{feff}1", "1:1: error: expected a value"),
    ])
    func refuses(text: String, report: String) {
        let parsed = parse(text)
        #expect(parsed.document == nil)
        #expect(parsed.problems.report == report + "\n")
        #expect(JSONValue(parsing: text) == nil)
    }

    @Test func badUTF8() {
        for bytes: [UInt8] in [[0x22, 0xff, 0x22], [0x22, 0xc0, 0x80, 0x22], [0x22, 0xed, 0xa0, 0x80, 0x22], [0xff]] {
            #expect(Document.parse(json: bytes).document == nil)
        }
    }

    @Test func positionsCountCharacters() throws {
        let document = try #require(parse("{\"é\": 1,\n \"list\": [\"a\",\n  {\"b\": 2}]}").document)
        #expect(document.position == SourcePosition(line: 1, column: 1))
        #expect(document["é"]?.position == SourcePosition(line: 1, column: 7))
        guard case .map(let entries) = document.content, case .list(let list)? = document["list"]?.content else {
            Issue.record("not the expected shape")
            return
        }
        #expect(entries[1].keyPosition == SourcePosition(line: 2, column: 2))
        #expect(list[0].position == SourcePosition(line: 2, column: 11))
        #expect(list[1]["b"]?.position == SourcePosition(line: 3, column: 9))
    }

    @Test func duplicatesAreAllReported() {
        let parsed = parse("{\"a\":1,\"a\":2,\n\"b\":{\"c\":1,\"c\":2}}")
        #expect(
            parsed.problems.report
                == "1:8: error: duplicate key a, first used at line 1\n2:12: error: duplicate key c, first used at line 2\n"
        )
        #expect(parsed.document?["a"]?.content == .scalar("1", .plain))
        #expect(JSONValue(parsing: "{\"a\":1,\"a\":2}") == nil)
    }

    @Test func limits() {
        var limits = DocumentLimits()
        limits.depth = 8
        limits.nodes = 20
        limits.size = 100
        #expect(
            parse(String(repeating: "[", count: 8) + String(repeating: "]", count: 8), limits: limits).document != nil)
        #expect(
            parse(String(repeating: "[", count: 9), limits: limits).problems.report
                == "1:9: error: nested deeper than 8 levels\n")
        #expect(parse("[" + String(repeating: "1,", count: 25) + "1]", limits: limits).document == nil)
        #expect(parse(String(repeating: " ", count: 101) + "1", limits: limits).document == nil)
        #expect(parse(String(repeating: "[", count: 1_000_000)).document == nil)
    }

    /// Random values survive being written and read, whatever the seed.
    @Test func roundTrips() {
        var random = Seeded(state: 7)
        for _ in 0..<2_000 {
            let value = random.value(depth: 4)
            #expect(JSONValue(parsing: value.description) == value, "\(value)")
        }
    }

    /// Broken texts are refused or read; they never trap.
    @Test func garbageNeverTraps() {
        var random = Seeded(state: 11)
        let alphabet = Array("{}[]\",:\\u0123dD8efal tru-+.E\n\u{e9}".utf8)
        for round in 0..<20_000 {
            var bytes: [UInt8]
            if round % 2 == 0 {
                bytes = (0..<random.below(40)).map { _ in alphabet[random.below(alphabet.count)] }
            } else {
                bytes = Array(random.value(depth: 3).description.utf8)
                for _ in 0...random.below(3) where !bytes.isEmpty {
                    bytes[random.below(bytes.count)] = UInt8(truncatingIfNeeded: random.below(256))
                }
            }
            let parsed = Document.parse(json: bytes)
            #expect(parsed.document != nil || parsed.problems.hasErrors)
        }
    }
}

/// A small generator (SplitMix64), so that a failure repeats.
struct Seeded {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
        return z ^ z >> 31
    }
    mutating func below(_ limit: Int) -> Int { limit <= 0 ? 0 : Int(next() % UInt64(limit)) }
    mutating func value(depth: Int) -> JSONValue {
        switch below(depth > 0 ? 8 : 6) {
        case 0: return .null
        case 1: return .bool(below(2) == 0)
        case 2: return .int(Int(truncatingIfNeeded: next()))
        case 3: return .int(below(1000) - 500)
        case 4: return .double(Double(below(1_000_000)) / 64 + 0.5 / 64)
        case 5: return .string(text())
        case 6: return .array((0..<below(4)).map { _ in value(depth: depth - 1) })
        default: return .object((0..<below(4)).map { JSONValue.Member("k\($0)" + text(), value(depth: depth - 1)) })
        }
    }
    private mutating func text() -> String {
        let characters: [Character] = ["a", "\"", "\\", "\n", "\u{1}", "é", "😀", "/", "\u{7f}", " "]
        return String((0..<below(6)).map { _ in characters[below(characters.count)] })
    }
}
