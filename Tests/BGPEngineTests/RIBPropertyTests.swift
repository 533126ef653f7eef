// Random histories against a naive model: whatever happened, each peer's table, as read from its bytes, is what the rules say about
// the paths that are there.

import BGP
import NetTypes
import Testing

@testable import BGPEngine

/// The rules again, written the slow and obvious way, for iBGP and eBGP peers that say the attribute sets of `choices`.
private struct Model {
    struct Path: Hashable {
        var peer: UInt16
        var key: RouteKey
    }
    var peers: [UInt16: PeerDescription] = [:]
    var said: [Path: (label: UInt32, choice: Int)] = [:]

    static let choices: [PathAttributes] = (0..<6).map { index in
        attributes(nextHop: 60 + UInt32(index % 3)) {
            $0.localPreference = index == 5 ? 200 : nil
            $0.extendedCommunities = index == 4 ? [.macMobility(sequence: 3)] : []
            $0.asPath =
                index == 3 ? ASPath([.init(type: .sequence, asns: [1, ownASN])]) : ASPath()
        }
    }
    /// Sorts as the decision process does.
    func rank(_ path: Path, _ choice: Int) -> [UInt64] {
        let peer = peers[path.peer]
        let isExternal = peer?.kind == .external
        return [
            choice == 4 ? 0 : 1, UInt64(choice % 3), choice == 5 && !isExternal ? 0 : 1, isExternal ? 0 : 1,
            UInt64(path.peer),
        ]
    }
    func best(_ key: RouteKey) -> (Path, UInt32, Int)? {
        said.filter { $0.key.key == key && $0.value.choice != 3 && peers[$0.key.peer] != nil }
            .min { a, b in
                rank(a.key, a.value.choice).lexicographicallyPrecedes(rank(b.key, b.value.choice))
            }
            .map { ($0.key, $0.value.label, $0.value.choice) }
    }
    /// What `number` should know: label and next hop, and whether the path is reflected.
    func table(_ number: UInt16) -> [RouteKey: [UInt64]] {
        guard let target = peers[number] else { return [:] }
        var result: [RouteKey: [UInt64]] = [:]
        for key in Set(said.keys.map(\.key)) {
            guard let (path, label, choice) = best(key), path.peer != number, let source = peers[path.peer] else {
                continue
            }
            let isReflected = source.kind == .internal && target.kind == .internal
            if isReflected, !source.isReflectorClient, !target.isReflectorClient { continue }
            let preference: UInt64 =
                target.kind == .external ? 0 : source.kind == .internal && choice == 5 ? 200 : 100
            result[key] = [
                UInt64(label), UInt64(60 + choice % 3), isReflected ? UInt64(path.peer) : 0,
                target.kind == .external ? 1 : 0, preference,
            ]
        }
        return result
    }
    static func summary(_ heard: Reader.Heard) -> [UInt64] {
        let nextHop: UInt64
        if case .v4(let v4)? = heard.attributes.nextHop { nextHop = UInt64(v4.rawValue & 0xff) } else { nextHop = 0 }
        return [
            UInt64(heard.payload.label1), nextHop, UInt64((heard.attributes.originatorID?.rawValue ?? 0) & 0xff),
            UInt64(heard.attributes.asPath.length), UInt64(heard.attributes.localPreference ?? 0),
        ]
    }
}

@Suite struct RIBPropertyTests {
    static let descriptions = [
        peer(1, client: true), peer(2, client: true), peer(3), peer(4), peer(5, .external), peer(6, .external),
    ]

    @Test(arguments: 1...30 as ClosedRange<UInt64>) func everyPeerKnowsWhatTheRulesSay(seed: UInt64) {
        var generator = SplitMix(state: seed)
        var rib = RIB(RIBConfiguration(asn: ownASN, routerID: ownRouterID))
        var model = Model()
        var readers: [UInt16: Reader] = [:]
        var controlPlane: [RouteKey: UInt32] = [:]
        for round in 0..<120 {
            for _ in 0..<Int.random(in: 1...20, using: &generator) {
                let number = UInt16.random(in: 1...6, using: &generator)
                let route = macRoute(
                    UInt64.random(in: 0..<12, using: &generator), label: .random(in: 1...3, using: &generator))
                switch Int.random(in: 0..<100, using: &generator) {
                case 0..<3:
                    if model.peers[number] == nil {
                        let description = Self.descriptions[Int(number) - 1]
                        model.peers[number] = description
                        rib.addPeer(description)
                        readers[number] = Reader()
                    } else {
                        model.peers[number] = nil
                        model.said = model.said.filter { $0.key.peer != number }
                        rib.removePeer(PeerID(number))
                        readers[number] = nil
                    }
                case 3..<6:
                    rib.refresh(PeerID(number), .l2vpnEVPN)
                case 6..<40:
                    rib.unhear(number, [route])
                    model.said[.init(peer: number, key: route.key)] = nil
                case 40..<44:
                    var writer = ByteWriter()
                    _ = rib.drainUpdates(PeerID(number), byteBudget: 1, into: &writer)
                    readers[number]?.read(messages(writer.bytes))
                default:
                    let choice = Int.random(in: 0..<Model.choices.count, using: &generator)
                    rib.hear(number, [route], Model.choices[choice])
                    if model.peers[number] != nil {
                        model.said[.init(peer: number, key: route.key)] = (route.payload.label1, choice)
                    }
                }
            }
            for change in rib.takeChanges() { controlPlane[change.key] = change.path?.payload.label1 }
            for number in readers.keys.sorted() {
                readers[number]?.read(told(&rib, PeerID(number)))
                let known = (readers[number]?.table ?? [:]).mapValues { Model.summary($0) }
                #expect(known == model.table(number), "seed \(seed) round \(round) peer \(number)")
                let counters = rib.counters(PeerID(number), .l2vpnEVPN)
                #expect(counters.advertised == known.count)
                #expect(counters.received == model.said.keys.filter { $0.peer == number }.count)
            }
            var expected: [RouteKey: UInt32] = [:]
            for key in Set(model.said.keys.map(\.key)) { expected[key] = model.best(key)?.1 }
            #expect(controlPlane == expected, "seed \(seed) round \(round)")
            #expect(rib.destinationCount == Set(model.said.keys.map(\.key)).count)
            #expect(rib.pathCount == model.said.count)
        }
    }
}
