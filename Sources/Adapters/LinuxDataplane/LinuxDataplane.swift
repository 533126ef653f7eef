// The shell between the forwarding tables of the control plane and the Linux kernel.

public import AsyncIO
public import EVPN
public import NetTypes
import Netlink
public import Telemetry

/// Keeps VXLAN devices, bridges, FDB and neighbor tables of one network namespace as the control plane wants them, and
/// reports what the kernel learns. Confined to the loop's thread.
///
/// Wishes go into each domain's `EntryTable`, which says what to send; a worker thread sends it (`Apply`). Notifications
/// keep the mirror true (`Facts`); the kernel's tables are read as a whole only when a device is first used, and after
/// notifications were lost (`Observe`). Devices are followed, made and corrected in `Devices`.
public final class LinuxDataplane {
    /// Called on the loop with batches of local facts, in the order they happened.
    public var onLocalChanges: (([LocalChange]) -> Void)?
    /// Called on the loop after `operatorVNIs` has changed.
    public var onOperatorVNIs: (() -> Void)?
    /// VNIs of the VXLAN devices that somebody else made; without those that take it from metadata (`external`).
    public internal(set) var operatorVNIs: Set<VNI> = []

    struct Failure {
        var reason: String
        var since: Instant
    }
    let loop: EventLoop
    let log: Log
    /// One for all namespaces: what one of them lets go of another may make at once.
    let worker: Worker
    /// For the worker's thread.
    let socket: NetlinkSocket
    /// For short questions on the loop's thread.
    let asking: NetlinkSocket
    let notifications: NotificationSocket
    /// Routes of IP-VRFs.
    let routing: Routing
    let floodRecord: FloodRecord
    let takesOver: Bool
    let vteps = VTEPTable()
    let stateDirectory: String
    let metrics: MetricRegistry
    /// The namespace that is served, and the dataplane of the one in which its VXLAN packets travel; nil: both are that of the
    /// process.
    let namespace: NetworkNamespace?
    let underlay: LinuxDataplane?
    /// Called after something has changed that the MTU of VXLAN devices may depend on.
    var onUnderlay: (() -> Void)?

    var links = LinkTable()
    var domainsByVNI: [VNI: Domain] = [:]
    /// The IP-VRFs of the configuration, by name.
    var vrfs: [String: VRF] = [:]
    /// Domains by VXLAN device and VNI, by bridge and VLAN, by the device of their neighbors, and by every device they use.
    var byVXLAN: [DeviceNumber: Domain] = [:]
    var byBridge: [DeviceNumber: Domain] = [:]
    var byNeighbor: [Int32: Domain] = [:]
    var users: [Int32: Set<VNI>] = [:]
    /// The bridge for many VNIs: who lives there, what is to be done about it.
    var sharedPlaces: [VNI: ManagedVLAN] = [:]
    var sharedPlan: SharedPlan?
    let sharedWork = DeviceWork(.shared)
    var mustEvaluateShared = false
    var isSharedReleased = false
    var ipv6Forwarding = IPv6Forwarding()
    /// Local hosts that are asked whether they are still there.
    var probes = HostProbes()
    var probeTimer: (at: Instant, id: TimerID)?
    /// Local hosts whose addresses others have too.
    var disputes: [NeighborKey: Dispute] = [:]
    /// What hosts say of their addresses; nil: no domain needs it, or it cannot be heard.
    var addressWatch: AddressWatch?
    var isDeaf = false
    /// Why nothing was heard at the last attempt.
    var deafness: String?
    /// Ports whose VLANs have to be read.
    var staleVLANs: Set<Int32> = []
    /// VXLAN devices whose filters of VNIs have to be read.
    var staleFilters: Set<Int32> = []
    /// Domains that wait for their tables to be read.
    var toObserve: Set<VNI> = []
    var defaultVTEP: IPAddress?
    var failures: [ForwardingKey: Failure] = [:]

