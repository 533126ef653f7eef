// What the database is to have of our bridge, and what it tells of its ports: a function of the configuration and of what is there.

import EVPN
import NetTypes
import OVSDB

/// One transaction.
struct BridgeOperation: Equatable, CustomStringConvertible {
    /// The command that an operator would type for it.
    var description: String
    var operations: [Operation]
}

/// What is read of the database, and nothing else.
let monitored = MonitorRequest([
    "Open_vSwitch": ["bridges", "cur_cfg", "next_cfg", "ovs_version"],
    "Bridge": ["name", "ports", "fail_mode", "protocols", "datapath_type", "external_ids"],
    "Port": ["name", "interfaces", "external_ids"],
    "Interface": ["name", "type", "options", "ofport", "ofport_request", "link_state", "error"],
])

/// A port of the bridge as ovs-vswitchd has it.
struct SwitchPort: Hashable {
    /// 1…65534; nil: it has none, or not yet.
    var number: UInt32?
    /// What ovs-vswitchd says of it.
    var error: String?
    /// Nothing comes or goes there: it has no carrier, or is not up.
    var isDown = false
    /// The number by which clients are there.
    var clientNumber: UInt32? { isDown ? nil : number }
}

struct BridgePlan: Equatable {
    /// Of bridges and ports that evpnd made.
    static let mark = ("evpnd", "managed")
    static let protocols = ["OpenFlow13", "OpenFlow14", "OpenFlow15"]

    var operations: [BridgeOperation] = []
    /// What cannot be put right because it is somebody else's, or is wrong although it is ours.
    var problems: [String] = []
    /// ovs-vswitchd has not done yet what was asked of it last: a port that is removed and made again before it looks is not seen to
    /// have changed.
    var isBehind = false
    /// The bridge is there.
    var isPresent = false
    /// By name of the interface.
    var ports: [String: SwitchPort] = [:]
    /// The tunnel port's number, when it can be used.
    var tunnel: UInt32?

    /// `vtep`: the tunnels' local address; without it there is no tunnel port.
    init(_ wanted: SwitchBridge, vtep: IPAddress?, _ replica: Replica) {
        guard let root = replica.rows("Open_vSwitch").min(by: { $0.key < $1.key })?.key else {
            problems.append("the database has no row in Open_vSwitch: ovs-vsctl init")
            return
        }
        let row = replica["Open_vSwitch", root]
        isBehind = row?["cur_cfg"]?.integer != row?["next_cfg"]?.integer
        guard let bridge = replica.first("Bridge", named: wanted.name) else {
            if replica.first("Port", named: wanted.name) != nil {
                problems.append("\(wanted.name) is a port of another bridge, and cannot be a bridge")
            } else {
                operations.append(Self.addBridge(wanted, root))
            }
            return
        }
        isPresent = true
        correct(wanted, bridge, root)
        readPorts(wanted, bridge.row, replica)
        guard removeOldTunnels(wanted, vtep, bridge.id, root, replica) else { return }
        planTunnel(wanted, vtep, bridge, root, replica)
    }

    private static func isOurs(_ row: Row) -> Bool { row["external_ids"]?.pairs[mark.0] == mark.1 }
    private static let ourMark = Datum([mark.0: mark.1])
    private static func word(_ text: String) -> String { Atom.string(text).text }
    /// ovs-vswitchd looks at the database again; `ovs-vsctl` waits for `cur_cfg` to follow.
    private static func reconfigure(_ root: RowID) -> Operation {
        .mutate(table: "Open_vSwitch", where: [.row(root)], mutations: [Mutation("next_cfg", "+=", .one(1))])
    }
    /// Goes on only if the row is still as it was read.
    private static func unchanged(_ table: String, _ id: RowID, _ row: Row, _ columns: [String]) -> Operation {
        .wait(
            table: table, where: [.row(id)], columns: columns, rows: [row.filter { columns.contains($0.key) }])
    }

    // MARK: The bridge

