// The routing table of the speaker: every path of every peer in one place. Adj-RIB-In, Loc-RIB and Adj-RIB-Out are views of it:
// a path knows the peer it came from, a destination knows its best path, and each peer has a bitmap of what it was told.
//
// Paths are taken in without deciding anything; `process` runs the decision process once for every destination touched since,
// so a burst that changes a route ten times costs one decision and at most one announcement per peer.

public import BGP
public import NetTypes

public struct RIB: Sendable {
    /// The table refuses further paths beyond this many, whatever the limits of single peers say.
    public static let maximumPaths = 1 << 24
    static let none = UInt32.max

    /// 64 octets; the key is 48 of them.
    struct Destination: Sendable {
        var key: RouteKey
        var firstPath: UInt32 = RIB.none
        /// The best path, as of the last `process`.
        var best: UInt32 = RIB.none
        /// The best one that is not our own.
        var bestRemote: UInt32 = RIB.none
        /// Pending marks (one per peer and one for the control plane); a destination is freed only when there are none.
        var pendingMarks: UInt16 = 0
        var step = DecisionStep.noEligiblePath
        var flags: UInt8 = 0

        static let dirty: UInt8 = 1
        /// The path `best` (`bestRemote`) was replaced or removed since the last `process`.
        static let bestTouched: UInt8 = 2
        static let remoteTouched: UInt8 = 4
        /// Waits in `changes`.
        static let changed: UInt8 = 8
        static let unused: UInt8 = 16
    }

    /// 32 octets.
    struct Path: Sendable {
        var attributes: UInt32
        var next: UInt32
        var destination: UInt32
        var pathID: UInt32
        var label1: UInt32
        /// `RIB.none` when there is no second label.
        var label2: UInt32
        /// Index into `overlays`; `RIB.none` for nearly every path.
        var overlay: UInt32
        var peer: PeerID
        var flags: UInt8

        static let stale: UInt8 = 1
        static let unused: UInt8 = 2
    }

    struct Peer: Sendable {
        var description: PeerDescription
        var counters: [RouteCounters] = Array(repeating: RouteCounters(), count: FamilySlot.count)
        var warned: [Bool] = Array(repeating: false, count: FamilySlot.count)
        var exceeded: [Bool] = Array(repeating: false, count: FamilySlot.count)
        /// The attributes of the last UPDATE and their ids by family: most UPDATEs of a burst repeat them.
        var lastAttributes: PathAttributes?
        var lastIDs: [UInt32] = Array(repeating: RIB.none, count: FamilySlot.count)
        /// What it is told; nil while there is no session.
        var output: AdjRIBOut?
    }

    public let configuration: RIBConfiguration
    var ownAddresses: Set<IPAddress> = []
    /// Whether changes of unicast routes tell of paths as good as the best one (see `setMultiplePaths`).
    var usesMultiplePaths = false
    var destinations: [Destination] = []
    var freeDestinations: [UInt32] = []
    var index = RIBIndex()
    var paths: [Path] = []
    var freePaths: [UInt32] = []
    var overlays: [OverlayIndex?] = []
    var freeOverlays: [UInt32] = []
    var attributes = AttributeTable()
    /// Indexed by `PeerID.rawValue`.
    var peers: [Peer?] = [nil]
    /// Peers with an open output, in ascending order.
    var outputs: [PeerID] = []
    var exportClasses: [ExportClass] = []
    var dirty: [UInt32] = []
    var changes: [UInt32] = []
    var firstChange = 0
    var localCount = 0
    /// Grows with every change of a best path; shared encodings are valid for one version.
    var version: UInt64 = 0

    /// While true nothing is sent, End-of-RIB included: a restarting speaker waits until it has heard its peers (RFC 4724 §4.1).
    /// The caller clears it when every restarting-aware peer sent End-of-RIB, or by a timer.
    public var isSelectionDeferred = false
    /// While true nothing is sent either: what this host announces itself is not all known yet. A peer would take routes whose
    /// attributes are still to come, and with End-of-RIB drop what it remembers of the rest.
    public var awaitsLocalRoutes = false

