// The layer-3 interface of a MAC-VRF (IRB): this host's own MAC address and gateway addresses there. They never move, whoever else
// has them too (anycast gateway, RFC 9135 §4.1), and are announced as the configuration asks.

import BGP
import NetTypes

/// The addresses that the configuration gives to the layer-3 interface of a MAC-VRF.
struct LocalInterface: Equatable {
    var mac: MACAddress
    /// Sorted.
    var addresses: [IPAddress]
}

extension ControlPlane {
    /// Brings the claims on the interface's own addresses in line with configuration and device.
    mutating func refreshInterface(_ slot: Slot) {
        let index = Int(slot)
        var wanted: LocalInterface?
        if let routed = vrfs[index]?.evi?.domain.routed, !routed.addresses.isEmpty,
            let mac = routed.mac ?? vrfs[index]?.domain?.routerMAC, mac.isUsableByHost
        {
            wanted = LocalInterface(mac: mac, addresses: Set(routed.addresses.map(\.ip)).sorted())
        }
        let old = vrfs[index]?.interface
        guard old != wanted else { return }
        vrfs[index]?.interface = wanted
        for ip in old?.addresses ?? [] where wanted?.addresses.contains(ip) != true || wanted?.mac != old?.mac {
            guard var address = vrfs[index]?.neighbors[ip] else { continue }
            address.interface = nil
            setAddress(slot, ip, address)
        }
        if let old, old.mac != wanted?.mac, var claim = vrfs[index]?.locals[old.mac] {
            claim.isInterface = false
            setClaim(slot, old.mac, claim)
        }
        guard let wanted else { return }
        var claim = vrfs[index]?.locals[wanted.mac] ?? LocalClaim()
        if !claim.isInterface {
            claim.isInterface = true
            claim.isFresh = false
            setClaim(slot, wanted.mac, claim)
        }
        for ip in wanted.addresses {
            var address = vrfs[index]?.neighbors[ip] ?? LocalAddress()
            guard address.interface != wanted.mac else { continue }
            address.interface = wanted.mac
            address.isFresh = false
            setAddress(slot, ip, address)
        }
    }

    /// Whether an address is this host's own in a MAC-VRF.
    func isInterface(_ vrf: Slot, _ ip: IPAddress) -> Bool {
        guard let record = vrfs[Int(vrf)], let mac = record.neighbors[ip]?.mac else { return false }
        return record.locals[mac]?.isGateway ?? false
    }

    /// How a claim is announced: gateways as the configuration says, nil: not at all.
    func announcement(of claim: LocalClaim, in vrf: Slot) -> LocalClaim? {
        guard claim.isGateway else { return claim }
        switch vrfs[Int(vrf)]?.evi?.domain.routed?.announcement ?? .gateway {
        case .none: return nil
        case .gateway: return claim
        case .host:
            var host = claim
            host.isInterface = false
            host.learned?.isGateway = false
            return host
        }
    }
}
