// Who is at the other end of an unnumbered link: routers advertise themselves (RFC 4861), and the source of what is heard is the
// address to make the session with. A machine of its own; the speaker makes sessions of what it finds.

public import NetTypes

/// What the kernel says about an interface that a neighbor is configured on.
public struct InterfaceFacts: Equatable, Sendable {
    /// The kernel's number, at least 1.
    public var index: UInt32
    /// Administratively up and with a carrier.
    public var isUp: Bool
    /// Nil: none, or not an Ethernet address.
    public var linkLayerAddress: MACAddress?
    /// Link-local addresses that may be used (duplicate address detection is over), ascending.
    public var linkLocal: [IPv6Address]
    /// The other IPv6 addresses that may be used, ascending.
    public var global: [IPv6Address]
    public init(
        index: UInt32, isUp: Bool, linkLayerAddress: MACAddress? = nil, linkLocal: [IPv6Address] = [],
        global: [IPv6Address] = []
    ) {
        self.index = index
        self.isUp = isUp
        self.linkLayerAddress = linkLayerAddress
        self.linkLocal = linkLocal
        self.global = global
    }
}

/// A router message to send to all nodes (advertisement) or all routers (solicitation) of a link, with hop limit 255.
public struct RouterTransmission: Equatable, Sendable {
    public var interface: String
    public var index: UInt32
    public var source: IPv6Address
    public var message: RouterMessage
}

/// The neighbors on the interfaces of unnumbered sessions (RFC 4861 §6.2, the way FRR does it: quickly at first, then every ten
/// seconds; solicitations are sent until somebody is heard).
struct RouterDiscovery: Sendable {
    /// Between two advertisements, less up to a quarter (RFC 4861 §6.2.4 wants it at random).
    static let interval = Duration.seconds(10)
    /// The first ones after a link came up, and answers to solicitations, keep this distance.
    static let shortInterval = Duration.seconds(1)
    static let initialAdvertisements = 4
    /// RFC 4861 §10: RTR_SOLICITATION_INTERVAL.
    static let solicitationInterval = Duration.seconds(4)
    /// A neighbor that was silent for so long, and with which there is no session, gives way to another one; with a session only to
    /// another address of its own.
    static let silence = Duration.seconds(35)
    /// RFC 4861 §6.2.1: nobody lets more time pass between advertisements. Who has been silent for so long is gone.
    static let memory = Duration.seconds(1800)
    /// Routers remembered on one link.
    static let maximumHeard = 8

    struct Heard: Sendable {
        var address: IPv6Address
        var linkLayerAddress: MACAddress?
        var at: Instant
    }
    struct Link: Sendable {
        var facts: InterfaceFacts?
        var heard: [Heard] = []
        /// The one to make the session with.
        var neighbor: IPv6Address?
        var initialLeft = 0
        var lastAdvertised: Instant?
        var advertiseAt: Instant?
        var solicitAt: Instant?

        /// The source of what is sent; nil while nothing can be sent.
        var source: IPv6Address? {
            guard let facts, facts.isUp else { return nil }
            return facts.linkLocal.first
        }
    }

    private(set) var links: [String: Link] = [:]
    private var random: UInt64

    init(seed: UInt64) { random = seed | 1 }

    /// The interfaces to look after.
    mutating func watch(_ names: Set<String>) {
        links = links.filter { names.contains($0.key) }
        for name in names where links[name] == nil { links[name] = Link() }
    }
    func neighbor(on name: String) -> IPv6Address? { links[name]?.neighbor }

    // MARK: Inputs

    /// What the kernel says has changed; nil: there is no such interface.
    mutating func change(_ name: String, _ facts: InterfaceFacts?, now: Instant) {
        guard var link = links[name] else { return }
        let old = link
        link.facts = facts
        if link.source == nil || old.facts?.index != facts?.index {
            // Whoever was there may be somebody else when the link comes back.
            link.heard = []
            link.neighbor = nil
        }
        if link.source == nil {
            link.advertiseAt = nil
            link.solicitAt = nil
        } else if link.source != old.source || old.facts?.index != facts?.index
            || old.facts?.linkLayerAddress != facts?.linkLayerAddress
        {
            link.initialLeft = RouterDiscovery.initialAdvertisements
            link.advertiseAt = now
            link.solicitAt = link.neighbor == nil ? now : nil
        }
        links[name] = link
    }

    /// A router message arrived with the hop limit that only neighbors can send (RFC 4861 §6.1). `isInUse`: there is a session
    /// with the neighbor of this link. Returns whether the neighbor of the link is another one now.
    mutating func receive(
        _ message: RouterMessage, from source: IPv6Address, on name: String, isInUse: Bool, now: Instant
    ) -> Bool {
        guard var link = links[name], let facts = link.facts, link.source != nil, !facts.linkLocal.contains(source)
        else {
            return false
        }
        defer { links[name] = link }
        guard message.kind == .advertisement else {
            advertiseSoon(&link, now)
            return false
        }
        guard source.isLinkLocal else { return false }
        // Somebody new on the link has not heard us.
        if note(&link, source, message.linkLayerAddress, now) { advertiseSoon(&link, now) }
        link.solicitAt = nil
        guard let current = link.neighbor, current != source else {
            defer { link.neighbor = source }
            return link.neighbor == nil
        }
        let known = link.heard.first { $0.address == current }
        let hasMoved = known?.linkLayerAddress != nil && known?.linkLayerAddress == message.linkLayerAddress
        let isSilent = known.map { $0.at + RouterDiscovery.silence < now } ?? true
        // A session is given up for the neighbor's new address only when nothing comes from the old one any more: anybody on the link
        // can send advertisements with the neighbor's own link-layer address.
        guard isInUse ? hasMoved && isSilent : hasMoved || isSilent else { return false }
        link.heard.removeAll { $0.address == current }
        link.neighbor = source
        return true
    }

