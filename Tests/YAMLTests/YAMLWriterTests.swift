// What is written reads as the same tree.

import Documents
import Testing
import YAML

extension Document {
    /// The tree without its positions.
    fileprivate var shape: String {
        switch content {
        case .scalar(let text, let style): "\(style):\(text.debugDescription)"
        case .list(let elements): "[\(elements.map(\.shape).joined(separator: ","))]"
        case .map(let entries):
            "{\(entries.map { "\($0.key.debugDescription)=\($0.value.shape)" }.joined(separator: ","))}"
        }
    }
}

@Suite struct YAMLWriterTests {
    @Test(arguments: [
        "a", "''", "{}", "[]", "a: 1", "a: {b: [1, {c: d, e: []}, [x, [y]]], f: ''}", "- - - deep",
        "key with space: 'yes'", "'': empty",
        "x: \"tab\\tline\\nnull\\0 \\e é 😀 \\uFEFF \\u2028 \\u2029 \\u0085 \\uFFFE \\uFFFF\"", "x: '# no comment'",
        "x: 'a: b'", "x: ends-with-colon/", "a: /run/evpnd/evpnd.sock", "a: 2001:db8::1", "a: \"::1\"", "a: ~",
        "a: -1", "a: '-'", "a: '!tag'", "a: '&anchor'", "a: 'trailing '", "{'a:': b, 'c #': d, '? e': f}",
    ])
    func roundTrip(text: String) throws {
        let document = try #require(Document.parse(yaml: Array(text.utf8)).document)
        let again = Document.parse(yaml: Array(document.yaml.utf8))
        #expect(again.problems == [])
        // A plain scalar that has to be quoted has lost nothing but that.
        let shape = try #require(again.document).shape.replacing("quoted:", with: "plain:")
        #expect(shape == document.shape.replacing("quoted:", with: "plain:"), "\(document.yaml)")
    }
    @Test func longKeysAndMergeKeys() throws {
        let position = SourcePosition(line: 1, column: 1)
        let value = Document(.list([Document(.scalar("x", .plain), at: position)]), at: position)
        let keys = [String(repeating: "k", count: 2000), "<<", "=", "?", "- a"]
        let inner = Document(.map(keys.map { Document.Entry($0, at: position, value) }), at: position)
        let document = Document(.list([inner, inner]), at: position)
        let again = Document.parse(yaml: Array(document.yaml.utf8))
        #expect(again.problems == [])
        #expect(again.document?.shape == document.shape)
    }
    @Test func blocks() throws {
        let document = try #require(Document.parse(yaml: Array("{a: {b: [1, {c: d, e: 'f'}]}, g: []}".utf8)).document)
        #expect(document.yaml == "a:\n  b:\n    - 1\n    - c: d\n      e: \"f\"\ng: []\n")
    }
}
