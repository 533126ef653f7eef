// After a start: what the bridge has of an earlier evpnd stays as long as it may be wanted yet, and no longer.

import EVPN
import NetTypes
import OpenFlow
import OpenFlowPipeline
import Testing

@Suite struct FoundTests {
    /// Who is configured and attached is known again, of other VTEPs nothing.
    private func restarted(
        _ old: Lab, groups: Bool = false, bridge: FlowTables? = nil, change: (inout Lab) -> Void = { _ in }
    ) -> Lab {
        let bridge = bridge ?? old.tables
        var lab = old
        lab.tables = FlowTables()
        change(&lab)
        lab.configure()
        lab.ports(1, 2, 3, 4, 5, 6, 7)
        lab.tables.groups(groups)
        _ = lab.tables.handle(.found(bridge.allFlows, bridge.allGroups))
        #expect(lab.tables.flowCount == lab.tables.allFlows.count)
        return lab
    }
    private func small() -> Lab {
        var lab = Lab()
        lab.evi(10)
        lab.vrf("v", 20)
        lab.host(1, 10, "02:00:00:00:10:01", "10.0.10.11")
        lab.router(3, "v", "02:00:00:00:20:03", ["10.1.0.0/16"])
        lab.configure()
        lab.ports(1, 2, 3, 4, 5, 6, 7)
        return lab
    }
    private func has(_ lab: Lab, _ match: String, _ actions: String) -> Bool {
        lab.flows.contains { $0.contains(match) && $0.contains(actions) }
    }

    @Test("nothing changes while all comes back", arguments: [false, true], [false, true])
    func comesBack(compatible: Bool, groups: Bool) {
        let old = fullLab(compatible: compatible, groups: groups)
        let (flows, all) = (old.tables.allFlows, old.tables.allGroups)
        var lab = restarted(old, groups: groups)
        #expect(lab.tables.allFlows == flows && lab.tables.allGroups == all)
        #expect(lab.tables.keptCount > 5)
        let (a, b) = ("192.0.2.2", "192.0.2.3")
        let rows = [
            prefixRow("v", "10.8.0.0/16", tunnel(b, 30, "02:00:00:00:99:03")), floodRow(10, b, vni: 1010),
            prefixRow("v", "10.7.0.0/16", .host(ip("10.0.10.13"), on: vni(10))),
            macRow(12, "02:00:00:00:12:03", b, vni: 1012), prefixRow("w", "10.0.0.0/8", .table(vrf: "v")),
            prefixRow("v", "10.9.0.9/32", tunnel(b, 20, "02:00:00:00:99:03")),
            neighborRow(10, "10.0.10.13", "02:00:00:00:10:03"),
            prefixRow("v", "::/0", tunnel(a, 20, "02:00:00:00:99:02")),
            macRow(10, "02:00:00:00:10:03", a), floodRow(10, a), floodRow(12, b),
            prefixRow("v", "10.8.0.0/16", tunnel(a, 20, "02:00:00:00:99:02"), tunnel(b, 30, "02:00:00:00:99:03")),
            prefixRow("v", "2001:db8:8::/48", tunnel(a, 20, "02:00:00:00:99:02")),
            prefixRow("v", "2001:db8:8::/48", tunnel(a, 20, "02:00:00:00:99:02"), tunnel(b, 30, "02:00:00:00:99:03")),
            neighborRow(10, "2001:db8:10::13", "02:00:00:00:10:03"),
            prefixRow("v", "0.0.0.0/0", tunnel(a, 20, "02:00:00:00:99:02")),
        ]
        for row in rows {
            let update = lab.rows(row)
            #expect(update.flows.isEmpty && update.removedGroups.isEmpty, "\(row): \(update.flows)")
            #expect(lab.tables.allFlows == flows, "\(row)")
        }
        #expect(Set(lab.tables.allGroups).isSuperset(of: all))
        #expect(lab.tables.keptCount == 0)
        let last = lab.tables.handle(.complete)
        #expect(last.flows.isEmpty && last.groups.isEmpty)
        #expect(lab.tables.allFlows == flows && lab.tables.allGroups == all)
        #expect(lab.tables.flowCount == flows.count)
    }

