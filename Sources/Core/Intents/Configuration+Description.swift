// The configuration as it was understood: every default filled in, groups merged, automatic values given out. One fact a
// line, so that two of them can be compared with diff. Passwords are never shown.

import BGP
public import BGPEngine
public import EVPN
import GoBGPAPI
import NetTypes
import UnicastRoutes

extension Configuration: CustomStringConvertible {
    public var description: String { lines.map { $0 + "\n" }.joined() }

    /// The lines of `description`.
    public var lines: [String] {
        var lines: [String] = []
        switch node.vtep {
        case .address(let address): lines.append("node vtep \(address)")
        case .interface(let name): lines.append("node vtep of interface \(name)")
        case .devices: lines.append("node vtep of each device")
        }
        if let name = node.name { lines.append("node name \(name)") }
        if let gobgp { lines.append(gobgp.line) }
        lines += gobgp?.manages == false ? ["bgp as \(bgp.asn) id \(bgp.routerID)"] : bgp.lines
        lines += gobgp?.policies.lines ?? []
        lines += overlay.lines
        lines += switchLines
        if let netlinkImport {
            lines.append("import of networks on \(netlinkImport.interfaces.joined(separator: ","))")
        }
        lines += netlinkExport?.lines ?? []
        if let discovery { lines.append("vnis of operators' devices, signalling \(discovery.signalling.rawValue)") }
        lines.append("forwarding on exit \(forwarding.onExit.rawValue), stale hold \(forwarding.staleHoldSeconds)s")
        let listen = telemetry.listen.map { "on \($0)" } ?? "off"
        lines.append("telemetry \(listen), log level \(telemetry.logLevel.rawValue)")
        if let statsd = telemetry.statsd {
            lines.append(
                "statsd to \(statsd.name) port \(statsd.port)\(statsd.prefix.map { ", prefix \($0)" } ?? "")\(statsd.host.map { ", host \($0)" } ?? "")"
            )
        }
        let group = control.group.map { " group \($0)" } ?? ""
        lines.append("control \(control.socket)\(group) mode 0\(String(control.mode, radix: 8))")
        return lines
    }
}

extension NetlinkExport {
    /// One line for all of it, and one for each rule.
    fileprivate var lines: [String] {
        ["export to the kernel, protocol \(routeProtocol), dampening \(dampeningMilliseconds) ms"] + rules.map(\.line)
    }
}
extension NetlinkExport.Rule {
    fileprivate var line: String {
        let marks = CommunitySelection(communities, largeCommunities).words
        let place = [vrf.map { "vrf \($0)" }, table.map { "table \($0)" }].compactMap { $0 }.joined(separator: " ")
        let routes = source == nil ? "every route" : "every route of others"
        return "rule \(name): \(marks.isEmpty ? routes : marks.joined(separator: " or "))"
            + " to \(place.isEmpty ? "the main table" : place) metric \(metric)"
            + (validatesNexthop ? "" : ", next hops not validated")
    }
}

extension GoBGPSettings {
    fileprivate var line: String {
        let security = tls.map { $0.certificate == nil ? ", TLS" : ", TLS with a client certificate" } ?? ""
        let api = generation.map { ", API \($0)" } ?? ""
        return "speaker gobgpd at \(endpoint)\(security)\(api), hold \(holdSeconds)s"
            + ", messages up to \(messageLimit >> 20) MiB, \(manages ? "managed" : "not managed")"
    }
}

extension BGPConfiguration {
    /// One line for the speaker, one for each neighbor.
    public var lines: [String] {
        var words = ["bgp as \(asn) id \(routerID)"]
        let addresses = listenAddresses.isEmpty ? "any" : listenAddresses.map(\.description).joined(separator: ",")
        words.append(listenPort == 0 ? "no listener" : "listen \(addresses) port \(listenPort)")
        words.append("families \(families.map(\.description).joined(separator: ","))")
        if let clusterID { words.append("cluster \(clusterID)") }
        words.append(gracefulRestart.words)
        if alwaysCompareMED { words.append("always compare med") }
        if usesMultiplePaths { words.append("multiple paths") }
        if let bindToDevice { words.append("device \(bindToDevice)") }
        return [words.joined(separator: ", ")]
            + neighbors.map { "neighbor \($0.name) \($0.words)" }
            + dynamicNeighbors.map { "neighbors \($0.prefix) \($0.template.words)" }
    }
}

extension GracefulRestartConfiguration {
    fileprivate var words: String {
        guard isEnabled else { return "no graceful restart" }
        return helperOnly ? "graceful restart helper only" : "graceful restart \(restartTimeSeconds)s"
    }
}

