// Who is attached to the bridge of Open vSwitch, as people declare it: in evpnd.yaml, or in a file of its own in a directory.

public import Anycast
public import BGP
public import Documents
public import EVPN
public import NetTypes

/// One declared client, valid by itself. What it must not have in common with others is for `ClientPlan` to say.
public struct Client: Equatable, Sendable {
    public enum Service: Equatable, Sendable {
        /// `cfg_type: l2`. Without a MAC, those that speak on the port are learned.
        case bridged(mac: MACAddress?, addresses: [IPAddress])
        /// `cfg_type: l3`.
        case routed(mac: MACAddress, prefixes: [IPPrefix], anycast: [Anycast])
    }
    public struct Anycast: Equatable, Sendable {
        public var address: AnycastAddress
        /// Nil: that of `openvswitch.anycastCheck`.
        public var probe: Probe?
    }
    /// A route target as it is written.
    public enum Target: Hashable, Sendable {
        case fixed(RouteTarget)
        /// `0:NUMBER`: the AS of this node stands for the zero.
        case ofThisAS(UInt32)
    }
    /// Where something of it is written.
    public struct Place: Equatable, Sendable {
        public var position: SourcePosition
        /// `clients[2].ofport`; in a file of its own `ofport`.
        public var path: String
    }

    public var attachment: Attachment
    public var vni: VNI
    public var service: Service
    /// Nil: not written.
    public var imports: [Target]?
    public var exports: [Target]?
    /// Of the client as a whole.
    public let place: Place
    var vniPlace: Place
    var portPlace: Place
    var macPlace: Place
    var anycastPlace: Place

    public var isRouted: Bool { if case .routed = service { true } else { false } }
    /// For people: the name of its file, or `clients[2]`.
    public var name: String {
        guard place.path.isEmpty else { return place.path }
        let file = place.position.file
        return file.lastIndex(of: "/").map { String(file[file.index(after: $0)...]) } ?? file
    }
}

extension Client {
    /// Reads one client's file. Warnings alone leave it usable; with an error there is no client.
    public static func read(_ parsed: ParsedDocument) -> (client: Client?, problems: [Problem]) {
        guard let document = parsed.document else { return (nil, parsed.problems) }
        let list = ProblemList()
        for problem in parsed.problems { list.append(problem) }
        let client = ClientDecoder.decode(Value(document: document, path: "", problems: list), unknownKeys: .warning)
        let problems = list.all.sortedByPosition
        return (problems.hasErrors ? nil : client, problems)
    }
}
