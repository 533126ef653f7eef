// The kernel keeps no mark on flood entries (zero MAC, `append`): which of them are ours is written down here.

import CLinux
import Glibc
import NetTypes

/// An append-only log, `+ INTERFACE VTEP VNI [SRC_VNI]` or `- …` a line, after `= COOKIE` for another network namespace than that of the
/// process, in a directory that does not survive a reboot (and neither do the entries). A line is written before its entry is programmed, so a crash leaves no entry that we would not know as ours.
/// The interface index tells a device that was made again, which starts without our entries.
final class FloodRecord {
    struct Entry: Hashable, Sendable {
        /// The VXLAN device and, if it serves many, the VNI that the entry belongs to.
        var place: DeviceNumber
        var target: FloodTarget
        var line: String {
            "\(place.interface) \(target.vtep) \(target.vni)" + (place.number == 0 ? "\n" : " \(place.number)\n")
        }
    }
    private(set) var entries: Set<Entry> = []
    private let path: String
    private let header: String
    private var descriptor: Int32 = -1
    private var lines = 0
    /// Why the file cannot be written; the entries are then only remembered by this process.
    private(set) var problem: String?

    /// `cookie`: of the network namespace that the entries are in, because another one of the same name has other entries; 0: that of
    /// the process.
    init(directory: String, cookie: UInt64 = 0) {
        path = directory + "/flood"
        header = cookie == 0 ? "" : "= \(cookie)\n"
        mkdir(directory, 0o755)
        read()
        rewrite()
    }
    deinit { if descriptor >= 0 { close(descriptor) } }

    func contains(_ place: DeviceNumber, _ target: FloodTarget) -> Bool {
        entries.contains(Entry(place: place, target: target))
    }
    func insert(_ new: [Entry]) {
        var text = ""
        for entry in new where entries.insert(entry).inserted { text += "+ " + entry.line }
        append(text, lines: new.count)
    }
    func remove(_ old: [Entry]) {
        var text = ""
        for entry in old where entries.remove(entry) != nil { text += "- " + entry.line }
        append(text, lines: old.count)
    }
    /// The device is gone, and its entries with it.
    func removeAll(of interface: Int32) { remove(entries.filter { $0.place.interface == interface }) }

    /// Of other devices than these nothing is left.
    func keep(_ interfaces: some Collection<Int32>) {
        let known = Set(interfaces)
        remove(entries.filter { !known.contains($0.place.interface) })
    }

    /// Lines that make no sense (a torn write, a foreign hand) are skipped: their entries then count as foreign.
    private func read() {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return }
        defer { close(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        // 64 MB hold a million members; a larger file is not ours.
        while bytes.count < 64 << 20 {
            let count = Glibc.read(file, &chunk, chunk.count)
            guard count > 0 else { break }
            bytes += chunk[..<count]
        }
        guard header.isEmpty || bytes.starts(with: header.utf8) else { return }
        for line in bytes.split(separator: 0x0a) {
            let words = line.split(separator: 0x20).map { String(decoding: $0, as: UTF8.self) }
            guard words.count == 4 || words.count == 5, let interface = Int32(words[1]),
                let vtep = IPAddress(words[2]), let vni = UInt32(words[3]),
                let source = words.count == 5 ? UInt32(words[4]) : 0
            else { continue }
            let entry = Entry(place: DeviceNumber(interface, source), target: FloodTarget(vtep: vtep, vni: vni))
            if words[0] == "+" { entries.insert(entry) }
            if words[0] == "-" { entries.remove(entry) }
        }
    }
    /// Writes the whole log anew, without what was removed.
    private func rewrite() {
        let temporary = path + ".new"
        let file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_APPEND, 0o600)
        guard file >= 0 else { return fail() }
        var text = header
        for entry in entries.sorted(by: {
            ($0.place.interface, $0.place.number, $0.target) < ($1.place.interface, $1.place.number, $1.target)
        }) {
            text += "+ " + entry.line
        }
        guard FloodRecord.write(text, to: file), rename(temporary, path) == 0 else {
            close(file)
            return fail()
        }
        if descriptor >= 0 { close(descriptor) }
        descriptor = file
        lines = entries.count
        problem = nil
    }
    private func append(_ text: String, lines new: Int) {
        guard !text.isEmpty else { return }
        lines += new
        if lines > 2 * entries.count + 1024 || descriptor < 0 { return rewrite() }
        if !FloodRecord.write(text, to: descriptor) { fail() }
    }
    private func fail() { problem = "\(path): \(String(cString: strerror(errno)))" }

    private static func write(_ text: String, to file: Int32) -> Bool {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                return false
            }
            bytes = bytes.dropFirst(count)
        }
        return true
    }
}
