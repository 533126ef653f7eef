// Open vSwitch as the dataplane: which bridge forwards, and who is attached to which of its ports. There the kernel tells nothing about
// hosts: they are declared, as clients.

public import BGP
public import NetTypes

/// The bridge that forwards, and what is attached to it. Resolved and valid: no port and tag twice, every VNI and VRF in the overlay.
public struct SwitchConfiguration: Equatable, Sendable {
    public var bridge: SwitchBridge
    /// Sorted by attachment.
    public var bridged: [BridgedClient]
    /// Sorted by attachment.
    public var routed: [RoutedClient]
    /// Anycast addresses that are enabled: their prefixes are announced and translated. Of the others only the flows of the checks exist.
    public var enabledAnycast: Set<AnycastAddress>
    public init(
        bridge: SwitchBridge, bridged: [BridgedClient] = [], routed: [RoutedClient] = [],
        enabledAnycast: Set<AnycastAddress> = []
    ) {
        self.bridge = bridge
        self.bridged = bridged
        self.routed = routed
        self.enabledAnycast = enabledAnycast
    }
}

public struct SwitchBridge: Equatable, Sendable {
    /// `unix:PATH`, `ssl:HOST:PORT` or `tcp:HOST:PORT` of ovsdb-server, as `ovs-vsctl --db` takes it.
    public var database: String
    /// For `ssl:`. Whoever its authorities vouch for is the server, whatever its certificate is named, as for `ovs-vsctl`; without
    /// authorities of its own those of the system count, and the name.
    public var tls: TLSSettings?
    /// Where ovs-vswitchd has its sockets, `NAME.mgmt` among them; nil: where the database's socket is, or `/run/openvswitch`.
    public var runDirectory: String?
    public var name: String
    /// The tunnel port: a name of at most 15 octets (IFNAMSIZ), and the OpenFlow port number that is asked for, 1…65279.
    public var tunnelPort: String
    public var tunnelNumber: UInt32
    /// UDP destination port of VXLAN.
    public var udpPort: UInt16
    /// `system` or `netdev` for a bridge that evpnd makes; nil: Open vSwitch's default.
    public var datapathType: String?
    /// Routed frames keep the source MAC that they came with, ARP of routed clients is answered for any target, equal-cost paths are
    /// chosen by `multipath`, local and remote ones together: exactly the flows of evpn-connector.
    public var isConnectorCompatible: Bool
    /// The router MAC address of this VTEP for all VRFs that have none of their own.
    public var routerMAC: MACAddress
    /// Clients without a MAC: source addresses are learned on their ports, and forgotten after so many seconds without a frame. Nil:
    /// there are no such clients.
    public var learningSeconds: UInt16?
    /// After how many seconds without ovs-vswitchd the clients are withdrawn.
    public var holdSeconds: UInt16 = 30
    public var anycastCheck: AnycastCheckPort?
    public init(
        database: String = "unix:/run/openvswitch/db.sock", name: String, tunnelPort: String = "vxlan_out",
        tunnelNumber: UInt32 = 65278, udpPort: UInt16 = 4789, datapathType: String? = nil,
        isConnectorCompatible: Bool = false, routerMAC: MACAddress, learningSeconds: UInt16? = nil,
        anycastCheck: AnycastCheckPort? = nil
    ) {
        self.database = database
        self.name = name
        self.tunnelPort = tunnelPort
        self.tunnelNumber = tunnelNumber
        self.udpPort = udpPort
        self.datapathType = datapathType
        self.isConnectorCompatible = isConnectorCompatible
        self.routerMAC = routerMAC
        self.learningSeconds = learningSeconds
        self.anycastCheck = anycastCheck
    }
}

/// Where probes of anycast addresses enter the bridge.
public struct AnycastCheckPort: Hashable, Sendable {
    public var number: UInt32
    public var mac: MACAddress
    public init(number: UInt32 = 65277, mac: MACAddress) {
        self.number = number
        self.mac = mac
    }
}

/// A port of the bridge, and the VLAN of its frames there.
public struct Attachment: Hashable, Comparable, Sendable, CustomStringConvertible {
    public enum Port: Hashable, Comparable, Sendable, CustomStringConvertible {
        /// OpenFlow port number, 1…65279 (OFPP_MAX is 0xff00 in OpenFlow 1.0's numbering, which Open vSwitch keeps).
        case number(UInt32)
        /// Name of the interface, whose number the database tells.
        case name(String)
        public var description: String {
            switch self {
            case .number(let number): "\(number)"
            case .name(let name): name
            }
        }
    }
    public var port: Port
    /// 1…4094; nil: frames are untagged there.
    public var tag: UInt16?
    public init(port: Port, tag: UInt16? = nil) {
        self.port = port
        self.tag = tag
    }
    public static func < (a: Self, b: Self) -> Bool { (a.port, a.tag ?? 0) < (b.port, b.tag ?? 0) }
    public var description: String { tag.map { "\(port) vlan \($0)" } ?? "\(port)" }
}

/// A host in a broadcast domain.
public struct BridgedClient: Hashable, Sendable {
    public var attachment: Attachment
    public var vni: VNI
    /// Unicast; nil: a port whose MACs are learned.
    public var mac: MACAddress?
    /// Announced with the MAC, and answered for.
    public var addresses: [IPAddress]
    /// Route targets of its type 2 routes; nil: those of its EVI.
    public var exports: [RouteTarget]?
    public init(
        attachment: Attachment, vni: VNI, mac: MACAddress?, addresses: [IPAddress] = [], exports: [RouteTarget]? = nil
    ) {
        self.attachment = attachment
        self.vni = vni
        self.mac = mac
        self.addresses = addresses
        self.exports = exports
    }
}

/// A host that is routed to: everything it sends is looked up in its VRF.
public struct RoutedClient: Hashable, Sendable {
    public var attachment: Attachment
    /// Name of the IP-VRF.
    public var vrf: String
    /// Unicast.
    public var mac: MACAddress
    /// What is behind it. Announced while the dataplane reports them as `LocalPrefix` of protocol 4 (static), which every IP-VRF that
    /// has clients selects; so with the addresses of `anycast` that are enabled.
    public var prefixes: [IPPrefix]
    public var anycast: [AnycastAddress]
    /// Route targets of its type 5 routes; nil: those of the IP-VRF.
    public var exports: [RouteTarget]?
    public init(
        attachment: Attachment, vrf: String, mac: MACAddress, prefixes: [IPPrefix], anycast: [AnycastAddress] = [],
        exports: [RouteTarget]? = nil
    ) {
        self.attachment = attachment
        self.vrf = vrf
        self.mac = mac
        self.prefixes = prefixes
        self.anycast = anycast
        self.exports = exports
    }
}

/// An address that several clients serve, each under an address of its own: packets to it are translated at the client's port.
/// All addresses are of one family.
public struct AnycastAddress: Hashable, Sendable {
    /// Announced while enabled.
    public var address: IPAddress
    /// The client's own address, which packets to `address` are translated to.
    public var target: IPAddress
    /// What the client sees as the sender of a probe.
    public var check: IPAddress
    /// Under which address the checker reaches `target`, and its own address: both are between the check port and the bridge only.
    public var internalTarget: IPAddress
    public var internalChecker: IPAddress
    /// Zone of connection tracking.
    public var zone: UInt16
    public init(
        address: IPAddress, target: IPAddress, check: IPAddress, internalTarget: IPAddress, internalChecker: IPAddress,
        zone: UInt16
    ) {
        self.address = address
        self.target = target
        self.check = check
        self.internalTarget = internalTarget
        self.internalChecker = internalChecker
        self.zone = zone
    }
}
