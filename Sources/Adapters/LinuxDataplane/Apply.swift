// Sends operations to the kernel on the worker's thread and brings the answers back to the loop.

import AsyncIO
import EVPN
import NetTypes
import Netlink
import Telemetry

/// What a batch of entry operations came to.
struct ApplyOutcome: Sendable {
    /// By index of the operation, in order.
    var refused: [RefusedRequest] = []
    var answers: [Answer] = []

    /// What the kernel holds for one questioned row.
    struct Answer: Sendable {
        var index: Int
        var device: FDBEntry?
        var bridge: FDBEntry?
        var neighbor: NeighborEntry?
        /// Set when the question itself failed for another reason than absence.
        var isUnknown = false
    }

    /// Sends all operations and waits for the kernel's answers. To be called on a thread that may block.
    init(_ operations: [EntryOperation], _ socket: NetlinkSocket) {
        guard operations.contains(where: { $0.kind == .verifyMAC || $0.kind == .verifyNeighbor }) else {
            refused = socket.transact(operations.count) { batch, index, sequence in
                operations[index].encode(&batch, request: 0, sequence: sequence)
            }
            return
        }
        // A question takes one or two requests: requests are numbered apart from operations.
        var requests: [(operation: Int, part: Int)] = []
        var slots: [Int: Int] = [:]
        for (index, operation) in operations.enumerated() {
            for part in 0..<operation.requestCount { requests.append((index, part)) }
            if operation.kind == .verifyMAC || operation.kind == .verifyNeighbor {
                slots[index] = answers.count
                answers.append(Answer(index: index))
            }
        }
        var answers = self.answers
        let failures = socket.transact(
            requests.count,
            reply: { request, message in
                let (index, part) = requests[request]
                guard message.type == MessageType.newNeighbor, let slot = slots[index] else { return }
                if operations[index].kind == .verifyNeighbor {
                    answers[slot].neighbor = NeighborEntry(decoding: message.payload)
                } else if part == 0 {
                    answers[slot].device = FDBEntry(decoding: message.payload)
                } else {
                    answers[slot].bridge = FDBEntry(decoding: message.payload)
                }
            },
            { batch, request, sequence in
                operations[requests[request].operation].encode(
                    &batch, request: requests[request].part, sequence: sequence)
            })
        for failure in failures {
            let index = requests[failure.index].operation
            if let slot = slots[index] {
                if !failure.failure.isAbsence { answers[slot].isUnknown = true }
            } else {
                refused.append(RefusedRequest(index: index, failure: failure.failure))
            }
        }
        self.answers = answers
    }
}

/// Carries the dataplane through the worker's thread, which never looks at it.
struct OnLoop: @unchecked Sendable {
    private weak var dataplane: LinuxDataplane?
    init(_ dataplane: LinuxDataplane) { self.dataplane = dataplane }
    /// Only to be called on the loop.
    func callAsFunction(_ body: (LinuxDataplane) -> Void) { if let dataplane { body(dataplane) } }
}

extension LinuxDataplane {
    /// Operations in one job of the worker: enough to keep the kernel busy while the loop goes on parsing.
    static let operationsPerJob = 2048

