// A file in the state directory that says which routes are ours, for whoever removes them without a daemon.

import Glibc
public import Netlink
import UnicastRoutes
import YAML

/// Tables and protocol numbers of exported routes, one pair a line; there is no file where there are none.
struct ExportRecord {
    private let path: String
    private(set) var marks: Set<ExportMark>
    /// Of an earlier run, and not asked for by the configuration since.
    private var inherited: Set<ExportMark>

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
        let socket = try NetlinkSocket()
        var operations: [KernelRouteOperation] = []
        for mark in record.marks.sorted() {
            let found = try routes(of: mark.table, mark.proto, socket).get()
            operations += found.keys.sorted().map { KernelRouteOperation(.remove(proto: mark.proto), $0) }
        }
        let (lines, isComplete) = remove(operations, socket)
        if isComplete { record.forget() }
        return lines
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
