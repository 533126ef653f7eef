// Rows of `show` as JSON objects, with the names that scripts rely on.

import BGP
import BGPEngine
import Documents
import EVPN
import NetTypes

extension ImportTargets {
    var text: String {
        switch self {
        case .automatic(let vni): "*:\(vni)"
        case .explicit(let targets): targets.map(\.description).joined(separator: " ")
        }
    }
}

extension VNIRow {
    /// `routed`: its layer-3 interface as configured.
    func json(domain status: DomainStatus?, routed: RoutedInterface?) -> JSONValue {
        let problem: JSONValue = status?.problem.map { JSONValue($0) } ?? .null
        return [
            "vni": JSONValue(vni.rawValue), "state": JSONValue(status?.state.rawValue ?? "waiting"),
            "device": status?.device.map { JSONValue($0) } ?? .null,
            "bridge": status?.bridge.map { JSONValue($0) } ?? .null,
            "managed": JSONValue(status?.isManaged ?? false), "vtep": JSONValue(domain?.vtep),
            "vrf": (domain?.vrf ?? routed?.vrf).map { JSONValue($0) } ?? .null,
            "gateway": .array((routed?.addresses ?? []).map { JSONValue($0.description) }),
            "rd": JSONValue(rd.description),
            "import": JSONValue(signalling.usesEVPN ? importTargets.text : "by membership"),
            "signalling": JSONValue(signalling.rawValue),
            "export": JSONValue(signalling.usesEVPN ? exportTargets.map(\.description).joined(separator: " ") : ""),
            "local_macs": .int(localMACs), "remote_macs": .int(remoteMACs), "local_neighbors": .int(localNeighbors),
            "remote_neighbors": .int(remoteNeighbors), "vteps": .int(remoteVTEPs), "frozen": .int(frozenMACs),
            "problem": problem, "way_out": status?.remedy.map { JSONValue($0) } ?? .null, "l3": false,
            "absent_members": .array((status?.absentMembers ?? []).map { JSONValue($0) }),
        ]
    }
}

extension MACRow {
    var json: JSONValue {
        let isLocal: Bool
        let location: String
        switch place {
        case .local(let port): (isLocal, location) = (true, port)
        case .remote(let vtep): (isLocal, location) = (false, vtep.description)
        }
        return [
            "vni": JSONValue(key.vni.rawValue), "mac": JSONValue(key.mac.description),
            "place": isLocal ? "local" : "remote", "at": JSONValue(location),
            "remote_vni": remoteVNI.map { JSONValue($0.rawValue) } ?? .null, "sequence": JSONValue(sequence),
            "sticky": JSONValue(isSticky), "gateway": JSONValue(isGateway), "frozen": JSONValue(isFrozen),
        ]
    }
}

extension VTEPRow {
    var json: JSONValue {
        ["vtep": JSONValue(vtep.description), "macs": .int(macs), "floods": .int(floods)]
    }
}

extension RouteView {
    func json(step: DecisionStep? = nil) -> JSONValue {
        let attributes = self.attributes.attributes
        var members: [JSONValue.Member] = [
            .init("route", JSONValue(key.description)), .init("family", JSONValue(key.family.description)),
            .init("type", JSONValue(key.kind.rawValue < 0xf0 ? Int(key.kind.rawValue) : 0)),
            .init("rd", key.family == .l2vpnEVPN ? JSONValue(key.rd.description) : .null),
            .init("neighbor", peer == .local ? "local" : JSONValue(peerAddress.description)),
            .init("next_hop", JSONValue(attributes.nextHop)), .init("best", JSONValue(isBest)),
            .init("stale", JSONValue(isStale)), .init("label", JSONValue(payload.label1)),
            .init("label2", payload.label2.map { JSONValue($0) } ?? .null),
            .init("pmsi_label", attributes.pmsiTunnel.map { JSONValue($0.label) } ?? .null),
            .init("local_preference", attributes.localPreference.map { JSONValue($0) } ?? .null),
            .init(
                "as_path",
                JSONValue(attributes.asPath.segments.flatMap(\.asns).map(String.init).joined(separator: " "))),
            .init("route_targets", .array(attributes.routeTargets.map { JSONValue($0.description) })),
            .init(
                "communities", .array(attributes.communities.map { JSONValue("\($0 >> 16):\($0 & 0xffff)") })),
            .init(
                "large_communities",
                .array(
                    attributes.largeCommunities.map { JSONValue("\($0.global):\($0.local1):\($0.local2)") })),
        ]
        if let mobility = attributes.extendedCommunities.lazy.compactMap(\.macMobility).first {
            members.append(.init("sequence", JSONValue(mobility.sequence)))
            members.append(.init("sticky", JSONValue(mobility.sticky)))
        }
        if let originator = attributes.originatorID {
            members.append(.init("originator_id", JSONValue(originator.description)))
        }
        if let ineligibility { members.append(.init("ineligible", JSONValue(ineligibility.description))) }
        if let step { members.append(.init("decided_by", JSONValue(step.description))) }
        return .object(members)
    }
}

