// What the kernel says about the rows of a domain: answers to our requests, and what it was found to hold.

import EVPN
import NetTypes
import Netlink

extension EntryTable {
    // MARK: Answers

    /// The kernel did, or refused, what was asked. `true`: the failure is to be reported for the row.
    mutating func completed(_ operation: EntryOperation, _ failure: NetlinkFailure?) -> Bool {
        guard operation.generation == generation, let binding else { return false }
        switch operation.kind {
        case .setMAC, .setSticky, .clearSticky, .deleteMAC, .verifyMAC:
            return completedMAC(operation, failure, binding)
        case .addFlood, .deleteFlood:
            let target = FloodTarget(
                vtep: operation.address, vni: operation.vni == 0 ? domain.rawValue : operation.vni)
            var isReported = false
            update(target) { row in
                row.marks.remove(.inFlight)
                isReported = failure != nil && (operation.kind == .addFlood || failure?.isAbsence == false)
                if isReported {
                    row.marks.insert(.failed)
                    // An entry that could not be removed is still there.
                    row.isPresent = operation.kind == .deleteFlood
                } else if operation.kind == .addFlood, !row.marks.contains(.suspicious) {
                    row.isPresent = true
                    row.marks.insert(.settled)
                } else {
                    // Deleted by us, or by another while we added it.
                    row.isPresent = false
                    row.marks.subtract([.settled, .suspicious])
                }
            }
            return isReported
        case .setNeighbor, .declareNeighbor, .deleteNeighbor, .verifyNeighbor:
            if operation.isValidated, failure != nil { canValidate = false }
            var isReported = false
            update(neighbor: operation.address) { row in
                row.marks.remove(.inFlight)
                // Of a device where neighbors lived before.
                guard operation.interface == binding.neighborInterface else { return }
                switch operation.kind {
                case .setNeighbor where failure == nil:
                    row.have = NeighborRow.Binding(operation.mac, isRouter: operation.flags.contains(.router))
                    row.marks.insert(.settled)
                case .declareNeighbor where failure == nil:
                    row.have = NeighborRow.Binding(operation.mac, isRouter: false, isDeclared: true)
                    row.marks.insert(.settled)
                // A kernel that does not know the flag: again without it.
                case .declareNeighbor where operation.isValidated: break
                case .setNeighbor, .declareNeighbor,
                    .deleteNeighbor where failure?.isAbsence == false:
                    isReported = true
                    row.marks.insert(.failed)
                case .deleteNeighbor: row.have = nil
                default: break
                }
            }
            return isReported
        }
    }
    private mutating func completedMAC(
        _ operation: EntryOperation, _ failure: NetlinkFailure?, _ binding: DeviceBinding
    ) -> Bool {
        guard let slot = macs.index(forKey: operation.mac) else { return false }
        var row = macs.values[slot]
        var isReported = false
        switch operation.kind {
        case .setMAC:
            if failure == nil {
                let sticky = row.have.flags.intersection(.sticky)
                row.have = MACTarget(
                    vtep: vteps.index(of: operation.address),
                    vni: operation.vni == 0 ? domain.rawValue : operation.vni,
                    flags: sticky.union(binding.isBridged ? .ours : .inDevice))
            }
        case .setSticky: if failure == nil { row.have.flags.insert(.sticky) }
        case .clearSticky: if failure == nil { row.have.flags.remove(.sticky) }
        case .deleteMAC:
            if let failure, !operation.isGone(failure) {
                // Still there, wholly or in part: tried again later, when what is gone is no fault.
                row.marks.insert(.failed)
                isReported = true
            } else if failure != nil, operation.flags.isSuperset(of: [.own, .master]) {
                // The bridge is asked first and had none, or deletes none: the device's own table has not been touched.
                row.marks.remove(.takenOver)
                row.have.flags.remove(.inBridge)
            } else {
                row.marks.remove(.takenOver)
                row.have = MACTarget()
            }
        default: break
        }
        if failure != nil, row.isWanted, operation.kind != .deleteMAC, operation.kind != .verifyMAC {
            row.marks.insert(.failed)
            isReported = true
        }
        guard !operation.hasMore else {
            macs.values[slot] = row
            return isReported
        }
        row.marks.remove(.inFlight)
        let isDone = row.isWanted && row.isDone(bridged: binding.isBridged)
        if isDone { row.marks.insert(.settled) }
        // The usual end: nothing is left to look at.
        if !isDone || row.marks.contains(.suspicious) { enqueue(operation.mac, &row) }
        macs.values[slot] = row
        return isReported
    }
    /// What the kernel answered to `verifyMAC`; nil: no such entry in that table.
    mutating func verified(_ mac: MACAddress, generation: UInt32, device: FDBEntry?, bridge: FDBEntry?) {
        guard generation == self.generation, binding != nil else { return }
        let hadDevice = macs[mac]?.have.flags.contains(.inDevice) == true
        let hadBridge = macs[mac]?.have.flags.contains(.inBridge) == true
        macs[mac]?.have = MACTarget()
        if let device { observed(device: device) }
        if let bridge { observed(bridge: bridge) }
        guard var row = macs[mac] else { return }
        row.marks.remove(.inFlight)
        if row.isWanted, !row.isDone(bridged: binding?.isBridged == true), row.marks.contains(.settled) {
            if !row.marks.contains(.yielded) { healed += 1 }
            // What was ours and is now another's is damage, and has to go before it can be ours again.
            if hadDevice, row.have.flags.contains(.foreignInDevice) {
                row.have.flags.subtract(.foreignInDevice)
                row.have.flags.insert(.inDevice)
                row.marks.insert(.takenOver)
            }
            if hadBridge, row.have.flags.contains(.foreignInBridge) {
                row.have.flags.subtract(.foreignInBridge)
                row.have.flags.insert(.inBridge)
                row.marks.insert(.takenOver)
            }
            row.marks.remove(.settled)
        }
        enqueue(mac, &row)
        macs[mac] = row
    }
    mutating func verified(neighbor ip: IPAddress, generation: UInt32, _ entry: NeighborEntry?) {
        guard generation == self.generation, binding != nil, let old = neighbors[ip] else { return }
        neighbors[ip]?.have = nil
        neighbors[ip]?.isForeign = false
        if let entry { observed(neighbor: entry) }
        var isDamaged = false
        update(neighbor: ip) { row in
            row.marks.remove(.inFlight)
            guard row.want != nil, row.want != row.have, row.marks.contains(.settled) else { return }
            // Taken over from us: ours to replace.
            if old.have != nil { row.isForeign = false }
            row.marks.remove(.settled)
            isDamaged = true
        }
        if isDamaged { healed += 1 }
    }

