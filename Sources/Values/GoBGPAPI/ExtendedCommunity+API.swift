// Extended communities: the API has a message for each kind, the model eight octets. What has no message of its own travels as
// `UnknownExtended`, which gobgpd writes to the wire unseen.

import BGP
import NetTypes

extension ExtendedCommunity {
    fileprivate init(_ type: UInt8, _ subtype: UInt8, _ value: UInt64) {
        self.init(rawValue: UInt64(type) << 56 | UInt64(subtype) << 48 | value & 0xffff_ffff_ffff)
    }

    /// Reads the content of one community. Every kind keeps its fields in the order below; those that are not numbers are
    /// `text` or `octets`.
    init(_ reader: ProtobufReader, _ kind: CommunityKind) throws(ByteError) {
        var reader = reader
        /// Varints by field number.
        var number: (UInt32, UInt32, UInt32, UInt32) = (0, 0, 0, 0)
        var text: BorrowedText?
        var octets: UnsafeRawBufferPointer?
        var float: Float = 0
        let start = reader.offset
        while let field = try reader.next() {
            switch field.type {
            case .varint:
                switch field.number {
                case 1: number.0 = try field.uint32()
                case 2: number.1 = try field.uint32()
                case 3: number.2 = try field.uint32()
                case 4: number.3 = try field.uint32()
                default: break
                }
            case .bytes:
                octets = try field.borrowed()
                text = try BorrowedText(field)
            case .fixed32: float = try field.float()
            case .fixed64: break
            }
        }
        func narrow(_ value: UInt32, to limit: UInt32) throws(ByteError) -> UInt64 {
            guard value <= limit else { throw ByteError("\(kind.name) value", at: start) }
            return UInt64(value)
        }
        func octet(_ value: UInt32) throws(ByteError) -> UInt8 { UInt8(try narrow(value, to: 0xff)) }
        func short(_ value: UInt32) throws(ByteError) -> UInt64 { try narrow(value, to: 0xffff) }
        func address() throws(ByteError) -> UInt64 {
            guard let address = text?.ipv4 else { throw ByteError("\(kind.name) address", at: start) }
            return UInt64(address.rawValue)
        }
        func mac() throws(ByteError) -> MACAddress {
            guard let mac = text?.mac else { throw ByteError("\(kind.name) address", at: start) }
            return mac
        }
        func tail(_ type: UInt8) throws(ByteError) -> ExtendedCommunity {
            guard let octets, octets.count == 7 else { throw ByteError("\(kind.name) length", at: start) }
            return ExtendedCommunity(rawValue: octets.reduce(UInt64(type)) { $0 << 8 | UInt64($1) })
        }
        /// RFC 4360 §2.
        let nonTransitive: UInt8 = number.0 == 0 ? 0x40 : 0
        switch kind {
        case .unknown: self = try tail(try octet(number.0))
        case .twoOctet:
            self.init(nonTransitive, try octet(number.1), try short(number.2) << 32 | UInt64(number.3))
        case .address:
            self.init(0x01 | nonTransitive, try octet(number.1), try address() << 16 | (try short(number.3)))
        case .fourOctet:
            self.init(0x02 | nonTransitive, try octet(number.1), UInt64(number.2) << 16 | (try short(number.3)))
        case .linkBandwidth: self = .linkBandwidth(asn: UInt16(try short(number.0)), bytesPerSecond: float)
        case .validation: self.init(0x43, 0, try narrow(number.0, to: 0xff))
        case .color: self = .color(number.0)
        case .encapsulation: self = .encapsulation(UInt16(try short(number.0)))
        case .defaultGateway: self = .defaultGateway
        case .opaque: self = try tail(0x03 | nonTransitive)
        case .esiLabel:
            self = .esiLabel(singleActive: number.0 != 0, label: UInt32(try narrow(number.1, to: 0xff_ffff)))
        case .esImport: self = .esImport(try mac())
        case .macMobility: self = .macMobility(sticky: number.0 != 0, sequence: number.1)
        case .routerMAC: self = .routerMAC(try mac())
        case .trafficRate: self.init(0x80, 0x06, try short(number.0) << 32 | UInt64(float.bitPattern))
        case .trafficAction: self.init(0x80, 0x07, (number.0 != 0 ? 1 : 0) | (number.1 != 0 ? 2 : 0))
        case .redirectTwoOctet: self.init(0x80, 0x08, try short(number.0) << 32 | UInt64(number.1))
        case .redirectAddress: self.init(0x81, 0x08, try address() << 16 | (try short(number.1)))
        case .redirectFourOctet: self.init(0x82, 0x08, UInt64(number.0) << 16 | (try short(number.1)))
        case .trafficRemark: self.init(0x80, 0x09, try narrow(number.0, to: 0xff))
        case .mobileUserPlane:
            self.init(0x0c, try octet(number.0), try short(number.1) << 32 | UInt64(number.2))
        // RFC 4761 §3.2.4: encapsulation 19, control flags, MTU, reserved.
        case .vpls:
            self.init(0x80, 0x0a, 19 << 40 | UInt64(try octet(number.0)) << 32 | (try short(number.1)) << 16)
        }
    }
}

