// What WatchEvent answers. A message can hold a whole table (100,000 paths, 80 MB and more from gobgpd 3.10), so it is read while it
// arrives: each path is reported as soon as it is complete, and only an incomplete one is kept.

public import NetTypes

/// A change of a session, or the present state of one.
public struct PeerEvent: APIMessage {
    public enum Kind: UInt64, APIEnumeration {
        case unknown = 0
        /// The present state of a session.
        case present = 1
        /// All present states have been sent.
        case endOfPresent = 2
        case change = 3
        public static var isShifted: Bool { false }
    }
    public var kind = Kind.unknown
    public var peer = Peer()
    public init() {}
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.enumeration(1, &kind)
        coder.message(2, &peer)
    }
}

/// A whole answer in memory, for small ones and for servers in tests; `WatchEventDecoder` is for clients.
public struct WatchEventReply: APIMessage {
    public struct Table: APIMessage {
        public var paths: [DecodedPath] = []
        public init() {}
        public mutating func fields(_ coder: inout FieldCoder) { coder.paths(2, &paths) }
    }
    public var peer: PeerEvent?
    public var table: Table?
    public init() {}
    public init(_ paths: [APIPath]) {
        table = Table()
        table?.paths = paths.map { .success($0) }
    }
    public init(_ peer: PeerEvent) { self.peer = peer }
    public mutating func fields(_ coder: inout FieldCoder) {
        coder.message(2, &peer)
        coder.message(3, &table)
    }
}

/// A part of an answer.
public enum WatchEventElement: Sendable {
    case path(DecodedPath)
    case peer(PeerEvent)
}

/// Reads the messages of a WatchEvent stream piece by piece.
///
///     decoder.begin()                       // the transport starts a message
///     try decoder.append(piece) { ... }     // for each piece of it, of any size
///     let summary = try decoder.end()       // the transport says the message is complete
public struct WatchEventDecoder {
    /// What a complete message held.
    public struct Summary: Hashable, Sendable {
        /// Whether it was about the table. One about no path ends the initial state of an empty table.
        public var isTable = false
        /// Paths, usable or not.
        public var paths = 0
        /// Paths that could not be used.
        public var faults = 0
        public init(isTable: Bool = false, paths: Int = 0, faults: Int = 0) {
            self.isTable = isTable
            self.paths = paths
            self.faults = faults
        }
    }
    /// Octets of one path, or of one peer event, that are kept while they arrive.
    public static let elementLimit = APIPath.maximumSize

    private enum Target { case path, peer }
    private enum State {
        /// Before a field of the answer, or of `TableEvent` while `tableEnd` is set.
        case field
        /// Inside a field that is kept until it is complete; `count` octets of it, more than 0, are still to come.
        case element(Target, count: Int)
        /// Inside a field that is not known; `count` is more than 0.
        case skipping(count: Int)
    }

    private let generation: APIGeneration
    private var state = State.field
    /// Where in the message `TableEvent` ends; nil outside of it.
    private var tableEnd: Int?
    /// The beginning of a tag and length, or of an element, that did not end in the last piece.
    private var kept: [UInt8] = []
    /// Octets of the message that were consumed; those in `kept` are.
    private var offset = 0
    private var summary = Summary()

    public init(_ generation: APIGeneration) { self.generation = generation }

    /// Octets kept now.
    public var keptCount: Int { kept.count }

    /// Forgets whatever was there and starts a message.
    public mutating func begin() {
        state = .field
        tableEnd = nil
        kept.removeAll(keepingCapacity: kept.capacity <= 65536)
        offset = 0
        summary = Summary()
    }

    /// Reads the next piece. Throws when the message is malformed; nothing more can then be read from it.
    public mutating func append(_ piece: UnsafeRawBufferPointer, _ emit: (WatchEventElement) -> Void) throws(ByteError)
    {
        var rest = piece
        while !rest.isEmpty {
            switch state {
            case .field: try header(&rest, emit)
            case .skipping(let count):
                let taken = min(count, rest.count)
                consume(taken, of: &rest)
                state = taken == count ? .field : .skipping(count: count - taken)
                if taken == count { leaveTable() }
            case .element(let target, let count):
                let taken = min(count, rest.count)
                let part = UnsafeRawBufferPointer(rebasing: rest[..<taken])
                consume(taken, of: &rest)
                if taken < count {
                    kept.append(contentsOf: part)
                    state = .element(target, count: count - taken)
                    return
                }
                state = .field
                if kept.isEmpty {
                    try element(target, part, emit)
                } else {
                    kept.append(contentsOf: part)
                    let whole = kept
                    kept.removeAll(keepingCapacity: kept.count <= 65536)
                    try whole.withBorrowed { bytes throws(ByteError) in try element(target, bytes, emit) }
                }
                leaveTable()
            }
        }
    }
    public mutating func append(_ piece: [UInt8], _ emit: (WatchEventElement) -> Void) throws(ByteError) {
        try piece.withBorrowed { bytes throws(ByteError) in try append(bytes, emit) }
    }

