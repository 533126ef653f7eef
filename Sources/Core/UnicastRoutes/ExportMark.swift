// Which routes of the kernel are ours: all that is needed to remove them without knowing what they were for.

/// All routes of a table with a protocol number.
public struct ExportMark: Hashable, Comparable, Sendable, CustomStringConvertible {
    public var table: UInt32
    /// `rt_protos`.
    public var proto: UInt8
    public init(table: UInt32, proto: UInt8) {
        self.table = table
        self.proto = proto
    }
    /// One line of a record; nil when it is damaged. Nothing that a configuration could not ask for is taken: routes of the kernel and
    /// of administrators (protocols 0 to 4) and the table of the host's own addresses (255) are never ours.
    public init?(_ line: some StringProtocol) {
        let words = line.split(separator: " ")
        guard words.count == 4, words[0] == "table", words[2] == "proto", let table = UInt32(words[1]),
            let proto = UInt8(words[3]), table != 0, table != 255, proto > 4
        else { return nil }
        self.init(table: table, proto: proto)
    }
    public var description: String { "table \(table) proto \(proto)" }
    public static func < (a: Self, b: Self) -> Bool { (a.table, a.proto) < (b.table, b.proto) }
}

extension ExportTable {
    /// Where routes of ours are, or may be put next.
    public var marks: Set<ExportMark> {
        var marks: Set<ExportMark> = []
        for place in places {
            if let proto = settings?.routeProtocol, hasRules(place) {
                marks.insert(ExportMark(table: place.table, proto: proto))
            }
            // A change of the protocol number, or the end of a rule, takes its time; rows of a place mostly have one number.
            guard !hasRules(place) || lastProtocol != nil else { continue }
            for row in (tables[place] ?? [:]).values {
                if let have = row.have { marks.insert(ExportMark(table: place.table, proto: have.proto)) }
            }
        }
        return marks
    }
}
