// The one place that knows every part of the daemon: it starts them in order, passes what one says to the others, applies a
// changed configuration, and stops them in reverse.

import AsyncIO
import BGP
import BGPEngine
import CLinux
import Documents
import EVPN
import EmbeddedSpeaker
import Glibc
import GoBGPSpeaker
import HTTP
import Intents
import KernelRoutes
import LinuxDataplane
import NetTypes
import OVSDataplane
import Telemetry

/// A running evpnd. Confined to the loop's thread.
final class Agent {
    static let version = "0.1.0"

    let options: Options
    let loop: EventLoop
    let log: Log
    let metrics: MetricRegistry
    let startedAt: Instant
    let speaker: any RoutingSpeaker
    var controlPlane = ControlPlane()
    let dataplane: any Dataplane
    private var discovering: (any DiscoveringDataplane)? { dataplane as? any DiscoveringDataplane }
    let kernelRoutes: KernelRoutes
    /// Unicast routes that the control plane announces, before any network of an interface.
    var memberKeys: Set<RouteKey> = []
    let notification = ServiceNotification()
    /// With the clients of files.
    private(set) var configuration: Configuration
    /// As evpnd.yaml has it.
    private(set) var fileConfiguration: Configuration
    /// The one that the process began with: some of it stays until the next start.
    let started: Configuration
    private(set) lazy var clients = ClientSources(
        loop: loop, log: log, metrics: metrics, stateDirectory: options.stateDirectory, isRestart: run.isRestart
    ) { [weak self] in self?.clientsChanged() }
    private(set) var nodeAddress: IPAddress?
    /// VNIs that are served: those of the configuration, and discovered ones; and the subnets of VRFs that some of them are.
    private(set) var servedVNIs: [VNI] = []
    private(set) var routedInterfaces: [VNI: RoutedInterface] = [:]
    /// The IP-VRFs of the configuration.
    private(set) var servedVRFs: [String] = []
    private(set) var isSynchronized = false
    /// What was found on this host at start has been given to the speaker.
    private var knowsHost = false
    private(set) var reloads = 0
    private(set) var lastReloadProblems: [Problem] = []
    private(set) var control: ControlServer?
    private var web: WebEndpoint?
    var statsd: StatsdPush?
    private var deadlineTimer: (id: TimerID, at: Instant)?
    private var inputs: [ControlPlane.Input] = []
    private var isHandling = false
    private var isStopping = false
    private let run: RunRecord
    var handMade: HandMadeRoutes

    init(options: Options, configuration: Configuration, loop: EventLoop, log: Log) throws(StartError) {
        self.options = options
        self.configuration = configuration
        fileConfiguration = configuration
        started = configuration
        self.loop = loop
        self.log = log
        metrics = MetricRegistry()
        startedAt = loop.now
        // A reflector without VNIs and VRFs changes nothing in the kernel, nor does a node whose bridge is that of Open vSwitch.
        let overlay = configuration.overlay
        let servesNothing =
            configuration.openVSwitch != nil
            || overlay.evis.isEmpty && overlay.vrfs.isEmpty && configuration.discovery == nil
                && configuration.netlinkExport == nil
        guard Privileges.canAdministerNetwork || servesNothing else {
            throw StartError(
                "no permission to change the network: CAP_NET_ADMIN is missing; run evpnd as root or by its systemd unit"
            )
        }
        run = try RunRecord(stateDirectory: options.stateDirectory)
        handMade = HandMadeRoutes(path: options.stateDirectory + "/routes")
        do throws(DataplaneError) {
            if let bridge = configuration.openVSwitch {
                dataplane = try OVSDataplane(
                    loop: loop, log: log, metrics: metrics, configuration: bridge,
                    takesOver: options.takeover == .evpnConnector)
            } else {
                dataplane = try LinuxDataplanes(
                    loop: loop, log: log, metrics: metrics, stateDirectory: options.stateDirectory,
                    takesOver: options.takeover != nil)
            }
        } catch {
            let hint =
                configuration.openVSwitch == nil
                ? "; evpnd needs CAP_NET_ADMIN (run it as root or by its systemd unit)" : ""
            throw StartError("\(error)\(hint)")
        }
        kernelRoutes = KernelRoutes(
            loop: loop, log: log, metrics: metrics, stateDirectory: options.stateDirectory)
        if let gobgp = configuration.gobgp {
            speaker = GoBGPSpeaker(
                loop: loop, log: log, metrics: metrics, stateDirectory: options.stateDirectory,
                configuration: configuration.bgp, settings: gobgp)
        } else {
            speaker = EmbeddedSpeaker(
                loop: loop, log: log, metrics: metrics, name: configuration.node.name, restarting: run.isRestart)
        }
    }

