// Everything beside evpnd.yaml that says who is attached to the bridge of Open vSwitch: files of clients, the status file of anycast
// addresses, and probes.

import Anycast
import AsyncIO
import Documents
import EVPN
import Intents
import NetTypes
import Telemetry

/// Makes of the configuration of the file the one that counts now. Confined to the loop's thread.
final class ClientSources {
    private let loop: EventLoop
    private let log: Log
    private let stateDirectory: String
    private let onChange: () -> Void
    private var directorySettings: ClientDirectorySettings?
    private(set) var files: ClientFiles?
    private(set) var statusFile: AnycastStatusFile?
    let prober: AnycastProber
    /// Of clients that cannot be served beside others, or not as written.
    private(set) var problems: [Problem] = []
    /// Each anycast address with whether it is enabled.
    private var anycast: [AnycastName: Bool] = [:]
    /// Those of files that are served.
    private var served: [Client] = []
    /// Names of those that are not, so that after a restart the same are served, and of anycast addresses whose probes are answered.
    private var leftOut: NameRecord
    private var probedUp: NameRecord
    private var isConfiguring = false
    private var timer: TimerID?
    /// No earlier than this may there be another change: of a thousand addresses each may change in a moment of its own.
    private var restUntil = Instant.zero

    /// `onChange`: `joined` gives another configuration now. Called by the loop, never from inside of a call to this object.
    /// `isRestart`: what an earlier run has left in the bridge is still there.
    init(
        loop: EventLoop, log: Log, metrics: MetricRegistry, stateDirectory: String, isRestart: Bool,
        onChange: @escaping () -> Void
    ) {
        self.loop = loop
        self.log = log
        self.stateDirectory = stateDirectory
        self.onChange = onChange
        leftOut = NameRecord(stateDirectory + "/clients-left-out", isRestored: true, log: log)
        probedUp = NameRecord(stateDirectory + "/anycast-up", isRestored: isRestart, log: log)
        prober = AnycastProber(loop: loop, log: log, up: Set(probedUp.names.compactMap { AnycastName($0) }))
        prober.onChange = { [weak self] in self?.changed() }
        metrics.onCollect { [weak self] metrics in self?.collect(metrics) }
    }

    /// Follows what the configuration names.
    func configure(_ configuration: Configuration) {
        isConfiguring = true
        defer { isConfiguring = false }
        if configuration.clientDirectory != directorySettings {
            files?.close()
            directorySettings = configuration.clientDirectory
            files = directorySettings.map { settings in
                ClientFiles(loop: loop, log: log, settings: settings, stateDirectory: stateDirectory) { [weak self] in
                    self?.changed()
                }
            }
            files?.start()
            served = files?.restored.filter { !leftOut.names.contains($0.name) } ?? []
        }
        let path = configuration.openVSwitchSettings?.anycastStatusFile
        if path != statusFile?.path {
            statusFile?.close()
            statusFile = path.map { path in
                AnycastStatusFile(loop: loop, log: log, path: path, stateDirectory: stateDirectory) { [weak self] in
                    self?.changed()
                }
            }
            statusFile?.start()
        }
        prober.interface = configuration.openVSwitchSettings?.checkInterface
    }

    /// The configuration of the file with all clients, and with the anycast addresses that work.
    func joined(_ configuration: Configuration) -> Configuration {
        let health = AnycastHealth(listed: statusFile?.status?.listed, up: prober.checks.up)
        let inFiles = files?.directory.clients(served: served) ?? []
        let joined = configuration.joined(by: inFiles, health: health)
        served = joined.served
        leftOut.keep(Set(inFiles.map(\.name)).subtracting(served.map(\.name)))
        // Those of the file itself were told when it was read.
        let known = Set(problems)
        for problem in joined.problems where !known.contains(problem) {
            log.warning("clients.conflict", ["problem": problem.description])
        }
        problems = joined.problems
        anycast = [:]
        if let bridge = joined.configuration.openVSwitch {
            for address in bridge.routed.flatMap(\.anycast) {
                anycast[AnycastName(address)] = bridge.enabledAnycast.contains(address)
            }
        }
        prober.configure(joined.configuration.anycastTargets)
        probedUp.keep(Set(prober.checks.up.map(\.description)))
        return joined.configuration
    }

    func close() {
        if let timer { loop.cancel(timer) }
        files?.close()
        statusFile?.close()
        prober.close()
    }

    /// Whatever changes together is one change.
    private func changed() {
        guard !isConfiguring, timer == nil else { return }
        timer = loop.schedule(at: max(loop.now, restUntil)) { [weak self] in
            guard let self else { return }
            self.timer = nil
            let start = self.loop.now
            self.onChange()
            let end = self.loop.now
            // Four fifths of the time are others', but nobody waits for longer than a second.
            self.restUntil = end + min(.seconds(1), (end - start) * 4)
        }
    }

    private func collect(_ metrics: MetricRegistry) {
        for name in ["evpnd_anycast_enabled", "evpnd_anycast_up", "evpnd_anycast_probes_total"] { metrics.clear(name) }
        for (name, isEnabled) in anycast {
            metrics.gauge("evpnd_anycast_enabled", "Whether the anycast address is announced", ["anycast": "\(name)"])
                .value = isEnabled ? 1 : 0
        }
        for row in prober.checks.rows {
            metrics.gauge("evpnd_anycast_up", "What probes of an anycast address say", ["anycast": "\(row.name)"])
                .value =
                row.isUp == true ? 1 : 0
            for (result, count) in [("good", row.sent - min(row.failed, row.sent)), ("failed", row.failed)] {
                metrics.counter(
                    "evpnd_anycast_probes_total", "Probes of an anycast address",
                    ["anycast": "\(row.name)", "result": result]
                ).value = Double(count)
            }
        }
        guard let files else { return }
        let rows = files.directory.rows
        let states: [(String, ClientDirectory.Row.State)] = [
            ("good", .good), ("kept", .kept), ("refused", .refused), ("missing", .missing),
        ]
        for (name, state) in states {
            metrics.gauge("evpnd_client_files", "Files of clients by their state", ["state": name]).value =
                Double(rows.count { $0.state == state })
        }
        metrics.gauge("evpnd_client_conflicts", "Clients that are left out because of others").value =
            Double(problems.count { $0.severity == .error })
    }
}
