// `vnis:` and `vrfs:` to what `Overlay` has: decode every entry, then look for what clashes, then give out route distinguishers.

import BGP
import Documents
import EVPN
import NetTypes

/// Decodes the VNIs and VRFs of one file.
final class OverlayDecoder {
    /// One VNI as written, before automatic values are resolved.
    struct Entry {
        var source: Value
        var vni: Located<VNI>
        var isEnabled = true
        var device = BroadcastDomain.Device.adopted(name: nil)
        var vtep: IPAddress?
        var imports: ImportTargets
        /// Nil: the automatic one.
        var exports: [RouteTarget]?
        var macs: [StaticMAC] = []
        /// Nil: that of `membership`.
        var signalling: Signalling?
        var community: Located<UInt32>?
        var gateway: GatewaySettings?
        var claim: Claim

        /// Adopts the device with this VNI.
        init(_ source: Value, _ vni: Located<VNI>) {
            self.source = source
            self.vni = vni
            imports = .automatic(vni.value)
            claim = Claim("VNI \(vni.value)", vni.source)
            claim.number = vni.value.rawValue
        }
    }

    let problems: ProblemList
    /// Whether `node` gives an address, so that managed devices need none of their own.
    let hasNodeAddress: Bool
    /// VNIs that are written down, enabled or not, those of VRFs included.
    private(set) var named: Set<VNI> = []
    /// VRFs whose L3 VNI is another's.
    private var refused: Set<String> = []
    /// The bridge of VNIs that live in VLANs.
    private let sharedBridge: SharedBridge
    private let nodeAddress: IPAddress?
    private let vrfs: VRFDecoder
    /// What is asked of the routes of VRFs.
    var exports: [VRFExportIntent] { vrfs.entries.compactMap(\.export) }
    private let isSwitched: Bool

    /// `nodeAddress`: that of `node`, where it is known when the file is read; `shared`: `vlanBridge`; `isSwitched`: Open vSwitch
    /// forwards.
    init(problems: ProblemList, hasNodeAddress: Bool, nodeAddress: IPAddress?, shared: Section, isSwitched: Bool) {
        self.isSwitched = isSwitched
        self.problems = problems
        self.nodeAddress = nodeAddress
        self.hasNodeAddress = hasNodeAddress
        sharedBridge = SharedBridge(shared)
        vrfs = VRFDecoder(
            problems: problems, hasNodeAddress: hasNodeAddress, sharedBridge: sharedBridge, isSwitched: isSwitched)
    }

    func decode(
        vnis: Value?, vrfs vrfList: Value?, asn: UInt32, routerID: IPv4Address, _ membership: MembershipSettings
    )
        -> (evis: [EVI], vrfs: [IPVRF])
    {
        vrfs.decode(vrfList)
        var entries = (vnis?.list() ?? []).compactMap { entry($0) }
        entries = withoutDuplicates(entries).sorted { $0.vni.value < $1.vni.value }
        // In the order of VNIs, those without one last.
        // What a VRF would have with a VNI that is another's clashes as well, which is no news.
        let routed = vrfs.entries.map { entry in
            refused.contains(entry.name.value) ? Claim(entry.claim.owner, entry.claim.source) : entry.claim
        }
        let claims = (entries.map(\.claim) + routed).enumerated().sorted { a, b in
            (a.element.number ?? .max, a.offset) < (b.element.number ?? .max, b.offset)
        }
        let sorted = claims.map(\.element)
        sorted.checkNames()
        sorted.checkVLANs()
        sorted.checkPorts()
        checkCommunities(entries, membership, asn: asn)
        checkGateways(entries)
        checkVTEPs(entries)
        var distinguishers = [RouteDistinguisher?](repeating: nil, count: claims.count)
        for (claim, rd) in zip(claims, sorted.assignDistinguishers(routerID: routerID)) {
            distinguishers[claim.offset] = rd
        }
        let evis = zip(entries, distinguishers).compactMap { entry, rd in
            rd.flatMap { evi(entry, rd: $0, asn: asn, membership) }
        }
        return (evis, vrfs.resolved(Array(distinguishers.dropFirst(entries.count)), asn: asn))
    }

