// How a field says which of many messages it holds: v3 by the name in a google.protobuf.Any, v4 by the number in a oneof.

import NetTypes

/// The messages one kind of place can hold. The raw value is the number in v4's oneof.
protocol MessageKind: RawRepresentable, CaseIterable, Hashable, Sendable where RawValue == Int {
    /// The message's name in v3, and the name a fault shows.
    static var names: [(kind: Self, name: StaticString)] { get }
}

extension MessageKind {
    var name: StaticString { Self.names.first { $0.kind == self }?.name ?? "" }
}

/// What a field turned out to hold.
struct TypedMessage<Kind: MessageKind> {
    /// Nil when the kind is not known here; then `label` says what it was.
    var kind: Kind?
    var content: ProtobufReader
    var label: String = ""

    /// Reads a whole Any or oneof message. Nil when it holds nothing.
    init?(_ reader: ProtobufReader, _ generation: APIGeneration) throws(ByteError) {
        var reader = reader
        switch generation {
        case .v3:
            var url: UnsafeRawBufferPointer?
            // An Any whose message has all its fields at their defaults has no value.
            var content: ProtobufReader?
            while let field = try reader.next() {
                switch field.number {
                case 1: url = try field.borrowed()
                case 2: content = try field.message()
                default: break
                }
            }
            guard let url, !url.isEmpty else { return nil }
            self.content = content ?? ProtobufReader(UnsafeRawBufferPointer(start: nil, count: 0))
            let name = url.afterLastSlash
            kind = Self.find(name)
            if kind == nil { label = String(decoding: name.prefix(80), as: UTF8.self) }
        case .v4:
            var found: ProtobufField?
            while let field = try reader.next() {
                if field.type == .bytes { found = field }
            }
            guard let found else { return nil }
            content = try found.message()
            kind = Kind(rawValue: found.number)
            if kind == nil { label = "field \(found.number)" }
        }
    }

    /// `name` is what follows the last slash: `apipb.OriginAttribute`.
    private static func find(_ name: UnsafeRawBufferPointer) -> Kind? {
        let package: StaticString = "apipb."
        guard name.count > package.utf8CodeUnitCount, name.starts(with: package) else { return nil }
        let rest = UnsafeRawBufferPointer(rebasing: name[package.utf8CodeUnitCount...])
        for entry in Kind.names where entry.name.utf8CodeUnitCount == rest.count && rest.starts(with: entry.name) {
            return entry.kind
        }
        return nil
    }
}

extension UnsafeRawBufferPointer {
    fileprivate var afterLastSlash: UnsafeRawBufferPointer {
        var index = count
        while index > 0, self[index - 1] != 0x2f { index -= 1 }
        return UnsafeRawBufferPointer(rebasing: self[index...])
    }
    /// `prefix` must not be longer.
    fileprivate func starts(with prefix: StaticString) -> Bool {
        prefix.withUTF8Buffer { prefix in
            var index = 0
            while index + 8 <= prefix.count {
                let here = loadUnaligned(fromByteOffset: index, as: UInt64.self)
                let there = UnsafeRawBufferPointer(prefix).loadUnaligned(fromByteOffset: index, as: UInt64.self)
                if here != there { return false }
                index += 8
            }
            while index < prefix.count {
                if self[index] != prefix[index] { return false }
                index += 1
            }
            return true
        }
    }
}

extension ProtobufWriter {
    /// A field that holds a message of one of many kinds.
    mutating func typed<Kind: MessageKind>(
        _ number: Int, _ kind: Kind, _ generation: APIGeneration, _ body: (inout ProtobufWriter) -> Void
    ) {
        message(number) { writer in
            switch generation {
            case .v3:
                writer.string(1, "type.googleapis.com/apipb.\(kind.name)")
                // An empty value is left out, as Go does.
                var content = ProtobufWriter()
                body(&content)
                writer.octets(2, content.bytes)
            case .v4: writer.message(kind.rawValue, body)
            }
        }
    }
}

enum DistinguisherKind: Int, MessageKind {
    case twoOctet = 1
    case address = 2
    case fourOctet = 3
    static let names: [(kind: Self, name: StaticString)] = [
        (.twoOctet, "RouteDistinguisherTwoOctetASN"), (.address, "RouteDistinguisherIPAddress"),
        (.fourOctet, "RouteDistinguisherFourOctetASN"),
    ]
}

