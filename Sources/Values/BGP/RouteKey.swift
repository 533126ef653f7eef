// What a RIB is keyed by. Every family fits one compact value, so that tables of a million routes have no per-key allocation.

public import NetTypes

/// The identity of a route: its family and what RFC 7432 §7 and RFC 9136 §3.1 compare. Labels, the ESI of MAC/IP and prefix
/// routes and the gateway address are not part of it; they travel in `RoutePayload`.
///
///     word 0   kind (8) | length (8) | MAC address, or the first 48 bits of an ESI (48)
///     word 1   route distinguisher; 0 for unicast
///     word 2,3 address, IPv4 in the high half of word 2
///     word 4   Ethernet tag (32) | the last 32 bits of an ESI (32)
///
/// `length` is the prefix length, or the number of address bits (0, 32, 128).
public struct RouteKey: Sendable {
    /// Which route type a key stands for.
    public enum Kind: UInt8, Sendable, Comparable {
        case ipv4Unicast = 0xf1
        case ipv6Unicast = 0xf2
        case ethernetAutoDiscovery = 1
        case macIP = 2
        case inclusiveMulticast = 3
        case ethernetSegment = 4
        case ipPrefix = 5
        /// An EVPN route type that is only carried; its NLRI is in `opaque`.
        case otherEVPN = 0
        public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    }

    @usableFromInline let word0: UInt64
    @usableFromInline let word1: UInt64
    @usableFromInline let word2: UInt64
    @usableFromInline let word3: UInt64
    @usableFromInline let word4: UInt64
    /// Route type octet and value of an `.otherEVPN` route; nil for every other kind.
    public let opaque: [UInt8]?

    @inlinable init(
        kind: Kind, length: Int = 0, mac: UInt64 = 0, rd: UInt64 = 0, high: UInt64 = 0, low: UInt64 = 0,
        tag: UInt32 = 0,
        esiTail: UInt32 = 0, opaque: [UInt8]? = nil
    ) {
        word0 = UInt64(kind.rawValue) << 56 | UInt64(UInt8(truncatingIfNeeded: length)) << 48 | mac & 0xffff_ffff_ffff
        word1 = rd
        word2 = high
        word3 = low
        word4 = UInt64(tag) << 32 | UInt64(esiTail)
        self.opaque = opaque
    }
}

extension RouteKey: Hashable, Comparable {
    @inlinable public static func == (a: RouteKey, b: RouteKey) -> Bool {
        a.word0 == b.word0 && a.word1 == b.word1 && a.word2 == b.word2 && a.word3 == b.word3 && a.word4 == b.word4
            && a.opaque == b.opaque
    }
    @inlinable public func hash(into hasher: inout Hasher) {
        hasher.combine(word0)
        hasher.combine(word1)
        hasher.combine(word2)
        hasher.combine(word3 ^ word4)
        if let opaque { hasher.combine(opaque) }
    }
    /// A stable order for lists: kind, RD, then the rest; of unicast routes address and length.
    public static func < (a: RouteKey, b: RouteKey) -> Bool {
        if a.kind != b.kind { return a.kind < b.kind }
        if a.kind == .ipv4Unicast || a.kind == .ipv6Unicast {
            return (a.word2, a.word3, a.word0) < (b.word2, b.word3, b.word0)
        }
        if a.word1 != b.word1 { return a.word1 < b.word1 }
        if a.word0 != b.word0 { return a.word0 < b.word0 }
        if a.word2 != b.word2 { return a.word2 < b.word2 }
        if a.word3 != b.word3 { return a.word3 < b.word3 }
        if a.word4 != b.word4 { return a.word4 < b.word4 }
        return (a.opaque ?? []).lexicographicallyPrecedes(b.opaque ?? [])
    }
}

