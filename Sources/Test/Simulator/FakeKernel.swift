// A host's bridge and VXLAN devices as far as the control plane can tell: it learns, ages, and holds what it is told.

import EVPN
import NetTypes

/// Each change of the local part comes back as the facts that a dataplane would report.
struct FakeKernel {
    enum Entry: Equatable {
        /// Learned on a bridge port, last heard then.
        case local(heard: Int64)
        case remote(RemoteMAC)
    }
    static let agingSeconds: Int64 = 60

    var fdb: [MACKey: Entry] = [:]
    var localNeighbors: [NeighborKey: MACAddress] = [:]
    var remoteNeighbors: [NeighborKey: RemoteNeighbor] = [:]
    private(set) var prefixes: [PrefixKey: RemotePrefix] = [:]
    var floods: [FloodKey: FloodMember] = [:]
    /// Routes of the host itself.
    var localPrefixes: [PrefixKey: LocalPrefix] = [:]
    /// VNIs whose VXLAN device is up.
    var domains: Set<VNI> = []

    /// A frame from a local station, an ARP announcement of its addresses.
    mutating func hear(_ key: MACKey, addresses: [IPAddress], now: Int64) -> [LocalChange] {
        var facts: [LocalChange] = []
        switch fdb[key] {
        case .local: fdb[key] = .local(heard: now)
        case .remote(let row) where row.isSticky: return []
        case .remote, nil:
            fdb[key] = .local(heard: now)
            facts.append(.mac(key, LocalMAC(port: "tap\(key.mac.rawValue & 0xff)")))
        }
        for ip in addresses {
            let neighbor = NeighborKey(vni: key.vni, ip: ip)
            guard localNeighbors[neighbor] != key.mac else { continue }
            localNeighbors[neighbor] = key.mac
            remoteNeighbors[neighbor] = nil
            facts.append(.neighbor(neighbor, LocalNeighbor(mac: key.mac)))
        }
        return facts
    }

    /// The port went down, or the entry got old.
    mutating func forget(_ key: MACKey) -> [LocalChange] {
        guard case .local = fdb[key] else { return [] }
        fdb[key] = nil
        var facts: [LocalChange] = [.mac(key, nil)]
        for neighbor in localNeighbors.keys.sorted()
        where neighbor.vni == key.vni && localNeighbors[neighbor] == key.mac {
            localNeighbors[neighbor] = nil
            facts.append(.neighbor(neighbor, nil))
        }
        return facts
    }
    mutating func age(now: Int64) -> [LocalChange] {
        var facts: [LocalChange] = []
        for key in fdb.keys.sorted() {
            if case .local(let heard) = fdb[key], now - heard > FakeKernel.agingSeconds * 1_000_000_000 {
                facts += forget(key)
            }
        }
        return facts
    }

    /// Carries out what the control plane wants. A remote entry takes the place of a local one, which is then reported gone.
    mutating func apply(_ change: ForwardingChange) -> [LocalChange] {
        switch change {
        case .flood(let key, let member):
            floods[key] = member
            return []
        case .mac(let key, let row?):
            var facts: [LocalChange] = []
            if case .local = fdb[key] { facts = forget(key) }
            fdb[key] = .remote(row)
            return facts
        case .mac(let key, nil):
            if case .remote = fdb[key] { fdb[key] = nil }
            return []
        case .neighbor(let key, let row?):
            remoteNeighbors[key] = row
            guard localNeighbors.removeValue(forKey: key) != nil else { return [] }
            return [.neighbor(key, nil)]
        case .neighbor(let key, nil):
            remoteNeighbors[key] = nil
            return []
        case .prefix(let key, let row):
            prefixes[key] = row
            return []
        }
    }

    /// What a dataplane reports when it starts.
    func facts(vtep: IPAddress) -> [LocalChange] {
        var facts: [LocalChange] = domains.sorted().map { .domain($0, Tenant.domain($0, vtep: vtep)) }
        for (key, local) in localPrefixes.sorted(by: { $0.key < $1.key }) { facts.append(.prefix(key, local)) }
        for key in fdb.keys.sorted() {
            if case .local = fdb[key] { facts.append(.mac(key, LocalMAC(port: "tap\(key.mac.rawValue & 0xff)"))) }
        }
        for (key, mac) in localNeighbors.sorted(by: { $0.key < $1.key }) {
            facts.append(.neighbor(key, LocalNeighbor(mac: mac)))
        }
        return facts
    }

    /// Everything that was put there by the control plane, in the order of `ControlPlane.forwardingState`.
    var installed: [ForwardingChange] {
        var result: [ForwardingChange] = floods.sorted { $0.key < $1.key }.map { .flood($0.key, $0.value) }
        for key in fdb.keys.sorted() { if case .remote(let row) = fdb[key] { result.append(.mac(key, row)) } }
        result += remoteNeighbors.sorted { $0.key < $1.key }.map { .neighbor($0.key, $0.value) }
        result += prefixes.sorted { $0.key < $1.key }.map { .prefix($0.key, $0.value) }
        return result
    }
}
