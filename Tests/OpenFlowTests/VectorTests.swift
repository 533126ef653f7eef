// What Open vSwitch and its tools write about the sample flows (Tests/Vectors/openflow.txt, made by capture-openflow.py there) is read
// as just these flows.

import Glibc
import NetTypes
import Testing

@testable import OpenFlow

private let folder = "/" + #filePath.split(separator: "/").dropLast(2).joined(separator: "/") + "/Vectors/"

private func lines(_ name: String) -> [String] {
    guard let file = fopen(folder + name, "r") else { return [] }
    defer { fclose(file) }
    var octets: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while case let count = fread(&buffer, 1, buffer.count, file), count > 0 { octets += buffer[..<count] }
    return String(decoding: octets, as: UTF8.self).split(separator: "\n").map(String.init)
}

private func rewrite(_ name: String, _ lines: [String]) {
    guard getenv("EVPND_REWRITE_GOLDEN") != nil, let file = fopen(folder + name, "w") else { return }
    fputs(lines.joined(separator: "\n") + "\n", file)
    fclose(file)
}

/// One command of ovs-ofctl.
struct Exchange {
    var version: ProtocolVersion
    var command: String
    var sent: [[UInt8]] = []
    var received: [[UInt8]] = []
    var printed: [String] = []

    static let all: [Exchange] = {
        var all: [Exchange] = []
        for line in lines("openflow.txt") {
            let text = String(line.dropFirst(2))
            switch line.first {
            case "$":
                let version = ProtocolVersion.allCases.first { text.contains("-O \($0) ") } ?? .v13
                all.append(Exchange(version: version, command: text))
            case ">": all[all.count - 1].sent.append(bytes(hex: text) ?? [])
            case "<": all[all.count - 1].received.append(bytes(hex: text) ?? [])
            case "=": all[all.count - 1].printed.append(text)
            default: break
            }
        }
        return all
    }()
    static func of(_ version: ProtocolVersion, _ command: String) -> [Exchange] {
        all.filter { $0.version == version && $0.command.contains(command) }
    }

    func replies() throws -> [Message] { try received.map { try message($0, version) } }
}

func message(_ octets: [UInt8], _ version: ProtocolVersion) throws -> Message {
    try octets.withThrowingByteReader { reader throws(ByteError) in
        let header = try MessageHeader(decoding: &reader)
        return try Message(header, version, decoding: &reader)
    }
}

/// A flow_mod that adds, read as a switch reads it.
private func addedFlow(_ octets: [UInt8], _ version: ProtocolVersion) throws -> Flow {
    try octets.withThrowingByteReader { reader throws(ByteError) in
        try reader.skip(8)
        let cookie = try reader.u64()
        try reader.skip(8)
        let table = try reader.u8()
        guard try reader.u8() == 0 else { throw ByteError("not an add", at: reader.offset) }
        let idle = try reader.u16()
        let hard = try reader.u16()
        let priority = try reader.u16()
        try reader.skip(12)
        let flags = try reader.u16()
        try reader.skip(2)
        let match = try reader.match()
        return Flow(
            FlowKey(table: table, priority: priority, match: match), cookie: cookie,
            actions: try Action.instructions(&reader), idleTimeout: idle, hardTimeout: hard,
            flags: Flow.Flags(rawValue: flags))
    }
}

private func encoded(_ change: BridgeChange, _ version: ProtocolVersion, bundle: UInt32? = nil) -> [UInt8] {
    var writer = MessageWriter(version: version)
    let fits = writer.change(change, 6, bundle: bundle)
    #expect(fits)
    return writer.bytes
}

/// A line of `dump-flows`, or a description, as its conditions and actions: they come in different orders there, table 0 is not told,
/// and before OpenFlow 1.5 a part of a field is loaded.
private func parts(_ line: String) -> Set<Substring> {
    Set(
        line.split { $0 == "," || $0 == " " }.filter { $0 != "table=0" && !$0.contains("load:") && !$0.contains("/0x") }
    )
}

@Suite struct VectorTests {
    @Test func theTextsAreThoseOfTheSamples() {
        let flows = sampleFlows.map(\.description)
        rewrite("openflow-flows.txt", flows)
        #expect(lines("openflow-flows.txt") == flows)
        let groups = sampleGroups.map(\.description)
        rewrite("openflow-groups.txt", groups)
        #expect(lines("openflow-groups.txt") == groups)
    }

    @Test(arguments: ProtocolVersion.allCases) func whatWeSendIsWhatTheToolSends(_ version: ProtocolVersion) throws {
        for flow in sampleFlows {
            let exchange = try #require(Exchange.of(version, "add-flow br0 '\(flow)'").first, "\(flow)")
            let theirs = try #require(exchange.sent.first { $0[1] == MessageType.flowMod.rawValue })
            let read = try addedFlow(theirs, version)
            #expect(read == flow)
            let ours = encoded(.flow(.set(flow)), version)
            #expect(try addedFlow(ours, version) == flow)
        }
    }

    @Test(arguments: ProtocolVersion.allCases) func aDumpHasTheSameFlows(_ version: ProtocolVersion) throws {
        let exchange = try #require(Exchange.of(version, "--no-stats dump-flows").first)
        var flows: [Flow] = []
        for case .multipart(.flows(let entries), _) in try exchange.replies() { flows += entries.map(\.flow) }
        #expect(flows.count == sampleFlows.count)
        for flow in sampleFlows {
            let dumped = flows.first { $0.key == flow.key }
            #expect(dumped == flow)
        }
        let printed = Set(exchange.printed.map(parts))
        for flow in sampleFlows {
            let isPrinted = printed.contains(parts("\(flow)"))
            #expect(isPrinted, "\(flow)")
        }
    }
}

