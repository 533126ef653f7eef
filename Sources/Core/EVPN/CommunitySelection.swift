// Which routes somebody wants, by their communities.

public import BGP

/// Routes with one of these communities.
public struct CommunitySelection: Equatable, Sendable, CustomStringConvertible {
    public var communities: [UInt32]
    public var largeCommunities: [LargeCommunity]
    public init(_ communities: [UInt32] = [], _ largeCommunities: [LargeCommunity] = []) {
        self.communities = communities
        self.largeCommunities = largeCommunities
    }
    public var isEmpty: Bool { communities.isEmpty && largeCommunities.isEmpty }
    /// An empty one takes every route.
    public func takes(_ communities: [UInt32], _ largeCommunities: [LargeCommunity]) -> Bool {
        isEmpty || communities.contains { self.communities.contains($0) }
            || largeCommunities.contains { self.largeCommunities.contains($0) }
    }
    /// As people write them.
    public var words: [String] {
        communities.map { "\($0 >> 16):\($0 & 0xffff)" }
            + largeCommunities.map { "\($0.global):\($0.local1):\($0.local2)" }
    }
    public var description: String { words.joined(separator: " or ") }
}
