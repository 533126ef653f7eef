// `vrfs:`: decode every entry, then look at what they say of each other.

import BGP
import Documents
import EVPN
import NetTypes

/// Decodes the list of IP-VRFs of one file.
final class VRFDecoder {
    /// The name of the host's own table, the underlay.
    static let underlay = "default"

    /// One entry as written, before automatic values are resolved.
    struct Entry {
        var name: Located<String>
        var isManaged = false
        var place = IPVRF.Place.device(table: nil)
        var table: Located<UInt32>?
        var namespace: Located<String>?
        var vni: Located<VNI>?
        var domain: BroadcastDomain?
        var targets = RouteTargetLists()
        var announced = AnnouncedPrefixes()
        var leaks: [Located<RouteLeak>] = []
        var export: VRFExportIntent?
        var maximumPaths = 64
        var claim: Claim
    }

    let problems: ProblemList
    let hasNodeAddress: Bool
    let sharedBridge: SharedBridge
    let isSwitched: Bool
    /// Sorted by name, each name once.
    private(set) var entries: [Entry] = []

    init(problems: ProblemList, hasNodeAddress: Bool, sharedBridge: SharedBridge, isSwitched: Bool) {
        self.isSwitched = isSwitched
        self.problems = problems
        self.hasNodeAddress = hasNodeAddress
        self.sharedBridge = sharedBridge
    }

    func decode(_ value: Value?) {
        var names: [String: Int] = [:]
        for entry in (value?.list() ?? []).compactMap({ entry($0) }) {
            if let line = names[entry.name.value] {
                entry.name.source.fail("VRF \(entry.name.value) is already configured at line \(line)")
            } else {
                names[entry.name.value] = entry.name.line
                entries.append(entry)
            }
        }
        checkTables()
        checkLeaks()
        entries.sort { $0.name.value < $1.name.value }
    }

    private static let noVLANs = "the shared bridge is not in a network namespace of a VRF"

    /// The VRF that a VNI names. `vlan`: the VNI lives in the shared bridge.
    func check(_ vrf: Located<String>?, vlan: Value?) {
        if let vlan, entries.contains(where: { $0.name.value == vrf?.value && $0.namespace != nil }) {
            vlan.fail(VRFDecoder.noVLANs, hint: "leave vlan out: the VNI gets devices of its own there")
        }
        guard let vrf, !entries.contains(where: { $0.name.value == vrf.value }) || vrf.value == VRFDecoder.underlay
        else { return }
        if vrf.value == VRFDecoder.underlay {
            vrf.source.fail("\(vrf.value) is the host's own table", hint: "leave vrf out")
        } else {
            vrf.source.fail("no VRF is named \(vrf.source.kind)", hint: hint)
        }
    }
    private var hint: String { knownNames.isEmpty ? "make an entry of vrfs" : "known: " + knownNames }
    private var knownNames: String {
        entries.map(\.name.value).filter { $0 != VRFDecoder.underlay }.sorted().joined(separator: ", ")
    }

    /// The VRFs, once each claim of `entries` has its distinguisher.
    func resolved(_ distinguishers: [RouteDistinguisher?], asn: UInt32) -> [IPVRF] {
        zip(entries, distinguishers).compactMap { entry, rd in
            guard let rd else { return nil }
            let vni = entry.vni?.value
            return IPVRF(
                name: entry.name.value, isManaged: entry.isManaged, place: entry.place, domain: entry.domain, rd: rd,
                importTargets: entry.targets.imports.map { .explicit($0) }
                    ?? vni.map { .automatic($0) } ?? .explicit([]),
                exportTargets: (entry.targets.exports ?? vni.map { [.automatic(asn: asn, vni: $0)] } ?? []).sorted(),
                announced: entry.announced, leaks: entry.leaks.map(\.value), maximumPaths: entry.maximumPaths)
        }
    }

    // MARK: One entry

