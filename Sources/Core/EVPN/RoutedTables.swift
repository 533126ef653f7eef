// The rows of layer 3: a prefix in an IP-VRF, a route in one, and the routers behind L3 VNIs. A type 5 route that one IP-VRF imports
// takes about 160 octets in all tables, RemoteRoute included.

import BGP
import NetTypes

/// One type 2 or type 5 route in one IP-VRF.
struct RoutedImport {
    var route: Slot
    var table: Slot
    /// Row in `prefixes`.
    var entry: Slot
    /// Row in `ways`, or in `gateways` of a route with a gateway.
    var way: Slot
    var isThroughGateway = false
    /// The next import of the same route.
    var sibling: Slot
    /// Chain of the entry.
    var next: Slot = .none
    var previous: Slot = .none

    static let vacant = RoutedImport(route: .none, table: .none, entry: .none, way: .none, sibling: .none)
}

/// A prefix in an IP-VRF: the routes about it and what is in force.
struct PrefixEntry: TableRow {
    struct Key: Equatable {
        var table: Slot
        var isV6: Bool
        var length: UInt8
        var high: UInt64
        var low: UInt64
    }
    var high: UInt64
    var low: UInt64
    var table: Slot
    /// First of the imports, chained by `RoutedImport.next`.
    var imports: Slot = .none
    /// Row in `groups` of the next hops in force; `.none`: there are none.
    var group: Slot = .none
    let length: UInt8
    /// IPv6 (1) | dirty (2) | leaked (4).
    private var flags: UInt8

    init(key: Key) {
        high = key.high
        low = key.low
        table = key.table
        length = key.length
        flags = key.isV6 ? 1 : 0
    }
    static let vacant = PrefixEntry(key: Key(table: .none, isV6: false, length: 0, high: 0, low: 0))
    var isVacant: Bool { table == .none }
    var key: Key { Key(table: table, isV6: isV6, length: length, high: high, low: low) }
    @inline(__always) func hasKey(_ key: Key) -> Bool {
        high == key.high && low == key.low && table == key.table && length == key.length && isV6 == key.isV6
    }
    @inline(__always) static func hash(_ key: Key, seed: UInt64) -> UInt64 {
        mix(
            mix(key.high ^ seed, key.low ^ 0x9e37_79b9_7f4a_7c15),
            UInt64(key.table) << 16 | UInt64(key.length) << 1 | (key.isV6 ? 1 : 0) ^ seed)
    }
    var isV6: Bool { flags & 1 == 1 }
    var isDirty: Bool {
        get { flags & 2 != 0 }
        set { flags = flags & ~2 | (newValue ? 2 : 0) }
    }
    /// The next hops in force are another VRF's.
    var isLeaked: Bool {
        get { flags & 4 != 0 }
        set { flags = flags & ~4 | (newValue ? 4 : 0) }
    }
    var address: IPAddress {
        isV6
            ? .v6(IPv6Address(high: high, low: low))
            : .v4(IPv4Address(rawValue: UInt32(truncatingIfNeeded: high >> 32)))
    }
    var isHost: Bool { length == (isV6 ? 128 : 32) }
    /// Nil never happens: keys are made of prefixes.
    var prefix: IPPrefix? { IPPrefix(address, length: Int(length)) }
}

extension PrefixEntry.Key {
    init(_ table: Slot, _ prefix: IPPrefix) {
        let words = AddressEntry.Key(vrf: table, prefix.address)
        self.init(
            table: table, isV6: words.isV6, length: UInt8(truncatingIfNeeded: prefix.length), high: words.high,
            low: words.low)
    }
    init(_ table: Slot, host: IPAddress) {
        let words = AddressEntry.Key(vrf: table, host)
        self.init(
            table: table, isV6: words.isV6, length: UInt8(truncatingIfNeeded: host.bitWidth), high: words.high,
            low: words.low)
    }
}

/// A way over the underlay: a router MAC behind a VTEP, reached with a VNI through the devices of a local L3 VNI.
struct RemoteWay: TableRow {
    struct Key: Equatable {
        /// The local L3 VNI.
        var through: UInt32
        /// Row in `vteps`.
        var vtep: Slot
        var mac: UInt64
        /// The VNI to send with.
        var label: UInt32
    }
    /// Contested (1 << 50) | not new (1 << 49) | usable (1 << 48) | MAC (48).
    private var word: UInt64
    var through: UInt32
    var vtep: Slot
    var label: UInt32
    /// Imports that use it.
    var references: UInt32 = 0
    /// Row in `groups` of this way alone.
    var group: Slot = .none

