// The cursor that all outside octets pass through: nothing is ever read beyond its end.

import NetTypes
import Testing

@Suite struct ByteTests {
    @Test func readsBigEndianAndStopsAtTheEnd() {
        let bytes: [UInt8] = Array(1...30)
        bytes.withByteReader { reader in
            #expect((try? reader.u8()) == 0x01)
            #expect((try? reader.u16()) == 0x0203)
            #expect((try? reader.u24()) == 0x040506)
            #expect((try? reader.u32()) == 0x0708_090a)
            #expect((try? reader.u48()) == 0x0b0c_0d0e_0f10)
            #expect((try? reader.u64()) == 0x1112_1314_1516_1718)
            #expect(reader.count == 6)
            #expect((try? reader.u64()) == nil)
            #expect(reader.count == 6, "a failed read takes nothing")
            #expect((try? reader.mac())?.description == "19:1a:1b:1c:1d:1e")
            #expect(reader.isEmpty && (try? reader.u8()) == nil)
            #expect((try? reader.bytes(0)) == [])
        }
    }
    @Test(arguments: [-1, 5, Int.max, Int.min]) func impossibleLengths(_ length: Int) {
        [1, 2, 3, 4].withByteReader { reader in
            #expect((try? reader.bytes(length)) == nil)
            #expect((try? reader.skip(length)) == nil)
            #expect((try? reader.take(length)) == nil)
            #expect(reader.count == 4)
        }
    }
    @Test func partsKeepTheirBoundsAndOffsets() throws {
        [1, 2, 3, 4, 5, 6].withByteReader { reader in
            _ = try? reader.u8()
            guard var part = try? reader.take(3) else {
                Issue.record("no part")
                return
            }
            #expect(part.offset == 1 && part.count == 3 && reader.offset == 4)
            #expect((try? part.bytes(3)) == [2, 3, 4])
            do throws(ByteError) {
                _ = try part.u8()
                Issue.record("read beyond the part")
            } catch { #expect(error.offset == 4) }
            #expect(reader.slice(1..<3) == [2, 3])
            #expect(reader.slice(4..<99) == [] && reader.slice(-5 ..< -1) == [])
            #expect(reader.equals(4..<6, [5, 6]) && !reader.equals(4..<9, [5, 6, 0, 0, 0]))
        }
    }
    @Test func writerAndReaderAreInverses() throws {
        var writer = ByteWriter()
        writer.u8(0xfe)
        writer.u16(0xfedc)
        writer.u24(0xfe_dcba)
        writer.u32(0xfedc_ba98)
        writer.u48(0xfedc_ba98_7654)
        writer.u64(0xfedc_ba98_7654_3210)
        let address = try #require(IPv6Address("2001:db8::1"))
        writer.ipv6(address)
        writer.patch16(at: 1, 0x0102)
        writer.bytes.withByteReader { reader in
            #expect((try? reader.u8()) == 0xfe)
            #expect((try? reader.u16()) == 0x0102)
            #expect((try? reader.u24()) == 0xfe_dcba)
            #expect((try? reader.u32()) == 0xfedc_ba98)
            #expect((try? reader.u48()) == 0xfedc_ba98_7654)
            #expect((try? reader.u64()) == 0xfedc_ba98_7654_3210)
            #expect((try? reader.ipv6()) == address)
            #expect(reader.isEmpty)
        }
        writer.truncate(to: 3)
        #expect(writer.bytes == [0xfe, 1, 2])
    }
}
