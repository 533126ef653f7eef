// The rows of one broadcast domain: what is wanted, what the kernel has, and what to do next about each. Pure: wishes,
// observations and answers go in, operations come out.

import EVPN
import NetTypes
import Netlink

/// All forwarding rows of one domain.
///
/// A row has at most one request at the kernel at a time. When its answer comes, or when something else about the row changes,
/// the row is looked at again; so requests for a row never overtake each other, and a burst of changes costs one request.
struct EntryTable {
    let domain: VNI
    let vteps: VTEPTable
    /// Nil: no usable device; rows wait.
    var binding: DeviceBinding?
    /// Changes with every binding, so that late answers are told apart.
    var generation: UInt32 = 0
    /// Neighbors need their device up, which the bridge may not be.
    var canHoldNeighbors = false
    var mayPrune = false
    /// Flood entries that are wanted and that somebody else made become ours.
    var takesOver = false

    var macs: [MACAddress: FDBRow] = [:]
    var floods: [FloodTarget: FloodRow] = [:]
    /// The VNI wanted for each flood member.
    var floodVNIs: [IPAddress: UInt32] = [:]
    var neighbors: [IPAddress: NeighborRow] = [:]

    /// Rows to look at.
    private(set) var queuedMACs: [MACAddress] = []
    private(set) var queuedFloods: [FloodTarget] = []
    private(set) var queuedNeighbors: [IPAddress] = []
    /// Entries found damaged since the last time this was taken.
    var healed = 0
    /// MACs that hold a static entry on a local port: an entry of somebody else, never replaced.
    var localStatics: Set<MACAddress> = []

    init(domain: VNI, vteps: VTEPTable) {
        self.domain = domain
        self.vteps = vteps
    }
    var hasQueued: Bool { !queuedMACs.isEmpty || !queuedFloods.isEmpty || !queuedNeighbors.isEmpty }
    /// Nobody wants anything here, and nothing of ours is known to be in the kernel.
    var isEmpty: Bool { macs.isEmpty && floods.isEmpty && neighbors.isEmpty }

    // MARK: Wishes

    mutating func want(_ mac: MACAddress, _ remote: RemoteMAC?) {
        let target = remote.map {
            MACTarget(vtep: vteps.index(of: $0.vtep), vni: $0.vni.rawValue, flags: $0.isSticky ? .sticky : [])
        }
        guard target != nil || macs[mac] != nil else { return }
        var row = macs[mac] ?? FDBRow()
        row.want = target ?? MACTarget()
        row.marks.subtract([.adopted, .failed, .yielded, .settled])
        enqueue(mac, &row)
        macs[mac] = row
    }
    mutating func want(flood vtep: IPAddress, _ member: FloodMember?) {
        let old = floodVNIs[vtep]
        floodVNIs[vtep] = member?.vni.rawValue
        if let old, old != member?.vni.rawValue { setFlood(FloodTarget(vtep: vtep, vni: old), isWanted: false) }
        if let member { setFlood(FloodTarget(vtep: vtep, vni: member.vni.rawValue), isWanted: true) }
    }
    private mutating func setFlood(_ target: FloodTarget, isWanted: Bool) {
        var row = floods[target] ?? FloodRow()
        row.isWanted = isWanted
        row.marks.subtract([.adopted, .failed])
        if takesOver, isWanted, row.isForeign { row.takeOver() }
        enqueue(target, &row)
        floods[target] = row
    }
    mutating func want(neighbor ip: IPAddress, _ remote: RemoteNeighbor?) {
        guard remote != nil || neighbors[ip] != nil else { return }
        var row = neighbors[ip] ?? NeighborRow()
        row.want = remote.map { NeighborRow.Binding($0.mac, isRouter: $0.isRouter) }
        row.marks.subtract([.adopted, .failed, .settled])
        enqueue(ip, &row)
        neighbors[ip] = row
    }

    // MARK: Queue

