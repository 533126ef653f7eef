// A bridge of Open vSwitch over its management socket (RUNDIR/BRIDGE.mgmt), or whatever else speaks OpenFlow on a unix socket.

import Glibc
public import AsyncIO
import NetTypes
public import OpenFlow

/// One connection, made again whenever it ends, until `close`.
///
/// Everything happens on the thread of the loop. Requests are done one after the other in the order in which they were made, so a dump
/// shows all changes that were asked for before it. Nothing is kept over the end of a connection: requests that are not answered then
/// fail, and after `connected` the caller asks for the flows and applies what is different.
public final class OpenFlowConnection {
    public enum Event {
        /// The version is the highest that both sides speak.
        case connected(ProtocolVersion, SwitchFeatures)
        /// Told once for each `connected`, and once when the first try fails; tries go on.
        case disconnected(ConnectionEnded)
        case packetIn(PacketIn)
        case flowRemoved(FlowRemoved)
        case portChanged(PortChange, PortDescription)
    }

    public struct Options {
        public var versions: Set<ProtocolVersion> = Set(ProtocolVersion.allCases)
        public var notifications: Notifications = .ports
        /// Only flows whose cookies pass are ever deleted.
        public var cookies = FlowFilter()
        /// Between two tries to connect; a try costs one system call.
        public var retryDelay: Duration = .milliseconds(200)
        /// After so long without a message the switch is asked for one, and after three times as long the connection is given up.
        public var probeInterval: Duration = .seconds(5)
        public init() {}
    }

    /// Where messages are read, and the most that is read at once.
    private static let readSize = 64 * 1024
    /// A switch that does not read while it asks for answers is left.
    private static let maximumUnsent = 64 * 1024 * 1024

    private let loop: EventLoop
    private let path: String
    private var options: Options
    private let handler: (Event) -> Void
    private var link: Link?
    private var isClosed = false
    private var mayTellOfFailure = true
    private var queue: [any Operation] = []
    private var timer: TimerID?

    /// What exists only while there is a socket.
    private final class Link {
        let descriptor: Int32
        /// Nil until the hello of the switch.
        var version: ProtocolVersion?
        /// Features were told: requests may be sent.
        var isReady = false
        var output = MessageWriter(version: .v13)
        /// Octets of `output` that are on their way.
        var sent = 0
        var input: [UInt8] = []
        var waitsForWrite = false
        var transactions = Transactions()
        var lastReceived: Instant

        init(_ descriptor: Int32, now: Instant) {
            self.descriptor = descriptor
            lastReceived = now
        }
        func write(_ body: (inout MessageWriter, inout Transactions) -> Void) { body(&output, &transactions) }
    }

    /// Begins to connect. `handler` is called from the loop, never from inside of a call to this object.
    public init(loop: EventLoop, path: String, options: Options = Options(), _ handler: @escaping (Event) -> Void) {
        self.loop = loop
        self.path = path
        self.options = options
        self.handler = handler
        timer = loop.schedule(after: .zero) { [weak self] in self?.connect() }
    }
    deinit { close() }

    /// Nil while there is no connection.
    public var version: ProtocolVersion? { link?.isReady == true ? link?.version : nil }

    /// Ends the connection for good; requests that are not answered fail. No event follows.
    public func close() {
        isClosed = true
        end("closed")
        if let timer { loop.cancel(timer) }
    }

    // MARK: requests

