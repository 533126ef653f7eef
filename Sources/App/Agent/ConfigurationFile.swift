// From a path to a configuration, with every problem on the way.

import AsyncIO
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
    var parsed = options.takeover?.hasINI == true ? readINI(options) : Document.read(file: options.configurationPath)
    if let program = options.takeover {
        let takeover = Takeover(of: program, parsed, workingDirectory: workingDirectory())
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

/// The file with those of its directories, and what the command line says, each over what is before it.
private func readINI(_ options: Options) -> ParsedDocument {
    var paths = [options.configurationPath]
    // Beside evpn.conf there may be an evpn.conf.d.
    for directory in [options.configurationPath + ".d"] + options.configurationDirectories {
        let names = (try? directoryNames(directory, limit: 1000)) ?? []
        paths += names.filter { $0.hasSuffix(".conf") }.sorted().map { directory + "/" + $0 }
    }
    var document: Document?
    var problems: [Problem] = []
    for path in paths {
        switch readFile(path, limit: 1 << 20) {
        case .failure(let fault): problems.append(Problem(at: nil, "\(path): \(fault.reason)"))
        case .success(let bytes):
            let parsed = Document.parse(ini: bytes, file: path)
            problems += parsed.problems
            if let next = parsed.document { document = document?.overridden(by: next) ?? next }
        }
    }
    if problems.hasErrors { document = nil }
    for override in options.overrides {
        document = document?.overridden(
            by: Takeover.connectorOverride(section: override.section, key: override.key, value: override.value))
    }
    return ParsedDocument(document: document, problems: problems)
}