    /// Somebody connected from `source` before it was heard. Returns whether it is the neighbor of this link.
    mutating func adopt(_ source: IPv6Address, on name: String, now: Instant) -> Bool {
        guard var link = links[name], link.source != nil, source.isLinkLocal else { return false }
        if link.neighbor == nil {
            _ = note(&link, source, nil, now)
            link.neighbor = source
            links[name] = link
        }
        return link.neighbor == source
    }

    // MARK: Time

    var nextDeadline: Instant? {
        var result: Instant?
        for link in links.values {
            for case let instant? in [link.advertiseAt, link.solicitAt] {
                result = result.map { min($0, instant) } ?? instant
            }
        }
        return result
    }

    /// What is to be sent at `now`, by interface.
    mutating func handleDeadlines(now: Instant) -> [RouterTransmission] {
        var result: [RouterTransmission] = []
        for name in links.keys.sorted() {
            guard var link = links[name], let facts = link.facts, let source = link.source else { continue }
            func transmission(_ kind: RouterMessage.Kind) -> RouterTransmission {
                RouterTransmission(
                    interface: name, index: facts.index, source: source,
                    message: RouterMessage(kind, linkLayerAddress: facts.linkLayerAddress))
            }
            if let due = link.advertiseAt, due <= now {
                result.append(transmission(.advertisement))
                link.lastAdvertised = now
                link.initialLeft = max(0, link.initialLeft - 1)
                link.advertiseAt = now + (link.initialLeft > 0 ? RouterDiscovery.shortInterval : nextInterval())
            }
            if let due = link.solicitAt, due <= now {
                result.append(transmission(.solicitation))
                link.solicitAt = now + RouterDiscovery.solicitationInterval
            }
            links[name] = link
        }
        return result
    }

    // MARK: For people

    /// Why there is no session yet on this interface; nil: a neighbor was found.
    func obstacle(on name: String) -> String? {
        guard let link = links[name], link.neighbor == nil else { return nil }
        guard let facts = link.facts else { return "there is no interface \(name)" }
        guard facts.isUp else { return "\(name) is down or has no carrier" }
        guard !facts.linkLocal.isEmpty else {
            return "\(name) has no link-local address: is IPv6 disabled on it (net.ipv6.conf.\(name).disable_ipv6)?"
        }
        return "no router advertisement heard on \(name) yet: is the peer sending them?"
    }
    /// One sentence for each link on which more than one router was heard.
    func problems(now: Instant) -> [String] {
        links.sorted { $0.key < $1.key }.compactMap { name, link in
            guard let neighbor = link.neighbor else { return nil }
            // Another address of the same station is on its way to become the one.
            let mac = link.heard.first { $0.address == neighbor }?.linkLayerAddress
            let others = link.heard.filter {
                $0.address != neighbor && $0.at + RouterDiscovery.memory > now
                    && (mac == nil || $0.linkLayerAddress != mac)
            }
            guard !others.isEmpty else { return nil }
            let list = others.map(\.address).sorted().map { IPAddress.v6($0).description }.joined(separator: ", ")
            return
                "several routers are heard on \(name): the session is with \(IPAddress.v6(neighbor)), not with \(list); "
                + "an unnumbered neighbor has to be the only one"
        }
    }

    // MARK: Small parts

    /// Returns whether the router was not known.
    private func note(_ link: inout Link, _ address: IPv6Address, _ mac: MACAddress?, _ now: Instant) -> Bool {
        if let index = link.heard.firstIndex(where: { $0.address == address }) {
            link.heard[index].at = now
            link.heard[index].linkLayerAddress = mac ?? link.heard[index].linkLayerAddress
            return false
        }
        if link.heard.count >= RouterDiscovery.maximumHeard,
            let oldest = link.heard.indices.filter({ link.heard[$0].address != link.neighbor })
                .min(by: { link.heard[$0].at < link.heard[$1].at })
        {
            link.heard.remove(at: oldest)
        }
        link.heard.append(Heard(address: address, linkLayerAddress: mac, at: now))
        return true
    }
    private func advertiseSoon(_ link: inout Link, _ now: Instant) {
        guard let next = link.advertiseAt else { return }
        let soon = link.lastAdvertised.map { max(now, $0 + RouterDiscovery.shortInterval) } ?? now
        link.advertiseAt = min(next, soon)
    }
    private mutating func nextInterval() -> Duration {
        random ^= random << 13
        random ^= random >> 7
        random ^= random << 17
        return .milliseconds(10_000 - Int64(random % 2500))
    }
}
