// Metrics pushed as datagrams of statsd, for systems that collect them so.

/// The lines of one push, packed into datagrams.
public struct StatsdBatch {
    /// Octets of one datagram: what passes through any network in one piece.
    public static let datagramLimit = 1400

    public private(set) var datagrams: [[UInt8]] = []
    private let prefix: String
    private let suffix: String

    /// Names are `PREFIX.NAME;host=HOST`; without a prefix or host these parts are left out.
    public init(prefix: String?, host: String?) {
        self.prefix = prefix.map { StatsdBatch.clean($0) + "." } ?? ""
        suffix = host.map { ";host=" + StatsdBatch.clean($0) } ?? ""
    }

    /// A level (type `g`).
    public mutating func gauge(_ name: String, _ value: Int) {
        let line = Array("\(prefix)\(name)\(suffix):\(value)|g".utf8)
        if let last = datagrams.indices.last, datagrams[last].count + 1 + line.count <= StatsdBatch.datagramLimit {
            datagrams[last].append(0x0a)
            datagrams[last] += line
        } else {
            datagrams.append(line)
        }
    }

    /// Letters, digits and what names are made of; anything else would end the name.
    private static func clean(_ text: String) -> String {
        String(
            decoding: text.utf8.map { byte in
                let isWord =
                    (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
                return isWord || [0x2d, 0x2e, 0x5f].contains(byte) ? byte : 0x5f
            }, as: UTF8.self)
    }
}
