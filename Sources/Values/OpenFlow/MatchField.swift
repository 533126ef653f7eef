// One field with a value: a condition of a match, or what an action writes.

public import NetTypes

/// A field and its value, of which only the bits in `mask` count.
public struct MatchField: Hashable, Sendable {
    public let field: Field
    /// In the low bits; bits outside of `mask` are zero.
    public let value: UInt128
    public let mask: UInt128

    /// Bits that the field does not have are dropped, as are those of `value` outside of `mask`.
    public init(_ field: Field, _ value: UInt128, mask: UInt128 = .max) {
        self.field = field
        self.mask = mask & field.info.allOnes
        self.value = value & self.mask
    }
    /// Whether every bit counts.
    public var isExact: Bool { mask == field.info.allOnes }
    /// Whether no bit counts.
    public var isWildcard: Bool { mask == 0 }
}

/// Protocol numbers of the IANA registry.
public enum IPProtocol {
    public static let icmp: UInt8 = 1
    public static let tcp: UInt8 = 6
    public static let udp: UInt8 = 17
    public static let icmpv6: UInt8 = 58
}

/// What connection tracking says of a packet (ovs-fields(7), ct_state).
public struct ConnectionState: OptionSet, Hashable, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    public static let new = ConnectionState(rawValue: 0x01)
    public static let established = ConnectionState(rawValue: 0x02)
    public static let related = ConnectionState(rawValue: 0x04)
    public static let reply = ConnectionState(rawValue: 0x08)
    public static let invalid = ConnectionState(rawValue: 0x10)
    public static let tracked = ConnectionState(rawValue: 0x20)
    public static let sourceNAT = ConnectionState(rawValue: 0x40)
    public static let destinationNAT = ConnectionState(rawValue: 0x80)

    static let names = ["new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat"]
}

extension MatchField {
    public static func inPort(_ port: PortNumber) -> MatchField { MatchField(.inPort, UInt128(port.rawValue)) }
    /// `number` 0…7; the remainder by 8 of any other.
    public static func register(_ number: Int, _ value: UInt32, mask: UInt32 = .max) -> MatchField {
        MatchField(Field.register(number & 7) ?? .register0, UInt128(value), mask: UInt128(mask))
    }
    public static func metadata(_ value: UInt64, mask: UInt64 = .max) -> MatchField {
        MatchField(.metadata, UInt128(value), mask: UInt128(mask))
    }

    public static func ethernetType(_ value: UInt16) -> MatchField { MatchField(.ethernetType, UInt128(value)) }
    public static func ethernetSource(_ mac: MACAddress, mask: MACAddress = .broadcast) -> MatchField {
        MatchField(.ethernetSource, UInt128(mac.rawValue), mask: UInt128(mask.rawValue))
    }
    public static func ethernetDestination(_ mac: MACAddress, mask: MACAddress = .broadcast) -> MatchField {
        MatchField(.ethernetDestination, UInt128(mac.rawValue), mask: UInt128(mask.rawValue))
    }
    /// Broadcast and multicast frames.
    public static let ethernetGroup = ethernetDestination(
        MACAddress(rawValue: 0x0100_0000_0000), mask: MACAddress(rawValue: 0x0100_0000_0000))

    /// Frames with this 802.1Q tag, in an action the tag that is written: `dl_vlan=7`, `set_field:4103->vlan_vid`.
    public static func vlan(_ tag: UInt16) -> MatchField { MatchField(.vlanID, UInt128(tag & 0xfff | 0x1000)) }
    /// Frames without a tag.
    public static let untagged = MatchField(.vlanID, 0)
    /// Frames with any tag.
    public static let tagged = MatchField(.vlanID, 0x1000, mask: 0x1000)
    /// Needs a match on the tag before it.
    public static func vlanPriority(_ value: UInt8) -> MatchField { MatchField(.vlanPriority, UInt128(value)) }

