// `evpnctl lab`: builds a topology of network namespaces, starts the daemons, and takes it all down again.

import Documents
import Glibc

/// up, down, status, exec, kill and start; returns the exit status.
func runLab(_ arguments: [String]) -> Int32 {
    let usage = """
        usage: evpnctl lab up FILE [--prefix P]        build it and wait until every daemon is ready
               evpnctl lab down FILE [--prefix P]
               evpnctl lab status FILE [--prefix P]
               evpnctl lab exec FILE [--prefix P] NODE COMMAND …
               evpnctl lab kill|start FILE [--prefix P] NODE    the daemon of one node

        """
    var words = arguments
    var prefix: String?
    // Only before the command of `exec`, whose own options are not ours.
    if let index = words.prefix(4).firstIndex(of: "--prefix"), index + 1 < words.count {
        prefix = words[index + 1]
        words.removeSubrange(index...index + 1)
    }
    guard words.count >= 2 else {
        writeError(usage)
        return 2
    }
    let (loaded, problems) = LabTopology.load(words[1])
    writeError(problems.report)
    guard var topology = loaded else { return 2 }
    if let prefix { topology.name = prefix }
    let lab = Lab(topology)
    do throws(CommandError) {
        switch (words[0], words.count) {
        case ("up", 2): try lab.up()
        case ("down", 2): lab.down()
        case ("status", 2): lab.status()
        case ("exec", 4...): return try lab.exec(words[2], Array(words[3...]))
        case ("kill", 3): try lab.kill(words[2])
        case ("start", 3): try lab.start(words[2])
        default:
            writeError(usage)
            return 2
        }
        return 0
    } catch {
        writeError("evpnctl lab: \(error.reason)\n")
        return error.status
    }
}

struct Lab {
    let topology: LabTopology
    /// Configurations, logs, pid files and sockets.
    let directory: String

    init(_ topology: LabTopology) {
        self.topology = topology
        directory = "/run/evpnd-lab/\(topology.name)"
    }
    private func namespace(_ name: String) -> String { "\(topology.name)-\(name)" }
    private func path(_ node: String, _ suffix: String) -> String { "\(directory)/\(node)\(suffix)" }

    // MARK: up

    func up() throws(CommandError) {
        guard geteuid() == 0 else {
            throw CommandError(status: 1, reason: "network namespaces need root; run it with sudo")
        }
        if FileNames.exists("/run/netns/\(namespace("core"))") {
            throw CommandError(
                status: 1,
                reason: "a lab \(topology.name) is up already; take it down with evpnctl lab down, or use --prefix")
        }
        mkdir("/run/evpnd-lab", 0o755)
        mkdir(directory, 0o755)
        do throws(CommandError) {
            try build()
            for node in topology.nodes where node.configuration != nil { try start(node.name) }
            try waitUntilReady()
        } catch {
            down()
            throw error
        }
    }

    private func build() throws(CommandError) {
        let core = namespace("core")
        try ip("netns", "add", core)
        try ip("-n", core, "link", "add", "br0", "type", "bridge")
        try ip("-n", core, "link", "set", "br0", "mtu", "\(topology.mtu)", "up")
        for (index, node) in topology.nodes.enumerated() {
            let name = namespace(node.name)
            try ip("netns", "add", name)
            try ip("-n", name, "link", "set", "lo", "up")
            try ip(
                "link", "add", "eth0", "netns", name, "mtu", "\(topology.mtu)", "type", "veth", "peer", "name",
                "n\(index)", "netns", core)
            try ip("-n", core, "link", "set", "n\(index)", "master", "br0", "mtu", "\(topology.mtu)", "up")
            for address in node.addresses { try ip("-n", name, "address", "add", address, "dev", "eth0") }
            try ip("-n", name, "link", "set", "eth0", "up")
        }
        for host in topology.hosts {
            let name = namespace(host.name)
            try ip("netns", "add", name)
            try ip("-n", name, "link", "set", "lo", "up")
            try ip(
                "link", "add", "eth0", "netns", name, "type", "veth", "peer", "name", host.port, "netns",
                namespace(host.node))
            if let mac = host.mac { try ip("-n", name, "link", "set", "eth0", "address", mac) }
            for address in host.addresses { try ip("-n", name, "address", "add", address, "dev", "eth0") }
            try ip("-n", name, "link", "set", "eth0", "mtu", "\(topology.hostMTU)", "up")
            try ip("-n", namespace(host.node), "link", "set", host.port, "up")
        }
    }
    private func ip(_ arguments: String...) throws(CommandError) {
        let result = ChildProcess.run(["ip"] + arguments)
        guard result.status == 0 else {
            throw CommandError(
                status: 1, reason: "ip \(arguments.joined(separator: " ")): \(result.errors.trimmingNewline)")
        }
    }

    func start(_ name: String) throws(CommandError) {
        guard let node = topology.nodes.first(where: { $0.name == name }), let configuration = node.configuration else {
            throw CommandError(status: 2, reason: "no node \(name) with an evpnd in this lab")
        }
        if let pid = pid(name), Glibc.kill(pid, 0) == 0 {
            throw CommandError(status: 1, reason: "evpnd of \(name) is running, pid \(pid)")
        }
        guard ChildProcess.write(path(name, ".yaml"), configuration) else {
            throw CommandError(status: 1, reason: "cannot write \(path(name, ".yaml"))")
        }
        let command = [
            "ip", "netns", "exec", namespace(name), Lab.daemon, "--config", path(name, ".yaml"), "--socket",
            path(name, ".sock"), "--state-dir", path(name, ".state"),
        ]
        guard let pid = ChildProcess.start(command, log: path(name, ".log")) else {
            throw CommandError(status: 1, reason: "cannot start \(Lab.daemon)")
        }
        ChildProcess.write(path(name, ".pid"), "\(pid)\n")
    }

