// The configuration of a gobgpd: what evpnd's own speaker does of it becomes `bgp`, everything else is listed.

import BGP
import Documents
import NetTypes

/// One `gobgpd.toml` on its way to an `evpnd.yaml`.
struct GoBGPTakeover {
    let tree: Document

    init(_ file: Section) {
        let position = file.source.position
        let groups = (file["peer-groups"]?.list() ?? []).map { Section($0) }
        let named = Set(
            groups.filter { $0.has("afi-safis") }.compactMap { $0.section("config")["peer-group-name"]?.text() })
        if !file.has("global") { file.missing("global") }
        func list(_ key: String, _ elements: [Document]) -> Document? {
            elements.isEmpty ? nil : Document(.list(elements), at: file[key]?.position ?? position)
        }
        let bgp = Document.map(
            [
                ("global", GoBGPTakeover.global(file.section("global"))),
                ("peerGroups", list("peer-groups", groups.map { GoBGPTakeover.group($0) })),
                (
                    "neighbors",
                    list(
                        "neighbors",
                        (file["neighbors"]?.list() ?? []).map { GoBGPTakeover.neighbor(Section($0), named) })
                ),
                (
                    "dynamicNeighbors",
                    list(
                        "dynamic-neighbors", (file["dynamic-neighbors"]?.list() ?? []).map { GoBGPTakeover.dynamic($0) }
                    )
                ),
            ], at: position)
        file.listRest()
        tree = .map([("bgp", bgp)], at: position)
    }

    // MARK: Parts

    private static func global(_ global: Section) -> Document {
        let config = global.section("config")
        if !config.has("as") { config.missing("as") }
        if !config.has("router-id") { config.missing("router-id") }
        let selection = global.section("route-selection-options")
        let options = selection.section("config")
        let families = (global["afi-safis"]?.list() ?? []).compactMap { family(Section($0)) }
        let names = families.compactMap { $0["enabled"] == nil ? $0["family"] : nil }
        let result = Document.map(
            [
                ("asn", config["as"]?.document), ("routerID", config["router-id"]?.document),
                ("listenPort", config["port"]?.document), ("listenAddresses", config["local-address-list"]?.document),
                ("families", names.first.map { Document(.list(names), at: $0.position) }),
                ("routeSelectionOptions", some([("alwaysCompareMed", options["always-compare-med"]?.document)])),
                ("gracefulRestart", restart(global)),
            ], at: global.source.position)
        for section in [config, options, selection, global] { section.listRest() }
        return result
    }

    private static func group(_ group: Section) -> Document {
        var entries = shared(group, name: ("peerGroupName", "peer-group-name"))
        if !entries.contains(where: { $0.0 == "afiSafis" && $0.1 != nil }) {
            entries.append(("afiSafis", onlyFamily(.ipv4Unicast, at: group.source.position)))
        }
        return .map(entries, at: group.source.position)
    }

    /// `groups` are those that list families.
    private static func neighbor(_ neighbor: Section, _ groups: Set<String>) -> Document {
        let config = neighbor.section("config")
        let address = config["neighbor-address"]?.text().flatMap { IPAddress($0) }
        let isUnnumbered = config.has("neighbor-interface") && !config.has("neighbor-address")
        let group = config["peer-group"]?.text()
        var entries = shared(
            neighbor,
            name: isUnnumbered
                ? ("neighborInterface", "neighbor-interface") : ("neighborAddress", "neighbor-address"))
        // A gobgpd that is told no families takes the one of the neighbor's address.
        let isTold =
            entries.contains { $0.0 == "afiSafis" && $0.1 != nil } || group.map { groups.contains($0) } ?? false
        let isV6 = address?.isV6 ?? isUnnumbered
        if !isTold, isV6 || group == nil {
            let family = isV6 ? Family.ipv6Unicast : .ipv4Unicast
            entries.append(("afiSafis", onlyFamily(family, at: neighbor.source.position)))
        }
        return .map(entries, at: neighbor.source.position)
    }

    private static func dynamic(_ value: Value) -> Document {
        let section = Section(value)
        let config = section.section("config")
        let result = Document.map(
            [("prefix", config["prefix"]?.document), ("peerGroup", config["peer-group"]?.document)], at: value.position)
        config.listRest()
        section.listRest()
        return result
    }

