// A bridge of Open vSwitch itself for the flows of the pipeline, and what it would do with a packet.

import OpenFlow
import OpenFlowPipeline
import TestSwitch

extension OpenVSwitch {
    /// A bridge with the ports 1 to 9, the check port and the tunnel port.
    static func forFlows() throws -> OpenVSwitch {
        try OpenVSwitch(
            bridge: "sw", ports: 1...9,
            more: "-- add-port sw vx -- set interface vx type=vxlan options:key=flow options:remote_ip=flow "
                + "ofport_request=65278 -- add-port sw check -- set interface check type=dummy ofport_request=65277")
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
