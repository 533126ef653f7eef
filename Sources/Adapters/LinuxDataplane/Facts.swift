// What the kernel's notifications mean: for our own entries (damage or echo), and as local facts for the control plane.

import AsyncIO
import EVPN
import NetTypes
import Netlink
import Telemetry

extension LinuxDataplane {
    /// Reads what is there and hands the local facts on.
    func readNotifications() {
        guard !isClosed else { return }
        let outcome = notifications.read { receive($0) }
        if outcome == .overrun {
            overruns.increment()
            if !isResyncScheduled {
                isResyncScheduled = true
                log.warning("dataplane.overrun", ["action": "resync"])
                // A pause, so that a storm leads to one resync and not to many.
                loop.schedule(after: .milliseconds(200)) { [weak self] in
                    guard let self else { return }
                    isResyncScheduled = false
                    resynchronize()
                }
            }
        }
        flushFacts()
    }

    private func receive(_ message: NetlinkMessage) {
        switch message.type {
        case MessageType.newNeighbor, MessageType.deleteNeighbor:
            let isNew = message.type == MessageType.newNeighbor
            if message.payload.first == Family.bridge {
                if let entry = FDBEntry(decoding: message.payload) { received(entry, isNew: isNew) }
            } else if let entry = NeighborEntry(decoding: message.payload) {
                received(entry, isNew: isNew)
            }
        case MessageType.newLink:
            guard let link = Link(decoding: message.payload) else { return }
            guard message.payload.first == Family.unspecified else {
                // A change of a port's settings is told by its bridge only.
                guard message.payload.first == Family.bridge, let port = link.port, var known = links[link.interface],
                    known.port != nil, known.port != port
                else { return }
                known.port = port
                return update(link.interface, known)
            }
            let master = links[link.interface]?.master
            update(link.interface, link)
            if let master, master != link.master { portLeft(link.interface, bridge: master) }
            if link.master != 0, !link.isUp || !link.hasCarrier { portIsSilent(link.interface) }
        case MessageType.deleteLink:
            guard message.payload.first == 0, let link = Link(decoding: message.payload) else { return }
            // The domains are found by their devices, which they have until `linkRemoved`.
            touch(interface: link.interface)
            linkRemoved(link.interface)
            update(link.interface, nil)
        case MessageType.newVLAN, MessageType.deleteVLAN:
            guard let interface = PortVLANs.interface(message.payload), links[interface] != nil else { return }
            staleVLANs.insert(interface)
            scheduleEvaluation()
        case MessageType.newTunnel, MessageType.deleteTunnel:
            guard let interface = FilteredVNIs.interface(message.payload), links[interface] != nil else { return }
            staleFilters.insert(interface)
            scheduleEvaluation()
        case MessageType.newSettings:
            if let setting = ForwardingSetting(decoding: message.payload) { changed(setting) }
        case MessageType.newAddress:
            if let address = InterfaceAddress(decoding: message.payload), links.insert(address) { changed(address) }
        case MessageType.deleteAddress:
            if let address = InterfaceAddress(decoding: message.payload), links.remove(address) {
                changed(address)
                othersLost(address.interface)
            }
        default: break
        }
    }
    private func changed(_ address: InterfaceAddress) {
        touch(interface: address.interface)
        touchUnderlay()
        scheduleEvaluation()
    }
    func linkRemoved(_ interface: Int32) {
        floodRecord.removeAll(of: interface)
        if let master = links[interface]?.master, master != 0 { portLeft(interface, bridge: master) }
        for vni in (users[interface] ?? []).sorted() {
            if let domain = domainsByVNI[vni], domain.devices?.vxlan == interface { unbind(domain) }
        }
    }
    /// The kernel flushes a port's entries when it leaves; should a notification of it be missing, nothing stays behind.
    private func portLeft(_ interface: Int32, bridge: Int32) {
        for vni in (users[bridge] ?? []).sorted() {
            guard let domain = domainsByVNI[vni], domain.devices?.bridge == bridge else { continue }
            for mac in domain.localMACs.filter({ $0.value.interface == interface }).map(\.key).sorted() {
                setLocal(mac, nil, in: domain)
            }
        }
    }

    // MARK: FDB

    private func received(_ entry: FDBEntry, isNew: Bool) {
        if entry.master == 0 {
            guard let domain = byVXLAN[DeviceNumber(entry.interface, entry.sourceVNI ?? 0)] else { return }
            if domain.isObserving { domain.touchedMACs.insert(entry.mac) }
            if entry.mac.isZero {
                floodChanged(entry, isNew: isNew, domain)
            } else {
                deviceChanged(entry, isNew, domain)
            }
        } else if let domain = byBridge[DeviceNumber(entry.master)]
            ?? byBridge[DeviceNumber(entry.master, UInt32(entry.vlan))]
        {
            if domain.isObserving { domain.touchedMACs.insert(entry.mac) }
            if entry.interface == domain.devices?.vxlan {
                portChanged(entry, isNew, domain)
            } else {
                // One of the bridge's own, which the VLAN device may need.
                if !isNew, entry.interface == entry.master {
                    touched.insert(domain.vni)
                    scheduleEvaluation()
                }
                localChanged(entry, isNew, domain)
            }
        }
    }

