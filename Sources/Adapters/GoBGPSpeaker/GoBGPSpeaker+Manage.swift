// Carries out the plans of `Management`: reads what gobgpd has, makes the changes one after the other, reads again, and says what
// would not go.

import BGPEngine
import NetTypes
import GRPC
import Glibc
import GoBGPAPI
import Telemetry
import YAML

/// What management remembers.
struct ManagerState {
    var path: String
    var owned: Set<ManagedObject> = []
    var isRunning = false
    /// The configuration has changed while a run was on its way.
    var isStale = false
    /// Why something of the configuration is not made.
    var omitted: [String] = []

    /// `path`: the file of what we made, one object a line.
    init(path: String) {
        self.path = path
        guard case .success(let bytes) = readFile(path, limit: 16 << 20) else { return }
        owned = Set(
            String(decoding: bytes, as: UTF8.self).split(separator: "\n").compactMap { ManagedObject(line: $0) })
    }
    /// False when the file cannot be written.
    func save() -> Bool {
        guard let file = fopen(path + ".new", "we") else { return false }
        for line in owned.map(\.line).sorted() { fputs(line + "\n", file) }
        return fclose(file) == 0 && rename(path + ".new", path) == 0
    }
}

extension GoBGPSpeaker {
    /// Makes gobgpd's configuration what it should be. Called when the connection is made and when the configuration has changed.
    func manage() {
        guard settings.manages || settings.filtersImports else { return remark([]) }
        guard !manager.isRunning else { return manager.isStale = true }
        manager.isRunning = true
        observe { [weak self] result in
            guard let self else { return }
            switch result {
            case .failure(let status): self.managed(["cannot read gobgpd's configuration: \(status)"])
            case .success(let found):
                if self.settings.filtersImports {
                    self.manager.owned.formUnion(Management.connectorObjects(found.policies))
                }
                let (survived, dangers) = Management.withoutDanger(
                    self.settings.policies, self.generation ?? .v3)
                let foreign = Management.withoutForeign(survived, found.policies, owned: self.manager.owned).reasons
                self.manager.omitted = dangers + foreign
                let desired = Management.desired(self.configuration, survived)
                let steps = Management.plan(desired, found, owned: self.manager.owned)
                // What is gone is no longer ours: the next one of that name may be somebody else's.
                let kept = self.manager.owned.intersection(Management.objects(desired).union(Management.objects(found)))
                if kept != self.manager.owned {
                    self.manager.owned = kept
                    _ = self.manager.save()
                }
                self.carryOut(steps[...], failures: [], desired, isFirst: !steps.isEmpty)
            }
        }
    }
    private func managed(_ failures: [String]) {
        manager.isRunning = false
        remark((settings.manages ? Management.differences(global, configuration) : []) + manager.omitted + failures)
        if manager.isStale {
            manager.isStale = false
            manage()
        }
    }

    private func carryOut(
        _ steps: ArraySlice<ManagementStep>, failures: [String], _ desired: ManagedState, isFirst: Bool
    ) {
        guard let step = steps.first else {
            guard isFirst else { return managed(failures) }
            return verify(desired, failures: failures)
        }
        // Only what is new is ours: a neighbor that somebody else made stays theirs.
        let new = Set(step.made).subtracting(manager.owned)
        if !new.isEmpty {
            manager.owned.formUnion(new)
            if !manager.save() { log.warning("gobgp.manage.unsaved", ["file": manager.path]) }
        }
        perform(step) { [weak self] status in
            guard let self else { return }
            var failures = failures
            if let status {
                self.log.warning("gobgp.manage.failed", ["step": step.description, "reason": status.description])
                failures.append("\(step.description): \(status)")
            } else {
                self.log.info("gobgp.manage", ["step": step.description])
                if !self.manager.owned.isDisjoint(with: step.gone) {
                    self.manager.owned.subtract(step.gone)
                    _ = self.manager.save()
                }
            }
            self.carryOut(steps.dropFirst(), failures: failures, desired, isFirst: isFirst)
        }
    }
    /// Reads again after changes: what still differs was not taken.
    private func verify(_ desired: ManagedState, failures: [String]) {
        observe { [weak self] result in
            guard let self else { return }
            guard case .success(let found) = result else { return self.managed(failures) }
            let left = Management.plan(desired, found, owned: self.manager.owned).map {
                "gobgpd did not take everything: \($0.description) is still to do"
            }
            self.managed(failures.isEmpty ? left : failures)
        }
    }

