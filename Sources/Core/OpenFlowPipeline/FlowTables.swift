// Forwarding state as flows of one Open vSwitch bridge. A value without sockets: what is wanted of the bridge, what the database knows
// of its ports, and rows of the control plane go in; changes of flows and groups, and facts for the control plane come out.
//
// Nothing that was rendered is kept. Everything that can change flows together is a `Subject`, whose flows are a function of the state;
// before the first change of a subject in an input its flows are rendered, after the input they are rendered again, and the difference
// is what changes. So one MAC address costs one flow, whatever else is there.

public import EVPN
public import NetTypes
public import OpenFlow

public struct FlowTables: Sendable {
    public enum Input: Sendable {
        /// What is wanted from now on. Clients that stay, and rows, keep their flows.
        case configure(SwitchConfiguration, Overlay)
        /// OpenFlow numbers of interfaces of the bridge by name; nil: it is gone, or has no number yet. Others stay as they are.
        case ports([String: UInt32?])
        /// The tunnel port with its number and this host's VTEP address; nil: it is not there. Its flows stay meanwhile.
        case tunnel(TunnelPort?)
        /// Whether the connection can make groups with a selection method (OpenFlow 1.5). False until told.
        case groups(Bool)
        /// Rows of the control plane, which count whether anything else is there yet or not.
        case rows([ForwardingChange])
        /// A frame that came from `port` with a source address that no flow of table 6 knows.
        case heard(HeardAddress)
        /// Whether the bridge forwards: while it does not, nothing of this host is told of. True until told.
        case forwarding(Bool)
        /// A flow of table 6 ended because no frame came any more (its idle timeout).
        case silent(FlowKey)
        /// What of ours the bridge has when it is connected. Of what an earlier evpnd has left that is kept which may be wanted yet.
        case found([Flow], [Group])
        /// Every row that will come at a start has come: nothing is kept from now on.
        case complete
    }

    /// What follows from an input. Done in the order of the members, and each list in its order, nothing that forwards before and
    /// after is without flows in between.
    public struct Update: Equatable, Sendable {
        /// New and changed groups.
        public var groups: [Group] = []
        /// New and changed flows, then those that go.
        public var flows: [FlowChange] = []
        /// Groups that no flow uses any more.
        public var removedGroups: [UInt32] = []
        /// For the control plane.
        public var facts: [LocalChange] = []
        /// Ports where an address was not learned, for the first time since half of them were free: there are as many as may be,
        /// of the port or of the bridge.
        public var crowded: [String: Int] = [:]
        public init() {}
        public var isEmpty: Bool {
            groups.isEmpty && flows.isEmpty && removedGroups.isEmpty && facts.isEmpty && crowded.isEmpty
        }
    }

    public struct TunnelPort: Hashable, Sendable {
        public var number: UInt32
        /// The address that other VTEPs send to.
        public var vtep: IPAddress
        public init(number: UInt32, vtep: IPAddress) {
            self.number = number
            self.vtep = vtep
        }
    }

    /// From a packet-in whose flow is in table 6.
    public struct HeardAddress: Hashable, Sendable {
        public var port: UInt32
        /// Register 5; 0: none.
        public var tag: UInt16
        /// Register 0.
        public var vni: UInt32
        public var mac: MACAddress
        public init(port: UInt32, tag: UInt16, vni: UInt32, mac: MACAddress) {
            self.port = port
            self.tag = tag
            self.vni = vni
            self.mac = mac
        }
    }

    /// Addresses that one port may have learned, and the bridge.
    public static let maximumLearnedOfPort = 1024
    public static let maximumLearned = 65536

    var model = Model()
    /// By name.
    var ports: [String: UInt32] = [:]
    /// Names by number.
    var names: [UInt32: Set<String>] = [:]
    var tunnel: TunnelPort?
    /// The tunnel port's number, also while it is gone.
    var tunnelNumber: UInt32?
    var hasGroups = false
    /// Clients by the port number they are found at, in the order of the configuration.
    var attached: [UInt32: [ClientReference]] = [:]
    /// Those who are attached, by their place: it is the first one's, whom others of its domain may share it with.
    var sharers: [Place: [ClientReference]] = [:]

