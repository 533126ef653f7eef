// The requests that are sent, each a method of the batch. The comment gives the command that sends the same.

public import NetTypes

extension NetlinkBatch {
    /// `bridge fdb replace MAC dev DEV dst VTEP [vni VNI] [src_vni VNI] [vlan VLAN] self [master] extern_learn`: in the VXLAN
    /// device's and the bridge's table at once. `flags` says which tables; 0 for `sourceVNI` and `vlan`: none.
    public mutating func setFDB(
        sequence: UInt32, interface: Int32, mac: MACAddress, destination: IPAddress?, vni: UInt32?,
        sourceVNI: UInt32 = 0, vlan: UInt16 = 0, state: NeighborState, flags: NeighborFlags, mode: MessageFlags
    ) {
        message(MessageType.newNeighbor, mode, sequence: sequence)
        neighborHeader(family: Family.bridge, interface: interface, state: state, flags: flags)
        attribute(NeighborAttribute.linkAddress, mac)
        if let destination { attribute(NeighborAttribute.destination, destination) }
        if let vni { attribute(NeighborAttribute.vni, vni) }
        place(sourceVNI, vlan)
    }
    private mutating func place(_ sourceVNI: UInt32, _ vlan: UInt16) {
        if sourceVNI != 0 { attribute(NeighborAttribute.sourceVNI, sourceVNI) }
        if vlan != 0 { attribute(NeighborAttribute.vlan, vlan) }
    }
    /// `bridge fdb del MAC dev DEV [dst VTEP] [vni VNI] [src_vni VNI] [vlan VLAN] self|master`.
    public mutating func deleteFDB(
        sequence: UInt32, interface: Int32, mac: MACAddress, destination: IPAddress?, vni: UInt32?,
        sourceVNI: UInt32 = 0, vlan: UInt16 = 0, flags: NeighborFlags
    ) {
        message(MessageType.deleteNeighbor, [], sequence: sequence)
        neighborHeader(family: Family.bridge, interface: interface, flags: flags)
        attribute(NeighborAttribute.linkAddress, mac)
        if let destination { attribute(NeighborAttribute.destination, destination) }
        if let vni { attribute(NeighborAttribute.vni, vni) }
        place(sourceVNI, vlan)
    }
    /// `bridge fdb get MAC dev DEV [vni VNI] [vlan VLAN] self|master`. In a question NDA_VNI names the VNI that the entry belongs
    /// to, which everywhere else is NDA_SRC_VNI.
    public mutating func getFDB(
        sequence: UInt32, interface: Int32, mac: MACAddress, sourceVNI: UInt32 = 0, vlan: UInt16 = 0,
        flags: NeighborFlags
    ) {
        message(MessageType.getNeighbor, [], sequence: sequence)
        neighborHeader(family: Family.bridge, interface: interface, flags: flags)
        attribute(NeighborAttribute.linkAddress, mac)
        if sourceVNI != 0, flags.contains(.own) { attribute(NeighborAttribute.vni, sourceVNI) }
        if vlan != 0, flags.contains(.master) { attribute(NeighborAttribute.vlan, vlan) }
    }
    /// `bridge fdb get MAC br DEV vlan VLAN`: in the bridge's own table, whatever the port. VLAN 0: of a bridge without VLANs.
    public mutating func getFDB(sequence: UInt32, interface: Int32, mac: MACAddress, bridgeVLAN: UInt16) {
        message(MessageType.getNeighbor, [], sequence: sequence)
        neighborHeader(family: Family.bridge, interface: 0)
        attribute(NeighborAttribute.linkAddress, mac)
        attribute(NeighborAttribute.master, UInt32(bitPattern: interface))
        if bridgeVLAN != 0 { attribute(NeighborAttribute.vlan, bridgeVLAN) }
    }
    /// `bridge fdb show brport DEV`: strict checking must be on, otherwise the kernel sends every device's table.
    public mutating func dumpFDB(sequence: UInt32, interface: Int32) {
        message(MessageType.getNeighbor, .dump, sequence: sequence)
        neighborHeader(family: Family.bridge, interface: interface)
    }
    /// `ip neigh replace IP lladdr MAC dev DEV nud noarp extern_learn protocol N [router]`.
    public mutating func setNeighbor(
        sequence: UInt32, interface: Int32, ip: IPAddress, mac: MACAddress, state: NeighborState,
        flags: NeighborFlags, proto: UInt8
    ) {
        message(MessageType.newNeighbor, [.create, .replace], sequence: sequence)
        neighborHeader(family: ip.isV6 ? Family.ipv6 : Family.ipv4, interface: interface, state: state, flags: flags)
        attribute(NeighborAttribute.destination, ip)
        attribute(NeighborAttribute.linkAddress, mac)
        attribute(NeighborAttribute.proto, proto)
    }
    /// `ip neigh replace IP lladdr MAC dev DEV nud STATE [extern_valid] protocol N`: a host that is known not to move.
    public mutating func declareNeighbor(
        sequence: UInt32, interface: Int32, ip: IPAddress, mac: MACAddress, isValidated: Bool, proto: UInt8
    ) {
        message(MessageType.newNeighbor, [.create, .replace], sequence: sequence)
        neighborHeader(
            family: ip.isV6 ? Family.ipv6 : Family.ipv4, interface: interface,
            state: isValidated ? .stale : .permanent)
        attribute(NeighborAttribute.destination, ip)
        attribute(NeighborAttribute.linkAddress, mac)
        attribute(NeighborAttribute.proto, proto)
        if isValidated {
            attribute(NeighborAttribute.extendedFlags, ExtendedNeighborFlags.externallyValidated.rawValue)
        }
    }
    /// `ip neigh change IP lladdr MAC dev DEV nud probe`: the kernel asks an existing neighbor whether it is there, three times
    /// within three seconds. `isNew`: `ip neigh add`, of one that is not known yet.
    public mutating func probeNeighbor(
        sequence: UInt32, interface: Int32, ip: IPAddress, mac: MACAddress, isNew: Bool = false
    ) {
        message(MessageType.newNeighbor, isNew ? [.create, .exclusive] : .replace, sequence: sequence)
        neighborHeader(family: ip.isV6 ? Family.ipv6 : Family.ipv4, interface: interface, state: .probe)
        attribute(NeighborAttribute.destination, ip)
        attribute(NeighborAttribute.linkAddress, mac)
    }
    /// `ip neigh del IP dev DEV`.
    public mutating func deleteNeighbor(sequence: UInt32, interface: Int32, ip: IPAddress) {
        message(MessageType.deleteNeighbor, [], sequence: sequence)
        neighborHeader(family: ip.isV6 ? Family.ipv6 : Family.ipv4, interface: interface)
        attribute(NeighborAttribute.destination, ip)
    }
    /// `ip neigh get IP dev DEV`.
    public mutating func getNeighbor(sequence: UInt32, interface: Int32, ip: IPAddress) {
        message(MessageType.getNeighbor, [], sequence: sequence)
        neighborHeader(family: ip.isV6 ? Family.ipv6 : Family.ipv4, interface: interface)
        attribute(NeighborAttribute.destination, ip)
    }
    /// `ip neigh show dev DEV` of one family.
    public mutating func dumpNeighbors(sequence: UInt32, interface: Int32, family: UInt8) {
        message(MessageType.getNeighbor, .dump, sequence: sequence)
        neighborHeader(family: family, interface: 0)
        attribute(NeighborAttribute.interface, UInt32(bitPattern: interface))
    }
    /// `ip -d link show`.
    public mutating func dumpLinks(sequence: UInt32) {
        message(MessageType.getLink, .dump, sequence: sequence)
        linkHeader()
        // RTEXT_FILTER_SKIP_STATS: a link without its counters is a quarter of the size.
        attribute(LinkAttribute.extendedMask, UInt32(8))
    }
    /// `ip -d link show NAME`.
    public mutating func getLink(sequence: UInt32, name: String) {
        message(MessageType.getLink, [], sequence: sequence)
        linkHeader()
        attribute(LinkAttribute.name, name)
        attribute(LinkAttribute.extendedMask, UInt32(8))
    }
    /// `ip addr show [dev DEV]`, of one family or (0) of both; 0 for `interface`: of all.
    public mutating func dumpAddresses(sequence: UInt32, interface: Int32 = 0, family: UInt8 = 0) {
        message(MessageType.getAddress, .dump, sequence: sequence)
        addressHeader(family: family, interface: UInt32(bitPattern: interface))
    }

