// The VNIs of a VXLAN device that takes packets only of those it is told of (`vnifilter`), and what it counts for each. In the
// kernel: drivers/net/vxlan/vxlan_vnifilter.c, from 5.18 on.

/// Packets and octets of one VNI, in and out.
public struct TrafficCounters: Hashable, Sendable {
    public struct Direction: Hashable, Sendable {
        public var packets: UInt64 = 0
        public var octets: UInt64 = 0
        public var drops: UInt64 = 0
        public var errors: UInt64 = 0
        public init() {}
    }
    public var received = Direction()
    public var sent = Direction()
    public init() {}

    /// VXLAN_VNIFILTER_ENTRY_STATS: eight counters of 64 bits.
    init(decoding attributes: AttributeReader) {
        for attribute in attributes {
            guard let value = attribute.u64 else { continue }
            switch attribute.type {
            case 1: received.octets = value
            case 2: received.packets = value
            case 3: received.drops = value
            case 4: received.errors = value
            case 5: sent.octets = value
            case 6: sent.packets = value
            case 7: sent.drops = value
            case 8: sent.errors = value
            default: break
            }
        }
    }
    /// `struct rtnl_link_stats64` (IFLA_STATS64); nil when it is too short.
    ///
    ///     rx_packets, tx_packets, rx_bytes, tx_bytes, rx_errors, tx_errors, rx_dropped, tx_dropped… (8 each, host order)
    init?(linkStatistics payload: UnsafeRawBufferPointer) {
        guard payload.count >= 64 else { return nil }
        func counter(_ index: Int) -> UInt64 { payload.loadUnaligned(fromByteOffset: 8 * index, as: UInt64.self) }
        (received.packets, sent.packets) = (counter(0), counter(1))
        (received.octets, sent.octets) = (counter(2), counter(3))
        (received.errors, sent.errors) = (counter(4), counter(5))
        (received.drops, sent.drops) = (counter(6), counter(7))
    }
}

/// VNIs of one device's filter with the same settings (RTM_NEWTUNNEL).
public struct FilteredVNIs: Hashable, Sendable {
    public var interface: Int32
    /// In order; 24 bits.
    public var vnis: ClosedRange<UInt32>
    /// Only when asked for; then the range is one VNI.
    public var counters: TrafficCounters?

    public init(interface: Int32, vnis: ClosedRange<UInt32>, counters: TrafficCounters? = nil) {
        self.interface = interface
        self.vnis = vnis
        self.counters = counters
    }
    /// The entries of one message; those that make no sense are left out. Empty for another message.
    ///
    ///     +---------------------------------------------------------+
    ///     | family (1) | flags (1), 1: with counters | reserved (2) |
    ///     | interface (4)                                           |
    ///     | ENTRY { START first VNI (4), END last VNI (4),          |
    ///     |         GROUP…, STATS { eight counters of 8 } } …       |
    ///     +---------------------------------------------------------+
    public static func decode(_ payload: UnsafeRawBufferPointer) -> [FilteredVNIs] {
        guard let interface = interface(payload) else { return [] }
        var found: [FilteredVNIs] = []
        for attribute in AttributeReader(payload, from: 8) where attribute.type == 1 {
            var first: UInt32?
            var last: UInt32?
            var counters: TrafficCounters?
            for field in attribute.nested {
                switch field.type {
                case 1: first = field.u32
                case 2: last = field.u32
                case 5: counters = TrafficCounters(decoding: field.nested)
                default: break
                }
            }
            guard let first, (last ?? first) >= first, (last ?? first) <= 0xff_ffff else { continue }
            found.append(FilteredVNIs(interface: interface, vnis: first...(last ?? first), counters: counters))
        }
        return found
    }
    /// Of whose filter a notification tells that it changed.
    public static func interface(_ payload: UnsafeRawBufferPointer) -> Int32? {
        guard payload.count >= 8, payload[0] == Family.bridge else { return nil }
        return payload.loadUnaligned(fromByteOffset: 4, as: Int32.self)
    }
}

extension NetlinkBatch {
    /// `bridge -s vni show [dev DEV]`; 0: of all devices. A kernel without the feature answers EOPNOTSUPP.
    public mutating func dumpVNIFilter(sequence: UInt32, interface: Int32 = 0, withCounters: Bool = false) {
        message(MessageType.getTunnel, .dump, sequence: sequence)
        tunnelHeader(interface, flags: withCounters ? 1 : 0)
    }
    /// `bridge vni add vni VNI dev DEV`.
    public mutating func addFilteredVNI(sequence: UInt32, interface: Int32, vni: UInt32) {
        filter(MessageType.newTunnel, sequence, interface, vni)
    }
    /// `bridge vni del vni VNI dev DEV`.
    public mutating func deleteFilteredVNI(sequence: UInt32, interface: Int32, vni: UInt32) {
        filter(MessageType.deleteTunnel, sequence, interface, vni)
    }
    private mutating func filter(_ type: UInt16, _ sequence: UInt32, _ interface: Int32, _ vni: UInt32) {
        message(type, [], sequence: sequence)
        tunnelHeader(interface, flags: 0)
        nest(1) { $0.attribute(1, vni) }
    }
    /// `struct tunnel_msg`: family (1), flags (1), reserved (2), interface (4).
    private mutating func tunnelHeader(_ interface: Int32, flags: UInt8) {
        addressHeader(family: Family.bridge, prefixLength: flags, interface: UInt32(bitPattern: interface))
    }
    /// `ip -s link show DEV`: with its counters.
    public mutating func getLinkCounters(sequence: UInt32, interface: Int32) {
        message(MessageType.getLink, [], sequence: sequence)
        linkHeader(interface: interface)
    }
}

extension TrafficCounters {
    /// Of a device, from RTM_NEWLINK.
    public init?(link payload: UnsafeRawBufferPointer) {
        guard payload.count >= 16 else { return nil }
        for attribute in AttributeReader(payload, from: 16) where attribute.type == LinkAttribute.counters {
            self.init(linkStatistics: attribute.payload)
            return
        }
        return nil
    }
}

extension NetlinkBatch {
    /// The settings of all devices (`all`) of a family: RTM_GETNETCONF.
    public mutating func getSettings(sequence: UInt32, family: UInt8) {
        message(MessageType.getSettings, [], sequence: sequence)
        put(UInt32(family).littleEndian)
        attribute(1, UInt32.max)
    }
}

/// A setting of a device changed that no link message tells (RTM_NEWNETCONF).
public struct ForwardingSetting: Hashable, Sendable {
    /// -1: of all devices (`all`).
    public var interface: Int32
    public var isV6: Bool
    public var isOn: Bool

    /// Nil for other families, and when the message is about another setting.
    ///
    ///     +-----------------------------------------------+
    ///     | family (1), padded to 4                       |
    ///     | IFINDEX (4), FORWARDING (4), … as attributes  |
    ///     +-----------------------------------------------+
    public init?(decoding payload: UnsafeRawBufferPointer) {
        guard payload.count >= 4, payload[0] == Family.ipv4 || payload[0] == Family.ipv6 else { return nil }
        isV6 = payload[0] == Family.ipv6
        var device: Int32?
        var value: Int32?
        for attribute in AttributeReader(payload, from: 4) {
            switch attribute.type {
            case 1: device = attribute.i32
            case 2: value = attribute.i32
            default: break
            }
        }
        guard let device, let value else { return nil }
        interface = device
        isOn = value != 0
    }
}
