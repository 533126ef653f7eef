// What one peer was told and what it is still to be told, and the packing of the difference into UPDATEs.

public import BGP
public import NetTypes

/// A set of destination ids.
struct Bitmap: Sendable {
    private var words: [UInt64] = []
    mutating func reserve(_ count: Int) {
        let needed = (count + 63) >> 6
        if words.count < needed {
            let grown = max(needed, words.count + words.count / 2)
            words.append(contentsOf: repeatElement(0, count: grown - words.count))
        }
    }
    @inline(__always) func contains(_ id: UInt32) -> Bool {
        let word = Int(id >> 6)
        return word < words.count && words[word] & (1 << UInt64(id & 63)) != 0
    }
    /// Returns whether it was new. `reserve` must have covered `id`.
    @inline(__always) mutating func insert(_ id: UInt32) -> Bool {
        let bit: UInt64 = 1 << UInt64(id & 63)
        let old = words[Int(id >> 6)]
        words[Int(id >> 6)] = old | bit
        return old & bit == 0
    }
    @inline(__always) mutating func remove(_ id: UInt32) -> Bool {
        guard contains(id) else { return false }
        words[Int(id >> 6)] &= ~(1 << UInt64(id & 63))
        return true
    }
}

struct AdjRIBOut: Sendable {
    var exportClass: Int
    var advertised = Bitmap()
    var pendingBits = Bitmap()
    /// Destinations to send about, from `head` on; each at most once.
    var pending: [UInt32] = []
    var head = 0
    /// Whether `pending` is sorted by attributes since something was added.
    var isGrouped = true
    var advertisedCount = Array(repeating: 0, count: FamilySlot.count)
    /// By family slot: End-of-RIB, begin and end of an enhanced refresh still to be sent.
    var endOfRIBDue = Array(repeating: false, count: FamilySlot.count)
    var refreshBegins = Array(repeating: false, count: FamilySlot.count)
    var refreshEnds = Array(repeating: false, count: FamilySlot.count)

    var isIdle: Bool {
        head == pending.count && !endOfRIBDue.contains(true) && !refreshBegins.contains(true)
            && !refreshEnds.contains(true)
    }
}

extension RIB {
    /// Destinations looked at together: enough that interleaved attribute sets still fill UPDATEs.
    static let batchSize = 4096

    // MARK: Queueing

    mutating func takeOutput(_ peer: PeerID) -> AdjRIBOut? {
        guard peers.indices.contains(Int(peer.rawValue)), let output = peers[Int(peer.rawValue)]?.output else {
            return nil
        }
        // Taken out, so that it is uniquely referenced while it is changed.
        peers[Int(peer.rawValue)]?.output = nil
        return output
    }

    mutating func openOutput(_ peer: PeerID) {
        process()
        guard let description = peerState(peer)?.description else { return }
        var output = AdjRIBOut(exportClass: joinClass(description))
        for index in 0..<FamilySlot.count where description.families.contains(FamilySlot(index: index).family) {
            output.endOfRIBDue[index] = description.sendsEndOfRIB
            queueAll(&output, of: peer, FamilySlot(index: index))
        }
        peers[Int(peer.rawValue)]?.output = output
        outputs.append(peer)
        outputs.sort()
    }

    /// Sends everything of `family` again (RFC 2918), between markers when enhanced refresh was negotiated (RFC 7313).
    public mutating func refresh(_ peer: PeerID, _ family: Family) {
        process()
        guard let slot = FamilySlot(family), let description = peerState(peer)?.description,
            description.families.contains(family), var output = takeOutput(peer)
        else { return }
        if description.enhancedRefresh {
            output.refreshBegins[slot.index] = true
            output.refreshEnds[slot.index] = true
        }
        queueAll(&output, of: peer, slot)
        peers[Int(peer.rawValue)]?.output = output
    }

    /// Our own next hops towards an established peer are others now: its table is sent once more with them.
    mutating func replaceNextHops(of peer: PeerID, _ description: PeerDescription) {
        process()
        guard let old = peerState(peer)?.description, old.nextHops != description.nextHops,
            var output = takeOutput(peer)
        else { return }
        peers[Int(peer.rawValue)]?.description.nextHops = description.nextHops
        exportClasses[output.exportClass].leave()
        output.exportClass = joinClass(description)
        for index in 0..<FamilySlot.count where description.families.contains(FamilySlot(index: index).family) {
            queueAll(&output, of: peer, FamilySlot(index: index))
        }
        peers[Int(peer.rawValue)]?.output = output
    }

    private mutating func queueAll(_ output: inout AdjRIBOut, of peer: PeerID, _ slot: FamilySlot) {
        output.pendingBits.reserve(destinations.count)
        output.advertised.reserve(destinations.count)
        for id in destinations.indices {
            let best = destinations[id].best
            guard best != RIB.none, destinations[id].flags & Destination.unused == 0 else { continue }
            let path = paths[Int(best)]
            guard attributes.entries[Int(path.attributes)].family == slot, path.peer != peer,
                exportState(output.exportClass, path.attributes) == ExportClass.granted
                    || output.advertised.contains(UInt32(id))
            else { continue }
            if output.pendingBits.insert(UInt32(id)) {
                output.pending.append(UInt32(id))
                output.isGrouped = false
                destinations[id].pendingMarks &+= 1
            }
        }
    }

