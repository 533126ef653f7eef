// The client half of HTTP/2 by libnghttp2: octets in, octets out, calls in between. No socket here.

import CNghttp2

/// One HTTP/2 connection's protocol state. Confined to the loop's thread.
final class HTTP2Session {
    private var session: OpaquePointer?
    private var calls: [Int32: GRPCCall] = [:]
    private let authority: String
    private let isSecure: Bool
    /// The server's SETTINGS are here: it does speak HTTP/2.
    private(set) var isReady = false
    /// The server is about to close; no new calls.
    private(set) var goAway: String?

    /// Octets a call may have in flight towards us, and all calls together.
    private static let streamWindow: UInt32 = 4 << 20
    private static let connectionWindow: Int32 = 16 << 20

    init(authority: String, isSecure: Bool) {
        self.authority = authority
        self.isSecure = isSecure
        var callbacks: OpaquePointer?
        nghttp2_session_callbacks_new(&callbacks)
        nghttp2_session_callbacks_set_on_header_callback(callbacks) {
            _, frame, name, nameLength, value, valueLength, _, context in
            guard let me = HTTP2Session.from(context), let frame, let name, let value,
                let call = me.calls[frame.pointee.hd.stream_id]
            else { return 0 }
            call.header(
                UnsafeBufferPointer(start: name, count: nameLength),
                UnsafeBufferPointer(start: value, count: valueLength))
            return 0
        }
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) { _, _, stream, data, count, context in
            guard let me = HTTP2Session.from(context), let call = me.calls[stream], let data else { return 0 }
            if let fault = call.receive(UnsafeRawBufferPointer(start: data, count: count)) { me.abort(call, fault) }
            return 0
        }
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) { _, stream, error, context in
            guard let me = HTTP2Session.from(context), let call = me.calls.removeValue(forKey: stream) else { return 0 }
            call.end(call.result(http2Error: error))
            return 0
        }
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks) { _, frame, context in
            guard let me = HTTP2Session.from(context), let frame else { return 0 }
            switch UInt32(frame.pointee.hd.type) {
            case NGHTTP2_SETTINGS.rawValue: me.isReady = true
            case NGHTTP2_GOAWAY.rawValue:
                let body = frame.pointee.goaway
                let text = UnsafeBufferPointer(start: body.opaque_data, count: min(body.opaque_data_len, 200))
                me.goAway =
                    "the server is closing the connection (GOAWAY \(body.error_code)"
                    + (text.isEmpty ? ")" : ", \(String(decoding: text, as: UTF8.self)))")
            default: break
            }
            return 0
        }
        nghttp2_session_callbacks_set_on_frame_send_callback(callbacks) { _, frame, context in
            guard let me = HTTP2Session.from(context), let frame,
                UInt32(frame.pointee.hd.type) == NGHTTP2_GOAWAY.rawValue
            else { return 0 }
            let error = frame.pointee.goaway.error_code
            if error != 0, me.goAway == nil {
                me.goAway =
                    me.isReady
                    ? "the server broke HTTP/2 (\(String(cString: nghttp2_http2_strerror(error))))"
                    : me.notHTTP2(String(cString: nghttp2_http2_strerror(error)))
            }
            return 0
        }
        nghttp2_session_client_new(&session, callbacks, Unmanaged.passUnretained(self).toOpaque())
        nghttp2_session_callbacks_del(callbacks)
        let settings = [
            nghttp2_settings_entry(
                settings_id: Int32(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE.rawValue), value: Self.streamWindow),
            nghttp2_settings_entry(settings_id: Int32(NGHTTP2_SETTINGS_ENABLE_PUSH.rawValue), value: 0),
            nghttp2_settings_entry(
                settings_id: Int32(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE.rawValue), value: 64 << 10),
        ]
        nghttp2_submit_settings(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), settings, settings.count)
        nghttp2_session_set_local_window_size(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), 0, Self.connectionWindow)
    }
    deinit { nghttp2_session_del(session) }

    private static func from(_ context: UnsafeMutableRawPointer?) -> HTTP2Session? {
        context.map { Unmanaged<HTTP2Session>.fromOpaque($0).takeUnretainedValue() }
    }

    var callCount: Int { calls.count }

    /// Feeds what the socket gave; the error is fatal to the connection.
    func receive(_ bytes: UnsafeRawBufferPointer) -> String? {
        let result = nghttp2_session_mem_recv(
            session, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count)
        if result >= 0 { return nil }
        let reason = String(cString: nghttp2_strerror(Int32(truncatingIfNeeded: result)))
        guard !isReady else { return "HTTP/2 error: \(reason)" }
        return notHTTP2(reason)
    }

    private func notHTTP2(_ reason: String) -> String {
        "the server does not answer in HTTP/2" + (isSecure ? "" : "; does it want TLS?") + " (\(reason))"
    }

    /// Moves what is to be sent to `output`, at most about `limit` octets; the error is fatal to the connection.
    func takeOutput(_ output: inout [UInt8], limit: Int) -> String? {
        while output.count < limit {
            var data: UnsafePointer<UInt8>?
            let count = nghttp2_session_mem_send(session, &data)
            if count < 0 {
                return "HTTP/2 error: " + String(cString: nghttp2_strerror(Int32(truncatingIfNeeded: count)))
            }
            if count == 0 { break }
            output.append(contentsOf: UnsafeBufferPointer(start: data, count: count))
        }
        return nil
    }
    /// Neither side has anything more to say.
    var isOver: Bool { nghttp2_session_want_read(session) == 0 && nghttp2_session_want_write(session) == 0 }

    // MARK: Calls

    /// `timeoutMilliseconds`: told to the server as `grpc-timeout`.
    func start(_ call: GRPCCall, timeoutMilliseconds: Int?) -> GRPCStatus? {
        var headers = [
            (":method", "POST"), (":scheme", isSecure ? "https" : "http"), (":path", call.method),
            (":authority", authority), ("te", "trailers"), ("content-type", "application/grpc"),
            ("user-agent", "evpnd"),
        ]
        // The specification allows eight digits.
        if let timeoutMilliseconds { headers.append(("grpc-timeout", "\(min(timeoutMilliseconds, 99_999_999))m")) }
        var text: [UInt8] = []
        var places: [(name: Range<Int>, value: Range<Int>)] = []
        for (name, value) in headers {
            let start = text.count
            text += name.utf8
            let middle = text.count
            text += value.utf8
            places.append((start..<middle, middle..<text.count))
        }
        var provider = nghttp2_data_provider()
        provider.read_callback = { _, stream, buffer, length, flags, _, context in
            guard let me = HTTP2Session.from(context), let call = me.calls[stream], let buffer, let flags else {
                return ssize_t(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue)
            }
            let count = min(length, call.output.count - call.sent)
            call.output.withUnsafeBytes {
                UnsafeMutableRawBufferPointer(start: buffer, count: count).copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: $0[call.sent..<call.sent + count]))
            }
            call.sent += count
            if call.sent == call.output.count {
                if call.hasFinishedSending {
                    flags.pointee |= UInt32(NGHTTP2_DATA_FLAG_EOF.rawValue)
                } else if count == 0 {
                    call.isDeferred = true
                    return ssize_t(NGHTTP2_ERR_DEFERRED.rawValue)
                }
            }
            return count
        }
        let stream = text.withUnsafeMutableBufferPointer { buffer -> Int32 in
            guard let base = buffer.baseAddress else { return -1 }
            let list = places.map { place in
                nghttp2_nv(
                    name: base + place.name.lowerBound, value: base + place.value.lowerBound,
                    namelen: place.name.count, valuelen: place.value.count,
                    flags: UInt8(NGHTTP2_NV_FLAG_NONE.rawValue))
            }
            return nghttp2_submit_request(session, nil, list, list.count, &provider, nil)
        }
        guard stream > 0 else { return GRPCStatus(.unavailable, String(cString: nghttp2_strerror(stream))) }
        call.stream = stream
        calls[stream] = call
        return nil
    }
    /// There is more to send on a call whose sender had run dry.
    func resume(_ call: GRPCCall) {
        guard call.isDeferred else { return }
        call.isDeferred = false
        nghttp2_session_resume_data(session, call.stream)
    }
    /// Resets the call; its end is told at once.
    func abort(_ call: GRPCCall, _ status: GRPCStatus) {
        if calls.removeValue(forKey: call.stream) != nil {
            nghttp2_submit_rst_stream(
                session, UInt8(NGHTTP2_FLAG_NONE.rawValue), call.stream, UInt32(NGHTTP2_CANCEL.rawValue))
        }
        call.end(status)
    }
    /// The connection is gone, and with it every call.
    func endAll(_ status: GRPCStatus) {
        let all = calls.values.sorted { $0.stream < $1.stream }
        calls = [:]
        for call in all { call.end(status) }
    }
}

extension GRPCCall {
    fileprivate func header(_ name: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>) {
        func isName(_ text: StaticString) -> Bool {
            text.utf8CodeUnitCount == name.count && memcmpEqual(name, text)
        }
        if isName(":status") {
            httpStatus = Int(String(decoding: value, as: UTF8.self)) ?? 0
        } else if isName("grpc-status") {
            status = Int(String(decoding: value, as: UTF8.self)) ?? GRPCStatus.Code.unknown.rawValue
        } else if isName("grpc-message") {
            statusMessage = percentDecoded(UnsafeBufferPointer(rebasing: value.prefix(4096)))
        } else if isName("content-type") {
            isGRPC = value.starts(with: "application/grpc".utf8)
        }
    }
}

private func memcmpEqual(_ bytes: UnsafeBufferPointer<UInt8>, _ text: StaticString) -> Bool {
    text.withUTF8Buffer { $0.elementsEqual(bytes) }
}
