// The kernel's objects as values: links, FDB entries, neighbors, addresses. Each is decoded from the payload of a message, and
// nil when the fixed header or what identifies the object is missing.

public import NetTypes

/// A network device (RTM_NEWLINK). With the family AF_BRIDGE the message is about a bridge's port: only `interface`, `name`,
/// `master` and `port` count.
public struct Link: Hashable, Sendable {
    public var interface: Int32
    public var name = ""
    /// IFF_UP and IFF_LOOPBACK; the others change often and say nothing here.
    public var flags: UInt32 = 0
    public var mtu: UInt32 = 0
    /// Nil for devices without an Ethernet address.
    public var address: MACAddress?
    /// The bridge (or other device) it is enslaved to; 0: none.
    public var master: Int32 = 0
    /// The device that a VLAN device lies on; 0: none.
    public var lower: Int32 = 0
    /// Of a VLAN device, 1…4094; 0: it is none.
    public var vlan: UInt16 = 0
    /// IFF_LOWER_UP. Without it the kernel refuses nexthop objects on the device, and drops those it has (net/ipv4/nexthop.c).
    public var hasCarrier = false
    public var alias = ""
    /// `vxlan`, `bridge`, `veth`…; empty for physical devices.
    public var kind = ""
    public var vxlan: VXLAN?
    /// The routing table of a VRF device; 0: it is none.
    public var vrfTable: UInt32 = 0
    public var port: BridgePort?
    /// IFLA_BR_VLAN_FILTERING of a bridge.
    public var hasVLANFiltering = false
    /// 1 when addrgenmode is `none`; nil when the kernel did not tell.
    public var addressGenerationMode: UInt8?
    /// Whether IPv4 packets that come in by it are forwarded; nil when the kernel did not tell. A change of it is not notified.
    public var forwardsIPv4: Bool?

    public init(interface: Int32, name: String) {
        self.interface = interface
        self.name = name
    }
    /// IFF_UP: set up by the administrator.
    public var isUp: Bool { flags & 1 != 0 }
    /// Whether a link is up with a carrier (IFF_UP and IFF_RUNNING). Not kept in `Link`: what is configured does not change with it.
    public static func isRunning(_ payload: UnsafeRawBufferPointer) -> Bool {
        payload.count >= 16 && payload.loadUnaligned(fromByteOffset: 8, as: UInt32.self) & 0x41 == 0x41
    }
    public var isLoopback: Bool { flags & 8 != 0 }
    public var isBridge: Bool { kind == "bridge" }

    public struct VXLAN: Hashable, Sendable {
        public var vni: UInt32 = 0
        public var local: IPAddress?
        /// The default remote (`remote` or `group`), which is a flood entry of its own.
        public var remote: IPAddress?
        public var port: UInt16 = 0
        public var ttl: UInt8 = 0
        public var isLearning = false
        /// `external`: one device for all VNIs, taken from a packet's metadata; `vni` is 0.
        public var collectsMetadata = false
        public var hasVNIFilter = false
        public init() {}
    }
    /// What a bridge keeps for one of its ports.
    public struct BridgePort: Hashable, Sendable {
        public var isLearning = true
        public var suppressesNeighbors = false
        /// `vlan_tunnel on`: VLANs and VNIs are mapped to each other.
        public var mapsVLANs = false
        public init() {}
    }

