// Open vSwitch takes the flows, and its own trace of packets says that they do what they are for.

import EVPN
import NetTypes
import OpenFlow
import OpenFlowPipeline
import TestSwitch
import Testing

let gatewayMAC = "02:00:00:00:00:fe"

/// Two subnets with gateways, a flood-only domain, a VRF with routed clients.
func fullLab(compatible: Bool = false, vteps: [String] = ["192.0.2.2", "192.0.2.3"], groups: Bool = false) -> Lab {
    var lab = Lab(compatible: compatible)
    lab.bridge.learningSeconds = 300
    lab.bridge.anycastCheck = AnycastCheckPort(mac: mac("12:34:56:78:90:aa"))
    lab.vrf("v", 20)
    lab.vrf("w", nil)
    lab.evi(10, gateways: ["10.0.10.1/24", "2001:db8:10::1/64"], mac: gatewayMAC, vrf: "v")
    lab.evi(11, gateways: ["10.0.11.1/24"], mac: gatewayMAC, vrf: "v")
    lab.evi(12)
    lab.host(1, 10, "02:00:00:00:10:01", "10.0.10.11", "2001:db8:10::11")
    lab.host(2, tag: 7, 10, "02:00:00:00:10:02", "10.0.10.12")
    lab.host(2, tag: 8, 11, "02:00:00:00:11:02", "10.0.11.12")
    lab.host(2, 12, "02:00:00:00:12:02")
    lab.host(6, 12, nil)
    lab.router(
        3, "v", "02:00:00:00:20:03", ["10.1.0.5/32", "2001:db8:1::5/128"], anycast: [GoldenTests.anycast, anycast6])
    lab.router(4, tag: 9, "v", "02:00:00:00:20:04", ["10.1.0.6/32", "10.2.0.0/16", "2001:db8:2::/48"])
    lab.router(5, "w", "02:00:00:00:20:05", ["10.3.0.0/16"])
    lab.enabled = [GoldenTests.anycast, anycast6]
    lab.configure()
    lab.tables.groups(groups)
    lab.ports(1, 2, 3, 4, 5, 6)
    let (a, b) = (vteps[0], vteps[1])
    lab.rows(
        macRow(10, "02:00:00:00:10:03", a), floodRow(10, a), floodRow(10, b, vni: 1010),
        neighborRow(10, "10.0.10.13", "02:00:00:00:10:03"), neighborRow(10, "2001:db8:10::13", "02:00:00:00:10:03"),
        macRow(12, "02:00:00:00:12:03", b, vni: 1012), floodRow(12, b),
        prefixRow("v", "0.0.0.0/0", tunnel(a, 20, "02:00:00:00:99:02")),
        prefixRow("v", "::/0", tunnel(a, 20, "02:00:00:00:99:02")),
        prefixRow("v", "10.8.0.0/16", tunnel(a, 20, "02:00:00:00:99:02"), tunnel(b, 30, "02:00:00:00:99:03")),
        prefixRow("v", "2001:db8:8::/48", tunnel(a, 20, "02:00:00:00:99:02"), tunnel(b, 30, "02:00:00:00:99:03")),
        prefixRow("v", "10.9.0.9/32", tunnel(b, 20, "02:00:00:00:99:03")),
        prefixRow("w", "10.0.0.0/8", .table(vrf: "v")),
        prefixRow("v", "10.7.0.0/16", .host(ip("10.0.10.13"), on: vni(10))))
    return lab
}
let anycast6 = AnycastAddress(
    address: ip("2001:db8:9::9"), target: ip("2001:db8:1::5"), check: ip("2001:db8:c::1"),
    internalTarget: ip("fd00::2"), internalChecker: ip("fd00::1"), zone: 5)

extension FlowTables {
    mutating func groups(_ areThere: Bool) { _ = handle(.groups(areThere)) }
}

