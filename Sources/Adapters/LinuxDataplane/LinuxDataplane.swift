// The shell between the forwarding tables of the control plane and the Linux kernel.

public import AsyncIO
public import EVPN
public import NetTypes
public import Telemetry

/// Keeps VXLAN devices, bridges, FDB and neighbor tables of this network namespace as the control plane wants them, and
/// reports what the kernel learns. Confined to the loop's thread.
public final class LinuxDataplane {
    /// Called on the loop with batches of local facts, in the order they happened.
    public var onLocalChanges: (([LocalChange]) -> Void)?

    /// Opens the netlink sockets of the calling thread's network namespace and starts to observe it.
    ///
    /// `stateDirectory` (by default `/run/evpnd`) holds the record of our flood entries, which the kernel cannot mark.
    public init(loop: EventLoop, log: Log, metrics: MetricRegistry, stateDirectory: String = "/run/evpnd")
        throws(DataplaneError)
    {}
    /// The broadcast domains of this host; replaces the earlier list.
    public func configure(_ domains: [BroadcastDomain], defaultVTEP: IPAddress?) {}
    /// Rows to set or remove. Rows of domains that are not configured are remembered until they are.
    public func apply(_ changes: [ForwardingChange]) {}
    /// Entries of ours that were found at start and that nobody has asked for may be removed from now on.
    public func allowPruning() {}
    public var isReady: Bool { false }
    public func status(of key: ForwardingKey) -> EntryStatus { .absent }
    public func kernelEntry(of key: ForwardingKey) -> KernelEntry? { nil }
    /// What would be changed now, as commands; empty when the kernel is as wanted.
    public func plan() -> [String] { [] }
    public var statistics: DataplaneStatistics { DataplaneStatistics() }
    public func domains() -> [DomainStatus] { [] }
    /// Removes every entry and device that carries our mark, blocking; returns what was done, as commands.
    public func cleanup() -> [String] { [] }
    /// Stops observing and closes the sockets; forwarding stays in the kernel.
    public func close() {}
}

/// The netlink sockets could not be opened.
public struct DataplaneError: Error, Sendable, CustomStringConvertible {
    public var description: String
    init(_ description: String) { self.description = description }
}
