// From what a database shows to the transactions that are missing: as commands of ovs-vsctl, and what they carry.

import Documents
import EVPN
import NetTypes
import OVSDB
import Testing

@testable import OVSDataplane

/// The rows of a small Open vSwitch, changed by the operations of a plan as ovsdb-server would.
struct SmallDatabase {
    var replica = Replica()
    private var lastID: UInt64 = 0

    mutating func add(_ table: String, _ row: Row) -> RowID {
        lastID += 1
        let id = RowID(high: 0, low: lastID)
        set(table, id, row)
        return id
    }
    mutating func set(_ table: String, _ id: RowID, _ row: Row?) {
        let columns = row?.map { JSONValue.Member($0.key, $0.value.json) }
        let update: JSONValue = .object([
            .init(table, .object([.init(id.description, columns.map { ["new": .object($0)] } ?? ["old": [:]])]))
        ])
        do { try replica.apply(update) } catch { Issue.record("\(error)") }
    }
    mutating func change(_ table: String, _ id: RowID, _ columns: Row) {
        set(table, id, (replica[table, id] ?? [:]).merging(columns) { $1 })
    }
    /// With `br0`, its own port and more ports of these names and numbers.
    init(bridge: Row? = nil, ports: [(name: String, number: Int?)] = []) {
        let root = add("Open_vSwitch", ["next_cfg": .one(0)])
        guard let bridge else { return }
        var rows: [Atom] = []
        for port in [("br0", 65534)] + ports {
            let interface = add(
                "Interface",
                ["name": .one(.string(port.0)), "ofport": port.1.map { .one(.integer($0)) } ?? .empty, "type": ""])
            rows.append(.row(add("Port", ["name": .one(.string(port.0)), "interfaces": .one(.row(interface))])))
        }
        let id = add("Bridge", bridge.merging(["name": "br0", "ports": Datum(rows)]) { $1 })
        change("Open_vSwitch", root, ["bridges": .one(.row(id))])
    }
    /// What the plan's operations do to the rows; false when a `wait` is not met.
    mutating func perform(_ operation: BridgeOperation) -> Bool {
        var named: [String: RowID] = [:]
        func resolved(_ datum: Datum) -> Datum {
            Datum(
                datum.atoms.map { atom in
                    if case .named(let name) = atom, let id = named[name] { .row(id) } else { atom }
                })
        }
        for operation in operation.operations {
            switch operation {
            case .wait(let table, let conditions, let columns, let rows, true, 0):
                let found = select(table, conditions).map { row in row.1.filter { columns.contains($0.key) } }
                if Set(found) != Set(rows) { return false }
            case .insert(let table, let row, let name):
                let id = add(table, row.mapValues { if case .map = $0 { $0 } else { resolved($0) } })
                if let name { named[name] = id }
                if table == "Interface" { change(table, id, ["ofport": row["ofport_request"] ?? .one(65534)]) }
            case .update(let table, let conditions, let columns):
                for (id, _) in select(table, conditions) { change(table, id, columns) }
            case .mutate(let table, let conditions, let mutations):
                for (id, row) in select(table, conditions) {
                    for mutation in mutations {
                        var atoms = Set(row[mutation.column]?.atoms ?? [])
                        switch mutation.mutator {
                        case "insert": atoms.formUnion(resolved(mutation.value).atoms)
                        case "delete": atoms.subtract(mutation.value.atoms)
                        default: continue
                        }
                        change(table, id, [mutation.column: Datum(atoms)])
                    }
                }
            case .comment: break
            default:
                Issue.record("no such operation is expected: \(operation)")
                return false
            }
        }
        // Rows that nothing refers to are gone.
        let bridges = Set(replica.rows("Open_vSwitch").values.flatMap { $0["bridges"]?.rows ?? [] })
        for id in replica.rows("Bridge").keys where !bridges.contains(id) { set("Bridge", id, nil) }
        let ports = Set(replica.rows("Bridge").values.flatMap { $0["ports"]?.rows ?? [] })
        for id in replica.rows("Port").keys where !ports.contains(id) { set("Port", id, nil) }
        let interfaces = Set(replica.rows("Port").values.flatMap { $0["interfaces"]?.rows ?? [] })
        for id in replica.rows("Interface").keys where !interfaces.contains(id) { set("Interface", id, nil) }
        return true
    }
    private func select(_ table: String, _ conditions: [Condition]) -> [(RowID, Row)] {
        replica.rows(table).filter { id, row in
            conditions.allSatisfy { condition in
                condition.column == "_uuid"
                    ? condition.value == .one(.row(id)) : row[condition.column] == condition.value
            }
        }.sorted { $0.key < $1.key }
    }
}

