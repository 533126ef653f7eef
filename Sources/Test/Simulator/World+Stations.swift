// Stations: they appear, move with and without a word, speak now and then, and go.

import EVPN
import NetTypes

extension World {
    func vtep(_ index: Int) -> Node? { vteps.first { $0.index == index } }

    /// Takes a station to another VTEP that has its VNI. Clean: the old host notices; otherwise its entry only gets old.
    func move(_ index: Int, isClean: Bool) {
        let key = stations[index].key
        let places = vteps.filter { $0.vnis.contains(key.vni) && $0.index != stations[index].place }
        guard !places.isEmpty else { return }
        leave(index, isClean: isClean)
        stations[index].place = places[random.below(places.count)].index
        if random.chance(percent: 70) { speak(index) }
    }
    func leave(_ index: Int, isClean: Bool) {
        guard let place = stations[index].place, let node = vtep(place) else { return }
        stations[index].place = nil
        if isClean { report(node, node.kernel.forget(stations[index].key)) }
    }
    func speak(_ index: Int) {
        let station = stations[index]
        guard let place = station.place, let node = vtep(place) else { return }
        var isTakeover = false
        if case .remote = node.kernel.fdb[station.key] { isTakeover = true }
        let facts = node.kernel.hear(station.key, addresses: station.addresses, now: now)
        report(node, facts)
        if isTakeover {
            // A dataplane puts back what it still wants, and was taken from it, within two seconds.
            after(milliseconds: 2000) { [unowned self] in heal(node, station.key) }
        }
    }
    private func heal(_ node: Node, _ key: MACKey) {
        guard node.speaker != nil, case .mac(_, let row?) = node.plane.wanted(.mac(key)),
            node.kernel.fdb[key] != .remote(row)
        else { return }
        report(node, node.kernel.apply(.mac(key, row)))
    }
    func speakRegularly(_ index: Int) {
        after(milliseconds: 10_000 + random.below(10_000)) { [unowned self] in
            speak(index)
            speakRegularly(index)
        }
    }
    func ageRegularly(_ node: Node) {
        after(milliseconds: 5000 + random.below(1000)) { [unowned self] in
            report(node, node.kernel.age(now: now))
            ageRegularly(node)
        }
    }
}
