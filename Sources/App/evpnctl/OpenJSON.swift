// OPEN and its capabilities as JSON, in the names of the decode schema.

import BGP
import Documents
import NetTypes

enum OpenJSON {
    static func members(_ open: Open) -> [JSONValue.Member] {
        var members: [JSONValue.Member] = [
            .init("version", JSONValue(open.version)), .init("my_as", JSONValue(open.myAS)),
            .init("hold_time", JSONValue(open.holdTimeSeconds)), .init("router_id", JSONValue(open.routerID)),
            .init("capabilities", .array(open.capabilities.map(capability))),
            .init("extended_opt_params", JSONValue(open.hasExtendedParameters)),
        ]
        if !open.otherParameters.isEmpty {
            members.append(
                .init(
                    "other_params",
                    .array(
                        open.otherParameters.map {
                            ["type": JSONValue($0.type), "value": .string(hexString($0.value))]
                        })))
        }
        return members
    }

    private static func family(_ family: Family) -> [JSONValue.Member] {
        [.init("afi", JSONValue(family.afi)), .init("safi", JSONValue(family.safi))]
    }

    private static func capability(_ capability: Capability) -> JSONValue {
        let (name, members) = described(capability)
        return .object([.init("code", JSONValue(capability.code)), .init("name", .string(name))] + members)
    }

    private static func described(_ capability: Capability) -> (String, [JSONValue.Member]) {
        switch capability {
        case .multiprotocol(let family): return ("multiprotocol", self.family(family))
        case .routeRefresh: return ("route-refresh", [])
        case .extendedNextHop(let families):
            return (
                "extended-next-hop",
                [
                    .init(
                        "families",
                        .array(
                            families.map {
                                [
                                    JSONValue($0.family.afi), JSONValue($0.family.safi), JSONValue($0.nextHopAFI),
                                ]
                            }))
                ]
            )
        case .extendedMessage: return ("extended-message", [])
        case .role(let role): return ("role", [.init("role", JSONValue(role))])
        case .gracefulRestart(let flags, let seconds, let families):
            return (
                "graceful-restart",
                [
                    .init("flags", JSONValue(flags)), .init("restart_time", JSONValue(seconds)),
                    .init(
                        "families",
                        .array(families.map { .object(family($0.family) + [.init("flags", JSONValue($0.flags))]) })),
                ]
            )
        case .fourOctetAS(let asn): return ("as4", [.init("asn", JSONValue(asn))])
        case .addPath(let families):
            return (
                "add-path",
                [
                    .init(
                        "families",
                        .array(families.map { .object(family($0.family) + [.init("mode", JSONValue($0.mode))]) }))
                ]
            )
        case .enhancedRouteRefresh: return ("enhanced-route-refresh", [])
        case .longLivedGracefulRestart(let families):
            return (
                "long-lived-graceful-restart",
                [
                    .init(
                        "families",
                        .array(
                            families.map {
                                .object(
                                    family($0.family) + [
                                        .init("flags", JSONValue($0.flags)),
                                        .init("stale_time", JSONValue($0.staleTimeSeconds)),
                                    ])
                            }))
                ]
            )
        case .fqdn(let hostname, let domain):
            return ("fqdn", [.init("hostname", JSONValue(hostname)), .init("domain", JSONValue(domain))])
        // Those that should be empty and are padded are still what they are.
        case .other(2, _): return ("route-refresh", [])
        case .other(6, _): return ("extended-message", [])
        case .other(70, _): return ("enhanced-route-refresh", [])
        case .other(_, let value): return ("other", [.init("raw", .string(hexString(value)))])
        }
    }
}
