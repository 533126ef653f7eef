// The extended communities that EVPN uses, as constructors and typed views.

public import NetTypes

extension ExtendedCommunity {
    /// Type octets (IANA, "BGP Transitive Extended Community Types").
    enum TypeCode {
        static let opaque: UInt8 = 0x03
        static let evpn: UInt8 = 0x06
    }

    private init(type: UInt8, subtype: UInt8, value: UInt64) {
        self.init(rawValue: UInt64(type) << 56 | UInt64(subtype) << 48 | value & 0xffff_ffff_ffff)
    }
    private func value(type: UInt8, subtype: UInt8) -> UInt64? {
        self.type == type && self.subtype == subtype ? rawValue & 0xffff_ffff_ffff : nil
    }
    private func evpn(_ subtype: UInt8) -> UInt64? { value(type: TypeCode.evpn, subtype: subtype) }

    // MARK: MAC mobility (RFC 7432 §7.7)

    /// What a MAC mobility community says.
    public struct MACMobility: Hashable, Sendable {
        /// The static flag: the MAC address must not move.
        public var sticky: Bool
        public var sequence: UInt32
        public init(sticky: Bool, sequence: UInt32) {
            self.sticky = sticky
            self.sequence = sequence
        }
    }
    ///     | 0x06 | 0x00 | Flags (1): bit 0 sticky | Reserved (1) | Sequence (4) |
    public static func macMobility(sticky: Bool = false, sequence: UInt32) -> ExtendedCommunity {
        ExtendedCommunity(type: TypeCode.evpn, subtype: 0, value: (sticky ? 1 << 40 : 0) | UInt64(sequence))
    }
    public var macMobility: MACMobility? {
        evpn(0).map { MACMobility(sticky: $0 >> 40 & 1 == 1, sequence: UInt32(truncatingIfNeeded: $0)) }
    }

    // MARK: ESI label (RFC 7432 §7.5)

    public struct ESILabel: Hashable, Sendable {
        /// Single-active redundancy; all-active otherwise.
        public var singleActive: Bool
        /// Raw 24 bits.
        public var label: UInt32
        public init(singleActive: Bool, label: UInt32) {
            self.singleActive = singleActive
            self.label = label
        }
    }
    ///     | 0x06 | 0x01 | Flags (1): bit 0 single-active | Reserved (2) | Label (3) |
    public static func esiLabel(singleActive: Bool, label: UInt32) -> ExtendedCommunity {
        ExtendedCommunity(
            type: TypeCode.evpn, subtype: 1, value: (singleActive ? 1 << 40 : 0) | UInt64(label & 0xff_ffff))
    }
    public var esiLabel: ESILabel? {
        evpn(1).map { ESILabel(singleActive: $0 >> 40 & 1 == 1, label: UInt32($0 & 0xff_ffff)) }
    }

    // MARK: ES-import route target (RFC 7432 §7.6)

    ///     | 0x06 | 0x02 | Six octets of the ESI |
    public static func esImport(_ address: MACAddress) -> ExtendedCommunity {
        ExtendedCommunity(type: TypeCode.evpn, subtype: 2, value: address.rawValue)
    }
    public var esImport: MACAddress? { evpn(2).map { MACAddress(rawValue: $0) } }

    // MARK: EVPN router's MAC (RFC 9135 §8.1)

    ///     | 0x06 | 0x03 | MAC address (6) |
    public static func routerMAC(_ address: MACAddress) -> ExtendedCommunity {
        ExtendedCommunity(type: TypeCode.evpn, subtype: 3, value: address.rawValue)
    }
    public var routerMAC: MACAddress? { evpn(3).map { MACAddress(rawValue: $0) } }

    // MARK: Layer 2 attributes (RFC 8214 §3.1)

    public struct Layer2Attributes: Hashable, Sendable {
        /// 1 backup, 2 primary, 4 control word.
        public var flags: UInt16
        public var mtu: UInt16
        public init(flags: UInt16, mtu: UInt16) {
            self.flags = flags
            self.mtu = mtu
        }
    }
    ///     | 0x06 | 0x04 | Control flags (2) | L2 MTU (2) | Reserved (2) |
    public static func layer2Attributes(flags: UInt16, mtu: UInt16) -> ExtendedCommunity {
        ExtendedCommunity(type: TypeCode.evpn, subtype: 4, value: UInt64(flags) << 32 | UInt64(mtu) << 16)
    }
    public var layer2Attributes: Layer2Attributes? {
        evpn(4).map {
            Layer2Attributes(flags: UInt16(truncatingIfNeeded: $0 >> 32), mtu: UInt16(truncatingIfNeeded: $0 >> 16))
        }
    }

    // MARK: DF election (RFC 8584 §2.2, RFC 9785)

    public struct DFElection: Hashable, Sendable {
        /// 5 bits: 0 modulo, 1 highest random weight, 2 preference.
        public var algorithm: UInt8
        public var bitmap: UInt16
        public var preference: UInt16
        public init(algorithm: UInt8, bitmap: UInt16, preference: UInt16) {
            self.algorithm = algorithm
            self.bitmap = bitmap
            self.preference = preference
        }
    }
    ///     | 0x06 | 0x06 | Reserved (3 bits), algorithm (5 bits) | Bitmap (2) | Reserved (1) | Preference (2) |
    public static func dfElection(algorithm: UInt8, bitmap: UInt16, preference: UInt16) -> ExtendedCommunity {
        ExtendedCommunity(
            type: TypeCode.evpn, subtype: 6,
            value: UInt64(algorithm & 31) << 40 | UInt64(bitmap) << 24 | UInt64(preference))
    }
    public var dfElection: DFElection? {
        evpn(6).map {
            DFElection(
                algorithm: UInt8($0 >> 40 & 31), bitmap: UInt16(truncatingIfNeeded: $0 >> 24),
                preference: UInt16(truncatingIfNeeded: $0))
        }
    }

