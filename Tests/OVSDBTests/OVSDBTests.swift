// The messages and values of RFC 7047: what is read, what is written, and what is refused.

import Documents
import OVSDB
import Testing

@Suite struct OVSDBTests {
    private func objects(_ pieces: [String], limit: Int = 1000) throws -> [String] {
        var scanner = JSONScanner(limit: limit)
        var texts: [String] = []
        for piece in pieces {
            Array(piece.utf8).withUnsafeBytes { scanner.append($0) }
            while let text = try scanner.next() { texts.append(String(decoding: text, as: UTF8.self)) }
        }
        return texts
    }

    @Test func cutsAStreamIntoObjects() throws {
        #expect(
            try objects([#"{"a":{"b":[1,{}]}}{"c":"}\"{"} "#, "\n{}"]) == [
                #"{"a":{"b":[1,{}]}}"#, #"{"c":"}\"{"}"#, "{}",
            ])
        let text = #"{"id":"echo\\","params":["\u007d"]}"#
        #expect(try objects(text.map { String($0) } + [text]) == [text, text])
        #expect(try objects([#"{"a":[1,2"#]) == [])
        #expect(throws: OVSDBFault.self) { try objects(["[1]"]) }
        #expect(throws: OVSDBFault.self) { try objects(["{} x"]) }
        #expect(throws: OVSDBFault.self) { try objects([#"{"a":"# + String(repeating: "1", count: 2000)]) }
        #expect(try objects([String(repeating: "{\"a\":1}", count: 1000)]).count == 1000)
    }