    private func evi(_ entry: Entry, rd: RouteDistinguisher, asn: UInt32, _ membership: MembershipSettings) -> EVI? {
        guard entry.isEnabled else { return nil }
        let vni = entry.vni.value
        let signalling = entry.signalling ?? membership.signalling
        if signalling == .membership, entry.device.isManaged {
            entry.source.fail(
                "a managed device does not learn, so a managed VNI needs EVPN routes",
                hint: "signalling: evpn or both, or a device of your own")
        }
        var domain = BroadcastDomain(
            vni: vni, device: entry.device, vtep: entry.vtep, isFloodOnly: !signalling.usesEVPN)
        domain.routed = entry.gateway?.interface
        return EVI(
            vni: vni, rd: rd, importTargets: entry.imports,
            exportTargets: (entry.exports ?? [.automatic(asn: asn, vni: vni)]).sorted(), domain: domain,
            staticMACs: entry.macs, signalling: signalling, memberCommunity: entry.community?.value)
    }

    // MARK: One entry

    private func entry(_ source: Value) -> Entry? {
        if case .scalar = source.document.content {
            // Just a number: adopt the device with this VNI.
            return source.located(source.vni()).map { Entry(source, $0) }
        }
        let section = Section(source)
        let vni = section["vni"].located { $0.vni() }
        if !section.has("vni") { section.missing("vni") }
        let isEnabled = section["enabled"]?.bool() ?? true
        if isSwitched { section.refuseDevices(beside: ["members"]) }
        let isManaged = isSwitched ? false : section["managed"]?.bool() ?? false
        let membersValue = isSwitched ? nil : section["members"]
        let members = membersValue?.listOrOne().compactMap { $0.located($0.deviceName()) } ?? []
        if !isManaged {
            membersValue?.fail("is only for VNIs with managed: true; an adopted device is left as the operator made it")
        }
        let device =
            isSwitched
            ? DeviceSettings()
            : DeviceSettings(section, vni?.value, isManaged: isManaged, members: members, sharedBridge: sharedBridge)
        let vtep = isSwitched ? nil : device.vtep(section, isNodeAddressKnown: hasNodeAddress)
        let rd = section["rd"].flatMap { value in value.unlessAuto { $0.located($0.distinguisher()) } }
        let targets = section["routeTargets"]?.routeTargets() ?? RouteTargetLists()
        let macs = section["macs"].map { staticMACs($0) } ?? []
        let signalling = section["signalling"]?.word(Signalling.self)
        if isSwitched, signalling?.usesMembership == true { section["signalling"]?.fail(Value.onlyEVPN) }
        let community = section["community"].located { $0.community() }
        let gateway = GatewaySettings(section, isManaged: isManaged || isSwitched)
        vrfs.check(gateway.vrf, vlan: isManaged ? section["vlan"] : nil)
        section.finish()
        guard let vni else { return nil }
        var entry = Entry(source, vni)
        entry.isEnabled = isEnabled
        entry.device = device.device
        entry.vtep = vtep
        if let imports = targets.imports { entry.imports = .explicit(imports) }
        entry.exports = targets.exports
        entry.macs = macs
        entry.signalling = signalling
        entry.community = community
        entry.gateway = gateway
        entry.claim.names = device.names
        entry.claim.vlan = device.vlan
        entry.claim.bridge = device.bridge
        entry.claim.port = isEnabled ? device.port : nil
        entry.claim.rd = rd
        return entry
    }

