// The EVPN machine: what is asked for, what others announce and what this host sees, turned into what we announce and how
// frames are forwarded. It has no clock, socket or log; shells feed it and carry out what it answers.

import BGP
public import NetTypes

/// EVPN layer 2 (RFC 7432, RFC 8365) and layer 3 (RFC 9135, RFC 9136) as a pure machine.
///
/// A value: the answer to an input depends only on the inputs so far. Its tables hold hundreds of thousands of rows, so keep
/// one and mutate it in place.
public struct ControlPlane {
    /// Something that happened outside.
    public enum Input: Sendable {
        /// What this VTEP is asked to be, as a whole; only the differences to the last one are worked on.
        case overlay(Overlay)
        /// Best paths that appeared, changed or went away. A batch is taken as one step: a MAC that is withdrawn and announced
        /// elsewhere in one batch makes one forwarding change.
        case routes([RouteChange])
        /// What the dataplane saw. A dataplane reports a local MAC as gone also when a remote entry took its place in the
        /// kernel, and as set again whenever the kernel learns it anew on a local port: that is how moves are noticed.
        case local([LocalChange])
        /// `nextDeadline` has passed.
        case deadlineReached
        /// An operator says that a duplicate MAC has been dealt with (RFC 7432 §15.1).
        case recover(MACKey)
    }

    /// What has to be done about an input. Each list is in an order that is safe to carry out from first to last.
    public struct Output: Sendable, Equatable {
        /// For the speaker.
        public var advertisements: [AdvertisementChange] = []
        /// For the dataplane.
        public var forwarding: [ForwardingChange] = []
        /// For tables of the kernel that are no VRF's own: prefixes of IP-VRFs whose `export` asks for it, changed or not.
        public var exports: [ExportChange] = []
        /// For the log and the counters.
        public var events: [ControlPlaneEvent] = []
        /// Events left out because a single input may not flood the log; see `ControlPlane.maximumEvents`.
        public var suppressedEvents = 0
        public init() {}
        public var isEmpty: Bool {
            advertisements.isEmpty && forwarding.isEmpty && exports.isEmpty && events.isEmpty && suppressedEvents == 0
        }
    }

    /// How many events one input may give; the others are only counted.
    public static let maximumEvents = 256

    // MARK: State

    /// The last `.overlay`, without its EVIs, which are in `vrfs`.
    var routerID: IPv4Address?
    /// Whether a host that has an address here can be asked for it (`ControlPlaneEvent.addressConflict`). Where it cannot, an address that
    /// another VTEP announces with a higher sequence number is given up at once.
    public var asksHosts = true
    var detection = DuplicateDetection()
    var compatibility = RouteCompatibility()
    var hasTunnelNexthops = false

    /// MAC-VRFs by number; unused places have neither configuration nor local state.
    var vrfs: [MACVRF?] = []
    var vrfByVNI: [VNI: Slot] = [:]
    /// The VNIs of `vrfs`, apart so that the hot path need not touch those; stale where unused.
    var vnis: [VNI] = []
    /// Some MAC-VRF has a mobility record.
    var hasMobility = false
    /// The attribute set that was looked up last: neighbouring routes mostly share one.
    var lastAttributes: (set: AttributeSet, slot: Slot)?
    /// Which MAC-VRFs import a target: exactly, or by the VNI in a 2-octet-AS target.
    var importers: [RouteTarget: [Slot]] = [:]
    var automaticImporters: [VNI: [Slot]] = [:]
    /// Addresses of this host, each in use by so many MAC-VRFs.
    var ownVTEPs: [IPAddress: Int] = [:]

    var routes: CompactTable<RemoteRoute>
    var attributes = Slab(filler: ImportedAttributes())
    var attributeSlots: [AttributeSet: Slot] = [:]
    var vteps = Slab(filler: VTEPRecord(address: .v4(.any)))
    var vtepSlots: [IPAddress: Slot] = [:]
    var imports = Slab(filler: Import(route: .none, vrf: .none, entry: .none, sibling: .none))
    var macs: CompactTable<MACEntry>
    var addresses: CompactTable<AddressEntry>
    var floods: CompactTable<FloodEntry>
    /// Host routes of others that have communities, by their address.
    var memberRoutes: [IPAddress: AttributeSet] = [:]
    var membership: Membership?
    /// Which MAC-VRF a community stands for.
    var memberMarks: [UInt32: Slot] = [:]
    var largeMemberMarks: [LargeCommunity: Slot] = [:]
    /// Own addresses whose host route is announced, and how many VNIs found no room in it.
    var announcedMembers: Set<IPAddress> = []
    var memberOmissions: [IPAddress: Int] = [:]
    /// The own host routes have to be looked at before the current input is answered.
    var isMembershipDirty = false
    /// What the speaker has been told to announce.
    var exported: [RouteKey: Advertisement] = [:]

