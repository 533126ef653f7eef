// The way from the tree to the configuration: decode each section, then look at all of them together.

import GoBGPAPI
import BGP
import BGPEngine
public import Documents
import EVPN
public import NetTypes
import UnicastRoutes

extension Configuration {
    /// The contents of the file that `passwordFile` names, or the reason why it cannot be read.
    public typealias SecretReader = (_ path: String) -> Result<Secret, SecretFault>

    /// Decodes and resolves a whole file. All problems are returned at once, in the order of the text; the configuration is
    /// nil when one of them is an error. Pure except for `readSecret`, which is asked once for each `passwordFile`, and
    /// `addressOf`, which tells the address that `node.interface` has now: its IPv4 address stands in for the router ID.
    public static func load(
        from document: Document,
        readSecret: @escaping SecretReader = { _ in .failure(SecretFault("files cannot be read here")) },
        addressOf: (_ interface: String) -> IPAddress? = { _ in nil }
    ) -> (configuration: Configuration?, problems: [Problem]) {
        let problems = ProblemList()
        let root = Value(document: document, path: "", problems: problems)
        if document.isNull { root.fail("the file is empty", hint: "bgp.global.asn is the least that is needed") }
        let file = Section(root)
        let nodeSection = file.section("node")
        let node = decodeNode(nodeSection)
        var nodeAddress: IPAddress?
        switch node.vtep {
        case .address(let address): nodeAddress = address
        case .interface(let name): nodeAddress = addressOf(name)
        case .devices: break
        }

        if !file.has("bgp"), !document.isNull { file.missing("bgp") }
        let bgpSection = file.section("bgp")
        var bgp = BGPConfiguration(asn: 0, routerID: .any)
        var gobgp: GoBGPSettings?
        var netlinkImport: NetlinkImportIntent?
        var netlinkExport = (settings: NetlinkExport(), isEnabled: false)
        if file.has("bgp") {
            let decoder = BGPDecoder(problems: problems, readSecret: readSecret)
            bgp = decoder.decode(
                bgpSection, nodeAddress: nodeAddress,
                isNodeAddressWrong: nodeSection.has("vtep") && nodeAddress == nil)
            gobgp = decoder.gobgp
            netlinkImport = decoder.netlinkImport
            netlinkExport = decoder.netlinkExport
        }
        let switched = OpenVSwitchDecoder(file, hasNodeAddress: nodeSection.has("vtep") || nodeSection.has("interface"))
        let membership = MembershipSettings(file, isSwitched: switched.isSwitched)
        let overlayDecoder = OverlayDecoder(
            problems: problems, hasNodeAddress: nodeSection.has("vtep") || nodeSection.has("interface"),
            nodeAddress: nodeAddress, shared: file.section("vlanBridge"), isSwitched: switched.isSwitched)
        let (evis, vrfs) = overlayDecoder.decode(
            vnis: file["vnis"], vrfs: file["vrfs"], asn: bgp.asn, routerID: bgp.routerID, membership)

        if gobgp != nil, bgp.asn == 0 || bgp.routerID == .any, !problems.all.hasErrors,
            !vrfs.isEmpty || evis.contains(where: { $0.signalling.usesEVPN }) || switched.isSwitched
                || membership.discovers && membership.signalling.usesEVPN
        {
            bgpSection.source.fail(
                "EVPN routes need an ASN and a router ID for their targets and distinguishers",
                hint: "write those of gobgpd as global.asn and global.routerID")
        }

        if gobgp?.filtersImports == true, !switched.isSwitched {
            bgpSection.section("gobgp")["importPolicy"]?.fail("is for clients of Open vSwitch")
        }

        let mobility = file.section("mobility")
        let detection = decodeDetection(mobility.section("duplicateDetection"))
        mobility.finish()
        let forwarding = decodeForwarding(file.section("forwarding"))
        bgp.initialHoldSeconds = forwarding.staleHoldSeconds
        var configuration = Configuration(
            node: node, bgp: bgp,
            overlay: Overlay(asn: bgp.asn, routerID: bgp.routerID, evis: evis, duplicateDetection: detection))
        configuration.overlay.vrfs = vrfs
        configuration.overlay.compatibility = decodeCompatibility(file.section("compatibility"))
        configuration.overlay.membership = membership.resolved(evis: evis, bgp: bgp, bgpSection)
        if membership.discovers {
            configuration.discovery = Discovery(signalling: membership.signalling, exceptions: overlayDecoder.named)
        }
        configuration.gobgp = gobgp
        var peers = Set(bgp.neighbors.map(\.address))
        if case .tcp(let host, _) = gobgp?.endpoint, let address = IPAddress(host) { peers.insert(address) }
        configuration.overlay.peers = peers.filter { !$0.isUnspecified && !$0.isLinkLocal && !$0.isLoopback }.sorted()
        configuration.netlinkImport = netlinkImport?.resolved(into: &configuration.overlay.vrfs)
        configuration.netlinkExport = NetlinkDecoder.join(
            netlinkExport, overlayDecoder.exports, into: &configuration.overlay.vrfs)
        configuration.forwarding = forwarding
        configuration.telemetry = decodeTelemetry(file.section("telemetry"))
        configuration.control = decodeControl(file.section("control"))
        if file.has("apiVersion") || file.has("spec") {
            root.fail("this looks like a Kubernetes object", hint: "put what is inside spec under bgp")
        }
        file.finish()
        if let nodeAddress {
            configuration.overlay = configuration.overlay(nodeAddress: nodeAddress)
            for neighbor in bgp.neighbors where neighbor.address == nodeAddress {
                bgpSection["neighbors"]?.warn("neighbor \(neighbor.address) is this node's own VTEP address")
            }
        }
        if let settings = switched.settings?.completed(
            routerID: bgp.routerID, asn: bgp.asn, file.section("openvswitch")["asnDistinguishers"])
        {
            configuration.clientDirectory = switched.directory
            configuration.clientBase = ClientBase(
                settings: settings, overlay: configuration.overlay, named: overlayDecoder.named,
                clients: switched.clients, vtep: nodeAddress)
            let joined = configuration.joined(by: [], health: AnycastHealth())
            configuration = joined.configuration
            for problem in joined.problems { problems.append(problem) }
        }
        let all = problems.all.sortedByPosition
        return (all.hasErrors ? nil : configuration, all)
    }

