// What changes with what, and what is told to the control plane.

import BGP
import EVPN
import NetTypes
import OpenFlow
import OpenFlowPipeline
import Testing

@Suite struct FlowTablesTests {
    private func lines(_ update: FlowTables.Update) -> [String] {
        update.flows.map { change in
            switch change {
            case .set(let flow): line(flow)
            case .delete(let key): "delete \(key)"
            }
        }
    }

    @Test("one MAC address among many is one flow") func oneOfMany() {
        var lab = fullLab()
        let many = (0..<20_000).map { number in
            ForwardingChange.mac(
                MACKey(vni: vni(10), mac: MACAddress(rawValue: 0x0200_1000_0000 + UInt64(number))),
                RemoteMAC(vtep: ip("192.0.2.2"), vni: vni(10)))
        }
        #expect(lab.tables.handle(.rows(many)).flows.count == 20_000)
        let moved = "02:00:10:00:00:07"
        #expect(
            lines(lab.rows(macRow(10, moved, "192.0.2.3", vni: 1010))) == [
                "t1 p10 reg0=0xa,reg1=0x1,dl_dst=\(moved) set_field:0x3f2->tun_id,set_field:192.0.2.3->tun_dst,output:65278"
            ])
        #expect(
            lines(lab.rows(macRow(10, moved, nil))) == ["delete table=1,priority=10,reg0=0xa,reg1=0x1,dl_dst=\(moved)"])
        // Nor does one client more touch the others.
        lab.host(7, 10, "02:00:00:00:10:07")
        let configured = lab.configure()
        #expect(configured.isEmpty)
        #expect(lab.ports(7).flows.count == 4)
    }

    @Test("a VTEP more in a domain is one flow") func floods() {
        var lab = fullLab()
        #expect(lines(lab.rows(floodRow(10, "192.0.2.9"))).count == 1)
        // The first one of a domain also lets its packets in.
        #expect(lines(lab.rows(floodRow(11, "192.0.2.9"))).count == 2)
    }

    @Test("facts follow ports and the tunnel") func facts() {
        var lab = Lab()
        lab.bridge.anycastCheck = AnycastCheckPort(mac: mac("12:34:56:78:90:aa"))
        lab.vrf("v", 20)
        lab.evi(10, gateways: ["10.0.10.1/24", "fe80::1/64"], mac: gatewayMAC, vrf: "v")
        lab.host(1, tag: 5, 10, "02:00:00:00:10:01", "10.0.10.11")
        lab.router(3, "v", "02:00:00:00:20:03", ["10.1.0.5/32"], anycast: [GoldenTests.anycast])
        lab.enabled = [GoldenTests.anycast]
        let subnet = PrefixKey(vrf: "v", prefix: prefix("10.0.10.0/24"))
        #expect(
            lab.configure().facts == [
                .prefix(subnet, LocalPrefix(proto: 2, isConnected: true, interface: "vni10"))
            ])
        let vtep = ip("192.0.2.1")
        #expect(
            lab.tables.handle(.tunnel(.init(number: 65278, vtep: vtep))).facts == [
                .domain(
                    vni(10),
                    LocalDomain(
                        vtep: vtep, device: "vxlan_out in sw", vrf: "v", routerMAC: mac(gatewayMAC), interface: "vni10")
                ),
                .domain(vni(20), LocalDomain(vtep: vtep, device: "vxlan_out in sw", vrf: "v", routerMAC: routerMAC)),
            ])
        let host = MACKey(vni: vni(10), mac: mac("02:00:00:00:10:01"))
        let address = NeighborKey(vni: vni(10), ip: ip("10.0.10.11"))
        #expect(
            lab.ports(1).facts == [
                .mac(host, LocalMAC(port: "p1 vlan 5", isStatic: true)),
                .neighbor(address, LocalNeighbor(mac: host.mac)),
            ])
        let own = PrefixKey(vrf: "v", prefix: prefix("10.1.0.5/32"))
        let anycast = PrefixKey(vrf: "v", prefix: prefix("10.9.0.9/32"))
        let known = LocalPrefix(proto: 4, isConnected: false, interface: "p3")
        #expect(lab.ports(3).facts == [.prefix(own, known), .prefix(anycast, known)])
        #expect(lab.tables.handle(.ports(["p1": nil])).facts == [.mac(host, nil), .neighbor(address, nil)])
        lab.enabled = []
        #expect(lab.configure().facts == [.prefix(anycast, nil)])
        #expect(lab.tables.handle(.tunnel(nil)).facts == [.domain(vni(10), nil), .domain(vni(20), nil)])
    }

    @Test("facts have the route targets of who is there; those of a prefix, of all who have it") func targets() {
        var lab = Lab()
        lab.bridge.learningSeconds = 60
        lab.vrf("v", 20)
        lab.evi(10)
        lab.host(1, 10, "02:00:00:00:10:01")
        lab.host(2, 10, nil)
        lab.router(3, "v", "02:00:00:00:20:03", ["10.1.0.0/24", "10.2.0.0/24"])
        lab.router(4, "v", "02:00:00:00:20:04", ["10.2.0.0/24"])
        let (a, b) = ([RouteTarget(asn: 65000, number: 1)], [RouteTarget(asn: 65000, number: 2)])
        (lab.bridged[0].exports, lab.bridged[1].exports) = (a, b)
        (lab.routed[0].exports, lab.routed[1].exports) = (a, b)
        lab.configure()
        _ = lab.tables.handle(.tunnel(.init(number: 65278, vtep: ip("192.0.2.1"))))
        let host = MACKey(vni: vni(10), mac: mac("02:00:00:00:10:01"))
        let heard = MACKey(vni: vni(10), mac: mac("02:00:00:00:10:02"))
        let one = PrefixKey(vrf: "v", prefix: prefix("10.1.0.0/24"))
        let both = PrefixKey(vrf: "v", prefix: prefix("10.2.0.0/24"))
        func known(_ port: String, _ exports: [RouteTarget]?) -> LocalPrefix {
            LocalPrefix(proto: 4, isConnected: false, interface: port, exports: exports)
        }
        #expect(
            lab.ports(1, 2, 3, 4).facts == [
                .mac(host, LocalMAC(port: "p1", isStatic: true, exports: a)), .prefix(one, known("p3", a)),
                .prefix(both, known("p3", a + b)),
            ])
        let address = FlowTables.HeardAddress(port: 2, tag: 0, vni: 10, mac: heard.mac)
        #expect(lab.tables.handle(.heard(address)).facts == [.mac(heard, LocalMAC(port: "p2", exports: b))])
        #expect(lab.tables.handle(.ports(["p3": nil])).facts == [.prefix(one, nil), .prefix(both, known("p4", b))])
        lab.bridged[1].exports = a
        lab.routed[1].exports = nil
        #expect(
            lab.configure().facts == [
                .mac(heard, LocalMAC(port: "p2", exports: a)), .prefix(both, known("p4", nil)),
            ])
    }

    @Test("the flows stay while the tunnel port is away; another number changes them") func tunnelPort() {
        var lab = fullLab()
        _ = lab.tables.handle(.tunnel(.init(number: 65278, vtep: ip("192.0.2.1"))))
        #expect(lab.tables.handle(.tunnel(nil)).flows.isEmpty)
        let update = lab.tables.handle(.tunnel(.init(number: 70, vtep: ip("192.0.2.1"))))
        #expect(update.flows.count > 10)
        #expect(!lab.flows.contains { $0.contains("65278") })
    }

    @Test("one VNI for a broadcast domain and a VRF, one place for two clients: nothing collides") func collisions() {
        var lab = Lab()
        lab.evi(10)
        lab.vrf("v", 10)
        lab.host(1, 10, "02:00:00:00:10:01")
        lab.bridged.append(
            BridgedClient(
                attachment: EVPN.Attachment(port: .name("p1")), vni: vni(10), mac: mac("02:00:00:00:10:02")))
        lab.router(1, "v", "02:00:00:00:20:03", ["10.1.0.5/32"])
        lab.configure()
        lab.ports(1)
        lab.rows(macRow(10, "02:00:00:00:10:03", "192.0.2.2"))
        let keys = lab.tables.allFlows.map(\.key)
        #expect(Set(keys).count == keys.count)
        #expect(lab.flows.filter { $0.hasPrefix("t0 p10 in_port=1 ") }.count == 1)
        #expect(lab.flows.filter { $0.contains("tun_id=0xa,in_port") }.count == 1)
        // Two hosts of one domain may share a port.
        #expect(lab.flows.filter { $0.hasSuffix(" output:1") && $0.contains("dl_dst") }.count == 2)
        // The routed client waits for its port.
        #expect(!lab.flows.contains { $0.contains("nw_dst=10.1.0.5") })
        #expect(lab.tables.displaced == ["the client of port 1 is left out: p1 is that of another client"])
    }

    @Test("a routed packet may leave by the port it came from", arguments: [false, true])
    func samePort(compatible: Bool) {
        let flow = fullLab(compatible: compatible).flows.first { $0.contains("nw_dst=10.2.0.0/16") }
        #expect(flow?.contains("set_field:0->in_port,push_vlan:0x8100") == !compatible, "\(flow ?? "none")")
    }

    @Test("who names a port has it, whoever else has its number") func portByName() {
        var lab = Lab()
        lab.evi(10)
        lab.evi(30)
        lab.host(1, 30, "02:00:00:00:10:01")
        lab.configure()
        lab.ports(1)
        #expect(lab.flows.contains { $0.hasPrefix("t0 p10 in_port=1 ") && $0.contains("0x1e->reg0") })
        lab.bridged.append(
            BridgedClient(
                attachment: EVPN.Attachment(port: .name("p1")), vni: vni(10), mac: mac("02:00:00:00:10:02")))
        lab.configure()
        #expect(lab.flows.contains { $0.hasPrefix("t0 p10 in_port=1 ") && $0.contains("0xa->reg0") })
        #expect(!lab.flows.contains { $0.contains("dl_dst=02:00:00:00:10:01") })
        #expect(lab.tables.displaced == ["the client of port 1 is left out: p1 is that of another client"])
        lab.bridged.removeLast()
        lab.configure()
        #expect(lab.flows.contains { $0.hasPrefix("t0 p10 in_port=1 ") && $0.contains("0x1e->reg0") })
        #expect(lab.tables.displaced.isEmpty)
    }

    @Test("next hops through neighbor and MAC rows, in any order") func resolution() {
        var lab = fullLab()
        let key = ForwardingKey.prefix(PrefixKey(vrf: "v", prefix: prefix("172.20.0.0/16")))
        #expect(lab.tables.status(of: key) == .absent)
        lab.rows(prefixRow("v", "172.20.0.0/16", .router(vtep: ip("192.0.2.7"), through: vni(20))))
        #expect(lab.tables.status(of: key) == .waiting(reason: "no router MAC address for 192.0.2.7 in vni 20"))
        lab.rows(neighborRow(20, "192.0.2.7", "02:00:00:00:99:07"))
        #expect(lab.tables.status(of: key) == .waiting(reason: "no way to the router 02:00:00:00:99:07 in vni 20"))
        let update = lab.rows(macRow(20, "02:00:00:00:99:07", "192.0.2.7", vni: 2020))
        #expect(lines(update).count == 1)
        #expect(
            lab.tables.explain(key) == [
                "cookie=0x6576706e00000007,table=1,priority=26,ip,reg2=0x14,nw_dst=172.20.0.0/16 actions=dec_ttl,"
                    + "set_field:12:34:56:78:90:ab->eth_src,set_field:02:00:00:00:99:07->eth_dst,set_field:0->in_port,"
                    + "set_field:0x7e4->tun_id,set_field:192.0.2.7->tun_dst,output:65278"
            ])
        guard case .flows(let keys) = lab.tables.status(of: key) else {
            Issue.record("no flows")
            return
        }
        #expect(keys == update.flows.map(\.key))
        // Another MAC address of the router changes what goes over it.
        lab.rows(macRow(20, "02:00:00:00:99:17", "192.0.2.7"))
        #expect(lines(lab.rows(neighborRow(20, "192.0.2.7", "02:00:00:00:99:17"))).count == 1)
    }

    @Test("a group is shared by prefixes, and paths that stay keep their buckets") func groups() {
        var lab = fullLab(groups: true)
        let two = lab.tables.allGroups
        #expect(two.count == 1)
        let paths = [
            tunnel("192.0.2.2", 20, "02:00:00:00:99:02"), tunnel("192.0.2.3", 30, "02:00:00:00:99:03"),
            tunnel("192.0.2.4", 20, "02:00:00:00:99:04"),
        ]
        let key = PrefixKey(vrf: "v", prefix: prefix("10.8.0.0/16"))
        let update = lab.tables.handle(.rows([.prefix(key, RemotePrefix(nexthops: paths))]))
        #expect(update.groups.count == 1)
        #expect(update.flows.count == 1)
        #expect(update.removedGroups.isEmpty)
        let old = Set(two.flatMap(\.buckets).map(\.id))
        #expect(old.isSubset(of: update.groups.flatMap(\.buckets).map(\.id)))
        // The other prefix follows: its group goes.
        let other = PrefixKey(vrf: "v", prefix: prefix("2001:db8:8::/48"))
        let last = lab.tables.handle(.rows([.prefix(other, RemotePrefix(nexthops: paths))]))
        #expect(last.groups.isEmpty)
        #expect(last.removedGroups == two.map(\.id))
        // Without OpenFlow 1.5 none are left.
        let without = lab.tables.handle(.groups(false))
        #expect(lab.tables.allGroups.isEmpty)
        #expect(without.removedGroups.count == 1)
    }

    @Test("while nothing forwards nothing is told of, and then all of it again") func away() {
        var lab = fullLab()
        lab.rows(macRow(10, "02:00:00:00:10:44", "192.0.2.2"))
        let flows = lab.tables.allFlows
        let gone = lab.tables.handle(.forwarding(false))
        #expect(gone.flows.isEmpty && gone.facts.count > 10)
        #expect(lab.tables.handle(.forwarding(false)).isEmpty)
        // A port that comes meanwhile has its flows, and is told of later.
        let here = lab.tables.handle(.ports(["p1": nil]))
        #expect(!here.flows.isEmpty && here.facts.isEmpty)
        #expect(lab.ports(1).facts.isEmpty)
        #expect(lab.tables.allFlows == flows)
        #expect(lab.tables.handle(.forwarding(true)).facts.count == gone.facts.count)
    }

    @Test("what was learned is known again by its flow") func adopted() {
        var lab = fullLab()
        let host = MACKey(vni: vni(12), mac: mac("02:00:00:00:12:06"))
        _ = lab.tables.handle(.heard(.init(port: 6, tag: 0, vni: 12, mac: host.mac)))
        let flows = lab.tables.allFlows
        var next = fullLab()
        for flow in flows {
            guard let address = FlowTables.HeardAddress(flow.key) else { continue }
            #expect(next.tables.handle(.heard(address)).facts == [.mac(host, LocalMAC(port: "p6"))])
        }
        #expect(next.tables.allFlows == flows)
    }

    @Test("evpn-connector's flows are recognised by their shape, and no others") func connectors() {
        var lab = GoldenTests.anycastLab(enabled: true)
        lab.evi(10)
        lab.host(1, 10, "02:00:00:00:00:01")
        lab.host(2, tag: 7, 10, "02:00:00:00:00:02")
        lab.router(4, tag: 9, "v", "02:00:00:00:01:06", ["10.1.0.5/32"])
        lab.configure()
        lab.ports(1, 2, 4)
        lab.rows(
            macRow(10, "02:00:00:00:00:03", "192.0.2.2"), floodRow(10, "192.0.2.2"),
            prefixRow("v", "10.9.0.9/32", tunnel("192.0.2.2", 20, "02:00:00:00:02:02")),
            prefixRow("v", "0.0.0.0/0", tunnel("192.0.2.3", 30, "02:00:00:00:02:03")))
        func unmarked(_ flow: Flow) -> Flow {
            var flow = flow
            flow.cookie = 0
            return flow
        }
        let compatible = lab.tables.allFlows.map(unmarked)
        #expect(compatible.count > 25)
        for flow in compatible { #expect(flow.isConnectors == (flow.key.priority != 0), "\(line(flow))") }
        #expect(!lab.tables.allFlows.contains { $0.isConnectors })
        // Ours with other features; and what somebody might have put there.
        let own = Set(compatible.map(\.key))
        for flow in fullLab().tables.allFlows.map(unmarked) where !own.contains(flow.key) && flow.key.priority > 10 {
            guard flow.key.table > 2 || flow.actions.isEmpty else { continue }
            #expect(!flow.isConnectors, "\(line(flow))")
        }
        func foreign(_ table: UInt8, _ priority: UInt16, _ match: [MatchField], _ actions: [Action]) -> Flow {
            Flow(FlowKey(table: table, priority: priority, match: Match(match)), actions: actions)
        }
        let port = MatchField.inPort(1)
        let known = [MatchField.register(0, 10), .ethernetDestination(mac("02:00:00:00:00:03"))]
        for flow in [
            foreign(0, 10, [port], [.output(2)]),
            foreign(0, 10, [], [.setField(.register(2, 1)), .resubmit(port: nil, table: 1)]),
            foreign(0, 100, [port], [.setField(.register(2, 1)), .resubmit(port: nil, table: 1)]),
            foreign(0, 10, [port], [.setField(.register(2, 1)), .resubmit(port: nil, table: 7)]),
            foreign(1, 10, known, [.output(.normal)]), foreign(1, 11, known, [.output(2)]),
            foreign(7, 10, known, [.output(2)]),
            foreign(1, 10, known + [.ethernetType(EtherType.arp)], [.output(2)]), foreign(1, 10, known, []),
            foreign(1, 42, [.ethernetType(EtherType.ipv4), .destination(ip("10.0.0.1"))], [.output(2)]),
            foreign(
                1, 42, [.ethernetType(EtherType.ipv4), .register(2, 1), .destination(prefix("10.0.0.0/8"))],
                [.output(2)]),
            foreign(0, 11, [port, .ethernetType(EtherType.arp)], [.output(.normal)]),
        ] { #expect(!flow.isConnectors, "\(line(flow))") }
    }

    @Test("learned addresses: moves, limits, and the control plane's word") func learning() {
        var lab = fullLab()
        lab.host(8, 12, nil)
        lab.configure()
        lab.ports(8)
        let host = MACKey(vni: vni(12), mac: mac("02:00:00:00:12:06"))
        func hear(_ port: UInt32, _ address: MACAddress) -> FlowTables.Input {
            .heard(.init(port: port, tag: 0, vni: 12, mac: address))
        }
        #expect(lab.tables.handle(hear(6, host.mac)).facts == [.mac(host, LocalMAC(port: "p6"))])
        #expect(lab.tables.handle(hear(6, host.mac)).isEmpty)
        // It moves to another port.
        let move = lab.tables.handle(hear(8, host.mac))
        #expect(move.facts == [.mac(host, LocalMAC(port: "p8"))])
        #expect(move.flows.count == 3)
        // The end of the old flow says nothing of the new one.
        guard let old = move.flows.last?.key else { return }
        #expect(lab.tables.handle(.silent(old)).isEmpty)
        // It moves to another VTEP: should it be heard again, that is news.
        let away = lab.rows(macRow(12, "02:00:00:00:12:06", "192.0.2.3"))
        #expect(away.facts == [.mac(host, nil)])
        #expect(lab.tables.handle(hear(8, host.mac)).facts == [.mac(host, LocalMAC(port: "p8"))])
        lab.rows(macRow(12, "02:00:00:00:12:06", nil))
        guard let flow = lab.tables.allFlows.first(where: { $0.idleTimeout == 300 }) else {
            Issue.record("no learned flow")
            return
        }
        #expect(lab.tables.handle(.silent(flow.key)).facts == [.mac(host, nil)])
        // Neither declared addresses, nor groups, nor those of ports without learning.
        #expect(lab.tables.handle(hear(6, mac("02:00:00:00:12:02"))).isEmpty)
        #expect(lab.tables.handle(hear(6, mac("03:00:00:00:12:02"))).isEmpty)
        #expect(lab.tables.handle(hear(2, host.mac)).isEmpty)
        #expect(lab.tables.handle(.heard(.init(port: 6, tag: 0, vni: 10, mac: host.mac))).isEmpty)
        // A port has room for so many.
        for number in 0..<FlowTables.maximumLearnedOfPort {
            _ = lab.tables.handle(hear(6, MACAddress(rawValue: 0x0200_7700_0000 + UInt64(number))))
        }
        let full = lab.tables.handle(hear(6, host.mac))
        #expect(full.facts.isEmpty && full.flows.isEmpty)
        // That is told once, and once more when it had room meanwhile.
        #expect(full.crowded == ["p6": FlowTables.maximumLearnedOfPort])
        #expect(lab.tables.handle(hear(6, host.mac)).isEmpty)
        let learned = lab.tables.allFlows.filter { $0.idleTimeout == 300 }.map(\.key)
        #expect(lab.tables.handle(.silent(learned[0])).facts.count == 1)
        #expect(lab.tables.handle(hear(6, host.mac)).facts.count == 1)
        #expect(lab.tables.handle(hear(6, mac("02:00:78:00:00:01"))).isEmpty)
        #expect(lab.tables.handle(hear(8, host.mac)).facts.count == 1)
        for key in learned.dropFirst().prefix(FlowTables.maximumLearnedOfPort / 2) {
            _ = lab.tables.handle(.silent(key))
        }
        var told = 0
        for number in 0...FlowTables.maximumLearnedOfPort {
            told += lab.tables.handle(hear(6, MACAddress(rawValue: 0x0200_7900_0000 + UInt64(number)))).crowded.count
        }
        #expect(told == 1)
        // Its port goes away, and all with it.
        #expect(lab.tables.handle(.ports(["p6": nil])).facts.count == FlowTables.maximumLearnedOfPort)
    }
}
