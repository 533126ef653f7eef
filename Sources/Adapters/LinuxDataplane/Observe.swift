// Asks the kernel what it has: at start for one domain after the other, and again after notifications were lost.

import AsyncIO
import EVPN
import NetTypes
import Netlink
import Telemetry

/// The kernel's entries for the devices of one domain. Dumps are by device: the kernel's FDB dump costs the square of the table.
struct Observation: Sendable {
    /// Of the VXLAN device: its own table, and the bridge's rows on its port. Nil: not asked for.
    var port: [FDBEntry]?
    /// The bridge's rows on the other ports.
    var local: [FDBEntry] = []
    var neighbors: [NeighborEntry] = []
    var failure: NetlinkFailure?

    init(_ devices: DeviceBinding, withPort: Bool, ports: [Int32], _ socket: NetlinkSocket) {
        do throws(NetlinkFailure) {
            if withPort { port = try Observation.dumpFDB(devices.vxlan, socket) }
            for index in ports {
                local += try Observation.dumpFDB(index, socket).filter { $0.master == devices.bridge }
            }
            for family in [Family.ipv4, Family.ipv6] {
                neighbors += try Observation.dumpNeighbors(devices.neighborInterface, family, socket)
            }
        } catch {
            failure = error
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
        return table
    }
}

extension LinuxDataplane {
    /// Dumps the domain's tables on the worker.
    func observe(_ domain: Domain) {
        guard let devices = domain.devices else { return }
        guard !domain.isObserving else { return domain.observesAgain = true }
        domain.isObserving = true
        domain.observesAgain = false
        domain.touchedMACs = []
        domain.touchedNeighbors = []
        let ports = (devices.isBridged ? links.ports[devices.bridge] ?? [] : []).sorted()
            .filter { $0 != devices.vxlan }
        let me = OnLoop(self)
        let vni = domain.vni
        let withPort = domain.table.binding == nil || domain.table.macs.count <= dumpLimit
        worker.submit { [socket, handle = loop.handle] in
            let observation = Observation(devices, withPort: withPort, ports: ports, socket)
            handle.post { me { $0.observed(vni, devices, observation) } }
        }
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
            log.info(
                "domain.up",
                ["vni": "\(vni)", "device": deviceText(devices), "vtep": "\(devices.vtep)"])
            domain.reported = LocalDomain(vtep: devices.vtep, device: deviceText(devices))
            emit(.domain(vni, domain.reported))
            reportAll(domain)
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
                domain.table.observed(flood: entry, isOurs: floodRecord.contains(devices.vxlan, target))
            } else {
                domain.table.observed(device: entry)
            }
        }
        for mac in domain.touchedMACs { domain.table.update(mac) { $0.marks.insert(.suspicious) } }

        var local: [MACAddress: Domain.LocalPort] = [:]
        for entry in observation.local where isLocal(entry) && !domain.touchedMACs.contains(entry.mac) {
            local[entry.mac] = localPort(entry)
        }
        for (mac, _) in domain.localMACs where local[mac] == nil && !domain.touchedMACs.contains(mac) {
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
    }
}
