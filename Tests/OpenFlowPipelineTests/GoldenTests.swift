// The flow sets of evpn-connector, row by row, as its own flow builder makes them.

import EVPN
import NetTypes
import OpenFlow
import OpenFlowPipeline
import Testing

@Suite struct GoldenTests {
    @Test("layer 2: a flat and a VLAN port, one remote MAC address") func bridged() {
        var lab = Lab(compatible: true)
        lab.evi(10)
        lab.host(1, 10, "02:00:00:00:00:01")
        lab.host(2, tag: 7, 10, "02:00:00:00:00:02")
        lab.configure()
        lab.ports(1, 2)
        lab.rows(macRow(10, "02:00:00:00:00:03", "192.0.2.2"), floodRow(10, "192.0.2.2"))
        expect(
            lab.flows,
            """
            t0 p0  drop
            t0 p10 in_port=1 set_field:10->reg0,set_field:1->reg1,resubmit(,1)
            t0 p10 in_port=2,dl_vlan=7 pop_vlan,set_field:10->reg0,set_field:1->reg1,resubmit(,1)
            t0 p10 tun_id=0xa,in_port=65278 set_field:10->reg0,set_field:0->reg1,resubmit(,1)
            t1 p0  drop
            t1 p10 reg0=10,dl_dst=02:00:00:00:00:01 output:1
            t1 p10 reg0=10,dl_dst=02:00:00:00:00:02 push_vlan:0x8100,set_field:4103->vlan_vid,output:2
            t1 p10 reg0=10,reg1=1,dl_dst=02:00:00:00:00:03 set_field:0xa->tun_id,set_field:192.0.2.2->tun_dst,output:65278
            t1 p9 reg0=10,reg1=0 output:1,push_vlan:0x8100,set_field:4103->vlan_vid,output:2
            t1 p9 reg0=10,reg1=1 output:1,set_field:0xa->tun_id,set_field:192.0.2.2->tun_dst,output:65278,push_vlan:0x8100,set_field:4103->vlan_vid,output:2
            t2 p0  drop
            """)
    }

    static let proxy =
        "move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],set_field:12:34:56:78:90:ab->eth_src,set_field:2->arp_op,"
        + "move:NXM_NX_ARP_SHA[]->NXM_NX_ARP_THA[],move:NXM_OF_ARP_TPA[]->NXM_NX_REG0[],"
        + "move:NXM_OF_ARP_SPA[]->NXM_OF_ARP_TPA[],move:NXM_NX_REG0[]->NXM_OF_ARP_SPA[],"
        + "set_field:12:34:56:78:90:ab->arp_sha,IN_PORT"

    @Test("layer 3: a local prefix that another VTEP has too, a default route with the announcer's VNI") func routed() {
        var lab = Lab(compatible: true)
        lab.vrf("v", 20)
        lab.router(3, "v", "02:00:00:00:01:05", ["10.1.0.5/32"])
        lab.configure()
        lab.ports(3)
        lab.rows(
            prefixRow("v", "10.1.0.5/32", tunnel("192.0.2.2", 20, "02:00:00:00:02:02")),
            prefixRow("v", "0.0.0.0/0", tunnel("192.0.2.3", 30, "02:00:00:00:02:03")))
        expect(
            lab.flows,
            """
            t0 p0  drop
            t0 p10 in_port=3 set_field:20->reg2,resubmit(,1)
            t0 p10 tun_id=0x14,in_port=65278 set_field:20->reg2,resubmit(,1)
            t0 p11 arp,in_port=3 \(Self.proxy)
            t1 p0  drop
            t1 p10 ip,reg2=20 dec_ttl,set_field:02:00:00:00:02:03->eth_dst,set_field:0x1e->tun_id,set_field:192.0.2.3->tun_dst,output:65278
            t1 p42 ip,reg2=20,nw_dst=10.1.0.5 multipath(symmetric_l3l4+udp,0,modulo_n,2,0,NXM_NX_REG3[]),resubmit(,2)
            t2 p0  drop
            t2 p42 ip,reg2=20,reg3=0,nw_dst=10.1.0.5 dec_ttl,set_field:02:00:00:00:01:05->eth_dst,output:3
            t2 p42 ip,reg2=20,reg3=1,nw_dst=10.1.0.5 dec_ttl,set_field:02:00:00:00:02:02->eth_dst,set_field:0x14->tun_id,set_field:192.0.2.2->tun_dst,output:65278
            """)
    }

