// `explain`: the chain from the wire to the kernel for one MAC, VNI or VTEP, link by link, with the first missing one named.

import AsyncIO
import BGP
import BGPEngine
import Documents
import EVPN
import EmbeddedSpeaker
import HTTP
import Intents
import NetTypes
import OVSDataplane
import Telemetry

/// One link of the chain.
struct Link {
    enum State: String { case good, missing, note }
    var name: String
    var state: State
    var text: String
    var details: [String] = []
    /// What an operator can do; for a missing link.
    var wayOut: String?
    var json: JSONValue {
        [
            "link": JSONValue(name), "state": JSONValue(state.rawValue), "text": JSONValue(text),
            "details": .array(details.map { JSONValue($0) }), "way_out": wayOut.map { JSONValue($0) } ?? .null,
        ]
    }
}

extension Agent {
    func explain(_ request: JSONValue, _ client: ControlServer.Client) {
        let text = request.text("key") ?? ""
        switch request.text("what") {
        case "mac":
            guard let mac = MACAddress(text) else { return client.fail("\(text) is not a MAC address") }
            explainMAC(mac, request.text("vni"), client)
        case "vni":
            guard let vni = VNI(text) else { return client.fail("\(text) is not a VNI (1 to 16777215)") }
            if let vrf = controlPlane.vrfRows().first(where: { $0.vni == vni }) {
                let title = "vni \(vni), the L3 VNI of vrf \(vrf.name)"
                return client.send(.reply("explanations", [explanation(title, tableLinks(vrf.name))]))
            }
            client.send(.reply("explanations", [explanation("vni \(vni)", links(vni: vni))]))
        case "vtep":
            guard let vtep = IPAddress(text) else { return client.fail("\(text) is not an address") }
            client.send(.reply("explanations", [explanation("vtep \(vtep)", links(vtep: vtep))]))
        case "prefix", "ip": explainPrefix(text, vrf: request.text("vrf"), client)
        default: client.fail("what can be explained: mac, vni, vtep, prefix, ip")
        }
    }

    func explanation(_ title: String, _ links: [Link]) -> JSONValue {
        let broken = links.first { $0.state == .missing }
        return [
            "title": JSONValue(title), "complete": JSONValue(broken == nil),
            "missing": broken.map { JSONValue($0.name) } ?? .null, "links": .array(links.map(\.json)),
        ]
    }

    private func explainMAC(_ mac: MACAddress, _ vniText: String?, _ client: ControlServer.Client) {
        var vnis: [VNI] = []
        if let vniText {
            guard let vni = VNI(vniText) else { return client.fail("\(vniText) is not a VNI (1 to 16777215)") }
            vnis = [vni]
        } else {
            let all = servedVNIs
            vnis = all.filter { vni in
                let found = controlPlane.explain(mac: MACKey(vni: vni, mac: mac))
                return found.owner != nil || !found.candidates.isEmpty || found.local != nil
            }
            if vnis.isEmpty, all.count > 1 {
                let links = [unknownMAC(mac, details: ["in none of \(all.count) VNIs"])]
                return client.send(.reply("explanations", .array([explanation("mac \(mac)", links)])))
            }
            if vnis.isEmpty { vnis = all }
        }
        guard !vnis.isEmpty else { return client.fail("no VNI is configured, so no MAC can be known") }
        let list = vnis.map { vni in
            explanation("mac \(mac) in vni \(vni)", links(mac: MACKey(vni: vni, mac: mac)))
        }
        client.send(.reply("explanations", .array(list)))
    }

    // MARK: MAC

