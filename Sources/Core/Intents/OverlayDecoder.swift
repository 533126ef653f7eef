// `vnis:` to `Overlay`: decode every entry, then look for what clashes, then give out route distinguishers.

import BGP
import Documents
import EVPN
import NetTypes

/// Decodes the list of VNIs of one file.
final class OverlayDecoder {
    /// One entry as written, before automatic values are resolved.
    struct Entry {
        var source: Value
        var vni: Located<VNI>
        var isEnabled = true
        var device = BroadcastDomain.Device.adopted(name: nil)
        var vtep: IPAddress?
        var rd: Located<RouteDistinguisher>?
        var imports: ImportTargets
        /// Nil: the automatic one.
        var exports: [RouteTarget]?
        var macs: [StaticMAC] = []
        /// Nil: that of `membership`.
        var signalling: Signalling?
        var community: Located<UInt32>?
        /// The VLAN of the shared bridge, where one is named.
        var vlan: Located<UInt16>?
        /// Device names this entry lays claim to.
        var names: [Located<String>] = []
    }

    let problems: ProblemList
    /// Whether `node` gives an address, so that managed devices need none of their own.
    let hasNodeAddress: Bool
    /// VNIs that are written down, enabled or not.
    private(set) var named: Set<VNI> = []
    /// The bridge of VNIs that live in VLANs.
    private var sharedBridge = SharedBridge()

    init(problems: ProblemList, hasNodeAddress: Bool) {
        self.problems = problems
        self.hasNodeAddress = hasNodeAddress
    }

    func decode(_ value: Value?, asn: UInt32, routerID: IPv4Address, _ membership: MembershipSettings) -> [EVI] {
        var entries = (value?.list() ?? []).compactMap { entry($0) }
        entries = withoutDuplicates(entries).sorted { $0.vni.value < $1.vni.value }
        checkNames(entries)
        checkVLANs(entries)
        checkCommunities(entries, membership, asn: asn)
        named = Set(entries.map(\.vni.value))
        let distinguishers = assignDistinguishers(entries, routerID: routerID)
        return entries.compactMap { entry in
            guard entry.isEnabled, let rd = distinguishers[entry.vni.value] else { return nil }
            let vni = entry.vni.value
            let signalling = entry.signalling ?? membership.signalling
            if signalling == .membership, entry.device.isManaged {
                entry.source.fail(
                    "a managed device does not learn, so a managed VNI needs EVPN routes",
                    hint: "signalling: evpn or both, or a device of your own")
            }
            return EVI(
                vni: vni, rd: rd, importTargets: entry.imports,
                exportTargets: (entry.exports ?? [.automatic(asn: asn, vni: vni)]).sorted(),
                domain: BroadcastDomain(
                    vni: vni, device: entry.device, vtep: entry.vtep, isFloodOnly: !signalling.usesEVPN),
                staticMACs: entry.macs, signalling: signalling, memberCommunity: entry.community?.value)
        }
    }

    // MARK: One entry

    private func vni(_ value: Value) -> Located<VNI>? {
        value.located(value.integer(1...16_777_215).flatMap { VNI(UInt32(clamping: $0)) })
    }

    private func entry(_ source: Value) -> Entry? {
        if case .scalar = source.document.content {
            // Just a number: adopt the device with this VNI.
            guard let vni = vni(source) else { return nil }
            return Entry(source: source, vni: vni, imports: .automatic(vni.value))
        }
        let section = Section(source)
        let vni = section["vni"].flatMap { self.vni($0) }
        if !section.has("vni") { section.missing("vni") }
        let isEnabled = section["enabled"]?.bool() ?? true
        let device = device(section, vni)
        let vtepValue = section["vtep"]
        let vtep = vtepValue.flatMap { vtepAddress($0) }
        if device.device.isManaged, vtepValue == nil, !hasNodeAddress {
            source.fail("a managed VNI needs a VTEP address", hint: "set node.vtep, node.interface or vtep here")
        }
        if case .managedVLAN = device.device {
            vtepValue?.fail("VNIs in VLANs share one VXLAN device and its address", hint: "set node.vtep")
        }
        let rd = section["rd"].flatMap { distinguisher($0) }
        let targets = section["routeTargets"].map { routeTargets($0) } ?? (nil, nil)
        let macs = section["macs"].map { staticMACs($0) } ?? []
        let signalling = section["signalling"]?.word(Signalling.self)
        let community = section["community"].located { self.community($0) }
        section.finish()
        guard let vni else { return nil }
        return Entry(
            source: source, vni: vni, isEnabled: isEnabled, device: device.device, vtep: vtep, rd: rd,
            imports: targets.0.map { .explicit($0) } ?? .automatic(vni.value), exports: targets.1, macs: macs,
            signalling: signalling, community: community, vlan: device.vlan, names: device.names)
    }

