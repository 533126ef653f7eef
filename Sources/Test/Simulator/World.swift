// Tens of VTEPs around route reflectors on virtual time. Every byte between them is a real BGP message from a real speaker.

import BGP
import BGPEngine
import EVPN
import NetTypes

/// A station somewhere in the overlay.
struct Station {
    var key: MACKey
    var addresses: [IPAddress]
    /// Index of the VTEP it is behind; nil: it is off.
    var place: Int?
}

public struct WorldParameters: Sendable {
    public var vteps = 20
    public var reflectors = 1
    public var vnis = 3
    public var stations = 60
    /// One in so many VTEPs lacks a VNI.
    public var sparseness = 4
    public init() {}
}

/// A simulated fabric. All time is virtual: a run takes as long as its computation.
public final class World {
    var queue = EventQueue()
    var random: SeededGenerator
    public private(set) var now: Int64 = 0
    let vteps: [Node]
    let reflectors: [Node]
    var stations: [Station] = []
    /// Nodes that nobody can reach now.
    var cutOff: Set<Int> = []
    /// Nodes behind slow links.
    var slow: Set<Int> = []
    /// No more trouble is made.
    var isCalm = false
    /// A digest of everything that was delivered, to see that a seed gives the same run again.
    public private(set) var digest: UInt64 = 0xcbf2_9ce4_8422_2325
    public private(set) var deliveries = 0
    /// Chunks with UPDATEs that VTEPs sent, and that reflectors sent each other: the second must not outgrow the first, else
    /// the reflectors keep each other busy.
    public private(set) var updatesFromVTEPs = 0
    public private(set) var updatesBetweenReflectors = 0
    /// What went wrong on the way.
    public private(set) var faults: [String] = []
    /// How often each kind of trouble was made.
    public internal(set) var troubles: [String: Int] = [:]
    /// Events of the control planes by kind.
    public private(set) var planeEvents: [String: Int] = [:]

    public init(seed: UInt64, _ parameters: WorldParameters = WorldParameters()) {
        random = SeededGenerator(seed: seed)
        let vnis = (0..<parameters.vnis).compactMap { VNI(UInt32(1000 + $0)) }
        reflectors = (0..<parameters.reflectors).map { Node(index: 200 + $0, isReflector: true, vnis: []) }
        var nodes: [Node] = []
        for index in 0..<parameters.vteps {
            var own: [VNI] = []
            for vni in vnis where random.below(parameters.sparseness) != 0 { own.append(vni) }
            nodes.append(Node(index: index + 1, isReflector: false, vnis: own))
        }
        vteps = nodes
        for number in 0..<parameters.stations {
            let key = MACKey(
                vni: vnis[number % vnis.count], mac: MACAddress(rawValue: 0x0200_0000_0000 + UInt64(number)))
            var addresses: [IPAddress] = []
            if number % 3 != 0 { addresses.append(.v4(IPv4Address(rawValue: 0x0a00_0000 + UInt32(number)))) }
            if number % 4 == 0 {
                addresses.append(.v6(IPv6Address(high: 0x2001_0db8_0000_0000, low: UInt64(number))))
            }
            stations.append(Station(key: key, addresses: addresses, place: nil))
        }
        for node in reflectors + vteps { after(milliseconds: random.below(3000)) { [unowned self] in start(node) } }
        for index in stations.indices {
            after(milliseconds: random.below(20_000)) { [unowned self] in
                move(index, isClean: true)
                speakRegularly(index)
            }
        }
        for node in vteps { ageRegularly(node) }
    }

    // MARK: Time

    func after(milliseconds: Int, _ action: @escaping () -> Void) {
        queue.add(at: now + Int64(milliseconds) * 1_000_000, action)
    }
    /// Lets so much virtual time pass.
    public func run(seconds: Int) {
        let end = now + Int64(seconds) * 1_000_000_000
        while let next = queue.nextTime, next <= end, let event = queue.pop() {
            now = event.at
            event.action()
        }
        now = end
    }
    func clock(_ node: Node) -> Instant { Instant(nanoseconds: now + node.clockOffset) }

    // MARK: Life of a node

    func start(_ node: Node) {
        guard node.speaker == nil else { return }
        node.life += 1
        let speaker = Speaker(
            hostname: "node\(node.index)", restarting: node.mustPrune, seed: UInt64(node.index) << 8 | UInt64(node.life)
        )
        node.speaker = speaker
        node.plane = ControlPlane()
        node.wakeAt = nil
        if !node.isReflector {
            give(node, .overlay(node.overlay()))
            give(node, .local(node.kernel.facts(vtep: node.address)))
        }
        speaker.configure(node.configuration(reflectors: reflectors, clients: vteps), now: clock(node))
        settle(node)
    }
    /// As kill -9 does: connections break, the kernel keeps forwarding.
    func kill(_ node: Node) {
        guard node.speaker != nil else { return }
        node.speaker = nil
        node.mustPrune = true
        for id in node.pipes.keys.sorted() {
            guard let (pipe, side) = node.pipes[id] else { continue }
            push(pipe, to: 1 - side, nil)
        }
        node.pipes = [:]
    }

