// Asks the kernel what it has: at start for one domain after the other, and again after notifications were lost.

import AsyncIO
import EVPN
import NetTypes
import Netlink
import Telemetry

/// The kernel's entries for one domain. Dumps are by device: the kernel's FDB dump costs the square of the table.
struct Observation: Sendable {
    /// Of the VXLAN device: its own table, and the bridge's rows on its port. Nil: not asked for.
    var port: [FDBEntry]?
    /// The bridge's rows on the other ports.
    var local: [FDBEntry] = []
    var neighbors: [NeighborEntry] = []
    var failure: NetlinkFailure?

    /// What is to be read for one domain.
    struct Question: Sendable {
        var vni: VNI
        var devices: DeviceBinding
        /// Whether the VXLAN device is to be dumped, which is expensive when it is large.
        var withPort: Bool
        /// The bridge's other ports.
        var ports: [Int32]
    }
    /// Entries of one device, by the VNI in its own table and by the VLAN in the bridge's.
    private struct Dump {
        var own: [UInt32: [FDBEntry]] = [:]
        var bridge: [UInt16: [FDBEntry]] = [:]
        init(_ entries: [FDBEntry]) {
            for entry in entries {
                if entry.master == 0 {
                    own[entry.sourceVNI ?? 0, default: []].append(entry)
                } else {
                    bridge[entry.vlan, default: []].append(entry)
                }
            }
        }
        func bridge(_ devices: DeviceBinding) -> [FDBEntry] {
            let all = devices.vlan == 0 ? bridge.values.flatMap { $0 } : bridge[devices.vlan] ?? []
            return all.filter { $0.master == devices.bridge }
        }
    }

    /// The answers, in order. Each device is dumped once, however many domains share it.
    static func answer(_ questions: [Question], _ socket: NetlinkSocket) -> [Observation] {
        var dumps: [Int32: Dump] = [:]
        func dump(_ interface: Int32) throws(NetlinkFailure) -> Dump {
            if let known = dumps[interface] { return known }
            let new = Dump(try dumpFDB(interface, socket))
            dumps[interface] = new
            return new
        }
        return questions.map { question in
            var observation = Observation()
            let devices = question.devices
            do throws(NetlinkFailure) {
                if question.withPort {
                    let found = try dump(devices.vxlan)
                    observation.port = (found.own[devices.sourceVNI] ?? []) + found.bridge(devices)
                }
                for port in question.ports { observation.local += try dump(port).bridge(devices) }
                if devices.neighborInterface != 0 {
                    for family in [Family.ipv4, Family.ipv6] {
                        observation.neighbors += try dumpNeighbors(devices.neighborInterface, family, socket)
                    }
                }
            } catch {
                observation.failure = error
            }
            return observation
        }
    }
    static func dumpFDB(_ interface: Int32, _ socket: NetlinkSocket) throws(NetlinkFailure) -> [FDBEntry] {
        var entries: [FDBEntry] = []
        try socket.dump(
            restart: { entries = [] }, { $0.dumpFDB(sequence: $1, interface: interface) },
            { message in
                guard message.type == MessageType.newNeighbor, let entry = FDBEntry(decoding: message.payload),
                    entry.interface == interface
                else { return }
                entries.append(entry)
            })
        return entries
    }
    static func dumpNeighbors(_ interface: Int32, _ family: UInt8, _ socket: NetlinkSocket) throws(NetlinkFailure)
        -> [NeighborEntry]
    {
        var entries: [NeighborEntry] = []
        try socket.dump(
            restart: { entries = [] }, { $0.dumpNeighbors(sequence: $1, interface: interface, family: family) },
            { message in
                guard message.type == MessageType.newNeighbor, let entry = NeighborEntry(decoding: message.payload),
                    entry.interface == interface
                else { return }
                entries.append(entry)
            })
        return entries
    }
    /// All devices and addresses.
    static func links(_ socket: NetlinkSocket) throws(NetlinkFailure) -> LinkTable {
        var table = LinkTable()
        try socket.dump(
            restart: { table = LinkTable() }, { $0.dumpLinks(sequence: $1) },
            { message in if let link = Link(decoding: message.payload) { _ = table.insert(link) } })
        var addresses: [InterfaceAddress] = []
        try socket.dump(
            restart: { addresses = [] }, { $0.dumpAddresses(sequence: $1) },
            { message in
                if let address = InterfaceAddress(decoding: message.payload) { addresses.append(address) }
            })
        for address in addresses { _ = table.insert(address) }
        for (interface, vlans) in Observation.vlans(0, socket) { table.setVLANs(interface, vlans) }
        if table.links.values.contains(where: { $0.vxlan?.hasVNIFilter == true }) {
            for (interface, vnis) in Observation.filters(0, socket) ?? [:] { table.filters[interface] = vnis }
        }
        return table
    }
    /// The filters of one VXLAN device or, with 0, of all; nil: the kernel has no such thing.
    static func filters(_ interface: Int32, _ socket: NetlinkSocket) -> [Int32: Set<UInt32>]? {
        var found: [Int32: Set<UInt32>] = [:]
        do throws(NetlinkFailure) {
            try socket.dump(
                restart: { found = [:] }, { $0.dumpVNIFilter(sequence: $1, interface: interface) },
                { message in
                    guard message.type == MessageType.newTunnel else { return }
                    for range in FilteredVNIs.decode(message.payload) {
                        found[range.interface, default: []].formUnion(range.vnis)
                    }
                })
        } catch {
            // EOPNOTSUPP: no handler for the question.
            return error.code == 95 ? nil : found
        }
        return found
    }
    /// VLANs of one port or, with 0, of all. Empty when the kernel's bridges cannot filter VLANs, or it is no port.
    static func vlans(_ interface: Int32, _ socket: NetlinkSocket) -> [Int32: VLANTable] {
        var found: [Int32: VLANTable] = [:]
        try? socket.dump(
            restart: { found = [:] }, { $0.dumpVLANs(sequence: $1, interface: interface) },
            { message in
                guard message.type == MessageType.newVLAN else { return }
                for range in PortVLANs.decode(message.payload) {
                    found[range.interface, default: VLANTable()].insert(range)
                }
            })
        return found
    }
}

