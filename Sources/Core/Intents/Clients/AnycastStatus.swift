// The file in which an external checker lists the anycast addresses that work: `["198.51.100.1_10.254.0.1"]`.

public import Anycast
public import Documents

public struct AnycastStatus: Equatable, Sendable {
    public var listed: Set<AnycastName>
    /// Entries that are no pair of addresses; the others count.
    public var problems: [Problem]

    /// Nil when it is no list at all: then nothing is known.
    public static func read(_ parsed: ParsedDocument) -> (status: AnycastStatus?, problems: [Problem]) {
        guard let document = parsed.document else { return (nil, parsed.problems) }
        let problems = ProblemList()
        for problem in parsed.problems { problems.append(problem) }
        guard case .list = document.content else {
            let root = Value(document: document, path: "", problems: problems)
            root.fail("expected a list of texts such as \"198.51.100.1_10.254.0.1\", found \(root.kind)")
            return (nil, problems.all)
        }
        var listed: Set<AnycastName> = []
        for value in Value(document: document, path: "", problems: problems).list() {
            guard let text = value.text() else { continue }
            if let name = AnycastName(text) {
                listed.insert(name)
            } else {
                value.warn("expected ANYCAST_IP_INTERNAL_DST_IP such as 198.51.100.1_10.254.0.1, found \(value.kind)")
            }
        }
        return (AnycastStatus(listed: listed, problems: problems.all), problems.all)
    }
}
