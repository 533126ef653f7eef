// The file of gobgp-evpn-agent: membership by communities, told to a gobgpd.

import Documents
import NetTypes

/// One `config.yaml` on its way to an `evpnd.yaml`.
struct AgentTakeover {
    let tree: Document

    init(_ file: Section) {
        let position = file.source.position
        let node = file.section("node")
        let vnis = file["vnis"]?.list() ?? []
        let asn = file["communityAsn"].located { $0.integer(0...4_294_967_295) }
        if (asn?.value ?? 0) == 0, vnis.isEmpty {
            file.missing("communityAsn", hint: "without vnis every VXLAN device is served, by communityAsn:VNI")
        }
        let entries = vnis.compactMap { AgentTakeover.vni($0, hasASN: (asn?.value ?? 0) != 0) }

        var membership: [(String, Document?)] = []
        if let asn, asn.value != 0 { membership.append(("communityASN", asn.source.document)) }
        let advertise = file["advertiseSelf"]
        membership.append(
            ("advertise", .plain(advertise?.bool() == true ? "true" : "false", at: advertise?.position ?? position)))
        membership.append(("discover", .plain(vnis.isEmpty ? "true" : "false", at: position)))
        membership.append(("signalling", .plain("membership", at: position)))

        tree = .map(
            [
                ("node", AgentTakeover.node(node)),
                ("bgp", AgentTakeover.bgp(file.section("gobgp"), at: position)),
                ("membership", .map(membership, at: asn?.source.position ?? position)),
                ("vnis", entries.isEmpty ? nil : Document(.list(entries), at: file["vnis"]?.position ?? position)),
                ("telemetry", AgentTakeover.telemetry(file["logLevel"])),
            ], at: position)
        node.finish(.warning)
        file.finish(.warning)
    }

    private static func node(_ node: Section) -> Document {
        if let port = node["vxlanPort"], port.integer(1...65535) != 4789 {
            port.warn("had no effect there, and has none here: the port is that of each device")
        }
        if let recreate = node["autoRecreateVxlan"], recreate.bool() == true {
            recreate.warn("recreated nothing there, and nothing here: a device that somebody makes again is followed")
        }
        if let keep = node["skipLinkCleanup"], keep.bool() == false {
            keep.warn("evpnd never deletes a device that it did not make")
        }
        let interface = node["localInterface"].flatMap { $0.document.isInert ? nil : $0 }
        if let address = node["localAddress"], !address.document.isInert {
            return .map([("vtep", address.document)], at: node.source.position)
        }
        let name = interface?.document ?? .plain("eth0", at: node.source.position)
        return .map([("interface", name)], at: node.source.position)
    }

    private static func bgp(_ gobgp: Section, at position: SourcePosition) -> Document {
        let address = gobgp["address"].flatMap { $0.document.isInert ? nil : $0.document }
        if let timeout = gobgp["timeout"], timeout.text() != "5s" {
            timeout.warn("no equivalent: evpnd goes on trying, and says so in /readyz")
        }
        gobgp.finish(.warning)
        return .map(
            [
                ("speaker", .plain("gobgp", at: position)),
                (
                    "gobgp",
                    .map([("address", address ?? .plain("127.0.0.1:50051", at: position))], at: gobgp.source.position)
                ),
            ], at: position)
    }

    private static func telemetry(_ level: Value?) -> Document? {
        guard let level, let text = level.text()?.lowercased() else { return nil }
        let known = ["debug": "debug", "info": "info", "warn": "warning", "warning": "warning", "error": "error"]
        if known[text] == nil, !text.isEmpty { level.warn("is no level; there as here it means info") }
        return .map([("logLevel", .plain(known[text] ?? "info", at: level.position))], at: level.position)
    }

    private static func vni(_ value: Value, hasASN: Bool) -> Document? {
        let section = Section(value)
        let id = section["id"].located { $0.integer(1...16_777_215) }
        if !section.has("id") { section.missing("id") }
        let community = section["community"].flatMap { $0.document.isInert ? nil : $0 }
        if community == nil, !hasASN {
            section.missing("community", hint: "or communityAsn, from which it is made")
        }
        // The name that it has by itself says nothing: the device is then followed by its VNI, whatever it is called.
        let device = section["device"].flatMap { value -> Document? in
            guard let name = value.text(), !name.isEmpty, name != "vxlan\(id?.value ?? 0)" else { return nil }
            return value.document
        }
        if let underlay = section["underlayInterface"], !underlay.document.isInert {
            underlay.warn("had no effect there, and has none here")
        }
        section.finish(.warning)
        guard let id else { return nil }
        return .map(
            [("vni", id.source.document), ("device", device), ("community", community?.document)], at: value.position)
    }
}
