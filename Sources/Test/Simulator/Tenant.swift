// The one routed tenant of the fabric: an IP-VRF on every VTEP, which all VNIs are in, and a subnet that only this VTEP has.

import BGP
import EVPN
import NetTypes

enum Tenant {
    static let name = "tenant"
    /// The L3 VNI.
    static let vni: VNI = {
        guard let vni = VNI(5000) else { preconditionFailure("5000 is a VNI") }
        return vni
    }()
    static func vrf(rd: RouteDistinguisher) -> IPVRF {
        var domain = BroadcastDomain(vni: vni, device: .adopted(name: nil))
        domain.isTransit = true
        return IPVRF(
            name: name, domain: domain, rd: rd, importTargets: .automatic(vni),
            exportTargets: [.automatic(asn: 65000, vni: vni)], announced: AnnouncedPrefixes(connected: ["br*"]))
    }
    static func subnet(of index: Int) -> IPPrefix {
        let address = IPAddress.v4(IPv4Address(rawValue: 0x0a64_0000 + UInt32(index) << 8))
        guard let prefix = IPPrefix(address, length: 24) else { preconditionFailure("the length fits") }
        return prefix
    }
    /// Follows from the VTEP's address, as a fake kernel knows nothing else of its host.
    static func routerMAC(of vtep: IPAddress) -> MACAddress {
        var value: UInt64 = 0x0200_0500_0000
        if case .v4(let address) = vtep { value += UInt64(address.rawValue & 0xffff) }
        return MACAddress(rawValue: value)
    }
    static func domain(_ vni: VNI, vtep: IPAddress) -> LocalDomain {
        LocalDomain(
            vtep: vtep, device: "vxlan\(vni)", vrf: name, routerMAC: vni == Tenant.vni ? routerMAC(of: vtep) : nil)
    }
}