extension LinuxDataplane {
    /// Reads the domain's tables on the worker, together with those of the domains that are due at the same time.
    func observe(_ domain: Domain) {
        guard domain.devices != nil else { return }
        guard !domain.isObserving else { return domain.observesAgain = true }
        domain.isObserving = true
        domain.observesAgain = false
        domain.touchedMACs = []
        domain.touchedNeighbors = []
        if toObserve.isEmpty { loop.afterRound { [weak self] in self?.askKernel() } }
        toObserve.insert(domain.vni)
    }
    private func askKernel() {
        let vnis = toObserve.sorted()
        toObserve = []
        guard !isClosed else { return }
        // Domains that share a bridge are asked for together, the others one by one.
        var groups: [Int32: [Observation.Question]] = [:]
        var order: [Int32] = []
        for vni in vnis {
            guard let domain = domainsByVNI[vni] else { continue }
            guard let devices = domain.devices else {
                domain.isObserving = false
                continue
            }
            let group = devices.vlan == 0 ? devices.vxlan : devices.bridge
            let ports = (devices.isBridged ? links.ports[devices.bridge] ?? [] : []).sorted()
                .filter { $0 != devices.vxlan && (devices.vlan == 0 || links[$0]?.vxlan == nil) }
            if groups[group] == nil { order.append(group) }
            groups[group, default: []].append(
                Observation.Question(vni: vni, devices: devices, withPort: maySearch(domain, devices), ports: ports))
        }
        let me = OnLoop(self)
        for questions in order.compactMap({ groups[$0] }) {
            worker.submit { [socket, handle = loop.handle] in
                let observations = Observation.answer(questions, socket)
                handle.post {
                    me { dataplane in
                        for (question, observation) in zip(questions, observations) {
                            dataplane.observed(question.vni, question.devices, observation)
                        }
                    }
                }
            }
        }
    }
    /// Whether the domain's VXLAN device is small enough to be dumped. At first the one of a single domain is, whatever its size:
    /// only so are the entries of an earlier process found.
    private func maySearch(_ domain: Domain, _ devices: DeviceBinding) -> Bool {
        if devices.sourceVNI == 0, domain.table.binding == nil { return true }
        var rows = 0
        for vni in users[devices.vxlan] ?? [] {
            guard let table = domainsByVNI[vni]?.table, table.binding != nil else { continue }
            rows += table.macs.count
        }
        return rows <= dumpLimit
    }

