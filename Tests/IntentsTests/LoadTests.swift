// What golden files cannot show: garbage, size, determinism, and that parts compare.

import BGP
import BGPEngine
import Documents
import EVPN
import Intents
import NetTypes
import Testing
import YAML

private func load(_ text: String) -> (configuration: Configuration?, problems: [Problem]) {
    let parsed = Document.parse(yaml: Array(text.utf8))
    guard let document = parsed.document else { return (nil, parsed.problems) }
    return Configuration.load(from: document)
}
private let base = """
    node: {vtep: 192.0.2.1}
    bgp: {global: {asn: 65000}, neighbors: [{config: {neighborAddress: 192.0.2.9, peerAsn: 65000}}]}

    """

@Suite struct LoadTests {
    @Test func fiveWrongPlacesAreFiveProblems() throws {
        let document = try #require(Document.read(file: fixtures + "/bad/five-places.yaml").document)
        let (configuration, problems) = Configuration.load(from: document)
        #expect(problems.count == 5)
        #expect(configuration == nil)
    }

    @Test func nextHopsAreThoseOfTheDataplane() throws {
        let document = try #require(Document.read(file: fixtures + "/good/openvswitch.yaml").document)
        var configuration = try #require(Configuration.load(from: document).configuration)
        #expect(configuration.overlay(nodeAddress: nil).hasTunnelNexthops)
        #expect(configuration.overlay(nodeAddress: nil).vrfs.allSatisfy { !$0.sharesLocalPrefixes })
        configuration.openVSwitch?.bridge.isConnectorCompatible = true
        #expect(configuration.overlay(nodeAddress: nil).vrfs.allSatisfy { $0.sharesLocalPrefixes })
        configuration.openVSwitch = nil
        #expect(!configuration.overlay(nodeAddress: nil).hasTunnelNexthops)
    }

    @Test func jsonAndYAMLMeanTheSame() throws {
        let json =
            #"{"node":{"vtep":"192.0.2.1"},"bgp":{"global":{"asn":65000},"neighbors":[{"config":{"neighborAddress":"192.0.2.9","peerAsn":65000}}]},"vnis":[{"vni":7,"managed":true}]}"#
        let parsed = Document.parse(json: Array(json.utf8))
        let fromJSON = Configuration.load(from: try #require(parsed.document)).configuration
        #expect(fromJSON != nil)
        #expect(fromJSON == load(base + "vnis: [{vni: 7, managed: yes}]").configuration)
    }

    @Test func partsCompareOnReload() throws {
        let before = try #require(load(base + "vnis: [7]").configuration)
        let after = try #require(load(base + "vnis: [7, 8]\ntelemetry: {logLevel: debug}").configuration)
        #expect(before.bgp == after.bgp)
        #expect(before.overlay != after.overlay)
        #expect(before.overlay.evis[0] == after.overlay.evis[0])
        #expect(before.telemetry != after.telemetry)
        #expect(before.control == after.control)
    }

    @Test func nodeAddressFillsWhatIsOpen() throws {
        let text = """
            node: {interface: lo}
            bgp: {global: {asn: 65000, routerID: 10.0.0.1}}
            vnis: [{vni: 7, managed: true}, {vni: 8, vtep: 192.0.2.8}]
            """
        let configuration = try #require(load(text).configuration)
        #expect(configuration.node.vtep == .interface("lo"))
        #expect(configuration.overlay.evis.map(\.domain.vtep) == [nil, IPAddress("192.0.2.8")])
        let resolved = configuration.overlay(nodeAddress: IPAddress("2001:db8::1"))
        #expect(resolved.evis.map(\.domain.vtep) == [IPAddress("2001:db8::1"), IPAddress("192.0.2.8")])
        #expect(configuration.overlay(nodeAddress: nil) == configuration.overlay)
    }

    @Test func vrfsGetTheNodesAddressAndDistinguishersOfTheirOwn() throws {
        let text = """
            node: {interface: lo}
            bgp: {global: {asn: 65000, routerID: 10.0.0.1}}
            membership: {discover: true, signalling: evpn}
            vrfs:
              - {name: b, managed: true, vni: 66036}
              - {name: a, managed: true, vtep: 192.0.2.8, vni: 500}
              - {name: z, managed: true}
            vnis: [501]
            """
        let configuration = try #require(load(text).configuration)
        let address = IPAddress("2001:db8::1")
        let found = Set([500, 502, 1, 66036].compactMap { VNI($0) })
        let overlay = configuration.overlay(nodeAddress: address, discovered: found)
        #expect(overlay.vrfs.map(\.name) == ["a", "b", "z"])
        #expect(overlay.vrfs.map { $0.domain?.vtep } == [IPAddress("192.0.2.8"), address, nil])
        // L3 VNIs of VRFs are no segments, whatever devices there are; 500 and 501 are taken for 66036, then 502 by that.
        #expect(overlay.evis.map(\.vni.rawValue) == [1, 501, 502])
        let distinguishers = overlay.vrfs.map(\.rd) + overlay.evis.map(\.rd)
        #expect(
            distinguishers.map(\.description) == [
                "10.0.0.1:500", "10.0.0.1:502", "10.0.0.1:1", "10.0.0.1:2", "10.0.0.1:501", "10.0.0.1:503",
            ])
    }

