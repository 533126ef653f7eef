// Sends the probes of anycast addresses through the interface of the check port. The machine says when, and what an answer means.

import Anycast
import AsyncIO
import CLinux
import Glibc
import NetTypes
import Telemetry

/// The sockets of `AnycastChecks`. Confined to the loop's thread.
final class AnycastProber {
    private(set) var checks: AnycastChecks
    /// The device that probes go through; nil: nothing is probed.
    var interface: String?
    /// Another address works, or does not work any more.
    var onChange: (() -> Void)?
    private let loop: EventLoop
    private let log: Log
    private struct Attempt {
        var descriptor: Int32
        var name: AnycastName
        var target: AnycastChecks.Target
        var answer: [UInt8] = []
        var isAsked = false
    }
    private var attempts: [UInt64: Attempt] = [:]
    private var timer: (id: TimerID, at: Instant)?

    /// `up`: addresses that were up before a restart.
    init(loop: EventLoop, log: Log, up: Set<AnycastName>) {
        checks = AnycastChecks(up: up)
        self.loop = loop
        self.log = log
    }

    func configure(_ targets: [AnycastName: AnycastChecks.Target]) {
        perform(checks.handle(.configured(targets), now: loop.now), isConfiguring: true)
    }
    func close() {
        onChange = nil
        configure([:])
    }

    // MARK: Effects

    private func handle(_ input: AnycastChecks.Input) { perform(checks.handle(input, now: loop.now)) }

    private func perform(_ effects: [AnycastChecks.Effect], isConfiguring: Bool = false) {
        var hasChanged = false
        for effect in effects {
            switch effect {
            case .send(let number, let name, let target): send(number, name, target)
            case .abandon(let number): end(number)
            case .changed(let name, let isUp, let reason):
                hasChanged = true
                log.write(
                    isUp ? .info : .warning, "anycast.\(isUp ? "up" : "down")",
                    ["address": "\(name.address)", "client": "\(name.internalTarget)", "reason": reason])
            }
        }
        arm()
        if hasChanged, !isConfiguring { onChange?() }
    }

    private func arm() {
        let next = checks.nextDeadline
        if timer?.at == next { return }
        if let timer { loop.cancel(timer.id) }
        timer = next.map { instant in
            let id = loop.schedule(at: instant) { [weak self] in
                self?.timer = nil
                self?.handle(.deadlineReached)
            }
            return (id, instant)
        }
    }

    private func end(_ number: UInt64) {
        guard let attempt = attempts.removeValue(forKey: number) else { return }
        loop.unwatch(attempt.descriptor)
        Glibc.close(attempt.descriptor)
    }
    /// Not at once: the machine is busy with what led here.
    private func conclude(_ number: UInt64, _ fault: String?) {
        end(number)
        loop.afterRound { [weak self] in self?.handle(.answered(number, fault: fault)) }
    }

    // MARK: Sockets

    private func send(_ number: UInt64, _ name: AnycastName, _ target: AnycastChecks.Target) {
        let family = target.to.isV6 ? AF_INET6 : AF_INET
        let flags = Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        var port: UInt16 = 0
        let descriptor: Int32
        switch target.probe.method {
        case .icmp:
            let wanted = target.to.isV6 ? Int32(IPPROTO_ICMPV6) : Int32(IPPROTO_ICMP)
            descriptor = socket(family, Int32(SOCK_RAW.rawValue) | flags, wanted)
        case .tcp(let number), .http(let number, _):
            port = number
            descriptor = socket(family, Int32(SOCK_STREAM.rawValue) | flags, 0)
        }
        guard descriptor >= 0 else { return conclude(number, "\(SystemError("socket"))") }
        attempts[number] = Attempt(descriptor: descriptor, name: name, target: target)
        let device = interface ?? ""
        guard setsockopt(descriptor, SOL_SOCKET, SO_BINDTODEVICE, device, socklen_t(device.utf8.count)) == 0 else {
            return conclude(number, "\(SystemError("device \(device)"))")
        }
        guard withSocketAddress(target.from, port: 0, { bind(descriptor, $0, $1) }) == 0 else {
            return conclude(number, "\(SystemError("bind \(target.from)"))")
        }
        guard withSocketAddress(target.to, port: port, { connect(descriptor, $0, $1) }) == 0 || errno == EINPROGRESS
        else {
            return conclude(number, "\(SystemError("connect"))")
        }
        if target.probe.method == .icmp {
            let request = Echo.request(isV6: target.to.isV6, number: number)
            guard Glibc.send(descriptor, request, request.count, Int32(MSG_NOSIGNAL)) == request.count else {
                return conclude(number, "\(SystemError("send"))")
            }
        }
        loop.watch(descriptor, target.probe.method == .icmp ? .readable : .writable) { [weak self] _ in
            self?.ready(number)
        }
    }

    private func ready(_ number: UInt64) {
        guard var attempt = attempts[number] else { return }
        switch attempt.target.probe.method {
        case .icmp:
            var packet = [UInt8](repeating: 0, count: 2048)
            while true {
                let count = recv(attempt.descriptor, &packet, packet.count, 0)
                if count < 0, errno == EAGAIN { return }
                guard count >= 0 else { return conclude(number, SystemError("receive").text) }
                // Raw sockets hear the replies to others too.
                let isReply = Echo.isReply(Array(packet[..<count]), isV6: attempt.target.to.isV6, number: number)
                if isReply { return conclude(number, nil) }
            }
        case .tcp: conclude(number, connectionFault(attempt.descriptor))
        case .http(let port, let path):
            if !attempt.isAsked {
                if let fault = connectionFault(attempt.descriptor) { return conclude(number, fault) }
                // So small that the socket's buffer always takes it.
                let request = HTTPProbe.request(path: path, host: attempt.name.address, port: port)
                guard Glibc.send(attempt.descriptor, request, request.count, Int32(MSG_NOSIGNAL)) == request.count
                else {
                    return conclude(number, SystemError("send").text)
                }
                attempt.isAsked = true
                attempts[number] = attempt
                return loop.modify(attempt.descriptor, .readable)
            }
            var chunk = [UInt8](repeating: 0, count: HTTPProbe.answerLimit)
            let count = recv(attempt.descriptor, &chunk, chunk.count, 0)
            if count < 0, errno == EAGAIN { return }
            guard count >= 0 else { return conclude(number, SystemError("receive").text) }
            attempt.answer += chunk[..<count]
            attempts[number] = attempt
            if let fault = HTTPProbe.fault(of: attempt.answer, isComplete: count == 0) { conclude(number, fault) }
        }
    }

    /// Why a connection was not made; nil: it was.
    private func connectionFault(_ descriptor: Int32) -> String? {
        var code: Int32 = 0
        var length = socklen_t(4)
        guard getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &length) == 0 else { return SystemError("").text }
        return code == 0 ? nil : SystemError("", code: code).text
    }
}
