// The routes of this namespace's IP-VRFs: follows tables and devices, sends what `VRFTable` and `NexthopTable` ask for, brings the answers
// back.

import AsyncIO
import EVPN
import NetTypes
import Netlink
import Telemetry

/// What the dataplane holds for the routes of one network namespace.
final class Routing {
    /// Subscribed once there is an IP-VRF: who routes nothing does not hear of anybody's routes.
    let notifications: NotificationSocket
    var nexthops = NexthopTable()
    var vrfs: [String: RoutedVRF] = [:]
    /// Those whose table is in use, by its number.
    var byTable: [UInt32: RoutedVRF] = [:]
    var hasStarted = false
    /// The kernel's nexthop objects have been read.
    var knowsNexthops = false
    /// Why nothing can be programmed.
    var problem: String?
    var due: Set<String> = []
    var isEvaluationScheduled = false
    var isFlushScheduled = false
    var isSweepScheduled = false
    var isResyncScheduled = false
    /// Those to be read again.
    var stale: Set<String> = []
    /// The names of those that are the host's own table.
    var underlays: Set<String> = []
    /// Interfaces of the underlay that IPv4 forwarding was switched on for, because routes of VRFs lead there.
    var switchedOn: Set<Int32> = []

    init(_ notifications: NotificationSocket) { self.notifications = notifications }
    /// There is nothing of ours.
    var isEmpty: Bool { vrfs.isEmpty && nexthops.objects.isEmpty }
    /// Everything that is wanted.
    var rows: [ForwardingChange] {
        vrfs.values.sorted { $0.name < $1.name }.flatMap { vrf in
            vrf.table.rows.filter { $0.value.want != 0 }.sorted { $0.key < $1.key }.map { prefix, row in
                .prefix(
                    PrefixKey(vrf: vrf.name, prefix: prefix), RemotePrefix(nexthops: nexthops.nexthops(of: row.want)))
            }
        }
    }
    func vrf(_ name: String) -> RoutedVRF {
        if let vrf = vrfs[name] { return vrf }
        let vrf = RoutedVRF(name)
        vrfs[name] = vrf
        return vrf
    }
}

/// What the dataplane holds for the routes of one IP-VRF.
final class RoutedVRF {
    let name: String
    var table: VRFTable
    /// The table that is observed or in use.
    var binding: VRFBinding?
    /// Left the configuration: our routes go, then this.
    var isRetired = false
    /// Among those to be looked at by the next `flushRoutes`.
    var isDue = false
    /// A dump is under way; what notifications tell meanwhile is told again after it.
    var isObserving = false
    var observesAgain = false
    var delayed: [(route: Route, isNew: Bool, mode: MessageFlags)] = []
    var wasFull = false
    /// Routes of ours with a metric of before: they go once the others are there.
    var outdated: [Route] = []
    var removals: [RouteOperation] { table.mayPrune ? outdated.map { .route(.init(removing: $0)) } : [] }
    /// VRFs whose routes are, or were, visible here.
    var sources: Set<String> = []
    /// The families (IPv6: true) in which the table has its last route, or will have it in a moment.
    var ends: Set<Bool> = []
    /// Interfaces of the underlay that its IPv4 routes lead to.
    var underlayInterfaces: Set<Int32> = []

    init(_ name: String) {
        self.name = name
        table = VRFTable(vrf: name)
    }
}

extension LinuxDataplane {
    // MARK: Wishes

    func want(_ key: PrefixKey, _ remote: RemotePrefix?) {
        let vrf: RoutedVRF
        if let known = routing.vrfs[key.vrf] {
            vrf = known
        } else {
            guard remote != nil else { return }
            vrf = routing.vrf(key.vrf)
            vrf.table.mayPrune = mayPrune
            startRouting()
        }
        set(vrf, key.prefix, remote?.nexthops ?? [])
    }
    func set(_ vrf: RoutedVRF, _ prefix: IPPrefix, _ nexthops: [RoutedNexthop]) {
        let set =
            if let ways = leakedWays(vrf, prefix, nexthops) {
                routing.nexthops.use(ways) { resolve($0) }
            } else {
                routing.nexthops.use(nexthops, isV6: prefix.address.isV6) { resolve($0) }
            }
        routing.nexthops.release(vrf.table.want(prefix, set))
        routesDue(vrf)
    }
    func allowPruningOfRoutes() {
        for vrf in routing.vrfs.values {
            vrf.table.mayPrune = true
            vrf.table.enqueueAdopted()
            routesDue(vrf)
        }
        scheduleSweep()
    }

