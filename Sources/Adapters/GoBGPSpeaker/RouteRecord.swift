// Which routes in gobgpd are ours, over restarts of evpnd: gobgpd keeps what it was given and cannot say by whom.

import BGP
import EVPN
import Glibc
import GoBGPAPI
import YAML

/// A file that only grows while evpnd runs and is written anew when it has grown much. Each record is
///
///     operation (8): 1 added, 0 deleted | length (24), big-endian | DeletePathRequest of API v3, without attributes
///
/// A torn last record is ignored: the route it names was not yet given to gobgpd.
final class RouteRecord {
    private let path: String
    private var file: UnsafeMutablePointer<FILE>?
    private var live: Set<RouteKey> = []
    private var records = 0
    private let report: (String) -> Void

    /// `report` is told, once for each occasion, why the file cannot be written.
    init(path: String, report: @escaping (String) -> Void) {
        self.path = path
        self.report = report
    }
    deinit { if let file { fclose(file) } }

    /// Reads the routes that earlier runs left, and opens the file.
    func open() -> [(key: RouteKey, payload: RoutePayload)] {
        var found: [RouteKey: RoutePayload] = [:]
        if case .success(let bytes) = readFile(path, limit: 1 << 30) {
            var rest = bytes[...]
            while let (isAdded, key, payload) = RouteRecord.read(&rest) {
                found[key] = isAdded ? payload : nil
            }
        }
        live = Set(found.keys)
        rewrite(found.map { ($0.key, $0.value) })
        return found.map { ($0.key, $0.value) }
    }
    /// To be called before the routes are given to gobgpd.
    func add(_ routes: [(key: RouteKey, payload: RoutePayload)]) {
        for (key, payload) in routes where live.insert(key).inserted { write(true, key, payload) }
        flush()
    }
    func remove(_ keys: [RouteKey]) {
        for key in keys where live.remove(key) != nil { write(false, key, RoutePayload()) }
        flush()
    }
    /// Writes the file anew once it is mostly history.
    func compact(_ routes: () -> [(key: RouteKey, payload: RoutePayload)]) {
        guard records > 4 * live.count + 10_000 else { return }
        rewrite(routes().filter { live.contains($0.key) })
    }

    private func rewrite(_ routes: [(key: RouteKey, payload: RoutePayload)]) {
        if let file { fclose(file) }
        records = 0
        let temporary = path + ".new"
        file = fopen(temporary, "we")
        for (key, payload) in routes.sorted(by: { $0.key < $1.key }) { write(true, key, payload) }
        flush()
        guard file != nil, rename(temporary, path) == 0 else {
            return report("cannot write \(path): \(String(cString: strerror(errno)))")
        }
    }
    private func write(_ isAdded: Bool, _ key: RouteKey, _ payload: RoutePayload) {
        guard let file else { return }
        let body = DeletePathRequest(key, payload).encoded(.v3)
        let count = body.count
        let record = [isAdded ? 1 : 0] + [16, 8, 0].map { UInt8(truncatingIfNeeded: count >> $0) } + body
        if fwrite(record, 1, record.count, file) == record.count { records += 1 }
    }
    private func flush() {
        guard let file else { return }
        if fflush(file) != 0 { report("cannot write \(path): \(String(cString: strerror(errno)))") }
    }
    private static func read(_ rest: inout ArraySlice<UInt8>) -> (Bool, RouteKey, RoutePayload)? {
        guard rest.count >= 4 else { return nil }
        let head = Array(rest.prefix(4))
        let count = Int(head[1]) << 16 | Int(head[2]) << 8 | Int(head[3])
        guard head[0] <= 1, rest.count >= 4 + count else { return nil }
        let body = Array(rest.dropFirst(4).prefix(count))
        rest = rest.dropFirst(4 + count)
        guard let request = try? DeletePathRequest(decoding: body, .v3), case .success(let path)? = request.path else {
            return nil
        }
        return (head[0] == 1, path.key, path.payload)
    }
}
