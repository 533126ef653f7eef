// `bgp:` to `BGPConfiguration`, in the vocabulary of k8gobgp's custom resource. Every key of that vocabulary either takes
// effect or is refused with the reason; a value that asks for nothing (null, false, empty) is never refused.

import BGP
import BGPEngine
import Documents
import GoBGPAPI
import NetTypes
import UnicastRoutes

/// Decodes one `bgp` section.
final class BGPDecoder {
    static let noPolicies = "policies are not supported by the embedded speaker yet"

    let problems: ProblemList
    let readSecret: Configuration.SecretReader
    private var cluster: Located<IPv4Address>?
    /// Of `speaker: gobgp`; nil for the embedded speaker.
    private(set) var gobgp: GoBGPSettings?
    /// Of a gobgpd that evpnd configures.
    private(set) var policies: PolicyDecoder?
    /// Unicast routes between BGP and the kernel.
    private(set) var netlinkImport: NetlinkImportIntent?
    private(set) var netlinkExport = (settings: NetlinkExport(), isEnabled: false)
    /// A gobgpd that evpnd does not configure: ASN and router ID are only needed where something is derived from them.
    private var leavesBGPToOthers: Bool { gobgp.map { !$0.manages } ?? false }

    init(problems: ProblemList, readSecret: @escaping Configuration.SecretReader) {
        self.problems = problems
        self.readSecret = readSecret
    }

    /// `nodeAddress` is the VTEP address of the node, which serves as router ID when it is IPv4 and none is given. Without a
    /// usable ASN or router ID a stand-in is used; the problem is on the list then.
    ///
    /// `isNodeAddressWrong`: there is a VTEP address with a problem of its own, which is not reported twice.
    func decode(_ section: Section, nodeAddress: IPAddress?, isNodeAddressWrong: Bool = false) -> BGPConfiguration {
        let kind = section["speaker"]?.word(SpeakerKind.self) ?? .embedded
        if kind == .gobgp {
            gobgp = GoBGPSettings(section.section("gobgp"))
            if gobgp?.manages == true { policies = PolicyDecoder() }
        } else if section.has("gobgp") {
            section["gobgp"]?.fail("has no effect with the embedded speaker", hint: "speaker: gobgp")
        }
        let global = section.section("global")
        var configuration = BGPConfiguration(asn: 0, routerID: .any)
        if let value = global["asn"] {
            configuration.asn = asn(value, orZero: false) ?? 0
        } else if !leavesBGPToOthers {
            global.missing("asn")
        }
        configuration.routerID = routerID(global, nodeAddress: nodeAddress, isNodeAddressWrong: isNodeAddressWrong)
        decodeGlobal(global, into: &configuration)

        if leavesBGPToOthers {
            for key in [
                "neighbors", "peerGroups", "dynamicNeighbors", "definedSets", "policyDefinitions", "vrfs",
            ] where section.has(key) {
                section[key]?.fail(
                    "gobgpd has its own configuration",
                    hint: "leave this out, or let evpnd configure gobgpd: gobgp.manage: true")
            }
        }
        let groups = decodeGroups(section)
        decodeNeighbors(section, groups, into: &configuration)
        decodeDynamic(section, groups, into: &configuration)
        configuration.clusterID = cluster?.value

        if let policies {
            gobgp?.policies = policies.decode(section)
        } else if gobgp == nil {
            section.unsupported(
                "vrfs", "the embedded speaker has no VRFs of gobgpd: IP-VRFs are entries of vrfs: beside bgp:")
            section.unsupported("definedSets", BGPDecoder.noPolicies)
            section.unsupported("policyDefinitions", BGPDecoder.noPolicies)
        }
        netlinkImport = NetlinkDecoder.importing(section)
        netlinkExport = NetlinkDecoder.exporting(section)
        NetlinkDecoder.check(
            section, configuration, importing: netlinkImport != nil, exporting: netlinkExport.isEnabled)
        if section.has("spec") {
            section["spec"]?.fail("unknown key", hint: "put what is inside spec directly under bgp")
        }
        section.finish()
        if gobgp == nil, configuration.neighbors.isEmpty, configuration.dynamicNeighbors.isEmpty,
            !problems.all.hasErrors
        {
            section.source.warn("there are no neighbors: no route will be exchanged")
        }
        return configuration
    }

    // MARK: Global

    private func routerID(_ global: Section, nodeAddress: IPAddress?, isNodeAddressWrong: Bool) -> IPv4Address {
        guard let value = global["routerID"], !value.document.isInert else {
            if case .v4(let address)? = nodeAddress { return address }
            if isNodeAddressWrong || leavesBGPToOthers { return .any }
            global.missing(
                "routerID", hint: "an IPv4 address; only that of node.vtep or node.interface can stand in for it")
            return .any
        }
        if value.text()?.contains("$") == true {
            value.fail("templates are for Kubernetes and are not replaced here", hint: "write the IPv4 address")
            return .any
        }
        guard let address = value.ipv4() else { return .any }
        if address == .any || address.isLoopback || address.isLinkLocal || address.isMulticast {
            value.fail("\(address) cannot identify a router")
        }
        return address
    }