@Suite struct BridgePlanTests {
    let wanted = SwitchBridge(name: "br0", routerMAC: MACAddress(rawValue: 0x02_0000_0000_01))
    let vtep = IPAddress("192.0.2.1")

    /// Performs one operation after the other until nothing is left to do; the commands.
    func settle(_ database: inout SmallDatabase, _ wanted: SwitchBridge, vtep: IPAddress?) -> [String] {
        var commands: [String] = []
        for _ in 0..<10 {
            guard let operation = BridgePlan(wanted, vtep: vtep, database.replica).operations.first else { break }
            commands.append(operation.description)
            let isDone = database.perform(operation)
            #expect(isDone)
        }
        return commands
    }
    func id(_ database: SmallDatabase, _ table: String, _ name: String) throws -> RowID {
        try #require(database.replica.first(table, named: name)).id
    }

    @Test func makesBridgeAndTunnelPort() throws {
        var database = SmallDatabase()
        var wanted = wanted
        wanted.datapathType = "netdev"
        #expect(
            settle(&database, wanted, vtep: vtep) == [
                "ovs-vsctl add-br br0 -- set Bridge br0 fail_mode=secure protocols=OpenFlow13,OpenFlow14,OpenFlow15 "
                    + "datapath_type=netdev external_ids:evpnd=managed",
                "ovs-vsctl add-port br0 vxlan_out -- set Port vxlan_out external_ids:evpnd=managed -- set Interface vxlan_out "
                    + #"type=vxlan options:dst_port="4789" options:key=flow options:local_ip="192.0.2.1" "#
                    + "options:remote_ip=flow ofport_request=65278",
            ])
        let plan = BridgePlan(wanted, vtep: vtep, database.replica)
        #expect(plan.operations.isEmpty && plan.problems.isEmpty && plan.isPresent)
        #expect(plan.tunnel == 65278)
        #expect(plan.isBehind)
        let root = try #require(database.replica.rows("Open_vSwitch").first)
        database.change("Open_vSwitch", root.key, ["cur_cfg": root.value["next_cfg"] ?? .empty])
        #expect(!BridgePlan(wanted, vtep: vtep, database.replica).isBehind)
        #expect(
            BridgePlan.cleanup(wanted, database.replica).map(\.description) == [
                "ovs-vsctl del-port br0 vxlan_out", "ovs-vsctl del-br br0",
            ])
        // Removed by somebody, it is made again.
        let bridge = try id(database, "Bridge", "br0")
        let own = try id(database, "Port", "br0")
        database.change("Bridge", bridge, ["ports": .one(.row(own))])
        database.set("Port", try id(database, "Port", "vxlan_out"), nil)
        database.set("Interface", try id(database, "Interface", "vxlan_out"), nil)
        #expect(settle(&database, wanted, vtep: vtep).count == 1)
    }

    @Test func waitsForTheAddress() {
        var database = SmallDatabase()
        #expect(settle(&database, wanted, vtep: nil).count == 1)
        #expect(BridgePlan(wanted, vtep: nil, database.replica).problems.count == 1)
        #expect(settle(&database, wanted, vtep: IPAddress("2001:db8::1")).count == 1)
        #expect(
            settle(&database, wanted, vtep: IPAddress("2001:db8::2")) == [
                #"ovs-vsctl set Interface vxlan_out options:local_ip="2001:db8::2""#
            ])
    }

    @Test func adoptsWhatIsThere() throws {
        var database = SmallDatabase(
            bridge: ["fail_mode": .empty, "protocols": "OpenFlow13", "datapath_type": "netdev"],
            ports: [("h1", 1), ("vxlan_out", 65278)])
        let tunnel = try id(database, "Interface", "vxlan_out")
        database.change(
            "Interface", tunnel,
            [
                "type": "vxlan",
                "options": Datum([
                    "in_key": "flow", "out_key": "flow", "remote_ip": "flow", "local_ip": "192.0.2.1",
                    "dst_port": "4789",
                ]),
            ])
        #expect(
            settle(&database, wanted, vtep: vtep) == [
                "ovs-vsctl set-fail-mode br0 secure", "ovs-vsctl add Bridge br0 protocols OpenFlow14 OpenFlow15",
            ])
        let plan = BridgePlan(wanted, vtep: vtep, database.replica)
        #expect(plan.problems.isEmpty)
        #expect(plan.ports["h1"] == SwitchPort(number: 1) && plan.tunnel == 65278)
        #expect(BridgePlan.cleanup(wanted, database.replica).isEmpty)
        // It is not ours to change, but said.
        #expect(
            BridgePlan(wanted, vtep: IPAddress("192.0.2.9"), database.replica).problems == [
                #"port vxlan_out is not evpnd's and has other options: ovs-vsctl set Interface vxlan_out options:local_ip="192.0.2.9""#
            ])
        var system = wanted
        system.datapathType = "system"
        #expect(BridgePlan(system, vtep: vtep, database.replica).problems.count == 1)
    }

    @Test func namesWhatIsInTheWay() throws {
        var database = SmallDatabase(
            bridge: ["fail_mode": "secure", "protocols": .empty, "external_ids": Datum(["evpnd": "managed"])],
            ports: [("vxlan_out", 5), ("h1", 65278), ("h2", nil)])
        func problems() -> [String] { BridgePlan(wanted, vtep: vtep, database.replica).problems }
        #expect(problems() == ["port vxlan_out is of type system, not vxlan"])
        let tunnel = try id(database, "Interface", "vxlan_out")
        database.change(
            "Interface", tunnel,
            ["type": "vxlan", "options": Datum(["key": "flow", "remote_ip": "flow", "local_ip": "192.0.2.1"])])
        #expect(problems() == ["port vxlan_out has the OpenFlow number 5, not 65278, which is that of h1"])
        #expect(BridgePlan(wanted, vtep: vtep, database.replica).tunnel == 5)
        for name in ["h1", "h2"] {
            database.change("Interface", try id(database, "Interface", name), ["ofport_request": .one(65278)])
        }
        #expect(problems().first == "h1 and h2 both ask for OpenFlow port 65278 (ofport_request)")
        database.change("Interface", tunnel, ["ofport": .one(-1), "error": "could not add network device vxlan_out"])
        #expect(problems().contains("port vxlan_out: could not add network device vxlan_out"))
        #expect(BridgePlan(wanted, vtep: vtep, database.replica).tunnel == nil)
        database.change("Interface", tunnel, ["ofport": .one(0x1_0000_0000)])
        #expect(BridgePlan(wanted, vtep: vtep, database.replica).tunnel == nil)
        // A bridge of ours with ports of others stays.
        #expect(
            BridgePlan.cleanup(wanted, database.replica).map(\.description) == [
                "# bridge br0 stays, others' ports are in it: h1 h2 vxlan_out"
            ])
        #expect(BridgePlan(wanted, vtep: vtep, Replica()).problems.count == 1)
    }

    @Test func portsThatAreDownHaveNoClients() throws {
        var database = SmallDatabase(
            bridge: ["fail_mode": "secure", "protocols": .empty], ports: [("h1", 1), ("h2", 2)])
        database.change("Interface", try id(database, "Interface", "h1"), ["link_state": "down"])
        database.change("Interface", try id(database, "Interface", "h2"), ["link_state": "up"])
        func numbers(_ wanted: SwitchBridge) -> [UInt32?] {
            let ports = BridgePlan(wanted, vtep: vtep, database.replica).ports
            return ["h1", "h2", "br0"].map { ports[$0]?.clientNumber }
        }
        #expect(numbers(wanted) == [nil, 2, 65534])
        database.change("Interface", try id(database, "Interface", "h1"), ["type": "internal"])
        #expect(numbers(wanted) == [1, 2, 65534])
        var compatible = wanted
        compatible.isConnectorCompatible = true
        #expect(numbers(compatible) == [1, 2, 65534])
    }

    @Test func loosesNothingOfOthers() throws {
        var database = SmallDatabase()
        _ = settle(&database, wanted, vtep: vtep)
        let tunnel = try id(database, "Interface", "vxlan_out")
        let options = try #require(database.replica["Interface", tunnel]?["options"]).pairs
        database.change("Interface", tunnel, ["options": Datum(options.merging(["tos": "inherit"]) { $1 })])
        #expect(settle(&database, wanted, vtep: vtep).isEmpty)
        var other = wanted
        other.udpPort = 8472
        let operation = try #require(BridgePlan(other, vtep: vtep, database.replica).operations.first)
        // Somebody was quicker: what was planned does not happen, and is planned anew.
        var raced = database
        raced.change("Interface", tunnel, ["options": Datum(options.merging(["ttl": "9"]) { $1 })])
        let isDone = (raced.perform(operation), database.perform(operation))
        #expect(isDone == (false, true))
        #expect(settle(&raced, other, vtep: vtep).count == 1)
        #expect(raced.replica["Interface", tunnel]?["options"]?.pairs["ttl"] == "9")
        #expect(database.replica["Interface", tunnel]?["options"]?.pairs["tos"] == "inherit")
    }

    /// Open vSwitch has no second port for the same tunnels.
    @Test func oldTunnelsMakeWay() throws {
        var database = SmallDatabase()
        _ = settle(&database, wanted, vtep: vtep)
        var renamed = wanted
        renamed.tunnelPort = "vx0"
        let before = database
        let commands = settle(&database, renamed, vtep: vtep)
        #expect(
            commands.map { $0.prefix(35) } == [
                "ovs-vsctl del-port br0 vxlan_out", "ovs-vsctl add-port br0 vx0 -- set P",
            ])
        #expect(BridgePlan.cleanup(wanted, before.replica) == BridgePlan.cleanup(renamed, before.replica))
        // In another bridge: by its name, or by its tunnels; one with others' tunnels may be that of another evpnd.
        var moved = renamed
        moved.name = "br1"
        #expect(
            settle(&database, moved, vtep: vtep).map { $0.prefix(24) }.contains(
                "ovs-vsctl del-port br0 vx0"[...].prefix(24)))
        var both = moved
        both.name = "br2"
        both.tunnelPort = "vx2"
        #expect(settle(&database, both, vtep: vtep).contains("ovs-vsctl del-port br1 vx0"))
        both.name = "br3"
        both.tunnelPort = "vx3"
        both.udpPort = 8472
        #expect(settle(&database, both, vtep: vtep).allSatisfy { !$0.contains("del-port") })
        // Nobody else's.
        let port = try id(database, "Port", "vx2")
        database.change("Port", port, ["external_ids": .map([:])])
        both.udpPort = 4789
        both.name = "br4"
        both.tunnelPort = "vx4"
        #expect(settle(&database, both, vtep: vtep).allSatisfy { !$0.contains("vx2") })
    }
}