    public init(_ configuration: RIBConfiguration) { self.configuration = configuration }

    /// Destinations known, those included whose withdrawal somebody has still to be told.
    public var destinationCount: Int { index.count }
    public var pathCount: Int { paths.count - freePaths.count }
    /// Attribute sets in use.
    public var attributeSetCount: Int { attributes.count }

    // MARK: Peers

    /// A session with this neighbor was established: its routes are welcome, and the table is queued for it. Routes kept from an
    /// earlier session stay (see `markStale`). An id outside 1...65534 is ignored.
    public mutating func addPeer(_ description: PeerDescription) {
        let slot = Int(description.id.rawValue)
        guard slot > 0, slot < Int(UInt16.max) else { return }
        while peers.count <= slot { peers.append(nil) }
        closeOutput(description.id)
        if let old = peers[slot]?.description {
            peers[slot]?.description = description
            // Routes kept over a restart stay as they are unless the neighbor came back as somebody else.
            if !old.importsLike(description) {
                forgetMemo(slot)
                deriveAttributes { $0.peer == description.id }
            }
        } else {
            peers[slot] = Peer(description: description)
        }
        openOutput(description.id)
    }

    /// The session ended: nothing is sent any more. Its routes stay until `markStale`, `removeRoutes` or `removePeer`.
    public mutating func closeOutput(_ peer: PeerID) {
        guard let output = takeOutput(peer) else { return }
        outputs.removeAll { $0 == peer }
        for id in output.pending[output.head...] { unmark(id) }
        exportClasses[output.exportClass].leave()
    }

    /// Forgets the peer and its routes.
    public mutating func removePeer(_ peer: PeerID) {
        closeOutput(peer)
        for family in Family.supported { removeRoutes(peer, family) }
        guard peers.indices.contains(Int(peer.rawValue)), peer != .local else { return }
        forgetMemo(Int(peer.rawValue))
        peers[Int(peer.rawValue)] = nil
    }

    public func counters(_ peer: PeerID, _ family: Family) -> RouteCounters {
        guard let slot = FamilySlot(family), let state = peerState(peer) else { return RouteCounters() }
        var counters = state.counters[slot.index]
        counters.advertised = state.output?.advertisedCount[slot.index] ?? 0
        return counters
    }

    func peerState(_ peer: PeerID) -> Peer? {
        peers.indices.contains(Int(peer.rawValue)) ? peers[Int(peer.rawValue)] : nil
    }

    /// Replaces the limits of a peer; what it has announced already is held against them.
    public mutating func setPrefixLimits(_ peer: PeerID, _ limits: [Family: PrefixLimit]) -> ReceiveOutcome {
        var outcome = ReceiveOutcome()
        guard peerState(peer) != nil else { return outcome }
        let number = Int(peer.rawValue)
        peers[number]?.description.prefixLimits = limits
        for slot in (0..<FamilySlot.count).map({ FamilySlot(index: $0) }) {
            peers[number]?.warned[slot.index] = false
            peers[number]?.exceeded[slot.index] = false
            checkLimits(number, slot, &outcome)
        }
        return outcome
    }

    // MARK: Graceful restart

    /// Marks what the peer announced as stale (RFC 4724 §4.2, RFC 7313 §4): kept and used, but it loses ties, and goes with
    /// `sweepStale` unless announced again.
    public mutating func markStale(_ peer: PeerID, _ families: some Sequence<Family>) {
        let slots = Set(families.compactMap { FamilySlot($0) })
        guard let state = peerState(peer), slots.contains(where: { state.counters[$0.index].received > 0 }) else {
            return
        }
        for id in paths.indices where paths[id].peer == peer && paths[id].flags & (Path.unused | Path.stale) == 0 {
            let slot = attributes.entries[Int(paths[id].attributes)].family
            guard slots.contains(slot) else { continue }
            paths[id].flags |= Path.stale
            peers[Int(peer.rawValue)]?.counters[slot.index].stale += 1
            touch(paths[id].destination)
        }
    }