    /// What neighbors and groups have in common.
    private static func shared(_ peer: Section, name: (ours: String, theirs: String)) -> [(String, Document?)] {
        let config = peer.section("config")
        let timers = peer.section("timers")
        let times = timers.section("config")
        let transport = sub(peer, "transport")
        let reflector = sub(peer, "route-reflector")
        let multihop = sub(peer, "ebgp-multihop")
        let addPaths = sub(peer, "add-paths")
        if !config.has(name.theirs) { config.missing(name.theirs) }
        let receives = addPaths["receive"]
        let families = (peer["afi-safis"]?.list() ?? []).compactMap { family(Section($0), receives: receives) }
        if families.isEmpty, let receives, !receives.document.isInert { noEquivalent(receives) }
        let hasMultihop = multihop["enabled"]?.bool() ?? false
        let entries: [(String, Document?)] = [
            (
                "config",
                some([
                    (name.ours, config[name.theirs]?.document), ("peerAsn", config["peer-as"]?.document),
                    ("localAsn", config["local-as"]?.document), ("description", config["description"]?.document),
                    ("peerGroup", config["peer-group"]?.document), ("adminDown", config["admin-down"]?.document),
                    ("authPassword", config["auth-password"]?.document),
                ])
            ),
            ("afiSafis", families.first.map { Document(.list(families), at: $0.position) }),
            (
                "timers",
                some([
                    (
                        "config",
                        some([
                            ("connectRetry", times["connect-retry"]?.document),
                            ("holdTime", times["hold-time"]?.document),
                            ("keepaliveInterval", times["keepalive-interval"]?.document),
                        ])
                    )
                ])
            ),
            (
                "transport",
                some([
                    ("localAddress", transport["local-address"]?.document),
                    ("passiveMode", transport["passive-mode"]?.document),
                    ("bindInterface", transport["bind-interface"]?.document),
                    ("remotePort", inertAsNil(transport["remote-port"])),
                ])
            ),
            ("gracefulRestart", restart(peer)),
            (
                "routeReflector",
                some([
                    ("routeReflectorClient", reflector["route-reflector-client"]?.document),
                    ("routeReflectorClusterId", reflector["route-reflector-cluster-id"]?.document),
                ])
            ),
            (
                "ebgpMultihop",
                !hasMultihop
                    ? nil
                    : some([
                        ("enabled", multihop["enabled"]?.document), ("multihopTtl", multihop["multihop-ttl"]?.document),
                    ])
            ),
            ("ttlSecurity", security(peer)),
        ]
        _ = multihop["multihop-ttl"]
        for section in [config, times, timers, transport, reflector, multihop, addPaths, peer] { section.listRest() }
        return entries
    }

    // MARK: Pieces

    /// `afi-safis[]`; nil for a family that evpnd does not speak. `receives`: the neighbor's own word on add-path.
    private static func family(_ section: Section, receives: Value? = nil) -> Document? {
        let config = section.section("config")
        let limits = sub(section, "prefix-limit")
        let addPaths = sub(section, "add-paths")
        // Part of graceful restart, which evpnd does for all families.
        for key in ["mp-graceful-restart", "state"] { _ = section[key] }
        if !config.has("afi-safi-name") { config.missing("afi-safi-name") }
        guard let name = config["afi-safi-name"], let text = name.text() else { return nil }
        guard Family(configurationName: text) != nil else {
            noEquivalent(name)
            return nil
        }
        let isOff = config["enabled"]?.bool() == false
        let result = Document.map(
            [
                ("family", name.document), ("enabled", isOff ? config["enabled"]?.document : nil),
                (
                    "prefixLimit",
                    some([
                        ("maxPrefixes", limits["max-prefixes"]?.document),
                        ("shutdownThresholdPct", limits["shutdown-threshold-pct"]?.document),
                        ("restartInterval", limits["restart-timer"]?.document),
                    ])
                ),
                ("addPaths", some([("receive", (addPaths["receive"] ?? receives)?.document)])),
            ], at: section.source.position)
        for section in [config, limits, addPaths, section] { section.listRest() }
        return result
    }
    private static func onlyFamily(_ family: Family, at position: SourcePosition) -> Document {
        Document(.list([.map([("family", .plain(family.description, at: position))], at: position)]), at: position)
    }

    private static func restart(_ parent: Section) -> Document? {
        let config = sub(parent, "graceful-restart")
        // What it means by them is what evpnd does anyway.
        for key in ["notification-enabled", "deferral-time", "stale-routes-time"] { _ = config[key] }
        let result = some([
            ("enabled", config["enabled"]?.document), ("restartTime", config["restart-time"]?.document),
            ("helperOnly", config["helper-only"]?.document),
        ])
        config.listRest()
        return result
    }

    /// `ttl-min` is the least TTL that is accepted; a neighbor `hops` away arrives with 256 − `hops`.
    private static func security(_ parent: Section) -> Document? {
        let config = sub(parent, "ttl-security")
        let enabled = config["enabled"]
        let least = config["ttl-min"].flatMap { value in value.integer(0...255).map { (value, $0) } }
        config.listRest()
        guard let enabled, enabled.bool() == true else { return nil }
        let hops = least.flatMap { value, ttl -> Document? in
            guard ttl != 0 else { return nil }
            if ttl < 2 { value.warn("no equivalent: at most 254 hops") }
            return .plain(String(min(254, 256 - ttl)), at: value.position)
        }
        return some([("enabled", enabled.document), ("hops", hops)])
    }

    /// `[name.config]`, and whatever else stands under the name is listed.
    private static func sub(_ parent: Section, _ name: String) -> Section {
        let outer = parent.section(name)
        let config = outer.section("config")
        outer.listRest()
        return config
    }
    private static func inertAsNil(_ value: Value?) -> Document? {
        value.flatMap { $0.document.isInert ? nil : $0.document }
    }
    /// A map at the place of its first value; nil without any.
    private static func some(_ entries: [(String, Document?)]) -> Document? {
        guard let first = entries.lazy.compactMap({ $0.1 }).first else { return nil }
        return .map(entries, at: first.position)
    }
    fileprivate static func noEquivalent(_ value: Value) {
        value.warn("no equivalent" + (value.document.isScalar ? " of \(value.kind)" : ""))
    }
}

extension Section {
    /// Lists every key that nobody asked for and that asks for something. What a gobgpd reports about itself is no wish.
    fileprivate func listRest() {
        _ = self["state"]
        for value in unread where !value.document.isInert { GoBGPTakeover.noEquivalent(value) }
    }
}

extension Document {
    fileprivate var isScalar: Bool { if case .scalar = content { true } else { false } }
}
