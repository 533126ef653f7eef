// The directory of clients as histories: what is believed of what was seen.

import Anycast
import Documents
import EVPN
import Intents
import NetTypes
import Testing

private func file(_ text: String) -> ParsedDocument { Document.parse(json: Array(text.utf8), file: "/clients/a.json") }
private func client(_ port: Int) -> ParsedDocument {
    file(#"{"vni": 10, "mac": "02:00:00:00:00:\#(port < 10 ? "0" : "")\#(port)", "ofport": \#(port), "type": "flat"}"#)
}
private func at(_ seconds: Int) -> Instant { .zero + .seconds(seconds) }

extension ClientDirectory {
    fileprivate mutating func see(_ files: [String: ParsedDocument], at seconds: Int) -> [Effect] {
        handle(.seen(files.mapValues { .contents($0) }, reason: ""), now: at(seconds))
    }
    fileprivate mutating func seeNothing(at seconds: Int) -> [Effect] {
        handle(.seen(nil, reason: "No such file or directory"), now: at(seconds))
    }
    fileprivate var ports: [String] { clients().map(\.attachment.description) }
    fileprivate func state(_ name: String) -> Row.State? { rows.first { $0.name == name }?.state }
}

@Suite struct ClientDirectoryTests {
    @Test func filesComeAndGo() {
        var directory = ClientDirectory(graceSeconds: nil)
        #expect(directory.see(["b": client(2), "a": client(1)], at: 0) == [.remember("a"), .remember("b")])
        #expect(directory.ports == ["1", "2"])
        #expect(directory.see(["a": client(3), "b": client(2)], at: 1) == [.remember("a"), .remember("b")])
        #expect(directory.ports == ["3", "2"])
        #expect(directory.handle(.seen(["a": .unchanged], reason: ""), now: at(2)) == [])
        // A deletion is believed when it has been seen for a while.
        #expect(directory.ports == ["3", "2"])
        #expect(directory.state("b") == .missing)
        #expect(directory.nextDeadline == at(4))
        #expect(directory.handle(.deadlineReached, now: at(3)) == [])
        #expect(directory.handle(.deadlineReached, now: at(4)) == [.forget("b")])
        #expect(directory.ports == ["3"])
        #expect(directory.nextDeadline == nil)
        #expect(directory.currentDoubt == nil)
    }
    /// Another file may take over at once what a missing one had.
    @Test func missingFilesComeLast() {
        var directory = ClientDirectory(graceSeconds: nil)
        _ = directory.see(["a": client(1), "c": client(3)], at: 0)
        _ = directory.see(["b": client(1), "c": client(3)], at: 1)
        #expect(directory.rows.map(\.state) == [.missing, .good, .good])
        #expect(directory.clients().map(\.name).count == 3)
        #expect(directory.ports == ["1", "3", "1"])
    }

    /// A new file takes nothing from clients that are served, whatever its name.
    @Test func whoIsServedKeepsWhatItHas() throws {
        func client(_ port: Int, _ name: String) -> ParsedDocument {
            let text = #"{"vni": 10, "mac": "02:00:00:00:00:01", "ofport": \#(port), "type": "flat"}"#
            return Document.parse(json: Array(text.utf8), file: "/clients/\(name)")
        }
        var directory = ClientDirectory(graceSeconds: nil)
        _ = directory.see(["b": client(2, "b"), "c": client(3, "c")], at: 0)
        var served = directory.clients()
        _ = directory.see(["a": client(2, "a"), "b": client(2, "b"), "c": client(3, "c")], at: 1)
        #expect(directory.clients().map(\.name) == ["a", "b", "c"])
        #expect(directory.clients(served: served).map(\.name) == ["b", "c", "a"])
        // One that changes comes before new ones, and after those that are as they were.
        _ = directory.see(["a": client(2, "a"), "b": client(3, "b"), "c": client(3, "c")], at: 2)
        #expect(directory.clients(served: served).map(\.name) == ["c", "b", "a"])
        served = try [#require(served.first { $0.name == "b" })]
        #expect(directory.clients(served: served).map(\.name) == ["b", "a", "c"])
        // Whose file is missing comes last even so.
        _ = directory.see(["a": client(2, "a"), "c": client(3, "c")], at: 3)
        #expect(directory.clients(served: served).map(\.name) == ["a", "c", "b"])
    }

    @Test(arguments: [
        #"{"vni": 10, "mac": "02:00:00:00:00:01", "ofport": 1"#, "", "{", "[]", "7", #"{"vni": 10} // no"#,
        #"{"vni": 10, "mac": "02:00:00:00:00:01", "ofport": 1} {}"#, #"/* a */ {"vni": 10}"#, #"{"vni": 0}"#,
        #"{"vni": 10, "mac": "01:00:00:00:00:01", "ofport": 1}"#,
        #"{"vni": 10, "mac": "02:00:00:00:00:01", "ofport": 1, "type": "vlan", "tag": 4095}"#,
        #"{"vni": 10, "mac": "02:00:00:00:00:01", "ofport": 1, "imp_rt": ["65000-10"]}"#,
        #"{"cfg_type": "l4", "vni": 10, "mac": "02:00:00:00:00:01", "ofport": 1}"#,
    ]) func brokenFileKeepsItsLastState(text: String) {
        var directory = ClientDirectory(graceSeconds: nil)
        _ = directory.see(["a": client(1), "b": client(2)], at: 0)
        #expect(directory.see(["a": file(text), "b": client(2)], at: 1) == [.remember("b")])
        #expect(directory.ports == ["1", "2"])
        #expect(directory.state("a") == .kept)
        #expect(directory.rows[0].problems.hasErrors)
        #expect(directory.rows[0].problems.allSatisfy { $0.position?.file == "/clients/a.json" })
        // A look at the same file changes nothing.
        _ = directory.handle(.seen(["a": .unchanged, "b": .unchanged], reason: ""), now: at(2))
        #expect(directory.state("a") == .kept)
        #expect(directory.see(["a": client(5), "b": client(2)], at: 3) == [.remember("a"), .remember("b")])
        #expect(directory.ports == ["5", "2"])
        #expect(directory.state("a") == .good)
        #expect(directory.rows[0].problems == [])
    }
    @Test func unreadableFileKeepsItsLastState() {
        var directory = ClientDirectory(graceSeconds: nil)
        _ = directory.see(["a": client(1)], at: 0)
        _ = directory.handle(.seen(["a": .unreadable("Permission denied")], reason: ""), now: at(1))
        #expect(directory.ports == ["1"])
        #expect(directory.rows.map(\.problems).map(\.report) == ["error: a: Permission denied\n"])
    }
    @Test func brokenFromTheStart() {
        var directory = ClientDirectory(graceSeconds: nil)
        #expect(directory.see(["a": file("{"), "b": client(2)], at: 0) == [.remember("b")])
        #expect(directory.state("a") == .refused)
        #expect(directory.ports == ["2"])
        // It is not missed when it goes.
        _ = directory.see(["b": client(2)], at: 1)
        #expect(directory.rows.map(\.name) == ["b"])
    }

    @Test func emptyDirectoryChangesNothingUntilConfirmed() {
        var directory = ClientDirectory(graceSeconds: nil)
        _ = directory.see(["a": client(1), "b": client(2)], at: 0)
        #expect(directory.see([:], at: 1) == [])
        #expect(directory.ports == ["1", "2"])
        #expect(directory.currentDoubt?.since == at(1))
        #expect(directory.currentDoubt?.until == nil)
        #expect(directory.currentDoubt?.missing == ["a", "b"])
        #expect(directory.nextDeadline == nil)
        #expect(directory.handle(.deadlineReached, now: at(1_000_000)) == [])
        #expect(directory.handle(.confirmed, now: at(9)) == [.forget("a"), .forget("b")])
        #expect(directory.ports == [])
        #expect(directory.currentDoubt == nil)
    }
    @Test func goneDirectoryIsBelievedAfterItsGrace() {
        var directory = ClientDirectory(graceSeconds: 600)
        _ = directory.see(["a": client(1)], at: 0)
        #expect(directory.seeNothing(at: 1) == [])
        #expect(directory.problem == "No such file or directory")
        // Looking again does not begin again.
        #expect(directory.seeNothing(at: 500) == [])
        #expect(directory.nextDeadline == at(601))
        #expect(directory.handle(.deadlineReached, now: at(601)) == [.forget("a")])
        #expect(directory.ports == [])
        #expect(directory.seeNothing(at: 602) == [])
        #expect(directory.currentDoubt == nil)
    }
    /// Made again and filled one file after the other: nobody is withdrawn in between.
    @Test func directoryComesBack() {
        var directory = ClientDirectory(graceSeconds: nil)
        _ = directory.see(["a": client(1), "b": client(2)], at: 0)
        _ = directory.seeNothing(at: 1)
        _ = directory.see([:], at: 2)
        _ = directory.see(["b": client(2)], at: 3)
        #expect(directory.ports == ["2", "1"])
        #expect(directory.currentDoubt?.missing == ["a"])
        // What is deleted now is one deletion.
        _ = directory.see(["c": client(3)], at: 100)
        #expect(directory.handle(.deadlineReached, now: at(102)) == [.forget("b")])
        #expect(directory.ports == ["3", "1"])
        _ = directory.see(["a": client(1), "c": client(3)], at: 200)
        #expect(directory.currentDoubt == nil)
        #expect(directory.ports == ["1", "3"])
    }
    /// Emptied one file after the other, which is how directories are emptied.
    @Test func slowlyEmptied() {
        var directory = ClientDirectory(graceSeconds: nil)
        _ = directory.see(["a": client(1), "b": client(2)], at: 0)
        _ = directory.see(["b": client(2)], at: 1)
        _ = directory.see([:], at: 2)
        #expect(directory.handle(.deadlineReached, now: at(3)) == [])
        #expect(directory.ports == ["1", "2"])
        #expect(directory.currentDoubt?.missing == ["a", "b"])
    }
    @Test func emptyFromTheStartIsNoDoubt() {
        var directory = ClientDirectory(graceSeconds: 5)
        #expect(directory.seeNothing(at: 0) == [])
        #expect(directory.see([:], at: 1) == [])
        #expect(directory.currentDoubt == nil)
        #expect(directory.nextDeadline == nil)
    }

    @Test func lastStateSurvivesARestart() {
        var directory = ClientDirectory(graceSeconds: nil)
        _ = directory.handle(.restored(["a": client(1), "b": client(2), "c": client(3), "d": file("{")]), now: at(0))
        #expect(directory.ports == ["1", "2", "3"])
        // Broken at start; changed; deleted meanwhile.
        _ = directory.see(["a": file("{"), "b": client(5)], at: 1)
        #expect(directory.state("a") == .kept)
        #expect(directory.ports == ["1", "5", "3"])
        #expect(directory.handle(.deadlineReached, now: at(3)) == [.forget("c")])
        #expect(directory.ports == ["1", "5"])
    }
    @Test func emptyAtStartAfterARestart() {
        var directory = ClientDirectory(graceSeconds: nil)
        _ = directory.handle(.restored(["a": client(1)]), now: at(0))
        _ = directory.see([:], at: 0)
        #expect(directory.ports == ["1"])
        #expect(directory.currentDoubt?.missing == ["a"])
    }

    @Test func someNamesAreNotClients() {
        for name in [".a.json", "a.json~", "a.json.tmp", ".a.json.swp", "a.swp"] {
            #expect(ClientDirectory.isIgnored(name), "\(name)")
        }
        for name in ["a", "a.json", "tmp", "a.conf", "~a"] { #expect(!ClientDirectory.isIgnored(name), "\(name)") }
    }

    /// Random histories: whoever was served is served until there is a reason, and what is remembered is what is served.
    @Test(arguments: 0..<200 as Range<UInt64>) func histories(seed: UInt64) {
        var state = seed &* 0x9e37_79b9_7f4a_7c15 | 1
        func next(_ count: Int) -> Int {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return Int(state % UInt64(count))
        }
        var directory = ClientDirectory(graceSeconds: next(2) == 0 ? nil : 5)
        var remembered: Set<String> = []
        var deleted: [String: Int] = [:]
        func apply(_ effects: [ClientDirectory.Effect]) {
            for effect in effects {
                switch effect {
                case .remember(let name): remembered.insert(name)
                case .forget(let name): remembered.remove(name)
                }
            }
        }
        for second in 0..<100 {
            let before = Set(directory.rows.filter { $0.client != nil }.map(\.name))
            var isExcused = false
            var seen: Set<String> = []
            switch next(8) {
            case 0: apply(directory.seeNothing(at: second))
            case 1:
                apply(directory.handle(.confirmed, now: at(second)))
                isExcused = true
            case 2, 3: break
            default:
                var files: [String: ParsedDocument] = [:]
                for name in ["a", "b", "c", "d"] where next(3) > 0 {
                    files[name] = next(3) == 0 ? file("{") : client(next(20) + 1)
                    seen.insert(name)
                }
                apply(directory.see(files, at: second))
                for name in before where !seen.contains(name) && !files.isEmpty {
                    deleted[name] = deleted[name] ?? second
                }
                for name in seen { deleted[name] = nil }
            }
            let served = Set(directory.rows.filter { $0.client != nil }.map(\.name))
            // Only a confirmation takes a client away at once.
            if !isExcused { #expect(before.subtracting(served) == []) }
            if let due = directory.nextDeadline, due <= at(second) {
                apply(directory.handle(.deadlineReached, now: at(second)))
                let after = Set(directory.rows.filter { $0.client != nil }.map(\.name))
                #expect(served.subtracting(after).isDisjoint(with: seen))
            }
            #expect(remembered == Set(directory.rows.filter { $0.client != nil }.map(\.name)))
            #expect(directory.clients().count == remembered.count)
        }
    }
}

@Suite struct AnycastStatusTests {
    private func read(_ text: String) -> (AnycastStatus?, [Problem]) {
        let read = AnycastStatus.read(Document.parse(json: Array(text.utf8)))
        return (read.status, read.problems)
    }
    @Test func lists() throws {
        let (status, problems) = read(#"["198.51.100.1_10.254.0.1", "2001:db8::1_fd00::1"]"#)
        #expect(status?.listed.map(\.description).sorted() == ["198.51.100.1_10.254.0.1", "2001:db8::1_fd00::1"])
        #expect(problems == [])
        #expect(read("[]").0?.listed == [])
    }
    /// One bad entry does not disable the others.
    @Test func badEntryCountsAlone() {
        let (status, problems) = read(#"["198.51.100.1", 7, {}, null, "198.51.100.1_10.254.0.1"]"#)
        #expect(status?.listed.map(\.description) == ["198.51.100.1_10.254.0.1"])
        #expect(problems.count == 4)
    }
    @Test(arguments: ["", "{}", "7", "[", "[] x", "null", #"{"a": []}"#]) func whatIsNoListSaysNothing(text: String) {
        let (status, problems) = read(text)
        #expect(status == nil)
        #expect(problems.hasErrors)
    }

    /// What never was a client does not make a directory full.
    @Test func emptyBesideAStrangersFile() {
        var directory = ClientDirectory(graceSeconds: nil)
        let readme = file("clients of this host")
        _ = directory.see(["a": client(1), "README": readme], at: 0)
        #expect(directory.state("README") == .refused)
        #expect(directory.handle(.seen(["README": .unchanged], reason: ""), now: at(1)).isEmpty)
        #expect(directory.nextDeadline == nil)
        #expect(directory.handle(.deadlineReached, now: at(100)).isEmpty)
        #expect(directory.ports == ["1"])
        #expect(directory.currentDoubt?.missing == ["a"])
        // It is still told why that file is none.
        #expect(directory.rows.map(\.state) == [.refused, .missing])
        #expect(directory.rows.first?.problems.isEmpty == false)
        // The same when the client is deleted just before one that was served is broken: that one was a client.
        _ = directory.see(["a": client(1), "b": client(2), "README": readme], at: 101)
        #expect(directory.currentDoubt == nil)
        _ = directory.see(["b": file("{"), "README": readme], at: 102)
        #expect(directory.nextDeadline == at(104) && directory.currentDoubt == nil)
        // One after the other: all of them are in doubt, also with another stranger, and until somebody confirms it.
        _ = directory.see(["NOTES": readme], at: 103)
        #expect(directory.currentDoubt?.missing == ["a", "b"])
        #expect(directory.see(["NOTES": readme], at: 104).isEmpty)
        #expect(directory.handle(.confirmed, now: at(105)) == [.forget("a"), .forget("b")])
        #expect(directory.ports.isEmpty && directory.currentDoubt == nil)
        #expect(directory.state("NOTES") == .refused)
        // A new client beside the strangers is no doubt about others.
        _ = directory.see(["c": client(3), "NOTES": readme], at: 106)
        #expect(directory.see(["d": client(4), "NOTES": readme], at: 107) == [.remember("d")])
        #expect(directory.handle(.deadlineReached, now: at(109)) == [.forget("c")])
    }
}