    public static func tunnelID(_ value: UInt64) -> MatchField { MatchField(.tunnelID, UInt128(value)) }
    public static func tunnelID(_ vni: VNI) -> MatchField { tunnelID(UInt64(vni.rawValue)) }
    public static func tunnelSource(_ address: IPAddress) -> MatchField {
        self.address(address, .tunnelIPv4Source, .tunnelIPv6Source)
    }
    public static func tunnelDestination(_ address: IPAddress) -> MatchField {
        self.address(address, .tunnelIPv4Destination, .tunnelIPv6Destination)
    }

    /// `nw_src` or `ipv6_src`, by the family; needs the EtherType.
    public static func source(_ address: IPAddress) -> MatchField { self.address(address, .ipv4Source, .ipv6Source) }
    public static func source(_ prefix: IPPrefix) -> MatchField { self.prefix(prefix, .ipv4Source, .ipv6Source) }
    /// `nw_dst` or `ipv6_dst`, by the family; needs the EtherType.
    public static func destination(_ address: IPAddress) -> MatchField {
        self.address(address, .ipv4Destination, .ipv6Destination)
    }
    public static func destination(_ prefix: IPPrefix) -> MatchField {
        self.prefix(prefix, .ipv4Destination, .ipv6Destination)
    }
    /// Needs the EtherType, as do all that follow.
    public static func ipProtocol(_ value: UInt8) -> MatchField { MatchField(.ipProtocol, UInt128(value)) }
    public static func timeToLive(_ value: UInt8) -> MatchField { MatchField(.timeToLive, UInt128(value)) }

    /// 1 request, 2 reply.
    public static func arpOperation(_ value: UInt16) -> MatchField { MatchField(.arpOperation, UInt128(value)) }
    public static func arpSource(_ address: IPv4Address) -> MatchField {
        MatchField(.arpSource, UInt128(address.rawValue))
    }
    public static func arpTarget(_ address: IPv4Address) -> MatchField {
        MatchField(.arpTarget, UInt128(address.rawValue))
    }
    public static func arpSourceHardware(_ mac: MACAddress) -> MatchField {
        MatchField(.arpSourceHardware, UInt128(mac.rawValue))
    }
    public static func arpTargetHardware(_ mac: MACAddress) -> MatchField {
        MatchField(.arpTargetHardware, UInt128(mac.rawValue))
    }

    /// Of ICMP for IPv4; needs the IP protocol, as do all that follow.
    public static func icmpType(_ value: UInt8) -> MatchField { MatchField(.icmpType, UInt128(value)) }
    public static func icmpCode(_ value: UInt8) -> MatchField { MatchField(.icmpCode, UInt128(value)) }
    public static func icmpv6Type(_ value: UInt8) -> MatchField { MatchField(.icmpv6Type, UInt128(value)) }
    public static func icmpv6Code(_ value: UInt8) -> MatchField { MatchField(.icmpv6Code, UInt128(value)) }
    /// Needs `icmpv6Type` 135 or 136 and `icmpv6Code` 0.
    public static func ndTarget(_ address: IPv6Address) -> MatchField { MatchField(.ndTarget, address.bits) }
    /// Needs `icmpv6Type` 135 and `icmpv6Code` 0.
    public static func ndSourceLinkLayer(_ mac: MACAddress) -> MatchField {
        MatchField(.ndSourceLinkLayer, UInt128(mac.rawValue))
    }
    /// Needs `icmpv6Type` 136 and `icmpv6Code` 0.
    public static func ndTargetLinkLayer(_ mac: MACAddress) -> MatchField {
        MatchField(.ndTargetLinkLayer, UInt128(mac.rawValue))
    }
    public static func tcpSource(_ port: UInt16) -> MatchField { MatchField(.tcpSource, UInt128(port)) }
    public static func tcpDestination(_ port: UInt16) -> MatchField { MatchField(.tcpDestination, UInt128(port)) }
    public static func udpSource(_ port: UInt16) -> MatchField { MatchField(.udpSource, UInt128(port)) }
    public static func udpDestination(_ port: UInt16) -> MatchField { MatchField(.udpDestination, UInt128(port)) }