    /// Queues changed best paths for one peer: those it may have, and those it has and must lose.
    mutating func distribute(_ selections: [Selection], to peer: PeerID) {
        guard var output = takeOutput(peer) else { return }
        let classIndex = output.exportClass
        output.pendingBits.reserve(destinations.count)
        output.advertised.reserve(destinations.count)
        var lastSet = RIB.none
        var lastState = ExportClass.denied
        for selection in selections {
            if selection.set == RIB.none {
                guard output.advertised.contains(selection.id) else { continue }
            } else {
                if selection.set != lastSet {
                    lastSet = selection.set
                    lastState = exportState(classIndex, selection.set)
                }
                guard
                    (lastState == ExportClass.granted && selection.source != peer)
                        || output.advertised.contains(selection.id)
                else { continue }
            }
            if output.pendingBits.insert(selection.id) {
                output.pending.append(selection.id)
                destinations[Int(selection.id)].pendingMarks &+= 1
            }
            // Also for one that waits already: its attributes may be others now.
            output.isGrouped = false
        }
        peers[Int(peer.rawValue)]?.output = output
    }

    // MARK: Sending

    /// Whether `drainUpdates` has something to write for the peer.
    public mutating func hasOutput(_ peer: PeerID) -> Bool {
        process()
        guard !isSelectionDeferred, !awaitsLocalRoutes, let output = peerState(peer)?.output else { return false }
        return !output.isIdle
    }
    /// Every peer for which `drainUpdates` has something to write, ascending.
    public mutating func peersWithOutput() -> [PeerID] {
        process()
        return isSelectionDeferred || awaitsLocalRoutes
            ? [] : outputs.filter { !(peers[Int($0.rawValue)]?.output?.isIdle ?? true) }
    }

    /// Appends messages for the peer to `writer`: withdrawals before announcements, routes with equal attributes packed
    /// together, End-of-RIB once the first table is out. Stops after the batch that passes `byteBudget` (one batch is at most
    /// `batchSize` routes). Returns whether there is more.
    public mutating func drainUpdates(_ peer: PeerID, byteBudget: Int, into writer: inout ByteWriter) -> Bool {
        process()
        guard !isSelectionDeferred, !awaitsLocalRoutes, let description = peerState(peer)?.description,
            var output = takeOutput(peer)
        else {
            return false
        }
        let start = writer.count
        for slot in 0..<FamilySlot.count where output.refreshBegins[slot] {
            output.refreshBegins[slot] = false
            mark(.init(family: FamilySlot(index: slot).family, subtype: 1), description, into: &writer)
        }
        if output.head < output.pending.count, !output.isGrouped { group(&output) }
        while output.head < output.pending.count, writer.count - start < byteBudget {
            sendBatch(&output, to: peer, description.codec, into: &writer)
        }
        let isDone = output.head == output.pending.count
        if isDone {
            output.pending.removeAll(keepingCapacity: output.pending.count < 1 << 10)
            output.head = 0
            output.isGrouped = true
            for slot in 0..<FamilySlot.count {
                let family = FamilySlot(index: slot).family
                if output.endOfRIBDue[slot] {
                    output.endOfRIBDue[slot] = false
                    UpdateEncoder(options: description.codec).endOfRIB(family, into: &writer)
                }
                if output.refreshEnds[slot] {
                    output.refreshEnds[slot] = false
                    mark(.init(family: family, subtype: 2), description, into: &writer)
                }
            }
        }
        peers[Int(peer.rawValue)]?.output = output
        if isDone { dropBatchesWhenIdle(output.exportClass) }
        return !isDone
    }

    private func mark(_ refresh: RouteRefresh, _ peer: PeerDescription, into writer: inout ByteWriter) {
        writer.raw(Message.routeRefresh(refresh).encoded(options: peer.codec))
    }

    private mutating func dropBatchesWhenIdle(_ classIndex: Int) {
        guard
            !outputs.contains(where: {
                guard let output = peers[Int($0.rawValue)]?.output else { return false }
                return output.exportClass == classIndex && output.head < output.pending.count
            })
        else { return }
        exportClasses[classIndex].dropBatches()
    }

