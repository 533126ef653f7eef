// A directory with one file for each client. What it shows is believed file by file, and never as a whole: a file that makes no sense
// keeps what it said last, and a directory that is suddenly empty is asked for a second time.

public import Documents
public import NetTypes

/// The clients of a directory, from what was seen of it: pure, the files themselves are read elsewhere.
public struct ClientDirectory: Sendable {
    /// What a look at one file gave.
    public enum Sight: Sendable {
        /// The same file as at the last look.
        case unchanged
        case contents(ParsedDocument)
        /// It is there, and cannot be read: a clause.
        case unreadable(String)
    }
    public enum Input: Sendable {
        /// The last good state of each file, from before a restart.
        case restored([String: ParsedDocument])
        /// All files by their names; nil: there is no such directory, for a reason.
        case seen([String: Sight]?, reason: String)
        /// Somebody has said that what is missing is gone.
        case confirmed
        case deadlineReached
    }
    /// What is to be kept for the next start.
    public enum Effect: Equatable, Sendable {
        /// The contents that this file has now are its last good state.
        case remember(String)
        case forget(String)
    }
    /// Clients that are served although their files are missing, since the directory was found empty or not at all.
    public struct Doubt: Equatable, Sendable {
        public var since: Instant
        /// When it is believed; nil: when somebody confirms it.
        public var until: Instant?
        /// Names of the files, sorted.
        public var missing: [String]
    }
    /// What people are shown of one file.
    public struct Row: Equatable, Sendable {
        public enum State: Equatable, Sendable {
            case good
            /// Served as it was before its problems.
            case kept
            /// Not served: it was never any good.
            case refused
            /// Served although the file is missing.
            case missing
        }
        public var name: String
        public var state: State
        public var client: Client?
        public var problems: [Problem]
    }

    /// Files beyond this many are not looked at.
    public static let maximumFiles = 100_000
    /// A file that is gone is believed to be deleted when the directory still has others so much later: whoever empties a directory
    /// deletes one file after the other.
    public static let deletionDelay = Duration.seconds(2)

    private struct File {
        /// The last good state.
        var client: Client?
        /// Of the contents that are there now.
        var problems: [Problem] = []
        /// The contents that are there now are not those of `client`.
        var isBroken = false
        var isMissing = false
        /// When it is believed that it was deleted; nil with `isMissing`: it is in doubt with all others.
        var deletion: Instant?
    }
    private var files: [String: File] = [:]
    private var doubt: (since: Instant, until: Instant?)?
    private var absence: String?
    /// After how long an empty directory is believed; nil: never without confirmation.
    public var graceSeconds: Int?

    public init(graceSeconds: Int?) { self.graceSeconds = graceSeconds }

    /// Names that are not those of clients: hidden ones, and what editors and copying programs leave.
    public static func isIgnored(_ name: String) -> Bool {
        name.hasPrefix(".") || ["~", ".tmp", ".swp"].contains { name.hasSuffix($0) }
    }

    // MARK: What is known

    /// In the order of precedence: those with a file that are `served` as they are, those that were served otherwise, new ones, each in the order of
    /// names; then those whose files are missing.
    public func clients(served: [Client] = []) -> [Client] {
        let served = Dictionary(served.map { ($0.name, $0) }) { first, _ in first }
        func rank(_ file: File) -> Int {
            guard !file.isMissing, let client = file.client else { return 3 }
            guard let before = served[client.name] else { return 2 }
            return before == client ? 0 : 1
        }
        let groups = Dictionary(grouping: files.sorted { $0.key < $1.key }.map(\.value), by: rank)
        return (0...3).flatMap { groups[$0] ?? [] }.compactMap(\.client)
    }
    /// Nil: the directory has not been found empty, or that is settled.
    public var currentDoubt: Doubt? {
        doubt.map { Doubt(since: $0.since, until: $0.until, missing: inDoubt.sorted()) }
    }
    public var nextDeadline: Instant? {
        let next = files.values.lazy.compactMap(\.deletion).min()
        guard let until = doubt?.until else { return next }
        return next.map { min($0, until) } ?? until
    }
    /// Why the directory cannot be looked at; nil: it can.
    public var problem: String? { absence }
    public var rows: [Row] {
        files.sorted { $0.key < $1.key }.map { name, file in
            Row(
                name: name,
                state: file.isMissing
                    ? .missing : file.client == nil ? .refused : file.isBroken ? .kept : .good,
                client: file.client, problems: file.problems)
        }
    }
    private var inDoubt: [String] { files.filter { $0.value.isMissing && $0.value.deletion == nil }.map(\.key) }