    /// `ct_state=+est-new`: the states in `set` hold, those in `unset` do not.
    public static func connectionState(set: ConnectionState, unset: ConnectionState = []) -> MatchField {
        MatchField(.connectionState, UInt128(set.rawValue), mask: UInt128(set.union(unset).rawValue))
    }
    public static func connectionZone(_ value: UInt16) -> MatchField { MatchField(.connectionZone, UInt128(value)) }
    public static func connectionMark(_ value: UInt32, mask: UInt32 = .max) -> MatchField {
        MatchField(.connectionMark, UInt128(value), mask: UInt128(mask))
    }

    private static func address(_ address: IPAddress, _ v4: Field, _ v6: Field) -> MatchField {
        switch address {
        case .v4(let address): MatchField(v4, UInt128(address.rawValue))
        case .v6(let address): MatchField(v6, address.bits)
        }
    }
    private static func prefix(_ prefix: IPPrefix, _ v4: Field, _ v6: Field) -> MatchField {
        let exact = address(prefix.address, v4, v6)
        let hostBits = UInt128(prefix.address.bitWidth - prefix.length)
        return MatchField(exact.field, exact.value, mask: hostBits >= 128 ? 0 : .max << hostBits)
    }
}

extension IPv6Address {
    var bits: UInt128 { UInt128(high) << 64 | UInt128(low) }
    init(bits: UInt128) {
        self.init(high: UInt64(truncatingIfNeeded: bits >> 64), low: UInt64(truncatingIfNeeded: bits))
    }
}

extension MatchField: CustomStringConvertible {
    /// `NAME=VALUE` or `NAME=VALUE/MASK` as in a match.
    public var description: String {
        if field == .vlanID { return vlanText }
        return "\(field.info.matchName)=\(valueText)"
    }

    private var vlanText: String {
        if isExact, value & 0x1000 != 0 { return "dl_vlan=\(value & 0xfff)" }
        return "vlan_tci=0x\(hexadecimal(value, 4))/0x\(hexadecimal(mask, 4))"
    }

    /// The value, with its mask where not every bit counts.
    var valueText: String {
        switch field.info.format {
        case .decimal: return isExact ? "\(value)" : masked
        case .hexadecimal:
            if field == .ethernetType { return "0x\(hexadecimal(value, 4))" }
            return isExact ? "0x\(hexadecimal(value))" : masked
        case .port: return isExact ? "\(PortNumber(rawValue: UInt32(truncatingIfNeeded: value)))" : masked
        case .mac: return isExact ? text(value) : "\(text(value))/\(text(mask))"
        case .ipv4, .ipv6:
            if isExact { return text(value) }
            let hostBits = mask.trailingZeroBitCount
            let isPrefix = mask == (field.info.allOnes >> UInt128(hostBits)) << UInt128(hostBits)
            return "\(text(value))/\(isPrefix ? "\(field.bitWidth - hostBits)" : text(mask))"
        case .connectionState:
            return ConnectionState.names.enumerated().map { bit, name in
                mask >> UInt128(bit) & 1 == 0 ? "" : (value >> UInt128(bit) & 1 == 1 ? "+" : "-") + name
            }.joined()
        }
    }
    private var masked: String { "0x\(hexadecimal(value))/0x\(hexadecimal(mask))" }
    private func text(_ bits: UInt128) -> String {
        switch field.info.format {
        case .mac: "\(MACAddress(rawValue: UInt64(truncatingIfNeeded: bits)))"
        case .ipv4: "\(IPv4Address(rawValue: UInt32(truncatingIfNeeded: bits)))"
        default: "\(IPv6Address(bits: bits))"
        }
    }
}

/// Lower-case digits, at least `width` of them.
func hexadecimal(_ value: some BinaryInteger, _ width: Int = 1) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
}
