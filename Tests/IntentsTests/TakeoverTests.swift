// Every file in Fixtures/Takeover/PROGRAM is translated; the text beside it (.txt) holds the problems and the translation.
// EVPND_REWRITE_GOLDEN=1 writes the texts anew.

import BGPEngine
import Documents
import EVPN
import Glibc
import Intents
import NetTypes
import Testing
import YAML

private let folder = repository + "/Tests/Fixtures/Takeover"

private func takeover(_ program: Takeover.Program, _ name: String) throws -> Takeover {
    let bytes = try readFile("\(folder)/\(program.rawValue)/\(name)").get()
    let parsed =
        name.hasSuffix(".conf")
        ? Document.parse(ini: bytes, file: name)
        : name.hasSuffix(".toml") ? Document.parse(toml: bytes, file: name) : Document.parse(yaml: bytes, file: name)
    return Takeover(of: program, parsed, workingDirectory: "/srv")
}
private func load(_ takeover: Takeover) throws -> (configuration: Configuration?, problems: [Problem]) {
    Configuration.load(from: try #require(takeover.document))
}

@Suite struct TakeoverTests {
    private static let names = Takeover.Program.allCases.flatMap { program in
        [".yaml", ".toml", ".conf"].flatMap { files(in: "\(folder)/\(program.rawValue)", suffix: $0) }.map {
            "\(program.rawValue)/\($0)"
        }
    }
    @Test func thereAreFiles() { #expect(Self.names.count >= 11) }

    @Test(arguments: names) func translation(name: String) throws {
        let parts = name.split(separator: "/").map(String.init)
        let program = try #require(Takeover.Program(rawValue: parts[0]))
        let result = try takeover(program, parts[1])
        let text = result.problems.report + (result.document?.yaml ?? "nothing\n")
        let path = "\(folder)/\(name.dropLast(5)).txt"
        if getenv("EVPND_REWRITE_GOLDEN") != nil {
            let file = try #require(fopen(path, "w"))
            fputs(text, file)
            fclose(file)
        }
        #expect(text == String(decoding: try readFile(path).get(), as: UTF8.self))
        // What is printed is what was meant.
        if let document = result.document {
            let again = try #require(Document.parse(yaml: Array(document.yaml.utf8)).document)
            #expect(again.yaml == document.yaml)
        }
    }

    /// What a gobgpd was told is usable as it is printed.
    @Test(arguments: ["hub.toml", "everything.toml"]) func gobgpdTranslationIsUsable(name: String) throws {
        let translated = try takeover(.gobgpd, name)
        let text = try #require(translated.document).yaml
        let document = try #require(Document.parse(yaml: Array(text.utf8)).document)
        let (configuration, problems) = Configuration.load(from: document)
        #expect(problems.filter { $0.severity == .error } == [])
        #expect(configuration?.bgp.asn == 65000)
        #expect(!translated.problems.hasErrors)
    }

    @Test func discoversWithoutVNIs() throws {
        let (configuration, problems) = try load(takeover(.gobgpEVPNAgent, "dynamic.yaml"))
        #expect(problems.filter { $0.severity == .error } == [])
        let loaded = try #require(configuration)
        #expect(loaded.node.vtep == .interface("eth0"))
        #expect(loaded.overlay.membership == Membership(communityASN: 65000, advertises: true))
        let vni = try #require(VNI(10010))
        let overlay = loaded.overlay(nodeAddress: IPAddress("10.0.0.2"), discovered: [vni])
        #expect(overlay.evis.map(\.vni) == [vni])
        #expect(overlay.evis.map(\.signalling) == [.membership])
        #expect(overlay.evis.map(\.domain.vtep) == [IPAddress("10.0.0.2")])
        #expect(overlay.evis.map(\.domain.device) == [.adopted(name: nil)])
    }
    /// `advertiseSelf: false`, which its own program took for true.
    @Test func staysQuietWhenTold() throws {
        let loaded = try #require(load(takeover(.gobgpEVPNAgent, "static.yaml")).configuration)
        #expect(loaded.overlay.membership == Membership(communityASN: 65001, advertises: false))
        #expect(loaded.discovery == nil)
        #expect(loaded.overlay.evis.map(\.memberCommunity) == [nil, 65000 << 16 | 11, nil])
        #expect(
            loaded.overlay.evis.map(\.domain.device) == [
                .adopted(name: nil), .adopted(name: nil), .adopted(name: "storage"),
            ])
        #expect(loaded.forwarding.onExit == .keep)
    }
    /// What the file is wrong about is said with its own lines.
    @Test func refusesWhatItsProgramRefused() throws {
        let bad = try takeover(.gobgpEVPNAgent, "bad.yaml")
        let problems = (bad.problems + (try load(bad).problems)).filter { $0.severity == .error }
        #expect(problems.compactMap(\.position?.line).sorted() == [2, 3, 4, 5, 7, 7, 8, 9, 11])
        #expect(try takeover(.gobgpEVPNAgent, "no-asn.yaml").problems.hasErrors)
    }
    /// Whatever stands in a file, the answer is a translation or a problem.
    @Test func garbageNeverTraps() throws {
        for program in Takeover.Program.allCases {
            for text in [
                "", "[]", "7", "{a: [}", "vnis: 7", "vnis: [[]]", "node: []", "gobgp: {address: {}}", "global: []",
            ] {
                let result = Takeover(of: program, Document.parse(yaml: Array(text.utf8)))
                #expect(result.document != nil || result.problems.hasErrors)
            }
        }
    }
}
