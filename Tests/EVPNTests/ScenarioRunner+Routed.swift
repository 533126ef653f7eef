// Scenario commands of layer 3.

import BGP
import EVPN
import NetTypes

/// A route of this host's: `VRF PREFIX connected INTERFACE` or `VRF PREFIX proto N dev INTERFACE [via GATEWAY] [rt LIST]`, or `dev drop`.
func parseLocalPrefix(_ words: inout Words, isRemoval: Bool) throws -> LocalChange {
    let vrf = try words.next()
    let key = PrefixKey(vrf: vrf, prefix: try words.value())
    guard !isRemoval else { return .prefix(key, nil) }
    let gateway = words.option("via").flatMap { IPAddress($0) }
    let exports = words.targets("rt")
    let local: LocalPrefix
    if let interface = words.option("connected") {
        local = LocalPrefix(proto: 2, isConnected: true, interface: interface)
    } else {
        local = LocalPrefix(
            proto: words.option("proto").flatMap { UInt8($0) } ?? 4, isConnected: false,
            interface: words.option("dev").map { $0 == "drop" ? "" : $0 } ?? "eth0", gateway: gateway, exports: exports)
    }
    try words.end()
    return .prefix(key, local)
}

extension ScenarioRunner {
    /// `vrf NAME [vni N] [rd RD] [import LIST|auto] [export LIST] [connected GLOBS] [protocols LIST] [announce PREFIXES]
    /// [gateway] [paths N] [underlay] [into none|tables|host] [takes COMMUNITIES] [leak SOURCE[,PREFIX:MIN:MAX…]]…`; what is not named stays.
    mutating func vrf(_ words: inout Words, isRemoval: Bool) throws {
        let name = try words.next()
        let old = overlay.vrfs.first { $0.name == name }
        overlay.vrfs.removeAll { $0.name == name }
        guard !isRemoval else { return }
        let vni = words.option("vni").flatMap { UInt32($0) }.flatMap { VNI($0) } ?? old?.vni
        let targets = vni.map { [RouteTarget.automatic(asn: overlay.asn, vni: $0)] } ?? []
        var vrf =
            old
            ?? IPVRF(
                name: name, rd: RouteDistinguisher(overlay.routerID, UInt16(truncatingIfNeeded: vni?.rawValue ?? 1)),
                importTargets: vni.map { .automatic($0) } ?? .explicit([]), exportTargets: targets)
        vrf.domain = vni.map { BroadcastDomain(vni: $0, device: .adopted(name: nil)) }
        vrf.domain?.isTransit = true
        if let rd = words.option("rd").flatMap({ RouteDistinguisher($0) }) { vrf.rd = rd }
        if let list = words.targets("import") {
            vrf.importTargets = list.isEmpty ? vni.map { .automatic($0) } ?? .explicit([]) : .explicit(list)
        }
        if let list = words.targets("export") { vrf.exportTargets = list }
        func list(_ name: String) -> [String]? {
            words.option(name).map { $0 == "none" ? [] : $0.split(separator: ",").map(String.init) }
        }
        if let globs = list("connected") { vrf.announced.connected = globs }
        if let numbers = list("protocols") { vrf.announced.protocols = Set(numbers.compactMap { UInt8($0) }) }
        if let prefixes = list("announce") { vrf.announced.prefixes = prefixes.compactMap { IPPrefix($0) } }
        vrf.announced.usesGateway = words.flag("gateway") || (vrf.announced.usesGateway && !words.flag("nogateway"))
        if let paths = words.option("paths").flatMap({ Int($0) }) { vrf.maximumPaths = paths }
        if words.flag("underlay") { vrf.place = .underlay }
        if let word = words.option("into") {
            vrf.export = word == "none" ? nil : IPVRF.Export(proto: 186, reachesHost: word == "host")
        }
        if let marks = list("takes") {
            vrf.selection = marks.isEmpty ? nil : CommunitySelection(marks.compactMap { UInt32($0) })
        }
        if words.rest.contains("leak") { vrf.leaks = [] }
        while let text = words.option("leak") {
            guard text != "none" else { continue }
            let parts = text.split(separator: ",").map(String.init)
            var leak = RouteLeak(source: parts[0])
            for part in parts.dropFirst() {
                let fields = part.split(separator: "<").map(String.init)
                guard fields.count == 2, let prefix = IPPrefix(fields[0]), let length = Int(fields[1]) else {
                    throw ScenarioFault(description: text)
                }
                leak.prefixes.append(.init(prefix: prefix, minimumLength: prefix.length, maximumLength: length))
            }
            vrf.leaks.append(leak)
        }
        try words.end()
        overlay.vrfs.append(vrf)
        overlay.vrfs.sort { $0.name < $1.name }
    }

    /// Of an EVI: `[vrf NAME] [address A/L,…] [gwmac MAC] [tell none|gateway|host]`.
    func routedInterface(_ words: inout Words, _ domain: inout BroadcastDomain) throws {
        var routed = domain.routed ?? RoutedInterface()
        var isGiven = domain.routed != nil
        if let name = words.option("vrf") {
            routed.vrf = name == "none" ? nil : name
            isGiven = true
        }
        if let text = words.option("address") {
            routed.addresses = text.split(separator: ",").compactMap { word in
                let parts = word.split(separator: "/")
                guard parts.count == 2, let ip = IPAddress(String(parts[0])), let length = Int(parts[1]) else {
                    return nil
                }
                return SubnetAddress(ip, length: length)
            }
            isGiven = true
        }
        // `gwmac device`: the interface's own.
        if let mac = words.option("gwmac") {
            routed.mac = MACAddress(mac)
            isGiven = true
        }
        if let word = words.option("tell").flatMap({ RoutedInterface.Announcement(rawValue: $0) }) {
            routed.announcement = word
            isGiven = true
        }
        if isGiven { domain.routed = routed }
    }
}

extension ExportChange {
    var text: String {
        guard let prefix else { return "export \(key) gone" }
        let marks = prefix.communities.map { " \($0)" } + prefix.largeCommunities.map { " \($0)" }
        return "export \(key) via \(prefix.vteps.map(\.description).joined(separator: ","))"
            + (marks.isEmpty ? "" : " communities" + marks.joined())
            + (prefix.hijacked.map { " has the underlay's \($0) in it" } ?? "")
    }
}
