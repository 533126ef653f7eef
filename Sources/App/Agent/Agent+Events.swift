// Control plane events in the words of the log, and the metrics that are computed at each scrape.

import AsyncIO
import BGPEngine
import Documents
import EVPN
import EmbeddedSpeaker
import HTTP
import Intents
import NetTypes
import Telemetry

extension Agent {
    /// The stable name of an event, its fields, and how loud it is.
    func describe(_ event: ControlPlaneEvent) -> (String, KeyValuePairs<String, String>, LogLevel) {
        switch event {
        case .moved(let key, let from, let to, let sequence):
            (
                "mac.moved",
                [
                    "vni": "\(key.vni)", "mac": "\(key.mac)", "from": "\(from)", "to": "\(to)",
                    "sequence": "\(sequence)",
                ], .info
            )
        case .addressMoved(let key, let from, let to, let sequence):
            (
                "address.moved",
                [
                    "vni": "\(key.vni)", "ip": "\(key.ip)", "from": "\(from)", "to": "\(to.mac)",
                    "sequence": "\(sequence)",
                ], .info
            )
        case .addressConflict(let key, let here, let there, let vtep):
            (
                "address.conflict",
                [
                    "vni": "\(key.vni)", "ip": "\(key.ip)", "here": "\(here)", "there": "\(there)", "vtep": "\(vtep)",
                ], .warning
            )
        case .duplicateDetected(let key, let moves, let place):
            (
                "mac.duplicate",
                [
                    "vni": "\(key.vni)", "mac": "\(key.mac)", "moves": "\(moves)", "frozen_at": "\(place)",
                    "action": "evpnctl recover mac \(key.mac) --vni \(key.vni)",
                ], .warning
            )
        case .recovered(let key, let byCommand):
            (
                "mac.recovered",
                ["vni": "\(key.vni)", "mac": "\(key.mac)", "by": byCommand ? "command" : "time"], .info
            )
        case .conflict(let key, let winner, let loser):
            (
                "mac.conflict",
                ["vni": "\(key.vni)", "mac": "\(key.mac)", "winner": "\(winner)", "loser": "\(loser)"], .warning
            )
        case .routersDiffer(let vni, let vtep, let used, let unused):
            (
                "router.conflict",
                [
                    "vni": "\(vni)", "vtep": "\(vtep)", "used": "\(used.mac)", "used_vni": "\(used.vni)",
                    "unused": "\(unused.mac)", "unused_vni": "\(unused.vni)",
                ], .warning
            )
        case .vtepsDiffer(let vni, let vtep, let transit, let transitVTEP):
            (
                "vtep.conflict",
                ["vni": "\(vni)", "vtep": "\(vtep)", "l3_vni": "\(transit)", "l3_vtep": "\(transitVTEP)"], .warning
            )
        case .leakRefused(let key, let hijacked):
            (
                "leak.refused",
                ["vrf": key.vrf, "prefix": "\(key.prefix)", "hijacked": "\(hijacked)"], .warning
            )
        case .membershipChanged(let vtep, let vnis):
            (vnis > 0 ? "membership.announced" : "membership.withdrawn", ["vtep": "\(vtep)", "vnis": "\(vnis)"], .info)
        case .membershipTooLong(let vtep, let omitted):
            ("membership.too.long", ["vtep": "\(vtep)", "vnis_left_out": "\(omitted)"], .warning)
        case .routeIgnored(let route, let reason):
            ("route.ignored", ["route": "\(route)", "reason": "\(reason)"], .warning)
        }
    }

    /// What became reachable and what no longer is, for those who watch. After 100 MAC addresses and 100 prefixes of a batch only
    /// their number is told, so that a table that is filled does not drown the watcher.
    func publish(_ changes: [ForwardingChange]) {
        guard let control, control.hasWatchers else { return }
        let limit = 100
        var macs = 0
        var prefixes = 0
        for change in changes {
            switch change {
            case .flood(let key, let member):
                let name = member == nil ? "evpn.vtep.left" : "evpn.vtep.joined"
                publish(name, [("vni", "\(key.vni)"), ("vtep", "\(key.vtep)")])
            case .mac(let key, let remote):
                macs += 1
                guard macs <= limit else { continue }
                var fields = [(key: "vni", value: "\(key.vni)"), (key: "mac", value: "\(key.mac)")]
                if let remote { fields.append((key: "vtep", value: "\(remote.vtep)")) }
                publish(remote == nil ? "evpn.mac.gone" : "evpn.mac.remote", fields)
            case .prefix(let key, let remote):
                prefixes += 1
                guard prefixes <= limit else { continue }
                var fields = [(key: "vrf", value: key.vrf), (key: "prefix", value: "\(key.prefix)")]
                if let remote {
                    fields.append((key: "via", value: remote.nexthops.map(\.text).joined(separator: ", ")))
                }
                publish(remote == nil ? "evpn.prefix.gone" : "evpn.prefix.remote", fields)
            case .neighbor: break
            }
        }
        for (name, count) in [("mac", macs), ("prefix", prefixes)] where count > limit {
            publish("evpn.\(name).more", [("count", "\(count - limit)")])
        }
    }

