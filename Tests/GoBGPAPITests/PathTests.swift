import BGP
import GoBGPAPI
import NetTypes
import Testing

struct PathTests {
    static func octets(_ community: ExtendedCommunity) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: community.rawValue >> (56 - 8 * UInt64($0))) }
    }

    private func again(_ path: APIPath, _ generation: APIGeneration) throws -> DecodedPath? {
        try AddPathRequest(decoding: AddPathRequest(path).encoded(generation), generation).path
    }

    @Test(arguments: APIGeneration.allCases) func everyRouteSurvives(_ generation: APIGeneration) throws {
        for index in Samples.routes.indices {
            let path = Samples.path(index)
            #expect(try again(path, generation) == .success(path), "\(Samples.routes[index].name)")
        }
    }

    @Test(arguments: APIGeneration.allCases) func everyCommunitySurvivesAlone(_ generation: APIGeneration) throws {
        for community in Samples.communities {
            var attributes = PathAttributes()
            attributes.nextHop = ip("192.0.2.1")
            attributes.extendedCommunities = [community]
            let path = Samples.path(1, attributes)
            #expect(try again(path, generation) == .success(path), "\(hexString(PathTests.octets(community)))")
        }
    }

    @Test(arguments: APIGeneration.allCases) func withdrawalNeedsNoAttributes(_ generation: APIGeneration) throws {
        for route in Samples.routes {
            let request = DeletePathRequest(route.key, route.payload)
            let read = try DeletePathRequest(decoding: request.encoded(generation), generation)
            #expect(read == request, "\(route.name)")
            #expect(read.family == route.key.family)
        }
    }
}
