// What VNIs and VRFs lay claim to, and the complaint when two of them want the same.

import BGP
import Documents
import EVPN
import NetTypes

/// One VNI or VRF of the file with all that must be its own.
struct Claim {
    /// For people: `VNI 101`, `VRF ten`.
    var owner: String
    var source: Value
    var names: [ClaimedName] = []
    /// The VLAN of the shared bridge, where one is named.
    var vlan: Located<UInt16>?
    /// The bridge it shares with others.
    var bridge: SharedBridge?
    /// The UDP port of a VXLAN device that evpnd makes.
    var port: UInt16?
    /// Nil: automatic.
    var rd: Located<RouteDistinguisher>?
    /// What the automatic distinguisher is made of; nil: any number.
    var number: UInt32?

    init(_ owner: String, _ source: Value) {
        self.owner = owner
        self.source = source
    }
    var line: Int { source.position.line }
    /// For people, with the place in the file.
    var place: String { "\(owner) at line \(line)" }
}

struct ClaimedName {
    var name: Located<String>
    /// An adopted device may serve several VNIs.
    var isAdopted = false
}

extension [Claim] {
    /// Every device name belongs to one owner and has one use there.
    func checkNames() {
        var owners: [String: (claim: Claim, isAdopted: Bool)] = [:]
        for claim in self {
            guard let bridge = claim.bridge else { continue }
            owners[bridge.bridgeName] = (claim, false)
            owners[bridge.vxlanName] = (claim, false)
        }
        let names = flatMap { claim in claim.names.map { (claim: claim, name: $0) } }
        for (claim, name) in names.sorted(by: { $0.name.name.source.position < $1.name.name.source.position }) {
            if let owner = owners[name.name.value] {
                if name.isAdopted, owner.isAdopted { continue }
                name.name.source.fail(
                    "device \(name.name.value) of \(claim.owner) is already used by \(owner.claim.place)")
            } else {
                owners[name.name.value] = (claim, name.isAdopted)
            }
        }
    }

    /// A VLAN stands for one VNI.
    func checkVLANs() {
        var owners: [UInt16: Claim] = [:]
        for claim in self {
            guard let vlan = claim.vlan else { continue }
            if let owner = owners[vlan.value] {
                vlan.source.fail("VLAN \(vlan.value) of \(claim.owner) is already used by \(owner.place)")
            } else {
                owners[vlan.value] = claim
            }
        }
    }

    /// A VXLAN device for many VNIs and one for a single VNI cannot have one UDP port: the kernel has one socket for it, which takes packets
    /// for devices of one kind. The sockets are those of the namespace that evpnd runs in, also for devices in a VRF's.
    func checkPorts() {
        let shared = filter { $0.bridge != nil && $0.port != nil }.min { $0.source.position < $1.source.position }
        let own = filter { $0.bridge == nil && $0.port != nil && $0.port == shared?.port }
            .min { $0.source.position < $1.source.position }
        guard let shared, let own, let port = own.port else { return }
        let more = filter { $0.bridge == nil && $0.port == port }.count - 1
        own.source.fail(
            "\(own.owner)\(more > 0 ? " and \(more) more" : "") would have a VXLAN device of its own with UDP port \(port), which the kernel refuses beside that of vlanBridge (\(shared.place)) with the same port",
            hint:
                "give all of them vlan, or none, or set another vlanBridge.port, which all VTEPs of those VNIs must use"
        )
    }

    /// The route distinguisher of each, in the same order. Explicit ones first, then `router-id:VNI` where the VNI fits 16 bits, then
    /// for each larger VNI the first free number from its low 16 bits on, then those without a VNI. Disabled VNIs keep their number,
    /// so that enabling one moves no other. Without one is only what has a problem.
    func assignDistinguishers(routerID: IPv4Address) -> [RouteDistinguisher?] {
        var result: [RouteDistinguisher?] = Array<RouteDistinguisher?>(repeating: nil, count: count)
        var owners: [RouteDistinguisher: Claim] = [:]
        func give(_ rd: RouteDistinguisher, _ index: Int, isAutomatic: Bool) {
            let claim = self[index]
            if let owner = owners[rd] {
                let source = isAutomatic ? (owner.rd?.source ?? claim.source) : (claim.rd?.source ?? claim.source)
                let other = isAutomatic ? claim : owner
                let how = isAutomatic ? "the automatic one of" : "already used by"
                source.fail("route distinguisher \(rd) is \(how) \(other.place)")
            }
            owners[rd] = claim
            result[index] = rd
        }
        for (index, claim) in enumerated() {
            if let rd = claim.rd { give(rd.value, index, isAutomatic: false) }
        }
        let automatic = indices.filter { self[$0].rd == nil }
        for index in automatic {
            guard let number = self[index].number.flatMap({ UInt16(exactly: $0) }) else { continue }
            give(RouteDistinguisher(routerID, number), index, isAutomatic: true)
        }
        let large = automatic.filter { (self[$0].number ?? 0) > 0xffff }
        for index in large + automatic.filter({ self[$0].number == nil }) {
            let first = UInt16(truncatingIfNeeded: self[index].number ?? 1)
            guard let rd = RouteDistinguisher.firstFree(routerID, from: first, isTaken: { owners[$0] != nil }) else {
                self[index].source.fail("no route distinguisher is left: all 65535 numbers of \(routerID) are used")
                break
            }
            give(rd, index, isAutomatic: true)
        }
        return result
    }
}

extension RouteDistinguisher {
    /// The first one of `address` that is not taken, counting up from a number and on from 1 after 65535; nil: none is left.
    static func firstFree(
        _ address: IPv4Address, from first: UInt16, isTaken: (RouteDistinguisher) -> Bool
    ) -> RouteDistinguisher? {
        var number = first
        for _ in 0...0xffff {
            let rd = RouteDistinguisher(address, number)
            if number != 0, !isTaken(rd) { return rd }
            number &+= 1
        }
        return nil
    }
}
