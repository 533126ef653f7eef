// Sends route operations to the kernel on the worker's thread and brings the answers back to the loop.

import AsyncIO
import Glibc
import NetTypes
import Netlink
import Telemetry
import UnicastRoutes

extension Route {
    init(_ key: KernelRouteKey, _ route: KernelRoute) {
        self.init(
            table: key.table, prefix: key.prefix, metric: key.metric, proto: route.proto,
            hops: route.nexthops.map { Hop(gateway: $0.gateway, interface: $0.interface, isOnLink: $0.isOnlink) })
    }
}

extension KernelRouteOperation {
    func encode(_ batch: inout NetlinkBatch, sequence: UInt32) {
        switch action {
        case .add(let route):
            batch.setRoute(sequence: sequence, Route(key, route), mode: [.create, .exclusive])
        case .replace(let route): batch.setRoute(sequence: sequence, Route(key, route), mode: .replace)
        case .remove(let proto):
            batch.deleteRoute(sequence: sequence, Route(key, KernelRoute(proto: proto, nexthops: [])))
        }
    }
    func outcome(of failure: NetlinkFailure) -> KernelRouteOutcome {
        switch (action, failure.code) {
        case (.add, EEXIST): .exists
        case (.remove, ENOENT), (.remove, ESRCH), (.replace, ENOENT), (.replace, ESRCH): .absent
        default: .refused(failure.description)
        }
    }
    /// As a command.
    func text(interface: (Int32) -> String) -> String {
        let table = key.table == RouteTable.main ? "" : " table \(key.table)"
        let words = key.prefix.address.isV6 ? "ip -6 route" : "ip route"
        func line(_ verb: String, _ proto: UInt8, _ rest: String = "") -> String {
            "\(words) \(verb) \(key.prefix)\(rest)\(table) proto \(proto) metric \(key.metric)"
        }
        switch action {
        case .add(let route): return line("add", route.proto, route.text(interface: interface))
        case .replace(let route): return line("replace", route.proto, route.text(interface: interface))
        case .remove(let proto): return line("del", proto)
        }
    }
}

extension KernelRoute {
    func text(interface: (Int32) -> String) -> String {
        let hops = nexthops.map { hop in
            let via = hop.gateway.map { " via\($0.isV6 ? " inet6" : "") \($0)" } ?? ""
            return "\(via) dev \(interface(hop.interface))\(hop.isOnlink ? " onlink" : "")"
        }
        return hops.count == 1 ? hops[0] : hops.map { " nexthop\($0)" }.joined()
    }
}

extension KernelRoutes {
    func send(_ operations: [KernelRouteOperation], _ kernel: Kernel) {
        let me = OnLoop(self)
        kernel.worker.submit { [socket = kernel.requests, handle = loop.handle] in
            let refused = socket.transact(operations.count) { operations[$1].encode(&$0, sequence: $2) }
            handle.post { me { $0.completed(operations, refused) } }
        }
    }
    private func completed(_ operations: [KernelRouteOperation], _ refused: [RefusedRequest]) {
        var results = operations.map { (operation: $0, outcome: KernelRouteOutcome.done) }
        var reported = 0
        for refusal in refused where results.indices.contains(refusal.index) {
            let outcome = operations[refusal.index].outcome(of: refusal.failure)
            results[refusal.index].outcome = outcome
            guard outcome != .absent else { continue }
            scheduleRetry()
            askAgainSoon()
            // Each is told once, however often it is tried.
            guard refusals.count < 10_000, refusals.insert(operations[refusal.index].key).inserted else { continue }
            reported += 1
            guard reported <= 10 else { continue }
            log.warning(
                "routes.refused",
                [
                    "command": operations[refusal.index].text(interface: interfaceName),
                    "reason": refusal.failure.description,
                ])
        }
        if reported > 10 { log.warning("routes.refused.more", ["count": "\(reported - 10)"]) }
        if !refusals.isEmpty {
            for result in results where result.outcome == .done { refusals.remove(result.operation.key) }
        }
        table.completed(results, now: loop.now)
        schedulePump()
    }
    func interfaceName(_ interface: Int32) -> String { links[interface]?.name ?? "if\(interface)" }

    /// What would be changed in the kernel now, as commands.
    public func plan() -> [String] {
        table.pendingOperations.map { $0.text(interface: interfaceName) } + abandonedCommands
    }

    /// Closes, and removes all exported routes, blocking; returns what was done, as commands, each refusal with its reason.
    public func cleanup() -> [String] {
        var lines: [String] = []
        if let kernel {
            close()
            // What is still on its way comes first: the socket takes one caller after the other.
            lines = Self.remove(table.removals, kernel.requests).lines
        }
        // What an earlier run left in tables that the configuration does not name any more.
        return lines + ((try? Self.cleanup(stateDirectory: stateDirectory)) ?? [])
    }
}
