// The rows of the control plane's tables. A MAC-only route that one EVI imports takes about 130 octets in all of them.

import BGP
import NetTypes

/// What one attribute set means for its routes; shared by all of them.
struct ImportedAttributes {
    /// Nil: unused place.
    var set: AttributeSet?
    var references = 0
    /// Row in `vteps` of the next hop.
    var vtep: Slot = .none
    /// Row in `vteps` of the PMSI endpoint.
    var floodVTEP: Slot = .none
    var floodLabel: UInt32 = 0
    var sequence: UInt32 = 0
    var isSticky = false
    var isGateway = false
    var isRouter = false
    /// Against all routes with these attributes.
    var reason: IgnoredReason?
    /// Against type 3 routes with these attributes.
    var floodReason: IgnoredReason?
    /// MAC-VRFs would import it that have VTEP addresses of another family only.
    var isOfOtherFamily = false
    /// The MAC-VRFs that import them, ascending.
    var vrfs: [Slot] = []
    /// The IP-VRFs that import them, ascending.
    var tables: [Slot] = []
    /// An IP-VRF imports one of their targets, and takes none of their communities.
    var isUnselected = false
    var routerMAC: MACAddress?
    var preference = PrefixPreference()
    /// Where labels of these routes lead, as found so far; a few.
    var ways: [WayUse] = []

    /// A MAC that may not move away from here.
    var isProtected: Bool { isSticky || isGateway }
    /// Gateways before sticky MACs before all others.
    var protection: UInt8 { isGateway ? 2 : isSticky ? 1 : 0 }
}

/// A remote tunnel endpoint and how much refers to it.
struct VTEPRecord {
    var address: IPAddress
    /// From `attributes`.
    var references = 0
    /// Forwarding entries.
    var macs = 0
    var floods = 0
    /// L3 VNIs in which it is a router.
    var routers = 0
}

/// One route in one MAC-VRF.
struct Import {
    var route: Slot
    var vrf: Slot
    /// Row in `macs`, or in `floods` for a type 3 route.
    var entry: Slot
    /// Row in `addresses` of a MAC+IP route.
    var address: Slot = .none
    /// The next import of the same route.
    var sibling: Slot
    /// Chain of the entry.
    var next: Slot = .none
    var previous: Slot = .none
    /// Chain of the address.
    var addressNext: Slot = .none
    var addressPrevious: Slot = .none
}

/// Who holds a MAC.
enum Owner: UInt8 {
    case nobody = 0
    case local = 1
    case remote = 2
}

/// A MAC in a MAC-VRF: the routes about it and what is in force.
struct MACEntry: TableRow {
    struct Key: Equatable {
        var vrf: Slot
        var mac: UInt64
    }
    private static let macMask: UInt64 = 0xffff_ffff_ffff
    /// Flags (16) | MAC (48).
    private var word: UInt64
    var vrf: Slot
    /// First of the imports, chained by `Import.next`.
    var imports: Slot = .none
    /// The forwarding entry in force; `.none`: there is none.
    var vtep: Slot = .none
    var vni: UInt32 = 0

    init(key: Key) {
        word = key.mac & Self.macMask
        vrf = key.vrf
    }
    static let vacant = MACEntry(key: Key(vrf: .none, mac: 0))
    var isVacant: Bool { vrf == .none }
    var mac: MACAddress { MACAddress(rawValue: word) }
    var key: Key { Key(vrf: vrf, mac: word & Self.macMask) }
    @inline(__always) func hasKey(_ key: Key) -> Bool { word & Self.macMask == key.mac && vrf == key.vrf }
    @inline(__always) static func hash(_ key: Key, seed: UInt64) -> UInt64 {
        mix(key.mac ^ seed, UInt64(key.vrf) ^ 0x9e37_79b9_7f4a_7c15)
    }

    private func flag(_ bit: UInt64) -> Bool { word >> (48 + bit) & 1 == 1 }
    private mutating func set(_ bit: UInt64, _ value: Bool) {
        word = word & ~(1 << (48 + bit)) | (value ? 1 << (48 + bit) : 0)
    }
    /// In the list of entries to look at again.
    var isDirty: Bool {
        get { flag(0) }
        set { set(0, newValue) }
    }
    /// `MACVRF.locals` has it.
    var isLocal: Bool {
        get { flag(1) }
        set { set(1, newValue) }
    }
    /// `MACVRF.mobility` has it.
    var hasMobility: Bool {
        get { flag(2) }
        set { set(2, newValue) }
    }
    /// Of the forwarding entry in force.
    var isSticky: Bool {
        get { flag(3) }
        set { set(3, newValue) }
    }
    /// A conflict about a protected MAC has been reported.
    var hasConflict: Bool {
        get { flag(4) }
        set { set(4, newValue) }
    }
    var owner: Owner {
        get { Owner(rawValue: UInt8(truncatingIfNeeded: word >> 53 & 3)) ?? .nobody }
        set { word = word & ~(3 << 53) | UInt64(newValue.rawValue) << 53 }
    }
}

