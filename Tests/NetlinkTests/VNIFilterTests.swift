// Filters of VNIs, their counters, and forwarding settings: bytes laid out as the kernel does.

import NetTypes
import Testing

@testable import Netlink

@Suite struct VNIFilterTests {
    /// The payload of the message that `body` writes.
    private func payload(_ body: (inout NetlinkBatch) -> Void) -> [UInt8] {
        var batch = NetlinkBatch()
        body(&batch)
        batch.finish()
        return Array(batch.bytes.dropFirst(16))
    }
    private func decode(_ octets: [UInt8]) -> [FilteredVNIs] { octets.withUnsafeBytes { FilteredVNIs.decode($0) } }

    @Test func readsRangesAndCounters() {
        let octets = payload { batch in
            batch.message(MessageType.newTunnel, [], sequence: 1)
            batch.addressHeader(family: Family.bridge, prefixLength: 1, interface: 7)
            batch.nest(1) { $0.attribute(1, UInt32(100)) }
            batch.nest(1) { entry in
                entry.attribute(1, UInt32(200))
                entry.attribute(2, UInt32(203))
            }
            // Backwards, and past 24 bits: left out.
            batch.nest(1) { entry in
                entry.attribute(1, UInt32(9))
                entry.attribute(2, UInt32(8))
            }
            batch.nest(1) { entry in
                entry.attribute(1, UInt32(9))
                entry.attribute(2, UInt32.max)
            }
        }
        #expect(
            decode(octets) == [
                FilteredVNIs(interface: 7, vnis: 100...100), FilteredVNIs(interface: 7, vnis: 200...203),
            ])
        for length in 0..<octets.count { _ = decode(Array(octets[..<length])) }
        #expect(decode(octets.map { _ in 0xff }).isEmpty)
    }
    @Test func asksAsItReads() {
        let addition = payload { $0.addFilteredVNI(sequence: 1, interface: 3, vni: 5) }
        #expect(decode(addition) == [FilteredVNIs(interface: 3, vnis: 5...5)])
        #expect(decode(payload { $0.dumpVNIFilter(sequence: 1, interface: 3, withCounters: true) }).isEmpty)
    }
    @Test func readsForwardingSettings() {
        func setting(_ family: UInt8, _ device: UInt32?, _ value: UInt32?) -> ForwardingSetting? {
            payload { batch in
                batch.message(MessageType.newSettings, [], sequence: 1)
                // `struct netconfmsg` is one octet, padded.
                batch.addressHeader(family: family)
                if let device { batch.attribute(1, device) }
                if let value { batch.attribute(2, value) }
            }.withUnsafeBytes { whole in
                // Without the four octets of an interface that the header of an address has.
                let octets = Array(whole[..<4]) + Array(whole[8...])
                return octets.withUnsafeBytes { ForwardingSetting(decoding: $0) }
            }
        }
        let all = setting(Family.ipv6, UInt32(bitPattern: -1), 1)
        #expect(all?.interface == -1 && all?.isV6 == true && all?.isOn == true)
        #expect(setting(Family.ipv4, 7, 0)?.isOn == false)
        #expect(setting(Family.ipv4, 7, nil) == nil && setting(Family.bridge, 7, 1) == nil)
    }
    @Test func readsLinkCounters() {
        var octets = [UInt8](repeating: 0, count: 16)
        let values = (0..<8).map { UInt64($0 + 1) }
        octets += [68, 0, 23, 0] + values.flatMap { value in withUnsafeBytes(of: value) { Array($0) } }
        let counters = octets.withUnsafeBytes { TrafficCounters(link: $0) }
        #expect(counters?.received.packets == 1 && counters?.sent.packets == 2)
        #expect(counters?.received.octets == 3 && counters?.sent.octets == 4)
        #expect(counters?.received.errors == 5 && counters?.sent.drops == 8)
        #expect(octets.dropLast().withUnsafeBytes { TrafficCounters(link: $0) } == nil)
    }
}
