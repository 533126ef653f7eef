// What flows look like: every line is as `ovs-ofctl --no-stats dump-flows` of Open vSwitch 3.1 prints it.

import NetTypes
import Testing

@testable import OpenFlow

@Suite struct TextTests {
    @Test func matchesReadAsInADump() {
        let match = Match(
            .udpDestination(4789), .destination(prefix("10.1.0.0/16")), .register(0, 10), .inPort(65278),
            .ethernetType(EtherType.ipv4), .ipProtocol(IPProtocol.udp), .vlan(7), .tunnelID(10),
            .connectionState(set: [.established, .tracked], unset: .new), .ethernetGroup)
        #expect(
            "\(match)" == """
                ct_state=-new+est+trk,udp,reg0=0xa,tun_id=0xa,in_port=65278,dl_vlan=7,\
                dl_dst=01:00:00:00:00:00/01:00:00:00:00:00,nw_dst=10.1.0.0/16,tp_dst=4789
                """)
        #expect("\(Match(.ethernetType(0x88cc), .untagged))" == "vlan_tci=0x0000/0x1fff,dl_type=0x88cc")
        #expect("\(Match(.inPort(.local), .tagged))" == "in_port=LOCAL,vlan_tci=0x1000/0x1000")
        #expect("\(Match.any)" == "")
        #expect("\(FlowKey(table: 2, priority: 0))" == "table=2,priority=0")
    }

    @Test func aMatchIsTheSameInAnyOrder() {
        let everything = prefix("0.0.0.0/0")
        let a = Match(.register(2, 20), .ethernetType(EtherType.ipv4), .destination(everything))
        let b = Match(.ethernetType(EtherType.ipv4), .register(2, 7), .register(2, 20))
        #expect(a == b)
        #expect(a[.register2] == .register(2, 20))
        #expect(a[.ipv4Destination] == nil)
        #expect(a.with(.register(3, 1)).fields.map(\.field) == [.ethernetType, .register2, .register3])
    }

    @Test func flowsReadAsInADump() {
        let flow = Flow(
            FlowKey(
                table: 1, priority: 10, match: Match(.register(0, 10), .ethernetDestination(mac("02:00:00:00:00:01")))),
            cookie: 0x12,
            actions: [
                .setField(.tunnelID(10)), .setField(.tunnelDestination(ip("192.0.2.2"))), .pushVLAN(EtherType.vlan),
                .setField(.vlan(7)), .output(65278), .output(.inPort), .controller(maxLength: 128),
                .resubmit(port: nil, table: 1), .resubmit(port: 3, table: nil),
                .move(from: FieldBits(.ethernetSource), to: FieldBits(.ethernetDestination)),
                .setField(.register(0, 5, mask: 15)),
                .connectionTracking(
                    ConnectionTracking(
                        commits: true, table: 1, zone: .number(7), nat: .destination(NATRange(ip("10.0.0.1"))))),
                .connectionTracking(
                    ConnectionTracking(
                        commits: true, zone: .field(bits(.register0, 0..<16)),
                        nat: .source(
                            NATRange(ip("fe80::1")...ip("fe80::9"), ports: 10...20, flags: .random)),
                        actions: [.setField(.connectionMark(1))])),
                .multipath(Multipath(links: 2, destination: FieldBits(.register3))), .decrementTTL, .popVLAN,
            ], idleTimeout: 60, flags: .reportsRemoval)
        #expect(
            "\(flow)" == """
                cookie=0x12,idle_timeout=60,send_flow_rem,table=1,priority=10,reg0=0xa,dl_dst=02:00:00:00:00:01 \
                actions=set_field:0xa->tun_id,set_field:192.0.2.2->tun_dst,push_vlan:0x8100,set_field:4103->vlan_vid,\
                output:65278,IN_PORT,CONTROLLER:128,resubmit(,1),resubmit:3,move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],\
                set_field:0x5/0xf->reg0,ct(commit,table=1,zone=7,nat(dst=10.0.0.1)),\
                ct(commit,zone=NXM_NX_REG0[0..15],nat(src=[fe80::1]-[fe80::9]:10-20,random),exec(set_field:0x1->ct_mark)),\
                multipath(symmetric_l3l4+udp,0,modulo_n,2,0,NXM_NX_REG3[]),dec_ttl,pop_vlan
                """)
        #expect("\(Flow(FlowKey(table: 0, priority: 0), actions: []))" == "table=0,priority=0 actions=drop")
    }

    @Test func groupsReadAsInADump() {
        let group = Group(
            1, .select, selectionMethod: .datapathHash,
            buckets: [
                Group.Bucket(id: 5, weight: 10, actions: [.setField(.register(1, 5)), .output(1)]),
                Group.Bucket(id: 7, weight: 1, actions: [.output(65278)]),
            ])
        #expect(
            "\(group)" == """
                group_id=1,type=select,selection_method=dp_hash,bucket=bucket_id:5,weight:10,\
                actions=set_field:0x5->reg1,output:1,bucket=bucket_id:7,actions=output:65278
                """)
    }
}
