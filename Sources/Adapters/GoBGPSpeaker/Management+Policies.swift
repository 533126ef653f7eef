// Sets, policies, where they apply, and VRFs of a gobgpd that evpnd configures.

import GoBGPAPI

extension ManagedObject {
    static func set(_ set: DefinedSet) -> ManagedObject { .definedSet(set.type, set.name) }

    static func objects(_ state: PolicyConfiguration) -> [ManagedObject] {
        var objects = state.sets.map { ManagedObject.set($0) }
        objects += state.policies.map { .policy($0.name) }
        objects += state.vrfs.map { .vrf($0.name) }
        for assignment in [state.importing, state.exporting] {
            objects += assignment.policies.map { .assigned(assignment.direction, $0.name) }
            // gobgpd always has one; only that which rejects is an object.
            if assignment.defaultAction == .reject { objects.append(.defaultAction(assignment.direction)) }
        }
        return objects
    }
}

extension Management {
    /// The types of sets that there are in the vocabulary.
    static let setTypes: [DefinedType] = [.prefix, .neighbor, .asPath, .community, .extendedCommunity]

    /// `desired` without what `generation` does not survive, and the reasons. gobgpd 3.10 dies of a MAC route that an import policy has
    /// changed as soon as there is one of its own (seen; later ones of that generation do not, but do not tell who they are).
    static func withoutDanger(
        _ desired: PolicyConfiguration, _ generation: APIGeneration
    ) -> (PolicyConfiguration, reasons: [String]) {
        guard generation == .v3 else { return (desired, []) }
        var result = desired
        let deadly = Set(
            desired.policies.filter { policy in
                policy.statements.contains { $0.changesRoutes && $0.conditions?.prefixSet == nil }
            }.map(\.name))
        result.importing.policies.removeAll { deadly.contains($0.name) }
        let reasons = desired.importing.policies.filter { deadly.contains($0.name) }.map {
            "policy \($0.name) changes MAC routes that come in, which gobgpd 3 does not survive; it is not put in place: "
                + "statements that change something need a prefixSet"
        }
        return (result, reasons)
    }

    /// What evpn-connector has left in gobgpd, and what we made under its names: the default action that rejects is its own as long as its
    /// policy is there.
    static func connectorObjects(_ found: PolicyConfiguration) -> Set<ManagedObject> {
        var objects: Set<ManagedObject> = []
        for set in found.sets where set.name.hasPrefix(PolicyConfiguration.connectorPrefix) {
            objects.insert(.set(set))
        }
        for policy in found.policies where policy.name == PolicyConfiguration.connectorPolicy {
            objects.insert(.policy(policy.name))
        }
        guard found.importing.policies.contains(where: { $0.name == PolicyConfiguration.connectorPolicy }) else {
            return objects
        }
        objects.insert(.assigned(.importing, PolicyConfiguration.connectorPolicy))
        if found.importing.defaultAction == .reject { objects.insert(.defaultAction(.importing)) }
        return objects
    }

    /// `desired` without what bears the name of something that somebody else made, and the reasons.
    static func withoutForeign(
        _ desired: PolicyConfiguration, _ found: PolicyConfiguration, owned: Set<ManagedObject>
    ) -> (PolicyConfiguration, reasons: [String]) {
        var result = desired
        var blocked: Set<ManagedObject> = []
        var reasons: [String] = []
        func block(_ object: ManagedObject) {
            blocked.insert(object)
            reasons.append("gobgpd has a \(object.line) of somebody else, which is not as bgp: says; it is left alone")
        }
        for set in desired.sets where !owned.contains(.set(set)) {
            guard let there = same(set, in: found.sets), elements(there) != elements(set) else { continue }
            block(.set(set))
        }
        for policy in desired.policies {
            let uses = policy.statements.flatMap { statement in
                [
                    statement.conditions?.prefixSet.map { ManagedObject.definedSet(.prefix, $0.name) },
                    statement.conditions?.neighborSet.map { .definedSet(.neighbor, $0.name) },
                    statement.conditions?.asPathSet.map { .definedSet(.asPath, $0.name) },
                    statement.conditions?.communitySet.map { .definedSet(.community, $0.name) },
                    statement.conditions?.extendedCommunitySet.map { .definedSet(.extendedCommunity, $0.name) },
                ]
            }
            if uses.contains(where: { $0.map { blocked.contains($0) } ?? false }) {
                blocked.insert(.policy(policy.name))
            } else if !owned.contains(.policy(policy.name)),
                let there = found.policies.first(where: { $0.name == policy.name }), normal(there) != normal(policy)
            {
                block(.policy(policy.name))
            }
        }
        for vrf in desired.vrfs where !owned.contains(.vrf(vrf.name)) {
            if let there = found.vrfs.first(where: { $0.name == vrf.name }), !isSame(there, vrf) {
                block(.vrf(vrf.name))
            }
        }
        result.sets.removeAll { blocked.contains(.set($0)) }
        result.policies.removeAll { blocked.contains(.policy($0.name)) }
        result.importing.policies.removeAll { blocked.contains(.policy($0.name)) }
        result.exporting.policies.removeAll { blocked.contains(.policy($0.name)) }
        result.vrfs.removeAll { blocked.contains(.vrf($0.name)) }
        return (result, reasons)
    }

