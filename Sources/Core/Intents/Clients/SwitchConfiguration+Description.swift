// The bridge of Open vSwitch and its clients, one fact a line.

import Anycast
import BGP
import EVPN
import NetTypes

extension Configuration {
    /// Nothing where the kernel forwards.
    var switchLines: [String] {
        guard let openVSwitch else { return [] }
        var lines = openVSwitch.lines(overlay)
        if let settings = openVSwitchSettings {
            if let file = settings.anycastStatusFile { lines.append("anycast status from \(file)") }
            if let interface = settings.checkInterface {
                lines.append(
                    "anycast checks through \(interface)\(settings.probe.map { ", " + $0.words } ?? " where asked for")"
                )
            }
            if settings.usesASNDistinguishers { lines.append("route distinguishers of clients are AS:VNI") }
        }
        for (name, target) in anycastTargets.sorted(by: { $0.key < $1.key }) {
            lines.append("anycast \(name) from \(target.from): \(target.probe.words)")
        }
        if let clientDirectory {
            let grace =
                clientDirectory.emptyGraceSeconds.map { "believed empty after \($0)s" }
                ?? "believed empty when confirmed"
            lines.append("clients of \(clientDirectory.path), \(grace)")
        }
        return lines
    }
}

extension Probe {
    fileprivate var words: String {
        "\(method) every \(intervalSeconds)s for \(timeoutSeconds)s, rise \(rise) fall \(fall)"
    }
}

extension SwitchConfiguration {
    /// One line for the bridge, one for each client and each of its anycast addresses.
    fileprivate func lines(_ overlay: Overlay) -> [String] {
        var words = [
            "bridge \(bridge.name) of \(bridge.database)", "tunnel \(bridge.tunnelPort) port \(bridge.tunnelNumber)",
            "udp \(bridge.udpPort)", "router mac \(bridge.routerMAC)",
        ]
        if let tls = bridge.tls { words.append("TLS\(tls.certificate == nil ? "" : " with a client certificate")") }
        if let directory = bridge.runDirectory { words.append("sockets in \(directory)") }
        if let type = bridge.datapathType { words.append("datapath \(type)") }
        if bridge.isConnectorCompatible { words.append("flows of evpn-connector") }
        if let seconds = bridge.learningSeconds { words.append("learns for \(seconds)s") }
        if bridge.holdSeconds != 30 { words.append("hold \(bridge.holdSeconds)s") }
        if let check = bridge.anycastCheck { words.append("check port \(check.number) \(check.mac)") }
        var lines = [words.joined(separator: ", ")]
        func exports(_ own: [RouteTarget]?, _ service: [RouteTarget]?) -> String {
            guard let own, own != service else { return "" }
            return own.isEmpty ? ", export none" : ", export \(own.map(\.description).joined(separator: ","))"
        }
        for client in bridged {
            let targets = exports(client.exports, overlay.evis.first { $0.vni == client.vni }?.exportTargets)
            let addresses = client.addresses.map { " \($0)" }.joined()
            lines.append(
                "client \(client.attachment): vni \(client.vni) \(client.mac.map { "mac \($0)" } ?? "learned")\(addresses)\(targets)"
            )
        }
        for client in routed {
            let prefixes = client.prefixes.map { " \($0)" }.joined()
            let targets = exports(client.exports, overlay.vrfs.first { $0.name == client.vrf }?.exportTargets)
            lines.append("client \(client.attachment): vrf \(client.vrf) mac \(client.mac)\(prefixes)\(targets)")
            for anycast in client.anycast {
                let state = enabledAnycast.contains(anycast) ? "" : ", disabled"
                lines.append(
                    "client \(client.attachment) anycast \(anycast.address) to \(anycast.target) zone \(anycast.zone), checked "
                        + "\(anycast.internalChecker) \(anycast.check) to \(anycast.internalTarget)\(state)")
            }
        }
        return lines
    }
}
