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
        var lines: [NeighborName: Int] = [:]
        for element in section["neighbors"]?.list() ?? [] {
            let neighbor = Section(element)
            let config = neighbor.section("config")
            let groupValue = config["peerGroup"]
            var settings = settings(neighbor, config: config)
            let interfaceValue = config["neighborInterface"].flatMap { $0.document.isInert ? nil : $0 }
            let addressValue = config["neighborAddress"].flatMap { $0.document.isInert ? nil : $0 }
            config.finish()
            neighbor.finish()
            let group = group(groupValue, groups)
            if let group { settings = settings.over(group.settings) }

            guard let nameValue = interfaceValue ?? addressValue else {
                config.missing("neighborAddress", hint: "or neighborInterface")
                continue
            }
            guard let name = name(addressValue, interfaceValue, settings) else { continue }
            if let line = lines[name] {
                nameValue.fail("neighbor \(name) is already configured at line \(line)")
                continue
            }
            lines[name] = nameValue.position.line
            guard let asn = settings.peerASN else {
                if !groupValueFailed(groupValue, group) {
                    config.missing("peerAsn", hint: "here or in the peer group")
                }
                continue
            }
            if case .number(0) = asn.value {
                asn.source.fail("must be from 1 to 4294967295", hint: "only dynamic neighbors may have any AS")
                continue
            }
            if let applied = settings.policies {
                if case .address(let address) = name, let host = IPPrefix(address, length: address.bitWidth) {
                    policies?.neighbors.append((host, applied))
                } else {
                    nameValue.fail("policies name neighbors by address, and this one's is not known beforehand")
                }
            }
            bgp.neighbors.append(
                resolve(settings, name, group: group?.name, at: neighbor.source, in: bgp))
        }
        bgp.neighbors.sort { $0.name < $1.name }
    }

    /// What a neighbor is configured by, and what goes with that.
    private func name(_ addressValue: Value?, _ interfaceValue: Value?, _ settings: NeighborSettings) -> NeighborName? {
        if let interfaceValue {
            addressValue?.fail("only one of neighborAddress and neighborInterface can be used")
            guard let interface = interfaceValue.deviceName(), addressValue == nil else { return nil }
            if let bound = settings.bindInterface, bound != interface {
                interfaceValue.fail("transport.bindInterface is another device, \(bound)", hint: "leave that out")
            }
            settings.localAddress?.source.fail("a session by interface uses the interface's link-local address")
            if settings.multihop?.value == true {
                settings.multihop?.source.fail("a neighbor by interface is directly connected")
            }
            if settings.families?.contains(where: { $0.nextHopSelf && $0.family == .l2vpnEVPN }) == true {
                interfaceValue.fail(
                    "nextHopSelf for l2vpn-evpn makes no sense here: a link-local address cannot be a VTEP")
            }
            return .interface(interface)
        }
        guard let addressValue, let address = addressValue.address() else { return nil }
        if address.isUnspecified || address.isMulticast {
            addressValue.fail("\(address) is not an address of a host")
            return nil
        }
        if address.isLinkLocal, address.isV6, settings.bindInterface == nil {
            addressValue.fail("a link-local neighbor needs transport.bindInterface", hint: "or use neighborInterface")
        }
        return .address(address)
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
                group.settings, .address(prefix.address.isV6 ? .v6(.any) : .v4(.any)), group: group.name,
                at: dynamic.source, in: bgp)
            template.isPassive = true
            bgp.dynamicNeighbors.append(DynamicNeighborConfiguration(prefix: prefix, template: template))
        }
        bgp.dynamicNeighbors.sort { $0.prefix.description < $1.prefix.description }
    }

    /// One neighbor with its group merged in; checks that need both.
    private func resolve(
        _ settings: NeighborSettings, _ name: NeighborName, group: String?, at source: Value, in bgp: BGPConfiguration
    ) -> NeighborConfiguration {
        var result = NeighborConfiguration(address: .v6(.any), peerASN: 0)
        switch name {
        case .address(let address): result.address = address
        case .interface(let interface): result.interface = interface
        }
        switch settings.peerASN?.value {
        case .number(let number)?: result.peerASN = number
        case .external?: result.isExternal = true
        case .internal?: result.peerASN = settings.localASN ?? bgp.asn
        case nil: break
        }
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
            if result.interface == nil, local.value.isV6 != result.address.isV6 {
                local.source.fail("is of another address family than the neighbor, \(result.address)")
            }
        }
        let isInternal = result.peerASN != 0 && result.peerASN == result.localASN ?? bgp.asn
        if result.isRouteReflectorClient, result.peerASN != 0 || result.isExternal, !isInternal, bgp.asn != 0 {
            let other = result.isExternal ? "another AS" : "AS \(result.peerASN)"
            settings.isReflectorClient?.source.fail(
                "only neighbors of the own AS can be clients of a route reflector (\(other) is not)")
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
