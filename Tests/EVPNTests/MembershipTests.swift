// The own host route when there are more VNIs than a BGP message holds.

import BGP
import EVPN
import NetTypes
import Testing

@Suite struct MembershipTests {
    private func evi(_ number: UInt32) throws -> EVI {
        let vni = try #require(VNI(number))
        return EVI(
            vni: vni, rd: RouteDistinguisher(IPv4Address(rawValue: 1), UInt16(truncatingIfNeeded: number)),
            importTargets: .automatic(vni), exportTargets: [],
            domain: BroadcastDomain(vni: vni, device: .adopted(name: nil)), signalling: .membership)
    }

    /// Brings up `numbers` in one batch and returns the host route's attributes and the events.
    private func announce(_ numbers: [UInt32]) throws -> (PathAttributes, [ControlPlaneEvent]) {
        var overlay = Overlay(asn: 65000, routerID: IPv4Address(rawValue: 1), evis: try numbers.map(evi))
        overlay.membership = Membership(communityASN: 65000)
        var plane = ControlPlane()
        _ = plane.handle(.overlay(overlay), now: .zero)
        let vtep = try #require(IPAddress("192.0.2.1"))
        let output = plane.handle(
            .local(overlay.evis.map { .domain($0.vni, LocalDomain(vtep: vtep, device: "vxlan\($0.vni)")) }),
            now: .zero)
        #expect(output.advertisements.count == 1)
        let route = try #require(output.advertisements.first?.route)
        return (route.attributes.attributes, output.events)
    }

    @Test func bothFormsWhileThereIsRoom() throws {
        let (attributes, events) = try announce(Array(1...225))
        #expect(attributes.communities.count == 225)
        #expect(attributes.largeCommunities.count == 225)
        #expect(events.count == 1)
    }
    @Test func oneFormWhereRoomIsShort() throws {
        let (attributes, events) = try announce(Array(1...226) + [70000])
        #expect(attributes.communities.count == 226)
        #expect(attributes.largeCommunities == [LargeCommunity(65000, 0, 70000)])
        #expect(events.count == 1)
    }
    @Test func tooManyAreToldOnceAndTheRestIsAnnounced() throws {
        let (attributes, events) = try announce(Array(1...1000))
        #expect(attributes.communities.count == 900)
        #expect(attributes.largeCommunities.isEmpty)
        let vtep = try #require(IPAddress("192.0.2.1"))
        #expect(events == [.membershipTooLong(vtep: vtep, omitted: 100), .membershipChanged(vtep: vtep, vnis: 900)])
    }
}
