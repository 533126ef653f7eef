// The dataplane-neutral tables that the control plane computes, and the local facts that dataplanes report.

public import NetTypes

/// A MAC address in a broadcast domain.
public struct MACKey: Hashable, Comparable, Sendable, CustomStringConvertible {
    public var vni: VNI
    public var mac: MACAddress
    @inlinable public init(vni: VNI, mac: MACAddress) {
        self.vni = vni
        self.mac = mac
    }
    public static func < (a: Self, b: Self) -> Bool { (a.vni, a.mac) < (b.vni, b.mac) }
    public var description: String { "vni \(vni) mac \(mac)" }
}

/// Where frames for a remote MAC go.
public struct RemoteMAC: Hashable, Sendable {
    public var vtep: IPAddress
    /// The VNI to send with: the announcer's, which may differ from the local one (downstream-assigned VNI, RFC 8365 §5.1.3).
    public var vni: VNI
    /// Sticky or gateway MACs: the bridge must not let a local port take them over.
    public var isSticky: Bool
    @inlinable public init(vtep: IPAddress, vni: VNI, isSticky: Bool = false) {
        self.vtep = vtep
        self.vni = vni
        self.isSticky = isSticky
    }
}

/// One member of the flood list (ingress replication) of a broadcast domain.
public struct FloodKey: Hashable, Comparable, Sendable, CustomStringConvertible {
    public var vni: VNI
    public var vtep: IPAddress
    @inlinable public init(vni: VNI, vtep: IPAddress) {
        self.vni = vni
        self.vtep = vtep
    }
    public static func < (a: Self, b: Self) -> Bool { (a.vni, a.vtep) < (b.vni, b.vtep) }
    public var description: String { "vni \(vni) flood \(vtep)" }
}

public struct FloodMember: Hashable, Sendable {
    /// The VNI to send with.
    public var vni: VNI
    @inlinable public init(vni: VNI) { self.vni = vni }
}

/// An IP address in a broadcast domain, for ARP/ND suppression.
public struct NeighborKey: Hashable, Comparable, Sendable, CustomStringConvertible {
    public var vni: VNI
    public var ip: IPAddress
    @inlinable public init(vni: VNI, ip: IPAddress) {
        self.vni = vni
        self.ip = ip
    }
    public static func < (a: Self, b: Self) -> Bool { (a.vni, a.ip) < (b.vni, b.ip) }
    public var description: String { "vni \(vni) neighbor \(ip)" }
}

public struct RemoteNeighbor: Hashable, Sendable {
    public var mac: MACAddress
    /// The R flag of ND (RFC 9047).
    public var isRouter: Bool
    @inlinable public init(mac: MACAddress, isRouter: Bool = false) {
        self.mac = mac
        self.isRouter = isRouter
    }
}

/// One row of one of the forwarding tables, to set or (nil) to remove.
public enum ForwardingChange: Hashable, Sendable {
    case mac(MACKey, RemoteMAC?)
    case flood(FloodKey, FloodMember?)
    case neighbor(NeighborKey, RemoteNeighbor?)
}

/// The key of any row, for status and `explain`.
public enum ForwardingKey: Hashable, Comparable, Sendable {
    case flood(FloodKey)
    case mac(MACKey)
    case neighbor(NeighborKey)
}

/// How far one row has come in the kernel.
public enum EntryStatus: Hashable, Sendable {
    /// No such row is wanted.
    case absent
    /// Wanted but not yet possible: the reason, e.g. "no VXLAN device for vni 100".
    case waiting(reason: String)
    /// Sent to the kernel, not acknowledged yet.
    case pending
    case done
    /// Refused: the kernel's own text.
    case failed(reason: String, since: Instant)
}

/// Something a dataplane saw on this host. nil values: no longer there.
public enum LocalChange: Hashable, Sendable {
    /// The domain can forward (its device is there, up, with a VTEP address), or cannot.
    case domain(VNI, LocalDomain?)
    case mac(MACKey, LocalMAC?)
    case neighbor(NeighborKey, LocalNeighbor?)
}

public struct LocalDomain: Hashable, Sendable {
    /// This host's VTEP address in the domain.
    public var vtep: IPAddress
    /// For people: `vxlan100 in br100`.
    public var device: String
    public init(vtep: IPAddress, device: String) {
        self.vtep = vtep
        self.device = device
    }
}

public struct LocalMAC: Hashable, Sendable {
    /// The bridge port it was learned on.
    public var port: String
    /// An entry that an operator put there (`bridge fdb add … master static`): it does not age.
    public var isStatic: Bool
    /// `bridge fdb add … sticky`: announced with the sticky bit.
    public var isSticky: Bool
    /// The MAC of the bridge's own interface: a gateway, which never moves.
    public var isGateway: Bool
    public init(port: String, isStatic: Bool = false, isSticky: Bool = false, isGateway: Bool = false) {
        self.port = port
        self.isStatic = isStatic
        self.isSticky = isSticky
        self.isGateway = isGateway
    }
}

public struct LocalNeighbor: Hashable, Sendable {
    public var mac: MACAddress
    public var isRouter: Bool
    public init(mac: MACAddress, isRouter: Bool = false) {
        self.mac = mac
        self.isRouter = isRouter
    }
}
