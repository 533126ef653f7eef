// What an earlier evpnd has left in the bridge. After a start routes come one after the other: what nobody has asked for yet may be
// wanted in a second. What is wanted is set at once. Of what was found only that is kept which leads to other VTEPs, as long as nothing
// else is known of its destination: flows of MAC addresses, hosts and prefixes, members of flood lists, and equal paths of which only
// some are known. What leads to a port of this host goes at once where it is not wanted: clients are known from the beginning.

import EVPN
import NetTypes
import OpenFlow

/// Found in the bridge and not known to be wanted.
struct Found: Sendable {
    /// Those of a subject are kept together.
    var flows: [Subject: [Flow]] = [:]
    /// Where frames to many went. A domain without any had packets from other VTEPs all the same.
    var floods: [VNI: [IPAddress: FloodMember]] = [:]
    /// All of them: a group that goes takes the flows with it that use it.
    var groups: [UInt32: Group] = [:]
}

/// Where a flow sends its packets.
private enum Way: Hashable {
    case vtep(IPAddress)
    case port(UInt32)
    /// As others of a broadcast domain or of another VRF.
    case lookup

    var isPort: Bool { if case .port = self { true } else { false } }
}

extension FlowTables {
    /// How many flows, members of flood lists and groups are in the bridge only because they were found there.
    public var keptCount: Int {
        var count = found.groups.keys.count { groups.all[$0] == nil }
        for flows in found.flows.values { count += flows.count }
        for (vni, members) in found.floods where isBroadcastDomain(vni) {
            let isKnown = macCounts[vni] != nil || floods[vni] != nil
            count += members.isEmpty && !isKnown ? 1 : members.count
        }
        return count
    }

