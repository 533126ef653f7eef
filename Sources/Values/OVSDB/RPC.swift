// The messages of JSON-RPC 1.0 as RFC 7047 §4 has them.

public import Documents

/// One message.
public enum RPC: Hashable, Sendable {
    /// `id`: whatever the sender chose, to be given back in the reply.
    case request(id: JSONValue, method: String, parameters: [JSONValue])
    case notification(method: String, parameters: [JSONValue])
    case reply(id: JSONValue, result: JSONValue)
    case failure(id: JSONValue, DatabaseError)

    public init(_ text: [UInt8]) throws(OVSDBFault) {
        var limits = DocumentLimits()
        limits.size = max(text.count, 1)
        limits.nodes = 8_000_000
        guard let json = JSONValue(parsing: text, limits: limits) else {
            throw OVSDBFault("a message is not valid JSON")
        }
        try self.init(json)
    }
    public init(_ json: JSONValue) throws(OVSDBFault) {
        let id = json["id"] ?? .null
        if let method = json["method"] {
            guard case .string(let method) = method else { throw OVSDBFault("a method that is no text") }
            guard case .array(let parameters)? = json["params"] else {
                throw OVSDBFault("method \(method) without parameters")
            }
            self =
                id == .null
                ? .notification(method: method, parameters: parameters)
                : .request(id: id, method: method, parameters: parameters)
            return
        }
        guard json["result"] != nil || json["error"] != nil else {
            throw OVSDBFault("a message that is neither a request nor a reply")
        }
        switch json["error"] ?? .null {
        case .null: self = .reply(id: id, result: json["result"] ?? .null)
        case .string(let text): self = .failure(id: id, DatabaseError(text))
        case let error:
            guard let error = try DatabaseError(error) else { throw OVSDBFault("an error without a text") }
            self = .failure(id: id, error)
        }
    }
    public var json: JSONValue {
        switch self {
        case .request(let id, let method, let parameters):
            ["method": .string(method), "params": .array(parameters), "id": id]
        case .notification(let method, let parameters):
            ["method": .string(method), "params": .array(parameters), "id": nil]
        case .reply(let id, let result): ["result": result, "error": nil, "id": id]
        case .failure(let id, let error):
            ["result": nil, "error": error.details == nil ? .string(error.error) : error.json, "id": id]
        }
    }
    public var octets: [UInt8] {
        var text: [UInt8] = []
        json.write(to: &text)
        return text
    }
}

extension DatabaseError {
    var json: JSONValue { ["error": .string(error), "details": details.map { .string($0) } ?? .null] }
}
