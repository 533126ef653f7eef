// What a neighbor or a peer group says: everything optional, so that a neighbor can be laid over its group.

import BGP
import BGPEngine
import Documents
import NetTypes

/// The keys that neighbors and peer groups share. Nil: not said.
struct NeighborSettings {
    /// The number, 0 for any, or a word.
    enum RemoteAS { case number(UInt32), external, `internal` }
    var peerASN: Located<RemoteAS>?
    var localASN: UInt32?
    var description: String?
    var isAdminDown: Bool?
    var shutdownMessage: String?
    var password: String?
    var role: Located<UInt8>?
    var families: [FamilyConfiguration]?
    var holdTime: Located<UInt16>?
    var keepalive: Located<UInt16>?
    var connectRetry: UInt16?
    var localAddress: Located<IPAddress>?
    var remotePort: UInt16?
    var isPassive: Bool?
    var bindInterface: String?
    var restart = RestartSettings()
    var isReflectorClient: Located<Bool>?
    var multihop: Located<Bool>?
    var multihopTTL: UInt8?
    var ttlSecurity: Located<Bool>?
    var ttlSecurityHops: UInt8?
    var policies: AppliedPolicies?

    /// These settings, and the group's where these say nothing.
    func over(_ group: NeighborSettings) -> NeighborSettings {
        var result = self
        result.peerASN = peerASN ?? group.peerASN
        result.localASN = localASN ?? group.localASN
        result.description = description ?? group.description
        result.isAdminDown = isAdminDown ?? group.isAdminDown
        result.shutdownMessage = shutdownMessage ?? group.shutdownMessage
        result.password = password ?? group.password
        result.role = role ?? group.role
        result.families = families ?? group.families
        result.holdTime = holdTime ?? group.holdTime
        result.keepalive = keepalive ?? group.keepalive
        result.connectRetry = connectRetry ?? group.connectRetry
        result.localAddress = localAddress ?? group.localAddress
        result.remotePort = remotePort ?? group.remotePort
        result.isPassive = isPassive ?? group.isPassive
        result.bindInterface = bindInterface ?? group.bindInterface
        result.restart = restart.over(group.restart)
        result.isReflectorClient = isReflectorClient ?? group.isReflectorClient
        result.multihop = multihop ?? group.multihop
        result.multihopTTL = multihopTTL ?? group.multihopTTL
        result.ttlSecurity = ttlSecurity ?? group.ttlSecurity
        result.ttlSecurityHops = ttlSecurityHops ?? group.ttlSecurityHops
        result.policies = policies ?? group.policies
        return result
    }
}

/// `gracefulRestart:`, with what was not said left open.
struct RestartSettings {
    var isEnabled: Bool?
    var time: UInt16?
    var helperOnly: Bool?

    init() {}
    init(_ section: Section) {
        isEnabled = section["enabled"]?.bool()
        time = section["restartTime"]?.seconds(0...4095).map { UInt16(clamping: $0) }
        helperOnly = section["helperOnly"]?.bool()
        section.finish()
    }
    var isEmpty: Bool { isEnabled == nil && time == nil && helperOnly == nil }
    func over(_ other: RestartSettings) -> RestartSettings {
        var result = self
        result.isEnabled = isEnabled ?? other.isEnabled
        result.time = time ?? other.time
        result.helperOnly = helperOnly ?? other.helperOnly
        return result
    }
    func resolved(over base: GracefulRestartConfiguration) -> GracefulRestartConfiguration {
        var result = base
        if let isEnabled { result.isEnabled = isEnabled }
        if let time { result.restartTimeSeconds = time }
        if let helperOnly { result.helperOnly = helperOnly }
        return result
    }
}

/// Roles of RFC 9234 §4.1, from our side of the session.
enum RoleWord: String, CaseIterable {
    case provider, customer, peer
    case routeServer = "rs"
    case routeServerClient = "rs-client"
    var code: UInt8 {
        switch self {
        case .provider: 0
        case .routeServer: 1
        case .routeServerClient: 2
        case .customer: 3
        case .peer: 4
        }
    }
}