    private func device(_ section: Section, _ vni: Located<VNI>?)
        -> (device: BroadcastDomain.Device, vlan: Located<UInt16>?, names: [Located<String>])
    {
        let isManaged = section["managed"]?.bool() ?? false
        let adopted = section["device"].located { $0.deviceName() }
        let vxlan = section["vxlan"].located { $0.deviceName() }
        let bridge = section["bridge"].located { $0.deviceName() }
        let mtu = section["mtu"].located { $0.integer(68...65535) }
        let port = section["port"].located { $0.integer(1...65535) }
        let membersValue = section["members"]
        let members =
            membersValue.map { $0.listOrOne().compactMap { value in value.located(value.deviceName()) } } ?? []
        let vlanValue = section["vlan"]
        guard isManaged else {
            for source in [vxlan?.source, bridge?.source, mtu?.source, port?.source, vlanValue, membersValue] {
                source?.fail("is only for VNIs with managed: true; an adopted device is left as the operator made it")
            }
            return (.adopted(name: adopted?.value), nil, adopted.map { [$0] } ?? [])
        }
        adopted?.source.fail("a managed VNI has no device to adopt", hint: "use vxlan and bridge to name its devices")
        if let vlanValue {
            for source in [vxlan?.source, bridge?.source, mtu?.source, port?.source] {
                source?.fail("VNIs in VLANs share one bridge and one VXLAN device", hint: "set it under vlanBridge")
            }
            let vlan = vlanValue.located(self.vlan(vlanValue))
            let place = ManagedVLAN(
                bridge: sharedBridge, vlan: vlan?.value, members: members.map(\.value).sorted())
            return (.managedVLAN(place), vlan, members)
        }
        let number = vni?.value.description ?? ""
        let vxlanName = vxlan ?? Located("vxlan\(number)", section.source)
        let bridgeName = bridge ?? Located("br\(number)", section.source)
        let managed = ManagedDevice(
            vxlanName: vxlanName.value, bridgeName: bridgeName.value, mtu: mtu?.value,
            port: UInt16(clamping: port?.value ?? 4789), members: members.map(\.value).sorted())
        return (.managed(managed), nil, [vxlanName, bridgeName] + members)
    }
    /// Nil: automatic.
    private func vlan(_ value: Value) -> UInt16? {
        if case .scalar("auto", _) = value.document.content { return nil }
        return value.integer(1...4094).map { UInt16(clamping: $0) }
    }
    /// `vlanBridge:`, to be decoded before the VNIs.
    func decodeSharedBridge(_ section: Section) {
        var bridge = SharedBridge()
        if let name = section["bridge"]?.deviceName() { bridge.bridgeName = name }
        if let name = section["vxlan"]?.deviceName() { bridge.vxlanName = name }
        if let mtu = section["mtu"]?.integer(68...65535) { bridge.mtu = mtu }
        if let port = section["port"]?.integer(1...65535) { bridge.port = UInt16(clamping: port) }
        if bridge.bridgeName == bridge.vxlanName {
            section.source.fail("bridge and VXLAN device cannot both be named \(bridge.bridgeName)")
        }
        section.finish()
        sharedBridge = bridge
    }

