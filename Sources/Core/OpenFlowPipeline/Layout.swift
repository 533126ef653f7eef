// Where things are in the bridge: tables, priorities, registers and cookies. Documentation/OpenVSwitch.md is the same for people.

import NetTypes
import OpenFlow

/// The layout of flows. Tables 0 to 2, their registers and priorities are those of evpn-connector.
public enum Layout {
    /// Our flows have this cookie, with the kind of what they are for in the low 32 bits.
    public static let cookie: UInt64 = 0x6576_706e_0000_0000
    public static let cookieMask: UInt64 = 0xffff_ffff_0000_0000
    /// Our groups have numbers whose first octet is this one: groups have no cookies.
    public static let groupPrefix: UInt32 = 0x65

    public enum Table {
        /// Which client or VNI a packet is of.
        public static let classify: UInt8 = 0
        /// Where it goes.
        public static let forward: UInt8 = 1
        /// Over which of several equal paths (`multipath`).
        public static let paths: UInt8 = 2
        /// Questions (ARP, neighbor solicitations) whose answer is known.
        public static let answers: UInt8 = 3
        /// A question becomes its answer, whose sender is in the source MAC address.
        public static let reply: UInt8 = 4
        /// Answers go back to who asked.
        public static let turn: UInt8 = 5
        /// Source addresses of ports whose addresses are learned.
        public static let sources: UInt8 = 6
        public static let count = 7
    }
    enum Priority {
        static let none: UInt16 = 0
        static let miss: UInt16 = 1
        static let flood: UInt16 = 9
        static let normal: UInt16 = 10
        /// Before `normal` of the same port.
        static let special: UInt16 = 11
        /// A client's answers to probes, before its connections.
        static let probe: UInt16 = 12
        /// Questions of routed clients, before everything else of theirs.
        static let proxy: UInt16 = 13
        /// Those of them that are not answered.
        static let exception: UInt16 = 14
        static let question: UInt16 = 20
        /// Echo requests to a gateway, before every prefix.
        static let echo: UInt16 = 200
        /// Destinations that are never routed, before everything.
        static let unroutable: UInt16 = 210
        /// 169.254.0.0/16, before every shorter prefix: parts of it may be declared.
        static let linkLocal: UInt16 = 26
        /// A prefix: 10…42 for IPv4, 10…138 for IPv6.
        static func prefix(_ prefix: IPPrefix) -> UInt16 { 10 + UInt16(truncatingIfNeeded: prefix.length) }
    }
    /// When a flow is set among others: after those that it sends packets on to, and drops last of all, which hide others. Removals
    /// are in the opposite order.
    static func rank(_ flow: Flow) -> Int {
        switch flow.key.table {
        case Table.classify: return 7
        // A path may end in a domain, whose flows are in table 1.
        case Table.forward, Table.paths: break
        default: return 0
        }
        if flow.actions.isEmpty { return 6 }
        for action in flow.actions {
            switch action {
            case .multipath, .group: return 3
            default: break
            }
        }
        guard flow.actions.contains(.lookup(Table.forward)) else { return 1 }
        let isOfDomain = flow.actions.contains {
            if case .setField(let field) = $0 { field.field == .register0 } else { false }
        }
        let isOfVRF = flow.actions.contains {
            if case .setField(let field) = $0 { field.field == .register2 } else { false }
        }
        // To a host of a domain; to another VRF; from a domain to a VRF.
        return isOfDomain ? (flow.actions.contains(.load(Register.domain, 0)) ? 5 : 2) : isOfVRF ? 4 : 1
    }
    static let rankCount = 8

    /// What a flow is for.
    enum Kind: UInt64 {
        case base = 1
        case port, domain, mac, neighbor, vrf, route, source, check
    }
    enum Register {
        /// VNI of the broadcast domain; 0: routed.
        static let domain = 0
        /// 0 from a tunnel, 1 from a local port.
        static let direction = 1
        /// Number of the IP-VRF: its L3 VNI, or a number above 2^24.
        static let vrf = 2
        /// Number of the path.
        static let path = 3
        /// 1: no answer is known.
        static let asked = 4
        /// VLAN of a port whose addresses are learned; a scratch place in answers.
        static let scratch = 5
    }
    /// Type of the first option of a neighbor solicitation (RFC 4861 §4.6.1).
    enum Discovery {
        static let solicitation: UInt8 = 135
        static let advertisement: UInt8 = 136
        static let targetLinkLayer: UInt128 = 2
        /// Solicited and override, for a router with its flag too (RFC 4861 §4.4).
        static func flags(isRouter: Bool) -> UInt128 { isRouter ? 0xe000_0000 : 0x6000_0000 }
    }
}

extension Flow {
    init(
        _ kind: Layout.Kind, _ table: UInt8, _ priority: UInt16, _ match: [MatchField], _ actions: [Action],
        idleTimeout: UInt16 = 0, flags: Flags = []
    ) {
        self.init(
            FlowKey(table: table, priority: priority, match: Match(match)), cookie: Layout.cookie | kind.rawValue,
            actions: actions, idleTimeout: idleTimeout, flags: flags)
    }
}

extension Action {
    static func load(_ register: Int, _ value: UInt32) -> Action { .setField(.register(register, value)) }
    static func lookup(_ table: UInt8) -> Action { .resubmit(port: nil, table: table) }
    static func copy(_ from: Field, _ to: Field) -> Action { .move(from: FieldBits(from), to: FieldBits(to)) }
    /// The packet may leave by the port it came from.
    static let forgetPort = Action.setField(.inPort(0))
    static func output(_ number: UInt32) -> Action { .output(PortNumber(number)) }
    static func source(_ mac: MACAddress) -> Action { .setField(.ethernetSource(mac)) }
    static func destination(_ mac: MACAddress) -> Action { .setField(.ethernetDestination(mac)) }
    static func tag(_ vlan: UInt16) -> Action { .setField(.vlan(vlan)) }
    static func tunnel(_ vni: VNI, _ vtep: IPAddress, _ port: UInt32) -> [Action] {
        [.setField(.tunnelID(vni)), .setField(.tunnelDestination(vtep)), .output(port)]
    }
}

extension MatchField {
    static let arp = ethernetType(EtherType.arp)
    static func ip(isV6: Bool) -> MatchField { ethernetType(isV6 ? EtherType.ipv6 : EtherType.ipv4) }
    /// A neighbor discovery message: only those with a hop limit of 255 come from the same link (RFC 4861 §7.1).
    static func discovery(_ type: UInt8) -> [MatchField] {
        [
            .ip(isV6: true), .ipProtocol(IPProtocol.icmpv6), .timeToLive(255), .icmpv6Type(type), .icmpv6Code(0),
        ]
    }
    /// An echo request (RFC 792, RFC 4443 §4.1).
    static func echoRequest(isV6: Bool) -> [MatchField] {
        isV6
            ? [.ip(isV6: true), .ipProtocol(IPProtocol.icmpv6), .icmpv6Type(128), .icmpv6Code(0)]
            : [.ip(isV6: false), .ipProtocol(IPProtocol.icmp), .icmpType(8), .icmpCode(0)]
    }
}
