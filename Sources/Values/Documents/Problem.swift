// What is wrong with something people wrote, in a form that an editor can jump to.

/// One complaint. Readers and validators return all they find, never only the first.
public struct Problem: Hashable, Sendable {
    public enum Severity: String, Hashable, Sendable {
        /// Nothing of the configuration is applied.
        case error
        /// Applied all the same; probably not what was meant.
        case warning
    }
    public var severity: Severity
    /// Nil when there is no text to point at, as for a file that cannot be opened.
    public var position: SourcePosition?
    /// `bgp.neighbors[0].config.peerAsn`; empty when the text itself is malformed.
    public var path: String
    /// One clause without a full stop.
    public var reason: String
    /// What to do about it, where there is something better than the opposite of the reason.
    public var hint: String?

    public init(
        _ severity: Severity = .error, at position: SourcePosition?, path: String = "", _ reason: String,
        hint: String? = nil
    ) {
        self.severity = severity
        self.position = position
        self.path = path
        self.reason = reason
        self.hint = hint
    }
}

extension Problem: CustomStringConvertible {
    /// `file:line:column: error: path: reason (hint)`, on one line whatever the text held.
    public var description: String {
        var text = position.map { "\($0): " } ?? ""
        text += "\(severity.rawValue): "
        if !path.isEmpty { text += "\(path): " }
        text += reason
        if let hint { text += " (\(hint))" }
        return String(text.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7f ? "\u{fffd}" : Character($0) })
    }
}

extension [Problem] {
    public var hasErrors: Bool { contains { $0.severity == .error } }
    /// In the order of the text, those without a position first.
    public var sortedByPosition: [Problem] {
        enumerated().sorted { a, b in
            switch (a.element.position, b.element.position) {
            case (nil, nil): a.offset < b.offset
            case (nil, _): true
            case (_, nil): false
            case (let x?, let y?): x == y ? a.offset < b.offset : x < y
            }
        }.map(\.element)
    }
    /// One line for each problem, each ended by a newline: what `evpnd --check` prints.
    public var report: String { sortedByPosition.map { "\($0)\n" }.joined() }
}
