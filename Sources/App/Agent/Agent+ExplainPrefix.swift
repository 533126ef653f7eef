// `explain prefix` and `explain ip`: the chain from the wire to the kernel for one destination in a VRF, or for a unicast route that
// `netlinkExport` puts into a table.

import BGP
import BGPEngine
import Documents
import EVPN
import Intents
import KernelRoutes
import NetTypes
import UnicastRoutes

extension Agent {
    /// `text` is a prefix, or an address that is looked up as the kernel does, the longest prefix first.
    func explainPrefix(_ text: String, vrf: String?, _ client: ControlServer.Client) {
        let prefix = text.contains("/") ? IPPrefix(text) : nil
        let address = IPAddress(text)
        guard prefix != nil || address != nil else { return client.fail("\(text) is not an address or prefix") }
        var names = servedVRFs
        if let vrf {
            guard names.contains(vrf) else { return client.fail(unknownVRF(vrf)) }
            names = [vrf]
        }
        let views = vrfs().filter { names.contains($0.row.name) }
        let all: [PrefixExplanation] = views.compactMap { view in
            let name = view.row.name
            return prefix.map { controlPlane.explain(PrefixKey(vrf: name, prefix: $0)) }
                ?? address.flatMap { controlPlane.explain(ip: $0, vrf: name) }
        }
        let entries = exportEntries(prefix, address)
        func exports(of name: String) -> [ExportTable.Entry] {
            let view = views.first { $0.row.name == name }
            let table = view?.row.namespace == nil ? view?.status?.table : nil
            return entries.filter { $0.key.table == table || $0.source == name }
        }
        func isKnown(_ one: PrefixExplanation) -> Bool {
            one.row != nil || !one.candidates.isEmpty || !exports(of: one.key.vrf).isEmpty
        }
        var list: [JSONValue] = []
        for one in all where vrf != nil || all.count == 1 && entries.isEmpty || isKnown(one) {
            let links = links(one, asked: address, exports(of: one.key.vrf))
            list.append(explanation("\(text) in vrf \(one.key.vrf)", links))
        }
        // Tables that belong to no VRF of the configuration, with plain routes of BGP.
        let tables = Set(views.filter { $0.row.namespace == nil }.compactMap { $0.status?.table })
        for entry in entries where vrf == nil && entry.source == nil && !tables.contains(entry.key.table) {
            list.append(explanation("\(entry.key.prefix) in table \(entry.key.table)", exportLinks(entry)))
        }
        // Nobody has it: routes that no VRF imports are the same for all of them.
        if list.isEmpty, let first = all.first {
            list.append(explanation(text, [unknown(first, in: all.map(\.key.vrf))]))
        }
        guard !list.isEmpty else { return client.fail(unknownVRF("")) }
        client.send(.reply("explanations", .array(list)))
    }

