// What a gRPC client answers: how a call ended.

import NetTypes

extension StreamEndpoint {
    /// The `:authority` of requests; a socket has none, and servers expect a placeholder.
    var authority: String {
        if case .unix = self { return "localhost" }
        return description
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
