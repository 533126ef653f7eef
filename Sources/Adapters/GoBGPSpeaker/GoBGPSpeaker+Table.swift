// gobgpd's table: the watch that tells it, the list that stands in for a table too large to be told, who a path came from, and whether
// gobgpd's own neighbors are back so that the table is complete.

import AsyncIO
import BGP
import BGPEngine
import EVPN
import GRPC
import Glibc
import GoBGPAPI
import NetTypes
import Telemetry

extension GoBGPSpeaker {
    func watch() {
        guard let connection, let generation else { return }
        phase = .snapshot
        reason = nil
        heardAt = loop.now
        watchSilence(of: connection)
        decoder = WatchEventDecoder(generation)
        rib.markRemoteStale()
        var request = WatchEventRequest.bestPaths()
        if isTableTooLarge { request.filters = [.init(.best, includesPresent: false)] }
        // These answer at once, even where nothing has changed.
        request.watchesPeers = true
        listing = isTableTooLarge ? Listing() : nil
        var call: GRPCCall?
        let receiver = MessageReceiver.pieces(
            limit: settings.messageLimit, begin: { [weak self] _ in self?.decoder?.begin() },
            append: { [weak self] piece in
                guard let self, self.decoder != nil else { return }
                self.heardAt = self.loop.now
                do throws(ByteError) {
                    try self.decoder?.append(piece) { self.take($0) }
                } catch {
                    self.decoder = nil
                    if let call { connection.cancel(call, GRPCStatus(.internal, "malformed event: \(error)")) }
                }
            },
            end: { [weak self] in
                guard let self, self.decoder != nil else { return }
                do throws(ByteError) {
                    let summary = try self.decoder?.end()
                    if self.listing != nil {
                        self.startListing()
                    } else if let summary, summary.isTable {
                        self.tableEnded(summary)
                    }
                } catch {
                    self.decoder = nil
                    if let call { connection.cancel(call, GRPCStatus(.internal, "malformed event: \(error)")) }
                }
            })
        call = connection.call(
            generation.path(.watchEvent), request.encoded(generation), timeout: nil, receiver: receiver
        ) { [weak self, weak connection] status in
            guard let self, let connection, self.connection === connection else { return }
            if status.code == .resourceExhausted {
                if status.message.contains("send message larger") {
                    self.isTableTooLarge = true
                    return self.end(
                        "the table is too large for one message of gobgpd (\(status.message)); listing it instead")
                }
                return self.end(
                    "WatchEvent: \(status.message); raise bgp.gobgp.maxMessage", retryAfter: Self.retryMaximum)
            }
            // Whatever the status says: without the stream the table is no longer followed.
            self.loop.afterRound {
                guard self.connection === connection else { return }
                self.end("WatchEvent ended: \(status)")
            }
        }
    }

    /// A gobgpd that hangs while it should tell its table is given up; one with a large table may think for a minute.
    private func watchSilence(of connection: GRPCConnection) {
        loop.schedule(after: .seconds(10)) { [weak self, weak connection] in
            guard let self, let connection, self.connection === connection, self.phase == .snapshot else { return }
            if self.loop.now - self.heardAt > Self.silenceLimit {
                return self.end("gobgpd has not told its table for \(Int(Self.silenceLimit.inSeconds)) s")
            }
            self.watchSilence(of: connection)
        }
    }

    // MARK: Tables too large for one message

