// `manage: true`: gobgpd's own configuration from `bgp:`.

import BGPEngine
import GoBGPAPI
import NetTypes

struct GoBGPManager {
    static func global(_ configuration: BGPConfiguration) -> Global {
        var global = Global(
            asn: configuration.asn, routerID: configuration.routerID,
            listenPort: configuration.listenPort == 0 ? -1 : Int32(configuration.listenPort))
        global.listenAddresses = configuration.listenAddresses.map(\.description)
        global.bindToDevice = configuration.bindToDevice ?? ""
        global.gracefulRestart.isEnabled = configuration.gracefulRestart.isEnabled
        global.gracefulRestart.restartTime = UInt32(configuration.gracefulRestart.restartTimeSeconds)
        global.gracefulRestart.isHelperOnly = configuration.gracefulRestart.helperOnly
        global.routeSelection.alwaysCompareMED = configuration.alwaysCompareMED
        return global
    }
}

extension GoBGPSpeaker {
    func manage() {
        guard settings.manages else { return }
    }
}
