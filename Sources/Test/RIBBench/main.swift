// How fast and how big the RIB is, codec included: MAC/IP routes from one peer to 1 or 100 reflector clients; and the control plane
// with routes to hosts and prefixes. It prints, it does not judge: `swift run -c release RIBBench [routes]`.

import BGP
import BGPEngine
import Glibc
import NetTypes

let count = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 100_000
let maximumLength = 4096

func residentKilobytes() -> Int {

    guard let file = fopen("/proc/self/statm", "r") else { return 0 }
    defer { fclose(file) }
    var buffer = [CChar](repeating: 0, count: 256)
    guard fgets(&buffer, 256, file) != nil else { return 0 }
    let text = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let fields = text.split(separator: " ")
    return fields.count > 1 ? (Int(fields[1]) ?? 0) * 4 : 0
}

func description(_ number: UInt16) -> PeerDescription {
    var peer = PeerDescription(
        id: PeerID(number), address: .v4(IPv4Address(rawValue: 0x0a00_0000 + UInt32(number))),
        routerID: IPv4Address(rawValue: 0x0a00_0000 + UInt32(number)), asn: 65000, kind: .internal, localASN: 65000,
        localAddress: .v4(IPv4Address(rawValue: 0x0aff_0001)), families: [.l2vpnEVPN],
        codec: CodecOptions(maximumLength: maximumLength))
    peer.isReflectorClient = true
    return peer
}

func attributes() -> PathAttributes {
    var attributes = PathAttributes()
    attributes.origin = .igp
    attributes.nextHop = .v4(IPv4Address(rawValue: 0xc000_0202))
    attributes.localPreference = 100
    attributes.extendedCommunities = [
        RouteTarget(asn: 65000, number: 100).community, ExtendedCommunity(rawValue: 0x030c_0000_0000_0008),
    ]
    return attributes
}

func route(_ number: Int) -> RouteEntry {
    let route = EVPNRoute.macIP(
        MACIPRoute(
            rd: RouteDistinguisher(rawValue: 0x0001_c000_0202_0002),
            mac: MACAddress(rawValue: 0x0200_0000_0000 + UInt64(number)),
            label1: 100))
    return RouteEntry(key: RouteKey(route), payload: RoutePayload(route))
}

/// Wire bytes of `count` routes, `perUpdate` in each message.
func messages(perUpdate: Int, withdraw: Bool = false) -> [[UInt8]] {
    let encoder = UpdateEncoder(options: CodecOptions())
    let attributes = attributes()
    return stride(from: 0, to: count, by: perUpdate).map { start in
        var writer = ByteWriter(capacity: 4096)
        let routes = (start..<min(count, start + perUpdate)).map { route($0) }
        if withdraw {
            encoder.withdraw(routes, family: .l2vpnEVPN, into: &writer)
        } else {
            encoder.announce(routes, family: .l2vpnEVPN, attributes: attributes, into: &writer)
        }
        return writer.bytes
    }
}

func feed(_ rib: inout RIB, _ messages: [[UInt8]]) {
    let options = CodecOptions()
    for bytes in messages {
        let message = bytes.withByteReader { reader in try? Message.decode(reader, options: options) }
        if case .update(let update) = message { _ = rib.receive(update, from: PeerID(1)) }
    }
}

/// Octets and messages written.
func drain(_ rib: inout RIB, _ receivers: ClosedRange<UInt16>) -> (bytes: Int, messages: Int) {
    var total = 0
    var messages = 0
    for number in receivers {
        var more = true
        while more {
            var writer = ByteWriter(capacity: 1 << 18)
            more = rib.drainUpdates(PeerID(number), byteBudget: 65536, into: &writer)
            total += writer.count
            var offset = 0
            while offset + 19 <= writer.count {
                offset += Int(writer.bytes[offset + 16]) << 8 | Int(writer.bytes[offset + 17])
                messages += 1
            }
        }
    }
    return (total, messages)
}

func timed<T>(_ label: String, _ body: () -> T) -> T {
    let clock = ContinuousClock()
    let start = clock.now
    let result = body()
    let duration = clock.now - start
    print("  \(label): \(duration.inSeconds) s")
    return result
}

func run(receivers: UInt16, perUpdate: Int) {
    print("\(count) routes, \(perUpdate) per UPDATE in, \(receivers) receiver(s)")
    let announce = messages(perUpdate: perUpdate)
    let withdraw = messages(perUpdate: 100, withdraw: true)
    var rib = RIB(RIBConfiguration(asn: 65000, routerID: IPv4Address(rawValue: 0x0aff_0001)))
    for number in 1...(receivers + 1) { rib.addPeer(description(number)) }
    _ = drain(&rib, 1...(receivers + 1))
    let before = residentKilobytes()
    timed("in ") { feed(&rib, announce) }
    var taken = 0
    timed("changes") {
        while rib.hasChanges { taken += rib.takeChanges().count }
    }
    let out = timed("out") { drain(&rib, 2...(receivers + 1)) }
    print("  \(taken) changes, \(out.bytes) octets, \(count * Int(receivers) / max(1, out.messages)) routes per UPDATE")
    print("  resident growth per route: \((residentKilobytes() - before) * 1024 / count) octets")
    timed("withdraw in ") { feed(&rib, withdraw) }
    _ = timed("withdraw out") { drain(&rib, 2...(receivers + 1)) }
    print("  left: \(rib.destinationCount) destinations, \(rib.attributeSetCount) attribute sets")
}

runRouted()
run(receivers: 1, perUpdate: 50)
run(receivers: 1, perUpdate: 1)
run(receivers: 100, perUpdate: 50)
