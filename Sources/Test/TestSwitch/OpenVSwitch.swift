// A real ovs-vswitchd with its datapath for tests: no privileges, and nothing outside of a folder of its own. A watcher, which is not a
// child of the tests' own session, ends the daemons and removes the folder once nobody holds its input any more: also after a crash.

import Glibc

/// One bridge of an Open vSwitch of its own.
public final class OpenVSwitch {
    public static let isInstalled = access("/usr/sbin/ovs-vswitchd", X_OK) == 0

    public struct Fault: Error, CustomStringConvertible { public var description: String }

    public let folder: String
    public let bridge: String
    private var watcher: UnsafeMutablePointer<FILE>?

    /// A bridge with the dummy ports p1, p2 and so on; `more`: further words for ovs-vsctl.
    public init(bridge: String, ports: ClosedRange<Int>, more: String = "") throws {
        var template = Array("/tmp/evpnd-ovs-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Fault(description: "mkdtemp: errno \(errno)") }
        folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        self.bridge = bridge
        try write(
            "watch",
            [
                "while read -r line; do :; done", "cd /",
                "for f in \(folder)/*.pid; do [ -e $f ] && kill -9 $(cat $f); done 2>/dev/null",
                "while [ -e \(folder) ]; do rm -rf \(folder) 2>/dev/null; done",
            ])
        // Closed in every other child, so that only this process holds it.
        watcher = popen("exec setsid sh \(folder)/watch", "we")
        guard watcher != nil else { throw Fault(description: "popen: errno \(errno)") }
        let words = ports.map { "-- add-port \(bridge) p\($0) -- set interface p\($0) type=dummy ofport_request=\($0)" }
        let text = try run(
            """
            ovsdb-tool create $D/conf.db /usr/share/openvswitch/vswitch.ovsschema &&
            ovsdb-server $D/conf.db --remote=punix:$D/db.sock --pidfile=$D/server.pid --unixctl=$D/server.ctl \
            --log-file=$D/server.log --detach --no-chdir -vconsole:off &&
            ovs-vsctl --no-wait init && \(Self.startSwitch) &&
            ovs-vsctl --timeout=20 add-br \(bridge) -- set bridge \(bridge) datapath_type=dummy fail-mode=secure \
            protocols=OpenFlow13,OpenFlow14,OpenFlow15 \(words.joined(separator: " ")) \(more) &&
            echo started
            """)
        guard text.hasSuffix("started\n") else { throw Fault(description: text) }
    }
    deinit { if let watcher { pclose(watcher) } }

    /// The bridge's management socket.
    public var socket: String { "\(folder)/\(bridge).mgmt" }

    private static let startSwitch =
        "ovs-vswitchd unix:$D/db.sock --enable-dummy=override --disable-system --pidfile=$D/vswitchd.pid "
        + "--unixctl=$D/vswitchd.ctl --log-file=$D/vswitchd.log --detach --no-chdir -vconsole:off"

    /// Again, after `killSwitch`.
    public func startSwitch() throws { try run(Self.startSwitch) }
    /// Ends ovs-vswitchd as a crash does, and waits until it is gone.
    public func killSwitch() throws {
        try run(
            "p=$(cat $D/vswitchd.pid); rm $D/vswitchd.pid; kill -9 $p; "
                + "while read -r _ _ state _ </proc/$p/stat && [ $state != Z ]; do :; done")
    }

    /// Output and errors of a shell command; `$D` is the folder.
    @discardableResult public func run(_ command: String) throws -> String {
        let prefix = "export D=\(folder) OVS_RUNDIR=\(folder) OVS_LOGDIR=\(folder) OVS_DBDIR=\(folder); "
        guard let pipe = popen("{ " + prefix + command + "\n} 2>&1", "re") else {
            throw Fault(description: "popen: errno \(errno)")
        }
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = fread(&buffer, 1, buffer.count, pipe)
            guard count > 0 else { break }
            text += buffer[..<count]
        }
        pclose(pipe)
        return String(decoding: text, as: UTF8.self)
    }

    /// A file of the folder.
    public func write(_ name: String, _ lines: [String]) throws {
        guard let file = fopen("\(folder)/\(name)", "we") else { throw Fault(description: "fopen: errno \(errno)") }
        fputs(lines.map { $0 + "\n" }.joined(), file)
        fclose(file)
    }

    /// Flows as ovs-ofctl prints them, without counters and sorted.
    public func flows() throws -> [String] {
        try run("ovs-ofctl -O OpenFlow15 --no-stats dump-flows unix:\(socket)").split(separator: "\n")
            .map { String($0.drop { $0 == " " }) }.filter { $0.contains("actions=") }.sorted()
    }
}
