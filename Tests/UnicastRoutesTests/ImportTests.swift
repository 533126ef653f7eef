import BGP
import EVPN
import NetTypes
import Testing
import UnicastRoutes

func address(_ text: String) throws -> SubnetAddress {
    let parts = text.split(separator: "/")
    let ip = try #require(IPAddress(String(parts[0])))
    let length = try #require(Int(parts[1]))
    return try #require(SubnetAddress(ip, length: length))
}
func prefix(_ text: String) throws -> IPPrefix { try #require(IPPrefix(text)) }

@Suite struct ImportTests {
    private func words(_ changes: [AdvertisementChange]) -> [String] {
        changes.map { "\($0.route == nil ? "-" : "+")\($0.key)" }
    }

    @Test func networksOfMatchingInterfaces() throws {
        var imported = ImportedPrefixes()
        #expect(words(imported.configure(NetlinkImport(interfaces: ["kube-lb*", "eth?"]))) == [])
        let lb = ImportInterface(
            name: "kube-lb0", isUp: true, addresses: [try address("192.0.2.17/24"), try address("2001:db8::5/64")])
        let eth = ImportInterface(name: "eth1", isUp: true, addresses: [try address("192.0.2.99/24")])
        let other = ImportInterface(name: "ens3", isUp: true, addresses: [try address("198.51.100.1/24")])
        #expect(words(imported.observe([lb, other])) == ["+192.0.2.0/24", "+2001:db8::/64"])
        // Another interface of the same network changes nothing for others, and neither does losing it.
        #expect(imported.observe([lb, other, eth]) == [])
        #expect(imported.rows.first?.interfaces == ["eth1", "kube-lb0"])
        #expect(imported.observe([lb, other]) == [])
        var down = lb
        down.isUp = false
        #expect(words(imported.observe([down, other, eth])) == ["-2001:db8::/64"])
        #expect(words(imported.configure(nil)) == ["-192.0.2.0/24"])
        #expect(imported.importedTotal == 2 && imported.withdrawnTotal == 2)
    }

    @Test func attributes() throws {
        var imported = ImportedPrefixes()
        _ = imported.configure(NetlinkImport(interfaces: ["*"]))
        let changes = imported.observe([
            ImportInterface(
                name: "a", isUp: true, addresses: [try address("192.0.2.1/32"), try address("2001:db8::1/128")])
        ])
        #expect(changes.map { $0.route?.attributes.attributes.origin } == [.igp, .igp])
        #expect(changes.map { $0.route?.attributes.attributes.nextHop?.description } == ["0.0.0.0", "::"])
    }

    @Test func addressesThatAreNoNetworks() throws {
        var imported = ImportedPrefixes()
        _ = imported.configure(NetlinkImport(interfaces: ["*"]))
        let odd = [
            "10.0.0.1/0", "127.0.0.1/8", "::1/128", "fe80::1/64", "169.254.1.1/16", "0.0.0.0/8", "224.0.0.1/4",
        ]
        #expect(
            imported.observe([ImportInterface(name: "a", isUp: true, addresses: try odd.map { try address($0) })]) == []
        )
    }
}
