// `bgp.speaker` and `bgp.gobgp`: who speaks BGP, and how to reach it.

import Documents
import GoBGPAPI
import NetTypes

enum SpeakerKind: String, CaseIterable {
    case embedded
    case gobgp
}

extension GoBGPSettings {
    /// Decodes `bgp.gobgp`.
    init(_ section: Section) {
        self.init()
        if let value = section["address"], let endpoint = GoBGPSettings.endpoint(value) { self.endpoint = endpoint }
        if let value = section["api"], let text = value.text(), text != "auto" {
            generation = APIGeneration(rawValue: text)
            if generation == nil { value.fail("expected auto, v3 or v4, found \(value.kind)") }
        }
        if let seconds = section["holdTime"]?.seconds(1...86_400) { holdSeconds = seconds }
        if let value = section["maxMessage"], let megabytes = value.integer(4...1024) { messageLimit = megabytes << 20 }
        manages = section["manage"]?.bool() ?? false
        filtersImports = section["importPolicy"]?.bool() ?? false
        if manages, filtersImports {
            section["importPolicy"]?.fail(
                "policies of a managed gobgpd are those of bgp:",
                hint: "leave it out: routes without targets of ours are ignored")
        }
        if section.has("tls") { tls = GoBGPSettings.tls(section.section("tls"), endpoint) }
        section.finish()
    }

    /// `host:port`, `[address]:port`, or `unix:///path`.
    private static func endpoint(_ value: Value) -> StreamEndpoint? {
        guard let text = value.text() else { return nil }
        func fail(_ reason: String) -> StreamEndpoint? {
            value.fail(reason, hint: "127.0.0.1:50051, [2001:db8::1]:50051 or unix:///run/gobgpd.sock")
            return nil
        }
        if text.hasPrefix("unix:") {
            // gRPC knows unix:path, unix:/path and unix:///path.
            var path = text.dropFirst(5)
            if path.hasPrefix("//") { path = path.dropFirst(2) }
            guard path.hasPrefix("/"), path.utf8.count <= 107 else {
                return fail("a socket's path is absolute and has at most 107 octets, found \(value.kind)")
            }
            return .unix(path: String(path))
        }
        return value.hostAndPort(or: " or unix:///path").map { .tcp(host: $0.host, port: $0.port) }
    }

    private static func tls(_ section: Section, _ endpoint: StreamEndpoint) -> TLSSettings? {
        defer { section.finish() }
        if section["enabled"]?.bool() == false { return nil }
        var tls = TLSSettings(section)
        tls.serverName = section["serverName"]?.nonEmptyText()
        if case .unix = endpoint { section.source.fail("TLS is for host:port; a unix socket is protected by its mode") }
        return tls
    }
}

extension TLSSettings {
    /// `ca`, `certificate` and `key`: PEM files.
    init(_ section: Section) {
        self.init(
            authorities: section["ca"]?.absolutePath(), certificate: section["certificate"]?.absolutePath(),
            key: section["key"]?.absolutePath())
        if section.has("certificate") != section.has("key") {
            section.source.fail("certificate and key belong together", hint: "give both, or neither")
        }
    }
}

extension Value {
    /// `host:port`, `192.0.2.1:port` or `[2001:db8::1]:port`. `other`: what else could stand there, for the complaint.
    func hostAndPort(or other: String = "") -> (host: String, port: UInt16)? {
        guard let text = text() else { return nil }
        func fail(_ reason: String) -> (host: String, port: UInt16)? {
            self.fail(
                reason, hint: other.isEmpty ? nil : "127.0.0.1:50051, [2001:db8::1]:50051 or unix:///run/gobgpd.sock")
            return nil
        }
        let digits = text.lastIndex(of: ":").map { text[text.index(after: $0)...] } ?? ""
        guard let colon = text.lastIndex(of: ":"), digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let port = UInt16(digits), port > 0
        else {
            return fail("expected host:port\(other), found \(kind)")
        }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return fail("an IPv6 address needs brackets, found \(kind)")
        }
        guard !host.isEmpty, host.utf8.count <= 253, host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f && $0 != 0x2f })
        else {
            return fail("expected host:port\(other), found \(kind)")
        }
        return (String(host), port)
    }
}