    /// Removes the routes of `family` that the peer did not announce again; returns how many.
    @discardableResult public mutating func sweepStale(_ peer: PeerID, _ family: Family) -> Int {
        guard counters(peer, family).stale > 0 else { return 0 }
        return removePaths(peer, family) { $0.flags & Path.stale != 0 }
    }

    /// Removes all routes of `family` that came from the peer.
    public mutating func removeRoutes(_ peer: PeerID, _ family: Family) {
        guard counters(peer, family).received > 0 else { return }
        _ = removePaths(peer, family) { _ in true }
    }

    private mutating func removePaths(_ peer: PeerID, _ family: Family, where matches: (Path) -> Bool) -> Int {
        guard let slot = FamilySlot(family), peer != .local else { return 0 }
        var removed = 0
        for id in paths.indices where paths[id].peer == peer && paths[id].flags & Path.unused == 0 {
            guard attributes.entries[Int(paths[id].attributes)].family == slot, matches(paths[id]) else { continue }
            unlink(UInt32(id))
            removed += 1
        }
        resetLimits(Int(peer.rawValue), slot)
        return removed
    }

    // MARK: Routes in

    /// Applies an UPDATE of `peer`, withdrawals first. Families that were not negotiated are ignored.
    public mutating func receive(_ update: Update, from peer: PeerID) -> ReceiveOutcome {
        var outcome = ReceiveOutcome()
        guard peer != .local, let families = peerState(peer)?.description.families else { return outcome }
        let number = Int(peer.rawValue)
        for section in update.withdrawn {
            guard let slot = FamilySlot(section.family), families.contains(section.family) else { continue }
            for route in section.routes {
                guard let id = find(route.key), let path = path(of: peer, pathID: route.pathID, at: id) else {
                    continue
                }
                unlink(path)
            }
            resetLimits(number, slot)
        }
        for section in update.announced {
            guard let slot = FamilySlot(section.family), families.contains(section.family), !section.routes.isEmpty
            else { continue }
            let set = intern(update.attributes, from: number, family: slot)
            for route in section.routes where route.key.family == section.family {
                if !put(route.key, route.payload, set, peer: peer, pathID: route.pathID) { outcome.refused += 1 }
            }
            checkLimits(number, slot, &outcome)
        }
        return outcome
    }

    /// Announces or withdraws routes of our own.
    public mutating func originate(_ changes: [LocalRouteChange]) {
        for change in changes {
            guard let route = change.route else {
                if let id = find(change.key), let path = path(of: .local, pathID: 0, at: id) { unlink(path) }
                continue
            }
            let slot = FamilySlot(change.key.kind)
            let routerID = configuration.routerID
            let set = attributes.intern(route.attributes, peer: .local, family: slot) {
                $0.digest = AttributeDigest($0.set.attributes, routerID: routerID)
            }
            if !put(change.key, route.payload, set, peer: .local, pathID: 0), attributes.discardIfUnused(set) {
                forgetExports(set)
            }
        }
    }

    /// The addresses of this host: a route whose next hop is one of them is never chosen (RFC 4271 §9.1.2.1).
    public mutating func setOwnAddresses(_ addresses: Set<IPAddress>) {
        guard addresses != ownAddresses else { return }
        ownAddresses = addresses
        deriveAttributes { _ in true }
    }

