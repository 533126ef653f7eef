// libFuzzer's entry points, one for each decoder; built only with EVPND_FUZZ=1 (see Scripts/fuzz). The decoder is chosen by the
// environment variable FUZZ_TARGET, because a process holds one fuzzer.

import BGP
import BGPEngine
import Glibc
import GoBGPAPI
import NetTypes

typealias FuzzBody = @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt

@_silgen_name("LLVMFuzzerRunDriver")
func runDriver(
    _ count: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>, _ body: FuzzBody
) -> CInt

/// SwiftPM renames `main` of an executable to this; libFuzzer's own `main` is then not pulled in.
@_cdecl("Fuzz_main")
public func fuzzMain(_ count: CInt, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) -> CInt {
    var count = count
    var arguments = arguments
    let name = getenv("FUZZ_TARGET").map { String(cString: $0) } ?? ""
    let body: FuzzBody
    switch name {
    case "message": body = { fuzzMessage(octets($0, $1)) }
    case "update": body = { fuzzMessage(wrapped(2, octets($0, $1))) }
    case "open": body = { fuzzMessage(wrapped(1, octets($0, $1))) }
    case "nlri": body = { fuzzNLRI(octets($0, $1)) }
    case "capabilities": body = { fuzzCapabilities(octets($0, $1)) }
    case "gobgp-v3": body = { fuzzAPI(octets($0, $1), .v3) }
    case "gobgp-v4": body = { fuzzAPI(octets($0, $1), .v4) }
    case "json": body = { fuzzJSON(octets($0, $1)) }
    case "yaml": body = { fuzzYAML(octets($0, $1)) }
    case "toml": body = { fuzzTOML(octets($0, $1)) }
    case "takeover": body = { fuzzTakeover(octets($0, $1)) }
    case "client": body = { fuzzClient(octets($0, $1)) }
    case "probe": body = { fuzzProbe(octets($0, $1)) }
    case "configuration": body = { fuzzConfiguration(octets($0, $1)) }
    case "router": body = { fuzzRouter(octets($0, $1)) }
    case "claim": body = { fuzzClaim(octets($0, $1)) }
    case "netlink": body = { fuzzNetlink(octets($0, $1)) }
    case "openflow": body = { fuzzOpenFlow(octets($0, $1)) }
    case "ovsdb": body = { fuzzOVSDB(octets($0, $1)) }
    default: return 64
    }
    return runDriver(&count, &arguments, body)
}

private func octets(_ pointer: UnsafePointer<UInt8>?, _ count: Int) -> [UInt8] {
    Array(UnsafeBufferPointer(start: pointer, count: count))
}

private func wrapped(_ type: UInt8, _ body: [UInt8]) -> [UInt8] {
    let body = body.prefix(65535 - 19)
    let length = body.count + 19
    return Array(repeating: 255, count: 16) + [UInt8(length >> 8), UInt8(length & 255), type] + body
}

private let optionSets = [
    CodecOptions(maximumLength: 65535),
    CodecOptions(
        fourOctetAS: false, addPathReceive: Set(Family.supported), addPathSend: Set(Family.supported),
        maximumLength: 65535, isExternal: true),
]

private func decode(_ octets: [UInt8], _ options: CodecOptions) -> Message? {
    octets.withByteReader { reader in
        do throws(SessionFault) { return try Message.decode(reader, options: options) } catch { return nil }
    }
}

/// A router message that was read is written and read again.
private func fuzzRouter(_ octets: [UInt8]) -> CInt {
    func decode(_ octets: [UInt8]) -> RouterMessage? {
        octets.withByteReader { reader -> RouterMessage? in
            do throws(ByteError) { return try RouterMessage(decoding: &reader) } catch { return nil }
        }
    }
    if let message = decode(octets) { precondition(decode(message.encoded()) == message, "another router message") }
    return 0
}

/// What hosts say of their addresses: the first octet chooses ARP or discovery. A claim that was read is announced and read again.
private func fuzzClaim(_ octets: [UInt8]) -> CInt {
    func decode(_ octets: [UInt8], isARP: Bool) -> AddressClaim? {
        octets.withByteReader { reader -> AddressClaim? in
            do throws(ByteError) {
                if isARP { return try AddressClaim(decodingARP: &reader) }
                let source = IPv6Address(high: 0x2001_0db8 << 32, low: UInt64(octets.count))
                return try AddressClaim(decodingDiscovery: &reader, from: source)
            } catch { return nil }
        }
    }
    let isARP = octets.first == 0
    guard let claim = decode(Array(octets.dropFirst()), isARP: isARP) else { return 0 }
    let payload = claim.announcement.payload
    let again = decode(Array(payload.dropFirst(isARP ? 0 : 40)), isARP: isARP)
    precondition(again == claim, "another claim")
    return 0
}

