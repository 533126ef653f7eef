// Dispatches to the commands and reads their arguments.

import Glibc

let helpText = """
    usage: evpnctl [--socket PATH] [--json] COMMAND …

      show status                    one screen about the daemon
      show neighbors                 BGP sessions
      show vnis                      VNIs, their devices, targets and counts
      show macs [--vni N] [--mac M]  MAC addresses, local and remote
      show vrfs                      VRFs, their tables, L3 VNIs, targets and counts
      show prefixes [[--vrf] VRF]    what VRFs route where, and whether the kernel has it
      show vteps                     remote tunnel endpoints
      show routes [--type 2|3|…] [--rd RD] [--vni N] [--mac M] [--family F] [--best]
                  [--neighbor ADDRESS|INTERFACE [--advertised]]
      show netlink                   unicast routes between BGP and the kernel: imports, rules, exported routes
      show clients                   who is attached to Open vSwitch, and what is wrong with their files
      show anycast                   anycast addresses, whether they are enabled, and their probes
      explain mac M [--vni N]        from the wire to the kernel, link by link
      explain vni N | vtep ADDRESS
      explain prefix P | ip ADDRESS [--vrf VRF]
                                     the same for a destination that is routed
      plan                           what would be changed in the kernel now
      watch                          events as they happen: sessions, VTEPs, MAC addresses, prefixes
      reload                         read the configuration again
      confirm-empty                  clients whose files are missing since the directory was empty are gone
      recover mac M [--vni N]        let a MAC frozen as a duplicate move again
      neighbor clear|shutdown|enable|refresh ADDRESS|INTERFACE [TEXT]
      advertise mac M [IP] | multicast [VTEP] | prefix P
                [--vni N] [--l3vni N] [--rd RD] [--rt RT,…] [--vtep ADDRESS] [--etag N] [--encap E]
                [--router-mac M] [--gateway IP] [--sequence N] [--sticky] [--default-gateway]
                [--local-pref N] [--persist]
                                     a route made by hand; alone, a list of those
      withdraw … | withdraw all      takes it back; the route is named as above
      cleanup --yes                  remove everything of ours from the kernel and stop the daemon
      decode [--as4 1|0] [--add-path AFI/SAFI,…]
                                     BGP messages in hexadecimal, one a line, to JSON
      import gobgp-evpn-agent|gobgpd|evpn-connector FILE
                                     another program's file as evpnd.yaml, and what has no equivalent
      lab up|down|status|exec|kill|start FILE [--prefix P] …
                                     network namespaces from a topology file
      version, help

    All that ask the daemon take --json. --socket PATH, or EVPND_SOCKET in the environment: another evpnd than
    that of /run/evpnd/evpnd.sock. Manual: man evpnctl, man evpnd.yaml.
    Exit status: 0 done, 1 failed or (explain) a link of the chain is missing, 2 wrong usage, 3 evpnd is not running.

    """

/// What was typed, with options taken out wherever they stood.
struct Arguments {
    var words: [String] = []
    var options: [String: String] = [:]
    var flags: Set<String> = []

    /// What describes a route made by hand.
    static let route: Set<String> = [
        "--vni", "--l3vni", "--rd", "--rt", "--vtep", "--etag", "--encap", "--router-mac", "--gateway", "--sequence",
        "--local-pref",
    ]
    static let routeFlags: Set<String> = ["--sticky", "--default-gateway", "--persist"]
    static let valued: Set<String> = route.union([
        "--socket", "--vni", "--vrf", "--mac", "--type", "--rd", "--family", "--neighbor",
    ])
    static let boolean: Set<String> = routeFlags.union(["--json", "--best", "--advertised", "--yes", "--help"])
    /// Taken by every command.
    private static let common: Set<String> = ["--socket", "--json", "--help"]

    /// Refuses options that `command` would ignore: somebody believes that they have an effect.
    func require(only allowed: Set<String>, for command: String) throws(CommandError) {
        let given = flags.union(options.keys)
        guard let stray = given.subtracting(allowed).subtracting(Self.common).min() else { return }
        throw CommandError(status: 2, reason: "\(stray) has no meaning for \(command); see evpnctl help")
    }

    static func parse(_ arguments: [String]) -> Result<Arguments, CommandError> {
        var result = Arguments()
        var rest = arguments[...]
        while let word = rest.popFirst() {
            guard word.hasPrefix("--") else {
                result.words.append(word)
                continue
            }
            var name = word
            var inline: String?
            if let equals = word.firstIndex(of: "=") {
                name = String(word[..<equals])
                inline = String(word[word.index(after: equals)...])
            }
            if boolean.contains(name) {
                result.flags.insert(name)
            } else if valued.contains(name) {
                guard let value = inline ?? rest.popFirst() else {
                    return .failure(CommandError(status: 2, reason: "\(name) needs a value"))
                }
                result.options[name] = value
            } else {
                return .failure(CommandError(status: 2, reason: "unknown option \(name); see evpnctl help"))
            }
        }
        return .success(result)
    }
}

struct CommandError: Error, Equatable {
    /// The exit status.
    var status: Int32
    var reason: String
}

/// Runs one command and returns the exit status.
func runCommand(_ arguments: [String]) -> Int32 {
    signal(SIGPIPE, SIG_DFL)
    // These read their own arguments.
    switch arguments.first {
    case "decode": return runDecode(Array(arguments.dropFirst()))
    case "lab": return runLab(Array(arguments.dropFirst()))
    default: break
    }
    switch Arguments.parse(arguments) {
    case .failure(let error): return fail(error)
    case .success(let parsed):
        if parsed.words.isEmpty || parsed.words == ["help"] || parsed.flags.contains("--help") {
            write(helpText)
            return parsed.words.isEmpty && parsed.flags.isEmpty ? 2 : 0
        }
        if parsed.words == ["version"] {
            write(parsed.flags.contains("--json") ? "{\"version\":\"0.1.0\"}\n" : "evpnctl 0.1.0\n")
            return 0
        }
        do throws(CommandError) {
            try run(parsed)
            return 0
        } catch {
            return fail(error)
        }
    }
}

private func fail(_ error: CommandError) -> Int32 {
    writeError("evpnctl: \(error.reason)\n")
    return error.status
}

func write(_ text: String, to descriptor: Int32 = 1) {
    let bytes = Array(text.utf8)
    var offset = 0
    while offset < bytes.count {
        let count = bytes[offset...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        if count < 0, errno == EINTR { continue }
        if count <= 0 { return }
        offset += count
    }
}
func writeError(_ text: String) { write(text, to: 2) }

func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
