// `manage: true`: what gobgpd's own configuration should be, and the smallest set of changes that makes it so. No call is made here.

import BGP
import BGPEngine
import GoBGPAPI
import NetTypes

/// The parts of gobgpd's configuration that evpnd has a say in.
struct ManagedState: Equatable {
    var peers: [Peer] = []
    var groups: [PeerGroup] = []
    var dynamic: [DynamicNeighbor] = []
    var policies = PolicyConfiguration()
}

/// One call.
enum ManagementStep: Equatable {
    case addGroup(PeerGroup)
    case updateGroup(PeerGroup)
    case addPeer(Peer)
    case updatePeer(Peer)
    case addDynamic(DynamicNeighbor)
    case deleteDynamic(DynamicNeighbor)
    case deletePeer(String)
    case deleteGroup(String)
    /// A new set, elements that one lacks, and elements that it has too many.
    case addSet(DefinedSet)
    case extendSet(DefinedSet)
    case trimSet(DefinedSet)
    case deleteSet(DefinedSet)
    case addPolicy(Policy)
    case deletePolicy(Policy)
    /// All that routes pass in one direction; `made` and `gone` say what of it has become ours, and what no longer is.
    case assign(PolicyAssignment, made: [ManagedObject], gone: [ManagedObject])
    /// Routes that are already there pass the policies once more.
    case evaluateAgain
    case addVRF(VRF)
    case deleteVRF(String)

    /// What comes into being, to be remembered between runs: only what is remembered is ever deleted.
    var made: [ManagedObject] {
        switch self {
        case .addGroup, .addPeer, .addDynamic, .addSet, .addPolicy, .addVRF: [object].compactMap { $0 }
        case .assign(_, let made, _): made
        default: []
        }
    }
    var gone: [ManagedObject] {
        switch self {
        case .deleteDynamic, .deletePeer, .deleteGroup, .deleteSet, .deletePolicy, .deleteVRF:
            [object].compactMap { $0 }
        case .assign(_, _, let gone): gone
        default: []
        }
    }
    private var object: ManagedObject? {
        switch self {
        case .addGroup(let group), .updateGroup(let group): .group(group.configuration.name)
        case .deleteGroup(let name): .group(name)
        case .addPeer(let peer), .updatePeer(let peer): .peer(peer.key)
        case .deletePeer(let address): .peer(address)
        case .addDynamic(let entry), .deleteDynamic(let entry): .dynamic(entry.prefix, group: entry.peerGroup)
        case .addSet(let set), .extendSet(let set), .trimSet(let set), .deleteSet(let set): .set(set)
        case .addPolicy(let policy), .deletePolicy(let policy): .policy(policy.name)
        case .addVRF(let vrf): .vrf(vrf.name)
        case .deleteVRF(let name): .vrf(name)
        case .assign, .evaluateAgain: nil
        }
    }
    /// For people: `update neighbor 192.0.2.1`.
    var description: String {
        let verb =
            switch self {
            case .addGroup, .addPeer, .addDynamic, .addSet, .addPolicy, .addVRF: "add"
            case .updateGroup, .updatePeer: "update"
            case .deleteGroup, .deletePeer, .deleteDynamic, .deleteSet, .deletePolicy, .deleteVRF: "delete"
            case .extendSet: "add elements to"
            case .trimSet: "delete elements of"
            case .assign(let assignment, _, _):
                "\(assignment.direction.words) through \(assignment.policies.map(\.name))"
                    + (assignment.defaultAction == .none ? "" : " then \(assignment.defaultAction)")
            case .evaluateAgain: "soft reset"
            }
        return object.map { "\(verb) \($0.line)" } ?? verb
    }
}

extension PolicyDirection {
    var words: String { self == .importing ? "import" : "export" }
}

/// Something in gobgpd that we made.
enum ManagedObject: Hashable {
    case peer(String)
    case group(String)
    case dynamic(String, group: String)
    case definedSet(DefinedType, String)
    case policy(String)
    /// A policy among those that routes pass in one direction.
    case assigned(PolicyDirection, String)
    case defaultAction(PolicyDirection)
    case vrf(String)

