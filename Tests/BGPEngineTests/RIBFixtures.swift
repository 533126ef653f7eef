// Peers, routes and readers of the wire that the RIB's tests share.

import BGP
import NetTypes
import Testing

@testable import BGPEngine

let ownASN: UInt32 = 65000
let ownRouterID = IPv4Address(rawValue: 0x0a00_00fe)

func address(_ last: UInt32) -> IPAddress { .v4(IPv4Address(rawValue: 0x0a00_0000 + last)) }

/// Peer n has the address and router ID 10.0.0.n.
func peer(
    _ number: UInt16, _ kind: PeerDescription.Kind = .internal, client: Bool = false, asn: UInt32? = nil,
    families: Set<Family> = [.l2vpnEVPN, .ipv4Unicast]
) -> PeerDescription {
    var peer = PeerDescription(
        id: PeerID(number), address: address(UInt32(number)),
        routerID: IPv4Address(rawValue: 0x0a00_0000 + UInt32(number)),
        asn: asn ?? (kind == .internal ? ownASN : 65100 + UInt32(number)), kind: kind, localASN: ownASN,
        localAddress: .v4(ownRouterID), families: families, codec: CodecOptions(isExternal: kind == .external))
    peer.isReflectorClient = client
    return peer
}

func makeRIB(_ peers: [PeerDescription] = [], alwaysCompareMED: Bool = false) -> RIB {
    var rib = RIB(RIBConfiguration(asn: ownASN, routerID: ownRouterID, alwaysCompareMED: alwaysCompareMED))
    for peer in peers { rib.addPeer(peer) }
    for peer in peers { _ = told(&rib, peer.id) }
    return rib
}

func macRoute(_ number: UInt64, vtep: UInt32 = 0, label: UInt32 = 100, pathID: UInt32 = 0) -> RouteEntry {
    let route = EVPNRoute.macIP(
        MACIPRoute(
            rd: RouteDistinguisher(IPv4Address(rawValue: 0x0a00_0001), 2),
            mac: MACAddress(rawValue: 0x0200_0000_0000 + number), label1: label))
    return RouteEntry(key: RouteKey(route), payload: RoutePayload(route), pathID: pathID)
}

func unicast(_ text: String) -> RouteEntry {
    guard let prefix = IPPrefix(text) else { preconditionFailure("\(text) is no prefix") }
    return RouteEntry(key: RouteKey(unicast: prefix))
}

func attributes(nextHop: UInt32 = 77, _ change: (inout PathAttributes) -> Void = { _ in }) -> PathAttributes {
    var attributes = PathAttributes()
    attributes.origin = .igp
    attributes.nextHop = address(nextHop)
    change(&attributes)
    return attributes
}

func update(
    announce: [RouteEntry] = [], withdraw: [RouteEntry] = [], _ attributes: PathAttributes = attributes()
) -> Update {
    var update = Update()
    update.attributes = attributes
    for family in Family.supported {
        let announced = announce.filter { $0.key.family == family }
        if !announced.isEmpty { update.announced.append(.init(family: family, routes: announced)) }
        let withdrawn = withdraw.filter { $0.key.family == family }
        if !withdrawn.isEmpty { update.withdrawn.append(.init(family: family, routes: withdrawn)) }
    }
    return update
}

extension RIB {
    @discardableResult mutating func hear(
        _ peer: UInt16, _ routes: [RouteEntry], _ attributes: PathAttributes = BGPEngineTests.attributes()
    ) -> ReceiveOutcome {
        receive(update(announce: routes, attributes), from: PeerID(peer))
    }
    @discardableResult mutating func unhear(_ peer: UInt16, _ routes: [RouteEntry]) -> ReceiveOutcome {
        receive(update(withdraw: routes), from: PeerID(peer))
    }
    mutating func originate(_ route: RouteEntry, _ attributes: PathAttributes) {
        originate([
            LocalRouteChange(
                key: route.key, route: LocalRoute(payload: route.payload, attributes: AttributeSet(attributes)))
        ])
    }
    mutating func step(_ route: RouteEntry) -> (peer: UInt16, step: DecisionStep)? {
        guard let first = explain(route.key).first, let step = first.step else { return nil }
        return (first.route.peer.rawValue, step)
    }
}

/// The messages a peer would read, in order.
func told(_ rib: inout RIB, _ peer: PeerID, budget: Int = 1 << 16) -> [Message] {
    var result: [Message] = []
    var more = true
    while more {
        var writer = ByteWriter()
        more = rib.drainUpdates(peer, byteBudget: budget, into: &writer)
        result += messages(writer.bytes)
    }
    return result
}

func messages(_ bytes: [UInt8]) -> [Message] {
    var result: [Message] = []
    var offset = 0
    while offset + 19 <= bytes.count {
        let length = Int(bytes[offset + 16]) << 8 | Int(bytes[offset + 17])
        let one = Array(bytes[offset..<min(bytes.count, offset + length)])
        let message = one.withByteReader { reader in
            try? Message.decode(reader, options: CodecOptions(maximumLength: 65535))
        }
        guard let message else {
            Issue.record("undecodable message: \(hexString(one))")
            return result
        }
        result.append(message)
        offset += length
    }
    return result
}

/// What a peer knows after reading messages.
struct Reader {
    struct Heard: Equatable {
        var payload: RoutePayload
        var attributes: PathAttributes
    }
    var table: [RouteKey: Heard] = [:]
    var endOfRIBs: [Family] = []
    var largestUpdate = 0
    var updates = 0
    var withdrawals = 0

    mutating func read(_ messages: [Message]) {
        for message in messages {
            guard case .update(let update) = message else { continue }
            if let family = update.endOfRIB {
                endOfRIBs.append(family)
                continue
            }
            updates += 1
            for route in update.withdrawn.flatMap(\.routes) {
                table[route.key] = nil
                withdrawals += 1
            }
            let announced = update.announced.flatMap(\.routes)
            largestUpdate = max(largestUpdate, announced.count)
            for route in announced {
                table[route.key] = Heard(payload: route.payload, attributes: update.attributes)
            }
        }
    }
    init(_ messages: [Message] = []) { read(messages) }
}
