// The commands that ask the daemon.

import Documents

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
        for name in ["--vni", "--mac", "--type", "--rd", "--family", "--neighbor"] {
            if let value = arguments.options[name] { all.append(.init(String(name.dropFirst(2)), JSONValue(value))) }
        }
        for name in ["--best", "--advertised"] where arguments.flags.contains(name) {
            all.append(.init(String(name.dropFirst(2)), true))
        }
        return .object(all)
    }

    switch words.first {
    case "show":
        guard words.count == 2, let view = View(rawValue: words[1]) else {
            throw usage("show \(View.allCases.map(\.rawValue).joined(separator: "|"))")
        }
        client = try connect()
        defer { client.close() }
        if view == .status {
            let status = try client.value("status", request("status"))
            write(arguments.flags.contains("--json") ? status.description + "\n" : statusText(status))
        } else {
            let rows = try client.rows(view.rawValue, request(view.rawValue))
            write(arguments.flags.contains("--json") ? JSONValue.array(rows).description + "\n" : view.text(rows))
        }
    case "explain":
        guard words.count == 3, ["mac", "vni", "vtep"].contains(words[1]) else {
            throw usage("explain mac M [--vni N] | vni N | vtep ADDRESS")
        }
        client = try connect()
        defer { client.close() }
        let list = try client.rows(
            "explanations", request("explain", [.init("what", JSONValue(words[1])), .init("key", JSONValue(words[2]))]))
        let isJSON = arguments.flags.contains("--json")
        write(isJSON ? JSONValue.array(list).description + "\n" : list.map(explanationText).joined(separator: "\n"))
        if !list.allSatisfy({ $0.isTrue("complete") }) {
            throw CommandError(
                status: 1, reason: "the chain is broken at \(list.map { $0.cell("missing") }.joined(separator: ", "))")
        }
    case "plan":
        client = try connect()
        defer { client.close() }
        let rows = try client.rows("plan", request("plan"))
        if arguments.flags.contains("--json") { return write(JSONValue.array(rows).description + "\n") }
        if rows.isEmpty { return write("nothing: the kernel is as wanted\n") }
        for case .string(let command) in rows { write(command + "\n") }
    case "watch":
        client = try connect()
        defer { client.close() }
        try client.request(request("watch"), isStream: true) { event in
            if arguments.flags.contains("--json") { return write(event.description + "\n") }
            guard case .object(let members) = event else { return }
            var line = Style.bold(event.cell("event"))
            for member in members where member.name != "event" { line += " \(member.name)=\(event.cell(member.name))" }
            write(line + "\n")
        }
    case "reload":
        client = try connect()
        defer { client.close() }
        let problems = try client.rows("problems", request("reload"))
        for case .string(let problem) in problems { write(problem + "\n") }
        write("reloaded\n")
    case "recover":
        guard words.count == 3, words[1] == "mac" else { throw usage("recover mac M [--vni N]") }
        client = try connect()
        defer { client.close() }
        let rows = try client.rows("recovered", request("recover", [.init("mac", JSONValue(words[2]))]))
        for case .string(let key) in rows { write("\(key): moves again\n") }
    case "neighbor":
        guard words.count >= 3, ["clear", "shutdown", "enable", "refresh"].contains(words[1]) else {
            throw usage("neighbor clear|shutdown|enable|refresh ADDRESS [TEXT]")
        }
        client = try connect()
        defer { client.close() }
        var members: [JSONValue.Member] = [.init("action", JSONValue(words[1])), .init("address", JSONValue(words[2]))]
        if words.count > 3 { members.append(.init("text", JSONValue(words[3...].joined(separator: " ")))) }
        _ = try client.value("neighbor", request("neighbor", members))
        write("\(words[2]): \(words[1])\n")
    case "import": try runImport(Array(words.dropFirst()))
    case "cleanup":
        guard arguments.flags.contains("--yes") else {
            throw CommandError(
                status: 2,
                reason:
                    "cleanup removes every entry and device of ours from the kernel, which stops forwarding, and ends "
                    + "the daemon; say evpnctl cleanup --yes")
        }
        client = try connect()
        defer { client.close() }
        let rows = try client.rows("removed", request("cleanup"))
        for case .string(let command) in rows { write(command + "\n") }
        write("\(rows.count) removed\n")
    default: throw CommandError(status: 2, reason: "unknown command \(words.first ?? ""); see evpnctl help")
    }
}