    /// Starts everything. A failure here ends the daemon; what can heal later is retried instead.
    func start() throws(StartError) {
        let socket = options.socketPath ?? configuration.control.socket
        do throws(SystemError) {
            control = try ControlServer(
                loop: loop, path: socket, mode: configuration.control.mode, group: configuration.control.group
            ) { [weak self] request, client in self?.serve(request, client) }
        } catch {
            let hint =
                error.code == EADDRINUSE
                ? "another evpnd is running; use --socket for a second one" : "choose another with --socket PATH"
            throw StartError("\(error); \(hint)")
        }
        log.info(
            "daemon.start",
            [
                "version": Agent.version, "pid": "\(getpid())", "config": options.configurationPath, "socket": socket,
                "restart": "\(run.isRestart)",
            ])
        controlPlane.asksHosts = dataplane.asksHosts
        dataplane.onLocalChanges = { [weak self] in self?.handle(.local($0)) }
        discovering?.onOperatorVNIs = { [weak self] in
            guard let self, self.configuration.discovery != nil, !self.isStopping else { return }
            self.applyOverlay()
        }
        speaker.onRoutes = { [weak self] changes in
            self?.kernelRoutes.receive(changes)
            self?.handle(.routes(changes))
        }
        speaker.onInitialSync = { [weak self] in self?.synchronized() }
        speaker.onEvent = { [weak self] event in
            var fields = event.fields
            if let neighbor = event.neighbor { fields.insert(("neighbor", neighbor.description), at: 0) }
            self?.publish("bgp.\(event.name)", fields)
        }
        registerMetrics()
        nodeAddress = resolveNodeAddress(configuration.node.vtep)
        if nodeAddress == nil, case .interface(let name) = configuration.node.vtep {
            log.warning("node.address.missing", ["interface": name, "action": "waiting for an address"])
        }
        clients.configure(fileConfiguration)
        configuration = clients.joined(fileConfiguration)
        applyOverlay()
        restoreHandMade()
        startUnicastRoutes()
        speaker.configure(configuration)
        awaitHost()
        startWeb()
        startStatsd()
        followNodeAddress()
        notification.send("READY=1\nSTATUS=running")
        feedWatchdog()
    }

    /// Ends the daemon: forwarding stays as `forwarding.onExit` says, sessions close so that peers keep our routes. With
    /// `removing` nothing is left, and peers are told so.
    func stop(reason: String, removing: Bool = false) {
        guard !isStopping else { return }
        isStopping = true
        let onExit = removing ? .remove : configuration.forwarding.onExit
        log.info("daemon.stop", ["reason": reason, "forwarding": onExit.rawValue])
        notification.send("STOPPING=1")
        control?.close()
        web?.close()
        statsd?.close()
        clients.close()
        // Forwarding goes only once the routes that lead here are withdrawn.
        speaker.stop(withdrawing: onExit == .remove) { [self] in
            func finish() {
                kernelRoutes.close()
                dataplane.close()
                loop.stop()
            }
            guard onExit == .remove else { return finish() }
            cleanup { _ in
                self.run.forget()
                finish()
            }
        }
    }

    /// Removes everything of ours from the dataplane; `done` is called with what was done, as commands.
    func cleanup(_ done: @escaping ([String]) -> Void) {
        let routes = kernelRoutes.cleanup()
        dataplane.cleanup { [log] commands in
            for command in routes + commands { log.info("cleanup", ["command": command]) }
            done(routes + commands)
        }
    }

    // MARK: The heart: one input at a time through the control plane

    /// Inputs that arrive while one is handled wait for their turn, so that adapters may call back from anywhere.
    func handle(_ input: ControlPlane.Input) {
        inputs.append(input)
        guard !isHandling else { return }
        isHandling = true
        var index = 0
        while index < inputs.count {
            let output = controlPlane.handle(inputs[index], now: loop.now)
            index += 1
            if !output.forwarding.isEmpty {
                dataplane.apply(output.forwarding)
                publish(output.forwarding)
            }
            kernelRoutes.receive(output.exports)
            if !output.advertisements.isEmpty {
                statsd?.counts.count(output.advertisements)
                speaker.advertise(withImported(withHandMade(output.advertisements)))
            }
            for event in output.events { report(event) }
            if output.suppressedEvents > 0 {
                log.warning("evpn.events.suppressed", ["count": "\(output.suppressedEvents)"])
            }
        }
        inputs.removeAll(keepingCapacity: inputs.count < 64)
        isHandling = false
        armDeadline()
    }

    private func armDeadline() {
        let next = controlPlane.nextDeadline
        if deadlineTimer?.at == next { return }
        if let timer = deadlineTimer { loop.cancel(timer.id) }
        deadlineTimer = next.map { instant in
            let id = loop.schedule(at: instant) { [weak self] in
                self?.deadlineTimer = nil
                self?.handle(.deadlineReached)
            }
            return (id, instant)
        }
    }

    private func synchronized() {
        isSynchronized = true
        log.info("sync.complete", ["after": "\((loop.now - startedAt).inSeconds)s"])
        prune()
    }
    /// Only once it is known what others announce, and through which devices of this host it goes.
    private func prune() {
        guard isSynchronized, knowsHost else { return }
        dataplane.allowPruning()
        kernelRoutes.allowPruning()
    }
    /// Waits until everything that was found on this host at start is told to others, or for as long as for their routes.
    private func awaitHost() {
        guard !isStopping, !knowsHost else { return }
        guard dataplane.notReady == nil || loop.now - startedAt > .seconds(configuration.bgp.initialHoldSeconds) else {
            loop.schedule(after: .milliseconds(10)) { [weak self] in self?.awaitHost() }
            return
        }
        knowsHost = true
        speaker.localRoutesAreComplete()
        prune()
    }

