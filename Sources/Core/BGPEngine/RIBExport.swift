// What peers are told: the rules of RFC 4271 §5.1 and §9.1.3, RFC 4456, RFC 1997 and RFC 9234, computed once per attribute set and
// class of equally treated peers.

import BGP
import NetTypes

/// Peers that get the same attributes in the same encoding. Whom a route came from is not part of it: a peer is never sent its
/// own route back, which is checked per route.
struct ExportClass: Sendable {
    struct Key: Hashable, Sendable {
        var kind: PeerDescription.Kind
        var isReflectorClient: Bool
        var localASN: UInt32
        var role: UInt8?
        var families: Set<Family>
        var nextHopSelf: Set<Family>
        /// By family slot, where our own next hop can be needed.
        var nextHops: [IPAddress?]
        var linkLocalNextHop: IPv6Address?
        var codec: CodecOptions

        init(_ peer: PeerDescription) {
            kind = peer.kind
            isReflectorClient = peer.isReflectorClient
            localASN = peer.localASN
            role = peer.role
            families = peer.families
            nextHopSelf = peer.nextHopSelf
            codec = peer.codec
            linkLocalNextHop = peer.linkLocalNextHop
            nextHops = (0..<FamilySlot.count).map { index in
                let slot = FamilySlot(index: index)
                guard peer.families.contains(slot.family), slot.isUnicast || peer.nextHopSelf.contains(slot.family)
                else { return nil }
                return peer.nextHops[slot.family] ?? peer.localAddress
            }
        }
    }
    /// UPDATEs already encoded for another peer of the class.
    struct Batch: Sendable {
        var routes: [UInt32]
        var bytes: [UInt8]
    }

    let key: Key
    private(set) var members = 1
    /// By attribute id: 0 unknown, 1 not sent, 2 sent as `sets`.
    private(set) var states: [UInt8] = []
    private(set) var sets: [AttributeSet?] = []
    private var batches: [UInt64: Batch] = [:]
    private var batchVersion: UInt64 = 0
    private var batchBytes = 0

    static let denied: UInt8 = 1
    static let granted: UInt8 = 2
    /// Encodings kept per class: about two full tables of 100,000 MAC/IP routes.
    static let maximumBatchBytes = 8 << 20

    init(key: Key) { self.key = key }

    mutating func join() { members += 1 }
    mutating func leave() {
        members -= 1
        guard members == 0 else { return }
        states = []
        sets = []
        dropBatches()
    }
    @inline(__always) func state(_ id: UInt32) -> UInt8 { Int(id) < states.count ? states[Int(id)] : 0 }
    mutating func setExport(_ id: UInt32, capacity: Int, _ set: AttributeSet?) {
        if states.count <= Int(id) {
            let missing = max(capacity, Int(id) + 1) - states.count
            states.append(contentsOf: repeatElement(0, count: missing))
            sets.append(contentsOf: repeatElement(nil, count: missing))
        }
        states[Int(id)] = set == nil ? Self.denied : Self.granted
        sets[Int(id)] = set
    }
    mutating func forget(_ id: UInt32) {
        guard Int(id) < states.count else { return }
        states[Int(id)] = 0
        sets[Int(id)] = nil
    }

    func batch(_ hash: UInt64, _ routes: [UInt32], version: UInt64) -> [UInt8]? {
        guard batchVersion == version, let batch = batches[hash], batch.routes == routes else { return nil }
        return batch.bytes
    }
    mutating func keepBatch(_ hash: UInt64, _ batch: Batch, version: UInt64) {
        if batchVersion != version { dropBatches() }
        batchVersion = version
        guard batchBytes + batch.bytes.count <= Self.maximumBatchBytes else { return }
        batches[hash] = batch
        batchBytes += batch.bytes.count
    }
    mutating func dropBatches() {
        if !batches.isEmpty { batches = [:] }
        batchBytes = 0
    }
}

/// Well-known communities (RFC 1997).
enum WellKnownCommunity {
    static let noExport: UInt32 = 0xffff_ff01
    static let noAdvertise: UInt32 = 0xffff_ff02
    static let noExportSubconfed: UInt32 = 0xffff_ff03
}