    private func distinguisher(_ value: Value) -> Located<RouteDistinguisher>? {
        guard let text = value.text() else { return nil }
        if text == "auto" { return nil }
        guard OverlayDecoder.isPlainPair(text), let rd = RouteDistinguisher(text) else {
            value.fail(
                "expected auto or a route distinguisher such as 192.0.2.1:100 or 65000:100, found \(value.kind)")
            return nil
        }
        return Located(rd, value)
    }
    /// Digits, points and one colon: what the readers of RD and RT should see, signs excluded.
    static func isPlainPair(_ text: String) -> Bool {
        text.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == 0x2e || $0 == 0x3a }
    }

    /// Nil: automatic.
    private func routeTargets(_ value: Value) -> (imports: [RouteTarget]?, exports: [RouteTarget]?) {
        if case .scalar("auto", _) = value.document.content { return (nil, nil) }
        let section = Section(value)
        let imports = section["import"].flatMap { targets($0) }
        let exports = section["export"].flatMap { targets($0) }
        let both = section["both"].flatMap { targets($0) }
        section.finish()
        func joined(_ list: [RouteTarget]?) -> [RouteTarget]? {
            list == nil && both == nil ? nil : Set((list ?? []) + (both ?? [])).sorted()
        }
        let result = (joined(imports), joined(exports))
        if result.1?.isEmpty == true, section["export"]?.document.isInert == true {
            section["export"]?.warn("nobody can import routes without a target")
        }
        return result
    }
    private func targets(_ value: Value) -> [RouteTarget]? {
        if case .scalar("auto", _) = value.document.content { return nil }
        return value.listOrOne().compactMap { element in
            guard let text = element.text() else { return nil }
            if text == "auto" {
                element.fail("auto stands alone and cannot be one of several", hint: "write ASN:VNI")
                return nil
            }
            guard OverlayDecoder.isPlainPair(text), let target = RouteTarget(text) else {
                element.fail(
                    "expected auto or a route target such as 65000:100, 192.0.2.1:100 or 4200000000:100, found \(element.kind)"
                )
                return nil
            }
            return target
        }
    }

    /// A standard community, `ASN:NUMBER`, both of 16 bits.
    private func community(_ value: Value) -> UInt32? {
        guard let text = value.text() else { return nil }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        let numbers = parts.compactMap { part in
            part.utf8.allSatisfy { (0x30...0x39).contains($0) } ? UInt16(part) : nil
        }
        guard parts.count == 2, let high = numbers.first, let low = numbers.last, numbers.count == 2 else {
            value.fail("expected a community of two numbers up to 65535 such as 65000:100, found \(value.kind)")
            return nil
        }
        guard high != 0xffff else {
            value.fail("communities of 65535 are reserved (RFC 1997)")
            return nil
        }
        return UInt32(high) << 16 | UInt32(low)
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
                mac = self.mac(element)
            } else {
                let section = Section(element)
                if let value = section["mac"] { mac = self.mac(value) } else { section.missing("mac") }
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
    private func mac(_ value: Value) -> MACAddress? {
        guard let text = value.text() else { return nil }
        guard let mac = MACAddress(text) else {
            value.fail("expected a MAC address such as 02:00:00:00:00:0a, found \(value.kind)")
            return nil
        }
        guard mac.isUsableByHost else {
            value.fail("\(mac) cannot belong to a host: it is \(mac.isZero ? "zero" : "a group address")")
            return nil
        }
        return mac
    }

    // MARK: All entries

    private func withoutDuplicates(_ entries: [Entry]) -> [Entry] {
        var lines: [VNI: Int] = [:]
        return entries.filter { entry in
            if let line = lines[entry.vni.value] {
                entry.vni.source.fail("VNI \(entry.vni.value) is already configured at line \(line)")
                return false
            }
            lines[entry.vni.value] = entry.vni.line
            return true
        }
    }
    /// A VLAN stands for one VNI.
    private func checkVLANs(_ entries: [Entry]) {
        var owners: [UInt16: Entry] = [:]
        for entry in entries {
            guard let vlan = entry.vlan else { continue }
            if let owner = owners[vlan.value] {
                vlan.source.fail(
                    "VLAN \(vlan.value) of VNI \(entry.vni.value) is already used by VNI \(owner.vni.value) at line \(owner.vni.line)"
                )
            } else {
                owners[vlan.value] = entry
            }
        }
    }
    /// Every device name belongs to one VNI and has one use there; only an adopted device may serve several VNIs.
    private func checkNames(_ entries: [Entry]) {
        var owners: [String: (vni: VNI, line: Int)] = [:]
        let adopted = Set(
            entries.compactMap { entry in if case .adopted = entry.device { entry.vni.value } else { nil } })
        for entry in entries {
            guard case .managedVLAN(let place) = entry.device else { continue }
            owners[place.bridge.bridgeName] = (entry.vni.value, entry.vni.line)
            owners[place.bridge.vxlanName] = (entry.vni.value, entry.vni.line)
        }
        let names = entries.flatMap { entry in entry.names.map { (vni: entry.vni.value, name: $0) } }
        for (vni, name) in names.sorted(by: { $0.name.source.position < $1.name.source.position }) {
            if let owner = owners[name.value] {
                if adopted.contains(vni), adopted.contains(owner.vni) { continue }
                name.source.fail(
                    "device \(name.value) of VNI \(vni) is already used by VNI \(owner.vni) at line \(owner.line)")
            } else {
                owners[name.value] = (vni, name.line)
            }
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

    /// Explicit ones first, then `router-id:VNI` where the VNI fits 16 bits, then for each larger VNI the first free number
    /// from its low 16 bits on. Disabled VNIs keep their number, so that enabling one moves no other.
    private func assignDistinguishers(_ entries: [Entry], routerID: IPv4Address) -> [VNI: RouteDistinguisher] {
        var result: [VNI: RouteDistinguisher] = [:]
        var owners: [RouteDistinguisher: Entry] = [:]
        func claim(_ rd: RouteDistinguisher, _ entry: Entry, isAutomatic: Bool) {
            if let owner = owners[rd] {
                let source = isAutomatic ? (owner.rd?.source ?? entry.source) : (entry.rd?.source ?? entry.source)
                let other = isAutomatic ? entry : owner
                let how = isAutomatic ? "the automatic one of" : "already used by"
                source.fail("route distinguisher \(rd) is \(how) VNI \(other.vni.value) at line \(other.vni.line)")
            }
            owners[rd] = entry
            result[entry.vni.value] = rd
        }
        for entry in entries {
            if let rd = entry.rd { claim(rd.value, entry, isAutomatic: false) }
        }
        let automatic = entries.filter { $0.rd == nil }
        for entry in automatic {
            guard let number = UInt16(exactly: entry.vni.value.rawValue) else { continue }
            claim(RouteDistinguisher(routerID, number), entry, isAutomatic: true)
        }
        var isExhausted = false
        for entry in automatic where entry.vni.value.rawValue > 0xffff && !isExhausted {
            var number = UInt16(truncatingIfNeeded: entry.vni.value.rawValue)
            var tries = 0
            while number == 0 || owners[RouteDistinguisher(routerID, number)] != nil, tries <= 0xffff {
                number &+= 1
                tries += 1
            }
            if tries > 0xffff {
                entry.source.fail("no route distinguisher is left: all 65535 numbers of \(routerID) are used")
                isExhausted = true
            } else {
                claim(RouteDistinguisher(routerID, number), entry, isAutomatic: true)
            }
        }
        return result
    }
}

extension BroadcastDomain.Device {
    fileprivate var isManaged: Bool { if case .adopted = self { false } else { true } }
}

extension OverlayDecoder {
    /// An address that other hosts can send VXLAN packets to.
    func vtepAddress(_ value: Value) -> IPAddress? {
        guard let address = value.address() else { return nil }
        if address.isUnspecified || address.isMulticast || address.isLoopback || address.isLinkLocal {
            value.fail("\(address) cannot be reached by other VTEPs")
            return nil
        }
        return address
    }
}
