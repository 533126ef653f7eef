// Carries out what `OwnRoutes` asks for, and tells what gobgpd does not use.

import AsyncIO
import BGP
import BGPEngine
import EVPN
import GRPC
import GoBGPAPI
import NetTypes
import Telemetry

extension GoBGPSpeaker {
    func reconcile() {
        // Right after the start not everything is wanted yet that will be.
        let mayDelete = isSynchronized && loop.now - startedAt >= Self.settleTime
        if phase == .live {
            record.remove(own.reconcile(mayDelete: mayDelete))
            schedulePump()
        }
        if !mayDelete, isSynchronized, reconcileTimer == nil {
            reconcileTimer = loop.schedule(at: startedAt + Self.settleTime) { [weak self] in
                self?.reconcileTimer = nil
                self?.reconcile()
            }
        }
    }
    /// Our own routes pass gobgpd's policies once more.
    func offerAgain() {
        own.offerAgain()
        schedulePump()
    }
    func schedulePump() {
        guard !isPumpScheduled else { return }
        isPumpScheduled = true
        loop.afterRound { [weak self] in
            self?.isPumpScheduled = false
            self?.pump()
        }
    }
    private func pump() {
        defer { reportProblems() }
        guard phase == .live, let connection, let generation else { return }
        let requests = own.next(limit: Self.window)
        record.add(
            requests.compactMap { request in
                guard case .add(let key, let route) = request else { return nil }
                return (key, route.payload)
            })
        for request in requests {
            let method: APIMethod
            let message: [UInt8]
            switch request {
            case .add(let key, let route):
                method = .addPath
                message = AddPathRequest(
                    APIPath(key: key, payload: route.payload, attributes: route.attributes.attributes)
                ).encoded(generation)
            case .delete(let key, let route):
                method = .deletePath
                message = DeletePathRequest(key, route.payload).encoded(generation)
            }
            connection.unary(generation.path(method), message, timeout: Self.callTimeout) {
                [weak self, weak connection] result in
                guard let self, let connection, self.connection === connection else { return }
                let outcome: OwnOutcome
                switch result {
                case .success: outcome = .done
                case .failure(let status):
                    switch status.code {
                    case .unavailable, .deadlineExceeded, .cancelled, .aborted: outcome = .unknown
                    default: outcome = .refused("gobgpd refused it: \(status)")
                    }
                }
                if self.own.finished(request, outcome, now: self.loop.now) { self.record.remove([request.key]) }
                self.schedulePump()
            }
        }
        record.compact { own.heldRoutes }
        armDeadline()
        if own.isIdle, let stopping { stopping() }
    }
    private func armDeadline() {
        let next = own.nextDeadline
        if deadlineTimer?.at == next { return }
        if let deadlineTimer { loop.cancel(deadlineTimer.id) }
        deadlineTimer = next.map { instant in
            let id = loop.schedule(at: instant) { [weak self] in
                guard let self else { return }
                self.deadlineTimer = nil
                self.own.expire(now: self.loop.now) { key in
                    self.rib.explain(key).contains { $0.route.peer != .local }
                }
                self.reportProblems()
                self.armDeadline()
            }
            return (id, instant)
        }
    }
    private func reportProblems() {
        guard !isReportScheduled, own.hasNews else { return }
        isReportScheduled = true
        // At most one report a second, however many routes are refused.
        loop.schedule(after: .seconds(1)) { [weak self] in
            guard let self else { return }
            self.isReportScheduled = false
            let (problems, count) = self.own.takeNews()
            for problem in problems {
                self.log.warning("gobgp.route.refused", ["route": problem.key.description, "reason": problem.reason])
            }
            if count > problems.count {
                self.log.warning("gobgp.route.refused", ["more": "\(count - problems.count)"])
            }
        }
    }
}
