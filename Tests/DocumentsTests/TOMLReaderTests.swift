// What TOML 1.0 allows is read, what it does not is refused with a place, and no text at all makes the reader trap.

import Documents
import Testing

private func parse(_ text: String, limits: DocumentLimits = .init()) -> ParsedDocument {
    Document.parse(toml: Array(text.utf8), limits: limits)
}

@Suite struct TOMLReaderTests {
    @Test(arguments: [
        ("", "{}"), ("# only\r\n\r\n", "{}"), ("a = 1", "{\"a\":1}"), ("a=1 # x\nb = true\n", "{\"a\":1,\"b\":true}"),
        ("'a b'.\"c\".d-1_ = \"x\"", "{\"a b\":{\"c\":{\"d-1_\":\"x\"}}}"), ("1 = 2", "{\"1\":2}"),
        ("a.b = 1\na.c = 2", "{\"a\":{\"b\":1,\"c\":2}}"),
        ("[a]\nb = 1\n[a.c]\nd = 2", "{\"a\":{\"b\":1,\"c\":{\"d\":2}}}"),
        ("[a.b]\n[a]\nc = 1", "{\"a\":{\"b\":{},\"c\":1}}"), ("[ a . b ]\nc=1", "{\"a\":{\"b\":{\"c\":1}}}"),
        ("[[a]]\nb = 1\n[[a]]\nb = 2\n[a.c]\nd = 3", "{\"a\":[{\"b\":1},{\"b\":2,\"c\":{\"d\":3}}]}"),
        ("[[a]]\n[[a.b]]\n[[a.b]]\n[[a]]", "{\"a\":[{\"b\":[{},{}]},{}]}"),
        ("a = [1, [2, 3,], [], # x\n 'y',\n]", "{\"a\":[1,[2,3],[],\"y\"]}"),
        ("a = {b = 1, c.d = [{}], 'e' = {}}", "{\"a\":{\"b\":1,\"c\":{\"d\":[{}]},\"e\":{}}}"),
        (
            "a = 1_000\nb = -0\nc = +9\nd = 0xdead_BEEF\ne = 0o17\nf = 0b101",
            "{\"a\":1000,\"b\":0,\"c\":9,\"d\":3735928559,\"e\":15,\"f\":5}"
        ),
        ("a = 9223372036854775807", "{\"a\":9223372036854775807}"),
        ("a = -9223372036854775808", "{\"a\":-9223372036854775808}"),
        ("a = 1.5\nb = 1_0.2_5\nc = 5e2\nd = -2.5E-1", "{\"a\":1.5,\"b\":10.25,\"c\":500.0,\"d\":-0.25}"),
        ("a = inf\nb = -nan", "{\"a\":\"inf\",\"b\":\"-nan\"}"),
        ("a = 1979-05-27T07:32:00Z\nb = 07:32:00", "{\"a\":\"1979-05-27T07:32:00Z\",\"b\":\"07:32:00\"}"),
        ("a = \"x\\ty\\n\\\"\\\\\\u00e9\\U0001F600\"", "{\"a\":\"x\\ty\\n\\\"\\\\é😀\"}"),
        ("a = 'C:\\x'", "{\"a\":\"C:\\\\x\"}"),
        ("a = \"\"\"\nx\n  y\\\n   z\"\"\"\"\nb = 1", "{\"a\":\"x\\n  yz\\\"\",\"b\":1}"),
        ("a = '''\n'x'\r\n\\y'''", "{\"a\":\"'x'\\n\\\\y\"}"),
        ("a = \"\"\nb = ''\nc = \"\"\"\"\"\"\n", "{\"a\":\"\",\"b\":\"\",\"c\":\"\"}"), ("\u{feff}a = 1", "{\"a\":1}"),
    ])
    func accepts(text: String, json: String) throws {
        let parsed = parse(text)
        let document = try #require(parsed.document, "\(parsed.problems.report)")
        #expect(JSONValue(document).description == json)
    }

