// Messages of a switch: every one is read or refused, and the flows in it can be printed, sent and read again as what they were.

import NetTypes
import OpenFlow

/// The first octet chooses the version, the second the type of the message, of which the rest is the body.
func fuzzOpenFlow(_ octets: [UInt8]) -> CInt {
    guard octets.count >= 2 else { return 0 }
    let version = ProtocolVersion.allCases[Int(octets[0]) % ProtocolVersion.allCases.count]
    let length = min(octets.count + 6, 65535)
    let message =
        [version.rawValue, octets[1], UInt8(length >> 8), UInt8(length & 0xff), 0, 0, 0, 1] + octets[2..<length - 6]
    let decoded: Message? = message.withByteReader { reader in
        do throws(ByteError) {
            return try Message(try MessageHeader(decoding: &reader), version, decoding: &reader)
        } catch { return nil }
    }
    switch decoded {
    case .multipart(.flows(let entries), _): for entry in entries { check(entry.flow, version) }
    case .multipart(.groups(let groups), _):
        for group in groups {
            precondition(!group.description.isEmpty)
            var writer = MessageWriter(version: version)
            _ = writer.change(.group(.set(group)), 1)
        }
    case .packetIn(let packet): check(packet.metadata)
    case .flowRemoved(let removed): check(removed.key.match)
    case .error(let error): precondition(!error.description.isEmpty)
    default: break
    }
    return 0
}

private func check(_ match: Match) {
    precondition(match.description.isEmpty == match.octets.isEmpty)
    let again: Match? = match.octets.withByteReader { reader in
        do throws(ByteError) { return try Match(decoding: &reader) } catch { return nil }
    }
    precondition(again == match, "another match")
}

private func check(_ flow: Flow, _ version: ProtocolVersion) {
    check(flow.key.match)
    precondition(!flow.description.isEmpty)
    var bundled = MessageWriter(version: version)
    _ = bundled.change(.flow(.set(flow)), 1, bundle: 1)
    let first = instructions(flow.actions, version)
    let actions: [Action]? = first.withByteReader { reader in
        do throws(ByteError) { return try Action.instructions(&reader) } catch { return nil }
    }
    guard let actions else { preconditionFailure("actions cannot be read again") }
    // Instructions are put into their order when they are sent.
    precondition(instructions(actions, version) == first, "other actions")
}

private func instructions(_ actions: [Action], _ version: ProtocolVersion) -> [UInt8] {
    var writer = ByteWriter()
    writer.instructions(actions, version)
    return writer.bytes
}