/// Decodes. What was accepted is encoded, and each message of that is a fixed point: decoded and encoded again it has the same octets.
private func fuzzMessage(_ octets: [UInt8]) -> CInt {
    for options in optionSets {
        guard let message = decode(octets, options) else { continue }
        if case .update(let update) = message {
            octets.withByteReader { reader in
                do throws(SessionFault) { _ = try Message.decodeUpdate(reader, options: options) } catch {
                    preconditionFailure("decodeUpdate refuses what decode accepts")
                }
            }
            guard update.consequence.rank <= 1 else { continue }
        }
        var rest = message.encoded(options: options)[...]
        // Names that are no UTF-8 grow when they are repaired; a great many do not fit into an OPEN any more.
        if case .open = message, rest.count > 4096 { continue }
        while rest.count >= Message.headerLength {
            let length = rest.withUnsafeBytes { Int($0[16]) << 8 | Int($0[17]) }
            precondition(length >= Message.headerLength && length <= rest.count, "an encoded length is wrong")
            let part = Array(rest.prefix(length))
            rest = rest.dropFirst(length)
            precondition(
                decode(part, options)?.encoded(options: options) == part, "an encoded message is no fixed point")
        }
        precondition(rest.isEmpty, "octets behind the encoded messages")
    }
    return 0
}

/// The first octet chooses the family, the others are NLRI of an announcement and of a withdrawal.
private func fuzzNLRI(_ octets: [UInt8]) -> CInt {
    let families: [[UInt8]] = [[0, 25, 70], [0, 1, 1], [0, 2, 1], [0, 1, 128], [0, 2, 4]]
    let hops: [[UInt8]] = [[4, 1, 2, 3, 4], [4, 1, 2, 3, 4], [16] + [UInt8](repeating: 1, count: 16)]
    let index = Int(octets.first ?? 0) % families.count
    let hop = index == 3 ? [12] + [UInt8](repeating: 0, count: 12) : index == 4 ? hops[2] : hops[index]
    let nlri = octets.dropFirst().prefix(60000)
    for (code, value) in [(UInt8(14), families[index] + hop + [0] + nlri), (15, families[index] + nlri)] {
        let head: [UInt8] = [0x40, 1, 1, 0, 0x40, 2, 0]
        let list = [0x90, code, UInt8(value.count >> 8), UInt8(value.count & 255)] + value + head
        _ = fuzzMessage(wrapped(2, [0, 0, UInt8(list.count >> 8), UInt8(list.count & 255)] + list))
    }
    return 0
}

/// The octets are an answer of WatchEvent, read in one piece and in small ones. A path that was read must survive being written and
/// read again, and pieces must make no difference.
private func fuzzAPI(_ octets: [UInt8], _ generation: APIGeneration) -> CInt {
    func read(_ octets: [UInt8], piece: Int) -> (paths: [DecodedPath], isComplete: Bool) {
        var decoder = WatchEventDecoder(generation)
        var paths: [DecodedPath] = []
        do throws(ByteError) {
            for start in stride(from: 0, to: octets.count, by: piece) {
                try decoder.append(Array(octets[start..<min(start + piece, octets.count)])) { element in
                    if case .path(let path) = element { paths.append(path) }
                }
            }
            _ = try decoder.end()
            return (paths, true)
        } catch { return (paths, false) }
    }
    let whole = read(octets, piece: max(octets.count, 1))
    let pieces = read(octets, piece: 7)
    precondition(whole.paths == pieces.paths && whole.isComplete == pieces.isComplete, "pieces make a difference")
    for case .success(let path) in whole.paths {
        let again = read(WatchEventReply([path]).encoded(generation), piece: 4096).paths
        guard case .success(let second)? = again.first, second.key == path.key, second.payload == path.payload,
            // A withdrawal may have attributes that cannot be used.
            path.isWithdraw || second.attributes == path.attributes
        else { preconditionFailure("a path does not survive being written and read") }
    }
    do throws(ByteError) { _ = try ListPeerReply(decoding: octets, generation) } catch {}
    do throws(ByteError) { _ = try AddPolicyRequest(decoding: octets, generation) } catch {}
    do throws(ByteError) { _ = try AddVRFRequest(decoding: octets, generation) } catch {}
    do throws(ByteError) { _ = try GetBgpReply(decoding: octets, generation) } catch {}
    return 0
}

private func fuzzCapabilities(_ octets: [UInt8]) -> CInt {
    let value = octets.prefix(253)
    let count = UInt8(value.count)
    return fuzzMessage(wrapped(1, [4, 1, 1, 0, 90, 1, 1, 1, 1, count + 2, 2, count] + value))
}
