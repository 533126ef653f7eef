// What the agent talks to: one `LinuxDataplane` for each network namespace, and everything sent to the one where it lives.

public import AsyncIO
public import EVPN
import Glibc
public import NetTypes
import Netlink
public import Telemetry

/// The forwarding tables of this host, whatever network namespaces they are in: that of the process has the underlay, and every
/// broadcast domain and IP-VRF that the configuration puts nowhere else. Confined to the loop's thread.
///
/// An IP-VRF that is a namespace of `/run/netns` has all its broadcast domains there. Namespaces may come, go and come again: what
/// is wanted in one that is not there is remembered, and its domains are told to be down.
public final class LinuxDataplanes {
    /// Called on the loop with batches of local facts, in the order they happened.
    public var onLocalChanges: (([LocalChange]) -> Void)?
    /// Called on the loop after `operatorVNIs` has changed.
    public var onOperatorVNIs: (() -> Void)? {
        didSet { host.onOperatorVNIs = onOperatorVNIs }
    }
    /// VNIs of the VXLAN devices in the host's namespace that somebody else made; without those that take it from metadata
    /// (`external`).
    public var operatorVNIs: Set<VNI> { host.operatorVNIs }

    /// That of the namespace in which the process runs.
    let host: LinuxDataplane
    /// By name, those included that are to be left.
    private(set) var tenants: [String: TenantNamespace] = [:]
    private var homes = Homes()
    private let record: NamespaceRecord
    private var mayPrune = false
    private var isClosed = false
    private var isWatching = false

