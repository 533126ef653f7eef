// What the dataplane holds for one IP-VRF, and how its devices are found by name.

import EVPN
import NetTypes
import Netlink

/// Where an IP-VRF is in the kernel now.
struct VRFBinding: Equatable, Sendable {
    /// The VRF device; 0 for the underlay, whose table is the main one and which has no device.
    var interface: Int32
    /// The routing table's number.
    var table: UInt32

    /// RT_TABLE_MAIN.
    static let underlay = VRFBinding(interface: 0, table: 254)
}

final class VRF {
    let name: String
    var configuration: IPVRF
    /// Nil: there is no usable device (yet), for the reason in `problem`.
    var binding: VRFBinding?
    var problem: String?
    let work: DeviceWork

    init(_ configuration: IPVRF) {
        name = configuration.name
        self.configuration = configuration
        work = DeviceWork(.vrf(configuration.name))
    }
}

extension IPVRF {
    /// The L3 VNI's domain with what follows from its being one: its layer-3 interface is in this VRF.
    var transitDomain: BroadcastDomain? {
        guard var domain else { return nil }
        domain.isTransit = true
        var routed = domain.routed ?? RoutedInterface()
        routed.vrf = name
        domain.routed = routed
        return domain
    }
}

extension LinuxDataplane {
    /// Replaces the list of IP-VRFs.
    func configure(_ configurations: [IPVRF]) {
        var new: [String: IPVRF] = [:]
        for configuration in configurations { new[configuration.name] = configuration }
        for name in vrfs.keys.sorted() where new[name] == nil { vrfs[name] = nil }
        for (name, configuration) in new.sorted(by: { $0.key < $1.key }) {
            guard let vrf = vrfs[name] else {
                vrfs[name] = VRF(configuration)
                continue
            }
            guard vrf.configuration != configuration else { continue }
            vrf.configuration = configuration
            vrf.work.reset()
        }
        touchedVRFs.formUnion(new.keys)
    }
}
