// Reading groups.

import NetTypes

extension Group {
    /// Length (2), type (1), zero (1), number (4), then buckets; in OpenFlow 1.5 the length of the buckets (2), zero (6), buckets and
    /// properties.
    init(_ version: ProtocolVersion, decoding reader: inout ByteReader) throws(ByteError) {
        let start = reader.offset
        let length = Int(try reader.u16())
        guard length >= 8 else { throw ByteError("length of a group", at: start) }
        var body = try reader.take(length - 2)
        guard let kind = Kind(rawValue: try body.u8()) else { throw ByteError("type of a group", at: start + 2) }
        try body.skip(1)
        self.init(try body.u32(), kind, buckets: [])
        var list = body
        if version >= .v15 {
            let length = Int(try body.u16())
            try body.skip(6)
            list = try body.take(length)
            while !body.isEmpty { try property(&body) }
        }
        while !list.isEmpty {
            buckets.append(
                version >= .v15
                    ? try Bucket(numbered: kind, decoding: &list)
                    : try Bucket(UInt32(truncatingIfNeeded: buckets.count), decoding: &list))
        }
    }

    private mutating func property(_ reader: inout ByteReader) throws(ByteError) {
        let start = reader.offset
        let type = try reader.u16()
        let length = Int(try reader.u16())
        guard length >= 4 else { throw ByteError("length of a property", at: start) }
        var body = try reader.take(length - 4)
        try reader.skip(min(reader.count, (8 - length % 8) % 8))
        guard type == SelectionMethodProperty.type, try body.u32() == SelectionMethodProperty.experimenter,
            try body.u32() == 1
        else { return }
        try body.skip(4)
        let name = String(decoding: try body.bytes(16).prefix { $0 != 0 }, as: UTF8.self)
        try body.skip(8)
        if name == SelectionMethodProperty.datapathHash { selectionMethod = .datapathHash }
        if name == SelectionMethodProperty.hash {
            selectionMethod = .hash(Set(try Match(decoding: &body).fields.map(\.field)))
        }
    }
}

extension Group.Bucket {
    /// OpenFlow 1.3 and 1.4, as `ByteWriter.bucket` writes it.
    fileprivate init(_ id: UInt32, decoding reader: inout ByteReader) throws(ByteError) {
        let start = reader.offset
        let length = Int(try reader.u16())
        guard length >= 16 else { throw ByteError("length of a bucket", at: start) }
        var body = try reader.take(length - 2)
        let weight = try body.u16()
        let port = PortNumber(rawValue: try body.u32())
        try body.skip(8)
        self.init(id: id, weight: weight, watchPort: port == .any ? nil : port, actions: try Action.list(&body))
    }

    /// OpenFlow 1.5, as `ByteWriter.numberedBucket` writes it.
    fileprivate init(numbered kind: Group.Kind, decoding reader: inout ByteReader) throws(ByteError) {
        let start = reader.offset
        let length = Int(try reader.u16())
        guard length >= 8 else { throw ByteError("length of a bucket", at: start) }
        var body = try reader.take(length - 2)
        let actionLength = Int(try body.u16())
        let id = try body.u32()
        var list = try body.take(actionLength)
        self.init(id: id, weight: kind == .select ? 1 : 0, actions: try Action.list(&list))
        while body.count >= 4 {
            let type = try body.u16()
            var property = try body.take(Int(try body.u16()) - 4)
            switch type {
            case BucketProperty.weight: weight = try property.u16()
            case BucketProperty.watchPort:
                let port = PortNumber(rawValue: try property.u32())
                watchPort = port == .any ? nil : port
            default: break
            }
        }
    }
}
