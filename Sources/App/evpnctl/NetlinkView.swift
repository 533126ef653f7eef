// How `show netlink` looks to people.

import Documents

func netlinkText(_ all: [JSONValue]) -> String {
    func rows(_ kind: String) -> [JSONValue] { all.filter { $0.cell("kind") == kind } }
    var interfaces = Table(["INTERFACE", "STATE", "ADDRESSES"])
    for row in rows("interface") {
        interfaces.rows.append([row.cell("name"), row.isTrue("up") ? "up" : "down", row.cell("addresses")])
    }
    var networks = Table(["NETWORK", "VRF", "INTERFACES", "ANNOUNCED"])
    for row in rows("network") {
        let state = row.isTrue("best") ? "yes" : row.isTrue("in_rib") ? "another route is better" : "no"
        networks.rows.append([row.cell("prefix"), row.cell("vrf"), row.cell("interfaces"), state])
    }
    var rules = Table(["RULE", "VRF", "TABLE", "METRIC", "COMMUNITIES", "NEXT HOPS", "INSTALLED"], numeric: [2, 3, 6])
    for row in rows("rule") {
        rules.rows.append([
            row.cell("name"), row.cell("vrf"), row.cell("table"), row.cell("metric"),
            row.list("communities").isEmpty ? "any" : row.cell("communities"),
            row.isTrue("validate_nexthop") ? "validated" : "on the link", row.cell("installed"),
        ])
    }
    var routes = Table(["ROUTE", "TABLE", "METRIC", "RULE", "NEXT HOPS", "KERNEL", "STATUS"], numeric: [1, 2])
    for row in rows("route") {
        let status = row.cell("status")
        routes.rows.append([
            row.cell("prefix"), row.cell("table"), row.cell("metric"), row.cell("rule"), row.cell("next_hops"),
            row.cell("kernel"), status,
        ])
    }
    let parts = [interfaces, networks, rules, routes].filter { !$0.rows.isEmpty }.map(\.text)
    var text = parts.joined(separator: "\n")
    for row in rows("rule") where row.cell("problem") != "-" {
        text += "rule \(row.cell("name")): \(row.cell("problem"))\n"
    }
    return text.isEmpty ? "neither netlinkImport nor netlinkExport has anything to show\n" : text
}
