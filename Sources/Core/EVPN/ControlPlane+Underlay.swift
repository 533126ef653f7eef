// What tenants may not put into the host's own table: a route that would take the underlay's packets to a VTEP, or to a next hop of its own
// routes, away into a tenant's VRF. The overlay would cut itself off.

import BGP
import NetTypes

extension ControlPlane {
    /// The VTEP, or the next hop of the underlay, that a prefix in the host's own table would lead elsewhere; nil: none.
    func hijacked(by prefix: IPPrefix, in table: IPVRFTable) -> IPAddress? {
        guard table.isUnderlay else { return nil }
        var found: IPAddress?
        func look(_ ip: IPAddress) {
            guard prefix.contains(ip), found.map({ ip < $0 }) ?? true else { return }
            // A longer prefix of the underlay's own still leads there.
            if table.route(to: ip, longerThan: prefix.length) == nil { found = ip }
        }
        for ip in vtepSlots.keys { look(ip) }
        for ip in table.gateways.keys { look(ip) }
        // Our own addresses are found before any route; a tenant's host has no business with them all the same.
        if prefix.length == prefix.address.bitWidth, ownVTEPs[prefix.address] != nil { return prefix.address }
        return found
    }

    /// Whether what others have of a prefix may be in the host's own table.
    mutating func guardUnderlay(_ entry: PrefixEntry) {
        guard tables[Int(entry.table)]?.isUnderlay == true, let table = tables[Int(entry.table)],
            let prefix = entry.prefix
        else { return }
        let isOffered = entry.imports.exists || localSource(of: entry) != nil || remoteSource(of: entry) != nil
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
        for index in tables.indices where tables[index]?.isUnderlay == true {
            for prefix in (tables[index]?.refused ?? [:]).keys.sorted() {
                let key = PrefixEntry.Key(Slot(index), prefix)
                touch(prefix: prefixes.find(key) ?? prefixes.insert(PrefixEntry(key: key)))
            }
            for slot in prefixes.slots where prefixes[slot].table == Slot(index) { touch(prefix: slot) }
        }
    }
}

extension IPVRFTable {
    /// It is the host's own table, and takes routes of others.
    var isUnderlay: Bool { vrf?.place == .underlay && (!sources.isEmpty || vrf?.importTargets != .explicit([])) }
    /// It takes routes about addresses of a prefix.
    func mayTake(_ prefix: IPPrefix) -> Bool {
        guard isUnderlay else { return false }
        if vrf?.importTargets != .explicit([]) { return true }
        return sources.contains { source in
            guard let ranges = source.leak?.prefixes, !ranges.isEmpty else { return true }
            return ranges.contains { $0.prefix.contains(prefix.address) || prefix.contains($0.prefix.address) }
        }
    }
}
