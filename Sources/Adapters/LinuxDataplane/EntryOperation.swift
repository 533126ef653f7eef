// One request for one row, as the worker sends it and as an operator would type it.

import NetTypes
import Netlink

/// A change of, or a question about, one kernel entry. Prints as the command that does the same, with the interface as
/// `#N` until `text(device:)` puts in its name.
struct EntryOperation: Hashable, Sendable {
    enum Kind: UInt8, Sendable {
        /// In both tables, or the device's only, by `flags`.
        case setMAC
        /// The bridge ignores the sticky flag of an extern_learn entry: a second request puts it on.
        case setSticky
        case clearSticky
        case deleteMAC
        case verifyMAC
        case addFlood
        case deleteFlood
        case setNeighbor
        /// Of a host that is declared to live here.
        case declareNeighbor
        case deleteNeighbor
        case verifyNeighbor
    }
    var kind: Kind
    var flags: NeighborFlags = []
    /// A second request for the same row follows.
    var hasMore = false
    /// Whose row it is.
    var domain: VNI
    var interface: Int32
    /// Of the domain's binding to its device; an answer for an earlier one is dropped.
    var generation: UInt32
    /// The VNI to send with; 0: the domain's.
    var vni: UInt32 = 0
    /// In an external VXLAN device, the VNI that the entry belongs to; in a bridge that filters VLANs, the VLAN. 0: none.
    var sourceVNI: UInt32 = 0
    var vlan: UInt16 = 0
    var mac: MACAddress = .zero
    /// The kernel may ask a declared host whether it is there (`extern_valid`); otherwise the entry is permanent.
    var isValidated = false
    /// The VTEP, or a neighbor's IP address.
    var address: IPAddress = .v4(.any)

    /// It failed because what it is to delete is gone, or is as good as that: of a VLAN that has left its port the bridge deletes no entry,
    /// nor does it use one (EINVAL; br_fdb_delete in net/bridge/br_fdb.c). When the VLAN is used again it is found as one of ours.
    func isGone(_ failure: NetlinkFailure) -> Bool {
        failure.isAbsence || failure.code == 22 && kind == .deleteMAC && vlan != 0 && flags.contains(.master)
    }

    /// How many netlink requests it takes.
    var requestCount: Int { kind == .verifyMAC && flags.contains(.master) ? 2 : 1 }

    func encode(_ batch: inout NetlinkBatch, request: Int, sequence: UInt32) {
        let remoteVNI = vni == 0 ? nil : vni
        switch kind {
        case .setMAC:
            batch.setFDB(
                sequence: sequence, interface: interface, mac: mac, destination: address, vni: remoteVNI,
                sourceVNI: sourceVNI, vlan: flags.contains(.master) ? vlan : 0, state: .reachable,
                flags: flags.union(.externallyLearned), mode: [.create, .replace])
        case .setSticky:
            batch.setFDB(
                sequence: sequence, interface: interface, mac: mac, destination: nil, vni: nil, vlan: vlan,
                state: .noARP,
                flags: [.master, .sticky], mode: [.create, .replace])
        case .clearSticky:
            batch.setFDB(
                sequence: sequence, interface: interface, mac: mac, destination: nil, vni: nil, vlan: vlan,
                state: .reachable,
                flags: .master, mode: [.create, .replace])
        case .deleteMAC:
            batch.deleteFDB(
                sequence: sequence, interface: interface, mac: mac, destination: nil, vni: nil,
                sourceVNI: flags.contains(.own) ? sourceVNI : 0, vlan: flags.contains(.master) ? vlan : 0, flags: flags)
        case .verifyMAC:
            batch.getFDB(
                sequence: sequence, interface: interface, mac: mac, sourceVNI: sourceVNI, vlan: vlan,
                flags: request == 0 ? .own : .master)
        case .addFlood:
            batch.setFDB(
                sequence: sequence, interface: interface, mac: .zero, destination: address, vni: remoteVNI,
                sourceVNI: sourceVNI, state: [.reachable, .permanent], flags: .own, mode: [.create, .append])
        case .deleteFlood:
            batch.deleteFDB(
                sequence: sequence, interface: interface, mac: .zero, destination: address, vni: remoteVNI,
                sourceVNI: sourceVNI, flags: .own)
        case .setNeighbor:
            batch.setNeighbor(
                sequence: sequence, interface: interface, ip: address, mac: mac, state: .noARP,
                flags: flags.union(.externallyLearned), proto: neighborProtocol)
        case .declareNeighbor:
            batch.declareNeighbor(
                sequence: sequence, interface: interface, ip: address, mac: mac, isValidated: isValidated,
                proto: neighborProtocol)
        case .deleteNeighbor:
            batch.deleteNeighbor(sequence: sequence, interface: interface, ip: address)
        case .verifyNeighbor:
            batch.getNeighbor(sequence: sequence, interface: interface, ip: address)
        }
    }

    /// The command that does the same.
    func text(device: String) -> String {
        let vniText = (vni == 0 ? "" : " vni \(vni)") + (sourceVNI == 0 ? "" : " src_vni \(sourceVNI)")
        let vlanText = vlan == 0 ? "" : " vlan \(vlan)"
        let tables =
            (flags.contains(.own) ? " self" : "") + (flags.contains(.master) ? vlanText + " master" : "")
        switch kind {
        case .setMAC: return "bridge fdb replace \(mac) dev \(device) dst \(address)\(vniText)\(tables) extern_learn"
        case .setSticky: return "bridge fdb replace \(mac) dev \(device)\(vlanText) master static sticky"
        case .clearSticky: return "bridge fdb replace \(mac) dev \(device)\(vlanText) master dynamic"
        case .deleteMAC: return "bridge fdb del \(mac) dev \(device)\(flags.contains(.own) ? vniText : "")\(tables)"
        case .verifyMAC:
            let place = sourceVNI == 0 ? "" : " vni \(sourceVNI)"
            return "bridge fdb get \(mac) dev \(device)\(place)\(tables)"
        case .addFlood: return "bridge fdb append \(mac) dev \(device) dst \(address)\(vniText)"
        case .deleteFlood: return "bridge fdb del \(mac) dev \(device) dst \(address)\(vniText)"
        case .setNeighbor:
            let router = flags.contains(.router) ? " router" : ""
            return
                "ip neigh replace \(address) lladdr \(mac) dev \(device) nud noarp extern_learn protocol \(neighborProtocol)\(router)"
        case .declareNeighbor:
            let state = isValidated ? "stale extern_valid" : "permanent"
            return
                "ip neigh replace \(address) lladdr \(mac) dev \(device) nud \(state) protocol \(neighborProtocol)"
        case .deleteNeighbor: return "ip neigh del \(address) dev \(device)"
        case .verifyNeighbor: return "ip neigh get \(address) dev \(device)"
        }
    }
}
