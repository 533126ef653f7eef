// Runs a scenario: commands in, what the control plane answers out. After every step the answers so far, applied to empty tables,
// must equal the tables that the control plane says it wants.

import BGP
import EVPN
import NetTypes

struct ScenarioFault: Error, CustomStringConvertible {
    var description: String
}

/// Words of a command, taken one by one or by name.
struct Words {
    var rest: [String]
    let line: String
    init(_ line: String) {
        self.line = line
        rest = line.split(separator: " ").map(String.init)
    }
    mutating func next() throws -> String {
        guard !rest.isEmpty else { throw ScenarioFault(description: "too few words: \(line)") }
        return rest.removeFirst()
    }
    mutating func value<T: LosslessStringConvertible>(_: T.Type = T.self) throws -> T {
        let word = try next()
        guard let value = T(word) else { throw ScenarioFault(description: "\(word)? \(line)") }
        return value
    }
    mutating func ip() throws -> IPAddress {
        let word = try next()
        guard let value = IPAddress(word) else { throw ScenarioFault(description: "\(word)? \(line)") }
        return value
    }
    /// Removes a flag, says whether it was there.
    mutating func flag(_ name: String) -> Bool {
        guard let index = rest.firstIndex(of: name) else { return false }
        rest.remove(at: index)
        return true
    }
    /// Removes a name and the word after it.
    mutating func option(_ name: String) -> String? {
        guard let index = rest.firstIndex(of: name), index + 1 < rest.count else { return nil }
        defer { rest.removeSubrange(index...index + 1) }
        return rest[index + 1]
    }
    /// The list after a name.
    mutating func targets(_ name: String) -> [RouteTarget]? {
        option(name)?.split(separator: ",").compactMap { RouteTarget(String($0)) }
    }
    func end() throws {
        guard rest.isEmpty else { throw ScenarioFault(description: "left over \(rest): \(line)") }
    }
}

/// A remote type 2, 3 or 5 route from words; shared by scenarios and property tests.
func parseRoute(_ words: inout Words, kind: String, isRemoval: Bool) throws -> RouteChange {
    let rd: RouteDistinguisher = try words.value()
    let tag = words.option("tag").flatMap { UInt32($0) } ?? 0
    let via = words.option("via")
    let targets = words.targets("rt") ?? []
    var attributes = PathAttributes()
    attributes.nextHop = via.flatMap { IPAddress($0) }
    attributes.extendedCommunities = targets.map(\.community)
    let isSticky = words.flag("sticky")
    let sequence = words.option("seq").flatMap { UInt32($0) }
    if isSticky || sequence != nil {
        attributes.extendedCommunities.append(.macMobility(sticky: isSticky, sequence: sequence ?? 0))
    }
    if let mac = words.option("rmac").flatMap({ MACAddress($0) }) {
        attributes.extendedCommunities.append(.routerMAC(mac))
    }
    if let list = words.option("comm") {
        attributes.communities = list.split(separator: ",").compactMap { UInt32($0) }
    }
    if let number = words.option("pref").flatMap({ UInt32($0) }) { attributes.localPreference = number }
    if let number = words.option("med").flatMap({ UInt32($0) }) { attributes.med = number }
    if let number = words.option("origin").flatMap({ UInt8($0) }), let origin = Origin(rawValue: number) {
        attributes.origin = origin
    }
    if let count = words.option("path").flatMap({ Int($0) }) {
        attributes.asPath = ASPath().prepending(65001, count: count)
    }
    if words.flag("gateway") { attributes.extendedCommunities.append(.defaultGateway) }
    if words.flag("router") { attributes.extendedCommunities.append(.neighborDiscovery(flags: .router)) }
    while let type = words.option("encap").flatMap({ UInt16($0) }) {
        attributes.extendedCommunities.append(.encapsulation(type))
    }
    if let originator = words.option("originator") { attributes.originatorID = IPv4Address(originator) }
    let label = words.option("label").flatMap { UInt32($0) } ?? 0
    let label2 = words.option("label2").flatMap { UInt32($0) }
    let gateway = words.option("gw").flatMap { IPAddress($0) }
    let esi = words.option("esi").flatMap { UInt64($0, radix: 16) } ?? 0
    let route: EVPNRoute
    if kind == "prefix" {
        let prefix: IPPrefix = try words.value()
        route = .ipPrefix(
            IPPrefixRoute(
                rd: rd, esi: EthernetSegmentID(high: esi, low: 0), ethernetTag: tag, prefix: prefix,
                gateway: gateway ?? (prefix.address.isV6 ? .v6(.any) : .v4(.any)), label: label))
    } else if kind == "mac" {
        if let tunnel = words.option("tunnel").flatMap({ IPAddress($0) }),
            let vni = words.option("tunnelvni").flatMap({ UInt32($0) })
        {
            attributes.pmsiTunnel = .ingressReplication(label: vni, endpoint: tunnel)
        }
        let mac: MACAddress = try words.value()
        let ip = try words.rest.isEmpty ? nil : words.ip()
        route = .macIP(
            MACIPRoute(
                rd: rd, esi: EthernetSegmentID(high: esi, low: 0), ethernetTag: tag, mac: mac, ip: ip, label1: label,
                label2: label2))
    } else {
        let endpoint = words.option("endpoint")
        let tunnel = words.option("pmsi")
        let originator = try words.ip()
        if tunnel != "none" {
            attributes.pmsiTunnel = PMSITunnel(
                tunnelType: tunnel.flatMap { UInt8($0) } ?? 6, label: label,
                tunnelID: endpoint == "none" ? [] : (endpoint.flatMap { IPAddress($0) } ?? originator).octets)
        }
        route = .inclusiveMulticast(InclusiveMulticastRoute(rd: rd, ethernetTag: tag, originator: originator))
    }
    try words.end()
    let path = RemotePath(
        payload: RoutePayload(route), attributes: AttributeSet(attributes), neighbor: .v4(IPv4Address(rawValue: 1)))
    return RouteChange(key: RouteKey(route), path: isRemoval ? nil : path)
}

