// Actions on the wire (OpenFlow 1.3 §7.2.5, 1.5 §7.2.6; extensions of Open vSwitch: lib/ofp-actions.c there).

package import NetTypes

/// Experimenter of Open vSwitch's own actions, errors and messages.
let niciraExperimenter: UInt32 = 0x2320

/// Numbers of actions; those of Nicira follow an experimenter header:
///
///     +--------------------------------+
///     |  Type (2), 0xffff              |
///     |  Length (2), of the whole      |
///     |  Experimenter (4), 0x2320      |
///     |  Subtype (2)                   |
///     |  what the subtype says, padded |
///     |  to a multiple of 8            |
///     +--------------------------------+
enum ActionType {
    static let output: UInt16 = 0
    static let pushVLAN: UInt16 = 17
    static let popVLAN: UInt16 = 18
    static let group: UInt16 = 22
    static let decrementTTL: UInt16 = 24
    static let setField: UInt16 = 25
    /// OpenFlow 1.5.
    static let copyField: UInt16 = 28
    static let experimenter: UInt16 = 0xffff
}

enum NiciraAction {
    static let resubmit: UInt16 = 1
    static let move: UInt16 = 6
    static let load: UInt16 = 7
    static let note: UInt16 = 8
    static let multipath: UInt16 = 10
    static let resubmitTable: UInt16 = 14
    static let setField: UInt16 = 33
    static let connectionTracking: UInt16 = 35
    static let nat: UInt16 = 36
    static let clearConnectionTracking: UInt16 = 43
}

enum InstructionType {
    static let gotoTable: UInt16 = 1
    static let applyActions: UInt16 = 4
}

extension ByteWriter {
    /// The instructions of a flow: apply the actions, then go to the table if one is named.
    package mutating func instructions(_ actions: [Action], _ version: ProtocolVersion) {
        var start: Int?
        for action in actions {
            switch action {
            case .gotoTable, .unknownInstruction: break
            default:
                if start == nil {
                    start = count
                    u16(InstructionType.applyActions)
                    u48(0)
                }
                self.action(action, version)
            }
        }
        if let start { patch16(at: start + 2, count - start) }
        for action in actions {
            switch action {
            case .gotoTable(let table):
                u16(InstructionType.gotoTable)
                u16(8)
                u8(table)
                u24(0)
            case .unknownInstruction(let octets): raw(octets)
            default: break
            }
        }
    }

    mutating func actions(_ actions: [Action], _ version: ProtocolVersion) {
        for action in actions { self.action(action, version) }
    }

    mutating func action(_ action: Action, _ version: ProtocolVersion) {
        switch action {
        case .output(let port): output(port, maxLength: 0)
        case .controller(let maxLength): output(.controller, maxLength: maxLength)
        case .group(let id):
            u16(ActionType.group)
            u16(8)
            u32(id)
        case .setField(let field): setField(field, version)
        case .move(let from, let to): move(from, to, version)
        case .pushVLAN(let etherType):
            u16(ActionType.pushVLAN)
            u16(8)
            u16(etherType)
            u16(0)
        case .popVLAN:
            u16(ActionType.popVLAN)
            u48(0x0008_0000_0000)
        case .decrementTTL:
            u16(ActionType.decrementTTL)
            u48(0x0008_0000_0000)
        case .resubmit(let port, let table):
            nicira(NiciraAction.resubmitTable) { writer in
                writer.u16(port ?? UInt16(truncatingIfNeeded: PortNumber.inPort.rawValue))
                writer.u8(table ?? 0xff)
                writer.u24(0)
            }
        case .connectionTracking(let tracking): connectionTracking(tracking, version)
        case .clearConnectionTracking: nicira(NiciraAction.clearConnectionTracking) { _ in }
        case .multipath(let multipath): self.multipath(multipath)
        case .note(let octets): nicira(NiciraAction.note) { $0.raw(octets) }
        case .unknown(let octets): raw(octets)
        case .gotoTable, .unknownInstruction: break
        }
    }

    /// Writes type, length and experimenter around `body`, and pads.
    private mutating func nicira(_ subtype: UInt16, _ body: (inout ByteWriter) -> Void) {
        let start = count
        u16(ActionType.experimenter)
        u16(0)
        u32(niciraExperimenter)
        u16(subtype)
        body(&self)
        pad(from: start)
        patch16(at: start + 2, count - start)
    }

    private mutating func output(_ port: PortNumber, maxLength: UInt16) {
        u16(ActionType.output)
        u16(16)
        u32(port.rawValue)
        u16(maxLength)
        u48(0)
    }