    /// `names`: the VRFs that were looked at.
    private func unknown(_ found: PrefixExplanation, in names: [String]) -> Link {
        let details = names.count > 1 ? ["in none of \(names.count) VRFs"] : []
        for client in configuration.openVSwitch?.routed ?? [] where names.contains(client.vrf) {
            guard
                let prefix = client.prefixes.first(where: {
                    $0.length <= found.key.prefix.length && $0.contains(found.key.prefix.address)
                }),
                let obstacle = obstacle(at: client.attachment)
            else { continue }
            return Link(
                name: "client", state: .missing,
                text: "\(prefix) is that of a client here, at port \(client.attachment)",
                details: [obstacle], wayOut: "evpnctl show clients")
        }
        guard !found.ignored.isEmpty else {
            let prefix = found.key.prefix
            let unusable = unusableLink { route in
                switch route.key.kind {
                case .ipPrefix: route.key.prefix?.contains(prefix.address) == true
                case .macIP: route.key.address == prefix.address
                default: false
                }
            }
            if let unusable { return unusable }
            return unannounced(
                "no neighbor announces it, and it is not here", details: details,
                look: "look at the VTEP where it is: evpnctl show prefixes there, and what its VRF announces")
        }
        let imports = names.prefix(Agent.listLimit).compactMap { name in
            controlPlane.vrfRow(name).map { "vrf \(name) imports \($0.importTargets.text)" }
        }
        let isForeign = found.ignored.allSatisfy { $0.outcome == .ignored(.noMatchingTarget) }
        // Of a type 2 route those of the L3 VNI, which it is routed by.
        let offered = found.ignored.flatMap { verdict in
            let routed = verdict.routeTargets.filter { $0.automaticVNI == VNI(verdict.label) }
            return routed.isEmpty ? verdict.routeTargets : routed
        }
        let targets = Set(offered).sorted().prefix(3).map(\.description)
        var beside = ""
        if let name = names.first, case .automatic(let vni)? = controlPlane.vrfRow(name)?.importTargets {
            beside = ", together with \(configuration.overlay.asn):\(vni), as a list replaces the automatic ones"
        }
        var wayOut = "the reason is behind each route: evpnctl explain vtep VTEP, and the other VTEP's configuration"
        if isForeign {
            wayOut =
                targets.isEmpty
                ? "the route has no target at all: have its VRF there export one"
                : "add \(targets.joined(separator: " or ")) to routeTargets.import of the VRF in \(options.configurationPath)\(beside), or have the other VTEP export what is imported here"
        }
        return Link(
            name: "import", state: .missing,
            text: isForeign
                ? "\(counted(found.ignored.count, "route")) would have it, none with a route target that is imported"
                : "no route is imported",
            details: details + imports + listed(found.ignored.map(verdict)), wayOut: wayOut)
    }

    private func links(
        _ found: PrefixExplanation, asked: IPAddress?, _ exports: [ExportTable.Entry]
    ) -> [Link] {
        let name = found.key.vrf
        var links = tableLinks(name)
        guard let vrf = controlPlane.vrfRow(name) else { return links }
        links.append(
            Link(
                name: "targets", state: .good, text: "rd \(vrf.rd)",
                details: [
                    "import \(vrf.importTargets.text)",
                    "export \(vrf.exportTargets.map(\.description).joined(separator: " "))",
                ]))
        let routes = found.candidates + found.ignored
        if !routes.isEmpty {
            links.append(
                Link(
                    name: "rib", state: .good, text: counted(routes.count, "route"),
                    details: listed(routes.flatMap { ribDetails($0.route) })))
        }
        if !found.candidates.isEmpty {
            links.append(
                Link(
                    name: "import", state: .good, text: "\(found.candidates.count) imported into vrf \(name)",
                    details: listed(routes.map(verdict))))
        } else if found.row == nil, exports.isEmpty {
            links.append(unknown(found, in: [name]))
            return links
        } else if !found.ignored.isEmpty {
            links.append(
                Link(
                    name: "import", state: .note,
                    text: "no route is imported; the VRF imports \(vrf.importTargets.text)",
                    details: listed(found.ignored.map(verdict))))
        }
        guard let row = found.row else {
            if exports.isEmpty { links.append(Link(name: "best", state: .missing, text: found.because)) }
            return links + exports.map(exportLink)
        }
        let isWhole = asked == nil || row.key.prefix.length == row.key.prefix.address.bitWidth
        links.append(
            Link(
                name: "best", state: .good,
                text: (isWhole ? "" : "\(row.key.prefix): ") + "\(row.source.text): \(found.because)",
                details: row.nexthops.map { "via \(row.text(of: $0))" }))
        links += exports.map(exportLink)
        if !found.advertised.isEmpty {
            links.append(
                Link(
                    name: "advertised", state: .good, text: "announced by this VTEP",
                    details: found.advertised.map(\.description)))
        } else if row.source == .announced {
            links.append(
                Link(
                    name: "advertised", state: .missing, text: "not announced",
                    wayOut: "see the link vrf: what is wrong?"))
        }
        if case .local(let local) = row.source, local.isConnected, let asked {
            links += subnetLinks(asked, local.interface, vrf)
        }
        for nexthop in row.nexthops { links += nexthopLinks(nexthop, row.key.prefix) }
        if !row.nexthops.isEmpty { links.append(forwardingLink(.prefix(row.key))) }
        for problem in found.problems { links.append(Link(name: "problem", state: .note, text: problem)) }
        return links
    }

