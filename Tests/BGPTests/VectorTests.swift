// Messages of real speakers (Tests/Vectors, made by its capture.sh): all are understood, and what is encoded again has their octets.

import BGP
import Glibc
import NetTypes
import Testing

/// The messages of one file, without its header line.
func vectors(_ name: String) -> [[UInt8]] {
    let folder = #filePath.split(separator: "/").dropLast(2).joined(separator: "/")
    guard let file = fopen("/\(folder)/Vectors/\(name).hex", "r") else { return [] }
    defer { fclose(file) }
    var octets: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while true {
        let count = fread(&buffer, 1, buffer.count, file)
        guard count > 0 else { break }
        octets += buffer[..<count]
    }
    return String(decoding: octets, as: UTF8.self).split(separator: "\n").filter { !$0.hasPrefix("#") }
        .compactMap { bytes(hex: $0) }
}

private let withPathIDs = CodecOptions(addPathReceive: [.ipv4Unicast], addPathSend: [.ipv4Unicast])

/// A file may hold sessions with and without path identifiers for IPv4 unicast.
private func accepted(_ octets: [UInt8]) -> (message: Message, options: CodecOptions)? {
    for options in [CodecOptions(), withPathIDs] {
        guard case .success(let message) = decode(octets, options) else { continue }
        if case .update(let update) = message, update.consequence != .accept { continue }
        return (message, options)
    }
    return nil
}

private func attributes(_ octets: [UInt8], _ options: CodecOptions) -> [PathAttribute] {
    octets.withByteReader { reader in
        do throws(SessionFault) {
            return try Message.decodeUpdate(reader, options: options).attributes.map {
                PathAttribute(flags: $0.flags & ~AttributeFlags.extendedLength, code: $0.code, value: $0.value)
            }.sorted { $0.code < $1.code }
                // Optional and not transitive: who does not act on it does not pass it on.
                .filter { $0.code != AttributeCode.aigp }
        } catch {
            return []
        }
    }
}

@Suite struct VectorTests {
    @Test(arguments: ["frr", "gobgpd", "bird", "exabgp"]) func bothWays(_ name: String) throws {
        let all = vectors(name)
        #expect(all.count >= 5)
        for octets in all {
            let (message, options) = try #require(accepted(octets), "\(hexString(octets))")
            let again = message.encoded(options: options)
            switch message {
            case .update(let update):
                // Several messages, or a session's own reasons for the order, cannot be compared octet by octet.
                guard messages(again).count == 1 else { continue }
                #expect(decodeUpdate(again, options)?.announced == update.announced, "\(hexString(octets))")
                // A withdrawal in the classic fields may come back in them with the attributes left out.
                if !update.announced.isEmpty || update.endOfRIB != nil {
                    #expect(attributes(again, options) == attributes(octets, options), "\(hexString(octets))")
                    #expect(again.count <= octets.count + 1, "\(hexString(octets))")
                }
            case .open:
                #expect(accepted(again)?.message == message, "\(hexString(octets))")
            default:
                #expect(again == octets)
            }
        }
    }
}
