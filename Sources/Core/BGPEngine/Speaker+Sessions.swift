// What happens on connections: from the first octet to the end of a session and what becomes of its routes.

import BGP
public import NetTypes

extension Speaker {
    // MARK: Connections

    /// Somebody connected; returns the name of the connection, nil when it has to be closed at once. `interface` is where a peer
    /// with a link-local address is: such an address is somebody else on every link.
    public func accepted(from address: IPAddress, local: IPAddress?, interface: String? = nil, now: Instant)
        -> ConnectionID?
    {
        var neighbor = interface.flatMap { accepting(address, on: $0, now) } ?? self.neighbor(.address(address))
        if neighbor == nil, let template = template(for: address),
            neighbors.values.count(where: \.isDynamic) < Speaker.maximumDynamicNeighbors
        {
            neighbor = add(template, isDynamic: true, now)
        }
        if let interface, let wanted = neighbor?.configuration.bindInterface, wanted != interface { neighbor = nil }
        guard let neighbor, neighbor.isWelcome, neighbor.sessions.count(where: { !$0.isOutgoing }) < 3 else {
            effects.append(
                .event(
                    SpeakerEvent(
                        level: .debug, name: "session.refused", neighbor: .address(address),
                        fields: [("reason", neighbor == nil ? "not configured" : "shut down or too many connections")]))
            )
            return nil
        }
        let id = nextConnection()
        var session = Session(id: id, isOutgoing: false)
        session.localAddress = local
        neighbor.sessions.append(session)
        owners[id] = neighbor.id
        effects.append(.configure(id, connectPlan(neighbor)))
        begin(neighbor, neighbor.sessions.count - 1, now)
        return id
    }

    /// An outgoing connection was made.
    public func connected(_ id: ConnectionID, local: IPAddress?, now: Instant) {
        guard let (neighbor, index) = find(id), neighbor.sessions[index].state == .connecting else { return }
        neighbor.sessions[index].localAddress = local
        begin(neighbor, index, now)
    }

    private func begin(_ neighbor: Neighbor, _ index: Int, _ now: Instant) {
        neighbor.sessions[index].connected(now: now)
        send(neighbor, index, .open(localOpen(neighbor).open()))
    }
    private func localOpen(_ neighbor: Neighbor) -> LocalOpen {
        let own = neighbor.configuration
        let families = own.families.isEmpty ? configuration.families.map { FamilyConfiguration($0) } : own.families
        return LocalOpen(
            asn: own.localASN ?? configuration.asn, routerID: configuration.routerID, peerASN: own.peerASN,
            requiresExternal: own.isExternal, holdTimeSeconds: own.holdTimeSeconds,
            keepaliveSeconds: own.keepaliveSeconds, families: families,
            role: own.role, restart: own.gracefulRestart ?? configuration.gracefulRestart,
            isRestarting: isRestarting && !isSynchronized, preservesForwarding: isRestarting || isSynchronized,
            hostname: hostname)
    }

    /// The connection could not be made, broke or was closed by the peer.
    public func closed(_ id: ConnectionID, reason: String, now: Instant) {
        guard let (neighbor, _) = find(id) else { return }
        end(neighbor, id, .transport(reason), now)
        finish(now)
    }

    /// Everything sent on the connection has been taken by the kernel.
    public func drained(_ id: ConnectionID, now: Instant) {
        guard let (neighbor, index) = find(id), neighbor.sessions[index].isBlocked else { return }
        neighbor.sessions[index].isBlocked = false
        flush(neighbor.id)
    }

    /// Octets that arrived.
    public func received(_ id: ConnectionID, _ bytes: UnsafeRawBufferPointer, now: Instant) {
        guard let (neighbor, index) = find(id) else { return }
        if neighbor.sessions[index].input.isEmpty {
            let consumed = withByteReader(over: bytes) { consume($0, neighbor, id, now) }
            if consumed < bytes.count, let index = neighbor.index(of: id) {
                neighbor.sessions[index].input = Array(bytes[consumed...])
            }
        } else {
            var input = neighbor.sessions[index].input
            neighbor.sessions[index].input = []
            input.append(contentsOf: bytes)
            let consumed = input.withByteReader { consume($0, neighbor, id, now) }
            if consumed < input.count, let index = neighbor.index(of: id) {
                neighbor.sessions[index].input = Array(input[consumed...])
            }
        }
        finish(now)
    }