    @Test func readsValues() throws {
        func datum(_ text: String) throws -> Datum { try Datum(try #require(JSONValue(parsing: text))) }
        let id = try #require(RowID("550e8400-e29b-41d4-a716-446655440000"))
        #expect(id.description == "550e8400-e29b-41d4-a716-446655440000")
        #expect(RowID("550E8400-E29B-41D4-A716-446655440000") == id)
        for bad in [
            "", "550e8400", "550e8400-e29b-41d4-a716-44665544000g", "550e8400ee29b-41d4-a716-446655440000",
            "550e8400-e29b-41d4-a716-4466554400000",
        ] {
            #expect(RowID(bad) == nil)
        }
        #expect(try datum("5") == .one(5))
        #expect(try datum(#"["set",[]]"#) == .empty)
        #expect(try datum(#"["set",["b","a","b"]]"#) == Datum(["a", "b"]))
        #expect(try datum(#"["uuid","550e8400-e29b-41d4-a716-446655440000"]"#) == .one(.row(id)))
        #expect(
            try datum(#"["map",[["key","flow"],["remote_ip","flow"]]]"#).pairs == ["key": "flow", "remote_ip": "flow"])
        for bad in [
            "null", "{}", #"["set",5]"#, #"["map",[["a"]]]"#, #"["uuid","x"]"#, #"["what","x"]"#,
            #"["set",[["set",[]]]]"#,
            "[]",
        ] {
            #expect(throws: OVSDBFault.self) { try datum(bad) }
        }
        for text in [#"["set",["a","b"]]"#, "5", #"["map",[["a",1],["b",2]]]"#, #"["named-uuid","x"]"#, #"["set",[]]"#]
        {
            #expect(try datum(text).json.description == text)
        }
        #expect(Datum(["key": "flow", "dst_port": "4789"]).text == #"{dst_port="4789",key=flow}"#)
        #expect(Datum(["OpenFlow13", "OpenFlow14"].map { Atom.string($0) }).text == "[OpenFlow13,OpenFlow14]")
    }

    @Test func readsMessages() throws {
        func message(_ text: String) throws -> RPC { try RPC(Array(text.utf8)) }
        #expect(
            try message(#"{"method":"echo","params":[],"id":"echo"}"#)
                == .request(id: "echo", method: "echo", parameters: []))
        #expect(
            try message(#"{"method":"update","params":[1,{}],"id":null}"#)
                == .notification(method: "update", parameters: [1, [:]]))
        #expect(try message(#"{"id":3,"result":[],"error":null}"#) == .reply(id: 3, result: []))
        #expect(
            try message(#"{"id":3,"result":null,"error":"unknown database"}"#)
                == .failure(id: 3, DatabaseError("unknown database")))
        #expect(
            try message(#"{"id":3,"result":null,"error":{"error":"syntax error","details":"line 1","syntax":"x"}}"#)
                == .failure(id: 3, DatabaseError("syntax error", "line 1")))
        for bad in [
            "{}", #"{"method":5,"params":[]}"#, #"{"method":"echo"}"#, #"{"id":1,"error":[]}"#, #"{"id":1,"error":{}}"#,
            "{", #"{"id":1,"id":2,"result":1}"#,
        ] {
            #expect(throws: OVSDBFault.self) { try message(bad) }
        }
        let request = RPC.request(id: 1, method: "get_schema", parameters: ["Open_vSwitch"])
        #expect(
            String(decoding: request.octets, as: UTF8.self)
                == #"{"method":"get_schema","params":["Open_vSwitch"],"id":1}"#)
        #expect(try RPC(request.octets) == request)
    }

    @Test func writesOperations() throws {
        let operations: [Operation] = [
            .wait(table: "Bridge", where: [Condition("name", .one("br0"))], columns: ["name"], rows: []),
            .insert(table: "Port", row: ["name": .one("p"), "interfaces": .one(.named("i"))], name: "p"),
            .mutate(table: "Open_vSwitch", where: [], mutations: [Mutation("next_cfg", "+=", .one(1))]),
            .select(table: "Bridge", where: [], columns: ["name"]), .delete(table: "Port", where: []), .abort,
            .comment("x"),
            .update(
                table: "Interface", where: [Condition("name", .one("i"))], row: ["options": Datum(["key": "flow"])]),
        ]
        #expect(
            operations.map(\.json.description) == [
                #"{"op":"wait","timeout":0,"table":"Bridge","where":[["name","==","br0"]],"columns":["name"],"until":"==","rows":[]}"#,
                #"{"op":"insert","table":"Port","row":{"interfaces":["named-uuid","i"],"name":"p"},"uuid-name":"p"}"#,
                #"{"op":"mutate","table":"Open_vSwitch","where":[],"mutations":[["next_cfg","+=",1]]}"#,
                #"{"op":"select","table":"Bridge","where":[],"columns":["name"]}"#,
                #"{"op":"delete","table":"Port","where":[]}"#, #"{"op":"abort"}"#, #"{"op":"comment","comment":"x"}"#,
                #"{"op":"update","table":"Interface","where":[["name","==","i"]],"row":{"options":["map",[["key","flow"]]]}}"#,
            ])
    }

    @Test func readsResults() throws {
        func result(_ text: String) throws -> TransactionResult {
            try TransactionResult(try #require(JSONValue(parsing: text)))
        }
        let id = "550e8400-e29b-41d4-a716-446655440000"
        let good = try result(#"[{},{"uuid":["uuid","\#(id)"]},{"count":1},{"rows":[{"name":"br0"}]}]"#)
        #expect(good.error == nil)
        #expect(
            good.results == [
                .done, .inserted(try #require(RowID(id))), .changed(rows: 1), .selected([["name": .one("br0")]]),
            ])
        let lost = try result(#"[{"error":"timed out","details":"\"wait\" timed out"},null]"#)
        #expect(lost.hasLostRace)
        #expect(lost.results.last == .skipped)
        let refused = try result(#"[{"count":1},{"error":"constraint violation","details":"two rows"}]"#)
        #expect(refused.error?.description == "constraint violation: two rows")
        for bad in ["{}", "[5]", #"[{"uuid":"x"}]"#, #"[{"rows":[5]}]"#, #"[{"error":5}]"#] {
            #expect(throws: OVSDBFault.self) { try result(bad) }
        }
    }

    @Test func keepsAReplica() throws {
        func json(_ text: String) throws -> JSONValue { try #require(JSONValue(parsing: text)) }
        let (a, b) = ("00000000-0000-0000-0000-00000000000a", "00000000-0000-0000-0000-00000000000b")
        var replica = Replica(limit: 2)
        try replica.apply(
            json(#"{"Bridge":{"\#(b)":{"new":{"name":"br0"}},"\#(a)":{"new":{"name":"br1"}}}}"#))
        #expect(replica.count == 2)
        #expect(replica.first("Bridge", named: "br0")?.id == RowID(b))
        let before = replica
        #expect(throws: OVSDBFault.self) { try replica.apply(json(#"{"Bridge":{"\#(a)":{"old":{}},"x":{}}}"#)) }
        #expect(throws: OVSDBFault.self) {
            try replica.apply(json(#"{"Port":{"\#(a)":{"new":{"name":"p"}}}}"#))
        }
        #expect(throws: OVSDBFault.self) { try replica.apply(json(#"{"Bridge":{"\#(a)":{"new":{"name":null}}}}"#)) }
        #expect(replica == before)
        try replica.apply(json(#"{"Bridge":{"\#(a)":{"old":{"name":"br1"},"new":{"name":"br2"}}}}"#))
        #expect(replica.first("Bridge", named: "br2")?.id == RowID(a))
        try replica.apply(json(#"{"Bridge":{"\#(a)":{"old":{"name":"br2"}}}}"#))
        #expect(replica.count == 1)
        #expect(replica.first("Bridge", named: "br2") == nil)
    }

    @Test func namesWhatASchemaLacks() throws {
        let schema = try Schema(
            try #require(
                JSONValue(
                    parsing:
                        #"{"name":"Open_vSwitch","version":"7.6.0","tables":{"Bridge":{"columns":{"name":{},"ports":{}}}}}"#
                )))
        let request = MonitorRequest(["Bridge": ["name", "protocols", "ports"], "Interface": ["name"]])
        #expect(request.missing(in: schema) == ["column Bridge.protocols", "table Interface"])
        #expect(throws: OVSDBFault.self) { try Schema(["name": "x"]) }
        #expect(throws: OVSDBFault.self) { try Schema(["name": "x", "tables": ["Bridge": [:]]]) }
    }
}
