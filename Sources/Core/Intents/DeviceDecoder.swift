// The devices of a VNI: keys that VNIs and the L3 VNIs of VRFs have in common.

import Documents
import EVPN
import NetTypes

/// Where a VNI lives in the kernel, as written.
struct DeviceSettings {
    var device = BroadcastDomain.Device.adopted(name: nil)
    var names: [ClaimedName] = []
    var vlan: Located<UInt16>?
    var bridge: SharedBridge?
    /// The UDP port of a managed VXLAN device.
    var port: UInt16? {
        switch device {
        case .adopted, .switched: nil
        case .managed(let device): device.port
        case .managedVLAN(let place): place.bridge.port
        }
    }

    /// With Open vSwitch.
    init() { device = .switched }

    /// `members`: devices to be put into the bridge.
    init(
        _ section: Section, _ vni: VNI?, isManaged: Bool, members: [Located<String>] = [], sharedBridge: SharedBridge
    ) {
        let adopted = section["device"].located { $0.deviceName() }
        let vxlan = section["vxlan"].located { $0.deviceName() }
        let bridge = section["bridge"].located { $0.deviceName() }
        let mtu = section["mtu"].located { $0.integer(68...65535) }
        let port = section["port"].located { $0.integer(1...65535) }
        let vlanValue = section["vlan"]
        guard isManaged else {
            for source in [vxlan?.source, bridge?.source, mtu?.source, port?.source, vlanValue] {
                source?.fail("is only for VNIs with managed: true; an adopted device is left as the operator made it")
            }
            device = .adopted(name: adopted?.value)
            if let adopted { names = [ClaimedName(name: adopted, isAdopted: true)] }
            return
        }
        adopted?.source.fail("a managed VNI has no device to adopt", hint: "use vxlan and bridge to name its devices")
        names = members.map { ClaimedName(name: $0) }
        if let vlanValue {
            for source in [vxlan?.source, bridge?.source, mtu?.source, port?.source] {
                source?.fail("VNIs in VLANs share one bridge and one VXLAN device", hint: "set it under vlanBridge")
            }
            vlan = vlanValue.located(vlanValue.unlessAuto { $0.vlan() })
            self.bridge = sharedBridge
            device = .managedVLAN(
                ManagedVLAN(bridge: sharedBridge, vlan: vlan?.value, members: members.map(\.value).sorted()))
            return
        }
        let number = vni?.description ?? ""
        let vxlanName = vxlan ?? Located("vxlan\(number)", section.source)
        let bridgeName = bridge ?? Located("br\(number)", section.source)
        device = .managed(
            ManagedDevice(
                vxlanName: vxlanName.value, bridgeName: bridgeName.value, mtu: mtu?.value,
                port: UInt16(clamping: port?.value ?? 4789), members: members.map(\.value).sorted()))
        names = [ClaimedName(name: vxlanName), ClaimedName(name: bridgeName)] + names
    }

    /// The address that other VTEPs send to, where the entry has one of its own.
    func vtep(_ section: Section, isNodeAddressKnown: Bool) -> IPAddress? {
        let value = section["vtep"]
        switch device {
        case .adopted, .switched: break
        case .managed, .managedVLAN:
            if value == nil, !isNodeAddressKnown {
                section.source.fail(
                    "a managed VNI needs a VTEP address", hint: "set node.vtep, node.interface or vtep here")
            }
        }
        if bridge != nil {
            value?.fail("VNIs in VLANs share one VXLAN device and its address", hint: "set node.vtep")
        }
        return value?.vtepAddress()
    }
}

extension Section {
    /// Refuses the keys of devices, and more, where Open vSwitch forwards.
    func refuseDevices(beside more: [String]) {
        for key in ["managed", "device", "vxlan", "bridge", "mtu", "port", "vlan"] + more {
            unsupported(
                key, "Open vSwitch forwards, and the kernel gets no devices", hint: "its ports are given to clients")
        }
        unsupported("vtep", "all VNIs have the one tunnel port of Open vSwitch", hint: "set node.vtep")
    }
}

extension SharedBridge {
    /// `vlanBridge:`.
    init(_ section: Section) {
        self.init()
        if let name = section["bridge"]?.deviceName() { bridgeName = name }
        if let name = section["vxlan"]?.deviceName() { vxlanName = name }
        if let value = section["mtu"]?.integer(68...65535) { mtu = value }
        if let value = section["port"]?.integer(1...65535) { port = UInt16(clamping: value) }
        if let value = section["vniFilter"]?.bool() { filtersVNIs = value }
        if bridgeName == vxlanName {
            section.source.fail("bridge and VXLAN device cannot both be named \(bridgeName)")
        }
        section.finish()
    }
}
