// What the kernel has: interfaces, our routes, and the ways to next hops; read at start, after losses, and as it changes.

import AsyncIO
import Glibc
import NetTypes
import Netlink
import Telemetry
import UnicastRoutes

extension KernelRoutes {
    // MARK: Interfaces

    /// Reads all links and addresses.
    func readAllInterfaces() {
        guard let kernel else { return }
        do throws(NetlinkFailure) {
            var links: [Int32: Link] = [:]
            try kernel.requests.dump(
                restart: { links = [:] }, { $0.dumpLinks(sequence: $1) },
                { message in if let link = Link(decoding: message.payload) { links[link.interface] = link } })
            var addresses: [Int32: Set<InterfaceAddress>] = [:]
            try kernel.requests.dump(
                restart: { addresses = [:] }, { $0.dumpAddresses(sequence: $1) },
                { message in
                    guard let address = InterfaceAddress(decoding: message.payload) else { return }
                    addresses[address.interface, default: []].insert(address)
                })
            (self.links, self.addresses) = (links, addresses)
            interfacesChanged()
        } catch {
            // What is known stays; it is tried again.
            importErrors += 1
            log.warning("routes.interfaces.failed", ["reason": error.description, "action": "retry in 1s"])
            loop.schedule(after: .seconds(1)) { [weak self] in
                if let self, !isClosed { readAllInterfaces() }
            }
        }
    }
    func readInterfaces() {
        guard let kernel else { return }
        var hasChanged = false
        var hasLost = false
        let outcome = kernel.interfaces.read { message in
            let isBridge = message.payload.first == Family.bridge
            switch message.type {
            case MessageType.newLink where !isBridge:
                guard let link = Link(decoding: message.payload), links[link.interface] != link else { return }
                if let old = links[link.interface], old.isUp && !link.isUp || old.hasCarrier && !link.hasCarrier {
                    hasLost = true
                }
                links[link.interface] = link
                hasChanged = true
            case MessageType.deleteLink where !isBridge:
                guard let link = Link(decoding: message.payload), links[link.interface] != nil else { return }
                links[link.interface] = nil
                addresses[link.interface] = nil
                (hasChanged, hasLost) = (true, true)
            case MessageType.newAddress:
                guard let address = InterfaceAddress(decoding: message.payload) else { return }
                addressEvents += 1
                if addresses[address.interface, default: []].insert(address).inserted { hasChanged = true }
            case MessageType.deleteAddress:
                guard let address = InterfaceAddress(decoding: message.payload) else { return }
                addressEvents += 1
                if addresses[address.interface]?.remove(address) != nil { (hasChanged, hasLost) = (true, true) }
            default: break
            }
        }
        switch outcome {
        case .drained: break
        case .more: loop.afterRound { [weak self] in self?.readInterfaces() }
        case .overrun:
            log.warning("routes.overrun", ["action": "interfaces are read again"])
            hasLost = true
            readAllInterfaces()
        }
        if hasChanged {
            interfacesChanged()
            askAgainSoon()
        }
        // The kernel drops IPv4 routes of such an interface without a notification.
        if hasLost { observeAgainSoon() }
    }

    // MARK: Routes

    func readRoutes() {
        guard let kernel, !isClosed else { return }
        let own = table.settings?.routeProtocol
        var changesNexthops = false
        var isUnclear = false
        let outcome = kernel.routes.read { message in
            guard message.type == MessageType.newRoute || message.type == MessageType.deleteRoute else { return }
            changesNexthops = true
            // What we did ourselves is known by its acknowledgement.
            guard message.port != kernel.requests.port, own != nil,
                let proto = Route.proto(message.payload), proto != Self.evpnProtocol,
                let route = Route(decoding: message.payload), !route.isCloned, route.tos == 0,
                table.observes(route.table)
            else { return }
            let key = KernelRouteKey(table: route.table, prefix: route.prefix, metric: route.metric)
            if proto != own {
                table.notifiedForeign(key)
            } else if route.prefix.address.isV6 {
                // May be about one of several next hops.
                isUnclear = true
            } else {
                table.notified(key, message.type == MessageType.newRoute ? KernelRoute(route) : nil)
            }
        }
        switch outcome {
        case .drained: break
        case .more: loop.afterRound { [weak self] in self?.readRoutes() }
        case .overrun:
            log.warning("routes.overrun", ["action": "tables are read again"])
            isUnclear = true
        }
        if isUnclear { observeAgainSoon() }
        if changesNexthops { askAgainSoon() }
        schedulePump()
    }
    /// Of evpnd's routes in VRFs, which come in large numbers and are nobody else's business.
    private static let evpnProtocol: UInt8 = 211

