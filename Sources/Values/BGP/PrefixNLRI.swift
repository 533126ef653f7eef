// NLRI that are a prefix: unicast, and for display labelled (RFC 8277) and VPN (RFC 4364) ones.

public import NetTypes

/// One prefix NLRI with whatever its family puts before the prefix.
public struct PrefixNLRI: Hashable, Sendable {
    public var pathID: UInt32?
    /// Raw 24 bits each; empty for families without labels.
    public var labels: [UInt32] = []
    public var rd: RouteDistinguisher?
    public var prefix: IPPrefix

    /// How the NLRI of a family are written.
    public enum Layout: Hashable, Sendable {
        case plain, labelled, vpn
        /// Nil when the family's NLRI are not prefixes.
        public init?(_ family: Family) {
            guard family.afi == 1 || family.afi == 2 else { return nil }
            switch family.safi {
            case 1, 2: self = .plain
            case 4: self = .labelled
            case 128: self = .vpn
            default: return nil
            }
        }
    }

    /// In a withdrawal this label stands for "whatever it was" (RFC 8277 §2.4). Many send 0 for it, and nobody means more labels
    /// by either: both end the stack without its bottom bit, wherever they stand.
    private static let withdrawnLabel: UInt32 = 0x80_0000

    ///     | Path ID (4), with add-path | Length in bits (1) | Labels (3 each) | RD (8), VPN | Prefix |
    ///
    /// Throws when the length does not suit the family or runs over the end.
    public init(decoding reader: inout ByteReader, family: Family, layout: Layout, addPath: Bool) throws(ByteError) {
        let pathID: UInt32? = addPath ? try reader.u32() : nil
        let bits = Int(try reader.u8())
        let octets = try reader.take((bits + 7) / 8)
        do throws(ByteError) {
            self = try PrefixNLRI(octets, bits: bits, isV6: family.afi == 2, layout: layout, isStack: true)
        } catch {
            // RFC 8277 §2.2: without the Multiple Labels Capability there is one label, and its bottom bit means nothing.
            guard layout != .plain else { throw error }
            self = try PrefixNLRI(octets, bits: bits, isV6: family.afi == 2, layout: layout, isStack: false)
        }
        self.pathID = pathID
    }

    /// Reads what follows the length; with `isStack` labels up to the one with the bottom bit.
    private init(_ reader: ByteReader, bits: Int, isV6: Bool, layout: Layout, isStack: Bool) throws(ByteError) {
        var reader = reader
        var bits = bits
        if layout != .plain {
            while true {
                guard bits >= 24 else { throw ByteError("label stack without bottom", at: reader.offset) }
                let label = try reader.u24()
                bits -= 24
                labels.append(label)
                if !isStack || label & 1 == 1 || label == PrefixNLRI.withdrawnLabel || label == 0 { break }
            }
        }
        if layout == .vpn {
            guard bits >= 64 else { throw ByteError("VPN prefix length", at: reader.offset) }
            rd = RouteDistinguisher(rawValue: try reader.u64())
            bits -= 64
        }
        prefix = try reader.prefix(bits: bits, isV6: isV6)
    }
}

extension ByteReader {
    /// The octets that `bits` need, host bits cleared; throws above 32 or 128 bits, or at the end.
    @inline(__always)
    mutating func prefix(bits: Int, isV6: Bool) throws(ByteError) -> IPPrefix {
        guard bits <= (isV6 ? 128 : 32) else { throw ByteError("prefix length", at: offset) }
        let count = (bits + 7) / 8
        guard self.count >= count else { throw ByteError("truncated prefix", at: offset) }
        var high: UInt64 = 0
        var low: UInt64 = 0
        for index in 0..<count {
            let octet = UInt64(try u8()) << (56 - 8 * UInt64(index & 7))
            if index < 8 { high |= octet } else { low |= octet }
        }
        let address: IPAddress =
            isV6
            ? .v6(IPv6Address(high: high, low: low))
            : .v4(IPv4Address(rawValue: UInt32(truncatingIfNeeded: high >> 32)))
        guard let prefix = IPPrefix(address, length: bits) else { throw ByteError("prefix length", at: offset) }
        return prefix
    }
}

extension ByteWriter {
    /// Length in bits and the octets they need.
    mutating func prefix(_ prefix: IPPrefix) {
        u8(UInt8(truncatingIfNeeded: prefix.length))
        let count = (prefix.length + 7) / 8
        switch prefix.address {
        case .v4(let address):
            var word = address.rawValue
            for _ in 0..<count {
                u8(UInt8(truncatingIfNeeded: word >> 24))
                word <<= 8
            }
        case .v6(let address):
            for index in 0..<count {
                let word = index < 8 ? address.high : address.low
                u8(UInt8(truncatingIfNeeded: word >> (56 - 8 * UInt64(index & 7))))
            }
        }
    }
}

extension RouteEntry {
    /// What is wrong with one route that can be told from the others.
    struct Fault {
        var reason: String
        /// Nil: it cannot be that of any route.
        var entry: RouteEntry?
        /// It is a route all the same, and among those that were read.
        var isUsable = false
    }

    /// Reads all NLRI of one supported family into `routes`, and into `faults` those that are wrong in themselves. EVPN routes of types
    /// nobody has specified are left out.
    static func read(
        _ reader: inout ByteReader, family: Family, addPath: Bool, into routes: inout [RouteEntry],
        faults: inout [Fault]
    ) throws(ByteError) {
        if family == .l2vpnEVPN {
            routes.reserveCapacity(routes.count + reader.count / 35)
            while !reader.isEmpty {
                let pathID = addPath ? try reader.u32() : 0
                let reading = try EVPNRoute.read(&reader)
                if case .malformed = reading { faults.append(Fault(reason: "IP prefix length")) }
                guard case .route(let route, let hasHostBits) = reading else { continue }
                let entry = RouteEntry(key: RouteKey(route), payload: RoutePayload(route), pathID: pathID)
                if case .ipPrefix(let prefix) = route, prefix.hasGatewayAndSegment {
                    faults.append(Fault(reason: "gateway and ESI", entry: entry))
                    continue
                }
                if hasHostBits { faults.append(Fault(reason: "IP prefix host bits", entry: entry, isUsable: true)) }
                routes.append(entry)
            }
        } else {
            let isV6 = family.afi == 2
            while !reader.isEmpty {
                let pathID = addPath ? try reader.u32() : 0
                let bits = Int(try reader.u8())
                let prefix = try reader.prefix(bits: bits, isV6: isV6)
                routes.append(RouteEntry(key: RouteKey(unicast: prefix), pathID: pathID))
            }
        }
    }

    /// Appends the NLRI in the form of its key's family.
    func encode(addPath: Bool, into writer: inout ByteWriter) {
        if addPath { writer.u32(pathID) }
        if let prefix = key.family == .l2vpnEVPN ? nil : key.prefix {
            writer.prefix(prefix)
        } else if let route = EVPNRoute(key, payload) {
            route.encode(into: &writer)
        }
    }
}
