/// Why a connection could not be made.
struct StreamFailure: Error {
    let reason: String
    init(_ reason: String) { self.reason = reason }
}