    /// Handles all whole messages; returns how many octets they took.
    private func consume(_ reader: ByteReader, _ neighbor: Neighbor, _ id: ConnectionID, _ now: Instant) -> Int {
        var reader = reader
        while reader.count >= Message.headerLength, let index = neighbor.index(of: id) {
            let start = reader.offset
            do throws(SessionFault) {
                let options = neighbor.sessions[index].negotiated?.codec ?? CodecOptions()
                let length = try Message.frameLength(reader, maximumLength: options.maximumLength)
                guard let frame = try? reader.take(length) else { return start }
                let message = try Message.decode(frame, options: options)
                neighbor.messagesIn &+= 1
                try handle(message, neighbor, index, frame, now)
            } catch {
                let bytes = reader.slice(start..<min(reader.end, start + 256))
                log(
                    .warning, "session.fault", neighbor, ("reason", error.description), ("bytes", hexString(bytes)))
                end(neighbor, id, .fault(error), now)
                return reader.end
            }
        }
        return reader.offset
    }

    private func handle(
        _ message: Message, _ neighbor: Neighbor, _ index: Int, _ frame: ByteReader, _ now: Instant
    ) throws(SessionFault) {
        let id = neighbor.sessions[index].id
        switch try neighbor.sessions[index].handle(message, local: localOpen(neighbor), now: now) {
        case .nothing: break
        case .opened:
            guard survivesCollision(neighbor, id, now), let index = neighbor.index(of: id) else { return }
            if neighbor.configuration.peerASN == 0, let peerASN = neighbor.sessions[index].negotiated?.peerASN {
                effects.append(.configure(id, connectPlan(neighbor, peerASN: peerASN)))
            }
            send(neighbor, index, .keepalive)
            neighbor.sessions[index].confirm(now: now)
        case .established: establish(neighbor, id, now)
        case .update(let update): receive(update, neighbor, id, frame, now)
        case .refresh(let refresh): receive(refresh, neighbor)
        case .notification(let notification): end(neighbor, id, .received(notification), now)
        }
    }

    // MARK: Collision (RFC 4271 §6.8)

    /// Whether the session whose OPEN has just been accepted may go on; ends the losing one.
    private func survivesCollision(_ neighbor: Neighbor, _ id: ConnectionID, _ now: Instant) -> Bool {
        guard let own = neighbor.sessions.first(where: { $0.id == id }), let negotiated = own.negotiated else {
            return false
        }
        let collision = NotificationMessage(code: 6, subcode: 7)
        for other in neighbor.sessions where other.id != id {
            switch other.state {
            case .established:
                // RFC 4724 §5: a restarted peer opens anew while we still hold the old connection.
                if other.negotiated?.restart != nil {
                    end(neighbor, other.id, .transport("replaced by a new connection of the peer"), now)
                } else {
                    end(neighbor, id, .administrative(collision, "connection collision"), now)
                    return false
                }
            case .openConfirm:
                let keepsOurs = (configuration.routerID, configuration.asn) > (negotiated.routerID, negotiated.peerASN)
                let isWinner = own.isOutgoing == other.isOutgoing || own.isOutgoing == keepsOurs
                end(
                    neighbor, isWinner ? other.id : id, .administrative(collision, "connection collision"), now)
                if !isWinner { return false }
            case .connecting, .openSent, .closed: break
            }
        }
        return true
    }

    // MARK: Established

    private func establish(_ neighbor: Neighbor, _ id: ConnectionID, _ now: Instant) {
        for other in neighbor.sessions where other.id != id {
            end(
                neighbor, other.id,
                .administrative(NotificationMessage(code: 6, subcode: 7), "connection collision"), now)
        }
        guard let index = neighbor.index(of: id), let negotiated = neighbor.sessions[index].negotiated else { return }
        keepOrDropStale(neighbor, negotiated, now)
        neighbor.negotiated = negotiated
        neighbor.since = now
        neighbor.failures = 0
        neighbor.retryAt = nil
        neighbor.establishedCount &+= 1
        neighbor.endOfRIB = []
        neighbor.disabledFamilies = []
        rib.addPeer(description(of: neighbor, neighbor.sessions[index], negotiated))
        log(
            .info, "session.established", neighbor, ("asn", "\(negotiated.peerASN)"),
            ("router_id", "\(negotiated.routerID)"), ("hold_time", "\(negotiated.holdTimeSeconds)"),
            ("families", negotiated.families.sorted().map(\.description).joined(separator: ",")))
        checkSynchronized(now)
    }

