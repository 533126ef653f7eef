// swift-tools-version: 6.2
import PackageDescription

/// Every target is held to the same rules: Swift 6 language mode, the upcoming features that make imports and isolation
/// explicit, and no warnings.
let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
]

/// Targets that read files and print tables, where small code is worth more than fast code.
let compact: Set<String> = ["Anycast", "Documents", "HTTP", "Intents", "OVSDB", "YAML", "evpnctl", "evpnd"]
func settings(_ name: String) -> [SwiftSetting] {
    compact.contains(name) ? strict + [.unsafeFlags(["-Osize"], .when(configuration: .release))] : strict
}

/// The folders under `Sources` are the layers; a target depends only on layers to the left of its own
/// (Values < Core < System < Adapters < App), which is what ARCHITECTURE.md draws.
func target(_ layer: String, _ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, path: "Sources/\(layer)/\(name)", swiftSettings: settings(name))
}
func command(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(
        name: name, dependencies: dependencies, path: "Sources/App/\(name)", swiftSettings: settings(name))
}
func tests(_ name: String, _ dependencies: [Target.Dependency], resources: [Resource] = []) -> Target {
    .testTarget(
        name: "\(name)Tests", dependencies: dependencies, path: "Tests/\(name)Tests", resources: resources,
        swiftSettings: strict)
}

