// The topology file of a lab: which hosts there are, how they hang together, what runs on them.

import Documents
import YAML

/// A lab of network namespaces on one machine. Format: Documentation/Lab.md.
struct LabTopology: Equatable {
    /// A machine on the underlay: a namespace with `eth0` in the core switch.
    struct Node: Equatable {
        var name: String
        /// `ADDRESS/LENGTH` on eth0, one or more.
        var addresses: [String]
        /// The text of its evpnd.yaml; nil: no daemon.
        var configuration: String?
    }
    /// A workload: a namespace whose `eth0` is joined to a port of a node.
    struct Host: Equatable {
        var name: String
        var node: String
        /// The interface at the node's end, which its configuration names as a bridge member.
        var port: String
        var addresses: [String]
        var mac: String?
    }
    /// First part of every namespace's name.
    var name: String
    var mtu = 9000
    var hostMTU = 1400
    var nodes: [Node] = []
    var hosts: [Host] = []

    static func load(_ path: String) -> (topology: LabTopology?, problems: [Problem]) {
        let parsed = Document.read(file: path)
        guard let document = parsed.document else { return (nil, parsed.problems) }
        var reader = Reader(problems: parsed.problems)
        let topology = reader.topology(document)
        return (reader.problems.hasErrors ? nil : topology, reader.problems)
    }

    private struct Reader {
        var problems: [Problem]

        mutating func topology(_ document: Document) -> LabTopology {
            var result = LabTopology(name: "lab")
            for entry in entries(document, "the lab", ["name", "mtu", "hostMTU", "nodes", "hosts"]) {
                switch entry.key {
                case "name": result.name = text(entry.value) ?? result.name
                case "mtu": result.mtu = integer(entry.value) ?? result.mtu
                case "hostMTU": result.hostMTU = integer(entry.value) ?? result.hostMTU
                case "nodes": result.nodes = list(entry.value).compactMap { node($0) }
                default: result.hosts = list(entry.value).compactMap { host($0) }
                }
            }
            if result.name.isEmpty || result.name.utf8.count > 8 || !result.name.utf8.allSatisfy(isNameCharacter) {
                report(document, "name", "is 1 to 8 letters, digits or -")
            }
            var names: Set<String> = ["core"]
            for name in result.nodes.map(\.name) + result.hosts.map(\.name) where !names.insert(name).inserted {
                report(document, name, "is used twice")
            }
            for host in result.hosts where !result.nodes.contains(where: { $0.name == host.node }) {
                report(document, "hosts.\(host.name)", "no node \(host.node)")
            }
            return result
        }
        private mutating func node(_ document: Document) -> Node? {
            var result = Node(name: "", addresses: [], configuration: nil)
            for entry in entries(document, "a node", ["name", "address", "addresses", "evpnd"]) {
                switch entry.key {
                case "name": result.name = text(entry.value) ?? ""
                case "address": result.addresses = text(entry.value).map { [$0] } ?? []
                case "addresses": result.addresses = list(entry.value).compactMap { text($0) }
                default: result.configuration = text(entry.value)
                }
            }
            return check(result.name, document) ? result : nil
        }
        private mutating func host(_ document: Document) -> Host? {
            var result = Host(name: "", node: "", port: "", addresses: [], mac: nil)
            for entry in entries(document, "a host", ["name", "node", "port", "address", "addresses", "mac"]) {
                switch entry.key {
                case "name": result.name = text(entry.value) ?? ""
                case "node": result.node = text(entry.value) ?? ""
                case "port": result.port = text(entry.value) ?? ""
                case "address": result.addresses = text(entry.value).map { [$0] } ?? []
                case "addresses": result.addresses = list(entry.value).compactMap { text($0) }
                default: result.mac = text(entry.value)
                }
            }
            if result.port.isEmpty || result.port.utf8.count > 15 { report(document, "port", "is 1 to 15 characters") }
            return check(result.name, document) ? result : nil
        }

        private func isNameCharacter(_ byte: UInt8) -> Bool {
            (0x30...0x39).contains(byte) || (0x61...0x7a).contains(byte) || (0x41...0x5a).contains(byte) || byte == 0x2d
        }
        private mutating func check(_ name: String, _ document: Document) -> Bool {
            if !name.isEmpty, name.utf8.count <= 10, name.utf8.allSatisfy(isNameCharacter) { return true }
            report(document, "name", "is 1 to 10 letters, digits or -")
            return false
        }
        private mutating func entries(_ document: Document, _ what: String, _ known: [String]) -> [Document.Entry] {
            guard case .map(let entries) = document.content else {
                report(document, what, "is a map")
                return []
            }
            return entries.filter { entry in
                if known.contains(entry.key) { return true }
                report(entry.value, entry.key, "unknown key; \(what) has \(known.joined(separator: ", "))")
                return false
            }
        }
        private mutating func list(_ document: Document) -> [Document] {
            if case .list(let values) = document.content { return values }
            report(document, "value", "is a list")
            return []
        }
        private mutating func text(_ document: Document) -> String? {
            if case .scalar(let text, _) = document.content { return text }
            report(document, "value", "is a text")
            return nil
        }
        private mutating func integer(_ document: Document) -> Int? {
            if let text = text(document), let value = Int(text), (576...65_535).contains(value) { return value }
            report(document, "value", "is a number from 576 to 65535")
            return nil
        }
        private mutating func report(_ document: Document, _ path: String, _ reason: String) {
            problems.append(Problem(.error, at: document.position, path: path, reason))
        }
    }
}