    /// The VXLAN device's own table.
    private func deviceChanged(_ entry: FDBEntry, _ isNew: Bool, _ domain: Domain) {
        guard domain.table.binding != nil else { return }
        guard let row = domain.table.macs[entry.mac] else {
            // Somebody else's entry, or a late echo of one that we removed.
            if isNew, !entry.flags.contains(.externallyLearned) { domain.table.observed(device: entry) }
            return
        }
        if row.marks.contains(.inFlight) {
            // The end of our request, or something that somebody did meanwhile?
            let isExpected =
                isNew && entry.flags.contains(.externallyLearned) && entry.destination == vteps[row.want.vtep]
            if row.isWanted, !domain.isLeaving, !isExpected { suspect(entry.mac, domain) }
            return
        }
        let isSame =
            isNew
            ? entry.flags.contains(.externallyLearned) && row.have.flags.contains(.inDevice)
                && (entry.vni ?? domain.vni.rawValue) == row.have.vni
                && entry.destination == vteps[row.have.vtep]
            : row.have.flags.isDisjoint(with: [.inDevice, .foreignInDevice])
        if !isSame { suspect(entry.mac, domain) }
    }
    /// The bridge's table, on the VXLAN port.
    private func portChanged(_ entry: FDBEntry, _ isNew: Bool, _ domain: Domain) {
        if isNew, domain.localMACs[entry.mac] != nil {
            setLocal(entry.mac, nil, in: domain)
        }
        guard domain.table.binding != nil else { return }
        guard let row = domain.table.macs[entry.mac] else {
            if isNew, !entry.flags.contains(.externallyLearned) { domain.table.observed(port: entry) }
            return
        }
        if row.marks.contains(.inFlight) {
            if row.isWanted, !domain.isLeaving, !isNew { suspect(entry.mac, domain) }
            return
        }
        let isSame =
            isNew
            ? entry.flags.contains(.externallyLearned) && row.have.flags.contains(.inBridge)
                && entry.flags.contains(.sticky) == row.have.flags.contains(.sticky)
            : row.have.flags.isDisjoint(with: [.inBridge, .foreignInBridge])
        if !isSame { suspect(entry.mac, domain) }
    }
    /// The bridge's table, on another port.
    private func localChanged(_ entry: FDBEntry, _ isNew: Bool, _ domain: Domain) {
        guard isLocal(entry) else { return }
        if isNew {
            let port = localPort(entry)
            probes.remove(.mac(MACKey(vni: domain.vni, mac: entry.mac)))
            if domain.localMACs[entry.mac] != port { setLocal(entry.mac, port, in: domain) }
            guard let row = domain.table.macs[entry.mac], row.isWanted else { return }
            if row.marks.contains(.inFlight) {
                // Before or after our request took effect? Only the kernel knows.
                domain.table.macs[entry.mac]?.marks.insert(.suspicious)
            } else if row.have.flags.contains(.inBridge) {
                // The host moved here. The control plane hears of it and decides; nothing is put back behind its back.
                domain.table.macs[entry.mac]?.have.flags.subtract([.inBridge, .sticky])
                domain.table.macs[entry.mac]?.marks.insert(.yielded)
            }
        } else if let port = domain.localMACs[entry.mac], port.interface == entry.interface {
            if mayBeSilent(entry.mac, port, domain) { return probe(.mac(MACKey(vni: domain.vni, mac: entry.mac))) }
            setLocal(entry.mac, nil, in: domain)
            if domain.table.macs[entry.mac]?.marks.contains(.yielded) == true {
                domain.table.update(entry.mac) { $0.marks.remove(.yielded) }
                due(domain)
            }
        }
    }
    /// A row contradicts a notification: the kernel is asked before anything is done about it.
    private func suspect(_ mac: MACAddress, _ domain: Domain) {
        domain.table.update(mac) { $0.marks.insert(.suspicious) }
        due(domain)
    }
    private func floodChanged(_ entry: FDBEntry, isNew: Bool, _ domain: Domain) {
        guard domain.table.binding != nil, let vtep = entry.destination else { return }
        let target = FloodTarget(vtep: vtep, vni: entry.vni ?? domain.vni.rawValue)
        guard let row = domain.table.floods[target] else {
            if isNew, !floodRecord.contains(DeviceNumber(entry.interface, entry.sourceVNI ?? 0), target) {
                domain.table.observed(flood: entry, isOurs: false)
            }
            return
        }
        if row.marks.contains(.inFlight) {
            if row.isWanted, !isNew { domain.table.floods[target]?.marks.insert(.suspicious) }
            return
        }
        // A late echo of an entry that we removed since, or somebody put it there: then it is his.
        if isNew || !row.isPresent { return }
        domain.table.update(target) { row in
            row.isPresent = false
            row.isForeign = false
            row.marks.remove(.settled)
        }
        if row.isWanted, !row.isForeign { domain.table.healed += 1 }
        due(domain)
    }

