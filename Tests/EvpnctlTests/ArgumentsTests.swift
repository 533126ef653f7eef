// The command line of evpnctl: what is read, what is refused and how.

import Testing

@testable import evpnctl

@Suite struct ArgumentsTests {
    private func parse(_ words: String...) throws -> Arguments { try Arguments.parse(words).get() }

    @Test func optionsStandAnywhere() throws {
        let arguments = try parse("--socket", "/s", "show", "--vni=5", "macs", "--json", "--mac", "02:00:00:00:00:01")
        #expect(arguments.words == ["show", "macs"])
        #expect(arguments.options == ["--socket": "/s", "--vni": "5", "--mac": "02:00:00:00:00:01"])
        #expect(arguments.flags == ["--json"])
    }

    @Test(arguments: [["show", "macs", "--vni"], ["show", "--colour"], ["--socket"]])
    func wrongOptionsAreUsageErrors(_ words: [String]) {
        guard case .failure(let error) = Arguments.parse(words) else {
            Issue.record("\(words) was accepted")
            return
        }
        #expect(error.status == 2)
        #expect(words.contains { error.reason.contains($0) }, "\(error.reason) names the option")
    }

    /// None of these reaches a daemon: there is none at this socket, which would be exit status 3.
    @Test(arguments: [
        ["show", "prefixes", "a", "b"], ["show", "vrfs", "ten"], ["show", "prefixes", "ten", "--vrf", "ten"],
        ["explain", "prefix", "10.0.0.0/33"], ["explain", "vni", "0"], ["explain", "mac", "1"], ["show", "vrf"],
        ["explain", "prefix"], ["explain", "ip", "10.0.0.1", "--vni", "5"], ["explain", "vni", "5", "--vrf", "ten"],
        ["show", "vnis", "--vni", "5"], ["show", "status", "--best"], ["explain", "vtep", "192.0.2.1", "--vni", "5"],
        ["plan", "--yes"], ["plan", "now"], ["watch", "--type", "2"], ["reload", "it"], ["recover", "vni", "5"],
        ["neighbor", "clear"], ["neighbor", "clear", "192.0.2.1", "text"], ["neighbor", "love", "192.0.2.1"],
        ["cleanup"], ["cleanup", "all", "--yes"], ["show"], ["show", "nothing"], ["explain", "mac"], ["nonsense"],
    ])
    func whatWouldBeIgnoredIsRefused(_ words: [String]) throws {
        let arguments = try Arguments.parse(words + ["--socket", "/nowhere/evpnd.sock"]).get()
        do throws(CommandError) {
            try run(arguments)
            Issue.record("\(words) was accepted")
        } catch {
            #expect(error.status == 2, "\(error.reason)")
        }
    }

    @Test(arguments: [
        ["show", "status"], ["show", "macs", "--vni", "5", "--json"], ["plan"], ["watch"], ["reload"],
        ["neighbor", "shutdown", "192.0.2.1", "for", "maintenance"], ["cleanup", "--yes"],
    ])
    func withoutADaemonTheStatusIs3(_ words: [String]) throws {
        let arguments = try Arguments.parse(words + ["--socket", "/nowhere/evpnd.sock"]).get()
        do throws(CommandError) {
            try run(arguments)
            Issue.record("\(words) did something")
        } catch {
            #expect(error.status == 3)
            #expect(error.reason.contains("/nowhere/evpnd.sock") && error.reason.contains("--socket"))
        }
    }
}
