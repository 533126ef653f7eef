// One network namespace that an IP-VRF lives in, whether it exists now or not.

import AsyncIO
import EVPN
import NetTypes
import Netlink
import Telemetry

/// What one dataplane is asked to serve.
struct DataplaneConfiguration {
    var domains: [BroadcastDomain] = []
    var vrfs: [IPVRF] = []
    /// Declared hosts.
    var hosts: [VNI: [StaticMAC]] = [:]
    var defaultVTEP: IPAddress?
    /// VNIs that other namespaces serve.
    var elsewhere: Set<VNI> = []
    var isEmpty: Bool { domains.isEmpty && vrfs.isEmpty }
}

final class TenantNamespace {
    let name: String
    var configuration = DataplaneConfiguration()
    /// Held open for as long as there is a dataplane.
    private(set) var namespace: NetworkNamespace?
    private(set) var dataplane: LinuxDataplane?
    /// Why there is none.
    var problem: String?
    private var remedy: String? { NetworkNamespace.identity(of: name) == nil ? "ip netns add \(name)" : nil }
    /// Wanted rows, while there is no dataplane.
    private var waiting: [ForwardingKey: ForwardingChange] = [:]

    init(_ name: String) { self.name = name }

    static func find(_ name: String) throws(DataplaneError) -> NetworkNamespace {
        do throws(NetlinkFailure) {
            return try NetworkNamespace(name)
        } catch {
            if error.isAbsence { throw DataplaneError("no network namespace \(name) (ip netns add \(name))") }
            throw DataplaneError(error.isPermission ? "\(error); evpnd needs CAP_SYS_ADMIN for it" : "\(error)")
        }
    }
    /// Makes the namespace of a managed VRF, when there is none. Whether it did.
    func create(record: NamespaceRecord) throws(DataplaneError) -> Bool {
        guard !NetworkNamespace.exists(name) else { return false }
        do throws(NetlinkFailure) {
            record.recordMade(try NetworkNamespace.create(name))
            return true
        } catch {
            throw DataplaneError(
                "there is no network namespace \(name), and evpnd cannot make it: \(error)"
                    + (error.isPermission ? "; CAP_SYS_ADMIN is needed, or: ip netns add \(name)" : ""))
        }
    }
    /// `taken`: the names of the namespaces that others have.
    func open(
        underlay: LinuxDataplane, record: NamespaceRecord, taken: [NetworkNamespace.Identity: String]
    ) throws(DataplaneError) {
        let found = try TenantNamespace.find(name)
        if found.identity == NetworkNamespace.ownIdentity {
            throw DataplaneError("network namespace \(name) is the one that evpnd runs in")
        }
        if let other = taken[found.identity] {
            throw DataplaneError("network namespace \(name) is the same as \(other)")
        }
        record.insert(name)
        dataplane = try LinuxDataplane(found, underlay: underlay)
        namespace = found
        problem = nil
    }
    /// Has the dataplane serve the configuration. A managed VRF routes: its namespace is made to.
    func configure() {
        guard let dataplane, let namespace else { return }
        if configuration.vrfs.contains(where: \.isManaged) {
            for key in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
                do throws(NetlinkFailure) {
                    if try namespace.setSysctl(key, "1") {
                        dataplane.log.info("netns.sysctl", ["command": "sysctl -w net/\(key)=1"])
                    }
                } catch {
                    dataplane.log.warning(
                        "netns.sysctl.failed", ["command": "sysctl -w net/\(key)=1", "reason": "\(error)"])
                }
            }
        }
        dataplane.configure(
            configuration.domains, vrfs: configuration.vrfs, hosts: configuration.hosts,
            defaultVTEP: configuration.defaultVTEP)
    }
    /// Gives a dataplane that was just opened everything that is wanted.
    func start(mayPrune: Bool) {
        guard let dataplane else { return }
        dataplane.release(configuration.elsewhere)
        configure()
        dataplane.apply(waiting.sorted { $0.key < $1.key }.map(\.value))
        waiting = [:]
        if mayPrune { dataplane.allowPruning() }
    }
    /// The namespace is gone. What is wanted is kept for the next one of this name.
    func abandon() {
        guard let dataplane else { return }
        for row in dataplane.allRows { remember(row) }
        // Rows that follow from what is gone are for the namespace that may come.
        self.dataplane = nil
        namespace = nil
        dataplane.abandon()
    }

    func apply(_ changes: [ForwardingChange]) {
        if let dataplane { return dataplane.apply(changes) }
        for change in changes { remember(change) }
    }
    private func remember(_ change: ForwardingChange) {
        switch change {
        case .mac(let key, let value): waiting[.mac(key)] = value.map { .mac(key, $0) }
        case .flood(let key, let value): waiting[.flood(key)] = value.map { .flood(key, $0) }
        case .neighbor(let key, let value): waiting[.neighbor(key)] = value.map { .neighbor(key, $0) }
        case .prefix(let key, let value): waiting[.prefix(key)] = value.map { .prefix(key, $0) }
        }
    }
    /// Everything that is wanted.
    var allRows: [ForwardingChange] { dataplane?.allRows ?? waiting.sorted { $0.key < $1.key }.map(\.value) }

    func status(of key: ForwardingKey) -> EntryStatus {
        if let dataplane { return dataplane.status(of: key) }
        return waiting[key] == nil ? .absent : .waiting(reason: problem ?? "starting")
    }
    var statistics: DataplaneStatistics {
        if let dataplane { return dataplane.statistics }
        var all = DataplaneStatistics()
        all.desired = waiting.count
        all.waiting = waiting.count
        return all
    }
    func vrfStatus() -> [VRFStatus] {
        if let dataplane { return dataplane.vrfStatus() }
        return configuration.vrfs.map { vrf in
            VRFStatus(
                name: vrf.name, device: nil, table: nil, isManaged: vrf.isManaged, state: .waiting, problem: problem,
                remedy: remedy)
        }
    }
    func domains() -> [DomainStatus] {
        if let dataplane { return dataplane.domains() }
        return (configuration.domains + configuration.vrfs.compactMap(\.transitDomain)).map { domain in
            DomainStatus(
                vni: domain.vni, device: nil, bridge: nil, isManaged: domain.isManaged, state: .waiting,
                vtep: domain.vtep ?? configuration.defaultVTEP, problem: problem, remedy: remedy)
        }
    }
}