extension BGPDecoder {
    /// Reads the shared keys of one neighbor or peer group; `config` is its sub-map, finished by the caller.
    func settings(_ section: Section, config: Section) -> NeighborSettings {
        var result = NeighborSettings()
        result.peerASN = config["peerAsn"].located { value in
            if case .scalar("external", _) = value.document.content { return .external }
            if case .scalar("internal", _) = value.document.content { return .internal }
            if case .scalar(let text, _) = value.document.content, text.utf8.contains(where: { $0 > 0x39 }) {
                value.fail("expected an AS number, external or internal, found \(value.kind)")
                return nil
            }
            guard let number = value.integer(0...4_294_967_295) else { return nil }
            if number == 23456 { failASTrans(value) }
            return .number(UInt32(clamping: number))
        }
        result.localASN = config["localAsn"].flatMap { asn($0, orZero: true) }
        result.description = config["description"]?.nonEmptyText()
        result.isAdminDown = config["adminDown"]?.bool()
        if let value = config["shutdownMessage"], let text = value.nonEmptyText() {
            if text.utf8.count > 255 { value.fail("must not be longer than 255 octets (RFC 9003)") }
            result.shutdownMessage = text
        }
        result.password = password(config)
        result.role = config["role"].located { $0.word(RoleWord.self)?.code }
        config.unsupported("vrf", "neighbors inside a VRF are not supported by the embedded speaker yet")
        config.unsupported(
            "authPasswordSecretRef", "Kubernetes secrets cannot be read from this file", hint: "use passwordFile")

        result.families = section["afiSafis"].flatMap { $0.document.isInert ? nil : families($0) }
        let timersSection = section.section("timers")
        let timers = timersSection.section("config")
        result.connectRetry = timers["connectRetry"]?.seconds(0...65535).flatMap {
            $0 == 0 ? nil : UInt16(clamping: $0)
        }
        result.holdTime = timers["holdTime"].located { value in
            guard let time = value.seconds(0...65535) else { return nil }
            if time == 1 || time == 2 {
                value.fail("must be 0 or at least 3 seconds (RFC 4271 §4.2)")
                return nil
            }
            if time == 0 { value.warn("without a hold timer a dead neighbor is never noticed") }
            return UInt16(clamping: time)
        }
        result.keepalive = timers["keepaliveInterval"].located { value in
            value.seconds(0...21845).flatMap { $0 == 0 ? nil : UInt16(clamping: $0) }
        }
        timers.unsupported(
            "minimumAdvertisementInterval", "updates are sent at once and cannot be delayed", hint: "leave it out")
        timers.finish()
        timersSection.finish()

        let transport = section.section("transport")
        result.localAddress = transport["localAddress"].flatMap { $0.document.isInert ? nil : $0 }.located {
            $0.address()
        }
        result.isPassive = transport["passiveMode"]?.bool()
        result.bindInterface = transport["bindInterface"].flatMap { $0.document.isInert ? nil : $0.deviceName() }
        result.remotePort = transport["remotePort"]?.integer(1...65535).map { UInt16(clamping: $0) }
        transport.finish()

        result.restart = RestartSettings(section.section("gracefulRestart"))

        let reflector = section.section("routeReflector")
        result.isReflectorClient = reflector["routeReflectorClient"].located { $0.bool() }
        if let value = reflector["routeReflectorClusterId"], !value.document.isInert { clusterID(value) }
        reflector.finish()

        let multihop = section.section("ebgpMultihop")
        result.multihop = multihop["enabled"].located { $0.bool() }
        result.multihopTTL = multihop["multihopTtl"]?.integer(0...255).flatMap { $0 == 0 ? nil : UInt8(clamping: $0) }
        if result.multihop == nil, result.multihopTTL != nil { multihop.missing("enabled") }
        multihop.finish()

        let security = section.section("ttlSecurity")
        result.ttlSecurity = security["enabled"].located { $0.bool() }
        if let value = security["hops"], let hops = value.integer(1...254) {
            result.ttlSecurityHops = UInt8(clamping: hops)
            if result.ttlSecurity == nil { result.ttlSecurity = Located(true, value) }
        }
        security.finish()

        if policies == nil {
            section.unsupported("applyPolicy", BGPDecoder.noPolicies)
        } else if let value = section["applyPolicy"], !value.document.isInert {
            result.policies = AppliedPolicies(Section(value))
        }
        section.unsupported(
            "nodeSelector", "this file is for one node and has nothing to select by", hint: "leave it out")
        section.unsupported("bfd", "BFD is not supported by the embedded speaker yet")
        if let value = section["sendCommunity"], let word = value.nonEmptyText(), !["both", "all"].contains(word) {
            value.fail("all communities are always sent; filtering them is not supported by the embedded speaker yet")
        }
        return result
    }

