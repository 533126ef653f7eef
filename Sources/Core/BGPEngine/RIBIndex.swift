// From a route key to its slot. The keys themselves stay in the destination array, so the index costs 11 to 22 octets per route,
// where a Dictionary would store every 48-octet key a second time.

import BGP

/// An open-addressing hash table (linear probing, backward-shift deletion) of 64-bit cells: hash (32) | slot + 1 (32).
/// `RouteKey.hashValue` is seeded per process, so peers cannot choose colliding keys.
struct RIBIndex: Sendable {
    private var cells: [UInt64]
    private var mask: Int
    private(set) var count = 0

    init() {
        cells = Array(repeating: 0, count: 64)
        mask = 63
    }

    /// The half of a key's hash that is kept beside its slot.
    @inline(__always) static func hash(_ key: RouteKey) -> UInt32 { UInt32(truncatingIfNeeded: key.hashValue) }

    /// The slot for which `matches` holds among those with this hash.
    @inline(__always) func find(_ hash: UInt32, _ matches: (UInt32) -> Bool) -> UInt32? {
        var position = Int(hash) & mask
        while true {
            let cell = cells[position]
            if cell == 0 { return nil }
            if UInt32(truncatingIfNeeded: cell >> 32) == hash {
                let slot = UInt32(truncatingIfNeeded: cell) &- 1
                if matches(slot) { return slot }
            }
            position = (position &+ 1) & mask
        }
    }

    /// Adds a slot that is not there yet.
    mutating func insert(_ hash: UInt32, slot: UInt32) {
        if (count + 1) * 4 > cells.count * 3 { grow() }
        put(UInt64(hash) << 32 | UInt64(slot &+ 1))
        count += 1
    }

    mutating func remove(_ hash: UInt32, slot: UInt32) {
        let wanted = UInt64(hash) << 32 | UInt64(slot &+ 1)
        var hole = Int(hash) & mask
        while cells[hole] != wanted {
            if cells[hole] == 0 { return }
            hole = (hole &+ 1) & mask
        }
        count -= 1
        var next = hole
        while true {
            next = (next &+ 1) & mask
            let cell = cells[next]
            if cell == 0 { break }
            let home = Int(cell >> 32) & mask
            // A cell may move into the hole unless its home lies between the two.
            if (next &- home) & mask >= (next &- hole) & mask {
                cells[hole] = cell
                hole = next
            }
        }
        cells[hole] = 0
    }

    private mutating func put(_ cell: UInt64) {
        var position = Int(cell >> 32) & mask
        while cells[position] != 0 { position = (position &+ 1) & mask }
        cells[position] = cell
    }
    private mutating func grow() {
        let old = cells
        cells = Array(repeating: 0, count: old.count * 2)
        mask = cells.count - 1
        for cell in old where cell != 0 { put(cell) }
    }
}