    /// Sets before the policies that ask for them, policies before their places, and what goes in the opposite order.
    static func plan(
        _ wanted: PolicyConfiguration, _ found: PolicyConfiguration, owned: Set<ManagedObject>
    ) -> [ManagementStep] {
        let (desired, _) = withoutForeign(wanted, found, owned: owned)
        let kept = Set(ManagedObject.objects(desired))
        let configured = Set(ManagedObject.objects(wanted))
        func goes(_ object: ManagedObject) -> Bool { owned.contains(object) && !configured.contains(object) }
        var steps: [ManagementStep] = []

        var trims: [ManagementStep] = []
        for set in desired.sets {
            guard let there = same(set, in: found.sets) else {
                steps.append(.addSet(set))
                continue
            }
            let missing = elements(set), present = elements(there)
            if !missing.subtracting(present).isEmpty {
                steps.append(.extendSet(part(of: set) { !present.contains($0) }))
            }
            if !present.subtracting(missing).isEmpty {
                trims.append(.trimSet(part(of: there) { !missing.contains($0) }))
            }
        }

        // A policy is not changed where it is: gobgpd would merge the old and the new one.
        let leaving = found.policies.filter { there in
            if goes(.policy(there.name)) { return true }
            guard owned.contains(.policy(there.name)),
                let policy = desired.policies.first(where: { $0.name == there.name })
            else { return false }
            return normal(policy) != normal(there)
        }
        let leavingNames = Set(leaving.map(\.name))
        var places: [ManagementStep] = []
        for (should, there) in [(desired.importing, found.importing), (desired.exporting, found.exporting)] {
            var (final, made, gone) = place(should, there, owned: owned, kept: kept)
            // What somebody else has put in place of a policy that goes, goes with it.
            final.policies.removeAll { goes(.policy($0.name)) }
            var now = there.policies.map(\.name)
            if now.contains(where: { leavingNames.contains($0) }) {
                var interim = final
                interim.defaultAction = .none
                interim.policies.removeAll { leavingNames.contains($0.name) || !now.contains($0.name) }
                now = interim.policies.map(\.name)
                let isLast = now == final.policies.map(\.name) && final.defaultAction == .none
                steps.append(.assign(interim, made: [], gone: isLast ? gone : []))
            }
            if now != final.policies.map(\.name) || final.defaultAction != .none {
                places.append(.assign(final, made: made, gone: gone))
            }
        }
        for policy in leaving { steps.append(.deletePolicy(policy)) }
        for policy in desired.policies
        where leavingNames.contains(policy.name) || !found.policies.contains(where: { $0.name == policy.name }) {
            steps.append(.addPolicy(policy))
        }
        steps += places + trims
        for set in found.sets where goes(.set(set)) { steps.append(.deleteSet(set)) }
        if !steps.isEmpty { steps.append(.evaluateAgain) }

        for vrf in found.vrfs {
            let vrfIsOther = desired.vrfs.contains { $0.name == vrf.name && !isSame($0, vrf) }
            if goes(.vrf(vrf.name)) || vrfIsOther { steps.append(.deleteVRF(vrf.name)) }
        }
        for vrf in desired.vrfs where !found.vrfs.contains(where: { isSame($0, vrf) }) { steps.append(.addVRF(vrf)) }
        return steps
    }

