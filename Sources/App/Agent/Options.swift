// The command line of evpnd.

import Glibc
import Intents
import Telemetry

/// What `evpnd` was started with.
struct Options: Equatable {
    var configurationPath = "/etc/evpnd/evpnd.yaml"
    /// Whose file it is; nil: our own.
    var takeover: Takeover.Program?
    /// More of that file: directories of `.conf` files, and options of the command line.
    var configurationDirectories: [String] = []
    var overrides: [Override] = []
    struct Override: Equatable {
        var section: String
        var key: String
        var value: String
    }
    /// Nil: what the configuration says.
    var socketPath: String?
    var stateDirectory = "/run/evpnd"
    var logLevel: LogLevel?
    var checksOnly = false
    var cleansUp = false
    var printsVersion = false
    var printsHelp = false

    static let help = """
        usage: evpnd [--config FILE | --from PROGRAM [FILE]] [--check | --cleanup] [--socket PATH] [--state-dir DIR]
                     [--log-level LEVEL]

          --config FILE      the configuration (default /etc/evpnd/evpnd.yaml)
          --from PROGRAM     the configuration is a file of gobgp-evpn-agent (default /etc/evpn-agent/config.yaml)
                             or evpn-connector (default ~/.evpn/evpn.conf, ~/evpn.conf, /etc/evpn/evpn.conf, /etc/evpn.conf);
                             then also its --config-file FILE, --config-dir DIR and --SECTION-OPTION
          --check            report every problem of the configuration and exit: 0 when usable, 2 when not
          --cleanup          remove everything of ours from the kernel and exit; forwarding stops
          --socket PATH      the control socket (default: control.socket of the configuration, /run/evpnd/evpnd.sock)
          --state-dir DIR    where the record of our own flood entries is kept (default /run/evpnd)
          --log-level LEVEL  debug, info, warning or error (default: telemetry.logLevel)
          --version, --help

        """

    /// Reads the arguments after the program name; the failure is a sentence for the operator.
    static func parse(_ arguments: [String]) -> Result<Options, UsageError> {
        var options = Options()
        var rest = arguments[...]
        while let word = rest.popFirst() {
            var name = word
            var inline: String?
            if word.hasPrefix("--"), let equals = word.firstIndex(of: "=") {
                name = String(word[..<equals])
                inline = String(word[word.index(after: equals)...])
            }
            switch name {
            case "--check": options.checksOnly = true
            case "--cleanup": options.cleansUp = true
            case "--version": options.printsVersion = true
            case "--help", "-h": options.printsHelp = true
            case "--config", "--config-file", "--config-dir", "--from", "--socket", "--state-dir", "--log-level":
                guard let value = inline ?? rest.popFirst() else {
                    return .failure(UsageError(reason: "\(name) needs a value"))
                }
                switch name {
                case "--config", "--config-file": options.configurationPath = value
                case "--config-dir": options.configurationDirectories.append(value)
                case "--from":
                    guard let program = Takeover.Program(rawValue: value), let path = program.path else {
                        return .failure(
                            UsageError(
                                reason:
                                    "--from \(value): evpnd can run with the file of gobgp-evpn-agent or evpn-connector"
                            ))
                    }
                    options.takeover = program
                    options.configurationPath = path
                    if let next = rest.first, !next.hasPrefix("-") { options.configurationPath = rest.removeFirst() }
                case "--socket": options.socketPath = value
                case "--state-dir": options.stateDirectory = value
                default:
                    guard let level = LogLevel(value) else {
                        return .failure(
                            UsageError(reason: "--log-level \(value): use debug, info, warning or error"))
                    }
                    options.logLevel = level
                }
            default:
                guard options.takeover == .evpnConnector, let option = Takeover.connectorOption(flag: name) else {
                    return .failure(UsageError(reason: "unknown argument \(word); see evpnd --help"))
                }
                guard let value = option.value ?? inline ?? rest.popFirst() else {
                    return .failure(UsageError(reason: "\(name) needs a value"))
                }
                options.overrides.append(Override(section: option.section, key: option.key, value: value))
            }
        }
        if options.takeover?.hasINI != true, !options.configurationDirectories.isEmpty {
            return .failure(UsageError(reason: "--config-dir is for --from evpn-connector"))
        }
        return .success(options)
    }
}

struct UsageError: Error, Equatable {
    let reason: String
}

extension Takeover.Program {
    /// The first of its files that is there, otherwise the last place where it could be; nil: evpnd does not run with it.
    fileprivate var path: String? {
        let home = getenv("HOME").map { String(cString: $0) } ?? "/root"
        let paths = defaultPaths.map { $0.hasPrefix("~") ? home + $0.dropFirst() : $0 }
        return paths.first { access($0, F_OK) == 0 } ?? paths.last
    }
}