    public init?(decoding payload: UnsafeRawBufferPointer) {
        guard payload.count >= 16 else { return nil }
        interface = payload.loadUnaligned(fromByteOffset: 4, as: Int32.self)
        let told = payload.loadUnaligned(fromByteOffset: 8, as: UInt32.self)
        flags = told & 0x9
        hasCarrier = told & 0x10000 != 0
        for attribute in AttributeReader(payload, from: 16) {
            switch attribute.type {
            case LinkAttribute.name: name = attribute.string
            case LinkAttribute.mtu: mtu = attribute.u32 ?? 0
            case LinkAttribute.address: address = attribute.mac
            case LinkAttribute.master: master = attribute.i32 ?? 0
            case LinkAttribute.lower: lower = attribute.i32 ?? 0
            case LinkAttribute.alias: alias = attribute.string
            case LinkAttribute.info: decodeInfo(attribute.nested)
            case LinkAttribute.protocolInfo where payload[0] == Family.bridge:
                port = BridgePort(decoding: attribute.nested)
            case LinkAttribute.families:
                for family in attribute.nested {
                    switch UInt8(truncatingIfNeeded: family.type) {
                    case Family.ipv6:
                        for field in family.nested where field.type == LinkAttribute.inet6AddressGenerationMode {
                            addressGenerationMode = field.u8
                        }
                    case Family.ipv4:
                        for field in family.nested where field.type == LinkAttribute.inetSettings {
                            forwardsIPv4 = field.u32.map { $0 != 0 }
                        }
                    default: break
                    }
                }
            default: break
            }
        }
        guard interface > 0 else { return nil }
    }
    private mutating func decodeInfo(_ attributes: AttributeReader) {
        var slaveKind = ""
        for attribute in attributes {
            switch attribute.type {
            case LinkAttribute.infoKind: kind = attribute.string
            case LinkAttribute.infoSlaveKind: slaveKind = attribute.string
            // The kind is always sent before its data.
            case LinkAttribute.infoData where kind == "vxlan": vxlan = VXLAN(decoding: attribute.nested)
            case LinkAttribute.infoData where kind == "bridge":
                for field in attribute.nested where field.type == LinkAttribute.bridgeVLANFiltering {
                    hasVLANFiltering = field.u8 == 1
                }
            case LinkAttribute.infoData where kind == "vlan":
                for field in attribute.nested where field.type == LinkAttribute.vlanID { vlan = field.u16 ?? 0 }
            case LinkAttribute.infoData where kind == "vrf":
                for field in attribute.nested where field.type == LinkAttribute.vrfTable {
                    vrfTable = field.u32 ?? 0
                }
            case LinkAttribute.infoSlaveData where slaveKind == "bridge":
                port = BridgePort(decoding: attribute.nested)
            default: break
            }
        }
    }
}

extension Link.VXLAN {
    init(decoding attributes: AttributeReader) {
        for attribute in attributes {
            switch attribute.type {
            case LinkAttribute.vxlanID: vni = attribute.u32 ?? 0
            case LinkAttribute.vxlanLocal, LinkAttribute.vxlanLocal6:
                if let address = attribute.ip, !address.isUnspecified { local = address }
            case LinkAttribute.vxlanGroup, LinkAttribute.vxlanGroup6:
                if let address = attribute.ip, !address.isUnspecified { remote = address }
            case LinkAttribute.vxlanPort: port = attribute.networkU16 ?? 0
            case LinkAttribute.vxlanTTL: ttl = attribute.u8 ?? 0
            case LinkAttribute.vxlanLearning: isLearning = attribute.u8 == 1
            case LinkAttribute.vxlanCollectMetadata: collectsMetadata = attribute.u8 == 1
            case LinkAttribute.vxlanVNIFilter: hasVNIFilter = attribute.u8 == 1
            default: break
            }
        }
    }
}

extension Link.BridgePort {
    init(decoding attributes: AttributeReader) {
        for attribute in attributes {
            switch attribute.type {
            case LinkAttribute.portLearning: isLearning = attribute.u8 == 1
            case LinkAttribute.portNeighborSuppression: suppressesNeighbors = attribute.u8 == 1
            case LinkAttribute.portVLANTunnel: mapsVLANs = attribute.u8 == 1
            default: break
            }
        }
    }
}

/// A row of a bridge's or a VXLAN device's forwarding table (RTM_NEWNEIGH with AF_BRIDGE).
public struct FDBEntry: Hashable, Sendable {
    /// The port; the bridge itself for its own addresses.
    public var interface: Int32
    /// The bridge whose table it is in; 0: the device's own table.
    public var master: Int32 = 0
    public var mac: MACAddress
    public var state: NeighborState
    public var flags: NeighborFlags
    /// Only in a VXLAN device's own table.
    public var destination: IPAddress?
    /// Only when it differs from the device's.
    public var vni: UInt32?
    /// In the table of an `external` VXLAN device: the VNI that the entry belongs to (`src_vni`).
    public var sourceVNI: UInt32?
    /// In the table of a bridge that filters VLANs; 0: none.
    public var vlan: UInt16 = 0
    /// Learned on a port that is locked (802.1X): not admitted yet.
    public var isLocked = false
    /// Refers to a nexthop group instead of a destination.
    public var usesNextHop = false

