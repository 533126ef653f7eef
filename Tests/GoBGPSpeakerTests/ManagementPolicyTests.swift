// Which policies and VRFs are changed in a gobgpd that is managed, and which are left alone.

import BGP
import GoBGPAPI
import Testing

@testable import GoBGPSpeaker

@Suite struct ManagementPolicyTests {
    private func reference(_ name: String) -> Policy {
        var policy = Policy()
        policy.name = name
        return policy
    }
    private func set(_ type: DefinedType, _ name: String, _ list: [String]) -> DefinedSet {
        var set = DefinedSet()
        set.type = type
        set.name = name
        set.list = list
        return set
    }
    private func policy(_ name: String, community: String) -> Policy {
        var statement = Statement()
        statement.name = "\(name).1"
        statement.conditions = Conditions()
        statement.conditions?.communitySet = MatchSet("marked")
        statement.actions = Actions()
        statement.actions?.routeAction = .accept
        statement.actions?.communities = Actions.Communities()
        statement.actions?.communities?.change = .remove
        statement.actions?.communities?.communities = [community]
        var policy = Policy()
        policy.name = name
        policy.statements = [statement]
        return policy
    }
    private func configuration(_ change: (inout PolicyConfiguration) -> Void = { _ in }) -> PolicyConfiguration {
        var result = PolicyConfiguration()
        var prefixes = DefinedSet()
        prefixes.name = "private"
        var prefix = DefinedSet.Prefix()
        prefix.prefix = "10.0.0.0/8"
        prefix.minimumLength = 8
        prefix.maximumLength = 24
        prefixes.prefixes = [prefix]
        result.sets = [
            prefixes, set(.community, "marked", ["65000:1", "65000:2"]), set(.asPath, "paths", ["^65001_1_2"]),
        ]
        result.policies = [policy("one", community: "65000:9"), policy("two", community: "65000:8")]
        result.importing.policies = [reference("one"), reference("two")]
        result.exporting.policies = [reference("two")]
        result.exporting.defaultAction = .reject
        var vrf = VRF()
        vrf.name = "red"
        vrf.rd = RouteDistinguisher("65000:1")
        vrf.importTargets = [RouteTarget(asn: 65000, number: 1), RouteTarget(asn: 65000, number: 2)]
        result.vrfs = [vrf]
        change(&result)
        return result
    }
    /// What gobgpd shows of `state`: in its own words.
    private func shown(_ state: PolicyConfiguration) -> PolicyConfiguration {
        var state = state
        for index in state.sets.indices {
            state.sets[index].list = state.sets[index].list.map { element in
                switch state.sets[index].type {
                case .community: "^\(element)$"
                case .asPath: element.replacing("_", with: "(^|[,{}() ]|$)")
                default: element
                }
            }
        }
        for policy in state.policies.indices {
            for index in state.policies[policy].statements.indices {
                state.policies[policy].statements[index].conditions?.rpkiResult = -1
                let list = state.policies[policy].statements[index].actions?.communities?.communities ?? []
                state.policies[policy].statements[index].actions?.communities?.communities = list.map { "^\($0)$" }
            }
        }
        let policies = state.policies
        func assigned(_ assignment: PolicyAssignment) -> PolicyAssignment {
            var assignment = assignment
            assignment.policies = assignment.policies.map { name in policies.first { $0.name == name.name } ?? name }
            if assignment.defaultAction == .none { assignment.defaultAction = .accept }
            return assignment
        }
        state.importing = assigned(state.importing)
        state.exporting = assigned(state.exporting)
        for index in state.vrfs.indices {
            state.vrfs[index].id = 7
            state.vrfs[index].importTargets.reverse()
        }
        return state
    }
    private func plan(
        _ desired: PolicyConfiguration, _ found: PolicyConfiguration, owned: Set<ManagedObject>? = nil
    ) -> [String] {
        Management.plan(desired, found, owned: owned ?? Set(ManagedObject.objects(found))).map(\.description)
    }
    private var empty: PolicyConfiguration { shown(PolicyConfiguration()) }

