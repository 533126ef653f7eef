// Flows and groups with every field and action once: Tests/Vectors/openflow-flows.txt has their texts, openflow.txt what Open vSwitch
// makes of them.

import NetTypes
import OpenFlow

func mac(_ text: String) -> MACAddress { MACAddress(text) ?? .zero }
func ip(_ text: String) -> IPAddress { IPAddress(text) ?? .v4(.any) }
func v4(_ text: String) -> IPv4Address { IPv4Address(text) ?? .any }
func v6(_ text: String) -> IPv6Address { IPv6Address(text) ?? .any }
func prefix(_ text: String) -> IPPrefix {
    guard let prefix = IPPrefix(text) else { preconditionFailure("no prefix: \(text)") }
    return prefix
}
func bits(_ field: Field, _ range: Range<Int>) -> FieldBits { FieldBits(field, range) ?? FieldBits(field) }

private func flow(_ table: UInt8, _ priority: UInt16, _ match: [MatchField], _ actions: [Action]) -> Flow {
    Flow(FlowKey(table: table, priority: priority, match: Match(match)), cookie: 0x6576_706e, actions: actions)
}
private func ct(
    commits: Bool = false, forces: Bool = false, table: UInt8? = nil, zone: ConnectionTracking.Zone = .number(0),
    nat: NAT? = nil, actions: [Action] = []
) -> Action {
    .connectionTracking(
        ConnectionTracking(commits: commits, forces: forces, table: table, zone: zone, nat: nat, actions: actions))
}

/// Bridging: classification, unicast, flooding, learning.
private let bridging: [Flow] = [
    flow(0, 0, [], []),
    flow(
        0, 10, [.inPort(1)], [.setField(.register(0, 10)), .setField(.register(1, 1)), .resubmit(port: nil, table: 1)]),
    flow(
        0, 10, [.inPort(2), .vlan(7)],
        [.popVLAN, .setField(.register(0, 0xa0_0000)), .setField(.register(1, 1)), .resubmit(port: nil, table: 1)]),
    flow(0, 10, [.inPort(65278), .tunnelID(10)], [.setField(.register(0, 10)), .resubmit(port: 3, table: 1)]),
    flow(0, 9, [.inPort(.local), .untagged], [.resubmit(port: 3, table: nil), .output(.inPort)]),
    flow(0, 8, [.tagged, .ethernetType(0x88cc)], [.output(.local), .output(.normal)]),
    flow(0, 7, [MatchField(.vlanID, 7, mask: 0xfff), .ethernetType(EtherType.ipv4)], [.output(.all)]),
    flow(0, 6, [.vlan(9), .vlanPriority(5)], [.setField(.vlan(8)), .setField(.vlanPriority(2)), .output(.flood)]),
    flow(
        1, 10, [.register(0, 10), .register(1, 1), .ethernetDestination(mac("02:00:00:00:00:03"))],
        [.setField(.tunnelID(10)), .setField(.tunnelDestination(ip("192.0.2.2"))), .output(65278)]),
    flow(
        1, 10, [.register(0, 10), .ethernetDestination(mac("02:00:00:00:00:02"))],
        [.pushVLAN(EtherType.vlan), .setField(.vlan(7)), .output(2)]),
    flow(1, 9, [.register(0, 10, mask: 0xffff), .ethernetGroup], [.output(1), .group(1)]),
    Flow(
        FlowKey(
            table: 5, priority: 1,
            match: Match(
                .register(4, 1), .register(5, 0xffff_ffff), .register(6, 2, mask: 6), .register(7, 3), .register(2, 9),
                .register(3, 8))),
        cookie: 0x6576_706e, actions: [.controller(maxLength: 128), .gotoTable(6)]),
    Flow(
        FlowKey(table: 5, priority: 2, match: Match(.ethernetSource(mac("02:00:00:00:00:02")), .inPort(1))),
        cookie: 0x6576_706e, actions: [.gotoTable(6)], idleTimeout: 300, hardTimeout: 3600, flags: .reportsRemoval),
    flow(
        5, 3,
        [
            .ethernetSource(mac("02:00:00:00:00:00"), mask: mac("ff:ff:ff:00:00:00")), .metadata(5, mask: 0xff),
            .tunnelSource(ip("192.0.2.2")), MatchField(.tunnelIPv4Destination, 0xc000_0200, mask: 0xffff_ff00),
        ], [.setField(.metadata(7)), .setField(.metadata(1, mask: 3)), .setField(.tunnelSource(ip("192.0.2.1")))]),
    flow(
        5, 4, [.tunnelSource(ip("2001:db8::2")), MatchField(.tunnelIPv6Destination, 1, mask: 0xff), .metadata(5)],
        [.setField(.tunnelSource(ip("2001:db8::2"))), .setField(.tunnelDestination(ip("2001:db8::3")))]),
]