@Suite(.serialized, .enabled(if: OpenVSwitch.isInstalled, "openvswitch-switch is not installed"))
struct SwitchTests {
    @Test("every flow is taken", arguments: [false, true]) func accepted(compatible: Bool) throws {
        let bridge = try OpenVSwitch.forFlows()
        for vteps in [["192.0.2.2", "192.0.2.3"], ["2001:db8::2", "2001:db8::3"]] {
            for groups in [false, true] {
                let lab = fullLab(compatible: compatible, vteps: vteps, groups: groups)
                let complaint = try bridge.replace(lab.tables)
                #expect(complaint == "")
                #expect(try bridge.flows().count == lab.tables.allFlows.count)
            }
        }
    }

    @Test("layer 2") func bridged() throws {
        let bridge = try OpenVSwitch.forFlows()
        #expect(try bridge.replace(fullLab().tables) == "")
        let one = "in_port=1,dl_src=02:00:00:00:10:01"
        let wire = "in_port=65278,tun_id=10,tun_src=192.0.2.2,tun_dst=192.0.2.1,dl_src=02:00:00:00:10:03"
        // Known addresses, between a flat and a tagged port and the tunnel.
        try expect(bridge, one + ",dl_dst=02:00:00:00:10:02", ["2 vlan 7"])
        try expect(bridge, "in_port=2,dl_vlan=7,dl_src=02:00:00:00:10:02,dl_dst=02:00:00:00:10:01", ["1"])
        try expect(bridge, one + ",dl_dst=02:00:00:00:10:03", ["0xa@192.0.2.2"])
        try expect(bridge, wire + ",dl_dst=02:00:00:00:10:01", ["1"])
        try expect(bridge, wire + ",dl_dst=02:00:00:00:10:02", ["2 vlan 7"])
        // Their VNI, where it is another one.
        try expect(
            bridge, "in_port=2,vlan_tci=0,dl_src=02:00:00:00:12:02,dl_dst=02:00:00:00:12:03", ["0x3f4@192.0.2.3"])
        // What came from a tunnel never goes back to one.
        try expect(bridge, wire + ",dl_dst=02:00:00:00:10:03", ["1", "2 vlan 7"])
        try expect(bridge, wire + ",dl_dst=ff:ff:ff:ff:ff:ff", ["1", "2 vlan 7"])
        try expect(
            bridge, one + ",dl_dst=ff:ff:ff:ff:ff:ff", ["0xa@192.0.2.2", "0x3f2@192.0.2.3", "2 vlan 7"])
        try expect(
            bridge, "in_port=2,dl_vlan=7,dl_src=02:00:00:00:10:02,dl_dst=01:00:5e:00:00:05",
            ["1", "0xa@192.0.2.2", "0x3f2@192.0.2.3"])
        // A tag, a port and a VNI that nobody has.
        try expect(bridge, "in_port=2,dl_vlan=9,dl_dst=02:00:00:00:10:01", [])
        try expect(bridge, "in_port=9,dl_dst=02:00:00:00:10:01", [])
        try expect(bridge, "in_port=65278,tun_id=99,dl_dst=02:00:00:00:10:01", [])
    }

