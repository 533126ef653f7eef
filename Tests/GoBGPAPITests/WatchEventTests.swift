import BGP
import GoBGPAPI
import NetTypes
import Testing

struct WatchEventTests {
    /// Feeds `octets` in pieces and gives what came out; nil for the summary when the message was refused.
    private func decode(_ octets: [UInt8], piece: Int, _ generation: APIGeneration)
        -> (elements: [WatchEventElement], summary: WatchEventDecoder.Summary?, kept: Int)
    {
        var decoder = WatchEventDecoder(generation)
        var elements: [WatchEventElement] = []
        var kept = 0
        decoder.begin()
        do throws(ByteError) {
            for start in stride(from: 0, to: octets.count, by: piece) {
                try decoder.append(Array(octets[start..<min(start + piece, octets.count)])) { elements.append($0) }
                kept = max(kept, decoder.keptCount)
            }
            return (elements, try decoder.end(), kept)
        } catch { return (elements, nil, kept) }
    }
    private func paths(_ elements: [WatchEventElement]) -> [DecodedPath] {
        elements.compactMap { if case .path(let path) = $0 { path } else { nil } }
    }

    @Test(arguments: APIGeneration.allCases) func piecesOfEverySize(_ generation: APIGeneration) {
        let expected = Samples.routes.indices.map { Samples.path($0) }
        let octets = WatchEventReply(expected).encoded(generation)
        for piece in [1, 2, 3, 7, 100, 1000, octets.count] {
            let result = decode(octets, piece: piece, generation)
            #expect(paths(result.elements) == expected.map { .success($0) }, "pieces of \(piece)")
            #expect(result.summary?.paths == expected.count && result.summary?.isTable == true)
        }
    }

    @Test(arguments: APIGeneration.allCases) func emptyTableAndPeers(_ generation: APIGeneration) throws {
        // gobgpd 3.10 marks the end of an empty table's present state with a table event of no paths.
        let empty = decode(WatchEventReply([]).encoded(generation), piece: 1, generation)
        #expect(empty.summary == WatchEventDecoder.Summary(isTable: true, paths: 0, faults: 0))
        #expect(decode([], piece: 1, generation).summary?.isTable == false)

        var event = PeerEvent()
        event.kind = .present
        event.peer.state.neighborAddress = "192.0.2.254"
        event.peer.state.session = .established
        let result = decode(WatchEventReply(event).encoded(generation), piece: 1, generation)
        guard case .peer(let read)? = result.elements.first else {
            Issue.record("no peer event")
            return
        }
        #expect(read == event && result.elements.count == 1 && result.summary?.isTable == false)
    }

    @Test func cutAnywhereIsAnError() {
        let octets = WatchEventReply([Samples.path(0), Samples.path(1)]).encoded(.v3)
        for end in 1..<octets.count {
            #expect(decode(Array(octets[..<end]), piece: 64, .v3).summary == nil, "cut at \(end)")
        }
    }

    @Test func poisonTouchesOnlyItsOwnPath() {
        // The middle path has an NLRI of a kind nobody knows.
        var writer = ProtobufWriter()
        writer.message(3) { table in
            for index in 0..<3 {
                if index == 1 {
                    table.message(2) { path in
                        path.message(1) { $0.string(1, "type.googleapis.com/apipb.FutureNLRI") }
                    }
                } else {
                    let inner = WatchEventReply([Samples.path(index)]).encoded(.v3)
                    // The path field of a reply with one path: skip the table's tag and length.
                    table.element(2, content(of: content(of: inner)))
                }
            }
        }
        let result = decode(writer.bytes, piece: 50, .v3)
        let found = paths(result.elements)
        #expect(found.count == 3)
        #expect(found.first == .success(Samples.path(0)) && found.last == .success(Samples.path(2)))
        guard found.count == 3, case .failure(let fault) = found[1] else {
            Issue.record("no fault")
            return
        }
        #expect(fault.reason == "NLRI of unknown kind apipb.FutureNLRI" && fault.key == nil)
        #expect(result.summary?.faults == 1)
    }

    @Test func manyPathsAreNotKept() {
        var attributes = PathAttributes()
        attributes.nextHop = ip("192.0.2.1")
        let one = WatchEventReply([Samples.path(7, attributes)]).encoded(.v3)
        let count = 5000
        var writer = ProtobufWriter()
        writer.message(3) { table in for _ in 0..<count { table.element(2, content(of: content(of: one))) } }
        let result = decode(writer.bytes, piece: 16384, .v3)
        #expect(result.summary?.paths == count && result.summary?.faults == 0)
        #expect(result.kept < one.count)
    }

    @Test func sizesThatLie() {
        // A path longer than its table, a table longer than any message, an element over the limit.
        #expect(decode([0x1a, 3, 0x12, 2, 0, 0], piece: 1, .v3).summary == nil)
        #expect(decode([0x1a, 2, 0x12, 0], piece: 1, .v3).summary?.paths == 1)
        #expect(decode([0x1a, 255, 255, 255, 255, 255, 1], piece: 1, .v3).summary == nil)
        #expect(decode([0x1a, 0x85, 0x80, 0x80, 2, 0x12, 0x81, 0x80, 0x80, 1], piece: 1, .v3).summary == nil)
        // Unknown fields of every wire type, in the answer and in the table.
        let fields: [UInt8] = [0x50, 0x80, 1, 0x55, 1, 2, 3, 4, 0x51, 1, 2, 3, 4, 5, 6, 7, 8, 0x52, 2, 1, 1, 0x52, 0]
        let octets = fields + [0x1a, UInt8(fields.count)] + fields + fields
        #expect(decode(octets, piece: 1, .v3).summary == WatchEventDecoder.Summary(isTable: true))
    }

    /// What is inside the first field of `message`.
    private func content(of message: [UInt8]) -> [UInt8] {
        (try? message.withProtobufReader { reader throws(ByteError) in try reader.next()?.bytes() }) ?? []
    }
}
