// Signals as loop events.

import CLinux
import Glibc

/// Delivers signals on the loop. `block` must be called before any thread is made, so that no thread takes them.
public final class SignalSource {
    private let loop: EventLoop
    private let descriptor: Int32

    /// Blocks the signals in this thread and all it makes later, and ignores SIGPIPE.
    public static func block(_ signals: [Int32]) {
        var set = signalSet(signals)
        pthread_sigmask(SIG_BLOCK, &set, nil)
        signal(SIGPIPE, SIG_IGN)
    }

    public init(loop: EventLoop, signals: [Int32], _ handler: @escaping (Int32) -> Void) {
        self.loop = loop
        var set = signalSet(signals)
        let descriptor = signalfd(-1, &set, Int32(SFD_CLOEXEC) | Int32(SFD_NONBLOCK))
        self.descriptor = descriptor
        loop.watch(descriptor, .readable) { _ in
            var info = signalfd_siginfo()
            while withUnsafeMutableBytes(of: &info, { read(descriptor, $0.baseAddress, $0.count) })
                == MemoryLayout<signalfd_siginfo>.size
            {
                handler(Int32(truncatingIfNeeded: info.ssi_signo))
            }
        }
    }
    public func close() {
        loop.unwatch(descriptor)
        Glibc.close(descriptor)
    }
}

private func signalSet(_ signals: [Int32]) -> sigset_t {
    var set = sigset_t()
    sigemptyset(&set)
    for signal in signals { sigaddset(&set, signal) }
    return set
}