    private func decodeGlobal(_ global: Section, into configuration: inout BGPConfiguration) {
        if let port = global["listenPort"]?.integer(-1...65535) {
            configuration.listenPort = UInt16(clamping: port)
        }
        var seen: [IPAddress: Int] = [:]
        for value in global["listenAddresses"]?.list() ?? [] {
            guard let address = value.address() else { continue }
            if let line = seen.updateValue(value.position.line, forKey: address) {
                value.fail("\(address) is already listed at line \(line)")
            } else if address.isMulticast {
                value.fail("\(address) is not an address of a host")
            } else {
                configuration.listenAddresses.append(address)
            }
        }
        if let value = global["families"] {
            let families = value.list().compactMap { family($0) }
            if !families.isEmpty { configuration.families = Set(families).sorted() }
        }
        if gobgp == nil {
            configuration.usesMultiplePaths = global["useMultiplePaths"]?.bool() ?? false
        } else {
            global.unsupported("useMultiplePaths", "gobgpd tells only one best path of each route")
        }
        let selection = global.section("routeSelectionOptions")
        configuration.alwaysCompareMED = selection["alwaysCompareMed"]?.bool() ?? false
        selection.unsupported(
            "advertiseInactiveRoutes", "only best routes are advertised; others are not supported yet")
        selection.finish()
        let restart = RestartSettings(global.section("gracefulRestart"))
        configuration.gracefulRestart = restart.resolved(over: configuration.gracefulRestart)
        if let value = global["clusterID"], !value.document.isInert { clusterID(value) }
        configuration.bindToDevice = global["bindToDevice"].flatMap { $0.document.isInert ? nil : $0.deviceName() }
        global.unsupported("confederation", "confederations are not supported by the embedded speaker yet")
        global.unsupported(
            "defaultRouteDistance", "evpnd installs no unicast routes, so that distances would have no effect")
        global.unsupported("routerIDPool", "a pool of router IDs is for Kubernetes", hint: "write routerID")
        global.unsupported("nodeStatus", "node status objects are for Kubernetes", hint: "see telemetry")
        if let policy = global["applyPolicy"] {
            if let policies {
                policies.global = AppliedPolicies(Section(policy))
            } else {
                decodePolicy(Section(policy))
            }
        }
        global.finish()
    }
    /// Accepts a default action that changes nothing.
    private func decodePolicy(_ section: Section) {
        for key in ["importPolicy", "exportPolicy"] {
            guard let value = section[key] else { continue }
            let policy = Section(value)
            policy.unsupported("policies", BGPDecoder.noPolicies)
            _ = policy["name"]
            if let action = policy["defaultAction"], let word = action.nonEmptyText(),
                !["accept", "none"].contains(word)
            {
                action.fail(BGPDecoder.noPolicies, hint: "only accept has no effect")
            }
            policy.finish()
        }
        section.finish()
    }

    // MARK: Values

    func asn(_ value: Value, orZero: Bool) -> UInt32? {
        guard let number = value.integer((orZero ? 0 : 1)...4_294_967_295) else { return nil }
        if number == 23456 {
            failASTrans(value)
            return nil
        }
        return orZero && number == 0 ? nil : UInt32(clamping: number)
    }
    func failASTrans(_ value: Value) { value.fail("23456 is AS_TRANS and belongs to nobody (RFC 6793)") }
    func family(_ value: Value) -> Family? {
        guard let name = value.text() else { return nil }
        if let family = Family(configurationName: name) { return family }
        let known = Family.supported.map(\.description).sorted().joined(separator: ", ")
        if ["ipv4-mpls", "ipv6-mpls"].contains(name) {
            value.fail("family \(name) is not supported by the embedded speaker yet", hint: "supported: \(known)")
        } else {
            value.fail("unknown family \(value.kind)", hint: "one of \(known)")
        }
        return nil
    }
    /// The reflector cluster is one for the whole speaker, wherever it is written.
    func clusterID(_ value: Value) {
        var address = value.text().flatMap { IPv4Address($0) }
        if address == nil, let number = value.text().flatMap({ UInt32($0) }) { address = IPv4Address(rawValue: number) }
        guard let address, address != .any else {
            value.fail("expected a cluster ID in the form of an IPv4 address or a number, found \(value.kind)")
            return
        }
        guard let other = cluster else {
            cluster = Located(address, value)
            return
        }
        if other.value != address {
            value.fail("differs from the cluster ID \(other.value) at line \(other.line); there can be only one")
        }
    }
}
