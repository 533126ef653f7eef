// The directory of clients with real files: what is written, replaced, half written, removed and made again.

import AsyncIO
import Documents
import EVPN
import Glibc
import Intents
import NetTypes
import Telemetry
import Testing

@testable import Agent

/// A directory of a test, and a loop.
final class Place {
    let path = "/tmp/evpnd-clients-\(getpid())-\(UInt32.random(in: 0 ... .max))"
    let loop = EventLoop()
    init() {
        mkdir(path, 0o755)
        mkdir(path + "/state", 0o755)
        mkdir(path + "/clients", 0o755)
    }
    deinit { remove(path) }
    func remove(_ path: String) {
        for name in (try? directoryNames(path, limit: 1000)) ?? [] {
            if unlink(path + "/" + name) != 0 { remove(path + "/" + name) }
        }
        rmdir(path)
    }
    func write(_ name: String, _ text: String) {
        guard let file = fopen(path + "/clients/" + name, "w") else { return }
        fputs(text, file)
        fclose(file)
    }
    func client(_ port: Int) -> String { #"{"vni": 10, "mac": "02:00:00:00:00:01", "ofport": \#(port)}"# }
    func files(grace: Int? = nil) -> ClientFiles {
        let settings = ClientDirectorySettings(path: path + "/clients", emptyGraceSeconds: grace)
        return ClientFiles(
            loop: loop, log: Log { _ in }, settings: settings, stateDirectory: path + "/state", onChange: {})
    }
    /// Runs the loop until something is true, for at most ten seconds.
    func wait(_ what: String, _ isTrue: @escaping () -> Bool) {
        let deadline = loop.now + .seconds(10)
        func check() {
            if isTrue() || loop.now > deadline { return loop.stop() }
            loop.schedule(after: .milliseconds(5)) { check() }
        }
        loop.afterRound { check() }
        loop.run()
        #expect(isTrue(), "\(what)")
    }
}

extension ClientFiles {
    fileprivate var ports: [String] { directory.clients().map(\.attachment.description) }
    fileprivate var states: [String] { directory.rows.map { "\($0.name) \($0.state)" } }
}

@Suite struct ClientFilesTests {
    @Test func followsFiles() {
        let place = Place()
        place.write("a", place.client(1))
        place.write(".hidden", place.client(9))
        mkdir(place.path + "/clients/folder", 0o755)
        let files = place.files()
        files.start()
        defer { files.close() }
        #expect(files.ports == ["1"])
        place.write("b.yaml", "vni: 10\nmac: 02:00:00:00:00:02\nofport: 2 # a comment is fine here\n")
        place.wait("a new file") { files.ports == ["1", "2"] }
        // Renamed into place, over another one.
        place.write("new.tmp", place.client(3))
        rename(place.path + "/clients/new.tmp", place.path + "/clients/a")
        place.wait("a replaced file") { files.ports == ["3", "2"] }
        // Of the same length, written in place.
        place.write("a", place.client(4))
        place.wait("a changed file") { files.ports == ["4", "2"] }
        place.write("a", "{\"vni\": 10,")
        place.wait("a broken file") { files.states == ["a kept", "b.yaml good"] }
        #expect(files.ports == ["4", "2"])
        unlink(place.path + "/clients/b.yaml")
        place.wait("a deleted file") { files.ports == ["4"] }
    }

    /// Names that two files share in Swift's eyes, or that cannot be written, are told.
    @Test func oddNames() {
        let place = Place()
        place.write("caf\u{e9}", place.client(1))
        place.write("cafe\u{301}", place.client(2))
        let garbled = (place.path + "/clients/x").utf8CString.dropLast() + [-1, 0]
        close(creat(Array(garbled), 0o644))
        let files = place.files()
        files.start()
        defer { files.close() }
        #expect(files.ports == [])
        #expect(files.states.map { $0.split(separator: " ")[1] } == ["refused", "refused"])
        #expect(files.directory.rows.flatMap(\.problems).map { $0.description.contains("name") } == [true, true])
    }