    // Rows.
    var macs: [MACKey: RemoteMAC] = [:]
    var macCounts: [VNI: Int] = [:]
    var floods: [VNI: [IPAddress: FloodMember]] = [:]
    var neighbors: [NeighborKey: RemoteNeighbor] = [:]
    var prefixes: [PrefixKey: RemotePrefix] = [:]
    /// Prefixes whose next hops name a neighbor, and neighbors of L3 VNIs by their MAC address.
    var prefixesOfNeighbor: [NeighborKey: Set<PrefixKey>] = [:]
    var routersOfMAC: [MACKey: Set<NeighborKey>] = [:]

    var learned: [MACKey: Place] = [:]
    var learnedOfPort: [UInt32: Set<MACKey>] = [:]
    /// Ports where no more are learned, since that was told.
    var crowded: Set<UInt32> = []

    /// How many flows should be there: as many as `allFlows` has.
    public private(set) var flowCount = 0
    var groups = GroupTable()
    /// What is kept of that which was found.
    var found = Found()
    var hasFound = false
    var isComplete = false
    var isForwarding = true
    /// What the control plane has been told.
    var told: [FactKey: LocalChange] = [:]

    /// The input that is being handled.
    var changes = Changes()

    public init() {}

    public mutating func handle(_ input: Input) -> Update {
        switch input {
        case .configure(let configuration, let overlay): configure(configuration, overlay)
        case .ports(let known): setPorts(known)
        case .tunnel(let port): setTunnel(port)
        case .groups(let isAble):
            if isAble != hasGroups {
                touchAll()
                hasGroups = isAble
            }
        case .rows(let rows): for row in rows { set(row) }
        case .heard(let address): learn(address)
        case .forwarding(let now):
            isForwarding = now
            for fact in allFacts() { touch(fact: fact) }
        case .silent(let key): forget(key)
        case .found(let flows, let groups): find(flows, groups)
        case .complete: complete()
        }
        return finish()
    }
}

/// What is rendered and changes as one. No two have a flow of the same key.
enum Subject: Hashable, Sendable {
    /// What is there always.
    case base
    /// The clients behind a port number.
    case port(UInt32)
    /// The port of anycast probes.
    case check
    case domain(VNI)
    case mac(MACKey)
    /// An address in a broadcast domain.
    case neighbor(NeighborKey)
    case vrf(String)
    case route(PrefixKey)
    /// A source address that was learned.
    case source(MACKey)
}

/// A port, and the VLAN of frames there; 0: untagged.
struct Place: Hashable, Comparable, Sendable {
    var number: UInt32
    var tag: UInt16
    static func < (a: Self, b: Self) -> Bool { (a.number, a.tag) < (b.number, b.tag) }
}

/// The subjects and facts that an input may change, with what they were before.
struct Changes: Sendable {
    var subjects: [Subject] = []
    var before: [Subject: Rendered] = [:]
    var facts: Set<FactKey> = []
    /// Whose clients are among them.
    var places: Set<Place> = []
    /// Ports that have as many addresses as may be learned.
    var crowded: [String: Int] = [:]
    /// Groups whose contents change, not only who uses them.
    var groupsBefore: [UInt32: Group]?
    /// Groups that are kept no more.
    var foundGroups: [UInt32] = []
    /// `subjects` are in no order.
    var isUnordered = false
    /// Everything may change.
    var isWhole = false
}

struct Rendered: Sendable {
    var flows: [Flow] = []
    /// The paths of a route whose flow uses their group.
    var group: [Path]?
}

extension FlowTables {
    // MARK: Changes

    /// To be called before the state changes that the flows of `subject` are made of.
    mutating func touch(_ subject: Subject) {
        guard changes.before[subject] == nil else { return }
        changes.before[subject] = render(subject)
        changes.subjects.append(subject)
    }
    mutating func touch(fact: FactKey) { changes.facts.insert(fact) }
    /// Everything changes: settings of the bridge do.
    mutating func touchAll() {
        if changes.groupsBefore == nil { changes.groupsBefore = groupsInForce() }
        changes.isUnordered = true
        changes.isWhole = true
        for subject in allSubjects() { touch(subject) }
        for fact in allFacts() { touch(fact: fact) }
    }

