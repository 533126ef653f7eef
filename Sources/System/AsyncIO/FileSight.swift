// What stands in a directory, and files read while nobody writes them.

import CLinux
import Glibc

/// What tells one state of a file from another.
public struct FileIdentity: Hashable, Sendable {
    public var device: UInt64
    public var inode: UInt64
    public var size: Int64
    /// Nanoseconds since 1970.
    public var modified: Int64
    public var changed: Int64
    public var isRegular: Bool

    init(_ status: stat) {
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        size = Int64(status.st_size)
        modified = Int64(status.st_mtim.tv_sec) &* 1_000_000_000 &+ Int64(status.st_mtim.tv_nsec)
        changed = Int64(status.st_ctim.tv_sec) &* 1_000_000_000 &+ Int64(status.st_ctim.tv_nsec)
        isRegular = status.st_mode & S_IFMT == S_IFREG
    }
    /// Of the file that the path leads to; nil: there is none.
    public init?(path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        self.init(status)
    }
}

/// The names in a directory, without `.` and `..`, at most `limit` of them.
public func directoryNames(_ path: String, limit: Int) throws(SystemError) -> [String] {
    guard let directory = opendir(path) else { throw SystemError("open \(path)") }
    defer { closedir(directory) }
    var names: [String] = []
    while names.count < limit {
        errno = 0
        guard let entry = readdir(directory) else {
            // A list that ends too early must not look like deletions.
            guard errno == 0 else { throw SystemError("read \(path)") }
            break
        }
        let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        if name != ".", name != ".." { names.append(name) }
    }
    return names
}

/// The contents of a file together with what it was then; nil: it was written or replaced meanwhile. `limit`: octets.
public func readUndisturbed(_ path: String, limit: Int) throws(SystemError) -> (bytes: [UInt8], identity: FileIdentity)?
{
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
    guard descriptor >= 0 else { throw SystemError("open") }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw SystemError("stat") }
    let before = FileIdentity(status)
    guard before.isRegular else { throw SystemError("not a regular file", code: EINVAL) }
    guard before.size <= limit else { throw SystemError("larger than \(limit) octets", code: EFBIG) }
    var contents: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 16384)
    while true {
        let count = read(descriptor, &chunk, chunk.count)
        if count == 0 { break }
        if count < 0 {
            if errno == EINTR { continue }
            throw SystemError("read")
        }
        contents += chunk[..<count]
        guard contents.count <= limit else { throw SystemError("larger than \(limit) octets", code: EFBIG) }
    }
    guard FileIdentity(path: path) == before, contents.count == Int(before.size) else { return nil }
    return (contents, before)
}
