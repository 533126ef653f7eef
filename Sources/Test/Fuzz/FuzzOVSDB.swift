// The stream of an OVSDB server: whatever arrives, in pieces of any size, and what is made of each message.

import Documents
import OVSDB

func fuzzOVSDB(_ octets: [UInt8]) -> CInt {
    // The first octet says how the stream is cut.
    let piece = Int(octets.first ?? 1) + 1
    var scanner = JSONScanner(limit: 2048)
    var rest = octets.dropFirst()
    var replica = Replica(limit: 16)
    do throws(OVSDBFault) {
        while !rest.isEmpty {
            Array(rest.prefix(piece)).withUnsafeBytes { scanner.append($0) }
            rest = rest.dropFirst(piece)
            while let text = try scanner.next() { use(text, &replica) }
        }
    } catch {
        return 0
    }
    return 0
}

private func use(_ text: [UInt8], _ replica: inout Replica) {
    guard let message = try? RPC(text) else { return }
    precondition((try? RPC(message.octets)) == message, "another message")
    switch message {
    case .notification(_, let parameters):
        for parameter in parameters { try? replica.apply(parameter) }
    case .reply(_, let result):
        _ = try? TransactionResult(result)
        _ = try? Schema(result)
        if let datum = try? Datum(result) {
            precondition((try? Datum(datum.json)) == datum, "another value")
        }
        try? replica.apply(result)
    case .request, .failure: break
    }
    for (_, rows) in replica.tables {
        for row in rows.values { for (_, datum) in row { _ = datum.text } }
    }
}