    // MARK: Devices and tables

    /// Subscribes and reads what nexthop objects there are, before anything is programmed.
    private func startRouting() {
        guard !routing.hasStarted, !isClosed else { return }
        routing.hasStarted = true
        routing.notifications.subscribe()
        loop.watch(routing.notifications.descriptor, .readable) { [weak self] _ in self?.readRouteNotifications() }
        observeNexthops()
    }
    /// Something that routes depend on has changed: an IP-VRF, its table, a device, a domain.
    func scheduleRouting() {
        guard !routing.isEvaluationScheduled, routing.hasStarted || !vrfs.isEmpty else { return }
        routing.isEvaluationScheduled = true
        loop.afterRound { [weak self] in
            guard let self, !isClosed, routing.isEvaluationScheduled else { return }
            evaluateRouting()
        }
    }
    private func evaluateRouting() {
        routing.isEvaluationScheduled = false
        if !vrfs.isEmpty { startRouting() }
        for name in Set(vrfs.keys).union(routing.vrfs.keys).sorted() {
            if let configured = vrfs[name] {
                let vrf = routing.vrf(name)
                vrf.table.mayPrune = mayPrune
                follow(vrf, configured.binding)
            } else if let vrf = routing.vrfs[name], vrf.binding != nil {
                retire(vrf)
            }
        }
        followUnderlays()
        routing.nexthops.resolve { resolve($0) }
        scheduleRouteFlush()
    }
    private func follow(_ vrf: RoutedVRF, _ binding: VRFBinding?) {
        if vrf.isRetired {
            vrf.isRetired = false
            if vrf.binding == binding { return observeRoutes(vrf) }
        }
        guard vrf.binding != binding else { return }
        if let old = vrf.binding, let binding, old.interface == binding.interface, old.table == binding.table {
            // Another metric: what others have in the table is as it was.
            let locals = vrf.table.locals
            vrf.table.unbind()
            vrf.table.locals = locals
            vrf.binding = binding
            return observeRoutes(vrf)
        }
        unbind(vrf)
        guard let binding else { return }
        vrf.binding = binding
        routing.byTable[binding.table] = vrf
        // What leads back into it depends on its device.
        setLeaks(vrf)
        observeRoutes(vrf)
    }
    func unbind(_ vrf: RoutedVRF) {
        guard let binding = vrf.binding else { return }
        if routing.byTable[binding.table] === vrf { routing.byTable[binding.table] = nil }
        vrf.binding = nil
        vrf.ends = []
        vrf.delayed = []
        vrf.outdated = []
        tell(vrf, LocalRoutes())
        vrf.table.unbind()
        if routing.nexthops.awaitsRoutes { scheduleSweep() }
        for key in failures.keys { if case .prefix(let row) = key, row.vrf == vrf.name { failures[key] = nil } }
    }
    private func retire(_ vrf: RoutedVRF) {
        guard !vrf.isRetired else { return }
        vrf.isRetired = true
        tell(vrf, LocalRoutes())
        vrf.table.mayPrune = true
        for prefix in Array(vrf.table.rows.keys) { routing.nexthops.release(vrf.table.want(prefix, 0)) }
        routesDue(vrf)
    }
    /// Tells what has become of the facts about others' routes, and keeps the new ones.
    func tell(_ vrf: RoutedVRF, _ new: LocalRoutes) {
        let old = vrf.table.locals
        vrf.table.locals = new
        for prefix in Set(old.routes.keys).union(new.routes.keys).sorted() {
            if old.routes[prefix] != new.routes[prefix] { leaksFollow(vrf, prefix) }
            let fact = new.fact(prefix, in: vrf.binding) { links.name(of: $0) }
            guard old.fact(prefix, in: vrf.binding, name: { links.name(of: $0) }) != fact else { continue }
            emit(.prefix(PrefixKey(vrf: vrf.name, prefix: prefix), fact))
        }
    }

