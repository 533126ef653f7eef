// No octets trap the codec: every single-octet change and every truncation of good messages, and noise.

import BGP
import NetTypes
import Testing

@Suite struct RobustnessTests {
    private static let seeds: [[UInt8]] = [
        Good.plain(attribute(0xc0, 8, [0, 1, 0, 2]), attribute(0xc0, 16, hex("0002fde800000064"))),
        Good.evpn(attribute(0xc0, 22, hex("0006000064c0000201")), attribute(0xc0, 32, Array(repeating: 1, count: 12))),
        update([
            Good.origin, Good.asPath,
            attribute(
                0x80, 14,
                hex("0019 46 04 c0000201 00")
                    + hex("0611 0001c00002010064 00000000 20 ef010101 00 00 02".replacing("0611", with: "0614"))
                    + hex("0914 0001c00002010064 00000000 0102030405060708")),
        ]),
        update([
            Good.origin, Good.asPath,
            attribute(0x80, 14, hex("0001 80 0c 0000000000000000c0000201 00 70 000101 0001c00002010064 0a0102")),
        ]),
        Message.open(
            Open(
                myAS: 65000, holdTimeSeconds: 90, routerID: IPv4Address(rawValue: 1),
                capabilities: [
                    .multiprotocol(.l2vpnEVPN), .fourOctetAS(65000), .fqdn(hostname: "a", domain: "b"),
                    .gracefulRestart(flags: 4, restartTimeSeconds: 1, families: [.init(family: .l2vpnEVPN, flags: 0)]),
                ])
        ).encoded(),
        Message.notification(NotificationMessage(code: 6, subcode: 2, data: [1, 65])).encoded(),
    ]
    private static let options = [
        CodecOptions(), CodecOptions(fourOctetAS: false, addPathReceive: Set(Family.supported), isExternal: true),
    ]

    /// Decodes, and encodes what came out: neither may trap.
    private func exercise(_ octets: [UInt8], _ options: CodecOptions) {
        guard case .success(let message) = decode(octets, options) else { return }
        _ = message.encoded(options: options)
        octets.withByteReader { reader in
            do throws(SessionFault) { _ = try Message.decodeUpdate(reader, options: options) } catch {}
        }
    }

    @Test func everyOctetChanged() {
        for octets in Self.seeds {
            for index in octets.indices {
                for change: UInt8 in [1, 2, 4, 8, 16, 32, 64, 128, 255] {
                    var changed = octets
                    changed[index] ^= change
                    for options in Self.options { exercise(changed, options) }
                }
            }
        }
    }

    @Test func everyTruncation() {
        for octets in Self.seeds {
            for length in 0..<octets.count {
                var cut = Array(octets.prefix(length))
                for options in Self.options { exercise(cut, options) }
                // Once more with a header that agrees, so that the body's own checks are reached.
                if length >= 19 {
                    cut[16] = UInt8(length >> 8)
                    cut[17] = UInt8(length & 255)
                    for options in Self.options { exercise(cut, options) }
                }
            }
        }
    }

    @Test func noiseBehindAGoodHeader() {
        let seed = UInt64.random(in: .min ... .max)
        var random = SeededGenerator(seed: seed)
        for _ in 0..<20_000 {
            let length = Int.random(in: 19...120, using: &random)
            var octets = [UInt8](repeating: 255, count: 16)
            octets += [UInt8(length >> 8), UInt8(length & 255), UInt8.random(in: 0...6, using: &random)]
            octets += (19..<length).map { _ in
                random.chance(3) ? UInt8.random(in: 0...255, using: &random) : UInt8.random(in: 0...25, using: &random)
            }
            for options in Self.options { exercise(octets, options) }
        }
    }

    @Test func headerFaults() {
        func fault(_ octets: [UInt8]) -> [UInt8]? {
            if case .failure(let fault) = decode(octets) { [fault.code, fault.subcode] } else { nil }
        }
        var keepalive = Message.keepalive.encoded()
        #expect(fault(keepalive) == nil)
        keepalive[3] = 0
        #expect(fault(keepalive) == [1, 1])
        keepalive[3] = 255
        keepalive[18] = 9
        #expect(fault(keepalive) == [1, 3])
        keepalive[18] = 4
        #expect(fault(keepalive + [0]) == [1, 2])
        keepalive[17] = 18
        #expect(fault(keepalive) == [1, 2])
        #expect(fault([]) == [1, 2])
    }