    /// Says that the message is complete. Throws when it ends inside a field.
    public mutating func end() throws(ByteError) -> Summary {
        guard case .field = state, tableEnd == nil, kept.isEmpty else {
            throw ByteError("WatchEvent answer cut off", at: offset)
        }
        let result = summary
        begin()
        return result
    }

    private mutating func consume(_ count: Int, of rest: inout UnsafeRawBufferPointer) {
        rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        offset += count
    }
    private mutating func leaveTable() {
        if offset == tableEnd { tableEnd = nil }
    }

    /// Reads a tag and what follows it up to the content, or keeps what there is of it.
    private mutating func header(
        _ rest: inout UnsafeRawBufferPointer, _ emit: (WatchEventElement) -> Void
    ) throws(ByteError) {
        var head = Head()
        let earlier = kept.count
        // At most a tag and a varint of ten octets each.
        kept.append(contentsOf: rest.prefix(20))
        let found: Head? = try kept.withBorrowed { bytes throws(ByteError) in try head.read(bytes) ? head : nil }
        guard let found else {
            guard kept.count < 20 else { throw ByteError("field tag", at: offset) }
            return consume(rest.count, of: &rest)
        }
        kept.removeAll(keepingCapacity: true)
        consume(found.size - earlier, of: &rest)
        if let tableEnd, offset > tableEnd || found.length > tableEnd - offset {
            throw ByteError("field longer than its table", at: offset)
        }
        var target: Target?
        switch (tableEnd != nil, found.number, found.isMessage) {
        case (false, 2, true): target = .peer
        case (true, 2, true): target = .path
        case (false, 3, true):
            summary.isTable = true
            if found.length > 0 { tableEnd = offset + found.length }
            return
        default: break
        }
        if let target {
            guard found.length <= WatchEventDecoder.elementLimit else {
                throw ByteError(
                    "element of \(found.length) octets, above \(WatchEventDecoder.elementLimit)", at: offset)
            }
            if found.length > 0 {
                state = .element(target, count: found.length)
                return
            }
            try element(target, UnsafeRawBufferPointer(start: nil, count: 0), emit)
        } else if found.length > 0 {
            state = .skipping(count: found.length)
            return
        }
        leaveTable()
    }

    /// The beginning of a field.
    private struct Head {
        var number = 0
        var isMessage = false
        /// Octets of content.
        var length = 0
        /// Octets before the content.
        var size = 0

        /// False when `bytes` end before the content begins. Varints that are no length belong to the head.
        mutating func read(_ bytes: UnsafeRawBufferPointer) throws(ByteError) -> Bool {
            var reader = ProtobufReader(bytes)
            guard let tag = try Head.varint(&reader) else { return false }
            guard tag >> 3 > 0, tag >> 3 < 1 << 29, let type = ProtobufReader.WireType(rawValue: UInt8(tag & 7)) else {
                throw ByteError("field tag", at: 0)
            }
            number = Int(tag >> 3)
            isMessage = type == .bytes
            switch type {
            case .fixed32: length = 4
            case .fixed64: length = 8
            case .varint: if try Head.varint(&reader) == nil { return false }
            case .bytes:
                guard let value = try Head.varint(&reader) else { return false }
                // Above any message; keeps sums of offsets in range.
                guard let length = Int32(exactly: value) else { throw ByteError("field length", at: 0) }
                self.length = Int(length)
            }
            size = reader.offset
            return true
        }
        /// Nil when the octets end before the varint does.
        private static func varint(_ reader: inout ProtobufReader) throws(ByteError) -> UInt64? {
            let octets = reader.remaining
            guard octets.prefix(10).contains(where: { $0 < 0x80 }) || octets.count >= 10 else { return nil }
            return try reader.varint()
        }
    }

    private mutating func element(
        _ target: Target, _ bytes: UnsafeRawBufferPointer, _ emit: (WatchEventElement) -> Void
    ) throws(ByteError) {
        switch target {
        case .path:
            let path = APIPath.decode(ProtobufReader(bytes), generation)
            summary.paths += 1
            if case .failure = path { summary.faults += 1 }
            emit(.path(path))
        case .peer: emit(.peer(try PeerEvent(decoding: bytes, generation)))
        }
    }
}

extension Array where Element == UInt8 {
    fileprivate func withBorrowed<R>(_ body: (UnsafeRawBufferPointer) throws(ByteError) -> R) throws(ByteError) -> R {
        let result: Result<R, ByteError> = withUnsafeBytes { bytes in
            do throws(ByteError) { return .success(try body(bytes)) } catch { return .failure(error) }
        }
        return try result.get()
    }
}
