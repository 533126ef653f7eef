// Routes and attributes of every kind, shared by the tests.

import BGP
import GoBGPAPI
import NetTypes

func v4(_ text: String) -> IPv4Address { IPv4Address(text) ?? .any }
func ip(_ text: String) -> IPAddress { IPAddress(text) ?? .v4(.any) }
func rd(_ text: String) -> RouteDistinguisher { RouteDistinguisher(text) ?? RouteDistinguisher(rawValue: 0) }
func mac(_ text: String) -> MACAddress { MACAddress(text) ?? .zero }
func prefix(_ text: String) -> IPPrefix { IPPrefix(text) ?? IPPrefix(.v4(.any), length: 0)! }

enum Samples {
    static let esi = EthernetSegmentID(high: 0x0011_2233_4455_6677, low: 0x8899)
    static let lacp = EthernetSegmentID(high: 0x0102_0304_0506_0708, low: 0x090a)

    /// Every route type the API has a message for, in all forms.
    static let routes: [(name: String, key: RouteKey, payload: RoutePayload)] = {
        let evpn: [(String, EVPNRoute)] = [
            (
                "a-d",
                .ethernetAutoDiscovery(
                    EthernetAutoDiscoveryRoute(rd: rd("65000:100"), esi: lacp, ethernetTag: .max, label: 0))
            ),
            (
                "mac-ipv4",
                .macIP(
                    MACIPRoute(
                        rd: rd("192.0.2.1:100"), esi: esi, ethernetTag: 7, mac: mac("02:00:00:00:00:0a"),
                        ip: ip("10.0.0.1"), label1: 100, label2: 500))
            ),
            (
                "mac-ipv6",
                .macIP(
                    MACIPRoute(
                        rd: rd("4200000000:7"), mac: mac("02:00:00:00:00:0b"), ip: ip("2001:db8::1"),
                        label1: 0xff_ffff))
            ),
            ("mac-only", .macIP(MACIPRoute(rd: rd("65000:1"), mac: mac("02:ab:cd:ef:00:01"), label1: 100))),
            (
                "imet",
                .inclusiveMulticast(
                    InclusiveMulticastRoute(rd: rd("192.0.2.1:1"), ethernetTag: 0, originator: ip("192.0.2.1")))
            ),
            (
                "imet-v6",
                .inclusiveMulticast(
                    InclusiveMulticastRoute(rd: rd("192.0.2.1:1"), ethernetTag: 9, originator: ip("2001:db8::2")))
            ),
            (
                "es",
                .ethernetSegment(EthernetSegmentRoute(rd: rd("192.0.2.1:0"), esi: esi, originator: ip("192.0.2.1")))
            ),
            (
                "prefix",
                .ipPrefix(
                    IPPrefixRoute(
                        rd: rd("65000:3"), esi: .zero, ethernetTag: 0, prefix: prefix("10.1.2.0/24"),
                        gateway: ip("0.0.0.0"), label: 500))
            ),
            (
                "prefix-gateway",
                .ipPrefix(
                    IPPrefixRoute(
                        rd: rd("65000:3"), esi: esi, ethernetTag: 5, prefix: prefix("0.0.0.0/0"),
                        gateway: ip("10.9.9.9"), label: 0))
            ),
            (
                "prefix-v6",
                .ipPrefix(
                    IPPrefixRoute(
                        rd: rd("65000:3"), prefix: prefix("2001:db8:5::/64"), gateway: ip("::"), label: 500))
            ),
        ]
        return evpn.map { ($0.0, RouteKey($0.1), RoutePayload($0.1)) } + [
            ("ipv4", RouteKey(unicast: prefix("192.0.2.1/32")), RoutePayload()),
            ("ipv4-default", RouteKey(unicast: prefix("0.0.0.0/0")), RoutePayload()),
            ("ipv6", RouteKey(unicast: prefix("2001:db8::1/128")), RoutePayload()),
        ]
    }()

