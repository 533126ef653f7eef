// One IP-VRF on this host: its configuration and everything local to it.

import BGP
public import NetTypes

struct IPVRFTable {
    let name: String
    /// Nil: not configured, but the dataplane has reported something of it.
    var vrf: IPVRF?
    /// Routes of its table that are not evpnd's.
    var locals: [IPPrefix: LocalPrefix] = [:]
    /// Network and broadcast addresses of the subnets among them. There are no hosts with these, so nobody's route to one is taken. (The
    /// first address of an IPv6 subnet is every router's, and the kernel has its own route to it before any of ours.)
    var subnetEnds: [IPAddress: IPPrefix] = [:]
    var subnets = InterfaceSubnets()
    /// The next hops of those, each of so many.
    var gateways: [IPAddress: Int] = [:]
    /// What others have and what would lead a VTEP, a BGP neighbor or a next hop of this table elsewhere (the value).
    var refused: [IPPrefix: IPAddress] = [:]
    /// The MAC-VRFs whose layer-3 interfaces are in it, by VNI.
    var macVRFs: [Slot] = []
    /// Addresses that this host holds in those MAC-VRFs, as far as packets can be routed to them, with the VNIs, ascending.
    var hosts: [IPAddress: [VNI]] = [:]
    /// Whose routes are visible here, and who sees those of this one, without this one itself.
    var sources: [LeakSource] = []
    var takers: [Slot] = []
    /// The type 5 routes that are announced.
    var announced: Set<IPPrefix> = []
    /// Their attributes.
    var attributeCache: [PrefixExportKind: AttributeSet] = [:]
    /// Rows in force.
    var remotePrefixes = 0

    init(name: String) { self.name = name }

    var isUnused: Bool {
        vrf == nil && locals.isEmpty && macVRFs.isEmpty && remotePrefixes == 0
    }
    var vni: VNI? { vrf?.vni }
    /// The subnet of this host here that an address lies in.
    func subnet(with ip: IPAddress) -> IPPrefix? { route(to: ip, longerThan: -1) { $1.isConnected } }
    /// The longest subnet of this host here whose network or broadcast address it is.
    func connectedSubnet(endingAt ip: IPAddress) -> IPPrefix? {
        route(to: ip, longerThan: -1) { prefix, local in local.isConnected && prefix.subnetEnds.contains(ip) }
    }
    /// The longest prefix of the table's own routes that an address lies in.
    func route(to ip: IPAddress, longerThan least: Int, where isFit: (IPPrefix, LocalPrefix) -> Bool = { _, _ in true })
        -> IPPrefix?
    {
        for length in stride(from: ip.bitWidth, to: least, by: -1) {
            if let prefix = IPPrefix(ip, length: length), let local = locals[prefix], isFit(prefix, local) {
                return prefix
            }
        }
        return nil
    }
}

/// What distinguishes the attributes of our type 5 routes within one IP-VRF.
struct PrefixExportKind: Hashable {
    var origin: Origin
    /// Nil: those of the IP-VRF.
    var exports: [RouteTarget]?
}

/// A table whose routes are visible in another one.
struct LeakSource {
    var table: Slot
    /// Nil: by route target, and only what the source announces.
    var leak: RouteLeak?
    func takes(_ prefix: IPPrefix) -> Bool {
        guard let leak else { return true }
        return leak.prefixes.isEmpty || leak.prefixes.contains { $0.contains(prefix) }
    }
}

extension ImportTargets {
    /// Whether one of `targets` is imported.
    func matches(_ targets: [RouteTarget]) -> Bool {
        switch self {
        case .automatic(let vni): targets.contains { $0.automaticVNI == vni }
        case .explicit(let own): targets.contains { own.contains($0) }
        }
    }
}

extension AnnouncedPrefixes {
    /// Whether a route of the VRF's table is announced.
    func selects(_ local: LocalPrefix) -> Bool {
        if local.isDropped { return false }
        if local.isConnected { return connected.contains { globMatches($0, local.interface) } }
        return protocols.contains(local.proto)
    }
}

extension IPPrefix {
    /// False for addresses that are never routed: those of this host on this network (0.0.0.0/8, RFC 1122 §3.2.1.3), loopback, link-local,
    /// multicast and reserved ones (240.0.0.0/4), and ::. The default route is for all others.
    public var isRoutable: Bool {
        if length == 0 { return true }
        switch address {
        case .v4(let first):
            return !(first.isLoopback && length >= 8) && !(first.rawValue >> 24 == 0 && length >= 8)
                && !(first.rawValue >> 24 >= 224 && length >= 4)
                && !(first.isLinkLocal && length >= 16)
        case .v6(let first):
            return !(first.high == 0 && first.low <= 1 && length == 128) && !(first.isMulticast && length >= 8)
                && !(first.isLinkLocal && length >= 10)
        }
    }
    /// A part of 169.254.0.0/16, of which people declare where it is, such as the metadata service of a cloud. Without that it is a
    /// link's own.
    public var isPartOfLinkLocal: Bool {
        if case .v4(let first) = address { first.isLinkLocal && length > 16 } else { false }
    }
}