    /// The VRF's own table with its way to other VTEPs, and whether the kernel forwards there.
    func tableLinks(_ name: String) -> [Link] {
        guard let view = vrfs().first(where: { $0.row.name == name }) else {
            return [
                Link(
                    name: "vrf", state: .missing, text: "vrf \(name) is not configured here",
                    wayOut: "add it under vrfs: in \(options.configurationPath), then: evpnctl reload")
            ]
        }
        let fault = view.fault
        guard view.state == .up else {
            return [
                Link(
                    name: "vrf", state: .missing,
                    text: "vrf \(name) cannot route: \(fault?.text ?? "it is not there yet")",
                    wayOut: fault?.remedy ?? "evpnctl plan shows what evpnd is doing about it")
            ]
        }
        var words: [String]
        switch view.row.place {
        case .namespace(let netns): words = ["network namespace \(netns)"]
        case .underlay: words = ["the main table of the host"]
        case .device:
            words = [view.status?.device ?? "vrf \(name)"] + (view.status?.table.map { ["table \($0)"] } ?? [])
        }
        if let vni = view.row.vni { words.append("L3 VNI \(vni)") }
        if let vtep = view.row.domain?.vtep { words.append("VTEP \(vtep)") }
        if let mac = view.row.domain?.routerMAC { words.append("router MAC \(mac)") }
        var link = Link(name: "vrf", state: .good, text: words.joined(separator: ", "))
        if let fault, view.status?.isSilent == true {
            return [
                link,
                Link(
                    name: "forwarding", state: .missing,
                    text: "\(fault.text): packets that are to be routed are dropped",
                    wayOut: fault.remedy),
            ]
        }
        if let fault { link.details = ["problem: \(fault.text)"] + (fault.remedy.map { ["-> \($0)"] } ?? []) }
        return [link]
    }

    /// An address in a subnet of this host that has no route of its own: whether it is known by its MAC, and if not, why.
    private func subnetLinks(_ ip: IPAddress, _ interface: String, _ vrf: VRFRow) -> [Link] {
        let domains = dataplane.domains().filter { $0.interface == interface && vrf.vnis.contains($0.vni) }
        guard let vni = domains.first?.vni else { return [] }
        let key = NeighborKey(vni: vni, ip: ip)
        if routedInterfaces[vni]?.addresses.contains(where: { $0.ip == ip }) == true {
            return [Link(name: "neighbor", state: .good, text: "\(ip) is the gateway, this host's own")]
        }
        if case .neighbor(_, let host?)? = controlPlane.wanted(.neighbor(key)) {
            return neighborLinks(key, host.mac, "host")
        }
        switch dataplane.resolution(of: key) {
        case .resolved(let mac)?:
            return [Link(name: "neighbor", state: .good, text: "\(ip) is \(mac), as it answered on \(interface)")]
        case .unanswered(let state)?:
            return [
                Link(
                    name: "neighbor", state: .missing,
                    text: "nobody answers for \(ip) on \(interface) (\(state)), and no VTEP announces it",
                    details: [
                        "behind another VTEP with the same gateway address, a host that has never sent anything cannot be found from here:",
                        "its answer goes to the gateway's MAC address, which its own VTEP takes for itself",
                    ],
                    wayOut:
                        "have the host send a packet, ping its gateway for one; or declare it under macs: on its VTEP (Operations, \"The first ping\")"
                )
            ]
        case nil:
            return [
                Link(
                    name: "neighbor", state: .note,
                    text:
                        "\(ip) is not known: no VTEP announces it, and this host has not asked for it yet (ping it, then ask again)"
                )
            ]
        }
    }

