// Forwarding of packets between interfaces: IPv4 by device, where the plans see to it, IPv6 for the whole network namespace.

import AsyncIO
import EVPN
import Glibc
import NetTypes
import Netlink
import Telemetry

/// What has become of `net.ipv6.conf.all.forwarding`, which the managed layer-3 interfaces with IPv6 addresses need.
struct IPv6Forwarding: Equatable {
    var isNeeded = false
    /// It is being looked at, or will be after a pause.
    var isPending = false
    /// As it was last told; nil: not known.
    var isOn: Bool?
    var problem: String?
}

extension LinuxDataplane {
    /// A forwarding setting of a device, or (-1) of all, has changed.
    func changed(_ setting: ForwardingSetting) {
        if setting.isV6 {
            guard setting.interface == -1, ipv6Forwarding.isOn != setting.isOn else { return }
            ipv6Forwarding.isOn = setting.isOn
            if setting.isOn { ipv6Forwarding.problem = nil }
            return evaluateIPv6Forwarding()
        }
        guard var link = links[setting.interface], link.forwardsIPv4 != setting.isOn else { return }
        link.forwardsIPv4 = setting.isOn
        update(setting.interface, link)
    }
    /// Sees to it that IPv6 packets are forwarded when a managed VRF has IPv6.
    func evaluateIPv6Forwarding() {
        ipv6Forwarding.isNeeded = domainsByVNI.values.contains { domain in
            guard let configuration = domain.configuration, configuration.isManaged, let routed = configuration.routed,
                domain.devices != nil
            else { return false }
            return routed.addresses.contains { $0.ip.isV6 && !$0.ip.isLinkLocal }
        }
        // In a namespace of tenants `TenantNamespace` sees to it.
        guard namespace == nil, ipv6Forwarding.isNeeded, ipv6Forwarding.isOn != true, !ipv6Forwarding.isPending else {
            return
        }
        ipv6Forwarding.isPending = true
        // Those that an operator may want to hear routers on.
        let names = links.sorted.filter { !$0.isLoopback && $0.master == 0 && DeviceMark($0.alias) == nil }
            .map(\.name)
        let me = OnLoop(self)
        worker.submit { [handle = loop.handle] in
            let outcome = IPv6ForwardingOutcome(interfaces: names)
            handle.post { me { $0.settled(outcome) } }
        }
    }
    private func settled(_ outcome: IPv6ForwardingOutcome) {
        guard !isClosed else { return }
        ipv6Forwarding.isPending = outcome.problem != nil
        ipv6Forwarding.isOn = outcome.problem == nil
        if outcome.hasChanged {
            let deaf = outcome.deaf.joined(separator: ", ")
            log.warning(
                "dataplane.ipv6.forwarding",
                [
                    "command": "sysctl -w net.ipv6.conf.all.forwarding=1",
                    "reason": "a managed VRF routes IPv6",
                    "note": deaf.isEmpty
                        ? "" : "no router advertisements are accepted any more on \(deaf) (accept_ra=1)",
                ])
        }
        if ipv6Forwarding.problem != outcome.problem {
            ipv6Forwarding.problem = outcome.problem
            if let problem = outcome.problem { log.warning("dataplane.ipv6.forwarding", ["problem": problem]) }
        }
        guard outcome.problem != nil else { return }
        loop.schedule(after: .seconds(30)) { [weak self] in
            guard let self, !isClosed else { return }
            ipv6Forwarding.isPending = false
            evaluateIPv6Forwarding()
        }
    }
}

/// Commands that switch forwarding on.
enum Forwarding {
    /// Of IPv4 packets that come in by one device.
    static func command(_ device: String) -> String { "sysctl -w net/ipv4/conf/\(device)/forwarding=1" }
    static let ipv4 = "sysctl -w net.ipv4.ip_forward=1"
    static let ipv6 = "sysctl -w net.ipv6.conf.all.forwarding=1"
}

