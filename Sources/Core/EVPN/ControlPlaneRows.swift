// What `show` and `explain` print: typed rows, sorted, without any text that a machine would have to take apart.

public import BGP
public import NetTypes

/// One line of `show vnis`.
public struct VNIRow: Equatable, Sendable {
    public var vni: VNI
    public var rd: RouteDistinguisher
    public var importTargets: ImportTargets
    public var exportTargets: [RouteTarget]
    /// Nil: the domain cannot forward now, and nothing of it is announced.
    public var domain: LocalDomain?
    /// MACs that this VTEP holds; with `remoteMACs` as many as `show macs` lists.
    public var localMACs: Int
    /// Forwarding entries.
    public var remoteMACs: Int
    public var localNeighbors: Int
    public var remoteNeighbors: Int
    /// Flood list members.
    public var remoteVTEPs: Int
    public var frozenMACs: Int
    public var signalling: Signalling
}

/// An address that a host here has, and one behind another VTEP as well.
public struct DisputedAddress: Hashable, Sendable {
    public var vni: VNI
    public var ip: IPAddress
    public var here: MACAddress
    public var there: MACAddress
    public var vtep: IPAddress
    public var text: String {
        "two hosts have it: \(here) here, which keeps it while it answers, and \(there) behind \(vtep)"
    }
}

/// One line of `show macs`.
public struct MACRow: Hashable, Sendable {
    public var key: MACKey
    public var place: MACPlace
    /// With which VNI remote frames are sent; nil for a local MAC.
    public var remoteVNI: VNI?
    /// MAC mobility sequence number.
    public var sequence: UInt32
    public var isSticky: Bool
    public var isGateway: Bool
    public var isFrozen: Bool
}

/// One line of `show vteps`: a remote tunnel endpoint.
public struct VTEPRow: Hashable, Sendable {
    public var vtep: IPAddress
    /// MACs forwarded to it.
    public var macs: Int
    /// VNIs whose flood list it is on.
    public var floods: Int
    /// L3 VNIs in which it is a router.
    public var routers: Int
}

/// One remote route about a MAC, VNI or VTEP, and whether it had an effect.
public struct RouteVerdict: Hashable, Sendable {
    public enum Outcome: Hashable, Sendable {
        case chosen
        /// Usable; `because` says what beat it, e.g. "lower sequence number".
        case notChosen(because: String)
        case ignored(IgnoredReason)
    }
    public var route: RouteKey
    public var vtep: IPAddress?
    /// Raw label: the VNI to send with.
    public var label: UInt32
    public var sequence: UInt32
    public var isSticky: Bool
    public var isGateway: Bool
    public var routeTargets: [RouteTarget]
    public var outcome: Outcome
    /// Of routes to prefixes.
    public var routerMAC: MACAddress?
    /// The overlay index of a type 5 route.
    public var gateway: IPAddress?
    /// The local L3 VNI whose devices lead there.
    public var through: VNI?
}

/// One line of `show vrfs`.
public struct VRFRow: Equatable, Sendable {
    public var name: String
    public var place: IPVRF.Place
    /// The L3 VNI.
    public var vni: VNI?
    public var rd: RouteDistinguisher
    public var importTargets: ImportTargets
    public var exportTargets: [RouteTarget]
    /// That of the L3 VNI, with the router MAC; nil: packets cannot be routed there now, and nothing is announced.
    public var domain: LocalDomain?
    /// Of the EVIs whose layer-3 interfaces are in it.
    public var vnis: [VNI]
    /// Routes of its table that are not evpnd's.
    public var localPrefixes: Int
    /// Our type 5 routes.
    public var announcedPrefixes: Int
    /// Rows in force, leaked ones included.
    public var remotePrefixes: Int
    /// Addresses in those EVIs that this VTEP holds.
    public var localHosts: Int
    /// VTEPs whose router MAC in the L3 VNI is somebody else's too, by their addresses: their routes with it are not used.
    public var routerConflicts: [RouterConflict] = []
}

/// One router MAC of two hosts in an L3 VNI; frames to it can go to one of them.
public struct RouterConflict: Hashable, Sendable {
    public var mac: MACAddress
    public var winner: MACPlace
    public var loser: IPAddress
}