/// An IP address in a MAC-VRF.
struct AddressEntry: TableRow {
    struct Key: Equatable {
        var vrf: Slot
        var isV6: Bool
        var high: UInt64
        var low: UInt64
    }
    var high: UInt64
    var low: UInt64
    /// Flags (16) | MAC of the neighbor entry in force (48).
    private var word: UInt64 = 0
    var vrf: Slot
    /// First of the imports, chained by `Import.addressNext`.
    var imports: Slot = .none

    init(key: Key) {
        high = key.high
        low = key.low
        vrf = key.vrf
        set(0, key.isV6)
    }
    static let vacant = AddressEntry(key: Key(vrf: .none, isV6: false, high: 0, low: 0))
    var isVacant: Bool { vrf == .none }
    var key: Key { Key(vrf: vrf, isV6: flag(0), high: high, low: low) }
    @inline(__always) func hasKey(_ key: Key) -> Bool {
        high == key.high && low == key.low && vrf == key.vrf && flag(0) == key.isV6
    }
    @inline(__always) static func hash(_ key: Key, seed: UInt64) -> UInt64 {
        mix(mix(key.high ^ seed, key.low ^ 0x9e37_79b9_7f4a_7c15), UInt64(key.vrf) << 1 | (key.isV6 ? 1 : 0) ^ seed)
    }
    var ip: IPAddress {
        flag(0)
            ? .v6(IPv6Address(high: high, low: low))
            : .v4(IPv4Address(rawValue: UInt32(truncatingIfNeeded: high >> 32)))
    }
    private func flag(_ bit: UInt64) -> Bool { word >> (48 + bit) & 1 == 1 }
    private mutating func set(_ bit: UInt64, _ value: Bool) {
        word = word & ~(1 << (48 + bit)) | (value ? 1 << (48 + bit) : 0)
    }
    var isDirty: Bool {
        get { flag(1) }
        set { set(1, newValue) }
    }
    /// `MACVRF.neighbors` has it.
    var isLocal: Bool {
        get { flag(2) }
        set { set(2, newValue) }
    }
    /// This host holds it.
    var isHere: Bool {
        get { flag(5) }
        set { set(5, newValue) }
    }
    /// The neighbor entry in force.
    var installed: RemoteNeighbor? {
        get { flag(3) ? RemoteNeighbor(mac: MACAddress(rawValue: word), isRouter: flag(4)) : nil }
        set {
            set(3, newValue != nil)
            set(4, newValue?.isRouter ?? false)
            word = word & ~0xffff_ffff_ffff | (newValue?.mac.rawValue ?? 0)
        }
    }
}

extension AddressEntry.Key {
    init(vrf: Slot, _ ip: IPAddress) {
        self.vrf = vrf
        isV6 = ip.isV6
        switch ip {
        case .v4(let address):
            high = UInt64(address.rawValue) << 32
            low = 0
        case .v6(let address):
            high = address.high
            low = address.low
        }
    }
}

/// A remote VTEP in the flood list of a MAC-VRF.
struct FloodEntry: TableRow {
    struct Key: Equatable {
        var vrf: Slot
        var vtep: Slot
    }
    var vrf: Slot
    var vtep: Slot
    /// First of the imports, chained by `Import.next`.
    var imports: Slot = .none
    /// The VNI in force; 0: none.
    var vni: UInt32 = 0
    var isDirty = false
    /// A host route makes it a member.
    var isMember = false

    init(key: Key) {
        vrf = key.vrf
        vtep = key.vtep
    }
    static let vacant = FloodEntry(key: Key(vrf: .none, vtep: .none))
    var isVacant: Bool { vrf == .none }
    var key: Key { Key(vrf: vrf, vtep: vtep) }
    @inline(__always) func hasKey(_ key: Key) -> Bool { vrf == key.vrf && vtep == key.vtep }
    @inline(__always) static func hash(_ key: Key, seed: UInt64) -> UInt64 {
        mix(UInt64(key.vrf) << 32 | UInt64(key.vtep), seed | 1)
    }
}