/// A standard community written `ASN:NUMBER`.
func parseCommunity(_ text: some StringProtocol) -> UInt32? {
    let parts = text.split(separator: ":").compactMap { UInt16($0) }
    return parts.count == 2 ? UInt32(parts[0]) << 16 | UInt32(parts[1]) : nil
}

/// A unicast route: `host PREFIX [via A] [communities A:B,…] [large A:B:C,…]`.
func parseHost(_ words: inout Words, isRemoval: Bool) throws -> RouteChange {
    let prefix: IPPrefix = try words.value()
    var attributes = PathAttributes()
    attributes.nextHop = words.option("via").flatMap { IPAddress($0) } ?? prefix.address
    attributes.communities = words.option("communities")?.split(separator: ",").compactMap { parseCommunity($0) } ?? []
    for text in words.option("large")?.split(separator: ",") ?? [] {
        let parts = text.split(separator: ":").compactMap { UInt32($0) }
        guard parts.count == 3 else { throw ScenarioFault(description: words.line) }
        attributes.largeCommunities.append(LargeCommunity(parts[0], parts[1], parts[2]))
    }
    try words.end()
    let path = RemotePath(
        payload: RoutePayload(), attributes: AttributeSet(attributes), neighbor: .v4(IPv4Address(rawValue: 1)))
    return RouteChange(key: RouteKey(unicast: prefix), path: isRemoval ? nil : path)
}

/// What a speaker and a dataplane would hold after all answers so far.
struct Mirror {
    var forwarding: [ForwardingKey: ForwardingChange] = [:]
    var advertised: [RouteKey: AdvertisementChange] = [:]
    /// Complaints: a removal of what is not there, a change to what is there already.
    var faults: [String] = []

    mutating func apply(_ output: ControlPlane.Output) {
        for change in output.forwarding {
            let key = change.forwardingKey
            if change.isRemoval {
                if forwarding.removeValue(forKey: key) == nil { faults.append("removed twice: \(change.text)") }
            } else if forwarding.updateValue(change, forKey: key) == change {
                faults.append("nothing new: \(change.text)")
            }
        }
        for change in output.advertisements {
            if change.route == nil {
                if advertised.removeValue(forKey: change.key) == nil {
                    faults.append("withdrawn twice: \(change.text)")
                }
            } else if advertised.updateValue(change, forKey: change.key) == change {
                faults.append("nothing new: \(change.text)")
            }
        }
    }
    func differences(from plane: ControlPlane) -> [String] {
        var result = faults
        let forwarding = forwarding.sorted { $0.key < $1.key }.map(\.value)
        if forwarding != plane.forwardingState() {
            result.append(
                "forwarding by deltas \(forwarding.map(\.text)), desired \(plane.forwardingState().map(\.text))")
        }
        for (key, change) in self.forwarding where plane.wanted(key) != change {
            result.append("wanted(\(key)) is \(String(describing: plane.wanted(key)))")
        }
        let advertised = advertised.sorted { $0.key < $1.key }.map(\.value)
        if advertised != plane.advertisements() {
            result.append(
                "advertised by deltas \(advertised.map(\.text)), desired \(plane.advertisements().map(\.text))")
        }
        return result
    }
}

struct ScenarioRunner {
    var plane = ControlPlane()
    var mirror = Mirror()
    var overlay = Overlay(asn: 65000, routerID: IPv4Address(rawValue: 0xc000_0201), evis: [])
    var now = Instant.zero
    /// Routes since `batch`, handed over at `end` together with what has changed in `overlay`.
    var batch: [RouteChange]?