    @Test("questions with an answer") func answers() throws {
        let bridge = try OpenVSwitch.forFlows()
        #expect(try bridge.replace(fullLab().tables) == "")
        let everywhere = ["0xa@192.0.2.2", "0x3f2@192.0.2.3", "2 vlan 7"]
        func arp(_ sender: String, _ target: String, to: String = "ff:ff:ff:ff:ff:ff") -> String {
            "dl_src=02:00:00:00:10:01,dl_dst=\(to),arp,arp_op=1,arp_spa=\(sender),arp_tpa=\(target),"
                + "arp_sha=02:00:00:00:10:01,arp_tha=00:00:00:00:00:00"
        }
        // For a host behind another VTEP, and for one here.
        let remote = try expect(bridge, "in_port=1," + arp("10.0.10.11", "10.0.10.13"), ["1"])
        for part in [
            "dl_src=02:00:00:00:10:03", "dl_dst=02:00:00:00:10:01", "arp_spa=10.0.10.13", "arp_tpa=10.0.10.11",
            "arp_op=2", "arp_sha=02:00:00:00:10:03", "arp_tha=02:00:00:00:10:01",
        ] { #expect(remote.final.contains(part), "\(part) in \(remote)") }
        try expect(bridge, "in_port=1," + arp("10.0.10.11", "10.0.10.12"), ["1"])
        // The answer has the tag of the port.
        try expect(
            bridge,
            "in_port=2,dl_vlan=7,dl_src=02:00:00:00:10:02,dl_dst=ff:ff:ff:ff:ff:ff,dl_type=0x0806,arp_op=1,"
                + "arp_spa=10.0.10.12,arp_tpa=10.0.10.13,arp_sha=02:00:00:00:10:02", ["2 vlan 7"])
        // Unknown ones, probes and announcements are for all; what is sent to one host is for that.
        try expect(bridge, "in_port=1," + arp("10.0.10.11", "10.0.10.99"), everywhere)
        try expect(bridge, "in_port=1," + arp("0.0.0.0", "10.0.10.13"), everywhere)
        try expect(bridge, "in_port=1," + arp("10.0.10.13", "10.0.10.13"), everywhere)
        try expect(bridge, "in_port=1," + arp("10.0.10.11", "10.0.10.12", to: "02:00:00:00:10:02"), ["2 vlan 7"])
        // IPv6.
        func solicitation(_ source: String, _ target: String, to: String = "33:33:ff:00:00:13") -> String {
            "in_port=1,dl_src=02:00:00:00:10:01,dl_dst=\(to),icmp6,icmpv6_type=135,icmpv6_code=0,nw_ttl=255,"
                + "ipv6_src=\(source),ipv6_dst=ff02::1:ff00:13,nd_target=\(target),nd_sll=02:00:00:00:10:01"
        }
        let neighbor = try expect(bridge, solicitation("2001:db8:10::11", "2001:db8:10::13"), ["1"])
        for part in [
            "icmp_type=136", "nd_tll=02:00:00:00:10:03", "ipv6_src=2001:db8:10::13", "ipv6_dst=2001:db8:10::11",
            "dl_dst=02:00:00:00:10:01",
        ] { #expect(neighbor.final.contains(part), "\(part) in \(neighbor)") }
        #expect(neighbor.text.contains("nd_reserved=0x60000000,nd_options_type=2"))
        try expect(bridge, solicitation("::", "2001:db8:10::13"), everywhere)
        try expect(bridge, solicitation("2001:db8:10::11", "2001:db8:10::99"), everywhere)
    }

    @Test("gateways of broadcast domains") func gateways() throws {
        let bridge = try OpenVSwitch.forFlows()
        #expect(try bridge.replace(fullLab().tables) == "")
        let toGateway = "dl_src=02:00:00:00:10:01,dl_dst=\(gatewayMAC)"
        let arp = "arp,arp_op=1,arp_tpa=10.0.10.1"
        // ARP for the gateway, from here and from elsewhere, to all and to it alone.
        for target in ["ff:ff:ff:ff:ff:ff", gatewayMAC] {
            let answer = try expect(
                bridge,
                "in_port=1,dl_src=02:00:00:00:10:01,dl_dst=\(target),\(arp),arp_spa=10.0.10.11,"
                    + "arp_sha=02:00:00:00:10:01", ["1"])
            #expect(answer.final.contains("arp_sha=\(gatewayMAC)"))
        }
        try expect(
            bridge,
            "in_port=65278,tun_id=10,dl_src=02:00:00:00:10:03,dl_dst=ff:ff:ff:ff:ff:ff,\(arp),arp_spa=10.0.10.13,"
                + "arp_sha=02:00:00:00:10:03", ["0xa@192.0.2.2"])
        let advertisement = try expect(
            bridge,
            "in_port=1,\(toGateway),icmp6,icmpv6_type=135,icmpv6_code=0,nw_ttl=255,ipv6_src=2001:db8:10::11,"
                + "ipv6_dst=2001:db8:10::1,nd_target=2001:db8:10::1,nd_sll=02:00:00:00:10:01", ["1"])
        #expect(advertisement.text.contains("nd_reserved=0xe0000000"))
        #expect(advertisement.final.contains("nd_tll=\(gatewayMAC)"))
        // It answers ping, in the subnet and from another one.
        let near = try expect(
            bridge, "in_port=1,\(toGateway),icmp,icmp_type=8,nw_ttl=9,nw_src=10.0.10.11,nw_dst=10.0.10.1", ["1"])
        for part in ["icmp_type=0", "nw_src=10.0.10.1,nw_dst=10.0.10.11", "nw_ttl=64", "dl_src=\(gatewayMAC)"] {
            #expect(near.final.contains(part), "\(part) in \(near)")
        }
        let far = try expect(
            bridge, "in_port=1,\(toGateway),icmp,icmp_type=8,nw_ttl=9,nw_src=10.0.10.11,nw_dst=10.0.11.1", ["1"])
        #expect(far.final.contains("icmp_type=0"))
        let sixth = try expect(
            bridge,
            "in_port=1,\(toGateway),icmp6,icmpv6_type=128,icmpv6_code=0,nw_ttl=9,ipv6_src=2001:db8:10::11,"
                + "ipv6_dst=2001:db8:10::1", ["1"])
        #expect(sixth.final.contains("icmp_type=129"))
        // Nothing else is for the gateway itself.
        try expect(bridge, "in_port=1,\(toGateway),tcp,nw_ttl=9,nw_dst=10.0.10.1,tp_dst=22", [])
        // Between subnets, also behind one port; the TTL counts down.
        let other = try expect(
            bridge, "in_port=1,\(toGateway),ip,nw_ttl=9,nw_src=10.0.10.11,nw_dst=10.0.11.12", ["2 vlan 8"])
        for part in ["nw_ttl=8", "dl_src=\(gatewayMAC)", "dl_dst=02:00:00:00:11:02"] {
            #expect(other.final.contains(part), "\(part) in \(other)")
        }
        try expect(
            bridge,
            "in_port=2,dl_vlan=8,dl_src=02:00:00:00:11:02,dl_dst=\(gatewayMAC),dl_type=0x800,nw_ttl=9,"
                + "nw_src=10.0.11.12,nw_dst=10.0.10.12", ["2 vlan 7"])
        // A host behind another VTEP, over its own domain; a host that nobody knows.
        try expect(
            bridge, "in_port=3,dl_dst=12:34:56:78:90:ab,ip,nw_ttl=9,nw_src=10.1.0.5,nw_dst=10.0.10.13",
            ["0xa@192.0.2.2"])
        try expect(bridge, "in_port=1,\(toGateway),ip,nw_ttl=9,nw_dst=10.0.11.77", [])
        // A prefix behind a host.
        let behind = try expect(
            bridge, "in_port=3,dl_dst=12:34:56:78:90:ab,ip,nw_ttl=9,nw_src=10.1.0.5,nw_dst=10.7.1.1", ["0xa@192.0.2.2"])
        #expect(behind.final.contains("dl_dst=02:00:00:00:10:03"))
    }

    @Test("layer 3", arguments: [false, true]) func routed(compatible: Bool) throws {
        let bridge = try OpenVSwitch.forFlows()
        #expect(try bridge.replace(fullLab(compatible: compatible).tables) == "")
        let client = "in_port=3,dl_src=02:00:00:00:20:03,dl_dst=12:34:56:78:90:ab"
        let source = compatible ? "dl_src=02:00:00:00:20:03" : "dl_src=12:34:56:78:90:ab"
        // To a client here, to a tagged one, to what is behind it.
        let local = try expect(bridge, client + ",ip,nw_ttl=9,nw_src=10.1.0.5,nw_dst=10.1.0.6", ["4 vlan 9"])
        for part in ["nw_ttl=8", source, "dl_dst=02:00:00:00:20:04"] {
            #expect(local.final.contains(part), "\(part) in \(local)")
        }
        try expect(bridge, client + ",ip,nw_ttl=9,nw_dst=10.2.3.4", ["4 vlan 9"])
        if !compatible { try expect(bridge, client + ",ipv6,nw_ttl=9,ipv6_dst=2001:db8:2::4", ["4 vlan 9"]) }
        try expect(
            bridge,
            "in_port=4,dl_vlan=9,dl_dst=12:34:56:78:90:ab,dl_type=0x800,nw_ttl=9,nw_src=10.1.0.6,nw_dst=10.1.0.5", ["3"]
        )
        // To routers elsewhere, by the longest prefix.
        let remote = try expect(bridge, client + ",ip,nw_ttl=9,nw_dst=203.0.113.1", ["0x14@192.0.2.2"])
        for part in ["nw_ttl=8", source, "dl_dst=02:00:00:00:99:02"] {
            #expect(remote.final.contains(part), "\(part) in \(remote)")
        }
        try expect(bridge, client + ",ipv6,nw_ttl=9,ipv6_dst=2001:db8:ffff::1", ["0x14@192.0.2.2"])
        // From other VTEPs.
        let wire = "in_port=65278,tun_id=20,tun_src=192.0.2.2,tun_dst=192.0.2.1,dl_dst=12:34:56:78:90:ab"
        try expect(bridge, wire + ",ip,nw_ttl=9,nw_dst=10.1.0.5", ["3"])
        try expect(bridge, wire + ",ipv6,nw_ttl=9,ipv6_dst=2001:db8:1::5", ["3"])
        // A packet whose time is over.
        try expect(bridge, client + ",ip,nw_ttl=1,nw_dst=203.0.113.1", [])
        // Through another VRF.
        try expect(bridge, "in_port=5,dl_dst=12:34:56:78:90:ab,ip,nw_ttl=9,nw_src=10.3.0.1,nw_dst=10.1.0.5", ["3"])
        // What is not for the router: where nothing is asked but evpn-connector's flows, it is taken all the same.
        for other in ["02:00:00:00:20:88", "ff:ff:ff:ff:ff:ff"] {
            let packet = "dl_src=02:00:00:00:20:03,dl_dst=\(other),ip,nw_ttl=9,nw_dst="
            try expect(bridge, "in_port=3,\(packet)203.0.113.1", compatible ? ["0x14@192.0.2.2"] : [])
            try expect(bridge, "in_port=4,dl_vlan=9,\(packet)10.2.3.255", [])
        }
        // What is for a link goes no further.
        if !compatible {
            for destination in ["ip,nw_dst=224.0.0.5", "ip,nw_dst=255.255.255.255", "ip,nw_dst=169.254.1.1"] {
                try expect(bridge, client + ",\(destination),nw_ttl=9", [])
            }
            // Where one of these is a client has declared.
            var lab = fullLab()
            lab.router(7, "v", "02:00:00:00:20:07", ["169.254.169.254/32"])
            lab.configure()
            lab.ports(1, 2, 3, 4, 5, 6, 7)
            lab.rows(prefixRow("v", "169.254.128.0/17", tunnel("192.0.2.2", 20, "02:00:00:00:99:02")))
            let near = try OpenVSwitch.forFlows()
            #expect(try near.replace(lab.tables) == "")
            try expect(near, client + ",ip,nw_dst=169.254.169.254,nw_ttl=9", ["7"])
            try expect(near, client + ",ip,nw_dst=169.254.169.253,nw_ttl=9", ["0x14@192.0.2.2"])
            try expect(near, client + ",ip,nw_dst=169.254.1.1,nw_ttl=9", [])
            for destination in ["ff02::2", "fe80::7"] {
                try expect(bridge, client + ",ipv6,ipv6_dst=\(destination),nw_ttl=9", [])
            }
        }
        // ARP of a routed client.
        let arp = "in_port=4,dl_vlan=9,dl_src=02:00:00:00:20:04,dl_dst=ff:ff:ff:ff:ff:ff,dl_type=0x806,arp_op=1,"
        let reply = try expect(
            bridge, arp + "arp_spa=10.1.0.6,arp_tpa=10.1.0.1,arp_sha=02:00:00:00:20:04", ["IN_PORT"])
        for part in ["dl_vlan=9", "arp_op=2", "arp_spa=10.1.0.1", "arp_sha=12:34:56:78:90:ab"] {
            #expect(reply.final.contains(part), "\(part) in \(reply)")
        }
        guard !compatible else { return }
        try expect(bridge, arp + "arp_spa=0.0.0.0,arp_tpa=10.1.0.1", [])
        try expect(bridge, arp + "arp_spa=10.1.0.6,arp_tpa=10.1.0.6", [])
        let solicitation = "in_port=3,dl_src=02:00:00:00:20:03,icmp6,icmpv6_type=135,icmpv6_code=0,nw_ttl=255,"
        let neighbor = try expect(
            bridge,
            solicitation + "ipv6_src=2001:db8:1::5,ipv6_dst=ff02::1:ff00:1,nd_target=fe80::1,nd_sll=02:00:00:00:20:03",
            ["IN_PORT"])
        #expect(neighbor.final.contains("nd_tll=12:34:56:78:90:ab"))
        try expect(bridge, solicitation + "ipv6_src=::,ipv6_dst=ff02::1:ff00:5,nd_target=2001:db8:1::5", [])
        try expect(
            bridge, solicitation + "ipv6_src=fe80::3,ipv6_dst=ff02::1:ff00:5,nd_target=2001:db8:1::5", [])
    }

    @Test("equal paths", arguments: [false, true]) func equalPaths(groups: Bool) throws {
        let bridge = try OpenVSwitch.forFlows()
        let lab = fullLab(groups: groups)
        #expect(try bridge.replace(lab.tables) == "")
        #expect(lab.tables.allGroups.isEmpty == !groups)
        for destination in ["ipv6_dst=2001:db8:8::1", "nw_dst=10.8.1.1"] {
            var seen: [String: Int] = [:]
            for port in 1...24 {
                let client = "in_port=3,dl_src=02:00:00:00:20:03,dl_dst=12:34:56:78:90:ab"
                let kind = destination.hasPrefix("ipv6") ? "tcp6" : "tcp"
                let trace = try bridge.trace(
                    "\(client),\(kind),nw_ttl=9,\(destination),tp_src=\(port * 777),tp_dst=80")
                #expect(trace.outputs.count == 1, "\(trace)")
                for output in trace.outputs { seen[output, default: 0] += 1 }
            }
            #expect(Set(seen.keys) == ["0x14@192.0.2.2", "0x1e@192.0.2.3"])
            #expect(seen.values.allSatisfy { $0 >= 4 }, "\(seen)")
        }
    }

    @Test("anycast addresses") func anycast() throws {
        let bridge = try OpenVSwitch.forFlows()
        var lab = fullLab()
        lab.rows(prefixRow("v", "10.9.0.9/32"))
        #expect(try bridge.replace(lab.tables) == "")
        let wire = "in_port=65278,tun_id=20,tcp,nw_ttl=9,nw_src=198.51.100.1,nw_dst=10.9.0.9,tp_dst=80"
        let forward = try expect(bridge, wire, ["3"], connections: ["trk,new"])
        #expect(forward.text.contains("ct(commit,zone=4,nat(dst=10.1.0.5))"))
        let back = "in_port=3,dl_dst=12:34:56:78:90:ab,tcp,nw_ttl=9,nw_src=10.1.0.5,nw_dst=198.51.100.1,tp_src=80"
        let reverse = try expect(bridge, back, ["0x14@192.0.2.2"], connections: ["trk,est,rpl"])
        #expect(reverse.text.contains("ct(commit,zone=4,nat)"))
        // A connection that the client makes itself.
        try expect(bridge, back, ["0x14@192.0.2.2"], connections: ["trk,new"])
        // IPv6.
        try expect(
            bridge, "in_port=65278,tun_id=20,tcp6,nw_ttl=9,ipv6_src=2001:db8:f::1,ipv6_dst=2001:db8:9::9,tp_dst=80",
            ["3"], connections: ["trk,new"])
        // Probes, which no connection is tracked of.
        let probe = try expect(bridge, "in_port=65277,icmp,nw_ttl=9,nw_src=172.16.0.1,nw_dst=172.16.0.2", ["3"])
        for part in ["nw_src=10.0.0.100,nw_dst=10.1.0.5", "dl_dst=02:00:00:00:20:03"] {
            #expect(probe.final.contains(part), "\(part) in \(probe)")
        }
        let answer = try expect(
            bridge, "in_port=3,icmp,nw_ttl=9,nw_src=10.1.0.5,nw_dst=10.0.0.100", ["65277"], connections: ["trk,new"])
        #expect(answer.final.contains("nw_src=172.16.0.2,nw_dst=172.16.0.1"))
        let resolution = try expect(
            bridge, "in_port=65277,arp,arp_op=1,arp_spa=172.16.0.1,arp_tpa=172.16.0.2,arp_sha=12:34:56:78:90:aa",
            ["IN_PORT"])
        #expect(resolution.final.contains("arp_sha=12:34:56:78:90:ab"))
        // Another VTEP has it too: one of both, each connection the same.
        lab.rows(prefixRow("v", "10.9.0.9/32", tunnel("192.0.2.3", 20, "02:00:00:00:99:03")))
        #expect(try bridge.replace(lab.tables) == "")
        var seen: Set<String> = []
        for port in 1...24 {
            seen.formUnion(
                try bridge.trace(
                    "in_port=4,dl_vlan=9,dl_dst=12:34:56:78:90:ab,dl_type=0x800,nw_proto=6,nw_ttl=9,nw_dst=10.9.0.9,tp_src=\(port * 777)",
                    connections: ["trk,new"]
                ).outputs)
        }
        #expect(seen == ["3", "0x14@192.0.2.3"])
        // Off: the address is unknown here, probes go on.
        lab.rows(prefixRow("v", "10.9.0.9/32"))
        lab.enabled = []
        lab.configure()
        #expect(try bridge.replace(lab.tables) == "")
        try expect(bridge, wire, ["0x14@192.0.2.2"])
        try expect(bridge, "in_port=65277,icmp,nw_ttl=9,nw_src=172.16.0.1,nw_dst=172.16.0.2", ["3"])
    }

    @Test("addresses that are learned") func learning() throws {
        let bridge = try OpenVSwitch.forFlows()
        var lab = fullLab()
        #expect(try bridge.replace(lab.tables) == "")
        let frame = "in_port=6,dl_src=02:00:00:00:12:06,dl_dst=02:00:00:00:12:02"
        try expect(bridge, frame, ["CONTROLLER:128", "2"])
        try expect(bridge, "in_port=6,dl_src=03:00:00:00:12:06,dl_dst=02:00:00:00:12:02", ["2"])
        try expect(bridge, "in_port=2,dl_src=02:00:00:00:12:02,dl_dst=02:00:00:00:12:06", ["0xc@192.0.2.3", "6"])
        let update = lab.tables.handle(
            .heard(.init(port: 6, tag: 0, vni: 12, mac: mac("02:00:00:00:12:06"))))
        #expect(update.flows.count == 2)
        #expect(try bridge.replace(lab.tables) == "")
        try expect(bridge, frame, ["2"])
        try expect(bridge, "in_port=2,dl_src=02:00:00:00:12:02,dl_dst=02:00:00:00:12:06", ["6"])
    }
}

/// Traces a packet and compares where it left, whatever the order.
@discardableResult func expect(
    _ bridge: OpenVSwitch, _ packet: String, _ outputs: [String], connections: [String] = [],
    sourceLocation: SourceLocation = #_sourceLocation
) throws -> Trace {
    let trace = try bridge.trace(packet, connections: connections)
    #expect(trace.outputs.sorted() == outputs.sorted(), "\(trace)", sourceLocation: sourceLocation)
    return trace
}