    var dueDomains: [VNI: Domain] = [:]
    var pendingFacts: [LocalChange] = []
    /// Domains to be compared with their devices, names in configurations, and the underlay's MTU as last used.
    var touched: Set<VNI> = []
    var touchedVRFs: Set<String> = []
    /// VRFs that left the configuration, or that evpnd does not make any more, while this process ran.
    var releasedVRFs: Set<String> = []
    var namedBy: [String: Set<VNI>] = [:]
    var sharedNames: Set<String> = []
    var underlayMTUs: [IPAddress: UInt32] = [:]
    var mustRemoveUnconfigured = false
    /// How often a domain was compared with its devices, for tests.
    var evaluations = 0
    var isFlushScheduled = false
    var isEvaluationScheduled = false
    var isResyncScheduled = false
    var isClosed = false
    var mayPrune = false
    /// Above this many rows a dump of a VXLAN device takes seconds: after an overrun the rows are then sent again instead,
    /// which is linear, and which the kernel answers without a notification where nothing differs.
    var dumpLimit = 200_000
    /// Local MACs, and local neighbors, that one domain may have; more are not announced.
    var maximumLocals = 250_000
    var hasConfiguration = false
    /// VNIs that left the configuration while this process ran.
    var released: Set<VNI> = []
    /// VNIs whose entries are gone from the VLANs that they leave.
    var emptied: Set<VNI> = []
    /// Devices whose deletion is at the kernel.
    var removing: Set<Int32> = []
    var retryTimer: TimerID?
    var retrySeconds = 5

    let healed: Metric
    let requests: Metric
    let refused: Metric
    let overruns: Metric
    let probed: Metric
    let flooded: Metric

    /// Opens the netlink sockets of the calling thread's network namespace and reads its devices.
    ///
    /// `stateDirectory` (by default `/run/evpnd`) holds the record of our flood entries, which the kernel cannot mark. With
    /// `takesOver`, flood entries that are wanted and that another program has left become ours; those that are not wanted
    /// stay as they are in any case.
    public convenience init(
        loop: EventLoop, log: Log, metrics: MetricRegistry, stateDirectory: String = "/run/evpnd",
        takesOver: Bool = false
    ) throws(DataplaneError) {
        try self.init(
            loop: loop, log: log, metrics: metrics, stateDirectory: stateDirectory, takesOver: takesOver,
            namespace: nil, underlay: nil)
    }
    /// The same for a namespace of tenants, whose VXLAN packets travel in that of `underlay`.
    convenience init(_ namespace: NetworkNamespace, underlay: LinuxDataplane) throws(DataplaneError) {
        try self.init(
            loop: underlay.loop, log: Log(underlay.log, ["netns": namespace.name]), metrics: underlay.metrics,
            stateDirectory: NamespaceRecord(underlay.stateDirectory).directory(of: namespace.name),
            takesOver: underlay.takesOver, namespace: namespace, underlay: underlay)
    }
    private init(
        loop: EventLoop, log: Log, metrics: MetricRegistry, stateDirectory: String, takesOver: Bool,
        namespace: NetworkNamespace?, underlay: LinuxDataplane?
    ) throws(DataplaneError) {
        self.takesOver = takesOver
        self.loop = loop
        self.log = log
        self.metrics = metrics
        self.stateDirectory = stateDirectory
        self.namespace = namespace
        self.underlay = underlay
        worker = underlay?.worker ?? Worker()
        healed = metrics.counter(
            "evpnd_dataplane_healed_total", "Kernel entries and devices put right after somebody else changed them.")
        requests = metrics.counter("evpnd_dataplane_requests_total", "Requests for kernel entries.")
        refused = metrics.counter("evpnd_dataplane_refused_total", "Requests that the kernel refused.")
        overruns = metrics.counter(
            "evpnd_dataplane_overruns_total", "Times that the kernel dropped notifications and tables were read again.")
        probed = metrics.counter(
            "evpnd_dataplane_probes_total", "Silent local hosts that were asked whether they are still there.")
        flooded = metrics.counter(
            "evpnd_dataplane_floods_total", "Seconds in which an interface had more ARP or ND messages than are heard.")
        do throws(NetlinkFailure) {
            // Subscribed before anything is read: what changes in between is told.
            notifications = try NotificationSocket(.devices, in: namespace)
            routing = Routing(try NotificationSocket(.routes, in: namespace, subscribes: false))
            socket = try NetlinkSocket(in: namespace)
            asking = try NetlinkSocket(in: namespace)
            links = try Observation.links(asking)
        } catch {
            throw DataplaneError("netlink: \(error)")
        }
        floodRecord = FloodRecord(directory: stateDirectory, cookie: namespace?.cookie ?? 0)
        floodRecord.keep(links.links.keys)
        readIPv6Forwarding()
        operatorVNIs = Set(links.vxlans.keys.compactMap { VNI($0) }.filter { links.hasOperatorDevice($0) })
        if let problem = floodRecord.problem { log.warning("dataplane.state", ["problem": problem]) }
        loop.watch(notifications.descriptor, .readable) { [weak self] _ in self?.readNotifications() }
    }

