// A file in the state directory that says which routes are ours, for whoever removes them without a daemon.

import AsyncIO
import Glibc
public import Netlink
import Telemetry
import UnicastRoutes
import YAML

/// Tables and protocol numbers of exported routes, one pair a line; there is no file where there are none.
struct ExportRecord {
    private let path: String
    private(set) var marks: Set<ExportMark>
    /// Of an earlier run, and not asked for by the configuration since.
    private(set) var inherited: Set<ExportMark>

    init(stateDirectory: String) {
        path = stateDirectory + "/exported"
        marks = []
        if case .success(let bytes) = readFile(path, limit: 1 << 20) {
            marks = Set(String(decoding: bytes, as: UTF8.self).split(separator: "\n").compactMap { ExportMark($0) })
        }
        inherited = marks
    }
    /// Records what is ours now; false when the file cannot be written.
    mutating func update(_ current: Set<ExportMark>) -> Bool {
        inherited.subtract(current)
        let new = inherited.union(current)
        guard new != marks else { return true }
        guard !new.isEmpty else {
            forget()
            return true
        }
        guard let file = fopen(path + ".new", "we") else { return false }
        for mark in new.sorted() { fputs("\(mark)\n", file) }
        guard fclose(file) == 0, rename(path + ".new", path) == 0 else { return false }
        marks = new
        return true
    }
    /// Routes of an earlier run have been removed; the next update drops the marks.
    mutating func drop(_ marks: Set<ExportMark>) { inherited.subtract(marks) }
    mutating func forget() {
        unlink(path)
        (marks, inherited) = ([], [])
    }
}

extension KernelRoutes {
    /// Removes, blocking and without a daemon, the routes that one has recorded as its own; returns what was done, as commands, each
    /// refusal with its reason. Where something is refused the record stays.
    public static func cleanup(stateDirectory: String) throws(NetlinkFailure) -> [String] {
        var record = ExportRecord(stateDirectory: stateDirectory)
        guard !record.marks.isEmpty else { return [] }
        let (lines, isComplete) = try sweep(record.marks, NetlinkSocket())
        if isComplete { record.forget() }
        return lines
    }
    /// Removes, blocking, all routes of marks.
    private static func sweep(_ marks: Set<ExportMark>, _ socket: NetlinkSocket) throws(NetlinkFailure) -> (
        lines: [String], isComplete: Bool
    ) {
        var operations: [KernelRouteOperation] = []
        for mark in marks.sorted() {
            let found = try routes(of: mark.table, mark.proto, socket).get()
            operations += found.keys.sorted().map { KernelRouteOperation(.remove(proto: mark.proto), $0) }
        }
        return remove(operations, socket)
    }

    /// What an earlier run left, and where no rule leads any more.
    private var abandoned: Set<ExportMark> { record.inherited.subtracting(table.marks) }
    /// What is removed of it once the routes of all neighbors are here, as commands.
    var abandonedCommands: [String] {
        abandoned.sorted().flatMap { ["ip route flush \($0)", "ip -6 route flush \($0)"] }
    }
    /// Removes it on the worker.
    func removeAbandoned() {
        let marks = abandoned
        guard let kernel, !marks.isEmpty, !isClosed else { return }
        let me = OnLoop(self)
        kernel.worker.submit { [socket = kernel.requests, handle = loop.handle] in
            let result: Result<(lines: [String], isComplete: Bool), NetlinkFailure>
            do throws(NetlinkFailure) { result = .success(try Self.sweep(marks, socket)) } catch {
                result = .failure(error)
            }
            handle.post { me { $0.removedAbandoned(marks, result) } }
        }
    }
    private func removedAbandoned(
        _ marks: Set<ExportMark>, _ result: Result<(lines: [String], isComplete: Bool), NetlinkFailure>
    ) {
        let names = marks.sorted().map(\.description).joined(separator: ", ")
        guard case .success(let (lines, true)) = result else {
            let reason = if case .failure(let failure) = result { failure.description } else { "routes were refused" }
            log.warning("routes.sweep.failed", ["of": names, "reason": reason, "action": "retry in 60s"])
            loop.schedule(after: .seconds(60)) { [weak self] in self?.removeAbandoned() }
            return
        }
        log.info("routes.swept", ["of": names, "routes": "\(lines.count)"])
        record.drop(marks)
        table.swept(lines.count)
        schedulePump()
    }
    /// Removes routes, blocking: as commands, each refusal with its reason.
    static func remove(_ operations: [KernelRouteOperation], _ socket: NetlinkSocket) -> (
        lines: [String], isComplete: Bool
    ) {
        let refused = socket.transact(operations.count) { operations[$1].encode(&$0, sequence: $2) }
        var reasons: [Int: String] = [:]
        for refusal in refused where operations[refusal.index].outcome(of: refusal.failure) != .absent {
            reasons[refusal.index] = refusal.failure.description
        }
        let lines = operations.enumerated().map { index, operation in
            operation.text { "if\($0)" } + (reasons[index].map { " # refused: \($0)" } ?? "")
        }
        return (lines, reasons.isEmpty)
    }
}
