// A route of somebody else as the control plane keeps it.

import BGP
import NetTypes

/// A type 2, type 3 or type 5 route as some peer announced it, imported or not.
struct RemoteRoute: TableRow {
    /// The parts of `RouteKey` that matter, in words.
    struct Key: Equatable {
        /// Kind (8) | address bits or prefix length (8) | MAC, or 1 for an IPv6 prefix (48).
        var head: UInt64
        var rd: UInt64
        var high: UInt64
        var low: UInt64
        var tag: UInt32
    }
    var head: UInt64
    var rd: UInt64
    var high: UInt64
    var low: UInt64
    var tag: UInt32
    /// Reason for being ignored, 0 if imported (8) | label (24).
    private var labelAndReason: UInt32
    /// For a type 2 route: reason for no effect on layer 3 (8) | second label (24), 0: there is none or it is unusable.
    /// For a type 5 route: 1 when it is read as one of type 3.
    private var second: UInt32 = 0
    /// Row in `attributes`.
    var attributes: Slot
    /// The first of its imports, chained by `Import.sibling`.
    var imports: Slot = .none
    /// The first of its imports into IP-VRFs, chained by `RoutedImport.sibling`.
    var routed: Slot = .none

    init(key: Key, label: UInt32, attributes: Slot) {
        head = key.head
        rd = key.rd
        high = key.high
        low = key.low
        tag = key.tag
        labelAndReason = label & 0xff_ffff
        self.attributes = attributes
    }

    static let vacant = RemoteRoute(key: Key(head: 0, rd: 0, high: 0, low: 0, tag: 0), label: 0, attributes: .none)
    var isVacant: Bool { head == 0 }
    var key: Key { Key(head: head, rd: rd, high: high, low: low, tag: tag) }
    @inline(__always) func hasKey(_ key: Key) -> Bool {
        head == key.head && rd == key.rd && high == key.high && low == key.low && tag == key.tag
    }
    @inline(__always) static func hash(_ key: Key, seed: UInt64) -> UInt64 {
        mix(
            mix(key.head ^ seed, key.rd ^ 0x9e37_79b9_7f4a_7c15),
            mix(key.high ^ seed, key.low &+ UInt64(key.tag) ^ 0xd6e8_feb8_6659_fd93))
    }

    var mac: MACAddress { MACAddress(rawValue: head) }
    var isMACIP: Bool { head >> 56 == UInt64(RouteKey.Kind.macIP.rawValue) }
    var isPrefix: Bool { head >> 56 == UInt64(RouteKey.Kind.ipPrefix.rawValue) }
    /// A type 5 route that is read as one of type 3.
    var isVTEP: Bool {
        get { isPrefix && second == 1 }
        set { second = newValue ? 1 : 0 }
    }
    /// It names a member of a flood list.
    var isFlood: Bool { !isMACIP && (!isPrefix || second == 1) }
    private var isV6: Bool { isPrefix ? head & 1 == 1 : length == 128 }
    private var length: Int { Int(head >> 48 & 0xff) }
    /// Address of a MAC+IP route, originator of a type 3 route, first address of a prefix.
    var address: IPAddress? {
        if isPrefix || length > 0 {
            return isV6
                ? .v6(IPv6Address(high: high, low: low))
                : .v4(IPv4Address(rawValue: UInt32(truncatingIfNeeded: high >> 32)))
        }
        return nil
    }
    /// Of a type 5 route the prefix, of a MAC+IP route that of its host.
    var prefix: IPPrefix? { address.flatMap { IPPrefix($0, length: length) } }
    /// The row of the prefix in an IP-VRF; of a route with an address.
    func entryKey(_ table: Slot) -> PrefixEntry.Key {
        PrefixEntry.Key(table: table, isV6: isV6, length: UInt8(truncatingIfNeeded: length), high: high, low: low)
    }
    var hasAddress: Bool { isPrefix || length > 0 }
    var label: UInt32 {
        get { labelAndReason & 0xff_ffff }
        set { labelAndReason = labelAndReason & 0xff00_0000 | newValue & 0xff_ffff }
    }
    var reason: IgnoredReason? {
        get { IgnoredReason(rawValue: UInt8(labelAndReason >> 24)) }
        set { labelAndReason = UInt32(newValue?.rawValue ?? 0) << 24 | label }
    }
    /// The L3 VNI of a type 2 route.
    var label2: UInt32 {
        get { isMACIP ? second & 0xff_ffff : 0 }
        set { second = second & 0xff00_0000 | newValue & 0xff_ffff }
    }
    /// Why a type 2 route has no effect on layer 3.
    var routedReason: IgnoredReason? {
        get { isMACIP ? IgnoredReason(rawValue: UInt8(second >> 24)) : reason }
        set { second = UInt32(newValue?.rawValue ?? 0) << 24 | label2 }
    }
    /// The VNI that packets are routed with.
    var routedLabel: UInt32 { isMACIP ? label2 : label }
    var routeKey: RouteKey {
        let rd = RouteDistinguisher(rawValue: rd)
        if isPrefix, let prefix {
            let gateway: IPAddress = isV6 ? .v6(.any) : .v4(.any)
            return RouteKey(
                .ipPrefix(IPPrefixRoute(rd: rd, ethernetTag: tag, prefix: prefix, gateway: gateway, label: 0)))
        }
        if isMACIP {
            return RouteKey(.macIP(MACIPRoute(rd: rd, ethernetTag: tag, mac: mac, ip: address, label1: 0)))
        }
        return RouteKey(
            .inclusiveMulticast(InclusiveMulticastRoute(rd: rd, ethernetTag: tag, originator: address ?? .v4(.any))))
    }
}

extension RemoteRoute.Key {
    /// Nil for route types that have no effect on forwarding.
    init?(_ key: RouteKey) {
        let kind = key.kind
        guard kind == .macIP || kind == .inclusiveMulticast || kind == .ipPrefix else { return nil }
        let isV6 = key.address?.isV6 ?? false
        head =
            UInt64(kind.rawValue) << 56 | UInt64(UInt8(truncatingIfNeeded: key.length)) << 48
            | (kind == .macIP ? key.mac.rawValue : kind == .ipPrefix && isV6 ? 1 : 0)
        rd = key.rd.rawValue
        tag = key.ethernetTag
        switch key.address {
        case .v4(let address):
            high = UInt64(address.rawValue) << 32
            low = 0
        case .v6(let address):
            high = address.high
            low = address.low
        case nil:
            high = 0
            low = 0
        }
    }
}
