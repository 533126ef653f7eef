// Bytes of the real kernel against values, requests against bytes, and garbage.

import NetTypes
import Testing

@testable import Netlink

private func mac(_ text: String) -> MACAddress { MACAddress(text) ?? .zero }
private func ip(_ text: String) -> IPAddress { IPAddress(text) ?? .v4(.any) }

@Suite struct CaptureTests {
    @Test func bothTablesByOneRequest() throws {
        let entries = try decoded(
            "bridge fdb replace 02:00:00:00:00:0a dev vx dst 192.0.2.2 self master extern_learn"
        ) { FDBEntry(decoding: $0.payload) }
        #expect(entries.count == 2)
        let bridge = try #require(entries.first { $0.master != 0 })
        let device = try #require(entries.first { $0.master == 0 })
        #expect(bridge.mac == mac("02:00:00:00:00:0a") && bridge.flags.contains(.externallyLearned))
        #expect(bridge.destination == nil && bridge.interface == device.interface)
        #expect(device.destination == ip("192.0.2.2") && device.vni == nil)
        #expect(device.flags.contains(.externallyLearned))
    }
    @Test func downstreamVNI() throws {
        let entries = try decoded(
            "bridge fdb replace 02:00:00:00:00:0b dev vx dst 192.0.2.3 vni 200 self extern_learn"
        ) { FDBEntry(decoding: $0.payload) }
        #expect(entries.map(\.vni) == [200])
    }
    @Test func floodMember() throws {
        let entries = try decoded("bridge fdb append 00:00:00:00:00:00 dev vx dst 192.0.2.2") {
            FDBEntry(decoding: $0.payload)
        }
        #expect(entries.map(\.mac) == [.zero] && entries.map(\.destination) == [ip("192.0.2.2")])
        #expect(!entries[0].flags.contains(.externallyLearned))
    }
    @Test func stickyStatic() throws {
        let entries = try decoded("bridge fdb add 02:00:00:00:00:0c dev vx master static sticky") {
            FDBEntry(decoding: $0.payload)
        }
        #expect(entries.count == 1 && entries[0].flags.contains(.sticky) && entries[0].state.contains(.noARP))
    }
    @Test func deletion() throws {
        let types = try decoded("bridge fdb del 02:00:00:00:00:0a dev vx self") { $0.type }
        #expect(types == [MessageType.deleteNeighbor])
    }
    @Test func neighbors() throws {
        let ours = try decoded(
            "ip neigh replace 10.0.0.1 lladdr 02:00:00:00:00:0a dev br0 nud noarp extern_learn protocol 211"
        ) { NeighborEntry(decoding: $0.payload) }
        let first = try #require(ours.first)
        #expect(first.ip == ip("10.0.0.1") && first.mac == mac("02:00:00:00:00:0a"))
        #expect(first.proto == 211 && first.state == .noARP && first.flags == .externallyLearned)
        let router = try decoded(
            "ip neigh replace 2001:db8::1 lladdr 02:00:00:00:00:0a dev br0 nud reachable router"
        ) { NeighborEntry(decoding: $0.payload) }
        #expect(router.first?.flags == .router && router.first?.state == .reachable)
        #expect(router.first?.ip == ip("2001:db8::1"))
    }
    /// A range of VLANs comes as its ends, the VNIs count with it; told are the port and its VLANs.
    @Test func vlans() throws {
        func ranges(_ command: String) throws -> [PortVLANs] {
            try decoded(command) { $0.type == MessageType.newVLAN ? PortVLANs.decode($0.payload) : nil }.flatMap { $0 }
        }
        let added = try ranges("bridge vlan add dev vx vid 10-12")
        #expect(added.map(\.vlans) == [10...12] && added.map(\.vni) == [nil] && added.map(\.isPVID) == [false])
        let mapped = try ranges("bridge vlan add dev vx vid 10-12 tunnel_info id 22001-22003")
        #expect(mapped.map(\.vlans) == [10...12] && mapped.map(\.vni) == [22001])
        let access = try ranges("bridge vlan add dev vx vid 20 pvid untagged")
        #expect(
            access.map(\.vlans) == [20...20] && access.map(\.isPVID) == [true] && access.map(\.isUntagged) == [true])
        let gone = try decoded("bridge vlan del dev vx vid 11") {
            $0.type == MessageType.deleteVLAN ? PortVLANs.interface($0.payload) : nil
        }
        #expect(gone.count == 1 && gone.first == mapped.first?.interface)
    }
    @Test func externalDevice() throws {
        let entries = try decoded(
            "bridge fdb replace 02:00:00:00:00:0a dev vx vlan 10 dst 192.0.2.2 src_vni 22001 self master extern_learn"
        ) { FDBEntry(decoding: $0.payload) }.filter { $0.mac == mac("02:00:00:00:00:0a") }
        let device = try #require(entries.first { $0.master == 0 })
        let bridge = try #require(entries.first { $0.master != 0 })
        #expect(device.sourceVNI == 22001 && device.vni == nil && device.destination == ip("192.0.2.2"))
        #expect(bridge.vlan == 10 && bridge.sourceVNI == nil)
        let port = try decoded("bridge link set dev vx vlan_tunnel on learning off") {
            Link(decoding: $0.payload)?.port
        }
        #expect(port.last?.mapsVLANs == true && port.last?.isLearning == false)
        let upper = try decoded("ip link add link br0 name br0.10 type vlan id 10") { Link(decoding: $0.payload) }
        #expect(upper.contains { $0.vlan == 10 && $0.lower == bridge.master })
    }
    /// The list of a port's VLANs may be longer than the place for one notification: what comes before it is still read.
    @Test func cutNotificationOfAPort() throws {
        let command = "bridge vlan add dev vx vid 10-12 tunnel_info id 22001-22003"
        let messages = try fixture("vlans.txt").first { $0.command == command }?.messages ?? []
        var ports = 0
        for message in messages {
            for length in 0..<message.count {
                message[..<length].withUnsafeBytes { bytes in
                    guard let cut = NetlinkMessage(cutPortOf: bytes), let link = Link(decoding: cut.payload) else {
                        return
                    }
                    if link.port?.mapsVLANs == true { ports += 1 }
                }
            }
        }
        #expect(ports > 0)
    }
    @Test func address() throws {
        let addresses = try decoded("ip addr add 10.0.0.254/24 dev br0") {
            $0.type == MessageType.newAddress ? InterfaceAddress(decoding: $0.payload) : nil
        }
        #expect(addresses.map(\.ip) == [ip("10.0.0.254")] && addresses.map(\.prefixLength) == [24])
    }
    @Test func vxlanLinks() throws {
        let link = try #require(
            try decoded("ip link set vx up") { $0.payload.first == 0 ? Link(decoding: $0.payload) : nil }
                .last { $0.name == "vx" })
        #expect(link.kind == "vxlan" && link.alias == "evpnd:vni=100" && link.isUp && link.master > 0)
        let vxlan = try #require(link.vxlan)
        #expect(vxlan.vni == 100 && vxlan.local == ip("192.0.2.1") && vxlan.port == 4789 && vxlan.ttl == 64)
        #expect(!vxlan.isLearning && !vxlan.collectsMetadata && vxlan.remote == nil)
        #expect(link.port?.isLearning == false && link.port?.suppressesNeighbors == true)
        let other = try #require(
            try decoded("ip link add v6 type vxlan id 300 local 2001:db8::1 dstport 4790 learning") {
                Link(decoding: $0.payload)
            }.last)
        #expect(other.vxlan?.local == ip("2001:db8::1") && other.vxlan?.isLearning == true)
        #expect(other.vxlan?.port == 4790 && other.port == nil)
    }
    @Test func bridgePortChange() throws {
        let links = try decoded("bridge link set dev vx learning off neigh_suppress on") {
            $0.payload.first == Family.bridge ? Link(decoding: $0.payload) : nil
        }
        let last = try #require(links.last)
        #expect(last.port?.isLearning == false && last.port?.suppressesNeighbors == true)
    }
}