    private func unknownMAC(_ mac: MACAddress, details: [String]) -> Link {
        for client in configuration.openVSwitch?.bridged ?? [] where client.mac == mac {
            guard let obstacle = obstacle(at: client.attachment) else { continue }
            return Link(
                name: "client", state: .missing, text: "it is that of a client here, at port \(client.attachment)",
                details: [obstacle], wayOut: "evpnctl show clients")
        }
        return unusableLink { $0.key.kind == .macIP && $0.key.mac == mac }
            ?? unannounced(
                "no neighbor announces it and no local port has learned it", details: details,
                look: "look at the VTEP where the host is: has the host sent a frame, is its MAC learned and announced?"
            )
    }
    /// Nothing is known; `look` is what to do when sessions are up.
    func unannounced(_ text: String, details: [String], look: String) -> Link {
        let neighbors = speaker.neighbors()
        let established = neighbors.count { $0.isEstablished }
        return Link(
            name: "rib", state: .missing, text: text,
            details: details + ["\(established) of \(counted(neighbors.count, "neighbor")) established"],
            wayOut: established == 0 ? "bring a session up: evpnctl show neighbors" : look)
    }

    private func links(mac key: MACKey) -> [Link] {
        let found = controlPlane.explain(mac: key)
        var links = [configurationLink(key.vni, isConfigured: found.isConfigured, domain: found.domain)]
        guard found.isConfigured else { return links }
        if let local = found.local {
            links.append(
                Link(
                    name: "local", state: .good,
                    text: "learned on \(local.port)"
                        + (local.isGateway
                            ? ", a gateway" : local.isSticky ? ", sticky" : local.isStatic ? ", static" : ""),
                    details: found.localAddresses.map { "address \($0)" }))
        }
        let routes = found.candidates + found.ignored
        if routes.isEmpty, found.local == nil, found.configured == nil {
            links.append(unknownMAC(key.mac, details: []))
            return links
        }
        if !routes.isEmpty {
            links.append(
                Link(
                    name: "rib", state: .good, text: counted(routes.count, "route"),
                    details: routes.flatMap { ribDetails($0.route) }))
            if found.candidates.isEmpty {
                links.append(
                    Link(
                        name: "import", state: found.local == nil ? .missing : .note, text: "no route is imported",
                        details: found.ignored.map(verdict),
                        wayOut: "compare the route targets: evpnctl explain vni \(key.vni)"))
                if found.local == nil { return links }
            } else {
                links.append(
                    Link(
                        name: "import", state: .good, text: "\(found.candidates.count) imported into vni \(key.vni)",
                        details: (found.candidates + found.ignored).map(verdict)))
            }
        }
        links.append(ownerLink(found))
        if !found.advertised.isEmpty {
            links.append(
                Link(
                    name: "advertised", state: .good, text: "announced by this VTEP",
                    details: found.advertised.map(\.description)))
        }
        guard case .remote? = found.owner else { return links }
        guard let forwarding = found.forwarding else {
            links.append(
                Link(
                    name: "forwarding", state: .missing, text: "no forwarding entry is wanted",
                    wayOut: found.domain == nil ? "bring the VNI's device up: evpnctl explain vni \(key.vni)" : nil))
            return links
        }
        links.append(
            Link(name: "forwarding", state: .good, text: "send to \(forwarding.vtep) with vni \(forwarding.vni)"))
        links.append(forwardingLink(.mac(key)))
        return links
    }

    private func ownerLink(_ found: MACExplanation) -> Link {
        var details: [String] = []
        if found.moves > 0 { details.append("moved \(counted(found.moves, "time")) within the detection window") }
        if let sequence = found.localSequence { details.append("local sequence \(sequence)") }
        guard let owner = found.owner else {
            return Link(name: "best", state: .missing, text: "nobody holds it: \(found.because)", details: details)
        }
        if found.frozenSince != nil {
            return Link(
                name: "best", state: .missing, text: "\(owner), frozen as a duplicate MAC (RFC 7432 §15.1)",
                details: details,
                wayOut: "find the second owner, then: evpnctl recover mac \(found.key.mac) --vni \(found.key.vni)")
        }
        return Link(
            name: "best", state: .good, text: "\(owner)" + (found.because.isEmpty ? "" : ": \(found.because)"),
            details: details)
    }

