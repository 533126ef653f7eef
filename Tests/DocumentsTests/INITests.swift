// INI as oslo.config writes it, and what is none.

import Documents
import Testing

private func read(_ text: String) -> ParsedDocument { Document.parse(ini: Array(text.utf8), file: "a.conf") }
private func value(_ parsed: ParsedDocument, _ section: String, _ key: String) -> String? {
    guard case .scalar(let text, .plain)? = parsed.document?[section]?[key]?.content else { return nil }
    return text
}

@Suite struct INITests {
    @Test func sectionsAndValues() {
        let parsed = read(
            "# a\n; b\n[one]\na = 1\nb:  x = y  \r\nc = \"quoted \"\nd = 'x\ne =\n\n[ two ]\na=2\n[one]\nf = 6\n")
        #expect(parsed.problems == [])
        #expect(value(parsed, "one", "a") == "1")
        #expect(value(parsed, "one", "b") == "x = y")
        #expect(value(parsed, "one", "c") == "quoted ")
        #expect(value(parsed, "one", "d") == "'x")
        #expect(value(parsed, "one", "e") == "")
        #expect(value(parsed, "one", "f") == "6")
        #expect(value(parsed, "two", "a") == "2")
        #expect(parsed.document?["one"]?["b"]?.position.description == "a.conf:5:5")
    }
    @Test func valuesGoOn() {
        let parsed = read("[a]\nx = 1\n  2\n\t3 \ny = 4\n")
        #expect(value(parsed, "a", "x") == "1\n2\n3")
        #expect(value(parsed, "a", "y") == "4")
    }
    @Test func lastOneCounts() {
        let parsed = read("[a]\nx = 1\nx = 2\n")
        #expect(value(parsed, "a", "x") == "2")
        #expect(
            parsed.problems.report == "a.conf:3:1: warning: a.x: is written again, and replaces the value at line 2\n")
    }
    @Test(arguments: [
        ("x = 1", "1:1: error: x stands before any [section]"), ("[a", "1:1: error: a section ends with ]"),
        ("[]", "1:1: error: a section needs a name"), ("[a]\nx", "2:1: error: expected key = value or [section]"),
        ("[a]\n= 1", "2:1: error: a value needs a key"),
        ("[a]\n  x", "2:1: error: an indented line continues a value, and there is none"),
        ("[a]\nx = 1\n\n  y", "4:1: error: an indented line continues a value, and there is none"),
    ]) func whatIsNoINI(text: String, problem: String) {
        let parsed = read(text)
        #expect(parsed.document == nil)
        #expect(parsed.problems.report == "a.conf:\(problem)\n")
    }
    @Test func wrongOctets() {
        #expect(Document.parse(ini: [0x5b, 0x61, 0x5d, 0x0a, 0xff]).document == nil)
        #expect(Document.parse(ini: []).document?.content == .map([]))
    }
    @Test func overriding() throws {
        let base = try #require(read("[a]\nx = 1\ny = 2\n").document)
        let over = try #require(read("[a]\nx = 3\n[b]\nz = 4\n").document)
        let both = ParsedDocument(document: base.overridden(by: over), problems: [])
        #expect(value(both, "a", "x") == "3")
        #expect(value(both, "a", "y") == "2")
        #expect(value(both, "b", "z") == "4")
    }
}
