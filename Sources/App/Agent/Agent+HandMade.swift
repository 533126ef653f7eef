// Hand-made routes: made, taken back, kept over restarts when asked, and never in the way of evpnd's own.

import BGP
import BGPEngine
import Documents
import EVPN
import Glibc
import Intents
import NetTypes
import Telemetry
import YAML

/// The routes that operators made.
struct HandMadeRoutes {
    /// Enough for a test bed; whoever needs more has a program, which can speak BGP.
    static let limit = 10_000
    let path: String
    var routes: [RouteKey: HandMadeRoute] = [:]
    /// Keys that evpnd itself announces now.
    var covered: Set<RouteKey> = []
    /// Lines of the file that could not be used; they are kept.
    var unusable: [String] = []

    /// False when the file cannot be written.
    func save() -> Bool {
        let lines =
            unusable
            + routes.filter(\.value.isPersistent).sorted { $0.key < $1.key }.map { $0.value.request.description }
        guard !lines.isEmpty else { return unlink(path) == 0 || errno == ENOENT }
        guard let file = fopen(path + ".new", "we") else { return false }
        for line in lines { fputs(line + "\n", file) }
        return fclose(file) == 0 && rename(path + ".new", path) == 0
    }
}

extension Agent {
    private var handMadeDefaults: HandMadeDefaults {
        HandMadeDefaults(asn: configuration.bgp.asn, routerID: configuration.bgp.routerID, vtep: nodeAddress)
    }

    /// Announces what the run before was asked to keep.
    func restoreHandMade() {
        guard case .success(let bytes) = readFile(handMade.path, limit: 16 << 20) else { return }
        for line in bytes.split(separator: 0x0a).prefix(HandMadeRoutes.limit) {
            guard let request = JSONValue(parsing: Array(line)),
                case .success(let made) = HandMadeRoute.parse(request, handMadeDefaults)
            else {
                let text = String(decoding: line, as: UTF8.self)
                handMade.unusable.append(text)
                log.warning("routes.unusable", ["file": handMade.path, "line": text])
                continue
            }
            handMade.routes[made.key] = made
            speaker.advertise([AdvertisementChange(key: made.key, route: made.route)])
        }
    }

    func advertise(_ request: JSONValue, _ client: ControlServer.Client) {
        switch HandMadeRoute.parse(request, handMadeDefaults) {
        case .failure(let error): client.fail(error.reason)
        case .success(let made):
            let isNew = handMade.routes[made.key] == nil
            if isNew, speaker.explain(made.key).contains(where: { $0.route.peer == .local }) {
                return client.fail("evpnd announces \(made.key) itself; give another --rd")
            }
            guard !isNew || handMade.routes.count < HandMadeRoutes.limit else {
                return client.fail("there are \(HandMadeRoutes.limit) routes made by hand, which is the limit")
            }
            let wasPersistent = handMade.routes[made.key]?.isPersistent ?? false
            handMade.routes[made.key] = made
            speaker.advertise([AdvertisementChange(key: made.key, route: made.route)])
            if made.isPersistent || wasPersistent, !handMade.save() {
                return client.fail(
                    "announced, but \(handMade.path) cannot be written: \(String(cString: strerror(errno)))")
            }
            client.send(.reply("routes", .array([JSONValue(made.key.description)])))
        }
    }

    func withdraw(_ request: JSONValue, _ client: ControlServer.Client) {
        let keys: [RouteKey]
        if request["words"] == .array(["all"]) {
            keys = handMade.routes.keys.sorted()
        } else {
            switch HandMadeRoute.parse(request, handMadeDefaults) {
            case .failure(let error): return client.fail(error.reason)
            case .success(let made):
                guard handMade.routes[made.key] != nil else {
                    return client.fail("\(made.key) was not made by hand; evpnctl advertise lists those that were")
                }
                keys = [made.key]
            }
        }
        var needsSave = false
        for key in keys {
            guard let gone = handMade.routes.removeValue(forKey: key) else { continue }
            needsSave = needsSave || gone.isPersistent
            if handMade.covered.remove(key) == nil {
                speaker.advertise([AdvertisementChange(key: key, route: nil)])
            }
        }
        if needsSave, !handMade.save() {
            return client.fail("withdrawn, but \(handMade.path) cannot be written: \(String(cString: strerror(errno)))")
        }
        client.send(.reply("routes", .array(keys.map { JSONValue($0.description) })))
    }

    func listHandMade(_ client: ControlServer.Client) {
        let rows = handMade.routes.values.sorted { $0.key < $1.key }.map { made -> JSONValue in
            [
                "route": JSONValue(made.key.description), "persistent": JSONValue(made.isPersistent),
                "covered": JSONValue(handMade.covered.contains(made.key)),
            ]
        }
        client.send(.reply("routes", .array(rows)))
    }

    /// What the speaker is to do about changes of evpnd's own routes: a route made by hand stands in again where ours goes.
    func withHandMade(_ changes: [AdvertisementChange]) -> [AdvertisementChange] {
        guard !handMade.routes.isEmpty else { return changes }
        return changes.map { change in
            guard let made = handMade.routes[change.key] else { return change }
            if change.route != nil {
                handMade.covered.insert(change.key)
                return change
            }
            handMade.covered.remove(change.key)
            return AdvertisementChange(key: change.key, route: made.route)
        }
    }
}
