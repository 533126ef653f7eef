// What the real kernel sent, as tests read it.

import Glibc
import NetTypes
import Testing

@testable import Netlink

/// The texts in `Tests/Fixtures/netlink`, made by `capture.py` beside them: what the kernel notified for each
/// command.
func fixture() throws -> [(command: String, messages: [[UInt8]])] {
    try ["messages.txt", "vlans.txt", "routes.txt", "vrf.txt"].flatMap { try fixture($0) }
}
func fixture(_ name: String) throws -> [(command: String, messages: [[UInt8]])] {
    let path = #filePath.split(separator: "/").dropLast(2).joined(separator: "/")
    let file = open("/\(path)/Fixtures/netlink/\(name)", O_RDONLY)
    try #require(file >= 0)
    defer { close(file) }
    var text: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65536)
    while case let count = read(file, &chunk, chunk.count), count > 0 { text += chunk[..<count] }
    var result: [(String, [[UInt8]])] = []
    for line in String(decoding: text, as: UTF8.self).split(separator: "\n") {
        if line.hasPrefix("# ") {
            result.append((String(line.dropFirst(2)), []))
        } else if let octets = bytes(hex: line), !result.isEmpty {
            result[result.count - 1].1.append(octets)
        }
    }
    return result
}
/// What `body` makes of the messages that `command` caused.
func decoded<T>(_ command: String, _ body: (NetlinkMessage) -> T?) throws -> [T] {
    let found = try #require(try fixture().first { $0.command == command })
    var result: [T] = []
    for message in found.messages {
        message.withUnsafeBytes { NetlinkMessage.forEach(in: $0) { if let value = body($0) { result.append(value) } } }
    }
    return result
}