    private func observed(_ vni: VNI, _ devices: DeviceBinding, _ observation: Observation) {
        guard !isClosed, let domain = domainsByVNI[vni], domain.isObserving else { return }
        domain.isObserving = false
        guard domain.devices == devices else {
            // The devices changed meanwhile; those of now are looked at.
            return observe(domain)
        }
        if let failure = observation.failure {
            log.warning("dataplane.observe.failed", ["vni": "\(vni)", "reason": failure.description])
            loop.schedule(after: .seconds(1)) { [weak self, weak domain] in
                if let self, let domain, !isClosed { observe(domain) }
            }
            return
        }
        let isFirst = domain.table.binding == nil
        merge(observation, into: domain, devices, isFirst: isFirst)
        if isFirst {
            let canHoldNeighbors = links[devices.neighborInterface]?.isUp == true
            domain.table.bind(devices, canHoldNeighbors: canHoldNeighbors)
            if canHoldNeighbors, !domain.isTransit { watchAddresses() }
            if domain.configuration != nil, !domain.isLeaving {
                log.info(
                    "domain.up",
                    ["vni": "\(vni)", "device": deviceText(devices), "vtep": "\(devices.vtep)"])
                report(domain, devices)
                reportAll(domain)
            }
        }
        due(domain)
        if domain.observesAgain { observe(domain) }
    }

    private func merge(_ observation: Observation, into domain: Domain, _ devices: DeviceBinding, isFirst: Bool) {
        // Rows with a request at the kernel will hear its answer; rows that a notification touched meanwhile are asked for
        // one by one; the others are as the dump says.
        if observation.port != nil {
            for (mac, row) in domain.table.macs where !row.marks.contains(.inFlight) {
                domain.table.macs[mac]?.have = MACTarget()
            }
            for (target, row) in domain.table.floods where !row.marks.contains(.inFlight) {
                domain.table.floods[target]?.isPresent = false
            }
        } else {
            domain.table.resend()
        }
        for (ip, row) in domain.table.neighbors where !row.marks.contains(.inFlight) {
            domain.table.neighbors[ip]?.have = nil
            domain.table.neighbors[ip]?.isForeign = false
        }
        for entry in observation.port ?? [] {
            if domain.table.macs[entry.mac]?.marks.contains(.inFlight) == true { continue }
            if entry.master != 0 {
                if entry.master == devices.bridge { domain.table.observed(port: entry) }
            } else if entry.mac.isZero {
                guard let vtep = entry.destination else { continue }
                let target = FloodTarget(vtep: vtep, vni: entry.vni ?? domain.vni.rawValue)
                if domain.table.floods[target]?.marks.contains(.inFlight) == true { continue }
                domain.table.observed(flood: entry, isOurs: floodRecord.contains(devices.vxlanPlace, target))
            } else {
                domain.table.observed(device: entry)
            }
        }
        for mac in domain.touchedMACs { domain.table.update(mac) { $0.marks.insert(.suspicious) } }

        var local: [MACAddress: Domain.LocalPort] = [:]
        for entry in observation.local where isLocal(entry) && !domain.touchedMACs.contains(entry.mac) {
            local[entry.mac] = localPort(entry)
        }
        for (mac, _) in domain.localMACs
        where local[mac] == nil && !domain.touchedMACs.contains(mac)
            && !probes.contains(.mac(MACKey(vni: domain.vni, mac: mac)))
        {
            setLocal(mac, nil, in: domain)
        }
        for (mac, port) in local {
            if domain.localMACs[mac] != port { setLocal(mac, port, in: domain) }
            // It is here now: the control plane hears of it and decides.
            if !port.isStatic, domain.table.macs[mac]?.isWanted == true {
                domain.table.macs[mac]?.marks.insert(.yielded)
            }
        }

        var neighbors: [IPAddress: LocalNeighbor] = [:]
        for entry in observation.neighbors where !domain.touchedNeighbors.contains(entry.ip) {
            if domain.table.neighbors[entry.ip]?.marks.contains(.inFlight) != true {
                domain.table.observed(neighbor: entry)
            }
            if let neighbor = localNeighbor(entry) { neighbors[entry.ip] = neighbor }
        }
        for ip in domain.touchedNeighbors { domain.table.update(neighbor: ip) { $0.marks.insert(.suspicious) } }
        for (ip, _) in domain.localNeighbors where neighbors[ip] == nil && !domain.touchedNeighbors.contains(ip) {
            setLocal(ip, nil, in: domain)
        }
        for (ip, neighbor) in neighbors where domain.localNeighbors[ip] != neighbor {
            setLocal(ip, neighbor, in: domain)
        }
        if isFirst { domain.table.markAdopted() } else { domain.table.enqueueAll() }
    }

    /// Notifications were lost: everything is asked again.
    func resynchronize() {
        guard !isClosed else { return }
        do throws(NetlinkFailure) {
            let new = try Observation.links(asking)
            for interface in links.links.keys.sorted() where new[interface] == nil { linkRemoved(interface) }
            links = new
        } catch {
            log.error("dataplane.resync.failed", ["reason": error.description])
        }
        evaluateAll()
        for (_, domain) in domainsByVNI.sorted(by: { $0.key < $1.key }) where domain.devices != nil {
            observe(domain)
        }
        resynchronizeRoutes()
    }
}
