// In the place of evpn-connector: its flows go once ours are there.

import OpenFlow
import OpenFlowClient
import OpenFlowPipeline
import Telemetry

extension OVSDataplane {
    /// Flows of evpn-connector that we want too have become ours already, with our cookie. Those that it made for what is no longer there
    /// are removed, nobody else's.
    func removeConnectorFlows() {
        takesOver = false
        link.readUnmarked { [weak self] flows in
            guard let self, !self.isClosed else { return }
            // Once more when the bridge is back.
            guard let flows else { return self.takesOver = true }
            let wanted = Set(self.tables.allFlows.map(\.key))
            let old = flows.filter { $0.isConnectors && !wanted.contains($0.key) }
            guard !old.isEmpty else { return }
            // Only what has our cookie can be deleted, so it gets it.
            let marked = old.map { flow in
                var flow = flow
                flow.cookie = Layout.cookie
                return flow
            }
            self.link.send(marked.map { .flow(.set($0)) } + marked.map { .flow(.delete($0.key)) }) {
                [weak self] refusals in
                self?.log.info(
                    "ovs.taken-over", ["removed": "\(old.count)", "refused": "\(Set(refusals.map(\.index)).count)"])
            }
        }
    }
}