    /// evpnd beside this program, or as EVPND names it.
    static var daemon: String {
        if let name = getenv("EVPND") { return String(cString: name) }
        return FileNames.exists(ownDirectory + "/evpnd") ? ownDirectory + "/evpnd" : "evpnd"
    }
    /// Where this program is.
    static var ownDirectory: String {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        let own = String(decoding: buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return own.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
    }

    /// Ready: every configured neighbor established and the initial routes there.
    private func waitUntilReady() throws(CommandError) {
        let deadline = time(nil) + 30
        var waiting = topology.nodes.filter { $0.configuration != nil }.map(\.name)
        let isTerminal = isatty(2) == 1
        while !waiting.isEmpty {
            waiting.removeAll { isReady($0) }
            if isTerminal {
                writeError("\r\u{1b}[Kwaiting for \(waiting.isEmpty ? "nothing" : waiting.joined(separator: ", "))")
            }
            if waiting.isEmpty { break }
            for name in waiting {
                if let pid = pid(name), waitpid(pid, nil, WNOHANG) == pid {
                    let log = ChildProcess.contents(path(name, ".log")) ?? ""
                    throw CommandError(status: 1, reason: "evpnd of \(name) ended:\n\(log)")
                }
            }
            if time(nil) > deadline {
                throw CommandError(
                    status: 1, reason: "not ready after 30 s: \(waiting.joined(separator: ", "))")
            }
            usleep(50_000)
        }
        if isTerminal { writeError("\r\u{1b}[K") }
    }
    private func isReady(_ node: String) -> Bool {
        guard FileNames.exists(path(node, ".sock")), let client = try? Client(path: path(node, ".sock")) else {
            return false
        }
        defer { client.close() }
        guard let status = try? client.value("status", ["command": "status"]) else { return false }
        // A reflector that only accepts has no neighbor to wait for: it waits its hold time for strangers.
        return status.isTrue("ready") || status.integer("established") == status.integer("neighbors")
    }

    // MARK: down, kill, exec, status

    /// Ends what carries the lab's name; says nothing when nothing is there.
    func down() {
        for node in topology.nodes { if let pid = pid(node.name) { end(pid, node.name) } }
        for name in FileNames.list("/run/netns") where name.hasPrefix(topology.name + "-") {
            _ = ChildProcess.run(["ip", "netns", "delete", name])
        }
        for name in FileNames.list(directory) {
            for inner in FileNames.list("\(directory)/\(name)") { unlink("\(directory)/\(name)/\(inner)") }
            if rmdir("\(directory)/\(name)") != 0 { unlink("\(directory)/\(name)") }
        }
        rmdir(directory)
    }
    private func pid(_ node: String) -> pid_t? {
        ChildProcess.contents(path(node, ".pid")).flatMap { pid_t($0.trimmingNewline) }
    }
    /// SIGKILL, but only to a process that is ours: the pid file may be older than the process.
    private func end(_ pid: pid_t, _ node: String) {
        let command = ChildProcess.contents("/proc/\(pid)/cmdline") ?? ""
        if command.contains(path(node, ".yaml")) {
            Glibc.kill(pid, SIGKILL)
            for _ in 0..<200 where Glibc.kill(pid, 0) == 0 {
                waitpid(pid, nil, WNOHANG)
                usleep(5_000)
            }
        }
        unlink(path(node, ".pid"))
    }
    func kill(_ node: String) throws(CommandError) {
        guard let pid = pid(node) else { throw CommandError(status: 1, reason: "no evpnd of \(node) is running") }
        end(pid, node)
    }

    func exec(_ name: String, _ command: [String]) throws(CommandError) -> Int32 {
        let known = topology.nodes.map(\.name) + topology.hosts.map(\.name) + ["core"]
        guard known.contains(name) else {
            throw CommandError(status: 2, reason: "no \(name) in this lab; there are \(known.joined(separator: ", "))")
        }
        setenv("EVPND_SOCKET", path(name, ".sock"), 1)
        // This evpnctl, whether it is installed or not.
        setenv("PATH", Lab.ownDirectory + ":" + (environment("PATH") ?? "/usr/sbin:/usr/bin:/sbin:/bin"), 1)
        var arguments = (["ip", "netns", "exec", namespace(name)] + command).map { strdup($0) } + [nil]
        execvp("ip", &arguments)
        throw CommandError(status: 127, reason: "cannot run ip: \(String(cString: strerror(errno)))")
    }

    func status() {
        var table = Table(["NODE", "KIND", "NAMESPACE", "ADDRESSES", "STATE", "LOG"])
        for node in topology.nodes {
            let isThere = FileNames.exists("/run/netns/\(namespace(node.name))")
            let isRunning = pid(node.name).map { Glibc.kill($0, 0) == 0 } ?? false
            let state =
                !isThere ? "absent" : node.configuration == nil ? "up" : isRunning ? "evpnd running" : "evpnd stopped"
            table.rows.append([
                node.name, "node", namespace(node.name), node.addresses.joined(separator: " "), state,
                node.configuration == nil ? "-" : path(node.name, ".log"),
            ])
        }
        for host in topology.hosts {
            let isThere = FileNames.exists("/run/netns/\(namespace(host.name))")
            table.rows.append([
                host.name, "host of \(host.node)", namespace(host.name), host.addresses.joined(separator: " "),
                isThere ? "up" : "absent", "-",
            ])
        }
        write(table.text)
    }
}

enum FileNames {
    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }
    /// The names in a directory, sorted; empty when it cannot be read.
    static func list(_ path: String) -> [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }
}

extension String {
    var trimmingNewline: String {
        var text = self
        while text.last == "\n" { text.removeLast() }
        return text
    }
}