    // MARK: ARP/ND (RFC 9047 §2)

    /// Flags of an ARP/ND community.
    public struct NeighborDiscoveryFlags: OptionSet, Hashable, Sendable {
        public let rawValue: UInt8
        public init(rawValue: UInt8) { self.rawValue = rawValue }
        /// R: the address belongs to a router.
        public static let router = NeighborDiscoveryFlags(rawValue: 1)
        /// O: override an existing neighbour entry.
        public static let override = NeighborDiscoveryFlags(rawValue: 2)
        /// I: the binding of address and MAC never changes.
        public static let immutable = NeighborDiscoveryFlags(rawValue: 8)
    }
    ///     | 0x06 | 0x08 | Flags (1) | Reserved (5) |
    public static func neighborDiscovery(flags: NeighborDiscoveryFlags) -> ExtendedCommunity {
        ExtendedCommunity(type: TypeCode.evpn, subtype: 8, value: UInt64(flags.rawValue) << 40)
    }
    public var neighborDiscoveryFlags: NeighborDiscoveryFlags? {
        evpn(8).map { NeighborDiscoveryFlags(rawValue: UInt8($0 >> 40)) }
    }

    // MARK: Multicast flags (RFC 9251 §9.4)

    ///     | 0x06 | 0x09 | Flags (2): 1 IGMP proxy, 2 MLD proxy | Reserved (4) |
    public static func multicastFlags(_ flags: UInt16) -> ExtendedCommunity {
        ExtendedCommunity(type: TypeCode.evpn, subtype: 9, value: UInt64(flags) << 32)
    }
    public var multicastFlags: UInt16? { evpn(9).map { UInt16(truncatingIfNeeded: $0 >> 32) } }

    // MARK: Opaque ones

    /// Tunnel types of the encapsulation community.
    public static let vxlanEncapsulation: UInt16 = 8

    ///     | 0x03 | 0x0c | Reserved (4) | Tunnel type (2) |      RFC 9012 §4.1
    public static func encapsulation(_ tunnelType: UInt16) -> ExtendedCommunity {
        ExtendedCommunity(type: TypeCode.opaque, subtype: 0x0c, value: UInt64(tunnelType))
    }
    public var encapsulationType: UInt16? {
        value(type: TypeCode.opaque, subtype: 0x0c).map { UInt16(truncatingIfNeeded: $0) }
    }

    /// RFC 7432 §7.8: the MAC address of the route is a default gateway's.
    public static let defaultGateway = ExtendedCommunity(type: TypeCode.opaque, subtype: 0x0d, value: 0)
    public var isDefaultGateway: Bool { value(type: TypeCode.opaque, subtype: 0x0d) != nil }

    ///     | 0x03 | 0x0b | Flags (2) | Color (4) |      RFC 9012 §4.3
    public static func color(_ color: UInt32, flags: UInt16 = 0) -> ExtendedCommunity {
        ExtendedCommunity(type: TypeCode.opaque, subtype: 0x0b, value: UInt64(flags) << 32 | UInt64(color))
    }
    public var color: UInt32? {
        value(type: TypeCode.opaque, subtype: 0x0b).map { UInt32(truncatingIfNeeded: $0) }
    }

    // MARK: Link bandwidth (draft-ietf-idr-link-bandwidth)

    public struct LinkBandwidth: Hashable, Sendable {
        public var asn: UInt16
        public var bytesPerSecond: Float
        public init(asn: UInt16, bytesPerSecond: Float) {
            self.asn = asn
            self.bytesPerSecond = bytesPerSecond
        }
    }
    ///     | 0x40, or 0x00 when transitive | 0x04 | ASN (2) | IEEE single (4) |
    public static func linkBandwidth(asn: UInt16, bytesPerSecond: Float, transitive: Bool = false) -> ExtendedCommunity
    {
        ExtendedCommunity(
            type: transitive ? 0x00 : 0x40, subtype: 4, value: UInt64(asn) << 32 | UInt64(bytesPerSecond.bitPattern))
    }
    public var linkBandwidth: LinkBandwidth? {
        guard let value = value(type: 0x40, subtype: 4) ?? value(type: 0x00, subtype: 4) else { return nil }
        return LinkBandwidth(
            asn: UInt16(truncatingIfNeeded: value >> 32),
            bytesPerSecond: Float(bitPattern: UInt32(truncatingIfNeeded: value)))
    }
}

extension PathAttributes {
    /// The first MAC mobility community.
    public var macMobility: ExtendedCommunity.MACMobility? {
        for community in extendedCommunities { if let found = community.macMobility { return found } }
        return nil
    }
    /// The first router's MAC community.
    public var routerMAC: MACAddress? {
        for community in extendedCommunities { if let found = community.routerMAC { return found } }
        return nil
    }
    public var isDefaultGateway: Bool { extendedCommunities.contains { $0.isDefaultGateway } }
    /// Tunnel types named by encapsulation communities; empty when none is named.
    public var encapsulationTypes: [UInt16] { extendedCommunities.compactMap(\.encapsulationType) }
}