    /// The bridge has been read. At a second time only what is still the same is kept on.
    mutating func find(_ flows: [Flow], _ groups: [Group]) {
        guard !isComplete else { return }
        var now = Found()
        now.groups = Dictionary(groups.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        let vrfs = Dictionary(
            model.vrfs.values.map { (UInt128($0.number), $0.name) }, uniquingKeysWith: { first, _ in first })
        for flow in flows {
            if let (vni, members) = flooding(flow) {
                now.floods[vni, default: [:]].merge(members) { first, _ in first }
            } else if let subject = remoteSubject(flow.key, vrfs) {
                now.flows[subject, default: []].append(flow)
            }
        }
        for subject in now.flows.keys { now.flows[subject]?.sort { $0.key < $1.key } }
        if hasFound {
            now.flows = found.flows.filter { now.flows[$0.key] == $0.value }
            now.groups = found.groups.filter { now.groups[$0.key] == $0.value }
            let still = now.floods
            now.floods = found.floods.filter { still[$0.key] != nil }
            for (vni, members) in now.floods {
                now.floods[vni] = members.filter { still[vni]?[$0.key] == $0.value }
            }
        } else {
            // What is known is not kept.
            for (vni, members) in floods { for vtep in members.keys { now.floods[vni]?[vtep] = nil } }
        }
        hasFound = true
        touchFound()
        changes.isUnordered = true
        for subject in now.flows.keys { touch(subject) }
        for vni in now.floods.keys { touch(.domain(vni)) }
        found = now
    }

    /// What nobody has asked for by now goes.
    mutating func complete() {
        isComplete = true
        touchFound()
        changes.foundGroups = Array(found.groups.keys)
        found = Found()
    }

    mutating func touchFound() {
        guard !found.flows.isEmpty || !found.floods.isEmpty else { return }
        changes.isUnordered = true
        for subject in found.flows.keys { touch(subject) }
        for vni in found.floods.keys { touch(.domain(vni)) }
    }

    /// What is found of a subject stays instead of what is wanted; nil: it does not.
    func kept(_ subject: Subject, _ wanted: [Flow]) -> [Flow]? {
        guard let old = found.flows[subject] else { return nil }
        switch subject {
        case .mac(let key): guard isBroadcastDomain(key.vni) else { return nil }
        case .neighbor(let key): return isBroadcastDomain(key.vni) && wanted.isEmpty && !model.isCompatible ? old : nil
        case .route(let key):
            guard let number = model.vrfs[key.vrf]?.number,
                old.allSatisfy({ $0.key.match[.register2] == .register(Layout.Register.vrf, number) })
            else { return nil }
        default: return nil
        }
        let (before, now) = (ways(old), ways(wanted))
        let lost = before.subtracting(now)
        return now.isSubset(of: before) && !lost.isEmpty && !lost.contains(where: \.isPort) ? old : nil
    }
    /// Renders a subject that has changed. Once nothing of what was found is kept of it, nothing will be.
    mutating func settle(_ subject: Subject) -> [Flow] {
        let flows = render(subject).flows
        if found.flows[subject] != nil, kept(subject, renderWanted(subject).flows) == nil {
            found.flows[subject] = nil
        }
        return flows
    }

    private func isBroadcastDomain(_ vni: VNI) -> Bool { model.domains[vni].map { $0.transit == nil } ?? false }

    // MARK: Reading flows

    /// The subject of a flow of other VTEPs' hosts and prefixes, which may be one of this host's; nil: of no such.
    private func remoteSubject(_ key: FlowKey, _ vrfs: [UInt128: String]) -> Subject? {
        let match = key.match
        switch key.table {
        case Layout.Table.forward where key.priority == Layout.Priority.normal && match[.ethernetDestination] != nil:
            guard let vni = VNI(match[.register0]), let mac = match[.ethernetDestination], mac.isExact else {
                return nil
            }
            return .mac(MACKey(vni: vni, mac: MACAddress(rawValue: UInt64(truncatingIfNeeded: mac.value))))
        case Layout.Table.forward, Layout.Table.paths:
            guard let number = match[.register2], let vrf = vrfs[number.value],
                let prefix = IPPrefix(destination: match), key.priority == Layout.Priority.prefix(prefix)
            else { return nil }
            return .route(PrefixKey(vrf: vrf, prefix: prefix))
        case Layout.Table.answers:
            guard let vni = VNI(match[.register0]) else { return nil }
            if let target = match[.arpTarget], target.isExact {
                return .neighbor(NeighborKey(vni: vni, ip: IPAddress(bits: target.value, isV6: false)))
            }
            guard let target = match[.ndTarget], target.isExact else { return nil }
            return .neighbor(NeighborKey(vni: vni, ip: IPAddress(bits: target.value, isV6: true)))
        default: return nil
        }
    }

    /// The domain of a flow for frames to many from here, or for frames from other VTEPs, and where it sends to.
    private func flooding(_ flow: Flow) -> (VNI, [IPAddress: FloodMember])? {
        let match = flow.key.match
        if flow.key.table == Layout.Table.classify {
            guard match[.inPort] == .inPort(PortNumber(outputNumber)), let vni = VNI(match[.tunnelID]) else {
                return nil
            }
            return (vni, [:])
        }
        guard flow.key.table == Layout.Table.forward, flow.key.priority == Layout.Priority.flood,
            match[.register1]?.value == 1, let vni = VNI(match[.register0])
        else { return nil }
        var members: [IPAddress: FloodMember] = [:]
        var sent: (vni: VNI?, vtep: IPAddress?)
        for action in flow.actions {
            switch action {
            case .setField(let field) where field.field == .tunnelID: sent.vni = VNI(field)
            case .setField(let field): sent.vtep = IPAddress(tunnelDestination: field) ?? sent.vtep
            case .output(PortNumber(outputNumber)):
                if let vni = sent.vni, let vtep = sent.vtep { members[vtep] = FloodMember(vni: vni) }
            default: break
            }
        }
        return members.isEmpty ? nil : (vni, members)
    }

    private func ways(_ flows: [Flow]) -> Set<Way> { flows.reduce(into: []) { $0.formUnion(self.ways($1.actions)) } }
    private func ways(_ actions: [Action]) -> Set<Way> {
        var ways: Set<Way> = []
        var vtep: IPAddress?
        for action in actions {
            switch action {
            case .setField(let field): vtep = IPAddress(tunnelDestination: field) ?? vtep
            case .output(let port):
                if let vtep, port.rawValue == outputNumber {
                    ways.insert(.vtep(vtep))
                } else {
                    ways.insert(.port(port.rawValue))
                }
            case .resubmit(_, Layout.Table.forward): ways.insert(.lookup)
            case .group(let id): ways.formUnion(self.ways(ofGroup: id))
            default: break
            }
        }
        return ways
    }
    private func ways(ofGroup id: UInt32) -> Set<Way> {
        guard let paths = groups.all[id] else {
            return (found.groups[id]?.buckets ?? []).reduce(into: []) { $0.formUnion(self.ways($1.actions)) }
        }
        return Set(
            paths.dropFirst().map { path in
                switch path {
                case .client(let place, _, _): .port(place.number)
                case .tunnel(let vtep, _, _): .vtep(vtep)
                case .host, .table: .lookup
                }
            })
    }
}

extension VNI {
    fileprivate init?(_ field: MatchField?) {
        guard let field, field.isExact, let number = UInt32(exactly: field.value) else { return nil }
        self.init(number)
    }
}
extension IPAddress {
    fileprivate init(bits: UInt128, isV6: Bool) {
        self =
            isV6
            ? .v6(IPv6Address(high: UInt64(truncatingIfNeeded: bits >> 64), low: UInt64(truncatingIfNeeded: bits)))
            : .v4(IPv4Address(rawValue: UInt32(truncatingIfNeeded: bits)))
    }
    fileprivate init?(tunnelDestination field: MatchField) {
        switch field.field {
        case .tunnelIPv4Destination: self.init(bits: field.value, isV6: false)
        case .tunnelIPv6Destination: self.init(bits: field.value, isV6: true)
        default: return nil
        }
    }
}
extension IPPrefix {
    /// Of the packets that a flow is for; nil: it says nothing of their destination but perhaps their family.
    fileprivate init?(destination match: Match) {
        guard let family = match[.ethernetType] else { return nil }
        let isV6 = family == .ethernetType(EtherType.ipv6)
        guard isV6 || family == .ethernetType(EtherType.ipv4) else { return nil }
        let field = match[isV6 ? .ipv6Destination : .ipv4Destination]
        self.init(
            IPAddress(bits: field?.value ?? 0, isV6: isV6), length: field?.mask.nonzeroBitCount ?? 0)
    }
}
