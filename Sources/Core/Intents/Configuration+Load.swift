// The way from the tree to the configuration: decode each section, then look at all of them together.

public import Documents

extension Configuration {
    /// The contents of the file that `passwordFile` names, or the reason why it cannot be read.
    public typealias SecretReader = (_ path: String) -> Result<[UInt8], SecretFault>

    /// Decodes and resolves a whole file. All problems are returned at once; the configuration is nil when one of them is
    /// an error. Pure except for `readSecret`, which is asked once for each `passwordFile`.
    public static func load(
        from document: Document,
        readSecret: SecretReader = { _ in .failure(SecretFault("files cannot be read here")) }
    ) -> (configuration: Configuration?, problems: [Problem]) {
        (nil, [])
    }
}

/// Why a secret cannot be read, as a clause.
public struct SecretFault: Error, Equatable, Sendable {
    public let reason: String
    public init(_ reason: String) { self.reason = reason }
}
