// `netlinkImport` and `netlinkExport`, of `bgp:` and of its `vrfs`: unicast routes between BGP and the kernel.

import BGP
import BGPEngine
import Documents
import EVPN
import NetTypes
import UnicastRoutes

/// `bgp.netlinkImport` as written.
struct NetlinkImportIntent {
    /// Nil: the host's own networks, as plain unicast routes.
    var vrf: Located<String>?
    var interfaces: [String]

    /// What is announced as plain unicast routes; networks for a VRF are added to those that it announces.
    func resolved(into vrfs: inout [IPVRF]) -> NetlinkImport? {
        guard let vrf, vrf.value != VRFDecoder.underlay else { return NetlinkImport(interfaces: interfaces) }
        guard let index = vrfs.firstIndex(where: { $0.name == vrf.value }) else {
            vrf.source.fail("no VRF is named \(vrf.source.kind)", hint: "make an entry of vrfs")
            return nil
        }
        if vrfs[index].domain == nil {
            vrf.source.fail("VRF \(vrf.value) announces nothing without an L3 VNI", hint: "set its vni")
        }
        vrfs[index].announced.connected = Set(vrfs[index].announced.connected + interfaces).sorted()
        return nil
    }
}

/// `vrfs[].netlinkExport` as written.
struct VRFExportIntent {
    var rule: NetlinkExport.Rule
    /// Into the VRF's own table, where evpnd puts every route with the next hops of an EVPN route.
    var isOwn: Bool
    /// The VRF that it leads into, as far as it is named.
    var vrf: Located<String>?
    /// The table as far as it is given by its number.
    var number: Located<UInt32>?
    var source: Value
}

/// The keys that both places of each share, and what is wrong with them.
enum NetlinkDecoder {
    /// Protocol numbers that mean something else (`rt_protos`): redirect, kernel, boot, static.
    private static let reservedProtocols = 1...4
    /// Of evpnd's own routes in VRFs.
    private static let ownProtocol = 211

    // MARK: Import

    /// `bgp.netlinkImport`; nil when it is not there or not enabled.
    static func importing(_ parent: Section) -> NetlinkImportIntent? {
        let section = parent.section("netlinkImport")
        let isEnabled = section["enabled"]?.bool() ?? false
        let vrf = section["vrf"].flatMap { $0.document.isInert ? nil : $0.located($0.deviceName()) }
        let interfaces = interfaceList(section, isEnabled: isEnabled)
        section.finish()
        return isEnabled ? NetlinkImportIntent(vrf: vrf, interfaces: interfaces) : nil
    }
    /// `vrfs[].netlinkImport`: globs of interfaces whose networks are announced from the VRF; empty when it is not enabled.
    static func importingVRF(_ parent: Section) -> [String] {
        let section = parent.section("netlinkImport")
        let isEnabled = section["enabled"]?.bool() ?? false
        let interfaces = interfaceList(section, isEnabled: isEnabled)
        section.finish()
        return isEnabled ? interfaces : []
    }
    private static func interfaceList(_ section: Section, isEnabled: Bool) -> [String] {
        var result: [String] = []
        var lines: [String: Int] = [:]
        for value in section["interfaceList"]?.list() ?? [] {
            guard let name = value.deviceName() else { continue }
            if let line = lines.updateValue(value.position.line, forKey: name) {
                value.fail("\(name) is already listed at line \(line)")
            } else {
                result.append(name)
            }
        }
        if isEnabled, result.isEmpty {
            section.source.warn("no interface is listed: nothing is imported", hint: "interfaceList: [kube-lb0]")
        }
        return result
    }

    // MARK: Export

