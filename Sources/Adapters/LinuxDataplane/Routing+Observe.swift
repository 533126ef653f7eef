// What the kernel tells about routes and nexthop objects: read as a whole at first and after notifications were lost, by notification
// otherwise.

import AsyncIO
import EVPN
import NetTypes
import Netlink
import Telemetry

/// A whole table as the kernel has it.
struct RouteObservation: Sendable {
    /// The numbers of our routes' nexthop objects.
    var ours: [IPPrefix: UInt32] = [:]
    var others: [(prefix: IPPrefix, route: LocalRoute)] = []
    /// Ours with a metric of before.
    var outdated: [Route] = []
    /// The families (IPv6: true) in which the table has its last route.
    var ends: Set<Bool> = []
    var failure: NetlinkFailure?

    /// Reads the table with that number, of both families. To be called on a thread that may block.
    init(_ binding: VRFBinding, _ socket: NetlinkSocket) {
        let table = binding.table
        for family in [Family.ipv4, Family.ipv6] {
            let isV6 = family == Family.ipv6
            var ours: [IPPrefix: UInt32] = [:]
            var others: [(prefix: IPPrefix, route: LocalRoute)] = []
            var outdated: [Route] = []
            do throws(NetlinkFailure) {
                try socket.dump(
                    restart: { (ours, others, outdated) = ([:], [], []) },
                    { $0.dumpRoutes(sequence: $1, family: family, table: table) },
                    { message in
                        guard message.type == MessageType.newRoute, let route = Route(decoding: message.payload),
                            route.table == table
                        else { return }
                        if let end = TableEnd(route) {
                            ends.insert(end.isV6)
                        } else if VRFTable.isOurs(route), route.metric != binding.metric(isV6: isV6) {
                            outdated.append(route)
                        } else if VRFTable.isOurs(route) {
                            ours[route.prefix] = route.nexthopID
                        } else if let local = LocalRoute(route), !local.isAddress {
                            others.append((route.prefix, local))
                        }
                    })
                self.ours.merge(ours) { $1 }
                self.others += others
                self.outdated += outdated
            } catch {
                // A table that nothing has been put into does not exist.
                if !error.isAbsence { failure = error }
            }
        }
    }
}

extension LinuxDataplane {
    static func dumpNexthops(_ socket: NetlinkSocket) throws(NetlinkFailure) -> [Nexthop] {
        var found: [Nexthop] = []
        try socket.dump(
            restart: { found = [] }, { $0.dumpNexthops(sequence: $1) },
            { message in
                guard message.type == MessageType.newNexthop, let nexthop = Nexthop(decoding: message.payload) else {
                    return
                }
                found.append(nexthop)
            })
        return found
    }
    func observeNexthops() {
        let me = OnLoop(self)
        worker.submit { [socket, handle = loop.handle] in
            let result: Result<[Nexthop], NetlinkFailure>
            do throws(NetlinkFailure) { result = .success(try LinuxDataplane.dumpNexthops(socket)) } catch {
                result = .failure(error)
            }
            handle.post { me { $0.observed(result) } }
        }
    }
    private func observed(_ result: Result<[Nexthop], NetlinkFailure>) {
        guard !isClosed else { return }
        switch result {
        case .success(let nexthops):
            routing.nexthops.observed(nexthops)
            routing.problem = nil
        case .failure(let failure):
            // EOPNOTSUPP, EINVAL: the kernel knows no such message.
            routing.problem =
                [95, 22].contains(failure.code)
                ? "the kernel has no nexthop objects (Linux 5.3 or later is needed)" : "nexthops: \(failure)"
            log.error("dataplane.nexthops", ["reason": routing.problem ?? ""])
        }
        routing.knowsNexthops = true
        scheduleRouting()
    }

