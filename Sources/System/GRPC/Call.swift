// One remote procedure call: the framing of its messages and how it ends.

/// A call on a `GRPCConnection`. Confined to the loop's thread.
public final class GRPCCall {
    let method: String
    var stream: Int32 = 0
    /// Let go of at the end: its closures may hold this call and the connection.
    private var receiver: MessageReceiver?
    private var onEnd: ((GRPCStatus) -> Void)?
    var beforeEnd: (() -> Void)?

    // Sending: framed messages, from `sent` on.
    var output: [UInt8] = []
    var sent = 0
    var hasFinishedSending = false
    /// nghttp2 was told that there is nothing to send for now.
    var isDeferred = false

    // Receiving
    var httpStatus = 0
    var isGRPC = false
    var status: Int?
    var statusMessage = ""
    private var prefix: [UInt8] = []
    private var remaining = 0
    private var isInMessage = false

    init(method: String, receiver: MessageReceiver, onEnd: @escaping (GRPCStatus) -> Void) {
        self.method = method
        self.receiver = receiver
        self.onEnd = onEnd
    }

    public var isEnded: Bool { onEnd == nil }
    /// The method without its service.
    var name: Substring { method.split(separator: "/").last ?? "" }

    /// Appends one message in gRPC's framing: no compression, four octets of length.
    func enqueue(_ message: [UInt8]) {
        if sent == output.count {
            output.removeAll(keepingCapacity: true)
            sent = 0
        }
        let length = UInt32(truncatingIfNeeded: message.count)
        output += [
            0, UInt8(truncatingIfNeeded: length >> 24), UInt8(truncatingIfNeeded: length >> 16),
            UInt8(truncatingIfNeeded: length >> 8), UInt8(truncatingIfNeeded: length),
        ]
        output += message
    }

    func end(_ status: GRPCStatus) {
        guard let handler = onEnd else { return }
        onEnd = nil
        beforeEnd?()
        beforeEnd = nil
        receiver = nil
        handler(status)
    }

    /// Takes DATA; the error ends the call.
    func receive(_ bytes: UnsafeRawBufferPointer) -> GRPCStatus? {
        var rest = bytes[...]
        while !rest.isEmpty, let receiver {
            if !isInMessage {
                let missing = 5 - prefix.count
                prefix += rest.prefix(missing)
                rest = rest.dropFirst(missing)
                guard prefix.count == 5 else { break }
                guard prefix[0] == 0 else {
                    return GRPCStatus(.internal, "the server sent a compressed message, which was not agreed on")
                }
                remaining = prefix[1...].reduce(0) { $0 << 8 | Int($1) }
                prefix.removeAll(keepingCapacity: true)
                guard remaining <= receiver.limit else {
                    return GRPCStatus(
                        .resourceExhausted,
                        "a message of \(remaining) octets is above the limit of \(receiver.limit) octets")
                }
                isInMessage = true
                receiver.begin(remaining)
            }
            let part = rest.prefix(remaining)
            if !part.isEmpty { receiver.append(UnsafeRawBufferPointer(rebasing: part)) }
            if isEnded { return nil }
            rest = rest.dropFirst(part.count)
            remaining -= part.count
            if remaining == 0 {
                isInMessage = false
                receiver.end()
                if isEnded { return nil }
            }
        }
        return nil
    }

    /// How the call ended, as far as the server said.
    func result(http2Error: UInt32) -> GRPCStatus {
        if let status {
            guard let code = GRPCStatus.Code(rawValue: status) else {
                return GRPCStatus(.unknown, "status \(status): \(statusMessage)")
            }
            if code == .ok, isInMessage || !prefix.isEmpty {
                return GRPCStatus(.internal, "the server ended the call within a message")
            }
            return GRPCStatus(code, statusMessage)
        }
        if httpStatus != 0, httpStatus != 200 { return GRPCStatus(httpStatus: httpStatus) }
        if httpStatus == 200, !isGRPC { return GRPCStatus(.unknown, "the server does not speak gRPC") }
        return GRPCStatus(.unavailable, "the server reset the call (HTTP/2 error \(http2Error))")
    }
}

/// The text of a `grpc-message`: octets outside printable ASCII are percent-encoded.
func percentDecoded(_ bytes: UnsafeBufferPointer<UInt8>) -> String {
    func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }
    var result: [UInt8] = []
    var index = 0
    while index < bytes.count {
        if bytes[index] == 0x25, index + 2 < bytes.count, let high = digit(bytes[index + 1]),
            let low = digit(bytes[index + 2])
        {
            result.append(high << 4 | low)
            index += 3
        } else {
            result.append(bytes[index])
            index += 1
        }
    }
    return String(decoding: result, as: UTF8.self)
}