    /// What a next hop is in the kernel now.
    private func resolve(_ way: NexthopWay) -> Result<NexthopContent, NexthopTable.Waiting> {
        if let problem = routing.problem { return .failure(.init(problem)) }
        guard routing.knowsNexthops else { return .failure(.starting) }
        switch way.nexthop {
        case .router(let vtep, let through):
            return resolve(RouterNeighbor.gateway(vtep, isV6: way.isV6), in: through, isV6: way.isV6, isOnLink: true)
        case .host(let ip, let on):
            // The host may have a route of its own, through the L3 VNI. On the link the kernel wants an IPv6 gateway to agree with that
            // (`ip6_route_check_nh_onlink`); an IPv4 gateway has to be on the link not to be looked up (`fib_check_nh_v4_gw`).
            return resolve(ip, in: on, isV6: way.isV6, isOnLink: !ip.isV6)
        case .tunnel: return .failure(.init("the kernel forwards to routers only through their neighbor entries"))
        case .table(let name):
            switch way.hop {
            case .way(let interface, let gateway, let isOnLink)?:
                return usable(interface, gateway: gateway, isV6: way.isV6, isOnLink: isOnLink)
            case .nothing(let reason)?:
                let isRead = vrfs[name] == nil || routing.vrfs[name]?.table.binding != nil
                return .failure(isRead ? .init("vrf \(name): \(reason)") : .starting)
            case nil: break
            }
            guard let vrf = vrfs[name] else {
                return .failure(.init("vrf \(name) is not in this network namespace"))
            }
            guard let binding = vrf.binding else { return .failure(vrf.problem.map { .init($0) } ?? .starting) }
            guard binding.interface != 0 else {
                return .failure(.init("vrf \(name) has no device that packets could be handed to"))
            }
            return usable(binding.interface, gateway: nil, isV6: way.isV6, isOnLink: false)
        }
    }
    private func resolve(
        _ gateway: IPAddress, in vni: VNI, isV6: Bool, isOnLink: Bool
    ) -> Result<NexthopContent, NexthopTable.Waiting> {
        guard let domain = domainsByVNI[vni], domain.configuration != nil else {
            return .failure(
                .init("vni \(vni) is not in this network namespace: packets cannot be routed from one to another"))
        }
        guard let devices = domain.devices else { return .failure(domain.problem.map { .init($0) } ?? .starting) }
        // They are being read; what is wrong with them does not keep them from being used.
        guard domain.isUp else { return .failure(.starting) }
        guard devices.neighborInterface != 0 else {
            return .failure(.init("vni \(vni) has no device that holds neighbors"))
        }
        return usable(devices.neighborInterface, gateway: gateway, isV6: isV6, isOnLink: isOnLink)
    }
    private func usable(
        _ interface: Int32, gateway: IPAddress?, isV6: Bool, isOnLink: Bool
    ) -> Result<NexthopContent, NexthopTable.Waiting> {
        let name = links.name(of: interface)
        guard let link = links[interface], link.isUp else { return .failure(.init("\(name) is down")) }
        guard link.hasCarrier else { return .failure(.init("\(name) has no carrier")) }
        return .success(.way(gateway: gateway, interface: interface, isV6: isV6, isOnLink: isOnLink))
    }
    /// A device has changed (nil: it is gone).
    func routesFollow(_ interface: Int32, from old: Link?, to new: Link?) {
        guard routing.hasStarted || !vrfs.isEmpty else { return }
        if old?.forwardsIPv4 != new?.forwardsIPv4 {
            for vrf in routing.vrfs.values where vrf.underlayInterfaces.contains(interface) {
                touchedVRFs.insert(vrf.name)
            }
        }
        let wasUsable = old.map { $0.isUp && $0.hasCarrier } == true
        if wasUsable, new.map({ $0.isUp && $0.hasCarrier }) != true {
            let lost = routing.nexthops.deviceLost(interface)
            routesLost(lost)
            // IPv4 routes go without a notification.
            othersLost(interface)
        }
        scheduleRouting()
    }
    /// Routes of others may have gone silently with a device or its address.
    func othersLost(_ interface: Int32) {
        for vrf in routing.byTable.values where vrf.table.locals.uses(interface) { observeRoutesSoon(vrf) }
    }
    func routesLost(_ numbers: Set<UInt32>) {
        guard !numbers.isEmpty else { return }
        for vrf in routing.vrfs.values {
            vrf.table.lost(numbers)
            routesDue(vrf)
        }
    }