    /// One command; returns what it answers, line by line.
    mutating func run(_ line: String) throws -> [String] {
        var words = Words(line)
        var verb = try words.next()
        let isRemoval = verb == "no"
        if isRemoval { verb = try words.next() }
        switch verb {
        case "at":
            now = Instant(nanoseconds: try words.value(Int64.self) * 1_000_000_000)
            return []
        case "asn":
            overlay.asn = try words.value()
            return []
        case "router-id":
            overlay.routerID = try words.value()
            return handle(.overlay(overlay))
        case "peers":
            overlay.peers = words.rest.compactMap { IPAddress($0) }
            return handle(.overlay(overlay))
        case "duplicates":
            overlay.duplicateDetection.isEnabled = !words.flag("off")
            if let moves = words.option("moves").flatMap({ Int($0) }) {
                overlay.duplicateDetection.maximumMoves = moves
            }
            if let window = words.option("window").flatMap({ Int($0) }) {
                overlay.duplicateDetection.windowSeconds = window
            }
            overlay.duplicateDetection.recoverAfterSeconds = words.option("recover").flatMap { Int($0) }
            try words.end()
            return handle(.overlay(overlay))
        case "evi":
            try evi(&words, isRemoval: isRemoval)
            return handle(.overlay(overlay))
        case "domain":
            let vni: VNI = try words.value()
            guard !isRemoval else { return handle(.local([.domain(vni, nil)])) }
            let vrf = words.option("vrf")
            let mac = words.option("rmac").flatMap { MACAddress($0) }
            let isOutside = words.flag("outside")
            var domain = LocalDomain(
                vtep: try words.ip(), device: "vxlan\(vni)", vrf: vrf, routerMAC: mac, interface: "br\(vni)")
            domain.isOutsideVRF = isOutside
            try words.end()
            return handle(.local([.domain(vni, domain)]))
        case "vrf":
            try vrf(&words, isRemoval: isRemoval)
            return handle(.overlay(overlay))
        case "route": return handle(.local([try parseLocalPrefix(&words, isRemoval: isRemoval)]))
        case "vrfs": return plane.vrfRows().map(\.text)
        case "prefixes": return try plane.prefixRows(vrf: words.next()).map(\.text)
        case "local":
            let key = MACKey(vni: try words.value(), mac: try words.value())
            guard !isRemoval else { return handle(.local([.mac(key, nil)])) }
            let local = LocalMAC(
                port: words.option("port") ?? "eth1", isStatic: words.flag("static"), isSticky: words.flag("sticky"),
                isGateway: words.flag("gateway"), exports: words.targets("rt"))
            try words.end()
            return handle(.local([.mac(key, local)]))
        case "neighbor":
            let key = NeighborKey(vni: try words.value(), ip: try words.ip())
            guard !isRemoval else { return handle(.local([.neighbor(key, nil)])) }
            let isRouter = words.flag("router")
            return handle(.local([.neighbor(key, LocalNeighbor(mac: try words.value(), isRouter: isRouter))]))
        case "switch":
            overlay = overlay.forwarded(
                by: SwitchBridge(name: "sw", isConnectorCompatible: words.flag("compatible"), routerMAC: .zero))
            try words.end()
            return handle(.overlay(overlay))
        case "compatibility":
            overlay.compatibility = RouteCompatibility(
                readsTunnelsOfMACs: words.flag("macs"), readsPrefixesAsVTEPs: words.flag("prefixes"),
                importsWithoutTarget: words.flag("targets"),
                routerMAC: words.flag("router") ? MACAddress(rawValue: 0x1234_5678_90ab) : nil)
            try words.end()
            return handle(.overlay(overlay))
        case "mac", "imet", "prefix":
            let change = try parseRoute(&words, kind: verb, isRemoval: isRemoval)
            if batch != nil {
                batch?.append(change)
                return []
            }
            return handle(.routes([change]))
        case "host":
            let change = try parseHost(&words, isRemoval: isRemoval)
            if batch != nil {
                batch?.append(change)
                return []
            }
            return handle(.routes([change]))
        case "membership":
            overlay.membership =
                try isRemoval ? nil : Membership(communityASN: words.value(), advertises: !words.flag("silent"))
            try words.end()
            return handle(.overlay(overlay))
        case "batch":
            batch = []
            return []
        case "end":
            let changes = batch ?? []
            batch = nil
            return handle(.overlay(overlay)) + handle(.routes(changes))
        case "recover": return handle(.recover(MACKey(vni: try words.value(), mac: try words.value())))
        case "frozen": return try plane.frozenVNIs(of: words.value()).map { "vni \($0)" }
        case "tick": return handle(.deadlineReached)
        case "deadline":
            return [plane.nextDeadline.map { "deadline \($0.nanoseconds / 1_000_000_000)" } ?? "no deadline"]
        case "tables":
            let lines = plane.advertisements().map(\.text) + plane.forwardingState().map(\.text)
            return lines.isEmpty ? ["empty"] : lines
        case "macs":
            return plane.macRows().map {
                "\($0.key) \($0.place) seq \($0.sequence)\($0.isSticky ? " sticky" : "")\($0.isGateway ? " gateway" : "")\($0.isFrozen ? " frozen" : "")"
            }
        case "vnis":
            return plane.vniRows().map {
                "vni \($0.vni) rd \($0.rd) \($0.domain.map { "\($0.vtep) \($0.device)" } ?? "down") macs \($0.localMACs)+\($0.remoteMACs) neighbors \($0.localNeighbors)+\($0.remoteNeighbors) vteps \($0.remoteVTEPs) frozen \($0.frozenMACs)"
            }
        case "vteps": return plane.vtepRows().map { "\($0.vtep) macs \($0.macs) floods \($0.floods)" }
        case "explain":
            switch try words.next() {
            case "mac": return plane.explain(mac: MACKey(vni: try words.value(), mac: try words.value())).lines
            case "prefix":
                let vrf = try words.next()
                return try plane.explain(PrefixKey(vrf: vrf, prefix: words.value())).lines
            case "ip":
                let vrf = try words.next()
                return try plane.explain(ip: words.ip(), vrf: vrf)?.lines ?? []
            case "vni":
                let result = plane.explain(vni: try words.value())
                return result.members.map { "member \($0)" } + result.problems.map { "problem: \($0)" }
                    + result.advertised.map { "advertised \($0)" }
                    + result.flood.map { "\($0)" } + result.routes.map(\.text)
            case "vtep":
                let result = plane.explain(vtep: try words.ip())
                return [
                    "\(result.vtep)\(result.isOwn ? " own" : "") macs \(result.row?.macs ?? 0) floods \(result.floods.map { "\($0)" }.joined(separator: ",")) imported \(result.importedRoutes)"
                ]
                    + result.ignoredRoutes.sorted { $0.key.rawValue < $1.key.rawValue }.map {
                        "ignored \($0.value): \($0.key)"
                    }
                    + result.routes.map(\.text)
            default: throw ScenarioFault(description: line)
            }
        default: throw ScenarioFault(description: "unknown command: \(line)")
        }
    }

