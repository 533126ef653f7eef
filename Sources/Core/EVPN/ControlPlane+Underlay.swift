// What tenants may not put into the host's own table: a route that would take the underlay's packets to a VTEP, to a BGP neighbor, or to a
// next hop of its own routes, away into a tenant's VRF. The overlay would cut itself off.

import BGP
import NetTypes

extension ControlPlane {
    /// Calls `body` with every address that the underlay needs: VTEPs, BGP neighbors, and next hops of the host's own table.
    private func forEachProtected(gateways: IPVRFTable?, _ body: (IPAddress) -> Void) {
        for ip in vtepSlots.keys { body(ip) }
        for ip in peers { body(ip) }
        for ip in (gateways?.gateways ?? [:]).keys { body(ip) }
    }
    /// The address that the underlay needs and that a prefix in the host's own table would lead elsewhere; nil: none.
    func hijacked(by prefix: IPPrefix, in table: IPVRFTable) -> IPAddress? {
        guard table.isUnderlay else { return nil }
        var found: IPAddress?
        func look(_ ip: IPAddress) {
            guard prefix.contains(ip), found.map({ ip < $0 }) ?? true else { return }
            // A longer prefix of the underlay's own still leads there.
            if table.route(to: ip, longerThan: prefix.length) == nil { found = ip }
        }
        forEachProtected(gateways: table, look)
        // Our own addresses are found before any route; a tenant's host has no business with them all the same.
        if prefix.length == prefix.address.bitWidth, ownVTEPs[prefix.address] != nil { return prefix.address }
        return found
    }

    /// Whether what others have of a prefix may be in the host's own table.
    mutating func guardUnderlay(_ entry: PrefixEntry) {
        guard tables[Int(entry.table)]?.isUnderlay == true, let table = tables[Int(entry.table)],
            let prefix = entry.prefix
        else { return }
        let isOffered = entry.imports.exists || isLeakOffered(entry)
        refuseLeak(prefix, in: entry.table, because: isOffered ? hijacked(by: prefix, in: table) : nil)
    }
    /// Remembers that a prefix of a tenant is kept out of the host's own table, and reports it once; nil: it is not.
    mutating func refuseLeak(_ prefix: IPPrefix, in table: Slot, because ip: IPAddress?) {
        guard tables[Int(table)]?.refused[prefix] != ip else { return }
        tables[Int(table)]?.refused[prefix] = ip
        guard let ip, let name = tables[Int(table)]?.name else { return }
        report(.leakRefused(PrefixKey(vrf: name, prefix: prefix), hijacked: ip))
    }

    /// An address is a VTEP's, or a next hop of the underlay's, that was not before, or is it no more.
    mutating func underlayChanged(_ ip: IPAddress) {
        guard hasUnderlay, !mustCheckUnderlay else { return }
        guard let host = IPPrefix(ip, length: ip.bitWidth) else { return }
        mustCheckUnderlay = tables.contains { $0?.mayTake(host) == true }
    }
    /// Looks again at what is leaked into the host's own table.
    mutating func checkUnderlay() {
        guard mustCheckUnderlay else { return }
        mustCheckUnderlay = false
        for index in tables.indices where tables[index]?.facesUnderlay == true {
            for slot in prefixes.slots where prefixes[slot].table == Slot(index) { touch(prefix: slot) }
        }
    }

    // MARK: Prefixes of IP-VRFs in tables that are not their own

    /// All that IP-VRFs have for other tables.
    public var exports: [ExportChange] {
        prefixes.slots.compactMap { exportChange(prefixes[$0]) }.sorted { $0.key < $1.key }
    }

    /// Whether a route of a VRF's table is one that another VRF was exported with: not a fact of this host, just as what is leaked is not
    /// leaked on. Else two VRFs could each give way to the other.
    func isExported(_ local: LocalPrefix, in name: String) -> Bool {
        guard name != local.interface, let source = tableByName[local.interface] else { return false }
        return tables[Int(source)]?.vrf?.export?.proto == local.proto
    }
    /// What is in force by routes of others, leaks not among them; nil: nobody asks for it.
    func exportChange(_ entry: PrefixEntry) -> ExportChange? {
        guard let table = tables[Int(entry.table)], let export = table.vrf?.export,
            let prefix = entry.prefix
        else { return nil }
        let key = PrefixKey(vrf: table.name, prefix: prefix)
        guard entry.group.exists, !entry.isLeaked else { return ExportChange(key: key, prefix: nil) }
        var found = ExportedPrefix(vteps: [])
        for case .router(let vtep, _) in groups[entry.group].nexthops { found.vteps.append(vtep) }
        var (communities, largeCommunities): (Set<UInt32>, Set<LargeCommunity>) = ([], [])
        for link in chosenImports(of: entry) {
            guard let set = attributes[routes[routedImports[link].route].attributes].set else { continue }
            communities.formUnion(set.attributes.communities)
            largeCommunities.formUnion(set.attributes.largeCommunities)
        }
        found.communities = communities.sorted()
        found.largeCommunities = largeCommunities.sorted()
        if export.reachesHost {
            // Routes of the underlay are not known where there is no `default` among the VRFs, so longer ones do not count.
            var all = Array(ownVTEPs.keys)
            forEachProtected(gateways: tables.first { $0?.vrf?.place == .underlay } ?? nil) { all.append($0) }
            found.hijacked = all.filter { prefix.contains($0) }.min()
        }
        return ExportChange(key: key, prefix: found)
    }
}

extension IPVRFTable {
    /// It is the host's own table, and takes routes of others.
    var isUnderlay: Bool { vrf?.place == .underlay && (!sources.isEmpty || vrf?.importTargets != .explicit([])) }
    /// Its routes, or others', may come into the host's own table.
    var facesUnderlay: Bool { isUnderlay || vrf?.export?.reachesHost == true }
    /// It takes routes about addresses of a prefix.
    func mayTake(_ prefix: IPPrefix) -> Bool {
        if vrf?.export?.reachesHost == true { return true }
        guard isUnderlay else { return false }
        if vrf?.importTargets != .explicit([]) { return true }
        return sources.contains { source in
            guard let ranges = source.leak?.prefixes, !ranges.isEmpty else { return true }
            return ranges.contains { $0.prefix.contains(prefix.address) || prefix.contains($0.prefix.address) }
        }
    }
}