    /// The sweep over sorted subnets finds what comparing each with each finds.
    @Test func overlappingSubnetsAreFound() throws {
        var random = Generator(state: 9)
        for _ in 0..<200 {
            let gateways = (0..<6).map { _ -> (text: String, prefix: IPPrefix) in
                let length = 8 + random.below(17)
                let text =
                    "10.\(random.below(4)).\(random.below(8)).1/\(length)"
                return (text, IPPrefix(text) ?? IPPrefix(.v4(.any), length: 0)!)
            }
            let text = gateways.enumerated().map { "{vni: \($0 + 1), managed: true, gateway: \($1.text)}" }
            let loaded = load(base + "vnis: [\(text.joined(separator: ", "))]")
            let overlaps = gateways.indices.contains { a in
                gateways.indices.contains { b in
                    a < b
                        && (gateways[a].prefix.contains(gateways[b].prefix.address)
                            || gateways[b].prefix.contains(gateways[a].prefix.address))
                }
            }
            #expect(overlaps == (loaded.configuration == nil), "\(text)")
        }
    }

    /// Every VNI gets a distinguisher of its own, the same ones whatever the order of the file.
    @Test func distinguishersAreUniqueAndStable() throws {
        let numbers = (0..<3000).map { $0 % 2 == 0 ? 70_000 + $0 * 37 : 1 + $0 * 7 }
        let forward = try #require(load(base + "vnis: \(numbers)").configuration)
        let backward = try #require(load(base + "vnis: \(Array(numbers.reversed()))").configuration)
        #expect(forward == backward)
        #expect(Set(forward.overlay.evis.map(\.rd)).count == numbers.count)
        #expect(forward.overlay.evis.map(\.vni) == forward.overlay.evis.map(\.vni).sorted())
        for evi in forward.overlay.evis where evi.vni.rawValue <= 0xffff {
            #expect(evi.rd == RouteDistinguisher("192.0.2.1:\(evi.vni)"))
        }
    }

    @Test func addressOfTheInterfaceStandsInForTheRouterID() throws {
        let text = "node: {interface: eth0}\nbgp: {global: {asn: 65000}}\nvnis: [{vni: 7, managed: true}]"
        let document = try #require(Document.parse(yaml: Array(text.utf8)).document)
        func load(_ address: String?) -> Configuration? {
            Configuration.load(
                from: document, addressOf: { $0 == "eth0" ? address.flatMap { IPAddress($0) } : nil }
            ).configuration
        }
        let loaded = try #require(load("192.0.2.7"))
        #expect(loaded.bgp.routerID == IPv4Address("192.0.2.7"))
        #expect(loaded.overlay.evis.first?.rd.description == "192.0.2.7:7")
        #expect(load("2001:db8::7") == nil)
        #expect(load(nil) == nil)
    }

    @Test func passwordFileGivesItsFirstLine() throws {
        let text = """
            bgp:
              global: {asn: 1, routerID: 10.0.0.1}
              neighbors: [{config: {neighborAddress: 10.0.0.2, peerAsn: 2, passwordFile: /p}}]
            """
        let document = try #require(Document.parse(yaml: Array(text.utf8)).document)
        func password(_ contents: String) -> (String?, Int) {
            let result = Configuration.load(from: document) { _ in .success(Secret(Array(contents.utf8))) }
            return (result.configuration?.bgp.neighbors[0].password, result.problems.count)
        }
        #expect(password("secret word\nmore\n") == ("secret word", 0))
        #expect(password("secret\r\n") == ("secret", 0))
        #expect(password("\n") == (nil, 1))
        #expect(password(String(repeating: "x", count: 80)) == (String(repeating: "x", count: 80), 0))
        #expect(password(String(repeating: "x", count: 81)) == (nil, 1))
        #expect(Configuration.load(from: document).problems.count == 1)
        for mode in [0o600, 0o640, 0o644, 0o602] as [UInt32] {
            let result = Configuration.load(from: document) { _ in .success(Secret(Array("s".utf8), mode: mode)) }
            #expect(result.configuration != nil)
            let warnings = result.problems.map(\.description).filter { $0.contains("/p is open to every user") }
            #expect(warnings.count == (mode & 0o006 == 0 ? 0 : 1))
        }
    }

