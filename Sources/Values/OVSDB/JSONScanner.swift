// JSON-RPC 1.0 over a stream, as RFC 7047 §4 uses it: one JSON object after the other, with nothing between them that tells
// where one ends. So the octets are scanned for the closing brace.

/// Cuts a stream of octets into the texts of JSON objects, in time linear in the octets. It does not check what is in them.
public struct JSONScanner: Sendable {
    /// The most octets of one object.
    public let limit: Int
    private var buffer: [UInt8] = []
    /// Octets of `buffer` that were handed over, and those that have been looked at.
    private var start = 0
    private var scanned = 0
    private var depth = 0
    private var isInString = false
    private var isEscaped = false

    public init(limit: Int = 64 << 20) { self.limit = limit }

    public mutating func append(_ octets: UnsafeRawBufferPointer) {
        if start > 0, start == buffer.count || start >= 1 << 16 {
            buffer.removeSubrange(..<start)
            scanned -= start
            start = 0
        }
        buffer += octets
    }

    /// The text of the next whole object; nil: more octets are needed. After an error the stream is of no use any more.
    public mutating func next() throws(OVSDBFault) -> [UInt8]? {
        while scanned < buffer.count {
            let byte = buffer[scanned]
            scanned += 1
            if depth == 0 {
                switch byte {
                case 0x20, 0x09, 0x0a, 0x0d: start = scanned
                case 0x7b: depth = 1
                default: throw OVSDBFault("the stream is not one of JSON objects: octet \(byte) where one should begin")
                }
                continue
            }
            if isEscaped {
                isEscaped = false
            } else if isInString {
                if byte == 0x5c { isEscaped = true } else if byte == 0x22 { isInString = false }
            } else {
                switch byte {
                case 0x22: isInString = true
                case 0x7b, 0x5b: depth += 1
                case 0x7d, 0x5d:
                    depth -= 1
                    if depth == 0 {
                        let text = Array(buffer[start..<scanned])
                        start = scanned
                        return text
                    }
                default: break
                }
            }
            guard scanned - start < limit else { throw OVSDBFault("an object of more than \(limit) octets") }
        }
        return nil
    }
}

/// What came is not what RFC 7047 says, or more than is read.
public struct OVSDBFault: Error, Equatable, Sendable, CustomStringConvertible {
    public var description: String
    public init(_ description: String) { self.description = description }
}
