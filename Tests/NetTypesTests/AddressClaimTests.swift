// Claims of addresses on the wire: what is read, what is refused, what is sent.

import NetTypes
import Testing

@Suite struct AddressClaimTests {
    private let mac = MACAddress(rawValue: 0x0200_0000_000a)
    private func arp(_ octets: [UInt8]) -> AddressClaim? {
        octets.withByteReader { reader in
            do throws(ByteError) { return try AddressClaim(decodingARP: &reader) } catch { return nil }
        }
    }
    private func discovery(_ octets: [UInt8], from source: String) -> AddressClaim? {
        guard let address = IPv6Address(source) else { return nil }
        return octets.withByteReader { reader in
            do throws(ByteError) {
                return try AddressClaim(decodingDiscovery: &reader, from: address)
            } catch { return nil }
        }
    }
    /// A request of 02:00:00:00:00:0a, 10.0.0.1, for 10.0.0.2.
    private let request: [UInt8] =
        [0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 10, 10, 0, 0, 1] + [0, 0, 0, 0, 0, 0, 10, 0, 0, 2]

    @Test func readsARP() throws {
        let claim = AddressClaim(ip: try #require(IPAddress("10.0.0.1")), mac: mac)
        #expect(arp(request) == claim)
        #expect(arp(request + [UInt8](repeating: 0, count: 18)) == claim, "padding of a short frame")
        for count in 0..<request.count { #expect(arp(Array(request.prefix(count))) == nil) }
        // Each of these octets wrong: types, lengths, operation, a group address.
        for (index, value) in [(1, 6), (2, 0x86), (4, 8), (5, 16), (7, 3), (7, 0), (8, 3)] as [(Int, UInt8)] {
            var wrong = request
            wrong[index] = value
            #expect(arp(wrong) == nil, "octet \(index)")
        }
        // A probe, and addresses that no host has.
        for address in ["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"] {
            let octets = try #require(IPAddress(address)).octets
            #expect(arp(request[..<14] + octets + request[18...]) == nil, "\(address)")
        }
    }
    @Test func readsDiscovery() throws {
        let target = try #require(IPAddress("2001:db8::7"))
        let source = "2001:db8::1"
        let options: [UInt8] = [1, 1, 2, 0, 0, 0, 0, 10, 2, 1, 2, 0, 0, 0, 0, 11]
        let solicitation = [135, 0, 0, 0, 0, 0, 0, 0] + target.octets + options
        let advertisement = [136, 0, 0, 0, 0xa0, 0, 0, 0] + target.octets + options
        #expect(
            discovery(solicitation, from: source)
                == AddressClaim(ip: try #require(IPAddress(source)), mac: mac))
        #expect(
            discovery(advertisement, from: source)
                == AddressClaim(ip: target, mac: MACAddress(rawValue: 0x0200_0000_000b), isRouter: true))
        #expect(discovery(solicitation, from: "::") == nil, "duplicate address detection")
        #expect(discovery(Array(solicitation.prefix(24)), from: source) == nil, "without an Ethernet address")
        for count in 0..<32 { #expect(discovery(Array(advertisement.prefix(count)), from: source) == nil) }
        for (index, value) in [(0, 134), (1, 1), (25, 0), (25, 9)] as [(Int, UInt8)] {
            var wrong = advertisement
            wrong[index] = value
            #expect(discovery(wrong, from: source) == nil, "octet \(index)")
        }
    }
    /// Whatever is changed in a message, it is refused, or read as a claim that can be told.
    @Test func survivesDamage() throws {
        let target = try #require(IPAddress("2001:db8::7")).octets
        let advertisement =
            [136, 0, 0, 0, 0xa0, 0, 0, 0] + target + [2, 1, 2, 0, 0, 0, 0, 11, 14, 1, 0, 0, 0, 0, 0, 0]
        var state: UInt64 = 1
        func random(_ limit: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % limit
        }
        var read = 0
        for round in 0..<20_000 {
            let isARP = round % 2 == 0
            var octets = isARP ? request : advertisement
            for _ in 0...random(3) { octets[random(octets.count)] = UInt8(random(256)) }
            if random(4) == 0 { octets = Array(octets.prefix(random(octets.count))) }
            guard let claim = isARP ? arp(octets) : discovery(octets, from: "2001:db8::1") else { continue }
            read += 1
            #expect(claim.mac.isUsableByHost && !claim.ip.isMulticast && !claim.ip.isUnspecified)
            let payload = claim.announcement.payload
            #expect((isARP ? arp(payload) : discovery(Array(payload[40...]), from: "2001:db8::1")) == claim)
        }
        #expect(read > 1000)
    }
    @Test func announces() throws {
        let claim = AddressClaim(ip: try #require(IPAddress("10.0.0.1")), mac: mac)
        let frame = claim.announcement
        #expect(frame.destination == .broadcast && frame.type == 0x0806 && arp(frame.payload) == claim)
        #expect(Array(frame.payload[24..<28]) == [10, 0, 0, 1], "of the sender itself")

        let ip = try #require(IPAddress("2001:db8::ffff:7"))
        for isRouter in [false, true] {
            let claim = AddressClaim(ip: ip, mac: mac, isRouter: isRouter)
            let frame = claim.announcement
            #expect(frame.destination.octets == [0x33, 0x33, 0, 0, 0, 1] && frame.type == 0x86dd)
            #expect(frame.payload.count == 72 && Array(frame.payload[8..<24]) == ip.octets)
            #expect(Array(frame.payload[4..<8]) == [0, 32, 58, 255])
            #expect(discovery(Array(frame.payload[40...]), from: ip.description) == claim)
            // RFC 4443 §2.3: the sum over pseudo-header and message is all ones.
            let summed = frame.payload[8...] + [0, 0, 0, 32, 0, 0, 0, 58]
            var sum = 0
            for (index, octet) in summed.enumerated() { sum += Int(octet) << (index % 2 == 0 ? 8 : 0) }
            while sum > 0xffff { sum = sum & 0xffff + sum >> 16 }
            #expect(sum == 0xffff)
        }
    }
}
