// The sd_notify(3) protocol: datagrams to the socket in NOTIFY_SOCKET, without libsystemd.

import CLinux
import Glibc
import NetTypes

/// Tells systemd how the service is; does nothing when it was not started by systemd.
struct ServiceNotification {
    private let path: [UInt8]?
    /// How often `WATCHDOG=1` must be sent: half of WATCHDOG_USEC. Nil without a watchdog.
    let watchdogInterval: Duration?

    init(environment: (String) -> String? = ServiceNotification.variable) {
        path = environment("NOTIFY_SOCKET").flatMap { $0.isEmpty ? nil : Array($0.utf8) }
        watchdogInterval = environment("WATCHDOG_USEC").flatMap { Int64($0) }.flatMap {
            $0 > 0 ? .microseconds($0 / 2) : nil
        }
    }
    static func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

    /// `state` is like `READY=1` or `STATUS=3 neighbors established`; lines are separated by newlines.
    func send(_ state: String) {
        guard let path else { return }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard path.count < MemoryLayout.size(ofValue: address.sun_path) else { return }
        withUnsafeMutableBytes(of: &address.sun_path) { target in
            target.copyBytes(from: path)
            // "@name" is an abstract socket: its first octet is zero.
            if path.first == 0x40 { target[0] = 0 }
        }
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + path.count)
        let message = Array(state.utf8)
        withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = sendto(descriptor, message, message.count, Int32(MSG_NOSIGNAL), $0, length)
            }
        }
    }
}
