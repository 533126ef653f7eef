// `applyPolicy:` as it is written, and the words of policies with what they mean to gobgpd.

import Documents
import GoBGPAPI

/// `applyPolicy:` as it is written.
struct AppliedPolicies {
    struct Direction {
        var policies: [Located<String>] = []
        var defaultAction = RouteAction.none
        var isEmpty: Bool { policies.isEmpty && defaultAction == .none }
    }
    var importing = Direction()
    var exporting = Direction()

    init(_ section: Section) {
        importing = AppliedPolicies.direction(section.section("importPolicy"))
        exporting = AppliedPolicies.direction(section.section("exportPolicy"))
        section.finish()
    }
    private static func direction(_ section: Section) -> Direction {
        var result = Direction()
        _ = section["name"]
        for value in section["policies"]?.list() ?? [] {
            guard let name = value.text() else { continue }
            if let other = result.policies.first(where: { $0.value == name }) {
                value.fail("policy \(value.kind) is already listed at line \(other.line)")
            } else {
                result.policies.append(Located(name, value))
            }
        }
        if let value = section["defaultAction"], !value.document.isInert, let word = value.word(ActionWord.self) {
            result.defaultAction = word.action
        }
        section.finish()
        return result
    }
}

enum ActionWord: String, CaseIterable {
    case accept, reject, none
    var action: RouteAction {
        switch self {
        case .accept: .accept
        case .reject: .reject
        case .none: .none
        }
    }
}
enum SetWord: String, CaseIterable {
    case prefix, neighbor
    case asPath = "as-path"
    case community
    var type: DefinedType {
        switch self {
        case .prefix: .prefix
        case .neighbor: .neighbor
        case .asPath: .asPath
        case .community: .community
        }
    }
}
enum MatchWord: String, CaseIterable {
    case any, all, invert
    var match: MatchSet.Match {
        switch self {
        case .any: .any
        case .all: .all
        case .invert: .invert
        }
    }
}
enum CommunityWord: String, CaseIterable {
    case add, remove, replace
    var change: Actions.Communities.Change {
        switch self {
        case .add: .add
        case .remove: .remove
        case .replace: .replace
        }
    }
}
enum MEDWord: String, CaseIterable { case mod, replace }