    static let communities: [ExtendedCommunity] =
        [
            RouteTarget("65000:100"), RouteTarget("192.0.2.1:7"), RouteTarget("4200000000:9"),
        ].compactMap { $0?.community } + [
            .macMobility(sequence: 0), .macMobility(sticky: true, sequence: 4_000_000_000),
            .esiLabel(singleActive: true, label: 7), .esiLabel(singleActive: false, label: 0xff_ffff),
            .esImport(mac("02:00:00:00:00:99")), .routerMAC(mac("02:00:00:00:01:00")),
            .layer2Attributes(flags: 2, mtu: 9000), .dfElection(algorithm: 2, bitmap: 0x8000, preference: 100),
            .neighborDiscovery(flags: [.router]), .multicastFlags(3), .encapsulation(8), .encapsulation(65535),
            .defaultGateway, .color(77), .color(77, flags: 0x4000), .linkBandwidth(asn: 65000, bytesPerSecond: 1.25e9),
            .linkBandwidth(asn: 65000, bytesPerSecond: 3, transitive: true),
            // Non-transitive forms, a site of origin, opaque, validation state, flow specification, experimental.
            ExtendedCommunity(rawValue: 0x4002_fde8_0000_0064), ExtendedCommunity(rawValue: 0x4103_c000_0201_0007),
            ExtendedCommunity(rawValue: 0x4202_fa56_ea00_0009), ExtendedCommunity(rawValue: 0x0003_fde8_0000_0001),
            ExtendedCommunity(rawValue: 0x0311_0102_0304_0506), ExtendedCommunity(rawValue: 0x4300_0000_0000_0002),
            ExtendedCommunity(rawValue: 0x4311_0102_0304_0506), ExtendedCommunity(rawValue: 0x8006_fde8_4640_0000),
            ExtendedCommunity(rawValue: 0x0c00_0001_0000_0002), ExtendedCommunity(rawValue: 0xffff_ffff_ffff_ffff),
        ]

    /// Every attribute the model has.
    static let attributes: PathAttributes = {
        var all = PathAttributes()
        all.origin = .egp
        all.asPath = ASPath([
            ASPath.Segment(type: .confederationSequence, asns: [65001]),
            ASPath.Segment(type: .sequence, asns: [65000, 4_200_000_000]), ASPath.Segment(type: .set, asns: [1, 2, 3]),
        ])
        all.nextHop = ip("192.0.2.1")
        all.med = 0
        all.localPreference = 100
        all.atomicAggregate = true
        all.aggregator = Aggregator(asn: 4_200_000_000, address: v4("192.0.2.200"))
        all.communities = [65000 << 16 | 100, 0xffff_ff01]
        all.originatorID = v4("192.0.2.9")
        all.clusterList = [v4("192.0.2.10"), v4("192.0.2.11")]
        all.extendedCommunities = communities
        all.largeCommunities = [LargeCommunity(4_200_000_000, 0, 70000), LargeCommunity(0, 0, 0)]
        all.pmsiTunnel = .ingressReplication(label: 100, endpoint: ip("192.0.2.1"))
        all.onlyToCustomer = 65000
        all.others = [
            RawAttribute(flags: 0xc0, code: AttributeCode.prefixSID, value: [1, 2, 3]),
            RawAttribute(flags: 0xe0, code: 250, value: [UInt8](repeating: 9, count: 300)),
        ]
        return all
    }()

    /// A path with everything a daemon says about it.
    static func path(_ index: Int, _ attributes: PathAttributes = Samples.attributes) -> APIPath {
        let route = routes[index % routes.count]
        var path = APIPath(key: route.key, payload: route.payload, attributes: attributes)
        if route.key.kind == .ipv6Unicast {
            path.attributes.nextHop = ip("2001:db8::9")
            path.attributes.linkLocalNextHop = IPv6Address("fe80::9")
        }
        path.age = APITime(seconds: 1_700_000_000, nanoseconds: 5)
        path.neighbor = ip("192.0.2.254")
        path.sourceASN = 65000
        path.sourceID = v4("192.0.2.254")
        path.pathID = 3
        return path
    }
}