    /// Sets the path (peer, pathID) of `key`; false when the table is full.
    mutating func put(
        _ key: RouteKey, _ payload: RoutePayload, _ set: UInt32, peer: PeerID, pathID: UInt32
    ) -> Bool {
        let hash = RIBIndex.hash(key)
        let slot = attributes.entries[Int(set)].family.index
        let isEligible = attributes.entries[Int(set)].ineligibility == 0
        if let id = index.find(hash, { destinations[Int($0)].key == key }) {
            if let path = path(of: peer, pathID: pathID, at: id) {
                replace(path, payload, set, slot: slot, isEligible: isEligible)
                return true
            }
            guard let path = newPath(payload, set, peer: peer, pathID: pathID, at: id) else { return false }
            paths[Int(path)].next = destinations[Int(id)].firstPath
            destinations[Int(id)].firstPath = path
            touch(id)
        } else {
            guard pathCount < RIB.maximumPaths else { return false }
            let id: UInt32
            if let reused = freeDestinations.popLast() {
                id = reused
                destinations[Int(id)] = Destination(key: key)
            } else {
                id = UInt32(destinations.count)
                destinations.append(Destination(key: key))
            }
            index.insert(hash, slot: id)
            if let path = newPath(payload, set, peer: peer, pathID: pathID, at: id) {
                destinations[Int(id)].firstPath = path
            }
            touch(id)
        }
        if peer == .local {
            localCount += 1
        } else {
            peers[Int(peer.rawValue)]?.counters[slot].received += 1
            if isEligible { peers[Int(peer.rawValue)]?.counters[slot].accepted += 1 }
        }
        return true
    }

    private mutating func newPath(
        _ payload: RoutePayload, _ set: UInt32, peer: PeerID, pathID: UInt32, at destination: UInt32
    ) -> UInt32? {
        guard pathCount < RIB.maximumPaths else { return nil }
        attributes.retain(set)
        let path = Path(
            attributes: set, next: RIB.none, destination: destination, pathID: pathID, label1: payload.label1,
            label2: payload.label2 ?? RIB.none, overlay: keep(payload.overlay), peer: peer, flags: 0)
        if let reused = freePaths.popLast() {
            paths[Int(reused)] = path
            return reused
        }
        paths.append(path)
        return UInt32(paths.count - 1)
    }

    /// A path announced again: in place, so that an unchanged announcement costs nothing further on.
    private mutating func replace(
        _ path: UInt32, _ payload: RoutePayload, _ set: UInt32, slot: Int, isEligible: Bool
    ) {
        let old = paths[Int(path)]
        let isStale = old.flags & Path.stale != 0
        if isStale {
            paths[Int(path)].flags &= ~Path.stale
            peers[Int(old.peer.rawValue)]?.counters[slot].stale -= 1
            touch(old.destination)
        }
        guard old.attributes != set || self.payload(old) != payload else { return }
        if old.attributes != set {
            let wasEligible = attributes.entries[Int(old.attributes)].ineligibility == 0
            if old.peer != .local, wasEligible != isEligible {
                peers[Int(old.peer.rawValue)]?.counters[slot].accepted += isEligible ? 1 : -1
            }
            attributes.retain(set)
            release(old.attributes)
            paths[Int(path)].attributes = set
        }
        drop(old.overlay)
        paths[Int(path)].overlay = keep(payload.overlay)
        paths[Int(path)].label1 = payload.label1
        paths[Int(path)].label2 = payload.label2 ?? RIB.none
        noteTouched(path, at: old.destination)
        touch(old.destination)
    }

    mutating func unlink(_ path: UInt32) {
        let old = paths[Int(path)]
        let id = Int(old.destination)
        if destinations[id].firstPath == path {
            destinations[id].firstPath = old.next
        } else {
            var previous = destinations[id].firstPath
            while previous != RIB.none, paths[Int(previous)].next != path { previous = paths[Int(previous)].next }
            if previous != RIB.none { paths[Int(previous)].next = old.next }
        }
        noteTouched(path, at: old.destination)
        touch(old.destination)
        let entry = attributes.entries[Int(old.attributes)]
        if old.peer == .local {
            localCount -= 1
        } else {
            let peer = Int(old.peer.rawValue)
            peers[peer]?.counters[entry.family.index].received -= 1
            if entry.ineligibility == 0 { peers[peer]?.counters[entry.family.index].accepted -= 1 }
            if old.flags & Path.stale != 0 { peers[peer]?.counters[entry.family.index].stale -= 1 }
        }
        release(old.attributes)
        drop(old.overlay)
        paths[Int(path)].flags = Path.unused
        paths[Int(path)].attributes = RIB.none
        freePaths.append(path)
    }

