// How `show` and `explain` look to people.

import Documents

enum View: String, CaseIterable {
    case status, neighbors, vnis, vrfs, prefixes, macs, vteps, routes, netlink, clients, anycast

    /// Options that choose rows.
    var options: Set<String> {
        switch self {
        case .macs: ["--vni", "--mac"]
        case .routes:
            ["--type", "--rd", "--vni", "--mac", "--family", "--neighbor", "--best", "--advertised"]
        case .prefixes: ["--vrf"]
        case .status, .neighbors, .vnis, .vrfs, .vteps, .netlink, .clients, .anycast: []
        }
    }

    func text(_ rows: [JSONValue]) -> String {
        switch self {
        case .status: rows.map(statusText).joined()
        case .neighbors: neighborsText(rows)
        case .vnis: vnisText(rows)
        case .vrfs: vrfsText(rows)
        case .prefixes: prefixesText(rows)
        case .macs: macsText(rows)
        case .vteps: vtepsText(rows)
        case .routes: routesText(rows)
        case .netlink: netlinkText(rows)
        case .clients: clientsText(rows)
        case .anycast: anycastText(rows)
        }
    }
}

func statusText(_ status: JSONValue) -> String {
    let dataplane = status["dataplane"] ?? .null
    let reasons = status.list("waiting_for").compactMap { reason in
        if case .string(let text) = reason { return text }
        return nil
    }
    var lines: [(String, String)] = [
        ("evpnd", "\(status.cell("version")), up \(durationText(status.integer("uptime_seconds")))"),
        ("ready", status.isTrue("ready") ? Style.good("yes") : Style.bad("no: ") + reasons.joined(separator: "; ")),
        ("router", "AS \(status.cell("asn")), router ID \(status.cell("router_id")), VTEP \(status.cell("vtep"))"),
        ("speaker", status.cell("speaker")),
        ("neighbors", "\(status.cell("established")) of \(status.cell("neighbors")) established"),
        (
            "tables",
            counted(status.integer("vnis"), "VNI") + ", "
                + (status.integer("vrfs") > 0 ? counted(status.integer("vrfs"), "VRF") + ", " : "")
                + counted(status.integer("routes"), "route")
        ),
        (
            dataplane.cell("place"),
            "\(counted(dataplane.integer("entries"), "entry", "entries")), \(dataplane.cell("pending")) pending, \(dataplane.cell("failed")) failed, "
                + "\(dataplane.cell("waiting")) waiting, \(dataplane.cell("healed")) healed"
        ),
        ("config", status.cell("config")),
    ]
    for problem in status.list("speaker_problems") {
        if case .string(let text) = problem { lines.append(("problem", Style.bad(text))) }
    }
    let problems = status.list("problems")
    for problem in problems.prefix(statusProblemLimit) { lines.append(("problem", Style.bad(problemText(problem)))) }
    if problems.count > statusProblemLimit {
        lines.append(("problem", Style.bad("and \(problems.count - statusProblemLimit) more")))
    }
    for problem in status.list("client_problems") {
        if case .string(let text) = problem { lines.append(("clients", Style.bad(text))) }
    }
    for route in status.list("refused_routes") {
        lines.append(("refused", Style.bad("\(route.cell("route")): \(route.cell("reason"))")))
    }
    for problem in status.list("last_reload_problems") {
        if case .string(let text) = problem { lines.append(("reload", text)) }
    }
    return lines.map { name, value in
        Style.bold(name) + String(repeating: " ", count: 11 - name.count) + value + "\n"
    }.joined()
}

/// Lines of problems in `show status`; `--json` has them all.
private let statusProblemLimit = 20

/// `vrf ten: br500 is down -> ip link set br500 up`.
func problemText(_ problem: JSONValue) -> String {
    "\(problem.cell("subject")): \(problem.cell("problem"))\(wayOutText(problem))"
}
private func wayOutText(_ row: JSONValue) -> String {
    row.cell("way_out") == "-" ? "" : " -> \(row.cell("way_out"))"
}
/// `1 VNI`, `2 VNIs`.
func counted(_ count: Int, _ noun: String, _ several: String? = nil) -> String {
    "\(count) \(count == 1 ? noun : several ?? noun + "s")"
}

func handMadeText(_ rows: [JSONValue]) -> String {
    var table = Table(["ROUTE", "AFTER A RESTART", "STATE"])
    for row in rows {
        table.rows.append([
            row.cell("route"), row.isTrue("persistent") ? "advertised again" : "gone",
            row.isTrue("covered") ? "evpnd's own route is advertised instead" : "advertised",
        ])
    }
    return table.text
}

