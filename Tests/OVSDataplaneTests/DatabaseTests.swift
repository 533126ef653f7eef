// The conversation with ovsdb-server, step by step and over a socket with a server that comes and goes.

import AsyncIO
import Documents
import Glibc
import NetTypes
import OVSDB
import Streams
import Testing

@testable import OVSDataplane

@Suite struct DatabaseSessionTests {
    let request = MonitorRequest(["Bridge": ["name"]])
    let start = Instant(nanoseconds: 0)

    func text(_ effects: [DatabaseSession.Effect]) -> [String] {
        effects.map { effect in
            switch effect {
            case .send(let octets): String(decoding: octets, as: UTF8.self)
            case .live: "live"
            case .updated: "updated"
            case .finished(let id, .success(let result)): "finished \(id) \(result.error?.description ?? "done")"
            case .finished(let id, .failure(let error)): "finished \(id) \(error)"
            case .fail(let reason): "fail: \(reason)"
            }
        }
    }
    func say(_ session: inout DatabaseSession, _ words: String..., at seconds: Int64 = 0) -> [String] {
        words.flatMap { words in
            Array(words.utf8).withUnsafeBytes { octets in
                text(session.received(octets, now: start + .seconds(seconds)))
            }
        }
    }
    static let schema =
        #"{"id":0,"error":null,"result":{"name":"Open_vSwitch","tables":{"Bridge":{"columns":{"name":{}}}}}}"#
    static let id = "550e8400-e29b-41d4-a716-446655440000"

