// Reading actions and instructions. What is not known, or not well formed in itself, is kept as octets: only lengths that cannot
// be followed are an error.

package import NetTypes

extension Action {
    /// Actions to the end of `reader`.
    static func list(_ reader: inout ByteReader, depth: Int = 0) throws(ByteError) -> [Action] {
        var actions: [Action] = []
        while !reader.isEmpty { actions.append(try Action(decoding: &reader, depth: depth)) }
        return actions
    }

    /// Instructions to the end of `reader`, as one list.
    package static func instructions(_ reader: inout ByteReader) throws(ByteError) -> [Action] {
        var actions: [Action] = []
        while !reader.isEmpty {
            let start = reader.offset
            let type = try reader.u16()
            let length = Int(try reader.u16())
            guard length >= 8 else { throw ByteError("length of an instruction", at: start) }
            var body = try reader.take(length - 4)
            switch type {
            case InstructionType.applyActions:
                try body.skip(4)
                actions += try list(&body)
            case InstructionType.gotoTable where length == 8: actions.append(.gotoTable(try body.u8()))
            default: actions.append(.unknownInstruction(reader.slice(start..<reader.offset)))
            }
        }
        return actions
    }

    private init(decoding reader: inout ByteReader, depth: Int) throws(ByteError) {
        let start = reader.offset
        let type = try reader.u16()
        let length = Int(try reader.u16())
        guard length >= 8, length % 8 == 0 else { throw ByteError("length of an action", at: start) }
        var body = try reader.take(length - 4)
        if let known = try? Action.known(type, &body, depth: depth) {
            self = known
        } else {
            self = .unknown(reader.slice(start..<reader.offset))
        }
    }

    /// Nil for an action that this module does not know.
    private static func known(_ type: UInt16, _ body: inout ByteReader, depth: Int) throws(ByteError) -> Action? {
        switch type {
        case ActionType.output:
            let port = PortNumber(rawValue: try body.u32())
            let maxLength = try body.u16()
            if port == .controller { return .controller(maxLength: maxLength) }
            return maxLength == 0 ? .output(port) : nil
        case ActionType.group: return .group(try body.u32())
        case ActionType.pushVLAN: return .pushVLAN(try body.u16())
        case ActionType.popVLAN: return .popVLAN
        case ActionType.decrementTTL: return .decrementTTL
        case ActionType.setField: return try setField(&body)
        case ActionType.copyField:
            let count = Int(try body.u16())
            let offsets = (Int(try body.u16()), Int(try body.u16()))
            try body.skip(2)
            return try move(&body, count, offsets)
        case ActionType.experimenter:
            guard try body.u32() == niciraExperimenter else { return nil }
            return try nicira(try body.u16(), &body, depth: depth)
        default: return nil
        }
    }

    private static func nicira(_ subtype: UInt16, _ body: inout ByteReader, depth: Int) throws(ByteError) -> Action? {
        switch subtype {
        case NiciraAction.resubmit, NiciraAction.resubmitTable:
            let port = try body.u16()
            let table = try body.u8()
            return .resubmit(
                port: port == UInt16(truncatingIfNeeded: PortNumber.inPort.rawValue) ? nil : port,
                table: subtype == NiciraAction.resubmit || table == 0xff ? nil : table)
        case NiciraAction.move:
            let count = Int(try body.u16())
            return try move(&body, count, (Int(try body.u16()), Int(try body.u16())))
        case NiciraAction.load: return try load(&body)
        case NiciraAction.setField: return try setField(&body)
        case NiciraAction.note: return .note(body.rest())
        case NiciraAction.multipath: return try multipath(&body)
        case NiciraAction.connectionTracking: return try connectionTracking(&body, depth: depth)
        case NiciraAction.clearConnectionTracking: return .clearConnectionTracking
        default: return nil
        }
    }

    private static func setField(_ body: inout ByteReader) throws(ByteError) -> Action? {
        guard case .known(let fields) = try OXMEntry(decoding: &body), fields.count == 1, !fields[0].isWildcard else {
            return nil
        }
        return .setField(fields[0])
    }

    private static func bits(_ body: inout ByteReader, _ lowest: Int, _ count: Int) throws(ByteError) -> FieldBits? {
        let header = try OXMHeader(decoding: &body)
        guard !header.hasMask, let field = header.field, lowest + count <= field.actionWidth else { return nil }
        return FieldBits(field, lowest..<lowest + count)
    }