    mutating func finish() -> Update {
        var update = Update()
        let changes = self.changes
        update.crowded = changes.crowded
        self.changes = Changes()
        var subjects = changes.subjects
        // After a change of everything there may be more than before.
        if changes.isWhole { subjects += allSubjects().filter { changes.before[$0] == nil } }
        var created: [UInt32] = []
        if hasGroups {
            for case .route(let key) in subjects {
                if let paths = groupPaths(key), let id = groups.retain(paths) { created.append(id) }
            }
        }
        var sets: [Flow] = []
        var deletes: [Flow] = []
        for subject in subjects {
            let old = changes.before[subject]?.flows ?? []
            let new = settle(subject)
            if old == new { continue }
            flowCount += new.count - old.count
            Self.compare(old, new, &sets, &deletes)
        }
        var removed = changes.foundGroups
        for subject in changes.subjects {
            if let paths = changes.before[subject]?.group, let id = groups.release(paths) { removed.append(id) }
        }
        collectGroups(created, removed, changes.groupsBefore, &update)
        update.flows = Self.order(sets, deletes, isUnordered: changes.isUnordered)
        update.facts = report(changes.isWhole ? changes.facts.union(allFacts()) : changes.facts)
        return update
    }

    /// What of `new` is to be set and of `old` deleted, each in its order.
    private static func compare(_ old: [Flow], _ new: [Flow], _ sets: inout [Flow], _ deletes: inout [Flow]) {
        // Mostly there is one of each, which costs less than a dictionary.
        if old.count * new.count < 32 {
            sets += new.filter { !old.contains($0) }
            deletes += old.filter { flow in !new.contains { $0.key == flow.key } }
            return
        }
        var gone = Dictionary(old.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first })
        sets += new.filter { gone.removeValue(forKey: $0.key) != $0 }
        deletes += old.filter { gone[$0.key] != nil }
    }

    /// What is looked up last is set first, so that nothing is sent to where there is no flow yet; removals the other way round.
    private static func order(_ sets: [Flow], _ deletes: [Flow], isUnordered: Bool) -> [FlowChange] {
        func ranked(_ flows: [Flow]) -> [[Flow]] {
            var ranks: [[Flow]] = Array(repeating: [], count: Layout.rankCount)
            for flow in flows { ranks[Layout.rank(flow)].append(flow) }
            return isUnordered ? ranks.map { $0.sorted { $0.key < $1.key } } : ranks
        }
        var changes = sets.count == 1 ? sets.map { FlowChange.set($0) } : ranked(sets).joined().map { .set($0) }
        guard !deletes.isEmpty else { return changes }
        // What one subject gives up another may have taken.
        let kept = Set(sets.map(\.key))
        for flow in ranked(deletes).reversed().joined() where !kept.contains(flow.key) {
            changes.append(.delete(flow.key))
        }
        return changes
    }

    // MARK: The whole

    /// Every flow that should be there, sorted by key.
    public var allFlows: [Flow] { allSubjects().flatMap { render($0).flows }.sorted { $0.key < $1.key } }
    /// Every group that should be there, sorted by number.
    public var allGroups: [Group] {
        groupsInForce().merging(found.groups) { wanted, _ in wanted }.values.sorted { $0.id < $1.id }
    }

    func render(_ subject: Subject) -> Rendered {
        var rendered = renderWanted(subject)
        if let kept = kept(subject, rendered.flows) { rendered.flows = kept }
        return rendered
    }
    func renderWanted(_ subject: Subject) -> Rendered {
        switch subject {
        case .base: Rendered(flows: renderBase())
        case .port(let number): Rendered(flows: renderPort(number))
        case .check: Rendered(flows: renderCheck())
        case .domain(let vni): Rendered(flows: renderDomain(vni))
        case .mac(let key): Rendered(flows: renderMAC(key))
        case .neighbor(let key): Rendered(flows: renderNeighbor(key))
        case .vrf(let name): Rendered(flows: renderVRF(name))
        case .route(let key): renderRoute(key)
        case .source(let key): Rendered(flows: renderSource(key))
        }
    }

    func allSubjects() -> [Subject] {
        guard model.isConfigured else { return [] }
        var all: Set<Subject> = [.base, .check]
        for number in attached.keys { all.insert(.port(number)) }
        for vni in model.domains.keys { all.insert(.domain(vni)) }
        for name in model.vrfs.keys { all.insert(.vrf(name)) }
        for key in macs.keys { all.insert(.mac(key)) }
        for key in learned.keys { all.formUnion([.mac(key), .source(key)]) }
        for key in neighbors.keys { all.formUnion(subjects(of: key, model)) }
        for key in prefixes.keys { all.insert(.route(key)) }
        all.formUnion(found.flows.keys)
        for client in model.bridged { all.formUnion(subjects(of: client)) }
        for client in model.routed { all.formUnion(subjects(of: client)) }
        for domain in model.domains.values { all.formUnion(subjects(of: domain)) }
        return Array(all)
    }
}