    /// `authPassword` or the first line of `passwordFile`.
    private func password(_ config: Section) -> String? {
        let inline = config["authPassword"]
        let file = config["passwordFile"]
        var result: (text: String, source: Value)?
        if let inline, let text = inline.nonEmptyText() {
            result = (text, inline)
            inline.warn("a password in a file that many may read", hint: "use passwordFile")
        }
        if let file, let path = file.nonEmptyText() {
            if result != nil { file.fail("only one of authPassword and passwordFile can be used") }
            switch readSecret(path) {
            case .failure(let fault): file.fail("\(path): \(fault.reason)")
            case .success(let secret):
                if secret.isOpenToOthers {
                    file.warn("\(path) is open to every user of this host", hint: "chmod o= \(path)")
                }
                let line = secret.bytes.prefix { $0 != 0x0a && $0 != 0x0d }
                if let text = String(validating: line, as: UTF8.self), !text.isEmpty {
                    result = (text, file)
                } else {
                    file.fail("\(path): the first line holds no password")
                }
            }
        }
        guard let result else { return nil }
        if result.text.utf8.count > 80 {
            result.source.fail("TCP MD5 passwords have at most 80 octets")
            return nil
        }
        return result.text
    }

    private func families(_ value: Value) -> [FamilyConfiguration] {
        var result: [FamilyConfiguration] = []
        var lines: [Family: Int] = [:]
        var isComplete = true
        for element in value.list() {
            let section = Section(element)
            let enabled = section["enabled"]?.bool() ?? true
            var configuration = FamilyConfiguration(.l2vpnEVPN)
            var family: Family?
            if let name = section["family"] { family = self.family(name) } else { section.missing("family") }
            let limit = section.section("prefixLimit")
            configuration.prefixLimit = prefixLimit(limit)
            let addPaths = section.section("addPaths")
            configuration.addPathReceive = addPaths["receive"]?.bool() ?? false
            addPaths.unsupported("sendMax", "sending several paths is not supported by the embedded speaker yet")
            addPaths.finish()
            configuration.nextHopSelf = section["nextHopSelf"]?.bool() ?? false
            section.finish()
            guard let family else {
                isComplete = false
                continue
            }
            if let line = lines[family] {
                element.fail("family \(family) is already listed at line \(line)")
                continue
            }
            lines[family] = element.position.line
            configuration.family = family
            if enabled { result.append(configuration) }
        }
        if result.isEmpty, isComplete { value.fail("no family is enabled") }
        return result.sorted { $0.family < $1.family }
    }

    private func prefixLimit(_ section: Section) -> PrefixLimit? {
        defer { section.finish() }
        let maximum = section["maxPrefixes"]?.integer(0...Int(UInt32.max))
        let percent = section["shutdownThresholdPct"]?.integer(0...100)
        let warnOnly = section["warnOnly"]?.bool()
        let restart = section["restartInterval"]?.seconds(0...86400)
        guard let maximum, maximum > 0 else { return nil }
        var limit = PrefixLimit(maximum: maximum)
        if let percent, percent > 0 { limit.warningPercent = percent }
        if let warnOnly { limit.warnOnly = warnOnly }
        if let restart, restart > 0 { limit.restartSeconds = restart }
        return limit
    }
}
