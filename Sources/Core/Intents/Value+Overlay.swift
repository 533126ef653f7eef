// Values that VNIs and VRFs are written with.

import BGP
import Documents
import NetTypes

/// `routeTargets:`; nil lists are automatic.
struct RouteTargetLists {
    var imports: [RouteTarget]?
    var exports: [RouteTarget]?
}

extension Value {
    private var isAuto: Bool {
        if case .scalar("auto", _) = document.content { true } else { false }
    }
    /// Digits, points and one colon: what the readers of RD and RT should see, signs excluded.
    private static func isPlainPair(_ text: String) -> Bool {
        text.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == 0x2e || $0 == 0x3a }
    }
    /// `auto` in place of something else: nil without a problem.
    func unlessAuto<T>(_ read: (Value) -> T?) -> T? { isAuto ? nil : read(self) }

    func vni() -> VNI? { integer(1...16_777_215).flatMap { VNI(UInt32(clamping: $0)) } }
    func vlan() -> UInt16? { integer(1...4094).map { UInt16(clamping: $0) } }

    func distinguisher() -> RouteDistinguisher? {
        guard let text = text() else { return nil }
        guard Value.isPlainPair(text), let rd = RouteDistinguisher(text) else {
            fail("expected auto or a route distinguisher such as 192.0.2.1:100 or 65000:100, found \(kind)")
            return nil
        }
        return rd
    }

    func routeTargets() -> RouteTargetLists {
        if isAuto { return RouteTargetLists() }
        let section = Section(self)
        let imports = section["import"].flatMap { $0.targets() }
        let exports = section["export"].flatMap { $0.targets() }
        let both = section["both"].flatMap { $0.targets() }
        section.finish()
        func joined(_ list: [RouteTarget]?) -> [RouteTarget]? {
            list == nil && both == nil ? nil : Set((list ?? []) + (both ?? [])).sorted()
        }
        let result = RouteTargetLists(imports: joined(imports), exports: joined(exports))
        if result.exports?.isEmpty == true, section["export"]?.document.isInert == true {
            section["export"]?.warn("nobody can import routes without a target")
        }
        return result
    }
    private func targets() -> [RouteTarget]? {
        if isAuto { return nil }
        return listOrOne().compactMap { element in
            guard let text = element.text() else { return nil }
            if text == "auto" {
                element.fail("auto stands alone and cannot be one of several", hint: "write ASN:VNI")
                return nil
            }
            guard Value.isPlainPair(text), let target = RouteTarget(text) else {
                element.fail(
                    "expected auto or a route target such as 65000:100, 192.0.2.1:100 or 4200000000:100, found \(element.kind)"
                )
                return nil
            }
            return target
        }
    }

    /// A standard community, `ASN:NUMBER`, both of 16 bits.
    func community() -> UInt32? {
        guard let text = text() else { return nil }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        let numbers = parts.compactMap { part in
            part.utf8.allSatisfy { (0x30...0x39).contains($0) } ? UInt16(part) : nil
        }
        guard parts.count == 2, let high = numbers.first, let low = numbers.last, numbers.count == 2 else {
            fail("expected a community of two numbers up to 65535 such as 65000:100, found \(kind)")
            return nil
        }
        guard high != 0xffff else {
            fail("communities of 65535 are reserved (RFC 1997)")
            return nil
        }
        return UInt32(high) << 16 | UInt32(low)
    }

    /// A MAC address that a host can have.
    func mac() -> MACAddress? {
        guard let text = text() else { return nil }
        guard let mac = MACAddress(text) else {
            fail("expected a MAC address such as 02:00:00:00:00:0a, found \(kind)")
            return nil
        }
        guard mac.isUsableByHost else {
            fail("\(mac) cannot belong to a host: it is \(mac.isZero ? "zero" : "a group address")")
            return nil
        }
        return mac
    }

    /// An address that other hosts can send VXLAN packets to.
    func vtepAddress() -> IPAddress? {
        guard let address = address() else { return nil }
        if address.isUnspecified || address.isMulticast || address.isLoopback || address.isLinkLocal {
            fail("\(address) cannot be reached by other VTEPs")
            return nil
        }
        return address
    }

    func failAsNeverRouted(_ prefix: IPPrefix) {
        fail(
            "\(prefix) is never routed: it is a multicast, loopback, link-local or reserved prefix, or of addresses without a network (0.0.0.0/8)"
        )
    }

    /// A prefix without host bits.
    func prefix() -> IPPrefix? { text().flatMap { prefix(of: $0[...]) } }
    /// The same of a part of the text.
    func prefix(of text: Substring) -> IPPrefix? {
        guard let prefix = IPPrefix(String(text)),
            let address = IPAddress(String(text.prefix { $0 != "/" }))
        else {
            fail("expected a prefix such as 10.0.0.0/8 or 2001:db8::/32, found \(kind)")
            return nil
        }
        guard prefix.address == address else {
            fail("\(text) has bits set after its length", hint: "write \(prefix)")
            return nil
        }
        return prefix
    }
}

extension Value {
    /// A path from the root.
    func absolutePath() -> String? {
        guard let text = nonEmptyText() else { return nil }
        guard text.hasPrefix("/"), text.utf8.count < 4096, !text.utf8.contains(0) else {
            fail("expected an absolute path, found \(kind)")
            return nil
        }
        return text
    }
}
