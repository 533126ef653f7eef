// Routes of one IP-VRF that are visible in another one of this host: by an explicit rule, or because the one imports what the other one
// announces. What is leaked is not leaked on, so there are no loops of rules.

import BGP
import NetTypes

extension ControlPlane {
    /// Who takes from whom, from the configuration: explicit leaks in their order, then those by route target by name.
    mutating func indexLeaks() {
        for index in tables.indices { tables[index]?.takers = [] }
        let names = tableByName.keys.sorted()
        for name in names {
            guard let slot = tableByName[name] else { continue }
            var sources: [LeakSource] = []
            if let vrf = tables[Int(slot)]?.vrf {
                for leak in vrf.leaks {
                    guard let source = tableByName[leak.source], source != slot, tables[Int(source)]?.vrf != nil else {
                        continue
                    }
                    sources.append(LeakSource(table: source, leak: leak))
                }
                for other in names where other != name {
                    guard let source = tableByName[other], let exporter = tables[Int(source)]?.vrf,
                        vrf.importTargets.matches(exporter.exportTargets)
                    else { continue }
                    sources.append(LeakSource(table: source, leak: nil))
                }
            }
            tables[Int(slot)]?.sources = sources
            for source in Set(sources.map(\.table)).sorted() { tables[Int(source)]?.takers.append(slot) }
        }
        for index in tables.indices { tables[index]?.refused = [:] }
        hasUnderlay = tables.contains { $0?.facesUnderlay == true }
    }

    /// The first of its sources that has a prefix of its own, as far as it gives it away.
    func localSource(of entry: PrefixEntry) -> Slot? {
        guard let prefix = entry.prefix, canRoute(prefix) else { return nil }
        for source in tables[Int(entry.table)]?.sources ?? [] where source.takes(prefix) {
            guard let table = tables[Int(source.table)] else { continue }
            if source.leak == nil {
                let own = table.locals[prefix]?.exports
                let isImported = own.map { tables[Int(entry.table)]?.vrf?.importTargets.matches($0) == true } ?? true
                if isImported, isAnnounced(prefix, by: table) { return source.table }
            } else if let local = table.locals[prefix], !local.isDropped {
                return source.table
            }
        }
        return nil
    }

    /// The row in `prefixes` of the first explicit source that has a prefix from others.
    func remoteSource(of entry: PrefixEntry) -> Slot? {
        guard let prefix = entry.prefix else { return nil }
        for source in tables[Int(entry.table)]?.sources ?? [] where source.leak != nil && source.takes(prefix) {
            var key = entry.key
            key.table = source.table
            if let slot = prefixes.find(key), prefixes[slot].group.exists, !prefixes[slot].isLeaked { return slot }
        }
        return nil
    }

    /// Whether a prefix would be leaked if nothing were in the way. Its row stays for as long.
    func isLeakOffered(_ entry: PrefixEntry) -> Bool {
        guard tables[Int(entry.table)]?.sources.isEmpty == false else { return false }
        return localSource(of: entry) != nil || remoteSource(of: entry) != nil
    }

    /// Has the same prefix looked at where it is visible.
    mutating func touchTakers(of entry: PrefixEntry) {
        touchTakers(of: entry.table, entry.key)
    }
    private mutating func touchTakers(of table: Slot, _ key: PrefixEntry.Key) {
        guard let prefix = IPPrefix(PrefixEntry(key: key).address, length: Int(key.length)) else { return }
        for taker in tables[Int(table)]?.takers ?? [] {
            var key = key
            key.table = taker
            if let slot = prefixes.find(key) {
                touch(prefix: slot)
            } else if tables[Int(taker)]?.sources.contains(where: { $0.table == table && $0.takes(prefix) }) == true {
                touch(prefix: prefixes.insert(PrefixEntry(key: key)))
            }
        }
    }

    /// A route of the table itself has appeared, changed or gone.
    mutating func localPrefixChanged(_ table: Slot, _ prefix: IPPrefix) {
        let key = PrefixEntry.Key(table, prefix)
        touch(prefix: key)
        touchTakers(of: table, key)
    }

    /// Has every prefix looked at that is or may become visible anywhere.
    mutating func touchAllPrefixes() {
        for slot in prefixes.slots { touch(prefix: slot) }
        for name in tableByName.keys.sorted() {
            guard let slot = tableByName[name], let table = tables[Int(slot)], !table.takers.isEmpty else { continue }
            for prefix in table.locals.keys.sorted() { touchTakers(of: slot, PrefixEntry.Key(slot, prefix)) }
            for prefix in table.vrf?.announced.prefixes ?? [] {
                touchTakers(of: slot, PrefixEntry.Key(slot, prefix))
            }
            for row in prefixes.slots where prefixes[row].table == slot && prefixes[row].group.exists {
                touchTakers(of: prefixes[row])
            }
        }
    }
}
