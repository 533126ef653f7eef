// Making and removing named network namespaces, as `ip netns add` and `ip netns delete` do.

import CLinux
import Glibc

extension NetworkNamespace {
    /// Makes a namespace of this name, with its loopback interface up. EEXIST: there is one, or another file; EPERM: CAP_SYS_ADMIN is
    /// missing, or mounts of this process are not seen by others, who would find an empty file.
    public static func create(_ name: String) throws(NetlinkFailure) -> NetworkNamespace {
        guard isValid(name) else {
            throw NetlinkFailure(code: EINVAL, text: "\(name) is not a name of a network namespace")
        }
        if mkdir(directory, 0o755) != 0, errno != EEXIST { throw NetlinkFailure(code: errno, text: directory) }
        try share()
        let path = "\(directory)/\(name)"
        let file = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0)
        guard file >= 0 else { throw NetlinkFailure(code: errno, text: path) }
        close(file)
        do throws(NetlinkFailure) {
            try mountNew(at: path)
            let namespace = try NetworkNamespace(name)
            let raised = try namespace.inside { () throws(NetlinkFailure) in evpnd_raise_loopback() }
            guard raised == 0 else { throw NetlinkFailure(code: -raised, text: "ip link set lo up") }
            return namespace
        } catch {
            delete(name)
            throw error
        }
    }

    /// Takes the name away. The namespace ends when nobody uses it any more, and with it the virtual devices in it.
    public static func delete(_ name: String) {
        guard isValid(name) else { return }
        let path = "\(directory)/\(name)"
        umount2(path, Int32(MNT_DETACH))
        unlink(path)
    }

    /// Nobody has put a device into it: there are only those that the kernel makes in every namespace.
    public var isBare: Bool {
        let fallback: Set<String> = [
            "lo", "sit0", "tunl0", "ip6tnl0", "gre0", "gretap0", "erspan0", "ip6gre0", "ip_vti0", "ip6_vti0",
        ]
        let names = try? inside { () throws(NetlinkFailure) -> [String] in
            guard let list = if_nameindex() else { throw NetlinkFailure(code: errno, text: "devices of \(name)") }
            defer { if_freenameindex(list) }
            var names: [String] = []
            var entry = list
            while let text = entry.pointee.if_name {
                names.append(String(cString: text))
                entry += 1
            }
            return names
        }
        return names.map { fallback.isSuperset(of: $0) } ?? false
    }

    /// A new namespace for the calling thread, tied to `path`, and the thread back to where it was.
    private static func mountNew(at path: String) throws(NetlinkFailure) {
        let outside = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)
        guard outside >= 0 else { throw NetlinkFailure(code: errno, text: "/proc/thread-self/ns/net") }
        defer { close(outside) }
        guard evpnd_unshare(cloneFlag) == 0 else {
            throw NetlinkFailure(code: errno, text: "making a network namespace")
        }
        let isMounted = mount("/proc/thread-self/ns/net", path, "none", UInt(MS_BIND), nil) == 0
        let fault = errno
        let isBack = evpnd_setns(outside, cloneFlag) == 0
        precondition(isBack, "the thread cannot return to its network namespace")
        guard isMounted else { throw NetlinkFailure(code: fault, text: path) }
    }

    /// What is mounted in the directory must be seen by everybody: it becomes a mount point of its own, which is shared, as `ip netns`
    /// makes it. That helps nobody outside when the process itself is in a mount namespace that only receives mounts.
    private static func share() throws(NetlinkFailure) {
        guard !receivesOnly else {
            throw NetlinkFailure(
                code: EPERM,
                text: "mounts of this process are seen by nobody else (it runs in a mount namespace of its own)")
        }
        if mount("", directory, "none", UInt(MS_SHARED | MS_REC), nil) == 0 { return }
        guard errno == EINVAL else { throw NetlinkFailure(code: errno, text: directory) }
        guard mount(directory, directory, "none", UInt(MS_BIND | MS_REC), nil) == 0,
            mount("", directory, "none", UInt(MS_SHARED | MS_REC), nil) == 0
        else { throw NetlinkFailure(code: errno, text: directory) }
    }
    /// The mount that the directory is in is a slave (proc(5), `master:` in mountinfo).
    private static var receivesOnly: Bool {
        var best = (length: -1, isSlave: false)
        guard let file = fopen("/proc/thread-self/mountinfo", "re") else { return false }
        defer { fclose(file) }
        var line: UnsafeMutablePointer<CChar>?
        var capacity = 0
        defer { free(line) }
        while getline(&line, &capacity, file) > 0, let line {
            let fields = String(cString: line).split(separator: " ")
            guard fields.count > 6 else { continue }
            let point = String(fields[4])
            guard point == directory || point == "/" || directory.hasPrefix(point + "/") else { continue }
            let options = fields[6...].prefix { $0 != "-" }
            // Of several on one point the last is on top.
            if point.utf8.count >= best.length {
                best = (point.utf8.count, options.contains { $0.hasPrefix("master:") })
            }
        }
        return best.isSlave
    }
}