    /// Asks for the table route by route. What the watch has told meanwhile is newer than the list.
    private func startListing() {
        guard phase == .snapshot, let listing, !listing.isRunning else { return }
        self.listing?.isRunning = true
        list(Family.supported[...], paths: 0, faults: 0)
    }
    private func list(_ families: ArraySlice<Family>, paths: Int, faults: Int) {
        guard let connection, let generation else { return }
        guard let family = families.first else {
            listing = nil
            return tableEnded(.init(isTable: true, paths: paths, faults: faults))
        }
        var paths = paths
        var faults = faults
        var request = ListPathRequest(family)
        request.asOctets = true
        connection.collect(
            generation.path(.listPath), request.encoded(generation), timeout: Self.listTimeout,
            limit: settings.messageLimit,
            each: { [weak self] message in
                guard let self, self.phase == .snapshot else { return }
                self.heardAt = self.loop.now
                guard let destination = try? ListPathReply(decoding: message, generation).content
                else { return }
                for path in destination.paths {
                    switch path {
                    case .success(let path):
                        guard path.isBest, !path.isFiltered else { continue }
                        paths += 1
                        if self.listing?.touched.contains(path.key) == false { self.take(path) }
                    case .failure(let fault):
                        faults += 1
                        self.note(fault)
                    }
                }
            },
            { [weak self, weak connection] status in
                guard let self, let connection, self.connection === connection, self.phase == .snapshot else { return }
                // A gobgpd without this family says so in words only.
                guard status.isOK || status.message.contains("address family") else {
                    return self.end("ListPath: \(status)")
                }
                self.list(families.dropFirst(), paths: paths, faults: faults)
            })
    }

    private func take(_ element: WatchEventElement) {
        if listing != nil, case .path(let path) = element {
            switch path {
            case .success(let path): listing?.touched.insert(path.key)
            case .failure(let fault): if let key = fault.key { listing?.touched.insert(key) }
            }
        }
        switch element {
        case .peer(let event):
            guard event.kind == .change else { return }
            let session = event.peer.state.session
            let neighbor = NeighborName(event.peer.key.isEmpty ? event.peer.address : event.peer.key)
            report(
                .info, session == .established ? "session.established" : "session.state", neighbor,
                [("state", "\(session)")])
            loop.afterRound { [weak self] in self?.poll() }
        case .path(.success(let path)): take(path)
        case .path(.failure(let fault)):
            note(fault)
            guard let key = fault.key else { return }
            // An unusable announcement replaces a usable one (as RFC 7606 has it for UPDATE).
            rib.replaceRemote(key, nil, from: daemon.id)
        }
        if phase == .live { scheduleDelivery() }
    }
    private func take(_ path: APIPath) {
        if !path.isWithdraw, settings.predecessor?.left(path) == true {
            own.recall(path.key, Advertisement(payload: path.payload, attributes: AttributeSet(path.attributes)))
        }
        let isOurs = own.isOurs(path.key)
        if path.isWithdraw {
            rib.replaceRemote(path.key, nil, from: daemon.id)
            if isOurs {
                own.gone(path.key, isBeaten: false, now: loop.now, isReady: phase == .live)
                schedulePump()
            }
        } else if path.isLocal, isOurs {
            rib.replaceRemote(path.key, nil, from: daemon.id)
            own.seen(
                path.key, Advertisement(payload: path.payload, attributes: AttributeSet(path.attributes)),
                inSnapshot: phase == .snapshot)
        } else {
            if isOurs { own.gone(path.key, isBeaten: true, now: loop.now, isReady: phase == .live) }
            rib.replaceRemote(path.key, (path.payload, path.attributes), from: source(of: path))
        }
    }
    private func source(of path: APIPath) -> PeerID {
        guard let neighbor = path.neighbor else { return daemon.id }
        var description = identify(neighbor)
        let routerID = path.sourceID ?? description.routerID
        if description.routerID != routerID || description.asn != path.sourceASN {
            description.routerID = routerID
            description.asn = path.sourceASN
            peers[neighbor] = description
            rib.addPeer(description)
            rib.closeOutput(description.id)
        }
        return description.id
    }
    func identify(_ neighbor: IPAddress) -> PeerDescription {
        if let known = peers[neighbor] { return known }
        // 1 is the daemon; past the last number everything counts as the daemon's.
        guard peers.count < 60_000 else { return daemon }
        // Internal whatever it is: paths are kept as they come, what an external neighbor may say was decided by gobgpd.
        let description = PeerDescription(
            id: PeerID(UInt16(peers.count + 2)), address: neighbor, routerID: .any, asn: 0, kind: .internal,
            localASN: 0, localAddress: .v4(.any), families: daemon.families)
        peers[neighbor] = description
        rib.addPeer(description)
        rib.closeOutput(description.id)
        return description
    }
    private func note(_ fault: APIPathFault) {
        guard !fault.isForeignFamily else { return }
        metrics.counter("evpnd_gobgp_path_faults_total", "Paths of gobgpd that cannot be used").increment()
        let isNew = faults[fault.neighbor]?[fault.reason] == nil
        if isNew, (faults[fault.neighbor]?.count ?? 0) >= 32 || faults.count > 4096 { return }
        faults[fault.neighbor, default: [:]][fault.reason, default: 0] += 1
        if isNew {
            log.warning(
                "gobgp.path.unusable",
                [
                    "route": fault.key?.description ?? "unknown", "reason": fault.reason,
                    "neighbor": fault.neighbor?.description ?? "local", "effect": "this route is skipped",
                ])
        }
    }

