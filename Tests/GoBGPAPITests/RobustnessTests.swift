// Whatever octets come, reading ends, without a trap and within its limits.

import BGP
import GoBGPAPI
import NetTypes
import Testing

/// A small generator, so that a failure can be repeated.
private struct Random {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 | 1 }
    mutating func next(_ limit: Int) -> Int {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return Int(state >> 33) % max(limit, 1)
    }
}

struct RobustnessTests {
    @Test(arguments: APIGeneration.allCases) func mutatedOctets(_ generation: APIGeneration) {
        var random = Random(generation == .v3 ? 7 : 11)
        let originals = Samples.routes.indices.map { WatchEventReply([Samples.path($0)]).encoded(generation) }
        var outcomes = (read: 0, faults: 0, refused: 0)
        for _ in 0..<4000 {
            var octets = originals[random.next(originals.count)]
            for _ in 0...random.next(4) {
                let at = random.next(octets.count)
                switch random.next(4) {
                case 0: octets[at] ^= UInt8(1 << random.next(8))
                case 1: octets[at] = UInt8(random.next(256))
                case 2: octets.remove(at: at)
                default: octets.insert(UInt8(random.next(256)), at: at)
                }
            }
            var decoder = WatchEventDecoder(generation)
            let piece = 1 + random.next(octets.count)
            do throws(ByteError) {
                for start in stride(from: 0, to: octets.count, by: piece) {
                    try decoder.append(Array(octets[start..<min(start + piece, octets.count)])) { element in
                        switch element {
                        case .path(.failure): outcomes.faults += 1
                        default: outcomes.read += 1
                        }
                    }
                }
                _ = try decoder.end()
            } catch { outcomes.refused += 1 }
        }
        // All three happen, or the mutations are too tame or too wild to test anything.
        #expect(outcomes.read > 200 && outcomes.faults > 200 && outcomes.refused > 200, "\(outcomes)")
    }

    /// The pieces make no difference to the outcome.
    @Test func piecesDoNotMatterForDamagedMessages() {
        var random = Random(3)
        let original = WatchEventReply([Samples.path(0), Samples.path(12)]).encoded(.v4)
        for _ in 0..<100 {
            var octets = original
            octets[random.next(octets.count)] = UInt8(random.next(256))
            func run(_ piece: Int) -> (String, Bool) {
                var decoder = WatchEventDecoder(.v4)
                var text = ""
                do throws(ByteError) {
                    for start in stride(from: 0, to: octets.count, by: piece) {
                        try decoder.append(Array(octets[start..<min(start + piece, octets.count)])) {
                            text += "\($0)\n"
                        }
                    }
                    _ = try decoder.end()
                    return (text, true)
                } catch { return (text, false) }
            }
            #expect(run(octets.count) == run(3))
        }
    }

    // MARK: Poison routes

    /// Reads one v4 path with the given fields.
    private func path(_ body: (inout ProtobufWriter) -> Void) -> DecodedPath? {
        var writer = ProtobufWriter()
        writer.message(3, body)
        return (try? AddPathRequest(decoding: writer.bytes, .v4))?.path ?? nil
    }
    private func origin(_ writer: inout ProtobufWriter) { writer.message(2) { $0.message(2) { _ in } } }
    private func macIP(
        _ writer: inout ProtobufWriter, _ address: String, labels: [UInt32], mac: String = "02:00:00:00:00:01"
    ) {
        writer.message(1) {
            $0.message(6) {
                $0.message(1) { $0.message(1) { $0.uint32(1, 65000) } }
                $0.string(4, mac)
                $0.string(5, address)
                $0.uint32s(6, labels)
            }
        }
    }
    private func reason(_ path: DecodedPath?) -> String? {
        if case .failure(let fault)? = path { fault.reason } else { nil }
    }

    @Test func missingAddresses() {
        for none in ["", "<nil>", "invalid IP", "0.0.0.0", "::"] {
            let read = path {
                origin(&$0)
                macIP(&$0, none, labels: [100])
            }
            #expect((try? read?.get())?.key.address == nil && (try? read?.get()) != nil, "\(none)")
        }
        #expect(reason(path { macIP(&$0, "nonsense", labels: [100]) }) == "IP address")
        #expect(reason(path { macIP(&$0, "", labels: []) }) == "no label")
        #expect(reason(path { macIP(&$0, "", labels: [1 << 24]) }) == "label above 24 bits")
        #expect(reason(path { macIP(&$0, "", labels: [1, 2, 3]) }) == "more than 2 values")
        #expect(reason(path { macIP(&$0, "", labels: [1], mac: "02:00") }) == "MAC address")
    }

    @Test func attributesThatCannotBeUsedKeepTheKey() {
        let broken = path {
            $0.message(2) { $0.message(2) { $0.uint32(1, 9) } }
            macIP(&$0, "10.0.0.1", labels: [100])
            $0.string(15, "fe80::1%eth0")
        }
        guard case .failure(let fault)? = broken else {
            Issue.record("accepted")
            return
        }
        #expect(fault.reason == "ORIGIN 9" && fault.key?.mac == mac("02:00:00:00:00:01") && !fault.isWithdraw)
        #expect(fault.neighbor == ip("fe80::1"))
        #expect(fault.description == "65000:0 [2]:[0]:[48]:[02:00:00:00:00:01]:[32]:[10.0.0.1]: ORIGIN 9")
        // gobgpd 3.10 drops all attributes when it cannot spell one.
        #expect(reason(path { macIP(&$0, "", labels: [100]) }) == "no attributes")
        // A withdrawal needs none, and none that is broken.
        let withdrawn = path {
            $0.message(2) { $0.message(2) { $0.uint32(1, 9) } }
            macIP(&$0, "10.0.0.1", labels: [100])
            $0.bool(5, true)
        }
        #expect((try? withdrawn?.get())?.isWithdraw == true)
    }