extension RouteKey {
    public var kind: Kind { Kind(rawValue: UInt8(truncatingIfNeeded: word0 >> 56)) ?? .otherEVPN }
    public var family: Family {
        switch kind {
        case .ipv4Unicast: .ipv4Unicast
        case .ipv6Unicast: .ipv6Unicast
        default: .l2vpnEVPN
        }
    }
    public var rd: RouteDistinguisher { RouteDistinguisher(rawValue: word1) }
    public var ethernetTag: UInt32 { UInt32(truncatingIfNeeded: word4 >> 32) }
    /// Of a MAC/IP route.
    public var mac: MACAddress { MACAddress(rawValue: word0) }
    /// The length octet: prefix length of unicast and prefix routes, else the number of bits of `address`.
    public var length: Int { Int(UInt8(truncatingIfNeeded: word0 >> 48)) }
    /// The address of a MAC/IP, IMET or ES route, or of a prefix; nil for a MAC-only route.
    public var address: IPAddress? {
        switch kind {
        case .ipv4Unicast: .v4(v4)
        case .ipv6Unicast: .v6(v6)
        case .ipPrefix: esiTailFlag == 1 ? .v6(v6) : .v4(v4)
        case .macIP, .inclusiveMulticast, .ethernetSegment: length == 32 ? .v4(v4) : length == 128 ? .v6(v6) : nil
        case .ethernetAutoDiscovery, .otherEVPN: nil
        }
    }
    /// Of unicast and prefix routes.
    public var prefix: IPPrefix? {
        switch kind {
        case .ipv4Unicast, .ipv6Unicast, .ipPrefix: address.flatMap { IPPrefix($0, length: length) }
        default: nil
        }
    }
    /// Of Ethernet A-D and ES routes; zero for others.
    public var esi: EthernetSegmentID {
        guard kind == .ethernetAutoDiscovery || kind == .ethernetSegment else { return .zero }
        let tail = word4 & 0xffff_ffff
        return EthernetSegmentID(high: word0 << 16 | tail >> 16, low: UInt16(truncatingIfNeeded: tail))
    }
    private var v4: IPv4Address { IPv4Address(rawValue: UInt32(truncatingIfNeeded: word2 >> 32)) }
    private var v6: IPv6Address { IPv6Address(high: word2, low: word3) }
    /// Prefix routes keep their family here, since a prefix length alone does not tell it.
    private var esiTailFlag: UInt64 { word4 & 0xffff_ffff }

    private static func words(_ address: IPAddress) -> (high: UInt64, low: UInt64, bits: Int) {
        switch address {
        case .v4(let v4): (UInt64(v4.rawValue) << 32, 0, 32)
        case .v6(let v6): (v6.high, v6.low, 128)
        }
    }

    /// A unicast route of the prefix's family.
    public init(unicast prefix: IPPrefix) {
        let words = Self.words(prefix.address)
        self.init(
            kind: prefix.address.isV6 ? .ipv6Unicast : .ipv4Unicast, length: prefix.length, high: words.high,
            low: words.low)
    }
    public init(_ route: EVPNRoute) {
        switch route {
        case .ethernetAutoDiscovery(let r):
            self.init(
                kind: .ethernetAutoDiscovery, mac: r.esi.high >> 16, rd: r.rd.rawValue, tag: r.ethernetTag,
                esiTail: UInt32(truncatingIfNeeded: r.esi.high << 16) | UInt32(r.esi.low))
        case .macIP(let r):
            let words = r.ip.map(Self.words) ?? (high: 0, low: 0, bits: 0)
            self.init(
                kind: .macIP, length: words.bits, mac: r.mac.rawValue, rd: r.rd.rawValue, high: words.high,
                low: words.low, tag: r.ethernetTag)
        case .inclusiveMulticast(let r):
            let words = Self.words(r.originator)
            self.init(
                kind: .inclusiveMulticast, length: words.bits, rd: r.rd.rawValue, high: words.high, low: words.low,
                tag: r.ethernetTag)
        case .ethernetSegment(let r):
            let words = Self.words(r.originator)
            self.init(
                kind: .ethernetSegment, length: words.bits, mac: r.esi.high >> 16, rd: r.rd.rawValue, high: words.high,
                low: words.low, esiTail: UInt32(truncatingIfNeeded: r.esi.high << 16) | UInt32(r.esi.low))
        case .ipPrefix(let r):
            let words = Self.words(r.prefix.address)
            self.init(
                kind: .ipPrefix, length: r.prefix.length, rd: r.rd.rawValue, high: words.high, low: words.low,
                tag: r.ethernetTag, esiTail: r.prefix.address.isV6 ? 1 : 0)
        case .other(let type, let value):
            self.init(kind: .otherEVPN, opaque: [type] + value)
        }
    }
}

/// What an NLRI carries beside its key: labels, and rarely an ESI or a gateway.
public struct RoutePayload: Hashable, Sendable {
    /// Raw 24 bits of the first label; 0 when the route type has none.
    public var label1: UInt32
    /// Raw 24 bits of the second label of a MAC/IP route (RFC 9135: the L3 VNI).
    public var label2: UInt32?
    /// ESI of a MAC/IP or prefix route and gateway of a prefix route; nil when all are zero.
    public var overlay: OverlayIndex?
    public init(label1: UInt32 = 0, label2: UInt32? = nil, overlay: OverlayIndex? = nil) {
        self.label1 = label1
        self.label2 = label2
        self.overlay = overlay
    }

    public var esi: EthernetSegmentID { overlay?.esi ?? .zero }
    /// Nil when unspecified.
    public var gateway: IPAddress? { overlay?.gateway }
}