    private mutating func enqueue(_ mac: MACAddress, _ row: inout FDBRow) {
        guard !row.marks.contains(.queued) else { return }
        row.marks.insert(.queued)
        queuedMACs.append(mac)
    }
    private mutating func enqueue(_ target: FloodTarget, _ row: inout FloodRow) {
        guard !row.marks.contains(.queued) else { return }
        row.marks.insert(.queued)
        queuedFloods.append(target)
    }
    private mutating func enqueue(_ ip: IPAddress, _ row: inout NeighborRow) {
        guard !row.marks.contains(.queued) else { return }
        row.marks.insert(.queued)
        queuedNeighbors.append(ip)
    }
    mutating func enqueueNeighbors() {
        for ip in neighbors.keys.sorted() { update(neighbor: ip) { _ in } }
    }
    /// Looks at every row again, those that failed included.
    mutating func enqueueAll() {
        for mac in Array(macs.keys) { update(mac) { $0.marks.remove(.failed) } }
        for target in floods.keys.sorted() { update(target) { $0.marks.remove(.failed) } }
        for ip in Array(neighbors.keys) { update(neighbor: ip) { $0.marks.remove(.failed) } }
    }
    /// Tries again what the kernel refused.
    mutating func enqueueFailed() {
        for (mac, row) in macs where row.marks.contains(.failed) { update(mac) { $0.marks.remove(.failed) } }
        for (target, row) in floods where row.marks.contains(.failed) { update(target) { $0.marks.remove(.failed) } }
        for (ip, row) in neighbors where row.marks.contains(.failed) {
            update(neighbor: ip) { $0.marks.remove(.failed) }
        }
    }
    /// Nothing is known for sure about what the kernel has: every row that is wanted is sent again.
    mutating func resend() {
        for (mac, row) in macs where row.isWanted && !row.marks.contains(.inFlight) { macs[mac]?.have.vtep = 0 }
        for (target, row) in floods where row.isWanted && !row.isForeign && !row.marks.contains(.inFlight) {
            floods[target]?.isPresent = false
        }
    }
    /// Looks at the rows that were found at start and that nobody has asked for.
    mutating func enqueueAdopted() {
        for mac in macs.filter({ $0.value.marks.contains(.adopted) }).keys.sorted() { update(mac) { _ in } }
        for target in floods.filter({ $0.value.marks.contains(.adopted) }).keys.sorted() { update(target) { _ in } }
        for ip in neighbors.filter({ $0.value.marks.contains(.adopted) }).keys.sorted() {
            update(neighbor: ip) { _ in }
        }
    }
    /// Changes an existing row and looks at it again.
    mutating func update(_ mac: MACAddress, _ body: (inout FDBRow) -> Void) {
        guard var row = macs[mac] else { return }
        body(&row)
        enqueue(mac, &row)
        macs[mac] = row
    }
    mutating func update(_ target: FloodTarget, _ body: (inout FloodRow) -> Void) {
        guard var row = floods[target] else { return }
        body(&row)
        enqueue(target, &row)
        floods[target] = row
    }
    mutating func update(neighbor ip: IPAddress, _ body: (inout NeighborRow) -> Void) {
        guard var row = neighbors[ip] else { return }
        body(&row)
        enqueue(ip, &row)
        neighbors[ip] = row
    }

    // MARK: Binding

    /// The device is gone, down, or another one: nothing is in the kernel any more as far as we know.
    mutating func unbind() {
        binding = nil
        canHoldNeighbors = false
        generation &+= 1
        queuedMACs = []
        queuedFloods = []
        queuedNeighbors = []
        localStatics = []
        macs = macs.filter { $0.value.isWanted }
        for mac in Array(macs.keys) { macs[mac] = macs[mac].map { FDBRow(want: $0.want) } }
        floods = floods.filter { $0.value.isWanted }
        for target in Array(floods.keys) { floods[target] = FloodRow(isWanted: true) }
        neighbors = neighbors.filter { $0.value.want != nil }
        for ip in Array(neighbors.keys) { neighbors[ip] = neighbors[ip].map { NeighborRow(want: $0.want) } }
    }
    /// The device can be programmed, and what it holds has been put in by `observed`.
    mutating func bind(_ binding: DeviceBinding, canHoldNeighbors: Bool) {
        self.binding = binding
        self.canHoldNeighbors = canHoldNeighbors
        enqueueAll()
    }
    /// The device that neighbors live on went down: the kernel has flushed them.
    mutating func forgetNeighbors() {
        canHoldNeighbors = false
        for ip in Array(neighbors.keys) { neighbors[ip]?.have = nil }
    }

    // MARK: Next

