// The speaker as a machine: neighbors, their sessions and the RIB. It owns no socket and no clock; whoever drives it passes bytes
// and times in and carries out the effects.

import BGP
public import NetTypes

/// A BGP speaker (RFC 4271). A class because its RIB must never be copied; confined to the thread that made it.
///
/// Call one of the event functions, then `takeEffects()`, and call `handleDeadlines` when `nextDeadline` has passed.
public final class Speaker {
    /// Peers that may exist through dynamic neighbors at once.
    public static let maximumDynamicNeighbors = 4096
    /// Octets handed to the shell for one peer before the next peer's turn.
    static let drainBudget = 256 << 10

    public internal(set) var configuration: BGPConfiguration
    public var rib: RIB
    var neighbors: [PeerID: Neighbor] = [:]
    var byName: [NeighborName: PeerID] = [:]
    var discovery: RouterDiscovery
    /// The interfaces that neighbors with link-local addresses are on.
    var interfaces: [String: InterfaceFacts] = [:]
    var owners: [ConnectionID: PeerID] = [:]
    var effects: [SpeakerEffect] = []
    let hostname: String
    let isRestarting: Bool
    private var lastConnection: UInt64 = 0
    private var lastPeer: UInt16 = 0
    private var random: UInt64
    private var isConfigured = false
    private var plan: TransportPlan?
    private(set) var isSynchronized = false
    private var syncDeadline: Instant?

    /// `restarting`: forwarding state of an earlier run is still in place (RFC 4724 §4.1). `awaitsLocalRoutes`: `localRoutesAreComplete`
    /// will be called, and no route is sent before that or the end of the initial hold. `seed` feeds the jitter of timers.
    public init(
        hostname: String = "", restarting: Bool = false, awaitsLocalRoutes: Bool = false, seed: UInt64 = 1
    ) {
        configuration = BGPConfiguration(asn: 0, routerID: .any)
        rib = RIB(RIBConfiguration(asn: 0, routerID: .any))
        self.hostname = hostname
        isRestarting = restarting
        rib.awaitsLocalRoutes = awaitsLocalRoutes
        random = seed | 1
        discovery = RouterDiscovery(seed: seed)
    }

    /// What has to be done since the last call, in order.
    public func takeEffects() -> [SpeakerEffect] {
        let result = effects
        effects = []
        return result
    }

    public var nextDeadline: Instant? {
        var result = isSynchronized && !rib.awaitsLocalRoutes ? nil : syncDeadline
        if let instant = discovery.nextDeadline { result = result.map { min($0, instant) } ?? instant }
        for neighbor in neighbors.values {
            guard let instant = neighbor.nextDeadline else { continue }
            result = result.map { min($0, instant) } ?? instant
        }
        return result
    }

    // MARK: Configuration

