// Calls about paths: AddPath, DeletePath, ListPath, GetTable, and the request of WatchEvent.

public import BGP
import NetTypes

public enum TableType: UInt64, APIEnumeration {
    case global = 0
    case local = 1
    case adjRIBIn = 2
    case adjRIBOut = 3
    case vrf = 4
}

public struct AddPathRequest: APIMessage {
    public var table = TableType.global
    public var vrf = ""
    /// What a server reads can be a fault; a fault is not written.
    public var path: DecodedPath?
    public init() {}
    public init(_ path: APIPath) { self.path = .success(path) }
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.enumeration(1, &table)
        coder.string(2, &vrf)
        coder.path(3, &path)
    }
}

public struct AddPathReply: APIMessage {
    public var uuid: [UInt8] = []
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) { coder.bytes(1, &uuid) }
}

/// Deletes one path. gobgpd takes a request without path and UUID as "all that came through the API", so there is no way to make
/// one here by accident: `init(_:)` always has a path.
public struct DeletePathRequest: APIMessage {
    public var table = TableType.global
    public var vrf = ""
    public var family: Family?
    public var path: DecodedPath?
    public var uuid: [UInt8] = []
    public init() {}
    public init(_ key: RouteKey, _ payload: RoutePayload = RoutePayload()) {
        family = key.family
        path = .success(APIPath(key: key, payload: payload, isWithdraw: true))
    }
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.enumeration(1, &table)
        coder.string(2, &vrf)
        coder.family(3, &family)
        coder.path(4, &path)
        coder.bytes(5, &uuid)
    }
}

public struct ListPathRequest: APIMessage {
    public struct Lookup: APIMessage {
        public enum Match: UInt64, APIEnumeration {
            case exact = 0
            case longer = 1
            case shorter = 2
        }
        /// A prefix; in the EVPN family a route type: `a-d`, `macadv`, `multicast`, `esi` or `prefix`.
        public var prefix = ""
        public var match = Match.exact
        public init() {}
        public init(_ prefix: String) { self.prefix = prefix }
        public mutating func fields(_ coder: inout FieldCoder) {
            coder.string(1, &prefix)
            coder.enumeration(2, &match)
        }
    }
    public var table = TableType.global
    /// A neighbor's address for its Adj-RIBs, or the name of a VRF.
    public var name = ""
    public var family: Family?
    public var lookups: [Lookup] = []
    public var includesFiltered = false
    /// Whether paths come as octets only, which spares gobgpd the spelling out; `APIPath` reads either.
    public var asOctets = false
    /// Destinations read at a time inside gobgpd; 0 for all. Not known to 3.10.
    public var batchSize: UInt64 = 0
    public init() {}
    public init(_ family: Family) { self.family = family }
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.enumeration(1, &table)
        coder.string(2, &name)
        coder.family(3, &family)
        coder.messages(4, &lookups)
        coder.bool(6, &includesFiltered)
        coder.bool(9, &asOctets)
        coder.uint64(10, &batchSize)
    }
}

/// One destination with its paths; every message of the stream has one.
public struct Destination: APIMessage {
    public var prefix = ""
    public var paths: [DecodedPath] = []
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.string(1, &prefix)
        coder.paths(2, &paths)
    }
}
public typealias ListPathReply = Wrapped<Destination>

public struct GetTableRequest: APIMessage {
    public var table = TableType.global
    public var family: Family?
    public var name = ""
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.enumeration(1, &table)
        coder.family(2, &family)
        coder.string(3, &name)
    }
}
public struct GetTableReply: APIMessage {
    public var destinations: UInt64 = 0
    public var paths: UInt64 = 0
    /// Only of an Adj-RIB-In.
    public var accepted: UInt64 = 0
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.uint64(1, &destinations)
        coder.uint64(2, &paths)
        coder.uint64(3, &accepted)
    }
}