extension LinuxDataplane {
    /// Asks for the setting of all devices, which is told only when it changes.
    func readIPv6Forwarding() {
        _ = asking.transact(
            1,
            reply: { _, message in
                guard message.type == MessageType.newSettings,
                    let setting = ForwardingSetting(decoding: message.payload), setting.isV6, setting.interface == -1
                else { return }
                self.ipv6Forwarding.isOn = setting.isOn
            },
            { batch, _, sequence in batch.getSettings(sequence: sequence, family: Family.ipv6) })
    }
    /// Why packets that come into a VRF are dropped although it has routes: the kernel is not told to forward them.
    func forwardingFault(of vrf: VRF) -> (problem: String, remedy: String)? {
        guard let binding = vrf.binding, vrf.configuration.place != .underlay else { return nil }
        let inside: (String) -> String = { command in
            self.namespace.map { "ip netns exec \($0.name) \(command)" } ?? command
        }
        let place = namespace.map { " in network namespace \($0.name)" } ?? ""
        let interfaces = links.sorted.filter {
            $0.master == binding.interface && $0.isUp && !$0.isLoopback && $0.vrfTable == 0
        }
        func hasSubnet(_ link: Link, isV6: Bool) -> Bool {
            links.addresses[link.interface]?.contains { $0.ip.isV6 == isV6 && !$0.ip.isLinkLocal } ?? false
        }
        let closed = interfaces.filter {
            $0.forwardsIPv4 == false && (hasSubnet($0, isV6: false) || byNeighbor[$0.interface]?.isTransit == true)
        }
        if !closed.isEmpty {
            let commands = closed.map { Forwarding.command($0.name) }.joined(separator: "; ")
            return (
                "IPv4 forwarding is off on \(closed.map(\.name).sorted().joined(separator: ", "))\(place)",
                inside(namespace == nil ? commands : Forwarding.ipv4)
            )
        }
        guard ipv6Forwarding.isOn == false, interfaces.contains(where: { hasSubnet($0, isV6: true) }) else {
            return nil
        }
        return ("IPv6 forwarding is off\(place)", inside(Forwarding.ipv6))
    }
}

/// What came of switching it on.
private struct IPv6ForwardingOutcome: Sendable {
    /// It was off.
    var hasChanged = false
    var problem: String?
    /// Interfaces that took router advertisements and do not any more.
    var deaf: [String] = []

    /// To be made on the worker's thread, whose network namespace is the dataplane's: `/proc/sys/net` is that of the thread that
    /// opens it.
    init(interfaces: [String]) {
        let settings = "/proc/sys/net/ipv6/conf/"
        guard let now = KernelSetting.read(settings + "all/forwarding") else {
            problem = "the kernel has no IPv6"
            return
        }
        guard now == "0" else { return }
        let listening = interfaces.filter {
            KernelSetting.read(settings + $0 + "/accept_ra") == "1"
                && KernelSetting.read(settings + $0 + "/forwarding") == "0"
        }
        if let reason = KernelSetting.write(settings + "all/forwarding", "1") {
            problem = "IPv6 forwarding is off (\(reason)): sysctl -w net.ipv6.conf.all.forwarding=1"
        } else {
            hasChanged = true
            deaf = listening
        }
    }
}

/// Files of `/proc/sys`, in the network namespace of the calling thread.
enum KernelSetting {
    /// Without the end of the line; nil: there is no such setting, or it may not be read.
    static func read(_ path: String) -> String? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var octets = [UInt8](repeating: 0, count: 64)
        let count = Glibc.read(file, &octets, octets.count)
        guard count >= 0 else { return nil }
        return String(decoding: octets[..<count].prefix { $0 != 10 }, as: UTF8.self)
    }
    /// Nil: done; otherwise why not.
    static func write(_ path: String, _ value: String) -> String? {
        let file = open(path, O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { return String(cString: strerror(errno)) }
        defer { close(file) }
        let octets = Array(value.utf8)
        return Glibc.write(file, octets, octets.count) == octets.count ? nil : String(cString: strerror(errno))
    }
}
