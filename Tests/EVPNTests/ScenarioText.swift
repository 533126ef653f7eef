// Inputs and outputs of the control plane as text, so that a scenario is a file that people read.

import BGP
import EVPN
import NetTypes

extension ForwardingChange {
    var text: String {
        switch self {
        case .flood(let key, let row):
            row.map { "flood vni \(key.vni) -> \(key.vtep) vni \($0.vni)" }
                ?? "flood vni \(key.vni) -> \(key.vtep) gone"
        case .mac(let key, let row):
            row.map { "mac vni \(key.vni) \(key.mac) -> \($0.vtep) vni \($0.vni)\($0.isSticky ? " sticky" : "")" }
                ?? "mac vni \(key.vni) \(key.mac) gone"
        case .neighbor(let key, let row):
            row.map { "neighbor vni \(key.vni) \(key.ip) -> \($0.mac)\($0.isRouter ? " router" : "")" }
                ?? "neighbor vni \(key.vni) \(key.ip) gone"
        case .prefix(let key, let row):
            row.map { "prefix vrf \(key.vrf) \(key.prefix) -> \($0.nexthops.map(\.text).joined(separator: ", "))" }
                ?? "prefix vrf \(key.vrf) \(key.prefix) gone"
        }
    }
    var forwardingKey: ForwardingKey {
        switch self {
        case .flood(let key, _): .flood(key)
        case .mac(let key, _): .mac(key)
        case .neighbor(let key, _): .neighbor(key)
        case .prefix(let key, _): .prefix(key)
        }
    }
    var isRemoval: Bool {
        switch self {
        case .flood(_, let row): row == nil
        case .mac(_, let row): row == nil
        case .neighbor(_, let row): row == nil
        case .prefix(_, let row): row == nil
        }
    }
}

extension RoutedNexthop {
    var text: String {
        switch self {
        case .router(let vtep, let vni): "router \(vtep) vni \(vni)"
        case .host(let ip, let vni): "host \(ip) vni \(vni)"
        case .table(let vrf): "vrf \(vrf)"
        case .tunnel(let vtep, let vni, let mac): "tunnel \(vtep) vni \(vni) router \(mac)"
        }
    }
}

extension AdvertisementChange {
    var text: String {
        guard let route else { return "withdraw \(key)" }
        let attributes = route.attributes.attributes
        var words = ["announce \(key)"]
        if route.payload.label1 != 0 { words.append("label \(route.payload.label1)") }
        if let label2 = route.payload.label2 { words.append("label2 \(label2)") }
        if let gateway = route.payload.gateway { words.append("gw \(gateway)") }
        words.append("via \(attributes.nextHop.map { "\($0)" } ?? "-")")
        if key.family == .l2vpnEVPN {
            words.append("rt \(attributes.routeTargets.map { "\($0)" }.joined(separator: ","))")
        }
        if !attributes.communities.isEmpty {
            words.append(
                "communities \(attributes.communities.map { "\($0 >> 16):\($0 & 0xffff)" }.joined(separator: ","))")
        }
        if !attributes.largeCommunities.isEmpty {
            let large = attributes.largeCommunities.map { "\($0.global):\($0.local1):\($0.local2)" }
            words.append("large \(large.joined(separator: ","))")
        }
        for community in attributes.extendedCommunities {
            if let mobility = community.macMobility {
                words.append("seq \(mobility.sequence)\(mobility.sticky ? " sticky" : "")")
            }
            if community.isDefaultGateway { words.append("gateway") }
            if let mac = community.routerMAC { words.append("rmac \(mac)") }
            if let flags = community.neighborDiscoveryFlags { words.append("nd-flags \(flags.rawValue)") }
            if let type = community.encapsulationType { words.append("encap \(type)") }
        }
        if let tunnel = attributes.pmsiTunnel {
            words.append(
                "pmsi \(tunnel.tunnelType) label \(tunnel.label) endpoint \(tunnel.endpoint.map { "\($0)" } ?? "-")")
        }
        return words.joined(separator: " ")
    }
}

