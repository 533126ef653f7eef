// What is remembered about MACs that move, and how duplicates are frozen and recovered (RFC 7432 §15.1).

import BGP
import NetTypes

extension ControlPlane {
    private var window: Duration { .seconds(max(1, detection.windowSeconds)) }

    /// Has `sweep` run at or before `instant`, rounded up to whole seconds so that many records need few sweeps.
    private mutating func schedule(_ instant: Instant) {
        let second: Int64 = 1_000_000_000
        let remainder = instant.nanoseconds % second
        let rounded = remainder > 0 ? instant + .nanoseconds(second - remainder) : instant
        sweepAt = min(sweepAt ?? rounded, rounded)
    }

    private mutating func mutateMobility(_ slot: Slot, _ body: (inout Mobility) -> Void) -> Mobility {
        let entry = macs[slot]
        let index = Int(entry.vrf)
        var record =
            vrfs[index]?.mobility[entry.mac] ?? Mobility(windowStart: now, keepUntil: now + window)
        body(&record)
        record.keepUntil = now + window
        vrfs[index]?.mobility[entry.mac] = record
        macs[slot].hasMobility = true
        hasMobility = true
        schedule(record.keepUntil)
        return record
    }

    /// Counts a move between this host and another, and freezes the MAC when there have been too many.
    mutating func countMove(
        _ slot: Slot, to owner: Owner, claim: LocalClaim?, remote: ImportedAttributes?, isReported: Bool = true
    ) {
        let entry = macs[slot]
        guard let claim, let remote else { return }
        let key = MACKey(vni: vnis[Int(entry.vrf)], mac: entry.mac)
        let now = now
        let window = window
        let limit = detection.isEnabled ? max(1, detection.maximumMoves) : Int.max
        let record = mutateMobility(slot) { record in
            if now - record.windowStart >= window {
                record.windowStart = now
                record.moves = 0
            }
            record.moves += 1
            record.sequence = max(record.sequence, claim.sequence)
            if record.moves >= limit {
                record.frozenSince = now
                record.pinned = owner
            }
        }
        let here = MACPlace.local(port: claim.port)
        let there = MACPlace.remote(vtep: vteps[remote.vtep].address)
        let isHere = owner == .local
        if isReported {
            report(
                .moved(
                    key, from: isHere ? there : here, to: isHere ? here : there,
                    sequence: isHere ? claim.sequence : remote.sequence))
        }
        if record.frozenSince != nil {
            report(.duplicateDetected(key, moves: record.moves, at: isHere ? here : there))
            if let seconds = detection.recoverAfterSeconds { schedule(now + .seconds(max(1, seconds))) }
        }
    }

    /// Keeps the sequence number of a local claim that goes away, for when the MAC is learned here again soon.
    mutating func rememberSequence(_ slot: Slot, _ sequence: UInt32) {
        guard sequence > 0 else { return }
        _ = mutateMobility(slot) { $0.sequence = max($0.sequence, sequence) }
    }

    /// A MAC that nobody claims any more: its record is forgotten in time, even if it is frozen.
    mutating func scheduleForgetting() { schedule(now + window) }

    /// Lets frozen MACs go whose time has come, and forgets what is too old to matter.
    mutating func sweep() {
        guard let due = sweepAt, due <= now else { return }
        sweepAt = nil
        for index in vrfs.indices {
            guard let vrf = vrfs[index], !vrf.mobility.isEmpty else { continue }
            for mac in vrf.mobility.keys.sorted() {
                guard let record = vrf.mobility[mac] else { continue }
                let slot = macs.find(MACEntry.Key(vrf: Slot(index), mac: mac.rawValue))
                if let since = record.frozenSince, slot != nil {
                    guard let seconds = detection.recoverAfterSeconds else { continue }
                    let end = since + .seconds(max(1, seconds))
                    if end <= now {
                        thaw(MACKey(vni: vrf.vni, mac: mac), byCommand: false)
                    } else {
                        schedule(end)
                    }
                } else if record.keepUntil <= now {
                    // Also a frozen MAC that nobody claims any more.
                    vrfs[index]?.mobility[mac] = nil
                    if let slot { macs[slot].hasMobility = false }
                } else {
                    schedule(record.keepUntil)
                }
            }
        }
        hasMobility = vrfs.contains { $0?.mobility.isEmpty == false }
    }

    mutating func recover(_ key: MACKey) { thaw(key, byCommand: true) }

    private mutating func thaw(_ key: MACKey, byCommand: Bool) {
        guard let index = vrfByVNI[key.vni], var record = vrfs[Int(index)]?.mobility[key.mac],
            record.frozenSince != nil
        else { return }
        // The station has spoken here since: that is a move that still has to happen.
        if record.wasClaimed { vrfs[Int(index)]?.locals[key.mac]?.isFresh = true }
        record.frozenSince = nil
        record.pinned = .nobody
        record.wasClaimed = false
        record.moves = 0
        record.windowStart = now
        record.keepUntil = now + window
        vrfs[Int(index)]?.mobility[key.mac] = record
        schedule(record.keepUntil)
        report(.recovered(key, byCommand: byCommand))
        if let slot = macs.find(MACEntry.Key(vrf: index, mac: key.mac.rawValue)) { touch(mac: slot) }
    }

    /// After the settings have changed: deadlines may be nearer now.
    mutating func rescheduleMobility() {
        guard vrfs.contains(where: { $0?.mobility.isEmpty == false }) else { return }
        schedule(now)
    }
}