enum NLRIKind: Int, MessageKind {
    case prefix = 1
    case ethernetAutoDiscovery = 5
    case macIP = 6
    case inclusiveMulticast = 7
    case ethernetSegment = 8
    case ipPrefix = 9
    static let names: [(kind: Self, name: StaticString)] = [
        (.macIP, "EVPNMACIPAdvertisementRoute"), (.ipPrefix, "EVPNIPPrefixRoute"),
        (.inclusiveMulticast, "EVPNInclusiveMulticastEthernetTagRoute"), (.prefix, "IPAddressPrefix"),
        (.ethernetAutoDiscovery, "EVPNEthernetAutoDiscoveryRoute"), (.ethernetSegment, "EVPNEthernetSegmentRoute"),
    ]
}

enum AttributeKind: Int, MessageKind {
    case unknown = 1
    case origin = 2
    case asPath = 3
    case nextHop = 4
    case med = 5
    case localPreference = 6
    case atomicAggregate = 7
    case aggregator = 8
    case communities = 9
    case originatorID = 10
    case clusterList = 11
    case mpReach = 12
    case mpUnreach = 13
    case extendedCommunities = 14
    case as4Path = 15
    case as4Aggregator = 16
    case pmsiTunnel = 17
    case tunnelEncapsulation = 18
    case ipv6ExtendedCommunities = 19
    case aigp = 20
    case largeCommunities = 21
    case linkState = 22
    case prefixSID = 23
    static let names: [(kind: Self, name: StaticString)] = [
        (.origin, "OriginAttribute"), (.asPath, "AsPathAttribute"), (.mpReach, "MpReachNLRIAttribute"),
        (.extendedCommunities, "ExtendedCommunitiesAttribute"), (.localPreference, "LocalPrefAttribute"),
        (.pmsiTunnel, "PmsiTunnelAttribute"), (.nextHop, "NextHopAttribute"), (.med, "MultiExitDiscAttribute"),
        (.originatorID, "OriginatorIdAttribute"), (.clusterList, "ClusterListAttribute"),
        (.communities, "CommunitiesAttribute"), (.largeCommunities, "LargeCommunitiesAttribute"),
        (.atomicAggregate, "AtomicAggregateAttribute"), (.aggregator, "AggregatorAttribute"),
        (.mpUnreach, "MpUnreachNLRIAttribute"), (.as4Path, "As4PathAttribute"),
        (.as4Aggregator, "As4AggregatorAttribute"), (.tunnelEncapsulation, "TunnelEncapAttribute"),
        (.ipv6ExtendedCommunities, "IP6ExtendedCommunitiesAttribute"), (.aigp, "AigpAttribute"),
        (.linkState, "LsAttribute"), (.prefixSID, "PrefixSID"), (.unknown, "UnknownAttribute"),
    ]
}

enum CommunityKind: Int, MessageKind {
    case unknown = 1
    case twoOctet = 2
    case address = 3
    case fourOctet = 4
    case linkBandwidth = 5
    case validation = 6
    case color = 7
    case encapsulation = 8
    case defaultGateway = 9
    case opaque = 10
    case esiLabel = 11
    case esImport = 12
    case macMobility = 13
    case routerMAC = 14
    case trafficRate = 15
    case trafficAction = 16
    case redirectTwoOctet = 17
    case redirectAddress = 18
    case redirectFourOctet = 19
    case trafficRemark = 20
    case mobileUserPlane = 21
    case vpls = 22
    static let names: [(kind: Self, name: StaticString)] = [
        (.twoOctet, "TwoOctetAsSpecificExtended"), (.encapsulation, "EncapExtended"),
        (.routerMAC, "RouterMacExtended"), (.macMobility, "MacMobilityExtended"),
        (.address, "IPv4AddressSpecificExtended"), (.fourOctet, "FourOctetAsSpecificExtended"),
        (.defaultGateway, "DefaultGatewayExtended"), (.esiLabel, "ESILabelExtended"),
        (.esImport, "ESImportRouteTarget"), (.color, "ColorExtended"), (.opaque, "OpaqueExtended"),
        (.linkBandwidth, "LinkBandwidthExtended"), (.validation, "ValidationExtended"),
        (.trafficRate, "TrafficRateExtended"), (.trafficAction, "TrafficActionExtended"),
        (.redirectTwoOctet, "RedirectTwoOctetAsSpecificExtended"),
        (.redirectAddress, "RedirectIPv4AddressSpecificExtended"),
        (.redirectFourOctet, "RedirectFourOctetAsSpecificExtended"), (.trafficRemark, "TrafficRemarkExtended"),
        (.mobileUserPlane, "MUPExtended"), (.vpls, "VPLSExtended"), (.unknown, "UnknownExtended"),
    ]
}
