// Files that other programs write, followed by inotify(7). Events are only a reason to look: they can be lost, and whoever is told looks at
// everything anyway.

import CLinux
import Glibc
import NetTypes

/// Says when something in a directory may have changed: events are gathered until they pause, and a slow check runs beside them. The
/// directory may be missing, and may be removed and made again.
public final class DirectoryWatch {
    private let loop: EventLoop
    private let path: String
    private let names: Set<String>?
    private let period: Duration
    private let onChange: (Set<String>) -> Void
    /// -1: none is to be had, and only the slow check is left.
    private let descriptor: Int32
    private var directory: Int32 = -1
    private var parent: Int32 = -1
    private var pending: Set<String> = []
    private var firstEvent: Instant?
    private var timer: TimerID?
    private var check: TimerID?
    private var isClosed = false

    /// How long events must pause, and how long they are waited for at most.
    private static let pause = Duration.milliseconds(50)
    private static let patience = Duration.milliseconds(500)

    /// `names`: only these files matter; nil: all. `onChange` gets the names that events were about, for files whose times and sizes do not
    /// show that they were written; it is also called every `period`. Nothing is called before the loop runs.
    public init(
        loop: EventLoop, path: String, names: Set<String>? = nil, period: Duration = .seconds(30),
        onChange: @escaping (Set<String>) -> Void
    ) {
        self.loop = loop
        self.path = path
        self.names = names
        self.period = period
        self.onChange = onChange
        descriptor = inotify_init1(Int32(IN_NONBLOCK) | Int32(IN_CLOEXEC))
        attach()
        if descriptor >= 0 { loop.watch(descriptor, .readable) { [weak self] _ in self?.read() } }
        repeatCheck()
    }

    public func close() {
        guard !isClosed else { return }
        isClosed = true
        if descriptor >= 0 {
            loop.unwatch(descriptor)
            Glibc.close(descriptor)
        }
        if let timer { loop.cancel(timer) }
        if let check { loop.cancel(check) }
    }

    private func repeatCheck() {
        check = loop.schedule(after: period) { [weak self] in
            guard let self, !self.isClosed else { return }
            self.repeatCheck()
            self.report()
        }
    }

    /// Watches the directory that has the name now, and the one it is in.
    private func attach() {
        guard descriptor >= 0 else { return }
        let contents =
            IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF
            | IN_MOVE_SELF | IN_ONLYDIR
        let watch = inotify_add_watch(descriptor, path, UInt32(contents))
        if watch != directory, directory >= 0 { inotify_rm_watch(descriptor, directory) }
        directory = watch
        let above = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        let outer = inotify_add_watch(
            descriptor, above.isEmpty ? "/" : above, UInt32(IN_CREATE | IN_MOVED_TO | IN_ONLYDIR))
        if outer != parent, parent >= 0, parent != directory { inotify_rm_watch(descriptor, parent) }
        parent = outer
    }

    /// `struct inotify_event`: wd (4), mask (4), cookie (4), len (4), name (len, padded with zeros).
    private func read() {
        let own = path.lastIndex(of: "/").map { String(path[path.index(after: $0)...]) } ?? path
        var isOfInterest = false
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            guard count > 0 else { break }
            var offset = 0
            while offset + 16 <= count {
                let (watch, mask, length) = buffer.withUnsafeBytes { bytes in
                    (
                        bytes.loadUnaligned(fromByteOffset: offset, as: Int32.self),
                        bytes.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self),
                        Int(bytes.loadUnaligned(fromByteOffset: offset + 12, as: UInt32.self))
                    )
                }
                let end = min(offset + 16 + length, count)
                let name = String(decoding: buffer[(offset + 16)..<end].prefix { $0 != 0 }, as: UTF8.self)
                offset += 16 + length
                if mask & UInt32(IN_Q_OVERFLOW) != 0 {
                    isOfInterest = true
                } else if watch == directory {
                    guard names?.contains(name) ?? true || name.isEmpty else { continue }
                    isOfInterest = true
                    if !name.isEmpty { pending.insert(name) }
                } else if watch == parent, name == own {
                    isOfInterest = true
                }
            }
        }
        guard isOfInterest else { return }
        let first = firstEvent ?? loop.now
        firstEvent = first
        if let timer { loop.cancel(timer) }
        timer = loop.schedule(at: min(loop.now + DirectoryWatch.pause, first + DirectoryWatch.patience)) {
            [weak self] in
            self?.report()
        }
    }

    private func report() {
        guard !isClosed else { return }
        if let timer { loop.cancel(timer) }
        timer = nil
        firstEvent = nil
        // Before looking, so that nothing falls between the two.
        attach()
        let names = pending
        pending = []
        onChange(names)
    }
}