    private func entry(_ source: Value) -> Entry? {
        let section = Section(source)
        if !section.has("name") { section.missing("name") }
        let name = section["name"].located { $0.vrfName() }
        let isUnderlay = name?.value == VRFDecoder.underlay
        var entry = Entry(
            name: name ?? Located("", source), claim: Claim("VRF \(name?.value ?? "")", name?.source ?? source))
        if isSwitched { refuseKernel(section) }
        entry.isManaged = isSwitched ? false : section["managed"]?.bool() ?? false
        entry.table = section["table"].flatMap { value in value.unlessAuto { $0.located($0.tableNumber()) } }
        entry.namespace = section["namespace"].located { $0.namespaceName() }
        entry.vni = section["vni"].located { $0.vni() }
        entry.claim.rd = section["rd"].flatMap { value in value.unlessAuto { $0.located($0.distinguisher()) } }
        entry.targets = section["routeTargets"]?.routeTargets() ?? RouteTargetLists()
        entry.maximumPaths = section["maximumPaths"]?.integer(1...256) ?? 64
        entry.leaks = leaks(section["leak"])
        entry.announced = announced(section)
        entry.announced.connected = Set(entry.announced.connected + NetlinkDecoder.importingVRF(section)).sorted()
        entry.export = NetlinkDecoder.exportingVRF(
            section, name: entry.name.value, table: entry.table?.value)
        if isUnderlay {
            for key in ["vni", "managed", "namespace", "table", "announce", "netlinkImport", "netlinkExport"]
                + VRFDecoder.deviceKeys
            {
                section.unsupported(key, "default is the host's own table, which has no L3 VNI and no devices to make")
            }
            (entry.vni, entry.export) = (nil, nil)
            entry.place = .underlay
        } else {
            decodePlace(section, &entry)
            decodeDomain(section, &entry)
        }
        section.finish()
        return name == nil ? nil : entry
    }

    /// What needs a table of the kernel.
    private func refuseKernel(_ section: Section) {
        section.refuseDevices(beside: ["table", "namespace", "netlinkImport", "netlinkExport"])
        guard section.has("announce") else { return }
        let announce = Section(section.section("announce").source)
        for key in ["static", "protocols", "gatewayIP"] {
            announce.unsupported(
                key, "Open vSwitch forwards, and the VRF has no table of the kernel",
                hint: "write prefixes here, or routes of clients")
        }
    }

    private func decodePlace(_ section: Section, _ entry: inout Entry) {
        if let namespace = entry.namespace {
            entry.table?.source.fail("the table of a VRF that is a namespace is that namespace's main table")
            entry.place = .namespace(namespace.value)
            return
        }
        if let table = entry.table, !entry.isManaged {
            table.source.fail("is only for VRFs with managed: true; an adopted VRF device has its table")
        }
        entry.place = .device(table: entry.table?.value)
        entry.claim.names.append(ClaimedName(name: entry.name))
    }

    private static let deviceKeys = ["routerMAC", "device", "vxlan", "bridge", "vlan", "mtu", "port", "vtep"]

    private func decodeDomain(_ section: Section, _ entry: inout Entry) {
        guard let vni = entry.vni else {
            if section.has("vni") { return VRFDecoder.deviceKeys.forEach { _ = section[$0] } }
            for key in VRFDecoder.deviceKeys + ["announce", "netlinkImport"] {
                section.unsupported(key, "needs an L3 VNI", hint: "set vni")
            }
            return
        }
        let settings =
            isSwitched
            ? DeviceSettings()
            : DeviceSettings(section, vni.value, isManaged: entry.isManaged, sharedBridge: sharedBridge)
        if entry.namespace != nil {
            section["vlan"]?.fail(VRFDecoder.noVLANs, hint: "leave vlan out: the VNI gets devices of its own there")
        }
        var domain = BroadcastDomain(vni: vni.value, device: settings.device)
        if !isSwitched { domain.vtep = settings.vtep(section, isNodeAddressKnown: hasNodeAddress) }
        domain.isTransit = true
        let mac = section["routerMAC"].flatMap { value in value.unlessAuto { $0.located($0.mac()) } }
        if let mac, !entry.isManaged, !isSwitched {
            mac.source.fail(
                "is only for VRFs with managed: true; the bridge of an adopted device is left as the operator made it",
                hint: "the router MAC is that of the bridge or VLAN device of the L3 VNI")
        }
        domain.routed = RoutedInterface(vrf: entry.name.value, mac: mac?.value, announcement: .none)
        entry.domain = domain
        entry.claim.names += settings.names
        entry.claim.vlan = settings.vlan
        entry.claim.bridge = settings.bridge
        entry.claim.port = settings.port
        entry.claim.number = vni.value.rawValue
    }

