// What is wanted of the bridge, in the form that flows are rendered from. Made anew by each configuration.

import EVPN
import NetTypes

/// A client by its place in the configuration.
enum ClientReference: Hashable, Comparable, Sendable {
    case bridged(Int)
    case routed(Int)
}

/// A broadcast domain: an EVI, or an L3 VNI.
struct DomainModel: Equatable, Sendable {
    var vni: VNI
    var vtep: IPAddress?
    /// Of an EVI.
    var gateway: GatewayModel?
    /// The VRF of an L3 VNI.
    var transit: String?
}

/// The layer-3 interface of an EVI.
struct GatewayModel: Equatable, Sendable {
    var vrf: String
    var mac: MACAddress
    /// Sorted.
    var addresses: [SubnetAddress]

    func has(_ ip: IPAddress) -> Bool { addresses.contains { $0.ip == ip } }
    /// The subnets that are routed to, without those of link-local addresses.
    var subnets: [IPPrefix] {
        addresses.compactMap { $0.ip.isLinkLocal ? nil : IPPrefix($0.ip, length: $0.length) }
    }
}

struct VRFModel: Equatable, Sendable {
    var name: String
    /// What register 2 has: the L3 VNI, otherwise a number of its own.
    var number: UInt32
    /// Nil: it has none, or one that is a broadcast domain or another VRF's.
    var vni: VNI?
    var routerMAC: MACAddress
    /// Which EVI's subnet an address is in.
    var subnets: [IPPrefix: VNI] = [:]
    /// The lengths of those prefixes, longest first.
    var lengths: [Int] = []

    /// The EVI whose subnet has an address.
    func domain(of ip: IPAddress) -> VNI? {
        for length in lengths where length <= ip.bitWidth {
            if let prefix = IPPrefix(ip, length: length), let vni = subnets[prefix] { return vni }
        }
        return nil
    }
}

struct Model: Sendable {
    var isConfigured = false
    var bridge = SwitchBridge(name: "", routerMAC: .zero)
    var domains: [VNI: DomainModel] = [:]
    var vrfs: [String: VRFModel] = [:]
    var bridged: [BridgedClient] = []
    var routed: [RoutedClient] = []
    var enabledAnycast: Set<AnycastAddress> = []

    /// Clients by the port that they name.
    var clientsOfPort: [Attachment.Port: [ClientReference]] = [:]
    var clientsOfDomain: [VNI: [Int]] = [:]
    var clientsOfMAC: [MACKey: [Int]] = [:]
    var clientsOfAddress: [NeighborKey: [Int]] = [:]
    /// Routed clients and how they have the prefix: nil, or an anycast address of theirs that is enabled.
    var clientsOfPrefix: [PrefixKey: [(client: Int, anycast: AnycastAddress?)]] = [:]
    /// How many routed clients a VRF has.
    var clientsOfVRF: [String: [Int]] = [:]

    var isCompatible: Bool { bridge.isConnectorCompatible }

    init() {}

    init(_ configuration: SwitchConfiguration, _ overlay: Overlay) {
        isConfigured = true
        bridge = configuration.bridge
        bridged = configuration.bridged
        routed = configuration.routed
        enabledAnycast = configuration.enabledAnycast
        for evi in overlay.evis where domains[evi.vni] == nil {
            domains[evi.vni] = DomainModel(vni: evi.vni, vtep: evi.domain.vtep)
        }
        var numbers: Set<UInt32> = []
        for vrf in overlay.vrfs where vrfs[vrf.name] == nil {
            var model = VRFModel(
                name: vrf.name, number: 0, routerMAC: vrf.domain?.routed?.mac ?? configuration.bridge.routerMAC)
            // A VNI that is a broadcast domain already, or another VRF's, cannot be told apart when packets come.
            if let domain = vrf.domain, domains[domain.vni] == nil {
                model.vni = domain.vni
                domains[domain.vni] = DomainModel(vni: domain.vni, vtep: domain.vtep, transit: vrf.name)
            }
            model.number = model.vni?.rawValue ?? Self.number(of: vrf.name, &numbers)
            vrfs[vrf.name] = model
        }
        if !isCompatible { for evi in overlay.evis { addGateway(evi) } }
        indexClients()
    }

