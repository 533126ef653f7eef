// Whether the kernel will let us do our work, asked before anything is tried.

import YAML

enum Privileges {
    /// CAP_NET_ADMIN (bit 12) in the effective set of this process; true when the kernel does not say.
    static var canAdministerNetwork: Bool {
        guard case .success(let bytes) = readFile("/proc/self/status", limit: 64 << 10) else { return true }
        return canAdministerNetwork(status: String(decoding: bytes, as: UTF8.self))
    }
    static func canAdministerNetwork(status: String) -> Bool {
        for line in status.split(separator: "\n") where line.hasPrefix("CapEff:") {
            let digits = line.dropFirst("CapEff:".count).drop { $0 == "\t" || $0 == " " }
            guard let mask = UInt64(digits, radix: 16) else { return true }
            return mask & 1 << 12 != 0
        }
        return true
    }
}