extension NeighborConfiguration {
    /// Everything but the name.
    fileprivate var words: String {
        var words = [isExternal ? "external as" : peerASN == 0 ? "any as" : "as \(peerASN)"]
        if let localASN { words.append("local as \(localASN)") }
        if let peerGroup { words.append("group \(peerGroup)") }
        if let description { words.append("\"\(description)\"") }
        if isAdminDown { words.append("down") }
        if let shutdownMessage { words.append("message \"\(shutdownMessage)\"") }
        if password != nil { words.append("password set") }
        words.append("families \(families.map(\.words).joined(separator: ","))")
        words.append("hold \(holdTimeSeconds)s")
        if let keepaliveSeconds { words.append("keepalive \(keepaliveSeconds)s") }
        words.append("retry \(connectRetrySeconds)s")
        if let localAddress { words.append("from \(localAddress)") }
        if remotePort != 179 { words.append("port \(remotePort)") }
        if isPassive { words.append("passive") }
        if let bindInterface { words.append("device \(bindInterface)") }
        if let gracefulRestart { words.append(gracefulRestart.words) }
        if isRouteReflectorClient { words.append("reflector client") }
        if let multihopTTL { words.append("multihop ttl \(multihopTTL)") }
        if let ttlSecurityHops { words.append("ttl security hops \(ttlSecurityHops)") }
        if let role { words.append("role \(role)") }
        return words.joined(separator: ", ")
    }
}

extension FamilyConfiguration {
    fileprivate var words: String {
        var words = [family.description]
        if let prefixLimit {
            let restart = prefixLimit.restartSeconds.map { " restart \($0)s" } ?? ""
            let action = prefixLimit.warnOnly ? " warn only" : restart
            words.append("limit \(prefixLimit.maximum) warn \(prefixLimit.warningPercent)%\(action)")
        }
        if addPathReceive { words.append("add-path receive") }
        if nextHopSelf { words.append("next-hop-self") }
        return words.joined(separator: " ")
    }
}

extension Overlay {
    /// One line for each VRF, leak, VNI, gateway and static MAC, and one for duplicate detection.
    public var lines: [String] {
        var lines: [String] = []
        for vrf in vrfs { lines += vrf.lines }
        for evi in evis {
            let exports = evi.exportTargets.map(\.description).joined(separator: ",")
            lines.append(
                "vni \(evi.vni) rd \(evi.rd), import \(evi.importTargets.words), export \(exports), \(evi.domain.words)\(evi.signallingWords)"
            )
            if let words = evi.domain.routed?.words { lines.append("vni \(evi.vni) \(words)") }
            for mac in evi.staticMACs {
                let addresses = mac.addresses.map { " \($0)" }.joined()
                lines.append("vni \(evi.vni) mac \(mac.mac)\(addresses)\(mac.isSticky ? " sticky" : "")")
            }
        }
        if let membership {
            lines.append(
                "membership by \(membership.communityASN):VNI\(membership.advertises ? "" : ", not announced here")")
        }
        let readers = [
            compatibility.readsTunnelsOfMACs ? "tunnels of MACs" : nil,
            compatibility.readsPrefixesAsVTEPs ? "prefixes as VTEPs" : nil,
            compatibility.importsWithoutTarget ? "routes without target" : nil,
            compatibility.routerMAC.map { "router \($0) of prefixes without one" },
        ].compactMap { $0 }
        if !readers.isEmpty { lines.append("compatibility \(readers.joined(separator: ", "))") }
        let detection = duplicateDetection
        let recovery = detection.recoverAfterSeconds.map { "after \($0)s" } ?? "by command"
        lines.append(
            detection.isEnabled
                ? "duplicate detection \(detection.maximumMoves) moves in \(detection.windowSeconds)s, recover \(recovery)"
                : "duplicate detection off")
        return lines
    }
}

extension ImportTargets {
    fileprivate var words: String {
        switch self {
        case .automatic(let vni): "*:\(vni)"
        case .explicit(let targets): targets.isEmpty ? "none" : targets.map(\.description).joined(separator: ",")
        }
    }
}

extension IPVRF {
    /// One line for the VRF, one for what it announces, one for each leak.
    fileprivate var lines: [String] {
        let exports = exportTargets.isEmpty ? "none" : exportTargets.map(\.description).joined(separator: ",")
        var words = ["vrf \(name) \(vni.map { "vni \($0) " } ?? "")rd \(rd)"]
        words += ["import \(importTargets.words)", "export \(exports)", placeWords]
        if let domain { words.append(domain.words) }
        if let mac = domain?.routed?.mac { words.append("router mac \(mac)") }
        if maximumPaths != 64 { words.append("paths \(maximumPaths)") }
        var lines = [words.joined(separator: ", ")]
        if let selection { lines.append("vrf \(name) takes only \(selection)") }
        if let metric { lines.append("vrf \(name) has its routes with metric \(metric)") }
        if let words = announced.words { lines.append("vrf \(name) announces \(words)") }
        for leak in leaks {
            let prefixes = leak.prefixes.map { " \($0.prefix) \($0.minimumLength)..\($0.maximumLength)" }
            lines.append(
                "vrf \(name) leak from \(leak.source)\(prefixes.isEmpty ? " all" : prefixes.joined(separator: ","))")
        }
        return lines
    }
    private var placeWords: String {
        let managed = isManaged ? "managed" : "adopt"
        return switch place {
        case .device where domain?.device == .switched: "routed in the bridge"
        case .device(let table?): "\(managed) device table \(table)"
        case .device(nil): "\(managed) device"
        case .namespace(let namespace): "\(managed) in namespace \(namespace)"
        case .underlay: "the host's own table"
        }
    }
}