    private static func move(
        _ body: inout ByteReader, _ count: Int, _ offsets: (Int, Int)
    ) throws(ByteError) -> Action? {
        guard let from = try bits(&body, offsets.0, count), let to = try bits(&body, offsets.1, count) else {
            return nil
        }
        return .move(from: from, to: to)
    }

    /// First bit and number of bits.
    private static func range(_ bits: UInt16) -> (lowest: Int, count: Int) { (Int(bits >> 6), Int(bits & 0x3f) + 1) }

    // `load` writes a part of a field, as `set_field` with a mask does.
    private static func load(_ body: inout ByteReader) throws(ByteError) -> Action? {
        let range = range(try body.u16())
        guard let bits = try bits(&body, range.lowest, range.count) else { return nil }
        let mask = (UInt128(1) << UInt128(bits.count) - 1) << UInt128(bits.lowest)
        return .setField(MatchField(bits.field, UInt128(try body.u64()) << UInt128(bits.lowest), mask: mask))
    }

    private static func multipath(_ body: inout ByteReader) throws(ByteError) -> Action? {
        let fields = Multipath.Fields(rawValue: try body.u16())
        let basis = try body.u16()
        try body.skip(2)
        let algorithm = Multipath.Algorithm(rawValue: try body.u16())
        let links = Int(try body.u16()) + 1
        let argument = try body.u32()
        try body.skip(2)
        let range = range(try body.u16())
        guard let fields, let algorithm, let bits = try bits(&body, range.lowest, range.count) else { return nil }
        return .multipath(
            Multipath(
                fields: fields, basis: basis, algorithm: algorithm, links: links, argument: argument,
                destination: bits))
    }

    private static func connectionTracking(_ body: inout ByteReader, depth: Int) throws(ByteError) -> Action? {
        // Open vSwitch does not allow connection tracking inside of connection tracking.
        guard depth == 0 else { return nil }
        let flags = try body.u16()
        var zoneField = body
        let source = try body.u32()
        let number = try body.u16()
        let table = try body.u8()
        try body.skip(3)
        guard flags & ~3 == 0, try body.u16() == 0 else { return nil }
        var tracking = ConnectionTracking(
            commits: flags & 1 != 0, forces: flags & 2 != 0, table: table == 0xff ? nil : table, zone: .number(number))
        if source != 0 {
            let range = range(number)
            guard let bits = try bits(&zoneField, range.lowest, range.count) else { return nil }
            tracking.zone = .field(bits)
        }
        tracking.nat = try nat(&body)
        tracking.actions = try list(&body, depth: depth + 1)
        return .connectionTracking(tracking)
    }

    /// Takes the first action if it is a translation.
    private static func nat(_ reader: inout ByteReader) throws(ByteError) -> NAT? {
        var ahead = reader
        guard !ahead.isEmpty, try ahead.u16() == ActionType.experimenter else { return nil }
        let length = Int(try ahead.u16())
        guard try ahead.u32() == niciraExperimenter, try ahead.u16() == NiciraAction.nat else { return nil }
        var body = try ahead.take(length - 10)
        reader = ahead
        try body.skip(2)
        let flags = try body.u16()
        let present = try body.u16()
        if flags == 0, present == 0 { return .existing }
        var range = NATRange(nil, flags: NATRange.Flags(rawValue: flags & ~3))
        if present & 3 != 0 {
            let lowest = IPAddress.v4(try body.ipv4())
            range.addresses = try ordered(lowest, present & 2 != 0 ? .v4(try body.ipv4()) : lowest, body.offset)
        } else if present & 12 != 0 {
            let lowest = IPAddress.v6(try body.ipv6())
            range.addresses = try ordered(lowest, present & 8 != 0 ? .v6(try body.ipv6()) : lowest, body.offset)
        }
        if present & 48 != 0 {
            let lowest = try body.u16()
            guard range.addresses != nil else { throw ByteError("ports without addresses", at: body.offset) }
            range.ports = try ordered(lowest, present & 32 != 0 ? try body.u16() : lowest, body.offset)
        }
        switch flags & 3 {
        case 1: return .source(range)
        case 2: return .destination(range)
        default: throw ByteError("direction of a translation", at: body.offset)
        }
    }
    private static func ordered<T: Comparable>(_ a: T, _ b: T, _ offset: Int) throws(ByteError) -> ClosedRange<T> {
        guard a <= b else { throw ByteError("range of a translation", at: offset) }
        return a...b
    }
}
