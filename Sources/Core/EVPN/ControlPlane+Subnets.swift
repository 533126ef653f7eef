// Which hosts are in the subnets of an interface. Whoever says an address of another subnet, by an ARP request for example, is no host that
// packets could be routed to: they would come back to the VTEP that has the subnet.

import BGP
import NetTypes

/// The subnets of an IP-VRF's interfaces on this host.
struct InterfaceSubnets {
    /// What each interface leads to without a gateway, single addresses left out.
    private var byInterface: [String: Set<IPPrefix>] = [:]
    /// The interfaces of those that belong to an address.
    private var connected: [IPPrefix: String] = [:]
    /// How many of `connected` have each length; those of IPv6 are by 129 larger. The lengths from the longest to the shortest.
    private var counts: [Int: Int] = [:]
    private var lengths: [Int] = []

    func of(_ interface: String) -> Set<IPPrefix> { byInterface[interface] ?? [] }

    /// The interface of the longest subnet with an address.
    func interface(with ip: IPAddress) -> String? {
        let base = ip.isV6 ? 129 : 0
        for length in lengths where length >= base && length <= base + ip.bitWidth {
            if let prefix = IPPrefix(ip, length: length - base), let name = connected[prefix] { return name }
        }
        return nil
    }
    mutating func replace(_ prefix: IPPrefix, _ old: LocalPrefix?, by new: LocalPrefix?) {
        guard prefix.length < prefix.address.bitWidth, !prefix.address.isLinkLocal else { return }
        if let old, old.gateway == nil {
            byInterface[old.interface]?.remove(prefix)
            if byInterface[old.interface]?.isEmpty == true { byInterface[old.interface] = nil }
        }
        if let new, new.gateway == nil { byInterface[new.interface, default: []].insert(prefix) }
        let wasConnected = connected[prefix] != nil
        connected[prefix] = new.flatMap { $0.isConnected ? $0.interface : nil }
        guard wasConnected != (connected[prefix] != nil) else { return }
        let length = prefix.length + (prefix.address.isV6 ? 129 : 0)
        let count = (counts[length] ?? 0) + (wasConnected ? -1 : 1)
        counts[length] = count > 0 ? count : nil
        lengths = counts.keys.sorted(by: >)
    }
}

extension ControlPlane {
    /// Whether packets can be routed to a host of a MAC-VRF: its interface has a subnet with the address, which is none of its ends. Without
    /// any subnet there it is not known better.
    func isRoutable(_ ip: IPAddress, in vrf: Slot) -> Bool {
        guard !ip.isLinkLocal else { return false }
        if isInterface(vrf, ip) { return true }
        let table = tableOfVRF[Int(vrf)]
        var subnets: Set<IPPrefix> = []
        if table.exists, let interface = vrfs[Int(vrf)]?.domain?.interface {
            subnets = tables[Int(table)]?.subnets.of(interface) ?? []
        }
        for own in vrfs[Int(vrf)]?.evi?.domain.routed?.addresses ?? [] where !own.ip.isLinkLocal {
            if own.length < own.ip.bitWidth, let prefix = IPPrefix(own.ip, length: own.length) {
                subnets.insert(prefix)
            }
        }
        if subnets.isEmpty { return true }
        return subnets.contains { $0.contains(ip) } && !subnets.contains { $0.subnetEnds.contains(ip) }
    }

    /// Whether an import of a type 2 route tells of a host in a subnet that this host has on an interface of another MAC-VRF, or of none.
    func isMisplaced(_ item: RoutedImport) -> Bool {
        let route = routes[item.route]
        guard route.isMACIP, let ip = route.address,
            let interface = tables[Int(item.table)]?.subnets.interface(with: ip)
        else { return false }
        func mayHave(_ vrf: Slot) -> Bool {
            // While a MAC-VRF is down its interface is not known.
            guard let domain = vrfs[Int(vrf)]?.domain else { return true }
            guard let own = domain.interface, tableOfVRF[Int(vrf)] == item.table else { return false }
            return own == interface || isBeside(own, interface, item.table)
        }
        if let vni = VNI(route.label), let vrf = vrfByVNI[vni], vrfs[Int(vrf)]?.evi?.signalling.usesEVPN == true,
            mayHave(vrf)
        {
            return false
        }
        var link = route.imports
        while link.exists {
            if mayHave(imports[link].vrf) { return false }
            link = imports[link].sibling
        }
        return true
    }

    /// Whether an interface of a MAC-VRF may have its subnets on a device of its own, such as a macvlan for the gateway's MAC.
    private func isBeside(_ own: String, _ interface: String, _ table: Slot) -> Bool {
        tables[Int(table)]?.subnets.of(own).isEmpty == true
            && tables[Int(table)]?.macVRFs.contains { vrfs[Int($0)]?.domain?.interface == interface } == false
    }

    /// Keeps the subnets in line with the routes of a table.
    mutating func setSubnet(_ key: PrefixKey, _ fact: LocalPrefix?) {
        let old = tableByName[key.vrf].flatMap { tables[Int($0)]?.locals[key.prefix] }
        setLocal(key, fact)
        guard let table = tableByName[key.vrf] else { return }
        let new = tables[Int(table)]?.locals[key.prefix]
        guard new != old else { return }
        tables[Int(table)]?.subnets.replace(key.prefix, old, by: new)
        guard [old, new].contains(where: { $0.map { $0.gateway == nil } ?? false }) else { return }
        subnetsChanged(table)
        for vrf in tables[Int(table)]?.macVRFs ?? [] where vrfs[Int(vrf)]?.evi != nil {
            guard let interface = vrfs[Int(vrf)]?.domain?.interface,
                interface == old?.interface || interface == new?.interface
            else { continue }
            for ip in (vrfs[Int(vrf)]?.neighbors ?? [:]).keys.sorted() { touch(address: addressSlot(vrf, ip)) }
        }
    }
    /// Which hosts are in them has to be looked at again.
    mutating func subnetsChanged(_ table: Slot, if hasChanged: Bool = true) {
        guard hasChanged, table.exists else { return }
        dirtySubnets.insert(table)
        touchGateways(of: table)
    }
    mutating func touchHostsOfSubnets() {
        guard !dirtySubnets.isEmpty else { return }
        for row in prefixes.slots where prefixes[row].isHost && dirtySubnets.contains(prefixes[row].table) {
            touch(prefix: row)
        }
        dirtySubnets.removeAll()
    }
}
