// YAML to `Document` by libyaml's events. The text comes from outside: every structure is bounded, nothing recurses, and
// all that is wrong with keys, tags and aliases is collected instead of stopping at the first.

import CYAML
public import Documents

extension Document {
    /// Reads one YAML 1.1 document. An empty text gives a null scalar. Aliases are expanded within `limits.nodes`, merge
    /// keys (`<<`) are applied; duplicate keys (the first one counts), custom tags and keys that are no scalars are
    /// problems with positions. After a syntax error there is no document.
    public static func parse(yaml bytes: [UInt8], file: String = "", limits: DocumentLimits = .init())
        -> ParsedDocument
    {
        guard bytes.count <= limits.size else {
            let start = SourcePosition(file: file, line: 1, column: 1)
            return ParsedDocument(
                document: nil, problems: [Problem(at: start, "the text is larger than \(limits.size) octets")])
        }
        var builder = TreeBuilder(file: file, limits: limits)
        var parser = yaml_parser_t()
        guard yaml_parser_initialize(&parser) == 1 else {
            return ParsedDocument(document: nil, problems: [Problem(at: nil, "out of memory")])
        }
        defer { yaml_parser_delete(&parser) }
        bytes.withUnsafeBufferPointer { buffer in
            yaml_parser_set_input_string(&parser, buffer.baseAddress, buffer.count)
            while !builder.isDone {
                var event = yaml_event_t()
                guard yaml_parser_parse(&parser, &event) == 1 else {
                    builder.fail(parser)
                    return
                }
                builder.take(event)
                yaml_event_delete(&event)
            }
        }
        return builder.result
    }
}

/// Builds the tree on an explicit stack, one frame for each open list or map.
private struct TreeBuilder {
    private struct Frame {
        var position: SourcePosition
        var anchor: String?
        var elements: [Document] = []
        /// Nil for a list.
        var map: MapState?
    }
    private struct MapState {
        var entries: [Document.Entry] = []
        /// Where each key was first seen.
        var seen: [String: SourcePosition] = [:]
        /// Values of `<<`, applied when the map ends.
        var merges: [Document] = []
        /// The key whose value comes next; nil: a key comes next.
        var pending: Key?
    }
    private enum Key {
        case named(String, SourcePosition)
        case merge
        /// Not usable; its value is dropped.
        case refused
    }

    private let file: String
    private let limits: DocumentLimits
    private var stack: [Frame] = []
    private var anchors: [String: (node: Document, count: Int, depth: Int)] = [:]
    private var nodes = 0
    private var root: Document?
    private var problems: [Problem] = []
    private var documents = 0
    private var isBroken = false
    private(set) var isDone = false

    init(file: String, limits: DocumentLimits) {
        self.file = file
        self.limits = limits
    }

    var result: ParsedDocument {
        if isBroken { return ParsedDocument(document: nil, problems: problems) }
        let empty = Document(.scalar("", .plain), at: SourcePosition(file: file, line: 1, column: 1))
        return ParsedDocument(document: root ?? empty, problems: problems)
    }

    /// The text ends here as far as we are concerned.
    private mutating func stop(_ position: SourcePosition, _ reason: String, hint: String? = nil) {
        problems.append(Problem(at: position, reason, hint: hint))
        isBroken = true
        isDone = true
    }

    mutating func fail(_ parser: yaml_parser_t) {
        let text = parser.problem.map { String(cString: $0) } ?? "syntax error"
        let context = parser.context.map { String(cString: $0) + ", started at line \(parser.context_mark.line &+ 1)" }
        let position =
            parser.error == YAML_READER_ERROR
            ? SourcePosition(file: file, line: 1, column: 1) : self.position(parser.problem_mark)
        let offset = parser.error == YAML_READER_ERROR ? " at octet \(parser.problem_offset)" : ""
        let tab = text.contains("cannot start any token") ? "indent with spaces, not with tabs" : nil
        stop(position, text + offset + (context.map { " \($0)" } ?? ""), hint: tab)
    }

    private func position(_ mark: yaml_mark_t) -> SourcePosition {
        SourcePosition(file: file, line: Int(clamping: mark.line) &+ 1, column: Int(clamping: mark.column) &+ 1)
    }

