// One BGP session over one connection (RFC 4271 §8), as a value: OPEN exchange, negotiation and timers. Which of two connections
// survives, and what happens to routes, is decided by the speaker.

import BGP
import NetTypes

/// What two OPENs agreed on.
struct Negotiated: Sendable {
    var peerASN: UInt32
    var routerID: IPv4Address
    var holdTimeSeconds: UInt16
    var keepaliveSeconds: UInt16
    var families: Set<Family>
    var codec: CodecOptions
    var refresh: Bool
    var enhancedRefresh: Bool
    var extendedNextHop: Bool
    /// The peer's graceful restart capability: nil when it has none.
    var restart: PeerRestart?
    var capabilities: [Capability]
}

/// The peer's graceful restart capability (RFC 4724 §3, RFC 8538 §2).
struct PeerRestart: Sendable {
    var isRestarting: Bool
    var hasNotification: Bool
    var timeSeconds: UInt16
    /// Family → forwarding state was preserved.
    var families: [Family: Bool]
}

struct Session: Sendable {
    enum State: Sendable { case connecting, openSent, openConfirm, established, closed }

    /// What came of a message.
    enum Outcome {
        case nothing
        /// A good OPEN; the speaker resolves collisions, then calls `confirm`.
        case opened
        case established
        case update(Update)
        case refresh(RouteRefresh)
        case notification(NotificationMessage)
    }

    let id: ConnectionID
    let isOutgoing: Bool
    private(set) var state: State
    private(set) var negotiated: Negotiated?
    var localAddress: IPAddress?
    /// Octets of a message that has not come whole.
    var input: [UInt8] = []
    /// The shell has not taken everything yet.
    var isBlocked = false
    private(set) var holdDeadline: Instant?
    private(set) var keepaliveDeadline: Instant?

    /// RFC 4271 §8.2.2: four minutes for the peer's OPEN.
    static let openHold = Duration.seconds(240)

    init(id: ConnectionID, isOutgoing: Bool) {
        self.id = id
        self.isOutgoing = isOutgoing
        state = .connecting
    }

    /// The connection is there and our OPEN is on its way.
    mutating func connected(now: Instant) {
        state = .openSent
        holdDeadline = now + Session.openHold
    }

    /// Handles a whole message. Faults are the NOTIFICATION to end the session with.
    mutating func handle(_ message: Message, local: LocalOpen, now: Instant) throws(SessionFault) -> Outcome {
        switch (state, message) {
        case (_, .notification(let notification)):
            return .notification(notification)
        case (.openSent, .open(let open)):
            negotiated = try local.negotiate(with: open)
            return .opened
        case (.openConfirm, .keepalive):
            state = .established
            restartHold(now)
            return .established
        case (.established, .keepalive):
            restartHold(now)
            return .nothing
        case (.established, .update(let update)):
            restartHold(now)
            return .update(update)
        case (.established, .routeRefresh(let refresh)):
            return .refresh(refresh)
        default:
            // RFC 6608: 1 in OpenSent, 2 in OpenConfirm, 3 in Established.
            let subcode: UInt8 = state == .openSent ? 1 : state == .openConfirm ? 2 : state == .established ? 3 : 0
            throw SessionFault(
                code: 5, subcode: subcode, data: [message.typeOctet], reason: "unexpected message in \(state)")
        }
    }

    /// The OPEN stands: our KEEPALIVE is on its way.
    mutating func confirm(now: Instant) {
        state = .openConfirm
        restartHold(now)
        restartKeepalive(now)
    }

    mutating func close() {
        state = .closed
        holdDeadline = nil
        keepaliveDeadline = nil
        input = []
    }

    private mutating func restartHold(_ now: Instant) {
        guard let hold = negotiated?.holdTimeSeconds, hold > 0 else { return holdDeadline = nil }
        holdDeadline = now + .seconds(Int(hold))
    }
    mutating func restartKeepalive(_ now: Instant) {
        guard let negotiated, negotiated.holdTimeSeconds > 0 else { return keepaliveDeadline = nil }
        keepaliveDeadline = now + .seconds(Int(max(1, negotiated.keepaliveSeconds)))
    }
    var nextDeadline: Instant? {
        switch (holdDeadline, keepaliveDeadline) {
        case (let hold?, let keepalive?): min(hold, keepalive)
        case (let hold?, nil): hold
        case (nil, let keepalive): keepalive
        }
    }
}

extension Message {
    var typeOctet: UInt8 {
        switch self {
        case .open: 1
        case .update: 2
        case .notification: 3
        case .keepalive: 4
        case .routeRefresh: 5
        }
    }
}

/// Our side of an OPEN exchange with one neighbor.
struct LocalOpen: Sendable {
    static let asTrans: UInt16 = 23456

    var asn: UInt32
    var routerID: IPv4Address
    /// 0: any, or any but ours.
    var peerASN: UInt32
    var requiresExternal: Bool
    var holdTimeSeconds: UInt16
    var keepaliveSeconds: UInt16?
    var families: [FamilyConfiguration]
    var role: UInt8?
    var restart: GracefulRestartConfiguration
    var isRestarting: Bool
    /// The kernel has forwarded all along: since before this start, or since before the session was lost.
    var preservesForwarding: Bool
    var hostname: String

