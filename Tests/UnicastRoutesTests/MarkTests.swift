import Testing
import UnicastRoutes

@Suite struct MarkTests {
    @Test func lines() {
        let mark = ExportMark(table: 4_294_967_295, proto: 186)
        #expect(ExportMark("\(mark)") == mark)
        for line in [
            "", "table", "table 100 proto", "table 255 proto 186", "table 0 proto 186", "table 100 proto 4",
            "table 100 proto 256", "table 4294967296 proto 186", "table -1 proto 186", "table 100 proto 186 x",
            "proto 186 table 100 ", "table 1e2 proto 186",
        ] {
            #expect(ExportMark(line) == nil, "\(line)")
        }
    }

    @Test func whatIsOurs() throws {
        let a = NetlinkExport.Rule(name: "a", table: 100)
        let b = NetlinkExport.Rule(name: "b", vrf: "red")
        var kernel = TestKernel([a, b])
        #expect(kernel.table.marks == [ExportMark(table: 100, proto: 186)])
        kernel.table.setVRFs(["red": VRFDevice(interface: 7, table: 200)])
        #expect(kernel.table.marks == [ExportMark(table: 100, proto: 186), ExportMark(table: 200, proto: 186)])
        try kernel.tell("10.0.0.0/8")
        kernel.settle()
        // Another number: both, until the last route has changed.
        kernel.table.configure(NetlinkExport(routeProtocol: 99, rules: [a]))
        #expect(
            kernel.table.marks == [
                ExportMark(table: 100, proto: 99), ExportMark(table: 100, proto: 186),
                ExportMark(table: 200, proto: 186),
            ])
        kernel.settle()
        #expect(kernel.table.marks == [ExportMark(table: 100, proto: 99)])
        // Nothing: as long as there are routes.
        kernel.table.configure(nil)
        #expect(kernel.table.marks == [ExportMark(table: 100, proto: 99)])
        kernel.settle()
        #expect(kernel.table.marks.isEmpty)
    }
}
