// The commands that ask the daemon.

import Documents
import Intents
import NetTypes

func run(_ arguments: Arguments) throws(CommandError) {
    let words = arguments.words
    let client: Client
    func connect() throws(CommandError) -> Client {
        try Client(path: arguments.options["--socket"] ?? environment("EVPND_SOCKET") ?? "/run/evpnd/evpnd.sock")
    }
    func usage(_ text: String) -> CommandError { CommandError(status: 2, reason: "usage: evpnctl \(text)") }
    /// The request, with the options that were given.
    func request(_ command: String, _ members: [JSONValue.Member] = []) -> JSONValue {
        var all = [JSONValue.Member("command", JSONValue(command))] + members
        for name in ["--vni", "--vrf", "--mac", "--type", "--rd", "--family", "--neighbor"] {
            if let value = arguments.options[name] { all.append(.init(String(name.dropFirst(2)), JSONValue(value))) }
        }
        for name in ["--best", "--advertised"] where arguments.flags.contains(name) {
            all.append(.init(String(name.dropFirst(2)), true))
        }
        return .object(all)
    }

    let isJSON = arguments.flags.contains("--json")
    /// The reply as it came for programs, `text` of it for people.
    func show(_ value: JSONValue, _ text: (JSONValue) -> String) {
        write(isJSON ? value.description + "\n" : text(value))
    }
    func lines(_ rows: [JSONValue], _ line: (String) -> String) -> String {
        rows.map { row in
            if case .string(let text) = row { return line(text) + "\n" }
            return ""
        }.joined()
    }

    switch words.first {
    case "show":
        guard words.count > 1, let view = View(rawValue: words[1]), words.count == 2 || view == .prefixes,
            words.count < 4
        else {
            let close = words.count > 1 ? View.allCases.first { editDistance(words[1], $0.rawValue) < 3 } : nil
            if let close { throw CommandError(status: 2, reason: "did you mean evpnctl show \(close.rawValue)?") }
            throw usage("show \(View.allCases.map(\.rawValue).joined(separator: "|"))")
        }
        try arguments.require(only: view.options, for: "show \(view.rawValue)")
        if words.count > 2, arguments.options["--vrf"] != nil { throw usage("show prefixes [VRF | --vrf VRF]") }
        client = try connect()
        defer { client.close() }
        if view == .status {
            show(try client.value("status", request("status")), statusText)
        } else {
            let members = words.count > 2 ? [JSONValue.Member("vrf", JSONValue(words[2]))] : []
            let rows = try client.rows(view.rawValue, request(view.rawValue, members))
            show(.array(rows)) { _ in view.text(rows) }
        }
    case "explain":
        let options: [String: Set<String>] = [
            "mac": ["--vni"], "vni": [], "vtep": [], "prefix": ["--vrf"], "ip": ["--vrf"],
        ]
        guard words.count == 3, let allowed = options[words[1]] else {
            throw usage(
                "explain mac M [--vni N] | vni N | vtep ADDRESS | prefix P [--vrf VRF] | ip ADDRESS [--vrf VRF]")
        }
        try arguments.require(only: allowed, for: "explain \(words[1])")
        if let reason = badKey(of: words[1], words[2]) { throw CommandError(status: 2, reason: reason) }
        client = try connect()
        defer { client.close() }
        let list = try client.rows(
            "explanations", request("explain", [.init("what", JSONValue(words[1])), .init("key", JSONValue(words[2]))]))
        show(.array(list)) { _ in list.map(explanationText).joined(separator: "\n") }
        if !list.allSatisfy({ $0.isTrue("complete") }) {
            throw CommandError(
                status: 1, reason: "the chain is broken at \(list.map { $0.cell("missing") }.joined(separator: ", "))")
        }
    case "plan":
        guard words.count == 1 else { throw usage("plan") }
        try arguments.require(only: [], for: "plan")
        client = try connect()
        defer { client.close() }
        let rows = try client.rows("plan", request("plan"))
        guard rows.isEmpty, !isJSON else {
            show(.array(rows)) { _ in lines(rows) { $0 } }
            break
        }
        // Entries can wait for a device, or be refused: nothing is to be done then, but not all is well.
        let status = try client.value("status", request("status"))
        let (waiting, failed) = (
            status["dataplane"]?.integer("waiting") ?? 0, status["dataplane"]?.integer("failed") ?? 0
        )
        var text = "nothing: everything is as wanted\n"
        if waiting + failed > 0 {
            text =
                "nothing now: \(counted(waiting, "entry", "entries")) \(waiting == 1 ? "waits" : "wait"), \(failed) refused\n"
        } else if !status.list("problems").isEmpty {
            text = "nothing now\n"
        }
        write(text + status.list("problems").map { problemText($0) + "\n" }.joined())
    case "watch":
        guard words.count == 1 else { throw usage("watch") }
        try arguments.require(only: [], for: "watch")
        client = try connect()
        defer { client.close() }
        try client.request(request("watch"), isStream: true) { event in
            show(event) { _ in
                guard case .object(let members) = event else { return "" }
                let fields = members.filter { $0.name != "event" }
                return Style.bold(event.cell("event"))
                    + fields.map { " \($0.name)=\(event.cell($0.name))" }.joined() + "\n"
            }
        }
    case "reload":
        guard words.count == 1 else { throw usage("reload") }
        try arguments.require(only: [], for: "reload")
        client = try connect()
        defer { client.close() }
        let problems = try client.rows("problems", request("reload"))
        show(["problems": .array(problems)]) { _ in lines(problems) { $0 } + "reloaded\n" }
    case "confirm-empty":
        guard words.count == 1 else { throw usage("confirm-empty") }
        try arguments.require(only: [], for: "confirm-empty")
        client = try connect()
        defer { client.close() }
        let rows = try client.rows("removed", request("confirm-empty"))
        show(["removed": .array(rows)]) { _ in lines(rows) { "\($0): its client is gone" } }
    case "recover":
        guard words.count == 3, words[1] == "mac" else { throw usage("recover mac M [--vni N]") }
        try arguments.require(only: ["--vni"], for: "recover")
        client = try connect()
        defer { client.close() }
        let rows = try client.rows("recovered", request("recover", [.init("mac", JSONValue(words[2]))]))
        show(["recovered": .array(rows)]) { _ in lines(rows) { "\($0): moves again" } }
    case "neighbor":
        guard words.count >= 3, ["clear", "shutdown", "enable", "refresh"].contains(words[1]),
            words.count == 3 || words[1] == "shutdown"
        else { throw usage("neighbor clear|enable|refresh NEIGHBOR | neighbor shutdown NEIGHBOR [TEXT]") }
        try arguments.require(only: [], for: "neighbor")
        client = try connect()
        defer { client.close() }
        var members: [JSONValue.Member] = [.init("action", JSONValue(words[1])), .init("address", JSONValue(words[2]))]
        if words.count > 3 { members.append(.init("text", JSONValue(words[3...].joined(separator: " ")))) }
        let address = try client.value("neighbor", request("neighbor", members))
        show(["neighbor": address, "action": JSONValue(words[1])]) { _ in "\(words[2]): \(words[1])\n" }
    case "advertise", "withdraw":
        let command = words[0]
        try arguments.require(only: Arguments.route.union(Arguments.routeFlags), for: command)
        if words.count == 1 {
            guard command == "advertise" else { throw usage("withdraw mac M [IP] | multicast [VTEP] | prefix P | all") }
            try arguments.require(only: [], for: "the list")
            client = try connect()
            defer { client.close() }
            let rows = try client.rows("routes", request("advertised"))
            show(.array(rows)) { _ in handMadeText(rows) }
            break
        }
        var members = [JSONValue.Member("words", .array(words.dropFirst().map { JSONValue($0) }))]
        for (name, value) in arguments.options.sorted(by: { $0.key < $1.key }) where Arguments.route.contains(name) {
            members.append(.init(String(name.dropFirst(2)), JSONValue(value)))
        }
        for name in arguments.flags.intersection(Arguments.routeFlags).sorted() {
            members.append(.init(String(name.dropFirst(2)), true))
        }
        client = try connect()
        defer { client.close() }
        let rows = try client.rows(
            "routes", .object([JSONValue.Member("command", JSONValue(command))] + members))
        let done = command == "advertise" ? "advertised" : "withdrawn"
        show([done: .array(rows)]) { _ in lines(rows) { "\(done) \($0)" } }
    case "import":
        try arguments.require(only: [], for: "import")
        try runImport(Array(words.dropFirst()))
    case "cleanup":
        guard words.count == 1 else { throw usage("cleanup --yes") }
        try arguments.require(only: ["--yes"], for: "cleanup")
        guard arguments.flags.contains("--yes") else {
            throw CommandError(
                status: 2,
                reason:
                    "cleanup removes every entry and device of ours, which stops forwarding, and ends the daemon; "
                    + "say evpnctl cleanup --yes")
        }
        client = try connect()
        defer { client.close() }
        let rows = try client.rows("removed", request("cleanup"))
        show(["removed": .array(rows)]) { _ in lines(rows) { $0 } + "\(rows.count) removed\n" }
    default: throw CommandError(status: 2, reason: "unknown command \(words.first ?? ""); see evpnctl help")
    }
}

/// Why `explain` cannot look for a key, as a phrase; nil: it can.
func badKey(of what: String, _ key: String) -> String? {
    switch what {
    case "mac": MACAddress(key) == nil ? "\(key) is not a MAC address" : nil
    case "vni": VNI(key) == nil ? "\(key) is not a VNI (1 to 16777215)" : nil
    case "vtep": IPAddress(key) == nil ? "\(key) is not an address" : nil
    default: IPAddress(key) == nil && IPPrefix(key) == nil ? "\(key) is not an address or prefix" : nil
    }
}
