// Transactions (RFC 7047 §4.1.3 and §5.2): what is asked for, and what became of it.

public import Documents

/// One operation of a transaction. All of them happen, or none.
public enum Operation: Hashable, Sendable {
    /// `name`: how later operations of the transaction call the new row.
    case insert(table: String, row: Row, name: String? = nil)
    case select(table: String, where: [Condition], columns: [String])
    case update(table: String, where: [Condition], row: Row)
    case mutate(table: String, where: [Condition], mutations: [Mutation])
    case delete(table: String, where: [Condition])
    /// Goes on only if the columns of the rows are (`isEqual`) or are not `rows`; waits so many milliseconds for that.
    case wait(
        table: String, where: [Condition], columns: [String], rows: [Row], isEqual: Bool = true, timeout: Int = 0)
    case comment(String)
    case abort

    public var json: JSONValue {
        func operation(_ name: String, _ members: (String, JSONValue)...) -> JSONValue {
            .object([.init("op", .string(name))] + members.map { .init($0.0, $0.1) })
        }
        func list(_ conditions: [Condition]) -> JSONValue { .array(conditions.map(\.json)) }
        func names(_ columns: [String]) -> JSONValue { .array(columns.map { .string($0) }) }
        switch self {
        case .insert(let table, let row, let name):
            return name.map {
                operation("insert", ("table", .string(table)), ("row", .row(row)), ("uuid-name", .string($0)))
            } ?? operation("insert", ("table", .string(table)), ("row", .row(row)))
        case .select(let table, let conditions, let columns):
            return operation(
                "select", ("table", .string(table)), ("where", list(conditions)), ("columns", names(columns)))
        case .update(let table, let conditions, let row):
            return operation("update", ("table", .string(table)), ("where", list(conditions)), ("row", .row(row)))
        case .mutate(let table, let conditions, let mutations):
            return operation(
                "mutate", ("table", .string(table)), ("where", list(conditions)),
                ("mutations", .array(mutations.map(\.json))))
        case .delete(let table, let conditions):
            return operation("delete", ("table", .string(table)), ("where", list(conditions)))
        case .wait(let table, let conditions, let columns, let rows, let isEqual, let timeout):
            return operation(
                "wait", ("timeout", .int(timeout)), ("table", .string(table)), ("where", list(conditions)),
                ("columns", names(columns)), ("until", isEqual ? "==" : "!="), ("rows", .array(rows.map { .row($0) })))
        case .comment(let text): return operation("comment", ("comment", .string(text)))
        case .abort: return operation("abort")
        }
    }
}

/// Which rows (RFC 7047 §5.1 <condition>).
public struct Condition: Hashable, Sendable {
    /// `==`, `!=`, `includes`, `excludes` and, for numbers, `<`, `<=`, `>=`, `>`.
    public var column: String
    public var function: String
    public var value: Datum
    public init(_ column: String, _ value: Datum, function: String = "==") {
        self.column = column
        self.function = function
        self.value = value
    }
    public static func row(_ id: RowID) -> Condition { Condition("_uuid", .one(.row(id))) }
    public var json: JSONValue { .array([.string(column), .string(function), value.json]) }
}

/// How a column changes (RFC 7047 §5.1 <mutation>).
public struct Mutation: Hashable, Sendable {
    public var column: String
    /// `insert`, `delete` of sets and maps; `+=` and the like of numbers.
    public var mutator: String
    public var value: Datum
    public init(_ column: String, _ mutator: String, _ value: Datum) {
        self.column = column
        self.mutator = mutator
        self.value = value
    }
    public var json: JSONValue { .array([.string(column), .string(mutator), value.json]) }
}

/// What one operation did.
public enum OperationResult: Hashable, Sendable {
    case inserted(RowID)
    case selected([Row])
    case changed(rows: Int)
    /// `wait`, `comment`: nothing to tell.
    case done
    /// One that was not tried because an earlier one failed.
    case skipped
    case failed(DatabaseError)

    public init(_ json: JSONValue) throws(OVSDBFault) {
        if json == .null {
            self = .skipped
            return
        }
        _ = try json.members("the result of an operation")
        if let error = try DatabaseError(json) {
            self = .failed(error)
        } else if let id = json["uuid"] {
            guard case .row(let id) = try Atom(id) else { throw OVSDBFault("an inserted row without a UUID") }
            self = .inserted(id)
        } else if case .array(let rows)? = json["rows"] {
            var decoded: [Row] = []
            for row in rows { decoded.append(try decodeRow(row)) }
            self = .selected(decoded)
        } else if case .int(let count)? = json["count"] {
            self = .changed(rows: count)
        } else {
            self = .done
        }
    }
}

/// An error of the database, in its words (RFC 7047 §3.1 <error>).
public struct DatabaseError: Error, Hashable, Sendable, CustomStringConvertible {
    /// `constraint violation`, `timed out`, `referential integrity violation` …
    public var error: String
    public var details: String?
    public init(_ error: String, _ details: String? = nil) {
        self.error = error
        self.details = details
    }
    /// Nil: the object tells no error.
    init?(_ json: JSONValue) throws(OVSDBFault) {
        switch json["error"] {
        case nil: return nil
        case .string(let error)?: self.error = error
        default: throw OVSDBFault("an error that is no text")
        }
        if case .string(let details)? = json["details"] { self.details = details }
    }
    public var description: String { details.map { "\(error): \($0)" } ?? error }
}

/// What a whole transaction did.
public struct TransactionResult: Hashable, Sendable {
    public var results: [OperationResult]
    /// The first failure; one result more than operations tells that the commit failed (RFC 7047 §4.1.3).
    public var error: DatabaseError? {
        for case .failed(let error) in results { return error }
        return nil
    }
    /// The error of a `wait` whose condition was not met: somebody else was quicker.
    public var hasLostRace: Bool { error?.error == "timed out" }

    public init(_ json: JSONValue) throws(OVSDBFault) {
        guard case .array(let elements) = json else { throw OVSDBFault("the result of a transaction is no array") }
        results = []
        for element in elements { results.append(try OperationResult(element)) }
    }
}