    /// Sorts what is pending by attributes, withdrawals first.
    private func group(_ output: inout AdjRIBOut) {
        func rank(_ id: UInt32) -> Int {
            let best = destinations[Int(id)].best
            return best == RIB.none ? 0 : Int(paths[Int(best)].attributes) + 1
        }
        let ids = output.pending[output.head...]
        output.isGrouped = true
        var ranks: [UInt32] = []
        ranks.reserveCapacity(ids.count)
        var isSorted = true
        for id in ids {
            let value = UInt32(truncatingIfNeeded: rank(id))
            if let last = ranks.last, last > value { isSorted = false }
            ranks.append(value)
        }
        if isSorted { return }
        // A counting sort: attribute ids are dense.
        var starts = [UInt32](repeating: 0, count: attributes.capacity + 2)
        for value in ranks { starts[Int(value) + 1] &+= 1 }
        for position in 1..<starts.count { starts[position] &+= starts[position - 1] }
        var sorted = [UInt32](repeating: 0, count: ids.count)
        for (id, value) in zip(ids, ranks) {
            sorted[Int(starts[Int(value)])] = id
            starts[Int(value)] &+= 1
        }
        output.pending = sorted
        output.head = 0
    }

    /// Encodes the next destinations, or copies what was encoded for an equally treated peer.
    private mutating func sendBatch(
        _ output: inout AdjRIBOut, to peer: PeerID, _ codec: CodecOptions, into writer: inout ByteWriter
    ) {
        let range = output.head..<min(output.head + RIB.batchSize, output.pending.count)
        let classIndex = output.exportClass
        output.advertised.reserve(destinations.count)
        /// Destinations to withdraw, a separator, destinations to announce.
        var routes: [UInt32] = []
        var announced: [UInt64] = []
        announced.reserveCapacity(range.count)
        var isSorted = true
        for position in range {
            let id = output.pending[position]
            let best = destinations[Int(id)].best
            if best != RIB.none {
                let path = paths[Int(best)]
                if path.peer != peer, exportState(classIndex, path.attributes) == ExportClass.granted {
                    let entry = UInt64(path.attributes) << 32 | UInt64(id)
                    if let last = announced.last, last >> 32 > entry >> 32 { isSorted = false }
                    announced.append(entry)
                    continue
                }
            }
            if output.advertised.contains(id) { routes.append(id) }
        }
        if !isSorted { announced.sort() }
        let withdrawnCount = routes.count
        routes.append(RIB.none)
        routes.reserveCapacity(withdrawnCount + 1 + announced.count)
        for entry in announced { routes.append(UInt32(truncatingIfNeeded: entry)) }

        if routes.count > 1 {
            if exportClasses[classIndex].members > 1 {
                var hash: UInt64 = 0xcbf2_9ce4_8422_2325
                for id in routes { hash = (hash ^ UInt64(id)) &* 0x100_0000_01b3 }
                if let bytes = exportClasses[classIndex].batch(hash, routes, version: version) {
                    writer.raw(bytes)
                } else {
                    let start = writer.count
                    encode(routes, withdrawnCount, announced, classIndex, codec, into: &writer)
                    let bytes = Array(writer.bytes[start...])
                    exportClasses[classIndex].keepBatch(
                        hash, ExportClass.Batch(routes: routes, bytes: bytes), version: version)
                }
            } else {
                encode(routes, withdrawnCount, announced, classIndex, codec, into: &writer)
            }
        }

        for id in routes[..<withdrawnCount] where output.advertised.remove(id) {
            output.advertisedCount[FamilySlot(destinations[Int(id)].key.kind).index] -= 1
        }
        for entry in announced where output.advertised.insert(UInt32(truncatingIfNeeded: entry)) {
            output.advertisedCount[attributes.entries[Int(entry >> 32)].family.index] += 1
        }
        for position in range {
            let id = output.pending[position]
            _ = output.pendingBits.remove(id)
            unmark(id)
        }
        output.head = range.upperBound
    }

    private func encode(
        _ routes: [UInt32], _ withdrawnCount: Int, _ announced: [UInt64], _ classIndex: Int, _ codec: CodecOptions,
        into writer: inout ByteWriter
    ) {
        let encoder = UpdateEncoder(options: codec)
        var entries: [RouteEntry] = []
        entries.reserveCapacity(max(withdrawnCount, announced.count))
        if withdrawnCount > 0 {
            for slot in 0..<FamilySlot.count {
                for id in routes[..<withdrawnCount] {
                    let key = destinations[Int(id)].key
                    if FamilySlot(key.kind).index == slot { entries.append(RouteEntry(key: key)) }
                }
                if !entries.isEmpty {
                    encoder.withdraw(entries, family: FamilySlot(index: slot).family, into: &writer)
                    entries.removeAll(keepingCapacity: true)
                }
            }
        }
        var position = 0
        while position < announced.count {
            let set = announced[position] >> 32
            while position < announced.count, announced[position] >> 32 == set {
                let destination = Int(announced[position] & 0xffff_ffff)
                let path = paths[Int(destinations[destination].best)]
                entries.append(RouteEntry(key: destinations[destination].key, payload: payload(path)))
                position += 1
            }
            if let exported = exportClasses[classIndex].sets[Int(set)] {
                let family = attributes.entries[Int(set)].family.family
                encoder.announce(entries, family: family, attributes: exported.attributes, into: &writer)
            }
            entries.removeAll(keepingCapacity: true)
        }
    }
}
