// What a gRPC client is told and what it answers: where the server is, how it proves who it is, and how a call ended.

/// Where a gRPC server listens.
public enum GRPCEndpoint: Hashable, Sendable, CustomStringConvertible {
    /// A host name or an address without brackets.
    case tcp(host: String, port: UInt16)
    /// An absolute path of at most 107 octets.
    case unix(path: String)

    public var description: String {
        switch self {
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unix(let path): "unix://\(path)"
        }
    }
    /// The `:authority` of requests; a socket has none, and servers expect a placeholder.
    var authority: String {
        if case .unix = self { return "localhost" }
        return description
    }
}

/// How to talk TLS 1.2 or later. The server's certificate and name are always verified.
public struct GRPCTLS: Hashable, Sendable {
    /// PEM file of the authorities to trust; nil: those of the system.
    public var authorities: String?
    /// PEM file of our certificate and its chain, for servers that ask for one; needs `key`.
    public var certificate: String?
    public var key: String?
    /// The name or address that the server's certificate must carry; nil: the host of the endpoint.
    public var serverName: String?
    public init(
        authorities: String? = nil, certificate: String? = nil, key: String? = nil, serverName: String? = nil
    ) {
        self.authorities = authorities
        self.certificate = certificate
        self.key = key
        self.serverName = serverName
    }
}

/// How a call ended, in the codes of the gRPC specification.
public struct GRPCStatus: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: Int, Sendable {
        case ok, cancelled, unknown, invalidArgument, deadlineExceeded, notFound, alreadyExists, permissionDenied
        case resourceExhausted, failedPrecondition, aborted, outOfRange, unimplemented, `internal`, unavailable
        case dataLoss, unauthenticated
    }
    public var code: Code
    public var message: String
    public init(_ code: Code, _ message: String = "") {
        self.code = code
        self.message = message
    }
    public var isOK: Bool { code == .ok }
    public var description: String { message.isEmpty ? "\(code)" : "\(code): \(message)" }

    /// What an HTTP status means when no gRPC status came with it.
    init(httpStatus: Int) {
        let code: Code =
            switch httpStatus {
            case 400: .internal
            case 401: .unauthenticated
            case 403: .permissionDenied
            case 404: .unimplemented
            case 429, 502, 503, 504: .unavailable
            default: .unknown
            }
        self.init(code, "HTTP status \(httpStatus) without a gRPC status")
    }
}

/// Takes the messages of one call, in pieces as they arrive, so that a message of a hundred megabytes is never held whole.
public struct MessageReceiver {
    /// Messages above this many octets end the call with `resourceExhausted`.
    public var limit: Int
    /// A message of so many octets begins.
    var begin: (Int) -> Void
    /// The next octets of the message; valid during the call only.
    var append: (UnsafeRawBufferPointer) -> Void
    /// The message is complete.
    var end: () -> Void

    public static func pieces(
        limit: Int, begin: @escaping (Int) -> Void, append: @escaping (UnsafeRawBufferPointer) -> Void,
        end: @escaping () -> Void
    ) -> MessageReceiver {
        MessageReceiver(limit: limit, begin: begin, append: append, end: end)
    }
    /// Whole messages, for those that are known to be small.
    public static func whole(limit: Int = 4 << 20, _ handler: @escaping ([UInt8]) -> Void) -> MessageReceiver {
        var message: [UInt8] = []
        return MessageReceiver(
            limit: limit,
            begin: { length in
                message = []
                message.reserveCapacity(min(length, 1 << 16))
            },
            append: { message.append(contentsOf: $0) },
            end: {
                let whole = message
                message = []
                handler(whole)
            })
    }
}