    /// `bridge vlan show [dev DEV]` with the VNIs that VLANs are mapped to; 0: all ports of all bridges.
    public mutating func dumpVLANs(sequence: UInt32, interface: Int32 = 0) {
        message(MessageType.getVLAN, .dump, sequence: sequence)
        // `struct br_vlan_msg`: family (1), reserved (3), interface (4).
        addressHeader(family: Family.bridge, interface: UInt32(bitPattern: interface))
    }
    /// `bridge vlan add dev DEV vid VLAN [pvid untagged]` and, with a VNI, `bridge vlan add dev DEV vid VLAN tunnel_info id VNI`;
    /// `self` for the bridge's own membership.
    public mutating func addVLAN(
        sequence: UInt32, interface: Int32, vlan: UInt16, isAccess: Bool = false, isBridgeItself: Bool = false,
        vni: UInt32? = nil
    ) {
        message(MessageType.setLink, [], sequence: sequence)
        linkHeader(family: Family.bridge, interface: interface)
        nest(LinkAttribute.families) { families in
            // BRIDGE_FLAGS_SELF.
            if isBridgeItself { families.attribute(LinkAttribute.bridgeFlags, UInt16(2)) }
            // BRIDGE_VLAN_INFO_PVID and …_UNTAGGED.
            families.vlanInfo(vlan, flags: isAccess ? 6 : 0)
            guard let vni else { return }
            families.nest(LinkAttribute.bridgeTunnelInfo) { tunnel in
                tunnel.attribute(LinkAttribute.tunnelID, vni)
                tunnel.attribute(LinkAttribute.tunnelVLAN, vlan)
            }
        }
    }
    /// `bridge vlan del dev DEV vid VLAN`; a mapping of it to a VNI goes with it. `self` for the bridge's own membership.
    public mutating func deleteVLAN(sequence: UInt32, interface: Int32, vlan: UInt16, isBridgeItself: Bool = false) {
        message(MessageType.deleteLink, [], sequence: sequence)
        linkHeader(family: Family.bridge, interface: interface)
        nest(LinkAttribute.families) { families in
            // BRIDGE_FLAGS_SELF.
            if isBridgeItself { families.attribute(LinkAttribute.bridgeFlags, UInt16(2)) }
            families.vlanInfo(vlan, flags: 0)
        }
    }
    /// `struct bridge_vlan_info`: flags (2), VLAN (2), in host byte order.
    private mutating func vlanInfo(_ vlan: UInt16, flags: UInt16) {
        #if _endian(little)
            attribute(LinkAttribute.bridgeVLANInfo, UInt32(vlan) << 16 | UInt32(flags))
        #else
            attribute(LinkAttribute.bridgeVLANInfo, UInt32(flags) << 16 | UInt32(vlan))
        #endif
    }

    /// `ip link add NAME [netns NS] type vxlan id VNI local VTEP dstport PORT ttl TTL nolearning`, with MTU; without a VNI
    /// `external [vnifilter]` instead of `id`: one device for all. In another `namespace` than the socket's the device still sends
    /// and receives its packets in the socket's.
    public mutating func addVXLAN(
        sequence: UInt32, name: String, vni: UInt32?, local: IPAddress, port: UInt16, ttl: UInt8, mtu: UInt32,
        filtersVNIs: Bool = false, namespace: NetworkNamespace? = nil
    ) {
        message(MessageType.newLink, [.create, .exclusive], sequence: sequence)
        linkHeader()
        if let namespace { attribute(LinkAttribute.namespace, UInt32(bitPattern: namespace.descriptor)) }
        attribute(LinkAttribute.name, name)
        attribute(LinkAttribute.mtu, mtu)
        nest(LinkAttribute.info) { info in
            info.attribute(LinkAttribute.infoKind, "vxlan")
            info.nest(LinkAttribute.infoData) { data in
                if let vni {
                    data.attribute(LinkAttribute.vxlanID, vni)
                } else {
                    data.attribute(LinkAttribute.vxlanCollectMetadata, UInt8(1))
                    if filtersVNIs { data.attribute(LinkAttribute.vxlanVNIFilter, UInt8(1)) }
                }
                data.attribute(local.isV6 ? LinkAttribute.vxlanLocal6 : LinkAttribute.vxlanLocal, local)
                data.attribute(LinkAttribute.vxlanTTL, ttl)
                data.attribute(LinkAttribute.vxlanLearning, UInt8(0))
                data.attribute(LinkAttribute.vxlanPort, port.bigEndian)
            }
        }
    }
    /// `ip link set DEV type vxlan local VTEP nolearning`; nil: as it is.
    public mutating func changeVXLAN(
        sequence: UInt32, interface: Int32, local: IPAddress?, ttl: UInt8?, noLearning: Bool
    ) {
        message(MessageType.newLink, [], sequence: sequence)
        linkHeader(interface: interface)
        nest(LinkAttribute.info) { info in
            info.attribute(LinkAttribute.infoKind, "vxlan")
            info.nest(LinkAttribute.infoData) { data in
                if let local {
                    data.attribute(local.isV6 ? LinkAttribute.vxlanLocal6 : LinkAttribute.vxlanLocal, local)
                }
                if let ttl { data.attribute(LinkAttribute.vxlanTTL, ttl) }
                if noLearning { data.attribute(LinkAttribute.vxlanLearning, UInt8(0)) }
            }
        }
    }
    /// `ip link add NAME address MAC type bridge [vlan_filtering 1 vlan_default_pvid 0]`.
    public mutating func addBridge(sequence: UInt32, name: String, mac: MACAddress, filtersVLANs: Bool = false) {
        message(MessageType.newLink, [.create, .exclusive], sequence: sequence)
        linkHeader()
        attribute(LinkAttribute.name, name)
        attribute(LinkAttribute.address, mac)
        bridgeInfo(filtersVLANs: filtersVLANs)
    }
    /// `ip link set DEV type bridge vlan_filtering 1 vlan_default_pvid 0`.
    public mutating func filterVLANs(sequence: UInt32, interface: Int32) {
        message(MessageType.newLink, [], sequence: sequence)
        linkHeader(interface: interface)
        bridgeInfo(filtersVLANs: true)
    }
    private mutating func bridgeInfo(filtersVLANs: Bool) {
        nest(LinkAttribute.info) { info in
            info.attribute(LinkAttribute.infoKind, "bridge")
            guard filtersVLANs else { return }
            info.nest(LinkAttribute.infoData) { data in
                data.attribute(LinkAttribute.bridgeVLANFiltering, UInt8(1))
                data.attribute(LinkAttribute.bridgeDefaultPVID, UInt16(0))
            }
        }
    }
    /// `ip link add link LOWER name NAME [address MAC] type vlan id VLAN`.
    public mutating func addVLANDevice(sequence: UInt32, name: String, lower: Int32, vlan: UInt16, mac: MACAddress?) {
        message(MessageType.newLink, [.create, .exclusive], sequence: sequence)
        linkHeader()
        attribute(LinkAttribute.name, name)
        attribute(LinkAttribute.lower, UInt32(bitPattern: lower))
        if let mac { attribute(LinkAttribute.address, mac) }
        nest(LinkAttribute.info) { info in
            info.attribute(LinkAttribute.infoKind, "vlan")
            info.nest(LinkAttribute.infoData) { $0.attribute(LinkAttribute.vlanID, vlan) }
        }
    }
    /// `ip link add NAME type vrf table TABLE`.
    public mutating func addVRF(sequence: UInt32, name: String, table: UInt32) {
        message(MessageType.newLink, [.create, .exclusive], sequence: sequence)
        linkHeader()
        attribute(LinkAttribute.name, name)
        nest(LinkAttribute.info) { info in
            info.attribute(LinkAttribute.infoKind, "vrf")
            info.nest(LinkAttribute.infoData) { $0.attribute(LinkAttribute.vrfTable, table) }
        }
    }
    /// `ip address replace IP/LENGTH dev DEV [nodad] proto N`. Kernels before 5.18 do not keep the protocol number. Not `add`: the kernel
    /// tells of a new IPv6 address only some time after its acknowledgement, until then it may be asked for once more.
    public mutating func addAddress(
        sequence: UInt32, interface: Int32, ip: IPAddress, prefixLength: UInt8, proto: UInt8
    ) {
        message(MessageType.newAddress, [.create, .replace], sequence: sequence)
        addressHeader(ip, prefixLength, interface)
        // Duplicate detection would find the same gateway on other VTEPs: IFA_F_NODAD.
        if ip.isV6 { attribute(AddressAttribute.flags, UInt32(2)) }
        attribute(AddressAttribute.proto, proto)
    }
    /// `ip address del IP/LENGTH dev DEV`.
    public mutating func deleteAddress(sequence: UInt32, interface: Int32, ip: IPAddress, prefixLength: UInt8) {
        message(MessageType.deleteAddress, [], sequence: sequence)
        addressHeader(ip, prefixLength, interface)
    }
    private mutating func addressHeader(_ ip: IPAddress, _ prefixLength: UInt8, _ interface: Int32) {
        addressHeader(
            family: ip.isV6 ? Family.ipv6 : Family.ipv4, prefixLength: prefixLength,
            interface: UInt32(bitPattern: interface))
        attribute(AddressAttribute.local, ip)
        attribute(AddressAttribute.address, ip)
    }
    /// `ip link del DEV`.
    public mutating func deleteLink(sequence: UInt32, interface: Int32) {
        message(MessageType.deleteLink, [], sequence: sequence)
        linkHeader(interface: interface)
    }
    /// `ip link set DEV [up] [mtu N] [master M] [alias A] [addrgenmode none] [name N] [address MAC]`, and
    /// `sysctl net.ipv4.conf.DEV.forwarding`. A device that was added in the same
    /// batch is found by `byName`.
    public mutating func setLink(
        sequence: UInt32, interface: Int32 = 0, byName: String? = nil, isUp: Bool? = nil, mtu: UInt32? = nil,
        master: Int32? = nil, alias: String? = nil, noAddressGeneration: Bool = false, rename: String? = nil,
        mac: MACAddress? = nil, forwardsIPv4: Bool? = nil
    ) {
        message(MessageType.newLink, [], sequence: sequence)
        linkHeader(interface: interface, flags: isUp == true ? 1 : 0, change: isUp == nil ? 0 : 1)
        if let name = byName ?? rename { attribute(LinkAttribute.name, name) }
        if let mac { attribute(LinkAttribute.address, mac) }
        if let mtu { attribute(LinkAttribute.mtu, mtu) }
        if let master { attribute(LinkAttribute.master, UInt32(bitPattern: master)) }
        if let alias { attribute(LinkAttribute.alias, alias) }
        if noAddressGeneration {
            nest(LinkAttribute.families) { families in
                families.nest(UInt16(Family.ipv6)) { inet6 in
                    inet6.attribute(LinkAttribute.inet6AddressGenerationMode, UInt8(1))
                }
            }
        }
        if let forwardsIPv4 {
            nest(LinkAttribute.families) { families in
                families.nest(UInt16(Family.ipv4)) { inet in
                    inet.nest(LinkAttribute.inetSettings) { settings in
                        settings.attribute(LinkAttribute.inetForwarding, UInt32(forwardsIPv4 ? 1 : 0))
                    }
                }
            }
        }
    }
    /// `bridge link set dev DEV learning off neigh_suppress on [vlan_tunnel on]`.
    public mutating func setBridgePort(
        sequence: UInt32, interface: Int32, learning: Bool, suppressNeighbors: Bool, mapsVLANs: Bool = false
    ) {
        message(MessageType.newLink, [], sequence: sequence)
        linkHeader(interface: interface)
        nest(LinkAttribute.info) { info in
            info.attribute(LinkAttribute.infoSlaveKind, "bridge")
            info.nest(LinkAttribute.infoSlaveData) { data in
                data.attribute(LinkAttribute.portLearning, UInt8(learning ? 1 : 0))
                data.attribute(LinkAttribute.portNeighborSuppression, UInt8(suppressNeighbors ? 1 : 0))
                if mapsVLANs { data.attribute(LinkAttribute.portVLANTunnel, UInt8(1)) }
            }
        }
    }
}
