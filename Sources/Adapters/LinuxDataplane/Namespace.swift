// A dataplane in a namespace of tenants: its VXLAN devices are made through another namespace, the one in which their packets
// travel. The kernel ties a VXLAN device for life to the namespace in which it is asked for.

import AsyncIO
import EVPN
import Glibc
import NetTypes
import Netlink
import Telemetry

/// What a device plan has to know of the other namespaces.
struct Tenant {
    /// The name of the one that the devices are in.
    var namespace: String
    /// The devices of the one that their packets travel in.
    var underlay: LinkTable
}

/// Where operations on devices are sent.
struct DeviceSockets: Sendable {
    var own: NetlinkSocket
    /// A socket of the underlay's namespace, and the namespace that `own` is of; nil: both are the same.
    var underlay: (socket: NetlinkSocket, target: NetworkNamespace)?

    /// Does one operation, and waits for the kernel's answer.
    func transact(_ operation: LinkOperation) -> [RefusedRequest] {
        var first = 0
        if case .addVXLAN = operation, let underlay {
            let refused = underlay.socket.transact(1) { batch, index, sequence in
                operation.encode(&batch, request: index, sequence: sequence, namespace: underlay.target)
            }
            guard refused.isEmpty else { return refused }
            first = 1
        }
        return own.transact(operation.requestCount - first) { batch, index, sequence in
            operation.encode(&batch, request: first + index, sequence: sequence)
        }
    }
}

/// Which namespaces have ever had something of ours: each has a directory, in which its flood entries are recorded.
struct NamespaceRecord {
    private let path: String
    init(_ stateDirectory: String) { path = stateDirectory + "/netns" }

    func directory(of name: String) -> String { "\(path)/\(name)" }
    func insert(_ name: String) {
        mkdir(path, 0o755)
        mkdir(directory(of: name), 0o755)
    }
    /// evpnd has made this namespace itself.
    func recordMade(_ namespace: NetworkNamespace) {
        insert(namespace.name)
        guard let file = fopen(directory(of: namespace.name) + "/made", "we") else { return }
        fputs("\(namespace.cookie)\n", file)
        fclose(file)
    }
    /// Whether it is the one that evpnd has made, and not another of the same name.
    func hasMade(_ namespace: NetworkNamespace) -> Bool {
        guard let file = fopen(directory(of: namespace.name) + "/made", "re") else { return false }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 32)
        guard fgets(&line, Int32(line.count), file) != nil else { return false }
        let text = String(decoding: line.prefix { $0 != 0 && $0 != 10 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        return UInt64(text).map { $0 != 0 && $0 == namespace.cookie } ?? false
    }
    /// Deletes a namespace that evpnd has made and in which there is nothing of anybody else. Whether it did.
    func deleteIfMade(_ namespace: NetworkNamespace) -> Bool {
        guard hasMade(namespace), namespace.isBare,
            NetworkNamespace.identity(of: namespace.name) == namespace.identity
        else { return false }
        NetworkNamespace.delete(namespace.name)
        return true
    }
    func remove(_ name: String) {
        unlink(directory(of: name) + "/flood")
        unlink(directory(of: name) + "/made")
        rmdir(directory(of: name))
        rmdir(path)
    }
    /// Sorted.
    var names: [String] {
        guard let handle = opendir(path) else { return [] }
        defer { closedir(handle) }
        var names: [String] = []
        while let entry = readdir(handle) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if NetworkNamespace.isValid(name) { names.append(name) }
        }
        return names.sorted()
    }
}

extension LinuxDataplane {
    /// The devices of the namespace that has the VTEP addresses.
    var underlayLinks: LinkTable { underlay?.links ?? links }
    var deviceSockets: DeviceSockets {
        var sockets = DeviceSockets(own: socket)
        if let underlay, let namespace { sockets.underlay = (underlay.socket, namespace) }
        return sockets
    }

    /// These domains live in another namespace from now on. Devices of ours for them go at once, not only when pruning is allowed:
    /// the kernel has one VXLAN device at most for a VNI and an underlay.
    func release(_ vnis: Set<VNI>) {
        guard !vnis.isEmpty else { return }
        for vni in vnis.sorted() {
            if let domain = domainsByVNI[vni] { retire(domain) }
        }
        released.formUnion(vnis)
        hasConfiguration = true
        removeUnconfigured()
    }
    /// The rows that are wanted in a domain; what the configuration declares comes with that.
    func rows(of vni: VNI) -> [ForwardingChange] {
        guard let table = domainsByVNI[vni]?.table else { return [] }
        var rows: [ForwardingChange] = []
        for (vtep, number) in table.floodVNIs {
            if let target = VNI(number) {
                rows.append(.flood(FloodKey(vni: vni, vtep: vtep), FloodMember(vni: target)))
            }
        }
        for (mac, row) in table.macs {
            guard let vtep = vteps[row.want.vtep], let target = VNI(row.want.vni) else { continue }
            rows.append(
                .mac(
                    MACKey(vni: vni, mac: mac),
                    RemoteMAC(vtep: vtep, vni: target, isSticky: row.want.flags.contains(.sticky))))
        }
        for (ip, remote) in table.remoteNeighbors { rows.append(.neighbor(NeighborKey(vni: vni, ip: ip), remote)) }
        return rows
    }
    /// The namespace is gone: tells that nothing is here any more, and lets go of it, without which the kernel keeps it.
    func abandon() {
        for vni in domainsByVNI.keys.sorted() { if let domain = domainsByVNI[vni] { unbind(domain) } }
        for vrf in routing.vrfs.values.sorted(by: { $0.name < $1.name }) { unbind(vrf) }
        flushFacts()
        close()
    }
}
