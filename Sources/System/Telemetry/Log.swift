// Structured log: one line per event, `key=value` with stable keys, to a descriptor (systemd's journal or a terminal).

import CLinux
import Glibc

public enum LogLevel: Int, Comparable, Sendable, CaseIterable {
    case debug, info, warning, error
    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    public init?(_ name: String) {
        switch name {
        case "debug": self = .debug
        case "info": self = .info
        case "warning": self = .warning
        case "error": self = .error
        default: return nil
        }
    }
    public var name: String {
        switch self {
        case .debug: "debug"
        case .info: "info"
        case .warning: "warning"
        case .error: "error"
        }
    }
}

/// Writes log lines. Confined to the loop's thread.
public final class Log {
    public var level: LogLevel {
        get { parent?.level ?? ownLevel }
        set { if let parent { parent.level = newValue } else { ownLevel = newValue } }
    }
    private var ownLevel: LogLevel
    private let sink: (String) -> Void
    private let parent: Log?
    /// At the end of every line.
    private let context: [(key: String, value: String)]

    /// `sink` gets each line without its newline.
    public init(level: LogLevel = .info, sink: @escaping (String) -> Void) {
        ownLevel = level
        self.sink = sink
        parent = nil
        context = []
    }
    /// The same log, with the same level, for a part whose lines all end in these fields.
    public init(_ parent: Log, _ context: KeyValuePairs<String, String>) {
        ownLevel = parent.level
        sink = parent.sink
        self.parent = parent
        self.context = parent.context + context.map { ($0.key, $0.value) }
    }

    /// `event` is a stable dotted word (`session.established`); values with spaces or quotes are quoted.
    public func write(_ level: LogLevel, _ event: String, _ fields: KeyValuePairs<String, String> = [:]) {
        guard level >= self.level else { return }
        write(level, event, fields: fields.map { ($0.key, $0.value) })
    }
    /// The same with fields that are known only at run time.
    public func write(_ level: LogLevel, _ event: String, fields: [(key: String, value: String)]) {
        guard level >= self.level else { return }
        var line = "level=\(level.name) event=\(event)"
        for (key, value) in fields + context { line += " \(key)=\(Log.quoted(value))" }
        sink(line)
    }
    public func debug(_ event: String, _ fields: KeyValuePairs<String, String> = [:]) { write(.debug, event, fields) }
    public func info(_ event: String, _ fields: KeyValuePairs<String, String> = [:]) { write(.info, event, fields) }
    public func warning(_ event: String, _ fields: KeyValuePairs<String, String> = [:]) {
        write(.warning, event, fields)
    }
    public func error(_ event: String, _ fields: KeyValuePairs<String, String> = [:]) { write(.error, event, fields) }

    private static func quoted(_ value: String) -> String {
        let needsQuotes = value.isEmpty || value.utf8.contains { $0 <= 0x20 || $0 == 0x22 || $0 == 0x3d || $0 == 0x7f }
        guard needsQuotes else { return value }
        var text = "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            default: text += scalar.value < 0x20 || scalar.value == 0x7f ? "?" : String(scalar)
            }
        }
        return text + "\""
    }
}
