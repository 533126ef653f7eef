// A kernel that the tests can ask, damage and lie with.

import BGP
import EVPN
import NetTypes
import Testing
import UnicastRoutes

/// A kernel of the test's own: it does what the table asks, and answers questions from `reachable`.
struct TestKernel {
    var table: ExportTable
    var routes: [KernelRouteKey: KernelRoute] = [:]
    /// How addresses are reached: the interface, and the gateway where there is one.
    var reachable: [String: (interface: Int32, gateway: String?)] = [:]
    var now = Instant(nanoseconds: 0)
    var log: [String] = []

    static let nexthop = "192.0.2.1"
    init(
        _ rules: [NetlinkExport.Rule], dampening: Int = 100,
        inherited: Set<ExportMark> = [ExportMark(table: 254, proto: 186)]
    ) {
        table = ExportTable(inherited: inherited)
        table.configure(NetlinkExport(dampeningMilliseconds: dampening, rules: rules))
        reachable[TestKernel.nexthop] = (2, nil)
    }

    static func text(_ route: KernelRoute) -> String {
        route.nexthops.map { hop in
            "via \(hop.gateway.map { "\($0)" } ?? "link") dev \(hop.interface)\(hop.isOnlink ? " onlink" : "")"
        }.joined(separator: " + ")
    }
    mutating func tell(
        _ prefix: String, via nexthop: String? = TestKernel.nexthop, from neighbor: String = "192.0.2.1",
        on interface: String? = nil, alternatives: [ScopedAddress] = [],
        _ body: (inout PathAttributes) -> Void = { _ in }
    ) throws {
        var attributes = PathAttributes()
        attributes.nextHop = nexthop.flatMap { IPAddress($0) }
        body(&attributes)
        let from = try #require(IPAddress(neighbor))
        let key = RouteKey(unicast: try #require(IPPrefix(prefix)))
        let path = RemotePath(
            payload: RoutePayload(), attributes: AttributeSet(attributes), neighbor: from,
            interface: interface, alternatives: alternatives)
        table.receive([RouteChange(key: key, path: nexthop == nil ? nil : path)], now: now)
    }
    /// A best route of an IP-VRF, over VTEPs; nil: it is gone.
    mutating func tell(
        vrf: String, _ prefix: String, via vteps: String? = TestKernel.nexthop, communities: [UInt32] = [],
        largeCommunities: [LargeCommunity] = [], hijacked: String? = nil
    ) throws {
        let key = PrefixKey(vrf: vrf, prefix: try #require(IPPrefix(prefix)))
        let exported = vteps.map { text in
            ExportedPrefix(
                vteps: text.split(separator: ",").compactMap { IPAddress(String($0)) }, communities: communities,
                largeCommunities: largeCommunities, hijacked: hijacked.flatMap { IPAddress($0) })
        }
        table.receive([ExportChange(key: key, prefix: exported)], now: now)
    }
    /// VRF devices with their tables; the number of the interface is the table's less 1000.
    mutating func setDevices(_ tables: [String: UInt32]) {
        let devices = tables.mapValues { VRFDevice(interface: Int32($0) - 1000, table: $0) }
        table.setVRFs(devices)
        table.setInterfaces(devices.mapValues(\.interface))
    }
    private func answer(_ query: NexthopQuery) -> NexthopAnswer {
        // Routes of the test's own first, as a kernel would find them by the longest match.
        let ours = routes.keys.filter { $0.table == 254 && $0.prefix.contains(query.address) }
            .max { $0.prefix.length < $1.prefix.length }
        if let ours, let route = routes[ours], route.proto == 186, reachable["\(query.address)"] == nil {
            return .reachable(by: route.nexthops, match: ours.prefix, isOurs: true)
        }
        let found = reachable["\(query.address)"].map { ($0, 24) } ?? reachable["default"].map { ($0, 0) }
        guard let (way, length) = found, let match = IPPrefix(query.address, length: length) else {
            return .unreachable
        }
        let hop = KernelNexthop(gateway: way.gateway.flatMap { IPAddress($0) }, interface: way.interface)
        return .reachable(by: [hop], match: match, isOurs: false)
    }
    mutating func answerAll() { table.answer(table.allQuestions.map { ($0, answer($0)) }) }
    /// Everything that can be done without time passing.
    mutating func work() {
        for number in table.takeTablesToObserve() {
            table.observed(number, routes.filter { $0.key.table == number && $0.value.proto == 186 })
        }
        table.answer(table.takeQuestions().map { ($0, answer($0)) })
        while true {
            let operations = table.takeOperations(limit: 2)
            if operations.isEmpty { break }
            table.completed(operations.map { ($0, carryOut($0)) }, now: now)
        }
    }
    private mutating func carryOut(_ operation: KernelRouteOperation) -> KernelRouteOutcome {
        let key = operation.key
        switch operation.action {
        case .add(let route):
            if routes[key] != nil { return .exists }
            routes[key] = route
            log.append("add \(key) \(TestKernel.text(route))")
        case .replace(let route):
            guard routes[key] != nil else { return .absent }
            routes[key] = route
            log.append("replace \(key) \(TestKernel.text(route))")
        case .remove(let proto):
            guard routes[key]?.proto == proto else { return .absent }
            routes[key] = nil
            log.append("remove \(key)")
        }
        return .done
    }
    /// Lets the dampening pass.
    mutating func settle() {
        work()
        now = now + .seconds(3)
        table.handleDeadlines(now: now)
        work()
    }
    mutating func takeLog() -> [String] {
        defer { log = [] }
        return log
    }
    func status(_ prefix: String) -> [EntryStatus] {
        table.entries.filter { "\($0.key.prefix)" == prefix }.map(\.status)
    }
}
