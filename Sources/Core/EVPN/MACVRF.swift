// One EVPN instance on this host: its configuration and everything local to it.

import BGP
import NetTypes

/// A claim of this host on a MAC.
struct LocalClaim {
    var learned: LocalMAC?
    var configured: StaticMAC?
    /// The configuration gives addresses to the layer-3 interface, whose MAC it is.
    var isInterface = false
    /// MAC mobility sequence number to announce it with.
    var sequence: UInt32 = 0
    /// The kernel learned it since the last evaluation: the station has just spoken here.
    var isFresh = true

    var isGateway: Bool { isInterface || learned?.isGateway ?? false }
    var isSticky: Bool { (learned?.isSticky ?? false) || (configured?.isSticky ?? false) }
    var isProtected: Bool { isGateway || isSticky }
    var port: String { learned?.port ?? (isInterface ? "interface" : "configuration") }
}

/// A claim of this host on an IP address.
struct LocalAddress {
    var learned: LocalNeighbor?
    /// The MAC that the configuration gives it.
    var configured: MACAddress?
    /// It is the layer-3 interface's own, with this MAC.
    var interface: MACAddress?
    var isFresh = true
    /// A host behind another VTEP has it as well, which has been reported.
    var isDisputed = false
    /// The MAC it is announced with now.
    var announcedMAC: MACAddress?

    var mac: MACAddress? { interface ?? configured ?? learned?.mac }
    var isRouter: Bool { interface == nil && configured == nil && learned?.isRouter ?? false }
}

/// What is remembered about a MAC that has moved (RFC 7432 §15).
struct Mobility {
    var windowStart: Instant
    var moves = 0
    /// The sequence number we announced last.
    var sequence: UInt32 = 0
    /// Nil: not a duplicate.
    var frozenSince: Instant?
    /// Where it was frozen.
    var pinned: Owner = .nobody
    /// It was learned here while frozen elsewhere.
    var wasClaimed = false
    /// When to forget.
    var keepUntil: Instant
}

struct MACVRF {
    let vni: VNI
    /// Nil: not configured, but the dataplane has reported something of it.
    var evi: EVI?
    /// Nil: the domain cannot forward.
    var domain: LocalDomain?
    /// This host's address in the domain, also while it is down.
    var vtep: IPAddress?
    var locals: [MACAddress: LocalClaim] = [:]
    var neighbors: [IPAddress: LocalAddress] = [:]
    /// The addresses in `neighbors` by their MAC, sorted.
    var addresses: [MACAddress: [IPAddress]] = [:]
    var mobility: [MACAddress: Mobility] = [:]
    /// Forwarding entries.
    var remoteMACs = 0
    var remoteNeighbors = 0
    var floods = 0
    /// Attributes of our own routes by `ExportKind`.
    var attributeCache: [ExportKind: AttributeSet] = [:]
    /// What `locals` and `neighbors` have because of the layer-3 interface's configuration.
    var interface: LocalInterface?
    /// The type 3 route that is announced.
    var multicastKey: RouteKey?
    /// The L3 VNI of its IP-VRF has another VTEP address, as last reported.
    var differingTransit: (vni: VNI, vtep: IPAddress)?

    init(vni: VNI) { self.vni = vni }

    /// Nothing is left that anybody could ask about.
    var isUnused: Bool { evi == nil && domain == nil && locals.isEmpty && neighbors.isEmpty }
}

/// What distinguishes the attributes of our routes within one EVI.
enum ExportKind: Hashable {
    case inclusiveMulticast
    /// `isRouted`: with the second label and what belongs to it. `exports`: nil, or targets of its own.
    case mac(
        sequence: UInt32, isSticky: Bool, isGateway: Bool, isRouter: Bool, isRouted: Bool, exports: [RouteTarget]?)
}
