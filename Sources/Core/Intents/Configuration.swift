// The whole of evpnd.yaml, decoded and resolved. Parts are compared with == on reload: what did not change is not touched.

public import Anycast
import BGP
public import BGPEngine
public import EVPN
public import GoBGPAPI
public import NetTypes
public import UnicastRoutes

/// What one host is asked to be. Made by `Configuration.load(from:)` only, so it is always valid.
public struct Configuration: Equatable, Sendable {
    public var node: NodeConfiguration
    public var bgp: BGPConfiguration
    /// The gobgpd that speaks for us; nil: the embedded speaker does.
    public var gobgp: GoBGPSettings?
    /// Domains whose VTEP address depends on the host have `vtep` nil; ask `overlay(nodeAddress:)`.
    public var overlay: Overlay
    /// The bridge of Open vSwitch that forwards, with its clients; nil: the Linux kernel does.
    public var openVSwitch: SwitchConfiguration?
    /// Whose files are clients of the bridge beside those of `clients:`; nil: there are only these.
    public var clientDirectory: ClientDirectorySettings?
    /// The anycast addresses that are probed.
    public internal(set) var anycastTargets: [AnycastName: AnycastChecks.Target] = [:]
    /// What clients are added to; nil: the kernel forwards.
    var clientBase: ClientBase?
    /// What the file says of the bridge; nil: the kernel forwards.
    public var openVSwitchSettings: OpenVSwitchSettings? { clientBase?.settings }
    /// Whether VNIs of VXLAN devices that operators make are served without being configured; nil: no.
    public var discovery: Discovery?
    /// Networks of this host that are announced as plain unicast routes; nil: none.
    public var netlinkImport: NetlinkImport?
    /// Unicast routes that are put into kernel tables; nil: none.
    public var netlinkExport: NetlinkExport?
    public var forwarding = ForwardingConfiguration()
    public var telemetry = TelemetryConfiguration()
    public var control = ControlConfiguration()

    public init(node: NodeConfiguration, bgp: BGPConfiguration, overlay: Overlay) {
        self.node = node
        self.bgp = bgp
        self.overlay = overlay
    }

    /// The overlay with the node's VTEP address filled in wherever a VNI has none of its own. `nodeAddress` is the literal
    /// `node.vtep` or the address found on `node.interface`; nil leaves such VNIs to the address of their own device.
    /// `discovered` are the VNIs of devices that were found; those that the file names are left to it.
    public func overlay(nodeAddress: IPAddress?, discovered: Set<VNI> = []) -> Overlay {
        var result = openVSwitch.map { overlay.forwarded(by: $0.bridge) } ?? overlay
        if let discovery { result.evis = discovery.adding(discovered, to: result) }
        guard let nodeAddress else { return result }
        for index in result.evis.indices where result.evis[index].domain.vtep == nil {
            result.evis[index].domain.vtep = nodeAddress
        }
        for index in result.vrfs.indices where result.vrfs[index].domain?.vtep == nil {
            result.vrfs[index].domain?.vtep = nodeAddress
        }
        return result
    }
}

/// `membership.discover`.
public struct Discovery: Equatable, Sendable {
    /// How members of discovered VNIs are found.
    public var signalling: Signalling
    /// VNIs that the file names: they are as it says, also when it disables them.
    public var exceptions: Set<VNI>

    /// All EVIs with those of `discovered` VNIs, sorted. Each gets `router-id:VNI` as its distinguisher, or the first free number
    /// from the low 16 bits of the VNI on; with all 65535 of them taken, the VNI is left out.
    func adding(_ discovered: Set<VNI>, to overlay: Overlay) -> [EVI] {
        var evis = overlay.evis
        var taken = Set(evis.map(\.rd) + overlay.vrfs.map(\.rd))
        for vni in discovered.subtracting(exceptions).sorted() {
            let first = UInt16(truncatingIfNeeded: vni.rawValue)
            guard
                let rd = RouteDistinguisher.firstFree(overlay.routerID, from: first, isTaken: { taken.contains($0) })
            else { continue }
            taken.insert(rd)
            evis.append(
                EVI(
                    vni: vni, rd: rd, importTargets: .automatic(vni),
                    exportTargets: [.automatic(asn: overlay.asn, vni: vni)],
                    domain: BroadcastDomain(
                        vni: vni, device: .adopted(name: nil), isFloodOnly: !signalling.usesEVPN),
                    signalling: signalling))
        }
        return evis.sorted { $0.vni < $1.vni }
    }
}

/// `node:`.
public struct NodeConfiguration: Equatable, Sendable {
    /// Where the address comes from that remote VTEPs send to.
    public enum VTEPSource: Equatable, Sendable {
        case address(IPAddress)
        /// The first global address of this interface, IPv4 before IPv6, followed when it changes.
        case interface(String)
        /// Each VNI's own `vtep`, or the `local` address of its adopted device.
        case devices
    }
    public var vtep: VTEPSource
    /// For the FQDN capability; nil: the host name.
    public var name: String?
    public init(vtep: VTEPSource, name: String? = nil) {
        self.vtep = vtep
        self.name = name
    }
}

/// `forwarding:`, what happens to kernel entries around the life of the daemon.
public struct ForwardingConfiguration: Equatable, Sendable {
    public enum OnExit: String, CaseIterable, Sendable {
        /// Entries and managed devices stay; the next start adopts them.
        case keep
        /// Every entry and device with our mark is removed, and routes are withdrawn before sessions close.
        case remove
    }
    public var onExit = OnExit.keep
    /// After a start, entries found in the kernel that nobody announces any more are kept until End-of-RIB from every
    /// neighbor or for this long. Also `BGPConfiguration.initialHoldSeconds`.
    public var staleHoldSeconds = 60
    public init() {}
}

/// `telemetry:`.
public struct TelemetryConfiguration: Equatable, Sendable {
    public enum LogLevel: String, CaseIterable, Sendable {
        case debug, info, warning, error
    }
    public struct Endpoint: Equatable, Sendable, CustomStringConvertible {
        public var address: IPAddress
        public var port: UInt16
        public init(address: IPAddress, port: UInt16) {
            self.address = address
            self.port = port
        }
        public var description: String { address.isV6 ? "[\(address)]:\(port)" : "\(address):\(port)" }
    }
    /// Where `/metrics`, `/healthz` and `/readyz` are served; nil: nowhere.
    public var listen: Endpoint? = Endpoint(address: .v4(IPv4Address(rawValue: 0x7f00_0001)), port: 9474)
    public var logLevel = LogLevel.info
    /// Whom the metrics of evpn-connector are pushed to; nil: nobody.
    public var statsd: StatsdSettings?
    public init() {}
}

/// `telemetry.statsd`.
public struct StatsdSettings: Equatable, Sendable {
    /// A name or an address.
    public var name: String
    public var port: UInt16
    /// In front of every name; nil: nothing.
    public var prefix: String?
    /// What this host is called in them; nil: it is not.
    public var host: String?
}

/// `control:`, the socket that evpnctl talks to.
public struct ControlConfiguration: Equatable, Sendable {
    public var socket = "/run/evpnd/evpnd.sock"
    /// Group that owns the socket; nil: the group of the process.
    public var group: String?
    /// Permission bits of the socket.
    public var mode: UInt32 = 0o660
    public init() {}
}
