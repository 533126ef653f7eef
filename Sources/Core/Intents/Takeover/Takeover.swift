// Files of other programs, said in the words of evpnd.yaml. Pure: a tree in, a tree and a list of what was lost out.

public import Documents

/// What became of another program's file.
public struct Takeover: Equatable, Sendable {
    /// Programs whose files are understood, by the names that operators type.
    public enum Program: String, CaseIterable, Sendable {
        case gobgpEVPNAgent = "gobgp-evpn-agent"
        case gobgpd
        case evpnConnector = "evpn-connector"

        /// Where its file is when nobody says, in this order; `~` is the home directory. Empty: evpnd does not run with it.
        public var defaultPaths: [String] {
            switch self {
            case .gobgpEVPNAgent: ["/etc/evpn-agent/config.yaml"]
            case .gobgpd: []
            case .evpnConnector: ["~/.evpn/evpn.conf", "~/evpn.conf", "/etc/evpn/evpn.conf", "/etc/evpn.conf"]
            }
        }
        /// The files are INI, whatever their names are.
        public var hasINI: Bool { self == .evpnConnector }
    }
    /// The same as a tree of evpnd.yaml; what it means is for `Configuration.load(from:)` to say, whose problems then point into
    /// the other file. Nil when that cannot be read.
    public var document: Document?
    /// Errors: the file was no good for its own program either. Warnings: what has no equivalent.
    public var problems: [Problem]

    /// Translates a file of `program`. `workingDirectory`, an absolute path: where its relative paths begin.
    public init(of program: Program, _ parsed: ParsedDocument, workingDirectory: String = "/") {
        guard let document = parsed.document else {
            self.document = nil
            problems = parsed.problems
            return
        }
        let list = ProblemList()
        let file = Section(Value(document: document, path: "", problems: list))
        let tree =
            switch program {
            case .gobgpEVPNAgent: AgentTakeover(file).tree
            case .gobgpd: GoBGPTakeover(file).tree
            case .evpnConnector: ConnectorTakeover(file, workingDirectory: workingDirectory).tree
            }
        // A repeated key is left to its first value, as it is said.
        let details = parsed.problems.map { problem in
            var problem = problem
            problem.severity = .warning
            return problem
        }
        problems = (details + list.all).sortedByPosition
        self.document = tree
    }
}

extension Document {
    /// A map at a position of the other file, without the keys that have no value.
    static func map(_ entries: [(String, Document?)], at position: SourcePosition) -> Document {
        Document(
            .map(entries.compactMap { key, value in value.map { Entry(key, at: $0.position, $0) } }), at: position)
    }
    static func plain(_ text: String, at position: SourcePosition) -> Document {
        Document(.scalar(text, .plain), at: position)
    }
}
