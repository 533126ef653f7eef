// The conversation with ovsdb-server on one connection, without its socket: schema, monitor, transactions, signs of life.

import Documents
import NetTypes
import OVSDB

/// A machine for one connection. After `.fail` it is of no use any more.
struct DatabaseSession {
    enum Effect: Equatable {
        case send([UInt8])
        /// The replica is there, or has changed.
        case live
        case updated
        case finished(Int, Result<TransactionResult, DatabaseError>)
        case fail(String)
    }
    private enum State { case schema, monitor, live }

    static let database = "Open_vSwitch"
    /// The first release that has all that is asked for.
    static let release = "2.8"
    /// After how long without an octet the server is asked whether it lives, and given up.
    static let probeInterval = Duration.seconds(5)
    static let silenceLimit = Duration.seconds(15)

    private let request: MonitorRequest
    private var state = State.schema
    private var scanner = JSONScanner()
    private(set) var replica = Replica()
    private var lastID = 1
    private var transactions: Set<Int> = []
    private var heardAt: Instant

    init(_ request: MonitorRequest, now: Instant) {
        self.request = request
        heardAt = now
    }

    var isLive: Bool { state == .live }

    /// What is said first.
    func opened() -> [Effect] { [ask(0, "get_schema", [.string(Self.database)])] }

    private func ask(_ id: Int, _ method: String, _ parameters: [JSONValue]) -> Effect {
        .send(RPC.request(id: .int(id), method: method, parameters: parameters).octets)
    }

    mutating func received(_ octets: UnsafeRawBufferPointer, now: Instant) -> [Effect] {
        heardAt = now
        scanner.append(octets)
        var effects: [Effect] = []
        do throws(OVSDBFault) {
            while let text = try scanner.next() { effects += try handle(RPC(text)) }
        } catch {
            effects.append(.fail("ovsdb-server: \(error)"))
        }
        // One word for many updates.
        if let last = effects.lastIndex(of: .updated) {
            effects = effects.enumerated().filter { $0.offset == last || $0.element != .updated }.map(\.element)
        }
        return effects
    }

    private mutating func handle(_ message: RPC) throws(OVSDBFault) -> [Effect] {
        switch message {
        case .request(let id, "echo", let parameters):
            return [.send(RPC.reply(id: id, result: .array(parameters)).octets)]
        case .request(let id, let method, _):
            return [.send(RPC.failure(id: id, DatabaseError("unknown method", method)).octets)]
        case .notification("update", let parameters):
            guard state == .live, parameters.count == 2 else { return [] }
            try replica.apply(parameters[1])
            return [.updated]
        case .notification: return []
        case .reply(.int(0), let result) where state == .schema:
            let missing = request.missing(in: try Schema(result))
            guard missing.isEmpty else {
                return [
                    .fail(
                        "the database has no \(missing.joined(separator: ", no ")): Open vSwitch \(Self.release) or later "
                            + "is needed")
                ]
            }
            state = .monitor
            return [ask(1, "monitor", [.string(Self.database), "evpnd", request.json])]
        case .reply(.int(1), let result) where state == .monitor:
            try replica.apply(result)
            state = .live
            return [.live]
        case .reply(.int(let id), let result):
            guard transactions.remove(id) != nil else { return [] }
            return [.finished(id, .success(try TransactionResult(result)))]
        case .failure(.int(let id), let error):
            if id <= 1, state != .live { return [.fail("ovsdb-server: \(error)")] }
            guard transactions.remove(id) != nil else { return [] }
            return [.finished(id, .failure(error))]
        case .reply, .failure: return []
        }
    }

    /// The number that `.finished` is going to have.
    mutating func transact(_ operations: [Operation]) -> (id: Int, effects: [Effect]) {
        lastID += 1
        transactions.insert(lastID)
        return (
            lastID, [ask(lastID, "transact", [.string(Self.database)] + operations.map(\.json))]
        )
    }

    /// To be called every `probeInterval`.
    func tick(now: Instant) -> [Effect] {
        let silence = now - heardAt
        if silence >= Self.silenceLimit { return [.fail("ovsdb-server: no answer within \(Self.silenceLimit)")] }
        if silence < Self.probeInterval { return [] }
        return [.send(RPC.request(id: "evpnd", method: "echo", parameters: []).octets)]
    }
}
