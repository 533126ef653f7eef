// What NOTIFICATION codes mean to a human, and the text of RFC 9003.

extension NotificationMessage {
    /// Cease subcodes (RFC 4486, RFC 8538, RFC 9384) that the speaker uses.
    public enum Cease {
        public static let maximumPrefixes: UInt8 = 1
        public static let administrativeShutdown: UInt8 = 2
        public static let peerDeconfigured: UInt8 = 3
        public static let administrativeReset: UInt8 = 4
        public static let connectionRejected: UInt8 = 5
        public static let otherConfigurationChange: UInt8 = 6
        public static let connectionCollision: UInt8 = 7
        public static let outOfResources: UInt8 = 8
        public static let hardReset: UInt8 = 9
        public static let bfdDown: UInt8 = 10
    }
    public static let ceaseCode: UInt8 = 6

    /// A Cease with the operator's words (RFC 9003): a length octet and at most 255 octets of UTF-8.
    public static func shutdown(_ subcode: UInt8 = Cease.administrativeShutdown, text: String?) -> NotificationMessage {
        guard let text, !text.isEmpty else { return NotificationMessage(code: ceaseCode, subcode: subcode) }
        let octets = text.utf8(atMost: 255)
        return NotificationMessage(code: ceaseCode, subcode: subcode, data: [UInt8(octets.count)] + octets)
    }

    /// The text of an administrative shutdown or reset; nil when there is none or it is not well formed.
    public var shutdownText: String? {
        guard code == NotificationMessage.ceaseCode,
            subcode == Cease.administrativeShutdown || subcode == Cease.administrativeReset,
            let length = data.first, length > 0, data.count == Int(length) + 1
        else { return nil }
        return String(validating: data.dropFirst(), as: UTF8.self)
    }

    /// The reason inside a hard reset (RFC 8538 §3): its data begins with the code and subcode that it stands for.
    public var hardResetReason: NotificationMessage? {
        guard code == NotificationMessage.ceaseCode, subcode == Cease.hardReset, data.count >= 2 else { return nil }
        return NotificationMessage(code: data[0], subcode: data[1], data: Array(data.dropFirst(2)))
    }

    /// "Cease: Administrative Shutdown"; numbers where no specification gives a name.
    public var name: String {
        let names = NotificationMessage.names[code]
        let main = names?.name ?? "code \(code)"
        if subcode == 0 { return main }
        return "\(main): \(names?.subcodes[subcode] ?? "subcode \(subcode)")"
    }

    private static let names: [UInt8: (name: String, subcodes: [UInt8: String])] = [
        1: (
            "Message Header Error",
            [1: "Connection Not Synchronized", 2: "Bad Message Length", 3: "Bad Message Type"]
        ),
        2: (
            "OPEN Message Error",
            [
                1: "Unsupported Version Number", 2: "Bad Peer AS", 3: "Bad BGP Identifier",
                4: "Unsupported Optional Parameter", 5: "Authentication Failure", 6: "Unacceptable Hold Time",
                7: "Unsupported Capability", 11: "Role Mismatch",
            ]
        ),
        3: (
            "UPDATE Message Error",
            [
                1: "Malformed Attribute List", 2: "Unrecognized Well-known Attribute",
                3: "Missing Well-known Attribute", 4: "Attribute Flags Error", 5: "Attribute Length Error",
                6: "Invalid ORIGIN Attribute", 7: "AS Routing Loop", 8: "Invalid NEXT_HOP Attribute",
                9: "Optional Attribute Error", 10: "Invalid Network Field", 11: "Malformed AS_PATH",
            ]
        ),
        4: ("Hold Timer Expired", [:]),
        5: (
            "Finite State Machine Error",
            [
                1: "Unexpected Message in OpenSent", 2: "Unexpected Message in OpenConfirm",
                3: "Unexpected Message in Established",
            ]
        ),
        6: (
            "Cease",
            [
                1: "Maximum Number of Prefixes Reached", 2: "Administrative Shutdown", 3: "Peer De-configured",
                4: "Administrative Reset", 5: "Connection Rejected", 6: "Other Configuration Change",
                7: "Connection Collision Resolution", 8: "Out of Resources", 9: "Hard Reset", 10: "BFD Down",
            ]
        ),
        7: ("ROUTE-REFRESH Message Error", [1: "Invalid Message Length"]),
        8: ("Send Hold Timer Expired", [:]),
    ]
}

extension String {
    /// As much of the text as fits into `limit` octets, whole characters only: half a UTF-8 sequence would not be text.
    func utf8(atMost limit: Int) -> [UInt8] {
        var octets: [UInt8] = []
        for character in self {
            guard octets.count + character.utf8.count <= limit else { break }
            octets += character.utf8
        }
        return octets
    }
}
