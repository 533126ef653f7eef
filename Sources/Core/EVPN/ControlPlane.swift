// The EVPN machine: what is asked for, what others announce and what this host sees, turned into what we announce and how
// frames are forwarded. It has no clock, socket or log; shells feed it and carry out what it answers.

public import NetTypes

/// EVPN layer 2 (RFC 7432, RFC 8365) as a pure machine.
///
/// A class, because its tables hold hundreds of thousands of rows that must never be copied by accident; it is confined to
/// the thread that made it. The answer to an input depends only on the inputs so far.
public final class ControlPlane {
    /// Something that happened outside.
    public enum Input: Sendable {
        /// What this VTEP is asked to be, as a whole; only the differences to the last one are worked on.
        case overlay(Overlay)
        /// Best paths that appeared, changed or went away. A batch is taken as one step: a MAC that is withdrawn and announced
        /// elsewhere in one batch makes one forwarding change.
        case routes([RouteChange])
        /// What the dataplane saw. A dataplane reports a local MAC as gone also when a remote entry took its place in the
        /// kernel, and as set again whenever the kernel learns it anew on a local port: that is how moves are noticed.
        case local([LocalChange])
        /// `nextDeadline` has passed.
        case deadlineReached
        /// An operator says that a duplicate MAC has been dealt with (RFC 7432 §15.1).
        case recover(MACKey)
    }

    /// What has to be done about an input. Each list is in an order that is safe to carry out from first to last.
    public struct Output: Sendable, Equatable {
        /// For the speaker.
        public var advertisements: [AdvertisementChange] = []
        /// For the dataplane.
        public var forwarding: [ForwardingChange] = []
        /// For the log and the counters.
        public var events: [ControlPlaneEvent] = []
        /// Events left out because a single input may not flood the log; see `ControlPlane.maximumEvents`.
        public var suppressedEvents = 0
        public init() {}
        public var isEmpty: Bool {
            advertisements.isEmpty && forwarding.isEmpty && events.isEmpty && suppressedEvents == 0
        }
    }

    /// How many events one input may give; the others are only counted.
    public static let maximumEvents = 256

    public init() {}

    /// When `.deadlineReached` is due; nil: nothing is waited for.
    public var nextDeadline: Instant? { nil }

    public func handle(_ input: Input, now: Instant) -> Output { Output() }
}