private func neighborsText(_ rows: [JSONValue]) -> String {
    var table = Table(["NEIGHBOR", "AS", "STATE", "SINCE", "FAMILY", "IN", "OUT", "DESCRIPTION"], numeric: [1, 5, 6])
    for row in rows {
        let families = row.list("families")
        for (index, family) in (families.isEmpty ? [.null] : families).enumerated() {
            let isFirst = index == 0
            table.rows.append([
                isFirst ? neighborText(row) : "", isFirst ? row.cell("asn") : "",
                isFirst ? row.cell("state") : "", isFirst ? durationText(row.integer("since_seconds")) : "",
                family.cell("family"),
                family.cell("received") + (family.integer("stale") > 0 ? " (\(family.integer("stale")) stale)" : ""),
                family.cell("advertised"), isFirst ? row.cell("description") : "",
            ])
        }
    }
    var text = table.text
    if rows.contains(where: { $0.isTrue("dynamic") }) { text += Style.dim("* dynamic neighbor\n") }
    for row in rows where row.cell("state") != "established" && row.cell("last_error") != "-" {
        text += "\(nameText(row)): \(row.cell("last_error"))\(wayOut(row))\n"
    }
    // A wrong TCP MD5 password and a firewall look the same from here: silence.
    for row in rows where row.cell("state") == "connect" && row.integer("since_seconds") >= 3 {
        text += "\(nameText(row)): no answer to TCP for \(durationText(row.integer("since_seconds"))): "
        text += "is it reachable, does it listen, is the password the same at both ends?\n"
    }
    for row in rows {
        for fault in row.list("faults") {
            text += "\(nameText(row)): \(fault.cell("count")) × \(fault.cell("reason"))\n"
        }
    }
    return text
}

/// What commands call a neighbor: its address or, of an unnumbered one, its interface.
private func nameText(_ row: JSONValue) -> String {
    row.cell("interface") == "-" ? row.cell("address") : row.cell("interface")
}
/// The address, with `*` for a dynamic neighbor; of an unnumbered one with its interface, or that alone while nobody was found there.
private func neighborText(_ row: JSONValue) -> String {
    guard row.cell("interface") != "-" else { return row.cell("address") + (row.isTrue("dynamic") ? "*" : "") }
    return row.cell("address") == "-" ? row.cell("interface") : "\(row.cell("address"))%\(row.cell("interface"))"
}

/// How a neighbor comes back that will not by itself.
private func wayOut(_ neighbor: JSONValue) -> String {
    let name = nameText(neighbor)
    if neighbor.isTrue("admin_down") { return "; evpnctl neighbor enable \(name)" }
    return neighbor.cell("last_error").hasPrefix("held down") ? "; evpnctl neighbor clear \(name)" : ""
}

private func vnisText(_ rows: [JSONValue]) -> String {
    // Where nothing is routed, nothing is said about it.
    let isRouted = rows.contains { $0.cell("vrf") != "-" || $0.cell("gateway") != "-" }
    let routed = isRouted ? ["VRF", "GATEWAY"] : []
    var table = Table(
        ["VNI", "STATE", "DEVICE", "BRIDGE", "VTEP"] + routed
            + ["RD", "IMPORT", "EXPORT", "LOCAL", "REMOTE", "VTEPS"])
    table.numeric = Set([0] + (table.headings.count - 3..<table.headings.count))
    for row in rows {
        table.rows.append(
            ["vni", "state", "device", "bridge", "vtep"].map { row.cell($0) }
                + (isRouted ? [row.cell("vrf"), row.isTrue("l3") ? "(L3 VNI)" : row.cell("gateway")] : [])
                + ["rd", "import", "export", "local_macs", "remote_macs", "vteps"].map { row.cell($0) })
    }
    var text = table.text
    for row in rows where row.cell("problem") != "-" {
        text += "vni \(row.cell("vni")): \(row.cell("problem"))\(wayOutText(row))\n"
    }
    for row in rows where !row.list("absent_members").isEmpty {
        text += "vni \(row.cell("vni")): waits for \(row.cell("absent_members")) (members)\n"
    }
    for row in rows where row.integer("frozen") > 0 {
        text +=
            "vni \(row.cell("vni")): \(row.cell("frozen")) frozen as duplicates; evpnctl recover mac M lets one move again\n"
    }
    return text
}

