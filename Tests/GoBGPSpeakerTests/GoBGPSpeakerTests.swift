// The speaker against a gobgpd of either generation that does what the test says, also what the real one does once a year.

import AsyncIO
import BGP
import BGPEngine
import EVPN
import FakeServers
import Glibc
import GoBGPAPI
import NetTypes
import Telemetry
import Testing

@testable import GoBGPSpeaker

@Suite(.serialized) struct GoBGPSpeakerTests {
    /// A gobgpd in this process.
    final class FakeGoBGP {
        let generation: APIGeneration
        let server: GRPCServer
        var global = Global(asn: 65000, routerID: IPv4Address(rawValue: 0x0a63_0001), listenPort: 179)
        var table: [APIPath] = []
        var peers: [Peer] = []
        var added: [APIPath] = []
        var deleted: [RouteKey] = []
        var watchers: [ServerCall] = []
        /// Whether paths that are added show up.
        var echoes = true
        /// Octets of the first message that are sent before the connection drops.
        var cutAt: Int?
        /// Octets of the first message that are sent before `resume`.
        var pauseAt: Int?
        var resume: (() -> Void)?
        var answersPeers = true
        /// Whether something that is no event follows the table at once.
        var spoilsWatch = false
        /// Whether the table does not fit into one message.
        var isTooLarge = false
        var duringList: (() -> Void)?

