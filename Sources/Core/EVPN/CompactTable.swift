// The storage of the control plane: rows of a few dozen octets found by key or by number, with some fifteen octets of overhead
// a row. A `Dictionary` with the same content takes two to three times the memory, and its values cannot be linked to.

/// The number of a row; stays the same as long as the row lives.
typealias Slot = UInt32

extension Slot {
    /// "No row", the end of a chain.
    static let none = Slot.max
    var exists: Bool { self != .none }
}

/// A row that knows its own key.
protocol TableRow {
    associatedtype Key
    var key: Key { get }
    func hasKey(_ key: Key) -> Bool
    /// Must spread well in all bits; `seed` differs from process to process, since peers choose the keys.
    static func hash(_ key: Key, seed: UInt64) -> UInt64
    /// What fills an unused place; `isVacant` of it is true, and of no stored row.
    static var vacant: Self { get }
    var isVacant: Bool { get }
}

/// Mixes two words into one (the multiply-and-fold step of wyhash).
@inline(__always) func mix(_ a: UInt64, _ b: UInt64) -> UInt64 {
    let product = a.multipliedFullWidth(by: b)
    return product.high ^ product.low
}

/// A hash table of rows with stable numbers: chunks of rows, and an open-addressed index of row numbers beside them.
struct CompactTable<Row: TableRow> {
    private static var chunkBits: Int { 10 }
    private static var chunkSize: Int { 1 << chunkBits }

    private var chunks: [ContiguousArray<Row>] = []
    private var unused: [Slot] = []
    /// Hash fragment (32) | row number plus one (32); 0 is empty. A power of two, at most 3/4 full. With the fragment here,
    /// probing and growing do not touch the rows.
    private var buckets: [UInt64] = []
    private let seed: UInt64
    private(set) var count = 0
    /// One more than the highest row number ever used since the table was last empty.
    private(set) var end: Slot = 0

    init(seed: UInt64) { self.seed = seed }

    subscript(slot: Slot) -> Row {
        @inline(__always) _read { yield chunks[Int(slot) >> Self.chunkBits][Int(slot) & (Self.chunkSize - 1)] }
        @inline(__always) _modify { yield &chunks[Int(slot) >> Self.chunkBits][Int(slot) & (Self.chunkSize - 1)] }
    }

    /// The numbers of all rows, ascending.
    var slots: [Slot] {
        var result: [Slot] = []
        result.reserveCapacity(count)
        for slot in 0..<end where !self[slot].isVacant { result.append(slot) }
        return result
    }

    /// 32 bits of hash, of which the lower ones give the home bucket.
    @inline(__always) private func fragment(_ key: Row.Key) -> UInt64 {
        Row.hash(key, seed: seed) & 0xffff_ffff
    }

    func find(_ key: Row.Key) -> Slot? {
        guard count > 0 else { return nil }
        let fragment = fragment(key)
        return buckets.withUnsafeBufferPointer { buckets in
            let mask = buckets.count - 1
            var bucket = Int(fragment) & mask
            while buckets[bucket] != 0 {
                if buckets[bucket] >> 32 == fragment {
                    let slot = Slot(truncatingIfNeeded: buckets[bucket]) - 1
                    if self[slot].hasKey(key) { return slot }
                }
                bucket = (bucket + 1) & mask
            }
            return nil
        }
    }

    /// Adds a row whose key is not in the table.
    mutating func insert(_ row: Row) -> Slot {
        if (count + 1) * 4 > buckets.count * 3 { grow() }
        let slot: Slot
        if let reused = unused.popLast() {
            slot = reused
        } else {
            slot = end
            end += 1
            if Int(slot) >> Self.chunkBits == chunks.count {
                chunks.append(ContiguousArray(repeating: .vacant, count: Self.chunkSize))
            }
        }
        self[slot] = row
        place(fragment(row.key) << 32 | UInt64(slot + 1))
        count += 1
        return slot
    }

    mutating func remove(_ slot: Slot) {
        let mask = buckets.count - 1
        let fragment = fragment(self[slot].key)
        let content = fragment << 32 | UInt64(slot + 1)
        var hole = Int(fragment) & mask
        while buckets[hole] != content { hole = (hole + 1) & mask }
        // Backward shift: what probing has pushed past the hole moves up, so that no tombstones are needed.
        var next = (hole + 1) & mask
        while buckets[next] != 0 {
            let home = Int(buckets[next] >> 32) & mask
            if (next - home) & mask >= (next - hole) & mask {
                buckets[hole] = buckets[next]
                hole = next
            }
            next = (next + 1) & mask
        }
        buckets[hole] = 0
        self[slot] = .vacant
        count -= 1
        if count == 0 {
            chunks = []
            unused = []
            buckets = []
            end = 0
        } else {
            unused.append(slot)
        }
    }

    private mutating func place(_ content: UInt64) {
        let mask = buckets.count - 1
        var bucket = Int(content >> 32) & mask
        while buckets[bucket] != 0 { bucket = (bucket + 1) & mask }
        buckets[bucket] = content
    }
    private mutating func grow() {
        let old = buckets
        buckets = Array(repeating: 0, count: max(16, old.count * 2))
        for content in old where content != 0 { place(content) }
    }
}

/// Rows found only by number.
struct Slab<Element> {
    private static var chunkBits: Int { 10 }
    private static var chunkSize: Int { 1 << chunkBits }
    private var chunks: [ContiguousArray<Element>] = []
    private var unused: [Slot] = []
    private let filler: Element
    private(set) var count = 0
    private var end: Slot = 0

    init(filler: Element) { self.filler = filler }

    subscript(slot: Slot) -> Element {
        @inline(__always) _read { yield chunks[Int(slot) >> Self.chunkBits][Int(slot) & (Self.chunkSize - 1)] }
        @inline(__always) _modify { yield &chunks[Int(slot) >> Self.chunkBits][Int(slot) & (Self.chunkSize - 1)] }
    }
    /// One more than the highest number in use; places of removed rows hold the filler.
    var slots: Range<Slot> { 0..<end }

    mutating func insert(_ element: Element) -> Slot {
        count += 1
        if let slot = unused.popLast() {
            self[slot] = element
            return slot
        }
        let slot = end
        end += 1
        if Int(slot) >> Self.chunkBits == chunks.count {
            chunks.append(ContiguousArray(repeating: filler, count: Self.chunkSize))
        }
        self[slot] = element
        return slot
    }
    mutating func remove(_ slot: Slot) {
        self[slot] = filler
        count -= 1
        if count == 0 {
            chunks = []
            unused = []
            end = 0
        } else {
            unused.append(slot)
        }
    }
}