    /// The broadcast domains and the IP-VRFs of this host; replaces the earlier lists. The L3 VNIs' domains come with their VRFs.
    /// `hosts`: the hosts of each domain that the configuration declares to live here, whose neighbor entries never age.
    public func configure(
        _ domains: [BroadcastDomain], vrfs: [IPVRF] = [], hosts: [VNI: [StaticMAC]] = [:], defaultVTEP: IPAddress?
    ) {
        hasConfiguration = true
        self.defaultVTEP = defaultVTEP
        configure(vrfs)
        var new: [VNI: BroadcastDomain] = [:]
        for configuration in domains + vrfs.compactMap({ $0.transitDomain }) { new[configuration.vni] = configuration }
        for vni in domainsByVNI.keys.sorted() where new[vni] == nil {
            if let domain = domainsByVNI[vni], domain.configuration != nil { retire(domain) }
        }
        let members = Set(new.values.flatMap(\.members))
        for (vni, configuration) in new {
            let domain = domain(vni)
            released.remove(vni)
            domain.table.mayPrune = mayPrune
            guard domain.configuration != configuration else { continue }
            switch (domain.configuration?.device, configuration.device) {
            case (.managed, .managed), (.managedVLAN, .managedVLAN), (.adopted, _), (nil, _): break
            default: released.insert(vni)
            }
            if let old = domain.configuration {
                if old.isTransit != configuration.isTransit { unbind(domain) }
                if old.routed != nil, configuration.routed == nil { released.insert(vni) }
                // Those of another domain are moved there.
                domain.formerMembers = domain.formerMembers.union(old.members).subtracting(members)
                if let name = old.routed?.vrf, name != configuration.routed?.vrf { domain.previousVRF = name }
            } else if domain.devices != nil {
                // Its last entries were on their way out: its hosts are looked at anew.
                unbind(domain)
            }
            domain.configuration = configuration
            domain.work.reset()
        }
        for (vni, domain) in domainsByVNI where domain.configuration != nil { declare(hosts[vni] ?? [], in: domain) }
        collectPlaces()
        indexNames()
        evaluateAll()
    }
    /// Addresses that several hosts claim are those of the last one.
    private func declare(_ hosts: [StaticMAC], in domain: Domain) {
        var neighbors: [IPAddress: MACAddress] = [:]
        for host in hosts { for ip in host.addresses { neighbors[ip] = host.mac } }
        guard neighbors != domain.table.declared else { return }
        domain.table.declare(neighbors)
        due(domain)
    }
    private func collectPlaces() {
        var places: [VNI: ManagedVLAN] = [:]
        guard namespace == nil else { return }
        for (vni, domain) in domainsByVNI {
            if case .managedVLAN(let place) = domain.configuration?.device { places[vni] = place }
        }
        guard places != sharedPlaces else { return }
        if places.isEmpty { isSharedReleased = true }
        sharedPlaces = places
        sharedWork.reset()
    }
    func domain(_ vni: VNI) -> Domain {
        if let domain = domainsByVNI[vni] { return domain }
        let domain = Domain(vni: vni, vteps: vteps)
        domain.table.mayPrune = mayPrune
        domain.table.takesOver = takesOver
        domainsByVNI[vni] = domain
        return domain
    }
    /// Takes our entries out of the domain's device, which is the operator's; devices of ours go as a whole.
    func retire(_ domain: Domain) {
        let wasManaged = if case .managed = domain.configuration?.device { true } else { false }
        domain.configuration = nil
        domain.plan = nil
        domain.work.finish(isSettled: false)
        released.insert(domain.vni)
        withdrawFacts(of: domain)
        for mac in Array(domain.table.macs.keys) { domain.table.want(mac, nil) }
        for vtep in domain.table.floodVNIs.keys.sorted() { domain.table.want(flood: vtep, nil) }
        domain.table.declare([:])
        for ip in Array(domain.table.neighbors.keys) { domain.table.want(neighbor: ip, nil) }
        domain.table.mayPrune = true
        domain.table.enqueueAll()
        if wasManaged { unbind(domain) }
        due(domain)
    }
    /// Rows to set or remove. Rows of domains that are not configured are remembered until they are.
    public func apply(_ changes: [ForwardingChange]) {
        var cached: Domain?
        for change in changes {
            if case .prefix(let key, let remote) = change {
                if !failures.isEmpty { failures[.prefix(key)] = nil }
                want(key, remote)
                continue
            }
            guard let (vni, isRemoval) = change.place else { continue }
            if cached?.vni != vni {
                cached = isRemoval ? domainsByVNI[vni] : domain(vni)
                if let cached { due(cached) }
            }
            guard let domain = cached else { continue }
            if !failures.isEmpty, let key = change.key { failures[key] = nil }
            switch change {
            case .mac(let key, let remote): domain.table.want(key.mac, remote)
            case .flood(let key, let member): domain.table.want(flood: key.vtep, member)
            case .neighbor(let key, let remote):
                announceMove(key.ip, remote, in: domain)
                domain.table.want(neighbor: key.ip, remote)
            case .prefix: break
            }
        }
        // A large batch starts on its way at once, while the loop goes on with the next.
        if changes.count >= 512 {
            flush()
            flushRoutes()
        }
    }
    /// Entries and devices of ours that were found at start and that nobody has asked for may be removed from now on.
    public func allowPruning() {
        guard !mayPrune else { return }
        mayPrune = true
        for (_, domain) in domainsByVNI.sorted(by: { $0.key < $1.key }) {
            domain.table.mayPrune = true
            domain.table.enqueueAdopted()
            due(domain)
        }
        removeUnconfigured()
        allowPruningOfRoutes()
    }
    /// Every configured domain has been looked at: it is usable, or it is known why not; and what was found is reported.
    public var isReady: Bool {
        hasConfiguration && !isEvaluationScheduled && !routing.isEvaluationScheduled && pendingFacts.isEmpty
            && domainsByVNI.values.allSatisfy { !$0.work.isChanging && (!$0.isObserving || $0.table.binding != nil) }
            && !sharedWork.isChanging && vrfs.values.allSatisfy { !$0.work.isChanging }
            && routing.vrfs.values.allSatisfy { $0.binding == nil || $0.table.binding != nil }
    }
    /// Stops observing and closes the sockets; forwarding stays in the kernel. What is already on its way to the kernel
    /// is still done.
    public func close() {
        guard !isClosed else { return }
        flush()
        flushRoutes()
        isClosed = true
        loop.unwatch(notifications.descriptor)
        loop.unwatch(routing.notifications.descriptor)
        if let retryTimer { loop.cancel(retryTimer) }
        if let probeTimer { loop.cancel(probeTimer.id) }
        stopWatchingAddresses()
        if underlay == nil { worker.stop() }
    }
}

extension ForwardingChange {
    /// Nil for a row that belongs to no broadcast domain.
    var place: (vni: VNI, isRemoval: Bool)? {
        switch self {
        case .mac(let key, let value): (key.vni, value == nil)
        case .flood(let key, let value): (key.vni, value == nil)
        case .neighbor(let key, let value): (key.vni, value == nil)
        case .prefix: nil
        }
    }
    var key: ForwardingKey? {
        switch self {
        case .mac(let key, _): .mac(key)
        case .flood(let key, _): .flood(key)
        case .neighbor(let key, _): .neighbor(key)
        case .prefix: nil
        }
    }
}