    /// Opens the netlink sockets of the calling thread's network namespace and reads its devices; see `LinuxDataplane`.
    public init(
        loop: EventLoop, log: Log, metrics: MetricRegistry, stateDirectory: String = "/run/evpnd",
        takesOver: Bool = false
    ) throws(DataplaneError) {
        host = try LinuxDataplane(
            loop: loop, log: log, metrics: metrics, stateDirectory: stateDirectory, takesOver: takesOver)
        record = NamespaceRecord(stateDirectory)
        // What an earlier process left in a namespace that is not configured any more is found and, in time, removed.
        for name in record.names { tenants[name] = TenantNamespace(name) }
        host.onLocalChanges = { [weak self] in self?.onLocalChanges?($0) }
        host.onUnderlay = { [weak self] in self?.underlayChanged() }
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
            collectTraffic(metrics)
        }
    }

    /// The broadcast domains and the IP-VRFs of this host; see `LinuxDataplane.configure`.
    public func configure(
        _ domains: [BroadcastDomain], vrfs: [IPVRF] = [], hosts: [VNI: [StaticMAC]] = [:], defaultVTEP: IPAddress?
    ) {
        let old = homes
        homes = Homes(domains, vrfs)
        let rows = old == homes ? [] : takeRows { old.namespace(of: $0) != homes.namespace(of: $0) }
        for name in homes.namespaces where tenants[name] == nil { tenants[name] = TenantNamespace(name) }
        func configuration(of namespace: String?) -> DataplaneConfiguration {
            DataplaneConfiguration(
                domains: domains.filter { homes.vnis[$0.vni] == namespace },
                vrfs: vrfs.filter { homes.vrfs[$0.name] == namespace },
                hosts: hosts.filter { homes.vnis[$0.key] == namespace }, defaultVTEP: defaultVTEP,
                elsewhere: Set(
                    (domains.map(\.vni) + vrfs.compactMap(\.vni)).filter { homes.vnis[$0] != namespace }))
        }
        // All let go of what others get before any of these makes it.
        let own = configuration(of: nil)
        host.release(own.elsewhere)
        for (name, tenant) in tenants.sorted(by: { $0.key < $1.key }) {
            tenant.configuration = configuration(of: name)
            tenant.dataplane?.release(tenant.configuration.elsewhere)
        }
        host.configure(own.domains, vrfs: own.vrfs, hosts: own.hosts, defaultVTEP: defaultVTEP)
        for (_, tenant) in tenants.sorted(by: { $0.key < $1.key }) {
            if tenant.dataplane == nil { open(tenant) } else { tenant.configure() }
        }
        apply(rows)
        watch()
    }

    /// Takes rows out of where they are now: they go where their domain or VRF goes.
    private func takeRows(_ isMoving: (ForwardingChange) -> Bool) -> [ForwardingChange] {
        var rows = host.allRows.filter(isMoving)
        host.apply(rows.map(\.removal))
        for (_, tenant) in tenants.sorted(by: { $0.key < $1.key }) {
            let own = tenant.allRows.filter(isMoving)
            tenant.apply(own.map(\.removal))
            rows += own
        }
        return rows
    }

    /// Rows to set or remove. Rows of domains that are not configured are remembered until they are.
    public func apply(_ changes: [ForwardingChange]) {
        guard !homes.isEmpty else { return host.apply(changes) }
        var parts: [String?: [ForwardingChange]] = [:]
        for change in changes { parts[homes.namespace(of: change), default: []].append(change) }
        for (name, part) in parts {
            if let name { tenants[name]?.apply(part) } else { host.apply(part) }
        }
    }
    /// Asks the host that has an address here whether it still has it: `answered` is called when it has, or cannot be asked; one that does
    /// not answer is reported as gone. Called once, though the host is asked several times.
    public func ask(_ key: NeighborKey, _ answered: @escaping () -> Void) {
        guard let name = homes.namespace(of: .neighbor(key)) else { return host.ask(key, answered) }
        tenants[name]?.dataplane?.ask(key, answered)
    }
    /// Entries and devices of ours that were found at start and that nobody has asked for may be removed from now on.
    public func allowPruning() {
        mayPrune = true
        host.allowPruning()
        for tenant in tenants.values { tenant.dataplane?.allowPruning() }
    }
    /// Every configured domain has been looked at: it is usable, or it is known why not.
    public var isReady: Bool { host.isReady && tenants.values.allSatisfy { $0.dataplane?.isReady != false } }
    /// Stops observing and closes the sockets; forwarding stays in the kernel. What is already on its way to the kernel is still
    /// done.
    public func close() {
        isClosed = true
        for tenant in tenants.values { tenant.dataplane?.close() }
        host.close()
    }

    // MARK: Namespaces

    /// Looks every second whether the names lead where they did: a mount tells nobody of itself.
    private func watch() {
        guard !isWatching, !tenants.isEmpty, !isClosed else { return }
        isWatching = true
        host.loop.schedule(after: .seconds(1)) { [weak self] in
            guard let self, !isClosed else { return }
            isWatching = false
            for (_, tenant) in tenants.sorted(by: { $0.key < $1.key }) { check(tenant) }
            watch()
        }
    }
    private func check(_ tenant: TenantNamespace) {
        if let namespace = tenant.namespace, NetworkNamespace.identity(of: tenant.name) != namespace.identity {
            host.log.warning("netns.gone", ["netns": tenant.name])
            tenant.abandon()
        }
        if tenant.dataplane == nil { open(tenant) }
        // Nothing is wanted there any more, and nothing is left.
        guard tenant.configuration.isEmpty, tenant.dataplane?.isEmpty != false else { return }
        let hasEntries = tenant.dataplane?.floodRecord.entries.isEmpty == false
        tenant.dataplane?.close()
        tenants[tenant.name] = nil
        guard !hasEntries else { return }
        if let namespace = tenant.namespace, record.deleteIfMade(namespace) {
            host.log.info("netns.delete", ["command": "ip netns delete \(tenant.name)"])
        }
        record.remove(tenant.name)
    }
    private func open(_ tenant: TenantNamespace) {
        do throws(DataplaneError) {
            if tenant.configuration.vrfs.contains(where: \.isManaged), try tenant.create(record: record) {
                host.log.info("netns.add", ["command": "ip netns add \(tenant.name)"])
            }
            let taken = tenants.values.compactMap { other in other.namespace.map { ($0.identity, other.name) } }
            try tenant.open(
                underlay: host, record: record, taken: Dictionary(taken, uniquingKeysWith: { first, _ in first }))
        } catch {
            let problem = "\(error)"
            if tenant.problem != problem, !tenant.configuration.isEmpty {
                host.log.warning("netns.waiting", ["netns": tenant.name, "reason": problem])
            }
            tenant.problem = problem
            return
        }
        host.log.info("netns.open", ["netns": tenant.name])
        tenant.dataplane?.onLocalChanges = { [weak self] in self?.onLocalChanges?($0) }
        tenant.start(mayPrune: mayPrune)
    }
    private func underlayChanged() {
        for tenant in tenants.values { tenant.dataplane?.underlayChanged() }
    }

    // MARK: What it tells about itself

    private func collectTraffic(_ metrics: MetricRegistry) {
        for name in ["packets", "octets", "drops", "errors"] { metrics.clear("evpnd_vni_\(name)_total") }
        for counters in vniCounters() {
            for (direction, now) in [("in", counters.traffic.received), ("out", counters.traffic.sent)] {
                let labels: KeyValuePairs = ["vni": "\(counters.vni)", "direction": direction]
                for (name, text, value) in [
                    ("evpnd_vni_packets_total", "Packets of the VNI, as its VXLAN device counts them.", now.packets),
                    ("evpnd_vni_octets_total", "Octets of the VNI.", now.octets),
                    ("evpnd_vni_drops_total", "Packets of the VNI that were dropped.", now.drops),
                    ("evpnd_vni_errors_total", "Packets of the VNI with errors.", now.errors),
                ] {
                    metrics.counter(name, text, labels).value = Double(value)
                }
            }
        }
    }
    /// How far one row has come.
    public func status(of key: ForwardingKey) -> EntryStatus {
        guard let name = homes.namespace(of: key) else { return host.status(of: key) }
        return tenants[name]?.status(of: key) ?? .absent
    }
    /// What the kernel has for a key now: asked for MACs and neighbors, from the mirror for flood members. Nil: nothing.
    public func kernelEntry(of key: ForwardingKey) -> KernelEntry? {
        guard let name = homes.namespace(of: key) else { return host.kernelEntry(of: key) }
        return tenants[name]?.dataplane?.kernelEntry(of: key)
    }
    /// What the kernel has found out about an address on the layer-3 interface of a domain; see `LinuxDataplane.resolution`.
    public func resolution(of key: NeighborKey) -> NeighborResolution? {
        guard let name = homes.namespace(of: .neighbor(key)) else { return host.resolution(of: key) }
        return tenants[name]?.dataplane?.resolution(of: key)
    }
    /// What would be changed now, as commands; empty when the kernel is as wanted.
    public func plan() -> [String] {
        host.plan()
            + tenants.sorted { $0.key < $1.key }.flatMap { name, tenant in
                (tenant.dataplane?.plan() ?? []).map { inNamespace(name, $0) }
            }
    }
    /// Totals over all namespaces.
    public var statistics: DataplaneStatistics {
        var total = host.statistics
        for tenant in tenants.values { total.addRows(of: tenant.statistics) }
        return total
    }
    /// The configured domains, sorted by VNI.
    public func domains() -> [DomainStatus] {
        (host.domains().map(placed) + tenants.values.flatMap { $0.domains() }).sorted { $0.vni < $1.vni }
    }
    /// With a word about members that are in a namespace of tenants instead of here.
    private func placed(_ status: DomainStatus) -> DomainStatus {
        guard status.problem == nil, !status.absentMembers.isEmpty else { return status }
        var status = status
        for (name, tenant) in tenants.sorted(by: { $0.key < $1.key }) {
            guard let member = status.absentMembers.first(where: { tenant.dataplane?.links[$0] != nil }) else {
                continue
            }
            status.problem = "member \(member) is in network namespace \(name)"
            status.remedy = "ip -n \(name) link set \(member) netns \(getpid())"
            return status
        }
        return status
    }

    /// The configured IP-VRFs, sorted by name.
    public func vrfStatus() -> [VRFStatus] {
        (host.vrfStatus() + tenants.values.flatMap { $0.vrfStatus() }).sorted { $0.name < $1.name }
    }
    /// Packets and octets of VNIs; see `LinuxDataplane.vniCounters`.
    public func vniCounters() -> [VNICounters] {
        (host.vniCounters() + tenants.values.flatMap { $0.dataplane?.vniCounters() ?? [] }).sorted { $0.vni < $1.vni }
    }

    // MARK: Cleanup

    /// Removes every entry and device of ours, blocking; returns what was done, as commands, each refusal with the kernel's
    /// reason. The dataplanes are closed first: they would put everything back.
    public func cleanup() -> [String] {
        var lines: [String] = []
        for (name, tenant) in tenants.sorted(by: { $0.key < $1.key }) {
            lines += (tenant.dataplane?.cleanup() ?? []).map { inNamespace(name, $0) }
            if let namespace = tenant.namespace, record.deleteIfMade(namespace) {
                lines.append("ip netns delete \(name)")
            }
            record.remove(name)
        }
        isClosed = true
        return lines + host.cleanup()
    }
    /// The same without a daemon, in the namespace of the process, in `namespaces` and in those in which there has been anything of
    /// ours; see `LinuxDataplane.cleanup`.
    public static func cleanup(
        stateDirectory: String, vnis: Set<VNI>?, namespaces: Set<String> = []
    ) throws(DataplaneError) -> [String] {
        let record = NamespaceRecord(stateDirectory)
        var lines: [String] = []
        for name in namespaces.union(record.names).sorted() {
            // One that does not exist has nothing of ours.
            if NetworkNamespace.identity(of: name) != nil {
                let namespace = try TenantNamespace.find(name)
                lines += try LinuxDataplane.cleanup(
                    stateDirectory: record.directory(of: name), vnis: vnis, namespace: namespace
                ).map { inNamespace(name, $0) }
                if record.deleteIfMade(namespace) { lines.append("ip netns delete \(name)") }
            }
            record.remove(name)
        }
        return try lines + LinuxDataplane.cleanup(stateDirectory: stateDirectory, vnis: vnis)
    }
}

