// Community membership: other hosts' routes become flood list members, and this host's VNIs one host route.

import BGP
import NetTypes

extension ControlPlane {
    // MARK: Others

    /// A unicast route. Only host routes with communities can mean something here, now or after a reload; they are as many as
    /// the RIB lets in.
    mutating func applyUnicast(_ change: RouteChange) {
        guard change.key.family != .l2vpnEVPN, let prefix = change.key.prefix,
            prefix.length == prefix.address.bitWidth, Self.isUsable(prefix.address)
        else { return }
        var new = change.path?.attributes
        if let set = new, set.attributes.communities.isEmpty, set.attributes.largeCommunities.isEmpty { new = nil }
        let old = memberRoutes[prefix.address]
        memberRoutes[prefix.address] = new
        guard old != new else { return }
        let wanted = new.map { memberVRFs(prefix.address, $0) } ?? []
        for slot in old.map({ memberVRFs(prefix.address, $0) }) ?? [] where !wanted.contains(slot) {
            setMember(prefix.address, of: slot, false)
        }
        for slot in wanted { setMember(prefix.address, of: slot, true) }
    }

    /// The MAC-VRFs that a host with these attributes is a member of, ascending. A route with our own address says nothing about others.
    private func memberVRFs(_ address: IPAddress, _ set: AttributeSet) -> [Slot] {
        guard ownVTEPs[address] == nil else { return [] }
        var found: Set<Slot> = []
        for community in set.attributes.communities { if let slot = memberMarks[community] { found.insert(slot) } }
        for community in set.attributes.largeCommunities {
            if let slot = largeMemberMarks[community] { found.insert(slot) }
        }
        return found.filter { reaches($0, address) }.sorted()
    }

    private mutating func setMember(_ address: IPAddress, of vrf: Slot, _ isMember: Bool) {
        if let vtep = vtepSlots[address], let slot = floods.find(FloodEntry.Key(vrf: vrf, vtep: vtep)) {
            guard floods[slot].isMember != isMember else { return }
            floods[slot].isMember = isMember
            touch(flood: slot)
        } else if isMember {
            let slot = floods.insert(FloodEntry(key: FloodEntry.Key(vrf: vrf, vtep: retain(vtep: address))))
            floods[slot].isMember = true
            touch(flood: slot)
        }
    }

    /// Reads all host routes anew, after communities or own addresses have changed.
    mutating func reimportMembers() {
        memberMarks = [:]
        largeMemberMarks = [:]
        if let membership {
            for (index, vrf) in vrfs.enumerated() {
                guard let evi = vrf?.evi, evi.signalling.usesMembership else { continue }
                let marks = membership.marks(of: evi)
                for community in marks.communities { memberMarks[community] = Slot(index) }
                for community in marks.large { largeMemberMarks[community] = Slot(index) }
            }
        }
        var wanted: [(IPAddress, Slot)] = []
        var kept: Set<FloodKey> = []
        if !memberMarks.isEmpty || !largeMemberMarks.isEmpty {
            for (address, set) in memberRoutes {
                for slot in memberVRFs(address, set) {
                    wanted.append((address, slot))
                    kept.insert(FloodKey(vni: vnis[Int(slot)], vtep: address))
                }
            }
        }
        var dropped: [(IPAddress, Slot)] = []
        for slot in floods.slots where floods[slot].isMember {
            let entry = floods[slot]
            let address = vteps[entry.vtep].address
            if !kept.contains(FloodKey(vni: vnis[Int(entry.vrf)], vtep: address)) {
                dropped.append((address, entry.vrf))
            }
        }
        // In an order that does not depend on the tables' seed.
        for (address, slot) in dropped.sorted(by: { ($0.1, $0.0) < ($1.1, $1.0) }) {
            setMember(address, of: slot, false)
        }
        for (address, slot) in wanted.sorted(by: { ($0.1, $0.0) < ($1.1, $1.0) }) { setMember(address, of: slot, true) }
    }

    // MARK: This host

    /// Announces one host route for each VTEP address of ours, with the communities of all VNIs that can forward there. A change
    /// replaces the route, so that nobody loses the VNIs that stay.
    mutating func refreshMembership() {
        isMembershipDirty = false
        var members: [IPAddress: [EVI]] = [:]
        if let membership, membership.advertises {
            for vni in vrfByVNI.keys.sorted() {
                guard let slot = vrfByVNI[vni], let evi = vrfs[Int(slot)]?.evi, evi.signalling.usesMembership,
                    let domain = vrfs[Int(slot)]?.domain
                else { continue }
                members[domain.vtep, default: []].append(evi)
            }
            for vtep in members.keys.sorted() {
                guard let evis = members[vtep], let key = Self.memberKey(vtep) else { continue }
                let (set, omitted) = membership.attributes(vtep: vtep, evis)
                if omitted != memberOmissions[vtep] ?? 0 { report(.membershipTooLong(vtep: vtep, omitted: omitted)) }
                memberOmissions[vtep] = omitted > 0 ? omitted : nil
                let route = Advertisement(payload: RoutePayload(), attributes: set)
                if exported[key] != route { report(.membershipChanged(vtep: vtep, vnis: evis.count - omitted)) }
                export(key, route)
            }
        }
        for vtep in announcedMembers.sorted() where members[vtep] == nil {
            memberOmissions[vtep] = nil
            report(.membershipChanged(vtep: vtep, vnis: 0))
            if let key = Self.memberKey(vtep) { export(key, nil) }
        }
        announcedMembers = Set(members.keys)
    }

    static func memberKey(_ vtep: IPAddress) -> RouteKey? {
        IPPrefix(vtep, length: vtep.bitWidth).map { RouteKey(unicast: $0) }
    }

    /// Hosts whose routes make them members of a VNI.
    func members(of vrf: Slot) -> [IPAddress] {
        floods.slots.compactMap { floods[$0].vrf == vrf && floods[$0].isMember ? vteps[floods[$0].vtep].address : nil }
            .sorted()
    }
}
