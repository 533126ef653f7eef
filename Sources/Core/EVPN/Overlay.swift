// What this VTEP is asked to be: the resolved services, after configuration and orchestrators have been merged.

public import BGP
public import NetTypes

/// The overlay network as this host takes part in it. All lists are sorted by VNI.
public struct Overlay: Equatable, Sendable {
    public var asn: UInt32
    public var routerID: IPv4Address
    public var evis: [EVI]
    /// Sorted by name.
    public var vrfs: [IPVRF] = []
    /// RFC 7432 §15.1 duplicate detection; default 5 moves in 180 s.
    public var duplicateDetection: DuplicateDetection
    /// Of routes that come after it was set.
    public var compatibility = RouteCompatibility()
    /// Of BGP neighbors, and of a gobgpd: no tenant's route in the host's own table may lead packets to these elsewhere. Sorted.
    public var peers: [IPAddress] = []
    /// Nil: no VNI uses it.
    public var membership: Membership?
    /// Next hops behind other VTEPs are told as `RoutedNexthop.tunnel`: routers may share a MAC address, and a VTEP may have several.
    /// Otherwise they are `RoutedNexthop.router`, with entries for the routers. Decided before the first route comes.
    public var hasTunnelNexthops = false
    public init(asn: UInt32, routerID: IPv4Address, evis: [EVI], duplicateDetection: DuplicateDetection = .init()) {
        self.asn = asn
        self.routerID = routerID
        self.evis = evis
        self.duplicateDetection = duplicateDetection
    }
}

extension Overlay {
    /// As the control plane has to have it where Open vSwitch forwards.
    public func forwarded(by bridge: SwitchBridge) -> Overlay {
        var overlay = self
        overlay.hasTunnelNexthops = true
        for index in overlay.vrfs.indices { overlay.vrfs[index].sharesLocalPrefixes = bridge.isConnectorCompatible }
        return overlay
    }
}

public struct DuplicateDetection: Equatable, Sendable {
    public var isEnabled = true
    public var maximumMoves = 5
    public var windowSeconds = 180
    /// After how long a frozen MAC is tried again by itself; nil: only by `evpnctl recover`.
    public var recoverAfterSeconds: Int?
    public init() {}
}

/// One EVPN instance with its one broadcast domain (VLAN-based service, RFC 8365 §5.1.2: one VNI for each EVI).
public struct EVI: Equatable, Sendable {
    public var vni: VNI
    public var rd: RouteDistinguisher
    public var importTargets: ImportTargets
    public var exportTargets: [RouteTarget]
    public var domain: BroadcastDomain
    /// MACs that the configuration declares to live here.
    public var staticMACs: [StaticMAC]
    public var signalling: Signalling
    /// The community that stands for this VNI in place of those made of its number; nil: those.
    public var memberCommunity: UInt32?
    public init(
        vni: VNI, rd: RouteDistinguisher, importTargets: ImportTargets, exportTargets: [RouteTarget],
        domain: BroadcastDomain, staticMACs: [StaticMAC] = [], signalling: Signalling = .evpn,
        memberCommunity: UInt32? = nil
    ) {
        self.vni = vni
        self.rd = rd
        self.importTargets = importTargets
        self.exportTargets = exportTargets
        self.domain = domain
        self.staticMACs = staticMACs
        self.signalling = signalling
        self.memberCommunity = memberCommunity
    }
}

public enum ImportTargets: Equatable, Sendable {
    /// Any 2-octet-AS target whose number is the VNI, whatever its AS half, as FRR does.
    case automatic(VNI)
    /// Exactly these.
    case explicit([RouteTarget])
}

public struct StaticMAC: Equatable, Sendable {
    public var mac: MACAddress
    public var addresses: [IPAddress]
    /// Announced with the sticky bit (RFC 7432 §15.2).
    public var isSticky: Bool
    public init(mac: MACAddress, addresses: [IPAddress] = [], isSticky: Bool = false) {
        self.mac = mac
        self.addresses = addresses
        self.isSticky = isSticky
    }
}

