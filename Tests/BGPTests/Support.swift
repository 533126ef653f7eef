// What the codec's tests share: a seeded generator, hand-made UPDATEs, and short ways to decode.

import BGP
import NetTypes

/// SplitMix64: small, and the same everywhere, so that a printed seed reproduces a failure.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
    mutating func chance(_ oneIn: Int) -> Bool { Int.random(in: 0..<oneIn, using: &self) == 0 }
}

func decode(_ octets: [UInt8], _ options: CodecOptions = CodecOptions()) -> Result<Message, SessionFault> {
    octets.withByteReader { reader in
        do throws(SessionFault) { return .success(try Message.decode(reader, options: options)) } catch {
            return .failure(error)
        }
    }
}

func decodeUpdate(_ octets: [UInt8], _ options: CodecOptions = CodecOptions()) -> Update? {
    if case .success(.update(let update)) = decode(octets, options) { update } else { nil }
}

/// Splits a stream of messages by their length fields.
func messages(_ stream: [UInt8]) -> [[UInt8]] {
    var result: [[UInt8]] = []
    var index = 0
    while index + 19 <= stream.count {
        let length = Int(stream[index + 16]) << 8 | Int(stream[index + 17])
        guard length >= 19, index + length <= stream.count else { break }
        result.append(Array(stream[index..<index + length]))
        index += length
    }
    return result
}

func hex(_ text: String) -> [UInt8] { bytes(hex: text.filter { $0 != " " }) ?? [] }

/// A path attribute with a one-octet length, or two when the flags say so.
func attribute(_ flags: UInt8, _ code: UInt8, _ value: [UInt8]) -> [UInt8] {
    flags & 0x10 == 0
        ? [flags, code, UInt8(value.count)] + value
        : [flags, code, UInt8(value.count >> 8), UInt8(value.count & 255)] + value
}

/// An UPDATE from its three parts, lengths filled in.
func update(withdrawn: [UInt8] = [], _ attributes: [[UInt8]], nlri: [UInt8] = []) -> [UInt8] {
    let list = attributes.flatMap { $0 }
    let body =
        [UInt8(withdrawn.count >> 8), UInt8(withdrawn.count & 255)] + withdrawn
        + [UInt8(list.count >> 8), UInt8(list.count & 255)] + list + nlri
    let length = body.count + 19
    return Array(repeating: 255, count: 16) + [UInt8(length >> 8), UInt8(length & 255), 2] + body
}

enum Good {
    static let origin = attribute(0x40, 1, [0])
    static let asPath = attribute(0x40, 2, [2, 1, 0, 0, 0xfd, 0xe8])
    static let nextHop = attribute(0x40, 3, [192, 0, 2, 1])
    static let nlri: [UInt8] = [24, 10, 0, 1]
    static let macIP = hex("0221 0001c00002010064 00000000000000000000 00000000 30 020000000001 00 000064")
    static let evpnReach = attribute(0x80, 14, hex("0019 46 04 c0000201 00") + macIP)
    /// The attributes of a plain IPv4 announcement, with `extra` behind them.
    static func plain(_ extra: [UInt8]...) -> [UInt8] { update([origin, asPath, nextHop] + extra, nlri: nlri) }
    static func evpn(_ extra: [UInt8]...) -> [UInt8] { update([evpnReach, origin, asPath] + extra) }
}