    @Test func directoryGoesAndComesBack() {
        let place = Place()
        place.write("a", place.client(1))
        place.write("b", place.client(2))
        let files = place.files()
        files.start()
        defer { files.close() }
        rename(place.path + "/clients", place.path + "/elsewhere")
        place.wait("a missing directory") { files.directory.problem != nil }
        #expect(files.ports == ["1", "2"])
        #expect(files.directory.currentDoubt?.missing == ["a", "b"])
        mkdir(place.path + "/clients", 0o755)
        place.write("b", place.client(5))
        place.wait("a directory made again") { files.ports == ["5", "1"] }
        #expect(files.confirmEmpty() == ["a"])
        #expect(files.ports == ["5"])
        // What is written where the directory was means nothing any more, here it does.
        place.write("c", place.client(6))
        place.wait("a file in the new directory") { files.ports == ["5", "6"] }
    }

    @Test func lastGoodStateIsThereAfterARestart() {
        let place = Place()
        place.write("a", place.client(1))
        place.write("b", place.client(2))
        let first = place.files()
        first.start()
        first.close()
        place.write("a", "not JSON")
        let second = place.files()
        second.start()
        #expect(second.ports == ["1", "2"])
        #expect(second.states == ["a kept", "b good"])
        second.close()
        place.remove(place.path + "/clients")
        let third = place.files(grace: 600)
        third.start()
        defer { third.close() }
        #expect(third.ports == ["1", "2"])
        #expect(third.directory.currentDoubt?.until != nil)
    }

    @Test func filesThatAreNone() {
        let place = Place()
        place.write("large", String(repeating: " ", count: ClientFiles.sizeLimit + 1))
        mkfifo(place.path + "/clients/pipe", 0o644)
        symlink("nowhere", place.path + "/clients/dangling")
        place.write("a", place.client(1))
        let files = place.files()
        files.start()
        defer { files.close() }
        #expect(files.ports == ["1"])
        #expect(files.states == ["a good", "large refused"])
    }

    /// A file that is replaced again and again while it is read is always one of its states.
    @Test func replacedWhileRead() {
        let place = Place()
        place.write("a", place.client(1))
        let files = place.files()
        files.start()
        defer { files.close() }
        for round in 1...200 {
            place.write("n.tmp", place.client(round % 9 + 1))
            rename(place.path + "/clients/n.tmp", place.path + "/clients/a")
            if round % 20 == 0 { place.wait("round \(round)") { files.ports == ["\(round % 9 + 1)"] } }
            #expect(files.directory.rows.allSatisfy { $0.problems.isEmpty })
        }
    }

    @Test func statusFileKeepsItsLastState() {
        let place = Place()
        let path = place.path + "/clients/status"
        func file() -> AnycastStatusFile {
            let file = AnycastStatusFile(
                loop: place.loop, log: Log { _ in }, path: path, stateDirectory: place.path + "/state", onChange: {})
            file.start()
            return file
        }
        let first = file()
        #expect(first.status == nil)
        #expect(first.problems.count == 1)
        place.write("status", "[\"198.51.100.1_10.254.0.1\"]")
        place.wait("a status file") { first.status?.listed.count == 1 }
        place.write("status", "[]")
        place.wait("an empty list") { first.status?.listed.count == 0 }
        place.write("status", "[\"198.51.100.1_10.254.0.1\"]")
        place.wait("a list") { first.status?.listed.count == 1 }
        place.write("status", "[\"198.51")
        place.wait("a broken list") { !first.problems.isEmpty }
        #expect(first.status?.listed.count == 1)
        first.close()
        unlink(path)
        let second = file()
        #expect(second.status?.listed.count == 1)
        second.close()
    }
}

@Suite struct StatsdBatchTests {
    @Test func names() {
        var batch = StatsdBatch(prefix: "cloud.net", host: "node 1;x")
        batch.gauge("evpn.local_ce_cnt", 7)
        batch.gauge("evpn.ovs_flow_cnt", 100)
        #expect(
            batch.datagrams.map { String(decoding: $0, as: UTF8.self) } == [
                "cloud.net.evpn.local_ce_cnt;host=node_1_x:7|g\ncloud.net.evpn.ovs_flow_cnt;host=node_1_x:100|g"
            ])
        var bare = StatsdBatch(prefix: nil, host: nil)
        for number in 0..<200 { bare.gauge("evpn.metric", number) }
        #expect(bare.datagrams.count > 1)
        #expect(bare.datagrams.allSatisfy { $0.count <= StatsdBatch.datagramLimit })
    }
}