    /// Above all VNIs, and the same after a restart.
    private static func number(of name: String, _ taken: inout Set<UInt32>) -> UInt32 {
        var hash = FNV()
        for octet in name.utf8 { hash.feed(UInt64(octet)) }
        var number = 0x0100_0000 | hash.value & 0x00ff_ffff
        while !taken.insert(number).inserted { number = 0x0100_0000 | (number &+ 1) & 0x00ff_ffff }
        return number
    }

    private mutating func addGateway(_ evi: EVI) {
        guard domains[evi.vni]?.transit == nil, let routed = evi.domain.routed, let name = routed.vrf,
            var vrf = vrfs[name], !routed.addresses.isEmpty
        else { return }
        let gateway = GatewayModel(
            vrf: name, mac: routed.mac ?? bridge.routerMAC, addresses: routed.addresses.sorted())
        domains[evi.vni]?.gateway = gateway
        for subnet in gateway.subnets where vrf.subnets[subnet] == nil { vrf.subnets[subnet] = evi.vni }
        vrf.lengths = Set(vrf.subnets.keys.map(\.length)).sorted(by: >)
        vrfs[name] = vrf
    }

    private mutating func indexClients() {
        for (index, client) in bridged.enumerated() {
            clientsOfPort[client.attachment.port, default: []].append(.bridged(index))
            // Nothing is flooded to, or taken from, a domain that does not exist.
            guard domains[client.vni]?.transit == nil, domains[client.vni] != nil else { continue }
            clientsOfDomain[client.vni, default: []].append(index)
            guard let mac = client.mac else { continue }
            clientsOfMAC[MACKey(vni: client.vni, mac: mac), default: []].append(index)
            for ip in client.addresses {
                clientsOfAddress[NeighborKey(vni: client.vni, ip: ip), default: []].append(index)
            }
        }
        for (index, client) in routed.enumerated() {
            clientsOfPort[client.attachment.port, default: []].append(.routed(index))
            guard vrfs[client.vrf] != nil else { continue }
            clientsOfVRF[client.vrf, default: []].append(index)
            var own: Set<PrefixKey> = []
            for anycast in client.anycast where enabledAnycast.contains(anycast) && anycast.isOfOneFamily {
                guard let prefix = anycast.prefix else { continue }
                let key = PrefixKey(vrf: client.vrf, prefix: prefix)
                if own.insert(key).inserted { clientsOfPrefix[key, default: []].append((index, anycast)) }
            }
            for prefix in client.prefixes {
                let key = PrefixKey(vrf: client.vrf, prefix: prefix)
                if own.insert(key).inserted { clientsOfPrefix[key, default: []].append((index, nil)) }
            }
        }
    }

    func attachment(of client: ClientReference) -> Attachment {
        switch client {
        case .bridged(let index): bridged[index].attachment
        case .routed(let index): routed[index].attachment
        }
    }
}

extension AnycastAddress {
    var prefix: IPPrefix? { IPPrefix(address, length: address.bitWidth) }
    /// All its addresses are of one family, as flows need it.
    var isOfOneFamily: Bool {
        [target, check, internalTarget, internalChecker].allSatisfy { $0.isV6 == address.isV6 }
    }
}

/// Fowler-Noll-Vo (FNV-1a) in 32 bits: the same in every process, which `Hasher` is not.
struct FNV {
    private(set) var value: UInt32 = 0x811c_9dc5
    mutating func feed(_ word: UInt64) {
        for shift in stride(from: UInt64(0), to: 64, by: 8) {
            value = (value ^ UInt32(truncatingIfNeeded: word >> shift & 0xff)) &* 0x0100_0193
        }
    }
}
