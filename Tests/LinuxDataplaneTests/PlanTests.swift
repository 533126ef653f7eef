// Desired and observed to the commands in between, without a kernel. `EVPND_REWRITE=1 swift test --filter PlanTests` rewrites the
// expectations in Tests/Fixtures/linux-plans.txt.

import EVPN
import Glibc
import NetTypes
import Netlink
import Testing

@testable import LinuxDataplane

/// Compares the plan of each case with its section of the golden file.
@Suite(.serialized) struct PlanTests {
    private static let path =
        "/" + #filePath.split(separator: "/").dropLast(2).joined(separator: "/")
        + "/Fixtures/linux-plans.txt"

    private func table(_ build: (inout EntryTable) -> Void, bridged: Bool = true, mayPrune: Bool = true) -> [String] {
        var table = EntryTable(domain: vni(100), vteps: VTEPTable())
        table.binding = DeviceBinding(vxlan: 3, bridge: bridged ? 2 : 0, vtep: ip("192.0.2.1"))
        table.mayPrune = mayPrune
        build(&table)
        guard let binding = table.binding else { return [] }
        table.markAdopted()
        table.bind(binding, canHoldNeighbors: true)
        return table.pendingOperations().map { $0.text(device: $0.interface == 3 ? "vx" : "br0") }
    }
    private func device(_ text: String, dst: String, flags: NeighborFlags = [.own, .externallyLearned]) -> FDBEntry {
        var entry = FDBEntry(interface: 3, mac: mac(text), state: .reachable, flags: flags)
        entry.destination = ip(dst)
        return entry
    }
    private func port(_ text: String, flags: NeighborFlags = .externallyLearned) -> FDBEntry {
        var entry = FDBEntry(interface: 3, mac: mac(text), state: .reachable, flags: flags)
        entry.master = 2
        return entry
    }
    private func links(_ build: (inout [Link]) -> Void) -> LinkTable {
        var underlay = Link(interface: 1, name: "eth0")
        underlay.mtu = 1500
        underlay.flags = 1
        var all = [underlay]
        build(&all)
        var table = LinkTable()
        for link in all { _ = table.insert(link) }
        _ = table.insert(InterfaceAddress(interface: 1, ip: ip("192.0.2.1"), prefixLength: 24))
        return table
    }
    private func vxlan(_ change: (inout Link) -> Void = { _ in }) -> Link {
        var link = Link(interface: 3, name: "vxlan100")
        link.kind = "vxlan"
        link.alias = "evpnd:vni=100"
        link.flags = 1
        link.mtu = 1450
        link.master = 2
        link.addressGenerationMode = 1
        var parameters = Link.VXLAN()
        parameters.vni = 100
        parameters.local = ip("192.0.2.1")
        parameters.port = 4789
        link.vxlan = parameters
        var port = Link.BridgePort()
        port.isLearning = false
        port.suppressesNeighbors = true
        link.port = port
        change(&link)
        return link
    }
    private func bridge(_ alias: String = "evpnd:vni=100") -> Link {
        var link = Link(interface: 2, name: "br100")
        link.kind = "bridge"
        link.alias = alias
        link.flags = 1
        link.addressGenerationMode = 1
        return link
    }
    private func brought(down link: Link) -> Link {
        var link = link
        link.flags = 0
        return link
    }
    private func managed(_ links: LinkTable) -> [String] {
        let domain = BroadcastDomain(
            vni: vni(100),
            device: .managed(ManagedDevice(vxlanName: "vxlan100", bridgeName: "br100", members: ["tap0"])),
            vtep: ip("192.0.2.1"))
        let plan = DevicePlan(domain, defaultVTEP: nil, links: links)
        return plan.operations.map(\.description) + (plan.problem.map { ["# \($0)"] } ?? [])
            + (plan.remedy.map { ["# -> \($0)"] } ?? []) + (plan.binding != nil ? ["# forwards"] : [])
            + plan.absentMembers.map { "# waits for \($0)" }
    }

