// `dataplane: openvswitch`, `openvswitch:` and `clientDirectory:`.

public import Anycast
import BGP
import Documents
public import EVPN
import NetTypes

/// Who forwards.
enum DataplaneKind: String, CaseIterable {
    case linux, openvswitch
}

/// What `openvswitch:` says beside the bridge itself.
public struct OpenVSwitchSettings: Equatable, Sendable {
    public var bridge: SwitchBridge
    /// The list of anycast addresses that an external checker finds working; nil: nobody is asked.
    public var anycastStatusFile: String?
    /// The interface that probes of our own go through, and how clients are probed that say nothing themselves; nil: they are not.
    public var checkInterface: String?
    public var probe: Probe?
    /// Distinguishers `asn:VNI` for VNIs that only clients name, as evpn-connector has them.
    public var usesASNDistinguishers = false
}

/// `clientDirectory:`.
public struct ClientDirectorySettings: Equatable, Sendable {
    public var path: String
    /// After how long an empty or missing directory is believed; nil: only when somebody confirms it.
    public var emptyGraceSeconds: Int?
    public init(path: String, emptyGraceSeconds: Int? = nil) {
        self.path = path
        self.emptyGraceSeconds = emptyGraceSeconds
    }
}

/// Decodes what a file says about Open vSwitch and its clients.
struct OpenVSwitchDecoder {
    /// The router MAC address that all nodes of evpn-connector have.
    static let connectorRouterMAC = MACAddress(rawValue: 0x1234_5678_90ab)
    static let connectorCheckMAC = MACAddress(rawValue: 0x1234_5678_90aa)

    /// Nil: the Linux kernel forwards, or there is no usable bridge.
    private(set) var settings: OpenVSwitchSettings?
    private(set) var directory: ClientDirectorySettings?
    private(set) var clients: [Client] = []
    let isSwitched: Bool

    init(_ file: Section, hasNodeAddress: Bool) {
        let kind = file["dataplane"]?.word(DataplaneKind.self) ?? .linux
        isSwitched = kind == .openvswitch
        guard isSwitched else {
            for key in ["openvswitch", "clients", "clientDirectory"] {
                file.unsupported(key, "the kernel has no use for it", hint: "dataplane: openvswitch")
            }
            return
        }
        if !hasNodeAddress {
            file.source.fail(
                "Open vSwitch needs a VTEP address for its tunnel port", hint: "set node.vtep or node.interface")
        }
        file.unsupported("vlanBridge", "the bridge is that of openvswitch", hint: "leave it out")
        if !file.has("openvswitch") { file.missing("openvswitch", hint: "openvswitch: {bridge: NAME} is the least") }
        if let value = file["openvswitch"] { settings = OpenVSwitchDecoder.settings(Section(value)) }
        clients = (file["clients"]?.list() ?? []).compactMap { ClientDecoder.decode($0, unknownKeys: .error) }
        if let value = file["clientDirectory"] { directory = OpenVSwitchDecoder.directory(Section(value)) }
    }

