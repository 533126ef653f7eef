// What is sent to the bridge, and when: read, difference, changes, refusals. And what of this host is told while it is away.

import EVPN
import NetTypes
import OpenFlow
@testable import OpenFlowClient
import Testing

@testable import OVSDataplane

/// SplitMix64.
private struct Random {
    var state: UInt64
    mutating func below(_ limit: Int) -> Int {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return Int((z ^ (z >> 31)) % UInt64(limit))
    }
}

@Suite struct FlowSyncTests {
    let now = Instant(nanoseconds: 0)
    func flow(_ table: UInt8, _ port: UInt32, to output: UInt32) -> Flow {
        Flow(
            FlowKey(table: table, priority: 10, match: Match(.inPort(PortNumber(port)))), cookie: 1,
            actions: [.output(PortNumber(output))])
    }
    func contents(_ flows: Flow...) -> FlowSync.Contents { FlowSync.Contents(flows: flows) }

    @Test func sendsTheDifferenceAndThenChanges() {
        var sync = FlowSync()
        let (a, b, c) = (flow(0, 1, to: 2), flow(1, 1, to: 2), flow(0, 2, to: 3))
        #expect(sync.update(groups: [], flows: [.set(a)], removedGroups: []).isEmpty)
        #expect(sync.connected() == [.read])
        #expect(sync.update(groups: [], flows: [.set(b)], removedGroups: []).isEmpty)
        // Later tables first.
        #expect(
            sync.read(contents(c), wanted: contents(a, b)) == [
                .send([.flow(.set(b)), .flow(.set(a)), .flow(.delete(c.key))])
            ])
        #expect(!sync.isSettled)
        #expect(sync.pendingKeys == [a.key, b.key, c.key])
        #expect(sync.update(groups: [], flows: [.set(c)], removedGroups: []).isEmpty)
        #expect(sync.answered([], now: now) == [.send([.flow(.set(c))])])
        #expect(sync.answered([], now: now).isEmpty)
        #expect(sync.isSettled)
        // One change is one message.
        let moved = flow(1, 1, to: 9)
        #expect(sync.update(groups: [], flows: [.set(moved)], removedGroups: []) == [.send([.flow(.set(moved))])])
        _ = sync.answered([], now: now)
        sync.disconnected()
        #expect(!sync.isLive)
        #expect(sync.answered([], now: now).isEmpty)
        // Nothing was lost with the connection.
        #expect(sync.connected() == [.read])
        #expect(
            sync.read(contents(a, b, c), wanted: contents(a, moved, c)) == [.send([.flow(.set(moved))])])
        #expect(sync.plan(contents(a, moved, c), wanted: contents(a, moved, c)).isEmpty)
    }

    @Test func isolatesRefusedChanges() {
        var sync = FlowSync()
        let (a, b, c) = (flow(0, 1, to: 2), flow(0, 2, to: 2), flow(0, 3, to: 2))
        _ = sync.connected()
        _ = sync.read(contents(), wanted: contents(a, b, c))
        #expect(sync.answered([Refusal(index: 1, reason: "OFPBAC_MATCH_INCONSISTENT")], now: now).isEmpty)
        #expect(sync.isSettled)
        #expect(sync.failures[b.key]?.reason == "OFPBAC_MATCH_INCONSISTENT")
        #expect(sync.failures.count == 1 && sync.refused == 1)
        // It is tried again now and then, and is failed since the first time.
        let later = now + .seconds(10)
        #expect(sync.retry() == [.send([.flow(.set(b))])])
        #expect(sync.retry().isEmpty)
        #expect(sync.answered([Refusal(index: 0, reason: "OFPBAC_MATCH_INCONSISTENT")], now: later).isEmpty)
        #expect(sync.failures[b.key]?.since == now)
        // Another flow for the key is another matter.
        let other = flow(0, 2, to: 3)
        #expect(sync.update(groups: [], flows: [.set(other)], removedGroups: []) == [.send([.flow(.set(other))])])
        #expect(
            sync.answered([Refusal(index: 0, reason: "no"), Refusal(index: 7, reason: "no such")], now: later).isEmpty)
        #expect(sync.failures.count == 1 && sync.failures[b.key]?.since == later)
        _ = sync.retry()
        _ = sync.answered([], now: later)
        #expect(sync.failures.isEmpty)
    }

    @Test func comparesAtLongIntervals() {
        var sync = FlowSync()
        let (a, b) = (flow(0, 1, to: 2), flow(0, 2, to: 2))
        _ = sync.connected()
        _ = sync.read(contents(), wanted: contents(a))
        _ = sync.answered([], now: now)
        #expect(sync.verify() == [.read])
        #expect(sync.verify().isEmpty)
        // Of what changed meanwhile the answer says nothing.
        _ = sync.update(groups: [], flows: [.set(b)], removedGroups: [])
        #expect(sync.read(contents(a), wanted: contents(a, b)).isEmpty)
        #expect(sync.healed == 0)
        _ = sync.answered([], now: now)
        #expect(sync.verify() == [.read])
        sync.readFailed()
        #expect(sync.verify() == [.read])
        #expect(
            sync.read(contents(flow(0, 1, to: 5), flow(3, 3, to: 3)), wanted: contents(a, b)).count == 1)
        #expect(sync.healed == 3)
    }

    /// A bridge that does one batch after the other and is asked in between, while changes never end and somebody deletes flows.
    @Test(arguments: 1...6) func healsUnderChurn(seed: UInt64) {
        var random = Random(state: seed)
        var (sync, wanted, bridge) = (FlowSync(), [FlowKey: Flow](), [FlowKey: Flow]())
        // In their order, as they are answered.
        var asked: [FlowSync.Effect] = []
        func perform(_ effects: [FlowSync.Effect]) { asked += effects }
        func serve() {
            guard !asked.isEmpty else { return }
            switch asked.removeFirst() {
            case .read:
                // It may take until after changes that are made now.
                let found = FlowSync.Contents(flows: Array(bridge.values))
                for _ in 0..<random.below(3) { churn() }
                perform(sync.read(found, wanted: FlowSync.Contents(flows: Array(wanted.values))))
            case .send(let changes):
                for case .flow(let change) in changes {
                    switch change {
                    case .set(let flow): bridge[flow.key] = flow
                    case .delete(let key): bridge[key] = nil
                    }
                }
                perform(sync.answered([], now: now))
            }
        }
        func churn() {
            let new = flow(1, UInt32(random.below(40)), to: UInt32(random.below(1000)))
            let change: FlowChange = random.below(4) == 0 ? .delete(new.key) : .set(new)
            wanted[new.key] = change == .set(new) ? new : nil
            perform(sync.update(groups: [], flows: [change], removedGroups: []))
        }
        for number in 0..<100 {
            let steady = flow(2, UInt32(number), to: 1)
            wanted[steady.key] = steady
        }
        perform(sync.connected())
        serve()
        for _ in 0..<20 {
            for key in Array(bridge.keys).sorted() where random.below(10) == 0 { bridge[key] = nil }
            // Not once without a change on its way.
            for _ in 0..<10 {
                churn()
                churn()
                perform(sync.verify())
                serve()
                #expect(!sync.isSettled)
            }
            #expect(bridge.keys.count { $0.table == 2 } == 100)
        }
        for _ in 0..<20 { serve() }
        perform(sync.verify())
        for _ in 0..<20 { serve() }
        #expect(sync.isSettled && asked.isEmpty)
        #expect(bridge == wanted)
    }

    @Test func catchesUpUnderChurn() {
        var sync = FlowSync()
        let (a, b) = (flow(0, 1, to: 2), flow(0, 2, to: 2))
        for _ in 0..<2 {
            _ = sync.connected()
            #expect(!sync.hasCaughtUp)
            #expect(sync.read(contents(), wanted: contents(a)) == [.send([.flow(.set(a))])])
            _ = sync.update(groups: [], flows: [.set(b)], removedGroups: [])
            #expect(!sync.hasCaughtUp)
            #expect(sync.answered([], now: now) == [.send([.flow(.set(b))])])
            #expect(sync.hasCaughtUp && !sync.isSettled)
            sync.disconnected()
            #expect(!sync.hasCaughtUp)
        }
        _ = sync.connected()
        #expect(sync.read(contents(a), wanted: contents(a)).isEmpty)
        #expect(sync.hasCaughtUp)
    }

    @Test func countsUnderChurn() {
        var sync = FlowSync()
        let (a, b) = (flow(0, 1, to: 2), flow(0, 2, to: 2))
        _ = sync.connected()
        _ = sync.read(contents(a), wanted: contents(a))
        #expect(sync.counted(1, expected: 1, changes: 0).isEmpty)
        _ = sync.update(groups: [], flows: [.set(b)], removedGroups: [])
        #expect(sync.counted(1, expected: 2, changes: 1).isEmpty)
        #expect(sync.counted(0, expected: 2, changes: 1) == [.read])
        #expect(sync.read(contents(b), wanted: contents(a, b)).isEmpty)
        #expect(sync.answered([], now: now) == [.send([.flow(.set(a))])])
        // It is refused: reading again does not help, until the number is another one.
        _ = sync.answered([Refusal(index: 0, reason: "no")], now: now)
        #expect(sync.counted(1, expected: 2, changes: 0) == [.read])
        sync.readFailed()
        #expect(sync.counted(1, expected: 2, changes: 0) == [.read])
        _ = sync.read(contents(b), wanted: contents(a, b))
        _ = sync.answered([Refusal(index: 0, reason: "no")], now: now)
        #expect(sync.healed == 1)
        #expect(sync.counted(1, expected: 2, changes: 0).isEmpty)
        #expect(sync.counted(0, expected: 2, changes: 0) == [.read])
    }

    @Test func announcesNobodyWhileTheBridgeIsAway() {
        var held = HeldFacts()
        let (a, b) = (NeighborKey(vni: VNI(10)!, ip: IPAddress("10.0.0.1")!), VNI(20)!)
        let here = LocalChange.neighbor(a, LocalNeighbor(mac: MACAddress(rawValue: 0x0200_0000_0001)))
        let moved = LocalChange.neighbor(a, LocalNeighbor(mac: MACAddress(rawValue: 0x0200_0000_0002)))
        let domain = LocalChange.domain(b, LocalDomain(vtep: IPAddress("192.0.2.1")!, device: "d"))
        #expect(held.add([domain, here]).isEmpty)
        #expect(held.add([moved]).isEmpty)
        #expect(held.take() == [domain, moved])
        #expect(held.take().isEmpty)
        // Who is gone is gone at once, and is not told of afterwards.
        _ = held.add([domain, here])
        #expect(held.add([.neighbor(a, nil)]) == [.neighbor(a, nil)])
        #expect(held.take() == [domain])
    }
}
