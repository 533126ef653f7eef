// What crosses between the control plane and any speaker.

public import BGP
public import NetTypes

/// The best path a speaker knows for a route that somebody else announced.
public struct RemotePath: Hashable, Sendable {
    public var payload: RoutePayload
    public var attributes: AttributeSet
    /// The neighbor it came from.
    public var neighbor: IPAddress
    /// Where a link-local next hop is: the interface of the session; nil when the neighbor is not known by its link.
    public var interface: String?
    /// Of a unicast route: next hops of other paths that are as good, sorted.
    public var alternatives: [ScopedAddress]
    public init(
        payload: RoutePayload, attributes: AttributeSet, neighbor: IPAddress, interface: String? = nil,
        alternatives: [ScopedAddress] = []
    ) {
        self.payload = payload
        self.attributes = attributes
        self.neighbor = neighbor
        self.interface = interface
        self.alternatives = alternatives
    }
}

/// A change of the best remote path of one route; nil: nobody announces it any more.
public struct RouteChange: Hashable, Sendable {
    public var key: RouteKey
    public var path: RemotePath?
    public init(key: RouteKey, path: RemotePath?) {
        self.key = key
        self.path = path
    }
}

/// A route of our own for a speaker to announce, or (nil) to withdraw.
public struct AdvertisementChange: Hashable, Sendable {
    public var key: RouteKey
    public var route: Advertisement?
    public init(key: RouteKey, route: Advertisement?) {
        self.key = key
        self.route = route
    }
}

public struct Advertisement: Hashable, Sendable {
    public var payload: RoutePayload
    /// Origin, next hop (our VTEP), communities, PMSI. The speaker adds what its sessions need (LOCAL_PREF, AS_PATH).
    public var attributes: AttributeSet
    public init(payload: RoutePayload, attributes: AttributeSet) {
        self.payload = payload
        self.attributes = attributes
    }
}
