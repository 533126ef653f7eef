// Groups of equal paths. A group is named after what is in it and never changes: routes with the same paths share one, and a route
// whose paths change goes on to another one. Numbers of buckets follow from their paths alone, and Open vSwitch chooses by the highest
// hash of bucket and packet: connections over a path that stays keep it whatever else comes or goes.

import EVPN
import NetTypes
import OpenFlow

struct GroupTable: Sendable {
    private var entries: [[Path]: (id: UInt32, users: Int)] = [:]
    private var pathsOfID: [UInt32: [Path]] = [:]

    var all: [UInt32: [Path]] { pathsOfID }
    func id(of paths: [Path]) -> UInt32? { entries[paths]?.id }

    /// Returns the number if the group is new.
    mutating func retain(_ paths: [Path]) -> UInt32? {
        if let entry = entries[paths] {
            entries[paths] = (entry.id, entry.users + 1)
            return nil
        }
        var fnv = FNV()
        for path in paths { fnv.feed(UInt64(path.hash)) }
        var id = Layout.groupPrefix << 24 | fnv.value & 0xff_ffff
        while pathsOfID[id] != nil { id = Layout.groupPrefix << 24 | (id &+ 1) & 0xff_ffff }
        entries[paths] = (id, 1)
        pathsOfID[id] = paths
        return id
    }
    /// Returns the number if nobody uses the group any more.
    mutating func release(_ paths: [Path]) -> UInt32? {
        guard let entry = entries[paths] else { return nil }
        if entry.users > 1 {
            entries[paths] = (entry.id, entry.users - 1)
            return nil
        }
        entries[paths] = nil
        pathsOfID[entry.id] = nil
        return entry.id
    }
}

extension FlowTables {
    func groupsInForce() -> [UInt32: Group] {
        var all: [UInt32: Group] = [:]
        for (id, paths) in groups.all { all[id] = group(id, paths) }
        return all
    }

    func collectGroups(
        _ created: [UInt32], _ removed: [UInt32], _ before: [UInt32: Group]?, _ update: inout Update
    ) {
        let gone = Set(removed)
        if let before {
            for (id, group) in groupsInForce() where before[id] != group { update.groups.append(group) }
        } else {
            for id in created where !gone.contains(id) {
                if let paths = groups.all[id] { update.groups.append(group(id, paths)) }
            }
        }
        update.groups.sort { $0.id < $1.id }
        update.removedGroups = removed.filter { groups.all[$0] == nil && found.groups[$0] == nil }.sorted()
    }

    /// The first path is the VRF, for the router's MAC address.
    private func group(_ id: UInt32, _ paths: [Path]) -> Group {
        guard case .table(let number)? = paths.first,
            let vrf = model.vrfs.values.first(where: { $0.number == number })
        else { return Group(id, .select, buckets: []) }
        var taken: Set<UInt32> = []
        let buckets = paths.dropFirst().map { path in
            var bucket = path.hash & 0x7fff_ffff
            while !taken.insert(bucket).inserted { bucket = (bucket &+ 1) & 0x7fff_ffff }
            return Group.Bucket(id: bucket, weight: 1, actions: send(path, vrf))
        }
        return Group(
            id, .select,
            selectionMethod: .hash([
                .ipProtocol, .ipv4Source, .ipv4Destination, .ipv6Source, .ipv6Destination, .tcpSource, .tcpDestination,
                .udpSource, .udpDestination,
            ]), buckets: buckets.sorted { $0.id < $1.id })
    }
}
