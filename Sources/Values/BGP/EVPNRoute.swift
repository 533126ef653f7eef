// The EVPN NLRI as values. Labels are the raw 24 bits of the wire: a VNI with VXLAN encapsulation (RFC 8365 §5.1.3), an MPLS
// label in the high 20 bits otherwise.

public import NetTypes

/// Ethernet A-D route (RFC 7432 §7.1), type 1.
public struct EthernetAutoDiscoveryRoute: Hashable, Sendable {
    public var rd: RouteDistinguisher
    public var esi: EthernetSegmentID
    public var ethernetTag: UInt32
    public var label: UInt32
    public init(rd: RouteDistinguisher, esi: EthernetSegmentID, ethernetTag: UInt32, label: UInt32) {
        self.rd = rd
        self.esi = esi
        self.ethernetTag = ethernetTag
        self.label = label
    }
}

/// MAC/IP Advertisement route (RFC 7432 §7.2), type 2.
public struct MACIPRoute: Hashable, Sendable {
    public var rd: RouteDistinguisher
    public var esi: EthernetSegmentID
    public var ethernetTag: UInt32
    public var mac: MACAddress
    public var ip: IPAddress?
    /// With VXLAN the L2 VNI.
    public var label1: UInt32
    /// With VXLAN the L3 VNI (RFC 9135).
    public var label2: UInt32?
    public init(
        rd: RouteDistinguisher, esi: EthernetSegmentID = .zero, ethernetTag: UInt32 = 0, mac: MACAddress,
        ip: IPAddress? = nil, label1: UInt32, label2: UInt32? = nil
    ) {
        self.rd = rd
        self.esi = esi
        self.ethernetTag = ethernetTag
        self.mac = mac
        self.ip = ip
        self.label1 = label1
        self.label2 = label2
    }
}

/// Inclusive Multicast Ethernet Tag route (RFC 7432 §7.3), type 3.
public struct InclusiveMulticastRoute: Hashable, Sendable {
    public var rd: RouteDistinguisher
    public var ethernetTag: UInt32
    public var originator: IPAddress
    public init(rd: RouteDistinguisher, ethernetTag: UInt32 = 0, originator: IPAddress) {
        self.rd = rd
        self.ethernetTag = ethernetTag
        self.originator = originator
    }
}

/// Ethernet Segment route (RFC 7432 §7.4), type 4.
public struct EthernetSegmentRoute: Hashable, Sendable {
    public var rd: RouteDistinguisher
    public var esi: EthernetSegmentID
    public var originator: IPAddress
    public init(rd: RouteDistinguisher, esi: EthernetSegmentID, originator: IPAddress) {
        self.rd = rd
        self.esi = esi
        self.originator = originator
    }
}

/// IP Prefix route (RFC 9136 §3.1), type 5.
public struct IPPrefixRoute: Hashable, Sendable {
    public var rd: RouteDistinguisher
    public var esi: EthernetSegmentID
    public var ethernetTag: UInt32
    public var prefix: IPPrefix
    /// The overlay index; `0.0.0.0` or `::` when absent.
    public var gateway: IPAddress
    public var label: UInt32
    public init(
        rd: RouteDistinguisher, esi: EthernetSegmentID = .zero, ethernetTag: UInt32 = 0, prefix: IPPrefix,
        gateway: IPAddress, label: UInt32
    ) {
        self.rd = rd
        self.esi = esi
        self.ethernetTag = ethernetTag
        self.prefix = prefix
        self.gateway = gateway
        self.label = label
    }
}

/// Any EVPN NLRI. Types 6 to 11 and unknown ones are kept as the octets after the length field: evpnd reflects them without
/// acting on them, and `evpnctl decode` shows their fields.
public enum EVPNRoute: Hashable, Sendable {
    case ethernetAutoDiscovery(EthernetAutoDiscoveryRoute)
    case macIP(MACIPRoute)
    case inclusiveMulticast(InclusiveMulticastRoute)
    case ethernetSegment(EthernetSegmentRoute)
    case ipPrefix(IPPrefixRoute)
    case other(type: UInt8, value: [UInt8])

    /// The route type octet.
    public var type: UInt8 {
        switch self {
        case .ethernetAutoDiscovery: 1
        case .macIP: 2
        case .inclusiveMulticast: 3
        case .ethernetSegment: 4
        case .ipPrefix: 5
        case .other(let type, _): type
        }
    }
}