@Suite struct GarbageTests {
    /// Decodes a datagram with every decoder there is.
    private func decodeAll(_ datagram: [UInt8]) -> Int {
        var count = 0
        datagram.withUnsafeBytes { bytes in
            NetlinkMessage.forEach(in: bytes) { message in
                count += 1
                _ = Link(decoding: message.payload)
                _ = FDBEntry(decoding: message.payload)
                _ = NeighborEntry(decoding: message.payload)
                _ = InterfaceAddress(decoding: message.payload)
                _ = Route(decoding: message.payload)
                _ = Nexthop(decoding: message.payload)
                for range in PortVLANs.decode(message.payload) { #expect(range.vlans.upperBound <= 4094) }
                _ = decodeError(message)
                _ = extendedText(message)
            }
        }
        return count
    }
    @Test func truncationAtEveryOctet() throws {
        for (_, messages) in try fixture() {
            for message in messages {
                for length in 0..<message.count { #expect(decodeAll(Array(message[..<length])) == 0) }
                // The same with a header that claims the shorter length, so that the attributes are cut.
                for length in stride(from: 16, to: message.count, by: 1) {
                    var cut = Array(message[..<length])
                    withUnsafeBytes(of: UInt32(length)) { cut.replaceSubrange(0..<4, with: $0) }
                    #expect(decodeAll(cut) == 1)
                }
            }
        }
    }
    @Test(arguments: [UInt64(1), 2, 3]) func mutation(seed: UInt64) throws {
        var state = seed
        func random(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % max(1, bound)
        }
        let all = try fixture().flatMap(\.messages)
        for _ in 0..<20_000 {
            var message = all[random(all.count)]
            for _ in 0...random(6) {
                message[random(message.count)] = [0, 1, 0x7f, 0x80, 0xff, UInt8(random(256))][random(6)]
            }
            _ = decodeAll(message)
        }
    }
    @Test func errorTexts() {
        // error -17, header of the request, NLM_F_CAPPED | NLM_F_ACK_TLVS, attribute 1 "nope"
        var payload: [UInt8] = []
        withUnsafeBytes(of: Int32(-17)) { payload += $0 }
        payload += [UInt8](repeating: 0, count: 16) + [9, 0, 1, 0] + Array("nope".utf8) + [0, 0, 0, 0]
        payload.withUnsafeBytes { bytes in
            let message = NetlinkMessage(
                type: MessageType.error, flags: [.capped, .hasAttributes], sequence: 1, port: 0, payload: bytes)
            #expect(decodeError(message)?.description == "nope (File exists)")
            let plain = NetlinkMessage(type: MessageType.error, flags: [], sequence: 1, port: 0, payload: bytes)
            #expect(decodeError(plain)?.description == "File exists")
        }
    }
}

@Suite struct RequestTests {
    /// What a batch would send, read back by the decoders.
    @Test func requestsReadBack() throws {
        var batch = NetlinkBatch()
        batch.setFDB(
            sequence: 7, interface: 3, mac: mac("02:00:00:00:00:0a"), destination: ip("2001:db8::2"), vni: 200,
            state: .reachable, flags: [.own, .master, .externallyLearned], mode: [.create, .replace])
        batch.setNeighbor(
            sequence: 8, interface: 4, ip: ip("10.0.0.1"), mac: mac("02:00:00:00:00:0b"), state: .noARP,
            flags: [.externallyLearned, .router], proto: 211)
        batch.addVXLAN(
            sequence: 9, name: "vxlan100", vni: 100, local: ip("192.0.2.1"), port: 4789, ttl: 64, mtu: 1450)
        batch.finish()
        batch.acknowledgeLast()
        var seen: [UInt32] = []
        var flags: [MessageFlags] = []
        batch.bytes.withUnsafeBytes { bytes in
            NetlinkMessage.forEach(in: bytes) { message in
                seen.append(message.sequence)
                flags.append(message.flags)
                switch message.sequence {
                case 7:
                    let entry = FDBEntry(decoding: message.payload)
                    #expect(entry?.destination == IPAddress("2001:db8::2") && entry?.vni == 200)
                    #expect(entry?.flags == [.own, .master, .externallyLearned] && entry?.state == .reachable)
                case 8:
                    let entry = NeighborEntry(decoding: message.payload)
                    #expect(entry?.ip == IPAddress("10.0.0.1") && entry?.proto == 211 && entry?.interface == 4)
                default:
                    for attribute in AttributeReader(message.payload, from: 16) where attribute.type == 18 {
                        for part in attribute.nested where part.type == 2 {
                            let vxlan = Link.VXLAN(decoding: part.nested)
                            #expect(vxlan.vni == 100 && vxlan.port == 4789 && vxlan.ttl == 64 && !vxlan.isLearning)
                        }
                    }
                }
            }
        }
        #expect(seen == [7, 8, 9])
        #expect(flags.map { $0.contains(.acknowledge) } == [false, false, true])
        #expect(flags[0] == [.request, .create, .replace])
    }
}
