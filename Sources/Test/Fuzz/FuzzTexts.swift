// Targets for what an operator or a program on this host writes: documents and configurations.

import Anycast
import Documents
import EVPN
import Intents
import YAML

/// Far below the defaults, so that a slow input is slow because of the reader.
private let limits: DocumentLimits = {
    var limits = DocumentLimits()
    limits.nodes = 10_000
    return limits
}()

/// What is understood is printed; the print must be read as the same value.
func fuzzJSON(_ octets: [UInt8]) -> CInt {
    guard let value = JSONValue(parsing: octets, limits: limits) else { return 0 }
    var text: [UInt8] = []
    value.write(to: &text)
    precondition(JSONValue(parsing: text, limits: limits) == value, "a JSON value does not survive")
    return 0
}

/// A text without a document has a problem that says why.
func fuzzYAML(_ octets: [UInt8]) -> CInt {
    let parsed = Document.parse(yaml: octets, limits: limits)
    precondition(parsed.document != nil || !parsed.problems.isEmpty, "no document and no problem")
    return 0
}

/// A text without a document has one problem; the document of another is printed as YAML and read as the same tree.
func fuzzTOML(_ octets: [UInt8]) -> CInt {
    let parsed = Document.parse(toml: octets, limits: limits)
    precondition((parsed.document == nil) == (parsed.problems.count == 1), "no document and no problem, or both")
    if let document = parsed.document { checkPrint(document) }
    return 0
}

/// Another program's file is translated or refused, whatever it is; what comes out is printed and read as the same tree.
func fuzzTakeover(_ octets: [UInt8]) -> CInt {
    let agent = Takeover(of: .gobgpEVPNAgent, Document.parse(yaml: octets, limits: limits))
    let gobgpd = Takeover(of: .gobgpd, Document.parse(toml: octets, limits: limits))
    let connector = Takeover(of: .evpnConnector, Document.parse(ini: octets, limits: limits))
    for takeover in [agent, gobgpd, connector] {
        precondition(takeover.document != nil || takeover.problems.hasErrors, "no translation and no problem")
        if let document = takeover.document { checkPrint(document) }
    }
    return 0
}
private func checkPrint(_ document: Document) {
    let again = Document.parse(yaml: Array(document.yaml.utf8))
    precondition(again.problems.isEmpty && again.document?.yaml == document.yaml, "a tree does not survive")
}

/// A configuration comes out exactly when no problem is an error; whatever it is, it can be described.
func fuzzConfiguration(_ octets: [UInt8]) -> CInt {
    guard let document = Document.parse(yaml: octets, limits: limits).document else { return 0 }
    let (configuration, problems) = Configuration.load(from: document) { _ in
        .success(Secret(Array("secret\n".utf8), mode: 0o644))
    }
    precondition((configuration == nil) == problems.hasErrors, "errors and a configuration, or neither")
    for problem in problems { precondition(!problem.description.isEmpty) }
    if let configuration { precondition(!configuration.description.isEmpty) }
    return 0
}

private let bridge: Configuration? = {
    let text = """
        node: {vtep: 192.0.2.1}
        bgp: {global: {asn: 65000}}
        dataplane: openvswitch
        openvswitch: {bridge: br0, learningSeconds: 300, anycastCheck: {interface: check0, probe: {type: icmp}}}
        vnis: [10, {vni: 11, enabled: false}]
        vrfs: [{name: ten, vni: 500}]
        clients: [{vni: 20, mac: 02:00:00:00:00:01, ofport: 1}]
        """
    return Document.parse(yaml: Array(text.utf8)).document.flatMap { Configuration.load(from: $0).configuration }
}()

/// A file of a client, as JSON and as YAML, and a status file: a client or an error, and whatever the client is, it can be served beside
/// others or left out with a reason.
func fuzzClient(_ octets: [UInt8]) -> CInt {
    guard let bridge, let before = bridge.openVSwitch else { preconditionFailure("the configuration is no good") }
    for parsed in [Document.parse(json: octets, limits: limits), Document.parse(yaml: octets, limits: limits)] {
        let (client, problems) = Client.read(parsed)
        precondition((client == nil) == problems.hasErrors, "errors and a client, or neither")
        guard let client else { continue }
        // Twice: the second one always clashes with the first.
        let (joined, conflicts, _) = bridge.joined(by: [client, client], health: AnycastHealth())
        precondition(conflicts.hasErrors, "one port for two clients")
        precondition(!joined.description.isEmpty)
        let after = joined.openVSwitch
        precondition((after?.bridged.count ?? 0) >= before.bridged.count, "a client displaces another")
        let status = AnycastStatus.read(parsed)
        precondition((status.status == nil) == status.problems.hasErrors, "errors and a status, or neither")
    }
    return 0
}

/// What comes back to probes.
func fuzzProbe(_ octets: [UInt8]) -> CInt {
    for isV6 in [false, true] { _ = Echo.isReply(octets, isV6: isV6, number: 1) }
    let open = HTTPProbe.fault(of: octets, isComplete: false)
    precondition(open == nil || open == HTTPProbe.fault(of: octets, isComplete: true), "the end changes the verdict")
    return 0
}
