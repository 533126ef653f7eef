// What the dataplane tells about itself: rows for `evpnctl show`, numbers for the metrics and for `explain`.

public import NetTypes

/// One row of `evpnctl show vnis`, the kernel's half.
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
}

/// Totals over all domains.
public struct DataplaneStatistics: Equatable, Sendable {
    /// Rows that the control plane wants in the kernel.
    public var desired = 0
    /// Of these, sent to the kernel and not answered, or about to be sent.
    public var pending = 0
    /// Of these, refused by the kernel or in conflict with a foreign entry.
    public var failed = 0
    /// Rows whose domain has no usable device.
    public var waiting = 0
    /// Local MAC addresses and neighbors known.
    public var localMACs = 0
    public var localNeighbors = 0
    /// Since start: entries put back after somebody else changed them, requests sent, requests refused, overruns of the
    /// notification socket.
    public var healed = 0
    public var requests = 0
    public var refused = 0
    public var overruns = 0
}

/// What the kernel has for one key, for `explain`.
public struct KernelEntry: Equatable, Sendable {
    /// The entry as `bridge fdb show` or `ip neigh show` would print it, one line for each table it is in.
    public var lines: [String]
    /// The entry carries our mark (`extern_learn`, our protocol number, or our flood record).
    public var isOurs: Bool
}
