// The control plane with an IP-VRF: routes to hosts and prefixes behind some VTEPs, in, changed and out again.

import BGP
import EVPN
import NetTypes

private let vteps = 100

private func vni(_ number: UInt32) -> VNI {
    guard let vni = VNI(number) else { preconditionFailure("a VNI") }
    return vni
}

private func overlay() -> Overlay {
    var overlay = Overlay(asn: 65000, routerID: IPv4Address(rawValue: 1), evis: [])
    var domain = BroadcastDomain(vni: vni(500), device: .adopted(name: nil))
    domain.isTransit = true
    overlay.vrfs = [
        IPVRF(
            name: "red", domain: domain, rd: RouteDistinguisher(IPv4Address(rawValue: 1), 500),
            importTargets: .automatic(vni(500)), exportTargets: [.automatic(asn: 65000, vni: vni(500))])
    ]
    return overlay
}

/// One attribute set for each VTEP, as the RIB interns them.
private func sets(med: UInt32) -> [AttributeSet] {
    (0..<vteps).map { number in
        var attributes = PathAttributes()
        attributes.origin = .igp
        attributes.nextHop = .v4(IPv4Address(rawValue: 0xc000_0200 + UInt32(number)))
        attributes.med = med
        attributes.extendedCommunities = [
            RouteTarget.automatic(asn: 65000, vni: vni(500)).community,
            .encapsulation(ExtendedCommunity.vxlanEncapsulation),
            .routerMAC(MACAddress(rawValue: 0x0200_0000_0500 + UInt64(number))),
        ]
        return AttributeSet(attributes)
    }
}

private func routes(isHosts: Bool, _ sets: [AttributeSet]?) -> [RouteChange] {
    (0..<count).map { number in
        let place = number / 50 % vteps
        let rd = RouteDistinguisher(IPv4Address(rawValue: UInt32(place)), 500)
        let address = IPAddress.v4(IPv4Address(rawValue: 0x0a00_0000 + UInt32(number) << (isHosts ? 0 : 4)))
        var route = EVPNRoute.macIP(
            MACIPRoute(
                rd: rd, mac: MACAddress(rawValue: 0x0200_0000_0000 + UInt64(number)), ip: address, label1: 101,
                label2: 500))
        if !isHosts, let prefix = IPPrefix(address, length: 28) {
            route = .ipPrefix(IPPrefixRoute(rd: rd, prefix: prefix, gateway: .v4(.any), label: 500))
        }
        let path = sets.map {
            RemotePath(payload: RoutePayload(route), attributes: $0[place], neighbor: .v4(IPv4Address(rawValue: 1)))
        }
        return RouteChange(key: RouteKey(route), path: path)
    }
}

/// In batches of a few UPDATEs; forwarding changes.
private func feed(_ plane: inout ControlPlane, _ changes: [RouteChange]) -> Int {
    var result = 0
    for start in stride(from: 0, to: changes.count, by: 1000) {
        let batch = Array(changes[start..<min(changes.count, start + 1000)])
        result += plane.handle(.routes(batch), now: .zero).forwarding.count
    }
    return result
}

func runRouted() {
    for isHosts in [true, false] {
        print(
            "\(count) routes to \(isHosts ? "hosts (type 2)" : "prefixes (type 5)") behind \(vteps) VTEPs, control plane"
        )
        var plane = ControlPlane()
        _ = plane.handle(.overlay(overlay()), now: .zero)
        let announced = routes(isHosts: isHosts, sets(med: 0))
        let changed = routes(isHosts: isHosts, sets(med: 1))
        let withdrawn = routes(isHosts: isHosts, nil)
        let before = residentKilobytes()
        let rows = timed("in") { feed(&plane, announced) }
        print("  \(rows) rows, resident growth per route: \((residentKilobytes() - before) * 1024 / count) octets")
        timed("again") { _ = feed(&plane, announced) }
        timed("other attributes") { _ = feed(&plane, changed) }
        timed("reload") {
            var changed = overlay()
            changed.vrfs[0].maximumPaths = 8
            _ = plane.handle(.overlay(changed), now: .zero)
        }
        timed("out") { _ = feed(&plane, withdrawn) }
        print("  left: \(plane.counts.remoteRoutes) routes, \(plane.counts.remotePrefixes) rows")
    }
}
