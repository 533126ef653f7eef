// The connection to ovsdb-server: made again whenever it ends, and what was read last stays known meanwhile.

import AsyncIO
import EVPN
import NetTypes
import OVSDB
import Streams

/// Follows the tables of Open vSwitch and changes them. Confined to the loop's thread.
final class Database {
    /// The replica has changed, or is there again after a time without connection.
    var onChange: (() -> Void)?
    /// The connection has ended, or could not be made: once for each reason.
    var onDown: ((String) -> Void)?

    /// What was read last; empty before the first time.
    private(set) var replica = Replica()
    /// The replica is true now.
    var isLive: Bool { session?.isLive == true }
    /// Why not; nil while it is.
    private(set) var problem: String? = "not connected yet"

    private let loop: EventLoop
    private let resolver: Worker
    private let endpoint: StreamEndpoint
    private let tls: TLSSettings?
    private let request: MonitorRequest
    private var stream: StreamConnection?
    private var session: DatabaseSession?
    private var timer: TimerID?
    private var completions: [Int: (Result<TransactionResult, DatabaseError>) -> Void] = [:]
    private var isClosed = false
    private var retryDelay: Duration

    init(
        loop: EventLoop, resolver: Worker, endpoint: StreamEndpoint, tls: TLSSettings?, request: MonitorRequest
    ) {
        self.loop = loop
        self.resolver = resolver
        self.endpoint = endpoint
        self.tls = tls
        self.request = request
        retryDelay = Self.shortestDelay(endpoint)
    }

    // A socket of this host costs nothing to try: ovsdb-server is back at once after its restart.
    private static func shortestDelay(_ endpoint: StreamEndpoint) -> Duration {
        if case .unix = endpoint { .milliseconds(100) } else { .milliseconds(500) }
    }
    private var longestDelay: Duration { if case .unix = endpoint { .seconds(1) } else { .seconds(8) } }
    private static let connectTimeout = Duration.seconds(5)

    func open() {
        guard stream == nil, !isClosed else { return }
        let stream = StreamConnection(loop: loop, endpoint: endpoint, tls: tls)
        self.stream = stream
        timer = loop.schedule(after: Self.connectTimeout) { [weak self] in
            self?.stream?.fail("no connection within \(Self.connectTimeout)")
        }
        stream.onOpen = { [weak self] in
            guard let self else { return }
            let session = DatabaseSession(self.request, now: self.loop.now)
            self.session = session
            self.perform(session.opened())
            self.scheduleTick()
        }
        stream.onOctets = { [weak self] octets in
            guard let self, var session = self.session else { return }
            self.session = nil
            let effects = session.received(octets, now: self.loop.now)
            self.session = session
            self.perform(effects)
        }
        stream.onClose = { [weak self] reason in self?.lost(reason) }
        stream.open(resolver: resolver)
    }
    /// Ends the connection; what is under way is not answered any more.
    func close() {
        isClosed = true
        completions = [:]
        if let timer { loop.cancel(timer) }
        timer = nil
        stream?.close()
        stream = nil
        session = nil
    }

    /// Does all operations or none. Fails at once when there is no connection.
    func transact(
        _ operations: [Operation], _ completion: @escaping (Result<TransactionResult, DatabaseError>) -> Void
    ) {
        guard var session, session.isLive else {
            return loop.afterRound { completion(.failure(DatabaseError(self.problem ?? "not connected"))) }
        }
        self.session = nil
        let (id, effects) = session.transact(operations)
        self.session = session
        completions[id] = completion
        perform(effects)
    }

    private func scheduleTick() {
        if let timer { loop.cancel(timer) }
        timer = loop.schedule(after: DatabaseSession.probeInterval) { [weak self] in
            guard let self, let session = self.session else { return }
            self.scheduleTick()
            self.perform(session.tick(now: self.loop.now))
        }
    }

    private func perform(_ effects: [DatabaseSession.Effect]) {
        for effect in effects {
            switch effect {
            case .send(let octets): stream?.send(octets)
            case .live, .updated:
                guard let session else { return }
                replica = session.replica
                problem = nil
                retryDelay = Self.shortestDelay(endpoint)
                onChange?()
            case .finished(let id, let result): completions.removeValue(forKey: id)?(result)
            case .fail(let reason): return stream?.fail(reason) ?? ()
            }
        }
    }

    private func lost(_ reason: String) {
        let reason = "\(endpoint.databaseName): \(reason)"
        stream = nil
        session = nil
        if let timer { loop.cancel(timer) }
        timer = nil
        let waiting = completions.sorted { $0.key < $1.key }.map(\.value)
        completions = [:]
        let isNew = problem != reason
        problem = reason
        for completion in waiting { completion(.failure(DatabaseError("the connection has ended", reason))) }
        if isNew { onDown?(reason) }
        guard !isClosed else { return }
        timer = loop.schedule(after: retryDelay) { [weak self] in self?.open() }
        retryDelay = min(longestDelay, retryDelay + retryDelay)
    }
}

extension StreamEndpoint {
    /// `unix:PATH`, `tcp:HOST:PORT` or `ssl:HOST:PORT`, hosts with a colon in brackets, and whether it is TLS; nil: none of these.
    static func database(_ text: String) -> (endpoint: StreamEndpoint, isTLS: Bool)? {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[1].isEmpty else { return nil }
        let rest = parts[1]
        if parts[0] == "unix" { return (.unix(path: String(rest)), false) }
        guard parts[0] == "tcp" || parts[0] == "ssl", let colon = rest.lastIndex(of: ":"),
            let port = UInt16(rest[rest.index(after: colon)...]), port > 0
        else { return nil }
        var host = rest[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard !host.isEmpty else { return nil }
        return (.tcp(host: String(host), port: port), parts[0] == "ssl")
    }
    fileprivate var databaseName: String {
        switch self {
        case .unix(let path): path
        case .tcp: description
        }
    }
}