/// Why an IP-VRF has a prefix.
public enum PrefixSource: Hashable, Sendable {
    /// A route of its table that is not evpnd's.
    case local(LocalPrefix)
    /// A host of this VTEP, in these VNIs.
    case host([VNI])
    /// Type 2 routes.
    case macIP
    /// Type 5 routes.
    case ipPrefix
    /// Another VRF of this host.
    case leaked(from: String)
    /// The configuration has it announced (`AnnouncedPrefixes.prefixes`); the VRF itself has no such route.
    case announced
}

/// One line of `show prefixes`.
public struct PrefixRow: Hashable, Sendable {
    public var key: PrefixKey
    public var source: PrefixSource
    /// Sorted; empty for what this host has itself.
    public var nexthops: [RoutedNexthop]
    /// The routes of others that give the next hops, sorted.
    public var routes: [RouteKey]
    /// Of the VTEPs among the next hops, the VNI that packets are sent with where it is not the L3 VNI of this host: one that the VTEP
    /// assigns itself (RFC 8365 §5.1.1).
    public var assignedVNIs: [IPAddress: VNI] = [:]
}

/// Some lines of `show prefixes`.
public struct PrefixPage: Sendable {
    /// Sorted by prefix.
    public var rows: [PrefixRow]
    /// What to pass as `after` for the next page; nil on the last one.
    public var next: IPPrefix?
}

/// Everything the control plane knows about a prefix of an IP-VRF.
public struct PrefixExplanation: Equatable, Sendable {
    public var key: PrefixKey
    public var isConfigured: Bool
    /// Nil: the VRF has no such prefix.
    public var row: PrefixRow?
    /// Why, as a phrase.
    public var because: String
    /// Imported routes, best first.
    public var candidates: [RouteVerdict]
    /// Routes to this prefix that are not imported here; of an address also those to prefixes that it is in, the longest first.
    public var ignored: [RouteVerdict]
    /// Our own routes to it.
    public var advertised: [RouteKey]
    /// What is missing, as phrases.
    public var problems: [String]
}

/// Everything the control plane knows about a MAC in a VNI.
public struct MACExplanation: Equatable, Sendable {
    public var key: MACKey
    /// Whether an EVI is configured for the VNI.
    public var isConfigured: Bool
    public var domain: LocalDomain?
    /// From the kernel.
    public var local: LocalMAC?
    /// From the configuration.
    public var configured: StaticMAC?
    /// The sequence number of the local claim.
    public var localSequence: UInt32?
    /// Imported routes, best first.
    public var candidates: [RouteVerdict]
    /// Routes about this MAC, of whatever VNI, that were not imported into this EVI.
    public var ignored: [RouteVerdict]
    /// Who has it; nil: nobody.
    public var owner: MACPlace?
    /// Why, as a phrase.
    public var because: String
    /// Nil: not frozen.
    public var frozenSince: Instant?
    /// Moves counted in the current window.
    public var moves: Int
    /// The forwarding entry that is wanted; nil: none.
    public var forwarding: RemoteMAC?
    /// Addresses known for this MAC here.
    public var localAddresses: [IPAddress]
    /// Our own routes about it.
    public var advertised: [RouteKey]
}

/// Everything the control plane knows about a VNI.
public struct VNIExplanation: Equatable, Sendable {
    /// Nil: no EVI is configured for it.
    public var row: VNIRow?
    public var advertised: [RouteKey]
    public var flood: [FloodKey]
    /// Hosts that are members by a host route.
    public var members: [IPAddress]
    /// Type 3 routes that are imported here, and those with a reason against it that name this VNI.
    public var routes: [RouteVerdict]
    /// What is missing, as phrases; empty when all is well.
    public var problems: [String]
}

/// Everything the control plane knows about a remote VTEP.
public struct VTEPExplanation: Equatable, Sendable {
    public var vtep: IPAddress
    /// Nil: no forwarding entry points there.
    public var row: VTEPRow?
    public var isOwn: Bool
    /// VNIs whose flood list it is on.
    public var floods: [VNI]
    /// Its type 3 routes.
    public var routes: [RouteVerdict]
    /// Of all its routes, how many are imported, and how many are not and why.
    public var importedRoutes: Int
    public var ignoredRoutes: [IgnoredReason: Int]
}
