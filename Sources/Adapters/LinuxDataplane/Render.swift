// Forwarding rows as the kernel's rows: what each of them is, small enough to hold a hundred thousand.

import NetTypes
import Netlink

/// Our protocol number on neighbors (NDA_PROTOCOL). The kernel passes it through; 211 is neither in the kernel's
/// `rtnetlink.h` nor in iproute2's `rt_protos`.
public let neighborProtocol: UInt8 = 211

/// VTEP addresses by small numbers, so that a MAC's row needs four octets for one. 0 is no address.
final class VTEPTable {
    private var addresses: [IPAddress?] = [nil]
    private var indices: [IPAddress: UInt32] = [:]
    private var free: [UInt32] = []
    /// From so many addresses on it is worth looking for those that no row uses any more.
    private var limit: Int
    private let minimum: Int

    init(minimum: Int = 1024) {
        self.minimum = minimum
        limit = minimum
    }
    func index(of address: IPAddress) -> UInt32 {
        if let index = indices[address] { return index }
        let index = free.popLast() ?? UInt32(truncatingIfNeeded: addresses.count)
        if index < addresses.count { addresses[Int(index)] = address } else { addresses.append(address) }
        indices[address] = index
        return index
    }
    /// Nil for 0.
    subscript(index: UInt32) -> IPAddress? { index < addresses.count ? addresses[Int(index)] : nil }
    /// Addresses held.
    var count: Int { indices.count }
    var isCrowded: Bool { count > limit }
    /// Forgets every address whose index is not among `used`.
    func keep(_ used: Set<UInt32>) {
        for (address, index) in indices where !used.contains(index) {
            indices[address] = nil
            addresses[Int(index)] = nil
            free.append(index)
        }
        limit = max(minimum, 2 * count)
    }
}

/// What one of the two tables of a MAC holds, or should hold: VTEP index, VNI to send with (24 bits) and flags (8 bits).
struct MACTarget: Hashable, Sendable {
    var vtep: UInt32 = 0
    private var bits: UInt32 = 0

    struct Flags: OptionSet, Hashable, Sendable {
        let rawValue: UInt8
        static let sticky = Flags(rawValue: 0x01)
        /// Have: our entry is in the VXLAN device's table.
        static let inDevice = Flags(rawValue: 0x02)
        /// Have: our entry is in the bridge's table, on the VXLAN port.
        static let inBridge = Flags(rawValue: 0x04)
        /// Have: an entry that we did not make holds the key in the VXLAN device's table.
        static let foreignInDevice = Flags(rawValue: 0x08)
        /// Have: the same for the bridge's table.
        static let foreignInBridge = Flags(rawValue: 0x10)
        static let foreign: Flags = [.foreignInDevice, .foreignInBridge]
        static let ours: Flags = [.inDevice, .inBridge]
    }
    init() {}
    init(vtep: UInt32, vni: UInt32, flags: Flags = []) {
        self.vtep = vtep
        bits = vni & 0xff_ffff | UInt32(flags.rawValue) << 24
    }
    var vni: UInt32 {
        get { bits & 0xff_ffff }
        set { bits = bits & 0xff00_0000 | newValue & 0xff_ffff }
    }
    var flags: Flags {
        get { Flags(rawValue: UInt8(truncatingIfNeeded: bits >> 24)) }
        set { bits = bits & 0xff_ffff | UInt32(newValue.rawValue) << 24 }
    }
}

/// Where a row stands, beside what is wanted and what the kernel has.
struct RowMarks: OptionSet, Hashable, Sendable {
    let rawValue: UInt8
    /// A request for the row is at the kernel.
    static let inFlight = RowMarks(rawValue: 0x01)
    /// The row waits for its turn to be looked at.
    static let queued = RowMarks(rawValue: 0x02)
    /// A notification contradicts what we know: ask the kernel.
    static let suspicious = RowMarks(rawValue: 0x04)
    /// The kernel refused it.
    static let failed = RowMarks(rawValue: 0x08)
    /// The bridge learned the MAC on a local port after we programmed it: the control plane decides what follows.
    static let yielded = RowMarks(rawValue: 0x10)
    /// Found at start, wanted by nobody yet: not to be removed before pruning is allowed.
    static let adopted = RowMarks(rawValue: 0x20)
    /// Somebody turned an entry of ours into one of his: it must be deleted before it can be ours again.
    static let takenOver = RowMarks(rawValue: 0x40)
    /// The row was in the kernel as wanted: a later difference is damage.
    static let settled = RowMarks(rawValue: 0x80)
}

/// A row of the MAC table: 24 octets.
struct FDBRow: Hashable, Sendable {
    var want = MACTarget()
    var have = MACTarget()
    var marks: RowMarks = []

    var isWanted: Bool { want.vtep != 0 }
    /// The kernel has what is wanted.
    func isDone(bridged: Bool) -> Bool {
        have.vtep == want.vtep && have.vni == want.vni
            && have.flags.subtracting(bridged ? [] : .sticky)
                == (bridged ? want.flags.union(.ours) : .inDevice)
    }
}

/// One member of a flood list as the VXLAN device holds it.
struct FloodTarget: Hashable, Comparable, Sendable {
    var vtep: IPAddress
    /// The VNI to send with.
    var vni: UInt32
    static func < (a: Self, b: Self) -> Bool { (a.vtep, a.vni) < (b.vtep, b.vni) }
}

struct FloodRow: Hashable, Sendable {
    var isWanted = false
    var isPresent = false
    /// Present, but not in our record.
    var isForeign = false
    var marks: RowMarks = []

    /// To be added once more, which changes nothing in the kernel and puts it into our record.
    mutating func takeOver() {
        isForeign = false
        isPresent = false
    }
}

struct NeighborRow: Hashable, Sendable {
    /// MAC, router bit and declared bit above it; nil: none.
    var want: Binding?
    var have: Binding?
    /// A permanent entry of somebody else holds the key.
    var isForeign = false
    var marks: RowMarks = []

    struct Binding: Hashable, Sendable {
        private var bits: UInt64
        init(_ mac: MACAddress, isRouter: Bool, isDeclared: Bool = false) {
            bits = mac.rawValue | (isRouter ? 1 << 48 : 0) | (isDeclared ? 1 << 49 : 0)
        }
        var mac: MACAddress { MACAddress(rawValue: bits & 0xffff_ffff_ffff) }
        /// Of a host that is declared to live here: not a remote one.
        var isDeclared: Bool { bits >> 49 & 1 == 1 }
        var isRouter: Bool { bits >> 48 & 1 == 1 }
    }
}