    /// One line of the file that remembers them.
    var line: String {
        switch self {
        case .peer(let address): "neighbor \(address)"
        case .group(let name): "peer-group \(name)"
        case .dynamic(let prefix, let group): "dynamic-neighbor \(prefix) \(group)"
        case .definedSet(let type, let name): "defined-set \(type) \(name)"
        case .policy(let name): "policy \(name)"
        case .assigned(let direction, let name): "\(direction.words)-policy \(name)"
        case .defaultAction(let direction): "\(direction.words)-default"
        case .vrf(let name): "vrf \(name)"
        }
    }
    init?(line: Substring) {
        let words = line.split(separator: " ").map { String($0) }
        switch (words.first, words.count) {
        case ("neighbor", 2): self = .peer(words[1])
        case ("peer-group", 2): self = .group(words[1])
        case ("dynamic-neighbor", 3): self = .dynamic(words[1], group: words[2])
        case ("defined-set", 3):
            guard let type = Management.setTypes.first(where: { "\($0)" == words[1] }) else { return nil }
            self = .definedSet(type, words[2])
        case ("policy", 2): self = .policy(words[1])
        case ("import-policy", 2): self = .assigned(.importing, words[1])
        case ("export-policy", 2): self = .assigned(.exporting, words[1])
        case ("import-default", 1): self = .defaultAction(.importing)
        case ("export-default", 1): self = .defaultAction(.exporting)
        case ("vrf", 2): self = .vrf(words[1])
        default: return nil
        }
    }
}

enum Management {
    /// `Global` for StartBgp.
    static func global(_ configuration: BGPConfiguration) -> Global {
        var global = Global(
            asn: configuration.asn, routerID: configuration.routerID,
            listenPort: configuration.listenPort == 0 ? -1 : Int32(configuration.listenPort))
        global.listenAddresses = configuration.listenAddresses.map(\.description)
        global.bindToDevice = configuration.bindToDevice ?? ""
        global.gracefulRestart.isEnabled = configuration.gracefulRestart.isEnabled
        global.gracefulRestart.restartTime = UInt32(configuration.gracefulRestart.restartTimeSeconds)
        global.gracefulRestart.isHelperOnly = configuration.gracefulRestart.helperOnly
        global.routeSelection.alwaysCompareMED = configuration.alwaysCompareMED
        return global
    }
    /// What a running gobgpd has otherwise than it should, which only a new start of BGP could change.
    static func differences(_ found: Global, _ configuration: BGPConfiguration) -> [String] {
        var differences: [String] = []
        func compare(_ name: String, _ is: String, _ should: String) {
            if `is` != should { differences.append("gobgpd runs with \(name) \(`is`) instead of \(should)") }
        }
        compare("AS", "\(found.asn)", "\(configuration.asn)")
        compare("router ID", found.routerID, configuration.routerID.description)
        let port = found.listenPort <= 0 ? "none" : "\(found.listenPort)"
        compare("port", port, configuration.listenPort == 0 ? "none" : "\(configuration.listenPort)")
        return differences.map { $0 + "; restart gobgpd to change that" }
    }

    /// What should be there.
    static func desired(
        _ configuration: BGPConfiguration, _ policies: PolicyConfiguration = PolicyConfiguration()
    ) -> ManagedState {
        var state = ManagedState()
        state.policies = policies
        state.peers = configuration.neighbors.map { peer($0, configuration) }
        for entry in configuration.dynamicNeighbors {
            let name = entry.template.peerGroup ?? "evpnd-\(entry.prefix.address)-\(entry.prefix.length)"
            if !state.groups.contains(where: { $0.configuration.name == name }) {
                state.groups.append(group(name, entry.template, configuration))
            }
            state.dynamic.append(DynamicNeighbor(prefix: entry.prefix.description, peerGroup: name))
        }
        return state
    }