    func description(of neighbor: Neighbor, _ session: Session, _ negotiated: Negotiated) -> PeerDescription {
        let own = neighbor.configuration
        let localASN = own.localASN ?? configuration.asn
        let families = own.families.isEmpty ? configuration.families.map { FamilyConfiguration($0) } : own.families
        var description = PeerDescription(
            id: neighbor.id, address: neighbor.address, routerID: negotiated.routerID, asn: negotiated.peerASN,
            kind: negotiated.peerASN == localASN ? .internal : .external, localASN: localASN,
            localAddress: session.localAddress ?? .v4(configuration.routerID), families: negotiated.families,
            codec: negotiated.codec)
        description.isReflectorClient = own.isRouteReflectorClient
        description.nextHopSelf = Set(families.filter(\.nextHopSelf).map(\.family))
        description.prefixLimits = prefixLimits(of: neighbor)
        description.role = own.role
        description.enhancedRefresh = negotiated.enhancedRefresh
        description.interface = own.link
        if description.localAddress.isV6, !negotiated.extendedNextHop {
            description.nextHops[.ipv4Unicast] = .v4(configuration.routerID)
        }
        if case .v4(let address) = description.localAddress {
            // RFC 4798 §2: the IPv4-mapped form.
            description.nextHops[.ipv6Unicast] = .v6(
                IPv6Address(high: 0, low: 0xffff_0000_0000 | UInt64(address.rawValue)))
        }
        nameLink(&description)
        return description
    }

    private func receive(
        _ update: Update, _ neighbor: Neighbor, _ id: ConnectionID, _ frame: ByteReader, _ now: Instant
    ) {
        for fault in update.faults { count(fault, neighbor, frame) }
        var update = update
        switch update.consequence {
        case .resetSession(let fault): return end(neighbor, id, .fault(fault), now)
        case .disableFamily(let family):
            log(.warning, "family.disabled", neighbor, ("family", family.description))
            neighbor.disabledFamilies.insert(family)
            rib.removeRoutes(neighbor.id, family)
        case .accept, .attributeDiscard, .treatAsWithdraw: break
        }
        if !neighbor.disabledFamilies.isEmpty {
            update.announced.removeAll { neighbor.disabledFamilies.contains($0.family) }
            update.withdrawn.removeAll { neighbor.disabledFamilies.contains($0.family) }
        }
        if let family = update.endOfRIB {
            neighbor.endOfRIB.insert(family)
            rib.sweepStale(neighbor.id, family)
            if let negotiated = neighbor.negotiated, negotiated.families.isSubset(of: neighbor.endOfRIB) {
                neighbor.staleUntil = nil
            }
            log(.info, "session.end_of_rib", neighbor, ("family", family.description))
            checkSynchronized(now)
            return
        }
        let outcome = rib.receive(update, from: neighbor.id)
        if outcome.refused > 0 { log(.warning, "rib.full", neighbor, ("refused", "\(outcome.refused)")) }
        for event in outcome.limits { handle(event, neighbor, id, now) }
    }

    private func count(_ fault: UpdateFault, _ neighbor: Neighbor, _ frame: ByteReader) {
        let action =
            switch fault.consequence {
            case .accept: "accept"
            case .attributeDiscard: "attribute-discard"
            case .treatAsWithdraw: "treat-as-withdraw"
            case .disableFamily: "afi-safi-disable"
            case .resetSession: "session-reset"
            }
        let key = "\(action): \(fault.reason)"
        if neighbor.faults[key] == nil {
            guard neighbor.faults.count < Neighbor.maximumFaultKinds else { return }
            let whole = frame.slice(frame.end - frame.count..<frame.end)
            var fields = [
                (key: "action", value: action), ("attribute", "\(fault.attribute)"), ("reason", fault.reason),
            ]
            if let route = fault.route { fields.append(("route", route.description)) }
            fields.append(("bytes", hexString(whole.prefix(4096))))
            effects.append(
                .event(SpeakerEvent(level: .warning, name: "update.fault", neighbor: neighbor.name, fields: fields)))
        }
        neighbor.faults[key, default: 0] &+= 1
    }

