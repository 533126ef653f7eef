// `explain prefix` and `explain ip`: the chain from the wire to the kernel for one destination in a VRF.

import BGP
import Documents
import EVPN
import NetTypes

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
        guard !names.isEmpty else { return client.fail(unknownVRF("")) }
        let all = names.compactMap { name in
            prefix.map { controlPlane.explain(PrefixKey(vrf: name, prefix: $0)) }
                ?? address.flatMap { controlPlane.explain(ip: $0, vrf: name) }
        }
        var found = all.filter { $0.row != nil || !$0.candidates.isEmpty }
        // Nobody has it: routes that no VRF imports are the same for all of them.
        if found.isEmpty { found = vrf == nil ? Array(all.prefix(1)) : all }
        let isAnywhere = vrf != nil || all.count == 1 || found.contains { $0.row != nil || !$0.candidates.isEmpty }
        let list = found.map { one in
            isAnywhere
                ? explanation("\(text) in vrf \(one.key.vrf)", links(one, asked: text))
                : explanation(text, [unknown(one, details: ["in none of \(all.count) VRFs"])])
        }
        client.send(.reply("explanations", .array(list)))
    }

    private func unknown(_ found: PrefixExplanation, details: [String]) -> Link {
        guard found.ignored.isEmpty else {
            return Link(
                name: "import", state: .missing, text: "no route is imported",
                details: details + found.ignored.map(verdict), wayOut: "compare the route targets: evpnctl show vrfs")
        }
        return unannounced(
            "no neighbor announces it, and it is not here", details: details,
            look: "look at the VTEP where it is: evpnctl show prefixes there, and what its VRF announces")
    }

    private func links(_ found: PrefixExplanation, asked: String) -> [Link] {
        let name = found.key.vrf
        var links = [tableLink(name)]
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
                    name: "rib", state: .good, text: "\(counted(routes.count, "route")) to \(found.key.prefix)",
                    details: routes.flatMap { ribDetails($0.route) }))
        }
        if !found.candidates.isEmpty {
            links.append(
                Link(
                    name: "import", state: .good, text: "\(found.candidates.count) imported into vrf \(name)",
                    details: routes.map(verdict)))
        } else if found.row == nil {
            links.append(unknown(found, details: []))
            return links
        } else if !found.ignored.isEmpty {
            links.append(
                Link(
                    name: "import", state: .note, text: "no route is imported", details: found.ignored.map(verdict)))
        }
        guard let row = found.row else {
            links.append(Link(name: "best", state: .missing, text: found.because))
            return links
        }
        let key = row.key.prefix.description
        links.append(
            Link(
                name: "best", state: .good,
                text: (key == asked ? "" : "\(key): ") + "\(row.source.text): \(found.because)",
                details: row.nexthops.map { "via \($0.text)" }))
        if !found.advertised.isEmpty {
            links.append(
                Link(
                    name: "advertised", state: .good, text: "announced by this VTEP",
                    details: found.advertised.map(\.description)))
        }
        for nexthop in row.nexthops { links += nexthopLinks(nexthop, isV6: row.key.prefix.address.isV6) }
        if !row.nexthops.isEmpty { links.append(kernelLink(.prefix(row.key))) }
        for problem in found.problems { links.append(Link(name: "problem", state: .note, text: problem)) }
        return links
    }

    /// The VRF's own table, and its way to other VTEPs.
    private func tableLink(_ name: String) -> Link {
        guard let (row, status, domain) = vrfs().first(where: { $0.row.name == name }) else {
            return Link(
                name: "vrf", state: .missing, text: "vrf \(name) is not configured here",
                wayOut: "add it under vrfs: in \(options.configurationPath), then: evpnctl reload")
        }
        let state = row.state(status, domain: domain)
        guard state == .up else {
            let problem = row.problem(status, domain: domain) ?? "it is not there yet"
            return Link(
                name: "vrf", state: .missing, text: "vrf \(name) cannot route: \(problem)",
                wayOut: problem.hasSuffix(" is down") ? "evpnctl show vrfs; ip link set … up" : "evpnctl show vrfs")
        }
        var words = [status?.device ?? "vrf \(name)"]
        if let table = status?.table { words.append("table \(table)") }
        if let vni = row.vni { words.append("L3 VNI \(vni)") }
        if let vtep = row.domain?.vtep { words.append("VTEP \(vtep)") }
        if let mac = row.domain?.routerMAC { words.append("router MAC \(mac)") }
        return Link(
            name: "vrf", state: .good, text: words.joined(separator: ", "),
            details: row.problem(status, domain: domain).map { ["problem: \($0)"] } ?? [])
    }

    /// What a next hop needs in the kernel: the router's address, and where its MAC is.
    private func nexthopLinks(_ nexthop: RoutedNexthop, isV6: Bool) -> [Link] {
        func named(_ name: String, _ link: Link) -> Link {
            var link = link
            link.name = name
            return link
        }
        switch nexthop {
        case .router(let vtep, let through):
            let neighbor = NeighborKey(vni: through, ip: RouterNeighbor.gateway(vtep, isV6: isV6))
            guard case .neighbor(_, let router?)? = controlPlane.wanted(.neighbor(neighbor)) else {
                return [
                    Link(
                        name: "router", state: .missing,
                        text: "the router MAC of \(vtep) in vni \(through) is not known",
                        wayOut: "does its route carry the router's MAC community? evpnctl show routes --json")
                ]
            }
            return [
                named("neighbor", kernelLink(.neighbor(neighbor))),
                named("router", kernelLink(.mac(MACKey(vni: through, mac: router.mac)))),
            ]
        case .host(let ip, let vni):
            let key = NeighborKey(vni: vni, ip: ip)
            guard case .neighbor(_, let host?)? = controlPlane.wanted(.neighbor(key)) else {
                return [Link(name: "host", state: .note, text: "\(ip) is a host of vni \(vni) on this VTEP")]
            }
            return [
                named("neighbor", kernelLink(.neighbor(key))),
                named("host", kernelLink(.mac(MACKey(vni: vni, mac: host.mac)))),
            ]
        case .table(let vrf):
            return [Link(name: "leak", state: .note, text: "as vrf \(vrf) says: evpnctl explain prefix … --vrf \(vrf)")]
        }
    }
}
