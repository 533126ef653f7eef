// What the agent asks of whatever forwards for it.

import EVPN
import Intents
import LinuxDataplane
import NetTypes
import OVSDataplane

/// Forwards as the control plane says, and reports what it learns. Confined to the loop's thread.
protocol Dataplane: AnyObject {
    /// Called with batches of local facts, in the order they happened.
    var onLocalChanges: (([LocalChange]) -> Void)? { get set }

    /// What this host serves. `vtep`: its address where a domain has none of its own.
    func configure(_ overlay: Overlay, _ configuration: Configuration, vtep: IPAddress?)
    /// Rows to set or remove; those whose place is not there are remembered.
    func apply(_ changes: [ForwardingChange])
    /// Whether it can ask hosts.
    var asksHosts: Bool { get }
    /// Finds out whether the host that has an address here still has it: `answered` is called when it has, or cannot be asked; if it does
    /// not answer, that is reported as a local fact.
    func ask(_ key: NeighborKey, _ answered: @escaping () -> Void)
    /// What was found at start and is not wanted may be removed from now on.
    func allowPruning()
    /// Stops observing; forwarding stays.
    func close()
    /// Removes everything of ours and stops; `done` is called with what was done, as commands.
    func cleanup(_ done: @escaping ([String]) -> Void)

    /// What forwards, in a word: `kernel`, `bridge`.
    var place: String { get }
    /// Why it is not ready; nil when everything configured has been looked at: it is usable, or it is known why not.
    var notReady: String? { get }
    var statistics: DataplaneStatistics { get }
    /// How far a row has come.
    func status(of key: ForwardingKey) -> EntryStatus
    /// What forwards for a key now; nil: nothing.
    func kernelEntry(of key: ForwardingKey) -> KernelEntry?
    /// What has come of asking for an address in a domain's subnet; nil: nobody has asked.
    func resolution(of key: NeighborKey) -> NeighborResolution?
    /// What would be changed now, as commands; empty when everything is as wanted.
    func plan(_ done: @escaping ([String]) -> Void)
    /// Sorted by VNI, and by name.
    func domains() -> [DomainStatus]
    func vrfStatus() -> [VRFStatus]
}

/// One that finds VNIs which an operator made there.
protocol DiscoveringDataplane: Dataplane {
    /// Called after `operatorVNIs` has changed.
    var onOperatorVNIs: (() -> Void)? { get set }
    /// VNIs of devices that somebody else made.
    var operatorVNIs: Set<VNI> { get }
}

extension LinuxDataplanes: DiscoveringDataplane {
    func configure(_ overlay: Overlay, _ configuration: Configuration, vtep: IPAddress?) {
        var hosts: [VNI: [StaticMAC]] = [:]
        for evi in overlay.evis where !evi.staticMACs.isEmpty { hosts[evi.vni] = evi.staticMACs }
        configure(overlay.evis.map(\.domain), vrfs: overlay.vrfs, hosts: hosts, defaultVTEP: vtep)
    }
    var asksHosts: Bool { true }
    func cleanup(_ done: @escaping ([String]) -> Void) { done(cleanup()) }
    func plan(_ done: @escaping ([String]) -> Void) { done(plan()) }
    var place: String { "kernel" }
    var notReady: String? { isReady ? nil : "the kernel's state has not been read yet" }
}

extension OVSDataplane: Dataplane {
    var place: String { "bridge" }
    /// Addresses of hosts behind the bridge are declared with their clients: nobody is asked whether a declared one is there.
    var asksHosts: Bool { false }
    func ask(_ key: NeighborKey, _ answered: @escaping () -> Void) { answered() }
    /// Nor is anybody asked for an address that is not known.
    func resolution(of key: NeighborKey) -> NeighborResolution? { nil }
    func configure(_ overlay: Overlay, _ configuration: Configuration, vtep: IPAddress?) {
        // Another dataplane is for the next start.
        guard let bridge = configuration.openVSwitch else { return }
        configure(bridge, overlay, vtep: vtep)
    }
}