    /// Carries out what the speaker asks for, and sleeps until the next deadline.
    func settle(_ node: Node) {
        guard let speaker = node.speaker else { return }
        while true {
            let effects = speaker.takeEffects()
            if effects.isEmpty { break }
            for effect in effects { carryOut(effect, node, speaker) }
        }
        var next = speaker.nextDeadline
        if let deadline = node.plane.nextDeadline { next = next.map { min($0, deadline) } ?? deadline }
        guard let next else { return }
        let at = max(now, next.nanoseconds - node.clockOffset)
        if let wakeAt = node.wakeAt, wakeAt <= at, wakeAt > now { return }
        node.wakeAt = at
        let life = node.life
        queue.add(at: at) { [unowned self] in
            guard node.life == life, let speaker = node.speaker else { return }
            if node.wakeAt == at { node.wakeAt = nil }
            let time = clock(node)
            if let deadline = node.plane.nextDeadline, deadline <= time { give(node, .deadlineReached) }
            if let deadline = speaker.nextDeadline, deadline <= time { speaker.handleDeadlines(now: time) }
            settle(node)
        }
    }

    private func carryOut(_ effect: SpeakerEffect, _ node: Node, _ speaker: Speaker) {
        switch effect {
        case .transport, .configure, .transmit, .event: break
        case .connect(let id, let plan): connect(node, id, to: plan.address)
        case .send(let id, let bytes):
            guard let (pipe, side) = node.pipes[id] else { return }
            push(pipe, to: 1 - side, bytes)
            let life = node.life
            after(milliseconds: 1) { [unowned self] in
                guard node.life == life, node.pipes[id] != nil else { return }
                node.speaker?.drained(id, now: clock(node))
                settle(node)
            }
        case .close(let id):
            guard let (pipe, side) = node.pipes.removeValue(forKey: id) else { return }
            push(pipe, to: 1 - side, nil)
        case .routes(let changes):
            guard !node.isReflector else { return }
            give(
                node,
                .routes(
                    changes.map { change in
                        RouteChange(
                            key: change.key,
                            path: change.path.map {
                                RemotePath(payload: $0.payload, attributes: $0.attributes, neighbor: $0.peerAddress)
                            })
                    }))
        case .initialSync:
            guard node.mustPrune, !node.isReflector else { return }
            node.mustPrune = false
            prune(node)
        }
    }

    /// Removes entries of an earlier life that nobody wants any more.
    private func prune(_ node: Node) {
        let wanted = Set(node.plane.forwardingState())
        var facts: [LocalChange] = []
        for change in node.kernel.installed where !wanted.contains(change) {
            switch change {
            case .flood(let key, _): facts += node.kernel.apply(.flood(key, nil))
            case .mac(let key, _): facts += node.kernel.apply(.mac(key, nil))
            case .neighbor(let key, _): facts += node.kernel.apply(.neighbor(key, nil))
            case .prefix(let key, _): facts += node.kernel.apply(.prefix(key, nil))
            }
        }
        report(node, facts)
    }

    /// An input for the control plane, and what follows from it.
    func give(_ node: Node, _ input: ControlPlane.Input) {
        let output = node.plane.handle(input, now: clock(node))
        for event in output.events {
            switch event {
            case .moved: planeEvents["moved", default: 0] += 1
            case .addressMoved: planeEvents["address moved", default: 0] += 1
            case .addressConflict: planeEvents["address conflict", default: 0] += 1
            case .duplicateDetected: planeEvents["duplicate", default: 0] += 1
            case .recovered: planeEvents["recovered", default: 0] += 1
            case .conflict: planeEvents["conflict", default: 0] += 1
            case .routersDiffer: planeEvents["routers differ", default: 0] += 1
            case .leakRefused(let key, let ip): faults.append("node \(node.index): \(key.prefix) leads \(ip) away")
            case .vtepsDiffer(let vni, let vtep, let transit, let other):
                faults.append("node \(node.index): vni \(vni) has \(vtep), vni \(transit) has \(other)")
            case .membershipChanged: planeEvents["membership", default: 0] += 1
            case .membershipTooLong(let vtep, let omitted): faults.append("membership of \(vtep): \(omitted) left out")
            case .routeIgnored(let key, let reason): faults.append("node \(node.index) ignored \(key): \(reason)")
            }
        }
        var facts: [LocalChange] = []
        for change in output.forwarding { facts += node.kernel.apply(change) }
        report(node, facts)
        guard !output.advertisements.isEmpty else { return }
        node.speaker?.originate(
            output.advertisements.map { change in
                LocalRouteChange(
                    key: change.key,
                    route: change.route.map { LocalRoute(payload: $0.payload, attributes: $0.attributes) })
            }, now: clock(node))
    }

