// A generator that can be started again from a printed seed.

import Glibc

/// SplitMix64.
struct Random: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
    mutating func below(_ limit: Int) -> Int { Int.random(in: 0..<limit, using: &self) }
    mutating func chance(_ percent: Int) -> Bool { below(100) < percent }
}

/// `EVPND_SEED`, or one that differs from run to run; tests print it when they fail.
let baseSeed: UInt64 = {
    if let text = getenv("EVPND_SEED"), let seed = UInt64(String(cString: text)) { return seed }
    return UInt64.random(in: 0..<1_000_000)
}()
