// Local hosts that went silent: before one is withdrawn it is asked whether it is still there.

import AsyncIO
import EVPN
import NetTypes
import Netlink
import Telemetry

/// Who is asked now, and who waits for his turn: few at a time, because each question is flooded to all ports. Pure.
struct HostProbes {
    enum Subject: Hashable, Sendable {
        /// Aged out of the bridge's table; its neighbors are asked.
        case mac(MACKey)
        /// Not reachable any more, says the neighbor table, though its MAC is still there.
        case neighbor(NeighborKey)
    }
    /// The kernel sends three questions, a second apart (`ucast_solicit`, `retrans_time_ms`).
    var patience: Duration = .seconds(3)
    var limit = 512

    /// Until when an answer is waited for; nil: not asked yet.
    private var deadlines: [Subject: Instant?] = [:]
    private var queue: [Subject] = []
    private var asked: [Subject] = []

    var isEmpty: Bool { deadlines.isEmpty }
    func contains(_ subject: Subject) -> Bool { deadlines[subject] != nil }
    var subjects: [Subject] { Array(deadlines.keys) }

    mutating func add(_ subject: Subject) {
        guard deadlines[subject] == nil else { return }
        deadlines[subject] = .some(nil)
        queue.append(subject)
    }
    /// It answered, or nobody is interested any more. Whether it was being asked or waiting.
    @discardableResult mutating func remove(_ subject: Subject) -> Bool {
        deadlines.removeValue(forKey: subject) != nil
    }

    /// Who is to be asked now and who did not answer in time, in the order in which they came; and when to look again.
    mutating func next(now: Instant) -> (ask: [Subject], gone: [Subject], wake: Instant?) {
        var gone: [Subject] = []
        var waiting: [Subject] = []
        for subject in asked {
            guard case .some(.some(let deadline)) = deadlines[subject] else { continue }
            if deadline <= now {
                deadlines[subject] = nil
                gone.append(subject)
            } else {
                waiting.append(subject)
            }
        }
        var ask: [Subject] = []
        var taken = 0
        while taken < queue.count, waiting.count + ask.count < limit {
            let subject = queue[taken]
            taken += 1
            // Removed since, or removed and added again: then a later place in the queue is its own as well.
            guard case .some(.none) = deadlines[subject] else { continue }
            deadlines[subject] = now + patience
            ask.append(subject)
        }
        queue.removeFirst(taken)
        asked = waiting + ask
        return (ask, gone, asked.compactMap { deadlines[$0] ?? nil }.min())
    }
}

/// A neighbor that the kernel shall ask whether it is there.
struct ProbeQuestion: Sendable {
    var interface: Int32
    var ip: IPAddress
    var mac: MACAddress
}

/// A local host whose address somebody else has too.
struct Dispute {
    /// To be called with its first answer.
    var answered: () -> Void
    var answers = 0
}

extension LinuxDataplane {
    /// Neighbors of one MAC that are asked at most.
    private static let questionsPerMAC = 4