/// The commands of one line, as they are typed outside of the namespace.
private func inNamespace(_ name: String, _ line: String) -> String {
    var commands: [String] = []
    var rest = line[...]
    while let end = rest.firstRange(of: "; ") {
        commands.append(String(rest[..<end.lowerBound]))
        rest = rest[end.upperBound...]
    }
    commands.append(String(rest))
    return commands.map { command in
        let isOutside =
            command.hasPrefix("#") || command.hasPrefix("ip link add ") && command.contains(" netns \(name) ")
        return isOutside ? command : "ip netns exec \(name) \(command)"
    }.joined(separator: "; ")
}

/// Which namespace domains and VRFs live in; those that are not named live in that of the process.
private struct Homes: Equatable {
    var vnis: [VNI: String] = [:]
    var vrfs: [String: String] = [:]

    init() {}
    init(_ domains: [BroadcastDomain], _ configurations: [IPVRF]) {
        for vrf in configurations {
            guard let name = vrf.namespace else { continue }
            vrfs[vrf.name] = name
            if let vni = vrf.vni { vnis[vni] = name }
        }
        for domain in domains {
            if let vrf = domain.routed?.vrf, let name = vrfs[vrf] { vnis[domain.vni] = name }
        }
    }
    var isEmpty: Bool { vrfs.isEmpty }
    var namespaces: Set<String> { Set(vrfs.values) }
    func namespace(of change: ForwardingChange) -> String? {
        if case .prefix(let key, _) = change { return vrfs[key.vrf] }
        return change.place.flatMap { vnis[$0.vni] }
    }
    func namespace(of key: ForwardingKey) -> String? {
        if case .prefix(let key) = key { return vrfs[key.vrf] }
        return key.vni.flatMap { vnis[$0] }
    }
}
