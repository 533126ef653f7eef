// The directory of client files: looks at what has changed, keeps a copy of each good file for the next start, and lets the machine say
// who is a client.

import AsyncIO
import Documents
import Glibc
import Intents
import NetTypes
import Telemetry
import YAML

/// Follows one directory. Confined to the loop's thread.
final class ClientFiles {
    /// Largest file of one client.
    static let sizeLimit = 1 << 20

    private(set) var directory: ClientDirectory
    /// Those whose files were good before the last stop, as they were then.
    private(set) var restored: [Client] = []
    private let loop: EventLoop
    private let log: Log
    private let path: String
    /// Where the copies are.
    private let recordPath: String
    private let onChange: () -> Void
    private var watch: DirectoryWatch?
    private var known: [String: FileIdentity] = [:]
    /// What was read in the current look, until the machine has said whether it is good.
    private var contents: [String: [UInt8]] = [:]
    private var timer: (id: TimerID, at: Instant)?
    private var reported: [String: [Problem]] = [:]
    private var hasReportedAbsence = false
    private var hasReportedDoubt = false
    private var hasReportedRecord = false

    /// `onChange` is called whenever clients, problems or doubts are others, but not before `start`.
    init(
        loop: EventLoop, log: Log, settings: ClientDirectorySettings, stateDirectory: String,
        onChange: @escaping () -> Void
    ) {
        self.loop = loop
        self.log = log
        self.onChange = onChange
        path =
            settings.path.count > 1 && settings.path.hasSuffix("/") ? String(settings.path.dropLast()) : settings.path
        recordPath = stateDirectory + "/clients"
        directory = ClientDirectory(graceSeconds: settings.emptyGraceSeconds)
    }

    /// Takes what was good before the last stop, looks at the directory, and follows it.
    func start() {
        restore()
        watch = DirectoryWatch(loop: loop, path: path) { [weak self] names in self?.look(again: names) }
        look(again: [])
    }
    func close() {
        watch?.close()
        if let timer { loop.cancel(timer.id) }
        timer = nil
    }

    /// What is missing is gone; the names of its files.
    func confirmEmpty() -> [String] {
        let missing = directory.currentDoubt?.missing ?? []
        apply(directory.handle(.confirmed, now: loop.now))
        return missing
    }

    // MARK: Looking

    private func look(again names: Set<String>) {
        let listed: [String]
        do throws(SystemError) {
            // One more than may be there shows that there are too many.
            listed = try directoryNames(path, limit: 2 * ClientDirectory.maximumFiles)
        } catch {
            known = [:]
            return apply(directory.handle(.seen(nil, reason: error.text), now: loop.now))
        }
        var sights: [String: ClientDirectory.Sight] = [:]
        var isDisturbed = false
        for name in listed.sorted() where !ClientDirectory.isIgnored(name) {
            guard sights.count < ClientDirectory.maximumFiles else {
                log.error("clients.limit", ["path": path, "files": "\(ClientDirectory.maximumFiles)"])
                break
            }
            // Not silently one of the two.
            guard sights[name] == nil else {
                sights[name] = .unreadable("two files have this name, written in two ways (Unicode)")
                (known[name], contents[name]) = (nil, nil)
                continue
            }
            let file = path + "/" + name
            let identity = FileIdentity(path: file)
            if identity?.isRegular == false { continue }
            if let identity, known[name] == identity, !names.contains(name) {
                sights[name] = .unchanged
                continue
            }
            do throws(SystemError) {
                guard let read = try readUndisturbed(file, limit: ClientFiles.sizeLimit) else {
                    // Whoever writes it is heard again; until then it is what it was.
                    isDisturbed = true
                    sights[name] = known[name] == nil ? .unreadable("is being written") : .unchanged
                    continue
                }
                known[name] = read.identity
                contents[name] = read.bytes
                sights[name] = .contents(ClientFiles.parse(read.bytes, name: name, file: file))
            } catch {
                // Gone since the list was made: as if it had not been listed.
                let isGarbled = name.unicodeScalars.contains("\u{fffd}")
                if error.code == ENOENT, !isGarbled { continue }
                known[name] = nil
                sights[name] = .unreadable(
                    isGarbled ? "its name is not UTF-8" : error.operation == "open" ? error.text : "\(error)")
            }
        }
        known = known.filter { sights[$0.key] != nil }
        if isDisturbed { loop.schedule(after: .milliseconds(200)) { [weak self] in self?.lookAgain() } }
        apply(directory.handle(.seen(sights, reason: ""), now: loop.now))
    }
    func lookAgain() {
        if watch != nil { look(again: []) }
    }

