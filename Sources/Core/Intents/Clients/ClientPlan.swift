// Clients of all sources together, and what the overlay and the bridge become by them. Whatever two clients cannot both have goes to
// the first of them; the other is left out with the reason, and everybody else is served.

public import Anycast
import BGP
public import Documents
import EVPN
import GoBGPAPI
import NetTypes

/// What clients are added to.
struct ClientBase: Equatable, Sendable {
    var settings: OpenVSwitchSettings
    /// As the file has it without clients.
    var overlay: Overlay
    /// VNIs that the file names, also those that it disables.
    var named: Set<VNI>
    /// Those of the file itself.
    var clients: [Client]
    /// The VTEP address, where it is known from the file.
    var vtep: IPAddress?
}

/// Which anycast addresses work, as far as anybody knows.
public struct AnycastHealth: Equatable, Sendable {
    /// Those of the status file; nil: it has not been read yet, and lists none.
    public var listed: Set<AnycastName>?
    /// Those whose probes succeed.
    public var up: Set<AnycastName>
    public init(listed: Set<AnycastName>? = nil, up: Set<AnycastName> = []) {
        self.listed = listed
        self.up = up
    }
}

extension Configuration {
    /// The same with the clients of files added to those of evpnd.yaml, in this order of precedence, and with what is known of anycast
    /// addresses. The problems are of clients that cannot be served, or not as written; nothing else depends on them. `served`: those of
    /// the files that are. Without `dataplane: openvswitch` the same configuration.
    public func joined(by clients: [Client], health: AnycastHealth) -> (
        configuration: Configuration, problems: [Problem], served: [Client]
    ) {
        guard let base = clientBase else { return (self, [], []) }
        var plan = ClientPlan(base)
        for client in base.clients { plan.add(client) }
        let served = clients.filter { plan.add($0) }
        var result = self
        (result.overlay, result.openVSwitch, result.anycastTargets) = plan.finish(health)
        if result.gobgp?.filtersImports == true {
            let patterns = result.importPatterns
            result.gobgp?.policies = .connector(patterns)
        }
        // Without a client nothing of ours takes the place of what evpn-connector has left: then it stays.
        if base.settings.bridge.isConnectorCompatible, let vtep = base.vtep,
            let asn = UInt16(exactly: overlay.asn), !plan.isEmpty
        {
            result.gobgp?.predecessor = Predecessor(asn: asn, vtep: vtep)
        }
        return (result, plan.problems, served)
    }

    /// The targets that are imported, as gobgpd's sets have them.
    private var importPatterns: [String] {
        var patterns: Set<String> = []
        for targets in overlay.evis.map(\.importTargets) + overlay.vrfs.map(\.importTargets) {
            switch targets {
            case .automatic(let vni): patterns.insert("rt:^[0-9]+:\(vni)$")
            case .explicit(let targets): for target in targets { patterns.insert("rt:^\(target)$") }
            }
        }
        return patterns.sorted()
    }
}

/// One pass over all clients.
struct ClientPlan {
    /// What the clients of one VNI ask for together.
    private struct Service {
        var isRouted: Bool
        /// Who came first; nil: the file itself declares the VNI.
        var first: Client?
        var imports: Set<RouteTarget>?
        var exports: Set<RouteTarget>?
        var hasDiffered = false
    }
    private struct MACOfVNI: Hashable {
        var vni: VNI
        var mac: MACAddress
    }
    private struct AddressOfVNI: Hashable {
        var vni: VNI
        var address: IPAddress
    }
    /// What enters the bridge at the check port for one client, or comes from it.
    private struct Probed: Hashable {
        var attachment: Attachment
        var target: IPAddress
        var check: IPAddress
        var checker: IPAddress
        init(_ client: Client, _ address: AnycastAddress) {
            attachment = client.attachment
            target = address.target
            check = address.check
            checker = address.internalChecker
        }
    }

    private let base: ClientBase
    private var services: [VNI: Service] = [:]
    /// By the L3 VNI.
    private var vrfNames: [VNI: String] = [:]
    private var evis: Set<VNI> = []
    /// Of VNIs that the file declares.
    private var declared: [VNI: (imports: ImportTargets, exports: Set<RouteTarget>)] = [:]
    private var attachments: [Attachment: Client] = [:]
    /// Ports with tagged and with untagged clients.
    private var framings: [Attachment.Port: (isTagged: Bool, client: Client)] = [:]
    private var macs: [MACOfVNI: Client] = [:]
    private var addresses: [AddressOfVNI: Client] = [:]
    private var probed: [IPAddress: (use: Probed, client: Client)] = [:]
    private var bridged: [BridgedClient] = []
    private var routed: [RoutedClient] = []
    private var anycast: [Client.Anycast] = []
    private(set) var problems: [Problem] = []