    @Test("what does not come back is kept until everything has come") func completes() {
        var lab = restarted(fullLab(groups: true), groups: true)
        let update = lab.tables.handle(.complete)
        #expect(!update.flows.isEmpty && update.removedGroups.count == 1)
        #expect(lab.tables.keptCount == 0 && lab.tables.allGroups.isEmpty)
        #expect(!lab.flows.contains { $0.contains("192.0.2.") && $0.contains("tun_dst") })
        #expect(lab.tables.flowCount == lab.tables.allFlows.count)
        // Nothing is kept that is found later.
        let later = lab.tables.handle(.found(fullLab().tables.allFlows, []))
        #expect(later.flows.isEmpty && lab.tables.keptCount == 0)
    }

    @Test("a port that was another domain's client's, and packets of that domain") func portOfAnother() {
        let old = small()
        let lab = restarted(old) {
            $0.bridged = []
            $0.evis = []
            $0.evi(99)
            $0.host(1, 99, "02:00:00:00:99:01")
        }
        #expect(has(lab, "in_port=1 ", "set_field:0x63->reg0"))
        #expect(!lab.flows.contains { $0.contains("reg0=0xa,") || $0.contains("0xa->reg0") })
    }

    @Test("a client at another port, also one that is routed to") func otherPort() {
        var old = small()
        old.rows(prefixRow("v", "10.1.0.0/16", tunnel("192.0.2.2", 20, "02:00:00:00:99:02")))
        let lab = restarted(old) {
            ($0.bridged, $0.routed) = ([], [])
            $0.host(2, 10, "02:00:00:00:10:01")
            $0.router(4, "v", "02:00:00:00:20:03", ["10.1.0.0/16"])
        }
        #expect(has(lab, "dl_dst=02:00:00:00:10:01", "output:2"))
        #expect(has(lab, "nw_dst=10.1.0.0/16", "output:4"))
        #expect(!lab.flows.contains { $0.contains("in_port=1 ") || $0.contains("in_port=3 ") })
        #expect(!lab.flows.contains { $0.contains("output:1") || $0.contains("output:3") })
    }

    @Test("a client that is gone") func goneClient() {
        var old = small()
        old.rows(macRow(10, "02:00:00:00:10:09", "192.0.2.2"), floodRow(10, "192.0.2.2"))
        var lab = restarted(old) { ($0.bridged, $0.routed) = ([], []) }
        #expect(!lab.flows.contains { $0.contains("output:1") || $0.contains("output:3") })
        #expect(!lab.flows.contains { $0.contains("in_port=1 ") || $0.contains("in_port=3 ") })
        // What others have is kept.
        #expect(has(lab, "dl_dst=02:00:00:00:10:09", "192.0.2.2"))
        #expect(has(lab, "reg0=0xa,reg1=0x1 ", "192.0.2.2"))
        #expect(has(lab, "tun_id=0xa", "0xa->reg0"))
        // It goes with its domain.
        lab.evis = []
        #expect(lab.configure().flows.count >= 3)
        #expect(!lab.flows.contains { $0.contains("reg0=0xa,") || $0.contains("0xa->reg0") })
        #expect(lab.tables.keptCount == 0)
    }

    @Test("what moves between VTEPs, to this host and away from it") func moves() {
        var old = small()
        let (away, here) = ("02:00:00:00:10:09", "02:00:00:00:10:08")
        old.rows(
            macRow(10, away, "192.0.2.2"), macRow(10, here, "192.0.2.2"),
            prefixRow("v", "10.9.0.0/16", tunnel("192.0.2.2", 20, "02:00:00:00:99:02")),
            prefixRow("v", "10.8.0.0/16", tunnel("192.0.2.2", 20, "02:00:00:00:99:02")))
        var lab = restarted(old) {
            $0.bridged = []
            $0.host(2, 10, here)
            $0.router(4, "v", "02:00:00:00:20:04", ["10.8.0.0/16"])
        }
        #expect(lab.flows.count { $0.contains("dl_dst=\(here)") } == 1)
        #expect(has(lab, "dl_dst=\(here)", "output:2"))
        #expect(has(lab, "nw_dst=10.8.0.0/16", "output:4") && !has(lab, "nw_dst=10.8.0.0/16", "tun_dst"))
        lab.rows(
            macRow(10, away, "192.0.2.3"), macRow(10, "02:00:00:00:10:01", "192.0.2.3"),
            prefixRow("v", "10.9.0.0/16", tunnel("192.0.2.3", 20, "02:00:00:00:99:03")))
        #expect(has(lab, "dl_dst=\(away)", "192.0.2.3") && has(lab, "nw_dst=10.9.0.0/16", "192.0.2.3"))
        // It was here, and nobody has it here any more.
        #expect(lab.flows.count { $0.contains("dl_dst=02:00:00:00:10:01") } == 1)
        // What has been wanted once goes when it is wanted no more.
        lab.rows(macRow(10, away, nil), prefixRow("v", "10.9.0.0/16"))
        #expect(!lab.flows.contains { $0.contains(away) || $0.contains("nw_dst=10.9.0.0/16") })
    }