    init(key: Key) {
        word = key.mac & 0xffff_ffff_ffff
        through = key.through
        vtep = key.vtep
        label = key.label
    }
    private init() {
        word = 0
        through = 0
        vtep = .none
        label = 0
    }
    static let vacant = RemoteWay()
    var isVacant: Bool { through == 0 }
    var mac: MACAddress { MACAddress(rawValue: word) }
    var key: Key { Key(through: through, vtep: vtep, mac: mac.rawValue, label: label) }
    @inline(__always) func hasKey(_ key: Key) -> Bool {
        through == key.through && vtep == key.vtep && mac.rawValue == key.mac && label == key.label
    }
    @inline(__always) static func hash(_ key: Key, seed: UInt64) -> UInt64 {
        mix(key.mac ^ seed, UInt64(key.vtep) << 32 | UInt64(key.through) ^ UInt64(key.label) << 24 ^ 0x9e37_79b9)
    }
    /// The FDB and the neighbor table of the L3 VNI lead there, if perhaps with another MAC address of the VTEP.
    var isUsable: Bool {
        get { word >> 48 & 1 == 1 }
        set { word = word & ~(1 << 48) | (newValue ? 1 << 48 : 0) }
    }
    /// Not evaluated yet.
    var isNew: Bool {
        get { word >> 49 & 1 == 0 }
        set { word = word & ~(1 << 49) | (newValue ? 0 : 1 << 49) }
    }
    /// Its router has other ways too.
    var isContested: Bool {
        get { word >> 50 & 1 == 1 }
        set { word = word & ~(1 << 50) | (newValue ? 1 << 50 : 0) }
    }
    var endpoint: RouterEndpoint { RouterEndpoint(mac: mac, vni: label) }
}

/// Where a label of one attribute set leads in one IP-VRF.
struct WayUse {
    var label: UInt32
    var table: Slot
    /// The local L3 VNI.
    var through: UInt32
    /// Row in `ways`; another one may have taken its place.
    var way: Slot
}

/// What BGP prefers in the routes to one prefix (RFC 4271 §9.1.2.2 a to c, with the MED compared always), in this order.
struct PrefixPreference: Comparable {
    var localPreference: UInt32 = 100
    var pathLength = 0
    var origin = Origin.incomplete
    var med: UInt32 = 0
    /// Less is better.
    static func < (a: Self, b: Self) -> Bool {
        if a.localPreference != b.localPreference { return a.localPreference > b.localPreference }
        if a.pathLength != b.pathLength { return a.pathLength < b.pathLength }
        if a.origin != b.origin { return a.origin < b.origin }
        return a.med < b.med
    }
}
extension PrefixPreference {
    init(_ attributes: PathAttributes) {
        localPreference = attributes.localPreference ?? 100
        pathLength = attributes.asPath.length
        origin = attributes.origin
        med = attributes.med ?? 0
    }
}

/// Next hops that one or many prefixes have in common.
struct NexthopGroup {
    var nexthops: [RoutedNexthop] = []
    var references = 0
}

/// An address of a VTEP, with the local L3 VNI that leads there.
struct RouterKey: Hashable {
    var through: VNI
    /// Row in `vteps`.
    var vtep: Slot
}

/// A router behind an L3 VNI: which MAC addresses its routes give it, and which of them is in force. The kernel has room for one.
struct Router {
    /// Rows in `ways`. A peer can make many of them.
    var ways: Set<Slot> = []
    /// Of `ways`, the one that stands for this VTEP; another VTEP may still have taken its MAC address.
    var chosen: Slot = .none
    /// The neighbor entries in force.
    var neighbor: MACAddress?
    /// That there are several ways has been reported.
    var hasConflict = false
    /// That it uses our own router MAC has been reported.
    var hasOwnMAC = false
}

/// The MAC address of a router in the FDB of an L3 VNI.
struct RouterMAC {
    /// VTEPs (rows in `vteps`) that have chosen it.
    var vteps: Set<Slot> = []
    /// The one of them that has it.
    var winner: Slot = .none
    var installed: RemoteMAC?
    /// A conflict between two VTEPs has been reported.
    var hasConflict = false
}

/// An overlay index (RFC 9136 §4.1): a host in an IP-VRF that prefixes are behind.
struct Gateway {
    struct Key: Hashable {
        var table: Slot
        var ip: IPAddress
    }
    var key: Key
    /// Rows in `routedImports`.
    var imports: Set<Slot> = []
    /// Empty while it cannot be resolved.
    var nexthops: [RoutedNexthop] = []
    var isDirty = false
    static let vacant = Gateway(key: Key(table: .none, ip: .v4(.any)))
}