    func registerMetrics() {
        metrics.onCollect { [weak self] metrics in
            guard let self else { return }
            let now = self.loop.now
            metrics.gauge("evpnd_info", "Version of evpnd", ["version": Agent.version]).value = 1
            metrics.gauge("evpnd_uptime_seconds", "Since start").value = (now - self.startedAt).inSeconds
            metrics.gauge("evpnd_ready", "Whether /readyz answers 200").value = self.notReady().isEmpty ? 1 : 0
            metrics.counter("evpnd_reloads_total", "Configuration reloads, refused ones included").value =
                Double(self.reloads)
            for name in ["evpnd_vni_macs", "evpnd_vni_vteps", "evpnd_vni_up"] { metrics.clear(name) }
            for row in self.controlPlane.vniRows() {
                let vni = "\(row.vni)"
                metrics.gauge("evpnd_vni_up", "Whether the VNI can forward", ["vni": vni]).value =
                    row.domain == nil ? 0 : 1
                metrics.gauge("evpnd_vni_macs", "MAC addresses", ["vni": vni, "place": "local"]).value =
                    Double(row.localMACs)
                metrics.gauge("evpnd_vni_macs", "MAC addresses", ["vni": vni, "place": "remote"]).value =
                    Double(row.remoteMACs)
                metrics.gauge("evpnd_vni_vteps", "Members of the flood list", ["vni": vni]).value =
                    Double(row.remoteVTEPs)
            }
            for name in ["evpnd_vrf_up", "evpnd_vrf_prefixes"] { metrics.clear(name) }
            for view in self.vrfs() {
                let row = view.row
                let isUp = view.state == .up
                metrics.gauge("evpnd_vrf_up", "Whether the VRF can route", ["vrf": row.name]).value = isUp ? 1 : 0
                for (place, count) in [
                    ("local", row.localPrefixes), ("announced", row.announcedPrefixes),
                    ("remote", row.remotePrefixes),
                ] {
                    metrics.gauge("evpnd_vrf_prefixes", "Prefixes", ["vrf": row.name, "place": place]).value =
                        Double(count)
                }
            }
            let statistics = self.dataplane.statistics
            for (state, count) in [
                ("desired", statistics.desired), ("pending", statistics.pending), ("failed", statistics.failed),
                ("waiting", statistics.waiting),
            ] {
                metrics.gauge("evpnd_dataplane_entries", "Forwarding entries by state", ["state": state]).value =
                    Double(count)
            }
        }
    }

    /// What readiness still waits for; empty when ready.
    func notReady() -> [String] {
        var reasons = speaker.notReady
        if let reason = dataplane.notReady { reasons.append(reason) }
        if !isSynchronized, speaker.notReady.isEmpty {
            reasons.append("waiting for End-of-RIB of the neighbors or the hold time")
        }
        let neighbors = speaker.neighbors()
        if !configuration.bgp.neighbors.isEmpty, !neighbors.contains(where: { $0.isEstablished }) {
            reasons.append("no neighbor is established")
        }
        return reasons
    }

    func response(to path: String) -> HTTPServer.Response {
        switch path {
        case "/metrics":
            return HTTPServer.Response(
                contentType: "text/plain; version=0.0.4; charset=utf-8", body: Array(metrics.text().utf8))
        case "/healthz": return HTTPServer.Response(body: Array("ok\n".utf8))
        case "/readyz":
            let reasons = notReady()
            if reasons.isEmpty { return HTTPServer.Response(body: Array("ready\n".utf8)) }
            return HTTPServer.Response(status: 503, body: Array(reasons.map { $0 + "\n" }.joined().utf8))
        default:
            return HTTPServer.Response(
                status: 404, body: Array("there are /metrics, /healthz and /readyz\n".utf8))
        }
    }
}
