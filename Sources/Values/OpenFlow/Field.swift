// The header and metadata fields of a packet in Open vSwitch: what matches test and actions write.

import NetTypes

/// A field of a packet, or of what the switch knows about it.
///
/// The order of the cases is the order in which `ovs-ofctl` prints a match. It also meets the prerequisites of every field (a field
/// comes after the EtherType, IP protocol or VLAN tag that it needs), which Open vSwitch demands on the wire.
public enum Field: UInt8, CaseIterable, Hashable, Sendable {
    case connectionState, connectionZone, connectionMark
    case ethernetType, ipProtocol
    case register0, register1, register2, register3, register4, register5, register6, register7
    case tunnelID, tunnelIPv4Source, tunnelIPv4Destination, tunnelIPv6Source, tunnelIPv6Destination
    case metadata, inPort
    /// The VLAN identifier with the bit 0x1000 for "there is a tag".
    case vlanID
    case vlanPriority
    case ethernetSource, ethernetDestination
    case ipv4Source, ipv4Destination, ipv6Source, ipv6Destination
    case arpSource, arpTarget, arpOperation, arpSourceHardware, arpTargetHardware
    case timeToLive
    case icmpType, icmpCode, icmpv6Type, icmpv6Code
    case ndTarget, ndSourceLinkLayer, ndTargetLinkLayer
    /// The four octets after the checksum of a neighbor discovery message: router, solicited and override flag on top (RFC 4861 §4.4).
    case ndReserved
    /// Type of the first option of a neighbor discovery message: 1 source, 2 target link-layer address.
    case ndOptionType
    case tcpSource, tcpDestination, udpSource, udpDestination

    /// The register of this number; nil for one above 7.
    public static func register(_ number: Int) -> Field? {
        guard (0...7).contains(number) else { return nil }
        return Field(rawValue: Field.register0.rawValue + UInt8(number))
    }
}

/// How values of a field are written by `ovs-ofctl`.
enum FieldFormat {
    /// `value`, masked `0xvalue/0xmask`.
    case decimal
    /// `0xvalue`, masked `0xvalue/0xmask`.
    case hexadecimal
    case mac, ipv4, ipv6, port, connectionState
}

/// What Open vSwitch calls a field, and how it is told on the wire.
struct FieldInfo: Sendable {
    /// In a match of `ovs-ofctl dump-flows`.
    let matchName: String
    /// In `set_field:…->NAME`.
    let name: String
    /// In `move:` and `multipath`, as NXM (lib/meta-flow.h of Open vSwitch).
    let extendedName: String
    /// Class, field number: `oxm_class << 7 | oxm_field`, the upper 23 bits of an OXM header.
    let code: UInt32
    let bitWidth: Int
    let format: FieldFormat

    init(
        _ matchName: String, _ name: String, _ extendedName: String, _ oxmClass: UInt16, _ number: UInt8, bits: Int,
        _ format: FieldFormat
    ) {
        self.matchName = matchName
        self.name = name
        self.extendedName = extendedName
        code = UInt32(oxmClass) << 7 | UInt32(number)
        bitWidth = bits
        self.format = format
    }
    /// In octets.
    var length: Int { (bitWidth + 7) / 8 }
    var allOnes: UInt128 { bitWidth >= 128 ? .max : (1 << UInt128(bitWidth)) - 1 }
}

extension Field {
    public var bitWidth: Int { info.bitWidth }
    /// Bits that actions know of: ports are told there in 16 of them, and tags without the bit for their presence.
    var actionWidth: Int { self == .inPort ? 16 : self == .vlanID ? 12 : bitWidth }

    var info: FieldInfo { Field.infos[Int(rawValue)] }

    private static let infos: [FieldInfo] = allCases.map(\.definition)

    private static let nxm: UInt16 = 1
    private static let oxm: UInt16 = 0x8000

    private var definition: FieldInfo {
        switch self {
        case .connectionState:
            FieldInfo("ct_state", "ct_state", "NXM_NX_CT_STATE", Field.nxm, 105, bits: 32, .connectionState)
        case .connectionZone: FieldInfo("ct_zone", "ct_zone", "NXM_NX_CT_ZONE", Field.nxm, 106, bits: 16, .decimal)
        case .connectionMark: FieldInfo("ct_mark", "ct_mark", "NXM_NX_CT_MARK", Field.nxm, 107, bits: 32, .hexadecimal)
        case .ethernetType: FieldInfo("dl_type", "eth_type", "NXM_OF_ETH_TYPE", Field.oxm, 5, bits: 16, .hexadecimal)
        case .ipProtocol: FieldInfo("nw_proto", "nw_proto", "NXM_OF_IP_PROTO", Field.oxm, 10, bits: 8, .decimal)
        case .register0, .register1, .register2, .register3, .register4, .register5, .register6, .register7:
            registerDefinition(rawValue - Field.register0.rawValue)
        case .tunnelID: FieldInfo("tun_id", "tun_id", "NXM_NX_TUN_ID", Field.oxm, 38, bits: 64, .hexadecimal)
        case .tunnelIPv4Source:
            FieldInfo("tun_src", "tun_src", "NXM_NX_TUN_IPV4_SRC", Field.nxm, 31, bits: 32, .ipv4)
        case .tunnelIPv4Destination:
            FieldInfo("tun_dst", "tun_dst", "NXM_NX_TUN_IPV4_DST", Field.nxm, 32, bits: 32, .ipv4)
        case .tunnelIPv6Source:
            FieldInfo("tun_ipv6_src", "tun_ipv6_src", "NXM_NX_TUN_IPV6_SRC", Field.nxm, 109, bits: 128, .ipv6)
        case .tunnelIPv6Destination:
            FieldInfo("tun_ipv6_dst", "tun_ipv6_dst", "NXM_NX_TUN_IPV6_DST", Field.nxm, 110, bits: 128, .ipv6)
        case .metadata: FieldInfo("metadata", "metadata", "OXM_OF_METADATA", Field.oxm, 2, bits: 64, .hexadecimal)
        case .inPort: FieldInfo("in_port", "in_port", "NXM_OF_IN_PORT", Field.oxm, 0, bits: 32, .port)
        case .vlanID: FieldInfo("vlan_tci", "vlan_vid", "OXM_OF_VLAN_VID", Field.oxm, 6, bits: 13, .decimal)
        case .vlanPriority: FieldInfo("dl_vlan_pcp", "vlan_pcp", "OXM_OF_VLAN_PCP", Field.oxm, 7, bits: 3, .decimal)
        case .ethernetSource: FieldInfo("dl_src", "eth_src", "NXM_OF_ETH_SRC", Field.oxm, 4, bits: 48, .mac)
        case .ethernetDestination: FieldInfo("dl_dst", "eth_dst", "NXM_OF_ETH_DST", Field.oxm, 3, bits: 48, .mac)
        default: networkDefinition
        }
    }
    private func registerDefinition(_ number: UInt8) -> FieldInfo {
        FieldInfo("reg\(number)", "reg\(number)", "NXM_NX_REG\(number)", Field.nxm, number, bits: 32, .hexadecimal)
    }
    private static let ericsson: UInt16 = 0x1000

