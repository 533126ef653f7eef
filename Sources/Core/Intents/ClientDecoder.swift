// One client: the keys of evpn-connector's files, and ours. The same words are used in evpnd.yaml and in files of their own.

import Anycast
import BGP
import Documents
import EVPN
import NetTypes

enum ClientDecoder {
    /// OpenFlow port numbers of ports (OFPP_MAX, as Open vSwitch counts).
    static let ports = 1...65279

    private enum Kind: String, CaseIterable { case l2, l3 }
    private enum Framing: String, CaseIterable { case flat, vlan }

    /// Nil when what is needed is missing or wrong, which has been reported.
    static func decode(_ source: Value, unknownKeys: Problem.Severity) -> Client? {
        let section = Section(source)
        defer { section.finish(unknownKeys) }
        // A kind that is not known leaves open what the other keys mean.
        let kind = section.has("cfg_type") ? section["cfg_type"]?.word(Kind.self) : .l2
        _ = section["cfg_type"]
        if !section.has("vni") { section.missing("vni") }
        let vni = section["vni"].located { $0.vni() }
        let mac = section["mac"].located { $0.mac() }
        let attachment = attachment(section)
        let imports = section["imp_rt"]?.clientTargets(), exports = section["exp_rt"]?.clientTargets()
        let service = service(section, kind: kind, mac: mac, unknownKeys)
        guard let vni, let service, let attachment else { return nil }
        return Client(
            attachment: attachment.value, vni: vni.value, service: service, imports: imports, exports: exports,
            place: source.place, vniPlace: vni.source.place, portPlace: attachment.source.place,
            macPlace: (mac?.source ?? source).place, anycastPlace: (section["anycast"] ?? source).place)
    }

    private static func attachment(_ section: Section) -> Located<Attachment>? {
        let number = section["ofport"], name = section["port"]
        let framing = section.has("type") ? section["type"]?.word(Framing.self) : .flat
        _ = section["type"]
        let tagValue = section["tag"]
        var tag: UInt16?
        switch framing {
        case .vlan?:
            if tagValue == nil { section.missing("tag", hint: "a VLAN from 1 to 4094") }
            tag = tagValue?.vlan()
            if tag == nil { return nil }
        case .flat?:
            if let tagValue, !tagValue.document.isInert {
                tagValue.warn("has no effect without type: vlan: frames are untagged there")
            }
        case nil: return nil
        }
        switch (number, name) {
        case (let number?, nil):
            return number.located(number.integer(ports)).map { port in
                Located(Attachment(port: .number(UInt32(clamping: port.value)), tag: tag), number)
            }
        case (nil, let name?):
            return name.located(name.deviceName()).map { Located(Attachment(port: .name($0.value), tag: tag), name) }
        case (nil, nil): section.missing("ofport", hint: "the OpenFlow number of a port, or port with its name")
        case (let number?, _?): number.fail("only one of ofport and port can be used")
        }
        return nil
    }

    private static func service(
        _ section: Section, kind: Kind?, mac: Located<MACAddress>?, _ unknownKeys: Problem.Severity
    ) -> Client.Service? {
        let routes = section["routes"], anycast = section["anycast"], addresses = section["addresses"]
        // evpn-connector takes it and announces the MAC alone.
        _ = section["ip"]
        switch kind {
        case .l2?:
            for value in [routes, anycast] {
                if let value, !value.document.isInert { value.warn("has no effect without cfg_type: l3") }
            }
            let hosts = Set((addresses?.listOrOne() ?? []).compactMap { $0.hostAddress() }).sorted()
            if mac == nil, section.has("mac") { return nil }
            if mac == nil, !hosts.isEmpty {
                addresses?.fail("addresses belong to a MAC", hint: "set mac")
                return nil
            }
            return .bridged(mac: mac?.value, addresses: hosts)
        case .l3?:
            if let addresses, !addresses.document.isInert {
                addresses.fail("is for cfg_type: l2", hint: "write routes: what is behind the client")
            }
            var prefixes: Set<IPPrefix> = []
            for value in routes?.listOrOne() ?? [] {
                guard let prefix = value.clientPrefix() else { continue }
                if !prefixes.insert(prefix).inserted { value.warn("\(prefix) is already listed") }
            }
            let list = (anycast?.list() ?? []).compactMap { self.anycast(Section($0), unknownKeys) }
            guard let mac else {
                if !section.has("mac") { section.missing("mac") }
                return nil
            }
            return .routed(mac: mac.value, prefixes: prefixes.sorted(), anycast: list)
        case nil: return nil
        }
    }

