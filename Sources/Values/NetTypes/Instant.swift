/// A point on a monotonic clock. The core never reads a clock: shells and tests pass the time in.
public struct Instant: Hashable, Comparable, Sendable {
    public var nanoseconds: Int64
    @inlinable public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }
    public static let zero = Instant(nanoseconds: 0)
    @inlinable public static func < (a: Instant, b: Instant) -> Bool { a.nanoseconds < b.nanoseconds }

    /// Clamped at the ends of the clock instead of trapping.
    public static func + (instant: Instant, duration: Duration) -> Instant {
        let nanoseconds = duration.clampedNanoseconds
        let (sum, overflow) = instant.nanoseconds.addingReportingOverflow(nanoseconds)
        return Instant(nanoseconds: !overflow ? sum : nanoseconds > 0 ? .max : .min)
    }
    public static func - (a: Instant, b: Instant) -> Duration {
        let (difference, overflow) = a.nanoseconds.subtractingReportingOverflow(b.nanoseconds)
        return .nanoseconds(!overflow ? difference : a > b ? .max : .min)
    }
}

extension Duration {
    /// Nanoseconds, clamped to the range of `Int64`.
    public var clampedNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        guard !overflow else { return seconds < 0 ? .min : .max }
        return whole.addingReportingOverflow(attoseconds / 1_000_000_000).partialValue
    }
    public var inSeconds: Double { Double(clampedNanoseconds) / 1e9 }
}