    private var networkDefinition: FieldInfo {
        switch self {
        case .ipv4Source: FieldInfo("nw_src", "ip_src", "NXM_OF_IP_SRC", Field.oxm, 11, bits: 32, .ipv4)
        case .ipv4Destination: FieldInfo("nw_dst", "ip_dst", "NXM_OF_IP_DST", Field.oxm, 12, bits: 32, .ipv4)
        case .ipv6Source: FieldInfo("ipv6_src", "ipv6_src", "NXM_NX_IPV6_SRC", Field.oxm, 26, bits: 128, .ipv6)
        case .ipv6Destination: FieldInfo("ipv6_dst", "ipv6_dst", "NXM_NX_IPV6_DST", Field.oxm, 27, bits: 128, .ipv6)
        case .arpSource: FieldInfo("arp_spa", "arp_spa", "NXM_OF_ARP_SPA", Field.oxm, 22, bits: 32, .ipv4)
        case .arpTarget: FieldInfo("arp_tpa", "arp_tpa", "NXM_OF_ARP_TPA", Field.oxm, 23, bits: 32, .ipv4)
        case .arpOperation: FieldInfo("arp_op", "arp_op", "NXM_OF_ARP_OP", Field.oxm, 21, bits: 16, .decimal)
        case .arpSourceHardware: FieldInfo("arp_sha", "arp_sha", "NXM_NX_ARP_SHA", Field.oxm, 24, bits: 48, .mac)
        case .arpTargetHardware: FieldInfo("arp_tha", "arp_tha", "NXM_NX_ARP_THA", Field.oxm, 25, bits: 48, .mac)
        case .timeToLive: FieldInfo("nw_ttl", "nw_ttl", "NXM_NX_IP_TTL", Field.nxm, 29, bits: 8, .decimal)
        case .icmpType: FieldInfo("icmp_type", "icmp_type", "NXM_OF_ICMP_TYPE", Field.oxm, 19, bits: 8, .decimal)
        case .icmpCode: FieldInfo("icmp_code", "icmp_code", "NXM_OF_ICMP_CODE", Field.oxm, 20, bits: 8, .decimal)
        case .icmpv6Type: FieldInfo("icmp_type", "icmpv6_type", "NXM_NX_ICMPV6_TYPE", Field.oxm, 29, bits: 8, .decimal)
        case .icmpv6Code: FieldInfo("icmp_code", "icmpv6_code", "NXM_NX_ICMPV6_CODE", Field.oxm, 30, bits: 8, .decimal)
        case .ndTarget: FieldInfo("nd_target", "nd_target", "NXM_NX_ND_TARGET", Field.oxm, 31, bits: 128, .ipv6)
        case .ndSourceLinkLayer: FieldInfo("nd_sll", "nd_sll", "NXM_NX_ND_SLL", Field.oxm, 32, bits: 48, .mac)
        case .ndTargetLinkLayer: FieldInfo("nd_tll", "nd_tll", "NXM_NX_ND_TLL", Field.oxm, 33, bits: 48, .mac)
        case .ndReserved:
            FieldInfo(
                "nd_reserved", "nd_reserved", "ERICOXM_OF_ICMPV6_ND_RESERVED", Field.ericsson, 1, bits: 32, .decimal)
        case .ndOptionType:
            FieldInfo(
                "nd_options_type", "nd_options_type", "ERICOXM_OF_ICMPV6_ND_OPTIONS_TYPE", Field.ericsson, 2, bits: 8,
                .decimal)
        case .tcpSource: FieldInfo("tp_src", "tcp_src", "NXM_OF_TCP_SRC", Field.oxm, 13, bits: 16, .decimal)
        case .tcpDestination: FieldInfo("tp_dst", "tcp_dst", "NXM_OF_TCP_DST", Field.oxm, 14, bits: 16, .decimal)
        case .udpSource: FieldInfo("tp_src", "udp_src", "NXM_OF_UDP_SRC", Field.oxm, 15, bits: 16, .decimal)
        default: FieldInfo("tp_dst", "udp_dst", "NXM_OF_UDP_DST", Field.oxm, 16, bits: 16, .decimal)
        }
    }
}
