// Which client is asked when, and whether its anycast addresses are up: answers in, decisions out. The sockets are elsewhere.

public import NetTypes

/// Probes of all anycast addresses of this host.
public struct AnycastChecks: Sendable {
    /// One address to be probed.
    public struct Target: Hashable, Sendable {
        /// Whom the probe goes to, and whom it comes from.
        public var to: IPAddress
        public var from: IPAddress
        public var probe: Probe
        public init(to: IPAddress, from: IPAddress, probe: Probe) {
            self.to = to
            self.from = from
            self.probe = probe
        }
    }
    public enum Input: Equatable, Sendable {
        /// All there is to probe; whoever stays the same keeps its state.
        case configured([AnycastName: Target])
        /// The answer to the probe with this number; nil: a good one, otherwise what was wrong with it.
        case answered(UInt64, fault: String?)
        case deadlineReached
    }
    public enum Effect: Equatable, Sendable {
        /// Send a probe, and report its answer under this number.
        case send(UInt64, AnycastName, Target)
        /// Nobody waits for the answer any more.
        case abandon(UInt64)
        /// The address came up or went down; the text says why.
        case changed(AnycastName, isUp: Bool, reason: String)
    }
    /// What people are shown.
    public struct Row: Equatable, Sendable {
        public var name: AnycastName
        public var probe: Probe
        /// Nil: no answer has been waited for to its end yet.
        public var isUp: Bool?
        /// Of the last state or, before there is one, of the configuration.
        public var since: Instant
        /// Answers in a row that speak against the state.
        public var opposing: Int
        /// What was wrong with the last answer; nil: nothing.
        public var fault: String?
        /// Probes sent, and how many of them failed.
        public var sent: UInt64
        public var failed: UInt64
    }

    private struct Check {
        var target: Target
        var isUp: Bool?
        var since: Instant
        var opposing = 0
        var fault: String?
        var sent: UInt64 = 0
        var failed: UInt64 = 0
        /// The probe that is under way.
        var number: UInt64?
        /// When it is given up, or the next one is sent.
        var deadline: Instant
        var nextStart: Instant
    }
    private var checks: [AnycastName: Check] = [:]
    private var names: [UInt64: AnycastName] = [:]
    private var lastNumber: UInt64 = 0

    /// Those that were up before a restart, until there is something to probe: then they are as if they had answered.
    private var remembered: Set<AnycastName>

    /// `up`: what was up before a restart, and stays so until probes say otherwise.
    public init(up: Set<AnycastName> = []) { remembered = up }

    /// The addresses that are up.
    public var up: Set<AnycastName> {
        Set(checks.lazy.filter { $0.value.isUp == true }.map(\.key)).union(remembered)
    }
    /// When `deadlineReached` is due; nil: never.
    public var nextDeadline: Instant? { checks.values.lazy.map(\.deadline).min() }
    /// Sorted by address.
    public var rows: [Row] {
        checks.sorted { $0.key < $1.key }.map { name, check in
            Row(
                name: name, probe: check.target.probe, isUp: check.isUp, since: check.since, opposing: check.opposing,
                fault: check.fault, sent: check.sent, failed: check.failed)
        }
    }

    public mutating func handle(_ input: Input, now: Instant) -> [Effect] {
        switch input {
        case .configured(let targets): return configure(targets, now)
        case .answered(let number, let fault):
            // An answer that came too late has no name any more.
            guard let name = names[number] else { return [] }
            return conclude(name, fault: fault, now)
        case .deadlineReached:
            var effects: [Effect] = []
            for name in checks.filter({ $0.value.deadline <= now }).keys.sorted() {
                guard let check = checks[name] else { continue }
                if let number = check.number {
                    effects.append(.abandon(number))
                    effects += conclude(name, fault: "no answer within \(check.target.probe.timeoutSeconds) s", now)
                }
                if let check = checks[name], check.nextStart <= now { effects.append(send(name, check, now)) }
            }
            return effects
        }
    }

    private mutating func configure(_ targets: [AnycastName: Target], _ now: Instant) -> [Effect] {
        var effects: [Effect] = []
        for (name, check) in checks.sorted(by: { $0.key < $1.key }) where targets[name] != check.target {
            if let number = check.number {
                names[number] = nil
                effects.append(.abandon(number))
            }
            // Whoever is asked in another way keeps what is known until the new way has an answer.
            guard let target = targets[name] else {
                checks[name] = nil
                continue
            }
            checks[name]?.target = target
            checks[name]?.number = nil
            checks[name]?.opposing = 0
            checks[name]?.nextStart = now
            checks[name]?.deadline = now
        }
        let new = targets.keys.filter { checks[$0] == nil }.sorted()
        for (index, name) in new.enumerated() {
            guard let target = targets[name] else { continue }
            // Spread over one second, so that a thousand of them do not begin at once.
            let start = now + .milliseconds(index * 1000 / new.count)
            checks[name] = Check(
                target: target, isUp: remembered.contains(name) ? true : nil, since: now, deadline: start,
                nextStart: start)
        }
        if !targets.isEmpty { remembered = [] }
        return effects
    }

    private mutating func send(_ name: AnycastName, _ check: Check, _ now: Instant) -> Effect {
        lastNumber += 1
        names[lastNumber] = name
        var check = check
        check.number = lastNumber
        check.sent += 1
        check.deadline = now + .seconds(check.target.probe.timeoutSeconds)
        check.nextStart = now + .seconds(check.target.probe.intervalSeconds)
        checks[name] = check
        return .send(lastNumber, name, check.target)
    }

    /// One answer, or the lack of it. The first one decides at once, later ones need `rise` or `fall` of their kind.
    private mutating func conclude(_ name: AnycastName, fault: String?, _ now: Instant) -> [Effect] {
        guard var check = checks[name] else { return [] }
        if let number = check.number { names[number] = nil }
        check.number = nil
        check.deadline = check.nextStart
        check.fault = fault
        if fault != nil { check.failed += 1 }
        let isGood = fault == nil
        check.opposing = check.isUp == isGood ? 0 : check.opposing + 1
        let needed = isGood ? check.target.probe.rise : check.target.probe.fall
        let isChange = check.isUp == nil || check.opposing >= needed
        if check.isUp != isGood, isChange {
            check.isUp = isGood
            check.since = now
            check.opposing = 0
            checks[name] = check
            return [.changed(name, isUp: isGood, reason: fault ?? "answered")]
        }
        checks[name] = check
        return []
    }
}