    @Test("a flood list keeps what was found until that is known or gone, and gets what is new") func floodLists() {
        var old = small()
        old.rows(floodRow(10, "192.0.2.2"), floodRow(10, "192.0.2.3"))
        var lab = restarted(old) { $0.host(2, 10, "02:00:00:00:10:02") }
        #expect(has(lab, "reg0=0xa,reg1=0x1 ", "output:1,output:2,"))
        lab.rows(floodRow(10, "192.0.2.4"), floodRow(10, "192.0.2.2"))
        for vtep in 2...4 { #expect(has(lab, "reg0=0xa,reg1=0x1 ", "192.0.2.\(vtep)")) }
        #expect(lab.tables.keptCount == 1)
        lab.rows(.flood(FloodKey(vni: vni(10), vtep: ip("192.0.2.2")), nil))
        #expect(!has(lab, "reg0=0xa,reg1=0x1 ", "192.0.2.2"))
        #expect(lab.tables.handle(.complete).flows.count == 1)
        #expect(!has(lab, "reg0=0xa,reg1=0x1 ", "192.0.2.3") && has(lab, "reg0=0xa,reg1=0x1 ", "192.0.2.4"))
    }

    @Test(
        "some of the paths that were found are no reason to leave the others, another path is",
        arguments: [false, true])
    func equalPaths(groups: Bool) {
        let paths = (2...5).map { tunnel("192.0.2.\($0)", 20, "02:00:00:00:99:0\($0)") }
        let key = PrefixKey(vrf: "v", prefix: prefix("10.9.0.0/16"))
        func set(_ lab: inout Lab, _ paths: [RoutedNexthop]) -> FlowTables.Update {
            lab.tables.handle(.rows([.prefix(key, RemotePrefix(nexthops: paths))]))
        }
        var old = small()
        old.tables.groups(groups)
        _ = set(&old, Array(paths[0..<3]))
        var lab = restarted(old, groups: groups)
        #expect(set(&lab, [paths[1]]).flows.isEmpty)
        #expect(set(&lab, [paths[1], paths[2]]).flows.isEmpty)
        #expect(lab.flows == old.flows)
        var other = lab
        #expect(!set(&other, [paths[1], paths[3]]).flows.isEmpty)
        #expect(!other.flows.contains { $0.contains("192.0.2.2") })
        #expect(set(&lab, Array(paths[0..<3])).flows.isEmpty)
        // Now it is known: later changes count.
        #expect(!set(&lab, [paths[1]]).flows.isEmpty)
        #expect(has(lab, "nw_dst=10.9.0.0/16", "192.0.2.3"))
        #expect(lab.tables.flowCount == lab.tables.allFlows.count)
        // Groups go once everything is known: no flow goes with them.
        #expect(lab.tables.handle(.complete).removedGroups.count == (groups ? 1 : 0))
    }

    @Test("what is gone from the bridge is not put back") func readAgain() {
        var lab = restarted(fullLab())
        let kept = lab.tables.keptCount
        let half = lab.tables.allFlows.filter { !$0.key.match.description.contains("nw_dst=10.8.0.0") }
        _ = lab.tables.handle(.found(half, []))
        #expect(lab.tables.keptCount > 0 && lab.tables.keptCount < kept)
        _ = lab.tables.handle(.found([], []))
        #expect(lab.tables.keptCount == 0 && lab.tables.flowCount == lab.tables.allFlows.count)
        #expect(!lab.flows.contains { $0.contains("tun_dst") })
    }
}
