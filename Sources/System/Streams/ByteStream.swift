// The octets under a protocol: a connected socket that does not block, plain or with TLS by OpenSSL.

import COpenSSL
import Glibc
import NetTypes

enum IOResult {
    case done(Int)
    case wantsRead
    case wantsWrite
    case closed
    case failed(String)
}

/// A connected stream. The descriptor belongs to who made it.
protocol ByteStream: AnyObject {
    /// `.done` once octets may flow.
    func handshake() -> IOResult
    func read(into buffer: UnsafeMutableRawBufferPointer) -> IOResult
    func write(_ bytes: UnsafeRawBufferPointer) -> IOResult
    /// Octets that were read from the socket and not asked for yet: epoll does not tell of them.
    var hasPending: Bool { get }
}

final class PlainStream: ByteStream {
    private let descriptor: Int32
    init(descriptor: Int32) { self.descriptor = descriptor }
    var hasPending: Bool { false }
    func handshake() -> IOResult { .done(0) }
    func read(into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
        if count > 0 { return .done(count) }
        if count == 0 { return .closed }
        return errno == EAGAIN || errno == EINTR ? .wantsRead : .failed(String(cString: strerror(errno)))
    }
    func write(_ bytes: UnsafeRawBufferPointer) -> IOResult {
        let count = Glibc.send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
        if count >= 0 { return .done(count) }
        return errno == EAGAIN || errno == EINTR ? .wantsWrite : .failed(String(cString: strerror(errno)))
    }
}

/// TLS 1.2 or later, with the server's certificate verified.
final class TLSStream: ByteStream {
    private let context: OpaquePointer
    private let connection: OpaquePointer
    private let host: String

    private init(context: OpaquePointer, connection: OpaquePointer, host: String) {
        self.context = context
        self.connection = connection
        self.host = host
    }
    deinit {
        SSL_free(connection)
        SSL_CTX_free(context)
    }

    /// The error names the file or the setting that OpenSSL refused.
    static func make(descriptor: Int32, host: String, tls: TLSSettings) -> Result<TLSStream, StreamFailure> {
        func failed(_ what: String) -> Result<TLSStream, StreamFailure> {
            .failure(StreamFailure("TLS: \(what): \(reason())"))
        }
        ERR_clear_error()
        guard let context = SSL_CTX_new(TLS_client_method()) else { return failed("no context") }
        SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, Int(TLS1_2_VERSION), nil)
        SSL_CTX_ctrl(
            context, SSL_CTRL_MODE, Int(SSL_MODE_ENABLE_PARTIAL_WRITE) | Int(SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER), nil)
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
        var problem: String?
        if let file = tls.authorities {
            if SSL_CTX_load_verify_file(context, file) != 1 { problem = "authorities \(file)" }
        } else if SSL_CTX_set_default_verify_paths(context) != 1 {
            problem = "the system's authorities"
        }
        if problem == nil, let file = tls.certificate, SSL_CTX_use_certificate_chain_file(context, file) != 1 {
            problem = "certificate \(file)"
        }
        if problem == nil, let file = tls.key, SSL_CTX_use_PrivateKey_file(context, file, SSL_FILETYPE_PEM) != 1 {
            problem = "key \(file)"
        }
        guard problem == nil, let connection = SSL_new(context) else {
            defer { SSL_CTX_free(context) }
            return failed(problem ?? "no connection")
        }
        // From here on the object frees both.
        let stream = TLSStream(context: context, connection: connection, host: host)
        var address = in6_addr()
        let isAddress = inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1
        if !tls.verifiesName {
            // Whoever the authorities vouch for is right.
        } else if isAddress {
            guard X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(connection), host) == 1 else {
                return failed("address \(host)")
            }
        } else {
            guard SSL_set1_host(connection, host) == 1 else { return failed("name \(host)") }
        }
        if !isAddress {
            _ = host.withCString {
                SSL_ctrl(
                    connection, SSL_CTRL_SET_TLSEXT_HOSTNAME, Int(TLSEXT_NAMETYPE_host_name),
                    UnsafeMutableRawPointer(mutating: $0))
            }
        }
        if let name = tls.applicationProtocol, !name.isEmpty, name.utf8.count < 256 {
            let protocols = [UInt8(name.utf8.count)] + Array(name.utf8)
            SSL_set_alpn_protos(connection, protocols, UInt32(protocols.count))
        }
        guard SSL_set_fd(connection, descriptor) == 1 else { return failed("no descriptor") }
        SSL_set_connect_state(connection)
        return .success(stream)
    }

    var hasPending: Bool { SSL_pending(connection) > 0 }

    func handshake() -> IOResult {
        ERR_clear_error()
        let result = SSL_do_handshake(connection)
        return result == 1 ? .done(0) : outcome(result, during: "handshake")
    }
    func read(into buffer: UnsafeMutableRawBufferPointer) -> IOResult {
        ERR_clear_error()
        let count = SSL_read(connection, buffer.baseAddress, Int32(clamping: buffer.count))
        return count > 0 ? .done(Int(count)) : outcome(count, during: "read")
    }
    func write(_ bytes: UnsafeRawBufferPointer) -> IOResult {
        ERR_clear_error()
        let count = SSL_write(connection, bytes.baseAddress, Int32(clamping: bytes.count))
        if count > 0 { return .done(Int(count)) }
        let result = outcome(count, during: "write")
        guard case .failed = result else { return result }
        // Who closes the connection has mostly said why before, in an alert that has not been read yet.
        var rest = [UInt8](repeating: 0, count: 64)
        ERR_clear_error()
        let last = SSL_read(connection, &rest, Int32(rest.count))
        return last <= 0 && ERR_peek_error() != 0 ? outcome(last, during: "read") : result
    }

    private func outcome(_ result: Int32, during action: String) -> IOResult {
        let code = errno
        switch SSL_get_error(connection, result) {
        case SSL_ERROR_WANT_READ: return .wantsRead
        case SSL_ERROR_WANT_WRITE: return .wantsWrite
        case SSL_ERROR_ZERO_RETURN: return .closed
        default: break
        }
        let verification = SSL_get_verify_result(connection)
        if verification != Int(X509_V_OK) {
            let text = String(cString: X509_verify_cert_error_string(verification))
            return .failed("the server's certificate is not valid for \(host): \(text)")
        }
        if ERR_peek_error() == 0 {
            return code == 0 ? .closed : .failed("TLS \(action): \(String(cString: strerror(code)))")
        }
        let reason = Self.reason()
        let hint = reason.contains("wrong version number") ? " (does the server speak TLS on this port?)" : ""
        return .failed("TLS \(action): \(reason)\(hint)")
    }

    /// The newest of OpenSSL's errors, in its words.
    private static func reason() -> String {
        let code = ERR_peek_last_error()
        ERR_clear_error()
        guard let text = ERR_reason_error_string(code) else { return "error \(code)" }
        return String(cString: text)
    }
}