extension AnnouncedPrefixes {
    /// Nil: nothing is announced.
    fileprivate var words: String? {
        var words: [String] = []
        if !connected.isEmpty { words.append("connected \(connected.joined(separator: " "))") }
        if !protocols.isEmpty { words.append("protocols \(protocols.sorted().map { "\($0)" }.joined(separator: " "))") }
        words += prefixes.map(\.description)
        if usesGateway { words.append("with gateways") }
        return words.isEmpty ? nil : words.joined(separator: ", ")
    }
}

extension RoutedInterface {
    fileprivate var words: String {
        var words = vrf.map { ["in vrf \($0)"] } ?? []
        if !addresses.isEmpty { words.append("gateway \(addresses.map(\.description).joined(separator: " "))") }
        if let mac { words.append("mac \(mac)") }
        words.append("announced as \(announcement.rawValue)")
        return words.joined(separator: ", ")
    }
}

extension BroadcastDomain {
    fileprivate var words: String {
        "\(vtep.map { "vtep \($0)" } ?? "vtep of the node or device"), \(device.words)"
    }
}

extension EVI {
    /// What differs from plain EVPN.
    fileprivate var signallingWords: String {
        guard signalling != .evpn else { return "" }
        let community = memberCommunity.map { " community \($0 >> 16):\($0 & 0xffff)" } ?? ""
        return ", signalling \(signalling.rawValue)\(community)"
    }
}

extension BroadcastDomain.Device {
    fileprivate var words: String {
        switch self {
        case .adopted(nil): return "adopt by vni"
        case .adopted(let name?): return "adopt \(name)"
        case .switched: return "in the bridge"
        case .managed(let device):
            let mtu = device.mtu.map { " mtu \($0)" } ?? ""
            let members = device.members.isEmpty ? "" : " members \(device.members.joined(separator: ","))"
            return "managed \(device.vxlanName) on \(device.bridgeName) port \(device.port)\(mtu)\(members)"
        case .managedVLAN(let place):
            let vlan = place.vlan.map { "\($0)" } ?? "auto"
            let mtu = place.bridge.mtu.map { " mtu \($0)" } ?? ""
            let filter = place.bridge.filtersVNIs ? " vnifilter" : ""
            let members = place.members.isEmpty ? "" : " members \(place.members.joined(separator: ","))"
            return
                "managed vlan \(vlan) of \(place.bridge.vxlanName) on \(place.bridge.bridgeName) port \(place.bridge.port)\(mtu)\(filter)\(members)"
        }
    }
}

extension PolicyConfiguration {
    /// One line for each set, statement, assignment and VRF.
    fileprivate var lines: [String] {
        var lines = sets.map { set in
            let elements = set.list + set.prefixes.map { "\($0.prefix) \($0.minimumLength)..\($0.maximumLength)" }
            return "\(set.type.words) set \(set.name): \(elements.joined(separator: ", "))"
        }
        for policy in policies {
            lines.append("policy \(policy.name)")
            lines += policy.statements.map { "statement \($0.name): \($0.words)" }
        }
        for (word, assignment) in [("import", importing), ("export", exporting)] {
            let names = assignment.policies.map(\.name).joined(separator: ", ")
            guard !names.isEmpty || assignment.defaultAction != .none else { continue }
            let action = assignment.defaultAction == .none ? "" : " then \(assignment.defaultAction)"
            lines.append("\(word) through \(names.isEmpty ? "nothing" : names)\(action)")
        }
        for vrf in vrfs {
            let imports = vrf.importTargets.map(\.description).joined(separator: ",")
            let exports = vrf.exportTargets.map(\.description).joined(separator: ",")
            lines.append("vrf \(vrf.name) rd \(vrf.rd?.description ?? "none"), import \(imports), export \(exports)")
        }
        return lines
    }
}

extension DefinedType {
    fileprivate var words: String {
        switch self {
        case .asPath: "as-path"
        case .extendedCommunity: "extended-community"
        default: "\(self)"
        }
    }
}

extension Statement {
    fileprivate var words: String {
        var words: [String] = []
        let sets = [
            ("prefix", conditions?.prefixSet), ("neighbor", conditions?.neighborSet),
            ("as-path", conditions?.asPathSet),
            ("community", conditions?.communitySet), ("extended-community", conditions?.extendedCommunitySet),
        ]
        for case (let kind, let set?) in sets { words.append("\(kind) \(set.match) of \(set.name)") }
        if conditions?.routeType == .local { words.append("made here") }
        if let value = actions?.communities {
            words.append("\(value.change) \(value.communities.joined(separator: " "))")
        }
        if let value = actions?.med { words.append("med \(value.change) \(value.value)") }
        if let value = actions?.prepend { words.append("prepend \(value.asn) \(value.count) times") }
        if let value = actions?.localPreference { words.append("local preference \(value.value)") }
        switch actions?.routeAction {
        case .accept: words.append("accept")
        case .reject: words.append("reject")
        default: words.append("go on")
        }
        return words.joined(separator: ", ")
    }
}
