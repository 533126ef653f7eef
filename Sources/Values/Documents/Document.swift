// One tree for everything people write down (YAML and JSON alike), which remembers where each word stood, so that every
// later complaint can name a line and a column.

/// A place in a text, both numbers counted from 1, columns in characters.
public struct SourcePosition: Hashable, Sendable, CustomStringConvertible {
    /// As given by whoever read the text; empty for text without a name.
    public var file: String
    public var line: Int
    public var column: Int
    public init(file: String = "", line: Int, column: Int) {
        self.file = file
        self.line = line
        self.column = column
    }
    /// `file:line:column`, without the file when it has no name.
    public var description: String { (file.isEmpty ? "" : file + ":") + "\(line):\(column)" }
}

extension SourcePosition: Comparable {
    public static func < (a: Self, b: Self) -> Bool {
        (a.file, a.line, a.column) < (b.file, b.line, b.column)
    }
}

/// A node of the tree. Words stay text: what `yes` or `0660` means is decided by whoever knows what the key is for.
public struct Document: Equatable, Sendable {
    public enum Content: Equatable, Sendable {
        case scalar(String, Style)
        case list([Document])
        /// In the order of the text; keys are unique.
        case map([Entry])
    }
    public enum Style: Equatable, Sendable {
        /// Without quotes: may be read as null, a boolean or a number.
        case plain
        /// Quoted, a block or tagged as a string: always text.
        case quoted
    }
    public struct Entry: Equatable, Sendable {
        public var key: String
        public var keyPosition: SourcePosition
        public var value: Document
        public init(_ key: String, at keyPosition: SourcePosition, _ value: Document) {
            self.key = key
            self.keyPosition = keyPosition
            self.value = value
        }
    }

    public var content: Content
    public var position: SourcePosition
    public init(_ content: Content, at position: SourcePosition) {
        self.content = content
        self.position = position
    }

    /// The value of a map's key; nil for other nodes and absent keys.
    public subscript(key: String) -> Document? {
        guard case .map(let entries) = content else { return nil }
        return entries.first { $0.key == key }?.value
    }
    /// A plain empty word, `~` or `null`.
    public var isNull: Bool {
        guard case .scalar(let text, .plain) = content else { return false }
        return ["", "~", "null", "Null", "NULL"].contains(text)
    }
    /// Maps and lists inside one another: 0 for a scalar, 1 for an empty list.
    public var depth: Int {
        switch content {
        case .scalar: 0
        case .list(let elements): elements.reduce(1) { max($0, 1 + $1.depth) }
        case .map(let entries): entries.reduce(1) { max($0, 1 + $1.value.depth) }
        }
    }
    /// Number of nodes in this subtree, itself included.
    public var nodeCount: Int {
        switch content {
        case .scalar: 1
        case .list(let elements): elements.reduce(1) { $0 + $1.nodeCount }
        case .map(let entries): entries.reduce(1) { $0 + $1.value.nodeCount }
        }
    }
}

/// How much a reader accepts; text beyond a limit is a problem, never a crash.
public struct DocumentLimits: Sendable {
    /// Octets of the whole text.
    public var size = 16 << 20
    /// Maps and lists inside one another; at most a few hundred, because trees are freed recursively.
    public var depth = 64
    /// Nodes after all aliases are expanded.
    public var nodes = 2_000_000
    public init() {}
}

/// What a reader made of a text. `document` is nil when the text is not well-formed; it is there with problems when only
/// details are wrong (a duplicate key: the first one is kept).
public struct ParsedDocument: Equatable, Sendable {
    public var document: Document?
    public var problems: [Problem]
    public init(document: Document?, problems: [Problem]) {
        self.document = document
        self.problems = problems
    }
}