    /// The assignment with ours in their order and those of others where they are; a default action of none leaves that which is
    /// there. With it, what of it will be ours from now on, and what no longer.
    private static func place(
        _ should: PolicyAssignment, _ there: PolicyAssignment, owned: Set<ManagedObject>, kept: Set<ManagedObject>
    ) -> (PolicyAssignment, made: [ManagedObject], gone: [ManagedObject]) {
        let direction = should.direction
        let names = should.policies.map(\.name)
        var made: [ManagedObject] = [], gone: [ManagedObject] = []
        var others: [Policy] = [], mine: [String] = []
        for policy in there.policies {
            let object = ManagedObject.assigned(direction, policy.name)
            if names.contains(policy.name) {
                mine.append(policy.name)
            } else if owned.contains(object), !kept.contains(object) {
                gone.append(object)
            } else {
                others.append(reference(policy.name))
            }
        }
        var final = there
        final.defaultAction = .none
        final.policies = there.policies.map { reference($0.name) }
        if mine != names || !gone.isEmpty {
            final.policies = others + names.map { reference($0) }
            made = names.filter { !mine.contains($0) }.map { .assigned(direction, $0) }
        }
        let object = ManagedObject.defaultAction(direction)
        if should.defaultAction != .none, should.defaultAction != there.defaultAction {
            final.defaultAction = should.defaultAction
            if should.defaultAction == .reject { made.append(object) } else { gone.append(object) }
        } else if should.defaultAction == .none, owned.contains(object), there.defaultAction == .reject {
            final.defaultAction = .accept
            gone.append(object)
        }
        return (final, made, gone)
    }
    private static func reference(_ name: String) -> Policy {
        var policy = Policy()
        policy.name = name
        return policy
    }

    // MARK: What is the same although it is written otherwise

    private static func same(_ set: DefinedSet, in sets: [DefinedSet]) -> DefinedSet? {
        sets.first { $0.type == set.type && $0.name == set.name }
    }
    /// gobgpd shows communities and AS paths as the regular expressions that it makes of them.
    private static func plain(_ text: String) -> String {
        text.replacing("(^|[,{}() ]|$)", with: "_")
    }
    private static func plainCommunity(_ text: String) -> String {
        let inner = text.hasPrefix("^") && text.hasSuffix("$") ? text.dropFirst().dropLast() : text[...]
        return String(inner)
    }
    private static func element(_ text: String, _ type: DefinedType) -> String {
        switch type {
        case .community: plainCommunity(text)
        case .asPath: plain(text)
        default: text
        }
    }
    private static func element(_ prefix: DefinedSet.Prefix) -> String {
        "\(prefix.prefix) \(prefix.minimumLength)..\(prefix.maximumLength)"
    }
    static func elements(_ set: DefinedSet) -> Set<String> {
        Set(set.list.map { element($0, set.type) } + set.prefixes.map { element($0) })
    }
    private static func part(of set: DefinedSet, _ isIncluded: (String) -> Bool) -> DefinedSet {
        var result = set
        result.list = set.list.filter { isIncluded(element($0, set.type)) }
        result.prefixes = set.prefixes.filter { isIncluded(element($0)) }
        return result
    }
    static func normal(_ policy: Policy) -> Policy {
        var policy = policy
        policy.statements = policy.statements.map { statement in
            var statement = statement
            var conditions = statement.conditions ?? Conditions()
            // "Not asked" has a number in each generation.
            conditions.rpkiResult = 0
            statement.conditions = conditions
            var actions = statement.actions ?? Actions()
            if let value = actions.communities {
                actions.communities?.communities = value.communities.map { plainCommunity($0) }
            }
            statement.actions = actions
            return statement
        }
        return policy
    }
    private static func isSame(_ a: VRF, _ b: VRF) -> Bool {
        a.name == b.name && a.rd == b.rd && Set(a.importTargets) == Set(b.importTargets)
            && Set(a.exportTargets) == Set(b.exportTargets)
    }
}

extension Statement {
    /// Whether it does more than to accept or reject.
    fileprivate var changesRoutes: Bool {
        guard var actions else { return false }
        actions.routeAction = .none
        return actions != Actions()
    }
}