/// What WatchEvent is to report.
public struct WatchEventRequest: APIMessage {
    public struct Filter: APIMessage {
        public enum Kind: UInt64, APIEnumeration {
            case best = 0
            case adjRIBIn = 1
            case postPolicy = 2
            /// Not known to 3.10.
            case endOfRIB = 3
        }
        public var kind = Kind.best
        /// Whether what the table holds now is reported first.
        public var includesPresent = false
        /// Not known to 3.10.
        public var peerAddress = ""
        /// Not known to 3.10.
        public var peerGroup = ""
        public init() {}
        public init(_ kind: Kind, includesPresent: Bool) {
            self.kind = kind
            self.includesPresent = includesPresent
        }
        public mutating func fields(_ coder: inout FieldCoder) {
            coder.enumeration(1, &kind)
            coder.bool(2, &includesPresent)
            coder.string(3, &peerAddress)
            coder.string(4, &peerGroup)
        }
    }
    struct Table: APIMessage {
        var filters: [Filter] = []
        mutating func fields(_ coder: inout FieldCoder) { coder.messages(1, &filters) }
    }
    private var peer: EmptyMessage?
    private var table: Table?
    /// Paths in one message; 0 for no limit. 3.10 has none and sends the whole table as one message.
    public var batchSize: UInt32 = 0
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.message(1, &peer)
        coder.message(2, &table)
        coder.uint32(3, &batchSize)
    }
    /// Whether changes of sessions are reported, beginning with the present state of each.
    public var watchesPeers: Bool {
        get { peer != nil }
        set { peer = newValue ? EmptyMessage() : nil }
    }
    public var filters: [Filter] {
        get { table?.filters ?? [] }
        set { table = newValue.isEmpty ? nil : Table(filters: newValue) }
    }
    /// The best paths of the global table, the present ones first.
    public static func bestPaths(batchSize: UInt32 = 0) -> WatchEventRequest {
        var request = WatchEventRequest()
        request.filters = [Filter(.best, includesPresent: true)]
        request.batchSize = batchSize
        return request
    }
    /// Changes of sessions.
    public static let peers = {
        var request = WatchEventRequest()
        request.watchesPeers = true
        return request
    }()
}

// MARK: VRFs

/// A VRF of gobgpd, which holds IPv4 and IPv6 unicast routes for VPN families.
public struct VRF: APIMessage {
    public var name = ""
    public var rd: RouteDistinguisher?
    public var importTargets: [RouteTarget] = []
    public var exportTargets: [RouteTarget] = []
    public var id: UInt32 = 0
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.string(1, &name)
        coder.distinguisher(2, &rd)
        coder.targets(3, &importTargets)
        coder.targets(4, &exportTargets)
        coder.uint32(5, &id)
    }
}
public typealias AddVRFRequest = Wrapped<VRF>
public typealias DeleteVRFRequest = NameRequest
public typealias ListVRFRequest = NameRequest
public typealias ListVRFReply = Wrapped<VRF>

/// Route targets have a oneof of their own in v4.
private enum TargetKind: Int, MessageKind {
    case twoOctet = 1
    case address = 2
    case fourOctet = 3
    static let names: [(kind: Self, name: StaticString)] = [
        (.twoOctet, CommunityKind.twoOctet.name), (.address, CommunityKind.address.name),
        (.fourOctet, CommunityKind.fourOctet.name),
    ]
}

extension FieldCoder {
    fileprivate mutating func distinguisher(_ number: Int, _ value: inout RouteDistinguisher?) {
        let generation = generation
        custom(
            number, read: { reader throws(ByteError) in value = try RouteDistinguisher(reader, generation) },
            write: { if let value { $0.distinguisher(number, value, generation) } })
    }
    fileprivate mutating func targets(_ number: Int, _ value: inout [RouteTarget]) {
        let generation = generation
        custom(
            number,
            read: { reader throws(ByteError) in
                guard let typed = try TypedMessage<TargetKind>(reader, generation), let kind = typed.kind else {
                    throw ByteError("route target of unknown kind", at: reader.offset)
                }
                let community: CommunityKind =
                    switch kind {
                    case .twoOctet: .twoOctet
                    case .address: .address
                    case .fourOctet: .fourOctet
                    }
                guard let target = RouteTarget(try ExtendedCommunity(typed.content, community)) else {
                    throw ByteError("route target", at: reader.offset)
                }
                try FieldCoder.append(target, to: &value, at: reader.offset)
            },
            write: { writer in
                for target in value {
                    let raw = target.community.rawValue
                    let kind = TargetKind(rawValue: Int(target.community.type) + 1) ?? .twoOctet
                    writer.typed(number, kind, generation) {
                        $0.bool(1, true)
                        $0.uint32(2, UInt32(target.community.subtype))
                        switch kind {
                        case .twoOctet:
                            $0.uint32(3, UInt32(truncatingIfNeeded: raw >> 32 & 0xffff))
                            $0.uint32(4, UInt32(truncatingIfNeeded: raw))
                        case .address:
                            $0.string(3, IPv4Address(rawValue: UInt32(truncatingIfNeeded: raw >> 16)).description)
                            $0.uint32(4, UInt32(truncatingIfNeeded: raw & 0xffff))
                        case .fourOctet:
                            $0.uint32(3, UInt32(truncatingIfNeeded: raw >> 16))
                            $0.uint32(4, UInt32(truncatingIfNeeded: raw & 0xffff))
                        }
                    }
                }
            })
    }
}