    private func staticMACs(_ value: Value) -> [StaticMAC] {
        var result: [StaticMAC] = []
        var macs: [MACAddress: Int] = [:]
        var addresses: [IPAddress: Int] = [:]
        for element in value.list() {
            var mac: MACAddress?
            var own: [IPAddress] = []
            var isSticky = false
            if case .scalar = element.document.content {
                mac = element.mac()
            } else {
                let section = Section(element)
                if let value = section["mac"] { mac = value.mac() } else { section.missing("mac") }
                for source in section["addresses"]?.listOrOne() ?? [] {
                    guard let address = source.address() else { continue }
                    if address.isUnspecified || address.isMulticast {
                        source.fail("\(address) is not an address of a host")
                    } else if let line = addresses.updateValue(source.position.line, forKey: address) {
                        source.fail("\(address) is already given to a MAC at line \(line)")
                    } else {
                        own.append(address)
                    }
                }
                isSticky = section["sticky"]?.bool() ?? false
                section.finish()
            }
            guard let mac else { continue }
            if let line = macs.updateValue(element.position.line, forKey: mac) {
                element.fail("MAC \(mac) is already listed at line \(line)")
                continue
            }
            result.append(StaticMAC(mac: mac, addresses: own.sorted(), isSticky: isSticky))
        }
        return result.sorted { $0.mac < $1.mac }
    }

    // MARK: All entries

    /// A VNI is either one segment or the L3 VNI of one VRF.
    private func withoutDuplicates(_ entries: [Entry]) -> [Entry] {
        var owners: [VNI: (isSegment: Bool, place: String)] = [:]
        let segments = entries.enumerated().map { (vni: $1.vni, claim: $1.claim, index: Int?.some($0), vrf: "") }
        let transits = vrfs.entries.compactMap { entry in
            entry.vni.map { (vni: $0, claim: entry.claim, index: Int?.none, vrf: entry.name.value) }
        }
        var kept: Set<Int> = []
        for use in (segments + transits).sorted(by: { $0.vni.source.position < $1.vni.source.position }) {
            let vni = use.vni.value
            if let owner = owners[vni] {
                let text = owner.isSegment ? "already configured at line" : "already the L3 VNI of"
                use.vni.source.fail("VNI \(vni) is \(text) \(owner.place)")
                if use.index == nil { refused.insert(use.vrf) }
                continue
            }
            owners[vni] = (use.index != nil, use.index != nil ? "\(use.vni.line)" : use.claim.place)
            if let index = use.index { kept.insert(index) }
        }
        named = Set(owners.keys)
        return entries.enumerated().compactMap { kept.contains($0) ? $1 : nil }
    }

    private func checkGateways(_ entries: [Entry]) {
        var check = GatewayCheck()
        for entry in entries {
            if let gateway = entry.gateway { check.add(gateway, of: entry.claim) }
        }
        check.finish()
    }

    /// The route of a host (type 2) has one next hop, for its subnet and for the L3 VNI (RFC 9135 §5.1).
    private func checkVTEPs(_ entries: [Entry]) {
        for entry in entries {
            guard let vrf = vrfs.entries.first(where: { $0.name.value == entry.gateway?.vrf?.value }),
                let transit = vrf.domain, let there = transit.vtep ?? nodeAddress,
                let here = entry.vtep ?? nodeAddress, here != there
            else { continue }
            entry.source.fail(
                "VTEP address \(here) is not \(there), that of the L3 VNI of \(vrf.claim.place)",
                hint: "the routes of its hosts have one next hop for both VNIs")
        }
    }

    /// A community stands for one VNI.
    private func checkCommunities(_ entries: [Entry], _ membership: MembershipSettings, asn: UInt32) {
        var owners: [UInt32: Entry] = [:]
        let members = entries.filter { ($0.signalling ?? membership.signalling).usesMembership }
        for entry in entries
        where entry.community != nil && !members.contains(where: { $0.vni.value == entry.vni.value }) {
            entry.community?.source.warn("has no effect: the VNI does not use membership")
        }
        for entry in members {
            var community = entry.community?.value
            if community == nil, let high = UInt16(exactly: membership.communityASN?.value ?? asn),
                let low = UInt16(exactly: entry.vni.value.rawValue)
            {
                community = UInt32(high) << 16 | UInt32(low)
            }
            guard let community else { continue }
            if let owner = owners[community] {
                let (source, other) =
                    entry.community.map { ($0.source, owner) } ?? (owner.community?.source ?? entry.source, entry)
                source.fail(
                    "community \(community >> 16):\(community & 0xffff) already stands for VNI \(other.vni.value) at line \(other.vni.line)"
                )
            }
            owners[community] = entry
        }
    }
}