    private func announced(_ section: Section) -> AnnouncedPrefixes {
        guard section.has("announce") else {
            _ = section["announce"]
            return AnnouncedPrefixes()
        }
        let section = section.section("announce")
        var result = AnnouncedPrefixes()
        if let value = section["connected"] {
            if case .scalar(let text, _) = value.document.content,
                (Value.trueWords + Value.falseWords).contains(text)
            {
                result.connected = value.bool() == true ? ["*"] : []
            } else {
                result.connected = Set(value.listOrOne().compactMap { $0.nonEmptyText() }).sorted()
            }
        }
        // RTPROT_STATIC, and RTPROT_BOOT: `ip route add` without a protocol.
        if section["static"]?.bool() == true { result.protocols = [3, 4] }
        for value in section["protocols"]?.listOrOne() ?? [] {
            if let number = value.routeProtocol() { result.protocols.insert(number) }
        }
        result.prefixes = Set((section["prefixes"]?.listOrOne() ?? []).compactMap { $0.routablePrefix() }).sorted()
        result.usesGateway = section["gatewayIP"]?.bool() ?? false
        section.finish()
        return result
    }

    // MARK: Leaks

    private func leaks(_ value: Value?) -> [Located<RouteLeak>] {
        var result: [Located<RouteLeak>] = []
        for element in value?.listOrOne() ?? [] {
            var source: Located<String>?
            var prefixes: [RouteLeak.Range] = []
            if case .scalar = element.document.content {
                source = element.located(element.nonEmptyText())
            } else {
                let section = Section(element)
                if !section.has("from") { section.missing("from") }
                source = section["from"].located { $0.nonEmptyText() }
                prefixes = (section["prefixes"]?.listOrOne() ?? []).compactMap { $0.prefixRange() }
                section.finish()
            }
            guard let source else { continue }
            if let other = result.first(where: { $0.value.source == source.value }) {
                source.source.fail("routes of \(source.value) are already taken at line \(other.line)")
            } else {
                result.append(Located(RouteLeak(source: source.value, prefixes: prefixes), source.source))
            }
        }
        return result
    }

    private func checkLeaks() {
        for entry in entries {
            for leak in entry.leaks {
                let source = leak.value.source
                if entry.name.value == VRFDecoder.underlay, leak.value.prefixes.isEmpty {
                    leak.source.fail(
                        "routes of a tenant come into the host's own table only as far as prefixes says",
                        hint: "{from: \(source), prefixes: [10.20.1.0/24]}")
                    continue
                }
                if isSwitched, [source, entry.name.value].contains(VRFDecoder.underlay) {
                    leak.source.fail("Open vSwitch has no way from a VRF to the host's own table")
                    continue
                }
                if source == entry.name.value {
                    leak.source.fail("a VRF has its own routes already")
                    continue
                }
                if source == VRFDecoder.underlay, !entries.contains(where: { $0.name.value == source }) {
                    // Nothing has to be said about the host's own table for routes to be taken from it.
                    var underlay = Entry(name: Located(source, leak.source), claim: Claim("VRF \(source)", leak.source))
                    underlay.place = .underlay
                    entries.append(underlay)
                }
                guard let other = entries.first(where: { $0.name.value == source }) else {
                    leak.source.fail(
                        "no VRF is named \(leak.source.kind)", hint: hint + ", default: the host's own table")
                    continue
                }
                if other.namespace?.value != entry.namespace?.value {
                    leak.source.fail(
                        "packets cannot be routed from one network namespace to another",
                        hint: "use VRF devices, or connect the namespaces yourself")
                }
            }
        }
    }

