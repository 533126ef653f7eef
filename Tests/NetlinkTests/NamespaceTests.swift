// Sockets and sysctls of another network namespace (root).

import Glibc
import NetTypes
import Testing

@testable import Netlink

@Suite struct NamespaceTests {
    @Test func namesAreChecked() {
        for name in [
            "", ".", "..", "a/b", "/run/netns/a", "../../etc/passwd", "a\0b", String(repeating: "n", count: 256),
        ] {
            #expect(!NetworkNamespace.isValid(name))
            #expect(NetworkNamespace.identity(of: name) == nil)
            #expect(throws: NetlinkFailure.self) { try NetworkNamespace(name) }
        }
        for name in ["red", "a b", "...", "größe", String(repeating: "n", count: 255)] {
            #expect(NetworkNamespace.isValid(name))
        }
    }

    @Test func whatIsNoNamespaceIsSaid() throws {
        let name = "evt\(getpid())-none"
        #expect(NetworkNamespace.identity(of: name) == nil)
        #expect { try NetworkNamespace(name) } throws: { ($0 as? NetlinkFailure)?.isAbsence == true }
        // As `ip netns add` leaves it before the mount.
        mkdir(NetworkNamespace.directory, 0o755)
        let path = "\(NetworkNamespace.directory)/\(name)"
        close(open(path, O_CREAT | O_RDONLY | O_CLOEXEC, 0))
        defer { unlink(path) }
        #expect(NetworkNamespace.identity(of: name) == nil)
        #expect { try NetworkNamespace(name) } throws: { ($0 as? NetlinkFailure)?.isAbsence == true }
    }

    @Test func socketsStayWhereTheyWereMade() throws {
        let name = "evt\(getpid())-one"
        #expect(system("ip netns add \(name) && ip -n \(name) link add lan type bridge") == 0)
        defer { _ = system("ip netns del \(name) 2>/dev/null") }
        let namespace = try NetworkNamespace(name)
        #expect(NetworkNamespace.identity(of: name) == namespace.identity)
        let (inside, outside) = (try NetlinkSocket(in: namespace), try NetlinkSocket())
        func names(_ socket: NetlinkSocket) throws -> Set<String> {
            var names: Set<String> = []
            try socket.dump(
                restart: { names = [] }, { $0.dumpLinks(sequence: $1) },
                { if let link = Link(decoding: $0.payload) { names.insert(link.name) } })
            return names
        }
        #expect(try names(inside) == ["lo", "lan"])
        let here = try names(outside)
        #expect(try names(NetlinkSocket()) == here, "the thread is back")
        _ = try NotificationSocket(in: namespace)

        // A number for each namespace that no other gets.
        #expect(namespace.cookie == namespace.cookie && namespace.cookie != 0)
        #expect(system("ip netns del \(name) && ip netns add \(name)") == 0)
        let second = try NetworkNamespace(name)
        #expect(second.cookie != namespace.cookie && second.identity != namespace.identity)
        #expect(NetworkNamespace.identity(of: name) == second.identity)
    }

    @Test func sysctlsAreThoseOfTheNamespace() throws {
        let name = "evt\(getpid())-sysctl"
        #expect(system("ip netns add \(name)") == 0)
        defer { _ = system("ip netns del \(name)") }
        let namespace = try NetworkNamespace(name)
        #expect(throws: NetlinkFailure.self) { try namespace.setSysctl("ipv4/no_such_key", "1") }
        try namespace.setSysctl("ipv4/ip_forward", "0")
        #expect(try namespace.setSysctl("ipv4/ip_forward", "1"))
        #expect(try !namespace.setSysctl("ipv4/ip_forward", "1"), "it is that already")
        #expect(system("ip netns exec \(name) sysctl -n net.ipv4.ip_forward | grep -qx 1") == 0)
    }
}
