// Addresses that were withdrawn a moment ago, by their MAC: a host that appears again, here or for the first time, most likely has them still.

import EVPN
import NetTypes

/// What was known of the hosts of one domain until lately. Pure.
struct RememberedBindings {
    static let memory = Duration.seconds(60)
    /// Bindings that are remembered at most; the oldest go first.
    static let limit = 4096

    private var addresses: [MACAddress: [IPAddress: Instant]] = [:]
    private var latest: [IPAddress: (mac: MACAddress, until: Instant)] = [:]
    private var order: [(until: Instant, mac: MACAddress, ip: IPAddress)] = []
    private var head = 0

    var count: Int { order.count - head }

    mutating func add(_ mac: MACAddress, _ ip: IPAddress, now: Instant) {
        let until = now + RememberedBindings.memory
        addresses[mac, default: [:]][ip] = until
        latest[ip] = (mac, until)
        order.append((until, mac, ip))
        while head < order.count, order[head].until <= now || count > RememberedBindings.limit {
            let oldest = order[head]
            head += 1
            if let last = latest[oldest.ip], last == (oldest.mac, oldest.until) { latest[oldest.ip] = nil }
            // Withdrawn once more since then?
            guard addresses[oldest.mac]?[oldest.ip] == oldest.until else { continue }
            addresses[oldest.mac]?[oldest.ip] = nil
            if addresses[oldest.mac]?.isEmpty == true { addresses[oldest.mac] = nil }
        }
        if head > RememberedBindings.limit {
            order.removeFirst(head)
            head = 0
        }
    }
    /// Who had an address last.
    func mac(of ip: IPAddress, now: Instant) -> MACAddress? { latest[ip].flatMap { $0.until > now ? $0.mac : nil } }
    /// Some that are not older than the memory, by their MACs, at most `limit` addresses; they are forgotten.
    mutating func take(limit: Int, now: Instant) -> [(mac: MACAddress, addresses: [IPAddress])] {
        var found: [(mac: MACAddress, addresses: [IPAddress])] = []
        var count = 0
        for mac in addresses.keys.sorted() where count < limit {
            let list = take(mac, now: now)
            count += list.count
            if !list.isEmpty { found.append((mac, list)) }
        }
        return found
    }
    /// The addresses of a MAC that are not older than the memory, ascending; they are forgotten.
    mutating func take(_ mac: MACAddress, now: Instant) -> [IPAddress] {
        guard let found = addresses.removeValue(forKey: mac) else { return [] }
        return found.filter { $0.value > now }.keys.sorted()
    }
}
