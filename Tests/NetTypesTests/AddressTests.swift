// Addresses, prefixes, MACs and VNIs: what is read, what is refused, how they are written.

import NetTypes
import Testing

@Suite struct AddressTests {
    @Test(arguments: ["0.0.0.0", "192.0.2.1", "255.255.255.255", "127.0.0.1", "1.20.255.0"])
    func ipv4(_ text: String) throws {
        let address = try #require(IPv4Address(text))
        #expect(address.description == text)
        #expect(IPAddress(text) == .v4(address))
        #expect(IPAddress(octets: address.octets) == .v4(address))
    }
    @Test(arguments: [
        "", ".", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.04", "1.2.3.-4", "+1.2.3.4", "1..3.4",
        "1.2.3.4 ",
        " 1.2.3.4", "1.2.3.4/32", "a.b.c.d", "1.2.3.4\u{0}", "１.2.3.4", "0x1.2.3.4", "99999999999999999999.1.1.1",
    ])
    func noIPv4(_ text: String) {
        #expect(IPv4Address(text) == nil)
        #expect(IPAddress(text) == nil)
    }

    /// RFC 5952.
    @Test(arguments: [
        ("::", "::"), ("::1", "::1"), ("1::", "1::"), ("2001:DB8::1", "2001:db8::1"),
        ("2001:db8:0:0:0:0:0:1", "2001:db8::1"),
        ("2001:0db8::0001", "2001:db8::1"), ("1:0:0:2:0:0:0:3", "1:0:0:2::3"), ("1:0:0:2:0:0:3:4", "1::2:0:0:3:4"),
        ("1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"), ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),
        ("::ffff:c000:201", "::ffff:192.0.2.1"), ("fe80::a:b", "fe80::a:b"), ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"),
        ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"),
    ])
    func ipv6(_ text: String, _ canonical: String) throws {
        let address = try #require(IPv6Address(text))
        #expect(address.description == canonical)
        #expect(IPv6Address(canonical) == address)
        #expect(IPAddress(octets: address.octets) == .v6(address))
    }
    @Test(arguments: [
        "", ":", ":::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "12345::", "g::", ":1:2:3:4:5:6:7:8",
        "1:2:3:4:5:6:7:8:",
        "fe80::1%eth0", "::1 ", "1:2:3:4:5:6:7:8::", "::1.2.3", "::1.2.3.4.5", "1.2.3.4::", "::256.1.1.1", "::-1",
        "::+1", "[::1]",
    ])
    func noIPv6(_ text: String) { #expect(IPv6Address(text) == nil) }

    @Test func everyOctetCountButTwoIsRefused() {
        for count in 0...20 {
            let address = IPAddress(octets: [UInt8](repeating: 1, count: count))
            #expect((address != nil) == (count == 4 || count == 16))
        }
    }

    @Test(arguments: [
        ("0.0.0.0", "unspecified"), ("::", "unspecified"), ("127.1.2.3", "loopback"), ("::1", "loopback"),
        ("224.0.0.1", "multicast"), ("239.255.255.255", "multicast"), ("ff02::1", "multicast"),
        ("169.254.1.1", "link-local"),
        ("fe80::1", "link-local"), ("febf::1", "link-local"), ("fec0::1", ""), ("192.0.2.1", ""), ("2001:db8::1", ""),
        ("240.0.0.1", ""),
    ])
    func kinds(_ text: String, _ kind: String) throws {
        let address = try #require(IPAddress(text))
        let kinds = [
            address.isUnspecified ? "unspecified" : nil, address.isLoopback ? "loopback" : nil,
            address.isMulticast ? "multicast" : nil, address.isLinkLocal ? "link-local" : nil,
        ].compactMap { $0 }
        #expect(kinds == (kind.isEmpty ? [] : [kind]))
    }
    @Test func order() throws {
        let sorted = try ["0.0.0.1", "10.0.0.2", "192.0.2.1", "::1", "2001:db8::", "ff02::1"].map {
            try #require(IPAddress($0))
        }
        #expect(sorted.reversed().sorted() == sorted)
    }

    // MARK: Prefixes

    @Test(arguments: [
        ("192.0.2.0/24", "192.0.2.0/24"), ("192.0.2.129/25", "192.0.2.128/25"), ("0.0.0.0/0", "0.0.0.0/0"),
        ("255.255.255.255/0", "0.0.0.0/0"), ("192.0.2.1/32", "192.0.2.1/32"),
        ("2001:db8:ffff::/33", "2001:db8:8000::/33"),
        ("::/0", "::/0"), ("2001:db8::1/128", "2001:db8::1/128"), ("2001:db8::ffff/64", "2001:db8::/64"),
        ("ffff::/1", "8000::/1"),
        ("::ff/127", "::fe/127"), ("1:2:3:4:ffff::/65", "1:2:3:4:8000::/65"),
    ])
    func prefixes(_ text: String, _ canonical: String) throws {
        let prefix = try #require(IPPrefix(text))
        #expect(prefix.description == canonical)
        #expect(prefix.contains(prefix.address))
    }
    @Test(arguments: [
        "", "/", "192.0.2.0", "192.0.2.0/", "/24", "192.0.2.0/33", "192.0.2.0/-1", "192.0.2.0/+1", "192.0.2.0/24/1",
        "::/129",
        "192.0.2.0/ 24", "192.0.2.0/99999999999999999999", "x/24",
    ])
    func noPrefix(_ text: String) { #expect(IPPrefix(text) == nil) }
    @Test func containment() throws {
        func contains(_ prefix: String, _ address: String) throws -> Bool {
            try #require(IPPrefix(prefix)).contains(try #require(IPAddress(address)))
        }
        #expect(try contains("192.0.2.0/25", "192.0.2.127"))
        #expect(try !contains("192.0.2.0/25", "192.0.2.128"))
        #expect(try contains("0.0.0.0/0", "255.255.255.255"))
        #expect(try !contains("0.0.0.0/0", "::"), "families never contain each other")
        #expect(try !contains("::/0", "0.0.0.0"))
        #expect(try contains("2001:db8::/63", "2001:db8:0:1:ffff::"))
        #expect(try !contains("2001:db8::/64", "2001:db8:0:1::"))
        #expect(try contains("192.0.2.1/32", "192.0.2.1"))
    }
    @Test func lengthsOutOfRange() throws {
        let v4 = try #require(IPAddress("192.0.2.1"))
        let v6 = try #require(IPAddress("2001:db8::1"))
        #expect(IPPrefix(v4, length: 33) == nil && IPPrefix(v4, length: -1) == nil && IPPrefix(v4, length: .max) == nil)
        #expect(IPPrefix(v6, length: 129) == nil && IPPrefix(v6, length: .min) == nil)
    }

    // MARK: MACs, VNIs, digits

    @Test(arguments: [
        ("02:00:00:00:00:0a", "02:00:00:00:00:0a"), ("02-00-00-00-00-0A", "02:00:00:00:00:0a"),
        ("2:0:0:0:0:a", "02:00:00:00:00:0a"),
        ("ff:ff:ff:ff:ff:ff", "ff:ff:ff:ff:ff:ff"),
    ])
    func macs(_ text: String, _ canonical: String) throws {
        #expect(try #require(MACAddress(text)).description == canonical)
    }
    @Test(arguments: [
        "", "02:00:00:00:00", "02:00:00:00:00:00:00", "020000000000", "02:00:00:00:00:0g", "02:00:00:00:00:",
        ":02:00:00:00:00",
        "002:00:00:00:00:00", "02:00:00:00:00:00 ", "+2:00:00:00:00:00", "02::00:00:00:00",
    ])
    func noMAC(_ text: String) { #expect(MACAddress(text) == nil) }
    @Test func macKinds() {
        #expect(!MACAddress.zero.isUsableByHost && MACAddress.zero.isZero && !MACAddress.zero.isMulticast)
        #expect(!MACAddress.broadcast.isUsableByHost && MACAddress.broadcast.isMulticast)
        #expect(MACAddress(rawValue: 0xffff_0200_0000_0001).rawValue == 0x0200_0000_0001, "48 bits")
        #expect(
            MACAddress(rawValue: 0x0100_5e00_0001).isMulticast && MACAddress(rawValue: 0x0200_0000_0001).isUsableByHost)
    }
    @Test func vnis() {
        #expect(VNI(0) == nil && VNI(1) != nil && VNI(0xff_ffff) != nil && VNI(0x100_0000) == nil)
        #expect(VNI("16777215")?.rawValue == 0xff_ffff)
        for text in ["", "0", "16777216", "-1", "+1", "1 ", "0x1", "99999999999999999999"] {
            #expect(VNI(text) == nil, "\(text)")
        }
    }
    @Test func hexadecimal() {
        #expect(bytes(hex: "00ffA1") == [0, 0xff, 0xa1])
        #expect(hexString([0, 0xff, 0xa1]) == "00ffa1")
        #expect(bytes(hex: "") == [])
        for text in ["0", "0g", "0x00", " 00", "é0"] { #expect(bytes(hex: text) == nil, "\(text)") }
    }
    @Test func instantsAreClampedInsteadOfTrapping() {
        let last = Instant(nanoseconds: .max)
        #expect(last + .seconds(1) == last)
        #expect(Instant(nanoseconds: .min) + .seconds(-1) == Instant(nanoseconds: .min))
        #expect(Duration.seconds(Int64.max).clampedNanoseconds == .max)
        #expect((last - Instant(nanoseconds: .min)).clampedNanoseconds == .max)
    }
}
