// Routes and nexthop objects without a kernel: which requests wishes, answers and observations lead to.

import EVPN
import NetTypes
import Netlink
import Testing

@testable import LinuxDataplane

/// One table and its nexthop objects, and a kernel that says yes unless told otherwise.
private struct Router {
    var nexthops = NexthopTable()
    var table = VRFTable(vrf: "ten")
    /// Devices of the domains by VNI; without one nothing leads through it.
    var devices: [UInt32: Int32] = [500: 5]

    /// The domains have not been looked at yet.
    var isStarting = false

    init() { table.bind(.mainTable) }
    func resolve(_ way: NexthopWay) -> Result<NexthopContent, NexthopTable.Waiting> {
        switch way.nexthop {
        case .router(let vtep, let through):
            if isStarting { return .failure(.starting) }
            guard let device = devices[through.rawValue] else { return .failure(.init("no device")) }
            let gateway = RouterNeighbor.gateway(vtep, isV6: way.isV6)
            return .success(.way(gateway: gateway, interface: device, isV6: way.isV6, isOnLink: true))
        case .host(let ip, let on):
            guard let device = devices[on.rawValue] else { return .failure(.init("no device")) }
            return .success(.way(gateway: ip, interface: device, isV6: way.isV6, isOnLink: !ip.isV6))
        case .table:
            if case .way(let interface, let gateway, let isOnLink)? = way.hop {
                return .success(.way(gateway: gateway, interface: interface, isV6: way.isV6, isOnLink: isOnLink))
            }
            if case .nothing(let reason)? = way.hop { return .failure(.init(reason)) }
            return .success(.way(gateway: nil, interface: 9, isV6: way.isV6, isOnLink: false))
        case .tunnel: return .failure(.init("not in a kernel"))
        }
    }
    mutating func want(_ text: String, _ nexthops: RoutedNexthop...) {
        let prefix = prefix(text)
        let set = self.nexthops.use(nexthops, isV6: prefix.address.isV6) { [self] in resolve($0) }
        self.nexthops.release(table.want(prefix, set))
    }
    mutating func reresolve() { nexthops.resolve { [self] in resolve($0) } }
    /// What is sent now, as commands; `answer` gives the kernel's refusals.
    mutating func step(_ answer: (RouteOperation) -> NetlinkFailure? = { _ in nil }) -> [String] {
        var operations = nexthops.takeOperations()
        if let isDue = nexthops.takeChanged() { table.enqueue(where: isDue) }
        operations += table.takeOperations(limit: 1000, nexthops).sorted { text($0) < text($1) }
        if operations.isEmpty {
            var inUse: Set<UInt32> = []
            table.collectNumbers(into: &inUse)
            operations = nexthops.sweep(inUse: inUse, mayPrune: table.mayPrune)
        }
        for operation in operations {
            if case .route(let change) = operation {
                _ = table.completed(change, answer(operation))
            } else {
                nexthops.completed(operation, answer(operation))
            }
        }
        return operations.map { text($0) }
    }
    func text(_ operation: RouteOperation) -> String { operation.text { "dev\($0)" } }
    func plan() -> [String] {
        (nexthops.pendingOperations() + table.pendingOperations(nexthops)).map { text($0) }
    }
}
private func router(_ vtep: String) -> RoutedNexthop { .router(vtep: ip(vtep), through: vni(500)) }
private let first = nexthopNumbers.lowerBound + 1

