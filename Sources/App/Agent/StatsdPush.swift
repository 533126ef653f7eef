// The numbers of evpn-connector, under its names, to a statsd that wants them pushed.

import AsyncIO
import BGP
import EVPN
import Glibc
import Intents
import NetTypes
import OVSDataplane
import Telemetry

/// Our own routes that were announced and withdrawn since the last push.
struct AdvertisementCounts {
    private(set) var added: [RouteKind: Int] = [:]
    private(set) var removed: [RouteKind: Int] = [:]
    enum RouteKind { case unicast, multicast, prefix }

    mutating func count(_ changes: [AdvertisementChange]) {
        for change in changes {
            let kind: RouteKind
            switch change.key.kind {
            case .macIP: kind = .unicast
            case .inclusiveMulticast: kind = .multicast
            case .ipPrefix: kind = .prefix
            default: continue
            }
            if change.route == nil { removed[kind, default: 0] += 1 } else { added[kind, default: 0] += 1 }
        }
    }
}

/// Sends every few seconds; what is lost is lost. Confined to the loop's thread.
final class StatsdPush {
    static let period = Duration.seconds(3)
    /// A name may mean another address after so many pushes.
    private static let lookups = 100

    let settings: StatsdSettings
    var counts = AdvertisementCounts()
    private let loop: EventLoop
    private let log: Log
    private let resolver = Worker()
    /// -1: not there yet.
    private var descriptor: Int32 = -1
    private var pushes = 0
    private var hasComplained = false
    private var isClosed = false
    private let numbers: (StatsdPush) -> [(name: String, value: Int)]

    init(
        loop: EventLoop, log: Log, settings: StatsdSettings,
        numbers: @escaping (StatsdPush) -> [(name: String, value: Int)]
    ) {
        self.loop = loop
        self.log = log
        self.settings = settings
        self.numbers = numbers
        lookUp()
        tick()
    }
    func close() {
        isClosed = true
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = -1
        resolver.stop()
    }

    private func tick() {
        loop.schedule(after: StatsdPush.period) { [weak self] in
            guard let self, !self.isClosed else { return }
            self.push()
            self.tick()
        }
    }

    private func push() {
        pushes += 1
        if pushes % StatsdPush.lookups == 0 { lookUp() }
        guard descriptor >= 0 else { return }
        var batch = StatsdBatch(prefix: settings.prefix, host: settings.host)
        for (name, value) in numbers(self) { batch.gauge("evpn.\(name)", value) }
        counts = AdvertisementCounts()
        for datagram in batch.datagrams {
            _ = send(descriptor, datagram, datagram.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
        }
    }

    /// Looks the name up on another thread, because that blocks.
    private func lookUp() {
        let handle = loop.handle, name = settings.name, port = settings.port
        let me = LoopBound(self)
        resolver.submit {
            let result = StatsdPush.connect(name, port)
            handle.post { me.value.connected(result) }
        }
    }
    private func connected(_ result: Result<Int32, StartError>) {
        switch result {
        case .success(let new):
            if descriptor >= 0 { Glibc.close(descriptor) }
            descriptor = new
            if isClosed { close() }
            hasComplained = false
        case .failure(let error):
            if !hasComplained { log.warning("statsd", ["problem": "\(error)"]) }
            hasComplained = true
            // The next try is not far away.
            pushes = StatsdPush.lookups - 10
        }
    }

    private static func connect(_ name: String, _ port: UInt16) -> Result<Int32, StartError> {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_DGRAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let found = getaddrinfo(name, "\(port)", &hints, &list)
        guard found == 0, let info = list else {
            return .failure(StartError("cannot look up \(name): \(String(cString: gai_strerror(found)))"))
        }
        defer { freeaddrinfo(list) }
        let descriptor = socket(
            info.pointee.ai_family, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0, Glibc.connect(descriptor, info.pointee.ai_addr, info.pointee.ai_addrlen) == 0 else {
            let fault = "\(SystemError("statsd at \(name) port \(port)"))"
            if descriptor >= 0 { Glibc.close(descriptor) }
            return .failure(StartError(fault))
        }
        return .success(descriptor)
    }
}

extension Agent {
    /// The names of evpn-connector. Its durations of a step have no equivalent: there are no steps.
    func connectorNumbers(_ counts: AdvertisementCounts) -> [(name: String, value: Int)] {
        let vnis = controlPlane.vniRows(), vrfs = controlPlane.vrfRows()
        let bridge = configuration.openVSwitch
        let anycast = bridge?.routed.flatMap(\.anycast) ?? []
        let enabled = anycast.count { bridge?.enabledAnycast.contains($0) ?? false }
        return [
            ("local_ce_cnt", bridge?.bridged.count ?? vnis.reduce(0) { $0 + $1.localMACs }),
            ("local_pr_cnt", vrfs.reduce(0) { $0 + $1.announcedPrefixes }), ("local_vni_cnt", vnis.count),
            ("enabled_anycast_prefixes", enabled), ("disabled_anycast_prefixes", anycast.count - enabled),
            ("remote_ce_cnt", vnis.reduce(0) { $0 + $1.remoteMACs }),
            ("remote_cpr_cnt", vrfs.reduce(0) { $0 + $1.remotePrefixes }),
            ("add_unicast_cnt", counts.added[.unicast] ?? 0), ("del_unicast_cnt", counts.removed[.unicast] ?? 0),
            ("add_multicast_cnt", counts.added[.multicast] ?? 0),
            ("del_multicast_cnt", counts.removed[.multicast] ?? 0),
            ("add_prefix_cnt", counts.added[.prefix] ?? 0), ("del_prefix_cnt", counts.removed[.prefix] ?? 0),
            ("ovs_flow_cnt", (dataplane as? OVSDataplane)?.flowCount ?? dataplane.statistics.desired),
        ]
    }

    /// Starts, changes or ends the push.
    func startStatsd() {
        guard configuration.telemetry.statsd != statsd?.settings else { return }
        statsd?.close()
        statsd = configuration.telemetry.statsd.map { settings in
            StatsdPush(loop: loop, log: log, settings: settings) { [weak self] push in
                self?.connectorNumbers(push.counts) ?? []
            }
        }
    }
}