    /// Learned or static on a port; the ports' own addresses (permanent) are nobody's location.
    func isLocal(_ entry: FDBEntry) -> Bool {
        entry.mac.isUsableByHost && !entry.state.contains(.permanent) && !entry.isLocked
    }
    func localPort(_ entry: FDBEntry) -> Domain.LocalPort {
        Domain.LocalPort(
            interface: entry.interface, isStatic: entry.state.contains(.noARP), isSticky: entry.flags.contains(.sticky))
    }

    // MARK: Neighbors

    private func received(_ entry: NeighborEntry, isNew: Bool) {
        guard let domain = byNeighbor[entry.interface] else { return }
        if domain.isObserving { domain.touchedNeighbors.insert(entry.ip) }
        let isOurs = entry.proto == neighborProtocol
        let local = isNew ? localNeighbor(entry) : nil
        if domain.localNeighbors[entry.ip] != local {
            // That an entry for a remote host goes, or an echo of it while it is to go, says nothing about a host here that claims its address.
            let isOld = isOurs && (!isNew || domain.table.neighbors[entry.ip]?.want == nil)
            if !isOld, !isNew || !keepsNeighbor(entry, domain) { setLocal(entry.ip, local, in: domain) }
        } else if local != nil, !entry.state.isDisjoint(with: [.reachable, .permanent]) {
            let key = NeighborKey(vni: domain.vni, ip: entry.ip)
            if probes.remove(.neighbor(key)) { answered(key) }
        }
        guard domain.table.binding != nil, domain.table.canHoldNeighbors else { return }
        guard let row = domain.table.neighbors[entry.ip] else {
            if isNew, entry.proto != neighborProtocol { domain.table.observed(neighbor: entry) }
            return
        }
        let now = isNew && isOurs ? entry.mac.flatMap { domain.table.binding(entry, $0) } : nil
        // An older kernel takes what it does not know for nothing: such an entry would age.
        if isNew, isOurs, now == nil, row.want?.isDeclared == true { domain.table.canValidate = false }
        if row.marks.contains(.inFlight), now == row.want { return }
        // A resolution that failed is as good as none.
        if now == row.have, !row.isForeign { return }
        domain.table.update(neighbor: entry.ip) { $0.marks.insert(.suspicious) }
        due(domain)
    }
    /// Nil: not a neighbor that lives here, or not resolved.
    func localNeighbor(_ entry: NeighborEntry) -> LocalNeighbor? {
        guard let mac = entry.mac, mac.isUsableByHost, !entry.flags.contains(.externallyLearned),
            entry.proto != neighborProtocol,
            !entry.state.isDisjoint(with: [.reachable, .stale, .delay, .probe, .permanent]), !entry.ip.isMulticast
        else { return nil }
        return LocalNeighbor(mac: mac, isRouter: entry.flags.contains(.router))
    }

    // MARK: Local facts

