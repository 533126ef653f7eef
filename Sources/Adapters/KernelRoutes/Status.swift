// Metrics, by the names of the gobgp-netlink daemon, and what `show` needs.

import NetTypes
import Telemetry
public import UnicastRoutes

extension KernelRoutes {
    public var importedPrefixes: ImportedPrefixes { imported }
    public var exportTable: ExportTable { table }
    /// A route of the kernel in the words of `ip route`.
    public func text(_ route: KernelRoute) -> String {
        String(route.text(interface: interfaceName).drop { $0 == " " })
    }

    func registerMetrics(_ metrics: MetricRegistry) {
        metrics.onCollect { [weak self] metrics in
            guard let self else { return }
            let isExporting = table.settings != nil
            let statistics = table.statistics
            metrics.gauge("bgp_netlink_import_enabled", "Whether networks of interfaces are announced").value =
                imported.isEnabled ? 1 : 0
            metrics.gauge("bgp_netlink_export_enabled", "Whether unicast routes are put into kernel tables").value =
                isExporting ? 1 : 0
            guard kernel != nil else { return }
            for (name, help, value) in [
                ("bgp_netlink_imported_total", "Networks announced", imported.importedTotal),
                ("bgp_netlink_import_withdrawn_total", "Networks withdrawn", imported.withdrawnTotal),
                ("bgp_netlink_import_errors_total", "Failures to read interfaces", importErrors),
                ("bgp_netlink_import_loop_ticks_total", "Grows while import is enabled and alive", ticks),
                ("bgp_netlink_import_addr_events_total", "Addresses that came or went", addressEvents),
                ("bgp_netlink_exported_total", "Routes put into kernel tables", statistics.exported),
                ("bgp_netlink_export_withdrawn_total", "Routes removed from kernel tables", statistics.withdrawn),
                ("bgp_netlink_export_errors_total", "Routes that the kernel refused", statistics.errors),
                ("bgp_netlink_nexthop_validation_total", "Next hops looked up", statistics.validations),
                ("bgp_netlink_nexthop_failed_total", "Next hops found unreachable", statistics.validationFailures),
                (
                    "bgp_netlink_dampened_updates_total", "Changes that were joined with an earlier one",
                    statistics.dampened
                ),
                (
                    "bgp_netlink_cleanup_routes_deleted_total", "Routes of an earlier run that were removed",
                    statistics.sweptDeleted
                ),
                (
                    "bgp_netlink_cleanup_routes_skipped_total", "Routes of an earlier run that are wanted again",
                    statistics.sweptKept
                ),
            ] {
                metrics.counter(name, help).value = Double(value)
            }
            let counts = table.counts
            for (state, value) in [
                ("installed", counts.installed), ("pending", counts.pending), ("waiting", counts.waiting),
                ("failed", counts.failed),
            ] {
                metrics.gauge("evpnd_exported_routes", "Exported unicast routes by state", ["state": state]).value =
                    Double(value)
            }
        }
    }
}
