// The messages of probes, as octets: echo requests and their replies, HTTP requests and the first line of an answer.

public import NetTypes

/// Echo of ICMP (RFC 792) and ICMPv6 (RFC 4443 §4.1).
///
///     +-------------------------------+
///     |  Type (1): 8 and 0, 128, 129  |
///     |  Code (1): 0                  |
///     |  Checksum (2)                 |
///     |  Identifier (2)               |
///     |  Sequence Number (2)          |
///     |  Data: what comes back        |
///     +-------------------------------+
public enum Echo {
    /// A request that carries a number; the kernel fills in the checksum of ICMPv6.
    public static func request(isV6: Bool, number: UInt64) -> [UInt8] {
        var message: [UInt8] = [isV6 ? 128 : 8, 0, 0, 0]
        message += [UInt8(truncatingIfNeeded: number >> 24), UInt8(truncatingIfNeeded: number >> 16)]
        message += [UInt8(truncatingIfNeeded: number >> 8), UInt8(truncatingIfNeeded: number)]
        message += data(number)
        if !isV6 {
            let sum = checksum(message)
            message[2] = UInt8(sum >> 8)
            message[3] = UInt8(sum & 0xff)
        }
        return message
    }

    /// Whether a packet from a raw socket (with its IPv4 header, RFC 791 §3.1) is the reply to the request with this number.
    public static func isReply(_ packet: [UInt8], isV6: Bool, number: UInt64) -> Bool {
        var message = packet[...]
        if !isV6 {
            guard let first = packet.first else { return false }
            let header = Int(first & 15) * 4
            guard header >= 20, packet.count >= header else { return false }
            message = packet[header...]
        }
        guard message.count >= 16, message.first == (isV6 ? 129 : 0) else { return false }
        return message.dropFirst(4).prefix(4).elementsEqual(request(isV6: isV6, number: number)[4..<8])
            && message.dropFirst(8).prefix(8).elementsEqual(data(number))
    }

    private static func data(_ number: UInt64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: number >> (56 - 8 * UInt64($0))) }
    }
    /// The ones' complement sum of 16-bit words (RFC 1071).
    static func checksum(_ octets: [UInt8]) -> UInt16 {
        var sum: UInt32 = 0
        for (index, octet) in octets.enumerated() { sum += UInt32(octet) << (index & 1 == 0 ? 8 : 0) }
        while sum > 0xffff { sum = sum >> 16 + sum & 0xffff }
        return ~UInt16(truncatingIfNeeded: sum)
    }
}

/// A request and what its answer says (RFC 9112).
public enum HTTPProbe {
    /// As much of an answer as has to be read.
    public static let answerLimit = 64

    /// `host`: what the client is known as.
    public static func request(path: String, host: IPAddress, port: UInt16) -> [UInt8] {
        let name = host.isV6 ? "[\(host)]" : "\(host)"
        let authority = port == 80 ? name : "\(name):\(port)"
        return Array(
            "GET \(path) HTTP/1.1\r\nHost: \(authority)\r\nUser-Agent: evpnd\r\nAccept: */*\r\nConnection: close\r\n\r\n"
                .utf8)
    }

    /// What was wrong with an answer of which this is the beginning; nil inside: nothing, nil: more of it is needed.
    public static func fault(of octets: [UInt8], isComplete: Bool) -> String?? {
        let line = octets.prefix { $0 != 0x0a && $0 != 0x0d }
        guard line.count < octets.count || isComplete || octets.count >= answerLimit else { return nil }
        let words = line.split(separator: 0x20, maxSplits: 2)
        guard words.count >= 2, words[0].starts(with: "HTTP/1.".utf8), words[1].count == 3,
            let status = Int(String(decoding: words[1], as: UTF8.self)), (100...999).contains(status)
        else { return octets.isEmpty ? "closed without an answer" : "no answer in HTTP" }
        return (200...399).contains(status) ? .some(nil) : "status \(status)"
    }
}