    // Before OpenFlow 1.5 a field is set as a whole; what sets a part of it is an extension.
    private mutating func setField(_ field: MatchField, _ version: ProtocolVersion) {
        if field.isWildcard { return }
        if field.field == .inPort {
            u16(ActionType.setField)
            u16(16)
            oxmHeader(Field.inPort16, .inPort)
            u16(UInt16(truncatingIfNeeded: field.value))
            u48(0)
            return
        }
        if !field.isExact, version < .v15 {
            // The field follows the subtype without a gap.
            nicira(NiciraAction.setField) { field.encode(to: &$0) }
            return
        }
        let start = count
        u16(ActionType.setField)
        u16(0)
        field.encode(to: &self)
        pad(from: start)
        patch16(at: start + 2, count - start)
    }

    private mutating func move(_ from: FieldBits, _ to: FieldBits, _ version: ProtocolVersion) {
        if version >= .v15 {
            u16(ActionType.copyField)
            u16(24)
            u16(UInt16(truncatingIfNeeded: from.count))
            u16(UInt16(truncatingIfNeeded: from.lowest))
            u16(UInt16(truncatingIfNeeded: to.lowest))
            u16(0)
            oxmHeader(from.field == .inPort ? Field.inPort16 : from.field.info.code, from.field)
            oxmHeader(to.field == .inPort ? Field.inPort16 : to.field.info.code, to.field)
            u32(0)
        } else {
            nicira(NiciraAction.move) { writer in
                writer.u16(UInt16(truncatingIfNeeded: from.count))
                writer.u16(UInt16(truncatingIfNeeded: from.lowest))
                writer.u16(UInt16(truncatingIfNeeded: to.lowest))
                writer.oxmHeader(from.field.extendedCode, from.field)
                writer.oxmHeader(to.field.extendedCode, to.field)
            }
        }
    }

    mutating func oxmHeader(_ code: UInt32, _ field: Field) {
        u24(code << 1)
        u8(UInt8(truncatingIfNeeded: field.length(code)))
    }

    /// First bit and number of bits in one number.
    private mutating func bitRange(_ bits: FieldBits) {
        u16(UInt16(truncatingIfNeeded: bits.lowest << 6 | (bits.count - 1)))
    }

    private mutating func multipath(_ multipath: Multipath) {
        nicira(NiciraAction.multipath) { writer in
            writer.u16(multipath.fields.rawValue)
            writer.u16(multipath.basis)
            writer.u16(0)
            writer.u16(multipath.algorithm.rawValue)
            writer.u16(UInt16(truncatingIfNeeded: multipath.links - 1))
            writer.u32(multipath.argument)
            writer.u16(0)
            writer.bitRange(multipath.destination)
            writer.oxmHeader(multipath.destination.field.extendedCode, multipath.destination.field)
        }
    }

    private mutating func connectionTracking(_ tracking: ConnectionTracking, _ version: ProtocolVersion) {
        nicira(NiciraAction.connectionTracking) { writer in
            writer.u16((tracking.commits ? 1 : 0) | (tracking.forces ? 2 : 0))
            switch tracking.zone {
            case .number(let number):
                writer.u32(0)
                writer.u16(number)
            case .field(let bits):
                writer.oxmHeader(bits.field.extendedCode, bits.field)
                writer.bitRange(bits)
            }
            writer.u8(tracking.table ?? 0xff)
            writer.u24(0)
            writer.u16(0)
            if let nat = tracking.nat { writer.nat(nat) }
            writer.actions(tracking.actions, version)
        }
    }

    private mutating func nat(_ nat: NAT) {
        nicira(NiciraAction.nat) { writer in
            let direction: UInt16
            let range: NATRange
            switch nat {
            case .existing:
                writer.u48(0)
                return
            case .source(let given): (direction, range) = (1, given)
            case .destination(let given): (direction, range) = (2, given)
            }
            writer.u16(0)
            writer.u16(direction | range.flags.rawValue)
            let start = writer.count
            writer.u16(0)
            var present = 0
            func write(_ address: IPAddress, _ v4: Int) {
                present |= address.isV6 ? v4 << 2 : v4
                writer.ip(address)
            }
            guard let addresses = range.addresses else { return }
            write(addresses.lowerBound, 1)
            if addresses.upperBound != addresses.lowerBound { write(addresses.upperBound, 2) }
            if let ports = range.ports {
                present |= 16
                writer.u16(ports.lowerBound)
                if ports.upperBound != ports.lowerBound {
                    present |= 32
                    writer.u16(ports.upperBound)
                }
            }
            writer.patch16(at: start, present)
        }
    }

    /// Zeroes up to a multiple of 8 octets after `start`.
    mutating func pad(from start: Int) {
        while (count - start) % 8 != 0 { u8(0) }
    }
}
