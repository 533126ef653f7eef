// `probe:`, how an anycast address is checked.

import Anycast
import Documents

enum ProbeDecoder {
    private enum Kind: String, CaseIterable { case icmp, tcp, http }

    /// What is not written is as in `base`, or the default.
    static func decode(_ section: Section, over base: Probe?) -> Probe? {
        let kind = section.has("type") ? section["type"]?.word(Kind.self) : nil
        if !section.has("type"), base == nil { section.missing("type", hint: "icmp, tcp or http") }
        _ = section["type"]
        let port = section["port"].located { $0.integer(1...65535) }
        let path = section["path"].located { $0.requestPath() }
        var probe = base ?? Probe(.icmp)
        if let value = section["interval"]?.seconds(1...3600) { probe.intervalSeconds = value }
        if let value = section["timeout"] {
            if let seconds = value.seconds(1...3600) {
                if seconds > probe.intervalSeconds {
                    value.fail("must not be longer than the interval, \(probe.intervalSeconds) s")
                } else {
                    probe.timeoutSeconds = seconds
                }
            }
        }
        if let value = section["rise"]?.integer(1...100) { probe.rise = value }
        if let value = section["fall"]?.integer(1...100) { probe.fall = value }
        probe.timeoutSeconds = min(probe.timeoutSeconds, probe.intervalSeconds)
        section.finish()
        switch kind {
        case nil:
            for source in [port?.source, path?.source] { source?.fail("has no meaning without a type") }
            return base == nil ? nil : probe
        case .icmp?:
            port?.source.fail("is for tcp and http")
            probe.method = .icmp
        case .tcp?:
            if port == nil, !section.has("port") { section.missing("port") }
            probe.method = .tcp(port: UInt16(clamping: port?.value ?? 1))
        case .http?:
            probe.method = .http(port: UInt16(clamping: port?.value ?? 80), path: path?.value ?? "/")
        }
        if kind != .http { path?.source.fail("is for http") }
        return probe
    }
}

extension Value {
    /// The target of an HTTP request: no space or control character may get into the request line.
    fileprivate func requestPath() -> String? {
        guard let text = text() else { return nil }
        guard text.hasPrefix("/"), text.utf8.count <= 1024, text.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
            fail("expected a path such as /health, found \(kind)")
            return nil
        }
        return text
    }
}
