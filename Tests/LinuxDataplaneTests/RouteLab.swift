// What tests of routes share.

import BGP
import EVPN
import NetTypes
import Netlink

@testable import LinuxDataplane

/// Constants of tests; a wrong one ends the run.
func prefix(_ text: String) -> IPPrefix {
    guard let prefix = IPPrefix(text) else { preconditionFailure("no prefix: \(text)") }
    return prefix
}
func prefixKey(_ text: String, vrf: String = "ten") -> PrefixKey { PrefixKey(vrf: vrf, prefix: prefix(text)) }
/// A prefix by way of routers in L3 VNI 500, or gone without any.
func route(_ text: String, via vteps: String..., vrf: String = "ten") -> ForwardingChange {
    let nexthops = vteps.map { RoutedNexthop.router(vtep: ip($0), through: vni(500)) }
    return .prefix(prefixKey(text, vrf: vrf), nexthops.isEmpty ? nil : RemotePrefix(nexthops: nexthops))
}
/// The main table of the namespace as the IP-VRF `ten`, with L3 VNI 500 in `br500`.
func tenant(maximumPaths: Int = 64) -> IPVRF {
    IPVRF(
        name: "ten", place: .underlay, domain: BroadcastDomain(vni: vni(500), device: .adopted(name: nil)),
        rd: RouteDistinguisher(rawValue: 1), importTargets: .explicit([]), exportTargets: [], maximumPaths: maximumPaths
    )
}
/// Commands: what `tenant` needs. Without `lo` the kernel has no local table, and without that no gateway is good enough for it.
let routed = """
    ip link set lo up
    ip link add br500 type bridge
    ip link set br500 addrgenmode none address 02:98:00:00:00:01
    ip link add vx500 type vxlan id 500 local 192.0.2.1 dstport 4789 nolearning
    ip link set vx500 master br500 addrgenmode none
    bridge link set dev vx500 learning off
    ip link set vx500 up
    ip link set br500 up
    """