    /// Sends everything that is due.
    func flush() {
        isFlushScheduled = false
        guard !isClosed else { return }
        if vteps.isCrowded { forgetUnusedVTEPs() }
        let due = dueDomains
        dueDomains = [:]
        for (_, domain) in due.sorted(by: { $0.key < $1.key }) {
            while domain.table.hasQueued {
                let operations = domain.table.takeOperations(limit: LinuxDataplane.operationsPerJob)
                if domain.table.healed > 0 {
                    healed.increment(by: Double(domain.table.healed))
                    log.warning("dataplane.healed", ["vni": "\(domain.vni)", "entries": "\(domain.table.healed)"])
                    domain.table.healed = 0
                }
                if operations.isEmpty { continue }
                let floods = operations.filter { $0.kind == .addFlood }.map { record(of: $0) }
                if !floods.isEmpty {
                    let problem = floodRecord.problem
                    floodRecord.insert(floods)
                    if let new = floodRecord.problem, new != problem {
                        log.warning("dataplane.state", ["problem": new])
                    }
                }
                submit(operations)
            }
            dropIfRetired(domain)
        }
    }
    /// Requests under way name addresses and not their indices, so only rows count.
    private func forgetUnusedVTEPs() {
        var used: Set<UInt32> = []
        for domain in domainsByVNI.values {
            for row in domain.table.macs.values {
                used.insert(row.want.vtep)
                used.insert(row.have.vtep)
            }
        }
        vteps.keep(used)
    }
    func record(of operation: EntryOperation) -> FloodRecord.Entry {
        let vni = operation.vni == 0 ? operation.domain.rawValue : operation.vni
        return FloodRecord.Entry(
            place: DeviceNumber(operation.interface, operation.sourceVNI),
            target: FloodTarget(vtep: operation.address, vni: vni))
    }
    func due(_ domain: Domain) {
        dueDomains[domain.vni] = domain
        guard !isFlushScheduled else { return }
        isFlushScheduled = true
        loop.afterRound { [weak self] in self?.flush() }
    }
    private func submit(_ operations: [EntryOperation]) {
        requests.increment(by: Double(operations.count))
        let me = OnLoop(self)
        worker.submit { [socket, handle = loop.handle] in
            let outcome = ApplyOutcome(operations, socket)
            handle.post { me { $0.completed(operations, outcome) } }
        }
    }
    private func completed(_ operations: [EntryOperation], _ outcome: ApplyOutcome) {
        guard !isClosed else { return }
        var nextFailure = 0
        var nextAnswer = 0
        var cached: Domain?
        var moved: [ProbeQuestion] = []
        for (index, operation) in operations.enumerated() {
            var failure: NetlinkFailure?
            if nextFailure < outcome.refused.count, outcome.refused[nextFailure].index == index {
                failure = outcome.refused[nextFailure].failure
                nextFailure += 1
            }
            if cached?.vni != operation.domain { cached = domainsByVNI[operation.domain] }
            guard let domain = cached else { continue }
            if nextAnswer < outcome.answers.count, outcome.answers[nextAnswer].index == index {
                let answer = outcome.answers[nextAnswer]
                nextAnswer += 1
                if operation.kind == .verifyNeighbor {
                    domain.table.verified(
                        neighbor: operation.address, generation: operation.generation, answer.neighbor)
                } else {
                    domain.table.verified(
                        operation.mac, generation: operation.generation, device: answer.device, bridge: answer.bridge)
                }
                continue
            }
            if failure == nil || failure?.isAbsence == true {
                if let host = movedHere(operation, domain) { moved.append(host) } else { remember(operation, domain) }
            }
            let isReported = domain.table.completed(operation, failure)
            if let failure {
                refused.increment()
                if isReported {
                    fail(operation, failure)
                } else if !operation.isGone(failure), operation.generation == domain.table.generation {
                    logRefusal(operation, failure)
                }
            } else if !failures.isEmpty, operation.generation == domain.table.generation {
                failures[key(of: operation, in: domain)] = nil
            }
            if operation.kind == .deleteFlood, failure == nil || failure?.isAbsence == true {
                floodRecord.remove([record(of: operation)])
            }
        }
        sendProbes(moved, areNew: true)
        var seen: Set<VNI> = []
        for operation in operations where seen.insert(operation.domain).inserted {
            if let domain = domainsByVNI[operation.domain], domain.table.hasQueued || domain.configuration == nil {
                due(domain)
            }
        }
    }
    func key(of operation: EntryOperation, in domain: Domain) -> ForwardingKey {
        switch operation.kind {
        case .setMAC, .setSticky, .clearSticky, .deleteMAC, .verifyMAC:
            .mac(MACKey(vni: domain.vni, mac: operation.mac))
        case .addFlood, .deleteFlood: .flood(FloodKey(vni: domain.vni, vtep: operation.address))
        case .setNeighbor, .declareNeighbor, .deleteNeighbor, .verifyNeighbor:
            .neighbor(NeighborKey(vni: domain.vni, ip: operation.address))
        }
    }
    private func fail(_ operation: EntryOperation, _ failure: NetlinkFailure) {
        guard let domain = domainsByVNI[operation.domain] else { return }
        let key = key(of: operation, in: domain)
        if failures[key]?.reason != failure.description {
            failures[key] = Failure(reason: failure.description, since: loop.now)
            // A table full of refusals is one sentence in the log, not a hundred thousand.
            if failures.count <= 10 {
                logRefusal(operation, failure)
            }
        }
        scheduleRetry()
    }
    private func logRefusal(_ operation: EntryOperation, _ failure: NetlinkFailure) {
        log.warning(
            "dataplane.refused",
            [
                "vni": "\(operation.domain)",
                "command": operation.text(device: links.name(of: operation.interface)),
                "reason": failure.description,
            ])
    }
    func scheduleRetry() {
        guard retryTimer == nil else { return }
        retryTimer = loop.schedule(after: .seconds(retrySeconds)) { [weak self] in
            guard let self, !isClosed else { return }
            retryTimer = nil
            retrySeconds = failures.isEmpty ? 5 : min(60, retrySeconds * 2)
            for vni in Set(failures.keys.compactMap(\.vni)) {
                guard let domain = domainsByVNI[vni] else { continue }
                domain.table.enqueueFailed()
                due(domain)
            }
            retryRoutes()
            touchedVRFs.formUnion(vrfs.values.filter { $0.plan?.awaitsTable == true }.map(\.name))
            scheduleEvaluation()
            failures = failures.filter { key, _ in key.vni.map { domainsByVNI[$0] != nil } ?? true }
        }
    }
}