    @Test func unknownAttributesAreSkippedByName() throws {
        let read = try path {
            origin(&$0)
            for number in 30..<45 { $0.message(2) { $0.message(number) { _ in } } }
            macIP(&$0, "", labels: [0])
        }?.get()
        #expect(read?.skippedAttributes == (30..<38).map { "field \($0)" })
        #expect(read?.payload.label1 == 0)
    }

    @Test func otherFamilies() {
        let vpn = path {
            origin(&$0)
            $0.message(1) { $0.message(1) { $0.string(2, "10.0.0.0") } }
            $0.message(9) {
                $0.uint32(1, 1)
                $0.uint32(2, 128)
            }
        }
        guard case .failure(let fault)? = vpn else {
            Issue.record("accepted")
            return
        }
        #expect(fault.reason == "NLRI of family 1/128" && fault.isForeignFamily)
        #expect(reason(path { origin(&$0) }) == "no NLRI")
        #expect(reason(path { $0.message(1) { $0.message(16) { _ in } } }) == "NLRI of unknown kind field 16")
    }

    @Test func type5OfTheWrongLength() {
        func prefix(_ address: String, _ length: UInt32, _ gateway: String) -> DecodedPath? {
            path {
                origin(&$0)
                $0.message(1) {
                    $0.message(9) {
                        $0.message(1) { $0.message(1) { $0.uint32(1, 65000) } }
                        $0.string(4, address)
                        $0.uint32(5, length)
                        $0.string(6, gateway)
                    }
                }
            }
        }
        #expect(reason(prefix("10.0.0.0", 33, "")) == "prefix length")
        #expect(reason(prefix("2001:db8::", 4_000_000_000, "")) == "prefix length")
        #expect(reason(prefix("", 0, "")) == "prefix address")
        #expect(reason(prefix("10.0.0.0", 8, "2001:db8::1")) == "gateway address")
        let v6 = try? prefix("2001:db8::", 32, "0.0.0.0")?.get()
        #expect(v6?.key.prefix == IPPrefix("2001:db8::/32") && v6?.payload.gateway == nil)
    }

    /// UpdatePeer replaces a neighbor's settings, also those that this version does not know.
    @Test(arguments: APIGeneration.allCases) func unknownSettingsOfAPeerAreSentBack(_ generation: APIGeneration) throws
    {
        var writer = ProtobufWriter()
        writer.message(1) { peer in
            peer.message(2) {
                $0.string(4, "192.0.2.254")
                $0.uint32(10, 3)
                $0.string(99, "future")
            }
            peer.message(7) { $0.bool(3, true) }
            peer.message(10) { family in family.message(9) { $0.bool(1, true) } }
            peer.message(77) { $0.octets(1, [1, 2, 3]) }
        }
        let reply = try ListPeerReply(decoding: writer.bytes, generation)
        var peer = try #require(reply.content)
        #expect(Wrapped(peer).encoded(generation) == writer.bytes)
        peer.configuration.peerASN = 65000
        let again = try ListPeerReply(decoding: Wrapped(peer).encoded(generation), generation)
        #expect(again.content == peer && peer.configuration.unknownFields.count == 2 + 3 + 6)
        // What nobody sends back is dropped, and there is a limit.
        #expect(try GetBgpReply(decoding: writer.bytes, generation).unknownFields == [])
        var large = ProtobufWriter()
        large.message(1) { peer in for _ in 0..<100 { peer.octets(77, [UInt8](repeating: 1, count: 100)) } }
        let bounded = try ListPeerReply(decoding: large.bytes, generation)
        #expect(bounded.content.map { $0.unknownFields.count > 3000 && $0.unknownFields.count <= 4096 } == true)
    }

    // MARK: Octets instead of messages

    private func binary(_ nlri: String, _ attributes: [String], _ afi: UInt32, _ safi: UInt32) -> DecodedPath? {
        path {
            $0.message(9) {
                $0.uint32(1, afi)
                $0.uint32(2, safi)
            }
            $0.octets(20, bytes(hex: nlri) ?? [])
            for attribute in attributes { $0.octets(21, bytes(hex: attribute) ?? []) }
        }
    }

    @Test func binaryForms() throws {
        let unicast = try binary("18c00002", ["40010100", "400304c0000201"], 1, 1)?.get()
        #expect(unicast?.key == RouteKey(unicast: prefix("192.0.2.0/24")))
        #expect(unicast?.attributes.nextHop == ip("192.0.2.1") && unicast?.attributes.origin == .igp)

        let imet = "0311" + "0001c00002010001" + "00000000" + "20" + "c0000201"
        let reach = "800e1c" + "001946" + "04c0000201" + "00" + imet
        let evpn = try binary(imet, ["40010100", "400200", reach, "c0100800020000fde80064"], 25, 70)?.get()
        #expect(evpn?.key.kind == .inclusiveMulticast && evpn?.attributes.nextHop == ip("192.0.2.1"))
        #expect(evpn?.attributes.extendedCommunities.count == 1)

        // Attributes that RFC 7606 has treated as a withdrawal: the key stays.
        guard case .failure(let fault)? = binary("18c00002", ["40010109", "400200", "400304c0000201"], 1, 1) else {
            Issue.record("accepted")
            return
        }
        #expect(fault.key == RouteKey(unicast: prefix("192.0.2.0/24")) && fault.reason == "origin value")
        #expect(reason(binary("ff", ["40010100"], 1, 1)) == "binary NLRI")
        #expect(reason(binary("18c00002", [], 1, 128)) == "NLRI of family 1/128")
        #expect(reason(binary("18c00002", [], 1, 1)) == "no attributes")
    }
}