    private static func peer(_ neighbor: NeighborConfiguration, _ configuration: BGPConfiguration) -> Peer {
        var peer = Peer()
        peer.configuration = identified(neighbor)
        if let interface = neighbor.interface {
            peer.configuration.neighborInterface = interface
        } else {
            peer.configuration.neighborAddress = neighbor.address.description
        }
        peer.configuration.isAdminDown = neighbor.isAdminDown
        peer.settings = settings(neighbor, configuration)
        return peer
    }
    private static func group(
        _ name: String, _ neighbor: NeighborConfiguration, _ configuration: BGPConfiguration
    ) -> PeerGroup {
        var group = PeerGroup()
        group.configuration = identified(neighbor)
        group.configuration.name = name
        group.settings = settings(neighbor, configuration)
        return group
    }
    private static func identified<Identity: NeighborIdentity>(_ neighbor: NeighborConfiguration) -> Identity {
        var identity = Identity()
        identity.peerASN = neighbor.peerASN
        identity.localASN = neighbor.localASN ?? 0
        identity.description = neighbor.description ?? ""
        identity.authPassword = neighbor.password ?? ""
        return identity
    }
    private static func settings(
        _ neighbor: NeighborConfiguration, _ configuration: BGPConfiguration
    ) -> NeighborSettings {
        var settings = NeighborSettings()
        if let ttl = neighbor.multihopTTL {
            settings.ebgpMultihop.isEnabled = true
            settings.ebgpMultihop.ttl = UInt32(ttl)
        }
        if neighbor.isRouteReflectorClient {
            settings.routeReflector.isClient = true
            settings.routeReflector.clusterID = (configuration.clusterID ?? configuration.routerID).description
        }
        settings.timers.configuration.holdTime = UInt64(neighbor.holdTimeSeconds)
        settings.timers.configuration.keepaliveInterval = UInt64(
            neighbor.keepaliveSeconds ?? neighbor.holdTimeSeconds / 3)
        settings.timers.configuration.connectRetry = UInt64(neighbor.connectRetrySeconds)
        settings.transport.localAddress = neighbor.localAddress?.description ?? ""
        settings.transport.isPassive = neighbor.isPassive
        settings.transport.bindInterface = neighbor.bindInterface ?? ""
        settings.transport.remotePort = neighbor.remotePort == 179 ? 0 : UInt32(neighbor.remotePort)
        let restart = neighbor.gracefulRestart ?? configuration.gracefulRestart
        settings.gracefulRestart.isEnabled = restart.isEnabled
        if restart.isEnabled {
            settings.gracefulRestart.restartTime = UInt32(restart.restartTimeSeconds)
            settings.gracefulRestart.isHelperOnly = restart.helperOnly
        }
        if let hops = neighbor.ttlSecurityHops {
            settings.ttlSecurity.isEnabled = true
            settings.ttlSecurity.minimumTTL = UInt32(256 - Int(max(1, hops)))
        }
        let families =
            neighbor.families.isEmpty ? configuration.families.map { FamilyConfiguration($0) } : neighbor.families
        settings.families = families.map { family in
            var result = PeerFamily(family.family)
            // gobgpd 3.10 ends with an error when a neighbor with graceful restart for EVPN goes while it has MAC routes of its own.
            result.restartIsEnabled = restart.isEnabled && family.family != .l2vpnEVPN
            if let limit = family.prefixLimit {
                var value = PeerFamily.PrefixLimit()
                value.maximum = UInt32(clamping: limit.maximum)
                value.thresholdPercent = UInt32(clamping: limit.warningPercent)
                result.prefixLimit = value
            }
            result.addPathReceive = family.addPathReceive
            return result
        }
        return settings
    }

    // MARK: The difference

    static func objects(_ state: ManagedState) -> Set<ManagedObject> {
        Set(
            state.peers.map { ManagedObject.peer($0.key) }
                + state.groups.map { .group($0.configuration.name) }
                + state.dynamic.map { .dynamic($0.prefix, group: $0.peerGroup) } + ManagedObject.objects(state.policies)
        )
    }

    /// The steps from what is there to what should be. Of what should not be there only what is `owned` goes.
    static func plan(_ desired: ManagedState, _ found: ManagedState, owned: Set<ManagedObject>) -> [ManagementStep] {
        // Before neighbors, so that no route comes in past a policy.
        var steps = plan(desired.policies, found.policies, owned: owned)
        let wanted = objects(desired)
        func goes(_ object: ManagedObject) -> Bool { owned.contains(object) && !wanted.contains(object) }

        for entry in found.dynamic where goes(.dynamic(entry.prefix, group: entry.peerGroup)) {
            steps.append(.deleteDynamic(entry))
        }
        for peer in found.peers where goes(.peer(peer.key)) {
            steps.append(.deletePeer(peer.key))
        }
        for group in found.groups where goes(.group(group.configuration.name)) {
            steps.append(.deleteGroup(group.configuration.name))
        }
        for group in desired.groups {
            guard let there = found.groups.first(where: { $0.configuration.name == group.configuration.name }) else {
                steps.append(.addGroup(group))
                continue
            }
            let merged = merge(group, into: there)
            if merged != there { steps.append(.updateGroup(merged)) }
        }
        for entry in desired.dynamic where !found.dynamic.contains(entry) { steps.append(.addDynamic(entry)) }
        for peer in desired.peers {
            guard let there = found.peers.first(where: { $0.key == peer.key }) else {
                steps.append(.addPeer(peer))
                continue
            }
            var merged = merge(peer, into: there)
            merged.configuration.isAdminDown = peer.configuration.isAdminDown
            // gobgpd takes a session down for anything that is new in PeerConf; a mere description is not worth that.
            merged.configuration.description = there.configuration.description
            guard merged != there else { continue }
            merged.configuration.description = peer.configuration.description
            merged.state = PeerState()
            merged.timers.state = Timers.State()
            steps.append(.updatePeer(merged))
        }
        return steps
    }