    public init(interface: Int32, mac: MACAddress, state: NeighborState, flags: NeighborFlags) {
        self.interface = interface
        self.mac = mac
        self.state = state
        self.flags = flags
    }
    /// Nil for other families.
    public init?(decoding payload: UnsafeRawBufferPointer) {
        guard payload.count >= 12, payload[0] == Family.bridge else { return nil }
        interface = payload.loadUnaligned(fromByteOffset: 4, as: Int32.self)
        state = NeighborState(rawValue: payload.loadUnaligned(fromByteOffset: 8, as: UInt16.self))
        flags = NeighborFlags(rawValue: payload[10])
        mac = .zero
        var hasAddress = false
        for attribute in AttributeReader(payload, from: 12) {
            switch attribute.type {
            case NeighborAttribute.linkAddress:
                guard let address = attribute.mac else { return nil }
                mac = address
                hasAddress = true
            case NeighborAttribute.destination: destination = attribute.ip
            case NeighborAttribute.vni: vni = attribute.u32
            case NeighborAttribute.sourceVNI: sourceVNI = attribute.u32
            case NeighborAttribute.extendedFlags:
                isLocked = ExtendedNeighborFlags(rawValue: attribute.u32 ?? 0).contains(.locked)
            case NeighborAttribute.vlan: vlan = attribute.u16 ?? 0
            case NeighborAttribute.master: master = attribute.i32 ?? 0
            case NeighborAttribute.nextHop: usesNextHop = true
            default: break
            }
        }
        guard hasAddress else { return nil }
    }
}

/// A row of the ARP or ND table (RTM_NEWNEIGH with AF_INET or AF_INET6).
public struct NeighborEntry: Hashable, Sendable {
    public var interface: Int32
    public var ip: IPAddress
    /// Nil while it is not resolved.
    public var mac: MACAddress?
    public var state: NeighborState
    public var flags: NeighborFlags
    /// Who made it (NDA_PROTOCOL); 0: nobody said.
    public var proto: UInt8 = 0
    public var extendedFlags: ExtendedNeighborFlags = []

    public init(interface: Int32, ip: IPAddress, mac: MACAddress?, state: NeighborState, flags: NeighborFlags) {
        self.interface = interface
        self.ip = ip
        self.mac = mac
        self.state = state
        self.flags = flags
    }
    /// Nil for other families.
    public init?(decoding payload: UnsafeRawBufferPointer) {
        guard payload.count >= 12, payload[0] == Family.ipv4 || payload[0] == Family.ipv6 else { return nil }
        interface = payload.loadUnaligned(fromByteOffset: 4, as: Int32.self)
        state = NeighborState(rawValue: payload.loadUnaligned(fromByteOffset: 8, as: UInt16.self))
        flags = NeighborFlags(rawValue: payload[10])
        var address: IPAddress?
        for attribute in AttributeReader(payload, from: 12) {
            switch attribute.type {
            case NeighborAttribute.destination: address = attribute.ip
            case NeighborAttribute.linkAddress: mac = attribute.mac
            case NeighborAttribute.proto: proto = attribute.u8 ?? 0
            case NeighborAttribute.extendedFlags:
                extendedFlags = ExtendedNeighborFlags(rawValue: attribute.u32 ?? 0)
            default: break
            }
        }
        guard let address else { return nil }
        ip = address
    }
}

/// An IP address of a device (RTM_NEWADDR).
public struct InterfaceAddress: Hashable, Sendable {
    public var interface: Int32
    public var ip: IPAddress
    public var prefixLength: UInt8
    /// Who made it (IFA_PROTO, from kernel 5.18 on); 0: nobody said.
    public var proto: UInt8
    /// RT_SCOPE_…: `RouteScope.universe` is what `ip address` calls global.
    public var scope: UInt8 = 0