    func ribDetails(_ key: RouteKey) -> [String] {
        speaker.explain(key).map { path in
            let route = path.route
            let attributes = route.attributes.attributes
            let from = route.peer == .local ? "local" : "from \(route.peerAddress)"
            let why = route.ineligibility.map { ", not eligible: \($0)" } ?? path.step.map { ", \($0)" } ?? ""
            return "\(key) \(from) next hop \(attributes.nextHop.map { "\($0)" } ?? "none") "
                + "label \(route.payload.label1)\(route.isBest ? " best" : "")\(route.isStale ? " stale" : "")\(why)"
        }
    }
    func verdict(_ verdict: RouteVerdict) -> String {
        let targets = verdict.routeTargets.map(\.description).joined(separator: " ")
        let outcome =
            switch verdict.outcome {
            case .chosen: "chosen"
            case .notChosen(let because): "not chosen: \(because)"
            case .ignored(let reason): "ignored: \(reason)"
            }
        let routed =
            (verdict.routerMAC.map { "router mac \($0) " } ?? "") + (verdict.gateway.map { "gateway \($0) " } ?? "")
        // Other routes have no such thing.
        let sequence = verdict.route.kind == .macIP ? " sequence \(verdict.sequence)" : ""
        return "\(verdict.route) via \(verdict.vtep.map { "\($0)" } ?? "?") label \(verdict.label) \(routed)"
            + "rt \(targets.isEmpty ? "none" : targets)\(sequence): \(outcome)"
    }

    // MARK: Shared links

    private func configurationLink(_ vni: VNI, isConfigured: Bool, domain: LocalDomain?) -> Link {
        guard isConfigured else {
            return Link(
                name: "vni", state: .missing, text: "vni \(vni) is not configured here",
                wayOut: "add it under vnis: in \(options.configurationPath), then: evpnctl reload")
        }
        let status = dataplane.domains().first { $0.vni == vni }
        guard let domain else {
            let problem = status?.problem ?? "no usable device"
            let look =
                dataplane is OVSDataplane
                ? "ovs-vsctl show" : "ip -d link show " + (status?.device.map { "dev \($0)" } ?? "type vxlan")
            return Link(
                name: "vni", state: .missing, text: "vni \(vni) cannot forward: \(problem)",
                wayOut: status?.remedy ?? look)
        }
        return Link(
            name: "vni", state: .good, text: "\(domain.device), VTEP \(domain.vtep)",
            details: (status?.problem.map { ["problem: \($0)"] } ?? []) + (status?.remedy.map { ["-> \($0)"] } ?? []))
    }

    func forwardingLink(_ key: ForwardingKey) -> Link {
        let status = dataplane.status(of: key)
        let lines = dataplane.kernelEntry(of: key)?.lines ?? []
        switch status {
        case .done where !lines.isEmpty:
            return Link(name: dataplane.place, state: .good, text: "installed", details: lines)
        case .done:
            return Link(
                name: dataplane.place, state: .missing,
                text: "acknowledged, but the \(dataplane.place) does not have it",
                wayOut: "it is put back within 2 seconds; if not: evpnctl plan")
        default:
            return Link(
                name: dataplane.place, state: .missing, text: status.text, details: lines,
                wayOut: remedy(of: key) ?? "evpnctl plan; evpnctl show status")
        }
    }
    /// What to do about the devices that an entry needs.
    private func remedy(of key: ForwardingKey) -> String? {
        let vni: VNI
        switch key {
        case .flood(let key): vni = key.vni
        case .mac(let key): vni = key.vni
        case .neighbor(let key): vni = key.vni
        case .prefix(let key): return vrfs().first { $0.row.name == key.vrf }?.fault?.remedy
        }
        return dataplane.domains().first { $0.vni == vni }?.remedy
    }

    // MARK: VNI and VTEP

