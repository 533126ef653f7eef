// The import policy that evpn-connector keeps in its gobgpd, under its names: only routes with targets of its clients come in. Other than
// there, our own routes come in whatever their targets are, routes without targets are nobody's business, and the default action stays as
// it is.

extension PolicyConfiguration {
    public static let connectorPolicy = "local-vni-policy"
    public static let connectorSet = "local-vni-defined-set"
    /// Every route target.
    public static let connectorOthers = "local-vni-others"
    public static let connectorStatement = "local-vni-statement"
    /// Names of all its objects begin so.
    public static let connectorPrefix = "local-vni-"

    /// `patterns`: what is let in, as in `rt:^65000:100$`; without any there is no policy.
    public static func connector(_ patterns: [String]) -> PolicyConfiguration {
        var result = PolicyConfiguration()
        guard !patterns.isEmpty else { return result }
        func set(_ name: String, _ list: [String]) -> DefinedSet {
            var set = DefinedSet()
            set.type = .extendedCommunity
            set.name = name
            set.list = list
            return set
        }
        func statement(_ name: String, _ action: RouteAction, _ conditions: (inout Conditions) -> Void) -> Statement {
            var statement = Statement()
            statement.name = name
            var asked = Conditions()
            conditions(&asked)
            statement.conditions = asked
            statement.actions = Actions()
            statement.actions?.routeAction = action
            return statement
        }
        result.sets = [set(connectorSet, patterns), set(connectorOthers, ["rt:^.*$"])]
        var policy = Policy()
        policy.name = connectorPolicy
        policy.statements = [
            statement(connectorPrefix + "own", .accept) { $0.routeType = .local },
            statement(connectorStatement, .accept) { $0.extendedCommunitySet = MatchSet(connectorSet) },
            statement(connectorPrefix + "rest", .reject) { $0.extendedCommunitySet = MatchSet(connectorOthers) },
        ]
        result.policies = [policy]
        var reference = Policy()
        reference.name = connectorPolicy
        result.importing.policies = [reference]
        return result
    }
}