    private static func addBridge(_ wanted: SwitchBridge, _ root: RowID) -> BridgeOperation {
        var row: Row = [
            "name": .one(.string(wanted.name)), "ports": .one(.named("port")), "fail_mode": "secure",
            "protocols": Datum(protocols.map { .string($0) }), "external_ids": ourMark,
        ]
        if let type = wanted.datapathType { row["datapath_type"] = .one(.string(type)) }
        let name = word(wanted.name)
        let type = wanted.datapathType.map { " datapath_type=\($0)" } ?? ""
        return BridgeOperation(
            description: "ovs-vsctl add-br \(name) -- set Bridge \(name) fail_mode=secure "
                + "protocols=\(protocols.joined(separator: ","))\(type) external_ids:\(mark.0)=\(mark.1)",
            operations: [
                .wait(
                    table: "Bridge", where: [Condition("name", .one(.string(wanted.name)))], columns: ["name"], rows: []
                ),
                .insert(
                    table: "Interface", row: ["name": .one(.string(wanted.name)), "type": "internal"], name: "interface"
                ),
                .insert(
                    table: "Port", row: ["name": .one(.string(wanted.name)), "interfaces": .one(.named("interface"))],
                    name: "port"),
                .insert(table: "Bridge", row: row, name: "bridge"),
                .mutate(
                    table: "Open_vSwitch", where: [.row(root)],
                    mutations: [Mutation("bridges", "insert", .one(.named("bridge")))]),
                reconfigure(root), .comment("evpnd: bridge \(wanted.name)"),
            ])
    }

    private mutating func correct(_ wanted: SwitchBridge, _ bridge: (id: RowID, row: Row), _ root: RowID) {
        let name = Self.word(wanted.name)
        if bridge.row["fail_mode"]?.string != "secure" {
            operations.append(
                BridgeOperation(
                    description: "ovs-vsctl set-fail-mode \(name) secure",
                    operations: [
                        Self.unchanged("Bridge", bridge.id, bridge.row, ["fail_mode"]),
                        .update(table: "Bridge", where: [.row(bridge.id)], row: ["fail_mode": "secure"]),
                        Self.reconfigure(root),
                    ]))
        }
        // None: all that this Open vSwitch has.
        let spoken = bridge.row["protocols"]?.strings ?? []
        let missing = Self.protocols.filter { !spoken.contains($0) }
        if !spoken.isEmpty, !missing.isEmpty {
            operations.append(
                BridgeOperation(
                    description: "ovs-vsctl add Bridge \(name) protocols \(missing.joined(separator: " "))",
                    operations: [
                        .mutate(
                            table: "Bridge", where: [.row(bridge.id)],
                            mutations: [Mutation("protocols", "insert", Datum(missing.map { .string($0) }))]),
                        Self.reconfigure(root),
                    ]))
        }
        guard let type = wanted.datapathType else { return }
        let has = bridge.row["datapath_type"]?.string ?? ""
        // The empty type is `system`.
        guard (has.isEmpty ? "system" : has) != type else { return }
        if Self.isOurs(bridge.row) {
            operations.append(
                BridgeOperation(
                    description: "ovs-vsctl set Bridge \(name) datapath_type=\(type)",
                    operations: [
                        Self.unchanged("Bridge", bridge.id, bridge.row, ["datapath_type"]),
                        .update(table: "Bridge", where: [.row(bridge.id)], row: ["datapath_type": .one(.string(type))]),
                        Self.reconfigure(root),
                    ]))
        } else {
            problems.append(
                "bridge \(wanted.name) has the datapath \(has.isEmpty ? "system" : has), not \(type), and is not evpnd's: "
                    + "ovs-vsctl set Bridge \(name) datapath_type=\(type)")
        }
    }

    // MARK: Ports

    private mutating func readPorts(_ wanted: SwitchBridge, _ bridge: Row, _ replica: Replica) {
        var requests: [Int: [String]] = [:]
        for id in bridge["ports"]?.rows ?? [] {
            for id in replica["Port", id]?["interfaces"]?.rows ?? [] {
                guard let row = replica["Interface", id], let name = row["name"]?.string else { continue }
                let number = row["ofport"]?.integer.flatMap { (1...0xfffe).contains($0) ? UInt32($0) : nil }
                var port = SwitchPort(number: number, error: row["error"]?.string)
                if port.number == nil, port.error == nil, row["ofport"]?.integer == -1 {
                    port.error = "ovs-vswitchd could not add it"
                }
                // Of an internal port in another network namespace Open vSwitch may not know it; evpn-connector does not look at it.
                let type = row["type"]?.string ?? ""
                let isTold = ["", "system"].contains(type) || type.hasPrefix("dpdk")
                port.isDown = isTold && row["link_state"]?.string == "down" && !wanted.isConnectorCompatible
                ports[name] = port
                if let request = row["ofport_request"]?.integer { requests[request, default: []].append(name) }
            }
        }
        for (number, names) in requests.sorted(by: { $0.key < $1.key }) where names.count > 1 {
            problems.append(
                "\(names.sorted().joined(separator: " and ")) both ask for OpenFlow port \(number) (ofport_request)")
        }
    }