    func handle(
        _ event: ReceiveOutcome.LimitEvent, _ neighbor: Neighbor, _ id: ConnectionID, _ now: Instant
    ) {
        let fields = [
            (key: "family", value: event.family.description), (key: "routes", value: "\(event.count)"),
            (key: "limit", value: "\(event.limit.maximum)"),
        ]
        guard event.kind == .exceeded, !event.limit.warnOnly else {
            effects.append(
                .event(
                    SpeakerEvent(
                        level: .warning, name: event.kind == .exceeded ? "limit.exceeded" : "limit.near",
                        neighbor: neighbor.name, fields: fields)))
            return
        }
        let reason = "more than \(event.limit.maximum) routes of \(event.family)"
        effects.append(
            .event(
                SpeakerEvent(
                    level: .warning, name: "limit.shutdown", neighbor: neighbor.name, fields: fields)))
        neighbor.heldDown = (event.limit.restartSeconds.map { now + .seconds($0) }, reason)
        var data = ByteWriter()
        data.u16(event.family.afi)
        data.u8(event.family.safi)
        data.u32(UInt32(clamping: event.limit.maximum))
        endAll(
            neighbor, .administrative(NotificationMessage(code: 6, subcode: 1, data: data.bytes), reason), now)
    }

    private func receive(_ refresh: RouteRefresh, _ neighbor: Neighbor) {
        guard neighbor.negotiated?.families.contains(refresh.family) == true else { return }
        switch refresh.subtype {
        case 0: rib.refresh(neighbor.id, refresh.family)
        case 1: rib.markStale(neighbor.id, [refresh.family])
        case 2: rib.sweepStale(neighbor.id, refresh.family)
        default: break
        }
    }

    // MARK: The end of a session

    func endAll(_ neighbor: Neighbor, _ end: SessionEnd, _ now: Instant) {
        for session in neighbor.sessions { self.end(neighbor, session.id, end, now) }
        // Routes kept for a restart belong to nobody once the session is ended on purpose.
        if case .administrative = end, neighbor.staleUntil != nil {
            neighbor.staleUntil = nil
            dropRoutes(neighbor)
        }
    }

    func end(_ neighbor: Neighbor, _ id: ConnectionID, _ cause: SessionEnd, _ now: Instant) {
        guard let index = neighbor.index(of: id) else { return }
        let session = neighbor.sessions[index]
        if let notification = notification(for: cause, session) {
            send(neighbor, index, .notification(notification))
        }
        effects.append(.close(id))
        owners[id] = nil
        neighbor.sessions.remove(at: index)
        let wasEstablished = session.state == .established
        let isCollision = cause.description == "connection collision"
        if !isCollision { neighbor.lastError = cause.description }
        if wasEstablished {
            neighbor.since = now
            rib.closeOutput(neighbor.id)
            let kept = retain(neighbor, session, cause, now)
            log(
                .warning, "session.down", neighbor, ("reason", cause.description),
                ("routes", kept.map { "kept for \(Int(($0 - now).inSeconds)) s" } ?? "removed"))
        } else if !isCollision {
            log(.debug, "session.failed", neighbor, ("reason", cause.description))
        }
        if !isCollision { neighbor.failures += 1 }
        if neighbor.isForgettable {
            forget(neighbor)
        } else if neighbor.sessions.isEmpty {
            scheduleRetry(neighbor, now)
        }
        checkSynchronized(now)
    }

    /// What the peer is told; nil when the connection is gone anyway.
    private func notification(for cause: SessionEnd, _ session: Session) -> NotificationMessage? {
        guard session.state != .connecting else { return nil }
        switch cause {
        case .transport, .received: return nil
        case .fault(let fault):
            return NotificationMessage(code: fault.code, subcode: fault.subcode, data: fault.data)
        case .administrative(let notification, _):
            // RFC 8538 §3: with the N bit only a hard reset makes the peer drop our routes.
            guard session.state == .established, session.negotiated?.restart?.hasNotification == true,
                notification.code == 6, notification.subcode != 7
            else { return notification }
            return NotificationMessage(
                code: 6, subcode: 9, data: [notification.code, notification.subcode] + notification.data)
        }
    }

