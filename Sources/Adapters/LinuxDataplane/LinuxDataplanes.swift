// What the agent talks to: one `LinuxDataplane` for each network namespace, and everything sent to the one where it lives.

public import AsyncIO
public import EVPN
public import NetTypes
import Netlink
public import Telemetry

/// The forwarding tables of this host, whatever network namespaces they are in: that of the process has the underlay, and every
/// broadcast domain and IP-VRF that the configuration puts nowhere else. Confined to the loop's thread.
public final class LinuxDataplanes {
    /// Called on the loop with batches of local facts, in the order they happened.
    public var onLocalChanges: (([LocalChange]) -> Void)? {
        didSet { host.onLocalChanges = onLocalChanges }
    }
    /// Called on the loop after `operatorVNIs` has changed.
    public var onOperatorVNIs: (() -> Void)? {
        didSet { host.onOperatorVNIs = onOperatorVNIs }
    }
    /// VNIs of the VXLAN devices in the host's namespace that somebody else made; without those that take it from metadata
    /// (`external`).
    public var operatorVNIs: Set<VNI> { host.operatorVNIs }

    /// That of the namespace in which the process runs.
    let host: LinuxDataplane

    /// Opens the netlink sockets of the calling thread's network namespace and reads its devices; see `LinuxDataplane`.
    public init(
        loop: EventLoop, log: Log, metrics: MetricRegistry, stateDirectory: String = "/run/evpnd",
        takesOver: Bool = false
    ) throws(DataplaneError) {
        host = try LinuxDataplane(
            loop: loop, log: log, metrics: metrics, stateDirectory: stateDirectory, takesOver: takesOver)
        let (rows, states) = (
            "evpnd_dataplane_entries", "Forwarding entries wanted in the kernel, by how far they have come."
        )
        metrics.onCollect { [weak self] metrics in
            guard let self else { return }
            let now = statistics
            let done = now.desired - now.pending - now.failed - now.waiting
            for (state, value) in [
                ("done", done), ("pending", now.pending), ("failed", now.failed), ("waiting", now.waiting),
            ] {
                metrics.gauge(rows, states, ["state": state]).value = Double(value)
            }
        }
    }

    /// The broadcast domains and the IP-VRFs of this host; see `LinuxDataplane.configure`.
    public func configure(
        _ domains: [BroadcastDomain], vrfs: [IPVRF] = [], hosts: [VNI: [StaticMAC]] = [:], defaultVTEP: IPAddress?
    ) {
        host.configure(domains, vrfs: vrfs, hosts: hosts, defaultVTEP: defaultVTEP)
    }
    /// Rows to set or remove. Rows of domains that are not configured are remembered until they are.
    public func apply(_ changes: [ForwardingChange]) { host.apply(changes) }
    /// Entries and devices of ours that were found at start and that nobody has asked for may be removed from now on.
    public func allowPruning() { host.allowPruning() }
    /// Every configured domain has been looked at: it is usable, or it is known why not.
    public var isReady: Bool { host.isReady }
    /// Stops observing and closes the sockets; forwarding stays in the kernel. What is already on its way to the kernel is still
    /// done.
    public func close() { host.close() }

    /// How far one row has come.
    public func status(of key: ForwardingKey) -> EntryStatus { host.status(of: key) }
    /// What the kernel has for a key now: asked for MACs and neighbors, from the mirror for flood members. Nil: nothing.
    public func kernelEntry(of key: ForwardingKey) -> KernelEntry? { host.kernelEntry(of: key) }
    /// What would be changed now, as commands; empty when the kernel is as wanted.
    public func plan() -> [String] { host.plan() }
    public var statistics: DataplaneStatistics { host.statistics }
    /// The configured domains, sorted by VNI.
    public func domains() -> [DomainStatus] { host.domains() }
    /// The configured IP-VRFs, sorted by name.
    public func vrfStatus() -> [VRFStatus] { host.vrfStatus() }

    /// Removes every entry and device of ours, blocking; returns what was done, as commands, each refusal with the kernel's
    /// reason. The dataplanes are closed first: they would put everything back.
    public func cleanup() -> [String] { host.cleanup() }
    /// The same without a daemon; see `LinuxDataplane.cleanup`.
    public static func cleanup(stateDirectory: String, vnis: Set<VNI>?) throws(DataplaneError) -> [String] {
        try LinuxDataplane.cleanup(stateDirectory: stateDirectory, vnis: vnis)
    }
}
