// The life of the process around the agent: arguments, signals, exit status.

import AsyncIO
import CLinux
import Documents
import EVPN
import Glibc
import Intents
import KernelRoutes
import LinuxDataplane
import NetTypes
import Netlink
import OVSDataplane
import Telemetry

/// Runs evpnd and returns its exit status: 0 after an orderly end, 1 when it cannot start, 2 for a wrong command line or
/// configuration.
public func runDaemon(_ arguments: [String]) -> Int32 {
    SignalSource.block([SIGTERM, SIGINT, SIGHUP])
    let options: Options
    switch Options.parse(arguments) {
    case .success(let parsed): options = parsed
    case .failure(let error):
        writeError("evpnd: \(error.reason)\n")
        return 2
    }
    if options.printsHelp {
        print(Options.help, terminator: "")
        return 0
    }
    if options.printsVersion {
        print("evpnd \(Agent.version)")
        return 0
    }
    let loaded = loadConfiguration(options)
    if options.checksOnly {
        // They are no reason not to start.
        let ofClients = (loaded.configuration.map { ClientFiles.check($0) } ?? []).map { problem in
            var problem = problem
            problem.severity = .warning
            return problem
        }
        print((loaded.problems + ofClients.filter { !loaded.problems.contains($0) }).report, terminator: "")
        if loaded.configuration != nil { print("\(options.configurationPath): usable") }
        return loaded.configuration == nil ? 2 : 0
    }
    if options.cleansUp { return cleanUp(options, loaded.configuration) }
    guard let configuration = loaded.configuration else {
        writeError(loaded.problems.report)
        writeError("evpnd: \(options.configurationPath) is not usable; nothing was changed\n")
        // As the other program ends with such a file.
        return options.takeover == nil ? 2 : 1
    }
    let level = options.logLevel ?? LogLevel(configuration.telemetry.logLevel.rawValue) ?? .info
    let log = Log(level: level, sink: logSink())
    for problem in loaded.problems { log.warning("config.problem", ["problem": problem.description]) }
    let loop = EventLoop()
    do throws(StartError) {
        let agent = try Agent(options: options, configuration: configuration, loop: loop, log: log)
        try agent.start()
        let signals = SignalSource(loop: loop, signals: [SIGTERM, SIGINT, SIGHUP]) { signal in
            switch signal {
            case SIGHUP: _ = agent.reload()
            case SIGINT: agent.stop(reason: "SIGINT")
            default: agent.stop(reason: "SIGTERM")
            }
        }
        loop.run()
        signals.close()
        return 0
    } catch {
        writeError("evpnd: \(error)\n")
        return 1
    }
}

/// Removes what carries our mark, without a daemon: the configuration only tells whose devices to look at, and may be absent.
private func cleanUp(_ options: Options, _ configuration: Configuration?) -> Int32 {
    let socket = options.socketPath ?? configuration?.control.socket ?? "/run/evpnd/evpnd.sock"
    if let descriptor = try? connectUnix(socket) {
        close(descriptor)
        writeError("evpnd: a daemon serves \(socket); use evpnctl cleanup --yes, or stop it first\n")
        return 1
    }
    // With discovery every VXLAN device may have been served.
    let overlay = configuration?.overlay
    let vrfs = overlay?.vrfs ?? []
    let vnis = Set((overlay?.evis.map(\.vni) ?? []) + vrfs.compactMap(\.vni))
    let exported: [String]
    do throws(NetlinkFailure) {
        exported = try KernelRoutes.cleanup(stateDirectory: options.stateDirectory)
    } catch {
        writeError("evpnd: exported routes: \(error)\n")
        return 1
    }
    do throws(DataplaneError) {
        let commands =
            if let bridge = configuration?.openVSwitch?.bridge {
                try exported + OVSDataplane.cleanup(bridge: bridge, log: Log(level: .error, sink: logSink()))
            } else {
                try exported
                    + LinuxDataplanes.cleanup(
                        stateDirectory: options.stateDirectory, vnis: configuration?.discovery == nil ? vnis : nil,
                        namespaces: Set(vrfs.compactMap(\.namespace)))
            }
        RunRecord.forget(stateDirectory: options.stateDirectory)
        for command in commands { print(command) }
        print("\(commands.count) removed")
        return 0
    } catch {
        writeError("evpnd: \(error)\n")
        return 1
    }
}

/// Lines to standard error, with a time unless the journal adds its own.
private func logSink() -> (String) -> Void {
    let isJournal = getenv("JOURNAL_STREAM") != nil
    return { line in writeError(isJournal ? line + "\n" : "time=\(timestamp()) \(line)\n") }
}

func writeError(_ text: String) {
    let bytes = Array(text.utf8)
    var offset = 0
    while offset < bytes.count {
        let count = bytes[offset...].withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
        if count <= 0 { return }
        offset += count
    }
}

/// RFC 3339, UTC, milliseconds.
func timestamp() -> String {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    var parts = tm()
    gmtime_r(&now.tv_sec, &parts)
    func digits(_ value: some BinaryInteger, _ count: Int) -> String {
        let text = String(value)
        return String(repeating: "0", count: max(0, count - text.utf8.count)) + text
    }
    return "\(parts.tm_year + 1900)-\(digits(parts.tm_mon + 1, 2))-\(digits(parts.tm_mday, 2))T"
        + "\(digits(parts.tm_hour, 2)):\(digits(parts.tm_min, 2)):\(digits(parts.tm_sec, 2))"
        + ".\(digits(now.tv_nsec / 1_000_000, 3))Z"
}
