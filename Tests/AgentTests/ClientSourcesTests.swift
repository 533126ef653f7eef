// What stands beside evpnd.yaml, with real files: changes together are one, and whose the record of the status file is.

import Anycast
import AsyncIO
import Glibc
import Intents
import NetTypes
import Telemetry
import Testing

@testable import Agent

@Suite struct ClientSourcesTests {
    /// Probes of a thousand addresses may change in one moment.
    @Test func changesTogetherAreOne() {
        let place = Place()
        var count = 0
        let sources = ClientSources(
            loop: place.loop, log: Log { _ in }, metrics: MetricRegistry(), stateDirectory: place.path + "/state"
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
