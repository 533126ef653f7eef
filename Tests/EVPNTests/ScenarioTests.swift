// Every file in Fixtures/Scenarios is run command by command. A line that starts in the first column is a command or (#) a comment; the
// indented lines below a command are what it answers. EVPND_REWRITE=1 writes the answers anew: read the difference before
// committing it.

import EVPN
import Glibc
import Testing

private let folder =
    String(#filePath[..<(#filePath.lastIndex(of: "/") ?? #filePath.endIndex)]) + "/../Fixtures/Scenarios"

private func names() -> [String] {
    guard let directory = opendir(folder) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
        let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        if name.hasSuffix(".txt") { names.append(name) }
    }
    return names.sorted()
}

private func read(_ path: String) -> String? {
    guard let file = fopen(path, "r") else { return nil }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let count = fread(&buffer, 1, buffer.count, file)
        guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
        bytes += buffer[..<count]
    }
}

@Suite struct ScenarioTests {
    @Test func thereAreScenarios() { #expect(names().count >= 8) }

    @Test(arguments: names())
    func scenario(name: String) throws {
        let path = "\(folder)/\(name)"
        let text = try #require(read(path))
        var runner = ScenarioRunner()
        var result = ""
        for line in text.split(separator: "\n", omittingEmptySubsequences: false).dropLast() {
            if line.hasPrefix("    ") { continue }
            result += line + "\n"
            if line.isEmpty || line.hasPrefix("#") { continue }
            let answers = try runner.run(String(line))
            for answer in answers { result += "    \(answer)\n" }
            let differences = runner.mirror.differences(from: runner.plane)
            #expect(differences.isEmpty, "\(name): \(line): \(differences)")
        }
        if getenv("EVPND_REWRITE") != nil {
            let file = try #require(fopen(path, "w"))
            fputs(result, file)
            fclose(file)
        } else if result != text {
            let expected = text.split(separator: "\n", omittingEmptySubsequences: false)
            let actual = result.split(separator: "\n", omittingEmptySubsequences: false)
            let index =
                zip(expected, actual).enumerated().first { $1.0 != $1.1 }?.offset ?? min(expected.count, actual.count)
            Issue.record(
                """
                \(name):\(index + 1): expected \(index < expected.count ? expected[index] : "the end"),
                got \(index < actual.count ? actual[index] : "the end"); EVPND_REWRITE=1 writes it anew
                """)
        }
    }
}