    /// What a next hop needs in the kernel: the router's address, and where its MAC is.
    private func nexthopLinks(_ nexthop: RoutedNexthop, _ prefix: IPPrefix) -> [Link] {
        switch nexthop {
        case .router(let vtep, let through):
            let key = NeighborKey(vni: through, ip: RouterNeighbor.gateway(vtep, isV6: prefix.address.isV6))
            guard case .neighbor(_, let router?)? = controlPlane.wanted(.neighbor(key)) else {
                return [
                    Link(
                        name: "router", state: .missing,
                        text: "the router MAC of \(vtep) in vni \(through) is not known",
                        wayOut: "does its route carry the router's MAC community? evpnctl show routes --json")
                ]
            }
            return neighborLinks(key, router.mac, "router")
        case .host(let ip, let vni):
            let key = NeighborKey(vni: vni, ip: ip)
            guard case .neighbor(_, let host?)? = controlPlane.wanted(.neighbor(key)) else {
                return [Link(name: "host", state: .note, text: "\(ip) is a host of vni \(vni) on this VTEP")]
            }
            return neighborLinks(key, host.mac, "host")
        case .table(let vrf):
            return [
                Link(
                    name: "leak", state: .note,
                    text: "as vrf \(vrf) says: evpnctl explain prefix \(prefix) --vrf \(vrf)")
            ]
        // The prefix's own entry says all of it.
        case .tunnel: return []
        }
    }
    private func neighborLinks(_ key: NeighborKey, _ mac: MACAddress, _ name: String) -> [Link] {
        var neighbor = forwardingLink(.neighbor(key))
        neighbor.name = "neighbor"
        var entry = forwardingLink(.mac(MACKey(vni: key.vni, mac: mac)))
        entry.name = name
        return [neighbor, entry]
    }

    // MARK: Unicast routes

    /// Rows of `netlinkExport` for a prefix, or for the longest one that has an address.
    private func exportEntries(_ prefix: IPPrefix?, _ address: IPAddress?) -> [ExportTable.Entry] {
        if let prefix { return kernelRoutes.exportTable.entries(of: prefix) }
        guard let address else { return [] }
        for length in stride(from: address.bitWidth, through: 0, by: -1) {
            guard let prefix = IPPrefix(address, length: length) else { continue }
            let entries = kernelRoutes.exportTable.entries(of: prefix)
            if !entries.isEmpty { return entries }
        }
        return []
    }
    private func exportLinks(_ entry: ExportTable.Entry) -> [Link] {
        let details = ribDetails(RouteKey(unicast: entry.key.prefix))
        return [
            Link(
                name: "rib", state: details.isEmpty ? .missing : .good, text: counted(details.count, "path"),
                details: details, wayOut: "evpnctl show routes --family ipv4-unicast"),
            exportLink(entry),
        ]
    }
    private func exportLink(_ entry: ExportTable.Entry) -> Link {
        let rule =
            entry.rule.map { "rule \($0) of netlinkExport" } ?? "netlinkExport, which nobody asks for it any more"
        let kernel = entry.route.map { [kernelRoutes.text($0)] } ?? []
        guard entry.status != .done else {
            let place = entry.source == nil ? "there" : "into table \(entry.key.table)"
            return Link(name: "export", state: .good, text: "put \(place) by \(rule)", details: kernel)
        }
        return Link(
            name: "export", state: .missing, text: "\(rule): \(entry.status.text)", details: kernel,
            wayOut: "evpnctl show netlink")
    }
}

extension Agent {
    /// Lines of one kind under a link.
    static let listLimit = 20
    /// The first of many.
    func listed(_ lines: [String]) -> [String] {
        guard lines.count > Agent.listLimit else { return lines }
        return lines.prefix(Agent.listLimit) + ["and \(lines.count - Agent.listLimit) more"]
    }
}

extension VRFRow {
    /// The network namespace that it is, if it is one.
    var namespace: String? { if case .namespace(let name) = place { name } else { nil } }
}