    /// Whether a new fact is one too many: workloads decide how many addresses a bridge learns.
    private func isFull(_ domain: Domain, _ count: Int) -> Bool {
        guard count >= maximumLocals else { return false }
        if !domain.isFull {
            log.warning("dataplane.local.limit", ["vni": "\(domain.vni)", "limit": "\(maximumLocals)"])
        }
        domain.isFull = true
        return true
    }
    func setLocal(_ mac: MACAddress, _ port: Domain.LocalPort?, in domain: Domain) {
        // In an L3 VNI nobody but routers is expected, and those are not learned.
        guard !domain.isTransit else { return }
        let isNew = domain.localMACs[mac] == nil
        if port != nil, isNew, isFull(domain, domain.localMACs.count) { return }
        domain.localMACs[mac] = port
        if port != nil, isNew { askRemembered(mac, domain) }
        if port == nil { probes.remove(.mac(MACKey(vni: domain.vni, mac: mac))) }
        if port?.isStatic == true {
            domain.table.localStatics.insert(mac)
        } else if domain.table.localStatics.remove(mac) != nil, domain.table.macs[mac] != nil {
            domain.table.update(mac) { _ in }
            due(domain)
        }
        if domain.isUp { emit(.mac(MACKey(vni: domain.vni, mac: mac), localMAC(mac, domain))) }
    }
    func setLocal(_ ip: IPAddress, _ neighbor: LocalNeighbor?, in domain: Domain) {
        guard !domain.isTransit else { return }
        if neighbor != nil, domain.localNeighbors[ip] == nil, isFull(domain, domain.localNeighbors.count) { return }
        probes.remove(.neighbor(NeighborKey(vni: domain.vni, ip: ip)))
        let old = domain.localNeighbors[ip]
        domain.localNeighbors[ip] = neighbor
        if old?.mac != neighbor?.mac {
            disputes[NeighborKey(vni: domain.vni, ip: ip)] = nil
            if let mac = old?.mac, neighbor == nil { domain.remembered.add(mac, ip, now: loop.now) }
            if let mac = old?.mac {
                domain.neighborsByMAC[mac]?.remove(ip)
                if domain.neighborsByMAC[mac]?.isEmpty == true { domain.neighborsByMAC[mac] = nil }
            }
            if let mac = neighbor?.mac { domain.neighborsByMAC[mac, default: []].insert(ip) }
        }
        if domain.isUp {
            emit(.neighbor(NeighborKey(vni: domain.vni, ip: ip), neighbor ?? domain.ownNeighbors[ip]))
        }
    }
    private func localMAC(_ mac: MACAddress, _ domain: Domain) -> LocalMAC? {
        if let own = domain.ownMACs[mac] { return own }
        return domain.localMACs[mac].map {
            LocalMAC(port: links.name(of: $0.interface), isStatic: $0.isStatic, isSticky: $0.isSticky)
        }
    }
    /// The devices' own addresses: of a bridge that has an IP address (a gateway), of an unbridged VXLAN device.
    func updateOwnAddresses(_ domain: Domain) {
        let own = Set((domain.devices?.interfaces ?? []).compactMap { links[$0]?.address })
        if own != domain.table.ownMACs {
            domain.table.own(own)
            due(domain)
        }
        var macs: [MACAddress: LocalMAC] = [:]
        var neighbors: [IPAddress: LocalNeighbor] = [:]
        if !domain.isTransit, let devices = domain.devices, let link = links[devices.neighborInterface],
            let mac = link.address
        {
            let addresses = (links.addresses[link.interface] ?? []).map(\.ip)
            if devices.neighborInterface != devices.vxlan {
                // What of it is announced is the control plane's business (`RoutedInterface.announcement`).
                for ip in addresses where !ip.isLinkLocal {
                    macs[mac] = LocalMAC(port: link.name, isGateway: true)
                    neighbors[ip] = LocalNeighbor(mac: mac, isRouter: true)
                }
            } else {
                macs[mac] = LocalMAC(port: link.name)
                for ip in addresses { neighbors[ip] = LocalNeighbor(mac: mac) }
            }
        }
        let oldMACs = domain.ownMACs
        let oldNeighbors = domain.ownNeighbors
        domain.ownMACs = macs
        domain.ownNeighbors = neighbors
        guard domain.isUp else { return }
        for mac in Set(oldMACs.keys).union(macs.keys).sorted() where oldMACs[mac] != macs[mac] {
            emit(.mac(MACKey(vni: domain.vni, mac: mac), localMAC(mac, domain)))
        }
        for ip in Set(oldNeighbors.keys).union(neighbors.keys).sorted() where oldNeighbors[ip] != neighbors[ip] {
            emit(
                .neighbor(NeighborKey(vni: domain.vni, ip: ip), domain.localNeighbors[ip] ?? domain.ownNeighbors[ip]))
        }
    }
    func reportAll(_ domain: Domain) {
        for mac in Set(domain.localMACs.keys).union(domain.ownMACs.keys).sorted() {
            emit(.mac(MACKey(vni: domain.vni, mac: mac), localMAC(mac, domain)))
        }
        for ip in Set(domain.localNeighbors.keys).union(domain.ownNeighbors.keys).sorted() {
            emit(
                .neighbor(NeighborKey(vni: domain.vni, ip: ip), domain.localNeighbors[ip] ?? domain.ownNeighbors[ip]))
        }
    }
    func emit(_ change: LocalChange) {
        if pendingFacts.isEmpty { loop.afterRound { [weak self] in self?.flushFacts() } }
        pendingFacts.append(change)
    }
    func flushFacts() {
        guard !pendingFacts.isEmpty, !isClosed else { return }
        let facts = pendingFacts
        pendingFacts = []
        onLocalChanges?(facts)
    }
    func deviceText(_ devices: DeviceBinding) -> String {
        var text = links.name(of: devices.vxlan)
        if devices.isBridged { text += " in \(links.name(of: devices.bridge))" }
        if devices.vlan != 0 { text += " vlan \(devices.vlan)" }
        return text
    }
}