    mutating func take(_ event: yaml_event_t) {
        let place = position(event.start_mark)
        switch event.type {
        case YAML_STREAM_END_EVENT:
            isDone = true
        case YAML_DOCUMENT_START_EVENT:
            documents += 1
            if documents > 1 { stop(place, "a second document starts here; only one is allowed") }
        case YAML_SCALAR_EVENT:
            let scalar = event.data.scalar
            let bytes = UnsafeBufferPointer(start: scalar.value, count: scalar.length)
            let text = String(decoding: bytes, as: UTF8.self)
            let tag = string(scalar.tag)
            var style: Document.Style = scalar.style == YAML_PLAIN_SCALAR_STYLE ? .plain : .quoted
            switch tag {
            case nil: break
            case "!", "tag:yaml.org,2002:str": style = .quoted
            case "tag:yaml.org,2002:int", "tag:yaml.org,2002:bool", "tag:yaml.org,2002:null",
                "tag:yaml.org,2002:float":
                style = .plain
            case let tag?: refuse(tag, at: place)
            }
            let node = Document(.scalar(text, style), at: place)
            guard count(1, at: place) else { return }
            remember(string(scalar.anchor), node)
            add(node)
        case YAML_ALIAS_EVENT:
            let name = string(event.data.alias.anchor) ?? ""
            guard let target = anchors[name] else {
                stop(place, "alias *\(name) has no anchor &\(name) that ends before it")
                return
            }
            guard count(target.count, at: place) else { return }
            guard stack.count + target.depth <= limits.depth else {
                stop(place, "nested deeper than \(limits.depth) levels")
                return
            }
            add(target.node)
        case YAML_SEQUENCE_START_EVENT:
            let start = event.data.sequence_start
            if let tag = string(start.tag), tag != "tag:yaml.org,2002:seq", tag != "!" { refuse(tag, at: place) }
            open(Frame(position: place, anchor: string(start.anchor)))
        case YAML_MAPPING_START_EVENT:
            let start = event.data.mapping_start
            if let tag = string(start.tag), tag != "tag:yaml.org,2002:map", tag != "!" { refuse(tag, at: place) }
            open(Frame(position: place, anchor: string(start.anchor), map: MapState()))
        case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT:
            close()
        default:
            break
        }
    }

    private mutating func refuse(_ tag: String, at place: SourcePosition) {
        problems.append(Problem(at: place, "tag \(tag) is not supported"))
    }
    private func string(_ pointer: UnsafeMutablePointer<yaml_char_t>?) -> String? {
        pointer.map { String(cString: $0) }
    }
    private mutating func count(_ added: Int, at place: SourcePosition) -> Bool {
        nodes += added
        if nodes <= limits.nodes { return true }
        stop(place, "more than \(limits.nodes) values, aliases expanded")
        return false
    }
    private mutating func remember(_ anchor: String?, _ node: Document) {
        if let anchor { anchors[anchor] = (node, node.nodeCount, node.depth) }
    }

    private mutating func open(_ frame: Frame) {
        guard stack.count < limits.depth else {
            stop(frame.position, "nested deeper than \(limits.depth) levels")
            return
        }
        guard count(1, at: frame.position) else { return }
        stack.append(frame)
    }
    private mutating func close() {
        guard let frame = stack.popLast() else { return }
        let content: Document.Content = frame.map.map { .map(merged($0)) } ?? .list(frame.elements)
        let node = Document(content, at: frame.position)
        remember(frame.anchor, node)
        add(node)
    }

    /// Gives a finished node to the innermost open list or map.
    private mutating func add(_ node: Document) {
        guard !isDone else { return }
        guard let top = stack.indices.last else {
            root = node
            return
        }
        guard let pending = stack[top].map?.pending else {
            if stack[top].map == nil { stack[top].elements.append(node) } else { addKey(node, to: top) }
            return
        }
        stack[top].map?.pending = nil
        switch pending {
        case .named(let key, let place): stack[top].map?.entries.append(Document.Entry(key, at: place, node))
        case .merge: addMerge(node, to: top)
        case .refused: break
        }
    }
    private mutating func addKey(_ node: Document, to top: Int) {
        guard case .scalar(let key, let style) = node.content else {
            problems.append(Problem(at: node.position, "a key must be a single word"))
            stack[top].map?.pending = .refused
            return
        }
        if key == "<<", style == .plain {
            stack[top].map?.pending = .merge
        } else if let first = stack[top].map?.seen[key] {
            problems.append(
                Problem(at: node.position, "duplicate key \(key), first used at line \(first.line)"))
            stack[top].map?.pending = .refused
        } else {
            stack[top].map?.seen[key] = node.position
            stack[top].map?.pending = .named(key, node.position)
        }
    }
    private mutating func addMerge(_ node: Document, to top: Int) {
        var maps = [node]
        if case .list(let elements) = node.content { maps = elements }
        for map in maps {
            if case .map = map.content {
                stack[top].map?.merges.append(map)
            } else {
                problems.append(Problem(at: map.position, "only maps can be merged with <<"))
            }
        }
    }
    /// The map's own keys first; of several merged maps the earlier one wins.
    private func merged(_ state: MapState) -> [Document.Entry] {
        var entries = state.entries
        var seen = state.seen
        for map in state.merges {
            guard case .map(let others) = map.content else { continue }
            for other in others where seen[other.key] == nil {
                seen[other.key] = other.keyPosition
                entries.append(other)
            }
        }
        return entries
    }
}