    private static func anycast(_ section: Section, _ unknownKeys: Problem.Severity) -> Client.Anycast? {
        func address(_ key: String) -> Located<IPAddress>? {
            if !section.has(key) { section.missing(key) }
            return section[key].located { $0.hostAddress() }
        }
        let shared = address("anycast_ip"), target = address("dst_ip"), check = address("check_ip")
        let internalTarget = address("internal_dst_ip"), checker = address("internal_checker_ip")
        if !section.has("conntrack_zone") { section.missing("conntrack_zone") }
        let zone = section["conntrack_zone"]?.integer(0...65535)
        let probe = section.has("probe") ? ProbeDecoder.decode(section.section("probe"), over: nil) : nil
        _ = section["probe"]
        section.finish(unknownKeys)
        guard let shared, let target, let check, let internalTarget, let checker, let zone else { return nil }
        guard shared.source.canBeRouted(IPPrefix(shared.value, length: shared.value.bitWidth)) else { return nil }
        for other in [target, check, internalTarget, checker] where other.value.isV6 != shared.value.isV6 {
            other.source.fail("\(other.value) is of another family than anycast_ip \(shared.value)")
            return nil
        }
        if target.value == shared.value {
            target.source.fail("must differ from anycast_ip: it is the client's own address")
            return nil
        }
        return Client.Anycast(
            address: AnycastAddress(
                address: shared.value, target: target.value, check: check.value, internalTarget: internalTarget.value,
                internalChecker: checker.value, zone: UInt16(clamping: zone)), probe: probe)
    }
}

extension Value {
    fileprivate var place: Client.Place { Client.Place(position: position, path: path) }

    /// An address that a host can have.
    fileprivate func hostAddress() -> IPAddress? {
        guard let address = address() else { return nil }
        if address.isUnspecified || address.isMulticast || address.isLoopback {
            fail("\(address) is not an address of a host")
            return nil
        }
        return address
    }
    /// A prefix; with bits after its length it means the network, as it does to evpn-connector's readers.
    fileprivate func clientPrefix() -> IPPrefix? {
        guard let text = text() else { return nil }
        guard text.contains("/"), let prefix = IPPrefix(text) else {
            fail("expected a prefix such as 10.0.0.0/8 or 2001:db8::/32, found \(kind)")
            return nil
        }
        let written = text.split(separator: "/").first.flatMap { IPAddress(String($0)) }
        if written != prefix.address { warn("the address has bits beyond its length", hint: "means \(prefix)") }
        return canBeRouted(prefix) ? prefix : nil
    }
    /// Whether other hosts are told of a prefix, and take it.
    fileprivate func canBeRouted(_ prefix: IPPrefix?) -> Bool {
        guard let prefix, !prefix.isRoutable, !prefix.isPartOfLinkLocal else { return true }
        failAsNeverRouted(prefix)
        return false
    }
    /// `65000:100` and the other forms; `0:100` is completed with the AS of the node.
    fileprivate func clientTargets() -> [Client.Target] {
        var result: [Client.Target] = []
        for element in listOrOne() {
            guard let text = element.text() else { continue }
            var target: Client.Target?
            let parts = text.split(separator: ":", omittingEmptySubsequences: false)
            if text.utf8.allSatisfy({ (0x30...0x39).contains($0) || $0 == 0x2e || $0 == 0x3a }) {
                if parts.count == 2, parts[0] == "0" {
                    target = UInt32(parts[1]).map { .ofThisAS($0) }
                } else {
                    target = RouteTarget(text).map { .fixed($0) }
                }
            }
            guard let target else {
                element.fail(
                    "expected a route target such as 65000:100, 0:100, 192.0.2.1:100 or 4200000000:100, found \(element.kind)"
                )
                continue
            }
            if result.contains(target) { element.warn("\(text) is already listed") } else { result.append(target) }
        }
        return result
    }
}