    // MARK: Observations (dumps and answers)

    /// A row of the VXLAN device's own table.
    mutating func observed(device entry: FDBEntry) {
        let vni = entry.vni ?? domain.rawValue
        guard !entry.mac.isZero else { return }
        var row = macs[entry.mac] ?? FDBRow()
        if entry.flags.contains(.externallyLearned) {
            row.have.vtep = entry.destination.map { vteps.index(of: $0) } ?? 0
            row.have.vni = vni
            row.have.flags.insert(.inDevice)
        } else if !entry.state.isDisjoint(with: [.noARP, .permanent]) || entry.usesNextHop {
            row.have.flags.insert(.foreignInDevice)
        } else {
            // Learned by the device itself: may be replaced.
            return
        }
        macs[entry.mac] = row
    }
    /// A row of the bridge's table.
    mutating func observed(bridge entry: FDBEntry) {
        guard let binding else { return }
        guard entry.interface == binding.vxlan else {
            // On a local port: not ours to fight.
            macs[entry.mac]?.marks.insert(.yielded)
            return
        }
        observed(port: entry)
    }
    /// A row of the bridge's table on the VXLAN port.
    mutating func observed(port entry: FDBEntry) {
        var row = macs[entry.mac] ?? FDBRow()
        if entry.flags.contains(.externallyLearned) {
            row.have.flags.insert(.inBridge)
            if entry.flags.contains(.sticky) { row.have.flags.insert(.sticky) }
        } else if entry.state.contains(.noARP) {
            row.have.flags.insert(.foreignInBridge)
        } else {
            return
        }
        macs[entry.mac] = row
    }
    /// A member of the flood list; `isOurs`: it is in our record.
    mutating func observed(flood entry: FDBEntry, isOurs: Bool) {
        guard let vtep = entry.destination else { return }
        let target = FloodTarget(vtep: vtep, vni: entry.vni ?? domain.rawValue)
        var row = floods[target] ?? FloodRow()
        row.isPresent = true
        row.isForeign = !isOurs
        if !row.isWanted, isOurs { row.marks.insert(.adopted) }
        if takesOver, row.isWanted, !isOurs {
            row.takeOver()
            enqueue(target, &row)
        }
        floods[target] = row
    }
    /// An entry of ours as a row has it; nil: it can age, because the kernel does not know what was asked for.
    func binding(_ entry: NeighborEntry, _ mac: MACAddress) -> NeighborRow.Binding? {
        if entry.flags.contains(.externallyLearned) {
            return NeighborRow.Binding(mac, isRouter: entry.flags.contains(.router))
        }
        guard entry.state.contains(.permanent) || entry.extendedFlags.contains(.externallyValidated) else { return nil }
        return NeighborRow.Binding(mac, isRouter: false, isDeclared: true)
    }
    mutating func observed(neighbor entry: NeighborEntry) {
        let isMarked = entry.flags.contains(.externallyLearned)
        let isOurs = entry.proto == neighborProtocol
        guard isOurs || isMarked || entry.state.contains(.permanent) || neighbors[entry.ip] != nil else { return }
        var row = neighbors[entry.ip] ?? NeighborRow()
        row.have = nil
        row.isForeign = false
        if isOurs, let mac = entry.mac {
            row.have = binding(entry, mac)
        } else {
            row.isForeign = isMarked || entry.state.contains(.permanent)
        }
        neighbors[entry.ip] = row
    }
    /// Everything ours that nobody has asked for is left alone until pruning is allowed.
    mutating func markAdopted() {
        for (mac, row) in macs where !row.isWanted && !row.have.flags.isDisjoint(with: .ours) {
            macs[mac]?.marks.insert(.adopted)
        }
        for (ip, row) in neighbors where row.want == nil && row.have != nil {
            neighbors[ip]?.marks.insert(.adopted)
        }
        for (mac, row) in macs where row.isWanted && row.isDone(bridged: binding?.isBridged == true) {
            macs[mac]?.marks.insert(.settled)
        }
    }
}
