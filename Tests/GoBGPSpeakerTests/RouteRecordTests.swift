// The memory of what we gave to gobgpd.

import BGP
import Glibc
import NetTypes
import Testing

@testable import GoBGPSpeaker

@Suite struct RouteRecordTests {
    let path = "/tmp/evpnd-test-\(getpid())-\(UInt32.random(in: 0 ... .max)).record"

    private func keys() -> Set<RouteKey> {
        Set(RouteRecord(path: path, report: { #expect(Bool(false), "\($0)") }).open().map(\.key))
    }

    @Test func remembersOverRestarts() {
        defer { unlink(path) }
        let record = RouteRecord(path: path, report: { _ in })
        #expect(record.open().isEmpty)
        record.add((1...3).map { (OwnRoutesTests.key($0), RoutePayload()) })
        record.remove([OwnRoutesTests.key(2)])
        #expect(keys() == [OwnRoutesTests.key(1), OwnRoutesTests.key(3)])
        // Written anew by the reading.
        #expect(keys() == [OwnRoutesTests.key(1), OwnRoutesTests.key(3)])
    }

    @Test func aTornEndLosesOnlyItself() throws {
        defer { unlink(path) }
        let record = RouteRecord(path: path, report: { _ in })
        _ = record.open()
        record.add((1...3).map { (OwnRoutesTests.key($0), RoutePayload()) })
        var status = stat()
        #expect(stat(path, &status) == 0)
        #expect(truncate(path, status.st_size - 5) == 0)
        #expect(keys() == [OwnRoutesTests.key(1), OwnRoutesTests.key(2)])
    }

    @Test func garbageIsNoRoute() {
        defer { unlink(path) }
        let file = fopen(path, "w")
        fputs("what is this? \u{1}\u{2}\u{3}", file)
        fclose(file)
        #expect(keys().isEmpty)
    }

    @Test func doesNotGrowForEver() {
        defer { unlink(path) }
        let record = RouteRecord(path: path, report: { _ in })
        _ = record.open()
        for round in 0..<30_000 {
            record.add([(OwnRoutesTests.key(UInt32(round)), RoutePayload())])
            record.remove([OwnRoutesTests.key(UInt32(round))])
            record.compact { [] }
        }
        var status = stat()
        #expect(stat(path, &status) == 0)
        #expect(status.st_size < 2 << 20)
    }

    @Test func saysWhenItCannotWrite() {
        var told: [String] = []
        let record = RouteRecord(path: "/nonexistent/evpnd/record", report: { told.append($0) })
        #expect(record.open().isEmpty)
        #expect(told.count == 1)
    }
}