    private static func settings(_ section: Section) -> OpenVSwitchSettings? {
        defer { section.finish() }
        if !section.has("bridge") { section.missing("bridge") }
        let name = section["bridge"]?.deviceName()
        let isCompatible = section["connectorCompatible"]?.bool() ?? false
        // Nobody else's: the first octet is that of locally administered addresses. Filled in once the router ID is known.
        var bridge = SwitchBridge(
            name: name ?? "", isConnectorCompatible: isCompatible,
            routerMAC: isCompatible ? connectorRouterMAC : .zero)
        if let value = section["routerMAC"].flatMap({ $0.unlessAuto { $0.mac() } }) { bridge.routerMAC = value }
        if let value = section["database"], let text = database(value) { bridge.database = text }
        if section.has("tls") {
            let tls = section.section("tls")
            if !bridge.database.hasPrefix("ssl:") { tls.source.fail("TLS is for a database at ssl:HOST:PORT") }
            bridge.tls = TLSSettings(tls)
            tls.finish()
        }
        bridge.runDirectory = section["runDirectory"]?.absolutePath()
        if let value = section["tunnelPort"]?.deviceName() { bridge.tunnelPort = value }
        if let value = section["tunnelNumber"]?.integer(ClientDecoder.ports) { bridge.tunnelNumber = UInt32(value) }
        if let value = section["udpPort"]?.integer(1...65535) { bridge.udpPort = UInt16(value) }
        bridge.datapathType = section["datapathType"].flatMap { value in
            guard let text = value.text() else { return nil }
            if !["system", "netdev"].contains(text) { value.fail("expected system or netdev, found \(value.kind)") }
            return text
        }
        if let value = section["learningSeconds"], !value.document.isInert {
            bridge.learningSeconds = value.seconds(1...65535).map { UInt16($0) }
        }
        if let value = section["holdSeconds"], !value.document.isInert, let seconds = value.seconds(1...3600) {
            bridge.holdSeconds = UInt16(seconds)
        }
        if name == bridge.tunnelPort {
            section.source.fail("bridge and tunnel port cannot both be named \(bridge.tunnelPort)")
        }
        var settings = OpenVSwitchSettings(bridge: bridge)
        settings.anycastStatusFile = section["anycastStatusFile"]?.absolutePath()
        settings.usesASNDistinguishers = section["asnDistinguishers"]?.bool() ?? false
        if let value = section["anycastCheck"] { anycastCheck(Section(value), into: &settings) }
        return name == nil ? nil : settings
    }

    /// `unix:/path`, `ssl:host:port` or `tcp:host:port`.
    private static func database(_ value: Value) -> String? {
        guard let text = value.text() else { return nil }
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        let isPrintable = text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f }
        if parts.count == 2, isPrintable {
            if parts[0] == "unix", parts[1].hasPrefix("/"), parts[1].utf8.count <= 107 { return text }
            if ["ssl", "tcp"].contains(parts[0]), let colon = parts[1].lastIndex(of: ":"), colon > parts[1].startIndex {
                let digits = parts[1][parts[1].index(after: colon)...]
                if digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = UInt16(digits), port > 0 {
                    return text
                }
            }
        }
        value.fail("expected unix:/path, ssl:host:port or tcp:host:port, found \(value.kind)")
        return nil
    }

    private static func anycastCheck(_ section: Section, into settings: inout OpenVSwitchSettings) {
        var port = AnycastCheckPort(mac: connectorCheckMAC)
        if let value = section["number"] {
            if let number = value.integer(ClientDecoder.ports) { port.number = UInt32(number) }
            if port.number == settings.bridge.tunnelNumber { value.fail("is the number of the tunnel port") }
        }
        if let mac = section["mac"]?.mac() { port.mac = mac }
        settings.checkInterface = section["interface"]?.deviceName()
        if section.has("probe") {
            settings.probe = ProbeDecoder.decode(section.section("probe"), over: nil)
            if settings.checkInterface == nil, !section.has("interface") {
                section.missing("interface", hint: "probes are sent through the interface of the check port")
            }
        }
        _ = section["probe"]
        section.finish()
        settings.bridge.anycastCheck = port
    }

    private static func directory(_ section: Section) -> ClientDirectorySettings? {
        defer { section.finish() }
        if !section.has("path") { section.missing("path") }
        let path = section["path"]?.absolutePath()
        let grace = section["emptyGraceSeconds"]?.seconds(0...604_800)
        return path.map { ClientDirectorySettings(path: $0, emptyGraceSeconds: grace) }
    }
}

extension OpenVSwitchSettings {
    /// With what only the rest of the file tells.
    func completed(routerID: IPv4Address, asn: UInt32, _ source: Value?) -> OpenVSwitchSettings {
        var result = self
        if result.bridge.routerMAC.isZero {
            result.bridge.routerMAC = MACAddress(rawValue: 0x0265 << 32 | UInt64(routerID.rawValue))
        }
        if usesASNDistinguishers, asn > 0xffff {
            source?.fail("asnDistinguishers needs an AS number up to 65535: a larger one leaves no room for the VNI")
        }
        return result
    }
}
