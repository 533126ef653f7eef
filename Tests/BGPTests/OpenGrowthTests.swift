// Names that are no UTF-8 grow when they are repaired: an OPEN with many of them still reads as it was written.

import BGP
import NetTypes
import Testing

@Suite struct OpenGrowthTests {
    private func open(_ capabilities: [UInt8]) -> [UInt8] {
        let count = UInt8(capabilities.count)
        let body: [UInt8] = [4, 1, 1, 0, 90, 1, 1, 1, 1, count + 2, 2, count] + capabilities
        let length = body.count + 19
        return [UInt8](repeating: 0xff, count: 16) + [UInt8(length >> 8), UInt8(length & 255), 1] + body
    }

    private func decoded(_ octets: [UInt8]) throws -> Message {
        let result: Result<Message, SessionFault> = octets.withByteReader { reader in
            do throws(SessionFault) { return .success(try Message.decode(reader, options: CodecOptions())) } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    @Test func grownNamesAreAFixedPoint() throws {
        let name: [UInt8] = [
            73, 18, 12, 2, 0x6d, 0x8a, 0xff, 0xfe, 0xff, 0xdc, 0xff, 0xff, 0xf9, 0x3d, 0, 0, 0, 0xff, 0, 10,
        ]
        for count in 1...12 {
            let first = try decoded(open(Array(repeatElement(name, count: count).joined())))
            let octets = first.encoded()
            let second = try decoded(octets)
            #expect(second.encoded() == octets, "\(count)")
        }
    }
}
