// `definedSets`, `policyDefinitions`, `applyPolicy` and `vrfs` of `bgp:`, for a gobgpd that evpnd configures. What a reference
// needs to exist is looked for here, so that gobgpd never sees half of it.

import BGP
import Documents
import GoBGPAPI
import NetTypes

final class PolicyDecoder {
    /// Names that begin so are made for neighbors with policies of their own.
    private static let ownPrefix = "evpnd-"
    /// Statements made for neighbors: many neighbors times many statements would be more than a gobgpd can evaluate for each route.
    private static let statementLimit = 65_536

    private var result = PolicyConfiguration()
    private var setLines: [DefinedType: [String: Int]] = [:]
    private var policyLines: [String: Int] = [:]
    private var statementsOfNeighbors = 0
    var global: AppliedPolicies?
    /// Whom policies of their own are for: one neighbor, or those that a prefix lets in.
    var neighbors: [(prefix: IPPrefix, applied: AppliedPolicies)] = []

    func decode(_ section: Section) -> PolicyConfiguration {
        for element in section["definedSets"]?.list() ?? [] { decodeSet(Section(element)) }
        for element in section["policyDefinitions"]?.list() ?? [] { decodePolicy(Section(element)) }
        // Those of one neighbor come first: they are the more specific.
        for (prefix, applied) in neighbors { apply(applied, to: prefix) }
        if let global {
            let importing = references(global.importing), exporting = references(global.exporting)
            result.importing.policies += importing
            result.importing.defaultAction = global.importing.defaultAction
            result.exporting.policies += exporting
            result.exporting.defaultAction = global.exporting.defaultAction
        }
        decodeVRFs(section)
        return result
    }

    // MARK: Sets

