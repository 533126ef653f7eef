// A socket that listens to what changes: links, neighbors, FDB entries, addresses.

import CLinux
import Glibc
import NetTypes

/// Subscribed to the groups of one subject. To be watched by the loop.
public final class NotificationSocket {
    public enum Outcome: Equatable, Sendable {
        /// Nothing more to read now.
        case drained
        /// More may be waiting; the limit of one call was reached.
        case more
        /// The kernel had to drop notifications (ENOBUFS), or one was too large: everything must be asked again.
        case overrun
    }
    public let descriptor: Int32
    private let subject: Subject
    private static let slotBytes = 16384
    private static let slots = 64
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: slotBytes * slots, alignment: 16)
    private var lengths = [UInt32](repeating: 0, count: slots)

    /// What a socket listens to: RTNLGRP_… of <linux/rtnetlink.h>.
    public enum Subject: Sendable {
        /// Links, neighbors with FDB entries, addresses, VLANs of bridge ports, VNIs of filters, forwarding settings.
        case devices
        /// IPv4 and IPv6 routes of all tables, and nexthop objects.
        case routes
        /// Links and addresses alone.
        case interfaces
        var groups: [Int32] {
            switch self {
            // LINK, NEIGH, IPV4_IFADDR, IPV6_IFADDR, IPV4_NETCONF, IPV6_NETCONF, BRVLAN, TUNNEL
            case .devices: [1, 3, 5, 9, 24, 25, 33, 35]
            // IPV4_ROUTE, IPV6_ROUTE, NEXTHOP
            case .routes: [7, 11, 32]
            case .interfaces: [1, 5, 9]
            }
        }
    }

    /// `receiveBufferBytes` is a limit, not memory in use: the kernel accounts about 800 octets for each notification.
    /// With `subscribes` false nothing comes before `subscribe`.
    public init(
        _ subject: Subject = .devices, in namespace: NetworkNamespace? = nil, subscribes: Bool = true,
        receiveBufferBytes: Int32 = 256 << 20
    ) throws(NetlinkFailure) {
        self.subject = subject
        descriptor = try openSocket(receiveBufferBytes: receiveBufferBytes, in: namespace)
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        do throws(NetlinkFailure) { _ = try bindSocket(descriptor) } catch {
            Glibc.close(descriptor)
            buffer.deallocate()
            throw error
        }
        // After the bind, which sets the subscriptions to those in its address: none.
        if subscribes { subscribe() }
    }
    /// From now on changes are told. To be done before what is there is read, so that nothing is missed.
    public func subscribe() {
        for group in subject.groups { setOption(descriptor, netlinkLevel, NETLINK_ADD_MEMBERSHIP, group) }
    }
    deinit {
        Glibc.close(descriptor)
        buffer.deallocate()
    }

    /// Reads up to `rounds` times 64 datagrams and hands their messages to `body`.
    public func read(rounds: Int = 16, _ body: (NetlinkMessage) -> Void) -> Outcome {
        for _ in 0..<rounds {
            let count = evpnd_receive_many(
                descriptor, buffer.baseAddress, UInt32(NotificationSocket.slotBytes), UInt32(NotificationSocket.slots),
                &lengths)
            guard count > 0 else { return count == -EAGAIN || count == -EINTR || count == 0 ? .drained : .overrun }
            var isCut = false
            for slot in 0..<Int(count) {
                let length = Int(lengths[slot])
                let start = slot * NotificationSocket.slotBytes
                let end = start + min(length, NotificationSocket.slotBytes)
                let datagram = UnsafeRawBufferPointer(rebasing: buffer[start..<end])
                if length <= NotificationSocket.slotBytes {
                    NetlinkMessage.forEach(in: datagram, body)
                } else if let message = NetlinkMessage(cutPortOf: datagram) {
                    body(message)
                } else {
                    isCut = true
                }
            }
            if isCut { return .overrun }
            if count < NotificationSocket.slots { return .drained }
        }
        return .more
    }
}

extension NetlinkMessage {
    /// The first message of a datagram that did not fit, if it is about a bridge's port: what is missing at its end is the list of
    /// its VLANs, of which there are notifications of their own.
    init?(cutPortOf datagram: UnsafeRawBufferPointer) {
        guard datagram.count > 32, datagram[16] == Family.bridge,
            datagram.loadUnaligned(fromByteOffset: 4, as: UInt16.self) == MessageType.newLink
        else { return nil }
        self.init(
            type: MessageType.newLink, flags: [], sequence: 0, port: 0,
            payload: UnsafeRawBufferPointer(rebasing: datagram[16...]))
    }
}
