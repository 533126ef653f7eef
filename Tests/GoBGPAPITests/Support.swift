// The files of Tests/Vectors/gobgp-api.

import Glibc
import NetTypes

/// The lines of one file: name, message, octets.
func vectorLines(_ file: String) -> [(name: String, octets: [UInt8])] {
    let folder = #filePath.split(separator: "/").dropLast(2).joined(separator: "/")
    guard let file = fopen("/\(folder)/Vectors/gobgp-api/\(file).hex", "r") else { return [] }
    defer { fclose(file) }
    var octets: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while true {
        let count = fread(&buffer, 1, buffer.count, file)
        guard count > 0 else { break }
        octets += buffer[..<count]
    }
    return octets.split(separator: 0x0a).compactMap { line in
        let words = line.split(separator: 0x20, omittingEmptySubsequences: false)
        guard words.count == 3, line.first != 0x23 else { return nil }
        return bytes(hex: String(decoding: words[2], as: UTF8.self)).map {
            (String(decoding: words[0], as: UTF8.self), $0)
        }
    }
}
