// What every dataplane tells about itself, whatever forwards below it: for `evpnctl show`, `explain` and the metrics.

public import NetTypes

/// The dataplane cannot start: its sockets could not be opened.
public struct DataplaneError: Error, Sendable, CustomStringConvertible {
    public var description: String
    public init(_ description: String) { self.description = description }
}

/// One row of `evpnctl show vnis`, the dataplane's half.
public struct DomainStatus: Equatable, Sendable {
    public enum State: String, Sendable {
        /// The device is there, up, and has a VTEP address: entries are programmed and local facts are reported.
        case up
        /// The device is there but set down.
        case down
        /// No device, no VTEP address, or the device cannot be used: see `problem`.
        case waiting
    }
    public var vni: VNI
    /// The VXLAN device's name now.
    public var device: String?
    public var bridge: String?
    public var isManaged: Bool
    public var state: State
    public var vtep: IPAddress?
    /// Why it does not forward, or what is wrong with it although it does.
    public var problem: String?
    /// What an operator can do about `problem`, beginning with a command as it is typed outside of namespaces.
    public var remedy: String?
    /// The layer-3 interface: the bridge, or the VLAN device on it.
    public var interface: String?
    /// Members of the configuration that are not where its bridge is (yet).
    public var absentMembers: [String]
    public init(
        vni: VNI, device: String?, bridge: String?, isManaged: Bool, state: State, vtep: IPAddress?, problem: String?,
        remedy: String? = nil, interface: String? = nil, absentMembers: [String] = []
    ) {
        self.vni = vni
        self.device = device
        self.bridge = bridge
        self.isManaged = isManaged
        self.state = state
        self.vtep = vtep
        self.problem = problem
        self.remedy = remedy
        self.interface = interface
        self.absentMembers = absentMembers
    }
}

/// One row of `evpnctl show vrfs`, the dataplane's half.
public struct VRFStatus: Equatable, Sendable {
    public var name: String
    /// Nil: there is none, or the VRF has no device.
    public var device: String?
    /// Nil: not known yet, or tables have no numbers there.
    public var table: UInt32?
    public var isManaged: Bool
    public var state: DomainStatus.State
    /// Why it cannot hold routes, or what is wrong with it although it does.
    public var problem: String?
    /// What an operator can do about `problem`, beginning with a command as it is typed outside of namespaces.
    public var remedy: String?
    /// It holds routes, but no packets are forwarded by them: that is the problem.
    public var isSilent = false
    public init(
        name: String, device: String?, table: UInt32?, isManaged: Bool, state: DomainStatus.State, problem: String?,
        remedy: String? = nil
    ) {
        self.name = name
        self.device = device
        self.table = table
        self.isManaged = isManaged
        self.state = state
        self.problem = problem
        self.remedy = remedy
    }
}

/// What has come of asking for an address by ARP or ND.
public enum NeighborResolution: Equatable, Sendable {
    case resolved(MACAddress)
    /// Nobody answers (yet); the state as `ip neigh` has it.
    case unanswered(state: String)
}

/// Totals over all domains.
public struct DataplaneStatistics: Equatable, Sendable {
    /// Rows that the control plane wants to forward.
    public var desired = 0
    /// Of these, sent and not answered, or about to be sent.
    public var pending = 0
    /// Of these, refused by the kernel or the switch, or in conflict with a foreign entry.
    public var failed = 0
    /// Rows whose domain has no usable device.
    public var waiting = 0
    /// Local MAC addresses and neighbors known.
    public var localMACs = 0
    public var localNeighbors = 0
    /// Prefixes that others have routes for in the tables of IP-VRFs.
    public var localPrefixes = 0
    /// Since start: entries put back after somebody else changed them, requests sent, requests refused, times that notifications
    /// were lost.
    public var healed = 0
    public var requests = 0
    public var refused = 0
    public var overruns = 0
    public init() {}
}

/// What forwards for one key, for `explain`.
public struct KernelEntry: Equatable, Sendable {
    /// The entry as its own tool would print it (`bridge fdb show`, `ip neigh show`, `ovs-ofctl dump-flows`), one line for each
    /// table it is in.
    public var lines: [String]
    /// The entry carries our mark (`extern_learn`, our protocol number, our flood record, our cookie).
    public var isOurs: Bool
    public init(lines: [String], isOurs: Bool) {
        self.lines = lines
        self.isOurs = isOurs
    }
}
