// Neighbors by interface: what the kernel says about their links, who is found there, and which next hops such a session announces.

import BGP
public import NetTypes

extension Speaker {
    // MARK: Inputs

    /// What the kernel says about an interface of `TransportPlan.interfaces`, at first and whenever it changes; nil: there is no
    /// such interface.
    public func interfaceChanged(_ name: String, _ facts: InterfaceFacts?, now: Instant) {
        interfaces[name] = facts
        discovery.change(name, facts, now: now)
        for neighbor in sortedNeighbors where neighbor.configuration.link == name {
            if neighbor.configuration.interface != nil {
                let lost = discovery.neighbor(on: name) == nil
                for session in neighbor.sessions {
                    if lost {
                        let reason = facts == nil ? "\(name) is gone" : "\(name) went down"
                        end(neighbor, session.id, .transport(reason), now)
                    } else if case .v6(let local)? = session.localAddress, local.isLinkLocal,
                        facts?.linkLocal.contains(local) == false
                    {
                        end(neighbor, session.id, .transport("our address \(IPAddress.v6(local)) is gone"), now)
                    }
                }
                locate(neighbor)
                if neighbor.sessions.isEmpty { startConnecting(neighbor, now) }
            }
            announceAgain(neighbor)
        }
        planTransport()
        transmitDue(now)
        finish(now)
    }

    /// A router message that arrived on an interface of `TransportPlan.discoveryInterfaces`, its checksum verified.
    public func receivedRouterMessage(
        _ bytes: UnsafeRawBufferPointer, from source: IPv6Address, on name: String, hopLimit: Int, now: Instant
    ) {
        // RFC 4861 §6.1: a message that came through a router has another hop limit.
        guard hopLimit == 255, let neighbor = neighbor(.interface(name)) else { return }
        let message = withByteReader(over: bytes) { reader -> RouterMessage? in
            do throws(ByteError) { return try RouterMessage(decoding: &reader) } catch { return nil }
        }
        guard let message else { return }
        let isInUse = neighbor.sessions.contains { $0.state == .openConfirm || $0.state == .established }
        let hadOthers = !discovery.problems(now: now).isEmpty
        if discovery.receive(message, from: source, on: name, isInUse: isInUse, now: now) {
            neighborFound(neighbor, name, now)
        } else if !hadOthers, let problem = discovery.problems(now: now).first {
            log(.warning, "discovery.ambiguous", neighbor, ("reason", problem))
        }
        transmitDue(now)
        finish(now)
    }

    /// Conditions on the links that an operator should look at, one sentence each.
    public func problems(now: Instant) -> [String] { discovery.problems(now: now) }

    // MARK: Parts

    /// Keeps what is known of interfaces that are still of interest.
    func watchInterfaces() {
        discovery.watch(Set(configuration.neighbors.compactMap(\.interface)))
        let links = Set(configuration.neighbors.compactMap(\.link))
        interfaces = interfaces.filter { links.contains($0.key) }
    }

    /// The neighbor that a connection from a link-local address belongs to; nil: none by interface.
    func accepting(_ address: IPAddress, on name: String, _ now: Instant) -> Neighbor? {
        guard case .v6(let source) = address, let neighbor = neighbor(.interface(name)) else { return nil }
        if neighbor.discovered == source { return neighbor }
        // Without a key for its address the kernel has not asked a stranger for the password.
        guard neighbor.discovered == nil, neighbor.configuration.password == nil,
            discovery.adopt(source, on: name, now: now)
        else { return nil }
        locate(neighbor)
        return neighbor
    }

    func locate(_ neighbor: Neighbor) {
        guard let name = neighbor.configuration.interface else { return }
        neighbor.discovered = discovery.neighbor(on: name)
    }

    private func neighborFound(_ neighbor: Neighbor, _ name: String, _ now: Instant) {
        let old = neighbor.discovered
        guard let found = discovery.neighbor(on: name), found != old else { return }
        if let old {
            let reason = "the neighbor's address is \(IPAddress.v6(found)) now, no longer \(IPAddress.v6(old))"
            for session in neighbor.sessions { end(neighbor, session.id, .transport(reason), now) }
        }
        neighbor.discovered = found
        neighbor.failures = 0
        log(.info, "neighbor.found", neighbor, ("address", IPAddress.v6(found).description))
        planTransport()
        startConnecting(neighbor, now)
    }

    private func transmitDue(_ now: Instant) {
        for transmission in discovery.handleDeadlines(now: now) { effects.append(.transmit(transmission)) }
    }

    // MARK: Next hops (RFC 2545 §3, RFC 8950 §4)

    /// The next hops of a session between link-local addresses: a global address of the link goes first if there is one, our
    /// link-local address with it.
    func nameLink(_ description: inout PeerDescription) {
        guard case .v6(let local) = description.localAddress, local.isLinkLocal else { return }
        description.linkLocalNextHop = local
        guard let name = description.interface, let global = interfaces[name]?.global.first else { return }
        for family in [Family.ipv4Unicast, .ipv6Unicast] where description.nextHops[family] == nil {
            description.nextHops[family] = .v6(global)
        }
    }

    /// A session whose next hops are others now sends its table once more.
    private func announceAgain(_ neighbor: Neighbor) {
        guard let index = neighbor.establishedIndex, let negotiated = neighbor.sessions[index].negotiated else {
            return
        }
        let description = description(of: neighbor, neighbor.sessions[index], negotiated)
        rib.replaceNextHops(of: neighbor.id, description)
    }
}