    @Test func followsTheTables() throws {
        var session = DatabaseSession(request, now: start)
        #expect(text(session.opened()) == [#"{"method":"get_schema","params":["Open_vSwitch"],"id":0}"#])
        #expect(
            say(&session, Self.schema) == [
                #"{"method":"monitor","params":["Open_vSwitch","evpnd",{"Bridge":{"columns":["name"]}}],"id":1}"#
            ])
        #expect(!session.isLive)
        #expect(say(&session, #"{"id":1,"error":null,"result":{}}"#) == ["live"])
        // Pieces of one message, several in one piece.
        let update =
            #"{"id":null,"method":"update","params":["evpnd",{"Bridge":{"\#(Self.id)":{"new":{"name":"br0"}}}}]}"#
        #expect(say(&session, String(update.prefix(20))) == [])
        #expect(say(&session, String(update.dropFirst(20)) + update) == ["updated"])
        #expect(session.replica.first("Bridge", named: "br0")?.id == RowID(Self.id))
        #expect(
            say(&session, #"{"id":"echo","method":"echo","params":["x"]}"#) == [
                #"{"result":["x"],"error":null,"id":"echo"}"#
            ])
        #expect(say(&session, #"{"id":7,"method":"stolen","params":[]}"#).count == 1)
        let (id, effects) = session.transact([.comment("x")])
        #expect(
            text(effects) == [
                #"{"method":"transact","params":["Open_vSwitch",{"op":"comment","comment":"x"}],"id":2}"#
            ])
        #expect(say(&session, #"{"id":\#(id),"error":null,"result":[{}]}"#) == ["finished 2 done"])
        #expect(say(&session, #"{"id":\#(id),"error":null,"result":[{}]}"#) == [])
        let (second, _) = session.transact([.abort])
        #expect(
            say(&session, #"{"id":\#(second),"error":"resources exhausted","result":null}"#) == [
                "finished 3 resources exhausted"
            ])
    }

    @Test func namesWhatTheSchemaLacks() {
        var session = DatabaseSession(
            MonitorRequest(["Bridge": ["name", "protocols"], "Interface": ["error"]]), now: start)
        #expect(
            say(&session, Self.schema) == [
                "fail: the database has no column Bridge.protocols, no table Interface: Open vSwitch 2.8 or later is needed"
            ])
        #expect(
            say(&session, #"{"id":0,"error":"unknown database","result":null}"#) == [
                "fail: ovsdb-server: unknown database"
            ])
    }

    @Test func badMessagesEndTheConnection() {
        for bad in [
            "x", "{x}", #"{"id":0,"result":{}}"#, #"{"id":1}"#, #"{"id":0,"result":5,"error":null}"#,
        ] {
            var session = DatabaseSession(request, now: start)
            #expect(say(&session, bad).first?.hasPrefix("fail: ") == true)
        }
        var session = DatabaseSession(request, now: start)
        _ = say(&session, Self.schema, #"{"id":1,"error":null,"result":{}}"#)
        #expect(say(&session, #"{"id":null,"method":"update","params":["evpnd",{"Bridge":{"x":{}}}]}"#).count == 1)
        // Not asked for, or not ours.
        #expect(
            say(&session, #"{"id":99,"error":null,"result":[]}"#, #"{"id":null,"method":"locked","params":[]}"#) == [])
    }

    @Test func asksWhetherTheServerLives() {
        var session = DatabaseSession(request, now: start)
        #expect(text(session.tick(now: start + .seconds(4))) == [])
        #expect(text(session.tick(now: start + .seconds(6))) == [#"{"method":"echo","params":[],"id":"evpnd"}"#])
        #expect(say(&session, #"{"id":"evpnd","result":[],"error":null}"#, at: 7) == [])
        #expect(text(session.tick(now: start + .seconds(8))) == [])
        #expect(text(session.tick(now: start + .seconds(30))).first?.hasPrefix("fail: ") == true)
    }
}

/// A server on a unix socket that answers as a database with one bridge does.
private final class FakeDatabase {
    let loop: EventLoop
    let path: String
    var name = "br0"
    private var listener: Int32 = -1
    private var client: Int32 = -1
    private var scanner = JSONScanner()
    var methods: [String] = []

    init(loop: EventLoop, path: String) {
        self.loop = loop
        self.path = path
    }
    func start() {
        unlink(path)
        listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        #expect(result == 0 && listen(listener, 1) == 0)
        loop.watch(listener, .readable) { _ in self.accept() }
    }
    func stop() {
        for descriptor in [client, listener] where descriptor >= 0 {
            loop.unwatch(descriptor)
            close(descriptor)
        }
        (client, listener) = (-1, -1)
        unlink(path)
    }
    private func accept() {
        client = Glibc.accept(listener, nil, nil)
        scanner = JSONScanner()
        loop.watch(client, .readable) { _ in self.read() }
    }
    private func read() {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = Glibc.read(client, &buffer, buffer.count)
        guard count > 0 else {
            loop.unwatch(client)
            close(client)
            client = -1
            return
        }
        buffer[..<count].withUnsafeBytes { scanner.append($0) }
        do {
            while let text = try scanner.next() { try answer(RPC(text)) }
        } catch {
            Issue.record("\(error)")
        }
    }
    private func answer(_ message: RPC) {
        guard case .request(let id, let method, _) = message else { return }
        methods.append(method)
        let result: JSONValue
        switch method {
        case "get_schema":
            result = ["name": "Open_vSwitch", "tables": ["Bridge": ["columns": ["name": [:]]]]]
        case "monitor":
            result = ["Bridge": .object([.init(DatabaseSessionTests.id, ["new": ["name": .string(name)]])])]
        case "transact": result = [["count": 1]]
        default: result = []
        }
        let octets = RPC.reply(id: id, result: result).octets
        _ = write(client, octets, octets.count)
    }
}

@Suite struct DatabaseTests {
    @Test func comesBackToAServerThatWasRestarted() throws {
        let loop = EventLoop()
        let path = "/tmp/evpnd-ovsdb-\(getpid()).sock"
        let server = FakeDatabase(loop: loop, path: path)
        defer { server.stop() }
        let database = Database(
            loop: loop, resolver: Worker(), endpoint: .unix(path: path), tls: nil,
            request: MonitorRequest(["Bridge": ["name"]]))
        var names: [String] = []
        var reasons = 0
        database.onDown = { _ in reasons += 1 }
        database.onChange = {
            names += database.replica.rows("Bridge").values.compactMap { $0["name"]?.string }
            loop.stop()
        }
        var refused: DatabaseError?
        database.transact([.comment("too early")]) { result in
            if case .failure(let error) = result { refused = error }
        }
        database.open()
        // Nobody listens yet.
        loop.schedule(after: .milliseconds(150)) { server.start() }
        let giveUp = loop.schedule(after: .seconds(20)) { loop.stop() }
        loop.run()
        #expect(names == ["br0"] && reasons == 1 && refused != nil && database.isLive)
        server.stop()
        server.name = "br1"
        var lost: DatabaseError?
        database.transact([.comment("into the void")]) { result in
            if case .failure(let error) = result { lost = error }
        }
        loop.schedule(after: .milliseconds(50)) {
            // What was read stays known meanwhile.
            #expect(database.replica.first("Bridge", named: "br0") != nil && !database.isLive)
            server.start()
        }
        loop.run()
        #expect(names == ["br0", "br1"] && lost != nil)
        var results: [TransactionResult] = []
        database.transact([.comment("x")]) { result in
            if case .success(let result) = result { results.append(result) }
            loop.stop()
        }
        loop.run()
        #expect(results.map(\.results) == [[.changed(rows: 1)]])
        #expect(server.methods == ["get_schema", "monitor", "get_schema", "monitor", "transact"])
        loop.cancel(giveUp)
        database.close()
    }

    @Test func readsAddresses() {
        func address(_ text: String) -> String? {
            StreamEndpoint.database(text).map { "\($0.endpoint)\($0.isTLS ? " TLS" : "")" }
        }
        #expect(address("unix:/run/openvswitch/db.sock") == "unix:///run/openvswitch/db.sock")
        #expect(address("ssl:ovs.example:6640") == "ovs.example:6640 TLS")
        #expect(address("tcp:[2001:db8::1]:6640") == "[2001:db8::1]:6640")
        for bad in [
            "", "unix:", "tcp:host", "tcp::6640", "ssl:host:0", "ssl:host:99999", "http://x", "ptcp:6640", "tcp:[]:1",
        ] {
            #expect(address(bad) == nil)
        }
    }
}