    private static func decodeNode(_ section: Section) -> NodeConfiguration {
        var node = NodeConfiguration(vtep: .devices)
        let interface = section["interface"]
        if let value = section["vtep"] {
            if let address = value.vtepAddress() { node.vtep = .address(address) }
            interface?.fail("only one of vtep and interface can be used")
        } else if let name = interface?.deviceName() {
            node.vtep = .interface(name)
        }
        if let value = section["name"], let name = value.nonEmptyText() {
            if name.utf8.count > 64 { value.fail("must not be longer than 64 octets") }
            node.name = name
        }
        section.finish()
        return node
    }

    private static func decodeDetection(_ section: Section) -> DuplicateDetection {
        var detection = DuplicateDetection()
        if let value = section["enabled"]?.bool() { detection.isEnabled = value }
        if let value = section["moves"]?.integer(2...1000) { detection.maximumMoves = value }
        if let value = section["window"]?.seconds(2...86400) { detection.windowSeconds = value }
        if let value = section["recoverAfter"], !["never", "0"].contains(value.text() ?? "") {
            detection.recoverAfterSeconds = value.seconds(1...604_800)
        }
        section.finish()
        return detection
    }

    private static func decodeCompatibility(_ section: Section) -> RouteCompatibility {
        let compatibility = RouteCompatibility(
            readsTunnelsOfMACs: section["macTunnels"]?.bool() ?? false,
            readsPrefixesAsVTEPs: section["prefixVTEPs"]?.bool() ?? false,
            importsWithoutTarget: section["importWithoutTarget"]?.bool() ?? false,
            routerMAC: section["routerMAC"]?.mac())
        section.finish()
        return compatibility
    }