    private func report(_ event: ControlPlaneEvent) {
        // Two hosts with one address are none before the one here has answered for it.
        guard case .addressConflict(let key, _, _, _) = event else { return tell(event) }
        dataplane.ask(key) { [weak self] in self?.tell(event) }
    }
    /// One log line, one counter and, for those who watch, one event line.
    private func tell(_ event: ControlPlaneEvent) {
        let (name, fields, level) = describe(event)
        metrics.counter("evpnd_evpn_events_total", "Events of the control plane", ["event": name]).increment()
        log.write(level, "evpn.\(name)", fields)
        publish("evpn.\(name)", fields.map { ($0.key, $0.value) })
    }
    /// One line for every `evpnctl watch`.
    func publish(_ event: String, _ fields: [(key: String, value: String)]) {
        guard let control, control.hasWatchers else { return }
        var members = [JSONValue.Member("event", JSONValue(event))]
        members += fields.map { field in JSONValue.Member(field.key, JSONValue(field.value)) }
        control.broadcast(.object(members))
    }

    // MARK: Configuration

    /// The same file with other clients.
    func adopt(_ joined: Configuration) { configuration = joined }

    func applyOverlay() {
        let overlay = configuration.overlay(nodeAddress: nodeAddress, discovered: discovering?.operatorVNIs ?? [])
        servedVNIs = overlay.evis.map(\.vni)
        servedVRFs = overlay.vrfs.map(\.name)
        routedInterfaces = [:]
        for evi in overlay.evis { routedInterfaces[evi.vni] = evi.domain.routed }
        dataplane.configure(overlay, configuration, vtep: nodeAddress)
        handle(.overlay(overlay))
    }

    /// Reads the file again. With any error the running state is kept; else only differences are applied.
    func reload() -> [Problem] {
        notification.send("RELOADING=1")
        defer { notification.send("READY=1") }
        let loaded = loadConfiguration(options)
        reloads += 1
        lastReloadProblems = loaded.problems
        guard let file = loaded.configuration else {
            log.error("reload.refused", ["problems": "\(loaded.problems.count)", "action": "running state kept"])
            for problem in loaded.problems { log.error("reload.problem", ["problem": problem.description]) }
            return loaded.problems
        }
        let old = configuration
        fileConfiguration = file
        clients.configure(file)
        let new = clients.joined(file)
        configuration = new
        if options.logLevel == nil, let level = LogLevel(new.telemetry.logLevel.rawValue) { log.level = level }
        if new.telemetry.listen != old.telemetry.listen {
            web?.close()
            startWeb()
        }
        startStatsd()
        if new.node != old.node || new.overlay != old.overlay || new.discovery != old.discovery
            || new.openVSwitch != old.openVSwitch
        {
            nodeAddress = resolveNodeAddress(new.node.vtep)
            applyOverlay()
        }
        kernelRoutes.configure(importing: new.netlinkImport, exporting: new.netlinkExport)
        if new.bgp != old.bgp || new.gobgp != old.gobgp { speaker.configure(new) }
        var problems = loaded.problems
        for key in lateKeys {
            log.warning("reload.partial", ["key": key, "action": "takes effect at the next start"])
            problems.append(Problem(.warning, at: nil, path: key, "takes effect at the next start"))
        }
        log.info("reload.applied", ["changed": "\(new != old)"])
        return problems
    }

    /// Follows the address of `node.interface`; a lookup costs microseconds.
    private func followNodeAddress() {
        loop.schedule(after: .seconds(2)) { [weak self] in
            guard let self, !self.isStopping else { return }
            if case .interface(let name) = self.configuration.node.vtep {
                let address = resolveNodeAddress(self.configuration.node.vtep)
                if address != self.nodeAddress {
                    self.log.warning(
                        "node.address.changed",
                        [
                            "interface": name, "from": self.nodeAddress?.description ?? "none",
                            "to": address?.description ?? "none",
                        ])
                    self.nodeAddress = address
                    self.applyOverlay()
                }
            }
            self.followNodeAddress()
        }
    }

    // MARK: Surroundings

    private func startWeb() {
        guard let endpoint = configuration.telemetry.listen else { return web = nil }
        web = WebEndpoint(loop: loop, log: log, endpoint: endpoint) { [weak self] path in
            self?.response(to: path) ?? .init(status: 503, body: [])
        }
    }

    private func feedWatchdog() {
        guard let interval = notification.watchdogInterval, !isStopping else { return }
        notification.send("WATCHDOG=1")
        loop.schedule(after: interval) { [weak self] in self?.feedWatchdog() }
    }
}

/// Why the daemon cannot start, with the way out.
struct StartError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