    init(_ base: ClientBase) {
        self.base = base
        evis = Set(base.overlay.evis.map(\.vni))
        for evi in base.overlay.evis { declared[evi.vni] = (evi.importTargets, Set(evi.exportTargets)) }
        for vrf in base.overlay.vrfs {
            guard let vni = vrf.vni else { continue }
            vrfNames[vni] = vrf.name
            declared[vni] = (vrf.importTargets, Set(vrf.exportTargets))
        }
    }

    var isEmpty: Bool { bridged.isEmpty && routed.isEmpty }

    // MARK: One client

    /// Whether it is served.
    @discardableResult mutating func add(_ client: Client) -> Bool {
        guard isPossible(client), let service = service(client) else { return false }
        attachments[client.attachment] = client
        framings[client.attachment.port] = (client.attachment.tag != nil, client)
        services[client.vni] = service
        let exports =
            service.first == nil ? nil : self.exports(client, resolved(client.exports, client) ?? nil).sorted()
        switch client.service {
        case .bridged(let mac, let addresses):
            if let mac { macs[MACOfVNI(vni: client.vni, mac: mac)] = client }
            for address in addresses { self.addresses[AddressOfVNI(vni: client.vni, address: address)] = client }
            bridged.append(
                BridgedClient(
                    attachment: client.attachment, vni: client.vni, mac: mac, addresses: addresses, exports: exports))
        case .routed(let mac, let prefixes, let anycast):
            for claim in anycast {
                probed[claim.address.internalTarget] = (Probed(client, claim.address), client)
                self.anycast.append(claim)
            }
            routed.append(
                RoutedClient(
                    attachment: client.attachment, vrf: vrfName(client.vni), mac: mac, prefixes: prefixes,
                    anycast: anycast.map(\.address), exports: exports))
        }
        return true
    }

    private mutating func complain(
        _ place: Client.Place, _ reason: String, hint: String? = nil, _ severity: Problem.Severity = .error
    ) {
        problems.append(Problem(severity, at: place.position, path: place.path, reason, hint: hint))
    }

    /// Whether nobody has its port or MAC.
    private mutating func isPossible(_ client: Client) -> Bool {
        if case .number(let number) = client.attachment.port {
            let bridge = base.settings.bridge
            let owner =
                number == bridge.tunnelNumber
                ? "the tunnel port"
                : number == bridge.anycastCheck?.number ? "the check port of anycast addresses" : nil
            if let owner {
                complain(client.portPlace, "port \(number) is \(owner)")
                return false
            }
        } else if case .name(base.settings.bridge.tunnelPort) = client.attachment.port {
            complain(client.portPlace, "port \(client.attachment.port) is the tunnel port")
            return false
        }
        if let other = attachments[client.attachment] {
            complain(client.portPlace, "port \(client.attachment) is already that of \(other.name)")
            return false
        }
        if let other = framings[client.attachment.port], other.isTagged != (client.attachment.tag != nil) {
            let how = other.isTagged ? "tagged" : "untagged"
            complain(
                client.portPlace, "port \(client.attachment.port) has \(how) frames for \(other.client.name)",
                hint: "clients of one port have a VLAN each, or there is one client without")
            return false
        }
        guard case .bridged(let mac, let addresses) = client.service else { return canBeProbed(client) }
        guard let mac else {
            if base.settings.bridge.learningSeconds == nil {
                complain(client.macPlace, "mac is required", hint: "or have MACs learned: openvswitch.learningSeconds")
                return false
            }
            return true
        }
        if let other = macs[MACOfVNI(vni: client.vni, mac: mac)] {
            complain(client.macPlace, "MAC \(mac) in VNI \(client.vni) is already that of \(other.name)")
            return false
        }
        for address in addresses {
            guard let other = self.addresses[AddressOfVNI(vni: client.vni, address: address)] else { continue }
            complain(client.macPlace, "address \(address) in VNI \(client.vni) is already that of \(other.name)")
            return false
        }
        return true
    }

