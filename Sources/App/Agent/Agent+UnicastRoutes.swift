// Routes between the speaker and the kernel's tables: who announces a prefix when several want to, and `show netlink`.

import BGP
import BGPEngine
import Documents
import EVPN
import Intents
import KernelRoutes
import NetTypes
import UnicastRoutes

extension Agent {
    func startUnicastRoutes() {
        kernelRoutes.onAdvertisements = { [weak self] changes in
            guard let self else { return }
            // A route that carries the communities of VNIs is more than a network of an interface.
            speaker.advertise(changes.filter { !self.memberKeys.contains($0.key) })
        }
        kernelRoutes.onRoutesNeeded = { [weak self] in self?.offerRoutes() }
        kernelRoutes.configure(importing: configuration.netlinkImport, exporting: configuration.netlinkExport)
    }

    /// All best paths of others that are known by now.
    private func offerRoutes() {
        kernelRoutes.receive(controlPlane.exports)
        for family in [Family.ipv4Unicast, .ipv6Unicast] {
            var query = RouteQuery(.best, family: family, limit: RouteQuery.maximumLimit)
            while true {
                let page = speaker.routes(query)
                kernelRoutes.receive(
                    page.routes.filter { $0.isBest && $0.peer != .local }.map { route in
                        RouteChange(
                            key: route.key,
                            path: RemotePath(
                                payload: route.payload, attributes: route.attributes, neighbor: route.peerAddress,
                                interface: route.interface, alternatives: route.alternatives))
                    })
                guard let next = page.next else { break }
                query.after = next
            }
        }
    }

    /// What the speaker is to do about changes of the control plane's routes: a network of an interface stands in again where a
    /// host route with communities goes.
    func withImported(_ changes: [AdvertisementChange]) -> [AdvertisementChange] {
        changes.map { change in
            guard change.key.family != .l2vpnEVPN else { return change }
            if change.route != nil {
                memberKeys.insert(change.key)
                return change
            }
            memberKeys.remove(change.key)
            return AdvertisementChange(
                key: change.key,
                route: change.key.prefix.flatMap { kernelRoutes.importedPrefixes.advertisement(of: $0) })
        }
    }

    // MARK: Show

    /// Rows of three kinds: interfaces and networks of the import, rules of the export, and its routes.
    func netlinkRows() -> [() -> JSONValue] {
        let imported = kernelRoutes.importedPrefixes
        let table = kernelRoutes.exportTable
        var rows: [() -> JSONValue] = []
        for interface in imported.matching {
            rows.append {
                [
                    "kind": "interface", "name": JSONValue(interface.name), "up": JSONValue(interface.isUp),
                    "addresses": .array(interface.addresses.map { JSONValue($0.description) }),
                ]
            }
        }
        for row in imported.rows {
            rows.append { [speaker] in
                let paths = speaker.explain(RouteKey(unicast: row.prefix))
                let own = paths.first { $0.route.peer == .local }
                return [
                    "kind": "network", "prefix": JSONValue(row.prefix.description),
                    "interfaces": .array(row.interfaces.map { JSONValue($0) }), "in_rib": JSONValue(own != nil),
                    "best": JSONValue(own?.route.isBest ?? false),
                ]
            }
        }
        // Those of VRFs are announced as routes of type 5.
        for vrf in configuration.overlay.vrfs where !vrf.announced.connected.isEmpty {
            for (prefix, interface) in controlPlane.connectedPrefixes(vrf: vrf.name)
            where vrf.announced.connected.contains(where: { globMatches($0, interface) }) {
                let isAnnounced = controlPlane.isAnnounced(PrefixKey(vrf: vrf.name, prefix: prefix))
                rows.append {
                    [
                        "kind": "network", "vrf": JSONValue(vrf.name), "prefix": JSONValue(prefix.description),
                        "interfaces": [JSONValue(interface)], "in_rib": JSONValue(isAnnounced),
                        "best": JSONValue(isAnnounced),
                    ]
                }
            }
        }
        let problems = table.ruleProblems
        let entries = table.entries
        var installed: [String: Int] = [:]
        for case let (rule?, .done) in entries.map({ ($0.rule, $0.status) }) { installed[rule, default: 0] += 1 }
        for rule in table.settings?.rules ?? [] {
            let number = table.table(of: rule)
            let marks = CommunitySelection(rule.communities, rule.largeCommunities).words
            let problem = problems[rule.name]
            let count = installed[rule.name] ?? 0
            let proto = table.settings?.routeProtocol ?? 0
            rows.append {
                let members: [JSONValue.Member] = [
                    .init("kind", "rule"), .init("name", JSONValue(rule.name)),
                    .init("source", rule.source.map { JSONValue($0) } ?? .null),
                    .init("vrf", rule.vrf.map { JSONValue($0) } ?? .null),
                    .init("table", number.map { JSONValue($0) } ?? .null), .init("metric", JSONValue(rule.metric)),
                    .init("communities", .array(marks.map { JSONValue($0) })),
                    .init("validate_nexthop", JSONValue(rule.validatesNexthop)), .init("installed", .int(count)),
                    .init("protocol", .int(Int(proto))), .init("problem", problem.map { JSONValue($0) } ?? .null),
                ]
                return .object(members)
            }
        }
        for entry in entries {
            rows.append { [kernelRoutes] in
                let members: [JSONValue.Member] = [
                    .init("kind", "route"), .init("prefix", JSONValue(entry.key.prefix.description)),
                    .init("table", JSONValue(entry.key.table)), .init("metric", JSONValue(entry.key.metric)),
                    .init("rule", entry.rule.map { JSONValue($0) } ?? .null),
                    .init("source", entry.source.map { JSONValue($0) } ?? .null),
                    .init("next_hops", .array(entry.nexthops.map { JSONValue($0.description) })),
                    .init("kernel", entry.route.map { JSONValue(kernelRoutes.text($0)) } ?? .null),
                    .init("installed", JSONValue(entry.status == .done)),
                    .init("status", JSONValue(entry.status.text)),
                ]
                return .object(members)
            }
        }
        return rows
    }
}
