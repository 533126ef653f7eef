// What the kernel says about the interfaces that neighbors are configured on. Notifications only say when to ask: each answer is
// read anew, so that a lost one costs nothing.

import AsyncIO
import BGPEngine
import Glibc
import NetTypes
import Netlink

/// Tells `onChange` of each interface in `names`, at first and after every change; nil: there is none of that name.
final class InterfaceWatch {
    var onChange: ((String, InterfaceFacts?) -> Void)?
    private let loop: EventLoop
    private let notifications: NotificationSocket
    private let requests: NetlinkSocket
    private var names: Set<String> = []
    private var indexes: [Int32: String] = [:]
    private var isScheduled = false
    private var pending: Set<String> = []

    init(loop: EventLoop) throws(NetlinkFailure) {
        self.loop = loop
        notifications = try NotificationSocket(.interfaces, receiveBufferBytes: 1 << 20)
        requests = try NetlinkSocket()
        loop.watch(notifications.descriptor, .readable) { [weak self] _ in self?.read() }
    }
    deinit { loop.unwatch(notifications.descriptor) }

    func watch(_ names: [String]) {
        self.names = Set(names)
        indexes = indexes.filter { self.names.contains($0.value) }
        ask(about: self.names)
    }
    /// The name of one of the interfaces.
    func name(of index: UInt32) -> String? { indexes[Int32(truncatingIfNeeded: index)] }

    private func read() {
        var changed: Set<String> = []
        let outcome = notifications.read { message in
            switch message.type {
            case MessageType.newLink, MessageType.deleteLink:
                guard let link = Link(decoding: message.payload) else { return }
                // By its old name too: it may have been renamed.
                if names.contains(link.name) { changed.insert(link.name) }
                if let name = indexes[link.interface] { changed.insert(name) }
            case MessageType.newAddress, MessageType.deleteAddress:
                guard let address = InterfaceAddress(decoding: message.payload) else { return }
                if let name = indexes[address.interface] { changed.insert(name) }
            default: break
            }
        }
        ask(about: outcome == .overrun ? names : changed)
    }

    /// Answers come at the end of the round: several changes of one interface are asked about once.
    private func ask(about changed: Set<String>) {
        pending.formUnion(changed)
        guard !pending.isEmpty, !isScheduled else { return }
        isScheduled = true
        loop.afterRound { [weak self] in
            guard let self else { return }
            self.isScheduled = false
            let names = self.pending.intersection(self.names).sorted()
            self.pending = []
            for name in names {
                let facts = self.facts(name)
                self.onChange?(name, facts)
            }
        }
    }

    private func facts(_ name: String) -> InterfaceFacts? {
        indexes = indexes.filter { $0.value != name }
        var link: Link?
        var isUp = false
        _ = requests.transact(
            1,
            reply: { _, message in
                link = Link(decoding: message.payload) ?? link
                isUp = Link.isRunning(message.payload)
            }
        ) { batch, _, sequence in batch.getLink(sequence: sequence, name: name) }
        guard let link, link.interface > 0 else { return nil }
        indexes[link.interface] = name
        var addresses: Set<IPv6Address> = []
        do throws(NetlinkFailure) {
            try requests.dump(restart: { addresses = [] }) { batch, sequence in
                batch.dumpAddresses(sequence: sequence, interface: link.interface, family: Family.ipv6)
            } _: { message in
                guard let address = InterfaceAddress(decoding: message.payload), address.interface == link.interface,
                    !InterfaceAddress.isTentative(message.payload), case .v6(let ip) = address.ip
                else { return }
                addresses.insert(ip)
            }
        } catch {
            // An interface without IPv6 has no addresses to list (EINVAL, ENODEV): the machine says that there is none.
            addresses = []
        }
        return InterfaceFacts(
            index: UInt32(link.interface), isUp: isUp, linkLayerAddress: link.address,
            linkLocal: addresses.filter(\.isLinkLocal).sorted(),
            global: addresses.filter { !$0.isLinkLocal && !$0.isLoopback && !$0.isMulticast }.sorted())
    }
}
