// A few names that the next start has to know, in a file of the state directory.

import AsyncIO
import Documents
import Telemetry

/// A set of names and the file that it is kept in: a JSON list. Confined to the loop's thread.
struct NameRecord {
    private(set) var names: Set<String> = []
    private let path: String
    private let log: Log
    private var hasComplained = false

    /// Reads what an earlier run has kept, if that counts.
    init(_ path: String, isRestored: Bool, log: Log) {
        self.path = path
        self.log = log
        guard isRestored, let read = try? readUndisturbed(path, limit: 1 << 24),
            case .list(let entries)? = Document.parse(json: read.bytes, file: path).document?.content
        else { return }
        for entry in entries {
            if case .scalar(let name, _) = entry.content { names.insert(name) }
        }
    }

    /// Keeps these for the next start.
    mutating func keep(_ new: Set<String>) {
        guard new != names else { return }
        names = new
        let text = JSONValue.array(new.sorted().map { JSONValue($0) }).description
        guard let fault = writeReplacing(path, temporary: path + ".new", Array(text.utf8)), !hasComplained else {
            return
        }
        hasComplained = true
        log.warning("state.record", ["problem": fault, "effect": "the next start does not know it"])
    }
}