    /// IP-VRFs by number; unused places have neither configuration nor local state.
    var tables: [IPVRFTable?] = []
    var tableByName: [String: Slot] = [:]
    /// Which IP-VRF has an L3 VNI.
    var tableByVNI: [VNI: Slot] = [:]
    var tableImporters: [RouteTarget: [Slot]] = [:]
    var automaticTableImporters: [VNI: [Slot]] = [:]
    /// The IP-VRF of each MAC-VRF, or `.none`; beside `vrfs`.
    var tableOfVRF: [Slot] = []
    var prefixes: CompactTable<PrefixEntry>
    var ways: CompactTable<RemoteWay>
    var routedImports = Slab(filler: RoutedImport.vacant)
    var groups = Slab(filler: NexthopGroup())
    var groupSlots: [[RoutedNexthop]: Slot] = [:]
    var routers: [RouterKey: Router] = [:]
    var routerMACs: [MACKey: RouterMAC] = [:]
    /// VTEPs (rows in `vteps`) whose router MAC in an L3 VNI is another one's, or our own.
    var refusedRouters: [VNI: Set<Slot>] = [:]
    /// ESI and gateway of the routes that have one.
    var overlays: [Slot: OverlayIndex] = [:]
    var gateways = Slab(filler: Gateway.vacant)
    var gatewaySlots: [Gateway.Key: Slot] = [:]

    /// Rows to look at again before the current input is answered.
    var dirtyMACs: [Slot] = []
    var dirtyAddresses: [Slot] = []
    var dirtyFloods: [Slot] = []
    var dirtyRouters: Set<RouterKey> = []
    var dirtyPrefixes: [Slot] = []
    var dirtyGateways: [Slot] = []
    /// IP-VRFs (rows in `tables`) whose hosts are to be looked at again.
    var dirtySubnets: Set<Slot> = []
    /// There is a table of the host's own that tenants are leaked into; its routes are to be looked at again.
    var hasUnderlay = false
    var mustCheckUnderlay = false
    /// `Overlay.peers`.
    var peers: [IPAddress] = []
    /// All routes, or all host routes of members, are to be looked at again after the current input.
    var mustReimport = false
    var mustReimportMembers = false
    var output = Output()
    var now = Instant.zero
    /// When mobility records have to be looked at; nil: there are none that expire.
    var sweepAt: Instant?

    public init() {
        // Differs from process to process, as the hashes of the standard library do, because peers choose the keys.
        var hasher = Hasher()
        hasher.combine(0)
        let seed = UInt64(bitPattern: Int64(hasher.finalize())) | 1
        routes = CompactTable(seed: seed)
        macs = CompactTable(seed: seed)
        addresses = CompactTable(seed: seed)
        floods = CompactTable(seed: seed)
        prefixes = CompactTable(seed: seed)
        ways = CompactTable(seed: seed)
    }

    /// When `.deadlineReached` is due; nil: nothing is waited for.
    public var nextDeadline: Instant? { sweepAt }

    public mutating func handle(_ input: Input, now: Instant) -> Output {
        self.now = now
        switch input {
        case .overlay(let overlay): apply(overlay)
        case .routes(let changes): for change in changes { apply(change) }
        case .local(let changes):
            for change in changes { apply(change) }
            reimportFamilies()
        case .deadlineReached: sweep()
        case .recover(let key): recover(key)
        }
        evaluate()
        let result = output
        output = Output()
        return result
    }

    mutating func report(_ event: ControlPlaneEvent) {
        // That a host is to be asked is more than a line in the log.
        if case .addressConflict = event {
            output.events.append(event)
        } else if output.events.count < ControlPlane.maximumEvents {
            output.events.append(event)
        } else {
            output.suppressedEvents += 1
        }
    }
}