extension ProtobufWriter {
    /// A community in the message of its kind, if that holds all eight octets, else as unknown.
    mutating func community(_ number: Int, _ community: ExtendedCommunity, _ generation: APIGeneration) {
        let value = community.rawValue & 0xffff_ffff_ffff
        let subtype = UInt32(community.subtype)
        let high32 = UInt32(truncatingIfNeeded: value >> 16)
        let low16 = UInt32(value & 0xffff)
        let low32 = UInt32(truncatingIfNeeded: value)
        /// A kind with at most two varints.
        func numbers(_ writer: inout ProtobufWriter, _ kind: CommunityKind, _ first: UInt32, _ second: UInt32 = 0) {
            writer.typed(number, kind, generation) {
                $0.uint32(1, first)
                $0.uint32(2, second)
            }
        }
        if community.type == 0x40, let bandwidth = community.linkBandwidth {
            return typed(number, CommunityKind.linkBandwidth, generation) {
                $0.uint32(1, UInt32(bandwidth.asn))
                $0.float(2, bandwidth.bytesPerSecond)
            }
        }
        switch community.type {
        case 0x00, 0x40:
            return typed(number, CommunityKind.twoOctet, generation) {
                $0.bool(1, community.isTransitive)
                $0.uint32(2, subtype)
                $0.uint32(3, high32 >> 16)
                $0.uint32(4, low32)
            }
        case 0x01, 0x41:
            return typed(number, CommunityKind.address, generation) {
                $0.bool(1, community.isTransitive)
                $0.uint32(2, subtype)
                $0.string(3, IPv4Address(rawValue: high32).description)
                $0.uint32(4, low16)
            }
        case 0x02, 0x42:
            return typed(number, CommunityKind.fourOctet, generation) {
                $0.bool(1, community.isTransitive)
                $0.uint32(2, subtype)
                $0.uint32(3, high32)
                $0.uint32(4, low16)
            }
        default: break
        }
        if let color = community.color, community == .color(color) { return numbers(&self, .color, color) }
        if let type = community.encapsulationType, community == .encapsulation(type) {
            return numbers(&self, .encapsulation, UInt32(type))
        }
        if community == .defaultGateway { return numbers(&self, .defaultGateway, 0) }
        if community.type == 0x43, subtype == 0, value <= 0xff { return numbers(&self, .validation, low32) }
        if let label = community.esiLabel, community == .esiLabel(singleActive: label.singleActive, label: label.label)
        {
            return numbers(&self, .esiLabel, label.singleActive ? 1 : 0, label.label)
        }
        if let mobility = community.macMobility,
            community == .macMobility(sticky: mobility.sticky, sequence: mobility.sequence)
        {
            return numbers(&self, .macMobility, mobility.sticky ? 1 : 0, mobility.sequence)
        }
        if let mac = community.esImport {
            return typed(number, CommunityKind.esImport, generation) { $0.string(1, mac.description) }
        }
        if let mac = community.routerMAC {
            return typed(number, CommunityKind.routerMAC, generation) { $0.string(1, mac.description) }
        }
        let tail = (0..<7).map { UInt8(truncatingIfNeeded: community.rawValue >> (48 - 8 * UInt64($0))) }
        if community.type == 0x03 || community.type == 0x43 {
            return typed(number, CommunityKind.opaque, generation) {
                $0.bool(1, community.isTransitive)
                $0.octets(3, tail)
            }
        }
        typed(number, CommunityKind.unknown, generation) {
            $0.uint32(1, UInt32(community.type))
            $0.octets(2, tail)
        }
    }
}