    @Test(arguments: [
        ("0", 0), ("90", 90), ("90s", 90), ("3m", 180), ("1h30m", 5400), ("1d", 86400), ("1s", 1), ("", nil),
        ("s", nil),
        ("1x", nil), ("1m5", nil), ("-1", nil), ("+1", nil), ("1.5", nil), ("86401", nil), ("2d", nil),
        ("99999999999999999999", nil), ("9223372036854775807d", nil),
    ])
    func durations(text: String, seconds: Int?) {
        let configuration = load(base + "forwarding: {staleHold: '\(text)'}").configuration
        #expect(configuration?.forwarding.staleHoldSeconds == seconds)
        #expect(configuration?.bgp.initialHoldSeconds == seconds)
    }

    @Test(arguments: [
        ("127.0.0.1:9474", "127.0.0.1:9474"), ("[::1]:80", "[::1]:80"), (":9474", "[::]:9474"), ("off", "off"),
        ("::1:80", nil), ("[127.0.0.1]:80", nil), ("127.0.0.1", nil), ("127.0.0.1:0", nil), ("127.0.0.1:65536", nil),
        ("127.0.0.1:+80", nil), (":", nil), ("[]:1", nil), ("[:1", nil),
    ])
    func listenAddresses(text: String, endpoint: String?) {
        let telemetry = load(base + "telemetry: {listen: '\(text)'}").configuration?.telemetry
        #expect(telemetry.map { $0.listen?.description ?? "off" } == endpoint)
    }

    @Test func suggestions() {
        let problems = load(base + "vni: []\nvnis: [{vni: 1, rotueTargets: auto, zzzzzz: 1}]").problems
        #expect(
            problems.map(\.hint) == [
                "did you mean vnis?", "did you mean routeTargets?",
                "known here: announceGateway, bridge, community, device, enabled, gateway, gatewayMAC, macs, managed, members, mtu, port, rd, routeTargets, signalling, vlan, vni, vrf, vtep, vxlan",
            ])
    }

    /// Trees made of the right words in the wrong places, and good files with octets changed: answers, never traps, and
    /// either a configuration or an error.
    @Test func garbageNeverTraps() throws {
        var random = Generator(state: 5)
        let words = try vocabulary()
        for _ in 0..<3000 {
            let document = random.document(words, depth: 6)
            let (configuration, problems) = Configuration.load(from: document)
            #expect((configuration == nil) == problems.hasErrors)
        }
        for name in files(in: fixtures + "/good") + ["../bad/neighbors.yaml", "../bad/vnis.yaml", "../bad/vrfs.yaml"] {
            let original = try readFile("\(fixtures)/good/\(name)").get()
            for _ in 0..<150 {
                var bytes = original
                for _ in 0...random.below(4) {
                    let index = random.below(bytes.count)
                    switch random.below(3) {
                    case 0: bytes[index] = UInt8(truncatingIfNeeded: random.below(256))
                    case 1: bytes.remove(at: index)
                    default: bytes.insert(bytes[random.below(bytes.count)], at: index)
                    }
                }
                let parsed = Document.parse(yaml: bytes)
                guard let document = parsed.document else { continue }
                let (configuration, problems) = Configuration.load(from: document)
                #expect((configuration == nil) == problems.hasErrors)
            }
        }
    }

    /// The keys and words that the fixtures use.
    private func vocabulary() throws -> [String] {
        var words: Set<String> = [
            "", "~", "true", "false", "0", "-1", "65536", "4294967296", "99999999999999999999", "auto",
        ]
        func collect(_ document: Document) {
            switch document.content {
            case .scalar(let text, _): words.insert(text)
            case .list(let elements): for element in elements { collect(element) }
            case .map(let entries):
                for entry in entries {
                    words.insert(entry.key)
                    collect(entry.value)
                }
            }
        }
        for name in files(in: fixtures + "/good") {
            if let document = Document.read(file: "\(fixtures)/good/\(name)").document { collect(document) }
        }
        return words.sorted()
    }
}

private struct Generator {
    var state: UInt64
    mutating func below(_ limit: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return limit <= 0 ? 0 : Int((state >> 33) % UInt64(limit))
    }
    /// The upper levels follow the shape of the file half of the time, so that the depths are reached.
    mutating func document(_ words: [String], depth: Int) -> Document {
        let place = SourcePosition(line: 1 + below(100), column: 1 + below(80))
        let kind = depth == 6 ? 2 : below(depth > 0 ? 3 : 1)
        switch kind {
        case 0: return Document(.scalar(words[below(words.count)], below(3) == 0 ? .quoted : .plain), at: place)
        case 1: return Document(.list((0..<below(4)).map { _ in document(words, depth: depth - 1) }), at: place)
        default:
            let roots = [
                "node", "bgp", "vnis", "vrfs", "mobility", "forwarding", "telemetry", "control", "global", "neighbors",
            ]
            var seen: Set<String> = []
            var entries: [Document.Entry] = []
            for _ in 0..<below(8) {
                let key = below(2) == 0 ? roots[below(roots.count)] : words[below(words.count)]
                guard seen.insert(key).inserted else { continue }
                entries.append(Document.Entry(key, at: place, document(words, depth: depth - 1)))
            }
            return Document(.map(entries), at: place)
        }
    }
}
