// Addresses that go from one host to another with another MAC. Where the address was remote the kernel learns nothing of it: our entries
// are NOARP, and stay. So what hosts say of their addresses is heard here; and hosts are told of moves that the bridge's suppression
// keeps from them.

import AsyncIO
import EVPN
import NetTypes
import Netlink
import Telemetry

/// The socket of one namespace, and how much was done with it in this second.
final class AddressWatch {
    /// Messages that are heard in a second of one device. A host that floods its bridge with more costs no more, and keeps those of other
    /// bridges from nothing.
    static let messageLimit = 1000
    /// Announcements that are sent in a second.
    static let announcementLimit = 1000

    let socket: AddressSocket
    /// Of each device.
    fileprivate var messages: [Int32: Int] = [:]
    fileprivate var muted: [Int32] = []
    /// When a flood was told of last.
    fileprivate var told: [Int32: Instant] = [:]
    fileprivate var announcements = 0
    /// What was claimed in this second: once is enough, whatever came of it.
    fileprivate var claimed: Set<NeighborKey> = []
    fileprivate var isCounting = false

    init(in namespace: NetworkNamespace?) throws(NetlinkFailure) { socket = try AddressSocket(in: namespace) }
    var descriptors: [Int32] { [socket.arp, socket.discovery].filter { $0 >= 0 } }
}

extension LinuxDataplane {
    /// Hears hosts from now on. To be called when a domain comes up in which addresses matter.
    func watchAddresses() {
        guard addressWatch == nil, !isDeaf else { return }
        do throws(NetlinkFailure) {
            let watch = try AddressWatch(in: namespace)
            addressWatch = watch
            for descriptor in watch.descriptors {
                loop.watch(descriptor, .readable) { [weak self] _ in self?.readClaims(descriptor) }
            }
            if deafness != nil { log.info("dataplane.addresses.heard") }
            deafness = nil
        } catch {
            isDeaf = true
            // Descriptors may have run out for the moment.
            loop.schedule(after: .seconds(30)) { [weak self] in
                guard let self, !isClosed else { return }
                isDeaf = false
                watchAddresses()
            }
            guard deafness != error.description else { return }
            deafness = error.description
            log.warning(
                "dataplane.addresses.unheard",
                [
                    "reason": error.description,
                    "effect":
                        "an address that moves to another MAC is noticed late\(error.isPermission ? " (CAP_NET_RAW)" : "")",
                ])
        }
    }
    func stopWatchingAddresses() {
        for descriptor in addressWatch?.descriptors ?? [] { loop.unwatch(descriptor) }
        addressWatch = nil
    }

