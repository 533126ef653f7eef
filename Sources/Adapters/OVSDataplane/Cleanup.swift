// Removes what carries our mark, whether a daemon runs or not: flows and groups by their cookie and number, ports and bridge by
// their external_ids.

import AsyncIO
public import EVPN
import NetTypes
import OVSDB
import OpenFlow
import OpenFlowClient
import OpenFlowPipeline
public import Telemetry

extension OVSDataplane {
    private static let cleanupTimeout = Duration.seconds(10)

    /// Removes everything of ours and closes; `done` is called with what was done, as commands, each refusal with its reason.
    public func cleanup(_ done: @escaping ([String]) -> Void) {
        guard !isClosed, !isCleaning else { return done([]) }
        isCleaning = true
        sync.disconnected()
        var lines: [String] = []
        var isDone = false
        func finish() {
            guard !isDone else { return }
            isDone = true
            self.close()
            done(lines)
        }
        let timer = loop.schedule(after: Self.cleanupTimeout) {
            lines.append("# no answer from Open vSwitch within \(Self.cleanupTimeout)")
            finish()
        }
        removeFlows { flows in
            lines += flows
            self.remove(BridgePlan.cleanup(self.configuration.bridge, self.database.replica)) { commands in
                self.loop.cancel(timer)
                lines += commands
                finish()
            }
        }
    }

    private func removeFlows(_ done: @escaping ([String]) -> Void) {
        guard link.problem == nil else { return done([]) }
        let command =
            "ovs-ofctl del-flows \(bridge.name) cookie=\(Layout.cookie.hexadecimal)/\(Layout.cookieMask.hexadecimal)"
        link.read { [link] contents in
            guard let contents else { return done(["# \(command): \(link.problem ?? "the flows cannot be read")"]) }
            guard !contents.flows.isEmpty || !contents.groups.isEmpty else { return done([]) }
            let changes: [BridgeChange] =
                contents.flows.map { .flow(.delete($0.key)) } + contents.groups.map { .group(.delete($0.id)) }
            link.send(changes) { refusals in
                var lines = ["\(command) # \(contents.flows.count) flows"]
                lines += contents.groups.map { BridgeChange.group(.delete($0.id)).command(bridge: self.bridge.name) }
                lines += refusals.map { "# refused: \($0.reason)" }
                done(lines)
            }
        }
    }
    private func remove(_ operations: [BridgeOperation], _ done: @escaping ([String]) -> Void) {
        guard let operation = operations.first else { return done([]) }
        let rest = Array(operations.dropFirst())
        guard !operation.operations.isEmpty else {
            return remove(rest) { done([operation.description] + $0) }
        }
        database.transact(operation.operations) { result in
            var line = operation.description
            switch result {
            case .success(let result): if let error = result.error { line += " # refused: \(error)" }
            case .failure(let error): line += " # refused: \(error)"
            }
            self.remove(rest) { done([line] + $0) }
        }
    }

    /// The same without a daemon, blocking.
    public static func cleanup(bridge: SwitchBridge, log: Log) throws(DataplaneError) -> [String] {
        let loop = EventLoop()
        let dataplane = try OVSDataplane(
            loop: loop, log: log, metrics: MetricRegistry(), configuration: SwitchConfiguration(bridge: bridge))
        var lines: [String]?
        let give = loop.now + .seconds(3)
        // Nobody has configured it, so it changes nothing by itself.
        func look() {
            if dataplane.database.isLive {
                guard dataplane.database.replica.first("Bridge", named: bridge.name) != nil else {
                    lines = []
                    return loop.stop()
                }
                dataplane.link.open()
                if dataplane.link.problem == nil || loop.now > give {
                    return dataplane.cleanup {
                        lines = $0
                        loop.stop()
                    }
                }
            } else if loop.now > give {
                return loop.stop()
            }
            loop.schedule(after: .milliseconds(20)) { look() }
        }
        look()
        loop.run()
        guard let lines else { throw DataplaneError(dataplane.database.problem ?? "no answer from ovsdb-server") }
        return lines
    }
}

extension UInt64 {
    fileprivate var hexadecimal: String { "0x" + String(self, radix: 16) }
}
