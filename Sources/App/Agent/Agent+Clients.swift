// Clients of Open vSwitch in the agent: what they change, and what is shown of them.

import Anycast
import AsyncIO
import Documents
import EVPN
import Intents
import NetTypes
import OVSDataplane
import Telemetry

extension Agent {
    /// Applies what files of clients, the status file and probes say now.
    func clientsChanged() {
        let old = configuration
        adopt(clients.joined(fileConfiguration))
        if configuration.gobgp != old.gobgp { speaker.configure(configuration) }
        if configuration.overlay != old.overlay || configuration.openVSwitch != old.openVSwitch { applyOverlay() }
    }

    // MARK: Replies

    func sendClients(_ client: ControlServer.Client) {
        guard let bridge = configuration.openVSwitch else {
            return client.fail("there are no clients without dataplane: openvswitch; see evpnd.yaml(5)")
        }
        let fileRows = clients.files?.directory.rows ?? []
        var problems: [String: [Problem]] = [:]
        // A problem of several clients together is told with the file it was found in.
        for problem in clients.problems { problems[problem.position?.file ?? "", default: []].append(problem) }
        var rows = fileRows.map { row in
            row.json(
                conflicts: row.client.flatMap { problems[$0.place.position.file] } ?? [],
                obstacle: row.client.flatMap { obstacle(at: $0.attachment) })
        }
        let inFiles = Set(fileRows.compactMap(\.client).map(\.attachment))
        let own =
            bridge.bridged.filter { !inFiles.contains($0.attachment) }.map { $0.json(obstacle(at: $0.attachment)) }
            + bridge.routed.filter { !inFiles.contains($0.attachment) }.map { $0.json(obstacle(at: $0.attachment)) }
        rows = own + rows
        sendPages("clients", rows, client) { $0 }
    }

    /// Why a client there is not served although its file is good.
    func obstacle(at attachment: Attachment) -> String? {
        (dataplane as? OVSDataplane)?.obstacle(at: attachment)
    }