    private func readClaims(_ descriptor: Int32) {
        guard !isClosed, let watch = addressWatch else { return }
        var claims: [(claim: AddressClaim, domain: Domain)] = []
        watch.socket.read(descriptor, limit: 256, isHeard: { isHeard($0, watch) }) { claim, interface in
            if let domain = byNeighbor[interface], isContested(claim, domain) { claims.append((claim, domain)) }
        }
        count(watch)
        guard !claims.isEmpty else { return }
        // Who speaks from a local port has been learned by the bridge before its message came this far.
        readNotifications()
        for (claim, domain) in claims where domain.localMACs[claim.mac] != nil && isContested(claim, domain) {
            if watch.claimed.insert(NeighborKey(vni: domain.vni, ip: claim.ip)).inserted { take(claim, in: domain) }
        }
    }
    /// Counts a message of a device. False: there are too many in this second, and no more of it is listened to.
    private func isHeard(_ interface: Int32, _ watch: AddressWatch) -> Bool {
        let count = watch.messages[interface, default: 0] + 1
        watch.messages[interface] = count
        guard count >= AddressWatch.messageLimit else { return true }
        guard count == AddressWatch.messageLimit else { return false }
        if watch.muted.count < AddressSocket.maximumMuted {
            watch.muted.append(interface)
            watch.socket.mute(watch.muted)
        }
        flooded.increment()
        if watch.told[interface].map({ loop.now >= $0 + .seconds(60) }) ?? true {
            watch.told = watch.told.filter { links.links[$0.key] != nil }
            watch.told[interface] = loop.now
            log.warning(
                "dataplane.addresses.flood",
                [
                    "interface": links.name(of: interface),
                    "effect":
                        "more than \(AddressWatch.messageLimit) ARP or ND messages a second: an address that moves there to another MAC may be noticed late",
                ])
        }
        return true
    }
    /// Begins a new second, unless one is under way.
    private func count(_ watch: AddressWatch) {
        guard !watch.isCounting else { return }
        watch.isCounting = true
        loop.schedule(after: .seconds(1)) { [weak self, weak watch] in
            guard let self, let watch, !isClosed, addressWatch === watch else { return }
            if !watch.muted.isEmpty { watch.socket.mute([]) }
            (watch.messages, watch.muted, watch.announcements, watch.claimed, watch.isCounting) = (
                [:], [], 0, [], false
            )
        }
    }
    /// Whether another host, behind another VTEP, has the address so far.
    private func isContested(_ claim: AddressClaim, _ domain: Domain) -> Bool {
        guard domain.isUp, !domain.isTransit, domain.table.canHoldNeighbors, domain.ownNeighbors[claim.ip] == nil,
            let remote = domain.table.neighbors[claim.ip]?.want
        else { return false }
        return !remote.isDeclared && remote.mac != claim.mac
    }
    /// A host here has an address that was remote. The control plane decides: when it gives up the remote neighbor, the host is asked for
    /// the address (`movedHere`), and is what the kernel knows from then on.
    private func take(_ claim: AddressClaim, in domain: Domain) {
        setLocal(claim.ip, LocalNeighbor(mac: claim.mac, isRouter: claim.isRouter), in: domain)
        loop.afterRound { [weak self, weak domain] in
            guard let self, let domain, !isClosed, domain.localNeighbors[claim.ip]?.mac == claim.mac else { return }
            if domain.table.neighbors[claim.ip]?.want != nil {
                // Refused: a MAC that is frozen, or a sticky one there.
                return setLocal(claim.ip, nil, in: domain)
            }
            guard let devices = domain.devices else { return }
            // The remote entry was gone before: nothing else has the host asked.
            if domain.table.neighbors[claim.ip]?.have == nil {
                sendProbes(
                    [ProbeQuestion(interface: devices.neighborInterface, ip: claim.ip, mac: claim.mac)], areNew: true)
            }
            if claim.ip.isV6 {
                // It need not have told its neighbors: by itself it only asks its router, while an ARP request is heard by all.
                announce(claim, on: devices)
            }
        }
    }

    /// A row for a remote host is about to be set: hosts here that know its address by another MAC are told, which the host itself cannot
    /// do where the bridge keeps announcements to itself.
    func announceMove(_ ip: IPAddress, _ remote: RemoteNeighbor?, in domain: Domain) {
        guard let remote, addressWatch != nil, domain.isUp, domain.table.canHoldNeighbors, let devices = domain.devices,
            domain.table.neighbors[ip]?.want?.isDeclared != true,
            let old = domain.table.neighbors[ip]?.want?.mac ?? domain.localNeighbors[ip]?.mac
                ?? domain.remembered.mac(of: ip, now: loop.now),
            old != remote.mac
        else { return }
        announce(AddressClaim(ip: ip, mac: remote.mac, isRouter: remote.isRouter), on: devices)
    }
    /// To the hosts here alone: where the bridge does not keep announcements from the VXLAN device, all have heard it from the host itself.
    private func announce(_ claim: AddressClaim, on devices: DeviceBinding) {
        guard let watch = addressWatch, devices.isBridged, links[devices.vxlan]?.port?.suppressesNeighbors == true,
            watch.announcements < AddressWatch.announcementLimit
        else { return }
        watch.announcements += 1
        count(watch)
        watch.socket.announce(claim, on: devices.neighborInterface)
    }
}
