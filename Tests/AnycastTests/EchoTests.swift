// Octets of probes and of their answers.

import Anycast
import NetTypes
import Testing

@Suite struct EchoTests {
    /// As `ping` sends it: type 8, and ones' complement over all words is zero.
    @Test func requestHasAChecksum() {
        let request = Echo.request(isV6: false, number: 0x0102_0304_0506_0708)
        #expect(request.count == 16)
        #expect(request.prefix(2) == [8, 0])
        #expect(Array(request[4...]) == [5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8])
        var sum: UInt32 = 0
        for index in stride(from: 0, to: 16, by: 2) { sum += UInt32(request[index]) << 8 | UInt32(request[index + 1]) }
        #expect(sum >> 16 + sum & 0xffff == 0xffff)
    }
    @Test func repliesAreRecognized() {
        let header = [0x45] + [UInt8](repeating: 0, count: 19)
        for isV6 in [false, true] {
            var reply = Echo.request(isV6: isV6, number: 7)
            let prefix = isV6 ? [] : header
            #expect(!Echo.isReply(prefix + reply, isV6: isV6, number: 7), "a request")
            reply[0] = isV6 ? 129 : 0
            #expect(Echo.isReply(prefix + reply, isV6: isV6, number: 7))
            #expect(Echo.isReply(prefix + reply + [0, 0], isV6: isV6, number: 7), "padding")
            #expect(!Echo.isReply(prefix + reply, isV6: isV6, number: 8), "of another request")
            #expect(!Echo.isReply(prefix + reply.dropLast(), isV6: isV6, number: 7), "cut")
            #expect(!Echo.isReply([], isV6: isV6, number: 7))
        }
        // A header longer than the packet.
        #expect(!Echo.isReply([0x4f, 0], isV6: false, number: 7))
        #expect(!Echo.isReply([0x41] + [UInt8](repeating: 0, count: 40), isV6: false, number: 7))
    }

    @Test func requestLine() throws {
        let host = try #require(IPAddress("2001:db8::1"))
        let text = String(decoding: HTTPProbe.request(path: "/health", host: host, port: 8080), as: UTF8.self)
        #expect(text.hasPrefix("GET /health HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\n"))
        #expect(text.hasSuffix("\r\n\r\n"))
    }
    @Test(arguments: [
        ("HTTP/1.1 200 OK\r\n", "good"), ("HTTP/1.0 399\n", "good"), ("HTTP/1.1 404 Not Found\r\n", "status 404"),
        ("HTTP/1.1 503\r", "status 503"), ("SSH-2.0-OpenSSH\r\n", "no answer in HTTP"), ("\r\n", "no answer in HTTP"),
        ("HTTP/1.1 20x\r\n", "no answer in HTTP"), ("HTTP/1.1 +20 \r\n", "no answer in HTTP"), ("HTTP/1.1 200", "more"),
        ("", "more"),
    ]) func answers(text: String, verdict: String) {
        func word(_ fault: String??) -> String {
            switch fault {
            case nil: "more"
            case .some(nil): "good"
            case .some(let fault?): fault
            }
        }
        #expect(word(HTTPProbe.fault(of: Array(text.utf8), isComplete: false)) == verdict)
    }
    @Test func endedAnswers() {
        #expect(HTTPProbe.fault(of: [], isComplete: true) == .some("closed without an answer"))
        #expect(HTTPProbe.fault(of: Array("HTTP/1.1 200".utf8), isComplete: true) == .some(nil))
        #expect(
            HTTPProbe.fault(of: [UInt8](repeating: 0x41, count: 64), isComplete: false) == .some("no answer in HTTP"))
    }
}
