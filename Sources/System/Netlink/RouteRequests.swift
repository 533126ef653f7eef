// Requests about routes and nexthop objects, each a method of the batch. The comment gives the command that sends the same.

public import NetTypes

extension NetlinkBatch {
    private mutating func routeHeader(
        family: UInt8, length: Int = 0, table: UInt32 = 0, proto: UInt8 = 0, scope: UInt8 = 0, type: UInt8 = 0,
        tos: UInt8 = 0, flags: UInt32 = 0
    ) {
        put(family)
        put(UInt8(truncatingIfNeeded: length))
        put(UInt8(0))
        put(tos)
        // Numbers that do not fit come as an attribute (RT_TABLE_UNSPEC).
        put(table < 256 ? UInt8(truncatingIfNeeded: table) : 0)
        put(proto)
        put(scope)
        put(type)
        put(flags)
        if table >= 256 { attribute(RouteAttribute.table, table) }
    }
    /// Destination, and what tells the route from others with the same one.
    private mutating func identify(_ route: Route, _ flags: UInt32) {
        routeHeader(
            family: route.prefix.address.isV6 ? Family.ipv6 : Family.ipv4, length: route.prefix.length,
            table: route.table, proto: route.proto, scope: route.scope, type: route.type, tos: route.tos, flags: flags)
        if route.prefix.length > 0 { attribute(RouteAttribute.destination, route.prefix.address) }
        if route.metric != 0 { attribute(RouteAttribute.metric, route.metric) }
    }

    /// `ip route add|replace|append PREFIX table T proto P metric M (nhid ID | [via GATEWAY] dev DEV [onlink] | nexthop …)`,
    /// by `mode`: `.create` with `.exclusive`, `.replace` or `.append`. IPv4: `.replace` changes the first route with this prefix, TOS
    /// and metric, whoever made it.
    public mutating func setRoute(sequence: UInt32, _ route: Route, mode: MessageFlags) {
        message(MessageType.newRoute, mode, sequence: sequence)
        let only = route.nexthopID == 0 && route.hops.count == 1 ? route.hops.first : nil
        identify(route, only?.isOnLink == true ? RouteAttribute.onLink : 0)
        if let source = route.preferredSource { attribute(RouteAttribute.preferredSource, source) }
        if route.nexthopID != 0 {
            attribute(RouteAttribute.nexthopID, route.nexthopID)
        } else if let only {
            if only.interface != 0 { attribute(RouteAttribute.interface, UInt32(bitPattern: only.interface)) }
            gateway(of: only, isV6: route.prefix.address.isV6)
        } else if !route.hops.isEmpty {
            measured { batch in
                batch.put(RouteAttribute.multipath)
                for hop in route.hops {
                    batch.measured { batch in
                        batch.put(UInt8(hop.isOnLink ? RouteAttribute.onLink : 0))
                        batch.put(UInt8(clamping: hop.weight - 1))
                        batch.put(hop.interface)
                        batch.gateway(of: hop, isV6: route.prefix.address.isV6)
                    }
                }
            }
        }
    }
    private mutating func gateway(of hop: Route.Hop, isV6: Bool) {
        guard let gateway = hop.gateway else { return }
        if gateway.isV6 == isV6 { return attribute(RouteAttribute.gateway, gateway) }
        // `struct rtvia`: family (2), address.
        measured { batch in
            batch.put(RouteAttribute.via)
            batch.put(UInt16(gateway.isV6 ? Family.ipv6 : Family.ipv4))
            for octet in gateway.octets { batch.put(octet) }
        }
        pad()
    }
    /// `ip route del PREFIX table T proto P metric M`: the protocol, the type and the metric must be those of the route, unless 0. Its
    /// scope may be any.
    public mutating func deleteRoute(sequence: UInt32, _ route: Route) {
        var route = route
        route.scope = RouteScope.nowhere
        message(MessageType.deleteRoute, [], sequence: sequence)
        identify(route, 0)
    }
    /// `ip route get fibmatch ADDRESS [oif DEV]`: the entry that packets to the address use; with a VRF device those of its table.
    public mutating func getRoute(sequence: UInt32, to address: IPAddress, interface: Int32 = 0) {
        message(MessageType.getRoute, [], sequence: sequence)
        routeHeader(
            family: address.isV6 ? Family.ipv6 : Family.ipv4, length: address.bitWidth, flags: RouteAttribute.fibMatch)
        attribute(RouteAttribute.destination, address)
        if interface != 0 { attribute(RouteAttribute.interface, UInt32(bitPattern: interface)) }
    }
    /// `ip -4|-6 route show table T proto P`: 0 for all tables, all protocols. A table that does not exist is refused with ENOENT.
    public mutating func dumpRoutes(sequence: UInt32, family: UInt8, table: UInt32 = 0, proto: UInt8 = 0) {
        message(MessageType.getRoute, .dump, sequence: sequence)
        routeHeader(family: family, table: table, proto: proto)
    }

    private mutating func nexthopHeader(family: UInt8 = 0, proto: UInt8 = 0, flags: UInt32 = 0) {
        put(family)
        put(UInt8(0))
        put(proto)
        put(UInt8(0))
        put(flags)
    }
    /// `ip nexthop add|replace id ID ([via GATEWAY] dev DEV [onlink] | group ID[,WEIGHT]/…) proto P`, by `mode`. A group may replace a
    /// group, and a single nexthop a single one: routes stay and follow.
    public mutating func setNexthop(sequence: UInt32, _ nexthop: Nexthop, mode: MessageFlags) {
        message(MessageType.newNexthop, mode, sequence: sequence)
        guard nexthop.members.isEmpty else {
            nexthopHeader(proto: nexthop.proto)
            attribute(NexthopAttribute.id, nexthop.id)
            measured { batch in
                batch.put(NexthopAttribute.group)
                for member in nexthop.members {
                    let weight = UInt16(clamping: member.weight - 1)
                    batch.put(member.id)
                    batch.put(UInt8(truncatingIfNeeded: weight))
                    batch.put(UInt8(truncatingIfNeeded: weight >> 8))
                    batch.put(UInt16(0))
                }
            }
            return
        }
        nexthopHeader(
            family: nexthop.gateway?.isV6 ?? nexthop.isV6 ? Family.ipv6 : Family.ipv4, proto: nexthop.proto,
            flags: nexthop.isOnLink ? RouteAttribute.onLink : 0)
        attribute(NexthopAttribute.id, nexthop.id)
        attribute(NexthopAttribute.interface, UInt32(bitPattern: nexthop.interface))
        if let gateway = nexthop.gateway { attribute(NexthopAttribute.gateway, gateway) }
    }
    /// `ip nexthop del id ID`: routes that refer to it go with it, IPv4 ones without a notification; groups lose a member.
    public mutating func deleteNexthop(sequence: UInt32, id: UInt32) {
        message(MessageType.deleteNexthop, [], sequence: sequence)
        nexthopHeader()
        attribute(NexthopAttribute.id, id)
    }
    /// `ip nexthop show id ID`.
    public mutating func getNexthop(sequence: UInt32, id: UInt32) {
        message(MessageType.getNexthop, [], sequence: sequence)
        nexthopHeader()
        attribute(NexthopAttribute.id, id)
    }
    /// `ip nexthop show`: the kernel has no filter by protocol.
    public mutating func dumpNexthops(sequence: UInt32) {
        message(MessageType.getNexthop, .dump, sequence: sequence)
        nexthopHeader()
    }
}
