// Changes are applied all at once, as a bundle, and what the switch refuses is told by its position.

import OpenFlow

/// A change that the switch did not take.
public struct Refusal: Hashable, Sendable, CustomStringConvertible {
    /// Position in the list of changes.
    public let index: Int
    /// The switch's own word for it (`OFPBAC_MATCH_INCONSISTENT`), or why it could not be sent.
    public let reason: String
    public var description: String { "change \(index): \(reason)" }
}

/// Sends changes as one bundle. Open vSwitch checks each message as it comes, and refuses only that one; what fails when the bundle is
/// committed refuses all of it, and the bundle is sent again without the change that was to blame. After `maximumBundles` of them the
/// changes that are left are sent one by one.
final class ApplyOperation: Operation {
    static let maximumBundles = 4

    private let changes: [BridgeChange]
    private let cookies: FlowFilter
    private let done: (Result<[Refusal], ConnectionEnded>) -> Void
    private var refusals: [Int: String] = [:]
    /// What this round sends.
    private var remaining: [Int]
    private var round = Round.none
    private var bundles = 0

    private enum Round {
        case none
        /// `first`: transaction of the first change; the open comes before, the commit after them.
        case bundle(UInt32, first: UInt32, written: Int, isCommitted: Bool)
        case single(first: UInt32, written: Int, isComplete: Bool)
    }
    /// How many octets are written at a time.
    private static let batch = 256 * 1024

    init(
        _ changes: [BridgeChange], cookies: FlowFilter, _ done: @escaping (Result<[Refusal], ConnectionEnded>) -> Void
    ) {
        self.changes = changes
        self.cookies = cookies
        self.done = done
        remaining = Array(changes.indices)
    }

    var hasMore: Bool {
        switch round {
        case .none: true
        case .bundle(_, _, _, let isCommitted): !isCommitted
        case .single(_, _, let isComplete): !isComplete
        }
    }

    func write(to output: inout MessageWriter, _ transactions: inout Transactions) {
        switch round {
        case .none: begin(&output, &transactions)
        case .bundle(let bundle, let first, let written, false):
            let written = write(to: &output, from: written, first, bundle: bundle)
            let isLast = written == remaining.count
            if isLast { output.bundle(.commit, first &+ UInt32(truncatingIfNeeded: remaining.count), bundle: bundle) }
            round = .bundle(bundle, first: first, written: written, isCommitted: isLast)
        case .single(let first, let written, false):
            let written = write(to: &output, from: written, first, bundle: nil)
            let isLast = written == remaining.count
            if isLast { output.barrier(first &+ UInt32(truncatingIfNeeded: remaining.count)) }
            round = .single(first: first, written: written, isComplete: isLast)
        case .bundle, .single: break
        }
    }

    private func begin(_ output: inout MessageWriter, _ transactions: inout Transactions) {
        let first = transactions.next(remaining.count + 2) &+ 1
        // A message alone is done or refused as a whole anyway.
        if remaining.count <= 1 || bundles == ApplyOperation.maximumBundles {
            round = .single(first: first, written: 0, isComplete: false)
        } else {
            bundles += 1
            let bundle = first
            output.bundle(.open, first &- 1, bundle: bundle)
            round = .bundle(bundle, first: first, written: 0, isCommitted: false)
        }
        write(to: &output, &transactions)
    }

    /// Returns how many changes are written now.
    private func write(to output: inout MessageWriter, from start: Int, _ first: UInt32, bundle: UInt32?) -> Int {
        let limit = output.count + ApplyOperation.batch
        var index = start
        while index < remaining.count, output.count < limit {
            let transaction = first &+ UInt32(truncatingIfNeeded: index)
            let change = remaining[index]
            if !output.change(changes[change], transaction, bundle: bundle, cookies: cookies) {
                refusals[change] = "longer than an OpenFlow message can be"
            }
            index += 1
        }
        return index
    }

    func received(_ message: Message, _ transaction: UInt32) -> Bool {
        let first: UInt32
        switch round {
        case .none: return false
        case .bundle(_, let number, _, _), .single(let number, _, _): first = number
        }
        let position = Int(transaction &- first)
        switch message {
        case .error(let error):
            if position < remaining.count {
                refusals[remaining[position]] = "\(error)"
                return false
            }
            if position == remaining.count { return failed(error) }
            // The bundle could not be opened: the commit is refused as well.
            return false
        case .bundleReply(.commit, _), .barrierReply: return position == remaining.count
        default: return false
        }
    }

    /// The commit was refused. Again without what is to blame, and one by one when nothing is.
    private func failed(_ error: SwitchError) -> Bool {
        let count = remaining.count
        remaining.removeAll { refusals[$0] != nil }
        if case .single = round {
            // A barrier is not refused; if it is, nothing is known of the changes.
            for change in remaining { refusals[change] = "\(error)" }
            return true
        }
        if remaining.isEmpty { return true }
        if remaining.count == count { bundles = ApplyOperation.maximumBundles }
        round = .none
        return false
    }

    func finish() {
        done(.success(refusals.sorted { $0.key < $1.key }.map { Refusal(index: $0.key, reason: $0.value) }))
    }
    func ended(_ reason: ConnectionEnded) { done(.failure(reason)) }
}
