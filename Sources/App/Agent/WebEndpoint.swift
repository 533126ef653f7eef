// `/metrics`, `/healthz` and `/readyz`. A taken port is no reason to stop forwarding: it is tried again.

import AsyncIO
import Glibc
import HTTP
import Intents
import Telemetry

final class WebEndpoint {
    private let loop: EventLoop
    private let log: Log
    private let endpoint: TelemetryConfiguration.Endpoint
    private let handler: HTTPServer.Handler
    private var server: HTTPServer?
    private var retry: TimerID?
    private var hasWarned = false

    init(
        loop: EventLoop, log: Log, endpoint: TelemetryConfiguration.Endpoint, handler: @escaping HTTPServer.Handler
    ) {
        self.loop = loop
        self.log = log
        self.endpoint = endpoint
        self.handler = handler
        open()
    }

    private func open() {
        do throws(SystemError) {
            let listener = try listenTCP(endpoint.address, port: endpoint.port)
            server = HTTPServer(loop: loop, listener: listener, handler: handler)
            if server == nil { Glibc.close(listener) }
            log.info("telemetry.listen", ["address": endpoint.description])
        } catch {
            if !hasWarned {
                log.warning("telemetry.listen.failed", ["reason": "\(error)", "action": "retry every 10s"])
            }
            hasWarned = true
            retry = loop.schedule(after: .seconds(10)) { [weak self] in self?.open() }
        }
    }

    func close() {
        if let retry { loop.cancel(retry) }
        server?.close()
        server = nil
    }
}