    /// Reads the VRF's table on the worker.
    func observeRoutes(_ vrf: RoutedVRF) {
        guard let binding = vrf.binding else { return }
        guard !vrf.isObserving else { return vrf.observesAgain = true }
        vrf.isObserving = true
        vrf.observesAgain = false
        let me = OnLoop(self)
        worker.submit { [socket, handle = loop.handle, name = vrf.name] in
            let observation = RouteObservation(binding, socket)
            handle.post { me { $0.observed(name, binding, observation) } }
        }
    }
    /// The same in a moment: what leads here comes in storms.
    func observeRoutesSoon(_ vrf: RoutedVRF) {
        routing.stale.insert(vrf.name)
        guard !routing.isResyncScheduled else { return }
        routing.isResyncScheduled = true
        loop.schedule(after: .milliseconds(200)) { [weak self] in
            guard let self, !isClosed else { return }
            routing.isResyncScheduled = false
            let stale = routing.stale
            routing.stale = []
            for name in stale.sorted() { if let vrf = routing.vrfs[name] { observeRoutes(vrf) } }
        }
    }
    private func observed(_ name: String, _ binding: VRFBinding, _ observation: RouteObservation) {
        guard !isClosed, let vrf = routing.vrfs[name], vrf.isObserving else { return }
        vrf.isObserving = false
        guard vrf.binding == binding else { return observeRoutes(vrf) }
        let delayed = vrf.delayed
        vrf.delayed = []
        if let failure = observation.failure {
            log.warning("dataplane.observe.failed", ["vrf": name, "reason": failure.description])
            loop.schedule(after: .seconds(1)) { [weak self, weak vrf] in
                if let self, let vrf, !isClosed { observeRoutes(vrf) }
            }
        } else {
            var locals = LocalRoutes()
            locals.limit = maximumLocals
            for (prefix, route) in observation.others { _ = locals.insert(prefix, route, mode: .append) }
            vrf.table.observed(observation.ours)
            vrf.ends = observation.ends
            vrf.outdated = observation.outdated
            if vrf.isRetired { vrf.table.locals = locals } else { tell(vrf, locals) }
            if vrf.table.binding == nil {
                vrf.table.bind(binding)
                // What is not there is known now.
                if routing.underlays.contains(name) { scheduleRouting() }
            }
            noteFull(vrf)
        }
        for (route, isNew, mode) in delayed { received(route, isNew: isNew, mode, vrf) }
        routesDue(vrf)
        if vrf.observesAgain { observeRoutes(vrf) }
    }
    private func noteFull(_ vrf: RoutedVRF) {
        guard vrf.table.locals.isFull != vrf.wasFull else { return }
        vrf.wasFull = vrf.table.locals.isFull
        if vrf.wasFull { log.warning("dataplane.local.limit", ["vrf": vrf.name, "limit": "\(maximumLocals)"]) }
    }
    /// Notifications were lost: everything about routes is asked again.
    func resynchronizeRoutes() {
        guard routing.hasStarted else { return }
        observeNexthops()
        for vrf in routing.vrfs.values.sorted(by: { $0.name < $1.name }) { observeRoutes(vrf) }
    }

    // MARK: Notifications

    func readRouteNotifications() {
        guard !isClosed else { return }
        // A device that goes down is told of before the routes that it takes along.
        readNotifications()
        if routing.notifications.read({ receiveRoute($0) }) == .overrun {
            overruns.increment()
            log.warning("dataplane.overrun", ["action": "resync", "table": "routes"])
            if routing.stale.isEmpty { observeNexthops() }
            for vrf in routing.vrfs.values { observeRoutesSoon(vrf) }
        }
        flushFacts()
    }
    private func receiveRoute(_ message: NetlinkMessage) {
        // What follows from our own requests is known by their answers.
        guard message.port != socket.port else { return }
        switch message.type {
        case MessageType.newRoute, MessageType.deleteRoute:
            guard let route = Route(decoding: message.payload), let vrf = routing.byTable[route.table] else { return }
            let isNew = message.type == MessageType.newRoute
            if vrf.isObserving {
                vrf.delayed.append((route, isNew, message.flags))
            } else {
                received(route, isNew: isNew, message.flags, vrf)
            }
        case MessageType.newNexthop, MessageType.deleteNexthop:
            guard let nexthop = Nexthop(decoding: message.payload) else { return }
            let isNew = message.type == MessageType.newNexthop
            routesLost(routing.nexthops.received(nexthop, isNew: isNew))
            if routing.nexthops.hasQueued { scheduleRouteFlush() }
        default: break
        }
    }
    private func received(_ route: Route, isNew: Bool, _ mode: MessageFlags, _ vrf: RoutedVRF) {
        let prefix = route.prefix
        if let end = TableEnd(route) {
            if isNew {
                vrf.ends.insert(end.isV6)
            } else if vrf.ends.remove(end.isV6) != nil {
                noteHealed(1, ("vrf", vrf.name))
                routesDue(vrf)
            }
        } else if VRFTable.isOurs(route) {
            if route.metric == vrf.binding?.metric(isV6: prefix.address.isV6) {
                vrf.table.disturbed(prefix, isNew ? route.nexthopID : 0)
            } else if isNew {
                vrf.outdated.append(route)
                routesDue(vrf)
            }
        } else if let local = LocalRoute(route), !local.isAddress {
            let name = { [links] (interface: Int32) in links.name(of: interface) }
            let old = vrf.table.locals.fact(prefix, in: vrf.binding, name: name)
            let known = vrf.table.locals.routes[prefix]
            if isNew {
                // It may have taken the place of one of ours.
                if mode.contains(.replace), local.metric == vrf.binding?.metric(isV6: prefix.address.isV6) {
                    vrf.table.disturbed(prefix, 0)
                }
                _ = vrf.table.locals.insert(prefix, local, mode: mode)
                noteFull(vrf)
            } else if vrf.table.locals.remove(prefix, local) {
                vrf.table.madeRoom(prefix)
            } else if !vrf.table.locals.isFull {
                observeRoutesSoon(vrf)
            }
            if vrf.table.locals.routes[prefix] != known { leaksFollow(vrf, prefix) }
            let new = vrf.table.locals.fact(prefix, in: vrf.binding, name: name)
            if new != old, !vrf.isRetired { emit(.prefix(PrefixKey(vrf: vrf.name, prefix: prefix), new)) }
        }
        if vrf.table.hasQueued { routesDue(vrf) }
    }
}
