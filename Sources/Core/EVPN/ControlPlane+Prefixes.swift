// Where packets to a prefix of an IP-VRF go, and what changes in the forwarding tables because of it. What this host has itself wins;
// then what another VRF of this host has (a leak); then the routes of others; then those of others that are leaked.

import BGP
import NetTypes

extension ControlPlane {
    /// Brings the prefixes of IP-VRFs in line with everything that was touched.
    mutating func evaluateRouted() {
        touchHostsOfSubnets()
        let removed = evaluateRouters()
        // Gateways look at candidates and hosts, never at what is in force, so this ends.
        repeat {
            // Nothing below changes which VTEPs there are.
            checkUnderlay()
            for slot in dirtyGateways { evaluate(gateway: slot) }
            dirtyGateways.removeAll(keepingCapacity: true)
            var index = 0
            while index < dirtyPrefixes.count {
                evaluate(prefix: dirtyPrefixes[index])
                index += 1
            }
            dirtyPrefixes.removeAll(keepingCapacity: true)
        } while !dirtyGateways.isEmpty
        if dirtyPrefixes.capacity > 1 << 16 { dirtyPrefixes = [] }
        output.forwarding += removed
    }

    private mutating func evaluate(prefix slot: Slot) {
        prefixes[slot].isDirty = false
        let entry = prefixes[slot]
        let index = Int(entry.table)
        if hasUnderlay { guardUnderlay(entry) }
        let choice = choose(entry)
        if choice.group != entry.group {
            // Keep the old until the new is there.
            let old = entry.group
            if choice.group.exists { groups[choice.group].references += 1 }
            prefixes[slot].group = choice.group
            if let name = tables[index]?.name, let prefix = entry.prefix {
                let row = choice.group.exists ? RemotePrefix(nexthops: groups[choice.group].nexthops) : nil
                output.forwarding.append(.prefix(PrefixKey(vrf: name, prefix: prefix), row))
            }
            if choice.group.exists != old.exists { tables[index]?.remotePrefixes += choice.group.exists ? 1 : -1 }
            if old.exists { release(group: old) }
        }
        // Released only now: a group that was made for the choice has no other owner.
        if choice.isTransient { release(group: choice.group) }
        if choice.group != entry.group || choice.isLeaked != entry.isLeaked {
            prefixes[slot].isLeaked = choice.isLeaked
            if tables[index]?.takers.isEmpty == false { touchTakers(of: entry) }
        }
        if let change = exportChange(prefixes[slot]) { output.exports.append(change) }
        if entry.isHost, !gatewaySlots.isEmpty,
            let gateway = gatewaySlots[Gateway.Key(table: entry.table, ip: entry.address)]
        {
            touch(gateway: gateway)
        }
        // What is in the way of a leak may go at any time, and nothing else would remember it.
        if !entry.imports.exists, !choice.group.exists, !isLeakOffered(entry) { prefixes.remove(slot) }
    }

    struct PrefixChoice {
        /// Row in `groups`, or `.none`.
        var group: Slot
        /// The caller owns one reference of the group.
        var isTransient = false
        var isLeaked = false
    }

    private mutating func choose(_ entry: PrefixEntry) -> PrefixChoice {
        let index = Int(entry.table)
        guard tables[index]?.vrf != nil else { return PrefixChoice(group: .none) }
        if isHere(entry), tables[index]?.vrf?.sharesLocalPrefixes != true { return PrefixChoice(group: .none) }
        if subnetWithEnd(entry) != nil { return PrefixChoice(group: .none) }
        if hasUnderlay, let prefix = entry.prefix, tables[index]?.refused[prefix] != nil {
            return PrefixChoice(group: .none)
        }
        let hasSources = tables[index]?.sources.isEmpty == false
        if hasSources, let source = localSource(of: entry), let name = tables[Int(source)]?.name {
            return PrefixChoice(group: retain(group: [.table(vrf: name)]), isTransient: true, isLeaked: true)
        }
        let first = entry.imports
        if first.exists {
            let item = routedImports[first]
            if !item.next.exists, !item.isThroughGateway {
                // Nearly all prefixes: one route.
                if ways[item.way].isUsable, isBelieved(item) {
                    return PrefixChoice(group: group(of: item.way))
                }
            } else {
                let nexthops = nexthops(of: entry, limit: tables[index]?.vrf?.maximumPaths ?? 1)
                if !nexthops.isEmpty { return PrefixChoice(group: retain(group: nexthops), isTransient: true) }
            }
        }
        if hasSources, let source = remoteSource(of: entry) {
            return PrefixChoice(group: prefixes[source].group, isLeaked: true)
        }
        return PrefixChoice(group: .none)
    }