    /// `bgp.netlinkExport`. Protocol and dampening are also those of VRFs.
    static func exporting(_ parent: Section) -> (settings: NetlinkExport, isEnabled: Bool) {
        let section = parent.section("netlinkExport")
        let isEnabled = section["enabled"]?.bool() ?? false
        var export = NetlinkExport()
        if let value = section["dampeningInterval"], let milliseconds = value.integer(0...4_294_967_295) {
            if milliseconds > NetlinkExport.maximumDampening {
                value.warn("is more than \(NetlinkExport.maximumDampening) ms, which are used instead")
            }
            if milliseconds > 0 { export.dampeningMilliseconds = min(milliseconds, NetlinkExport.maximumDampening) }
        }
        if let value = section["routeProtocol"], let number = value.integer(0...255), number > 0 {
            if reservedProtocols.contains(number) {
                value.fail("protocol \(number) marks routes of the kernel and of administrators", hint: "5 to 255")
            } else if number == ownProtocol {
                value.fail("protocol \(number) marks evpnd's routes in VRFs", hint: "bgp is 186")
            } else {
                export.routeProtocol = UInt8(clamping: number)
            }
        }
        var lines: [String: Int] = [:]
        for value in section["rules"]?.list() ?? [] {
            guard let rule = rule(Section(value)) else { continue }
            if let line = lines.updateValue(rule.line, forKey: rule.value.name) {
                rule.source.fail("rule \(rule.value.name) is already defined at line \(line)")
            } else {
                export.rules.append(rule.value)
            }
        }
        if isEnabled, export.rules.isEmpty {
            section.source.warn(
                "there are no rules: nothing is exported",
                hint: "rules: [{name: all}] puts every route into the main table")
        }
        section.finish()
        if !isEnabled { export.rules = [] }
        return (export, isEnabled)
    }
    private static func rule(_ section: Section) -> Located<NetlinkExport.Rule>? {
        let name = section["name"].flatMap { value in value.located(value.nonEmptyText()) }
        var rule = NetlinkExport.Rule(name: name?.value ?? "")
        communities(section, into: &rule)
        rule.vrf = section["vrf"].flatMap { $0.document.isInert ? nil : $0.deviceName() }
        rule.table = table(section["tableId"])
        rule.metric = metric(section["metric"])
        rule.validatesNexthop = section["validateNexthop"]?.bool() ?? true
        section.finish()
        guard let name else {
            section.missing("name")
            return nil
        }
        return Located(rule, name.source)
    }

    /// `vrfs[].netlinkExport` of the VRF `name`; nil when it is not there or not enabled. `table`: its own, as
    /// far as the file says it; a device that has another one is not used.
    static func exportingVRF(_ parent: Section, name: String, table own: UInt32?) -> VRFExportIntent? {
        let section = parent.section("netlinkExport")
        let isEnabled = section["enabled"]?.bool() ?? false
        var rule = NetlinkExport.Rule(name: "vrf \(name)", source: name)
        communities(section, into: &rule)
        let vrf = section["linuxVrf"].flatMap { $0.document.isInert ? nil : $0.located($0.deviceName()) }
        let number = section["linuxTableId"].located { table($0) }
        rule.validatesNexthop = section["validateNexthop"]?.bool() ?? true
        rule.metric = Self.metric(section["metric"])
        rule.table = number?.value
        rule.vrf = number == nil ? vrf?.value ?? name : nil
        section.finish()
        guard isEnabled else { return nil }
        let isOwn = rule.vrf == name || rule.table != nil && rule.table == own
        return VRFExportIntent(rule: rule, isOwn: isOwn, vrf: vrf, number: number, source: section.source)
    }

