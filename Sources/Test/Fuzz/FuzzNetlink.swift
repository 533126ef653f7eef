// Target for what the kernel sends: a datagram of netlink messages, read as everything that the dataplane reads.

import Netlink

func fuzzNetlink(_ octets: [UInt8]) -> CInt {
    octets.withUnsafeBytes { datagram in
        var length = 0
        NetlinkMessage.forEach(in: datagram) { message in
            length += message.payload.count + 16
            _ = Link(decoding: message.payload)
            _ = FDBEntry(decoding: message.payload)
            _ = NeighborEntry(decoding: message.payload)
            _ = InterfaceAddress(decoding: message.payload)
            _ = Route(decoding: message.payload)
            _ = FilteredVNIs.decode(message.payload)
            _ = ForwardingSetting(decoding: message.payload)
            _ = TrafficCounters(link: message.payload)
            _ = Nexthop(decoding: message.payload)
            walk(AttributeReader(message.payload), depth: 0)
        }
        precondition(length <= datagram.count, "messages longer than their datagram")
    }
    return 0
}

/// Every view of every attribute; as many levels as the kernel nests.
private func walk(_ attributes: AttributeReader, depth: Int) {
    for attribute in attributes {
        _ = (attribute.u8, attribute.u16, attribute.u32, attribute.i32, attribute.networkU16)
        _ = (attribute.mac, attribute.ip, attribute.string)
        if depth < 6 { walk(attribute.nested, depth: depth + 1) }
    }
}