/// The rare half of a payload, shared behind a reference because nearly every route has none.
public final class OverlayIndex: Hashable, Sendable {
    public let esi: EthernetSegmentID
    public let gateway: IPAddress?
    /// Nil when there is nothing to keep.
    public static func make(esi: EthernetSegmentID, gateway: IPAddress?) -> OverlayIndex? {
        let gateway = gateway.flatMap { $0.isUnspecified ? nil : $0 }
        return esi.isZero && gateway == nil ? nil : OverlayIndex(esi: esi, gateway: gateway)
    }
    private init(esi: EthernetSegmentID, gateway: IPAddress?) {
        self.esi = esi
        self.gateway = gateway
    }
    public static func == (a: OverlayIndex, b: OverlayIndex) -> Bool { a.esi == b.esi && a.gateway == b.gateway }
    public func hash(into hasher: inout Hasher) {
        hasher.combine(esi)
        hasher.combine(gateway)
    }
}

extension RoutePayload {
    /// The part of `route` that `RouteKey` leaves out.
    public init(_ route: EVPNRoute) {
        switch route {
        case .ethernetAutoDiscovery(let r): self.init(label1: r.label)
        case .macIP(let r):
            self.init(label1: r.label1, label2: r.label2, overlay: .make(esi: r.esi, gateway: nil))
        case .inclusiveMulticast, .ethernetSegment, .other: self.init()
        case .ipPrefix(let r): self.init(label1: r.label, overlay: .make(esi: r.esi, gateway: r.gateway))
        }
    }
}

extension EVPNRoute {
    /// Puts a route together again; nil when `key` is a unicast key.
    public init?(_ key: RouteKey, _ payload: RoutePayload) {
        switch key.kind {
        case .ipv4Unicast, .ipv6Unicast: return nil
        case .ethernetAutoDiscovery:
            self = .ethernetAutoDiscovery(
                EthernetAutoDiscoveryRoute(
                    rd: key.rd, esi: key.esi, ethernetTag: key.ethernetTag, label: payload.label1))
        case .macIP:
            self = .macIP(
                MACIPRoute(
                    rd: key.rd, esi: payload.esi, ethernetTag: key.ethernetTag, mac: key.mac, ip: key.address,
                    label1: payload.label1, label2: payload.label2))
        case .inclusiveMulticast:
            guard let originator = key.address else { return nil }
            self = .inclusiveMulticast(
                InclusiveMulticastRoute(rd: key.rd, ethernetTag: key.ethernetTag, originator: originator))
        case .ethernetSegment:
            guard let originator = key.address else { return nil }
            self = .ethernetSegment(EthernetSegmentRoute(rd: key.rd, esi: key.esi, originator: originator))
        case .ipPrefix:
            guard let prefix = key.prefix else { return nil }
            self = .ipPrefix(
                IPPrefixRoute(
                    rd: key.rd, esi: payload.esi, ethernetTag: key.ethernetTag, prefix: prefix,
                    gateway: payload.gateway ?? (prefix.address.isV6 ? .v6(.any) : .v4(.any)), label: payload.label1))
        case .otherEVPN:
            guard let opaque = key.opaque, let type = opaque.first else { return nil }
            self = .other(type: type, value: Array(opaque.dropFirst()))
        }
    }
}

extension RouteKey: CustomStringConvertible {
    /// As FRR writes EVPN prefixes: `[2]:[tag]:[48]:[mac]:[32]:[ip]` after the RD; a plain prefix for unicast.
    public var description: String {
        switch kind {
        case .ipv4Unicast, .ipv6Unicast: prefix.map { "\($0)" } ?? "?"
        case .ethernetAutoDiscovery: "\(rd) [1]:[\(ethernetTag)]:[\(esi)]"
        case .macIP:
            if let address {
                "\(rd) [2]:[\(ethernetTag)]:[48]:[\(mac)]:[\(length)]:[\(address)]"
            } else {
                "\(rd) [2]:[\(ethernetTag)]:[48]:[\(mac)]"
            }
        case .inclusiveMulticast: "\(rd) [3]:[\(ethernetTag)]:[\(length)]:[\(address.map { "\($0)" } ?? "?")]"
        case .ethernetSegment: "\(rd) [4]:[\(esi)]:[\(length)]:[\(address.map { "\($0)" } ?? "?")]"
        case .ipPrefix: "\(rd) [5]:[\(ethernetTag)]:[\(length)]:[\(address.map { "\($0)" } ?? "?")]"
        case .otherEVPN: "[\(opaque?.first ?? 0)]:[\(hexString((opaque ?? []).dropFirst()))]"
        }
    }
}
