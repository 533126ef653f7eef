// Every file in Fixtures/Configuration/good gives a configuration, every file in bad gives none; the text beside it (.txt) holds all
// problems and what was understood. EVPND_REWRITE_GOLDEN=1 writes the texts anew.

import Documents
import Glibc
import Intents
import Testing
import YAML

private let testsFolder = String(#filePath[..<(#filePath.lastIndex(of: "/") ?? #filePath.endIndex)])
let repository = testsFolder + "/../.."
let fixtures = repository + "/Tests/Fixtures/Configuration"

/// The names of the files with a suffix in a folder, sorted.
func files(in folder: String, suffix: String = ".yaml") -> [String] {
    guard let directory = opendir(folder) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
        let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        if name.hasSuffix(suffix) { names.append(name) }
    }
    return names.sorted()
}

private func load(_ folder: String, _ name: String) throws -> (configuration: Configuration?, problems: [Problem]) {
    let bytes = try readFile("\(folder)/\(name)").get()
    let parsed =
        name.hasSuffix(".json")
        ? Document.parse(json: bytes, file: name) : Document.parse(yaml: bytes, file: name)
    guard let document = parsed.document else { return (nil, parsed.problems) }
    let loaded = Configuration.load(from: document) { path in
        path == "/etc/evpnd/secret"
            ? .success(Secret(Array("s3cret\n".utf8), mode: 0o640)) : .failure(SecretFault("No such file or directory"))
    }
    let all = (parsed.problems + loaded.problems).sortedByPosition
    return (all.hasErrors ? nil : loaded.configuration, all)
}

private func compare(_ text: String, with path: String) throws {
    if getenv("EVPND_REWRITE_GOLDEN") != nil {
        let file = try #require(fopen(path, "w"))
        fputs(text, file)
        fclose(file)
        return
    }
    let expected = String(decoding: try readFile(path).get(), as: UTF8.self)
    #expect(text == expected, "\(path) differs; EVPND_REWRITE_GOLDEN=1 writes it anew")
}

@Suite struct GoldenTests {
    @Test(arguments: files(in: fixtures + "/good"))
    func good(name: String) throws {
        let (configuration, problems) = try load(fixtures + "/good", name)
        let text = problems.report + (try #require(configuration, "\(problems.report)").description)
        try compare(text, with: "\(fixtures)/good/\(name.dropLast(5)).txt")
    }

    @Test(arguments: files(in: fixtures + "/bad"))
    func bad(name: String) throws {
        let (configuration, problems) = try load(fixtures + "/bad", name)
        #expect(configuration == nil)
        try compare(problems.report, with: "\(fixtures)/bad/\(name.dropLast(5)).txt")
    }

    /// The examples of the documentation load without so much as a warning.
    @Test(arguments: files(in: repository + "/Documentation/Examples"))
    func example(name: String) throws {
        let (configuration, problems) = try load(repository + "/Documentation/Examples", name)
        #expect(problems.report == "")
        #expect(configuration != nil)
    }

    @Test func thereAreGoldenFiles() {
        #expect(files(in: fixtures + "/good").count >= 5)
        #expect(files(in: fixtures + "/bad").count >= 5)
        #expect(files(in: repository + "/Documentation/Examples").count >= 4)
    }
}
