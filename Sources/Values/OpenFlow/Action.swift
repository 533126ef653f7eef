// What is done to a packet that a flow matches.

public import NetTypes

/// An OpenFlow port number. Those of Open vSwitch's own ports are 1…65279.
public struct PortNumber: RawRepresentable, Hashable, Comparable, Sendable, ExpressibleByIntegerLiteral {
    public let rawValue: UInt32
    @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }
    @inlinable public init(_ number: UInt32) { rawValue = number }
    @inlinable public init(integerLiteral value: UInt32) { rawValue = value }
    /// Back where the packet came from; to a port that equals the packet's own nothing is sent otherwise.
    public static let inPort = PortNumber(rawValue: 0xffff_fff8)
    public static let normal = PortNumber(rawValue: 0xffff_fffa)
    public static let flood = PortNumber(rawValue: 0xffff_fffb)
    public static let all = PortNumber(rawValue: 0xffff_fffc)
    public static let controller = PortNumber(rawValue: 0xffff_fffd)
    /// The bridge's own interface.
    public static let local = PortNumber(rawValue: 0xffff_fffe)
    public static let any = PortNumber(rawValue: 0xffff_ffff)
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// Neighboring bits of a field: `NXM_NX_REG0[0..15]`.
public struct FieldBits: Hashable, Sendable {
    public let field: Field
    /// The first bit, 0 the least significant.
    public let lowest: Int
    public let count: Int
    /// The whole field.
    public init(_ field: Field) {
        self.field = field
        lowest = 0
        count = field.actionWidth
    }
    /// Nil when the field does not have these bits, or `bits` is empty.
    public init?(_ field: Field, _ bits: Range<Int>) {
        guard bits.lowerBound >= 0, bits.upperBound <= field.actionWidth, !bits.isEmpty else { return nil }
        self.field = field
        lowest = bits.lowerBound
        count = bits.count
    }
}

public enum Action: Hashable, Sendable {
    /// For `.controller` use the case of that name.
    case output(PortNumber)
    /// The packet, up to `maxLength` octets of it, goes to the controllers as a packet-in.
    case controller(maxLength: UInt16)
    case group(UInt32)
    /// Writes the bits of the field that the mask selects.
    case setField(MatchField)
    /// As many bits from one field to the other; both sides have the same count.
    case move(from: FieldBits, to: FieldBits)
    /// EtherType of the new tag, `EtherType.vlan`.
    case pushVLAN(UInt16)
    case popVLAN
    /// Of IPv4 and IPv6; a packet whose time is over is sent to the controllers instead, when they want that, and ends there.
    case decrementTTL
    /// Looks the packet up again, in `table` (0…254; nil: the same one), as if it came from `port` (nil: the same one), then goes on here.
    case resubmit(port: UInt16?, table: UInt8?)
    case connectionTracking(ConnectionTracking)
    /// Forgets what connection tracking said of this packet.
    case clearConnectionTracking
    case multipath(Multipath)
    /// Does nothing; padded with zeroes to 6 octets and then to multiples of 8 (6, 14, 22…).
    case note([UInt8])
    /// Goes on in a later table; must be the last action.
    case gotoTable(UInt8)
    /// An action of somebody else's flow that nothing is known about: its octets on the wire.
    case unknown([UInt8])
    /// The same for an instruction (write_actions, meter, …).
    case unknownInstruction([UInt8])
}

/// Sends the packet through connection tracking (`ct`).
public struct ConnectionTracking: Hashable, Sendable {
    public enum Zone: Hashable, Sendable {
        case number(UInt16)
        /// 16 bits of a field.
        case field(FieldBits)
    }
    /// Makes the connection known.
    public var commits: Bool
    /// An entry for the other direction is removed.
    public var forces: Bool
    /// Where the packet goes on with its state known; nil: nowhere.
    public var table: UInt8?
    public var zone: Zone
    public var nat: NAT?
    /// Done to the packet and its connection (`exec`): only writing `ct_mark`.
    public var actions: [Action]
    public init(
        commits: Bool = false, forces: Bool = false, table: UInt8? = nil, zone: Zone = .number(0), nat: NAT? = nil,
        actions: [Action] = []
    ) {
        self.commits = commits
        self.forces = forces
        self.table = table
        self.zone = zone
        self.nat = nat
        self.actions = actions
    }
}

/// Translation of addresses in connection tracking.
public enum NAT: Hashable, Sendable {
    /// As the connection was translated before (`nat`).
    case existing
    /// `nat(src=…)`, `nat(dst=…)`
    case source(NATRange)
    case destination(NATRange)
}

public struct NATRange: Hashable, Sendable {
    public struct Flags: OptionSet, Hashable, Sendable {
        public let rawValue: UInt16
        public init(rawValue: UInt16) { self.rawValue = rawValue }
        public static let persistent = Flags(rawValue: 1 << 2)
        /// Ports are chosen by a hash, or at random.
        public static let hash = Flags(rawValue: 1 << 3)
        public static let random = Flags(rawValue: 1 << 4)
    }
    /// Both ends of one family; nil: the address stays.
    public var addresses: ClosedRange<IPAddress>?
    /// Above 0.
    public var ports: ClosedRange<UInt16>?
    public var flags: Flags
    public init(_ addresses: ClosedRange<IPAddress>?, ports: ClosedRange<UInt16>? = nil, flags: Flags = []) {
        self.addresses = addresses
        self.ports = ports
        self.flags = flags
    }
    public init(_ address: IPAddress, ports: ClosedRange<UInt16>? = nil, flags: Flags = []) {
        self.init(address...address, ports: ports, flags: flags)
    }
}

/// Writes to a field which of several links a packet takes, by a hash of its headers (`multipath`).
public struct Multipath: Hashable, Sendable {
    /// What is hashed; symmetric ones give both directions of a connection the same link.
    public enum Fields: UInt16, Hashable, Sendable, CaseIterable {
        case ethernetSource, symmetricL4, symmetricL3L4, symmetricL3L4UDP, networkSource, networkDestination
        case symmetricL3
    }
    public enum Algorithm: UInt16, Hashable, Sendable, CaseIterable {
        case modulo, hashThreshold, highestRandomWeight, iterativeHash
    }
    public var fields: Fields
    public var basis: UInt16
    public var algorithm: Algorithm
    /// 1…65536: the field gets 0…links-1.
    public var links: Int
    public var argument: UInt32
    public var destination: FieldBits
    public init(
        fields: Fields = .symmetricL3L4UDP, basis: UInt16 = 0, algorithm: Algorithm = .modulo, links: Int,
        argument: UInt32 = 0, destination: FieldBits
    ) {
        self.fields = fields
        self.basis = basis
        self.algorithm = algorithm
        self.links = links
        self.argument = argument
        self.destination = destination
    }
}
