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
    /// Everything of ours is on its way out, whatever is wanted, until the next binding.
    private(set) var isDraining = false
    /// Flood entries that are wanted and that somebody else made become ours.
    var takesOver = false

    var macs: [MACAddress: FDBRow] = [:]
    var floods: [FloodTarget: FloodRow] = [:]
    /// The VNI wanted for each flood member.
    var floodVNIs: [IPAddress: UInt32] = [:]
    var neighbors: [IPAddress: NeighborRow] = [:]
    /// Hosts that are declared to live here, and the remote neighbors that are wanted for the same addresses.
    private(set) var declared: [IPAddress: MACAddress] = [:]
    private var shadowed: [IPAddress: RemoteNeighbor] = [:]
    /// Those that are wanted, whether a declared host is in their way or not.
    var remoteNeighbors: [IPAddress: RemoteNeighbor] {
        neighbors.compactMapValues(\.remote).merging(shadowed) { $1 }
    }
    /// The kernel has not refused `extern_valid`.
    var canValidate = true

    /// Rows to look at.
    private(set) var queuedMACs: [MACAddress] = []
    private(set) var queuedFloods: [FloodTarget] = []
    private(set) var queuedNeighbors: [IPAddress] = []
    /// Entries found damaged since the last time this was taken.
    var healed = 0
    /// Of the domain's own devices: an entry of ours would take frames to this host away from it.
    private(set) var ownMACs: Set<MACAddress> = []
    /// MACs that hold a static entry on a local port: an entry of somebody else, never replaced.
    var localStatics: Set<MACAddress> = []

    init(domain: VNI, vteps: VTEPTable) {
        self.domain = domain
        self.vteps = vteps
    }
    var hasQueued: Bool { !queuedMACs.isEmpty || !queuedFloods.isEmpty || !queuedNeighbors.isEmpty }
    /// Nobody wants anything here, and nothing of ours is known to be in the kernel.
    var isEmpty: Bool { macs.isEmpty && floods.isEmpty && neighbors.isEmpty }
    /// Nobody wants anything here, or that does not count, and nothing of ours is in the kernel or on its way there. Neighbors do not count
    /// either while it is drained: they go with the VLAN device.
    var isClean: Bool {
        func isOut(_ isWanted: Bool, _ marks: RowMarks) -> Bool {
            (isDraining || !isWanted) && !marks.contains(.inFlight)
        }
        return !hasQueued
            && floods.values.allSatisfy { $0.isForeign || !$0.isPresent && isOut($0.isWanted, $0.marks) }
            && macs.values.allSatisfy { $0.have.flags.isDisjoint(with: .ours) && isOut($0.isWanted, $0.marks) }
            && (isDraining || neighbors.values.allSatisfy { $0.want == nil && ($0.have == nil || $0.isForeign) })
    }

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
    /// The addresses of the domain's own devices; replaces the earlier ones.
    mutating func own(_ new: Set<MACAddress>) {
        let changed = ownMACs.symmetricDifference(new)
        ownMACs = new
        for mac in changed.sorted() { update(mac) { $0.marks.subtract([.failed, .yielded]) } }
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
        guard declared[ip] == nil else { return shadowed[ip] = remote }
        guard remote != nil || neighbors[ip] != nil else { return }
        want(ip, remote.map { NeighborRow.Binding($0.mac, isRouter: $0.isRouter) })
    }
    /// The neighbors of hosts that are declared to live here; replaces the earlier list.
    mutating func declare(_ new: [IPAddress: MACAddress]) {
        for ip in declared.keys.sorted() where new[ip] == nil {
            declared[ip] = nil
            want(ip, shadowed.removeValue(forKey: ip).map { NeighborRow.Binding($0.mac, isRouter: $0.isRouter) })
        }
        for (ip, mac) in new.sorted(by: { $0.key < $1.key }) where declared[ip] != mac {
            if declared[ip] == nil { shadowed[ip] = neighbors[ip]?.remote }
            declared[ip] = mac
            want(ip, NeighborRow.Binding(mac, isRouter: false, isDeclared: true))
        }
    }
    private mutating func want(_ ip: IPAddress, _ binding: NeighborRow.Binding?) {
        var row = neighbors[ip] ?? NeighborRow()
        row.want = binding
        row.marks.subtract([.adopted, .failed, .settled])
        enqueue(ip, &row)
        neighbors[ip] = row
    }

    // MARK: Queue

    mutating func enqueue(_ mac: MACAddress, _ row: inout FDBRow) {
        guard !row.marks.contains(.queued) else { return }
        row.marks.insert(.queued)
        queuedMACs.append(mac)
    }
    mutating func enqueue(_ target: FloodTarget, _ row: inout FloodRow) {
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
        isDraining = false
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
    /// Takes out of the kernel what it has; the wishes stay, for the next binding.
    mutating func drain() {
        isDraining = true
        // That they go is no damage.
        for mac in Array(macs.keys) { macs[mac]?.marks.remove(.settled) }
        for target in Array(floods.keys) { floods[target]?.marks.remove(.settled) }
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
        for (mac, var row) in macs.filter({ isDraining || !$0.value.isDone(bridged: binding.isBridged) })
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
        guard row.isWanted, !isDraining, !ownMACs.contains(mac) else {
            if row.have.flags.isDisjoint(with: .ours) || row.marks.contains(.failed)
                || row.marks.contains(.adopted) && !mayPrune && !isDraining && !row.isWanted
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
        let isWanted = row.isWanted && !isDraining
        guard !row.marks.contains(.inFlight), !row.isForeign, isWanted != row.isPresent else { return nil }
        if row.marks.contains(.failed) || !isWanted && row.marks.contains(.adopted) && !mayPrune && !isDraining {
            return nil
        }
        var change = operation(isWanted ? .addFlood : .deleteFlood, binding)
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
            change.kind = want.isDeclared ? .declareNeighbor : .setNeighbor
            change.isValidated = want.isDeclared && canValidate
            change.mac = want.mac
            change.flags = want.isRouter ? .router : []
        } else {
            if row.marks.contains(.adopted), !mayPrune { return nil }
            change.kind = .deleteNeighbor
        }
        return change
    }
}

extension NeighborRow {
    /// What is wanted, unless that is a host that is declared to live here.
    var remote: RemoteNeighbor? {
        want.flatMap { $0.isDeclared ? nil : RemoteNeighbor(mac: $0.mac, isRouter: $0.isRouter) }
    }
}