    /// Whether the addresses of its probes are its own.
    private mutating func canBeProbed(_ client: Client) -> Bool {
        guard case .routed(_, _, let anycast) = client.service else { return true }
        func differs(_ reason: String, _ hint: String) -> Bool {
            complain(client.anycastPlace, reason, hint: hint)
            return false
        }
        var zones: [IPAddress: UInt16] = [:]
        /// What is behind an `internal_dst_ip`, and which one answers of an address to a checker are from.
        var probes: [IPAddress: Probed] = [:]
        var answers: [[IPAddress]: IPAddress] = [:]
        for address in anycast.map(\.address) {
            let internalTarget = address.internalTarget
            let use = Probed(client, address)
            if let zone = zones.updateValue(address.zone, forKey: address.target), zone != address.zone {
                return differs(
                    "dst_ip \(address.target) has the conntrack_zone \(zone) and \(address.zone)",
                    "packets from it are translated back in one zone")
            }
            if let other = answers.updateValue(internalTarget, forKey: [address.target, address.check]),
                other != internalTarget
            {
                return differs(
                    "dst_ip \(address.target) is probed from \(address.check) for the internal_dst_ip \(other) and \(internalTarget)",
                    "its answers are translated into one of them")
            }
            if let other = probes.updateValue(use, forKey: internalTarget), other != use {
                return differs(
                    "internal_dst_ip \(internalTarget) has several dst_ip, check_ip or internal_checker_ip",
                    "each dst_ip is probed under an address of its own")
            }
            if let other = probed[internalTarget], other.use != use {
                return differs(
                    "internal_dst_ip \(internalTarget) is already that of \(other.client.name)",
                    "each client is probed under an address of its own")
            }
        }
        return true
    }

    /// Its VNI with its targets; nil: it cannot be of that VNI.
    private mutating func service(_ client: Client) -> Service? {
        let vni = client.vni
        let isDeclared = client.isRouted ? vrfNames[vni] != nil : evis.contains(vni)
        if base.named.contains(vni), !isDeclared {
            let isOther = client.isRouted ? evis.contains(vni) : vrfNames[vni] != nil
            complain(
                client.vniPlace,
                !isOther
                    ? "VNI \(vni) is disabled in the configuration"
                    : client.isRouted
                        ? "VNI \(vni) is a broadcast domain of the configuration, and cannot be routed by an l3 client"
                        : "VNI \(vni) is the L3 VNI of VRF \(vrfNames[vni] ?? ""), and cannot have an l2 client")
            return nil
        }
        var service = services[vni] ?? Service(isRouted: client.isRouted, first: isDeclared ? nil : client)
        if service.isRouted != client.isRouted, let first = service.first {
            complain(
                client.vniPlace, "VNI \(vni) is already used by \(first.name) as \(first.isRouted ? "l3" : "l2")",
                hint: "a VNI is for bridged clients or for routed ones")
            return nil
        }
        guard let imports = resolved(client.imports, client), let exports = resolved(client.exports, client) else {
            return nil
        }
        if isDeclared {
            if client.imports != nil || client.exports != nil, !agrees(client, imports, exports) {
                complain(
                    client.place, "route targets have no effect: VNI \(vni) has those of the configuration", .warning)
            }
        } else {
            let before = services[vni]
            if let before, let first = before.first, !before.hasDiffered, before.imports != imports {
                service.hasDiffered = true
                complain(
                    client.place, "imported route targets of VNI \(vni) differ from those of \(first.name)",
                    hint: "the VNI imports all of them", .warning)
            }
            if let targets = imports { service.imports = (service.imports ?? []).union(targets) }
            service.exports = (service.exports ?? []).union(self.exports(client, exports))
        }
        return service
    }

    /// What routes of a client have in a VNI that clients alone name.
    private func exports(_ client: Client, _ written: Set<RouteTarget>?) -> Set<RouteTarget> {
        written ?? [.automatic(asn: base.overlay.asn, vni: client.vni)]
    }

    /// With the AS of this node; `.some(nil)`: there are none; nil: one does not fit.
    private mutating func resolved(_ targets: [Client.Target]?, _ client: Client) -> Set<RouteTarget>?? {
        guard let targets else { return .some(nil) }
        var result: Set<RouteTarget> = []
        for target in targets {
            switch target {
            case .fixed(let target): result.insert(target)
            case .ofThisAS(let number):
                let asn = base.overlay.asn
                if let short = UInt16(exactly: asn) {
                    result.insert(RouteTarget(asn: short, number: number))
                } else if let short = UInt16(exactly: number) {
                    result.insert(RouteTarget(asn4: asn, number: short))
                } else {
                    complain(client.place, "route target 0:\(number) does not fit with AS \(asn), which leaves 16 bits")
                    return nil
                }
            }
        }
        return result
    }

    private func agrees(_ client: Client, _ imports: Set<RouteTarget>?, _ exports: Set<RouteTarget>?) -> Bool {
        guard let declared = declared[client.vni] else { return true }
        if let exports, exports != declared.exports { return false }
        guard let imports else { return true }
        switch declared.imports {
        case .automatic(let vni): return imports.allSatisfy { $0.automaticVNI == vni }
        case .explicit(let targets): return imports == Set(targets)
        }
    }