    private func links(vni: VNI) -> [Link] {
        let found = controlPlane.explain(vni: vni)
        var links = [configurationLink(vni, isConfigured: found.row != nil, domain: found.row?.domain)]
        guard let row = found.row else { return links }
        if row.signalling.usesEVPN {
            links.append(
                Link(
                    name: "targets", state: .good, text: "rd \(row.rd)",
                    details: [
                        "import \(row.importTargets.text)",
                        "export \(row.exportTargets.map(\.description).joined(separator: " "))",
                    ]))
        }
        let macRoutes = found.advertised.count { $0.kind == .macIP }
        links.append(
            Link(
                name: "advertised", state: found.advertised.isEmpty ? .missing : .good,
                text: counted(found.advertised.count, "route") + " of our own",
                details: found.advertised.filter { $0.kind != .macIP }.map(\.description)
                    + (macRoutes > 0 ? ["and \(counted(macRoutes, "route")) of type 2: evpnctl show macs"] : [])))
        if row.signalling.usesEVPN {
            links.append(
                Link(
                    name: "import",
                    state: found.routes.contains { $0.outcome == .chosen }
                        ? .good : row.signalling.usesMembership ? .note : .missing,
                    text: counted(found.routes.count, "multicast route") + " for this VNI",
                    details: found.routes.map(verdict),
                    wayOut: "no other VTEP announces this VNI: evpnctl show routes --type 3"))
        }
        if row.signalling.usesMembership {
            links.append(
                Link(
                    name: "members", state: found.members.isEmpty && !row.signalling.usesEVPN ? .missing : .good,
                    text: "\(counted(found.members.count, "host")) with this VNI's community in the route",
                    details: found.members.map(\.description),
                    wayOut: "do the others announce theirs? evpnctl show routes --family ipv4-unicast"))
        }
        links.append(
            Link(
                name: "flood", state: found.flood.isEmpty ? .missing : .good,
                text: counted(found.flood.count, "remote VTEP"), details: found.flood.map { "\($0.vtep)" }))
        for key in found.flood {
            let status = dataplane.status(of: .flood(key))
            if status != .done {
                links.append(
                    Link(name: dataplane.place, state: .missing, text: "\(key): \(status.text)", wayOut: "evpnctl plan")
                )
            }
        }
        if !found.flood.isEmpty, !links.contains(where: { $0.name == dataplane.place }) {
            links.append(
                Link(
                    name: dataplane.place, state: .good,
                    text: "flood list installed; \(counted(row.remoteMACs, "remote MAC")), \(row.localMACs) local"))
        }
        for problem in found.problems { links.append(Link(name: "problem", state: .note, text: problem)) }
        return links
    }

    private func links(vtep: IPAddress) -> [Link] {
        let found = controlPlane.explain(vtep: vtep)
        if found.isOwn { return [Link(name: "vtep", state: .good, text: "\(vtep) is this host")] }
        var ignored: [String] = []
        for (reason, count) in found.ignoredRoutes.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            ignored.append("\(count) ignored: \(reason)")
        }
        let known = found.importedRoutes + found.ignoredRoutes.values.reduce(0, +)
        var links = [
            Link(
                name: "rib", state: known > 0 ? .good : .missing, text: "\(counted(known, "route")) with this next hop",
                wayOut: "does the VTEP announce anything? evpnctl show neighbors")
        ]
        if known == 0 { return [unusableLink { $0.attributes.attributes.nextHop == vtep } ?? links[0]] }
        links.append(
            Link(
                name: "import", state: found.importedRoutes > 0 ? .good : .missing,
                text: "\(found.importedRoutes) imported", details: ignored + found.routes.map(verdict),
                wayOut: "compare the route targets: evpnctl show vnis"))
        links.append(
            Link(
                name: "forwarding", state: found.row == nil ? .missing : .good,
                text: "\(counted(found.row?.macs ?? 0, "MAC")), on \(counted(found.row?.floods ?? 0, "flood list"))",
                details: found.floods.map { "flood list of vni \($0)" }))
        for vni in found.floods {
            links.append(forwardingLink(.flood(FloodKey(vni: vni, vtep: vtep))))
        }
        return links
    }
}

/// "1 route", "2 routes".
func counted(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }
