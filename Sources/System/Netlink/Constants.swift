// The numbers of <linux/netlink.h>, <linux/rtnetlink.h>, <linux/neighbour.h> and <linux/if_link.h> that are used here. They are
// kernel ABI and never change; written out because the headers' anonymous enums import with mixed integer types.

/// Message types.
public enum MessageType {
    public static let error: UInt16 = 2
    public static let done: UInt16 = 3
    public static let newLink: UInt16 = 16
    public static let deleteLink: UInt16 = 17
    public static let getLink: UInt16 = 18
    public static let setLink: UInt16 = 19
    public static let newAddress: UInt16 = 20
    public static let deleteAddress: UInt16 = 21
    public static let getAddress: UInt16 = 22
    public static let newNeighbor: UInt16 = 28
    public static let deleteNeighbor: UInt16 = 29
    public static let getNeighbor: UInt16 = 30
    public static let newRoute: UInt16 = 24
    public static let deleteRoute: UInt16 = 25
    public static let getRoute: UInt16 = 26
    public static let newNexthop: UInt16 = 104
    public static let deleteNexthop: UInt16 = 105
    public static let getNexthop: UInt16 = 106
    public static let newVLAN: UInt16 = 112
    public static let deleteVLAN: UInt16 = 113
    public static let getVLAN: UInt16 = 114
    public static let newSettings: UInt16 = 80
    public static let getSettings: UInt16 = 82
    public static let newTunnel: UInt16 = 120
    public static let deleteTunnel: UInt16 = 121
    public static let getTunnel: UInt16 = 122
}

/// Flags of the message header (NLM_F_…).
public struct MessageFlags: OptionSet, Sendable {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }
    public static let request = MessageFlags(rawValue: 0x1)
    public static let acknowledge = MessageFlags(rawValue: 0x4)
    public static let dumpInterrupted = MessageFlags(rawValue: 0x10)
    public static let dump = MessageFlags(rawValue: 0x300)
    public static let replace = MessageFlags(rawValue: 0x100)
    public static let exclusive = MessageFlags(rawValue: 0x200)
    public static let create = MessageFlags(rawValue: 0x400)
    public static let append = MessageFlags(rawValue: 0x800)
    /// On a reply: the request's payload was left out, and attributes follow.
    static let capped = MessageFlags(rawValue: 0x100)
    static let hasAttributes = MessageFlags(rawValue: 0x200)
}

/// Address families.
public enum Family {
    public static let unspecified: UInt8 = 0
    public static let ipv4: UInt8 = 2
    public static let bridge: UInt8 = 7
    public static let ipv6: UInt8 = 10
}

/// Flags of neighbors and FDB entries (NTF_…).
public struct NeighborFlags: OptionSet, Hashable, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    public static let use = NeighborFlags(rawValue: 0x01)
    /// The device's own table.
    public static let own = NeighborFlags(rawValue: 0x02)
    /// The table of the bridge that the device is a port of.
    public static let master = NeighborFlags(rawValue: 0x04)
    public static let externallyLearned = NeighborFlags(rawValue: 0x10)
    public static let offloaded = NeighborFlags(rawValue: 0x20)
    public static let sticky = NeighborFlags(rawValue: 0x40)
    public static let router = NeighborFlags(rawValue: 0x80)
}

/// Extended flags of neighbors and FDB entries (NTF_EXT_…, NDA_FLAGS_EXT).
public struct ExtendedNeighborFlags: OptionSet, Hashable, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    /// The kernel keeps it resolved.
    public static let managed = ExtendedNeighborFlags(rawValue: 1)
    /// Learned on a port that is locked (802.1X): not admitted yet.
    public static let locked = ExtendedNeighborFlags(rawValue: 2)
    /// The kernel may ask the host, but never removes the entry or declares it failed (from 6.18 on).
    public static let externallyValidated = ExtendedNeighborFlags(rawValue: 4)
}

