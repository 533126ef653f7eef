// A new configuration: only what differs is looked at again, so that a client more costs what belongs to it, not the table.

import EVPN
import NetTypes

extension FlowTables {
    mutating func configure(_ configuration: SwitchConfiguration, _ overlay: Overlay) {
        let new = Model(configuration, overlay)
        if !model.isConfigured || model.bridge != new.bridge {
            touchAll()
            replace(model: new)
            return
        }
        touchDifferences(new)
        replace(model: new)
    }

    private mutating func touchDifferences(_ new: Model) {
        var vnis: Set<VNI> = []
        var names: Set<String> = []
        for vni in Set(model.domains.keys).union(new.domains.keys) where model.domains[vni] != new.domains[vni] {
            vnis.insert(vni)
        }
        for name in Set(model.vrfs.keys).union(new.vrfs.keys) where model.vrfs[name] != new.vrfs[name] {
            names.insert(name)
        }
        // Flows of a domain have its gateway's VRF in them.
        for domain in model.domains.values {
            if let gateway = domain.gateway, names.contains(gateway.vrf) { vnis.insert(domain.vni) }
        }
        for vni in vnis.sorted() { touchDomain(vni, new) }
        for name in names.sorted() { touchVRF(name, new) }
        if !vnis.isEmpty || !names.isEmpty { touchFound() }
        if !vnis.isEmpty { touchRows(vnis, new) }
        if !names.isEmpty { touchPrefixes(names) }
        touchClients(new)
    }

    private mutating func touchDomain(_ vni: VNI, _ new: Model) {
        touch(.domain(vni))
        touch(fact: .domain(vni))
        for domain in [model.domains[vni], new.domains[vni]] {
            guard let domain else { continue }
            for subject in subjects(of: domain).sorted(by: { "\($0)" < "\($1)" }) { touch(subject) }
            for fact in facts(of: domain) { touch(fact: fact) }
        }
        for model in [model, new] {
            for index in model.clientsOfDomain[vni] ?? [] { touch(client: .bridged(index), of: model) }
        }
    }

    /// Once through all rows, whatever the number of domains.
    private mutating func touchRows(_ vnis: Set<VNI>, _ new: Model) {
        changes.isUnordered = true
        for key in macs.keys where vnis.contains(key.vni) { touch(.mac(key)) }
        for key in learned.keys where vnis.contains(key.vni) { touchLearned(key) }
        for key in neighbors.keys where vnis.contains(key.vni) {
            touchAddress(key, model)
            touchAddress(key, new)
        }
    }
    /// Those of the VRFs, and others that look into them.
    private mutating func touchPrefixes(_ names: Set<String>) {
        changes.isUnordered = true
        for (key, row) in prefixes {
            let looksInto = row.nexthops.contains {
                if case .table(let name) = $0 { names.contains(name) } else { false }
            }
            if looksInto || names.contains(key.vrf) { touch(.route(key)) }
        }
    }

    private mutating func touchVRF(_ name: String, _ new: Model) {
        touch(.vrf(name))
        // They have the router's MAC address in them.
        if changes.groupsBefore == nil { changes.groupsBefore = groupsInForce() }
        for model in [model, new] {
            for index in model.clientsOfVRF[name] ?? [] { touch(client: .routed(index), of: model) }
            if let subnets = model.vrfs[name]?.subnets {
                for subnet in subnets.keys.sorted() {
                    touch(.route(PrefixKey(vrf: name, prefix: subnet)))
                    touch(fact: .prefix(PrefixKey(vrf: name, prefix: subnet)))
                }
            }
        }
    }

    private mutating func touchClients(_ new: Model) {
        let (oldBridged, newBridged) = (Set(model.bridged), Set(new.bridged))
        for (index, client) in model.bridged.enumerated() where !newBridged.contains(client) {
            touch(client: .bridged(index), of: model)
        }
        for (index, client) in new.bridged.enumerated() where !oldBridged.contains(client) {
            touch(client: .bridged(index), of: new)
        }
        let anycast = model.enabledAnycast.symmetricDifference(new.enabledAnycast)
        let (oldRouted, newRouted) = (Set(model.routed), Set(new.routed))
        for (index, client) in model.routed.enumerated()
        where !newRouted.contains(client) || !anycast.isDisjoint(with: client.anycast) {
            touch(client: .routed(index), of: model)
        }
        for (index, client) in new.routed.enumerated()
        where !oldRouted.contains(client) || !anycast.isDisjoint(with: client.anycast) {
            touch(client: .routed(index), of: new)
        }
    }

    private mutating func replace(model new: Model) {
        model = new
        attached = [:]
        sharers = [:]
        for number in names.keys { attach(number) }
        for (key, place) in learned.sorted(by: { $0.key < $1.key }) where learningDomain(place) != key.vni { drop(key) }
    }
}