    private static func options(_ wanted: SwitchBridge, _ vtep: IPAddress) -> [String: String] {
        ["remote_ip": "flow", "key": "flow", "local_ip": vtep.description, "dst_port": "\(wanted.udpPort)"]
    }
    /// As `ovs-vsctl` takes them.
    private static func text(_ options: [String: String]) -> String {
        options.sorted { $0.key < $1.key }.map { "options:\($0.key)=\(word($0.value))" }.joined(separator: " ")
    }
    /// What one of two ways of writing the same has; the port 4789 need not be said.
    private static func normal(_ options: [String: String]) -> [String: String] {
        var options = options
        if options["in_key"] == "flow", options["out_key"] == "flow" {
            options["in_key"] = nil
            options["out_key"] = nil
            options["key"] = "flow"
        }
        if options["dst_port"] == nil { options["dst_port"] = "4789" }
        if let text = options["local_ip"], let address = IPAddress(text) { options["local_ip"] = address.description }
        return options
    }

    /// Removes tunnel ports of ours of another configuration: those that are in the bridge under another name, and those in other
    /// bridges that have the name or the tunnels, as Open vSwitch has no two ports with the same address and UDP port. False: the name is not free yet.
    private mutating func removeOldTunnels(
        _ wanted: SwitchBridge, _ vtep: IPAddress?, _ bridge: RowID, _ root: RowID, _ replica: Replica
    ) -> Bool {
        let options = vtep.map { Self.options(wanted, $0) }
        var isFree = true
        for (owner, row) in replica.rows("Bridge").sorted(by: { $0.key < $1.key }) {
            for id in row["ports"]?.rows ?? [] {
                guard let port = replica["Port", id], Self.isOurs(port), let name = port["name"]?.string else {
                    continue
                }
                let isNamed = name == wanted.tunnelPort
                if owner == bridge {
                    guard !isNamed else { continue }
                } else if !isNamed {
                    let has = port["interfaces"]?.rows.first.flatMap { replica["Interface", $0]?["options"]?.pairs }
                    let tunnel = Self.normal(has ?? [:])
                    guard let options, options.allSatisfy({ tunnel[$0.key] == $0.value }) else { continue }
                }
                if isNamed { isFree = false }
                operations.append(Self.deletePort(id, name, owner, row["name"]?.string ?? "", root))
            }
        }
        return isFree
    }

    private static func deletePort(
        _ port: RowID, _ name: String, _ bridge: RowID, _ bridgeName: String, _ root: RowID
    ) -> BridgeOperation {
        BridgeOperation(
            description: "ovs-vsctl del-port \(word(bridgeName)) \(word(name))",
            operations: [
                .mutate(
                    table: "Bridge", where: [.row(bridge)],
                    mutations: [Mutation("ports", "delete", .one(.row(port)))]),
                reconfigure(root),
            ])
    }

    private mutating func planTunnel(
        _ wanted: SwitchBridge, _ vtep: IPAddress?, _ bridge: (id: RowID, row: Row), _ root: RowID, _ replica: Replica
    ) {
        let name = wanted.tunnelPort
        guard let vtep else { return problems.append("no VTEP address yet: there is no tunnel port without it") }
        guard let port = replica.first("Port", named: name) else {
            if replica.first("Interface", named: name) != nil {
                problems.append("\(name) is an interface of another port, and cannot be the tunnel port")
            } else {
                operations.append(Self.addTunnel(wanted, vtep, bridge.id, root))
            }
            return
        }
        guard bridge.row["ports"]?.rows.contains(port.id) == true else {
            return problems.append("port \(name) is in another bridge: choose another tunnelPort")
        }
        guard let id = port.row["interfaces"]?.rows.first, port.row["interfaces"]?.rows.count == 1,
            let interface = replica["Interface", id]
        else { return problems.append("port \(name) is a bond, not a tunnel") }
        let type = interface["type"]?.string ?? ""
        guard type == "vxlan" else {
            return problems.append("port \(name) is of type \(type.isEmpty ? "system" : type), not vxlan")
        }
        let options = Self.options(wanted, vtep)
        let has = Self.normal(interface["options"]?.pairs ?? [:])
        let wrong = options.filter { has[$0.key] != $0.value }
        if !wrong.isEmpty {
            let command = "ovs-vsctl set Interface \(Self.word(name)) \(Self.text(wrong))"
            guard Self.isOurs(port.row) else {
                return problems.append("port \(name) is not evpnd's and has other options: \(command)")
            }
            // What somebody added that is not ours to say (a TTL, a checksum) stays.
            let kept = (interface["options"]?.pairs ?? [:]).filter { !["in_key", "out_key"].contains($0.key) }
            operations.append(
                BridgeOperation(
                    description: command,
                    operations: [
                        Self.unchanged("Interface", id, interface, ["options"]),
                        .update(
                            table: "Interface", where: [.row(id)],
                            row: ["options": Datum(kept.merging(options) { $1 })]),
                        Self.reconfigure(root),
                    ]))
        }
        let request = interface["ofport_request"]?.integer
        if request != Int(wanted.tunnelNumber), Self.isOurs(port.row) {
            operations.append(
                BridgeOperation(
                    description: "ovs-vsctl set Interface \(Self.word(name)) ofport_request=\(wanted.tunnelNumber)",
                    operations: [
                        Self.unchanged("Interface", id, interface, ["ofport_request"]),
                        .update(
                            table: "Interface", where: [.row(id)],
                            row: ["ofport_request": .one(.integer(Int(wanted.tunnelNumber)))]),
                        Self.reconfigure(root),
                    ]))
        }
        tunnel = ports[name]?.number
        if let error = ports[name]?.error { problems.append("port \(name): \(error)") }
        if let number = tunnel, number != wanted.tunnelNumber, operations.isEmpty {
            let taken = ports.filter { $0.value.number == wanted.tunnelNumber }.keys.min()
            problems.append(
                "port \(name) has the OpenFlow number \(number), not \(wanted.tunnelNumber)"
                    + (taken.map { ", which is that of \($0)" } ?? ""))
        }
    }

