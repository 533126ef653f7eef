// What a monitor tells of a database (RFC 7047 §4.1.5 and §4.1.6), and the copy that is kept of it.

public import Documents

/// Which columns of which tables are followed.
public struct MonitorRequest: Hashable, Sendable {
    public var tables: [String: [String]]
    public init(_ tables: [String: [String]]) { self.tables = tables }
    /// <monitor-requests>.
    public var json: JSONValue {
        .object(
            tables.sorted { $0.key < $1.key }.map { table, columns in
                .init(table, ["columns": .array(columns.sorted().map { .string($0) })])
            })
    }
    /// What a schema lacks of it, as `column Interface.ofport_request` or `table Bridge`, sorted; empty: nothing.
    public func missing(in schema: Schema) -> [String] {
        var missing: [String] = []
        for (table, columns) in tables.sorted(by: { $0.key < $1.key }) {
            guard let known = schema.tables[table] else {
                missing.append("table \(table)")
                continue
            }
            missing += columns.sorted().filter { !known.contains($0) }.map { "column \(table).\($0)" }
        }
        return missing
    }
}

/// The tables and columns of a database (RFC 7047 §3.2), by name.
public struct Schema: Hashable, Sendable {
    public var name: String
    public var version: String
    public var tables: [String: Set<String>]
    public init(_ json: JSONValue) throws(OVSDBFault) {
        guard case .string(let name)? = json["name"], let tables = json["tables"] else {
            throw OVSDBFault("a schema without a name or without tables")
        }
        self.name = name
        version = if case .string(let text)? = json["version"] { text } else { "" }
        self.tables = [:]
        for table in try tables.members("the schema's tables") {
            guard let columns = table.value["columns"] else {
                throw OVSDBFault("the schema's table \(table.name) has no columns")
            }
            self.tables[table.name] = Set(try columns.members("the columns of table \(table.name)").map(\.name))
        }
    }
}

/// The rows of the monitored tables as the database last told them.
public struct Replica: Hashable, Sendable {
    public private(set) var tables: [String: [RowID: Row]] = [:]
    /// Rows of all tables that are kept at most.
    public let limit: Int
    public private(set) var count = 0

    public init(limit: Int = 1_000_000) { self.limit = limit }

    /// <table-updates>: the reply to `monitor`, or the second parameter of `update`. The replica is as before after an error.
    public mutating func apply(_ json: JSONValue) throws(OVSDBFault) {
        var changes: [(table: String, id: RowID, row: Row?)] = []
        for table in try json.members("an update") {
            for entry in try table.value.members("the update of table \(table.name)") {
                guard let id = RowID(entry.name) else { throw OVSDBFault("\(entry.name) is not a UUID") }
                switch entry.value["new"] ?? .null {
                case .null: changes.append((table.name, id, nil))
                case let row:
                    do throws(OVSDBFault) {
                        changes.append((table.name, id, try decodeRow(row)))
                    } catch {
                        throw OVSDBFault("table \(table.name): \(error)")
                    }
                }
            }
        }
        let growth = changes.count { $0.row != nil && tables[$0.table]?[$0.id] == nil }
        guard count + growth <= limit else { throw OVSDBFault("more than \(limit) rows") }
        for change in changes {
            let old = tables[change.table, default: [:]].updateOrRemove(change.row, forKey: change.id)
            count += (change.row == nil ? 0 : 1) - (old == nil ? 0 : 1)
        }
    }

    public func rows(_ table: String) -> [RowID: Row] { tables[table] ?? [:] }
    public subscript(table: String, id: RowID) -> Row? { tables[table]?[id] }
    /// The row whose column `name` is `value`; of several the first in the order of their UUIDs.
    public func first(_ table: String, named value: String) -> (id: RowID, row: Row)? {
        rows(table).filter { $0.value["name"]?.string == value }.min { $0.key < $1.key }.map { ($0.key, $0.value) }
    }
}

extension Dictionary {
    fileprivate mutating func updateOrRemove(_ value: Value?, forKey key: Key) -> Value? {
        if let value { updateValue(value, forKey: key) } else { removeValue(forKey: key) }
    }
}