    /// Remembers that the slot of a chosen path no longer holds what was chosen (it may be reused before `process`).
    mutating func noteTouched(_ path: UInt32, at id: UInt32) {
        if destinations[Int(id)].best == path { destinations[Int(id)].flags |= Destination.bestTouched }
        if destinations[Int(id)].bestRemote == path { destinations[Int(id)].flags |= Destination.remoteTouched }
    }

    @inline(__always) mutating func touch(_ id: UInt32) {
        if destinations[Int(id)].flags & Destination.dirty == 0 {
            destinations[Int(id)].flags |= Destination.dirty
            dirty.append(id)
        }
    }

    // MARK: Lookups

    func find(_ key: RouteKey) -> UInt32? {
        index.find(RIBIndex.hash(key)) { destinations[Int($0)].key == key }
    }
    func path(of peer: PeerID, pathID: UInt32, at id: UInt32) -> UInt32? {
        var path = destinations[Int(id)].firstPath
        while path != RIB.none {
            if paths[Int(path)].peer == peer, paths[Int(path)].pathID == pathID { return path }
            path = paths[Int(path)].next
        }
        return nil
    }
    func payload(_ path: Path) -> RoutePayload {
        RoutePayload(
            label1: path.label1, label2: path.label2 == RIB.none ? nil : path.label2,
            overlay: path.overlay == RIB.none ? nil : overlays[Int(path.overlay)])
    }
    private mutating func keep(_ overlay: OverlayIndex?) -> UInt32 {
        guard let overlay else { return RIB.none }
        if let reused = freeOverlays.popLast() {
            overlays[Int(reused)] = overlay
            return reused
        }
        overlays.append(overlay)
        return UInt32(overlays.count - 1)
    }
    private mutating func drop(_ overlay: UInt32) {
        guard overlay != RIB.none else { return }
        overlays[Int(overlay)] = nil
        freeOverlays.append(overlay)
    }

    /// A destination without paths and without anybody to tell is free again.
    mutating func freeIfUnused(_ id: UInt32) {
        let destination = destinations[Int(id)]
        guard destination.firstPath == RIB.none, destination.pendingMarks == 0,
            destination.flags & (Destination.dirty | Destination.unused) == 0
        else { return }
        index.remove(RIBIndex.hash(destination.key), slot: id)
        destinations[Int(id)].flags = Destination.unused
        freeDestinations.append(id)
    }
    mutating func unmark(_ id: UInt32) {
        destinations[Int(id)].pendingMarks &-= 1
        freeIfUnused(id)
    }

    // MARK: Limits

    private mutating func checkLimits(_ number: Int, _ slot: FamilySlot, _ outcome: inout ReceiveOutcome) {
        guard let peer = peers[number], let limit = peer.description.prefixLimits[slot.family] else { return }
        let count = peer.counters[slot.index].received
        if count > limit.maximum, !peer.exceeded[slot.index] {
            peers[number]?.exceeded[slot.index] = true
            outcome.limits.append(.init(family: slot.family, kind: .exceeded, count: count, limit: limit))
        } else if count >= limit.warningCount, !peer.warned[slot.index] {
            outcome.limits.append(.init(family: slot.family, kind: .warning, count: count, limit: limit))
        }
        if count >= limit.warningCount { peers[number]?.warned[slot.index] = true }
    }
    /// A crossing is told again after the number has fallen below it.
    private mutating func resetLimits(_ number: Int, _ slot: FamilySlot) {
        guard let peer = peers[number], let limit = peer.description.prefixLimits[slot.family] else { return }
        let count = peer.counters[slot.index].received
        if count <= limit.maximum { peers[number]?.exceeded[slot.index] = false }
        if count < limit.warningCount { peers[number]?.warned[slot.index] = false }
    }
}

extension PrefixLimit {
    /// The number of routes from which on there is a warning; at least one.
    var warningCount: Int {
        let (product, overflow) = maximum.multipliedReportingOverflow(by: max(0, warningPercent))
        return max(1, overflow ? maximum : product / 100)
    }
}
