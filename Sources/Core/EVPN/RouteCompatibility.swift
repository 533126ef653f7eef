// Readers for routes of labs and tools that say with other means what RFC 7432 says: each is put into the standard form at the door, and
// nothing behind it knows.

import BGP
public import NetTypes

/// Which unusual forms are understood. All are off unless asked for.
public struct RouteCompatibility: Hashable, Sendable {
    /// An ingress replication tunnel (PMSI) on a type 2 route names VTEP and VNI, instead of next hop and label: for fabrics where a
    /// hub between ASes puts itself in as next hop.
    public var readsTunnelsOfMACs: Bool
    /// A type 5 route for a host address, with neither a router's MAC nor a gateway that packets could be routed to, says that a VTEP is
    /// there, as a type 3 route does. Its label is the VNI or, when that is 0, the number of its route distinguisher.
    public var readsPrefixesAsVTEPs: Bool
    /// A route without any route target counts as one with the target `0:VNI`, which automatic import accepts.
    public var importsWithoutTarget: Bool
    /// The router of type 5 routes that name neither a router nor a gateway (evpn-connector and its peers); nil: they lead nowhere.
    public var routerMAC: MACAddress?

    public init(
        readsTunnelsOfMACs: Bool = false, readsPrefixesAsVTEPs: Bool = false, importsWithoutTarget: Bool = false,
        routerMAC: MACAddress? = nil
    ) {
        self.routerMAC = routerMAC
        self.readsTunnelsOfMACs = readsTunnelsOfMACs
        self.readsPrefixesAsVTEPs = readsPrefixesAsVTEPs
        self.importsWithoutTarget = importsWithoutTarget
    }

    func readsAsVTEP(_ change: RouteChange) -> Bool {
        guard readsPrefixesAsVTEPs, change.key.kind == .ipPrefix, let path = change.path else { return false }
        return change.key.length == change.key.address?.bitWidth && path.payload.overlay == nil
            && path.attributes.attributes.routerMAC == nil
    }

    /// The standard form; the key stays in any case.
    func standard(_ change: RouteChange) -> RouteChange {
        var change = change
        guard var path = change.path else { return change }
        var vni: UInt32 = 0
        switch change.key.kind {
        case .macIP:
            guard readsTunnelsOfMACs || importsWithoutTarget else { return change }
            if readsTunnelsOfMACs, let tunnel = path.attributes.attributes.pmsiTunnel, let endpoint = tunnel.endpoint,
                !endpoint.isUnspecified
            {
                var attributes = path.attributes.attributes
                attributes.nextHop = endpoint
                attributes.pmsiTunnel = nil
                path.attributes = AttributeSet(attributes)
                path.payload.label1 = tunnel.label
            }
            vni = path.payload.label1
        case .inclusiveMulticast:
            guard importsWithoutTarget else { return change }
            vni = path.attributes.attributes.pmsiTunnel?.label ?? 0
        case .ipPrefix:
            guard readsAsVTEP(change), let prefix = change.key.prefix else {
                if let routerMAC, path.payload.overlay == nil, path.attributes.attributes.routerMAC == nil {
                    var attributes = path.attributes.attributes
                    attributes.extendedCommunities.append(.routerMAC(routerMAC))
                    path.attributes = AttributeSet(attributes)
                    change.path = path
                }
                return change
            }
            vni = path.payload.label1 == 0 ? change.key.rd.number : path.payload.label1
            var attributes = path.attributes.attributes
            attributes.pmsiTunnel = .ingressReplication(label: vni, endpoint: prefix.address)
            path.attributes = AttributeSet(attributes)
        default: return change
        }
        if importsWithoutTarget, let vni = VNI(vni), path.attributes.attributes.routeTargets.isEmpty {
            var attributes = path.attributes.attributes
            attributes.extendedCommunities.append(RouteTarget.automatic(asn: 0, vni: vni).community)
            path.attributes = AttributeSet(attributes)
        }
        change.path = path
        return change
    }
}

extension RouteDistinguisher {
    /// The half after the colon; 0 for types that nobody has defined.
    fileprivate var number: UInt32 {
        switch type {
        case 0: UInt32(truncatingIfNeeded: rawValue)
        case 1, 2: UInt32(truncatingIfNeeded: rawValue & 0xffff)
        default: 0
        }
    }
}