    @Test func openFaults() {
        func subcode(_ change: (inout [UInt8]) -> Void) -> UInt8? {
            var octets = Message.open(
                Open(
                    myAS: 65000, holdTimeSeconds: 90, routerID: IPv4Address(rawValue: 1),
                    capabilities: [.fourOctetAS(65000)])
            ).encoded()
            change(&octets)
            if case .failure(let fault) = decode(octets), fault.code == 2 { return fault.subcode } else { return nil }
        }
        #expect(subcode { _ in } == nil)
        #expect(subcode { $0[19] = 3 } == 1)
        #expect(subcode { $0.replaceSubrange(20..<22, with: [0, 0]) } == 2)
        #expect(subcode { $0.replaceSubrange(22..<24, with: [0, 2]) } == 6)
        #expect(subcode { $0[27] = 0 } == 3)
        #expect(subcode { $0[28] = 3 } == 0)
        #expect(subcode { $0[32] = 3 } == 0)
    }

    /// RFC 9072 §2: the octet 255 after the length makes the form, whatever the length says, unless it says 0.
    @Test func extendedParametersByTheirMarker() {
        let head: [UInt8] = [4, 0xfd, 0xe8, 0, 90, 10, 0, 0, 1]
        func open(_ parameters: [UInt8]) -> Open? {
            let length = UInt8(19 + head.count + parameters.count)
            let octets = Array(repeating: 255, count: 16) + [0, length, 1] + head + parameters
            if case .success(.open(let open)) = decode(octets) { return open } else { return nil }
        }
        for length: UInt8 in [1, 4, 254, 255] {
            let extended = open([length, 255, 0, 9, 2, 0, 6, 65, 4, 0, 0, 0xfd, 0xe8])
            #expect(extended?.hasExtendedParameters == true)
            #expect(extended?.capabilities == [.fourOctetAS(65000)])
        }
        #expect(open([0])?.hasExtendedParameters == false)
        #expect(open([0, 255, 0, 0]) == nil)
        #expect(open([255, 255, 0]) == nil)
        #expect(open([255, 255, 0, 0])?.capabilities == [])
        #expect(open([255, 255, 0, 1]) == nil)
        #expect(open([4, 2, 0, 255, 0]) == nil)
        #expect(open([4, 2, 0, 254, 0])?.otherParameters.map(\.type) == [254])
    }

    @Test func hostNamesAreCutBetweenCharacters() {
        let name = String(repeating: "é", count: 40)
        let open = Open(
            myAS: 65000, holdTimeSeconds: 90, routerID: IPv4Address(rawValue: 1),
            capabilities: [.fqdn(hostname: "a" + name, domain: name)])
        guard case .success(.open(let again)) = decode(Message.open(open).encoded()) else {
            Issue.record("refused")
            return
        }
        let cut = String(repeating: "é", count: 31)
        #expect(again.capabilities == [.fqdn(hostname: "a" + cut, domain: cut + "é")])
    }

    @Test func shutdownTexts() {
        let long = String(repeating: "é", count: 200)
        let message = NotificationMessage.shutdown(text: long)
        #expect(message.data.count == 255)
        #expect(message.shutdownText == String(repeating: "é", count: 127))
        #expect(NotificationMessage.shutdown(text: nil).shutdownText == nil)
        #expect(NotificationMessage(code: 6, subcode: 2, data: [1, 0xff]).shutdownText == nil)
        #expect(NotificationMessage(code: 6, subcode: 2, data: [9, 65]).shutdownText == nil)
        #expect(NotificationMessage(code: 6, subcode: 2).name == "Cease: Administrative Shutdown")
        #expect(NotificationMessage(code: 99, subcode: 1).name == "code 99: subcode 1")
    }
}
