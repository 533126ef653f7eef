import AsyncIO
import Glibc
import Testing

@testable import Agent

@Suite struct ServiceNotificationTests {
    @Test func saysNothingWithoutSystemd() {
        let notification = ServiceNotification { _ in nil }
        notification.send("READY=1")
        #expect(notification.watchdogInterval == nil)
    }

    @Test func sendsADatagram() throws {
        let path = "/tmp/evpnd-notify-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        defer {
            close(descriptor)
            unlink(path)
        }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(bound == 0)
        let notification = ServiceNotification {
            $0 == "NOTIFY_SOCKET" ? path : $0 == "WATCHDOG_USEC" ? "20000000" : nil
        }
        #expect(notification.watchdogInterval == .seconds(10))
        notification.send("READY=1")
        var buffer = [UInt8](repeating: 0, count: 64)
        let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
        #expect(count > 0 && String(decoding: buffer[..<max(0, count)], as: UTF8.self) == "READY=1")
    }
}
