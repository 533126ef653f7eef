// The file of evpn-connector: clients in a directory, a bridge of Open vSwitch, and a gobgpd.

public import Documents
import NetTypes

/// One `evpn.conf` on its way to an `evpnd.yaml`.
struct ConnectorTakeover {
    let tree: Document

    init(_ file: Section, workingDirectory: String) {
        func path(_ value: Value?) -> Document? {
            guard let value, let text = value.text(), !text.isEmpty, !text.hasPrefix("/") else {
                return value?.document
            }
            let whole = (workingDirectory.hasSuffix("/") ? workingDirectory : workingDirectory + "/") + text
            value.warn("relative to the working directory: \(whole)")
            return .plain(whole, at: value.position)
        }

        let position = file.source.position
        let daemon = file.section("daemon"), gobgp = file.section("gobgp"), ovs = file.section("ovs")
        let anycast = file.section("anycast"), metrics = file.section("victoria_metrics")
        for (section, key) in [(daemon, "configs_dir"), (gobgp, "source_ip"), (ovs, "switch_name")] {
            if !section.has(key) { section.missing(key) }
        }
        tree = .map(
            [
                ("node", .map([("vtep", gobgp["source_ip"]?.document)], at: gobgp.source.position)),
                ("bgp", ConnectorTakeover.bgp(gobgp)),
                ("dataplane", .plain("openvswitch", at: position)),
                ("openvswitch", ConnectorTakeover.bridge(ovs, gobgp, anycast, path(anycast["anycast_status_file"]))),
                ("clientDirectory", .map([("path", path(daemon["configs_dir"]))], at: daemon.source.position)),
                (
                    "compatibility",
                    .map(
                        [
                            (
                                "routerMAC",
                                gobgp["router_mac_type5"]?.document ?? .plain("12:34:56:78:90:ab", at: position)
                            )
                        ], at: position)
                ),
                ("telemetry", ConnectorTakeover.metrics(metrics)),
            ], at: position)
        ConnectorTakeover.noteRest(file, daemon, gobgp, ovs)
        for section in [daemon, gobgp, ovs, anycast, metrics, file] { section.finish(.warning) }
    }

    private static func bgp(_ gobgp: Section) -> Document {
        let position = gobgp.source.position
        var address = gobgp["gobgp_channel"]?.document
        // Names that gRPC has for what is also plain host:port.
        if let value = gobgp["gobgp_channel"], let text = value.text() {
            for scheme in ["dns:///", "dns:", "ipv4:", "ipv6:"] where text.hasPrefix(scheme) {
                address = .plain(String(text.dropFirst(scheme.count)), at: value.position)
                break
            }
        }
        return .map(
            [
                ("speaker", .plain("gobgp", at: position)),
                (
                    "gobgp",
                    .map(
                        [
                            ("address", address ?? .plain("localhost:50051", at: position)),
                            (
                                "importPolicy",
                                .plain(
                                    gobgp["policy_enabled"]?.connectorFlag() == false ? "false" : "true", at: position)
                            ),
                        ], at: position)
                ),
                (
                    "global",
                    .map([("asn", gobgp["as_number"]?.document ?? .plain("1", at: position))], at: position)
                ),
            ], at: position)
    }

    private static func bridge(_ ovs: Section, _ gobgp: Section, _ anycast: Section, _ statusFile: Document?)
        -> Document
    {
        let position = ovs.source.position
        return .map(
            [
                ("bridge", ovs["switch_name"]?.document),
                ("udpPort", ovs["vxlan_udp_port"]?.document),
                ("connectorCompatible", .plain("true", at: position)),
                ("routerMAC", gobgp["router_mac_type5"]?.document),
                (
                    "anycastCheck",
                    .map(
                        [
                            (
                                "number",
                                anycast["anycast_check_ofport"]?.document
                                    ?? .plain("65277", at: anycast.source.position)
                            ), ("mac", anycast["anycast_check_mac"]?.document),
                        ], at: anycast.source.position)
                ),
                (
                    "anycastStatusFile",
                    statusFile ?? .plain("/tmp/anycast_status_file", at: anycast.source.position)
                ),
            ], at: position)
    }

