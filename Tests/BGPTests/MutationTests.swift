// Messages of real speakers, damaged at random: whatever is still understood must come out of the encoder in one form only.

import BGP
import NetTypes
import Testing

private struct Mutator {
    var random: SeededGenerator
    /// One to four small changes behind the header; the length field mostly agrees with the result.
    mutating func damage(_ octets: [UInt8]) -> [UInt8] {
        var result = octets
        for _ in 0..<Int.random(in: 1...4, using: &random) where result.count > 19 {
            let index = Int.random(in: 19..<result.count, using: &random)
            switch Int.random(in: 0..<6, using: &random) {
            case 0: result[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 1: result[index] = [0, 1, 4, 127, 128, 255].randomElement(using: &random) ?? 0
            case 2: result[index] &+= random.chance(2) ? 1 : 255
            case 3: result.removeSubrange(index..<min(result.count, index + Int.random(in: 1...9, using: &random)))
            case 4: result.insert(UInt8.random(in: 0...255, using: &random), at: index)
            default:
                // Doubled: attributes and NLRI given twice.
                let end = min(result.count, index + Int.random(in: 1...30, using: &random))
                result.insert(contentsOf: result[index..<end], at: index)
            }
        }
        if !random.chance(20) {
            result[16] = UInt8(truncatingIfNeeded: result.count >> 8)
            result[17] = UInt8(truncatingIfNeeded: result.count)
        }
        return result
    }
}

@Suite struct MutationTests {
    private static let sessions = [
        CodecOptions(maximumLength: 65535),
        CodecOptions(
            addPathReceive: Set(Family.supported), addPathSend: Set(Family.supported), maximumLength: 65535),
        CodecOptions(fourOctetAS: false, maximumLength: 65535, isExternal: true),
    ]

    /// The messages that `octets` become when they are decoded and encoded; empty when they are refused.
    private func again(_ octets: [UInt8], _ options: CodecOptions) -> [[UInt8]] {
        guard case .success(let message) = decode(octets, options) else { return [] }
        if case .update(let update) = message, update.consequence.rank > 1 { return [] }
        return messages(message.encoded(options: options))
    }

    @Test func whatIsEncodedIsAFixedPoint() {
        let seeds = ["frr", "gobgpd", "bird", "exabgp"].flatMap { vectors($0) }
        #expect(seeds.count > 50)
        let seed = UInt64.random(in: .min ... .max)
        var mutator = Mutator(random: SeededGenerator(seed: seed))
        var understood = 0
        for round in 0..<20_000 {
            let octets = mutator.damage(seeds[round % seeds.count])
            let options = Self.sessions[round % Self.sessions.count]
            for first in again(octets, options) {
                understood += 1
                #expect(again(first, options) == [first], "seed \(seed): \(hexString(octets))")
            }
        }
        #expect(understood > 2000)
    }
}
