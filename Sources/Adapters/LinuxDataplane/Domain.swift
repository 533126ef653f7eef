// What the dataplane holds for one broadcast domain.

import EVPN
import NetTypes
import Netlink

final class Domain {
    let vni: VNI
    /// Nil: rows were given for a VNI that is not configured (yet, or any more).
    var configuration: BroadcastDomain?
    var table: EntryTable
    var plan: DevicePlan?

    /// An observation (dump) is under way; what notifications tell meanwhile wins over it.
    var isObserving = false
    var observesAgain = false
    var touchedMACs: Set<MACAddress> = []
    var touchedNeighbors: Set<IPAddress> = []
    /// The devices that are observed or in use.
    var devices: DeviceBinding?

    /// What was told to the control plane.
    var reported: LocalDomain?
    var localMACs: [MACAddress: LocalPort] = [:]
    var localNeighbors: [IPAddress: LocalNeighbor] = [:]
    /// The addresses of `localNeighbors` by their MAC.
    var neighborsByMAC: [MACAddress: Set<IPAddress>] = [:]
    /// Facts were left out because there were too many; said once.
    var isFull = false
    /// Ports that an earlier configuration had as members, until they are out of the bridge.
    var formerMembers: Set<String> = []
    /// Of the layer-3 interface: addresses that this process has set, and the VRF that it was configured to be in before.
    var setAddresses: Set<SubnetAddress> = []
    var previousVRF: String?
    /// The devices' own addresses that are announced as local.
    var ownMACs: [MACAddress: LocalMAC] = [:]
    var ownNeighbors: [IPAddress: LocalNeighbor] = [:]

    /// Addresses that were withdrawn a moment ago.
    var remembered = RememberedBindings()
    /// Where the interface of the neighbors was when the last of those were asked for: itself and its VRF.
    var askedPlace: DeviceNumber?

    let work: DeviceWork

    /// A MAC in the bridge's table on a port other than the VXLAN device.
    struct LocalPort: Hashable {
        var interface: Int32
        var isStatic: Bool
        var isSticky: Bool
    }

    init(vni: VNI, vteps: VTEPTable) {
        self.vni = vni
        work = DeviceWork(.vni(vni))
        table = EntryTable(domain: vni, vteps: vteps)
    }
    var problem: String? { work.failure ?? plan?.problem }
    var remedy: String? { work.failure == nil ? plan?.remedy : nil }
    var isUp: Bool { reported != nil }
    /// What it has in a VLAN that it leaves is being removed.
    var isLeaving: Bool { table.isDraining }
    var isTransit: Bool { configuration?.isTransit == true }
}