    public init(interface: Int32, ip: IPAddress, prefixLength: UInt8, proto: UInt8 = 0) {
        self.interface = interface
        self.ip = ip
        self.prefixLength = prefixLength
        self.proto = proto
    }
    public init?(decoding payload: UnsafeRawBufferPointer) {
        guard payload.count >= 8, payload[0] == Family.ipv4 || payload[0] == Family.ipv6 else { return nil }
        prefixLength = payload[1]
        proto = 0
        scope = payload[3]
        interface = Int32(truncatingIfNeeded: payload.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
        var address: IPAddress?
        var local: IPAddress?
        for attribute in AttributeReader(payload, from: 8) {
            switch attribute.type {
            case AddressAttribute.address: address = attribute.ip
            // On point-to-point devices IFA_ADDRESS is the other end.
            case AddressAttribute.local: local = attribute.ip
            case AddressAttribute.proto: proto = attribute.u8 ?? 0
            default: break
            }
        }
        guard let ip = local ?? address else { return nil }
        self.ip = ip
    }
    /// Whether an address may not be used (yet): duplicate address detection is under way or has failed (IFA_F_TENTATIVE,
    /// IFA_F_DADFAILED), and it is not an optimistic one (IFA_F_OPTIMISTIC).
    public static func isTentative(_ payload: UnsafeRawBufferPointer) -> Bool {
        payload.count >= 8 && payload[2] & 0x48 != 0 && payload[2] & 0x4 == 0
    }
}

/// VLANs of one port of a bridge that filters VLANs (RTM_NEWVLAN): a range with equal settings and consecutive VNIs.
public struct PortVLANs: Hashable, Sendable {
    public var interface: Int32
    /// 1…4094, in order.
    public var vlans: ClosedRange<UInt16>
    /// Untagged frames that come in belong to it.
    public var isPVID: Bool
    /// Frames go out without a tag.
    public var isUntagged: Bool
    /// VNI that the first VLAN of the range is mapped to (`tunnel_info`); the next one to the next.
    public var vni: UInt32?

    public init(interface: Int32, vlans: ClosedRange<UInt16>, isPVID: Bool, isUntagged: Bool, vni: UInt32?) {
        self.interface = interface
        self.vlans = vlans
        self.isPVID = isPVID
        self.isUntagged = isUntagged
        self.vni = vni
    }
    /// The entries of one message; those that make no sense are left out. Empty for another message.
    ///
    ///     +-------------------------------------------------+
    ///     | family (1) | reserved (3)                       |
    ///     | interface (4)                                   |
    ///     | ENTRY { INFO { flags (2), VLAN (2) },           |
    ///     |         RANGE last VLAN (2),                    |
    ///     |         TUNNEL_INFO { ID VNI (4) } } …          |
    ///     +-------------------------------------------------+
    public static func decode(_ payload: UnsafeRawBufferPointer) -> [PortVLANs] {
        guard payload.count >= 8, payload[0] == Family.bridge else { return [] }
        let interface = payload.loadUnaligned(fromByteOffset: 4, as: Int32.self)
        var found: [PortVLANs] = []
        for attribute in AttributeReader(payload, from: 8) where attribute.type == VLANAttribute.entry {
            var first: UInt16?
            var last: UInt16?
            var flags: UInt16 = 0
            var vni: UInt32?
            for field in attribute.nested {
                switch field.type {
                case VLANAttribute.entryInfo where field.payload.count >= 4:
                    flags = field.payload.loadUnaligned(as: UInt16.self)
                    first = field.payload.loadUnaligned(fromByteOffset: 2, as: UInt16.self)
                case VLANAttribute.entryRange: last = field.u16
                case VLANAttribute.entryTunnel:
                    for part in field.nested where part.type == VLANAttribute.tunnelID { vni = part.u32 }
                default: break
                }
            }
            guard let first, first >= 1, (last ?? first) >= first, (last ?? first) <= 4094 else { continue }
            found.append(
                PortVLANs(
                    interface: interface, vlans: first...(last ?? first), isPVID: flags & 2 != 0,
                    isUntagged: flags & 4 != 0, vni: vni))
        }
        return found
    }
    /// Of whose VLANs a notification tells that they changed.
    public static func interface(_ payload: UnsafeRawBufferPointer) -> Int32? {
        guard payload.count >= 8, payload[0] == Family.bridge else { return nil }
        return payload.loadUnaligned(fromByteOffset: 4, as: Int32.self)
    }
}
