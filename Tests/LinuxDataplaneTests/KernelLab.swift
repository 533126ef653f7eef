// A network namespace of its own for one test, with a loop and a dataplane in it. Needs root.

import AsyncIO
import CLinux
import EVPN
import Glibc
import NetTypes
import Synchronization
import Telemetry
import Testing

@testable import LinuxDataplane

/// Everything in one fresh network namespace, on the thread that `run` makes.
final class KernelLab {
    let loop = EventLoop()
    let directory: String
    private(set) var lines: [String] = []
    private var namespaces: Set<String> = []

    private init() {
        var template = Array("/tmp/evpnd-test-XXXXXX".utf8CString)
        directory = mkdtemp(&template).map { String(cString: $0) } ?? "/tmp"
    }

    /// Runs `body` on a new thread in a new network namespace and waits for it. Without the privilege to make one the test
    /// fails: a kernel test that does not run proves nothing.
    static func run(_ body: @escaping @Sendable (KernelLab) throws -> Void) throws {
        let done = eventfd(0, Int32(EFD_CLOEXEC))
        defer { close(done) }
        let failure = Mutex<String?>(nil)
        let worker = Worker()
        nonisolated(unsafe) let pointer = withUnsafePointer(to: failure) { $0 }
        worker.submit {
            let text: String?
            if evpnd_unshare(0x4000_0000) != 0 {
                text = "unshare(CLONE_NEWNET): \(String(cString: strerror(errno))) (these tests need root)"
            } else {
                let lab = KernelLab()
                do {
                    try body(lab)
                    text = nil
                } catch {
                    text = "\(error)\n" + lab.lines.joined(separator: "\n")
                }
                for name in lab.namespaces { _ = try? lab.sh("ip netns del \(name)") }
                _ = try? lab.sh("cd \(lab.directory) && rm -rf flood netns")
                rmdir(lab.directory)
            }
            pointer.pointee.withLock { $0 = text }
            eventfd_write(done, 1)
        }
        var value: eventfd_t = 0
        eventfd_read(done, &value)
        worker.stop()
        if let text = failure.withLock({ $0 }) { throw LabFailure(text) }
    }

    func dataplane() throws -> Subject {
        let log = Log(level: .debug) { [weak self] in self?.lines.append($0) }
        let subject = Subject(
            try LinuxDataplane(loop: loop, log: log, metrics: MetricRegistry(), stateDirectory: directory))
        subject.dataplane.onLocalChanges = { [weak subject] in subject?.record($0) }
        return subject
    }

    /// The same for all namespaces of a host.
    func dataplanes() throws -> HostSubject {
        let log = Log(level: .debug) { [weak self] in self?.lines.append($0) }
        let subject = HostSubject(
            try LinuxDataplanes(loop: loop, log: log, metrics: MetricRegistry(), stateDirectory: directory))
        subject.dataplane.onLocalChanges = { [weak subject] in subject?.record($0) }
        return subject
    }

    /// Runs the loop until `condition` holds; fails after `seconds`.
    func wait(
        _ what: String, seconds: Int = 5, line: Int = #line, until condition: @escaping () -> Bool
    ) throws {
        let deadline = loop.now + .seconds(seconds)
        var isMet = false
        func poll() {
            if condition() {
                isMet = true
                loop.stop()
            } else if loop.now > deadline {
                loop.stop()
            } else {
                loop.schedule(after: .milliseconds(5)) { poll() }
            }
        }
        loop.schedule(after: .zero) { poll() }
        loop.run()
        if !isMet { throw LabFailure("line \(line): not within \(seconds) s: \(what)") }
    }
    /// Lets the loop run for a while, to see that something does not happen.
    func pass(milliseconds: Int) {
        loop.schedule(after: .milliseconds(milliseconds)) { [loop] in loop.stop() }
        loop.run()
    }

