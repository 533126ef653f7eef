import Intents
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

    /// The flags of evpn-connector are options of its file.
    @Test func readsFlagsOfEVPNConnector() throws {
        let options = try Options.parse([
            "--from", "evpn-connector", "/etc/evpn.conf", "--daemon-configs_dir", "/etc/clients",
            "--gobgp-as_number=65000", "--nogobgp-policy_enabled", "--ovs-enable_sudo", "--config-dir",
            "/etc/evpn.conf.d",
        ]).get()
        #expect(options.takeover == .evpnConnector)
        #expect(options.configurationPath == "/etc/evpn.conf")
        #expect(options.configurationDirectories == ["/etc/evpn.conf.d"])
        #expect(
            options.overrides == [
                .init(section: "daemon", key: "configs_dir", value: "/etc/clients"),
                .init(section: "gobgp", key: "as_number", value: "65000"),
                .init(section: "gobgp", key: "policy_enabled", value: "false"),
                .init(section: "ovs", key: "enable_sudo", value: "true"),
            ])
        for arguments in [
            ["--from", "evpn-connector", "--ovs-color", "red"], ["--from", "evpn-connector", "--ovs-switch_name"],
            ["--ovs-switch_name", "br0"], ["--from", "gobgpd"], ["--config-dir", "/tmp"],
        ] {
            #expect(throws: UsageError.self, "\(arguments)") { try Options.parse(arguments).get() }
        }
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
