// What `show` and `explain` print for given rows: Fixtures/tables.txt holds commands, rows and expected text.
// EVPND_REWRITE_GOLDEN=1 writes the text anew.

import Documents
import Glibc
import Testing
import YAML

@testable import evpnctl

@Suite struct TableTests {
    static let path =
        String(#filePath[..<(#filePath.lastIndex(of: "/") ?? #filePath.endIndex)]) + "/../Fixtures/tables.txt"

    private func text(_ command: String, _ rows: JSONValue) throws -> String {
        guard case .array(let list) = rows else { return statusText(rows) }
        if command == "explain" { return list.map(explanationText).joined(separator: "\n") }
        let view = try #require(View(rawValue: String(command.dropFirst("show ".count))))
        return view.text(list)
    }

    /// `$ command`, one line of JSON, then the text, indented by four.
    @Test func goldenTables() throws {
        let golden = String(decoding: try readFile(Self.path).get(), as: UTF8.self)
        let lines = golden.split(separator: "\n", omittingEmptySubsequences: false)
        var result = ""
        var commands: Set<String> = []
        for (index, line) in lines.enumerated() {
            if line.hasPrefix("    ") { continue }
            result += line + (index == lines.count - 1 ? "" : "\n")
            guard line.hasPrefix("[") || line.hasPrefix("{"), index > 0 else { continue }
            let command = String(lines[index - 1].dropFirst(2))
            commands.insert(command)
            let rows = try #require(JSONValue(parsing: Array(line.utf8)), "no JSON in line \(index + 1)")
            for line in try text(command, rows).split(separator: "\n", omittingEmptySubsequences: false).dropLast() {
                result += line.isEmpty ? "    \n" : "    \(line)\n"
            }
        }
        #expect(commands == Set(View.allCases.map { "show \($0.rawValue)" } + ["explain"]))
        if getenv("EVPND_REWRITE_GOLDEN") != nil {
            let file = try #require(fopen(Self.path, "w"))
            fputs(result, file)
            fclose(file)
            return
        }
        #expect(result == golden)
    }

    @Test(arguments: [
        (0, "0s"), (59, "59s"), (60, "1m00s"), (3599, "59m59s"), (3600, "1h00m"), (86_399, "23h59m"),
        (86_400, "1d00h"), (1_000_000, "11d13h"),
    ])
    func durations(_ seconds: Int, _ text: String) { #expect(durationText(seconds) == text) }

    @Test func cells() {
        let row: JSONValue = ["a": "", "b": .null, "c": 5, "d": true, "e": ["x", "y"], "f": [], "g": .double(1.5)]
        #expect(
            ["a", "b", "c", "d", "e", "f", "g", "h"].map(row.cell) == ["-", "-", "5", "yes", "x y", "-", "1.5", "-"])
    }
}
