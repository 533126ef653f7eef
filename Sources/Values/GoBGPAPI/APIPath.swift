// A path of GoBGP's tables: a route with its attributes, and what the daemon knows about where it came from.

public import BGP
public import NetTypes

/// One path, as the API carries it in either direction.
public struct APIPath: Hashable, Sendable {
    public var key: RouteKey
    public var payload: RoutePayload
    /// Next hops included. Of a withdrawal the attributes that the path had.
    public var attributes: PathAttributes
    /// The only mark of a withdrawal.
    public var isWithdraw = false
    /// Always false in events; only lists say it.
    public var isBest = false
    /// When the daemon got the path.
    public var age: APITime?
    /// The neighbor it came from; nil for the daemon's own.
    public var neighbor: IPAddress?
    /// ASN and router ID of that neighbor.
    public var sourceASN: UInt32 = 0
    public var sourceID: IPv4Address?
    public var isStale = false
    public var isFiltered = false
    public var isFromExternal = false
    public var isNextHopInvalid = false
    /// RFC 7911 path identifier as received; 0 without add-path.
    public var pathID: UInt32 = 0
    /// What AddPath answered; watching and listing leave it empty.
    public var uuid: [UInt8] = []
    /// Kinds of attributes that were skipped because this version does not know them; at most eight.
    public var skippedAttributes: [String] = []

    public init(
        key: RouteKey, payload: RoutePayload = RoutePayload(), attributes: PathAttributes = PathAttributes(),
        isWithdraw: Bool = false
    ) {
        self.key = key
        self.payload = payload
        self.attributes = attributes
        self.isWithdraw = isWithdraw
    }

    /// Made by the daemon itself or through its API.
    public var isLocal: Bool { neighbor == nil }
}

/// A path that cannot be used. It says nothing about the others in the same message.
public struct APIPathFault: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong, as a phrase for an operator.
    public var reason: String
    /// The route, where that much could be read: an announcement that cannot be used takes the place of an earlier one that
    /// could, so its route is to be treated as withdrawn (as RFC 7606 has it for UPDATE).
    public var key: RouteKey?
    public var pathID: UInt32 = 0
    public var neighbor: IPAddress?
    /// Nil when the path did not name one.
    public var family: Family?
    public var isWithdraw = false
    /// Whether the path is of a family that evpnd does not carry, such as VPN or flow specification: nothing to complain about.
    public var isForeignFamily: Bool { family.map { !Family.supported.contains($0) } ?? false }
    public var description: String { key.map { "\($0): \(reason)" } ?? reason }
}

/// A path as it came out of a message.
public typealias DecodedPath = Result<APIPath, APIPathFault>

extension FieldCoder {
    mutating func path(_ number: Int, _ value: inout DecodedPath?) {
        let generation = generation
        custom(
            number,
            read: { reader throws(ByteError) in value = APIPath.decode(reader, generation) },
            write: { writer in
                guard case .success(let path)? = value else { return }
                writer.message(number) { path.encode(into: &$0, generation) }
            })
    }
    mutating func paths(_ number: Int, _ value: inout [DecodedPath]) {
        let generation = generation
        custom(
            number,
            read: { reader throws(ByteError) in
                try FieldCoder.append(APIPath.decode(reader, generation), to: &value, at: reader.offset)
            },
            write: { writer in
                for case .success(let path) in value {
                    writer.message(number) { path.encode(into: &$0, generation) }
                }
            })
    }
}