    private func cases() -> [(String, [String])] {
        let (a, b) = ("02:00:00:00:00:0a", "02:00:00:00:00:0b")
        func wants(_ table: inout EntryTable, sticky: Bool = false) {
            table.want(flood: ip("192.0.2.2"), FloodMember(vni: vni(100)))
            table.want(flood: ip("192.0.2.3"), FloodMember(vni: vni(300)))
            table.want(mac(a), remote("192.0.2.2", sticky: sticky))
            table.want(mac(b), remote("192.0.2.3", vni: 300))
            table.want(neighbor: ip("10.0.0.1"), RemoteNeighbor(mac: mac(a), isRouter: true))
        }
        return [
            ("entries: into an empty kernel", table { wants(&$0) }),
            ("entries: unbridged", table({ wants(&$0) }, bridged: false)),
            ("entries: sticky", table { wants(&$0, sticky: true) }),
            (
                "entries: all there already, nothing to do",
                table { table in
                    table.want(mac(a), remote("192.0.2.2"))
                    table.observed(device: device(a, dst: "192.0.2.2"))
                    table.observed(port: port(a))
                }
            ),
            (
                "entries: other VTEP, half missing",
                table { table in
                    table.want(mac(a), remote("192.0.2.2"))
                    table.want(mac(b), remote("192.0.2.2"))
                    table.observed(device: device(a, dst: "192.0.2.9"))
                    table.observed(port: port(a))
                    table.observed(port: port(b))
                }
            ),
            (
                "entries: stale ones of ours, pruning allowed",
                table { table in
                    table.observed(device: device(a, dst: "192.0.2.9"))
                    table.observed(port: port(a))
                    table.observed(flood: device("00:00:00:00:00:00", dst: "192.0.2.9", flags: .own), isOurs: true)
                }
            ),
            (
                "entries: stale ones of ours, pruning not allowed yet",
                table(
                    { table in
                        table.observed(device: device(a, dst: "192.0.2.9"))
                        table.observed(port: port(a))
                        table.observed(
                            flood: device("00:00:00:00:00:00", dst: "192.0.2.9", flags: .own), isOurs: true)
                    }, mayPrune: false)
            ),
            (
                "entries: foreign ones are left alone, wanted or not",
                table { table in
                    table.want(mac(a), remote("192.0.2.2"))
                    for text in [a, b] {
                        var foreign = device(text, dst: "192.0.2.9", flags: .own)
                        foreign.state = .noARP
                        table.observed(device: foreign)
                    }
                    table.observed(flood: device("00:00:00:00:00:00", dst: "192.0.2.9", flags: .own), isOurs: false)
                }
            ),
            ("devices: none yet", managed(links { _ in })),
            (
                "devices: made, not set up",
                managed(
                    links {
                        $0 += [
                            bridge("evpnd:vni=100:new"),
                            vxlan {
                                $0.alias = "evpnd:vni=100:new"
                                $0.flags = 0
                                $0.master = 0
                                $0.port = nil
                                $0.addressGenerationMode = 0
                            },
                        ]
                    })
            ),
            ("devices: as they should be", managed(links { $0 += [bridge(), vxlan()] })),
            (
                "devices: a member appears",
                managed(links { $0 += [bridge(), vxlan(), Link(interface: 9, name: "tap0")] })
            ),
            (
                "devices: changed by somebody",
                managed(
                    links {
                        $0 += [
                            bridge(),
                            vxlan {
                                $0.name = "other"
                                $0.mtu = 9000
                                $0.vxlan?.local = ip("192.0.2.9")
                                $0.vxlan?.isLearning = true
                                $0.port?.isLearning = true
                            },
                        ]
                    })
            ),
            (
                "devices: with another UDP port, made again",
                managed(links { $0 += [bridge(), vxlan { $0.vxlan?.port = 8472 }] })
            ),
            ("devices: set down by somebody", managed(links { $0 += [bridge(), vxlan { $0.flags = 0 }] })),
            ("devices: the bridge set down", managed(links { $0 += [brought(down: bridge()), vxlan()] })),
            (
                "devices: somebody else's VXLAN device has the VNI",
                managed(
                    links {
                        $0 += [
                            bridge(),
                            vxlan {
                                $0.name = "mine"
                                $0.alias = ""
                            },
                        ]
                    })
            ),
            ("devices: a foreign bridge of that name", managed(links { $0 += [bridge("")] })),
        ]
    }