    // MARK: What happens

    public mutating func handle(_ input: Input, now: Instant) -> [Effect] {
        switch input {
        case .restored(let documents):
            for (name, document) in documents where files[name] == nil && !ClientDirectory.isIgnored(name) {
                // What is no good now, perhaps after an update of evpnd, is as if it had never been.
                guard let client = Client.read(document).client else { continue }
                files[name] = File(client: client, isMissing: true)
            }
            return []
        case .seen(nil, let reason):
            absence = reason
            empty(now)
            return []
        case .seen(let names?, _):
            absence = nil
            if isEmptied(names) { empty(now, except: names) }
            return see(names, now)
        case .confirmed: return believe()
        case .deadlineReached:
            let deleted = files.filter { $0.value.deletion.map { $0 <= now } ?? false }.map(\.key).sorted()
            for name in deleted { files[name] = nil }
            let forgotten = deleted.map { Effect.forget($0) }
            guard let until = doubt?.until, until <= now else { return forgotten }
            return forgotten + believe()
        }
    }

    /// Of the files that are there none is, or was, that of a client.
    private func isEmptied(_ sights: [String: Sight]) -> Bool {
        if sights.keys.contains(where: { files[$0]?.client != nil }) { return false }
        return !sights.values.contains { sight in
            if case .contents(let document) = sight { Client.read(document).client != nil } else { false }
        }
    }
    /// No client is there, or nothing can be seen: nobody is withdrawn for that.
    private mutating func empty(_ now: Instant, except strangers: [String: Sight] = [:]) {
        // Without a client, its file is only a problem that is gone.
        files = files.filter { $0.value.client != nil || strangers[$0.key] != nil }
        let missing = files.keys.filter { strangers[$0] == nil }
        for name in missing {
            files[name]?.isMissing = true
            files[name]?.problems = []
            files[name]?.isBroken = false
            files[name]?.deletion = nil
        }
        if missing.isEmpty {
            doubt = nil
        } else if doubt == nil {
            doubt = (now, graceSeconds.map { now + .seconds($0) })
        }
    }

    private mutating func see(_ sights: [String: Sight], _ now: Instant) -> [Effect] {
        var effects: [Effect] = []
        for name in files.keys.sorted() where sights[name] == nil {
            guard let file = files[name] else { continue }
            if file.client == nil {
                files[name] = nil
            } else if !file.isMissing || doubt == nil, file.deletion == nil {
                // Those that went missing with all the others are in doubt until they come back.
                files[name]?.isMissing = true
                files[name]?.deletion = now + ClientDirectory.deletionDelay
            }
        }
        for (name, sight) in sights.sorted(by: { $0.key < $1.key }) {
            var file = files[name] ?? File()
            file.isMissing = false
            file.deletion = nil
            switch sight {
            case .unchanged: break
            case .unreadable(let reason):
                file.isBroken = true
                file.problems = [Problem(at: nil, "\(name): \(reason)")]
            case .contents(let document):
                let read = Client.read(document)
                file.problems = read.problems
                file.isBroken = read.client == nil
                if let client = read.client {
                    file.client = client
                    effects.append(.remember(name))
                }
            }
            files[name] = file
        }
        if inDoubt.isEmpty { doubt = nil }
        return effects
    }

    /// What is missing is gone.
    private mutating func believe() -> [Effect] {
        let gone = inDoubt.sorted()
        for name in gone { files[name] = nil }
        doubt = nil
        return gone.map { .forget($0) }
    }
}