    /// What is wrong with the files that a configuration names, as they are now; nothing is changed.
    static func check(_ configuration: Configuration) -> [Problem] {
        guard let path = configuration.clientDirectory?.path else { return [] }
        var sights: [String: ClientDirectory.Sight] = [:]
        do throws(SystemError) {
            for name in try directoryNames(path, limit: ClientDirectory.maximumFiles)
            where !ClientDirectory.isIgnored(name) && FileIdentity(path: path + "/" + name)?.isRegular != false {
                do throws(SystemError) {
                    guard let read = try readUndisturbed(path + "/" + name, limit: sizeLimit) else { continue }
                    sights[name] = .contents(parse(read.bytes, name: name, file: path + "/" + name))
                } catch {
                    sights[name] = .unreadable("\(error)")
                }
            }
        } catch {
            return [
                Problem(
                    .warning, at: nil, path: "clientDirectory.path", "\(path): \(error.text)",
                    hint: "there are no clients until it is there")
            ]
        }
        var directory = ClientDirectory(graceSeconds: nil)
        _ = directory.handle(.seen(sights, reason: ""), now: .zero)
        return directory.rows.flatMap(\.problems)
            + configuration.joined(by: directory.clients(), health: AnycastHealth()).problems
    }

    static func parse(_ bytes: [UInt8], name: String, file: String) -> ParsedDocument {
        var limits = DocumentLimits()
        limits.size = sizeLimit
        limits.nodes = 100_000
        return [".yaml", ".yml"].contains { name.hasSuffix($0) }
            ? Document.parse(yaml: bytes, file: file, limits: limits)
            : Document.parse(json: bytes, file: file, limits: limits)
    }

    private func apply(_ effects: [ClientDirectory.Effect]) {
        for effect in effects {
            switch effect {
            case .remember(let name):
                if let bytes = contents[name] { record(name, bytes) }
            case .forget(let name): unlink(recordPath + "/" + name)
            }
        }
        contents = [:]
        report()
        arm()
        onChange()
    }

    private func arm() {
        let next = directory.nextDeadline
        if timer?.at == next { return }
        if let timer { loop.cancel(timer.id) }
        timer = next.map { instant in
            let id = loop.schedule(at: instant) { [weak self] in
                guard let self else { return }
                self.timer = nil
                self.apply(self.directory.handle(.deadlineReached, now: self.loop.now))
            }
            return (id, instant)
        }
    }

    // MARK: Copies for the next start

    private func restore() {
        guard let names = try? directoryNames(recordPath, limit: ClientDirectory.maximumFiles) else { return }
        var documents: [String: ParsedDocument] = [:]
        for name in names where !ClientDirectory.isIgnored(name) {
            guard let read = try? readUndisturbed(recordPath + "/" + name, limit: ClientFiles.sizeLimit) else {
                continue
            }
            documents[name] = ClientFiles.parse(read.bytes, name: name, file: path + "/" + name)
        }
        _ = directory.handle(.restored(documents), now: loop.now)
        restored = directory.clients()
        if !documents.isEmpty { log.info("clients.restored", ["files": "\(documents.count)"]) }
    }

    private func record(_ name: String, _ bytes: [UInt8]) {
        if let old = try? readUndisturbed(recordPath + "/" + name, limit: ClientFiles.sizeLimit), old.bytes == bytes {
            return
        }
        if mkdir(recordPath, 0o700) != 0, errno != EEXIST { return complain("mkdir \(recordPath)") }
        if let fault = writeReplacing(recordPath + "/" + name, temporary: recordPath + "/.new", bytes) {
            complain(fault)
        }
    }
    private func complain(_ operation: String) {
        guard !hasReportedRecord else { return }
        hasReportedRecord = true
        log.warning(
            "clients.record",
            ["problem": operation, "effect": "a file that is broken at the next start has no last good state"])
    }

    // MARK: Log

    /// What is new since the last time.
    private func report() {
        if let problem = directory.problem, !hasReportedAbsence {
            log.warning("clients.directory", ["path": path, "problem": problem])
        }
        hasReportedAbsence = directory.problem != nil
        if let doubt = directory.currentDoubt, !hasReportedDoubt {
            log.warning(
                "clients.missing",
                [
                    "path": path, "clients": "\(doubt.missing.count)", "action": "served as before",
                    "until": doubt.until.map { "\(Int(($0 - loop.now).inSeconds.rounded()))s" }
                        ?? "evpnctl confirm-empty",
                ])
        }
        hasReportedDoubt = directory.currentDoubt != nil
        var problems: [String: [Problem]] = [:]
        for row in directory.rows where !row.problems.isEmpty {
            problems[row.name] = row.problems
            guard reported[row.name] != row.problems else { continue }
            let action = row.state == .kept ? "last good state kept" : row.state == .refused ? "not served" : "served"
            for problem in row.problems {
                log.warning("clients.problem", ["problem": problem.description, "action": action])
            }
        }
        // One that was removed is not repaired.
        for row in directory.rows where row.problems.isEmpty && reported[row.name] != nil && row.state == .good {
            log.info("clients.repaired", ["file": row.name])
        }
        reported = problems
    }
}

/// Writes a file so that it is there as a whole or not at all; what went wrong, if anything.
func writeReplacing(_ path: String, temporary: String, _ bytes: [UInt8]) -> String? {
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else { return "\(SystemError("open \(temporary)"))" }
    var offset = 0
    while offset < bytes.count {
        let count = bytes[offset...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        if count < 0, errno == EINTR { continue }
        guard count > 0 else {
            let fault = "\(SystemError("write \(temporary)"))"
            close(descriptor)
            return fault
        }
        offset += count
    }
    close(descriptor)
    return rename(temporary, path) == 0 ? nil : "\(SystemError("rename \(path)"))"
}