    @Test(arguments: [
        ("a", "1:2: error: expected . or ="), ("= 1", "1:1: error: expected a key"),
        ("a =", "1:4: error: expected a value"),
        ("a = 1 b = 2", "1:7: error: expected the end of the line"),
        ("a = 1\na = 2", "2:1: error: duplicate key a, first used at line 1"),
        ("[a]\n[a]", "2:2: error: duplicate key a, first used at line 1"),
        ("a = 1\n[a]", "2:2: error: a is not a table"),
        ("a = {}\n[a.b]", "2:2: error: a is not a table"),
        ("a = {}\na.b = 1", "2:1: error: duplicate key a, first used at line 1"),
        ("a = []\n[[a]]", "2:3: error: a is not a table"),
        ("[[a]]\n[a]", "2:2: error: duplicate key a, first used at line 1"),
        ("[a]\n[[a]]", "2:3: error: duplicate key a, first used at line 1"),
        ("a.b = 1\n[a]", "2:2: error: duplicate key a, first used at line 1"),
        ("[a.b.c]\n[a]\nb.d = 1", "3:1: error: duplicate key b, first used at line 1"),
        ("[a", "1:3: error: expected . or ]"),
        ("[[a]", "1:5: error: expected ]]"), ("[]", "1:2: error: expected a key"),
        ("a..b = 1", "1:3: error: expected a key"),
        ("a = yes", "1:5: error: \"yes\" is no value; a text needs quotes"),
        ("a = 10.0.0.1", "1:5: error: \"10.0.0.1\" is no value; a text needs quotes"),
        ("a = 01", "1:5: error: \"01\" is no value; a text needs quotes"),
        ("a = 1_", "1:5: error: \"1_\" is no value; a text needs quotes"),
        ("a = 1__0", "1:5: error: \"1__0\" is no value; a text needs quotes"),
        ("a = 1.", "1:5: error: \"1.\" is no value; a text needs quotes"),
        ("a = 9223372036854775808", "1:5: error: \"9223372036854775808\" is no value; a text needs quotes"),
        ("a = -0x1", "1:5: error: \"-0x1\" is no value; a text needs quotes"),
        ("a = [1 2]", "1:8: error: expected , or ]"), ("a = [1", "1:7: error: expected , or ]"),
        ("a = {b = 1,}", "1:12: error: expected a key"), ("a = {b = 1\n}", "1:11: error: expected , or }"),
        ("a = \"x", "1:7: error: the text ends inside a string"),
        ("a = \"x\ny\"", "1:7: error: the line ends inside a string"),
        ("a = 'x\ny'", "1:7: error: the line ends inside a string"),
        ("a = \"\\q\"", "1:6: error: unknown escape in a string"),
        ("a = \"\\u12\"", "1:6: error: expected hexadecimal digits"),
        ("a = \"\\ud800\"", "1:6: error: an escape that is no character"),
        ("a = \"\"\"x", "1:9: error: the text ends inside a string"),
        ("a = 1 # \u{1}", "1:9: error: a control character in a comment"),
        ("a = 1\rb = 2", "1:6: error: expected the end of the line"),
        ("\n\n  é = 1", "3:3: error: expected a key"),
    ])
    func refuses(text: String, problem: String) {
        let parsed = parse(text)
        #expect(parsed.document == nil)
        #expect(parsed.problems.map(\.description) == [problem])
    }
    @Test func refusesWhatIsNoText() {
        #expect(Document.parse(toml: [0x61, 0x3d, 0x22, 0xff, 0x22]).document == nil)
    }

    @Test func positions() throws {
        let document = try #require(parse("[['é'.b]]\n  c = { d = 'x' }").document)
        let list = try #require(document["é"]?["b"])
        guard case .list(let elements) = list.content else {
            Issue.record("no list")
            return
        }
        #expect(elements[0]["c"]?["d"]?.position.description == "2:13")
    }

    @Test func limits() {
        var limits = DocumentLimits()
        limits.depth = 4
        for text in ["a = [[[1]]]", "a.b.c = []", "[a.b]\nc = {}", "[[a]]\nb = {}"] {
            #expect(parse(text, limits: limits).document?.depth == 4, "\(text)")
        }
        for text in [
            "a = [[[[1]]]]", "a.b.c = [[]]", "[a.b.c.d]", "a.b.c.d.e = 1", "[[a]]\nb = {c = {}}",
            "a = {b = {c = {d = {}}}}",
        ] {
            #expect(parse(text, limits: limits).document == nil, "\(text)")
        }
        limits = DocumentLimits()
        limits.nodes = 10
        #expect(parse("a = [1,2,3,4,5,6,7,8,9]", limits: limits).document != nil)
        #expect(parse("a = [1,2,3,4,5,6,7,8,9,10]", limits: limits).document == nil)
        #expect(parse(String(repeating: "[[a]]\n", count: 11), limits: limits).document == nil)
        limits = DocumentLimits()
        limits.size = 5
        #expect(parse("a = 12", limits: limits).document == nil)
        // However deep and long, no stack and no square of the time.
        #expect(parse("a = " + String(repeating: "[", count: 100_000)).document == nil)
        #expect(parse(String(repeating: "[[a]]\n", count: 50_000)).document != nil)
        #expect(parse("a = [" + String(repeating: "1, ", count: 50_000) + "]").document != nil)
    }

    @Test func garbageNeverTraps() {
        let words = [
            "[", "]", "[[", "]]", "{", "}", "=", ".", ",", "\n", "\"", "'", "\"\"\"", "'''", "\\", "\\u", "a", "b", "#",
            "1", "-", "_", "0x", "e", ":", "\r", " ",
        ]
        var state: UInt64 = 7
        func random(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        for _ in 0..<20000 {
            let parsed = parse((0..<random(24)).map { _ in words[random(words.count)] }.joined())
            #expect((parsed.document == nil) == (parsed.problems.count == 1))
        }
    }
}