    /// Applies changes, all at once where the switch allows it, in their order. `done` is told what was refused, sorted; all else is
    /// done. Refused changes leave the switch as it was at their place.
    public func apply(_ changes: [BridgeChange], _ done: @escaping (Result<[Refusal], ConnectionEnded>) -> Void) {
        submit(ApplyOperation(changes, cookies: options.cookies, done))
    }
    /// Flows with these cookies, a few hundred at a time.
    public func flows(
        _ filter: FlowFilter, piece: @escaping ([FlowEntry]) -> Void, done: @escaping (Result<Void, any Error>) -> Void
    ) {
        submit(
            MultipartOperation({ $0.flowStats($1, filter) }) {
                if case .flows(let flows) = $0 { piece(flows) }
            } done: {
                done($0)
            })
    }
    public func groups(_ done: @escaping (Result<[Group], any Error>) -> Void) {
        collect({ $0.groupDescriptions($1) }, { if case .groups(let groups) = $0 { groups } else { [] } }, done)
    }
    public func groupCounters(_ done: @escaping (Result<[GroupCounters], any Error>) -> Void) {
        collect({ $0.groupStats($1) }, { if case .groupCounters(let groups) = $0 { groups } else { [] } }, done)
    }
    public func tableCounters(_ done: @escaping (Result<[TableCounters], any Error>) -> Void) {
        collect({ $0.tableStats($1) }, { if case .tables(let tables) = $0 { tables } else { [] } }, done)
    }
    public func ports(_ done: @escaping (Result<[PortDescription], any Error>) -> Void) {
        collect({ $0.portDescriptions($1) }, { if case .ports(let ports) = $0 { ports } else { [] } }, done)
    }
    /// How many flows there are with these cookies, and what went through them.
    public func counters(_ filter: FlowFilter, _ done: @escaping (Result<FlowCounters, any Error>) -> Void) {
        collect(
            { $0.aggregateStats($1, filter) }, { if case .aggregate(let counters) = $0 { [counters] } else { [] } },
            { done($0.map { $0.first ?? FlowCounters() }) })
    }
    /// What the switch tells of without being asked, from now on.
    public func listen(to notifications: Notifications) {
        options.notifications = notifications
        guard link?.version != nil else { return }
        link?.write { output, transactions in output.setAsync(transactions.next(), notifications) }
        flushSoon()
    }
    /// Sends a packet as if it came from `port`, without waiting; nothing is said when there is no connection or it is too long.
    public func send(_ packet: [UInt8], from port: PortNumber, actions: [Action]) {
        guard link?.isReady == true else { return }
        link?.write { output, transactions in
            output.packetOut(transactions.next(), packet, from: port, actions: actions)
        }
        flushSoon()
    }

    private func collect<Row>(
        _ request: @escaping (inout MessageWriter, UInt32) -> Void, _ rows: @escaping (MultipartReply) -> [Row],
        _ done: @escaping (Result<[Row], any Error>) -> Void
    ) {
        var all: [Row] = []
        submit(
            MultipartOperation(request) {
                all += rows($0)
            } done: {
                done($0.map { all })
            })
    }

    private func submit(_ operation: any Operation) {
        guard link?.isReady == true else {
            loop.afterRound { operation.ended(ConnectionEnded("not connected")) }
            return
        }
        queue.append(operation)
        if queue.count == 1 { flushSoon() }
    }

    // MARK: socket

    private func connect() {
        timer = nil
        if isClosed { return }
        let descriptor: Int32
        do throws(SystemError) {
            descriptor = try connectUnix(path, isBlocking: false)
        } catch {
            failed(error.description)
            return
        }
        link = Link(descriptor, now: loop.now)
        loop.watch(descriptor, .readable) { [weak self] readiness in self?.ready(readiness) }
        let versions = options.versions
        link?.write { output, transactions in output.hello(transactions.next(), offering: versions) }
        scheduleProbe()
        flush()
    }

    private func failed(_ reason: String) {
        if mayTellOfFailure {
            mayTellOfFailure = false
            handler(.disconnected(ConnectionEnded(reason)))
        }
        if isClosed || timer != nil { return }
        timer = loop.schedule(after: options.retryDelay) { [weak self] in self?.connect() }
    }

    private func end(_ reason: String) {
        guard let link else { return }
        self.link = nil
        if let timer { loop.cancel(timer) }
        timer = nil
        loop.unwatch(link.descriptor)
        Glibc.close(link.descriptor)
        let operations = queue
        queue = []
        let reason = ConnectionEnded("\(path): \(reason)")
        if isClosed {
            loop.afterRound { for operation in operations { operation.ended(reason) } }
        } else {
            for operation in operations { operation.ended(reason) }
            failed(reason.reason)
        }
    }

    private func scheduleProbe() {
        timer = loop.schedule(after: options.probeInterval) { [weak self] in self?.probe() }
    }
    private func probe() {
        timer = nil
        guard let link else { return }
        let silence = loop.now - link.lastReceived
        if silence >= options.probeInterval * 3 {
            end("nothing heard for \(Int(silence.inSeconds)) s")
            return
        }
        if silence >= options.probeInterval {
            link.write { output, transactions in output.echoRequest(transactions.next()) }
            flush()
        }
        if self.link != nil { scheduleProbe() }
    }

    private func ready(_ readiness: EventLoop.Readiness) {
        if readiness.contains(.readable) || !readiness.isDisjoint(with: .failed) { read() }
        if readiness.contains(.writable) { flush() }
    }