    func open() -> Open {
        var capabilities: [Capability] = families.map { .multiprotocol($0.family) }
        capabilities += [.routeRefresh, .enhancedRouteRefresh, .extendedMessage, .fourOctetAS(asn)]
        if families.contains(where: { $0.family == .ipv4Unicast }) {
            capabilities.append(.extendedNextHop([.init(family: .ipv4Unicast, nextHopAFI: 2)]))
        }
        let addPath = families.filter(\.addPathReceive).map { Capability.AddPathFamily(family: $0.family, mode: 1) }
        if !addPath.isEmpty { capabilities.append(.addPath(addPath)) }
        if restart.isEnabled {
            // A helper lists no family: it keeps routes of others but asks nobody to keep its own (RFC 4724 §3).
            let kept = restart.helperOnly ? [] : families.map(\.family)
            capabilities.append(
                .gracefulRestart(
                    flags: (isRestarting ? 8 : 0) | 4, restartTimeSeconds: min(4095, restart.restartTimeSeconds),
                    families: kept.map { .init(family: $0, flags: preservesForwarding ? 0x80 : 0) }))
        }
        if let role { capabilities.append(.role(role)) }
        if !hostname.isEmpty { capabilities.append(.fqdn(hostname: hostname, domain: "")) }
        return Open(
            myAS: UInt16(exactly: asn) ?? LocalOpen.asTrans, holdTimeSeconds: holdTimeSeconds, routerID: routerID,
            capabilities: capabilities)
    }

    /// Checks the peer's OPEN (RFC 4271 §6.2) and computes what holds for the session.
    func negotiate(with open: Open) throws(SessionFault) -> Negotiated {
        guard open.version == 4 else {
            throw SessionFault(code: 2, subcode: 1, data: [0, 4], reason: "BGP version \(open.version)")
        }
        var theirs = UInt32(open.myAS)
        var families: Set<Family> = []
        var hasMultiprotocol = false
        var fourOctet = false
        var extendedMessage = false
        var refresh = false
        var enhanced = false
        var extendedNextHop = false
        var addPathSenders: Set<Family> = []
        var restart: PeerRestart?
        var theirRole: UInt8?
        for capability in open.capabilities {
            switch capability {
            case .multiprotocol(let family):
                hasMultiprotocol = true
                families.insert(family)
            case .fourOctetAS(let asn):
                theirs = asn
                fourOctet = true
            case .extendedMessage: extendedMessage = true
            case .routeRefresh: refresh = true
            case .enhancedRouteRefresh: enhanced = true
            case .extendedNextHop(let list):
                extendedNextHop = list.contains { $0.family == .ipv4Unicast && $0.nextHopAFI == 2 }
            case .role(let role): theirRole = role
            case .addPath(let list):
                for entry in list where entry.mode & 2 != 0 { addPathSenders.insert(entry.family) }
            case .gracefulRestart(let flags, let time, let list):
                restart = PeerRestart(
                    isRestarting: flags & 8 != 0, hasNotification: flags & 4 != 0, timeSeconds: time,
                    families: Dictionary(list.map { ($0.family, $0.flags & 0x80 != 0) }, uniquingKeysWith: { $0 || $1 })
                )
            case .longLivedGracefulRestart, .fqdn, .other: break
            }
        }
        if !hasMultiprotocol { families = [.ipv4Unicast] }
        // RFC 6793 §4.2.3 and RFC 7607: neither number belongs to anybody.
        let isWanted = peerASN == 0 ? !requiresExternal || theirs != asn : theirs == peerASN
        guard theirs != 0, theirs != UInt32(LocalOpen.asTrans), isWanted else {
            let wanted = peerASN != 0 ? "\(peerASN)" : requiresExternal ? "external" : "any"
            throw SessionFault(code: 2, subcode: 2, reason: "peer AS is \(theirs), configured is \(wanted)")
        }
        guard open.routerID != .any, theirs != asn || open.routerID != routerID else {
            throw SessionFault(code: 2, subcode: 3, reason: "BGP identifier \(open.routerID)")
        }
        guard open.holdTimeSeconds == 0 || open.holdTimeSeconds >= 3 else {
            throw SessionFault(code: 2, subcode: 6, reason: "hold time \(open.holdTimeSeconds) s")
        }
        if let role, let theirRole, !LocalOpen.rolesFit(role, theirRole) {
            throw SessionFault(code: 2, subcode: 11, reason: "roles \(role) and \(theirRole) do not fit (RFC 9234)")
        }
        let common = families.intersection(self.families.map(\.family))
        guard !common.isEmpty else {
            var data = ByteWriter()
            for family in self.families {
                data.u8(1)
                data.u8(4)
                data.u16(family.family.afi)
                data.u16(UInt16(family.family.safi))
            }
            throw SessionFault(code: 2, subcode: 7, data: data.bytes, reason: "no address family in common")
        }
        let hold = min(holdTimeSeconds, open.holdTimeSeconds)
        let receive = self.families.filter { $0.addPathReceive && addPathSenders.contains($0.family) }.map(\.family)
        return Negotiated(
            peerASN: theirs, routerID: open.routerID, holdTimeSeconds: hold,
            keepaliveSeconds: min(keepaliveSeconds ?? hold / 3, max(1, hold / 3)), families: common,
            codec: CodecOptions(
                fourOctetAS: fourOctet, addPathReceive: Set(receive), maximumLength: extendedMessage ? 65535 : 4096,
                isExternal: theirs != asn),
            refresh: refresh, enhancedRefresh: enhanced && refresh, extendedNextHop: extendedNextHop,
            restart: self.restart.isEnabled ? restart : nil, capabilities: open.capabilities)
    }

    /// RFC 9234 §4.2: provider with customer, route server with its client, peer with peer.
    private static func rolesFit(_ ours: UInt8, _ theirs: UInt8) -> Bool {
        switch (ours, theirs) {
        case (0, 3), (3, 0), (1, 2), (2, 1), (4, 4): true
        default: false
        }
    }
}