extension LinuxDataplane {
    /// There is nothing of ours, and nothing is to be done.
    var isEmpty: Bool { domainsByVNI.isEmpty && links.marked.isEmpty && removing.isEmpty && routing.isEmpty }
    /// Everything that is wanted.
    var allRows: [ForwardingChange] { domainsByVNI.keys.sorted().flatMap { rows(of: $0) } + routing.rows }
    func underlayChanged() {
        touchUnderlay()
        // A device there may have had the VNI.
        for (vni, domain) in domainsByVNI where domain.devices == nil { touched.insert(vni) }
        scheduleEvaluation()
    }
}

extension ForwardingChange {
    /// The same row, to be removed.
    var removal: ForwardingChange {
        switch self {
        case .mac(let key, _): .mac(key, nil)
        case .flood(let key, _): .flood(key, nil)
        case .neighbor(let key, _): .neighbor(key, nil)
        case .prefix(let key, _): .prefix(key, nil)
        }
    }
}

extension BroadcastDomain {
    var isManaged: Bool { device.isManaged }
}

extension DataplaneStatistics {
    /// Adds what is counted by row; the metrics count for all namespaces together.
    mutating func addRows(of other: DataplaneStatistics) {
        desired += other.desired
        pending += other.pending
        failed += other.failed
        waiting += other.waiting
        localMACs += other.localMACs
        localNeighbors += other.localNeighbors
        localPrefixes += other.localPrefixes
    }
}