extension RIB {
    /// The class of a peer, made when there is none; the caller is counted as a member.
    mutating func joinClass(_ peer: PeerDescription) -> Int {
        let key = ExportClass.Key(peer)
        if let found = exportClasses.firstIndex(where: { $0.members > 0 && $0.key == key }) {
            exportClasses[found].join()
            return found
        }
        if let unused = exportClasses.firstIndex(where: { $0.members == 0 }) {
            exportClasses[unused] = ExportClass(key: key)
            return unused
        }
        exportClasses.append(ExportClass(key: key))
        return exportClasses.count - 1
    }

    /// Whether routes with these attributes are sent to the class.
    mutating func exportState(_ classIndex: Int, _ set: UInt32) -> UInt8 {
        let known = exportClasses[classIndex].state(set)
        if known != 0 { return known }
        let key = exportClasses[classIndex].key
        let family = attributes.entries[Int(set)].family.family
        var exported = exportRules(attributes.entries[Int(set)], to: key)
        // What cannot be sent must not stay announced as it was before.
        if let attributes = exported?.attributes, !UpdateEncoder(options: key.codec).fits(attributes, family: family) {
            exported = nil
        }
        exportClasses[classIndex].setExport(set, capacity: attributes.capacity, exported)
        return exported == nil ? ExportClass.denied : ExportClass.granted
    }

    mutating func forgetExports(_ set: UInt32) {
        for index in exportClasses.indices { exportClasses[index].forget(set) }
    }

    /// The attributes a peer of the class gets; nil: it gets nothing.
    func exportRules(_ entry: AttributeEntry, to target: ExportClass.Key) -> AttributeSet? {
        guard target.families.contains(entry.family.family), entry.ineligibility == 0 else { return nil }
        var attributes = entry.set.attributes
        let isLocal = entry.peer == .local
        let isExternal = target.kind == .external
        if attributes.communities.contains(WellKnownCommunity.noAdvertise) { return nil }
        if isExternal,
            attributes.communities.contains(where: {
                $0 == WellKnownCommunity.noExport || $0 == WellKnownCommunity.noExportSubconfed
            })
        {
            return nil
        }

        if isExternal {
            attributes.asPath = attributes.asPath.prepending(target.localASN)
            attributes.localPreference = nil
            attributes.originatorID = nil
            attributes.clusterList = []
            // RFC 4271 §5.1.4: a MED received from one AS is not for another.
            if !isLocal { attributes.med = nil }
            attributes.extendedCommunities.removeAll { !$0.isTransitive }
        } else {
            if !isLocal, let source = peerState(entry.peer)?.description, source.kind == .internal {
                // RFC 4456 §6 and §8: clients to everybody, others to clients only.
                guard source.isReflectorClient || target.isReflectorClient else { return nil }
                if attributes.originatorID == nil { attributes.originatorID = source.routerID }
                attributes.clusterList.insert(configuration.clusterID, at: 0)
            }
            if attributes.localPreference == nil { attributes.localPreference = 100 }
        }

        // RFC 2545 §3: a link-local next hop means nothing beyond its link.
        let isTied = entry.family.isUnicast && attributes.nextHop?.isLinkLocal == true
        attributes.linkLocalNextHop = nil
        let isOwnNextHop =
            target.nextHopSelf.contains(entry.family.family) || (isExternal && entry.family.isUnicast)
            || attributes.nextHop?.isUnspecified != false
        if isOwnNextHop || isTied {
            guard let own = target.nextHops[entry.family.index] else { return nil }
            attributes.nextHop = own
            attributes.linkLocalNextHop = own.isV6 && !own.isLinkLocal ? target.linkLocalNextHop : nil
        }

        if entry.family.isUnicast, isExternal, let role = target.role {
            if attributes.onlyToCustomer != nil {
                // Never up or sideways again: our role is route server client, customer or peer.
                if [2, 3, 4].contains(role) { return nil }
            } else if [0, 1, 4].contains(role) {
                attributes.onlyToCustomer = target.localASN
            }
        }
        if !isLocal { attributes.others = passedOn(attributes.others) }
        return attributes == entry.set.attributes ? entry.set : AttributeSet(attributes)
    }

    /// RFC 4271 §5: unrecognized optional attributes go on with the partial bit if transitive, and nowhere otherwise.
    private func passedOn(_ others: [RawAttribute]) -> [RawAttribute] {
        others.compactMap { attribute in
            guard attribute.flags & 0xc0 == 0xc0 else { return nil }
            var result = attribute
            // 23 tunnel encapsulation, 25 IPv6 extended communities and 40 prefix SID are recognized, though not typed.
            if ![23, 25, 40].contains(attribute.code) { result.flags |= 0x20 }
            return result
        }
    }
}
