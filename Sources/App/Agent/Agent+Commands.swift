// The commands of the control socket. Every reply is plain JSON; evpnctl makes the tables.

import AsyncIO
import BGP
import BGPEngine
import Documents
import EVPN
import GoBGPAPI
import HTTP
import Intents
import KernelRoutes
import NetTypes
import Telemetry

extension Agent {
    func serve(_ request: JSONValue, _ client: ControlServer.Client) {
        guard let command = request.text("command") else {
            return client.fail("the request names no command")
        }
        metrics.counter("evpnd_control_requests_total", "Requests on the control socket").increment()
        switch command {
        case "status": client.send(.reply("status", status()))
        case "neighbors": client.send(.reply("neighbors", .array(speaker.neighbors().map { $0.json(now: loop.now) })))
        case "vnis": client.send(.reply("vnis", vnis()))
        case "vrfs": client.send(.reply("vrfs", .array(vrfs().map(\.json))))
        case "prefixes": sendPrefixes(request, client)
        case "macs": sendMACs(request, client)
        case "clients": sendClients(client)
        case "anycast": sendAnycast(client)
        case "confirm-empty": confirmEmpty(client)
        case "vteps": client.send(.reply("vteps", .array(controlPlane.vtepRows().map(\.json))))
        case "routes": sendRoutes(request, client)
        case "netlink": sendPages("netlink", netlinkRows(), client) { $0() }
        case "explain": explain(request, client)
        case "plan":
            dataplane.plan { [self] lines in
                sendPages("plan", lines + kernelRoutes.plan(), client) { JSONValue($0) }
            }
        case "reload": sendReload(client)
        case "recover": recover(request, client)
        case "neighbor": neighborCommand(request, client)
        case "advertise": advertise(request, client)
        case "withdraw": withdraw(request, client)
        case "advertised": listHandMade(client)
        case "cleanup": cleanup(client)
        case "watch":
            client.isWatching = true
            client.send(["event": "watch.started"])
        default: client.fail("unknown command \(command)")
        }
    }

    private func status() -> JSONValue {
        let statistics = dataplane.statistics
        let neighbors = speaker.neighbors()
        let reasons = notReady()
        return [
            "version": JSONValue(Agent.version),
            "uptime_seconds": .int(Int((loop.now - startedAt).inSeconds)),
            "ready": JSONValue(reasons.isEmpty),
            "waiting_for": .array(reasons.map { JSONValue($0) }),
            "asn": JSONValue(configuration.bgp.asn),
            "router_id": JSONValue(configuration.bgp.routerID.description),
            "vtep": JSONValue(nodeAddress),
            "config": JSONValue(options.configurationPath),
            "last_reload_problems": .array(lastReloadProblems.map { JSONValue($0.description) }),
            "neighbors": .int(neighbors.count),
            "established": .int(neighbors.count { $0.isEstablished }),
            "vnis": .int(servedVNIs.count),
            "vrfs": .int(servedVRFs.count),
            "routes": .int(speaker.routeCount),
            "dataplane": [
                "place": JSONValue(dataplane.place), "entries": .int(statistics.desired),
                "pending": .int(statistics.pending),
                "failed": .int(statistics.failed), "waiting": .int(statistics.waiting),
                "healed": .int(statistics.healed), "overruns": .int(statistics.overruns),
            ],
            "speaker": JSONValue(configuration.gobgp.map { "gobgpd at \($0.endpoint)" } ?? "embedded"),
            "speaker_problems": .array(
                (speaker.problems + [kernelRoutes.problem].compactMap { $0 }).map { JSONValue($0) }),
            "problems": .array(serviceProblems().map(\.json)),
            "client_problems": .array(clientProblems.map { JSONValue($0) }),
            "refused_routes": .array(
                speaker.refusedRoutes.prefix(100).map {
                    ["route": JSONValue($0.key.description), "reason": JSONValue($0.reason)]
                }),
        ]
    }

