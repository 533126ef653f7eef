// What the kernel counts for each VNI: in the filter of a VXLAN device for many, or for the device of one.

import EVPN
public import NetTypes
public import Netlink

/// The counters of one VNI.
public struct VNICounters: Equatable, Sendable {
    public var vni: VNI
    /// The VXLAN device.
    public var device: String
    public var traffic: TrafficCounters
}

extension LinuxDataplane {
    /// Packets and octets of the VNIs that have devices of their own, or a place in a device with a filter, sorted by VNI. Asks the
    /// kernel: for a person or a scrape of the metrics, not for every packet.
    public func vniCounters() -> [VNICounters] {
        var found: [VNI: VNICounters] = [:]
        var filtered: Set<Int32> = []
        var own: [(vni: VNI, interface: Int32)] = []
        for (vni, domain) in domainsByVNI.sorted(by: { $0.key < $1.key }) where domain.configuration != nil {
            guard let devices = domain.devices, let vxlan = links[devices.vxlan]?.vxlan else { continue }
            if vxlan.hasVNIFilter {
                filtered.insert(devices.vxlan)
            } else if !vxlan.collectsMetadata {
                own.append((vni, devices.vxlan))
            }
        }
        for interface in filtered.sorted() {
            let name = links.name(of: interface)
            var entries: [FilteredVNIs] = []
            try? asking.dump(
                restart: { entries = [] },
                { $0.dumpVNIFilter(sequence: $1, interface: interface, withCounters: true) },
                { message in
                    guard message.type == MessageType.newTunnel else { return }
                    entries += FilteredVNIs.decode(message.payload)
                })
            for entry in entries {
                guard let vni = VNI(entry.vnis.lowerBound), let traffic = entry.counters,
                    domainsByVNI[vni]?.devices?.vxlan == interface
                else { continue }
                found[vni] = VNICounters(vni: vni, device: name, traffic: traffic)
            }
        }
        _ = asking.transact(
            own.count,
            reply: { index, message in
                guard message.type == MessageType.newLink, let traffic = TrafficCounters(link: message.payload) else {
                    return
                }
                let (vni, interface) = own[index]
                found[vni] = VNICounters(vni: vni, device: self.links.name(of: interface), traffic: traffic)
            },
            { batch, index, sequence in
                batch.getLinkCounters(sequence: sequence, interface: own[index].interface)
            })
        return found.values.sorted { $0.vni < $1.vni }
    }
}