    func sendAnycast(_ client: ControlServer.Client) {
        guard let bridge = configuration.openVSwitch else {
            return client.fail("there are no anycast addresses without dataplane: openvswitch; see evpnd.yaml(5)")
        }
        let checks = Dictionary(
            clients.prober.checks.rows.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        let listed = configuration.openVSwitchSettings?.anycastStatusFile.map { _ in
            clients.statusFile?.status?.listed ?? []
        }
        let rows = bridge.routed.flatMap { routed in
            routed.anycast.map { anycast in
                let name = AnycastName(anycast)
                return anycast.json(
                    routed, isEnabled: bridge.enabledAnycast.contains(anycast),
                    isListed: listed.map { $0.contains(name) },
                    check: checks[name], obstacle: obstacle(at: routed.attachment), now: loop.now)
            }
        }
        client.send(.reply("anycast", .array(rows)))
    }

    func confirmEmpty(_ client: ControlServer.Client) {
        guard let files = clients.files else { return client.fail("there is no clientDirectory in the configuration") }
        guard files.directory.currentDoubt != nil else {
            return client.fail("nothing is in doubt: no client is served without its file")
        }
        let names = files.confirmEmpty()
        log.info("clients.confirmed", ["files": "\(names.count)"])
        client.send(.reply("removed", .array(names.map { JSONValue($0) })))
    }

    /// For `show status`; nil: nothing to say.
    var clientProblems: [String] {
        var lines: [String] = []
        if let refusals = (dataplane as? OVSDataplane)?.refusals, refusals.count > 0 {
            lines.append(
                "Open vSwitch refuses \(counted(refusals.count, "flow")); the first: "
                    + refusals.first.joined(separator: "; "))
        }
        if let bridge = configuration.openVSwitch {
            var waiting: [String: Int] = [:]
            for attachment in bridge.bridged.map(\.attachment) + bridge.routed.map(\.attachment) {
                if let reason = obstacle(at: attachment) { waiting[reason, default: 0] += 1 }
            }
            for (reason, count) in waiting.sorted(by: { $0.key < $1.key }).prefix(3) {
                lines.append("\(counted(count, "client")) waiting: \(reason)")
            }
        }
        guard let files = clients.files else { return lines }
        if let problem = files.directory.problem { lines.append("clientDirectory: \(problem)") }
        if let doubt = files.directory.currentDoubt {
            let until = doubt.until.map { "for \(max(0, Int(($0 - loop.now).inSeconds.rounded()))) s more" }
            lines.append(
                "\(counted(doubt.missing.count, "client")) served without file \(until ?? "until evpnctl confirm-empty")"
            )
        }
        let broken = files.directory.rows.count { [.kept, .refused].contains($0.state) }
        if broken > 0 { lines.append("broken: \(counted(broken, "client file")); see evpnctl show clients") }
        let conflicts = clients.problems.count { $0.severity == .error }
        if conflicts > 0 { lines.append("left out: \(counted(conflicts, "client")); see evpnctl show clients") }
        // Who has no anycast address needs no file that lists them.
        let hasAnycast = configuration.openVSwitch?.routed.contains { !$0.anycast.isEmpty } ?? false
        return lines + (hasAnycast ? clients.statusFile?.problems.map(\.description) ?? [] : [])
    }
}

extension ClientDirectory.Row {
    fileprivate func json(conflicts: [Problem], obstacle: String?) -> JSONValue {
        let word =
            switch state {
            case .good: conflicts.hasErrors ? "left out" : obstacle == nil ? "served" : "waiting"
            case .kept: conflicts.hasErrors ? "left out" : "kept"
            case .refused: "refused"
            case .missing: "missing"
            }
        let waits = client != nil && !conflicts.hasErrors ? obstacle.map { [JSONValue($0)] } ?? [] : []
        return .object(
            [.init("source", JSONValue(name)), .init("state", JSONValue(word))]
                + (client?.members ?? Client.noMembers)
                + [.init("problems", .array((problems + conflicts).map { JSONValue($0.description) } + waits))])
    }
}

extension Client {
    fileprivate static let noMembers = ["kind", "port", "vni", "mac", "what"].map { JSONValue.Member($0, .null) }
    fileprivate var members: [JSONValue.Member] {
        let mac: MACAddress?
        let what: [String]
        switch service {
        case .bridged(let address, let addresses): (mac, what) = (address, addresses.map(\.description))
        case .routed(let address, let prefixes, let anycast):
            mac = address
            what = prefixes.map(\.description) + anycast.map { "anycast \($0.address.address)" }
        }
        return [
            .init("kind", isRouted ? "l3" : "l2"), .init("port", JSONValue(attachment.description)),
            .init("vni", JSONValue(vni.rawValue)), .init("mac", JSONValue(mac)),
            .init("what", .array(what.map { JSONValue($0) })),
        ]
    }
}

extension BridgedClient {
    fileprivate func json(_ obstacle: String?) -> JSONValue {
        [
            "source": "evpnd.yaml", "state": obstacle == nil ? "served" : "waiting", "kind": "l2",
            "port": JSONValue(attachment.description),
            "vni": JSONValue(vni.rawValue), "mac": JSONValue(mac),
            "what": .array(addresses.map { JSONValue($0.description) }),
            "problems": .array(obstacle.map { [JSONValue($0)] } ?? []),
        ]
    }
}

extension RoutedClient {
    fileprivate func json(_ obstacle: String?) -> JSONValue {
        let what = prefixes.map(\.description) + anycast.map { "anycast \($0.address)" }
        return [
            "source": "evpnd.yaml", "state": obstacle == nil ? "served" : "waiting", "kind": "l3",
            "port": JSONValue(attachment.description),
            "vni": .null, "vrf": JSONValue(vrf), "mac": JSONValue(mac.description),
            "what": .array(what.map { JSONValue($0) }), "problems": .array(obstacle.map { [JSONValue($0)] } ?? []),
        ]
    }
}

extension AnycastAddress {
    fileprivate func json(
        _ routed: RoutedClient, isEnabled: Bool, isListed: Bool?, check: AnycastChecks.Row?, obstacle: String?,
        now: Instant
    ) -> JSONValue {
        [
            "address": JSONValue(address.description), "target": JSONValue(target.description),
            "internal_target": JSONValue(internalTarget.description), "vrf": JSONValue(routed.vrf),
            "port": JSONValue(routed.attachment.description), "zone": JSONValue(zone), "enabled": JSONValue(isEnabled),
            "listed": isListed.map { JSONValue($0) } ?? .null, "probe": JSONValue(check?.probe.method),
            "up": check?.isUp.map { JSONValue($0) } ?? .null,
            "since_seconds": check.map { .int(Int((now - $0.since).inSeconds)) } ?? .null,
            "sent": check.map { .int(Int(clamping: $0.sent)) } ?? .null,
            "failed": check.map { .int(Int(clamping: $0.failed)) } ?? .null,
            "fault": check?.fault.map { JSONValue($0) } ?? .null, "waits": obstacle.map { JSONValue($0) } ?? .null,
        ]
    }
}