    private func decodeSet(_ section: Section) {
        defer { section.finish() }
        let type = section["type"]
        if type == nil { section.missing("type") }
        let word = type?.word(SetWord.self)
        let name = name(section)
        let list = section["list"], prefixes = section["prefixes"]
        guard let word else { return }
        var set = DefinedSet()
        set.type = word.type
        if word == .prefix {
            if let list, !list.document.isInert { list.fail("prefix sets have prefixes") }
            var families: Set<Bool> = []
            var seen: Set<DefinedSet.Prefix> = []
            for element in prefixes?.list() ?? [] {
                guard let prefix = prefix(Section(element), &families) else { continue }
                if seen.insert(prefix).inserted {
                    set.prefixes.append(prefix)
                } else {
                    element.fail("is already in the set")
                }
            }
            if families.count > 1 { prefixes?.fail("gobgpd has no prefix sets of two address families") }
        } else {
            if let prefixes, !prefixes.document.isInert { prefixes.fail("only sets of type prefix have prefixes") }
            var seen: Set<String> = []
            for value in list?.list() ?? [] {
                guard let text = element(value, word) else { continue }
                if seen.insert(text).inserted { set.list.append(text) } else { value.fail("is already in the set") }
            }
        }
        guard let name else { return }
        if let line = setLines[word.type]?[name.value] {
            return name.source.fail("\(word.rawValue) set \(name.value) is already defined at line \(line)")
        }
        setLines[word.type, default: [:]][name.value] = name.line
        // gobgpd takes an empty neighbor set for one that everybody is in.
        if (list?.document.isInert ?? true) && (prefixes?.document.isInert ?? true) {
            section.missing(word == .prefix ? "prefixes" : "list", hint: "an empty set says nothing")
        }
        set.name = name.value
        result.sets.append(set)
    }
    private func prefix(_ section: Section, _ families: inout Set<Bool>) -> DefinedSet.Prefix? {
        defer { section.finish() }
        let value = section["ipPrefix"]
        let minimum = section["maskLengthMin"], maximum = section["maskLengthMax"]
        guard let value else {
            section.missing("ipPrefix")
            return nil
        }
        guard let prefix = cidr(value) else { return nil }
        families.insert(prefix.address.isV6)
        let longest = prefix.address.isV6 ? 128 : 32, length = Int(prefix.length)
        let lower = minimum.flatMap { $0.document.isInert ? nil : $0.integer(0...longest) }
        let upper = maximum.flatMap { $0.document.isInert ? nil : $0.integer(0...longest) }
        var result = DefinedSet.Prefix()
        result.prefix = prefix.description
        result.minimumLength = UInt32(clamping: lower ?? length)
        result.maximumLength = UInt32(clamping: upper ?? (lower == nil ? length : longest))
        if let lower, lower < length { minimum?.fail("is less than the length of \(prefix)") }
        if result.maximumLength < result.minimumLength {
            (maximum ?? value).fail("is less than the least length, \(result.minimumLength)")
        }
        return result
    }
    private func cidr(_ value: Value) -> IPPrefix? {
        guard let text = value.text() else { return nil }
        guard text.contains("/"), let prefix = IPPrefix(text) else {
            value.fail("expected a prefix such as 10.0.0.0/8 or 2001:db8::/32, found \(value.kind)")
            return nil
        }
        let written = text.split(separator: "/").first.flatMap { IPAddress(String($0)) }
        if written != prefix.address { value.warn("the address has bits beyond its length", hint: "means \(prefix)") }
        return prefix
    }
    /// An element of a list as gobgpd takes it.
    private func element(_ value: Value, _ word: SetWord) -> String? {
        switch word {
        case .prefix: return nil
        case .neighbor:
            if value.text()?.contains("/") == true { return cidr(value)?.description }
            return value.address().flatMap { IPPrefix($0, length: $0.isV6 ? 128 : 32) }?.description
        case .community: return community(value)
        case .asPath:
            guard let text = value.text() else { return nil }
            let allowed = "0123456789 _^$.*+?()[]{}|,-\\".utf8
            guard !text.isEmpty, text.utf8.count <= 255, text.utf8.allSatisfy({ allowed.contains($0) }) else {
                value.fail("expected a regular expression over AS numbers such as ^65001_, found \(value.kind)")
                return nil
            }
            return text
        }
    }
    /// `65000:100`, or one of the names of RFC 1997, RFC 7999 and RFC 8326.
    private func community(_ value: Value) -> String? {
        guard let text = value.text() else { return nil }
        switch text {
        case "no-export": return "65535:65281"
        case "no-advertise": return "65535:65282"
        case "no-export-subconfed": return "65535:65283"
        case "blackhole": return "65535:666"
        case "graceful-shutdown": return "65535:0"
        default: break
        }
        let halves = text.split(separator: ":", omittingEmptySubsequences: false).map { UInt16($0) }
        guard halves.count == 2, let first = halves[0], let second = halves[1] else {
            value.fail(
                "expected a community of two numbers up to 65535, found \(value.kind)",
                hint: "65000:100, no-export, no-advertise, no-export-subconfed, blackhole or graceful-shutdown")
            return nil
        }
        return "\(first):\(second)"
    }
    private func name(_ section: Section) -> Located<String>? {
        guard let value = section["name"] else {
            section.missing("name")
            return nil
        }
        guard let text = value.text() else { return nil }
        guard (1...64).contains(text.utf8.count),
            text.utf8.allSatisfy({ byte in
                (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
                    || byte == 0x5f || byte == 0x2d
            })
        else {
            value.fail("expected a name of up to 64 letters, digits, - and _, found \(value.kind)")
            return nil
        }
        if text.hasPrefix(PolicyDecoder.ownPrefix) {
            value.fail("names that begin with \(PolicyDecoder.ownPrefix) are made by evpnd")
            return nil
        }
        return Located(text, value)
    }

    // MARK: Policies

    private func decodePolicy(_ section: Section) {
        let name = name(section)
        var policy = Policy()
        policy.name = name?.value ?? ""
        var lines: [String: Int] = [:]
        if !section.has("statements") { section.missing("statements") }
        for element in section["statements"]?.list() ?? [] {
            let part = Section(element)
            let name = self.name(part)
            var statement = Statement()
            let conditions = part.section("conditions"), actions = part.section("actions")
            statement.conditions = decode(conditions)
            statement.actions = decode(actions)
            part.finish()
            guard let name else { continue }
            if let line = lines[name.value] {
                name.source.fail("statement \(name.value) is already defined at line \(line)")
                continue
            }
            lines[name.value] = name.line
            statement.name = "\(policy.name).\(name.value)"
            policy.statements.append(statement)
        }
        section.finish()
        guard let name else { return }
        if let line = policyLines[name.value] {
            return name.source.fail("policy \(name.value) is already defined at line \(line)")
        }
        policyLines[name.value] = name.line
        result.policies.append(policy)
    }
    private func decode(_ section: Section) -> Conditions {
        var conditions = Conditions()
        conditions.prefixSet = reference(section, "prefixSet", .prefix)
        conditions.neighborSet = reference(section, "neighborSet", .neighbor)
        conditions.asPathSet = reference(section, "asPathSet", .asPath)
        conditions.communitySet = reference(section, "communitySet", .community)
        section.unsupported("rpkiResult", "validation of origins needs a server, which evpnd does not give gobgpd")
        section.finish()
        return conditions
    }
    private func reference(_ section: Section, _ key: String, _ word: SetWord) -> MatchSet? {
        guard section.has(key) else {
            _ = section[key]
            return nil
        }
        let part = section.section(key)
        defer { part.finish() }
        let value = part["name"], match = part["match"]
        guard let value, let name = value.text() else {
            if value == nil { part.missing("name") }
            return nil
        }
        let known = setLines[word.type] ?? [:]
        if known[name] == nil {
            let names = known.keys.sorted().joined(separator: ", ")
            value.fail(
                "there is no \(word.rawValue) set \(value.kind)", hint: names.isEmpty ? nil : "defined: \(names)")
        }
        let kind = match.flatMap { $0.document.isInert ? nil : $0.word(MatchWord.self) } ?? .any
        if kind == .all, word == .prefix || word == .neighbor {
            match?.fail("a route has one \(word.rawValue): any or invert is meant")
        }
        return MatchSet(name, match: kind.match)
    }
    private func decode(_ section: Section) -> Actions {
        var actions = Actions()
        actions.routeAction =
            section["routeAction"].flatMap { $0.document.isInert ? nil : $0.word(ActionWord.self) }?.action ?? .none
        if section.has("community") {
            let part = section.section("community")
            var value = Actions.Communities()
            if let word = part["type"] {
                value.change = word.word(CommunityWord.self)?.change ?? .add
            } else {
                part.missing("type")
            }
            value.communities = part["communities"]?.list().compactMap { community($0) } ?? []
            if !part.has("communities") { part.missing("communities") }
            part.finish()
            if !value.communities.isEmpty { actions.communities = value }
        } else {
            _ = section["community"]
        }
        if section.has("med") {
            let part = section.section("med")
            var value = Actions.MED()
            if let word = part["type"] {
                if word.word(MEDWord.self) == .replace { value.change = .replace }
            } else {
                part.missing("type")
            }
            let limit = Int(UInt32.max)
            let range = value.change == .replace ? 0...limit : -limit...limit
            if let number = part["value"] {
                value.value = Int64(number.integer(range) ?? 0)
            } else {
                part.missing("value")
            }
            part.finish()
            // Nothing to add is nothing to do, and gobgpd would show it as a replacement.
            if value.change == .replace || value.value != 0 { actions.med = value }
        } else {
            _ = section["med"]
        }
        if section.has("asPrepend") {
            let part = section.section("asPrepend")
            var value = Actions.Prepend()
            if let number = part["asn"] {
                value.asn = UInt32(clamping: number.integer(1...Int(UInt32.max)) ?? 0)
            } else {
                part.missing("asn")
            }
            value.count = UInt32(clamping: part["repeat"]?.integer(1...255) ?? 1)
            part.finish()
            actions.prepend = value
        } else {
            _ = section["asPrepend"]
        }
        if let value = section["localPref"], !value.document.isInert, let number = value.integer(1...Int(UInt32.max)) {
            actions.localPreference = Actions.LocalPreference()
            actions.localPreference?.value = UInt32(clamping: number)
        }
        section.finish()
        return actions
    }

    // MARK: Where policies apply

    private func find(_ name: Located<String>) -> Policy? {
        if policyLines[name.value] != nil { return result.policies.first { $0.name == name.value } }
        let names = policyLines.keys.sorted().joined(separator: ", ")
        name.source.fail(
            "there is no policy \(name.source.kind)", hint: names.isEmpty ? nil : "defined: \(names)")
        return nil
    }
    private func references(_ applied: AppliedPolicies.Direction) -> [Policy] {
        applied.policies.compactMap { find($0) }.map { reference($0.name) }
    }
    private func reference(_ name: String) -> Policy {
        var reference = Policy()
        reference.name = name
        return reference
    }

    /// gobgpd has policies of a neighbor's own only for clients of a route server. The same comes of one policy for all whose
    /// statements ask for the neighbor too.
    private func apply(_ applied: AppliedPolicies, to prefix: IPPrefix) {
        guard !applied.importing.isEmpty || !applied.exporting.isEmpty else { return }
        let isHost = prefix.length == (prefix.address.isV6 ? 128 : 32)
        var set = DefinedSet()
        set.type = .neighbor
        set.name = PolicyDecoder.ownPrefix + "\(prefix.address)" + (isHost ? "" : "-\(prefix.length)")
        set.list = [prefix.description]
        result.sets.append(set)
        if let policy = narrow(applied.importing, set, "import") {
            result.policies.append(policy)
            result.importing.policies.append(reference(policy.name))
        }
        if let policy = narrow(applied.exporting, set, "export") {
            result.policies.append(policy)
            result.exporting.policies.append(reference(policy.name))
        }
    }
    private func narrow(_ applied: AppliedPolicies.Direction, _ set: DefinedSet, _ direction: String) -> Policy? {
        guard !applied.isEmpty else { return nil }
        var policy = Policy()
        policy.name = "\(set.name)-\(direction)"
        for name in applied.policies {
            guard let source = find(name) else { continue }
            if source.statements.contains(where: { $0.conditions?.neighborSet != nil }) {
                name.source.fail("policy \(source.name) chooses neighbors itself: it can only be applied globally")
            }
            statementsOfNeighbors += source.statements.count
            guard statementsOfNeighbors <= PolicyDecoder.statementLimit else {
                name.source.fail(
                    "neighbors with this policy need more than \(PolicyDecoder.statementLimit) statements",
                    hint: "apply it globally")
                break
            }
            for statement in source.statements {
                var statement = statement
                statement.name = "\(policy.name).\(statement.name)"
                statement.conditions?.neighborSet = MatchSet(set.name)
                policy.statements.append(statement)
            }
        }
        if applied.defaultAction != .none {
            var statement = Statement()
            statement.name = "\(policy.name).default"
            statement.conditions = Conditions()
            statement.conditions?.neighborSet = MatchSet(set.name)
            statement.actions = Actions()
            statement.actions?.routeAction = applied.defaultAction
            policy.statements.append(statement)
        }
        return policy
    }

    // MARK: VRFs

    private func decodeVRFs(_ section: Section) {
        var lines: [String: Int] = [:]
        var distinguishers: [RouteDistinguisher: Int] = [:]
        for element in section["vrfs"]?.list() ?? [] {
            let part = Section(element)
            let name = name(part)
            var vrf = VRF()
            if let value = part["rd"], let text = value.text() {
                vrf.rd = RouteDistinguisher(text)
                if let rd = vrf.rd {
                    if let line = distinguishers.updateValue(value.position.line, forKey: rd) {
                        value.fail("route distinguisher \(rd) is already used at line \(line)")
                    }
                } else {
                    value.fail("expected a route distinguisher such as 65000:100, found \(value.kind)")
                }
            } else {
                part.missing("rd")
            }
            vrf.importTargets = targets(part["importRt"])
            vrf.exportTargets = targets(part["exportRt"])
            let netlink = "gobgpd itself exchanges no routes with the kernel; an entry of evpnd's own vrfs does"
            part.unsupported("netlinkImport", netlink)
            part.unsupported("netlinkExport", netlink)
            part.finish()
            guard let name else { continue }
            if let line = lines.updateValue(name.line, forKey: name.value) {
                name.source.fail("VRF \(name.value) is already defined at line \(line)")
                continue
            }
            vrf.name = name.value
            result.vrfs.append(vrf)
        }
    }
    private func targets(_ value: Value?) -> [RouteTarget] {
        var result: [RouteTarget] = []
        for element in value?.list() ?? [] {
            guard let text = element.text() else { continue }
            guard let target = RouteTarget(text) else {
                element.fail("expected a route target such as 65000:100, found \(element.kind)")
                continue
            }
            if result.contains(target) {
                element.fail("route target \(target) is listed twice")
            } else {
                result.append(target)
            }
        }
        return result
    }
}