    private func vrfName(_ vni: VNI) -> String { vrfNames[vni] ?? "vrf\(vni)" }

    // MARK: All clients

    mutating func finish(
        _ health: AnycastHealth
    ) -> (overlay: Overlay, bridge: SwitchConfiguration, targets: [AnycastName: AnycastChecks.Target]) {
        var overlay = base.overlay
        for index in overlay.vrfs.indices where overlay.vrfs[index].vni.flatMap({ services[$0] }) != nil {
            overlay.vrfs[index].announced.protocols.insert(ClientPlan.protocolOfClients)
        }
        addServices(to: &overlay)
        let served = Set(overlay.evis.map(\.vni)), vrfs = Set(overlay.vrfs.map(\.name))
        var bridge = SwitchConfiguration(
            bridge: base.settings.bridge, bridged: bridged.filter { served.contains($0.vni) },
            routed: routed.filter { vrfs.contains($0.vrf) })
        bridge.bridged.sort { $0.attachment < $1.attachment }
        bridge.routed.sort { $0.attachment < $1.attachment }
        let listed = base.settings.anycastStatusFile == nil ? nil : health.listed ?? []
        var targets: [AnycastName: AnycastChecks.Target] = [:]
        for claim in anycast {
            let name = AnycastName(claim.address)
            let probe = base.settings.checkInterface == nil ? nil : claim.probe ?? base.settings.probe
            if let probe {
                targets[name] = AnycastChecks.Target(
                    to: claim.address.internalTarget, from: claim.address.internalChecker, probe: probe)
            }
            // Whoever is asked must agree; nobody asked, it is taken for working.
            if listed?.contains(name) ?? true, probe == nil || health.up.contains(name) {
                bridge.enabledAnycast.insert(claim.address)
            }
        }
        return (overlay, bridge, targets)
    }

    /// rt_protos: static.
    static let protocolOfClients: UInt8 = 4

    /// VNIs that only clients name.
    private mutating func addServices(to overlay: inout Overlay) {
        var taken = Set(overlay.evis.map(\.rd) + overlay.vrfs.map(\.rd))
        var names = Set(overlay.vrfs.map(\.name))
        let new = services.filter { $0.value.first != nil }.sorted { $0.key < $1.key }
        // Those whose number is the VNI itself come first, so that no larger one takes it.
        for (vni, service) in new.filter({ $0.key.rawValue <= 0xffff }) + new.filter({ $0.key.rawValue > 0xffff }) {
            guard let first = service.first else { continue }
            var rd: RouteDistinguisher?
            if base.settings.usesASNDistinguishers, let asn = UInt16(exactly: overlay.asn) {
                // Type 0 (RFC 4364 §4.2).
                rd = RouteDistinguisher(rawValue: UInt64(asn) << 32 | UInt64(vni.rawValue))
                if let wanted = rd, taken.contains(wanted) { rd = nil }
            } else {
                rd = RouteDistinguisher.firstFree(
                    overlay.routerID, from: UInt16(truncatingIfNeeded: vni.rawValue), isTaken: { taken.contains($0) })
            }
            guard let rd else {
                complain(first.vniPlace, "no route distinguisher is left for VNI \(vni)")
                continue
            }
            taken.insert(rd)
            let imports = service.imports.map { ImportTargets.explicit($0.sorted()) } ?? .automatic(vni)
            let exports = service.exports?.sorted() ?? [.automatic(asn: overlay.asn, vni: vni)]
            var domain = BroadcastDomain(vni: vni, device: .switched, vtep: base.vtep)
            guard service.isRouted else {
                overlay.evis.append(
                    EVI(vni: vni, rd: rd, importTargets: imports, exportTargets: exports, domain: domain))
                continue
            }
            let name = vrfName(vni)
            guard names.insert(name).inserted else {
                complain(first.vniPlace, "VRF \(name) of the configuration has another VNI", hint: "rename that one")
                continue
            }
            domain.isTransit = true
            domain.routed = RoutedInterface(
                vrf: name, mac: base.settings.bridge.routerMAC, announcement: .none)
            overlay.vrfs.append(
                IPVRF(
                    name: name, domain: domain, rd: rd, importTargets: imports, exportTargets: exports,
                    announced: AnnouncedPrefixes(protocols: [ClientPlan.protocolOfClients])))
        }
        overlay.evis.sort { $0.vni < $1.vni }
        overlay.vrfs.sort { $0.name < $1.name }
    }
}
