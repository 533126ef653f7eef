// What a neighbor is called: an operator writes it, commands and logs repeat it.

public import NetTypes

/// How a neighbor is configured and named: by its address, or by the interface on which it is the only one (an unnumbered session,
/// whose address is found out).
public enum NeighborName: Hashable, Comparable, Sendable, CustomStringConvertible {
    case address(IPAddress)
    case interface(String)

    /// An address or the name of an interface; nil for what can be neither.
    public init?(_ text: String) {
        if let address = IPAddress(text) {
            self = .address(address)
        } else if !text.isEmpty, text.utf8.count < 16, text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x2f && $0 != 0x3a }) {
            self = .interface(text)
        } else {
            return nil
        }
    }
    public var description: String {
        switch self {
        case .address(let address): address.description
        case .interface(let name): name
        }
    }
}