    /// Replaces the configuration; only neighbors whose session depends on a change are reset.
    public func configure(_ new: BGPConfiguration, now: Instant) {
        let old = configuration
        configuration = new
        if !isConfigured || old.asn != new.asn || old.routerID != new.routerID || old.clusterID != new.clusterID
            || old.alwaysCompareMED != new.alwaysCompareMED
        {
            rebuild(now)
        }
        rib.setMultiplePaths(new.usesMultiplePaths)
        let wanted = Dictionary(new.neighbors.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        watchInterfaces()
        for neighbor in sortedNeighbors {
            if neighbor.isDynamic {
                guard let template = template(for: neighbor.address), wanted[neighbor.name] == nil,
                    neighbor.keepsSession(with: template)
                else {
                    remove(neighbor, now)
                    continue
                }
                replaceConfiguration(neighbor, template, now)
            } else if let next = wanted[neighbor.name] {
                update(neighbor, next, now)
            } else {
                remove(neighbor, now)
            }
        }
        for next in new.neighbors where byName[next.name] == nil {
            if let neighbor = add(next, isDynamic: false, now), neighbor.isWelcome { startConnecting(neighbor, now) }
        }
        planTransport()
        if !isConfigured {
            isConfigured = true
            rib.isSelectionDeferred = isRestarting
            syncDeadline = now + .seconds(new.initialHoldSeconds)
        }
        checkSynchronized(now)
        finish(now)
    }

    private func update(_ neighbor: Neighbor, _ next: NeighborConfiguration, _ now: Instant) {
        let keeps = neighbor.keepsSession(with: next)
        let wasDown = neighbor.configuration.isAdminDown
        replaceConfiguration(neighbor, next, now)
        if !keeps {
            endAll(neighbor, .administrative(NotificationMessage(code: 6, subcode: 6), "configuration changed"), now)
        }
        if next.isAdminDown, !wasDown {
            shutDown(neighbor, text: next.shutdownMessage, now)
        } else if !next.isAdminDown, wasDown {
            neighbor.isShutDown = false
        }
        if neighbor.isWelcome, neighbor.sessions.isEmpty { startConnecting(neighbor, now) }
    }

    /// Prefix limits apply to a running session too; other ones are another chance for a neighbor that was held down.
    private func replaceConfiguration(_ neighbor: Neighbor, _ next: NeighborConfiguration, _ now: Instant) {
        let old = prefixLimits(of: neighbor)
        neighbor.configuration = next
        let limits = prefixLimits(of: neighbor)
        guard limits != old else { return }
        if neighbor.heldDown != nil { release(neighbor, now) }
        let outcome = rib.setPrefixLimits(neighbor.id, limits)
        guard let index = neighbor.establishedIndex else { return }
        let id = neighbor.sessions[index].id
        for event in outcome.limits { handle(event, neighbor, id, now) }
    }
    func prefixLimits(of neighbor: Neighbor) -> [Family: PrefixLimit] {
        var limits: [Family: PrefixLimit] = [:]
        for family in neighbor.configuration.families { limits[family.family] = family.prefixLimit }
        return limits
    }

    /// A new RIB for a new identity; our own routes are carried over.
    private func rebuild(_ now: Instant) {
        for neighbor in sortedNeighbors {
            endAll(neighbor, .administrative(NotificationMessage(code: 6, subcode: 6), "configuration changed"), now)
            rib.removePeer(neighbor.id)
        }
        var own: [LocalRouteChange] = []
        var query = RouteQuery(.received(from: .local), limit: RouteQuery.maximumLimit)
        while true {
            let page = rib.routes(query)
            own += page.routes.map {
                LocalRouteChange(key: $0.key, route: LocalRoute(payload: $0.payload, attributes: $0.attributes))
            }
            guard let next = page.next else { break }
            query.after = next
        }
        while rib.hasChanges { effects.append(.routes(rib.takeChanges())) }
        let (deferred, holds) = (rib.isSelectionDeferred, rib.awaitsLocalRoutes)
        rib = RIB(
            RIBConfiguration(
                asn: configuration.asn, routerID: configuration.routerID, clusterID: configuration.clusterID,
                alwaysCompareMED: configuration.alwaysCompareMED))
        rib.isSelectionDeferred = deferred
        rib.awaitsLocalRoutes = holds
        if !own.isEmpty { rib.originate(own) }
    }

    /// Listening sockets are made anew when what they need has changed.
    func planTransport() {
        let next = transportPlan()
        guard next != plan else { return }
        plan = next
        effects.append(.transport(next))
    }
    private func transportPlan() -> TransportPlan {
        var plan = TransportPlan()
        plan.interfaces = Set(configuration.neighbors.compactMap(\.link)).sorted()
        plan.discoveryInterfaces = Set(configuration.neighbors.compactMap(\.interface)).sorted()
        plan.listenPort = configuration.listenPort
        plan.listenAddresses = configuration.listenAddresses
        plan.bindToDevice = configuration.bindToDevice
        for neighbor in configuration.neighbors {
            guard let password = neighbor.password, let address = self.neighbor(neighbor.name)?.address,
                !address.isUnspecified, let prefix = IPPrefix(address, length: address.bitWidth)
            else { continue }
            plan.keys.append(.init(prefix: prefix, password: password))
        }
        for dynamic in configuration.dynamicNeighbors {
            if let password = dynamic.template.password {
                plan.keys.append(.init(prefix: dynamic.prefix, password: password))
            }
        }
        return plan
    }

    // MARK: Neighbors

    var sortedNeighbors: [Neighbor] { neighbors.values.sorted { $0.name < $1.name } }

    /// Nil when all 65534 numbers are taken.
    func add(_ configuration: NeighborConfiguration, isDynamic: Bool, _ now: Instant) -> Neighbor? {
        guard neighbors.count < 65_000 else { return nil }
        repeat { lastPeer = lastPeer >= 65_534 ? 1 : lastPeer + 1 } while neighbors[PeerID(lastPeer)] != nil
        let neighbor = Neighbor(
            id: PeerID(lastPeer), configuration: configuration, isDynamic: isDynamic, now: now)
        neighbors[neighbor.id] = neighbor
        byName[neighbor.name] = neighbor.id
        locate(neighbor)
        return neighbor
    }
    private func remove(_ neighbor: Neighbor, _ now: Instant) {
        endAll(
            neighbor, .administrative(NotificationMessage(code: 6, subcode: 3), "no longer configured"), now)
        forget(neighbor)
    }
    /// Lets a neighbor try again that was held down; one that came by itself has to come again.
    func release(_ neighbor: Neighbor, _ now: Instant) {
        neighbor.heldDown = nil
        if neighbor.isForgettable { forget(neighbor) } else { startConnecting(neighbor, now) }
    }
    func forget(_ neighbor: Neighbor) {
        rib.removePeer(neighbor.id)
        neighbors[neighbor.id] = nil
        if byName[neighbor.name] == neighbor.id { byName[neighbor.name] = nil }
    }
    /// The configuration a peer that is not configured by address gets: the longest prefix wins.
    func template(for address: IPAddress) -> NeighborConfiguration? {
        let matches = configuration.dynamicNeighbors.filter { $0.prefix.contains(address) }
        guard var template = matches.max(by: { $0.prefix.length < $1.prefix.length })?.template else { return nil }
        template.address = address
        return template
    }
    func neighbor(_ name: NeighborName) -> Neighbor? { byName[name].flatMap { neighbors[$0] } }

    // MARK: Connecting

    func nextConnection() -> ConnectionID {
        lastConnection += 1
        return ConnectionID(lastConnection)
    }
    func startConnecting(_ neighbor: Neighbor, _ now: Instant) {
        neighbor.retryAt = nil
        guard neighbor.isWelcome, neighbor.isLocated, !neighbor.configuration.isPassive, !neighbor.isDynamic,
            !neighbor.sessions.contains(where: \.isOutgoing), neighbor.establishedIndex == nil
        else { return }
        let id = nextConnection()
        neighbor.sessions.append(Session(id: id, isOutgoing: true))
        owners[id] = neighbor.id
        effects.append(.connect(id, connectPlan(neighbor)))
    }
    func connectPlan(_ neighbor: Neighbor, peerASN: UInt32? = nil) -> ConnectPlan {
        let own = neighbor.configuration
        return neighbor.connectPlan(
            localASN: own.localASN ?? configuration.asn, peerASN: peerASN ?? own.peerASN)
    }
    /// RFC 4271 §8.1.1 with the jitter of §10, and longer after each failure (DampPeerOscillations).
    func scheduleRetry(_ neighbor: Neighbor, _ now: Instant) {
        guard neighbor.isWelcome, neighbor.isLocated, !neighbor.configuration.isPassive, !neighbor.isDynamic else {
            return
        }
        random ^= random << 13
        random ^= random >> 7
        random ^= random << 17
        let base = Int64(max(1, neighbor.configuration.connectRetrySeconds)) * 1000
        let factor = Int64(1) << Int64(min(3, max(0, neighbor.failures - 3)))
        let jitter = 750 + Int64(random % 250)
        neighbor.retryAt = now + .milliseconds(min(120_000, base * factor) * jitter / 1000)
    }

    // MARK: Own routes and commands

    /// Announces or withdraws routes of this host.
    public func originate(_ changes: [LocalRouteChange], now: Instant) {
        rib.originate(changes)
        finish(now)
    }

    /// Resets the session (Cease, Administrative Reset); a neighbor held down by a limit may come back.
    public func clear(_ name: NeighborName, now: Instant) {
        guard let neighbor = neighbor(name) else { return }
        neighbor.heldDown = nil
        neighbor.failures = 0
        endAll(neighbor, .administrative(NotificationMessage(code: 6, subcode: 4), "cleared by command"), now)
        if neighbor.isForgettable { forget(neighbor) } else { startConnecting(neighbor, now) }
        finish(now)
    }
    /// Ends the session and keeps it down; `text` goes to the peer (RFC 9003).
    public func shutdown(_ name: NeighborName, text: String?, now: Instant) {
        guard let neighbor = neighbor(name) else { return }
        shutDown(neighbor, text: text, now)
        finish(now)
    }
    func shutDown(_ neighbor: Neighbor, text: String?, _ now: Instant) {
        neighbor.isShutDown = true
        neighbor.retryAt = nil
        endAll(
            neighbor, .administrative(.shutdown(text: text), "shut down" + (text.map { ": \($0)" } ?? "")), now)
    }
    public func enable(_ name: NeighborName, now: Instant) {
        guard let neighbor = neighbor(name) else { return }
        neighbor.isShutDown = false
        release(neighbor, now)
        finish(now)
    }
    /// Asks the peer for all its routes again (RFC 2918).
    public func refresh(_ name: NeighborName, now: Instant) {
        guard let neighbor = neighbor(name), let index = neighbor.establishedIndex,
            let negotiated = neighbor.sessions[index].negotiated, negotiated.refresh
        else { return }
        for family in negotiated.families.sorted() {
            send(neighbor, index, .routeRefresh(RouteRefresh(family: family)))
        }
    }
    /// Ends all sessions: without a word, so that graceful restart applies, or with Administrative Shutdown.
    public func stop(withdrawing: Bool, now: Instant) {
        for neighbor in sortedNeighbors {
            if withdrawing {
                shutDown(neighbor, text: nil, now)
            } else {
                for session in neighbor.sessions {
                    effects.append(.close(session.id))
                    owners[session.id] = nil
                }
                neighbor.sessions = []
            }
            neighbor.retryAt = nil
        }
    }

    // MARK: End of a round

    /// Best-path changes go to the control plane, updates to the peers that can take them.
    func finish(_ now: Instant) {
        tellRoutes()
        for peer in rib.peersWithOutput() { flush(peer) }
    }
    private func tellRoutes() {
        while rib.hasChanges { effects.append(.routes(rib.takeChanges())) }
    }
    func flush(_ peer: PeerID) {
        guard let neighbor = neighbors[peer], let index = neighbor.establishedIndex,
            !neighbor.sessions[index].isBlocked
        else { return }
        var writer = ByteWriter()
        _ = rib.drainUpdates(peer, byteBudget: Speaker.drainBudget, into: &writer)
        guard writer.count > 0 else { return }
        neighbor.messagesOut &+= 1
        // More only after the shell has passed this on: a slow peer costs one budget of memory.
        neighbor.sessions[index].isBlocked = true
        effects.append(.send(neighbor.sessions[index].id, writer.bytes))
    }

    /// Everything that this host announces itself has been originated: routes may be sent.
    public func localRoutesAreComplete(now: Instant) {
        rib.awaitsLocalRoutes = false
        finish(now)
    }

    /// The initial routes are here: those who wait to prune or to announce may go on.
    func checkSynchronized(_ now: Instant) {
        if let syncDeadline, syncDeadline <= now { rib.awaitsLocalRoutes = false }
        guard isConfigured, !isSynchronized else { return }
        let expected = neighbors.values.filter { !$0.isDynamic && !$0.isShutDown }
        let isDue = syncDeadline.map { $0 <= now } ?? false
        var isComplete = true
        var mayAnnounce = true
        for neighbor in expected {
            guard let index = neighbor.establishedIndex, let negotiated = neighbor.sessions[index].negotiated else {
                isComplete = false
                mayAnnounce = false
                break
            }
            if negotiated.families.isSubset(of: neighbor.endOfRIB) { continue }
            isComplete = false
            // A peer that is starting itself waits for us: neither would be the first. Its routes come after ours.
            if negotiated.restart?.isRestarting == true && isRestarting { continue }
            // A peer without graceful restart has dropped our routes and may never say that it is done (RFC 4724 §4.1).
            if negotiated.restart != nil { mayAnnounce = false }
        }
        let isWaiting = expected.isEmpty && !configuration.dynamicNeighbors.isEmpty
        if mayAnnounce, !isWaiting { rib.isSelectionDeferred = false }
        guard isDue || (isComplete && !isWaiting) else { return }
        isSynchronized = true
        rib.isSelectionDeferred = false
        // Routes of the same read come first: what they ask for must not be pruned.
        tellRoutes()
        effects.append(.initialSync)
    }

    func log(
        _ level: SpeakerEvent.Level, _ name: String, _ neighbor: Neighbor?, _ fields: (key: String, value: String)...
    ) {
        effects.append(
            .event(SpeakerEvent(level: level, name: name, neighbor: neighbor?.name, fields: fields)))
    }
}
