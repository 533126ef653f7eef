// Overlay indexes (RFC 9136 §4.1): prefixes behind a host of a tenant, found by what is known of that host.

import BGP
import NetTypes

extension ControlPlane {
    mutating func evaluate(gateway slot: Slot) {
        gateways[slot].isDirty = false
        let key = gateways[slot].key
        guard !gateways[slot].imports.isEmpty else {
            gatewaySlots[key] = nil
            gateways.remove(slot)
            return
        }
        let nexthops = resolve(key)
        guard nexthops != gateways[slot].nexthops else { return }
        gateways[slot].nexthops = nexthops
        for link in gateways[slot].imports.sorted() { touch(prefix: routedImports[link].entry) }
    }

    /// A host of a subnet of this host; otherwise whatever routes say about the host without another gateway, so that there are no loops.
    private func resolve(_ key: Gateway.Key) -> [RoutedNexthop] {
        guard let table = tables[Int(key.table)], let limit = table.vrf?.maximumPaths else { return [] }
        if let vni = vni(withGateway: key.ip, in: table) { return [.host(key.ip, on: vni)] }
        guard table.hosts[key.ip] == nil, let slot = prefixes.find(PrefixEntry.Key(key.table, host: key.ip)) else {
            return []
        }
        return nexthops(of: prefixes[slot], limit: limit, directOnly: true)
    }

    /// The VNI in which a gateway is a known host, if its address is in a subnet of this host.
    func vni(withGateway ip: IPAddress, in table: IPVRFTable) -> VNI? {
        let known = table.macVRFs.filter { vrf in
            guard let slot = addresses.find(AddressEntry.Key(vrf: vrf, ip)), isRoutable(ip, in: vrf) else {
                return false
            }
            return addresses[slot].isHere ? !isInterface(vrf, ip) : addresses[slot].installed != nil
        }
        guard let first = known.first else { return nil }
        // Somebody may have the address in another VNI too, by mistake or with intent.
        if let owner = known.first(where: { isOwnSubnet($0, ip) }) { return vnis[Int(owner)] }
        guard let subnet = table.subnet(with: ip) else { return nil }
        return vnis[Int(known.count == 1 ? first : known.first { hasInterface($0, in: subnet) } ?? first)]
    }
    /// Whether the layer-3 interface of a MAC-VRF has an address in a subnet, as the dataplane reports it.
    private func hasInterface(_ vrf: Slot, in subnet: IPPrefix) -> Bool {
        vrfs[Int(vrf)]?.neighbors.contains { ip, address in
            subnet.contains(ip)
                && address.learned.map { vrfs[Int(vrf)]?.locals[$0.mac]?.learned?.isGateway == true } == true
        } ?? false
    }
    private func isOwnSubnet(_ vrf: Slot, _ ip: IPAddress) -> Bool {
        vrfs[Int(vrf)]?.evi?.domain.routed?.addresses.contains {
            IPPrefix($0.ip, length: $0.length)?.contains(ip) ?? false
        } ?? false
    }

    mutating func touchGateways(of table: Slot) {
        guard !gatewaySlots.isEmpty else { return }
        for slot in gatewaySlots.values.sorted() where gateways[slot].key.table == table { touch(gateway: slot) }
    }

    /// An address of a MAC-VRF has got another holder, or may be routed now, or not any more.
    mutating func hostChanged(vrf: Slot, _ ip: IPAddress, isHere: Bool) {
        let table = tableOfVRF[Int(vrf)]
        guard table.exists else { return }
        let vni = vnis[Int(vrf)]
        let isHost = isHere && isRoutable(ip, in: vrf)
        if isHost != (tables[Int(table)]?.hosts[ip]?.contains(vni) ?? false) { setHost(table, ip, vni, isHost) }
        if !gatewaySlots.isEmpty, let gateway = gatewaySlots[Gateway.Key(table: table, ip: ip)] {
            touch(gateway: gateway)
        }
        refreshPrefixExports(table, through: ip)
    }
    /// Our own prefixes behind a host, which has come or gone.
    private mutating func refreshPrefixExports(_ slot: Slot, through ip: IPAddress) {
        guard let table = tables[Int(slot)], table.vrf?.announced.usesGateway == true, table.gateways[ip] != nil else {
            return
        }
        for prefix in table.locals.filter({ $0.value.gateway == ip }).keys.sorted() {
            refreshPrefixExport(slot, prefix)
        }
    }
    mutating func setHost(_ table: Slot, _ ip: IPAddress, _ vni: VNI, _ isHere: Bool) {
        guard !ip.isLinkLocal else { return }
        var list = tables[Int(table)]?.hosts[ip] ?? []
        list.removeAll { $0 == vni }
        if isHere {
            list.append(vni)
            list.sort()
        }
        tables[Int(table)]?.hosts[ip] = list.isEmpty ? nil : list
        touch(prefix: PrefixEntry.Key(table, host: ip))
    }
}
