// From a path to a configuration, with every problem on the way.

import Documents
import Intents
import YAML

struct LoadedConfiguration {
    /// Nil when any problem is an error.
    var configuration: Configuration?
    var problems: [Problem]
}

/// Reads, checks and resolves the file; passwords are read from the files it names.
func loadConfiguration(_ options: Options) -> LoadedConfiguration {
    var parsed = Document.read(file: options.configurationPath)
    if let program = options.takeover {
        let takeover = Takeover(of: program, parsed)
        parsed = ParsedDocument(document: takeover.document, problems: takeover.problems)
    }
    guard let document = parsed.document else {
        return LoadedConfiguration(configuration: nil, problems: parsed.problems)
    }
    let loaded = Configuration.load(
        from: document,
        readSecret: { path in
            readFile(path, limit: 4096).map { Secret($0, mode: fileMode(path)) }.mapError { SecretFault($0.reason) }
        },
        addressOf: { resolveNodeAddress(.interface($0)) })
    let problems = parsed.problems + loaded.problems
    return LoadedConfiguration(configuration: problems.hasErrors ? nil : loaded.configuration, problems: problems)
}