    static let anycast = AnycastAddress(
        address: ip("10.9.0.9"), target: ip("10.1.0.5"), check: ip("10.0.0.100"), internalTarget: ip("172.16.0.2"),
        internalChecker: ip("172.16.0.1"), zone: 4)

    static func anycastLab(enabled: Bool) -> Lab {
        var lab = Lab(compatible: true)
        lab.bridge.anycastCheck = AnycastCheckPort(mac: mac("12:34:56:78:90:aa"))
        lab.vrf("v", 20)
        lab.router(3, "v", "02:00:00:00:01:05", ["10.1.0.5/32"], anycast: [anycast])
        if enabled { lab.enabled = [anycast] }
        lab.configure()
        lab.ports(3)
        return lab
    }
    static let withoutAnycast = """
        t0 p0  drop
        t0 p10 in_port=3 set_field:20->reg2,resubmit(,1)
        t0 p10 tun_id=0x14,in_port=65278 set_field:20->reg2,resubmit(,1)
        t0 p11 arp,in_port=3 \(proxy)
        t0 p11 arp,in_port=65277 \(proxy)
        t0 p11 ip,in_port=65277,nw_dst=172.16.0.2 set_field:10.0.0.100->ip_src,set_field:10.1.0.5->ip_dst,set_field:02:00:00:00:01:05->eth_dst,output:3
        t0 p11 ip,in_port=3,nw_dst=10.0.0.100 set_field:172.16.0.2->ip_src,set_field:172.16.0.1->ip_dst,set_field:12:34:56:78:90:aa->eth_dst,output:65277
        t1 p0  drop
        t1 p42 ip,reg2=20,nw_dst=10.1.0.5 dec_ttl,set_field:02:00:00:00:01:05->eth_dst,output:3
        t2 p0  drop
        """
    static let reverse = """
        t0 p11 ct_state=-trk,ip,in_port=3,nw_src=10.1.0.5 ct(table=0,zone=4)
        t0 p11 ct_state=+est+trk,ip,in_port=3,nw_src=10.1.0.5 ct(commit,zone=4,nat),set_field:20->reg2,resubmit(,1)
        """

    @Test("an anycast address that is off has only the flows of its checks") func anycastOff() {
        expect(Self.anycastLab(enabled: false).flows, Self.withoutAnycast)
    }

    @Test("two addresses of a client that are probed from one: who answers tells which it is") func anycastChecks() {
        var other = Self.anycast
        (other.address, other.target, other.internalTarget) = (ip("10.9.0.10"), ip("10.1.0.6"), ip("172.16.0.3"))
        var lab = Self.anycastLab(enabled: false)
        lab.routed = []
        lab.router(3, "v", "02:00:00:00:01:05", ["10.1.0.5/32"], anycast: [Self.anycast, other])
        lab.configure()
        let to = "set_field:172.16.0.1->ip_dst,set_field:12:34:56:78:90:aa->eth_dst,output:65277"
        expect(
            lab.flows.filter { $0.contains("10.0.0.100") },
            """
            t0 p11 ip,in_port=65277,nw_dst=172.16.0.2 set_field:10.0.0.100->ip_src,set_field:10.1.0.5->ip_dst,set_field:02:00:00:00:01:05->eth_dst,output:3
            t0 p11 ip,in_port=65277,nw_dst=172.16.0.3 set_field:10.0.0.100->ip_src,set_field:10.1.0.6->ip_dst,set_field:02:00:00:00:01:05->eth_dst,output:3
            t0 p11 ip,in_port=3,nw_src=10.1.0.5,nw_dst=10.0.0.100 set_field:172.16.0.2->ip_src,\(to)
            t0 p11 ip,in_port=3,nw_src=10.1.0.6,nw_dst=10.0.0.100 set_field:172.16.0.3->ip_src,\(to)
            """)
    }