    @Test func golden() throws {
        var text = ""
        for (name, lines) in cases() { text += "## \(name)\n" + lines.map { $0 + "\n" }.joined() + "\n" }
        if getenv("EVPND_REWRITE") != nil {
            let file = open(PlanTests.path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
            try #require(file >= 0)
            _ = Array(text.utf8).withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
            close(file)
        }
        let file = open(PlanTests.path, O_RDONLY)
        try #require(file >= 0)
        defer { close(file) }
        var octets = [UInt8](repeating: 0, count: 1 << 16)
        let count = read(file, &octets, octets.count)
        #expect(text == String(decoding: octets[..<max(0, count)], as: UTF8.self))
    }
    /// plan(x, x) is empty: after every operation has been answered, nothing is left, whatever the order of wishes.
    @Test func nothingIsLeftAfterSuccess() {
        var table = EntryTable(domain: vni(100), vteps: VTEPTable())
        table.bind(DeviceBinding(vxlan: 3, bridge: 2, vtep: ip("192.0.2.1")), canHoldNeighbors: true)
        var state: UInt64 = 42
        func random(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        var flying: [EntryOperation] = []
        for _ in 0..<5000 {
            let address = MACAddress(rawValue: 0x0200_0000_0000 + UInt64(random(20)))
            let vtep = "192.0.2.\(2 + random(3))"
            switch random(5) {
            case 0: table.want(address, remote(vtep, vni: UInt32(100 + random(2)), sticky: random(2) == 0))
            case 1: table.want(address, nil)
            case 2: table.want(flood: ip(vtep), random(2) == 0 ? FloodMember(vni: vni(UInt32(100 + random(2)))) : nil)
            case 3:
                table.want(
                    neighbor: ip("10.0.0.\(random(9))"), random(2) == 0 ? RemoteNeighbor(mac: address) : nil)
            default:
                flying += table.takeOperations(limit: 1 + random(10))
                for operation in flying.prefix(random(flying.count + 1)) {
                    _ = table.completed(operation, nil)
                    flying.removeFirst()
                }
            }
        }
        for _ in 0..<10 {
            for operation in flying { _ = table.completed(operation, nil) }
            flying = table.takeOperations(limit: 1000)
        }
        #expect(flying.isEmpty && !table.hasQueued)
        #expect(table.pendingOperations().isEmpty)
        #expect(table.macs.values.allSatisfy { $0.isWanted && $0.isDone(bridged: true) })
        #expect(table.neighbors.values.allSatisfy { $0.want != nil && $0.want == $0.have })
    }
    /// What another program left becomes ours when it is wanted, whether seen before or after; what is not wanted stays.
    @Test(arguments: [true, false], [true, false]) func takesOverWantedFloods(isWantedFirst: Bool, takesOver: Bool) {
        var table = EntryTable(domain: vni(100), vteps: VTEPTable())
        table.takesOver = takesOver
        table.mayPrune = true
        let left = ["192.0.2.8", "192.0.2.9"].map {
            device("00:00:00:00:00:00", dst: $0, flags: .own)
        }
        if isWantedFirst { table.want(flood: ip("192.0.2.8"), FloodMember(vni: vni(100))) }
        for entry in left { table.observed(flood: entry, isOurs: false) }
        table.bind(DeviceBinding(vxlan: 3, bridge: 0, vtep: ip("192.0.2.1")), canHoldNeighbors: true)
        if !isWantedFirst { table.want(flood: ip("192.0.2.8"), FloodMember(vni: vni(100))) }
        var operations = table.takeOperations(limit: 10)
        #expect(operations.map(\.kind) == (takesOver ? [.addFlood] : []))
        for operation in operations { _ = table.completed(operation, nil) }
        table.want(flood: ip("192.0.2.8"), nil)
        operations = table.takeOperations(limit: 10)
        #expect(operations.map(\.kind) == (takesOver ? [.deleteFlood] : []))
        #expect(operations.allSatisfy { $0.address == ip("192.0.2.8") })
    }
    @Test func rowsAreSmall() {
        #expect(MemoryLayout<FDBRow>.stride <= 24)
    }

    @Test func forgetsVTEPsThatNoRowUses() {
        let vteps = VTEPTable(minimum: 8)
        var table = EntryTable(domain: vni(100), vteps: vteps)
        for number in 1...20 {
            table.want(mac("02:00:00:00:00:0a"), remote("192.0.2.\(number)"))
            if vteps.isCrowded { vteps.keep(Set(table.macs.values.flatMap { [$0.want.vtep, $0.have.vtep] })) }
        }
        #expect(vteps.count <= 8)
        #expect(table.macs.values.compactMap { vteps[$0.want.vtep] } == [ip("192.0.2.20")])
        // An index that was given back serves another address, and only that one.
        let index = vteps.index(of: ip("192.0.2.99"))
        #expect(vteps[index] == ip("192.0.2.99"))
        #expect(vteps[0] == nil && vteps[1000] == nil)
    }
}