    private func flushSoon() {
        loop.afterRound { [weak self] in self?.flush() }
    }

    /// Writes as much as the socket takes, and asks the request at the head of the queue for more.
    private func flush() {
        while let link {
            if link.sent == link.output.count {
                link.output.removeAll()
                link.sent = 0
                if link.isReady, let operation = queue.first, operation.hasMore {
                    operation.write(to: &link.output, &link.transactions)
                }
                if link.output.count == 0 {
                    wait(link, forWrite: false)
                    return
                }
            }
            let count = link.output.bytes.withUnsafeBytes { bytes in
                Glibc.send(
                    link.descriptor, bytes.baseAddress.map { $0 + link.sent }, bytes.count - link.sent,
                    Int32(MSG_NOSIGNAL))
            }
            if count >= 0 {
                link.sent += count
            } else if errno == EAGAIN {
                if link.output.count - link.sent > OpenFlowConnection.maximumUnsent {
                    end("the switch does not read")
                } else {
                    wait(link, forWrite: true)
                }
                return
            } else if errno != EINTR {
                end(SystemError("write").text)
                return
            }
        }
    }
    private func wait(_ link: Link, forWrite waits: Bool) {
        guard link.waitsForWrite != waits else { return }
        link.waitsForWrite = waits
        loop.modify(link.descriptor, waits ? [.readable, .writable] : .readable)
    }

    private func read() {
        guard let link else { return }
        var input: [UInt8] = []
        swap(&input, &link.input)
        let start = input.count
        input.append(contentsOf: repeatElement(0, count: OpenFlowConnection.readSize))
        let count = input.withUnsafeMutableBytes { bytes in
            recv(link.descriptor, bytes.baseAddress.map { $0 + start }, OpenFlowConnection.readSize, 0)
        }
        let error = errno
        input.removeLast(OpenFlowConnection.readSize - max(0, count))
        if count > 0 {
            link.lastReceived = loop.now
            input.removeFirst(messages(link, input))
            swap(&input, &link.input)
            flush()
            return
        }
        swap(&input, &link.input)
        if count == 0 {
            end("closed by the switch")
        } else if error != EAGAIN, error != EINTR {
            end(SystemError("read", code: error).text)
        }
    }

    /// Handles the messages that are complete, and returns how many octets they had.
    private func messages(_ link: Link, _ input: [UInt8]) -> Int {
        input.withByteReader { reader in
            while self.link === link, reader.count >= MessageHeader.length {
                var ahead = reader
                do throws(ByteError) {
                    let header = try MessageHeader(decoding: &ahead)
                    guard reader.count >= header.messageLength else { break }
                    var body = try ahead.take(header.messageLength - MessageHeader.length)
                    reader = ahead
                    received(try Message(header, link.version ?? .v13, decoding: &body), header)
                } catch {
                    end("not understood: \(error)")
                }
            }
            return reader.offset
        }
    }

    // MARK: messages

    private func received(_ message: Message, _ header: MessageHeader) {
        switch message {
        case .hello(let versions): hello(versions)
        case .echoRequest(let octets):
            link?.write { output, _ in output.echoReply(header.transaction, octets) }
        case .echoReply: break
        case .features(let features):
            guard let link, let version = link.version, !link.isReady else { return }
            link.isReady = true
            mayTellOfFailure = true
            handler(.connected(version, features))
        case .packetIn(let packet): handler(.packetIn(packet))
        case .flowRemoved(let removed): handler(.flowRemoved(removed))
        case .portStatus(let change, let port): handler(.portChanged(change, port))
        case .error(let error) where link?.isReady != true: end("refused: \(error)")
        default:
            guard let operation = queue.first, operation.received(message, header.transaction) else { return }
            queue.removeFirst()
            operation.finish()
        }
    }

    private func hello(_ offered: Set<UInt8>) {
        guard let link, link.version == nil else { return }
        guard let version = options.versions.filter({ offered.contains($0.rawValue) }).max() else {
            let wanted = options.versions.sorted().map(\.description).joined(separator: ", ")
            end("the bridge speaks none of \(wanted); see `protocols` of the bridge")
            return
        }
        link.version = version
        link.output.version = version
        let notifications = options.notifications
        link.write { output, transactions in
            // Other than 0: this connection wants to be told things at all.
            output.setConfig(transactions.next(), missSendLength: 0xffff)
            output.setAsync(transactions.next(), notifications)
            output.featuresRequest(transactions.next())
        }
    }
}
