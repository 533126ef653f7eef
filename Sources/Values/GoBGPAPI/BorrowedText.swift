// Addresses from borrowed text. A snapshot holds a dozen of them for each of a hundred thousand paths, so the usual forms are
// read without making a String; anything else goes the general way of NetTypes.

import NetTypes

/// Text of a field, still in the message.
struct BorrowedText {
    private let bytes: UnsafeRawBufferPointer
    init(_ field: ProtobufField) throws(ByteError) { bytes = try field.borrowed() }

    /// No address will be longer.
    private static let longest = 64
    /// For faults: shortened.
    var string: String { String(decoding: bytes.prefix(BorrowedText.longest), as: UTF8.self) }
    private var general: String? { bytes.count <= BorrowedText.longest ? string : nil }

    /// Nothing, or what Go prints for a missing address (`net.IP`: `<nil>`, `netip.Addr`: `invalid IP`).
    var isNone: Bool {
        bytes.isEmpty || (bytes.count == 5 && string == "<nil>") || (bytes.count == 10 && string == "invalid IP")
    }

    var ipv4: IPv4Address? {
        var value: UInt32 = 0
        var octet: UInt32 = 0
        var digits = 0
        var dots = 0
        for byte in bytes {
            switch byte {
            case 0x30...0x39:
                // No leading zeros, as in NetTypes.
                guard digits < 3, digits == 0 || octet > 0 else { return nil }
                octet = octet * 10 + UInt32(byte - 0x30)
                digits += 1
            case 0x2e:
                guard digits > 0, octet < 256, dots < 3 else { return nil }
                value = value << 8 | octet
                (octet, digits) = (0, 0)
                dots += 1
            default: return nil
            }
        }
        guard dots == 3, digits > 0, octet < 256 else { return nil }
        return IPv4Address(rawValue: value << 8 | octet)
    }

    /// IPv4-mapped addresses become IPv4: Go's `net.IP` does not tell them apart.
    var address: IPAddress? {
        if let ipv4 { return .v4(ipv4) }
        guard bytes.contains(0x3a), let v6 = general.flatMap({ IPv6Address($0) }) else { return nil }
        if v6.high == 0, v6.low >> 32 == 0xffff {
            return .v4(IPv4Address(rawValue: UInt32(truncatingIfNeeded: v6.low)))
        }
        return .v6(v6)
    }

    /// The address in the family that the surroundings ask for.
    func address(isV6: Bool) -> IPAddress? {
        switch address {
        case .v4(let v4)? where isV6: .v6(IPv6Address(high: 0, low: 0xffff << 32 | UInt64(v4.rawValue)))
        case .v6? where !isV6: nil
        case let address: address
        }
    }

    var mac: MACAddress? {
        guard bytes.count == 17 else { return general.flatMap { MACAddress($0) } }
        var value: UInt64 = 0
        for index in 0..<17 {
            let byte = bytes[index]
            if index % 3 == 2 {
                guard byte == 0x3a || byte == 0x2d else { return nil }
                continue
            }
            switch byte {
            case 0x30...0x39: value = value << 4 | UInt64(byte - 0x30)
            case 0x61...0x66: value = value << 4 | UInt64(byte - 0x57)
            case 0x41...0x46: value = value << 4 | UInt64(byte - 0x37)
            default: return nil
            }
        }
        return MACAddress(rawValue: value)
    }
}