    /// Keeps or removes the routes of an ended session; returns until when they are kept.
    private func retain(_ neighbor: Neighbor, _ session: Session, _ cause: SessionEnd, _ now: Instant) -> Instant? {
        guard let negotiated = session.negotiated else { return nil }
        let restart = negotiated.restart
        let keepsOnNotification = restart?.hasNotification == true
        let isLost: Bool
        switch cause {
        case .transport: isLost = true
        case .received(let notification):
            isLost = keepsOnNotification && !(notification.code == 6 && notification.subcode == 9)
        case .fault(let fault): isLost = keepsOnNotification && fault.code == 4
        case .administrative: isLost = false
        }
        guard isLost else {
            dropRoutes(neighbor)
            return nil
        }
        if let restart, negotiated.families.contains(where: { restart.families[$0] != nil }) {
            // A family that cannot be restarted goes; a second loss does not make older leftovers live longer.
            for family in negotiated.families {
                if restart.families[family] != nil {
                    rib.sweepStale(neighbor.id, family)
                    rib.markStale(neighbor.id, [family])
                } else {
                    rib.removeRoutes(neighbor.id, family)
                }
            }
            neighbor.staleUntil = now + .seconds(Int(max(1, restart.timeSeconds)))
        } else {
            // Without graceful restart: as long as the hold timer would have given the peer.
            rib.markStale(neighbor.id, negotiated.families)
            neighbor.staleUntil = session.holdDeadline ?? now
        }
        return neighbor.staleUntil
    }

    /// A session is back: leftovers wait for End-of-RIB, unless the peer says that it lost its forwarding state.
    private func keepOrDropStale(_ neighbor: Neighbor, _ negotiated: Negotiated, _ now: Instant) {
        guard neighbor.staleUntil != nil else { return }
        let old = neighbor.negotiated
        let usesRestart = old?.families.contains { old?.restart?.families[$0] != nil } ?? false
        for family in neighbor.negotiated?.families ?? [] {
            let isPreserved = negotiated.restart?.families[family] ?? false
            if !negotiated.families.contains(family) || (usesRestart && !isPreserved) {
                rib.removeRoutes(neighbor.id, family)
            }
        }
        neighbor.staleUntil = now + .seconds(Int(max(30, configuration.initialHoldSeconds)))
    }

    private func dropRoutes(_ neighbor: Neighbor) {
        for family in Family.supported { rib.removeRoutes(neighbor.id, family) }
    }

    // MARK: Time

    /// Does what is due at `now`.
    public func handleDeadlines(now: Instant) {
        for neighbor in sortedNeighbors {
            for session in neighbor.sessions {
                if let deadline = session.holdDeadline, deadline <= now {
                    let fault = SessionFault(code: 4, subcode: 0, reason: "hold timer expired")
                    end(neighbor, session.id, .fault(fault), now)
                } else if let deadline = session.keepaliveDeadline, deadline <= now,
                    let index = neighbor.index(of: session.id)
                {
                    send(neighbor, index, .keepalive)
                    neighbor.sessions[index].restartKeepalive(now)
                }
            }
            if let deadline = neighbor.staleUntil, deadline <= now {
                neighbor.staleUntil = nil
                for family in Family.supported { rib.sweepStale(neighbor.id, family) }
                log(.info, "session.stale_removed", neighbor)
                if neighbor.isForgettable { forget(neighbor) }
            }
            if let until = neighbor.heldDown?.until, until <= now { release(neighbor, now) }
            if let retry = neighbor.retryAt, retry <= now { startConnecting(neighbor, now) }
        }
        for transmission in discovery.handleDeadlines(now: now) { effects.append(.transmit(transmission)) }
        checkSynchronized(now)
        finish(now)
    }

    // MARK: Small parts

    private func find(_ id: ConnectionID) -> (Neighbor, Int)? {
        guard let peer = owners[id], let neighbor = neighbors[peer], let index = neighbor.index(of: id) else {
            return nil
        }
        return (neighbor, index)
    }
    func send(_ neighbor: Neighbor, _ index: Int, _ message: Message) {
        neighbor.messagesOut &+= 1
        let options = neighbor.sessions[index].negotiated?.codec ?? CodecOptions()
        effects.append(.send(neighbor.sessions[index].id, message.encoded(options: options)))
    }
}
