// What hosts say of their own addresses, where the kernel would not tell it: ARP and IPv6 neighbor discovery on the wire.

import CLinux
import Glibc
public import NetTypes

/// Hears on every device of a network namespace what reaches the host itself: all ARP broadcasts of a bridge; of neighbor discovery what is
/// sent to all nodes, or to this host. Tells the hosts on a device of an address. Both descriptors are to be watched by the loop.
public final class AddressSocket {
    public let arp: Int32
    public let discovery: Int32
    /// An ARP packet has 28 octets; what is behind the first options of a discovery message is of no interest.
    private var buffer = [UInt8](repeating: 0, count: 512)
    /// Holds what comes in a moment in which a host sends without end.
    private static let receiveBuffer: Int32 = 4 << 20

    /// In `namespace`; nil: that of the calling thread. EPERM: CAP_NET_RAW is missing.
    public init(in namespace: NetworkNamespace? = nil) throws(NetlinkFailure) {
        func open() -> (Int32, Int32) { (evpnd_open_arp_socket(), evpnd_open_discovery_socket(135)) }
        let opened: (arp: Int32, discovery: Int32)
        if let namespace {
            opened = try namespace.inside { () throws(NetlinkFailure) in open() }
        } else {
            opened = open()
        }
        arp = opened.arp
        discovery = opened.discovery
        // A host without IPv6 has no socket for it; ARP alone will do.
        if arp < 0 { throw NetlinkFailure(code: 0 &- arp, text: "packet socket for ARP") }
        if discovery < 0, discovery != -EAFNOSUPPORT {
            throw NetlinkFailure(code: 0 &- discovery, text: "raw socket for neighbor discovery")
        }
        for descriptor in [arp, discovery] where descriptor >= 0 {
            evpnd_grow_receive_buffer(descriptor, AddressSocket.receiveBuffer)
        }
    }
    deinit {
        if arp >= 0 { close(arp) }
        if discovery >= 0 { close(discovery) }
    }

    /// From how many devices at most nothing is heard.
    public static let maximumMuted = Int(EVPND_MAXIMUM_MUTED)
    /// From now on nothing is heard of these devices, and again of all others. What has come before is still there to be read.
    public func mute(_ interfaces: [Int32]) {
        let numbers = interfaces.prefix(AddressSocket.maximumMuted).map { UInt32(bitPattern: $0) }
        for descriptor in [arp, discovery] where descriptor >= 0 {
            _ = evpnd_mute(descriptor, descriptor == arp ? 1 : 0, numbers, numbers.count)
        }
    }
    /// Reads up to `limit` messages of one of the two descriptors. Those of devices that `isHeard` wants, which is asked for each message,
    /// and which claim an address go to `body`, with the number of the device. Returns how many messages there were.
    @discardableResult public func read(
        _ descriptor: Int32, limit: Int, isHeard: (Int32) -> Bool = { _ in true }, _ body: (AddressClaim, Int32) -> Void
    ) -> Int {
        var source = [UInt8](repeating: 0, count: 16)
        for count in 0..<limit {
            var interface: UInt32 = 0
            var hopLimit: Int32 = 255
            let length = buffer.withUnsafeMutableBytes {
                descriptor == arp
                    ? evpnd_receive_arp(descriptor, $0.baseAddress, $0.count, &source, &interface)
                    : evpnd_receive_discovery(descriptor, $0.baseAddress, $0.count, &source, &interface, &hopLimit)
            }
            if length < 0 {
                if length == -EMSGSIZE { continue }
                return count
            }
            // Crossed a router (RFC 4861 §7.1).
            guard length > 0, let number = Int32(exactly: interface), isHeard(number), hopLimit == 255 else { continue }
            let claim = buffer.withUnsafeBytes { bytes in
                withByteReader(over: UnsafeRawBufferPointer(rebasing: bytes[..<Int(length)])) { reader in
                    AddressSocket.claim(&reader, isARP: descriptor == arp, from: source)
                }
            }
            if let claim { body(claim, number) }
        }
        return limit
    }
    private static func claim(_ reader: inout ByteReader, isARP: Bool, from source: [UInt8]) -> AddressClaim? {
        do throws(ByteError) {
            guard isARP else {
                guard case .v6(let address)? = IPAddress(octets: source) else { return nil }
                return try AddressClaim(decodingDiscovery: &reader, from: address)
            }
            let claim = try AddressClaim(decodingARP: &reader)
            // Who speaks for another is no witness.
            return claim.mac.octets.elementsEqual(source.prefix(6)) ? claim : nil
        } catch { return nil }
    }

    /// Tells all hosts behind a device of a claim, from the device's own Ethernet address. False: the device is down or gone.
    @discardableResult public func announce(_ claim: AddressClaim, on interface: Int32) -> Bool {
        let frame = claim.announcement
        return evpnd_send_frame(
            arp, UInt32(bitPattern: interface), frame.destination.octets, frame.type, frame.payload, frame.payload.count
        ) == 0
    }
}
