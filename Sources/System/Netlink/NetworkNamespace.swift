// A network namespace with a name (`ip netns`), and what has to be done from inside of it: making sockets, setting sysctls.

import CLinux
import Glibc

/// A namespace of `/run/netns`, held open: it exists for as long as this value does, even when its name is taken away.
///
/// A socket belongs for all its life to the namespace of the thread that makes it. So nothing but the making of sockets, and
/// what goes through /proc/sys, needs to be done inside.
public final class NetworkNamespace: Sendable {
    /// Tells one namespace from another for as long as both exist: where a name leads can be compared without opening it.
    public struct Identity: Hashable, Sendable {
        let device: UInt64
        let inode: UInt64
        fileprivate init(_ status: stat) {
            device = UInt64(status.st_dev)
            inode = UInt64(status.st_ino)
        }
    }
    /// Where `ip netns` keeps the names.
    public static let directory = "/run/netns"

    public let name: String
    public let identity: Identity
    /// To be given to the kernel in a request (IFLA_NET_NS_FD).
    let descriptor: Int32

    /// Whether `name` can be that of a namespace: 1…255 octets without a slash, and not `.` or `..`.
    public static func isValid(_ name: String) -> Bool {
        (1...255).contains(name.utf8.count) && name != "." && name != ".."
            && !name.utf8.contains { $0 == 0x2f || $0 == 0 }
    }
    /// Whether there is a file of this name, also one that is no namespace yet.
    public static func exists(_ name: String) -> Bool {
        var status = stat()
        return isValid(name) && stat("\(directory)/\(name)", &status) == 0
    }
    /// Where the name leads now. Nil: nowhere, or to a file that is no namespace yet (`ip netns add` makes the file first).
    public static func identity(of name: String) -> Identity? {
        guard isValid(name) else { return nil }
        var status = stat()
        guard stat("\(directory)/\(name)", &status) == 0, !isPlaceholder(status) else { return nil }
        return Identity(status)
    }
    /// That of the calling thread's namespace.
    public static var ownIdentity: Identity? {
        var status = stat()
        return stat("/proc/thread-self/ns/net", &status) == 0 ? Identity(status) : nil
    }
    /// The mount point itself is a file of the directory's file system, without any permission.
    private static func isPlaceholder(_ status: stat) -> Bool {
        var parent = stat()
        return stat(directory, &parent) == 0 && parent.st_dev == status.st_dev
    }

    /// Opens the namespace `name`. ENOENT: there is none; EINVAL: it is no name, or no network namespace.
    public init(_ name: String) throws(NetlinkFailure) {
        guard NetworkNamespace.isValid(name) else {
            throw NetlinkFailure(code: EINVAL, text: "\(name) is not a name of a network namespace")
        }
        let file = open("\(NetworkNamespace.directory)/\(name)", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw NetlinkFailure(code: errno, text: "network namespace \(name)") }
        var status = stat()
        guard fstat(file, &status) == 0, !NetworkNamespace.isPlaceholder(status) else {
            close(file)
            throw NetlinkFailure(code: ENOENT, text: "network namespace \(name)")
        }
        self.name = name
        descriptor = file
        identity = Identity(status)
        // That it can be entered is known from the start.
        try inside { () throws(NetlinkFailure) in }
    }
    deinit { close(descriptor) }

    /// Does `body` with the calling thread in this namespace. EPERM: CAP_SYS_ADMIN is missing (setns(2)).
    func inside<Result>(_ body: () throws(NetlinkFailure) -> Result) throws(NetlinkFailure) -> Result {
        let outside = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)
        guard outside >= 0 else { throw NetlinkFailure(code: errno, text: "/proc/thread-self/ns/net") }
        defer { close(outside) }
        guard evpnd_setns(descriptor, NetworkNamespace.cloneFlag) == 0 else {
            throw NetlinkFailure(code: errno, text: "entering network namespace \(name)")
        }
        defer {
            let isBack = evpnd_setns(outside, NetworkNamespace.cloneFlag) == 0
            precondition(isBack, "the thread cannot return to its network namespace")
        }
        return try body()
    }
    /// CLONE_NEWNET: a descriptor of anything else is refused with EINVAL.
    static let cloneFlag: Int32 = 0x4000_0000

    /// A number that no other namespace has or will have until the next boot (SO_NETNS_COOKIE, Linux 5.14); 0: the kernel has none.
    public var cookie: UInt64 {
        var cookie: UInt64 = 0
        try? inside { () throws(NetlinkFailure) in
            let probe = socket(AF_NETLINK, Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue), NETLINK_ROUTE)
            guard probe >= 0 else { return }
            defer { close(probe) }
            var length = socklen_t(MemoryLayout<UInt64>.size)
            if getsockopt(probe, SOL_SOCKET, 71, &cookie, &length) != 0 { cookie = 0 }
        }
        return cookie
    }

    /// `sysctl -w net.KEY=VALUE` in this namespace, `key` with slashes: `ipv4/ip_forward`. Nothing is written when the value is
    /// that already. Whether it was changed.
    @discardableResult public func setSysctl(_ key: String, _ value: String) throws(NetlinkFailure) -> Bool {
        // /proc/sys/net shows the namespace of the thread that opens a file there.
        try inside { () throws(NetlinkFailure) in
            let path = "/proc/sys/net/\(key)"
            let file = open(path, O_RDWR | O_CLOEXEC)
            guard file >= 0 else { throw NetlinkFailure(code: errno, text: path) }
            defer { close(file) }
            var now = [UInt8](repeating: 0, count: 64)
            let count = max(0, read(file, &now, now.count))
            if now[..<count].split(separator: 0x0a).first.map({ Array($0) }) == Array(value.utf8) { return false }
            let bytes = Array("\(value)\n".utf8)
            guard pwrite(file, bytes, bytes.count, 0) == bytes.count else {
                throw NetlinkFailure(code: errno, text: path)
            }
            return true
        }
    }
}
