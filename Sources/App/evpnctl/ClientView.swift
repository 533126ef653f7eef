// `show clients` and `show anycast`.

import Documents

func clientsText(_ rows: [JSONValue]) -> String {
    var table = Table(["SOURCE", "STATE", "KIND", "PORT", "VNI", "MAC", "WHAT"])
    for row in rows {
        let what = row.list("what").compactMap { element in
            if case .string(let text) = element { return text }
            return nil
        }
        table.rows.append([
            row.cell("source"), row.cell("state"), row.cell("kind"), row.cell("port"),
            row.cell("vni") == "-" ? row.cell("vrf") : row.cell("vni"), row.cell("mac"), what.joined(separator: " "),
        ])
    }
    var text = table.text
    for row in rows {
        for problem in row.list("problems") {
            if case .string(let line) = problem { text += line + "\n" }
        }
    }
    return text
}

func anycastText(_ rows: [JSONValue]) -> String {
    var table = Table(
        ["ADDRESS", "CLIENT", "VRF", "PORT", "ENABLED", "LISTED", "PROBE", "STATE", "SINCE", "FAILED"], numeric: [9])
    func word(_ value: JSONValue?, _ yes: String, _ no: String) -> String {
        value == .bool(true) ? yes : value == .bool(false) ? no : "-"
    }
    for row in rows {
        let hasProbe = row.cell("probe") != "-"
        table.rows.append([
            row.cell("address"), row.cell("target"), row.cell("vrf"), row.cell("port"),
            word(row["enabled"], "yes", "no"), word(row["listed"], "yes", "no"), row.cell("probe"),
            hasProbe && row.cell("up") == "-" ? "waiting" : word(row["up"], "up", "down"),
            hasProbe ? durationText(row.integer("since_seconds")) : "-",
            hasProbe ? "\(row.cell("failed"))/\(row.cell("sent"))" : "-",
        ])
    }
    var text = table.text
    for row in rows {
        for key in ["fault", "waits"] where row.cell(key) != "-" {
            text += "\(row.cell("address")) at \(row.cell("target")): \(row.cell(key))\n"
        }
    }
    return text
}