    /// Takes up to `limit` operations for the rows that are due, and marks their rows as being at the kernel.
    mutating func takeOperations(limit: Int) -> [EntryOperation] {
        guard let binding else {
            for mac in queuedMACs { macs[mac]?.marks.remove(.queued) }
            for target in queuedFloods { floods[target]?.marks.remove(.queued) }
            for ip in queuedNeighbors { neighbors[ip]?.marks.remove(.queued) }
            (queuedMACs, queuedFloods, queuedNeighbors) = ([], [], [])
            return []
        }
        var operations: [EntryOperation] = []
        operations.reserveCapacity(min(limit, queuedMACs.count + queuedFloods.count + queuedNeighbors.count) + 1)
        // Flood lists first: they are few, and they alone make every destination reachable.
        var taken = 0
        while taken < queuedFloods.count, operations.count < limit {
            let target = queuedFloods[taken]
            taken += 1
            guard var row = floods[target] else { continue }
            row.marks.remove(.queued)
            if let operation = next(target, row, binding) {
                operations.append(operation)
                row.marks.insert(.inFlight)
                row.marks.remove(.suspicious)
            } else if !row.isWanted, !row.isPresent, !row.marks.contains(.inFlight) {
                floods[target] = nil
                continue
            }
            floods[target] = row
        }
        queuedFloods.removeFirst(taken)
        taken = 0
        while taken < queuedMACs.count, operations.count < limit {
            let mac = queuedMACs[taken]
            taken += 1
            guard let slot = macs.index(forKey: mac) else { continue }
            let row = macs.values[slot]
            let count = operations.count
            next(mac, row, binding, &operations)
            if operations.count > count {
                macs.values[slot].marks = row.marks.subtracting([.queued, .suspicious]).union(.inFlight)
            } else if !row.isWanted, row.have.flags.isEmpty, !row.marks.contains(.inFlight) {
                macs[mac] = nil
            } else {
                macs.values[slot].marks = row.marks.subtracting(.queued)
            }
        }
        queuedMACs.removeFirst(taken)
        taken = 0
        while taken < queuedNeighbors.count, operations.count < limit {
            let ip = queuedNeighbors[taken]
            taken += 1
            guard var row = neighbors[ip] else { continue }
            row.marks.remove(.queued)
            if let operation = next(ip, row, binding) {
                operations.append(operation)
                row.marks.insert(.inFlight)
                row.marks.remove(.suspicious)
            } else if row.want == nil, row.have == nil, !row.isForeign, !row.marks.contains(.inFlight) {
                neighbors[ip] = nil
                continue
            }
            neighbors[ip] = row
        }
        queuedNeighbors.removeFirst(taken)
        return operations
    }
    /// Everything that is still to be done, sorted, without doing it.
    func pendingOperations() -> [EntryOperation] {
        guard let binding else { return [] }
        var operations: [EntryOperation] = []
        func settled(_ marks: RowMarks) -> RowMarks { marks.subtracting([.inFlight, .failed, .suspicious]) }
        for (target, var row) in floods.sorted(by: { $0.key < $1.key }) {
            row.marks = settled(row.marks)
            if let operation = next(target, row, binding) { operations.append(operation) }
        }
        for (mac, var row) in macs.filter({ !$0.value.isDone(bridged: binding.isBridged) })
            .sorted(by: { $0.key < $1.key })
        {
            row.marks = settled(row.marks)
            next(mac, row, binding, &operations)
        }
        for (ip, var row) in neighbors.sorted(by: { $0.key < $1.key }) {
            row.marks = settled(row.marks)
            if let operation = next(ip, row, binding) { operations.append(operation) }
        }
        return operations
    }

    private func operation(_ kind: EntryOperation.Kind, _ binding: DeviceBinding) -> EntryOperation {
        var operation = EntryOperation(kind: kind, domain: domain, interface: binding.vxlan, generation: generation)
        operation.sourceVNI = binding.sourceVNI
        operation.vlan = binding.vlan
        return operation
    }
    private func sendingVNI(_ vni: UInt32) -> UInt32 { vni == domain.rawValue ? 0 : vni }