    private func perform(_ step: ManagementStep, _ completion: @escaping (GRPCStatus?) -> Void) {
        func done<Reply: APIMessage>(_: Reply.Type) -> (Result<Reply, GRPCStatus>) -> Void {
            { result in
                if case .failure(let status) = result { return completion(status) }
                completion(nil)
            }
        }
        switch step {
        case .addGroup(let group): call(.addPeerGroup, AddPeerGroupRequest(group), done(EmptyMessage.self))
        case .updateGroup(let group):
            var request = UpdatePeerGroupRequest()
            request.group = group
            call(.updatePeerGroup, request, done(UpdateReply.self))
        case .addPeer(let peer): call(.addPeer, AddPeerRequest(peer), done(EmptyMessage.self))
        case .updatePeer(let peer):
            var request = UpdatePeerRequest()
            request.peer = peer
            call(.updatePeer, request, done(UpdateReply.self))
        case .addDynamic(let entry):
            call(.addDynamicNeighbor, AddDynamicNeighborRequest(entry), done(EmptyMessage.self))
        case .deleteDynamic(let entry): call(.deleteDynamicNeighbor, entry, done(EmptyMessage.self))
        case .deletePeer(let address):
            var request = DeletePeerRequest()
            if IPAddress(address) == nil { request.interface = address } else { request.address = address }
            call(.deletePeer, request, done(EmptyMessage.self))
        case .deleteGroup(let name): call(.deletePeerGroup, DeletePeerGroupRequest(name), done(EmptyMessage.self))
        case .addSet(let set), .extendSet(let set):
            var request = AddDefinedSetRequest()
            request.set = set
            call(.addDefinedSet, request, done(EmptyMessage.self))
        case .trimSet(let set), .deleteSet(let set):
            var request = DeleteDefinedSetRequest()
            request.set = set
            if case .deleteSet = step { request.all = true }
            call(.deleteDefinedSet, request, done(EmptyMessage.self))
        case .addPolicy(let policy):
            var request = AddPolicyRequest()
            request.policy = policy
            call(.addPolicy, request, done(EmptyMessage.self))
        case .deletePolicy(let policy):
            var request = DeletePolicyRequest()
            request.policy.name = policy.name
            request.all = true
            // gobgpd would take statements with it that somebody else has put there.
            let own =
                policy.name == PolicyConfiguration.connectorPolicy
                ? PolicyConfiguration.connectorPrefix : policy.name + "."
            request.preservesStatements = !policy.statements.allSatisfy { $0.name.hasPrefix(own) }
            call(.deletePolicy, request, done(EmptyMessage.self))
        case .assign(let assignment, _, _):
            call(.setPolicyAssignment, SetPolicyAssignmentRequest(assignment), done(EmptyMessage.self))
        case .evaluateAgain:
            var request = ResetPeerRequest()
            request.address = "all"
            request.isSoft = true
            request.direction = .both
            call(.resetPeer, request, done(EmptyMessage.self))
            // A soft reset is for routes of neighbors only.
            offerAgain()
        case .addVRF(let vrf): call(.addVrf, AddVRFRequest(vrf), done(EmptyMessage.self))
        case .deleteVRF(let name): call(.deleteVrf, DeleteVRFRequest(name), done(EmptyMessage.self))
        }
    }

    /// Asks for one list after the other.
    private func observe(_ completion: @escaping (Result<ManagedState, GRPCStatus>) -> Void) {
        var state = ManagedState()
        var questions: [(@escaping (GRPCStatus?) -> Void) -> Void] = []
        func ask<Reply: APIMessage>(
            _ method: APIMethod, _ request: some APIMessage, _ take: @escaping ([Wrapped<Reply>]) -> Void
        ) {
            questions.append { [weak self] next in
                self?.list(method, request) { (result: Result<[Wrapped<Reply>], GRPCStatus>) in
                    switch result {
                    case .failure(let status): next(status)
                    case .success(let replies):
                        take(replies)
                        next(nil)
                    }
                }
            }
        }
        ask(.listPeer, ListPeerRequest()) { (replies: [ListPeerReply]) in
            // Those that came by a prefix have no configuration of their own.
            state.peers = replies.compactMap(\.content).filter { !$0.key.isEmpty }
        }
        ask(.listPeerGroup, ListPeerGroupRequest()) { (replies: [ListPeerGroupReply]) in
            state.groups = replies.compactMap(\.content)
        }
        ask(.listDynamicNeighbor, ListDynamicNeighborRequest()) { (replies: [ListDynamicNeighborReply]) in
            state.dynamic = replies.compactMap(\.content)
        }
        for type in Management.setTypes {
            var request = ListDefinedSetRequest()
            request.type = type
            ask(.listDefinedSet, request) { (replies: [ListDefinedSetReply]) in
                state.policies.sets += replies.compactMap(\.content)
            }
        }
        ask(.listPolicy, ListPolicyRequest()) { (replies: [ListPolicyReply]) in
            state.policies.policies = replies.compactMap(\.content)
        }
        var request = ListPolicyAssignmentRequest()
        request.name = "global"
        ask(.listPolicyAssignment, request) { (replies: [ListPolicyAssignmentReply]) in
            for assignment in replies.compactMap(\.content) {
                if assignment.direction == .importing { state.policies.importing = assignment }
                if assignment.direction == .exporting { state.policies.exporting = assignment }
            }
        }
        ask(.listVrf, ListVRFRequest()) { (replies: [ListVRFReply]) in
            state.policies.vrfs = replies.compactMap(\.content)
        }
        func next(_ status: GRPCStatus?) {
            if let status { return completion(.failure(status)) }
            guard !questions.isEmpty else { return completion(.success(state)) }
            questions.removeFirst()(next)
        }
        next(nil)
    }
    private func list<Reply: APIMessage>(
        _ method: APIMethod, _ request: some APIMessage, _ completion: @escaping (Result<[Reply], GRPCStatus>) -> Void
    ) {
        guard let connection, let generation else {
            return completion(.failure(GRPCStatus(.unavailable, "gobgpd is not connected")))
        }
        var found: [Reply] = []
        connection.collect(
            generation.path(method), request.encoded(generation), timeout: .seconds(20),
            each: { message in
                if found.count < 65_536, let reply = try? Reply(decoding: message, generation) { found.append(reply) }
            },
            { status in completion(status.isOK ? .success(found) : .failure(status)) })
    }
}