    private static func metrics(_ section: Section) -> Document? {
        let host = section["host"], port = section["port"], prefix = section["prefix"], name = section["obsender_host"]
        guard section["enabled"].flatMap({ $0.connectorFlag() }) ?? false else { return nil }
        for key in ["host", "port"] where !section.has(key) { section.missing(key) }
        guard let host, let port, let address = host.text(), let number = port.text() else { return nil }
        return .map(
            [
                (
                    "statsd",
                    .map(
                        [
                            ("address", .plain("\(address):\(number)", at: host.position)),
                            ("prefix", prefix?.document), ("host", name?.document),
                        ], at: section.source.position)
                )
            ], at: section.source.position)
    }

    /// What has no equivalent, or another one.
    private static func noteRest(_ file: Section, _ daemon: Section, _ gobgp: Section, _ ovs: Section) {
        daemon["sync_period"]?.warn("no equivalent: changes are followed as they happen")
        let agent = file.section("agent")
        agent["sync_period"]?.warn("had no effect there, and has none here: changes are followed as they happen")
        agent.finish(.warning)
        if let value = gobgp["grpc_timeout_sec"], value.text() != "30" {
            value.warn("no equivalent: evpnd goes on trying, and says so in /readyz")
        }
        for key in ["tmp_flow_file_path", "ovs_vsctl_bin_path", "ovs_ofctl_bin_path", "enable_sudo"] {
            if let value = ovs[key], !value.document.isInert, value.text()?.lowercased() != "false" {
                value.warn("no equivalent: evpnd speaks to Open vSwitch itself and runs no programs")
            }
        }
        let logging = file.section("logging")
        logging["config"]?.warn("no equivalent: the level is telemetry.logLevel or --log-level")
        logging.finish(.warning)
        let sentry = file.section("sentry")
        if let value = sentry["enabled"], value.connectorFlag() == true {
            value.warn("no equivalent: errors are lines of the log, level=error, and metrics")
        }
        for key in ["dsn", "traces-sample-rate", "env"] { _ = sentry[key] }
        sentry.finish(.warning)
    }
}

extension Value {
    /// A boolean as oslo.config reads it.
    fileprivate func connectorFlag() -> Bool? {
        guard let text = text()?.lowercased() else { return nil }
        if ["true", "1", "yes", "on"].contains(text) { return true }
        if ["false", "0", "no", "off"].contains(text) { return false }
        fail("expected true or false, found \(kind)")
        return nil
    }
}

extension Takeover {
    /// The options of evpn-connector that are flags too, `--SECTION-OPTION`, with whether each is a boolean.
    public static let connectorOptions: [(section: String, key: String, isFlag: Bool)] = [
        ("logging", "config", false), ("victoria_metrics", "enabled", true), ("victoria_metrics", "host", false),
        ("victoria_metrics", "port", false), ("victoria_metrics", "prefix", false),
        ("victoria_metrics", "obsender_host", false), ("daemon", "sync_period", false),
        ("daemon", "configs_dir", false),
        ("gobgp", "gobgp_channel", false), ("gobgp", "source_ip", false), ("gobgp", "as_number", false),
        ("gobgp", "grpc_timeout_sec", false), ("gobgp", "policy_enabled", true), ("gobgp", "router_mac_type5", false),
        ("ovs", "switch_name", false), ("ovs", "tmp_flow_file_path", false), ("ovs", "ovs_vsctl_bin_path", false),
        ("ovs", "ovs_ofctl_bin_path", false), ("ovs", "enable_sudo", true), ("ovs", "vxlan_udp_port", false),
        ("anycast", "anycast_status_file", false), ("anycast", "anycast_check_ofport", false),
        ("anycast", "anycast_check_mac", false),
    ]

    /// The option that a flag names, and the value it has without one; nil: no such option.
    public static func connectorOption(flag: String) -> (section: String, key: String, value: String?)? {
        for option in connectorOptions {
            let name = "\(option.section)-\(option.key)"
            if flag == "--\(name)" { return (option.section, option.key, option.isFlag ? "true" : nil) }
            if option.isFlag, flag == "--no\(name)" { return (option.section, option.key, "false") }
        }
        return nil
    }

    /// One option as a file with nothing else, for `Document.overridden(by:)`.
    public static func connectorOverride(section: String, key: String, value: String) -> Document {
        let position = SourcePosition(file: "--\(section)-\(key)", line: 1, column: 1)
        return .map([(section, .map([(key, .plain(value, at: position))], at: position))], at: position)
    }
}