private func vrfsText(_ rows: [JSONValue]) -> String {
    var table = Table(
        ["VRF", "STATE", "TABLE", "VNI", "DEVICE", "ROUTER MAC", "RD", "IMPORT", "EXPORT", "VNIS", "HOSTS"]
            + ["LOCAL", "ANNOUNCED", "REMOTE"], numeric: [3, 10, 11, 12, 13])
    for row in rows {
        let place =
            switch row.cell("place") {
            case "namespace": "netns \(row.cell("namespace"))"
            case "underlay": "main"
            default: row.cell("table")
            }
        table.rows.append(
            [row.cell("name"), row.cell("state"), place]
                + [
                    "vni", "l3_device", "router_mac", "rd", "import", "export", "vnis", "local_hosts", "local_prefixes",
                    "announced_prefixes", "remote_prefixes",
                ].map { row.cell($0) })
    }
    var text = table.text
    for row in rows where row.cell("problem") != "-" {
        text += "vrf \(row.cell("name")): \(row.cell("problem"))\(wayOutText(row))\n"
    }
    return text
}

private func prefixesText(_ rows: [JSONValue]) -> String {
    var table = Table(["VRF", "PREFIX", "SOURCE", "NEXT HOP", "STATE"])
    for row in rows {
        // A line for each next hop.
        var nexthops = row.list("next_hops").compactMap { value in
            if case .string(let text) = value { return text }
            return nil
        }
        let first = nexthops.isEmpty ? "-" : nexthops.removeFirst()
        table.rows.append([row.cell("vrf"), row.cell("prefix"), row.cell("source"), first, row.cell("state")])
        for nexthop in nexthops { table.rows.append(["", "", "", nexthop, ""]) }
    }
    return table.text + Style.dim(counted(rows.count, "prefix", "prefixes") + "\n")
}

private func macsText(_ rows: [JSONValue]) -> String {
    var table = Table(["VNI", "MAC", "PLACE", "AT", "SEQ", "FLAGS"], numeric: [0, 4])
    for row in rows {
        var flags: [String] = []
        if row.isTrue("sticky") { flags.append("sticky") }
        if row.isTrue("gateway") { flags.append("gateway") }
        if row.isTrue("frozen") { flags.append("frozen") }
        if row.cell("remote_vni") != "-", row.cell("remote_vni") != row.cell("vni") {
            flags.append("sent with vni \(row.cell("remote_vni"))")
        }
        table.rows.append([
            row.cell("vni"), row.cell("mac"), row.cell("place"), row.cell("at"), row.cell("sequence"),
            flags.isEmpty ? "-" : flags.joined(separator: ","),
        ])
    }
    return table.text
}

private func vtepsText(_ rows: [JSONValue]) -> String {
    var table = Table(["VTEP", "MACS", "VNIS"], numeric: [1, 2])
    for row in rows { table.rows.append([row.cell("vtep"), row.cell("macs"), row.cell("floods")]) }
    return table.text
}

private func routesText(_ rows: [JSONValue]) -> String {
    var table = Table(["", "ROUTE", "NEXT HOP", "LABEL", "FROM", "TARGETS", "NOTES"], numeric: [3])
    for row in rows {
        var notes: [String] = []
        if row.isTrue("stale") { notes.append("stale") }
        if row.cell("ineligible") != "-" { notes.append(row.cell("ineligible")) }
        if row.integer("sequence") > 0 { notes.append("sequence \(row.integer("sequence"))") }
        if row.isTrue("sticky") { notes.append("sticky") }
        if row.cell("as_path") != "-" { notes.append("path \(row.cell("as_path"))") }
        let label = row.integer("label") > 0 ? row.cell("label") : row.cell("pmsi_label")
        table.rows.append([
            row.isTrue("best") ? "*" : " ", row.cell("route"), row.cell("next_hop"), label, row.cell("neighbor"),
            row.cell("route_targets"), notes.isEmpty ? "-" : notes.joined(separator: ", "),
        ])
    }
    return table.text + Style.dim(counted(rows.count, "path") + ", * best\n")
}

func explanationText(_ explanation: JSONValue) -> String {
    var text = Style.bold(explanation.cell("title")) + "\n"
    for link in explanation.list("links") {
        let state = link.cell("state")
        let mark = state == "good" ? Style.good("ok") : state == "missing" ? Style.bad("!!") : "--"
        let name = link.cell("link")
        text += "  \(mark)  \(name)\(String(repeating: " ", count: max(1, 12 - name.count)))\(link.cell("text"))\n"
        for case .string(let detail) in link.list("details") { text += "                  \(detail)\n" }
        if state == "missing", link.cell("way_out") != "-" { text += "      -> \(link.cell("way_out"))\n" }
    }
    return text
}
