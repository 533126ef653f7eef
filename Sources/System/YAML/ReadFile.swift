// Small files read whole, with reasons that an operator understands.

public import Documents
import Glibc

/// Why a file could not be read.
public struct FileFault: Error, Equatable, Sendable, CustomStringConvertible {
    /// "No such file or directory", "larger than 1048576 octets".
    public let reason: String
    public init(reason: String) { self.reason = reason }
    public var description: String { reason }
}

/// The contents of a file (a regular file or a pipe) of at most `limit` octets.
public func readFile(_ path: String, limit: Int = DocumentLimits().size) -> Result<[UInt8], FileFault> {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)
    guard descriptor >= 0 else { return .failure(FileFault(reason: String(cString: strerror(errno)))) }
    defer { close(descriptor) }
    var contents: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65536)
    while true {
        let count = read(descriptor, &chunk, chunk.count)
        if count == 0 { return .success(contents) }
        if count < 0 {
            if errno == EINTR { continue }
            return .failure(FileFault(reason: String(cString: strerror(errno))))
        }
        guard contents.count + count <= limit else {
            return .failure(FileFault(reason: "larger than \(limit) octets"))
        }
        contents += chunk[..<count]
    }
}

/// The working directory of this process; the root when it is gone.
public func workingDirectory() -> String {
    guard let path = getcwd(nil, 0) else { return "/" }
    defer { free(path) }
    return String(cString: path)
}

/// The permission bits of a file; nil when it is not there.
public func fileMode(_ path: String) -> UInt32? {
    var status = stat()
    return stat(path, &status) == 0 ? status.st_mode & 0o7777 : nil
}

extension Document {
    /// Reads a configuration file: JSON when its name ends in `.json`, YAML otherwise. A file that cannot be read is a
    /// problem without a position.
    public static func read(file path: String, limits: DocumentLimits = .init()) -> ParsedDocument {
        switch readFile(path, limit: limits.size) {
        case .failure(let fault):
            return ParsedDocument(document: nil, problems: [Problem(at: nil, "\(path): \(fault.reason)")])
        case .success(let bytes):
            return path.hasSuffix(".json")
                ? parse(json: bytes, file: path, limits: limits) : parse(yaml: bytes, file: path, limits: limits)
        }
    }
}