    /// Facts reach the control plane a little later, in order.
    func report(_ node: Node, _ facts: [LocalChange]) {
        guard !facts.isEmpty, node.speaker != nil else { return }
        let life = node.life
        after(milliseconds: 5) { [unowned self] in
            guard node.life == life, node.speaker != nil else { return }
            give(node, .local(facts))
            settle(node)
        }
    }

    // MARK: Network

    private func isReachable(_ a: Node, _ b: Node) -> Bool { !cutOff.contains(a.index) && !cutOff.contains(b.index) }

    private func connect(_ node: Node, _ id: ConnectionID, to address: IPAddress) {
        let life = node.life
        after(milliseconds: 1 + random.below(20)) { [unowned self] in
            guard node.life == life, let speaker = node.speaker else { return }
            let target = (reflectors + vteps).first { $0.address == address }
            guard let target, let other = target.speaker, isReachable(node, target),
                let otherID = other.accepted(from: node.address, local: target.address, now: clock(target))
            else {
                speaker.closed(id, reason: "connection refused", now: clock(node))
                settle(node)
                return
            }
            let pipe = Pipe(
                .init(node: node, life: node.life, id: id), .init(node: target, life: target.life, id: otherID))
            node.pipes[id] = (pipe, 0)
            target.pipes[otherID] = (pipe, 1)
            speaker.connected(id, local: node.address, now: clock(node))
            settle(node)
            settle(target)
        }
    }

    private func push(_ pipe: Pipe, to side: Int, _ chunk: [UInt8]?) {
        guard !pipe.isBroken else { return }
        pipe.underWay[side].append(chunk)
        deliverSoon(pipe, side)
    }
    private func deliverSoon(_ pipe: Pipe, _ side: Int) {
        guard !pipe.isDelivering[side] else { return }
        pipe.isDelivering[side] = true
        let isSlow = pipe.ends.contains { slow.contains($0.node.index) }
        // A lost packet is a retransmission: much later, still in order.
        let delay = random.chance(percent: isSlow ? 30 : 1) ? 200 + random.below(1500) : 1 + random.below(10)
        after(milliseconds: delay) { [unowned self] in deliver(pipe, side) }
    }
    private func deliver(_ pipe: Pipe, _ side: Int) {
        pipe.isDelivering[side] = false
        guard !pipe.isBroken, !pipe.underWay[side].isEmpty else { return }
        let end = pipe.ends[side]
        let node = end.node
        guard isReachable(node, pipe.ends[1 - side].node) else {
            pipe.isDelivering[side] = true
            after(milliseconds: 500) { [unowned self] in deliver(pipe, side) }
            return
        }
        let chunk = pipe.underWay[side].removeFirst()
        if !pipe.underWay[side].isEmpty { deliverSoon(pipe, side) }
        guard node.life == end.life, let speaker = node.speaker, node.pipes[end.id] != nil else {
            // Nobody there any more: a reset.
            if chunk != nil { push(pipe, to: 1 - side, nil) }
            return
        }
        deliveries += 1
        if let chunk {
            note(UInt64(node.index), chunk)
            if chunk.count > 18, chunk[18] == 2 {
                let sender = pipe.ends[1 - side].node
                if !sender.isReflector { updatesFromVTEPs += 1 }
                if sender.isReflector, node.isReflector { updatesBetweenReflectors += 1 }
            }
            // Streams have no message boundaries.
            let cut = chunk.count > 1 && random.chance(percent: 20) ? 1 + random.below(chunk.count - 1) : chunk.count
            chunk.withUnsafeBytes { bytes in
                speaker.received(end.id, UnsafeRawBufferPointer(rebasing: bytes[..<cut]), now: clock(node))
                settle(node)
                guard cut < chunk.count, node.pipes[end.id] != nil else { return }
                speaker.received(end.id, UnsafeRawBufferPointer(rebasing: bytes[cut...]), now: clock(node))
            }
        } else {
            node.pipes[end.id] = nil
            speaker.closed(end.id, reason: "connection closed by the peer", now: clock(node))
        }
        settle(node)
    }
    private func note(_ index: UInt64, _ chunk: [UInt8]) {
        digest = (digest ^ index ^ UInt64(bitPattern: now)) &* 0x100_0000_01b3
        for byte in chunk { digest = (digest ^ UInt64(byte)) &* 0x100_0000_01b3 }
    }
    /// Breaks a connection at both ends.
    func reset(_ pipe: Pipe) {
        guard !pipe.isBroken else { return }
        pipe.isBroken = true
        for end in pipe.ends where end.node.life == end.life && end.node.pipes[end.id] != nil {
            end.node.pipes[end.id] = nil
            end.node.speaker?.closed(end.id, reason: "connection reset", now: clock(end.node))
            settle(end.node)
        }
    }
}