    /// This host has a route or a host of its own for exactly this prefix.
    func isHere(_ entry: PrefixEntry) -> Bool {
        guard let table = tables[Int(entry.table)] else { return false }
        if !table.locals.isEmpty, let prefix = entry.prefix, table.locals[prefix] != nil { return true }
        return entry.isHost && !table.hosts.isEmpty && table.hosts[entry.address] != nil
    }

    /// The subnet of this host whose network or broadcast address it is.
    func subnetWithEnd(_ entry: PrefixEntry) -> IPPrefix? {
        guard entry.isHost, let table = tables[Int(entry.table)], !table.subnetEnds.isEmpty else { return nil }
        return table.subnetEnds[entry.address]
    }

    /// False for a type 2 route about a host that is here by now, or in a subnet that is here.
    func isBelieved(_ item: RoutedImport) -> Bool { !isStaleBinding(route: item.route) && !isMisplaced(item) }

    // MARK: Preference

    /// The next hops of an import; empty while it cannot be used.
    func nexthops(of link: Slot) -> [RoutedNexthop] {
        let item = routedImports[link]
        if item.isThroughGateway { return gateways[item.way].nexthops }
        guard ways[item.way].isUsable, let nexthop = nexthop(of: item.way) else { return [] }
        return [nexthop]
    }

    /// Whether the routes of type 2 `a` and `b` about a host differ in what MAC mobility goes by (RFC 7432 §15): less is better.
    func mobilityOrder(_ a: Slot, _ b: Slot) -> Bool? {
        let x = routes[routedImports[a].route]
        let y = routes[routedImports[b].route]
        guard x.isMACIP, y.isMACIP, x.attributes != y.attributes else { return nil }
        let (p, q) = (attributes[x.attributes], attributes[y.attributes])
        if p.protection != q.protection { return p.protection > q.protection }
        if p.sequence != q.sequence { return p.sequence > q.sequence }
        return nil
    }

    /// Whether import `a` is preferred to `b` by the path attributes, and type 2 before type 5; nil: they are equal.
    func pathOrder(_ a: Slot, _ b: Slot) -> Bool? {
        let x = routes[routedImports[a].route]
        let y = routes[routedImports[b].route]
        if x.attributes != y.attributes {
            let (p, q) = (attributes[x.attributes].preference, attributes[y.attributes].preference)
            if p != q { return p < q }
        }
        return x.isMACIP != y.isMACIP ? x.isMACIP : nil
    }

    /// The imports that are chosen for a prefix: of the type 2 routes only those that MAC mobility leaves, of those and the type 5
    /// routes the best ones. `directOnly` leaves out what goes through a gateway.
    func chosenImports(of entry: PrefixEntry, directOnly: Bool = false) -> [Slot] {
        var usable: [Slot] = []
        var hosts: Slot = .none
        var link = entry.imports
        while link.exists {
            let item = routedImports[link]
            let isUsable =
                item.isThroughGateway ? !directOnly && !gateways[item.way].nexthops.isEmpty : ways[item.way].isUsable
            if isUsable, isBelieved(item) {
                usable.append(link)
                if routes[item.route].isMACIP, !hosts.exists || mobilityOrder(link, hosts) == true { hosts = link }
            }
            link = item.next
        }
        if hosts.exists { usable.removeAll { mobilityOrder(hosts, $0) == true } }
        guard var best = usable.first else { return [] }
        for link in usable.dropFirst() where pathOrder(link, best) == true { best = link }
        return usable.filter { pathOrder(best, $0) == nil }
    }

    /// What the routes of others say about a prefix: sorted, at most `limit`.
    func nexthops(of entry: PrefixEntry, limit: Int, directOnly: Bool = false) -> [RoutedNexthop] {
        var found: Set<RoutedNexthop> = []
        for link in chosenImports(of: entry, directOnly: directOnly) { found.formUnion(nexthops(of: link)) }
        let sorted = found.sorted()
        return limit < sorted.count ? Array(sorted.prefix(max(1, limit))) : sorted
    }
}