@Suite struct RoutePlanTests {
    @Test func nexthopsComeFirstAndGoLast() {
        var it = Router()
        it.want("10.0.0.0/24", router("192.0.2.2"))
        it.want("10.0.1.0/24", router("192.0.2.3"), router("192.0.2.2"))
        let commands = [
            "ip nexthop replace id \(first) via 192.0.2.2 dev dev5 onlink proto 211",
            "ip nexthop replace id \(first + 1) via 192.0.2.3 dev dev5 onlink proto 211",
            "ip nexthop replace id \(first + 2) group \(first)/\(first + 1) proto 211",
            "ip route add 10.0.0.0/24 proto 211 metric 20 nhid \(first)",
            "ip route add 10.0.1.0/24 proto 211 metric 20 nhid \(first + 2)",
        ]
        #expect(it.plan() == commands)
        #expect(it.step() == commands)
        #expect(it.plan().isEmpty && it.step().isEmpty)
        it.want("10.0.1.0/24", router("192.0.2.2"))
        #expect(it.step() == ["ip route replace 10.0.1.0/24 proto 211 metric 20 nhid \(first)"])
        #expect(it.step() == ["ip nexthop del id \(first + 2)", "ip nexthop del id \(first + 1)"])
        it.want("10.0.1.0/24")
        it.want("10.0.0.0/24")
        #expect(
            it.step() == [
                "ip route del 10.0.0.0/24 proto 211 metric 20", "ip route del 10.0.1.0/24 proto 211 metric 20",
            ])
        #expect(it.step() == ["ip nexthop del id \(first)"])
        #expect(it.step().isEmpty && it.table.rows.isEmpty)
    }
    @Test func familiesAndForms() {
        var it = Router()
        it.want("2001:db8::/64", router("192.0.2.2"))
        it.want("10.0.0.0/24", router("2001:db8::2"))
        it.want("2001:db8:1::/64", router("2001:db8::2"))
        it.want("10.0.1.0/24", .host(ip("10.1.0.9"), on: vni(500)))
        it.want("10.0.2.0/24", .table(vrf: "other"))
        it.want("2001:db8:2::/64", .table(vrf: "other"))
        let plan = it.plan()
        #expect(plan.contains { $0.contains("via fe80::ffff:c000:202 dev dev5 onlink") })
        // One for both families.
        #expect(plan.filter { $0.contains("via fe80::e1eb:4018:61eb:401a") }.count == 1)
        #expect(plan.contains { $0.contains("via 10.1.0.9 dev dev5 onlink") })
        #expect(plan.filter { $0.contains("dev dev9 proto") }.count == 2)
        #expect(plan.contains { $0.hasPrefix("ip -6 nexthop replace id") && $0.contains("dev dev9") })
        #expect(plan.filter { $0.contains("2001:db8:2::/64") }.allSatisfy { $0.contains("metric 1044") })
    }
    /// A route of the underlay: its next hops are those of the copy, which follows it without another route.
    @Test func copiesNextHopsOfTheUnderlay() {
        func underlay(_ type: UInt8 = RouteType.unicast, _ hops: Route.Hop...) -> LocalRoute {
            let route = Route(table: 254, prefix: prefix("10.0.0.0/24"), proto: 4, type: type, hops: hops)
            guard let local = LocalRoute(route) else { preconditionFailure("not a local route") }
            return local
        }
        func hops(_ routes: LocalRoute...) -> [UnderlayHop] { UnderlayHop.hops(routes) { $0 == 66 } }
        let near = Route.Hop(gateway: ip("192.0.2.8"), interface: 3)
        let far = Route.Hop(gateway: ip("2001:db8::8"), interface: 4, isOnLink: true)
        let back = Route.Hop(interface: 66)
        let nearWay = UnderlayHop.way(interface: 3, gateway: ip("192.0.2.8"), isOnLink: false)
        let farWay = UnderlayHop.way(interface: 4, gateway: ip("2001:db8::8"), isOnLink: true)
        #expect(hops(underlay(RouteType.unicast, near), underlay(RouteType.unicast, far)) == [nearWay])
        #expect(hops(underlay(RouteType.unicast, near, back, far)) == [nearWay, farWay])
        #expect(hops() == [.nothing(reason: "the underlay has no such route")])
        #expect(
            hops(underlay(RouteType.unicast, back)) == [
                .nothing(reason: "the underlay's route leads back into the VRF")
            ]
        )
        #expect(
            hops(underlay(RouteType.blackhole), underlay(RouteType.unicast, near))
                == [.nothing(reason: "the underlay's route is blackhole")], "the best one drops packets")
        #expect(hops(underlay()) == [.nothing(reason: "the underlay's route has no next hop")])

        var it = Router()
        func want(_ hops: UnderlayHop...) {
            let ways = hops.map { NexthopWay($0, underlay: "default", isV6: false) }
            let set = it.nexthops.use(ways) { [it] in it.resolve($0) }
            it.nexthops.release(it.table.want(prefix("10.0.0.0/24"), set))
        }
        want(farWay, nearWay)
        #expect(
            it.step() == [
                "ip nexthop replace id \(first) via 192.0.2.8 dev dev3 proto 211",
                "ip nexthop replace id \(first + 1) via 2001:db8::8 dev dev4 onlink proto 211",
                "ip nexthop replace id \(first + 2) group \(first)/\(first + 1) proto 211",
                "ip route add 10.0.0.0/24 proto 211 metric 20 nhid \(first + 2)",
            ])
        let set = it.table.rows[prefix("10.0.0.0/24")]?.want ?? 0
        #expect(it.nexthops.nexthops(of: set) == [.table(vrf: "default")])
        want(.way(interface: 3, gateway: nil, isOnLink: false))
        #expect(
            it.step() == [
                "ip nexthop replace id \(first + 3) dev dev3 proto 211",
                "ip route replace 10.0.0.0/24 proto 211 metric 20 nhid \(first + 3)",
            ])
        want(.nothing(reason: "gone"))
        #expect(it.step() == ["ip route del 10.0.0.0/24 proto 211 metric 20"])
        while !it.step().isEmpty {}
        #expect(it.plan().isEmpty && it.nexthops.objects.isEmpty)
    }
    /// Equal sets are one object, in whatever order and however often a next hop is named.
    @Test func setsAreShared() {
        var it = Router()
        it.want("10.0.0.0/24", router("192.0.2.2"), router("192.0.2.3"))
        it.want("10.0.1.0/24", router("192.0.2.3"), router("192.0.2.2"), router("192.0.2.3"))
        #expect(it.step().filter { $0.hasPrefix("ip nexthop") }.count == 3)
    }
    /// Another device for a domain: the objects change, no route does. Without one the routes go.
    @Test func objectsFollowDevices() {
        var it = Router()
        it.want("10.0.0.0/24", router("192.0.2.2"), .host(ip("10.1.0.9"), on: vni(7)))
        #expect(
            it.step().contains("ip nexthop replace id \(first + 1) group \(first) proto 211"),
            "the way that is possible")
        it.devices[7] = 7
        it.reresolve()
        #expect(
            it.step() == [
                "ip nexthop replace id \(first + 2) via 10.1.0.9 dev dev7 onlink proto 211",
                "ip nexthop replace id \(first + 1) group \(first)/\(first + 2) proto 211",
            ])
        it.devices[500] = 6
        it.reresolve()
        #expect(it.step() == ["ip nexthop replace id \(first) via 192.0.2.2 dev dev6 onlink proto 211"])
        it.devices = [:]
        it.reresolve()
        #expect(it.step() == ["ip route del 10.0.0.0/24 proto 211 metric 20"])
        #expect(it.nexthops.problem(of: 1)?.reason == "no device")
    }
    /// A device that goes down takes its objects and routes along; nothing is asked of the kernel until it is back.
    @Test func devicesTakeRoutesAlong() {
        var it = Router()
        it.want("10.0.0.0/24", router("192.0.2.2"), router("192.0.2.3"))
        let commands = it.step()
        it.devices = [:]
        it.table.lost(it.nexthops.deviceLost(5))
        it.reresolve()
        #expect(it.step().isEmpty)
        it.devices = [500: 5]
        it.reresolve()
        #expect(it.step() == commands)
        #expect(it.plan().isEmpty)
    }
    @Test func refusals() {
        var it = Router()
        it.want("10.0.0.0/24", router("192.0.2.2"))
        let refusal = NetlinkFailure(code: 22, text: "Nexthop has invalid gateway")
        _ = it.step { _ in refusal }
        #expect(it.step().isEmpty, "not before it is tried again")
        #expect(it.nexthops.problem(of: 1)?.isRefused == true)
        it.nexthops.enqueueFailed()
        it.table.enqueueFailed()
        #expect(it.step().count == 2)
        #expect(it.plan().isEmpty)

        // Somebody's route with our metric.
        _ = it.table.locals.insert(
            prefix("10.0.9.0/24"), local("10.0.9.0/24", metric: 20, proto: RouteProtocol.static), mode: [])
        it.want("10.0.9.0/24", router("192.0.2.2"))
        let exists = NetlinkFailure(code: 17)
        #expect(it.step { _ in exists }.count == 1)
        #expect(it.step().isEmpty)
        // One that nobody made: ours, of which we did not know.
        it.want("10.0.8.0/24", router("192.0.2.2"))
        #expect(it.step { _ in exists } == ["ip route add 10.0.8.0/24 proto 211 metric 20 nhid \(first)"])
        #expect(it.step() == ["ip route replace 10.0.8.0/24 proto 211 metric 20 nhid \(first)"])
        #expect(it.step().isEmpty)
        // A deletion of what is gone is none to complain about.
        it.want("10.0.8.0/24")
        #expect(it.step { _ in NetlinkFailure(code: 3) }.count == 1)
        #expect(it.table.rows[prefix("10.0.8.0/24")]?.have ?? 0 == 0)
    }
    @Test func adoptsWhatIsThere() {
        var it = Router()
        it.table.unbind()
        let base = nexthopNumbers.lowerBound + 70
        func way(_ id: UInt32, _ gateway: String) -> Nexthop {
            Nexthop(id: id, proto: 211, gateway: ip(gateway), interface: 5, isOnLink: true)
        }
        it.nexthops.observed([
            way(base, "192.0.2.2"), way(base + 1, "192.0.2.3"), way(base + 2, "192.0.2.4"),
            Nexthop(id: base + 3, proto: 211, members: [.init(id: base + 1), .init(id: base)]),
            // Of others: the first number we would take, and one with our mark outside of our range.
            Nexthop(id: first, proto: 4, gateway: ip("10.0.0.1"), interface: 5),
            Nexthop(id: 3, proto: 211, gateway: ip("10.0.0.1"), interface: 5),
        ])
        it.table.observed([
            prefix("10.0.0.0/24"): base, prefix("10.0.1.0/24"): base + 3, prefix("10.0.2.0/24"): base + 2,
        ])
        it.want("10.0.1.0/24", router("192.0.2.2"), router("192.0.2.3"))
        it.want("10.0.0.0/24", router("192.0.2.2"))
        it.want("10.0.5.0/24", router("192.0.2.5"))
        it.table.bind(.mainTable)
        #expect(
            it.step() == [
                "ip nexthop replace id \(first + 1) via 192.0.2.5 dev dev5 onlink proto 211",
                "ip route add 10.0.5.0/24 proto 211 metric 20 nhid \(first + 1)",
            ])
        #expect(it.step().isEmpty, "nothing is pruned before it is allowed")
        it.table.mayPrune = true
        it.table.enqueueAdopted()
        #expect(it.step() == ["ip route del 10.0.2.0/24 proto 211 metric 20"])
        #expect(it.step() == ["ip nexthop del id \(base + 2)"])
        #expect(it.step().isEmpty)
    }
    /// Routes of an earlier process lead through devices that have not been looked at yet: they stay, and nothing is sent when the devices
    /// turn out to be there. What turns out not to be there takes them along.
    @Test func keepsWhatIsThereUntilItIsKnown() {
        func start() -> Router {
            var it = Router()
            it.table.unbind()
            it.isStarting = true
            let base = nexthopNumbers.lowerBound + 70
            it.nexthops.observed([
                Nexthop(id: base, proto: 211, gateway: ip("192.0.2.2"), interface: 5, isOnLink: true),
                Nexthop(id: base + 1, proto: 211, gateway: ip("192.0.2.3"), interface: 5, isOnLink: true),
                Nexthop(id: base + 2, proto: 211, members: [.init(id: base + 1), .init(id: base)]),
            ])
            it.want("10.0.0.0/24", router("192.0.2.2"))
            it.want("10.0.1.0/24", router("192.0.2.2"), router("192.0.2.3"))
            it.table.observed([prefix("10.0.0.0/24"): base, prefix("10.0.1.0/24"): base + 2])
            it.table.bind(.mainTable)
            return it
        }
        var it = start()
        #expect(it.step().isEmpty && it.plan().isEmpty)
        it.reresolve()
        #expect(it.step().isEmpty && it.plan().isEmpty)
        it.isStarting = false
        it.reresolve()
        #expect(it.step().isEmpty && it.plan().isEmpty)
        // The same devices are looked at again.
        it.isStarting = true
        it.reresolve()
        #expect(it.step().isEmpty && it.plan().isEmpty)
        it.isStarting = false
        it.reresolve()
        #expect(it.step().isEmpty && it.plan().isEmpty)

        it = start()
        _ = it.step()
        (it.isStarting, it.devices) = (false, [:])
        it.reresolve()
        #expect(
            it.step() == [
                "ip route del 10.0.0.0/24 proto 211 metric 20", "ip route del 10.0.1.0/24 proto 211 metric 20",
            ])
    }
    /// More next hops than there are numbers: those without one say so, nobody else's number is given away, and what becomes free is used.
    @Test func numbersRunOut() {
        var it = Router()
        it.nexthops = NexthopTable(numbers: first..<first + 2)
        it.want("10.0.0.0/24", router("192.0.2.2"))
        it.want("10.0.1.0/24", router("192.0.2.2"), router("192.0.2.3"))
        it.want("10.0.2.0/24", router("192.0.2.4"))
        #expect(it.step().count == 3, "two objects and one route")
        let reason = "all 2 numbers of nexthop objects are in use"
        for text in ["10.0.1.0/24", "10.0.2.0/24"] {
            let problem = it.nexthops.problem(of: it.table.rows[prefix(text)]?.want ?? 0)
            #expect(problem?.reason == reason && problem?.isRefused == false)
        }
        it.want("10.0.1.0/24")
        #expect(it.step() == ["ip nexthop del id \(first)"])
        it.reresolve()
        #expect(it.step().count == 2 && it.plan().isEmpty && !it.nexthops.lacksNumbers)
    }
    /// A change by somebody else while a request of ours is at the kernel: nobody knows who was first.
    @Test func disturbances() throws {
        var it = Router()
        it.want("10.0.0.0/24", router("192.0.2.2"))
        _ = it.step()
        it.want("10.0.0.0/24", router("192.0.2.3"))
        _ = it.nexthops.takeOperations().map { it.nexthops.completed($0, nil) }
        let operations = it.table.takeOperations(limit: 10, it.nexthops)
        it.table.disturbed(prefix("10.0.0.0/24"), 0)
        #expect(it.step().isEmpty, "one request at a time")
        guard case .route(let change)? = operations.first else { throw LabFailure("no operation") }
        #expect(it.table.completed(change, nil) == nil)
        #expect(
            it.step { _ in NetlinkFailure(code: 17) } == [
                "ip route add 10.0.0.0/24 proto 211 metric 20 nhid \(first + 1)"
            ])
        #expect(it.step() == ["ip route replace 10.0.0.0/24 proto 211 metric 20 nhid \(first + 1)"])
        #expect(it.plan().isEmpty)
    }
    /// Another wish while a request is at the kernel waits for its answer.
    @Test func wishesMeanwhile() throws {
        var it = Router()
        it.want("10.0.0.0/24", router("192.0.2.2"))
        _ = it.nexthops.takeOperations().map { it.nexthops.completed($0, nil) }
        let operations = it.table.takeOperations(limit: 10, it.nexthops)
        it.want("10.0.0.0/24", router("192.0.2.3"))
        #expect(it.step().count == 1, "the new nexthop only")
        guard case .route(let change)? = operations.first else { throw LabFailure("no operation") }
        #expect(it.table.completed(change, nil) == nil)
        #expect(it.step() == ["ip route replace 10.0.0.0/24 proto 211 metric 20 nhid \(first + 1)"])
        #expect(it.plan().isEmpty)
    }
    private func local(_ text: String, metric: UInt32, proto: UInt8, gateway: String = "10.9.9.9") -> LocalRoute {
        let route = Route(
            table: 254, prefix: prefix(text), metric: metric, proto: proto,
            hops: [.init(gateway: ip(gateway), interface: 3)])
        guard let local = LocalRoute(route) else { preconditionFailure("not a local route") }
        return local
    }
    @Test func localRoutes() {
        var routes = LocalRoutes()
        let key = prefix("10.0.0.0/24")
        let far = local("10.0.0.0/24", metric: 20, proto: 4)
        let near = local("10.0.0.0/24", metric: 5, proto: 3)
        #expect(routes.insert(key, far) && routes.insert(key, near) && !routes.insert(key, near))
        #expect(routes.fact(key, in: nil) { "d\($0)" }?.proto == 3)
        let removes = [
            routes.remove(key, local("10.0.0.0/24", metric: 5, proto: 4)), routes.remove(key, near),
        ]
        #expect(removes == [false, true], "the first is another one")
        #expect(routes.fact(key, in: nil) { "d\($0)" }?.interface == "d3")
        // `append` is the way to two of one metric.
        let twin = local("10.0.0.0/24", metric: 20, proto: 4, gateway: "10.9.9.8")
        #expect(routes.insert(key, twin, mode: .append) && routes.routes[key]?.count == 2)
        #expect(routes.insert(key, near, mode: .replace) && routes.routes[key]?.count == 3)
        routes.limit = 1
        #expect(!routes.insert(prefix("10.0.1.0/24"), near) && routes.isFull)
        for text in ["fe80::/64", "ff00::/8"] {
            #expect(LocalRoute(Route(table: 254, prefix: prefix(text), proto: 2)) == nil, "\(text)")
        }
    }
    /// Whatever is wished and answered, in the end the kernel has what is wanted and the second plan is empty.
    @Test(arguments: [UInt64(1), 2, 3, 4]) func random(seed: UInt64) {
        var state = seed
        func random(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        var it = Router()
        var wanted: [String: [String]] = [:]
        // The kernel's two tables, with its rules.
        var objects: Set<UInt32> = []
        var routes: [IPPrefix: UInt32] = [:]
        func kernel(_ operation: RouteOperation) -> NetlinkFailure? {
            if random(12) == 0 { return NetlinkFailure(code: 12) }
            switch operation {
            // Of devices, not of what is wanted.
            case .end: break
            case .setNexthop(let id, .group(let members)):
                guard objects.isSuperset(of: members) else { return NetlinkFailure(code: 22) }
                objects.insert(id)
            case .setNexthop(let id, _): objects.insert(id)
            case .deleteNexthop(let id):
                guard objects.remove(id) != nil else { return NetlinkFailure(code: 2) }
                #expect(!routes.values.contains(id), "a nexthop that routes refer to")
            case .route(let change):
                switch change.kind {
                case .delete: return routes.removeValue(forKey: change.prefix) == nil ? NetlinkFailure(code: 3) : nil
                case .add where routes[change.prefix] != nil: return NetlinkFailure(code: 17)
                case .replace where routes[change.prefix] == nil: return NetlinkFailure(code: 2)
                default:
                    guard objects.contains(change.nexthop) else { return NetlinkFailure(code: 22) }
                    routes[change.prefix] = change.nexthop
                }
            }
            return nil
        }
        for _ in 0..<400 {
            switch random(10) {
            case 0:
                (it.devices, it.isStarting) = (it.devices.isEmpty ? [500: 5] : [:], random(3) == 0)
                it.reresolve()
            case 1:
                if let victim = routes.keys.sorted().first {
                    routes[victim] = nil
                    it.table.disturbed(victim, 0)
                }
            case 2:
                it.nexthops.enqueueFailed()
                it.table.enqueueFailed()
            default:
                let text = "10.0.\(random(12)).0/24"
                let vteps = (0..<random(4)).map { _ in "192.0.2.\(random(4))" }
                wanted[text] = vteps.isEmpty ? nil : vteps
                let prefix = prefix(text)
                let set = it.nexthops.use(vteps.map { router($0) }, isV6: false) { [it] in it.resolve($0) }
                it.nexthops.release(it.table.want(prefix, set))
            }
            _ = it.step(kernel)
        }
        (it.devices, it.isStarting) = ([500: 5], false)
        it.reresolve()
        for _ in 0..<60 {
            it.nexthops.enqueueFailed()
            it.table.enqueueFailed()
            _ = it.step(kernel)
        }
        #expect(it.plan().isEmpty)
        #expect(Set(routes.keys) == Set(wanted.keys.map { prefix($0) }))
        #expect(it.table.rows.count == wanted.count)
    }
}
