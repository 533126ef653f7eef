// Calls about neighbors, peer groups and dynamic neighbors.

public typealias AddPeerRequest = Wrapped<Peer>
public struct DeletePeerRequest: APIMessage {
    public var address = ""
    /// For unnumbered neighbors, in place of the address.
    public var interface = ""
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.string(1, &address)
        coder.string(2, &interface)
    }
}
public struct ListPeerRequest: APIMessage {
    /// Empty for all.
    public var address = ""
    /// Whether `PeerFamily.advertised` is to be filled, which costs gobgpd a walk through its tables.
    public var includesAdvertised = false
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.string(1, &address)
        coder.bool(2, &includesAdvertised)
    }
}
public typealias ListPeerReply = Wrapped<Peer>

public struct UpdatePeerRequest: APIMessage {
    public var peer = Peer()
    public var doesSoftResetIn = false
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.message(1, &peer)
        coder.bool(2, &doesSoftResetIn)
    }
}
/// Of UpdatePeer and UpdatePeerGroup.
public struct UpdateReply: APIMessage {
    public var needsSoftResetIn = false
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) { coder.bool(1, &needsSoftResetIn) }
}

/// A hard reset, or with `isSoft` one that only sends or asks for routes again.
public struct ResetPeerRequest: APIMessage {
    public enum Direction: UInt64, APIEnumeration {
        case incoming = 0
        case outgoing = 1
        case both = 2
    }
    /// `all` for every neighbor.
    public var address = ""
    /// Shutdown communication (RFC 9003) of a hard reset.
    public var communication = ""
    public var isSoft = false
    public var direction = Direction.incoming
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.string(1, &address)
        coder.string(2, &communication)
        coder.bool(3, &isSoft)
        coder.enumeration(4, &direction)
    }
}
/// Of ShutdownPeer, EnablePeer (without a communication) and DisablePeer.
public struct PeerActionRequest: APIMessage {
    public var address = ""
    /// Shutdown communication (RFC 9003).
    public var communication = ""
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.string(1, &address)
        coder.string(2, &communication)
    }
}

public typealias AddPeerGroupRequest = Wrapped<PeerGroup>
public typealias DeletePeerGroupRequest = NameRequest
public typealias ListPeerGroupRequest = NameRequest
public typealias ListPeerGroupReply = Wrapped<PeerGroup>
public struct UpdatePeerGroupRequest: APIMessage {
    public var group = PeerGroup()
    public var doesSoftResetIn = false
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.message(1, &group)
        coder.bool(2, &doesSoftResetIn)
    }
}

public typealias AddDynamicNeighborRequest = Wrapped<DynamicNeighbor>
/// The name is the peer group.
public typealias ListDynamicNeighborRequest = NameRequest
public typealias ListDynamicNeighborReply = Wrapped<DynamicNeighbor>
/// The fields of `DynamicNeighbor` themselves.
public typealias DeleteDynamicNeighborRequest = DynamicNeighbor