/// States of neighbors and FDB entries (NUD_…).
public struct NeighborState: OptionSet, Hashable, Sendable {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }
    public static let incomplete = NeighborState(rawValue: 0x01)
    public static let reachable = NeighborState(rawValue: 0x02)
    public static let stale = NeighborState(rawValue: 0x04)
    public static let delay = NeighborState(rawValue: 0x08)
    public static let probe = NeighborState(rawValue: 0x10)
    public static let failed = NeighborState(rawValue: 0x20)
    public static let noARP = NeighborState(rawValue: 0x40)
    public static let permanent = NeighborState(rawValue: 0x80)
}

enum NeighborAttribute {
    static let destination: UInt16 = 1
    static let linkAddress: UInt16 = 2
    static let vlan: UInt16 = 5
    static let vni: UInt16 = 7
    static let interface: UInt16 = 8
    static let master: UInt16 = 9
    static let sourceVNI: UInt16 = 11
    static let proto: UInt16 = 12
    static let nextHop: UInt16 = 13
    static let extendedFlags: UInt16 = 15
}

enum LinkAttribute {
    static let address: UInt16 = 1
    static let name: UInt16 = 3
    static let mtu: UInt16 = 4
    /// IFLA_LINK: the device below.
    static let lower: UInt16 = 5
    static let master: UInt16 = 10
    static let protocolInfo: UInt16 = 12
    static let info: UInt16 = 18
    static let alias: UInt16 = 20
    static let counters: UInt16 = 23
    static let families: UInt16 = 26
    /// IFLA_NET_NS_FD.
    static let namespace: UInt16 = 28
    static let extendedMask: UInt16 = 29

    static let infoKind: UInt16 = 1
    static let infoData: UInt16 = 2
    static let infoSlaveKind: UInt16 = 4
    static let infoSlaveData: UInt16 = 5

    static let vxlanID: UInt16 = 1
    static let vxlanGroup: UInt16 = 2
    static let vxlanLocal: UInt16 = 4
    static let vxlanTTL: UInt16 = 5
    static let vxlanLearning: UInt16 = 7
    static let vxlanPort: UInt16 = 15
    static let vxlanGroup6: UInt16 = 16
    static let vxlanLocal6: UInt16 = 17
    static let vxlanCollectMetadata: UInt16 = 25
    static let vxlanVNIFilter: UInt16 = 30

    /// Of the kind `vlan`.
    static let vlanID: UInt16 = 1
    /// Of the kind `vrf`.
    static let vrfTable: UInt16 = 1

    /// Inside IFLA_AF_SPEC, under AF_INET: IFLA_INET_CONF, whose attributes are the numbers of settings when set, and which is an
    /// array of all of them, from number 1 on, when told. IPV4_DEVCONF_FORWARDING is 1.
    static let inetSettings: UInt16 = 1
    static let inetForwarding: UInt16 = 1

    static let bridgeVLANFiltering: UInt16 = 7
    static let bridgeDefaultPVID: UInt16 = 39
    static let portLearning: UInt16 = 8
    static let portVLANTunnel: UInt16 = 29
    static let portNeighborSuppression: UInt16 = 32

    /// Inside IFLA_AF_SPEC of a message with the family AF_BRIDGE.
    static let bridgeFlags: UInt16 = 0
    static let bridgeVLANInfo: UInt16 = 2
    static let bridgeTunnelInfo: UInt16 = 3
    static let tunnelID: UInt16 = 1
    static let tunnelVLAN: UInt16 = 2

    /// Inside IFLA_AF_SPEC, under AF_INET6: IN6_ADDR_GEN_MODE_NONE is 1.
    static let inet6AddressGenerationMode: UInt16 = 8
}

/// Attributes of RTM_NEWADDR (IFA_…).
enum AddressAttribute {
    static let address: UInt16 = 1
    static let local: UInt16 = 2
    static let flags: UInt16 = 8
    static let proto: UInt16 = 11
}

/// Attributes of RTM_NEWVLAN (BRIDGE_VLANDB_…).
enum VLANAttribute {
    static let entry: UInt16 = 1
    static let entryInfo: UInt16 = 1
    static let entryRange: UInt16 = 2
    static let entryTunnel: UInt16 = 4
    static let tunnelID: UInt16 = 1
}
