// Facts that wait until the bridge forwards for them.

import EVPN

/// What is told of this host while the bridge is away. Nobody is announced who is not reached; who is withdrawn is withdrawn at once.
struct HeldFacts {
    /// In their order.
    private var held: [LocalChange] = []

    /// Returns what is told at once.
    mutating func add(_ facts: [LocalChange]) -> [LocalChange] {
        let gone = facts.filter { $0 == $0.withdrawal }
        let keys = Set(facts.map(\.withdrawal))
        held.removeAll { keys.contains($0.withdrawal) }
        held += facts.filter { $0 != $0.withdrawal }
        return gone
    }
    mutating func take() -> [LocalChange] {
        defer { held = [] }
        return held
    }
}

extension LocalChange {
    /// That it is there no more.
    fileprivate var withdrawal: LocalChange {
        switch self {
        case .domain(let key, _): .domain(key, nil)
        case .mac(let key, _): .mac(key, nil)
        case .neighbor(let key, _): .neighbor(key, nil)
        case .prefix(let key, _): .prefix(key, nil)
        }
    }
}
