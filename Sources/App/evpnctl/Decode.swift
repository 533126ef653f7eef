// `evpnctl decode`: hexadecimal BGP messages on standard input, one JSON object for each line on standard output.

import BGP
import Documents
import Glibc
import NetTypes

/// Runs `evpnctl decode [--as4 1|0] [--add-path AFI/SAFI,…]`; `arguments` are those after `decode`. Every line of input, whatever it
/// holds, gives one line of output, written before the next line is looked at. Returns the exit status: 2 for bad arguments.
func runDecode(_ arguments: [String]) -> Int32 {
    var options = CodecOptions(maximumLength: 65535)
    var index = 0
    while index < arguments.count {
        var name = arguments[index]
        var value: String?
        if let equals = name.firstIndex(of: "=") {
            value = String(name[name.index(after: equals)...])
            name = String(name[..<equals])
        } else if index + 1 < arguments.count {
            index += 1
            value = arguments[index]
        }
        switch (name, value) {
        case ("--as4", "1"): options.fourOctetAS = true
        case ("--as4", "0"): options.fourOctetAS = false
        case ("--add-path", let list?):
            guard let families = addPathFamilies(list) else { return decodeUsage("not a list of AFI/SAFI: \(list)") }
            options.addPathReceive = families
        case ("--as4", let value?): return decodeUsage("--as4 is 1 or 0, not \(value)")
        case ("--as4", nil), ("--add-path", nil): return decodeUsage("\(name) needs a value")
        default: return decodeUsage("unknown argument: \(name)")
        }
        index += 1
    }
    let printer = MessageJSON(options: options)
    var lines = LineReader(descriptor: 0, limit: 300_000)
    while let line = lines.next() {
        var text: [UInt8] = []
        decodeLine(line, printer).write(to: &text)
        text.append(0x0a)
        guard writeAll(1, text) else { return 1 }
    }
    return 0
}

private func decodeUsage(_ problem: String) -> Int32 {
    _ = writeAll(
        2, Array("evpnctl decode: \(problem)\nusage: evpnctl decode [--as4 1|0] [--add-path AFI/SAFI,...]\n".utf8))
    return 2
}

/// `1/1,25/70`; an empty list is allowed. Nil when malformed.
private func addPathFamilies(_ text: String) -> Set<Family>? {
    var families: Set<Family> = []
    for item in text.split(separator: ",") {
        let parts = item.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let afi = UInt16(parts[0]), let safi = UInt8(parts[1]) else { return nil }
        families.insert(Family(afi: afi, safi: safi))
    }
    return families
}

private func decodeLine(_ line: LineReader.Line, _ printer: MessageJSON) -> JSONValue {
    switch line {
    case .tooLong:
        return MessageJSON.refused(SessionFault(code: 1, subcode: 2, reason: "line longer than any message"))
    case .text(let text):
        // White space between digits does not matter, so that output of other tools can be pasted.
        let digits = text.filter { !($0 == 0x20 || (0x09...0x0d).contains($0)) }
        guard let octets = octets(hexDigits: digits) else {
            return MessageJSON.refused(SessionFault(code: 1, subcode: 2, reason: "not pairs of hexadecimal digits"))
        }
        return printer.object(octets)
    }
}

private func octets(hexDigits digits: [UInt8]) -> [UInt8]? {
    guard digits.count % 2 == 0 else { return nil }
    func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case 0x30...0x39: digit - 0x30
        case 0x41...0x46: digit - 0x41 + 10
        case 0x61...0x66: digit - 0x61 + 10
        default: nil
        }
    }
    var result: [UInt8] = []
    result.reserveCapacity(digits.count / 2)
    for index in stride(from: 0, to: digits.count, by: 2) {
        guard let high = value(digits[index]), let low = value(digits[index + 1]) else { return nil }
        result.append(high << 4 | low)
    }
    return result
}

private func writeAll(_ descriptor: Int32, _ octets: [UInt8]) -> Bool {
    var done = 0
    while done < octets.count {
        let count = octets.withUnsafeBytes { write(descriptor, $0.baseAddress?.advanced(by: done), $0.count - done) }
        if count > 0 {
            done += count
        } else if count < 0, errno == EINTR || (errno == EAGAIN && isReady(descriptor, POLLOUT)) {
            continue
        } else {
            return false
        }
    }
    return true
}

/// Waits until a descriptor is ready that somebody else, who shares it, has made non-blocking.
private func isReady(_ descriptor: Int32, _ events: Int32) -> Bool {
    var entry = pollfd(fd: descriptor, events: Int16(truncatingIfNeeded: events), revents: 0)
    return poll(&entry, 1, -1) > 0 || errno == EINTR
}

/// Lines of a descriptor as octets, with a bound on memory: of an over-long line only the fact is kept.
private struct LineReader {
    enum Line {
        case text([UInt8])
        case tooLong
    }
    let descriptor: Int32
    let limit: Int
    private var chunk: [UInt8] = []
    private var position = 0
    private var isAtEnd = false

    init(descriptor: Int32, limit: Int) {
        self.descriptor = descriptor
        self.limit = limit
    }

    /// Nil at the end of input; a last line without a newline counts.
    mutating func next() -> Line? {
        var line: [UInt8] = []
        var isTooLong = false
        var hasAny = false
        while true {
            if position >= chunk.count {
                fill()
                if isAtEnd { return !hasAny ? nil : isTooLong ? .tooLong : .text(line) }
            }
            hasAny = true
            let newline = chunk[position...].firstIndex(of: 0x0a)
            let end = newline ?? chunk.count
            if !isTooLong {
                line += chunk[position..<end]
                if line.count > limit {
                    isTooLong = true
                    line = []
                }
            }
            position = end + (newline == nil ? 0 : 1)
            if newline != nil { return isTooLong ? .tooLong : .text(line) }
        }
    }

    private mutating func fill() {
        position = 0
        var failure: Int32 = 0
        repeat {
            chunk = [UInt8](unsafeUninitializedCapacity: 65536) { buffer, count in
                let result = read(descriptor, buffer.baseAddress, buffer.count)
                failure = result < 0 ? errno : 0
                count = max(0, result)
            }
        } while failure == EINTR || (failure == EAGAIN && isReady(descriptor, POLLIN))
        isAtEnd = chunk.isEmpty
    }
}
