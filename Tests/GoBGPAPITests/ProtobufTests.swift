import GoBGPAPI
import NetTypes
import Testing

struct ProtobufTests {
    private func failure(_ octets: [UInt8]) -> ByteError? {
        do throws(ByteError) {
            try octets.withProtobufReader { reader throws(ByteError) in while try reader.next() != nil {} }
            return nil
        } catch { return error }
    }

    @Test func everyWireType() throws {
        var writer = ProtobufWriter()
        writer.uint64(1, .max)
        writer.bool(2, true)
        writer.float(3, 1.5)
        writer.string(4, "käse")
        writer.uint32s(5, [1, 300, .max])
        writer.int64(16, -1)
        let octets = writer.bytes
        // Field 1 with ten octets of varint, field 5 packed, field 16 with a tag of two octets.
        #expect(octets.prefix(11) == [0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1])
        var seen: [Int] = []
        try octets.withProtobufReader { reader throws(ByteError) in
            while let field = try reader.next() {
                seen.append(field.number)
                switch field.number {
                case 1: #expect((try? field.uint64()) == .max)
                case 2: #expect((try? field.bool()) == true)
                case 3: #expect((try? field.float()) == 1.5)
                case 4: #expect((try? field.string()) == "käse")
                case 5:
                    var list: [UInt32] = []
                    try field.appendUInt32s(to: &list, limit: 3)
                    #expect(list == [1, 300, .max])
                    #expect((try? field.appendUInt32s(to: &list, limit: 3)) == nil)
                default: #expect((try? field.int64()) == -1)
                }
                #expect((field.type == .varint ? try? field.bytes() : nil) == nil)
            }
        }
        #expect(seen == [1, 2, 3, 4, 5, 16])
        for end in 0..<octets.count {
            let prefix = Array(octets[..<end])
            // Cut at a field boundary the rest is a shorter message; anywhere else it is an error.
            let isBoundary = [0, 11, 13, 18, 25, 35].contains(end)
            #expect((failure(prefix) == nil) == isBoundary, "cut at \(end)")
        }
    }

    @Test func lengthsGrow() throws {
        for size in [0, 1, 127, 128, 16383, 16384, 3_000_000] {
            var writer = ProtobufWriter()
            writer.message(1) { $0.octets(2, [UInt8](repeating: 7, count: size)) }
            var found: Int?
            try writer.bytes.withProtobufReader { reader throws(ByteError) in
                let field = try reader.next()
                guard var inner = try field?.message() else { return }
                found = try inner.next()?.bytes().count ?? 0
                #expect(inner.isEmpty && reader.isEmpty)
            }
            #expect(found == size)
        }
    }

    @Test func malformed() {
        #expect(failure([0x08])?.reason == "truncated varint")
        #expect(failure([0x08] + [UInt8](repeating: 255, count: 9) + [2])?.reason == "varint above 64 bits")
        #expect(failure([0x08] + [UInt8](repeating: 128, count: 11) + [0])?.reason == "varint above 64 bits")
        #expect(failure([0x00, 1])?.reason == "field number")
        #expect(failure([0x0b])?.reason == "wire type")
        #expect(failure([0x0a, 2, 1])?.reason == "truncated field")
        #expect(failure([0x0a, 255, 255, 255, 255, 255, 255, 255, 255, 127])?.reason == "truncated field")
        #expect(failure([0x0d, 0, 0, 0])?.reason == "truncated field")
    }

    @Test func depthIsBounded() throws {
        func nested(_ depth: Int) -> [UInt8] {
            var octets: [UInt8] = []
            for _ in 0..<depth {
                var writer = ProtobufWriter()
                writer.element(1, octets)
                octets = writer.bytes
            }
            return octets
        }
        func descend(_ octets: [UInt8]) -> Int {
            var depth = 0
            try? octets.withProtobufReader { reader throws(ByteError) in
                var inner = reader
                while let field = try inner.next() {
                    inner = try field.message()
                    depth += 1
                }
            }
            return depth
        }
        #expect(descend(nested(10)) == 10)
        #expect(descend(nested(1000)) == ProtobufReader.maximumDepth)
    }

    @Test func methodPaths() {
        #expect(APIGeneration.v3.path(.getBgp) == "/apipb.GobgpApi/GetBgp")
        #expect(APIGeneration.v4.path(.watchEvent) == "/api.GoBgpService/WatchEvent")
        #expect(APIMethod.allCases.filter(\.isServerStreaming).count == 10)
    }
}
