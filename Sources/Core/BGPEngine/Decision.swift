// Which of several paths is best: RFC 4271 §9.1.2.2 as numbered steps, with RFC 7432 §15 before them and RFC 4456 §9 among them.

import BGP
import NetTypes

/// The step of the decision process that told the best path from the last of its competitors.
public enum DecisionStep: UInt8, Hashable, Comparable, Sendable, CaseIterable, CustomStringConvertible {
    /// Nothing to choose from.
    case noEligiblePath = 0
    case onlyPath
    // MAC/IP routes only, before everything else, as a move must win whatever the policy says (RFC 7432 §15).
    case stickyMAC
    case mobilitySequence
    case lowerVTEP
    // RFC 4271 §9.1.2.
    case localPreference
    case locallyOriginated
    case asPathLength
    case origin
    case multiExitDiscriminator
    case externalOverInternal
    case routerID
    /// RFC 4456 §9: between the steps f and g.
    case clusterListLength
    /// A path kept from before a restart loses a tie; it may not lose earlier (RFC 4724 §4.2). Before the cluster list, two
    /// reflectors would each prefer the other's copy of what both keep, withdraw their own, and so on for ever.
    case freshOverStale
    case peerAddress
    case pathID

    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    public var description: String {
        switch self {
        case .noEligiblePath: "no eligible path"
        case .onlyPath: "only path"
        case .stickyMAC: "sticky MAC"
        case .mobilitySequence: "higher MAC mobility sequence number"
        case .lowerVTEP: "lower VTEP address"
        case .localPreference: "higher local preference"
        case .locallyOriginated: "locally originated"
        case .asPathLength: "shorter AS path"
        case .origin: "lower origin"
        case .multiExitDiscriminator: "lower MED"
        case .externalOverInternal: "external over internal"
        case .freshOverStale: "fresh over stale"
        case .routerID: "lower router ID"
        case .clusterListLength: "shorter cluster list"
        case .peerAddress: "lower peer address"
        case .pathID: "lower path ID"
        }
    }
    static let first = stickyMAC.rawValue
    static let last = pathID.rawValue
}

/// One path as the decision process sees it.
struct Candidate {
    var path: UInt32
    var digest: AttributeDigest
    var peerAddress: IPAddress
    var pathID: UInt32
    var isLocal: Bool
    var isExternal: Bool
    var isStale: Bool
}

struct Decision {
    var alwaysCompareMED: Bool
    var isMACIP: Bool

    /// Negative: `a` is better; 0: this step cannot tell.
    func compare(_ a: Candidate, _ b: Candidate, at step: DecisionStep) -> Int {
        func lower<T: Comparable>(_ x: T, _ y: T) -> Int { x < y ? -1 : x == y ? 0 : 1 }
        func first(_ x: Bool, _ y: Bool) -> Int { x == y ? 0 : x ? -1 : 1 }
        switch step {
        case .noEligiblePath, .onlyPath: return 0
        case .stickyMAC: return isMACIP ? first(a.digest.isSticky, b.digest.isSticky) : 0
        case .mobilitySequence: return isMACIP ? lower(b.digest.mobilitySequence, a.digest.mobilitySequence) : 0
        case .lowerVTEP:
            guard isMACIP, let x = a.digest.nextHop, let y = b.digest.nextHop else { return 0 }
            return lower(x, y)
        case .localPreference: return lower(b.digest.localPreference, a.digest.localPreference)
        case .locallyOriginated: return first(a.isLocal, b.isLocal)
        case .asPathLength: return lower(a.digest.asPathLength, b.digest.asPathLength)
        case .origin: return lower(a.digest.origin, b.digest.origin)
        case .multiExitDiscriminator:
            guard alwaysCompareMED || a.digest.neighborASN == b.digest.neighborASN else { return 0 }
            return lower(a.digest.med, b.digest.med)
        case .externalOverInternal: return first(a.isExternal, b.isExternal)
        case .freshOverStale: return first(!a.isStale, !b.isStale)
        case .routerID: return lower(a.digest.routerID, b.digest.routerID)
        case .clusterListLength: return lower(a.digest.clusterListLength, b.digest.clusterListLength)
        case .peerAddress: return lower(a.peerAddress, b.peerAddress)
        case .pathID: return lower(a.pathID, b.pathID)
        }
    }

    /// The index of the best candidate and the step that decided. Candidates are eliminated step by step, never pairwise: the MED
    /// is compared only within one neighboring AS, so pairwise choice would depend on the order of arrival.
    func best(of candidates: [Candidate]) -> (index: Int, step: DecisionStep)? {
        guard candidates.count > 1 else { return candidates.isEmpty ? nil : (0, .onlyPath) }
        var left = Array(candidates.indices)
        for raw in DecisionStep.first...DecisionStep.last {
            guard let step = DecisionStep(rawValue: raw) else { continue }
            if left.count == 2 {
                let order = compare(candidates[left[0]], candidates[left[1]], at: step)
                if order != 0 { return (left[order < 0 ? 0 : 1], step) }
                continue
            }
            if step == .multiExitDiscriminator {
                left = left.filter { index in
                    !left.contains { compare(candidates[$0], candidates[index], at: step) < 0 }
                }
            } else {
                var leader = left[0]
                for index in left where compare(candidates[index], candidates[leader], at: step) < 0 { leader = index }
                left = left.filter { compare(candidates[leader], candidates[$0], at: step) == 0 }
            }
            if left.count == 1 { return (left[0], step) }
        }
        return (left[0], .pathID)
    }

    /// The first step that can tell two candidates apart.
    func firstDifference(_ a: Candidate, _ b: Candidate) -> DecisionStep {
        for raw in DecisionStep.first...DecisionStep.last {
            guard let step = DecisionStep(rawValue: raw) else { continue }
            if compare(a, b, at: step) != 0 { return step }
        }
        return .pathID
    }
}
