// Knows whether forwarding state of an earlier run can still be in the kernel, which is what the restart bit of graceful
// restart (RFC 4724 §3) tells peers.

import CLinux
import Glibc
import YAML

/// A file in the state directory that holds the boot it was written in.
struct RunRecord {
    /// An evpnd ran before, since this boot, and left its forwarding entries.
    let isRestart: Bool
    private let path: String

    init(stateDirectory: String) throws(StartError) {
        if mkdir(stateDirectory, 0o755) != 0, errno != EEXIST {
            throw StartError(
                "cannot make \(stateDirectory): \(String(cString: strerror(errno))); choose another with --state-dir DIR"
            )
        }
        path = stateDirectory + "/run"
        let boot = RunRecord.contents("/proc/sys/kernel/random/boot_id")
        let before = RunRecord.contents(path)
        isRestart = before != nil && before == boot
        guard let boot, let file = fopen(path, "w") else {
            throw StartError(
                "cannot write \(path): \(String(cString: strerror(errno))); choose another with --state-dir DIR")
        }
        fputs(boot, file)
        fclose(file)
    }

    /// The next start is not a restart: nothing of ours is left in the kernel.
    func forget() { unlink(path) }
    /// The same without a daemon.
    static func forget(stateDirectory: String) { unlink(stateDirectory + "/run") }

    private static func contents(_ path: String) -> String? {
        guard case .success(let bytes) = readFile(path, limit: 256) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }
}
