// The layer-3 side of a VNI: its VRF, and the gateway addresses of its subnets on this host.

import Documents
import EVPN
import NetTypes

/// The keys of a VNI that make it a subnet of a VRF, as written.
struct GatewaySettings {
    var vrf: Located<String>?
    var addresses: [Located<SubnetAddress>] = []
    var mac: Located<MACAddress>?
    var announcement: RoutedInterface.Announcement?

    init(_ section: Section, isManaged: Bool) {
        vrf = section["vrf"].located { $0.nonEmptyText() }
        let gateway = section["gateway"]
        var seen: [IPAddress: Int] = [:]
        for value in gateway?.listOrOne() ?? [] {
            guard let address = value.gatewayAddress() else { continue }
            if let line = seen.updateValue(value.position.line, forKey: address.ip) {
                value.fail("\(address.ip) is already given at line \(line)")
            } else {
                addresses.append(Located(address, value))
            }
        }
        mac = section["gatewayMAC"].located { $0.mac() }
        announcement = section["announceGateway"]?.word(RoutedInterface.Announcement.self)
        guard !isManaged else { return }
        for source in [gateway, mac?.source] {
            source?.fail(
                "is only for VNIs with managed: true; the bridge of an adopted device is left as the operator made it",
                hint: "give the address to the bridge or VLAN device: evpnd announces what it finds there")
        }
    }

    /// Nil: nothing was written, and the interface stays as it is.
    var interface: RoutedInterface? {
        guard vrf != nil || !addresses.isEmpty || mac != nil || announcement != nil else { return nil }
        return RoutedInterface(
            vrf: vrf?.value, addresses: addresses.map(\.value).sorted(), mac: mac?.value,
            announcement: announcement ?? .gateway)
    }
}

/// The gateway addresses of all VNIs, for what they must not have in common.
struct GatewayCheck {
    private struct Subnet {
        var prefix: IPPrefix
        var address: Located<SubnetAddress>
        var owner: Claim
    }
    /// By VRF; nil: the host's own table.
    private var subnets: [String?: [Subnet]] = [:]

    mutating func add(_ settings: GatewaySettings, of owner: Claim) {
        for address in settings.addresses {
            let value = address.value
            // Every link has the same link-local subnet.
            guard !(value.ip.isV6 && value.ip.isLinkLocal), let prefix = IPPrefix(value.ip, length: value.length) else {
                continue
            }
            subnets[settings.vrf?.value, default: []].append(Subnet(prefix: prefix, address: address, owner: owner))
        }
    }

    /// Subnets of one VRF are apart from each other.
    func finish() {
        for (vrf, subnets) in subnets {
            // In this order, the subnets around one are the last ones before it that still reach that far.
            let sorted = subnets.sorted { a, b in
                (a.prefix, a.address.source.position) < (b.prefix, b.address.source.position)
            }
            var around: [Subnet] = []
            for subnet in sorted {
                while let last = around.last, !last.prefix.contains(subnet.prefix.address) { around.removeLast() }
                if let other = around.last, other.owner.owner != subnet.owner.owner { complain(subnet, other, vrf) }
                around.append(subnet)
            }
        }
    }
    private func complain(_ a: Subnet, _ b: Subnet, _ vrf: String?) {
        let (later, earlier) = a.address.source.position < b.address.source.position ? (b, a) : (a, b)
        let place = vrf.map { "in VRF \($0)" } ?? "in the host's own table"
        let other = "\(earlier.owner.owner) at line \(earlier.address.line)"
        let hint = vrf == nil ? "each tenant needs a VRF of its own" : "tenants with the same addresses need a VRF each"
        if later.address.value.ip == earlier.address.value.ip {
            later.address.source.fail(
                "\(later.address.value.ip) is already the gateway of \(other) \(place)", hint: hint)
        } else {
            later.address.source.fail(
                "subnet \(later.prefix) overlaps \(earlier.prefix) of \(other) \(place)", hint: hint)
        }
    }
}

extension Value {
    /// The address of a host in a subnet: `10.20.1.1/24`.
    fileprivate func gatewayAddress() -> SubnetAddress? {
        guard let text = text() else { return nil }
        guard let slash = text.firstIndex(of: "/"), let ip = IPAddress(String(text[..<slash])),
            let prefix = IPPrefix(text), let address = SubnetAddress(ip, length: prefix.length), prefix.length > 0
        else {
            let hint = IPAddress(text) == nil ? nil : "with the length of the subnet's prefix"
            fail("expected an address in its subnet such as 10.20.1.1/24 or 2001:db8::1/64, found \(kind)", hint: hint)
            return nil
        }
        if ip.isUnspecified || ip.isMulticast || ip.isLoopback {
            fail("\(ip) cannot be the address of a gateway")
            return nil
        }
        // Subnets of two addresses have no others (RFC 3021, RFC 6164).
        guard prefix.length < ip.bitWidth - 1 else { return address }
        if ip == prefix.address {
            fail("\(ip) is the subnet \(prefix) itself, not an address in it")
            return nil
        }
        if case .v4(let v4) = ip, v4.rawValue | (UInt32.max << UInt32(32 - prefix.length)) == .max {
            fail("\(ip) is the broadcast address of \(prefix)")
            return nil
        }
        return address
    }
}