    /// Runs a shell command in the namespace; throws when it fails. Its output.
    @discardableResult func sh(_ command: String, line: Int = #line) throws -> String {
        var ends: [Int32] = [0, 0]
        pipe(&ends)
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 2)
        posix_spawn_file_actions_addclose(&actions, ends[0])
        posix_spawn_file_actions_addclose(&actions, ends[1])
        defer { posix_spawn_file_actions_destroy(&actions) }
        var arguments: [UnsafeMutablePointer<CChar>?] = ["sh", "-ec", command].map { (text: String) in strdup(text) }
        arguments.append(nil)
        defer { for argument in arguments { free(argument) } }
        var child: pid_t = 0
        let result = posix_spawn(&child, "/bin/sh", &actions, nil, arguments, environ)
        close(ends[1])
        guard result == 0 else { throw LabFailure("posix_spawn: \(result)") }
        var output: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = read(ends[0], &chunk, chunk.count)
            if count <= 0 { break }
            output += chunk[..<count]
        }
        close(ends[0])
        var status: Int32 = 0
        waitpid(child, &status, 0)
        let text = String(decoding: output, as: UTF8.self)
        if status != 0 { throw LabFailure("line \(line): \(command): status \(status): \(text)") }
        return text
    }
    /// The full name of another namespace of this test, which is removed at its end; names are the same for the whole machine.
    func namespace(_ name: String) -> String {
        let full = "evt\(getpid())-\(directory.suffix(6))-\(name)"
        namespaces.insert(full)
        return full
    }
    /// Lines of `bridge fdb show` with `mac`, spaces trimmed, sorted.
    /// A host on a port, as soon as the bridge forwards there: until then it learns nothing.
    func learn(_ mac: String, _ port: String) throws {
        try wait("\(port) forwards") {
            (try? self.sh("bridge fdb add \(mac) dev \(port) master dynamic 2>/dev/null")) != nil
        }
    }
    func fdb(_ mac: String, device: String = "") throws -> [String] {
        try sh("bridge fdb show \(device.isEmpty ? "" : "dev \(device)")").split(separator: "\n")
            .filter { $0.hasPrefix(mac) && !$0.hasPrefix("33:33:") && !$0.hasPrefix("01:00:") }
            .map { $0.split(separator: " ").joined(separator: " ") }.sorted()
    }
}

struct LabFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// A dataplane and what it has told.
final class Subject: LocalFacts {
    let dataplane: LinuxDataplane
    init(_ dataplane: LinuxDataplane) { self.dataplane = dataplane }
    var requests: Int { dataplane.statistics.requests }
}
final class HostSubject: LocalFacts {
    let dataplane: LinuxDataplanes
    init(_ dataplane: LinuxDataplanes) { self.dataplane = dataplane }
    /// Everything that is wanted is in the kernel.
    var isDone: Bool {
        let now = dataplane.statistics
        return now.pending + now.failed + now.waiting == 0
    }
}

/// What a dataplane has told.
class LocalFacts {
    var domains: [VNI: LocalDomain] = [:]
    var macs: [MACKey: LocalMAC] = [:]
    var neighbors: [NeighborKey: LocalNeighbor] = [:]
    var prefixes: [PrefixKey: LocalPrefix] = [:]
    var changes: [LocalChange] = []

    func record(_ new: [LocalChange]) {
        changes += new
        for change in new {
            switch change {
            case .domain(let vni, let domain): domains[vni] = domain
            case .prefix(let key, let prefix): prefixes[key] = prefix
            case .mac(let key, let mac): macs[key] = mac
            case .neighbor(let key, let neighbor): neighbors[key] = neighbor
            }
        }
    }
}

/// Of a constant in a test; a wrong one ends the test run.
func constant<T>(_ value: T?) -> T {
    guard let value else { preconditionFailure("a test's constant cannot be read") }
    return value
}
func vni(_ value: UInt32) -> VNI { constant(VNI(value)) }
func mac(_ text: String) -> MACAddress { constant(MACAddress(text)) }
func ip(_ text: String) -> IPAddress { constant(IPAddress(text)) }
func macKey(_ number: UInt32, _ text: String) -> MACKey { MACKey(vni: vni(number), mac: mac(text)) }
func remote(_ vtep: String, vni number: UInt32 = 100, sticky: Bool = false) -> RemoteMAC {
    RemoteMAC(vtep: ip(vtep), vni: vni(number), isSticky: sticky)
}

/// VNI 100 on the devices of `bridged`.
let adopted = BroadcastDomain(vni: vni(100), device: .adopted(name: nil))
/// Commands: a VXLAN device for VNI 100 in a bridge with a port.
let bridged = """
    ip link add br0 type bridge
    ip link set br0 up
    ip link add vx type vxlan id 100 local 192.0.2.1 dstport 4789 nolearning
    ip link set vx master br0
    ip link set vx addrgenmode none
    bridge link set dev vx learning off neigh_suppress on
    ip link set vx up
    ip link add p0 type veth peer name p1
    ip link set p0 addrgenmode none
    ip link set p1 addrgenmode none
    ip link set br0 addrgenmode none
    ip link set p0 master br0
    ip link set p0 up
    ip link set p1 up
    """
/// VNI 100 on devices of its own.
let managed = BroadcastDomain(
    vni: vni(100),
    device: .managed(ManagedDevice(vxlanName: "vxlan100", bridgeName: "br100", members: ["p0"])),
    vtep: ip("192.0.2.1"))
let macA = "02:00:00:00:00:0a"
let macB = "02:00:00:00:00:0b"
let zero = "00:00:00:00:00:00"