    private static func decodeForwarding(_ section: Section) -> ForwardingConfiguration {
        var forwarding = ForwardingConfiguration()
        if let word = section["onExit"]?.word(ForwardingConfiguration.OnExit.self) { forwarding.onExit = word }
        if let seconds = section["staleHold"]?.seconds(0...86400) { forwarding.staleHoldSeconds = seconds }
        section.finish()
        return forwarding
    }

    private static func decodeTelemetry(_ section: Section) -> TelemetryConfiguration {
        var telemetry = TelemetryConfiguration()
        if let value = section["listen"], let text = value.text() {
            if text.isEmpty || Value.falseWords.contains(text) {
                telemetry.listen = nil
            } else if let endpoint = TelemetryConfiguration.Endpoint(text) {
                telemetry.listen = endpoint
            } else {
                value.fail("expected off or ADDRESS:PORT such as 127.0.0.1:9474 or [::1]:9474, found \(value.kind)")
            }
        }
        if let word = section["logLevel"]?.word(TelemetryConfiguration.LogLevel.self) { telemetry.logLevel = word }
        if section.has("statsd") { telemetry.statsd = StatsdSettings(section.section("statsd")) }
        _ = section["statsd"]
        section.finish()
        return telemetry
    }

    private static func decodeControl(_ section: Section) -> ControlConfiguration {
        var control = ControlConfiguration()
        if let value = section["socket"], let path = value.text() {
            if !path.hasPrefix("/") {
                value.fail("expected an absolute path, found \(value.kind)")
            } else if path.utf8.count > 107 || path.utf8.contains(0) {
                value.fail("a socket path has at most 107 octets")
            } else {
                control.socket = path
            }
        }
        control.group = section["group"]?.nonEmptyText()
        if let value = section["mode"], var text = value.text() {
            if text.hasPrefix("0o") { text.removeFirst(2) }
            let isOctal = !text.isEmpty && text.utf8.allSatisfy { (0x30...0x37).contains($0) }
            if isOctal, let mode = UInt32(text, radix: 8), mode <= 0o777 {
                control.mode = mode
            } else {
                value.fail("expected permission bits in octal such as 0660, found \(value.kind)")
            }
        }
        section.finish()
        return control
    }
}

extension TelemetryConfiguration.Endpoint {
    /// `127.0.0.1:9474`, `[::1]:9474`, or `:9474` for every address.
    init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        let digits = text[text.index(after: colon)...]
        guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = UInt16(digits), port > 0 else {
            return nil
        }
        var host = text[..<colon]
        if host.isEmpty {
            self.init(address: .v6(.any), port: port)
            return
        }
        let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
        if isBracketed { host = host.dropFirst().dropLast() }
        guard let address = IPAddress(String(host)), address.isV6 == isBracketed else { return nil }
        self.init(address: address, port: port)
    }
}

extension StatsdSettings {
    fileprivate init?(_ section: Section) {
        defer { section.finish() }
        if !section.has("address") { section.missing("address") }
        prefix = section["prefix"]?.nonEmptyText()
        host = section["host"]?.nonEmptyText()
        guard let value = section["address"], let endpoint = value.hostAndPort() else { return nil }
        (name, port) = endpoint
    }
}

/// The contents of a file that holds a secret.
public struct Secret: Equatable, Sendable {
    public var bytes: [UInt8]
    /// Permission bits of the file; nil: not known.
    public var mode: UInt32?
    public init(_ bytes: [UInt8], mode: UInt32? = nil) {
        self.bytes = bytes
        self.mode = mode
    }
    /// Whether users other than the file's owner and group may read or change it.
    var isOpenToOthers: Bool { (mode ?? 0) & 0o006 != 0 }
}

/// Why a secret cannot be read, as a clause.
public struct SecretFault: Error, Equatable, Sendable {
    public let reason: String
    public init(_ reason: String) { self.reason = reason }
}
