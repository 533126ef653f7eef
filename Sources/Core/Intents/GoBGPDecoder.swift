// `bgp.speaker` and `bgp.gobgp`: who speaks BGP, and how to reach it.

import Documents
import GoBGPAPI

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
        if section.has("tls") { tls = GoBGPSettings.tls(section.section("tls"), endpoint) }
        section.finish()
    }

    /// `host:port`, `[address]:port`, or `unix:///path`.
    private static func endpoint(_ value: Value) -> Endpoint? {
        guard let text = value.text() else { return nil }
        func fail(_ reason: String) -> Endpoint? {
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
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]), port > 0 else {
            return fail("expected host:port or unix:///path, found \(value.kind)")
        }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return fail("an IPv6 address needs brackets, found \(value.kind)")
        }
        guard !host.isEmpty, host.utf8.count <= 253, host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f && $0 != 0x2f })
        else {
            return fail("expected host:port or unix:///path, found \(value.kind)")
        }
        return .tcp(host: String(host), port: port)
    }

    private static func tls(_ section: Section, _ endpoint: Endpoint) -> TLS? {
        defer { section.finish() }
        if section["enabled"]?.bool() == false { return nil }
        var tls = TLS()
        func file(_ key: String) -> String? {
            guard let value = section[key], let path = value.nonEmptyText() else { return nil }
            if !path.hasPrefix("/") { value.fail("must be an absolute path, found \(value.kind)") }
            return path
        }
        tls.authorities = file("ca")
        tls.certificate = file("certificate")
        tls.key = file("key")
        tls.serverName = section["serverName"]?.nonEmptyText()
        if (tls.certificate == nil) != (tls.key == nil) {
            section.source.fail("certificate and key belong together", hint: "give both, or neither")
        }
        if case .unix = endpoint { section.source.fail("TLS is for host:port; a unix socket is protected by its mode") }
        return tls
    }
}