extension EntryStatus {
    var text: String {
        switch self {
        case .absent: "not wanted"
        case .waiting(let reason): "waiting: \(reason)"
        case .pending: "sent, not acknowledged yet"
        case .done: "installed"
        case .failed(let reason, _): "refused: \(reason)"
        }
    }
}

extension NeighborStatus {
    func json(now: Instant) -> JSONValue {
        [
            "name": JSONValue(name.description), "interface": interface.map { JSONValue($0) } ?? .null,
            "address": interface != nil && address.isUnspecified ? .null : JSONValue(address.description),
            "asn": peerASN == 0 ? .null : JSONValue(peerASN), "local_asn": JSONValue(localASN),
            "description": description.map { JSONValue($0) } ?? .null,
            "peer_group": peerGroup.map { JSONValue($0) } ?? .null, "dynamic": JSONValue(isDynamic),
            "reflector_client": JSONValue(isReflectorClient), "state": JSONValue(state.rawValue),
            "since_seconds": .int(Int((now - since).inSeconds)), "router_id": JSONValue(routerID),
            "local_address": JSONValue(localAddress), "hold_time": JSONValue(holdTimeSeconds),
            "keepalive": JSONValue(keepaliveSeconds), "admin_down": JSONValue(isAdminDown),
            "stale_routes": JSONValue(isStale), "last_error": lastError.map { JSONValue($0) } ?? .null,
            "messages_in": .int(Int(clamping: messagesIn)), "messages_out": .int(Int(clamping: messagesOut)),
            "sessions": .int(Int(clamping: established)),
            "capabilities": .array(capabilities.map { JSONValue($0.name) }),
            "families": .array(
                families.map { family in
                    [
                        "family": JSONValue(family.family.description), "received": .int(family.counters.received),
                        "accepted": .int(family.counters.accepted), "stale": .int(family.counters.stale),
                        "advertised": family.counters.advertised.map { .int($0) } ?? .null,
                        "end_of_rib": JSONValue(family.hasEndOfRIB),
                    ]
                }),
            "faults": .array(
                faults.map { ["reason": JSONValue($0.reason), "count": .int(Int(clamping: $0.count))] }),
        ]
    }
}

extension Capability {
    /// A word for lists.
    fileprivate var name: String {
        switch self {
        case .multiprotocol(let family): family.description
        case .routeRefresh: "route-refresh"
        case .extendedNextHop: "extended-next-hop"
        case .extendedMessage: "extended-message"
        case .role(let role): "role-\(role)"
        case .gracefulRestart(_, let time, _): "graceful-restart-\(time)s"
        case .fourOctetAS: "4-octet-as"
        case .addPath: "add-path"
        case .enhancedRouteRefresh: "enhanced-route-refresh"
        case .longLivedGracefulRestart: "long-lived-graceful-restart"
        case .fqdn(let hostname, _): "fqdn-\(hostname)"
        case .other(let code, _): "\(code)"
        }
    }
}
