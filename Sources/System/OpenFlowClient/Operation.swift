// What a connection is asked to do, one after the other.

import OpenFlow

/// A connection ended before the answer came: what was asked for may have happened or not.
public struct ConnectionEnded: Error, Hashable, Sendable, CustomStringConvertible {
    public let reason: String
    public init(_ reason: String) { self.reason = reason }
    public var description: String { reason }
}

/// A request with its answer. Calls come from the connection that runs it.
protocol Operation: AnyObject {
    /// Writes more of the request; called until `hasMore` is false, whenever the socket has taken what was written before.
    func write(to output: inout MessageWriter, _ transactions: inout Transactions)
    var hasMore: Bool { get }
    /// True: that was the last message.
    func received(_ message: Message, _ transaction: UInt32) -> Bool
    /// The connection ended.
    func ended(_ reason: ConnectionEnded)
    /// After `received` was true.
    func finish()
}

/// Identifiers of messages, by which answers are told apart.
struct Transactions {
    private var last: UInt32 = 0
    /// The first of `count` in a row.
    mutating func next(_ count: Int = 1) -> UInt32 {
        let first = last &+ 1
        last = last &+ UInt32(truncatingIfNeeded: count)
        return first
    }
}

/// A multipart request: the answer comes in pieces.
final class MultipartOperation: Operation {
    private let request: (inout MessageWriter, UInt32) -> Void
    private let piece: (MultipartReply) -> Void
    private let done: (Result<Void, any Error>) -> Void
    private var transaction: UInt32?
    private var outcome: Result<Void, any Error> = .success(())

    init(
        _ request: @escaping (inout MessageWriter, UInt32) -> Void, piece: @escaping (MultipartReply) -> Void,
        done: @escaping (Result<Void, any Error>) -> Void
    ) {
        self.request = request
        self.piece = piece
        self.done = done
    }
    var hasMore: Bool { transaction == nil }
    func write(to output: inout MessageWriter, _ transactions: inout Transactions) {
        let number = transactions.next()
        transaction = number
        request(&output, number)
    }
    func received(_ message: Message, _ transaction: UInt32) -> Bool {
        guard transaction == self.transaction else { return false }
        switch message {
        case .multipart(let reply, let isLast):
            piece(reply)
            return isLast
        case .error(let error):
            outcome = .failure(error)
            return true
        default: return false
        }
    }
    func finish() { done(outcome) }
    func ended(_ reason: ConnectionEnded) { done(.failure(reason)) }
}