        init(_ generation: APIGeneration, loop: EventLoop, path: String) {
            self.generation = generation
            server = GRPCServer(loop: loop, path: path)
            server.onMessage = { [weak self] in self?.serve($0, $1) }
        }
        private func serve(_ call: ServerCall, _ message: [UInt8]) {
            let parts = call.path.split(separator: "/").map(String.init)
            guard parts.count == 2, parts[0] == generation.service, let method = APIMethod(rawValue: parts[1]) else {
                return call.end(12, "unknown service")
            }
            func reply(_ message: some APIMessage) {
                call.send(message.encoded(generation))
                call.end()
            }
            switch method {
            case .getBgp: reply(GetBgpReply(global))
            case .watchEvent:
                if isTooLarge {
                    let request = try? WatchEventRequest(decoding: message, generation)
                    if request?.filters.first?.includesPresent != false {
                        return call.end(8, "trying to send message larger than max (875134176 vs. 268435456)")
                    }
                    watchers.append(call)
                    var event = PeerEvent()
                    event.kind = .endOfPresent
                    return call.send(WatchEventReply(event).encoded(generation))
                }
                let bytes = WatchEventReply(table).encoded(generation)
                if let cutAt {
                    let count = bytes.count
                    let head = [0] + [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: count >> $0) }
                    call.sendRaw(head + bytes.prefix(cutAt))
                    call.disconnect()
                } else if let pauseAt {
                    let count = bytes.count
                    let head = [0] + [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: count >> $0) }
                    call.sendRaw(head + bytes.prefix(pauseAt))
                    resume = { call.sendRaw(Array(bytes.dropFirst(pauseAt))) }
                    watchers.append(call)
                } else {
                    watchers.append(call)
                    call.send(bytes)
                    if spoilsWatch { call.send([0xff]) }
                }
            case .listPeer:
                guard answersPeers else { return }
                for peer in peers { call.send(ListPeerReply(peer).encoded(generation)) }
                call.end()
            case .listPath:
                guard let request = try? ListPathRequest(decoding: message, generation) else { return call.end(3) }
                if request.family == .ipv6Unicast { return call.end(2, "address family: ipv6-unicast not supported") }
                duringList?()
                for path in table where path.key.family == request.family {
                    var best = path
                    best.isBest = true
                    var worse = Self.worse(path)
                    worse.isBest = false
                    var destination = Destination()
                    destination.paths = [.success(worse), .success(best)]
                    call.send(ListPathReply(destination).encoded(generation))
                }
                call.end()
            case .addPath:
                guard case .success(let path)?? = (try? AddPathRequest(decoding: message, generation))?.path else {
                    return call.end(3, "bad path")
                }
                if path.attributes.nextHop == nil { return call.end(2, "nexthop not found") }
                added.append(path)
                reply(AddPathReply())
                if echoes { tell(path) }
            case .deletePath:
                guard case .success(let path)?? = (try? DeletePathRequest(decoding: message, generation))?.path else {
                    return call.end(3, "bad path")
                }
                deleted.append(path.key)
                reply(EmptyMessage())
            default: call.end(12, "not here")
            }
        }
        func tell(_ path: APIPath) {
            for call in watchers { call.send(WatchEventReply([path]).encoded(generation)) }
        }
        static func worse(_ path: APIPath) -> APIPath {
            var path = path
            path.attributes.nextHop = .v4(IPv4Address(rawValue: 0x0a63_0077))
            return path
        }
        static func peer(established: Bool) -> Peer {
            var peer = Peer()
            peer.state.neighborAddress = "10.99.0.9"
            peer.state.peerASN = 65000
            peer.state.session = established ? .established : .active
            var family = PeerFamily(.l2vpnEVPN)
            family.endOfRIBReceived = established
            peer.families = [family]
            return peer
        }
    }

    final class Harness {
        let loop = EventLoop()
        let path = "/tmp/evpnd-test-\(getpid())-\(UInt32.random(in: 0 ... .max)).gobgp"
        let state: String
        let fake: FakeGoBGP
        let speaker: GoBGPSpeaker
        var routes: [RouteKey: RemotePath] = [:]
        var changes = 0
        var isSynchronized = false

        init(_ generation: APIGeneration, hold: Int = 60, _ change: (inout GoBGPSettings) -> Void = { _ in }) {
            state = path + ".state"
            mkdir(state, 0o700)
            fake = FakeGoBGP(generation, loop: loop, path: path)
            var settings = GoBGPSettings()
            settings.endpoint = .unix(path: path)
            settings.holdSeconds = hold
            change(&settings)
            let configuration = BGPConfiguration(asn: 65000, routerID: IPv4Address(rawValue: 0x0a63_0001))
            speaker = GoBGPSpeaker(
                loop: loop, log: Log(level: .error) { _ in }, metrics: MetricRegistry(), stateDirectory: state,
                configuration: configuration, settings: settings)
            speaker.onRoutes = { [weak self] changes in
                for change in changes { self?.routes[change.key] = change.path }
                self?.changes += changes.count
            }
            speaker.onInitialSync = { [weak self] in self?.isSynchronized = true }
            speaker.configure(configuration, settings)
        }
        deinit {
            unlink(state + "/gobgp-routes")
            rmdir(state)
        }
        func run(_ seconds: Int = 10, until isDone: @escaping () -> Bool) -> Bool {
            let deadline = loop.now + .seconds(seconds)
            var result = isDone()
            if result { return true }
            func poll() {
                result = isDone()
                if result || loop.now > deadline { return loop.stop() }
                loop.schedule(after: .milliseconds(2)) { poll() }
            }
            loop.schedule(after: .milliseconds(1)) { poll() }
            loop.run()
            return result
        }
        /// Lets `milliseconds` pass.
        func pass(_ milliseconds: Int) {
            loop.schedule(after: .milliseconds(milliseconds)) { self.loop.stop() }
            loop.run()
        }
        func stop() {
            speaker.stop(withdrawing: false) {}
            fake.server.stop()
        }
    }

    static func attributes(_ vtep: UInt32) -> PathAttributes {
        var attributes = PathAttributes()
        attributes.origin = .igp
        attributes.nextHop = .v4(IPv4Address(rawValue: vtep))
        attributes.localPreference = 100
        return attributes
    }
    static func path(_ number: UInt32, vtep: UInt32 = 0x0a63_0002, isLocal: Bool = false) -> APIPath {
        var path = APIPath(key: OwnRoutesTests.key(number), attributes: attributes(vtep))
        if !isLocal {
            path.neighbor = .v4(IPv4Address(rawValue: 0x0a63_0009))
            path.sourceASN = 65000
            path.sourceID = IPv4Address(rawValue: 0x0a63_0009)
        }
        return path
    }
    static func change(_ number: UInt32) -> AdvertisementChange {
        AdvertisementChange(
            key: OwnRoutesTests.key(number),
            route: Advertisement(payload: RoutePayload(), attributes: AttributeSet(attributes(0x0a63_0001))))
    }

    @Test(arguments: APIGeneration.allCases) func bothGenerationsAreFoundOut(_ generation: APIGeneration) {
        let harness = Harness(generation)
        defer { harness.stop() }
        harness.fake.table = [Self.path(1), Self.path(2)]
        harness.fake.peers = [FakeGoBGP.peer(established: true)]
        #expect(harness.fake.server.start())
        #expect(harness.run { harness.isSynchronized && harness.routes.count == 2 })
        #expect(harness.speaker.generation == generation)
        #expect(harness.routes[OwnRoutesTests.key(1)]?.neighbor == IPAddress("10.99.0.9"))
        #expect(harness.speaker.neighbors().map(\.state) == [.established])
        #expect(harness.speaker.problem == nil)
        // An update in place, a withdrawal that carries attributes, and a route of our own.
        harness.fake.tell(Self.path(1, vtep: 0x0a63_0003))
        var withdrawal = Self.path(2)
        withdrawal.isWithdraw = true
        harness.fake.tell(withdrawal)
        harness.speaker.advertise([Self.change(7)])
        #expect(harness.run { harness.routes.count == 1 && harness.fake.added.count == 1 })
        let nextHop = harness.routes[OwnRoutesTests.key(1)]?.attributes.attributes.nextHop
        #expect(nextHop == .v4(IPv4Address(rawValue: 0x0a63_0003)))
        #expect(harness.fake.added[0].attributes == Self.attributes(0x0a63_0001))
        harness.speaker.advertise([AdvertisementChange(key: OwnRoutesTests.key(7), route: nil)])
        #expect(harness.run { harness.fake.deleted == [OwnRoutesTests.key(7)] })
    }

    @Test func theHoldTimeEndsWithinASnapshot() {
        let harness = Harness(.v3, hold: 1)
        defer { harness.stop() }
        harness.fake.table = (1...50).map { Self.path($0) }
        harness.fake.peers = [FakeGoBGP.peer(established: true)]
        #expect(harness.fake.server.start())
        #expect(harness.run { harness.routes.count == 50 && harness.isSynchronized })
        harness.fake.server.stop()
        harness.fake.watchers = []
        harness.fake.table = (40...80).map { Self.path($0) }
        harness.fake.pauseAt = 1000
        #expect(harness.fake.server.start())
        #expect(harness.run { harness.fake.resume != nil })
        harness.pass(1300)
        #expect(harness.routes.count == 50)
        harness.fake.resume?()
        // What came before the hold time ended counts as much as what came after.
        #expect(harness.run { Set(harness.routes.keys) == Set((40...80).map { OwnRoutesTests.key($0) }) })
    }

    @Test func connectionsThatEndedAreLetGo() throws {
        let harness = Harness(.v3)
        defer { harness.stop() }
        harness.fake.table = [Self.path(1)]
        #expect(harness.fake.server.start())
        for _ in 0..<8 {
            #expect(harness.run { harness.speaker.phase == .live })
            weak let old = harness.speaker.connection
            #expect(old != nil)
            harness.fake.server.stop()
            harness.fake.watchers = []
            #expect(harness.run { harness.speaker.phase != .live })
            #expect(harness.fake.server.start())
            try #require(harness.run { old == nil })
        }
    }

    @Test func aSnapshotThatIsCutChangesNothing() {
        let harness = Harness(.v3)
        defer { harness.stop() }
        harness.fake.table = (1...50).map { Self.path($0) }
        harness.fake.peers = [FakeGoBGP.peer(established: true)]
        #expect(harness.fake.server.start())
        #expect(harness.run { harness.routes.count == 50 && harness.isSynchronized })
        // It comes back with other routes, and is cut in the middle of telling them, some times.
        let before = harness.changes
        harness.fake.server.stop()
        harness.fake.watchers = []
        harness.fake.table = (40...80).map { Self.path($0) }
        harness.fake.cutAt = 1000
        #expect(harness.fake.server.start())
        harness.pass(600)
        #expect(harness.changes == before)
        #expect(harness.routes.count == 50)
        harness.fake.cutAt = nil
        #expect(harness.run { Set(harness.routes.keys) == Set((40...80).map { OwnRoutesTests.key($0) }) })
    }

    @Test func anEmptyTableAfterARestartKeepsForwardingUntilTheSessionsAreBack() {
        let harness = Harness(.v3)
        defer { harness.stop() }
        harness.fake.table = [Self.path(1), Self.path(2)]
        harness.fake.peers = [FakeGoBGP.peer(established: true)]
        #expect(harness.fake.server.start())
        harness.speaker.advertise([Self.change(7)])
        #expect(harness.run { harness.routes.count == 2 && harness.fake.added.count == 1 })
        harness.fake.server.stop()
        harness.fake.watchers = []
        harness.fake.added = []
        harness.fake.table = []
        harness.fake.peers = [FakeGoBGP.peer(established: false)]
        #expect(harness.run { harness.speaker.problem != nil })
        #expect(harness.fake.server.start())
        // Within a second of its return our own route is there again.
        #expect(harness.run(1) { harness.fake.added.count == 1 })
        harness.pass(1500)
        #expect(harness.routes.count == 2)
        harness.fake.tell(Self.path(1))
        harness.fake.peers = [FakeGoBGP.peer(established: true)]
        #expect(harness.run { harness.routes.count == 1 })
        #expect(harness.routes[OwnRoutesTests.key(1)] != nil)
    }

    @Test func withoutGoBGPForwardingIsHeldForTheHoldTime() {
        let harness = Harness(.v3, hold: 1)
        defer { harness.stop() }
        harness.fake.table = [Self.path(1)]
        harness.fake.peers = [FakeGoBGP.peer(established: true)]
        #expect(harness.fake.server.start())
        #expect(harness.run { harness.routes.count == 1 })
        harness.fake.server.stop()
        harness.pass(600)
        #expect(harness.routes.count == 1)
        #expect(harness.run(3) { harness.routes.isEmpty })
    }

    @Test func aDaemonThatIsThereAndSilentIsGivenUp() {
        let harness = Harness(.v4)
        defer { harness.stop() }
        harness.fake.answersPeers = false
        #expect(harness.fake.server.start())
        #expect(harness.run { harness.fake.watchers.count == 1 })
        // ListPeer is not answered: a second connection follows.
        #expect(harness.run(30) { harness.fake.watchers.count == 2 })
    }

    /// Else a gobgpd whose watch cannot be read would tell its whole table ten times a second.
    @Test func aTableThatIsLostAtOnceIsAskedForLessAndLess() {
        let harness = Harness(.v3)
        defer { harness.stop() }
        harness.fake.table = (1...50).map { Self.path($0) }
        harness.fake.spoilsWatch = true
        #expect(harness.fake.server.start())
        #expect(harness.run { harness.fake.watchers.count == 1 })
        let first = harness.loop.now
        #expect(harness.run { harness.fake.watchers.count == 5 })
        // 100 + 200 + 400 + 800 ms
        #expect(harness.loop.now - first >= .milliseconds(1450))
        harness.fake.spoilsWatch = false
        #expect(harness.run { harness.speaker.problem == nil && harness.routes.count == 50 })
    }

    @Test func aMessageAboveTheLimitNamesIt() {
        let harness = Harness(.v3) { $0.messageLimit = 5000 }
        defer { harness.stop() }
        harness.fake.table = (1...100).map { Self.path($0) }
        #expect(harness.fake.server.start())
        #expect(harness.run { harness.speaker.problem?.contains("above the limit of 5000 octets") ?? false })
        #expect(harness.speaker.problem?.contains("maxMessage") == true)
        #expect(harness.routes.isEmpty)
    }

    @Test(arguments: APIGeneration.allCases) func aTableTooLargeForOneMessageIsListed(_ generation: APIGeneration) {
        let harness = Harness(generation)
        defer { harness.stop() }
        harness.fake.table = (1...300).map { Self.path($0) }
        harness.fake.peers = [FakeGoBGP.peer(established: true)]
        harness.fake.isTooLarge = true
        // What happens while the list is on its way is newer than the list.
        harness.fake.duringList = { [unowned fake = harness.fake] in
            fake.duringList = nil
            fake.tell(Self.path(7, vtep: 0x0a63_0042))
            var withdrawal = Self.path(8)
            withdrawal.isWithdraw = true
            fake.tell(withdrawal)
        }
        #expect(harness.fake.server.start())
        #expect(harness.run { harness.isSynchronized && harness.routes.count == 299 })
        func vtep(_ number: UInt32) -> IPAddress? {
            harness.routes[OwnRoutesTests.key(number)]?.attributes.attributes.nextHop
        }
        #expect(vtep(1) == IPAddress("10.99.0.2"))
        #expect(vtep(7) == IPAddress("10.99.0.66"))
        #expect(vtep(8) == nil)
        #expect(harness.speaker.problem == nil)
        harness.fake.tell(Self.path(400))
        #expect(harness.run { harness.routes.count == 300 })
    }

    @Test func theForcedGenerationIsNotGuessedAround() {
        let harness = Harness(.v4) { $0.generation = .v3 }
        defer { harness.stop() }
        #expect(harness.fake.server.start())
        #expect(harness.run { harness.speaker.problem?.contains("does not speak API v3") ?? false })
    }

    @Test func anAddedPathThatNeverShowsUpIsReported() {
        let harness = Harness(.v3)
        defer { harness.stop() }
        harness.fake.echoes = false
        #expect(harness.fake.server.start())
        harness.speaker.advertise([Self.change(1)])
        #expect(harness.run { harness.speaker.refusedRoutes.map(\.reason) == [OwnRoutes.rejected] })
        harness.pass(500)
        #expect(harness.fake.added.count == 1)
    }

    @Test func aPathThatGoBGPRefusesIsReportedWithItsWords() {
        let harness = Harness(.v3)
        defer { harness.stop() }
        #expect(harness.fake.server.start())
        var change = Self.change(1)
        change.route?.attributes = AttributeSet(PathAttributes())
        harness.speaker.advertise([change, Self.change(2)])
        #expect(harness.run { harness.fake.added.count == 1 && harness.speaker.refusedRoutes.count == 1 })
        #expect(harness.speaker.refusedRoutes.first?.reason.contains("nexthop not found") == true)
    }

    @Test func routesOfAnEarlierRunThatNobodyWantsAreLeftToTheirEnd() {
        let harness = Harness(.v3)
        #expect(harness.fake.server.start())
        harness.speaker.advertise([Self.change(1), Self.change(2)])
        #expect(harness.run { harness.fake.added.count == 2 })
        harness.speaker.stop(withdrawing: true) {}
        #expect(harness.run { harness.fake.deleted.count == 2 })
        harness.fake.server.stop()
    }

    @Test func whatEVPNConnectorHasLeftGoesAfterOursIsKnown() {
        let vtep = IPAddress("10.99.0.1")!
        let harness = Harness(.v3) { $0.predecessor = Predecessor(asn: 65000, vtep: vtep) }
        defer { harness.stop() }
        func path(_ rd: String, _ number: UInt64, _ address: IPAddress, neighbor: IPAddress? = nil) -> APIPath {
            let route = EVPNRoute.macIP(
                MACIPRoute(
                    rd: RouteDistinguisher(rd)!, mac: MACAddress(rawValue: 0x0200_0000_0000 | number), label1: 100))
            var path = APIPath(key: RouteKey(route), payload: RoutePayload(route))
            path.attributes.nextHop = address
            path.neighbor = neighbor
            return path
        }
        let left = path("65000:100", 1, vtep)
        let others = [
            path("65000:100", 2, IPAddress("10.99.0.2")!), path("65000:101", 3, vtep), path("65001:100", 4, vtep),
            path("10.99.0.1:100", 5, vtep), path("65000:100", 6, vtep, neighbor: IPAddress("10.99.0.9")!),
        ]
        harness.fake.table = others + [left]
        harness.fake.peers = [FakeGoBGP.peer(established: true)]
        #expect(harness.fake.server.start())
        harness.speaker.advertise([Self.change(1)])
        #expect(harness.run { harness.isSynchronized && harness.fake.added.count == 1 })
        #expect(harness.fake.deleted.isEmpty)
        #expect(harness.run(20) { !harness.fake.deleted.isEmpty })
        harness.pass(200)
        #expect(harness.fake.deleted == [left.key])
    }

    @Test func bgpThatIsNotStartedIsWaitedFor() {
        let harness = Harness(.v3)
        defer { harness.stop() }
        harness.fake.global = Global()
        #expect(harness.fake.server.start())
        #expect(harness.run { harness.speaker.problem?.contains("BGP is not started") ?? false })
        harness.fake.global = Global(asn: 65000, routerID: IPv4Address(rawValue: 1), listenPort: 179)
        #expect(harness.run { harness.speaker.problem == nil })
    }
}
