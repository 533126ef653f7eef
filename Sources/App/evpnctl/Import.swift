// `evpnctl import`: another program's file as evpnd.yaml on standard output, with what was lost as comments in front of it.

import Documents
import Intents
import YAML

private func read(_ path: String, of program: Takeover.Program) -> ParsedDocument {
    guard program.hasINI || path.hasSuffix(".toml") else { return Document.read(file: path) }
    switch readFile(path) {
    case .failure(let fault):
        return ParsedDocument(document: nil, problems: [Problem(at: nil, "\(path): \(fault.reason)")])
    case .success(let bytes):
        return program.hasINI ? Document.parse(ini: bytes, file: path) : Document.parse(toml: bytes, file: path)
    }
}

/// `words` are those after `import`.
func runImport(_ words: [String]) throws(CommandError) {
    let programs = Takeover.Program.allCases.map(\.rawValue).joined(separator: "|")
    guard words.count == 2, let program = Takeover.Program(rawValue: words[0]) else {
        throw CommandError(status: 2, reason: "usage: evpnctl import \(programs) FILE")
    }
    let takeover = Takeover(of: program, read(words[1], of: program), workingDirectory: workingDirectory())
    let losses = takeover.problems.filter { $0.severity == .warning }.sortedByPosition
    let errors = takeover.problems.filter { $0.severity == .error }
    guard let document = takeover.document, errors.isEmpty else {
        writeError(takeover.problems.report)
        throw CommandError(status: 1, reason: "\(words[1]) cannot be translated")
    }
    var text = "# From \(words[1]) of \(program.rawValue).\n"
    if !losses.isEmpty {
        text += "# Without an equivalent, or different:\n"
        for loss in losses { text += "#   \(loss)\n" }
    }
    let mistakes = Configuration.load(from: document).problems.filter { $0.severity == .error }
    if !mistakes.isEmpty {
        text += "# To be put right before it can be used:\n"
        for mistake in mistakes { text += "#   \(mistake)\n" }
    }
    write(text + document.yaml)
    guard mistakes.isEmpty else {
        let count = mistakes.count == 1 ? "one mistake" : "\(mistakes.count) mistakes"
        throw CommandError(
            status: 1,
            reason: "\(words[1]): \(count) to be put right before this can be used; its first lines list them")
    }
}
