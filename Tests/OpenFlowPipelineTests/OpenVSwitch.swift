// Open vSwitch itself, with its datapath for tests: needs no privileges and touches nothing outside of a folder of its own.

import Glibc
import OpenFlow
import OpenFlowPipeline

final class OpenVSwitch {
    static let isInstalled = access("/usr/sbin/ovs-vswitchd", X_OK) == 0

    struct Fault: Error, CustomStringConvertible { var description: String }

    let folder: String

    /// A bridge with the ports 1 to 9, the check port and the tunnel port.
    init() throws {
        var template = Array("/tmp/evpnd-ovs-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Fault(description: "mkdtemp: errno \(errno)") }
        folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let ports = (1...9).map { "-- add-port sw p\($0) -- set interface p\($0) type=dummy ofport_request=\($0)" }
        let text = try run(
            """
            ovsdb-tool create $D/conf.db /usr/share/openvswitch/vswitch.ovsschema &&
            ovsdb-server $D/conf.db --remote=punix:$D/db.sock --pidfile=$D/server.pid --unixctl=$D/server.ctl \
            --log-file=$D/server.log --detach --no-chdir -vconsole:off &&
            ovs-vsctl --no-wait init &&
            ovs-vswitchd unix:$D/db.sock --enable-dummy=override --disable-system --pidfile=$D/vswitchd.pid \
            --unixctl=$D/vswitchd.ctl --log-file=$D/vswitchd.log --detach --no-chdir -vconsole:off &&
            ovs-vsctl --timeout=20 add-br sw -- set bridge sw datapath_type=dummy fail-mode=secure \
            protocols=OpenFlow13,OpenFlow15 \
            -- add-port sw vx -- set interface vx type=vxlan options:key=flow options:remote_ip=flow \
            ofport_request=65278 \
            -- add-port sw check -- set interface check type=dummy ofport_request=65277 \(ports.joined(separator: " ")) &&
            echo started
            """)
        guard text.hasSuffix("started\n") else { throw Fault(description: text) }
    }
    deinit {
        _ = try? run("for f in $D/*.pid; do kill $(cat $f); done; rm -rf $D")
    }

    /// Output and errors of a shell command; `$D` is the folder.
    func run(_ command: String) throws -> String {
        let prefix = "export D=\(folder) OVS_RUNDIR=\(folder) OVS_LOGDIR=\(folder) OVS_DBDIR=\(folder); "
        guard let pipe = popen("{ " + prefix + command + "\n} 2>&1", "r") else {
            throw Fault(description: "popen: errno \(errno)")
        }
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = fread(&buffer, 1, buffer.count, pipe)
            guard count > 0 else { break }
            text += buffer[..<count]
        }
        pclose(pipe)
        return String(decoding: text, as: UTF8.self)
    }

    /// Replaces everything in the bridge; returns what Open vSwitch had against it.
    func replace(_ tables: FlowTables) throws -> String {
        try write("groups", tables.allGroups.map { "\($0)" })
        try write("flows", tables.allFlows.map { "\($0)" })
        return try run(
            """
            ovs-ofctl -O OpenFlow15 del-flows unix:$D/sw.mgmt; ovs-ofctl -O OpenFlow15 del-groups unix:$D/sw.mgmt
            ovs-ofctl -O OpenFlow15 add-groups unix:$D/sw.mgmt $D/groups &&
            ovs-ofctl -O OpenFlow15 --bundle replace-flows unix:$D/sw.mgmt $D/flows
            """)
    }
    private func write(_ name: String, _ lines: [String]) throws {
        guard let file = fopen("\(folder)/\(name)", "w") else { throw Fault(description: "fopen: errno \(errno)") }
        fputs(lines.map { $0 + "\n" }.joined(), file)
        fclose(file)
    }
    var flowCount: Int {
        get throws {
            try run("ovs-ofctl -O OpenFlow15 dump-flows unix:$D/sw.mgmt").split(separator: "\n")
                .count { $0.contains("actions=") }
        }
    }

    func trace(_ packet: String, connections: [String] = []) throws -> Trace {
        let next = connections.map { " --ct-next '\($0)'" }.joined()
        return Trace(text: try run("ovs-appctl -t $D/vswitchd.ctl ofproto/trace sw '\(packet)'\(next)"))
    }
}

/// What `ofproto/trace` says.
struct Trace: CustomStringConvertible {
    var text: String
    var description: String { text }

    private var lines: [String] { text.split(separator: "\n").map { String($0.drop { $0 == " " }) } }
    /// Ports that the packet left by: `65278 10@192.0.2.2` for tunnels, and those of a frame with a tag with it.
    var outputs: [String] {
        var found: [String] = []
        var vtep = ""
        var vni = ""
        var tag = ""
        let lines = self.lines
        for (index, line) in lines.enumerated() {
            if line.hasPrefix("set_field:"), line.hasSuffix("->tun_id") { vni = value(line) }
            if line.hasPrefix("set_field:"), line.hasSuffix("->tun_dst") || line.hasSuffix("->tun_ipv6_dst") {
                vtep = value(line)
            }
            if line.hasPrefix("set_field:"), line.hasSuffix("->vlan_vid") {
                tag = " vlan \((Int(value(line)) ?? 0) & 0xfff)"
            }
            if line == "pop_vlan" { tag = "" }
            let next = index + 1 < lines.count ? lines[index + 1] : ""
            guard !next.hasPrefix(">> skipping output to input port") else { continue }
            if line.hasPrefix("output:") {
                let port = String(line.dropFirst(7))
                found.append(port == "65278" ? "\(vni)@\(vtep)" : port + tag)
            } else if line == "IN_PORT" || line.hasPrefix("CONTROLLER") {
                found.append(line)
            }
        }
        return found
    }
    private func value(_ line: String) -> String { String(line.dropFirst(10).prefix { $0 != "-" }) }
    /// The packet's headers at the end.
    var final: String { lines.last { $0.hasPrefix("Final flow:") } ?? "" }
}