extension VectorTests {
    @Test(arguments: ProtocolVersion.allCases) func groupsComeBackAsTheyWere(_ version: ProtocolVersion) throws {
        let exchange = try #require(Exchange.of(version, "dump-groups").first)
        var groups: [Group] = []
        for case .multipart(.groups(let some), _) in try exchange.replies() { groups += some }
        var expected = sampleGroups
        if !version.hasSelectionMethods { for index in expected.indices { expected[index].selectionMethod = nil } }
        #expect(groups.sorted { $0.id < $1.id } == expected)
        let counters = try #require(Exchange.of(version, "dump-group-stats").first)
        var numbers: [UInt32: Int] = [:]
        for case .multipart(.groupCounters(let some), _) in try counters.replies() {
            for group in some { numbers[group.id] = group.buckets.count }
        }
        #expect(numbers == [1: 2, 2: 1, 3: 2, 4: 2, 5: 1, 6: 0])
    }

    @Test func groupsAreSentAsTheToolSendsThem() throws {
        for group in sampleGroups {
            let exchange = try #require(Exchange.of(.v15, "add-group br0 \(group)").first, "\(group)")
            let theirs = try #require(exchange.sent.first { $0[1] == MessageType.groupMod.rawValue })
            var ours = encoded(.group(.set(group)), .v15)
            // Ours may replace; theirs only adds.
            #expect(ours[8...9] == [0x80, 0])
            ours[8] = 0
            // Weights are told of select groups only by us, of the others the tool tells 0 as well.
            if group.kind == .select { #expect(ours == theirs) }
        }
    }

    @Test(arguments: ProtocolVersion.allCases) func countersAndPorts(_ version: ProtocolVersion) throws {
        let aggregate = try #require(Exchange.of(version, "dump-aggregate").first)
        var flows: [UInt32] = []
        for case .multipart(.aggregate(let counters), true) in try aggregate.replies() { flows.append(counters.flows) }
        #expect(flows == [UInt32(sampleFlows.count)])
        let ports = try #require(Exchange.of(version, "dump-ports-desc").first)
        var names: [PortNumber: String] = [:]
        for case .multipart(.ports(let some), _) in try ports.replies() {
            for port in some { names[port.number] = port.name }
        }
        #expect(names == [.local: "br0", 1: "p1", 2: "p2", 3: "p3"])
    }

    @Test(arguments: ProtocolVersion.allCases) func bundlesAreControlledAsTheToolDoes(_ version: ProtocolVersion) throws
    {
        let exchange = try #require(Exchange.of(version, "--bundle add-flow").first)
        let type = (version == .v13 ? MessageType.experimenter : .bundleControl).rawValue
        let controls = exchange.sent.filter { $0[1] == type && $0.count <= 24 }
        var ours: [[UInt8]] = []
        for (control, theirs) in zip([BundleControl.open, .commit], [controls.first, controls.last]) {
            var writer = MessageWriter(version: version)
            let theirs = try #require(theirs)
            let header = try theirs.withThrowingByteReader { reader throws(ByteError) in
                try MessageHeader(decoding: &reader)
            }
            writer.bundle(control, header.transaction, bundle: theirs.withByteReader { number($0, version) })
            ours.append(writer.bytes)
        }
        #expect(ours == [controls.first, controls.last])
        var replies: [BundleControl?] = []
        for case .bundleReply(let control, _) in try exchange.replies() { replies.append(control) }
        #expect(replies == [.open, .close, .commit] || replies == [.open, .commit])
    }
    private func number(_ reader: ByteReader, _ version: ProtocolVersion) -> UInt32 {
        var reader = reader
        return (try? reader.skip(version == .v13 ? 16 : 8)).flatMap { try? reader.u32() } ?? 0
    }

    @Test(arguments: ProtocolVersion.allCases) func aRefusalHasTheNameThatTheToolPrints(_ version: ProtocolVersion)
        throws
    {
        let exchange = try #require(Exchange.of(version, "group:99").first)
        var errors: [String] = []
        for case .error(let error) in try exchange.replies() { errors.append("\(error)") }
        let name = try #require(errors.first)
        #expect(name.hasPrefix("OFP") && exchange.printed.contains { $0.contains(name) })
    }

    @Test(arguments: ProtocolVersion.allCases) func messagesThatNobodyAskedFor(_ version: ProtocolVersion) throws {
        let exchange = try #require(Exchange.of(version, "monitor").first)
        var seen: [String] = []
        for message in try exchange.replies() {
            switch message {
            case .packetIn(let packet):
                #expect(packet.cookie == 0x6576_706e && packet.table == 0 && packet.reason == 1)
                #expect(packet.metadata[.inPort] == .inPort(1) && packet.metadata[.register0] == .register(0, 5))
                #expect(packet.packet.starts(with: mac("50:54:00:00:00:0a").octets + mac("50:54:00:00:00:09").octets))
                seen.append("packet in")
            case .flowRemoved(let removed):
                #expect(removed.key == FlowKey(table: 0, priority: 32768, match: Match(.inPort(1))))
                #expect(removed.cookie == 0x6576_706e && removed.reason == .deleted)
                seen.append("flow removed")
            case .portStatus(.added, let port):
                #expect(
                    port.name == "p1\(version.rawValue - 1)" && port.number == PortNumber(UInt32(version.rawValue) + 9))
                seen.append("port added")
            case .configuration(let length): seen.append("configuration \(length)")
            case .hello(let versions): #expect(versions == [4, 5, 6])
            default: break
            }
        }
        #expect(seen.filter { !$0.hasPrefix("configuration") } == ["packet in", "flow removed", "port added"])
    }
}