extension ControlPlaneEvent {
    var text: String {
        switch self {
        case .moved(let key, let from, let to, let sequence): "moved \(key) from \(from) to \(to) seq \(sequence)"
        case .addressMoved(let key, let from, let to, let sequence):
            "address moved \(key) from \(from) to \(to.mac) seq \(sequence)"
        case .addressConflict(let key, let here, let there, let vtep):
            "address conflict \(key) here \(here) there \(there) behind \(vtep)"
        case .duplicateDetected(let key, let moves, let at): "duplicate \(key) after \(moves) moves, stays \(at)"
        case .recovered(let key, let byCommand): "recovered \(key) \(byCommand ? "by command" : "by itself")"
        case .conflict(let key, let winner, let loser): "conflict \(key) winner \(winner) loser \(loser)"
        case .vtepsDiffer(let vni, let vtep, let transit, let transitVTEP):
            "vni \(vni) has vtep \(vtep), its l3 vni \(transit) has \(transitVTEP)"
        case .leakRefused(let key, let ip): "vrf \(key.vrf) refuses \(key.prefix): it would lead \(ip) elsewhere"
        case .routersDiffer(let vni, let vtep, let used, let unused):
            "routers of \(vtep) in vni \(vni) differ: \(used) used, \(unused) not"
        case .membershipChanged(let vtep, let vnis): "membership of \(vtep) in \(vnis) VNIs"
        case .membershipTooLong(let vtep, let omitted): "membership of \(vtep) leaves out \(omitted)"
        case .routeIgnored(let key, let reason): "ignored \(key): \(reason)"
        }
    }
}

extension RouteVerdict {
    var text: String {
        var words = ["\(route)", "via \(vtep.map { "\($0)" } ?? "-")", "vni \(label)"]
        if sequence > 0 { words.append("seq \(sequence)") }
        if isSticky { words.append("sticky") }
        if isGateway { words.append("gateway") }
        words.append("rt \(routeTargets.map { "\($0)" }.joined(separator: ","))")
        if let gateway { words.append("gw \(gateway)") }
        if let through { words.append("through \(through)") }
        switch outcome {
        case .chosen: words.append("chosen")
        case .notChosen(let because): words.append("not chosen: \(because)")
        case .ignored(let reason): words.append("ignored: \(reason)")
        }
        return words.joined(separator: " ")
    }
}

extension MACExplanation {
    var lines: [String] {
        var lines = ["\(key): \(owner.map { "\($0)" } ?? "nobody"), because \(because)"]
        if !isConfigured { lines.append("not configured") }
        if let local {
            lines.append("local on \(local.port) seq \(localSequence ?? 0)\(local.isSticky ? " sticky" : "")")
        }
        if let configured { lines.append("configured\(configured.isSticky ? " sticky" : "")") }
        lines += candidates.map { "candidate \($0.text)" }
        lines += ignored.map { "other \($0.text)" }
        if let frozenSince { lines.append("frozen since \(frozenSince.nanoseconds / 1_000_000_000)") }
        if moves > 0 { lines.append("moves \(moves)") }
        if let forwarding { lines.append("forwarding -> \(forwarding.vtep) vni \(forwarding.vni)") }
        if !localAddresses.isEmpty {
            lines.append("addresses \(localAddresses.map { "\($0)" }.joined(separator: ","))")
        }
        lines += advertised.map { "advertised \($0)" }
        return lines
    }
}

extension PrefixSource {
    var text: String {
        switch self {
        case .local(let local):
            local.isConnected
                ? "connected \(local.interface)"
                : "proto \(local.proto) \(local.isDropped ? "dropped" : local.interface)"
        case .host(let vnis): "host in vni \(vnis.map { "\($0)" }.joined(separator: ","))"
        case .macIP: "type 2"
        case .ipPrefix: "type 5"
        case .leaked(let vrf): "leaked from \(vrf)"
        case .announced: "announced"
        }
    }
}

extension PrefixRow {
    var text: String {
        var words = ["\(key) by \(source.text)"]
        if !nexthops.isEmpty { words.append("-> \(nexthops.map(\.text).joined(separator: ", "))") }
        if !routes.isEmpty { words.append("from \(routes.map { "\($0)" }.joined(separator: ", "))") }
        return words.joined(separator: " ")
    }
}

extension PrefixExplanation {
    var lines: [String] {
        var lines = ["\(key), because \(because)"]
        if let row { lines.append(row.text) }
        lines += candidates.map { "candidate \($0.text)" }
        lines += ignored.map { "other \($0.text)" }
        lines += advertised.map { "advertised \($0)" }
        lines += problems.map { "problem: \($0)" }
        return lines
    }
}

extension VRFRow {
    var text: String {
        let vnis = vnis.map { "\($0)" }.joined(separator: ",")
        return
            "vrf \(name) vni \(vni.map { "\($0)" } ?? "-") rd \(rd) \(domain.map { "\($0.vtep)" } ?? "down") evis \(vnis) local \(localPrefixes)+\(localHosts) announced \(announcedPrefixes) remote \(remotePrefixes)"
            + routerConflicts.map { " conflict \($0.mac) winner \($0.winner) loser \($0.loser)" }.joined()
    }
}