/// Where a VNI lives in the kernel.
public struct BroadcastDomain: Equatable, Sendable {
    public var vni: VNI
    public var device: Device
    /// The address that remote VTEPs send to; nil: take the device's own `local` address.
    public var vtep: IPAddress?
    /// No forwarding entries for single MACs will come: a device that learns is right.
    public var isFloodOnly: Bool
    /// An L3 VNI: nothing but routed packets between VTEPs, whose MAC addresses and neighbors are those of their routers.
    public var isTransit = false
    /// Its layer-3 interface; nil: as the operator made it.
    public var routed: RoutedInterface?
    public enum Device: Equatable, Sendable {
        /// A VXLAN device that the operator made, found by name, or by VNI when nil.
        case adopted(name: String?)
        case managed(ManagedDevice)
        /// A VLAN of the bridge that evpnd makes for many VNIs.
        case managedVLAN(ManagedVLAN)
        /// None of its own: the bridge of Open vSwitch has all VNIs.
        case switched

        /// evpnd makes devices of its own for it.
        public var isManaged: Bool {
            switch self {
            case .adopted, .switched: false
            case .managed, .managedVLAN: true
            }
        }
    }
    /// Ports that are to be in its bridge, when evpnd makes that.
    public var members: [String] {
        switch device {
        case .managed(let device): device.members
        case .managedVLAN(let place): place.members
        case .adopted, .switched: []
        }
    }
    public init(vni: VNI, device: Device, vtep: IPAddress? = nil, isFloodOnly: Bool = false) {
        self.vni = vni
        self.device = device
        self.vtep = vtep
        self.isFloodOnly = isFloodOnly
    }
}

/// A bridge and a VXLAN device that evpnd makes, and removes when the VNI leaves the configuration.
public struct ManagedDevice: Equatable, Sendable {
    /// At most 15 octets each (IFNAMSIZ).
    public var vxlanName: String
    public var bridgeName: String
    /// Nil: underlay MTU less the encapsulation overhead.
    public var mtu: Int?
    public var port: UInt16
    /// Interfaces to enslave to the bridge when they exist.
    public var members: [String]
    public init(vxlanName: String, bridgeName: String, mtu: Int? = nil, port: UInt16 = 4789, members: [String] = []) {
        self.vxlanName = vxlanName
        self.bridgeName = bridgeName
        self.mtu = mtu
        self.port = port
        self.members = members
    }
}

/// One bridge that filters VLANs with one VXLAN device (`external`) for many VNIs, each mapped to a VLAN. Made by evpnd, and removed when
/// no VNI of the configuration lives there any more.
public struct SharedBridge: Equatable, Sendable {
    /// At most 15 octets each (IFNAMSIZ).
    public var bridgeName: String
    public var vxlanName: String
    /// Nil: underlay MTU less the encapsulation overhead.
    public var mtu: Int?
    public var port: UInt16
    /// The VXLAN device takes packets only of the VNIs it is told of (`vnifilter`, from kernel 5.18 on), and counts for each.
    public var filtersVNIs: Bool
    public init(
        bridgeName: String = "br0", vxlanName: String = "vxlan0", mtu: Int? = nil, port: UInt16 = 4789,
        filtersVNIs: Bool = false
    ) {
        self.bridgeName = bridgeName
        self.vxlanName = vxlanName
        self.mtu = mtu
        self.port = port
        self.filtersVNIs = filtersVNIs
    }
}

/// The place of a VNI in the shared bridge.
public struct ManagedVLAN: Equatable, Sendable {
    public var bridge: SharedBridge
    /// 1…4094; nil: the one that the VNI is mapped to already, otherwise the highest in use plus one. VLANs are local: hosts may
    /// use different ones for a VNI.
    public var vlan: UInt16?
    /// Interfaces to put into the VLAN, untagged, when they exist.
    public var members: [String]
    public init(bridge: SharedBridge, vlan: UInt16? = nil, members: [String] = []) {
        self.bridge = bridge
        self.vlan = vlan
        self.members = members
    }
}