    /// Puts what is asked of each VRF into force: what comes into its own table, and the rules for other tables.
    static func join(
        _ export: (settings: NetlinkExport, isEnabled: Bool), _ intents: [VRFExportIntent], into vrfs: inout [IPVRF]
    ) -> NetlinkExport? {
        var settings = export.settings
        for intent in intents {
            guard let index = vrfs.firstIndex(where: { $0.name == intent.rule.source }) else { continue }
            if intent.isOwn {
                let selection = CommunitySelection(intent.rule.communities, intent.rule.largeCommunities)
                vrfs[index].selection = selection.isEmpty ? nil : selection
                if intent.rule.metric != NetlinkExport.defaultMetric { vrfs[index].metric = intent.rule.metric }
                continue
            }
            let target = vrfs.first { $0.name == intent.vrf?.value }
            guard vrfs[index].namespace == nil, target?.namespace == nil else {
                (intent.vrf?.source ?? intent.source).fail(
                    "packets cannot be routed from one network namespace to another",
                    hint: "use VRF devices, or connect the namespaces yourself")
                continue
            }
            if let number = intent.number,
                let other = vrfs.first(where: { $0.isManaged && $0.place == .device(table: number.value) })
            {
                number.source.fail(
                    "VRF \(vrfs[index].name) cannot be exported into table \(number.value) by its number: it is that of VRF \(other.name)",
                    hint: "linuxVrf: \(other.name)")
                continue
            }
            let selection = CommunitySelection(intent.rule.communities, intent.rule.largeCommunities)
            vrfs[index].export = IPVRF.Export(
                proto: settings.routeProtocol, reachesHost: intent.rule.table == NetlinkExport.mainTable,
                filteredTable: selection.isEmpty ? nil : intent.rule.table)
            settings.rules.append(intent.rule)
        }
        let reserved = Set(settings.rules.compactMap(\.table))
        for index in vrfs.indices where vrfs[index].isManaged && vrfs[index].place == .device(table: nil) {
            vrfs[index].reservedTables = reserved
        }
        return export.isEnabled || !settings.rules.isEmpty ? settings : nil
    }

    // MARK: Values

    private static func communities(_ section: Section, into rule: inout NetlinkExport.Rule) {
        for value in section["communityList"]?.list() ?? [] {
            guard let numbers = numbers(value, 2, 65535, "65000:100, two numbers up to 65535") else { continue }
            rule.communities.append(numbers[0] << 16 | numbers[1])
        }
        for value in section["largeCommunityList"]?.list() ?? [] {
            guard let numbers = numbers(value, 3, 4_294_967_295, "65000:1:100, three numbers up to 4294967295") else {
                continue
            }
            rule.largeCommunities.append(LargeCommunity(numbers[0], numbers[1], numbers[2]))
        }
    }
    private static func numbers(_ value: Value, _ count: Int, _ maximum: UInt32, _ form: String) -> [UInt32]? {
        guard let text = value.text() else { return nil }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map { part -> UInt32? in
            guard !part.isEmpty, part.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
            return UInt32(part).flatMap { $0 <= maximum ? $0 : nil }
        }
        let numbers = parts.compactMap { $0 }
        guard parts.count == count, numbers.count == count else {
            value.fail("expected a community such as \(form), found \(value.kind)")
            return nil
        }
        return numbers
    }
    /// 0: as if absent.
    private static func table(_ value: Value?) -> UInt32? {
        guard let value, let number = value.integer(0...4_294_967_295), number > 0 else { return nil }
        guard number != 255 else {
            value.fail("table 255 holds this host's own addresses and belongs to the kernel")
            return nil
        }
        return UInt32(clamping: number)
    }
    /// 0: as if absent.
    private static func metric(_ value: Value?) -> UInt32 {
        guard let number = value?.integer(0...4_294_967_295), number > 0 else { return NetlinkExport.defaultMetric }
        return UInt32(clamping: number)
    }

    /// What these settings need from the rest of `bgp:`.
    static func check(_ section: Section, _ configuration: BGPConfiguration, importing: Bool, exporting: Bool) {
        guard importing || exporting else { return }
        let sessions = configuration.neighbors.map(\.families) + configuration.dynamicNeighbors.map(\.template.families)
        guard !sessions.isEmpty, !sessions.joined().contains(where: { $0.family != .l2vpnEVPN }) else { return }
        section[importing ? "netlinkImport" : "netlinkExport"]?.warn(
            "no neighbor has a unicast family: no unicast route is exchanged",
            hint: "add ipv4-unicast (or ipv6-unicast) to global.families or afiSafis")
    }
}
