// The bridge over its management socket, in the words of `FlowSync`: everything of ours in it, and batches of changes.

import AsyncIO
import NetTypes
import OpenFlow
import OpenFlowClient
import OpenFlowPipeline

/// Reads and changes the flows of one bridge. Confined to the loop's thread.
final class SwitchLink {
    var onOpen: (() -> Void)?
    var onDown: ((String) -> Void)?
    var onHeard: ((FlowTables.HeardAddress) -> Void)?
    var onSilent: ((FlowKey) -> Void)?
    /// Why there is no connection; nil: there is one.
    private(set) var problem: String? = "not connected yet"

    private let loop: EventLoop
    private let path: String
    /// Packets of unknown senders, and flows that time out, are told.
    var learns = false {
        didSet { if learns != oldValue { connection?.listen(to: notifications) } }
    }
    private var notifications: Notifications { learns ? .learning : .ports }
    private var connection: OpenFlowConnection?

    /// Flows by our cookie.
    private static let filter = FlowFilter(cookie: Layout.cookie, cookieMask: Layout.cookieMask)

    init(loop: EventLoop, path: String) {
        self.loop = loop
        self.path = path
    }

    var version: ProtocolVersion? { connection?.version }

    /// Connects and stays connected; without effect when it does already.
    func open() {
        guard connection == nil else { return }
        var options = OpenFlowConnection.Options()
        options.notifications = notifications
        options.cookies = Self.filter
        // An attempt costs microseconds: the flows are to be back at once after a restart of ovs-vswitchd.
        options.retryDelay = .milliseconds(50)
        connection = OpenFlowConnection(loop: loop, path: path, options: options) { [weak self] in self?.handle($0) }
    }
    func close() {
        connection?.close()
        connection = nil
        problem = "closed"
    }

    private func handle(_ event: OpenFlowConnection.Event) {
        switch event {
        case .connected:
            problem = nil
            onOpen?()
        case .disconnected(let end):
            problem = end.reason
            onDown?(end.reason)
        case .packetIn(let packet): if let address = FlowTables.HeardAddress(packet) { onHeard?(address) }
        case .flowRemoved(let flow):
            guard flow.cookie & Layout.cookieMask == Layout.cookie, flow.reason == .idleTimeout else { return }
            onSilent?(flow.key)
        case .portChanged: break
        }
    }

    /// What the bridge has of ours; nil: it could not be read.
    func read(_ done: @escaping (FlowSync.Contents?) -> Void) {
        guard let connection else { return loop.afterRound { done(nil) } }
        var contents = FlowSync.Contents()
        // One after the other on the connection: the groups come after the flows.
        var hasFlows = false
        connection.flows(Self.filter) {
            contents.flows += $0.map(\.flow)
        } done: {
            if case .success = $0 { hasFlows = true }
        }
        connection.groups { groups in
            guard hasFlows, case .success(let groups) = groups else { return done(nil) }
            contents.groups = groups.filter { $0.id >> 24 == Layout.groupPrefix }
            done(contents)
        }
    }
    /// How many flows of ours the bridge has; nothing is said when it cannot be asked.
    func count(_ done: @escaping (Int) -> Void) {
        connection?.counters(Self.filter) { if case .success(let counters) = $0 { done(Int(counters.flows)) } }
    }
    /// Flows without a cookie, which are somebody else's; nil: they could not be read.
    func readUnmarked(_ done: @escaping ([Flow]?) -> Void) {
        guard let connection else { return loop.afterRound { done(nil) } }
        var flows: [Flow] = []
        connection.flows(FlowFilter(cookie: 0, cookieMask: .max)) {
            flows += $0.map(\.flow)
        } done: {
            if case .success = $0 { done(flows) } else { done(nil) }
        }
    }
    /// Does all of the changes but those that the bridge refuses; `done` is not called when the connection ends before.
    func send(_ changes: [BridgeChange], _ done: @escaping ([Refusal]) -> Void) {
        connection?.apply(changes) { result in
            if case .success(let refusals) = result { done(refusals) }
        }
    }
}

extension FlowTables.HeardAddress {
    /// Nil: not from a flow of ours that asks for it.
    init?(_ packet: PacketIn) {
        guard packet.cookie & Layout.cookieMask == Layout.cookie, packet.table == Layout.Table.sources,
            packet.packet.count >= 14, let port = packet.metadata[.inPort], let vni = packet.metadata[.register0]
        else { return nil }
        let source = packet.packet[6..<12].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        self.init(
            port: UInt32(truncatingIfNeeded: port.value),
            tag: UInt16(truncatingIfNeeded: packet.metadata[.register5]?.value ?? 0),
            vni: UInt32(truncatingIfNeeded: vni.value), mac: MACAddress(rawValue: source))
    }
}
