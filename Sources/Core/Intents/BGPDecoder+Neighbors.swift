// Neighbors, peer groups and dynamic neighbors, and what only shows when a neighbor and its group are seen together.

import BGP
import BGPEngine
import Documents
import NetTypes

struct PeerGroup {
    var settings: NeighborSettings
    var line: Int
}

extension BGPDecoder {
    func decodeGroups(_ section: Section) -> [String: PeerGroup] {
        var groups: [String: PeerGroup] = [:]
        for element in section["peerGroups"]?.list() ?? [] {
            let group = Section(element)
            let config = group.section("config")
            let name = config["peerGroupName"]
            let settings = settings(group, config: config)
            config.finish()
            group.finish()
            guard let name else {
                config.missing("peerGroupName")
                continue
            }
            guard let text = name.text() else { continue }
            guard !text.isEmpty, text.utf8.count <= 64,
                text.utf8.allSatisfy({ byte in
                    (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
                        || byte == 0x5f || byte == 0x2d
                })
            else {
                name.fail("expected a name of letters, digits, - and _, found \(name.kind)")
                continue
            }
            if let other = groups[text] {
                name.fail("peer group \(text) is already defined at line \(other.line)")
                continue
            }
            groups[text] = PeerGroup(settings: settings, line: name.position.line)
        }
        return groups
    }

    private func group(_ value: Value?, _ groups: [String: PeerGroup]) -> (name: String, settings: NeighborSettings)? {
        guard let value, let name = value.nonEmptyText() else { return nil }
        guard let group = groups[name] else {
            let known = groups.keys.sorted().joined(separator: ", ")
            value.fail("there is no peer group \(value.kind)", hint: known.isEmpty ? nil : "defined: \(known)")
            return nil
        }
        return (name, group.settings)
    }

    func decodeNeighbors(_ section: Section, _ groups: [String: PeerGroup], into bgp: inout BGPConfiguration) {
        var lines: [IPAddress: Int] = [:]
        for element in section["neighbors"]?.list() ?? [] {
            let neighbor = Section(element)
            let config = neighbor.section("config")
            let groupValue = config["peerGroup"]
            var settings = settings(neighbor, config: config)
            config.unsupported(
                "neighborInterface", "unnumbered sessions are not supported by the embedded speaker yet",
                hint: "use neighborAddress")
            let hasInterface = config.has("neighborInterface")
            let addressValue = config["neighborAddress"]
            config.finish()
            neighbor.finish()
            let group = group(groupValue, groups)
            if let group { settings = settings.over(group.settings) }

            guard let addressValue, !addressValue.document.isInert else {
                if !hasInterface { config.missing("neighborAddress") }
                continue
            }
            guard let address = addressValue.address() else { continue }
            if address.isUnspecified || address.isMulticast {
                addressValue.fail("\(address) is not an address of a host")
                continue
            }
            if let line = lines[address] {
                addressValue.fail("neighbor \(address) is already configured at line \(line)")
                continue
            }
            lines[address] = addressValue.position.line
            if address.isLinkLocal, address.isV6, settings.bindInterface == nil {
                addressValue.fail("a link-local neighbor needs transport.bindInterface")
            }
            guard let asn = settings.peerASN else {
                if !groupValueFailed(groupValue, group) {
                    config.missing("peerAsn", hint: "here or in the peer group")
                }
                continue
            }
            if asn.value == 0 {
                asn.source.fail("must be from 1 to 4294967295", hint: "only dynamic neighbors may have any AS")
                continue
            }
            if let applied = settings.policies, let host = IPPrefix(address, length: address.isV6 ? 128 : 32) {
                policies?.neighbors.append((host, applied))
            }
            bgp.neighbors.append(
                resolve(settings, address: address, group: group?.name, at: neighbor.source, in: bgp))
        }
        bgp.neighbors.sort { $0.address < $1.address }
    }
    private func groupValueFailed(_ value: Value?, _ group: (name: String, settings: NeighborSettings)?) -> Bool {
        value?.document.isInert == false && group == nil
    }

    func decodeDynamic(_ section: Section, _ groups: [String: PeerGroup], into bgp: inout BGPConfiguration) {
        var lines: [IPPrefix: Int] = [:]
        for element in section["dynamicNeighbors"]?.list() ?? [] {
            let dynamic = Section(element)
            let prefixValue = dynamic["prefix"]
            let groupValue = dynamic["peerGroup"]
            dynamic.finish()
            if prefixValue == nil { dynamic.missing("prefix") }
            if groupValue == nil { dynamic.missing("peerGroup") }
            let group = group(groupValue, groups)
            guard let prefixValue, let text = prefixValue.text() else { continue }
            guard let prefix = IPPrefix(text) else {
                prefixValue.fail("expected a prefix such as 10.0.0.0/8 or 2001:db8::/32, found \(prefixValue.kind)")
                continue
            }
            let written = text.split(separator: "/").first.flatMap { IPAddress(String($0)) }
            if written != prefix.address {
                prefixValue.warn("the address has bits beyond its length", hint: "means \(prefix)")
            }
            if let line = lines[prefix] {
                prefixValue.fail("prefix \(prefix) is already configured at line \(line)")
                continue
            }
            lines[prefix] = prefixValue.position.line
            guard let group else { continue }
            if bgp.listenPort == 0 {
                prefixValue.fail("dynamic neighbors need a listening port", hint: "bgp.global.listenPort is 0")
            }
            if let applied = group.settings.policies { policies?.neighbors.append((prefix, applied)) }
            var template = resolve(
                group.settings, address: prefix.address.isV6 ? .v6(.any) : .v4(.any), group: group.name,
                at: dynamic.source, in: bgp)
            template.isPassive = true
            bgp.dynamicNeighbors.append(DynamicNeighborConfiguration(prefix: prefix, template: template))
        }
        bgp.dynamicNeighbors.sort { $0.prefix.description < $1.prefix.description }
    }

    /// One neighbor with its group merged in; checks that need both.
    private func resolve(
        _ settings: NeighborSettings, address: IPAddress, group: String?, at source: Value, in bgp: BGPConfiguration
    ) -> NeighborConfiguration {
        var result = NeighborConfiguration(address: address, peerASN: settings.peerASN?.value ?? 0)
        result.localASN = settings.localASN
        result.description = settings.description
        result.peerGroup = group
        result.isAdminDown = settings.isAdminDown ?? false
        result.shutdownMessage = settings.shutdownMessage
        result.password = settings.password
        result.families = settings.families ?? bgp.families.map { FamilyConfiguration($0) }
        result.holdTimeSeconds = settings.holdTime?.value ?? result.holdTimeSeconds
        result.connectRetrySeconds = settings.connectRetry ?? result.connectRetrySeconds
        result.remotePort = settings.remotePort ?? result.remotePort
        result.isPassive = settings.isPassive ?? false
        result.bindInterface = settings.bindInterface
        result.isRouteReflectorClient = settings.isReflectorClient?.value ?? false
        result.role = settings.role?.value
        if !settings.restart.isEmpty { result.gracefulRestart = settings.restart.resolved(over: bgp.gracefulRestart) }

        if let keepalive = settings.keepalive {
            result.keepaliveSeconds = keepalive.value
            if result.holdTimeSeconds > 0, Int(keepalive.value) * 3 > Int(result.holdTimeSeconds) {
                keepalive.source.fail(
                    "must be at most a third of the hold time, \(result.holdTimeSeconds) seconds")
            }
        }
        if let local = settings.localAddress {
            result.localAddress = local.value
            if local.value.isV6 != address.isV6 {
                local.source.fail("is of another address family than the neighbor, \(address)")
            }
        }
        let isInternal = result.peerASN != 0 && result.peerASN == result.localASN ?? bgp.asn
        if result.isRouteReflectorClient, result.peerASN != 0, !isInternal, bgp.asn != 0 {
            settings.isReflectorClient?.source.fail(
                "only neighbors of the own AS can be clients of a route reflector (AS \(result.peerASN) is not)")
        }
        if let role = settings.role, isInternal { role.source.fail("roles are for neighbors of another AS (RFC 9234)") }
        if let multihop = settings.multihop, multihop.value {
            if isInternal {
                multihop.source.warn("has no effect inside the own AS, where any distance is allowed")
            } else {
                result.multihopTTL = settings.multihopTTL ?? 255
            }
        }
        if let security = settings.ttlSecurity, security.value {
            result.ttlSecurityHops = settings.ttlSecurityHops ?? 1
            if result.multihopTTL != nil {
                security.source.fail("ttlSecurity and ebgpMultihop exclude each other", hint: "ttlSecurity has hops")
            }
        }
        return result
    }
}
