// Router messages on the wire: a raw ICMPv6 socket. What they mean is the machine's business.

import AsyncIO
import BGPEngine
import CLinux
import Glibc
import NetTypes

/// One socket for the router messages of all interfaces; closed with the object.
final class RouterSocket {
    let descriptor: Int32
    /// RFC 4861 sets no limit, the link does; what is longer than any sensible message is not read.
    private var buffer = [UInt8](repeating: 0, count: 2048)

    init() throws(SystemError) {
        descriptor = evpnd_open_discovery_socket(Int32(RouterMessage.Kind.solicitation.rawValue))
        guard descriptor >= 0 else { throw SystemError("open a raw ICMPv6 socket", code: 0 &- descriptor) }
    }
    deinit { close(descriptor) }

    func join(_ interface: UInt32) -> SystemError? {
        let result = evpnd_join_routers(descriptor, interface)
        return result == 0 ? nil : SystemError("join the group of all routers", code: 0 &- result)
    }

    /// Reads up to 64 messages: octets, source, number of the interface, hop limit (-1: unknown).
    func read(_ body: (UnsafeRawBufferPointer, IPv6Address, UInt32, Int) -> Void) {
        for _ in 0..<64 {
            var source = [UInt8](repeating: 0, count: 16)
            var interface: UInt32 = 0
            var hopLimit: Int32 = -1
            let count = buffer.withUnsafeMutableBytes {
                evpnd_receive_discovery(descriptor, $0.baseAddress, $0.count, &source, &interface, &hopLimit)
            }
            if count == -EMSGSIZE { continue }
            guard count >= 0, case .v6(let address)? = IPAddress(octets: source[...]) else { return }
            buffer.withUnsafeBytes {
                body(UnsafeRawBufferPointer(rebasing: $0[..<Int(count)]), address, interface, Int(hopLimit))
            }
        }
    }

    func send(_ transmission: RouterTransmission) -> SystemError? {
        let bytes = transmission.message.encoded()
        let result = evpnd_send_router(
            descriptor, bytes, bytes.count, transmission.source.octets, transmission.index,
            transmission.message.kind == .solicitation ? 1 : 0)
        return result == 0 ? nil : SystemError("send a router message on \(transmission.interface)", code: 0 &- result)
    }
}
