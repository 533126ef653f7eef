import Telemetry
import Testing

@testable import Agent

@Suite struct OptionsTests {
    @Test func readsEveryOption() throws {
        let options = try Options.parse([
            "--config", "a.yaml", "--socket=/tmp/s", "--state-dir", "/tmp/d", "--log-level", "debug", "--check",
        ]).get()
        #expect(options.configurationPath == "a.yaml")
        #expect(options.socketPath == "/tmp/s")
        #expect(options.stateDirectory == "/tmp/d")
        #expect(options.logLevel == .debug)
        #expect(options.checksOnly)
    }

    @Test(arguments: [["--config"], ["--nonsense"], ["--log-level", "loud"], ["word"]])
    func refusesWhatItDoesNotKnow(_ arguments: [String]) {
        #expect(throws: UsageError.self) { try Options.parse(arguments).get() }
    }

    @Test func knowsWhetherItMayChangeTheNetwork() {
        #expect(Privileges.canAdministerNetwork(status: "Name:\tx\nCapEff:\t000001ffffffffff\n"))
        #expect(!Privileges.canAdministerNetwork(status: "CapEff:\t0000000000000400\n"))
        #expect(Privileges.canAdministerNetwork(status: "nothing of the kind"))
    }
}