    private func next(_ mac: MACAddress, _ row: FDBRow, _ binding: DeviceBinding, _ list: inout [EntryOperation]) {
        guard !row.marks.contains(.inFlight) else { return }
        let tables: NeighborFlags = binding.isBridged ? [.own, .master] : .own
        if row.marks.contains(.suspicious) {
            var question = operation(.verifyMAC, binding)
            question.mac = mac
            question.flags = tables
            return list.append(question)
        }
        guard row.isWanted else {
            if row.have.flags.isDisjoint(with: .ours) || row.marks.contains(.failed)
                || row.marks.contains(.adopted) && !mayPrune
            {
                return
            }
            return list.append(deletion(mac, row.have.flags, binding))
        }
        guard let vtep = vteps[row.want.vtep], row.marks.isDisjoint(with: [.failed, .yielded]),
            !row.isDone(bridged: binding.isBridged)
        else { return }
        if row.marks.contains(.takenOver) { return list.append(deletion(mac, row.have.flags, binding)) }
        guard row.have.flags.isDisjoint(with: .foreign), !localStatics.contains(mac) else { return }
        let sets =
            row.have.vtep != row.want.vtep || row.have.vni != row.want.vni || !row.have.flags.contains(.inDevice)
            || binding.isBridged && !row.have.flags.contains(.inBridge)
        let changesSticky =
            binding.isBridged && row.want.flags.contains(.sticky) != row.have.flags.contains(.sticky)
        if sets {
            var change = operation(.setMAC, binding)
            change.mac = mac
            change.address = vtep
            change.vni = sendingVNI(row.want.vni)
            change.flags = tables
            change.hasMore = changesSticky
            list.append(change)
        }
        if changesSticky {
            var change = operation(row.want.flags.contains(.sticky) ? .setSticky : .clearSticky, binding)
            change.mac = mac
            list.append(change)
        }
    }
    private func deletion(_ mac: MACAddress, _ have: MACTarget.Flags, _ binding: DeviceBinding) -> EntryOperation {
        var change = operation(.deleteMAC, binding)
        change.mac = mac
        if have.contains(.inDevice) { change.flags.insert(.own) }
        if have.contains(.inBridge) { change.flags.insert(.master) }
        return change
    }
    private func next(_ target: FloodTarget, _ row: FloodRow, _ binding: DeviceBinding) -> EntryOperation? {
        guard !row.marks.contains(.inFlight), !row.isForeign, row.isWanted != row.isPresent else { return nil }
        if row.marks.contains(.failed) || !row.isWanted && row.marks.contains(.adopted) && !mayPrune { return nil }
        var change = operation(row.isWanted ? .addFlood : .deleteFlood, binding)
        change.address = target.vtep
        change.vni = sendingVNI(target.vni)
        return change
    }
    private func next(_ ip: IPAddress, _ row: NeighborRow, _ binding: DeviceBinding) -> EntryOperation? {
        guard canHoldNeighbors, binding.neighborInterface != 0, !row.marks.contains(.inFlight) else { return nil }
        var change = operation(.verifyNeighbor, binding)
        change.interface = binding.neighborInterface
        change.address = ip
        if row.marks.contains(.suspicious) { return change }
        guard row.want != row.have, !row.isForeign, !row.marks.contains(.failed) else { return nil }
        if let want = row.want {
            change.kind = .setNeighbor
            change.mac = want.mac
            change.flags = want.isRouter ? .router : []
        } else {
            if row.marks.contains(.adopted), !mayPrune { return nil }
            change.kind = .deleteNeighbor
        }
        return change
    }

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
        case .setNeighbor, .deleteNeighbor, .verifyNeighbor:
            var isReported = false
            update(neighbor: operation.address) { row in
                row.marks.remove(.inFlight)
                // Of a device where neighbors lived before.
                guard operation.interface == binding.neighborInterface else { return }
                switch operation.kind {
                case .setNeighbor where failure == nil:
                    row.have = NeighborRow.Binding(operation.mac, isRouter: operation.flags.contains(.router))
                    row.marks.insert(.settled)
                case .setNeighbor,
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
            if let failure, !failure.isAbsence {
                // Still there, wholly or in part: tried again later, when what is gone is no fault.
                row.marks.insert(.failed)
                isReported = true
            } else if failure != nil, operation.flags.isSuperset(of: [.own, .master]) {
                // The bridge is asked first and had none: the device's own table has not been touched.
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
    mutating func observed(neighbor entry: NeighborEntry) {
        let isMarked = entry.flags.contains(.externallyLearned)
        let isOurs = isMarked && entry.proto == neighborProtocol
        guard isOurs || isMarked || entry.state.contains(.permanent) || neighbors[entry.ip] != nil else { return }
        var row = neighbors[entry.ip] ?? NeighborRow()
        row.have = nil
        row.isForeign = false
        if isOurs, let mac = entry.mac {
            row.have = NeighborRow.Binding(mac, isRouter: entry.flags.contains(.router))
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
