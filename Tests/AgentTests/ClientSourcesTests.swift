// What stands beside evpnd.yaml, with real files: changes together are one, and whose the record of the status file is.

import Anycast
import AsyncIO
import Documents
import EVPN
import Glibc
import Intents
import NetTypes
import Telemetry
import Testing
import YAML

@testable import Agent

@Suite struct ClientSourcesTests {
    /// Probes of a thousand addresses may change in one moment.
    @Test func changesTogetherAreOne() {
        let place = Place()
        var count = 0
        let sources = ClientSources(
            loop: place.loop, log: Log { _ in }, metrics: MetricRegistry(), stateDirectory: place.path + "/state",
            isRestart: false
        ) { count += 1 }
        for round in 1...3 {
            for _ in 0..<100 { sources.prober.onChange?() }
            #expect(count == round - 1)
            place.wait("it is told") { count >= round }
            #expect(count == round)
        }
        sources.prober.onChange?()
        sources.close()
        let later = place.loop.now + .milliseconds(20)
        place.wait("time goes by") { place.loop.now >= later }
        #expect(count == 3)
    }

    /// Of two that cannot be served together it is the same one after a restart, however their files are called.
    @Test func whoIsServedStaysSoOverARestart() throws {
        let place = Place()
        let text = """
            node: {vtep: 192.0.2.1}
            bgp: {global: {asn: 65000}}
            dataplane: openvswitch
            openvswitch: {bridge: br-int}
            clientDirectory: {path: \(place.path)/clients}
            """
        let document = try #require(Document.parse(yaml: Array(text.utf8)).document)
        let configuration = try #require(Configuration.load(from: document).configuration)
        func client(_ vni: Int) -> String {
            #"{"vni": \#(vni), "mac": "02:00:00:00:00:01", "ofport": 5, "type": "flat"}"#
        }
        func start() -> (ClientSources, [UInt32]) {
            let sources = ClientSources(
                loop: place.loop, log: Log { _ in }, metrics: MetricRegistry(), stateDirectory: place.path + "/state",
                isRestart: true, onChange: {})
            sources.configure(configuration)
            return (sources, sources.joined(configuration).openVSwitch?.bridged.map(\.vni.rawValue) ?? [])
        }
        place.write("z", client(26))
        let (first, served) = start()
        #expect(served == [26])
        place.write("a", client(1))
        first.files?.lookAgain()
        #expect(first.joined(configuration).openVSwitch?.bridged.map(\.vni.rawValue) == [26])
        first.close()
        let (second, later) = start()
        #expect(later == [26])
        // The other one's turn.
        unlink(place.path + "/clients/z")
        second.files?.lookAgain()
        #expect(second.joined(configuration).openVSwitch?.bridged.map(\.vni.rawValue) == [1])
        second.close()
        place.write("0", client(30))
        let (third, last) = start()
        #expect(last == [1])
        third.close()
    }

    /// What another file said once is not what this one says.
    @Test func theRecordIsThatOfOneFile() {
        let place = Place()
        func file(_ name: String) -> AnycastStatusFile {
            AnycastStatusFile(
                loop: place.loop, log: Log { _ in }, path: place.path + "/clients/" + name,
                stateDirectory: place.path + "/state", onChange: {})
        }
        func listed(_ file: AnycastStatusFile) -> Int? { file.status?.listed.count }
        place.write("one", #"["198.51.100.1_10.254.0.1", "198.51.100.2_10.254.0.2"]"#)
        let one = file("one")
        #expect(listed(one) == nil)
        one.start()
        #expect(listed(one) == 2)
        one.close()
        unlink(place.path + "/clients/one")
        // A restart, without the file and with another one that has never been read.
        #expect(listed(file("one")) == 2)
        #expect(listed(file("on")) == nil)
        #expect(listed(file("other")) == nil)
        place.write("other", #"["198.51.100.1_10.254.0.1"]"#)
        let other = file("other")
        other.start()
        other.close()
        #expect(listed(file("other")) == 1)
        #expect(listed(file("one")) == nil)
        // Neither is a record that does not say whose it is, nor half of one.
        for text in [#"["198.51.100.1_10.254.0.1"]"#, "", place.path + "/clients/one"] {
            place.write("../state/anycast-status", text)
            #expect(listed(file("one")) == nil)
        }
    }
}
