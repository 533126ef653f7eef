// From the attributes of an UPDATE to the id of the set that paths refer to, and back when nothing refers to it any more.

import BGP
import NetTypes

extension RIB {
    mutating func release(_ set: UInt32) {
        if attributes.release(set) { forgetExports(set) }
    }

    /// The id of the UPDATE's attributes. The peer's memo holds a reference, so that the id stays valid between UPDATEs.
    mutating func intern(_ received: PathAttributes, from number: Int, family: FamilySlot) -> UInt32 {
        if let peer = peers[number], peer.lastAttributes == received {
            if peer.lastIDs[family.index] != RIB.none { return peer.lastIDs[family.index] }
        } else {
            forgetMemo(number)
            peers[number]?.lastAttributes = received
        }
        guard let description = peers[number]?.description else { return RIB.none }
        let own = ownAddresses
        let configuration = self.configuration
        let imported = importRules(received, from: description, family: family)
        let id = attributes.intern(AttributeSet(imported), peer: description.id, family: family) {
            $0.derive(description, configuration, own)
        }
        attributes.retain(id)
        peers[number]?.lastIDs[family.index] = id
        return id
    }
    mutating func forgetMemo(_ number: Int) {
        guard let ids = peers[number]?.lastIDs else { return }
        peers[number]?.lastAttributes = nil
        for slot in ids.indices where ids[slot] != RIB.none {
            peers[number]?.lastIDs[slot] = RIB.none
            release(ids[slot])
        }
    }

    /// Computes eligibility and digests again, after something they depend on changed.
    mutating func deriveAttributes(where matches: (AttributeEntry) -> Bool) {
        var changed = Set<UInt32>()
        let peers = self.peers
        let own = ownAddresses
        let configuration = self.configuration
        for (id, entry) in attributes.entries.enumerated()
        where entry.references > 0 && entry.peer != .local && matches(entry) {
            changed.insert(UInt32(id))
        }
        guard !changed.isEmpty else { return }
        attributes.update { entry in
            guard entry.peer != .local, let description = peers[Int(entry.peer.rawValue)]?.description else { return }
            entry.derive(description, configuration, own)
        }
        for number in self.peers.indices {
            for slot in 0..<FamilySlot.count { self.peers[number]?.counters[slot].accepted = 0 }
        }
        for id in paths.indices where paths[id].flags & Path.unused == 0 {
            let entry = attributes.entries[Int(paths[id].attributes)]
            if entry.ineligibility == 0, entry.peer != .local {
                self.peers[Int(entry.peer.rawValue)]?.counters[entry.family.index].accepted += 1
            }
            if changed.contains(paths[id].attributes) {
                noteTouched(UInt32(id), at: paths[id].destination)
                touch(paths[id].destination)
            }
        }
        for id in changed { forgetExports(id) }
    }
}