    private func vnis() -> JSONValue {
        let domains = Dictionary(dataplane.domains().map { ($0.vni, $0) }, uniquingKeysWith: { first, _ in first })
        let rows = controlPlane.vniRows().map { row in
            (row.vni, row.json(domain: domains[row.vni], routed: routedInterfaces[row.vni]))
        }
        let transits = vrfs().compactMap { view in view.transitJSON.flatMap { json in view.row.vni.map { ($0, json) } }
        }
        return .array((rows + transits).sorted { $0.0 < $1.0 }.map(\.1))
    }

    /// Each VRF with what the kernel has of it, and of the devices of its VNIs.
    func vrfs() -> [VRFView] {
        let status = Dictionary(dataplane.vrfStatus().map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        let domains = Dictionary(dataplane.domains().map { ($0.vni, $0) }, uniquingKeysWith: { first, _ in first })
        var subnets: [String: Set<VNI>] = [:]
        for (vni, routed) in routedInterfaces { if let vrf = routed.vrf { subnets[vrf, default: []].insert(vni) } }
        return controlPlane.vrfRows().map { row in
            VRFView(
                row: row, status: status[row.name], transit: row.vni.flatMap { domains[$0] },
                subnets: subnets[row.name, default: []].union(row.vnis).sorted().compactMap { domains[$0] })
        }
    }

    /// Of one VRF, or of all, in the order of their names.
    private func sendPrefixes(_ request: JSONValue, _ client: ControlServer.Client) {
        var names = servedVRFs
        if let name = request.text("vrf") {
            guard names.contains(name) else { return client.fail(unknownVRF(name)) }
            names = [name]
        }
        sendPrefixPage(names[...], after: nil, client)
    }
    private func sendPrefixPage(_ names: ArraySlice<String>, after: IPPrefix?, _ client: ControlServer.Client) {
        var (names, after) = (names, after)
        var rows: [JSONValue] = []
        while rows.count < 1000, let name = names.first {
            let page = controlPlane.prefixPage(vrf: name, after: after, limit: 1000 - rows.count)
            rows += page.rows.map { row in
                row.json(status: row.nexthops.isEmpty ? nil : dataplane.status(of: .prefix(row.key)))
            }
            after = page.next
            if after == nil { names = names.dropFirst() }
        }
        guard !names.isEmpty else { return client.send(.reply("prefixes", .array(rows))) }
        client.more = { [weak self, weak client] in
            guard let client else { return }
            self?.sendPrefixPage(names, after: after, client)
        }
        client.send(.object([.init("prefixes", .array(rows))]))
    }
    func unknownVRF(_ name: String) -> String {
        servedVRFs.isEmpty
            ? "no VRF is configured; see vrfs in evpnd.yaml(5)"
            : "no VRF \(name); there \(servedVRFs.count == 1 ? "is" : "are") \(servedVRFs.joined(separator: ", "))"
    }

    /// Sends `rows` in pages of 1000, each made when the one before has been taken.
    func sendPages<Row>(
        _ name: String, _ rows: [Row], _ client: ControlServer.Client, from start: Int = 0,
        json: @escaping (Row) -> JSONValue
    ) {
        let end = min(rows.count, start + 1000)
        let page = JSONValue.array(rows[start..<end].map(json))
        guard end < rows.count else { return client.send(.reply(name, page)) }
        client.more = { [weak self, weak client] in
            guard let client else { return }
            self?.sendPages(name, rows, client, from: end, json: json)
        }
        client.send(.object([.init(name, page)]))
    }

    private func sendMACs(_ request: JSONValue, _ client: ControlServer.Client) {
        var vni: VNI?
        if let text = request.text("vni") {
            guard let parsed = VNI(text) else { return client.fail("\(text) is not a VNI (1 to 16777215)") }
            vni = parsed
        }
        let mac = request.text("mac").flatMap { MACAddress($0) }
        if let text = request.text("mac"), mac == nil { return client.fail("\(text) is not a MAC address") }
        let rows = controlPlane.macRows(vni: vni).filter { mac == nil || $0.key.mac == mac }
        sendPages("macs", rows, client, json: \.json)
    }

    // MARK: Routes

    private func sendRoutes(_ request: JSONValue, _ client: ControlServer.Client) {
        let filter: RouteFilter
        switch RouteFilter.parse(request) {
        case .success(let parsed): filter = parsed
        case .failure(let error): return client.fail(error.reason)
        }
        var view = RouteQuery.View.all
        if let neighbor = filter.neighbor {
            guard let peer = speaker.peerID(of: neighbor) else { return client.fail("no neighbor \(neighbor)") }
            if filter.isAdvertised, !speaker.knowsAdvertised {
                return client.fail(
                    "only gobgpd knows what it told \(neighbor): gobgp neighbor \(neighbor) adj-out -a evpn")
            }
            view = filter.isAdvertised ? .advertised(to: peer) : .received(from: peer)
        } else if filter.isBestOnly {
            view = .best
        }
        sendRoutePage(RouteQuery(view, family: filter.family, kind: filter.kind), filter, client)
    }
    private func sendRoutePage(_ query: RouteQuery, _ filter: RouteFilter, _ client: ControlServer.Client) {
        let page = speaker.routes(query)
        let rows = page.routes.filter(filter.matches).map { $0.json() }
        guard let next = page.next else { return client.send(.reply("routes", .array(rows))) }
        client.more = { [weak self, weak client] in
            guard let client else { return }
            var query = query
            query.after = next
            self?.sendRoutePage(query, filter, client)
        }
        client.send(.object([.init("routes", .array(rows))]))
    }

    // MARK: Changes

    private func sendReload(_ client: ControlServer.Client) {
        let problems = reload()
        let list = JSONValue.array(problems.map { JSONValue($0.description) })
        if problems.hasErrors {
            client.send([
                "error": "the configuration has errors; the running state was kept", "problems": list,
            ])
        } else {
            client.send(.reply("problems", list))
        }
    }

    private func recover(_ request: JSONValue, _ client: ControlServer.Client) {
        guard let mac = request.text("mac").flatMap({ MACAddress($0) }) else {
            return client.fail("which MAC address? evpnctl recover mac 02:00:00:00:00:01 [--vni N]")
        }
        var wanted: VNI?
        if let text = request.text("vni") {
            guard let vni = VNI(text) else { return client.fail("\(text) is not a VNI (1 to 16777215)") }
            wanted = vni
        }
        let frozen = controlPlane.frozenVNIs(of: mac).filter { wanted == nil || $0 == wanted }
        guard !frozen.isEmpty else {
            let place = wanted.map { " in vni \($0)" } ?? ""
            return client.fail("\(mac) is not frozen as a duplicate\(place); see evpnctl show macs --mac \(mac)")
        }
        let keys = frozen.map { MACKey(vni: $0, mac: mac) }
        for key in keys { handle(.recover(key)) }
        client.send(.reply("recovered", .array(keys.map { JSONValue($0.description) })))
    }

    private func neighborCommand(_ request: JSONValue, _ client: ControlServer.Client) {
        guard let text = request.text("address"), let neighbor = NeighborName(text) else {
            return client.fail("which neighbor? evpnctl neighbor clear ADDRESS|INTERFACE")
        }
        guard speaker.neighbors().contains(where: { $0.name == neighbor }) else {
            return client.fail("no neighbor \(neighbor); see evpnctl show neighbors")
        }
        switch request.text("action") {
        case "clear": speaker.clear(neighbor)
        case "shutdown": speaker.shutdown(neighbor, text: request.text("text"))
        case "enable": speaker.enable(neighbor)
        case "refresh": speaker.refresh(neighbor)
        default: return client.fail("a neighbor can be cleared, shut down, enabled or refreshed")
        }
        client.send(.reply("neighbor", JSONValue(neighbor.description)))
    }

    private func cleanup(_ client: ControlServer.Client) {
        cleanup { [self] commands in
            client.send(.reply("removed", .array(commands.map { JSONValue($0) })))
            // The reply goes out first, to whoever takes it in time.
            loop.schedule(after: .milliseconds(100)) { [weak self] in self?.stop(reason: "cleanup", removing: true) }
        }
    }
}

extension JSONValue {
    /// The last line of a good reply.
    static func reply(_ name: String, _ value: JSONValue) -> JSONValue {
        .object([Member("ok", .bool(true)), Member(name, value)])
    }
    /// A string member, or the digits of an integer member.
    func text(_ name: String) -> String? {
        switch self[name] {
        case .string(let value)?: value
        case .int(let value)?: String(value)
        default: nil
        }
    }
    func flag(_ name: String) -> Bool { self[name] == .bool(true) }
}

/// Which routes `show routes` asks for.
struct RouteFilter {
    var family: Family?
    var kind: RouteKey.Kind?
    var rd: RouteDistinguisher?
    var vni: VNI?
    var mac: MACAddress?
    var neighbor: NeighborName?
    var isAdvertised = false
    var isBestOnly = false