/// Routing, address resolution.
private let routing: [Flow] = [
    flow(
        1, 42, [.ethernetType(EtherType.ipv4), .register(2, 20), .destination(prefix("10.1.0.5/32"))],
        [
            .multipath(Multipath(links: 2, destination: FieldBits(.register3))),
            .multipath(
                Multipath(
                    fields: .symmetricL4, basis: 50, algorithm: .highestRandomWeight, links: 65536, argument: 7,
                    destination: bits(.register1, 8..<24))), .resubmit(port: nil, table: 2),
        ]),
    flow(
        1, 34, [.ethernetType(EtherType.ipv4), .register(2, 20), .destination(prefix("10.1.5.0/24"))],
        [
            .decrementTTL, .setField(.ethernetSource(mac("02:00:00:00:00:ff"))),
            .setField(.ethernetDestination(mac("02:00:00:00:00:04"))), .output(3),
        ]),
    flow(
        1, 74, [.ethernetType(EtherType.ipv6), .register(2, 20), .destination(prefix("2001:db8:1::/64"))],
        [
            .decrementTTL, .setField(.ethernetDestination(mac("02:00:00:00:00:05"))), .setField(.tunnelID(20)),
            .output(65278),
        ]
    ),
    flow(
        1, 75,
        [.ethernetType(EtherType.ipv6), .source(prefix("fe80::/10")), .destination(ip("fe80::1")), .ipProtocol(89)],
        [.setField(.source(ip("fe80::2"))), .setField(.destination(ip("fe80::3")))]),
    flow(
        0, 11,
        [
            .inPort(3), .ethernetType(EtherType.arp), .arpOperation(1), .arpSource(v4("10.0.0.5")),
            .arpTarget(v4("10.0.0.1")), .arpSourceHardware(mac("02:00:00:00:00:05")), .arpTargetHardware(.zero),
        ],
        [
            .move(from: FieldBits(.ethernetSource), to: FieldBits(.ethernetDestination)),
            .setField(.ethernetSource(mac("12:34:56:78:90:ab"))), .setField(.arpOperation(2)),
            .move(from: FieldBits(.arpSourceHardware), to: FieldBits(.arpTargetHardware)),
            .move(from: FieldBits(.arpTarget), to: FieldBits(.register0)),
            .move(from: FieldBits(.arpSource), to: FieldBits(.arpTarget)),
            .move(from: FieldBits(.register0), to: FieldBits(.arpSource)),
            .setField(.arpSourceHardware(mac("12:34:56:78:90:ab"))), .setField(.arpSource(v4("10.0.0.1"))),
            .setField(.arpTarget(v4("10.0.0.5"))), .setField(.arpTargetHardware(mac("02:00:00:00:00:05"))),
            .output(.inPort),
        ]),
    flow(
        0, 12,
        [
            .inPort(3), .ethernetType(EtherType.ipv6), .ipProtocol(IPProtocol.icmpv6), .icmpv6Type(135), .icmpv6Code(0),
            .timeToLive(255), .ndTarget(v6("2001:db8::1")), .ndSourceLinkLayer(mac("02:00:00:00:00:05")),
            MatchField(.ndReserved, 0), MatchField(.ndOptionType, 1),
        ],
        [
            .move(from: FieldBits(.ethernetSource), to: FieldBits(.ethernetDestination)),
            .setField(.icmpv6Type(136)), .setField(.icmpv6Code(0)), .setField(MatchField(.ndOptionType, 2)),
            .setField(MatchField(.ndReserved, 0xe000_0000)),
            .move(from: FieldBits(.ipv6Source), to: FieldBits(.ipv6Destination)),
            .move(from: FieldBits(.ndTarget), to: FieldBits(.ipv6Source)), .setField(.timeToLive(255)),
            .setField(.ndTarget(v6("2001:db8::1"))), .output(.inPort),
        ]),
    flow(
        0, 13,
        [
            .ethernetType(EtherType.ipv6), .ipProtocol(IPProtocol.icmpv6), .icmpv6Type(136), .icmpv6Code(0),
            .ndTargetLinkLayer(mac("02:00:00:00:00:05")),
        ], [.setField(.ndTargetLinkLayer(mac("02:00:00:00:00:06")))]),
    flow(
        0, 14, [.ethernetType(EtherType.ipv4), .ipProtocol(IPProtocol.icmp), .icmpType(8), .icmpCode(0)],
        [.setField(.icmpType(0)), .setField(.icmpCode(0)), .output(.inPort)]),
]

