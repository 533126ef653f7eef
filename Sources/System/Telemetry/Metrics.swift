// Metrics in Prometheus' data model. Confined to the loop's thread.

/// A number that only grows, or a level; which of the two is told by its family.
public final class Metric {
    public var value: Double = 0
    public func increment(by amount: Double = 1) { value += amount }
}

public final class MetricRegistry {
    public enum Kind: String { case counter, gauge }
    private final class FamilyOfMetrics {
        let kind: Kind
        let help: String
        var metrics: [String: Metric] = [:]
        init(kind: Kind, help: String) {
            self.kind = kind
            self.help = help
        }
    }
    private var families: [String: FamilyOfMetrics] = [:]
    private var collectors: [(MetricRegistry) -> Void] = []
    public init() {}

    /// The metric `name{labels}`; made at first use. `name` follows Prometheus' rules (`evpnd_…_total` for counters).
    public func counter(_ name: String, _ help: String, _ labels: KeyValuePairs<String, String> = [:]) -> Metric {
        metric(.counter, name, help, labels)
    }
    public func gauge(_ name: String, _ help: String, _ labels: KeyValuePairs<String, String> = [:]) -> Metric {
        metric(.gauge, name, help, labels)
    }
    /// Called before each scrape, to set gauges that are cheaper to compute than to maintain.
    public func onCollect(_ body: @escaping (MetricRegistry) -> Void) { collectors.append(body) }
    /// Forgets every metric of a family, e.g. when its labels name a neighbor that is gone.
    public func clear(_ name: String) { families[name]?.metrics = [:] }

    /// Prometheus text format 0.0.4, sorted.
    public func text() -> String {
        for collect in collectors { collect(self) }
        var text = ""
        for (name, family) in families.sorted(by: { $0.key < $1.key }) {
            text += "# HELP \(name) \(family.help)\n# TYPE \(name) \(family.kind.rawValue)\n"
            for (labels, metric) in family.metrics.sorted(by: { $0.key < $1.key }) {
                let value = metric.value
                let number = value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : "\(value)"
                text += "\(name)\(labels) \(number)\n"
            }
        }
        return text
    }

    private func metric(_ kind: Kind, _ name: String, _ help: String, _ labels: KeyValuePairs<String, String>) -> Metric
    {
        let family = families[name] ?? FamilyOfMetrics(kind: kind, help: help)
        families[name] = family
        var key = ""
        for (label, value) in labels {
            var escaped = ""
            for character in value {
                switch character {
                case "\\": escaped += "\\\\"
                case "\"": escaped += "\\\""
                case "\n": escaped += "\\n"
                default: escaped.append(character)
                }
            }
            key += (key.isEmpty ? "{" : ",") + "\(label)=\"\(escaped)\""
        }
        if !key.isEmpty { key += "}" }
        if let metric = family.metrics[key] { return metric }
        let metric = Metric()
        family.metrics[key] = metric
        return metric
    }
}
