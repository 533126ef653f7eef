// Fabrics of real speakers and control planes on virtual time: trouble for some minutes, then rest, then everything must be true.
// EVPND_SEED reproduces a run; EVPND_ROUNDS asks for more of them.

import Glibc
import Simulator
import Testing

private func environment(_ name: String) -> UInt64? { getenv(name).flatMap { UInt64(String(cString: $0)) } }

private let seeds: [UInt64] = {
    if let seed = environment("EVPND_SEED") { return [seed] }
    let base = UInt64.random(in: 0..<1_000_000)
    return (0..<(environment("EVPND_ROUNDS") ?? 3)).map { base + $0 }
}()

@Suite(.serialized) struct SimulatorTests {
    /// Without trouble everything is in place soon after the start.
    @Test func startsUp() {
        let world = World(seed: 1)
        world.run(seconds: 60)
        let problems = world.check()
        #expect(problems.isEmpty, "\(problems.prefix(5).joined(separator: "\n"))")
    }

    @Test(arguments: seeds)
    func convergesAfterTrouble(seed: UInt64) {
        var parameters = WorldParameters()
        parameters.reflectors = 1 + Int(seed % 2)
        // Without optimization tens of VTEPs take long: one such run, and smaller ones.
        let isLarge = seed == seeds[0]
        parameters.vteps = isLarge ? 20 : 10
        parameters.stations = isLarge ? 60 : 30
        let world = World(seed: seed, parameters)
        world.run(seconds: 30)
        world.makeTrouble(seconds: 90)
        world.calmDown(seconds: 120)
        let problems = world.check()
        #expect(
            problems.isEmpty,
            "EVPND_SEED=\(seed), \(problems.count) problems:\n\(problems.prefix(8).joined(separator: "\n"))")
        #expect(world.updatesBetweenReflectors <= 2 * world.updatesFromVTEPs, "EVPND_SEED=\(seed)")
        #expect(world.troubles.count >= 6, "\(world.troubles)")
        let left = world.dissolve(seconds: 90)
        #expect(left.isEmpty, "EVPND_SEED=\(seed) after the end:\n\(left.prefix(8).joined(separator: "\n"))")
    }

    /// The same seed gives the same run, to the octet.
    @Test func isReproducible() {
        func digest() -> UInt64 {
            let world = World(seed: 7)
            world.run(seconds: 10)
            world.makeTrouble(seconds: 10)
            return world.digest
        }
        #expect(digest() == digest())
    }
}