    @Test("an anycast address that is on is translated both ways") func anycastOn() {
        expect(
            Self.anycastLab(enabled: true).flows,
            """
            \(Self.withoutAnycast)
            \(Self.reverse)
            t1 p42 ct_state=-trk,ip,reg2=20,nw_dst=10.9.0.9 ct(table=1,zone=4)
            t1 p42 ct_state=+trk,ip,reg2=20,nw_dst=10.9.0.9 ct(commit,zone=4,nat(dst=10.1.0.5)),dec_ttl,set_field:02:00:00:00:01:05->eth_dst,output:3
            """)
    }

    @Test("an anycast address of several VTEPs: its packets go on in table 2") func anycastShared() {
        var lab = Self.anycastLab(enabled: true)
        lab.rows(prefixRow("v", "10.9.0.9/32", tunnel("192.0.2.2", 20, "02:00:00:00:02:02")))
        expect(
            lab.flows,
            """
            \(Self.withoutAnycast)
            \(Self.reverse)
            t1 p42 ip,reg2=20,nw_dst=10.9.0.9 multipath(symmetric_l3l4+udp,0,modulo_n,2,0,NXM_NX_REG3[]),resubmit(,2)
            t2 p42 ct_state=-trk,ip,reg2=20,reg3=0,nw_dst=10.9.0.9 ct(table=2,zone=4)
            t2 p42 ct_state=+trk,ip,reg2=20,reg3=0,nw_dst=10.9.0.9 ct(commit,zone=4,nat(dst=10.1.0.5)),dec_ttl,set_field:02:00:00:00:01:05->eth_dst,output:3
            t2 p42 ip,reg2=20,reg3=1,nw_dst=10.9.0.9 dec_ttl,set_field:02:00:00:00:02:02->eth_dst,set_field:0x14->tun_id,set_field:192.0.2.2->tun_dst,output:65278
            """)
    }

    @Test("a routed client with a VLAN gets its tag pushed, not only written") func taggedRouted() {
        var lab = Lab(compatible: true)
        lab.vrf("v", 20)
        lab.router(3, tag: 9, "v", "02:00:00:00:01:05", ["10.1.0.5/32"])
        lab.configure()
        lab.ports(3)
        let tagged = lab.flows.map(decimal).filter { $0.contains("nw_dst=10.1.0.5") }
        #expect(
            tagged == [
                "t1 p42 ip,reg2=20,nw_dst=10.1.0.5 dec_ttl,set_field:02:00:00:00:01:05->eth_dst,push_vlan:0x8100,set_field:4105->vlan_vid,output:3"
            ])
    }
}

/// Compares sets of lines, whatever their order.
func expect(_ flows: [String], _ text: String, sourceLocation: SourceLocation = #_sourceLocation) {
    let wanted = text.split(separator: "\n").map(String.init).sorted()
    let found = flows.map(decimal).sorted()
    for line in found where !wanted.contains(line) {
        Issue.record("not wanted: \(line)", sourceLocation: sourceLocation)
    }
    for line in wanted where !found.contains(line) {
        Issue.record("missing: \(line)", sourceLocation: sourceLocation)
    }
    #expect(found.count == wanted.count, sourceLocation: sourceLocation)
}
/// Registers in decimal, as in the specification of evpn-connector's flows.
private func decimal(_ line: String) -> String {
    line.replacing(/(reg[0-9]=|set_field:)0x([0-9a-f]+)(?=,|$| |->reg)/) { match in
        "\(match.1)\(Int(match.2, radix: 16) ?? 0)"
    }
}
