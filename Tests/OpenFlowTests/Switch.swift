// A real ovs-vswitchd with a dummy datapath: no privileges, everything in a temporary directory that is removed with its daemons.

import Glibc

/// One bridge, `br0`, with dummy ports of the numbers 1…4.
final class Switch {
    let folder: String
    private static let programs = ["/usr/sbin", "/usr/bin"]

    /// Nil where Open vSwitch is not installed.
    init?() {
        guard Switch.path("ovs-vswitchd") != nil, Switch.path("ovsdb-tool") != nil else { return nil }
        var template = Array("/tmp/evpnd-ovs-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { return nil }
        folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        guard run("ovsdb-tool", "create", "\(folder)/conf.db", "/usr/share/openvswitch/vswitch.ovsschema").status == 0,
            start("ovsdb-server", "\(folder)/conf.db", "--remote=punix:\(folder)/db.sock"),
            vsctl("--no-wait", "init").status == 0, startSwitch()
        else { return nil }
        var words = [
            "add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=dummy", "fail_mode=secure",
            "protocols=OpenFlow13,OpenFlow14,OpenFlow15",
        ]
        for port in 1...4 {
            words += ["--", "add-port", "br0", "p\(port)", "--", "set", "interface", "p\(port)", "type=dummy"]
            words += ["ofport_request=\(port)"]
        }
        guard vsctl(words).status == 0 else { return nil }
    }
    deinit {
        for name in ["ovs-vswitchd", "ovsdb-server"] { stop(name) }
        if folder.hasPrefix("/tmp/evpnd-ovs-") { _ = run("rm", "-rf", folder) }
    }

    var socket: String { "\(folder)/br0.mgmt" }

    func startSwitch() -> Bool {
        start("ovs-vswitchd", "unix:\(folder)/db.sock", "--enable-dummy", "--disable-system")
    }
    /// Ends a daemon as a crash does, and waits until it is gone.
    func stop(_ name: String) {
        guard let text = read("\(folder)/\(name).pid"), let pid = Int32(text.filter(\.isNumber)) else { return }
        kill(pid, SIGKILL)
        for _ in 0..<500 where kill(pid, 0) == 0 { usleep(10_000) }
        unlink("\(folder)/\(name).pid")
    }

    @discardableResult func vsctl(_ words: String...) -> (status: Int32, output: String) { vsctl(words) }
    @discardableResult func vsctl(_ words: [String]) -> (status: Int32, output: String) {
        run(["ovs-vsctl", "--timeout=10", "--db=unix:\(folder)/db.sock"] + words)
    }
    @discardableResult func ofctl(_ words: String...) -> (status: Int32, output: String) { run(["ovs-ofctl"] + words) }
    /// A frame arrives at a dummy port, in the notation of ovs-appctl netdev-dummy/receive.
    func receive(_ port: String, _ frame: String) {
        _ = run("ovs-appctl", "-t", "\(folder)/ovs-vswitchd.ctl", "netdev-dummy/receive", port, frame)
    }
    /// Flows as ovs-ofctl prints them, without counters and sorted.
    func flows() -> [String] {
        ofctl("-O", "OpenFlow15", "--no-stats", "dump-flows", "unix:\(socket)").output.split(separator: "\n")
            .map { String($0.drop { $0 == " " }) }.sorted()
    }

    private func start(_ name: String, _ words: String...) -> Bool {
        run(
            [name] + words + [
                "--pidfile=\(folder)/\(name).pid", "--unixctl=\(folder)/\(name).ctl",
                "--log-file=\(folder)/\(name).log",
                "--detach", "--no-chdir", "-vconsole:off",
            ]
        ).status == 0
    }
    private static func path(_ name: String) -> String? {
        programs.map { "\($0)/\(name)" }.first { access($0, X_OK) == 0 }
    }
    func run(_ words: String...) -> (status: Int32, output: String) { run(words) }
    func run(_ words: [String]) -> (status: Int32, output: String) {
        let output = "\(folder)/output"
        var pid: pid_t = 0
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        let variables =
            ["OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR"].map { "\($0)=\(folder)" } + ["PATH=/usr/sbin:/usr/bin:/bin"]
        let arguments = words.map { strdup($0) } + [nil]
        let environment = variables.map { strdup($0) } + [nil]
        defer {
            for pointer in arguments + environment { free(pointer) }
            posix_spawn_file_actions_destroy(&actions)
        }
        guard posix_spawnp(&pid, words[0], &actions, nil, arguments, environment) == 0 else { return (-1, "") }
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        return (status, read(output) ?? "")
    }
    func read(_ path: String) -> String? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var octets: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while case let count = fread(&buffer, 1, buffer.count, file), count > 0 { octets += buffer[..<count] }
        return String(decoding: octets, as: UTF8.self)
    }
    func write(_ path: String, _ text: String) {
        guard let file = fopen(path, "w") else { return }
        fputs(text, file)
        fclose(file)
    }
}