    private mutating func handle(_ input: ControlPlane.Input) -> [String] {
        // In one go with the rest, as when a file is read again.
        if batch != nil, case .overlay = input { return [] }
        let output = plane.handle(input, now: now)
        mirror.apply(output)
        return output.advertisements.map(\.text) + output.forwarding.map(\.text) + output.exports.map(\.text)
            + output.events.map { "event: \($0.text)" }
            + (output.suppressedEvents > 0 ? ["\(output.suppressedEvents) events suppressed"] : [])
    }

    private mutating func evi(_ words: inout Words, isRemoval: Bool) throws {
        let vni: VNI = try words.value()
        let old = overlay.evis.first { $0.vni == vni }
        overlay.evis.removeAll { $0.vni == vni }
        guard !isRemoval else { return }
        let automatic = RouteTarget.automatic(asn: overlay.asn, vni: vni)
        var evi =
            old
            ?? EVI(
                vni: vni, rd: RouteDistinguisher(overlay.routerID, UInt16(truncatingIfNeeded: vni.rawValue)),
                importTargets: .automatic(vni), exportTargets: [automatic],
                domain: BroadcastDomain(vni: vni, device: .adopted(name: nil)))
        if let rd = words.option("rd").flatMap({ RouteDistinguisher($0) }) { evi.rd = rd }
        if words.rest.contains("import") {
            let targets = words.targets("import") ?? []
            evi.importTargets = targets.isEmpty ? .automatic(vni) : .explicit(targets)
        }
        if let targets = words.targets("export") { evi.exportTargets = targets }
        if let word = words.option("signalling").flatMap({ Signalling(rawValue: $0) }) { evi.signalling = word }
        if let text = words.option("community") { evi.memberCommunity = parseCommunity(text) }
        try routedInterface(&words, &evi.domain)
        if words.rest.contains("static") { evi.staticMACs = [] }
        while let text = words.option("static") {
            guard text != "none" else { continue }
            let parts = text.split(separator: ",").map(String.init)
            guard let mac = MACAddress(parts[0]) else { throw ScenarioFault(description: text) }
            evi.staticMACs.append(
                StaticMAC(
                    mac: mac, addresses: parts.dropFirst().compactMap { IPAddress($0) },
                    isSticky: parts.contains("sticky")))
        }
        try words.end()
        overlay.evis.append(evi)
        overlay.evis.sort { $0.vni < $1.vni }
    }
}