    private static func addTunnel(
        _ wanted: SwitchBridge, _ vtep: IPAddress, _ bridge: RowID, _ root: RowID
    ) -> BridgeOperation {
        let name = wanted.tunnelPort
        let options = options(wanted, vtep)
        return BridgeOperation(
            description: "ovs-vsctl add-port \(word(wanted.name)) \(word(name)) "
                + "-- set Port \(word(name)) external_ids:\(mark.0)=\(mark.1) "
                + "-- set Interface \(word(name)) type=vxlan \(text(options)) ofport_request=\(wanted.tunnelNumber)",
            operations: [
                .wait(table: "Port", where: [Condition("name", .one(.string(name)))], columns: ["name"], rows: []),
                .wait(
                    table: "Bridge", where: [.row(bridge)], columns: ["name"],
                    rows: [["name": .one(.string(wanted.name))]]),
                .insert(
                    table: "Interface",
                    row: [
                        "name": .one(.string(name)), "type": "vxlan", "options": Datum(options),
                        "ofport_request": .one(.integer(Int(wanted.tunnelNumber))),
                    ], name: "interface"),
                .insert(
                    table: "Port",
                    row: [
                        "name": .one(.string(name)), "interfaces": .one(.named("interface")), "external_ids": ourMark,
                    ], name: "port"),
                .mutate(
                    table: "Bridge", where: [.row(bridge)],
                    mutations: [Mutation("ports", "insert", .one(.named("port")))]),
                reconfigure(root), .comment("evpnd: tunnel port \(name)"),
            ])
    }

    // MARK: Cleanup

    /// Removes what carries our mark; a bridge of ours with ports of others in it stays, which a line that begins with `#` tells.
    static func cleanup(_ wanted: SwitchBridge, _ replica: Replica) -> [BridgeOperation] {
        guard let root = replica.rows("Open_vSwitch").min(by: { $0.key < $1.key })?.key,
            let bridge = replica.first("Bridge", named: wanted.name)
        else { return [] }
        var others = Set(bridge.row["ports"]?.rows ?? []).subtracting(
            replica.first("Port", named: wanted.name).map { [$0.id] } ?? [])
        var operations: [BridgeOperation] = []
        for id in others.sorted() {
            guard let port = replica["Port", id], isOurs(port) else { continue }
            others.remove(id)
            operations.append(deletePort(id, port["name"]?.string ?? "", bridge.id, wanted.name, root))
        }
        guard isOurs(bridge.row) else { return operations }
        let names = others.compactMap { replica["Port", $0]?["name"]?.string }.sorted()
        if names.isEmpty {
            operations.append(
                BridgeOperation(
                    description: "ovs-vsctl del-br \(word(wanted.name))",
                    operations: [
                        .mutate(
                            table: "Open_vSwitch", where: [.row(root)],
                            mutations: [Mutation("bridges", "delete", .one(.row(bridge.id)))]),
                        reconfigure(root),
                    ]))
        } else {
            operations.append(
                BridgeOperation(
                    description: "# bridge \(wanted.name) stays, others' ports are in it: "
                        + names.joined(separator: " "), operations: []))
        }
        return operations
    }
}