    @Test func anEmptyDaemonGetsEverythingInOrder() {
        #expect(
            plan(configuration(), empty) == [
                "add defined-set prefix private", "add defined-set community marked", "add defined-set asPath paths",
                "add policy one", "add policy two", #"import through ["one", "two"]"#,
                #"export through ["two"] then reject"#, "soft reset", "add vrf red",
            ])
    }
    @Test func whatIsMadeIsRemembered() {
        let made = Management.plan(configuration(), empty, owned: []).flatMap(\.made)
        #expect(Set(made) == Set(ManagedObject.objects(configuration())))
    }
    @Test func theSecondPlanIsEmpty() {
        #expect(plan(configuration(), shown(configuration())) == [])
        // Whoever made it.
        #expect(plan(configuration(), shown(configuration()), owned: []) == [])
    }

    @Test func elementsOfSetsComeAndGo() {
        let changed = configuration { $0.sets[1].list = ["65000:2", "65000:3"] }
        let steps = Management.plan(changed, shown(configuration()), owned: Set(ManagedObject.objects(configuration())))
        #expect(
            steps == [
                .extendSet(set(.community, "marked", ["65000:3"])), .trimSet(set(.community, "marked", ["^65000:1$"])),
                .evaluateAgain,
            ])
    }
    @Test func aChangedPolicyIsTakenOutAndPutBack() {
        let changed = configuration { $0.policies[1] = policy("two", community: "65000:7") }
        #expect(
            plan(changed, shown(configuration())) == [
                #"import through ["one"]"#, "export through []", "delete policy two", "add policy two",
                #"import through ["one", "two"]"#, #"export through ["two"]"#, "soft reset",
            ])
    }
    @Test func anotherOrderIsOneStep() {
        let changed = configuration { $0.importing.policies.reverse() }
        #expect(plan(changed, shown(configuration())) == [#"import through ["two", "one"]"#, "soft reset"])
    }
    @Test func aVRFIsMadeAnew() {
        let changed = configuration { $0.vrfs[0].exportTargets = [RouteTarget(asn: 65000, number: 3)] }
        #expect(plan(changed, shown(configuration())) == ["delete vrf red", "add vrf red"])
    }

    @Test func onlyWhatIsOursIsDeleted() {
        let found = shown(configuration())
        #expect(plan(PolicyConfiguration(), found, owned: []) == [])
        let steps = Management.plan(PolicyConfiguration(), found, owned: Set(ManagedObject.objects(found)))
        #expect(
            steps.map(\.description) == [
                "import through []", "export through []", "delete policy one", "delete policy two",
                "export through [] then accept", "delete defined-set prefix private",
                "delete defined-set community marked",
                "delete defined-set asPath paths", "soft reset", "delete vrf red",
            ])
        #expect(Set(steps.flatMap(\.gone)) == Set(ManagedObject.objects(found)))
    }
    @Test func policiesOfOthersStayInPlace() {
        var found = shown(configuration())
        found.policies.append(policy("theirs", community: "65000:6"))
        found.importing.policies.insert(reference("theirs"), at: 1)
        let owned = Set(ManagedObject.objects(configuration()))
        #expect(plan(configuration(), found, owned: owned) == [])
        let steps = plan(configuration { $0.importing.policies.removeFirst() }, found, owned: owned)
        #expect(steps == [#"import through ["theirs", "two"]"#, "soft reset"])
        // And at the end.
        #expect(plan(PolicyConfiguration(), found, owned: owned).contains(#"import through ["theirs"]"#))
        #expect(!plan(PolicyConfiguration(), found, owned: owned).contains("delete policy theirs"))
    }
    @Test func aNameOfSomebodyElseIsTold() {
        var found = empty
        found.sets = [set(.community, "marked", ["65000:77"])]
        found.vrfs = configuration().vrfs
        found.vrfs[0].rd = RouteDistinguisher("65000:2")
        let (left, reasons) = Management.withoutForeign(configuration(), found, owned: [])
        #expect(reasons.count == 2)
        // A policy without its set would be another policy.
        #expect(left.policies == [] && left.importing.policies == [] && left.vrfs == [])
        #expect(
            plan(configuration(), found, owned: []) == [
                "add defined-set prefix private", "add defined-set asPath paths", "export through [] then reject",
                "soft reset",
            ])
        // Ours may be changed.
        let (all, none) = Management.withoutForeign(
            configuration(), found, owned: [.definedSet(.community, "marked"), .vrf("red")])
        #expect(all == configuration() && none == [])
    }
    @Test func whatGoBGP3DoesNotSurviveIsLeftOut() {
        var safe = policy("safe", community: "65000:9")
        safe.statements[0].conditions?.prefixSet = MatchSet("private")
        var rejects = policy("rejects", community: "65000:9")
        rejects.statements[0].actions = Actions()
        rejects.statements[0].actions?.routeAction = .reject
        let configuration = configuration {
            $0.policies += [safe, rejects]
            $0.importing.policies += [reference("safe"), reference("rejects")]
        }
        let (left, reasons) = Management.withoutDanger(configuration, .v3)
        #expect(left.importing.policies.map(\.name) == ["safe", "rejects"])
        #expect(reasons.map { $0.hasPrefix("policy one ") || $0.hasPrefix("policy two ") } == [true, true])
        #expect(left.exporting == configuration.exporting && left.policies == configuration.policies)
        let (all, none) = Management.withoutDanger(configuration, .v4)
        #expect(all == configuration && none == [])
    }
    @Test func objectsSurviveTheirFile() {
        let objects = ManagedObject.objects(
            configuration {
                $0.importing.defaultAction = .reject; $0.sets.append(set(.neighbor, "n", ["10.0.0.1/32"]))
            })
        #expect(objects.map { ManagedObject(line: Substring($0.line)) } == objects)
        for line in ["defined-set tag x", "policy", "import-policy", "export-default x", "vrf a b"] {
            #expect(ManagedObject(line: Substring(line)) == nil)
        }
    }

    // MARK: The import policy of evpn-connector

    /// As evpn-connector leaves it: one statement, and a default that rejects.
    private func left(_ patterns: [String]) -> PolicyConfiguration {
        var found = PolicyConfiguration.connector(patterns)
        found.sets.removeAll { $0.name == PolicyConfiguration.connectorOthers }
        found.policies[0].statements.removeAll { $0.name != PolicyConfiguration.connectorStatement }
        found.importing.defaultAction = .reject
        return found
    }
    private func lines(_ wanted: PolicyConfiguration, _ found: PolicyConfiguration) -> [String] {
        Management.plan(wanted, found, owned: Management.connectorObjects(found)).map(\.description)
    }

    @Test func connectorPolicyAcceptsOwnRoutes() {
        let policy = PolicyConfiguration.connector(["rt:^65000:10$"]).policies[0]
        #expect(policy.statements.map { $0.conditions?.routeType } == [.local, .any, .any])
        #expect(policy.statements.map { $0.actions?.routeAction } == [.accept, .accept, .reject])
        #expect(PolicyConfiguration.connector([]).isEmpty)
    }
    @Test func connectorPolicyIsMadeOnce() {
        let wanted = PolicyConfiguration.connector(["rt:^65000:10$"])
        #expect(!lines(wanted, PolicyConfiguration()).isEmpty)
        #expect(lines(wanted, wanted) == [])
    }
    /// Its default action goes back to what gobgpd has by itself, and the policies of others stay where they are.
    @Test func connectorPolicyIsTakenOver() throws {
        var found = left(["rt:^65000:10$"])
        found.policies.append(policy("foreign", community: "65000:9"))
        found.importing.policies.insert(reference("foreign"), at: 0)
        let wanted = PolicyConfiguration.connector(["rt:^65000:10$", "rt:^65000:11$"])
        let steps = Management.plan(wanted, found, owned: Management.connectorObjects(found))
        let assignments = steps.compactMap { step in
            if case .assign(let assignment, _, _) = step { return assignment }
            return nil
        }
        let last = try #require(assignments.last)
        #expect(last.policies.map(\.name) == ["foreign", PolicyConfiguration.connectorPolicy])
        #expect(last.defaultAction == .accept)
        #expect(assignments.allSatisfy { $0.policies.contains { $0.name == "foreign" } })
        #expect(!steps.contains { if case .deletePolicy(let policy) = $0 { policy.name == "foreign" } else { false } })
    }
    @Test func connectorPolicyGoesWithTheLastClient() throws {
        let found = left(["rt:^65000:10$"])
        let steps = Management.plan(PolicyConfiguration(), found, owned: Management.connectorObjects(found))
        var last: PolicyAssignment?
        for case .assign(let assignment, _, _) in steps { last = assignment }
        #expect(last?.policies == [])
        #expect(last?.defaultAction == .accept)
        #expect(steps.contains { if case .deletePolicy = $0 { true } else { false } })
        #expect(steps.contains { if case .deleteSet = $0 { true } else { false } })
    }
    /// Without its policy, a default that rejects is somebody else's.
    @Test func foreignDefaultStays() {
        var found = PolicyConfiguration()
        found.importing.defaultAction = .reject
        #expect(Management.connectorObjects(found).isEmpty)
        #expect(lines(PolicyConfiguration(), found) == [])
    }
}