    /// The first message about the table is the whole of it.
    private func tableEnded(_ summary: WatchEventDecoder.Summary) {
        guard phase == .snapshot else { return }
        phase = .live
        liveSince = loop.now
        log.info(
            "gobgp.up",
            [
                "address": settings.endpoint.description, "api": generation?.rawValue ?? "", "asn": "\(global.asn)",
                "router_id": global.routerID, "paths": "\(summary.paths)", "unusable": "\(summary.faults)",
            ])
        report(.info, "gobgp.up", nil, [("paths", "\(summary.paths)")])
        isSettling = true
        armHold()
        scheduleDelivery()
        reconcile()
        manage()
        poll()
    }

    // MARK: Neighbors, and whether the table is complete

    private func schedulePoll() {
        if let pollTimer { loop.cancel(pollTimer) }
        pollTimer = loop.schedule(after: isSettling ? .seconds(1) : Self.pollInterval) { [weak self] in
            self?.pollTimer = nil
            self?.poll()
        }
    }
    /// Asks how the sessions are, which also tells whether gobgpd lives.
    func poll() {
        guard phase == .live, let connection, let generation, !isPolling else { return }
        isPolling = true
        var found: [Peer] = []
        connection.collect(
            generation.path(.listPeer), ListPeerRequest().encoded(generation), timeout: .seconds(20),
            each: { message in
                if found.count < 65_536, let peer = try? ListPeerReply(decoding: message, generation).content {
                    found.append(peer)
                }
            }
        ) { [weak self, weak connection] status in
            guard let self, let connection, self.connection === connection, self.phase == .live else { return }
            self.isPolling = false
            guard status.isOK else { return self.end("ListPeer: \(status)") }
            self.polled(found)
            self.schedulePoll()
        }
    }
    private func polled(_ found: [Peer]) {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        let now = loop.now
        var isComplete = !found.isEmpty
        neighborCache = found.compactMap { peer in
            guard let status = NeighborStatus(peer, now: now, wallClock: Int64(time.tv_sec), configuration) else {
                return nil
            }
            if !status.isEstablished {
                establishedSince[status.address] = nil
                if !status.isAdminDown { isComplete = false }
            } else {
                let first = establishedSince[status.address] ?? now
                establishedSince[status.address] = first
                let hasEnd = peer.families.contains { $0.family == .l2vpnEVPN && $0.endOfRIBReceived }
                if !hasEnd, now - first < Self.settleTime, now - status.since < Self.settleTime { isComplete = false }
            }
            return status
        }
        neighborCache.sort { $0.name < $1.name }
        for index in neighborCache.indices {
            let list = faults[neighborCache[index].address] ?? [:]
            neighborCache[index].faults = list.sorted { $0.key < $1.key }.map { (reason: $0.key, count: $0.value) }
        }
        if isSettling, isComplete { sweep("all neighbors of gobgpd are up") }
    }
}