let package = Package(
    name: "evpnd",
    products: [
        .executable(name: "evpnd", targets: ["evpnd"]),
        .executable(name: "evpnctl", targets: ["evpnctl"]),
    ],
    targets: [
        // Values
        target("Values", "NetTypes"),
        target("Values", "BGP", ["NetTypes"]),
        target("Values", "GoBGPAPI", ["BGP", "NetTypes"]),
        target("Values", "Documents"),
        target("Values", "OpenFlow", ["NetTypes"]),
        target("Values", "OVSDB", ["Documents"]),
        // Core
        target("Core", "BGPEngine", ["BGP", "NetTypes"]),
        target("Core", "EVPN", ["BGP", "NetTypes"]),
        target("Core", "OpenFlowPipeline", ["EVPN", "OpenFlow", "NetTypes"]),
        target("Core", "UnicastRoutes", ["EVPN", "BGP", "NetTypes"]),
        target("Core", "Anycast", ["EVPN", "NetTypes"]),
        target(
            "Core", "Intents",
            ["Anycast", "EVPN", "UnicastRoutes", "GoBGPAPI", "BGPEngine", "BGP", "Documents", "NetTypes"]),
        // System
        .target(name: "CLinux", path: "Sources/System/CLinux"),
        .systemLibrary(
            name: "CYAML", path: "Sources/System/CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
        .target(
            name: "CMicroHTTPD", path: "Sources/System/CMicroHTTPD", linkerSettings: [.linkedLibrary("microhttpd")]),
        target("System", "AsyncIO", ["CLinux", "NetTypes"]),
        target("System", "Netlink", ["CLinux", "AsyncIO", "NetTypes"]),
        target("System", "OpenFlowClient", ["OpenFlow", "AsyncIO", "NetTypes"]),
        target("System", "YAML", ["CYAML", "Documents"]),
        target("System", "Telemetry", ["CLinux", "Documents"]),
        .systemLibrary(
            name: "CNghttp2", path: "Sources/System/CNghttp2", pkgConfig: "libnghttp2",
            providers: [.apt(["libnghttp2-dev"])]),
        .systemLibrary(
            name: "COpenSSL", path: "Sources/System/COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        target("System", "Streams", ["COpenSSL", "AsyncIO", "NetTypes"]),
        target("System", "GRPC", ["CNghttp2", "Streams", "AsyncIO", "NetTypes"]),
        target("System", "HTTP", ["CMicroHTTPD", "AsyncIO"]),
        // Adapters
        target(
            "Adapters", "EmbeddedSpeaker",
            ["BGPEngine", "BGP", "EVPN", "AsyncIO", "Netlink", "Telemetry", "NetTypes", "CLinux", "Documents"]),
        target(
            "Adapters", "LinuxDataplane",
            ["EVPN", "BGP", "Netlink", "AsyncIO", "Telemetry", "NetTypes", "CLinux", "Documents"]),
        target(
            "Adapters", "KernelRoutes",
            ["UnicastRoutes", "EVPN", "BGP", "Netlink", "AsyncIO", "Telemetry", "YAML", "NetTypes"]),
        target(
            "Adapters", "GoBGPSpeaker",
            [
                "GoBGPAPI", "GRPC", "Streams", "BGPEngine", "BGP", "EVPN", "AsyncIO", "Telemetry", "YAML", "NetTypes",
            ]),
        target(
            "Adapters", "OVSDataplane",
            [
                "OpenFlowPipeline", "OpenFlowClient", "OpenFlow", "OVSDB", "Documents", "EVPN", "Streams", "AsyncIO",
                "Telemetry",
                "NetTypes",
            ]),
        // App
        target(
            "App", "Agent",
            [
                "EmbeddedSpeaker", "GoBGPSpeaker", "LinuxDataplane", "OVSDataplane", "KernelRoutes", "UnicastRoutes",
                "EVPN",
                "BGPEngine", "BGP", "GoBGPAPI", "Intents", "Anycast",
                "Documents", "YAML", "Telemetry", "HTTP", "AsyncIO", "Netlink", "NetTypes", "CLinux",
            ]),
        command("evpnd", ["Agent"]),
        command("evpnctl", ["Intents", "BGP", "NetTypes", "Documents", "YAML", "AsyncIO", "Netlink", "CLinux"]),
        target("Test", "Simulator", ["EVPN", "BGPEngine", "BGP", "NetTypes"]),
        target("Test", "TestSwitch"),
        target("Test", "FakeServers", ["CNghttp2", "AsyncIO"]),
        // Tests
        tests("GRPC", ["GRPC", "Streams", "FakeServers", "AsyncIO", "NetTypes"]),
        tests(
            "GoBGPSpeaker",
            [
                "GoBGPSpeaker", "GoBGPAPI", "FakeServers", "BGPEngine", "BGP", "EVPN", "AsyncIO", "Telemetry",
                "NetTypes",
            ]),
        tests("Agent", ["Agent", "EVPN", "Intents", "AsyncIO", "Documents", "Telemetry", "NetTypes"]),
        tests("AsyncIO", ["AsyncIO", "NetTypes"]),
        tests("Documents", ["Documents"]),
        tests("OVSDB", ["OVSDB", "Documents"]),
        tests("NetTypes", ["NetTypes"]),
        tests("OpenFlow", ["OpenFlow", "OpenFlowClient", "TestSwitch", "AsyncIO", "NetTypes"]),
        tests("OpenFlowPipeline", ["OpenFlowPipeline", "OpenFlow", "TestSwitch", "EVPN", "BGP", "NetTypes"]),
        tests("HTTP", ["HTTP", "AsyncIO", "NetTypes"]),
        tests("Evpnctl", ["evpnctl", "Documents", "YAML"]),
        tests("EVPN", ["EVPN", "BGP", "NetTypes"]),
        tests("UnicastRoutes", ["UnicastRoutes", "EVPN", "BGP", "NetTypes"]),
        tests("Simulator", ["Simulator"]),
        tests("YAML", ["YAML", "Documents"]),
        tests(
            "Intents",
            ["Intents", "Anycast", "YAML", "Documents", "EVPN", "UnicastRoutes", "BGPEngine", "BGP", "NetTypes"]),
        tests("Anycast", ["Anycast", "EVPN", "NetTypes"]),
        tests("BGP", ["BGP", "NetTypes"]),
        tests("GoBGPAPI", ["GoBGPAPI", "BGP", "NetTypes"]),
        tests("BGPEngine", ["BGPEngine", "BGP", "NetTypes"]),
        .executableTarget(
            name: "RIBBench", dependencies: ["BGPEngine", "BGP", "EVPN", "NetTypes"], path: "Sources/Test/RIBBench",
            swiftSettings: strict),
        tests("LinuxDataplane", ["LinuxDataplane", "Netlink", "EVPN", "AsyncIO", "Telemetry", "NetTypes", "CLinux"]),
        tests("Netlink", ["Netlink", "NetTypes", "CLinux"]),
        tests(
            "OVSDataplane",
            [
                "OVSDataplane", "OpenFlowPipeline", "OpenFlowClient", "OpenFlow", "OVSDB", "EVPN", "Streams", "AsyncIO",
                "Documents",
                "NetTypes",
            ]),
    ]
)

// libFuzzer needs flags that would spoil a normal build, so its target exists only when asked for (Scripts/fuzz).
if Context.environment["EVPND_FUZZ"] == "1" {
    let fuzzed = [
        "Anycast", "BGP", "BGPEngine", "NetTypes", "Documents", "YAML", "Intents", "Netlink", "GoBGPAPI", "OVSDB",
        "OpenFlow",
    ]
    for target in package.targets where fuzzed.contains(target.name) {
        target.swiftSettings = strict + [.unsafeFlags(["-sanitize=fuzzer", "-parse-as-library"])]
    }
    package.targets.append(
        .executableTarget(
            name: "Fuzz", dependencies: (fuzzed + ["EVPN"]).map { .byName(name: $0) }, path: "Sources/Test/Fuzz",
            swiftSettings: strict + [.unsafeFlags(["-parse-as-library"])],
            linkerSettings: [
                .unsafeFlags([
                    // A release build renames `main` by itself; a debug build is told to, and drops that of libFuzzer.
                    "-sanitize=fuzzer", "-use-ld=lld", "-Xlinker", "--defsym=main=Fuzz_main", "-Xlinker",
                    "--gc-sections",
                ])
            ]))
}