    /// Reads our routes of some tables on the worker.
    func observe(_ tables: [UInt32], _ kernel: Kernel) {
        guard let proto = table.settings?.routeProtocol ?? table.lastProtocol else { return }
        let me = OnLoop(self)
        kernel.worker.submit { [socket = kernel.requests, handle = loop.handle] in
            for number in tables {
                let result = Self.routes(of: number, proto, socket)
                handle.post { me { $0.observed(number, result) } }
            }
        }
    }
    static func routes(of table: UInt32, _ proto: UInt8, _ socket: NetlinkSocket)
        -> Result<[KernelRouteKey: KernelRoute], NetlinkFailure>
    {
        var found: [KernelRouteKey: KernelRoute] = [:]
        for family in [Family.ipv4, Family.ipv6] {
            do throws(NetlinkFailure) {
                let before = found
                try socket.dump(
                    restart: { found = before },
                    { $0.dumpRoutes(sequence: $1, family: family, table: table, proto: proto) },
                    { message in
                        guard message.type == MessageType.newRoute, let route = Route(decoding: message.payload),
                            route.table == table, route.proto == proto, route.tos == 0, !route.isCloned,
                            !route.dependsOnSource
                        else { return }
                        found[KernelRouteKey(table: table, prefix: route.prefix, metric: route.metric)] = KernelRoute(
                            route)
                    })
            } catch {
                // A table without routes need not exist; neither need IPv6.
                guard error.code == ENOENT || error.code == EOPNOTSUPP || error.code == EAFNOSUPPORT else {
                    return .failure(error)
                }
            }
        }
        return .success(found)
    }
    private func observed(_ number: UInt32, _ result: Result<[KernelRouteKey: KernelRoute], NetlinkFailure>) {
        switch result {
        case .success(let routes):
            table.observed(number, routes)
            schedulePump()
        case .failure(let failure):
            log.warning(
                "routes.observe.failed",
                ["table": "\(number)", "reason": failure.description, "action": "retry in 1s"])
            loop.schedule(after: .seconds(1)) { [weak self] in
                self?.table.observed(number, nil)
                self?.schedulePump()
            }
        }
    }

    // MARK: Next hops

    /// Asks the kernel for the routes to next hops on the worker.
    func ask(_ questions: [NexthopQuery], _ kernel: Kernel) {
        guard !questions.isEmpty, let own = table.settings?.routeProtocol else { return }
        let vrfs = Dictionary(
            links.values.filter { $0.vrfTable != 0 }.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        let me = OnLoop(self)
        kernel.worker.submit { [socket = kernel.requests, handle = loop.handle] in
            var found = [Route?](repeating: nil, count: questions.count)
            // In a VRF that is not there nothing can be reached. The kernel goes on to the host's own table where that of a VRF has
            // no route, which packets of the VRF are not to do.
            let asked = questions.indices.filter { index in questions[index].vrf.map { vrfs[$0] != nil } ?? true }
            _ = socket.transact(
                asked.count,
                reply: { index, message in
                    guard let route = Self.usable(message) else { return }
                    let vrf = questions[asked[index]].vrf.flatMap { vrfs[$0] }
                    if vrf.map({ $0.vrfTable == route.table }) ?? true { found[asked[index]] = route }
                },
                { batch, index, sequence in
                    let query = questions[asked[index]]
                    batch.getRoute(
                        sequence: sequence, to: query.address,
                        interface: query.vrf.flatMap { vrfs[$0]?.interface } ?? 0)
                })
            let answers = zip(questions, found).map { query, route in
                (query: query, answer: route.map { NexthopAnswer($0, own: own) } ?? .unreachable)
            }
            handle.post {
                me {
                    $0.table.answer(answers)
                    $0.schedulePump()
                }
            }
        }
    }
    /// A route that packets can take.
    private static func usable(_ message: NetlinkMessage) -> Route? {
        guard message.type == MessageType.newRoute, let route = Route(decoding: message.payload),
            route.type == RouteType.unicast, !route.hops.isEmpty
        else { return nil }
        return route
    }
}

extension NexthopAnswer {
    init(_ route: Route, own: UInt8) {
        self = .reachable(
            by: route.hops.map { KernelNexthop(gateway: $0.gateway, interface: $0.interface) }, match: route.prefix,
            isOurs: route.proto == own)
    }
}

extension KernelRoute {
    init(_ route: Route) {
        self.init(
            proto: route.proto,
            nexthops: route.hops.map {
                KernelNexthop(gateway: $0.gateway, interface: $0.interface, isOnlink: $0.isOnLink)
            })
    }
}
