// Connected networks of the host as unicast routes: addresses in, advertisements out.

import BGP
public import EVPN
public import NetTypes

/// One network interface, as far as its networks are concerned.
public struct ImportInterface: Equatable, Sendable {
    public var name: String
    /// Set up by the administrator (IFF_UP); the networks of one that is not are not connected.
    public var isUp: Bool
    /// Addresses with global scope.
    public var addresses: [SubnetAddress]
    public init(name: String, isUp: Bool, addresses: [SubnetAddress]) {
        self.name = name
        self.isUp = isUp
        self.addresses = addresses
    }
}

/// Which networks are announced, and what changes. Pure.
public struct ImportedPrefixes: Sendable {
    /// One row of `show`.
    public struct Row: Equatable, Sendable {
        public var prefix: IPPrefix
        /// Interfaces with an address in it, sorted.
        public var interfaces: [String]
    }
    private var settings: NetlinkImport?
    private var interfaces: [ImportInterface] = []
    /// Networks that are announced, with their interfaces.
    public private(set) var announced: [IPPrefix: [String]] = [:]
    /// Networks that were announced, and that were withdrawn, since start.
    public private(set) var importedTotal = 0
    public private(set) var withdrawnTotal = 0

    public init() {}
    public var isEnabled: Bool { settings != nil }
    public var rows: [Row] {
        announced.map { Row(prefix: $0.key, interfaces: $0.value) }.sorted { $0.prefix < $1.prefix }
    }
    /// Interfaces that match, whether or not they have networks to announce.
    public var matching: [ImportInterface] { interfaces.filter(matches).sorted { $0.name < $1.name } }

    /// Nil: nothing is imported.
    public mutating func configure(_ new: NetlinkImport?) -> [AdvertisementChange] {
        guard new != settings else { return [] }
        settings = new
        return refresh()
    }
    /// All interfaces of the host, in place of those known before.
    public mutating func observe(_ new: [ImportInterface]) -> [AdvertisementChange] {
        guard new != interfaces else { return [] }
        interfaces = new
        return refresh()
    }

    private func matches(_ interface: ImportInterface) -> Bool {
        settings?.interfaces.contains { globMatches($0, interface.name) } ?? false
    }
    private mutating func refresh() -> [AdvertisementChange] {
        var wanted: [IPPrefix: Set<String>] = [:]
        for interface in interfaces where interface.isUp && matches(interface) {
            for address in interface.addresses where ImportedPrefixes.isUsable(address) {
                guard let prefix = IPPrefix(address.ip, length: address.length) else { continue }
                wanted[prefix, default: []].insert(interface.name)
            }
        }
        var changes: [AdvertisementChange] = []
        for prefix in announced.keys.sorted() where wanted[prefix] == nil {
            withdrawnTotal += 1
            changes.append(AdvertisementChange(key: RouteKey(unicast: prefix), route: nil))
        }
        for prefix in wanted.keys.sorted() where announced[prefix] == nil {
            importedTotal += 1
            changes.append(
                AdvertisementChange(
                    key: RouteKey(unicast: prefix), route: ImportedPrefixes.route(isV6: prefix.address.isV6)))
        }
        announced = wanted.mapValues { $0.sorted() }
        return changes
    }
    /// An address with the length 0 says nothing about a network, and would announce a default route.
    private static func isUsable(_ address: SubnetAddress) -> Bool {
        address.length > 0 && !address.ip.isUnspecified && !address.ip.isLinkLocal && !address.ip.isLoopback
            && !address.ip.isMulticast
    }
    /// How a network is announced now; nil: it is not.
    public func advertisement(of prefix: IPPrefix) -> Advertisement? {
        announced[prefix] == nil ? nil : ImportedPrefixes.route(isV6: prefix.address.isV6)
    }
    /// The unspecified next hop stands for whatever address of ours a neighbor knows.
    static func route(isV6: Bool) -> Advertisement {
        var attributes = PathAttributes()
        attributes.origin = .igp
        attributes.nextHop = isV6 ? .v6(.any) : .v4(.any)
        return Advertisement(payload: RoutePayload(), attributes: AttributeSet(attributes))
    }
}
