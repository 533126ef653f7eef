// The links of neighbors with link-local addresses: what the kernel says about them, and the router messages that cross them.

import AsyncIO
import BGPEngine
import Glibc
import NetTypes
import Netlink
import Telemetry

final class Links {
    var onInterface: ((String, InterfaceFacts?) -> Void)?
    var onMessage: ((UnsafeRawBufferPointer, IPv6Address, String, Int) -> Void)?
    /// Why neighbors by interface cannot be found, one sentence each; empty when all is well or there are none.
    var problems: [String] { [watchProblem, socketProblem].compactMap { $0 } }

    private let loop: EventLoop
    private let log: Log
    private var watch: InterfaceWatch?
    private var socket: RouterSocket?
    private var watchProblem: String?
    private var socketProblem: String?
    private var discoveryInterfaces: Set<String> = []
    /// Numbers of the interfaces whose group was joined: an interface that is made anew has another one.
    private var joined: Set<UInt32> = []

    init(loop: EventLoop, log: Log) {
        self.loop = loop
        self.log = log
    }
    deinit { if let socket { loop.unwatch(socket.descriptor) } }

    /// Opens what the plan needs and closes what it does not.
    func configure(_ plan: TransportPlan) {
        discoveryInterfaces = Set(plan.discoveryInterfaces)
        if plan.discoveryInterfaces.isEmpty {
            if let socket { loop.unwatch(socket.descriptor) }
            socket = nil
            socketProblem = nil
            joined = []
        } else if socket == nil {
            openSocket()
        }
        if plan.interfaces.isEmpty {
            watch = nil
            watchProblem = nil
            return
        }
        if watch == nil { openWatch() }
        watch?.watch(plan.interfaces)
    }

    func send(_ transmission: RouterTransmission) {
        guard let socket, let error = socket.send(transmission) else { return }
        // An interface may go down while its advertisement is on the way; the next one says whether that lasts.
        log.debug("bgp.discovery.send", ["reason": error.description])
    }

    private func openSocket() {
        do throws(SystemError) {
            let socket = try RouterSocket()
            loop.watch(socket.descriptor, .readable) { [weak self] _ in self?.receive() }
            self.socket = socket
            socketProblem = nil
        } catch {
            let wayOut = error.code == EPERM ? "; evpnd needs CAP_NET_RAW" : ""
            let problem =
                "router advertisements can be neither sent nor heard, so no neighbor is found by its interface: "
                + "\(error)\(wayOut)"
            if problem != socketProblem { log.warning("bgp.discovery.failed", ["reason": problem]) }
            socketProblem = problem
        }
    }
    private func openWatch() {
        do throws(NetlinkFailure) {
            let watch = try InterfaceWatch(loop: loop)
            watch.onChange = { [weak self] in self?.changed($0, $1) }
            self.watch = watch
            watchProblem = nil
        } catch {
            watchProblem = "the kernel cannot be asked about interfaces: \(error)"
            log.warning("bgp.interfaces.failed", ["reason": watchProblem ?? ""])
        }
    }

    private func changed(_ name: String, _ facts: InterfaceFacts?) {
        if let facts, discoveryInterfaces.contains(name), let socket, !joined.contains(facts.index) {
            if let error = socket.join(facts.index) {
                log.warning("bgp.discovery.join", ["interface": name, "reason": error.description])
            } else {
                joined.insert(facts.index)
            }
        }
        onInterface?(name, facts)
    }
    private func receive() {
        socket?.read { [weak self] bytes, source, index, hopLimit in
            guard let self, let name = self.watch?.name(of: index), self.discoveryInterfaces.contains(name) else {
                return
            }
            self.onMessage?(bytes, source, name, hopLimit)
        }
    }
}
