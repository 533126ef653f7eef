// The file in which somebody else's checker lists the anycast addresses that work.

import Anycast
import AsyncIO
import Documents
import Glibc
import Intents
import NetTypes
import Telemetry

/// Follows one file; a look at it that tells nothing leaves what it said before. Confined to the loop's thread.
final class AnycastStatusFile {
    let path: String
    /// Nil: it has never been read.
    private(set) var status: AnycastStatus?
    /// What is wrong with it now.
    private(set) var problems: [Problem] = []
    private let loop: EventLoop
    private let log: Log
    private let recordPath: String
    /// What the record begins with: the path of the file that it is of, in a line of its own.
    private let recordHead: [UInt8]
    private let onChange: () -> Void
    private var watch: DirectoryWatch?
    private var identity: FileIdentity?

    init(loop: EventLoop, log: Log, path: String, stateDirectory: String, onChange: @escaping () -> Void) {
        self.loop = loop
        self.log = log
        self.path = path
        self.onChange = onChange
        recordPath = stateDirectory + "/anycast-status"
        recordHead = Array((path + "\n").utf8)
        let limit = ClientFiles.sizeLimit + recordHead.count
        if let read = try? readUndisturbed(recordPath, limit: limit), read.bytes.starts(with: recordHead) {
            let bytes = Array(read.bytes.dropFirst(recordHead.count))
            status = AnycastStatus.read(Document.parse(json: bytes, file: path)).status
        }
    }
    /// Reads the file and follows it; calls `onChange` when it says something new.
    func start() {
        let slash = path.lastIndex(of: "/") ?? path.startIndex
        let name = String(path[path.index(after: slash)...])
        watch = DirectoryWatch(
            loop: loop, path: slash == path.startIndex ? "/" : String(path[..<slash]), names: [name],
            period: .seconds(10)
        ) { [weak self] names in self?.look(isHint: !names.isEmpty) }
        look(isHint: true)
    }
    func close() { watch?.close() }

    private func look(isHint: Bool) {
        let before = (status, problems)
        let found = FileIdentity(path: path)
        if !isHint, found != nil, found == identity { return }
        do throws(SystemError) {
            // Whoever is writing it will be heard again.
            guard let read = try readUndisturbed(path, limit: ClientFiles.sizeLimit) else { return }
            identity = read.identity
            let result = AnycastStatus.read(Document.parse(json: read.bytes, file: path))
            problems = result.problems
            if let good = result.status {
                status = good
                if let fault = writeReplacing(recordPath, temporary: recordPath + ".new", recordHead + read.bytes) {
                    log.warning("anycast.record", ["problem": fault])
                }
            }
        } catch {
            identity = nil
            problems = [Problem(at: nil, "\(path): \(error.operation == "open" ? error.text : error.description)")]
        }
        guard before != (status, problems) else { return }
        if before.1 != problems {
            for problem in problems {
                log.warning(
                    "anycast.status",
                    [
                        "problem": problem.description,
                        "action": status == nil ? "no address is listed" : "last good state kept",
                    ])
            }
        }
        onChange()
    }
}