    static func parse(_ request: JSONValue) -> Result<RouteFilter, UsageError> {
        var filter = RouteFilter()
        func fail(_ reason: String) -> Result<RouteFilter, UsageError> { .failure(UsageError(reason: reason)) }
        if let text = request.text("type") {
            let names: [String: RouteKey.Kind] = [
                "1": .ethernetAutoDiscovery, "2": .macIP, "macip": .macIP, "mac": .macIP, "3": .inclusiveMulticast,
                "multicast": .inclusiveMulticast, "4": .ethernetSegment, "5": .ipPrefix, "prefix": .ipPrefix,
                "ipv4": .ipv4Unicast, "ipv6": .ipv6Unicast,
            ]
            guard let kind = names[text] else {
                return fail("\(text) is not a route type: use 1 to 5, macip, multicast, prefix, ipv4 or ipv6")
            }
            filter.kind = kind
        }
        if let text = request.text("family") {
            guard let family = Family(configurationName: text) else { return fail("\(text) is not a family") }
            filter.family = family
        }
        if let text = request.text("rd") {
            guard let rd = RouteDistinguisher(text) else { return fail("\(text) is not a route distinguisher") }
            filter.rd = rd
        }
        if let text = request.text("vni") {
            guard let vni = VNI(text) else { return fail("\(text) is not a VNI (1 to 16777215)") }
            filter.vni = vni
        }
        if let text = request.text("mac") {
            guard let mac = MACAddress(text) else { return fail("\(text) is not a MAC address") }
            filter.mac = mac
        }
        if let text = request.text("neighbor") {
            guard let neighbor = NeighborName(text) else {
                return fail("\(text) is neither an address nor an interface")
            }
            filter.neighbor = neighbor
        }
        filter.isAdvertised = request.flag("advertised")
        filter.isBestOnly = request.flag("best")
        if filter.isAdvertised, filter.neighbor == nil {
            return fail("advertised to whom? add --neighbor ADDRESS")
        }
        return .success(filter)
    }

    func matches(_ route: RouteView) -> Bool {
        if isBestOnly, !route.isBest { return false }
        if let rd, route.key.rd != rd { return false }
        if let mac, route.key.kind != .macIP || route.key.mac != mac { return false }
        if let vni {
            let pmsi = route.attributes.attributes.pmsiTunnel?.label
            let isTarget = route.attributes.attributes.routeTargets.contains { $0.automaticVNI == vni }
            guard route.payload.label1 == vni.rawValue || pmsi == vni.rawValue || isTarget else { return false }
        }
        return true
    }
}
