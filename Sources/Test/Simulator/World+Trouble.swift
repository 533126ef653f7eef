// What goes wrong, at random, until calm is asked for.

import EVPN
import NetTypes

extension World {
    /// Makes trouble for so many seconds: stations move, connections break, nodes are cut off, slow, killed, and jump in time.
    public func makeTrouble(seconds: Int) {
        isCalm = false
        let end = now + Int64(seconds) * 1_000_000_000
        trouble(until: end)
        run(seconds: seconds)
    }
    /// Repairs everything and lets the fabric come to rest.
    public func calmDown(seconds: Int) {
        isCalm = true
        cutOff = []
        slow = []
        for node in reflectors + vteps {
            start(node)
            for vni in node.isReflector ? [] : node.domains where !node.kernel.domains.contains(vni) {
                setDomain(node, vni, isUp: true)
            }
        }
        run(seconds: seconds)
    }

    private func trouble(until end: Int64) {
        after(milliseconds: 50 + random.below(800)) { [unowned self] in
            guard !isCalm, now < end else { return }
            makeOne()
            trouble(until: end)
        }
    }
    private func count(_ kind: String) { troubles[kind, default: 0] += 1 }
    private func anyNode() -> Node {
        let isReflector = random.chance(percent: 10)
        return isReflector ? reflectors[random.below(reflectors.count)] : vteps[random.below(vteps.count)]
    }

    private func makeOne() {
        switch random.below(100) {
        case 0..<45:
            count("station moves")
            move(random.below(stations.count), isClean: random.chance(percent: 50))
        case 45..<50:
            count("station goes")
            leave(random.below(stations.count), isClean: random.chance(percent: 50))
        case 50..<65:
            let node = anyNode()
            guard let id = node.pipes.keys.sorted().first, let (pipe, _) = node.pipes[id] else { return }
            count("connection reset")
            reset(pipe)
        case 65..<72:
            let node = anyNode()
            guard cutOff.insert(node.index).inserted else { return }
            count("cut off")
            after(milliseconds: 500 + random.below(25_000)) { [unowned self] in cutOff.remove(node.index) }
        case 72..<80:
            let node = anyNode()
            guard slow.insert(node.index).inserted else { return }
            count("slow link")
            after(milliseconds: 500 + random.below(20_000)) { [unowned self] in slow.remove(node.index) }
        case 80..<88:
            let node = anyNode()
            guard node.speaker != nil else { return }
            count("killed")
            kill(node)
            after(milliseconds: 100 + random.below(random.chance(percent: 30) ? 60_000 : 5000)) { [unowned self] in
                start(node)
            }
        case 88..<93:
            count("clock jump")
            let node = anyNode()
            node.clockOffset += Int64(random.below(60_000)) * 1_000_000
            settle(node)
        default:
            let node = vteps[random.below(vteps.count)]
            guard let vni = random.chance(percent: 50) ? Tenant.vni : node.vnis.first, node.kernel.domains.contains(vni)
            else { return }
            count("device down")
            setDomain(node, vni, isUp: false)
            after(milliseconds: 100 + random.below(20_000)) { [unowned self] in
                if !node.kernel.domains.contains(vni) { setDomain(node, vni, isUp: true) }
            }
        }
    }

    func setDomain(_ node: Node, _ vni: VNI, isUp: Bool) {
        if isUp { node.kernel.domains.insert(vni) } else { node.kernel.domains.remove(vni) }
        report(node, [.domain(vni, isUp ? Tenant.domain(vni, vtep: node.address) : nil)])
    }
}
