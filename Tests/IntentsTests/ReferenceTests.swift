// The reference and the reader must not drift apart.

import Documents
import Intents
import Testing
import YAML

@Suite struct ReferenceTests {
    /// Every key in a table of Documentation/Configuration.md and in its list of refused keys.
    private func documentedKeys() throws -> Set<String> {
        let text = String(decoding: try readFile(repository + "/Documentation/Configuration.md").get(), as: UTF8.self)
        var keys: Set<String> = []
        var isRefusedPart = false
        for line in text.split(separator: "\n") {
            if line.hasPrefix("#") { isRefusedPart = line.contains("Refused") }
            var words: [Substring] = []
            if line.hasPrefix("| `"), let cell = line.dropFirst(2).split(separator: "|").first {
                words = cell.split(separator: "`")
            } else if isRefusedPart, line.hasPrefix("`") {
                words = line.split(separator: "`")
            }
            for word in words {
                for part in word.split(separator: ".") {
                    let key = part.hasSuffix("[]") ? part.dropLast(2) : part
                    if !key.isEmpty,
                        key.utf8.allSatisfy({ (0x41...0x5a).contains($0) || (0x61...0x7a).contains($0) || $0 == 0x5f })
                    {
                        keys.insert(String(key))
                    }
                }
            }
        }
        return keys
    }
    /// Every key of the golden files.
    private func testedKeys() throws -> Set<String> {
        var keys: Set<String> = []
        func collect(_ document: Document) {
            switch document.content {
            case .scalar: break
            case .list(let elements): for element in elements { collect(element) }
            case .map(let entries):
                for entry in entries {
                    keys.insert(entry.key)
                    collect(entry.value)
                }
            }
        }
        for name in [
            "good/everything.yaml", "good/groups.yaml", "good/gobgp.yaml", "good/gobgp-managed.yaml",
            "good/gobgp-policies.yaml", "good/vrfs.yaml", "good/unnumbered.yaml", "bad/gobgp-policies.yaml",
            "bad/unsupported.yaml", "bad/netlink.yaml", "good/openvswitch.yaml", "good/openvswitch-gobgp.yaml",
        ] {
            collect(try #require(Document.read(file: "\(fixtures)/\(name)").document))
        }
        return keys
    }

    /// Each documented key takes effect in a golden file, or is refused in one.
    @Test func everyDocumentedKeyIsTested() throws {
        let documented = try documentedKeys()
        #expect(documented.count > 80)
        // Values that stand among the refused keys.
        let untested = try documented.subtracting(testedKeys()).subtracting(["all", "accept"])
        #expect(untested.sorted() == [])
    }

    /// Each key that the reader asks for is in the reference.
    @Test func everyKnownKeyIsDocumented() throws {
        let text = String(decoding: try readFile(repository + "/Documentation/Configuration.md").get(), as: UTF8.self)
        let sources = repository + "/Sources/Core/Intents"
        var missing: [String] = []
        for name in files(in: sources, suffix: ".swift") {
            let source = String(decoding: try readFile("\(sources)/\(name)").get(), as: UTF8.self)
            for opening in ["[\"", "section(\"", "unsupported(\"", "missing(\""] {
                for rest in pieces(of: source, after: opening) {
                    let key = rest.prefix { $0.isLetter || $0 == "_" }
                    guard rest.dropFirst(key.count).hasPrefix("\""), !key.isEmpty, !text.contains(key) else { continue }
                    missing.append("\(name): \(key)")
                }
            }
        }
        // Not part of the reference: they are there to say that something was pasted one level too deep.
        #expect(
            missing.filter { !$0.hasSuffix(": spec") && !$0.hasSuffix(": policies") && !$0.contains("Policy") } == [])
    }
    private func pieces(of text: String, after opening: String) -> [Substring] {
        var result: [Substring] = []
        var rest = text[...]
        while let start = rest.firstRange(of: opening) {
            rest = rest[start.upperBound...]
            result.append(rest)
        }
        return result
    }
}