/// Connection tracking and what else there is.
private let tracking: [Flow] = [
    flow(
        0, 20,
        [
            .inPort(3), .ethernetType(EtherType.ipv4), .source(ip("10.1.0.5")),
            .connectionState(set: [], unset: .tracked),
        ], [ct(table: 0, zone: .number(7))]),
    flow(
        0, 21,
        [
            .ethernetType(EtherType.ipv4), .connectionState(set: [.established, .tracked], unset: [.new, .invalid]),
            .connectionZone(7), .connectionMark(1, mask: 1), .ipProtocol(IPProtocol.tcp), .tcpSource(80),
            MatchField(.tcpDestination, 0x1000, mask: 0xf000),
        ],
        [
            ct(commits: true, zone: .number(7), nat: .existing), .setField(.tcpSource(81)),
            .setField(.tcpDestination(82)), .setField(.source(ip("10.0.0.1"))),
        ]),
    flow(
        0, 22,
        [
            .ethernetType(EtherType.ipv4), .ipProtocol(IPProtocol.udp), .udpSource(68), .udpDestination(67),
            .connectionMark(5), .timeToLive(64), MatchField(.ipv4Destination, 0x0a00_0100, mask: 0xff00_ff00),
        ],
        [
            ct(commits: true, table: 1, zone: .number(7), nat: .destination(NATRange(ip("10.0.0.1")))),
            ct(
                commits: true, forces: true, zone: .field(bits(.register0, 0..<16)),
                nat: .source(NATRange(ip("10.0.0.1")...ip("10.0.0.9"), ports: 100...200, flags: .random)),
                actions: [.setField(.connectionMark(1))]),
            ct(
                commits: true,
                nat: .source(NATRange(ip("10.0.0.1"), ports: 10...10, flags: [.persistent, .hash]))),
            .clearConnectionTracking, .setField(.udpSource(1)), .setField(.udpDestination(2)),
        ]),
    flow(
        0, 23, [.ethernetType(EtherType.ipv6)],
        [
            ct(commits: true, nat: .destination(NATRange(ip("fe80::1")...ip("fe80::9")))),
            ct(commits: true, nat: .destination(NATRange(ip("fe80::1"), ports: 10...20))),
            ct(nat: .existing), ct(commits: true, nat: .source(NATRange(nil))), ct(),
        ]),
    flow(
        0, 24, [.tunnelID(0xff_ffff), .ethernetDestination(.broadcast)],
        [
            .setField(.register(0, 5, mask: 15)), .setField(.register(0, 0xf00, mask: 0xff0)),
            .move(from: bits(.register0, 0..<16), to: bits(.register1, 16..<32)),
            .move(from: FieldBits(.metadata), to: FieldBits(.tunnelID)),
            .move(from: FieldBits(.inPort), to: bits(.register0, 0..<16)), .setField(.inPort(0)),
            .setField(.inPort(.local)), .move(from: bits(.register0, 3..<4), to: bits(.register0, 4..<5)),
            .note([1, 2, 3, 4, 5, 6]),
        ]),
]

let sampleFlows = bridging + routing + tracking

let sampleGroups: [Group] = [
    Group(
        1, .select, selectionMethod: .datapathHash,
        buckets: [
            Group.Bucket(id: 0, weight: 10, actions: [.setField(.register(1, 5)), .output(1)]),
            Group.Bucket(id: 1, weight: 1, actions: [.setField(.register(0, 1, mask: 3)), .output(2)]),
        ]),
    Group(
        2, .select, selectionMethod: .hash([.ipv4Source, .ipv4Destination, .tcpSource]),
        buckets: [Group.Bucket(id: 0, weight: 1, actions: [.output(1)])]),
    Group(
        3, .fastFailover,
        buckets: [
            Group.Bucket(id: 0, watchPort: 1, actions: [.output(1)]),
            Group.Bucket(id: 1, watchPort: 2, actions: []),
        ]),
    Group(4, .all, buckets: [Group.Bucket(id: 0, actions: [.output(1)]), Group.Bucket(id: 1, actions: [.output(2)])]),
    Group(5, .indirect, buckets: [Group.Bucket(id: 0, actions: [.output(.local)])]),
    Group(6, .all, buckets: []),
]
