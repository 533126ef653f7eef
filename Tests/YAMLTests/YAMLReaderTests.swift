// YAML as people write it, and YAML as attackers do.

import Documents
import Testing
import YAML

private func parse(_ text: String, limits: DocumentLimits = .init()) -> ParsedDocument {
    Document.parse(yaml: Array(text.utf8), limits: limits)
}

@Suite struct YAMLReaderTests {
    /// The tree as JSON, all scalars as the reader styled them.
    @Test(arguments: [
        ("", #""""#), ("# nothing\n", #""""#), ("a: 1", #"{"a":1}"#), ("a: '1'", #"{"a":"1"}"#),
        ("a: \"x\\ty\"", #"{"a":"x\ty"}"#), ("- 1\n- b\n-\n", #"[1,"b",""]"#),
        ("{a: [1, {b: c}]}", #"{"a":[1,{"b":"c"}]}"#),
        ("a: |\n  one\n  two\n", #"{"a":"one\ntwo\n"}"#), ("a: >-\n  one\n  two\n", #"{"a":"one two"}"#),
        ("a: !!str 5\nb: !!int '5'\nc: ! 7", #"{"a":"5","b":5,"c":"7"}"#), ("--- {a: 1}\n...\n", #"{"a":1}"#),
        ("d: &x {k: v}\ne: *x", #"{"d":{"k":"v"},"e":{"k":"v"}}"#), ("a: &w word\nb: *w", #"{"a":"word","b":"word"}"#),
        ("b: &b {x: 1, y: 2}\nm: {<<: *b, y: 3}", #"{"b":{"x":1,"y":2},"m":{"y":3,"x":1}}"#),
        ("l: [&p {x: 1}, &q {x: 2, z: 4}]\nm: {<<: [*p, *q]}", #"{"l":[{"x":1},{"x":2,"z":4}],"m":{"x":1,"z":4}}"#),
        ("'<<': 1", #"{"<<":1}"#), ("é: ü", #"{"é":"ü"}"#),
    ])
    func reads(text: String, json: String) throws {
        let parsed = parse(text)
        #expect(parsed.problems.report == "")
        #expect(JSONValue(try #require(parsed.document)).description == json)
    }

    @Test(arguments: [
        (
            "a: [1\nb: 2",
            "2:2: error: did not find expected ',' or ']' while parsing a flow sequence, started at line 1"
        ),
        (
            "a:\n\tb: 1",
            "2:1: error: found character that cannot start any token while scanning for the next token, started at line 2 (indent with spaces, not with tabs)"
        ),
        ("a: 1\n---\nb: 2", "2:1: error: a second document starts here; only one is allowed"),
        ("a: *x", "1:4: error: alias *x has no anchor &x that ends before it"),
        ("a: &x [*x]", "1:8: error: alias *x has no anchor &x that ends before it"),
        ("a: \"\\q\"", "1:5: error: found unknown escape character while parsing a quoted scalar, started at line 1"),
        (
            "a: %x",
            "1:4: error: found character that cannot start any token while scanning for the next token, started at line 1 (indent with spaces, not with tabs)"
        ),
    ])
    func refuses(text: String, report: String) {
        let parsed = parse(text)
        #expect(parsed.document == nil)
        #expect(parsed.problems.report == report + "\n")
    }

    /// These leave a tree, so that the rest of the file can be checked too.
    @Test(arguments: [
        (
            "a: 1\na: 2\nb: {c: 1, c: 2}", #"{"a":1,"b":{"c":1}}"#,
            "2:1: error: duplicate key a, first used at line 1\n3:11: error: duplicate key c, first used at line 3\n"
        ),
        (
            "a: !secret x\n[1]: y\n", #"{"a":"x"}"#,
            "1:4: error: tag !secret is not supported\n2:1: error: a key must be a single word\n"
        ),
        ("a: {<<: 5}\n", #"{"a":{}}"#, "1:9: error: only maps can be merged with <<\n"),
    ])
    func readsOn(text: String, json: String, report: String) throws {
        let parsed = parse(text)
        #expect(parsed.problems.report == report)
        #expect(JSONValue(try #require(parsed.document)).description == json)
    }

    @Test func positions() throws {
        let document = try #require(parse("a: 1\nlist:\n  - x\n  - {k: 'v'}\n").document)
        guard case .map(let entries) = document.content, case .list(let list) = entries[1].value.content else {
            Issue.record("not the expected shape")
            return
        }
        #expect(entries[0].value.position == SourcePosition(line: 1, column: 4))
        #expect(entries[1].keyPosition == SourcePosition(line: 2, column: 1))
        #expect(list[0].position == SourcePosition(line: 3, column: 5))
        #expect(list[1]["k"]?.position == SourcePosition(line: 4, column: 9))
        #expect(list[1]["k"]?.content == .scalar("v", .quoted))
        #expect(Document.parse(yaml: Array("a: [".utf8), file: "x.yaml").problems.first?.position?.file == "x.yaml")
    }

    @Test func nullsArePlain() throws {
        let document = try #require(parse("a:\nb: ~\nc: null\nd: ''\ne: 'null'").document)
        #expect(["a", "b", "c", "d", "e"].map { document[$0]?.isNull } == [true, true, true, false, false])
    }

    /// The well-known nest of aliases that doubles ten times a line.
    @Test func billionLaughs() {
        var text = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
        for level in 1...9 {
            let aliases = Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ",")
            text += "a\(level): &a\(level) [\(aliases)]\n"
        }
        let parsed = parse(text)
        #expect(parsed.document == nil)
        #expect(parsed.problems.first?.reason == "more than 2000000 values, aliases expanded")
    }

    /// Each level is within the limit by itself; the nesting that aliases add must count too.
    @Test func aliasesDoNotDeepenBeyondTheLimit() {
        var text = "a0: &a0 [x]\n"
        for level in 1...500 { text += "a\(level): &a\(level) [*a\(level - 1)]\n" }
        let parsed = parse(text)
        #expect(parsed.document == nil)
        #expect(parsed.problems.first?.reason == "nested deeper than 64 levels")
    }

    @Test func limits() {
        #expect(parse(String(repeating: "[", count: 100_000)).document == nil)
        #expect(parse(String(repeating: "- ", count: 2_000) + "x").document == nil)
        var limits = DocumentLimits()
        limits.size = 10
        #expect(parse("a: 1234567890", limits: limits).problems.first?.reason == "the text is larger than 10 octets")
    }

    @Test func garbageNeverTraps() {
        var state: UInt64 = 3
        func below(_ limit: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((state >> 33) % UInt64(limit))
        }
        let words = [
            "a", ": ", "\n", "  ", "- ", "{", "}", "[", "]", ",", "&x ", "*x", "<<", "|", ">", "'", "\"", "#", "!!str ",
            "!t ",
            "---\n", "...\n", "? ", "%", "\t", "\u{0}", "\u{e9}", "\\",
        ]
        for _ in 0..<10_000 {
            var bytes = Array((0..<below(25)).map { _ in words[below(words.count)] }.joined().utf8)
            if below(4) == 0, !bytes.isEmpty { bytes[below(bytes.count)] = UInt8(truncatingIfNeeded: below(256)) }
            let parsed = Document.parse(yaml: bytes)
            #expect(parsed.document != nil || parsed.problems.hasErrors)
        }
    }

    @Test func files() {
        #expect(
            Document.read(file: "/nonexistent/evpnd.yaml").problems.report
                == "error: /nonexistent/evpnd.yaml: No such file or directory\n")
        #expect(Document.read(file: "/").problems.report == "error: /: Is a directory\n")
        #expect(readFile("/dev/zero", limit: 1 << 20) == .failure(FileFault(reason: "larger than 1048576 octets")))
    }
}