    /// Whether the MAC may only have been silent: the port is as it was, and there is somebody to ask.
    func mayBeSilent(_ mac: MACAddress, _ port: Domain.LocalPort, _ domain: Domain) -> Bool {
        guard domain.isUp, !port.isStatic, let devices = domain.devices, links[devices.neighborInterface]?.isUp == true,
            let link = links[port.interface], link.isUp, link.hasCarrier, link.master == devices.bridge,
            // A remote entry took its place.
            domain.table.macs[mac]?.isWanted != true
        else { return false }
        return domain.neighborsByMAC[mac]?.isEmpty == false
    }
    func probe(_ subject: HostProbes.Subject) {
        probes.add(subject)
        scheduleProbes(at: loop.now)
    }
    /// Somebody else says to have the address: whoever has it here is asked, and is gone when it does not answer. Not one that is declared.
    func ask(_ key: NeighborKey, _ answered: @escaping () -> Void) {
        guard let domain = domainsByVNI[key.vni], domain.isUp, domain.localNeighbors[key.ip] != nil,
            domain.table.declared[key.ip] == nil
        else { return answered() }
        disputes[key] = Dispute(answered: answered)
        probe(.neighbor(key))
    }
    /// One that two hosts had for a moment (a router that hands its address over): asked again after 1, 2, 4… seconds, for a minute.
    func answered(_ key: NeighborKey) {
        guard let dispute = disputes[key] else { return }
        if dispute.answers == 0 { dispute.answered() }
        disputes[key]?.answers += 1
        loop.schedule(after: .seconds(1 << min(dispute.answers, 5))) { [weak self] in
            guard let self, !isClosed, let now = disputes[key] else { return }
            if now.answers > 5 { disputes[key] = nil } else { probe(.neighbor(key)) }
        }
    }
    private func scheduleProbes(at time: Instant) {
        if let probeTimer {
            guard time < probeTimer.at else { return }
            loop.cancel(probeTimer.id)
        }
        let id = loop.schedule(at: time) { [weak self] in
            guard let self else { return }
            probeTimer = nil
            if !isClosed { runProbes() }
        }
        probeTimer = (time, id)
    }
    private func runProbes() {
        let (ask, gone, wake) = probes.next(now: loop.now)
        for subject in gone { giveUp(subject) }
        var questions: [ProbeQuestion] = []
        for subject in ask {
            switch subject {
            case .mac(let key):
                guard let domain = domainsByVNI[key.vni], let devices = domain.devices else { continue }
                for ip in (domain.neighborsByMAC[key.mac] ?? []).sorted().prefix(LinuxDataplane.questionsPerMAC) {
                    questions.append(ProbeQuestion(interface: devices.neighborInterface, ip: ip, mac: key.mac))
                }
            case .neighbor(let key):
                guard let domain = domainsByVNI[key.vni], let devices = domain.devices,
                    let mac = domain.localNeighbors[key.ip]?.mac
                else { continue }
                questions.append(ProbeQuestion(interface: devices.neighborInterface, ip: key.ip, mac: mac))
            }
        }
        sendProbes(questions)
        // A place that becomes free is given to the next one when somebody answers, or at the latest now and then.
        if let wake { scheduleProbes(at: min(wake, loop.now + .milliseconds(500))) }
    }
    /// `areNew`: they are not in the neighbor table, and are taken to be there until they have not answered.
    func sendProbes(_ questions: [ProbeQuestion], areNew: Bool = false) {
        guard !questions.isEmpty else { return }
        probed.increment(by: Double(questions.count))
        worker.submit { [socket] in
            // One that is not there any more is not asked, and is given up in time; one that was found meanwhile need not be asked.
            _ = socket.transact(questions.count) { batch, index, sequence in
                let question = questions[index]
                batch.probeNeighbor(
                    sequence: sequence, interface: question.interface, ip: question.ip, mac: question.mac,
                    isNew: areNew)
            }
        }
    }
    /// The host whose remote neighbor was just removed because it is here now: it claims the address, or its MAC is here (who told of the
    /// address has withdrawn it, and a host that moves need not say its addresses). Nil: any other operation. To be asked before the row
    /// knows of the answer.
    func movedHere(_ operation: EntryOperation, _ domain: Domain) -> ProbeQuestion? {
        guard operation.kind == .deleteNeighbor, operation.generation == domain.table.generation,
            domain.isUp, domain.configuration != nil, domain.table.canHoldNeighbors,
            operation.interface == domain.devices?.neighborInterface
        else { return nil }
        // Somebody may have removed it before.
        let row = domain.table.neighbors[operation.address]
        guard row?.want == nil, row?.have?.isDeclared != true,
            let mac = domain.localNeighbors[operation.address]?.mac ?? row?.have?.mac, domain.localMACs[mac] != nil
        else { return nil }
        return ProbeQuestion(interface: operation.interface, ip: operation.address, mac: mac)
    }
    /// A remote host is gone from where it was, and is not here either: it may be on its way. To be asked as `movedHere`.
    func remember(_ operation: EntryOperation, _ domain: Domain) {
        guard operation.kind == .deleteNeighbor, operation.generation == domain.table.generation, !domain.isTransit,
            let row = domain.table.neighbors[operation.address], row.want == nil, let have = row.have, !have.isDeclared
        else { return }
        domain.remembered.add(have.mac, operation.address, now: loop.now)
    }
    /// A host has appeared here: the addresses that it had a moment ago, here or elsewhere, are announced and asked for.
    func askRemembered(_ mac: MACAddress, _ domain: Domain) {
        let addresses = domain.remembered.take(mac, now: loop.now)
        guard !addresses.isEmpty, domain.isUp, domain.table.canHoldNeighbors, let devices = domain.devices else {
            return
        }
        sendProbes(
            addresses.filter { isUnknown($0, domain) }.prefix(LinuxDataplane.questionsPerMAC)
                .map { ProbeQuestion(interface: devices.neighborInterface, ip: $0, mac: mac) }, areNew: true)
    }
    /// When the layer-3 interface has come into another VRF, or up again, the kernel has forgotten its neighbors, and hosts that are
    /// silent would stay unknown: they are asked.
    func askAgain(_ domain: Domain, _ devices: DeviceBinding) {
        guard let link = links[devices.neighborInterface] else { return domain.askedPlace = nil }
        let place = DeviceNumber(link.interface, UInt32(bitPattern: link.master))
        guard domain.askedPlace != place || !link.isUp else { return }
        guard link.isUp, domain.reported?.isOutsideVRF == false, domain.table.canHoldNeighbors,
            !domain.work.isChanging, domain.plan?.operations.isEmpty == true
        else {
            // Not there (yet); when it comes back they are asked.
            if domain.askedPlace != nil { domain.askedPlace = DeviceNumber(0) }
            return
        }
        let isFirst = domain.askedPlace == nil
        domain.askedPlace = place
        if !isFirst { askRemembered(domain) }
    }
    /// All of them, so many in a second.
    private func askRemembered(_ domain: Domain) {
        guard domain.isUp, domain.table.canHoldNeighbors, let devices = domain.devices else { return }
        let hosts = domain.remembered.take(limit: probes.limit, now: loop.now)
        guard !hosts.isEmpty else { return }
        sendProbes(
            hosts.flatMap { host in
                host.addresses.filter { isUnknown($0, domain) }
                    .map { ProbeQuestion(interface: devices.neighborInterface, ip: $0, mac: host.mac) }
            }, areNew: true)
        loop.schedule(after: .seconds(1)) { [weak self, weak domain] in
            guard let self, let domain, !isClosed else { return }
            askRemembered(domain)
        }
    }
    private func isUnknown(_ ip: IPAddress, _ domain: Domain) -> Bool {
        domain.localNeighbors[ip] == nil && domain.table.neighbors[ip]?.want == nil
    }
    private func giveUp(_ subject: HostProbes.Subject) {
        switch subject {
        case .mac(let key): if let domain = domainsByVNI[key.vni] { setLocal(key.mac, nil, in: domain) }
        case .neighbor(let key): if let domain = domainsByVNI[key.vni] { setLocal(key.ip, nil, in: domain) }
        }
    }
    /// A port is set down, or lost its carrier: nobody is there to answer.
    func portIsSilent(_ interface: Int32) {
        guard !probes.isEmpty else { return }
        for subject in probes.subjects {
            guard case .mac(let key) = subject, let domain = domainsByVNI[key.vni],
                domain.localMACs[key.mac]?.interface == interface
            else { continue }
            setLocal(key.mac, nil, in: domain)
        }
    }
    /// A neighbor is not resolved any more. True: it is being asked once more, and stays as it was until then.
    func keepsNeighbor(_ entry: NeighborEntry, _ domain: Domain) -> Bool {
        guard entry.state.contains(.failed), let known = domain.localNeighbors[entry.ip] else { return false }
        if probes.contains(.mac(MACKey(vni: domain.vni, mac: known.mac))) {
            // The kernel has asked, and this was the answer.
            if domain.neighborsByMAC[known.mac] == [entry.ip] { setLocal(known.mac, nil, in: domain) }
            return false
        }
        guard domain.isUp, let port = domain.localMACs[known.mac], links[port.interface]?.hasCarrier == true else {
            return false
        }
        let subject = HostProbes.Subject.neighbor(NeighborKey(vni: domain.vni, ip: entry.ip))
        if !probes.contains(subject) { probe(subject) }
        return true
    }
}
