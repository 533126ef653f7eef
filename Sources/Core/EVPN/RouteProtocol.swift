// Who made a route of the kernel: numbers (`rtm_protocol`, include/uapi/linux/rtnetlink.h) and the names that iproute2 has for them.

/// The vocabulary of `rt_protos`.
public enum RouteProtocol {
    /// That of routes that evpnd makes.
    public static let evpnd: UInt8 = 211
    public static let known: [(name: String, number: UInt8)] = [
        ("redirect", 1), ("kernel", 2), ("boot", 3), ("static", 4), ("gated", 8), ("ra", 9), ("mrt", 10), ("zebra", 11),
        ("bird", 12), ("dnrouted", 13), ("xorp", 14), ("ntk", 15), ("dhcp", 16), ("mrouted", 17), ("keepalived", 18),
        ("babel", 42), ("openr", 99), ("bgp", 186), ("isis", 187), ("ospf", 188), ("rip", 189), ("eigrp", 192),
    ]
    public static func number(_ name: String) -> UInt8? { known.first { $0.name == name }?.number }
    /// The name, or the number's digits.
    public static func name(_ number: UInt8) -> String { known.first { $0.number == number }?.name ?? "\(number)" }
}