    /// `there` with everything that evpnd has a say in; what it does not know stays as it is.
    private static func merge<Message: NeighborMessage>(_ wanted: Message, into there: Message) -> Message {
        var result = there
        result.configuration.peerASN = wanted.configuration.peerASN
        // gobgpd fills in its own ASN.
        if wanted.configuration.localASN != 0 { result.configuration.localASN = wanted.configuration.localASN }
        result.configuration.description = wanted.configuration.description
        result.configuration.authPassword = wanted.configuration.authPassword
        merge(wanted.ebgpMultihop, into: &result.ebgpMultihop)
        merge(wanted.routeReflector, into: &result.routeReflector)
        merge(wanted.ttlSecurity, into: &result.ttlSecurity)
        merge(wanted.timers, into: &result.timers)
        merge(wanted.transport, into: &result.transport)
        merge(wanted.gracefulRestart, into: &result.gracefulRestart)
        merge(wanted.families, into: &result.families)
        return result
    }
    // A part that is off may keep whatever values it has.
    private static func merge(_ wanted: EBGPMultihop, into found: inout EBGPMultihop) {
        if wanted.isEnabled || found.isEnabled { found = wanted }
    }
    private static func merge(_ wanted: RouteReflector, into found: inout RouteReflector) {
        if wanted.isClient || found.isClient { found = wanted }
    }
    private static func merge(_ wanted: TTLSecurity, into found: inout TTLSecurity) {
        if wanted.isEnabled || found.isEnabled { found = wanted }
    }
    private static func merge(_ wanted: Timers, into found: inout Timers) {
        found.configuration.holdTime = wanted.configuration.holdTime
        found.configuration.keepaliveInterval = wanted.configuration.keepaliveInterval
        found.configuration.connectRetry = wanted.configuration.connectRetry
    }
    private static func merge(_ wanted: Transport, into found: inout Transport) {
        // Once a session is up gobgpd shows the address in use.
        if !wanted.localAddress.isEmpty { found.localAddress = wanted.localAddress }
        found.isPassive = wanted.isPassive
        found.bindInterface = wanted.bindInterface
        // 0 and 179 are the same.
        if wanted.remotePort != 0 || found.remotePort != 179 { found.remotePort = wanted.remotePort }
    }
    private static func merge(_ wanted: GracefulRestart, into found: inout GracefulRestart) {
        guard wanted.isEnabled || found.isEnabled else { return }
        found.isEnabled = wanted.isEnabled
        if wanted.isEnabled {
            found.restartTime = wanted.restartTime
            found.isHelperOnly = wanted.isHelperOnly
        }
    }
    private static func merge(_ wanted: [PeerFamily], into found: inout [PeerFamily]) {
        let enabled = found.filter { $0.family != nil }
        func value(_ wanted: PeerFamily) -> PeerFamily {
            guard var there = enabled.first(where: { $0.family == wanted.family }) else { return wanted }
            there.isEnabled = true
            there.restartIsEnabled = wanted.restartIsEnabled
            if there.prefixLimit?.maximum != wanted.prefixLimit?.maximum
                || there.prefixLimit?.thresholdPercent != wanted.prefixLimit?.thresholdPercent
            {
                there.prefixLimit = wanted.prefixLimit
            }
            there.addPathReceive = wanted.addPathReceive
            return there
        }
        let merged = wanted.map(value)
        // The order says nothing.
        if Set(merged) != Set(found) { found = merged }
    }
}