    /// A table and a namespace each belong to one VRF.
    private func checkTables() {
        var tables: [UInt32: Entry] = [:]
        var namespaces: [String: Entry] = [:]
        for entry in entries {
            if let table = entry.table {
                if let other = tables[table.value] {
                    table.source.fail(
                        "table \(table.value) of \(entry.claim.owner) is already used by \(other.claim.place)")
                } else {
                    tables[table.value] = entry
                }
            }
            if let namespace = entry.namespace {
                if let other = namespaces[namespace.value] {
                    namespace.source.fail(
                        "namespace \(namespace.value) of \(entry.claim.owner) is already used by \(other.claim.place)")
                } else {
                    namespaces[namespace.value] = entry
                }
            }
        }
    }
}

extension Value {
    /// Not the kernel's own tables, unspecified, default, main and local.
    fileprivate func tableNumber() -> UInt32? {
        guard let number = integer(1...4_294_967_295) else { return nil }
        guard !(253...255).contains(number) else {
            fail("table \(number) is the kernel's own")
            return nil
        }
        return UInt32(clamping: number)
    }
    /// That of a device, or `default`. Not one of the kernel's tables, which are no VRFs.
    fileprivate func vrfName() -> String? {
        guard let text = text() else { return nil }
        switch text {
        case VRFDecoder.underlay: return text
        case "main", "local", "unspec":
            fail("\(text) is the name of a table of the kernel", hint: "\(VRFDecoder.underlay): the host's own table")
            return nil
        case "lo":
            fail("lo is the loopback interface, in the VRF of the host's own table")
            return nil
        case "all":
            fail("all stands for every interface and every VRF (net.ipv4.conf.all, and in other programs)")
            return nil
        default: return deviceName()
        }
    }
    /// A name under `/run/netns`.
    fileprivate func namespaceName() -> String? {
        guard let text = text() else { return nil }
        let isValid =
            (1...255).contains(text.utf8.count) && text != "." && text != ".."
            && text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7f && $0 != 0x2f }
        guard isValid else {
            fail("expected the name of a network namespace (ip netns), found \(kind)")
            return nil
        }
        return text
    }
    fileprivate func routablePrefix() -> IPPrefix? {
        guard let prefix = prefix() else { return nil }
        if !prefix.isRoutable { failAsNeverRouted(prefix) }
        return prefix.isRoutable ? prefix : nil
    }
    /// A name or number of rt_protos.
    fileprivate func routeProtocol() -> UInt8? {
        guard let text = text() else { return nil }
        if let number = RouteProtocol.number(text) { return number }
        guard let number = UInt8(text), number > 0, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            let names = RouteProtocol.known.map(\.name).joined(separator: ", ")
            fail("expected a number from 1 to 255 or a protocol's name, found \(kind)", hint: "names: \(names)")
            return nil
        }
        guard number != RouteProtocol.evpnd else {
            fail("\(number) is the number of routes that evpnd makes itself")
            return nil
        }
        return number
    }
    /// `10.0.0.0/8`, `10.0.0.0/8 ge 16 le 24` as in a prefix list: without a bound only the prefix itself; only `ge`: up to the
    /// longest.
    fileprivate func prefixRange() -> RouteLeak.Range? {
        guard let text = text() else { return nil }
        let words = text.split(separator: " ")
        guard let first = words.first, let prefix = prefix(of: first) else { return nil }
        var bounds: [Substring: Int] = [:]
        var rest = words.dropFirst()
        while let word = rest.popFirst() {
            guard word == "ge" || word == "le", bounds[word] == nil, let number = rest.popFirst(),
                number.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let length = Int(number)
            else {
                fail("expected a prefix with ge and le such as 10.0.0.0/8 le 24, found \(kind)")
                return nil
            }
            bounds[word] = length
        }
        let longest = prefix.address.bitWidth
        let least = bounds["ge"] ?? prefix.length
        let most = bounds["le"] ?? (bounds["ge"] == nil ? prefix.length : longest)
        guard prefix.length <= least, least <= most, most <= longest else {
            fail("lengths must satisfy \(prefix.length) <= ge <= le <= \(longest)")
            return nil
        }
        return RouteLeak.Range(prefix: prefix, minimumLength: least, maximumLength: most)
    }
}