    // MARK: Sending

    func routesDue(_ vrf: RoutedVRF) {
        guard !vrf.isDue else { return }
        vrf.isDue = true
        routing.due.insert(vrf.name)
        scheduleRouteFlush()
    }
    func scheduleRouteFlush() {
        guard !routing.isFlushScheduled else { return }
        routing.isFlushScheduled = true
        loop.afterRound { [weak self] in self?.flushRoutes() }
    }
    /// Sends everything that is due: nexthop objects before the routes that refer to them.
    func flushRoutes() {
        routing.isFlushScheduled = false
        guard !isClosed, routing.knowsNexthops else { return }
        // Not by a device that has just gone down.
        if routing.isEvaluationScheduled { evaluateRouting() }
        let operations = routing.nexthops.takeOperations()
        if !operations.isEmpty { submit(operations) }
        if let isDue = routing.nexthops.takeChanged() {
            for vrf in routing.vrfs.values {
                vrf.table.enqueue(where: isDue)
                if vrf.table.hasQueued { routesDue(vrf) }
            }
        }
        let due = routing.due
        routing.due = []
        for name in due.sorted() {
            guard let vrf = routing.vrfs[name] else { continue }
            vrf.isDue = false
            while vrf.table.hasQueued {
                let operations = vrf.table.takeOperations(
                    limit: LinuxDataplane.operationsPerJob, routing.nexthops)
                if !operations.isEmpty { submit(operations) }
            }
            if vrf.table.binding != nil, !vrf.removals.isEmpty {
                submit(vrf.removals)
                vrf.outdated = []
            }
            let ends = missingEnds(of: vrf)
            if !ends.isEmpty {
                vrf.ends.formUnion(ends.map(\.isV6))
                submit(ends.map { .end($0, isRemoval: false) })
            }
            noteHealed(vrf.table.healed, ("vrf", name))
            vrf.table.healed = 0
            if vrf.isRetired, vrf.table.isClean {
                unbind(vrf)
                routing.vrfs[name] = nil
                // What its last routes referred to could not go before them.
                scheduleSweep()
                if vrfs[name] != nil { scheduleRouting() }
            }
        }
        noteHealed(routing.nexthops.healed, ("table", "nexthop"))
        routing.nexthops.healed = 0
        if routing.nexthops.hasUnused || routing.nexthops.awaitsRoutes && !due.isEmpty { scheduleSweep() }
    }
    func noteHealed(_ count: Int, _ place: (key: String, value: String)) {
        guard count > 0 else { return }
        healed.increment(by: Double(count))
        log.write(.warning, "dataplane.healed", fields: [place, ("entries", "\(count)")])
    }
    /// Removes objects that nothing needs any more, a moment after the routes have left them.
    private func scheduleSweep() {
        guard !routing.isSweepScheduled, routing.hasStarted else { return }
        routing.isSweepScheduled = true
        loop.schedule(after: .milliseconds(200)) { [weak self] in
            guard let self, !isClosed else { return }
            routing.isSweepScheduled = false
            guard routing.knowsNexthops else { return }
            var inUse: Set<UInt32> = []
            for vrf in routing.vrfs.values {
                // Not read yet: anything may be in use.
                if vrf.binding != nil, vrf.table.binding == nil { return scheduleSweep() }
                vrf.table.collectNumbers(into: &inUse)
            }
            let operations = routing.nexthops.sweep(inUse: inUse, mayPrune: mayPrune)
            if !operations.isEmpty { submit(operations) }
            scheduleRouteFlush()
            restoreForwarding()
        }
    }
    private func submit(_ operations: [RouteOperation]) {
        requests.increment(by: Double(operations.count))
        let me = OnLoop(self)
        worker.submit { [socket, handle = loop.handle] in
            let refused = LinuxDataplane.send(operations, socket)
            handle.post { me { $0.completed(operations, refused) } }
        }
    }
    /// Sends all operations and waits for the kernel's answers. To be called on a thread that may block.
    static func send(_ operations: [RouteOperation], _ socket: NetlinkSocket) -> [RefusedRequest] {
        socket.transact(operations.count) { batch, index, sequence in
            operations[index].encode(&batch, sequence: sequence)
        }
    }
    private func completed(_ operations: [RouteOperation], _ refusals: [RefusedRequest]) {
        guard !isClosed else { return }
        var next = 0
        var cached: RoutedVRF?
        for (index, operation) in operations.enumerated() {
            var failure: NetlinkFailure?
            if next < refusals.count, refusals[next].index == index {
                failure = refusals[next].failure
                next += 1
                refused.increment()
            }
            if case .end(let end, isRemoval: false) = operation {
                // EEXIST: it is there.
                if let failure, !failure.isExistence {
                    logRefusal(operation, failure.description)
                    routing.byTable[end.table]?.ends.remove(end.isV6)
                    scheduleRetry()
                }
                continue
            }
            guard case .route(let change) = operation else {
                routing.nexthops.completed(operation, failure)
                if case .setNexthop = operation, let failure {
                    logRefusal(operation, failure.description)
                    scheduleRetry()
                }
                continue
            }
            if cached?.name != change.vrf { cached = routing.vrfs[change.vrf] }
            guard let vrf = cached else {
                if change.vrf.isEmpty, let failure, !failure.isAbsence { logRefusal(operation, failure.description) }
                continue
            }
            let key = ForwardingKey.prefix(PrefixKey(vrf: change.vrf, prefix: change.prefix))
            if let reason = vrf.table.completed(change, failure) {
                // EINVAL: `Nexthop id does not exist`, perhaps because that was refused before.
                let isOrphan = failure?.code == 22 && change.nexthop != 0
                let cause = isOrphan ? routing.nexthops.refusal(of: change.nexthop) : nil
                fail(key, operation, cause ?? reason)
                if isOrphan, cause == nil { routing.nexthops.doubt(change.nexthop) }
            } else if failure == nil, !failures.isEmpty {
                failures[key] = nil
            }
        }
        for name in Set(operations.compactMap { if case .route(let change) = $0 { change.vrf } else { nil } }) {
            if let vrf = routing.vrfs[name], vrf.table.hasQueued || vrf.isRetired { routesDue(vrf) }
        }
        if routing.nexthops.hasQueued || routing.nexthops.hasUnused { scheduleRouteFlush() }
        if routing.nexthops.lacksNumbers, case .deleteNexthop? = operations.last { scheduleRouting() }
    }
    private func fail(_ key: ForwardingKey, _ operation: RouteOperation, _ reason: String) {
        if failures[key]?.reason != reason {
            failures[key] = Failure(reason: reason, since: loop.now)
            if failures.count <= 10 { logRefusal(operation, reason) }
        }
        scheduleRetry()
    }
    private func logRefusal(_ operation: RouteOperation, _ reason: String) {
        log.warning(
            "dataplane.refused",
            ["command": operation.text { links.name(of: $0) }, "reason": reason])
    }
    /// Tries again what the kernel refused.
    func retryRoutes() {
        routing.nexthops.enqueueFailed()
        for vrf in routing.vrfs.values {
            vrf.table.enqueueFailed()
            if vrf.table.hasQueued || !missingEnds(of: vrf).isEmpty { routesDue(vrf) }
        }
        scheduleRouteFlush()
    }
}
